// SPDX-License-Identifier: MIT OR Apache-2.0
//! The judgement over prepared machines.

use std::{fs, path::Path, time::Duration};

use plc_api::{
    key::{KeyInfo, KeyKind, KeyList},
    plc::{Crash, PlcStatus, Snapshot},
};

use super::{
    examine,
    finding::{Finding, Verdict},
    place::Place,
    seen::{Configuration, Logind, Runtime, Seen, User, units},
    settings::Settings,
    tree::Tree,
};

mod router;

/// A machine made of files.
pub(super) struct Machine(tempfile::TempDir);

impl Machine {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for (path, text) in files {
            let path = machine.0.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        machine
    }

    pub(super) fn tree(&self) -> Tree {
        Tree::at(self.0.path())
    }
}

const UNITS: &str = "\
Id=plc-runtime.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled

Id=plc-worker.socket
LoadState=loaded
ActiveState=active

Id=plc-worker@check.service
LoadState=loaded
LimitRTPRIO=99
LimitMEMLOCK=infinity
LimitCORE=infinity
CPUQuotaPerSecUSec=infinity

Id=plc-connector-pyro.socket
LoadState=loaded
ActiveState=active
";

const CPU: &str = "/sys/devices/system/cpu";

/// A machine that is as it should be, with a runtime in real time on the processor 1.
const GOOD: &[(&str, &str)] = &[
    (
        "/etc/plc-runtime/plc-runtime.toml",
        "[realtime]\npolicy = \"fifo\"\npriority = 80\ncpus = [1]\nlock_memory = true\n",
    ),
    ("/etc/group", "root:x:0:\nplc:x:990:ann,bob\n"),
    ("/proc/sys/kernel/osrelease", "6.1.0-rt"),
    ("/proc/sys/kernel/version", "#1 SMP PREEMPT_RT Debian 6.1"),
    ("/proc/sys/kernel/sched_rt_runtime_us", "950000"),
    ("/proc/sys/kernel/sched_rt_period_us", "1000000"),
    ("/proc/sys/kernel/core_pattern", "|/usr/lib/systemd/systemd-coredump %P %u"),
    ("/proc/swaps", "Filename Type Size Used Priority\n"),
    ("/proc/irq/default_smp_affinity", "1\n"),
    ("/proc/irq/9/smp_affinity_list", "0\n"),
    ("/proc/irq/9/eth0/x", ""),
    ("/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc"),
    ("/sys/devices/system/cpu/online", "0-1"),
    ("/sys/devices/system/cpu/isolated", "1"),
    ("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave"),
    ("/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance"),
    ("/sys/devices/system/cpu/cpu1/cpuidle/state1/name", "C1"),
    ("/sys/devices/system/cpu/cpu1/cpuidle/state1/latency", "2"),
    ("/sys/devices/system/cpu/cpu1/cpuidle/state1/disable", "0"),
    ("/sys/devices/system/cpu/cpu1/cpuidle/state2/name", "C6"),
    ("/sys/devices/system/cpu/cpu1/cpuidle/state2/latency", "133"),
    ("/sys/devices/system/cpu/cpu1/cpuidle/state2/disable", "1"),
    ("/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "0"),
];

fn started() -> Snapshot {
    Snapshot {
        status: PlcStatus::Started,
        phase: "started".into(),
        release: plc_api::RELEASE.into(),
        ..Snapshot::default()
    }
}

/// The good machine with some files that are otherwise, seen by ann.
fn seen_on(machine: &Machine, socket: &str) -> Seen {
    let (tree, place) = (machine.tree(), Place::of_socket(Path::new(socket)));
    Seen {
        settings: Settings::read(&tree, &place.paths),
        user: User { name: "ann".into(), root: false, groups: vec![1000, 990] },
        runtime: Runtime::Answers { snapshot: Box::new(started()), period_ns: 0, keys: None },
        units: place.service().map(|_| units(UNITS)),
        configuration: Configuration::Good,
        synchronized: Some(true),
        logind: Some(Logind { waits: Duration::from_secs(30), asked_to: true }),
        tree,
        place,
    }
}

const SOCKET: &str = "/run/plc-runtime/api.sock";

fn findings(seen: &Seen) -> Vec<Finding> {
    examine(seen).into_iter().flat_map(|section| section.findings).collect()
}

fn finding(seen: &Seen, topic: &str) -> Finding {
    let all = findings(seen);
    all.iter().find(|finding| finding.topic == topic).cloned().unwrap_or_else(|| {
        let topics: Vec<_> = all.iter().map(|finding| finding.topic).collect();
        unreachable!("no {topic} among {topics:?}")
    })
}

/// The finding on the good machine with these files otherwise.
#[track_caller]
fn otherwise(files: &[(&str, &str)], topic: &str) -> Finding {
    let machine = Machine::new(&[GOOD, files].concat());
    finding(&seen_on(&machine, SOCKET), topic)
}

#[track_caller]
fn assert_found(found: &Finding, verdict: Verdict, value: &str, next: &str) {
    assert_eq!(found.verdict, verdict, "{found:?}");
    assert!(found.value.contains(value), "{found:?}");
    assert!(found.next_step.as_deref().unwrap_or_default().contains(next), "{found:?}");
}

#[test]
fn a_good_machine_has_nothing_to_improve() {
    let machine = Machine::new(GOOD);
    let findings = findings(&seen_on(&machine, SOCKET));
    let bad: Vec<_> = findings.iter().filter(|f| f.verdict != Verdict::Good).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert!(findings.len() >= 20, "{findings:#?}");
}

#[test]
fn an_empty_machine_is_examined_without_a_panic_and_each_fault_has_its_next_step() {
    let machine = Machine::new(&[]);
    for socket in [SOCKET, "/home/ann/plc/run/api.sock"] {
        let mut seen = seen_on(&machine, socket);
        seen.runtime = Runtime::Unreachable("nobody; start it".into());
        seen.units = None;
        for found in findings(&seen) {
            assert_eq!(found.next_step.is_none(), found.verdict == Verdict::Good, "{found:?}");
        }
    }
}

#[test]
fn a_kernel_without_real_time_could_be_better() {
    let version = [("/proc/sys/kernel/version", "#1 SMP PREEMPT_DYNAMIC Debian")];
    assert_found(&otherwise(&version, "kernel"), Verdict::Improve, "not PREEMPT_RT", "apt install");
    let marked = [version[0], ("/sys/kernel/realtime", "1")];
    assert_eq!(otherwise(&marked, "kernel").verdict, Verdict::Good);
}

#[test]
fn a_virtual_machine_and_a_container_are_told() {
    let cpuinfo = [("/proc/cpuinfo", "flags\t\t: fpu hypervisor sse\n")];
    assert_found(&otherwise(&cpuinfo, "machine"), Verdict::Improve, "a virtual machine", "host");
    let container = [("/run/systemd/container", "systemd-nspawn\n")];
    let found = otherwise(&container, "machine");
    assert_found(&found, Verdict::Improve, "a container (systemd-nspawn)", "host");
}

#[test]
fn what_slows_a_processor_of_the_cycle_is_told_and_others_do_not_matter() {
    let governor = format!("{CPU}/cpu1/cpufreq/scaling_governor");
    let found = otherwise(&[(&governor, "schedutil")], "governor");
    assert_found(&found, Verdict::Improve, "schedutil", "performance");
    let sleep = format!("{CPU}/cpu1/cpuidle/state2/disable");
    let found = otherwise(&[(&sleep, "0")], "idle states");
    assert_found(&found, Verdict::Improve, "C6, takes 133 µs", "idle-set -D 50");
    let heat = format!("{CPU}/cpu0/thermal_throttle/core_throttle_count");
    assert_found(&otherwise(&[(&heat, "7")], "heat"), Verdict::Improve, "7 times", "cooling");
    let clock = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let found = otherwise(&[(clock, "hpet")], "clock source");
    assert_found(&found, Verdict::Improve, "hpet", "dmesg");
}

#[test]
fn a_processor_that_is_not_there_is_a_problem_and_a_shared_one_could_be_better() {
    let online = format!("{CPU}/online");
    let found = otherwise(&[(&online, "0")], "processors");
    assert_found(&found, Verdict::Problem, "asks for 1", "realtime");
    let isolated = format!("{CPU}/isolated");
    let found = otherwise(&[(&isolated, "")], "processors");
    assert_found(&found, Verdict::Improve, "run on 1 too", "isolcpus=1");
}

#[test]
fn processors_that_only_the_workers_unit_names_are_the_cycles_too() {
    let kept = UNITS.replace("LimitCORE", "CPUAffinity=1 3-4\nLimitCORE");
    let files = [
        ("/etc/plc-runtime/plc-runtime.toml", "[realtime]\npolicy = \"fifo\"\n"),
        ("/sys/devices/system/cpu/online", "0-4"),
        ("/sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "schedutil"),
    ];
    let machine = Machine::new(&[GOOD, &files].concat());
    let mut seen = seen_on(&machine, SOCKET);
    assert!(seen.scheduled().cpus.is_empty(), "nothing names any");
    seen.units = Some(units(&kept));
    assert_eq!(seen.scheduled().cpus, [1, 3, 4].into());
    let found = finding(&seen, "processors");
    assert_found(&found, Verdict::Improve, "the cycle has 1,3-4", "isolcpus=1,3-4");
    assert_found(&finding(&seen, "governor"), Verdict::Improve, "schedutil", "performance");
    assert_eq!(finding(&seen, "interrupts").value, "none on 1,3-4");
    seen.units = Some(units(&kept.replace("3-4", "9")));
    let found = finding(&seen, "processors");
    let setting = "CPUAffinity= of plc-worker@.service";
    assert_found(&found, Verdict::Problem, &format!("{setting} asks for 9"), setting);
    seen.settings.cpus = [2].into();
    assert_eq!(seen.scheduled().cpus, [2].into(), "the configuration comes after the unit");
}

#[test]
fn interrupts_on_the_cycles_processor_are_named() {
    let found = otherwise(&[("/proc/irq/9/smp_affinity_list", "0-1")], "interrupts");
    assert_found(&found, Verdict::Improve, "may come to 1: 9 eth0", "irqaffinity=0");
    let found = otherwise(&[("/proc/irq/default_smp_affinity", "3")], "interrupts");
    assert_found(&found, Verdict::Improve, "new ones", "irqaffinity=0");
}

#[test]
fn throttling_that_leaves_real_time_nothing_is_a_problem() {
    let runtime = "/proc/sys/kernel/sched_rt_runtime_us";
    assert_found(&otherwise(&[(runtime, "0")], "throttling"), Verdict::Problem, "0 %", "sysctl");
    let found = otherwise(&[(runtime, "500000")], "throttling");
    assert_found(&found, Verdict::Improve, "50 %", "sysctl");
    assert_eq!(otherwise(&[(runtime, "-1")], "throttling").value, "off");
}

#[test]
fn without_real_time_in_the_configuration_that_is_what_could_be_better() {
    let config = [("/etc/plc-runtime/plc-runtime.toml", "")];
    for topic in ["scheduling", "timer slack"] {
        assert_found(&otherwise(&config, topic), Verdict::Improve, "", "policy = \"fifo\"");
    }
    assert_found(&otherwise(&config, "memory lock"), Verdict::Improve, "off", "lock_memory");
}

/// The limits of a process, as the kernel shows them.
fn limits_file(rtprio: &str, memlock: &str) -> String {
    format!(
        "Limit                     Soft Limit           Hard Limit           Units     \n\
         Max core file size        0                    unlimited            bytes     \n\
         Max locked memory         {memlock:20} 8388608              bytes     \n\
         Max realtime priority     {rtprio:20} 0                    \n"
    )
}

#[test]
fn the_running_workers_limits_count_and_not_its_units() {
    let limits = limits_file("10", "8388608");
    let machine = Machine::new(&[GOOD, &[("/proc/77/limits", limits.as_str())]].concat());
    let mut seen = seen_on(&machine, SOCKET);
    assert_eq!(finding(&seen, "priority").verdict, Verdict::Good, "of the unit");
    let snapshot = Snapshot { worker_pid: Some(77), ..started() };
    seen.runtime = Runtime::Answers { snapshot: Box::new(snapshot), period_ns: 0, keys: None };
    let found = finding(&seen, "priority");
    assert_found(&found, Verdict::Problem, "up to 10, 80 is configured", "LimitRTPRIO=98");
    let found = finding(&seen, "memory lock");
    assert_found(&found, Verdict::Problem, "8192 KiB", "LimitMEMLOCK=infinity");
}

#[test]
fn keys_that_do_not_count_or_look_wrong_are_found() {
    let machine = Machine::new(GOOD);
    let mut seen = seen_on(&machine, SOCKET);
    let mut answer = |keys, problems: &[&str]| {
        let problems = problems.iter().map(ToString::to_string).collect();
        let keys = Some(KeyList { keys, problems });
        seen.runtime = Runtime::Answers { snapshot: Box::new(started()), period_ns: 0, keys };
        findings(&seen).into_iter().filter(|one| one.topic == "keys").collect::<Vec<_>>()
    };
    let key = |id: &str, kind, hex_looking| KeyInfo {
        id: id.into(),
        kind,
        source: String::new(),
        since_us: 0,
        hex_looking,
    };
    let device = || key("plc-x", KeyKind::Device, false);
    let good = answer(vec![device()], &[]);
    assert!(matches!(&good[..], [one] if one.verdict == Verdict::Good), "{good:?}");
    let none = answer(vec![key("anna", KeyKind::Client, false)], &[]);
    assert_found(&none[0], Verdict::Improve, "the device has none", "restart plc-runtime");
    let bad = answer(vec![device(), key("anna", KeyKind::Brought, true)], &["a.psk, line 2"]);
    assert_found(&bad[1], Verdict::Improve, "anna looks like hexadecimal", "plcctl psk add anna");
    assert_found(&bad[2], Verdict::Problem, "a.psk, line 2", "plcctl reload");
}

#[test]
fn discovery_is_off_until_a_file_of_it_is_there() {
    let off = finding(&seen_on(&Machine::new(GOOD), SOCKET), "discovery");
    assert!(off.value.contains("apt install avahi-daemon"), "{off:?}");
    let avahi = otherwise(&[("/etc/avahi/services/ssh.service", "")], "discovery");
    assert!(avahi.value.contains("cp /usr/share/plc-runtime/discovery"), "{avahi:?}");
    for on in ["/etc/avahi/services/plc-runtime.service", "/etc/systemd/dnssd/plc-runtime.dnssd"] {
        let found = otherwise(&[(on, "")], "discovery");
        assert!(found.value.starts_with("IDEs find"), "{found:?}");
    }
}

#[test]
fn on_a_desk_the_users_limits_count() {
    let limits = limits_file("0", "unlimited");
    let config = "[realtime]\npolicy = \"rr\"\nlock_memory = true\n";
    let files = [("/d/plc-runtime.toml", config), ("/proc/self/limits", limits.as_str())];
    let machine = Machine::new(&files);
    let seen = seen_on(&machine, "/d/run/api.sock");
    let found = finding(&seen, "priority");
    assert_found(&found, Verdict::Problem, "none, 50 is configured", "ann - rtprio 98");
    assert_eq!(finding(&seen, "memory lock").verdict, Verdict::Good);
    let status = ("/proc/self/status", "Name:\tx\nCapEff:\t0000000000800000\n");
    let machine = Machine::new(&[files[0], files[1], status]);
    let found = finding(&seen_on(&machine, "/d/run/api.sock"), "priority");
    assert_eq!((found.verdict, found.value.as_str()), (Verdict::Good, "this user may have any"));
}

#[test]
fn bounds_of_a_control_group_are_found_above_it_too() {
    let group = "/sys/fs/cgroup/system.slice/cpu.max";
    let found = otherwise(&[(group, "20000 100000")], "processor time");
    assert_found(&found, Verdict::Improve, "20000 of each 100000 µs", "CPUQuota=");
    assert_eq!(otherwise(&[(group, "max 100000")], "processor time").verdict, Verdict::Good);
    let old = [("/sys/fs/cgroup/cpu/system.slice/cpu.rt_runtime_us", "0")];
    assert_found(&otherwise(&old, "processor time"), Verdict::Problem, "denied", "slice");
}

#[test]
fn a_machine_that_falls_asleep_before_the_plc_has_stopped_is_a_problem() {
    let config = |ms| format!("[plc]\nstop_timeout_ms = {ms}\n");
    let file = "/etc/plc-runtime/plc-runtime.toml.d/stop.toml";
    let found = otherwise(&[(file, &config(60_000))], "sleep");
    assert_found(&found, Verdict::Problem, "waits 30 s", "InhibitDelayMaxSec=75");
    assert_eq!(otherwise(&[(file, &config(15_000))], "sleep").verdict, Verdict::Good);
}

#[test]
fn a_runtime_that_logind_does_not_wait_for_is_a_problem_and_one_that_is_away_is_not() {
    let machine = Machine::new(GOOD);
    let mut seen = seen_on(&machine, SOCKET);
    seen.logind = Some(Logind { waits: Duration::from_secs(30), asked_to: false });
    assert_found(&finding(&seen, "sleep"), Verdict::Problem, "does not wait", "systemd-logind");
    seen.runtime = Runtime::Unreachable("nobody; start it".into());
    assert_eq!(finding(&seen, "sleep").verdict, Verdict::Good);
    seen.logind = None;
    assert!(findings(&seen).iter().all(|finding| finding.topic != "sleep"));
}

#[test]
fn core_dumps_are_told_where_they_go() {
    let pattern = "/proc/sys/kernel/core_pattern";
    let found = otherwise(&[(pattern, "core")], "core dumps");
    assert_found(&found, Verdict::Improve, "/var/lib/plc-work/core", "systemd-coredump");
    let none = UNITS.replace("LimitCORE=infinity", "LimitCORE=0");
    let machine = Machine::new(&[GOOD, &[(pattern, "core")]].concat());
    let mut seen = seen_on(&machine, SOCKET);
    seen.units = Some(units(&none));
    assert_found(&finding(&seen, "core dumps"), Verdict::Improve, "none", "LimitCORE=");
}

#[test]
fn swap_matters_unless_memory_is_locked() {
    let swap = ("/proc/swaps", "Filename Type\n/dev/sda2 partition\n");
    assert_eq!(otherwise(&[swap], "swap").verdict, Verdict::Good);
    let config = ("/etc/plc-runtime/plc-runtime.toml", "");
    assert_found(&otherwise(&[swap, config], "swap"), Verdict::Improve, "swapped", "swapoff");
}

#[test]
fn a_service_that_does_not_run_is_one_problem_with_the_way_to_start_it() {
    let machine = Machine::new(GOOD);
    let mut seen = seen_on(&machine, SOCKET);
    seen.runtime = Runtime::Unreachable("nobody; start it".into());
    let stopped = "ActiveState=inactive\nUnitFileState=disabled";
    seen.units =
        Some(units(&UNITS.replacen("ActiveState=active\nUnitFileState=enabled", stopped, 1)));
    let found = finding(&seen, "service");
    assert_found(&found, Verdict::Problem, "stopped", "systemctl start plc-runtime");
    let found = finding(&seen, "at boot");
    assert_found(&found, Verdict::Improve, "does not start", "systemctl enable plc-runtime");
    assert!(!findings(&seen).iter().any(|finding| finding.topic == "answers"));
}

#[test]
fn sockets_that_nobody_listens_at_are_told() {
    let machine = Machine::new(GOOD);
    let mut seen = seen_on(&machine, SOCKET);
    let dead = "LoadState=loaded\nActiveState=inactive";
    seen.units = Some(units(
        &UNITS.replace("LoadState=loaded\nActiveState=active\n\n", &format!("{dead}\n\n")),
    ));
    let found = finding(&seen, "worker socket");
    assert_found(&found, Verdict::Problem, "/run/plc-worker", "systemctl start plc-worker.socket");
    let last = UNITS.rfind("ActiveState=active").unwrap();
    let none = format!("{}ActiveState=inactive\n", UNITS.get(..last).unwrap());
    seen.units = Some(units(&none));
    let found = finding(&seen, "IDE ports");
    assert_found(&found, Verdict::Improve, "no IDE", "enable --now plc-connector-pyro.socket");
}

#[test]
fn who_is_not_in_the_group_is_told_how_to_get_in() {
    let machine = Machine::new(GOOD);
    let mut seen = seen_on(&machine, SOCKET);
    seen.user = User { name: "eve".into(), root: false, groups: vec![1001] };
    let found = finding(&seen, "group plc");
    assert_found(&found, Verdict::Improve, "no member", "sudo adduser eve plc");
    seen.user.name = "bob".into();
    assert_found(&finding(&seen, "group plc"), Verdict::Improve, "not yet", "log out");
}

#[test]
fn crash_upgrade_and_a_broken_program_are_told() {
    let machine = Machine::new(GOOD);
    let mut seen = seen_on(&machine, SOCKET);
    let crash = Crash { reason: "killed by SIGSEGV".into(), ..Crash::default() };
    let mut snapshot =
        Snapshot { upgrade_waits: true, crashes: 2, last_crash: Some(crash), ..started() };
    seen.runtime =
        Runtime::Answers { snapshot: Box::new(snapshot.clone()), period_ns: 0, keys: None };
    let found = finding(&seen, "upgrade");
    assert_found(&found, Verdict::Improve, "new version waits", "systemctl restart plc-runtime");
    assert_found(&finding(&seen, "program"), Verdict::Improve, "killed by SIGSEGV", "plcctl log");
    snapshot.status = PlcStatus::Broken;
    snapshot.reason = Some("startPLC returned 1".into());
    seen.runtime = Runtime::Answers { snapshot: Box::new(snapshot), period_ns: 0, keys: None };
    assert_found(&finding(&seen, "program"), Verdict::Problem, "returned 1", "plcctl start");
}

#[test]
fn a_bad_configuration_is_a_problem_and_one_that_cannot_be_read_is_not() {
    let machine = Machine::new(GOOD);
    let mut seen = seen_on(&machine, SOCKET);
    seen.configuration = Configuration::Bad("a.toml: plc.x = 5: must be 7".into());
    let found = finding(&seen, "configuration");
    assert_found(&found, Verdict::Problem, "must be 7", "plcctl reload");
    seen.runtime = Runtime::Unreachable("ann is not in the group plc".into());
    let found = finding(&seen, "configuration");
    assert_found(&found, Verdict::Problem, "must be 7", "plcctl reload");
    seen.units = Some(units(&UNITS.replacen("=active", "=failed", 1)));
    let found = finding(&seen, "configuration");
    assert_found(&found, Verdict::Problem, "must be 7", "then: systemctl start plc-runtime");
    seen.configuration = Configuration::NotAsked("closed".into());
    let found = finding(&seen, "configuration");
    assert_found(&found, Verdict::Unknown, "closed", "--check-config");
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every member does what its description says, and is there as it is described.

use std::{fs, path::Path, process::Command};

use plc_tests::{
    api::MD5,
    bus::{Bus, INTERFACE, NAME, PATH, until},
    programs,
};

const NONE: &str = "/dev/null";

type LogMessage = (u32, u64, u32, String);

#[tokio::test]
async fn a_program_is_installed_started_looked_at_stopped_and_forgotten() {
    let bus = Bus::with_supervisor("").await;
    let plc = bus.plc().await;
    assert_eq!(plc.get::<String>("Status").await, "Empty");
    assert_eq!(plc.get::<String>("Version").await, plc_api::RELEASE);
    let extra = bus.place("extra");
    fs::create_dir(&extra).unwrap();
    fs::write(extra.join("recipe.csv"), "1;2").unwrap();
    let id = plc.install(&programs::built("good"), MD5, &extra).await.unwrap();
    assert_eq!(plc.get::<String>("Status").await, "Stopped");
    assert_eq!(plc.get::<String>("ProgramId").await, id);
    assert_eq!(plc.get::<String>("ProgramMd5").await, MD5);
    assert!(plc.get::<u64>("ProgramSince").await > 1_600_000_000_000_000);
    assert_eq!(plc.get::<u64>("StartedAt").await, 0);

    plc.order("Start").await.unwrap();
    assert_eq!(plc.get::<String>("Status").await, "Started");
    assert!(plc.get::<u64>("StartedAt").await > plc.get::<u64>("ProgramSince").await);
    let worker = plc.get::<u32>("WorkerPid").await;
    assert!(Path::new(&format!("/proc/{worker}")).exists());
    assert_eq!(fs::read_to_string(bus.paths().work_dir.join("recipe.csv")).unwrap(), "1;2");
    until("cycles", async || (plc.get::<u64>("Ticks").await > 500).then_some(())).await;
    let (least, mean, most): (f64, f64, f64) = plc.get("CycleTime").await;
    assert!(least <= mean && mean <= most && most > 0.0, "{least} {mean} {most}");
    let log: Vec<LogMessage> = plc.call("GetLog", &(2_u8, 0_u32, 10_u32)).await.unwrap();
    assert_eq!((log[0].0, log[0].3.as_str()), (0, "started"));

    plc.order("Stop").await.unwrap();
    plc.order("Stop").await.unwrap();
    assert_eq!(plc.get::<String>("Status").await, "Stopped");
    plc.order("ResetLog").await.unwrap();
    let log: Vec<LogMessage> = plc.call("GetLog", &(2_u8, 0_u32, 10_u32)).await.unwrap();
    assert!(log.is_empty(), "{log:?}");
    plc.order("Repair").await.unwrap();
    assert_eq!(plc.get::<String>("Status").await, "Empty");
    assert_eq!(plc.get::<String>("ProgramId").await, "");
    plc.order("Rollback").await.unwrap();
    assert_eq!(plc.get::<String>("ProgramId").await, id);
}

#[tokio::test]
async fn pairing_is_opened_and_ends_by_itself_and_root_is_shown_a_key() {
    let bus = Bus::with_supervisor("").await;
    let plc = bus.plc().await;
    assert_eq!(plc.get::<u64>("PairingUntil").await, 0);
    let id: String = plc.call("Pair", &60_u32).await.unwrap();
    let until_then = plc.get::<u64>("PairingUntil").await;
    assert!(until_then > 1_600_000_000_000_000);
    let secret: String = plc.call("ShowKey", &id).await.unwrap();
    let [own, _] = bus.paths().key_dirs();
    let file = fs::read_to_string(own.join("device.psk")).unwrap();
    assert_eq!(file, format!("{id}:{secret}\n"));
    let nobody = plc.call::<_, String>("ShowKey", &"nobody").await.unwrap_err();
    assert_eq!(nobody.kind, "Refused");
    for seconds in [0_u32, 3601] {
        let refused = plc.call::<_, String>("Pair", &seconds).await.unwrap_err();
        assert_eq!(refused.kind, "BadRequest", "{refused:?}");
    }
    let _: String = plc.call("Pair", &1_u32).await.unwrap();
    until("the end", async || (plc.get::<u64>("PairingUntil").await == 0).then_some(())).await;
}

#[tokio::test]
async fn the_configuration_is_read_again_or_the_mistake_in_it_is_named() {
    let bus = Bus::with_supervisor("").await;
    let plc = bus.plc().await;
    plc.order("Reload").await.unwrap();
    fs::write(bus.paths().config_file, "[plc]\nstop_timeout_ms = 5\n").unwrap();
    let refused = plc.order("Reload").await.unwrap_err();
    assert_eq!(refused.kind, "Failed");
    assert!(refused.text.contains("plc.stop_timeout_ms = 5"), "{refused:?}");
}

#[tokio::test]
async fn extra_files_come_in_a_tar_and_the_md5_is_that_of_the_file_if_none_is_given() {
    let bus = Bus::with_supervisor("").await;
    let plc = bus.plc().await;
    let files = bus.place("files");
    fs::create_dir(&files).unwrap();
    let long = "n".repeat(200);
    fs::write(files.join("a.txt"), "A").unwrap();
    fs::write(files.join(&long), "long").unwrap();
    for format in ["gnu", "pax"] {
        let archive = bus.place(&format!("{format}.tar"));
        let made = Command::new("tar")
            .args(["--format", format, "-C"])
            .arg(&files)
            .arg("-cf")
            .arg(&archive)
            .arg(".")
            .status();
        assert!(made.unwrap().success());
        plc.install(&programs::built("good"), "", &archive).await.unwrap();
        let md5 = Command::new("md5sum").arg(programs::built("good")).output().unwrap().stdout;
        let md5 = String::from_utf8(md5).unwrap();
        assert_eq!(plc.get::<String>("ProgramMd5").await, md5[..32]);
        plc.order("Start").await.unwrap();
        let work = bus.paths().work_dir;
        assert_eq!(fs::read_to_string(work.join("a.txt")).unwrap(), "A");
        assert_eq!(fs::read_to_string(work.join(&long)).unwrap(), "long");
        plc.order("Stop").await.unwrap();
    }
}

#[tokio::test]
async fn each_kind_of_refusal_has_its_name_and_says_why() {
    let bus = Bus::with_supervisor("").await;
    let plc = bus.plc().await;
    let good = programs::built("good");
    let none = Path::new(NONE);
    let refused = plc.order("Start").await.unwrap_err();
    assert_eq!((refused.kind.as_str(), refused.text.is_empty()), ("Refused", false));
    let refused = plc.order("Rollback").await.unwrap_err();
    assert_eq!(refused.kind, "Refused", "{refused:?}");
    let refused = plc.call::<_, Vec<LogMessage>>("GetLog", &(9_u8, 0_u32, 1_u32)).await;
    assert!(refused.is_err_and(|r| r.kind == "BadRequest" && r.text.contains("0 (critical)")));
    let refused = plc.install(&good, "short", none).await.unwrap_err();
    assert_eq!(refused.kind, "BadRequest");
    assert!(refused.text.contains("32 hexadecimal digits"), "{refused:?}");
    let refused = plc.install(Path::new("/dev/zero"), MD5, none).await.unwrap_err();
    assert_eq!(refused.kind, "BadRequest");
    assert!(refused.text.contains("regular file"), "{refused:?}");
    let refused = plc.install(&good, MD5, &good).await.unwrap_err();
    assert_eq!(refused.kind, "BadRequest");
    assert!(refused.text.contains("not compressed"), "{refused:?}");
    let refused = plc.install(&programs::built("missing_symbol"), MD5, none).await.unwrap_err();
    assert_eq!(refused.kind, "Failed");
    assert!(refused.text.contains("startPLC"), "{refused:?}");
    plc.install(&good, MD5, none).await.unwrap();
    plc.order("Start").await.unwrap();
    let refused = plc.install(&good, MD5, none).await.unwrap_err();
    assert_eq!(refused.kind, "Refused", "{refused:?}");
    let left = fs::read_dir(bus.paths().state_dir.join("transfer")).unwrap().count();
    assert_eq!(left, 0, "files of refused transfers");
}

#[tokio::test]
async fn the_interface_is_the_one_that_is_described() {
    let bus = Bus::with_supervisor("").await;
    let described = plc_tests::root().join("systemd/dbus/org.plcruntime1.Plc.xml");
    let mut busctl = Command::new("busctl");
    busctl.arg(format!("--address={}", bus.address()));
    let output =
        busctl.args(["introspect", "--xml-interface", NAME, PATH]).output().expect("busctl");
    assert!(output.status.success(), "{output:?}");
    let served = bus.place("served.xml");
    fs::write(&served, output.stdout).unwrap();
    let (described, served) = (canonical(&described), canonical(&served));
    assert_eq!(described, served);
}

/// Our interface in the one way in which it can be written, without comments.
fn canonical(xml: &Path) -> String {
    const SCRIPT: &str = "
import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
interface, = [one for one in root.iter('interface') if one.get('name') == sys.argv[2]]
interface[:] = sorted(interface, key=lambda one: (one.tag, one.get('name')))
text = tree.tostring(interface, encoding='unicode')
print(tree.canonicalize(text, strip_text=True).replace('><', '>\\n<'))
";
    let output = Command::new("python3").args(["-c", SCRIPT]).arg(xml).arg(INTERFACE).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

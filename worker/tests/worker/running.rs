// SPDX-License-Identifier: MIT OR Apache-2.0
//! A well-behaved program: loading, running, tracing, forcing, logging.

use plc_api::{
    log::LogLevel,
    trace::{TraceRefusal, TraceSample},
};
use plc_worker_link::{Data, LINK_VERSION, Loaded, Order, Outcome, Realtime, SchedulingPolicy};

use crate::harness::{Plant, Worker};

const ALL: [(u32, Option<&[u8]>); 20] = {
    let mut list: [(u32, Option<&[u8]>); 20] = [(0, None); 20];
    let mut index = 0;
    while index < 20 {
        list[index as usize].0 = index;
        index += 1;
    }
    list
};

#[test]
fn the_hello_says_who_it_is() {
    let plant = Plant::new();
    let worker = plant.worker();
    assert_eq!(worker.hello.link_version, LINK_VERSION);
    assert_eq!(worker.hello.release, plc_api::RELEASE);
    assert_eq!(i32::try_from(worker.hello.pid).unwrap(), worker.pid().as_raw_nonzero().get());
}

#[test]
fn a_loaded_program_says_what_it_can() {
    let plant = Plant::new();
    let mut worker = plant.worker();
    let loaded = worker.load(plant.fixture("good"));
    assert_eq!(
        loaded,
        Loaded {
            period_ns: 1_000_000,
            traceable: true,
            logs: true,
            wants_python: false,
            time_bytes: u8::try_from(2 * size_of::<std::ffi::c_long>()).unwrap(),
        }
    );
    assert_eq!(worker.beat().tick, None);
    worker.start();
    worker.stop();
}

#[test]
fn orders_out_of_place_are_told_so() {
    let plant = Plant::new();
    let mut worker = plant.worker();
    assert!(matches!(worker.order(Order::Start), Outcome::Misplaced(_)));
    worker.load(plant.fixture("good"));
    let again = Order::Load(Box::new(plant.fixture("lockstep")));
    assert!(matches!(worker.order(again), Outcome::Misplaced(_)));
    let refused = Outcome::TraceRefused(TraceRefusal::NotPossible);
    assert_eq!(worker.trace(&[(0, None)]), refused);
    assert_eq!(worker.order(Order::ResumeTrace), refused);
    assert_eq!(worker.order(Order::PauseTrace), Outcome::Done);
    worker.start();
    assert!(matches!(worker.order(Order::Start), Outcome::Misplaced(_)));
    worker.stop();
}

#[test]
fn beats_carry_the_program_s_tick() {
    let plant = Plant::new();
    let mut worker = plant.running("good");
    let first = loop {
        if let Some(tick) = worker.beat().tick {
            break tick;
        }
    };
    let mut last = worker.beat();
    while last.tick <= Some(first) {
        last = worker.beat();
    }
    assert!(last.at_ns > 0);
    worker.stop();
}

/// Takes values off the front of a sample.
struct Values<'a>(&'a [u8]);

impl Values<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (value, rest) = self.0.split_first_chunk().unwrap();
        self.0 = rest;
        *value
    }

    fn time(&mut self) -> (i64, i64) {
        let mut long = || match size_of::<std::ffi::c_long>() {
            8 => i64::from_ne_bytes(self.take()),
            _ => i32::from_ne_bytes(self.take()).into(),
        };
        (long(), long())
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "computes what C computes"
)]
fn check_all_types(sample: &TraceSample) {
    let tick = sample.tick;
    let wide = u64::from(tick);
    let mut values = Values(&sample.data);
    assert_eq!(values.take(), [(tick & 1) as u8], "BOOL");
    assert_eq!(values.take(), [tick as u8], "SINT");
    assert_eq!(values.take(), [tick as u8], "USINT");
    assert_eq!(values.take(), [!tick as u8], "BYTE");
    assert_eq!(i16::from_ne_bytes(values.take()), tick.wrapping_mul(3) as i16, "INT");
    assert_eq!(u16::from_ne_bytes(values.take()), tick.wrapping_mul(5) as u16, "UINT");
    assert_eq!(u16::from_ne_bytes(values.take()), !tick as u16, "WORD");
    assert_eq!(i32::from_ne_bytes(values.take()), -(tick as i32), "DINT");
    assert_eq!(u32::from_ne_bytes(values.take()), tick, "UDINT");
    assert_eq!(u32::from_ne_bytes(values.take()), !tick, "DWORD");
    assert_eq!(values.take(), (tick as f32 * 0.5).to_ne_bytes(), "REAL");
    assert_eq!(i64::from_ne_bytes(values.take()), i64::from(tick) * -1000, "LINT");
    assert_eq!(u64::from_ne_bytes(values.take()), wide * 1000, "ULINT");
    assert_eq!(u64::from_ne_bytes(values.take()), !wide, "LWORD");
    assert_eq!(values.take(), (f64::from(tick) * 0.25).to_ne_bytes(), "LREAL");
    let tick = i64::from(tick);
    assert_eq!(values.time(), (tick / 1000, tick % 1000 * 1_000_000), "TIME");
    assert_eq!(values.time(), (tick % 20_000 * 86_400, 0), "DATE");
    assert_eq!(values.time(), (tick % 86_400, 0), "TOD");
    assert_eq!(values.time(), (tick, tick % 1000), "DT");
    let text = format!("tick {tick}");
    assert_eq!(values.take(), [text.len() as u8], "STRING length");
    assert_eq!(values.0, text.as_bytes(), "STRING");
}

#[test]
fn every_type_is_traced_as_it_was_at_the_sample_s_tick() {
    let plant = Plant::new();
    let mut worker = plant.running("good");
    let samples = worker.traced(&ALL, 200);
    samples.iter().for_each(check_all_types);
    assert!(samples.is_sorted_by(|a, b| a.tick < b.tick));
    worker.stop();
}

#[test]
fn no_tick_is_missing_while_the_program_waits_for_its_reader() {
    let plant = Plant::new();
    let mut worker = plant.running("lockstep");
    let samples = worker.traced(&[(0, None)], 3000);
    for pair in samples.windows(2) {
        assert_eq!(pair[1].tick, pair[0].tick + 1);
    }
    for sample in &samples {
        assert_eq!(sample.data, sample.tick.to_ne_bytes());
    }
    worker.stop();
}

#[test]
fn a_forced_value_stays_until_a_list_without_it() {
    let plant = Plant::new();
    let mut worker = plant.running("good");
    let forced = 1234_i32.to_ne_bytes();
    for sample in worker.traced(&[(7, Some(&forced)), (8, None)], 20) {
        assert_eq!(sample.data[..4], forced);
        assert_eq!(sample.data[4..], sample.tick.to_ne_bytes());
    }
    assert_eq!(worker.order(Order::PauseTrace), Outcome::Done);
    assert_eq!(worker.order(Order::ResumeTrace), Outcome::Done);
    assert_eq!(worker.samples(1)[0].data[..4], forced, "a pause keeps forces");
    // The library lets the value go at the next cycle's assignment.
    let freed = worker.traced(&[(7, None), (8, None)], 20);
    assert_ne!(freed[19].data[..4], forced);
    worker.stop();
}

#[test]
fn a_string_is_forced_as_a_whole() {
    let plant = Plant::new();
    let mut worker = plant.running("good");
    let mut forced = [0; 127];
    forced[..3].copy_from_slice(b"\x02hi");
    let samples = worker.traced(&[(19, Some(&forced))], 5);
    assert_eq!(samples[4].data, b"\x02hi");
    worker.stop();
}

#[test]
fn samples_of_two_lists_are_parted_by_an_empty_message() {
    let plant = Plant::new();
    let mut worker = plant.running("good");
    worker.traced(&[(8, None)], 10);
    for round in 0..20 {
        let (index, size) = if round % 2 == 0 { (11, 8) } else { (4, 2) };
        let samples = worker.traced(&[(index, None)], 3);
        assert!(samples.iter().all(|sample| sample.data.len() == size));
    }
    worker.stop();
}

#[test]
fn an_empty_list_ends_tracing_and_forces() {
    let plant = Plant::new();
    let mut worker = plant.running("good");
    let forced = 5_u32.to_ne_bytes();
    worker.traced(&[(8, Some(&forced))], 2);
    assert_eq!(worker.trace(&[]), Outcome::Done);
    while worker.data() != Some(Data::Trace(Vec::new())) {}
    let samples = worker.traced(&[(8, None)], 5);
    assert_eq!(samples[4].data, samples[4].tick.to_ne_bytes());
    worker.stop();
}

#[test]
fn a_force_of_the_wrong_size_is_refused() {
    let plant = Plant::new();
    let mut worker = plant.running("good");
    for size in [1, 4, 8, 16, 127, 500] {
        let force = vec![0; size];
        assert_eq!(
            worker.trace(&[(0, None), (4, Some(&force))]),
            Outcome::TraceRefused(TraceRefusal::ForceSize),
            "{size} bytes for an INT"
        );
    }
    let forced = 7_i16.to_ne_bytes();
    assert_eq!(worker.traced(&[(4, Some(&forced))], 1)[0].data, forced);
    worker.stop();
}

#[test]
fn more_than_the_program_can_hold_is_refused() {
    let plant = Plant::new();
    let mut worker = plant.running("good");
    assert_eq!(worker.trace(&[(0, None); 1024]), Outcome::Done);
    let refused = Outcome::TraceRefused(TraceRefusal::TooManyTraced);
    assert_eq!(worker.trace(&[(0, None); 1025]), refused);
    assert_eq!(worker.trace(&vec![(0, None); 5000]), refused);
    assert_eq!(
        worker.trace(&[(0, Some([1].as_slice())); 257]),
        Outcome::TraceRefused(TraceRefusal::TooManyForced)
    );
    worker.stop();
}

#[test]
fn an_index_that_does_not_exist_is_accepted() {
    let plant = Plant::new();
    let mut worker = plant.running("good");
    let samples = worker.traced(&[(8, None), (9999, None)], 1);
    assert_eq!(samples[0].data.len(), 4);
    worker.stop();
}

#[test]
fn the_program_s_log_arrives_with_level_and_time() {
    let plant = Plant::new();
    let mut worker = plant.running("good");
    assert_eq!(worker.logged("started"), LogLevel::Info);
    assert_eq!(worker.logged("another 1000 ticks"), LogLevel::Debug);
    worker.stop();
}

#[test]
fn what_is_logged_while_stopping_still_arrives() {
    let plant = Plant::new();
    let mut worker = plant.running("stopmark");
    assert_eq!(worker.order(Order::Stop), Outcome::Stopped);
    worker.logged("stopping");
}

#[test]
fn a_cycle_that_hangs_shows_in_the_beats_and_can_be_stopped() {
    let plant = Plant::new();
    let mut worker = plant.running("hang_cycle");
    worker.logged("before the fault");
    let first = worker.beat();
    let mut later = worker.beat();
    while later.program_cpu_ns <= first.program_cpu_ns {
        later = worker.beat();
    }
    assert_eq!(worker.beat().tick, later.tick, "the tick stands still");
    worker.stop();
}

#[test]
fn the_sample_program_has_the_variables_of_its_table() {
    let plant = Plant::new();
    let mut worker = plant.running("../../supervisor/local/sample/sample");
    worker.logged("the plant is ready");
    let table = include_str!("../../../supervisor/local/sample/VARIABLES.csv");
    let mut size = 0;
    let mut list = Vec::new();
    for (index, line) in table.lines().skip(1).enumerate() {
        let fields: Vec<&str> = line.split(';').collect();
        assert_eq!(fields[0], index.to_string());
        list.push((u32::try_from(index).unwrap(), None));
        size += match fields[2] {
            "BOOL" => 1,
            "DINT" | "REAL" => 4,
            "LREAL" => 8,
            "TIME" => 2 * size_of::<std::ffi::c_long>(),
            "STRING" => 1,
            other => panic!("{other}"),
        };
    }
    let sample = &worker.traced(&list, 3)[2];
    let text = ["filling", "draining", "idle"]
        .into_iter()
        .find(|state| sample.data.windows(state.len()).any(|part| part == state.as_bytes()))
        .expect("a state in words");
    assert_eq!(sample.data.len(), size + text.len());
    assert_eq!(worker.order(Order::Stop), Outcome::Stopped);
    worker.logged("the plant is at rest");
}

#[test]
fn real_time_is_for_the_program_and_its_reader_alone_or_denied_with_a_remedy() {
    let plant = Plant::new();
    let mut worker = plant.worker();
    let mut order = plant.fixture("good");
    order.realtime = Realtime {
        policy: SchedulingPolicy::Fifo,
        priority: 20,
        stack_size_bytes: Some(512 << 10),
        timer_slack_ns: Some(1),
        ..Realtime::default()
    };
    worker.load(order);
    worker.start();
    worker.traced(&[(8, None)], 1);
    let denied = worker.notices.iter().any(|(_, text)| text.contains("LimitRTPRIO="));
    let mut priorities: Vec<u32> = real_time_priorities(&worker);
    priorities.sort_unstable();
    assert_eq!(priorities, if denied { vec![] } else { vec![19, 20] });
    worker.stop();
}

/// Priorities of the threads in `SCHED_FIFO` (proc(5): fields 40 and 41 of stat).
fn real_time_priorities(worker: &Worker) -> Vec<u32> {
    let tasks = format!("/proc/{}/task", worker.pid().as_raw_nonzero());
    std::fs::read_dir(tasks)
        .unwrap()
        .filter_map(|task| {
            let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).ok()?;
            let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
            (fields[38] == "1").then(|| fields[37].parse().unwrap())
        })
        .collect()
}

#[test]
fn memory_is_locked_or_that_is_denied_with_a_remedy() {
    let plant = Plant::new();
    let mut worker = plant.worker();
    let mut order = plant.fixture("good");
    order.realtime.lock_memory = true;
    worker.load(order);
    worker.start();
    let denied = worker.notices.iter().any(|(_, text)| text.contains("LimitMEMLOCK="));
    let status = format!("/proc/{}/status", worker.pid().as_raw_nonzero());
    let status = std::fs::read_to_string(status).unwrap();
    let locked = status.lines().find(|line| line.starts_with("VmLck:")).unwrap();
    assert_eq!(locked.ends_with("\t       0 kB"), denied, "{locked}");
    worker.stop();
}

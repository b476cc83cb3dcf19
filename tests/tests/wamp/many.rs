// SPDX-License-Identifier: MIT OR Apache-2.0
//! A fleet at one router. How large one can be is told by `make bench`.

use std::{
    collections::HashSet,
    time::{SystemTime, UNIX_EPOCH},
};

use plc_tests::{
    ide::{Generation, Ide},
    wamp::{
        fleet::Fleet,
        router::{OPEN, Router},
    },
};
use serde_json::{Value, json};

const SIZE: usize = 30;

fn now_us() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

/// All answer.
fn ask(router: &Router, fleet: &Fleet) {
    let mut ide = Ide::with_uri(Generation::Wamp, &router.uri(OPEN, "plc0"), &[]);
    let answers = ide.send(&json!({ "each": fleet.ids(), "call": "GetPLCstatus" })).unwrap();
    let empty = json!(["Empty", [0, 0, 0, 0]]);
    assert_eq!(answers, Value::Array(vec![empty; SIZE]));
}

#[test]
fn a_fleet_answers_and_comes_back_after_the_router_but_not_all_of_it_in_the_same_second() {
    let mut router = Router::start();
    let fleet = Fleet::start(&router, SIZE, "max_delay_s = 3\n");
    let _ = fleet.wait_ready_since(0);
    ask(&router, &fleet);
    let killed = now_us();
    router.start_again();
    let back = fleet.wait_ready_since(killed);
    ask(&router, &fleet);
    let seconds: HashSet<u64> =
        back.iter().map(|link| (link.since_us - killed) / 1_000_000).collect();
    assert!(seconds.len() > 1, "all came back {seconds:?} s after the router's end");
}

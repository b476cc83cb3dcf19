// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two networks of their own, one for the router and one for the PLC, and a cable between them that can be cut.

use std::{
    fs,
    net::Ipv4Addr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::PATIENCE;

/// Where the router is.
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Where the PLC is.
const PLC: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// What both ends of the cable are called.
const CABLE: &str = "cable";

/// The two networks. Dropping it lets go of them.
#[derive(Debug)]
pub struct Network {
    router: Place,
    plc: Place,
}

/// A network namespace, held by a process that ends with the test, however that ends: its input does.
#[derive(Debug)]
struct Place(Child);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Network {
    /// Makes them, for root alone.
    ///
    /// # Panics
    /// It cannot; says why.
    #[must_use]
    pub fn new() -> Self {
        let root = rustix::process::geteuid().is_root();
        assert!(root, "networks are made by root: run this test as root");
        let made = Self { router: Place::new(), plc: Place::new() };
        let other = made.plc.0.id().to_string();
        let ends = ["type", "veth", "peer", "name", CABLE, "netns", &other];
        made.router.run("ip", &[&["link", "add", CABLE][..], &ends[..]].concat());
        for (place, address) in [(&made.router, ROUTER), (&made.plc, PLC)] {
            place.run("ip", &["address", "add", &format!("{address}/24"), "dev", CABLE]);
            place.run("ip", &["link", "set", "lo", "up"]);
            place.run("ip", &["link", "set", CABLE, "up"]);
        }
        made
    }

    /// The command in front of what is to run where the router is.
    #[must_use]
    pub fn at_the_router(&self) -> Vec<String> {
        self.router.enter()
    }

    /// The command in front of what is to run where the PLC is.
    #[must_use]
    pub fn at_the_plc(&self) -> Vec<String> {
        self.plc.enter()
    }

    /// From now on everything that either end sends is lost, and neither is told.
    pub fn cut(&self) {
        for place in [&self.router, &self.plc] {
            // sch_blackhole: part of every kernel that can shape traffic.
            place.run("tc", &["qdisc", "replace", "dev", CABLE, "root", "blackhole"]);
        }
    }

    /// Makes it whole again.
    pub fn mend(&self) {
        for place in [&self.router, &self.plc] {
            place.run("tc", &["qdisc", "delete", "dev", CABLE, "root"]);
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    fn new() -> Self {
        let holder = Command::new("unshare").args(["--net", "cat"]).stdin(Stdio::piped()).spawn();
        let place = Self(holder.expect("run `scripts/need test`"));
        let network = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let begin = Instant::now();
        while network(&place.0.id().to_string()) == network("self") {
            assert!(begin.elapsed() < PATIENCE, "unshare makes no network");
            std::thread::sleep(Duration::from_millis(5));
        }
        place
    }

    fn enter(&self) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--net=/proc/{}/ns/net", self.0.id())]
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let line = self.enter();
        let output = Command::new(&line[0]).args(&line[1..]).arg(program).args(arguments).output();
        let output = output.expect("run `scripts/need test`");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {words}");
    }
}

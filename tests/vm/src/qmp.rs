// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU's own control channel, one JSON object a line (QEMU Machine Protocol).

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
};

use serde_json::{Value, json};

use crate::PATIENCE;

/// The channel, and what happened meanwhile.
#[derive(Debug)]
pub(crate) struct Qmp {
    stream: BufReader<UnixStream>,
    events: Vec<String>,
}

impl Qmp {
    pub(crate) fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let mut qmp = Self { stream: BufReader::new(stream), events: Vec::new() };
        assert!(qmp.read().get("QMP").is_some(), "QEMU greets");
        qmp.execute("qmp_capabilities");
        qmp
    }

    /// Has a command without arguments carried out.
    pub(crate) fn execute(&mut self, command: &str) {
        let line = format!("{}\n", json!({ "execute": command }));
        self.stream.get_mut().write_all(line.as_bytes()).expect("QEMU listens");
        loop {
            let answer = self.read();
            assert!(answer.get("error").is_none(), "{command}: {answer}");
            if answer.get("return").is_some() {
                return;
            }
            self.note(&answer);
        }
    }

    /// Waits for the next event of this name.
    pub(crate) fn await_event(&mut self, name: &str) {
        while !self.events.iter().any(|event| event == name) {
            let event = self.read();
            self.note(&event);
        }
        self.events.clear();
    }

    fn note(&mut self, message: &Value) {
        self.events.extend(message["event"].as_str().map(str::to_owned));
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("QEMU speaks");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }
}

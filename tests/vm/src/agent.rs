// SPDX-License-Identifier: MIT OR Apache-2.0
//! The conversation with `guest/agent`, which runs scripts in the machine.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use crate::{Output, PATIENCE};

/// How often a read returns, so that a machine that is gone is noticed.
const TICK: Duration = Duration::from_millis(500);

/// One end of the port.
#[derive(Debug)]
pub(crate) struct Agent {
    stream: BufReader<UnixStream>,
}

impl Agent {
    pub(crate) fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(TICK)).expect("a socket");
        Self { stream: BufReader::new(stream) }
    }

    /// Waits until the machine is far enough to run scripts. `alive` panics when there is no use in waiting.
    pub(crate) fn await_ready(&mut self, mut alive: impl FnMut()) {
        // Firmware and kernel say nothing here; what is not the agent's is its terminal settling.
        while self.line(PATIENCE, &mut alive).expect("the machine's port").trim() != "ready" {}
    }

    /// Runs a script.
    pub(crate) fn run(&mut self, script: &[u8], patience: Duration) -> io::Result<Output> {
        self.send(script)?;
        self.answer(patience)
    }

    /// Has a script run.
    pub(crate) fn send(&mut self, script: &[u8]) -> io::Result<()> {
        let mut message = format!("{}\n", script.len()).into_bytes();
        message.extend_from_slice(script);
        self.stream.get_mut().write_all(&message)
    }

    /// How the script that was sent has ended.
    pub(crate) fn answer(&mut self, patience: Duration) -> io::Result<Output> {
        let head = self.line(patience, &mut || ())?;
        let parsed = head
            .trim()
            .split_once(' ')
            .and_then(|(code, bytes)| Some((code.parse().ok()?, bytes.parse::<usize>().ok()?)));
        let (code, bytes) =
            parsed.ok_or_else(|| io::Error::other(format!("not an answer: {head:?}")))?;
        let mut text = vec![0; bytes];
        let begin = Instant::now();
        let mut filled = 0;
        while filled < bytes {
            match self.stream.read(&mut text[filled..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => filled += length,
                Err(error) if is_tick(&error) && begin.elapsed() < patience => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Output { code, text: String::from_utf8_lossy(&text).into_owned() })
    }

    fn line(&mut self, patience: Duration, alive: &mut dyn FnMut()) -> io::Result<String> {
        let begin = Instant::now();
        let mut line = Vec::new();
        loop {
            match self.stream.read_until(b'\n', &mut line) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) if line.ends_with(b"\n") => {
                    return Ok(String::from_utf8_lossy(&line).into_owned());
                }
                Ok(_) => {}
                Err(error) if is_tick(&error) && begin.elapsed() < patience => alive(),
                Err(error) => return Err(error),
            }
        }
    }
}

fn is_tick(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

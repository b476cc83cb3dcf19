// SPDX-License-Identifier: MIT OR Apache-2.0
//! IDEs that speak eRPC, in each of their six generations, written from the wire: how they frame, how they read the time
//! of a log message, in which order they call, and what makes them leave.
//!
//! The shims of [`crate::ide`] drive the client libraries that can be installed, which are those of two generations.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpStream},
};

use crate::PATIENCE;

/// Bytes of one chunk of a transfer.
const CHUNK: usize = 4095;
/// Messages of a level that an IDE reads when it connects.
const NEWEST: u32 = 10;

/// A generation of IDEs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Age {
    /// 2024-01 to 2024-05.
    F1,
    /// 2024-05 to 2024-10.
    F2,
    /// 2024-11: makes extended calls.
    G0,
    /// 2024-11 to 2025-12: frames of its own.
    G1,
    /// 2025-12 to 2026-02: seconds have 64 bits.
    G2,
    /// From 2026-02 on: asks what the cycle costs.
    G3,
}

impl Age {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::F1, Self::F2, Self::G0, Self::G1, Self::G2, Self::G3];

    /// A message in this generation's frame.
    ///
    /// # Panics
    /// It is longer than a frame can be.
    #[must_use]
    pub fn frame(self, message: &[u8]) -> Vec<u8> {
        let length = u16::try_from(message.len()).expect("short").to_le_bytes();
        let check = crc(message).to_le_bytes();
        let sum = crc(&length).wrapping_add(crc(&check)).to_le_bytes();
        match self {
            Self::F1 => [&length, &check, message].concat(),
            Self::F2 | Self::G0 => [&sum, &length, &check, message].concat(),
            Self::G1 | Self::G2 | Self::G3 => [&length, message].concat(),
        }
    }
}

/// Why an IDE has dropped its connection.
#[derive(Debug)]
pub enum Dropped {
    /// The runtime closed it, or did not answer.
    Lost(io::Error),
    /// The answer to this method cannot be read: `struct.error`, or a value that is none.
    Unreadable(u8),
    /// This method has a result that means the end to this generation.
    Result(u8, u32),
}

impl From<io::Error> for Dropped {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

/// A message as the IDE shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its text.
    pub text: String,
    /// Seconds since the epoch.
    pub seconds: u64,
    /// And nanoseconds.
    pub nanoseconds: u32,
}

/// Tick and values of a sample.
pub type Sample = (u32, Vec<u8>);

/// One connected IDE.
#[derive(Debug)]
pub struct ErpcIde {
    /// Its generation.
    pub age: Age,
    stream: TcpStream,
    sequence: u32,
    counts: [u32; 4],
    token: i32,
    /// What it read when it connected and polled.
    pub log: Vec<Shown>,
    /// The text of its status line.
    pub status_line: Option<String>,
    /// What the runtime said of itself.
    pub versions: Option<String>,
    /// Warnings that the user saw: calls that are not supported.
    pub warnings: Vec<u8>,
}

impl ErpcIde {
    /// Connects as this generation does, and reads what it reads then; `md5` is that of its build, if it has one.
    ///
    /// # Errors
    /// It has dropped the connection.
    pub fn connect(age: Age, port: u16, md5: Option<&str>) -> Result<Self, Dropped> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut ide = Self {
            age,
            stream,
            sequence: 0,
            counts: [0; 4],
            token: 0,
            log: Vec::new(),
            status_line: None,
            versions: None,
            warnings: Vec::new(),
        };
        ide.call(3, &[], |outputs| Some((outputs.text()?, outputs.text()?)))?;
        if age >= Age::G0 {
            let arguments = [binary(b"GetVersions"), binary(b"")].concat();
            ide.versions = ide.call(15, &arguments, |outputs| outputs.text())?;
        }
        if let Some(md5) = md5 {
            ide.matches(md5)?;
        }
        let status = ide.poll()?;
        if matches!(status, 1 | 2) {
            ide.set_trace(&[])?;
        }
        Ok(ide)
    }

    /// What it does twice a second: the state, new messages, the status line. Returns the state.
    ///
    /// # Errors
    /// It has dropped the connection.
    pub fn poll(&mut self) -> Result<u32, Dropped> {
        let (status, counts) = self.status()?;
        for (level, count) in (0_u8..).zip(counts) {
            let before = std::mem::replace(&mut self.counts[usize::from(level)], count);
            let first = before.max(count.saturating_sub(NEWEST));
            for id in (first..count).rev() {
                match self.log_message(level, id)? {
                    Some(shown) if !shown.text.is_empty() => self.log.push(shown),
                    _ => break,
                }
            }
        }
        if self.age == Age::G3 {
            self.status_line = self.log_message(0xff, 0)?.map(|shown| shown.text);
        }
        Ok(status)
    }

    /// The state and the counts of messages.
    ///
    /// # Errors
    /// It has dropped the connection.
    pub fn status(&mut self) -> Result<(u32, [u32; 4]), Dropped> {
        let read = |outputs: &mut Outputs<'_>| {
            let status = outputs.u32().filter(|status| *status <= 4)?;
            Some((status, [outputs.u32()?, outputs.u32()?, outputs.u32()?, outputs.u32()?]))
        };
        Ok(self.call(4, &[], read)?.unwrap_or((4, self.counts)))
    }

    /// Reads one message; `None` if that is refused.
    ///
    /// # Errors
    /// It has dropped the connection.
    pub fn log_message(&mut self, level: u8, id: u32) -> Result<Option<Shown>, Dropped> {
        let long = self.age >= Age::G2;
        self.call(2, &[&[level][..], &id.to_le_bytes()].concat(), |outputs| {
            let (text, _tick) = (outputs.text()?, outputs.u32()?);
            let seconds = u64::from(outputs.u32()?);
            let upper = if long { u64::from(outputs.u32()?) << 32 } else { 0 };
            Some(Shown { text, seconds: upper | seconds, nanoseconds: outputs.u32()? })
        })
    }

    /// Whether the installed program has this md5.
    ///
    /// # Errors
    /// It has dropped the connection.
    pub fn matches(&mut self, md5: &str) -> Result<bool, Dropped> {
        Ok(self.call(6, &binary(md5.as_bytes()), |outputs| outputs.flag())?.unwrap_or(false))
    }

    /// Transfers a program; whether it was taken.
    ///
    /// # Errors
    /// It has dropped the connection.
    pub fn transfer(
        &mut self,
        md5: &str,
        library: &[u8],
        extra: &[(&str, &[u8])],
    ) -> Result<bool, Dropped> {
        self.matches(md5)?;
        self.call(8, &[], |_| Some(()))?;
        let mut files = Vec::new();
        for (name, content) in extra {
            let blob = self.upload(name, content)?;
            files.extend([binary(name.as_bytes()), binary(&blob)].concat());
        }
        let library = self.upload(md5, library)?;
        let count = u32::try_from(extra.len()).unwrap_or(u32::MAX).to_le_bytes();
        let arguments = [&binary(md5.as_bytes()), &binary(&library), &count[..], &files].concat();
        let taken = self.call(7, &arguments, |outputs| outputs.flag())?.unwrap_or(false);
        self.poll()?;
        Ok(taken)
    }

    fn upload(&mut self, seed: &str, content: &[u8]) -> Result<Vec<u8>, Dropped> {
        let mut blob = self.call(11, &binary(seed.as_bytes()), |outputs| outputs.bytes())?;
        for chunk in content.chunks(CHUNK) {
            let arguments = [binary(chunk), binary(&blob.unwrap_or_default())].concat();
            blob = self.call(1, &arguments, |outputs| outputs.bytes())?;
        }
        Ok(blob.unwrap_or_default())
    }

    /// Starts the program and traces these, index and forced bytes.
    ///
    /// # Errors
    /// It has dropped the connection.
    pub fn run(&mut self, list: &[(u32, Vec<u8>)]) -> Result<i32, Dropped> {
        self.call(13, &[], |_| Some(()))?;
        self.set_trace(list)
    }

    /// Stops the program; whether it is stopped.
    ///
    /// # Errors
    /// It has dropped the connection.
    pub fn stop(&mut self) -> Result<bool, Dropped> {
        Ok(self.call(14, &[], |outputs| outputs.flag())?.unwrap_or(false))
    }

    /// Sets the list of traced variables, index and forced bytes; the token, or the number of an error.
    ///
    /// # Errors
    /// It has dropped the connection.
    pub fn set_trace(&mut self, list: &[(u32, Vec<u8>)]) -> Result<i32, Dropped> {
        let mut arguments = u32::try_from(list.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
        for (index, force) in list {
            arguments.extend(index.to_le_bytes());
            arguments.extend(binary(force));
        }
        let token = self.call(12, &arguments, |outputs| outputs.u32())?.unwrap_or(0);
        self.token = i32::from_le_bytes(token.to_le_bytes());
        Ok(self.token)
    }

    /// Takes the samples: state, then tick and bytes of each.
    ///
    /// # Errors
    /// It has dropped the connection.
    pub fn read_trace(&mut self) -> Result<(u32, Vec<Sample>), Dropped> {
        let read = |outputs: &mut Outputs<'_>| {
            let (status, count) = (outputs.u32()?, outputs.u32()?);
            let samples = (0..count).map(|_| Some((outputs.u32()?, outputs.bytes()?)));
            Some((status, samples.collect::<Option<_>>()?))
        };
        let token = self.token.to_le_bytes();
        Ok(self.call(5, &token, read)?.unwrap_or((3, Vec::new())))
    }

    /// Makes an extended call; `None` if it is refused.
    ///
    /// # Errors
    /// It has dropped the connection.
    pub fn extended_call(&mut self, method: &str) -> Result<Option<Vec<u8>>, Dropped> {
        self.call(15, &[binary(method.as_bytes()), binary(b"x")].concat(), |outputs| {
            outputs.bytes()
        })
    }

    /// Calls a method; its outputs, or `None` where the IDE warns and goes on with a default.
    fn call<T>(
        &mut self,
        method: u8,
        arguments: &[u8],
        read: impl FnOnce(&mut Outputs<'_>) -> Option<T>,
    ) -> Result<Option<T>, Dropped> {
        self.sequence += 1;
        let head = [&[0, method, 1, 1][..], &self.sequence.to_le_bytes()].concat();
        self.stream.write_all(&self.age.frame(&[&head, arguments].concat()))?;
        let reply = self.receive()?;
        let mut outputs = Outputs(&reply);
        let version = outputs.take(4).ok_or(Dropped::Unreadable(method))?[3];
        if version != 1 || outputs.u32() != Some(self.sequence) || reply[0] != 2 {
            self.warnings.push(method);
            return Ok(None);
        }
        let value = read(&mut outputs).ok_or(Dropped::Unreadable(method))?;
        // What is left over, nobody looks at.
        match outputs.u32().ok_or(Dropped::Unreadable(method))? {
            0 => Ok(Some(value)),
            // IDEs do not look at the result of these.
            _ if matches!(method, 8 | 9 | 10 | 13) => Ok(Some(value)),
            2 if self.age != Age::F1 => {
                self.warnings.push(method);
                Ok(None)
            }
            result => Err(Dropped::Result(method, result)),
        }
    }

    /// Reads one frame as this generation does: its length, and checks where it has them.
    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut head = [0; 6];
        let (header, at) = match self.age {
            Age::F1 => (4, 0),
            Age::F2 | Age::G0 => (6, 2),
            Age::G1 | Age::G2 | Age::G3 => (2, 0),
        };
        self.stream.read_exact(&mut head[..header])?;
        let mut message = vec![0; u16::from_le_bytes([head[at], head[at + 1]]).into()];
        self.stream.read_exact(&mut message)?;
        if self.age.frame(&message)[..header] != head[..header] {
            return Err(io::Error::other("a wrong check"));
        }
        Ok(message)
    }
}

/// The CRC of eRPC: 16 bits, polynomial 0x1021, beginning at 0xEF4A.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xef4a, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    })
}

/// A text or bytes as they are sent.
fn binary(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes(), bytes].concat()
}

/// What is left of an answer.
struct Outputs<'a>(&'a [u8]);

impl<'a> Outputs<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn flag(&mut self) -> Option<bool> {
        self.take(1).map(|byte| byte[0] != 0)
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let length = self.u32()?;
        self.take(length.try_into().ok()?).map(<[u8]>::to_vec)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?).ok()
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A small eRPC client, in both framings, on blocking sockets: fast enough not to be what is measured.
//!
//! Made from the wire format, and shares no code with the runtime's own codec.

use std::{
    fmt::Debug,
    io::{BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};

/// How long one answer may take. Installing a large program is the longest.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of one blob chunk, as IDEs of the eRPC time send them.
const CHUNK_BYTES: usize = 4095;

const VERSION: u8 = 1;
const SERVICE: u8 = 1;
const INVOCATION: u8 = 0;
const REPLY: u8 = 2;
/// Type, request, service, version, sequence.
const MESSAGE_HEADER_BYTES: usize = 8;

/// Method numbers of the service.
mod method {
    pub(super) const APPEND_CHUNK: u8 = 1;
    pub(super) const STATUS: u8 = 4;
    pub(super) const READ_TRACE: u8 = 5;
    pub(super) const NEW_PLC: u8 = 7;
    pub(super) const PURGE_BLOBS: u8 = 8;
    pub(super) const SEED_BLOB: u8 = 11;
    pub(super) const SET_TRACE: u8 = 12;
    pub(super) const START: u8 = 13;
    pub(super) const STOP: u8 = 14;
}

/// The frame header that a server expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// erpc up to 1.11.
    Four,
    /// erpc from 1.12 on.
    Six,
}

/// The state of a PLC, in the interface's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(i32);

impl Status {
    pub(crate) const STARTED: Self = Self(2);
    pub(crate) const BROKEN: Self = Self(3);
}

/// Values of the traced variables after one cycle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) tick: u32,
    pub(crate) data: Vec<u8>,
}

/// What carries a connection: TCP, or something over it.
pub(crate) trait Carrier: Read + Write + Debug + Send {
    /// The TCP connection.
    fn socket(&self) -> &TcpStream;
}

impl Carrier for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Client {
    stream: BufReader<Box<dyn Carrier>>,
    framing: Framing,
    sequence: u32,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr, framing: Framing) -> anyhow::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)
            .with_context(|| format!("nobody answers at {address}"))?;
        stream.set_nodelay(true)?;
        Self::over(Box::new(stream), framing)
    }

    /// A connection that is there.
    pub(crate) fn over(carrier: Box<dyn Carrier>, framing: Framing) -> anyhow::Result<Self> {
        let client = Self { stream: BufReader::new(carrier), framing, sequence: 0 };
        client.set_patience(PATIENCE)?;
        Ok(client)
    }

    /// How long to wait for each answer from now on.
    pub(crate) fn set_patience(&self, patience: Duration) -> anyhow::Result<()> {
        Ok(self.stream.get_ref().socket().set_read_timeout(Some(patience))?)
    }

    pub(crate) fn status(&mut self) -> anyhow::Result<Status> {
        let outputs = self.call(method::STATUS, &[]).context("GetPLCstatus")?;
        Ok(Status(Fields(&outputs).i32()?))
    }

    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        self.call(method::START, &[]).map(drop).context("StartPLC")
    }

    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        self.call(method::STOP, &[]).map(drop).context("StopPLC")
    }

    /// Transfers a program as the IDE does: purge, seed, chunks, install.
    pub(crate) fn install(&mut self, md5: &str, library: &[u8]) -> anyhow::Result<()> {
        self.call(method::PURGE_BLOBS, &[]).context("PurgeBlobs")?;
        let mut id = self.call(method::SEED_BLOB, &binary(md5.as_bytes())).context("SeedBlob")?;
        let mut request = Vec::with_capacity(CHUNK_BYTES + 64);
        for chunk in library.chunks(CHUNK_BYTES) {
            request.clear();
            push_binary(&mut request, chunk);
            // The answer is an id with its length in front, which is how it goes back too.
            request.extend(&id);
            id = self.call(method::APPEND_CHUNK, &request).context("AppendChunkToBlob")?;
            ensure!(id.len() == 4 + 16, "AppendChunkToBlob: the chunk was not taken");
        }
        let no_extra_files = 0_u32.to_le_bytes();
        let request = [&binary(md5.as_bytes()), &id[..], &no_extra_files].concat();
        let installed = self.call(method::NEW_PLC, &request).context("NewPLC")?;
        ensure!(installed == [1], "NewPLC: the program was not installed");
        Ok(())
    }

    /// Sets the trace list; the token for reading.
    pub(crate) fn set_trace(&mut self, list: &[(u32, &[u8])]) -> anyhow::Result<i32> {
        let mut request = length(list.len()).to_vec();
        for (index, force) in list {
            request.extend(index.to_le_bytes());
            push_binary(&mut request, force);
        }
        let outputs = self.call(method::SET_TRACE, &request).context("SetTraceVariablesList")?;
        let token = Fields(&outputs).i32()?;
        ensure!(list.is_empty() || token > 0, "SetTraceVariablesList: refused with {token}");
        Ok(token)
    }

    /// Takes the samples so far.
    pub(crate) fn read_trace(&mut self, token: i32) -> anyhow::Result<Vec<Sample>> {
        let outputs =
            self.call(method::READ_TRACE, &token.to_le_bytes()).context("GetTraceVariables")?;
        let mut fields = Fields(&outputs);
        let status = Status(fields.i32()?);
        ensure!(status == Status::STARTED, "GetTraceVariables: the PLC's state is {status:?}");
        let count = fields.u32()?;
        (0..count)
            .map(|_| Ok(Sample { tick: fields.u32()?, data: fields.binary()?.to_vec() }))
            .collect()
    }

    /// One call: its outputs without the result code, which must be 0.
    fn call(&mut self, method: u8, arguments: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.sequence += 1;
        let mut message = Vec::with_capacity(MESSAGE_HEADER_BYTES + arguments.len());
        message.extend([INVOCATION, method, SERVICE, VERSION]);
        message.extend(self.sequence.to_le_bytes());
        message.extend(arguments);
        self.stream.get_mut().write_all(&frame(self.framing, &message)?)?;
        let reply = self.receive().context("no answer")?;
        let (header, outputs) =
            reply.split_first_chunk::<MESSAGE_HEADER_BYTES>().context("a short reply")?;
        let sequence = self.sequence.to_le_bytes();
        ensure!(header[0] == REPLY && header[4..] == sequence, "a reply to something else");
        let (outputs, result) = outputs.split_last_chunk().context("a reply without a result")?;
        match u32::from_le_bytes(*result) {
            0 => Ok(outputs.to_vec()),
            code => bail!("refused with result {code}"),
        }
    }

    fn receive(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut header = [0; 6];
        let header = match self.framing {
            Framing::Four => &mut header[2..],
            Framing::Six => &mut header[..],
        };
        self.stream.read_exact(header)?;
        let Some((rest, check)) = header.split_last_chunk::<2>() else { bail!("no header") };
        let Some((_, size)) = rest.split_last_chunk::<2>() else { bail!("no header") };
        let mut message = vec![0; usize::from(u16::from_le_bytes(*size))];
        self.stream.read_exact(&mut message)?;
        ensure!(crc(&message).to_le_bytes() == *check, "a reply with a wrong check");
        Ok(message)
    }
}

/// A frame around a message.
fn frame(framing: Framing, message: &[u8]) -> anyhow::Result<Vec<u8>> {
    let size = u16::try_from(message.len()).context("too long a message")?.to_le_bytes();
    let check = crc(message).to_le_bytes();
    let mut frame = Vec::with_capacity(6 + message.len());
    if framing == Framing::Six {
        frame.extend(crc(&size).wrapping_add(crc(&check)).to_le_bytes());
    }
    frame.extend(size);
    frame.extend(check);
    frame.extend(message);
    Ok(frame)
}

/// CRC of 16 bits, polynomial 0x1021, beginning at 0xEF4A, most significant bit first.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xef4a, |crc, &byte| {
        let [high, _] = crc.to_be_bytes();
        (crc << 8) ^ CRC_TABLE[usize::from(high ^ byte)]
    })
}

const CRC_TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    let mut byte: u16 = 0;
    while index < 256 {
        let mut value = byte << 8;
        let mut bit = 0;
        while bit < 8 {
            value = (value << 1) ^ if value & 0x8000 == 0 { 0 } else { 0x1021 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
        byte += 1;
    }
    table
};

fn length(count: usize) -> [u8; 4] {
    u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes()
}

fn push_binary(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend(length(bytes.len()));
    to.extend(bytes);
}

fn binary(bytes: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    push_binary(&mut encoded, bytes);
    encoded
}

/// Outputs, read from the front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> anyhow::Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).context("a short reply")?;
        self.0 = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> anyhow::Result<u32> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into()?))
    }

    fn i32(&mut self) -> anyhow::Result<i32> {
        Ok(i32::from_le_bytes(self.take(4)?.try_into()?))
    }

    fn binary(&mut self) -> anyhow::Result<&'a [u8]> {
        let count = usize::try_from(self.u32()?)?;
        self.take(count)
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, net::TcpListener, thread};

    use super::*;

    /// Answers one request with these bytes; gives back what was asked.
    fn asked(framing: Framing, reply: &'static [u8], call: impl FnOnce(&mut Client)) -> Vec<u8> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut request = vec![0; 256];
            let count = peer.read(&mut request).unwrap();
            peer.write_all(reply).unwrap();
            request.truncate(count);
            request
        });
        call(&mut Client::connect(address, framing).unwrap());
        server.join().unwrap()
    }

    /// Recorded from erpc 1.12: header, then `Started, 1 0 3 7`; with sequence 1.
    fn started(framing: Framing) -> Vec<u8> {
        let message = [
            [2, 4, 1, 1, 1, 0, 0, 0],
            [2, 0, 0, 0, 1, 0, 0, 0],
            [0, 0, 0, 0, 3, 0, 0, 0],
            [7, 0, 0, 0, 0, 0, 0, 0],
        ];
        frame(framing, &message.concat()).unwrap()
    }

    #[test]
    fn the_check_has_its_published_values() {
        assert_eq!(crc(b"123456789"), 0x89ac);
        assert_eq!(crc(b""), 0xef4a);
    }

    #[test]
    fn frames_are_those_of_the_recorded_clients() {
        let message = [0, 3, 1, 1, 1, 0, 0, 0];
        let six = [0x17, 0xcc, 8, 0, 0x9e, 0xc6, 0, 3, 1, 1, 1, 0, 0, 0];
        assert_eq!(frame(Framing::Six, &message).unwrap(), six);
        assert_eq!(frame(Framing::Four, &message).unwrap(), six[2..]);
    }

    #[test]
    fn a_status_is_asked_for_and_understood_in_both_framings() {
        for framing in [Framing::Four, Framing::Six] {
            let reply: &'static [u8] = started(framing).leak();
            let request = asked(framing, reply, |client| {
                assert_eq!(client.status().unwrap(), Status::STARTED);
            });
            assert_eq!(request, frame(framing, &[0, 4, 1, 1, 1, 0, 0, 0]).unwrap());
        }
    }

    #[test]
    fn a_reply_with_a_wrong_check_or_a_refusal_is_an_error() {
        let mut spoilt = started(Framing::Six);
        *spoilt.last_mut().unwrap() ^= 1;
        let refused = frame(Framing::Six, &[2, 13, 1, 1, 1, 0, 0, 0, 2, 0, 0, 0]).unwrap();
        asked(Framing::Six, spoilt.leak(), |client| {
            assert!(format!("{:#}", client.status().unwrap_err()).contains("wrong check"));
        });
        asked(Framing::Six, refused.leak(), |client| {
            assert!(format!("{:#}", client.start().unwrap_err()).contains("result 2"));
        });
    }
}

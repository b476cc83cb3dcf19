// SPDX-License-Identifier: MIT OR Apache-2.0
//! An IDE as the runtime sees it: the real client libraries, driven through the shims in `tests/clients`.

use std::{
    ffi::OsString,
    fmt::Write as _,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Makes of each line, `name => scenario(Generation)`, a test of that name.
#[macro_export]
macro_rules! for_each_generation {
    ($($name:ident => $scenario:ident($generation:ident);)*) => {
        $(#[test] fn $name() { $scenario($crate::ide::Generation::$generation); })*
    };
}

/// Which client library, in the manner of which IDEs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// Pyro 3.16, whole files, no debug token, samples over a second connection: 2015 to 2018.
    Pyro3Files,
    /// Pyro 3.16 through the connector of an IDE of 2019, with blobs and token: to 2022.
    Pyro3,
    /// Pyro5 with serpent: 2022-10 to 2023-05.
    Pyro5Serpent,
    /// Pyro5 with msgpack: 2023-05 to 2024-01.
    Pyro5,
    /// erpc 1.11, 4-byte frame header: 2024-01 to 2024-05.
    Erpc11,
    /// erpc 1.12, 6-byte frame header: from 2024-05 on.
    Erpc12,
    /// autobahn as the IDEs of 2018 to 2022 use it, on Python 2: texts are bytes.
    WampPython2,
    /// autobahn as the IDEs from 2022 to 2024 use it.
    Wamp,
    /// autobahn as the IDEs from 2025 on use it: seven schemes, and no error is survived.
    Wamp2025,
}

impl Generation {
    /// All that run on Python 3.
    pub const ALL: [Self; 4] = [Self::Pyro5Serpent, Self::Pyro5, Self::Erpc11, Self::Erpc12];
    /// All that run on Python 2.
    pub const PYTHON2: [Self; 2] = [Self::Pyro3Files, Self::Pyro3];

    /// Whether its library is erpc.
    #[must_use]
    pub fn is_erpc(self) -> bool {
        matches!(self, Self::Erpc11 | Self::Erpc12)
    }

    /// What runs its client library, and which script it runs.
    ///
    /// # Panics
    /// The library is not installed; says how to.
    fn client(self) -> Vec<OsString> {
        let clients = crate::root().join("target/clients");
        let (environment, script) = match self {
            // It lives in a Debian of its own, and is handed the script that it does not see.
            Self::Pyro3Files | Self::Pyro3 => {
                let script = include_str!("../clients/pyro3_client.py").into();
                let root = python2_root().into();
                return vec!["chroot".into(), root, "python2.7".into(), "-c".into(), script];
            }
            Self::Pyro5Serpent | Self::Pyro5 => ("pyro5", "pyro5_client.py"),
            Self::Erpc11 => ("erpc11", "erpc_client.py"),
            Self::Erpc12 => ("erpc12", "erpc_client.py"),
            Self::WampPython2 | Self::Wamp | Self::Wamp2025 => ("wamp", "wamp_client.py"),
        };
        let python = clients.join(environment).join("bin/python");
        assert!(python.exists(), "{} is missing; run `scripts/need test`", python.display());
        vec![python.into(), crate::root().join("tests/clients").join(script).into()]
    }

    /// The options of its script.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Pyro3Files => &["--ide", "files"],
            Self::Pyro3 => &["--ide", "connector"],
            Self::Pyro5Serpent => &["--serializer", "serpent"],
            Self::WampPython2 => &["--ide", "python2"],
            Self::Wamp2025 => &["--ide", "2025"],
            Self::Pyro5 | Self::Erpc11 | Self::Erpc12 | Self::Wamp => &[],
        }
    }

    /// Bytes of one chunk in its transfers.
    #[must_use]
    pub fn chunk_bytes(self) -> usize {
        if self.is_erpc() || matches!(self, Self::Wamp | Self::Wamp2025) { 4095 } else { 1 << 20 }
    }
}

/// What the client library raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raised {
    /// Module and class.
    pub class: String,
    /// Its text.
    pub message: String,
}

/// A forced value in the words of both worlds: as a Python value and as raw bytes.
pub type Forced = (Value, Vec<u8>);

/// One connected IDE.
#[derive(Debug)]
pub struct Ide {
    /// Of this generation.
    pub generation: Generation,
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// The IDE's project, for those that want one.
    _project: Option<TempDir>,
}

impl Drop for Ide {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Ide {
    /// An IDE of this generation, pointed at a port of this machine. It connects with its first call.
    ///
    /// # Panics
    /// The client libraries are not installed; says how to.
    #[must_use]
    pub fn new(generation: Generation, port: u16) -> Self {
        Self::behind(&[], generation, port)
    }

    /// The same, run by a command in front of it, such as one that enters another network.
    ///
    /// # Panics
    /// As [`Self::new`].
    #[must_use]
    pub fn behind(wrapper: &[String], generation: Generation, port: u16) -> Self {
        let mut line: Vec<OsString> = wrapper.iter().map(Into::into).collect();
        line.extend(generation.client());
        line.push(format!("127.0.0.1:{port}").into());
        line.extend(generation.options().iter().map(Into::into));
        Self::run(line, generation)
    }

    /// An IDE that speaks TLS itself, in the manner of its generation, with this key, `ID:secret`: of those that do
    /// so, [`Generation::Pyro3`] and [`Generation::Erpc12`].
    ///
    /// # Panics
    /// As [`Self::new`].
    #[must_use]
    pub fn with_key(generation: Generation, key: &str, port: u16) -> Self {
        let mut line = generation.client();
        if generation == Generation::Pyro3 {
            // What its users have to set on Linux; and an OpenSSL of its time, before distributions forbade TLS 1.0.
            let set = ["env", "PYRO_BROKEN_MSGWAITALL=1", "OPENSSL_CONF=/dev/null"];
            line.splice(0..0, set.map(Into::into));
        } else {
            let python = crate::root().join("target/clients/erpcs/bin/python");
            assert!(python.exists(), "{} is missing; run `scripts/need test`", python.display());
            line[0] = python.into();
        }
        line.push(format!("127.0.0.1:{port}").into());
        line.extend(generation.options().iter().map(Into::into));
        line.extend(["--key".into(), key.into()]);
        Self::run(line, generation)
    }

    /// An IDE that comes to this URI, with these further options of its script.
    ///
    /// # Panics
    /// As [`Self::new`].
    #[must_use]
    pub fn with_uri(generation: Generation, uri: &str, options: &[&str]) -> Self {
        Self::with_uri_behind(&[], generation, uri, options)
    }

    /// The same, run by a command in front of it, such as one that enters another network.
    ///
    /// # Panics
    /// As [`Self::new`].
    #[must_use]
    pub fn with_uri_behind(
        wrapper: &[String],
        generation: Generation,
        uri: &str,
        options: &[&str],
    ) -> Self {
        let mut line: Vec<OsString> = wrapper.iter().map(Into::into).collect();
        line.extend(generation.client());
        line.push(uri.into());
        line.extend(generation.options().iter().chain(options).map(Into::into));
        Self::run(line, generation)
    }

    fn run(mut line: Vec<OsString>, generation: Generation) -> Self {
        let project = (generation == Generation::Pyro3).then(|| project(&mut line));
        let mut process = Command::new(&line[0])
            .args(&line[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the shim can be run");
        let requests = process.stdin.take().expect("piped");
        let answers = BufReader::new(process.stdout.take().expect("piped"));
        Self { generation, process, requests, answers, _project: project }
    }

    /// Calls a method.
    ///
    /// # Errors
    /// What the client library raised.
    ///
    /// # Panics
    /// The shim died.
    #[expect(clippy::needless_pass_by_value, reason = "callers write json!([...])")]
    pub fn call(&mut self, method: &str, arguments: Value) -> Result<Value, Raised> {
        let answer = self.send(&json!({ "call": method, "args": arguments }))?;
        if self.generation.is_erpc() { outputs(method, &answer) } else { Ok(answer) }
    }

    /// Sends a request of the shim's dialogue.
    ///
    /// # Errors
    /// What the client library raised.
    ///
    /// # Panics
    /// The shim died.
    pub fn send(&mut self, request: &Value) -> Result<Value, Raised> {
        writeln!(self.requests, "{request}").expect("the shim listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the shim answers");
        let mut answer: Value = serde_json::from_str(&line).expect("the shim answers in JSON");
        if let Some(error) = answer.get("error") {
            let text =
                |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            return Err(Raised { class: text("class"), message: text("message") });
        }
        Ok(answer["result"].take())
    }

    /// Calls a method that must not fail.
    ///
    /// # Panics
    /// It does.
    pub fn must(&mut self, method: &str, arguments: Value) -> Value {
        let generation = self.generation;
        self.call(method, arguments)
            .unwrap_or_else(|raised| panic!("{generation:?} {method}: {raised:?}"))
    }

    /// The PLC's state in the IDE's words.
    ///
    /// # Panics
    /// The call fails.
    pub fn status(&mut self) -> String {
        self.status_and_counts().0
    }

    /// The PLC's state and the counts of log messages.
    ///
    /// # Panics
    /// The call fails.
    pub fn status_and_counts(&mut self) -> (String, Vec<u64>) {
        let answer = self.must("GetPLCstatus", json!([]));
        if self.generation == Generation::Wamp2025 {
            // What it shows of the cycle, since 2026 with every status.
            let cycle = self.must("GetLogMessage", json!([255, 0]));
            assert!(cycle[0].is_string() && cycle[1] == json!(0), "{cycle}");
        }
        let status = match &answer[0] {
            Value::Number(number) => {
                let words = ["Empty", "Stopped", "Started", "Broken", "Disconnected"];
                let index = usize::try_from(number.as_u64().expect("a number")).expect("small");
                words[index].to_owned()
            }
            text => text.as_str().expect("a word").to_owned(),
        };
        let counts =
            answer[1].as_array().expect("counts").iter().map(|n| n.as_u64().expect("a count"));
        (status, counts.collect())
    }

    /// Transfers a program as the IDE does: purge, the extra files, the library, `NewPLC`. Each id is compared. The
    /// oldest do it all in `NewPLC`.
    ///
    /// # Errors
    /// What `NewPLC` raised.
    ///
    /// # Panics
    /// A chunk is not taken.
    pub fn transfer(
        &mut self,
        md5: &str,
        library: &[u8],
        extra: &[(&str, &[u8])],
    ) -> Result<bool, Raised> {
        let whole = self.generation == Generation::Pyro3Files;
        if !whole {
            self.must("PurgeBlobs", json!([]));
        }
        let mut part = |name, data| if whole { hex(data) } else { self.upload(name, data) };
        let extra: Vec<Value> =
            extra.iter().map(|(name, data)| json!([name, part(name, data)])).collect();
        let library = part(md5, library);
        let answer = self.call("NewPLC", json!([md5, library, extra]))?;
        Ok(answer.as_bool().unwrap_or_else(|| answer == json!(1)))
    }

    /// Transfers one blob in the chunks of this generation.
    ///
    /// # Panics
    /// A chunk is not taken.
    pub fn upload(&mut self, seed: &str, data: &[u8]) -> Value {
        // IDEs of the serpent time give the seed as a text.
        let seed = if self.generation == Generation::Pyro5Serpent {
            json!(seed)
        } else {
            hex(seed.as_bytes())
        };
        if self.generation == Generation::Pyro3 {
            let upload = json!({ "upload": hex(data), "seed": seed });
            return self.send(&upload).expect("the IDE's own transfer");
        }
        let mut id = self.must("SeedBlob", json!([seed]));
        for chunk in data.chunks(self.generation.chunk_bytes()) {
            id = self.must("AppendChunkToBlob", json!([hex(chunk), id]));
            assert_eq!(unhex(&id).len(), 16, "the chunk was not taken");
        }
        id
    }

    /// Sets the trace list; each entry is index, IEC type, forced value.
    ///
    /// # Panics
    /// The call fails.
    pub fn set_trace(&mut self, list: &[(u32, &str, Option<Forced>)]) -> i64 {
        let (erpc, wamp) = (self.generation.is_erpc(), self.generation == Generation::Wamp);
        let entry = |(index, kind, force): &(u32, &str, Option<Forced>)| match (erpc || wamp, force)
        {
            (true, Some((_, bytes))) => json!([index, hex(bytes)]),
            (true, None) if wamp => json!([index, null]),
            (true, None) => json!([index, hex(b"")]),
            (false, Some((value, _))) => json!([index, kind, value]),
            (false, None) => json!([index, kind, null]),
        };
        let list: Vec<Value> = list.iter().map(entry).collect();
        self.must("SetTraceVariablesList", json!([list]))
            .as_i64()
            .expect("a token or an error number")
    }

    /// Takes samples: status, then tick and bytes of each.
    ///
    /// # Panics
    /// The call fails.
    pub fn read_trace(&mut self, token: i64) -> (String, Vec<(u32, Vec<u8>)>) {
        let arguments = match self.generation {
            Generation::Pyro3Files => json!([]),
            _ => json!([token]),
        };
        let answer = self.must("GetTraceVariables", arguments);
        let status = match &answer[0] {
            Value::Number(number) => {
                let words = ["Empty", "Stopped", "Started", "Broken", "Disconnected"];
                words[usize::try_from(number.as_u64().expect("a number")).expect("small")]
                    .to_owned()
            }
            text => text.as_str().expect("a word").to_owned(),
        };
        let samples = answer[1].as_array().cloned().unwrap_or_default();
        let sample = |sample: &Value| {
            let tick = u32::try_from(sample[0].as_u64().expect("a tick")).expect("32 bits");
            (tick, unhex(&sample[1]))
        };
        (status, samples.iter().map(sample).collect())
    }

    /// Reads the log of a level as the log view does: downward from the newest until nothing comes.
    ///
    /// # Panics
    /// The call fails.
    pub fn log(&mut self, level: usize) -> Vec<String> {
        let count = self.status_and_counts().1[level];
        let mut texts = Vec::new();
        for id in (0..count).rev() {
            match self.call("GetLogMessage", json!([level, id])) {
                Ok(Value::Array(message)) if message[0].is_string() => {
                    texts.push(message[0].as_str().unwrap_or_default().to_owned());
                }
                _ => break,
            }
        }
        texts.reverse();
        texts
    }
}

/// The root file system that has Python 2.7.
fn python2_root() -> PathBuf {
    assert!(rustix::process::geteuid().is_root(), "chroot is for root: run this test as root");
    let root = crate::root().join("target/clients/python2");
    assert!(root.exists(), "{} is missing; run `scripts/need test` as root", root.display());
    root
}

/// Makes an empty project for an IDE in [`python2_root`], and tells its command line where.
fn project(line: &mut Vec<OsString>) -> TempDir {
    let root = python2_root();
    let dir = tempfile::tempdir_in(root.join("tmp")).expect("a directory");
    let seen = dir.path().strip_prefix(&root).expect("it was made there");
    line.extend(["--project".into(), Path::new("/").join(seen).into()]);
    dir
}

/// What an eRPC answer says: its one output, its outputs in their order, or nothing. A code other than 0 is an error
/// of the class `code`.
fn outputs(method: &str, answer: &Value) -> Result<Value, Raised> {
    if answer["code"] != json!(0) {
        return Err(Raised { class: "code".into(), message: answer["code"].to_string() });
    }
    let outputs = &answer["outputs"];
    let several: &[&str] = match method {
        "GetLogMessage" => &["text", "tick", "sec", "nsec"],
        "GetPLCID" => &["id", "psk"],
        "GetPLCstatus" => &["status", "counts"],
        "GetTraceVariables" => &["status", "samples"],
        _ => &[],
    };
    if several.is_empty() {
        let one = outputs.as_object().and_then(|outputs| outputs.values().next());
        return Ok(one.cloned().unwrap_or(Value::Null));
    }
    Ok(several.iter().map(|name| outputs[*name].clone()).collect())
}

/// Bytes in the shims' JSON.
#[must_use]
pub fn hex(bytes: &[u8]) -> Value {
    let digits = bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    json!({ "hex": digits })
}

/// Bytes from the shims' JSON.
///
/// # Panics
/// They are none.
#[must_use]
pub fn unhex(value: &Value) -> Vec<u8> {
    let digits = value["hex"].as_str().unwrap_or_else(|| panic!("not bytes: {value}"));
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(&String::from_utf8_lossy(pair), 16).expect("hexadecimal"))
        .collect()
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A message bus of a test's own, with the policy that is shipped, and a supervisor on it.
//!
//! Both see a group `plc` and a user `plc-runtime`, whatever the system has: they get a user database of their own. That
//! takes root; without it every client is the test's own user.

use std::{
    fs::{self, Permissions},
    io::{BufRead as _, BufReader},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_lite::StreamExt as _;
use plc_api::paths::Paths;
use rustix::{
    process::{Gid, Pid, Signal, Uid, geteuid, kill_process},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};
use tempfile::TempDir;
use tokio::time::timeout;
use zbus::{
    Connection, Message, MessageStream, Proxy,
    connection::Builder,
    message,
    object_server::Interface,
    proxy::{CacheProperties, MethodFlags},
    zvariant::{DynamicDeserialize, OwnedValue},
};

use crate::{PATIENCE, binary, scratch::scratch};

/// The name on the bus.
pub const NAME: &str = "org.plcruntime1";
/// The object.
pub const PATH: &str = "/org/plcruntime1";
/// Its interface.
pub const INTERFACE: &str = "org.plcruntime1.Plc";
/// The group of operators, as clients of [`User::OPERATOR`] have it.
const PLC: u32 = 64_711;

/// Runs the command after it with another user database.
const WITH_USERS: &str =
    "mount --bind \"$0/passwd\" /etc/passwd && mount --bind \"$0/group\" /etc/group && exec \"$@\"";

/// Who a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// The user's number.
    pub uid: u32,
    /// Its only further group, if any.
    pub group: Option<u32>,
}

impl User {
    /// Nobody in particular.
    pub const ANYBODY: Self = Self { uid: 65_534, group: None };
    /// A member of the group `plc`.
    pub const OPERATOR: Self = Self { uid: 65_533, group: Some(PLC) };
}

/// Whether tests can be other users.
#[must_use]
pub fn can_be_others() -> bool {
    geteuid().is_root()
}

/// Places of a bus and a supervisor; dropping it ends both.
#[derive(Debug)]
pub struct Bus {
    dir: TempDir,
    daemon: Option<Child>,
    supervisor: Option<Child>,
    log: Arc<Mutex<String>>,
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.stop_supervisor();
        self.kill_daemon();
        if std::thread::panicking() {
            eprintln!("--- what bus and supervisor wrote ---\n{}---", self.log());
        }
    }
}

impl Bus {
    /// A bus, and a supervisor that is on it.
    ///
    /// # Panics
    /// They do not come up.
    pub async fn with_supervisor(config: &str) -> Self {
        let mut bus = Self::without_daemon();
        bus.start_daemon();
        bus.start_supervisor(config);
        bus.plc().await.wait_until_served().await;
        bus
    }

    /// Neither bus nor supervisor yet.
    ///
    /// # Panics
    /// A file cannot be written.
    #[must_use]
    pub fn without_daemon() -> Self {
        let dir = scratch("bus");
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("our own directory");
        let paths = Paths::of_desk(dir.path());
        for place in [&paths.state_dir, &paths.work_dir, &paths.run_dir.join("connectors")] {
            fs::create_dir_all(place).expect("a directory");
        }
        fs::write(&paths.worker_lock, "").expect("a file");
        let operator = User::OPERATOR.uid;
        let more = format!(
            "plc-runtime:x:64710:64710::/:/bin/false\nann:x:{operator}:65534::/:/bin/false\n"
        );
        let users =
            [("passwd", "/etc/passwd", more), ("group", "/etc/group", format!("plc:x:{PLC}:\n"))];
        for (name, system, more) in users {
            let system = fs::read_to_string(system).unwrap_or_default();
            fs::write(dir.path().join(name), system + &more).expect("a file");
        }
        fs::write(dir.path().join("bus.conf"), bus_config(dir.path())).expect("a file");
        Self { dir, daemon: None, supervisor: None, log: Arc::default() }
    }

    /// Starts the message bus.
    ///
    /// # Panics
    /// It does not come up.
    pub fn start_daemon(&mut self) {
        let _ = fs::remove_file(self.dir.path().join("bus"));
        let mut daemon = self
            .with_users("dbus-daemon")
            .arg(format!("--config-file={}", self.dir.path().join("bus.conf").display()))
            .args(["--nofork", "--nopidfile", "--print-address"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("dbus-daemon (scripts/need test installs it)");
        let mut ready = String::new();
        self.follow(daemon.stderr.take().expect("piped"));
        let output = daemon.stdout.take().expect("piped");
        let _ = BufReader::new(output).read_line(&mut ready);
        assert!(ready.starts_with("unix:"), "dbus-daemon is not ready: {ready}");
        self.daemon = Some(daemon);
    }

    /// Kills the message bus.
    pub fn kill_daemon(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }

    /// Starts the supervisor, and does not wait until it is on the bus.
    ///
    /// # Panics
    /// It cannot be run.
    pub fn start_supervisor(&mut self, config: &str) {
        let dir = self.dir.path().to_owned();
        fs::write(dir.join("plc-runtime.toml"), config).expect("a file");
        let mut supervisor = self
            .with_users(binary("plc-supervisor"))
            .arg("--desk")
            .arg(&dir)
            .arg("--worker")
            .arg(binary("plc-worker"))
            .args(["--bus", &self.address()])
            .env("RUST_LOG", "plc_supervisor=debug,plc=debug")
            .stderr(Stdio::piped())
            .spawn()
            .expect("plc-supervisor can be run");
        self.follow(supervisor.stderr.take().expect("piped"));
        self.supervisor = Some(supervisor);
    }

    /// Ends the supervisor.
    pub fn stop_supervisor(&mut self) {
        if let Some(mut supervisor) = self.supervisor.take() {
            let _ = kill_process(Pid::from_child(&supervisor), Signal::TERM);
            let _ = supervisor.wait();
        }
    }

    /// The supervisor's process.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn supervisor(&self) -> Pid {
        Pid::from_child(self.supervisor.as_ref().expect("a supervisor"))
    }

    /// What bus and supervisor wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the supervisor wrote something.
    ///
    /// # Panics
    /// It does not within [`PATIENCE`].
    pub async fn wait_log(&self, wanted: &str) {
        until(wanted, async || self.log().contains(wanted).then_some(())).await;
    }

    /// Its places.
    #[must_use]
    pub fn paths(&self) -> Paths {
        Paths::of_desk(self.dir.path())
    }

    /// A file's place beside them.
    #[must_use]
    pub fn place(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where the bus is.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix:path={}", self.place("bus").display())
    }

    /// A connection of the test's own user.
    ///
    /// # Panics
    /// There is no bus.
    pub async fn connect(&self) -> Connection {
        let builder = Builder::address(self.address().as_str()).expect("an address");
        builder.build().await.expect("a bus")
    }

    /// A service that is not ours: this object at its path, under this name. It is there as long as the connection.
    ///
    /// # Panics
    /// There is no bus, or somebody has that name.
    pub async fn serve(&self, name: &str, path: &str, object: impl Interface) -> Connection {
        let builder = Builder::address(self.address().as_str()).expect("an address");
        let builder = builder.serve_at(path, object).expect("a path");
        builder.name(name).expect("a name").build().await.expect("a bus, and the name")
    }

    /// A connection of another user.
    ///
    /// # Panics
    /// There is no bus, or the test may not be somebody else.
    pub async fn connect_as(&self, user: User) -> Connection {
        let place = self.place("bus");
        // Who connects is who the thread is at that moment, and nobody else of us.
        let stream = std::thread::spawn(move || connect_as(&place, user)).join().expect("a bus");
        stream.set_nonblocking(true).expect("our own socket");
        let stream = tokio::net::UnixStream::from_std(stream).expect("our own socket");
        Builder::unix_stream(stream).user_id(user.uid).build().await.expect("a bus")
    }

    /// The PLC, as the test's own user.
    pub async fn plc(&self) -> Plc {
        Plc::on(self.connect().await).await
    }

    /// The PLC, as another user.
    pub async fn plc_as(&self, user: User) -> Plc {
        Plc::on(self.connect_as(user).await).await
    }

    fn follow(&self, output: ChildStderr) {
        let log = self.log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                log.push_str(&line);
                log.push('\n');
            }
        });
    }

    fn with_users(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        if !can_be_others() {
            return Command::new(program);
        }
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-ec", WITH_USERS]);
        command.arg(self.dir.path()).arg(program);
        command
    }
}

fn connect_as(place: &Path, user: User) -> UnixStream {
    let groups: Vec<Gid> = user.group.into_iter().map(Gid::from_raw).collect();
    set_thread_groups(&groups).expect("root");
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(65_534));
    set_thread_res_gid(gid, gid, gid).expect("root");
    set_thread_res_uid(uid, uid, uid).expect("root");
    UnixStream::connect(place).expect("a bus")
}

/// As the system's bus is configured (dbus, `bus/system.conf.in`), with our policy, and with the test as whatever else
/// is on it.
fn bus_config(dir: &Path) -> String {
    let policy = crate::root().join("systemd/dbus/org.plcruntime1.conf");
    let (dir, policy) = (dir.display(), policy.display());
    let uid = geteuid().as_raw();
    format!(
        r#"<busconfig>
  <type>system</type>
  <listen>unix:path={dir}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.PolicyKit1"/>
    <allow send_destination="org.freedesktop.login1"/>
  </policy>
  <policy user="{uid}">
    <allow own="*"/>
  </policy>
  <include>{policy}</include>
</busconfig>
"#
    )
}

/// An error on the bus: its name's last part, and its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For example `Refused`; the whole name if it is not one of ours.
    pub kind: String,
    /// For people.
    pub text: String,
}

/// The PLC as a client sees it.
#[derive(Debug)]
pub struct Plc {
    /// The client's connection.
    pub connection: Connection,
    proxy: Proxy<'static>,
}

impl Plc {
    /// The PLC through this connection.
    ///
    /// # Panics
    /// The names are wrong.
    pub async fn on(connection: Connection) -> Self {
        let proxy = zbus::proxy::Builder::new(&connection)
            .destination(NAME)
            .and_then(|builder| builder.path(PATH))
            .and_then(|builder| builder.interface(INTERFACE))
            .expect("good names")
            .cache_properties(CacheProperties::No)
            .build()
            .await
            .expect("a proxy");
        Self { connection, proxy }
    }

    /// Calls a method.
    ///
    /// # Errors
    /// What the supervisor or the bus says.
    ///
    /// # Panics
    /// No answer within [`PATIENCE`], or one of another kind.
    pub async fn call<A, T>(&self, method: &str, arguments: &A) -> Result<T, Refusal>
    where
        A: serde::Serialize + zbus::zvariant::DynamicType,
        T: for<'d> DynamicDeserialize<'d>,
    {
        let answer = timeout(PATIENCE, self.proxy.call(method, arguments)).await;
        answer.unwrap_or_else(|_| panic!("{method} is not answered")).map_err(refusal)
    }

    /// Calls a method without arguments and result.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn order(&self, method: &str) -> Result<(), Refusal> {
        self.call(method, &()).await
    }

    /// As [`Self::order`], and a person may be asked for a password.
    ///
    /// # Errors
    /// As [`Self::call`].
    ///
    /// # Panics
    /// As [`Self::call`].
    pub async fn order_with_password(&self, method: &str) -> Result<(), Refusal> {
        let flags = MethodFlags::AllowInteractiveAuth.into();
        let answer = timeout(PATIENCE, self.proxy.call_with_flags(method, flags, &())).await;
        let answer: zbus::Result<Option<()>> =
            answer.unwrap_or_else(|_| panic!("{method} is not answered"));
        answer.map(drop).map_err(refusal)
    }

    /// Installs a program.
    ///
    /// # Errors
    /// As [`Self::call`].
    ///
    /// # Panics
    /// A file cannot be opened.
    pub async fn install(
        &self,
        library: &Path,
        md5: &str,
        extra_files: &Path,
    ) -> Result<String, Refusal> {
        let open = |path: &Path| {
            zbus::zvariant::OwnedFd::from(std::os::fd::OwnedFd::from(
                fs::File::open(path).expect("a file to send"),
            ))
        };
        self.call("Install", &(open(library), md5, open(extra_files))).await
    }

    /// Reads a property.
    ///
    /// # Panics
    /// It is not there.
    pub async fn get<T>(&self, property: &str) -> T
    where
        T: TryFrom<OwnedValue>,
        T::Error: Into<zbus::Error>,
    {
        let value = timeout(PATIENCE, self.proxy.get_property(property)).await;
        value.expect("an answer").unwrap_or_else(|error| panic!("{property}: {error}"))
    }

    /// Waits until somebody answers for the PLC.
    ///
    /// # Panics
    /// Nobody does within [`PATIENCE`].
    pub async fn wait_until_served(&self) {
        until("the PLC on the bus", async || {
            self.proxy.get_property::<String>("Status").await.ok()
        })
        .await;
    }

    /// Waits for a status.
    ///
    /// # Panics
    /// It does not come within [`PATIENCE`].
    pub async fn wait_status(&self, status: &str) {
        until(status, async || (self.get::<String>("Status").await == status).then_some(())).await;
    }

    /// Everything that comes to this client from now on, in its order, signals of the PLC included.
    ///
    /// # Panics
    /// The bus is gone.
    pub async fn watch(&self) -> Watch {
        let bus = zbus::fdo::DBusProxy::new(&self.connection).await.expect("a bus");
        let rule = zbus::MatchRule::builder()
            .msg_type(message::Type::Signal)
            .sender(NAME)
            .expect("a name")
            .build();
        // Not by zbus: that would take the signals out of the one stream.
        bus.add_match_rule(rule).await.expect("a rule");
        Watch(MessageStream::from(&self.connection))
    }
}

/// Messages in the order in which they come.
#[derive(Debug)]
pub struct Watch(MessageStream);

impl Watch {
    /// The next message.
    ///
    /// # Panics
    /// None comes within [`PATIENCE`].
    pub async fn next(&mut self) -> Message {
        let next = timeout(PATIENCE, self.0.next()).await.expect("another message");
        next.expect("the bus is there").expect("a message")
    }

    /// The next signal of this name; also all that came before it.
    ///
    /// # Panics
    /// It does not come within [`PATIENCE`]; shows what came.
    pub async fn until(&mut self, member: &str) -> (Message, Vec<String>) {
        let mut before = Vec::new();
        loop {
            let Ok(Some(Ok(message))) = timeout(PATIENCE, self.0.next()).await else {
                panic!("no {member} after {before:?}");
            };
            let name = shown(&message);
            if name == member {
                return (message, before);
            }
            before.push(name);
        }
    }

    /// What has come already.
    pub async fn rest(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        while let Ok(Some(Ok(message))) = timeout(Duration::ZERO, self.0.next()).await {
            found.push(shown(&message));
        }
        found
    }
}

/// A signal's name; `reply`, `error` for the others.
#[must_use]
pub fn shown(message: &Message) -> String {
    match message.message_type() {
        message::Type::MethodReturn => "reply".into(),
        message::Type::Error => "error".into(),
        message::Type::MethodCall | message::Type::Signal => {
            message.header().member().map(ToString::to_string).unwrap_or_default()
        }
    }
}

/// Looks again and again until there is something.
///
/// # Panics
/// Nothing within [`PATIENCE`].
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("waited in vain for: {what}"))
}

fn refusal(error: zbus::Error) -> Refusal {
    match error {
        zbus::Error::MethodError(name, text, _) => {
            let kind = name.strip_prefix("org.plcruntime1.Error.").unwrap_or(&name).to_owned();
            Refusal { kind, text: text.unwrap_or_default() }
        }
        other => Refusal { kind: "connection".into(), text: other.to_string() },
    }
}

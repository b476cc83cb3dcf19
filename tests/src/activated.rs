// SPDX-License-Identifier: MIT OR Apache-2.0
//! A supervisor whose workers come from a socket: systemd's own activation starts one for each connection, with the
//! connection as its standard input, as a unit with `Accept=yes` does.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use plc_api::{message::WhenRunning, paths::Paths};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    PATIENCE,
    api::{Api, MD5},
    binary,
    errors::Errors,
    programs,
    scratch::scratch,
};

/// Runs the worker, and then its reporter with what systemd.exec(5) gives to `ExecStopPost=`. To a shell a signal is an
/// exit code above 128, and so is the worker's own 143.
const REPORTING: &str = r#"
    "$0" "$@"
    code=$?
    if [ $code -gt 128 ] && [ $code -ne 143 ]; then
        export SERVICE_RESULT=signal EXIT_CODE=killed EXIT_STATUS=$(kill -l $code)
    else
        export SERVICE_RESULT=exit-code EXIT_CODE=exited EXIT_STATUS=$code
    fi
    exec "$0" --report-end
"#;

/// A supervisor in a directory of its own, and the activation in front of the worker program. Dropping it ends them; if
/// the test is failing, what they and the workers wrote is printed.
#[derive(Debug)]
pub struct Activated {
    dir: tempfile::TempDir,
    activation: Child,
    supervisor: Child,
    errors: Errors,
}

impl Activated {
    /// Starts both.
    ///
    /// # Panics
    /// One of them cannot be run.
    #[must_use]
    pub fn start() -> Self {
        Self::with_worker(&[])
    }

    /// The same with a service manager that reports how a worker ended, as a unit's `ExecStopPost=` does.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn reporting() -> Self {
        Self::with_worker(&["/bin/sh", "-c", REPORTING])
    }

    /// Starts workers by a command in front of the worker program.
    fn with_worker(wrapper: &[&str]) -> Self {
        let dir = scratch("unit");
        let paths = Paths::of_desk(dir.path());
        for place in [&paths.state_dir, &paths.work_dir, &paths.run_dir.join("connectors")] {
            fs::create_dir_all(place).expect("a place");
        }
        fs::write(&paths.worker_lock, "").expect("a lock");
        copy_supervisor(&program(&dir));
        let errors = Errors::new();
        let activation = Command::new("systemd-socket-activate")
            .args(["--accept", "--inetd", "--listen"])
            .arg(&paths.worker_socket)
            .args(wrapper)
            .arg(binary("plc-worker"))
            .arg("--work-dir")
            .arg(&paths.work_dir)
            .arg("--lock")
            .arg(&paths.worker_lock)
            .stderr(errors.stdio())
            .spawn()
            .expect("systemd-socket-activate can be run");
        let supervisor = spawn(&dir, &errors);
        Self { dir, activation, supervisor, errors }
    }

    /// Its places.
    #[must_use]
    pub fn paths(&self) -> Paths {
        Paths::of_desk(self.dir.path())
    }

    /// The program file that the supervisor was started from; this supervisor's alone.
    #[must_use]
    pub fn program(&self) -> PathBuf {
        program(&self.dir)
    }

    /// The API, as an operator.
    ///
    /// # Panics
    /// Nobody serves it within [`PATIENCE`].
    #[must_use]
    pub fn api(&self) -> Api {
        let begin = Instant::now();
        loop {
            match Api::connect(&self.paths().api_socket()) {
                Ok(api) => return api,
                Err(error) => assert!(begin.elapsed() < PATIENCE, "{error}"),
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The API, with this program of ours installed.
    ///
    /// # Panics
    /// It cannot be installed.
    #[must_use]
    pub fn with_program(&self, name: &str) -> Api {
        let api = self.api();
        let library = programs::bytes(name);
        let begin = Instant::now();
        // The first try may come before the activation listens; then the reason names the socket.
        while let Err(error) = api.install(MD5, &library, &[], WhenRunning::Refuse) {
            assert!(error.to_string().contains("worker.sock"), "{error}");
            assert!(begin.elapsed() < PATIENCE, "{error}");
        }
        api
    }

    /// Sends the supervisor a signal.
    ///
    /// # Panics
    /// It is gone.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.supervisor), signal).expect("a supervisor");
    }

    /// Waits for the supervisor's end, and starts another from the same file.
    ///
    /// # Panics
    /// It does not end within [`PATIENCE`].
    pub fn wait_and_start_again(&mut self) -> ExitStatus {
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.supervisor.try_wait().expect("our child") {
                break status;
            }
            assert!(begin.elapsed() < PATIENCE, "the supervisor does not end");
            thread::sleep(Duration::from_millis(20));
        };
        self.supervisor = spawn(&self.dir, &self.errors);
        status
    }

    /// Whether the supervisor is the one that was started last and has not ended.
    ///
    /// # Panics
    /// It cannot be asked for.
    pub fn is_alive(&mut self) -> bool {
        self.supervisor.try_wait().expect("our child").is_none()
    }
}

impl Drop for Activated {
    fn drop(&mut self) {
        // The supervisor first: its workers are children of the other.
        for child in [&mut self.supervisor, &mut self.activation] {
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
            let _ = child.wait();
        }
    }
}

/// Puts the supervisor's program file there.
///
/// By another process: a file that is open for writing here, and so in whatever another thread forks just then, cannot
/// be run.
///
/// # Panics
/// It cannot be copied.
pub fn copy_supervisor(to: &Path) {
    let copied = Command::new("cp").arg(binary("plc-supervisor")).arg(to).status();
    assert!(copied.is_ok_and(|status| status.success()), "cp {}", to.display());
}

fn program(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("plc-supervisor")
}

fn spawn(dir: &tempfile::TempDir, errors: &Errors) -> Child {
    let mut command = Command::new(program(dir));
    command.arg("--desk").arg(dir.path()).stderr(errors.stdio()).spawn().expect("a supervisor")
}

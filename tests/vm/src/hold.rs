// SPDX-License-Identifier: MIT OR Apache-2.0
//! The supervisor, stopped after each of its steps.
//!
//! The marker is strace in the machine: it sends a SIGSTOP at every call of a set. The signal is taken when the call
//! has been carried out and before the program sees the result; so when all is still, the last line of strace's log is
//! the step that was done. Nothing of this is in the product.

use std::{collections::HashMap, thread, time::Instant};

use crate::{LOOK_AGAIN, PATIENCE, Vm};

/// Calls that write back what the page cache holds.
pub const SYNC_CALLS: &str = "fsync,fdatasync,syncfs,sync,sync_file_range";

/// Calls that change names, or write back; what is written to a file is nowhere before that.
const FILE_CALLS: &str = "mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat,rename,renameat,renameat2,unlink,\
                              unlinkat,fsync,fdatasync,syncfs";

const LOG: &str = "/run/plc-hold.log";
const DONE: &str = "/run/plc-hold.done";

/// A supervisor under strace, at work on something.
#[derive(Debug)]
pub struct Hold<'a> {
    vm: &'a mut Vm,
    pid: u64,
    seen: usize,
}

/// What is next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// It stands after this call.
    Step(String),
    /// What it was to do is done; exit code and words.
    Done(i32, String),
}

impl Vm {
    /// Has the supervisor's calls changed by strace, in the words of its option `inject`, from now on.
    ///
    /// # Panics
    /// It does not run, or strace cannot be attached.
    pub fn inject(&mut self, calls: &str, what: &str) -> u64 {
        let pid = self.supervisor_pid();
        // A supervisor that stands still is not to be replaced.
        self.ok("systemctl service-watchdogs no");
        self.ok(&format!(
            "rm -f {LOG}\nsystemd-run --quiet --collect --unit=plc-hold \
             strace -f -q -y -o {LOG} -e trace={calls} -e inject={calls}:{what} -p {pid}"
        ));
        let script = format!(
            "for t in /proc/{pid}/task/*; do grep -q '^TracerPid:.[1-9]' $t/status || exit 1; done"
        );
        self.until("strace is attached", &script);
        pid
    }

    /// The supervisor's process.
    ///
    /// # Panics
    /// It does not run.
    pub fn supervisor_pid(&mut self) -> u64 {
        let text = self.ok("systemctl show --value -p MainPID plc-runtime.service");
        let pid = text.trim().parse().expect("a number");
        assert_ne!(pid, 0, "the supervisor runs");
        pid
    }

    /// Runs a script beside everything else and has the supervisor stand still after each step that it makes
    /// meanwhile.
    ///
    /// # Panics
    /// As [`Self::inject`].
    pub fn hold(&mut self, script: &str) -> Hold<'_> {
        let pid = self.inject(FILE_CALLS, "signal=STOP");
        self.ok(&format!(
            "rm -f {DONE} {DONE}.txt\n({script}; echo $? > {DONE}) > {DONE}.txt 2>&1 &"
        ));
        Hold { vm: self, pid, seen: 0 }
    }
}

impl Hold<'_> {
    /// The machine.
    pub fn vm(&mut self) -> &mut Vm {
        self.vm
    }

    /// Waits until the supervisor stands, or the script has ended.
    ///
    /// # Panics
    /// Neither happens within [`PATIENCE`].
    pub fn await_next(&mut self) -> Next {
        let begin = Instant::now();
        loop {
            let log = self.vm.ok(&format!("cat {LOG}"));
            let held = held(&log);
            if held.len() > self.seen {
                self.seen = held.len();
                return Next::Step(held.into_iter().next_back().unwrap_or_default());
            }
            let done = self.vm.run(&format!("cat {DONE} {DONE}.txt"));
            if let Some((code, text)) = done.text.split_once('\n').filter(|_| done.code == 0) {
                return Next::Done(code.trim().parse().expect("an exit code"), text.to_owned());
            }
            assert!(begin.elapsed() < PATIENCE, "nothing goes on: {log}");
            thread::sleep(LOOK_AGAIN / 4);
        }
    }

    /// Lets the supervisor go on to the next step.
    ///
    /// # Panics
    /// It is gone.
    pub fn go_on(&mut self) {
        let pid = self.pid;
        self.vm.ok(&format!("kill -CONT {pid}"));
    }

    /// Takes strace away; the supervisor goes on by itself.
    ///
    /// # Panics
    /// It is gone.
    pub fn release(self) {
        self.vm.release();
    }
}

impl Vm {
    /// Takes strace away; the supervisor goes on by itself.
    ///
    /// # Panics
    /// It is gone.
    pub fn release(&mut self) {
        let pid = self.supervisor_pid();
        self.ok(&format!("systemctl stop plc-hold.service\nkill -CONT {pid}"));
    }
}

/// The calls in a log after which their thread, and so its process, came to a standstill.
fn held(log: &str) -> Vec<String> {
    let mut held = Vec::new();
    let (mut begun, mut done) = (HashMap::new(), HashMap::new());
    for line in log.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if rest.starts_with("--- stopped by SIGSTOP") {
            held.extend(done.remove(thread));
        } else if let Some((call, _)) = rest.split_once(" <unfinished ...>") {
            begun.insert(thread, call);
        } else if let Some((_, result)) = rest.split_once(" resumed>") {
            done.insert(thread, begun.remove(thread).unwrap_or_default().to_owned() + result);
        } else if !rest.starts_with(['-', '+']) {
            done.insert(thread, rest.to_owned());
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use super::held;

    #[test]
    fn a_step_is_a_call_after_which_its_thread_stands() {
        let log = "7   mkdir(\"/s/a\", 0777) = 0\n\
                   7   --- SIGSTOP {si_signo=SIGSTOP, si_code=SI_KERNEL} ---\n\
                   7   --- stopped by SIGSTOP ---\n\
                   8   --- stopped by SIGSTOP ---\n\
                   7   --- SIGCONT {si_signo=SIGCONT, si_code=SI_USER} ---\n\
                   8   fsync(3</s/a> <unfinished ...>\n\
                   7   +++ exited with 0 +++\n\
                   8   <... fsync resumed>) = 0\n";
        assert_eq!(held(log), ["mkdir(\"/s/a\", 0777) = 0"]);
        let log = format!("{log}8   --- stopped by SIGSTOP ---\n");
        assert_eq!(held(&log)[1..], ["fsync(3</s/a>) = 0"]);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A process under `strace`: what it does to files, call by call, and its death just before one of these calls.
//!
//! Two facts about strace shape this. A signal injected with `when=N` comes before the N-th call is carried out, and N
//! is counted for each thread; so a call is aimed at by its name, one of its paths (`-P`), and its number among such
//! calls of its thread since strace came, and whoever aims looks at the log afterwards to see what was hit. And `--seccomp-bpf`
//! would be faster, but with it strace 6.1 injects no signal.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Calls that name or hold a file and leave it as it is. `openat` is one unless it creates or truncates.
const HARMLESS: &[&str] = &[
    "access",
    "chdir",
    "close",
    "dup",
    "dup2",
    "dup3",
    "epoll_ctl",
    "execve",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fchdir",
    "fcntl",
    "flock",
    "fstat",
    "fstatfs",
    "getcwd",
    "getdents64",
    "getxattr",
    "ioctl",
    "lseek",
    "lstat",
    "newfstatat",
    "open",
    "openat",
    "poll",
    "pread64",
    "read",
    "readlink",
    "readlinkat",
    "readv",
    "stat",
    "statfs",
    "statx",
    // What a socket carries may speak of a file; it does nothing to it.
    "recvfrom",
    "recvmsg",
    "sendmsg",
    "sendto",
];

/// One system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The thread.
    pub thread: u32,
    /// Its name.
    pub name: String,
    /// Its arguments as strace shows them.
    pub args: Vec<String>,
    /// What it returned, with the error's name; `?` if it never did.
    pub result: String,
    /// The line of the log at which it began.
    pub begin: usize,
    /// The line at which it returned.
    pub end: usize,
}

/// What a call does to the files below a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A file is created if it is not there, and emptied if the second says so.
    Open(PathBuf, bool),
    /// A file's content changes.
    Write(PathBuf),
    /// A file's content, or the names in a directory, are written back.
    Sync(PathBuf),
    /// A directory is made.
    MakeDir(PathBuf),
    /// From, to.
    Rename(PathBuf, PathBuf),
    /// A second name: from, to.
    Link(PathBuf, PathBuf),
    /// What the link says, and its place.
    Symlink(PathBuf, PathBuf),
    /// A name goes.
    Remove(PathBuf),
}

/// Runs a program under strace and records all that concerns files and sockets.
#[must_use]
pub fn record(log: &Path, program: &Path) -> Command {
    // Sockets too: an answer must not come before what it answers for is on disk.
    let mut command = strace(log);
    command.args(["-s", "160", "-e", "trace=%file,%desc,%network,io_uring_setup"]).arg(program);
    command
}

/// Kills a process just before the `when`-th call `name` of a thread that has this path. What is still to be said is
/// the program to run, or `-p` and the process to attach to, whose calls count from then on.
#[must_use]
pub fn kill_before(log: &Path, name: &str, path: &Path, when: usize) -> Command {
    inject(log, name, path, &format!("signal=KILL:when={when}"))
}

/// Has the first call `name` of each thread that has this path fail, as on a disk that is at its end. What is still to
/// be said is the program to run, or `-p` and the process to attach to.
#[must_use]
pub fn fail_first(log: &Path, name: &str, path: &Path) -> Command {
    inject(log, name, path, "error=EIO:when=1")
}

fn inject(log: &Path, name: &str, path: &Path, what: &str) -> Command {
    let mut command = strace(log);
    command
        .arg("-P")
        .arg(path)
        .args(["-e", &format!("trace={name}")])
        .args(["-e", &format!("inject={name}:{what}")]);
    command
}

fn strace(log: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-o"]).arg(log);
    command
}

/// The calls in a log, in the order in which they began.
///
/// # Panics
/// The log cannot be read: strace did not run.
#[must_use]
pub fn calls(log: &Path) -> Vec<Call> {
    let text = fs::read(log).unwrap_or_else(|error| {
        panic!("strace left no log ({error}); is it installed? `scripts/need test` does it")
    });
    let mut calls: Vec<Call> = Vec::new();
    let mut unfinished: HashMap<u32, usize> = HashMap::new();
    for (number, line) in String::from_utf8_lossy(&text).lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let (thread, rest) = (thread.parse().expect("a thread"), rest.trim_start());
        if let Some((_, more)) =
            rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>"))
        {
            // A thread that was attached in the middle of a call resumes one that never began here.
            if let Some(index) = unfinished.remove(&thread) {
                calls[index].finish(more, number);
            }
        } else if !rest.starts_with(['+', '-']) {
            let (name, rest) = rest.split_once('(').expect("a call");
            let mut call = Call {
                thread,
                name: name.to_owned(),
                args: Vec::new(),
                result: "?".to_owned(),
                begin: number,
                end: number,
            };
            match rest.split_once(" <unfinished ...>") {
                Some((begun, _)) => {
                    call.args = split(begun).0;
                    unfinished.insert(thread, calls.len());
                }
                None => call.finish(rest, number),
            }
            calls.push(call);
        }
    }
    calls
}

/// Whether some process of the log was killed.
#[must_use]
pub fn was_killed(log: &Path) -> bool {
    fs::read_to_string(log).is_ok_and(|text| text.contains("+++ killed by SIGKILL +++"))
}

impl Call {
    fn finish(&mut self, rest: &str, line: usize) {
        let (args, after) = split(rest);
        self.args.extend(args);
        after.trim_start().trim_start_matches("= ").clone_into(&mut self.result);
        self.end = line;
    }

    /// Whether it was refused, and so changed nothing.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.result.starts_with("-1")
    }

    /// What it does to files, or would if it were not refused; nothing if it only looks.
    ///
    /// # Panics
    /// It is none of the calls that are known here and has to do with a file below `dir`.
    #[must_use]
    pub fn change(&self, dir: &Path) -> Option<Change> {
        assert!(!self.name.starts_with("io_uring"), "what io_uring does cannot be seen: {self:?}");
        let change = self.known_change();
        if let Some(change) = &change {
            return change.paths().iter().any(|path| path.starts_with(dir)).then(|| change.clone());
        }
        let private = self.name == "mmap" && self.args[3].contains("MAP_PRIVATE");
        let prefix = dir.display().to_string();
        let concerned = self.args.iter().any(|arg| arg.contains(&prefix));
        assert!(
            !concerned || private || HARMLESS.contains(&&*self.name),
            "this may change a file in a way that is not followed here: {self:?}"
        );
        None
    }

    fn known_change(&self) -> Option<Change> {
        let change = match &*self.name {
            "open" => self.opens(self.path(0), 1)?,
            "creat" => Change::Open(self.path(0), true),
            "openat" => self.opens(self.at(0), 2)?,
            "write" | "pwrite64" | "writev" | "pwritev" | "pwritev2" | "ftruncate" => {
                Change::Write(self.descriptor(0)?)
            }
            "sendfile" => Change::Write(self.descriptor(0)?),
            "copy_file_range" | "splice" => Change::Write(self.descriptor(2)?),
            "fsync" | "fdatasync" => Change::Sync(self.descriptor(0)?),
            "mkdir" => Change::MakeDir(self.path(0)),
            "mkdirat" => Change::MakeDir(self.at(0)),
            "rename" => Change::Rename(self.path(0), self.path(1)),
            "renameat" | "renameat2" => Change::Rename(self.at(0), self.at(2)),
            "link" => Change::Link(self.path(0), self.path(1)),
            "linkat" => Change::Link(self.at(0), self.at(2)),
            "symlink" => Change::Symlink(self.path(0), self.path(1)),
            "symlinkat" => Change::Symlink(self.path(0), self.at(1)),
            "unlink" | "rmdir" => Change::Remove(self.path(0)),
            "unlinkat" => Change::Remove(self.at(0)),
            _ => return None,
        };
        Some(change)
    }

    /// The path by which strace can be aimed at this call: of a relative name, that of its directory.
    #[must_use]
    pub fn aim(&self) -> Option<PathBuf> {
        match &*self.name {
            // The link's own place; what it says is no path of this call.
            "symlink" => Some(self.path(1)),
            "symlinkat" => self.aim_at(1),
            _ if self.args[0].starts_with('"') => Some(self.path(0)),
            _ => self.aim_at(0),
        }
    }

    /// Whether strace, aimed at calls of this name with this path, takes this one for one of them.
    #[must_use]
    pub fn is_hit_by(&self, name: &str, path: &Path) -> bool {
        let (quoted, held) = (format!("\"{}\"", path.display()), format!("<{}>", path.display()));
        self.name == name && self.args.iter().any(|arg| *arg == quoted || arg.ends_with(&held))
    }

    /// The same call with paths relative to a directory, for comparing runs in different ones.
    #[must_use]
    pub fn with_root(mut self, dir: &Path) -> Self {
        let dir = format!("{}/", dir.display());
        self.args.iter_mut().for_each(|arg| *arg = arg.replace(&dir, "/"));
        self
    }

    fn aim_at(&self, index: usize) -> Option<PathBuf> {
        match self.args.get(index + 1) {
            Some(path) if path.starts_with("\"/") => Some(self.path(index + 1)),
            _ => self.descriptor(index),
        }
    }

    fn opens(&self, path: PathBuf, flags: usize) -> Option<Change> {
        let truncates = self.args[flags].contains("O_TRUNC");
        (truncates || self.args[flags].contains("O_CREAT")).then_some(Change::Open(path, truncates))
    }

    fn path(&self, index: usize) -> PathBuf {
        PathBuf::from(self.args[index].trim_matches('"'))
    }

    /// The path of a directory's descriptor and a name in it.
    fn at(&self, index: usize) -> PathBuf {
        self.descriptor(index).unwrap_or_default().join(self.path(index + 1))
    }

    fn descriptor(&self, index: usize) -> Option<PathBuf> {
        let (_, path) = self.args.get(index)?.split_once("<")?;
        Some(PathBuf::from(path.trim_end_matches("(deleted)").trim_end_matches('>')))
    }
}

impl Change {
    /// The same with paths relative to a directory.
    #[must_use]
    pub fn below(&self, dir: &Path) -> Self {
        let short = |path: &Path| path.strip_prefix(dir).unwrap_or(path).to_owned();
        match self {
            Self::Open(path, truncates) => Self::Open(short(path), *truncates),
            Self::Write(path) => Self::Write(short(path)),
            Self::Sync(path) => Self::Sync(short(path)),
            Self::MakeDir(path) => Self::MakeDir(short(path)),
            Self::Rename(from, to) => Self::Rename(short(from), short(to)),
            Self::Link(from, to) => Self::Link(short(from), short(to)),
            Self::Symlink(says, path) => Self::Symlink(says.clone(), short(path)),
            Self::Remove(path) => Self::Remove(short(path)),
        }
    }

    /// Everything that it names.
    #[must_use]
    pub fn paths(&self) -> Vec<&Path> {
        match self {
            Self::Open(path, _)
            | Self::Write(path)
            | Self::Sync(path)
            | Self::MakeDir(path)
            | Self::Symlink(_, path)
            | Self::Remove(path) => vec![path],
            Self::Rename(from, to) | Self::Link(from, to) => vec![from, to],
        }
    }
}

/// The arguments, and what follows their closing bracket.
fn split(text: &str) -> (Vec<String>, &str) {
    let (mut args, mut arg) = (Vec::new(), String::new());
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    for (index, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => (),
            ')' if depth == 0 => {
                args.extend((!arg.trim().is_empty()).then(|| arg.trim().to_owned()));
                return (args, &text[index + 1..]);
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                args.push(std::mem::take(&mut arg).trim().to_owned());
                continue;
            }
            _ => (),
        }
        arg.push(character);
    }
    args.extend((!arg.trim().is_empty()).then(|| arg.trim().to_owned()));
    (args, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(log: &str) -> Vec<Call> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), log).unwrap();
        calls(file.path())
    }

    #[test]
    fn a_call_that_another_thread_interrupts_is_put_together_again() {
        let calls = parsed(concat!(
            "7  rename(\"/s/a\", \"/s/b\" <unfinished ...>\n",
            "8  write(3</s/c>, \"x, \\\"y\\\")\", 7) = 7\n",
            "7  <... rename resumed>)           = -1 ENOENT (No such file or directory)\n",
            "7  +++ killed by SIGKILL +++\n",
        ));
        assert_eq!(calls.len(), 2);
        assert_eq!((calls[0].begin, calls[0].end, calls[0].failed()), (0, 2, true));
        let rename = Change::Rename("/s/a".into(), "/s/b".into());
        assert_eq!(calls[0].change(Path::new("/s")), Some(rename));
        assert_eq!((calls[1].end, &*calls[1].result), (1, "7"));
    }

    #[test]
    fn names_are_resolved_against_the_directory_they_are_in() {
        let calls = parsed(concat!(
            "7  unlinkat(5</s/programs/.trash-1>, \"extra\", AT_REMOVEDIR) = 0\n",
            "7  linkat(AT_FDCWD</>, \"/s/t/0\", AT_FDCWD</>, \"/s/p/x\", 0) = 0\n",
            "7  openat(AT_FDCWD</>, \"/s/x\", O_RDONLY|O_CLOEXEC) = 3</s/x>\n",
            "7  fsync(3</s/x>) = ?\n",
        ));
        let changes: Vec<_> = calls.iter().map(|call| call.change(Path::new("/s"))).collect();
        let expected = [
            Some(Change::Remove("/s/programs/.trash-1/extra".into())),
            Some(Change::Link("/s/t/0".into(), "/s/p/x".into())),
            None,
            Some(Change::Sync("/s/x".into())),
        ];
        assert_eq!(changes, expected);
        let aims: Vec<_> = calls.iter().filter_map(Call::aim).collect();
        assert_eq!(aims, ["/s/programs/.trash-1", "/s/t/0", "/s/x", "/s/x"].map(PathBuf::from));
    }

    #[test]
    #[should_panic(expected = "not followed here")]
    fn an_unknown_call_on_a_file_is_not_passed_over() {
        let calls = parsed("7  fallocate(3</s/x>, FALLOC_FL_PUNCH_HOLE, 0, 9) = 0\n");
        let _ = calls[0].change(Path::new("/s"));
    }
}

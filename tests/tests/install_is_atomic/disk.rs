// SPDX-License-Identifier: MIT OR Apache-2.0
//! A disk at its worst: a name or a content that was not synced may be on it after a power cut, or may not be, each
//! for itself and in any order. Fed with what a supervisor really did, it says after which call a power cut could
//! have left a current program that is neither the old nor the new one, whole, and which answers came too early.

use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
};

use plc_tests::strace::Change;

/// What a supervisor did, and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// With paths relative to the state directory.
    Did(Change),
    /// An answer to a client leaves.
    Replied,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Disk {
    nodes: Vec<Node>,
    /// What `current` may say; `None`: that there is no program.
    allowed: Vec<Option<String>>,
}

#[derive(Debug)]
enum Node {
    File { is_synced: bool },
    Link(PathBuf),
    Dir(BTreeMap<String, Name>),
}

/// What a name may lead to after a power cut; the last is what it leads to now.
#[derive(Debug)]
struct Name(Vec<Option<usize>>);

impl Name {
    fn now(&self) -> Option<usize> {
        self.0.last().copied().flatten()
    }
}

const ROOT: usize = 0;

impl Disk {
    /// A disk on which all that is in `state` now is safe.
    pub(crate) fn of(state: &Path, allowed: Vec<Option<String>>) -> Self {
        let mut disk = Self { nodes: Vec::new(), allowed };
        disk.copy(state);
        disk
    }

    fn copy(&mut self, place: &Path) -> usize {
        let id = self.add(Node::Dir(BTreeMap::new()));
        for entry in fs::read_dir(place).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            let child = if kind.is_dir() {
                self.copy(&entry.path())
            } else if kind.is_symlink() {
                self.add(Node::Link(fs::read_link(entry.path()).unwrap()))
            } else {
                self.add(Node::File { is_synced: true })
            };
            let name = entry.file_name().into_string().unwrap();
            self.names(id).insert(name, Name(vec![Some(child)]));
        }
        id
    }

    /// Plays all events; each fault is one sentence.
    pub(crate) fn play(mut self, events: &[Event]) -> Vec<String> {
        let mut faults = Vec::new();
        for (index, event) in events.iter().enumerate() {
            match event {
                Event::Did(change) => self.change(change),
                Event::Replied => faults.extend(self.undecided()),
            }
            let found = self.torn().into_iter().map(|fault| format!("after {event:?}: {fault}"));
            faults.extend(found.map(|fault| format!("event {index}, {fault}")));
        }
        faults
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Open(path, truncate) => match self.find(path) {
                Some(id) if *truncate => self.nodes[id] = Node::File { is_synced: false },
                Some(_) => (),
                None => {
                    let id = self.add(Node::File { is_synced: false });
                    self.set(path, Some(id));
                }
            },
            Change::Write(path) => {
                let id = self.must(path);
                self.nodes[id] = Node::File { is_synced: false };
            }
            Change::Sync(path) => {
                let id = self.must(path);
                self.sync(id);
            }
            Change::MakeDir(path) => {
                let id = self.add(Node::Dir(BTreeMap::new()));
                self.set(path, Some(id));
            }
            Change::Rename(from, to) => {
                let id = self.must(from);
                self.set(to, Some(id));
                self.set(from, None);
            }
            Change::Link(from, to) => {
                let id = self.must(from);
                self.set(to, Some(id));
            }
            Change::Symlink(says, path) => {
                let id = self.add(Node::Link(says.clone()));
                self.set(path, Some(id));
            }
            Change::Remove(path) => self.set(path, None),
        }
    }

    fn sync(&mut self, id: usize) {
        match &mut self.nodes[id] {
            Node::File { is_synced } => *is_synced = true,
            Node::Link(_) => (),
            Node::Dir(names) => {
                names.values_mut().for_each(|name| name.0 = vec![name.now()]);
                names.retain(|_, name| name.now().is_some());
            }
        }
    }

    /// What a client was told of and a power cut could undo.
    fn undecided(&self) -> Vec<String> {
        let state = self.dir(ROOT);
        let undecided = |name: &&str| state.get(*name).is_some_and(|name| name.0.len() > 1);
        let names = ["current", "wish"].into_iter().filter(undecided);
        names.map(|name| format!("an answer leaves before {name:?} is on disk")).collect()
    }

    /// What a power cut right now could leave in pieces.
    fn torn(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for wish in self.outcomes("wish").into_iter().flatten() {
            if matches!(self.nodes[wish], Node::File { is_synced: false }) {
                faults.push("the wish may be empty".to_owned());
            }
        }
        for current in self.outcomes("current") {
            let says = current.map(|id| match &self.nodes[id] {
                Node::Link(says) => says.clone(),
                other => panic!("`current` is {other:?}"),
            });
            let id = says.as_ref().and_then(|says| says.file_name()).map(|id| id.to_str().unwrap());
            if !self.allowed.iter().any(|allowed| allowed.as_deref() == id) {
                faults.push(format!("the current program may be {id:?}"));
            }
            if let Some(fault) = says.as_ref().and_then(|says| self.incomplete(says)) {
                faults.push(format!("the current program may be {id:?}, and {fault}"));
            }
        }
        faults
    }

    fn outcomes(&self, name: &str) -> Vec<Option<usize>> {
        self.dir(ROOT).get(name).map_or_else(|| vec![None], |name| name.0.clone())
    }

    /// Why what is at `path` may not be there in full.
    fn incomplete(&self, path: &Path) -> Option<String> {
        let mut id = ROOT;
        for name in names(path) {
            match self.dir(id).get(&name).map(|name| &name.0[..]) {
                Some([Some(child)]) => id = *child,
                _ => return Some(format!("the name {name:?} may be missing")),
            }
        }
        self.incomplete_node(id, path)
    }

    fn incomplete_node(&self, id: usize, path: &Path) -> Option<String> {
        match &self.nodes[id] {
            Node::File { is_synced: false } => {
                Some(format!("the content of {} may be missing", path.display()))
            }
            Node::File { .. } | Node::Link(_) => None,
            Node::Dir(names) => names.iter().find_map(|(name, to)| match to.0[..] {
                [Some(child)] => self.incomplete_node(child, &path.join(name)),
                _ => Some(format!("the name {name:?} in {} may be missing", path.display())),
            }),
        }
    }

    fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn dir(&self, id: usize) -> &BTreeMap<String, Name> {
        match &self.nodes[id] {
            Node::Dir(names) => names,
            other => panic!("not a directory: {other:?}"),
        }
    }

    fn names(&mut self, id: usize) -> &mut BTreeMap<String, Name> {
        match &mut self.nodes[id] {
            Node::Dir(names) => names,
            other => panic!("not a directory: {other:?}"),
        }
    }

    fn find(&self, path: &Path) -> Option<usize> {
        names(path).iter().try_fold(ROOT, |id, name| self.dir(id).get(name)?.now())
    }

    fn must(&self, path: &Path) -> usize {
        self.find(path).unwrap_or_else(|| panic!("{} is not there", path.display()))
    }

    fn set(&mut self, path: &Path, to: Option<usize>) {
        let parent = self.must(path.parent().unwrap());
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        self.names(parent).entry(name).or_insert_with(|| Name(vec![None])).0.push(to);
    }
}

fn names(path: &Path) -> Vec<String> {
    let normal = |part| match part {
        Component::Normal(name) => Some(name.to_str().unwrap().to_owned()),
        _ => None,
    };
    path.components().filter_map(normal).collect()
}

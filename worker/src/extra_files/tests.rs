// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that come, change their files, go, and are not loaded, in a working directory.

use std::{fs, os::unix::fs::symlink};

use tempfile::TempDir;

use super::{former::FORMER, *};

struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("work")).unwrap();
        Self { dir }
    }

    /// As of a program that starts.
    fn install(&self, id: &str, files: &[(&str, &str)]) -> anyhow::Result<BTreeSet<FileName>> {
        let names = self.attempt(id, files)?;
        keep(&self.work(""))?;
        assert!(!self.work(FORMER).exists());
        Ok(names)
    }

    /// As of a program that may not be loaded.
    fn attempt(&self, id: &str, files: &[(&str, &str)]) -> anyhow::Result<BTreeSet<FileName>> {
        let program = self.dir.path().join(id);
        if !program.exists() {
            fs::create_dir_all(program.join("extra")).unwrap();
            for (name, text) in files {
                fs::write(program.join("extra").join(name), text).unwrap();
            }
        }
        install(&program, id, &self.work(""))
    }

    fn work(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("work").join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.work(name)).unwrap()
    }
}

#[test]
fn a_new_program_s_files_take_the_place_of_the_old_one_s() {
    let place = Place::new();
    fs::write(place.work("mine.dat"), "of the program itself").unwrap();
    place.install("1-a", &[("a.txt", "a"), ("both.txt", "old")]).unwrap();
    place.install("2-b", &[("b.txt", "b"), ("both.txt", "new")]).unwrap();
    assert!(!place.work("a.txt").exists());
    assert_eq!(place.read("b.txt"), "b");
    assert_eq!(place.read("both.txt"), "new");
    assert_eq!(place.read("mine.dat"), "of the program itself");
}

#[test]
fn what_a_program_wrote_into_its_files_is_there_after_a_restart() {
    let place = Place::new();
    let files = [("settings.csv", "factory"), ("other.csv", "there")];
    place.install("1-a", &files).unwrap();
    fs::write(place.work("settings.csv"), "changed").unwrap();
    fs::remove_file(place.work("other.csv")).unwrap();
    let names = place.install("1-a", &files).unwrap();
    assert_eq!(names.len(), 2);
    assert_eq!(place.read("settings.csv"), "changed");
    assert_eq!(place.read("other.csv"), "there");
    place.install("2-a", &files).unwrap();
    assert_eq!(place.read("settings.csv"), "factory");
}

#[test]
fn no_link_in_the_working_directory_is_followed() {
    let place = Place::new();
    let outside = place.dir.path().join("outside");
    fs::write(&outside, "precious").unwrap();
    for name in ["a.txt", "gone.txt", LIST, NEW, FORMER] {
        symlink(&outside, place.work(name)).unwrap();
    }
    place.install("1-a", &[("a.txt", "a")]).unwrap();
    assert_eq!(fs::read_to_string(&outside).unwrap(), "precious");
    assert_eq!(place.read("a.txt"), "a");
    assert!(!place.work("a.txt").is_symlink());
    assert!(!place.work(LIST).is_symlink());
    fs::remove_file(place.work("a.txt")).unwrap();
    symlink(&outside, place.work("a.txt")).unwrap();
    place.install("1-a", &[]).unwrap();
    assert!(!place.work("a.txt").is_symlink());
    assert_eq!(fs::read_to_string(&outside).unwrap(), "precious");
}

#[test]
fn a_forged_list_removes_nothing_outside() {
    let place = Place::new();
    let outside = place.dir.path().join("outside");
    fs::write(&outside, "precious").unwrap();
    fs::write(place.work("retain_buffer_file"), "retained").unwrap();
    let names = format!("0-x\n../outside\n{}\nretain_buffer_file\n", outside.display());
    fs::write(place.work(LIST), names).unwrap();
    place.install("1-a", &[]).unwrap();
    assert!(outside.exists());
    assert!(place.work("retain_buffer_file").exists());
}

#[test]
fn a_name_of_ours_is_refused() {
    let place = Place::new();
    let error = place.install("1-a", &[(LIST, "x")]).unwrap_err();
    assert!(error.to_string().contains(LIST), "{error}");
}

#[test]
fn files_of_an_interrupted_copy_are_remembered() {
    let place = Place::new();
    // A directory is in the way, so the copy of the second file fails.
    fs::create_dir(place.work("b.txt")).unwrap();
    let error = place.install("1-a", &[("a.txt", "a"), ("b.txt", "b")]).unwrap_err();
    assert!(format!("{error:#}").contains("b.txt"), "{error:#}");
    let error = place.install("2-b", &[]).unwrap_err();
    assert!(format!("{error:#}").contains("b.txt"), "{error:#}");
    fs::remove_dir(place.work("b.txt")).unwrap();
    place.install("2-b", &[]).unwrap();
    assert!(!place.work("a.txt").exists());
}

/// A place where the program 1-a has changed its settings and removed a file.
fn changed() -> Place {
    let place = Place::new();
    place.install("1-a", &A).unwrap();
    fs::write(place.work("settings.csv"), "changed").unwrap();
    fs::remove_file(place.work("removed.csv")).unwrap();
    place
}

const A: [(&str, &str); 3] =
    [("a.txt", "a"), ("removed.csv", "factory"), ("settings.csv", "factory")];
const B: [(&str, &str); 4] =
    [("a.txt", "new"), ("b.txt", "b"), ("removed.csv", "new"), ("settings.csv", "new")];

fn assert_as_a_left_it(place: &Place) {
    place.install("1-a", &A).unwrap();
    let files = ["a.txt", "removed.csv", "settings.csv"].map(|name| place.read(name));
    assert_eq!(files, ["a", "factory", "changed"]);
    assert!(!place.work("b.txt").exists());
    // And nothing of them is forgotten: the next program that starts takes their place.
    place.install("3-c", &[]).unwrap();
    assert!(A.iter().all(|(name, _)| !place.work(name).exists()));
}

#[test]
fn a_program_that_is_not_loaded_leaves_the_former_one_s_files_as_they_were() {
    let place = changed();
    for id in ["2-b", "2-b", "3-b"] {
        place.attempt(id, &B).unwrap();
        assert_eq!(["b.txt", "settings.csv"].map(|name| place.read(name)), ["b", "new"]);
    }
    assert_as_a_left_it(&place);
}

#[test]
fn after_an_attempt_that_failed_the_next_program_has_its_files_alone() {
    let place = changed();
    place.attempt("2-b", &B).unwrap();
    place.install("3-c", &[("a.txt", "c")]).unwrap();
    assert_eq!(place.read("a.txt"), "c");
    let mut names: Vec<_> = fs::read_dir(place.work("")).unwrap().flatten().collect();
    names.retain(|entry| entry.file_name() != LIST);
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn the_former_files_come_back_wherever_it_was_interrupted() {
    let former = format!("{FORMER}/settings.csv");
    // While they were put aside.
    let place = changed();
    let work = File::open(place.work("")).unwrap();
    let (owner, names) = read_list(work.as_fd());
    former::put_aside(work.as_fd(), &owner, &names).unwrap();
    fs::rename(place.work(&former), place.work("settings.csv")).unwrap();
    assert_as_a_left_it(&place);
    // While the new ones were copied.
    let place = changed();
    fs::create_dir(place.work("b.txt")).unwrap();
    place.attempt("2-b", &B).unwrap_err();
    fs::remove_dir(place.work("b.txt")).unwrap();
    assert_as_a_left_it(&place);
    // While they were brought back.
    let place = changed();
    place.attempt("2-b", &B).unwrap();
    let work = File::open(place.work("")).unwrap();
    B.iter().for_each(|(name, _)| fs::remove_file(place.work(name)).unwrap());
    write_list(work.as_fd(), &owner, &names).unwrap();
    fs::rename(place.work(&former), place.work("settings.csv")).unwrap();
    assert_as_a_left_it(&place);
    // While they were given up.
    let place = changed();
    place.attempt("2-b", &B).unwrap();
    fs::remove_file(place.work(FORMER).join(LIST)).unwrap();
    place.install("2-b", &B).map(drop).unwrap();
    assert_eq!(place.read("settings.csv"), "new");
}

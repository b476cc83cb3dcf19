// SPDX-License-Identifier: MIT OR Apache-2.0
//! `plcctl install`: a program and its extra files in chunks, then one request that puts them in place.
//!
//! The supervisor names a blob by the MD5 of its seed and all chunks so far. We compute the same and compare
//! after every chunk, as an IDE does; a difference ends the transfer, nothing is sent twice.

use std::{
    fs,
    path::{Path, PathBuf},
};

use md5::{Digest as _, Md5};
use plc_api::{
    limits,
    message::{ExtraFile, InstallRequest, Reply, Request, WhenRunning},
    plc::PlcStatus,
    program::{BlobId, FileName, ProgramMd5},
};

use crate::{
    answer::Answer,
    cli::InstallArgs,
    control::give_state,
    failure::Failure,
    progress::Progress,
    session::{Session, unexpected},
    terminal,
};

/// What is to be installed, checked as far as it can be without the runtime.
#[derive(Debug)]
pub(crate) struct Plan {
    library: Vec<u8>,
    /// Of the library, for people.
    name: String,
    md5: ProgramMd5,
    extra: Vec<Extra>,
    when_running: WhenRunning,
}

#[derive(Debug)]
struct Extra {
    name: FileName,
    path: PathBuf,
    bytes: u64,
}

impl Plan {
    /// Reads the library and looks at the extra files.
    ///
    /// # Errors
    /// [`Failure::Usage`] for what the command line got wrong, [`Failure::Failed`] for a file that cannot be read.
    pub(crate) fn new(args: &InstallArgs) -> Result<Self, Failure> {
        let bytes = file_size(&args.program)?;
        let extra = extra_files(&args.extra)?;
        let total = extra.iter().map(|file| file.bytes).sum::<u64>() + bytes;
        if total > limits::SESSION_BLOB_BYTES {
            return Err(Failure::Failed(format!(
                "program and extra files are {total} bytes; the runtime takes {} at most",
                limits::SESSION_BLOB_BYTES
            )));
        }
        let library = read(&args.program)?;
        let md5 = match &args.md5 {
            Some(text) => ProgramMd5::new(text).map_err(|error| Failure::Usage(error.to_string())),
            None => ProgramMd5::new(&BlobId(Md5::digest(&library).into()).to_string())
                .map_err(|error| Failure::Failed(error.to_string())),
        }?;
        Ok(Self {
            library,
            name: shown_name(&args.program),
            md5,
            extra,
            when_running: if args.restart { WhenRunning::Restart } else { WhenRunning::Refuse },
        })
    }

    fn total(&self) -> u64 {
        size(&self.library) + self.extra.iter().map(|file| file.bytes).sum::<u64>()
    }
}

pub(crate) async fn run(session: &Session, answer: &mut Answer, plan: Plan) -> Result<(), Failure> {
    let runs = session.snapshot().status == PlcStatus::Started;
    if runs && plan.when_running == WhenRunning::Refuse {
        return Err(Failure::Refused(
            "the PLC runs; stop it first (plcctl stop), or let --restart do it".into(),
        ));
    }
    let progress = Progress::new(plan.total());
    let program_id = install(session, plan, progress).await?;
    let next = match session.snapshot().status {
        PlcStatus::Started => "the PLC runs",
        PlcStatus::Stopped => "start it with: plcctl start",
        PlcStatus::Empty | PlcStatus::Broken => "see: plcctl status",
    };
    give_state(session, answer, &format!("Program {program_id} is installed; {next}\n"))
}

/// Transfers the files, has them installed, and returns the program's id.
pub(crate) async fn install(
    session: &Session,
    plan: Plan,
    mut progress: Progress,
) -> Result<String, Failure> {
    let mut extra_files = Vec::new();
    for file in &plan.extra {
        let (name, data) = (file.name.as_str(), read(&file.path)?);
        // A name has no NUL, so no other name with another content has the same digest.
        let seed = format!("{name}\0");
        extra_files.push(ExtraFile {
            name: file.name.clone(),
            blob: send(session, &mut progress, name, &seed, &data).await?,
        });
    }
    let seed = plan.md5.as_str();
    let library = send(session, &mut progress, &plan.name, seed, &plan.library).await?;
    progress.all_done("installing ...");
    let request = Request::Install(InstallRequest {
        md5: plan.md5,
        library,
        extra_files,
        when_running: plan.when_running,
    });
    let Reply::Installed { program_id } = session.call(request).await? else {
        return Err(unexpected());
    };
    Ok(program_id)
}

/// Transfers one file and returns its final id.
async fn send(
    session: &Session,
    progress: &mut Progress,
    name: &str,
    seed: &str,
    data: &[u8],
) -> Result<BlobId, Failure> {
    let mut digest = Md5::new_with_prefix(seed);
    let request = Request::SeedBlob { seed: seed.as_bytes().to_vec() };
    let mut blob = agreed(name, &session.call(request).await?, &digest)?;
    for chunk in data.chunks(limits::CHUNK_BYTES) {
        digest.update(chunk);
        let request = Request::AppendChunk { blob, data: chunk.to_vec() };
        blob = agreed(name, &session.call(request).await?, &digest)?;
        progress.advance(name, size(chunk));
    }
    progress.file_done(name, size(data));
    Ok(blob)
}

/// The blob's id, if both sides have seen the same bytes.
fn agreed(name: &str, reply: &Reply, digest: &Md5) -> Result<BlobId, Failure> {
    let Reply::Blob(theirs) = reply else {
        return Err(unexpected());
    };
    let ours = BlobId(digest.clone().finalize().into());
    if *theirs == ours {
        Ok(*theirs)
    } else {
        Err(Failure::Failed(format!(
            "{name} was damaged on its way (the runtime has {theirs}, not {ours}); \
             nothing was installed, try again"
        )))
    }
}

/// The files that were named, and those in directories that were named, by name.
fn extra_files(paths: &[PathBuf]) -> Result<Vec<Extra>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            for entry in fs::read_dir(path).map_err(|error| cannot_read(path, &error))? {
                let inner = entry.map_err(|error| cannot_read(path, &error))?.path();
                if inner.is_dir() {
                    let shown = inner.display();
                    terminal::note(&format!("{shown} is left out: extra files have no folders"));
                } else {
                    files.push(extra_file(inner)?);
                }
            }
        } else {
            files.push(extra_file(path.clone())?);
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(same) = files.windows(2).find_map(|pair| match pair {
        [a, b] if a.name == b.name => Some(&a.name),
        _ => None,
    }) {
        return Err(Failure::Usage(format!(
            "there are two extra files of the name {same}; they would lie in one place"
        )));
    }
    if files.len() > limits::EXTRA_FILES {
        return Err(Failure::Failed(format!(
            "{} extra files; the runtime takes {} at most",
            files.len(),
            limits::EXTRA_FILES
        )));
    }
    Ok(files)
}

fn extra_file(path: PathBuf) -> Result<Extra, Failure> {
    let name = path.file_name().map(|name| name.to_string_lossy());
    let name = FileName::new(&name.unwrap_or_default())
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let bytes = file_size(&path)?;
    Ok(Extra { name, path, bytes })
}

fn file_size(path: &Path) -> Result<u64, Failure> {
    let metadata = fs::metadata(path).map_err(|error| cannot_read(path, &error))?;
    if metadata.is_file() {
        Ok(metadata.len())
    } else {
        let shown = path.display();
        Err(Failure::Usage(format!("{shown} is not a file")))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| cannot_read(path, &error))
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("cannot read {}: {error}", path.display()))
}

fn shown_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    terminal::printable(&name.to_string_lossy(), 0)
}

fn size(data: &[u8]) -> u64 {
    u64::try_from(data.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &[PathBuf]) -> Result<Vec<String>, Failure> {
        let files = extra_files(paths)?;
        Ok(files.iter().map(|file| file.name.to_string()).collect())
    }

    #[test]
    fn a_directory_gives_its_files_and_not_its_folders() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("b.csv"), "b").unwrap();
        fs::write(dir.path().join("a.csv"), "a").unwrap();
        fs::create_dir(dir.path().join("folder")).unwrap();
        assert_eq!(names(&[dir.path().to_owned()]).unwrap(), ["a.csv", "b.csv"]);
    }

    #[test]
    fn two_extra_files_of_one_name_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.csv");
        fs::write(&file, "a").unwrap();
        let twice = names(&[file, dir.path().to_owned()]);
        assert!(matches!(twice, Err(Failure::Usage(_))));
    }

    #[test]
    fn the_md5_text_is_that_of_the_library_unless_it_is_given() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("p.so");
        fs::write(&program, "abc").unwrap();
        let mut args = InstallArgs { program, extra: Vec::new(), md5: None, restart: false };
        let plan = Plan::new(&args).unwrap();
        assert_eq!(plan.md5.as_str(), "900150983cd24fb0d6963f7d28e17f72");
        args.md5 = Some("F".repeat(32));
        assert_eq!(Plan::new(&args).unwrap().md5.as_str(), "F".repeat(32));
        args.md5 = Some("short".into());
        assert!(matches!(Plan::new(&args), Err(Failure::Usage(_))));
    }

    #[test]
    fn a_blob_with_another_id_is_damaged() {
        let digest = Md5::new_with_prefix("abc");
        let right = BlobId(digest.clone().finalize().into());
        assert_eq!(agreed("x", &Reply::Blob(right), &digest).unwrap(), right);
        assert!(agreed("x", &Reply::Blob(BlobId::EMPTY), &digest).is_err());
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is done with the PLC as soon as it can be reached: a program to install, a start.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use md5::{Digest as _, Md5};
use plc_api::{
    client::Client,
    limits,
    message::{InstallRequest, Reply, Request, WhenRunning},
    plc::PlcStatus,
    program::{BlobId, ProgramMd5},
};

use crate::{args::Args, programs, screen::Screen};

/// What the command line wants to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// Leave it to the supervisor, which knows what was wished last.
    Nothing,
    /// Run what is installed.
    Start,
    /// Install this and run it.
    Install(PathBuf),
}

impl Opening {
    /// Decides; `scratch` says that the PLC begins empty and nobody named its place.
    pub(crate) fn of(args: &Args, scratch: bool, screen: &Screen) -> Self {
        if let Some(program) = &args.program {
            return Self::Install(program.clone());
        }
        if scratch && !args.no_sample {
            if let Some(sample) = programs::sample() {
                return Self::Install(sample);
            }
            screen.say("there is no sample program here; the PLC is empty, connect an IDE");
        }
        if args.autostart == 0 { Self::Nothing } else { Self::Start }
    }

    /// Does it.
    ///
    /// # Errors
    /// The program cannot be read, or the supervisor's reason.
    pub(crate) async fn carry_out(self, api: &Path) -> anyhow::Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Start => {
                let client = connect(api).await?;
                match client.snapshot().status {
                    PlcStatus::Stopped => start(&client).await,
                    PlcStatus::Started | PlcStatus::Empty | PlcStatus::Broken => Ok(()),
                }
            }
            Self::Install(program) => {
                let client = connect(api).await?;
                install(&client, &program)
                    .await
                    .with_context(|| format!("{} is not installed", program.display()))?;
                start(&client).await
            }
        }
    }
}

/// A conversation of ours with the supervisor.
///
/// # Errors
/// It cannot be reached.
pub(crate) async fn connect(api: &Path) -> anyhow::Result<Client> {
    Ok(Client::connect(api, "plc-local", "the desk", None).await?)
}

/// Starts the program, unless it runs already.
async fn start(client: &Client) -> anyhow::Result<()> {
    if client.snapshot().status != PlcStatus::Started {
        client.call(Request::Start).await?;
    }
    Ok(())
}

async fn install(client: &Client, program: &Path) -> anyhow::Result<()> {
    let library = fs::read(program)?;
    let digest: [u8; 16] = Md5::digest(&library).into();
    let md5 = ProgramMd5::new(&BlobId(digest).to_string())?;
    let seed = md5.as_str().as_bytes().to_vec();
    let mut blob = blob(&client.call(Request::SeedBlob { seed }).await?)?;
    for chunk in library.chunks(limits::CHUNK_BYTES) {
        let data = chunk.to_vec();
        blob = self::blob(&client.call(Request::AppendChunk { blob, data }).await?)?;
    }
    let request = InstallRequest {
        md5,
        library: blob,
        extra_files: Vec::new(),
        when_running: WhenRunning::Restart,
    };
    client.call(Request::Install(request)).await?;
    Ok(())
}

fn blob(reply: &Reply) -> anyhow::Result<BlobId> {
    let Reply::Blob(blob) = reply else {
        bail!("the supervisor answered {reply:?}");
    };
    Ok(*blob)
}

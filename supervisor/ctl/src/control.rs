// SPDX-License-Identifier: MIT OR Apache-2.0
//! `plcctl start`, `stop`, `rollback`, `repair`, `reload`: one request each, then the state after it.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use plc_api::message::{Reply, Request};

use crate::{
    answer::Answer,
    cli::RepairArgs,
    failure::Failure,
    render,
    session::{Session, unexpected},
    status::{State, UPGRADE_WAITS},
};

pub(crate) async fn start(session: &Session, answer: &mut Answer) -> Result<(), Failure> {
    done(session, Request::Start).await?;
    give_state(session, answer, "The PLC runs.\n")
}

pub(crate) async fn stop(session: &Session, answer: &mut Answer) -> Result<(), Failure> {
    done(session, Request::Stop).await?;
    give_state(session, answer, "The PLC is stopped.\n")
}

pub(crate) async fn repair(session: &Session, answer: &mut Answer) -> Result<(), Failure> {
    done(session, Request::Repair).await?;
    give_state(session, answer, "The PLC is empty; install a program with: plcctl install\n")
}

pub(crate) async fn rollback(session: &Session, answer: &mut Answer) -> Result<(), Failure> {
    let Reply::Installed { program_id } = session.call(Request::Rollback).await? else {
        return Err(unexpected());
    };
    let state = render::state(&session.snapshot());
    let text = format!("Program {program_id} is back; the PLC is {state}.\n");
    give_state(session, answer, &text)
}

pub(crate) async fn reload(session: &Session, answer: &mut Answer) -> Result<(), Failure> {
    done(session, Request::Reload).await?;
    let mut text = String::from("The configuration was read again.\n");
    if session.snapshot().upgrade_waits {
        text.push_str(&format!("A program runs, so {UPGRADE_WAITS}\n"));
    }
    give_state(session, answer, &text)
}

/// Asks whether the program may be forgotten.
///
/// # Errors
/// [`Failure::Usage`] where nobody can be asked, [`Failure::Failed`] when the answer is no.
pub(crate) fn confirm_repair(args: &RepairArgs) -> Result<(), Failure> {
    if args.yes {
        return Ok(());
    }
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::Usage(
            "repair forgets the installed program; say --yes where nobody can be asked".into(),
        ));
    }
    let mut stderr = io::stderr();
    write!(stderr, "This stops the PLC and forgets its program. Go on? [y/N] ")?;
    stderr.flush()?;
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    match line.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::Failed("nothing was done".into())),
    }
}

/// Answers with the state as it is now, or for people with `text`.
pub(crate) fn give_state(
    session: &Session,
    answer: &mut Answer,
    text: &str,
) -> Result<(), Failure> {
    answer.give(&State::from(session.snapshot().as_ref()), |_| text.to_owned())
}

async fn done(session: &Session, request: Request) -> Result<(), Failure> {
    let Reply::Done = session.call(request).await? else {
        return Err(unexpected());
    };
    Ok(())
}

//! A program that gets a notice as JSON on its standard input. It runs below the keeper like a job, with an agent's environment, and what it prints is dropped.

use std::{convert::Infallible, path::Path, time::Duration};

use loopsy_shared::text::inert;
use tokio::io::AsyncWriteExt as _;

use super::{
    Notice,
    ways::{self, Outcome, PATIENCE},
};
use crate::{
    agents::on_path,
    jobs::{
        Jobs,
        process::{Process, ProcessSpec},
    },
};

/// Runs it, and ends it when its time is up.
pub(super) async fn run(jobs: &Jobs, command: &[String], notice: &Notice) -> Outcome {
    let Some((program, args)) = command.split_first() else { return Ok(()) };
    let json = ways::json(notice)?;
    let path = if Path::new(program).is_absolute() {
        program.clone()
    } else {
        let found = on_path(jobs.variable("PATH").unwrap_or_default(), program);
        found.and_then(|path| path.into_os_string().into_string().ok()).ok_or("is not on the daemon's `PATH`. Name it by its whole path.")?
    };
    let spec = ProcessSpec {
        id: format!("notice-{}", uuid::Uuid::new_v4()),
        program: path,
        args: args.to_vec(),
        cwd: jobs.variable("HOME").filter(|home| Path::new(home).is_absolute()).unwrap_or("/").to_owned(),
        env: jobs.agent_environment(&[], |_| false).into_iter().collect(),
    };
    let started = tokio::time::timeout(PATIENCE, jobs.process(spec)).await.map_err(|_| late())?;
    let Process { mut stdin, mut stdout, mut stderr, mut life, .. } = started.map_err(|error| format!("cannot be started: {}.", inert(&error.to_string())))?;
    let talk = async {
        let told = async {
            // A program that does not want to know may close it.
            let _not_read = stdin.write_all(&json).await;
            drop(stdin);
        };
        // Both until an error: what it prints is read so that it does not stand still or die of it.
        let (mut nowhere, mut nowhere_either) = (tokio::io::sink(), tokio::io::sink());
        let _dropped = tokio::join!(told, tokio::io::copy(&mut stdout, &mut nowhere), tokio::io::copy(&mut stderr, &mut nowhere_either));
        std::future::pending::<Infallible>().await
    };
    let ended = tokio::select! {
        ended = life.ended() => Some(ended),
        never = talk => match never {},
        () = tokio::time::sleep(PATIENCE) => None,
    };
    let Some(ended) = ended else {
        life.kill(Duration::ZERO).await;
        return Err(late());
    };
    match (ended.code, ended.signal) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(format!("ended with code {code}.")),
        (None, signal) => Err(format!("was ended by signal {}.", signal.unwrap_or_default())),
    }
}

fn late() -> String {
    format!("was not done in {} seconds.", PATIENCE.as_secs())
}

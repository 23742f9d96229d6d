//! Stops the daemon that holds this data directory's lock, and no other process.

use std::time::{Duration, Instant};

use loopsy_shared::{
    api::health::GetHealth,
    client::{Client, Transport, authority},
};
use rustix::process::{Pid, Signal, kill_process};

use super::lock::{self, Lock};
use crate::{context::Ctx, error::Error};

/// How long a daemon may take to end its jobs and close its store.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(5);

/// A daemon that was stopped.
#[derive(Debug)]
pub(super) struct Stopped {
    pub pid: i32,
    pub killed: bool,
}

/// Stops it; `None` when there was none.
pub(super) async fn stop(ctx: &Ctx) -> Result<Option<Stopped>, Error> {
    if is_free(ctx)? {
        return Ok(None);
    }
    let Some(holder) = lock::holder(&ctx.dir) else {
        return Err(Error::failure(format!("A process holds {}, but it cannot be found.", ctx.dir.lock().display()))
            .hint("It may belong to another user or container. Stop it there."));
    };
    if !holder.certain {
        verify(ctx).await?;
    }
    let failed = |e: rustix::io::Errno| Error::failure(format!("Process {} cannot be stopped: {e}.", holder.pid));
    let Some(pid) = Pid::from_raw(holder.pid) else { return Err(Error::failure("The daemon's process id is not valid.")) };
    for (signal, killed) in [(Signal::TERM, false), (Signal::KILL, true)] {
        match kill_process(pid, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(e) => return Err(failed(e)),
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if is_free(ctx)? {
                return Ok(Some(Stopped { pid: holder.pid, killed }));
            }
            tokio::time::sleep(STEP).await;
        }
    }
    Err(Error::failure(format!("Process {} does not end, not even by force.", holder.pid)))
}

/// Whether no daemon lives; then what it left behind is removed.
fn is_free(ctx: &Ctx) -> Result<bool, Error> {
    let state = lock::probe(&ctx.dir).map_err(|e| Error::file(ctx.dir.lock(), &e))?;
    let free = matches!(state, Lock::Free { .. });
    if free {
        for stale in [ctx.dir.pid(), ctx.dir.runtime()] {
            let _may_be_gone = std::fs::remove_file(stale);
        }
    }
    drop(state);
    Ok(free)
}

/// When only a file names the process, the node that answers must be the one of this directory.
async fn verify(ctx: &Ctx) -> Result<(), Error> {
    let Some(runtime) = lock::runtime(&ctx.dir) else { return Ok(()) };
    let address = authority(&runtime.host, runtime.port);
    let client = Client::new(Transport::default(), address.clone(), None)?;
    match tokio::time::timeout(Duration::from_secs(2), client.call(GetHealth {})).await {
        Ok(Ok(health)) if health.node_id != runtime.node_id => {
            Err(Error::failure(format!("Another node answers at {address}; nothing was stopped.")).hint("Stop it with its own `--data-dir`."))
        }
        _ => Ok(()),
    }
}

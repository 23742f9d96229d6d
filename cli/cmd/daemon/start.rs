//! Starts a daemon in the background, and does not say that it runs before it answers.

use std::{
    io::{Read, Seek, SeekFrom},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use loopsy_shared::{
    api::health::GetHealth,
    client::{Client, Runtime, Transport, authority},
};

use super::lock::{self, Lock};
use crate::{
    context::Ctx,
    error::{Error, FAILURE, UNREACHABLE},
};

/// How long a daemon may take until it answers. A large store that must be recovered is the slowest case.
const PATIENCE: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(5);

/// The daemon that runs now, and whether it was started by this call.
pub(super) async fn start(ctx: &Ctx) -> Result<(Runtime, bool), Error> {
    ctx.local()?;
    let transport = Transport::default();
    let deadline = Instant::now() + PATIENCE;
    if matches!(lock::probe(&ctx.dir).map_err(|e| Error::file(ctx.dir.lock(), &e))?, Lock::Held) {
        return wait_for_other(ctx, &transport, deadline).await.map(|runtime| (runtime, false));
    }
    let mut log = super::open_log(ctx)?;
    let before = log.seek(SeekFrom::End(0)).map_err(|e| Error::file(ctx.dir.log(), &e))?;
    let mut child = spawn(ctx, &log)?;
    let pid = child.id().cast_signed();
    loop {
        if let Some(runtime) = lock::runtime(&ctx.dir).filter(|runtime| runtime.pid == pid)
            && answers(&transport, &runtime).await
        {
            return Ok((runtime, true));
        }
        if let Some(status) = child.try_wait()? {
            // Two `start` at once: the other one's daemon holds the lock.
            if matches!(lock::probe(&ctx.dir), Ok(Lock::Held)) {
                return wait_for_other(ctx, &transport, deadline).await.map(|runtime| (runtime, false));
            }
            return Err(ended(ctx, before, status));
        }
        if Instant::now() > deadline {
            return Err(too_slow(ctx, pid));
        }
        tokio::time::sleep(STEP).await;
    }
}

fn spawn(ctx: &Ctx, log: &std::fs::File) -> Result<Child, Error> {
    let failed = |e: std::io::Error| Error::failure(format!("The daemon could not be started: {e}."));
    let (out, err) = (log.try_clone().map_err(failed)?, log.try_clone().map_err(failed)?);
    Command::new(std::env::current_exe().map_err(failed)?)
        .arg("--data-dir")
        .arg(ctx.dir.path())
        .args(["daemon", "run", "--detached"])
        .current_dir(ctx.dir.path())
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .map_err(failed)
}

async fn wait_for_other(ctx: &Ctx, transport: &Transport, deadline: Instant) -> Result<Runtime, Error> {
    loop {
        let runtime = lock::runtime(&ctx.dir);
        if let Some(runtime) = runtime
            && answers(transport, &runtime).await
        {
            return Ok(runtime);
        }
        if Instant::now() > deadline {
            let who = lock::holder(&ctx.dir).map_or_else(|| "a process".to_owned(), |holder| format!("process {}", holder.pid));
            return Err(Error::Said(
                format!("The daemon of {} ({who}) holds its lock but does not answer.", ctx.dir.path().display()),
                Some("Try `loopsy restart`; `loopsy logs --daemon` may say why.".to_owned()),
                UNREACHABLE,
            ));
        }
        tokio::time::sleep(STEP).await;
    }
}

/// Whether this very node answers where the runtime file says.
pub(super) async fn answers(transport: &Transport, runtime: &Runtime) -> bool {
    let Ok(client) = Client::new(transport.clone(), authority(&runtime.host, runtime.port), None) else { return false };
    let health = tokio::time::timeout(Duration::from_secs(2), client.call(GetHealth {})).await;
    matches!(health, Ok(Ok(health)) if health.node_id == runtime.node_id)
}

fn too_slow(ctx: &Ctx, pid: i32) -> Error {
    Error::failure(format!("The daemon (process {pid}) was started but does not answer after {} seconds.", PATIENCE.as_secs()))
        .hint(format!("It may still come up. Its log is {}.", ctx.dir.log().display()))
}

/// What the daemon said before it ended.
fn ended(ctx: &Ctx, before: u64, status: ExitStatus) -> Error {
    let mut text = Vec::new();
    if let Ok(mut log) = std::fs::File::open(ctx.dir.log()) {
        let _empty_then = log.seek(SeekFrom::Start(before)).and_then(|_| log.read_to_end(&mut text));
    }
    let text = String::from_utf8_lossy(&text);
    let exit = status.code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0).unwrap_or(FAILURE);
    let (message, hint) = last_words(&text);
    let message = message.unwrap_or_else(|| format!("The daemon ended at once ({status}) without a word."));
    Error::Said(message, hint.or_else(|| Some(format!("Its log is {}.", ctx.dir.log().display()))), exit)
}

/// The last `error:` and the `hint:` after it; the last line when there is no error.
fn last_words(text: &str) -> (Option<String>, Option<String>) {
    let mut error = None;
    let mut hint = None;
    for line in text.lines() {
        if let Some(said) = line.strip_prefix("error: ") {
            (error, hint) = (Some(said.to_owned()), None);
        } else if let Some(said) = line.strip_prefix("hint: ") {
            hint = Some(said.to_owned());
        }
    }
    let last = || text.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned);
    (error.or_else(last), hint)
}

#[cfg(test)]
mod tests {
    use super::last_words;

    #[test]
    fn the_daemons_own_sentence_is_passed_on() {
        let log = "2026 INFO starting\nerror: Port 1 is in use.\nhint: Take another.\n";
        assert_eq!(last_words(log), (Some("Port 1 is in use.".to_owned()), Some("Take another.".to_owned())));
        assert_eq!(last_words("thread panicked\n\n"), (Some("thread panicked".to_owned()), None));
        assert_eq!(last_words(""), (None, None));
    }
}

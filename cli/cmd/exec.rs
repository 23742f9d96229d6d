//! `loopsy exec`: a command runs on another machine as if it ran here: its output, its input, its exit code, and Ctrl-C.

mod input;
mod output;
mod stream;

use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use loopsy_shared::{
    api::execute::{CancelJob, Command, ExecuteStream, JobExit},
    client::{Client, ClientError},
    id::JobId,
    text::inert,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::{
    input::Input,
    output::{Collected, Sink},
    stream::{JobStream, Part},
};
use crate::{
    args::Exec,
    context::Ctx,
    error::{Error, FAILURE, PIPE, TIMED_OUT, explain},
    output::span,
};

/// Seconds for which the job goes on without us when the connection breaks, and for which we try to come back.
const LINGER: u32 = 30;

pub(super) async fn run(ctx: &Ctx, args: Exec) -> Result<u8, Error> {
    let client = ctx.at(Some(&args.peer))?;
    let mut signals = Signals::new()?;
    let input = if args.no_stdin { None } else { Input::of_this_process() };
    let mut words = args.command.into_iter();
    let command = Command {
        command: words.next().unwrap_or_default(),
        args: words.collect(),
        cwd: args.cwd,
        env: args.env.into_iter().collect(),
        timeout: args.timeout,
        stdin: None,
        pipe_stdin: input.is_some(),
        linger: Some(LINGER),
    };
    let request = ExecuteStream(command);
    let begun = tokio::select! {
        begun = client.stream(&request) => begun?,
        signal = signals.next() => return Err(Error::Silent(signal)),
    };
    let sink = if ctx.out.json { Sink::collect() } else { Sink::terminal() };
    let job = JobStream::new(client.clone(), begun, Duration::from_secs(u64::from(LINGER)));
    let mut session = Session { ctx, client, peer: args.peer, job, sink, signals, signal: None };
    session.run(input).await
}

struct Session<'a> {
    ctx: &'a Ctx,
    client: Client,
    peer: String,
    job: JobStream,
    sink: Sink,
    signals: Signals,
    /// The exit code of the signal that made us cancel.
    signal: Option<u8>,
}

impl Session<'_> {
    async fn run(&mut self, input: Option<Input>) -> Result<u8, Error> {
        let mut input = input;
        // Both futures are idle until there is something for them to do.
        let mut feeding = Task::idle();
        let mut cancelling = Task::idle();
        let mut failed: Option<Error> = None;
        let exit = loop {
            if let (Some(job), Some(ready)) = (self.job.id().cloned(), input.take_if(|_| self.job.id().is_some())) {
                feeding = Task::new(ready.feed(self.client.clone(), job));
            }
            let part = tokio::select! {
                biased;
                code = self.signals.next() => {
                    if self.signal.replace(code).is_some() {
                        return Err(Error::Silent(code));
                    }
                    cancelling = self.cancel();
                    continue;
                }
                done = cancelling.wait() => {
                    if let Err(error) = done && !gone(&error) {
                        self.ctx.out.fail(&explain(&Error::from(error)));
                        self.ctx.out.remark("Press Ctrl-C again to leave; the job may go on there.");
                    }
                    continue;
                }
                done = feeding.wait() => {
                    // A job that ended or closed its input is no failure of ours; input that was cut must not look whole.
                    if let Err(error) = done && !gone(&error) {
                        failed.get_or_insert(Error::from(error));
                        cancelling = self.cancel();
                    }
                    continue;
                }
                part = self.job.next() => part,
            };
            match part {
                Ok(Part::Output { stream, bytes }) => {
                    let written = tokio::select! {
                        written = self.sink.write(stream, bytes) => Some(written),
                        code = self.signals.next() => { self.signal = Some(code); None }
                    };
                    match written {
                        Some(Ok(())) => {}
                        Some(Err(error)) => {
                            // Nobody reads any more, as with `| head`: the job ends as it would have here.
                            let _best_effort = tokio::time::timeout(Duration::from_secs(5), self.cancel().wait()).await;
                            return Err(error.into());
                        }
                        // Interrupted while a slow reader held us up: what it did not take is lost, as with a local pipe.
                        None => {
                            let _best_effort = tokio::time::timeout(Duration::from_secs(5), self.cancel().wait()).await;
                            return Err(Error::Silent(self.signal.unwrap_or(PIPE)));
                        }
                    }
                }
                Ok(Part::Dropped(count)) => {
                    self.ctx.out.warn(format_args!("loopsy: {count} bytes of output were not kept while the connection was away."));
                }
                Ok(Part::Exit(exit)) => break exit,
                Err(error) => return Err(failed.unwrap_or_else(|| self.lost(error))),
            }
        };
        let flushed = tokio::select! {
            flushed = self.sink.finish() => flushed?,
            code = self.signals.next() => return Err(Error::Silent(code)),
        };
        if let Some(error) = failed {
            return Err(error);
        }
        self.report(&exit, flushed)
    }

    fn cancel(&self) -> Task {
        match self.job.id().cloned() {
            Some(job_id) => {
                let client = self.client.clone();
                Task::new(async move { client.call(CancelJob { job_id }).await.map(drop) })
            }
            None => Task::idle(),
        }
    }

    fn report(&self, exit: &JobExit, collected: Option<Collected>) -> Result<u8, Error> {
        if let Some(collected) = collected {
            let job_id = self.job.id().cloned().unwrap_or_else(|| JobId::from(""));
            self.ctx.out.value(&collected.into_result(job_id, exit.clone()))?;
        } else if exit.timed_out {
            self.ctx.out.warn(format_args!("loopsy: The command's time was up after {}.", span(Duration::from_secs_f64(exit.duration.max(0.0) / 1000.0))));
        } else if exit.cancelled && self.signal.is_none() {
            self.ctx.out.warn(format_args!("loopsy: Somebody cancelled the command on `{}`.", inert(&self.peer)));
        }
        Ok(code(exit, self.signal))
    }

    fn lost(&self, error: ClientError) -> Error {
        match (&error, self.job.id()) {
            (error, Some(job)) if error.is_connection() => Error::Said(
                format!("The connection to `{}` was lost; job {} may still run there. {}", inert(&self.peer), inert(job.as_str()), inert(&error.to_string())),
                Some(format!("`loopsy jobs --peer {}` lists what runs.", inert(&self.peer))),
                crate::error::UNREACHABLE,
            ),
            _ => error.into(),
        }
    }
}

/// Whether the job has ended or takes no input: what both races between us and its end look like.
fn gone(error: &ClientError) -> bool {
    use loopsy_shared::api::Code;
    error.api().is_some_and(|error| matches!(error.code, Code::JobNotFound | Code::JobInputClosed))
}

/// The truth about the end, as a shell would tell it.
fn code(exit: &JobExit, signal: Option<u8>) -> u8 {
    match (signal, exit) {
        (_, JobExit { timed_out: true, .. }) => TIMED_OUT,
        (Some(signal), JobExit { cancelled: true, exit_code: None, .. }) => signal,
        _ => u8::try_from(exit.shell_code() & 0xff).unwrap_or(FAILURE),
    }
}

/// A call that may or may not be under way.
struct Task(Option<LocalBoxFuture<'static, Result<(), ClientError>>>);

impl Task {
    const fn idle() -> Self {
        Self(None)
    }

    fn new(call: impl Future<Output = Result<(), ClientError>> + 'static) -> Self {
        Self(Some(Box::pin(call)))
    }

    /// Its result, once; for ever nothing when it is idle.
    async fn wait(&mut self) -> Result<(), ClientError> {
        match &mut self.0 {
            None => std::future::pending().await,
            Some(call) => {
                let result = call.await;
                self.0 = None;
                result
            }
        }
    }
}

/// Ctrl-C and its sisters, as exit codes.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self, Error> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())?, hangup: signal(SignalKind::hangup())? })
    }

    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 128 + 2,
            _ = self.terminate.recv() => 128 + 15,
            _ = self.hangup.recv() => 128 + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_tells_the_truth() {
        let exit = |code| JobExit { exit_code: code, ..JobExit::default() };
        assert_eq!(code(&exit(Some(7)), None), 7);
        assert_eq!(code(&JobExit { signal: Some("SIGKILL".to_owned()), killed: true, ..exit(None) }, None), 137);
        assert_eq!(code(&JobExit { timed_out: true, killed: true, signal: Some("SIGTERM".to_owned()), ..exit(None) }, None), 124);
        let cancelled = JobExit { cancelled: true, killed: true, signal: Some("SIGTERM".to_owned()), ..exit(None) };
        assert_eq!(code(&cancelled, Some(130)), 130);
        assert_eq!(code(&cancelled, None), 143);
        assert_eq!(code(&JobExit { cancelled: true, ..exit(Some(5)) }, Some(130)), 5, "it chose its own code when it was asked to end");
        assert_eq!(code(&exit(Some(0)), Some(130)), 0, "it ended by itself before the cancel arrived");
    }
}

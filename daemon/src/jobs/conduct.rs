//! The task that sees a job to its end: waits for the process, its output, its time and those who want it to end.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use loopsy_shared::api::{
    events::Event,
    execute::{self, JobExit},
};
use tokio_util::sync::CancellationToken;

use super::{
    Job, Shared,
    keeper::{link::Running, protocol::Exit},
    output::pump::Pump,
    table::Slot,
};

/// How long a job's output may go on after its process has ended, while something else holds it open.
const DRAIN: Duration = Duration::from_millis(500);

/// How long after the grace period a process may take to die before the job is given up.
const DEATH: Duration = Duration::from_millis(400);

/// The longest grace of a job whose key was revoked, and of what a job left behind: all of it is gone within a second.
const SHORT_GRACE: Duration = Duration::from_millis(500);

/// The task that sees a job to its end.
pub(super) struct Conduct {
    pub(super) shared: Arc<Shared>,
    pub(super) job: Job,
    pub(super) running: Running,
    pub(super) pump: Pump,
    pub(super) begun: Instant,
    pub(super) timeout: Duration,
    pub(super) grace: Duration,
}

/// What a job that ended by itself may have left in the background.
pub(super) struct Leftovers {
    running: Running,
    grace: Duration,
    /// Fires when the job is forgotten.
    pub(super) forgotten: CancellationToken,
}

impl Leftovers {
    pub(super) async fn end(&self) {
        self.running.kill(self.grace).await;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    TimedOut,
    Cancelled,
}

impl Conduct {
    /// Runs to the end of the job. `slot` is given back before anybody learns of the end.
    pub(super) async fn run(mut self, slot: Slot, revoked: CancellationToken) -> Option<Leftovers> {
        let (exit, cause) = self.wait(&revoked).await;
        self.pump.finish().await;
        let job = &self.job.0;
        *job.stdin.lock() = None;
        let signal = match exit {
            Exit::Code(_) => None,
            Exit::Signal(number) => Some(execute::signal_name(number)),
            Exit::Lost => Some(execute::signal_name(rustix::process::Signal::KILL.as_raw())), // the last thing that was sent to it
        };
        let exit = JobExit {
            exit_code: if let Exit::Code(code) = exit { Some(code) } else { None },
            killed: signal.is_some(),
            signal,
            timed_out: cause == Some(Cause::TimedOut),
            cancelled: cause == Some(Cause::Cancelled),
            duration: self.begun.elapsed().as_secs_f64() * 1000.0,
            total_bytes: job.output.total(),
        };
        let full = {
            let mut table = self.shared.table.lock();
            table.end(&self.job);
            table.is_full()
        };
        drop(slot);
        let _only_here = job.exit.set(exit);
        job.output.end();
        job.ending.cancel();
        self.shared.events.publish(Event::JobChanged { job: self.job.info() });
        if full {
            self.shared.sweep().await;
        }
        let forgotten = self.job.0.forgotten.token().clone();
        cause.is_none().then_some(Leftovers { running: self.running, grace: SHORT_GRACE.min(self.grace), forgotten })
    }

    /// Waits for the end of the process and of its output; brings it about when it is time.
    async fn wait(&mut self, revoked: &CancellationToken) -> (Exit, Option<Cause>) {
        let Self { job, running, pump, timeout, grace, .. } = self;
        let (mut cause, mut drained, mut exit, mut deadline) = (None, false, None, None);
        let output = Arc::clone(&job.0.output);
        let mut pumping = std::pin::pin!(pump.run());
        let mut alarm = std::pin::pin!(tokio::time::sleep(*timeout));
        let mut blocked = Duration::ZERO;
        while exit.is_none() || !drained {
            let over = tokio::select! {
                ended = &mut running.exit, if exit.is_none() => {
                    exit = Some(ended.unwrap_or(Exit::Lost));
                    deadline = Some(Instant::now() + DRAIN);
                    blocked = output.blocked();
                    alarm.as_mut().reset(tokio::time::Instant::now() + DRAIN);
                    None
                }
                () = &mut pumping, if !drained => {
                    drained = true;
                    None
                }
                () = job.0.cancel.cancelled(), if cause.is_none() => Some(Cause::Cancelled),
                () = revoked.cancelled(), if cause.is_none() => {
                    *grace = SHORT_GRACE.min(*grace);
                    Some(Cause::Cancelled)
                }
                () = &mut alarm => match deadline {
                    // the process ran, and nothing has ended it yet
                    None if cause.is_none() => Some(Cause::TimedOut),
                    // it does not die
                    None => break,
                    // it is gone; time spent waiting for a reader does not count
                    Some(deadline) => {
                        let waited = if cause.is_none() { output.blocked() - blocked } else { Duration::ZERO };
                        let left = (deadline + waited).saturating_duration_since(Instant::now());
                        if left.is_zero() {
                            break;
                        }
                        alarm.as_mut().reset(tokio::time::Instant::now() + left.max(DRAIN / 10));
                        None
                    }
                },
            };
            if over.is_some() {
                cause = over;
                output.release();
                running.kill(*grace).await;
                job.0.ending.cancel();
                if exit.is_none() {
                    alarm.as_mut().reset(tokio::time::Instant::now() + *grace + DEATH);
                }
            }
        }
        (exit.unwrap_or(Exit::Lost), cause)
    }
}

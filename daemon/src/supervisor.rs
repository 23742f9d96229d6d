//! Keeps the node's services running: one that panics is started again after a pause, and shows in `status` meanwhile.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::FutureExt;
use loopsy_shared::{api::health::Problem, time};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// First pause before a service is started again; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The services and what is wrong with them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Supervisor {
    stop: CancellationToken,
    tasks: TaskTracker,
    problems: Arc<Mutex<Vec<Problem>>>,
}

impl Supervisor {
    /// Supervises until `stop` fires.
    pub fn new(stop: CancellationToken, tasks: TaskTracker) -> Self {
        Self { stop, tasks, problems: Arc::default() }
    }

    /// Starts a service. It should end when the token it is given fires; if it ends before, it is started again.
    pub fn keep<F, Fut>(&self, name: &'static str, service: F)
    where
        F: Fn(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send,
    {
        let this = self.clone();
        self.tasks.spawn(async move {
            let mut pause = FIRST_PAUSE / 2;
            loop {
                let begun = tokio::time::Instant::now();
                let outcome = AssertUnwindSafe(service(this.stop.clone())).catch_unwind().await;
                if this.stop.is_cancelled() {
                    return;
                }
                let what = if outcome.is_err() { "crashed" } else { "ended" };
                tracing::error!(service = name, "service {what}; starting it again");
                this.note(name, what);
                pause = if begun.elapsed() > LONGEST_PAUSE { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = this.stop.cancelled() => return,
                }
            }
        });
    }

    /// Services that had to be started again.
    pub fn problems(&self) -> Vec<Problem> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, name: &str, what: &str) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        problems.retain(|problem| problem.part != name);
        problems.push(Problem {
            part: name.to_owned(),
            message: format!("The service {what} and was started again; the node's log says why."),
            since: time::now(),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_crashed_service_is_started_again_and_reported() {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let supervisor = Supervisor::new(stop.clone(), tasks.clone());
        let starts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&starts);
        supervisor.keep("clock", move |stop| {
            let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                assert!(!first, "the first start crashes");
                stop.cancelled().await;
            }
        });
        while starts.load(Ordering::SeqCst) < 2 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(supervisor.problems()[0].part, "clock");
        stop.cancel();
        tasks.close();
        tasks.wait().await;
    }
}

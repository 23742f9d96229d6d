//! Tells a person who is away that something waits. What is told comes from the node's own events, when it is told is the `Gate`'s to say, and it goes all
//! configured ways at once: desktop, command, address.
//!
//! Nothing waits for a notice. A way that does not work holds up no other, is logged once until it works again, and is shown among the node's problems.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use loopsy_shared::{
    api::health::Problem,
    config::{Config, Notifications},
    time::{self, Millis},
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    events::{Events, Read},
    jobs::Jobs,
};

mod command;
mod desktop;
mod gate;
mod heard;
#[cfg(test)]
mod tests;
mod ways;

use gate::Gate;
pub use gate::{Notice, NoticeKind};
pub(crate) use heard::Snapshot;
use heard::{Heard, Said};
use ways::{Outcome, Way, Ways};

/// How often it is looked whether the quiet hours are over.
const QUIET_LOOK: Duration = Duration::from_secs(60);
/// Events that are read at once.
const BATCH: usize = 256;

/// The way out: takes a notice, and says of each configured way how it went.
type Deliver = Box<dyn Fn(Notice, Notifications) -> BoxFuture<'static, Vec<(Way, Outcome)>> + Send + Sync>;

/// Tells people. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Notifier(Arc<Shared>);

struct Shared {
    config: watch::Receiver<Arc<Config>>,
    events: Events,
    /// The gate's clock begins here.
    begun: Instant,
    /// When a surface was used last, in milliseconds of that clock. Apart from the gate, because every request may write it.
    used: AtomicU64,
    gate: Mutex<Gate>,
    /// There is something new in the gate.
    wake: Notify,
    /// What was heard, and up to which event. It outlives a crash of the service.
    heard: Mutex<(u64, Heard)>,
    failing: Mutex<BTreeMap<Way, Failing>>,
    deliver: Deliver,
    minute: Box<dyn Fn() -> u16 + Send + Sync>,
}

/// A way that does not work.
#[derive(Debug)]
struct Failing {
    why: String,
    since: Millis,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").field("failing", &self.failing).finish_non_exhaustive()
    }
}

impl Notifier {
    /// Hears the node's events from now on, once `watch` runs.
    pub fn new(config: watch::Receiver<Arc<Config>>, events: Events, jobs: Jobs) -> Self {
        let ways = Ways::new(jobs);
        Self::with(config, events, Box::new(move |notice, config| Box::pin(ways.clone().deliver(notice, config))), Box::new(time::minute_of_day))
    }

    fn with(config: watch::Receiver<Arc<Config>>, events: Events, deliver: Deliver, minute: Box<dyn Fn() -> u16 + Send + Sync>) -> Self {
        let heard = Mutex::new((events.position(), Heard::default()));
        Self(Arc::new(Shared {
            config,
            events,
            begun: Instant::now(),
            used: AtomicU64::new(0),
            gate: Mutex::default(),
            wake: Notify::new(),
            heard,
            failing: Mutex::default(),
            deliver,
            minute,
        }))
    }

    /// Something is to be told, when nobody is there.
    pub fn notify(&self, notice: Notice) {
        self.gate().notify(notice);
        self.0.wake.notify_one();
    }

    /// An approval was answered, or a task goes on: nobody needs to be told of it any more.
    pub fn settled(&self, id: &str) {
        self.gate().settled(id);
    }

    /// A person is at a surface: see `shows_a_person` in `http/gate.rs` for what counts. Costs a look at the clock and a store.
    pub fn surface_used(&self) {
        let now = u64::try_from(self.now().as_millis()).unwrap_or(u64::MAX);
        self.0.used.store(now, Ordering::Relaxed);
    }

    /// What keeps notices from being delivered.
    pub fn problem(&self) -> Option<Problem> {
        let failing = self.failing();
        let since = failing.values().map(|failing| failing.since).min()?;
        let message = failing.iter().map(|(way, failing)| format!("{} {}", way.subject(), failing.why)).collect::<Vec<_>>().join(" ");
        Some(Problem { part: "notifications".to_owned(), message, since })
    }

    /// Hears events and tells, until it is stopped. `snapshot` says what there is, for when events were missed.
    pub(crate) async fn watch(&self, snapshot: impl Fn() -> Snapshot, stop: CancellationToken) {
        let mut config = self.0.config.clone();
        let mut was_on = true;
        let mut before = None;
        loop {
            let (wanted, node) = {
                let config = config.borrow_and_update();
                (config.notifications.clone(), config.hostname())
            };
            if before.as_ref() != Some(&wanted) {
                // What failed may be gone or mended: the next notice tells.
                self.failing().clear();
                before = Some(wanted.clone());
            }
            if Way::wanted(&wanted).is_empty() {
                // Nobody to tell: nothing is heard and nothing kept.
                was_on = false;
                *self.gate() = Gate::default();
                tokio::select! {
                    () = stop.cancelled() => return,
                    Ok(()) = config.changed() => continue,
                }
            }
            if !std::mem::replace(&mut was_on, true) {
                // What waits already is news to nobody who has just changed the config.
                let position = self.0.events.position();
                *self.heard() = (position, Heard::knowing(&snapshot()));
            }
            self.hear(&node, &snapshot);
            let position = self.heard().0;
            let now = self.now();
            let (notice, due) = {
                let mut gate = self.gate();
                gate.surface_used(Duration::from_millis(self.0.used.load(Ordering::Relaxed)));
                (gate.take(&wanted, now, (self.0.minute)()), gate.due(&wanted))
            };
            if let Some(notice) = notice {
                // No other is due while this one is on its way, and what happens meanwhile is in the ring.
                tokio::select! {
                    () = stop.cancelled() => return,
                    outcomes = (self.0.deliver)(notice, wanted) => self.note(outcomes),
                }
                continue;
            }
            // What is due and was not given is kept back by quiet hours.
            let wait = due.map(|due| due.checked_sub(now).filter(|wait| !wait.is_zero()).unwrap_or(QUIET_LOOK));
            let timer = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.events.changed_since(position) => {}
                () = self.0.wake.notified() => {}
                Ok(()) = config.changed() => {}
                () = timer => {}
            }
        }
    }

    /// Reads the events that there are.
    fn hear(&self, node: &str, snapshot: &impl Fn() -> Snapshot) {
        loop {
            let said: Vec<Said> = {
                let mut heard = self.heard();
                let (position, heard) = &mut *heard;
                match self.0.events.after(*position, BATCH) {
                    Read::Events(events) if events.is_empty() => return,
                    Read::Events(events) => {
                        *position = events.last().map_or(*position, |(number, _)| *number);
                        events.iter().filter_map(|(_, event)| heard.hear(event, node)).collect()
                    }
                    Read::Gone => {
                        *position = self.0.events.position();
                        heard.look(&snapshot(), node)
                    }
                }
            };
            for said in said {
                match said {
                    Said::Tell(notice) => self.gate().notify(*notice),
                    Said::Settled(id) => self.settled(&id),
                }
            }
        }
    }

    /// Remembers which ways do not work, and logs what is new about that.
    fn note(&self, outcomes: Vec<(Way, Outcome)>) {
        let mut failing = self.failing();
        for (way, outcome) in outcomes {
            match outcome {
                Ok(()) => {
                    if failing.remove(&way).is_some() {
                        tracing::info!(?way, "notices are delivered again");
                    }
                }
                Err(why) => {
                    let since = failing.get(&way).map(|failing| failing.since);
                    if since.is_none() {
                        tracing::warn!(?way, %why, "a notice was not delivered");
                    }
                    failing.insert(way, Failing { why, since: since.unwrap_or_else(time::now) });
                }
            }
        }
    }

    fn now(&self) -> Duration {
        self.0.begun.elapsed()
    }

    // A panic under any of these locks leaves at worst a notice that is told twice, or never.
    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.0.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self) -> MutexGuard<'_, (u64, Heard)> {
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failing(&self) -> MutexGuard<'_, BTreeMap<Way, Failing>> {
        self.0.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The service: follows the config, announces, listens, and begins again when the network does not let it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use loopsy_shared::{config::Config, text};
use mdns_sd::{DaemonEvent, Receiver, ServiceEvent};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use super::{Me, Reach, Sightings, mdns::Mdns, read::read};

/// Before the first new try; doubles up to [`LONGEST_PAUSE`]. Shorter in tests, as are the two below.
const FIRST_PAUSE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 5 });
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long an announcement may take; three probes of 250 ms come before it.
const ANNOUNCE_PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 3 } else { 10 });
/// Between two times of asking the whole network, which also tells what is still there.
const REBROWSE: Duration = Duration::from_secs(10 * 60);
/// After asking: what was not heard again by then is gone.
const SETTLE: Duration = Duration::from_secs(10);
/// Before asking again after the library closed the ear of a listener that was too slow; doubles up to [`LONGEST_PAUSE`].
const DEAF_PAUSE: Duration = TICK;
/// Between two looks at the clock and at the library's cache.
const TICK: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 5 });

/// Announces this node and hears of others, while the config says so. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Discovery(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: watch::Receiver<Arc<Config>>,
    me: Me,
    reach: Reach,
    sightings: Sightings,
    problem: Mutex<Option<String>>,
}

impl Discovery {
    /// A discovery that does nothing until it is run.
    pub fn new(config: watch::Receiver<Arc<Config>>, me: Me, reach: Reach, sightings: Sightings) -> Self {
        Self(Arc::new(Inner { config, me, reach, sightings, problem: Mutex::default() }))
    }

    /// What is wrong with it now, in one sentence.
    pub fn problem(&self) -> Option<String> {
        self.0.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The nodes that it hears of.
    pub fn sightings(&self) -> &Sightings {
        &self.0.sightings
    }

    /// Runs until told to stop, which takes less than half a second.
    pub async fn run(&self, stop: CancellationToken) {
        let mut config = self.0.config.clone();
        let mut pause = FIRST_PAUSE;
        loop {
            let name = self.name(&config.borrow_and_update());
            let Some(name) = name else {
                self.note(None);
                self.0.sightings.clear();
                tokio::select! {
                    () = stop.cancelled() => return,
                    Ok(()) = config.changed() => continue,
                }
            };
            let begun = Instant::now();
            let outcome = match Mdns::start(&self.0.me, self.0.reach) {
                Err(error) => Err(error.to_string()),
                Ok(mdns) => {
                    let outcome = self.follow(&mdns, &mut config, name, &stop).await;
                    mdns.leave().await;
                    outcome
                }
            };
            if stop.is_cancelled() {
                self.0.sightings.clear();
                return;
            }
            let Err(error) = outcome else { continue };
            self.note(Some(format!(
                "Nodes on the local network are not found: {error}. It is tried again; peers that were added by address are not concerned."
            )));
            pause = if begun.elapsed() > LONGEST_PAUSE { FIRST_PAUSE } else { pause };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
                Ok(()) = config.changed() => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The name to announce, or `None` when nothing is to be announced or heard.
    pub(super) fn name(&self, config: &Config) -> Option<String> {
        let unreachable = self.0.reach == Reach::Lan && self.0.me.bound.to_canonical().is_loopback();
        (config.discovery.enabled && !unreachable).then(|| config.hostname())
    }

    /// Announces and listens until discovery is to end, or cannot go on.
    async fn follow(&self, mdns: &Mdns, config: &mut watch::Receiver<Arc<Config>>, mut name: String, stop: &CancellationToken) -> Result<(), String> {
        let said = |error: mdns_sd::Error| error.to_string();
        let monitor = mdns.monitor().map_err(said)?;
        mdns.announce(&name).map_err(said)?;
        let announce_by = Instant::now() + ANNOUNCE_PATIENCE;
        let mut announced = false;
        let mut ear = Ear::open(mdns, &self.0.sightings)?;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                Ok(()) = config.changed() => {
                    let Some(now) = self.name(&config.borrow_and_update()) else { return Ok(()) };
                    if now != name {
                        mdns.announce(&now).map_err(said)?;
                        name = now;
                    }
                }
                event = monitor.recv_async() => match event {
                    Ok(DaemonEvent::Announce(..)) => {
                        announced = true;
                        self.note(None);
                    }
                    Ok(DaemonEvent::Error(error)) => return Err(error.to_string()),
                    Ok(DaemonEvent::NameChange(change)) => tracing::info!(now = %text::inert(&change.new_name), "the announced name is taken by another machine"),
                    Ok(_) => {}
                    Err(_) => return Err("mDNS ended by itself".to_owned()),
                },
                event = ear.next() => {
                    match event {
                        Some(event) => self.heard(mdns, event),
                        None => ear.close(),
                    }
                    // A flood must not keep the thread from everybody else.
                    tokio::task::yield_now().await;
                }
                _ = tick.tick() => {
                    if !announced && Instant::now() > announce_by {
                        return Err("no network interface could be used for multicast (UDP port 5353)".to_owned());
                    }
                    let flooded = tokio::select! {
                        flooded = mdns.is_flooded() => flooded,
                        () = stop.cancelled() => return Ok(()),
                    };
                    if flooded {
                        return Err("somebody floods the network with announcements".to_owned());
                    }
                    ear.look_after(mdns, &self.0.sightings)?;
                }
            }
        }
    }

    fn heard(&self, mdns: &Mdns, event: ServiceEvent) {
        match event {
            ServiceEvent::ServiceResolved(found) => {
                let addresses = found.addresses.iter().map(mdns_sd::ScopedIp::to_ip_addr).filter(|address| mdns.is_in_reach(address));
                let txt = found.txt_properties.iter().map(|entry| (entry.key(), entry.val().unwrap_or_default()));
                let instance = found.fullname.split_once("._loopsy._tcp.").map_or(found.fullname.as_str(), |(instance, _)| instance);
                match read(instance, &found.host, found.port, addresses, txt, &self.0.me.node_id) {
                    Some(sighting) => {
                        self.0.sightings.heard(&found.fullname, sighting);
                    }
                    // What it says now is nothing that could be used, so what it said before is over.
                    None => self.0.sightings.gone(&found.fullname),
                }
            }
            ServiceEvent::ServiceRemoved(_, instance) => self.0.sightings.gone(&instance),
            _ => {}
        }
    }

    /// Notes what is wrong, or that nothing is; logs only what is new.
    fn note(&self, problem: Option<String>) {
        let mut before = self.0.problem.lock().unwrap_or_else(PoisonError::into_inner);
        if *before != problem {
            match &problem {
                Some(problem) => tracing::warn!("{problem}"),
                None => tracing::info!("discovery has no problem any more"),
            }
            *before = problem;
        }
    }
}

/// What hears of announcements. The library closes it when it is not emptied fast enough; it is opened again then, and every [`REBROWSE`].
struct Ear {
    events: Option<Receiver<ServiceEvent>>,
    open_at: Instant,
    settled_at: Option<Instant>,
    pause: Duration,
}

impl Ear {
    fn open(mdns: &Mdns, sightings: &Sightings) -> Result<Self, String> {
        let mut ear = Self { events: None, open_at: Instant::now(), settled_at: None, pause: DEAF_PAUSE };
        ear.look_after(mdns, sightings)?;
        Ok(ear)
    }

    /// The next event; `None` when the library closed the channel, and never while it is closed.
    async fn next(&self) -> Option<ServiceEvent> {
        match &self.events {
            Some(events) => events.recv_async().await.ok(),
            None => std::future::pending().await,
        }
    }

    fn close(&mut self) {
        tracing::debug!("too many announcements at once; listening again soon");
        (self.events, self.settled_at) = (None, None);
        self.open_at = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Opens it when that is due, and lets go what the last opening did not bring again.
    fn look_after(&mut self, mdns: &Mdns, sightings: &Sightings) -> Result<(), String> {
        let now = Instant::now();
        if self.settled_at.is_some_and(|at| at <= now) {
            sightings.end_round();
            (self.settled_at, self.pause) = (None, DEAF_PAUSE);
        }
        if self.open_at <= now {
            sightings.begin_round();
            self.events = Some(mdns.browse().map_err(|error| error.to_string())?);
            (self.open_at, self.settled_at) = (now + REBROWSE, Some(now + SETTLE));
        }
        Ok(())
    }
}

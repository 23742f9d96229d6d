//! The local daemon: found by its data directory, watched for as long as the control centre is open, and found again when it comes back elsewhere.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use loopsy_shared::{
    api::events::WatchEvents,
    client::{Client, ClientError, Local, LocalError, Watched},
    paths::DataDir,
    secret::Secret,
};
use tokio::sync::{Notify, mpsc, watch};

use super::{Control, words};
use crate::event::{Event, NoDaemon};

/// First wait before a daemon that is not there is looked for again; doubles up to [`MAX_DELAY`].
const FIRST_DELAY: Duration = Duration::from_millis(200);
const MAX_DELAY: Duration = Duration::from_secs(3);

/// Where a daemon is, and the key that opens it.
type Door = (String, Option<Secret>);

/// What the link needs and makes.
#[derive(Debug)]
pub(crate) struct Link {
    /// Where the daemon is looked for.
    pub(crate) dir: DataDir,
    /// What it says.
    pub(crate) events: mpsc::Sender<Event>,
    /// Where it is.
    pub(crate) control: mpsc::Sender<Control>,
    /// The way to it, for everybody else.
    pub(crate) client: watch::Sender<Option<Client>>,
    /// Try at once.
    pub(crate) poke: Arc<Notify>,
}

impl Link {
    /// Watches for ever. Ends when nobody listens.
    pub(crate) async fn run(self) {
        let (mut delay, mut seen, mut last_id, mut known) = (FIRST_DELAY, false, None::<String>, None::<Door>);
        loop {
            let why = match self.find().await {
                Ok((client, door)) => {
                    let mut connected = false;
                    let same = known.as_ref() == Some(&door);
                    let why = self.watch(&client, same, &mut connected, &mut last_id).await;
                    if connected {
                        (delay, seen, known) = (FIRST_DELAY, true, Some(door));
                    }
                    why
                }
                Err(why) => Some(why),
            };
            let Some(why) = why else { return };
            if !self.tell(why, seen).await {
                return;
            }
            let poked = tokio::time::timeout(delay, self.poke.notified()).await.is_ok();
            delay = if poked { FIRST_DELAY } else { (delay * 2).min(MAX_DELAY) };
        }
    }

    /// The way to the daemon, if one lives.
    async fn find(&self) -> Result<(Client, Door), NoDaemon> {
        let dir = self.dir.clone();
        let local = tokio::task::spawn_blocking(move || Local::load(dir).map(|local| (local.is_running(), local))).await;
        let (running, local) = match local {
            Ok(Ok(found)) => found,
            Ok(Err(LocalError::NotInitialised(_))) => return Err(NoDaemon::NotInitialised),
            Ok(Err(error)) => return Err(NoDaemon::Unusable(words::unusable(&error))),
            Err(_) => return Err(NoDaemon::Unusable("The data directory cannot be read.".to_owned())),
        };
        if !running {
            return Err(NoDaemon::NotRunning("no daemon runs".to_owned()));
        }
        let door = (local.address(), local.config.auth.api_key.clone());
        let _gone = self.control.send(Control::Address(door.0.clone())).await;
        local.client().map(|client| (client, door)).map_err(|error| NoDaemon::Unusable(words::sentence(&error)))
    }

    /// Watches until the stream breaks: why. None when nobody listens any more. `same`: everybody has a way through this door already.
    async fn watch(&self, client: &Client, same: bool, connected: &mut bool, last_id: &mut Option<String>) -> Option<NoDaemon> {
        let request = WatchEvents { fleet: true, ..WatchEvents::default() };
        let mut stream = match client.watch(&request, last_id.as_deref()) {
            Ok(stream) => Box::pin(stream),
            Err(error) => return Some(NoDaemon::Unusable(words::sentence(&error))),
        };
        loop {
            let item = tokio::select! {
                item = stream.next() => item,
                () = self.poke.notified() => continue,
            };
            match item {
                Some(Ok(Watched::Lost(why))) => return Some(NoDaemon::NotRunning(loopsy_shared::text::inert(&why).into_owned())),
                Some(Ok(watched)) => {
                    *connected = true;
                    // Who has a way that still leads there keeps it: terminals and logs connect again by themselves, and as what they were.
                    if matches!(watched, Watched::Connected) && !same {
                        self.client.send_replace(Some(client.clone()));
                    }
                    if let Watched::Event { id: Some(id), .. } = &watched {
                        *last_id = Some(id.clone());
                    }
                    self.events.send(Event::Fleet(Box::new(watched))).await.ok()?;
                }
                // One event that this version does not know is no reason to miss the others.
                Some(Err(ClientError::Protocol { .. })) if *connected => {}
                Some(Err(error)) => {
                    *last_id = None;
                    return Some(if error.is_connection() { NoDaemon::NotRunning(error.to_string()) } else { NoDaemon::Unusable(words::sentence(&error)) });
                }
                None => return Some(NoDaemon::NotRunning("the stream ended".to_owned())),
            }
        }
    }

    /// Says that there is no daemon; whether anybody listens.
    async fn tell(&self, why: NoDaemon, seen: bool) -> bool {
        let event = match why {
            NoDaemon::NotRunning(why) if seen => Event::Fleet(Box::new(Watched::Lost(why))),
            why => Event::NoDaemon(why),
        };
        self.events.send(event).await.is_ok()
    }
}

//! One event stream to one peer: asked for while the peer answers, resumed where that is possible, and read no faster than is good for this node.

use std::time::Duration;

use loopsy_shared::{
    api::{
        Scope,
        events::{Event, Topic, WatchEvents},
        health::GetIdentity,
        peers::PeerStatus,
    },
    client::{ClientError, Streamed},
    id::NodeId,
    text,
};
use rand::RngExt;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{Fleet, picture::size};
use crate::peers::{PeerError, Reached};

/// How long a peer may take to answer a question, or to begin its stream.
const PATIENCE: Duration = Duration::from_secs(10);
/// Before a stream that ended is asked for again; doubles up to [`LONGEST_PAUSE`]. Short, because a stream also ends when rights change.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A stream that lasted this long was a good one: the pauses begin anew.
const STEADY: Duration = Duration::from_secs(10);
/// Longest event, in bytes: a snapshot of everything that may be kept.
const MOST_EVENT: usize = 64 << 20;
/// Events, and KiB of them, that are read in a second. Full means that the peer has to wait; one that runs far ahead sends a snapshot instead.
const PER_SECOND: usize = 4_096;
/// Events in a row that are not understood before the stream is given up.
const MOST_GARBAGE: u32 = 16;

/// From where a stream can go on.
struct Place {
    topics: Vec<Topic>,
    id: String,
}

/// Why a stream ended.
enum End {
    /// The peer was removed, or its key replaced.
    Gone,
    /// Anything else, for the log.
    Lost(String),
}

impl From<PeerError> for End {
    fn from(error: PeerError) -> Self {
        Self::Lost(error.to_string())
    }
}

/// Follows a peer until it is told otherwise. `known` fires when something about the peers has changed.
pub(super) async fn follow(fleet: Fleet, node_id: NodeId, mut known: watch::Receiver<()>) {
    let (mut pause, mut place) = (FIRST_PAUSE, None);
    loop {
        // The health checks look for a peer that does not answer; nobody else has to.
        while !answers(&fleet, &node_id) {
            pause = FIRST_PAUSE;
            if known.changed().await.is_err() {
                return;
            }
        }
        let begun = Instant::now();
        match stream(&fleet, &node_id, &mut place, &mut known).await {
            End::Gone => {
                place = None;
                fleet.forget(&node_id);
            }
            End::Lost(why) => {
                tracing::debug!(peer = %node_id, why = %text::inert(&why), "the peer's events are not followed now");
                fleet.set_stale(&node_id, true);
            }
        }
        pause = if begun.elapsed() >= STEADY { FIRST_PAUSE } else { pause };
        tokio::select! {
            () = sleep(jitter(pause)) => {}
            // Then it is waited for above, and asked as soon as it is back.
            () = silence(&fleet, &node_id, &mut known) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn jitter(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.9..1.1))
}

/// Waits until a peer no longer answers.
async fn silence(fleet: &Fleet, node_id: &NodeId, known: &mut watch::Receiver<()>) {
    while answers(fleet, node_id) && known.changed().await.is_ok() {}
}

fn answers(fleet: &Fleet, node_id: &NodeId) -> bool {
    fleet.0.peers.get(node_id).is_some_and(|peer| peer.trusted && peer.status == PeerStatus::Online)
}

/// What a key with these scopes may watch.
pub(super) fn topics_of(scopes: &[Scope]) -> Vec<Topic> {
    let needs = |topic: &Topic| match topic {
        Topic::Tasks => Scope::AiTasks,
        Topic::Approvals => Scope::Approve,
        _ => Scope::Execute,
    };
    Topic::OF_PEERS.into_iter().filter(|topic| scopes.contains(&needs(topic))).collect()
}

/// Asks for a stream and reads it to its end.
async fn stream(fleet: &Fleet, node_id: &NodeId, place: &mut Option<Place>, known: &mut watch::Receiver<()>) -> End {
    let (peer, topics, mut stream) = match open(fleet, node_id, place).await {
        Ok(opened) => opened,
        Err(end) => return end,
    };
    let (mut budget, mut garbage) = (Budget::new(), 0);
    loop {
        let item = tokio::select! {
            biased;
            () = peer.gone.cancelled() => return End::Gone,
            changed = known.changed() => {
                if changed.is_err() || !answers(fleet, node_id) {
                    return End::Lost("it does not answer".to_owned());
                }
                continue;
            }
            item = stream.next() => item,
        };
        match item {
            Some(Ok(event)) => {
                garbage = 0;
                let cost = cost(&event);
                if fleet.apply(node_id, &topics, event).is_err() {
                    return End::Lost("it says that it is another node".to_owned());
                }
                *place = stream.last_id().map(|id| Place { topics: topics.clone(), id: id.to_owned() });
                tokio::select! {
                    () = budget.spend(cost) => {}
                    () = peer.gone.cancelled() => return End::Gone,
                }
            }
            Some(Err(ClientError::Protocol { what, .. })) => {
                // One may be of a kind that only a newer node knows.
                garbage += 1;
                if garbage >= MOST_GARBAGE || !fleet.has(node_id) {
                    *place = None;
                    return End::Lost(what);
                }
            }
            Some(Err(error)) => return End::Lost(fleet.0.peers.lost(&peer, &error).to_string()),
            None => return End::Lost("it ended the stream".to_owned()),
        }
    }
}

/// Asks what may be watched, and watches that: also nothing at all, because the stream ends when the rights change.
async fn open(fleet: &Fleet, node_id: &NodeId, place: &mut Option<Place>) -> Result<(Reached, Vec<Topic>, Streamed<Event>), End> {
    let late = |_| End::Lost("no answer in time".to_owned());
    let peer = timeout(PATIENCE, fleet.0.peers.reach(node_id.as_str())).await.map_err(late)??;
    let asking = async {
        let lost = |error: ClientError| match error.api() {
            Some(refused) => End::Lost(refused.to_string()),
            None => End::Lost(fleet.0.peers.lost(&peer, &error).to_string()),
        };
        let identity = peer.client.wary().call(GetIdentity {}).await.map_err(lost)?;
        if identity.node_id != *node_id {
            return Err(End::Lost("it says that it is another node".to_owned()));
        }
        let topics = topics_of(&identity.scopes);
        let since = place.take().filter(|place| place.topics == topics && fleet.can_resume(node_id, &topics)).map(|place| place.id);
        let words: Vec<&str> = topics.iter().map(|topic| topic.as_str()).collect();
        let request = WatchEvents { topics: Some(words.join(",")), since: since.clone(), ..WatchEvents::default() };
        let stream = peer.client.at_most(MOST_EVENT).stream(&request).await.map_err(lost)?;
        Ok((topics, since, stream))
    };
    let (topics, since, stream) = tokio::select! {
        asked = timeout(PATIENCE, asking) => asked.map_err(late)??,
        () = peer.gone.cancelled() => return Err(End::Gone),
    };
    if let Some(id) = since.filter(|_| stream.is_resumed()) {
        // What was missed follows. Otherwise, as after a restart, what is known is worth nothing until the snapshot is there.
        *place = Some(Place { topics: topics.clone(), id });
        fleet.set_stale(node_id, false);
    }
    Ok((peer, topics, stream))
}

fn cost(event: &Event) -> usize {
    match event {
        // Telling a whole picture to every stream costs much: once in a second.
        Event::Snapshot { .. } => PER_SECOND,
        event => 1 + size(event) / 1024,
    }
}

/// How much is read in a second.
struct Budget {
    left: usize,
    full_at: Instant,
}

impl Budget {
    fn new() -> Self {
        Self { left: PER_SECOND, full_at: Instant::now() + Duration::from_secs(1) }
    }

    /// Takes something away, and waits when nothing is left.
    async fn spend(&mut self, cost: usize) {
        self.left = self.left.saturating_sub(cost);
        if self.full_at <= Instant::now() {
            *self = Self { left: PER_SECOND.saturating_sub(cost), ..Self::new() };
        }
        if self.left == 0 {
            tokio::time::sleep_until(self.full_at).await;
            *self = Self::new();
        }
    }
}

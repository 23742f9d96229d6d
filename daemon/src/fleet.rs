//! The newest picture of every peer, kept by one event stream to each: so one local stream shows the fleet, and every approval is answered from here.
//!
//! Only the owner sees it, and only this node asks its peers for what is their own: no peer hears of another through this node, so nothing goes in circles.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use loopsy_shared::{
    api::{
        approvals::Approval,
        events::{Event, PeerPicture, Topic},
        peers::PeerInfo,
    },
    id::{ApprovalId, NodeId},
    time,
};
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    approvals::Approvals,
    events::{Events, Read},
    peers::Peers,
};

mod answer;
mod follow;
mod picture;
#[cfg(test)]
mod tests;

pub use answer::FleetError;
use picture::{Change, Picture, taken_by_another};

/// Events that are looked through at a time for changes of peers.
const BATCH: usize = 256;

/// A peer says that it is another node, or was removed.
#[derive(Debug, Clone, Copy)]
struct Stranger;

/// The peers as they were seen last. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fleet(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    peers: Peers,
    /// This node's own, which win over whatever a peer tells.
    approvals: Approvals,
    events: Events,
    /// Told to the events while it is held, so that what streams hear is in the order in which it came to be.
    pictures: Mutex<BTreeMap<NodeId, Picture>>,
}

impl Fleet {
    /// Knows nothing yet.
    pub fn new(peers: Peers, approvals: Approvals, events: Events) -> Self {
        Self(Arc::new(Shared { peers, approvals, events, pictures: Mutex::default() }))
    }

    /// Follows every peer that this node has a key for, until told to stop.
    pub async fn run(&self, stop: CancellationToken) {
        let ids: Vec<NodeId> = self.pictures().keys().cloned().collect();
        ids.iter().for_each(|id| self.set_stale(id, true));
        let (tell, _) = watch::channel(());
        let mut tasks = JoinSet::new();
        let mut followed: HashMap<NodeId, AbortHandle> = HashMap::new();
        loop {
            let position = self.0.events.position();
            let wanted: HashMap<NodeId, PeerInfo> =
                self.0.peers.list().into_iter().filter(|peer| peer.trusted && !peer.candidate).map(|peer| (peer.node_id.clone(), peer)).collect();
            followed.retain(|id, task| {
                let stays = wanted.contains_key(id);
                if !stays {
                    task.abort();
                    self.forget(id);
                }
                stays
            });
            for (id, peer) in wanted {
                self.set_name(&id, &peer.hostname);
                followed.entry(id.clone()).or_insert_with(|| tasks.spawn(follow::follow(self.clone(), id, tell.subscribe())));
            }
            tell.send_replace(());
            tokio::select! {
                () = self.peers_changed(position) => {}
                Some(ended) = tasks.join_next() => match ended {
                    // The supervisor says so, and starts all of it again after a pause.
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    _ => {}
                },
                () = stop.cancelled() => return,
            }
        }
    }

    /// What is known of the peers, as far as these topics go.
    pub fn list(&self, topics: &[Topic]) -> Vec<PeerPicture> {
        self.pictures().values().map(|picture| picture.show(topics)).collect()
    }

    /// What is known of one peer, as far as these topics go.
    pub fn get(&self, node_id: &NodeId, topics: &[Topic]) -> Option<PeerPicture> {
        self.pictures().get(node_id).map(|picture| picture.show(topics))
    }

    /// Approvals that wait on peers, and the names of the peers whose approvals are not known now. A peer that never answered in this run counts as one of these:
    /// whether it lets this node see any is not known either.
    pub fn approvals(&self) -> (Vec<Approval>, Vec<String>) {
        let peers = self.0.peers.list();
        let pictures = self.pictures();
        let approvals = pictures.values().filter(|picture| !picture.stale).flat_map(Picture::approvals).filter(|approval| !self.is_own(&approval.id));
        let approvals = approvals.cloned().collect();
        let unseen = |peer: &&PeerInfo| match pictures.get(&peer.node_id) {
            Some(picture) => picture.topics.contains(&Topic::Approvals) && (picture.stale || picture.overflow),
            None => true,
        };
        let unseen = peers.iter().filter(|peer| peer.trusted && !peer.candidate).filter(unseen).map(|peer| peer.hostname.clone()).collect();
        (approvals, unseen)
    }

    fn is_own(&self, id: &ApprovalId) -> bool {
        self.0.approvals.get(id).is_some()
    }

    /// Waits until a peer is new, changed or gone after a position of the events.
    async fn peers_changed(&self, mut position: u64) {
        loop {
            self.0.events.changed_since(position).await;
            match self.0.events.after(position, BATCH) {
                Read::Gone => return,
                Read::Events(events) => {
                    let of_peers = |event: &Event| matches!(event, Event::PeerChanged { .. } | Event::PeerRemoved { .. });
                    if events.iter().any(|(_, event)| of_peers(event)) {
                        return;
                    }
                    position = events.last().map_or(position, |(last, _)| *last);
                }
            }
        }
    }

    /// Whether there is a picture of a peer, and of these topics: then changes are enough to make it fresh.
    fn can_resume(&self, node_id: &NodeId, topics: &[Topic]) -> bool {
        self.pictures().get(node_id).is_some_and(|picture| picture.topics == topics)
    }

    fn has(&self, node_id: &NodeId) -> bool {
        self.pictures().contains_key(node_id)
    }

    /// Takes in what a peer tells; a snapshot also says what this node may see there.
    ///
    /// # Errors
    /// It is another node than the peer, or no peer any more.
    fn apply(&self, node_id: &NodeId, topics: &[Topic], event: Event) -> Result<(), Stranger> {
        let mut pictures = self.pictures();
        // The picture is taken out meanwhile, because the others are looked at.
        let mut picture = match pictures.remove(node_id) {
            Some(picture) => picture,
            // Asked under the lock: a peer that has just been removed leaves nothing behind.
            None => match self.0.peers.get(node_id).filter(|peer| peer.trusted) {
                Some(peer) if matches!(event, Event::Snapshot { .. }) => Picture::new(node_id.clone(), peer.hostname),
                _ => return Err(Stranger),
            },
        };
        let told = match picture.apply(event, |id| self.is_own(id) || taken_by_another(&pictures, node_id, id)) {
            Change::Impostor => return Err(Stranger),
            Change::Nothing => None,
            Change::One(event) => Some(Event::Peer { node_id: node_id.clone(), node: picture.node.clone(), event }),
            Change::Whole => {
                topics.clone_into(&mut picture.topics);
                if picture.stale {
                    (picture.stale, picture.since) = (false, time::now());
                }
                Some(marker(&picture))
            }
        };
        pictures.insert(node_id.clone(), picture);
        told.into_iter().for_each(|event| self.0.events.publish(event));
        Ok(())
    }

    /// A peer is out of reach, or there again with nothing missed.
    fn set_stale(&self, node_id: &NodeId, stale: bool) {
        let mut pictures = self.pictures();
        if let Some(picture) = pictures.get_mut(node_id).filter(|picture| picture.stale != stale) {
            (picture.stale, picture.since) = (stale, time::now());
            self.0.events.publish(marker(picture));
        }
    }

    fn set_name(&self, node_id: &NodeId, node: &str) {
        let mut pictures = self.pictures();
        if let Some(picture) = pictures.get_mut(node_id).filter(|picture| picture.node != node) {
            picture.rename(node);
            self.0.events.publish(marker(picture));
        }
    }

    /// A peer is none any more.
    fn forget(&self, node_id: &NodeId) {
        let mut pictures = self.pictures();
        if pictures.remove(node_id).is_some() {
            self.0.events.publish(Event::PeerPictureRemoved { node_id: node_id.clone() });
        }
    }

    fn pictures(&self) -> MutexGuard<'_, BTreeMap<NodeId, Picture>> {
        // A panic in between leaves a peer's picture out at worst; its stream brings it again.
        self.0.pictures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that there is a new picture. Each stream puts the newest in when it gets there, so that the ring of events holds no large ones.
fn marker(picture: &Picture) -> Event {
    Event::PeerPicture { picture: picture.show(&[]) }
}

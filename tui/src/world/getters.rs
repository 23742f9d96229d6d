//! What views ask of the fleet, node by node.

use loopsy_shared::{
    api::{
        ai_tasks::TaskInfo,
        approvals::Approval,
        peers::{PeerInfo, PeerStatus},
        transfers::TransferInfo,
    },
    id::NodeId,
    text::inert,
    time::Millis,
};

use super::{Link, World};
use crate::event::NoDaemon;

impl World {
    /// Peers, by name; machines that were only seen are not among them.
    pub(crate) fn known_peers(&self) -> Vec<&PeerInfo> {
        by_name(self.peers.values().filter(|peer| !peer.candidate))
    }

    /// Machines that were seen on the network and are not peers, by name.
    pub(crate) fn candidates(&self) -> Vec<&PeerInfo> {
        by_name(self.peers.values().filter(|peer| peer.candidate))
    }

    /// Peers that answer and take what this node asks, by name.
    pub(crate) fn reachable(&self) -> Vec<&PeerInfo> {
        by_name(self.peers.values().filter(|peer| is_reachable(peer)))
    }

    /// Peers that this node has a key for, whether they answer now or not, by name: what can be chosen where something is sent.
    pub(crate) fn trusted(&self) -> Vec<&PeerInfo> {
        by_name(self.peers.values().filter(|peer| peer.trusted && !peer.candidate))
    }

    /// Whether there is any of them.
    pub(crate) fn can_reach_any(&self) -> bool {
        self.peers.values().any(is_reachable)
    }

    /// How many peers are online, and how many there are.
    pub(crate) fn peer_counts(&self) -> (usize, usize) {
        self.peers
            .values()
            .filter(|peer| !peer.candidate)
            .fold((0, 0), |(online, all), peer| (online + usize::from(peer.status == PeerStatus::Online), all + 1))
    }

    /// What a node is called where names are chosen from: the name, and the beginning of its id where another one has the same.
    pub(crate) fn label_of(&self, node: Option<&NodeId>) -> String {
        let name = inert(self.name_of(node)).into_owned();
        let like = |other: Option<&NodeId>| other != node && inert(self.name_of(other)) == name;
        match node {
            Some(id) if like(None) || self.peers.keys().any(|other| like(Some(other))) => format!("{name} ({})", id.short()),
            _ => name,
        }
    }

    /// The same of several, each unlike all others, whatever machines call themselves.
    pub(crate) fn labels_of(&self, nodes: &[Option<NodeId>]) -> Vec<String> {
        let mut labels: Vec<String> = Vec::with_capacity(nodes.len());
        for node in nodes {
            let mut label = self.label_of(node.as_ref());
            while labels.contains(&label) {
                label = format!("{label} ({})", inert(node.as_ref().map_or("this machine", NodeId::as_str)));
            }
            labels.push(label);
        }
        labels
    }

    /// The tasks of a node, as far as they are known.
    pub(crate) fn tasks_of<'a>(&'a self, node: Option<&NodeId>) -> Box<dyn Iterator<Item = &'a TaskInfo> + 'a> {
        match node {
            None => Box::new(self.tasks.values()),
            Some(node) => Box::new(self.pictures.get(node).into_iter().flat_map(|picture| picture.tasks.iter())),
        }
    }

    /// Tasks of a node that have not ended.
    pub(crate) fn running_on(&self, node: Option<&NodeId>) -> usize {
        self.tasks_of(node).filter(|task| !task.status.is_ended()).count()
    }

    /// Since when the machine that asks this is out of reach, so that no answer would arrive there; none when it is not.
    pub(crate) fn away_since(&self, approval: &Approval) -> Option<Millis> {
        self.pictures.get(&approval.node_id).filter(|picture| picture.stale).map(|picture| picture.since)
    }

    /// How many approvals wait that can be answered now.
    pub(crate) fn answerable(&self) -> usize {
        let there = self.pictures.values().filter(|picture| !picture.stale).flat_map(|picture| picture.approvals.iter());
        self.approvals.iter().chain(there).filter(|approval| approval.state.is_open()).count()
    }

    /// Approvals of a node that wait.
    pub(crate) fn waiting_on(&self, node: Option<&NodeId>) -> usize {
        let open = |approval: &&Approval| approval.state.is_open();
        match node {
            None => self.approvals.iter().filter(open).count(),
            Some(node) => self.pictures.get(node).map_or(0, |picture| picture.approvals.iter().filter(open).count()),
        }
    }

    /// Transfers from or to this peer, the newest first.
    pub(crate) fn transfers_with<'a>(&'a self, peer: &PeerInfo) -> Vec<&'a TransferInfo> {
        let mut all: Vec<_> = self.transfers.values().filter(|transfer| transfer.peer == peer.hostname).collect();
        all.sort_by(|a, b| b.started_at.cmp(&a.started_at).then_with(|| a.transfer_id.cmp(&b.transfer_id)));
        all
    }

    /// What a node is called by the id that it gave itself.
    pub(crate) fn name_of_id<'a>(&'a self, id: &'a str) -> &'a str {
        if self.node_id.as_ref().is_some_and(|here| here.as_str() == id) {
            return self.here();
        }
        self.peers.get(&NodeId::from(id)).map_or(id, |peer| peer.hostname.as_str())
    }

    /// Why nothing can be done while the local daemon does not answer; none when it does.
    pub(crate) fn why_down(&self) -> Option<String> {
        match &self.link {
            Link::Up => None,
            Link::Connecting => Some("The daemon of this machine was not reached yet; r tries again.".to_owned()),
            Link::Lost(_, why) => Some(format!("The daemon does not answer: {}; r tries again.", inert(why).trim_end_matches('.'))),
            Link::Missing(NoDaemon::NotInitialised) => Some("Loopsy is not set up on this machine yet; S sets it up and starts it.".to_owned()),
            Link::Missing(NoDaemon::NotRunning(_)) => Some("The daemon of this machine does not run; S starts it.".to_owned()),
            Link::Missing(NoDaemon::Unusable(why)) => Some(inert(why).into_owned()),
        }
    }
}

fn is_reachable(peer: &PeerInfo) -> bool {
    peer.trusted && !peer.candidate && peer.status == PeerStatus::Online
}

fn by_name<'a>(peers: impl Iterator<Item = &'a PeerInfo>) -> Vec<&'a PeerInfo> {
    let mut all: Vec<_> = peers.collect();
    all.sort_by(|a, b| a.hostname.cmp(&b.hostname).then_with(|| a.node_id.cmp(&b.node_id)));
    all
}

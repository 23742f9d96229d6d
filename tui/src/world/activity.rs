//! What happened, in lines: as it happens, and from the first picture what can be told of before.

use loopsy_shared::{
    api::{
        context::ContextEntry,
        peers::{PeerInfo, PeerStatus},
        transfers::{Direction, TransferInfo, TransferState},
    },
    id::NodeId,
    text::bytes,
    time::Millis,
};

use super::{TaskKey, World};
use crate::event::Now;

/// Lines of the activity list; an older one goes.
const ACTIVITY: usize = 500;
/// Lines that are made of what was before.
const BEFORE: usize = 100;

/// Something that happened, for the activity list. `text` is not inert yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Activity {
    /// Its number, which no other has.
    pub(crate) number: u64,
    /// When.
    pub(crate) at: Millis,
    /// The name of the peer it happened on, as it was then; none for this machine.
    pub(crate) node: Option<String>,
    /// What.
    pub(crate) text: String,
    /// The peer that it is about.
    pub(crate) peer: Option<NodeId>,
    /// The task that it is about.
    pub(crate) task: Option<TaskKey>,
}

/// What a line is about.
#[derive(Debug, Clone, Default)]
pub(super) struct About {
    /// The peer on which it happened.
    pub(super) node: Option<NodeId>,
    /// The peer that it is about, where it happened here.
    pub(super) peer: Option<NodeId>,
    /// The task.
    pub(super) task: Option<TaskKey>,
}

impl World {
    /// Notes something for the activity list.
    pub(super) fn tell_of(&mut self, at: Millis, about: About, text: String) {
        if self.activity.len() >= ACTIVITY {
            self.activity.pop_front();
        }
        self.told += 1;
        let node = about.node.as_ref().map(|node| self.name_of(Some(node)).to_owned());
        self.activity.push_back(Activity { number: self.told, at, node, text, peer: about.peer.or(about.node), task: about.task });
    }

    /// What can be told of the time before, when nothing was told yet.
    pub(super) fn tell_before(&mut self) {
        if !self.activity.is_empty() {
            return;
        }
        let mut lines: Vec<(Millis, About, String)> = Vec::new();
        for (key, task) in self.tasks() {
            let about = About { node: key.node.clone(), task: Some(key), ..About::default() };
            lines.push((task.completed_at.unwrap_or(task.updated_at), about, told_task(task.task_id.short(), task.status)));
        }
        for approval in self.approvals() {
            let (node, id) = (self.peer_of(approval), approval.task_id.clone());
            let about = About { task: Some(TaskKey { node: node.clone(), id }), node, ..About::default() };
            lines.push((approval.asked_at, about, told_approval(approval.task_id.short(), &approval.tool)));
        }
        let mut entries: Vec<&ContextEntry> = self.context.values().collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.updated_at));
        lines.extend(entries.into_iter().take(BEFORE).map(|entry| (entry.updated_at, self.about_entry(entry), self.told_entry(entry))));
        lines.extend(self.transfers.values().map(|transfer| (transfer.ended_at.unwrap_or(transfer.started_at), self.about_transfer(transfer), told(transfer))));
        for peer in self.peers.values().filter(|peer| peer.status == PeerStatus::Offline && !peer.candidate) {
            let about = About { node: Some(peer.node_id.clone()), ..About::default() };
            lines.extend(peer.offline_since.map(|at| (at, about, told_peer(peer))));
        }
        lines.sort_by_key(|(at, ..)| *at);
        let skip = lines.len().saturating_sub(BEFORE);
        for (at, about, text) in lines.into_iter().skip(skip) {
            self.tell_of(at, about, text);
        }
    }

    /// A transfer that began or ended is told, its progress is not.
    pub(super) fn transfer_news(&mut self, transfer: &TransferInfo, now: Now) {
        if self.transfers.get(&transfer.transfer_id).is_none_or(|known| known.state != transfer.state) {
            let about = self.about_transfer(transfer);
            self.tell_of(now.wall, about, told(transfer));
        }
    }

    pub(super) fn entry_news(&mut self, entry: &ContextEntry, now: Now) {
        let (about, text) = (self.about_entry(entry), self.told_entry(entry));
        self.tell_of(now.wall, about, text);
    }

    pub(super) fn peer_news(&mut self, peer: &PeerInfo, now: Now) {
        let before = self.peers.get(&peer.node_id).map(|known| (known.status, known.candidate));
        // Whoever is only seen comes and goes, and is no news.
        if peer.candidate || before == Some((peer.status, false)) || before.is_none() && peer.status == PeerStatus::Unknown {
            return;
        }
        self.tell_of(now.wall, About { node: Some(peer.node_id.clone()), ..About::default() }, told_peer(peer));
        // The name is not known yet when the peer is new.
        if let (None, Some(line)) = (before, self.activity.back_mut()) {
            line.node = Some(peer.hostname.clone());
        }
    }

    fn about_transfer(&self, transfer: &TransferInfo) -> About {
        About { peer: self.peers.values().find(|peer| peer.hostname == transfer.peer).map(|peer| peer.node_id.clone()), ..About::default() }
    }

    fn about_entry(&self, entry: &ContextEntry) -> About {
        let writer = NodeId::from(entry.from_node_id.as_str());
        About { peer: self.peers.contains_key(&writer).then_some(writer), ..About::default() }
    }

    fn told_entry(&self, entry: &ContextEntry) -> String {
        format!("context {} set by {}", entry.key, self.name_of_id(&entry.from_node_id))
    }
}

pub(super) fn told_task(short: &str, status: loopsy_shared::api::ai_tasks::TaskStatus) -> String {
    format!("task {short} {}", status.as_str().replace('_', " "))
}

pub(super) fn told_approval(short: &str, tool: &str) -> String {
    format!("task {short} asks: {tool}")
}

fn told_peer(peer: &PeerInfo) -> String {
    match (peer.status, &peer.last_error) {
        (PeerStatus::Online, _) => "is online".to_owned(),
        (_, Some(why)) => format!("cannot be reached: {why}"),
        (_, None) => "cannot be reached".to_owned(),
    }
}

fn told(transfer: &TransferInfo) -> String {
    let way = match transfer.direction {
        Direction::Push => format!("{} to {}", transfer.source, transfer.peer),
        Direction::Pull => format!("{} from {}", transfer.source, transfer.peer),
    };
    match transfer.state {
        TransferState::Running => format!("copying {way}"),
        TransferState::Done => format!("copied {way}, {}", bytes(transfer.bytes_done)),
        TransferState::Failed => format!("copying {way} failed: {}", transfer.error.as_ref().map_or("no reason was given", |error| error.message.as_str())),
        TransferState::Cancelled => format!("copying {way} was cancelled"),
    }
}

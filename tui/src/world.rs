//! All that is known of the fleet, from the one stream of the local daemon. Written here alone; everybody else reads.

use std::collections::{BTreeMap, VecDeque};

use loopsy_shared::{
    api::{
        ai_tasks::TaskInfo,
        approvals::Approval,
        context::ContextEntry,
        events::{self, PeerPicture, Topic},
        execute::JobInfo,
        health::Status,
        peers::PeerInfo,
        terminals::TerminalInfo,
        transfers::TransferInfo,
    },
    client::Watched,
    id::{ApprovalId, JobId, NodeId, TaskId, TerminalId, TransferId},
    time::Millis,
};

use crate::event::{NoDaemon, Now};

mod activity;
mod getters;
mod sent;
pub(crate) mod standing;

pub(crate) use activity::Activity;
use activity::{About, told_approval, told_task};
pub(crate) use sent::word;

/// A task on a node; `None` is the local one everywhere in this crate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TaskKey {
    /// The peer it runs on.
    pub(crate) node: Option<NodeId>,
    /// Its id there.
    pub(crate) id: TaskId,
}

/// A terminal on a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TerminalKey {
    /// The peer it is on.
    pub(crate) node: Option<NodeId>,
    /// Its id there.
    pub(crate) id: TerminalId,
}

/// How the local daemon is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Link {
    /// Not known yet.
    Connecting,
    /// It streams.
    Up,
    /// It does not, since when and why; what is shown is what was seen last.
    Lost(Millis, String),
    /// There is none.
    Missing(NoDaemon),
}

/// The fleet.
#[derive(Debug)]
pub(crate) struct World {
    /// The local daemon.
    pub(crate) link: Link,
    /// The local daemon's address, for people.
    pub(crate) address: String,
    /// The local node.
    pub(crate) node_id: Option<NodeId>,
    /// What the local daemon said of itself last.
    pub(crate) status: Option<Box<Status>>,
    /// Peers.
    pub(crate) peers: BTreeMap<NodeId, PeerInfo>,
    /// Jobs here.
    pub(crate) jobs: BTreeMap<JobId, JobInfo>,
    /// Transfers here.
    pub(crate) transfers: BTreeMap<TransferId, TransferInfo>,
    /// Context entries here.
    pub(crate) context: BTreeMap<String, ContextEntry>,
    /// Terminals here.
    pub(crate) terminals: BTreeMap<TerminalId, TerminalInfo>,
    /// What is known of each peer.
    pub(crate) pictures: BTreeMap<NodeId, PeerPicture>,
    /// The number of the last change of a pairing.
    pub(crate) pairing: u64,
    /// Newest last.
    pub(crate) activity: VecDeque<Activity>,
    /// Lines that were told, forgotten ones too.
    told: u64,
    tasks: BTreeMap<TaskId, TaskInfo>,
    approvals: Vec<Approval>,
    /// Answers to approvals that nobody has confirmed yet.
    sent: Vec<sent::Sent>,
}

/// What of the world changed; a tab looks only at what concerns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// Everything may have.
    All,
    /// The local daemon came or went.
    Link,
    /// The local daemon's status was read.
    Status,
    /// Something of this topic.
    Topic(Topic),
    /// This approval was answered or withdrawn, or came up.
    Approval(ApprovalId),
    /// What is known of this peer.
    Picture(NodeId),
}

impl World {
    /// Nothing known yet.
    pub(crate) fn new(address: String) -> Self {
        Self {
            link: Link::Connecting,
            address,
            node_id: None,
            status: None,
            peers: BTreeMap::new(),
            jobs: BTreeMap::new(),
            transfers: BTreeMap::new(),
            context: BTreeMap::new(),
            terminals: BTreeMap::new(),
            pictures: BTreeMap::new(),
            pairing: 0,
            activity: VecDeque::new(),
            told: 0,
            tasks: BTreeMap::new(),
            approvals: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// What the local node is called.
    pub(crate) fn here(&self) -> &str {
        self.status.as_ref().map_or("this machine", |status| status.hostname.as_str())
    }

    /// What a node is called; the local one for none.
    pub(crate) fn name_of<'a>(&'a self, node: Option<&'a NodeId>) -> &'a str {
        match node {
            None => self.here(),
            Some(id) => self.peers.get(id).map_or_else(|| id.as_str(), |peer| peer.hostname.as_str()),
        }
    }

    /// Whether answers can be had: the local daemon is there.
    pub(crate) const fn is_up(&self) -> bool {
        matches!(self.link, Link::Up)
    }

    /// All tasks of the fleet, newest first, each with the node it runs on.
    pub(crate) fn tasks(&self) -> Vec<(TaskKey, &TaskInfo)> {
        let here = self.tasks.values().map(|task| (TaskKey { node: None, id: task.task_id.clone() }, task));
        let there = self
            .pictures
            .values()
            .flat_map(|picture| picture.tasks.iter().map(|task| (TaskKey { node: Some(picture.node_id.clone()), id: task.task_id.clone() }, task)));
        let mut all: Vec<_> = here.chain(there).collect();
        all.sort_by(|(left, a), (right, b)| b.started_at.cmp(&a.started_at).then_with(|| left.cmp(right)));
        all
    }

    /// One task.
    pub(crate) fn task(&self, key: &TaskKey) -> Option<&TaskInfo> {
        match &key.node {
            None => self.tasks.get(&key.id),
            Some(node) => self.pictures.get(node)?.tasks.iter().find(|task| task.task_id == key.id),
        }
    }

    /// All approvals that wait anywhere, oldest first; those of machines that are out of reach come last, since nobody can answer them now.
    pub(crate) fn approvals(&self) -> Vec<&Approval> {
        let there = self.pictures.values().flat_map(|picture| picture.approvals.iter());
        let mut all: Vec<_> = self.approvals.iter().chain(there).filter(|approval| approval.state.is_open()).collect();
        let order = |approval: &Approval| (self.away_since(approval).is_some(), approval.asked_at);
        all.sort_by(|a, b| order(a).cmp(&order(b)).then_with(|| a.id.cmp(&b.id)));
        all
    }

    /// The node that an approval comes from, for asking: `None` when it is local or when nothing is known of it.
    pub(crate) fn peer_of(&self, approval: &Approval) -> Option<NodeId> {
        (self.node_id.as_ref() != Some(&approval.node_id)).then(|| approval.node_id.clone())
    }

    /// The local daemon cannot be reached at all. Where something is known of it already it is lost: what is shown is what was seen last.
    pub(crate) fn missing(&mut self, why: NoDaemon, now: Now) -> News {
        match why {
            why if self.node_id.is_none() => self.link = Link::Missing(why),
            NoDaemon::NotRunning(why) | NoDaemon::Unusable(why) => self.lost(why, now),
            NoDaemon::NotInitialised => self.lost("Loopsy is not set up on this machine any more".to_owned(), now),
        }
        News::Link
    }

    /// It went: since when is said once, why may change.
    fn lost(&mut self, why: String, now: Now) {
        let since = if let Link::Lost(since, _) = self.link { since } else { now.wall };
        self.link = Link::Lost(since, why);
    }

    /// Takes what the stream says.
    pub(crate) fn take(&mut self, watched: Watched<events::Event>, now: Now) -> News {
        match watched {
            Watched::Connected => {
                self.link = Link::Up;
                News::Link
            }
            Watched::Lost(why) => {
                self.lost(why, now);
                News::Link
            }
            Watched::Event { event, .. } => {
                self.link = Link::Up;
                self.change(event, now)
            }
        }
    }

    fn change(&mut self, event: events::Event, now: Now) -> News {
        use events::Event as E;
        let topic = event.topic();
        match event {
            E::Snapshot { node_id, peers, jobs, transfers, context, tasks, approvals, terminals, fleet } => {
                self.node_id = Some(node_id);
                self.peers = peers.into_iter().map(|peer| (peer.node_id.clone(), peer)).collect();
                self.jobs = jobs.into_iter().map(|job| (job.job_id.clone(), job)).collect();
                self.transfers = transfers.into_iter().map(|transfer| (transfer.transfer_id.clone(), transfer)).collect();
                self.context = context.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
                self.tasks = tasks.into_iter().map(|task| (task.task_id.clone(), task)).collect();
                self.approvals = approvals;
                self.terminals = terminals.into_iter().map(|terminal| (terminal.id.clone(), terminal)).collect();
                self.pictures = fleet.into_iter().map(|picture| (picture.node_id.clone(), picture)).collect();
                self.tell_before();
                return News::All;
            }
            E::PeerChanged { peer } => {
                self.peer_news(&peer, now);
                self.peers.insert(peer.node_id.clone(), peer);
            }
            E::PeerRemoved { node_id } => {
                if let Some(peer) = self.peers.remove(&node_id).filter(|peer| !peer.candidate) {
                    self.tell_of(now.wall, About::default(), format!("{} is no longer a peer", peer.hostname));
                }
            }
            E::TransferChanged { transfer } => {
                self.transfer_news(&transfer, now);
                self.transfers.insert(transfer.transfer_id.clone(), transfer);
            }
            E::TransferRemoved { transfer_id } => drop(self.transfers.remove(&transfer_id)),
            E::ContextChanged { entry } => {
                self.entry_news(&entry, now);
                self.context.insert(entry.key.clone(), entry);
            }
            E::ContextRemoved { key } => drop(self.context.remove(&key)),
            E::TerminalChanged { terminal } => drop(self.terminals.insert(terminal.id.clone(), terminal)),
            E::TerminalRemoved { terminal_id } => drop(self.terminals.remove(&terminal_id)),
            E::PairingChanged { change, .. } => self.pairing = change,
            E::Peer { node_id, event, .. } => {
                if let Some(mut picture) = self.pictures.remove(&node_id) {
                    let news = self.of_node(Some(&node_id), *event, now, &mut Rows::Picture(&mut picture));
                    self.pictures.insert(node_id.clone(), picture);
                    return news.unwrap_or(News::Picture(node_id));
                }
                return News::Picture(node_id);
            }
            E::PeerPicture { picture } => {
                let node = picture.node_id.clone();
                self.pictures.insert(node.clone(), picture);
                return News::Picture(node);
            }
            E::PeerPictureRemoved { node_id } => {
                self.pictures.remove(&node_id);
                return News::Picture(node_id);
            }
            E::Closing {} => {
                self.lost("it is stopping".to_owned(), now);
                return News::Link;
            }
            event @ (E::TaskChanged { .. }
            | E::TaskRemoved { .. }
            | E::ApprovalChanged { .. }
            | E::ApprovalRemoved { .. }
            | E::JobChanged { .. }
            | E::JobRemoved { .. }) => {
                let (mut tasks, mut approvals, mut jobs) =
                    (std::mem::take(&mut self.tasks), std::mem::take(&mut self.approvals), std::mem::take(&mut self.jobs));
                let news = self.of_node(None, event, now, &mut Rows::Here(&mut tasks, &mut approvals, &mut jobs));
                (self.tasks, self.approvals, self.jobs) = (tasks, approvals, jobs);
                if let Some(news) = news {
                    return news;
                }
            }
        }
        topic.map_or(News::All, News::Topic)
    }

    /// A change of what every node has: tasks, approvals, jobs.
    fn of_node(&mut self, node: Option<&NodeId>, event: events::Event, now: Now, rows: &mut Rows<'_>) -> Option<News> {
        use events::Event as E;
        match event {
            E::TaskChanged { task } => {
                if rows.task(&task.task_id).is_none_or(|known| known.status != task.status) {
                    let about = About { node: node.cloned(), task: Some(TaskKey { node: node.cloned(), id: task.task_id.clone() }), ..About::default() };
                    self.tell_of(now.wall, about, told_task(task.task_id.short(), task.status));
                }
                rows.set_task(task);
            }
            E::TaskRemoved { task_id } => rows.drop_task(&task_id),
            E::ApprovalChanged { approval } => {
                let id = approval.id.clone();
                let (known, open) = (rows.approvals().iter().any(|known| known.id == id), approval.state.is_open());
                if open && !known {
                    let about = About { node: node.cloned(), task: Some(TaskKey { node: node.cloned(), id: approval.task_id.clone() }), ..About::default() };
                    self.tell_of(now.wall, about, told_approval(approval.task_id.short(), &approval.tool));
                }
                match rows.approvals().iter_mut().find(|known| known.id == id) {
                    Some(row) if open => *row = approval,
                    None if open => rows.approvals().push(approval),
                    _ => rows.approvals().retain(|known| known.id != id),
                }
                return Some(News::Approval(id));
            }
            E::ApprovalRemoved { id } => {
                rows.approvals().retain(|known| known.id != id);
                return Some(News::Approval(id));
            }
            E::JobChanged { job } => rows.set_job(job),
            E::JobRemoved { job_id } => rows.drop_job(&job_id),
            _ => {}
        }
        None
    }
}

/// Where the rows of a node are.
enum Rows<'a> {
    /// The local node.
    Here(&'a mut BTreeMap<TaskId, TaskInfo>, &'a mut Vec<Approval>, &'a mut BTreeMap<JobId, JobInfo>),
    /// A peer.
    Picture(&'a mut PeerPicture),
}

impl Rows<'_> {
    fn task(&self, id: &TaskId) -> Option<&TaskInfo> {
        match self {
            Self::Here(tasks, ..) => tasks.get(id),
            Self::Picture(picture) => picture.tasks.iter().find(|task| task.task_id == *id),
        }
    }

    fn set_task(&mut self, task: TaskInfo) {
        match self {
            Self::Here(tasks, ..) => drop(tasks.insert(task.task_id.clone(), task)),
            Self::Picture(picture) => match picture.tasks.iter_mut().find(|known| known.task_id == task.task_id) {
                Some(row) => *row = task,
                None => picture.tasks.insert(0, task),
            },
        }
    }

    fn drop_task(&mut self, id: &TaskId) {
        match self {
            Self::Here(tasks, ..) => drop(tasks.remove(id)),
            Self::Picture(picture) => picture.tasks.retain(|task| task.task_id != *id),
        }
    }

    const fn approvals(&mut self) -> &mut Vec<Approval> {
        match self {
            Self::Here(_, approvals, _) => approvals,
            Self::Picture(picture) => &mut picture.approvals,
        }
    }

    fn set_job(&mut self, job: JobInfo) {
        match self {
            Self::Here(_, _, jobs) => drop(jobs.insert(job.job_id.clone(), job)),
            Self::Picture(picture) => match picture.jobs.iter_mut().find(|known| known.job_id == job.job_id) {
                Some(row) => *row = job,
                None => picture.jobs.push(job),
            },
        }
    }

    fn drop_job(&mut self, id: &JobId) {
        match self {
            Self::Here(_, _, jobs) => drop(jobs.remove(id)),
            Self::Picture(picture) => picture.jobs.retain(|job| job.job_id != *id),
        }
    }
}

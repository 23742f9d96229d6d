//! One stream of everything that changes on a node.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Endpoint, Form, Needs, Scope, Spec, ai_tasks::TaskInfo, approvals::Approval, context::ContextEntry, execute::JobInfo, peers::PeerInfo,
    terminals::TerminalInfo, transfers::TransferInfo,
};
use crate::{
    id::{ApprovalId, JobId, NodeId, TaskId, TerminalId, TransferId},
    time::Millis,
};

/// The header of a stream that goes on after the last event seen, instead of beginning with a snapshot.
pub const RESUMED_HEADER: &str = "x-loopsy-resumed";

/// Streams what changes. First comes a `snapshot`, then changes that each carry the whole new object. Every event has an id `epoch-seq`; a client that sends the
/// last one it saw (`Last-Event-ID`, or `since`) gets what followed, or a fresh snapshot when that is no longer known. A comment comes every 15 seconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct WatchEvents {
    /// Comma-separated topics of `peers`, `jobs`, `transfers`, `context`, `pairing`, `tasks`, `approvals`, `terminals`; all that the key may see when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub topics: Option<String>,
    /// Only context keys that begin with this.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prefix: Option<String>,
    /// Id of the last event seen, for clients that cannot send `Last-Event-ID`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<String>,
    /// Also tasks, approvals and jobs of the peers, as far as they let this node see them. For the owner only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fleet: bool,
}
impl Endpoint for WatchEvents {
    type Reply = Event;
    const SPEC: Spec = Spec::get("events.watch", "/api/v1/events", Needs::Scope(Scope::Status)).gives(Form::Events);
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// Peers.
    Peers,
    /// Jobs.
    Jobs,
    /// Transfers.
    Transfers,
    /// Context entries.
    Context,
    /// Pairing.
    Pairing,
    /// Tasks.
    Tasks,
    /// Approvals.
    Approvals,
    /// Terminals.
    Terminals,
}

impl Topic {
    /// What a node shows of its peers.
    pub const OF_PEERS: [Self; 3] = [Self::Jobs, Self::Tasks, Self::Approvals];

    /// All topics.
    pub const ALL: [Self; 8] = [Self::Peers, Self::Jobs, Self::Transfers, Self::Context, Self::Pairing, Self::Tasks, Self::Approvals, Self::Terminals];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Peers => "peers",
            Self::Jobs => "jobs",
            Self::Transfers => "transfers",
            Self::Context => "context",
            Self::Pairing => "pairing",
            Self::Tasks => "tasks",
            Self::Approvals => "approvals",
            Self::Terminals => "terminals",
        }
    }
}

/// A change, or the whole picture.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Event {
    /// The whole state of the topics asked for. Forget what was known before.
    Snapshot {
        /// The node.
        node_id: NodeId,
        /// Peers.
        peers: Vec<PeerInfo>,
        /// Jobs that run, or ended within the last hour.
        jobs: Vec<JobInfo>,
        /// Transfers that run, or ended within the last hour.
        transfers: Vec<TransferInfo>,
        /// Context entries.
        context: Vec<ContextEntry>,
        /// Tasks, newest first.
        #[serde(default)]
        tasks: Vec<TaskInfo>,
        /// Approvals that wait, oldest first.
        #[serde(default)]
        approvals: Vec<Approval>,
        /// Terminals that are open, or ended within the last hour.
        #[serde(default)]
        terminals: Vec<TerminalInfo>,
        /// What is known of the peers; only with `fleet`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        fleet: Vec<PeerPicture>,
    },
    /// A peer is new or changed.
    PeerChanged {
        /// As it is now.
        peer: PeerInfo,
    },
    /// A peer is gone.
    PeerRemoved {
        /// Its id.
        node_id: NodeId,
    },
    /// A job began, or ended.
    JobChanged {
        /// As it is now.
        job: JobInfo,
    },
    /// A job is no longer kept.
    JobRemoved {
        /// Its id.
        job_id: JobId,
    },
    /// A transfer began, moved or ended.
    TransferChanged {
        /// As it is now.
        transfer: TransferInfo,
    },
    /// A transfer is no longer kept.
    TransferRemoved {
        /// Its id.
        transfer_id: TransferId,
    },
    /// An entry was stored.
    ContextChanged {
        /// As it is now.
        entry: ContextEntry,
    },
    /// An entry was deleted or expired.
    ContextRemoved {
        /// Its key.
        key: String,
    },
    /// A pairing began, went on or ended. `GET /pair/status` tells more to the owner.
    PairingChanged {
        /// Whether one is under way.
        active: bool,
        /// The number of the change, as in the status.
        change: u64,
    },
    /// A task is new or changed.
    TaskChanged {
        /// As it is now.
        task: TaskInfo,
    },
    /// A task is no longer kept.
    TaskRemoved {
        /// Its id.
        task_id: TaskId,
    },
    /// An approval is new, or was answered, or is no longer asked.
    ApprovalChanged {
        /// As it is now.
        approval: Approval,
    },
    /// An approval is no longer kept, or can no longer be seen.
    ApprovalRemoved {
        /// Its id.
        id: ApprovalId,
    },
    /// A terminal is new, or was resized, renamed or attached to, or has ended. Not sent for what it prints.
    TerminalChanged {
        /// As it is now.
        terminal: TerminalInfo,
    },
    /// A terminal is no longer kept.
    TerminalRemoved {
        /// Its id.
        terminal_id: TerminalId,
    },
    /// Something changed on a peer; only with `fleet`. Of a peer without a picture it means nothing.
    Peer {
        /// The peer.
        node_id: NodeId,
        /// Its name.
        node: String,
        /// What changed: a task, an approval or a job.
        event: Box<Event>,
    },
    /// The whole picture of a peer, instead of the one before: it is new, fresh again, or stale; only with `fleet`.
    PeerPicture {
        /// As it is now.
        picture: PeerPicture,
    },
    /// A peer was removed, and its picture with it; only with `fleet`.
    PeerPictureRemoved {
        /// The peer.
        node_id: NodeId,
    },
    /// The node is stopping; the stream ends.
    Closing {},
}

/// What this node knows of a peer: as much as the peer lets it see, and bounded. Long texts are cut. An approval with a very large input comes without input and
/// hash, and with a flag that says so: ask for the approval itself before answering it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeerPicture {
    /// The peer.
    pub node_id: NodeId,
    /// Its name.
    pub node: String,
    /// Since when it is fresh, or stale.
    pub since: Millis,
    /// Whether the peer is out of reach, so that this is what was seen last.
    pub stale: bool,
    /// What this node may see there.
    pub topics: Vec<Topic>,
    /// Tasks, newest first.
    pub tasks: Vec<TaskInfo>,
    /// Approvals that wait, oldest first.
    pub approvals: Vec<Approval>,
    /// Jobs that run, or ended within the last hour, oldest first.
    pub jobs: Vec<JobInfo>,
}

impl Event {
    /// What it is about; `None` for the snapshot, pictures of peers and the last event.
    pub fn topic(&self) -> Option<Topic> {
        match self {
            Self::PeerChanged { .. } | Self::PeerRemoved { .. } => Some(Topic::Peers),
            Self::JobChanged { .. } | Self::JobRemoved { .. } => Some(Topic::Jobs),
            Self::TransferChanged { .. } | Self::TransferRemoved { .. } => Some(Topic::Transfers),
            Self::ContextChanged { .. } | Self::ContextRemoved { .. } => Some(Topic::Context),
            Self::PairingChanged { .. } => Some(Topic::Pairing),
            Self::TaskChanged { .. } | Self::TaskRemoved { .. } => Some(Topic::Tasks),
            Self::ApprovalChanged { .. } | Self::ApprovalRemoved { .. } => Some(Topic::Approvals),
            Self::TerminalChanged { .. } | Self::TerminalRemoved { .. } => Some(Topic::Terminals),
            Self::Peer { event, .. } => event.topic(),
            Self::Snapshot { .. } | Self::PeerPicture { .. } | Self::PeerPictureRemoved { .. } | Self::Closing {} => None,
        }
    }

    /// Whether it is about another node than the one that tells it.
    pub const fn is_of_peer(&self) -> bool {
        matches!(self, Self::Peer { .. } | Self::PeerPicture { .. } | Self::PeerPictureRemoved { .. })
    }
}

//! Everything that can be asked of a node, each question a type.
//!
//! A request struct *is* its endpoint: the fields named in the path travel in the path, the rest in the query (GET, DELETE) or in the JSON body. The daemon,
//! the client, the command line, the OpenAPI document and `docs/API.md` all come from these types and from [`REGISTRY`].

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub mod ai_tasks;
pub mod approvals;
pub mod context;
pub mod error;
pub mod events;
pub mod execute;
pub mod health;
pub mod node;
pub mod pairing;
pub mod peers;
pub mod terminals;
pub mod transfer;
pub mod transfers;
pub mod wire;

pub use error::{ApiError, Code};

/// The prefix of every path.
pub const PREFIX: &str = "/api/v1";

/// Header with the SHA-256 (hex) that a pushed file must have.
pub const SHA256_HEADER: &str = "x-loopsy-sha256";
/// Header with the whole size of a pulled file, in bytes.
pub const FILE_SIZE_HEADER: &str = "x-loopsy-file-size";
/// Header with the modification time of a pulled file, milliseconds since 1970.
pub const MODIFIED_HEADER: &str = "x-loopsy-modified";
/// Header with the permission bits of a pulled file, octal.
pub const MODE_HEADER: &str = "x-loopsy-mode";
/// Header that groups requests into one transfer, which the rate limit then counts once.
pub const TRANSFER_HEADER: &str = "x-loopsy-transfer-id";
/// Header with the job's id on the reply of a stream.
pub const JOB_HEADER: &str = "x-loopsy-job-id";
/// Header of a request that a node passes on for its owner's agents: it may do no more than they may. Only the node itself sets it.
pub const ON_BEHALF_HEADER: &str = "x-loopsy-on-behalf";

/// A question and the shape of its answer.
pub trait Endpoint: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// What comes back: the JSON body, one event of a stream, or [`Bytes`] for raw content.
    type Reply: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
    /// Method, path and gate.
    const SPEC: Spec;
}

/// Reply of an endpoint that answers with raw bytes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Bytes;

/// HTTP method of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads; has no effect.
    Get,
    /// Does.
    Post,
    /// Stores under a name.
    Put,
    /// Ends or removes.
    Delete,
}

impl Method {
    /// `GET`, `POST`, ...
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    /// Whether the request's fields travel in a body.
    pub const fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Put)
    }
}

/// What a peer's key may do. The owner's admin key may do everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// See identity, status and peers.
    Status,
    /// Read and write context entries.
    Context,
    /// Deliver messages.
    Messages,
    /// Read and write files.
    Transfer,
    /// Run commands.
    Execute,
    /// Dispatch coding agents.
    AiTasks,
    /// Answer approvals.
    Approve,
    /// Open terminals.
    Terminal,
}

impl Scope {
    /// The word on the wire and in config.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Context => "context",
            Self::Messages => "messages",
            Self::Transfer => "transfer",
            Self::Execute => "execute",
            Self::AiTasks => "ai-tasks",
            Self::Approve => "approve",
            Self::Terminal => "terminal",
        }
    }

    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 8] = [Self::Status, Self::Context, Self::Messages, Self::Transfer, Self::Execute, Self::AiTasks, Self::Approve, Self::Terminal];

    /// The scope of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }

    /// What a peer gets when nobody narrows it.
    pub const PEER_DEFAULT: [Self; 6] = [Self::Status, Self::Context, Self::Messages, Self::Transfer, Self::Execute, Self::AiTasks];
}

/// The credential that an endpoint asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// None at all. Only health.
    Nothing,
    /// A key with this scope.
    Scope(Scope),
    /// The key of another machine (with the scope `status`), or the owner's: what machines tell each other about themselves.
    Peer,
    /// The key of the owner or of the owner's agents: what reaches out from this machine.
    Local,
    /// The owner's key.
    Admin,
    /// The token of the task that the path names, or the owner's key.
    Task,
}

/// What a rate limit counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Category {
    /// `rateLimits.execute`.
    Execute,
    /// `rateLimits.transfer`.
    Transfer,
    /// `rateLimits.context`.
    Context,
}

/// How the body of a request or reply is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// JSON.
    Json,
    /// Server-sent events, each with the JSON of one reply.
    Events,
    /// `multipart/form-data`: the request's fields, then one file.
    Multipart,
    /// `application/octet-stream`.
    Bytes,
    /// A WebSocket, whose text frames each have the JSON of one reply.
    Socket,
}

/// Method, path and gate of an endpoint. Made with [`Spec::get`] and its sisters, so none can be without [`Needs`].
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// Dotted name: `context.set`.
    pub name: &'static str,
    /// HTTP method.
    pub method: Method,
    /// Path with `{field}` segments.
    pub path: &'static str,
    /// Who may ask.
    pub needs: Needs,
    /// The rate limit it counts against.
    pub limit: Option<Category>,
    /// How the request is written.
    pub request: Form,
    /// How the reply is written.
    pub reply: Form,
    /// Whether success is 201 instead of 200.
    pub creates: bool,
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident = $method:ident;)*) => {$(
        $(#[$doc])*
        pub const fn $name(name: &'static str, path: &'static str, needs: Needs) -> Self {
            Self { name, method: Method::$method, path, needs, limit: None, request: Form::Json, reply: Form::Json, creates: false }
        }
    )*};
}

impl Spec {
    methods! {
        /// A GET endpoint.
        get = Get;
        /// A POST endpoint.
        post = Post;
        /// A PUT endpoint.
        put = Put;
        /// A DELETE endpoint.
        delete = Delete;
    }

    /// Counts against this rate limit.
    pub const fn limited(mut self, category: Category) -> Self {
        self.limit = Some(category);
        self
    }

    /// The request is written in this form.
    pub const fn takes(mut self, form: Form) -> Self {
        self.request = form;
        self
    }

    /// The reply is written in this form.
    pub const fn gives(mut self, form: Form) -> Self {
        self.reply = form;
        self
    }

    /// Success is 201: something is there that was not.
    pub const fn created(mut self) -> Self {
        self.creates = true;
        self
    }

    /// Whether a request is for this endpoint. A field in braces stands for one segment that is not empty.
    pub fn matches(&self, method: &str, path: &str) -> bool {
        let (mut template, mut segments) = (self.path.split('/'), path.split('/'));
        self.method.as_str() == method
            && loop {
                match (template.next(), segments.next()) {
                    (None, None) => break true,
                    (Some(wanted), Some(given)) if wanted == given || (wanted.starts_with('{') && !given.is_empty()) => {}
                    _ => break false,
                }
            }
    }

    /// The names in braces, in order.
    pub fn path_fields(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }
}

/// One line of the registry.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Method, path and gate.
    pub spec: Spec,
    /// Adds the request's schema to a document.
    pub request: fn(&mut SchemaGenerator) -> Schema,
    /// Adds the reply's schema to a document.
    pub reply: fn(&mut SchemaGenerator) -> Schema,
}

/// Reply of an endpoint that ends or removes something.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// Always true; a failure is an error.
    pub success: bool,
    /// The job, where one was meant.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub job_id: Option<crate::id::JobId>,
    /// The peer, where one was meant.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub node_id: Option<crate::id::NodeId>,
    /// The transfer, where one was meant.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transfer_id: Option<crate::id::TransferId>,
    /// The context key, where one was meant.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
}

impl Done {
    /// `{"success":true}`.
    pub const OK: Self = Self { success: true, job_id: None, node_id: None, transfer_id: None, key: None };
}

macro_rules! registry {
    ($($endpoint:ty),* $(,)?) => {
        /// Every endpoint, in the order of the documentation. A route that is not here does not exist; an entry that is not mounted fails a test.
        pub const REGISTRY: &[Entry] = &[$(Entry {
            spec: <$endpoint as Endpoint>::SPEC,
            request: SchemaGenerator::subschema_for::<$endpoint>,
            reply: SchemaGenerator::subschema_for::<<$endpoint as Endpoint>::Reply>,
        }),*];
    };
}

registry![
    health::GetHealth,
    health::GetStatus,
    health::GetIdentity,
    node::GetOpenApi,
    node::Reload,
    node::RotateKey,
    peers::ListPeers,
    peers::AddPeer,
    peers::ConnectPeer,
    peers::MintPeerKey,
    peers::RevokePeerKey,
    peers::RemovePeer,
    peers::SetPeerScopes,
    peers::DiagnosePeer,
    peers::LeavePeer,
    peers::Handshake,
    pairing::StartPairing,
    pairing::JoinPairing,
    pairing::GetPairing,
    pairing::InitiatePairing,
    pairing::ConfirmPairing,
    execute::Execute,
    execute::ExecuteStream,
    execute::ListJobs,
    execute::GetJob,
    execute::GetJobOutput,
    execute::WriteJobInput,
    execute::CancelJob,
    transfer::Push,
    transfer::PushOffset,
    transfer::Pull,
    transfer::ListDirectory,
    transfer::ListTree,
    transfer::StatPath,
    transfer::MakeDirectory,
    transfers::StartTransfer,
    transfers::ListTransfers,
    transfers::GetTransfer,
    transfers::CancelTransfer,
    context::SetContext,
    context::GetContext,
    context::DeleteContext,
    context::ListContext,
    context::ImportContext,
    ai_tasks::DispatchTask,
    ai_tasks::ListTasks,
    ai_tasks::GetTask,
    ai_tasks::WatchTask,
    ai_tasks::ListTaskEvents,
    ai_tasks::SendToTask,
    ai_tasks::InterruptTask,
    ai_tasks::ResumeTask,
    ai_tasks::CancelTask,
    ai_tasks::ApproveTask,
    ai_tasks::RequestPermission,
    ai_tasks::GetPermission,
    ai_tasks::TaskHook,
    ai_tasks::ListAgents,
    approvals::ListApprovals,
    approvals::TestRules,
    approvals::ListRules,
    approvals::AddRule,
    approvals::RemoveRule,
    approvals::GetApproval,
    approvals::DecideApproval,
    terminals::OpenTerminal,
    terminals::ListTerminals,
    terminals::GetTerminal,
    terminals::CloseTerminal,
    terminals::ResizeTerminal,
    terminals::ReadTerminal,
    terminals::AttachTerminal,
    events::WatchEvents,
];

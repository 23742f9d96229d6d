//! What a refusal looks like: a code, a sentence, and what to do next.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal;)*) => {
        /// The number in an error body. Each belongs to one HTTP status.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
            /// A number that this version does not know, with the status it came with.
            Other(u16, u16),
        }

        impl Code {
            /// All known codes.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The number.
            pub const fn number(self) -> u16 {
                match self { $(Self::$name => $code,)* Self::Other(code, _) => code }
            }

            /// The HTTP status it is sent with.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* Self::Other(_, status) => status }
            }

            /// Reads a number that came with a status.
            pub const fn from_number(code: u16, status: u16) -> Self {
                match code { $($code => Self::$name,)* other => Self::Other(other, status) }
            }
        }
    };
}

codes! {
    /// No key was presented.
    MissingKey = 1001, 401;
    /// The key is not known here.
    InvalidKey = 1002, 403;
    /// The key is known but may not do this.
    ScopeMissing = 1004, 403;
    /// What this key may do needs an encrypted connection, from the machine that it was issued for.
    NotEncrypted = 1006, 403;
    /// The request came from a web page, or for a host name that is not this node's.
    ForeignOrigin = 1005, 403;
    /// No such peer.
    PeerNotFound = 2001, 404;
    /// The peer did not answer.
    PeerUnreachable = 2003, 502;
    /// Another node answered at the peer's address.
    PeerChanged = 2004, 502;
    /// More than one peer has that name.
    PeerAmbiguous = 2006, 409;
    /// Another peer has that name already.
    PeerNameTaken = 2007, 409;
    /// This node has no key for that peer.
    PeerNoKey = 2008, 409;
    /// The certificate at the peer's address is not the pinned one.
    PeerCertificate = 2009, 502;
    /// The peer was paired, and its pin is no longer in the config.
    PeerPinMissing = 2010, 409;
    /// The policy forbids the command.
    CommandDenied = 3001, 400;
    /// Too many jobs run already.
    TooManyJobs = 3003, 400;
    /// The command could not be started.
    SpawnFailed = 3004, 400;
    /// No such job.
    JobNotFound = 3006, 404;
    /// The job takes no input (any more).
    JobInputClosed = 3007, 409;
    /// The path may not be touched.
    PathDenied = 4001, 400;
    /// There is no such file, or it is not a regular one.
    FileNotFound = 4002, 400;
    /// The file is larger than `transfer.maxFileSize`.
    FileTooLarge = 4003, 400;
    /// The content does not have the hash that was announced.
    ChecksumMismatch = 4004, 400;
    /// The transfer could not be carried out.
    TransferFailed = 4005, 400;
    /// The disk is full.
    DiskFull = 4006, 507;
    /// The file's name would be unsafe on some system.
    NameRefused = 4007, 400;
    /// No such transfer.
    TransferNotFound = 4008, 404;
    /// The part that lies here does not fit the offset.
    ResumeMismatch = 4009, 409;
    /// No entry under that key.
    KeyNotFound = 5001, 404;
    /// The value is larger than 1 MiB.
    ValueTooLarge = 5002, 400;
    /// The store is full.
    TooManyEntries = 5003, 400;
    /// The entry has another version than the one named.
    VersionMismatch = 5004, 412;
    /// No such task.
    TaskNotFound = 6001, 404;
    /// Too many tasks run, and the request does not want to wait; or too many wait.
    TooManyTasks = 6002, 429;
    /// The task could not be started.
    TaskFailed = 6003, 400;
    /// The task is in a state in which this cannot be done.
    TaskState = 6004, 409;
    /// No such question of that task waits for an answer.
    NoPendingApproval = 6005, 400;
    /// Claude Code is not installed.
    ClaudeNotFound = 6006, 500;
    /// No agent of that name is installed, or none at all.
    AgentNotFound = 6007, 500;
    /// No such approval.
    ApprovalNotFound = 6008, 404;
    /// The approval was answered, has expired or was withdrawn.
    ApprovalClosed = 6009, 409;
    /// What is to be approved is not what was shown.
    ApprovalChanged = 6010, 409;
    /// An argument or a mode would widen what the agent may do, and this node does not allow that.
    TaskDenied = 6011, 403;
    /// No such terminal.
    TerminalNotFound = 6101, 404;
    /// Too many terminals are open.
    TooManyTerminals = 6102, 429;
    /// The terminal has ended.
    TerminalEnded = 6103, 409;
    /// No pairing waits here.
    PairingNone = 7001, 404;
    /// The invite's five minutes are over.
    PairingExpired = 7002, 410;
    /// The code is wrong.
    PairingProof = 7003, 403;
    /// The invite was burned: too many wrong codes, or a message that no honest machine sends.
    PairingBurned = 7004, 410;
    /// Another pairing is under way.
    PairingBusy = 7005, 409;
    /// The old pairing, which sends its secrets in clear, is not spoken here.
    PairingTooOld = 7006, 400;
    /// One of the two people said no.
    PairingRejected = 7007, 403;
    /// A message of the pairing is not well-formed.
    PairingMalformed = 7008, 400;
    /// The node failed; its log says more.
    Internal = 9001, 500;
    /// Too many requests of this kind.
    RateLimited = 9002, 429;
    /// The request is not valid.
    InvalidRequest = 9003, 400;
    /// No such route.
    RouteNotFound = 9004, 404;
    /// The route exists, but not for this method.
    MethodNotAllowed = 9005, 405;
    /// The body is too large.
    BodyTooLarge = 9006, 413;
    /// The body has a type that is not understood.
    UnsupportedMediaType = 9007, 415;
    /// The node is shutting down.
    ShuttingDown = 9008, 503;
    /// The store is read-only after a failed write.
    StoreReadOnly = 9009, 503;
    /// The store's disk is full.
    StoreFull = 9010, 507;
    /// The body did not arrive in time.
    RequestTimeout = 9011, 408;
    /// The config file is not valid.
    ConfigInvalid = 9012, 400;
}

/// A refusal, as it travels: `{"error":{"code":2001,"message":"..","hint":".."}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The number.
    pub code: Code,
    /// What is wrong, in one or two sentences.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// Seconds after which the same request may pass (429 only).
    pub retry_after: Option<u64>,
}

impl ApiError {
    /// An error without a hint.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, retry_after: None }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The body.
    pub fn to_body(&self) -> ErrorBody {
        ErrorBody { error: ErrorDetail { code: self.code.number(), message: self.message.clone(), hint: self.hint.clone() } }
    }

    /// Reads the body that came with a status. Bodies of other servers become a sentence with the status.
    pub fn from_body(status: u16, body: &[u8]) -> Self {
        if let Ok(body) = serde_json::from_slice::<ErrorBody>(body) {
            let ErrorDetail { code, message, hint } = body.error;
            return Self { code: Code::from_number(code, status), message, hint, retry_after: None };
        }
        #[derive(Deserialize)]
        struct Plain {
            error: Option<String>,
            message: Option<String>,
        }
        let text = serde_json::from_slice::<Plain>(body).ok().and_then(|plain| plain.message.or(plain.error));
        Self::new(Code::Other(0, status), text.unwrap_or_else(|| format!("The node answered with HTTP status {status}.")))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

/// Body of every answer that is not a success.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// The refusal.
    pub error: ErrorDetail,
}

/// The refusal inside an [`ErrorBody`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorDetail {
    /// The number; the list is in `docs/API.md`.
    pub code: u16,
    /// What is wrong.
    pub message: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
}

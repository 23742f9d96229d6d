//! Every failure of a service, as a status, a code and a hint. Services know nothing of HTTP; this file alone does the mapping.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use loopsy_shared::api::{ApiError, Code};

use crate::{
    agents::AgentError, approvals::ApprovalError, context::ContextError, files::FileError, fleet::FleetError, jobs::JobError, lp2::Refusal, peers::PeerError,
    settings::SettingsError, store::StoreError, tasks::TaskError, terminals::TerminalError, transfers::TransferError,
};

/// Makes an error response.
pub(super) fn response(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(&error.to_body()).unwrap_or_default();
    let mut response = (status, [(header::CONTENT_TYPE, super::body::JSON)], Body::from(body)).into_response();
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A failure that no caller caused. The cause goes to the log, not to the caller.
pub fn internal(cause: &dyn std::fmt::Display) -> ApiError {
    tracing::error!(%cause, "internal error");
    ApiError::new(Code::Internal, "The node failed to do this.").hint("The node's log (`logs/daemon.log` in its data directory) says why.")
}

impl From<SettingsError> for ApiError {
    fn from(error: SettingsError) -> Self {
        let hint = match &error {
            SettingsError::Invalid { error, .. } => error.hint.clone(),
            SettingsError::Io { .. } => None,
        };
        let refusal = Self::new(Code::ConfigInvalid, error.to_string());
        Self { hint: hint.or(refusal.hint), ..Self::new(refusal.code, refusal.message) }
    }
}

/// What the other machine of a pairing is told: which check failed is nobody's business but this machine's.
impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let hint = match refusal {
            Refusal::NoSession | Refusal::Expired | Refusal::Burned => Some("Begin again on the machine that waits: loopsy pair"),
            Refusal::Proof => Some("Three wrong codes end the invite."),
            Refusal::TooOld => Some("This version pairs without sending secrets: update Loopsy there. If that machine sent its own key, change it."),
            Refusal::Busy | Refusal::Rejected | Refusal::Malformed => None,
        };
        let mut text = refusal.to_string();
        text.get_mut(..1).map(str::make_ascii_uppercase);
        Self { hint: hint.map(str::to_owned), ..Self::new(refusal.code(), format!("{text}.")) }
    }
}

impl From<FleetError> for ApiError {
    fn from(error: FleetError) -> Self {
        let text = error.to_string();
        match error {
            FleetError::NotFound { unseen, .. } if !unseen.is_empty() => {
                Self::new(Code::ApprovalNotFound, text).hint(format!("It may be on a machine whose approvals are not known now: {}.", unseen.join(", ")))
            }
            FleetError::NotFound { .. } => Self::new(Code::ApprovalNotFound, text).hint("`loopsy approvals` lists those that wait."),
            FleetError::Peer(error) => error.into(),
            FleetError::Refused(refusal) => refusal,
            FleetError::Unknown { id, .. } => Self::new(Code::PeerUnreachable, text).hint(format!("Look again: loopsy approvals show {id}")),
        }
    }
}

impl From<PeerError> for ApiError {
    fn from(error: PeerError) -> Self {
        let text = error.to_string();
        match error {
            PeerError::NotFound { .. } => Self::new(Code::PeerNotFound, text).hint("`loopsy peers` lists the peers."),
            PeerError::Ambiguous { .. } => Self::new(Code::PeerAmbiguous, text).hint("Use the node id."),
            PeerError::NotPaired(name) => {
                Self::new(Code::PeerNoKey, text).hint(format!("Pair with it: `loopsy pair` on `{name}`, then here: loopsy pair {name}"))
            }
            PeerError::Removed(_) => Self::new(Code::PeerNoKey, text).hint("To use it again, pair: loopsy pair"),
            PeerError::PinMissing(name) => {
                Self::new(Code::PeerPinMissing, text).hint(format!("Pair again: loopsy peers remove {name}, then loopsy pair on both machines."))
            }
            PeerError::Certificate { name, .. } => Self::new(Code::PeerCertificate, text)
                .hint(format!("If `{name}` was set up anew: `loopsy peers remove {name}`, then pair again. If not, somebody stands in between.")),
            PeerError::NoKey(name) => Self::new(Code::PeerNoKey, text).hint(format!("Pair with it: `loopsy pair` on `{name}`, then here: loopsy pair {name}")),
            PeerError::Unreachable { .. } => Self::new(Code::PeerUnreachable, text)
                .hint("Is the machine on, and does `loopsy status` there say that its daemon runs? `loopsy peers` shows what was seen last."),
            PeerError::Changed { .. } => Self::new(Code::PeerChanged, text)
                .hint("No key was sent. If the peer moved or was set up anew, remove it and pair again: loopsy peers remove, loopsy pair."),
            PeerError::KeyRefused(name) => Self::new(Code::PeerNoKey, text)
                .hint(format!("It was revoked there. Remove it here and pair again: loopsy peers remove {name}, then loopsy pair")),
            PeerError::Refused { error, .. } => Self { code: error.code, message: text, hint: error.hint, retry_after: error.retry_after },
            PeerError::NameTaken(_) => Self::new(Code::PeerNameTaken, text).hint("Give one of the two another server.hostname, or remove the old peer first."),
            PeerError::Invalid(_) => Self::new(Code::InvalidRequest, text),
            PeerError::Save(_) => internal(&text),
        }
    }
}
impl From<FileError> for ApiError {
    fn from(error: FileError) -> Self {
        let text = error.to_string();
        let code = match error {
            FileError::PathDenied { .. } => Code::PathDenied,
            FileError::NotFound { .. } => Code::FileNotFound,
            FileError::TooLarge { .. } => Code::FileTooLarge,
            FileError::ChecksumMismatch { .. } => Code::ChecksumMismatch,
            FileError::DiskFull { .. } => Code::DiskFull,
            FileError::NameRefused { .. } => Code::NameRefused,
            FileError::ResumeMismatch { .. } => Code::ResumeMismatch,
            FileError::Failed { .. } | FileError::Busy { .. } | FileError::Exists { .. } | FileError::Changed { .. } => Code::TransferFailed,
            FileError::Invalid { .. } => Code::InvalidRequest,
        };
        let hint = match code {
            Code::PathDenied => {
                Some("`transfer.allowedPaths` and `transfer.deniedPaths` in the config.yaml of the machine that the path is on say what may be touched.")
            }
            Code::FileNotFound => Some("A relative path starts in the home directory of that node's owner."),
            _ => None,
        };
        Self { hint: hint.map(str::to_owned), ..Self::new(code, text) }
    }
}

impl From<TransferError> for ApiError {
    fn from(error: TransferError) -> Self {
        let text = error.to_string();
        match error {
            TransferError::NotFound(_) => Self::new(Code::TransferNotFound, text).hint("Transfers are shown for an hour after their end."),
            TransferError::Here(error) => error.into(),
            TransferError::Peer(error) => error.into(),
            TransferError::There(error) => error,
            TransferError::Connection(_) => {
                Self::new(Code::PeerUnreachable, text).hint("What was sent is kept for a day: the same command goes on from there.")
            }
            TransferError::Invalid(_) => Self::new(Code::InvalidRequest, text),
            TransferError::Cancelled => Self::new(Code::TransferFailed, text),
            TransferError::Changed => Self::new(Code::TransferFailed, text).hint("Copy it again when nothing writes to it."),
        }
    }
}

impl From<ContextError> for ApiError {
    fn from(error: ContextError) -> Self {
        let text = error.to_string();
        match error {
            ContextError::NotFound { .. } => Self::new(Code::KeyNotFound, text).hint("`loopsy context list` shows what there is."),
            ContextError::ValueTooLarge { .. } => Self::new(Code::ValueTooLarge, text).hint("Send it as a file: loopsy send PEER FILE DESTINATION"),
            ContextError::TooMany { .. } => Self::new(Code::TooManyEntries, text),
            ContextError::VersionMismatch { .. } => Self::new(Code::VersionMismatch, text),
            ContextError::BadEntry { .. } => Self::new(Code::InvalidRequest, text),
            ContextError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        match error {
            StoreError::ReadOnly { .. } => Self::new(Code::StoreReadOnly, text),
            StoreError::Full { .. } => Self::new(Code::StoreFull, text),
            StoreError::Closed => Self::new(Code::ShuttingDown, text),
            StoreError::Corrupt { .. } | StoreError::Newer { .. } | StoreError::Unopened { .. } | StoreError::Failed { .. } => internal(&text),
        }
    }
}

impl From<JobError> for ApiError {
    fn from(error: JobError) -> Self {
        let text = error.to_string();
        match error {
            JobError::Denied(_) => {
                Self::new(Code::CommandDenied, text).hint("`execution.denylist` and `execution.allowlist` in that node's config.yaml say what may run.")
            }
            JobError::TooMany(_) => {
                Self::new(Code::TooManyJobs, text).hint("Wait for one to end, or raise `execution.maxConcurrent` in that node's config.yaml.")
            }
            JobError::SpawnFailed { .. } => Self::new(Code::SpawnFailed, text),
            JobError::Invalid(_) => Self::new(Code::InvalidRequest, text),
            JobError::NotFound(_) => Self::new(Code::JobNotFound, text).hint("Jobs are kept for an hour after their end; only running ones can be cancelled."),
            JobError::Closing => Self::new(Code::ShuttingDown, text),
        }
    }
}

impl From<ApprovalError> for ApiError {
    fn from(error: ApprovalError) -> Self {
        let text = error.to_string();
        match error {
            ApprovalError::NotFound(_) => Self::new(Code::ApprovalNotFound, text).hint("`loopsy approvals` lists those that wait."),
            ApprovalError::Closed { .. } => Self::new(Code::ApprovalClosed, text).hint("The first answer counts. `loopsy approvals show` tells what it was."),
            ApprovalError::Changed(id) => Self::new(Code::ApprovalChanged, text).hint(format!("Look again before you answer: loopsy approvals show {id}")),
            ApprovalError::Invalid(_) => Self::new(Code::InvalidRequest, text),
            ApprovalError::Store(error) => error.into(),
        }
    }
}

impl From<AgentError> for ApiError {
    fn from(error: AgentError) -> Self {
        let text = error.to_string();
        match &error {
            AgentError::NotInstalled { name, .. } if name == "claude" => Self::new(Code::ClaudeNotFound, text),
            AgentError::Shell { .. } => internal(&text),
            _ => Self::new(Code::AgentNotFound, text).hint("`loopsy status` shows which are installed."),
        }
    }
}

impl From<TaskError> for ApiError {
    fn from(error: TaskError) -> Self {
        let text = error.to_string();
        match error {
            TaskError::NotFound(_) => Self::new(Code::TaskNotFound, text).hint("`loopsy task list` shows what there is."),
            TaskError::TooMany(_) => Self::new(Code::TooManyTasks, text).hint("Wait for one to end, or let it wait in the queue (`queue: true`)."),
            TaskError::QueueFull(_) => {
                Self::new(Code::TooManyTasks, text).hint("Wait for some to end, or raise `agents.maxQueued` in that node's config.yaml.")
            }
            TaskError::Invalid(_) => Self::new(Code::InvalidRequest, text),
            TaskError::Denied(_) => Self::new(Code::TaskDenied, text),
            TaskError::Path(_) => Self::new(Code::PathDenied, text),
            TaskError::State(_) => Self::new(Code::TaskState, text).hint("`loopsy task show` tells how it stands."),
            TaskError::NoQuestion { .. } => Self::new(Code::NoPendingApproval, text).hint("`loopsy approvals` lists those that wait."),
            TaskError::Agent(error) => error.into(),
            TaskError::Worktree(_) => Self::new(Code::TaskFailed, text),
            TaskError::Terminal(error) => error.into(),
            TaskError::Approval(error) => error.into(),
            TaskError::Store(error) => error.into(),
            TaskError::Files(_) => Self::new(Code::TaskFailed, text),
            TaskError::Closing => Self::new(Code::ShuttingDown, text),
        }
    }
}

impl From<TerminalError> for ApiError {
    fn from(error: TerminalError) -> Self {
        let text = error.to_string();
        match error {
            TerminalError::Command(error) => error.into(),
            TerminalError::TooMany(_) => {
                Self::new(Code::TooManyTerminals, text).hint("Close one (`loopsy terminal kill`), or raise `terminals.maxOpen` in that node's config.yaml.")
            }
            TerminalError::TooManyViewers(_) => Self::new(Code::TooManyTerminals, text).hint("Detach one."),
            TerminalError::NotFound(_) => {
                Self::new(Code::TerminalNotFound, text).hint("Terminals are kept for an hour after their end; `loopsy terminal list` shows them.")
            }
            TerminalError::Ended(_) => Self::new(Code::TerminalEnded, text).hint("Open another: loopsy terminal new"),
            TerminalError::Taken(_) => Self::new(Code::InvalidRequest, text),
            TerminalError::Failed(_) => Self::new(Code::SpawnFailed, text),
            TerminalError::Closing => Self::new(Code::ShuttingDown, text),
        }
    }
}

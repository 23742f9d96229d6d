//! What can go wrong with tasks, each as a sentence.

use loopsy_shared::{id::TaskId, text::inert};

use crate::{agents::AgentError, approvals::ApprovalError, store::StoreError, tasks::worktree::WorktreeError, terminals::TerminalError};

/// Why something cannot be done with a task.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// There is none of that id.
    #[error("There is no task `{}`.", inert(.0.as_str()))]
    NotFound(TaskId),
    /// As many run as may, and the request does not want to wait.
    #[error("{0} tasks run here already, which is as many as may (`agents.maxConcurrent`).")]
    TooMany(usize),
    /// As many wait as may.
    #[error("{0} tasks wait for a place here already, which is as many as may (`agents.maxQueued`).")]
    QueueFull(usize),
    /// It makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// It would widen what the agent may do, and this node does not allow that.
    #[error("{0}")]
    Denied(String),
    /// The working directory may not be used.
    #[error("{0}")]
    Path(String),
    /// It is in a state in which this cannot be done.
    #[error("{0}")]
    State(String),
    /// No such question waits.
    #[error("The task {task} has no open question `{}`.", inert(.request))]
    NoQuestion {
        /// Which task.
        task: TaskId,
        /// Which question.
        request: String,
    },
    /// The agent is not there, or is not known.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// Its worktree could not be made.
    #[error(transparent)]
    Worktree(#[from] WorktreeError),
    /// Its terminal could not be opened.
    #[error(transparent)]
    Terminal(#[from] TerminalError),
    /// A question could not be answered.
    #[error(transparent)]
    Approval(#[from] ApprovalError),
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its files could not be made.
    #[error("The files of the task cannot be made: {0}.")]
    Files(std::io::Error),
    /// The node stops.
    #[error("The node is shutting down and starts no more tasks.")]
    Closing,
}

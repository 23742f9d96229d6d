//! What goes wrong with terminals.

use loopsy_shared::{id::TerminalId, text::inert};

use crate::jobs::JobError;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    /// The program may not run, or cannot be found.
    #[error(transparent)]
    Command(#[from] JobError),
    /// As many are open as may.
    #[error("{0} terminals are open here already, which is as many as may (`terminals.maxOpen`).")]
    TooMany(usize),
    /// As many look at it as may.
    #[error("{0} viewers look at the terminal already, which is as many as may.")]
    TooManyViewers(usize),
    /// It is unknown.
    #[error("There is no terminal `{}`.", inert(.0.as_str()))]
    NotFound(TerminalId),
    /// Its program has ended.
    #[error("The terminal `{}` has ended.", inert(.0.as_str()))]
    Ended(TerminalId),
    /// An id is taken.
    #[error("There is a terminal `{}` already.", inert(.0.as_str()))]
    Taken(TerminalId),
    /// The system says no.
    #[error("The terminal could not be opened: {0}.")]
    Failed(String),
    /// The node stops.
    #[error("The node is shutting down and opens no more terminals.")]
    Closing,
}

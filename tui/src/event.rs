//! Everything that can happen to the control centre, in one order.

use loopsy_shared::{
    api::{ai_tasks::TaskEvent, events, execute::ExecuteEvent},
    client::{Attached, Watched},
    id::NodeId,
    time::Millis,
};

use crate::{
    effect::{Done, Timer},
    input::Input,
    request::{Answer, Place, Request},
    world::{TaskKey, TerminalKey},
};

/// What time it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Now {
    /// The clock on the wall, for showing; may jump.
    pub(crate) wall: Millis,
    /// Milliseconds since the start; never jumps. What waits, waits by this.
    pub(crate) since: u64,
}

/// One event.
#[derive(Debug)]
pub(crate) enum Event {
    /// A person did something.
    Input(Input),
    /// The window has another size: columns and rows.
    Resize(u16, u16),
    /// The window was entered or left.
    Focus(bool),
    /// The local daemon's stream.
    Fleet(Box<Watched<events::Event>>),
    /// The daemon cannot be reached at all (no stream yet): why, and whether a data directory exists.
    NoDaemon(NoDaemon),
    /// An answer to [`crate::effect::Effect::Call`].
    Answer(Box<Answered>),
    /// The followed task's log.
    Log(TaskKey, Box<Watched<TaskEvent>>),
    /// The followed task's log ended or cannot be had.
    LogEnd(TaskKey, Option<String>),
    /// An attached terminal.
    Terminal(TerminalKey, Attached),
    /// An attachment that cannot be had, or ended: why.
    TerminalEnd(TerminalKey, Option<String>),
    /// A command that runs on a node for the person: the number it was started with.
    Exec(u64, Result<ExecuteEvent, String>),
    /// Something that was done outside of the daemon.
    Did(Done),
    /// A timer that was asked for.
    Woke(Timer),
}

/// Why there is no daemon to talk to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoDaemon {
    /// There is no data directory with a config: `loopsy init` was never run.
    NotInitialised,
    /// There is one, but no daemon answers.
    NotRunning(String),
    /// The data directory cannot be used.
    Unusable(String),
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answered {
    /// Who asked.
    pub(crate) place: Place,
    /// The peer that was asked; the local daemon when none.
    pub(crate) at: Option<NodeId>,
    /// What was asked.
    pub(crate) request: Request,
    /// What came back.
    pub(crate) result: Result<Answer, Failure>,
}

/// A request that did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// In one sentence, inert.
    pub(crate) message: String,
    /// The API's number of the error; none when there was no answer at all.
    pub(crate) code: Option<u16>,
    /// The HTTP status, when there was an answer.
    pub(crate) status: Option<u16>,
}

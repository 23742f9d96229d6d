//! Everything that the control centre can do to the world, as data.

use loopsy_shared::{api::terminals::TerminalSize, id::NodeId};

use crate::{
    request::{Place, Request},
    world::{TaskKey, TerminalKey},
};

/// One effect.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Asks the local daemon, or a peer through it.
    Call {
        /// Who asks.
        place: Place,
        /// The peer; the local daemon when none.
        at: Option<NodeId>,
        /// What.
        request: Request,
    },
    /// Follows this task's log after this event, and no other's; none ends following.
    Follow(Option<(TaskKey, u64)>),
    /// Looks at a terminal; with a size it takes the size over.
    Attach {
        /// Which.
        terminal: TerminalKey,
        /// Size to give it.
        size: Option<TerminalSize>,
        /// Lines above the screen to get.
        scrollback: u32,
    },
    /// Looks no more.
    Detach(TerminalKey),
    /// Types.
    Type(TerminalKey, Vec<u8>),
    /// Gives an attached terminal a size, and makes this window its owner.
    Size(TerminalKey, TerminalSize),
    /// Runs a command on a node; what it prints comes as events with this number.
    Exec {
        /// The number.
        number: u64,
        /// The peer; this machine when none.
        at: Option<NodeId>,
        /// The command line, for the node's shell.
        line: String,
    },
    /// Ends what [`Effect::Exec`] started.
    EndExec(u64),
    /// Puts text into the person's clipboard.
    Copy(String),
    /// Tells a person who looks elsewhere.
    Notify(String),
    /// Names the window.
    Title(String),
    /// Wakes up after this many milliseconds.
    Wake(u64, Timer),
    /// Switches the mouse.
    Mouse(bool),
    /// Starts the local daemon, after making a data directory if there is none.
    StartDaemon,
    /// Tries the daemon at once.
    Reconnect,
    /// Writes a file of the person's: path and content.
    WriteFile(String, Vec<u8>),
    /// Reads a file of the person's, for a purpose.
    ReadFile(String, Purpose),
    /// Opens the person's editor on a text, for a purpose. The screen is theirs meanwhile.
    Edit(String, Purpose),
    /// Remembers the state for the next start.
    Save(serde_json::Value),
    /// A theme was chosen: what [`crate::look::load`] is asked for from now on. It is remembered with the state.
    Theme(String),
    /// Reads themes and the config's keys anew; they come back as [`Done::Looks`] and [`Done::Keys`].
    Looks,
    /// Draws everything anew.
    Repaint,
    /// Stops like any program, until `fg`.
    Suspend,
    /// Ends.
    Quit,
}

/// What a text from a file or an editor is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Context entries to import, at this peer.
    Import(Option<NodeId>),
    /// The value of a context key: peer, key.
    Value(Option<NodeId>, String),
    /// The prompt of a new task.
    Prompt,
    /// The input of an approval that is reviewed.
    Input,
}

/// Something that was done outside of the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Done {
    /// The text was put into the clipboard, in this way; or why not.
    Copied(Result<String, String>),
    /// The file was written, with so many bytes; or why not.
    Wrote(String, Result<usize, String>),
    /// A text for a purpose; none when the person changed nothing.
    Text(Purpose, Result<Option<String>, String>),
    /// The daemon was started; or why not.
    Started(Result<(), String>),
    /// Something that a person should know and that nobody asked for.
    Noted(String),
    /// The themes or keys in the config changed on disk; the new ones, or what is wrong with them.
    Looks(Box<Result<crate::look::Look, String>>),
    /// The same for the keys.
    Keys(Box<Result<crate::keymap::Keymap, String>>),
}

/// What was to be woken up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Timer {
    /// A toast may be due to go.
    Toast,
    /// The second press of Ctrl-C came too late.
    Quit,
    /// The keys of a review may count now.
    Armed,
    /// The decision key stood alone for long enough: the review's number of it.
    Alone(u64),
    /// An answer should have been confirmed by now: the review's number of it.
    Confirmed(u64),
    /// Something that shows seconds, while it is on the screen.
    Second,
    /// The state is due to be saved.
    Save,
    /// A size stood still for long enough.
    Resize,
    /// A selection stood still for long enough.
    Settle,
    /// A pane that holds back its drawing, or anything else of the terminal tab.
    Pane,
}

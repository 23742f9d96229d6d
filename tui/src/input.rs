//! What comes from the terminal: keys, pastes, mouse. Replies of the terminal never get here.

use crate::key::Key;

mod decode;
pub(crate) mod reader;
pub(crate) mod splitter;

/// One thing that a person did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// A key.
    Key(Press),
    /// What was pasted, line ends as `\n`.
    Paste(String),
    /// The mouse, when it is on.
    Mouse(Mouse),
    /// A sequence that is no key that we know; passed on to a program in a pane, ignored otherwise.
    Unknown(Vec<u8>),
}

/// A key that was pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Press {
    /// Which.
    pub(crate) key: Key,
    /// The bytes that it came as.
    pub(crate) raw: Vec<u8>,
    /// Whether it came alone: nothing else in its read, and nothing within 30 ms before. What follows is for who asks to wait for.
    pub(crate) alone: bool,
}

impl Press {
    /// For tests.
    #[cfg(test)]
    pub(crate) const fn of(key: Key) -> Self {
        Self { key, raw: Vec::new(), alone: true }
    }
}

/// The mouse at a place, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mouse {
    /// What it did.
    pub(crate) kind: MouseKind,
    /// Column.
    pub(crate) column: u16,
    /// Row.
    pub(crate) row: u16,
    /// Ctrl, Alt, Shift as xterm's bits: 16, 8, 4.
    pub(crate) held: u8,
}

/// What the mouse did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MouseKind {
    /// A button went down: 0 left, 1 middle, 2 right.
    Down(u8),
    /// A button went up.
    Up(u8),
    /// Moved with a button down.
    Drag(u8),
    /// Moved.
    Moved,
    /// Wheel away from the person.
    ScrollUp,
    /// Wheel towards the person.
    ScrollDown,
}

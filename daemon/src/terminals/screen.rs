//! The screen of one terminal: bytes in, cells out. Nothing here waits, locks or logs.
//!
//! What is fed was [filtered](super::filter) before: whole sequences that are known, and questions apart from them.

use loopsy_shared::api::terminals::{TerminalCursor, TerminalSize};

mod emulator;
mod handler;
mod snapshot;

pub(super) use emulator::Emulator;

/// A screen and what is above it.
pub(super) trait Screen: Send {
    /// Takes printed bytes. Returns what the program is to be told as an answer, if it asked.
    fn feed(&mut self, bytes: &[u8]) -> Vec<u8>;

    /// Gives it another size.
    fn resize(&mut self, size: TerminalSize);

    /// Its size.
    fn size(&self) -> TerminalSize;

    /// Escape sequences that make a fresh terminal of this size show the same, and behave the same from here on. With up to this many lines above the screen.
    fn snapshot(&mut self, scrollback: usize) -> Vec<u8>;

    /// Up to this many lines above the screen and the screen's own, without blanks at their ends; and how many of them are above.
    fn text(&self, scrollback: usize) -> (Vec<String>, usize);

    /// Where the cursor is.
    fn cursor(&self) -> TerminalCursor;

    /// Whether a full-screen program has it.
    fn alternate(&self) -> bool;

    /// The title that the program gave it.
    fn title(&self) -> Option<String>;
}

#[cfg(test)]
mod tests;

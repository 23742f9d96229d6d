//! What Loopsy says: at most three at a time, what went well goes by itself, what failed stays until Esc. All are kept for the history.

use std::collections::VecDeque;

use loopsy_shared::{text::inert, time::Millis};

use crate::event::Now;

/// Said before; an older one is forgotten.
const HISTORY: usize = 200;
/// Shown at a time.
pub(crate) const SHOWN: usize = 3;
/// How long one that goes by itself stays, in milliseconds.
const STAYS: u64 = 6000;

/// What kind of news it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Went well.
    Good,
    /// Worth knowing.
    Note,
    /// Failed.
    Bad,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Toast {
    /// What kind.
    pub(crate) tone: Tone,
    /// What it says, inert.
    pub(crate) text: String,
    /// When it was said.
    pub(crate) at: Millis,
    /// When it goes; never when it failed.
    until: Option<u64>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Toasts {
    shown: VecDeque<Toast>,
    history: VecDeque<Toast>,
}

impl Toasts {
    /// Says something. When it goes by itself: after how many milliseconds.
    pub(crate) fn push(&mut self, tone: Tone, text: &str, now: Now) -> Option<u64> {
        let toast = Toast { tone, text: inert(text).into_owned(), at: now.wall, until: (tone != Tone::Bad).then_some(now.since + STAYS) };
        self.shown.retain(|known| known.text != toast.text);
        if self.shown.len() >= SHOWN {
            self.shown.pop_front();
        }
        if self.history.len() >= HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(toast.clone());
        self.shown.push_back(toast);
        (tone != Tone::Bad).then_some(STAYS)
    }

    /// Takes away what is due; whether anything was.
    pub(crate) fn expire(&mut self, now: Now) -> bool {
        let before = self.shown.len();
        self.shown.retain(|toast| toast.until.is_none_or(|until| now.since < until));
        before != self.shown.len()
    }

    /// Takes away all; whether there were any.
    pub(crate) fn dismiss(&mut self) -> bool {
        let any = !self.shown.is_empty();
        self.shown.clear();
        any
    }

    /// Those that are shown, oldest first.
    pub(crate) fn shown(&self) -> impl DoubleEndedIterator<Item = &Toast> {
        self.shown.iter()
    }

    /// All that was said, oldest first.
    pub(crate) fn history(&self) -> impl DoubleEndedIterator<Item = &Toast> {
        self.history.iter()
    }
}

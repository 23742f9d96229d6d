//! What Loopsy says: at most three at a time, what went well goes by itself, what failed stays until Esc. All are kept for the history.

use std::collections::VecDeque;

use loopsy_shared::{text::inert, time::Millis};

use crate::{event::Now, look::Role};

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

impl Tone {
    /// The mark before it, which says the same as its colour.
    pub(crate) const fn mark(self) -> (&'static str, Role) {
        match self {
            Self::Good => ("ok", Role::Good),
            Self::Note => ("--", Role::Info),
            Self::Bad => ("!!", Role::Bad),
        }
    }
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
    /// How long one that goes by itself stays, when not as usual.
    stays: Option<u64>,
    shown: VecDeque<Toast>,
    history: VecDeque<Toast>,
}

impl Toasts {
    /// None yet; those that go by themselves stay for so many milliseconds.
    pub(crate) fn new(stays: Option<u64>) -> Self {
        Self { stays, ..Self::default() }
    }

    /// Says something. When it goes by itself: after how many milliseconds.
    pub(crate) fn push(&mut self, tone: Tone, text: &str, now: Now) -> Option<u64> {
        let stays = self.stays.unwrap_or(STAYS);
        let toast = Toast { tone, text: inert(text).into_owned(), at: now.wall, until: (tone != Tone::Bad).then_some(now.since + stays) };
        self.shown.retain(|known| known.text != toast.text);
        if self.shown.len() >= SHOWN {
            // What failed stays as long as there is anything else to give way.
            let goes = self.shown.iter().position(|known| known.tone != Tone::Bad).unwrap_or(0);
            self.shown.remove(goes);
        }
        if self.history.len() >= HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(toast.clone());
        self.shown.push_back(toast);
        (tone != Tone::Bad).then_some(stays)
    }

    /// Takes away what is due; whether anything was.
    pub(crate) fn expire(&mut self, now: Now) -> bool {
        let before = self.shown.len();
        self.shown.retain(|toast| toast.until.is_none_or(|until| now.since < until));
        before != self.shown.len()
    }

    /// Whether one stays until somebody takes it away.
    pub(crate) fn stay(&self) -> bool {
        self.shown.iter().any(|toast| toast.tone == Tone::Bad)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(toasts: &Toasts) -> Vec<&str> {
        toasts.shown().map(|toast| toast.text.as_str()).collect()
    }

    #[test]
    fn what_failed_gives_way_last_and_nothing_is_forgotten() {
        let mut toasts = Toasts::new(Some(1000));
        let now = Now { wall: 5, since: 10 };
        assert_eq!(toasts.push(Tone::Bad, "first failure", now), None);
        assert_eq!(toasts.push(Tone::Good, "one", now), Some(1000));
        toasts.push(Tone::Note, "two\u{1b}[2J", now);
        toasts.push(Tone::Good, "three", now);
        assert_eq!(shown(&toasts)[0], "first failure");
        assert_eq!(toasts.shown().count(), SHOWN);
        toasts.push(Tone::Bad, "b", now);
        toasts.push(Tone::Bad, "c", now);
        toasts.push(Tone::Bad, "d", now);
        assert_eq!(shown(&toasts), ["b", "c", "d"]);
        assert_eq!(toasts.history().count(), 7);
        assert!(toasts.history().all(|toast| !toast.text.contains('\u{1b}')));
        assert!(toasts.stay() && toasts.dismiss() && !toasts.stay() && !toasts.dismiss());
    }

    /// One frame for each that goes: the second timer of the same moment changes nothing.
    #[test]
    fn what_goes_by_itself_goes_once() {
        let mut toasts = Toasts::default();
        let at = |since| Now { wall: 0, since };
        toasts.push(Tone::Good, "a", at(0));
        toasts.push(Tone::Note, "b", at(0));
        toasts.push(Tone::Bad, "c", at(0));
        assert!(!toasts.expire(at(STAYS - 1)));
        assert!(toasts.expire(at(STAYS)));
        assert!(!toasts.expire(at(STAYS)));
        assert_eq!(shown(&toasts), ["c"]);
        toasts.push(Tone::Good, "again", at(STAYS));
        toasts.push(Tone::Good, "again", at(STAYS + 5));
        assert_eq!(shown(&toasts), ["c", "again"]);
        assert!(!toasts.expire(at(2 * STAYS)) && toasts.expire(at(2 * STAYS + 5)));
    }
}

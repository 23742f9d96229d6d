//! When a key counts as an answer: after the card was before the person's eyes for a while, and alone, with silence before and after it. What leaks from a
//! terminal's late reply, what was typed ahead, what is held down and what is pasted passes none of these.

use std::cell::Cell;

use crate::{event::Now, input::Input, key::Key};

/// How long a card is shown before a key counts, in milliseconds. Also how long it must have been quiet after a key that did not count.
pub(super) const ARMS: u64 = 400;
/// How long a key must stay alone, in milliseconds.
pub(super) const ALONE: u64 = 30;

/// A key that means an answer, or leads to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Yes, once.
    Allow,
    /// Yes, and keep a rule.
    Always,
    /// This rule, or this choice of a question.
    Digit(usize),
    /// No.
    Deny,
    /// No, with a reason.
    Reason,
    /// No, with the reason that was typed.
    Say,
    /// No, and stop.
    Stop,
    /// Change the input.
    Edit,
    /// Send the same again.
    Again,
}

/// A key that waits to be alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pending {
    /// Its number.
    pub(super) number: u64,
    /// What it means.
    pub(super) answer: Answer,
    /// Which showing of which item it is for.
    pub(super) showing: u64,
    /// When it came.
    at: u64,
}

/// The gate.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Since when what is to be answered is drawn.
    shown: Cell<Option<u64>>,
    /// What time it was when it was drawn last, for who has no clock.
    now: Cell<u64>,
    /// When something came last that did not count.
    noise: Option<u64>,
    /// The key that was noticed last and may be used once.
    key: Option<(Key, bool)>,
    pending: Option<Pending>,
}

/// Why a key does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// What it is about was not shown for long enough.
    Soon,
    /// It did not come alone.
    Bunch,
}

impl Gate {
    /// Something is shown that must be looked at first.
    pub(super) fn disarm(&mut self) {
        self.shown.set(None);
        self.pending = None;
    }

    /// It was drawn, or something lies over it.
    pub(super) fn drawn(&self, visible: bool, now: Now) {
        self.now.set(now.since);
        match (visible, self.shown.get()) {
            (true, None) => self.shown.set(Some(now.since)),
            (false, _) => self.shown.set(None),
            _ => {}
        }
    }

    /// When keys count, if nothing happens; never when nothing was drawn yet.
    pub(super) fn arms_at(&self) -> Option<u64> {
        let shown = self.shown.get()?;
        Some(shown.max(self.noise.unwrap_or(shown)).saturating_add(ARMS))
    }

    /// Whether keys count.
    pub(super) fn is_armed(&self, now: Now) -> bool {
        self.arms_at().is_some_and(|at| now.since >= at)
    }

    /// Whether they counted when it was drawn last.
    pub(super) fn armed(&self) -> bool {
        self.arms_at().is_some_and(|at| self.now.get() >= at)
    }

    /// Whether what is pending now is lost to this input, which comes right after it.
    pub(super) fn notice(&mut self, input: &Input, now: Now) -> bool {
        self.key = match input {
            Input::Key(press) => Some((press.key, press.alone)),
            _ => None,
        };
        let lost = self.pending.take().is_some();
        if lost || !matches!(input, Input::Key(_) | Input::Mouse(_)) {
            self.noise = Some(now.since);
        }
        lost
    }

    /// The key that was noticed.
    pub(super) fn key(&self) -> Option<Key> {
        self.key.map(|(key, _)| key)
    }

    /// Something came that means nothing here.
    pub(super) const fn noise(&mut self, now: Now) {
        self.noise = Some(now.since);
    }

    /// Takes a key that would be an answer: from now on it waits to be alone.
    pub(super) fn take(&mut self, answer: Answer, showing: u64, number: u64, now: Now) -> Result<(), Refused> {
        let alone = self.key.take().is_some_and(|(_, alone)| alone);
        let why = match (self.is_armed(now), alone) {
            (false, _) => Refused::Soon,
            (true, false) => Refused::Bunch,
            (true, true) => {
                self.pending = Some(Pending { number, answer, showing, at: now.since });
                return Ok(());
            }
        };
        self.noise = Some(now.since);
        Err(why)
    }

    /// The key with this number stayed alone.
    pub(super) fn fire(&mut self, number: u64, showing: u64, now: Now) -> Option<Answer> {
        let pending = self.pending.take_if(|pending| pending.number == number && now.since >= pending.at + ALONE)?;
        (pending.showing == showing && self.is_armed(now)).then_some(pending.answer)
    }
}

//! When a key counts as an answer: after what it is about was before the person's eyes for a while, and alone, with silence before and after it. What leaks from
//! a terminal's late reply, what was typed ahead, what is held down and what is pasted passes none of these.
//!
//! The while begins when the frame that shows it has been written to the terminal, and not when it was drawn: a slow terminal shows it later.

use std::cell::Cell;

use crate::{app::Cx, effect::Timer, event::Now, input::Input, key::Key};

/// How long it must have been quiet after something that did not count, in milliseconds.
const QUIET: u64 = 400;
/// How long a key must stay alone, in milliseconds.
pub(crate) const ALONE: u64 = 30;
/// A timer that comes so much later than asked for says that this program, or the whole machine, stood still.
const LATE: u64 = 20;

/// A key that waits to be alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pending<A> {
    number: u64,
    answer: A,
    /// When it came.
    at: u64,
}

/// The gate for answers of this kind, which must be looked at for so many milliseconds.
#[derive(Debug)]
pub(crate) struct Gate<A, const LOOKS: u64> {
    /// Whether the frame that was drawn last shows what is to be answered.
    drawn: Cell<bool>,
    /// Since when the terminal shows it.
    shown: Cell<Option<u64>>,
    /// What time it was when it was drawn last, for who has no clock.
    now: Cell<u64>,
    /// When something came last that did not count.
    noise: Option<u64>,
    /// The key that was noticed last and may be used once.
    key: Option<(Key, bool)>,
    pending: Option<Pending<A>>,
}

/// Why a key does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// What it is about was not shown for long enough.
    Soon,
    /// It did not come alone.
    Bunch,
}

impl<A, const LOOKS: u64> Default for Gate<A, LOOKS> {
    fn default() -> Self {
        Self { drawn: Cell::new(false), shown: Cell::new(None), now: Cell::new(0), noise: None, key: None, pending: None }
    }
}

impl<A: Copy, const LOOKS: u64> Gate<A, LOOKS> {
    /// Something is shown that must be looked at first. A frame that is on its way does not show it yet.
    pub(crate) fn disarm(&mut self) {
        self.drawn.set(false);
        self.shown.set(None);
        self.pending = None;
    }

    /// It is drawn at this time: whole and with nothing over it, or not.
    pub(crate) fn drawn(&self, visible: bool, now: Now) {
        self.now.set(now.since);
        self.drawn.set(visible);
        if !visible {
            self.shown.set(None);
        }
    }

    /// The frame that was drawn last is on the terminal; or, when not `seen`, what the terminal shows is not ours.
    pub(crate) fn painted(&mut self, seen: bool, cx: &mut Cx<'_>) {
        // Who did not say that it was drawn into this frame is not in it.
        if !self.drawn.take() || !seen {
            self.shown.set(None);
        } else if self.shown.get().is_none() {
            self.shown.set(Some(cx.now.since));
            self.wake(cx);
        }
    }

    /// When keys count, if nothing happens; never when the terminal does not show it yet.
    fn arms_at(&self) -> Option<u64> {
        let looked = self.shown.get()?.saturating_add(LOOKS);
        Some(looked.max(self.noise.map_or(0, |noise| noise.saturating_add(QUIET))))
    }

    /// Whether keys count.
    pub(crate) fn is_armed(&self, now: Now) -> bool {
        self.arms_at().is_some_and(|at| now.since >= at)
    }

    /// Whether they counted when it was drawn last.
    pub(crate) fn armed(&self) -> bool {
        self.arms_at().is_some_and(|at| self.now.get() >= at)
    }

    /// Whether a key waits to be alone.
    pub(crate) const fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Wakes up when keys count, to say so. When that was put off meanwhile, it is to be asked for again then.
    pub(crate) fn wake(&self, cx: &mut Cx<'_>) {
        if let Some(at) = self.arms_at().filter(|at| cx.now.since < *at) {
            cx.wake(at - cx.now.since, Timer::Armed);
        }
    }

    /// An input came. Whether what is pending now is lost to it, since it comes right after it.
    pub(crate) fn notice(&mut self, input: &Input, cx: &mut Cx<'_>) -> bool {
        self.key = match input {
            Input::Key(press) => Some((press.key, press.alone)),
            _ => None,
        };
        let lost = self.pending.take().is_some();
        if lost || !matches!(input, Input::Key(_) | Input::Mouse(_)) {
            self.noise(cx);
        }
        lost
    }

    /// The key that was noticed.
    pub(crate) fn key(&self) -> Option<Key> {
        self.key.map(|(key, _)| key)
    }

    /// Something came that means nothing here: it may be a terminal's late reply, with a key in it that means something.
    pub(crate) fn noise(&mut self, cx: &mut Cx<'_>) {
        self.noise = Some(cx.now.since);
        self.wake(cx);
    }

    /// Takes a key that would be an answer: from now on it waits to be alone.
    pub(crate) fn take(&mut self, answer: A, cx: &mut Cx<'_>) -> Result<(), Refused> {
        let alone = self.key.take().is_some_and(|(_, alone)| alone) && cx.alone;
        let why = match (self.is_armed(cx.now), alone) {
            (false, _) => Refused::Soon,
            (true, false) => Refused::Bunch,
            (true, true) => {
                let number = cx.number();
                self.pending = Some(Pending { number, answer, at: cx.now.since });
                cx.wake(ALONE, Timer::Alone(number));
                return Ok(());
            }
        };
        self.noise(cx);
        Err(why)
    }

    /// The key with this number stayed alone. When this was looked at too late, something may have come that was not read yet: then it must stay alone once more.
    pub(crate) fn fire(&mut self, number: u64, cx: &mut Cx<'_>) -> Option<A> {
        let now = cx.now;
        let pending = self.pending.as_mut().filter(|pending| pending.number == number && now.since >= pending.at + ALONE)?;
        if now.since > pending.at + ALONE + LATE {
            pending.at = now.since;
            cx.wake(ALONE, Timer::Alone(number));
            return None;
        }
        let pending = self.pending.take()?;
        self.is_armed(now).then_some(pending.answer)
    }
}

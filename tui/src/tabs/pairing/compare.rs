//! Comparing: what counts as a person's yes or no, and what does not.

use loopsy_shared::api::pairing::{ConfirmPairing, PairingState};

use super::{ALONE, ARMED, Decision, Pairing};
use crate::{app::Cx, effect::Timer, event::Now, input::Press, key::Code};

impl Pairing {
    /// Whether there are digits that nobody has answered for.
    pub(super) fn is_comparing(&self) -> bool {
        self.state() == Some(PairingState::KeyExchanged) && self.compared.is_some() && self.answered().is_none()
    }

    pub(super) fn is_armed(&self, now: Now) -> bool {
        self.front && self.is_comparing() && matches!(self.compared, Some((_, Some(since))) if now.since >= since.saturating_add(ARMED))
    }

    /// The second begins when the digits are in view.
    pub(super) fn arm(&mut self, cx: &mut Cx<'_>) {
        if self.front
            && let Some((_, since @ None)) = &mut self.compared
        {
            *since = Some(cx.now.since);
            cx.wake(ARMED, Timer::Second);
        }
    }

    /// A key says that the digits are the same, or not. It counts when nothing else comes right after it.
    pub(super) fn decide(&mut self, same: bool, alone: bool, cx: &mut Cx<'_>) {
        if !self.is_armed(cx.now) || too_small(cx) {
            return cx.note("Read the digits on both screens first; then the key counts.");
        }
        if !alone {
            return cx.note("That key came together with others, so it does not count. Press it alone.");
        }
        let number = cx.number();
        self.decision = Some(Decision { number, same });
        cx.wake(ALONE, Timer::Alone(number));
    }

    /// The key stood alone.
    pub(super) fn decided(&mut self, number: u64, cx: &mut Cx<'_>) {
        let Some(decision) = self.decision.take_if(|decision| decision.number == number) else { return };
        if !self.is_armed(cx.now) {
            return;
        }
        self.decided = Some(decision.same);
        self.typing = false;
        cx.call(None, ConfirmPairing { confirmed: Some(decision.same), ..ConfirmPairing::default() });
    }

    /// A digit of the other screen.
    pub(super) fn digit(&mut self, press: &Press, cx: &mut Cx<'_>) {
        match press.key.code {
            Code::Backspace => drop(self.digits.pop()),
            Code::Char('x') => self.decide(false, press.alone, cx),
            Code::Char('e') => self.words = !self.words,
            Code::Char(c @ '0'..='9') if !press.key.ctrl && !press.key.alt => {
                if !self.is_armed(cx.now) || !press.alone {
                    return cx.note("Type what the other screen shows, one digit after the other. What comes at once does not count.");
                }
                self.digits.push(c);
                if self.digits.len() < 6 {
                    return;
                }
                let typed = std::mem::take(&mut self.digits);
                if self.compared.as_ref().is_some_and(|(digits, _)| *digits == typed) {
                    self.decide(true, press.alone, cx);
                } else {
                    cx.bad("These are not the digits of this screen. Look again at the other one; if it really shows them, press x: nothing is stored then.");
                }
            }
            _ => {}
        }
    }
}

/// Whether the window shows no digits at all.
const fn too_small(cx: &Cx<'_>) -> bool {
    cx.settings.size.0 < crate::app::LEAST.0 || cx.settings.size.1 < crate::app::LEAST.1
}

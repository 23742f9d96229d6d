//! Comparing: what counts as a person's yes or no, and what does not.

use loopsy_shared::api::pairing::{ConfirmPairing, PairingState};

use super::Pairing;
use crate::{app::Cx, event::Now, gate::Refused, input::Press, key::Code};

impl Pairing {
    /// Whether there are digits that nobody has answered for.
    pub(super) fn is_comparing(&self) -> bool {
        self.state() == Some(PairingState::KeyExchanged) && self.compared.is_some() && self.answered().is_none()
    }

    /// Whether the digits were before the person's eyes for long enough, and are those of the daemon that runs.
    pub(super) fn is_armed(&self, now: Now) -> bool {
        self.front && !self.anew && self.is_comparing() && self.gate.is_armed(now)
    }

    /// A key says that the digits are the same, or not. It counts when nothing else comes right after it.
    pub(super) fn decide(&mut self, same: bool, cx: &mut Cx<'_>) {
        if cx.settings.is_too_small() {
            self.gate.disarm();
        }
        if self.anew {
            return cx.note("The daemon was reached again just now, and has not said yet how far the pairing is. The key counts after that.");
        }
        match self.gate.take(same, cx) {
            Ok(()) => {}
            Err(Refused::Soon) => cx.note("Read the digits on both screens first; then the key counts."),
            Err(Refused::Bunch) => cx.note("That key came together with others, so it does not count. Press it alone."),
        }
    }

    /// The key stood alone.
    pub(super) fn decided(&mut self, number: u64, cx: &mut Cx<'_>) {
        let Some(same) = self.gate.fire(number, cx).filter(|_| self.is_armed(cx.now) && !cx.settings.is_too_small()) else { return };
        self.decided = Some(same);
        self.typing = false;
        cx.call(None, ConfirmPairing { confirmed: Some(same), sas: self.compared.clone(), ..ConfirmPairing::default() });
    }

    /// A digit of the other screen.
    pub(super) fn digit(&mut self, press: &Press, cx: &mut Cx<'_>) {
        match press.key.code {
            Code::Backspace => drop(self.digits.pop()),
            Code::Char('x') => self.decide(false, cx),
            Code::Char('e') => self.words = !self.words,
            Code::Char(c @ '0'..='9') if !press.key.ctrl && !press.key.alt => {
                if !self.is_armed(cx.now) || !press.alone || cx.settings.is_too_small() {
                    self.gate.noise(cx);
                    return cx.note("Type what the other screen shows, one digit after the other. What comes at once does not count.");
                }
                self.digits.push(c);
                if self.digits.len() < 6 {
                    return;
                }
                let typed = std::mem::take(&mut self.digits);
                if self.compared.as_ref().is_some_and(|digits| *digits == typed) {
                    self.decide(true, cx);
                } else {
                    cx.bad("These are not the digits of this screen. Look again at the other one; if it really shows them, press x: nothing is stored then.");
                }
            }
            _ => {}
        }
    }
}

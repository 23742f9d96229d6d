//! Following a pairing: one question at a time, which the daemon answers when something changes.

use loopsy_shared::api::pairing::{GetPairing, PairingEnd, PairingState, PairingStatus};

use super::{BREATH, Pairing, nothing};
use crate::{
    app::Cx,
    effect::Timer,
    event::Answered,
    request::{Answer, Request},
};

impl Pairing {
    /// Asks how far the pairing is, unless that was asked already. Waits for a change when the last one is known.
    pub(super) fn ask(&mut self, cx: &mut Cx<'_>) {
        if self.asked.is_some() || !cx.world.is_up() || !(self.front || self.is_active()) {
            return;
        }
        let after = self.status.as_ref().map(|status| status.change).filter(|_| !self.anew);
        self.ask_after(after, cx);
    }

    /// Asks how far the pairing is: at once, or when something was changed after this.
    pub(super) fn ask_after(&mut self, after: Option<u64>, cx: &mut Cx<'_>) {
        self.asked = Some((cx.now.since, after));
        self.ask_at = None;
        cx.call(None, GetPairing { after });
    }

    /// Asks again a little later.
    fn ask_later(&mut self, cx: &mut Cx<'_>) {
        self.ask_at = Some(cx.now.since + BREATH);
        cx.wake(BREATH, Timer::Second);
    }

    /// Takes what the daemon says.
    pub(super) fn take(&mut self, status: PairingStatus, cx: &mut Cx<'_>) {
        let was_active = self.is_active();
        let peer = status.peer.as_ref().map_or_else(|| "The other machine".to_owned(), |peer| format!("`{}`", peer.hostname));
        let digits = status.sas.clone().filter(|_| status.active && status.state == Some(PairingState::KeyExchanged));
        if digits != self.compared {
            self.compared = digits;
            self.gate.disarm();
            self.decided = None;
            self.digits.clear();
            self.typing = self.compared.is_some() && self.type_code;
            if self.compared.is_some() && !self.front {
                cx.note(format!("{peer} is there: 7 shows the digits that you compare."));
            }
        }
        if !status.active || status.answered.is_some() {
            self.gate.disarm();
            (self.decided, self.typing) = (None, false);
        }
        if status.active {
            self.failed = None;
        }
        if !status.active {
            self.invite = None;
            if let Some(outcome) = status.outcome.as_ref().filter(|_| was_active) {
                let hint = outcome.hint.as_deref().map(|hint| format!(" {hint}")).unwrap_or_default();
                match outcome.end {
                    PairingEnd::Paired => cx.good(format!("Paired with {peer}.")),
                    PairingEnd::Cancelled => cx.note(outcome.message.clone()),
                    _ => cx.bad(format!("{}{hint} 7, then n or e, tries again.", outcome.message)),
                }
            }
        } else if self.invite.as_ref().is_some_and(|invite| status.expires_at.is_some_and(|at| at != invite.expires_at)) {
            // Another pairing was begun on this machine.
            self.invite = None;
        }
        self.status = Some(status);
        self.tick(cx);
    }

    pub(super) fn got(&mut self, answered: &Answered, cx: &mut Cx<'_>) {
        match (&answered.request, &answered.result) {
            // Asked before that was of use no more.
            (Request::GetPairing(request), _) if self.asked.is_none_or(|(_, after)| after != request.after) => cx.nothing_to_see(),
            (Request::GetPairing(request), Ok(Answer::GetPairing(status))) => {
                let began = self.asked.take().map_or(0, |(began, _)| began);
                self.lost = None;
                if std::mem::take(&mut self.anew) && self.is_active() && !status.active && status.outcome.is_none() {
                    cx.note("The pairing that was under way is over: the daemon was started again, and knows nothing of it. Nothing was stored here.");
                }
                let nothing_new = request.after == Some(status.change);
                self.take((**status).clone(), cx);
                if nothing_new {
                    cx.nothing_to_see();
                }
                if nothing_new && cx.now.since.saturating_sub(began) < BREATH { self.ask_later(cx) } else { self.ask(cx) }
            }
            (Request::GetPairing(_), Err(failure)) => {
                self.asked = None;
                self.lost = Some(failure.message.clone());
                if self.front || self.is_active() {
                    self.ask_later(cx);
                }
            }
            (Request::StartPairing(_), Ok(Answer::StartPairing(started))) => {
                self.invite = Some((**started).clone());
                let waiting = PairingStatus {
                    active: true,
                    state: Some(PairingState::Waiting),
                    expires_at: Some(started.expires_at),
                    change: self.change(),
                    ..nothing()
                };
                self.take(waiting, cx);
                self.ask(cx);
            }
            (Request::JoinPairing(_), Ok(Answer::JoinPairing(status))) => {
                self.chosen.borrow_mut().joining = false;
                self.failed = None;
                self.take((**status).clone(), cx);
                self.ask(cx);
            }
            (Request::StartPairing(_), Err(failure)) => self.failed = Some(format!("No invite was made: {} n tries again.", failure.message)),
            (Request::JoinPairing(request), Err(failure)) => {
                self.chosen.borrow_mut().joining = false;
                self.failed = Some(format!("`{}` was not paired: {} Nothing was stored. e tries again.", request.address, failure.message));
            }
            (Request::ConfirmPairing(_), Ok(_)) => self.ask(cx),
            (Request::ConfirmPairing(request), Err(failure)) => {
                self.decided = None;
                // The second begins again: nobody is to be surprised by a key that counts now.
                self.gate.disarm();
                let what = if request.confirmed == Some(true) { "Your yes" } else { "Your no" };
                cx.bad(format!("{what} did not reach the daemon: {} Press the key again.", failure.message));
                self.ask(cx);
            }
            _ => {}
        }
    }
}

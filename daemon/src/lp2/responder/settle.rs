//! From the digits to the keys: the answers of two people, M5 to M7, and what is repeated when an answer was lost.

use std::mem;

use loopsy_shared::{api::pairing::PairingEnd, secret::digest};
use rand::CryptoRng;
use subtle::ConstantTimeEq;

use super::{Effect, Keyed, Left, Responder, Settled, State};
use crate::lp2::{
    End, PROVISIONAL, Pairing, Refusal,
    message::{Sealed, settle},
    offer::mint,
    payload::{self, Verdict},
    schedule::Seal,
};

const TAKEN_BACK: &str = "The other machine's person took the yes back; nothing was kept.";
const SPOILED: &str = "The pairing was burned: the other machine said two different things in the same place.";

/// What a sealed message turned out to be, for a session that has used the counter of M5.
enum Again {
    Same,
    Other,
    /// Does not open, so anybody may have sent it. It has no effect.
    Foreign,
}

impl Responder {
    pub(super) fn sealed(&mut self, msg: Sealed, rng: &mut dyn CryptoRng) -> Vec<Effect> {
        match &mut self.state {
            State::Keyed(keyed) if keyed.sid == msg.sid && keyed.is_taken_back(&msg.bytes) => {
                vec![Effect::Refuse(Refusal::Rejected), self.end(PairingEnd::Rejected, TAKEN_BACK)]
            }
            State::Keyed(keyed) if keyed.sid == msg.sid => match keyed.again(&msg.bytes) {
                None => self.finish(msg.bytes, rng),
                Some(Again::Same) => vec![Effect::Wait],
                Some(Again::Other) => self.burn(SPOILED),
                Some(Again::Foreign) => vec![Effect::Refuse(Refusal::Proof)],
            },
            State::Provisional(settled) | State::Over { left: Left::Repeating(settled), .. } if settled.sid == msg.sid => self.after(msg.bytes),
            State::Over { left: Left::Refusing { keyed, finish_r }, .. } if keyed.sid == msg.sid => match keyed.again(&msg.bytes) {
                None if keyed.session.open(Seal::FinishI, &msg.bytes).is_none() => vec![Effect::Refuse(Refusal::Proof)],
                // Nothing of it counts any more, but a second one must be the same.
                None => {
                    let answer = settle(finish_r);
                    keyed.heard = Some(msg.bytes);
                    vec![Effect::Settle(answer)]
                }
                Some(Again::Same) => vec![Effect::Settle(settle(finish_r))],
                Some(Again::Other) => self.burn(SPOILED),
                Some(Again::Foreign) => vec![Effect::Refuse(Refusal::Proof)],
            },
            State::Over { end, .. } => vec![Effect::Refuse(Refusal::after(*end))],
            State::Waiting | State::Inflight(_) | State::Keyed(_) | State::Provisional(_) => vec![Effect::Refuse(Refusal::NoSession)],
        }
    }

    /// The first M5.
    fn finish(&mut self, sealed: Vec<u8>, rng: &mut dyn CryptoRng) -> Vec<Effect> {
        let State::Keyed(keyed) = &mut self.state else { return Vec::new() };
        let Some(text) = keyed.session.open(Seal::FinishI, &sealed) else { return vec![Effect::Refuse(Refusal::Proof)] };
        match payload::parse(&text, &keyed.peer) {
            None => self.burn("The pairing was burned: the other machine described itself in a way that does not fit."),
            Some(Verdict::Refused) => {
                vec![Effect::Refuse(Refusal::Rejected), self.end(PairingEnd::Rejected, "The other machine's person said no; nothing was kept.")]
            }
            Some(Verdict::Confirmed(payload)) => {
                keyed.heard = Some(sealed);
                keyed.remote = Some(payload);
                if !keyed.agreed {
                    return vec![Effect::Wait];
                }
                let mut effects = self.provision(rng);
                effects.push(match &self.state {
                    State::Provisional(settled) => Effect::Settle(settle(&settled.finish_r)),
                    _ => Effect::Refuse(Refusal::NoSession),
                });
                effects
            }
        }
    }

    /// This machine's person said yes.
    pub(super) fn agree(&mut self, rng: &mut dyn CryptoRng) -> Vec<Effect> {
        let State::Keyed(keyed) = &mut self.state else { return Vec::new() };
        keyed.agreed = true;
        if keyed.remote.is_some() { self.provision(rng) } else { Vec::new() }
    }

    /// Both said yes.
    fn provision(&mut self, rng: &mut dyn CryptoRng) -> Vec<Effect> {
        let State::Keyed(keyed) = mem::replace(&mut self.state, State::LOST) else { return Vec::new() };
        let Keyed { sid, session, heard: Some(finish_i), remote: Some(peer), .. } = *keyed else { return Vec::new() };
        let minted = mint(rng);
        let sealed = payload::confirmation(&self.me, &self.offer, &minted).and_then(|text| Some((digest(&text), session.seal(Seal::FinishR, &text)?)));
        let Some((ack, finish_r)) = sealed else {
            return vec![self.end(PairingEnd::Failed, "This machine could not describe itself to the other one; nothing was kept.")];
        };
        let until = self.now.saturating_add(PROVISIONAL);
        self.state = State::Provisional(Box::new(Settled { sid, session, finish_i, finish_r, ack, acked: None, until }));
        vec![Effect::Provision(Box::new(Pairing { peer: *peer, minted }))]
    }

    /// A sealed message after M6.
    fn after(&mut self, sealed: Vec<u8>) -> Vec<Effect> {
        let (State::Provisional(settled) | State::Over { left: Left::Repeating(settled), .. }) = &mut self.state else { return Vec::new() };
        if settled.finish_i == sealed {
            return vec![Effect::Settle(settle(&settled.finish_r))];
        }
        if settled.acked.as_ref() == Some(&sealed) {
            return vec![Effect::Acknowledge];
        }
        match settled.session.open(Seal::Ack, &sealed) {
            Some(text) if settled.acked.is_none() && payload::is_refusal(&text) => match mem::replace(&mut self.state, State::LOST) {
                State::Provisional(_) => vec![Effect::Refuse(Refusal::Rejected), Effect::Withdraw, self.end(PairingEnd::Rejected, TAKEN_BACK)],
                // It used the key already, and so has stored it: nothing is taken back after that.
                other => {
                    self.state = other;
                    vec![Effect::Refuse(Refusal::NoSession)]
                }
            },
            Some(text) if settled.acked.is_none() && text.ct_eq(&settled.ack).into() => {
                settled.acked = Some(sealed);
                let mut effects = self.key_used();
                effects.insert(0, Effect::Acknowledge);
                effects
            }
            None if settled.session.open(Seal::FinishI, &sealed).is_none() => vec![Effect::Refuse(Refusal::Proof)],
            _ => self.burn(SPOILED),
        }
    }

    /// The other machine has stored its key: it said so, or used it.
    pub(super) fn key_used(&mut self) -> Vec<Effect> {
        match mem::replace(&mut self.state, State::LOST) {
            State::Provisional(settled) => {
                self.state = State::Over { end: PairingEnd::Paired, left: Left::Repeating(settled) };
                vec![Effect::Activate, Effect::Ended(End::new(PairingEnd::Paired, "Both people said yes, and both machines have stored it."))]
            }
            other => {
                self.state = other;
                Vec::new()
            }
        }
    }

    /// This machine's person said no, or cancelled.
    pub(super) fn refuse(&mut self) -> Vec<Effect> {
        match mem::replace(&mut self.state, State::LOST) {
            State::Waiting | State::Inflight(_) => vec![self.end(PairingEnd::Cancelled, "The invite was cancelled.")],
            State::Keyed(mut keyed) => {
                keyed.remote = None;
                let ended = self.end(PairingEnd::Rejected, "The answer here was no; nothing was kept.");
                let sealed = payload::refusal().and_then(|text| keyed.session.seal(Seal::FinishR, &text));
                if let Some(finish_r) = sealed {
                    self.state = State::Over { end: PairingEnd::Rejected, left: Left::Refusing { keyed, finish_r } };
                }
                vec![ended]
            }
            // M6 has said yes already, and nothing else may be sealed in its place: the other machine will find that its key opens nothing.
            State::Provisional(_) => vec![Effect::Withdraw, self.end(PairingEnd::Rejected, "The pairing was taken back here; its key was removed.")],
            over @ State::Over { .. } => {
                self.state = over;
                Vec::new()
            }
        }
    }
}

impl Keyed {
    /// Whether the other machine's person has taken a yes back. The yes itself may still be on its way, or lost.
    fn is_taken_back(&self, sealed: &[u8]) -> bool {
        self.session.open(Seal::Ack, sealed).is_some_and(|text| payload::is_refusal(&text))
    }

    /// `None` when M5 has not come yet.
    fn again(&self, sealed: &[u8]) -> Option<Again> {
        Some(match self.heard.as_ref()? {
            first if first == sealed => Again::Same,
            _ if self.session.open(Seal::FinishI, sealed).is_some() => Again::Other,
            _ => Again::Foreign,
        })
    }
}

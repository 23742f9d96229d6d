//! The machine that shows the code and waits: unattended, so every guess and every second is counted.

mod event;
mod handshake;
mod settle;

use std::{collections::BTreeSet, fmt, net::IpAddr, time::Duration};

use loopsy_shared::api::pairing::{PairingEnd, PairingState};
use p256::Scalar;
use rand::CryptoRng;

pub use self::event::{Effect, Event};
use super::{
    End, Identity, InviteCode, LIFE, Offer, PROOF_WITHIN, Refusal,
    hidden::Hidden,
    payload::Payload,
    schedule::{Public, Session},
};

/// One invite, from its code to its end.
pub struct Responder {
    me: Identity,
    offer: Offer,
    /// Until somebody proved to know it.
    code: Option<InviteCode>,
    now: Duration,
    ends_at: Duration,
    hellos: u32,
    wrong: u32,
    wrong_from: BTreeSet<IpAddr>,
    /// Shares of this invite, to know them when they come back.
    sent: Vec<[u8; super::spake2::SHARE]>,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting,
    Inflight(Box<Inflight>),
    Keyed(Box<Keyed>),
    Provisional(Box<Settled>),
    Over { end: PairingEnd, left: Left },
}

impl State {
    /// Stands in while a state is taken apart, so that nothing that goes wrong there leaves an open invite.
    const LOST: Self = Self::Over { end: PairingEnd::Failed, left: Left::Nothing };
}

/// M2 went out, and M3 is to come.
#[derive(Debug)]
struct Inflight {
    since: Duration,
    peer: Identity,
    public: Public,
    ephemeral: Hidden<Scalar>,
    nonce: Hidden<[u8; 32]>,
}

/// Both know the code. People compare.
#[derive(Debug)]
struct Keyed {
    sid: [u8; 16],
    peer: Identity,
    session: Session,
    /// This machine's person said yes.
    agreed: bool,
    /// M5 as it came.
    heard: Option<Vec<u8>>,
    /// What was in it: the other machine's person said yes.
    remote: Option<Box<Payload>>,
}

/// Both said yes.
#[derive(Debug)]
struct Settled {
    sid: [u8; 16],
    session: Session,
    finish_i: Vec<u8>,
    finish_r: Vec<u8>,
    /// What M7 has to hold.
    ack: [u8; 32],
    /// M7 as it came.
    acked: Option<Vec<u8>>,
    until: Duration,
}

/// What is still answered after the end.
#[derive(Debug)]
enum Left {
    Nothing,
    /// A no of this machine's person: the other one hears it under the seal.
    Refusing {
        keyed: Box<Keyed>,
        finish_r: Vec<u8>,
    },
    /// M6 and the answer to M7, should they have been lost.
    Repeating(Box<Settled>),
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").field("state", &self.state).field("hellos", &self.hellos).field("wrong", &self.wrong).finish_non_exhaustive()
    }
}

impl Responder {
    /// Starts the five minutes.
    pub fn new(code: InviteCode, me: Identity, offer: Offer, now: Duration) -> Self {
        Self {
            me,
            offer,
            code: Some(code),
            now,
            ends_at: now.saturating_add(LIFE),
            hellos: 0,
            wrong: 0,
            wrong_from: BTreeSet::new(),
            sent: Vec::new(),
            state: State::Waiting,
        }
    }

    /// Takes one event. `now` is the time since any fixed moment; it does not go back.
    pub fn step(&mut self, now: Duration, event: Event, rng: &mut dyn CryptoRng) -> Vec<Effect> {
        self.now = self.now.max(now);
        let mut effects = self.age();
        effects.extend(match event {
            Event::Hello { msg, .. } => self.hello(msg, rng),
            Event::Proof { from, msg } => self.proof(from, &msg),
            Event::Legacy { from, code } => self.legacy(from, &code),
            Event::Sealed(msg) => self.sealed(msg, rng),
            Event::Decide(true) => self.agree(rng),
            Event::Decide(false) | Event::Cancel => self.refuse(),
            Event::Tick => Vec::new(),
            Event::KeyUsed => self.key_used(),
        });
        effects
    }

    /// How far it is; `None` once it is over.
    pub fn state(&self) -> Option<PairingState> {
        match self.state {
            State::Waiting | State::Inflight(_) => Some(PairingState::Waiting),
            State::Keyed(_) | State::Provisional(_) => Some(PairingState::KeyExchanged),
            State::Over { .. } => None,
        }
    }

    /// Wrong codes so far.
    pub fn wrong_codes(&self) -> u32 {
        self.wrong
    }

    /// Whether it is over and has nothing left to say: it may be dropped.
    pub fn finished(&self) -> bool {
        matches!(self.state, State::Over { left: Left::Nothing, .. })
    }

    /// When an [`Event::Tick`] will change something.
    pub fn deadline(&self) -> Option<Duration> {
        match &self.state {
            State::Waiting | State::Keyed(_) | State::Over { left: Left::Refusing { .. }, .. } => Some(self.ends_at),
            State::Inflight(inflight) => Some(self.ends_at.min(inflight.since.saturating_add(PROOF_WITHIN))),
            State::Provisional(settled) | State::Over { left: Left::Repeating(settled), .. } => Some(settled.until),
            State::Over { left: Left::Nothing, .. } => None,
        }
    }

    /// Lets the time that has passed take effect.
    fn age(&mut self) -> Vec<Effect> {
        if self.deadline().is_none_or(|deadline| self.now < deadline) {
            return Vec::new();
        }
        match &mut self.state {
            State::Inflight(_) if self.now < self.ends_at => self.state = State::Waiting,
            State::Waiting | State::Inflight(_) | State::Keyed(_) => return vec![self.end(PairingEnd::Expired, "The invite's five minutes are over.")],
            State::Provisional(_) => {
                let ended = self.end(PairingEnd::Expired, "The other machine never finished the pairing; its key was removed.");
                return vec![Effect::Withdraw, ended];
            }
            State::Over { left, .. } => *left = Left::Nothing,
        }
        Vec::new()
    }

    fn end(&mut self, how: PairingEnd, words: impl Into<String>) -> Effect {
        self.code = None;
        self.state = State::Over { end: how, left: Left::Nothing };
        Effect::Ended(End::new(how, words))
    }

    /// Ends it for a message that no honest machine sends.
    fn burn(&mut self, words: impl Into<String>) -> Vec<Effect> {
        let provisional = matches!(self.state, State::Provisional(_));
        let over = matches!(self.state, State::Over { .. });
        let ended = self.end(PairingEnd::Burned, words);
        let mut effects = vec![Effect::Refuse(Refusal::Burned)];
        if provisional {
            effects.insert(0, Effect::Withdraw);
        }
        // What is over has had its end told; only its answers go.
        if !over {
            effects.push(ended);
        }
        effects
    }

    #[cfg(test)]
    pub(super) fn sid(&self) -> Option<[u8; 16]> {
        match &self.state {
            State::Keyed(keyed) => Some(keyed.sid),
            State::Provisional(settled) => Some(settled.sid),
            _ => None,
        }
    }

    #[cfg(test)]
    pub(super) fn session(&self) -> Option<&Session> {
        match &self.state {
            State::Keyed(keyed) => Some(&keyed.session),
            State::Provisional(settled) => Some(&settled.session),
            _ => None,
        }
    }
}

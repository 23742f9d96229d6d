//! The machine that comes with the code. It checks everything before it shows a digit, and gives up at the first thing that is wrong.

use std::{mem, time::Duration};

use loopsy_shared::api::{
    Code,
    pairing::{ConfirmPairing, InitiatePairing, PairingConfirmed, PairingEnd, PairingReply, PairingState},
};
use loopsy_shared::secret::{Secret, digest};
use p256::Scalar;
use rand::CryptoRng;
use subtle::ConstantTimeEq;

use super::{
    End, Identity, InviteCode, LIFE, Offer, Pairing, Role, Sas,
    hidden::Hidden,
    message::{self, Answer, Counterproof, Hello, Proof, Reply, Sealed},
    offer::mint,
    payload::{self, Verdict},
    schedule::{Proofs, Public, Seal, Session, commit_i, commit_r},
    spake2::{self, Share},
};

/// What happens to an initiator.
#[derive(Debug, Clone)]
pub enum Event {
    /// M2 or M4 came.
    Reply(PairingReply),
    /// M6 came.
    Settled(PairingConfirmed),
    /// The other machine's person has not answered yet (202), or its answer was lost.
    Waiting,
    /// The other machine refused.
    Refused(Code),
    /// The other machine cannot be reached, or answers nothing that can be read.
    Lost,
    /// This machine's person answered. A no before there is anything to compare cancels.
    Decide(bool),
    /// This machine's person, or the machine itself, wants no more of it.
    Cancel,
    /// Time has passed.
    Tick,
}

/// What the caller is to do, in this order.
#[derive(Debug)]
pub enum Effect {
    /// Send M1 or M3 to `initiate`.
    Initiate(Box<InitiatePairing>),
    /// Send M5 or M7, or a refusal in place of M5, to `confirm`.
    Confirm(ConfirmPairing),
    /// Show the digits, and who is on the other side.
    ShowSas {
        /// The digits.
        sas: Sas,
        /// The other machine.
        peer: Identity,
    },
    /// Store both keys and the pin. M7 is only to be sent when that worked.
    Store(Box<Pairing>),
    /// It is over; said once. A message before it is still to be sent.
    Ended(End),
}

/// One attempt to use a code, from M1 to its end.
#[derive(Debug)]
pub struct Initiator {
    me: Identity,
    offer: Offer,
    now: Duration,
    ends_at: Duration,
    state: State,
}

#[derive(Debug)]
enum State {
    /// M1 is out.
    Greeted(Box<Greeted>),
    /// M3 is out.
    Proved(Box<Proved>),
    /// Both know the code. People compare.
    Keyed(Box<Keyed>),
    /// This machine's person said yes, and M5 is out.
    Agreed(Box<Agreed>),
    Over,
}

#[derive(Debug)]
struct Greeted {
    password: Hidden<Scalar>,
    ephemeral: Hidden<Scalar>,
    nonce: Hidden<[u8; 32]>,
    hello: Hello,
}

#[derive(Debug)]
struct Proved {
    public: Public,
    peer: Identity,
    nonce: Hidden<[u8; 32]>,
    proofs: Proofs,
}

#[derive(Debug)]
struct Keyed {
    sid: [u8; 16],
    peer: Identity,
    session: Session,
}

#[derive(Debug)]
struct Agreed {
    keyed: Box<Keyed>,
    minted: Secret,
    /// Sent again as it is, never sealed again.
    finish: Sealed,
}

impl Initiator {
    /// Starts an attempt; its first effect sends M1.
    pub fn new(code: &InviteCode, me: Identity, offer: Offer, now: Duration, rng: &mut dyn CryptoRng) -> (Self, Vec<Effect>) {
        let (password, ephemeral, nonce) = (spake2::password(code), spake2::ephemeral(rng), Hidden::random(rng));
        let mut this = Self { me, offer, now, ends_at: now.saturating_add(LIFE), state: State::Over };
        let Some(share) = Share::make(Role::Initiator, &password, &ephemeral) else {
            let ended = this.end(PairingEnd::Failed, "This machine could not make a share.");
            return (this, ended);
        };
        let hello = Hello { peer: this.me.clone(), share, commit: commit_i(share.bytes(), &nonce) };
        let first = Effect::Initiate(Box::new(hello.wire()));
        this.state = State::Greeted(Box::new(Greeted { password, ephemeral, nonce, hello }));
        (this, vec![first])
    }

    /// Takes one event. `now` is the time since any fixed moment; it does not go back.
    pub fn step(&mut self, now: Duration, event: Event, rng: &mut dyn CryptoRng) -> Vec<Effect> {
        self.now = self.now.max(now);
        let state = mem::replace(&mut self.state, State::Over);
        if matches!(state, State::Over) {
            return Vec::new();
        }
        if self.now >= self.ends_at {
            return self.end(PairingEnd::Expired, "The five minutes are over; nothing was kept.");
        }
        match (state, event) {
            (state, Event::Tick) => self.stay(state),
            (State::Greeted(greeted), Event::Reply(reply)) => match Reply::try_from(&reply) {
                Ok(Reply::Answer(answer)) => self.answered(*greeted, answer),
                _ => self.strange(),
            },
            (State::Proved(proved), Event::Reply(reply)) => match Reply::try_from(&reply) {
                Ok(Reply::Counterproof(proof)) => self.proved(*proved, &proof),
                _ => self.strange(),
            },
            (State::Keyed(keyed), Event::Decide(true)) => self.agree(keyed, rng),
            (State::Keyed(keyed), Event::Decide(false) | Event::Cancel) => self.refuse(&keyed),
            (State::Agreed(agreed), Event::Settled(settled)) => self.settled(*agreed, &settled),
            (State::Agreed(agreed), Event::Waiting) => {
                let again = Effect::Confirm(agreed.finish.wire());
                self.state = State::Agreed(agreed);
                vec![again]
            }
            (state, Event::Decide(true) | Event::Waiting) => self.stay(state),
            (State::Agreed(agreed), Event::Decide(false) | Event::Cancel) => self.take_back(&agreed.keyed),
            (_, Event::Decide(false) | Event::Cancel) => self.end(PairingEnd::Cancelled, "The pairing was cancelled."),
            (_, Event::Refused(code)) => self.refused(code),
            (_, Event::Lost) => self.end(PairingEnd::Failed, "The other machine cannot be reached any more; nothing was kept."),
            (_, Event::Reply(_) | Event::Settled(_)) => self.strange(),
        }
    }

    /// How far it is; `None` once it is over.
    pub fn state(&self) -> Option<PairingState> {
        match self.state {
            State::Greeted(_) | State::Proved(_) => Some(PairingState::Waiting),
            State::Keyed(_) | State::Agreed(_) => Some(PairingState::KeyExchanged),
            State::Over => None,
        }
    }

    /// When an [`Event::Tick`] will change something.
    pub fn deadline(&self) -> Option<Duration> {
        self.state().map(|_| self.ends_at)
    }

    fn stay(&mut self, state: State) -> Vec<Effect> {
        self.state = state;
        Vec::new()
    }

    fn end(&mut self, how: PairingEnd, words: impl Into<String>) -> Vec<Effect> {
        self.state = State::Over;
        vec![Effect::Ended(End::new(how, words))]
    }

    fn strange(&mut self) -> Vec<Effect> {
        self.end(PairingEnd::Failed, "The other machine answered in a way that does not fit; nothing was kept.")
    }

    /// M2: says M3.
    fn answered(&mut self, greeted: Greeted, answer: Answer) -> Vec<Effect> {
        let Greeted { password, ephemeral, nonce, hello } = greeted;
        if answer.share.bytes() == hello.share.bytes() {
            return self.end(PairingEnd::Burned, "The other machine sent this machine's own share back; nothing was kept.");
        }
        if answer.peer.node_id() == self.me.node_id() {
            return self.end(PairingEnd::Failed, "This is the same machine.");
        }
        let public = Public {
            sid: answer.sid,
            id_i: self.me.wire(Role::Initiator),
            id_r: answer.peer.wire(Role::Responder),
            share_i: hello.share,
            share_r: answer.share,
            commit_i: hello.commit,
            commit_r: answer.commit,
        };
        let Some(proofs) = Proofs::derive(Role::Initiator, &public, &password, &ephemeral) else { return self.strange() };
        let proof = Proof { sid: answer.sid, nonce: *nonce, mac: proofs.of(Role::Initiator) };
        self.state = State::Proved(Box::new(Proved { public, peer: answer.peer, nonce, proofs }));
        vec![Effect::Initiate(Box::new(proof.wire()))]
    }

    /// M4: shows the digits.
    fn proved(&mut self, proved: Proved, theirs: &Counterproof) -> Vec<Effect> {
        let Proved { public, peer, nonce, proofs } = proved;
        let opened = commit_r(&public.sid, &public.commit_i, public.share_r.bytes(), &theirs.nonce);
        if !bool::from(opened.ct_eq(&public.commit_r)) || !proofs.check(Role::Responder, &theirs.mac) {
            return self.end(PairingEnd::Burned, "The other machine could not prove that it shows this code; nothing was kept.");
        }
        let session = proofs.session(&nonce, &theirs.nonce);
        let show = Effect::ShowSas { sas: session.sas.clone(), peer: peer.clone() };
        self.state = State::Keyed(Box::new(Keyed { sid: public.sid, peer, session }));
        vec![show]
    }

    fn agree(&mut self, keyed: Box<Keyed>, rng: &mut dyn CryptoRng) -> Vec<Effect> {
        let minted = mint(rng);
        let sealed = payload::confirmation(&self.me, &self.offer, &minted).and_then(|text| keyed.session.seal(Seal::FinishI, &text));
        let Some(bytes) = sealed else {
            return self.end(PairingEnd::Failed, "This machine could not describe itself to the other one; nothing was kept.");
        };
        let finish = Sealed { sid: keyed.sid, bytes };
        let send = Effect::Confirm(finish.wire());
        self.state = State::Agreed(Box::new(Agreed { keyed, minted, finish }));
        vec![send]
    }

    fn refuse(&mut self, keyed: &Keyed) -> Vec<Effect> {
        let sealed = payload::refusal().and_then(|text| keyed.session.seal(Seal::FinishI, &text));
        let send = sealed.map(|bytes| Effect::Confirm(Sealed { sid: keyed.sid, bytes }.wire()));
        send.into_iter().chain(self.end(PairingEnd::Rejected, "The answer here was no; nothing was kept.")).collect()
    }

    /// A yes is out under its seal, and nothing else may be sealed in its place. So the no comes in place of M7, which is then never said.
    fn take_back(&mut self, keyed: &Keyed) -> Vec<Effect> {
        let sealed = payload::refusal().and_then(|text| keyed.session.seal(Seal::Ack, &text));
        let send = sealed.map(|bytes| Effect::Confirm(Sealed { sid: keyed.sid, bytes }.wire()));
        send.into_iter().chain(self.end(PairingEnd::Rejected, "The pairing was taken back here; nothing was kept.")).collect()
    }

    /// M6: keeps the keys, and says M7.
    fn settled(&mut self, agreed: Agreed, settled: &PairingConfirmed) -> Vec<Effect> {
        let Agreed { keyed, minted, .. } = agreed;
        let opened = message::settled(settled).ok().and_then(|sealed| keyed.session.open(Seal::FinishR, &sealed));
        let Some(text) = opened else { return self.strange() };
        match payload::parse(&text, &keyed.peer) {
            None => self.strange(),
            Some(Verdict::Refused) => self.end(PairingEnd::Rejected, "The other machine's person said no; nothing was kept."),
            Some(Verdict::Confirmed(peer)) => {
                let ack = keyed.session.seal(Seal::Ack, &digest(&text)).map(|bytes| Effect::Confirm(Sealed { sid: keyed.sid, bytes }.wire()));
                let store = Effect::Store(Box::new(Pairing { peer: *peer, minted }));
                let ended = self.end(PairingEnd::Paired, "Both people said yes, and this machine has stored it.");
                [store].into_iter().chain(ack).chain(ended).collect()
            }
        }
    }

    /// Nobody vouches for an unsealed refusal, so it only ever ends an attempt.
    fn refused(&mut self, code: Code) -> Vec<Effect> {
        match code {
            Code::PairingExpired => self.end(PairingEnd::Expired, "The invite has expired; nothing was kept."),
            Code::PairingProof => self.end(PairingEnd::Failed, "The code is wrong."),
            Code::PairingBurned => self.end(PairingEnd::Burned, "The other machine burned its invite; nothing was kept."),
            Code::PairingBusy => self.end(PairingEnd::Failed, "The other machine is in the middle of a pairing."),
            Code::PairingRejected => self.end(PairingEnd::Rejected, "The other machine refused; nothing was kept."),
            Code::PairingNone => self.end(PairingEnd::Failed, "No pairing waits on the other machine."),
            _ => self.end(PairingEnd::Failed, "The other machine does not speak this pairing; nothing was kept."),
        }
    }
}

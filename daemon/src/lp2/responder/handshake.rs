//! From the code to the digits: M1 to M4, the guesses that are counted, and the old pairing.

use std::{mem, net::IpAddr};

use loopsy_shared::{api::pairing::PairingEnd, secret::Secret};
use rand::CryptoRng;
use subtle::ConstantTimeEq;

use super::{Effect, Inflight, Keyed, Responder, State};
use crate::lp2::{
    MOST_HELLOS, MOST_WRONG, Refusal, Role,
    hidden::Hidden,
    message::{Answer, Counterproof, Hello, Proof},
    schedule::{Proofs, Public, commit_i, commit_r},
    spake2::{self, Share},
};

impl Responder {
    pub(super) fn hello(&mut self, hello: Hello, rng: &mut dyn CryptoRng) -> Vec<Effect> {
        let code = match (&self.state, &self.code) {
            (State::Waiting, Some(code)) => code,
            (State::Over { end, .. }, _) => return vec![Effect::Refuse(Refusal::after(*end))],
            _ => return vec![Effect::Refuse(Refusal::Busy)],
        };
        if hello.peer.node_id() == self.me.node_id() {
            return vec![Effect::Refuse(Refusal::Malformed)];
        }
        if self.hellos >= MOST_HELLOS {
            return self.burn("The invite was burned: too many attempts to use it.");
        }
        self.hellos += 1;
        if self.sent.contains(hello.share.bytes()) {
            return self.burn("The invite was burned: somebody sent this machine's own share back to it.");
        }
        let sid = *Hidden::random(rng);
        let ephemeral = spake2::ephemeral(rng);
        let nonce = Hidden::random(rng);
        let Some(share) = Share::make(Role::Responder, &spake2::password(code), &ephemeral) else {
            return vec![Effect::Refuse(Refusal::NoSession), self.end(PairingEnd::Failed, "This machine could not make a share.")];
        };
        self.sent.push(*share.bytes());
        let commit = commit_r(&sid, &hello.commit, share.bytes(), &nonce);
        let answer = Answer { sid, peer: self.me.clone(), share, commit };
        let public = Public {
            sid,
            id_i: hello.peer.wire(Role::Initiator),
            id_r: self.me.wire(Role::Responder),
            share_i: hello.share,
            share_r: share,
            commit_i: hello.commit,
            commit_r: commit,
        };
        self.state = State::Inflight(Box::new(Inflight { since: self.now, peer: hello.peer, public, ephemeral, nonce }));
        vec![Effect::Reply(Box::new(answer.wire()))]
    }

    pub(super) fn proof(&mut self, from: IpAddr, proof: &Proof) -> Vec<Effect> {
        let inflight = match mem::replace(&mut self.state, State::Waiting) {
            State::Inflight(inflight) if inflight.public.sid == proof.sid => inflight,
            other => {
                let refusal = match &other {
                    State::Waiting | State::Inflight(_) => Refusal::NoSession,
                    State::Keyed(_) | State::Provisional(_) => Refusal::Busy,
                    State::Over { end, .. } => Refusal::after(*end),
                };
                self.state = other;
                return vec![Effect::Refuse(refusal)];
            }
        };
        let Some(code) = &self.code else { return vec![Effect::Refuse(Refusal::NoSession)] };
        let opened = commit_i(inflight.public.share_i.bytes(), &proof.nonce);
        if !bool::from(opened.ct_eq(&inflight.public.commit_i)) {
            return self.burn("The invite was burned: the other machine did not stand by its commitment.");
        }
        // A share that leads to the identity is a guess like any other: it must cost as much, and be answered the same.
        let proofs = Proofs::derive(Role::Responder, &inflight.public, &spake2::password(code), &inflight.ephemeral);
        let Some(proofs) = proofs.filter(|proofs| proofs.check(Role::Initiator, &proof.mac)) else { return self.wrong_code(from) };

        let session = proofs.session(&proof.nonce, &inflight.nonce);
        let (sas, peer) = (session.sas.clone(), inflight.peer.clone());
        let reply = Counterproof { nonce: *inflight.nonce, mac: proofs.of(Role::Responder) };
        self.code = None;
        self.state = State::Keyed(Box::new(Keyed { sid: proof.sid, peer: inflight.peer, session, agreed: false, heard: None, remote: None }));
        vec![Effect::Reply(Box::new(reply.wire())), Effect::ShowSas { sas, peer }]
    }

    /// The state is `Waiting` already.
    fn wrong_code(&mut self, from: IpAddr) -> Vec<Effect> {
        self.wrong += 1;
        self.wrong_from.insert(from);
        if self.wrong < MOST_WRONG {
            return vec![Effect::Refuse(Refusal::Proof)];
        }
        let sources: Vec<_> = self.wrong_from.iter().map(ToString::to_string).collect();
        self.burn(format!("The invite was burned: {} wrong codes, from {}.", self.wrong, sources.join(", ")))
    }

    /// The answer is the same whatever the code, so that this is no way to try codes.
    pub(super) fn legacy(&mut self, from: IpAddr, code: &Secret) -> Vec<Effect> {
        let mut effects = vec![Effect::Refuse(Refusal::TooOld)];
        if self.code.as_ref().is_some_and(|ours| ours.matches(code)) {
            effects.push(Effect::KeyExposed { from });
            effects.push(self.end(PairingEnd::Burned, format!("The invite was burned: an old Loopsy at {from} sent the code, and its own key, in clear.")));
        }
        effects
    }
}

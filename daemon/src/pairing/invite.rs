//! The side that shows a code and waits.

use std::{net::IpAddr, time::Duration};

use loopsy_shared::api::{
    ApiError, Code, Scope,
    pairing::{PairingConfirmed, PairingEnd, PairingReply, PairingState},
};

use super::{HOLD, Pairing, Session, keep::Kept};
use crate::lp2::{
    End, Refusal, Responder,
    responder::{Effect, Event},
};

/// How long the clock sleeps at most when nothing is due.
const LONGEST_NAP: Duration = Duration::from_secs(600);

/// An invite and what it has led to.
#[derive(Debug)]
pub(super) struct Invite {
    responder: Responder,
    /// What the other machine may do here, when somebody said so.
    scopes: Option<Vec<Scope>>,
    /// Where the other machine is, once it proved that it knows the code.
    from: Option<IpAddr>,
    /// What was stored, while it can still be withdrawn.
    stored: Option<Kept>,
    /// Why this machine itself said no.
    because: Option<ApiError>,
}

impl Invite {
    pub(super) fn new(responder: Responder, scopes: Option<Vec<Scope>>) -> Self {
        Self { responder, scopes, from: None, stored: None, because: None }
    }
}

/// What the other machine is told.
#[derive(Debug)]
pub enum Answer {
    /// The share, or the proof.
    Reply(Box<PairingReply>),
    /// The sealed answer.
    Settle(PairingConfirmed),
    /// All is well.
    Acknowledge,
    /// This machine's person has not answered yet.
    Wait,
}

impl Pairing {
    /// A message of the other machine. One that has to wait for this machine's person is held for some time.
    ///
    /// # Errors
    /// The refusal.
    pub async fn message(&self, event: Event) -> Result<Answer, ApiError> {
        let held = tokio::time::Instant::now() + HOLD;
        let mut status = self.0.status.subscribe();
        loop {
            status.mark_unchanged();
            // To its end, also when the other machine hangs up: what was begun to be stored is stored whole, and can be withdrawn whole.
            let (this, event) = (self.clone(), event.clone());
            let answer = self.0.parts.tasks.spawn(async move { this.once(event).await }).await.map_err(|e| crate::http::internal(&e))??;
            let Answer::Wait = answer else { return Ok(answer) };
            let changed = tokio::select! {
                changed = tokio::time::timeout_at(held, status.changed()) => changed.is_ok(),
                () = self.0.parts.stopping.cancelled() => false,
            };
            if !changed {
                return Ok(Answer::Wait);
            }
        }
    }

    async fn once(&self, event: Event) -> Result<Answer, ApiError> {
        let mut session = self.0.session.lock().await;
        let Session::Invite(invite) = &mut *session else { return Err(Refusal::NoSession.into()) };
        let from = match &event {
            Event::Proof { from, .. } => Some(*from),
            _ => None,
        };
        let answer = self.step(invite, event, from).await;
        self.close_if_finished(&mut session);
        answer.unwrap_or_else(|| Err(Refusal::NoSession.into()))
    }

    /// Gives an event to the invite and carries out what follows from it. Returns the answer to the request that the event was, if it was one.
    pub(super) async fn step(&self, invite: &mut Invite, event: Event, from: Option<IpAddr>) -> Option<Result<Answer, ApiError>> {
        let mut answer = None;
        let mut effects = std::collections::VecDeque::from(invite.responder.step(self.now(), event, &mut rand::rng()));
        // Before the end that it may be the cause of.
        if invite.responder.wrong_codes() != self.status().wrong_codes {
            self.tell(|status| status.wrong_codes = invite.responder.wrong_codes());
        }
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Reply(reply) => answer = Some(Ok(Answer::Reply(reply))),
                Effect::Settle(settled) => answer = Some(Ok(Answer::Settle(settled))),
                Effect::Acknowledge => answer = Some(Ok(Answer::Acknowledge)),
                Effect::Wait => answer = Some(Ok(Answer::Wait)),
                Effect::Refuse(refusal) => answer = Some(Err(refusal.into())),
                Effect::ShowSas { sas, peer } => {
                    invite.from = from;
                    if let Err(error) = self.fits(&peer) {
                        // The other machine proved that it knows the code, so it gets a sealed no when it comes back.
                        invite.because = Some(error);
                        effects.extend(invite.responder.step(self.now(), Event::Decide(false), &mut rand::rng()));
                    } else {
                        self.show(&sas, &peer, from.map(|ip| ip.to_string()));
                    }
                }
                Effect::Provision(pairing) => match self.keep(&pairing, invite.scopes.clone(), invite.from.map(|ip| ip.to_string()), false).await {
                    Ok(kept) => {
                        self.set_fresh_key(Some(kept.name.clone()));
                        invite.stored = Some(kept);
                    }
                    Err(error) => {
                        answer = Some(Err(error.clone()));
                        invite.because = Some(error);
                        let cancelled = invite.responder.step(self.now(), Event::Cancel, &mut rand::rng());
                        effects = cancelled.into_iter().filter(|effect| matches!(effect, Effect::Ended(_))).collect();
                    }
                },
                Effect::Activate => {
                    self.set_fresh_key(None);
                    if let Some(kept) = invite.stored.take() {
                        self.0.parts.peers.ready(&kept.name);
                    }
                }
                Effect::Withdraw => {
                    self.set_fresh_key(None);
                    if let Some(kept) = invite.stored.take() {
                        self.withdraw(kept).await;
                    }
                }
                Effect::KeyExposed { from } => {
                    let message = format!("A machine at {from} came with the old pairing and sent its own key over the network in clear.");
                    tracing::warn!(%from, "{message}");
                    let hint =
                        "Change the key on that machine; its version speaks only the old pairing, which is not safe. `loopsy connect` exchanges keys by hand.";
                    invite.because = Some(ApiError::new(Code::PairingTooOld, message).hint(hint));
                }
                Effect::Ended(end) => self.end(end, invite.because.take()),
            }
        }
        answer
    }

    /// Forgets an invite that has nothing left to say.
    pub(super) fn close_if_finished(&self, session: &mut Session) {
        if matches!(session, Session::Invite(invite) if invite.responder.finished()) {
            *session = Session::None;
        }
    }

    /// Tells the invite that time passes, until it is gone.
    pub(super) fn keep_time(&self) {
        let this = self.clone();
        self.0.parts.tasks.spawn(async move {
            let mut status = this.0.status.subscribe();
            loop {
                let due = match &*this.0.session.lock().await {
                    Session::Invite(invite) => invite.responder.deadline(),
                    Session::None | Session::Join { .. } => return,
                };
                let nap = due.map_or(LONGEST_NAP, |due| due.saturating_sub(this.now()));
                tokio::select! {
                    () = tokio::time::sleep(nap) => {}
                    _ = status.changed() => continue,
                    () = this.0.parts.stopping.cancelled() => return this.give_up().await,
                }
                let mut session = this.0.session.lock().await;
                if let Session::Invite(invite) = &mut *session {
                    this.step(invite, Event::Tick, None).await;
                }
                this.close_if_finished(&mut session);
            }
        });
    }

    /// The node stops: what nobody has confirmed is withdrawn.
    async fn give_up(&self) {
        let mut session = self.0.session.lock().await;
        if let Session::Invite(invite) = &mut *session
            && invite.responder.state().is_some_and(|state| state == PairingState::Waiting || invite.stored.is_none())
        {
            invite.because = Some(ApiError::new(Code::ShuttingDown, "The node stopped; nothing was kept."));
            self.step(invite, Event::Cancel, None).await;
            if self.status().active {
                self.end(End { how: PairingEnd::Cancelled, words: String::new() }, invite.because.take());
            }
        }
    }
}

//! The side that comes with a code.

use std::collections::VecDeque;

use loopsy_shared::{
    api::{
        ApiError, Code, Scope,
        pairing::{ConfirmPairing, InitiatePairing, JoinPairing, PairingEnd, PairingReply, PairingState, PairingStatus},
    },
    client::{Client, ClientError, Transport, authority},
    config::DEFAULT_PORT,
    text,
};
use tokio::sync::{mpsc, oneshot};

use super::{ANSWERS, Pairing, Session};
use crate::{
    lp2::{
        End, Initiator, InviteCode,
        initiator::{Effect, Event},
    },
    peers::clean_address,
};

/// Between two tries to bring a sealed message to a machine that does not answer.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// An answer of this machine's person, and how to say that it was heard.
pub(super) type Heard = (bool, oneshot::Sender<()>);

/// How long a last word may take.
const LAST_WORD: std::time::Duration = std::time::Duration::from_secs(3);

/// How often the last message is brought, before the other machine is left to find out by itself.
const LAST_TRIES: u32 = 3;

/// A place where the other machine may be.
#[derive(Debug, Clone)]
struct Place {
    address: String,
    client: Client,
}

impl Pairing {
    /// Goes to a machine that waits. Returns when there are digits to compare; what follows is in the status.
    ///
    /// # Errors
    /// Another pairing is under way, the address makes no sense or nobody answers, or the other machine refuses.
    pub async fn join(&self, request: JoinPairing) -> Result<PairingStatus, ApiError> {
        let code = InviteCode::parse(request.invite_code.reveal())
            .ok_or_else(|| ApiError::new(Code::PairingMalformed, "An invite code has six digits.").hint("The other machine shows it after `loopsy pair`."))?;
        let places = self.places(&request.address, request.port)?;
        let mut session = self.0.session.lock().await;
        self.require_idle(&session)?;
        let (me, offer) = self.introduction(request.scopes.clone())?;
        let (initiator, effects) = Initiator::new(&code, me, offer, self.now(), &mut rand::rng());
        drop(code);
        let (person, answers) = mpsc::channel(ANSWERS);
        *session = Session::Join { person };
        drop(session);
        self.begin(PairingState::Waiting, self.expires_at());
        let mut status = self.0.status.subscribe();
        let run = Run { pairing: self.clone(), initiator, places, place: None, scopes: request.scopes, answers, effects: effects.into(), because: None };
        // It goes on without the caller: only a person, the other machine or time ends it.
        self.0.parts.tasks.spawn(run.until_over());
        let far = |status: &PairingStatus| !status.active || status.state == Some(PairingState::KeyExchanged);
        let now = status.wait_for(far).await.map(|status| status.clone()).unwrap_or_else(|_| self.status());
        match now.outcome.as_ref().filter(|_| !now.active) {
            None => Ok(now),
            Some(outcome) => {
                Err(ApiError { code: Code::from_number(outcome.code, 400), message: outcome.message.clone(), hint: outcome.hint.clone(), retry_after: None })
            }
        }
    }

    /// Where a name or an address leads: what announces itself under it on the local network comes first.
    fn places(&self, name: &str, port: Option<u16>) -> Result<Vec<Place>, ApiError> {
        let seen = self.0.parts.sightings.find(name.trim());
        if seen.len() > 1 {
            let all: Vec<String> = seen.iter().filter_map(|seen| Some(authority(&seen.addresses.first()?.to_string(), seen.port))).collect();
            return Err(ApiError::new(Code::PeerAmbiguous, format!("Several machines call themselves `{}`: {}.", text::inert(name), all.join(", ")))
                .hint("Use the address of the one that shows the code."));
        }
        let mut found: Vec<(String, u16)> =
            seen.into_iter().flat_map(|seen| seen.addresses.into_iter().map(move |ip| (ip.to_string(), port.unwrap_or(seen.port)))).collect();
        if found.is_empty() {
            found.push((clean_address(name)?, port.unwrap_or(DEFAULT_PORT)));
        }
        let place = |(address, port): (String, u16)| {
            let client = Client::new(Transport::default(), authority(&address, port), None).map_err(|e| crate::http::internal(&e))?.wary();
            Ok(Place { address, client })
        };
        found.into_iter().map(place).collect()
    }
}

/// One attempt, from the first message to its end.
struct Run {
    pairing: Pairing,
    initiator: Initiator,
    places: Vec<Place>,
    /// The place that answered.
    place: Option<Place>,
    /// What the other machine may do here, when somebody said so.
    scopes: Option<Vec<Scope>>,
    answers: mpsc::Receiver<Heard>,
    effects: VecDeque<Effect>,
    /// Why it failed, in better words than the protocol has.
    because: Option<ApiError>,
}

impl Run {
    async fn until_over(mut self) {
        let stopping = self.pairing.0.parts.stopping.clone();
        loop {
            while let Some(effect) = self.effects.pop_front() {
                if self.carry_out(effect).await {
                    return;
                }
            }
            let left = self.initiator.deadline().map_or(AGAIN, |due| due.saturating_sub(self.pairing.now()));
            let event = tokio::select! {
                Some(answer) = self.answers.recv() => self.hear(answer),
                () = tokio::time::sleep(left) => Event::Tick,
                () = stopping.cancelled() => Event::Cancel,
            };
            self.step(event);
        }
    }

    /// Tells this machine's person that the answer counts.
    fn hear(&self, (answer, heard): Heard) -> Event {
        self.pairing.tell(|status| status.answered = Some(answer));
        // Who asked may have hung up; the answer counts all the same.
        let _gone = heard.send(());
        Event::Decide(answer)
    }

    fn step(&mut self, event: Event) {
        let effects = self.initiator.step(self.pairing.now(), event, &mut rand::rng());
        self.effects.extend(effects);
    }

    /// Returns whether this was the end.
    async fn carry_out(&mut self, effect: Effect) -> bool {
        match effect {
            Effect::Initiate(message) => match self.initiate(*message).await {
                Ok(reply) => self.step(Event::Reply(reply)),
                Err(event) => self.step(event),
            },
            Effect::ShowSas { sas, peer } => match self.pairing.fits(&peer) {
                Ok(_) => self.pairing.show(&sas, &peer, self.place.as_ref().map(|place| place.address.clone())),
                Err(error) => {
                    self.because = Some(error);
                    self.step(Event::Decide(false));
                }
            },
            Effect::Confirm(message) => {
                let because = self.because.take();
                let event = self.confirm(message).await;
                if self.initiator.state().is_none() {
                    // It was a last word. What the other machine says to it is no news: this machine has decided.
                    self.because = because;
                } else if let Some(event) = event {
                    self.step(event);
                }
            }
            Effect::Store(pairing) => {
                if let Err(error) = self.pairing.keep(&pairing, self.scopes.clone(), self.place.as_ref().map(|place| place.address.clone()), true).await {
                    // Without the last message the other machine drops what it has.
                    self.effects.clear();
                    self.end(End { how: PairingEnd::Failed, words: String::new() }, Some(error)).await;
                    return true;
                }
                // It is over here from this moment, and nobody can take it back any more; the other machine is told after that.
                let mut last = None;
                for effect in std::mem::take(&mut self.effects) {
                    match effect {
                        Effect::Ended(end) => self.end(end, None).await,
                        Effect::Confirm(message) => last = Some(message),
                        Effect::Initiate(_) | Effect::ShowSas { .. } | Effect::Store(_) => {}
                    }
                }
                if let (Some(message), Some(place)) = (last, &self.place) {
                    for _ in 0..LAST_TRIES {
                        match place.client.ask(message.clone()).await {
                            Err(error) if error.is_connection() => tokio::time::sleep(AGAIN).await,
                            _ => break,
                        }
                    }
                }
                return true;
            }
            Effect::Ended(end) => {
                // A last word that is still to be said is said first: it stands before this in the queue.
                let because = self.because.take();
                self.end(end, because).await;
                return true;
            }
        }
        false
    }

    /// Brings the share or the proof. Until somebody has answered, every place is tried. A no of this machine's person is heard meanwhile.
    async fn initiate(&mut self, message: InitiatePairing) -> Result<PairingReply, Event> {
        let places = self.place.as_ref().map_or_else(|| self.places.clone(), |place| vec![place.clone()]);
        for place in places {
            let answer = tokio::select! {
                answer = place.client.ask(message.clone()) => answer,
                Some((false, heard)) = self.answers.recv() => {
                    self.because = None;
                    return Err(self.hear((false, heard)));
                }
            };
            match answer {
                Ok(reply) => {
                    self.place = Some(place);
                    return Ok(reply);
                }
                Err(ClientError::Api(error)) => {
                    self.because = Some(refused(&place.address, &error));
                    return Err(Event::Refused(error.code));
                }
                Err(error) => self.because = Some(lost(&place, &error)),
            }
        }
        Err(Event::Lost)
    }

    /// Brings a sealed message, again and again while the other machine's person thinks. A no of this machine's person is heard meanwhile.
    async fn confirm(&mut self, message: ConfirmPairing) -> Option<Event> {
        let place = self.place.clone()?;
        if self.initiator.state().is_none() {
            // It is over here; the other machine gets its chance to hear of it.
            let _told_or_not = tokio::time::timeout(LAST_WORD, place.client.ask(message)).await;
            return None;
        }
        let answer = tokio::select! {
            answer = place.client.ask(message) => answer,
            Some((false, heard)) = self.answers.recv() => return Some(self.hear((false, heard))),
        };
        Some(match answer {
            Ok(reply) if reply.sealed.is_some() => Event::Settled(reply),
            Ok(_) => Event::Waiting,
            Err(ClientError::Api(error)) if error.code.status() >= 500 => {
                self.because = Some(refused(&place.address, &error));
                Event::Lost
            }
            Err(ClientError::Api(error)) => {
                self.because = Some(refused(&place.address, &error));
                Event::Refused(error.code)
            }
            // A cut connection is no answer; the same message may come twice.
            Err(_) => {
                tokio::time::sleep(AGAIN).await;
                Event::Waiting
            }
        })
    }

    /// Both at once, so that nobody begins anew in between.
    async fn end(&self, end: End, because: Option<ApiError>) {
        let mut session = self.pairing.0.session.lock().await;
        *session = Session::None;
        self.pairing.end(end, because);
    }
}

fn lost(place: &Place, error: &ClientError) -> ApiError {
    match error {
        ClientError::Protocol { .. } => old(&place.address),
        _ => ApiError::new(Code::PeerUnreachable, format!("{} Nothing was kept.", text::inert(&error.to_string())))
            .hint("Is its daemon running (`loopsy status` there), and is this its address? `loopsy pair` there shows the addresses to use."),
    }
}

/// What a refusal means for a person. What the other side wrote is not shown: it may be anybody.
fn refused(address: &str, error: &ApiError) -> ApiError {
    let (message, hint) = match error.code {
        Code::PairingNone => {
            (format!("The machine at {address} does not wait for anybody. Nothing was kept."), "Run `loopsy pair` there first, and use the code that it shows.")
        }
        Code::PairingExpired => (format!("The invite of the machine at {address} has expired. Nothing was kept."), "Run `loopsy pair` there again."),
        Code::PairingProof => {
            ("The code is wrong. Nothing was kept.".to_owned(), "Look at the other machine's screen and try again: three wrong codes end the invite.")
        }
        Code::PairingBurned => {
            (format!("The invite of the machine at {address} was ended by wrong codes. Nothing was kept."), "Run `loopsy pair` there again for a new code.")
        }
        Code::PairingBusy => {
            (format!("The machine at {address} is in the middle of another pairing. Nothing was kept."), "Wait until it is done, and try again.")
        }
        Code::PairingRejected => (format!("The machine at {address} refused. Nothing was kept."), "Its screen says why. Then begin again: loopsy pair"),
        Code::RateLimited => (format!("The machine at {address} was asked too often. Nothing was kept."), "Wait a minute, and try again."),
        Code::ForeignOrigin => (format!("The machine at {address} does not know itself by this name. Nothing was kept."), "Use its IP address."),
        _ => return old(address),
    };
    ApiError::new(error.code, message).hint(hint)
}

fn old(address: &str) -> ApiError {
    ApiError::new(Code::PairingTooOld, format!("What answers at {address} does not speak this pairing. Nothing was kept."))
        .hint("If it is an older Loopsy: its pairing sends keys in clear and is not used. Update it, or exchange keys by hand with `loopsy connect`.")
}

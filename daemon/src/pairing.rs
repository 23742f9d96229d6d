//! How strangers become peers: one pairing at a time, in memory, driven by people and by the other machine. What is said and checked is [`crate::lp2`]'s;
//! this carries it out: time, network, config, peers.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use loopsy_shared::{
    api::{
        ApiError, Code, Scope,
        events::Event as Change,
        pairing::{PairingEnd, PairingOutcome, PairingPeer, PairingStarted, PairingState, PairingStatus},
    },
    client::TlsIdentity,
    config::Config,
    id::NodeId,
    time::{self, Millis},
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    discovery::Sightings,
    events::Events,
    lp2::{self, End, Identity, InviteCode, Offer, Responder},
    network,
    peers::Peers,
    settings::Settings,
    trust::Trust,
};

mod invite;
mod join;
mod keep;

pub use invite::Answer;

/// How long a question for the state, or a sealed message that has to wait for a person, is held.
const HOLD: Duration = Duration::from_secs(25);
/// Answers of this machine's person that wait to be heard: one, and the one that takes it back.
const ANSWERS: usize = 2;

/// The pairing of this node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pairing(Arc<Shared>);

/// What pairing is made of.
#[derive(Debug)]
pub struct Parts {
    /// This node.
    pub node_id: NodeId,
    /// The port that it listens on.
    pub port: u16,
    /// The address that it listens on.
    pub bound: IpAddr,
    /// Its certificate.
    pub tls: Arc<TlsIdentity>,
    /// The live config, into which keys and pins go.
    pub settings: Settings,
    /// The keys that open this node.
    pub trust: Trust,
    /// Where a new peer goes.
    pub peers: Peers,
    /// Names that were seen on the local network.
    pub sightings: Sightings,
    /// Where changes are told.
    pub events: Events,
    /// Owns what goes on after a request.
    pub tasks: TaskTracker,
    /// Ends it all.
    pub stopping: CancellationToken,
}

#[derive(Debug)]
struct Shared {
    parts: Parts,
    begun: Instant,
    session: tokio::sync::Mutex<Session>,
    status: watch::Sender<PairingStatus>,
    /// The name of a key that nobody has used yet; looked at by every request of a peer, so a flag stands before the lock.
    fresh_key: Mutex<Option<String>>,
    has_fresh_key: AtomicBool,
}

/// What is under way.
#[derive(Debug)]
enum Session {
    /// Nothing.
    None,
    /// This machine shows a code. Boxed, because it is rare.
    Invite(Box<invite::Invite>),
    /// This machine came with a code. The task that does it hears this machine's person.
    Join { person: mpsc::Sender<join::Heard> },
}

impl Pairing {
    /// No pairing.
    pub fn new(parts: Parts) -> Self {
        let idle =
            PairingStatus { active: false, state: None, sas: None, expires_at: None, peer: None, answered: None, wrong_codes: 0, outcome: None, change: 0 };
        Self(Arc::new(Shared {
            parts,
            begun: Instant::now(),
            session: tokio::sync::Mutex::new(Session::None),
            status: watch::Sender::new(idle),
            fresh_key: Mutex::default(),
            has_fresh_key: AtomicBool::new(false),
        }))
    }

    /// Makes an invite and waits for another machine.
    ///
    /// # Errors
    /// Another pairing is under way, or this node has a name that no peer can have.
    pub async fn start(&self, scopes: Option<Vec<Scope>>) -> Result<PairingStarted, ApiError> {
        let mut session = self.0.session.lock().await;
        self.require_idle(&session)?;
        let (me, offer) = self.introduction(scopes.clone())?;
        let code = InviteCode::generate(&mut rand::rng());
        let invite_code = code.reveal();
        let responder = Responder::new(code, me, offer, self.now());
        let expires_at = self.expires_at();
        *session = Session::Invite(Box::new(invite::Invite::new(responder, scopes)));
        self.begin(PairingState::Waiting, expires_at);
        self.keep_time();
        let port = self.0.parts.port;
        let addresses = network::own_addresses(self.0.parts.bound).into_iter().map(|ip| loopsy_shared::client::authority(&ip.to_string(), port)).collect();
        Ok(PairingStarted { invite_code, expires_at, addresses })
    }

    /// The answer of this machine's person: to the digits, or a no before there are any. `sas`: the digits that the person saw.
    ///
    /// # Errors
    /// There is nothing to answer, or a yes is about other digits.
    pub async fn decide(&self, confirmed: bool, sas: Option<String>) -> Result<String, ApiError> {
        let this = self.clone();
        // To its end, also when who asked hangs up: what was begun to be stored is stored whole.
        self.0.parts.tasks.spawn(async move { this.answer(confirmed, sas).await }).await.map_err(|e| crate::http::internal(&e))?
    }

    async fn answer(&self, confirmed: bool, sas: Option<String>) -> Result<String, ApiError> {
        let nothing = || ApiError::new(Code::PairingNone, "There is nothing to confirm.").hint("Begin with: loopsy pair");
        let mut session = self.0.session.lock().await;
        let status = self.status();
        if !status.active || (confirmed && status.state != Some(PairingState::KeyExchanged)) {
            return Err(nothing());
        }
        if confirmed && sas.is_some() && sas != status.sas {
            return Err(ApiError::new(
                Code::PairingBusy,
                "The digits that were compared are not those of the pairing that is under way; nothing was confirmed.",
            )
            .hint("Compare the digits that are shown now."));
        }
        let peer = status.peer.map_or_else(|| "the other machine".to_owned(), |peer| format!("`{}`", peer.hostname));
        match &mut *session {
            Session::None => return Err(nothing()),
            Session::Join { person } => {
                let (heard, hearing) = oneshot::channel();
                // A full queue holds a no already, or the task is about to end: either way there is nothing more to say.
                person.try_send((confirmed, heard)).map_err(|_| nothing())?;
                // It is no answer before it is heard: in the meantime both sides may have stored everything.
                drop(session);
                hearing.await.map_err(|_| nothing())?;
            }
            Session::Invite(invite) => {
                self.tell(|status| status.answered = Some(confirmed));
                self.step(invite, lp2::responder::Event::Decide(confirmed), None).await;
                self.close_if_finished(&mut session);
            }
        }
        Ok(if confirmed { format!("You said yes. Pairing with {peer}.") } else { format!("Not paired with {peer}; nothing was kept.") })
    }

    /// How far it is.
    pub fn status(&self) -> PairingStatus {
        self.0.status.borrow().clone()
    }

    /// How far it is, once it is further than `after`; or after some time, as it is.
    pub async fn status_after(&self, after: u64) -> PairingStatus {
        let mut status = self.0.status.subscribe();
        let changed = status.wait_for(|status| status.change > after);
        tokio::select! {
            _ = tokio::time::timeout(HOLD, changed) => {}
            () = self.0.parts.stopping.cancelled() => {}
        }
        self.status()
    }

    /// A peer's key was used. If it is the new one, the other machine has stored it.
    pub fn key_used(&self, name: &str) {
        if !self.0.has_fresh_key.load(Ordering::Acquire) || self.fresh_key().as_deref() != Some(name) {
            return;
        }
        self.set_fresh_key(None);
        let this = self.clone();
        self.0.parts.tasks.spawn(async move {
            let mut session = this.0.session.lock().await;
            if let Session::Invite(invite) = &mut *session {
                this.step(invite, lp2::responder::Event::KeyUsed, None).await;
                this.close_if_finished(&mut session);
            }
        });
    }

    /// The config, for those who decide by it.
    fn config(&self) -> Arc<Config> {
        self.0.parts.settings.now()
    }

    fn now(&self) -> Duration {
        self.0.begun.elapsed()
    }

    fn expires_at(&self) -> Millis {
        time::now().saturating_add(u64::try_from(lp2::LIFE.as_millis()).unwrap_or(u64::MAX))
    }

    fn require_idle(&self, session: &Session) -> Result<(), ApiError> {
        let busy = match session {
            Session::None => false,
            // One that is over may still have a refusal to deliver; that does not keep people waiting.
            Session::Invite(_) | Session::Join { .. } => self.status().active,
        };
        if busy {
            return Err(ApiError::new(Code::PairingBusy, "A pairing is under way on this node.").hint("Finish it, or cancel it with: loopsy pair --cancel"));
        }
        Ok(())
    }

    /// What this node tells the other one.
    fn introduction(&self, scopes: Option<Vec<Scope>>) -> Result<(Identity, Offer), ApiError> {
        let name = self.config().hostname();
        let me = Identity::new(self.0.parts.node_id.as_str(), &name)
            .ok_or_else(|| ApiError::new(Code::ConfigInvalid, format!("`{name}` cannot be a node's name.")).hint("Set server.hostname in config.yaml."))?;
        let scopes = scopes.unwrap_or_else(|| Scope::PEER_DEFAULT.to_vec());
        if scopes.is_empty() {
            return Err(ApiError::new(Code::InvalidRequest, "A peer that may do nothing is no peer.").hint("Name at least one scope, such as `status`."));
        }
        let offer = Offer {
            port: self.0.parts.port,
            addrs: network::own_addresses(self.0.parts.bound),
            cert_fingerprint: self.0.parts.tls.fingerprint().to_string(),
            scopes,
        };
        Ok((me, offer))
    }

    fn begin(&self, state: PairingState, expires_at: Millis) {
        self.tell(|status| {
            let change = status.change;
            *status = PairingStatus {
                active: true,
                state: Some(state),
                sas: None,
                expires_at: Some(expires_at),
                peer: None,
                answered: None,
                wrong_codes: 0,
                outcome: None,
                change,
            };
        });
    }

    fn show(&self, sas: &lp2::Sas, peer: &Identity, address: Option<String>) {
        self.tell(|status| {
            status.state = Some(PairingState::KeyExchanged);
            status.sas = Some(sas.digits());
            status.peer = Some(PairingPeer { node_id: peer.node_id().clone(), hostname: peer.hostname().to_owned(), address });
        });
    }

    fn end(&self, end: End, because: Option<ApiError>) {
        let (code, message, hint) = match because {
            Some(error) if end.how != PairingEnd::Paired => (error.code.number(), error.message, error.hint),
            _ => (code(end.how), end.words, hint(end.how).map(str::to_owned)),
        };
        tracing::info!(end = ?end.how, "pairing ended");
        self.tell(|status| {
            (status.active, status.state, status.sas, status.expires_at) = (false, None, None, None);
            status.outcome = Some(PairingOutcome { end: end.how, code, message, hint });
        });
    }

    fn tell(&self, change: impl FnOnce(&mut PairingStatus)) {
        let mut told = (false, 0);
        self.0.status.send_modify(|status| {
            change(status);
            status.change += 1;
            told = (status.active, status.change);
        });
        self.0.parts.events.publish(Change::PairingChanged { active: told.0, change: told.1 });
    }

    fn fresh_key(&self) -> Option<String> {
        self.0.fresh_key.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_fresh_key(&self, name: Option<String>) {
        let mut fresh = self.0.fresh_key.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.has_fresh_key.store(name.is_some(), Ordering::Release);
        *fresh = name;
    }
}

/// The number of an end that nobody has put into an error.
const fn code(how: PairingEnd) -> u16 {
    match how {
        PairingEnd::Paired => 0,
        PairingEnd::Rejected | PairingEnd::Cancelled => Code::PairingRejected.number(),
        PairingEnd::Expired => Code::PairingExpired.number(),
        PairingEnd::Burned => Code::PairingBurned.number(),
        PairingEnd::Failed => Code::PairingMalformed.number(),
    }
}

/// What to do after an end.
const fn hint(how: PairingEnd) -> Option<&'static str> {
    match how {
        PairingEnd::Paired => None,
        PairingEnd::Rejected => Some("If the digits differed, somebody may stand between the two machines: try another network. Else begin again: loopsy pair"),
        PairingEnd::Cancelled | PairingEnd::Expired => Some("Begin again with: loopsy pair"),
        PairingEnd::Burned => Some("Begin again with a new code: loopsy pair"),
        PairingEnd::Failed => Some("Check the address and the code, and begin again: loopsy pair"),
    }
}

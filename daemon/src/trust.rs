//! Who is asking, and what they may do. Looked up anew for every request, so that a key stops working the moment it is revoked.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use loopsy_shared::{
    api::{Needs, Scope},
    config::{AllowedKey, Config},
    fingerprint::Fingerprint,
    id::{JobId, TaskId},
    secret::{self, KeyDigest, Secret},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The name under which the owner's requests are recorded.
pub const ADMIN: &str = "admin";
/// The name under which requests of the owner's coding agents are recorded.
pub const AGENT: &str = "agent";

/// What kind of caller a credential belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The person whose machine it is.
    Owner,
    /// A coding agent that works for that person on this machine.
    Agent,
    /// Another machine.
    Peer,
    /// A task that runs here: it may ask a person, and nothing else.
    Task,
    /// Somebody without a key.
    Stranger,
}

/// Who a credential belongs to.
#[derive(Debug)]
pub struct Principal {
    /// `admin`, `agent`, or the peer's name.
    pub name: String,
    /// What kind of caller it is.
    pub role: Role,
    /// What it may do, unless it is the owner.
    pub scopes: Vec<Scope>,
    /// The certificate that it must show. Its key alone opens nothing then.
    pub pin: Option<Fingerprint>,
    /// First eight hex digits of the key's SHA-256: tells keys apart in the audit log.
    pub key_id: String,
    /// Fires when the key is revoked; ends everything that was started with it.
    pub revoked: CancellationToken,
}

impl Principal {
    /// Whoever comes without a key.
    pub fn nobody() -> Self {
        let (name, key_id) = ("nobody".to_owned(), String::new());
        Self { name, role: Role::Stranger, scopes: Vec::new(), pin: None, key_id, revoked: CancellationToken::new() }
    }

    /// Somebody whose key is gone.
    pub fn gone() -> Self {
        let gone = Self::nobody();
        gone.revoked.cancel();
        gone
    }

    /// Whether this is the owner.
    pub fn is_owner(&self) -> bool {
        self.role == Role::Owner
    }

    /// Whether this principal may call an endpoint with these needs.
    pub fn may(&self, needs: Needs) -> bool {
        match needs {
            Needs::Nothing => true,
            Needs::Scope(scope) => self.is_owner() || self.scopes.contains(&scope),
            Needs::Peer => self.is_owner() || (self.role == Role::Peer && self.scopes.contains(&Scope::Status)),
            Needs::Local => matches!(self.role, Role::Owner | Role::Agent),
            Needs::Admin => self.is_owner(),
            Needs::Task => matches!(self.role, Role::Owner | Role::Task),
        }
    }
}

/// A principal together with what one request says about itself.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Whose key it was.
    pub principal: Arc<Principal>,
    /// What the caller calls itself (`x-loopsy-node-id`); nobody vouches for it.
    pub from_node_id: Option<String>,
    /// The id that the caller wants the job to have that this request starts.
    pub job_id: Option<JobId>,
    /// Where the connection came from.
    pub from: IpAddr,
    /// Whether it is for a coding agent: of this machine, or of the one that passed it on and says so. Then the key's own rights count only as far as an agent's go.
    pub for_agent: bool,
}

impl Caller {
    /// Whether this caller may call an endpoint with these needs.
    pub fn may(&self, needs: Needs) -> bool {
        let agents = match needs {
            Needs::Scope(scope) => Scope::PEER_DEFAULT.contains(&scope),
            Needs::Nothing | Needs::Local => true,
            Needs::Peer | Needs::Admin | Needs::Task => false,
        };
        self.principal.may(needs) && (agents || !self.for_agent)
    }
}

/// All keys that open this node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Trust(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: watch::Receiver<Arc<Config>>,
    state: ArcSwap<State>,
    /// Keys that were revoked in this run, whatever the config says. Held while the state is built anew.
    banned: Mutex<HashSet<KeyDigest>>,
    /// The tokens of tasks that run.
    tasks: Mutex<HashMap<KeyDigest, Arc<Principal>>>,
}

#[derive(Debug)]
struct State {
    built_from: Arc<Config>,
    principals: HashMap<KeyDigest, Arc<Principal>>,
}

impl Trust {
    /// Trusts the keys of a config, and of every config after it.
    pub fn new(config: watch::Receiver<Arc<Config>>) -> Self {
        let state = State::build(&config.borrow(), None, &HashSet::new());
        Self(Arc::new(Shared { config, state: ArcSwap::from_pointee(state), banned: Mutex::default(), tasks: Mutex::default() }))
    }

    /// The principal of a presented key.
    pub fn identify(&self, presented: &[u8]) -> Option<Arc<Principal>> {
        self.refresh();
        let digest = secret::digest(presented);
        let tasks = || self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned();
        self.0.state.load().principals.get(&digest).cloned().or_else(tasks)
    }

    /// A token with which a task may ask, and nothing else. It is worth something until [`Trust::revoke_task`].
    pub fn issue_task(&self, id: &TaskId) -> Secret {
        let token = Secret::generate();
        let digest = token.digest();
        let principal = Principal {
            name: id.to_string(),
            role: Role::Task,
            scopes: Vec::new(),
            pin: None,
            key_id: secret::hex(&digest[..4]),
            revoked: CancellationToken::new(),
        };
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).insert(digest, Arc::new(principal));
        token
    }

    /// Makes the token of a task worthless.
    pub fn revoke_task(&self, id: &TaskId) {
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, principal| {
            let stays = principal.name != id.as_str();
            if !stays {
                principal.revoked.cancel();
            }
            stays
        });
    }

    /// The principal whose key has this name: `admin`, `agent`, or a peer's.
    pub fn named(&self, name: &str) -> Option<Arc<Principal>> {
        self.refresh();
        self.0.state.load().principals.values().find(|principal| principal.name == name).cloned()
    }

    /// The principal that a revoked one's key belongs to now: the same machine with other rights. `None` when the key opens nothing any more.
    pub fn successor(&self, revoked: &Principal) -> Option<Arc<Principal>> {
        let same = |now: &&Arc<Principal>| (&now.key_id, &now.name, now.pin) == (&revoked.key_id, &revoked.name, revoked.pin);
        self.0.state.load().principals.values().find(same).cloned()
    }

    /// The pinned certificate of the peer whose key has this name.
    pub fn pin(&self, name: &str) -> Option<Fingerprint> {
        self.0.config.borrow().tls.pinned_certs.get(name).copied()
    }

    /// What the peer whose key has this name may do here; nothing when there is no such key.
    pub fn scopes(&self, name: &str) -> Vec<Scope> {
        let config = self.0.config.borrow();
        if config.auth.allowed_keys.contains_key(name) { scopes_of(&config, name) } else { Vec::new() }
    }

    /// Takes over the newest config: keys that are gone are revoked, with everything that was started with them.
    pub fn refresh(&self) {
        let current = |shared: &Shared| Arc::ptr_eq(&shared.state.load().built_from, &shared.config.borrow());
        if current(&self.0) {
            return;
        }
        let banned = self.0.banned.lock().unwrap_or_else(PoisonError::into_inner);
        if !current(&self.0) {
            self.rebuild(&banned);
        }
    }

    /// Makes a peer's key worthless at once, for as long as the node runs: also where the config cannot be changed, because somebody is in the middle of editing it.
    pub fn ban(&self, name: &str) {
        let digest = self.0.config.borrow().auth.allowed_keys.get(name).and_then(AllowedKey::digest);
        let mut banned = self.0.banned.lock().unwrap_or_else(PoisonError::into_inner);
        if digest.is_some_and(|digest| banned.insert(digest)) {
            self.rebuild(&banned);
        }
    }

    fn rebuild(&self, banned: &HashSet<KeyDigest>) {
        let newest = Arc::clone(&self.0.config.borrow());
        let old = self.0.state.load_full();
        let new = State::build(&newest, Some(&old), banned);
        // A key that stays under another name, or with other rights, is another principal: what the old one began ends.
        let stays = |digest: &KeyDigest, old: &Arc<Principal>| new.principals.get(digest).is_some_and(|new| Arc::ptr_eq(new, old));
        let gone: Vec<_> = old.principals.iter().filter(|(digest, old)| !stays(digest, old)).map(|(_, old)| Arc::clone(old)).collect();
        self.0.state.store(Arc::new(new));
        for principal in gone {
            tracing::info!(principal = %principal.name, key = %principal.key_id, "key revoked");
            principal.revoked.cancel();
        }
    }
}

impl State {
    /// Keeps the principals of keys that stay, so that their streams go on.
    fn build(config: &Arc<Config>, old: Option<&Self>, banned: &HashSet<KeyDigest>) -> Self {
        let admin = config.auth.api_key.iter().map(|key| (key.digest(), ADMIN, Role::Owner));
        let agent = config.auth.agent_key.iter().map(|key| (key.digest(), AGENT, Role::Agent));
        let peers = config
            .auth
            .allowed_keys
            .iter()
            .filter_map(|(name, key)| Some((key.digest()?, name.as_str(), Role::Peer)))
            .filter(|(digest, ..)| !banned.contains(digest));
        // The owner's key comes last and so wins, should another be the same.
        let principals = peers.chain(agent).chain(admin).map(|(digest, name, role)| {
            let (scopes, pin) = match role {
                Role::Peer => (scopes_of(config, name), config.tls.pinned_certs.get(name).copied()),
                Role::Agent => (Scope::PEER_DEFAULT.to_vec(), None),
                Role::Owner | Role::Task | Role::Stranger => (Vec::new(), None),
            };
            let same = |p: &&Arc<Principal>| p.name == name && p.role == role && p.pin == pin && p.scopes == scopes;
            let kept = old.and_then(|old| old.principals.get(&digest)).filter(same).cloned();
            let principal = kept.unwrap_or_else(|| {
                let (name, key_id) = (name.to_owned(), secret::hex(&digest[..4]));
                Arc::new(Principal { name, role, scopes, pin, key_id, revoked: CancellationToken::new() })
            });
            (digest, principal)
        });
        Self { built_from: Arc::clone(config), principals: principals.collect() }
    }
}

fn scopes_of(config: &Config, name: &str) -> Vec<Scope> {
    config.auth.scopes.get(name).map_or_else(|| Scope::PEER_DEFAULT.to_vec(), |scopes| Scope::ALL.into_iter().filter(|scope| scopes.contains(scope)).collect())
}

#[cfg(test)]
mod tests {
    use loopsy_shared::secret::Secret;

    use super::*;

    fn config(admin: &Secret, peer: Option<&Secret>) -> Arc<Config> {
        let mut config = Config::default();
        config.auth.api_key = Some(admin.clone());
        config.auth.allowed_keys.extend(peer.map(|key| ("kai".to_owned(), AllowedKey::from_digest(&key.digest()))));
        Arc::new(config)
    }

    #[test]
    fn a_key_works_from_the_config_that_has_it_to_the_config_that_has_not() {
        let (admin, peer) = (Secret::generate(), Secret::generate());
        let (tx, rx) = watch::channel(config(&admin, None));
        let trust = Trust::new(rx);
        let owner = trust.identify(admin.reveal().as_bytes()).expect("known");
        assert!(owner.is_owner() && trust.identify(peer.reveal().as_bytes()).is_none());

        tx.send_replace(config(&admin, Some(&peer)));
        let kai = trust.identify(peer.reveal().as_bytes()).expect("known at once");
        assert!(kai.may(Needs::Scope(Scope::Execute)) && !kai.may(Needs::Admin) && !kai.may(Needs::Scope(Scope::Approve)));
        assert!(!owner.revoked.is_cancelled(), "another key's arrival does not concern the owner");

        tx.send_replace(config(&admin, None));
        trust.refresh();
        assert!(kai.revoked.is_cancelled() && trust.identify(peer.reveal().as_bytes()).is_none());
    }

    #[test]
    fn what_is_for_an_agent_may_do_what_an_agent_may() {
        for role in [Role::Peer, Role::Owner] {
            let principal = Arc::new(Principal { role, scopes: Scope::ALL.to_vec(), ..Principal::nobody() });
            let caller = |for_agent| Caller { principal: Arc::clone(&principal), from_node_id: None, job_id: None, from: [127, 0, 0, 1].into(), for_agent };
            for scope in Scope::ALL {
                assert!(caller(false).may(Needs::Scope(scope)));
                assert_eq!(caller(true).may(Needs::Scope(scope)), Scope::PEER_DEFAULT.contains(&scope), "{scope:?}");
            }
            assert!(caller(true).may(Needs::Nothing) && caller(false).may(Needs::Peer));
            assert!(![Needs::Peer, Needs::Admin, Needs::Task].into_iter().any(|needs| caller(true).may(needs)));
        }
    }

    #[test]
    fn rights_and_pin_belong_to_the_key_and_changing_them_ends_what_runs() {
        let (admin, peer, agent) = (Secret::generate(), Secret::generate(), Secret::generate());
        let mut first = Config::clone(&config(&admin, Some(&peer)));
        first.auth.agent_key = Some(agent.clone());
        let (tx, rx) = watch::channel(Arc::new(first.clone()));
        let trust = Trust::new(rx);
        let agent = trust.identify(agent.reveal().as_bytes()).expect("known");
        assert!(agent.may(Needs::Local) && agent.may(Needs::Scope(Scope::Execute)));
        assert!(!agent.may(Needs::Admin) && !agent.may(Needs::Scope(Scope::Approve)));
        let kai = trust.identify(peer.reveal().as_bytes()).expect("known");
        first.auth.scopes.insert("kai".to_owned(), vec![Scope::Terminal, Scope::Status]);
        tx.send_replace(Arc::new(first.clone()));
        let narrowed = trust.identify(peer.reveal().as_bytes()).expect("known");
        assert!(kai.revoked.is_cancelled() && !agent.revoked.is_cancelled());
        assert!(trust.successor(&kai).is_some(), "the key is the same, and so its connections stay");
        assert_eq!(narrowed.scopes, [Scope::Status, Scope::Terminal]);
        assert!(!narrowed.may(Needs::Scope(Scope::Execute)) && !narrowed.may(Needs::Local));
        first.tls.pinned_certs.insert("kai".to_owned(), Fingerprint::of(b"x"));
        tx.send_replace(Arc::new(first));
        assert!(trust.identify(peer.reveal().as_bytes()).expect("known").pin.is_some() && narrowed.revoked.is_cancelled());
        assert!(trust.successor(&narrowed).is_none(), "another certificate is another machine");
    }
}

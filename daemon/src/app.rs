//! Everything that a route may touch: one cheap bundle of service handles.

use std::{net::IpAddr, ops::Deref, sync::Arc, time::Instant};

use loopsy_shared::{
    api::{
        ApiError, Scope,
        health::{Identity, Problem},
    },
    client::TlsIdentity,
    config::Config,
    id::NodeId,
    time::Millis,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    agents::Finder,
    approvals::Approvals,
    audit::Audit,
    context::Context,
    discovery::Discovery,
    events::Events,
    files::Files,
    fleet::Fleet,
    identity,
    jobs::Jobs,
    limits::Limits,
    notify::Notifier,
    pairing::Pairing,
    peers::Peers,
    settings::Settings,
    store::Store,
    supervisor::Supervisor,
    tasks::Tasks,
    terminals::Terminals,
    transfers::Transfers,
    trust::{Caller, Principal, Trust},
};

/// The services of a node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App(Arc<Services>);

/// What [`App`] derefs to.
#[derive(Debug)]
pub struct Services {
    /// This node.
    pub node_id: NodeId,
    /// The port that it listens on.
    pub port: u16,
    /// When it started.
    pub started_at: Millis,
    /// The same, for durations.
    pub started: Instant,
    /// The live config.
    pub settings: Settings,
    /// Keys and principals.
    pub trust: Trust,
    /// Rate limits.
    pub limits: Limits,
    /// The request log.
    pub audit: Audit,
    /// What changes.
    pub events: Events,
    /// The store, for its problems.
    pub store: Store,
    /// Values under keys.
    pub context: Context,
    /// Commands.
    pub jobs: Jobs,
    /// Files on this machine.
    pub files: Files,
    /// Other nodes.
    pub peers: Peers,
    /// How strangers become peers.
    pub pairing: Pairing,
    /// Who is on the local network.
    pub discovery: Discovery,
    /// Whether this node was paired with another certificate than the one that it has now.
    pub strange_certificate: bool,
    /// This node's certificate.
    pub tls: Arc<TlsIdentity>,
    /// Programs on a screen.
    pub terminals: Terminals,
    /// Copies to and from them.
    pub transfers: Transfers,
    /// Coding agents on this machine.
    pub agents: Finder,
    /// Their runs.
    pub tasks: Tasks,
    /// Their questions.
    pub approvals: Approvals,
    /// The same of other nodes, as far as they show it.
    pub fleet: Fleet,
    /// Tells people who are away.
    pub notifier: Notifier,
    /// Restarts services and knows which had to be.
    pub supervisor: Supervisor,
    /// Fires when the node begins to stop.
    pub stopping: CancellationToken,
    /// Owns what outlives a request, such as upgraded connections.
    pub tracker: TaskTracker,
    /// Stands for everyone without a key.
    pub nobody: Arc<Principal>,
}

impl App {
    /// Bundles the services.
    pub fn new(services: Services) -> Self {
        Self(Arc::new(services))
    }

    /// The config as it is now.
    pub fn config(&self) -> Arc<Config> {
        self.settings.now()
    }

    /// What the node tells about itself.
    pub fn identity(&self) -> Identity {
        identity::describe(&self.node_id, &self.config(), self.port)
    }

    /// The same, with what a caller may do here.
    pub fn identity_for(&self, caller: &Caller) -> Identity {
        let scopes = if caller.principal.is_owner() { Scope::ALL.to_vec() } else { caller.principal.scopes.clone() };
        Identity { scopes, ..self.identity() }
    }

    /// Milliseconds since the start.
    pub fn uptime(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// What is not well, of all services.
    pub fn problems(&self) -> Vec<Problem> {
        let store = self.store.problem().map(|(message, since)| Problem { part: "store".to_owned(), message, since });
        let discovery = self.discovery.problem().map(|message| Problem { part: "discovery".to_owned(), message, since: self.started_at });
        let tls = self.strange_certificate.then(|| Problem {
            part: "tls".to_owned(),
            message:
                "The certificate in tls/ was gone, and a new one was made: every paired machine refuses it. Put the old files back and restart, or pair again."
                    .to_owned(),
            since: self.started_at,
        });
        let problems = self.settings.problem().into_iter().chain(discovery).chain(tls).chain(self.audit.problem()).chain(store);
        problems.chain(self.notifier.problem()).chain(self.supervisor.problems()).collect()
    }

    /// A caller without a key, for the endpoints that need none.
    pub fn stranger(&self, from: IpAddr) -> Caller {
        Caller { principal: Arc::clone(&self.nobody), from_node_id: None, job_id: None, from, for_agent: false }
    }

    /// Runs something to its end, also when who asked for it hangs up meanwhile: a change that is made of several steps is made whole.
    ///
    /// # Errors
    /// Its own, or that it panicked.
    pub async fn lasting<T: Send + 'static>(&self, work: impl Future<Output = Result<T, ApiError>> + Send + 'static) -> Result<T, ApiError> {
        self.tracker.spawn(work).await.map_err(|e| crate::http::internal(&e))?
    }

    /// Runs something that waits for the disk, away from the threads that serve requests.
    ///
    /// # Errors
    /// When it panicked.
    pub async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Self) -> T + Send + 'static) -> Result<T, ApiError> {
        let app = self.clone();
        tokio::task::spawn_blocking(move || work(&app)).await.map_err(|e| crate::http::internal(&e))
    }
}

impl Deref for App {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.0
    }
}

//! One daemon from start to stop.

use std::{fs::File, io, net::SocketAddr, path::Path, process, sync::Arc, time::Duration};

use loopsy_shared::{
    client::{Runtime, loopback_for},
    config::Config,
    paths::DataDir,
    time,
};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    agents::Finder,
    app::{App, Services},
    approvals::Approvals,
    audit::Audit,
    context::Context,
    discovery::{Discovery, Me, Reach, Sightings},
    events::Events,
    files::Files,
    fleet::Fleet,
    fsutil, http, identity,
    jobs::{Jobs, KeeperCommand},
    limits::Limits,
    listen, logging,
    notify::{Notifier, Snapshot},
    pairing::{self, Pairing},
    peers::{self, Credentials, Peers, Tombstones},
    settings::{Settings, SettingsError},
    setup,
    store::Store,
    supervisor::Supervisor,
    tasks::{self, Tasks},
    terminals::{self, Terminals},
    tls,
    transfers::Transfers,
    trust::{Principal, Trust},
};

/// How long running requests may take to finish when the node stops.
const DRAIN: Duration = Duration::from_secs(5);
/// How long a daemon tries for the lock of its data directory.
const LOCK_PATIENCE: Duration = Duration::from_millis(100);
/// Between two looks for expired context entries.
const REAP: Duration = Duration::from_secs(10);
/// Between two looks for uploads that nobody went on with.
const COLLECT: Duration = Duration::from_secs(3600);
/// A config or store that cannot be used (`EX_CONFIG`).
const UNUSABLE: u8 = 78;

/// How a daemon is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Also log to standard error, for a daemon in the foreground.
    pub foreground: bool,
    /// `--port`, before the config's.
    pub port: Option<u16>,
    /// `--host`, before the config's.
    pub host: Option<String>,
}

/// Why a daemon could not start, or ended. The text is a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct RunError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// The process's exit code: 78 for a config or store that cannot be used, else 1.
    pub exit_code: u8,
}

impl RunError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, exit_code: 1 }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    fn unusable(self) -> Self {
        Self { exit_code: UNUSABLE, ..self }
    }
}

impl From<SettingsError> for RunError {
    fn from(error: SettingsError) -> Self {
        let (hint, missing) = match &error {
            SettingsError::Invalid { error, .. } => (error.hint.clone(), false),
            SettingsError::Io { error, .. } => (None, error.kind() == io::ErrorKind::NotFound),
        };
        if missing {
            return Self::new("There is no Loopsy node in this data directory.").hint("Make one: loopsy init").unusable();
        }
        Self { message: error.to_string(), hint, exit_code: UNUSABLE }
    }
}

fn at<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> RunError {
    let path = path.display().to_string();
    move |error| RunError::new(format!("{path}: {error}."))
}

/// Runs a daemon until it is asked to stop (SIGTERM, SIGINT). Builds its own runtime; blocks.
///
/// # Errors
/// When it cannot start.
pub fn run(dir: &DataDir, options: &Options) -> Result<(), RunError> {
    let settings = Settings::load(dir)?;
    for path in [dir.path().to_owned(), dir.logs()] {
        fsutil::private_dir(&path).map_err(at(&path))?;
    }
    let lock = lock(dir)?;
    setup::repair(dir).map_err(at(dir.path()))?;
    logging::start(dir, &settings, options.foreground).map_err(at(&dir.log()))?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("loopsy").build().map_err(|e| RunError::new(format!("No runtime: {e}.")))?;
    let outcome = runtime.block_on(serve(dir, settings, options));
    // Blocking calls that hang (a dead network disk) must not keep the process.
    runtime.shutdown_timeout(Duration::from_millis(200));
    drop(lock);
    outcome
}

/// Holds the data directory for this process.
fn lock(dir: &DataDir) -> Result<File, RunError> {
    let path = dir.lock();
    let file = fsutil::append_private(&path).map_err(at(&path))?;
    // A command that only looks whether a daemon runs holds the lock for a moment.
    let patience = std::time::Instant::now() + LOCK_PATIENCE;
    let outcome = loop {
        match file.try_lock() {
            Err(std::fs::TryLockError::WouldBlock) if std::time::Instant::now() < patience => std::thread::sleep(Duration::from_millis(5)),
            outcome => break outcome,
        }
    };
    match outcome {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            let holder = std::fs::read_to_string(dir.pid()).map(|pid| format!(" (process {})", pid.trim())).unwrap_or_default();
            Err(RunError::new(format!("A daemon{holder} runs on {} already.", dir.path().display())).hint("Ask it how it is: loopsy status"))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(at(&path)(error)),
    }
}

async fn serve(dir: &DataDir, settings: Settings, options: &Options) -> Result<(), RunError> {
    let signals = Signals::listen()?;
    let config = settings.now();
    let host = options.host.clone().unwrap_or_else(|| config.server.host.clone());
    let port = options.port.unwrap_or(config.server.port);
    let listener = bind(&host, port).await?;
    let bound = listener.local_addr().map_err(|e| RunError::new(e.to_string()))?;

    let app = open(dir, settings, bound).await?;
    let tls = app
        .tls
        .server()
        .map_err(|e| RunError::new(format!("The certificate cannot be used: {e}.")).hint("Look at the files in tls/ of the data directory."))?;
    start_services(&app);
    app.peers.add_manual(&config.discovery.manual_peers).await;
    let serving = tokio::spawn(listen::serve(listener, app.clone(), http::router(app.clone()), TlsAcceptor::from(Arc::new(tls))));
    announce(dir, &app, &bound.ip().to_string()).map_err(at(&dir.runtime()))?;
    tracing::info!(node = %app.node_id, %host, port = app.port, version = loopsy_shared::VERSION, "ready");

    let mut again = signals.wait_for_stop(&app).await;
    tracing::info!("stopping");
    app.stopping.cancel();
    let drained = async {
        let processes = async {
            app.tasks.drained().await;
            app.jobs.shutdown().await;
        };
        let finish = async { tokio::join!(serving, processes).0 };
        if tokio::time::timeout(DRAIN, finish).await.is_err() {
            tracing::warn!("some requests did not finish in time and were cut");
        }
        app.tracker.close();
        if tokio::time::timeout(DRAIN, app.tracker.wait()).await.is_err() {
            tracing::warn!("some services did not stop in time");
        }
    };
    tokio::select! {
        () = drained => {}
        _ = again.recv() => tracing::warn!("told twice to stop; cutting short"),
    }
    app.store.shutdown().await;
    app.audit.close().await;
    for path in [dir.pid(), dir.runtime()] {
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot remove");
        }
    }
    tracing::info!("stopped");
    Ok(())
}

async fn bind(host: &str, port: u16) -> Result<TcpListener, RunError> {
    let address = loopsy_shared::client::authority(host, port);
    let resolved: SocketAddr =
        tokio::net::lookup_host(&address).await.ok().and_then(|mut found| found.next()).ok_or_else(|| {
            RunError::new(format!("`{host}` is not an address of this machine.")).hint("Set server.host in config.yaml to 0.0.0.0 or 127.0.0.1.")
        })?;
    TcpListener::bind(resolved).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => RunError::new(format!("Port {port} on {host} is in use by another program."))
            .hint("If that is another Loopsy node, `loopsy status` says so; otherwise set another server.port in config.yaml."),
        io::ErrorKind::PermissionDenied => {
            RunError::new(format!("Port {port} on {host} may not be used: {error}.")).hint("Ports below 1024 need special rights; set another server.port.")
        }
        _ => RunError::new(format!("Cannot listen on {address}: {error}.")).hint("Set server.host and server.port in config.yaml."),
    })
}

async fn open(dir: &DataDir, settings: Settings, bound: SocketAddr) -> Result<App, RunError> {
    let node_id = identity::node_id(dir).map_err(at(&dir.node_json()))?;
    let tls::Own { identity: tls, is_new } = tls::identity(dir, &settings.now().hostname()).map_err(at(&dir.tls()))?;
    let strange_certificate = is_new && !settings.now().tls.pinned_certs.is_empty();
    let credentials = Credentials::open(dir).map_err(at(&dir.credentials()))?;
    let audit = Audit::open(&dir.logs(), settings.subscribe()).map_err(at(&dir.audit()))?;
    let (store, loaded) = Store::open(dir).map_err(|error| {
        let refused = RunError::new(error.to_string());
        if error.is_unusable() { refused.unusable() } else { refused }
    })?;
    let events = Events::default();
    let stopping = CancellationToken::new();
    let tracker = TaskTracker::new();
    let keeper = KeeperCommand::this_binary().map_err(|e| RunError::new(format!("This program cannot find itself: {e}.")))?;
    let jobs =
        Jobs::start(settings.subscribe(), dir.spill(), keeper, events.clone()).await.map_err(|e| RunError::new(format!("Commands cannot be run: {e}.")))?;
    let home = loopsy_shared::paths::home().map_err(|e| RunError::new(e.to_string()))?;
    let files = Files::new(settings.subscribe(), dir.path().to_owned(), home.clone());
    let trust = Trust::new(settings.subscribe());
    let sightings = Sightings::default();
    let tombstones = Tombstones::read(&loaded.kv).map_err(at(&dir.store()))?;
    let peers = Peers::new(peers::Parts {
        own: node_id.clone(),
        known: loaded.peers,
        credentials,
        tombstones,
        trust: trust.clone(),
        tls: Arc::clone(&tls),
        sightings: sightings.clone(),
        config: settings.subscribe(),
        store: store.clone(),
        events: events.clone(),
    });
    let pairing = Pairing::new(pairing::Parts {
        node_id: node_id.clone(),
        port: bound.port(),
        bound: bound.ip(),
        tls: Arc::clone(&tls),
        settings: settings.clone(),
        trust: trust.clone(),
        peers: peers.clone(),
        sightings: sightings.clone(),
        events: events.clone(),
        tasks: tracker.clone(),
        stopping: stopping.clone(),
    });
    let transfers = Transfers::new(files.clone(), peers.clone(), events.clone(), tracker.clone(), stopping.clone());
    let terminals = Terminals::new(terminals::Parts {
        config: settings.subscribe(),
        jobs: jobs.clone(),
        events: events.clone(),
        dir: dir.terminals(),
        tasks: tracker.clone(),
        stopping: stopping.clone(),
    });
    let (approvals, denied) = Approvals::new(node_id.clone(), settings.subscribe(), store.clone(), events.clone(), home.clone(), &loaded.approvals);
    let agents = Finder::new(settings.subscribe(), jobs.clone(), tracker.clone(), dir.path().join("tasks"));
    let fleet = Fleet::new(peers.clone(), approvals.clone(), events.clone());
    let (ai_tasks, failed) = Tasks::new(
        tasks::Parts {
            config: settings.subscribe(),
            jobs: jobs.clone(),
            terminals: terminals.clone(),
            agents: agents.clone(),
            approvals: approvals.clone(),
            trust: trust.clone(),
            store: store.clone(),
            events: events.clone(),
            tracker: tracker.clone(),
            stopping: stopping.clone(),
            data: dir.path().to_owned(),
            home,
        },
        &loaded.tasks,
    );
    let notifier = Notifier::new(settings.subscribe(), events.clone(), jobs.clone());
    // What the last daemon left behind is settled before anybody sees it.
    store.write(denied.into_iter().chain(failed).collect()).await.map_err(|e| RunError::new(e.to_string()))?;
    Ok(App::new(Services {
        node_id: node_id.clone(),
        port: bound.port(),
        started_at: time::now(),
        started: std::time::Instant::now(),
        trust,
        limits: Limits::default(),
        audit,
        context: Context::new(store.clone(), loaded.entries, settings.subscribe(), events.clone()),
        events,
        store,
        jobs,
        files,
        peers,
        pairing,
        strange_certificate,
        agents,
        tasks: ai_tasks,
        approvals,
        fleet,
        notifier,
        discovery: Discovery::new(settings.subscribe(), Me { node_id: node_id.clone(), port: bound.port(), bound: bound.ip() }, Reach::Lan, sightings),
        terminals,
        tls,
        transfers,
        supervisor: Supervisor::new(stopping.clone(), tracker.clone()),
        stopping,
        tracker,
        settings,
        nobody: Arc::new(Principal::nobody()),
    }))
}

fn start_services(app: &App) {
    let supervisor = app.supervisor.clone();
    let discovery = app.discovery.clone();
    supervisor.keep("discovery", move |stop| {
        let discovery = discovery.clone();
        async move { discovery.run(stop).await }
    });
    let peers = app.peers.clone();
    supervisor.keep("candidates", move |stop| {
        let peers = peers.clone();
        async move { peers.watch_sightings(stop).await }
    });
    let peers = app.peers.clone();
    supervisor.keep("peers", move |stop| {
        let peers = peers.clone();
        async move { peers.watch_health(stop).await }
    });
    let context = app.context.clone();
    supervisor.keep("context", move |stop| {
        let context = context.clone();
        async move {
            while tokio::time::timeout(REAP, stop.cancelled()).await.is_err() {
                context.reap().await;
            }
        }
    });
    let files = app.files.clone();
    supervisor.keep("files", move |stop| {
        let files = files.clone();
        async move {
            loop {
                files.collect_garbage().await;
                if tokio::time::timeout(COLLECT, stop.cancelled()).await.is_ok() {
                    return;
                }
            }
        }
    });
    let approvals = app.approvals.clone();
    supervisor.keep("approvals", move |stop| {
        let approvals = approvals.clone();
        async move { approvals.watch(stop).await }
    });
    let tasks = app.tasks.clone();
    supervisor.keep("tasks", move |stop| {
        let tasks = tasks.clone();
        async move { tasks.watch(stop).await }
    });
    let fleet = app.fleet.clone();
    supervisor.keep("fleet", move |stop| {
        let fleet = fleet.clone();
        async move { fleet.run(stop).await }
    });
    let (notifier, fleet, tasks) = (app.notifier.clone(), app.fleet.clone(), app.tasks.clone());
    supervisor.keep("notifications", move |stop| {
        let (notifier, fleet, tasks) = (notifier.clone(), fleet.clone(), tasks.clone());
        async move { notifier.watch(|| Snapshot { approvals: fleet.approvals().0, tasks: tasks.list() }, stop).await }
    });
    let app = app.clone();
    let path = app.settings.path().to_owned();
    supervisor.keep("config", move |stop| {
        let (app, path) = (app.clone(), path.clone());
        async move { watch_config(&app, &path, stop).await }
    });
}

/// Takes over a changed config file, and lets revoked keys go at once.
async fn watch_config(app: &App, path: &Path, stop: CancellationToken) {
    let mut config = app.settings.subscribe();
    let mut before = config.borrow_and_update().clone();
    let (mut changes, _watcher) = match crate::config_watch::watch(path) {
        Ok((changes, watcher)) => (Some(changes), Some(watcher)),
        Err(error) => {
            tracing::warn!(%error, "changes of config.yaml are not noticed by themselves; use `loopsy reload`");
            (None, None)
        }
    };
    let mut change = async || match &mut changes {
        Some(changes) => changes.recv().await,
        None => std::future::pending().await,
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(()) = change() => reload(app).await,
            Ok(()) = config.changed() => {
                app.trust.refresh();
                let now: Arc<Config> = Arc::clone(&config.borrow_and_update());
                logging::set_level(now.logging.level);
                // Only what is new: a peer that was removed by hand does not come back with the next change of something else.
                let mut new = now.discovery.manual_peers.clone();
                new.retain(|peer| !before.discovery.manual_peers.contains(peer));
                app.peers.add_manual(&new).await;
                before = now;
            }
        }
    }
}

/// Reads the config file again; what comes of it is in the log and in `status`.
async fn reload(app: &App) {
    match app.blocking(|app| app.settings.reload()).await {
        Ok(Ok(waiting)) => tracing::info!(?waiting, "config read"),
        Ok(Err(error)) => tracing::warn!(%error, "config not taken over"),
        Err(error) => tracing::error!(%error, "config"),
    }
}

/// Tells others on this machine where the daemon is.
fn announce(dir: &DataDir, app: &App, host: &str) -> io::Result<()> {
    let pid = process::id();
    let runtime =
        Runtime { pid: i32::try_from(pid).unwrap_or(-1), host: loopback_for(host), port: app.port, node_id: app.node_id.clone(), started_at: app.started_at };
    fsutil::write_atomic(&dir.pid(), pid.to_string().as_bytes())?;
    fsutil::write_atomic(&dir.runtime(), &serde_json::to_vec(&runtime)?)
}

/// The signals that a daemon hears.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// From now on they are heard, instead of ending the process. So this comes before anybody can know that the daemon is there.
    fn listen() -> Result<Self, RunError> {
        let hear = |kind| signal(kind).map_err(|e| RunError::new(format!("Signals cannot be received: {e}.")));
        Ok(Self { terminate: hear(SignalKind::terminate())?, interrupt: hear(SignalKind::interrupt())?, hangup: hear(SignalKind::hangup())? })
    }

    /// Waits for SIGTERM or SIGINT; SIGHUP reads the config. Returns what tells of a second request to stop.
    async fn wait_for_stop(mut self, app: &App) -> tokio::sync::mpsc::Receiver<()> {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
                _ = self.hangup.recv() => reload(app).await,
            }
        }
        let (tell, again) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            // Nobody listens any more once the node has stopped, which is fine.
            let _stopped = tell.send(()).await;
        });
        again
    }
}

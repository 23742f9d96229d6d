//! The daemon's end of the keeper: starts it, asks it, hears from it, and replaces it when it dies.

use std::{
    collections::{HashMap, VecDeque},
    ffi::OsString,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::PathBuf,
    process::{Child, Stdio},
    sync::Arc,
    time::Duration,
};

use rustix::{net::SendFlags, process::Signal};
use tokio::{
    io::Interest,
    net::UnixStream,
    sync::{mpsc, oneshot},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    protocol::{self, Ask, Exit, FDS, Frames, Spawn, Tell},
    tree::{self, Tree},
};
use crate::jobs::sync::Mutex;

/// Requests that may wait until the keeper reads them; past this, whoever starts a job waits.
const ASKS: usize = 256;

/// How the keeper is run: normally this very binary with the argument `__keeper`, which must then call [`main`](super::main).
#[derive(Debug, Clone)]
pub struct KeeperCommand {
    /// The binary.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables for it, beside the daemon's own.
    pub env: Vec<(OsString, OsString)>,
}

impl KeeperCommand {
    /// The argument that makes the binary a keeper.
    pub const ARGUMENT: &str = "__keeper";

    /// This binary, also when its file was replaced meanwhile.
    ///
    /// # Errors
    /// When the system does not say where the binary is.
    pub fn this_binary() -> io::Result<Self> {
        let program = if cfg!(target_os = "linux") { PathBuf::from("/proc/self/exe") } else { std::env::current_exe()? };
        Ok(Self { program, args: vec![Self::ARGUMENT.into()], env: Vec::new() })
    }
}

/// Why a program was not started.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The system said no.
    Refused(String),
    /// The keeper is gone or cannot be started.
    NoKeeper(String),
}

/// A process that runs under the keeper.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) pid: i32,
    pub(crate) exit: oneshot::Receiver<Exit>,
    link: Arc<Link>,
    job: String,
}

impl Running {
    /// Ends the process and all that it started: asks now, forces after the grace period. Returns when the keeper has been told.
    pub(crate) async fn kill(&self, grace: Duration) {
        if !self.link.ask(&Ask::Kill { job: self.job.clone(), pid: self.pid, grace_ms: millis(grace) }, None).await {
            tracing::error!(pid = self.pid, "the keeper of jobs does not hear that a job is to end");
        }
    }
}

/// The keeper, whichever process it is now.
#[derive(Debug)]
pub(crate) struct Keeper {
    command: KeeperCommand,
    tracker: TaskTracker,
    link: Mutex<Option<Arc<Link>>>,
}

impl Keeper {
    /// Starts the first one.
    pub(crate) fn start(command: KeeperCommand, tracker: TaskTracker) -> io::Result<Self> {
        let keeper = Self { command, tracker, link: Mutex::new(None) };
        keeper.link()?;
        Ok(keeper)
    }

    /// Starts a program with these as its standard input, output and error, and marks it.
    pub(crate) async fn spawn(&self, mut spawn: Spawn, stdio: [OwnedFd; FDS]) -> Result<Running, Failure> {
        let gone = || Failure::NoKeeper("the keeper of jobs died meanwhile".to_owned());
        let link = self.link().map_err(|error| Failure::NoKeeper(format!("the keeper of jobs cannot be started: {error}")))?;
        let (started, start) = oneshot::channel();
        let (exited, exit) = oneshot::channel();
        let job = tree::mark_of(&link.run, &spawn.job);
        spawn.job.clone_from(&job);
        spawn.env.push((tree::MARK.to_owned(), job.clone()));
        link.waiting.lock().insert(job.clone(), Waiting { started: Some(started), exited, pid: None });
        if !link.ask(&Ask::Spawn(spawn), Some(stdio)).await {
            link.waiting.lock().remove(&job);
            return Err(gone());
        }
        match start.await {
            Ok(Ok(pid)) => Ok(Running { pid, exit, link, job }),
            Ok(Err(reason)) => Err(Failure::Refused(reason)),
            Err(_) => Err(gone()),
        }
    }

    /// Ends everything that was ever started and not seen to its end; waits until all is gone, or `patience` is over.
    pub(crate) async fn end(&self, grace: Duration, patience: Duration) {
        let link = self.link.lock().clone();
        if let Some(link) = link.filter(|link| !link.gone.is_cancelled()) {
            link.ask(&Ask::End { grace_ms: millis(grace) }, None).await;
            if tokio::time::timeout(patience, link.gone.cancelled()).await.is_err() {
                tracing::warn!(keeper = link.pid, "some processes of jobs could not be ended");
            }
        }
    }

    /// The keeper's process id.
    #[cfg(test)]
    pub(crate) fn pid(&self) -> Option<i32> {
        self.link.lock().as_ref().map(|link| link.pid)
    }

    fn link(&self) -> io::Result<Arc<Link>> {
        let mut slot = self.link.lock();
        match slot.as_ref().filter(|link| !link.gone.is_cancelled()) {
            Some(link) => Ok(Arc::clone(link)),
            None => Ok(Arc::clone(slot.insert(Link::open(&self.command, &self.tracker)?))),
        }
    }
}

/// One keeper process, from its start to its death. Dropping the last handle makes it end everything.
#[derive(Debug)]
struct Link {
    asks: mpsc::Sender<Outgoing>,
    waiting: Arc<Mutex<HashMap<String, Waiting>>>,
    gone: CancellationToken,
    pid: i32,
    /// Begins the marks of all its jobs.
    run: String,
}

#[derive(Debug)]
struct Outgoing {
    frame: Vec<u8>,
    stdio: Option<[OwnedFd; FDS]>,
}

/// Somebody who waits for a job's start, then for its end.
#[derive(Debug)]
struct Waiting {
    started: Option<oneshot::Sender<Result<i32, String>>>,
    exited: oneshot::Sender<Exit>,
    pid: Option<i32>,
}

impl Link {
    fn open(command: &KeeperCommand, tracker: &TaskTracker) -> io::Result<Arc<Self>> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let ours = Arc::new(UnixStream::from_std(ours)?);
        let envs = command.env.iter().map(|(name, value)| (name, value));
        let mut keeper = std::process::Command::new(&command.program);
        let child = keeper.arg0("loopsy").args(&command.args).envs(envs).stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).spawn()?;
        let (asks, asked) = mpsc::channel(ASKS);
        let waiting = Arc::new(Mutex::new(HashMap::new()));
        let gone = CancellationToken::new();
        let pid = child.id().cast_signed();
        tracker.spawn(talk(Arc::clone(&ours), asked, gone.clone()));
        let run = uuid::Uuid::new_v4().simple().to_string();
        tracker.spawn(hear(ours, child, run.clone(), Arc::clone(&waiting), gone.clone()));
        Ok(Arc::new(Self { asks, waiting, gone, pid, run }))
    }

    /// Says whether the request is on its way.
    async fn ask(&self, ask: &Ask, stdio: Option<[OwnedFd; FDS]>) -> bool {
        let Ok(frame) = protocol::encode(ask) else { return false };
        !self.gone.is_cancelled() && self.asks.send(Outgoing { frame, stdio }).await.is_ok()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Sends what is asked until nobody can ask any more, or the keeper is gone.
async fn talk(socket: Arc<UnixStream>, mut asked: mpsc::Receiver<Outgoing>, gone: CancellationToken) {
    let sending = async {
        while let Some(Outgoing { frame, stdio }) = asked.recv().await {
            let mut fds: Vec<_> = stdio.iter().flatten().map(AsFd::as_fd).collect();
            let mut rest = frame.as_slice();
            while !rest.is_empty() {
                let sent = socket.async_io(Interest::WRITABLE, || Ok(protocol::send(socket.as_fd(), rest, &fds, SendFlags::DONTWAIT)?)).await?;
                rest = &rest[sent..];
                fds.clear();
            }
        }
        rustix::net::shutdown(&socket, rustix::net::Shutdown::Write)?;
        io::Result::Ok(())
    };
    tokio::select! {
        () = gone.cancelled() => {}
        sent = sending => if let Err(error) = sent {
            tracing::error!(%error, "the keeper of jobs cannot be told anything any more");
        }
    }
}

/// Hears what the keeper tells until it is gone; then ends what it left behind and fails its jobs.
async fn hear(socket: Arc<UnixStream>, mut child: Child, run: String, waiting: Arc<Mutex<HashMap<String, Waiting>>>, gone: CancellationToken) {
    let (mut frames, mut none) = (Frames::default(), VecDeque::new());
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let received = socket.async_io(Interest::READABLE, || Ok(protocol::receive(socket.as_fd(), &mut buffer, &mut none)?)).await;
        let Ok(count @ 1..) = received else { break };
        frames.push(&buffer[..count]);
        while let Ok(Some(tell)) = frames.next() {
            heard(tell, &waiting);
        }
    }
    gone.cancel();
    let left: HashMap<String, Waiting> = std::mem::take(&mut *waiting.lock());
    let (leaders, in_order): (Vec<i32>, bool) = (left.values().filter_map(|waiting| waiting.pid).collect(), left.is_empty());
    if !left.is_empty() {
        tracing::error!(jobs = left.len(), "the keeper of jobs died; its jobs are ended");
    }
    let _cleaned = tokio::task::spawn_blocking(move || {
        if !(in_order && child.wait().is_ok_and(|status| status.success())) {
            kill_all(&run, &leaders);
        }
        child.wait()
    })
    .await;
    for waiting in left.into_values() {
        let _nobody = waiting.exited.send(Exit::Lost);
    }
}

fn heard(tell: Tell, waiting: &Mutex<HashMap<String, Waiting>>) {
    let mut waiting = waiting.lock();
    match tell {
        Tell::Started { job, pid } => {
            if let Some(entry) = waiting.get_mut(&job) {
                entry.pid = Some(pid);
                let _nobody = entry.started.take().map(|started| started.send(Ok(pid)));
            }
        }
        Tell::Failed { job, reason } => {
            let _nobody = waiting.remove(&job).and_then(|entry| entry.started).map(|started| started.send(Err(reason)));
        }
        Tell::Exited { job, exit } => {
            let _nobody = waiting.remove(&job).map(|entry| entry.exited.send(exit));
        }
    }
}

/// Ends what a dead keeper left behind: its running jobs, those that were just being started, and what ended ones left in the background.
fn kill_all(run: &str, leaders: &[i32]) {
    const ROUNDS: usize = 100; // what forks faster than this is beyond help
    const QUIET: usize = 3; // between fork and exec, a process does not carry its mark yet
    for leader in leaders {
        tree::signal_group(*leader, Signal::KILL);
    }
    let mut quiet = 0;
    for _ in 0..ROUNDS {
        let left = Tree::scan().marked(run, leaders);
        quiet = if left.is_empty() { quiet + 1 } else { 0 };
        if quiet == QUIET {
            return;
        }
        tree::signal(&left, Signal::KILL);
        std::thread::sleep(Duration::from_millis(5));
    }
}

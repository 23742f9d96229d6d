//! The keeper: a small process of its own, the parent of all jobs. While it lives, none of their processes gets away; when the daemon dies, it ends them all.
//!
//! It is single-threaded, knows no async runtime and decides nothing. The daemon's end of the socket is in `link`.

pub(super) mod link;
pub(crate) mod protocol;
pub(crate) mod tree;
pub mod tty;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    io,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{self, ExitCode, Stdio},
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use protocol::{Ask, Exit, FDS, Frames, Spawn, Tell};
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    net::SendFlags,
    process::{Resource, Rlimit, Signal, WaitOptions},
};
use tree::Tree;

/// How long jobs have to end by themselves when the daemon is gone.
const ORPHAN_GRACE: Duration = Duration::from_secs(2);

/// How long the keeper goes on killing what does not die (other users' processes, or stuck in the kernel).
const PERSISTENCE: Duration = Duration::from_secs(20);

/// Pause between two rounds of killing, and how long until it becomes ten times as long.
const ROUND: Duration = Duration::from_millis(10);
const HASTE: Duration = Duration::from_secs(1);

/// Looks in one round: what forks and exits all the time is only caught by looking often.
const LOOKS: usize = 10;

/// Rounds without a trace after which a job counts as ended.
const QUIET: usize = 3;

/// Runs the keeper with the daemon's socket as standard input. Returns when the daemon is gone and nothing that it started is left.
pub fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loopsy keeper: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    let _leads_already = rustix::process::setsid();
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let limit = rustix::process::getrlimit(Resource::Core);
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), ..limit })?;
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        // a handler, unlike an ignored signal, is not inherited by jobs
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    let (wake, woken) = UnixStream::pair()?;
    wake.set_nonblocking(true)?;
    woken.set_nonblocking(true)?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGCHLD, wake)?;
    let mut keeper = Keeper::new(rustix::stdio::stdin());
    while !keeper.done() {
        keeper.wait(&woken)?;
        keeper.reap();
        keeper.listen();
        keeper.kill();
    }
    Ok(())
}

/// The pause before the next round, given when force began.
fn pause(force_at: Instant, now: Instant) -> Duration {
    if now < force_at + HASTE { ROUND } else { ROUND * 10 }
}

/// A job that is to end.
struct Killing {
    job: String,
    leader: i32,
    /// When it is forced to.
    force_at: Instant,
    /// When it is looked for again.
    next: Instant,
    /// Rounds in which nothing of it was seen.
    quiet: usize,
    /// Whether it was asked to end by itself.
    asked: bool,
}

struct Keeper {
    socket: BorrowedFd<'static>,
    frames: Frames,
    fds: VecDeque<OwnedFd>,
    buffer: Vec<u8>,
    /// First processes of running jobs.
    leaders: HashMap<i32, String>,
    /// Those of them that lead a session on a terminal.
    ttys: HashSet<i32>,
    kills: Vec<Killing>,
    /// Set when everything must end: the moment from which on it is forced to.
    ending: Option<Instant>,
    childless: bool,
    /// Whether an orphan has ended since the last round of killing.
    stirred: bool,
    own: i32,
}

impl Keeper {
    fn new(socket: BorrowedFd<'static>) -> Self {
        Self {
            socket,
            frames: Frames::default(),
            fds: VecDeque::new(),
            buffer: vec![0; 64 * 1024],
            leaders: HashMap::new(),
            ttys: HashSet::new(),
            kills: Vec::new(),
            ending: None,
            childless: true,
            stirred: false,
            own: rustix::process::getpid().as_raw_nonzero().get(),
        }
    }

    fn done(&self) -> bool {
        self.ending.is_some_and(|force_at| self.childless || Instant::now() > force_at + PERSISTENCE)
    }

    /// Sleeps until there is something to do.
    fn wait(&self, woken: &UnixStream) -> io::Result<()> {
        let now = Instant::now();
        let ending = self.ending.map(|force_at| force_at.max(now + pause(force_at, now)));
        let next = self.kills.iter().map(|kill| kill.next).chain(ending).map(|at| at.saturating_duration_since(now)).min();
        let timeout = next.and_then(|next| Timespec::try_from(next).ok());
        let mut fds = vec![PollFd::new(woken, PollFlags::IN)];
        if self.ending.is_none() {
            fds.push(PollFd::new(&self.socket, PollFlags::IN));
        }
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut wakes = [0; 256];
        while rustix::io::read(woken, &mut wakes).is_ok_and(|count| count == wakes.len()) {}
        Ok(())
    }

    /// Takes the exit codes of all that has ended, orphans included.
    fn reap(&mut self) {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let leader = self.leaders.remove(&pid.as_raw_nonzero().get());
                    self.ttys.remove(&pid.as_raw_nonzero().get());
                    self.stirred |= leader.is_none();
                    if let Some(job) = leader {
                        let signal = status.terminating_signal().map(Exit::Signal);
                        self.tell(&Tell::Exited { job, exit: status.exit_status().map(Exit::Code).or(signal).unwrap_or(Exit::Lost) });
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                other => {
                    self.childless = other.is_err();
                    return;
                }
            }
        }
    }

    /// Hears what the daemon asks.
    fn listen(&mut self) {
        while self.ending.is_none() {
            match protocol::receive(self.socket, &mut self.buffer, &mut self.fds) {
                Ok(0) => return self.end(ORPHAN_GRACE),
                Ok(count) => self.frames.push(&self.buffer[..count]),
                Err(rustix::io::Errno::AGAIN) => return,
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return self.end(ORPHAN_GRACE),
            }
            loop {
                match self.frames.next() {
                    Ok(Some(ask)) => self.answer(ask),
                    Ok(None) => break,
                    Err(_) => return self.end(ORPHAN_GRACE),
                }
            }
        }
    }

    fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Spawn(spawn) => {
                let job = spawn.job.clone();
                let tell = match self.spawn(spawn) {
                    Ok(pid) => Tell::Started { job, pid },
                    Err(error) => Tell::Failed { job, reason: error.to_string() },
                };
                self.tell(&tell);
            }
            Ask::Kill { job, pid, grace_ms } => {
                let now = Instant::now();
                self.kills.push(Killing { job, leader: pid, force_at: now + Duration::from_millis(grace_ms), next: now, quiet: 0, asked: false });
            }
            Ask::End { grace_ms } => self.end(Duration::from_millis(grace_ms)),
        }
    }

    fn spawn(&mut self, spawn: Spawn) -> io::Result<i32> {
        if self.fds.len() < FDS {
            self.fds.clear(); // or every later job would get another one's
            return Err(io::Error::other("its input and output did not arrive, perhaps too many files are open"));
        }
        let mut stdio = self.fds.drain(..FDS).map(Stdio::from);
        let mut command = if spawn.tty {
            // Who leads a group cannot begin a session, so this one is left in the keeper's until it has.
            let mut command = tty::command(&spawn.program, &spawn.name)?;
            command.args(&spawn.args);
            command
        } else {
            let mut command = process::Command::new(&spawn.program);
            command.arg0(&spawn.name).args(&spawn.args).process_group(0);
            command
        };
        command.env_clear().envs(spawn.env).current_dir(&spawn.cwd);
        if let (Some(stdin), Some(stdout), Some(stderr)) = (stdio.next(), stdio.next(), stdio.next()) {
            command.stdin(stdin).stdout(stdout).stderr(stderr);
        }
        if self.ending.is_some() {
            return Err(io::Error::other("everything is being ended"));
        }
        let pid = command.spawn()?.id().cast_signed(); // dropping the handle neither waits nor kills
        self.childless = false;
        self.leaders.insert(pid, spawn.job);
        if spawn.tty {
            self.ttys.insert(pid);
        }
        Ok(pid)
    }

    fn tell(&mut self, tell: &Tell) {
        let Ok(frame) = protocol::encode(tell) else { return };
        let mut rest = frame.as_slice();
        while !rest.is_empty() {
            match protocol::send(self.socket, rest, &[], SendFlags::empty()) {
                Ok(count) => rest = &rest[count..],
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return self.end(ORPHAN_GRACE),
            }
        }
    }

    /// Asks everything to end. A later, longer grace period changes nothing.
    fn end(&mut self, grace: Duration) {
        if self.ending.is_none() {
            self.ending = Some(Instant::now() + grace);
            self.signal_all(Signal::TERM);
        }
    }

    /// Forces what has had its time.
    fn kill(&mut self) {
        let now = Instant::now();
        if self.ending.is_some_and(|force_at| now >= force_at) {
            let _any = (0..LOOKS).all(|_| self.signal_all(Signal::KILL));
            return;
        }
        if !self.kills.iter().any(|kill| now >= kill.next) {
            return;
        }
        let stirred = std::mem::take(&mut self.stirred); // one look that finds nothing proves nothing while orphans come and go
        let mut kills = std::mem::take(&mut self.kills);
        let mut tree = Tree::scan(); // one first look for all: a revoked key ends hundreds at once
        for kill in kills.iter_mut().filter(|kill| now >= kill.next) {
            if !std::mem::replace(&mut kill.asked, true) {
                self.signal(&mut tree, &kill.job, kill.leader, Signal::TERM);
                kill.next = kill.force_at;
                continue;
            }
            let looks = if now < kill.force_at + HASTE { LOOKS } else { 1 };
            let seen = self.signal(&mut tree, &kill.job, kill.leader, Signal::KILL) || stirred;
            let _last = seen && (1..looks).all(|_| self.signal(&mut Tree::scan(), &kill.job, kill.leader, Signal::KILL) || stirred);
            kill.quiet = if seen { 0 } else { kill.quiet + 1 };
            kill.next = now + pause(kill.force_at, now);
        }
        kills.retain(|kill| kill.quiet < QUIET && now < kill.force_at + PERSISTENCE);
        self.kills = kills;
    }

    /// Signals all that belongs to a job. Says whether there was anything.
    fn signal(&self, tree: &mut Tree, job: &str, leader: i32, signal: Signal) -> bool {
        let running = self.leaders.get(&leader).is_some_and(|owner| owner == job);
        let members = tree.members(self.own, job, leader, &self.leaders);
        if running {
            tree::signal_group(leader, signal); // safe: the number is not free before the leader is reaped
            if signal == Signal::TERM && self.ttys.contains(&leader) {
                tree::signal_group(leader, Signal::HUP); // an interactive shell does not end by TERM
            }
        }
        tree::signal(&members, signal);
        if signal == Signal::TERM {
            tree::signal(&members, Signal::CONT); // what is stopped could not act on it
        }
        running || !members.is_empty()
    }

    /// Signals everything. Says whether there was anything.
    fn signal_all(&self, signal: Signal) -> bool {
        for leader in self.leaders.keys() {
            tree::signal_group(*leader, signal);
            if signal == Signal::TERM && self.ttys.contains(leader) {
                tree::signal_group(*leader, Signal::HUP);
            }
        }
        let all = Tree::scan().below(self.own);
        tree::signal(&all, signal);
        if signal == Signal::TERM {
            tree::signal(&all, Signal::CONT);
        }
        !all.is_empty() || !self.leaders.is_empty()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Keeper, Spawn, link::KeeperCommand};

    const GUARD: &str = "LOOPSY_TEST_KEEPER";

    /// The test binary as a keeper.
    pub(crate) fn command() -> KeeperCommand {
        KeeperCommand {
            program: KeeperCommand::this_binary().expect("there is a test binary").program,
            args: ["jobs::keeper::tests::serve_as_keeper", "--exact", "--nocapture", "--ignored", "--test-threads=1"].map(Into::into).to_vec(),
            env: vec![(GUARD.into(), "1".into())],
        }
    }

    #[test]
    fn descriptors_that_came_alone_are_not_the_next_jobs() {
        let mut keeper = Keeper::new(rustix::stdio::stdin());
        keeper.fds.push_back(std::fs::File::open("/dev/null").expect("opened").into());
        let spawn = Spawn { job: "a".into(), program: "/bin/true".into(), name: "true".into(), args: Vec::new(), cwd: "/".into(), env: Vec::new(), tty: false };
        assert!(keeper.spawn(spawn).is_err() && keeper.fds.is_empty());
    }

    #[test]
    #[ignore = "not a test: other tests run it as their keeper"]
    fn serve_as_keeper() {
        if std::env::var_os(GUARD).is_some() {
            super::main();
        }
    }
}

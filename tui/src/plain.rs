//! Plain mode: the control centre as lines of text, for screen readers, simple terminals and pipes. Lines are only ever added.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use loopsy_shared::{
    api::ai_tasks::{TaskEvent, WatchTask},
    client::{Client, ClientError, Local, Watched},
    id::NodeId,
    paths::DataDir,
    text::inert,
    time,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use crate::{
    event::{Event, NoDaemon, Now},
    request,
    runtime::{Control, Options, link::Link},
    world::{TaskKey, World},
};

mod command;
mod session;

use session::{Do, Session, Why};

/// Lines that were typed and not looked at yet; who types more waits.
const TYPED: usize = 64;
/// Events that were not told yet; the stream waits meanwhile.
const HEARD: usize = 64;
/// Places where the daemon was found that were not looked at yet; who finds it waits.
const FOUND: usize = 4;
/// A word that confirms cannot be typed sooner than this after what it confirms was shown.
const SOON: Duration = Duration::from_millis(400);

/// Runs until the person leaves, or the input ends.
///
/// # Errors
/// When there is no daemon to talk to, or nobody reads what is printed.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    let local = Local::load(options.dir.clone()).map_err(io::Error::other)?;
    if !local.is_running() {
        return Err(io::Error::other("The daemon of this machine does not run. Start it with `loopsy start`."));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let end = runtime.block_on(talk(options.dir.clone(), local.address()));
    // The thread that reads the input may wait for a line for ever.
    runtime.shutdown_background();
    match end {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        end => end,
    }
}

/// Prints a line, with nothing in it that drives a terminal.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", inert(text))?;
    out.flush()
}

/// A log that is followed.
type LogStream = futures_util::stream::BoxStream<'static, Result<Watched<TaskEvent>, ClientError>>;

/// The task whose log is followed, and how far it was told.
struct Tail {
    task: TaskKey,
    after: u64,
    log: LogStream,
}

impl Tail {
    fn begin(client: &Client, task: TaskKey, after: u64) -> Result<Self, ClientError> {
        let begin = (after > 0).then(|| after.to_string());
        let request = WatchTask { task_id: task.id.clone(), since: None, after: None };
        let log = at(client, task.node.as_ref()).watch(&request, begin.as_deref())?.boxed();
        Ok(Self { task, after, log })
    }
}

/// The way to a peer, or to the local daemon itself.
fn at(client: &Client, node: Option<&NodeId>) -> Client {
    node.map_or_else(|| client.clone(), |node| client.at(node.as_str()))
}

async fn talk(dir: DataDir, address: String) -> io::Result<()> {
    let person = io::stdin().is_terminal();
    let (sender, mut lines) = mpsc::channel(TYPED);
    std::thread::Builder::new().name("lines".to_owned()).spawn(move || read(&sender))?;
    // The daemon is found again when it comes back elsewhere; this ends with what it was started for.
    let (events, mut heard) = mpsc::channel(HEARD);
    let (control, mut found) = mpsc::channel(FOUND);
    let (way, mut clients) = watch::channel(None);
    let mut link = JoinSet::new();
    link.spawn(Link { dir, events, control, client: way, poke: Arc::default() }.run());
    let mut tail: Option<Tail> = None;
    let mut asked: JoinSet<(Why, Result<request::Answer, ClientError>)> = JoinSet::new();
    let mut session = Session::new(World::new(address));
    let start = Instant::now();
    let now = || Now { wall: time::now(), since: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX) };
    // What is typed before this does not count, where somebody types.
    let mut counts = start;
    let mut known = false;
    print("Loopsy, plain mode. Type a command, ? for help.")?;
    loop {
        // A script's lines are taken one after the other: each finds what the one before it led to.
        let ready = known && (person || asked.is_empty());
        let out = tokio::select! {
            biased;
            Some(done) = asked.join_next() => match done {
                Ok((why, result)) => session.answer(why, result.map_err(|error| sentence(&error)), now()),
                Err(_) => Vec::new(),
            },
            Some(control) = found.recv() => {
                if let Control::Address(address) = control {
                    session.world.address = address;
                }
                Vec::new()
            }
            Ok(()) = clients.changed() => {
                let client = clients.borrow_and_update().clone();
                // It may be another one now, which knows nothing of what was followed.
                match (client, tail.take()) {
                    (Some(client), Some(Tail { task, after, .. })) => {
                        tail = Some(Tail::begin(&client, task, after).map_err(io::Error::other)?);
                    }
                    (_, before) => tail = before,
                }
                Vec::new()
            }
            event = heard.recv() => match event {
                Some(Event::Fleet(watched)) => {
                    known = known || matches!(*watched, Watched::Event { .. });
                    session.heard(*watched, now())
                }
                // Nothing is known, and nothing will be.
                Some(Event::NoDaemon(NoDaemon::Unusable(why))) if !known => return Err(io::Error::other(why)),
                Some(Event::NoDaemon(why)) => session.missing(why, now()),
                Some(_) => Vec::new(),
                None => return Err(io::Error::other("The daemon ended the connection.")),
            },
            event = next(&mut tail) => match event {
                Some(Ok(Watched::Event { event, .. })) => {
                    if let Some(tail) = &mut tail {
                        tail.after = tail.after.max(event.seq);
                    }
                    session::logged(&event).into_iter().map(|line| Do::Say(format!("| {line}"))).collect()
                }
                // One event that this version does not know is no reason to miss the others.
                Some(Ok(_) | Err(ClientError::Protocol { .. })) => Vec::new(),
                Some(Err(error)) => {
                    tail = None;
                    vec![Do::Say(sentence(&error))]
                }
                None => {
                    tail = None;
                    Vec::new()
                }
            },
            line = lines.recv(), if ready => match line {
                Some((typed, line)) if !person || typed >= counts => session.line(&line, now()),
                Some(_) => vec![Do::Say("That was typed too soon to be meant: it was thrown away.".to_owned())],
                None => return Ok(()),
            },
        };
        for step in out {
            let client = clients.borrow().clone();
            match (step, client) {
                (Do::Say(text), _) => print(&text)?,
                (Do::Ask(node, request, why), Some(client)) => {
                    let client = at(&client, node.as_ref());
                    asked.spawn(async move { (why, request::ask(&client, request).await) });
                }
                (Do::Tail(Some(task)), Some(client)) => tail = Some(Tail::begin(&client, task, 0).map_err(io::Error::other)?),
                (Do::Ask(..) | Do::Tail(Some(_)), None) => print("The daemon of this machine does not answer yet.")?,
                (Do::Forget, _) if person => {
                    counts = Instant::now() + SOON;
                    forget();
                }
                (Do::Forget, _) => {}
                (Do::Tail(None), _) => tail = None,
                (Do::Quit, _) => return Ok(()),
            }
        }
    }
}

/// What the followed log says next; nothing ever when none is followed.
async fn next(tail: &mut Option<Tail>) -> Option<Result<Watched<TaskEvent>, ClientError>> {
    match tail {
        Some(tail) => tail.log.next().await,
        None => std::future::pending().await,
    }
}

fn sentence(error: &ClientError) -> String {
    match error.api().and_then(|error| error.hint.as_deref()) {
        Some(hint) => format!("{error} {hint}"),
        None => error.to_string(),
    }
}

/// Throws away what was typed and not read yet.
fn forget() {
    #[cfg(unix)]
    let _nothing_to_forget = rustix::termios::tcflush(io::stdin(), rustix::termios::QueueSelector::IFlush);
}

fn read(sender: &mpsc::Sender<(Instant, String)>) {
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        match io::stdin().lock().read_until(b'\n', &mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let line = String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']).to_owned();
                if sender.blocking_send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! Plain mode: the control centre as lines of text, for screen readers, simple terminals and pipes. Lines are only ever added.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use loopsy_shared::{
    api::{ai_tasks::WatchTask, events::WatchEvents},
    client::{Client, ClientError, Local, Watched},
    text::inert,
    time,
};
use tokio::{sync::mpsc, task::JoinSet};

use crate::{event::Now, request, runtime::Options, world::World};

mod command;
mod session;

use session::{Do, Session, Why};

/// Lines that were typed and not looked at yet; who types more waits.
const TYPED: usize = 64;
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
    let client = local.client().map_err(io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let end = runtime.block_on(talk(&client, local.address()));
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

async fn talk(client: &Client, address: String) -> io::Result<()> {
    let person = io::stdin().is_terminal();
    let (sender, mut lines) = mpsc::channel(TYPED);
    std::thread::Builder::new().name("lines".to_owned()).spawn(move || read(&sender))?;
    let mut stream = std::pin::pin!(client.watch(&WatchEvents { fleet: true, ..WatchEvents::default() }, None).map_err(io::Error::other)?);
    let mut log: Option<futures_util::stream::BoxStream<'static, Result<Watched<loopsy_shared::api::ai_tasks::TaskEvent>, ClientError>>> = None;
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
            event = stream.next() => match event {
                Some(Ok(event)) => {
                    known = known || matches!(event, Watched::Event { .. });
                    session.heard(event, now())
                }
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Err(io::Error::other("The daemon ended the connection.")),
            },
            Some(event) = async { match &mut log { Some(log) => log.next().await, None => std::future::pending().await } } => match event {
                Ok(Watched::Event { event, .. }) => session::logged(&event).into_iter().map(|line| Do::Say(format!("| {line}"))).collect(),
                Ok(_) => Vec::new(),
                Err(error) => {
                    log = None;
                    vec![Do::Say(sentence(&error))]
                }
            },
            line = lines.recv(), if ready => match line {
                Some((typed, line)) if !person || typed >= counts => session.line(&line, now()),
                Some(_) => vec![Do::Say("That was typed too soon to be meant: it was thrown away.".to_owned())],
                None => return Ok(()),
            },
        };
        for step in out {
            match step {
                Do::Say(text) => print(&text)?,
                Do::Ask(at, request, why) => {
                    let client = at.map_or_else(|| client.clone(), |at| client.at(at.as_str()));
                    asked.spawn(async move { (why, request::ask(&client, request).await) });
                }
                Do::Forget if person => {
                    counts = Instant::now() + SOON;
                    forget();
                }
                Do::Forget => {}
                Do::Tail(None) => log = None,
                Do::Tail(Some(task)) => {
                    let client = task.node.map_or_else(|| client.clone(), |at| client.at(at.as_str()));
                    log = Some(client.watch(&WatchTask { task_id: task.id, since: None, after: None }, None).map_err(io::Error::other)?.boxed());
                }
                Do::Quit => return Ok(()),
            }
        }
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

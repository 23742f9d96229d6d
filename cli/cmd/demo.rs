//! `loopsy demo`: two throw-away nodes meet on this machine and do what two machines would do. Nothing of it stays.

mod node;
mod pairing;

use std::{
    fs,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use loopsy_shared::{
    api::{
        context::{ContextKey, GetContext, SetContext},
        execute::{Command, Execute},
        transfer::StatPath,
        transfers::{Direction, GetTransfer, StartTransfer, TransferInfo, TransferState},
    },
    client::Client,
    secret::hex,
    text::{bytes, inert},
};
use rand::Rng;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::signal::unix::{SignalKind, signal};

use self::node::Node;
use super::DONE;
use crate::{
    args::Demo,
    context::Ctx,
    error::{Error, INTERRUPTED},
    output::{FAINT, GOOD, STRONG, count, paint, span},
};

/// Files of the folder that is sent.
const FOLDER_FILES: u64 = 24;
const POLL: Duration = Duration::from_millis(10);

pub(super) async fn run(ctx: &Ctx, args: &Demo) -> Result<u8, Error> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let temp = tempfile::Builder::new().prefix("loopsy-demo-").tempdir().map_err(|e| Error::failure(format!("There is no room for the demo: {e}.")))?;
    let place = temp.path().canonicalize().map_err(|e| Error::file(temp.path(), &e))?;
    ctx.out.say(format_args!("{}", paint(STRONG, "Two nodes on this machine, as if they were two machines:\n")))?;
    let mut nodes = Vec::new();
    let result = tokio::select! {
        result = show(ctx, args, &place, &mut nodes) => result,
        _ = interrupt.recv() => Err(Error::Silent(INTERRUPTED)),
        _ = terminate.recv() => Err(Error::Silent(INTERRUPTED)),
    };
    let asked = Instant::now();
    for node in &mut nodes {
        node.ask_to_stop();
    }
    for node in &mut nodes {
        node.wait_until_stopped().await;
    }
    let kept = args.keep.then(|| temp.keep());
    let steps = match result {
        Ok(steps) => steps,
        Err(error) => {
            match (&error, &kept) {
                (Error::Silent(_), None) => ctx.out.remark("Interrupted; both nodes are stopped and nothing is left behind."),
                (Error::Silent(_), Some(path)) => {
                    ctx.out.remark(format_args!("Interrupted; both nodes are stopped. Their files are below {}.", path.display()))
                }
                (_, Some(path)) => ctx.out.remark(paint(FAINT, format!("The nodes' logs are below {}.", path.display()))),
                (_, None) => ctx.out.remark(paint(FAINT, "`loopsy demo --keep` leaves the nodes' logs behind.")),
            }
            return Err(error);
        }
    };
    if ctx.out.json {
        ctx.out.value(&steps)?;
        return DONE;
    }
    match kept {
        Some(path) => Steps::tell(ctx, "stopped both nodes", &format!("left {}", path.display()), asked.elapsed())?,
        None => Steps::tell(ctx, "stopped both nodes", "nothing is left behind", asked.elapsed())?,
    }
    ctx.out.say(format_args!(
        "\nYour turn, on each machine: {}, {}, then {}.",
        paint(STRONG, "loopsy init"),
        paint(STRONG, "loopsy start"),
        paint(STRONG, "loopsy pair")
    ))?;
    DONE
}

#[derive(Debug, Serialize)]
struct Step {
    step: &'static str,
    detail: String,
    ms: f64,
}

/// What was done, each step printed as it ends.
struct Steps<'a> {
    ctx: &'a Ctx,
    done: Vec<Step>,
    since: Instant,
}

impl Steps<'_> {
    fn done(&mut self, step: &'static str, detail: impl Into<String>) -> Result<(), Error> {
        let took = self.since.elapsed();
        self.done.push(Step { step, detail: detail.into(), ms: took.as_secs_f64() * 1000.0 });
        if let Some(last) = self.done.last() {
            Self::tell(self.ctx, step, &last.detail, took)?;
        }
        self.since = Instant::now();
        Ok(())
    }

    fn tell(ctx: &Ctx, step: &str, detail: &str, took: Duration) -> Result<(), Error> {
        ctx.out.say(format_args!("  {} {step:<20}{}  {detail}", paint(GOOD, "✓"), paint(FAINT, format!("{:>8}", span(took)))))
    }

    /// The next step begins now; what came before it does not count.
    fn begin(&mut self) {
        self.since = Instant::now();
    }
}

async fn show(ctx: &Ctx, args: &Demo, place: &Path, nodes: &mut Vec<Node>) -> Result<Vec<Step>, Error> {
    let mut steps = Steps { ctx, done: Vec::new(), since: Instant::now() };
    for name in ["demo-a", "demo-b"] {
        nodes.push(Node::start(place, name)?);
    }
    for node in nodes.iter_mut() {
        node.wait_until_up().await?;
    }
    let [a, b] = nodes.as_slice() else { return Err(Error::failure("The demo needs two nodes.")) };
    steps.done("started two nodes", format!("demo-a at {}, demo-b at {}", a.address()?, b.address()?))?;

    let digits = pairing::pair(a, b).await?;
    steps.done("paired two nodes", format!("both show {digits}; TLS 1.3, certificates pinned"))?;

    let here = a.client()?;
    let there = here.at("demo-b");
    let uname = Command { command: "uname".to_owned(), args: vec!["-sr".to_owned()], ..Command::default() };
    let ran = there.call(Execute(uname)).await?;
    if ran.exit.exit_code != Some(0) {
        return Err(Error::failure(format!("The command failed on demo-b: {}", inert(ran.stderr.trim()))));
    }
    steps.done("ran a command there", format!("demo-b says `{}`", inert(ran.stdout.trim())))?;

    send_file(args.size, a, b, here, &there, &mut steps).await?;
    send_folder(a, b, here, &there, &mut steps).await?;

    let key = ContextKey::try_from("demo/greeting".to_owned()).map_err(Error::failure)?;
    there.call(SetContext { key: key.clone(), value: "hello from demo-a".to_owned(), ttl: None, if_version: None }).await?;
    let read = b.client()?.call(GetContext { key }).await?;
    steps.done("shared a value", format!("demo-b reads `{}`", inert(&read.value)))?;
    Ok(steps.done)
}

async fn send_file(mib: u64, a: &Node, b: &Node, here: &Client, there: &Client, steps: &mut Steps<'_>) -> Result<(), Error> {
    let source = a.files.join("random.bin");
    let sum = make_file(&source, mib).map_err(|e| Error::file(&source, &e))?;
    steps.begin();
    let sent = transfer(here, &source, &format!("{}/", b.files.display())).await?;
    let took = steps.since.elapsed();
    let stat = there.call(StatPath { path: b.files.join("random.bin").display().to_string(), hash_bytes: Some(u64::MAX) }).await?;
    if stat.sha256.as_deref() != Some(sum.as_str()) {
        return Err(Error::failure("The file that arrived on demo-b is not the one that was sent."));
    }
    let rate = bytes((sent.bytes as f64 / took.as_secs_f64().max(0.001)) as u64);
    steps.done("sent a file", format!("{} at {rate}/s, sha256 {}… is the same there", bytes(sent.bytes), sum.get(..12).unwrap_or_default()))
}

async fn send_folder(a: &Node, b: &Node, here: &Client, there: &Client, steps: &mut Steps<'_>) -> Result<(), Error> {
    let source = a.files.join("notes");
    make_folder(&source).map_err(|e| Error::file(&source, &e))?;
    steps.begin();
    let sent = transfer(here, &source, &format!("{}/", b.files.display())).await?;
    let last = b.files.join("notes").join("chapter-2").join(format!("page-{:02}.txt", FOLDER_FILES - 1));
    let stat = there.call(StatPath { path: last.display().to_string(), hash_bytes: None }).await?;
    if stat.file.is_none() || sent.files != FOLDER_FILES {
        return Err(Error::failure("The folder on demo-b is not whole."));
    }
    steps.done("sent a folder", format!("{}, {}", count(sent.files, "file", "files"), bytes(sent.bytes)))
}

fn make_file(path: &Path, mib: u64) -> std::io::Result<String> {
    let mut file = fs::File::create(path)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 1 << 20];
    for _ in 0..mib {
        rand::rng().fill_bytes(&mut chunk);
        hash.update(&chunk);
        file.write_all(&chunk)?;
    }
    Ok(hex(&hash.finalize()))
}

fn make_folder(path: &Path) -> std::io::Result<()> {
    for index in 0..FOLDER_FILES {
        let chapter = path.join(format!("chapter-{}", index * 3 / FOLDER_FILES));
        fs::create_dir_all(&chapter)?;
        fs::write(chapter.join(format!("page-{index:02}.txt")), format!("Page {index} of the demo.\n").repeat(50))?;
    }
    Ok(())
}

async fn transfer(client: &Client, source: &Path, destination: &str) -> Result<TransferInfo, Error> {
    let request = StartTransfer {
        peer: "demo-b".to_owned(),
        direction: Direction::Push,
        source: source.display().to_string(),
        destination: destination.to_owned(),
        dry_run: false,
        ignore: Vec::new(),
        no_ignore: false,
    };
    let mut info = client.call(request).await?;
    while info.state == TransferState::Running {
        tokio::time::sleep(POLL).await;
        info = client.call(GetTransfer { transfer_id: info.transfer_id }).await?;
    }
    match (info.state, info.error.clone()) {
        (TransferState::Done, _) => Ok(info),
        (_, Some(error)) => Err(error.into()),
        _ => Err(Error::failure("The transfer did not end well.")),
    }
}

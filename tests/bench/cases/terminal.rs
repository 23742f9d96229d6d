//! Terminals: a flood to one viewer, and from a key to its echo.

use std::{
    cell::Cell,
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    time::Instant,
};

use loopsy_shared::{
    api::terminals::{AttachTerminal, OpenTerminal},
    client::{Attached, Attachment, Client, Transport},
    secret::Secret,
};
use rustix::{fs::OFlags, pty::OpenptFlags};

use super::{GROWTH, Setting};
use crate::{
    Result,
    load::{median, quantile},
    node::Node,
    report::{Report, Target},
};

/// Bytes of the flood.
const PRINTED: u64 = 100_000_000;
/// Prints what it is told to print, as a program that draws does.
const FLOOD: &str = "stty raw -echo; printf ready; head -c 1 >/dev/null; \
    yes \"$(printf 'a line of output that is about as long as lines of a build or of a test are, in plain text\\r')\" | head -c 100000000; printf over; sleep 60";
/// Echoes in the program, not in the kernel.
const ECHO: &str = "stty raw -echo; printf ready; exec cat";

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// A terminal with a program in it, attached.
async fn attach(node: &Node, script: &str) -> Result<Attachment> {
    let client = Client::new(Transport::default(), node.target.address.to_string(), Some(&Secret::new(node.target.key.as_str())))?;
    let open = OpenTerminal { command: Some("sh".to_owned()), args: vec!["-c".to_owned(), script.to_owned()], ..OpenTerminal::default() };
    let terminal_id = client.call(open).await?.id;
    let looking = AttachTerminal { terminal_id, after: Some(0), read_only: false, claim: false, cols: None, rows: None, scrollback: None };
    let mut attachment = client.attach(looking).await?;
    let mut seen = Vec::new();
    while !seen.ends_with(b"ready") {
        seen.extend(printed(&mut attachment).await?);
    }
    Ok(attachment)
}

/// The next bytes that are printed.
async fn printed(attachment: &mut Attachment) -> Result<Vec<u8>> {
    loop {
        match attachment.next().await.ok_or("the terminal is over")?? {
            Attached::Printed(bytes) => return Ok(bytes.to_vec()),
            Attached::Snapshot { .. } => return Err("the viewer fell behind".into()),
            _ => {}
        }
    }
}

pub(super) fn flood(setting: &Setting, report: &mut Report) -> Result<()> {
    let exact = Cell::new(true);
    let (rate, growth) = setting.grown("terminal", setting.size(3, 1), |node| {
        runtime()?.block_on(async {
            let mut attachment = attach(node, FLOOD).await?;
            let begun = Instant::now();
            attachment.input(&b"x"[..]);
            let (mut all, mut end) = (0, Vec::new());
            while all < PRINTED + 4 {
                let bytes = printed(&mut attachment).await?;
                all += bytes.len() as u64;
                end = bytes.get(bytes.len().saturating_sub(4)..).unwrap_or_default().to_vec();
            }
            exact.set(exact.get() && all == PRINTED + 4 && end == b"over");
            Result::Ok(PRINTED as f64 / 1e6 / begun.elapsed().as_secs_f64())
        })
    })?;
    let bare = median((0..setting.size(3, 1)).map(|_| bare_flood()).collect::<Result<_>>()?);
    let note = format!("{}; a bare pseudo-terminal: {bare:.0} MB/s", if exact.get() { "every byte" } else { "NOT EXACT" });
    report.against("100 MB through a terminal to one viewer", rate, "MB/s", Target::AtLeast(100.0), note);
    report.against("the same, memory above idle", growth, "MiB", Target::AtMost(GROWTH), "");
    Ok(())
}

pub(super) fn echo(setting: &Setting, report: &mut Report) -> Result<()> {
    let keys = setting.size(2000, 200);
    let node = setting.home("echo")?.start()?;
    let attached = runtime()?.block_on(async {
        let mut attachment = attach(&node, ECHO).await?;
        let mut times = Vec::with_capacity(keys);
        for _ in 0..keys {
            let begun = Instant::now();
            attachment.input(&b"k"[..]);
            printed(&mut attachment).await?;
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
        Result::Ok(times)
    })?;
    let mut bare = Bare::start(ECHO)?;
    let mut direct = Vec::with_capacity(keys);
    for _ in 0..keys {
        let begun = Instant::now();
        bare.ours.write_all(b"k")?;
        bare.ours.read_exact(&mut [0])?;
        direct.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    let sorted = |mut times: Vec<f64>| {
        times.sort_unstable_by(f64::total_cmp);
        times
    };
    let (attached, direct) = (sorted(attached), sorted(direct));
    let (here, there) = (quantile(&attached, 0.5), quantile(&direct, 0.5));
    let note = format!("{here:.3} ms, bare {there:.3} ms; p99 {:.2} and {:.2} ms", quantile(&attached, 0.99), quantile(&direct, 0.99));
    report.against("a key to its echo, p50 above a bare pseudo-terminal", here - there, "ms", Target::AtMost(0.5), note);
    Ok(())
}

/// A program on a pseudo-terminal with nothing in between.
struct Bare {
    ours: File,
    child: Child,
}

impl Bare {
    fn start(script: &str) -> Result<Self> {
        let ours = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        rustix::pty::unlockpt(&ours)?;
        let name = rustix::pty::ptsname(&ours, Vec::new())?;
        let theirs: OwnedFd = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, rustix::fs::Mode::empty())?;
        let stdio = || Result::Ok(Stdio::from(theirs.try_clone()?));
        let child = Command::new("sh").args(["-c", script]).stdin(stdio()?).stdout(stdio()?).stderr(stdio()?).spawn()?;
        let mut bare = Self { ours: File::from(ours), child };
        let mut ready = [0; 5];
        bare.ours.read_exact(&mut ready)?;
        Ok(bare)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn bare_flood() -> Result<f64> {
    let mut bare = Bare::start(FLOOD)?;
    let begun = Instant::now();
    bare.ours.write_all(b"x")?;
    let (mut all, mut buffer) = (0, vec![0; 64 << 10]);
    while all < PRINTED + 4 {
        all += bare.ours.read(&mut buffer)? as u64;
    }
    Ok(PRINTED as f64 / 1e6 / begun.elapsed().as_secs_f64())
}

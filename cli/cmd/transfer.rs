//! `loopsy send` and `loopsy pull`: the daemon carries the bytes, this shows how it goes.

use std::{
    path::Path,
    pin::{Pin, pin},
    time::{Duration, Instant},
};

use futures_util::{Stream, StreamExt};
use indicatif::{ProgressBar, ProgressStyle};
use loopsy_shared::{
    api::{
        events::{Event, WatchEvents},
        transfers::{CancelTransfer, Direction, GetTransfer, ListTransfers, StartTransfer, TransferInfo, TransferState},
    },
    client::{Client, ClientError, Watched},
    id::TransferId,
    text::{bytes, inert},
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::DONE;
use crate::{
    args::Transfer,
    context::Ctx,
    error::{Error, FAILURE, INTERRUPTED, OK},
    output::{BAD, FAINT, GOOD, PLAIN, STRONG, Table, WARN, count, paint, short, span},
};

/// How often a transfer is asked for while its events do not come.
const POLL: Duration = Duration::from_millis(200);
/// How long the local daemon may be away before that is a failure.
const AWAY: Duration = Duration::from_secs(10);
/// Bytes from which on a rate means something.
const WORTH_A_RATE: u64 = 1 << 20;
/// Left out files that are named one by one.
const NAMED: usize = 10;

pub(super) async fn send(ctx: &Ctx, args: Transfer) -> Result<u8, Error> {
    let source = local_path(&args.source)?;
    if !Path::new(&source).exists() {
        return Err(Error::failure(format!("There is no file or folder `{source}`.")));
    }
    let destination = args.destination.clone();
    carry(ctx, Direction::Push, source, destination, args).await
}

pub(super) async fn pull(ctx: &Ctx, args: Transfer) -> Result<u8, Error> {
    let destination = local_path(&args.destination)?;
    let source = args.source.clone();
    carry(ctx, Direction::Pull, source, destination, args).await
}

/// The daemon has another working directory, so a path must be absolute. A `/` at the end has a meaning and stays.
fn local_path(text: &str) -> Result<String, Error> {
    let path = std::path::absolute(text).map_err(|e| Error::usage(format!("`{text}` is not a path: {e}.")))?;
    let mut path = path.into_os_string().into_string().map_err(|_| Error::usage(format!("The path of `{text}` is not UTF-8 text.")))?;
    if text.ends_with('/') && !path.ends_with('/') {
        path.push('/');
    }
    Ok(path)
}

async fn carry(ctx: &Ctx, direction: Direction, source: String, destination: String, args: Transfer) -> Result<u8, Error> {
    let client = ctx.client()?;
    // Before the transfer starts, so that Ctrl-C can never leave one behind.
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let request = StartTransfer { peer: args.peer, direction, source, destination, dry_run: args.dry_run, ignore: args.ignore, no_ignore: args.no_ignore };
    let begun = Instant::now();
    // Nothing is left behind when the call is dropped: the daemon starts the transfer last.
    let started = tokio::select! {
        started = client.call(request) => started?,
        () = either(&mut interrupts, &mut terminations) => return Err(Error::Silent(INTERRUPTED)),
    };
    let id = started.transfer_id.clone();
    let mut view = View::new(ctx, &started);
    let followed = {
        let mut following = pin!(follow(client, started, &mut view));
        tokio::select! {
            ended = &mut following => Some(ended?),
            () = either(&mut interrupts, &mut terminations) => None,
        }
    };
    let Some(ended) = followed else {
        view.clear();
        return cancel(ctx, client, id, &mut interrupts).await;
    };
    view.clear();
    report(ctx, &ended, begun.elapsed())
}

async fn either(a: &mut Signal, b: &mut Signal) {
    tokio::select! { _ = a.recv() => {}, _ = b.recv() => {} }
}

async fn cancel(ctx: &Ctx, client: &Client, id: TransferId, interrupts: &mut Signal) -> Result<u8, Error> {
    let cancelled = tokio::select! {
        cancelled = client.call(CancelTransfer { transfer_id: id }) => cancelled,
        _ = interrupts.recv() => return Err(Error::Silent(INTERRUPTED)),
    };
    if let Err(error) = cancelled {
        ctx.out.fail(&crate::error::explain(&error.into()));
    }
    Err(Error::Said(
        "The transfer was cancelled.".to_owned(),
        Some("What is there already stays; the same command goes on from there.".to_owned()),
        INTERRUPTED,
    ))
}

/// Waits for the end. Events when they come, questions when they do not.
async fn follow(client: &Client, started: TransferInfo, view: &mut View) -> Result<TransferInfo, Error> {
    let id = started.transfer_id.clone();
    let mut latest = started;
    let watch = client.watch(&WatchEvents { topics: Some("transfers".to_owned()), ..WatchEvents::default() }, None)?;
    let mut events = pin!(watch);
    let mut live = false;
    let mut seen = Instant::now();
    while latest.state == TransferState::Running {
        let wait = if live { Duration::from_secs(2) } else { POLL };
        match tokio::time::timeout(wait, next(&mut events, &id)).await {
            Ok(Some(Said::Connected)) => live = true,
            Ok(Some(Said::Lost)) => live = false,
            Ok(Some(Said::Now(info))) => {
                live = true;
                seen = Instant::now();
                latest = *info;
            }
            // No event for a while, or none any more: ask.
            timed_out_or_over => {
                if matches!(timed_out_or_over, Ok(None)) {
                    live = false;
                    tokio::time::sleep(POLL).await;
                }
                match client.call(GetTransfer { transfer_id: id.clone() }).await {
                    Ok(info) => {
                        seen = Instant::now();
                        latest = info;
                    }
                    Err(ClientError::Unreachable { .. }) if seen.elapsed() < AWAY => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        view.show(&latest);
    }
    Ok(latest)
}

enum Said {
    Connected,
    Lost,
    Now(Box<TransferInfo>),
}

/// The next thing that the stream says about this transfer; `None` when it is over.
async fn next(events: &mut Pin<&mut impl Stream<Item = Result<Watched<Event>, ClientError>>>, id: &TransferId) -> Option<Said> {
    loop {
        match events.next().await? {
            Err(_) | Ok(Watched::Lost(_)) => return Some(Said::Lost),
            Ok(Watched::Connected) => return Some(Said::Connected),
            Ok(Watched::Event { event: Event::TransferChanged { transfer }, .. }) if transfer.transfer_id == *id => return Some(Said::Now(Box::new(transfer))),
            Ok(Watched::Event { event: Event::Snapshot { transfers, .. }, .. }) => {
                if let Some(transfer) = transfers.into_iter().find(|transfer| transfer.transfer_id == *id) {
                    return Some(Said::Now(Box::new(transfer)));
                }
            }
            Ok(Watched::Event { .. }) => {}
        }
    }
}

/// The progress bar: on a terminal only, and not with `--quiet` or `--json`.
struct View(Option<ProgressBar>);

impl View {
    fn new(ctx: &Ctx, info: &TransferInfo) -> Self {
        if ctx.out.quiet || ctx.out.json || info.dry_run {
            return Self(None);
        }
        let bar = ProgressBar::new(info.bytes);
        if let Ok(style) = ProgressStyle::with_template(
            "{bar:28.green/dim} {percent:>3}%  {bytes:>10} of {total_bytes}  {binary_bytes_per_sec:>12}  {eta:>4}  {wide_msg:.dim}",
        ) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        Self(Some(bar))
    }

    fn show(&mut self, info: &TransferInfo) {
        let Some(bar) = &self.0 else { return };
        bar.set_length(info.bytes.max(info.bytes_done));
        bar.set_position(info.bytes_done);
        let current = info.current.as_deref().map(|name| short(name, 60)).unwrap_or_default();
        bar.set_message(if info.files > 1 { format!("{}/{} {current}", info.files_done, info.files) } else { current });
    }

    fn clear(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}

fn report(ctx: &Ctx, info: &TransferInfo, took: Duration) -> Result<u8, Error> {
    if ctx.out.json {
        ctx.out.value(info)?;
        return Ok(match (info.state, &info.error) {
            (TransferState::Done, _) => OK,
            (TransferState::Cancelled, _) => INTERRUPTED,
            (_, Some(error)) => crate::error::explain(&error.clone().into()).exit,
            _ => FAILURE,
        });
    }
    match info.state {
        TransferState::Cancelled => return Err(Error::Said("The transfer was cancelled.".to_owned(), None, INTERRUPTED)),
        TransferState::Failed | TransferState::Running => {
            return Err(match &info.error {
                Some(error) => error.clone().into(),
                None => Error::failure("The transfer failed.").hint("The same command goes on from where it stopped."),
            });
        }
        TransferState::Done => {}
    }
    let place = match info.direction {
        Direction::Push => format!("{}:{}", inert(&info.peer), inert(&info.destination)),
        Direction::Pull => inert(&info.destination).into_owned(),
    };
    if info.dry_run {
        for path in &info.planned {
            ctx.out.line(inert(path))?;
        }
        let more = info.files.saturating_sub(info.planned.len() as u64).saturating_sub(info.files_skipped);
        if more > 0 {
            ctx.out.say(paint(FAINT, format!("… and {more} more")))?;
        }
        let new = info.files.saturating_sub(info.files_skipped);
        let size = bytes(info.bytes.saturating_sub(info.bytes_done));
        let text = match new {
            0 => format!("There is nothing to copy: {} there already.", count(info.files, "file is", "files are")),
            _ => format!("Would copy {} ({size}) to {place}.", count(new, "file", "files")),
        };
        ctx.out.say(format_args!("{} {text}", paint(FAINT, "○")))?;
        return left_out(ctx, info).map(|()| OK);
    }
    let sent = info.bytes_done.saturating_sub(info.bytes_resumed);
    ctx.out.say(format_args!("{} {}", paint(GOOD, "✓"), paint(STRONG, place)))?;
    let mut facts = vec![bytes(info.bytes)];
    if info.sha256.is_none() || info.files > 1 {
        facts.insert(0, count(info.files, "file", "files"));
    }
    if info.files_skipped > 0 {
        facts.push(format!("{} there already", info.files_skipped));
    }
    if info.bytes_resumed > 0 {
        facts.push(format!("{} not sent again", bytes(info.bytes_resumed)));
    }
    // The rate of a small copy says only how long it took to begin.
    let rate = if sent >= WORTH_A_RATE { format!(" ({}/s)", bytes((sent as f64 / took.as_secs_f64().max(0.001)) as u64)) } else { String::new() };
    ctx.out.say(format_args!("  {} in {}{rate}", facts.join(", "), span(took)))?;
    if let Some(sha256) = &info.sha256 {
        ctx.out.say(format_args!("  sha256 {}", inert(sha256)))?;
    }
    left_out(ctx, info)?;
    DONE
}

fn left_out(ctx: &Ctx, info: &TransferInfo) -> Result<(), Error> {
    if info.left_out.is_empty() {
        return Ok(());
    }
    ctx.out.remark(paint(WARN, format!("Left out {}:", count(info.left_out.len() as u64, "path", "paths"))));
    for left in info.left_out.iter().take(NAMED) {
        ctx.out.remark(format_args!("  {}: {}", inert(&left.path), inert(&left.reason)));
    }
    if info.left_out.len() > NAMED {
        ctx.out.remark(paint(FAINT, "  … (all with `--json`)"));
    }
    Ok(())
}

pub(super) async fn list(ctx: &Ctx) -> Result<u8, Error> {
    let transfers = ctx.client()?.call(ListTransfers {}).await?;
    ctx.out.show(&transfers, |transfers| {
        if transfers.transfers.is_empty() {
            return ctx.out.line("No transfers in the last hour.");
        }
        let mut table = Table::new(&["TRANSFER", "PEER", "FROM", "TO", "DONE", "STATE"]);
        for info in &transfers.transfers {
            let (state, style) = match info.state {
                TransferState::Running => ("running", PLAIN),
                TransferState::Done if info.dry_run => ("planned", FAINT),
                TransferState::Done => ("done", GOOD),
                TransferState::Failed => ("failed", BAD),
                TransferState::Cancelled => ("cancelled", WARN),
            };
            let arrow = match info.direction {
                Direction::Push => "→",
                Direction::Pull => "←",
            };
            let done = format!("{} of {}", bytes(info.bytes_done), bytes(info.bytes));
            table.row(
                &[
                    info.transfer_id.as_str().get(..8).unwrap_or_default(),
                    &format!("{arrow} {}", info.peer),
                    &short(&info.source, 40),
                    &short(&info.destination, 40),
                    &done,
                    state,
                ],
                style,
            );
        }
        table.print(ctx.out)
    })?;
    DONE
}

#[cfg(test)]
mod tests {
    use super::local_path;

    #[test]
    fn a_local_path_is_absolute_and_keeps_its_meaning() {
        let here = std::env::current_dir().expect("a directory");
        assert_eq!(local_path("a/b").expect("a path"), here.join("a/b").to_str().expect("utf-8"));
        assert!(local_path("a/").expect("a path").ends_with("/a/"));
        assert_eq!(local_path("/").expect("a path"), "/");
        assert!(local_path("").is_err());
    }
}

//! Our terminal as the window of another.

use std::{
    io::{self, Read},
    time::Duration,
};

use bytes::Bytes;
use loopsy_shared::{
    api::terminals::{AttachTerminal, TerminalExit, TerminalSize},
    client::{Attached, Attachment},
    id::TerminalId,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::{
    raw::{self, Raw},
    way_back,
};
use crate::{context::Ctx, error::Error};

/// Ctrl-], the one key that is not the program's.
const LEAVE: u8 = 0x1d;
/// Reads that wait; past this our terminal does.
const AHEAD: usize = 8;
/// How long what was typed before leaving may take to go out.
const FLUSH: Duration = Duration::from_millis(500);

/// Which terminal.
pub(super) struct Whose {
    pub(super) peer: Option<String>,
    pub(super) id: TerminalId,
}

/// In which way.
pub(super) struct How {
    pub(super) read_only: bool,
    pub(super) claim: bool,
}

/// Why it is over.
enum Over {
    Left,
    Ended(TerminalExit),
    Signal(u8),
}

pub(super) async fn run(ctx: &Ctx, whose: Whose, how: How) -> Result<u8, Error> {
    let client = ctx.at(whose.peer.as_deref())?;
    let window = raw::window().filter(|_| how.claim);
    let request = AttachTerminal {
        terminal_id: whose.id.clone(),
        after: None,
        read_only: how.read_only,
        claim: how.claim,
        cols: window.map(|size| size.cols),
        rows: window.map(|size| size.rows),
        scrollback: None,
    };
    let attachment = client.attach(request).await?;
    let raw = Raw::begin()?;
    let outcome = follow(attachment, how.read_only).await;
    drop(raw);
    let back = way_back(whose.peer.as_deref(), &whose.id);
    match outcome? {
        Over::Left => {
            ctx.out.remark(format_args!("detached; the terminal goes on: {back}"));
            Ok(0)
        }
        Over::Signal(code) => {
            ctx.out.remark(format_args!("detached by a signal; the terminal goes on: {back}"));
            Err(Error::Silent(code))
        }
        Over::Ended(exit) => {
            let code = exit.shell_code();
            if let Some(signal) = exit.signal {
                ctx.out.remark(format_args!("the terminal ended by {signal}"));
            }
            Ok(u8::try_from(code & 0xff).unwrap_or(1))
        }
    }
}

/// Shows what comes and sends what is typed, until the end of either.
async fn follow(mut attachment: Attachment, read_only: bool) -> Result<Over, Error> {
    let mut keys = keys();
    let mut resized = signal(SignalKind::window_change())?;
    let (mut terminate, mut hangup) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let mut lost = false;
    loop {
        let room = attachment.has_room();
        tokio::select! {
            came = attachment.next() => match came {
                None => return Ok(Over::Left),
                Some(Err(error)) => return Err(error.into()),
                Some(Ok(attached)) => match show(attached, &mut lost)? {
                    None => {}
                    Some(exit) => return Ok(Over::Ended(exit)),
                },
            },
            typed = keys.recv(), if room => {
                let Some(typed) = typed else { return Ok(Over::Left) };
                let leaves = typed.iter().position(|byte| *byte == LEAVE);
                let typed = typed.slice(..leaves.unwrap_or(typed.len()));
                if !read_only {
                    attachment.input(typed);
                }
                if leaves.is_some() {
                    // What was typed before it is still for the program.
                    let _in_vain = tokio::time::timeout(FLUSH, attachment.flush()).await;
                    return Ok(Over::Left);
                }
            }
            _ = resized.recv() => if let Some(size) = raw::window() { attachment.resize(size) },
            _ = terminate.recv() => return Ok(Over::Signal(128 + 15)),
            _ = hangup.recv() => return Ok(Over::Signal(128 + 1)),
        }
    }
}

/// Draws it. Says how the program ended, when it did.
fn show(attached: Attached, lost: &mut bool) -> Result<Option<TerminalExit>, Error> {
    match attached {
        Attached::Hello { .. } if std::mem::take(lost) => raw::write(b"\x1b7\x1b[999;1H\x1b[2K\x1b8")?,
        Attached::Hello { .. } | Attached::Owner(_) => {}
        Attached::Resize(size) => smaller(size)?,
        Attached::Snapshot { size, .. } => {
            Raw::clear()?;
            smaller(size)?;
        }
        Attached::Drawn(bytes) | Attached::Printed(bytes) => raw::write(&bytes)?,
        Attached::Exit(exit) => return Ok(Some(exit)),
        Attached::Lost(_) if !std::mem::replace(lost, true) => {
            raw::write(b"\x1b7\x1b[999;1H\x1b[0;7m connection lost, trying again; Ctrl-] leaves \x1b[0m\x1b8")?;
        }
        Attached::Lost(_) => {}
    }
    Ok(None)
}

/// A bell when our window cannot show all of it: whose size it is shows in `loopsy terminal list`.
fn smaller(size: TerminalSize) -> Result<(), Error> {
    let cut = raw::window().is_some_and(|window| window.cols < size.cols || window.rows < size.rows);
    if cut { raw::write(b"\x07") } else { Ok(()) }
}

/// What is typed. Read on a thread of its own, because a read cannot be interrupted.
fn keys() -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        let mut buffer = [0; 16 << 10];
        loop {
            match input.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    if sender.blocking_send(Bytes::copy_from_slice(&buffer[..count])).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    });
    receiver
}

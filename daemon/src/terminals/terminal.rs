//! One terminal: what its program printed, the screen that it makes, who looks at it, and its end.

use std::{
    fs::File,
    sync::{Arc, Condvar, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use loopsy_shared::{
    api::{
        events::Event,
        terminals::{TerminalExit, TerminalInfo, TerminalSize, TerminalText},
    },
    id::{TaskId, TerminalId},
    time::Millis,
};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{
    flow::{Flow, Mark},
    pty,
    screen::{Emulator, Screen},
    viewer::Viewers,
};
use crate::{events::Events, jobs::sync::Mutex};

/// Pieces of input on their way to the program. Past this who types waits, and answers to the program's questions are dropped.
pub(super) const INPUTS: usize = 64;
/// How long a snapshot waits for the screen to show what was printed just now.
const CATCH_UP: Duration = Duration::from_millis(250);

/// What is known of a terminal from its start.
#[derive(Debug)]
pub(super) struct About {
    pub(super) id: TerminalId,
    pub(super) name: String,
    pub(super) command: String,
    pub(super) args: Vec<String>,
    pub(super) cwd: String,
    pub(super) pid: i32,
    pub(super) created_at: Millis,
    pub(super) task_id: Option<TaskId>,
    pub(super) principal: String,
}

/// A terminal. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Terminal(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) about: About,
    pub(super) flow: Mutex<Flow>,
    /// Rings when there is work for the screen, and when it was done.
    pub(super) bell: Condvar,
    /// Counts what viewers have to know.
    pub(super) changes: watch::Sender<u64>,
    pub(super) shown: Mutex<Shown>,
    pub(super) input: mpsc::Sender<Bytes>,
    pub(super) ours: File,
    pub(super) viewers: Mutex<Viewers>,
    /// Something in its description is new.
    pub(super) stirred: Notify,
    /// It is to end.
    pub(super) closing: CancellationToken,
    /// It is not kept any more.
    pub(super) forgotten: CancellationToken,
    /// It has ended, and everything that it printed is here.
    pub(super) over: CancellationToken,
    pub(super) scrollback: usize,
    pub(super) events: Events,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").field("about", &self.about).finish_non_exhaustive()
    }
}

/// The screen, and up to where it shows what was printed.
pub(super) struct Shown {
    pub(super) screen: Box<dyn Screen>,
    pub(super) offset: u64,
    /// The number of the last resize that it has taken.
    pub(super) resized: u64,
}

/// A screen as escape sequences.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) bytes: Bytes,
    pub(super) offset: u64,
    pub(super) size: TerminalSize,
    pub(super) resized: u64,
}

impl Terminal {
    /// Its id.
    pub fn id(&self) -> &TerminalId {
        &self.0.about.id
    }

    /// What people are told about it.
    pub fn info(&self) -> TerminalInfo {
        let about = &self.0.about;
        let (viewers, size_owner) = self.0.viewers.lock().told();
        let flow = self.0.flow.lock();
        TerminalInfo {
            id: about.id.clone(),
            name: about.name.clone(),
            command: about.command.clone(),
            args: about.args.clone(),
            cwd: about.cwd.clone(),
            pid: about.pid,
            size: flow.size,
            created_at: about.created_at,
            ended_at: flow.exit.as_ref().map(|(_, at)| *at),
            exit: flow.exit.as_ref().map(|(exit, _)| exit.clone()),
            viewers,
            size_owner,
            offset: flow.log.end(),
            title: flow.title.clone(),
            task_id: about.task_id.clone(),
            principal: about.principal.clone(),
        }
    }

    /// Whether its program runs.
    pub fn is_running(&self) -> bool {
        self.0.flow.lock().exit.is_none()
    }

    /// Types. Waits until there is room; says whether the program can still get it.
    pub async fn write(&self, bytes: impl Into<Bytes>) -> bool {
        tokio::select! {
            sent = self.0.input.send(bytes.into()) => sent.is_ok(),
            () = self.0.over.cancelled() => false,
        }
    }

    /// Waits for its end.
    pub async fn ended(&self) -> TerminalExit {
        self.0.over.cancelled().await;
        self.0.flow.lock().exit.as_ref().map(|(exit, _)| exit.clone()).unwrap_or_default()
    }

    /// Begins to end the program and everything that it started. [`Terminal::ended`] waits for it.
    pub fn start_close(&self) {
        self.0.closing.cancel();
    }

    /// Ends the program and everything that it started, and waits for that.
    pub async fn close(&self) -> TerminalExit {
        self.start_close();
        self.ended().await
    }

    /// Gives it another size.
    pub fn resize(&self, size: TerminalSize) {
        let size = size.clamped();
        {
            let mut flow = self.0.flow.lock();
            if flow.size == size || flow.exit.is_some() {
                return;
            }
            if let Err(error) = pty::resize(&self.0.ours, size) {
                tracing::debug!(%error, "a terminal cannot be resized");
                return;
            }
            flow.resize(size);
        }
        self.0.bell.notify_all();
        self.0.changed();
        self.0.stirred.notify_one();
    }

    /// What it shows, with up to this many lines above. May wait a moment.
    pub async fn text(&self, scrollback: usize) -> TerminalText {
        let inner = Arc::clone(&self.0);
        let read = tokio::task::spawn_blocking(move || {
            inner.catch_up();
            let shown = inner.shown.lock();
            let (lines, above) = shown.screen.text(scrollback.min(inner.scrollback));
            TerminalText {
                lines,
                above: u32::try_from(above).unwrap_or(u32::MAX),
                cursor: shown.screen.cursor(),
                size: shown.screen.size(),
                offset: shown.offset,
                title: shown.screen.title(),
                alternate: shown.screen.alternate(),
            }
        });
        read.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a terminal's text could not be read");
            let cursor = loopsy_shared::api::terminals::TerminalCursor { col: 0, row: 0, visible: true };
            TerminalText { lines: Vec::new(), above: 0, cursor, size: TerminalSize::default(), offset: 0, title: None, alternate: false }
        })
    }

    /// The whole state for a viewer. May wait a moment.
    pub(super) async fn snapshot(&self, scrollback: usize) -> Option<Snapshot> {
        let inner = Arc::clone(&self.0);
        let drawn = tokio::task::spawn_blocking(move || {
            inner.catch_up();
            let mut shown = inner.shown.lock();
            let bytes = shown.screen.snapshot(scrollback.min(inner.scrollback)).into();
            Snapshot { bytes, offset: shown.offset, size: shown.screen.size(), resized: shown.resized }
        });
        drawn.await.map_err(|error| tracing::error!(%error, "a snapshot of a terminal failed; this is a mistake in Loopsy")).ok()
    }
}

impl Inner {
    /// Tells viewers that there is something new.
    pub(super) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Tells everybody how it is now.
    pub(super) fn publish(self: &Arc<Self>) {
        self.events.publish(Event::TerminalChanged { terminal: Terminal(Arc::clone(self)).info() });
    }

    /// Waits until the screen shows what was printed up to now, but not for long: a flood has no end.
    fn catch_up(&self) {
        let until = Instant::now() + CATCH_UP;
        let mut flow = self.flow.lock();
        let target = flow.log.end();
        while flow.drawn < target || flow.marks.front().is_some_and(|(at, mark)| *at <= target && matches!(mark, Mark::Resize { .. })) {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return };
            flow = self.bell.wait_timeout(flow, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// An empty screen.
    pub(super) fn fresh(size: TerminalSize, scrollback: usize) -> Box<dyn Screen> {
        Box::new(Emulator::new(size, scrollback))
    }
}

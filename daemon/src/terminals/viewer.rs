//! Who looks at a terminal: who may type, whose window decides the size, and where each is in what was printed.

use std::collections::BTreeMap;

use bytes::Bytes;
use loopsy_shared::api::terminals::{TerminalExit, TerminalSize};

use super::{
    TerminalError,
    log::Found,
    terminal::{Snapshot, Terminal},
};

/// Who may look at one terminal at the same time.
const MOST_VIEWERS: usize = 64;
/// Bytes that are handed out at once.
const PIECE: usize = 256 << 10;

/// Everybody who looks.
#[derive(Debug, Default)]
pub(super) struct Viewers {
    next: u64,
    /// Whether each may type.
    here: BTreeMap<u64, bool>,
    owner: Option<u64>,
    /// Whether the size was ever anybody's.
    owned: bool,
}

impl Viewers {
    /// How many there are, and who owns the size.
    pub(super) fn told(&self) -> (u32, Option<u64>) {
        (u32::try_from(self.here.len()).unwrap_or(u32::MAX), self.owner)
    }
}

/// How somebody wants to look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Looking {
    /// Goes on from here instead of a snapshot.
    pub after: Option<u64>,
    /// Only watches.
    pub read_only: bool,
    /// Takes the size over.
    pub claim: bool,
    /// The viewer's window.
    pub size: Option<TerminalSize>,
    /// Lines above the screen in a snapshot.
    pub scrollback: Option<u32>,
}

/// One who looks. Leaves when dropped.
#[derive(Debug)]
pub struct Viewer {
    terminal: Terminal,
    id: u64,
    read_only: bool,
    scrollback: usize,
    changes: tokio::sync::watch::Receiver<u64>,
    /// The offset of the next byte; none before a snapshot.
    position: Option<u64>,
    /// What was missed before the next snapshot.
    lost: u64,
    /// The last resize that was told.
    resized: u64,
    /// Whether it was told that it owns the size.
    owner: bool,
    /// The rest of a snapshot.
    rest: Bytes,
    over: bool,
}

/// What comes next for a viewer.
#[derive(Debug)]
pub enum Step {
    /// The state at an offset follows, as so many bytes for a screen of this size.
    Snapshot {
        /// Where the bytes after it begin.
        offset: u64,
        /// Its bytes.
        length: u64,
        /// The screen.
        size: TerminalSize,
        /// Bytes that were missed.
        lost: u64,
    },
    /// Bytes: of the snapshot, or printed.
    Bytes(Bytes),
    /// The screen has another size from here on.
    Resize(TerminalSize),
    /// It owns the size now, or no longer.
    Owner(bool),
    /// Nothing more comes.
    Exit(TerminalExit, u64),
}

impl Viewer {
    /// Begins to look at a terminal.
    pub(super) fn new(terminal: Terminal, looking: Looking) -> Result<Self, TerminalError> {
        let changes = terminal.0.changes.subscribe();
        let (id, owner) = {
            let mut viewers = terminal.0.viewers.lock();
            if viewers.here.len() >= MOST_VIEWERS {
                return Err(TerminalError::TooManyViewers(MOST_VIEWERS));
            }
            viewers.next += 1;
            let id = viewers.next;
            viewers.here.insert(id, !looking.read_only);
            let free = viewers.owner.is_none() && (!viewers.owned || looking.size.is_some());
            let owner = !looking.read_only && (looking.claim || free);
            if owner {
                viewers.owner = Some(id);
                viewers.owned = true;
            }
            (id, owner)
        };
        if let (true, Some(size)) = (owner, looking.size) {
            terminal.resize(size);
        }
        let (position, resized) = {
            let flow = terminal.0.flow.lock();
            let position = looking.after.filter(|after| (flow.log.start()..=flow.log.end()).contains(after));
            let resized = position.map_or(0, |at| flow.sizes.iter().rev().find(|(_, offset, _)| *offset < at).map_or(0, |(number, _, _)| *number));
            (position, resized)
        };
        let lost = looking.after.filter(|_| position.is_none()).unwrap_or(u64::MAX);
        let scrollback = looking.scrollback.map_or(usize::MAX, |lines| usize::try_from(lines).unwrap_or(usize::MAX));
        terminal.0.changed(); // the former owner has to know
        terminal.0.stirred.notify_one();
        let (read_only, rest) = (looking.read_only, Bytes::new());
        Ok(Self { terminal, id, read_only, scrollback, changes, position, lost, resized, owner, rest, over: false })
    }

    /// Its number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether it owns the size, as far as it was told.
    pub fn owner(&self) -> bool {
        self.owner
    }

    /// Where it goes on; none when a snapshot comes first.
    pub fn position(&self) -> Option<u64> {
        self.position
    }

    /// What it may do, for whoever listens to it while somebody else talks to it.
    pub fn hands(&self) -> Hands {
        Hands { terminal: self.terminal.clone(), id: self.id, read_only: self.read_only }
    }

    /// What comes next; nothing after the end. Can be dropped while it waits without losing anything.
    pub async fn next(&mut self) -> Option<Step> {
        loop {
            if self.over {
                return None;
            }
            if !self.rest.is_empty() {
                let length = self.rest.len().min(PIECE);
                return Some(Step::Bytes(self.rest.split_to(length)));
            }
            let Some(position) = self.position else { return self.begin().await };
            self.changes.mark_unchanged();
            let owns = self.terminal.0.viewers.lock().owner == Some(self.id);
            if owns != self.owner {
                self.owner = owns;
                return Some(Step::Owner(owns));
            }
            let found = {
                let flow = self.terminal.0.flow.lock();
                let resize = flow.sizes.iter().find(|(number, _, _)| *number > self.resized);
                match resize {
                    Some((number, at, size)) if *at <= position => {
                        self.resized = *number;
                        return Some(Step::Resize(*size));
                    }
                    _ => {}
                }
                let to = resize.map_or(flow.log.end(), |(_, at, _)| *at);
                if position == flow.log.end() && flow.done && flow.exit.is_some() {
                    self.over = true;
                    return flow.exit.as_ref().map(|(exit, _)| Step::Exit(exit.clone(), position));
                }
                (position < to || position > flow.log.end()).then(|| flow.log.find(position, to, PIECE))
            };
            match found {
                None => {
                    // The sender lives as long as the terminal, which this holds.
                    let _always_ok = self.changes.changed().await;
                }
                Some(Found::Bytes(bytes)) => {
                    self.position = Some(position + bytes.len() as u64);
                    return Some(Step::Bytes(bytes));
                }
                Some(Found::OnDisk(range)) => {
                    let read = tokio::task::spawn_blocking(move || range.read()).await;
                    // What was overwritten meanwhile is not what was printed there.
                    let whole = self.terminal.0.flow.lock().log.start() <= position;
                    match read {
                        Ok(Ok(bytes)) if whole => {
                            self.position = Some(position + bytes.len() as u64);
                            return Some(Step::Bytes(bytes));
                        }
                        _ => self.lag(position),
                    }
                }
                Some(Found::Gone) => self.lag(position),
            }
        }
    }

    /// What it was to see next is not kept any more.
    fn lag(&mut self, position: u64) {
        self.position = None;
        self.lost = position;
    }

    async fn begin(&mut self) -> Option<Step> {
        let Snapshot { bytes, offset, size, resized } = self.terminal.snapshot(self.scrollback).await?;
        let lost = offset.saturating_sub(self.lost);
        let length = bytes.len() as u64;
        (self.position, self.resized, self.rest, self.lost) = (Some(offset), resized, bytes, u64::MAX);
        Some(Step::Snapshot { offset, length, size, lost })
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        {
            let mut viewers = self.terminal.0.viewers.lock();
            viewers.here.remove(&self.id);
            if viewers.owner == Some(self.id) {
                viewers.owner = None;
            }
        }
        self.terminal.0.stirred.notify_one();
    }
}

/// What a viewer may do.
#[derive(Debug, Clone)]
pub struct Hands {
    terminal: Terminal,
    id: u64,
    read_only: bool,
}

impl Hands {
    /// Types. Waits until there is room.
    pub async fn write(&self, bytes: Bytes) {
        if !self.read_only && !bytes.is_empty() {
            let _ended = self.terminal.write(bytes).await;
        }
    }

    /// Takes the size over.
    pub fn claim(&self) {
        if self.read_only {
            return;
        }
        {
            let mut viewers = self.terminal.0.viewers.lock();
            if !viewers.here.contains_key(&self.id) {
                return;
            }
            viewers.owner = Some(self.id);
            viewers.owned = true;
        }
        self.terminal.0.changed();
        self.terminal.0.stirred.notify_one();
    }

    /// Its window has this size. Counts only when it owns the size.
    pub fn resize(&self, size: TerminalSize) {
        if !self.read_only && self.terminal.0.viewers.lock().owner == Some(self.id) {
            self.terminal.resize(size);
        }
    }
}

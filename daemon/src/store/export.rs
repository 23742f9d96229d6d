//! `context.json` and `peers.json`: readable copies for people and for the reference, written by a thread of their own, never by the writer.
//!
//! Each file is replaced as a whole: a temporary file with mode 0600 beside it, synced, renamed. While it is at most 1 MiB that happens within 1 s of a change.
//! A longer one waits until as many bytes changed as it has, so an export at most doubles what is written. At a clean stop every file that is behind is written,
//! whatever its size.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use loopsy_shared::{
    api::peers::PeerInfo,
    time::{self, Millis},
};
use tracing::warn;

use super::{damage::beside, tx::Changed};

/// From the first change to the export; what changes in between is in it too. With the time to write, it stays under 1 s.
const DELAY: Duration = Duration::from_millis(700);
/// From an export that failed to the next try.
const RETRY: Duration = Duration::from_secs(5);
/// A longer export waits for as many changed bytes.
const PROMPT_BYTES: u64 = 1 << 20;
/// A long export is synced in steps, so that commits do not wait behind all of it.
const SYNC_BYTES: usize = 4 << 20;
/// Bytes handed to the file at once.
const BUFFER_BYTES: usize = 64 << 10;
/// How far an export is behind when nobody knows: more than any size.
const UNKNOWN: u64 = u64::MAX / 4;

/// What an export is made of.
pub(crate) trait ExportSource: Send + Sync {
    /// About how many bytes the export will have. Called often.
    fn size(&self) -> u64;
    /// Writes the state of one moment, without holding anybody up for the time of the writing.
    fn write_to(&self, out: &mut dyn Write) -> io::Result<()>;
}

/// The exports and how far each is behind.
pub(super) struct Exporter {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    slots: [Slot; 2],
    stopping: bool,
}

struct Slot {
    path: PathBuf,
    source: Option<Arc<dyn ExportSource>>,
    /// Bytes changed since the last export.
    behind: u64,
    /// With this many the export is due.
    due_at: u64,
    /// Not earlier than this.
    not_before: Option<Instant>,
    /// Why the last try failed, and when.
    failure: Option<(String, Millis)>,
}

const CONTEXT: usize = 0;
const PEERS: usize = 1;

impl Exporter {
    /// An exporter of two files. If `doubtful`, or for a file that is missing, it begins by writing them.
    pub(super) fn new(context: PathBuf, peers: PathBuf, doubtful: bool) -> Self {
        let slot = |path: PathBuf| {
            let behind = if doubtful || !path.exists() { UNKNOWN } else { 0 };
            Slot { path, source: None, behind, due_at: 0, not_before: None, failure: None }
        };
        Self { state: Mutex::new(State { slots: [slot(context), slot(peers)], stopping: false }), changed: Condvar::new() }
    }

    pub(super) fn set_context(&self, source: Arc<dyn ExportSource>) {
        self.set(CONTEXT, source);
    }

    pub(super) fn set_peers(&self, source: Arc<dyn ExportSource>) {
        self.set(PEERS, source);
    }

    fn set(&self, which: usize, source: Arc<dyn ExportSource>) {
        if let Some(slot) = self.lock().slots.get_mut(which) {
            slot.source = Some(source);
        }
        self.changed.notify_one();
    }

    /// Counts what a commit changed. Cheap: the thread is woken only when something becomes due.
    pub(super) fn changed(&self, changed: Changed) {
        let mut wake = false;
        for (slot, bytes) in self.lock().slots.iter_mut().zip([changed.context, changed.peers]).filter(|(_, bytes)| *bytes > 0) {
            let before = slot.behind;
            slot.behind = before.saturating_add(bytes);
            wake |= before == 0 || (before < slot.due_at && slot.behind >= slot.due_at);
        }
        if wake {
            self.changed.notify_one();
        }
    }

    /// Writes what is behind, whatever its size, and ends the thread.
    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.changed.notify_all();
    }

    /// Why the last export of a file failed; of two, the one that failed first.
    pub(super) fn failure(&self) -> Option<(String, Millis)> {
        self.lock().slots.iter().filter_map(|slot| slot.failure.clone()).min_by_key(|(_, since)| *since)
    }

    /// The thread.
    pub(super) fn run(&self) {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let stopping = state.stopping;
            let mut next: Option<Instant> = None;
            let mut due = None;
            for (which, slot) in state.slots.iter_mut().enumerate() {
                match slot.due(now) {
                    _ if slot.behind == 0 || slot.source.is_none() => {}
                    Due::Now => due = due.or(Some(which)),
                    _ if stopping => due = due.or(Some(which)),
                    Due::At(at) => next = Some(next.map_or(at, |next| next.min(at))),
                    Due::WithMore => {}
                }
            }
            if let Some(slot) = due.and_then(|which| state.slots.get_mut(which)) {
                let (path, source, behind) = (slot.path.clone(), slot.source.clone(), std::mem::take(&mut slot.behind));
                slot.not_before = None;
                drop(state);
                let result = source.map_or(Ok(()), |source| write(&path, source.as_ref()));
                state = self.lock();
                if let Some(slot) = due.and_then(|which| state.slots.get_mut(which)) {
                    if let Err(error) = &result {
                        warn!(file = %path.display(), %error, "an export could not be written");
                        if !stopping {
                            slot.behind = slot.behind.saturating_add(behind);
                            slot.not_before = Some(Instant::now() + RETRY);
                        }
                    }
                    slot.failure = result
                        .err()
                        .map(|error| (format!("`{}` could not be written: {error}. What it shows is stored all the same.", path.display()), time::now()));
                }
                continue;
            }
            if stopping {
                return;
            }
            state = match next {
                Some(at) => self.changed.wait_timeout(state, at.saturating_duration_since(now)).unwrap_or_else(PoisonError::into_inner).0,
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Due {
    Now,
    At(Instant),
    WithMore,
}

impl Slot {
    fn due(&mut self, now: Instant) -> Due {
        if self.behind == 0 {
            return Due::WithMore;
        }
        let at = *self.not_before.get_or_insert(now + DELAY);
        let size = self.source.as_ref().map_or(0, |source| source.size());
        self.due_at = if size <= PROMPT_BYTES { 0 } else { size };
        if self.behind < self.due_at {
            Due::WithMore
        } else if at > now {
            Due::At(at)
        } else {
            Due::Now
        }
    }
}

/// Replaces a file: whoever reads it finds the old one or the new one.
fn write(path: &Path, source: &dyn ExportSource) -> io::Result<()> {
    let temporary = beside(path, ".new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = (|| {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        let mut out = Stepwise { out: io::BufWriter::with_capacity(BUFFER_BYTES, file), unsynced: 0 };
        source.write_to(&mut out)?;
        out.flush()?;
        out.out.get_ref().sync_all()?;
        fs::rename(&temporary, path)?;
        sync_directory(path)
    })();
    if written.is_err() {
        let _absent = fs::remove_file(&temporary);
    }
    written
}

/// Makes a rename in the directory of `path` last.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

struct Stepwise {
    out: io::BufWriter<File>,
    unsynced: usize,
}

impl Write for Stepwise {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.unsynced += count;
        if self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            self.out.flush()?;
            self.out.get_ref().sync_data()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The peers as they are stored, oldest first.
pub(super) type Peers = Mutex<Vec<PeerInfo>>;

impl ExportSource for Peers {
    fn size(&self) -> u64 {
        self.lock().unwrap_or_else(PoisonError::into_inner).len() as u64 * 400
    }

    fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        let peers = self.lock().unwrap_or_else(PoisonError::into_inner).clone();
        serde_json::to_writer_pretty(&mut *out, &peers)?;
        out.write_all(b"\n")
    }
}

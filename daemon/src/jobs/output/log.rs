//! The retained log of one job and its live window.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use loopsy_shared::api::execute::OutputStream;
use tokio::sync::Notify;

use super::{
    PATIENCE, WINDOW, WINDOW_PIECES,
    state::{Cursor, Found, Record, State},
};
use crate::jobs::sync::Mutex;

/// What one job printed.
#[derive(Debug)]
pub(crate) struct Output {
    state: Mutex<State>,
    /// Rings when there is more, or the end has come.
    pub(super) grown: Notify,
    /// Rings when a live reader has read, or left.
    read: Notify,
    spill: PathBuf,
}

impl Output {
    /// An empty log. For a streamed job (`waits`), a place is held for the first reader, so that it misses nothing.
    pub(crate) fn new(spill: PathBuf, waits: bool) -> Self {
        let mut state = State { waits, windowed: waits, ..State::default() };
        if waits {
            state.reserved = true;
            state.next_reader = 1;
            state.readers.push(Cursor { id: 0, at: 0, live: true, progress: Instant::now() });
        }
        Self { state: Mutex::new(state), grown: Notify::new(), read: Notify::new(), spill }
    }

    /// Appends to the log. Waits for live readers that are too far behind.
    pub(super) async fn append(&self, stream: OutputStream, bytes: &Bytes) {
        let begun = Instant::now();
        while let Some(patience) = self.must_wait(bytes.len(), begun) {
            let _either = tokio::time::timeout(patience, self.read.notified()).await; // only one writer: notify_one stores the permit
        }
        self.state.lock().unblock();
        self.store(stream, bytes).await;
    }

    /// Appends to the log without waiting for anybody.
    pub(super) async fn store(&self, stream: OutputStream, bytes: &Bytes) {
        let (head, kept, at) = self.state.lock().plan(stream, bytes);
        let kept = if kept > head && !self.write(at, bytes.slice(head..kept)).await { head } else { kept };
        self.state.lock().commit(stream, bytes, head, kept);
        self.grown.notify_waiters();
    }

    /// Stops waiting for readers, for good.
    pub(crate) fn release(&self) {
        self.state.lock().waits = false;
        self.read.notify_one();
    }

    /// How long the writer has waited for readers in all.
    pub(crate) fn blocked(&self) -> Duration {
        let state = self.state.lock();
        state.blocked + state.blocked_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Says that nothing more will come.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock();
        state.ended = true;
        if std::mem::take(&mut state.reserved) {
            state.leave(0); // what it missed is all in the log
        }
        state.file = None; // readers open it again
        state.heads.iter_mut().for_each(Vec::shrink_to_fit);
        state.records.shrink_to_fit();
        drop(state);
        self.grown.notify_waiters();
    }

    /// Bytes printed so far.
    pub(crate) fn total(&self) -> u64 {
        self.state.lock().total
    }

    /// Memory of the heads, other memory, and bytes on disk.
    pub(crate) fn footprint(&self) -> (usize, usize, u64) {
        let state = self.state.lock();
        (state.heads.iter().map(Vec::len).sum(), state.records.len() * size_of::<Record>(), state.filled)
    }

    /// The first MiB of each stream, without a character that is cut at the end.
    pub(crate) async fn heads(&self) -> [Bytes; 2] {
        let (moved, [stdout, stderr]) = {
            let state = self.state.lock();
            (state.moved, [0, 1].map(|stream| Bytes::copy_from_slice(&state.heads[stream])))
        };
        match moved {
            None => [stdout, stderr],
            Some([(out_at, out_length), (err_at, err_length)]) => {
                [self.load(out_at, out_length).await.unwrap_or_default(), self.load(err_at, err_length).await.unwrap_or_default()]
            }
        }
    }

    /// Moves what is in memory to the disk, once nothing more will come. Says whether it is there.
    pub(crate) async fn settle(&self) -> bool {
        let (both, at, lengths) = {
            let state = self.state.lock();
            if state.moved.is_some() {
                return true;
            }
            (Bytes::from(state.heads.concat()), state.filled, [0, 1].map(|stream| state.heads[stream].len()))
        };
        let total = both.len() as u64;
        let written = self.write(at, both).await;
        if written {
            let mut state = self.state.lock();
            state.moved = Some([(at, lengths[0]), (at + lengths[0] as u64, lengths[1])]);
            state.heads = [Vec::new(), Vec::new()];
            state.filled = at + total;
            state.file = None;
        }
        written
    }

    /// Gives a reader its place. The first from the beginning of a streamed job takes the one that is held for it.
    pub(super) fn attach(&self, since: u64) -> (u64, u64) {
        let mut state = self.state.lock();
        if since == 0 && std::mem::take(&mut state.reserved) {
            return (0, 0);
        }
        let (id, at, live) = (state.next_reader, since.min(state.total), state.windowed);
        state.next_reader += 1;
        state.readers.push(Cursor { id, at, live, progress: Instant::now() });
        (id, at)
    }

    /// Takes a reader's place away.
    pub(super) fn detach(&self, id: u64) {
        self.state.lock().leave(id);
        self.read.notify_one();
    }

    /// Whether somebody reads.
    pub(crate) fn attached(&self) -> bool {
        let state = self.state.lock();
        state.readers.len() > usize::from(state.reserved)
    }

    /// What is at a position. For a reader, everything before it is done with.
    pub(super) fn find(&self, reader: Option<u64>, at: u64, limit: usize) -> Found {
        let mut state = self.state.lock();
        if let Some(id) = reader
            && state.windowed
        {
            state.advance(id, at);
            self.read.notify_one();
        }
        state.find(at, limit)
    }

    /// Reads what is on disk.
    pub(super) async fn load(&self, at: u64, length: usize) -> Option<Bytes> {
        let path = self.spill.clone();
        let load = move || {
            let mut bytes = vec![0; length];
            File::open(path)?.read_exact_at(&mut bytes, at)?;
            std::io::Result::Ok(Bytes::from(bytes))
        };
        tokio::task::spawn_blocking(load).await.ok()?.inspect_err(|error| tracing::warn!(%error, "a job's output cannot be read")).ok()
    }

    async fn write(&self, at: u64, bytes: Bytes) -> bool {
        let (path, file) = (self.spill.clone(), self.state.lock().file.clone());
        let write = move || {
            let open = || OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(path);
            let file = file.map_or_else(|| open().map(Arc::new), Ok)?;
            file.write_all_at(&bytes, at)?;
            std::io::Result::Ok(file)
        };
        let written = tokio::task::spawn_blocking(write).await.map_err(std::io::Error::other).flatten();
        let mut state = self.state.lock();
        state.on_disk = true; // even a failure may have left a part of a file
        match written {
            Ok(file) => {
                state.file = Some(file);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "a job's output cannot be kept");
                state.broken = true;
                false
            }
        }
    }

    /// How long the writer may wait before `length` more bytes; nothing when it need not.
    fn must_wait(&self, length: usize, begun: Instant) -> Option<Duration> {
        let mut state = self.state.lock();
        let (waits, total, pieces, now) = (state.waits, state.total, state.window.len(), Instant::now());
        let behind = |reader: &&mut Cursor| {
            let lag = usize::try_from(total - reader.at).unwrap_or(usize::MAX);
            waits && reader.live && lag > 0 && (lag.saturating_add(length) > WINDOW || pieces >= WINDOW_PIECES)
        };
        let patience = |reader: &mut Cursor| {
            let left = (reader.progress.max(begun) + PATIENCE).saturating_duration_since(now);
            reader.live = !left.is_zero();
            reader.live.then_some(left)
        };
        let wait = state.readers.iter_mut().filter(behind).filter_map(patience).min();
        if wait.is_some() {
            state.blocked_since.get_or_insert(now);
        }
        wait
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.state.lock().on_disk {
            let _gone = std::fs::remove_file(&self.spill);
        }
    }
}

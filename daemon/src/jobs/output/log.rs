//! The retained log of one job and its live window.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use loopsy_shared::api::execute::OutputStream;
use tokio::sync::Notify;

use super::{HEAD, OutputPiece, PATIENCE, PIECE, RECORDS, RETAINED, WINDOW, WINDOW_PIECES, utf8};
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

#[derive(Debug, Default)]
struct State {
    /// The first MiB of each stream, while in memory.
    heads: [Vec<u8>; 2],
    /// Once the heads are on disk: where, and how long they are.
    moved: Option<[(u64, usize); 2]>,
    full: [bool; 2],
    records: Vec<Record>,
    total: u64,
    file: Option<Arc<File>>,
    /// Bytes in the file.
    filled: u64,
    on_disk: bool,
    broken: bool,
    window: VecDeque<(u64, OutputStream, Bytes)>,
    window_bytes: usize,
    readers: Vec<Cursor>,
    next_reader: u64,
    /// Whether newest output is held for readers.
    windowed: bool,
    /// Whether the writer waits for live readers.
    waits: bool,
    /// Whether the first reader's place is still held for it.
    reserved: bool,
    blocked: Duration,
    blocked_since: Option<Instant>,
    ended: bool,
}

/// Neighbouring output of one stream in one place. It ends where the next begins.
#[derive(Debug, Clone, Copy)]
struct Record {
    start: u64,
    at: u32,
    stream: OutputStream,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Head,
    File,
    Nowhere,
}

#[derive(Debug)]
struct Cursor {
    id: u64,
    at: u64,
    live: bool,
    progress: Instant,
}

/// What is at a position.
pub(super) enum Found {
    Piece(OutputPiece),
    /// Bytes in the file; `cut` when more of the same follow.
    OnDisk {
        stream: OutputStream,
        at: u64,
        length: usize,
        cut: bool,
    },
    Nothing,
    End,
}

const fn index(stream: OutputStream) -> usize {
    match stream {
        OutputStream::Stdout => 0,
        OutputStream::Stderr => 1,
    }
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

    /// Moves what is in memory to the disk, once nothing more will come.
    pub(crate) async fn settle(&self) {
        let (both, at, lengths) = {
            let state = self.state.lock();
            if state.moved.is_some() {
                return;
            }
            (Bytes::from(state.heads.concat()), state.filled, [0, 1].map(|stream| state.heads[stream].len()))
        };
        let total = both.len() as u64;
        if self.write(at, both).await {
            let mut state = self.state.lock();
            state.moved = Some([(at, lengths[0]), (at + lengths[0] as u64, lengths[1])]);
            state.heads = [Vec::new(), Vec::new()];
            state.filled = at + total;
            state.file = None;
        }
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
        match written {
            Ok(file) => {
                state.file = Some(file);
                state.on_disk = true;
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

impl State {
    fn unblock(&mut self) {
        self.blocked += self.blocked_since.take().map_or(Duration::ZERO, |since| since.elapsed());
    }

    /// Where bytes will go: how many into the head, how many into head and file together, and from where in the file.
    fn plan(&mut self, stream: OutputStream, bytes: &[u8]) -> (usize, usize, u64) {
        let stream = index(stream);
        if self.records.len() >= RECORDS {
            return (0, 0, 0);
        }
        let head = if self.full[stream] { 0 } else { utf8::floor(bytes, HEAD - self.heads[stream].len()) };
        self.full[stream] |= head < bytes.len();
        let used = self.filled + (self.heads[0].len() + self.heads[1].len() + head) as u64;
        let room = if self.broken { 0 } else { usize::try_from(RETAINED.saturating_sub(used)).unwrap_or(usize::MAX) };
        (head, head + utf8::floor(&bytes[head..], room), self.filled)
    }

    fn commit(&mut self, stream: OutputStream, bytes: &Bytes, head: usize, kept: usize) {
        let start = self.total;
        self.record(stream, Place::Head, self.heads[index(stream)].len() as u64, head);
        self.heads[index(stream)].extend_from_slice(&bytes[..head]);
        self.record(stream, Place::File, self.filled, kept - head);
        self.filled += (kept - head) as u64;
        self.record(stream, Place::Nowhere, 0, bytes.len() - kept);
        if self.windowed && !self.readers.is_empty() {
            self.window.push_back((start, stream, bytes.clone()));
            self.window_bytes += bytes.len();
            self.trim();
        }
    }

    fn record(&mut self, stream: OutputStream, place: Place, at: u64, length: usize) {
        let (start, at) = (self.total, u32::try_from(at).unwrap_or(u32::MAX));
        let joins = |last: &Record| last.place == place && (place == Place::Nowhere || last.stream == stream && u64::from(at - last.at) == start - last.start);
        if length > 0 && !self.records.last().is_some_and(joins) {
            self.records.push(Record { start, at, stream, place });
        }
        self.total += length as u64;
    }

    /// Forgets what all readers have seen, and what is too much.
    fn trim(&mut self) {
        let seen = self.readers.iter().map(|reader| reader.at).min().unwrap_or(u64::MAX);
        while let Some((start, _, bytes)) = self.window.front()
            && (start + bytes.len() as u64 <= seen || self.window_bytes > WINDOW || self.window.len() > WINDOW_PIECES)
        {
            self.window_bytes -= bytes.len();
            self.window.pop_front();
        }
    }

    fn advance(&mut self, id: u64, at: u64) {
        let oldest = self.window.front().map_or(self.total, |(start, ..)| *start);
        if let Some(reader) = self.readers.iter_mut().find(|reader| reader.id == id) {
            if at > reader.at {
                reader.at = at;
                reader.progress = Instant::now();
            }
            reader.live |= at >= oldest;
        }
        self.trim();
    }

    fn leave(&mut self, id: u64) {
        self.readers.retain(|reader| reader.id != id);
        self.trim();
    }

    fn find(&self, at: u64, limit: usize) -> Found {
        if at >= self.total {
            return if self.ended { Found::End } else { Found::Nothing };
        }
        let limit = limit.min(PIECE);
        let piece = |stream, bytes: Bytes| Found::Piece(OutputPiece { stream, next: at + bytes.len() as u64, bytes, dropped: 0 });
        let newer = self.window.partition_point(|(start, ..)| *start <= at);
        if let Some((start, stream, bytes)) = newer.checked_sub(1).and_then(|index| self.window.get(index)) {
            let rest = bytes.slice(offset(*start, at)..);
            return piece(*stream, rest.slice(..utf8::floor(&rest, limit)));
        }
        let newer = self.records.partition_point(|record| record.start <= at);
        let Some(record) = newer.checked_sub(1).and_then(|index| self.records.get(index)) else { return Found::Nothing };
        let window = self.window.front().map_or(self.total, |(start, ..)| *start);
        let end = self.records.get(newer).map_or(self.total, |next| next.start).min(window);
        let (from, length) = (record.at as usize + offset(record.start, at), offset(at, end));
        match (record.place, self.moved) {
            (Place::Nowhere, _) => Found::Piece(OutputPiece { stream: record.stream, bytes: Bytes::new(), next: end, dropped: end - at }),
            (Place::File, _) => Found::OnDisk { stream: record.stream, at: from as u64, length: length.min(limit), cut: length > limit },
            (Place::Head, Some(moved)) => {
                let at = moved[index(record.stream)].0 + from as u64;
                Found::OnDisk { stream: record.stream, at, length: length.min(limit), cut: length > limit }
            }
            (Place::Head, None) => {
                let rest = &self.heads[index(record.stream)][from..from + length];
                piece(record.stream, Bytes::copy_from_slice(&rest[..utf8::floor(rest, limit)]))
            }
        }
    }
}

/// The distance between two positions in the same record.
fn offset(start: u64, at: u64) -> usize {
    usize::try_from(at - start).unwrap_or(usize::MAX)
}

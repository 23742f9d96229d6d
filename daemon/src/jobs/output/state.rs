//! What is known of a job's output at one moment. Nothing here waits or touches a disk.

use std::{
    collections::VecDeque,
    fs::File,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use loopsy_shared::api::execute::OutputStream;

use super::{HEAD, OutputPiece, PIECE, RECORDS, RETAINED, WINDOW, WINDOW_PIECES, utf8};

#[derive(Debug, Default)]
pub(super) struct State {
    /// The first MiB of each stream, while in memory.
    pub(super) heads: [Vec<u8>; 2],
    /// Once the heads are on disk: where, and how long they are.
    pub(super) moved: Option<[(u64, usize); 2]>,
    pub(super) full: [bool; 2],
    pub(super) records: Vec<Record>,
    pub(super) total: u64,
    pub(super) file: Option<Arc<File>>,
    /// Bytes in the file.
    pub(super) filled: u64,
    pub(super) on_disk: bool,
    pub(super) broken: bool,
    pub(super) window: VecDeque<(u64, OutputStream, Bytes)>,
    pub(super) window_bytes: usize,
    pub(super) readers: Vec<Cursor>,
    pub(super) next_reader: u64,
    /// Whether newest output is held for readers.
    pub(super) windowed: bool,
    /// Whether the writer waits for live readers.
    pub(super) waits: bool,
    /// Whether the first reader's place is still held for it.
    pub(super) reserved: bool,
    pub(super) blocked: Duration,
    pub(super) blocked_since: Option<Instant>,
    pub(super) ended: bool,
}

/// Neighbouring output of one stream in one place. It ends where the next begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) start: u64,
    pub(super) at: u32,
    pub(super) stream: OutputStream,
    pub(super) place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Head,
    File,
    Nowhere,
}

#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) id: u64,
    pub(super) at: u64,
    pub(super) live: bool,
    pub(super) progress: Instant,
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

impl State {
    pub(super) fn unblock(&mut self) {
        self.blocked += self.blocked_since.take().map_or(Duration::ZERO, |since| since.elapsed());
    }

    /// Where bytes will go: how many into the head, how many into head and file together, and from where in the file.
    pub(super) fn plan(&mut self, stream: OutputStream, bytes: &[u8]) -> (usize, usize, u64) {
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

    pub(super) fn commit(&mut self, stream: OutputStream, bytes: &Bytes, head: usize, kept: usize) {
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
    pub(super) fn trim(&mut self) {
        let seen = self.readers.iter().map(|reader| reader.at).min().unwrap_or(u64::MAX);
        while let Some((start, _, bytes)) = self.window.front()
            && (start + bytes.len() as u64 <= seen || self.window_bytes > WINDOW || self.window.len() > WINDOW_PIECES)
        {
            self.window_bytes -= bytes.len();
            self.window.pop_front();
        }
    }

    pub(super) fn advance(&mut self, id: u64, at: u64) {
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

    pub(super) fn leave(&mut self, id: u64) {
        self.readers.retain(|reader| reader.id != id);
        self.trim();
    }

    pub(super) fn find(&self, at: u64, limit: usize) -> Found {
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

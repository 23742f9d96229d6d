//! What happened in one task, on disk, in the very bytes that a stream of it sends.
//!
//! Every event is one server-sent frame with its number as id. Frames are written before anybody sees them, so that a number is never given twice; readers go at
//! their own pace and hold nothing but their place. The newest frames are also in memory, the others are read from the files. When the log is full, its oldest
//! file goes, and a reader who stood there is told of the gap.

use std::{
    collections::VecDeque,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use loopsy_shared::{
    api::ai_tasks::{TaskEvent, TaskEventKind},
    id::TaskId,
    time::{self, Millis},
};
use serde_json::Value;
use tokio::sync::watch;

use crate::agents::driver::NewEvent;

/// The newest frames that are kept in memory, in bytes: readers that keep up never touch the disk.
const TAIL_BYTES: usize = 1 << 20;
/// What a reader takes from a file at once, in bytes. A longer frame is taken whole.
const CHUNK_BYTES: usize = 256 << 10;
/// Small pieces in memory are given together up to this many bytes. A larger one is given without a copy, as all its readers have it.
const JOIN_BYTES: usize = 32 << 10;
/// A log of so many files is full: the oldest goes.
const SEGMENTS: u64 = 8;
/// Events between two marks by which a place is found.
const MARK_EVERY: u64 = 256;
/// Longest frame that is believed when a file is read again, in bytes.
const LONGEST_FRAME: usize = 64 << 20;

/// The events of one task. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Log(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    task: TaskId,
    dir: PathBuf,
    /// Bytes of all files together, roughly.
    most: u64,
    state: Mutex<State>,
    /// Held while frames are on their way to the disk, so that they get there in the order of their numbers.
    writing: tokio::sync::Mutex<()>,
    end: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    segments: VecDeque<Segment>,
    tail: VecDeque<(u64, Bytes)>,
    tail_bytes: usize,
    /// Bytes that were ever written.
    end: u64,
    last: u64,
}

/// One file.
#[derive(Debug, Clone)]
struct Segment {
    path: PathBuf,
    file: Arc<File>,
    /// Where its first byte is in the whole log.
    start: u64,
    /// Number of its first event.
    first: u64,
    length: u64,
    marks: Vec<Mark>,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    seq: u64,
    at: u64,
    time: Millis,
}

/// Where a reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    offset: u64,
    /// Number of the last event that it has.
    seen: u64,
}

/// What lies behind a place.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Whole frames.
    Frames(Bytes),
    /// Events that are no longer kept: the first and the last of them.
    Gap(u64, u64),
    /// Nothing yet.
    End,
}

impl Log {
    /// Opens the log of a task in its directory, which is made. A frame that was cut by a crash is taken away. Blocks.
    pub(crate) fn open(task: &TaskId, dir: &Path, most: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let mut firsts: Vec<u64> =
            fs::read_dir(dir)?.flatten().filter_map(|entry| entry.file_name().to_str()?.strip_prefix("events-")?.strip_suffix(".sse")?.parse().ok()).collect();
        firsts.sort_unstable();
        let mut state = State::default();
        for first in firsts {
            let path = file_of(dir, first);
            let file = OpenOptions::new().read(true).append(true).open(&path)?;
            let (length, marks, last) = scan(&file, first)?;
            file.set_len(length)?;
            state.last = state.last.max(last);
            state.segments.push_back(Segment { path, file: Arc::new(file), start: state.end, first, length, marks });
            state.end += length;
        }
        let end = watch::Sender::new(state.end);
        Ok(Self(Arc::new(Shared { task: task.clone(), dir: dir.to_owned(), most, state: Mutex::new(state), writing: tokio::sync::Mutex::default(), end })))
    }

    /// Numbers events, stores them, and lets readers see them. Returns the number of the last one.
    pub(crate) async fn append(&self, events: Vec<NewEvent>) -> io::Result<u64> {
        let _in_order = self.0.writing.lock().await;
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.write(events)).await.map_err(io::Error::other)?
    }

    fn write(&self, events: Vec<NewEvent>) -> io::Result<u64> {
        let (mut seq, mut segment) = {
            let state = self.state();
            (state.last, state.segments.back().filter(|segment| segment.length < self.0.most / SEGMENTS).cloned())
        };
        let now = time::now();
        let mut frames = Vec::with_capacity(events.len() * 192);
        let mut marks = Vec::new();
        let first = seq + 1;
        let task_id = self.0.task.clone();
        let mut event = TaskEvent { seq, kind: TaskEventKind::System, task_id, timestamp: now, data: Value::Null, block: None };
        for new in events {
            seq += 1;
            if seq % MARK_EVERY == 0 || seq == first {
                marks.push(Mark { seq, at: frames.len() as u64, time: now });
            }
            (event.seq, event.kind, event.data, event.block) = (seq, new.kind, new.data, new.block);
            write!(frames, "id: {seq}\ndata: ")?;
            serde_json::to_writer(&mut frames, &event)?;
            frames.extend_from_slice(b"\n\n");
        }
        let new = segment.is_none();
        let target = match &mut segment {
            Some(segment) => segment,
            None => {
                let path = file_of(&self.0.dir, first);
                let file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(&path)?;
                segment.insert(Segment { path, file: Arc::new(file), start: 0, first, length: 0, marks: Vec::new() })
            }
        };
        if let Err(error) = (&*target.file).write_all(&frames) {
            // Half a frame must not be in the way of the next one.
            let _as_good_as_it_gets = target.file.set_len(target.length);
            return Err(error);
        }
        let gone = self.publish(segment.filter(|_| new), seq, marks, frames.into());
        for segment in gone {
            if let Err(error) = fs::remove_file(&segment.path) {
                tracing::warn!(path = %segment.path.display(), %error, "an old part of a task's events cannot be removed");
            }
        }
        Ok(seq)
    }

    /// Lets readers see what was written. Returns the files that are too many.
    fn publish(&self, new: Option<Segment>, last: u64, marks: Vec<Mark>, frames: Bytes) -> Vec<Segment> {
        let mut state = self.state();
        let end = state.end;
        if let Some(segment) = new {
            state.segments.push_back(Segment { start: end, ..segment });
        }
        if let Some(segment) = state.segments.back_mut() {
            let base = segment.length;
            segment.length += frames.len() as u64;
            segment.marks.extend(marks.into_iter().map(|mark| Mark { at: base + mark.at, ..mark }));
        }
        state.end += frames.len() as u64;
        state.last = last;
        state.tail_bytes += frames.len();
        state.tail.push_back((end, frames));
        while state.tail_bytes > TAIL_BYTES && state.tail.len() > 1 {
            if let Some((_, old)) = state.tail.pop_front() {
                state.tail_bytes -= old.len();
            }
        }
        let mut gone = Vec::new();
        while state.segments.len() as u64 > SEGMENTS {
            gone.extend(state.segments.pop_front());
        }
        // Sent under the lock, so that the end never goes back.
        self.0.end.send_replace(state.end);
        gone
    }

    /// Number of the newest event; 0 before the first.
    pub(crate) fn last(&self) -> u64 {
        self.state().last
    }

    /// Bytes on disk.
    #[cfg(test)]
    pub(crate) fn size(&self) -> u64 {
        self.state().segments.iter().map(|segment| segment.length).sum()
    }

    /// The place behind an event.
    pub(crate) async fn after(&self, seq: u64) -> io::Result<Place> {
        self.find(seq, move |found, _| found > seq).await
    }

    /// The place before the first event that is younger than a time.
    pub(crate) async fn since(&self, since: Millis) -> io::Result<Place> {
        self.find(0, move |_, time| time > since).await
    }

    /// The place before the first event for which `wanted` holds; it holds for all after it. `seen` is what the reader has.
    async fn find(&self, seen: u64, wanted: impl Fn(u64, Millis) -> bool + Send + 'static) -> io::Result<Place> {
        let (start, segment) = {
            let state = self.state();
            if seen >= state.last {
                return Ok(Place { offset: state.end, seen: state.last });
            }
            let Some(first) = state.segments.front() else { return Ok(Place { offset: state.end, seen: state.last }) };
            if seen + 1 < first.first && wanted(first.first, 0) {
                return Ok(Place { offset: first.start, seen }); // the gap is told when it is read
            }
            let marks = state.segments.iter().flat_map(|segment| segment.marks.iter().map(move |mark| (segment, mark)));
            let before = marks.take_while(|(_, mark)| !wanted(mark.seq, mark.time)).last();
            match before {
                Some((segment, mark)) => (segment.start + mark.at, segment.clone()),
                None => return Ok(Place { offset: first.start, seen: first.first - 1 }),
            }
        };
        // At most so many frames lie between two marks; they are in one file, or the last of one and the first of the next.
        let place = tokio::task::spawn_blocking(move || -> io::Result<Place> {
            let mut place = Place { offset: start, seen };
            loop {
                let chunk = read_frames(&segment, place.offset - segment.start)?;
                if chunk.is_empty() {
                    return Ok(place);
                }
                for frame in frames(&chunk) {
                    let (number, time) = numbers(frame);
                    if wanted(number, time) {
                        return Ok(place);
                    }
                    place = Place { offset: place.offset + frame.len() as u64, seen: number };
                }
            }
        });
        place.await.map_err(io::Error::other)?
    }

    /// What comes next, and moves on.
    pub(crate) async fn read(&self, place: &mut Place) -> io::Result<Piece> {
        let segment = {
            let state = self.state();
            let Some(first) = state.segments.front() else { return Ok(Piece::End) };
            if place.offset < first.start || place.seen + 1 < first.first {
                let gap = Piece::Gap(place.seen + 1, first.first - 1);
                *place = Place { offset: first.start, seen: first.first - 1 };
                return Ok(gap);
            }
            if place.offset >= state.end {
                return Ok(Piece::End);
            }
            if let Some(piece) = from_tail(&state.tail, place.offset) {
                *place = Place { offset: place.offset + piece.len() as u64, seen: last_number(&piece).unwrap_or(place.seen) };
                return Ok(Piece::Frames(piece));
            }
            state.segments.iter().rev().find(|segment| segment.start <= place.offset).cloned()
        };
        let Some(segment) = segment else { return Ok(Piece::End) };
        let at = place.offset - segment.start;
        let frames: Bytes = tokio::task::spawn_blocking(move || read_frames(&segment, at)).await.map_err(io::Error::other)??.into();
        if frames.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the events on disk are damaged"));
        }
        *place = Place { offset: place.offset + frames.len() as u64, seen: last_number(&frames).unwrap_or(place.seen) };
        Ok(Piece::Frames(frames))
    }

    /// Waits until there is something behind a place.
    pub(crate) async fn changed_since(&self, place: Place) {
        let mut end = self.0.end.subscribe();
        // The sender lives as long as `self`, so this cannot fail while we wait.
        let _always_ok = end.wait_for(|end| *end > place.offset).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the tail has from a place on: as much as it pays to copy together, or what was written at once, as it is. Nothing when the place is before it.
fn from_tail(tail: &VecDeque<(u64, Bytes)>, offset: u64) -> Option<Bytes> {
    let found = tail.partition_point(|(start, _)| *start <= offset).checked_sub(1)?;
    let (start, frames) = tail.get(found)?;
    let first = frames.slice(usize::try_from(offset - start).ok()?.min(frames.len())..);
    let following = || tail.range(found + 1..).map(|(_, frames)| frames);
    if first.len() >= JOIN_BYTES || following().next().is_none_or(|next| first.len() + next.len() > JOIN_BYTES) {
        return Some(first);
    }
    let mut joined = Vec::with_capacity(JOIN_BYTES);
    joined.extend_from_slice(&first);
    for frames in following() {
        if joined.len() + frames.len() > JOIN_BYTES {
            break;
        }
        joined.extend_from_slice(frames);
    }
    Some(joined.into())
}

fn file_of(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("events-{first:012}.sse"))
}

/// Whole frames from a place in a file on; nothing at its end.
fn read_frames(segment: &Segment, at: u64) -> io::Result<Vec<u8>> {
    let left = usize::try_from(segment.length.saturating_sub(at)).unwrap_or(usize::MAX);
    let mut most = CHUNK_BYTES;
    loop {
        let mut chunk = vec![0; most.min(left)];
        segment.file.read_exact_at(&mut chunk, at)?;
        match memmem_last(&chunk) {
            Some(end) => {
                chunk.truncate(end);
                return Ok(chunk);
            }
            None if most < left => most *= 2,
            None => return Ok(Vec::new()),
        }
    }
}

/// Behind the last end of a frame.
fn memmem_last(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).rposition(|pair| pair == b"\n\n").map(|at| at + 2)
}

fn frames(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let end = bytes.windows(2).position(|pair| pair == b"\n\n")? + 2;
        let (frame, rest) = bytes.split_at(end);
        bytes = rest;
        Some(frame)
    })
}

/// Number and time of a frame.
fn numbers(frame: &[u8]) -> (u64, Millis) {
    #[derive(serde::Deserialize)]
    struct Head {
        seq: u64,
        timestamp: Millis,
    }
    let json = frame.iter().position(|byte| *byte == b'\n').and_then(|end| frame.get(end + 1..)).and_then(|line| line.strip_prefix(b"data: "));
    json.and_then(|json| serde_json::from_slice::<Head>(json).ok()).map_or((0, 0), |head| (head.seq, head.timestamp))
}

/// The number of the last of some frames.
fn last_number(frames: &[u8]) -> Option<u64> {
    let body = frames.strip_suffix(b"\n\n")?;
    let start = body.windows(2).rposition(|pair| pair == b"\n\n").map_or(0, |at| at + 2);
    let line = body.get(start..)?.strip_prefix(b"id: ")?;
    let digits = line.split(|byte| *byte == b'\n').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Reads a file again: how far it is whole, marks, and the number of its last event.
fn scan(file: &File, first: u64) -> io::Result<(u64, Vec<Mark>, u64)> {
    let size = file.metadata()?.len();
    let (mut at, mut marks, mut last) = (0, Vec::new(), first.saturating_sub(1));
    let mut most = CHUNK_BYTES;
    while at < size {
        let mut chunk = vec![0; most.min(usize::try_from(size - at).unwrap_or(usize::MAX))];
        file.read_exact_at(&mut chunk, at)?;
        let Some(end) = memmem_last(&chunk) else {
            if chunk.len() < most || most >= LONGEST_FRAME {
                break; // a frame that was cut
            }
            most *= 2;
            continue;
        };
        for frame in frames(&chunk[..end]) {
            let (seq, time) = numbers(frame);
            if seq != last + 1 {
                return Ok((at, marks, last)); // what follows is not ours
            }
            if seq % MARK_EVERY == 0 || seq == first {
                marks.push(Mark { seq, at, time });
            }
            last = seq;
            at += frame.len() as u64;
        }
        most = CHUNK_BYTES;
    }
    Ok((at, marks, last))
}

/// The events in some frames.
pub(crate) fn parse(bytes: &[u8]) -> impl Iterator<Item = TaskEvent> {
    frames(bytes).filter_map(|frame| {
        let line = frame.split(|byte| *byte == b'\n').nth(1)?.strip_prefix(b"data: ")?;
        serde_json::from_slice(line).ok()
    })
}

#[cfg(test)]
mod tests;

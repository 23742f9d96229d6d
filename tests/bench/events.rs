//! A reader of a task's events that keeps all bytes and the time of each read, and looks at them only when the clock no longer runs.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    ops::Range,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, poll};
use serde_json::Value;

use crate::{
    Result,
    wire::{Target, find},
};

/// No stream is silent for this long: heartbeats come in between.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is read at once. No more than a fast reader would take.
const READ: usize = 256 << 10;

/// The stream of one task.
#[derive(Debug)]
pub(crate) struct Events {
    stream: TcpStream,
    /// The answer as it came, head and chunks.
    raw: Vec<u8>,
    /// How long it was at which time.
    marks: Vec<(usize, Instant)>,
    buffer: Box<[u8]>,
}

/// One event of a stream.
#[derive(Debug)]
pub(crate) struct Event {
    /// Its JSON.
    pub(crate) json: Value,
    /// When its last byte was here.
    pub(crate) at: Instant,
    /// Its number, from the frame; 0 for what is not stored.
    pub(crate) id: u64,
}

impl Event {
    pub(crate) fn text(&self) -> Option<&str> {
        self.json["data"].as_str().filter(|_| self.json["type"] == "text")
    }
}

impl Events {
    /// Asks for the events of a task from the first on.
    pub(crate) fn of(target: &Target, task: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(target.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&target.get(&format!("/ai-tasks/{task}/stream")))?;
        Ok(Self { stream, raw: Vec::new(), marks: Vec::new(), buffer: vec![0; READ].into() })
    }

    /// Reads once. False at the end.
    pub(crate) fn read(&mut self) -> Result<bool> {
        if self.is_over() {
            return Ok(false);
        }
        match self.stream.read(&mut self.buffer) {
            Ok(0) => Err("a stream broke off".into()),
            Ok(count) => {
                self.raw.extend_from_slice(&self.buffer[..count]);
                self.marks.push((self.raw.len(), Instant::now()));
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads until a text has come.
    pub(crate) fn until(&mut self, text: &[u8]) -> Result<()> {
        let mut from = 0;
        while find(&self.raw[from..], text).is_none() {
            from = self.raw.len().saturating_sub(text.len());
            if !self.read()? {
                return Err(format!("the stream ended without {}", String::from_utf8_lossy(text)).into());
            }
        }
        Ok(())
    }

    /// Reads until the end.
    pub(crate) fn finish(&mut self) -> Result<()> {
        // Room enough, so that the reader is not what is measured.
        self.raw.reserve(8 << 20);
        while self.read()? {}
        Ok(())
    }

    /// Reads several streams until all have ended, on one thread, so that the node has the other core.
    pub(crate) fn finish_all(all: &mut [Self]) -> Result<()> {
        all.iter_mut().for_each(|one| one.raw.reserve(8 << 20));
        let mut open: Vec<&mut Self> = all.iter_mut().collect();
        while !open.is_empty() {
            let mut waiting: Vec<PollFd<'_>> = open.iter().map(|one| PollFd::new(&one.stream, PollFlags::IN)).collect();
            poll(&mut waiting, None)?;
            let ready: Vec<bool> = waiting.iter().map(|one| !one.revents().is_empty()).collect();
            let mut still = Vec::with_capacity(open.len());
            for (one, ready) in open.into_iter().zip(ready) {
                if !ready || (one.read()? && !one.is_over()) {
                    still.push(one);
                }
            }
            open = still;
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.raw.ends_with(b"\r\n0\r\n\r\n")
    }

    /// The events so far, but the comments.
    pub(crate) fn all(&self) -> Result<Vec<Event>> {
        self.decode().map(|(events, _)| events)
    }

    /// The events since the last call.
    pub(crate) fn take(&mut self) -> Result<Vec<Event>> {
        let (events, range) = self.decode()?;
        self.marks.clear();
        self.raw.drain(range);
        Ok(events)
    }

    /// The whole events, and where their bytes are.
    fn decode(&self) -> Result<(Vec<Event>, Range<usize>)> {
        let head = find(&self.raw, b"\r\n\r\n").ok_or("no head")? + 4;
        if !self.raw.starts_with(b"HTTP/1.1 200") {
            return Err(format!("refused: {}", String::from_utf8_lossy(&self.raw[..head])).into());
        }
        let (mut body, mut chunks, mut at) = (Vec::new(), Vec::new(), head);
        while let Some(end) = find(&self.raw[at..], b"\r\n") {
            let start = at + end + 2;
            let length = usize::from_str_radix(std::str::from_utf8(&self.raw[at..at + end])?, 16)?;
            let Some(chunk) = self.raw.get(start..start + length).filter(|chunk| !chunk.is_empty()) else { break };
            if self.raw.len() < start + length + 2 {
                break;
            }
            chunks.push((body.len(), start));
            body.extend_from_slice(chunk);
            at = start + length + 2;
        }
        let (mut events, mut from, mut chunk, mut mark) = (Vec::new(), 0, 0, 0);
        while let Some(length) = find(&body[from..], b"\n\n") {
            let frame = &body[from..from + length];
            from += length + 2;
            while chunks.get(chunk + 1).is_some_and(|(start, _)| *start < from) {
                chunk += 1;
            }
            let last_byte = chunks[chunk].1 + (from - chunks[chunk].0);
            while self.marks.get(mark).is_some_and(|(length, _)| *length < last_byte) {
                mark += 1;
            }
            let Some((_, at)) = self.marks.get(mark) else { break };
            let mut event = (0, None);
            for line in frame.split(|byte| *byte == b'\n') {
                if let Some(id) = line.strip_prefix(b"id: ") {
                    event.0 = std::str::from_utf8(id)?.parse()?;
                } else if let Some(json) = line.strip_prefix(b"data: ") {
                    event.1 = Some(serde_json::from_slice(json)?);
                }
            }
            if let (id, Some(json)) = event {
                events.push(Event { json, at: *at, id });
            }
        }
        // The node sends whole frames only, so a whole chunk leaves no rest.
        if from == body.len() { Ok((events, head..at)) } else { Err("a chunk ended within a frame".into()) }
    }
}

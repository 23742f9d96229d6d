//! Lines of an agent, whatever it prints: garbage, a hundred megabytes without an end, half a line at its exit.

use std::{borrow::Cow, io};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

/// What is read at once, in bytes.
const CHUNK: usize = 64 << 10;
/// Longest line that is taken, in bytes. A longer one is left out, and said to be.
const LONGEST: usize = 16 << 20;

/// Cuts what a pipe gives into lines.
#[derive(Debug)]
pub(super) struct Lines {
    pipe: pipe::Receiver,
    chunk: Box<[u8]>,
    buffer: Vec<u8>,
    /// Bytes of a line that is too long, so far.
    skipped: usize,
    over: bool,
}

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// As it came; bytes that are not UTF-8 are replaced.
    Whole(String),
    /// So many bytes were left out.
    TooLong(usize),
}

impl Lines {
    pub(super) fn new(pipe: pipe::Receiver) -> Self {
        Self { pipe, chunk: vec![0; CHUNK].into(), buffer: Vec::new(), skipped: 0, over: false }
    }

    /// The lines that are there, at least one; none at the end. Nothing is lost when the caller stops waiting.
    pub(super) async fn next(&mut self) -> io::Result<Vec<Line>> {
        while !self.over {
            let count = self.pipe.read(&mut self.chunk).await?;
            self.over = count == 0;
            let chunk = std::mem::take(&mut self.chunk);
            let lines = self.take(&chunk[..count]);
            self.chunk = chunk;
            if !lines.is_empty() {
                return Ok(lines);
            }
        }
        Ok(Vec::new())
    }

    fn take(&mut self, mut bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.keep(&bytes[..end]);
            lines.extend(self.line());
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
        if self.over {
            lines.extend(self.line());
        }
        lines
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.skipped > 0 || self.buffer.len() + bytes.len() > LONGEST {
            self.skipped += self.buffer.len() + bytes.len();
            self.buffer = Vec::new();
        } else {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The line that has come to its end, unless it is blank.
    fn line(&mut self) -> Option<Line> {
        let skipped = std::mem::take(&mut self.skipped);
        if skipped > 0 {
            return Some(Line::TooLong(skipped));
        }
        // Nearly always valid, and quicker to see in this way.
        let text = std::str::from_utf8(&self.buffer).map_or_else(|_| String::from_utf8_lossy(&self.buffer), Cow::Borrowed);
        let text = text.trim_end_matches('\r').to_owned();
        self.buffer.clear();
        if self.buffer.capacity() > 4 * CHUNK {
            self.buffer = Vec::new();
        }
        (!text.trim().is_empty()).then_some(Line::Whole(text))
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use proptest::prelude::*;

    use super::*;

    fn lines() -> Lines {
        let (ours, _theirs) = io::pipe().expect("a pipe");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let _inside = runtime.enter();
        Lines::new(pipe::Receiver::from_owned_fd(OwnedFd::from(ours)).expect("readable"))
    }

    #[test]
    fn half_a_line_at_the_end_is_a_line_and_a_huge_one_is_said_to_be() {
        let mut reader = lines();
        assert_eq!(reader.take(b"one\r\n\n  \ntwo"), [Line::Whole("one".to_owned())]);
        reader.over = true;
        assert_eq!(reader.take(b"."), [Line::Whole("two.".to_owned())]);
        let mut reader = lines();
        for _ in 0..5 {
            assert_eq!(reader.take(&vec![b'x'; 5 << 20]), []);
        }
        assert!(reader.buffer.capacity() <= LONGEST);
        assert_eq!(reader.take(b"\nafter\n"), [Line::TooLong(25 << 20), Line::Whole("after".to_owned())]);
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(text in "[a-zä\n\r ]{0,200}", cuts in proptest::collection::vec(0..400_usize, 0..8)) {
            let whole = |pieces: Vec<&[u8]>| {
                let mut reader = lines();
                let mut found: Vec<Line> = pieces.into_iter().flat_map(|piece| reader.take(piece)).collect();
                reader.over = true;
                found.extend(reader.take(b""));
                found
            };
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            cuts.push(bytes.len());
            let mut at = 0;
            let pieces = cuts.into_iter().map(|cut| &bytes[std::mem::replace(&mut at, cut)..cut]).collect();
            prop_assert_eq!(whole(pieces), whole(vec![bytes]));
        }
    }
}

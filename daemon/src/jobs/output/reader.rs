//! Reading a job's output: live, or a part at a time.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use loopsy_shared::api::execute::OutputChunk;

use super::{OutputPiece, PART, PIECE, encode, log::Output, state::Found, utf8};

/// What each chunk of a part counts beyond its bytes, so that tiny chunks cannot make a huge answer.
const CHUNK_COST: usize = 64;

/// Follows a job's output to its end. Dropping it lets the job go on without it.
#[derive(Debug)]
pub struct OutputReader {
    output: Arc<Output>,
    id: u64,
    at: u64,
}

impl OutputReader {
    pub(crate) fn new(output: Arc<Output>, since: u64) -> Self {
        let (id, at) = output.attach(since);
        Self { output, id, at }
    }

    /// Waits for the next piece; nothing after the end. Safe to cancel.
    pub async fn next(&mut self) -> Option<OutputPiece> {
        let piece = self.output.next(Some(self.id), self.at, PIECE).await?;
        self.at = piece.next;
        Some(piece)
    }
}

impl Drop for OutputReader {
    fn drop(&mut self) {
        self.output.detach(self.id);
    }
}

/// Chunks from one position on.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) chunks: Vec<OutputChunk>,
    pub(crate) next: u64,
    pub(crate) dropped: u64,
    pub(crate) end: bool,
}

impl Output {
    /// Waits for the piece at a position; nothing at the end.
    async fn next(&self, reader: Option<u64>, at: u64, limit: usize) -> Option<OutputPiece> {
        loop {
            let mut grown = std::pin::pin!(self.grown.notified());
            grown.as_mut().enable();
            match self.find(reader, at, limit) {
                Found::Nothing => grown.await,
                Found::End => return None,
                found => return self.fetch(found, at).await,
            }
        }
    }

    /// Waits until there is something at a position, or the end.
    async fn wait(&self, at: u64) {
        let mut grown = std::pin::pin!(self.grown.notified());
        grown.as_mut().enable();
        if matches!(self.find(None, at, 1), Found::Nothing) {
            grown.await;
        }
    }

    async fn fetch(&self, found: Found, at: u64) -> Option<OutputPiece> {
        match found {
            Found::Piece(piece) => Some(piece),
            Found::Nothing | Found::End => None,
            Found::OnDisk { stream, at: place, length, cut } => {
                let Some(mut bytes) = self.load(place, length).await else {
                    let dropped = length as u64;
                    return Some(OutputPiece { stream, bytes: Bytes::new(), next: at + dropped, dropped });
                };
                if cut && length > utf8::LONGEST {
                    bytes.truncate(length - utf8::incomplete(&bytes));
                }
                Some(OutputPiece { stream, next: at + bytes.len() as u64, bytes, dropped: 0 })
            }
        }
    }

    /// What there is from a position on, up to the size of one part. Waits for something when there is nothing yet.
    pub(crate) async fn part(&self, since: u64, wait: Duration) -> Part {
        let mut part = Part { next: since.min(self.total()), ..Part::default() };
        let _nothing_came = tokio::time::timeout(wait, self.wait(part.next)).await;
        let mut room = PART;
        while room > utf8::LONGEST {
            let found = self.find(None, part.next, room);
            part.end = matches!(found, Found::End);
            let Some(piece) = self.fetch(found, part.next).await else { break };
            if piece.dropped > 0 && !part.chunks.is_empty() {
                break; // a part tells of what is missing at its beginning only
            }
            part.next = piece.next;
            part.dropped += piece.dropped;
            if piece.dropped == 0 {
                room = room.saturating_sub(piece.bytes.len() + CHUNK_COST);
                let (data, encoding) = encode(&piece.bytes);
                part.chunks.push(OutputChunk { stream: piece.stream, data, encoding });
            }
        }
        part
    }
}

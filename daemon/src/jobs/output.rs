//! What a job printed: kept in order, read again from any position, followed live. However much it is, memory and disk stay bounded.
//!
//! One writer (the [`pump`]), any number of readers. The first MiB of each stream is in memory, what follows in a private file, and past 64 MiB bytes are only counted.
//! Readers of a streamed job also see a short window of the newest output, and the writer waits for them, so one that keeps up gets everything.

mod log;
pub(super) mod pump;
mod reader;
mod state;
pub(super) mod utf8;

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use loopsy_shared::api::execute::{Encoding, OutputStream};

pub(super) use self::log::Output;
pub use self::reader::OutputReader;

/// Bytes of each stream that stay in memory and are part of a job's result.
pub(super) const HEAD: usize = 1 << 20;

/// Bytes of a job that are kept.
pub(super) const RETAINED: u64 = 64 << 20;

/// Changes between the streams that are remembered; past this, what does not fit in memory is dropped.
const RECORDS: usize = 256 * 1024;

/// Newest bytes that are held for live readers; past this, the writer waits for them.
const WINDOW: usize = 2 << 20;

/// Newest pieces that are held for live readers.
const WINDOW_PIECES: usize = 1024;

/// Largest piece that is given out.
const PIECE: usize = 256 * 1024;

/// How long the writer waits for a live reader that makes no progress.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 3 } else { 30 });

/// What one answer to a poll may hold.
const PART: usize = 1 << 20;

/// A piece of what a job printed.
#[derive(Debug, Clone)]
pub struct OutputPiece {
    /// Where it was printed.
    pub stream: OutputStream,
    /// What was printed; empty when bytes were dropped.
    pub bytes: Bytes,
    /// Where the piece ends in the whole output.
    pub next: u64,
    /// Bytes that were not kept and are skipped.
    pub dropped: u64,
}

/// Writes bytes for JSON: as they are, or as base64 when they are not UTF-8.
pub fn encode(bytes: &[u8]) -> (String, Option<Encoding>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (BASE64_STANDARD.encode(bytes), Some(Encoding::Base64)),
    }
}

//! Where a job's output goes: at once and unchanged to our own, or into one JSON result.

use std::{
    io::{self, Write},
    thread::JoinHandle,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use loopsy_shared::{
    api::execute::{Encoding, JobExit, JobResult, OutputStream},
    id::JobId,
};
use tokio::sync::{mpsc, oneshot};

/// Chunks that wait for a slow reader; past this the job waits too.
const AHEAD: usize = 16;
/// Bytes of each stream in a JSON result, as in the API's own.
const KEPT: usize = 1 << 20;

/// Where output goes.
pub(super) enum Sink {
    /// A thread writes it, because a write to a full pipe cannot be interrupted.
    Terminal {
        /// `None` once everything was handed over.
        chunks: Option<mpsc::Sender<(OutputStream, Vec<u8>)>>,
        done: oneshot::Receiver<io::Result<()>>,
        _writer: JoinHandle<()>,
    },
    /// Memory keeps it.
    Collect(Collected),
}

/// What was printed, up to 1 MiB of each stream.
#[derive(Debug, Default)]
pub(super) struct Collected {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    truncated: bool,
}

impl Sink {
    pub(super) fn terminal() -> Self {
        let (chunks, mut receiver) = mpsc::channel::<(OutputStream, Vec<u8>)>(AHEAD);
        let (sender, done) = oneshot::channel();
        let writer = std::thread::spawn(move || {
            let mut result = Ok(());
            while let Some((stream, bytes)) = receiver.blocking_recv() {
                result = write(stream, &bytes);
                if result.is_err() {
                    break;
                }
            }
            let _nobody_waits = sender.send(result);
        });
        Self::Terminal { chunks: Some(chunks), done, _writer: writer }
    }

    pub(super) fn collect() -> Self {
        Self::Collect(Collected::default())
    }

    /// Takes a chunk; fails when our own reader went away.
    pub(super) async fn write(&mut self, stream: OutputStream, bytes: Vec<u8>) -> io::Result<()> {
        match self {
            Self::Collect(collected) => {
                collected.take(stream, &bytes);
                Ok(())
            }
            Self::Terminal { chunks: Some(chunks), done, .. } => {
                if chunks.send((stream, bytes)).await.is_ok() {
                    return Ok(());
                }
                done.await.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
            }
            Self::Terminal { chunks: None, .. } => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Waits until everything is written.
    pub(super) async fn finish(&mut self) -> io::Result<Option<Collected>> {
        match self {
            Self::Collect(collected) => Ok(Some(std::mem::take(collected))),
            Self::Terminal { chunks, done, .. } => {
                drop(chunks.take());
                done.await.unwrap_or(Ok(())).map(|()| None)
            }
        }
    }
}

fn write(stream: OutputStream, bytes: &[u8]) -> io::Result<()> {
    match stream {
        OutputStream::Stdout => {
            let mut out = io::stdout().lock();
            out.write_all(bytes)?;
            out.flush()
        }
        // A lost standard error does not end a command here either.
        OutputStream::Stderr => {
            let _nobody_reads = io::stderr().lock().write_all(bytes);
            Ok(())
        }
    }
}

impl Collected {
    fn take(&mut self, stream: OutputStream, bytes: &[u8]) {
        let kept = match stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        };
        let room = KEPT.saturating_sub(kept.len()).min(bytes.len());
        kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
        self.truncated |= room < bytes.len();
    }

    /// The API's shape.
    pub(super) fn into_result(self, job_id: JobId, exit: JobExit) -> JobResult {
        let (stdout, stdout_encoding) = text(self.stdout, self.truncated);
        let (stderr, stderr_encoding) = text(self.stderr, self.truncated);
        JobResult { job_id, exit, stdout, stderr, stdout_encoding, stderr_encoding, truncated: self.truncated }
    }
}

/// Text when it is text; a character that the limit cut is left out.
fn text(mut bytes: Vec<u8>, truncated: bool) -> (String, Option<Encoding>) {
    if truncated
        && let Err(error) = std::str::from_utf8(&bytes)
        && error.error_len().is_none()
    {
        bytes.truncate(error.valid_up_to());
    }
    match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => (BASE64_STANDARD.encode(error.as_bytes()), Some(Encoding::Base64)),
    }
}

/// The bytes of a chunk as it travelled; `None` when it is not what it says.
pub(super) fn decode(data: String, encoding: Option<Encoding>) -> Option<Vec<u8>> {
    match encoding {
        None => Some(data.into_bytes()),
        Some(Encoding::Base64) => BASE64_STANDARD.decode(data).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_and_text_stays_text() {
        let mut collected = Collected::default();
        collected.take(OutputStream::Stdout, "hä".as_bytes());
        collected.take(OutputStream::Stderr, &[0xff, 0]);
        let result = collected.into_result("j".into(), JobExit::default());
        assert_eq!((result.stdout.as_str(), result.stdout_encoding), ("hä", None));
        assert_eq!(decode(result.stderr, result.stderr_encoding), Some(vec![0xff, 0]));
        assert_eq!(decode("%".to_owned(), Some(Encoding::Base64)), None);
    }

    #[test]
    fn a_cut_result_says_so_and_ends_between_characters() {
        let mut collected = Collected::default();
        collected.take(OutputStream::Stdout, &vec![b'x'; KEPT - 1]);
        collected.take(OutputStream::Stdout, "ä".as_bytes());
        let result = collected.into_result("j".into(), JobExit::default());
        assert!(result.truncated && result.stdout_encoding.is_none() && result.stdout.len() == KEPT - 1);
    }
}

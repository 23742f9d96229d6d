//! The one writer of a job's log: empties both pipes, in the order in which there is something to read.

use std::{io, sync::Arc};

use bytes::{Bytes, BytesMut};
use loopsy_shared::api::execute::OutputStream;
use tokio::net::unix::pipe;

use super::{log::Output, utf8::Utf8Chunks};

/// First size of a read. Most jobs print little.
const SMALL: usize = 8 * 1024;

/// Size of a read once a job turns out to print much.
const LARGE: usize = 256 * 1024;

/// Size of the pipe of such a job, if the system allows it.
#[cfg(target_os = "linux")]
const PIPE: usize = 1 << 20;

/// Moves what a job prints into its log. Can be stopped at any time and finished after that, without losing what was read.
#[derive(Debug)]
pub(crate) struct Pump {
    output: Arc<Output>,
    stdout: Source,
    stderr: Source,
    /// What was read but is not in the log yet.
    pending: Option<(OutputStream, Bytes)>,
}

#[derive(Debug)]
struct Source {
    stream: OutputStream,
    /// Gone after its end.
    pipe: Option<pipe::Receiver>,
    buffer: BytesMut,
    size: usize,
    chunks: Utf8Chunks,
}

impl Pump {
    /// A pump between two pipes and a log.
    pub(crate) fn new(output: Arc<Output>, stdout: pipe::Receiver, stderr: pipe::Receiver) -> Self {
        Self { output, stdout: Source::new(OutputStream::Stdout, stdout), stderr: Source::new(OutputStream::Stderr, stderr), pending: None }
    }

    /// Runs until nobody can print any more.
    pub(crate) async fn run(&mut self) {
        while self.stdout.pipe.is_some() || self.stderr.pipe.is_some() {
            let (stream, bytes) = tokio::select! {
                bytes = self.stdout.read() => (OutputStream::Stdout, bytes),
                bytes = self.stderr.read() => (OutputStream::Stderr, bytes),
            };
            if !bytes.is_empty() {
                self.pending = Some((stream, bytes.clone()));
                self.output.append(stream, &bytes).await;
                self.pending = None;
            }
        }
    }

    /// Closes the pipes and writes what is left of what was read.
    pub(crate) async fn finish(mut self) {
        if let Some((stream, bytes)) = self.pending.take() {
            self.output.store(stream, &bytes).await;
        }
        for mut source in [self.stdout, self.stderr] {
            let rest = source.chunks.finish();
            if !rest.is_empty() {
                self.output.store(source.stream, &rest).await;
            }
        }
    }
}

impl Source {
    fn new(stream: OutputStream, pipe: pipe::Receiver) -> Self {
        Self { stream, pipe: Some(pipe), buffer: BytesMut::new(), size: SMALL, chunks: Utf8Chunks::default() }
    }

    /// Waits for something to read; empty at the end, or when it was only a part of a character. Never ends after the end. Safe to cancel.
    async fn read(&mut self) -> Bytes {
        let Some(pipe) = &self.pipe else { return std::future::pending().await };
        loop {
            let readable = pipe.readable().await;
            if self.buffer.capacity() < self.size / 2 {
                self.buffer.reserve(self.size);
            }
            match readable.and_then(|()| pipe.try_read_buf(&mut self.buffer)) {
                Ok(0) => break,
                Ok(count) => {
                    if self.buffer.capacity() == self.buffer.len() && self.size == SMALL {
                        self.size = LARGE;
                        #[cfg(target_os = "linux")]
                        let _smaller = rustix::pipe::fcntl_setpipe_size(pipe, PIPE);
                    }
                    return self.chunks.push(self.buffer.split_to(count).freeze());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
        self.pipe = None;
        self.chunks.finish()
    }
}

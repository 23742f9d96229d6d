//! Our standard input, on its way to the job.

use std::{
    io::{self, Read},
    os::fd::AsFd,
};

use bytes::Bytes;
use loopsy_shared::{
    api::execute::WriteJobInput,
    client::{Body, Client, ClientError},
    id::JobId,
};
use rustix::fs::FileType;
use tokio::sync::mpsc;

/// One read.
const CHUNK: usize = 64 * 1024;
/// Reads that wait for the network; past this, whoever writes to us waits.
const AHEAD: usize = 8;

/// Input that is worth passing on.
#[derive(Debug)]
pub(super) struct Input;

impl Input {
    /// A pipe or a file. A terminal, `/dev/null` or a socket is nobody who has something to say to the job.
    pub(super) fn of_this_process() -> Option<Self> {
        let stat = rustix::fs::fstat(io::stdin().as_fd()).ok()?;
        matches!(FileType::from_raw_mode(stat.st_mode), FileType::Fifo | FileType::RegularFile).then_some(Self)
    }

    /// Sends all of it. Reading happens on a thread of its own, because a read cannot be interrupted.
    pub(super) async fn feed(self, client: Client, job_id: JobId) -> Result<(), ClientError> {
        let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(AHEAD);
        std::thread::spawn(move || read_all(&sender));
        let chunks = futures_util::stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|chunk| (chunk, receiver)) });
        client.feed(&WriteJobInput { job_id }, Body::wrap_stream(chunks)).await.map(drop)
    }
}

fn read_all(sender: &mpsc::Sender<io::Result<Bytes>>) {
    let mut input = io::stdin().lock();
    loop {
        let mut chunk = vec![0; CHUNK];
        let item = match input.read(&mut chunk) {
            Ok(0) => return,
            Ok(count) => {
                chunk.truncate(count);
                Ok(Bytes::from(chunk))
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => Err(e),
        };
        let over = item.is_err();
        if sender.blocking_send(item).is_err() || over {
            return;
        }
    }
}

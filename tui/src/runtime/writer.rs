//! The thread that writes to the terminal, so that nobody else waits for it.

use std::{
    io,
    sync::mpsc::{SyncSender, sync_channel},
};

use tokio::sync::mpsc;

use crate::terminal::write_all;

/// What is on its way. Full never happens: nothing is handed over before the last was written.
const QUEUE: usize = 1;

/// The way to the thread.
#[derive(Debug)]
pub(crate) struct Writer {
    bytes: SyncSender<Vec<u8>>,
    /// What became of it: the buffer for the next one, and whether the terminal is still there.
    pub(crate) done: mpsc::Receiver<(Vec<u8>, io::Result<()>)>,
}

impl Writer {
    /// Starts it. It ends when this goes.
    ///
    /// # Errors
    /// When there can be no further thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (bytes, todo) = sync_channel::<Vec<u8>>(QUEUE);
        let (finished, done) = mpsc::channel(QUEUE);
        std::thread::Builder::new().name("tui-writer".to_owned()).spawn(move || {
            for mut frame in todo {
                let result = write_all(rustix::stdio::stdout(), &frame);
                frame.clear();
                if finished.blocking_send((frame, result)).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { bytes, done })
    }

    /// Hands over what is to be written: one `write` if the terminal takes it.
    pub(crate) fn write(&self, frame: Vec<u8>) {
        let _gone = self.bytes.try_send(frame);
    }
}

//! Sees one terminal from its start to the day it is forgotten.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use loopsy_shared::{
    api::{execute::signal_name, terminals::TerminalExit},
    time,
};
use tokio::{io::AsyncWriteExt, net::unix::pipe, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::{Shared, Terminal, flow};
use crate::jobs::process::{Ended, Life};

/// Between two notices of what changed about one terminal.
const PAUSE: Duration = Duration::from_millis(200);
/// How long what was printed may be on its way when the program has ended.
const DRAIN: Duration = Duration::from_millis(500);
/// How long after the grace period a process may take to die before it is given up.
const DEATH: Duration = Duration::from_secs(2);
/// The longest grace of what a revoked key had opened.
const SHORT_GRACE: Duration = Duration::from_millis(500);
/// How long an ended terminal is kept.
const KEPT: Duration = Duration::from_secs(3600);

/// A terminal and the life of its program.
pub(super) struct Conduct {
    pub(super) shared: Arc<Shared>,
    pub(super) terminal: Terminal,
    pub(super) life: Life,
    pub(super) revoked: CancellationToken,
    /// Milliseconds between asking the program to end and ending it.
    pub(super) grace: u64,
}

impl Conduct {
    /// Runs until the terminal is forgotten, or the node stops.
    pub(super) async fn run(mut self, typed: mpsc::Receiver<Bytes>) {
        let inner = Arc::clone(&self.terminal.0);
        let threads = [("terminal", flow::read as fn(&_)), ("screen", flow::draw)];
        for (name, work) in threads {
            let inner = Arc::clone(&inner);
            if let Err(error) = std::thread::Builder::new().name(name.to_owned()).spawn(move || work(&inner)) {
                tracing::error!(%error, "a terminal has no thread");
                inner_failed(&self.terminal);
            }
        }
        let ended = {
            let mut typing = std::pin::pin!(type_in(&self.terminal, typed));
            let mut typed_all = false;
            let mut told = std::pin::pin!(tell(&self.terminal));
            let mut ending = std::pin::pin!(end(&mut self.life, &inner.closing, &self.revoked, Duration::from_millis(self.grace)));
            loop {
                tokio::select! {
                    ended = &mut ending => break ended,
                    () = &mut typing, if !typed_all => typed_all = true,
                    () = &mut told => {}
                }
            }
        };
        self.drain().await;
        let exit = TerminalExit { exit_code: ended.code, signal: ended.signal.map(signal_name) };
        {
            let mut flow = inner.flow.lock();
            flow.done = true;
            flow.exit = Some((exit, time::now()));
        }
        inner.bell.notify_all();
        inner.changed();
        inner.over.cancel();
        inner.publish();
        self.shared.sweep();
        let stopping = self.shared.parts.stopping.clone();
        let mut kept = std::pin::pin!(tokio::time::sleep(KEPT));
        let mut revoked = false;
        loop {
            tokio::select! {
                () = tell(&self.terminal) => {}
                () = &mut kept => return self.shared.forget(&self.terminal),
                // What it left in the background goes with the key, or with the terminal when somebody removes that.
                () = inner.forgotten.cancelled() => return self.life.kill(SHORT_GRACE).await,
                () = self.revoked.cancelled(), if !revoked => {
                    revoked = true;
                    self.life.kill(SHORT_GRACE).await;
                }
                () = stopping.cancelled() => return,
            }
        }
    }

    /// Waits for what is still on its way from the program that has ended.
    async fn drain(&self) {
        let mut changes = self.terminal.0.changes.subscribe();
        let done = changes.wait_for(|_| self.terminal.0.flow.lock().done);
        let _late = tokio::time::timeout(DRAIN, done).await;
    }
}

fn inner_failed(terminal: &Terminal) {
    terminal.start_close();
}

/// The program's end, brought about when it is time.
async fn end(life: &mut Life, closing: &CancellationToken, revoked: &CancellationToken, grace: Duration) -> Ended {
    let grace = tokio::select! {
        ended = life.ended() => return ended,
        () = closing.cancelled() => grace,
        () = revoked.cancelled() => grace.min(SHORT_GRACE),
    };
    life.kill(grace).await;
    let lost = Ended { code: None, signal: Some(rustix::process::Signal::KILL.as_raw()) };
    tokio::time::timeout(grace + DEATH, life.ended()).await.unwrap_or(lost)
}

/// Tells what changes about it, not more often than people can see. Never ends.
async fn tell(terminal: &Terminal) {
    loop {
        terminal.0.stirred.notified().await;
        terminal.0.publish();
        tokio::time::sleep(PAUSE).await;
    }
}

/// Carries what is typed to the program. A program that does not read holds up who types, and nobody else.
async fn type_in(terminal: &Terminal, mut typed: mpsc::Receiver<Bytes>) {
    // Our side is no pipe, but it is written to like one, and does not block.
    let Ok(mut ours) = terminal.0.ours.try_clone().and_then(pipe::Sender::from_file_unchecked) else { return };
    while let Some(bytes) = typed.recv().await {
        if ours.write_all(&bytes).await.is_err() {
            return; // nobody has the other side open any more
        }
    }
}

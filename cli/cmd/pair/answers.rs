//! What a person types, a line at a time, without keeping the command from hearing anything else.

use std::io::{self, BufRead, IsTerminal};

use tokio::sync::mpsc::{self, error::TrySendError};

/// Lines that wait to be asked for. A script's further lines wait in its pipe; what a person types beyond it, unasked, is dropped.
const AHEAD: usize = 16;

/// Lines of standard input. They are read by a thread of their own, which ends with the process.
pub(super) struct Answers {
    terminal: bool,
    lines: Option<mpsc::Receiver<String>>,
}

impl Answers {
    /// On a terminal reading begins at once, so that what is typed before a question is not taken for its answer.
    pub(super) fn new(json: bool) -> Self {
        let mut this = Self { terminal: io::stdin().is_terminal(), lines: None };
        if this.terminal && !json {
            this.lines();
        }
        this
    }

    /// Whether a person sits there.
    pub(super) fn terminal(&self) -> bool {
        self.terminal
    }

    /// The next line; `None` at the end of input.
    pub(super) async fn next(&mut self) -> Option<String> {
        self.lines().recv().await
    }

    /// On a terminal, drops what was typed so far. A script may well write its answer in advance.
    pub(super) fn forget_what_came_early(&mut self) {
        if self.terminal {
            while self.lines().try_recv().is_ok() {}
        }
    }

    fn lines(&mut self) -> &mut mpsc::Receiver<String> {
        self.lines.get_or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(AHEAD);
            let terminal = self.terminal;
            std::thread::spawn(move || {
                for line in io::stdin().lock().lines() {
                    let Ok(line) = line else { return };
                    let gone = if terminal { matches!(sender.try_send(line), Err(TrySendError::Closed(_))) } else { sender.blocking_send(line).is_err() };
                    if gone {
                        return;
                    }
                }
            });
            receiver
        })
    }
}

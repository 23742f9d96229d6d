//! The process of an agent, by pipes or in a terminal, and the one who writes to it.

use std::time::Duration;

use loopsy_shared::api::{execute::signal_name, terminals::TerminalExit};
use tokio::{
    io::AsyncWriteExt,
    net::unix::pipe,
    sync::{mpsc, oneshot},
};
use tokio_util::task::TaskTracker;

use super::lines::Lines;
use crate::{
    jobs::process::{Ended, Life, Process},
    terminals::Terminal,
};

/// Lines that may wait until the agent reads them. Past this it is taken for deaf.
const SAID: usize = 256;

/// An agent that runs.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) stdout: Option<Lines>,
    pub(super) stderr: Option<Lines>,
    /// Tells when the agent closed its standard input.
    pub(super) lost: mpsc::Receiver<()>,
    say: Option<mpsc::Sender<Told>>,
    pub(super) body: Body,
}

/// What the process is.
#[derive(Debug)]
pub(super) enum Body {
    Pipes { pid: i32, life: Life },
    Screen(Terminal),
}

/// How the process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exited {
    /// With this code,
    pub(super) code: Option<i32>,
    /// or by this signal.
    pub(super) signal: Option<String>,
}

impl Body {
    /// Waits for the end of the process.
    pub(super) async fn ended(&mut self) -> Exited {
        match self {
            Self::Pipes { life, .. } => {
                let Ended { code, signal } = life.ended().await;
                Exited { code, signal: signal.map(signal_name) }
            }
            Self::Screen(terminal) => {
                let TerminalExit { exit_code, signal } = terminal.ended().await;
                Exited { code: exit_code, signal }
            }
        }
    }
}

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Told {
    /// A line, and who wants to know that it was written.
    Line(String, Option<oneshot::Sender<()>>),
    /// Nothing more comes.
    Close,
}

impl Agent {
    /// One that is talked to by pipes.
    pub(super) fn by_pipes(process: Process, tracker: &TaskTracker) -> Self {
        let Process { pid, stdin, stdout, stderr, life } = process;
        let (say, said) = mpsc::channel(SAID);
        let (lose, lost) = mpsc::channel(1);
        tracker.spawn(write(stdin, said, lose));
        let (stdout, stderr) = (Some(Lines::new(stdout)), Some(Lines::new(stderr)));
        Self { stdout, stderr, lost, say: Some(say), body: Body::Pipes { pid, life } }
    }

    /// One with a screen of its own.
    pub(super) fn on_screen(terminal: Terminal) -> Self {
        let (_, lost) = mpsc::channel(1);
        Self { stdout: None, stderr: None, lost, say: None, body: Body::Screen(terminal) }
    }

    pub(super) fn pid(&self) -> Option<i32> {
        match &self.body {
            Body::Pipes { pid, .. } => Some(*pid),
            Body::Screen(terminal) => Some(terminal.info().pid),
        }
    }

    pub(super) fn is_screen(&self) -> bool {
        matches!(self.body, Body::Screen(_))
    }

    /// Hands a line to the writer. False when the agent reads nothing any more.
    pub(super) fn say(&mut self, told: Told) -> bool {
        let close = matches!(told, Told::Close);
        let said = self.say.as_ref().is_some_and(|say| say.try_send(told).is_ok());
        if close {
            self.say = None;
        }
        said || close
    }

    /// Types a text into the agent's screen, as a paste, and then the return key.
    pub(super) async fn type_line(&self, text: &str) {
        // Nothing in it may end the paste, or be a key; behind a space, its first character has no meaning of its own (`!` would run a command).
        let text: String = text.chars().filter(|c| !c.is_control() || *c == '\n').collect();
        self.type_raw(format!("\x1b[200~ {text}\x1b[201~")).await;
        self.type_raw("\r".to_owned()).await;
    }

    /// Writes to the agent's screen.
    pub(super) async fn type_raw(&self, bytes: String) {
        if let Body::Screen(terminal) = &self.body
            && !terminal.write(bytes.into_bytes()).await
        {
            tracing::warn!("an agent's terminal takes no input");
        }
    }

    /// Presses the key that interrupts an agent on its screen.
    pub(super) async fn interrupt_screen(&self) {
        self.type_raw("\x1b".to_owned()).await;
    }

    /// Ends the process and all that it started. Returns when that has begun.
    pub(super) async fn kill(&self, grace: Duration) {
        match &self.body {
            Body::Pipes { life, .. } => life.kill(grace).await,
            Body::Screen(terminal) => terminal.start_close(),
        }
    }
}

/// Writes what is said until nothing more comes, or the agent does not read.
async fn write(mut stdin: pipe::Sender, mut said: mpsc::Receiver<Told>, lose: mpsc::Sender<()>) {
    while let Some(Told::Line(line, written)) = said.recv().await {
        let mut line = line.into_bytes();
        line.push(b'\n');
        if stdin.write_all(&line).await.is_err() {
            let _over = lose.send(()).await;
            return;
        }
        let _nobody = written.map(|written| written.send(()));
    }
}

//! A command that is talked to: its lines are read as they come, and answered.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::Instant,
};

use rustix::process::Signal;
use serde_json::Value;

use super::{Home, PATIENCE, Ran, kill};

/// Lines that wait to be read; a command that says more waits itself.
const AHEAD: usize = 1024;

/// A running command. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Dialogue {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    seen: Vec<String>,
    err: Option<std::thread::JoinHandle<String>>,
}

impl Dialogue {
    pub(crate) fn start(home: &Home, args: &[&str]) -> Self {
        let mut child = home.command(args).stdin(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = sync_channel(AHEAD);
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines() {
                if line.is_ok_and(|line| sender.send(line).is_ok()) {
                    continue;
                }
                return;
            }
        });
        let mut stderr = child.stderr.take().unwrap();
        let err = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _cut = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Self { input: child.stdin.take(), child, lines, seen: Vec::new(), err: Some(err) }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that holds a text.
    #[track_caller]
    pub(crate) fn line_with(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no `{text}` within {PATIENCE:?}, only {:#?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => {
                    let err = self.err.take().map(|err| err.join().unwrap()).unwrap_or_default();
                    panic!("it ended without `{text}`: {:#?}\n{err}", self.seen)
                }
            }
        }
    }

    /// The next event of this name.
    #[track_caller]
    pub(crate) fn event(&mut self, name: &str) -> Value {
        let line = self.line_with(&format!("\"event\":\"{name}\""));
        serde_json::from_str(&line).unwrap()
    }

    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// No more input.
    pub(crate) fn hang_up(&mut self) {
        self.input = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal);
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ran {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end; it said {:#?}", self.seen);
            std::thread::sleep(std::time::Duration::from_millis(4));
        };
        let code = status.code().unwrap_or_else(|| 128 + std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0));
        self.seen.extend(self.lines.iter());
        let err = self.err.take().map(|err| err.join().unwrap()).unwrap_or_default();
        Ran { code, out: self.seen.join("\n").into_bytes(), err }
    }
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _gone = self.child.kill();
            let _reaped = self.child.wait();
        }
    }
}

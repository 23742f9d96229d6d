//! A person's keys, one at a time. A key counts only when it came alone: what was typed before the card stood there is thrown away, and what comes in a bunch
//! was pasted.

use std::{
    io::{self, IsTerminal},
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    termios::{LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr, tcsetattr},
};
use tokio::sync::mpsc;

/// Reads that wait to be looked at; what a person types beyond that is dropped.
const AHEAD: usize = 16;
/// One read.
const CHUNK: usize = 4096;
/// How long after a key another one still counts as the same bunch.
const BUNCH: Timespec = Timespec { tv_sec: 0, tv_nsec: 25_000_000 };

/// What a person did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// One key, alone.
    Key(char),
    /// Several at once: pasted, or a key that sends more than one character.
    Bunch,
    /// A whole line.
    Line(String),
    /// The terminal is gone.
    Gone,
}

/// The terminal in a mode in which every key comes at once and is not shown. Dropping it puts the terminal back.
#[derive(Debug)]
pub(crate) struct Keys {
    before: Termios,
    bytes: mpsc::Receiver<Vec<u8>>,
    paste: Paste,
    line: bool,
    /// Closing it ends the thread that reads.
    _stop: OwnedFd,
}

/// Whether a person sits at standard input and sees standard error.
pub(crate) fn somebody_is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Whether the terminal is ours now: a command in the shell's background would be stopped when it takes it.
pub(crate) fn in_foreground() -> bool {
    rustix::termios::tcgetpgrp(io::stdin()).is_ok_and(|group| group == rustix::process::getpgrp())
}

/// Columns and rows of the terminal.
pub(crate) fn size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(io::stderr().as_fd()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    size.map_or((80, 24), |size| (usize::from(size.ws_col), usize::from(size.ws_row)))
}

impl Keys {
    /// Takes the terminal, and forgets what was typed so far.
    pub(crate) fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let (stopped, stop) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let (sender, bytes) = mpsc::channel(AHEAD);
        let keys = Self { before, bytes, paste: Paste::default(), line: false, _stop: stop };
        keys.raw()?;
        std::thread::Builder::new().name("keys".to_owned()).spawn(move || read(&sender, &stopped))?;
        Ok(keys)
    }

    /// From here on keys count: what came before is thrown away.
    pub(crate) fn forget(&mut self) {
        let _gone = tcflush(io::stdin(), QueueSelector::IFlush);
        while self.bytes.try_recv().is_ok() {}
        self.paste = Paste::default();
    }

    /// Asks for a line, which is shown while it is typed.
    pub(crate) fn ask_line(&mut self) -> io::Result<()> {
        self.line = true;
        self.forget();
        write_raw("\u{1b}[?2004l");
        Ok(tcsetattr(io::stdin(), OptionalActions::Now, &self.before)?)
    }

    /// What comes next. Can be dropped while it waits without losing anything.
    pub(crate) async fn next(&mut self) -> Input {
        loop {
            let Some(bytes) = self.bytes.recv().await else { return Input::Gone };
            if bytes.is_empty() {
                return Input::Gone;
            }
            if std::mem::take(&mut self.line) {
                let line = String::from_utf8_lossy(&bytes);
                let line = line.lines().next().unwrap_or_default().to_owned();
                if self.raw().is_err() {
                    return Input::Gone;
                }
                return Input::Line(line);
            }
            if let Some(input) = self.paste.take(&bytes) {
                return input;
            }
        }
    }

    fn raw(&self) -> io::Result<()> {
        let mut mode = self.before.clone();
        mode.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        mode.special_codes[SpecialCodeIndex::VMIN] = 1;
        mode.special_codes[SpecialCodeIndex::VTIME] = 0;
        // Ctrl-Z would leave the shell with this mode.
        mode.special_codes[SpecialCodeIndex::VSUSP] = 0;
        tcsetattr(io::stdin(), OptionalActions::Flush, &mode)?;
        write_raw("\u{1b}[?2004h");
        Ok(())
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        calm();
        let _gone = tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
    }
}

/// Pasting is no longer marked. Said again at the end of a command: a Ctrl-C makes the system throw away what the terminal has not read yet.
pub(super) fn calm() {
    write_raw("\u{1b}[?2004l");
}

/// Switches whether the terminal marks what is pasted.
fn write_raw(text: &str) {
    use io::Write;
    let mut err = io::stderr().lock();
    let _nobody_reads = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// Reads until nobody wants to know, or the terminal is gone: then it says so with an empty read.
fn read(sender: &mpsc::Sender<Vec<u8>>, stopped: &OwnedFd) {
    let stdin = io::stdin();
    let mut bytes = Vec::new();
    loop {
        let mut fds = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
        // A key waits a moment for others that came with it.
        match poll(&mut fds, if bytes.is_empty() { None } else { Some(&BUNCH) }) {
            Ok(0) => {
                // A person who types faster than anybody reads loses keys, never order.
                let _full = sender.try_send(std::mem::take(&mut bytes));
                continue;
            }
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => break,
        }
        if !fds[1].revents().is_empty() {
            return;
        }
        let mut chunk = [0; CHUNK];
        match rustix::io::read(&stdin, &mut chunk) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => break,
        }
        if bytes.len() > 1 << 20 {
            // Whatever this is, it is no key.
            bytes.truncate(CHUNK);
        }
    }
    let _nobody_waits = sender.blocking_send(Vec::new());
}

/// Knows whether what comes is between the marks that a terminal puts around what is pasted.
#[derive(Debug, Default)]
struct Paste {
    inside: bool,
}

impl Paste {
    /// What a read means; nothing while something is being pasted.
    fn take(&mut self, bytes: &[u8]) -> Option<Input> {
        const BEGIN: &[u8] = b"\x1b[200~";
        const END: &[u8] = b"\x1b[201~";
        let last = |mark: &[u8]| bytes.windows(mark.len()).rposition(|window| window == mark);
        let was = self.inside;
        match (last(BEGIN), last(END)) {
            (Some(begin), end) => self.inside = end.is_none_or(|end| end < begin),
            (None, Some(_)) => self.inside = false,
            (None, None) => {}
        }
        if was {
            return (!self.inside).then_some(Input::Bunch);
        }
        match bytes {
            _ if self.inside => None,
            [byte] if byte.is_ascii() => Some(Input::Key(char::from(*byte))),
            _ => Some(Input::Bunch),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_counts_only_alone() {
        let mut paste = Paste::default();
        assert_eq!(paste.take(b"a"), Some(Input::Key('a')));
        assert_eq!(paste.take(b"aa"), Some(Input::Bunch));
        assert_eq!(paste.take("ä".as_bytes()), Some(Input::Bunch));
        assert_eq!(paste.take(b"\x1b[A"), Some(Input::Bunch));
        assert_eq!(paste.take(b"\x1b[200~a\x1b[201~"), Some(Input::Bunch));
        assert_eq!(paste.take(b"a"), Some(Input::Key('a')));
    }

    #[test]
    fn what_is_pasted_in_pieces_is_no_key_either() {
        let mut paste = Paste::default();
        assert_eq!(paste.take(b"\x1b[200~"), None);
        assert_eq!(paste.take(b"a"), None);
        assert_eq!(paste.take(b"\x1b[201~"), Some(Input::Bunch));
        assert_eq!(paste.take(b"d"), Some(Input::Key('d')));
    }

    proptest! {
        /// However a paste is cut into reads, nothing in it is a key.
        #[test]
        fn no_cut_of_a_paste_makes_a_key(text in "[adsyAw\n]{1,20}", cuts in proptest::collection::vec(0usize..30, 0..5)) {
            let whole = [b"\x1b[200~", text.as_bytes(), b"\x1b[201~"].concat();
            let mut at: Vec<usize> = cuts.into_iter().map(|cut| 6 + cut % (text.len() + 1)).chain([whole.len()]).collect();
            at.sort_unstable();
            let (mut paste, mut from) = (Paste::default(), 0);
            for to in at {
                if to > from {
                    let seen = paste.take(&whole[from..to]);
                    prop_assert!(!matches!(seen, Some(Input::Key(_))), "{seen:?}");
                    from = to;
                }
            }
        }
    }
}

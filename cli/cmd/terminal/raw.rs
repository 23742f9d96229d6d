//! Our own terminal, given over to another and taken back.

use std::{
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
};

use loopsy_shared::api::terminals::TerminalSize;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use crate::error::Error;

/// Undoes what a program may have asked of the terminal: keypad, mouse, focus, paste, origin, wrapping, insert, margins, character sets, colours, cursor, and the
/// other screen.
const CALM: &str = "\x1b[?1l\x1b>\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1005l\x1b[?1006l\x1b[?2004l\x1b[?2026l\x1b[?1047l\x1b[?6l\x1b[?7h\x1b[4l\x1b[20l\x1b[r\x0f\x1b(B\x1b)B\x1b[0m\x1b[0 q\x1b[?25h\x1b]8;;\x1b\\\x1b]104\x1b\\\x1b]110\x1b\\\x1b]111\x1b\\\x1b]112\x1b\\";

/// The size of our window.
pub(super) fn window() -> Option<TerminalSize> {
    let size = tcgetwinsize(io::stdout().as_fd()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0)?;
    Some(TerminalSize { cols: size.ws_col, rows: size.ws_row })
}

/// A person must be there.
///
/// # Errors
/// When standard input or output is no terminal.
pub(super) fn required() -> Result<(), Error> {
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        return Ok(());
    }
    Err(Error::usage("Attaching needs a terminal as standard input and output.")
        .hint("For programs there are `loopsy terminal new --detach`, `loopsy terminal show` and the API."))
}

/// Our terminal without its line editing. Whatever happens, it is as it was when this is dropped.
pub(super) struct Raw(Termios);

impl Raw {
    /// Begins it.
    ///
    /// # Errors
    /// When there is no terminal.
    pub(super) fn begin() -> Result<Self, Error> {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin).map_err(io::Error::from)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&stdin, OptionalActions::Now, &raw).map_err(io::Error::from)?;
        Ok(Self(before))
    }

    /// Makes room for a whole screen. What was on ours is scrolled up, not lost.
    pub(super) fn clear() -> Result<(), Error> {
        let rows = usize::from(window().unwrap_or_default().rows);
        write(&[CALM.as_bytes(), b"\x1b[999;1H", "\n".repeat(rows).as_bytes(), b"\x1b[H\x1b[2J"].concat())
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _nobody_sees = write(format!("{CALM}\x1b[999;1H\r\n").as_bytes());
        let _gone = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Writes bytes for the terminal.
///
/// # Errors
/// When the terminal is gone.
pub(super) fn write(bytes: &[u8]) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

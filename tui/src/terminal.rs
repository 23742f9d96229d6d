//! The person's terminal: taken for the screen, and given back as it was, however the program ends.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crossterm::{
    cursor::Hide,
    event::{EnableBracketedPaste, EnableFocusChange},
    queue,
    style::ResetColor,
    terminal::{Clear, ClearType, EnterAlternateScreen},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    stdio::{stdin, stdout},
    termios::{ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr},
};

/// Keeps the title of the window for later.
const KEEP_TITLE: &[u8] = b"\x1b[22;2t";
/// Everything that we or a program inside could have switched on, off again. A frame that was cut may have left a string open: first of all it ends.
const GIVE: &[u8] =
    b"\x18\x1b[?2026l\x1b[<u\x1b[>4m\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[?7h\x1b[0 q\x1b[m\x1b[23;2t\x1b[?25h\x1b[?1049l";
/// The same for a terminal that some other program left behind: also what we never use. The cursor stays where it is.
const RESET: &[u8] = b"\x18\x1b\\\x1b[?2026l\x1b[<99u\x1b[>4m\x1b[?9l\x1b[?1000l\x1b[?1001l\x1b[?1002l\x1b[?1003l\x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?1016l\
\x1b[?1004l\x1b[?2004l\x1b[?1l\x1b>\x1b[?5l\x1b[?6l\x1b[4l\x1b[?7h\x1b[0 q\x1b[m\x1b(B\x0f\x1b7\x1b[?1049l\x1b7\x1b[r\x1b8\x1b[?25h";
/// Switches the mouse on: clicks, drags and the wheel, with coordinates as numbers.
pub(crate) const MOUSE_ON: &[u8] = b"\x1b[?1000h\x1b[?1002h\x1b[?1006h";
/// Switches it off.
pub(crate) const MOUSE_OFF: &[u8] = b"\x1b[?1002l\x1b[?1000l\x1b[?1006l";

/// Sizes that are believed.
const MOST: u16 = 1000;
/// How long a terminal that takes nothing is waited for at the end.
const PATIENCE: Duration = Duration::from_millis(500);

/// How the terminal was before it was taken; none when it is not ours at the moment.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Whether there is a terminal on both ends that can do what a screen needs.
pub(crate) fn is_usable() -> bool {
    let kind = std::env::var("TERM").unwrap_or_default();
    isatty(stdin()) && isatty(stdout()) && !kind.is_empty() && kind != "dumb"
}

/// Columns and rows of the window.
pub(crate) fn size() -> (u16, u16) {
    match tcgetwinsize(stdout()) {
        // A terminal that does not know says 0.
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.min(MOST), size.ws_row.min(MOST)),
        _ => (80, 24),
    }
}

/// Takes the terminal.
///
/// # Errors
/// When it cannot be had.
pub(crate) fn take() -> io::Result<()> {
    let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    let found = tcgetattr(stdin())?;
    let mut raw = found.clone();
    raw.make_raw();
    tcsetattr(stdin(), OptionalActions::Now, &raw)?;
    // When it is ours already, its first state is the one to give back.
    before.get_or_insert(found);
    drop(before);
    let mut take = Vec::new();
    queue!(take, EnterAlternateScreen, ResetColor, Clear(ClearType::All), Hide, EnableBracketedPaste, EnableFocusChange)?;
    take.extend_from_slice(KEEP_TITLE);
    write_all(stdout(), &take)
}

/// Gives the terminal back, once; does nothing when it is not ours. Never fails: the terminal may be gone.
pub(crate) fn give_back() {
    // A panic must not wait for itself.
    let before = match BEFORE.try_lock() {
        Ok(mut before) => before.take(),
        Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner().take(),
        Err(std::sync::TryLockError::WouldBlock) => None,
    };
    let Some(before) = before else { return };
    if writable(stdout(), PATIENCE) {
        let _gone = write_all(stdout(), GIVE);
    }
    // What is still on its way, such as an answer of the terminal, is for nobody.
    let _gone = tcsetattr(stdin(), OptionalActions::Flush, &before);
}

/// Puts a terminal right that some program left in a strange state.
///
/// # Errors
/// When there is no terminal.
pub(crate) fn reset() -> io::Result<()> {
    let tty = std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    let mut modes = tcgetattr(&tty)?;
    modes.input_modes |= InputModes::BRKINT | InputModes::ICRNL | InputModes::IXON;
    modes.input_modes -= InputModes::IGNBRK | InputModes::INLCR | InputModes::IGNCR | InputModes::ISTRIP | InputModes::INPCK;
    modes.output_modes |= OutputModes::OPOST | OutputModes::ONLCR;
    modes.local_modes |= LocalModes::ISIG | LocalModes::ICANON | LocalModes::IEXTEN | LocalModes::ECHO | LocalModes::ECHOE | LocalModes::ECHOK;
    modes.local_modes -= LocalModes::NOFLSH | LocalModes::TOSTOP | LocalModes::ECHONL;
    modes.control_modes |= ControlModes::CREAD;
    tcsetattr(&tty, OptionalActions::Flush, &modes)?;
    write_all(&tty, RESET)
}

/// Writes it all, however much is taken at a time.
///
/// # Errors
/// As `write`.
pub(crate) fn write_all(to: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(&to, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            // Some other program made it so that nobody waits.
            Err(Errno::AGAIN) => drop(poll(&mut [PollFd::new(&to, PollFlags::OUT)], None)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn writable(to: BorrowedFd<'_>, patience: Duration) -> bool {
    let limit = Timespec { tv_sec: 0, tv_nsec: i64::from(patience.subsec_nanos()) };
    matches!(poll(&mut [PollFd::new(&to, PollFlags::OUT)], Some(&limit)), Ok(1))
}

/// Gives the terminal back when it goes.
#[derive(Debug)]
pub(crate) struct Guard(());

impl Guard {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When it cannot be had; then nothing has changed.
    pub(crate) fn new() -> io::Result<Self> {
        let guard = Self(());
        take()?;
        Ok(guard)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        give_back();
    }
}

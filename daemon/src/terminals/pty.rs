//! The two sides of a pseudo-terminal.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
};

use loopsy_shared::api::terminals::TerminalSize;
use rustix::{
    event::{PollFd, PollFlags},
    fs::OFlags,
    io::Errno,
    pty::OpenptFlags,
    termios::Winsize,
};

/// What is read at once at most.
pub(super) const CHUNK: usize = 64 << 10;

/// Our side, and the program's.
#[derive(Debug)]
pub(super) struct Pty {
    pub(super) ours: OwnedFd,
    pub(super) theirs: [OwnedFd; 3],
}

/// Makes a pseudo-terminal of a size. Ours does not block, and does not become our own terminal.
pub(super) fn open(size: TerminalSize) -> io::Result<Pty> {
    let ours = rustix::pty::openpt(flags())?;
    #[cfg(target_vendor = "apple")]
    rustix::io::fcntl_setfd(&ours, rustix::io::FdFlags::CLOEXEC)?;
    rustix::pty::grantpt(&ours)?;
    rustix::pty::unlockpt(&ours)?;
    resize(&ours, size)?;
    let name = rustix::pty::ptsname(&ours, Vec::new())?;
    let theirs = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, rustix::fs::Mode::empty())?;
    // UTF-8 is erased by characters in line mode.
    let mut modes = rustix::termios::tcgetattr(&theirs)?;
    #[cfg(not(target_vendor = "apple"))]
    modes.input_modes.insert(rustix::termios::InputModes::IUTF8);
    modes.control_modes.insert(rustix::termios::ControlModes::CS8);
    rustix::termios::tcsetattr(&theirs, rustix::termios::OptionalActions::Now, &modes)?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    let theirs = [theirs.try_clone()?, theirs.try_clone()?, theirs];
    Ok(Pty { ours, theirs })
}

fn flags() -> OpenptFlags {
    #[cfg(target_vendor = "apple")]
    return OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    #[cfg(not(target_vendor = "apple"))]
    return OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
}

/// Gives it a size, and tells the program.
pub(super) fn resize(ours: impl AsFd, size: TerminalSize) -> io::Result<()> {
    let window = Winsize { ws_row: size.rows, ws_col: size.cols, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(rustix::termios::tcsetwinsize(ours, window)?)
}

/// Reads what is there, up to a chunk; waits until there is something. 0 when the program's side is closed for good.
pub(super) fn read(mut ours: &File, buffer: &mut [u8]) -> usize {
    let mut read = 0;
    while read < buffer.len() {
        match ours.read(&mut buffer[read..]) {
            Ok(0) => return read,
            Ok(count) => read += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && read == 0 => wait(ours),
            Err(_) => return read, // nothing more for now, or EIO: nobody has the other side open any more
        }
    }
    read
}

fn wait(ours: &File) {
    while rustix::event::poll(&mut [PollFd::new(ours, PollFlags::IN)], None) == Err(Errno::INTR) {}
}

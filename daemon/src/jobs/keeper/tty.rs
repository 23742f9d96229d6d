//! The first moment of a process on a terminal: it begins a session, takes its standard input as the terminal of that session, and becomes the program.
//!
//! That has to happen between the start of a process and that of the program. Nothing of ours may run there but what is safe after a fork, so it is this very
//! binary, started once more, that does it.

use std::{
    ffi::OsStr,
    io,
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

use super::link::KeeperCommand;

/// The argument that makes the binary this.
pub const ARGUMENT: &str = "__tty";

/// What a shell says of a program that cannot be run.
const CANNOT_RUN: u8 = 127;

/// A command that becomes `program` on the terminal that is its standard input. The program's arguments are still to be added.
pub(super) fn command(program: &str, name: &str) -> io::Result<Command> {
    let mut command = Command::new(KeeperCommand::this_binary()?.program);
    command.arg0("loopsy").args([ARGUMENT, program, name]);
    Ok(command)
}

/// Becomes the program that the command line names: its file, what it is told that it is called, and its arguments. Returns only when it cannot.
pub fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(2);
    let (Some(program), Some(name)) = (words.next(), words.next()) else { return ExitCode::from(CANNOT_RUN) };
    let failed = become_program(&program, &name, words);
    eprintln!("loopsy: {} cannot be run: {failed}", program.to_string_lossy());
    ExitCode::from(CANNOT_RUN)
}

fn become_program(program: &OsStr, name: &OsStr, arguments: impl Iterator<Item = std::ffi::OsString>) -> io::Error {
    if let Err(error) = rustix::process::setsid().and_then(|_| rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())) {
        return error.into();
    }
    Command::new(program).arg0(name).args(arguments).exec()
}

//! `loopsy`: reads the command line, does what it says, ends with the code that tells how it went.

mod args;
mod cmd;
mod context;
mod error;
mod output;

use std::process::ExitCode;

fn main() -> ExitCode {
    // A job's keeper is this same program, started by the daemon; it must cost nothing, so it comes before everything else.
    if std::env::args_os().nth(1).is_some_and(|first| first == "__keeper") {
        return loopsy_daemon::jobs::keeper::main();
    }
    // What an agent's hook runs must end with the hook's own exit codes, whatever its arguments are.
    if std::env::args_os().nth(1).is_some_and(|first| first == "__hook") {
        return cmd::hook::main(std::env::args_os().skip(2));
    }
    // So is the first moment of a program on a terminal, which the keeper starts.
    if std::env::args_os().nth(1).is_some_and(|first| first == loopsy_daemon::jobs::keeper::tty::ARGUMENT) {
        return loopsy_daemon::jobs::keeper::tty::main();
    }
    let args = args::read();
    let output = output::Output { json: args.global.json, quiet: args.global.quiet };
    match cmd::run(args, output) {
        Ok(code) => ExitCode::from(code),
        Err(error) => output.fail(&error::explain(&error)),
    }
}

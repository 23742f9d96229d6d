//! From the parsed command line to the noun that does it.

use std::future::Future;

use crate::{
    args::{Args, Command, Daemon},
    context::Ctx,
    error::{Error, OK},
    output::Output,
};

mod approvals;
mod completions;
mod connect;
mod context;
mod daemon;
mod demo;
mod docs;
mod doctor;
mod exec;
pub(crate) mod hook;
mod init;
mod jobs;
mod key;
mod logs;
mod pair;
mod peer;
mod task;
mod terminal;
mod transfer;
mod tui;

/// Runs a command; the exit code says how it went.
///
/// # Errors
/// When it failed.
pub(crate) fn run(args: Args, output: Output) -> Result<u8, Error> {
    let ctx = &Ctx::new(&args.global, output)?;
    match args.command {
        Command::Completions { shell } => completions::script(ctx, shell),
        Command::Man { dir } => completions::man(&dir),
        Command::Docs { document } => docs::run(ctx, document),
        Command::Init(init) => init::run(ctx, &init),
        Command::Daemon { command: Daemon::Run { port, host, detached } } => daemon::run(ctx, port, host, detached),
        Command::Logs(logs) => logs::run(ctx, &logs),
        Command::Start => wait(daemon::start(ctx)),
        Command::Stop => wait(daemon::stop(ctx)),
        Command::Restart => wait(daemon::restart(ctx)),
        Command::Status => wait(daemon::status(ctx)),
        Command::Reload => wait(daemon::reload(ctx)),
        Command::Doctor(doctor) => wait(doctor::run(ctx, doctor.peer.as_deref())),
        Command::Demo(demo) => wait(demo::run(ctx, &demo)),
        Command::Tui(args) => tui::run(ctx, &args),
        Command::Pair(pair) => wait(pair::run(ctx, pair)),
        Command::Peers { command } => wait(peer::run(ctx, command)),
        Command::Connect(connect) => wait(connect::run(ctx, connect)),
        Command::Exec(exec) => wait(exec::run(ctx, exec)),
        Command::Send(transfer) => wait(transfer::send(ctx, transfer)),
        Command::Pull(transfer) => wait(transfer::pull(ctx, transfer)),
        Command::Transfers => wait(transfer::list(ctx)),
        Command::Jobs { peer } => wait(jobs::run(ctx, peer.as_deref())),
        Command::Terminal { command } => wait(terminal::run(ctx, command)),
        Command::Context { command } => wait(context::run(ctx, command)),
        Command::Task { command } => wait(task::run(ctx, command)),
        Command::Approvals { command } => wait(approvals::run(ctx, command)),
        Command::Key { command } => wait(key::run(ctx, command)),
    }
}

/// Most commands ask one question; a thread pool would cost more than the answer.
fn wait(command: impl Future<Output = Result<u8, Error>>) -> Result<u8, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(command)
}

/// A command that did what was asked.
const DONE: Result<u8, Error> = Ok(OK);

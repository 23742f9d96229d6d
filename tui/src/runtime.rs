//! The loop: what happens goes in, what is to be done comes out, and a frame is drawn when something changed.

use std::io;

use loopsy_shared::paths::DataDir;

use crate::terminal;

mod crash;
mod exec;
mod files;
pub(crate) mod link;
mod looks;
mod network;
mod pace;
mod painter;
mod signals;
pub(crate) mod terminals;
mod turns;
mod ui;
mod words;
mod writer;

/// What comes from the world that is no event of the app.
#[derive(Debug)]
pub(crate) enum Control {
    /// The window may have another size.
    Size,
    /// Stop like any program, until `fg`.
    Stop,
    /// We were stopped and go on.
    Continue,
    /// This signal says to end.
    End(i32),
    /// A part of the program is broken: what, and where it is written down.
    Crashed(String, Option<std::path::PathBuf>),
    /// Where the daemon is.
    Address(String),
    /// The person's editor has ended.
    Edited(crate::effect::Purpose, Result<Option<String>, String>),
}

/// Threads for the network.
const WORKERS: usize = 2;

/// How the control centre is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory.
    pub dir: DataDir,
    /// This program, for starting a daemon: `init` and `start`.
    pub program: std::path::PathBuf,
    /// Lines of text instead of a screen.
    pub plain: bool,
    /// Only ASCII is drawn.
    pub ascii: bool,
    /// The theme's name; that of the config when absent.
    pub theme: Option<String>,
    /// `auto`, `never`, `16`, `256` or `true`.
    pub color: Option<String>,
}

/// How it ended.
#[derive(Debug)]
enum End {
    /// The person left.
    Quit,
    /// The terminal is gone.
    Gone,
    /// By a signal.
    Signal(i32),
    /// By a fault of ours.
    Crashed(String, Option<std::path::PathBuf>),
}

/// Runs until the person leaves. The terminal is given back whatever happens.
///
/// # Errors
/// When there is no terminal, or it cannot be used.
pub fn run(options: Options) -> io::Result<()> {
    if options.plain || !terminal::is_usable() {
        return crate::plain::run(&options);
    }
    let workers = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).thread_name("tui-io").enable_all().build()?;
    let workers = Workers(Some(workers));
    let end = workers.run(ui::run(options))?;
    drop(workers);
    match end {
        End::Quit | End::Gone => {}
        End::Signal(signal) => signals::end_by(signal),
        End::Crashed(message, file) => {
            crash::say(&message, file.as_deref());
            // It ends as any panic does, which was written down where it happened.
            std::panic::resume_unwind(Box::new(message));
        }
    }
    Ok(())
}

/// Ends without waiting for anything that still runs.
struct Workers(Option<tokio::runtime::Runtime>);

impl Workers {
    fn run<T>(&self, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        match &self.0 {
            Some(workers) => workers.block_on(work),
            None => Err(io::ErrorKind::Other.into()),
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Some(workers) = self.0.take() {
            workers.shutdown_background();
        }
    }
}

/// Puts a terminal right that some program left in a strange state.
///
/// # Errors
/// When there is no terminal.
pub fn reset_terminal() -> io::Result<()> {
    terminal::reset()
}

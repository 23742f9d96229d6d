//! When the program itself is broken: the terminal is given back, what is known goes into a file, and the person is told where.

use std::{
    backtrace::Backtrace,
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    panic::{self, PanicHookInfo},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread::ThreadId,
};

use loopsy_shared::{paths::DataDir, text::inert, time};
use tokio::sync::mpsc;

use super::Control;
use crate::{recorder::Recorder, terminal};

/// What is known when it happens.
#[derive(Debug, Clone)]
struct Known {
    dir: DataDir,
    recorder: Arc<Mutex<Recorder>>,
    control: mpsc::Sender<Control>,
    ui: ThreadId,
}

/// Nothing while no control centre runs.
static KNOWN: Mutex<Option<Known>> = Mutex::new(None);

/// What takes panics.
type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Sync + Send + 'static>;

/// Takes panics while it is there.
pub(crate) struct Watch {
    before: Option<Hook>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

impl Watch {
    /// From now on, for the thread that asks as the one that draws.
    pub(crate) fn start(dir: DataDir, recorder: Arc<Mutex<Recorder>>, control: mpsc::Sender<Control>) -> Self {
        *KNOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(Known { dir, recorder, control, ui: std::thread::current().id() });
        let before = panic::take_hook();
        panic::set_hook(Box::new(panicked));
        Self { before: Some(before) }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        *KNOWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
        // The hook cannot be changed while a panic goes through.
        if let Some(before) = self.before.take()
            && !std::thread::panicking()
        {
            panic::set_hook(before);
        }
    }
}

fn panicked(info: &PanicHookInfo<'_>) {
    let known = KNOWN.try_lock().ok().and_then(|known| known.clone());
    // Messages of the language quote the text that was cut wrongly, and that may be anybody's.
    let what = info.payload_as_str().and_then(|words| words.split(['`', '\n']).next()).map_or("no words", str::trim_end);
    let place = info.location().map(|place| format!(" at {}:{}", place.file(), place.line())).unwrap_or_default();
    let message = inert(&format!("{what}{place}")).into_owned();
    let Some(known) = known else {
        terminal::give_back();
        return say(&message, None);
    };
    let written = write(&known, &message);
    if std::thread::current().id() == known.ui {
        terminal::give_back();
        say(&message, written.as_deref());
    } else {
        // The screen is the other thread's: it ends, and tells the same.
        let _full = known.control.try_send(Control::Crashed(message, written));
    }
}

/// Tells the person on the normal screen.
pub(crate) fn say(message: &str, file: Option<&std::path::Path>) {
    let more = file
        .map(|path| format!("\nWhat happened before is in `{}`; of what you typed into fields and programs it holds only how much it was.", path.display()))
        .unwrap_or_default();
    let text = format!("The control centre of Loopsy broke: {message}.\nDaemon, tasks and terminals go on.{more}\n");
    let _gone = std::io::stderr().write_all(text.as_bytes());
}

/// Writes the crash file: where it is.
fn write(known: &Known, message: &str) -> Option<PathBuf> {
    // Nothing is made where no node is.
    if !known.dir.path().is_dir() {
        return None;
    }
    let _there = fs::DirBuilder::new().mode(0o700).create(known.dir.logs());
    let path = known.dir.logs().join(format!("tui-crash-{}.txt", time::now()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).ok()?;
    let (columns, rows) = terminal::size();
    let recorded = known.recorder.try_lock().map_or_else(|_| "(busy)\n".to_owned(), |recorder| recorder.to_string());
    write!(
        file,
        "loopsy {}\n{}\n{message}\nwindow {columns}x{rows}, thread {}\n\n{}\n\nLast events:\n{recorded}",
        env!("CARGO_PKG_VERSION"),
        time::iso(time::now()),
        std::thread::current().name().unwrap_or("main"),
        Backtrace::force_capture(),
    )
    .ok()?;
    Some(path)
}

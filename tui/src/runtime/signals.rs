//! Signals: a new size, being stopped and going on, and being told to end.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use signal_hook::{
    consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH},
    iterator::{Handle, Signals},
    low_level::emulate_default_handler,
};
use tokio::sync::mpsc;

use super::Control;
use crate::terminal;

/// How long ending in order may take after a signal. Then the terminal is given back all the same.
const PATIENCE: Duration = Duration::from_secs(3);

/// Listens while it is there.
#[derive(Debug)]
pub(crate) struct Listener {
    handle: Handle,
    over: Arc<AtomicBool>,
    /// What a keyboard sends is for somebody else.
    elsewhere: Arc<AtomicBool>,
}

impl Listener {
    /// Starts listening.
    ///
    /// # Errors
    /// When signals cannot be had.
    pub(crate) fn start(control: mpsc::Sender<Control>) -> io::Result<Self> {
        let mut signals = Signals::new([SIGWINCH, SIGTSTP, SIGCONT, SIGINT, SIGTERM, SIGHUP, SIGQUIT])?;
        let (handle, over) = (signals.handle(), Arc::new(AtomicBool::new(false)));
        let elsewhere = Arc::new(AtomicBool::new(false));
        let (ours, away) = (Arc::clone(&over), Arc::clone(&elsewhere));
        std::thread::Builder::new().name("tui-signals".to_owned()).spawn(move || {
            let mut told = false;
            while !signals.is_closed() {
                let batch: Vec<_> = signals.wait().collect();
                for signal in &batch {
                    let sent = match *signal {
                        SIGWINCH => control.try_send(Control::Size),
                        // Both at once: we were stopped in between.
                        SIGTSTP if batch.contains(&SIGCONT) => Ok(()),
                        SIGTSTP => control.try_send(Control::Stop),
                        SIGCONT => control.try_send(Control::Continue),
                        SIGINT | SIGQUIT if away.load(Ordering::Relaxed) => Ok(()),
                        signal => {
                            if std::mem::replace(&mut told, true) {
                                die(signal);
                            }
                            insist(signal, Arc::clone(&ours));
                            control.try_send(Control::End(signal))
                        }
                    };
                    // Full only when the loop is stuck; then it does not matter either.
                    let _stuck = sent;
                }
            }
        })?;
        Ok(Self { handle, over, elsewhere })
    }

    /// Whether the signals that a keyboard sends are for another program at the moment.
    pub(crate) fn leave_alone(&self, elsewhere: bool) {
        self.elsewhere.store(elsewhere, Ordering::Relaxed);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.handle.close();
    }
}

/// Ends the process by force if it has not ended in order by then.
fn insist(signal: i32, over: Arc<AtomicBool>) {
    let _none = std::thread::Builder::new().name("tui-end".to_owned()).spawn(move || {
        std::thread::sleep(PATIENCE);
        if !over.load(Ordering::Relaxed) {
            die(signal);
        }
    });
}

/// Gives the terminal back and ends as the signal would have.
fn die(signal: i32) {
    terminal::give_back();
    let _never = emulate_default_handler(signal);
}

/// Ends as the signal would have, after everything was put in order; returns when that is not possible, or would leave a core file.
pub(crate) fn end_by(signal: i32) {
    if signal != SIGQUIT {
        let _never = emulate_default_handler(signal);
    }
}

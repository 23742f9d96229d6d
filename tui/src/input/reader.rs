//! The thread that reads the terminal. It can be asked to leave it alone, for an editor that needs it.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    stdio::stdin,
};
use tokio::sync::mpsc;

use super::splitter::{Heard, Splitter};

/// Batches that wait for the loop. When it is full, what is typed waits in the terminal.
pub(crate) const BATCHES: usize = 64;
/// The most that is read at once.
const READ: usize = 16 << 10;
/// How long the thread may take to leave the terminal alone. It is longer only when the loop itself is stuck.
const PATIENCE: Duration = Duration::from_millis(300);

/// What the thread is to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Wanted {
    #[default]
    Read,
    Rest,
    End,
}

#[derive(Debug, Default)]
struct Shared {
    /// What is wanted, and whether the thread rests.
    state: Mutex<(Wanted, bool)>,
    changed: Condvar,
}

/// The way to the thread.
#[derive(Debug)]
pub(crate) struct Reader {
    wake: OwnedFd,
    shared: Arc<Shared>,
}

impl Reader {
    /// Starts it. What it hears goes to `batches`, each read as one; when the terminal is gone that ends.
    ///
    /// # Errors
    /// When there can be no further thread or pipe.
    pub(crate) fn start(remote: bool, batches: mpsc::Sender<Vec<Heard>>) -> io::Result<Self> {
        let (woken, wake) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let shared = Arc::new(Shared::default());
        let ours = Arc::clone(&shared);
        std::thread::Builder::new().name("tui-reader".to_owned()).spawn(move || read(&woken, &ours, Splitter::new(remote), &batches))?;
        Ok(Self { wake, shared })
    }

    fn want(&self, wanted: Wanted) {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).0 = wanted;
        self.shared.changed.notify_all();
        let _gone = rustix::io::write(&self.wake, b"!");
    }

    /// Leaves the terminal alone. Returns when that is so.
    pub(crate) fn rest(&self) {
        self.want(Wanted::Rest);
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let _waited = self.shared.changed.wait_timeout_while(state, PATIENCE, |(_, rests)| !*rests);
    }

    /// Reads again.
    pub(crate) fn resume(&self) {
        self.want(Wanted::Read);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.want(Wanted::End);
    }
}

fn read(woken: &OwnedFd, shared: &Shared, mut splitter: Splitter, batches: &mpsc::Sender<Vec<Heard>>) {
    let begin = Instant::now();
    let now = || u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut buffer = vec![0; READ];
    loop {
        let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.0 == Wanted::Rest {
            state.1 = true;
            shared.changed.notify_all();
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.1 = false;
        if state.0 == Wanted::End {
            return;
        }
        drop(state);
        let limit = splitter.deadline().map(|due| due.saturating_sub(now()));
        let Some((typed, wake)) = wait(woken, limit) else { return };
        if wake {
            let _any = rustix::io::read(woken, &mut buffer[..64]);
            continue;
        }
        let heard = if typed {
            match rustix::io::read(stdin(), &mut buffer) {
                Ok(0) => return,
                Ok(count) => splitter.feed(buffer.get(..count).unwrap_or_default(), now()),
                Err(Errno::INTR | Errno::AGAIN) => continue,
                // The terminal is gone.
                Err(_) => return,
            }
        } else {
            splitter.tick(now())
        };
        if !heard.is_empty() && batches.blocking_send(heard).is_err() {
            return;
        }
    }
}

/// Waits for the terminal or for being woken: which of them. None when the terminal is gone.
fn wait(woken: &OwnedFd, limit: Option<u64>) -> Option<(bool, bool)> {
    let limit = limit.map(|limit| Timespec { tv_sec: (limit / 1000).cast_signed(), tv_nsec: (limit % 1000).cast_signed() * 1_000_000 });
    let terminal = stdin();
    let mut both = [PollFd::new(&terminal, PollFlags::IN), PollFd::from_borrowed_fd(woken.as_fd(), PollFlags::IN)];
    match poll(&mut both, limit.as_ref()) {
        Ok(_) => {}
        Err(Errno::INTR | Errno::AGAIN) => return Some((false, false)),
        Err(_) => return None,
    }
    let [typed, wake] = both.map(|fd| fd.revents());
    // What was typed before it went is read first.
    if typed.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) && !typed.contains(PollFlags::IN) {
        return None;
    }
    Some((typed.contains(PollFlags::IN), !wake.is_empty()))
}

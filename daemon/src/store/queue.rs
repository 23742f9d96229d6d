//! Changes on their way to the writer, and how long it waits for more of them.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Change, StoreError};

/// KiB of changes that may wait for the disk; past this, callers wait in line before they hand theirs in.
const QUEUE_KIB: usize = 32 << 10;
/// Most changes in one transaction.
pub(super) const BATCH_CHANGES: usize = 256;
/// A transaction is closed once it has this many KiB, so that others need not wait for a flood of long values.
const BATCH_KIB: usize = 16 << 10;

/// A change with its place in the queue.
pub(super) struct Item {
    pub(super) change: Box<dyn Change>,
    room: OwnedSemaphorePermit,
}

/// The bounded queue between callers and the writer.
pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    room: Arc<Semaphore>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Item>,
    /// The writer is woken when this many wait.
    wanted: usize,
    closed: bool,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), arrived: Condvar::new(), room: Arc::new(Semaphore::new(QUEUE_KIB)) }
    }

    /// Hands in a change of `bytes`, after waiting for room.
    pub(super) async fn push(&self, change: Box<dyn Change>, bytes: usize) -> Result<(), StoreError> {
        let kib = u32::try_from((1 + bytes / 1024).min(QUEUE_KIB)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(kib).await.map_err(|_| StoreError::Closed)?;
        let enough = {
            let mut state = self.lock();
            if state.closed {
                return Err(StoreError::Closed);
            }
            state.waiting.push_back(Item { change, room });
            state.waiting.len() >= state.wanted
        };
        if enough {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Waits for a change, and then until `expected` are there, but no longer than `patience` from now. `None` once the queue is closed and empty.
    pub(super) fn take(&self, expected: usize, patience: Duration) -> Option<Vec<Item>> {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        state.wanted = 1;
        state = self.arrived.wait_while(state, |state| state.waiting.is_empty() && !state.closed).unwrap_or_else(PoisonError::into_inner);
        let expected = expected.min(BATCH_CHANGES);
        while state.waiting.len() < expected && !state.closed {
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else { break };
            state.wanted = expected;
            state = self.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        // Nobody needs to wake the writer while it works.
        state.wanted = usize::MAX;
        if state.waiting.is_empty() { None } else { Some(batch(&mut state.waiting)) }
    }

    /// How many wait now.
    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Refuses further changes. Those that wait are still taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.arrived.notify_all();
    }

    /// Refuses further changes and drops those that wait; whoever waits for their end is told.
    pub(super) fn abandon(&self) {
        self.close();
        let dropped = std::mem::take(&mut self.lock().waiting);
        drop(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn batch(waiting: &mut VecDeque<Item>) -> Vec<Item> {
    let mut kib = 0;
    let fit = waiting
        .iter()
        .take(BATCH_CHANGES)
        .take_while(|item| {
            let before = kib;
            kib += item.room.num_permits();
            before < BATCH_KIB
        })
        .count();
    waiting.drain(..fit).collect()
}

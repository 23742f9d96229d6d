//! All jobs that are known, and for how long.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use loopsy_shared::id::JobId;

use super::{Job, JobError, Shared};

/// How long an ended job can be asked about.
const KEPT_FOR: Duration = Duration::from_secs(3600);

/// Ended jobs that can be asked about.
const KEPT: usize = 1000;

/// Memory for ended jobs. Past this, output moves to the disk, oldest first.
const MEMORY: usize = 64 << 20;

/// Disk space for ended jobs. Past this, the oldest are forgotten early.
const DISK: u64 = 4 << 30;

#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) jobs: HashMap<JobId, Job>,
    /// Jobs started since the daemon started.
    pub(super) started: u64,
    /// Whether no more are started.
    pub(super) closing: bool,
    /// Jobs that run or are about to.
    active: usize,
    ended: VecDeque<Ended>,
    memory: usize,
    disk: u64,
}

#[derive(Debug)]
struct Ended {
    id: JobId,
    at: Instant,
    /// Memory that can move to the disk.
    movable: usize,
    fixed: usize,
    disk: u64,
}

impl Table {
    pub(super) fn insert(&mut self, job: Job) {
        self.jobs.insert(job.id().clone(), job);
    }

    /// Counts a job that has started, and gives it its number.
    pub(super) fn count(&mut self) -> u64 {
        self.started += 1;
        self.started
    }

    /// How many run.
    pub(super) fn running(&self) -> usize {
        self.jobs.len() - self.ended.len()
    }

    /// Counts a job among the ended ones.
    pub(super) fn end(&mut self, job: &Job) {
        let (movable, fixed, disk) = job.footprint();
        self.memory += movable + fixed;
        self.disk += disk;
        self.ended.push_back(Ended { id: job.id().clone(), at: Instant::now(), movable, fixed, disk });
    }

    /// Whether [`Table::sweep`] has something to do.
    pub(super) fn is_full(&self) -> bool {
        self.ended.len() > KEPT || self.memory > MEMORY || self.disk > DISK
    }

    /// Takes out what is to be forgotten, and says whose output is to move to the disk.
    pub(super) fn sweep(&mut self) -> (Vec<Job>, Vec<Job>) {
        let mut settling = Vec::new();
        for ended in &mut self.ended {
            if self.memory <= MEMORY {
                break;
            }
            let moved = std::mem::take(&mut ended.movable);
            if moved > 0 {
                self.memory -= moved;
                self.disk += moved as u64;
                ended.disk += moved as u64;
                settling.extend(self.jobs.get(&ended.id).cloned());
            }
        }
        let mut forgotten = Vec::new();
        while let Some(oldest) = self.ended.pop_front_if(|oldest| oldest.at.elapsed() > KEPT_FOR) {
            forgotten.extend(self.forget(&oldest));
        }
        while self.is_full()
            && let Some(oldest) = self.ended.pop_front()
        {
            forgotten.extend(self.forget(&oldest));
        }
        (forgotten, settling)
    }

    /// Takes out an ended job whose output could not move to the disk: it was counted as moved.
    pub(super) fn give_up(&mut self, id: &JobId) -> Option<Job> {
        let at = self.ended.iter().position(|ended| ended.id == *id)?;
        let ended = self.ended.remove(at)?;
        self.forget(&ended)
    }

    fn forget(&mut self, ended: &Ended) -> Option<Job> {
        self.memory -= ended.movable + ended.fixed;
        self.disk -= ended.disk;
        self.jobs.remove(&ended.id)
    }
}

/// The right to run one job. Given back when dropped.
#[derive(Debug)]
pub(super) struct Slot(Arc<Shared>);

impl Slot {
    pub(super) fn take(shared: &Arc<Shared>, most: usize) -> Result<Self, JobError> {
        let mut table = shared.table.lock();
        if table.closing {
            return Err(JobError::Closing);
        }
        if table.active >= most {
            return Err(JobError::TooMany(table.active));
        }
        table.active += 1;
        Ok(Self(Arc::clone(shared)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.table.lock().active -= 1;
    }
}

//! Who holds a data directory's lock. The lock itself says whether a daemon lives; files with process ids only help to name it.

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
};

use loopsy_shared::{client::Runtime, paths::DataDir};

/// What the lock says.
#[derive(Debug)]
pub(super) enum Lock {
    /// Nobody holds it. As long as this value lives, no daemon can start.
    Free {
        /// Our own hold on it, when there is a file at all.
        _held: Option<File>,
    },
    /// A daemon lives.
    Held,
}

/// Tries the lock.
///
/// # Errors
/// When the file cannot be opened.
pub(super) fn probe(dir: &DataDir) -> io::Result<Lock> {
    let file = match File::open(dir.lock()) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Lock::Free { _held: None }),
        Err(e) => return Err(e),
    };
    match file.try_lock() {
        Ok(()) => Ok(Lock::Free { _held: Some(file) }),
        Err(TryLockError::WouldBlock) => Ok(Lock::Held),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

/// Who holds the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holder {
    /// Its process.
    pub pid: i32,
    /// Whether the system itself says so, and not just a file.
    pub certain: bool,
}

/// Finds the process behind a held lock.
pub(super) fn holder(dir: &DataDir) -> Option<Holder> {
    let recorded = recorded(dir);
    if let Some(pid) = kernel_says(&dir.lock()) {
        return Some(Holder { pid, certain: true });
    }
    let open = has_open(&dir.lock());
    let chosen = recorded.filter(|pid| open.contains(pid)).or(if let [only] = open.as_slice() { Some(*only) } else { None });
    chosen.map(|pid| Holder { pid, certain: true }).or_else(|| recorded.map(|pid| Holder { pid, certain: false }))
}

/// What the running daemon wrote about itself.
pub(super) fn runtime(dir: &DataDir) -> Option<Runtime> {
    serde_json::from_slice(&std::fs::read(dir.runtime()).ok()?).ok()
}

fn recorded(dir: &DataDir) -> Option<i32> {
    let from_pid_file = || std::fs::read_to_string(dir.pid()).ok()?.trim().parse().ok();
    runtime(dir).map(|runtime| runtime.pid).or_else(from_pid_file).filter(|pid| *pid > 1)
}

/// Linux lists every lock with its owner and the file's inode.
fn kernel_says(lock: &Path) -> Option<i32> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(lock).ok()?;
    let (major, minor) = (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
    let file = format!("{major:02x}:{minor:02x}:{}", meta.ino());
    owner(&std::fs::read_to_string("/proc/locks").ok()?, &file)
}

/// A line is `12: FLOCK  ADVISORY  WRITE 4711 fe:01:1234 0 EOF`; one that only waits has `->` before its kind.
fn owner(locks: &str, file: &str) -> Option<i32> {
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields.as_slice() {
            [_, "FLOCK", _, "WRITE", pid, at, ..] if *at == file => pid.parse().ok().filter(|pid| *pid > 1),
            _ => None,
        }
    })
}

/// Other processes that have the file open, by `/proc/*/fd`.
fn has_open(lock: &Path) -> Vec<i32> {
    let Ok(lock) = lock.canonicalize() else { return Vec::new() };
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let own = std::process::id().cast_signed();
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()).filter(|pid| *pid != own);
    let holds = |pid: &i32| {
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd"));
        fds.is_ok_and(|fds| fds.flatten().any(|fd| std::fs::read_link(fd.path()).is_ok_and(|target| target == lock)))
    };
    pids.filter(holds).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_free_until_somebody_holds_it() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = DataDir::new(temp.path()).expect("a path");
        assert!(matches!(probe(&dir).expect("probes"), Lock::Free { .. }), "no file");
        let file = File::create(dir.lock()).expect("a file");
        assert!(matches!(probe(&dir).expect("probes"), Lock::Free { .. }), "no holder");
        file.lock().expect("locks");
        assert!(matches!(probe(&dir).expect("probes"), Lock::Held));
        if cfg!(target_os = "linux") {
            let found = kernel_says(&dir.lock());
            assert!(found.is_none() || found == Some(std::process::id().cast_signed()), "{found:?}");
        }
    }

    #[test]
    fn waiting_for_a_lock_is_not_holding_it() {
        let locks = "1: POSIX  ADVISORY  WRITE 10 08:01:5 0 EOF\n2: FLOCK  ADVISORY  WRITE 11 08:01:6 0 EOF\n2: -> FLOCK  ADVISORY  WRITE 12 08:01:5 0 EOF\n3: FLOCK  ADVISORY  WRITE 13 08:01:5 0 EOF\n";
        assert_eq!(owner(locks, "08:01:5"), Some(13));
        assert_eq!(owner(locks, "08:01:9"), None);
    }
}

//! What every case needs: homes, daemons, pairs of them, the command line, HTTP by hand.

pub(crate) mod agents;
pub(crate) mod capture;
pub(crate) mod cli;
pub(crate) mod daemon;
pub(crate) mod demo;
pub(crate) mod dialogue;
pub(crate) mod fake_agent;
pub(crate) mod fake_peer;
pub(crate) mod fleet;
pub(crate) mod http;
pub(crate) mod model;
pub(crate) mod netns;
pub(crate) mod pair;
pub(crate) mod paired;
pub(crate) mod picture;
pub(crate) mod rogue;
pub(crate) mod screen;
pub(crate) mod terminal;
pub(crate) mod tls;

use std::{
    path::Path,
    time::{Duration, Instant},
};

pub(crate) use cli::{Home, Ran};
pub(crate) use daemon::TestDaemon;
pub(crate) use dialogue::Dialogue;
pub(crate) use http::{Answer, Sse};
pub(crate) use pair::{Pair, connect};

/// Longest wait for anything. Reaching it is a failure, so it can be generous.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until there is something.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(15));
    }
}

/// A runtime for the typed client.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Every regular file below a directory.
pub(crate) fn files_below(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut queue = vec![dir.to_owned()];
    while let Some(dir) = queue.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => queue.push(entry.path()),
                Ok(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// SHA-256, hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that look random and are the same every time.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(length);
    out
}

/// Processes whose command line holds a text, but for our own command line that was told to run it.
pub(crate) fn processes_with(needle: &str) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let exec = [env!("CARGO_BIN_EXE_loopsy").as_bytes(), b"\0exec\0"].concat();
        if line.starts_with(&exec) {
            continue;
        }
        if String::from_utf8_lossy(&line).replace('\0', " ").contains(needle) {
            found.push(pid);
        }
    }
    found
}

/// A number that no other test of this run has.
pub(crate) fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    (u64::from(std::process::id()) << 16) + NEXT.fetch_add(1, Ordering::Relaxed)
}

/// An argument for `sleep` by which its process is found, and no other.
pub(crate) fn mark_of() -> String {
    (700_000_000 + unique() % 100_000_000).to_string()
}

/// Ends a process by its id.
pub(crate) fn kill(pid: u32, signal: rustix::process::Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        let _gone_already = rustix::process::kill_process(pid, signal);
    }
}

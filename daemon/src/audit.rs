//! `logs/audit.jsonl`: one line a request, each with the hash of the line before.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use loopsy_shared::{
    api::health::Problem,
    config::Config,
    secret::{self, KeyDigest},
    time::{self, Millis},
};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use crate::fsutil;

/// Lines that may wait for the disk. Full means that the disk is slow: a request then waits at most [`PATIENCE`], after which its line is counted as lost.
const QUEUE: usize = 8192;
const PATIENCE: Duration = Duration::from_millis(100);
/// How long the writer lets lines gather, so that a busy node wakes it rarely.
const GATHER: Duration = Duration::from_millis(5);
/// What the first line of all names as the one before.
const START: KeyDigest = [0; 32];

/// One request, as it is recorded. The order of the fields is that of the file.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Made by this node, never taken from the caller.
    pub request_id: String,
    /// HTTP method.
    pub method: String,
    /// Path with query; values of the query that could be secret are left out.
    pub path: String,
    /// Where the connection came from.
    pub from_ip: String,
    /// HTTP status.
    pub status_code: u16,
    /// Milliseconds until the answer began.
    pub duration: f64,
    /// When the request came.
    #[serde(serialize_with = "iso")]
    pub timestamp: Millis,
    /// Whose key it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// Which key it was: the first digits of its hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
}

fn iso<S: serde::Serializer>(at: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time::iso(*at))
}

#[derive(Serialize)]
struct Chained<'a> {
    #[serde(flatten)]
    line: &'a Line,
    prev: String,
}

/// The audit log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Audit {
    queue: mpsc::Sender<Option<Line>>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    lost: AtomicU64,
    problem: Mutex<Option<Problem>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Audit {
    /// Opens the log, and a thread that writes it.
    ///
    /// # Errors
    /// When the log cannot be opened.
    pub fn open(logs: &Path, config: watch::Receiver<Arc<Config>>) -> io::Result<Self> {
        let mut log = Log::open(logs)?;
        let (queue, mut lines) = mpsc::channel(QUEUE);
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let writer = std::thread::Builder::new().name("audit".to_owned()).spawn(move || {
            let (mut batch, mut over) = (Vec::new(), false);
            while !over && let Some(Some(first)) = lines.blocking_recv() {
                std::thread::sleep(GATHER);
                batch.push(first);
                while batch.len() < QUEUE && !over {
                    match lines.try_recv() {
                        Ok(Some(line)) => batch.push(line),
                        Ok(None) => over = true,
                        Err(_) => break,
                    }
                }
                let limits = config.borrow().logging.clone();
                let outcome = log.append(&batch, limits.audit_max_bytes, limits.audit_files);
                shared.note(outcome, batch.len());
                batch.clear();
            }
        })?;
        *state.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer);
        Ok(Self { queue, state })
    }

    /// Records a request. Waits at most 100 ms, and then only when the disk is far behind.
    pub async fn record(&self, line: Line) {
        let Err(mpsc::error::TrySendError::Full(line)) = self.queue.try_send(Some(line)) else { return };
        if tokio::time::timeout(PATIENCE, self.queue.send(line)).await.is_err() {
            self.state.note(Err(io::Error::new(io::ErrorKind::TimedOut, "the disk is too slow")), 1);
        }
    }

    /// Records a request without waiting, where nobody can wait any more.
    pub fn record_now(&self, line: Line) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.queue.try_send(Some(line)) {
            self.state.note(Err(io::Error::new(io::ErrorKind::TimedOut, "the disk is too slow")), 1);
        }
    }

    /// What is wrong with the log.
    pub fn problem(&self) -> Option<Problem> {
        self.state.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes what waits and ends the thread. What is recorded afterwards is counted as lost.
    pub async fn close(&self) {
        let writer = self.state.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writer) = writer else { return };
        // The end mark: the writer stops behind everything that was recorded before it.
        let ended = self.queue.send(None).await.is_ok() && tokio::task::spawn_blocking(move || writer.join().is_ok()).await.unwrap_or(false);
        if !ended {
            tracing::error!("the audit writer had crashed");
        }
    }
}

impl State {
    fn note(&self, outcome: io::Result<()>, lines: usize) {
        let mut problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(()) => {
                if self.lost.load(Ordering::Relaxed) == 0 {
                    *problem = None;
                }
            }
            Err(error) => {
                let lost = self.lost.fetch_add(lines as u64, Ordering::Relaxed) + lines as u64;
                let since = problem.as_ref().map_or_else(time::now, |problem| problem.since);
                let message = format!("The audit log misses {lost} requests: {error}. Check the disk, then restart the daemon.");
                tracing::error!(%error, lost, "audit log");
                *problem = Some(Problem { part: "audit".to_owned(), message, since });
            }
        }
    }
}

/// The file, and where its chain ends.
#[derive(Debug)]
struct Log {
    dir: PathBuf,
    file: File,
    head: File,
    size: u64,
    last: KeyDigest,
}

fn current(dir: &Path) -> PathBuf {
    dir.join("audit.jsonl")
}

fn rotated(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("audit.jsonl.{number}"))
}

/// Holds the hash of the newest line, so that cutting lines off the end shows.
fn head(dir: &Path) -> PathBuf {
    dir.join("audit.head")
}

impl Log {
    fn open(dir: &Path) -> io::Result<Self> {
        let mut file = fsutil::append_private(&current(dir))?;
        let size = cut_torn_line(&current(dir), &mut file)?;
        let last = match last_line(&current(dir))? {
            Some(line) => secret::digest(&line),
            None => last_line(&rotated(dir, 1))?.map_or(START, |line| secret::digest(&line)),
        };
        let head = fsutil::write_private(&head(dir))?;
        Ok(Self { dir: dir.to_owned(), file, head, size, last })
    }

    fn append(&mut self, lines: &[Line], max_bytes: u64, keep: usize) -> io::Result<()> {
        let mut text = Vec::with_capacity(lines.len() * 384);
        let mut last = self.last;
        for line in lines {
            let start = text.len();
            serde_json::to_writer(&mut text, &Chained { line, prev: secret::hex(&last) })?;
            last = secret::digest(&text[start..]);
            text.push(b'\n');
        }
        if let Err(error) = self.file.write_all(&text) {
            // Half of it may be there. The chain goes on from the last whole line.
            self.file.set_len(self.size)?;
            return Err(error);
        }
        (self.size, self.last) = (self.size + text.len() as u64, last);
        self.head.seek(SeekFrom::Start(0))?;
        self.head.write_all(secret::hex(&self.last).as_bytes())?;
        if self.size >= max_bytes {
            self.rotate(keep)?;
        }
        Ok(())
    }

    fn rotate(&mut self, keep: usize) -> io::Result<()> {
        let ignore_missing = |outcome: io::Result<()>| match outcome {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        // All that are too many, should fewer be kept than before.
        for number in (keep.max(1)..).take_while(|number| *number == keep.max(1) || rotated(&self.dir, *number).exists()) {
            ignore_missing(fs::remove_file(rotated(&self.dir, number)))?;
        }
        for number in (1..keep.max(1)).rev() {
            ignore_missing(fs::rename(rotated(&self.dir, number), rotated(&self.dir, number + 1)))?;
        }
        fs::rename(current(&self.dir), rotated(&self.dir, 1))?;
        self.file = fsutil::append_private(&current(&self.dir))?;
        self.size = 0;
        Ok(())
    }
}

/// A line without its end was never acknowledged as written: the daemon was killed in the middle.
fn cut_torn_line(path: &Path, file: &mut File) -> io::Result<u64> {
    let size = file.metadata()?.len();
    let tail = read_tail(path)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let torn = (tail.len() - whole) as u64;
    if torn > 0 && (whole > 0 || tail.len() as u64 == size) {
        tracing::warn!(bytes = torn, "the audit log ended in the middle of a line, which was removed");
        file.set_len(size - torn)?;
        return Ok(size - torn);
    }
    Ok(size)
}

fn last_line(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let tail = match read_tail(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    Ok(tail.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty()).map(<[u8]>::to_vec))
}

/// The last 64 KiB: more than any line has.
fn read_tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(64 << 10)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    Ok(tail)
}

/// What a check of the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every line follows from the one before.
    Whole {
        /// Lines checked, over all files.
        lines: u64,
    },
    /// A line does not fit.
    Broken {
        /// The file.
        file: PathBuf,
        /// Its line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
}

/// Checks the chain from the oldest rotated file to the newest line. Lines that rotation removed are not missed.
///
/// # Errors
/// When a file cannot be read.
pub fn verify(logs: &Path) -> io::Result<Verdict> {
    #[derive(Deserialize)]
    struct Prev {
        prev: String,
    }
    let newest_rotated = (1..).take_while(|number| rotated(logs, *number).exists()).last().unwrap_or(0);
    let files = (1..=newest_rotated).rev().map(|number| rotated(logs, number)).chain([current(logs)]);
    let newest = match fs::read_to_string(head(logs)) {
        Ok(text) => secret::parse_digest(text.trim()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(e),
    };
    let (mut before, mut lines, mut head_seen): (Option<KeyDigest>, u64, bool) = (None, 0, newest.is_none());
    let (mut file, mut number) = (current(logs), 0);
    for path in files {
        let reader = match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            other => BufReader::new(other?),
        };
        (file, number) = (path, 0);
        let mut reader = reader;
        loop {
            let mut line = Vec::new();
            reader.read_until(b'\n', &mut line)?;
            // A line without its end is being written right now, or was torn by a crash and goes at the next start.
            if line.pop() != Some(b'\n') {
                break;
            }
            (lines, number) = (lines + 1, number + 1);
            let broken = |reason: &str| Ok(Verdict::Broken { file: file.clone(), line: number, reason: reason.to_owned() });
            let Some(prev) = serde_json::from_slice::<Prev>(&line).ok().and_then(|line| secret::parse_digest(&line.prev)) else {
                return broken("it is no audit line");
            };
            match before {
                Some(before) if before != prev => {
                    return broken("it does not follow from the line before: one of the two was changed, or lines between them are missing");
                }
                None if newest_rotated == 0 && prev != START => return broken("it is not the first line: lines before it are missing"),
                _ => {}
            }
            let digest = secret::digest(&line);
            head_seen |= newest == Some(digest);
            before = Some(digest);
        }
    }
    if !head_seen {
        return Ok(Verdict::Broken { file, line: number, reason: "lines after it are missing, or it was changed".to_owned() });
    }
    Ok(Verdict::Whole { lines })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: usize) -> Line {
        Line {
            request_id: format!("r{n}"),
            method: "GET".to_owned(),
            path: format!("/api/v1/context/{n}\n{{"),
            from_ip: "127.0.0.1".to_owned(),
            status_code: 200,
            duration: 0.5,
            timestamp: 1_700_000_000_000,
            principal: Some("kai".to_owned()),
            key_id: Some("01234567".to_owned()),
        }
    }

    fn log_of(count: usize) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        let mut log = Log::open(dir.path()).expect("opens");
        (0..count).for_each(|n| log.append(&[line(n)], 1 << 20, 4).expect("writes"));
        dir
    }

    #[test]
    fn any_changed_removed_or_swapped_line_is_found() {
        let dir = log_of(20);
        let text = fs::read_to_string(current(dir.path())).expect("reads");
        assert_eq!(verify(dir.path()).expect("reads"), Verdict::Whole { lines: 20 });
        let lines: Vec<&str> = text.lines().collect();
        for n in 0..20 {
            let mut removed = lines.clone();
            removed.remove(n);
            let mut changed: Vec<String> = lines.iter().map(|l| (*l).to_owned()).collect();
            changed[n] = changed[n].replace("200", "403");
            let mut swapped = lines.clone();
            swapped.swap(n, (n + 1) % 20);
            for bad in [removed.join("\n"), changed.join("\n"), swapped.join("\n")] {
                fs::write(current(dir.path()), bad + "\n").expect("writes");
                assert!(matches!(verify(dir.path()).expect("reads"), Verdict::Broken { .. }), "line {n}");
            }
        }
    }

    /// The chain: 1,000 of 1,000. What is edited is random, and the same in every run.
    #[test]
    fn a_thousand_random_edits_are_each_found() {
        const LINES: usize = 300;
        let dir = tempfile::tempdir().expect("a directory");
        let all: Vec<Line> = (0..LINES).map(line).collect();
        Log::open(dir.path()).expect("opens").append(&all, 1 << 20, 4).expect("writes");
        let text = fs::read(current(dir.path())).expect("reads");
        let whole: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        assert_eq!(verify(dir.path()).expect("reads"), Verdict::Whole { lines: LINES as u64 });
        let mut state = 0x5eed_u64;
        let mut below = |most: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % most
        };
        for edit in 0..1000 {
            let mut lines: Vec<Vec<u8>> = whole.iter().map(|line| line.to_vec()).collect();
            let at = below(LINES);
            let what = match edit % 3 {
                0 => {
                    let line = &mut lines[at];
                    let place = below(line.len() - 1);
                    let was = std::mem::replace(&mut line[place], b' ' + below(95) as u8);
                    if line[place] == was {
                        line[place] ^= 1;
                    }
                    format!("byte {place} of line {at} changed from {was} to {}", line[place])
                }
                1 => {
                    lines.remove(at);
                    format!("line {at} removed")
                }
                _ => {
                    let with = (at + 1 + below(LINES - 1)) % LINES;
                    lines.swap(at, with);
                    format!("lines {at} and {with} swapped")
                }
            };
            fs::write(current(dir.path()), lines.concat()).expect("writes");
            assert!(matches!(verify(dir.path()).expect("reads"), Verdict::Broken { .. }), "{what}");
        }
    }

    #[test]
    fn the_chain_goes_on_over_restarts_torn_lines_and_rotation() {
        let dir = log_of(3);
        fs::OpenOptions::new().append(true).open(current(dir.path())).and_then(|mut f| f.write_all(b"{\"torn")).expect("tears");
        let mut log = Log::open(dir.path()).expect("opens");
        (3..40).for_each(|n| log.append(&[line(n)], 1024, 3).expect("writes"));
        drop(log);
        Log::open(dir.path()).expect("opens").append(&[line(40)], 1024, 3).expect("writes");
        assert!(matches!(verify(dir.path()).expect("reads"), Verdict::Whole { .. }), "{:?}", verify(dir.path()));
        assert!(!rotated(dir.path(), 4).exists());
    }
}

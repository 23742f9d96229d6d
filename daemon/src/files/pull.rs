//! Sending one file: what was there when it was opened, or an error; never a short or mixed file that looks whole.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use loopsy_shared::{api::transfer::FileKind, time::Millis};
use rustix::{
    fs::{Mode, OFlags, openat},
    io::Errno,
};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{
    FileError, Inner,
    confine::Place,
    error::shown,
    parts::ALIGN,
    system::{self, Meta, ObjectId},
};

/// What is read at once.
const BLOCK: usize = 1 << 20;

/// Blocks that are read before they are asked for. No thread waits for a slow receiver: without a wish there is no reading.
const AHEAD: usize = 3;

/// Files up to this size are read when they are opened.
const AT_ONCE: u64 = 64 << 10;

/// From this size on, what is not in memory is read past the page cache: less work, and the person's other files stay in it. The second time, when it was
/// not long ago, the file is worth the memory.
const LARGE: u64 = 64 << 20;

/// Blocks that are kept to be filled again.
const POOL: usize = AHEAD + 2;

/// Large files that were sent lately and are remembered; more push out the oldest.
const REMEMBERED: usize = 32;

/// The large files that were sent lately.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<VecDeque<ObjectId>>);

impl Recent {
    /// Remembers a file. Says whether it was known.
    fn note(&self, id: ObjectId) -> bool {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = recent.contains(&id);
        if !known {
            recent.truncate(REMEMBERED - 1);
            recent.push_front(id);
        }
        known
    }
}

type Pool = Arc<Mutex<Vec<Vec<u8>>>>;

/// A block that goes back to its pool when the last part of it was sent.
struct Pooled {
    memory: Vec<u8>,
    start: usize,
    length: usize,
    pool: Pool,
}

impl Pooled {
    fn new(pool: Pool, length: usize) -> Self {
        let memory = pool.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_else(|| vec![0; BLOCK + ALIGN]);
        let start = memory.as_ptr().align_offset(ALIGN).min(ALIGN);
        Self { memory, start, length, pool }
    }
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.length]
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < POOL {
            pool.push(std::mem::take(&mut self.memory));
        }
    }
}

/// An open file, and how it was when it was opened.
#[derive(Debug)]
struct Source {
    file: File,
    /// The same file, past the page cache.
    direct: Option<File>,
    meta: Meta,
    text: String,
}

impl Source {
    /// Fills a block from `at`, past the page cache where that was chosen and works.
    fn read_block(&self, block: &mut Pooled, at: u64, last: bool) -> Result<(), FileError> {
        let whole = &mut block.memory[block.start..block.start + BLOCK];
        if let Some(direct) = &self.direct
            && at.is_multiple_of(ALIGN as u64)
            && matches!(direct.read_at(&mut whole[..block.length.next_multiple_of(ALIGN)], at), Ok(read) if read >= block.length)
        {
            return if last { self.check() } else { Ok(()) };
        }
        self.read(&mut whole[..block.length], at, last)
    }

    /// Fills a buffer from `at`. With `last`, makes sure that the file did not change since it was opened.
    fn read(&self, buffer: &mut [u8], at: u64, last: bool) -> Result<(), FileError> {
        match self.file.read_exact_at(buffer, at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(FileError::Changed { path: shown(&self.text) }),
            other => other.map_err(|error| FileError::io(&self.text, "read", error))?,
        }
        if last { self.check() } else { Ok(()) }
    }

    fn check(&self) -> Result<(), FileError> {
        let now = Meta::of(&self.file).map_err(|error| FileError::io(&self.text, "look at", error))?;
        if (now.size, now.changed) == (self.meta.size, self.meta.changed) { Ok(()) } else { Err(FileError::Changed { path: shown(&self.text) }) }
    }
}

/// A file that is being sent.
pub struct PullFile {
    /// Bytes of the whole file.
    pub size: u64,
    /// When it was last changed.
    pub modified: Millis,
    /// Permission bits.
    pub mode: u32,
    /// Last part of the path that was asked for.
    pub name: String,
    /// Where sending begins.
    pub offset: u64,
    source: Arc<Source>,
    at: u64,
    ahead: VecDeque<JoinHandle<Result<Bytes, FileError>>>,
    whole: Option<Bytes>,
    pool: Pool,
}

impl std::fmt::Debug for PullFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PullFile").field("source", &self.source).field("at", &self.at).finish_non_exhaustive()
    }
}

impl PullFile {
    pub(super) fn open(inner: &Inner, text: &str, offset: u64) -> Result<Self, FileError> {
        let policy = inner.policy();
        let given = policy.absolute(text)?;
        let place = policy.object(&given, text)?;
        let (file, meta) = open_regular(&place, text)?;
        policy.refuse_object(&meta, text)?;
        let limit = policy.max_file_size();
        if meta.size > limit {
            return Err(FileError::TooLarge { path: shown(text), limit });
        }
        if offset > meta.size {
            return Err(FileError::invalid(text, format!("the offset {offset} lies behind the end of the file, which has {} bytes", meta.size)));
        }
        let rest = meta.size - offset;
        let direct = if rest >= LARGE && !inner.recent.note(meta.id) && !system::is_cached(&file, meta.size) { open_direct(&place, &meta) } else { None };
        let source = Source { file, direct, meta, text: text.to_owned() };
        let whole = if rest > AT_ONCE {
            system::read_ahead(&source.file);
            None
        } else {
            let mut bytes = vec![0; usize::try_from(rest).unwrap_or(0)];
            source.read(&mut bytes, offset, true)?;
            Some(bytes.into())
        };
        Ok(Self {
            size: meta.size,
            modified: meta.modified(),
            mode: meta.mode,
            name: given.file_name().unwrap_or(&place.name).to_string_lossy().into_owned(),
            offset,
            at: if whole.is_some() { meta.size } else { offset },
            source: Arc::new(source),
            ahead: VecDeque::with_capacity(AHEAD),
            whole: whole.filter(|bytes: &Bytes| !bytes.is_empty()),
            pool: Pool::default(),
        })
    }

    /// The next bytes; nothing at the end. After an error there is nothing more, and what was sent must not be taken for the file.
    pub async fn next(&mut self) -> Option<Result<Bytes, FileError>> {
        if let Some(whole) = self.whole.take() {
            return Some(Ok(whole));
        }
        self.fill();
        let read = self.ahead.front_mut()?.await.unwrap_or_else(|error| Err(FileError::io(&self.source.text, "read", io::Error::other(error))));
        self.ahead.pop_front();
        if read.is_err() {
            self.ahead.clear();
            self.at = self.size;
        } else {
            self.fill();
        }
        Some(read)
    }

    fn fill(&mut self) {
        while self.ahead.len() < AHEAD && self.at < self.size {
            let (at, source, pool) = (self.at, Arc::clone(&self.source), Arc::clone(&self.pool));
            let to_edge = BLOCK - usize::try_from(at % BLOCK as u64).unwrap_or(0);
            let length = to_edge.min(usize::try_from(self.size - at).unwrap_or(to_edge));
            self.at += length as u64;
            let last = self.at == self.size;
            self.ahead.push_back(spawn_blocking(move || {
                let mut block = Pooled::new(pool, length);
                source.read_block(&mut block, at, last)?;
                Ok(Bytes::from_owner(block))
            }));
        }
    }
}

/// Opens the same file past the page cache, where that is possible.
fn open_direct(place: &Place, meta: &Meta) -> Option<File> {
    let file = File::from(openat(&place.dir, &place.name, READ, Mode::empty()).ok()?);
    (Meta::of(&file).ok()?.id == meta.id && system::set_direct(&file, true)).then_some(file)
}

/// How files are opened: no waiting for a pipe, no link, no controlling terminal.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOFOLLOW).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// Opens a regular file and nothing else. Never waits for a pipe, never touches a device.
pub(super) fn open_regular(place: &Place, text: &str) -> Result<(File, Meta), FileError> {
    const NOT_A_FILE: &str = "it is not a regular file; only those are transferred.";
    let failed = |error: Errno| match error {
        Errno::NOENT => FileError::not_found(text, "there is no such file. List the directory to see what is there."),
        Errno::LOOP => FileError::denied(text, "it became a link while it was opened. Try again."),
        Errno::NXIO => FileError::not_found(text, NOT_A_FILE),
        error => FileError::io(text, "open", error),
    };
    if Meta::at(&place.dir, &place.name).map_err(failed)?.kind != FileKind::File {
        return Err(FileError::not_found(text, NOT_A_FILE));
    }
    let file = openat(&place.dir, &place.name, READ, Mode::empty()).map_err(failed)?;
    let meta = Meta::of(&file).map_err(failed)?;
    if meta.kind != FileKind::File {
        return Err(FileError::not_found(text, NOT_A_FILE));
    }
    Ok((file.into(), meta))
}

//! Receiving one file: checked first, hashed on the way, and at its name only when all of it is on the disk.

use std::{
    ffi::OsString,
    io, mem,
    os::fd::AsFd,
    sync::{Arc, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use loopsy_shared::api::transfer::{FileKind, Push, PushOffset, Pushed, UploadOffset};
use sha2::{Digest, Sha256};
use tokio::{runtime::Handle, task::JoinHandle, task::spawn_blocking};

use super::{
    FileError, Inner,
    confine::{Made, is_directory},
    error::shown,
    hash, names,
    parts::{self, ALIGN, Part},
    system::Meta,
};

/// What is hashed and written at once. A file up to this size is held in memory and written in one go at its end. At most three blocks live at a time:
/// one that fills, one that is hashed and written, one that waits to be filled again. A sender that is faster waits.
const BLOCK: usize = 1 << 20;

/// A buffer that can be written past the page cache: its bytes begin at an aligned address.
#[derive(Debug, Default)]
struct Block {
    memory: Vec<u8>,
    start: usize,
    room: usize,
}

impl Block {
    fn new(room: usize) -> Self {
        let mut memory: Vec<u8> = Vec::with_capacity(room + ALIGN);
        let start = memory.as_ptr().align_offset(ALIGN).min(ALIGN);
        memory.resize(start, 0);
        Self { memory, start, room }
    }

    fn bytes(&self) -> &[u8] {
        &self.memory[self.start..]
    }

    fn left(&self) -> usize {
        self.room - self.bytes().len()
    }

    fn clear(&mut self, room: usize) {
        self.memory.truncate(self.start);
        self.room = room;
    }
}

/// What is done with the file at its end.
#[derive(Debug)]
struct Plan {
    name: OsString,
    text: String,
    sha256: Option<String>,
    size: Option<u64>,
    limit: u64,
    mode: Option<u32>,
    modified: Option<SystemTime>,
    overwrite: bool,
    began: Instant,
}

/// The block that is on its way: one thread hashes it while another writes it.
#[derive(Debug)]
struct Working {
    hashing: JoinHandle<Sha256>,
    writing: JoinHandle<io::Result<()>>,
    block: Arc<Block>,
}

/// A file that is being received. Dropped without [`finish`](Self::finish), it leaves nothing, or its part when it has an upload id.
pub struct PushFile {
    plan: Plan,
    part: Option<Arc<Part>>,
    made: Option<Made>,
    hasher: Option<Sha256>,
    /// Where `block` begins in the file.
    at: u64,
    block: Block,
    spare: Option<Block>,
    working: Option<Working>,
    broken: bool,
}

impl std::fmt::Debug for PushFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushFile").field("path", &self.plan.text).field("received", &self.received()).finish_non_exhaustive()
    }
}

impl PushFile {
    /// Checks everything that can be checked beforehand, and makes the part.
    pub(super) fn begin(inner: &Inner, request: Push) -> Result<Self, FileError> {
        let began = Instant::now();
        let mut made = Made::new(&inner.parts); // dropped after the lock is given back
        let making = inner.parts.making.read().unwrap_or_else(PoisonError::into_inner);
        let policy = inner.policy();
        let text = request.dest_path;
        let (destination, name) = policy.destination(&policy.absolute(&text)?, &text)?;
        if text.ends_with('/') {
            return Err(is_directory(&text));
        }
        let offset = request.offset.unwrap_or(0);
        let limit = policy.max_file_size();
        let invalid = |reason: &str| Err(FileError::invalid(&text, reason));
        if let Some(id) = &request.upload_id
            && !names::is_upload_id(id)
        {
            return invalid("`uploadId` has 8 to 64 of the characters A-Z, a-z, 0-9 and -");
        }
        if request.sha256.as_deref().is_some_and(|text| !hash::is_hex(text)) {
            return invalid("`sha256` is 64 hexadecimal digits");
        }
        if offset > 0 && request.upload_id.is_none() {
            return invalid("`offset` needs the `uploadId` of what was sent before");
        }
        if request.size.is_some_and(|size| size < offset) {
            return invalid("`offset` lies behind the end that `size` says");
        }
        if request.size.is_some_and(|size| size > limit) || offset > limit {
            return Err(FileError::TooLarge { path: shown(&text), limit });
        }
        let modified = request.modified.map(|at| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(at)).filter(|_| i64::try_from(at).is_ok()));
        let Ok(modified) = modified.map(|at| at.ok_or(())).transpose() else { return invalid("`modified` is too far in the future") };
        let overwrite = request.overwrite != Some(false);
        let need = request.size.map_or(0, |size| size - offset);
        if request.upload_id.is_none() {
            look_for_room(&destination.dir, need, &text)?;
        }
        let (dir, dir_path) = policy.make_noted(destination, &mut made, &text)?;
        match Meta::at(&dir, &name) {
            Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(FileError::io(&text, "look at", error)),
            Ok(there) => {
                policy.refuse_object(&there, &text)?;
                match there.kind {
                    FileKind::Directory => return Err(is_directory(&text)),
                    FileKind::Symlink => {
                        return Err(FileError::denied(&text, "it is a link, and files are not written through links. Name the file that it points at."));
                    }
                    FileKind::Other => return invalid("it is a device, socket or pipe; choose another name"),
                    FileKind::File if !overwrite => return Err(FileError::Exists { path: shown(&text) }),
                    FileKind::File => {}
                }
            }
        }
        policy.refuse_denied(&dir_path.join(&name), &text)?;
        let mut hasher = Sha256::new();
        let part = match &request.upload_id {
            None => Part::create(dir, dir_path, Arc::clone(&inner.parts), request.size, &text)?,
            Some(id) => {
                let part = Part::resume(dir, dir_path, Arc::clone(&inner.parts), id, offset, &text)?;
                drop(making); // the rest may take long
                // only now: what was behind the offset is free again
                look_for_room(&part.dir, need, &text).map_err(|error| no_room(&part, error))?;
                let read = hash::feed(&mut hasher, &part.file, offset).map_err(|error| FileError::io(&text, "read the part of", error))?;
                if read != offset {
                    return Err(FileError::ResumeMismatch { path: shown(&text), asked: offset, here: read });
                }
                part
            }
        };
        part.reserve(offset, request.size.unwrap_or(0)).map_err(|error| no_room(&part, FileError::io(&text, "make room for", error)))?;
        let sha256 = request.sha256.map(|text| text.to_ascii_lowercase());
        let plan = Plan { name, text, sha256, size: request.size, limit, mode: request.mode, modified, overwrite, began };
        let first = BLOCK - usize::try_from(offset % BLOCK as u64).unwrap_or(0);
        let block = Block::new(request.size.map_or(first, |size| first.min(usize::try_from(size - offset).unwrap_or(first))));
        let made = Some(mem::replace(&mut made, Made::new(&inner.parts)));
        Ok(Self { plan, part: Some(Arc::new(part)), made, hasher: Some(hasher), at: offset, block, spare: None, working: None, broken: false })
    }

    /// Bytes of the file that are here, with those from before a break.
    pub fn received(&self) -> u64 {
        self.at + self.block.bytes().len() as u64
    }

    /// Names the hash that the whole file must have, for senders that know it only at the end.
    ///
    /// # Errors
    /// When it is not 64 hexadecimal digits, or another one was announced before.
    pub fn expect(&mut self, sha256: &str) -> Result<(), FileError> {
        let sha256 = sha256.to_ascii_lowercase();
        if !hash::is_hex(&sha256) || self.plan.sha256.as_ref().is_some_and(|before| *before != sha256) {
            return Err(FileError::invalid(&self.plan.text, "`sha256` is 64 hexadecimal digits, and the same wherever it is said"));
        }
        self.plan.sha256 = Some(sha256);
        Ok(())
    }

    /// Takes the next bytes. Waits while the disk is behind. After an error, and when it is not waited for, only dropping is left.
    ///
    /// # Errors
    /// When the file grows over a limit or what was announced, or cannot be written.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), FileError> {
        if mem::replace(&mut self.broken, true) {
            return Err(self.broken());
        }
        let total = self.received().saturating_add(chunk.len() as u64);
        if total > self.plan.limit {
            return Err(self.give_up(FileError::TooLarge { path: shown(&self.plan.text), limit: self.plan.limit }));
        }
        if self.plan.size.is_some_and(|size| total > size) {
            return Err(self.give_up(FileError::invalid(&self.plan.text, "more bytes came than `size` says; look at the file and send it again")));
        }
        let mut rest = &chunk[..];
        while !rest.is_empty() {
            if self.block.left() == 0 {
                self.hand_over().await?;
            }
            let (now, later) = rest.split_at(rest.len().min(self.block.left()));
            self.block.memory.extend_from_slice(now);
            rest = later;
        }
        self.broken = false;
        Ok(())
    }

    /// Puts the file in its place. All of it, and its name, are on disk when this returns.
    ///
    /// # Errors
    /// When it is not what was announced, or cannot be written; what was at the path is then as it was, unless the error says that the new file is there.
    pub async fn finish(mut self) -> Result<Pushed, FileError> {
        if mem::replace(&mut self.broken, true) {
            return Err(self.broken());
        }
        if let Some(size) = self.plan.size.filter(|size| *size != self.received()) {
            return Err(FileError::invalid(&self.plan.text, format!("{} bytes came, but `size` says {size}; send the rest", self.received())));
        }
        self.settle().await?;
        let (Some(part), Some(hasher)) = (self.part.take(), self.hasher.take()) else { return Err(self.broken()) };
        let (at, block) = (self.at, mem::take(&mut self.block));
        let plan = Plan { text: self.plan.text.clone(), name: mem::take(&mut self.plan.name), sha256: self.plan.sha256.take(), ..self.plan };
        let text = plan.text.clone();
        let made = self.made.take();
        super::blocking(&text, move || {
            let pushed = complete(&part, hasher, &block, at, plan);
            drop(part);
            if let (Some(made), true) = (made, pushed.is_ok()) {
                made.keep();
            }
            pushed
        })
        .await
    }

    /// Gives the full block to the threads, once those are done with the one before it.
    async fn hand_over(&mut self) -> Result<(), FileError> {
        self.settle().await?;
        let (Some(part), Some(mut hasher)) = (&self.part, self.hasher.take()) else { return Err(self.broken()) };
        let next = self.at + self.block.bytes().len() as u64;
        let room = self.plan.size.map_or(BLOCK, |size| BLOCK.min(usize::try_from(size.saturating_sub(next)).unwrap_or(BLOCK)));
        let mut fresh = self.spare.take().unwrap_or_else(|| Block::new(BLOCK));
        fresh.clear(room);
        let block = Arc::new(mem::replace(&mut self.block, fresh));
        let at = mem::replace(&mut self.at, next);
        let (to_write, to_hash, part) = (Arc::clone(&block), Arc::clone(&block), Arc::clone(part));
        let writing = spawn_blocking(move || part.write(at, to_write.bytes(), true));
        let hashing = spawn_blocking(move || {
            hasher.update(to_hash.bytes());
            hasher
        });
        self.working = Some(Working { hashing, writing, block });
        Ok(())
    }

    /// Waits for the block that is on its way.
    async fn settle(&mut self) -> Result<(), FileError> {
        let Some(Working { hashing, writing, block }) = self.working.take() else { return Ok(()) };
        let (hasher, written) = (hashing.await, writing.await);
        written.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| FileError::io(&self.plan.text, "write", error))?;
        self.hasher = Some(hasher.map_err(|error| FileError::io(&self.plan.text, "hash", io::Error::other(error)))?);
        // blocks of other sizes cannot take a whole block again
        self.spare = Arc::try_unwrap(block).ok().filter(|block| block.memory.capacity() >= BLOCK + ALIGN);
        Ok(())
    }

    /// A part that can never become the file is not kept.
    fn give_up(&self, error: FileError) -> FileError {
        if let Some(part) = &self.part {
            part.discard();
        }
        error
    }

    fn broken(&self) -> FileError {
        FileError::io(&self.plan.text, "write", io::Error::other("it broke off before"))
    }
}

impl Drop for PushFile {
    fn drop(&mut self) {
        let Some(part) = self.part.take() else { return };
        let (at, block, writing, made) = (self.at, mem::take(&mut self.block), self.working.take(), self.made.take());
        let slow = at > 0 || writing.is_some() || made.as_ref().is_some_and(|made| !made.names.is_empty());
        let end = move || {
            // a block that is on its way comes first, and has the part as well
            if let (Some(working), Ok(runtime)) = (writing, Handle::try_current()) {
                let _written = runtime.block_on(working.writing);
            }
            if part.is_kept()
                && let Err(error) = part.write(at, block.bytes(), false)
            {
                tracing::debug!(%error, "the last block of a broken upload is lost");
            }
            drop(part);
            drop(made); // after the part that lies in them
        };
        // removing a large file, or writing down the last block, takes time that the caller does not have
        match Handle::try_current() {
            Ok(runtime) if slow => drop(runtime.spawn_blocking(end)),
            _ => end(),
        }
    }
}

/// Errs when the disk has not so many bytes left.
fn look_for_room(dir: impl AsFd, need: u64, text: &str) -> Result<(), FileError> {
    let room = rustix::fs::fstatvfs(dir).map_err(|error| FileError::io(text, "look for room for", error))?;
    if room.f_bavail.saturating_mul(room.f_frsize) < need { Err(FileError::DiskFull { path: shown(text) }) } else { Ok(()) }
}

/// A part without a byte is not worth keeping for when there is room.
fn no_room(part: &Part, error: FileError) -> FileError {
    if part.is_empty() {
        part.discard();
    }
    error
}

/// The last block, the comparison, the place.
fn complete(part: &Part, mut hasher: Sha256, block: &Block, at: u64, plan: Plan) -> Result<Pushed, FileError> {
    hasher.update(block.bytes());
    let checksum = hash::hex(hasher);
    if let Some(expected) = plan.sha256.filter(|expected| *expected != checksum) {
        part.discard();
        return Err(FileError::ChecksumMismatch { path: shown(&plan.text), expected, actual: checksum });
    }
    let mode = plan.mode.or_else(|| Meta::at(&part.dir, &plan.name).ok().filter(|there| there.kind == FileKind::File).map(|there| there.mode));
    let written = part.write(at, block.bytes(), false).map_err(|error| FileError::io(&plan.text, "write", error));
    written.and_then(|()| part.finish(&plan.name, mode.unwrap_or(0o644), plan.modified, plan.overwrite, &plan.text))?;
    let size = at + block.bytes().len() as u64;
    Ok(Pushed { path: plan.text, size, checksum, duration: plan.began.elapsed().as_secs_f64() * 1000.0 })
}

/// How much of an upload is here, and its hash.
pub(super) fn offset(inner: &Inner, request: &PushOffset) -> Result<UploadOffset, FileError> {
    let text = &request.dest_path;
    if !names::is_upload_id(&request.upload_id) {
        return Err(FileError::invalid(text, "`uploadId` has 8 to 64 of the characters A-Z, a-z, 0-9 and -"));
    }
    let mut hasher = Sha256::new();
    let policy = inner.policy();
    let (destination, _name) = policy.destination(&policy.absolute(text)?, text)?;
    let part = if destination.is_there() { parts::look(&destination.dir, &request.upload_id, text)? } else { None };
    let offset = match part {
        None => 0,
        Some((file, size)) => hash::feed(&mut hasher, &file, size).map_err(|error| FileError::io(text, "read the part of", error))?,
    };
    Ok(UploadOffset { offset, sha256: hash::hex(hasher) })
}

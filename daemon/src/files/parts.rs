//! Unfinished files. Each removes itself unless it was finished or is kept for a resume; what a crash left behind goes after a day.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{FileExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use rustix::{
    fs::{AtFlags, FlockOperation, Mode, OFlags, flock, openat, unlinkat},
    io::Errno,
};

use super::{
    FileError, names,
    system::{self, Meta},
};
use loopsy_shared::api::transfer::FileKind;

use crate::fsutil;

/// How long an unfinished file may be resumed.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How often, and at what distance, a part is asked for that is still in use: long enough for a broken upload to write down its last block.
const TRIES: (u32, Duration) = (50, Duration::from_millis(10));

/// Alignment that writing past the page cache needs, of memory and offset.
pub(super) const ALIGN: usize = 4096;

/// The directories in which unfinished files were begun, kept in a small file so that a later start finds them.
#[derive(Debug)]
pub(super) struct Parts {
    list: PathBuf,
    directories: Mutex<HashMap<PathBuf, usize>>,
}

impl Parts {
    pub(super) fn new(data_dir: &Path) -> Self {
        let list = data_dir.join("parts.json");
        let known = read_list(&list).into_iter().map(|directory| (directory, KEPT_FROM_BEFORE)).collect();
        Self { list, directories: Mutex::new(known) }
    }

    /// Remembers a directory. One where nothing is left is forgotten when the next is remembered.
    fn remember(&self, directory: &Path) {
        let mut directories = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = directories.get_mut(directory) {
            *count += 1;
            return;
        }
        directories.retain(|_, count| *count > 0);
        directories.insert(directory.to_owned(), 1);
        self.write_list(&directories);
    }

    fn forget(&self, directory: &Path) {
        let mut directories = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = directories.get_mut(directory) {
            *count = count.saturating_sub(1);
        }
    }

    /// Removes what is older than a day in the remembered directories.
    pub(super) fn collect_garbage(&self) {
        let known: Vec<PathBuf> = self.directories.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        let gone: Vec<PathBuf> = known.into_iter().filter(|directory| !sweep(directory)).collect();
        let mut directories = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        for directory in gone {
            if let Some(count) = directories.get_mut(&directory) {
                *count = count.saturating_sub(KEPT_FROM_BEFORE);
            }
        }
        directories.retain(|_, count| *count > 0);
        self.write_list(&directories);
    }

    fn write_list(&self, directories: &HashMap<PathBuf, usize>) {
        let names: Vec<&str> = directories.keys().filter_map(|path| path.to_str()).collect();
        let written = serde_json::to_vec(&names).map_err(io::Error::other).and_then(|text| fsutil::write_atomic(&self.list, &text));
        if let Err(error) = written {
            tracing::warn!(path = %self.list.display(), %error, "unfinished uploads are not remembered");
        }
    }
}

/// Counts for a directory that an earlier run remembered, until the next collection looks at it.
const KEPT_FROM_BEFORE: usize = 1;

fn read_list(list: &Path) -> Vec<PathBuf> {
    std::fs::read(list).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// Removes old parts of ours from a directory. Says whether any is left.
fn sweep(directory: &Path) -> bool {
    let Ok(dir) = rustix::fs::open(directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) else { return false };
    let Ok(entries) = rustix::fs::Dir::read_from(&dir) else { return false };
    let old = SystemTime::now().checked_sub(KEPT).and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok()).map_or(0, |since| since.as_nanos() as i128);
    let mut left = false;
    for entry in entries.flatten() {
        let Some(name) = entry.file_name().to_str().ok().filter(|name| names::is_part(name)) else { continue };
        let Ok(file) = openat(&dir, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()) else { continue };
        let Ok(meta) = Meta::of(&file) else { continue };
        if !is_ours(&meta) {
            continue;
        }
        if meta.changed > old || flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            left = true;
        } else if let Err(error) = unlinkat(&dir, name, AtFlags::empty()) {
            tracing::warn!(directory = %directory.display(), name, %error, "an old part stays");
            left = true;
        }
    }
    left
}

fn is_ours(meta: &Meta) -> bool {
    meta.kind == FileKind::File && meta.links == 1 && meta.owner == rustix::process::geteuid().as_raw()
}

/// One unfinished file.
pub(super) struct Part {
    pub(super) dir: OwnedFd,
    pub(super) file: File,
    name: String,
    directory: PathBuf,
    parts: Arc<Parts>,
    keep: AtomicBool,
    finished: AtomicBool,
    /// Bytes that are in the file, without a hole. Writing goes on from there and nowhere else.
    written: Mutex<u64>,
    direct: AtomicBool,
}

impl Part {
    /// Makes a new part that nobody can resume.
    pub(super) fn create(dir: OwnedFd, directory: PathBuf, parts: Arc<Parts>, text: &str) -> Result<Self, FileError> {
        let name = names::part(&uuid::Uuid::new_v4().simple().to_string());
        Self::open(dir, directory, parts, name, OFlags::EXCL, text)
    }

    /// Makes a part that survives a break, or goes on with one that did. What lies behind `offset` is cut off.
    pub(super) fn resume(dir: OwnedFd, directory: PathBuf, parts: Arc<Parts>, upload_id: &str, offset: u64, text: &str) -> Result<Self, FileError> {
        let part = Self::open(dir, directory, parts, names::part(upload_id), OFlags::empty(), text)?;
        part.keep.store(true, Ordering::Relaxed);
        let here = own_part(&part.file, text)?.size;
        if here < offset {
            part.keep.store(here > 0, Ordering::Relaxed);
            return Err(FileError::ResumeMismatch { path: super::error::shown(text), asked: offset, here });
        }
        part.file.set_len(offset).map_err(|error| FileError::io(text, "cut the part of", error))?;
        *part.written.lock().unwrap_or_else(PoisonError::into_inner) = offset;
        Ok(part)
    }

    fn open(dir: OwnedFd, directory: PathBuf, parts: Arc<Parts>, name: String, exclusive: OFlags, text: &str) -> Result<Self, FileError> {
        parts.remember(&directory);
        let flags = OFlags::RDWR | OFlags::CREATE | exclusive | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = openat(&dir, &name, flags, Mode::from_bits_truncate(0o600)).map_err(|error| FileError::io(text, "create a part for", error));
        let file = opened.map(File::from).and_then(|file| lock(&file, &dir, &name, FlockOperation::NonBlockingLockExclusive, text).map(|()| file));
        match file {
            Ok(file) => Ok(Self {
                dir,
                file,
                name,
                directory,
                parts,
                keep: AtomicBool::new(false),
                finished: AtomicBool::new(false),
                written: Mutex::new(0),
                direct: AtomicBool::new(true),
            }),
            Err(error) => {
                parts.forget(&directory);
                Err(error)
            }
        }
    }

    /// Gives up what could have been resumed.
    pub(super) fn discard(&self) {
        self.keep.store(false, Ordering::Relaxed);
    }

    /// Whether a break leaves it.
    pub(super) fn is_kept(&self) -> bool {
        self.keep.load(Ordering::Relaxed)
    }

    /// Appends bytes that belong at `at`. With `large`, past the page cache where that is possible: less work, and the disk is busy from the start.
    pub(super) fn write(&self, at: u64, bytes: &[u8], large: bool) -> io::Result<()> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if *written != at {
            return Err(io::Error::other("an earlier block is missing"));
        }
        let aligned = at.is_multiple_of(ALIGN as u64) && bytes.len().is_multiple_of(ALIGN) && bytes.as_ptr().align_offset(ALIGN) == 0;
        let mut direct = large && aligned && self.direct.load(Ordering::Relaxed) && system::set_direct(&self.file, true);
        if direct {
            match self.file.write_all_at(bytes, at) {
                Err(error) if matches!(error.raw_os_error().map(Errno::from_raw_os_error), Some(Errno::INVAL | Errno::NOTSUP)) => {
                    self.direct.store(false, Ordering::Relaxed);
                    direct = false;
                }
                other => other?,
            }
        }
        if !direct {
            system::set_direct(&self.file, false);
            self.file.write_all_at(bytes, at)?;
            if large {
                system::begin_writeback(&self.file, at, bytes.len() as u64);
            }
        }
        *written += bytes.len() as u64;
        Ok(())
    }

    /// Gives the part its final name. All of it is on disk when this returns.
    pub(super) fn finish(&self, name: &std::ffi::OsStr, mode: u32, modified: Option<SystemTime>, replace: bool, text: &str) -> Result<(), FileError> {
        let failed = |error: io::Error| FileError::io(text, "write", error);
        self.file.set_permissions(std::fs::Permissions::from_mode(mode & 0o777)).map_err(failed)?;
        if let Some(modified) = modified {
            self.file.set_modified(modified).map_err(failed)?;
        }
        self.file.sync_data().map_err(failed)?;
        let renamed = if replace { rustix::fs::renameat(&self.dir, &self.name, &self.dir, name) } else { self.rename_to_new(name) };
        match renamed {
            Ok(()) => {}
            Err(Errno::EXIST) if !replace => return Err(FileError::Exists { path: super::error::shown(text) }),
            Err(Errno::ISDIR | Errno::EXIST | Errno::NOTEMPTY) => return Err(super::confine::is_directory(text)),
            Err(error) => return Err(FileError::io(text, "put in place", error)),
        }
        self.finished.store(true, Ordering::Relaxed);
        system::sync_directory(&self.dir).map_err(failed)
    }

    fn rename_to_new(&self, name: &std::ffi::OsStr) -> Result<(), Errno> {
        match rustix::fs::renameat_with(&self.dir, &self.name, &self.dir, name, rustix::fs::RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                // this file system cannot; a hard link refuses to replace as well
                rustix::fs::linkat(&self.dir, &self.name, &self.dir, name, AtFlags::empty())?;
                unlinkat(&self.dir, &self.name, AtFlags::empty())
            }
            other => other,
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.finished.load(Ordering::Relaxed) {
            self.parts.forget(&self.directory);
        } else if !self.is_kept() {
            if let Err(error) = unlinkat(&self.dir, &self.name, AtFlags::empty()) {
                tracing::warn!(directory = %self.directory.display(), name = self.name, %error, "a part stays until the next start");
            } else {
                self.parts.forget(&self.directory);
            }
        }
    }
}

/// Opens the part of an upload to read it; nothing when there is none.
pub(super) fn look(dir: impl AsFd, upload_id: &str, text: &str) -> Result<Option<(File, u64)>, FileError> {
    let name = names::part(upload_id);
    let file = match openat(&dir, &name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(FileError::io(text, "open the part of", error)),
    };
    own_part(&file, text)?;
    lock(&file, &dir, &name, FlockOperation::NonBlockingLockShared, text)?;
    let size = own_part(&file, text)?.size;
    Ok(Some((file, size)))
}

fn own_part(file: &File, text: &str) -> Result<Meta, FileError> {
    let meta = Meta::of(file).map_err(|error| FileError::io(text, "look at the part of", error))?;
    if is_ours(&meta) { Ok(meta) } else { Err(FileError::denied(text, "what lies in the place of its part is not an unfinished file of this node.")) }
}

/// Makes sure that nobody else uses a part, in this process or another, and that it still is the one of that name.
fn lock(file: &File, dir: impl AsFd, name: &str, how: FlockOperation, text: &str) -> Result<(), FileError> {
    for _ in 0..TRIES.0 {
        match flock(file, how) {
            Ok(()) | Err(Errno::NOTSUP | Errno::NOSYS | Errno::INVAL | Errno::NOLCK) => {
                let (open, named) = (Meta::of(file).map(|meta| meta.id), Meta::at(&dir, name).map(|meta| meta.id));
                return if open.is_ok() && open == named { Ok(()) } else { Err(FileError::Busy { path: super::error::shown(text) }) };
            }
            Err(Errno::WOULDBLOCK | Errno::INTR) => std::thread::sleep(TRIES.1),
            Err(error) => return Err(FileError::io(text, "lock the part of", error)),
        }
    }
    Err(FileError::Busy { path: super::error::shown(text) })
}

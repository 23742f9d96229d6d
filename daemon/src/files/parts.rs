//! Unfinished files. Each removes itself unless it was finished or is kept for a resume; what can be resumed goes after a day, also after a crash.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{FileExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
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

/// A file of this size is written in a moment.
const A_MOMENT: u64 = 1 << 20;

/// How often, and at what distance, a part is asked for that is still in use: long enough for a broken upload to write down its last block.
const TRIES: (u32, Duration) = (50, Duration::from_millis(10));

/// Alignment that writing past the page cache needs, of memory and offset.
pub(super) const ALIGN: usize = 4096;

/// Where parts lie that may stay behind. The directories are kept in a small file as well, so that a later start finds them.
#[derive(Debug)]
pub(super) struct Parts {
    list: PathBuf,
    known: Mutex<Known>,
    /// Held by those who make directories and a part in them; who removes empty directories waits for all of them.
    pub(super) making: RwLock<()>,
}

#[derive(Debug, Default)]
struct Known {
    /// The names of the parts, by directory.
    directories: BTreeMap<PathBuf, BTreeSet<String>>,
    /// What the file has.
    listed: BTreeSet<PathBuf>,
}

/// Stands for the parts of an earlier run, until the sweep has seen which there are.
const FROM_BEFORE: &str = "";

impl Parts {
    pub(super) fn new(data_dir: &Path) -> Self {
        let list = data_dir.join("parts.json");
        let listed: BTreeSet<PathBuf> = read_list(&list).into_iter().collect();
        let directories = listed.iter().map(|directory| (directory.clone(), BTreeSet::from([FROM_BEFORE.to_owned()]))).collect();
        Self { list, known: Mutex::new(Known { directories, listed }), making: RwLock::new(()) }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a part that outlives a break; on disk when this returns.
    fn remember(&self, directory: &Path, name: &str) {
        let mut known = self.known();
        known.directories.entry(directory.to_owned()).or_default().insert(name.to_owned());
        if !known.listed.contains(directory) {
            self.write_list(&mut known);
        }
    }

    /// Forgets a part that is gone. The file still names the directory until it is written again.
    fn forget(&self, directory: &Path, name: &str) {
        let mut known = self.known();
        if let Some(names) = known.directories.get_mut(directory)
            && names.remove(name)
            && names.is_empty()
        {
            known.directories.remove(directory);
        }
    }

    /// Removes what is older than a day in the remembered directories. Costs next to nothing when there are none; parts in use are left alone.
    pub(super) fn collect_garbage(&self) {
        let before = self.known().directories.clone();
        for (directory, names) in before {
            let left = sweep(&directory);
            let mut known = self.known();
            let Some(now) = known.directories.get_mut(&directory) else { continue };
            match left {
                None => {} // cannot be looked at now
                Some(left) => {
                    // what was begun meanwhile stays
                    now.retain(|name| !names.contains(name) || left.contains(name));
                    now.extend(left);
                    if now.is_empty() {
                        known.directories.remove(&directory);
                    }
                }
            }
        }
        let mut known = self.known();
        if !known.listed.iter().eq(known.directories.keys()) {
            self.write_list(&mut known);
        }
    }

    fn write_list(&self, known: &mut Known) {
        known.listed = known.directories.keys().cloned().collect();
        let names: Vec<&str> = known.listed.iter().filter_map(|path| path.to_str()).collect();
        let written = serde_json::to_vec(&names).map_err(io::Error::other).and_then(|text| fsutil::write_atomic(&self.list, &text));
        if let Err(error) = written {
            known.listed.clear();
            tracing::warn!(path = %self.list.display(), %error, "unfinished uploads are not remembered");
        }
    }
}

fn read_list(list: &Path) -> Vec<PathBuf> {
    std::fs::read(list).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// Removes old parts of ours from a directory. Says which are left; nothing when it cannot tell.
fn sweep(directory: &Path) -> Option<BTreeSet<String>> {
    let dir = match rustix::fs::open(directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        Ok(dir) => dir,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Some(BTreeSet::new()),
        Err(_) => return None,
    };
    let entries = rustix::fs::Dir::read_from(&dir).ok()?;
    let old = SystemTime::now().checked_sub(KEPT).and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok()).map_or(0, |since| since.as_nanos() as i128);
    let mut left = BTreeSet::new();
    for entry in entries.flatten() {
        let Some(name) = entry.file_name().to_str().ok().filter(|name| names::is_part(name)) else { continue };
        let Ok(file) = openat(&dir, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()) else { continue };
        if !Meta::of(&file).is_ok_and(|meta| is_ours(&meta)) {
            continue;
        }
        // the time counts once nobody else can write
        let unused = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        if !unused || !Meta::of(&file).is_ok_and(|meta| meta.changed <= old) {
            left.insert(name.to_owned());
        } else if let Err(error) = unlinkat(&dir, name, AtFlags::empty()) {
            tracing::warn!(directory = %directory.display(), name, %error, "an old part stays");
            left.insert(name.to_owned());
        }
    }
    Some(left)
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
    /// Whether room was reserved behind what is written.
    reserved: AtomicBool,
    /// Bytes that are in the file, without a hole. Writing goes on from there and nowhere else.
    written: Mutex<u64>,
    direct: AtomicBool,
}

impl Part {
    /// Makes a new part that nobody can resume. One that takes a while is remembered, so that a crash leaves nothing for ever; a small one is there for a moment only,
    /// which is not worth a write to the list.
    pub(super) fn create(dir: OwnedFd, directory: PathBuf, parts: Arc<Parts>, size: Option<u64>, text: &str) -> Result<Self, FileError> {
        let name = names::part(&uuid::Uuid::new_v4().simple().to_string());
        if size.is_none_or(|size| size > A_MOMENT) {
            parts.remember(&directory, &name);
        }
        Self::open(dir, directory.clone(), Arc::clone(&parts), name.clone(), OFlags::EXCL, text).inspect_err(|_| parts.forget(&directory, &name))
    }

    /// Makes a part that survives a break, or goes on with one that did. What lies behind `offset` is cut off.
    pub(super) fn resume(dir: OwnedFd, directory: PathBuf, parts: Arc<Parts>, upload_id: &str, offset: u64, text: &str) -> Result<Self, FileError> {
        let name = names::part(upload_id);
        parts.remember(&directory, &name);
        let part = match Self::open(dir, directory.clone(), Arc::clone(&parts), name.clone(), OFlags::empty(), text) {
            Ok(part) => part,
            Err(error) => {
                if !matches!(error, FileError::Busy { .. }) {
                    parts.forget(&directory, &name);
                }
                return Err(error);
            }
        };
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
        let flags = OFlags::RDWR | OFlags::CREATE | exclusive | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = openat(&dir, &name, flags, Mode::from_bits_truncate(0o600)).map_err(|error| FileError::io(text, "create a part for", error));
        let file = opened.map(File::from).and_then(|file| lock(&file, &dir, &name, FlockOperation::NonBlockingLockExclusive, text).map(|()| file));
        Ok(Self {
            file: file?,
            dir,
            name,
            directory,
            parts,
            keep: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            reserved: AtomicBool::new(false),
            written: Mutex::new(0),
            direct: AtomicBool::new(true),
        })
    }

    /// Reserves room for what comes up to `to`. What of it is not used is given back.
    pub(super) fn reserve(&self, from: u64, to: u64) -> io::Result<()> {
        self.reserved.store(true, Ordering::Relaxed);
        system::reserve(&self.file, from, to)
    }

    /// Gives up what could have been resumed.
    pub(super) fn discard(&self) {
        self.keep.store(false, Ordering::Relaxed);
    }

    /// Whether nothing is written yet.
    pub(super) fn is_empty(&self) -> bool {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) == 0
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
        self.place(name, mode, modified, replace, text).inspect_err(|_| self.restore())?;
        self.finished.store(true, Ordering::Relaxed);
        system::sync_directory(&self.dir).map_err(|error| placed(text, &error))
    }

    /// A part that did not become the file stays as private and as young as it was.
    fn restore(&self) {
        let restored = self.file.set_permissions(std::fs::Permissions::from_mode(0o600)).and_then(|()| self.file.set_modified(SystemTime::now()));
        if let Err(error) = restored {
            tracing::debug!(%error, "a part has the mode or time of its file");
        }
    }

    fn place(&self, name: &std::ffi::OsStr, mode: u32, modified: Option<SystemTime>, replace: bool, text: &str) -> Result<(), FileError> {
        let failed = |error: io::Error| FileError::io(text, "write", error);
        self.file.set_permissions(std::fs::Permissions::from_mode(mode & 0o777)).map_err(failed)?;
        if let Some(modified) = modified {
            self.file.set_modified(modified).map_err(failed)?;
        }
        self.file.sync_data().map_err(failed)?;
        let renamed = if replace { rustix::fs::renameat(&self.dir, &self.name, &self.dir, name) } else { self.rename_to_new(name) };
        match renamed {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) if !replace => Err(FileError::Exists { path: super::error::shown(text) }),
            Err(Errno::ISDIR | Errno::EXIST | Errno::NOTEMPTY) => Err(super::confine::is_directory(text)),
            Err(error) => Err(FileError::io(text, "put in place", error)),
        }
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
            self.parts.forget(&self.directory, &self.name);
        } else if self.is_kept() {
            let written = *self.written.lock().unwrap_or_else(PoisonError::into_inner);
            // also frees what is reserved behind the end
            if self.reserved.load(Ordering::Relaxed)
                && let Err(error) = self.file.set_len(written)
            {
                tracing::warn!(directory = %self.directory.display(), name = self.name, %error, "room stays reserved for a broken upload");
            }
            self.parts.remember(&self.directory, &self.name); // a sweep may have come before the part was there
        } else if let Err(error) = unlinkat(&self.dir, &self.name, AtFlags::empty()) {
            tracing::warn!(directory = %self.directory.display(), name = self.name, %error, "a part stays for a day");
            self.parts.remember(&self.directory, &self.name);
        } else {
            self.parts.forget(&self.directory, &self.name);
        }
    }
}

/// Says that the file is at its name, but perhaps not for ever. Never a full disk: that would say that nothing was replaced.
fn placed(text: &str, error: &io::Error) -> FileError {
    let source = io::Error::other(format!("the new file is in its place, but its directory was not synced ({error}), so a power cut may still undo that"));
    FileError::Failed { path: super::error::shown(text), action: "be sure of", source }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_sync_of_the_directory_does_not_say_that_nothing_was_replaced() {
        let error = placed("in/a", &Errno::NOSPC.into());
        assert!(matches!(error, FileError::Failed { .. }) && error.to_string().contains("is in its place"), "{error}");
    }

    #[test]
    fn parts_are_remembered_once_and_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let parts = Parts::new(folder.path());
        let read = || read_list(&folder.path().join("parts.json"));
        for _ in 0..3 {
            parts.remember(folder.path(), ".loopsy.upload-0001.part");
        }
        assert_eq!(read(), [folder.path()]);
        parts.forget(folder.path(), ".loopsy.upload-0001.part");
        assert!(parts.known().directories.is_empty());
        parts.collect_garbage();
        assert!(read().is_empty());
    }
}

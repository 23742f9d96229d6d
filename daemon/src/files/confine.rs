//! A path is allowed by what it leads to, not by how it is spelled: everything is reached through the handle of an allowed directory, and what was
//! reached is looked at again before it is used.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Component, Path, PathBuf},
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use cap_std::{ambient_authority, fs::Dir};
use loopsy_shared::config::Config;
use rustix::fs::{AtFlags, Mode, OFlags, openat, statat, unlinkat};

use super::{
    FileError,
    denied::Denied,
    error::shown,
    names,
    parts::Parts,
    system::{self, Meta},
};

/// How long the handles of the allowed directories and the places of the denied ones are relied on. A new config counts at once.
const RELIED_ON: Duration = Duration::from_secs(1);

/// Longest path that is looked at, in bytes: what the systems themselves take.
const LONGEST_PATH: usize = 4096;

/// Directories that the walk up looks at before it gives up.
const DEEPEST: usize = 1024;

const OUTSIDE: &str = "it is outside of the directories in `transfer.allowedPaths`. Choose a path in one of them, or change that node's config.";
const DENIED: &str = "it is, or lies in, a place that no transfer may touch (`transfer.deniedPaths` and the built-in list of credentials and start-up files).";
const NOWHERE: &str = "it goes through a link that leads nowhere, or out of the directories in `transfer.allowedPaths`. Name the file itself.";
const MISSING: &str = "there is nothing there. List the directory to see what is.";

/// An allowed directory.
struct Root {
    canonical: PathBuf,
    given: PathBuf,
    dir: Dir,
}

/// The rules of one config, with the handles that they need.
pub(super) struct Policy {
    config: Arc<Config>,
    made: Instant,
    home: PathBuf,
    roots: Vec<Root>,
    denied: Denied,
}

/// An object: a directory that was opened and checked, and a name in it. The name is `.` for an allowed directory itself.
pub(super) struct Place {
    pub(super) dir: OwnedFd,
    pub(super) dir_path: PathBuf,
    pub(super) name: OsString,
}

impl Place {
    /// The path of the object.
    pub(super) fn path(&self) -> PathBuf {
        if self.name == "." { self.dir_path.clone() } else { self.dir_path.join(&self.name) }
    }
}

/// Where something is to be created: below `dir`, in directories of which some are still to be made.
pub(super) struct Destination {
    pub(super) dir: OwnedFd,
    dir_path: PathBuf,
    missing: Vec<OsString>,
}

impl Destination {
    /// Whether all of its directories are there.
    pub(super) fn is_there(&self) -> bool {
        self.missing.is_empty()
    }
}

impl Policy {
    /// Opens the allowed directories. One that is not there is not allowed.
    pub(super) fn open(config: Arc<Config>, data_dir: &Path, home: &Path) -> Self {
        let everything = [PathBuf::from("/")];
        let allowed = &config.transfer.allowed_paths;
        let roots = if allowed.is_empty() { &everything[..] } else { allowed };
        let roots = roots
            .iter()
            .filter_map(|given| {
                let canonical = std::fs::canonicalize(given).ok()?;
                let dir = Dir::open_ambient_dir(&canonical, ambient_authority()).ok()?;
                Some(Root { canonical, given: normal(given), dir })
            })
            .collect();
        let denied = Denied::look_up(&config.transfer.denied_paths, data_dir, home);
        Self { made: Instant::now(), home: home.to_owned(), roots, denied, config }
    }

    /// Whether it still tells the truth.
    pub(super) fn is_current(&self, config: &Arc<Config>) -> bool {
        Arc::ptr_eq(&self.config, config) && self.made.elapsed() < RELIED_ON
    }

    /// Largest file, in bytes.
    pub(super) fn max_file_size(&self) -> u64 {
        self.config.transfer.max_file_size
    }

    /// The path that a text names, without `.` and `..`. Nothing is looked up.
    pub(super) fn absolute(&self, text: &str) -> Result<PathBuf, FileError> {
        if text.is_empty() {
            return Err(FileError::invalid(text, "the path is empty; name a file or directory"));
        }
        if text.chars().any(char::is_control) {
            return Err(FileError::name(text, "it has control characters"));
        }
        if text.len() > LONGEST_PATH {
            return Err(FileError::invalid(text.chars().take(64).collect::<String>(), "the path is longer than 4096 bytes; shorten it"));
        }
        if text.starts_with('~') {
            return Err(FileError::invalid(text, "`~` is not expanded; write the path from `/`, or relative to the home directory without `~/`"));
        }
        Ok(normal(&self.home.join(text)))
    }

    /// Opens a directory, also through links that stay inside.
    pub(super) fn directory(&self, text: &str) -> Result<(OwnedFd, PathBuf), FileError> {
        let place = self.object(&self.absolute(text)?, text)?;
        if place.name == "." {
            return Ok((place.dir, place.dir_path));
        }
        let dir = match openat(&place.dir, &place.name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
            Ok(dir) => dir,
            Err(rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => return Err(FileError::not_found(text, "it is not a directory.")),
            Err(error) => return Err(FileError::io(text, "open", error)),
        };
        let path = self.verify(&dir, &place.path(), text)?;
        Ok((dir, path))
    }

    /// Finds what a path leads to, through links that stay inside.
    pub(super) fn object(&self, given: &Path, text: &str) -> Result<Place, FileError> {
        let (existing, missing) = self.resolve(given, text)?;
        if !missing.is_empty() {
            return Err(FileError::not_found(text, MISSING));
        }
        let (Some(parent), Some(name), false) = (existing.parent(), existing.file_name(), self.roots.iter().any(|root| root.canonical == existing)) else {
            let (dir, dir_path) = self.descend(&existing, text)?;
            return Ok(Place { dir, dir_path, name: ".".into() });
        };
        let (dir, dir_path) = self.descend(parent, text)?;
        self.refuse_denied(&dir_path.join(name), text)?;
        Ok(Place { dir, dir_path, name: name.to_owned() })
    }

    /// Finds a directory entry: a link is itself, not what it points at. The entry may be missing, its directory not.
    pub(super) fn entry(&self, given: &Path, text: &str) -> Result<Place, FileError> {
        self.refuse_denied(given, text)?;
        let (Some(parent), Some(name)) = (given.parent(), given.file_name()) else { return self.object(given, text) };
        if self.roots.iter().any(|root| root.canonical == given || root.given == given) {
            return self.object(given, text);
        }
        let (existing, missing) = self.resolve_for(parent, Some(name), text)?;
        if !missing.is_empty() {
            return Err(FileError::not_found(text, MISSING));
        }
        if self.root_of(&existing).is_none() {
            return self.object(given, text); // an allowed directory under another name
        }
        let (dir, dir_path) = self.descend(&existing, text)?;
        self.refuse_denied(&dir_path.join(name), text)?;
        Ok(Place { dir, dir_path, name: name.to_owned() })
    }

    /// Finds the directory in which a path's last name is to be created. Refuses names that must not be.
    pub(super) fn destination(&self, given: &Path, text: &str) -> Result<(Destination, OsString), FileError> {
        self.refuse_denied(given, text)?;
        let (Some(parent), Some(name)) = (given.parent(), given.file_name()) else {
            self.resolve(given, text)?;
            return Err(is_directory(text));
        };
        if self.roots.iter().any(|root| root.given == given || root.canonical == given) {
            return Err(is_directory(text));
        }
        let (existing, missing) = self.resolve_for(parent, Some(name), text)?;
        if Path::new(text).components().any(|part| part == Component::ParentDir) {
            return Err(FileError::name(text, "`..` is not taken in a destination"));
        }
        if self.root_of(&existing).is_none() {
            // the directory itself under a third name, or it is gone
            return Err(if missing.is_empty() {
                is_directory(text)
            } else {
                FileError::not_found(text, "the allowed directory that it lies in is not there.")
            });
        }
        for name in missing.iter().map(OsString::as_os_str).chain([name]) {
            let reason = name.to_str().map_or(Some("it is not UTF-8"), names::refuse);
            if let Some(reason) = reason {
                return Err(FileError::name(text, reason));
            }
        }
        let (dir, dir_path) = self.descend(&existing, text)?;
        Ok((Destination { dir, dir_path, missing }, name.to_owned()))
    }

    /// Makes the directories that are missing; on disk when this returns. Then the last one is looked at again.
    pub(super) fn make(&self, destination: Destination, text: &str) -> Result<(OwnedFd, PathBuf), FileError> {
        self.make_with(destination, None, text)
    }

    /// Like [`make`](Self::make), and notes which were made.
    pub(super) fn make_noted(&self, destination: Destination, made: &mut Made, text: &str) -> Result<(OwnedFd, PathBuf), FileError> {
        self.make_with(destination, Some(made), text)
    }

    fn make_with(&self, destination: Destination, mut made: Option<&mut Made>, text: &str) -> Result<(OwnedFd, PathBuf), FileError> {
        let Destination { mut dir, mut dir_path, missing } = destination;
        if missing.is_empty() {
            return Ok((dir, dir_path));
        }
        for name in missing {
            match rustix::fs::mkdirat(&dir, &name, Mode::from_bits_truncate(0o777)) {
                Ok(()) => {
                    if let Some(made) = &mut made {
                        made.note(&dir, &name);
                    }
                    system::sync_directory(&dir).map_err(|error| FileError::io(text, "make the directories of", error))?;
                }
                // somebody else was faster; the open decides
                Err(rustix::io::Errno::EXIST) => {
                    if let Some(made) = &mut made {
                        made.names.clear();
                    }
                }
                Err(error) => return Err(FileError::io(text, "make the directories of", error)),
            }
            dir = openat(&dir, &name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
                .map_err(|error| FileError::io(text, "make the directories of", error))?;
            dir_path.push(&name);
        }
        let path = self.verify(&dir, &dir_path, text)?;
        Ok((dir, path))
    }

    /// Errs when a path is, or lies in, a denied place. For names that were not opened.
    pub(super) fn refuse_denied(&self, path: &Path, text: &str) -> Result<(), FileError> {
        if self.denied.covers(path) { Err(FileError::denied(text, DENIED)) } else { Ok(()) }
    }

    /// Errs when an object is a denied one under another name.
    pub(super) fn refuse_object(&self, meta: &Meta, text: &str) -> Result<(), FileError> {
        if self.denied.is(meta.id) { Err(FileError::denied(text, DENIED)) } else { Ok(()) }
    }

    /// The deepest directory that exists on the way, without links, and the names below it. All of it is allowed and not denied.
    fn resolve(&self, given: &Path, text: &str) -> Result<(PathBuf, Vec<OsString>), FileError> {
        self.resolve_for(given, None, text)
    }

    fn resolve_for(&self, given: &Path, last: Option<&OsStr>, text: &str) -> Result<(PathBuf, Vec<OsString>), FileError> {
        self.refuse_denied(given, text)?;
        let (existing, missing) = deepest(given).map_err(|error| self.explain(given, error, text))?;
        let target = missing.iter().map(OsString::as_os_str).chain(last).fold(existing.clone(), |path, name| path.join(name));
        self.refuse_denied(&target, text)?;
        if self.root_of(&target).is_none() {
            return Err(FileError::denied(text, OUTSIDE));
        }
        Ok((existing, missing))
    }

    /// What stands in the way is only said about allowed directories.
    fn explain(&self, given: &Path, error: Unresolved, text: &str) -> FileError {
        if !self.roots.iter().any(|root| given.starts_with(&root.given) || given.starts_with(&root.canonical)) {
            return FileError::denied(text, OUTSIDE);
        }
        match error {
            Unresolved::Nowhere => FileError::denied(text, NOWHERE),
            Unresolved::Io(error) if error.kind() == io::ErrorKind::NotADirectory => {
                FileError::not_found(text, "a part of the path is a file, not a directory.")
            }
            Unresolved::Io(error) => FileError::io(text, "find", error),
        }
    }

    fn root_of(&self, path: &Path) -> Option<(&Root, PathBuf)> {
        let (root, rest) =
            self.roots.iter().filter_map(|root| Some((root, path.strip_prefix(&root.canonical).ok()?))).min_by_key(|(_, rest)| rest.as_os_str().len())?;
        Some((root, if rest.as_os_str().is_empty() { ".".into() } else { rest.to_owned() }))
    }

    /// Opens a directory below the handle of its root, and looks at what was opened.
    fn descend(&self, canonical: &Path, text: &str) -> Result<(OwnedFd, PathBuf), FileError> {
        let (root, below) = self.root_of(canonical).ok_or_else(|| FileError::denied(text, OUTSIDE))?;
        let dir = root.dir.open_dir(&below).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => FileError::not_found(text, MISSING),
            io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => FileError::denied(text, OUTSIDE), // the handle was about to be left
            _ => FileError::io(text, "open", error),
        })?;
        let dir = OwnedFd::from(dir.into_std_file());
        let path = self.verify(&dir, canonical, text)?;
        Ok((dir, path))
    }

    /// Looks at the directory that was really opened: where it is, and what it lies in.
    fn verify(&self, dir: &OwnedFd, expected: &Path, text: &str) -> Result<PathBuf, FileError> {
        let path = match system::path_of(dir) {
            Some(path) => path,
            None => std::fs::canonicalize(expected).map_err(|error| FileError::io(text, "find", error))?,
        };
        if self.root_of(&path).is_none() {
            return Err(FileError::denied(text, OUTSIDE));
        }
        self.refuse_denied(&path, text)?;
        let mut up = PathBuf::from(".");
        let mut last = None;
        for _ in 0..DEEPEST {
            let Ok(stat) = statat(dir.as_fd(), &up, AtFlags::empty()) else { break };
            let meta = Meta::from(&stat);
            if last == Some(meta.id) {
                break;
            }
            self.refuse_object(&meta, text)?;
            last = Some(meta.id);
            up.push("..");
        }
        Ok(path)
    }
}

/// Directories that were made for a file. Those that are empty go again when this is dropped.
#[derive(Debug)]
pub(super) struct Made {
    /// What the first of them lies in.
    above: Option<OwnedFd>,
    /// Their names, each in the one before it.
    pub(super) names: Vec<OsString>,
    parts: Arc<Parts>,
}

impl Made {
    pub(super) fn new(parts: &Arc<Parts>) -> Self {
        Self { above: None, names: Vec::new(), parts: Arc::clone(parts) }
    }

    fn note(&mut self, dir: &OwnedFd, name: &OsStr) {
        if self.names.is_empty() {
            self.above = dir.try_clone().ok();
        }
        self.names.push(name.to_owned());
    }

    /// The file is there: they stay.
    pub(super) fn keep(mut self) {
        self.names.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let Some(above) = self.above.take().filter(|_| !self.names.is_empty()) else { return };
        let _alone = self.parts.making.write().unwrap_or_else(PoisonError::into_inner);
        let mut levels = vec![above];
        for name in self.names.iter().take(self.names.len() - 1) {
            let Some(Ok(next)) =
                levels.last().map(|dir| openat(dir, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()))
            else {
                break;
            };
            levels.push(next);
        }
        for (dir, name) in levels.iter().zip(&self.names).rev() {
            if unlinkat(dir, name, AtFlags::REMOVEDIR).is_err() {
                break; // something is in it
            }
        }
    }
}

/// Why a path could not be followed.
#[derive(Debug)]
pub(super) enum Unresolved {
    /// A link leads to nothing.
    Nowhere,
    /// The system said no.
    Io(io::Error),
}

/// The deepest part of a path that exists, without links, and the names below it.
pub(super) fn deepest(path: &Path) -> Result<(PathBuf, Vec<OsString>), Unresolved> {
    let mut missing = Vec::new();
    let mut at = path;
    loop {
        match std::fs::canonicalize(at) {
            Ok(existing) => {
                missing.reverse();
                return Ok((existing, missing));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if at.symlink_metadata().is_ok() {
                    return Err(Unresolved::Nowhere);
                }
                let (Some(parent), Some(name)) = (at.parent(), at.file_name()) else { return Err(Unresolved::Io(error)) };
                missing.push(name.to_owned());
                at = parent;
            }
            Err(error) => return Err(Unresolved::Io(error)),
        }
    }
}

/// A path without `.` and `..`. `..` takes away the name before it, whatever that is.
pub(super) fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut out, part| {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            part => out.push(part),
        }
        out
    })
}

/// Says that a destination is a directory.
pub(super) fn is_directory(text: &str) -> FileError {
    FileError::Invalid { path: shown(text), reason: "it is a directory; add the name of the file".to_owned() }
}

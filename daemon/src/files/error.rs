//! What can go wrong with a file. Each message is a sentence that names the path and says what to do; none of them knows how it will be sent.

use std::{io, path::Path};

use loopsy_shared::text;
use thiserror::Error;

/// Why a file was not read or written. Paths in it are made inert already.
#[derive(Debug, Error)]
pub enum FileError {
    /// The path leads to something that may not be touched.
    #[error("`{path}` may not be used: {reason}")]
    PathDenied {
        /// The path as it was asked for.
        path: String,
        /// Which rule it breaks, and what to do.
        reason: &'static str,
    },
    /// There is nothing there, or not what can be transferred.
    #[error("`{path}` cannot be used: {reason}")]
    NotFound {
        /// The path as it was asked for.
        path: String,
        /// What is there instead.
        reason: &'static str,
    },
    /// The file is over `transfer.maxFileSize`.
    #[error("`{path}` is larger than this node allows ({}): raise `transfer.maxFileSize` in its config, or send it in pieces.", text::bytes(*.limit))]
    TooLarge {
        /// The path as it was asked for.
        path: String,
        /// The most that is allowed, in bytes.
        limit: u64,
    },
    /// What arrived is not what was announced. What was there before is untouched.
    #[error("What arrived for `{path}` has the SHA-256 {actual}, but {expected} was announced: nothing was replaced. Send it again.")]
    ChecksumMismatch {
        /// The path as it was asked for.
        path: String,
        /// The hash that was announced.
        expected: String,
        /// The hash of what came.
        actual: String,
    },
    /// The operating system said no.
    #[error("Could not {action} `{path}`: {source}. Look at the path on that machine, then try again.")]
    Failed {
        /// The path as it was asked for.
        path: String,
        /// What was tried.
        action: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is no room, or the quota is used up. What was there before is untouched.
    #[error("There is not enough room on the disk for `{path}`: free some space there, then try again.")]
    DiskFull {
        /// The path as it was asked for.
        path: String,
    },
    /// A name in the path would be unsafe on some system.
    #[error("A name in `{path}` is refused: {reason}. Choose another name.")]
    NameRefused {
        /// The path as it was asked for.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The part that is here does not reach to the offset.
    #[error("The part of `{path}` that is here has {here} bytes, but {asked} were presumed: ask for the offset, or start again from 0.")]
    ResumeMismatch {
        /// The path as it was asked for.
        path: String,
        /// The offset that was asked for.
        asked: u64,
        /// How many bytes there are.
        here: u64,
    },
    /// Somebody else is writing the same upload.
    #[error("The upload of `{path}` with this name is under way already: wait for it, or choose another upload id.")]
    Busy {
        /// The path as it was asked for.
        path: String,
    },
    /// There is a file already, and it was asked not to replace one.
    #[error("`{path}` is there already and `overwrite` is false: remove it, or allow to replace it.")]
    Exists {
        /// The path as it was asked for.
        path: String,
    },
    /// The file was changed while it was read.
    #[error("`{path}` was changed while it was read: pull it again when nothing writes to it.")]
    Changed {
        /// The path as it was asked for.
        path: String,
    },
    /// The request makes no sense.
    #[error("The request for `{path}` is not valid: {reason}.")]
    Invalid {
        /// The path as it was asked for.
        path: String,
        /// What is wrong, and what to do.
        reason: String,
    },
}

/// A path that can be shown to anybody.
pub(super) fn shown(path: impl AsRef<Path>) -> String {
    text::inert(&path.as_ref().to_string_lossy()).into_owned()
}

impl FileError {
    pub(super) fn denied(path: impl AsRef<Path>, reason: &'static str) -> Self {
        Self::PathDenied { path: shown(path), reason }
    }

    pub(super) fn not_found(path: impl AsRef<Path>, reason: &'static str) -> Self {
        Self::NotFound { path: shown(path), reason }
    }

    pub(super) fn name(path: impl AsRef<Path>, reason: &'static str) -> Self {
        Self::NameRefused { path: shown(path), reason }
    }

    pub(super) fn invalid(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Invalid { path: shown(path), reason: reason.into() }
    }

    /// What the operating system said, with a full disk told apart.
    pub(super) fn io(path: impl AsRef<Path>, action: &'static str, source: impl Into<io::Error>) -> Self {
        let (path, source) = (shown(path), source.into());
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            io::ErrorKind::FileTooLarge => Self::Failed { path, action, source: io::Error::other("the file system takes no file of this size") },
            _ => Self::Failed { path, action, source },
        }
    }
}

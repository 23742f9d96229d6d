//! What can go wrong with the store, each as a sentence that names the file and the next step.

use std::path::{Path, PathBuf};

use loopsy_shared::text;
use rusqlite::ErrorCode;

/// A file system with less room than this is taken for full when a write fails without saying why (quotas and shared memory files do that).
const FULL_BELOW_BYTES: u64 = 64 << 10;

/// Why the store could not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A file does not parse. Nothing was replaced or emptied.
    #[error("`{path}` is damaged: {reason}. {kept} {advice}", path = path.display(), kept = kept_sentence(kept.as_deref()))]
    Corrupt {
        /// The damaged file, still in its place.
        path: PathBuf,
        /// What the parser said.
        reason: String,
        /// Where a copy was kept, unless there was no room for one.
        kept: Option<PathBuf>,
        /// How to go on.
        advice: String,
    },
    /// The database was written by a newer Loopsy.
    #[error("`{path}` was written by a newer Loopsy (store version {found}; this one knows {known}). Start that version, or move the file away.", path = path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// A file cannot be opened, made or renamed.
    #[error("`{path}` cannot be used: {reason}. Check that the data directory exists, belongs to this user and is on a writable disk.", path = path.display())]
    Unopened {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A write to the disk failed, so nothing can be trusted to be stored until the next start. Reads go on.
    #[error("The store is read-only until the daemon is restarted, because writing to the disk failed ({reason}). Check the disk, then restart the daemon.")]
    ReadOnly {
        /// The first failure.
        reason: String,
    },
    /// The disk is full. Nothing was changed.
    #[error("The disk with `{path}` is full, so nothing was stored. Free some space and try again.", path = path.display())]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// This change could not be stored; others may.
    #[error("`{path}` did not take the change: {reason}. Nothing was stored; try again.", path = path.display())]
    Failed {
        /// The database.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
    /// The daemon is stopping.
    #[error("The store is closed because the daemon is stopping. Nothing was stored.")]
    Closed,
}

impl StoreError {
    /// Whether a file that a person must look at stops the start (exit 78), as opposed to a passing failure.
    pub const fn is_unusable(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Newer { .. })
    }

    pub(super) fn unopened(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::Unopened { path: path.to_owned(), reason: text::inert(&reason.to_string()).into_owned() }
    }

    /// What a failed statement, commit or checkpoint means.
    pub(super) fn of_write(path: &Path, error: &rusqlite::Error) -> Self {
        let reason = text::inert(&error.to_string()).into_owned();
        let full = || Self::Full { path: path.to_owned() };
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => full(),
            Some(ErrorCode::SystemIoFailure) if !is_sync(error) && nearly_full(path) => full(),
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied,
            ) => Self::ReadOnly { reason },
            _ => Self::Failed { path: path.to_owned(), reason },
        }
    }
}

/// Whether it was a sync that failed. The kernel forgets what a failed sync did not write, so it is never tried again.
fn is_sync(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi;
    error.sqlite_error().is_some_and(|error| matches!(error.extended_code, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC))
}

fn nearly_full(path: &Path) -> bool {
    let at = path.parent().unwrap_or(path);
    rustix::fs::statvfs(at).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < FULL_BELOW_BYTES)
}

fn kept_sentence(kept: Option<&Path>) -> String {
    match kept {
        Some(copy) => format!("A copy is kept as `{}`.", copy.display()),
        None => "A copy could not be made; the file itself is untouched.".to_owned(),
    }
}

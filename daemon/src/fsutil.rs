//! Files of the data directory: private, and whole or not there.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Mode of every file of a data directory.
pub const FILE_MODE: u32 = 0o600;
/// Mode of every directory.
pub const DIR_MODE: u32 = 0o700;

/// Makes a private directory and those above it; one that is there keeps its content.
///
/// # Errors
/// What the system says.
pub fn private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(DIR_MODE).create(path)
}

/// Opens a private file for appending, making it when needed.
///
/// # Errors
/// What the system says.
pub fn append_private(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().create(true).append(true).mode(FILE_MODE).open(path)
}

/// Opens a private file for writing from its start, making it when needed.
///
/// # Errors
/// What the system says.
pub fn write_private(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().create(true).write(true).truncate(false).mode(FILE_MODE).open(path)
}

/// Replaces a file: a reader sees the old content or the new, and after this returns the new is on disk.
///
/// # Errors
/// What the system says; the old content is then untouched.
pub fn write_atomic(path: &Path, content: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut temp = tempfile::Builder::new().prefix(".loopsy.").permissions(fs::Permissions::from_mode(FILE_MODE)).tempfile_in(dir)?;
    temp.write_all(content)?;
    temp.as_file().sync_all()?;
    temp.persist(path).map_err(|e| e.error)?;
    fs::File::open(dir)?.sync_all()
}

/// Takes away what others may do with a file or directory. Says whether anything had to be changed.
///
/// # Errors
/// What the system says.
pub fn make_private(path: &Path) -> io::Result<bool> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink() || metadata.permissions().mode() & 0o077 == 0 {
        return Ok(false);
    }
    let mode = if metadata.is_dir() { DIR_MODE } else { FILE_MODE };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(true)
}

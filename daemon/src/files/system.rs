//! What the operating systems do differently, each with a way out where one of them cannot.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
};

use loopsy_shared::{api::transfer::FileKind, time::Millis};
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Stat, openat, statat},
    io::Errno,
};

/// Device and inode: which object it is, whatever its path. Wide enough for the types of every system.
pub(super) type ObjectId = (i128, i128);

/// What a look at an object tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) kind: FileKind,
    pub(super) size: u64,
    /// In nanoseconds since 1970; may be before it.
    pub(super) changed: i128,
    pub(super) mode: u32,
    pub(super) id: ObjectId,
    pub(super) links: i128,
    pub(super) owner: u32,
}

impl Meta {
    /// When it was last changed; before 1970 reads as 0.
    pub(super) fn modified(&self) -> Millis {
        u64::try_from(self.changed / 1_000_000).unwrap_or(0)
    }

    /// Looks at a name in a directory, not through a link.
    pub(super) fn at(dir: impl AsFd, name: impl AsRef<OsStr>) -> Result<Self, Errno> {
        statat(dir, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW).map(|stat| Self::from(&stat))
    }

    /// Looks at an open file.
    pub(super) fn of(file: impl AsFd) -> Result<Self, Errno> {
        rustix::fs::fstat(file).map(|stat| Self::from(&stat))
    }
}

impl From<&Stat> for Meta {
    fn from(stat: &Stat) -> Self {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => FileKind::File,
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Symlink,
            _ => FileKind::Other,
        };
        Self {
            kind,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            changed: stat.st_mtime as i128 * 1_000_000_000 + stat.st_mtime_nsec as i128,
            mode: u32::try_from(stat.st_mode as i128 & 0o7777).unwrap_or(0),
            id: (stat.st_dev as i128, stat.st_ino as i128),
            links: stat.st_nlink as i128,
            owner: stat.st_uid,
        }
    }
}

/// The path that the system itself knows for an open directory; nothing when it cannot tell.
pub(super) fn path_of(dir: impl AsFd) -> Option<PathBuf> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        std::fs::read_link(format!("/proc/self/fd/{}", dir.as_fd().as_raw_fd())).ok()
    }
    #[cfg(target_vendor = "apple")]
    {
        use std::os::unix::ffi::OsStringExt;
        rustix::fs::getpath(dir).ok().map(|path| std::ffi::OsString::from_vec(path.into_bytes()).into())
    }
    #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
    {
        let _unused = dir;
        None
    }
}

/// Opens a directory again, to read its entries: the handle may be one that only leads to it.
pub(super) fn readable(dir: impl AsFd) -> Result<OwnedFd, Errno> {
    openat(dir, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Makes the entries of a directory last. File systems that cannot are left alone.
pub(super) fn sync_directory(dir: impl AsFd) -> io::Result<()> {
    let readable = match readable(dir) {
        Err(Errno::ACCESS) => return Ok(()), // may be written but not read: nothing more can be done
        other => other?,
    };
    match rustix::fs::fsync(readable) {
        Err(Errno::INVAL | Errno::NOTSUP | Errno::BADF) => Ok(()),
        other => Ok(other?),
    }
}

/// Reserves room for a file without making it longer. Only a full disk is an error: the rest is an optimisation.
pub(super) fn reserve(file: &File, from: u64, to: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if to > from {
        return match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, from, to - from) {
            Err(error @ (Errno::NOSPC | Errno::DQUOT)) => Err(error.into()),
            _ => Ok(()),
        };
    }
    let _unused = (file, from, to);
    Ok(())
}

/// Bypasses the page cache, or stops to. Says whether it took effect.
pub(super) fn set_direct(file: &File, on: bool) -> bool {
    #[cfg(target_os = "linux")]
    {
        let Ok(flags) = rustix::fs::fcntl_getfl(file) else { return false };
        let wanted = if on { flags | OFlags::DIRECT } else { flags - OFlags::DIRECT };
        flags == wanted || rustix::fs::fcntl_setfl(file, wanted).is_ok()
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _unused = file;
        !on
    }
}

/// Starts to write a range to the disk, and does not wait for it. Linux does so when told that the range is not needed; clean pages go, dirty ones stay.
pub(super) fn begin_writeback(file: &File, from: u64, length: u64) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::fs::fadvise(file, from, std::num::NonZeroU64::new(length), rustix::fs::Advice::DontNeed) {
        tracing::debug!(%error, "no early writeback");
    }
    #[cfg(not(target_os = "linux"))]
    let _unused = (file, from, length);
}

/// Whether a file seems to be in memory, by a look at a few pages of it anywhere. The look itself brings in those pages and no others.
pub(super) fn is_cached(file: &File, size: u64) -> bool {
    /// Pages that are looked at: a file of which half is in memory passes in one of 16 cases.
    #[cfg(target_os = "linux")]
    const LOOKS: usize = 4;
    #[cfg(target_os = "linux")]
    {
        let alone = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Random);
        alone.is_ok()
            && size > 0
            && (0..LOOKS).all(|_| {
                let mut byte = [0];
                let at = rand::random_range(0..size);
                rustix::io::preadv2(file, &mut [io::IoSliceMut::new(&mut byte)], at, rustix::io::ReadWriteFlags::NOWAIT) == Ok(1)
            })
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _unused = (file, size);
        true
    }
}

/// Says that a file will be read from start to end.
pub(super) fn read_ahead(file: &File) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Sequential) {
        tracing::debug!(%error, "no read-ahead");
    }
    #[cfg(not(target_os = "linux"))]
    let _unused = file;
}

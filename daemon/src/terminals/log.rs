//! The last bytes that a terminal printed, by their offsets: a ring in a file that has no name, and the newest of them in memory as well.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    os::unix::fs::{FileExt, PermissionsExt},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;

/// Newest bytes that are also in memory, so that who keeps up never waits for a disk.
const IN_MEMORY: usize = 256 << 10;
/// Less than this makes no sense: what is printed at once must fit.
const LEAST: u64 = 1 << 20;

/// The ring. Bytes have offsets, counted from the first ever.
#[derive(Debug)]
pub(super) struct Log {
    file: Arc<File>,
    capacity: u64,
    start: u64,
    end: u64,
    newest: VecDeque<(u64, Bytes)>,
    in_memory: usize,
    broken: bool,
}

/// Bytes from an offset on.
#[derive(Debug)]
pub(super) enum Found {
    /// Here they are.
    Bytes(Bytes),
    /// They are on the disk.
    OnDisk(Range),
    /// They are not kept any more.
    Gone,
}

/// A part of the ring that can be read without holding the log; whether it was still whole shows in [`Log::start`] afterwards.
#[derive(Debug)]
pub(super) struct Range {
    file: Arc<File>,
    capacity: u64,
    from: u64,
    length: usize,
}

impl Log {
    /// A log of up to this many bytes, on the disk of a directory.
    pub(super) fn new(dir: &Path, capacity: u64) -> io::Result<Self> {
        crate::fsutil::private_dir(dir)?;
        let file = tempfile::tempfile_in(dir)?;
        file.set_permissions(std::fs::Permissions::from_mode(crate::fsutil::FILE_MODE))?;
        Ok(Self { file: Arc::new(file), capacity: capacity.max(LEAST), start: 0, end: 0, newest: VecDeque::new(), in_memory: 0, broken: false })
    }

    /// The oldest byte that is kept.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Where the next byte goes.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The bytes that are kept at most.
    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Adds bytes; the oldest go. A disk that takes nothing costs what is older than memory, not the terminal.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        let old = self.end;
        self.end += bytes.len() as u64;
        self.start = self.start.max(self.end.saturating_sub(self.capacity));
        let at = old % self.capacity;
        let first = bytes.len().min(usize::try_from(self.capacity - at).unwrap_or(usize::MAX));
        let written = self.file.write_all_at(&bytes[..first], at).and_then(|()| self.file.write_all_at(&bytes[first..], 0));
        self.newest.push_back((old, Bytes::copy_from_slice(bytes)));
        self.in_memory += bytes.len();
        while self.in_memory > IN_MEMORY && self.newest.len() > 1 {
            self.in_memory -= self.newest.pop_front().map_or(0, |(_, bytes)| bytes.len());
        }
        if let Err(error) = written {
            if !std::mem::replace(&mut self.broken, true) {
                tracing::warn!(%error, "the log of a terminal cannot be written; only its newest bytes are kept");
            }
            self.start = self.newest.front().map_or(self.end, |(offset, _)| *offset);
        }
    }

    /// Up to `most` bytes between two offsets.
    pub(super) fn find(&self, from: u64, to: u64, most: usize) -> Found {
        if from < self.start || from > self.end {
            return Found::Gone;
        }
        let length = usize::try_from(to.min(self.end).saturating_sub(from)).unwrap_or(usize::MAX).min(most);
        let kept = self.newest.front().map_or(self.end, |(offset, _)| *offset);
        if from < kept {
            let length = length.min(usize::try_from(kept - from).unwrap_or(usize::MAX));
            return Found::OnDisk(Range { file: Arc::clone(&self.file), capacity: self.capacity, from, length });
        }
        let first = self.newest.partition_point(|(offset, bytes)| offset + bytes.len() as u64 <= from);
        let part = |index: usize, from: u64, left: usize| {
            let (offset, bytes): &(u64, Bytes) = self.newest.get(index)?;
            let skip = usize::try_from(from - offset).unwrap_or(usize::MAX);
            Some(bytes.slice(skip..bytes.len().min(skip.saturating_add(left))))
        };
        let Some(one) = part(first, from, length).filter(|part| part.len() < length) else {
            return Found::Bytes(part(first, from, length).unwrap_or_default());
        };
        let mut all = Vec::with_capacity(length);
        all.extend_from_slice(&one);
        let mut index = first + 1;
        while all.len() < length {
            let Some(more) = part(index, from + all.len() as u64, length - all.len()) else { break };
            all.extend_from_slice(&more);
            index += 1;
        }
        Found::Bytes(all.into())
    }
}

impl Range {
    /// Its bytes.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Reads it. Waits for the disk.
    pub(super) fn read(&self) -> io::Result<Bytes> {
        let mut bytes = vec![0; self.length];
        let at = self.from % self.capacity;
        let first = self.length.min(usize::try_from(self.capacity - at).unwrap_or(usize::MAX));
        let (head, tail) = bytes.split_at_mut(first);
        self.file.read_exact_at(head, at)?;
        self.file.read_exact_at(tail, 0)?;
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(log: &Log, from: u64, to: u64, most: usize) -> Option<Bytes> {
        match log.find(from, to, most) {
            Found::Bytes(bytes) => Some(bytes),
            Found::OnDisk(range) => Some(range.read().expect("readable")),
            Found::Gone => None,
        }
    }

    #[test]
    fn the_file_is_private_and_has_no_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("terminals");
        let log = Log::new(&path, 0).expect("made");
        assert_eq!(std::fs::read_dir(&path).expect("there").count(), 0);
        assert_eq!(log.file.metadata().expect("open").permissions().mode() & 0o077, 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn every_byte_that_is_kept_is_found_at_its_offset(pieces in proptest::collection::vec(1_usize..200_000, 1..30), at in any::<prop::sample::Index>(), most in 1_usize..500_000) {
            let dir = tempfile::tempdir().expect("a directory");
            let mut log = Log::new(dir.path(), 0).expect("made");
            let mut all = Vec::new();
            for (index, length) in pieces.into_iter().enumerate() {
                let piece: Vec<u8> = (0..length).map(|n| (n * 31 + index * 7) as u8).collect();
                log.append(&piece);
                all.extend(piece);
            }
            prop_assert_eq!(log.end(), all.len() as u64);
            prop_assert_eq!(log.start(), (all.len() as u64).saturating_sub(LEAST));
            let mut from = log.start() + at.index(all.len() - usize::try_from(log.start()).expect("small")) as u64;
            prop_assert!(log.start() == 0 || read(&log, log.start() - 1, log.end(), 1).is_none());
            while from < log.end() {
                let bytes = read(&log, from, log.end(), most).expect("kept");
                let place = usize::try_from(from).expect("small");
                prop_assert!(!bytes.is_empty() && bytes.len() <= most && bytes == all[place..place + bytes.len()]);
                from += bytes.len() as u64;
            }
        }
    }
}

//! SHA-256 of files, as the wire has it: lower-case hex.

use std::{fs::File, io, os::unix::fs::FileExt};

use sha2::{Digest, Sha256};

/// Bytes that are read at once for hashing.
const BLOCK: usize = 256 << 10;

/// The digest in lower-case hex.
pub(super) fn hex(hasher: Sha256) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    hasher.finalize().iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// Whether a text is a SHA-256 in hex.
pub(super) fn is_hex(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Feeds the first `length` bytes of a file; fewer when it is shorter. Says how many there were.
pub(super) fn feed(hasher: &mut Sha256, file: &File, length: u64) -> io::Result<u64> {
    let mut buffer = vec![0; BLOCK.min(usize::try_from(length).unwrap_or(BLOCK)).max(1)];
    let mut at = 0;
    while at < length {
        let want = buffer.len().min(usize::try_from(length - at).unwrap_or(buffer.len()));
        let read = match file.read_at(&mut buffer[..want], at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        at += read as u64;
    }
    Ok(at)
}

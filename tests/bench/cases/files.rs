//! Large files, both ways.

use std::{
    cell::Cell,
    fs,
    io::{Read, Write},
    path::Path,
    time::Instant,
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{GROWTH, Setting};
use crate::{
    Result,
    node::Node,
    report::{Report, Target},
    wire::{Connection, measure},
};

/// What is sent at once, again and again.
pub(super) const BLOCK: usize = 256 << 10;
/// As large as a file may be.
pub(super) const FULL: usize = 1 << 30;
pub(super) const QUICK: usize = 128 << 20;
const BOUNDARY: &str = "a-boundary-that-is-in-no-file";

/// Bytes that nothing can compress.
pub(super) fn block() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..BLOCK / 8).flat_map(|_| next().to_le_bytes()).collect()
}

/// The hash of so many bytes of blocks.
pub(super) fn hash(block: &[u8], size: usize) -> String {
    let mut hasher = Sha256::new();
    (0..size / BLOCK).for_each(|_| hasher.update(block));
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file of so many bytes of blocks. It is then in the page cache, and on the disk, so that nothing of it is written while the clock runs.
pub(super) fn make(path: &Path, block: &[u8], size: usize) -> Result<()> {
    let mut file = fs::File::create(path)?;
    for _ in 0..size / BLOCK {
        file.write_all(block)?;
    }
    Ok(file.sync_all()?)
}

pub(super) fn push(setting: &Setting, report: &mut Report) -> Result<()> {
    let (block, size) = (block(), setting.size(FULL, QUICK));
    let hash = hash(&block, size);
    let path = setting.dir.path().join("pushed");
    let field = |name: &str, value: &str| format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let mut head = field("destPath", &path.to_string_lossy()) + &field("sha256", &hash) + &field("size", &size.to_string());
    head += &format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"f\"\r\ncontent-type: application/octet-stream\r\n\r\n");
    let tail = format!("\r\n--{BOUNDARY}--\r\n");
    let length = head.len() + size + tail.len();
    let run = |node: &Node| {
        let more = format!("content-type: multipart/form-data; boundary={BOUNDARY}\r\ncontent-length: {length}\r\n");
        let request = node.target.head("POST", "/transfer/push", &more) + &head;
        let mut connection = Connection::open(node.target.address)?;
        let begun = Instant::now();
        connection.stream.write_all(request.as_bytes())?;
        let sent = (0..size / BLOCK).try_for_each(|_| connection.stream.write_all(&block)).and_then(|()| connection.stream.write_all(tail.as_bytes()));
        if let Err(error) = sent {
            // what the node says to it tells more
            return Err(connection.answer().err().unwrap_or_else(|| error.into()));
        }
        let answer: Value = serde_json::from_slice(connection.answer()?)?;
        let took = begun.elapsed().as_secs_f64();
        if answer["checksum"] != hash || fs::metadata(&path)?.len() != size as u64 {
            return Err(format!("the file did not arrive: {answer}").into());
        }
        fs::remove_file(&path)?;
        Ok(size as f64 / 1e6 / took)
    };
    let (rate, growth) = setting.grown("push", setting.size(3, 1), run)?;
    let note = format!("on disk and hashed before the answer; {} MiB", size >> 20);
    report.against("push of 1 GiB", rate, "MB/s", Target::AtLeast(700.0), note);
    report.against("the same, memory above idle", growth, "MiB", Target::AtMost(GROWTH), "");
    Ok(())
}

pub(super) fn pull(setting: &Setting, report: &mut Report) -> Result<()> {
    let (block, size) = (block(), setting.size(FULL, QUICK));
    let path = setting.dir.path().join("pulled");
    make(&path, &block, size)?;
    let body = json!({ "sourcePath": path }).to_string();
    let rates = Cell::new((f64::INFINITY, 0.0_f64));
    let run = |node: &Node| {
        let request = node.target.json("POST", "/transfer/pull", &body);
        let mut stream = Connection::open(node.target.address)?.stream;
        let mut buffer = vec![0; BLOCK];
        let begun = Instant::now();
        stream.write_all(&request)?;
        let (mut got, mut whole) = (0, None);
        while whole.is_none_or(|whole| got < whole) {
            let read = stream.read(&mut buffer)?;
            if read == 0 {
                return Err("the file broke off".into());
            }
            got += read;
            if whole.is_none() {
                whole = measure(&buffer[..read])?.map(|(start, length)| start + length);
            }
        }
        if whole.is_none_or(|whole| whole < size) {
            return Err("the file is too short".into());
        }
        let rate = size as f64 / 1e6 / begun.elapsed().as_secs_f64();
        rates.set((rates.get().0.min(rate), rates.get().1.max(rate)));
        Ok(rate)
    };
    let (rate, growth) = setting.grown("pull", setting.size(5, 1), run)?;
    let note = format!("{} MiB from the page cache; {:.0} to {:.0}", size >> 20, rates.get().0, rates.get().1);
    report.against("pull of 1 GiB", rate, "MB/s", Target::AtLeast(1500.0), note);
    report.against("the same, memory above idle", growth, "MiB", Target::AtMost(GROWTH), "");
    Ok(fs::remove_file(path)?)
}

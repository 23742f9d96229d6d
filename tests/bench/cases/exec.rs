//! Commands: many short ones, and one that prints much.

use std::{
    cell::Cell,
    fs,
    io::{Read, Write},
    path::PathBuf,
    time::Instant,
};

use serde_json::{Value, json};

use super::{GROWTH, Setting};
use crate::{
    Result, load,
    node::Node,
    report::{Report, Target},
    wire::{Connection, find},
};

/// Bytes of the commands that print much.
const PRINTED: usize = 100_000_000;

pub(super) fn exec(setting: &Setting, report: &mut Report) -> Result<()> {
    let node = setting.home("exec")?.start()?;
    let request = [node.target.json("POST", "/execute", r#"{"command":"true"}"#)];
    load::drive(&node.target, 1, 20, &request)?;
    let alone = load::drive(&node.target, 1, setting.size(1000, 100), &request)?;
    let note = format!("p99 {:.2} ms", alone.quantile(0.99));
    report.against("POST /execute of `true`, one at a time, p50", alone.quantile(0.5), "ms", Target::AtMost(1.5), note);
    let rounds = (0..setting.size(3, 1)).map(|_| load::drive(&node.target, 8, setting.size(3000, 400), &request)).collect::<Result<Vec<_>>>()?;
    let rate = load::median(rounds.iter().map(|outcome| outcome.rate).collect());
    report.against("the same, 8 at a time", rate, "/s", Target::AtLeast(1200.0), "");
    Ok(())
}

/// A file of lines, so that a command can print it from memory.
fn text(setting: &Setting, name: &str) -> Result<PathBuf> {
    let path = setting.dir.path().join(name);
    let mut file = fs::File::create(&path)?;
    let block: Vec<u8> = (0..10_000).flat_map(|n| format!("{n:05} {:x<93}\n", "a line of output ").into_bytes()).collect();
    for _ in 0..PRINTED / block.len() {
        file.write_all(&block)?;
    }
    file.sync_data()?;
    Ok(path)
}

pub(super) fn print(setting: &Setting, report: &mut Report) -> Result<()> {
    let file = text(setting, "print.txt")?;
    let body = json!({ "command": "cat", "args": [file] }).to_string();
    let exact = Cell::new(true);
    let run = |node: &Node| {
        let request = node.target.json("POST", "/execute", &body);
        let mut connection = Connection::open(node.target.address)?;
        let begun = Instant::now();
        let answer: Value = serde_json::from_slice(connection.ask(&request)?)?;
        let rate = PRINTED as f64 / 1e6 / begun.elapsed().as_secs_f64();
        exact.set(exact.get() && answer["totalBytes"] == PRINTED && answer["truncated"] == true && answer["exitCode"] == 0);
        Ok(rate)
    };
    let (rate, growth) = setting.grown("print", setting.size(3, 1), run)?;
    let note = format!("{rate:.0} MB/s, totalBytes {}", if exact.get() { "exact" } else { "WRONG" });
    report.against("command that prints 100 MB, memory above idle", growth, "MiB", Target::AtMost(GROWTH), note);
    fs::remove_file(file)?;
    if exact.get() { Ok(()) } else { Err("totalBytes is wrong".into()) }
}

pub(super) fn stream(setting: &Setting, report: &mut Report) -> Result<()> {
    let file = text(setting, "stream.txt")?;
    let body = json!({ "command": "cat", "args": [file] }).to_string();
    let (wire, range) = (Cell::new(0), Cell::new((f64::INFINITY, 0.0_f64)));
    let once = |node: &Node| -> Result<f64> {
        let more = format!("content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        let request = node.target.head("POST", "/execute/stream", &more) + &body;
        let begun = Instant::now();
        let (bytes, end) = download(node, request.as_bytes())?;
        let took = begun.elapsed().as_secs_f64();
        wire.set(bytes);
        let total = find(&end, format!("\"totalBytes\":{PRINTED}").as_bytes());
        if bytes < PRINTED || total.is_none() {
            return Err(format!("the stream lost something: {}", String::from_utf8_lossy(&end)).into());
        }
        let rate = PRINTED as f64 / 1e6 / took;
        range.set((range.get().0.min(rate), range.get().1.max(rate)));
        Ok(rate)
    };
    let run = |node: &Node| Ok(load::median((0..setting.size(5, 1)).map(|_| once(node)).collect::<Result<_>>()?));
    let (rate, growth) = setting.grown("stream", setting.size(3, 1), run)?;
    let (low, high) = range.get();
    let note = format!("{low:.0} to {high:.0}; {:.0} MB on the wire; the command and the reader use the cores too", wire.get() as f64 / 1e6);
    report.against("stream of 100 MB that a command prints", rate, "MB/s", Target::AtLeast(600.0), note);
    report.against("the same, memory above idle", growth, "MiB", Target::AtMost(GROWTH), "");
    Ok(fs::remove_file(file)?)
}

/// Reads an answer to its end; how long it was, and its last bytes.
fn download(node: &Node, request: &[u8]) -> Result<(usize, Vec<u8>)> {
    const END: usize = 1024;
    let mut stream = Connection::open(node.target.address)?.stream;
    stream.write_all(request)?;
    let (mut buffer, mut end, mut bytes) = (vec![0; 256 << 10], Vec::new(), 0);
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok((bytes, end));
        }
        if bytes == 0 && !buffer.starts_with(b"HTTP/1.1 200") {
            return Err(String::from_utf8_lossy(&buffer[..read.min(700)]).into());
        }
        bytes += read;
        if read >= END {
            end.clear();
        }
        end.extend_from_slice(&buffer[read.saturating_sub(END)..read]);
        end.drain(..end.len().saturating_sub(END));
    }
}

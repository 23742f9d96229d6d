//! `kill -9` while four writers write: whatever was acknowledged is there afterwards.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::json;

use super::Setting;
use crate::{
    Result,
    report::{Report, Target},
    wire::{self, Connection},
};

const WRITERS: usize = 4;
/// Keys of each writer, which it writes in turn.
const KEYS: usize = 50;
/// More than one writer can write between two kills, so that numbers only grow.
const ROUND: u64 = 1_000_000;

/// The last number under each key that was acknowledged, and the last that was sent.
type Written = HashMap<String, (u64, u64)>;

pub(super) fn crash(setting: &Setting, report: &mut Report) -> Result<()> {
    let home = setting.home("crash")?;
    let (mut acknowledged, mut lost, mut strange) = (0, 0, 0);
    let mut written = Written::new();
    let rounds = setting.size(20, 4);
    for round in 0..rounds {
        let node = home.start()?;
        let (gone, wrong) = check(&node.target, &written)?;
        (lost, strange) = (lost + gone, strange + wrong);
        let killed = AtomicBool::new(false);
        let results = thread::scope(|scope| {
            let (target, killed) = (&node.target, &killed);
            let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(target, writer, round * ROUND, killed))).collect();
            thread::sleep(Duration::from_millis(50 + 37 * (round % 7)));
            killed.store(true, Ordering::Relaxed);
            let end = rustix::process::kill_process(node.id(), rustix::process::Signal::KILL);
            let results: Result<Vec<(u64, Written)>> =
                writers.into_iter().map(|writer| writer.join().unwrap_or_else(|_| Err("a writer panicked".into()))).collect();
            end?;
            results
        })?;
        node.kill()?;
        for (count, mine) in results {
            acknowledged += count;
            for (key, (last, sent)) in mine {
                let known = written.entry(key).or_default();
                *known = (known.0.max(last), known.1.max(sent));
            }
        }
    }
    let node = home.start()?;
    let (gone, wrong) = check(&node.target, &written)?;
    (lost, strange) = (lost + gone, strange + wrong);
    let note = format!("{acknowledged} acknowledged; values that nobody wrote: {strange}");
    let name = format!("acknowledged writes lost in {rounds} `kill -9`");
    report.against(&name, (lost + strange) as f64, "", Target::AtMost(0.0), note);
    Ok(())
}

/// Writes growing numbers until the node is gone. How many were acknowledged, and the last ones.
fn write(target: &wire::Target, writer: usize, start: u64, killed: &AtomicBool) -> Result<(u64, Written)> {
    let (mut count, mut written) = (0, Written::new());
    let mut connection = Connection::open(target.address)?;
    for number in start + 1.. {
        let key = format!("w{writer}-{}", number as usize % KEYS);
        let request = target.json("PUT", &format!("/context/{key}"), &json!({ "value": format!("{number:0>200}") }).to_string());
        let last = written.entry(key).or_insert((0, number));
        last.1 = number;
        match connection.ask(&request) {
            Ok(_) => last.0 = number,
            Err(_) if killed.load(Ordering::Relaxed) => break,
            Err(error) => return Err(error),
        }
        count += 1;
    }
    Ok((count, written))
}

/// Keys whose acknowledged number is gone, and keys with a number that was never sent.
fn check(target: &wire::Target, written: &Written) -> Result<(usize, usize)> {
    let list = target.ask_json(&target.get("/context"))?;
    let entries = list["entries"].as_array().ok_or("no list")?;
    let number = |entry: &serde_json::Value| entry["value"].as_str()?.parse::<u64>().ok();
    let there: HashMap<&str, u64> = entries.iter().filter_map(|entry| Some((entry["key"].as_str()?, number(entry)?))).collect();
    let found = |key: &String| there.get(key.as_str()).copied().unwrap_or(0);
    let lost = written.iter().filter(|(key, (acknowledged, _))| found(key) < *acknowledged).count();
    let strange = written.iter().filter(|(key, (_, sent))| found(key) > *sent).count();
    Ok((lost, strange))
}

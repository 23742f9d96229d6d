//! Values under keys.

use serde_json::json;

use super::{IDLE, Setting};
use crate::{
    Result,
    load::{self, Outcome, median},
    memory,
    report::{Report, Target},
    wire::{self, Connection},
};

/// Entries of the cases with few of them.
const FEW: usize = 1000;
/// Entries of the case with many of them.
const MANY: usize = 100_000;
/// Writers at once.
const WRITERS: usize = 8;

fn value(seed: usize) -> String {
    (0..1024).map(|n| char::from(b'a' + ((seed * 7 + n * 11 + n / 26) % 26) as u8)).collect()
}

fn key(prefix: &str, number: usize) -> String {
    format!("{prefix}-{number:06}")
}

fn puts(target: &wire::Target, prefix: &str, numbers: impl Iterator<Item = usize>, seed: usize) -> Vec<Vec<u8>> {
    numbers.map(|n| target.json("PUT", &format!("/context/{}", key(prefix, n)), &json!({ "value": value(seed + n) }).to_string())).collect()
}

fn medians(outcomes: &[Outcome], quantile: f64) -> (f64, f64) {
    (median(outcomes.iter().map(|outcome| outcome.rate).collect()), median(outcomes.iter().map(|outcome| outcome.quantile(quantile)).collect()))
}

pub(super) fn get(setting: &Setting, report: &mut Report) -> Result<()> {
    let node = setting.home("get")?.start()?;
    load::drive(&node.target, WRITERS, FEW, &puts(&node.target, "few", 0..FEW, 0))?;
    let gets: Vec<Vec<u8>> = (0..FEW).map(|n| node.target.get(&format!("/context/{}", key("few", n * 37 % FEW)))).collect();
    let total = setting.size(200_000, 20_000);
    load::drive(&node.target, 32, total / 10, &gets)?;
    let outcomes = (0..setting.size(5, 2)).map(|_| load::drive(&node.target, 32, total, &gets)).collect::<Result<Vec<_>>>()?;
    let (rate, p99) = medians(&outcomes, 0.99);
    report.against("GET of an entry of 1 KiB, 32 connections", rate, "/s", Target::AtLeast(50_000.0), "the load itself uses one of the cores");
    report.against("the same, p99", p99, "ms", Target::AtMost(3.0), "");
    Ok(())
}

pub(super) fn put(setting: &Setting, report: &mut Report) -> Result<()> {
    let node = setting.home("put")?.start()?;
    load::drive(&node.target, WRITERS, 100, &puts(&node.target, "warm", 0..100, 0))?;
    let round = |round: usize| load::drive(&node.target, WRITERS, FEW, &puts(&node.target, &format!("r{round}"), 0..FEW, round));
    let outcomes = (0..setting.size(9, 3)).map(round).collect::<Result<Vec<_>>>()?;
    let (rate, p50) = medians(&outcomes, 0.5);
    report.against("PUT of 1,000 entries of 1 KiB, 8 writers", rate, "/s", Target::AtLeast(3000.0), format!("p50 {p50:.2} ms"));
    Ok(())
}

pub(super) fn put_among_many(setting: &Setting, report: &mut Report) -> Result<()> {
    let home = setting.home("put-many")?;
    let node = home.start()?;
    let many = setting.size(MANY, MANY / 10);
    for start in (0..many).step_by(FEW) {
        let entry = |n| json!({ "key": key("many", n), "value": value(n), "fromNodeId": "bench", "createdAt": 1, "updatedAt": 1 });
        let entries: Vec<serde_json::Value> = (start..start + FEW).map(entry).collect();
        node.target.ask(&node.target.json("POST", "/context", &json!({ "entries": entries }).to_string()))?;
    }
    std::thread::sleep(IDLE);
    let held = memory::resident(node.pid())?;
    let round = |round: usize| {
        let numbers = (0..FEW).map(|n| (n * 97 + round * 31) % many);
        load::drive(&node.target, WRITERS, FEW, &puts(&node.target, "many", numbers, round))
    };
    let outcomes = (0..setting.size(9, 3)).map(round).collect::<Result<Vec<_>>>()?;
    let (rate, p50) = medians(&outcomes, 0.5);
    let name = format!("the same among {} entries", crate::report::number(many as f64));
    report.against(&name, rate, "/s", Target::AtLeast(3000.0), format!("p50 {p50:.2} ms; {held:.0} MiB resident"));
    node.kill()?;
    let node = home.start()?;
    report.told("start with them, after kill -9", node.started_in.as_secs_f64() * 1000.0, "ms", "");
    node.stop()
}

pub(super) fn list(setting: &Setting, report: &mut Report) -> Result<()> {
    let node = setting.home("list")?.start()?;
    load::drive(&node.target, WRITERS, FEW, &puts(&node.target, "few", 0..FEW, 0))?;
    let mut connection = Connection::open(node.target.address)?;
    let request = node.target.get("/context");
    let mut times = Vec::new();
    let mut bytes = 0;
    for _ in 0..setting.size(500, 100) {
        let begun = std::time::Instant::now();
        bytes = connection.ask(&request)?.len();
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    report.against("list of 1,000 entries of 1 KiB, p50", median(times), "ms", Target::AtMost(1.0), format!("{} KiB of JSON", bytes / 1024));
    Ok(())
}

//! Events of tasks on their way to those who look, and answers on their way to agents.

use std::{
    fs::File,
    io::Write,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{IDLE, Setting};
use crate::{
    Result,
    agent::{self, BEGINS, READY, piece, time_in},
    cpu,
    events::{Event, Events},
    load::{median, quantile},
    memory,
    node::{Home, Node},
    report::{Report, Target},
    wire::{Connection, Target as Wire},
};

/// Events of a task that many look at.
const EVENTS: usize = 20_000;
/// Those who look.
const SUBSCRIBERS: usize = 20;
/// Events that pass while one of them does not read.
const PASSING: usize = 200_000;
/// A part of the event by which an agent says that it waits.
const WAITS: &[u8] = b"\"data\":\"ready\"";
/// A task that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) fn events(setting: &Setting, report: &mut Report) -> Result<()> {
    let (mut live, mut again, mut disk, mut work) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let count = setting.size(EVENTS, EVENTS / 4);
    for round in 0..setting.size(7, 3) {
        let home = home(setting, &format!("task-events-{round}"), "")?;
        let node = home.start()?;
        let task = dispatch(&node, &format!("burst {count}"))?;
        let mut events = Events::of(&node.target, &task)?;
        events.until(WAITS)?;
        let before = cpu::used(node.pid())?;
        tell_to_go(&node.target, &task)?;
        events.finish()?;
        work.push((cpu::used(node.pid())? - before) * 1e6 / count as f64);
        live.push(together(&[events], count, None)?);
        again.push(replay(&node, &task, count)?);
        node.stop()?;
        let node = home.start()?;
        disk.push(replay(&node, &task, count)?);
        node.stop()?;
    }
    let note = format!("{count} events while they happen, {:.1} us of the node's processor for each; {}", median(work), spread(&live));
    report.against("events of a task to one subscriber", median(live), "/s", Target::AtLeast(200_000.0), note);
    let note = format!("from the files and from memory; {}", spread(&again));
    report.against("the same once it has ended", median(again), "/s", Target::AtLeast(200_000.0), note);
    let note = format!("from the files; {}", spread(&disk));
    report.against("the same after a restart", median(disk), "/s", Target::AtLeast(200_000.0), note);
    Ok(())
}

pub(super) fn fan_out(setting: &Setting, report: &mut Report) -> Result<()> {
    let count = setting.size(EVENTS, EVENTS / 4);
    let (mut live, mut again, mut work) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..setting.size(7, 3) {
        let node = home(setting, &format!("task-fan-out-{round}"), "")?.start()?;
        let task = dispatch(&node, &format!("burst {count}"))?;
        let subscribers = || (0..SUBSCRIBERS).map(|_| Events::of(&node.target, &task)).collect::<Result<Vec<_>>>();
        let mut all = subscribers()?;
        all.iter_mut().try_for_each(|events| events.until(WAITS))?;
        let before = cpu::used(node.pid())?;
        tell_to_go(&node.target, &task)?;
        Events::finish_all(&mut all)?;
        work.push((cpu::used(node.pid())? - before) * 1e6 / (SUBSCRIBERS * count) as f64);
        live.push(together(&all, count, None)?);
        let since = Instant::now();
        let mut all = subscribers()?;
        Events::finish_all(&mut all)?;
        again.push(together(&all, count, Some(since))?);
        node.stop()?;
    }
    let note = format!("{SUBSCRIBERS} of them, each had all {count} in order; {:.2} us of the node's processor for each; {}", median(work), spread(&live));
    report.against("events of a task to many subscribers, in all", median(live), "/s", Target::AtLeast(1_000_000.0), note);
    let note = spread(&again);
    report.against("the same once it has ended", median(again), "/s", Target::AtLeast(1_000_000.0), note);
    Ok(())
}

/// Events a second of all subscribers together: from the time at which the agent began with them, or from the given one, until the last has the last.
fn together(all: &[Events], count: usize, since: Option<Instant>) -> Result<f64> {
    let clock = Clock::now();
    let (mut begun, mut last) = (u64::MAX, 0);
    for events in all {
        let (first, end) = complete(events, count)?;
        (begun, last) = (begun.min(first), last.max(clock.at(end)));
    }
    let begun = since.map_or(begun, |since| clock.at(since));
    Ok((all.len() * count) as f64 * 1e9 / last.saturating_sub(begun) as f64)
}

pub(super) fn stalled(setting: &Setting, report: &mut Report) -> Result<()> {
    let count = setting.size(PASSING, PASSING / 4);
    let mut without = Vec::new();
    let mut with = Vec::new();
    for round in 0..setting.size(3, 1) {
        without.push(stall(setting, &format!("task-alone-{round}"), "", count, false)?.0);
        with.push(stall(setting, &format!("task-stalled-{round}"), "", count, true)?);
    }
    let kept = with.iter().all(|(_, _, missing)| *missing == 0);
    if !kept {
        return Err("a subscriber that read on missed events, though all are kept".into());
    }
    let alone = median(without);
    let (stopped, read_on) = (median(with.iter().map(|all| all.0).collect()), median(with.iter().map(|all| all.1).collect()));
    let note = format!("{count} events passed; with nobody there the node grows by {alone:.1} MiB, with this one by {stopped:.1}");
    report.against("a subscriber that does not read", stopped - alone, "MiB", Target::AtMost(4.0), note);
    let note = format!("it had all events in order; the node's peak was {read_on:.1} MiB above idle");
    report.told("the same when it reads on", read_on - alone, "MiB", note);
    let (grown, _, missing) = stall(setting, "task-full", ", maxEventBytes: 1048576", count, true)?;
    if missing == 0 {
        return Err("the log did not become full".into());
    }
    let note = format!("the log holds 1 MiB; {missing} events were gone, and the subscriber was told exactly which; the node grew by {grown:.1} MiB");
    // Each event that is not there was told, or the case had failed.
    report.against("events missed by a subscriber that reads on, and not told", 0.0, "", Target::AtMost(0.0), note);
    Ok(())
}

/// Lets many events pass, with or without a subscriber who stops reading. Gives by how many MiB the node grew until they had passed, and until the subscriber had
/// read on to the end, and how many events it missed and was told of.
fn stall(setting: &Setting, name: &str, more: &str, count: usize, subscribe: bool) -> Result<(f64, f64, usize)> {
    let node = home(setting, name, more)?.start()?;
    let task = dispatch(&node, &format!("burst {count}"))?;
    let mut events = Events::of(&node.target, &task)?;
    events.until(WAITS)?;
    let mut events = Some(events).filter(|_| subscribe);
    std::thread::sleep(IDLE);
    memory::forget_peak(node.pid())?;
    let idle = memory::resident(node.pid())?;
    tell_to_go(&node.target, &task)?;
    wait_for_end(&node.target, &task)?;
    let grown = memory::peak(node.pid())? - idle;
    let missing = match &mut events {
        Some(events) => {
            events.finish()?;
            told_missing(&events.all()?)?
        }
        None => 0,
    };
    let read_on = memory::peak(node.pid())? - idle;
    node.stop()?;
    Ok((grown, read_on, missing))
}

pub(super) fn latency(setting: &Setting, report: &mut Report) -> Result<()> {
    let count = setting.size(2_000, 300);
    let node = home(setting, "task-latency", "")?.start()?;
    let task = dispatch(&node, &format!("paced {count} 2000"))?;
    let mut events = Events::of(&node.target, &task)?;
    events.until(WAITS)?;
    tell_to_go(&node.target, &task)?;
    events.finish()?;
    let clock = Clock::now();
    let all = events.all()?;
    let written = all.iter().filter_map(|event| Some((event, event.text()?.strip_prefix("written at")?)));
    let mut times: Vec<f64> = written.filter_map(|(event, text)| Some(clock.at(event.at).saturating_sub(time_in(text)?) as f64 / 1e6)).collect();
    node.stop()?;
    if times.len() != count {
        return Err(format!("{} of {count} events came", times.len()).into());
    }
    times.sort_unstable_by(f64::total_cmp);
    let note = format!("{count} events, one every 2 ms; p50 {:.2} ms, most {:.1} ms", quantile(&times, 0.5), quantile(&times, 1.0));
    report.against("an event at the agent until a subscriber has it, p99", quantile(&times, 0.99), "ms", Target::AtMost(5.0), note);
    Ok(())
}

pub(super) fn decisions(setting: &Setting, report: &mut Report) -> Result<()> {
    let count = setting.size(500, 100);
    let node = home(setting, "task-decisions", "")?.start()?;
    let task = dispatch(&node, &format!("asks {count}"))?;
    let mut events = Events::of(&node.target, &task)?;
    events.until(WAITS)?;
    tell_to_go(&node.target, &task)?;
    let mut connection = Connection::open(node.target.address)?;
    let (mut asked, mut times, mut answers, mut syncs) = (0, Vec::new(), Vec::new(), Vec::new());
    let mut disk = File::create(setting.dir.path().join("decisions"))?;
    while times.len() < count {
        if !events.read()? {
            return Err(format!("the task ended after {} of {count} decisions", times.len()).into());
        }
        for event in events.take()? {
            if event.json["type"] == "permission_request" {
                let (id, hash) = (event.json["data"]["id"].as_str().unwrap_or_default(), &event.json["data"]["sha256"]);
                let body = json!({ "id": id, "sha256": hash, "decision": "allow" });
                let request = node.target.json("POST", &format!("/approvals/{id}"), &body.to_string());
                // What the disk alone takes just then: no decision is quicker than that.
                let begun = Instant::now();
                disk.write_all(&[7; 4096])?;
                disk.sync_data()?;
                syncs.push(begun.elapsed().as_secs_f64() * 1000.0);
                asked = agent::now();
                connection.ask(&request)?;
                answers.push((agent::now() - asked) as f64 / 1e6);
            } else if let Some(at) = event.text().and_then(|text| time_in(text.strip_prefix("allowed at")?)) {
                times.push(at.saturating_sub(asked) as f64 / 1e6);
            }
        }
    }
    wait_for_end(&node.target, &task)?;
    node.stop()?;
    times.sort_unstable_by(f64::total_cmp);
    syncs.sort_unstable_by(f64::total_cmp);
    let note = format!(
        "{count} decisions, each on disk before the agent has it; p50 {:.2} ms, most {:.1} ms; the disk alone: p50 {:.2} ms, p99 {:.2} ms; the person is \
         answered after {:.2} ms (p50)",
        quantile(&times, 0.5),
        quantile(&times, 1.0),
        quantile(&syncs, 0.5),
        quantile(&syncs, 0.99),
        median(answers)
    );
    report.against("a decision until the agent has it, p99", quantile(&times, 0.99), "ms", Target::AtMost(5.0), note);
    Ok(())
}

fn home(setting: &Setting, name: &str, more: &str) -> Result<Home> {
    let home = setting.home(name)?;
    agent::install(&home, more)?;
    Ok(home)
}

/// Starts a task and gives its id.
fn dispatch(node: &Node, prompt: &str) -> Result<String> {
    let body = json!({ "prompt": prompt, "agent": "claude" });
    let task = node.target.ask_json(&node.target.json("POST", "/ai-tasks", &body.to_string()))?;
    Ok(task["taskId"].as_str().ok_or("a task without an id")?.to_owned())
}

fn tell_to_go(target: &Wire, task: &str) -> Result<()> {
    target.ask(&target.json("POST", &format!("/ai-tasks/{task}/message"), r#"{"text":"go"}"#)).map(drop)
}

fn wait_for_end(target: &Wire, task: &str) -> Result<()> {
    let (request, begun) = (target.get(&format!("/ai-tasks/{task}")), Instant::now());
    let mut connection = Connection::open(target.address)?;
    while begun.elapsed() < PATIENCE {
        let info: Value = serde_json::from_slice(connection.ask(&request)?)?;
        match info["status"].as_str() {
            Some("completed") => return Ok(()),
            Some("failed" | "cancelled") => return Err(format!("the task failed: {info}").into()),
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    Err("the task does not end".into())
}

/// Reads a task that has ended, and gives the events a second.
fn replay(node: &Node, task: &str, count: usize) -> Result<f64> {
    let since = Instant::now();
    let mut events = Events::of(&node.target, task)?;
    events.finish()?;
    together(&[events], count, Some(since))
}

/// When the agent began and when the last piece was here, once it is sure that all events are there, each once and in order.
fn complete(events: &Events, count: usize) -> Result<(u64, Instant)> {
    let all = events.all()?;
    if let Some((place, event)) = all.iter().filter(|event| event.id > 0).enumerate().find(|(place, event)| event.id != *place as u64 + 1) {
        return Err(format!("the event at place {} has the number {}", place + 1, event.id).into());
    }
    let texts = all.iter().filter_map(|event| Some((event.text()?, event.at))).filter(|(text, _)| *text != READY);
    let (begins, pieces): (Vec<_>, Vec<_>) = texts.partition(|(text, _)| text.starts_with(BEGINS));
    let begun = begins.first().and_then(|(text, _)| time_in(text)).ok_or("the agent did not say when it began")?;
    if let Some((place, (text, _))) = pieces.iter().enumerate().find(|(place, (text, _))| *text != piece(*place)) {
        return Err(format!("at the place of piece {place} is {text:?}").into());
    }
    if pieces.len() != count {
        return Err(format!("{} of {count} pieces came; the last event was {:?}", pieces.len(), all.last()).into());
    }
    Ok((begun, pieces.last().map(|(_, at)| *at).ok_or("no pieces")?))
}

/// How many events of a stream were said to be gone. Every one that is not there must have been.
fn told_missing(all: &[Event]) -> Result<usize> {
    let (mut next, mut missing) = (1, 0);
    for event in all {
        if event.json["data"]["subtype"] == "gap" {
            let (from, to) = (event.json["data"]["from"].as_u64().unwrap_or_default(), event.json["data"]["to"].as_u64().unwrap_or_default());
            if from != next || to < from {
                return Err(format!("a gap from {from} to {to} where {next} comes next").into());
            }
            (next, missing) = (to + 1, missing + (to - from + 1) as usize);
        } else if event.id > 0 {
            if event.id != next {
                return Err(format!("event {} came where {next} comes next, and nobody said so", event.id).into());
            }
            next += 1;
        }
    }
    if all.iter().rev().all(|event| event.json["type"] != "exit") {
        return Err("the end of the task did not come".into());
    }
    Ok(missing)
}

/// One moment on both clocks: the one of the reads, and the one that the agent writes.
struct Clock {
    reads: Instant,
    agent: u64,
}

impl Clock {
    fn now() -> Self {
        Self { reads: Instant::now(), agent: agent::now() }
    }

    /// A moment in the past on the agent's clock.
    fn at(&self, moment: Instant) -> u64 {
        self.agent - (self.reads - moment).as_nanos() as u64
    }
}

fn spread(values: &[f64]) -> String {
    let (least, most) = values.iter().fold((f64::INFINITY, 0.0_f64), |(least, most), value| (least.min(*value), most.max(*value)));
    format!("{} rounds, {:.0} to {:.0} thousand", values.len(), least / 1e3, most / 1e3)
}

//! The driver against recorded conversations of the real programs, and against anything at all.
//!
//! A recording has one thing in each line: `> ` what we sent, `< ` what the agent sent, `= ` what was done with the driver. It is made with
//! [`record`], which runs the real program.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use loopsy_shared::{
    api::{
        ai_tasks::PermissionMode,
        approvals::{ApprovalKind, Decision},
    },
    secret::Secret,
    time::Millis,
};
use proptest::prelude::*;

use super::*;
use crate::agents::{
    driver::{Ask, NewEvent},
    opencode,
};

fn decided(decision: Decision) -> Decided {
    Decided {
        decision,
        by: "owner".to_owned(),
        at: Millis::default(),
        reason: None,
        input: None,
        suggestion: None,
        answers: BTreeMap::new(),
        delivered: false,
    }
}

fn driver(agent: &str, start: Start) -> Acp {
    match agent {
        "gemini" => Acp::new(Profile::gemini(), start),
        "opencode" => {
            let shell = std::env::var("RECORD_SHELL").unwrap_or_else(|_| "/bin/bash".to_owned());
            opencode::driver(start, opencode::Guard { password: Secret::new("not-a-secret"), shell })
        }
        other => Acp::new(Profile::other(other, &[]), start),
    }
}

/// What a driver did in a conversation.
#[derive(Default)]
struct Seen {
    sent: Vec<String>,
    events: Vec<NewEvent>,
    asks: Vec<Ask>,
    withdrawn: Vec<String>,
    turns: Vec<Turn>,
    session: Option<String>,
    closed: bool,
}

impl Seen {
    fn take(&mut self, steps: Steps) {
        for step in steps {
            match step {
                Step::Send(line) => self.sent.push(line),
                Step::Close => self.closed = true,
                Step::Event(event) => self.events.push(event),
                Step::Ask(ask) => self.asks.push(*ask),
                Step::Withdraw { key, .. } => self.withdrawn.push(key),
                Step::Known { session, .. } => self.session = session.or(self.session.take()),
                Step::Turn(turn) => self.turns.push(turn),
            }
        }
    }

    fn data(&self, kind: TaskEventKind) -> Vec<&Value> {
        self.events.iter().filter(|event| event.kind == kind).map(|event| &event.data).collect()
    }

    fn text(&self) -> String {
        self.data(TaskEventKind::Text).iter().filter_map(|data| data.as_str()).collect()
    }

    fn raws(&self) -> Vec<&Value> {
        self.data(TaskEventKind::System).into_iter().filter(|data| data["subtype"] == "raw").collect()
    }
}

/// Does what a line of a recording says, `= ` cut off.
fn act(driver: &mut Acp, what: &str) -> Steps {
    let (verb, rest) = what.split_once(' ').unwrap_or((what, ""));
    match verb {
        "start" => driver.start(),
        "allow" => driver.answer(rest, &decided(Decision::Allow)),
        "always" => driver.answer(rest, &decided(Decision::Always)),
        "deny" => driver.answer(rest, &decided(Decision::Deny)),
        "stop" => driver.answer(rest, &decided(Decision::Stop)),
        "say" => driver.follow_up(rest),
        "interrupt" => driver.interrupt(),
        "finish" => driver.finish(),
        other => panic!("what is `{other}`?"),
    }
}

/// Plays a recording, and requires that the driver says again what it said.
fn replay(agent: &str, recording: &str, resume: bool, mode: PermissionMode) -> Seen {
    let session = resume.then(|| {
        let line = recording.lines().find(|line| line.contains("session/resume") || line.contains("session/load")).expect("a session");
        let sent: Value = serde_json::from_str(&line[2..]).expect("json");
        sent["params"]["sessionId"].as_str().expect("an id").to_owned()
    });
    let cwd = "/tmp/loopsy-recording/work".to_owned();
    let mut driver = driver(agent, Start { prompt: "make the file".to_owned(), cwd, permission_mode: mode, resume: session, ..Start::default() });
    let mut seen = Seen::default();
    let mut said = Vec::new();
    for line in recording.lines() {
        match line.split_at(2) {
            ("= ", what) => seen.take(act(&mut driver, what)),
            ("< ", heard) => seen.take(driver.heard(heard)),
            ("> ", sent) => said.push(sent.to_owned()),
            _ => panic!("a recording has no such line: {line}"),
        }
    }
    let own = |lines: &[String]| lines.iter().map(|line| serde_json::from_str::<Value>(line).expect("json")).map(without_version).collect::<Vec<_>>();
    assert_eq!(own(&seen.sent), own(&said), "the driver says something else than it did");
    assert_eq!(seen.raws(), Vec::<&Value>::new(), "something is not understood");
    seen
}

/// Our own version changes.
fn without_version(mut value: Value) -> Value {
    if let Some(client) = value.pointer_mut("/params/clientInfo") {
        client["version"] = Value::Null;
    }
    value
}

/// Runs a real program and records it. `RECORD_AGENT`, `RECORD_OUT`, `RECORD_PLAN` (`allow`, `deny`, `stop`, `always`, `interrupt`, `say`, `resume`), `RECORD_MODE`.
#[test]
#[ignore = "runs an agent that is installed; see the module"]
fn record() {
    let var = |name: &str| std::env::var(name).unwrap_or_default();
    let (agent, plan, out) = (var("RECORD_AGENT"), var("RECORD_PLAN"), var("RECORD_OUT"));
    let keep = format!("{out}.session");
    let resume = (plan == "resume").then(|| std::fs::read_to_string(&keep).expect("a session to resume"));
    let permission_mode = serde_json::from_value(Value::String(var("RECORD_MODE"))).unwrap_or_default();
    let cwd = std::env::current_dir().expect("a directory").to_str().expect("text").to_owned();
    let mut driver = driver(&agent, Start { prompt: "make the file".to_owned(), cwd, permission_mode, resume, ..Start::default() });
    let launch = driver.launch();
    let mut child = Command::new(&agent).args(&launch.args).envs(launch.env).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
    let mut stdin = child.stdin.take();
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut recording = Vec::new();
    let (mut seen, mut todo, mut once) = (Seen::default(), vec!["start".to_owned()], true);
    loop {
        while !todo.is_empty() {
            let what = todo.remove(0);
            recording.push(format!("= {what}"));
            let mut now = Seen::default();
            now.take(act(&mut driver, &what));
            for line in &now.sent {
                recording.push(format!("> {line}"));
                writeln!(stdin.as_mut().expect("open"), "{line}").expect("written");
            }
            if now.closed {
                stdin = None;
            }
        }
        let Some(Ok(line)) = lines.next() else { break };
        recording.push(format!("< {line}"));
        let mut now = Seen::default();
        now.take(driver.heard(&line));
        for line in &now.sent {
            recording.push(format!("> {line}"));
            writeln!(stdin.as_mut().expect("open"), "{line}").expect("written");
        }
        for ask in &now.asks {
            let decision = if matches!(plan.as_str(), "deny" | "stop" | "always") { plan.as_str() } else { "allow" };
            todo.push(format!("{decision} {}", ask.key));
        }
        if !now.text().is_empty() && std::mem::take(&mut once) {
            match plan.as_str() {
                "interrupt" => todo.push("interrupt".to_owned()),
                "say" => todo.push("say and one more".to_owned()),
                _ => once = false,
            }
        }
        if !now.turns.is_empty() {
            todo.push("finish".to_owned());
        }
        if let Some(session) = now.session.take() {
            seen.session = Some(session);
        }
    }
    let status = child.wait().expect("ended");
    std::fs::write(&keep, seen.session.expect("a session")).expect("written");
    let recorded: String = recording.into_iter().map(|line| line + "\n").collect();
    std::fs::write(&out, recorded).expect("written");
    eprintln!("{agent} {plan}: {status}");
}

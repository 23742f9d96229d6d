//! Conversations with agents: recorded with the real programs, and run through a driver again.
//!
//! A transcript is a file of JSON lines: `{"call": ..}` is what was asked of the driver, `{"sent": ..}` and `{"heard": ..}` are the lines to and from the agent.
//! How one is recorded: docs of [`record`].

use std::{
    collections::VecDeque,
    fmt::Write as _,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use loopsy_shared::api::{
    ai_tasks::PermissionMode,
    approvals::{ApprovalKind, Decided, Decision},
};
use serde_json::{Value, json};

use super::{
    claude::Claude,
    codex::Codex,
    driver::{Ask, Driver, Start, Step, Steps, Wire},
};

/// An answer of a person.
pub(super) fn decided(decision: Decision) -> Decided {
    Decided {
        decision,
        by: "test".to_owned(),
        at: Default::default(),
        reason: None,
        input: None,
        suggestion: None,
        answers: Default::default(),
        delivered: false,
    }
}

/// A driver by the name of its agent.
fn driver(agent: &str, start: Start) -> Box<dyn Driver> {
    match agent {
        "claude" => Box::new(Claude::new(start)),
        "codex" => Box::new(Codex::new(start)),
        other => panic!("no driver for {other}"),
    }
}

/// What a script begins a run with.
fn start(script: &Value) -> Start {
    let text = |name: &str| script[name].as_str().map(str::to_owned);
    let words = |name: &str| script[name].as_array().into_iter().flatten().map(|word| word.as_str().expect("a word").to_owned()).collect();
    Start {
        prompt: text("prompt").unwrap_or_default(),
        cwd: text("cwd").unwrap_or_else(|| "/tmp/project".to_owned()),
        model: text("model"),
        permission_mode: serde_json::from_value::<Option<PermissionMode>>(script["mode"].clone()).expect("a mode").unwrap_or_default(),
        allowed_tools: words("allowed"),
        disallowed_tools: words("disallowed"),
        additional_args: words("args"),
        max_budget_usd: script["budget"].as_f64(),
        resume: text("resume"),
        hook: script["hook"].is_array().then(|| words("hook")),
        interactive: script["interactive"].as_bool().unwrap_or(false),
        park: script["park"].as_bool().unwrap_or(false),
    }
}

/// A word of a script as an answer.
fn answer(word: &str, ask: &Ask) -> Decided {
    match word.split_once(':').unwrap_or((word, "")) {
        ("allow", _) if ask.kind == ApprovalKind::Question => {
            let first = |options: &[loopsy_shared::api::approvals::Choice]| options.first().map_or_else(|| "any".to_owned(), |option| option.label.clone());
            let answers = ask.questions.iter().map(|question| (question.id.clone(), vec![first(&question.options)])).collect();
            Decided { answers, ..decided(Decision::Allow) }
        }
        ("allow", _) => decided(Decision::Allow),
        ("always", place) => Decided { suggestion: Some(place.parse().expect("a place")), ..decided(Decision::Always) },
        ("edit", json) => Decided { input: Some(serde_json::from_str(json).expect("JSON")), ..decided(Decision::Allow) },
        ("deny", reason) => Decided { reason: Some(reason.to_owned()).filter(|reason| !reason.is_empty()), ..decided(Decision::Deny) },
        ("stop", _) => decided(Decision::Stop),
        other => panic!("{other:?} is no answer"),
    }
}

/// Carries out a call of a transcript.
fn call(driver: &mut dyn Driver, call: &Value) -> Steps {
    match call["do"].as_str().expect("a call") {
        "start" => driver.start(),
        "answer" => driver.answer(call["key"].as_str().expect("a key"), &serde_json::from_value(call["with"].clone()).expect("an answer")),
        "follow_up" => driver.follow_up(call["text"].as_str().expect("a text")),
        "interrupt" => driver.interrupt(),
        "finish" => driver.finish(),
        other => panic!("{other} is no call"),
    }
}

/// Runs a transcript through its driver, checks that the driver sends what was sent then, and gives the steps as they were taken.
pub(super) fn replay(transcript: &str) -> Steps {
    let mut lines = transcript.lines();
    let script: Value = serde_json::from_str(lines.next().expect("a script")).expect("JSON");
    let mut driver = driver(script["agent"].as_str().expect("an agent"), start(&script));
    assert_eq!(json!(driver.launch().args), script["argv"], "other arguments than were tried");
    let (mut all, mut sent, mut ids) = (Steps::new(), VecDeque::<String>::new(), Vec::<(String, String)>::new());
    for line in lines {
        let mut entry: Value = serde_json::from_str(line).expect("JSON");
        if let Some(line) = entry["sent"].as_str() {
            let mut expected: Value = serde_json::from_str(line).expect("JSON");
            let mut actual: Value = serde_json::from_str(&sent.pop_front().unwrap_or_else(|| panic!("not sent: {line}"))).expect("JSON");
            // Ids of messages are random.
            if let (Some(old), Some(new)) = (expected["uuid"].as_str(), actual["uuid"].as_str()) {
                ids.push((old.to_owned(), new.to_owned()));
                actual["uuid"] = old.into();
            }
            // Our version is of no account.
            for line in [&mut actual, &mut expected] {
                if let Some(version) = line.pointer_mut("/params/clientInfo/version") {
                    version.take();
                }
            }
            assert_eq!(actual, expected, "something else was sent");
            continue;
        }
        let steps = match entry["heard"].take() {
            Value::String(line) => driver.heard(&ids.iter().fold(line, |line, (old, new)| line.replace(old, new))),
            _ => call(driver.as_mut(), &entry["call"]),
        };
        sent.extend(steps.iter().filter_map(|step| match step {
            Step::Send(line) => Some(line.clone()),
            _ => None,
        }));
        all.extend(steps);
    }
    assert_eq!(sent, Vec::<String>::new(), "more was sent than then");
    all
}

/// Steps as lines that a person can read. What was sent is left out: [`replay`] has compared it.
pub(super) fn readable(steps: &Steps) -> String {
    let mut out = String::new();
    let mut open: Option<(String, String)> = None;
    for step in steps {
        let piece = match step {
            Step::Event(event) if event.block.is_some() => {
                Some((format!("{:?}[{}]", event.kind, event.block.unwrap_or_default()), event.data.as_str().unwrap_or("?")))
            }
            Step::Send(_) => continue,
            _ => None,
        };
        // Pieces of a block, with bars between them.
        if let (Some((name, text)), Some((before, line))) = (&piece, &mut open)
            && name == before
        {
            line.push('|');
            line.push_str(text);
            continue;
        }
        if let Some((name, line)) = open.take() {
            writeln!(out, "{name} {line:?}").expect("a string");
        }
        match (piece, step) {
            (Some((name, text)), _) => open = Some((name, text.to_owned())),
            (None, Step::Event(event)) => writeln!(out, "{:?} {}", event.kind, event.data).expect("a string"),
            (None, Step::Ask(ask)) => writeln!(out, "{ask:#?}").expect("a string"),
            (None, step) => writeln!(out, "{step:?}").expect("a string"),
        }
    }
    if let Some((name, line)) = open {
        writeln!(out, "{name} {line:?}").expect("a string");
    }
    out
}

/// All text of one block, put together.
pub(super) fn said(steps: &Steps, block: u64) -> String {
    let piece = |step: &Step| match step {
        Step::Event(event) if event.block == Some(block) => event.data.as_str().map(str::to_owned),
        _ => None,
    };
    steps.iter().filter_map(piece).collect()
}

/// Records a conversation with a real agent. `LOOPSY_RECORD` is a script: one JSON object with `agent`, `out` (the file), what the run begins with (`prompt`,
/// `mode`, `resume`, ..), `answers` (one word a question, the last one again for further ones), `interrupt_at` and `say_at` (number of the piece of text after
/// which it is interrupted, or something more is said) and `more` (what is said in further turns). It is run beside a scripted model, without a network.
#[test]
#[ignore = "needs a real agent"]
fn record() {
    let script: Value = serde_json::from_str(&std::env::var("LOOPSY_RECORD").expect("a script")).expect("JSON");
    let mut out = std::fs::File::create(script["out"].as_str().expect("a file")).expect("a file");
    let mut note = |entry: Value| writeln!(out, "{entry}").expect("the transcript is written");
    let agent = script["agent"].as_str().expect("an agent");
    let mut driver = driver(agent, start(&script));
    let launch = driver.launch();
    assert_eq!(launch.wire, Wire::Lines);
    let mut head = script.clone();
    head["argv"] = json!(launch.args);
    note(head);
    let mut child =
        Command::new(agent).args(&launch.args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("the agent starts");
    let mut input = child.stdin.take();
    let mut heard = BufReader::new(child.stdout.take().expect("its output")).lines();
    let words = |name: &str| script[name].as_array().into_iter().flatten().map(|word| word.as_str().expect("a word").to_owned()).collect::<VecDeque<_>>();
    let (mut answers, mut more, mut pieces) = (words("answers"), words("more"), 0);
    let mut calls = VecDeque::from([json!({"do": "start"})]);
    loop {
        let steps = match calls.pop_front() {
            Some(entry) => {
                note(json!({"call": entry}));
                call(driver.as_mut(), &entry)
            }
            None => {
                let Some(line) = heard.next() else { break };
                let line = line.expect("a line");
                note(json!({"heard": line}));
                driver.heard(&line)
            }
        };
        for step in steps {
            match step {
                Step::Send(line) => {
                    note(json!({"sent": line}));
                    writeln!(input.as_mut().expect("its input is open"), "{line}").expect("it listens");
                }
                Step::Close => input = None,
                Step::Ask(ask) => {
                    let word = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }.expect("an answer");
                    match word.as_str() {
                        "interrupt" => calls.push_back(json!({"do": "interrupt"})),
                        word => calls.push_back(json!({"do": "answer", "key": ask.key, "with": answer(word, &ask)})),
                    }
                }
                Step::Turn(_) => calls.push_back(more.pop_front().map_or_else(|| json!({"do": "finish"}), |text| json!({"do": "follow_up", "text": text}))),
                Step::Event(event) if event.block.is_some() => {
                    pieces += 1;
                    if script["interrupt_at"] == json!(pieces) {
                        calls.push_back(json!({"do": "interrupt"}));
                    }
                    if script["say_at"] == json!(pieces) {
                        calls.push_back(json!({"do": "follow_up", "text": "and this"}));
                    }
                }
                _ => {}
            }
        }
    }
    child.wait().expect("the agent ends");
}

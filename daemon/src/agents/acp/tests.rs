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
    Decided { decision, by: "owner".to_owned(), at: Millis::default(), reason: None, input: None, suggestion: None, answers: BTreeMap::new(), delivered: false }
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

macro_rules! recording {
    ($name:literal) => {
        include_str!(concat!("../fixtures/", $name))
    };
}

#[test]
fn gemini_asks_for_a_command_with_the_whole_command_line() {
    let seen = replay("gemini", recording!("gemini-0.61.0/shell"), false, PermissionMode::Default);
    let [ask] = seen.asks.as_slice() else { panic!("one question: {:?}", seen.asks) };
    assert_eq!((ask.tool.as_str(), &ask.input["command"], ask.kind), ("run_shell_command", &json!("echo hi > made.txt"), ApprovalKind::Tool));
    assert!(ask.suggestions.iter().any(|suggestion| suggestion.label == "Allow for this session"));
    assert_eq!(seen.text(), "I will run a command.All done (mock).");
    assert_eq!((seen.data(TaskEventKind::ToolUse).len(), seen.data(TaskEventKind::ToolResult).len()), (1, 1));
    assert_eq!(seen.turns.iter().map(|turn| &turn.outcome).collect::<Vec<_>>(), [&Outcome::Done]);
    assert_eq!((seen.turns[0].usage.input_tokens, seen.turns[0].usage.output_tokens), (20, 10));
    assert!(seen.closed && seen.session.is_some());
}

#[test]
fn gemini_shows_an_edit_as_a_diff() {
    let seen = replay("gemini", recording!("gemini-0.61.0/edit"), false, PermissionMode::Default);
    assert_eq!(seen.asks.iter().map(|ask| ask.tool.as_str()).collect::<Vec<_>>(), ["write_file", "replace"]);
    assert_eq!(seen.asks[1].input["content"][0]["newText"], "first line\nchanged line\n");
    let uses = seen.data(TaskEventKind::ToolUse);
    assert!(uses[1]["diff"].as_str().expect("a diff").contains("-second line\n+changed line\n"), "{uses:?}");
}

#[test]
fn gemini_goes_on_after_a_no_and_asks_one_after_another() {
    let seen = replay("gemini", recording!("gemini-0.61.0/denied"), false, PermissionMode::Default);
    assert_eq!((seen.asks.len(), &seen.turns[0].outcome), (1, &Outcome::Done));
    let seen = replay("gemini", recording!("gemini-0.61.0/parallel"), false, PermissionMode::Default);
    assert_eq!((seen.asks.len(), seen.turns.len()), (2, 1));
}

#[test]
fn gemini_tells_what_its_model_refused_and_that_it_was_interrupted() {
    let seen = replay("gemini", recording!("gemini-0.61.0/refused"), false, PermissionMode::Default);
    assert!(matches!(&seen.turns[0].outcome, Outcome::Failed(why) if !why.is_empty()), "{:?}", seen.turns);
    let seen = replay("gemini", recording!("gemini-0.61.0/interrupted"), false, PermissionMode::Default);
    assert_eq!(seen.turns[0].outcome, Outcome::Interrupted);
}

/// A driver in the middle of a prompt.
fn prompted() -> Acp {
    let mut driver = driver("thing", Start { prompt: "go".to_owned(), cwd: "/".to_owned(), ..Start::default() });
    driver.start();
    driver.heard(r#"{"id":0,"result":{"protocolVersion":1}}"#);
    driver.heard(r#"{"id":1,"result":{"sessionId":"s"}}"#);
    assert_eq!(driver.phase, Phase::Prompt);
    driver
}

fn request(id: u64, options: &[&str]) -> String {
    let options: Vec<Value> = options.iter().map(|kind| json!({"kind": kind, "optionId": format!("id-of-{kind}"), "name": kind})).collect();
    let call = json!({"toolCallId": format!("call-{id}"), "title": "do it", "kind": "execute"});
    json!({"id": id, "method": "session/request_permission", "params": {"toolCall": call, "options": options}}).to_string()
}

fn outcomes(steps: &Steps) -> Vec<Value> {
    let sent = steps.iter().filter_map(|step| if let Step::Send(line) = step { Some(line) } else { None });
    sent.map(|line| serde_json::from_str::<Value>(line).expect("json")["result"]["outcome"].clone()).collect()
}

#[test]
fn an_answer_never_says_more_than_was_said() {
    for (options, decision, expected) in [
        (&["allow_always", "reject_once"][..], Decision::Allow, None),
        (&["allow_once", "allow_always"], Decision::Allow, Some("id-of-allow_once")),
        (&["allow_once", "allow_always"], Decision::Always, Some("id-of-allow_always")),
        (&["allow_once"], Decision::Always, Some("id-of-allow_once")),
        (&["allow_once", "reject_always"], Decision::Deny, None),
        (&["allow_once", "reject_once"], Decision::Deny, Some("id-of-reject_once")),
    ] {
        let mut driver = prompted();
        driver.heard(&request(7, options));
        let steps = driver.answer("permission-1", &decided(decision));
        let expected = expected.map_or_else(|| json!({"outcome": "cancelled"}), |option| json!({"outcome": "selected", "optionId": option}));
        assert_eq!(outcomes(&steps), [expected], "{options:?} {decision:?}");
        assert_eq!(driver.answer("permission-1", &decided(Decision::Allow)), [], "a second answer goes nowhere");
    }
}

#[test]
fn another_input_is_never_granted_by_the_old_one() {
    let mut driver = prompted();
    driver.heard(&request(7, &["allow_once", "reject_once"]));
    let steps = driver.answer("permission-1", &Decided { input: Some(json!({"command": "ls"})), ..decided(Decision::Allow) });
    assert_eq!(outcomes(&steps)[0]["optionId"], "id-of-reject_once");
}

#[test]
fn an_interrupt_cancels_what_is_open_and_a_login_is_named() {
    let mut driver = prompted();
    driver.heard(&request(7, &["allow_once"]));
    driver.heard(&request(8, &["allow_once"]));
    let steps = driver.interrupt();
    assert_eq!(outcomes(&steps).iter().filter(|outcome| outcome["outcome"] == "cancelled").count(), 2);
    assert!(matches!(steps.last(), Some(Step::Send(line)) if line.contains("session/cancel")));
    assert_eq!(
        driver
            .heard(r#"{"id":2,"result":{"stopReason":"cancelled"}}"#)
            .last()
            .map(|step| matches!(step, Step::Turn(turn) if turn.outcome == Outcome::Interrupted)),
        Some(true)
    );

    let mut driver = self::driver("gemini", Start::default());
    driver.start();
    driver.heard(r#"{"id":0,"result":{"protocolVersion":1}}"#);
    let steps = driver.heard(r#"{"id":1,"error":{"code":-32000,"message":"Authentication required"}}"#);
    assert!(matches!(&steps[..], [Step::Turn(Turn { outcome: Outcome::Failed(why), .. })] if why.contains("run `gemini`")), "{steps:?}");
}

#[test]
fn what_is_said_meanwhile_comes_after_the_turn() {
    let mut driver = prompted();
    assert_eq!(driver.follow_up("and more"), []);
    let steps = driver.heard(r#"{"id":2,"result":{"stopReason":"end_turn"}}"#);
    assert!(matches!(&steps[..], [Step::Send(line)] if line.contains("and more")), "{steps:?}");
}

proptest! {
    #[test]
    fn nothing_that_is_heard_ends_the_driver(lines in prop::collection::vec("\\PC{0,200}|\\{\"method\":\"session/update\",\"params\":\\{\"update\":\\{\"sessionUpdate\":\"(plan|tool_call|tool_call_update|agent_message_chunk|new)\",\"toolCallId\":(1|\"a\"),\"content\":(\\[\\{\\}\\]|null|\\{\"text\":7\\}),\"status\":\"(failed|x)\"\\}\\}\\}|\\{\"id\":[0-3],\"(result|error)\":(null|\\{\\}|7|\\[1\\])\\}", 0..20)) {
        for mut driver in [driver("gemini", Start::default()), prompted()] {
            driver.start();
            for line in &lines {
                driver.heard(line);
            }
            driver.finish();
        }
    }

    #[test]
    fn every_question_gets_exactly_one_answer(what in prop::collection::vec((0_u8..6, 1_u64..6), 1..30)) {
        let mut driver = prompted();
        let (mut asked, mut sent) = (0, Vec::new());
        for (verb, number) in what {
            let steps = match verb {
                0 | 1 => { asked += 1; driver.heard(&request(100 + asked, &["allow_once", "reject_once"])) }
                2 => driver.answer(&format!("permission-{number}"), &decided(Decision::Allow)),
                3 => driver.answer(&format!("permission-{number}"), &decided(Decision::Stop)),
                4 => driver.heard(&json!({"method": "session/update", "params": {"update": {"sessionUpdate": "tool_call_update", "toolCallId": format!("call-{}", 100 + number), "status": "completed"}}}).to_string()),
                _ => driver.heard(r#"{"id":2,"result":{"stopReason":"end_turn"}}"#),
            };
            sent.extend(steps);
        }
        sent.extend(driver.finish());
        let mut answered: Vec<u64> = sent.iter().filter_map(|step| if let Step::Send(line) = step { serde_json::from_str::<Value>(line).ok() } else { None })
            .filter(|line| line["result"]["outcome"].is_object()).filter_map(|line| line["id"].as_u64()).collect();
        answered.sort_unstable();
        prop_assert_eq!(answered, (101..=100 + asked).collect::<Vec<_>>());
    }

    #[test]
    fn texts_are_passed_on_as_they_are(texts in prop::collection::vec(".{0,40}", 0..20)) {
        let mut driver = prompted();
        let mut seen = Seen::default();
        for text in &texts {
            seen.take(driver.heard(&json!({"method": "session/update", "params": {"update": {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}}}).to_string()));
        }
        prop_assert_eq!(seen.text(), texts.concat());
    }
}

#[test]
fn opencode_asks_with_the_whole_input_and_closes_by_itself() {
    let seen = replay("opencode", recording!("opencode-1.18.33/shell"), false, PermissionMode::Default);
    let [ask] = seen.asks.as_slice() else { panic!("one question: {:?}", seen.asks) };
    assert_eq!((ask.tool.as_str(), &ask.input["command"], ask.description.as_deref()), ("bash", &json!("echo hi > made.txt"), Some("Make a file")));
    assert_eq!(seen.data(TaskEventKind::ToolResult)[0]["exitCode"], 0);
    assert_eq!((seen.text().as_str(), &seen.turns[0].outcome), ("I will run a command.All done (mock).", &Outcome::Done));
}

#[test]
fn opencode_shows_edits_and_hears_no_always_and_interrupt() {
    let edit = replay("opencode", recording!("opencode-1.18.33/edit"), false, PermissionMode::Default);
    assert_eq!(edit.asks.iter().map(|ask| ask.tool.as_str()).collect::<Vec<_>>(), ["write", "edit"]);
    assert!(edit.asks[1].input["diff"].as_str().expect("a diff").contains("+changed line"));
    let denied = replay("opencode", recording!("opencode-1.18.33/denied"), false, PermissionMode::Default);
    assert_eq!(denied.data(TaskEventKind::ToolResult)[0]["isError"], true);
    let always = replay("opencode", recording!("opencode-1.18.33/parallel"), false, PermissionMode::Default);
    assert!(!always.asks.is_empty() && always.turns.len() == 1);
    let interrupted = replay("opencode", recording!("opencode-1.18.33/interrupted"), false, PermissionMode::Default);
    assert_eq!(interrupted.turns[0].outcome, Outcome::Interrupted);
    let said = replay("opencode", recording!("opencode-1.18.33/said"), false, PermissionMode::Default);
    assert_eq!(said.sent.iter().filter(|line| line.contains("session/prompt")).count(), 2);
}

#[test]
fn gemini_goes_on_with_a_session_and_its_past_is_not_told_again() {
    let recording = recording!("gemini-0.61.0/resumed");
    let seen = replay("gemini", recording, true, PermissionMode::Default);
    assert!(recording.contains("user_message_chunk"), "the past is in the recording");
    let now: Vec<&str> = recording.lines().skip_while(|line| !line.contains("session/prompt")).collect();
    let said = now.iter().filter(|line| line.contains("agent_message_chunk")).count();
    assert_eq!((seen.data(TaskEventKind::Text).len(), seen.turns.len()), (said, 1));
}

#[test]
fn opencode_goes_on_with_a_session() {
    let seen = replay("opencode", recording!("opencode-1.18.33/resumed"), true, PermissionMode::Default);
    assert_eq!((seen.turns.len(), &seen.turns[0].outcome), (1, &Outcome::Done));
}

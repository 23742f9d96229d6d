//! Tests of the tasks: which keys ask for what of whom, what the log says, and how it looks.

use loopsy_shared::{
    api::{
        ai_tasks::{Agents, TaskDone, TaskEvent, TaskInfo},
        terminals::TerminalSize,
    },
    client::{Attached, Watched},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::log::{Log, MOST_EVENTS};
use crate::{
    effect::{Effect, Timer},
    event::{Event, Failure},
    input::{Input, Press},
    key::Key,
    keymap::Command,
    request::{Answer, Request},
    testing::{Harness, NOON, approval, task, typical},
    world::{TaskKey, TerminalKey},
};

const FLAKY: &str = "7f3a0000-0000-4000-8000-000000000001";
const DOCS: &str = "7c010000-0000-4000-8000-000000000002";
const LIMIT: &str = "91bc0000-0000-4000-8000-000000000003";

fn key(node: Option<&str>, id: &str) -> TaskKey {
    TaskKey { node: node.map(Into::into), id: id.into() }
}

fn event(seq: u64, kind: &str, data: Value) -> TaskEvent {
    serde_json::from_value(json!({ "seq": seq, "type": kind, "taskId": FLAKY, "timestamp": NOON - 60_000 + seq * 1000, "data": data })).unwrap()
}

fn info(value: Value) -> Box<TaskInfo> {
    Box::new(serde_json::from_value(value).unwrap())
}

fn failed(why: &str) -> Failure {
    Failure { message: why.to_owned(), code: None, status: Some(502) }
}

fn log(harness: &mut Harness, of: &TaskKey, events: impl IntoIterator<Item = TaskEvent>) {
    for event in events {
        harness.event(Event::Log(of.clone(), Box::new(Watched::Event { id: None, event })));
    }
}

/// What an agent does all day, one of each kind.
fn a_day() -> Vec<TaskEvent> {
    let text = |seq, data: &str| TaskEvent { block: Some(1), ..event(seq, "text", json!(data)) };
    vec![
        event(1, "system", json!({ "subtype": "prompt", "text": "fix the flaky test\nand open a PR" })),
        event(2, "system", json!({ "subtype": "init", "model": "opus", "sessionId": "s-1" })),
        TaskEvent { block: Some(9), ..event(3, "thinking", json!("The test waits for time.")) },
        text(4, "I will clean the target "),
        text(5, "directory and rebuild."),
        event(6, "tool_use", json!({ "id": "t1", "name": "Bash", "input": { "command": "rm -rf target && cargo build -r" } })),
        event(7, "permission_request", approval("aaaa0000-0000-4000-8000-000000000001", "leo", "rm -rf target && cargo build -r")),
        event(8, "status", json!({ "status": "running", "approvalId": "a", "tool": "Bash", "approved": true, "decision": "allow", "by": "leo" })),
        event(9, "tool_result", json!({ "id": "t1", "content": "Compiling loopsy\nFinished", "isError": false })),
        event(
            10,
            "tool_use",
            json!({ "id": "t2", "name": "Edit", "path": "src/lib.rs", "input": {}, "diff": "--- a\n+++ b\n@@ -1,2 +1,2 @@\n fn limit() {\n-\tself.max\n+\tself.cfg.max\n }" }),
        ),
        event(11, "tool_result", json!({ "id": "t2", "content": "no such file", "isError": true, "exitCode": 2 })),
        event(12, "result", json!({ "text": "done", "cost": 0.41, "duration": 131_000, "usage": { "inputTokens": 40000, "outputTokens": 1200 } })),
        event(13, "error", json!({ "message": "the model is gone" })),
        event(14, "exit", json!({ "exitCode": 1 })),
        event(0, "status", json!({ "status": "failed" })),
    ]
}

fn at_tasks() -> Harness {
    let mut harness = Harness::typical();
    harness.keys("5");
    harness
}

#[test]
fn the_selected_task_is_followed_while_somebody_looks() {
    let mut harness = at_tasks();
    assert!(harness.effects.contains(&Effect::Follow(Some((key(None, FLAKY), 0)))), "{:?}", harness.effects);
    harness.effects.clear();
    log(&mut harness, &key(None, FLAKY), a_day());
    harness.keys("j");
    assert!(harness.effects.contains(&Effect::Follow(Some((key(Some("studio-mac-id"), LIMIT), 0)))));
    harness.effects.clear();
    harness.keys("j j k k");
    assert!(!harness.effects.iter().any(|effect| matches!(effect, Effect::Follow(_))), "what is passed over is not followed: {:?}", harness.effects);
    harness.later(150);
    harness.event(Event::Woke(Timer::Settle));
    assert_eq!(harness.effects.last(), Some(&Effect::Follow(Some((key(None, FLAKY), 14)))), "it goes on where it was");
    harness.effects.clear();
    harness.keys("1");
    assert!(harness.effects.contains(&Effect::Follow(None)));
    harness.effects.clear();
    harness.fleet(json!({ "type": "task-changed", "task": task(DOCS, "write docs", "running") }));
    assert!(!harness.effects.iter().any(|effect| matches!(effect, Effect::Follow(_))), "nobody looks");
}

#[test]
fn a_log_that_cannot_be_had_says_why_and_r_tries_again() {
    let mut harness = at_tasks();
    harness.effects.clear();
    harness.event(Event::LogEnd(key(None, FLAKY), Some("The peer does not answer.".to_owned())));
    assert!(harness.text(120, 40).contains("cannot be had"));
    harness.fleet(json!({ "type": "task-changed", "task": task(FLAKY, "fix the flaky test", "running") }));
    assert!(!harness.effects.iter().any(|effect| matches!(effect, Effect::Follow(_))), "not by itself");
    harness.keys("r");
    assert!(harness.effects.contains(&Effect::Follow(Some((key(None, FLAKY), 0)))));
    // What has ended is followed again when it goes on.
    log(&mut harness, &key(None, FLAKY), a_day());
    harness.event(Event::LogEnd(key(None, FLAKY), None));
    harness.effects.clear();
    let mut more = task(FLAKY, "fix the flaky test", "running");
    harness.fleet(json!({ "type": "task-changed", "task": more }));
    assert!(!harness.effects.iter().any(|effect| matches!(effect, Effect::Follow(_))), "all of it is there");
    more["lastEvent"] = json!(20);
    harness.fleet(json!({ "type": "task-changed", "task": more }));
    assert!(harness.effects.contains(&Effect::Follow(Some((key(None, FLAKY), 14)))));
}

#[test]
fn everything_is_asked_of_the_node_of_the_task() {
    let mut harness = at_tasks();
    harness.keys("j x");
    harness.later(400);
    harness.keys("X");
    let requests = harness.requests();
    assert!(matches!(&requests[..], [(Some(at), Request::CancelTask(_))] if at == "studio-mac-id"), "{requests:?}");
    harness.keys("c");
    let requests = harness.requests();
    assert!(matches!(&requests[..], [(Some(at), Request::InterruptTask(_))] if at == "studio-mac-id"), "{requests:?}");
    harness.keys("i");
    harness.types("go on");
    harness.keys("enter");
    let requests = harness.requests();
    assert!(matches!(&requests[..], [(Some(at), Request::SendToTask(send))] if at == "studio-mac-id" && send.text == "go on"), "{requests:?}");
    harness.keys("x enter x esc");
    assert!(harness.requests().is_empty(), "Enter and Esc are no");
}

#[test]
fn what_has_ended_is_deleted_or_goes_on() {
    let mut harness = at_tasks();
    harness.keys("G u X");
    assert!(harness.text(80, 24).contains("kept no session"), "{}", harness.text(80, 24));
    harness.later(400);
    harness.keys("X");
    assert!(harness.requests().is_empty(), "the key that asks is not the key that answers");
    harness.later(400);
    harness.keys("Y");
    assert!(matches!(&harness.requests()[..], [(None, Request::CancelTask(_))]));
    harness.keys("x");
    assert!(harness.text(80, 24).contains("has ended"));
    let mut done = task(DOCS, "write docs", "completed");
    done["resumable"] = json!(true);
    harness.fleet(json!({ "type": "task-changed", "task": done }));
    harness.keys("u");
    assert!(matches!(&harness.requests()[..], [(None, Request::ResumeTask(resume))] if resume.prompt.is_none()));
    harness.keys("i");
    harness.types("and now the tests");
    harness.keys("enter");
    assert!(matches!(&harness.requests()[..], [(None, Request::ResumeTask(resume))] if resume.prompt.as_deref() == Some("and now the tests")));
}

#[test]
fn what_did_not_arrive_is_a_draft_again() {
    let mut harness = at_tasks();
    harness.keys("i");
    harness.types("hello");
    harness.keys("esc i");
    assert!(harness.text(80, 24).contains("hello"), "a draft is kept");
    harness.keys("enter");
    harness.answer("SendToTask", Err(failed("The agent is gone.")));
    let text = harness.text(120, 40);
    assert!(text.contains("The agent is gone.") && text.contains("again."), "{text}");
    harness.keys("esc i");
    assert!(harness.text(80, 24).contains("hello"));
}

#[test]
fn a_new_task_is_given_where_and_how_it_was_chosen() {
    let mut harness = at_tasks();
    harness.keys("n");
    let agents: Agents = serde_json::from_value(json!({ "agents": [
        { "name": "claude", "driver": "stream-json", "path": "/bin/claude", "version": "2.1", "interactive": true },
        { "name": "codex", "driver": "app-server", "path": "/bin/codex" }, { "name": "gemini", "driver": "acp" },
    ] }))
    .unwrap();
    harness.answer("ListAgents", Ok(Answer::ListAgents(Box::new(agents.clone()))));
    harness.keys("enter");
    assert!(harness.text(80, 24).contains("What is the agent to do?"));
    harness.types("write docs");
    let text = harness.text(80, 24);
    assert!(text.contains("interactive") && text.contains("that is claude"), "{text}");
    harness.keys("esc n");
    assert!(harness.text(80, 24).contains("write docs"), "a draft is kept");
    // The next node, which has another agent.
    harness.keys("tab right");
    harness.answer("ListAgents", Ok(Answer::ListAgents(Box::new(Agents { agents: agents.agents[1..2].to_vec() }))));
    assert!(harness.text(80, 24).contains("headless"), "codex has no screen: {}", harness.text(80, 24));
    harness.keys("tab right tab");
    harness.types("/src");
    harness.keys("tab right tab tab tab");
    harness.types("2.50");
    harness.keys("tab right enter");
    let requests = harness.requests();
    let Some((Some(at), Request::DispatchTask(request))) = requests.last() else { panic!("{requests:?}") };
    assert_eq!(at, "ci-box-id");
    let sent = serde_json::to_value(&**request).unwrap();
    assert_eq!(
        sent,
        json!({ "prompt": "write docs", "cwd": "/src", "agent": "codex", "permissionMode": "acceptEdits", "mode": "headless", "maxBudgetUsd": 2.5, "worktree": true, "queue": true, "park": false })
    );
}

#[test]
fn a_new_task_is_selected() {
    let mut harness = at_tasks();
    harness.keys("n");
    harness.types("write docs");
    harness.keys("enter");
    let id = "aaaa0000-0000-4000-8000-00000000000a";
    harness.answer("DispatchTask", Ok(Answer::DispatchTask(info(task(id, "write docs", "pending")))));
    harness.effects.clear();
    harness.fleet(json!({ "type": "task-changed", "task": task(id, "write docs", "running") }));
    harness.event(Event::Woke(Timer::Settle));
    assert!(harness.effects.contains(&Effect::Follow(Some((key(None, id), 0)))), "{:?}", harness.effects);
    harness.keys("n");
    harness.types("more");
    harness.keys("enter");
    harness.answer("DispatchTask", Err(failed("All places are taken.")));
    let text = harness.text(120, 40);
    assert!(text.contains("All places are taken.") && text.contains("n has what"), "{text}");
    harness.keys("n");
    assert!(harness.text(80, 24).contains("more"));
}

#[test]
fn the_log_is_searched_and_copied() {
    let mut harness = at_tasks();
    let many = (1..400).map(|seq| event(seq, "text", json!(format!("line {seq} of it"))));
    log(&mut harness, &key(None, FLAKY), many);
    harness.screen(80, 24);
    assert!(harness.text(80, 24).contains("line 399"));
    harness.keys("enter /");
    harness.types("line 1");
    harness.keys("enter");
    assert!(harness.text(80, 24).contains("line 199 of it"), "the last hit first");
    harness.keys("N");
    assert!(harness.text(80, 24).contains("line 198 of it"));
    harness.effects.clear();
    harness.keys("y");
    assert!(harness.effects.contains(&Effect::Copy("line 198 of it".to_owned())), "{:?}", harness.effects);
    log(&mut harness, &key(None, FLAKY), [event(400, "text", json!("newer"))]);
    assert!(!harness.text(80, 24).contains("newer") && harness.text(80, 24).contains("new output below"), "{}", harness.text(80, 24));
    harness.keys("esc G");
    assert!(harness.text(80, 24).contains("newer"));
}

#[test]
fn a_long_log_keeps_its_end_and_says_what_is_missing() {
    let mut log = Log::default();
    for seq in 1..=(MOST_EVENTS as u64 + 70) {
        log.take(&event(seq, "text", json!(format!("line {seq}"))), NOON);
        // One that comes twice is taken once.
        log.take(&event(seq, "text", json!(format!("line {seq}"))), NOON);
    }
    let mut harness = at_tasks();
    let events = (1..=(MOST_EVENTS as u64 + 70)).map(|seq| event(seq, "text", json!(format!("line {seq}"))));
    self::log(&mut harness, &key(None, FLAKY), events);
    harness.keys("enter g");
    harness.screen(80, 24);
    let text = harness.text(80, 24);
    assert!(text.contains("70 older events are left out") && text.contains("line 71 "), "{text}");
    log.act(Command::Top);
    assert!(log.text().starts_with("line 71\n"));
}

#[test]
fn ten_thousand_tasks() {
    let mut snapshot = typical();
    snapshot["tasks"] = (0..10_000).map(|index| task(&format!("{index:08x}-0000-4000-8000-000000000000"), &format!("task {index}"), "completed")).collect();
    let mut harness = Harness::with(snapshot);
    harness.keys("5 G");
    assert!(harness.text(120, 40).contains("AI tasks (10001)"));
    harness.keys("/");
    harness.types("task 4711");
    harness.keys("enter");
    assert!(harness.text(120, 40).contains("task 4711"));
}

#[test]
fn a_task_with_a_screen_shows_it_and_v_shows_the_log() {
    let mut snapshot = typical();
    snapshot["tasks"][0]["mode"] = json!("interactive");
    snapshot["tasks"][0]["terminalId"] = json!("eeee0000-0000-4000-8000-000000000009");
    let mut harness = Harness::with(snapshot);
    harness.keys("5");
    assert!(!harness.effects.iter().any(|effect| matches!(effect, Effect::Follow(Some(_)))), "{:?}", harness.effects);
    assert!(harness.text(80, 24).contains("view: screen (v: log)"));
    harness.keys("v");
    assert!(harness.effects.contains(&Effect::Follow(Some((key(None, FLAKY), 0)))));
    assert!(harness.text(80, 24).contains("view: log (v: screen)"));
    harness.keys("j v");
    assert!(harness.text(80, 24).contains("has no screen of its own"));
}

fn interactive() -> Harness {
    let mut snapshot = typical();
    snapshot["tasks"][0]["mode"] = json!("interactive");
    snapshot["tasks"][0]["terminalId"] = json!("eeee0000-0000-4000-8000-000000000009");
    let mut harness = Harness::with(snapshot);
    harness.keys("5");
    let size = TerminalSize { cols: 60, rows: 10 };
    let terminal = TerminalKey { node: None, id: "eeee0000-0000-4000-8000-000000000009".into() };
    harness.event(Event::Terminal(terminal.clone(), Attached::Snapshot { size, lost: 0 }));
    harness.event(Event::Terminal(terminal, Attached::Drawn("May I clean the target directory?\r\n> ".into())));
    harness
}

#[test]
fn keys_go_to_the_agent_and_to_nothing_else_until_the_person_leaves() {
    let mut harness = interactive();
    assert!(harness.text(80, 24).contains("May I clean"), "{}", harness.text(80, 24));
    harness.keys("i");
    let typed = |harness: &Harness| harness.effects.iter().filter(|effect| matches!(effect, Effect::Type(..))).count();
    harness.types("x");
    assert_eq!(typed(&harness), 1, "{:?}", harness.effects);
    // The task ends, and is even forgotten, while somebody types.
    harness.fleet(json!({ "type": "task-changed", "task": task(FLAKY, "fix the flaky test", "completed") }));
    harness.fleet(json!({ "type": "task-removed", "taskId": FLAKY }));
    harness.types("xXnc");
    harness.keys("enter");
    assert!(harness.requests().is_empty() && harness.text(80, 24).contains("INPUT") && harness.text(80, 24).contains("May I clean"));
    harness.keys("ctrl-]");
    assert!(harness.text(80, 24).contains("NAV") && !harness.text(80, 24).contains("May I clean"), "{}", harness.text(80, 24));
}

#[test]
fn a_message_goes_to_whom_it_was_begun_for() {
    let mut harness = at_tasks();
    harness.keys("i");
    harness.types("go on");
    harness.fleet(json!({ "type": "task-removed", "taskId": FLAKY }));
    harness.keys("enter");
    assert!(matches!(&harness.requests()[..], [(None, Request::SendToTask(send))] if send.task_id.as_str() == FLAKY));
}

#[test]
fn without_the_daemon_nothing_is_asked() {
    let mut harness = at_tasks();
    harness.event(Event::Fleet(Box::new(Watched::Lost("refused".to_owned()))));
    harness.effects.clear();
    harness.keys("n x X c u i");
    assert!(harness.requests().is_empty());
    assert!(harness.text(120, 40).contains("does not answer"));
}

#[test]
fn what_was_looked_at_is_remembered() {
    let mut harness = at_tasks();
    harness.keys("j o /");
    harness.types("raise");
    harness.keys("enter");
    let state = harness.app.state();
    let mut again = Harness::typical();
    let effects = again.app.restore(&state);
    assert!(effects.contains(&Effect::Follow(Some((key(Some("studio-mac-id"), LIMIT), 0)))), "the restored tab is in front: {effects:?}");
    let text = again.text(80, 24);
    assert!(text.contains("[5 Tasks]") && text.contains("/raise") && text.contains("> run   91bc"), "{text}");
    // Whatever is in the file.
    for state in
        [json!(null), json!({ "tab": "tasks", "tabs": { "tasks": { "selected": 7, "order": [], "side": "x" }, "messages": { "read": 1, "node": {} } } })]
    {
        Harness::typical().app.restore(&state);
    }
}

fn shots(name: &str, mut harness: Harness) {
    for (columns, rows) in [(80, 24), (120, 40), (40, 12)] {
        insta::assert_snapshot!(format!("{name}_{columns}x{rows}"), harness.screen(columns, rows));
    }
}

#[test]
fn how_it_looks() {
    let mut empty = typical();
    (empty["tasks"], empty["fleet"]) = (json!([]), json!([]));
    let mut empty = Harness::with(empty);
    empty.keys("5");
    shots("empty", empty);
    let mut harness = at_tasks();
    log(&mut harness, &key(None, FLAKY), a_day());
    shots("typical", harness);
    let mut pane = at_tasks();
    log(&mut pane, &key(None, FLAKY), a_day());
    pane.keys("enter");
    shots("pane", pane);
    let mut error = at_tasks();
    error.event(Event::LogEnd(key(None, FLAKY), Some("The daemon has no such task.".to_owned())));
    error.keys("c");
    error.answer("InterruptTask", Err(failed("The agent does not listen.")));
    error.event(Event::Fleet(Box::new(Watched::Lost("connection refused".to_owned()))));
    shots("error", error);
    let mut snapshot = typical();
    let hostile = [
        "\u{1b}[2Jevil",
        "a\u{202e}b",
        "\u{2764}\u{fe0f}\u{fe0f} VS16",
        "機械機械機械機械機械機械機械機械",
        "very long and on and on and on and on and on and on and on and on",
    ];
    snapshot["tasks"] = (0..300)
        .map(|index| {
            let mut task =
                task(&format!("{index:08x}-0000-4000-8000-000000000000"), hostile[index % 5], ["running", "failed", "pending", "cancelled"][index % 4]);
            task["error"] = json!(hostile[(index + 1) % 5]);
            task["cwd"] = json!(hostile[(index + 2) % 5].repeat(5));
            task["worktree"] = json!({ "repository": "/r", "path": "/w", "branch": hostile[(index + 3) % 5] });
            task
        })
        .collect();
    let mut overflowing = Harness::with(snapshot);
    overflowing.keys("5");
    let first = key(None, "00000000-0000-4000-8000-000000000000");
    overflowing.event(Event::Input(Input::Paste("ignored".to_owned())));
    overflowing.keys("esc");
    let selected = overflowing.effects.iter().rev().find_map(|effect| if let Effect::Follow(Some((key, _))) = effect { Some(key.clone()) } else { None });
    log(&mut overflowing, &selected.unwrap_or(first), (1..200).map(|seq| event(seq, "text", json!(hostile[seq as usize % 5].repeat(seq as usize % 7)))));
    shots("overflowing", overflowing);
    shots("screen", interactive());
    let mut form = at_tasks();
    form.keys("n");
    form.types("fix the flaky test");
    form.keys("tab tab tab tab");
    shots("form", form);
    let mut write = at_tasks();
    write.keys("i");
    write.types("and the docs");
    shots("write", write);
}

#[derive(Debug, Clone)]
enum Step {
    Key(char),
    Named(usize),
    Log(usize),
    Raw(u8, String),
    Answer(bool),
    News(u8),
    Size(u16, u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let letters = prop_oneof![proptest::sample::select("nijkxXcuvzyY/oGgNr5 1hl=".chars().collect::<Vec<_>>()), any::<char>()];
    let step = prop_oneof![
        6 => letters.prop_map(Step::Key),
        2 => (0usize..8).prop_map(Step::Named),
        2 => (0usize..15).prop_map(Step::Log),
        1 => (0u8..10, any::<String>()).prop_map(|(kind, text)| Step::Raw(kind, text)),
        1 => any::<bool>().prop_map(Step::Answer),
        1 => (0u8..5).prop_map(Step::News),
        1 => (0u16..130, 0u16..50).prop_map(|(columns, rows)| Step::Size(columns, rows)),
    ];
    proptest::collection::vec(step, 0..50)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn nothing_breaks(steps in steps()) {
        let mut harness = at_tasks();
        let day = a_day();
        let kinds = ["text", "thinking", "tool_use", "tool_result", "permission_request", "status", "error", "result", "exit", "system"];
        let mut seq = 20;
        for step in steps {
            match step {
                Step::Key('Q') => {}
                Step::Key(c) => harness.event(Event::Input(Input::Key(Press::of(Key::char(c))))),
                Step::Named(at) => harness.keys(["enter", "esc", "tab", "up", "down", "pageup", "backspace", "ctrl-]"][at]),
                Step::Log(at) => log(&mut harness, &key(None, FLAKY), [day[at].clone()]),
                Step::Raw(kind, text) => {
                    seq += 1;
                    let data = if seq % 2 == 0 { json!(text) } else { json!({ "subtype": text, "name": text, "input": { "command": text }, "content": [text], "message": text, "status": text }) };
                    log(&mut harness, &key(None, FLAKY), [event(seq, kinds[usize::from(kind)], data)]);
                }
                Step::Answer(good) => {
                    let asked = harness.effects.iter().rev().find_map(|effect| if let Effect::Call { request, .. } = effect { Some(request.name()) } else { None });
                    if let Some(name) = asked {
                        let answer = match name {
                            "CancelTask" if good => Ok(Answer::CancelTask(Box::new(TaskDone { success: true, task_id: FLAKY.into(), deleted: true }))),
                            "DispatchTask" if good => Ok(Answer::DispatchTask(info(task(DOCS, "x", "pending")))),
                            "SendToTask" if good => Ok(Answer::SendToTask(info(task(DOCS, "x", "running")))),
                            _ => Err(failed("no")),
                        };
                        harness.answer(name, answer);
                    }
                }
                Step::News(0) => harness.fleet(typical()),
                Step::News(1) => harness.fleet(json!({ "type": "task-removed", "taskId": FLAKY })),
                Step::News(2) => harness.event(Event::LogEnd(key(None, FLAKY), Some("gone".to_owned()))),
                Step::News(3) => harness.event(Event::Fleet(Box::new(Watched::Lost("gone".to_owned())))),
                Step::News(_) => harness.event(Event::Woke(Timer::Second)),
                Step::Size(columns, rows) => drop(harness.screen(columns, rows)),
            }
        }
        harness.screen(80, 24);
        harness.screen(41, 11);
    }
}

#[test]
fn the_end_of_a_log_that_was_followed_before_ends_no_other() {
    let mut harness = at_tasks();
    let flaky = key(None, FLAKY);
    harness.event(Event::Log(flaky.clone(), Box::new(Watched::Connected)));
    harness.keys("j");
    harness.later(1000);
    harness.keys("k");
    harness.effects.clear();
    // Both were on their way when it was followed again.
    harness.event(Event::LogEnd(flaky.clone(), None));
    harness.event(Event::Log(flaky.clone(), Box::new(Watched::Connected)));
    assert!(!harness.text(120, 40).contains("cannot be had"));
    harness.event(Event::LogEnd(flaky.clone(), Some("gone".to_owned())));
    assert!(harness.text(120, 40).contains("cannot be had"));
    log(&mut harness, &flaky, a_day());
    assert!(!harness.text(120, 40).contains("cannot be had"), "{}", harness.text(120, 40));
    harness.fleet(json!({ "type": "task-changed", "task": task(FLAKY, "fix the flaky test", "running") }));
    assert!(!harness.effects.iter().any(|effect| matches!(effect, Effect::Follow(_))), "it is followed all the time: {:?}", harness.effects);
    harness.keys("1");
    assert!(harness.effects.contains(&Effect::Follow(None)), "and let go of when nobody looks");
}

#[test]
fn rows_are_made_anew_once_for_many_changes() {
    let mut harness = at_tasks();
    harness.effects.clear();
    let mut wakes = 0;
    for at in 0..100 {
        let mut more = task(&format!("{at:08}-0000-4000-8000-000000000001"), "one of many", "running");
        more["startedAt"] = json!(NOON);
        harness.fleet(json!({ "type": "task-changed", "task": more }));
        wakes += harness.effects.drain(..).filter(|effect| matches!(effect, Effect::Wake(_, Timer::Settle))).count();
    }
    assert_eq!(wakes, 1, "nobody looked yet");
    assert!(harness.text(120, 40).contains("AI tasks (103)"), "{}", harness.text(120, 40));
    // A key finds the rows as they are.
    let gone: Vec<_> = (0..100).map(|at| format!("{at:08}-0000-4000-8000-000000000001")).collect();
    for id in gone {
        harness.fleet(json!({ "type": "task-removed", "taskId": id }));
    }
    harness.effects.clear();
    harness.keys("G");
    harness.later(1000);
    harness.event(Event::Woke(Timer::Settle));
    assert!(harness.text(120, 40).contains("AI tasks (3)"));
    // What took the place of a task that went is followed, looked at or not.
    harness.keys("g");
    harness.later(1000);
    harness.event(Event::Woke(Timer::Settle));
    harness.effects.clear();
    harness.fleet(json!({ "type": "task-removed", "taskId": FLAKY }));
    harness.later(1000);
    harness.event(Event::Woke(Timer::Settle));
    assert!(harness.effects.iter().any(|effect| matches!(effect, Effect::Follow(Some((key, _))) if key.id.as_str() == LIMIT)), "{:?}", harness.effects);
}

#[test]
fn a_task_may_be_given_tools_and_a_time() {
    let mut harness = at_tasks();
    harness.keys("n");
    harness.types("look around");
    harness.keys("shift-tab left shift-tab");
    harness.types("soon");
    let text = harness.text(80, 24);
    assert!(text.contains("Queue") && text.contains("is refused when all places are taken"), "{text}");
    harness.keys("enter");
    assert!(harness.text(80, 24).contains("such as 90s, 30m or 2h"), "{}", harness.text(80, 24));
    harness.keys("backspace backspace backspace backspace");
    harness.types("1.5h");
    harness.keys("shift-tab");
    harness.types("WebFetch");
    harness.keys("shift-tab");
    harness.types("Read, Bash(git log:*)  Grep");
    assert!(harness.text(40, 12).contains("Allow tools"), "it scrolls: {}", harness.text(40, 12));
    harness.keys("enter");
    let requests = harness.requests();
    let Some((None, Request::DispatchTask(request))) = requests.last() else { panic!("{requests:?}") };
    assert_eq!(request.allowed_tools, ["Read", "Bash(git log:*)", "Grep"]);
    assert_eq!((request.disallowed_tools.as_slice(), request.queue), (["WebFetch".to_owned()].as_slice(), false));
    assert_eq!(request.timeout.map(f64::from), Some(5_400_000.0));
}

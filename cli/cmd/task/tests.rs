//! What people read of tasks.

use insta::assert_snapshot;
use jiff::tz::TimeZone;
use loopsy_shared::api::ai_tasks::{EndedBy, TaskEvent, TaskEventKind, TaskInfo, TaskMode, TaskStatus, Usage, Worktree};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    only,
    render::{Look, Renderer},
    show::{ending, page, table},
};
use crate::error::explain;

/// 2026-11-21 12:00 UTC.
const NOON: u64 = 1_795_262_400_000;

fn look() -> Look {
    Look { verbose: false, full: false, quiet: false, name: "7f3a01c2".to_owned(), zone: TimeZone::UTC, now: Some(NOON) }
}

fn event(kind: &str, data: Value, block: Option<u64>) -> TaskEvent {
    let kind: TaskEventKind = serde_json::from_value(json!(kind)).unwrap();
    TaskEvent { seq: 1, kind, task_id: "7f3a01c2".into(), timestamp: NOON, data, block }
}

fn rendered(look: Look, events: &[(&str, Value, Option<u64>)]) -> String {
    let mut renderer = Renderer::new(look);
    let mut text: String = events.iter().map(|(kind, data, block)| renderer.event(&event(kind, data.clone(), *block))).collect();
    text.push_str(&renderer.end());
    text
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn every_kind() -> Vec<(&'static str, Value, Option<u64>)> {
    let diff = "--- a/src/lib.rs\n+++ b/src/lib.rs\n@@ -40,2 +40,2 @@\n fn limit() {\n-    3\n+    4\n";
    vec![
        ("status", json!({ "status": "running" }), None),
        ("system", json!({ "subtype": "prompt", "text": "fix the flaky test\nand nothing else" }), None),
        ("system", json!({ "subtype": "init", "model": "opus", "sessionId": "s-1" }), None),
        ("thinking", json!("Let me "), Some(1)),
        ("thinking", json!("look."), Some(1)),
        ("text", json!("I will look"), Some(2)),
        ("text", json!(" at the test.\nThen "), Some(2)),
        ("text", json!("I run it."), Some(2)),
        ("text", json!("Another block."), Some(3)),
        (
            "system",
            json!({ "subtype": "plan", "entries": [{ "content": "Look", "status": "completed" }, { "content": "Mend", "status": "in_progress" }, { "content": "Test" }] }),
            None,
        ),
        ("tool_use", json!({ "id": "t1", "name": "Bash", "input": { "command": "cargo test -q\necho done" } }), None),
        ("tool_result", json!({ "id": "t1", "content": "1\n2\n3\n4\n5\n6", "isError": false, "exitCode": 101 }), None),
        ("tool_use", json!({ "id": "t2", "name": "Edit", "input": { "file_path": "src/lib.rs" }, "path": "src/lib.rs", "diff": diff }), None),
        ("tool_use", json!({ "id": "t3", "name": "Read", "input": { "file_path": "/etc/hosts" } }), None),
        ("tool_result", json!({ "id": "t2", "name": "Edit", "content": [{ "type": "text", "text": "done" }], "isError": false }), None),
        ("tool_result", json!({ "id": "t3", "content": "no such file", "isError": true }), None),
        ("permission_request", crate::cmd::approvals::sample(), None),
        ("status", json!({ "status": "running", "approvalId": "a", "approved": true, "tool": "Bash", "decision": "allow", "by": "admin" }), None),
        (
            "status",
            json!({ "status": "running", "approvalId": "b", "tool": "Bash", "approved": false, "decision": "deny", "by": "kai", "reason": "use cargo clean" }),
            None,
        ),
        ("system", json!({ "subtype": "retry", "attempt": 2, "maxAttempts": 10, "delayMs": 4000, "message": "529 overloaded" }), None),
        ("system", json!({ "subtype": "rate_limit", "status": "rejected", "limit": "five_hour", "resetsAt": NOON / 1000 + 5400 }), None),
        ("system", json!({ "subtype": "compact" }), None),
        ("system", json!({ "subtype": "usage", "inputTokens": 1200, "outputTokens": 30 }), None),
        ("system", json!({ "subtype": "stderr", "text": "a warning\nof two lines" }), None),
        ("system", json!({ "subtype": "raw", "line": { "type": "new_thing" } }), None),
        ("system", json!({ "subtype": "from_tomorrow", "x": 1 }), None),
        ("system", json!({ "subtype": "gap", "from": 3, "to": 14 }), None),
        ("error", json!({ "message": "The agent wants a login." }), None),
        ("result", json!({ "text": "I run it.", "cost": 0.0421, "duration": 64000, "usage": { "inputTokens": 12300, "outputTokens": 950 }, "turns": 2 }), None),
        ("exit", json!({ "exitCode": 0, "signal": null }), None),
        ("status", json!({ "status": "completed" }), None),
    ]
}

#[test]
fn a_stream_reads_well() {
    assert_snapshot!("stream", plain(&rendered(look(), &every_kind())));
    assert_snapshot!("stream_verbose", plain(&rendered(Look { verbose: true, ..look() }, &every_kind())));
    assert_snapshot!("stream_full", plain(&rendered(Look { verbose: true, full: true, ..look() }, &every_kind())));
    assert_snapshot!("stream_quiet", plain(&rendered(Look { quiet: true, ..look() }, &every_kind())));
}

/// What agents tell beside their work, and how it reads by default; nothing where only `--verbose` shows it.
#[test]
fn what_is_told_beside_the_work_is_words_and_never_json() {
    let retry = json!({ "subtype": "retry", "attempt": 1, "maxRetries": 10, "delayMs": 529, "httpStatus": 429, "error": "rate_limit" });
    let reset = NOON + 5_400_000;
    let all = [
        (retry, "The model answered 429 (rate limit); trying again in 529 ms (1 of 10)\n"),
        (json!({ "subtype": "retry", "message": "stream closed" }), "The model did not answer (stream closed); trying again\n"),
        (json!({ "subtype": "rate_limit", "status": "allowed", "limit": "five_hour", "resetsAt": reset }), ""),
        (json!({ "subtype": "rate_limit", "status": "allowed_warning", "limit": "five_hour", "used": 0.82 }), "82 % of the five-hour limit used\n"),
        (json!({ "subtype": "rate_limit", "status": "allowed_warning" }), "Most of the limit is used\n"),
        (
            json!({ "subtype": "rate_limit", "status": "rejected", "limit": "five_hour", "resetsAt": reset }),
            "The five-hour limit is reached; it begins anew at 13:30:00\n",
        ),
        (json!({ "subtype": "rate_limit", "usedPercent": 40, "minutes": 300, "resetsAt": reset }), ""),
        (json!({ "subtype": "rate_limit", "usedPercent": 100, "minutes": 300, "reached": "rate_limit_reached" }), "The five-hour limit is reached\n"),
        (json!({ "subtype": "rate_limit", "usedPercent": 40, "minutes": 300, "reached": null }), ""),
        (json!({ "subtype": "notice", "message": "It was set up anew.", "level": "info" }), "It was set up anew.\n"),
        (json!({ "subtype": "notice", "from": "big", "model": "small", "reason": "busy" }), "The model is now small instead of big: busy\n"),
        (json!({ "subtype": "notice", "message": null }), ""),
        (json!({ "subtype": "unsupported", "options": ["budget"], "message": "It knows no budget." }), "It knows no budget.\n"),
        (
            json!({ "subtype": "permission_denied", "tool": "Bash", "toolUseId": "t", "message": "not in this mode" }),
            "✗ Bash refused by the agent: not in this mode\n",
        ),
        (json!({ "subtype": "denied", "tool": "edit", "input": { "path": "x" }, "why": "the mode is plan" }), "✗ edit denied: the mode is plan\n"),
        (json!({ "subtype": "subagent", "parent": "t", "description": "Look for tests", "state": "task_started" }), "  subagent: Look for tests\n"),
        (json!({ "subtype": "subagent", "parent": "t", "text": "I look.\nThen I say." }), "  subagent: I look. (+1 line)\n"),
        (json!({ "subtype": "subagent", "parent": "t", "state": "completed", "summary": "Found 3" }), "  subagent: completed: Found 3\n"),
        (json!({ "subtype": "subagent", "parent": "t" }), ""),
        (json!({ "subtype": "mode", "permissionMode": "plan" }), ""),
        (json!({ "subtype": "mode", "mode": "plan" }), ""),
        (json!({ "subtype": "session_end", "reason": "logout" }), ""),
        (json!({ "subtype": "compact", "status": "compacting" }), ""),
        (json!({ "subtype": "compact", "trigger": "auto" }), ""),
        (json!({ "subtype": "compact", "metadata": { "pre_tokens": 9 } }), "The agent shortened its memory of the conversation.\n"),
        (json!({ "subtype": "gap", "from": 1, "to": 12 }), "12 events are no longer kept here\n"),
        (json!({ "subtype": "gap", "from": 4, "to": 4 }), "1 event is no longer kept here\n"),
        (json!({ "subtype": "plan", "steps": [{ "step": "Look", "status": "inProgress" }], "explanation": null }), "● Plan\n  › Look\n"),
        (json!({ "subtype": "plan", "entries": [{ "priority": "high" }] }), "● Plan\n  · (a step)\n"),
        (json!({ "subtype": "init", "model": "m", "tools": ["x"] }), ""),
        (json!({ "subtype": "usage", "usage": { "inputTokens": 1 } }), ""),
        (json!({ "subtype": "raw", "line": { "type": "new" } }), ""),
        (json!({ "subtype": "raw", "omittedBytes": 5 }), ""),
        (json!({ "subtype": "stderr", "text": "{\"a\":1}" }), ""),
        (json!({ "subtype": "from_tomorrow", "x": { "y": 1 } }), ""),
        (json!({ "x": 1 }), ""),
    ];
    for (data, reads) in all {
        let shown = plain(&rendered(look(), &[("system", data.clone(), None)]));
        assert_eq!(shown, reads, "{data}");
        assert!(!shown.contains("{\""), "{shown}");
        let told = plain(&rendered(Look { verbose: true, ..look() }, &[("system", data.clone(), None)]));
        let says_nothing =
            data["message"].is_null() && data["subtype"] == "notice" && data["model"].is_null() || data == json!({ "subtype": "subagent", "parent": "t" });
        assert!(says_nothing || !told.is_empty(), "{data} is nowhere shown");
    }
}

#[test]
fn lists_of_things_to_do_are_plans() {
    let todos = json!({ "todos": [{ "content": "Look", "status": "completed", "activeForm": "Looking" }, { "content": "Mend", "status": "pending" }] });
    let events = [
        ("tool_use", json!({ "id": "t", "name": "TodoWrite", "input": todos }), None),
        ("tool_result", json!({ "id": "t", "name": "TodoWrite", "content": "Todos were changed. Go on.", "isError": false }), None),
    ];
    assert_eq!(plain(&rendered(look(), &events)), "● Plan\n  ✓ Look\n  · Mend\n");
}

#[test]
fn answers_say_the_tool_first() {
    let answer = |data: Value| plain(&rendered(look(), &[("status", data, None)]));
    let said = json!({ "approvalId": "a", "tool": "Bash", "approved": false, "decision": "deny", "by": "admin", "reason": "not now" });
    assert_eq!(answer(said), "✗ Bash denied by the owner: not now\n");
    assert_eq!(
        answer(json!({ "approvalId": "a", "tool": "Bash", "approved": false, "expired": true, "by": "daemon" })),
        "✗ Bash denied: nobody answered in time\n"
    );
    assert_eq!(answer(json!({ "approvalId": "a", "withdrawn": "it was interrupted" })), "The agent no longer asks: it was interrupted\n");
    assert_eq!(answer(json!({ "approvalId": "a", "parked": true })), "The question is parked until somebody answers it.\n");
}

#[test]
fn an_error_is_said_once() {
    let error = json!({ "message": "Claude Code failed: API Error: 500 no" });
    let events = [("text", json!("API Error: 500 no"), None), ("error", error.clone(), None), ("error", error, None)];
    assert_eq!(plain(&rendered(look(), &events)), "API Error: 500 no\nError: Claude Code failed\n");
    let failed = json!({ "message": "It is broken." });
    let turns = [("error", failed.clone(), None), ("system", json!({ "subtype": "prompt", "text": "again" }), None), ("error", failed, None)];
    assert_eq!(plain(&rendered(look(), &turns)), "Error: It is broken.\n› again\nError: It is broken.\n");
    let mut renderer = Renderer::new(look());
    let _shown = renderer.event(&event("error", json!({ "message": "It is broken." }), None));
    assert!(renderer.has_told("It is broken.") && !renderer.has_told("Something else."));
    assert_eq!(plain(&rendered(look(), &[("error", json!({ "odd": 1 }), None)])), "Error: The agent failed and did not say why.\n");
}

#[test]
fn changes_are_coloured_and_thoughts_are_faint() {
    let events: Vec<_> = every_kind().into_iter().filter(|(kind, ..)| matches!(*kind, "thinking" | "tool_use")).collect();
    let text = rendered(Look { verbose: true, ..look() }, &events);
    assert!(text.contains("\u{1b}[32m+    4\u{1b}[0m") && text.contains("\u{1b}[31m-    3\u{1b}[0m"), "{text:?}");
    assert!(text.contains("\u{1b}[2mLet me \u{1b}[0m\u{1b}[2mlook."), "{text:?}");
}

#[test]
fn long_changes_say_how_to_see_the_rest() {
    let diff: String = (0..60).map(|line| format!("+line {line}\n")).collect();
    let text = plain(&rendered(look(), &[("tool_use", json!({ "id": "t", "name": "Edit", "input": {}, "path": "x", "diff": diff }), None)]));
    assert!(text.contains("+line 39\n") && !text.contains("+line 40"), "{text}");
    assert!(text.ends_with("  20 more lines (loopsy task show 7f3a01c2 --full)\n"), "{text}");
    let text = plain(&rendered(Look { full: true, ..look() }, &[("tool_use", json!({ "id": "t", "name": "Edit", "input": {}, "diff": diff }), None)]));
    assert!(text.contains("+line 59"));
}

proptest! {
    /// Whatever an agent says, in whatever kind of event: once our own styles are taken away, nothing is left that drives a terminal.
    #[test]
    fn nothing_that_an_agent_says_drives_the_terminal(text in any::<String>(), which in 0usize..31, field in "text|message|content|name|path|diff|subtype|by|reason|command|approvalId|signal") {
        let hostile = format!("{text}\u{1b}]0;x\u{7}\u{1b}[2J\u{202e}\r\u{9b}31m");
        let (kind, mut data, block) = every_kind().swap_remove(which);
        match &mut data {
            Value::Object(object) => drop(object.insert(field, json!(hostile))),
            other => *other = json!(hostile),
        }
        for look in [look(), Look { verbose: true, full: true, ..look() }] {
            let shown = rendered(look, &[(kind, data.clone(), block)]);
            // Our own styles are `ESC [ digits m`, and nothing else begins with ESC.
            let mut rest = shown.as_str();
            while let Some((before, after)) = rest.split_once('\u{1b}') {
                prop_assert!(!before.chars().any(|c| c != '\n' && loopsy_shared::text::is_active(c)), "{before:?}");
                let (style, behind) = after.split_once('m').unwrap_or((after, ""));
                prop_assert!(style.strip_prefix('[').is_some_and(|codes| codes.chars().all(|c| c.is_ascii_digit() || c == ';')), "{after:?}");
                rest = behind;
            }
            prop_assert!(!rest.chars().any(|c| c != '\n' && loopsy_shared::text::is_active(c)), "{rest:?}");
        }
    }

    /// However the text of a block is cut into pieces, it reads the same.
    #[test]
    fn pieces_of_a_block_join_without_a_break(text in "[a-z\n]{0,40}", cut in 0usize..40) {
        let (one, two) = text.split_at(cut.min(text.len()));
        let whole = rendered(look(), &[("text", json!(text), Some(1))]);
        prop_assert_eq!(whole, rendered(look(), &[("text", json!(one), Some(1)), ("text", json!(two), Some(1))]));
    }
}

fn task(id: &str, status: TaskStatus) -> TaskInfo {
    let known = json!({ "taskId": id, "prompt": "fix the flaky test", "status": status.as_str(), "startedAt": NOON - 64_000, "updatedAt": NOON, "fromNodeId": "leo",
        "agent": "claude", "cwd": "/home/leo/loopsy" });
    serde_json::from_value(known).unwrap()
}

fn finished() -> TaskInfo {
    TaskInfo {
        completed_at: Some(NOON),
        ended_by: Some(EndedBy::Agent),
        cost_usd: Some(0.0421),
        usage: Usage { input_tokens: 12_300, output_tokens: 950, cached_tokens: 40_000 },
        turns: 2,
        resumable: true,
        ..task("7f3a01c2-0000-4000-8000-000000000001", TaskStatus::Completed)
    }
}

#[test]
fn one_task_reads_well() {
    assert_snapshot!(
        "ending",
        [
            finished(),
            TaskInfo { status: TaskStatus::Failed, error: Some("The agent ended with code 1.\nIt said: no".to_owned()), ..finished() },
            TaskInfo { status: TaskStatus::Cancelled, ended_by: Some(EndedBy::Interrupt), ..finished() },
        ]
        .iter()
        .map(|task| plain(&ending(task)))
        .collect::<Vec<_>>()
        .join("\n")
    );
    let whole = TaskInfo {
        prompt: "fix\nthe \u{1b}[2Jtest".to_owned(),
        agent_version: Some("2.1.0".to_owned()),
        model: Some("opus".to_owned()),
        mode: TaskMode::Interactive,
        terminal_id: Some("term-1".into()),
        worktree: Some(Worktree { repository: "/r".to_owned(), path: "/r-7f3a".to_owned(), branch: "loopsy/7f3a".to_owned(), base: "0".repeat(40) }),
        session_id: Some("s-1".to_owned()),
        approvals: vec!["11112222-0000-4000-8000-000000000001".into()],
        last_event: 31,
        error: Some("gone".to_owned()),
        exit_code: Some(0),
        pid: Some(77),
        ..finished()
    };
    assert_snapshot!("page", plain(&page(&whole, Some("kai"), NOON, &TimeZone::UTC).join("\n")));
}

#[test]
fn the_list_is_a_table() {
    let waiting = TaskInfo { approvals: vec!["a".into(), "b".into()], ..task("91bc0000-0000-4000-8000-000000000002", TaskStatus::WaitingApproval) };
    let hostile = TaskInfo {
        prompt: "\u{202e}evil\u{1b}[31m and very long, so long that nobody wants to read the whole of it here".to_owned(),
        ..task("aaaa0000-1", TaskStatus::Failed)
    };
    let yesterday = TaskInfo { started_at: NOON - 86_400_000, ..finished() };
    assert_snapshot!("list", plain(&table(&[task("00c1", TaskStatus::Running), waiting, hostile, yesterday], NOON, &TimeZone::UTC).lines().join("\n")));
}

#[test]
fn a_beginning_must_be_long_enough_and_fit_one() {
    let all = || vec!["7f3a01", "7f3a02", "91bc03"];
    assert_eq!(only("91bc", "task", all(), |id| *id).unwrap(), "91bc03");
    for (beginning, says) in [("91b", "too short"), ("7f3a", "the beginning of 2 tasks"), ("0000", "There is no task"), ("\u{1b}[2J", "u{1b}")] {
        let said = explain(&only(beginning, "task", all(), |id| *id).unwrap_err()).message;
        assert!(said.contains(says), "{said}");
    }
}

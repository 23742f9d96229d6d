//! `loopsy task` and `loopsy approvals` from outside, against a daemon that does what a test wants: what is printed, what is asked, how it ends.

pub(crate) mod fake;
mod person;

use rustix::process::Signal;
use serde_json::{Value, json};

use self::fake::{APPROVAL, Fake, HASH, TASK, approval};
use crate::support::{Dialogue, Home};

/// A task that says two lines in pieces and ends.
fn told(fake: &Fake, status: &str) {
    fake.event("text", json!("one "), Some(1));
    fake.event("text", json!("two"), Some(1));
    fake.event("tool_use", json!({ "id": "t", "name": "Bash", "input": { "command": "ls \u{1b}[2J" } }), None);
    fake.event("text", json!("three"), Some(2));
    fake.end(status);
}

#[test]
fn a_run_is_told_to_its_end_and_ends_like_the_task() {
    for (status, code) in [("completed", 0), ("failed", 1), ("cancelled", 130)] {
        let fake = Fake::new();
        told(&fake, status);
        let ran = fake.home.loopsy(&["task", "run", "fix it"]);
        assert_eq!(ran.code, code, "{} {}", ran.text(), ran.err);
        assert!(ran.text().starts_with("one two\n● Bash ls \\u{1b}[2J\nthree\n"), "{}", ran.text());
        assert!(ran.text().contains(&format!("{status}  2 turns  $0.0421  1 min 4 s")), "{}", ran.text());
        let go_on = if status == "completed" { "loopsy task send 7f3a01c2" } else { "loopsy task resume 7f3a01c2" };
        assert!(ran.err.contains(go_on), "{}", ran.err);
    }
}

#[test]
fn a_broken_connection_loses_and_doubles_nothing() {
    for forgetful in [false, true] {
        let fake = Fake::new();
        for word in 0..30 {
            fake.event("text", json!(format!("w{word} ")), Some(1));
        }
        fake.change(|world| (world.cuts, world.forgetful) = ([1, 7, 8, 29, 30].into(), forgetful));
        fake.end("completed");
        let ran = fake.home.loopsy(&["task", "run", "fix it"]).ok();
        let words: String = (0..30).map(|word| format!("w{word} ")).collect();
        assert_eq!(ran.text().lines().next().unwrap(), words);
        let lasts: Vec<_> = fake.look(|world| world.asked.iter().filter(|asked| asked.line.contains("/stream")).map(|asked| asked.last.clone()).collect());
        assert_eq!(lasts, [None, Some("1"), Some("7"), Some("8"), Some("29"), Some("30")].map(|last| last.map(str::to_owned)));
    }
}

#[test]
fn every_option_reaches_the_daemon() {
    let fake = Fake::new();
    told(&fake, "completed");
    let line = [
        "task",
        "run",
        "--on",
        "kai",
        "-a",
        "codex",
        "-m",
        "big",
        "-C",
        "src",
        "--permission-mode",
        "accept-edits",
        "--allow",
        "Read",
        "--allow",
        "Bash(git log:*)",
    ];
    let more = [
        "--deny",
        "Web",
        "--budget",
        "2.5",
        "-t",
        "30m",
        "--worktree",
        "--no-queue",
        "--park",
        "--detach",
        "--resume-session",
        "s-1",
        "do it",
        "--",
        "--effort",
        "high",
    ];
    let ran = fake.home.loopsy(&[&line[..], &more[..]].concat());
    // The door to a peer is not there, and that is said; the request was sent as it should be.
    ran.refused(1);
    let asked = fake.look(|world| world.asked[0].clone());
    assert_eq!(asked.line, "POST /api/v1/at/kai/ai-tasks");
    let expected = json!({ "prompt": "do it", "cwd": "src", "agent": "codex", "permissionMode": "acceptEdits", "mode": "headless", "model": "big", "maxBudgetUsd": 2.5,
        "allowedTools": ["Read", "Bash(git log:*)"], "disallowedTools": ["Web"], "additionalArgs": ["--effort", "high"], "resumeSessionId": "s-1",
        "timeout": 1_800_000.0, "worktree": true, "queue": false, "park": true });
    assert_eq!(asked.body, expected);
    let ran = fake.home.loopsy(&["task", "run", "--detach", "do it"]).ok();
    assert_eq!(ran.text().trim(), TASK);
    let body = fake.look(|world| world.asked[1].body.clone());
    assert_eq!((body["cwd"].as_str(), &body["queue"]), (fake.home.home().to_str(), &json!(true)));
    let ran = fake.home.loopsy(&["task", "run", "--interactive", "do it"]);
    assert!(ran.refused(2).contains("terminal"));
    assert_eq!(fake.look(|world| world.asked.len()), 2, "nothing was started that nobody can see");
}

#[test]
fn prompts_come_from_where_they_are() {
    let fake = Fake::new();
    let said = |fake: &Fake| fake.look(|world| world.asked.last().map(|asked| asked.body["prompt"].clone()));
    for args in [&["task", "run", "-d", "-"][..], &["task", "run", "-d"]] {
        fake.home.loopsy_with(args, "- begins with a dash\nand has lines\n").ok();
        assert_eq!(said(&fake), Some(json!("- begins with a dash\nand has lines\n")));
    }
    let before = fake.count("POST");
    fake.home.loopsy_with(&["task", "run"], " \n").refused(2);
    fake.home.loopsy(&["task", "run"]).refused(2);
    fake.home.loopsy_with(&["task", "run", "-"], [0xff, 0xfe]).refused(1);
    fake.home.loopsy_with(&["task", "run", "-"], "x".repeat((4 << 20) + 1)).refused(1);
    fake.home.loopsy(&["task", "run", "--budget", "-1", "x"]).refused(2);
    assert_eq!(fake.count("POST"), before, "nothing was begun");
    let megabyte = "x".repeat(1 << 20);
    fake.home.loopsy_with(&["task", "run", "-d", "-"], megabyte.clone()).ok();
    assert_eq!(said(&fake), Some(json!(megabyte)));
}

#[test]
fn ctrl_c_interrupts_then_cancels() {
    let fake = Fake::new();
    fake.event("text", json!("working\n"), Some(1));
    let mut run = Dialogue::start(&fake.home, &["task", "run", "fix it"]);
    run.line_with("working");
    run.signal(Signal::INT);
    fake.wait("the interrupt", |world| world.asked.iter().any(|asked| asked.line.ends_with("/interrupt")).then_some(()));
    assert_eq!(fake.count("DELETE"), 0);
    run.signal(Signal::INT);
    fake.wait("the cancel", |world| world.asked.iter().any(|asked| asked.line.starts_with("DELETE")).then_some(()));
    let ran = run.end();
    assert_eq!(ran.code, 130, "{}", ran.err);
    assert!(ran.err.contains("Interrupting") && ran.err.contains("Cancelling"), "{}", ran.err);
}

#[test]
fn leaving_leaves_the_task_alone() {
    let fake = Fake::new();
    fake.event("text", json!("working\n"), Some(1));
    for (args, signal, code) in
        [(["task", "run", "fix it"], Signal::HUP, 129), (["task", "run", "fix it"], Signal::TERM, 143), (["task", "tail", "7f3a"], Signal::INT, 130)]
    {
        let mut run = Dialogue::start(&fake.home, &args);
        run.line_with("working");
        run.signal(signal);
        let ran = run.end();
        assert_eq!(ran.code, code, "{}", ran.err);
        assert!(ran.err.contains("loopsy task tail 7f3a01c2"), "{}", ran.err);
    }
    assert_eq!(fake.count("DELETE") + fake.look(|world| world.asked.iter().filter(|asked| asked.line.contains("interrupt")).count()), 0);
}

#[test]
fn a_question_without_a_person_says_how_to_answer() {
    let fake = Fake::new();
    fake.ask(&approval(APPROVAL, "rm -rf target"));
    fake.end("completed");
    let ran = fake.home.loopsy(&["task", "run", "fix it"]).ok();
    assert!(ran.text().contains("? asks: Bash rm -rf target\n  loopsy approvals show 11112222\n"), "{}", ran.text());
    assert_eq!(fake.count("POST /api/v1/approvals"), 0);
}

#[test]
fn json_is_the_apis() {
    let fake = Fake::new();
    told(&fake, "failed");
    let ran = fake.home.loopsy(&["task", "tail", TASK, "--json"]);
    assert_eq!(ran.code, 1);
    let events: Vec<Value> = ran.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.iter().map(|event| event["seq"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4, 0]);
    assert_eq!(fake.home.loopsy(&["task", "list", "--json"]).ok().json()["tasks"][0]["taskId"], TASK);
    let shown = fake.home.loopsy(&["task", "show", "7f3a", "--events", "--json"]).ok().json();
    assert_eq!((shown["taskId"].as_str(), shown["events"].as_array().map(Vec::len)), (Some(TASK), Some(4)));
    fake.ask(&approval(APPROVAL, "ls"));
    assert_eq!(fake.home.loopsy(&["approvals", "--json"]).ok().json()["approvals"][0]["sha256"], HASH);
    assert_eq!(fake.home.loopsy(&["approvals", "deny", "1111", "--json"]).ok().json()["state"], "denied");
}

#[test]
fn tasks_are_shown_talked_to_and_ended() {
    let fake = Fake::new();
    told(&fake, "completed");
    let shown = fake.home.loopsy(&["task", "show", "7f3a", "--full"]).ok().text();
    assert!(shown.contains("completed") && shown.contains("one two\n") && shown.contains("three"), "{shown}");
    assert!(fake.home.loopsy(&["task", "show", "7f3"]).refused(2).contains("at least four"));
    assert!(fake.home.loopsy(&["task", "show", "0000"]).refused(1).contains("no task"));
    // The same request would delete what has ended.
    assert!(fake.home.loopsy(&["task", "cancel", "7f3a"]).refused(1).contains("nothing to cancel"));
    assert!(fake.home.loopsy(&["task", "interrupt", "7f3a"]).refused(1).contains("nothing to interrupt"));
    assert!(fake.home.loopsy(&["task", "delete", "7f3a"]).refused(1).contains("Nothing was deleted"));
    assert_eq!(fake.count("DELETE"), 0);
    fake.home.loopsy(&["task", "delete", "7f3a", "--yes"]).ok();
    assert_eq!(fake.count("DELETE"), 1);
    fake.home.loopsy(&["task", "send", "7f3a", "and the docs"]).ok();
    fake.home.loopsy(&["task", "resume", "7f3a"]).ok();
    assert_eq!(
        fake.look(|world| world.asked.iter().filter(|asked| asked.line.ends_with("/message")).map(|asked| asked.body["text"].clone()).collect::<Vec<_>>()),
        ["and the docs"]
    );
    fake.change(|world| world.task = fake::task("running"));
    assert!(fake.home.loopsy(&["task", "delete", "7f3a", "-y"]).refused(1).contains("has not ended"));
    fake.home.loopsy(&["task", "cancel", "7f3a"]).ok();
    assert_eq!(fake.count("DELETE"), 2);
}

#[test]
fn a_script_can_only_allow_what_it_looked_at() {
    let fake = Fake::new();
    fake.ask(&approval(APPROVAL, "rm -rf target"));
    let shown = fake.home.loopsy(&["approvals", "show", "1111"]).ok().text();
    assert!(shown.contains("| rm -rf target\n") && shown.contains(HASH), "{shown}");
    for args in [&["approvals", "allow", "1111"][..], &["approvals", "always", "1111"], &["approvals", "allow", "1111", "--sha256", "b61ec0d"]] {
        assert!(fake.home.loopsy(args).refused(2).to_lowercase().contains("hash"));
    }
    assert!(fake.home.loopsy(&["approvals", "allow", "1111", "--sha256", "00000000"]).refused(1).contains("not what you looked at"));
    assert_eq!(fake.count("POST /api/v1/approvals/"), 0);
    let changed = fake.home.write("input.json", r#"{"command":"cargo clean"}"#);
    fake.home.loopsy(&["approvals", "allow", "1111", "--sha256", "B61EC0DE", "--input", changed.to_str().unwrap()]).ok();
    let body = fake.look(|world| world.asked.last().unwrap().body.clone());
    assert_eq!(body, json!({ "sha256": HASH, "decision": "allow", "input": { "command": "cargo clean" } }));
    // The second answer is told who was first.
    assert!(fake.home.loopsy(&["approvals", "deny", APPROVAL]).refused(1).contains("too late"));
}

#[test]
fn a_no_and_a_rule_need_no_hash_and_unseen_peers_are_said() {
    let fake = Fake::new();
    let listed = fake.home.loopsy(&["approvals"]).ok();
    assert!(listed.text().contains("Nothing waits") && listed.err.contains("`kai`"), "{} {}", listed.text(), listed.err);
    fake.ask(&approval(APPROVAL, "git log"));
    assert!(fake.home.loopsy(&["approvals", "rules", "from", "1111"]).refused(1).contains("Nothing was added"));
    assert!(fake.home.loopsy(&["approvals", "rules", "from", "1111", "--yes"]).ok().text().contains("git log"));
    assert_eq!(fake.look(|world| world.rules.clone()), [json!({ "do": "allow", "agent": "claude", "tool": "Bash", "command": "git log" })]);
    fake.home.loopsy(&["approvals", "stop", "1111", "--reason", "not now"]).ok();
    assert_eq!(fake.look(|world| world.approvals[APPROVAL]["decision"]["reason"].clone()), "not now");
    assert!(fake.home.loopsy(&["approvals", "rules", "add", "--do", "allow"]).refused(2).contains("name something"));
    fake.home.loopsy(&["approvals", "rules", "add", "--do", "deny", "--command", "rm"]).ok();
    assert!(fake.home.loopsy(&["approvals", "rules", "remove", "1"]).refused(1).contains("Nothing was removed"));
    fake.home.loopsy(&["approvals", "rules", "remove", "1", "-y"]).ok();
    assert_eq!(fake.look(|world| world.rules.clone()), [json!({ "do": "deny", "command": "rm" })]);
    let told = fake.home.loopsy(&["approvals", "test", "rm -rf x"]).ok().text();
    assert!(told.contains("denied without asking") && told.contains("rule 1") && told.contains("rm -rf x"), "{told}");
    assert_eq!(fake.look(|world| world.asked.last().unwrap().body["command"].clone()), "rm -rf x");
}

#[test]
fn a_question_is_answered_by_answers() {
    let fake = Fake::new();
    let mut asked = approval(APPROVAL, "");
    asked["kind"] = json!("question");
    asked["questions"] = json!([{ "id": "db", "question": "Which database?", "options": [{ "label": "Postgres" }, { "label": "SQLite" }] }]);
    fake.ask(&asked);
    assert!(fake.home.loopsy(&["approvals", "allow", "1111", "--sha256", HASH]).refused(1).contains("approvals answer"));
    assert!(fake.home.loopsy(&["approvals", "answer", "1111", "--sha256", HASH, "x=1"]).refused(2).contains("Which database?"));
    fake.home.loopsy(&["approvals", "answer", "1111", "--sha256", HASH, "1=2"]).ok();
    let body = fake.look(|world| world.asked.last().unwrap().body.clone());
    assert_eq!(body, json!({ "sha256": HASH, "decision": "allow", "answers": { "db": ["SQLite"] } }));
}

#[test]
fn watching_without_a_person_prints_lines() {
    let fake = Fake::new();
    fake.ask(&approval(APPROVAL, "ls"));
    let mut watch = Dialogue::start(&fake.home, &["approvals", "watch"]);
    watch.line_with("asks Bash ls");
    fake.home.loopsy(&["approvals", "deny", "1111"]).ok();
    watch.line_with("denied by owner");
    let mut other = approval("99992222-3333-4444-8555-666677778888", "rm x");
    other["nodeId"] = json!("node-2");
    fake.ask(&other);
    watch.line_with("99992222");
    watch.signal(Signal::INT);
    assert_eq!(watch.end().code, 130);
    assert_eq!(fake.count("POST"), 1, "watching answers nothing");
}

#[test]
fn help_reads_well() {
    let home = Home::bare("help");
    for (name, args) in [
        ("task", &["task", "--help"][..]),
        ("task_run", &["task", "run", "--help"]),
        ("task_tail", &["task", "tail", "--help"]),
        ("approvals", &["approvals", "--help"]),
        ("approvals_allow", &["approvals", "allow", "--help"]),
        ("approvals_watch", &["approvals", "watch", "--help"]),
        ("approvals_rules_add", &["approvals", "rules", "add", "--help"]),
        ("approvals_test", &["approvals", "test", "--help"]),
    ] {
        let mut command = home.command(args);
        let text = command.env("COLUMNS", "100").output().unwrap().stdout;
        insta::assert_snapshot!(format!("help_{name}"), String::from_utf8(text).unwrap());
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = home.loopsy(&["completions", shell]).ok().text();
        assert!(script.contains("permission-mode") && script.contains("bypass-permissions") && !script.contains("__hook"), "{shell}");
    }
}

//! What an agent's hook runs: it asks the daemon, and whatever goes wrong is a no.

use std::process::Stdio;

use serde_json::json;

use super::task_cli::fake::{Fake, TASK};
use crate::support::{Ran, cli::finish};

const QUESTION: &str = r#"{"hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"rm -rf x"}}"#;

fn with_token() -> Fake {
    let fake = Fake::new();
    let dir = fake.home.data().join("tasks").join(TASK);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("token"), "lpk_tasktoken\n").unwrap();
    fake
}

fn hook(fake: &Fake, task: &str, input: impl Into<Vec<u8>>) -> Ran {
    let data = fake.home.data();
    // An agent's environment says nothing about where the node is.
    let mut command = fake.home.command(&["__hook", data.to_str().unwrap(), task]);
    command.env_remove("LOOPSY_DATA_DIR").stdin(Stdio::piped());
    finish(command.spawn().unwrap(), input.into())
}

fn reply(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

/// Nothing for the agent to read, a sentence for people, and the code that means no.
#[track_caller]
fn is_no(ran: &Ran, says: &str) {
    let err = ran.refused(2);
    assert!(ran.out.is_empty(), "{}", ran.text());
    assert!(err.contains("so it is not") && err.contains(says) && err.trim_end().lines().count() == 1, "{err}");
    assert!(!err.contains("lpk_"), "{err}");
}

#[test]
fn the_answer_is_passed_on_as_one_line() {
    let fake = with_token();
    fake.change(|world| world.hook = Some(reply("{\"output\": {\n\"hookSpecificOutput\": {\"permissionDecision\": \"allow\"}}}")));
    let ran = hook(&fake, TASK, QUESTION).ok();
    assert_eq!(ran.text(), "{\"hookSpecificOutput\":{\"permissionDecision\":\"allow\"}}\n");
    let asked = fake.look(|world| world.asked[0].clone());
    assert_eq!(asked.line, format!("POST /api/v1/ai-tasks/{TASK}/hook"));
    assert_eq!(asked.key, "Bearer lpk_tasktoken", "the task's token, not the owner's key");
    assert_eq!(asked.body["event"]["tool_input"], json!({ "command": "rm -rf x" }));
}

#[test]
fn a_connection_that_breaks_is_a_no() {
    let fake = with_token();
    let whole = reply(r#"{"output":{"permissionDecision":"allow"}}"#);
    for bytes in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Le", &whole[..whole.len() - 1], &whole[..whole.len() - 30]] {
        fake.change(|world| world.hook = Some(bytes.to_vec()));
        is_no(&hook(&fake, TASK, QUESTION), "");
    }
    assert_eq!(fake.count("POST"), 4, "a question is asked once");
}

#[test]
fn an_answer_that_is_none_is_a_no() {
    let fake = with_token();
    for body in ["", "null", "{}", r#"{"output":null}"#, r#"{"output":"allow"}"#, r#"{"output":[]}"#, r#"{"output":true}"#, "<html>ok</html>", "{\"output\":{}"]
    {
        fake.change(|world| world.hook = Some(reply(body)));
        is_no(&hook(&fake, TASK, QUESTION), "not understood");
    }
    for status in ["301 Moved\r\nLocation: http://127.0.0.1:1/", "401 No", "403 No", "404 No", "409 No", "429 No", "500 Oops", "503 Oops"] {
        let body = r#"{"output":{"permissionDecision":"allow"}}"#;
        fake.change(|world| world.hook = Some(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).into_bytes()));
        is_no(&hook(&fake, TASK, QUESTION), "");
    }
}

#[test]
fn what_is_missing_is_a_no_and_nobody_is_asked() {
    let fake = with_token();
    fake.change(|world| world.hook = Some(reply(r#"{"output":{}}"#)));
    is_no(&hook(&fake, TASK, "not json"), "question");
    is_no(&hook(&fake, TASK, ""), "question");
    is_no(&hook(&fake, "7f3a01c2-0000-4000-8000-000000000002", QUESTION), "token");
    is_no(&hook(&fake, "../tasks", QUESTION), "id");
    is_no(&finish(fake.home.command(&["__hook"]).stdin(Stdio::piped()).spawn().unwrap(), Vec::new()), "needs");
    is_no(&finish(fake.home.command(&["__hook", "--help"]).stdin(Stdio::piped()).spawn().unwrap(), Vec::new()), "needs");
    let token = fake.home.data().join("tasks").join(TASK).join("token");
    std::fs::write(&token, "\n").unwrap();
    is_no(&hook(&fake, TASK, QUESTION), "empty");
    std::fs::write(&token, "lpk_x\u{1b}").unwrap();
    is_no(&hook(&fake, TASK, QUESTION), "");
    std::fs::write(&token, "lpk_x").unwrap();
    std::fs::write(fake.home.data().join("daemon.json"), "{").unwrap();
    is_no(&hook(&fake, TASK, QUESTION), "address");
    std::fs::remove_file(fake.home.data().join("daemon.json")).unwrap();
    is_no(&hook(&fake, TASK, QUESTION), "address");
    assert_eq!(fake.count("POST"), 0);
}

#[test]
fn the_token_goes_to_no_stranger_on_a_dead_daemons_port() {
    let mut fake = with_token();
    fake.change(|world| world.hook = Some(reply(r#"{"output":{}}"#)));
    fake.die();
    is_no(&hook(&fake, TASK, QUESTION), "does not run");
    assert_eq!(fake.count(""), 0);
}

#[test]
fn it_waits_for_a_person_and_a_daemon_that_dies_meanwhile_is_a_no() {
    let fake = with_token();
    let data = fake.home.data();
    let start = || {
        let mut command = fake.home.command(&["__hook", data.to_str().unwrap(), TASK]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), QUESTION.as_bytes()).unwrap();
        child
    };
    let mut child = start();
    fake.wait("the question", |world| (!world.asked.is_empty()).then_some(()));
    assert!(child.try_wait().unwrap().is_none(), "it did not wait");
    fake.change(|world| world.hook = Some(reply(r#"{"output":{"ok":true}}"#)));
    assert_eq!(finish(child, Vec::new()).ok().text(), "{\"ok\":true}\n");
    fake.change(|world| world.hook = None);
    let child = start();
    fake.wait("the second question", |world| (world.asked.len() == 2).then_some(()));
    fake.change(|world| world.hook = Some(Vec::new()));
    is_no(&finish(child, Vec::new()), "");
}

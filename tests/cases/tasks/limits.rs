//! How many run, how long, where, and with what rights.

use serde_json::json;

use super::Node;
use crate::support::{Home, TestDaemon, fake_agent::Plan, until};

#[test]
fn of_a_burst_exactly_three_run_and_the_others_wait_their_turn() {
    let node = Node::new(&Plan::begun("s").step("hang"));
    let ids: Vec<String> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..10).map(|_| scope.spawn(|| node.start())).collect();
        starting.into_iter().map(|one| one.join().unwrap()).collect()
    });
    until("three run", || (node.agent.runs().len() == 3).then_some(()));
    let states = || -> Vec<String> { ids.iter().map(|id| node.task(id)["status"].as_str().unwrap().to_owned()).collect() };
    assert_eq!(states().iter().filter(|state| *state == "running").count(), 3);
    assert_eq!(states().iter().filter(|state| *state == "pending").count(), 7);
    node.dispatch(json!({ "queue": false })).refused(429, 6002);
    let status = node.daemon.get("/api/v1/status").ok().json();
    assert_eq!((&status["tasks"]["running"], &status["tasks"]["queued"]), (&json!(3), &json!(7)));

    let running = ids.iter().find(|id| node.task(id)["status"] == "running").unwrap();
    node.daemon.call("DELETE", &format!("/api/v1/ai-tasks/{running}"), None).ok();
    until("the next one runs", || (node.agent.runs().len() == 4).then_some(()));
    let waiting = ids.iter().find(|id| node.task(id)["status"] == "pending").unwrap();
    node.daemon.call("DELETE", &format!("/api/v1/ai-tasks/{waiting}"), None).ok();
    assert_eq!(node.task(waiting)["status"], "cancelled");

    let more = std::fs::read_to_string(node.daemon.home.config()).unwrap() + "\nagents:\n  maxConcurrent: 6\n";
    std::fs::write(node.daemon.home.config(), more).unwrap();
    until("more run at once", || (states().iter().filter(|state| *state == "running").count() == 6).then_some(()));
}

#[test]
fn what_waits_for_a_place_survives_a_crash() {
    let mut node = Node::with(&Plan::begun("s").step("hang"), &[("agents", "  maxConcurrent: 1")]);
    let (first, second) = (node.start(), node.start());
    until("one runs", || (node.agent.runs().len() == 1).then_some(()));
    node.daemon.kill9();
    node.agent.plan(&Plan::begun("s").result("done").step("listen"));
    node.daemon.launch(&[]);
    node.until_it_is(&second, "completed");
    assert_eq!(node.task(&first)["endedBy"], "restart");
}

#[test]
fn the_time_of_a_task_ends_it_but_not_while_a_person_is_asked() {
    let node = Node::new(&Plan::begun("s").text("Working.").step("hang"));
    let id = node.dispatch(json!({ "timeout": 300 })).json()["taskId"].as_str().unwrap().to_owned();
    let task = node.until_it_is(&id, "cancelled");
    assert_eq!(task["endedBy"], "timeout");
    assert!(task["error"].as_str().unwrap().contains("time was up"), "{task}");

    let marker = node.daemon.home.root().join("asked");
    node.agent.plan(&Plan::begun("s").ask("true", &marker).result("done").step("listen"));
    let id = node.dispatch(json!({ "timeout": 2000 })).json()["taskId"].as_str().unwrap().to_owned();
    let question = node.question(&id);
    // More than the task's whole time goes by, and is the person's.
    let asked_at = question["askedAt"].as_u64().unwrap();
    until("the time of the task has passed", || (loopsy_shared::time::now() > asked_at + 2500).then_some(()));
    node.decide(&question, "allow").ok();
    node.until_it_is(&id, "completed");
}

#[test]
fn rights_are_not_widened_by_whoever_asks() {
    let mut node = Node::new(&Plan::begun("s").result("done").step("listen"));
    for (body, status, code) in [
        (json!({ "additionalArgs": ["--settings", "{}"] }), 403, 6011),
        (json!({ "additionalArgs": ["--dangerously-skip-permissions"] }), 403, 6011),
        (json!({ "additionalArgs": ["--mcp-config=x"] }), 403, 6011),
        (json!({ "cwd": "/nowhere/at/all" }), 400, 4001),
        (json!({ "cwd": "/etc" }), 400, 4001),
        (json!({ "prompt": "" }), 400, 9003),
        (json!({ "prompt": "a\u{0}b" }), 400, 9003),
        (json!({ "agent": "nosuch" }), 500, 6007),
        (json!({ "agent": "codex" }), 500, 6007),
        (json!({ "permissionMode": "everything" }), 400, 9003),
        (json!({ "maxBudgetUsd": -1 }), 400, 9003),
        (json!({ "worktree": true }), 400, 6003),
    ] {
        let said = node.dispatch(body.clone()).refused(status, code);
        assert!(!said.is_empty(), "{body}");
    }
    assert!(node.agent.runs().is_empty(), "nothing was started");
    let bypass = json!({ "prompt": "x", "permissionMode": "bypassPermissions" });
    let agent = node.daemon.home.agent_key();
    node.daemon.call_as(&agent, "POST", "/api/v1/ai-tasks", Some(bypass.clone())).refused(403, 6011);
    let peer = node.daemon.mint("kai");
    node.daemon.call_as(&peer, "POST", "/api/v1/ai-tasks", Some(bypass.clone())).refused(403, 6011);
    let config = std::fs::read_to_string(node.daemon.home.config()).unwrap() + "\nagents:\n  bypassFrom: [kai]\n";
    std::fs::write(node.daemon.home.config(), config).unwrap();
    node.daemon.stop();
    node.daemon.launch(&[]);
    assert_eq!(node.daemon.call_as(&peer, "POST", "/api/v1/ai-tasks", Some(bypass)).status, 201);
}

#[test]
fn where_no_agent_is_installed_it_says_what_to_install() {
    let daemon = TestDaemon::start(Home::init("leo"));
    let said = daemon.post("/api/v1/ai-tasks", json!({ "prompt": "x" })).refused(500, 6007);
    assert!(said.contains("claude") && said.contains("codex"), "{said}");
    let said = daemon.post("/api/v1/ai-tasks", json!({ "prompt": "x", "agent": "claude" })).refused(500, 6006);
    assert!(said.contains("install"), "{said}");
    assert_eq!(daemon.get("/api/v1/status").ok().json()["agents"], json!([]));
}

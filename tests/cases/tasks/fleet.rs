//! Approvals of another machine, seen and answered from here.

use serde_json::{Value, json};

use crate::support::{
    Home, Pair, TestDaemon,
    fake_agent::{FakeAgent, Plan},
    until,
};

#[test]
fn a_question_on_kai_is_seen_and_answered_on_leo() {
    let mut home = Home::init("kai");
    let agent = FakeAgent::install(&mut home, "claude", &Plan::bare());
    let marker = home.root().join("mark");
    agent.plan(&Plan::begun("s").ask("touch x", &marker).ask("touch y", &marker.with_extension("2")).result("done").step("listen"));
    let pair = Pair::after_pairing(TestDaemon::new("leo"), TestDaemon::start(home));
    let (leo, kai) = (&pair.leo, &pair.kai);
    let open = |daemon: &TestDaemon| daemon.get("/api/v1/approvals").ok().json()["approvals"].as_array().unwrap().clone();
    let started = leo.post("/api/v1/at/kai/ai-tasks", json!({ "prompt": "do it" }));
    assert_eq!(started.status, 201, "{}", started.text());
    let id = started.json()["taskId"].as_str().unwrap().to_owned();
    let there = until("the question", || open(kai).into_iter().next());
    assert!(open(leo).is_empty(), "a machine that may not approve does not see");
    leo.get(&format!("/api/v1/at/kai/approvals/{}", there["id"].as_str().unwrap())).refused(403, 1004);
    assert_eq!(kai.loopsy(&["peers", "allow", "leo", "approve"]).code, 0);

    let here = until("the question, seen from leo", || open(leo).into_iter().next());
    assert_eq!((&here["id"], &here["sha256"], &here["node"]), (&there["id"], &there["sha256"], &json!("kai")));
    let path = format!("/api/v1/approvals/{}", here["id"].as_str().unwrap());
    let answer = json!({ "decision": "allow", "sha256": here["sha256"] });
    leo.post(&path, json!({ "decision": "allow", "sha256": "0".repeat(64) })).refused(409, 6010);
    let said = leo.post(&path, answer.clone()).ok().json();
    assert_eq!((&said["state"], &said["decision"]["by"], &said["decision"]["delivered"]), (&json!("allowed"), &json!("leo"), &json!(true)));
    until("granted", || marker.exists().then_some(()));
    leo.post(&path, answer).refused(409, 6009);
    let second = until("the second question", || open(leo).into_iter().find(|next| next["id"] != here["id"]));
    let decided = kai.post(&format!("/api/v1/approvals/{}", second["id"].as_str().unwrap()), json!({ "decision": "deny", "sha256": second["sha256"] }));
    decided.ok();
    until("the card is gone on leo", || open(leo).is_empty().then_some(()));
    let stands = |id: &str| -> Value { leo.get(&format!("/api/v1/at/kai/ai-tasks/{id}")).ok().json() };
    let ended = until("the end, seen from leo", || Some(stands(&id)).filter(|task| task["status"] == "completed"));
    assert_eq!(ended["fromNodeId"], leo.node_id);
}

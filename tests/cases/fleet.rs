//! One stream for all machines: what a peer lets this one see, for as long as it does, and approvals of any machine answered from here.

use serde_json::{Value, json};

use crate::support::{
    Pair, Sse, TestDaemon,
    fake_peer::{FakePeer, Taking},
    until,
};

/// The next event that a test waits for.
#[track_caller]
fn wait_for(stream: &mut Sse, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    until(what, || Some(stream.next().data).filter(|event| fits(event)))
}

/// What a fresh stream says of a peer.
fn picture(at: &TestDaemon, name: &str) -> Option<Value> {
    let first = at.events("?fleet=true", None).next().data;
    first["fleet"].as_array().and_then(|fleet| fleet.iter().find(|picture| picture["node"] == name).cloned())
}

fn fresh(at: &TestDaemon, name: &str, topics: &Value) -> Value {
    until("a fresh picture", || picture(at, name).filter(|picture| picture["stale"] == false && picture["topics"] == *topics))
}

fn let_leo(pair: &Pair, scopes: Value) {
    pair.kai.call("PUT", &format!("/api/v1/peers/{}/scopes", pair.leo.node_id), Some(json!({ "scopes": scopes }))).ok();
}

#[test]
fn what_runs_there_shows_here_with_the_name_of_the_machine() {
    let pair = Pair::paired();
    let (leo, kai) = (&pair.leo, &pair.kai);
    let seen = fresh(leo, "kai", &json!(["jobs", "tasks"]));
    assert_eq!((&seen["nodeId"], &seen["approvals"]), (&json!(kai.node_id), &json!([])));
    let (mut fleet, mut plain) = (leo.events("?fleet=true&topics=jobs", None), leo.events("?topics=jobs", None));
    assert!(plain.next().data["fleet"].is_null(), "only those who ask for it");
    assert_eq!(fleet.next().data["fleet"][0]["tasks"], json!([]));
    let ran = kai.post("/api/v1/execute", json!({ "command": "true" })).ok().json();
    for running in [true, false] {
        let event = wait_for(&mut fleet, "a job of kai", |event| event["type"] == "peer" && event["event"]["job"]["running"] == running);
        assert_eq!((&event["node"], &event["nodeId"], &event["event"]["type"]), (&json!("kai"), &json!(kai.node_id), &json!("job-changed")), "{event}");
    }
    let jobs = fresh(leo, "kai", &json!(["jobs", "tasks"]))["jobs"].clone();
    assert_eq!(jobs.as_array().unwrap().len(), 1, "{jobs}");
    assert!(ran["jobId"].is_null() || jobs[0]["jobId"] == ran["jobId"], "{ran}");
    // The plain stream tells of this machine alone.
    leo.post("/api/v1/execute", json!({ "command": "true" })).ok();
    assert_eq!(plain.next().data["type"], "job-changed");
    // A stream of something else hears nothing of it.
    let mut others = leo.events("?fleet=true&topics=context", None);
    others.next();
    kai.post("/api/v1/execute", json!({ "command": "true" })).ok();
    wait_for(&mut fleet, "kai's second job", |event| event["type"] == "peer" && event["event"]["job"]["running"] == false);
    leo.put("a", "1").ok();
    assert_eq!(others.next().data["type"], "context-changed");
}

#[test]
fn rights_that_change_there_change_the_picture_here() {
    let pair = Pair::paired();
    let leo = &pair.leo;
    pair.kai.post("/api/v1/execute", json!({ "command": "true" })).ok();
    until("the job", || (fresh(leo, "kai", &json!(["jobs", "tasks"]))["jobs"].as_array().unwrap().len() == 1).then_some(()));
    let mut stream = leo.events("?fleet=true", None);
    stream.next();
    let_leo(&pair, json!(["status", "approve"]));
    let event = wait_for(&mut stream, "the new picture", |event| event["type"] == "peer-picture" && event["picture"]["topics"] == json!(["approvals"]));
    assert_eq!((&event["picture"]["jobs"], &event["picture"]["stale"]), (&json!([]), &json!(false)), "{event}");
    let_leo(&pair, json!(["status"]));
    fresh(leo, "kai", &json!([]));
    let_leo(&pair, json!(["status", "execute"]));
    assert_eq!(fresh(leo, "kai", &json!(["jobs"]))["jobs"].as_array().unwrap().len(), 1, "what was there before shows again");
}

#[test]
fn a_peer_that_is_away_is_stale_and_fresh_when_it_is_back() {
    let mut pair = Pair::paired_on_fixed_ports();
    let_leo(&pair, json!(["status", "execute", "approve"]));
    pair.kai.post("/api/v1/execute", json!({ "command": "true" })).ok();
    until("the job", || (fresh(&pair.leo, "kai", &json!(["jobs", "approvals"]))["jobs"].as_array().unwrap().len() == 1).then_some(()));
    assert_eq!(pair.leo.get("/api/v1/approvals").ok().json(), json!({ "approvals": [], "unseen": [] }));
    let mut stream = pair.leo.events("?fleet=true", None);
    stream.next();
    pair.kai.stop();
    let event = wait_for(&mut stream, "the stale picture", |event| event["type"] == "peer-picture" && event["picture"]["stale"] == true);
    assert_eq!(event["picture"]["jobs"].as_array().unwrap().len(), 1, "what was seen last is still there: {event}");
    assert!(event["picture"]["since"].as_u64().unwrap() > 0);
    assert_eq!(pair.leo.get("/api/v1/approvals").ok().json()["unseen"], json!(["kai"]));
    assert_eq!(pair.leo.get("/api/v1/approvals?local=true").ok().json()["unseen"], json!([]));
    let missing = pair.leo.get("/api/v1/approvals/00000000-0000-4000-8000-000000000000").refused(404, 6008);
    assert!(missing.contains("kai"), "{missing}");
    pair.kai.launch(&[]);
    let event = wait_for(&mut stream, "the fresh picture", |event| event["type"] == "peer-picture" && event["picture"]["stale"] == false);
    assert_eq!(event["picture"]["jobs"], json!([]), "of the new run: {event}");
    assert_eq!(pair.leo.get("/api/v1/approvals").ok().json()["unseen"], json!([]));
    // A daemon that starts anew knows of no peer what it does not know.
    pair.kai.kill9();
    pair.leo.stop();
    pair.leo.launch(&[]);
    assert_eq!(pair.leo.get("/api/v1/approvals").ok().json()["unseen"], json!(["kai"]));
    pair.kai.launch(&[]);
    fresh(&pair.leo, "kai", &json!(["jobs", "approvals"]));
}

#[test]
fn a_peer_that_is_removed_is_gone_at_once() {
    let pair = Pair::paired();
    fresh(&pair.leo, "kai", &json!(["jobs", "tasks"]));
    fresh(&pair.kai, "leo", &json!(["jobs", "tasks"]));
    let (mut here, mut there) = (pair.leo.events("?fleet=true", None), pair.kai.events("?fleet=true", None));
    here.next();
    there.next();
    pair.leo.call("DELETE", &format!("/api/v1/peers/{}", pair.kai.node_id), None).ok();
    wait_for(&mut here, "the end of kai's picture", |event| *event == json!({ "type": "peer-picture-removed", "nodeId": pair.kai.node_id }));
    wait_for(&mut there, "the end of leo's picture", |event| *event == json!({ "type": "peer-picture-removed", "nodeId": pair.leo.node_id }));
    assert!(picture(&pair.leo, "kai").is_none() && picture(&pair.kai, "leo").is_none());
    assert_eq!(pair.leo.get("/api/v1/approvals").ok().json()["unseen"], json!([]));
}

#[test]
fn peers_and_agents_see_nobodys_peers() {
    let pair = Pair::new();
    let (leo, mia) = (&pair.leo, pair.leo.mint("mia"));
    for key in [mia.as_str(), leo.home.agent_key().as_str()] {
        leo.call_as(key, "GET", "/api/v1/events?fleet=true", None).refused(403, 1004);
    }
    leo.call("GET", "/api/v1/at/kai/events?fleet=true", None).refused(403, 1004);
}

const ONE: &str = "00000001-0000-4000-8000-000000000001";
const TWO: &str = "00000001-0000-4000-8000-000000000002";

fn asked(node_id: &str, id: &str, at: u64) -> Value {
    json!({ "id": id, "nodeId": node_id, "node": "leo", "taskId": id, "agent": "claude", "kind": "tool", "tool": "Bash", "input": { "command": "ls" },
            "sha256": "ab", "cwd": "/", "paths": [], "flags": [], "suggestions": [], "questions": [], "defaultToNo": false, "mayEdit": false, "askedAt": at,
            "expiresAt": at + 1, "state": "pending" })
}

fn told(node_id: &str, approvals: &[Value]) -> Value {
    json!({ "type": "snapshot", "nodeId": node_id, "peers": [], "jobs": [], "transfers": [], "context": [], "tasks": [], "approvals": approvals })
}

/// A fake with these approvals, added to a node.
fn added(leo: &TestDaemon, name: &'static str, approvals: impl Fn(&str) -> Vec<Value>) -> FakePeer {
    let fake = FakePeer::new(name, &["status", "approve"], Value::Null);
    fake.part().snapshot = told(&fake.node_id, &approvals(&fake.node_id));
    let key = "lpk_".to_owned() + &"A".repeat(43);
    leo.post("/api/v1/peers/connect", json!({ "address": "127.0.0.1", "port": fake.address.port(), "key": key })).ok();
    fresh(leo, name, &json!(["approvals"]));
    fake
}

fn listed(leo: &TestDaemon) -> Vec<(String, String)> {
    let all = leo.get("/api/v1/approvals").ok().json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    all["approvals"].as_array().unwrap().iter().map(|approval| (text(&approval["node"]), text(&approval["id"]))).collect()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(node, id)| ((*node).to_owned(), (*id).to_owned())).collect()
}

#[test]
fn approvals_of_peers_are_listed_and_answered_here_and_decided_there() {
    let leo = TestDaemon::new("leo");
    let mia = added(&leo, "mia00000", |id| vec![asked(id, TWO, 9), asked(id, ONE, 3)]);
    assert_eq!(listed(&leo), pairs(&[("mia00000", ONE), ("mia00000", TWO)]), "oldest first, under the name that leo knows");
    let streams = || mia.part().heard.iter().filter(|(line, _)| line.starts_with("GET /api/v1/events")).cloned().collect::<Vec<_>>();
    assert_eq!(streams(), [("GET /api/v1/events?topics=approvals".to_owned(), String::new())], "nothing that the key may not see, and nothing of its peers");
    // Others see only what is leo's own.
    leo.call_as(&leo.mint("kai"), "GET", "/api/v1/approvals", None).refused(403, 1004);

    let answer = json!({ "sha256": "ab", "decision": "allow" });
    let decide = || leo.post(&format!("/api/v1/approvals/{ONE}"), answer.clone());
    mia.part().taking = Taking::Says(409, json!({ "error": { "code": 6010, "message": "It is another one.", "hint": "Look." } }));
    let refused = decide().refused(409, 6010);
    assert!(refused.contains("It is another one."), "{refused}");
    assert_eq!(mia.answers().len(), 1);
    let (line, body) = mia.answers().remove(0);
    assert_eq!((line, serde_json::from_str::<Value>(&body).unwrap()), (format!("POST /api/v1/approvals/{ONE}"), answer.clone()));

    let mut done = asked(&mia.node_id, ONE, 3);
    done["state"] = json!("allowed");
    mia.part().taking = Taking::Says(200, done.clone());
    assert_eq!(decide().ok().json()["node"], "mia00000");
    assert_eq!(leo.get(&format!("/api/v1/approvals/{ONE}")).ok().json()["state"], "allowed", "as mia has it");
    assert_eq!(listed(&leo).len(), 2, "only mia's own word counts");
    let mut stream = leo.events("?fleet=true&topics=approvals", None);
    stream.next();
    mia.say(&json!({ "type": "approval-changed", "approval": done }));
    let event = wait_for(&mut stream, "mia's word", |event| event["type"] == "peer");
    assert_eq!((&event["event"]["approval"]["state"], &event["event"]["approval"]["node"]), (&json!("allowed"), &json!("mia00000")));
    assert_eq!(listed(&leo), pairs(&[("mia00000", TWO)]));
    leo.post(&format!("/api/v1/approvals/{ONE}"), answer).refused(404, 6008);
}

#[test]
fn an_answer_that_is_lost_on_the_way_is_said_to_be_unknown_and_not_given_twice() {
    let leo = TestDaemon::new("leo");
    let mia = added(&leo, "mia00000", |id| vec![asked(id, ONE, 3)]);
    let said = leo.post(&format!("/api/v1/approvals/{ONE}"), json!({ "sha256": "ab", "decision": "allow" })).refused(502, 2003);
    assert!(said.contains("not known whether") && said.contains("mia00000") && said.contains(ONE), "{said}");
    assert_eq!(mia.answers().len(), 1);
    // Somebody who answers for another approval has not answered.
    mia.part().taking = Taking::Says(200, asked(&mia.node_id, TWO, 3));
    let said = leo.post(&format!("/api/v1/approvals/{ONE}"), json!({ "sha256": "ab", "decision": "deny" })).refused(502, 2003);
    assert!(said.contains("not known whether"), "{said}");
}

#[test]
fn nobody_covers_anothers_approval_or_speaks_for_another() {
    let leo = TestDaemon::new("leo");
    let _mia = added(&leo, "mia00000", |id| vec![asked(id, ONE, 3)]);
    let evil = added(&leo, "evil0000", |id| vec![asked(id, ONE, 1), asked("mia00000-0000-4000-8000-000000000001", TWO, 2)]);
    assert_eq!(listed(&leo), pairs(&[("mia00000", ONE)]));
    let mut stream = leo.events("?fleet=true", None);
    stream.next();
    evil.say(&json!({ "type": "approval-changed", "approval": asked(&evil.node_id, ONE, 1) }));
    evil.say(&json!({ "type": "approval-changed", "approval": asked(&evil.node_id, "../../execute", 1) }));
    evil.say(&json!({ "type": "weather-changed" }));
    evil.say(&json!({ "type": "approval-changed", "approval": asked(&evil.node_id, TWO, 1) }));
    let event = wait_for(&mut stream, "the honest one", |event| event["type"] == "peer");
    assert_eq!((&event["node"], &event["event"]["approval"]["id"]), (&json!("evil0000"), &json!(TWO)), "{event}");
    assert_eq!(listed(&leo), pairs(&[("evil0000", TWO), ("mia00000", ONE)]));
    // Whoever says that it is somebody else is not believed a word.
    evil.part().snapshot = told("mia00000-0000-4000-8000-000000000001", &[asked("mia00000-0000-4000-8000-000000000001", TWO, 2)]);
    evil.hang_up();
    until("evil to be stale", || picture(&leo, "evil0000").filter(|picture| picture["stale"] == true));
    assert_eq!(listed(&leo), pairs(&[("mia00000", ONE)]));
}

#[test]
fn a_stream_that_breaks_is_resumed_where_that_is_possible_and_else_begun_anew() {
    let leo = TestDaemon::new("leo");
    let mia = added(&leo, "mia00000", |id| vec![asked(id, ONE, 3)]);
    mia.part().snapshot = told(&mia.node_id, &[asked(&mia.node_id, TWO, 3)]);
    let mut stream = leo.events("?fleet=true", None);
    stream.next();
    let broken = |stream: &mut Sse| {
        mia.hang_up();
        wait_for(stream, "the stale picture", |event| event["picture"]["stale"] == true);
        wait_for(stream, "the fresh picture", |event| event["picture"]["stale"] == false);
        mia.part().heard.iter().rev().find(|(line, _)| line.starts_with("GET /api/v1/events")).unwrap().0.clone()
    };
    assert!(broken(&mut stream).contains("since=e-1"));
    assert_eq!(listed(&leo), pairs(&[("mia00000", ONE)]), "nothing was missed, so what was known holds");
    mia.part().resumes = false;
    assert!(broken(&mut stream).contains("since=e-1"));
    assert_eq!(listed(&leo), pairs(&[("mia00000", TWO)]), "a new run of mia knows nothing of the old one");
    // Other rights are another picture.
    mia.part().resumes = true;
    mia.part().scopes = vec!["status"];
    mia.part().snapshot = told(&mia.node_id, &[]);
    assert!(broken(&mut stream).ends_with("events?topics="));
    assert_eq!(leo.get("/api/v1/approvals").ok().json(), json!({ "approvals": [], "unseen": [] }));
}

//! What two machines that are paired may do, and how long it lasts.

use serde_json::{Value, json};

use super::pairing::{start, status};
use crate::support::{
    Home, Pair, Sse, TestDaemon,
    fake_agent::{FakeAgent, Plan},
    until,
};

#[test]
fn a_paired_node_needs_no_restart_and_its_key_opens_nothing_of_the_owners() {
    let pair = Pair::paired();
    let (leo, kai) = (&pair.leo, &pair.kai);
    for (at, name) in [(leo, "kai"), (kai, "leo")] {
        let peer = at.peer(name).unwrap();
        assert_eq!((&peer["paired"], &peer["encryption"], &peer["trusted"]), (&json!(true), &json!("pinned"), &json!(true)), "{peer}");
        let ran = at.post(&format!("/api/v1/at/{name}/execute"), json!({ "command": "echo", "args": ["hi"] })).ok().json();
        assert_eq!(ran["stdout"], "hi\n");
    }
    // Through the pinned connection kai is a peer on leo, and no more than that.
    for (method, path, body) in [
        ("POST", "/pair/start", Some(json!({}))),
        ("GET", "/pair/status", None),
        ("POST", "/reload", Some(json!({}))),
        ("POST", "/key", Some(json!({}))),
        ("POST", "/peers/keys", Some(json!({ "name": "x" }))),
        ("GET", "/transfers", None),
        ("GET", "/at/kai/status", None),
    ] {
        kai.call(method, &format!("/api/v1/at/leo{path}"), body).refused(403, 1004);
    }
    // Its key without its certificate is nothing, not even from this machine.
    let credentials: Value = serde_json::from_slice(&std::fs::read(kai.home.data().join("credentials.json")).unwrap()).unwrap();
    let key = credentials[leo.node_id.as_str()].as_str().unwrap().to_owned();
    leo.call_as(&key, "GET", "/api/v1/status", None).refused(403, 1006);
    // Only its hash is on leo's disk.
    assert!(!std::fs::read_to_string(leo.home.config()).unwrap().contains(&key));
}

#[test]
fn an_agents_key_works_here_and_there_and_decides_nothing() {
    let pair = Pair::paired();
    let (leo, agent) = (&pair.leo, pair.leo.home.agent_key());
    for path in ["/api/v1", "/api/v1/at/kai"] {
        let ran = leo.call_as(&agent, "POST", &format!("{path}/execute"), Some(json!({ "command": "echo", "args": ["hi"] }))).ok().json();
        assert_eq!(ran["stdout"], "hi\n");
        leo.call_as(&agent, "GET", &format!("{path}/status"), None).ok();
        leo.call_as(&agent, "PUT", &format!("{path}/context/a"), Some(json!({ "value": "1" }))).ok();
        for (method, route, body) in [
            ("POST", "/reload", Some(json!({}))),
            ("POST", "/key", Some(json!({}))),
            ("POST", "/peers", Some(json!({ "address": "10.0.0.1" }))),
            ("POST", "/peers/keys", Some(json!({ "name": "x" }))),
            ("PUT", &format!("/peers/{}/scopes", pair.kai.node_id), Some(json!({ "scopes": ["approve"] }))),
            ("DELETE", &format!("/peers/{}", pair.kai.node_id), None),
            ("POST", "/pair/start", Some(json!({}))),
        ] {
            leo.call_as(&agent, method, &format!("{path}{route}"), body).refused(403, 1004);
        }
    }
    leo.call_as(&agent, "GET", "/api/v1/events?topics=pairing", None).refused(403, 1004);
    assert!(leo.get("/api/v1/at/kai/identity").ok().json()["scopes"].as_array().unwrap().iter().all(|scope| scope != "approve"));
}

#[test]
fn a_node_that_may_everything_on_a_peer_lends_it_to_no_agent() {
    let mut home = Home::init("kai");
    let _fake = FakeAgent::install(&mut home, "claude", &Plan::begun("s").result("done").step("listen"));
    let config = std::fs::read_to_string(home.config()).unwrap() + "\nagents:\n  bypassFrom: [leo]\n";
    std::fs::write(home.config(), config).unwrap();
    let pair = Pair::of(TestDaemon::new("leo"), TestDaemon::start(home));
    let (leo, kai, agent) = (&pair.leo, &pair.kai, pair.leo.home.agent_key());
    let all = ["status", "context", "messages", "transfer", "execute", "ai-tasks", "approve", "terminal"];
    kai.call("PUT", &format!("/api/v1/peers/{}/scopes", leo.node_id), Some(json!({ "scopes": all }))).ok();
    assert_eq!(kai.post("/api/v1/terminals", json!({ "command": "cat" })).status, 201);
    let first = |key: &str, query: &str| Sse::open(leo.address, key, "GET", &format!("/api/v1/at/kai/events{query}"), None, None).next().data;
    until("the new rights", || (leo.get("/api/v1/at/kai/approvals").status == 200).then_some(()));
    for query in ["", "?topics=terminals,approvals"] {
        assert_eq!(first(&leo.key, query)["terminals"].as_array().unwrap().len(), 1, "the owner sees it");
    }
    let seen = first(&agent, "");
    assert!(seen["terminals"] == json!([]) && seen["approvals"] == json!([]) && !seen["peers"].as_array().unwrap().is_empty(), "{seen}");
    for refused in ["?topics=terminals", "?topics=tasks,approvals", "?topics=t%65rminals", "?fleet=true", "?topics=pairing"] {
        leo.call_as(&agent, "GET", &format!("/api/v1/at/kai/events{refused}"), None).refused(403, 1004);
    }

    let bypass = json!({ "prompt": "x", "permissionMode": "bypassPermissions" });
    leo.call_as(&agent, "POST", "/api/v1/at/kai/ai-tasks", Some(bypass.clone())).refused(403, 6011);
    assert_eq!(leo.call_as(&agent, "POST", "/api/v1/at/kai/ai-tasks", Some(json!({ "prompt": "x" }))).status, 201);
    let owners = leo.post("/api/v1/at/kai/ai-tasks", bypass);
    assert_eq!(owners.status, 201, "{}", owners.text());
    let id = owners.json()["taskId"].as_str().unwrap().to_owned();
    until("its end", || (kai.get(&format!("/api/v1/ai-tasks/{id}")).ok().json()["status"] == "completed").then_some(()));
    for (way, body) in [("message", json!({ "text": "go on" })), ("resume", json!({}))] {
        leo.call_as(&agent, "POST", &format!("/api/v1/at/kai/ai-tasks/{id}/{way}"), Some(body)).refused(403, 6011);
    }
}

#[test]
fn what_is_asked_for_an_agent_is_limited_where_it_arrives() {
    let pair = Pair::new();
    let (leo, kai) = (&pair.leo, &pair.kai);
    kai.call("PUT", &format!("/api/v1/peers/{}/scopes", leo.node_id), Some(json!({ "scopes": ["status", "approve", "terminal"] }))).ok();
    until("the new rights", || (leo.get("/api/v1/at/kai/approvals").status == 200).then_some(()));
    let key = crate::support::paired::key_for(leo, kai);
    let bearer = format!("Bearer {key}");
    let marked = [("Authorization", bearer.as_str()), ("x-loopsy-on-behalf", "agent")];
    let decide = format!("/api/v1/approvals/{}", "0".repeat(32));
    for (method, target) in [("GET", "/api/v1/approvals"), ("POST", decide.as_str()), ("GET", "/api/v1/terminals")] {
        kai.raw(method, target, &marked, None).refused(403, 1004);
        assert_ne!(kai.raw(method, target, &marked[..1], (method == "POST").then_some(b"{}")).status, 403, "{method} {target}");
    }
    kai.raw("GET", "/api/v1/events?topics=approvals", &marked, None).refused(403, 1004);
    kai.raw("GET", "/api/v1/status", &marked, None).ok();
}

#[test]
fn rights_are_narrowed_and_widened_at_once() {
    let pair = Pair::paired();
    let (leo, kai) = (&pair.leo, &pair.kai);
    let set = |scopes: Value| leo.call("PUT", &format!("/api/v1/peers/{}/scopes", kai.node_id), Some(json!({ "scopes": scopes }))).ok().json();
    let mut stream = kai.events("", None);
    stream.next();
    let told = set(json!(["status", "context"]));
    assert_eq!(told["scopes"], json!(["status", "context"]));
    kai.post("/api/v1/at/leo/execute", json!({ "command": "true" })).refused(403, 1004);
    kai.get("/api/v1/at/leo/context").ok();
    assert_eq!(kai.get("/api/v1/at/leo/identity").ok().json()["scopes"], json!(["status", "context"]));
    set(json!(["status", "execute"]));
    kai.post("/api/v1/at/leo/execute", json!({ "command": "true" })).ok();
    kai.get("/api/v1/at/leo/context").refused(403, 1004);
    leo.call("PUT", "/api/v1/peers/nobody-there/scopes", Some(json!({ "scopes": [] }))).refused(404, 2001);
    leo.call("PUT", &format!("/api/v1/peers/{}/scopes", kai.node_id), Some(json!({ "scopes": ["root"] }))).refused(400, 9003);
    // What is in the file is what holds, and it survives.
    let config = std::fs::read_to_string(leo.home.config()).unwrap();
    assert!(config.contains("scopes") && config.contains("# Settings of this Loopsy node"), "{config}");
}

#[test]
fn what_is_paired_stays_paired_over_restarts_and_comes_back_by_itself() {
    let mut pair = Pair::paired_on_fixed_ports();
    pair.kai.kill9();
    pair.leo.get("/api/v1/at/kai/identity").refused(502, 2003);
    pair.leo.stop();
    pair.leo.launch(&[]);
    pair.kai.launch(&[]);
    let answer = until("the way to kai", || Some(pair.leo.get("/api/v1/at/kai/identity")).filter(|answer| answer.status == 200));
    assert_eq!(answer.json()["nodeId"], pair.kai.node_id.as_str());
    pair.kai.get("/api/v1/at/leo/identity").ok();
    let peer = pair.leo.peer("kai").unwrap();
    assert_eq!((&peer["paired"], &peer["encryption"]), (&json!(true), &json!("pinned")), "{peer}");
    // A handshake or keys by hand take nothing of it away.
    let key = pair.kai.mint("by-hand");
    pair.leo.post("/api/v1/peers/connect", json!({ "address": "127.0.0.1", "port": pair.kai.port(), "key": key })).refused(400, 9003);
    assert_eq!(pair.leo.peer("kai").unwrap()["encryption"], "pinned");
}

#[test]
fn pairing_again_replaces_what_was_and_leaves_one_peer() {
    let pair = Pair::paired();
    let before = std::fs::read_to_string(pair.kai.home.data().join("credentials.json")).unwrap();
    let again = Pair::after_pairing(pair.leo, pair.kai);
    assert_ne!(std::fs::read_to_string(again.kai.home.data().join("credentials.json")).unwrap(), before);
    for (at, other) in [(&again.leo, "kai"), (&again.kai, "leo")] {
        assert_eq!(at.get("/api/v1/peers").ok().json()["peers"].as_array().unwrap().len(), 1);
        until("the way", || (at.get(&format!("/api/v1/at/{other}/identity")).status == 200).then_some(()));
    }
}

#[test]
fn a_pairing_that_is_taken_back_leaves_the_earlier_one_as_it_was() {
    let pair = Pair::paired();
    let (leo, kai) = (&pair.leo, &pair.kai);
    leo.call("PUT", &format!("/api/v1/peers/{}/scopes", kai.node_id), Some(json!({ "scopes": ["status", "execute"] }))).ok();
    let works = |at: &TestDaemon, other: &str| {
        until("the way", || (at.post(&format!("/api/v1/at/{other}/execute"), json!({ "command": "true" })).status == 200).then_some(()));
    };
    let confirm = |node: &TestDaemon, yes: bool| drop(node.post("/api/v1/pair/confirm", json!({ "confirmed": yes })).ok());
    let rejected = |node: &TestDaemon| {
        let told = until("the end", || Some(status(node)).filter(|told| told["active"] == false));
        assert_eq!(told["outcome"]["end"], "rejected", "{told}");
        told["outcome"]["message"].as_str().unwrap().to_owned()
    };
    for stage in 0..3 {
        let code = start(leo);
        kai.post("/api/v1/pair/join", json!({ "address": "127.0.0.1", "port": leo.port(), "inviteCode": code })).ok();
        match stage {
            // The machine that joins says no; or yes, and then no; or the one that waits says no after a yes.
            0 => {
                confirm(kai, false);
                assert!(rejected(kai).contains("here was no"));
            }
            1 => {
                confirm(kai, true);
                confirm(kai, false);
                rejected(kai);
            }
            _ => {
                confirm(leo, true);
                confirm(leo, false);
                rejected(leo);
                confirm(kai, true);
                rejected(kai);
            }
        }
        rejected(leo);
        works(leo, "kai");
        works(kai, "leo");
        assert_eq!(leo.peer("kai").unwrap()["scopes"], json!(["status", "execute"]));
    }
    // A pairing that is completed keeps what the other machine may do, too.
    let again = Pair::after_pairing(pair.leo, pair.kai);
    assert_eq!(again.leo.peer("kai").unwrap()["scopes"], json!(["status", "execute"]));
    works(&again.kai, "leo");
}

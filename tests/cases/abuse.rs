//! What a peer, an agent or a hang-up at the wrong moment must not bring about.

use std::{
    io::Write,
    net::{Shutdown, TcpStream},
};

use serde_json::{Value, json};

use crate::support::{Pair, TestDaemon, connect, mark_of, processes_with, until};

fn peers(node: &TestDaemon) -> Vec<Value> {
    node.get("/api/v1/peers").ok().json()["peers"].as_array().unwrap().clone()
}

/// Sends a request and goes away without waiting for the answer.
fn hang_up(node: &TestDaemon, key: &str, method: &str, path: &str, body: &str) {
    let mut stream = TcpStream::connect(node.address).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        node.address,
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1));
    let _gone = stream.shutdown(Shutdown::Both);
}

#[test]
fn who_leaves_and_hangs_up_has_left() {
    let pair = Pair::new();
    // Kai's key on leo, as it was exchanged by hand: it can be used without a certificate, and so by this test.
    let credentials: Value = serde_json::from_slice(&std::fs::read(pair.kai.home.data().join("credentials.json")).unwrap()).unwrap();
    let key = credentials[pair.leo.node_id.as_str()].as_str().unwrap().to_owned();
    // A hang-up may come before the request is even read: then nothing of it happens. But half of it is never left.
    until("kai's key to be gone", || {
        hang_up(&pair.leo, &key, "POST", "/api/v1/peers/leave", "{}");
        (pair.leo.call_as(&key, "GET", "/api/v1/status", None).code() == 1002).then_some(())
    });
    until("the record", || pair.leo.peer("kai").filter(|peer| peer["trusted"] == false && peer["scopes"] == json!([])));
    until("the config", || (!std::fs::read_to_string(pair.leo.home.config()).unwrap().contains("kai:")).then_some(()));
}

#[test]
fn an_answer_that_nobody_waits_for_still_pairs_whole_or_not_at_all() {
    for round in 0..4 {
        let (leo, kai) = (TestDaemon::new("leo"), TestDaemon::new("kai"));
        let code = leo.post("/api/v1/pair/start", json!({})).ok().json()["inviteCode"].clone();
        kai.post("/api/v1/pair/join", json!({ "address": "127.0.0.1", "port": leo.port(), "inviteCode": code })).ok();
        let (first, last) = if round % 2 == 0 { (&kai, &leo) } else { (&leo, &kai) };
        first.post("/api/v1/pair/confirm", json!({ "confirmed": true })).ok();
        until("the answer to be heard", || {
            hang_up(last, &last.key, "POST", "/api/v1/pair/confirm", "{\"confirmed\":true}");
            let told = last.get("/api/v1/pair/status").ok().json();
            (told["active"] == false || told["answered"] == true).then_some(())
        });
        for (at, other) in [(&leo, "kai"), (&kai, "leo")] {
            let end = until("the end", || Some(at.get("/api/v1/pair/status").ok().json()).filter(|told| told["active"] == false));
            assert_eq!(end["outcome"]["end"], "paired", "{end}");
            until("the peer", || at.peer(other).filter(|peer| peer["paired"] == true && peer["status"] == "online"));
            until("the way", || (at.get(&format!("/api/v1/at/{other}/identity")).status == 200).then_some(()));
        }
        leo.loopsy(&["peers", "remove", "kai", "--yes"]).ok();
        assert!(!std::fs::read_to_string(leo.home.config()).unwrap().contains("kai:"));
    }
}

#[test]
fn an_agent_neither_leaves_nor_introduces_anybody() {
    let pair = Pair::paired();
    let (leo, agent) = (&pair.leo, pair.leo.home.agent_key());
    let hello =
        json!({ "nodeId": "11111111-2222-4333-8444-555555555555", "hostname": "kai", "platform": "linux", "version": "1", "port": 1, "capabilities": [] });
    for path in ["/api/v1", "/api/v1/at/kai"] {
        leo.call_as(&agent, "POST", &format!("{path}/peers/leave"), Some(json!({}))).refused(403, 1004);
        leo.call_as(&agent, "POST", &format!("{path}/peers/handshake"), Some(hello.clone())).refused(403, 1004);
    }
    leo.call_as(&agent, "POST", "/api/v1/peers/me/diagnose", Some(json!({}))).refused(403, 1004);
    assert_eq!((peers(leo).len(), peers(&pair.kai).len()), (1, 1));
    pair.kai.get("/api/v1/at/leo/identity").ok();
}

#[test]
fn a_transfer_ends_with_the_peer_and_with_the_key() {
    let pair = Pair::paired();
    let (leo, kai) = (&pair.leo, &pair.kai);
    let source = leo.home.home().join("large.bin");
    let file = std::fs::File::create(&source).unwrap();
    file.set_len(1 << 30).unwrap();
    let start = |key: &str| {
        let body = json!({ "peer": "kai", "direction": "push", "source": source.to_str().unwrap(), "destination": kai.home.home().join("copy.bin").to_str().unwrap() });
        leo.call_as(key, "POST", "/api/v1/transfers", Some(body)).ok().json()["transferId"].as_str().unwrap().to_owned()
    };
    let state = |id: &str| leo.get(&format!("/api/v1/transfers/{id}")).ok().json();
    let moving = |id: &str| until("some bytes", || (state(id)["bytesDone"].as_u64().unwrap() > 0).then_some(()));
    let agent = leo.home.agent_key();
    let first = start(&agent);
    moving(&first);
    leo.home.edit_config(&agent, "lpk_another-key-of-the-agents-0123456789");
    leo.post("/api/v1/reload", json!({})).ok();
    let ended = until("the end of the agent's transfer", || Some(state(&first)).filter(|told| told["state"] != "running"));
    assert_eq!(ended["state"], "cancelled", "{ended}");
    let second = start(&leo.key);
    moving(&second);
    leo.call("DELETE", &format!("/api/v1/peers/{}", kai.node_id), None).ok();
    let ended = until("the end of the transfer to a removed peer", || Some(state(&second)).filter(|told| told["state"] != "running"));
    assert_ne!(ended["state"], "done", "{ended}");
    assert!(ended["bytesDone"].as_u64().unwrap() < 1 << 30, "{ended}");
}

#[test]
fn a_record_cannot_be_claimed_by_another_key() {
    let (leo, kai) = (TestDaemon::new("leo"), TestDaemon::new("kai"));
    // Leo has a key for kai, and kai none for leo.
    let key = kai.mint("leo");
    leo.post("/api/v1/peers/connect", json!({ "address": "127.0.0.1", "port": kai.port(), "key": key })).ok();
    let mallory = leo.mint("mallory");
    let hello = json!({ "nodeId": kai.node_id, "hostname": "kai", "platform": "linux", "version": "1", "port": kai.port(), "capabilities": [] });
    leo.call_as(&mallory, "POST", "/api/v1/peers/handshake", Some(hello)).ok();
    assert_eq!(leo.peer("kai").unwrap()["principal"], Value::Null);
    leo.call_as(&mallory, "POST", "/api/v1/peers/me/diagnose", Some(json!({}))).refused(403, 1004);
    leo.call_as(&mallory, "POST", "/api/v1/peers/leave", Some(json!({}))).refused(403, 1004);
    leo.get("/api/v1/at/kai/identity").ok();
}

#[test]
fn a_node_that_was_announced_by_another_is_paired_under_its_own_name() {
    let (leo, kai) = (TestDaemon::new("leo"), TestDaemon::new("kai"));
    let mallory = leo.mint("mallory");
    let hello = json!({ "nodeId": kai.node_id, "hostname": "kai", "platform": "linux", "version": "1", "port": 1, "capabilities": [] });
    leo.call_as(&mallory, "POST", "/api/v1/peers/handshake", Some(hello)).ok();
    let pair = Pair::after_pairing(leo, kai);
    assert_eq!(pair.leo.peer("kai").unwrap()["principal"], "kai");
    assert_eq!(peers(&pair.leo).len(), 1);
    pair.leo.call_as(&mallory, "GET", "/api/v1/status", None).ok();
    // And a key by hand does not replace the one of a paired peer.
    pair.leo.post("/api/v1/peers/keys", json!({ "name": "kai" })).refused(409, 2007);
    pair.leo.post("/api/v1/peers/keys", json!({ "name": "Kai" })).refused(409, 2007);
    pair.kai.get("/api/v1/at/leo/identity").ok();
}

#[test]
fn a_peer_does_not_take_another_ones_name() {
    let mut pair = Pair::paired_on_fixed_ports();
    let mia = TestDaemon::new("mia");
    connect(&pair.leo, &mia);
    pair.kai.stop();
    pair.kai.home.edit_config("hostname: \"kai\"", "hostname: \"mia\"");
    pair.kai.launch(&[]);
    // Its new name is heard and not taken over; calls by name go where they went.
    until("kai, back", || pair.leo.peer("kai").filter(|peer| peer["status"] == "online"));
    pair.leo.loopsy(&["exec", "kai", "true"]).ok();
    assert_eq!(pair.leo.get("/api/v1/at/mia/identity").ok().json()["nodeId"], mia.node_id.as_str());
    assert_eq!(pair.leo.get("/api/v1/at/kai/identity").ok().json()["nodeId"], pair.kai.node_id.as_str());
}

#[test]
fn a_plain_job_at_a_peer_ends_with_the_key_that_it_was_started_with() {
    let pair = Pair::paired();
    let agent = pair.leo.home.agent_key();
    let (mark, own) = (mark_of(), mark_of());
    std::thread::scope(|scope| {
        let (leo, agent_key) = (&pair.leo, agent.clone());
        let (agents, owners) = (mark.clone(), own.clone());
        scope.spawn(move || leo.call_as(&agent_key, "POST", "/api/v1/at/kai/execute", Some(json!({ "command": "sleep", "args": [agents] }))));
        scope.spawn(move || leo.post("/api/v1/at/kai/execute", json!({ "command": "sleep", "args": [owners] })));
        for mark in [&mark, &own] {
            until("the job", || (!processes_with(&format!("sleep {mark}")).is_empty()).then_some(()));
        }
        leo.home.edit_config(&agent, "lpk_another-key-of-the-agents-0123456789");
        leo.post("/api/v1/reload", json!({})).ok();
        until("the end of the agent's job", || processes_with(&format!("sleep {mark}")).is_empty().then_some(()));
        assert!(!processes_with(&format!("sleep {own}")).is_empty(), "the owner's job goes on");
        leo.loopsy(&["key", "generate", "--yes"]).ok();
        until("the end of the owner's job", || processes_with(&format!("sleep {own}")).is_empty().then_some(()));
    });
}

#[test]
fn a_new_owners_key_cuts_off_what_is_being_sent_with_the_old_one() {
    let leo = TestDaemon::new("leo");
    let body = "{\"value\":\"late\"}";
    let mut stream = TcpStream::connect(leo.address).unwrap();
    let head = format!(
        "PUT /api/v1/context/late HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        leo.address,
        leo.key,
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body.as_bytes()[..4]).unwrap();
    until("the request", || leo.get("/api/v1/status").ok().json()["uptime"].as_u64().filter(|up| *up > 0));
    let new = leo.loopsy(&["key", "generate", "--yes"]).ok().text().trim().to_owned();
    let _cut = stream.write_all(&body.as_bytes()[4..]);
    leo.call_as(&new, "GET", "/api/v1/context/late", None).refused(404, 5001);
}

#[test]
fn a_key_is_revoked_while_the_config_is_being_edited() {
    let pair = Pair::new();
    let credentials: Value = serde_json::from_slice(&std::fs::read(pair.kai.home.data().join("credentials.json")).unwrap()).unwrap();
    let key = credentials[pair.leo.node_id.as_str()].as_str().unwrap().to_owned();
    pair.leo.call_as(&key, "GET", "/api/v1/status", None).ok();
    let config = std::fs::read_to_string(pair.leo.home.config()).unwrap();
    std::fs::write(pair.leo.home.config(), format!("{config}\nserver: [\n")).unwrap();
    let answer = pair.leo.call("DELETE", &format!("/api/v1/peers/{}", pair.kai.node_id), None);
    assert_eq!(answer.code(), 9012, "{}", answer.text());
    pair.leo.call_as(&key, "GET", "/api/v1/status", None).refused(403, 1002);
    std::fs::write(pair.leo.home.config(), config).unwrap();
    pair.leo.call("DELETE", &format!("/api/v1/peers/{}", pair.kai.node_id), None).ok();
    pair.leo.call_as(&key, "GET", "/api/v1/status", None).refused(403, 1002);
    assert!(peers(&pair.leo).is_empty());
}

//! Pairing as a stranger on the network sees it: nothing is given away, nothing is stored, and whatever is sent, the node lives.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use loopsy_daemon::lp2::{
    Identity, Initiator, InviteCode, Offer,
    initiator::{Effect, Event},
};
use loopsy_shared::api::{Scope, pairing::InitiatePairing};
use serde_json::{Value, json};
use std::time::Duration;

use crate::support::{Answer, Pair, TestDaemon, until};

/// The other machine, played by the test with the protocol's own state machine.
struct Stranger {
    initiator: Initiator,
    effects: Vec<Effect>,
}

impl Stranger {
    fn with(code: &str) -> Self {
        let me = Identity::new("11111111-2222-4333-8444-555555555555", "mia").unwrap();
        let offer = Offer { port: 4711, addrs: Vec::new(), cert_fingerprint: "ab".repeat(32), scopes: vec![Scope::Status] };
        let code = InviteCode::parse(code).unwrap();
        let (initiator, effects) = Initiator::new(&code, me, offer, Duration::ZERO, &mut rand::rng());
        Self { initiator, effects }
    }

    /// The message that is to be sent next.
    fn says(&mut self) -> Value {
        let index = self.effects.iter().position(|effect| matches!(effect, Effect::Initiate(_) | Effect::Confirm(_))).expect("a message");
        match self.effects.remove(index) {
            Effect::Initiate(message) => serde_json::to_value(*message).unwrap(),
            Effect::Confirm(message) => serde_json::to_value(message).unwrap(),
            _ => unreachable!("looked for"),
        }
    }

    fn hears(&mut self, event: Event) {
        self.effects = self.initiator.step(Duration::from_secs(1), event, &mut rand::rng());
    }

    fn sas(&self) -> Option<String> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::ShowSas { sas, .. } => Some(sas.digits()),
            _ => None,
        })
    }
}

fn start(node: &TestDaemon) -> String {
    node.post("/api/v1/pair/start", json!({})).ok().json()["inviteCode"].as_str().unwrap().to_owned()
}

fn status(node: &TestDaemon) -> Value {
    node.get("/api/v1/pair/status").ok().json()
}

/// A message without any key.
fn say(node: &TestDaemon, path: &str, body: &Value) -> Answer {
    node.raw("POST", &format!("/api/v1/pair/{path}"), &[("Content-Type", "application/json")], Some(body.to_string().as_bytes()))
}

fn wrong(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000)
}

/// What is on the disk of a node that must not change.
fn kept(node: &TestDaemon) -> (String, bool, Value) {
    let config = std::fs::read_to_string(node.home.config()).unwrap();
    (config, node.home.data().join("credentials.json").exists(), node.get("/api/v1/peers").ok().json())
}

#[test]
fn a_stranger_with_the_code_gets_to_the_digits_and_no_further() {
    let leo = TestDaemon::new("leo");
    let before = kept(&leo);
    let code = start(&leo);
    let mut mia = Stranger::with(&code);
    let share = mia.says();
    assert!(!share.to_string().contains(&code), "the code is on the wire");
    let answer = say(&leo, "initiate", &share).ok();
    for secret in [leo.key.as_str(), &code, "lpk_"] {
        assert!(!answer.text().contains(secret), "{}", answer.text());
    }
    mia.hears(Event::Reply(serde_json::from_value(answer.json()).unwrap()));
    let proof = mia.says();
    let answer = say(&leo, "initiate", &proof).ok();
    mia.hears(Event::Reply(serde_json::from_value(answer.json()).unwrap()));
    let sas = mia.sas().expect("the digits");
    assert_eq!(status(&leo)["sas"], sas.as_str());
    assert!(!answer.text().contains(&sas) && !answer.text().contains("lpk_"), "{}", answer.text());
    // The same proof again, another proof, another share: the code is used up.
    assert!((400..500).contains(&say(&leo, "initiate", &proof).status));
    assert!((400..500).contains(&say(&leo, "initiate", &Stranger::with(&code).says()).status));
    // Nobody but the owner answers for leo.
    say(&leo, "confirm", &json!({ "confirmed": true })).refused(401, 1001);
    say(&leo, "confirm", &json!({ "confirmed": false })).refused(401, 1001);
    let agent = leo.home.agent_key();
    leo.call_as(&agent, "POST", "/api/v1/pair/confirm", Some(json!({ "confirmed": true }))).refused(401, 1001);
    assert_eq!(status(&leo)["state"], "key_exchanged", "an unsealed cancel counts for nothing");
    // Leo says no: mia hears it, sealed, and nothing is kept.
    leo.post("/api/v1/pair/confirm", json!({ "confirmed": false })).ok();
    mia.hears(Event::Decide(true));
    let finish = mia.says();
    let answer = say(&leo, "confirm", &finish).ok();
    assert!(answer.json()["sealed"].is_string() && !answer.text().contains("lpk_"), "{}", answer.text());
    mia.hears(Event::Settled(serde_json::from_value(answer.json()).unwrap()));
    assert!(matches!(mia.effects.as_slice(), [Effect::Ended(_)]), "{:?}", mia.effects);
    assert_eq!(status(&leo)["outcome"]["end"], "rejected");
    assert_eq!(kept(&leo), before);
}

#[test]
fn three_wrong_codes_burn_the_invite() {
    let leo = TestDaemon::new("leo");
    let before = kept(&leo);
    let code = start(&leo);
    for round in 1..=3 {
        let mut mia = Stranger::with(&wrong(&code));
        mia.hears_share(&leo);
        let answer = say(&leo, "initiate", &mia.says());
        if round < 3 {
            answer.refused(403, 7003)
        } else {
            answer.refused(410, 7004)
        };
        assert_eq!(status(&leo)["wrongCodes"], round);
    }
    let told = status(&leo);
    assert_eq!((&told["active"], &told["outcome"]["end"]), (&json!(false), &json!("burned")));
    // Neither the right code nor anything else helps now.
    assert!((400..500).contains(&say(&leo, "initiate", &Stranger::with(&code).says()).status));
    assert_eq!(kept(&leo), before);
    // A new invite has a new life.
    let code = start(&leo);
    let mut mia = Stranger::with(&code);
    mia.hears_share(&leo);
    say(&leo, "initiate", &mia.says()).ok();
    leo.post("/api/v1/pair/confirm", json!({ "confirmed": false })).ok();
}

impl Stranger {
    /// Sends the share and takes the answer.
    fn hears_share(&mut self, node: &TestDaemon) {
        let answer = say(node, "initiate", &self.says()).ok();
        self.hears(Event::Reply(serde_json::from_value(answer.json()).unwrap()));
    }
}

#[test]
fn every_malformed_field_is_a_refusal_and_the_node_lives() {
    let leo = TestDaemon::new("leo");
    let code = start(&leo);
    let mut mia = Stranger::with(&code);
    let share = mia.says();
    let bytes = |n: usize| BASE64_URL_SAFE_NO_PAD.encode(vec![7; n]);
    let point = |first: u8, rest: u8, n: usize| BASE64_URL_SAFE_NO_PAD.encode([vec![first], vec![rest; n - 1]].concat());
    let odd =
        [json!(null), json!(7), json!([]), json!({}), json!(""), json!("="), json!("ä"), json!("\u{0}"), json!("x".repeat(10_000)), json!(true), json!(-1)];
    let mut cases: Vec<(&str, Value)> = Vec::new();
    for field in ["v", "suite", "id", "publicKey", "commit"] {
        cases.extend(odd.iter().map(|value| (field, value.clone())));
    }
    cases.extend([
        ("publicKey", json!(point(4, 0, 65))),
        ("publicKey", json!(point(4, 0xff, 65))),
        ("publicKey", json!(point(4, 9, 65))),
        ("publicKey", json!(point(2, 7, 33))),
        ("publicKey", json!(point(3, 7, 33))),
        ("publicKey", json!(point(0, 0, 1))),
        ("publicKey", json!(point(4, 9, 64))),
        ("publicKey", json!(point(4, 9, 66))),
        ("commit", json!(bytes(31))),
        ("commit", json!(bytes(33))),
        ("v", json!(1)),
        ("v", json!(3)),
        ("suite", json!("SPAKE2-P256")),
        ("id", json!("R:11111111-2222-4333-8444-555555555555:mia")),
        ("id", json!("I:11111111-2222-4333-8444-555555555555:m\u{1b}[2J")),
        ("id", json!("I:11111111-2222-4333-8444-555555555555:m\u{202e}ia")),
        ("id", json!("I:../../etc/passwd:mia")),
        ("id", json!(format!("I:11111111-2222-4333-8444-555555555555:{}", "m".repeat(64)))),
        ("sid", json!(bytes(16))),
        ("nonce", json!(bytes(32))),
        ("mac", json!(bytes(32))),
    ]);
    let refused = |answer: &Answer, what: &str| {
        assert!((400..500).contains(&answer.status), "{what}: {} {}", answer.status, answer.text());
        assert!(!answer.text().contains("lpk_") && !answer.text().contains(&code), "{what}: {}", answer.text());
    };
    // Malformed shares are not begun pairings, so no limit is met.
    for (field, value) in &cases {
        let mut bad = share.clone();
        bad[*field] = value.clone();
        refused(&say(&leo, "initiate", &bad), &format!("{field} = {value}"));
    }
    for body in [json!({}), json!([]), json!("x"), json!(null), json!({ "v": 2 }), json!({ "publicKey": share["publicKey"] })] {
        refused(&say(&leo, "initiate", &body), &body.to_string());
        refused(&say(&leo, "confirm", &body), &body.to_string());
    }
    assert_eq!(status(&leo)["state"], "waiting", "none of these ended the invite");

    // The real share, then proofs that are none.
    let answer = say(&leo, "initiate", &share).ok().json();
    mia.hears(Event::Reply(serde_json::from_value(answer.clone()).unwrap()));
    let proof = mia.says();
    for field in ["v", "sid", "nonce", "mac"] {
        for value in odd.iter().chain([&json!(bytes(15)), &json!(bytes(17)), &json!(bytes(31)), &json!(bytes(33))]) {
            let mut bad = proof.clone();
            bad[field] = value.clone();
            refused(&say(&leo, "initiate", &bad), &format!("{field} = {value}"));
        }
    }
    let mut other = proof.clone();
    other["sid"] = json!(bytes(16));
    refused(&say(&leo, "initiate", &other), "another handshake");
    let answer = say(&leo, "initiate", &proof).ok().json();
    mia.hears(Event::Reply(serde_json::from_value(answer).unwrap()));
    assert!(mia.sas().is_some());

    // Sealed messages that are none: they count for nothing.
    mia.hears(Event::Decide(true));
    let finish = mia.says();
    for (field, value) in ["sid", "sealed"].into_iter().flat_map(|field| odd.iter().map(move |value| (field, value))) {
        let mut bad = finish.clone();
        bad[field] = value.clone();
        refused(&say(&leo, "confirm", &bad), &format!("{field} = {value}"));
    }
    let mut tampered = BASE64_URL_SAFE_NO_PAD.decode(finish["sealed"].as_str().unwrap()).unwrap();
    for at in [0, tampered.len() / 2, tampered.len() - 1] {
        tampered[at] ^= 1;
        refused(&say(&leo, "confirm", &json!({ "sid": finish["sid"], "sealed": BASE64_URL_SAFE_NO_PAD.encode(&tampered) })), "tampered");
        tampered[at] ^= 1;
    }
    refused(&say(&leo, "confirm", &json!({ "sid": finish["sid"], "sealed": bytes(9000) })), "too long");
    refused(&say(&leo, "confirm", &json!({ "sid": finish["sid"], "sealed": finish["sealed"], "confirmed": true })), "both kinds");
    // Too much for a stranger is not read.
    let long = vec![b' '; 20 << 10];
    assert_eq!(leo.raw("POST", "/api/v1/pair/initiate", &[("Content-Type", "application/json")], Some(&long)).status, 413);
    assert_eq!(status(&leo)["state"], "key_exchanged", "none of these ended the pairing");
    leo.raw("GET", "/api/v1/health", &[], None).ok();
}

#[test]
fn only_the_owner_starts_sees_and_answers() {
    let leo = TestDaemon::new("leo");
    let (peer, agent) = (leo.mint("kai"), leo.home.agent_key());
    for (method, path, body) in [
        ("POST", "/api/v1/pair/start", Some(json!({}))),
        ("POST", "/api/v1/pair/join", Some(json!({ "address": "127.0.0.1", "inviteCode": "123456" }))),
        ("GET", "/api/v1/pair/status", None),
    ] {
        leo.call_as(&peer, method, path, body.clone()).refused(403, 1004);
        leo.call_as(&agent, method, path, body).refused(403, 1004);
    }
    leo.post("/api/v1/pair/confirm", json!({ "confirmed": true })).refused(404, 7001);
    let code = start(&leo);
    assert!(code.len() == 6 && code.bytes().all(|digit| digit.is_ascii_digit()), "{code}");
    leo.post("/api/v1/pair/start", json!({})).refused(409, 7005);
    leo.post("/api/v1/pair/join", json!({ "address": "127.0.0.1", "inviteCode": "123456" })).refused(409, 7005);
    leo.post("/api/v1/pair/confirm", json!({ "confirmed": true })).refused(404, 7001);
    leo.post("/api/v1/pair/confirm", json!({ "confirmed": false })).ok();
    let told = status(&leo);
    assert_eq!((&told["active"], &told["outcome"]["end"]), (&json!(false), &json!("cancelled")));
    for (body, code) in [
        (json!({ "address": "127.0.0.1", "inviteCode": "12345" }), 7008),
        (json!({ "address": "127.0.0.1", "inviteCode": "12345x" }), 7008),
        (json!({ "address": "a b", "inviteCode": "123456" }), 9003),
        (json!({ "address": "http://x/", "inviteCode": "123456" }), 9003),
        (json!({ "address": "127.0.0.1" }), 9003),
    ] {
        leo.post("/api/v1/pair/join", body).refused(400, code);
    }
    // Nobody is there, or nobody waits, or it is this node itself.
    leo.post("/api/v1/pair/join", json!({ "address": "127.0.0.1", "port": 1, "inviteCode": "123456" })).refused(502, 2003);
    let kai = TestDaemon::new("kai");
    let said = leo.post("/api/v1/pair/join", json!({ "address": "127.0.0.1", "port": kai.port(), "inviteCode": "123456" })).refused(404, 7001);
    assert!(said.contains("loopsy pair") && said.contains("Nothing was kept"), "{said}");
    leo.post("/api/v1/pair/start", json!({ "scopes": [] })).refused(400, 9003);
    leo.post("/api/v1/pair/start", json!({ "scopes": ["everything"] })).refused(400, 9003);
    assert_eq!(status(&leo)["active"], false);
}

#[test]
fn the_old_pairing_gets_nothing_and_burns_a_code_that_it_exposed() {
    let leo = TestDaemon::new("leo");
    let before = kept(&leo);
    let code = start(&leo);
    let old = |code: &str| json!({ "publicKey": "BAAA", "inviteCode": code, "hostname": "mia", "apiKey": "0123456789abcdef-exposed" });
    let said = say(&leo, "initiate", &old(&wrong(&code))).refused(400, 7006).to_owned();
    assert!(!said.contains("lpk_") && !said.contains("exposed"), "{said}");
    assert_eq!(status(&leo)["active"], true);
    say(&leo, "initiate", &old(&code)).refused(400, 7006);
    let told = status(&leo);
    assert_eq!((&told["active"], &told["outcome"]["end"]), (&json!(false), &json!("burned")));
    assert!(told["outcome"]["message"].as_str().unwrap().contains("in clear"), "{told}");
    assert_eq!(kept(&leo), before);
    assert!(!leo.said().contains("exposed"));
}

#[test]
fn beginning_again_and_again_is_limited() {
    let leo = TestDaemon::new("leo");
    let code = start(&leo);
    let mut limited = None;
    for _ in 0..12 {
        let answer = say(&leo, "initiate", &Stranger::with(&wrong(&code)).says());
        if answer.status == 429 {
            limited = Some(answer);
            break;
        }
    }
    let limited = limited.expect("a limit");
    assert_eq!(limited.code(), 9002);
    assert!(limited.header("retry-after").is_some());
    assert_eq!(status(&leo)["wrongCodes"], 0, "nobody guessed yet");
}

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
fn an_invite_that_waits_ends_with_the_node() {
    let mut leo = TestDaemon::new("leo");
    let before = std::fs::read_to_string(leo.home.config()).unwrap();
    let _code = start(&leo);
    assert!(leo.stop() < Duration::from_secs(2));
    assert_eq!(std::fs::read_to_string(leo.home.config()).unwrap(), before);
    leo.launch(&[]);
    assert_eq!(status(&leo)["active"], false);
    let _again = start(&leo);
    let answer = until("the invite", || Some(status(&leo)).filter(|told| told["active"] == true));
    assert_eq!(answer["state"], "waiting");
}

#[test]
fn a_message_without_a_pairing_finds_nobody() {
    let leo = TestDaemon::new("leo");
    say(&leo, "initiate", &Stranger::with("123456").says()).refused(404, 7001);
    let sealed = json!({ "sid": BASE64_URL_SAFE_NO_PAD.encode([7; 16]), "sealed": BASE64_URL_SAFE_NO_PAD.encode([7; 64]) });
    say(&leo, "confirm", &sealed).refused(404, 7001);
    let empty = serde_json::to_value(InitiatePairing::default()).unwrap();
    say(&leo, "initiate", &empty).refused(400, 7008);
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

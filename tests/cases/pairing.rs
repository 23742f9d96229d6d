//! Pairing as a stranger on the network sees it: nothing is given away, nothing is stored, and whatever is sent, the node lives.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use loopsy_daemon::lp2::{
    Identity, Initiator, InviteCode, Offer,
    initiator::{Effect, Event},
};
use loopsy_shared::api::{Scope, pairing::InitiatePairing};
use serde_json::{Value, json};
use std::time::Duration;

use crate::support::{Answer, TestDaemon, until};

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

pub(super) fn start(node: &TestDaemon) -> String {
    node.post("/api/v1/pair/start", json!({})).ok().json()["inviteCode"].as_str().unwrap().to_owned()
}

pub(super) fn status(node: &TestDaemon) -> Value {
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
fn a_yes_counts_for_the_digits_that_it_names() {
    let (leo, kai) = (TestDaemon::new("leo"), TestDaemon::new("kai"));
    let code = start(&leo);
    let joined = kai.post("/api/v1/pair/join", json!({ "address": "127.0.0.1", "port": leo.port(), "inviteCode": code })).ok();
    let sas = joined.json()["sas"].as_str().unwrap().to_owned();
    let other = format!("{:06}", (sas.parse::<u32>().unwrap() + 1) % 1_000_000);
    leo.post("/api/v1/pair/confirm", json!({ "confirmed": true, "sas": other })).refused(409, 7005);
    assert!(status(&leo)["answered"].is_null(), "nothing was answered");
    for node in [&leo, &kai] {
        node.post("/api/v1/pair/confirm", json!({ "confirmed": true, "sas": sas })).ok();
    }
    for (node, name) in [(&leo, "kai"), (&kai, "leo")] {
        until("the peer", || node.peer(name));
    }
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

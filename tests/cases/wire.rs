//! Between machines, on a network that somebody listens on: what it tells them, and what it takes from whom.

use std::io::{Read, Write};

use serde_json::{Value, json};

use crate::support::{
    Sse, TestDaemon,
    capture::{Capture, Heard},
    http,
    netns::{Host, Node, PORT, Wire},
    paired::{Said, fingerprint, key_for, pair},
    tls::{self, Credentials, Secured},
    until,
};

/// Two nodes on the wire, not paired.
fn nodes(wire: &Wire) -> (Node<'_>, Node<'_>) {
    (wire.leo.node("leo", |_| {}), wire.kai.node("kai", |_| {}))
}

fn join(leo: &Node<'_>, kai: &Node<'_>) -> Said {
    pair(leo, kai, &leo.host.ip.to_string(), None)
}

/// What must never be heard.
fn nothing_secret(heard: &Heard, said: &Said, nodes: [&TestDaemon; 2]) {
    let [leo, kai] = nodes;
    let mut secrets = vec![("invite code", said.code.clone().into_bytes()), ("digits", said.sas.clone().into_bytes())];
    for (name, key) in
        [("owner's key of leo", leo.key.clone()), ("owner's key of kai", kai.key.clone()), ("key of leo", key_for(leo, kai)), ("key of kai", key_for(kai, leo))]
    {
        secrets.push((name, key.clone().into_bytes()));
        secrets.push((name, bytes_of(key.trim_start_matches("lpk_"))));
    }
    for node in nodes {
        secrets.push(("fingerprint", bytes_of(&fingerprint(node))));
    }
    for (name, secret) in secrets {
        assert!(secret.len() >= 6);
        assert_eq!(heard.guise(&secret), None, "{name} was heard");
    }
}

/// What is written in hex, or else in base64.
fn bytes_of(text: &str) -> Vec<u8> {
    use base64::Engine;
    let hex: Option<Vec<u8>> = text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    hex.unwrap_or_else(|| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap())
}

#[test]
fn who_listens_hears_no_secret_of_a_pairing_and_nothing_after_it() {
    let Some(wire) = Wire::new("a capture of a pairing") else { return };
    let (leo, kai) = nodes(&wire);
    let capture = Capture::start(&wire);
    let begin = capture.mark();
    let said = join(&leo, &kai);
    let paired = capture.mark();

    let heard = capture.between(begin, paired);
    assert!(heard.has("/pair/initiate") && heard.has("/pair/confirm") && heard.has("HTTP/1.1"), "{} frames", heard.frames.len());
    assert!(!heard.has("Authorization") && !heard.has("lpk_"));
    nothing_secret(&heard, &said, [&leo.daemon, &kai.daemon]);
    // That the search finds what is there.
    assert!(heard.guise(leo.daemon.node_id.as_bytes()).is_some());

    let canary = "CANARY-4c1d97-nobody-may-read-this";
    let mut events = leo.at(|leo| Sse::open(leo.address, &leo.key, "GET", "/api/v1/at/kai/events", None, None));
    events.next();
    assert!(leo.loopsy(&["exec", "kai", "echo", canary]).ok().text().contains(canary));
    assert!(kai.loopsy(&["exec", "leo", "echo", canary]).ok().text().contains(canary));
    leo.loopsy(&["context", "set", canary, canary, "--peer", "kai"]).ok();
    assert!(leo.loopsy(&["context", "get", canary, "--peer", "kai"]).ok().text().contains(canary));
    let file = leo.daemon.home.write("canary.txt", format!("{canary}\n").repeat(5000));
    let there = kai.daemon.home.home().join("arrived.txt");
    leo.loopsy(&["send", "kai", file.to_str().unwrap(), there.to_str().unwrap()]).ok();
    assert_eq!(std::fs::read(&there).unwrap(), std::fs::read(&file).unwrap());
    until("the event about the canary", || events.next().data.to_string().contains(canary).then_some(()));
    drop(events);
    let end = capture.mark();

    let heard = capture.between(paired, end);
    assert!(heard.size() > 170_000, "the file went another way: {} bytes", heard.size());
    assert_eq!(heard.guise(canary), None, "what the nodes tell each other was heard");
    for word in ["HTTP/1.1", "Authorization", "Bearer", "lpk_", "/api/v1", "\"nodeId\""] {
        assert!(!heard.has(word), "`{word}` was heard after the pairing");
    }
    nothing_secret(&heard, &said, [&leo.daemon, &kai.daemon]);
    let begun: Vec<&Vec<u8>> = heard.streams.values().filter(|(begun, said)| *begun && !said.is_empty()).map(|(_, said)| said).collect();
    assert!(begun.iter().all(|said| said[0] == 0x16), "a new connection that is not TLS");
    let all = capture.between(begin, end);
    let secure: Vec<&Vec<u8>> = all.streams.values().filter(|(_, said)| said.first() == Some(&0x16)).map(|(_, said)| said).collect();
    assert!(secure.len() >= 2, "no connection speaks TLS");
    for said in &secure {
        only_records(said);
    }
    eprintln!(
        "heard while pairing: {} frames, {} B; after it: {} frames, {} B, {} new directions; TLS: {} directions",
        capture.between(begin, paired).frames.len(),
        capture.between(begin, paired).size(),
        heard.frames.len(),
        heard.size(),
        begun.len(),
        secure.len()
    );
}

/// Everything that was said is records of TLS, whole up to the last.
fn only_records(said: &[u8]) {
    let mut rest = said;
    while rest.len() >= 5 {
        assert!((0x14..=0x17).contains(&rest[0]) && rest[1] == 3, "no record: {:x?}", &rest[..5]);
        let length = usize::from(u16::from_be_bytes([rest[3], rest[4]]));
        rest = rest.get(5 + length..).unwrap_or_default();
    }
}

/// A request over plain HTTP from a host, with a key.
fn plain(host: &Host, to: &Node<'_>, key: &str, method: &str, target: &str, body: Option<&Value>) -> http::Answer {
    let bearer = format!("Bearer {key}");
    let body = body.map(|body| body.to_string().into_bytes());
    let mut headers = vec![("Content-Type", "application/json")];
    if !key.is_empty() {
        headers.push(("Authorization", &bearer));
    }
    host.inside(|| http::request(to.address(), method, target, &headers, body.as_deref()))
}

#[test]
fn plain_http_from_elsewhere_is_for_health_and_pairing() {
    let Some(wire) = Wire::new("plain HTTP from elsewhere") else { return };
    let (leo, kai) = nodes(&wire);
    join(&leo, &kai);
    let (away, status) = (&wire.kai, "/api/v1/status");
    assert_eq!(plain(away, &leo, "", "GET", "/api/v1/health", None).ok().json()["nodeId"], leo.daemon.node_id.as_str());
    // The other machine's side of a pairing is heard; it only has nothing to say to this.
    plain(away, &leo, "", "POST", "/api/v1/pair/initiate", Some(&json!({ "v": 2 }))).refused(400, 7008);
    plain(away, &leo, "", "POST", "/api/v1/pair/confirm", Some(&json!({ "sid": "AAAAAAAAAAAAAAAAAAAAAA", "sealed": "AAAA" }))).refused(404, 7001);
    plain(away, &leo, "", "GET", status, None).refused(401, 1001);

    let said = plain(away, &leo, &leo.daemon.key, "GET", status, None).refused(403, 1006);
    assert!(said.contains("in clear") && said.contains("https"), "{said}");
    for (method, target) in [("POST", "/api/v1/execute"), ("POST", "/api/v1/pair/start"), ("GET", "/api/v1/events"), ("POST", "/api/v1/key")] {
        plain(away, &leo, &leo.daemon.key, method, target, None).refused(403, 1006);
    }
    // On the machine itself it is taken.
    leo.get(status).ok();

    let minted = leo.at(|leo| leo.mint("mia"));
    plain(away, &leo, &minted, "GET", status, None).ok();
    let enable = |from: &str, to: &str| {
        leo.daemon.home.edit_config(&format!("enabled: {from}"), &format!("enabled: {to}"));
        leo.post("/api/v1/reload", json!({})).ok();
    };
    enable("false", "true");
    let said = plain(away, &leo, &minted, "GET", status, None).refused(403, 1006);
    assert!(said.contains("tls.enabled"), "{said}");
    leo.at(|leo| leo.call_as(&minted, "GET", status, None)).ok();
    wire.kai.inside(|| tls::request(leo.address(), None, &minted, "GET", status)).ok();
    plain(away, &leo, "", "GET", "/api/v1/health", None).ok();
    enable("true", "false");
    plain(away, &leo, &minted, "GET", status, None).ok();

    // The key of a paired machine, stolen.
    let key = key_for(&kai.daemon, &leo.daemon);
    let own = Credentials::of(&kai.daemon.home);
    let thief = crate::support::Home::init("thief");
    let other = Credentials::of(&thief);
    plain(away, &leo, &key, "GET", status, None).refused(403, 1006);
    leo.at(|leo| leo.call_as(&key, "GET", status, None)).refused(403, 1006);
    away.inside(|| tls::request(leo.address(), None, &key, "GET", status)).refused(403, 1006);
    let said = away.inside(|| tls::request(leo.address(), Some(&other), &key, "GET", status)).refused(403, 1006);
    assert!(said.contains("kai") && said.contains("another certificate"), "{said}");
    away.inside(|| tls::request(leo.address(), Some(&own), &key, "GET", status)).ok();
    // The owner's key may come over TLS from anywhere.
    away.inside(|| tls::request(leo.address(), None, &leo.daemon.key, "GET", status)).ok();
    // A connection on which the right key was shown does not carry the wrong one.
    away.inside(|| {
        let mut link = Secured::open(leo.address(), Some(&other));
        link.request(&minted, "GET", status).ok();
        link.request(&key, "GET", status).refused(403, 1006);
        link.request(&minted, "GET", status).ok();
    });
}

#[test]
fn the_port_speaks_tls_1_3_and_no_older_one() {
    let Some(wire) = Wire::new("old TLS") else { return };
    let leo = wire.leo.node("leo", |_| {});
    wire.kai.inside(|| tls::request(leo.address(), None, &leo.daemon.key, "GET", "/api/v1/status")).ok();
    plain(&wire.kai, &leo, "", "GET", "/api/v1/health", None).ok();
    let mut alert = Vec::new();
    wire.kai.inside(|| {
        let mut stream = http::dial(leo.address());
        stream.write_all(&tls::hello_of_tls_1_2()).unwrap();
        let _reset_after_the_alert = stream.read_to_end(&mut alert);
    });
    // A fatal alert, protocol_version.
    assert_eq!((alert.first(), alert.get(5..7)), (Some(&0x15), Some(&[2, 70][..])), "{alert:x?}");
    assert_eq!(PORT, leo.daemon.port());
}

/// Both announce themselves.
fn announced(home: &crate::support::Home) {
    home.edit_config("discovery:\n  enabled: false", "discovery:\n  enabled: true");
}

fn candidate(at: &Node<'_>, name: &str) -> Option<Value> {
    at.peer(name).filter(|peer| peer["candidate"] == true)
}

#[test]
fn nodes_that_announce_themselves_are_found_paired_by_name_and_followed() {
    let Some(wire) = Wire::new("mDNS between hosts") else { return };
    let (leo, kai) = (wire.leo.node("leo", announced), wire.kai.node("kai", announced));
    for (here, there) in [(&leo, &kai), (&kai, &leo)] {
        let seen = until("a candidate", || candidate(here, &there.daemon.home.name));
        assert_eq!((seen["address"].as_str(), seen["port"].as_u64()), (Some(there.host.ip.to_string().as_str()), Some(u64::from(PORT))), "{seen}");
        assert_eq!(seen["nodeId"], there.daemon.node_id.as_str(), "{seen}");
        assert_eq!((seen["trusted"].as_bool(), seen["paired"].as_bool()), (Some(false), Some(false)), "{seen}");
    }
    // It is seen, and nothing more.
    leo.get("/api/v1/at/kai/status").refused(409, 2008);

    pair(&leo, &kai, "leo", None);
    for (here, name) in [(&leo, "kai"), (&kai, "leo")] {
        let peers = here.get("/api/v1/peers").ok().json();
        assert_eq!(peers["peers"].as_array().unwrap().len(), 1, "{peers}");
        let peer = here.peer(name).unwrap();
        assert_eq!((peer["candidate"].as_bool(), peer["paired"].as_bool()), (Some(false), Some(true)), "{peer}");
    }
    leo.get("/api/v1/at/kai/identity").ok();

    // kai moves. Nobody does anything, and its pin proves that it is still kai.
    let moved = std::time::Instant::now();
    wire.kai.ip(&format!("addr del {}/24 dev LINK", wire.kai.ip));
    wire.kai.ip("addr add 10.77.0.99/24 dev LINK");
    until("kai at its new address", || leo.peer("kai").filter(|peer| peer["address"] == "10.77.0.99" && peer["status"] == "online"));
    eprintln!("kai was found at its new address after {:?}", moved.elapsed());
    assert_eq!(leo.get("/api/v1/at/kai/identity").ok().json()["nodeId"], kai.daemon.node_id.as_str());
    leo.loopsy(&["exec", "kai", "true"]).ok();
    // kai's own connections still come from where it was, and lead nowhere.
    until("kai's way to leo", || (kai.get("/api/v1/at/leo/identity").status == 200).then_some(()));
    eprintln!("kai reached leo from its new address after {:?}", moved.elapsed());

    // kai removes leo, which still announces itself and stays away. leo lost its key, not its eyes.
    kai.at(|kai| kai.call("DELETE", &format!("/api/v1/peers/{}", leo.daemon.node_id), None)).ok();
    until("leo to hear it", || leo.peer("kai").filter(|peer| peer["paired"] == false));
    let nobody = |at: &Node<'_>| at.get("/api/v1/peers").ok().json() == json!({ "peers": [] });
    assert!(nobody(&kai));
    // Who never removed it sees it from the same host: it is announced there. kai does not show it.
    let second = wire.kai.node("mia", |home| {
        announced(home);
        home.edit_config(&format!("port: {PORT}"), "port: 19533");
    });
    until("leo, seen from kai's host", || candidate(&second, "leo"));
    let mia = until("mia", || candidate(&kai, "mia"));
    assert_eq!(mia["nodeId"], second.daemon.node_id.as_str());
    let shown = kai.get("/api/v1/peers").ok().json();
    assert_eq!(shown["peers"].as_array().unwrap().len(), 1, "{shown}");

    kai.daemon.home.edit_config("discovery:\n  enabled: true", "discovery:\n  enabled: false");
    kai.post("/api/v1/reload", json!({})).ok();
    until("no candidate without discovery", || nobody(&kai).then_some(()));
}

/// The last step of a diagnosis, after those before it succeeded.
fn last_step(at: &Node<'_>, of: &Node<'_>) -> (String, String, String) {
    let steps = at.post(&format!("/api/v1/peers/{}/diagnose", of.daemon.node_id), json!({})).ok().json();
    let steps = steps["steps"].as_array().unwrap();
    let (last, before) = steps.split_last().unwrap();
    assert!(before.iter().all(|step| step["verdict"] != "failed"), "{steps:?}");
    let word = |name: &str| last[name].as_str().unwrap_or_default().to_owned();
    if last["verdict"] == "failed" {
        assert!(word("fix").len() > 10, "no advice: {last}");
    }
    (format!("{} {}", word("step"), word("verdict")), word("message"), word("fix"))
}

#[test]
fn the_doctor_says_where_the_way_to_a_peer_ends() {
    let Some(wire) = Wire::new("the way to a peer, broken") else { return };
    let (leo, mut kai) = nodes(&wire);
    join(&leo, &kai);
    assert_eq!(last_step(&leo, &kai).0, "version ok");
    assert_eq!(leo.loopsy(&["doctor", "--peer", "kai"]).text().matches("[FAIL]").count(), 0);

    let narrow = |scopes: Value| kai.at(|it| it.call("PUT", &format!("/api/v1/peers/{}/scopes", leo.daemon.node_id), Some(json!({ "scopes": scopes })))).ok();
    narrow(json!(["status", "context"]));
    let steps = leo.post(&format!("/api/v1/peers/{}/diagnose", kai.daemon.node_id), json!({})).ok().json();
    let scopes = steps["steps"].as_array().unwrap().iter().find(|step| step["step"] == "scopes").expect("that step").clone();
    assert!(scopes["verdict"] == "warning" && scopes["message"].as_str().unwrap().contains("execute"), "{scopes}");
    narrow(json!(["context"]));
    let (step, message, fix) = last_step(&leo, &kai);
    assert!(step == "scopes failed" && message.contains("status") && fix.contains("allow"), "{step}: {message} {fix}");
    narrow(json!(["status", "execute", "transfer", "context"]));

    wire.kai.ip("link set LINK down");
    let (step, message, fix) = last_step(&leo, &kai);
    assert!(["port failed", "address failed"].contains(&step.as_str()) && message.contains("10.77.0.2"), "{step}: {message} {fix}");
    eprintln!("link down: {step}: {message} → {fix}");
    let ran = leo.loopsy(&["doctor", "--peer", "kai"]);
    assert!(ran.code == 1 && ran.text().contains("[FAIL]"), "{}", ran.text());
    wire.kai.ip("link set LINK up");
    until("the way back", || (leo.get("/api/v1/at/kai/identity").status == 200).then_some(()));

    kai.at_mut(|kai| kai.stop());
    let (step, message, fix) = last_step(&leo, &kai);
    assert!(step == "port failed" && fix.contains("loopsy start"), "{step}: {message} {fix}");
    assert!(message.contains("refused"), "{message}");

    let pinned = fingerprint(&kai.daemon);
    let other = wire.kai.node("kai", |_| {});
    let (step, message, fix) = last_step(&leo, &kai);
    assert!(step == "pin failed" && message.contains(&pinned) && message.contains(&fingerprint(&other.daemon)), "{step}: {message}");
    assert!(fix.contains("loopsy peers remove kai"), "{fix}");
    drop(other);
    kai.at_mut(|kai| kai.launch(&[]));
    until("the way back", || (leo.get("/api/v1/at/kai/identity").status == 200).then_some(()));
    assert_eq!(last_step(&leo, &kai).0, "version ok");
}

//! Who may do what: every route asks, and no disguise of a path or header gets past it.

use std::os::unix::fs::PermissionsExt;

use loopsy_shared::api::{Method, Needs, REGISTRY, Spec};
use rustix::process::Signal;
use serde_json::json;

use crate::support::{Pair, Sse, TestDaemon, files_below, http, until};

/// A path of a route, with something in its fields.
fn path(spec: &Spec) -> String {
    spec.path.split('/').map(|segment| if segment.starts_with('{') { "x" } else { segment }).collect::<Vec<_>>().join("/")
}

#[test]
fn every_route_refuses_who_has_no_key() {
    let leo = TestDaemon::new("leo");
    for entry in REGISTRY {
        let (method, path) = (entry.spec.method.as_str(), path(&entry.spec));
        let answer = leo.raw(method, &path, &[], None);
        if entry.spec.needs == Needs::Nothing {
            // Open to everybody; an empty message of a pairing is none.
            if method == "GET" {
                drop(answer.ok())
            } else {
                drop(answer.refused(400, 7008))
            }
            continue;
        }
        answer.refused(401, 1001);
        leo.raw(method, &path, &[("Authorization", "Bearer ")], None).refused(401, 1001);
        for disguise in [
            format!("{path}?"),
            format!("{path}?a=/api/v1/health"),
            path.replacen("/api", "/%61pi", 1),
            path.replacen("/v1", "/v1/.", 1),
            format!("{path}/"),
            format!("/{path}"),
        ] {
            let answer = leo.raw(method, &disguise, &[], None);
            assert_eq!((answer.status, answer.code()), (401, 1001), "{method} {disguise}");
        }
        if entry.spec.method == Method::Get {
            assert_eq!(leo.raw("HEAD", &path, &[], None).status, 401);
        }
    }
    for door in [
        "/api/v1/at/kai/health",
        "/api/v1/at/kai/x",
        "/api/v1/health/../identity",
        "/api/v1/health%2F..%2Fidentity",
        "/api/v1/health/x",
        "/",
        "/dashboard",
        "/nothing",
    ] {
        leo.raw("GET", door, &[], None).refused(401, 1001);
    }
    // The body is not even read.
    let answer =
        http::exchange(leo.address, format!("POST /api/v1/execute HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000000\r\n\r\n", leo.address).as_bytes(), false);
    answer.refused(401, 1001);
}

#[test]
fn every_route_refuses_a_wrong_key() {
    // Wrong keys are counted for each address; so few for each node stay below the limit.
    for routes in REGISTRY.chunks(20) {
        let leo = TestDaemon::new("leo");
        for entry in routes {
            let answer = leo.call_as("lpk_not-a-key-of-this-node", entry.spec.method.as_str(), &path(&entry.spec), None);
            match (entry.spec.needs, entry.spec.method) {
                (Needs::Nothing, Method::Get) => drop(answer.ok()),
                (Needs::Nothing, _) => drop(answer.refused(400, 7008)),
                _ => drop(answer.refused(403, 1002)),
            }
        }
    }
}

#[test]
fn a_key_is_taken_with_and_without_bearer() {
    let leo = TestDaemon::new("leo");
    for value in [format!("Bearer {}", leo.key), format!("bearer   {}", leo.key), format!("BEARER {}", leo.key), leo.key.clone()] {
        leo.raw("GET", "/api/v1/status", &[("Authorization", &value)], None).ok();
    }
    for value in
        [format!("Basic {}", leo.key), format!("{}x", leo.key), leo.key.to_uppercase(), leo.key[..leo.key.len() - 1].to_owned(), format!("Bearer{}", leo.key)]
    {
        let refused = leo.raw("GET", "/api/v1/status", &[("Authorization", &value)], None);
        assert_eq!((refused.status, refused.code()), (403, 1002), "{value}");
    }
    leo.get(&format!("/api/v1/status?apiKey={}", leo.key)).ok();
    leo.raw("GET", &format!("/api/v1/status?apiKey={}&key={}", leo.key, leo.key), &[], None).refused(401, 1001);
}

#[test]
fn unknown_routes_and_methods() {
    let leo = TestDaemon::new("leo");
    leo.get("/api/v1/nothing").refused(404, 9004);
    leo.raw("GET", "/api/v1/nothing", &[], None).refused(401, 1001);
    leo.call("DELETE", "/api/v1/status", None).refused(405, 9005);
    leo.raw("DELETE", "/api/v1/status", &[], None).refused(401, 1001);
    leo.get("/api/v1/status/").refused(404, 9004);
    leo.get("/api/v1/context/").refused(400, 9003);
    for target in ["/api/v1/context/%zz", "/api/v1/context/%", "/api/v1/context/%ff%fe", "/api/v1/peers/%00"] {
        let answer = leo.get(target);
        assert!((400..500).contains(&answer.status) && answer.code() > 0, "{target}: {} {}", answer.status, answer.text());
    }
}

#[test]
fn health_answers_every_way_one_may_ask() {
    let leo = TestDaemon::new("leo");
    for target in ["/api/v1/health", "/api/v1/health?", "/api/v1/health?x=1"] {
        assert_eq!(leo.raw("GET", target, &[], None).ok().json()["nodeId"], leo.node_id.as_str());
    }
    let head = leo.raw("HEAD", "/api/v1/health", &[], None).ok();
    assert!(head.body.is_empty() && head.header("content-type").is_some());
    leo.raw("GET", "/api/v1/health", &[("Authorization", "Bearer wrong")], None).ok();
}

#[test]
fn web_pages_are_refused_and_get_no_cors_header() {
    let leo = TestDaemon::new("leo");
    let bearer = format!("Bearer {}", leo.key);
    let own = leo.address.to_string();
    let mut answers = Vec::new();
    for headers in [
        &[("Host", "evil.example")][..],
        &[("Host", "evil.example:19532")],
        &[("Host", "127.0.0.1.nip.io")],
        &[("Host", "localhost.evil.example")],
        &[("Origin", "https://evil.example")],
        &[("Origin", "null")],
        &[("Origin", "http://localhost:3000")],
        &[("Origin", "http://127.0.0.1")],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site")],
    ] {
        for target in ["/api/v1/health", "/api/v1/status", "/api/v1/nothing"] {
            let mut all = headers.to_vec();
            all.push(("Authorization", &bearer));
            let answer = leo.raw("GET", target, &all, None);
            answer.refused(403, 1005);
            answers.push(answer);
        }
    }
    let origin = format!("http://{own}");
    for headers in [
        &[("Origin", origin.as_str())][..],
        &[("Sec-Fetch-Site", "same-origin")],
        &[("Sec-Fetch-Site", "none")],
        &[("Host", "localhost:1")],
        &[("Host", "leo")],
        &[("Host", "LEO.local:19532")],
        &[("Host", "[::1]:19532")],
    ] {
        answers.push(leo.raw("GET", "/api/v1/health", headers, None).ok());
    }
    let preflight = [("Origin", "https://evil.example"), ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "authorization")];
    answers.push(leo.raw("OPTIONS", "/api/v1/execute", &preflight, None));
    let preflight = [("Origin", origin.as_str()), ("Access-Control-Request-Method", "POST")];
    answers.push(leo.raw("OPTIONS", "/api/v1/execute", &preflight, None));
    for answer in answers {
        assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("access-control-")), "{:?}", answer.headers);
    }
    let no_host = http::exchange(leo.address, b"GET /api/v1/health HTTP/1.1\r\nConnection: close\r\n\r\n", false);
    assert!((400..500).contains(&no_host.status), "{}", no_host.status);
}

#[test]
fn empty_json_bodies_are_no_body() {
    let leo = TestDaemon::new("leo");
    leo.put("k", "v").ok();
    let bearer = format!("Bearer {}", leo.key);
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    leo.raw("DELETE", "/api/v1/context/k", &headers, None).ok();
    leo.put("k", "v").ok();
    leo.raw("DELETE", "/api/v1/context/k", &headers, Some(b"")).ok();
    for body in [None, Some(&b""[..]), Some(b"  \n")] {
        leo.raw("POST", "/api/v1/reload", &headers, body).ok();
        leo.raw("POST", "/api/v1/peers", &headers, body).refused(400, 9003);
        leo.raw("PUT", "/api/v1/context/k", &headers, body).refused(400, 9003);
    }
    leo.raw("POST", "/api/v1/reload", &[("Authorization", &bearer)], None).ok();
    leo.raw("PUT", "/api/v1/context/k", &[("Authorization", &bearer), ("Content-Type", "text/plain")], Some(b"{\"value\":\"x\"}")).refused(415, 9007);
}

#[test]
fn a_peers_key_opens_this_node_and_nothing_of_the_owners() {
    let pair = Pair::new();
    let key = pair.leo.mint("mia");
    for entry in REGISTRY.iter().filter(|entry| entry.spec.needs == Needs::Admin) {
        pair.leo.call_as(&key, entry.spec.method.as_str(), &path(&entry.spec), None).refused(403, 1004);
    }
    for target in ["/api/v1/at/kai/status", "/api/v1/at/kai/health", "/api/v1/at/nobody/x", "/api/v1/at/leo/status"] {
        pair.leo.call_as(&key, "GET", target, None).refused(403, 1004);
    }
    pair.leo.call_as(&key, "GET", "/api/v1/events?topics=transfers", None).refused(403, 1004);
    for target in ["/api/v1/status", "/api/v1/identity", "/api/v1/peers", "/api/v1/context", "/api/v1/execute/jobs"] {
        pair.leo.call_as(&key, "GET", target, None).ok();
    }
    // And it opens no other node.
    pair.kai.call_as(&key, "GET", "/api/v1/status", None).refused(403, 1002);
    pair.kai.call_as(&pair.leo.key, "GET", "/api/v1/status", None).refused(403, 1002);
}

#[test]
fn peers_are_rate_limited_and_the_owner_is_not() {
    let home = crate::support::Home::init("leo");
    home.edit_config("  execute: 30\n  transfer: 10\n  context: 60", "  execute: 3\n  transfer: 4\n  context: 5");
    let leo = TestDaemon::start(home);
    let key = leo.mint("mia");
    let burst = |count: usize, method: &str, target: &str, body: serde_json::Value| -> Vec<http::Answer> {
        (0..count).map(|_| leo.call_as(&key, method, target, Some(body.clone()))).collect()
    };
    for (limit, method, target, body) in [
        (5, "PUT", "/api/v1/context/k", json!({ "value": "v" })),
        (3, "POST", "/api/v1/execute", json!({ "command": "true" })),
        (4, "POST", "/api/v1/transfer/list", json!({ "path": leo.home.home() })),
    ] {
        let answers = burst(limit + 3, method, target, body);
        let passed = answers.iter().filter(|answer| answer.status == 200).count();
        assert!((limit..=limit + 1).contains(&passed), "{target}: {passed}");
        let refused = answers.last().unwrap();
        refused.refused(429, 9002);
        let after: u64 = refused.header("retry-after").expect("Retry-After").parse().unwrap();
        assert!((1..=60).contains(&after), "{after}");
    }
    leo.call_as(&key, "GET", "/api/v1/status", None).ok();
    for _ in 0..20 {
        leo.put("k", "v").ok();
    }
}

#[test]
fn guessing_keys_is_slow_and_the_right_key_still_works() {
    let leo = TestDaemon::new("leo");
    let refused = until("a 429", || Some(leo.call_as("lpk_wrong_wrong_wrong", "GET", "/api/v1/status", None)).filter(|answer| answer.status != 403));
    refused.refused(429, 9002);
    assert!(refused.header("retry-after").is_some());
    leo.get("/api/v1/status").ok();
}

#[test]
fn a_node_that_is_down_can_be_looked_at_and_given_a_new_key() {
    let mut leo = TestDaemon::new("leo");
    let old = leo.key.clone();
    leo.stop();
    let doctor = leo.loopsy(&["doctor"]);
    assert_eq!(doctor.code, 1, "{}", doctor.err);
    assert!(doctor.text().contains("[FAIL] Daemon") && doctor.text().contains("Files"), "it goes on after the first failure: {}", doctor.text());
    assert_eq!(leo.loopsy(&["status"]).code, 3);
    let new = leo.loopsy(&["key", "generate", "--yes"]).ok().text().trim().to_owned();
    assert_ne!(new, old);
    leo.launch(&[]);
    leo.call_as(&old, "GET", "/api/v1/status", None).refused(403, 1002);
    leo.call_as(&new, "GET", "/api/v1/status", None).ok();
}

#[test]
fn a_new_key_takes_effect_at_once_and_ends_the_old_ones_streams() {
    let pair = Pair::new();
    let (old, peer) = (pair.leo.key.clone(), pair.leo.mint("mia"));
    let mut owners = pair.leo.events("", None);
    let mut peers = Sse::open(pair.leo.address, &peer, "GET", "/api/v1/events", None, None);
    owners.next();
    peers.next();
    let new = pair.leo.loopsy(&["key", "generate", "--yes"]).ok().text().trim().to_owned();
    assert_ne!(new, old);
    pair.leo.call_as(&old, "GET", "/api/v1/status", None).refused(403, 1002);
    pair.leo.call_as(&new, "GET", "/api/v1/status", None).ok();
    pair.leo.loopsy(&["status"]).ok();
    assert_eq!(pair.leo.loopsy(&["key", "show"]).ok().text().trim(), new);
    while let Ok(Some(_)) = owners.try_next() {}
    // Peers keep theirs.
    pair.kai.get("/api/v1/at/leo/status").ok();
    pair.leo.call_as(&new, "PUT", "/api/v1/context/after", Some(json!({ "value": "x" }))).ok();
    until("the peer's stream to go on", || (peers.next().data["entry"]["key"] == "after").then_some(()));
    let again = pair.leo.call_as(&new, "POST", "/api/v1/key", None).ok().json()["key"].as_str().unwrap().to_owned();
    pair.leo.call_as(&new, "GET", "/api/v1/status", None).refused(403, 1002);
    pair.leo.call_as(&again, "GET", "/api/v1/status", None).ok();
}

#[test]
fn a_key_that_is_taken_out_of_the_file_stops_at_once() {
    let leo = TestDaemon::new("leo");
    let key = leo.mint("mia");
    let mut stream = Sse::open(leo.address, &key, "GET", "/api/v1/events", None, None);
    stream.next();
    let text = std::fs::read_to_string(leo.home.config()).unwrap();
    let entry = text.split("allowedKeys: {").nth(1).and_then(|rest| rest.split('}').next()).expect("the key is there").to_owned();
    assert!(entry.starts_with("mia: sha256:"), "{entry}");
    leo.home.edit_config(&entry, "");
    leo.signal(Signal::HUP);
    until("the key to stop", || (leo.call_as(&key, "GET", "/api/v1/status", None).status == 403).then_some(()));
    while let Ok(Some(_)) = stream.try_next() {}
}

#[test]
fn everything_in_the_data_directory_is_private() {
    let home = crate::support::Home::init("leo");
    std::fs::set_permissions(home.config(), std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::set_permissions(home.data(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut leo = TestDaemon::start(home);
    let kai = TestDaemon::new("kai");
    crate::support::connect(&leo, &kai);
    leo.put("k", "v").ok();
    leo.post("/api/v1/execute", json!({ "command": "sh", "args": ["-c", "head -c 3000000 /dev/zero"] })).ok();
    until("the exports", || (leo.home.data().join("context.json").exists() && leo.home.data().join("peers.json").exists()).then_some(()));
    let check = |daemon: &TestDaemon| {
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let files = files_below(&daemon.home.data());
        assert!(files.len() > 6, "{files:?}");
        for file in &files {
            assert_eq!(mode(file), 0o600, "{}", file.display());
            assert_eq!(mode(file.parent().unwrap()), 0o700, "{}", file.parent().unwrap().display());
        }
    };
    check(&leo);
    leo.stop();
    check(&leo);
}

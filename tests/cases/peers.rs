//! Other nodes: found once, watched for ever, believed only when they are themselves.

use serde_json::json;

use crate::support::{Pair, TestDaemon, connect, until};

fn status(at: &TestDaemon, name: &str) -> String {
    at.peer(name).map(|peer| peer["status"].as_str().unwrap().to_owned()).unwrap_or_default()
}

#[test]
fn add_list_remove_by_the_command_line() {
    let (leo, kai) = (TestDaemon::new("leo"), TestDaemon::new("kai"));
    assert!(leo.loopsy(&["peers"]).ok().out.len() < 200);
    leo.loopsy(&["peers", "add", &format!("127.0.0.1:{}", kai.port())]).ok();
    // Without a key only the id is learned; with one, the name too.
    until("its id", || {
        leo.get("/api/v1/peers").ok().json()["peers"]
            .as_array()
            .unwrap()
            .iter()
            .any(|peer| peer["nodeId"] == kai.node_id.as_str() && peer["status"] == "online")
            .then_some(())
    });
    connect(&leo, &kai);
    let listed = leo.loopsy(&["peers", "list"]).ok().text();
    assert!(listed.contains("kai") && listed.contains("online"), "{listed}");
    let json = leo.loopsy(&["peers", "--json"]).ok().json();
    assert_eq!(json["peers"].as_array().unwrap().len(), 1, "the same machine found twice is one peer: {json}");
    leo.loopsy(&["peers", "add", "127.0.0.1", &kai.port().to_string()]).ok();
    assert_eq!(leo.loopsy(&["peers", "--json"]).ok().json()["peers"].as_array().unwrap().len(), 1);
    leo.loopsy(&["peers", "add", &format!("localhost:{}", kai.port())]).ok();
    until("both addresses to be one peer", || {
        let peers = leo.get("/api/v1/peers").ok().json()["peers"].clone();
        (peers.as_array().unwrap().len() == 1 && peers[0]["nodeId"] == kai.node_id.as_str()).then_some(())
    });
    leo.loopsy(&["peers", "remove", "kai", "--yes"]).ok();
    assert_eq!(leo.get("/api/v1/peers").ok().json(), json!({ "peers": [] }));
    assert_eq!(leo.get("/api/v1/at/kai/status").code(), 2001);
    assert!(leo.loopsy(&["peers", "remove", "kai", "--yes"]).refused(1).contains("kai"));
}

#[test]
fn what_makes_no_sense_is_refused_and_adds_nothing() {
    let leo = TestDaemon::new("leo");
    for body in [
        json!({}),
        json!({ "address": "" }),
        json!({ "address": "kai", "port": 0 }),
        json!({ "address": "kai", "port": 70000 }),
        json!({ "address": "kai", "port": "19532" }),
        json!({ "address": 7 }),
        json!({ "address": "http://kai/" }),
        json!({ "address": "kai/../x" }),
        json!({ "address": "user@kai" }),
        json!({ "address": "kai\u{1b}[2J" }),
        json!({ "address": "kai", "hostname": "" }),
        json!({ "address": "127.0.0.1", "nodeId": leo.node_id }),
    ] {
        leo.post("/api/v1/peers", body).refused(400, 9003);
    }
    for name in ["", "a b", "admin", "Admin", "-x", "a/b", "\u{1b}"] {
        leo.post("/api/v1/peers/keys", json!({ "name": name })).refused(400, 9003);
    }
    assert_eq!(leo.get("/api/v1/peers").ok().json(), json!({ "peers": [] }));
    for args in [&["peers", "add", "a b"][..], &["peers", "add", "kai", "0"], &["peers", "add", "kai", "99999"]] {
        assert!(matches!(leo.loopsy(args).code, 1 | 2), "{args:?}");
    }
    // This node itself is no peer of its own.
    let own = leo.post("/api/v1/peers", json!({ "address": "127.0.0.1", "port": leo.port() }));
    assert!(own.status == 200 || own.status == 400);
    until("itself to be dropped", || (leo.get("/api/v1/peers").ok().json() == json!({ "peers": [] })).then_some(()));
    let key = leo.mint("me");
    leo.post("/api/v1/peers/connect", json!({ "address": "127.0.0.1", "port": leo.port(), "key": key })).refused(400, 9003);
}

#[test]
fn a_peer_goes_offline_and_comes_back() {
    let mut pair = Pair::on_fixed_ports();
    let mut events = pair.leo.events("?topics=peers", None);
    assert_eq!(events.next().data["type"], "snapshot");
    let id = pair.kai.node_id.clone();
    pair.kai.kill9();
    // A call notices at once; the health checks then count to three.
    let refused = pair.leo.get("/api/v1/at/kai/status").refused(502, 2003);
    assert!(refused.contains("kai") && refused.contains("last seen at") && refused.contains("loopsy"), "{refused}");
    let said = pair.leo.loopsy(&["exec", "kai", "true"]);
    assert!(said.refused(3).contains("kai"), "{}", said.err);
    until("kai offline", || (status(&pair.leo, "kai") == "offline").then_some(()));
    let peer = pair.leo.peer("kai").unwrap();
    assert!(peer["offlineSince"].is_u64() && peer["lastError"].is_string(), "{peer}");
    assert_eq!(pair.leo.get("/api/v1/status").ok().json()["peers"]["offline"], 1);
    let listed = pair.leo.loopsy(&["peers"]).ok().text();
    assert!(listed.contains("offline"), "{listed}");
    pair.kai.launch(&[]);
    assert_eq!(pair.kai.node_id, id, "nodeId is for life");
    until("kai online", || (status(&pair.leo, "kai") == "online").then_some(()));
    pair.leo.get("/api/v1/at/kai/status").ok();
    let mut seen = Vec::new();
    until("the events of both changes", || {
        let event = events.next().data;
        seen.push(event["peer"]["status"].as_str().unwrap_or_default().to_owned());
        (seen.contains(&"offline".to_owned()) && seen.last().is_some_and(|last| last == "online")).then_some(())
    });
}

#[test]
fn peers_and_keys_survive_a_restart() {
    let mut pair = Pair::on_fixed_ports();
    let (leo_id, kai_id) = (pair.leo.node_id.clone(), pair.kai.node_id.clone());
    pair.leo.stop();
    pair.kai.kill9();
    pair.leo.launch(&[]);
    pair.kai.launch(&[]);
    assert_eq!((&pair.leo.node_id, &pair.kai.node_id), (&leo_id, &kai_id));
    let answer = until("the way to kai", || Some(pair.leo.get("/api/v1/at/kai/identity")).filter(|answer| answer.status == 200));
    assert_eq!(answer.json()["nodeId"], kai_id.as_str());
    pair.kai.get("/api/v1/at/leo/identity").ok();
}

#[test]
fn a_handshake_changes_no_record_but_its_own() {
    let pair = Pair::new();
    let key = pair.leo.mint("stranger");
    let hello = |node_id: &str, hostname: &str| json!({ "nodeId": node_id, "hostname": hostname, "platform": "linux", "version": "1", "port": 4711, "capabilities": [] });
    let before = pair.leo.peer("kai").unwrap();
    // Somebody claims to be kai: kai's record keeps its address, and its key stays its own.
    let told = pair.leo.call_as(&key, "POST", "/api/v1/peers/handshake", Some(hello(&pair.kai.node_id, "kai")));
    assert!(told.status == 200 || told.status == 403 || told.status == 400, "{}", told.text());
    let after = until("the check that follows", || pair.leo.peer("kai"));
    for field in ["nodeId", "address", "port", "principal", "trusted"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    pair.leo.get("/api/v1/at/kai/identity").ok();
    for (field, value) in [
        ("nodeId", json!("")),
        ("hostname", json!("")),
        ("platform", json!(7)),
        ("version", json!("")),
        ("port", json!(0)),
        ("port", json!(70000)),
        ("capabilities", json!("x")),
    ] {
        let mut bad = hello("11111111-2222-4333-8444-555555555555", "mia");
        bad[field] = value;
        pair.leo.call_as(&key, "POST", "/api/v1/peers/handshake", Some(bad)).refused(400, 9003);
        let mut missing = hello("11111111-2222-4333-8444-555555555555", "mia");
        missing.as_object_mut().unwrap().remove(field);
        pair.leo.call_as(&key, "POST", "/api/v1/peers/handshake", Some(missing)).refused(400, 9003);
    }
    assert!(pair.leo.peer("mia").is_none());
    pair.leo.call_as(&key, "POST", "/api/v1/peers/handshake", Some(hello(&pair.leo.node_id, "leo"))).refused(400, 9003);
    pair.leo.call_as(&key, "POST", "/api/v1/peers/handshake", Some(hello("11111111-2222-4333-8444-555555555555", "mia"))).ok();
    let mia = pair.leo.peer("mia").unwrap();
    assert_eq!((mia["address"].as_str(), mia["trusted"].as_bool(), mia["status"].as_str()), (Some("127.0.0.1"), Some(false), Some("unknown")));
}

#[test]
fn a_name_that_is_taken_is_not_taken_over() {
    let pair = Pair::new();
    let other = TestDaemon::new("kai");
    let key = other.mint("leo");
    let refused = pair.leo.post("/api/v1/peers/connect", json!({ "address": "127.0.0.1", "port": other.port(), "key": key })).refused(409, 2007);
    assert!(refused.contains("kai"), "{refused}");
    assert_eq!(pair.leo.get("/api/v1/at/kai/identity").ok().json()["nodeId"], pair.kai.node_id.as_str());
    assert_eq!(pair.leo.get("/api/v1/peers").ok().json()["peers"].as_array().unwrap().len(), 1);
}

#[test]
fn connecting_with_a_wrong_key_stores_nothing() {
    let (leo, kai) = (TestDaemon::new("leo"), TestDaemon::new("kai"));
    let wrong = leo.post("/api/v1/peers/connect", json!({ "address": "127.0.0.1", "port": kai.port(), "key": "lpk_wrong_wrong_wrong" }));
    wrong.refused(403, 1002);
    assert_eq!(leo.get("/api/v1/peers").ok().json(), json!({ "peers": [] }));
    let ran = leo.home.loopsy_with(&["connect", &format!("127.0.0.1:{}", kai.port()), "--key-stdin", "--no-mint"], "lpk_wrong_wrong_wrong\n");
    ran.refused(4);
    let ran = leo.home.loopsy_with(&["connect", &format!("127.0.0.1:{}", kai.port()), "--key-stdin", "--no-mint"], format!("{}\n", kai.mint("leo")));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(leo.loopsy(&["context", "set", "a", "b", "--peer", "kai"]).ok().code, 0);
    assert!(!std::fs::read_to_string(leo.home.data().join("credentials.json")).unwrap().contains("wrong"));
    let nobody = leo.post("/api/v1/peers/connect", json!({ "address": "127.0.0.1", "port": 1, "key": "lpk_wrong_wrong_wrong" }));
    nobody.refused(502, 2003);
}

#[test]
fn a_removed_peer_is_cut_off_at_once() {
    let pair = Pair::new();
    pair.kai.get("/api/v1/at/leo/identity").ok();
    let mut stream = crate::support::Sse::open(pair.kai.address, &pair.kai.key, "GET", "/api/v1/at/leo/events", None, None);
    assert_eq!(stream.status, 200);
    stream.next();
    pair.leo.loopsy(&["peers", "remove", "kai", "--yes"]).ok();
    let refused = pair.kai.get("/api/v1/at/leo/identity");
    assert!(refused.refused(409, 2008).contains("loopsy pair"));
    // The stream that was open with the old key ends: cleanly or cut, but it ends.
    while let Ok(Some(_)) = stream.try_next() {}
    let config = std::fs::read_to_string(pair.leo.home.config()).unwrap();
    assert!(!config.contains("kai:"), "{config}");
    assert!(!std::fs::read_to_string(pair.leo.home.data().join("credentials.json")).unwrap().contains(&pair.kai.node_id));
}

#[test]
fn with_tls_enabled_a_peer_by_hand_is_encrypted_and_stays_so() {
    let (leo, kai) = (TestDaemon::new("leo"), TestDaemon::on_fixed_port("kai"));
    leo.home.edit_config("enabled: false", "enabled: true");
    leo.post("/api/v1/reload", json!({})).ok();
    connect(&leo, &kai);
    assert_eq!(leo.peer("kai").unwrap()["encryption"], "unpinned");
    leo.get("/api/v1/at/kai/identity").ok();
    // Something that speaks no TLS in its place gets nothing, although this node would speak plainly to a machine that never could encrypt.
    let (mut kai, port) = (kai, leo.peer("kai").unwrap()["port"].as_u64().unwrap());
    kai.stop();
    let plain = std::net::TcpListener::bind(("127.0.0.1", u16::try_from(port).unwrap())).unwrap();
    let heard = std::thread::spawn(move || {
        let mut bytes = [0; 512];
        let read = plain.accept().and_then(|(mut stream, _)| std::io::Read::read(&mut stream, &mut bytes)).unwrap();
        bytes[..read].to_vec()
    });
    leo.get("/api/v1/at/kai/identity").refused(502, 2003);
    let heard = heard.join().unwrap();
    assert!(heard.first() == Some(&0x16) && !heard.windows(6).any(|word| word == b"Bearer"), "{heard:?}");
}

#[test]
fn a_certificate_that_was_lost_is_said() {
    let mut pair = Pair::paired();
    pair.kai.stop();
    std::fs::remove_dir_all(pair.kai.home.data().join("tls")).unwrap();
    pair.kai.launch(&[]);
    let problems = pair.kai.get("/api/v1/status").ok().json()["problems"].clone();
    assert!(problems.as_array().unwrap().iter().any(|problem| problem["part"] == "tls"), "{problems}");
}

#[test]
fn a_key_that_was_made_by_hand_is_revoked_by_its_name() {
    let leo = TestDaemon::new("leo");
    let key = leo.mint("nobody");
    leo.call_as(&key, "GET", "/api/v1/status", None).ok();
    leo.loopsy(&["peers", "remove", "nobody", "--yes"]).ok();
    leo.call_as(&key, "GET", "/api/v1/status", None).refused(403, 1002);
    leo.call("DELETE", "/api/v1/peers/keys/nobody", None).refused(404, 2001);
    assert!(!std::fs::read_to_string(leo.home.config()).unwrap().contains("nobody"));
    let pair = Pair::paired();
    pair.leo.call("DELETE", "/api/v1/peers/keys/kai", None).refused(400, 9003);
}

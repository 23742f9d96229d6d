//! The JSON that the clients of the reference product read, key by key.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Pair, Sse, TestDaemon, until};

#[track_caller]
fn has_keys(value: &Value, keys: &str) {
    let found: BTreeSet<&str> = value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().map(String::as_str).collect();
    let wanted: BTreeSet<&str> = keys.split(' ').collect();
    assert_eq!(found, wanted, "{value}");
}

#[test]
fn health_identity_status() {
    let pair = Pair::new();
    let health = pair.leo.raw("GET", "/api/v1/health", &[], None).ok();
    assert_eq!(health.header("content-type"), Some("application/json; charset=utf-8"));
    has_keys(&health.json(), "status nodeId uptime version now");
    assert_eq!(health.json()["status"], "ok");
    assert!(health.json()["uptime"].is_u64());
    let identity = pair.leo.get("/api/v1/identity").ok().json();
    has_keys(&identity, "nodeId hostname platform version port capabilities scopes");
    assert_eq!(identity["port"], pair.leo.port());
    assert!(identity["capabilities"].as_array().unwrap().iter().any(|capability| capability == "execute"));
    assert_eq!(identity["platform"], if cfg!(target_os = "macos") { "darwin" } else { "linux" });
    let status = pair.leo.get("/api/v1/status").ok().json();
    has_keys(&status, "nodeId hostname platform version uptime peers jobs context tasks approvals agents problems");
    has_keys(&status["peers"], "total candidates online offline unknown");
    has_keys(&status["jobs"], "active total");
    has_keys(&status["context"], "entries");
    assert_eq!(status["peers"], json!({ "total": 1, "candidates": 0, "online": 1, "offline": 0, "unknown": 0 }));
}

#[test]
fn peers() {
    let pair = Pair::new();
    let peer = pair.leo.peer("kai").unwrap();
    let reference = "nodeId hostname address port platform version capabilities status lastSeen failureCount trusted manuallyAdded \
                     paired candidate encryption scopes";
    has_keys(&peer, &format!("{reference} principal"));
    assert_eq!(peer["principal"], "kai");
    let added = pair.leo.post("/api/v1/peers", json!({ "address": "192.0.2.1", "apiKey": "ignored" })).ok().json();
    has_keys(&added, reference);
    assert_eq!(added["nodeId"], "manual-192.0.2.1:19532");
    assert_eq!((added["hostname"].as_str(), added["platform"].as_str(), added["version"].as_str()), (Some("192.0.2.1"), Some("unknown"), Some("unknown")));
    assert_eq!(
        (&added["status"], &added["lastSeen"], &added["capabilities"], &added["manuallyAdded"]),
        (&json!("unknown"), &json!(0), &json!([]), &json!(true))
    );
    let removed = pair.leo.call("DELETE", "/api/v1/peers/manual-192.0.2.1%3A19532", None).ok().json();
    assert_eq!(removed, json!({ "success": true, "nodeId": "manual-192.0.2.1:19532" }));
    pair.leo.call("DELETE", "/api/v1/peers/manual-192.0.2.1%3A19532", None).refused(404, 2001);
    let hello = json!({ "nodeId": "11111111-2222-4333-8444-555555555555", "hostname": "mia", "platform": "linux", "version": "1.0.0", "port": 19532, "capabilities": ["execute"] });
    has_keys(&pair.leo.post("/api/v1/peers/handshake", hello).ok().json(), "nodeId hostname platform version port capabilities scopes");
    pair.leo.home.data();
    until("the export", || {
        let text = std::fs::read_to_string(pair.leo.home.data().join("peers.json")).ok()?;
        text.contains("mia").then_some(())
    });
}

#[test]
fn execute() {
    let leo = TestDaemon::new("leo");
    let ran = leo.post("/api/v1/execute", json!({ "command": "echo", "args": ["hi"], "unknownField": 1, "stream": false })).ok().json();
    has_keys(&ran, "jobId exitCode stdout stderr duration killed timedOut cancelled totalBytes truncated");
    assert_eq!((&ran["exitCode"], &ran["stdout"], &ran["stderr"], &ran["killed"]), (&json!(0), &json!("hi\n"), &json!(""), &json!(false)));
    let killed = leo.post("/api/v1/execute", json!({ "command": "sh", "args": ["-c", "kill -9 $$"] })).ok().json();
    has_keys(&killed, "jobId exitCode stdout stderr duration killed timedOut cancelled totalBytes truncated signal");
    assert_eq!((&killed["exitCode"], &killed["killed"], &killed["signal"]), (&Value::Null, &json!(true), &json!("SIGKILL")));
    let mut stream = Sse::open(leo.address, &leo.key, "POST", "/api/v1/execute/stream", None, Some(&json!({ "command": "sleep", "args": ["30"] })));
    let header = |name: &str| stream.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()).unwrap();
    assert_eq!((stream.status, header("content-type").as_str(), header("cache-control").as_str()), (200, "text/event-stream", "no-cache"));
    let id = header("x-loopsy-job-id");
    let jobs = leo.get("/api/v1/execute/jobs").ok().json();
    has_keys(&jobs, "jobs");
    has_keys(&jobs["jobs"][0], "jobId command args startedAt fromNodeId pid principal running");
    assert_eq!((&jobs["jobs"][0]["jobId"], &jobs["jobs"][0]["fromNodeId"]), (&json!(id), &json!("unknown")));
    assert_eq!(leo.call("DELETE", &format!("/api/v1/execute/{id}"), None).ok().json(), json!({ "success": true, "jobId": id }));
    let last = stream.next();
    assert_eq!(last.id, None, "a stream of a job has no ids");
    has_keys(&last.data, "type data jobId timestamp exit");
    assert_eq!((&last.data["type"], &last.data["jobId"]), (&json!("exit"), &json!(id)));
    assert!(last.data["data"].is_string(), "the exit code is a decimal string");
    assert!(stream.try_next().unwrap().is_none(), "it ends right after `exit`");
    leo.call("DELETE", &format!("/api/v1/execute/{id}"), None).refused(404, 3006);
}

#[test]
fn context() {
    let mut leo = TestDaemon::new("leo");
    let plain = leo.put("k", "v").ok().json();
    has_keys(&plain, "key value fromNodeId createdAt updatedAt version");
    assert_eq!(plain["fromNodeId"], "local");
    let body = json!({ "value": "v", "ttl": 60 });
    let bearer = format!("Bearer {}", leo.key);
    let headers = [("Authorization", bearer.as_str()), ("X-Loopsy-Node-Id", "mia"), ("Content-Type", "application/json")];
    let named = leo.raw("PUT", "/api/v1/context/t", &headers, Some(body.to_string().as_bytes())).ok().json();
    has_keys(&named, "key value fromNodeId createdAt updatedAt ttl expiresAt version");
    assert_eq!((&named["fromNodeId"], &named["ttl"]), (&json!("mia"), &json!(60)));
    assert_eq!(named["expiresAt"].as_u64().unwrap(), named["updatedAt"].as_u64().unwrap() + 60_000);
    let list = leo.get("/api/v1/context").ok().json();
    has_keys(&list, "entries");
    assert_eq!(list["entries"][0]["key"], "k", "oldest first");
    leo.stop();
    let exported: Value = serde_json::from_slice(&std::fs::read(leo.home.data().join("context.json")).unwrap()).unwrap();
    assert_eq!(exported.as_array().unwrap().len(), 2);
    for field in ["key", "value", "fromNodeId", "createdAt", "updatedAt"] {
        assert!(!exported[0][field].is_null(), "{field}: {exported}");
    }
}

#[test]
fn transfer() {
    let leo = TestDaemon::new("leo");
    leo.home.write("d/a.txt", "hello");
    std::os::unix::fs::symlink("a.txt", leo.home.home().join("d/link")).unwrap();
    let path = leo.home.home().join("d");
    let listing = leo.post("/api/v1/transfer/list", json!({ "path": path })).ok().json();
    has_keys(&listing, "files");
    has_keys(&listing["files"][0], "name path type size modified mode");
    assert_eq!(listing["files"][0]["type"], "file");
    assert_eq!((&listing["files"][1]["name"], &listing["files"][1]["type"], &listing["files"][1]["size"]), (&json!("link"), &json!("symlink"), &json!(5)));
    leo.post("/api/v1/transfer/list", json!({})).refused(400, 9003);
    leo.post("/api/v1/transfer/pull", json!({})).refused(400, 9003);
    leo.post("/api/v1/transfer/list", json!({ "path": path.join("none") })).refused(400, 4002);
    leo.post("/api/v1/transfer/pull", json!({ "sourcePath": path })).refused(400, 4002);
}

//! Values under keys: what is stored is what comes back, by every way in.

use loopsy_shared::api::{
    context::{ContextKey, GetContext, ListContext, SetContext, Ttl},
    wire::encode_segment,
};
use serde_json::json;

use crate::support::{Pair, TestDaemon, block_on, until};

#[test]
fn set_get_list_delete_by_every_way_in() {
    let pair = Pair::new();
    let (leo, kai) = (&pair.leo, &pair.kai);
    leo.loopsy(&["context", "set", "greeting", "hällo"]).ok();
    assert_eq!(leo.loopsy(&["context", "get", "greeting"]).ok().text(), "hällo", "a pipe gets the value and nothing else");
    assert_eq!(leo.get("/api/v1/context/greeting").ok().json()["value"], "hällo");
    block_on(async {
        let entry = leo.client().call(GetContext { key: ContextKey::try_from("greeting".to_owned()).unwrap() }).await.unwrap();
        assert_eq!((entry.value.as_str(), entry.ttl), ("hällo", None));
        let there = leo.client().at("kai");
        let request = SetContext {
            key: ContextKey::try_from("from-leo".to_owned()).unwrap(),
            value: String::new(),
            ttl: Some(Ttl::from_seconds(60).unwrap()),
            if_version: None,
        };
        let entry = there.call(request).await.unwrap();
        assert_eq!(entry.from_node_id, leo.node_id);
        assert!(entry.expires_at.unwrap() > entry.updated_at);
        assert_eq!(leo.client().at("kai").call(ListContext::default()).await.unwrap().entries.len(), 1);
    });
    assert_eq!(kai.loopsy(&["context", "get", "from-leo"]).ok().text().trim_end(), "");
    assert_eq!(leo.loopsy(&["context", "get", "from-leo", "--peer", "kai"]).ok().text().trim_end(), "");
    assert!(leo.loopsy(&["context", "list", "--peer", "kai"]).ok().text().contains("from-leo"));
    leo.loopsy(&["context", "delete", "from-leo", "--peer", "kai"]).ok();
    assert_eq!(kai.loopsy(&["context", "get", "from-leo"]).code, 1);
    assert!(leo.loopsy(&["context", "get", "from-leo", "--peer", "kai"]).refused(1).contains("from-leo"));
    assert_eq!(leo.get("/api/v1/context/gone").refused(404, 5001).matches("gone").count(), 1);
}

#[test]
fn an_entry_expires_and_an_update_without_ttl_lives_on() {
    let leo = TestDaemon::new("leo");
    leo.call("PUT", "/api/v1/context/short", Some(json!({ "value": "x", "ttl": 1 }))).ok();
    leo.call("PUT", "/api/v1/context/kept", Some(json!({ "value": "x", "ttl": 1 }))).ok();
    let kept = leo.put("kept", "y").ok().json();
    assert!(kept.get("ttl").is_none() && kept.get("expiresAt").is_none(), "{kept}");
    until("the entry to expire", || (leo.get("/api/v1/context/short").status == 404).then_some(()));
    assert_eq!(leo.get("/api/v1/context").ok().json()["entries"].as_array().unwrap().len(), 1);
    assert_eq!(leo.get("/api/v1/status").ok().json()["context"]["entries"], 1, "an expired entry is counted");
}

#[test]
fn a_version_guards_against_lost_updates() {
    let leo = TestDaemon::new("leo");
    let first = leo.call("PUT", "/api/v1/context/k", Some(json!({ "value": "1", "ifVersion": 0 }))).ok().json();
    leo.call("PUT", "/api/v1/context/k", Some(json!({ "value": "2", "ifVersion": 0 }))).refused(412, 5004);
    let second = leo.call("PUT", "/api/v1/context/k", Some(json!({ "value": "2", "ifVersion": first["version"] }))).ok().json();
    assert_eq!(second["createdAt"], first["createdAt"]);
    leo.call("PUT", "/api/v1/context/k", Some(json!({ "value": "3", "ifVersion": first["version"] }))).refused(412, 5004);
    assert_eq!(leo.loopsy(&["context", "set", "k", "4", "--if-version", &first["version"].to_string()]).code, 1);
    leo.loopsy(&["context", "delete", "k", "--if-version", &second["version"].to_string()]).ok();
}

#[test]
fn keys_of_any_characters_are_one_path_segment() {
    let pair = Pair::new();
    let wild = ["a/b", "%", "%2F", "ä ö", "日本語", "...", "a?b#c", "inbox:kai:1", "\"'\\", "a&b=c+d", "\u{7}bell", "line\nbreak", "import", " ", "🦀"];
    for key in wild {
        let value = format!("value of {key}");
        pair.leo.put(key, &value).ok();
        let through = format!("/api/v1/at/kai/context/{}", encode_segment(key));
        pair.leo.call("PUT", &through, Some(json!({ "value": value }))).ok();
        for answer in [
            pair.leo.get(&format!("/api/v1/context/{}", encode_segment(key))),
            pair.leo.get(&through),
            pair.kai.get(&format!("/api/v1/context/{}", encode_segment(key))),
        ] {
            let entry = answer.ok().json();
            assert_eq!((entry["key"].as_str(), entry["value"].as_str()), (Some(key), Some(value.as_str())));
        }
    }
    assert_eq!(pair.kai.get("/api/v1/context").ok().json()["entries"].as_array().unwrap().len(), wild.len());
    let one = pair.leo.get("/api/v1/at/kai/context?prefix=a%2F").ok().json();
    assert_eq!(one["entries"].as_array().unwrap().len(), 1, "{one}");
    // `:` is written raw by some clients and encoded by others: it is the same key.
    pair.leo.call("PUT", "/api/v1/context/x:y", Some(json!({ "value": "raw" }))).ok();
    assert_eq!(pair.leo.get("/api/v1/context/x%3Ay").ok().json()["value"], "raw");
    for key in wild {
        let gone = pair.leo.call("DELETE", &format!("/api/v1/at/kai/context/{}", encode_segment(key)), None).ok().json();
        assert_eq!(gone, json!({ "success": true, "key": key }));
    }
    assert_eq!(pair.kai.get("/api/v1/context").ok().json()["entries"], json!([]));
}

/// URL libraries take `.`, `..` and their encoded forms for directions. By plain HTTP they are keys like any other; where a library is in between, they are
/// refused, and never lead to another path.
#[test]
fn dots_never_lead_to_another_path() {
    let pair = Pair::new();
    pair.leo.put("kept", "kept").ok();
    pair.kai.put("kept", "kept").ok();
    for key in [".", ".."] {
        let segment = encode_segment(key);
        pair.leo.put(key, "dots").ok();
        assert_eq!(pair.leo.get(&format!("/api/v1/context/{segment}")).ok().json()["key"], key);
        pair.leo.call("DELETE", &format!("/api/v1/context/{segment}"), None).ok();
        for args in [&["context", "set", key, "x"][..], &["context", "get", key], &["context", "delete", key], &["context", "set", key, "x", "--peer", "kai"]] {
            let ran = pair.leo.loopsy(args);
            assert!(ran.refused(1).contains("direction"), "{}", ran.err);
        }
        for target in
            [format!("/api/v1/at/kai/context/{segment}"), format!("/api/v1/at/kai/context/{segment}/status"), format!("/api/v1/at/kai/{segment}/{segment}/x")]
        {
            pair.leo.get(&target).refused(400, 9003);
            pair.leo.call("DELETE", &target, None).refused(400, 9003);
        }
    }
    for daemon in [&pair.leo, &pair.kai] {
        assert_eq!(daemon.get("/api/v1/context").ok().json()["entries"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn export_and_import_are_all_or_none() {
    let (leo, kai) = (TestDaemon::new("leo"), TestDaemon::new("kai"));
    for n in 0..50 {
        leo.put(&format!("k{n}"), &"ü".repeat(n)).ok();
    }
    let export = leo.loopsy(&["context", "export"]).ok();
    assert_eq!(export.json().as_array().unwrap().len(), 50);
    kai.put("own", "stays").ok();
    kai.home.loopsy_with(&["context", "import", "-"], export.out.clone()).ok();
    assert_eq!(kai.get("/api/v1/status").ok().json()["context"]["entries"], 51);
    let mut bad: serde_json::Value = export.json();
    bad[49]["key"] = json!("");
    assert_ne!(kai.home.loopsy_with(&["context", "import", "-", "--replace"], bad.to_string()).code, 0);
    assert_eq!(kai.get("/api/v1/status").ok().json()["context"]["entries"], 51, "half an import");
    kai.home.loopsy_with(&["context", "import", "-", "--replace"], export.out).ok();
    assert_eq!(kai.get("/api/v1/status").ok().json()["context"]["entries"], 50);
    assert_eq!(kai.get("/api/v1/context/own").code(), 5001);
}

#[test]
fn watch_prints_each_change() {
    let leo = TestDaemon::new("leo");
    let mut child = leo.home.command(&["context", "watch", "--prefix", "w/", "--json"]).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    // The watcher may connect before or after the first writes; from its first line on, nothing may be missing.
    let seen = std::thread::spawn(move || lines.by_ref().map_while(Result::ok).find(|line| line.contains("the last")));
    until("the line", || {
        leo.put("other", "not shown").ok();
        leo.put("w/1", "the last").ok();
        std::thread::sleep(std::time::Duration::from_millis(100));
        seen.is_finished().then_some(())
    });
    assert!(seen.join().unwrap().is_some());
    crate::support::kill(child.id(), rustix::process::Signal::INT);
    let status = until("its end", || child.try_wait().unwrap());
    assert!(matches!(status.code(), Some(0 | 130)), "{status}");
}

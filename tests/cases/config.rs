//! The config file and the daemon as a process: strict at the start, live afterwards, one daemon for each directory.

use serde_json::json;

use crate::support::{Home, TestDaemon, daemon::fixed_port, until};

fn hostname(daemon: &TestDaemon) -> String {
    daemon.get("/api/v1/identity").ok().json()["hostname"].as_str().unwrap().to_owned()
}

#[test]
fn a_config_that_is_not_valid_stops_the_start_and_says_where() {
    let cases: [(&str, &str, &[&str]); 9] = [
        ("server:\n  port: 0", "server:\n  prot: 0", &["line 4", "prot", "`port`"]),
        ("port: 0", "port: \"many\"", &["line", "port"]),
        ("port: 0", "port: 70000", &["70000"]),
        ("execution:\n", "execution: [\n", &["line"]),
        ("execution:", "exekution:", &["exekution", "`execution`"]),
        ("maxConcurrent: 10", "maxConcurrent: 0", &["maxConcurrent"]),
        ("level: info", "level: loud", &["loud", "line"]),
        ("hostname: \"leo\"", "hostname: \"a b\"", &["server.hostname"]),
        ("  port: 0", "\tport: 0", &["line"]),
    ];
    for (from, to, words) in cases {
        let home = Home::init("leo");
        let id = std::fs::read(home.data().join("node.json")).unwrap();
        home.edit_config(from, to);
        let text = std::fs::read_to_string(home.config()).unwrap();
        for args in [&["daemon", "run"][..], &["status"], &["start"], &["init", "--no-mcp"], &["key", "generate", "--yes"]] {
            let ran = home.loopsy(args);
            let said = ran.refused(78);
            for word in words {
                assert!(said.contains(word), "{args:?} with {to}: no `{word}` in: {said}");
            }
            assert!(!said.contains(&home.key()), "the key is in the message: {said}");
        }
        assert_eq!(std::fs::read_to_string(home.config()).unwrap(), text, "the config was changed");
        assert_eq!(std::fs::read(home.data().join("node.json")).unwrap(), id);
        assert!(!home.data().join("loopsy.db").exists(), "a store was made");
        assert!(!home.data().join("daemon.json").exists());
    }
}

#[test]
fn without_a_node_every_command_says_how_to_make_one() {
    let home = Home::bare("leo");
    for args in [&["status"][..], &["daemon", "run"], &["peers"], &["context", "list"], &["exec", "kai", "true"], &["key", "show"]] {
        let ran = home.loopsy(args);
        assert!(ran.refused(78).contains("loopsy init"), "{args:?}: {}", ran.err);
    }
    assert!(!home.data().exists(), "something was made");
    let json = home.loopsy(&["status", "--json"]);
    assert_eq!(json.code, 78);
    let error: serde_json::Value = serde_json::from_str(if json.out.is_empty() { &json.err } else { std::str::from_utf8(&json.out).unwrap() }).unwrap();
    assert!(error["error"]["message"].is_string() && error["error"]["code"].is_u64(), "{error}");
}

#[test]
fn init_makes_a_private_node_once() {
    let home = Home::init("leo");
    let (text, id) = (std::fs::read(home.config()).unwrap(), std::fs::read(home.data().join("node.json")).unwrap());
    let again = home.loopsy(&["init", "--port", "1234", "--no-mcp"]).ok();
    assert!(again.text().contains("already"), "{}", again.text());
    assert_eq!(std::fs::read(home.config()).unwrap(), text);
    assert_eq!(std::fs::read(home.data().join("node.json")).unwrap(), id);
    let other = Home::bare("kai");
    other.loopsy(&["init", "--hostname", "not a name", "--no-mcp"]).refused(2);
    assert!(!other.data().exists(), "a bad value made something");
}

#[test]
fn a_change_of_the_file_takes_effect_live() {
    let leo = TestDaemon::new("leo");
    leo.home.edit_config("hostname: \"leo\"", "hostname: \"written\"");
    until("the file to be read", || (hostname(&leo) == "written").then_some(()));
    // An editor that writes another file and renames it.
    let text = std::fs::read_to_string(leo.home.config()).unwrap().replace("written", "renamed");
    let beside = leo.home.data().join("config.yaml.swp");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, leo.home.config()).unwrap();
    until("the file to be read", || (hostname(&leo) == "renamed").then_some(()));
    leo.home.edit_config("renamed", "asked");
    assert_eq!(leo.post("/api/v1/reload", json!({})).ok().json(), json!({ "success": true, "needsRestart": [] }));
    assert_eq!(hostname(&leo), "asked", "an answered reload is in force");
    leo.home.edit_config("asked", "hung-up");
    leo.signal(rustix::process::Signal::HUP);
    until("the file to be read", || (hostname(&leo) == "hung-up").then_some(()));
    leo.home.edit_config("port: 0", "port: 4711");
    assert_eq!(leo.post("/api/v1/reload", json!({})).ok().json()["needsRestart"], json!(["server.port"]));
    let told = leo.loopsy(&["reload"]).ok().text();
    assert!(told.contains("server.port") && told.contains("restart"), "{told}");
}

#[test]
fn a_bad_change_keeps_what_was_in_force_and_shows() {
    let leo = TestDaemon::new("leo");
    leo.home.edit_config("rateLimits:", "rateLimit:");
    let refused = leo.post("/api/v1/reload", json!({})).refused(400, 9012);
    assert!(refused.contains("line") && refused.contains("rateLimits"), "{refused}");
    let problems = leo.get("/api/v1/status").ok().json()["problems"].clone();
    assert!(problems[0]["message"].as_str().unwrap().contains("rateLimit"), "{problems}");
    assert_eq!(hostname(&leo), "leo");
    leo.home.edit_config("rateLimit:", "rateLimits:");
    until("the problem to go", || (leo.get("/api/v1/status").ok().json()["problems"] == json!([])).then_some(()));
}

#[test]
fn one_directory_has_one_daemon() {
    let leo = TestDaemon::new("leo");
    let second = leo.loopsy(&["daemon", "run"]);
    let said = second.refused(1);
    assert!(said.contains(&leo.pid().to_string()) && said.contains(&leo.home.data().display().to_string()), "{said}");
    leo.get("/api/v1/status").ok();
    assert!(leo.loopsy(&["start"]).ok().text().contains("already"));
    assert!(leo.home.data().join("daemon.json").exists(), "the second one removed what is the first one's");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let leo = TestDaemon::new("leo");
    let home = Home::init("kai");
    home.edit_config("port: 0", &format!("port: {}", leo.port()));
    for args in [&["daemon", "run"][..], &["start"]] {
        let ran = home.loopsy(args);
        assert!(ran.refused(1).contains(&leo.port().to_string()), "{}", ran.err);
    }
    leo.get("/api/v1/status").ok();
}

#[test]
fn start_status_restart_stop() {
    let home = Home::init("leo");
    home.edit_config("port: 0", &format!("port: {}", fixed_port()));
    struct Stop<'a>(&'a Home);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            drop(self.0.loopsy(&["stop"]));
        }
    }
    assert_eq!(home.loopsy(&["status"]).code, 3, "nobody runs");
    let _stop = Stop(&home);
    let started = home.loopsy(&["start", "--json"]).ok().json();
    assert_eq!((started["running"].as_bool(), started["changed"].as_bool()), (Some(true), Some(true)));
    let status = home.loopsy(&["status", "--json"]).ok().json();
    assert_eq!(status["hostname"], "leo");
    let restarted = home.loopsy(&["restart", "--json"]).ok().json();
    assert_ne!(restarted["pid"], started["pid"]);
    assert_eq!(home.loopsy(&["status", "--json"]).ok().json()["nodeId"], status["nodeId"], "nodeId is for life");
    home.loopsy(&["doctor"]).ok();
    home.loopsy(&["stop"]).ok();
    assert_eq!(home.loopsy(&["status"]).code, 3);
    assert!(home.loopsy(&["stop"]).ok().text().contains("not running"));
}

#[test]
fn stop_ends_only_the_daemon_of_this_directory() {
    let leo = TestDaemon::new("leo");
    let home = Home::init("kai");
    // A PID file that names somebody else's daemon, as after a crash and a reboot.
    std::fs::write(home.data().join("daemon.pid"), leo.pid().to_string()).unwrap();
    std::fs::copy(leo.home.data().join("daemon.json"), home.data().join("daemon.json")).unwrap();
    drop(home.loopsy(&["stop"]));
    std::thread::sleep(std::time::Duration::from_millis(200));
    leo.get("/api/v1/status").ok();
}

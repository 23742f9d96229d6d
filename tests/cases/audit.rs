//! Every request leaves one line, and a line that was changed shows.

use serde_json::Value;

use crate::support::{TestDaemon, until};

fn lines(daemon: &TestDaemon) -> Vec<Value> {
    let text = std::fs::read_to_string(daemon.home.data().join("logs/audit.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn one_line_a_request_with_who_and_what() {
    let leo = TestDaemon::new("leo");
    let key = leo.mint("kai");
    let before = until("the first lines", || Some(lines(&leo)).filter(|lines| lines.len() >= 2)).len();
    leo.get("/api/v1/status").ok();
    leo.call_as(&key, "GET", "/api/v1/context?prefix=a&token=hidden", None).ok();
    leo.raw("GET", "/api/v1/identity", &[], None).refused(401, 1001);
    leo.get("/api/v1/nothing").refused(404, 9004);
    leo.raw("GET", "/api/v1/status", &[("Host", "evil.example"), ("X-Request-Id", "mine")], None).refused(403, 1005);
    let all = until("five more lines", || Some(lines(&leo)).filter(|lines| lines.len() >= before + 5));
    assert_eq!(all.len(), before + 5);
    let new = &all[before..];
    let brief: Vec<(u64, &str, Option<&str>)> =
        new.iter().map(|line| (line["statusCode"].as_u64().unwrap(), line["path"].as_str().unwrap(), line["principal"].as_str())).collect();
    assert_eq!(brief[0], (200, "/api/v1/status", Some("admin")));
    assert_eq!(brief[1].2, Some("kai"));
    assert!(brief[1].1.contains("prefix=a") && !brief[1].1.contains("hidden"), "{}", brief[1].1);
    assert_eq!(brief[2], (401, "/api/v1/identity", None));
    assert_eq!(brief[3], (404, "/api/v1/nothing", Some("admin")));
    assert_eq!(brief[4].0, 403);
    for line in new {
        for field in ["requestId", "method", "path", "fromIp", "statusCode", "duration", "timestamp", "prev"] {
            assert!(!line[field].is_null(), "{field} is missing in {line}");
        }
        assert_ne!(line["requestId"], "mine", "the caller chose the id");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }
}

#[test]
fn a_changed_line_is_found() {
    let mut leo = TestDaemon::new("leo");
    for _ in 0..10 {
        leo.get("/api/v1/status").ok();
    }
    leo.stop();
    let whole = leo.loopsy(&["logs", "verify"]).ok();
    assert!(whole.text().contains("whole"), "{}", whole.text());
    let path = leo.home.data().join("logs/audit.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let count = text.lines().count();
    let expect_broken = |what: &str| {
        let broken = leo.loopsy(&["logs", "verify"]);
        assert_eq!(broken.code, 1, "{what}: {}", broken.text());
        assert!(broken.text().contains("audit.jsonl"), "{what}: {}", broken.text());
        assert_eq!(leo.loopsy(&["logs", "verify", "--json"]).json()["whole"], false, "{what}");
    };
    std::fs::write(&path, text.replacen("\"statusCode\":200", "\"statusCode\":201", 1)).unwrap();
    expect_broken("an edited line");
    let without = |skip: usize| text.lines().enumerate().filter(|(index, _)| *index != skip).map(|(_, line)| format!("{line}\n")).collect::<String>();
    std::fs::write(&path, without(count / 2)).unwrap();
    expect_broken("a removed line");
    std::fs::write(&path, without(count - 1)).unwrap();
    expect_broken("the last line cut off");
    std::fs::write(&path, &text).unwrap();
    leo.loopsy(&["logs", "verify"]).ok();
}

#[test]
fn the_chain_goes_on_over_a_restart_and_a_kill() {
    let mut leo = TestDaemon::on_fixed_port("leo");
    for round in 0..4 {
        for _ in 0..5 {
            leo.get("/api/v1/status").ok();
        }
        if round % 2 == 0 {
            leo.kill9();
        } else {
            leo.stop();
        }
        leo.launch(&[]);
    }
    leo.stop();
    leo.loopsy(&["logs", "verify"]).ok();
    let shown = leo.loopsy(&["logs", "-n", "3"]).ok().text();
    assert_eq!(shown.lines().count(), 3, "{shown}");
}

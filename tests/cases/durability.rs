//! What was acknowledged is there, whatever happened to the process.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{Home, TestDaemon, http, noise};

const ROUNDS: usize = 50;
const WRITERS: usize = 8;

/// What one writer knows about its keys: the state that was acknowledged, and one change whose answer never came.
#[derive(Default)]
struct Writer {
    known: BTreeMap<String, Option<String>>,
    pending: Option<(String, Option<String>)>,
    acknowledged: u64,
    sequence: u64,
}

impl Writer {
    fn write(&mut self, number: usize, address: std::net::SocketAddr, key: &str, stop: &AtomicBool) {
        let bearer = format!("Bearer {key}");
        while !stop.load(Ordering::Relaxed) {
            self.sequence += 1;
            let name = format!("w{number}-{}", self.sequence % 5);
            let value = (!self.sequence.is_multiple_of(3)).then(|| format!("{number}/{}/{}", self.sequence, "x".repeat((self.sequence % 700) as usize)));
            let (method, body) = match &value {
                Some(value) => ("PUT", Some(json!({ "value": value }).to_string())),
                None => ("DELETE", None),
            };
            self.pending = Some((name.clone(), value.clone()));
            let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
            let body = body.as_deref().map(str::as_bytes);
            // The daemon may be killed at any moment: a call without an answer ends this round.
            let Ok(answer) = std::panic::catch_unwind(|| http::request(address, method, &format!("/api/v1/context/{name}"), &headers, body)) else { return };
            if serde_json::from_slice::<Value>(&answer.body).is_err() {
                return;
            }
            assert!(answer.status == 200 || (method == "DELETE" && answer.status == 404) || answer.status == 503, "{} {}", answer.status, answer.text());
            if answer.status == 200 {
                self.acknowledged += 1;
                self.known.insert(name, value);
            }
            self.pending = None;
        }
    }

    /// Takes over what is there now; says what contradicts what was acknowledged.
    fn check(&mut self, there: &BTreeMap<String, String>) -> Vec<String> {
        let pending = self.pending.take();
        let mut wrong = Vec::new();
        for (key, known) in &mut self.known {
            let found = there.get(key).cloned();
            if found == *known {
                continue;
            }
            if pending.as_ref().is_some_and(|(pending, value)| pending == key && *value == found) {
                *known = found;
                continue;
            }
            wrong.push(format!("{key}: acknowledged {:?}, found {:?}", known.as_deref().map(brief), found.as_deref().map(brief)));
        }
        wrong
    }
}

fn brief(value: &str) -> &str {
    value.get(..value.len().min(12)).unwrap_or(value)
}

#[test]
fn durability_no_acknowledged_write_is_lost_in_50_kills() {
    // Calls that are cut by the kill panic inside of the helper, which is expected here and not worth a page each.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !std::thread::current().name().is_some_and(|name| name.starts_with("writer")) {
            usual(info);
        }
    }));
    let mut leo = TestDaemon::on_fixed_port("leo");
    let mut writers: Vec<Writer> = (0..WRITERS).map(|_| Writer::default()).collect();
    let waits = noise(ROUNDS, 42);
    for (round, wait) in waits.iter().enumerate() {
        let stop = AtomicBool::new(false);
        let (address, key) = (leo.address, leo.key.clone());
        std::thread::scope(|scope| {
            for (number, writer) in writers.iter_mut().enumerate() {
                let (stop, key) = (&stop, &key);
                let run = move || writer.write(number, address, key, stop);
                std::thread::Builder::new().name(format!("writer {number}")).spawn_scoped(scope, run).unwrap();
            }
            std::thread::sleep(Duration::from_millis(20 + u64::from(*wait) / 2));
            leo.kill9();
            stop.store(true, Ordering::Relaxed);
        });
        if let Ok(text) = std::fs::read(leo.home.data().join("context.json")) {
            let parsed: Result<Vec<Value>, _> = serde_json::from_slice(&text);
            assert!(parsed.is_ok(), "round {round}: context.json does not parse");
        }
        leo.launch(&[]);
        let list = leo.get("/api/v1/context").ok().json();
        let there: BTreeMap<String, String> = list["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| (entry["key"].as_str().unwrap().to_owned(), entry["value"].as_str().unwrap().to_owned()))
            .collect();
        let wrong: Vec<String> = writers.iter_mut().flat_map(|writer| writer.check(&there)).collect();
        assert!(wrong.is_empty(), "round {round}: {wrong:#?}");
        assert_eq!(leo.get("/api/v1/status").ok().json()["problems"], json!([]));
    }
    let acknowledged: u64 = writers.iter().map(|writer| writer.acknowledged).sum();
    assert!(acknowledged > 2_000, "only {acknowledged} writes were acknowledged: that proves little");
    leo.stop();
    leo.loopsy(&["logs", "verify"]).ok();
}

#[test]
fn a_store_that_does_not_parse_is_kept_and_never_replaced() {
    let mut leo = TestDaemon::new("leo");
    leo.put("k", "v").ok();
    leo.stop();
    let data = leo.home.data();
    let store = data.join("loopsy.db");
    let good = std::fs::read(&store).unwrap();
    let mut torn = good.clone();
    torn.truncate(good.len() / 2 + 100);
    let mut header = good.clone();
    header[..64].fill(0);
    for damaged in [b"this is no database".to_vec(), torn, header, noise(8192, 3)] {
        for file in std::fs::read_dir(&data).unwrap().flatten() {
            if file.file_name().to_string_lossy().contains(".db-") {
                std::fs::remove_file(file.path()).unwrap();
            }
        }
        std::fs::write(&store, &damaged).unwrap();
        let ran = leo.loopsy(&["daemon", "run"]);
        let said = ran.refused(78);
        assert!(said.contains("loopsy.db") && said.contains("context"), "what to do is not said: {said}");
        assert_eq!(std::fs::read(&store).unwrap(), damaged, "the store was replaced");
        let copies = || crate::support::files_below(&data).into_iter().filter(|path| path.to_string_lossy().contains("loopsy.db.corrupt-")).collect::<Vec<_>>();
        let kept = copies();
        assert!(kept.iter().any(|path| std::fs::read(path).unwrap() == damaged), "no copy among {kept:?}");
        leo.loopsy(&["daemon", "run"]).refused(78);
        assert_eq!(copies().len(), kept.len(), "the same damage is copied at every start");
        leo.loopsy(&["start"]).refused(78);
    }
    for copy in crate::support::files_below(&data).iter().filter(|path| path.to_string_lossy().contains(".corrupt-")) {
        std::fs::remove_file(copy).unwrap();
    }
    std::fs::write(&store, good).unwrap();
    leo.launch(&[]);
    assert_eq!(leo.get("/api/v1/context/k").ok().json()["value"], "v");
}

#[test]
fn a_reference_installations_files_are_taken_over_and_bad_ones_are_refused() {
    let home = Home::init("leo");
    let entries = json!([
        { "key": "old", "value": "from the reference", "fromNodeId": "local", "createdAt": 1, "updatedAt": 2 },
        { "key": "gone", "value": "x", "fromNodeId": "local", "createdAt": 1, "updatedAt": 2, "ttl": 1, "expiresAt": 1002 },
        { "key": "inbox:leo:1", "value": "{}", "fromNodeId": "mia", "createdAt": 3, "updatedAt": 3, "ttl": 3600, "expiresAt": 99_999_999_999_999u64 },
    ]);
    std::fs::write(home.data().join("context.json"), entries.to_string()).unwrap();
    let mut leo = TestDaemon::start(home);
    let listed = leo.get("/api/v1/context").ok().json();
    let keys: Vec<&str> = listed["entries"].as_array().unwrap().iter().map(|entry| entry["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["old", "inbox:leo:1"]);
    leo.stop();
    for bad in ["[{\"key\":", "{}", "not json"] {
        let home = Home::init("kai");
        std::fs::write(home.data().join("context.json"), bad).unwrap();
        let ran = home.loopsy(&["daemon", "run"]);
        assert!(ran.refused(78).contains("context.json"), "{}", ran.err);
        assert_eq!(std::fs::read_to_string(home.data().join("context.json")).unwrap(), bad, "it was replaced");
        assert!(!home.data().join("daemon.json").exists());
    }
}

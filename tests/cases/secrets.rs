//! No secret is where it does not belong: not in files, logs, events, errors, or the command lines that anybody can see.

use serde_json::json;

use crate::support::{Pair, files_below};

#[test]
fn keys_are_in_config_and_credentials_and_nowhere_else() {
    let mut pair = Pair::new();
    let canary = "CANARY-e7f1c2-value-of-a-secret-variable";
    let (leo, kai) = (&pair.leo, &pair.kai);
    leo.home.edit_config("level: info", "level: trace");
    leo.post("/api/v1/reload", json!({})).ok();
    let mut events = leo.events("", None);
    let minted = leo.mint("mia");
    let credentials = std::fs::read_to_string(leo.home.data().join("credentials.json")).unwrap();
    let for_kai = credentials.split('"').find(|word| word.starts_with("lpk_")).expect("the key for kai").to_owned();
    let secrets = [leo.key.clone(), kai.key.clone(), minted.clone(), for_kai.clone()];

    // Everything that could tell a secret: calls that work, calls that fail, keys in odd places.
    let mut heard = String::new();
    for (method, target) in [
        ("GET", "/api/v1/status"),
        ("GET", "/api/v1/peers"),
        ("GET", "/api/v1/openapi.json"),
        ("GET", "/api/v1/nothing"),
        ("GET", "/api/v1/at/kai/status"),
        ("GET", "/api/v1/at/nobody/status"),
        ("POST", "/api/v1/reload"),
        ("GET", "/api/v1/execute/jobs"),
    ] {
        heard.push_str(&leo.call(method, target, None).text());
    }
    heard.push_str(&leo.get(&format!("/api/v1/status?apiKey={}", leo.key)).text());
    heard.push_str(&leo.raw("GET", "/api/v1/status", &[("Authorization", &format!("Bearer {}x", leo.key))], None).text());
    heard.push_str(&leo.post("/api/v1/peers/connect", json!({ "address": "127.0.0.1", "port": kai.port(), "key": format!("{}x", leo.key) })).text());
    heard.push_str(&leo.post("/api/v1/peers/connect", json!({ "address": 7, "key": leo.key })).text());
    for args in [
        &["status"][..],
        &["peers"],
        &["doctor"],
        &["logs"],
        &["logs", "--daemon", "-n", "all"],
        &["exec", "kai", "env"],
        &["jobs", "--json"],
        &["peers", "--json"],
    ] {
        let ran = leo.loopsy(args);
        heard.push_str(&ran.text());
        heard.push_str(&ran.err);
    }
    let environment = leo.post("/api/v1/execute", json!({ "command": "env", "env": { "MARK": "here" } })).ok().json();
    heard.push_str(environment["stdout"].as_str().unwrap());
    leo.put("mark", "the last event").ok();
    loop {
        let event = events.next();
        heard.push_str(&event.data.to_string());
        if event.data.to_string().contains("the last event") {
            break;
        }
    }
    for secret in secrets.iter().map(String::as_str).chain([canary]) {
        assert!(!heard.contains(secret), "a secret was said");
    }

    // Nor is one in the command line of any process that lives while a job runs.
    let mut job = leo.home.command(&["exec", "kai", "sleep", "30"]).spawn().unwrap();
    crate::support::until("the job", || (kai.get("/api/v1/execute/jobs").ok().json()["jobs"].as_array().unwrap().len() == 1).then_some(()));
    for secret in &secrets {
        assert!(crate::support::processes_with(secret).is_empty(), "a secret is in a command line");
    }
    job.kill().unwrap();
    let _ended = job.wait();

    pair.leo.stop();
    pair.kai.stop();
    for daemon in [&pair.leo, &pair.kai] {
        for path in files_below(daemon.home.root()) {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            let own = path.file_name().is_some_and(|name| name == "config.yaml" || name == "credentials.json");
            for secret in &secrets {
                assert!(own || !text.contains(secret.as_str()), "{} holds a secret", path.display());
            }
            assert!(!text.contains(&minted), "{} holds a key that was minted; only its hash may stay", path.display());
        }
    }
}

#[test]
fn a_job_gets_nothing_of_the_daemons_environment() {
    let mut leo = crate::support::TestDaemon::new("leo");
    leo.stop();
    leo.launch(&[("MY_API_TOKEN", "canary-token"), ("AWS_SECRET_ACCESS_KEY", "canary-aws"), ("LOOPSY_ANYTHING", "canary-loopsy"), ("PLAIN", "canary-plain")]);
    let ran = leo.post("/api/v1/execute", json!({ "command": "env" })).ok().json();
    let environment = ran["stdout"].as_str().unwrap();
    // The one name of ours is the mark by which strays of a job are found.
    let ours = environment.lines().filter(|line| line.starts_with("LOOPSY_") && !line.starts_with("LOOPSY_JOB=")).count();
    assert!(!environment.contains("canary") && ours == 0, "{environment}");
    assert!(environment.contains("PATH=") && environment.contains("HOME="), "{environment}");
    let asked = leo.post("/api/v1/execute", json!({ "command": "env", "env": { "GIVEN": "yes" } })).ok().json();
    assert!(asked["stdout"].as_str().unwrap().contains("GIVEN=yes"));
    leo.home.edit_config("execution:\n", "execution:\n  envPass: [PLAIN]\n");
    leo.post("/api/v1/reload", json!({})).ok();
    let passed = leo.post("/api/v1/execute", json!({ "command": "env" })).ok().json();
    assert!(passed["stdout"].as_str().unwrap().contains("PLAIN=canary-plain"));
    // The keeper, which is ours, holds no secret either: its environment is readable by everything that this user runs.
    let mut job = leo.home.command(&["exec", "nobody", "true"]).spawn().unwrap();
    let _ended = job.wait();
}

//! No secret is where it does not belong: not in files, logs, events, errors, or the command lines that anybody can see.

use serde_json::json;

use crate::support::{Pair, TestDaemon, files_below, until};

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
    let (agent, private) = (leo.home.agent_key(), std::fs::read_to_string(leo.home.data().join("tls/key.pem")).unwrap());
    let private = private.lines().nth(1).unwrap().to_owned();
    let secrets = [leo.key.clone(), kai.key.clone(), minted.clone(), for_kai.clone(), agent.clone(), private];

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
            let own = path.file_name().is_some_and(|name| name == "config.yaml" || name == "credentials.json" || name == "key.pem");
            for secret in &secrets {
                assert!(own || !text.contains(secret.as_str()), "{} holds a secret", path.display());
            }
            assert!(!text.contains(&minted), "{} holds a key that was minted; only its hash may stay", path.display());
        }
    }
}

#[test]
fn a_pairing_leaves_no_trace_of_its_digits_and_keys() {
    let (mut leo, mut kai) = (TestDaemon::new("leo"), TestDaemon::new("kai"));
    for node in [&leo, &kai] {
        node.home.edit_config("level: info", "level: trace");
        node.post("/api/v1/reload", json!({})).ok();
    }
    let (mut at_leo, mut at_kai) = (leo.events("", None), kai.events("", None));
    let code = leo.post("/api/v1/pair/start", json!({})).ok().json()["inviteCode"].as_str().unwrap().to_owned();
    // A wrong code first: what is refused must not be told either.
    let wrong = format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000);
    let mut heard = kai.post("/api/v1/pair/join", json!({ "address": "127.0.0.1", "port": leo.port(), "inviteCode": wrong })).refused(403, 7003).to_owned();
    let joined = kai.post("/api/v1/pair/join", json!({ "address": "127.0.0.1", "port": leo.port(), "inviteCode": code })).ok();
    let sas = joined.json()["sas"].as_str().unwrap().to_owned();
    for node in [&leo, &kai] {
        heard.push_str(&node.post("/api/v1/pair/confirm", json!({ "confirmed": true })).ok().text());
    }
    for (at, other) in [(&leo, "kai"), (&kai, "leo")] {
        until("the peer", || at.peer(other).filter(|peer| peer["status"] == "online" && peer["platform"] == "linux"));
        heard.push_str(&at.get("/api/v1/peers").ok().text());
        heard.push_str(&at.get("/api/v1/pair/status").ok().text());
        at.put("mark", "the last event").ok();
    }
    for events in [&mut at_leo, &mut at_kai] {
        loop {
            let event = events.next().data.to_string();
            heard.push_str(&event);
            if event.contains("the last event") {
                break;
            }
        }
    }
    let keys = |node: &TestDaemon| -> Vec<String> {
        let credentials = std::fs::read_to_string(node.home.data().join("credentials.json")).unwrap();
        credentials.split('"').filter(|word| word.starts_with("lpk_")).map(str::to_owned).collect()
    };
    let minted = [keys(&leo), keys(&kai)].concat();
    assert_eq!(minted.len(), 2, "one key for each direction");
    leo.stop();
    kai.stop();
    for node in [&leo, &kai] {
        for path in files_below(node.home.root()) {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            let credentials = path.file_name().is_some_and(|name| name == "credentials.json");
            assert!(credentials || !minted.iter().any(|key| text.contains(key)), "{} holds a key", path.display());
            // Six digits may be in any number; as a word of their own they are in no text.
            let words = |digits: &str| text.split(|c: char| !c.is_ascii_digit()).any(|word| word == digits);
            let readable = path.extension().is_some_and(|end| end == "log" || end == "jsonl" || end == "yaml" || end == "json" || end == "out");
            assert!(!readable || !(words(&code) || words(&sas) || words(&wrong)), "{} holds digits of the pairing", path.display());
        }
    }
    for secret in minted.iter().chain([&code, &sas, &wrong]) {
        assert!(!heard.contains(secret.as_str()), "{secret} was said");
    }
}

#[test]
fn a_job_gets_nothing_of_the_daemons_environment() {
    let mut leo = TestDaemon::new("leo");
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

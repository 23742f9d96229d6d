//! Pairing through the real command line: two people, two machines, and everything that can go wrong between them.

mod ends;
mod rights;
mod terminal;

use serde_json::{Value, json};

use crate::support::{Dialogue, Home, Ran, TestDaemon, until};

/// Where a node is.
fn place(at: &TestDaemon) -> String {
    format!("127.0.0.1:{}", at.port())
}

/// `loopsy pair` on a node, up to the code.
fn invite(at: &TestDaemon, more: &[&str]) -> (Dialogue, String) {
    let mut waiting = Dialogue::start(&at.home, &[&["pair", "--json"], more].concat());
    let code = waiting.event("invite")["inviteCode"].as_str().unwrap().to_owned();
    assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    (waiting, code)
}

/// `loopsy pair ADDRESS` on a node, with a code typed.
fn join(from: &TestDaemon, to: &TestDaemon, code: &str) -> Dialogue {
    let mut joining = Dialogue::start(&from.home, &["pair", &place(to), "--json"]);
    joining.say(code);
    joining
}

/// Both sides up to the question, with the same digits on both.
fn up_to_the_question(leo: &TestDaemon, kai: &TestDaemon) -> (Dialogue, Dialogue) {
    let (mut waiting, code) = invite(leo, &[]);
    let mut joining = join(kai, leo, &code);
    let (one, other) = (waiting.event("sas"), joining.event("sas"));
    assert_eq!(one["sas"], other["sas"]);
    assert_eq!((one["peer"]["hostname"].as_str(), other["peer"]["hostname"].as_str()), (Some("kai"), Some("leo")));
    assert!(one["expiresAt"].is_u64());
    (waiting, joining)
}

/// Two nodes that were paired by two people who both said yes.
fn paired() -> (TestDaemon, TestDaemon) {
    let (leo, kai) = (TestDaemon::new("leo"), TestDaemon::new("kai"));
    let (mut waiting, mut joining) = up_to_the_question(&leo, &kai);
    waiting.say("y");
    joining.say("YES");
    for (mut side, name) in [(waiting, "kai"), (joining, "leo")] {
        let outcome = side.event("outcome");
        assert_eq!((outcome["end"].as_str(), outcome["code"].as_u64(), outcome["peer"]["hostname"].as_str()), (Some("paired"), Some(0), Some(name)));
        side.end().ok();
    }
    (leo, kai)
}

/// A code that is not this one.
fn another(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000)
}

/// All that a pairing could leave behind.
fn kept(at: &Home) -> (String, String) {
    let read = |name: &str| std::fs::read_to_string(at.data().join(name)).unwrap_or_default();
    (read("config.yaml"), read("credentials.json"))
}

/// Whether a node is as it was before, and knows nobody.
#[track_caller]
fn nothing_was_kept(at: &TestDaemon, before: &(String, String)) {
    until("the end of the pairing", || (at.get("/api/v1/pair/status").ok().json()["active"] == false).then_some(()));
    assert_eq!(kept(&at.home).0, before.0, "config.yaml of {}", at.home.name);
    let keys = |text: &str| serde_json::from_str::<Value>(text).unwrap_or(Value::Null);
    assert_eq!(keys(&kept(&at.home).1), keys(&before.1), "credentials.json of {}", at.home.name);
    assert_eq!(at.get("/api/v1/peers").ok().json(), json!({ "peers": [] }));
}

/// What a run said, both ways, as one text.
fn all(ran: &Ran) -> String {
    format!("{}\n{}", ran.text(), ran.err)
}

#[test]
fn two_people_pair_two_machines_and_everything_works_at_once() {
    let (leo, kai) = paired();
    for (at, other) in [(&leo, "kai"), (&kai, "leo")] {
        let listed = at.loopsy(&["peers", "--json"]).ok().json();
        let peer = &listed["peers"][0];
        assert_eq!((peer["hostname"].as_str(), peer["paired"].as_bool(), peer["encryption"].as_str()), (Some(other), Some(true), Some("pinned")), "{listed}");
        assert_eq!(listed["peers"].as_array().unwrap().len(), 1);
        let table = at.loopsy(&["peers"]).ok();
        assert!(table.text().contains("ENCRYPTION") && table.text().contains("pinned") && table.err.is_empty(), "{}", all(&table));
        let status = at.loopsy(&["status"]).ok().text();
        assert!(!status.contains("not encrypted"), "{status}");
    }
    assert_eq!(leo.loopsy(&["exec", "kai", "echo", "hello"]).ok().text(), "hello\n");
    assert_eq!(kai.loopsy(&["exec", "leo", "echo", "back"]).ok().text(), "back\n");
    let file = leo.home.write("notes.txt", "some notes");
    let there = kai.home.home().join("got.txt");
    leo.loopsy(&["send", "kai", file.to_str().unwrap(), there.to_str().unwrap()]).ok();
    assert_eq!(std::fs::read_to_string(there).unwrap(), "some notes");
    leo.loopsy(&["context", "set", "a", "b", "--peer", "kai"]).ok();
    assert_eq!(kai.loopsy(&["context", "get", "a"]).ok().text().trim_end(), "b");
    let doctor = leo.loopsy(&["doctor", "--peer", "kai", "--json"]);
    let findings = doctor.json();
    let back = findings.as_array().unwrap().iter().filter(|finding| finding["from"] == "kai").count();
    assert!(back >= 8, "the way back was not tried: {findings}");
    assert!(findings.as_array().unwrap().iter().all(|finding| finding["status"] != "FAIL"), "{findings}");
    let said = leo.loopsy(&["doctor", "--peer", "kai"]).text();
    assert!(said.contains("From `kai` to here:") && said.contains("No link between here and `kai` is broken."), "{said}");
}

#[test]
fn people_read_sentences() {
    let (leo, kai) = (TestDaemon::new("leo"), TestDaemon::new("kai"));
    let mut waiting = Dialogue::start(&leo.home, &["pair"]);
    let code = waiting.line_with("Invite code: ").rsplit(' ').next().unwrap().to_owned();
    waiting.line_with("On the other machine run one of:");
    assert_eq!(waiting.line_with("loopsy pair").trim(), format!("loopsy pair {}", place(&leo)));
    let joined = std::thread::scope(|scope| {
        let other = scope.spawn(|| kai.home.loopsy_with(&["pair", &place(&leo)], format!("{} {}\ny\n", &code[..3], &code[3..])));
        waiting.line_with("SAS: ");
        assert!(waiting.line_with("This machine: `leo`.").contains("The other: `kai` (127.0.0.1)."));
        waiting.say("y");
        other.join().unwrap().ok()
    });
    let waited = waiting.end().ok();
    let sas = |text: &str| text.lines().find_map(|line| line.strip_prefix("SAS: ").map(str::to_owned)).unwrap();
    assert_eq!(sas(&joined.text()), sas(&waited.text()));
    assert!(sas(&joined.text()).len() == 7, "six digits in two halves: {}", joined.text());
    for (ran, other) in [(&waited, "kai"), (&joined, "leo")] {
        let said = all(ran);
        assert!(said.contains("Are the digits the same on both screens? [y/N]"), "{said}");
        assert!(said.contains(&format!("Paired with {other}")) && said.contains(&format!("loopsy exec {other} uname -a")), "{said}");
        assert!(
            said.contains("may here: status, context, messages, transfer, execute, ai-tasks.") && said.contains(&format!("loopsy peers deny {other} execute"))
        );
        assert!(!said.contains("left") && !said.contains('\u{1b}'), "a countdown on a pipe: {said}");
    }
}

#[test]
fn a_wrong_code_is_told_on_both_sides_and_the_right_one_still_works() {
    let (leo, kai) = (TestDaemon::new("leo"), TestDaemon::new("kai"));
    let (mut waiting, code) = invite(&leo, &[]);
    let mut wrong = join(&kai, &leo, &another(&code));
    let outcome = wrong.event("outcome");
    assert_eq!((outcome["end"].as_str(), outcome["code"].as_u64()), (Some("failed"), Some(7003)), "{outcome}");
    let refused = wrong.end();
    assert!(refused.refused(4).contains("The code is wrong. Nothing was kept."), "{}", refused.err);
    assert_eq!(waiting.event("wrong-code")["count"], 1);
    let mut right = join(&kai, &leo, &code);
    assert_eq!(right.event("sas")["sas"], waiting.event("sas")["sas"]);
    waiting.say("y");
    right.say("y");
    waiting.end().ok();
    right.end().ok();
}

#[test]
fn the_code_is_in_no_command_line_and_in_no_log() {
    let (leo, kai) = (TestDaemon::new("leo"), TestDaemon::new("kai"));
    let (mut waiting, code) = invite(&leo, &[]);
    let mut joining = join(&kai, &leo, &code);
    let sas = joining.event("sas")["sas"].as_str().unwrap().to_owned();
    waiting.event("sas");
    for pid in [waiting.pid(), joining.pid(), leo.pid(), kai.pid()] {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&line).contains(&code));
    }
    waiting.say("y");
    joining.say("y");
    waiting.end().ok();
    joining.end().ok();
    for at in [&leo, &kai] {
        for file in crate::support::files_below(&at.home.data().join("logs")) {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            for line in text.lines() {
                // Six digits may stand anywhere in a hash or a time; as a word of their own they may not.
                let mut words = line.split(|c: char| !c.is_ascii_alphanumeric());
                assert!(!words.any(|word| word == code || word == sas), "{}: {line}", file.display());
            }
        }
        assert!(!at.said().contains(&format!("\"{code}\"")));
    }
    assert_eq!(leo.loopsy(&["pair", "127.0.0.1", &code]).code, 2, "the code is no argument");
}

//! What a paired machine may do: narrowed when pairing, widened and narrowed later, at once.

use super::{invite, paired, place};
use crate::support::{Dialogue, TestDaemon};

#[test]
fn scopes_narrow_a_pairing_and_are_changed_at_once() {
    let (leo, kai) = (TestDaemon::new("leo"), TestDaemon::new("kai"));
    let (mut waiting, code) = invite(&leo, &["--scopes", "status,context"]);
    let mut joining = Dialogue::start(&kai.home, &["pair", &place(&leo), "--json", "--scopes", "status", "--scopes", "context,execute"]);
    joining.say(&code);
    waiting.event("sas");
    joining.event("sas");
    waiting.say("y");
    joining.say("y");
    waiting.end().ok();
    joining.end().ok();
    let scopes = |at: &TestDaemon| at.loopsy(&["peers", "--json"]).ok().json()["peers"][0]["scopes"].clone();
    assert_eq!(scopes(&leo), serde_json::json!(["status", "context"]));
    assert_eq!(scopes(&kai), serde_json::json!(["status", "context", "execute"]));
    // kai may not run anything on leo.
    assert_eq!(kai.post("/api/v1/at/leo/execute", serde_json::json!({ "command": "true" })).code(), 1004);
    kai.loopsy(&["exec", "leo", "true"]).refused(4);
    kai.loopsy(&["context", "set", "a", "b", "--peer", "leo"]).ok();
    let said = leo.loopsy(&["peers", "allow", "kai", "execute"]).ok().text();
    assert!(said.contains("`kai` may here now: status, context, execute."), "{said}");
    kai.loopsy(&["exec", "leo", "true"]).ok();
    let mut runs = kai.home.command(&["exec", "leo", "sleep", "60"]).spawn().unwrap();
    crate::support::until("the job", || (leo.loopsy(&["jobs", "--json"]).ok().text().contains("sleep")).then_some(()));
    leo.loopsy(&["peers", "deny", "kai", "execute"]).ok();
    let status = crate::support::until("the end of the job", || runs.try_wait().unwrap());
    assert!(!status.success());
    kai.loopsy(&["exec", "leo", "true"]).refused(4);
    kai.loopsy(&["context", "get", "a", "--peer", "leo"]).ok();
}

#[test]
fn rights_are_told_and_dangerous_ones_are_warned_of() {
    let (leo, kai) = paired();
    let warned = leo.loopsy(&["peers", "allow", "kai", "terminal", "approve"]).ok();
    assert!(warned.err.contains("`terminal`") && warned.err.contains("`approve`"), "{}", warned.err);
    assert!(leo.loopsy(&["peers", "allow", "kai", "messages"]).ok().err.is_empty());
    let told = leo.loopsy(&["peers", "deny", "kai", "terminal,approve,execute", "--json"]).ok().json();
    assert_eq!(told["scopes"], serde_json::json!(["status", "context", "messages", "transfer", "ai-tasks"]));
    for args in [&["peers", "allow", "kai", "exec"][..], &["peers", "allow", "kai"], &["pair", "--scopes", "everything"], &["pair", "--yes"]] {
        let ran = leo.loopsy(args);
        assert_eq!(ran.code, 2, "{args:?}");
        assert!(args.contains(&"--yes") || args.len() < 4 && args.contains(&"kai") || ran.err.contains("`execute`"), "{}", ran.err);
    }
    assert!(leo.loopsy(&["peers", "deny", "mia", "execute"]).refused(1).contains("mia"));
    // Both ends may be tried from one: what kai may not do at leo shows there.
    let findings = kai.loopsy(&["doctor", "--peer", "leo", "--json"]).json();
    let scopes = findings.as_array().unwrap().iter().find(|finding| finding["check"] == "scopes" && finding["from"].is_null()).unwrap().clone();
    assert_eq!(scopes["status"], "WARN", "{scopes}");
    let removed = leo.loopsy(&["peers", "remove", "kai", "--yes"]).ok().text();
    assert!(removed.contains("keys of both directions"), "{removed}");
    kai.loopsy(&["exec", "leo", "true"]).refused(4);
}

#[test]
fn the_doctor_names_the_first_broken_link() {
    let (leo, mut kai) = paired();
    kai.stop();
    let ran = leo.loopsy(&["doctor", "--peer", "kai"]);
    assert_eq!(ran.code, 1);
    assert!(ran.text().contains("The first broken link: from here, `port`:"), "{}", ran.text());
    let findings = leo.loopsy(&["doctor", "--json"]).json();
    let of = |check: &str| findings.as_array().unwrap().iter().find(|finding| finding["check"] == check).cloned().unwrap_or_default();
    assert_eq!(of("TLS")["status"], "OK", "{findings}");
    assert_eq!(of("mDNS")["status"], "OK", "{findings}");
}

#[test]
fn a_connection_by_hand_says_that_it_is_not_encrypted() {
    let pair = crate::support::Pair::new();
    let listed = pair.leo.loopsy(&["peers"]).ok();
    assert!(listed.text().contains("none") && listed.err.contains("`kai` is not encrypted"), "{}\n{}", listed.text(), listed.err);
    assert!(pair.leo.loopsy(&["status"]).ok().text().contains("`kai` is not encrypted"));
    assert!(pair.leo.loopsy(&["doctor"]).text().contains("Not encrypted: `kai`."));
    let mia = TestDaemon::new("mia");
    let ran = pair.leo.home.loopsy_with(&["connect", &place(&mia), "--key-stdin", "--no-mint"], format!("{}\n", mia.mint("leo"))).ok();
    assert!(ran.err.contains("not be encrypted") && ran.err.contains("loopsy pair") && ran.text().contains("not encrypted, not pinned"), "{}", ran.err);
}

#[test]
fn pairing_takes_the_place_of_keys_that_were_exchanged_by_hand() {
    let crate::support::Pair { leo, kai } = crate::support::Pair::new();
    let (mut waiting, mut joining) = super::up_to_the_question(&leo, &kai);
    waiting.say("y");
    joining.say("y");
    waiting.end().ok();
    joining.end().ok();
    for (at, other) in [(&leo, "kai"), (&kai, "leo")] {
        let listed = at.loopsy(&["peers", "--json"]).ok().json();
        assert_eq!((listed["peers"].as_array().unwrap().len(), listed["peers"][0]["encryption"].as_str()), (1, Some("pinned")), "{listed}");
        at.loopsy(&["exec", other, "true"]).ok();
    }
}

//! The review: what is shown is what is answered, and only by a key that was meant.

use serde_json::json;

use super::{Stage, review};
use crate::support::demo;

const OTHER: &str = "99992222-3333-4444-8555-666677778888";

#[test]
fn one_key_that_stands_alone_answers_once_with_the_hash_of_what_was_shown() {
    let stage = Stage::one_question("rm -rf target && cargo build");
    let mut screen = stage.open();
    screen.sees("[!1]");
    review(&mut screen, "rm -rf target && cargo build");
    screen.presses("a", "the answer", |_| !stage.fleet.decisions().is_empty());
    screen.loses("[!1]");
    let decisions = stage.fleet.decisions();
    assert_eq!(decisions.len(), 1, "{decisions:?}");
    assert_eq!(decisions[0].line, format!("POST /api/v1/approvals/{}", demo::BASH));
    assert_eq!(
        decisions[0].body,
        json!({ "id": demo::BASH, "sha256": demo::HASH, "decision": "allow" })
            .as_object()
            .map(|body| {
                // Whether the id is said in the body too is the client's affair.
                body.iter()
                    .filter(|(name, _)| *name != "id" || decisions[0].body.get("id").is_some())
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect::<serde_json::Value>()
            })
            .unwrap()
    );
}

#[test]
fn what_a_peer_asks_is_answered_through_the_daemon_here() {
    let stage = Stage::with(|world| world.approvals.clear());
    let mut screen = stage.start(&[]).size(120, 40).open();
    screen.sees("[!1]");
    review(&mut screen, "max_concurrent");
    screen.sees("studio-mac");
    screen.presses("d", "the answer", |_| !stage.fleet.decisions().is_empty());
    let decisions = stage.fleet.decisions();
    assert_eq!(decisions.len(), 1, "{decisions:?}");
    // The local daemon knows whose question it is, and passes the answer on.
    assert_eq!(decisions[0].line, format!("POST /api/v1/approvals/{}", demo::EDIT));
    assert_eq!(decisions[0].body["decision"], "deny");
}

#[test]
fn neither_a_newer_nor_an_older_question_takes_the_place_of_the_one_that_is_read() {
    let stage = Stage::one_question("echo the one that is read");
    let mut screen = stage.open();
    review(&mut screen, "echo the one that is read");
    stage.fleet.ask(&stage.question(OTHER, "echo newer", 58));
    screen.sees("[!2]");
    stage.fleet.ask(&stage.question("88882222-3333-4444-8555-666677778888", "echo older", 3));
    screen.sees("[!3]");
    screen.sees("echo the one that is read");
    screen.presses("a", "the answer", |_| !stage.fleet.decisions().is_empty());
    let decisions = stage.fleet.decisions();
    assert!(decisions.len() == 1 && decisions[0].line.ends_with(demo::BASH), "{decisions:?}");
}

#[test]
fn a_question_that_was_answered_elsewhere_stays_to_be_read_and_cannot_be_answered() {
    let stage = Stage::one_question("echo first");
    let mut screen = stage.open();
    review(&mut screen, "echo first");
    stage.fleet.ask(&stage.question(OTHER, "echo second", 58));
    stage.fleet.change(|world| {
        let mut gone = world.approvals.remove(0);
        gone["state"] = json!("allowed");
        gone["decision"] = json!({ "decision": "allow", "by": "the phone", "at": stage.moment.at(14, 0, 59), "delivered": true });
        world.approvals.insert(0, gone);
    });
    let gone = stage.fleet.look(|world| world.approvals[0].clone());
    stage.fleet.tell(&json!({ "type": "approval-changed", "approval": gone }));
    screen.sees("the phone");
    screen.sees("echo first");
    for _ in 0..4 {
        screen.keys("a");
        screen.is_read();
    }
    // What is shown next shows that the keys before had their chance.
    screen.keys("\t");
    screen.sees("echo second");
    assert_eq!(stage.fleet.decisions().len(), 0, "{:?}", stage.fleet.decisions());
}

#[test]
fn what_was_not_read_to_its_end_is_not_allowed_by_one_key() {
    let command: String = (0..200).map(|line| format!("echo line {line}\n")).collect();
    let stage = Stage::one_question(&command);
    let mut screen = stage.open();
    review(&mut screen, "echo line 1");
    screen.presses("a", "the warning", |screen| screen.shows().contains("A allows it unread"));
    // Held down, it says no more than once.
    for _ in 0..4 {
        screen.keys("a");
        screen.is_read();
    }
    screen.until("that they do not count", |screen| ["Too soon", "Several keys"].iter().any(|why| screen.contents().contains(why)));
    assert_eq!(stage.fleet.decisions().len(), 0);
    screen.presses("a", "the warning again", |screen| screen.shows().contains("A allows it unread"));
    screen.until("armed keys", |screen| screen.contents().contains("A allows it unread") && screen.contents().contains("keys armed"));
    screen.keys("A");
    screen.until("the answer", |_| !stage.fleet.decisions().is_empty());
    assert_eq!(stage.fleet.decisions().len(), 1);
}

#[test]
fn an_answer_that_is_not_confirmed_is_said_not_to_be() {
    let stage = Stage::one_question("echo held up");
    stage.fleet.change(|world| {
        world.confirms = false;
        world.scripted.insert(format!("POST /approvals/{}", demo::BASH), (503, json!({ "error": { "code": 1, "message": "The node is on fire." } })));
    });
    let mut screen = stage.open();
    review(&mut screen, "echo held up");
    screen.presses("a", "the answer", |_| !stage.fleet.decisions().is_empty());
    screen.sees("on fire");
    screen.sees("[!1]");
}

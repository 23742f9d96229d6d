//! What the keys of the peers tab do, and how it looks.

use insta::assert_snapshot;
use loopsy_shared::api::execute::{ExecuteEvent, ExecuteEventKind};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    effect::Effect,
    event::Failure,
    request::{Answer, Request},
    testing::{
        Harness, NOON,
        fleets::{any_step, crowded, lost, nothing, settle, step},
        peer,
    },
};

macro_rules! pictures {
    ($name:literal, $harness:expr) => {
        let mut harness = $harness;
        harness.keys("2");
        for (columns, rows) in [(80, 24), (120, 40), (40, 12)] {
            let screen = harness.screen(columns, rows);
            assert_snapshot!(format!("{}_{columns}x{rows}", $name), screen);
        }
    };
}

/// In the tab, with this peer selected.
fn at(name: &str) -> Harness {
    let mut harness = Harness::typical();
    harness.keys("1");
    let downs = ["ci-box", "nas", "pi4", "studio-mac", "win-box"].iter().position(|known| *known == name).unwrap();
    harness.keys("2 g");
    for _ in 0..downs {
        harness.keys("j");
    }
    assert!(harness.text(80, 24).lines().any(|line| line.contains("│>") && line.contains(name)), "{}", harness.text(80, 24));
    harness
}

fn failed() -> Failure {
    Failure { message: "It did not work.".to_owned(), code: None, status: Some(500) }
}

fn transfer(state: &str) -> serde_json::Value {
    json!({ "type": "transfer-changed", "transfer": {
        "transferId": "cccc0000-0000-4000-8000-000000000001", "peer": "ci-box", "direction": "push", "source": "/home/leo/report.html", "destination": "in/",
        "state": state, "dryRun": false, "files": 5, "filesDone": 2, "filesSkipped": 0, "bytes": 4_000_000, "bytesDone": 1_600_000, "bytesResumed": 0,
        "startedAt": NOON - 1000,
    }})
}

#[test]
fn it_looks() {
    pictures!("typical", Harness::typical());
    pictures!("empty", Harness::with(nothing()));
    pictures!("crowded", Harness::with(crowded()));
    pictures!("lost", lost());
    pictures!("changed", at("nas"));
    pictures!("away", at("pi4"));
    let mut copying = at("ci-box");
    copying.fleet(transfer("running"));
    copying.keys("tab");
    pictures!("copying", copying);
    let mut rights = at("ci-box");
    rights.keys("R j j j space");
    assert_snapshot!("rights_80x24", rights.screen(80, 24));
    assert_snapshot!("rights_40x12", rights.screen(40, 12));
    let mut failing = at("ci-box");
    failing.keys("r");
    failing.answer("Status", Err(failed()));
    assert_snapshot!("failed_80x24", failing.screen(80, 24));
}

/// Keys on a peer, and what is asked of whom.
#[test]
fn what_keys_ask() {
    let here = |harness: &mut Harness| {
        let requests = harness.requests();
        assert!(requests.len() == 1, "{requests:?}");
        let (at, request) = requests.into_iter().next().unwrap();
        (at, request.name(), format!("{request:?}"))
    };
    let mut harness = at("ci-box");
    harness.keys("r");
    assert_eq!(here(&mut harness).0.as_deref(), Some("ci-box-id"));
    harness.keys("c");
    assert!(matches!(here(&mut harness), (None, "DiagnosePeer", text) if text.contains("ci-box-id")));
    harness.keys("esc n");
    harness.types("10.0.0.9:4000");
    harness.keys("enter");
    assert!(matches!(here(&mut harness), (None, "AddPeer", text) if text.contains("10.0.0.9") && text.contains("4000")));
    harness.keys("s");
    harness.types("/tmp/a");
    harness.keys("tab");
    harness.types("~/in/");
    harness.keys("enter");
    assert!(
        matches!(here(&mut harness), (None, "StartTransfer", text) if text.contains("Push") && text.contains("/tmp/a") && text.contains("\"in/\"") && text.contains("ci-box-id"))
    );
    harness.keys("p");
    harness.types("log.txt");
    harness.keys("tab");
    harness.types("/tmp/");
    harness.keys("enter");
    assert!(matches!(here(&mut harness), (None, "StartTransfer", text) if text.contains("Pull")));
}

#[test]
fn what_is_typed_wrongly_is_said_in_the_form() {
    let mut harness = at("ci-box");
    harness.keys("s");
    harness.types("a");
    harness.keys("enter");
    assert!(harness.text(80, 24).contains("begins with `/`"), "{}", harness.text(80, 24));
    assert_eq!(harness.requests(), []);
}

#[test]
fn a_peer_is_removed_by_its_name_alone() {
    let mut harness = at("pi4");
    harness.keys("x enter");
    assert!(harness.text(80, 24).contains("Type pi4"), "{}", harness.text(80, 24));
    harness.types("pi");
    harness.keys("enter");
    assert_eq!(harness.requests(), []);
    harness.types("4");
    harness.keys("enter");
    assert_eq!(harness.requests(), [(None, Request::from(loopsy_shared::api::peers::RemovePeer { node_id: "pi4-id".into() }))]);
}

#[test]
fn a_name_that_nobody_can_type_is_stood_for_by_its_id() {
    let mut harness = Harness::with(nothing());
    let mut long = peer("9f2c77aa01de", "online");
    long["hostname"] = json!("a-name-that-is-much-longer-than-any-column\u{1b}[2J");
    harness.fleet(json!({ "type": "peer-changed", "peer": long }));
    harness.keys("2 x");
    assert!(harness.text(40, 12).contains("Type 9f2c77aa: "), "{}", harness.text(40, 12));
    harness.types("9f2c77aa");
    harness.keys("enter");
    assert!(matches!(&harness.requests()[..], [(None, Request::RemovePeer(_))]));
}

#[test]
fn a_removal_that_fails_is_told() {
    let mut harness = at("pi4");
    harness.keys("x");
    harness.types("pi4");
    harness.keys("enter");
    harness.answer("RemovePeer", Err(failed()));
    assert!(harness.text(80, 24).contains("The peer was not removed: It did not work."));
}

#[test]
fn rights_change_when_they_are_kept_and_not_before() {
    use loopsy_shared::api::Scope;
    let mut harness = at("ci-box");
    // status, context, messages, transfer, execute: messages is given, execute taken.
    harness.keys("R j j space j j space");
    assert_eq!(harness.requests(), []);
    harness.keys("enter");
    let scopes = vec![Scope::Status, Scope::Context, Scope::Messages, Scope::Transfer, Scope::AiTasks];
    assert_eq!(harness.requests(), [(None, Request::from(loopsy_shared::api::peers::SetPeerScopes { node_id: "ci-box-id".into(), scopes }))]);
    harness.keys("R j j space esc");
    assert_eq!(harness.requests(), []);
    harness.keys("R G space");
    assert!(harness.text(80, 24).contains("With `terminal`, whoever sits at ci-box"), "{}", harness.text(80, 24));
}

fn printed(kind: ExecuteEventKind, data: &str) -> ExecuteEvent {
    ExecuteEvent { kind, data: data.to_owned(), encoding: None, job_id: "job".into(), timestamp: 0, next: None, exit: None }
}

/// Starts a command, and tells its number.
fn running() -> (Harness, u64) {
    let mut harness = at("ci-box");
    harness.keys("e");
    harness.types("cargo test");
    harness.keys("enter");
    let number = harness.effects.iter().find_map(|effect| match effect {
        Effect::Exec { number, at, line } => {
            assert_eq!((at.as_ref().map(ToString::to_string).as_deref(), line.as_str()), (Some("ci-box-id"), "cargo test"));
            Some(*number)
        }
        _ => None,
    });
    (harness, number.unwrap())
}

#[test]
fn what_a_command_prints_is_shown_and_ctrl_c_ends_it() {
    let (mut harness, number) = running();
    harness.event(Event::Exec(number, Ok(printed(ExecuteEventKind::Stdout, "running 3 tests\n\u{1b}[31mred\u{1b}[0m\n"))));
    harness.event(Event::Exec(number + 1, Ok(printed(ExecuteEventKind::Stdout, "another's\n"))));
    let text = harness.text(80, 24);
    assert!(text.contains("running 3 tests") && text.contains("│ red ") && !text.contains("another's"), "{text}");
    harness.keys("ctrl-c");
    assert!(harness.effects.contains(&Effect::EndExec(number)));
    harness.event(Event::Exec(number, Ok(printed(ExecuteEventKind::Exit, "130"))));
    assert_snapshot!("output_80x24", harness.screen(80, 24));
    harness.keys("esc");
    assert!(harness.text(80, 24).contains("Peers (5)"));
    assert!(!harness.effects.contains(&Effect::Quit));
}

#[test]
fn a_command_whose_box_was_closed_is_told_when_it_ends() {
    let (mut harness, number) = running();
    harness.keys("esc");
    assert!(!harness.effects.contains(&Effect::EndExec(number)), "closing asks nothing and ends nothing");
    harness.event(Event::Exec(number, Ok(printed(ExecuteEventKind::Exit, "0"))));
    assert!(harness.text(80, 24).contains("`cargo test` on ci-box: exit 0"), "{}", harness.text(80, 24));
}

#[test]
fn the_steps_of_a_check_come_into_the_open_box_or_are_told() {
    let steps = || {
        let steps = json!({ "steps": [
            { "step": "name", "verdict": "ok", "message": "It is known." },
            { "step": "port", "verdict": "failed", "message": "Nobody listens there.", "fix": "loopsy start" },
        ]});
        Ok(Answer::DiagnosePeer(Box::new(serde_json::from_value(steps).unwrap())))
    };
    let mut harness = at("pi4");
    harness.keys("c");
    assert!(harness.text(80, 24).contains("step by step"));
    harness.answer("DiagnosePeer", steps());
    let text = harness.text(80, 24);
    assert!(text.contains("!!  port     Nobody listens there.") && text.contains("do: loopsy start") && text.contains("Here the way ends."), "{text}");
    harness.keys("esc c esc");
    harness.answer("DiagnosePeer", steps());
    assert!(harness.text(80, 24).contains("The way to pi4 ends at `port`"), "{}", harness.text(80, 24));
}

#[test]
fn transfers_are_shown_with_their_progress_and_can_be_cancelled() {
    let mut harness = at("ci-box");
    harness.fleet(transfer("running"));
    let text = harness.text(80, 24);
    assert!(text.contains("/home/leo/report.html -> in/") && text.contains("40 %"), "{text}");
    harness.keys("tab x");
    assert!(harness.text(80, 24).contains("Cancel the transfer"));
    harness.later(400);
    harness.keys("X");
    assert!(matches!(&harness.requests()[..], [(None, Request::CancelTransfer(request))] if request.transfer_id.as_str().starts_with("cccc")));
    harness.fleet(transfer("done"));
    assert!(harness.text(80, 24).contains("done, 1.5 MiB in 2 files"), "{}", harness.text(80, 24));
}

#[test]
fn a_changed_certificate_explains_itself() {
    let mut harness = at("nas");
    let mut nas = peer("nas", "offline");
    nas["lastError"] = json!(
        "At 192.168.1.9:19532 somebody shows another certificate than the one that `nas` was paired with. Nothing was sent. Pinned: 9d114c07aa00bb11cc22. Shown: e05baa92bb."
    );
    nas["offlineSince"] = json!(NOON - 4_560_000);
    harness.fleet(json!({ "type": "peer-changed", "peer": nas }));
    let text = harness.text(80, 24);
    for words in ["!! nas", "cert changed", "9d:11:4c:07:aa:00:bb:11..", "e0:5b:aa:92:bb..", "since 12:44:00: nothing is sent", "press P to pair again"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn what_cannot_be_done_says_why() {
    let mut harness = at("pi4");
    harness.keys("e");
    assert!(harness.text(80, 24).contains("`pi4` does not answer at the moment."), "{}", harness.text(80, 24));
    let mut harness = lost();
    harness.keys("2 x");
    assert!(harness.text(80, 24).contains("The daemon does not answer"), "{}", harness.text(80, 24));
    let mut harness = Harness::with(nothing());
    harness.keys("2 x");
    assert!(harness.text(80, 24).contains("No peer is selected."));
    let mut kai = peer("kai", "unknown");
    (kai["candidate"], kai["trusted"]) = (json!(true), json!(false));
    harness.fleet(json!({ "type": "peer-changed", "peer": kai }));
    harness.keys("esc e");
    assert!(harness.text(80, 24).contains("P pairs with it first"), "{}", harness.text(80, 24));
}

#[test]
fn the_address_and_the_id_are_copied() {
    let mut harness = at("ci-box");
    harness.keys("y Y");
    assert_eq!(
        harness.effects.iter().filter(|effect| matches!(effect, Effect::Copy(_))).cloned().collect::<Vec<_>>(),
        [Effect::Copy("192.168.1.50:19532".to_owned()), Effect::Copy("ci-box-id".to_owned())]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Any keys, any news, any size: nothing panics, and what is selected is there.
    #[test]
    fn anything_may_happen(steps in proptest::collection::vec(any_step(), 0..60)) {
        let mut harness = Harness::typical();
        harness.keys("2");
        for number in steps {
            step(&mut harness, "2", number);
        }
        let text = settle(&mut harness, "2");
        // Whatever happened: a row is selected, unless a filter hides all of them.
        prop_assert!(text.contains("│>") || text.contains("  /"), "{text}");
    }
}

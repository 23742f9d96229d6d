//! What the overview's keys do, and how it looks.

use insta::assert_snapshot;
use loopsy_shared::client::Watched;
use proptest::prelude::*;
use serde_json::json;

use crate::{
    effect::Effect,
    event::{Event, NoDaemon},
    testing::{
        Harness, NOON, entry,
        fleets::{any_step, crowded, lost, nothing, settle, step},
        peer, task,
    },
};

/// A snapshot of the three sizes.
macro_rules! pictures {
    ($name:literal, $harness:expr) => {
        let mut harness = $harness;
        for (columns, rows) in [(80, 24), (120, 40), (40, 12)] {
            let screen = harness.screen(columns, rows);
            assert_snapshot!(format!("{}_{columns}x{rows}", $name), screen);
        }
    };
}

#[test]
fn it_looks() {
    pictures!("typical", Harness::typical());
    pictures!("empty", Harness::with(nothing()));
    pictures!("crowded", Harness::with(crowded()));
    pictures!("lost", lost());
    let mut first = Harness::new();
    first.event(Event::NoDaemon(NoDaemon::NotInitialised));
    pictures!("first", first);
}

#[test]
fn every_pane_has_its_turn_in_a_small_window() {
    let mut harness = Harness::typical();
    assert!(harness.text(40, 12).contains("Machines"));
    harness.keys("tab");
    assert!(harness.text(40, 12).contains("Needs you (2)"));
    harness.keys("tab");
    assert!(harness.text(40, 12).contains("Activity"));
    harness.keys("shift-tab shift-tab");
    assert!(harness.text(40, 12).contains("Machines"));
}

#[test]
fn keys_are_about_the_selected_node() {
    let mut harness = Harness::typical();
    // This machine, then peers by name: ci-box, nas, pi4, studio-mac, win-box.
    harness.keys("j enter");
    assert!(harness.text(80, 24).contains("[2 Peers]"));
    for (keys, tab) in [("n", "[5 Tasks]"), ("m", "[4 Msgs]"), ("t", "[6 Term]"), ("P", "[7 Pair]")] {
        harness.keys("esc 1");
        harness.keys(keys);
        assert!(harness.text(80, 24).contains(tab), "{keys}: {}", harness.text(80, 24));
        harness.keys("esc");
    }
}

#[test]
fn what_cannot_be_done_says_why() {
    let mut harness = Harness::typical();
    harness.keys("m");
    assert!(harness.text(80, 24).contains("select one of them"), "no message to this machine");
    harness.keys("esc j j j n");
    assert!(harness.text(80, 24).contains("`pi4` does not answer"), "{}", harness.text(80, 24));
    let mut harness = lost();
    harness.keys("n");
    assert!(harness.text(80, 24).contains("The daemon does not answer: connection refused; r tries"), "{}", harness.text(80, 24));
    assert!(harness.text(80, 24).contains("[1 Overview]"));
}

#[test]
fn enter_on_what_needs_a_person_opens_the_review_and_decides_nothing() {
    let mut harness = Harness::typical();
    harness.keys("tab j enter enter");
    let text = harness.text(80, 24);
    assert!(text.contains("REVIEW") && text.contains("git push origin main"), "the selected one: {text}");
    assert!(harness.requests().iter().all(|(_, request)| request.name() != "DecideApproval"));
}

#[test]
fn enter_on_this_machine_shows_all_of_it() {
    let mut harness = Harness::typical();
    harness.keys("enter");
    let text = harness.text(80, 24);
    assert!(text.contains("READ") && text.contains("leo-id") && text.contains("3 keys"), "{text}");
}

#[test]
fn a_line_about_a_task_leads_to_it() {
    let mut harness = Harness::typical();
    harness.fleet(json!({ "type": "task-changed", "task": task("7c010000-0000-4000-8000-000000000002", "write docs", "running") }));
    harness.keys("tab tab");
    assert!(harness.text(80, 24).contains("task 7c010000 running"), "{}", harness.text(80, 24));
    harness.keys("enter");
    assert!(harness.text(80, 24).contains("[5 Tasks]"));
}

#[test]
fn what_is_new_moves_nothing_under_the_person() {
    let mut harness = Harness::typical();
    harness.keys("j j");
    let row = |harness: &mut Harness| harness.text(80, 24).lines().find(|line| line.contains("> ")).unwrap_or_default().to_owned();
    assert!(row(&mut harness).contains("nas"));
    harness.fleet(json!({ "type": "peer-changed", "peer": peer("aaa", "online") }));
    assert!(row(&mut harness).contains("nas"), "{}", harness.text(80, 24));
    assert!(harness.text(80, 24).contains("aaa"));
}

#[test]
fn the_filter_hides_and_esc_shows_all() {
    let mut harness = Harness::typical();
    harness.keys("/");
    harness.types("mac");
    harness.keys("enter");
    let text = harness.text(80, 24);
    assert!(text.contains("studio-mac") && !text.contains("win-box"), "{text}");
    harness.keys("esc");
    assert!(harness.text(80, 24).contains("win-box"));
}

#[test]
fn nearby_machines_are_told_apart() {
    let mut harness = Harness::with(nothing());
    let mut kai = peer("kai", "unknown");
    (kai["candidate"], kai["trusted"]) = (json!(true), json!(false));
    harness.fleet(json!({ "type": "peer-changed", "peer": kai }));
    let text = harness.text(80, 24);
    assert!(text.contains("seen nearby: kai; P pairs"), "{text}");
    assert!(!text.contains("? kai"), "it is no row: {text}");
}

#[test]
fn a_click_selects_and_does_nothing_else() {
    use crate::input::{Input, Mouse, MouseKind};
    let mut harness = Harness::typical();
    harness.screen(80, 24);
    harness.event(Event::Input(Input::Mouse(Mouse { kind: MouseKind::Down(0), column: 10, row: 5, held: 0 })));
    let text = harness.text(80, 24);
    assert!(text.lines().nth(5).is_some_and(|line| line.contains('>')), "{text}");
    assert!(harness.effects.iter().all(|effect| !matches!(effect, Effect::Call { .. })));
}

#[test]
fn what_was_before_is_told_in_the_order_in_which_it_was() {
    let mut snapshot = nothing();
    let mut old = entry("old", "x");
    old["updatedAt"] = json!(NOON - 90_000_000);
    snapshot["context"] = json!([entry("new", "x"), old]);
    let harness = Harness::with(snapshot);
    let texts: Vec<_> = harness.app.world.activity.iter().map(|line| line.text.clone()).collect();
    assert_eq!(texts, ["context old set by this machine", "context new set by this machine"]);
}

#[test]
fn what_is_remembered_comes_back() {
    let mut harness = Harness::typical();
    harness.keys("/");
    harness.types("mac");
    harness.keys("enter o tab");
    let state = harness.app.state();
    let mut harness = Harness::new();
    harness.app.restore(&state);
    harness.fleet(crate::testing::typical());
    let text = harness.text(80, 24);
    assert!(text.contains("Machines  /mac") && text.contains("NAME^") && !text.contains("win-box"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Any keys, any news, any size: nothing panics, and what is selected is there.
    #[test]
    fn anything_may_happen(steps in proptest::collection::vec(any_step(), 0..60)) {
        let mut harness = Harness::typical();
        for step_number in steps {
            step(&mut harness, "1", step_number);
        }
        let text = settle(&mut harness, "1");
        // Whatever happened: a row is selected, unless a filter hides all of them.
        prop_assert!(text.contains("│>") || text.contains("  /"), "{text}");
    }
}

#[test]
fn a_window_of_plain_characters_gets_no_others() {
    let mut harness = Harness::typical();
    harness.app.look.ascii = true;
    for keys in ["1", "tab", "2", "tab", "R", "esc c", "esc 3", "v", "v tab", "B"] {
        harness.keys(keys);
        for (columns, rows) in [(80, 24), (120, 40), (40, 12)] {
            let text = harness.text(columns, rows);
            assert!(text.is_ascii(), "{keys}: {text}");
        }
    }
}

#[test]
fn arrows_move_while_the_filter_is_typed() {
    let mut harness = Harness::typical();
    harness.keys("/");
    harness.types("i");
    harness.keys("down");
    let text = harness.text(80, 24);
    assert!(text.contains("/i_") && text.lines().nth(4).is_some_and(|line| line.contains('>')), "{text}");
}

#[test]
fn a_daemon_that_cannot_be_found_again_is_lost_and_what_was_seen_stays() {
    let mut harness = Harness::typical();
    harness.event(Event::Fleet(Box::new(Watched::Lost("connection refused".to_owned()))));
    harness.later(3_600_000);
    harness.event(Event::NoDaemon(NoDaemon::Unusable("The config cannot be read: line 3.".to_owned())));
    let text = harness.text(120, 40);
    assert!(text.contains("studio-mac") && !text.contains("makes all your machines one place"), "{text}");
    assert!(text.contains("does not answer since 14:00") && text.contains("line 3"), "the first time, the last reason: {text}");
    assert!(text.contains("stale 14:00"), "{text}");
    harness.app.take_dirty();
    harness.event(Event::NoDaemon(NoDaemon::Unusable("The config cannot be read: line 3.".to_owned())));
    assert!(!harness.app.take_dirty(), "the same again is nothing to see");
    harness.fleet(crate::testing::typical());
    assert!(!harness.text(120, 40).contains("stale"));
}

#[test]
fn how_the_daemon_is_is_asked_when_somebody_looks() {
    let asks = |harness: &mut Harness| {
        std::mem::take(&mut harness.effects).iter().filter(|effect| matches!(effect, Effect::Call { request, .. } if request.name() == "Status")).count()
    };
    let mut harness = Harness::typical();
    harness.keys("r");
    assert_eq!(asks(&mut harness), 1);
    harness.keys("3");
    assert_eq!(asks(&mut harness), 0);
    harness.keys("2");
    assert_eq!(asks(&mut harness), 1);
    harness.keys("1");
    let status = json!({
        "nodeId": "leo-id", "hostname": "leo", "platform": "linux", "version": "0.1.0", "uptime": 60000,
        "peers": {"total": 4, "online": 2, "offline": 1, "unknown": 1}, "jobs": {"active": 0, "total": 3}, "context": {"entries": 4},
        "tasks": {"running": 1, "queued": 0, "total": 2}, "approvals": 1, "agents": [],
        "problems": [{ "part": "store", "message": "The disk is \u{1b}[2Jfull.", "since": NOON }],
    });
    let status = serde_json::from_value(status).unwrap();
    harness.answer("Status", Ok(crate::request::Answer::Status(Box::new(status))));
    for (columns, rows) in [(80, 24), (120, 40)] {
        let text = harness.text(columns, rows);
        assert!(text.contains("problem of this machine, store: The disk is"), "{text}");
    }
}

#[test]
fn jobs_of_this_machine_are_named() {
    let mut harness = Harness::typical();
    for (id, running) in [("1", true), ("2", false)] {
        let job = json!({
            "jobId": format!("{id}aaa0000-0000-4000-8000-000000000001"), "command": "cargo", "args": ["test", id], "startedAt": NOON - 60_000,
            "fromNodeId": "leo-id", "principal": "admin", "running": running,
        });
        harness.fleet(json!({ "type": "job-changed", "job": job }));
    }
    let text = harness.text(120, 40);
    assert!(text.contains("1 running") && text.contains("cargo test 1  since 13:59:00") && !text.contains("cargo test 2"), "{text}");
}

#[test]
fn what_cannot_be_sorted_says_so() {
    let mut harness = Harness::typical();
    harness.keys("tab o");
    assert!(harness.text(80, 24).contains("o sorts the machines"), "{}", harness.text(80, 24));
    harness.keys("4 o");
    assert!(harness.text(120, 40).contains("order of their newest messages"), "{}", harness.text(120, 40));
}

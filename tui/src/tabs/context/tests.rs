//! What the keys of the context tab do, and how it looks.

use insta::assert_snapshot;
use loopsy_shared::api::context::{ContextEntries, ContextKey, DeleteContext, ImportContext, Imported, ListContext, SetContext, Ttl};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    effect::{Done, Effect, Purpose},
    event::Failure,
    request::{Answer, Request},
    testing::{
        Harness, entry,
        fleets::{any_step, crowded, lost, nothing, settle, step},
    },
};

macro_rules! pictures {
    ($name:literal, $harness:expr) => {
        let mut harness = $harness;
        for (columns, rows) in [(80, 24), (120, 40), (40, 12)] {
            let screen = harness.screen(columns, rows);
            assert_snapshot!(format!("{}_{columns}x{rows}", $name), screen);
        }
    };
}

fn at(mut harness: Harness) -> Harness {
    harness.keys("3");
    harness
}

/// Keys: build/sha, build/status, notes.
fn typical() -> Harness {
    at(Harness::typical())
}

/// Chooses the next machine, and stays there.
fn turn(harness: &mut Harness) {
    harness.keys("l");
    harness.later(QUICK);
    harness.event(Event::Woke(Timer::Settle));
}

/// With the keys of ci-box, which has one.
fn far() -> Harness {
    let mut harness = typical();
    turn(&mut harness);
    let mut there = entry("deploy", "yes");
    there["version"] = json!(7);
    answer_list(&mut harness, json!([there]));
    harness.effects.clear();
    harness
}

fn answer_list(harness: &mut Harness, entries: serde_json::Value) {
    let entries: ContextEntries = serde_json::from_value(json!({ "entries": entries })).unwrap();
    harness.answer("ListContext", Ok(Answer::ListContext(Box::new(entries))));
}

fn failed(code: u16, status: u16) -> Failure {
    Failure { message: "It did not work.".to_owned(), code: Some(code), status: Some(status) }
}

fn set(key: &str, value: &str, ttl: Option<u64>, if_version: Option<u64>) -> Request {
    let key = ContextKey::try_from(key.to_owned()).unwrap();
    SetContext { key, value: value.to_owned(), ttl: ttl.map(|ttl| Ttl::from_seconds(ttl).unwrap()), if_version }.into()
}

fn edited(harness: &mut Harness, node: Option<&str>, key: &str, text: &str) {
    let purpose = Purpose::Value(node.map(NodeId::from), key.to_owned());
    harness.event(Event::Did(Done::Text(purpose, Ok(Some(text.to_owned())))));
}

#[test]
fn it_looks() {
    pictures!("typical", typical());
    pictures!("empty", at(Harness::with(nothing())));
    pictures!("crowded", at(Harness::with(crowded())));
    pictures!("lost", at(lost()));
    let mut json = typical();
    json.keys("G v tab");
    pictures!("json", json);
    let mut hex = typical();
    hex.keys("v v");
    assert_snapshot!("hex_80x24", hex.screen(80, 24));
    pictures!("far", far());
    let mut failing = typical();
    turn(&mut failing);
    failing.answer("ListContext", Err(failed(2003, 502)));
    assert_snapshot!("failed_80x24", failing.screen(80, 24));
}

#[test]
fn a_filter_that_ends_in_a_slash_names_a_beginning() {
    let mut harness = typical();
    harness.keys("/");
    harness.types("build/");
    harness.keys("enter");
    let text = harness.text(80, 24);
    assert!(text.contains("(2 of 3)  /build/") && text.contains("prefix: build/") && !text.contains("notes"), "{text}");
    harness.keys("n");
    assert!(harness.text(80, 24).contains("build/"), "a new key begins with it");
}

#[test]
fn a_new_key_overwrites_nothing() {
    let mut harness = typical();
    harness.keys("n");
    harness.types("notes");
    harness.keys("tab");
    harness.types("hello");
    harness.keys("tab");
    harness.types("10m");
    harness.keys("enter");
    assert_eq!(harness.requests(), [(None, set("notes", "hello", Some(600), Some(0)))]);
    let mut harness = typical();
    harness.keys("n");
    harness.types("notes");
    harness.keys("enter");
    harness.answer("SetContext", Err(failed(5004, 412)));
    assert!(harness.text(80, 24).contains("`notes` exists already"), "{}", harness.text(80, 24));
}

#[test]
fn an_edit_is_stored_only_over_what_was_edited() {
    let mut harness = typical();
    harness.keys("j e");
    assert!(harness.effects.contains(&Effect::Edit("green".to_owned(), Purpose::Value(None, "build/status".to_owned()))));
    harness.effects.clear();
    // The editor ends the file with a line end; the value had none.
    edited(&mut harness, None, "build/status", "red\n");
    assert_eq!(harness.requests(), [(None, set("build/status", "red", None, Some(1)))]);
    harness.keys("e");
    edited(&mut harness, None, "build/status", "green\n");
    assert_eq!(harness.requests(), [], "nothing was changed");
}

#[test]
fn nobodys_change_is_overwritten_and_no_text_is_lost() {
    let mut harness = typical();
    harness.keys("j e");
    edited(&mut harness, None, "build/status", "mine");
    let mut theirs = entry("build/status", "theirs");
    (theirs["version"], theirs["fromNodeId"]) = (json!(2), json!("studio-mac-id"));
    harness.fleet(json!({ "type": "context-changed", "entry": theirs }));
    harness.answer("SetContext", Err(failed(5004, 412)));
    let text = harness.text(80, 24);
    assert!(text.contains("was changed by studio-mac meanwhile: nothing was") && text.contains("theirs") && text.contains("text that was not"), "{text}");
    harness.effects.clear();
    harness.keys("esc e");
    assert!(harness.effects.contains(&Effect::Edit("mine".to_owned(), Purpose::Value(None, "build/status".to_owned()))), "{:?}", harness.effects);
    harness.effects.clear();
    edited(&mut harness, None, "build/status", "mine");
    let requests = harness.requests();
    assert_eq!(requests, [(None, set("build/status", "mine", None, Some(2)))]);
}

#[test]
fn the_end_of_a_value_is_set_with_the_same_value() {
    let mut harness = typical();
    harness.keys("t");
    harness.types("2h");
    harness.keys("enter");
    assert_eq!(harness.requests(), [(None, set("build/sha", "3fd1c2a9e07b5516c0f1f8a1b6d2c9a4410e77aa", Some(7200), Some(1)))]);
    harness.keys("t");
    harness.types("soon");
    harness.keys("enter");
    assert!(harness.text(80, 24).contains("`soon` is no time"));
    assert_eq!(harness.requests(), []);
}

#[test]
fn a_key_is_deleted_by_a_letter_here_and_by_its_name_on_a_peer() {
    let delete = |key: &str, version| Request::from(DeleteContext { key: ContextKey::try_from(key.to_owned()).unwrap(), if_version: Some(version) });
    let mut harness = typical();
    harness.keys("x enter");
    assert_eq!(harness.requests(), []);
    harness.keys("x");
    harness.later(400);
    harness.keys("X");
    assert_eq!(harness.requests(), [(None, delete("build/sha", 1))]);
    let mut harness = far();
    harness.keys("x");
    harness.later(400);
    harness.keys("X");
    assert!(harness.text(80, 24).contains("Type deploy"), "{}", harness.text(80, 24));
    harness.keys("backspace");
    harness.types("deploy");
    harness.keys("enter");
    assert_eq!(harness.requests(), [(Some("ci-box-id".to_owned()), delete("deploy", 7))]);
    let mut harness = far();
    harness.keys("x");
    harness.types("deploy");
    harness.keys("enter");
    harness.answer("DeleteContext", Err(failed(5004, 412)));
    assert!(harness.text(80, 24).contains("was changed meanwhile, so it was not deleted"));
}

#[test]
fn the_keys_of_a_peer_are_read_when_it_is_chosen_and_again_with_r() {
    let list = || (Some("ci-box-id".to_owned()), Request::from(ListContext { prefix: None }));
    let mut harness = typical();
    turn(&mut harness);
    assert_eq!(harness.requests(), [list()]);
    let mut harness = far();
    let text = harness.text(80, 24);
    assert!(text.contains("Keys of ci-box (1)") && text.contains("deploy") && text.contains("read 14:00:00"), "{text}");
    harness.keys("r r");
    assert_eq!(harness.requests(), [list()], "once is enough while it is under way");
    harness.keys("h");
    assert!(harness.text(80, 24).contains("Keys of leo (3)"));
}

#[test]
fn what_is_set_on_a_peer_is_shown_there() {
    let mut harness = far();
    harness.keys("e");
    edited(&mut harness, Some("ci-box-id"), "deploy", "no");
    let mut stored = entry("deploy", "no");
    stored["version"] = json!(8);
    harness.answer("SetContext", Ok(Answer::SetContext(Box::new(serde_json::from_value(stored).unwrap()))));
    let text = harness.text(80, 24);
    assert!(text.contains("`deploy` was set on ci-box.") && text.contains("│ no "), "{text}");
}

#[test]
fn a_broadcast_tells_of_every_peer() {
    let mut harness = typical();
    harness.keys("B enter B");
    harness.later(400);
    assert!(harness.text(80, 24).contains("ci-box, nas") || harness.text(80, 24).contains("ci-box, studio-mac"), "{}", harness.text(80, 24));
    harness.effects.clear();
    harness.keys("Y");
    let asked: Vec<_> =
        harness.effects.iter().filter_map(|effect| if let Effect::Call { at, .. } = effect { at.as_ref().map(ToString::to_string) } else { None }).collect();
    assert_eq!(asked, ["ci-box-id", "studio-mac-id"]);
    // The newest first: studio-mac fails, then ci-box takes it.
    harness.answer("SetContext", Err(failed(1004, 403)));
    let text = harness.text(80, 24);
    assert!(text.contains("..  ci-box") && text.contains("!!  studio-mac  It did not work."), "{text}");
    let taken = serde_json::from_value(entry("build/sha", "x")).unwrap();
    harness.answer("SetContext", Ok(Answer::SetContext(Box::new(taken))));
    assert!(harness.text(80, 24).contains("ok  ci-box"), "{}", harness.text(80, 24));
}

#[test]
fn a_broadcast_whose_box_was_closed_is_told() {
    let mut harness = typical();
    harness.keys("B");
    harness.later(400);
    harness.keys("Y esc");
    harness.answer("SetContext", Err(failed(1004, 403)));
    let taken = serde_json::from_value(entry("build/sha", "x")).unwrap();
    harness.answer("SetContext", Ok(Answer::SetContext(Box::new(taken))));
    assert!(harness.text(80, 24).contains("was set on 1 machine, but not on studio-mac"), "{}", harness.text(80, 24));
}

#[test]
fn what_is_shown_is_exported_as_the_command_line_does() {
    let mut harness = typical();
    harness.keys("/");
    harness.types("build/");
    harness.keys("enter X enter");
    let written = harness.effects.iter().find_map(|effect| if let Effect::WriteFile(path, text) = effect { Some((path.clone(), text.clone())) } else { None });
    let (path, text) = written.unwrap();
    let entries: Vec<ContextEntry> = serde_json::from_slice(&text).unwrap();
    assert_eq!((path.as_str(), entries.len(), entries[0].key.as_str()), ("context.json", 2, "build/sha"));
    assert!(text.ends_with(b"\n"));
}

#[test]
fn an_import_leaves_alone_what_is_there_unless_it_was_told_otherwise() {
    let file = serde_json::to_string(&json!([entry("notes", "x"), entry("fresh", "y")])).unwrap();
    let came = |harness: &mut Harness| {
        assert!(harness.effects.contains(&Effect::ReadFile("context.json".to_owned(), Purpose::Import(None))));
        harness.effects.clear();
        harness.event(Event::Did(Done::Text(Purpose::Import(None), Ok(Some(file.clone())))));
        match harness.requests().into_iter().next() {
            Some((None, Request::ImportContext(request))) => request.entries.iter().map(|entry| entry.key.clone()).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    let mut harness = typical();
    harness.keys("I enter");
    assert_eq!(came(&mut harness), ["fresh"]);
    harness.keys("I tab right enter");
    assert_eq!(came(&mut harness), ["notes", "fresh"]);
    harness.event(Event::Did(Done::Text(Purpose::Import(None), Ok(Some("{}x".to_owned())))));
    assert!(harness.text(80, 24).contains("This is no export"), "{}", harness.text(80, 24));
}

#[test]
fn what_was_imported_is_told() {
    let mut harness = typical();
    harness.event(Event::Did(Done::Text(Purpose::Import(None), Ok(Some(serde_json::to_string(&json!({ "entries": [entry("fresh", "y")] })).unwrap())))));
    let asked = Request::from(ImportContext { entries: vec![serde_json::from_value(entry("fresh", "y")).unwrap()], replace: false });
    assert!(harness.effects.iter().any(|effect| matches!(effect, Effect::Call { request, .. } if *request == asked)), "{:?}", harness.effects);
    harness.answer("ImportContext", Ok(Answer::ImportContext(Box::new(Imported { stored: 1, removed: 0, expired: 0 }))));
    assert!(harness.text(80, 24).contains("1 key was stored."));
}

#[test]
fn while_the_daemon_is_away_keys_are_only_read() {
    for keys in ["n", "e", "x", "t", "B", "I"] {
        let mut harness = at(lost());
        harness.effects.clear();
        harness.keys(keys);
        assert!(harness.text(120, 40).contains("The daemon does not answer: connection refused"), "{keys}: {}", harness.text(120, 40));
        assert_eq!(harness.requests(), []);
    }
    let mut harness = at(lost());
    harness.keys("j y Y");
    assert!(harness.effects.contains(&Effect::Copy("green".to_owned())) && harness.effects.contains(&Effect::Copy("build/status".to_owned())));
}

#[test]
fn a_long_value_is_scrolled_to_its_end_and_no_further() {
    let mut harness = at(Harness::with(nothing()));
    let value: String = (0..1000).map(|line| format!("line {line}\n")).collect();
    harness.fleet(json!({ "type": "context-changed", "entry": entry("long", &value) }));
    harness.keys("tab");
    assert!(harness.text(80, 24).contains("line 0 "));
    harness.keys("G");
    let end = harness.text(80, 24);
    assert!(end.contains("line 999") && end.contains("to the end"), "{end}");
    harness.keys("g G j pagedown ctrl-d");
    assert_eq!(harness.text(80, 24), end);
    harness.keys("k");
    assert!(!harness.text(80, 24).contains("line 999"));
    harness.keys("g");
    assert!(harness.text(80, 24).contains("line 0 "));
}

#[test]
fn a_key_that_goes_leaves_the_selection_where_it_was() {
    let mut harness = typical();
    harness.keys("j");
    harness.fleet(json!({ "type": "context-removed", "key": "build/status" }));
    let text = harness.text(80, 24);
    assert!(text.lines().any(|line| line.contains("> notes")), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Any keys, any news, any size: nothing panics, and what is selected is there.
    #[test]
    fn anything_may_happen(steps in proptest::collection::vec(any_step(), 0..60)) {
        let mut harness = typical();
        for number in steps {
            step(&mut harness, "3", number);
        }
        let text = settle(&mut harness, "3");
        // Whatever happened: a row is selected, unless a filter hides all of them.
        prop_assert!(text.contains("│>") || text.contains("  /"), "{text}");
    }
}

#[test]
fn the_peer_that_was_looked_at_the_last_time_is_read_when_it_is_known() {
    let mut harness = far();
    harness.keys("j");
    let state = harness.app.state();
    let mut harness = Harness::new();
    harness.app.restore(&state);
    harness.fleet(crate::testing::typical());
    let asked: Vec<_> = harness.requests().into_iter().filter(|(at, _)| at.is_some()).collect();
    assert_eq!(asked, [(Some("ci-box-id".to_owned()), Request::from(ListContext { prefix: None }))]);
    answer_nothing(&mut harness);
}

/// A peer that is gone before its keys came is no longer shown.
fn answer_nothing(harness: &mut Harness) {
    harness.fleet(json!({ "type": "peer-removed", "nodeId": "ci-box-id" }));
    assert!(harness.text(80, 24).contains("Keys of this machine (3)") || harness.text(80, 24).contains("Keys of leo (3)"), "{}", harness.text(80, 24));
}

#[test]
fn machines_that_are_passed_are_not_read_and_only_the_last_few_are_kept() {
    let mut harness = typical();
    harness.keys("l l l");
    assert_eq!(harness.requests(), []);
    harness.event(Event::Woke(Timer::Settle));
    assert_eq!(harness.requests(), [], "somebody else's timer");
    harness.later(QUICK);
    harness.event(Event::Woke(Timer::Settle));
    let asked = harness.effects.clone();
    assert_eq!(harness.requests().len(), 1, "{asked:?}");
    // Round through this machine and four others.
    let mut harness = typical();
    for name in ["ci-box", "nas", "pi4", "studio-mac"] {
        turn(&mut harness);
        answer_list(&mut harness, json!([entry(&format!("key-of-{name}"), "x")]));
        assert!(harness.text(80, 24).contains(&format!("key-of-{name}")), "{}", harness.text(80, 24));
    }
    harness.keys("h");
    assert!(harness.text(80, 24).contains("key-of-pi4"), "what was looked at before is there at once");
    harness.keys("h h");
    let text = harness.text(80, 24);
    assert!(text.contains("Keys of ci-box") && !text.contains("key-of-ci-box") && text.contains("being read"), "{text}");
}

#[test]
fn keys_that_change_while_nobody_looks_are_there_afterwards() {
    let mut harness = typical();
    harness.keys("1");
    harness.fleet(json!({ "type": "context-changed", "entry": entry("build/new", "1") }));
    harness.keys("3");
    assert!(harness.text(80, 24).contains("build/new"), "{}", harness.text(80, 24));
    harness.fleet(json!({ "type": "context-removed", "key": "build/new" }));
    assert!(!harness.text(80, 24).contains("build/new"), "{}", harness.text(80, 24));
}

//! Tests of the messages: what is written where and in which order, that nothing is said to have arrived that has not, and how it looks.

use loopsy_shared::{api::Done, client::Watched};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::mail::{Envelope, stored};
use crate::{
    effect::Effect,
    event::{Event, Failure},
    input::{Input, Press},
    key::Key,
    request::{Answer, Request},
    testing::{Harness, NOON, entry, peer, typical},
};

fn envelope(from: &str, to: &str, ago: u64, kind: &str, body: &str) -> (String, String) {
    let ts = NOON - ago;
    let id = format!("{ts}-{from}-00{:02x}", body.len() % 256);
    (id.clone(), json!({ "from": from, "to": to, "ts": ts, "id": id, "type": kind, "body": body }).to_string())
}

fn inbox(from: &str, ago: u64, kind: &str, body: &str) -> Value {
    let (id, value) = envelope(from, "leo", ago, kind, body);
    entry(&format!("inbox:leo:{id}"), &value)
}

fn fleet() -> Value {
    let mut snapshot = typical();
    let (id, sent) = envelope("leo", "studio-mac", 480_000, "chat", "can you run the macOS tests?");
    let (_, more) = envelope("leo", "ci-box", 900_000, "chat", "hello");
    snapshot["context"] = json!([
        entry(&format!("outbox:{id}"), &sent),
        entry(&format!("outbox:{}", envelope("leo", "ci-box", 900_000, "chat", "hello").0), &more),
        entry("ack:studio-mac", &id),
        inbox("studio-mac", 300_000, "request", "rebase first? main moved\n3 commits touch src/lib.rs"),
        inbox("studio-mac", 240_000, "chat", "I can do it if you stop task 7f3a"),
        inbox("ci-box", 600_000, "chat", "build is green"),
        inbox("stranger", 700_000, "chat", "who are you?"),
        entry("inbox:leo:junk", "{\u{1b}[2J"),
        entry("notes", "something else"),
    ]);
    snapshot
}

fn at_messages() -> Harness {
    let mut harness = Harness::with(fleet());
    harness.keys("4");
    harness
}

fn failed(why: &str) -> Failure {
    Failure { message: why.to_owned(), code: None, status: Some(502) }
}

fn sets(requests: &[(Option<String>, Request)]) -> Vec<(Option<&str>, &str, &str, Option<u64>)> {
    requests
        .iter()
        .map(|(at, request)| match request {
            Request::SetContext(set) => (at.as_deref(), set.key.as_str(), set.value.as_str(), set.ttl.map(|ttl| ttl.seconds())),
            Request::DeleteContext(delete) => (at.as_deref(), delete.key.as_str(), "", None),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn ok_entry() -> Answer {
    stored(entry("x", "y"))
}

fn done() -> Done {
    serde_json::from_value(json!({ "success": true })).unwrap()
}

/// What is asked now, without forgetting it.
fn asked(harness: &Harness) -> Vec<(Option<String>, Request)> {
    harness
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Call { at, request, .. } => Some((at.as_ref().map(ToString::to_string), request.clone())),
            _ => None,
        })
        .collect()
}

#[test]
fn a_message_goes_to_the_peer_and_then_here() {
    let mut harness = at_messages();
    harness.keys("i");
    harness.types("yes, rebase");
    harness.keys("alt-enter");
    harness.types("please");
    harness.keys("enter");
    let requests = asked(&harness);
    let [(Some("studio-mac-id"), key, value, Some(3600))] = sets(&requests)[..] else { panic!("{requests:?}") };
    let sent = Envelope::parse(value).unwrap();
    assert_eq!((sent.from.as_str(), sent.to.as_str(), sent.kind.as_str(), sent.body.as_str()), ("leo", "studio-mac", "chat", "yes, rebase\nplease"));
    assert_eq!(key, format!("inbox:studio-mac:{}", sent.id));
    assert_eq!(value, sent.wire());
    assert!(harness.text(80, 24).contains("sending .."), "{}", harness.text(80, 24));
    assert!(!harness.text(80, 24).contains("delivered"));
    harness.answer("SetContext", Ok(ok_entry()));
    let requests = asked(&harness);
    assert_eq!(sets(&requests), [(None, format!("outbox:{}", sent.id).as_str(), value, Some(3600))]);
    assert!(harness.text(80, 24).contains("delivered"));
    harness.answer("SetContext", Ok(ok_entry()));
    harness.fleet(json!({ "type": "context-changed", "entry": entry("ack:studio-mac", &sent.id) }));
    assert!(harness.text(80, 24).contains("acked"), "{}", harness.text(80, 24));
}

#[test]
fn a_message_that_failed_says_so_and_is_sent_again_as_it_was() {
    let mut harness = at_messages();
    harness.keys("i");
    harness.types("hello");
    harness.keys("enter");
    let first = asked(&harness);
    harness.answer("SetContext", Err(failed("The peer does not answer.")));
    let text = harness.text(120, 40);
    assert!(text.contains("NOT delivered: The peer does not answer.") && text.contains("1 failed"), "{text}");
    assert!(asked(&harness).is_empty(), "nothing is kept here as if it had arrived");
    harness.keys("r");
    assert_eq!(asked(&harness), first);
    harness.answer("SetContext", Ok(ok_entry()));
    assert!(harness.text(120, 40).contains("delivered"));
}

#[test]
fn an_acknowledgement_goes_to_the_sender_before_the_message_goes() {
    let mut harness = at_messages();
    let before = harness.text(80, 24);
    assert!(before.contains("4 unread"), "{before}");
    harness.keys("enter space");
    let id = envelope("studio-mac", "leo", 240_000, "chat", "I can do it if you stop task 7f3a").0;
    let requests = asked(&harness);
    assert_eq!(sets(&requests), [(Some("studio-mac-id"), "ack:leo", id.as_str(), Some(7200))]);
    harness.answer("SetContext", Ok(ok_entry()));
    let requests = asked(&harness);
    assert_eq!(sets(&requests), [(None, format!("inbox:leo:{id}").as_str(), "", None)]);
    harness.answer("DeleteContext", Err(failed("The disk is full.")));
    assert!(harness.text(120, 40).contains("still stored here"));
    harness.keys("space");
    assert!(matches!(&asked(&harness)[..], [(None, Request::DeleteContext(_))]), "the sender is not told twice");
    harness.answer("DeleteContext", Ok(Answer::DeleteContext(Box::new(done()))));
    harness.fleet(json!({ "type": "context-removed", "key": format!("inbox:leo:{id}") }));
    assert!(harness.text(120, 40).contains("you acked it"), "{}", harness.text(120, 40));
    assert!(harness.text(120, 40).contains("2 unread"), "{}", harness.text(120, 40));
}

#[test]
fn an_acknowledgement_that_fails_changes_nothing() {
    let mut harness = at_messages();
    harness.keys("enter space");
    harness.answer("SetContext", Err(failed("The peer does not answer.")));
    assert!(asked(&harness).is_empty());
    assert!(harness.text(120, 40).contains("Space tries"), "{}", harness.text(120, 40));
    harness.keys("space");
    assert_eq!(asked(&harness).len(), 1);
}

#[test]
fn an_answer_to_a_request_says_so() {
    let mut harness = at_messages();
    harness.keys("enter k R");
    harness.types("yes");
    harness.keys("enter");
    let requests = asked(&harness);
    let [(Some("studio-mac-id"), _, value, _)] = sets(&requests)[..] else { panic!("{requests:?}") };
    assert_eq!(Envelope::parse(value).unwrap().kind, "response");
}

#[test]
fn nothing_is_sent_to_whom_nobody_knows() {
    let mut harness = at_messages();
    harness.keys("/");
    harness.types("stranger");
    harness.keys("enter space R i");
    harness.types("x");
    assert!(asked(&harness).is_empty());
    assert!(harness.text(120, 40).contains("No peer, or more than one, is called"), "{}", harness.text(120, 40));
    harness.keys("esc esc /");
    harness.types("readable");
    harness.keys("enter");
    let text = harness.text(120, 40);
    assert!(text.contains("This entry is no message: it is no JSON") && !text.contains('\u{1b}'), "{text}");
    harness.keys("space");
    assert!(asked(&harness).is_empty());
}

#[test]
fn drafts_are_kept_for_each_machine_and_unread_filters() {
    let mut harness = at_messages();
    harness.keys("i");
    harness.types("to the mac");
    harness.keys("esc esc j i");
    harness.types("to the box");
    harness.keys("esc esc k");
    assert!(harness.text(80, 24).contains("to the mac") && !harness.text(80, 24).contains("to the box"));
    harness.keys("u");
    let text = harness.text(120, 40);
    assert!(text.contains("unread only"), "{text}");
    harness.keys("n right enter");
    harness.types("hi");
    harness.keys("enter");
    assert_eq!(asked(&harness).len(), 1);
    assert!(!serde_json::to_string(&harness.app.state()).unwrap().contains("to the mac"), "bodies are not remembered");
}

#[test]
fn the_envelope_is_shown_as_it_travelled() {
    let mut harness = at_messages();
    harness.keys("E");
    let text = harness.text(80, 24);
    assert!(text.contains("inbox:leo:1795269360000-studio-mac") && text.contains("\"type\": \"chat\""), "{text}");
}

fn shots(name: &str, mut harness: Harness) {
    for (columns, rows) in [(80, 24), (120, 40), (40, 12)] {
        insta::assert_snapshot!(format!("{name}_{columns}x{rows}"), harness.screen(columns, rows));
    }
}

#[test]
fn how_it_looks() {
    let mut empty = Harness::typical();
    empty.keys("4");
    shots("empty", empty);
    shots("typical", at_messages());
    let mut thread = at_messages();
    thread.keys("enter i");
    thread.types("yes");
    shots("writing", thread);
    let mut open = at_messages();
    open.keys("enter");
    shots("open", open);
    let mut error = at_messages();
    error.keys("i");
    error.types("hello");
    error.keys("enter");
    error.answer("SetContext", Err(failed("The peer does not answer.")));
    error.event(Event::Fleet(Box::new(Watched::Lost("connection refused".to_owned()))));
    shots("error", error);
    let mut snapshot = typical();
    let hostile = [
        "\u{1b}[2Jevil",
        "a\u{202e}b",
        "\u{2764}\u{fe0f}\u{fe0f} VS16",
        "機械機械機械機械機械機械機械機械",
        "very long and on and on and on and on and on and on and on and on",
    ];
    snapshot["peers"] = (0..300)
        .map(|index| {
            let mut peer = peer(&format!("host-{index}-{}", "long-".repeat(index % 9)), "online");
            peer["nodeId"] = json!(format!("node-{index}"));
            peer
        })
        .collect();
    let context: Vec<Value> = (0..900u64)
        .map(|index| {
            let host = index % 300;
            inbox(
                &format!("host-{host}-{}", "long-".repeat(host as usize % 9)),
                index * 1000,
                "chat",
                &hostile[index as usize % 5].repeat(1 + index as usize % 7),
            )
        })
        .chain([entry("inbox:leo:\u{202e}", "x"), entry("inbox:\u{1b}[2J:1", "y")])
        .collect();
    snapshot["context"] = json!(context);
    let mut overflowing = Harness::with(snapshot);
    overflowing.keys("4 j j j enter");
    shots("overflowing", overflowing);
}

#[derive(Debug, Clone)]
enum Step {
    Key(char),
    Named(usize),
    Answer(bool),
    Entry(String, String),
    Gone(usize),
    Size(u16, u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let letters = prop_oneof![proptest::sample::select("nijkRuErGg/y hl4 5".chars().collect::<Vec<_>>()), any::<char>()];
    let step = prop_oneof![
        6 => letters.prop_map(Step::Key),
        2 => (0usize..7).prop_map(Step::Named),
        2 => any::<bool>().prop_map(Step::Answer),
        1 => ("(inbox:leo:|outbox:|ack:|inbox:)[0-9a-f-]{0,6}", any::<String>()).prop_map(|(key, value)| Step::Entry(key, value)),
        1 => (0usize..9).prop_map(Step::Gone),
        1 => (0u16..130, 0u16..50).prop_map(|(columns, rows)| Step::Size(columns, rows)),
    ];
    proptest::collection::vec(step, 0..50)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Nothing breaks, and what is written goes only where messages go.
    #[test]
    fn nothing_breaks(steps in steps()) {
        let mut harness = at_messages();
        for step in steps {
            match step {
                Step::Key('Q') => {}
                Step::Key(c) => harness.event(Event::Input(Input::Key(Press::of(Key::char(c))))),
                Step::Named(at) => harness.keys(["enter", "esc", "tab", "up", "down", "pageup", "space"][at]),
                Step::Answer(good) => {
                    let name = harness.effects.iter().rev().find_map(|effect| if let Effect::Call { request, .. } = effect { Some(request.name()) } else { None });
                    match name {
                        Some("SetContext") => harness.answer("SetContext", if good { Ok(ok_entry()) } else { Err(failed("no")) }),
                        Some("DeleteContext") => harness.answer("DeleteContext", if good { Ok(Answer::DeleteContext(Box::new(done()))) } else { Err(failed("no")) }),
                        _ => {}
                    }
                }
                Step::Entry(key, value) => harness.fleet(json!({ "type": "context-changed", "entry": entry(&key, &value) })),
                Step::Gone(at) => {
                    let key = harness.app.world.context.keys().nth(at).cloned();
                    if let Some(key) = key {
                        harness.fleet(json!({ "type": "context-removed", "key": key }));
                    }
                }
                Step::Size(columns, rows) => drop(harness.screen(columns, rows)),
            }
        }
        for (at, request) in asked(&harness) {
            match request {
                Request::SetContext(set) => {
                    let key = set.key.as_str();
                    prop_assert!(at.is_some() && (key.starts_with("inbox:") || key == "ack:leo") || at.is_none() && key.starts_with("outbox:"), "{at:?} {key}");
                }
                Request::DeleteContext(delete) => prop_assert!(at.is_none() && delete.key.as_str().starts_with("inbox:leo:")),
                _ => {}
            }
        }
        harness.screen(80, 24);
        harness.screen(40, 10);
    }
}

#[test]
fn of_two_machines_with_one_name_the_chosen_one_is_written_to() {
    let mut snapshot = fleet();
    let mut twin = peer("studio-mac", "online");
    twin["nodeId"] = json!("zwilling-id");
    let mut keyless = peer("aaa", "online");
    keyless["trusted"] = json!(false);
    snapshot["peers"].as_array_mut().unwrap().extend([twin, keyless]);
    let mut harness = Harness::with(snapshot);
    harness.keys("4 n");
    let mut seen = Vec::new();
    for _ in 0..8 {
        let text = harness.text(80, 24);
        assert!(!text.contains("< aaa >"), "a machine without a key is not offered: {text}");
        let label = text.lines().find(|line| line.contains("To ") && line.contains("< ")).unwrap_or_default().to_owned();
        seen.push(label.clone());
        if label.contains("studio-mac") && label.contains("zwilling") {
            break;
        }
        harness.keys("l");
    }
    assert!(seen.last().is_some_and(|label| label.contains("zwilling")), "the other one is told apart: {seen:?}");
    harness.keys("enter");
    harness.types("hello");
    harness.keys("enter");
    let requests = asked(&harness);
    let [(Some("zwilling-id"), key, _, _)] = sets(&requests)[..] else { panic!("{requests:?}") };
    assert!(key.starts_with("inbox:studio-mac:"), "{key}");
}

#[test]
fn what_comes_while_another_tab_is_in_front_is_there_afterwards() {
    let mut harness = at_messages();
    let before = harness.text(120, 40);
    assert!(!before.contains("late news"), "{before}");
    harness.keys("3");
    let late = inbox("ci-box", 1000, "chat", "late news");
    harness.fleet(json!({ "type": "context-changed", "entry": late }));
    harness.keys("4");
    assert!(harness.text(120, 40).contains("late news"), "{}", harness.text(120, 40));
    // What is no message is no reason to draw.
    let draws = harness.app.take_dirty();
    harness.fleet(json!({ "type": "context-changed", "entry": entry("build/other", "red") }));
    assert!(draws && !harness.app.take_dirty());
    // What changed is read again, and what went is said to be gone.
    let mut broken = late.clone();
    (broken["value"], broken["version"]) = (json!("{"), json!(2));
    harness.fleet(json!({ "type": "context-changed", "entry": broken }));
    assert!(harness.text(120, 40).contains("no longer stored") || !harness.text(120, 40).contains("late news"), "{}", harness.text(120, 40));
    harness.fleet(json!({ "type": "context-changed", "entry": late }));
    assert!(harness.text(120, 40).contains("late news"));
}

#[test]
fn marks_of_messages_that_are_gone_are_forgotten_and_no_others() {
    let mut harness = Harness::new();
    let ids: Vec<String> = (0..3000).map(|at| format!("{at}-gone-00ff")).chain([envelope("ci-box", "leo", 600_000, "chat", "build is green").0]).collect();
    harness.app.restore(&json!({ "tab": "messages", "tabs": { "messages": { "read": ids } } }));
    let count = |harness: &Harness| harness.app.state()["tabs"]["messages"]["read"].as_array().unwrap().len();
    assert_eq!(count(&harness), 3001, "nothing is known yet of what is stored");
    harness.fleet(fleet());
    harness.answer("Status", Ok(status()));
    assert_eq!(count(&harness), 1);
    let text = harness.text(120, 40);
    assert!(text.contains("ci-box"), "{text}");
}

fn status() -> Answer {
    let status = json!({
        "nodeId": "leo-id", "hostname": "leo", "platform": "linux", "version": "0.1.0", "uptime": 60000,
        "peers": {"total": 4, "online": 2, "offline": 1, "unknown": 1}, "jobs": {"active": 0, "total": 3}, "context": {"entries": 4},
        "tasks": {"running": 1, "queued": 0, "total": 2}, "approvals": 1, "agents": [], "problems": [],
    });
    Answer::Status(Box::new(serde_json::from_value(status).unwrap()))
}

//! Tests of pairing: which keys ask for what, that nothing but a person's own key says yes, and how it looks.

use loopsy_shared::api::pairing::{PairingConfirmed, PairingStarted, PairingStatus};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    effect::{Effect, Timer},
    event::{Event, Failure},
    input::{Input, Press},
    key::Key,
    request::{Answer, Request},
    tabs::TabId,
    testing::{Harness, NOON, peer, typical},
};

fn status(status: Value) -> Answer {
    Answer::GetPairing(Box::new(serde_json::from_value::<PairingStatus>(status).unwrap()))
}

fn idle(change: u64) -> Value {
    json!({ "active": false, "change": change })
}

fn comparing(change: u64) -> Value {
    json!({
        "active": true, "state": "key_exchanged", "sas": "482913", "expiresAt": NOON + 252_000, "change": change,
        "peer": { "nodeId": "studio-mac-id", "hostname": "studio-mac", "address": "192.168.1.50" },
    })
}

fn started() -> Answer {
    let started: PairingStarted =
        serde_json::from_value(json!({ "inviteCode": "512070", "expiresAt": NOON + 252_000, "addresses": ["192.168.1.20:19532", "[fe80::1]:19600"] })).unwrap();
    Answer::StartPairing(Box::new(started))
}

fn refused(why: &str) -> Failure {
    Failure { message: why.to_owned(), code: Some(7001), status: Some(400) }
}

/// In the tab, with nothing under way.
fn at_pairing(mut harness: Harness) -> Harness {
    harness.keys("7");
    harness.answer("GetPairing", Ok(status(idle(4))));
    harness.effects.retain(|effect| matches!(effect, Effect::Call { .. }));
    harness
}

/// With digits to compare that were just shown.
fn at_compare(mut harness: Harness) -> Harness {
    harness = at_pairing(harness);
    harness.answer("GetPairing", Ok(status(comparing(5))));
    harness.screen(80, 24);
    harness
}

/// What was said to the daemon.
fn said(harness: &mut Harness) -> Vec<Option<bool>> {
    let mut said = Vec::new();
    harness.effects.retain(|effect| match effect {
        Effect::Call { request: Request::ConfirmPairing(request), .. } => {
            said.push(request.confirmed);
            false
        }
        _ => true,
    });
    said
}

/// Timers that wait to be alone go off.
fn alone(harness: &mut Harness) {
    harness.later(50);
    let timers: Vec<Timer> =
        harness.effects.iter().filter_map(|effect| if let Effect::Wake(_, timer @ Timer::Alone(_)) = effect { Some(*timer) } else { None }).collect();
    harness.effects.retain(|effect| !matches!(effect, Effect::Wake(_, Timer::Alone(_))));
    timers.into_iter().for_each(|timer| harness.event(Event::Woke(timer)));
}

fn together(harness: &mut Harness, key: &str) {
    harness.event(Event::Input(Input::Key(Press { alone: false, ..Press::of(key.parse().unwrap()) })));
}

#[test]
fn m_says_yes_once_it_is_armed_and_alone() {
    let mut harness = at_compare(Harness::typical());
    harness.keys("m");
    alone(&mut harness);
    assert_eq!(said(&mut harness), [], "not armed yet");
    harness.later(1000);
    together(&mut harness, "m");
    alone(&mut harness);
    assert_eq!(said(&mut harness), [], "not alone");
    harness.later(400);
    harness.keys("enter");
    harness.event(Event::Input(Input::Paste("m".to_owned())));
    alone(&mut harness);
    assert_eq!(said(&mut harness), [], "Enter and pastes mean nothing");
    harness.later(400);
    harness.keys("m j");
    alone(&mut harness);
    assert_eq!(said(&mut harness), [], "something came right after it");
    harness.keys("m");
    alone(&mut harness);
    assert_eq!(said(&mut harness), [], "it has not been quiet since then");
    harness.later(400);
    harness.keys(";");
    harness.later(300);
    harness.keys("m");
    alone(&mut harness);
    assert_eq!(said(&mut harness), [], "a key that means nothing may be of a terminal's late reply");
    harness.later(400);
    harness.keys("m");
    assert_eq!(said(&mut harness), [], "it waits for what may come after it");
    alone(&mut harness);
    assert_eq!(said(&mut harness), [Some(true)]);
    harness.keys("m");
    alone(&mut harness);
    assert_eq!(said(&mut harness), [], "it is said once");
    assert!(harness.text(80, 24).contains("Waiting for the answer"));
}

#[test]
fn a_window_without_room_for_the_digits_decides_nothing() {
    let mut harness = at_compare(Harness::typical());
    harness.later(1000);
    assert!(harness.text(40, 10).contains("482 913") && harness.text(40, 10).contains("x  no, different"), "{}", harness.text(40, 10));
    harness.screen(39, 10);
    harness.keys("m");
    alone(&mut harness);
    assert_eq!(said(&mut harness), []);
}

#[test]
fn x_says_no() {
    let mut harness = at_compare(Harness::typical());
    harness.later(1000);
    harness.keys("x");
    alone(&mut harness);
    assert_eq!(said(&mut harness), [Some(false)]);
}

#[test]
fn what_is_not_in_view_is_not_armed() {
    let mut harness = at_compare(Harness::typical());
    harness.later(5000);
    harness.keys("1 7");
    harness.screen(80, 24);
    harness.keys("m");
    alone(&mut harness);
    assert_eq!(said(&mut harness), [], "the second begins again when it comes into view");
    // Other digits begin it anew too.
    harness.later(1000);
    let mut other = comparing(6);
    other["sas"] = json!("000111");
    harness.answer("GetPairing", Ok(status(other)));
    harness.screen(80, 24);
    harness.keys("m");
    alone(&mut harness);
    assert_eq!(said(&mut harness), []);
    // The palette replays commands and not keys.
    harness.later(2000);
    harness.keys("m");
    let mut other = comparing(7);
    other["sas"] = json!("222333");
    harness.answer("GetPairing", Ok(status(other)));
    alone(&mut harness);
    assert_eq!(said(&mut harness), [], "the digits changed under the key");
}

#[test]
fn the_second_begins_when_the_terminal_shows_the_digits() {
    // On their way to a slow terminal.
    let mut harness = at_pairing(Harness::typical());
    harness.answer("GetPairing", Ok(status(comparing(5))));
    harness.draw(80, 24);
    harness.later(5000);
    harness.keys("m");
    alone(&mut harness);
    assert_eq!(said(&mut harness), [], "nobody has seen them");
    harness.painted();
    harness.later(1000);
    harness.keys("m");
    alone(&mut harness);
    assert_eq!(said(&mut harness), [Some(true)]);
    // Help lies over them.
    let mut harness = at_pairing(Harness::typical());
    harness.keys("?");
    harness.answer("GetPairing", Ok(status(comparing(5))));
    harness.screen(80, 24);
    harness.later(5000);
    harness.keys("esc");
    harness.screen(80, 24);
    harness.later(500);
    harness.keys("m");
    alone(&mut harness);
    assert_eq!(said(&mut harness), [], "they were covered");
    // The window has no room for them.
    let mut harness = at_pairing(Harness::typical());
    harness.answer("GetPairing", Ok(status(comparing(5))));
    harness.screen(30, 8);
    harness.later(5000);
    harness.screen(80, 24);
    harness.keys("m");
    alone(&mut harness);
    assert_eq!(said(&mut harness), [], "there was no room for them");
}

#[test]
fn another_daemon_is_asked_anew_and_its_answer_wins() {
    let mut harness = at_compare(Harness::typical());
    harness.later(1000);
    harness.fleet(typical());
    harness.keys("m");
    alone(&mut harness);
    assert_eq!(said(&mut harness), [], "the digits may be of a pairing that is no more");
    let asked: Vec<_> = harness
        .effects
        .iter()
        .filter_map(|effect| if let Effect::Call { request: Request::GetPairing(request), .. } = effect { Some(request.after) } else { None })
        .collect();
    assert_eq!(asked, [Some(5), None], "what the daemon of before counted is of no use");
    harness.answer("GetPairing", Ok(status(idle(5))));
    let text = harness.text(120, 40);
    assert!(!text.contains("482 913") && text.contains("The pairing that was under way is over"), "{text}");
    // What was asked before is answered late.
    let late =
        harness.effects.iter().position(|effect| matches!(effect, Effect::Call { request: Request::GetPairing(request), .. } if request.after == Some(5)));
    let Some(Effect::Call { place, at, request }) = late.map(|at| harness.effects.remove(at)) else { panic!("{:?}", harness.effects) };
    harness.answer("GetPairing", Ok(status(idle(6))));
    harness.event(Event::Answer(Box::new(crate::event::Answered { place, at, request, result: Ok(status(comparing(5))) })));
    assert!(!harness.text(120, 40).contains("482 913"), "{}", harness.text(120, 40));
}

#[test]
fn a_yes_that_does_not_arrive_is_told_and_armed_anew() {
    let mut harness = at_compare(Harness::typical());
    harness.later(1000);
    harness.keys("m");
    alone(&mut harness);
    harness.answer("ConfirmPairing", Err(refused("The daemon is busy.")));
    assert!(harness.text(120, 40).contains("did not reach the daemon"));
    harness.keys("m");
    alone(&mut harness);
    assert_eq!(said(&mut harness), []);
    harness.later(1000);
    harness.keys("m");
    alone(&mut harness);
    assert_eq!(said(&mut harness), [Some(true)]);
}

#[test]
fn the_digits_of_the_other_screen_are_typed_where_the_config_says_so() {
    let mut harness = Harness::typical();
    harness.app.settings.type_code = true;
    let mut harness = at_compare(harness);
    harness.later(1000);
    harness.event(Event::Input(Input::Paste("482913".to_owned())));
    harness.types("482914");
    alone(&mut harness);
    assert_eq!(said(&mut harness), [], "they are others");
    for key in ["4", "8", "2", "9", "1", "3"] {
        together(&mut harness, key);
    }
    alone(&mut harness);
    assert_eq!(said(&mut harness), [], "they came at once");
    harness.later(400);
    harness.keys("esc m");
    alone(&mut harness);
    assert_eq!(said(&mut harness), [], "m is not enough");
    harness.keys("i");
    harness.types("482913");
    alone(&mut harness);
    assert_eq!(said(&mut harness), [Some(true)]);
}

#[test]
fn an_invite_is_made_followed_and_cancelled() {
    let mut harness = at_pairing(Harness::typical());
    harness.requests();
    harness.keys("n");
    harness.answer("StartPairing", Ok(started()));
    let text = harness.text(80, 24);
    assert!(text.contains("invite code: 512 070") && text.contains("loopsy pair 192.168.1.20\n") || text.contains("loopsy pair 192.168.1.20 "), "{text}");
    assert!(harness.text(120, 40).contains("fe80::1]:19600"));
    harness.keys("y");
    assert!(harness.effects.contains(&Effect::Copy("loopsy pair 192.168.1.20".to_owned())));
    harness.keys("x");
    harness.later(400);
    harness.keys("X");
    assert_eq!(said(&mut harness), [Some(false)]);
}

#[test]
fn a_code_is_entered() {
    let mut harness = at_pairing(Harness::typical());
    harness.requests();
    harness.keys("e");
    harness.types("kai:7");
    harness.keys("enter");
    harness.types("51207");
    harness.keys("enter");
    assert!(harness.text(80, 24).contains("six digits"));
    harness.types("0");
    harness.keys("enter");
    let requests = harness.requests();
    let [(None, Request::JoinPairing(join))] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!((join.address.as_str(), join.port, join.invite_code.reveal(), &join.scopes), ("kai", Some(7), "512070", &None));
}

#[test]
fn rights_are_chosen_before() {
    let mut harness = at_pairing(Harness::typical());
    harness.requests();
    harness.keys("R down down down down space enter n");
    let requests = harness.requests();
    let [(None, Request::StartPairing(start))] = &requests[..] else { panic!("{requests:?}") };
    let rights: Vec<&str> = start.scopes.iter().flatten().map(|right| right.as_str()).collect();
    assert_eq!(rights, ["status", "context", "messages", "transfer", "ai-tasks"]);
}

#[test]
fn a_machine_that_may_do_nothing_is_not_paired_with() {
    let mut harness = at_pairing(Harness::typical());
    harness.keys("R");
    // Whatever is given is taken away.
    for _ in 0..8 {
        let given = harness.text(120, 40).lines().filter(|line| line.contains("[x]")).count();
        harness.keys("space");
        if harness.text(120, 40).lines().filter(|line| line.contains("[x]")).count() > given {
            harness.keys("space");
        }
        harness.keys("j");
    }
    let text = harness.text(120, 40);
    assert!(!text.contains("[x]") && text.contains("needs no pairing"), "{text}");
    harness.keys("enter");
    assert!(harness.text(120, 40).contains("needs no pairing"), "the box stays");
    harness.keys("esc");
    harness.requests();
    harness.keys("n");
    let requests = harness.requests();
    assert!(matches!(&requests[..], [(None, Request::StartPairing(start))] if start.scopes.is_none()), "{requests:?}");
}

#[test]
fn the_daemon_is_asked_one_question_at_a_time_and_only_while_somebody_looks() {
    let mut harness = Harness::typical();
    assert!(harness.requests().is_empty(), "nobody looks");
    harness.keys("7 1 7");
    assert_eq!(harness.requests().len(), 1, "one question at a time");
    let mut harness = at_pairing(Harness::typical());
    harness.keys("1");
    harness.answer("GetPairing", Ok(status(idle(4))));
    assert!(harness.requests().is_empty(), "nobody looks any more");
    harness.fleet(json!({ "type": "pairing-changed", "active": true, "change": 9 }));
    harness.answer("GetPairing", Ok(status(comparing(9))));
    assert_eq!(harness.requests().len(), 1, "one is under way now");
    assert!(harness.text(120, 40).contains("7 shows the digits"));
}

#[test]
fn how_it_ended_is_told_with_what_comes_next() {
    let mut harness = at_compare(Harness::typical());
    harness.answer(
        "GetPairing",
        Ok(status(json!({ "active": false, "change": 6, "outcome": { "end": "rejected", "code": 7003, "message": "The other person said that the digits differ. Nothing was stored.", "hint": "Check the address, and try again." } }))),
    );
    let text = harness.text(120, 40);
    assert!(text.contains("said that the digits differ") && text.contains("Check the address"), "{text}");
    let mut harness = at_compare(Harness::typical());
    harness.answer(
        "GetPairing",
        Ok(status(json!({ "active": false, "change": 6, "peer": comparing(1)["peer"], "outcome": { "end": "paired", "message": "Paired." } }))),
    );
    let text = harness.text(120, 40);
    assert!(text.contains("Paired with studio-mac") && text.contains("may do here: status, execute"), "{text}");
    let _confirmed = PairingConfirmed::default();
}

#[test]
fn words_show_the_same_and_are_optional() {
    let mut harness = at_compare(Harness::typical());
    assert!(!harness.text(80, 24).contains("The words stand"));
    harness.keys("e");
    assert!(harness.text(80, 24).contains("The words stand"));
}

fn shots(name: &str, mut harness: Harness) {
    for (columns, rows) in [(80, 24), (120, 40), (40, 12)] {
        insta::assert_snapshot!(format!("{name}_{columns}x{rows}"), harness.screen(columns, rows));
    }
}

fn overflowing() -> Value {
    let mut snapshot = typical();
    let names = ["\u{1b}[2Jevil", "a\u{202e}b", "\u{2764}\u{fe0f}\u{fe0f}", "機械機械機械機械機械機械", "a-very-long-name-that-goes-on-and-on-and-on-for-ever"];
    snapshot["peers"] = (0..300)
        .map(|index| {
            let mut peer = peer(&format!("{}{index}", names[index % names.len()]), "online");
            peer["nodeId"] = json!(format!("peer-{index}"));
            peer
        })
        .collect();
    snapshot
}

#[test]
fn how_it_looks() {
    let mut empty = typical();
    empty["peers"] = json!([]);
    shots("empty", at_pairing(Harness::with(empty)));
    shots("typical", at_pairing(Harness::typical()));
    shots("compare", at_compare(Harness::typical()));
    let mut waiting = at_pairing(Harness::typical());
    waiting.keys("n");
    waiting.answer("StartPairing", Ok(started()));
    shots("waiting", waiting);
    let mut hostile = at_pairing(Harness::with(overflowing()));
    let mut status_of = comparing(5);
    status_of["peer"]["hostname"] = json!("a\u{202e}b\u{1b}[2J-a-very-long-name-that-goes-on-and-on-and-on-for-ever");
    shots("overflowing", {
        let mut idle = at_pairing(Harness::with(overflowing()));
        idle.keys("j");
        idle
    });
    hostile.answer("GetPairing", Ok(status(status_of)));
    hostile.screen(80, 24);
    hostile.later(1000);
    shots("hostile_compare", hostile);
    let mut failed = at_pairing(Harness::typical());
    failed.keys("n");
    failed.answer("StartPairing", Err(refused("A pairing is under way on this node.")));
    failed.event(Event::Fleet(Box::new(loopsy_shared::client::Watched::Lost("connection refused".to_owned()))));
    shots("error", failed);
    let mut ascii = at_compare(Harness::typical());
    ascii.app.look.ascii = true;
    ascii.keys("e");
    shots("compare_ascii", ascii);
}

#[derive(Debug, Clone)]
enum Step {
    Key(char, bool),
    Named(usize, bool),
    Paste(String),
    Later(u64),
    /// Help lies over it, or no longer.
    Cover,
    Answer(u8),
    Timers,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = prop_oneof![Just('m'), Just('x'), Just('y'), Just('n'), Just('7'), Just('1'), Just('e'), Just('i'), Just(' '), any::<char>()];
    let step = prop_oneof![
        4 => (key, any::<bool>()).prop_map(|(c, alone)| Step::Key(c, alone)),
        1 => (0usize..6, any::<bool>()).prop_map(|(at, alone)| Step::Named(at, alone)),
        1 => "[m482913]{0,8}".prop_map(Step::Paste),
        2 => (0u64..3000).prop_map(Step::Later),
        2 => (0u8..8).prop_map(Step::Answer),
        2 => Just(Step::Timers),
        1 => Just(Step::Cover),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever happens: a yes goes out only for a lone `m` that came at least a second after these digits came into view, and nothing breaks.
    #[test]
    fn nothing_but_a_lone_armed_m_says_yes(steps in steps(), type_code in any::<bool>()) {
        let mut harness = Harness::typical();
        harness.app.settings.type_code = type_code;
        harness.keys("7");
        // When a key last said yes, and since when there is something to compare.
        let mut last: Option<(char, bool)> = None;
        let (mut compare_since, mut change) = (None, 0);
        for step in steps {
            match step {
                Step::Key(c, alone) => {
                    harness.event(Event::Input(Input::Key(Press { alone, ..Press::of(Key::char(c)) })));
                    last = Some((c, alone));
                }
                Step::Named(at, alone) => {
                    let key = ["enter", "esc", "tab", "ctrl-]", "down", "space"][at].parse().unwrap();
                    harness.event(Event::Input(Input::Key(Press { alone, ..Press::of(key) })));
                    last = None;
                }
                Step::Paste(text) => {
                    harness.event(Event::Input(Input::Paste(text)));
                    last = None;
                }
                Step::Later(ms) => harness.later(ms),
                Step::Cover => harness.keys("?"),
                Step::Answer(which) => {
                    let asked = |harness: &Harness, name: &str| harness.effects.iter().any(|effect| matches!(effect, Effect::Call { request, .. } if request.name() == name));
                    change += 1;
                    if asked(&harness, "StartPairing") {
                        harness.answer("StartPairing", Ok(started()));
                    } else if asked(&harness, "GetPairing") {
                        let answer = match which {
                            0 => Err(refused("no")),
                            1 | 2 => Ok(status(idle(change))),
                            _ => Ok(status(comparing(change))),
                        };
                        harness.answer("GetPairing", answer);
                    }
                }
                Step::Timers => {
                    let timers: Vec<Timer> = harness.effects.iter().filter_map(|effect| if let Effect::Wake(_, timer) = effect { Some(*timer) } else { None }).collect();
                    harness.effects.retain(|effect| !matches!(effect, Effect::Wake(..)));
                    for timer in timers {
                        harness.event(Event::Woke(timer));
                    }
                }
            }
            let yes = harness.effects.iter().any(|effect| matches!(effect, Effect::Call { request: Request::ConfirmPairing(request), .. } if request.confirmed == Some(true)));
            if yes {
                prop_assert!(compare_since.is_some_and(|since| harness.now.since >= since + 1000));
                let expected = if type_code { '3' } else { 'm' };
                prop_assert_eq!(last, Some((expected, true)));
                break;
            }
            if !harness.text(80, 24).contains("SAS: 482 913") {
                compare_since = None;
            } else {
                compare_since.get_or_insert(harness.now.since);
            }
            let _tab: TabId = harness.app.tab;
        }
        harness.screen(80, 24);
    }
}

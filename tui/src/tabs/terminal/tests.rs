//! The tab: keys lead to effects, and it looks as it should.

use bytes::Bytes;
use loopsy_shared::{
    api::terminals::{TerminalExit, TerminalInfo, TerminalSize, Terminals},
    client::Attached,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    effect::{Effect, Timer},
    event::{Event, Failure},
    input::{Input, Press},
    request::{Answer, Request},
    testing::{Harness, NOON, typical},
    world::TerminalKey,
};

fn terminal(id: &str, name: &str) -> Value {
    json!({
        "id": format!("{id}-0000-4000-8000-000000000000"), "name": name, "command": format!("/bin/{name}"), "cwd": "/home/leo", "pid": 41, "size": {"cols": 80, "rows": 24},
        "createdAt": NOON - 60_000, "viewers": 0, "offset": 0, "principal": "admin",
    })
}

fn info(value: &Value) -> TerminalInfo {
    serde_json::from_value(value.clone()).unwrap()
}

fn key(node: Option<&str>, id: &str) -> TerminalKey {
    TerminalKey { node: node.map(|node| format!("{node}-id").as_str().into()), id: format!("{id}-0000-4000-8000-000000000000").as_str().into() }
}

/// A fleet with these terminals here; the tab is open, peers have answered.
fn open(terminals: &[Value]) -> Harness {
    let mut fleet = typical();
    fleet["terminals"] = json!(terminals);
    let mut harness = Harness::with(fleet);
    harness.keys("6");
    harness.answer("ListTerminals", Ok(Answer::ListTerminals(Box::new(Terminals { terminals: vec![info(&terminal("bbbb0000", "zsh"))] }))));
    harness.answer("ListTerminals", Err(Failure { message: "no".to_owned(), code: Some(1004), status: Some(403) }));
    harness.later(200);
    harness.event(Event::Woke(Timer::Pane));
    harness
}

fn typical_tab() -> Harness {
    let mut task = terminal("cccc0000", "claude");
    task["taskId"] = json!("7f3a0000-0000-4000-8000-000000000001");
    let mut ended = terminal("dddd0000", "vim");
    (ended["exit"], ended["endedAt"]) = (json!({"exitCode": 3}), json!(NOON));
    open(&[terminal("aaaa0000", "bash"), task, ended])
}

fn says(harness: &mut Harness, key: &TerminalKey, size: (u16, u16), text: &str) {
    let value = terminal("aaaa0000", "bash");
    harness.event(Event::Terminal(key.clone(), Attached::Hello { terminal: Box::new(info(&value)), owner: false }));
    harness.event(Event::Terminal(key.clone(), Attached::Snapshot { size: TerminalSize { cols: size.0, rows: size.1 }, lost: 0 }));
    harness.event(Event::Terminal(key.clone(), Attached::Drawn(Bytes::copy_from_slice(text.as_bytes()))));
}

fn prints(harness: &mut Harness, key: &TerminalKey, text: &str) {
    harness.event(Event::Terminal(key.clone(), Attached::Printed(Bytes::copy_from_slice(text.as_bytes()))));
}

fn raw(harness: &mut Harness, name: &str, bytes: &[u8]) {
    harness.event(Event::Input(Input::Key(Press { key: name.parse().unwrap(), raw: bytes.to_vec(), alone: true })));
}

/// What was typed into it, in all; forgotten then.
fn typed(harness: &mut Harness) -> String {
    let mut all = Vec::new();
    harness.effects.retain(|effect| {
        if let Effect::Type(_, bytes) = effect {
            all.extend_from_slice(bytes);
        }
        !matches!(effect, Effect::Type(..))
    });
    String::from_utf8(all).unwrap()
}

#[test]
fn a_terminal_is_watched_and_typed_into_and_left() {
    let mut harness = typical_tab();
    let bash = key(None, "aaaa0000");
    assert!(harness.effects.contains(&Effect::Attach { terminal: bash.clone(), size: None, scrollback: 5000 }), "{:?}", harness.effects);
    says(&mut harness, &bash, (80, 24), "leo@leo ~ % ");
    assert!(harness.text(120, 40).contains("leo@leo ~ %"));
    harness.keys("i");
    raw(&mut harness, "l", b"l");
    raw(&mut harness, "Q", b"Q");
    raw(&mut harness, "ctrl-c", b"\x03");
    raw(&mut harness, "up", b"\x1b[A");
    prints(&mut harness, &bash, "\x1b[?1h");
    raw(&mut harness, "up", b"\x1b[A");
    assert_eq!(typed(&mut harness), "lQ\x03\x1b[A\x1bOA");
    assert!(harness.text(120, 40).contains("INPUT"));
    assert!(!harness.effects.contains(&Effect::Quit));
    // Ctrl-] leaves; once more sends it and types on.
    harness.keys("ctrl-]");
    assert!(harness.text(120, 40).contains(" NAV "));
    assert_eq!(typed(&mut harness), "");
    harness.keys("ctrl-] x");
    assert_eq!(typed(&mut harness), "\u{1d}x");
}

#[test]
fn the_size_is_taken_once_and_only_by_who_types_on_the_whole_screen() {
    let mut harness = typical_tab();
    let bash = key(None, "aaaa0000");
    says(&mut harness, &bash, (80, 30), "$ ");
    harness.screen(80, 24);
    harness.event(Event::Woke(Timer::Resize));
    assert!(!harness.effects.iter().any(|effect| matches!(effect, Effect::Size(..))), "watching never resizes");
    assert!(harness.text(80, 24).contains("80x30 cropped"), "{}", harness.text(80, 24));
    harness.keys("i");
    harness.screen(80, 24);
    harness.event(Event::Woke(Timer::Resize));
    harness.keys("ctrl-] =");
    harness.screen(80, 24);
    let sizes = |harness: &Harness| harness.effects.iter().filter(|effect| matches!(effect, Effect::Size(..))).cloned().collect::<Vec<_>>();
    assert_eq!(sizes(&harness), [Effect::Size(bash.clone(), TerminalSize { cols: 78, rows: 19 })]);
    harness.event(Event::Terminal(bash.clone(), Attached::Owner(true)));
    harness.event(Event::Terminal(bash.clone(), Attached::Resize(TerminalSize { cols: 78, rows: 19 })));
    harness.keys("i");
    harness.screen(80, 24);
    harness.event(Event::Woke(Timer::Resize));
    assert_eq!(sizes(&harness).len(), 1, "an equal size is not asked for again");
}

#[test]
fn scrolling_stands_still_and_says_what_is_below() {
    let mut harness = typical_tab();
    let bash = key(None, "aaaa0000");
    let lines: String = (1..=100).map(|line| format!("line {line}\r\n")).collect();
    says(&mut harness, &bash, (80, 24), &lines);
    harness.screen(120, 40);
    harness.keys("tab g");
    let top = harness.text(120, 40);
    assert!(top.contains("line 1 ") && !top.contains("new output below"), "{top}");
    prints(&mut harness, &bash, "more\r\nmore\r\n");
    let still = harness.text(120, 40);
    assert!(still.contains("line 1 ") && still.contains("new output below") && still.contains("scrolled -"), "{still}");
    harness.keys("G");
    assert!(harness.text(120, 40).contains("more") && !harness.text(120, 40).contains("new output below"));
    harness.keys("k k i x");
    assert_eq!(typed(&mut harness), "x");
    assert!(!harness.text(120, 40).contains("scrolled"), "typing goes to the end");
}

#[test]
fn what_is_selected_is_copied_with_wrapped_lines_joined() {
    let mut harness = typical_tab();
    let bash = key(None, "aaaa0000");
    says(&mut harness, &bash, (20, 6), &format!("{}tail   \r\nsecond line\r\nthird", "abcdefghij".repeat(2)));
    harness.screen(120, 40);
    let copied = |harness: &mut Harness| {
        let at = harness.effects.iter().rposition(|effect| matches!(effect, Effect::Copy(_))).expect("copied");
        let Effect::Copy(text) = harness.effects.remove(at) else { unreachable!() };
        text
    };
    harness.keys("y");
    assert_eq!(copied(&mut harness), "third");
    harness.keys("v g V j j y");
    assert_eq!(copied(&mut harness), "abcdefghijabcdefghijtail\nsecond line");
    harness.keys("v g j j w v $ y");
    assert_eq!(copied(&mut harness), "line");
    harness.keys("v g l l ctrl-v j l y");
    assert_eq!(copied(&mut harness), "cd\nil");
    harness.keys("v esc y");
    assert_eq!(copied(&mut harness), "third");
}

#[test]
fn a_search_goes_through_the_lines_above() {
    let mut harness = typical_tab();
    let bash = key(None, "aaaa0000");
    let lines: String = (1..=60).map(|line| if line % 20 == 0 { format!("Warning {line}\r\n") } else { format!("line {line}\r\n") }).collect();
    says(&mut harness, &bash, (80, 10), &lines);
    harness.screen(120, 40);
    harness.keys("tab /");
    harness.types("warn");
    assert!(harness.text(120, 40).contains("/warn_ 3 of 3"), "{}", harness.text(120, 40));
    harness.keys("enter n n");
    let first = harness.text(120, 40);
    assert!(first.contains("/warn 1 of 3") && first.contains("Warning 20"), "{first}");
    harness.keys("N");
    assert!(harness.text(120, 40).contains("/warn 2 of 3"));
    harness.keys("y");
    assert!(harness.effects.contains(&Effect::Copy("Warning 40".to_owned())));
    harness.keys("esc");
    assert!(!harness.text(120, 40).contains("/warn"));
    harness.keys("/");
    harness.types("WARN");
    assert!(harness.text(120, 40).contains("nothing found"));
}

#[test]
fn a_paste_that_would_run_line_by_line_is_asked_about() {
    let mut harness = typical_tab();
    let bash = key(None, "aaaa0000");
    says(&mut harness, &bash, (80, 24), "$ ");
    harness.keys("i");
    let paste = |harness: &mut Harness, text: &str| harness.event(Event::Input(Input::Paste(text.to_owned())));
    paste(&mut harness, "one line");
    assert_eq!(typed(&mut harness), "one line");
    paste(&mut harness, "rm a\nrm b\n");
    assert_eq!(typed(&mut harness), "");
    assert!(harness.text(80, 24).contains("every line end counts as Enter"), "{}", harness.text(80, 24));
    harness.keys("enter");
    assert_eq!(typed(&mut harness), "");
    paste(&mut harness, "rm a\nrm b\n");
    harness.later(400);
    harness.types("P");
    assert_eq!(typed(&mut harness), "rm a\rrm b\r");
    prints(&mut harness, &bash, "\x1b[?2004h");
    paste(&mut harness, "a\nb\x1b[201~");
    assert_eq!(typed(&mut harness), "\x1b[200~a\rb[201~\x1b[201~");
}

#[test]
fn a_terminal_is_opened_where_the_person_said_and_typed_into() {
    let mut harness = typical_tab();
    harness.keys("t");
    harness.keys("right tab");
    harness.types("cargo test 'a b'");
    harness.keys("tab");
    harness.types("/tmp");
    harness.keys("enter");
    let asked = harness.effects.iter().rev().find_map(|effect| match effect {
        Effect::Call { at, request: Request::OpenTerminal(request), .. } => Some((at.clone(), request.clone())),
        _ => None,
    });
    let (at, request) = asked.expect("asked");
    assert_eq!(at.as_ref().map(|at| at.as_str()), Some("ci-box-id"));
    assert_eq!((request.command.as_deref(), request.args.join(","), request.cwd.as_deref()), (Some("cargo"), "test,a b".to_owned(), Some("/tmp")));
    assert_eq!((request.cols, request.rows), (Some(78), Some(19)));
    harness.answer("OpenTerminal", Ok(Answer::OpenTerminal(Box::new(info(&terminal("eeee0000", "cargo"))))));
    let new = key(Some("ci-box"), "eeee0000");
    assert!(
        harness.effects.contains(&Effect::Attach { terminal: new.clone(), size: Some(TerminalSize { cols: 78, rows: 19 }), scrollback: 5000 }),
        "{:?}",
        harness.effects
    );
    harness.keys("x");
    assert_eq!(typed(&mut harness), "x");
    assert!(harness.text(80, 24).contains("ci-box: cargo"));
}

#[test]
fn closing_asks_and_enter_is_no() {
    let mut harness = typical_tab();
    harness.requests();
    harness.keys("x");
    let question = harness.text(80, 24);
    assert!(question.contains("Close leo: bash?") && question.contains("/bin/bash"), "{question}");
    harness.keys("enter");
    assert!(harness.requests().is_empty());
    harness.keys("x");
    harness.later(400);
    harness.types("X");
    let requests = harness.requests();
    assert!(matches!(&requests[..], [(None, Request::CloseTerminal(_))]), "{requests:?}");
    // What has ended is only forgotten.
    harness.keys("j j x");
    assert!(matches!(&harness.requests()[..], [(None, Request::CloseTerminal(_))]));
}

#[test]
fn a_program_that_ended_takes_no_keys_and_a_lost_connection_comes_back() {
    let mut harness = typical_tab();
    let bash = key(None, "aaaa0000");
    says(&mut harness, &bash, (80, 24), "$ ");
    harness.keys("i");
    harness.event(Event::Terminal(bash.clone(), Attached::Lost("reset".to_owned())));
    assert!(harness.text(120, 40).contains("connection lost, trying again"));
    harness.event(Event::Terminal(bash.clone(), Attached::Hello { terminal: Box::new(info(&terminal("aaaa0000", "bash"))), owner: true }));
    prints(&mut harness, &bash, "and on");
    assert!(harness.text(120, 40).contains("$ and on") && !harness.text(120, 40).contains("lost"));
    harness.event(Event::Terminal(bash.clone(), Attached::Exit(TerminalExit { exit_code: Some(7), signal: None })));
    harness.event(Event::TerminalEnd(bash, None));
    harness.types("Qx");
    assert_eq!(typed(&mut harness), "");
    assert!(!harness.effects.contains(&Effect::Quit));
    let text = harness.text(120, 40);
    assert!(text.contains("ended with code 7") && text.contains("$ and on"), "{text}");
}

#[test]
fn only_the_screens_looked_at_last_are_kept() {
    let all: Vec<Value> = (0..8).map(|at| terminal(&format!("aaaa000{at}"), "sh")).collect();
    let mut harness = open(&all);
    for _ in 0..7 {
        harness.keys("j");
        harness.later(200);
        harness.event(Event::Woke(Timer::Pane));
    }
    let count = |harness: &Harness, wanted: fn(&Effect) -> bool| harness.effects.iter().filter(|effect| wanted(effect)).count();
    assert_eq!(count(&harness, |effect| matches!(effect, Effect::Attach { .. })), 8);
    assert_eq!(count(&harness, |effect| matches!(effect, Effect::Detach(_))), 4);
    harness.keys("1");
    assert_eq!(count(&harness, |effect| matches!(effect, Effect::Detach(_))), 8, "nobody looks at any");
}

#[test]
fn an_update_that_is_held_back_is_shown_in_the_end() {
    let mut harness = typical_tab();
    let bash = key(None, "aaaa0000");
    says(&mut harness, &bash, (80, 24), "old");
    prints(&mut harness, &bash, "\x1b[?2026h\r\x1b[Knew");
    assert!(harness.text(120, 40).contains("old"));
    harness.app.take_dirty();
    prints(&mut harness, &bash, "er");
    assert!(!harness.app.take_dirty(), "nothing of it can be seen yet");
    harness.later(150);
    harness.event(Event::Woke(Timer::Pane));
    assert!(harness.text(120, 40).contains("newer"));
}

#[test]
fn keys_never_become_commands_because_the_terminal_went() {
    let mut harness = typical_tab();
    let bash = key(None, "aaaa0000");
    says(&mut harness, &bash, (80, 24), "$ ");
    harness.keys("i");
    harness.fleet(json!({"type": "terminal-removed", "terminalId": bash.id}));
    harness.event(Event::TerminalEnd(bash, Some("The terminal was closed.".to_owned())));
    harness.types("Qx1");
    assert!(!harness.effects.contains(&Effect::Quit) && harness.text(80, 24).contains("INPUT"), "{}", harness.text(80, 24));
    assert!(harness.text(80, 24).contains("The terminal was closed."));
    harness.keys("ctrl-]");
    assert!(!harness.text(80, 24).contains("bash"));
}

#[test]
fn a_visit_shows_a_terminal_that_nobody_told_of_yet() {
    let mut harness = Harness::typical();
    harness.keys("2");
    let new = key(Some("studio-mac"), "ffff0000");
    let effects = harness.app.visited(crate::tabs::Visit::Terminal(new.clone()), harness.now);
    harness.effects.extend(effects);
    assert!(harness.effects.contains(&Effect::Attach { terminal: new.clone(), size: None, scrollback: 5000 }));
    says(&mut harness, &new, (80, 24), "studio $ ");
    assert!(harness.text(80, 24).contains("studio $"));
    harness.keys("l s");
    assert_eq!(typed(&mut harness), "ls");
}

#[test]
fn older_lines_come_from_the_node() {
    let mut harness = typical_tab();
    let bash = key(None, "aaaa0000");
    let lines: String = (1..=6000).map(|line| format!("line {line}\r\n")).collect();
    says(&mut harness, &bash, (80, 24), &lines);
    harness.screen(120, 40);
    harness.keys("tab g");
    assert!(harness.text(120, 40).contains("older lines are at the node: O"), "{}", harness.text(120, 40));
    harness.keys("O");
    let text =
        json!({"lines": [], "above": 5977, "cursor": {"col": 0, "row": 0, "visible": true}, "size": {"cols": 80, "rows": 24}, "offset": 0, "alternate": false});
    harness.answer("ReadTerminal", Ok(Answer::ReadTerminal(Box::new(serde_json::from_value(text).unwrap()))));
    assert!(harness.effects.contains(&Effect::Attach { terminal: bash.clone(), size: None, scrollback: 5977 }), "{:?}", harness.effects.last());
    let before = harness.text(120, 40);
    says(&mut harness, &bash, (80, 24), &lines);
    let after = harness.text(120, 40);
    let first = |text: &str| text.lines().nth(2).unwrap().split('│').nth(3).unwrap().trim().to_owned();
    assert_eq!(first(&before), first(&after), "the view stays where it was");
    harness.keys("g");
    assert_eq!(first(&harness.text(120, 40)), "line 1");
    // They are not kept once nobody looks.
    harness.keys("1 6");
    assert!(matches!(harness.effects.iter().rev().find(|effect| matches!(effect, Effect::Attach { .. })), Some(Effect::Attach { scrollback: 5000, .. })));
}

#[test]
fn the_mouse_scrolls_and_selects_and_is_the_programs_when_it_asks() {
    let mut harness = typical_tab();
    let bash = key(None, "aaaa0000");
    let lines: String = (1..=100).map(|line| format!("line {line}\r\n")).collect();
    says(&mut harness, &bash, (78, 19), &lines);
    harness.screen(80, 24);
    let mouse = |harness: &mut Harness, kind, column, row| harness.event(Event::Input(Input::Mouse(crate::input::Mouse { kind, column, row, held: 0 })));
    use crate::input::MouseKind as K;
    mouse(&mut harness, K::ScrollUp, 40, 10);
    assert!(harness.text(80, 24).contains("scrolled -3"));
    mouse(&mut harness, K::Down(0), 27, 2);
    mouse(&mut harness, K::Drag(0), 30, 2);
    harness.keys("y");
    assert!(harness.effects.contains(&Effect::Copy("line".to_owned())), "{:?}", harness.effects.last());
    harness.keys("i");
    prints(&mut harness, &bash, "\x1b[?1000h\x1b[?1006h");
    harness.screen(80, 24);
    mouse(&mut harness, K::Down(0), 1, 2);
    mouse(&mut harness, K::ScrollDown, 5, 4);
    assert_eq!(typed(&mut harness), "\x1b[<0;1;1M\x1b[<65;5;3M");
}

fn any_key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "i", "ctrl-]", "=", "z", "j", "k", "g", "G", "h", "l", "pageup", "pagedown", "ctrl-u", "ctrl-d", "v", "V", "ctrl-v", "w", "b", "0", "$", "y", "esc",
        "/", "n", "N", "tab", "enter", "a", "O", "r", "left", "f12",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever a program prints and a person presses, at any size: nothing breaks, and only what can be printed is drawn.
    #[test]
    fn anything_can_happen(steps in proptest::collection::vec((any_key(), proptest::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"\x1b[]0;1m\nHJ\xe7\x95\x8c".to_vec())], 0..40), 0u16..90, 0u16..40, 0u8..10), 1..25)) {
        let mut harness = typical_tab();
        let bash = key(None, "aaaa0000");
        says(&mut harness, &bash, (20, 6), "$ ");
        for (name, bytes, columns, rows, what) in steps {
            let attached = match what {
                0 => Attached::Resize(TerminalSize { cols: columns, rows }),
                1 => Attached::Snapshot { size: TerminalSize { cols: columns, rows }, lost: 1 },
                2 => Attached::Drawn(Bytes::from(bytes)),
                3 => Attached::Lost("gone".to_owned()),
                _ => Attached::Printed(Bytes::from(bytes)),
            };
            harness.event(Event::Terminal(bash.clone(), attached));
            harness.keys(name);
            harness.later(60);
            harness.event(Event::Woke(Timer::Pane));
            harness.event(Event::Woke(Timer::Resize));
            let text = harness.text(columns, rows);
            prop_assert!(!text.chars().any(|c| c != '\n' && loopsy_shared::text::is_active(c)), "{text:?}");
        }
    }

    /// Every byte of every key gets to the program, in order, but those of the way out.
    #[test]
    fn bytes_out_are_bytes_in(keys in proptest::collection::vec((any::<bool>(), proptest::collection::vec(0x20u8..0x7f, 1..4)), 0..40)) {
        let mut harness = typical_tab();
        says(&mut harness, &key(None, "aaaa0000"), (80, 24), "$ ");
        let mut expected = String::new();
        harness.keys("i");
        for (leave, bytes) in keys {
            if leave {
                raw(&mut harness, "ctrl-]", b"\x1d");
                harness.keys("i");
            }
            raw(&mut harness, "a", &bytes);
            expected.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        prop_assert_eq!(typed(&mut harness), expected);
    }
}

/// How often this terminal was attached to, and how often that ended.
fn looks(harness: &Harness, key: &TerminalKey) -> (usize, usize) {
    let count = |wanted: &dyn Fn(&Effect) -> bool| harness.effects.iter().filter(|effect| wanted(effect)).count();
    (count(&|effect| matches!(effect, Effect::Attach { terminal, .. } if terminal == key)), count(&|effect| *effect == Effect::Detach(key.clone())))
}

#[test]
fn nothing_is_looked_at_while_another_tab_is_in_front() {
    let mut harness = typical_tab();
    let (bash, claude) = (key(None, "aaaa0000"), key(None, "cccc0000"));
    let lines: String = (1..=100).map(|line| format!("line {line}\r\n")).collect();
    says(&mut harness, &bash, (80, 24), &lines);
    harness.screen(120, 40);
    harness.keys("tab k k k k esc r j 1");
    assert_eq!((looks(&harness, &bash), looks(&harness, &claude)), ((1, 1), (0, 0)));
    // Neither the row that was about to be looked at, nor what peers say now, brings one back.
    harness.later(200);
    harness.event(Event::Woke(Timer::Pane));
    harness.answer("ListTerminals", Ok(Answer::ListTerminals(Box::new(Terminals { terminals: Vec::new() }))));
    prints(&mut harness, &bash, "not seen");
    assert_eq!((looks(&harness, &bash), looks(&harness, &claude)), ((1, 1), (0, 0)));
    harness.keys("6 k");
    assert_eq!(looks(&harness, &bash), (2, 1));
    // What was there is seen until what is there comes, and at the same place.
    let before = harness.text(120, 40);
    assert!(before.contains("connecting") && before.contains("scrolled -4"), "{before}");
    says(&mut harness, &bash, (80, 24), &lines);
    assert!(harness.text(120, 40).contains("scrolled -4") && !harness.text(120, 40).contains("connecting"));
    harness.keys("i x");
    assert_eq!(typed(&mut harness), "x");
}

#[test]
fn what_is_typed_without_a_connection_is_not_kept_for_later() {
    let mut harness = typical_tab();
    let bash = key(None, "aaaa0000");
    says(&mut harness, &bash, (80, 24), "$ ");
    harness.keys("i");
    harness.event(Event::Terminal(bash.clone(), Attached::Lost("reset".to_owned())));
    harness.types("rm x");
    raw(&mut harness, "enter", b"\r");
    harness.event(Event::Input(Input::Paste("more".to_owned())));
    assert_eq!(typed(&mut harness), "");
    let text = harness.text(120, 40);
    assert_eq!(text.matches("what you type does not reach it").count(), 1, "{text}");
    harness.event(Event::Terminal(bash, Attached::Hello { terminal: Box::new(info(&terminal("aaaa0000", "bash"))), owner: false }));
    harness.types("ls");
    assert_eq!(typed(&mut harness), "ls");
}

#[test]
fn a_size_that_was_ours_is_asked_for_again_unless_somebody_else_changed_it() {
    for (size, again) in [((78, 19), 2), ((60, 20), 1)] {
        let mut harness = typical_tab();
        let bash = key(None, "aaaa0000");
        says(&mut harness, &bash, (80, 30), "$ ");
        harness.screen(80, 24);
        harness.keys("i");
        harness.screen(80, 24);
        harness.event(Event::Woke(Timer::Resize));
        harness.keys("ctrl-]");
        harness.event(Event::Terminal(bash.clone(), Attached::Owner(true)));
        harness.event(Event::Terminal(bash.clone(), Attached::Resize(TerminalSize { cols: 78, rows: 19 })));
        harness.event(Event::Terminal(bash.clone(), Attached::Lost("reset".to_owned())));
        let mut now = info(&terminal("aaaa0000", "bash"));
        now.size = TerminalSize { cols: size.0, rows: size.1 };
        harness.event(Event::Terminal(bash.clone(), Attached::Hello { terminal: Box::new(now), owner: false }));
        let ours = Effect::Size(bash.clone(), TerminalSize { cols: 78, rows: 19 });
        let asked: Vec<&Effect> = harness.effects.iter().filter(|effect| matches!(effect, Effect::Size(..))).collect();
        assert_eq!(asked, vec![&ours; again], "{size:?}");
    }
}

#[test]
fn why_a_terminal_cannot_be_typed_into_is_said_as_it_is() {
    let mut harness = typical_tab();
    let bash = key(None, "aaaa0000");
    says(&mut harness, &bash, (80, 24), "$ ");
    harness.event(Event::TerminalEnd(bash, Some("studio-mac cannot be reached.".to_owned())));
    harness.keys("i");
    let text = harness.text(120, 40);
    assert_eq!(text.matches("studio-mac cannot be reached.").count(), 2, "in the pane and for the key: {text}");
    assert!(!text.contains("there any more"), "{text}");
}

#[test]
fn a_program_that_ends_in_the_background_shows_in_the_list() {
    let mut harness = typical_tab();
    let zsh = key(Some("ci-box"), "bbbb0000");
    let other = key(Some("studio-mac"), "bbbb0000");
    harness.keys("j j j");
    harness.later(200);
    harness.event(Event::Woke(Timer::Pane));
    harness.keys("k k k");
    harness.app.take_dirty();
    let exit = || Attached::Exit(TerminalExit { exit_code: Some(9), signal: None });
    let attached = if looks(&harness, &zsh).0 > 0 { zsh } else { other };
    assert_eq!(looks(&harness, &attached).0, 1, "{:?}", harness.effects);
    prints(&mut harness, &attached, "nobody sees this");
    assert!(!harness.app.take_dirty());
    harness.event(Event::Terminal(attached, exit()));
    assert!(harness.app.take_dirty());
    assert!(harness.text(120, 40).contains("exited 9 zsh"), "{}", harness.text(120, 40));
}

#[test]
fn a_peer_that_comes_back_is_asked_for_its_terminals_again() {
    let mut harness = typical_tab();
    harness.requests();
    let status = |harness: &mut Harness, status: &str| harness.fleet(json!({"type": "peer-changed", "peer": crate::testing::peer("ci-box", status)}));
    let asked = |harness: &mut Harness| harness.requests().into_iter().filter(|(_, request)| request.name() == "ListTerminals").count();
    status(&mut harness, "online");
    assert_eq!(asked(&mut harness), 0, "nothing changed");
    status(&mut harness, "offline");
    assert_eq!(asked(&mut harness), 0);
    status(&mut harness, "online");
    harness.answer("ListTerminals", Err(Failure { message: "no".to_owned(), code: Some(1004), status: Some(403) }));
    assert_eq!(asked(&mut harness), 0, "once");
    // One that said why it tells nothing is asked again after a while.
    harness.later(20_000);
    status(&mut harness, "online");
    assert_eq!(asked(&mut harness), 1);
}

#[test]
fn a_program_that_wants_to_know_hears_whether_keys_go_to_it() {
    let mut harness = typical_tab();
    let bash = key(None, "aaaa0000");
    says(&mut harness, &bash, (80, 24), "\x1b[?1004h$ ");
    harness.keys("i x ctrl-]");
    assert_eq!(typed(&mut harness), "\u{1b}[Ix\u{1b}[O");
    prints(&mut harness, &bash, "\x1b[?1004l");
    harness.keys("i x ctrl-]");
    assert_eq!(typed(&mut harness), "x");
}

#[test]
fn trying_again_leaves_a_live_screen_alone() {
    let mut fleet = typical();
    fleet["tasks"][0]["terminalId"] = json!(key(None, "cccc0000").id);
    fleet["tasks"][0]["mode"] = json!("interactive");
    let mut harness = Harness::with(fleet);
    let claude = key(None, "cccc0000");
    let effects =
        harness.app.visited(crate::tabs::Visit::Task(crate::world::TaskKey { node: None, id: "7f3a0000-0000-4000-8000-000000000001".into() }), harness.now);
    harness.effects.extend(effects);
    assert_eq!(looks(&harness, &claude), (1, 0), "{:?}", harness.effects);
    says(&mut harness, &claude, (80, 24), "> ");
    harness.keys("r");
    assert_eq!(looks(&harness, &claude), (1, 0));
    assert!(harness.text(80, 24).contains("is live"), "{}", harness.text(80, 24));
    harness.event(Event::TerminalEnd(claude.clone(), Some("The daemon of this machine does not answer.".to_owned())));
    harness.keys("r");
    assert_eq!(looks(&harness, &claude), (2, 0));
}

type Make = fn(&str) -> Harness;

#[test]
fn pictures() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| {
        let hostile = "evil\u{1b}[31m\u{202e}name \u{26a0}\u{fe0f} 界界界 with very much text in it that is longer than any column";
        let cases: Vec<(&str, Make)> = vec![
            ("empty", |_| {
                let mut fleet = typical();
                fleet["peers"] = json!([]);
                let mut harness = Harness::with(fleet);
                harness.keys("6");
                harness
            }),
            ("typical", |_| {
                let mut harness = typical_tab();
                says(
                    &mut harness,
                    &key(None, "aaaa0000"),
                    (80, 24),
                    "leo@leo loopsy % cargo test -q\r\nrunning 212 tests\r\n\x1b[33mwarning\x1b[0m: unused import: `std::fmt`\r\n",
                );
                harness
            }),
            ("input", |_| {
                let mut harness = typical_tab();
                says(&mut harness, &key(None, "aaaa0000"), (80, 24), "leo@leo loopsy % ");
                harness.keys("i");
                harness
            }),
            ("overflow", |hostile| {
                let all: Vec<Value> = (0..300)
                    .map(|at| {
                        let mut one = terminal(&format!("aaaa{at:04}"), hostile);
                        one["createdAt"] = json!(NOON + at);
                        one
                    })
                    .collect();
                let mut harness = open(&all);
                let lines: String = (0..200).map(|at| format!("{at} {hostile}\r\n")).collect();
                says(&mut harness, &key(None, "aaaa0000"), (200, 60), &lines);
                harness.screen(80, 24);
                harness.keys("j tab k tab k");
                harness
            }),
            ("search", |_| {
                let mut harness = typical_tab();
                let lines: String =
                    (1..=80).map(|line| if line % 9 == 0 { format!("warning {line}: a warning\r\n") } else { format!("line {line}\r\n") }).collect();
                says(&mut harness, &key(None, "aaaa0000"), (78, 19), &lines);
                harness.screen(80, 24);
                harness.keys("tab k /");
                harness.types("warn");
                harness.keys("enter n n n n v l l v l l");
                prints(&mut harness, &key(None, "aaaa0000"), "more\r\n");
                harness
            }),
            ("error", |_| {
                let mut harness = typical_tab();
                says(&mut harness, &key(None, "aaaa0000"), (80, 24), "leo@leo loopsy % ");
                harness.event(Event::Terminal(key(None, "aaaa0000"), Attached::Lost("Connection reset by peer".to_owned())));
                harness.event(Event::Fleet(Box::new(loopsy_shared::client::Watched::Lost("connection refused".to_owned()))));
                harness
            }),
            ("refused", |_| {
                let mut harness = typical_tab();
                harness.keys("G k k k k");
                harness
            }),
        ];
        for (name, make) in cases {
            for (columns, rows) in [(80, 24), (120, 40), (40, 12)] {
                insta::assert_snapshot!(format!("terminal_{name}_{columns}x{rows}"), make(hostile).screen(columns, rows));
            }
        }
    });
}

//! Help shows the table, and does what a line says.

use super::*;
use crate::{
    effect::Effect,
    look::{Level, Look},
    tabs::TabId,
    testing::Harness,
};

const TASKS: [Scope; 2] = [Scope::Tab(TabId::Tasks), Scope::Everywhere];

fn tasks() -> Harness {
    let mut harness = Harness::typical();
    harness.keys("5 ?");
    harness
}

#[test]
fn it_shows_the_keys_of_the_place_then_those_of_everywhere() {
    let mut harness = tasks();
    insta::assert_snapshot!("help_80x24", harness.screen(80, 24));
    insta::assert_snapshot!("help_120x40", harness.screen(120, 40));
    insta::assert_snapshot!("help_40x12", harness.screen(40, 12));
    harness.types("quit");
    insta::assert_snapshot!("help_filtered", harness.screen(80, 24));
    harness.types("zzz");
    insta::assert_snapshot!("help_nothing", harness.screen(80, 24));
    harness.app.look = Look::test("dark", Level::None, true);
    harness.keys("backspace backspace backspace");
    insta::assert_snapshot!("help_ascii_no_color", harness.screen(80, 24));
}

#[test]
fn enter_does_what_the_line_says() {
    let mut harness = tasks();
    harness.types("Quit; tasks");
    harness.keys("enter");
    assert!(harness.effects.contains(&Effect::Quit));
    let mut harness = tasks();
    harness.types("approvals");
    assert!(!harness.effects.contains(&Effect::Quit));
    harness.keys("esc");
    assert!(harness.text(80, 24).contains(" NAV"), "{}", harness.text(80, 24));
}

#[test]
fn what_cannot_be_done_says_why_and_is_not_done() {
    let mut harness = Harness::typical();
    harness.app.put_over(Help::new(&Keymap::default(), &TASKS, vec![(Command::Stop, "no task is \u{1b}selected".to_owned())]));
    harness.types("stop the");
    insta::assert_snapshot!("help_disabled", harness.screen(80, 24));
    harness.keys("enter");
    let text = harness.text(80, 24);
    assert!(text.contains("HELP") && text.contains("-- no task is"), "{text}");
}

/// Neither in a review nor in a comparison may Enter decide.
#[test]
fn enter_never_decides() {
    for (scope, words) in [(Scope::Review, "Allow this once"), (Scope::Review, "Deny it"), (Scope::Compare, "Both screens show the same")] {
        let mut harness = Harness::typical();
        harness.app.put_over(Help::new(&Keymap::default(), &[scope, Scope::Everywhere], Vec::new()));
        harness.types(words);
        harness.keys("enter");
        assert!(harness.text(80, 24).contains("Enter never decides"), "{words}: {}", harness.text(80, 24));
    }
}

#[test]
fn a_box_has_help_of_its_own_which_only_explains() {
    let mut harness = Harness::typical();
    harness.keys("N ?");
    let text = harness.text(80, 24);
    assert!(text.contains("HELP") && text.contains("Copy") && !text.contains("Quit;"), "{text}");
    harness.types("copy");
    harness.keys("enter");
    assert!(harness.text(80, 24).contains("HISTORY"), "Enter only closed the help");
    assert!(harness.effects.is_empty(), "{:?}", harness.effects);
}

/// What another place takes away is not offered: `h` in the context tab is not `left`.
#[test]
fn a_key_is_shown_for_what_it_does_here() {
    let help = Help::new(&Keymap::default(), &[Scope::Search, Scope::Tab(TabId::Tasks), Scope::Everywhere], Vec::new());
    assert!(!help.entries.iter().any(|entry| entry.command == Command::History), "`N` is the hit before");
    assert!(!help.entries.iter().any(|entry| entry.command == Command::New), "`n` is the next hit");
}

//! The palette finds and does things.

use proptest::prelude::*;

use super::*;
use crate::{
    effect::Effect,
    look::{Level, Look},
    testing::{Harness, peer, task, typical},
};

fn open() -> Harness {
    let mut harness = Harness::typical();
    harness.keys("2 :");
    harness.effects.clear();
    harness
}

fn first(harness: &mut Harness) -> String {
    harness.text(80, 24).lines().find_map(|line| line.split_once("> ").map(|(_, text)| text.trim_end_matches(['│', '|', ' ']).to_owned())).unwrap_or_default()
}

#[test]
fn it_shows_commands_then_what_there_is() {
    let mut harness = open();
    insta::assert_snapshot!("palette_80x24", harness.screen(80, 24));
    harness.types("pee");
    insta::assert_snapshot!("palette_found_80x24", harness.screen(80, 24));
    insta::assert_snapshot!("palette_found_120x40", harness.screen(120, 40));
    insta::assert_snapshot!("palette_found_40x12", harness.screen(40, 12));
    harness.app.look = Look::test("harbour", Level::Indexed, false);
    insta::assert_snapshot!("palette_256_colours", harness.screen(80, 24));
    harness.app.look = Look::test("harbour", Level::None, true);
    insta::assert_snapshot!("palette_ascii_no_color", harness.screen(80, 24));
    harness.types("qqq");
    insta::assert_snapshot!("palette_nothing", harness.screen(80, 24));
}

#[test]
fn enter_does_it() {
    let mut harness = open();
    harness.types("quit");
    harness.keys("enter");
    assert!(harness.effects.contains(&Effect::Quit));

    let mut harness = open();
    harness.types("terminal on studio");
    harness.keys("enter");
    assert_eq!(harness.app.tab, TabId::Terminal);

    let mut harness = open();
    harness.types("task 7f3a");
    assert!(first(&mut harness).starts_with("open task 7f3a"), "{}", first(&mut harness));
    harness.keys("enter");
    assert_eq!(harness.app.tab, TabId::Tasks);

    let mut harness = open();
    harness.types("theme: linen");
    harness.keys("enter");
    assert_eq!(harness.app.look.theme, "linen");
    assert!(harness.effects.contains(&Effect::Theme("linen".to_owned())));
    assert_eq!(harness.app.state()["theme"], serde_json::json!({"name": "linen", "over": null}));
}

#[test]
fn tab_completes_and_esc_leaves() {
    let mut harness = open();
    harness.types("go to tab mess");
    harness.keys("tab");
    assert!(harness.text(80, 24).contains(": go to tab: Messages"), "{}", harness.text(80, 24));
    harness.keys("esc");
    assert!(harness.text(80, 24).contains(" NAV"));
    harness.keys(": down down up enter");
    assert!(!harness.text(80, 24).contains("PALETTE"));
}

#[test]
fn what_was_done_before_comes_first() {
    let mut harness = open();
    harness.types("message to ci");
    harness.keys("enter esc 2 :");
    assert!(first(&mut harness).starts_with("message to ci-box"), "{}", first(&mut harness));
    harness.types("context");
    harness.keys("enter :");
    assert!(!first(&mut harness).starts_with("message to ci-box"));
}

/// Decisions, and what only moves, have no line: Enter on a word must not approve.
#[test]
fn no_line_decides() {
    let harness = Harness::typical();
    let known = Known {
        keymap: &harness.app.keymap,
        world: &harness.app.world,
        look: &harness.app.look,
        tab: TabId::Peers,
        reasons: vec![(TabId::Peers, Command::Run, "it is offline".to_owned())],
        recent: &[],
    };
    let palette = Palette::new(&known);
    assert!(palette.entries.iter().all(|entry| !matches!(entry.what, What::Command(_, command) if command.decides() || command.moves())));
    // The command of this tab is the one that is refused, and it says why.
    let mut harness = Harness::typical();
    harness.app.put_over(palette);
    harness.types("peers: run a command");
    insta::assert_snapshot!("palette_disabled", harness.screen(80, 24));
    harness.keys("enter");
    assert!(harness.text(80, 24).contains("-- it is offline"));
    assert!(harness.text(80, 24).contains("PALETTE"));
}

fn crowd() -> Harness {
    let mut fleet = typical();
    let names = ["\u{202e}evil\u{1b}[2J", "日本語の名前のとても長いノード", "⚠️-box", "plain"];
    fleet["peers"] = (0..2500).map(|at| peer(&format!("{}-{at:04}", names[at % 4]), "online")).collect();
    let tasks: Vec<_> = (0..500).map(|at| task(&format!("{at:08x}-0000-4000-8000-000000000001"), &"very long prompt ".repeat(500), "running")).collect();
    fleet["tasks"] = tasks.into();
    fleet["fleet"] = serde_json::json!([]);
    Harness::with(fleet)
}

#[test]
fn ten_thousand_things_are_found_among() {
    let mut harness = crowd();
    harness.keys(":");
    assert!(harness.text(80, 24).contains("of 10"), "{}", harness.text(80, 24));
    harness.types("message to evil 2496");
    insta::assert_snapshot!("palette_hostile", harness.screen(80, 24));
    harness.keys("ctrl-u");
    harness.types("box 0002");
    harness.keys("end pagedown pagedown up");
    harness.screen(40, 12);
    harness.keys("enter");
    assert!(!harness.text(80, 24).contains("PALETTE"));
}

proptest! {
    /// Letter by letter, or all at once: the same is found.
    #[test]
    fn narrowing_loses_nothing(text in "[a-zA-Z :]{0,8}") {
        let mut typed = Harness::typical();
        typed.keys(":");
        typed.types(&text);
        let mut pasted = Harness::typical();
        pasted.keys(":");
        pasted.event(crate::event::Event::Input(Input::Paste(text)));
        prop_assert_eq!(typed.text(80, 24), pasted.text(80, 24));
    }
}

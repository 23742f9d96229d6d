//! What was said can be read again.

use crate::{
    effect::{Done, Effect},
    event::Event,
    look::{Level, Look},
    testing::Harness,
};

fn said(count: usize) -> Harness {
    let mut harness = Harness::typical();
    for at in 0..count {
        let done = match at % 3 {
            0 => Done::Wrote(format!("/home/leo/{at}.json"), Ok(1234)),
            1 => Done::Started(Err("exec on win-box\u{202e} failed: connect timed out (5 s) \u{1b}[2J 日本語. ".repeat(8).trim().to_owned())),
            _ => Done::Copied(Ok("copied 12 lines (OSC 52)".to_owned())),
        };
        harness.event(Event::Did(done));
        harness.later(61_000);
    }
    harness
}

#[test]
fn newest_first_with_the_whole_of_the_chosen_one() {
    let mut harness = Harness::typical();
    harness.keys("N");
    insta::assert_snapshot!("history_empty", harness.screen(80, 24));
    let mut harness = said(5);
    harness.keys("N");
    insta::assert_snapshot!("history_80x24", harness.screen(80, 24));
    harness.keys("G k");
    insta::assert_snapshot!("history_long", harness.screen(80, 24));
    let mut harness = said(250);
    harness.keys("N G pageup ctrl-u j");
    insta::assert_snapshot!("history_full_40x12", harness.screen(40, 12));
    insta::assert_snapshot!("history_full_120x40", harness.screen(120, 40));
    harness.app.look = Look::test("dark", Level::None, true);
    insta::assert_snapshot!("history_ascii_no_color", harness.screen(80, 24));
}

#[test]
fn the_chosen_one_is_copied() {
    let mut harness = said(4);
    harness.keys("N j y esc");
    assert_eq!(harness.effects.last(), Some(&Effect::Copy("copied 12 lines (OSC 52)".to_owned())));
}

//! Themes are seen before they are kept.

use super::*;
use crate::{
    effect::{Done, Effect},
    event::Event,
    testing::Harness,
};

fn open(theme: &str, level: Level, ascii: bool) -> Harness {
    let mut harness = Harness::typical();
    harness.app.look = Look::test(theme, level, ascii);
    harness.keys("T");
    harness
}

#[test]
fn it_shows_them_with_a_sample() {
    for (name, theme, level, ascii, size) in [
        ("themes_dark_16", "dark", Level::Sixteen, false, (80, 24)),
        ("themes_linen_true", "linen", Level::True, false, (120, 40)),
        ("themes_harbour_256", "harbour", Level::Indexed, false, (80, 24)),
        ("themes_high_contrast_16", "high-contrast", Level::Sixteen, false, (40, 12)),
        ("themes_no_color_ascii", "harbour", Level::None, true, (80, 24)),
    ] {
        insta::assert_snapshot!(name, open(theme, level, ascii).screen(size.0, size.1));
    }
}

#[test]
fn moving_shows_enter_keeps_esc_goes_back() {
    let mut harness = open("dark", Level::True, false);
    assert!(harness.effects.contains(&Effect::Looks), "what is on disk is read");
    harness.keys("j");
    assert_eq!(harness.app.look.theme, "light");
    harness.keys("G");
    assert_eq!(harness.app.look.theme, "linen");
    harness.keys("esc");
    assert_eq!(harness.app.look.theme, "dark");
    assert!(!harness.effects.iter().any(|effect| matches!(effect, Effect::Theme(_))));
    assert_eq!(harness.app.state()["theme"], serde_json::Value::Null);
    harness.keys("T j j j enter");
    assert_eq!(harness.app.look.theme, "harbour");
    assert!(harness.effects.contains(&Effect::Theme("harbour".to_owned())));
    let state = harness.app.state();
    assert_eq!(state["theme"]["name"], "harbour");
    // The next start takes it up, and remembers it further.
    let mut again = Harness::new();
    again.app.restore(&state);
    assert_eq!(again.app.state()["theme"]["name"], "harbour");
    assert_eq!(crate::look::chosen(&state, None).as_deref(), Some("harbour"));
}

/// What is read from the disk while somebody looks around does not take the preview away; later it counts.
#[test]
fn a_file_that_changes_is_seen() {
    let mut harness = open("dark", Level::True, false);
    harness.keys("j");
    harness.event(Event::Did(Done::Looks(Box::new(Ok(Look::test("dark", Level::True, false))))));
    assert_eq!(harness.app.look.theme, "light");
    harness.keys("esc");
    harness.event(Event::Did(Done::Looks(Box::new(Ok(Look::test("linen", Level::True, false))))));
    assert_eq!(harness.app.look.theme, "linen");
    harness.event(Event::Did(Done::Looks(Box::new(Err("The theme `x` cannot be used: no".to_owned())))));
    assert_eq!(harness.app.look.theme, "linen");
    assert!(harness.text(80, 24).contains("!! The theme `x` cannot be used"));
}

#[test]
fn a_broken_one_says_what_is_wrong_and_cannot_be_kept() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("themes")).unwrap();
    std::fs::write(dir.path().join("themes/mine.yaml"), "background: dark\nscreen: {fg: rad}\n").unwrap();
    let look = crate::look::load(dir.path(), &crate::look::Wishes { color: Some("16".to_owned()), ..Default::default() }, &|_| None).unwrap();
    let mut harness = Harness::typical();
    harness.app.look = look;
    harness.keys("T G");
    insta::assert_snapshot!("themes_broken", harness.screen(80, 24));
    harness.keys("enter");
    assert!(harness.text(80, 24).contains("THEME"));
    assert_eq!(harness.app.look.theme, "dark");
    harness.keys("esc");
    assert!(!harness.effects.iter().any(|effect| matches!(effect, Effect::Theme(_))));
}

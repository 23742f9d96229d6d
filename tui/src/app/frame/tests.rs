//! What is around everything says what is so.

use loopsy_shared::client::Watched;

use crate::{
    effect::{Done, Effect},
    event::{Event, NoDaemon},
    keymap::Keymap,
    look::{Level, Look},
    testing::{Harness, peer, typical},
};

fn row(harness: &mut Harness, size: (u16, u16), row: usize) -> String {
    harness.text(size.0, size.1).lines().nth(row).unwrap_or_default().to_owned()
}

#[test]
fn the_first_row_is_as_drawn() {
    let mut harness = Harness::typical();
    for (key, line) in [
        ("1", "[1 Overview] 2 Peers  3 Context  4 Msgs  5 Tasks  6 Term  7 Pair     [!2] leo ok"),
        ("2", " 1 Overview [2 Peers] 3 Context  4 Msgs  5 Tasks  6 Term  7 Pair     [!2] leo ok"),
        ("6", " 1 Overview  2 Peers  3 Context  4 Msgs  5 Tasks [6 Term] 7 Pair     [!2] leo ok"),
    ] {
        harness.keys(key);
        assert_eq!(row(&mut harness, (80, 24), 0), line);
    }
    for (key, line) in [
        ("1", "[1 Overview] 2 Peers  3 Context  4 Messages  5 AI Tasks  6 Terminal  7 Pairing                               [!2] leo ok"),
        ("5", " 1 Overview  2 Peers  3 Context  4 Messages [5 AI Tasks] 6 Terminal  7 Pairing                               [!2] leo ok"),
    ] {
        harness.keys(key);
        assert_eq!(row(&mut harness, (120, 40), 0), line);
    }
    for (columns, line) in [
        (40, " 1  2  3  4 [5 Tasks] 6  7   [!2] leo ok"),
        (60, " 1  2  3  4 [5 Tasks] 6  7                       [!2] leo ok"),
        (76, " 1 Overview  2 Peers  3 Context  4 Msgs [5 Tasks] 6 Term  7 Pair [!2] leo ok"),
    ] {
        assert_eq!(row(&mut harness, (columns, 12), 0), line);
    }
}

/// Whatever a machine is called, the badge and the daemon's state are where they are looked for.
#[test]
fn names_give_way() {
    for name in ["a".repeat(63), "\u{202e}\u{1b}]0;x\u{7}".repeat(9), "日本語の名前のとても長いノード".to_owned(), "⚠️👩‍👩‍👧".repeat(9)]
    {
        let mut harness = Harness::typical();
        if let Some(status) = &mut harness.app.world.status {
            status.hostname = name;
        }
        for columns in [40, 41, 59, 75, 76, 77, 99, 100, 120, 200] {
            for tab in ["1", "4", "7"] {
                harness.keys(tab);
                let line = row(&mut harness, (columns, 20), 0);
                assert!(line.ends_with(" ok") && line.contains(" [!2] "), "{columns}: {line}");
                assert!(!line.contains(['\u{1b}', '\u{202e}']));
                assert!(crate::widgets::text::width(&line) <= usize::from(columns), "{columns}: {line}");
            }
        }
    }
}

#[test]
fn a_click_opens_the_tab_that_is_seen_there() {
    use crate::input::{Input, Mouse, MouseKind};
    for columns in [40, 80, 120] {
        let mut harness = Harness::typical();
        harness.keys("3");
        let line = row(&mut harness, (columns, 20), 0);
        for (number, tab) in crate::tabs::TabId::ALL.iter().enumerate() {
            let column = line.find(&format!(" {} ", number + 1)).or_else(|| line.find(&format!("[{} ", number + 1))).unwrap() as u16 + 1;
            let mut clicked = Harness::typical();
            clicked.keys("3");
            clicked.screen(columns, 20);
            clicked.event(Event::Input(Input::Mouse(Mouse { kind: MouseKind::Down(0), column, row: 0, held: 0 })));
            assert_eq!(clicked.app.tab, *tab, "{columns}: {line}");
        }
    }
}

#[test]
fn the_daemon_that_is_gone_is_told_with_what_to_do() {
    let mut harness = Harness::typical();
    harness.event(Event::Fleet(Box::new(Watched::Lost("connection refused (os error 111), and a very long reason behind it".to_owned()))));
    for (name, size) in [("frame_lost_80x24", (80, 24)), ("frame_lost_120x40", (120, 40)), ("frame_lost_40x12", (40, 12))] {
        insta::assert_snapshot!(name, harness.screen(size.0, size.1));
    }
    for (why, words) in [
        (NoDaemon::NotInitialised, "S sets it up"),
        (NoDaemon::NotRunning("refused".to_owned()), "S starts it  r tries now"),
        (NoDaemon::Unusable("`/home/leo/.loopsy` belongs to somebody else.\u{1b}[2J".to_owned()), "belongs to somebody else"),
    ] {
        let mut harness = Harness::new();
        harness.event(Event::NoDaemon(why));
        for columns in [60, 80, 120] {
            let line = row(&mut harness, (columns, 24), 1);
            assert!(line.contains(words) && !line.contains('\u{1b}'), "{line}");
            assert!(row(&mut harness, (columns, 24), 0).ends_with(" --"));
        }
    }
    // The keys that it names are those that hold.
    let mut harness = Harness::new();
    harness.app.keymap = Keymap::with_config("tui: {keys: {everywhere: {start-daemon: f5}}}").unwrap();
    harness.event(Event::NoDaemon(NoDaemon::NotRunning(String::new())));
    assert!(row(&mut harness, (80, 24), 1).contains("F5 starts it"));
    harness.keys("f5");
    assert!(harness.effects.contains(&Effect::StartDaemon));
}

fn toasts() -> Harness {
    let mut harness = Harness::typical();
    harness.event(Event::Did(Done::Started(Err("exec on win-box failed: connect timed out (5 s). r retry  l log".to_owned()))));
    harness.event(Event::Did(Done::Copied(Ok("copied 12 lines (OSC 52; if nothing arrives: M and select by mouse)".to_owned()))));
    harness.event(Event::Did(Done::Wrote("/tmp/\u{202e}日本語.json".to_owned(), Err("no space left on device; ".repeat(20)))));
    harness
}

#[test]
fn messages_are_at_the_bottom_right() {
    let mut harness = toasts();
    insta::assert_snapshot!("frame_toasts_80x24", harness.screen(80, 24));
    insta::assert_snapshot!("frame_toasts_120x40", harness.screen(120, 40));
    insta::assert_snapshot!("frame_toasts_40x12", harness.screen(40, 12));
    harness.app.look = Look::test("dark", Level::None, true);
    insta::assert_snapshot!("frame_toasts_ascii_no_color", harness.screen(80, 24));
    harness.app.look = Look::test("linen", Level::Indexed, false);
    insta::assert_snapshot!("frame_toasts_256", harness.screen(80, 24));
}

/// What somebody decides about is not hidden by what a peer can make Loopsy say.
#[test]
fn over_a_box_messages_have_one_line() {
    let mut harness = toasts();
    harness.keys("?");
    insta::assert_snapshot!("frame_toasts_over_a_box", harness.screen(80, 24));
    harness.keys("esc N");
    assert!(!harness.text(80, 24).contains('▌'));
}

#[test]
fn what_failed_stays_until_esc_and_what_went_well_goes() {
    let mut harness = toasts();
    harness.later(7000);
    harness.event(Event::Woke(crate::effect::Timer::Toast));
    let text = harness.text(80, 24);
    assert!(text.contains("!! exec on win-box failed") && !text.contains("copied 12 lines"), "{text}");
    assert!(text.lines().last().unwrap().starts_with(" Esc dismiss"), "{text}");
    harness.keys("esc");
    let text = harness.text(80, 24);
    assert!(!text.contains("win-box failed") && !text.contains("dismiss"), "{text}");
    harness.keys("N");
    assert!(harness.text(80, 24).contains("exec on win-box failed"));
}

#[test]
fn messages_stay_as_long_as_the_config_says() {
    use crate::app::{App, Settings};
    let settings = Settings { size: (80, 24), stays: Some(1000), ..Settings::default() };
    let mut app = App::new(crate::world::World::new(String::new()), Look::default(), Keymap::default(), settings);
    let effects = app.update(Event::Did(Done::Copied(Ok("copied".to_owned()))), crate::event::Now::default());
    assert_eq!(effects, [Effect::Wake(1000, crate::effect::Timer::Toast)]);
}

/// Every key in the last row does something here.
#[test]
fn the_last_row_has_keys_that_hold() {
    let mut harness = Harness::typical();
    harness.keys("2");
    let line = row(&mut harness, (120, 24), 23);
    assert!(line.starts_with(" Enter details  r retry  n add  P pair"), "{line}");
    assert!(line.ends_with("? help") || line.ends_with("Q quit"), "{line}");
    for columns in 40..140 {
        let line = row(&mut harness, (columns, 24), 23);
        assert!(line.contains("? help") && line.len() <= usize::from(columns), "{line}");
    }
    harness.keys("N");
    let line = row(&mut harness, (80, 24), 23);
    assert_eq!(line, " j/k move  y copy  Esc close  ? help");
    harness.keys("esc :");
    assert_eq!(row(&mut harness, (80, 24), 23), " Enter do it  Tab complete  Esc close");
    harness.keys("esc");
    harness.app.keymap = Keymap::with_config("tui: {keys: {peers: {open: [], pair: ctrl-p}}}").unwrap();
    let line = row(&mut harness, (120, 24), 23);
    assert!(line.starts_with(" r retry  n add  Ctrl-p pair"), "{line}");
}

#[test]
fn a_window_that_is_too_small_says_what_waits() {
    let mut harness = Harness::typical();
    assert_eq!(harness.text(38, 9).lines().take(2).collect::<Vec<_>>(), ["38x9 too small, need 40x10", "2 approvals wait, Q quits"]);
    harness.keys("N");
    assert!(!harness.text(38, 9).contains("Q quits"), "Q would not");
    let mut harness = Harness::with({
        let mut quiet = typical();
        quiet["approvals"] = serde_json::json!([]);
        quiet["fleet"] = serde_json::json!([]);
        quiet["peers"] = serde_json::json!([peer("a", "online")]);
        quiet
    });
    assert_eq!(harness.text(39, 40).lines().nth(1), Some("Q quits"));
    for size in [(0, 0), (1, 1), (39, 9), (5, 1)] {
        harness.screen(size.0, size.1);
    }
}

/// A theme with a ground of its own covers every cell; without colours no cell has any; ASCII is ASCII.
#[test]
fn every_cell_has_the_ground() {
    use ratatui::{buffer::Buffer, layout::Rect, style::Color};
    for keys in ["1", "?", ":", "N", "T", "N ?"] {
        for (theme, level, ascii) in [("harbour", Level::True, false), ("linen", Level::Indexed, true), ("high-contrast", Level::None, true)] {
            let mut harness = toasts();
            harness.app.look = Look::test(theme, level, ascii);
            if let Some(status) = &mut harness.app.world.status {
                status.hostname = "leo".to_owned();
            }
            harness.keys(keys);
            harness.event(Event::Resize(80, 24));
            let mut buf = Buffer::empty(Rect::new(0, 0, 80, 24));
            harness.app.view(&mut buf, harness.now);
            for (at, cell) in buf.content.iter().enumerate() {
                // The second half of a wide character is never told to the terminal.
                if at > 0 && crate::widgets::text::width(buf.content[at - 1].symbol()) == 2 {
                    continue;
                }
                assert_eq!(cell.bg == Color::Reset, level == Level::None, "{keys} {theme}: {cell:?}");
                assert!(!ascii || cell.symbol().is_ascii() || "日本語".contains(cell.symbol()), "{keys}: {cell:?}");
            }
        }
    }
}

#[test]
fn broken_keys_are_told_and_the_old_ones_hold() {
    let mut harness = Harness::typical();
    harness.event(Event::Did(Done::Keys(Box::new(Keymap::with_config("tui: {keys: {everywhere: {quit: []}}}")))));
    assert!(harness.text(80, 24).contains("!! `tui.keys.everywhere.quit`"), "{}", harness.text(80, 24));
    harness.keys("esc Q");
    assert!(harness.effects.contains(&Effect::Quit));
    let mut harness = Harness::typical();
    harness.event(Event::Did(Done::Keys(Box::new(Keymap::with_config("tui: {keys: {everywhere: {quit: ctrl-q}}}")))));
    harness.keys("Q");
    assert!(!harness.effects.contains(&Effect::Quit));
    harness.keys("ctrl-q");
    assert!(harness.effects.contains(&Effect::Quit));
}

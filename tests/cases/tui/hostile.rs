//! Texts from elsewhere are shown, and do nothing.

use serde_json::json;

use super::{Stage, review};
use crate::support::{demo, screen::Screen};

/// Whatever a name can hold: colours, the clipboard, a title, an unfinished OSC, a device string, bells, directions, things without width, wide and doubled ones.
const NAME: &str = "n\u{1b}[31mPWN\u{1b}]52;c;UFdO\u{7}\u{1b}]0;PWN\u{7}\u{1b}]11;\u{1b}P$qm\u{9b}5n\u{7}\u{202e}kniL\u{2066}\u{200b}\u{feff}⚠\u{fe0f}漢字👩\u{200d}👩\u{200d}👧e\u{301}\r\n\t\u{8}";

/// Nothing of it reaches the terminal.
#[track_caller]
fn is_inert(screen: &Screen) {
    let bytes = screen.bytes();
    let text = String::from_utf8_lossy(&bytes);
    for bad in [
        "\u{1b}[31mPWN",
        "\u{1b}]52",
        "\u{1b}]11",
        "\u{1b}]0;PWN",
        "\u{1b}]2;PWN",
        "\u{1b}P",
        "\u{9b}",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{feff}",
        "\u{7}\u{7}",
    ] {
        assert!(!text.contains(bad), "{bad:?} reached the terminal");
    }
}

/// Drawn anew, the screen is what it was: no character was wider or narrower than was thought.
#[track_caller]
fn is_whole(screen: &mut Screen) {
    // Blanks at the end of a row were drawn, or never were: nobody sees the difference.
    let rows = |screen: &Screen| screen.shows().lines().map(|row| row.trim_end().to_owned()).collect::<Vec<_>>();
    screen.settled(std::time::Duration::from_millis(150));
    let (before, frames) = (rows(screen), screen.frames());
    screen.keys("\u{c}");
    screen.frame_after(frames).expect("a frame");
    screen.settled(std::time::Duration::from_millis(150));
    let after = rows(screen);
    // Of a pairing the seconds are shown, and they go on.
    let counts = |row: &String| row.contains(" left)");
    for (row, (before, after)) in before.iter().zip(&after).enumerate().filter(|(_, (before, _))| !counts(before)) {
        assert_eq!(before, after, "row {row} is another one when it is drawn anew");
    }
    assert_eq!(before.len(), after.len());
}

fn hostile() -> Stage {
    Stage::with(|world| {
        for peer in &mut world.peers {
            peer["hostname"] = json!(NAME);
            peer["lastError"] = json!(NAME);
        }
        world.context.iter_mut().for_each(|entry| entry["value"] = json!(NAME.repeat(20)));
        world.context[0]["key"] = json!(NAME);
        world.tasks.iter_mut().for_each(|task| task["prompt"] = json!(NAME));
        for picture in &mut world.fleet {
            picture["node"] = json!(NAME);
            picture["tasks"].as_array_mut().unwrap().iter_mut().for_each(|task| task["prompt"] = json!(NAME));
        }
        world.events.get_mut(demo::TASK).unwrap()[1]["data"] = json!(NAME.repeat(10));
        world.terminals[0]["name"] = json!(NAME);
        world.terminals[0]["title"] = json!(NAME);
        let asked = &mut world.approvals[0];
        asked["input"] = json!({ "command": NAME.repeat(5) });
        asked["cwd"] = json!(NAME);
        asked["flags"] = json!([NAME]);
        asked["description"] = json!(NAME);
        world.pairing["peer"]["hostname"] = json!(NAME);
        world.status["hostname"] = json!("leo");
    })
}

#[test]
fn hostile_names_values_and_questions_do_nothing_on_any_tab() {
    let stage = hostile();
    for size in [(80, 24), (120, 40), (47, 12)] {
        let mut screen = stage.start(&[]).size(size.0, size.1).open();
        screen.sees("PWN");
        for key in ["1", "2", "3", "4", "5", "6", "7"] {
            screen.keys(key);
            screen.sees(&format!("[{key} "));
            is_whole(&mut screen);
        }
        review(&mut screen, "PWN");
        is_whole(&mut screen);
        is_inert(&screen);
        screen.signal(rustix::process::Signal::TERM);
        screen.gives_back();
    }
    assert_eq!(stage.fleet.decisions().len(), 0);
}

#[test]
fn an_unfinished_string_in_a_terminals_output_takes_nothing_with_it() {
    let stage = Stage::typical();
    stage.fleet.change(|world| {
        let id = world.terminals[0]["id"].as_str().unwrap().to_owned();
        let mut printed = b"before\r\n\x1b]52;c;".to_vec();
        printed.extend(std::iter::repeat_n(b'A', 3 << 20));
        world.printed.insert(id, printed);
    });
    let mut screen = stage.open();
    screen.keys("6");
    screen.sees("[6 Term]");
    screen.sees("before");
    screen.keys("2");
    screen.sees("studio-mac");
    is_inert(&screen);
}

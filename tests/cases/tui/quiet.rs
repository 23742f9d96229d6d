//! Nothing is written when there is nothing new to see.

use std::time::Duration;

use serde_json::json;

use super::Stage;
use crate::support::demo;

#[test]
fn heartbeats_and_changes_that_cannot_be_seen_write_nothing_on_any_tab() {
    let stage = Stage::calm();
    // What is compared counts down.
    stage.fleet.change(|world| world.pairing = json!({ "active": false, "change": 1, "wrongCodes": 0 }));
    let mut screen = stage.start(&[]).size(120, 40).open();
    screen.sees("studio-mac");
    for (number, key) in ["1", "2", "3", "4", "5", "6", "7"].into_iter().enumerate() {
        screen.keys(key);
        screen.sees(&format!("[{key} "));
        screen.settled(Duration::from_millis(700));
        let (bytes, frames) = (screen.count(), screen.frames());
        for round in 0..30 {
            stage.fleet.heartbeat();
            // Seen again, a little later: nothing that anybody would notice.
            let mut peer = stage.fleet.look(|world| world.peers[1].clone());
            peer["lastSeen"] = json!(stage.moment.at(14, 0, 55) + round);
            stage.fleet.tell(&json!({ "type": "peer-changed", "peer": peer }));
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(screen.count(), bytes, "on tab {key}: {:?}", String::from_utf8_lossy(&screen.bytes()[usize::try_from(bytes).unwrap()..]));
        // Something that can be seen comes after all of them, and in one frame.
        let mut question = stage.question(demo::BASH, "true", 52);
        question["id"] = json!(format!("{number}1112222-3333-4444-8555-666677778888"));
        stage.fleet.ask(&question);
        screen.sees(&format!("[!{}]", number + 1));
        screen.settled(Duration::from_millis(200));
        assert_eq!(screen.frames(), frames + 1, "on tab {key}");
    }
}

#[test]
fn no_color_means_no_colour_at_all_and_the_selection_can_be_seen_anyway() {
    let stage = Stage::typical();
    let mut screen = stage.start(&[]).set("NO_COLOR", "1").size(120, 40).open();
    screen.sees("studio-mac");
    for key in ["1", "2", "3", "4", "5", "6", "7", "!"] {
        screen.keys(key);
        screen.settled(Duration::from_millis(200));
    }
    let bytes = screen.bytes();
    let text = String::from_utf8_lossy(&bytes);
    for sequence in text.split("\u{1b}[").skip(1) {
        let Some(end) = sequence.find(|c: char| c.is_ascii_alphabetic()) else { continue };
        if sequence.as_bytes()[end] != b'm' {
            continue;
        }
        for number in sequence[..end].split([';', ':']) {
            let number: u32 = number.parse().unwrap_or(0);
            assert!(!matches!(number, 30..=38 | 40..=48 | 58 | 90..=107), "a colour: {:?}", &sequence[..=end]);
        }
    }
    let mut screen = stage.start(&[]).set("NO_COLOR", "1").open();
    screen.keys("2");
    screen.sees("worker-1");
    let marked = |screen: &vt100::Screen| (0..24).filter(|row| (0..80).any(|column| screen.cell(*row, column).is_some_and(vt100::Cell::inverse))).count();
    screen.until("a bar or a mark", |screen| marked(screen) > 0 || screen.contents().contains('>'));
}

#[test]
fn ascii_alone_is_drawn_when_that_is_asked_for() {
    let stage = Stage::typical();
    let mut screen = stage.start(&["--ascii"]).size(120, 40).open();
    screen.sees("studio-mac");
    for key in ["1", "2", "3", "4", "5", "6", "7", "!"] {
        screen.keys(key);
        screen.settled(Duration::from_millis(200));
    }
    let bytes = screen.bytes();
    let other: String = String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_ascii()).collect();
    assert_eq!(other, "");
}

#[test]
fn a_frame_is_one_piece_and_begins_and_ends_as_one() {
    let stage = Stage::typical();
    let mut screen = stage.open();
    for key in ["2", "j", "k", "3", "5", "1"] {
        let frames = screen.frames();
        screen.keys(key);
        screen.frame_after(frames).expect("a frame");
    }
    screen.settled(Duration::from_millis(200));
    let bytes = screen.bytes();
    let count = |needle: &[u8]| bytes.windows(needle.len()).filter(|window| *window == needle).count();
    assert_eq!(count(b"\x1b[?2026h"), count(b"\x1b[?2026l"));
    // What is written outside of frames: modes at the beginning, and the window's title.
    let text = String::from_utf8_lossy(&bytes);
    for outside in text.split("\u{1b}[?2026l").skip(1) {
        let outside = outside.split("\u{1b}[?2026h").next().unwrap();
        assert!(outside.is_empty() || outside.starts_with("\u{1b}]"), "{outside:?}");
    }
}

//! Every size of the window.

use super::Stage;

const SIZES: &[(u16, u16)] = &[
    (1, 1),
    (2, 1),
    (1, 2),
    (1, 200),
    (500, 1),
    (3, 3),
    (10, 5),
    (39, 9),
    (39, 40),
    (40, 9),
    (40, 10),
    (41, 11),
    (59, 14),
    (60, 15),
    (79, 23),
    (80, 24),
    (81, 25),
    (99, 30),
    (100, 30),
    (119, 39),
    (120, 40),
    (200, 60),
    (500, 200),
    (500, 10),
    (40, 200),
];

#[test]
fn it_lives_in_every_size_on_every_tab_and_in_the_review() {
    let stage = Stage::typical();
    let mut screen = stage.open();
    for key in ["1", "2", "3", "4", "5", "6", "7", "!", "?"] {
        screen.keys(key);
        for &(columns, rows) in SIZES {
            let frames = screen.frames();
            screen.resize(columns, rows);
            assert!(screen.frame_after(frames).is_some(), "no frame at {columns}x{rows} after `{key}`: {screen:?}");
        }
        screen.resize(80, 24);
        screen.until("the whole frame again", |screen| {
            screen.contents().contains("Overview") || screen.contents().contains("Help") || screen.contents().contains("Keys")
        });
    }
    assert!(screen.runs());
    screen.signal(rustix::process::Signal::TERM);
    screen.gives_back();
    assert_eq!(stage.fleet.decisions().len(), 0);
}

#[test]
fn it_starts_in_every_size() {
    let stage = Stage::typical();
    for (columns, rows) in [(1, 1), (20, 3), (40, 10), (500, 200)] {
        let mut screen = stage.start(&[]).size(columns, rows).open();
        assert!(screen.frame_after(0).is_some(), "no frame at {columns}x{rows}");
        screen.resize(80, 24);
        screen.sees("studio-mac");
        screen.keys("Q");
        assert_eq!(screen.gives_back(), 0);
    }
}

#[test]
fn what_is_too_small_says_so_and_how_to_leave() {
    let stage = Stage::typical();
    let mut screen = stage.start(&[]).size(38, 9).open();
    screen.sees("too small");
    screen.sees("Q");
    screen.keys("Q");
    assert_eq!(screen.gives_back(), 0);
}

#[test]
fn a_hundred_sizes_in_two_seconds_end_in_the_last_one() {
    let stage = Stage::typical();
    let mut screen = stage.open();
    for number in 0..100_u16 {
        screen.resize(30 + number * 7 % 150, 5 + number * 11 % 50);
        // Not to wait for anything: a window that is dragged is just as quick.
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    screen.resize(120, 40);
    screen.until("the last size", |screen| {
        let text = screen.contents();
        text.contains("7 Pairing") && text.contains("studio-mac") && text.lines().count() == 40
    });
    screen.settled(std::time::Duration::from_millis(200));
    let (before, frames) = (screen.shows(), screen.frames());
    screen.keys("\u{c}");
    screen.frame_after(frames).expect("a frame");
    screen.settled(std::time::Duration::from_millis(200));
    assert_eq!(before, screen.shows());
    screen.keys("Q");
    assert_eq!(screen.gives_back(), 0);
}

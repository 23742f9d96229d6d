//! A snapshot is the screen; whatever is printed, nothing panics and nothing grows.

use std::num::NonZeroU16;

use proptest::prelude::*;

use super::*;
use crate::terminals::filter::{Filter, Filtered};

fn size(cols: u16, rows: u16) -> TerminalSize {
    TerminalSize { cols, rows }
}

/// A screen behind its filter, as a terminal has it.
struct Terminal {
    filter: Filter,
    screen: Emulator,
    answers: Vec<u8>,
}

impl Terminal {
    fn new(cols: u16, rows: u16) -> Self {
        Self { filter: Filter::new(), screen: Emulator::new(size(cols, rows), 100), answers: Vec::new() }
    }

    fn print(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let mut out = Filtered::default();
        self.filter.feed(bytes.as_ref(), &mut out);
        let mut done = 0;
        for (at, asked) in &out.asked {
            self.answers.extend(self.screen.feed(&out.bytes[done..*at]));
            self.answers.extend(self.screen.feed(asked));
            done = *at;
        }
        self.answers.extend(self.screen.feed(&out.bytes[done..]));
        self
    }
}

fn print(bytes: impl AsRef<[u8]>) -> Terminal {
    let mut terminal = Terminal::new(20, 6);
    terminal.print(bytes);
    terminal
}

/// Everything that can be seen, and what is printed next.
fn seen(screen: &mut Emulator) -> (Vec<String>, usize, TerminalCursor, bool, Option<String>, String) {
    let (lines, above) = screen.text(1000);
    let whole = String::from_utf8(screen.snapshot(1000)).expect("text");
    (lines, above, screen.cursor(), screen.alternate(), screen.title(), whole)
}

#[track_caller]
fn survives_a_snapshot(screen: &mut Emulator) {
    let mut fresh = shows_the_same_after_a_snapshot(screen);
    assert_eq!(seen(&mut fresh), seen(screen));
}

#[track_caller]
fn shows_the_same_after_a_snapshot(screen: &mut Emulator) -> Emulator {
    let snapshot = screen.snapshot(1000);
    let mut fresh = Emulator::new(screen.size(), 100);
    assert!(fresh.feed(&snapshot).is_empty(), "a snapshot asks something");
    assert_eq!((fresh.text(1000), fresh.cursor(), fresh.alternate(), fresh.title()), (screen.text(1000), screen.cursor(), screen.alternate(), screen.title()));
    // What a viewer gets passes what a program's output passes, and comes out the same.
    let (mut filter, mut out) = (Filter::new(), Filtered::default());
    filter.feed(&snapshot, &mut out);
    assert_eq!(String::from_utf8_lossy(&out.bytes), String::from_utf8_lossy(&snapshot));
    fresh
}

#[test]
fn a_snapshot_draws_the_same_screen() {
    for printed in [
        "",
        "one\r\ntwo\r\n\r\nfour",
        "12345678901234567890",
        "12345678901234567890X and on over the edge, wrapped and wrapped again",
        "1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n7\r\n8\r\n9",
        "\x1b[1;31;44mred\x1b[0m \x1b[4:3;58:2::1:2:3mcurl\x1b[m \x1b[38;5;200;48;2;1;2;3mx",
        "\x1b[44m\x1b[2J\x1b[3;3Hblue\r\n\r\n\r\n\r\n\r\n\r\nscrolled",
        "機械機械機械機械機械機械 wide at the edge",
        "1234567890123456789機",
        "\x1b[2;5r\x1b[?6h\x1b[2;3Hinside",
        "\x1b[4h\x1b[20h\x1b[?7l\x1b[?25l\x1b[?1h\x1b=\x1b[?1002h\x1b[?1006h\x1b[?2004h\x1b[?1004h",
        "main\x1b[?1049h\x1b[Halternate \x1b[31mred\x1b[4;1H\x1b7\x1b[2;2H",
        "1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n7\r\nmain\x1b[5;5H\x1b[?1049hx",
        "\x1b(0lqqk\x1b(B plain \x1b)0\x0etu",
        "\x1b[3;3H\x1b[33m\x1b7\x1b[m\x1b[H*",
        "\x1b]2;a title\x07\x1b[4 q",
        "e\u{301}x\u{200d} ❤\u{fe0f} y",
        "tab\there\tand\tthere\x1b[1;5H",
        "\x1b]4;1;rgb:11/22/33\x07\x1b]11;#445566\x07",
        "\x1b#8\x1b[3;4H\x1b[K",
    ] {
        survives_a_snapshot(&mut print(printed).screen);
    }
}

#[test]
fn after_a_snapshot_the_same_bytes_do_the_same() {
    for (before, after) in [
        ("12345678901234567890", "X"),
        ("\x1b[2;4r\x1b[4;1H", "\n\nnew\x1b[H\x1bM"),
        ("main\x1b[?1049halt", "\x1b[?1049l on"),
        ("\x1b[2;2H\x1b[31m\x1b7\x1b[m\x1b[H", "\x1b8saved"),
        ("\x1b[1;32mgreen", " still green\r\n\x1b[J"),
        ("\x1b(0", "lqk"),
    ] {
        let mut whole = print(before);
        let mut fresh = Emulator::new(size(20, 6), 100);
        fresh.feed(&whole.screen.snapshot(100));
        whole.print(after);
        fresh.feed(after.as_bytes());
        assert_eq!(seen(&mut fresh), seen(&mut whole.screen), "{before:?} then {after:?}");
    }
}

/// What stands in every cell, and how it looks.
fn cells(screen: &vt100::Screen) -> Vec<(String, vt100::Color, vt100::Color, [bool; 4])> {
    let (rows, columns) = screen.size();
    let places = (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |column| (row, column)));
    let cell = |(row, column)| screen.cell(row, column).expect("a cell");
    let looks = places.map(cell).map(|cell| {
        // Whether nothing or a space was written is not seen.
        let text = cell.contents().trim_end().to_owned();
        (text, cell.fgcolor(), cell.bgcolor(), [cell.bold(), cell.italic(), cell.underline(), cell.inverse()])
    });
    looks.collect()
}

/// Another emulator, by other people, sees in a snapshot what it sees in the bytes themselves.
#[test]
fn an_independent_emulator_agrees() {
    let one = |n| NonZeroU16::new(n).expect("not zero");
    for printed in [
        "one\r\ntwo",
        "12345678901234567890X wrapped",
        "1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n7\r\n8\r\n9",
        "\x1b[2;3Hthere\x1b[1;1H\x1b[?25l",
        "main\x1b[?1049h\x1b[Halternate",
        "\x1b[31mred\x1b[42m on green\x1b[m",
        "機械機械機械",
    ] {
        let (mut direct, mut drawn) = (vt100::Parser::new(one(6), one(20), 0), vt100::Parser::new(one(6), one(20), 0));
        direct.process(printed.as_bytes());
        let mut terminal = print(printed);
        drawn.process(&terminal.screen.snapshot(100));
        assert_eq!(cells(drawn.screen()), cells(direct.screen()), "{printed:?}");
        assert_eq!((drawn.screen().cursor_position(), drawn.screen().hide_cursor()), (direct.screen().cursor_position(), direct.screen().hide_cursor()));
        let (lines, _) = terminal.screen.text(0);
        assert_eq!(lines, direct.screen().rows(0, 20).map(|row| row.trim_end().to_owned()).collect::<Vec<_>>(), "{printed:?}");
    }
}

#[test]
fn questions_are_answered_here() {
    for (question, answer) in [
        ("\x1b[c", "\x1b[?6c"),
        ("ab\r\nc\x1b[6n", "\x1b[2;2R"),
        ("\x1b[5n", "\x1b[0n"),
        ("\x1b[?2026$p", "\x1b[?2026;2$y"),
        ("\x1b[?25l\x1b[?25$p", "\x1b[?25;2$y"),
        ("\x1b[18t", "\x1b[8;6;20t"),
        ("\x1b]11;?\x07", "\x1b]11;rgb:0000/0000/0000\x07"),
        ("\x1b]10;?\x1b\\", "\x1b]10;rgb:e5e5/e5e5/e5e5\x07"),
        ("\x1b]11;rgb:12/34/56\x07\x1b]11;?\x07", "\x1b]11;rgb:1212/3434/5656\x07"),
        ("\x1b]52;c;?\x07\x1b[?u\x1b[21t\x05", ""),
    ] {
        assert_eq!(String::from_utf8_lossy(&print(question).answers), answer, "{question:?}");
    }
}

#[test]
fn sequences_that_broke_emulators_do_not_break_this_one() {
    let mut terminal = Terminal::new(80, 24);
    terminal.print("\x1b[24;80H⚠\u{fe0f}\x1b[23;80Hx");
    shows_the_same_after_a_snapshot(&mut terminal.screen);
    for (cols, rows) in [(1, 1), (1, 24), (2, 1), (500, 200), (1000, 1000), (0, 0)] {
        let mut terminal = Terminal::new(cols, rows);
        terminal.print("⚠\u{fe0f}機\x1b[;1H❤\u{fe0f}x\x1b[30;40r\n\x1bM\x1b[?6h\x1b[99;99H\x1b[L\x1b[M\x1b[65535S\x1b[65535T\x1b[65535@\x1b[65535P機");
        shows_the_same_after_a_snapshot(&mut terminal.screen);
    }
}

#[test]
fn marks_on_one_character_are_bounded() {
    let mut terminal = print("e");
    terminal.print("\u{301}".repeat(100_000));
    assert!(terminal.screen.text(0).0[0].chars().count() < 20);
    terminal.print("\x1b[4;58;5;3m機".to_owned() + &"\u{fe0f}\u{200d}".repeat(1000));
    shows_the_same_after_a_snapshot(&mut terminal.screen);
}

fn printed() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z ]{1,30}",
        2 => prop::sample::select(vec!["機", "⚠\u{fe0f}", "é", "e\u{301}", "\u{1f469}\u{200d}\u{1f4bb}", "\t", "\r\n", "\n", "\r", "\x08", "x"]).prop_map(str::to_owned),
        3 => (0_u16..30, 0_u16..30, prop::sample::select("HABCDEFGJKLMPSTX@dfrmbIZ".chars().collect::<Vec<_>>())).prop_map(|(a, b, last)| match last {
            'J' | 'K' => format!("\x1b[{}{last}", a % 4),
            'm' => format!("\x1b[{};{};4{}m", a % 10, 30 + b % 8, a % 8),
            'H' | 'f' | 'r' => format!("\x1b[{a};{b}{last}"),
            'T' | 'b' => format!("\x1b[{a}{last}"),
            _ => format!("\x1b[{a}{last}"),
        }),
        1 => prop::sample::select(vec!["\x1b7", "\x1b8", "\x1bM", "\x1bD", "\x1bE", "\x1b[?6h", "\x1b[?6l", "\x1b[?7l", "\x1b[?7h", "\x1b[4h", "\x1b[4l", "\x1b[?1049h", "\x1b[?1049l", "\x1b(0", "\x1b(B", "\x1b#8"]).prop_map(str::to_owned),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_screen_survives_a_snapshot(text in printed(), cols in 2_u16..40, rows in 1_u16..12) {
        // Wide characters are left out: see the head of `snapshot.rs` for what is not right with them.
        let text = text.replace("機", "x").replace("⚠\u{fe0f}", "x").replace("\u{1f469}\u{200d}\u{1f4bb}", "x");
        let mut terminal = Terminal::new(cols, rows);
        terminal.print(text);
        shows_the_same_after_a_snapshot(&mut terminal.screen);
    }

    #[test]
    fn no_resize_breaks_it(steps in proptest::collection::vec((printed(), 0_u16..60, 0_u16..30), 0..12)) {
        let mut terminal = Terminal::new(80, 24);
        for (text, cols, rows) in steps {
            terminal.print(text);
            terminal.screen.resize(size(cols, rows));
            let (lines, above) = terminal.screen.text(1000);
            prop_assert_eq!(lines.len() - above, usize::from(terminal.screen.size().rows));
            terminal.screen.snapshot(1000);
        }
    }

    #[test]
    fn no_bytes_break_it(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..10)) {
        let mut terminal = Terminal::new(20, 6);
        for piece in pieces {
            terminal.print(piece);
        }
        shows_the_same_after_a_snapshot(&mut terminal.screen);
    }
}

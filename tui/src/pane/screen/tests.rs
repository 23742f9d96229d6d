//! Screens: the same as another emulator shows, and nothing hostile in them.

use proptest::prelude::*;
use ratatui::buffer::Buffer;
use unicode_segmentation::UnicodeSegmentation;

use super::*;

fn size(cols: u16, rows: u16) -> TerminalSize {
    TerminalSize { cols, rows }
}

fn row(screen: &Emulator, line: i32) -> String {
    let mut text = String::new();
    screen.glyphs(line, &mut |glyph| text.push_str(glyph.symbol));
    text.trim_end().to_owned()
}

/// What is shown is something that can be printed, in its own columns, from left to right.
fn check(screen: &Emulator) {
    let size = screen.size();
    for line in -(screen.above() as i32)..i32::from(size.rows) {
        let mut next = 0;
        screen.glyphs(line, &mut |glyph| {
            assert!(glyph.column >= next, "{glyph:?} overlaps");
            next = glyph.column + if glyph.wide { 2 } else { 1 };
            assert!(next <= size.cols, "{glyph:?} is cut");
            assert_eq!(glyph.symbol.width(), usize::from(next - glyph.column), "{glyph:?}");
            assert!(!glyph.symbol.chars().any(loopsy_shared::text::is_active), "{glyph:?}");
        });
    }
}

#[test]
fn hostile_text_is_shown_as_text() {
    let mut screen = Emulator::new(size(20, 4), 10);
    screen.feed("a\u{202e}b e\u{301}\u{301} \u{2764}\u{fe0f}x\r\n\u{200d}y \u{9b}31mz 界".as_bytes());
    check(&screen);
    assert_eq!(row(&screen, 0), "\u{fffd}b e\u{301}\u{301} \u{2764}x");
    assert_eq!(row(&screen, 1), "y 31mz 界");
    screen.feed(b"\x1b[3;1H\x1b]52;c;aGk=\x07\x1b]0;title\x1b\\\x1b[c\x1b[6n\x1bP+q544e\x1b\\ok");
    assert_eq!(row(&screen, 2), "ok");
    // Marks on one character are bounded.
    screen.feed("\x1b[4;1Ha".as_bytes());
    screen.feed("\u{301}".repeat(100_000).as_bytes());
    let marks = screen.term().grid()[Line(3)][Column(0)].zerowidth().unwrap().len();
    assert!(marks <= MOST_MARKS, "{marks}");
}

#[test]
fn a_wide_character_in_the_last_column_is_no_trouble() {
    let mut screen = Emulator::new(size(80, 24), 10);
    screen.feed("\x1b[24;80H\u{26a0}\u{fe0f}\x1b[23;80Hx\x1b[24;79H界\x1b[24;80Hy".as_bytes());
    check(&screen);
    let mut tiny = Emulator::new(size(0, 0), 10);
    tiny.feed("界\u{fe0f}界".as_bytes());
    check(&tiny);
    assert_eq!((tiny.size().cols, tiny.size().rows), (2, 1));
}

#[test]
fn lines_that_go_up_are_counted_also_when_the_oldest_are_dropped() {
    let mut screen = Emulator::new(size(10, 4), 6);
    assert_eq!(screen.feed(b"1\r\n2\r\n3\r\n4"), Fed { up: 0, other: false });
    assert_eq!(screen.feed(b"\r\n5\r\n6").up, 2);
    assert_eq!(screen.feed(b"\r\n7\r\n8\r\n9\r\n10\r\n11").up, 5);
    assert!(screen.is_cut() && screen.above() == 6);
    assert_eq!(screen.feed(b"\r\n12\r\n13").up, 2);
    assert_eq!(row(&screen, -1), "9");
    assert_eq!(screen.feed(b"\x1b[?1049hx"), Fed { up: 0, other: true });
    assert_eq!(screen.feed(b"\r\n\r\n\r\n\r\n\r\n").up, 0);
    assert_eq!(screen.feed(b"\x1b[?1049l"), Fed { up: 0, other: true });
    assert_eq!(row(&screen, -1), "9");
}

#[test]
fn an_update_is_seen_as_a_whole() {
    let mut screen = Emulator::new(size(10, 2), 6);
    screen.feed(b"old\x1b[?2026h\x1b[2J\x1b[Hnew");
    assert_eq!(row(&screen, 0), "old");
    let first = screen.held();
    assert!(first.is_some());
    screen.feed(b"er");
    assert_eq!(screen.held(), first);
    screen.feed(b"\x1b[?2026l!");
    assert_eq!((row(&screen, 0).as_str(), screen.held()), ("newer!", None));
    screen.feed(b"\x1b[?2026h late");
    screen.release();
    assert_eq!((row(&screen, 0).as_str(), screen.held()), ("newer! lat", None));
}

#[test]
fn styles_are_those_of_the_program() {
    let mut screen = Emulator::new(size(20, 1), 0);
    screen.feed(b"\x1b[1;2;3;9;31;48;5;200ma\x1b[0;4:3;58;2;1;2;3mb\x1b[0;7;38;2;9;8;7mc\x1b[0;8md\x1b[0me");
    let mut styles = Vec::new();
    screen.glyphs(0, &mut |glyph| styles.push((glyph.symbol.to_owned(), glyph.style)));
    let plain = Style::reset();
    assert_eq!(
        styles[0].1,
        plain.fg(Color::Red).bg(Color::Indexed(200)).add_modifier(Modifier::BOLD | Modifier::DIM | Modifier::ITALIC | Modifier::CROSSED_OUT)
    );
    assert_eq!(styles[1].1, plain.add_modifier(Modifier::UNDERLINED).underline_color(Color::Rgb(1, 2, 3)));
    assert_eq!(styles[2].1, plain.fg(Color::Rgb(9, 8, 7)).add_modifier(Modifier::REVERSED));
    assert_eq!((styles[3].0.as_str(), styles[4].1), (" ", plain));
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        any::<char>().prop_map(|c| c.to_string().into_bytes()),
        prop::sample::select(vec![
            "界",
            "\u{26a0}\u{fe0f}",
            "\u{200d}",
            "\u{301}",
            "\u{202e}",
            "\x1b[",
            "\x1b]0;",
            "\x1b[?1049h",
            "\x1b[?1049l",
            "\x1b[?2026h",
            "\x1b[?2026l",
            "\x1b[?7l",
            "\x1b[4h",
            "\r\n",
            "\n\n\n\n",
            "\x1b[2J",
            "\x1b[3J",
            "\x1bc",
            "\x1b[2;3r",
            "\x1b[9999b",
            "\x1b[9999S",
            "\x1b[9999T",
            "\x1b[9999L",
            "\x1b[9999@",
            "\x1b[9999P",
            "\x1b[5;5H",
            "\x1b[K",
            "\x1b(0",
            "\x1b[7m",
            "\t",
            "\x08",
            "\x1bM",
            "\x1b[s",
            "\x1b[u",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    proptest::collection::vec(pieces, 0..60).prop_map(|pieces| pieces.concat())
}

/// Text, colours, moves and wide characters that every emulator draws in the same way: never over what is there, about which they differ.
fn tame() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z ]{1,12}",
        "[界面漢]{1,4}",
        Just("\r\n".to_owned()),
        Just("\x1b[0m\x1b[K".to_owned()),
        (1u16..12, 1u16..22).prop_map(|(row, column)| format!("\x1b[0m\x1b[{row};1H\x1b[J\x1b[{column}C")),
        prop::sample::select(vec!["0", "1", "3", "4", "7", "31", "42", "38;5;99", "48;2;1;2;3", "39", "49", "22", "24", "27"])
            .prop_map(|sgr| format!("\x1b[{sgr}m")),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_at_any_size(columns in 0u16..30, rows in 0u16..12, steps in proptest::collection::vec((hostile(), 0u16..30, 0u16..12, any::<bool>()), 1..5)) {
        let mut screen = Emulator::new(size(columns, rows), 8);
        for (bytes, columns, rows, resize) in steps {
            screen.feed(&bytes);
            check(&screen);
            if resize {
                screen.resize(size(columns, rows));
                check(&screen);
            }
        }
        screen.release();
        check(&screen);
    }

    #[test]
    fn tame_output_is_drawn_as_another_emulator_does(text in tame()) {
        let mut screen = Emulator::new(size(24, 12), 0);
        screen.feed(text.as_bytes());
        let mut other = vt100::Parser::new(std::num::NonZeroU16::new(12).unwrap(), std::num::NonZeroU16::new(24).unwrap(), 0);
        other.process(text.as_bytes());
        for line in 0..12u16 {
            let mut mine = vec![(" ".to_owned(), Style::reset()); 24];
            screen.glyphs(i32::from(line), &mut |glyph| mine[usize::from(glyph.column)] = (glyph.symbol.to_owned(), glyph.style));
            for column in 0..24u16 {
                let cell = other.screen().cell(line, column).unwrap();
                if cell.is_wide_continuation() {
                    continue;
                }
                let (symbol, style) = &mine[usize::from(column)];
                let theirs = if cell.contents().is_empty() { " " } else { cell.contents() };
                prop_assert_eq!(symbol.as_str(), theirs, "{},{} of {:?}", line, column, text);
                let paint = |color| match color {
                    vt100::Color::Default => Color::Reset,
                    vt100::Color::Idx(index) => super::color(Paint::Indexed(index)),
                    vt100::Color::Rgb(r, g, b) => Color::Rgb(r, g, b),
                };
                if cell.contents().is_empty() {
                    continue; // they differ in how blanks look that were never printed
                }
                prop_assert_eq!(style.bg.unwrap(), paint(cell.bgcolor()), "{},{} of {:?}", line, column, text);
                prop_assert!(theirs == " " || style.fg.unwrap() == paint(cell.fgcolor()), "{},{} of {:?}", line, column, text);
                let has = |modifier| style.add_modifier.contains(modifier);
                let mine = (has(Modifier::BOLD), has(Modifier::ITALIC), has(Modifier::UNDERLINED), has(Modifier::REVERSED));
                prop_assert!(theirs == " " || mine == (cell.bold(), cell.italic(), cell.underline(), cell.inverse()), "{},{} of {:?}", line, column, text);
            }
        }
        let (row, column) = other.screen().cursor_position();
        let mine = screen.cursor();
        prop_assert_eq!((mine.1, mine.0), (row, column.min(23)), "{:?}", text);
    }
}

/// A thing to run by hand: `cargo test --release -p loopsy-tui --lib feed_speed -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn feed_speed() {
    let line = "\x1b[32m2026-11-21 14:00:00\x1b[0m \x1b[1mINFO\x1b[0m loopsy_daemon::terminals: a line of a log with some text in it, 100 columns\r\n";
    let chunk = line.repeat(64 * 1024 / line.len());
    let mut screen = Emulator::new(size(120, 40), LINES);
    let start = std::time::Instant::now();
    let mut bytes = 0;
    while bytes < 100_000_000 {
        screen.feed(chunk.as_bytes());
        bytes += chunk.len();
    }
    let took = start.elapsed().as_secs_f64();
    println!("{:.1} MB/s, {} lines kept", bytes as f64 / took / 1e6, screen.above());
    let mut buf = Buffer::empty(ratatui::layout::Rect::new(0, 0, 120, 40));
    let start = std::time::Instant::now();
    for _ in 0..1000 {
        for line in 0..40 {
            screen.glyphs(line, &mut |glyph| {
                let cell = &mut buf[(glyph.column, line as u16)];
                cell.set_symbol(glyph.symbol).set_style(glyph.style);
            });
        }
    }
    println!("{:.3} ms to draw 120x40, {} graphemes", start.elapsed().as_secs_f64(), row(&screen, 0).graphemes(true).count());
}

/// A thing to run by hand, as [`feed_speed`]: what so many screens that are kept take, all of their lines full.
#[test]
#[ignore = "a measurement"]
fn memory() {
    let used = || std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|line| line.starts_with("VmRSS")).unwrap().to_owned();
    println!("before: {}", used());
    let mut kept = std::collections::VecDeque::new();
    for number in 0..8 {
        let mut screen = Emulator::new(size(118, 38), LINES);
        let lines: String = (0..200).map(|line| format!("\x1b[32mterminal {number}\x1b[0m line {line}\r\n")).collect();
        for _ in 0..100 {
            screen.feed(lines.as_bytes());
        }
        kept.push_back(screen);
        kept.truncate(5);
        println!("{} kept: {}", kept.len(), used());
    }
}

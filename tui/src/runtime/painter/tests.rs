//! What an independent terminal shows after the bytes is what was drawn; and the bytes are few.

use proptest::prelude::*;
use ratatui::style::Style;

use super::*;

/// A terminal that takes frames.
struct Screen {
    painter: Painter,
    parser: vt100::Parser,
    columns: u16,
    rows: u16,
}

impl Screen {
    fn new(columns: u16, rows: u16) -> Self {
        let size = |number| std::num::NonZeroU16::new(number).unwrap();
        let mut parser = vt100::Parser::new(size(rows), size(columns), 0);
        parser.process(b"left over from before\x1b[31;7mand more");
        Self { painter: Painter::new((columns, rows)), parser, columns, rows }
    }

    /// Draws; how many bytes it took.
    fn draw(&mut self, draw: impl FnOnce(&mut Buffer) -> Option<Position>) -> Vec<u8> {
        let mut out = Vec::new();
        self.painter.paint(&mut out, draw);
        self.parser.process(&out);
        out
    }

    /// What the terminal shows, cell by cell, against what was drawn.
    fn check(&self) {
        let screen = self.parser.screen();
        let drawn = &self.painter.shown;
        for y in 0..self.rows {
            for x in 0..self.columns {
                let (cell, wanted) = (screen.cell(y, x).unwrap(), &drawn[(x, y)]);
                if cell.is_wide_continuation() {
                    continue;
                }
                let text = if cell.contents().is_empty() { " " } else { cell.contents() };
                assert_eq!(text, wanted.symbol(), "at {x},{y}");
                assert_eq!(cell.bold(), wanted.modifier.contains(Modifier::BOLD), "bold at {x},{y}");
                assert_eq!(cell.dim(), wanted.modifier.contains(Modifier::DIM), "dim at {x},{y}");
                assert_eq!(cell.inverse(), wanted.modifier.contains(Modifier::REVERSED), "reverse at {x},{y}");
                assert_eq!(cell.underline(), wanted.modifier.contains(Modifier::UNDERLINED), "underline at {x},{y}");
                assert_eq!(cell.fgcolor(), color_of(wanted.fg), "colour at {x},{y}");
                assert_eq!(cell.bgcolor(), color_of(wanted.bg), "behind {x},{y}");
            }
        }
        match self.painter.caret {
            Some(caret) => {
                assert!(!screen.hide_cursor());
                assert_eq!(screen.cursor_position(), (caret.y, caret.x));
            }
            None => assert!(screen.hide_cursor()),
        }
    }
}

fn color_of(color: Color) -> vt100::Color {
    match color {
        Color::Reset => vt100::Color::Default,
        Color::Rgb(r, g, b) => vt100::Color::Rgb(r, g, b),
        Color::Indexed(number) => vt100::Color::Idx(number),
        named => vt100::Color::Idx(number(named)),
    }
}

fn list(buffer: &mut Buffer, selected: u16) -> Option<Position> {
    for y in 0..buffer.area.height {
        let style = if y == selected { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        buffer.set_style(Rect::new(1, y, buffer.area.width - 2, 1), style);
        buffer.set_string(2, y, format!("task {y:04}   running    fix the flaky test in module {y}    studio-mac"), style);
    }
    None
}

#[test]
fn nothing_is_written_when_nothing_is_different() {
    let mut screen = Screen::new(80, 24);
    assert!(!screen.draw(|buffer| list(buffer, 3)).is_empty());
    screen.check();
    assert_eq!(screen.draw(|buffer| list(buffer, 3)), b"");
    let caret = |buffer: &mut Buffer| {
        list(buffer, 3);
        Some(Position { x: 5, y: 6 })
    };
    assert_eq!(screen.draw(caret), b"\x1b[7;6H\x1b[?25h");
    assert_eq!(screen.draw(caret), b"");
    screen.check();
    assert_eq!(screen.draw(|buffer| list(buffer, 3)), b"\x1b[?25l");
    screen.check();
}

#[test]
fn moving_the_selection_by_a_row_takes_few_bytes() {
    let mut screen = Screen::new(80, 24);
    screen.draw(|buffer| list(buffer, 3));
    let bytes = screen.draw(|buffer| list(buffer, 4));
    screen.check();
    assert!(bytes.len() <= 200, "{} bytes: {}", bytes.len(), bytes.escape_ascii());
}

#[test]
fn an_empty_end_of_a_line_is_erased() {
    let mut screen = Screen::new(80, 24);
    screen.draw(|buffer| {
        (0..24).for_each(|y| buffer.set_style(Rect::new(0, y, 80, 1), Style::new().bg(Color::Blue)));
        list(buffer, 3)
    });
    let bytes = screen.draw(|_| None);
    screen.check();
    assert!(bytes.len() < 24 * 12, "{} bytes: {}", bytes.len(), bytes.escape_ascii());
}

#[test]
fn all_is_drawn_again_when_the_terminal_showed_something_else() {
    let mut screen = Screen::new(40, 10);
    screen.draw(|buffer| list(buffer, 1));
    screen.parser.process(b"\x1b[2J\x1b[?25hsomebody else's words\x1b[7m");
    screen.painter.forget();
    screen.draw(|buffer| list(buffer, 1));
    screen.check();
}

#[test]
fn any_size_can_be_drawn() {
    for (columns, rows) in [(1, 1), (1, 40), (500, 1), (1000, 1000)] {
        let mut painter = Painter::new((columns, rows));
        let mut out = Vec::new();
        painter.paint(&mut out, |buffer| {
            buffer.set_string(0, 0, "x", Style::new());
            Some(Position { x: 2000, y: 2000 })
        });
        assert!(out.ends_with(b"x"), "{}", out.escape_ascii());
    }
}

/// A piece of text somewhere in some style.
fn stroke() -> impl Strategy<Value = (u16, u16, String, Style)> {
    let color = || proptest::sample::select(vec![None, Some(Color::Red), Some(Color::White), Some(Color::Indexed(200)), Some(Color::Rgb(1, 2, 3))]);
    let text = proptest::sample::select(vec!["a", "hello world", "  ", "          ", "機械", "é", "─│┌", "x y z", "                    "]);
    // Bold and dim at once are one thing for the terminal that this is compared with.
    let modifiers = proptest::sample::select(vec![
        Modifier::empty(),
        Modifier::BOLD,
        Modifier::DIM,
        Modifier::REVERSED,
        Modifier::UNDERLINED | Modifier::BOLD,
        Modifier::REVERSED | Modifier::DIM,
    ]);
    (0..20_u16, 0..6_u16, text, color(), color(), modifiers).prop_map(|(x, y, text, fg, bg, modifiers)| {
        let style = Style::reset().patch(Style { fg, bg, ..Style::new().add_modifier(modifiers) });
        (x, y, text.to_owned(), style)
    })
}

proptest! {
    #[test]
    fn the_terminal_shows_what_was_drawn(frames in proptest::collection::vec((proptest::collection::vec(stroke(), 0..12), proptest::option::of((0..20_u16, 0..6_u16))), 1..8)) {
        let mut screen = Screen::new(20, 6);
        for (strokes, caret) in frames {
            screen.draw(|buffer| {
                for (x, y, text, style) in strokes {
                    buffer.set_string(x, y, text, style);
                }
                caret.map(|(x, y)| Position { x, y })
            });
            screen.check();
        }
    }
}

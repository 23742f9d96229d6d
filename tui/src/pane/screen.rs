//! The screen of one terminal and the lines above it: bytes in, characters with styles out.

use alacritty_terminal::{
    event::VoidListener,
    grid::{Dimensions, Scroll},
    index::{Column, Line},
    term::{
        Config, Osc52, Term, TermMode,
        cell::{Cell, Flags},
    },
    vte::ansi::{Color as Paint, NamedColor, Processor, Timeout},
};
use loopsy_shared::api::terminals::TerminalSize;
use ratatui::style::{Color, Modifier, Style};
use unicode_width::UnicodeWidthStr;

use super::{cap::Cap, guard::Guarded};

/// Cells above the screen, so that a very wide screen cannot keep as many lines as a narrow one: 12 MB, and what memory itself takes.
const MOST_CELLS: usize = 500_000;
/// The same after a person asked for more lines: 48 MB.
const MOST_CELLS_ASKED: usize = 2_000_000;
/// Lines above the screen, where nobody asked for more.
pub(super) const LINES: usize = 5000;
/// Marks (accents, joiners) on one character.
pub(super) const MOST_MARKS: usize = 12;

/// What a program wants of its keys and mouse.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Modes {
    /// Cursor keys are those of an application.
    pub(super) cursor_keys: bool,
    /// Pastes are marked.
    pub(super) paste: bool,
    /// It wants to know when keys begin and end to go to it.
    pub(super) focus: bool,
    /// It has a screen of its own, without lines above.
    pub(super) alternate: bool,
    /// The wheel moves its cursor.
    pub(super) wheel: bool,
    /// It hears of clicks.
    pub(super) clicks: bool,
    /// It hears of moves with a button down.
    pub(super) drags: bool,
    /// It hears of the mouse in the newer form.
    pub(super) sgr: bool,
}

/// What feeding did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fed {
    /// So many lines went up and out of the screen.
    pub(super) up: usize,
    /// Another screen is shown: what was known of places on it means nothing any more.
    pub(super) other: bool,
}

/// A character on the screen.
#[derive(Debug)]
pub(super) struct Glyph<'a> {
    /// Its column.
    pub(super) column: u16,
    /// It takes two columns.
    pub(super) wide: bool,
    /// What is shown: something that can be printed, as wide as it says.
    pub(super) symbol: &'a str,
    /// How.
    pub(super) style: Style,
}

/// A screen. Lines are counted from its first one; those above it are negative.
pub(super) trait Screen: std::fmt::Debug {
    /// Takes what was printed.
    fn feed(&mut self, bytes: &[u8]) -> Fed;

    /// The number of the update that the program wants to be seen only as a whole, while it is not.
    fn held(&self) -> Option<u64>;

    /// Shows it nevertheless.
    fn release(&mut self) -> Fed;

    /// Gives it another size.
    fn resize(&mut self, size: TerminalSize);

    /// Keeps up to so many lines above it from now on.
    fn keep(&mut self, lines: usize);

    /// Its size.
    fn size(&self) -> TerminalSize;

    /// Lines above it.
    fn above(&self) -> usize;

    /// Whether older lines than those were dropped, or may have been.
    fn is_cut(&self) -> bool;

    /// Where the cursor is: column, line, and whether it shows.
    fn cursor(&self) -> (u16, u16, bool);

    /// What the program wants of keys and mouse.
    fn modes(&self) -> Modes;

    /// Whether the line goes on in the next one.
    fn wraps(&self, line: i32) -> bool;

    /// The characters of a line, from the left.
    fn glyphs(&self, line: i32, each: &mut dyn FnMut(Glyph<'_>));
}

/// When the parser holds back what a program prints between two marks.
#[derive(Debug, Default)]
struct Hold {
    on: bool,
    number: u64,
}

impl Timeout for Hold {
    fn set_timeout(&mut self, _duration: std::time::Duration) {
        self.on = true;
        self.number += 1;
    }

    fn clear_timeout(&mut self) {
        self.on = false;
    }

    fn pending_timeout(&self) -> bool {
        self.on
    }
}

/// A size as the emulator wants it.
pub(super) struct Dims(TerminalSize);

impl Dimensions for Dims {
    fn total_lines(&self) -> usize {
        self.screen_lines()
    }

    fn screen_lines(&self) -> usize {
        usize::from(self.0.rows)
    }

    fn columns(&self) -> usize {
        usize::from(self.0.cols)
    }
}

/// A screen on `alacritty_terminal`.
pub(super) struct Emulator {
    cap: Cap,
    parser: Processor<Hold>,
    guarded: Guarded,
    lines: usize,
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Emulator").field("size", &self.size()).finish_non_exhaustive()
    }
}

fn limit(lines: usize, size: TerminalSize) -> usize {
    let cells = if lines > LINES { MOST_CELLS_ASKED } else { MOST_CELLS };
    lines.min(cells / usize::from(size.cols).max(1))
}

impl Emulator {
    /// An empty screen.
    pub(super) fn new(size: TerminalSize, lines: usize) -> Self {
        let size = size.clamped();
        let config = Config { scrolling_history: limit(lines, size), osc52: Osc52::Disabled, kitty_keyboard: false, ..Config::default() };
        let guarded = Guarded::new(Term::new(config, &Dims(size), VoidListener));
        Self { cap: Cap::default(), parser: Processor::new(), guarded, lines }
    }

    const fn term(&self) -> &Term<VoidListener> {
        &self.guarded.term
    }

    /// Does something to the screen, and sees how far the lines went.
    fn watch(&mut self, act: impl FnOnce(&mut Self)) -> Fed {
        let (alternate, above) = (self.modes().alternate, self.above());
        // The emulator keeps a place in the lines above where it is; it counts lines of a part of the screen as well, but only once it drops the oldest ones.
        let grid = self.guarded.term.grid_mut();
        grid.scroll_display(Scroll::Bottom);
        grid.scroll_display(Scroll::Delta(1));
        let pinned = grid.display_offset();
        act(self);
        let grid = self.guarded.term.grid_mut();
        let moved = grid.display_offset().saturating_sub(pinned);
        grid.scroll_display(Scroll::Bottom);
        let now = self.above();
        let up = if now < limit(self.lines, self.size()) || above == 0 { now.saturating_sub(above) } else { moved };
        if self.modes().alternate == alternate { Fed { up, other: false } } else { Fed { up: 0, other: true } }
    }

    fn row(&self, line: i32) -> Option<&alacritty_terminal::grid::Row<Cell>> {
        let (first, end) = (-(self.above() as i32), i32::from(self.size().rows));
        (first..end).contains(&line).then(|| &self.term().grid()[Line(line)])
    }
}

impl Screen for Emulator {
    fn feed(&mut self, bytes: &[u8]) -> Fed {
        self.guarded.allow(bytes.len());
        self.watch(|this| {
            let Self { cap, parser, guarded, .. } = this;
            cap.feed(bytes, |piece| parser.advance(guarded, piece));
        })
    }

    fn held(&self) -> Option<u64> {
        let hold = self.parser.sync_timeout();
        hold.on.then_some(hold.number)
    }

    fn release(&mut self) -> Fed {
        self.watch(|this| this.parser.stop_sync(&mut this.guarded))
    }

    fn resize(&mut self, size: TerminalSize) {
        if self.held().is_some() {
            self.release();
        }
        let size = size.clamped();
        self.guarded.term.resize(Dims(size));
        self.keep(self.lines);
    }

    fn keep(&mut self, lines: usize) {
        self.lines = lines;
        if !self.modes().alternate {
            let most = limit(lines, self.size());
            let grid = self.guarded.term.grid_mut();
            grid.update_history(most);
        }
    }

    fn size(&self) -> TerminalSize {
        TerminalSize { cols: self.term().columns() as u16, rows: self.term().screen_lines() as u16 }
    }

    fn above(&self) -> usize {
        self.term().grid().history_size()
    }

    fn is_cut(&self) -> bool {
        let above = self.above();
        above > 0 && above >= limit(self.lines, self.size())
    }

    fn cursor(&self) -> (u16, u16, bool) {
        let point = self.term().grid().cursor.point;
        (point.column.0 as u16, point.line.0.max(0) as u16, self.term().mode().contains(TermMode::SHOW_CURSOR))
    }

    fn modes(&self) -> Modes {
        let mode = self.term().mode();
        Modes {
            cursor_keys: mode.contains(TermMode::APP_CURSOR),
            paste: mode.contains(TermMode::BRACKETED_PASTE),
            focus: mode.contains(TermMode::FOCUS_IN_OUT),
            alternate: mode.contains(TermMode::ALT_SCREEN),
            wheel: mode.contains(TermMode::ALT_SCREEN | TermMode::ALTERNATE_SCROLL),
            clicks: mode.intersects(TermMode::MOUSE_MODE),
            drags: mode.intersects(TermMode::MOUSE_DRAG | TermMode::MOUSE_MOTION),
            sgr: mode.contains(TermMode::SGR_MOUSE),
        }
    }

    fn wraps(&self, line: i32) -> bool {
        self.row(line).and_then(|row| row.last()).is_some_and(|cell| cell.flags.contains(Flags::WRAPLINE))
    }

    fn glyphs(&self, line: i32, each: &mut dyn FnMut(Glyph<'_>)) {
        let Some(row) = self.row(line) else { return };
        let (columns, mut marked) = (row.len(), String::new());
        for column in 0..columns {
            let cell = &row[Column(column)];
            if cell.flags.contains(Flags::WIDE_CHAR_SPACER) && column > 0 && row[Column(column - 1)].flags.contains(Flags::WIDE_CHAR) {
                continue;
            }
            // A wide character whose second half is gone shows as one column.
            let wide = cell.flags.contains(Flags::WIDE_CHAR) && column + 1 < columns && row[Column(column + 1)].flags.contains(Flags::WIDE_CHAR_SPACER);
            let mut one = [0; 4];
            let symbol = symbol(cell, wide, &mut one, &mut marked);
            each(Glyph { column: column as u16, wide, symbol, style: style(cell) });
        }
    }
}

/// What a cell shows: never anything that does something to a terminal, and never wider than its place.
fn symbol<'a>(cell: &Cell, wide: bool, one: &'a mut [u8; 4], marked: &'a mut String) -> &'a str {
    let hidden = cell.flags.contains(Flags::HIDDEN);
    if hidden || cell.c.is_control() {
        return " ";
    }
    let marks = cell.zerowidth().unwrap_or_default();
    if cell.c.is_ascii() && marks.is_empty() {
        return cell.c.encode_utf8(one);
    }
    let columns = if wide { 2 } else { 1 };
    if marks.iter().any(|mark| is_bidi(*mark)) {
        return if wide { "\u{fffd} " } else { "\u{fffd}" };
    }
    if !marks.is_empty() {
        marked.clear();
        marked.push(cell.c);
        marked.extend(marks.iter().take(MOST_MARKS).filter(|mark| !loopsy_shared::text::is_active(**mark)));
        if marked.width() == columns {
            return marked;
        }
    }
    let symbol = cell.c.encode_utf8(one);
    if symbol.width() == columns && !loopsy_shared::text::is_active(cell.c) {
        symbol
    } else if wide {
        "\u{fffd} "
    } else {
        "\u{fffd}"
    }
}

/// Changes the order in which other characters are shown.
const fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn style(cell: &Cell) -> Style {
    const PLAIN: (Paint, Paint) = (Paint::Named(NamedColor::Foreground), Paint::Named(NamedColor::Background));
    let mut modifiers = Modifier::empty();
    if !cell.flags.is_empty() {
        for (flag, modifier) in [
            (Flags::BOLD, Modifier::BOLD),
            (Flags::DIM, Modifier::DIM),
            (Flags::ITALIC, Modifier::ITALIC),
            (Flags::ALL_UNDERLINES, Modifier::UNDERLINED),
            (Flags::INVERSE, Modifier::REVERSED),
            (Flags::STRIKEOUT, Modifier::CROSSED_OUT),
        ] {
            if cell.flags.intersects(flag) {
                modifiers |= modifier;
            }
        }
    }
    let mut style = Style::reset().add_modifier(modifiers);
    if (cell.fg, cell.bg) != PLAIN {
        style = style.fg(color(cell.fg)).bg(color(cell.bg));
    }
    if let Some(line) = cell.underline_color() {
        style = style.underline_color(color(line));
    }
    style
}

/// The person's own sixteen colours stay theirs.
const fn color(paint: Paint) -> Color {
    const SIXTEEN: [Color; 16] = [
        Color::Black,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Blue,
        Color::Magenta,
        Color::Cyan,
        Color::Gray,
        Color::DarkGray,
        Color::LightRed,
        Color::LightGreen,
        Color::LightYellow,
        Color::LightBlue,
        Color::LightMagenta,
        Color::LightCyan,
        Color::White,
    ];
    match paint {
        Paint::Spec(rgb) => Color::Rgb(rgb.r, rgb.g, rgb.b),
        Paint::Indexed(index) if index < 16 => SIXTEEN[index as usize],
        Paint::Indexed(index) => Color::Indexed(index),
        Paint::Named(name) => {
            let index = name as usize;
            if index < 16 { SIXTEEN[index] } else { Color::Reset }
        }
    }
}

#[cfg(test)]
mod tests;

//! From a screen to the bytes that make it out of the one before: as few as can be, since they may travel far.

use std::io::Write;

use ratatui::{
    buffer::{Buffer, Cell},
    layout::{Position, Rect},
    style::{Color, Modifier},
};
use unicode_width::UnicodeWidthStr;

/// A gap of at most so many cells is printed again when that is shorter than jumping over it.
const GAP: u16 = 6;
/// From so many blanks at the end of a line on they are erased, not printed.
const BLANKS: usize = 4;

/// How characters are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pen {
    fg: Color,
    bg: Color,
    underline: Color,
    modifier: Modifier,
}

impl Pen {
    const PLAIN: Self = Self { fg: Color::Reset, bg: Color::Reset, underline: Color::Reset, modifier: Modifier::empty() };

    const fn of(cell: &Cell) -> Self {
        Self { fg: cell.fg, bg: cell.bg, underline: cell.underline_color, modifier: cell.modifier }
    }
}

/// The screen as the terminal shows it, and how it becomes another.
#[derive(Debug)]
pub(crate) struct Painter {
    shown: Buffer,
    next: Buffer,
    caret: Option<Position>,
    /// Nothing is known of what the terminal shows.
    lost: bool,
}

impl Painter {
    /// For a terminal of this size, whatever it shows now.
    pub(crate) fn new(size: (u16, u16)) -> Self {
        let area = Rect::new(0, 0, size.0, size.1);
        Self { shown: Buffer::empty(area), next: Buffer::empty(area), caret: None, lost: true }
    }

    /// The next frame is drawn from nothing.
    pub(crate) const fn forget(&mut self) {
        self.lost = true;
    }

    /// Draws, and adds what it takes to `out`: nothing at all when nothing is different.
    pub(crate) fn paint(&mut self, out: &mut Vec<u8>, draw: impl FnOnce(&mut Buffer) -> Option<Position>) {
        self.next.reset();
        let area = self.next.area;
        let caret = draw(&mut self.next).filter(|caret| area.contains(*caret));
        whole(&mut self.next);
        halves(&mut self.shown, &self.next);
        let begin = out.len();
        if self.lost {
            out.extend_from_slice(b"\x1b[?25l\x1b[m\x1b[2J");
            self.shown.reset();
            self.caret = None;
        }
        let at = out.len();
        // What is not there yet must not be seen to jump around, also where whole frames are not known.
        let was = self.caret;
        if was.is_some() {
            out.extend_from_slice(b"\x1b[?25l");
        }
        let drawn = self.cells(out);
        if !drawn {
            out.truncate(at);
        }
        match (caret, was) {
            (Some(caret), was) if drawn || was != Some(caret) || self.lost => {
                jump(out, caret);
                if drawn || was.is_none() {
                    out.extend_from_slice(b"\x1b[?25h");
                }
            }
            (None, Some(_)) if !drawn => out.extend_from_slice(b"\x1b[?25l"),
            _ => {}
        }
        self.caret = caret;
        self.lost = false;
        std::mem::swap(&mut self.shown, &mut self.next);
        debug_assert!(out.len() >= begin);
    }

    /// The cells that are different; whether there were any.
    fn cells(&self, out: &mut Vec<u8>) -> bool {
        let begin = out.len();
        let mut pen = Pen::PLAIN;
        // Where the terminal's cursor is, if that is sure.
        let mut at: Option<Position> = None;
        let mut erased: Option<u16> = None;
        for (x, y, cell) in self.shown.diff_iter(&self.next) {
            if erased == Some(y) {
                continue;
            }
            self.go(out, &mut at, pen, Position { x, y });
            if self.is_blank_from(x, y) {
                change(out, &mut pen, Pen::PLAIN);
                out.extend_from_slice(b"\x1b[K");
                erased = Some(y);
                continue;
            }
            change(out, &mut pen, Pen::of(cell));
            let symbol = cell.symbol();
            out.extend_from_slice(symbol.as_bytes());
            // Terminals do not agree on how wide some things are, and on what happens after the last column.
            let sure = symbol.chars().nth(1).is_none() && symbol.width() == 1 && x + 1 < self.next.area.width;
            at = sure.then_some(Position { x: x + 1, y });
        }
        let drawn = out.len() > begin;
        change(out, &mut pen, Pen::PLAIN);
        drawn
    }

    /// Brings the cursor to a place: by printing what is there already if that is shorter.
    fn go(&self, out: &mut Vec<u8>, at: &mut Option<Position>, pen: Pen, to: Position) {
        match *at {
            Some(from) if from == to => {}
            Some(from) if from.y == to.y && from.x < to.x && to.x - from.x <= GAP && self.same_ink(from, to.x, pen) => {
                (from.x..to.x).for_each(|x| out.extend_from_slice(self.next[(x, to.y)].symbol().as_bytes()));
            }
            Some(from) if from.y == to.y && from.x < to.x => {
                let _never = write!(out, "\x1b[{}C", to.x - from.x);
            }
            _ => jump(out, to),
        }
        *at = Some(to);
    }

    /// Whether all cells up to a column are single bytes that this pen prints.
    fn same_ink(&self, from: Position, to: u16, pen: Pen) -> bool {
        (from.x..to).all(|x| {
            let cell = &self.next[(x, from.y)];
            cell.symbol().len() == 1 && Pen::of(cell) == pen
        })
    }

    fn is_blank_from(&self, x: u16, y: u16) -> bool {
        let from = self.next.index_of(x, y);
        let end = from + usize::from(self.next.area.width - x);
        end - from >= BLANKS && self.next.content.get(from..end).is_some_and(|rest| rest.iter().all(|cell| cell.symbol() == " " && Pen::of(cell) == Pen::PLAIN))
    }
}

/// A wide character of which something else covers the second half is none: it would cover that.
fn whole(buffer: &mut Buffer) {
    let width = usize::from(buffer.area.width);
    for at in 0..buffer.content.len() {
        let wide = buffer.content.get(at).is_some_and(is_wide);
        let covered = (at + 1) % width.max(1) == 0 || buffer.content.get(at + 1).is_some_and(|cell| cell.symbol() != " ");
        if wide
            && covered
            && let Some(cell) = buffer.content.get_mut(at)
        {
            cell.set_symbol(" ");
        }
    }
}

/// What stands where a wide character was that goes away is not sure any more for its second half: it is printed again.
fn halves(shown: &mut Buffer, next: &Buffer) {
    for at in 0..shown.content.len() {
        let goes = match (shown.content.get(at), next.content.get(at)) {
            (Some(old), Some(new)) => is_wide(old) && old != new,
            _ => false,
        };
        if goes && let (Some(half), Some(new)) = (shown.content.get_mut(at + 1), next.content.get(at + 1)) {
            half.modifier = new.modifier.complement();
        }
    }
}

fn is_wide(cell: &Cell) -> bool {
    cell.symbol().len() > 1 && cell.symbol().width() > 1
}

fn jump(out: &mut Vec<u8>, to: Position) {
    let (row, column) = (u32::from(to.y) + 1, u32::from(to.x) + 1);
    let _never = match (row, column) {
        (1, 1) => write!(out, "\x1b[H"),
        (_, 1) => write!(out, "\x1b[{row}H"),
        _ => write!(out, "\x1b[{row};{column}H"),
    };
}

/// Changes the pen in the shorter of two ways: from what it is, or from nothing.
fn change(out: &mut Vec<u8>, pen: &mut Pen, to: Pen) {
    if *pen == to {
        return;
    }
    if to == Pen::PLAIN {
        out.extend_from_slice(b"\x1b[m");
    } else {
        let mut anew = vec!["0".to_owned()];
        codes(Pen::PLAIN, to, &mut anew);
        let mut step = Vec::new();
        codes(*pen, to, &mut step);
        let (anew, step) = (anew.join(";"), step.join(";"));
        let _never = write!(out, "\x1b[{}m", if anew.len() < step.len() { anew } else { step });
    }
    *pen = to;
}

/// Modifiers with their codes for on and off.
const MODIFIERS: [(Modifier, u8, u8); 9] = [
    (Modifier::BOLD, 1, 22),
    (Modifier::DIM, 2, 22),
    (Modifier::ITALIC, 3, 23),
    (Modifier::UNDERLINED, 4, 24),
    (Modifier::SLOW_BLINK, 5, 25),
    (Modifier::RAPID_BLINK, 6, 25),
    (Modifier::REVERSED, 7, 27),
    (Modifier::HIDDEN, 8, 28),
    (Modifier::CROSSED_OUT, 9, 29),
];

fn codes(from: Pen, to: Pen, out: &mut Vec<String>) {
    let mut has = from.modifier;
    for (modifier, _, off) in MODIFIERS {
        if has.contains(modifier) && !to.modifier.contains(modifier) {
            out.push(off.to_string());
            // The same code switches its twin off too.
            MODIFIERS.iter().filter(|(_, _, code)| *code == off).for_each(|(twin, ..)| has.remove(*twin));
        }
    }
    for (modifier, on, _) in MODIFIERS {
        if to.modifier.contains(modifier) && !has.contains(modifier) {
            out.push(on.to_string());
        }
    }
    if from.fg != to.fg {
        out.push(color(to.fg, 30));
    }
    if from.bg != to.bg {
        out.push(color(to.bg, 40));
    }
    if from.underline != to.underline {
        out.push(underline(to.underline));
    }
}

/// The code of a colour; `base` is 30 for text and 40 for what is behind it.
fn color(color: Color, base: u8) -> String {
    let plain = |number: u8| if number < 8 { (base + number).to_string() } else { (base + 60 + number - 8).to_string() };
    match color {
        Color::Reset => (base + 9).to_string(),
        Color::Rgb(r, g, b) => format!("{};2;{r};{g};{b}", base + 8),
        Color::Indexed(number) => format!("{};5;{number}", base + 8),
        named => plain(number(named)),
    }
}

fn underline(color: Color) -> String {
    match color {
        Color::Reset => "59".to_owned(),
        Color::Rgb(r, g, b) => format!("58;2;{r};{g};{b}"),
        Color::Indexed(number) => format!("58;5;{number}"),
        named => format!("58;5;{}", number(named)),
    }
}

/// Where a named colour is among the terminal's sixteen.
const fn number(color: Color) -> u8 {
    match color {
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
        Color::Black | Color::Reset | Color::Rgb(..) | Color::Indexed(_) => 0,
    }
}

#[cfg(test)]
mod tests;

//! The lines of a terminal by numbers that stay: the screen's first line has the number of lines that ever went above it.

use super::screen::Screen;

/// A place: line and column.
pub(super) type Place = (i64, u16);

/// The lines that there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines<'a> {
    pub(super) screen: &'a dyn Screen,
    /// The number of the screen's first line.
    pub(super) base: i64,
}

impl Lines<'_> {
    /// The oldest.
    pub(super) fn first(self) -> i64 {
        self.base - self.screen.above() as i64
    }

    /// The screen's last.
    pub(super) fn last(self) -> i64 {
        self.base + i64::from(self.screen.size().rows) - 1
    }

    /// The last column.
    pub(super) fn edge(self) -> u16 {
        self.screen.size().cols.saturating_sub(1)
    }

    /// The place within what there is.
    pub(super) fn clamp(self, (line, column): Place) -> Place {
        (line.clamp(self.first(), self.last()), column.min(self.edge()))
    }

    fn at(self, line: i64) -> i32 {
        i32::try_from(line - self.base).unwrap_or(i32::MAX)
    }

    /// Whether it goes on in the next one.
    pub(super) fn wraps(self, line: i64) -> bool {
        line < self.last() && self.screen.wraps(self.at(line))
    }

    /// The first and last of the lines that were one when they were printed.
    pub(super) fn whole(self, line: i64) -> (i64, i64) {
        let (mut from, mut to) = (line, line);
        while from > self.first() && self.wraps(from - 1) {
            from -= 1;
        }
        while self.wraps(to) {
            to += 1;
        }
        (from, to)
    }

    /// Adds the text between two columns.
    pub(super) fn text(self, line: i64, from: u16, to: u16, out: &mut String) {
        self.screen.glyphs(self.at(line), &mut |glyph| {
            if (from..=to).contains(&glyph.column) {
                out.push_str(glyph.symbol);
            }
        });
    }

    /// The first character of each column; NUL in the second column of a wide one.
    pub(super) fn chars(self, line: i64) -> Vec<char> {
        let mut chars = vec!['\0'; usize::from(self.edge()) + 1];
        self.screen.glyphs(self.at(line), &mut |glyph| {
            if let (Some(place), Some(c)) = (chars.get_mut(usize::from(glyph.column)), glyph.symbol.chars().next()) {
                *place = c;
            }
        });
        chars
    }

    /// Adds each character with its place, without the blanks at the end.
    pub(super) fn places(self, line: i64, out: &mut Vec<(char, Place)>) {
        self.screen.glyphs(self.at(line), &mut |glyph| {
            if let Some(c) = glyph.symbol.chars().next() {
                out.push((c, (line, glyph.column)));
            }
        });
    }

    /// Whether there is nothing on it.
    pub(super) fn is_blank(self, line: i64) -> bool {
        let mut blank = true;
        self.screen.glyphs(self.at(line), &mut |glyph| blank &= glyph.symbol == " ");
        blank
    }

    /// What was printed on lines as one text: what was wrapped is joined, blanks at the ends of lines are dropped.
    pub(super) fn copy(self, from: Place, to: Place) -> String {
        let mut out = String::new();
        for line in from.0.max(self.first())..=to.0.min(self.last()) {
            let start = if line == from.0 { from.1 } else { 0 };
            let end = if line == to.0 { to.1 } else { self.edge() };
            self.text(line, start, end, &mut out);
            if line == to.0 || !self.wraps(line) {
                out.truncate(out.trim_end_matches(' ').len());
                if line < to.0 {
                    out.push('\n');
                }
            }
        }
        out
    }
}

//! Copy mode: a cursor of the person's own, and what is selected with it.

use super::lines::{Lines, Place};
use crate::keymap::Command;

/// What of the lines between two places is selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Characters,
    Lines,
    Block,
}

/// The cursor, and where the selection began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) at: Place,
    anchor: Option<(Kind, Place)>,
}

impl Selection {
    /// A cursor, with nothing selected.
    pub(super) const fn new(at: Place) -> Self {
        Self { at, anchor: None }
    }

    /// What the mouse went over.
    pub(super) const fn drag(from: Place, at: Place) -> Self {
        Self { at, anchor: Some((Kind::Characters, from)) }
    }

    /// Begins to select, changes the kind, or selects nothing when that kind was selected already.
    pub(super) fn toggle(&mut self, kind: Kind) {
        self.anchor = match self.anchor {
            Some((known, _)) if known == kind => None,
            Some((_, from)) => Some((kind, from)),
            None => Some((kind, self.at)),
        };
    }

    /// For the status line.
    pub(super) const fn word(&self) -> &'static str {
        match self.anchor {
            None => "copy mode, nothing selected yet",
            Some((Kind::Characters, _)) => "characters are selected",
            Some((Kind::Lines, _)) => "lines are selected",
            Some((Kind::Block, _)) => "a block is selected",
        }
    }

    /// What is selected on a line: its first and last column.
    pub(super) fn columns(&self, line: i64, edge: u16) -> Option<(u16, u16)> {
        let (kind, anchor) = self.anchor?;
        let (from, to) = if anchor <= self.at { (anchor, self.at) } else { (self.at, anchor) };
        if !(from.0..=to.0).contains(&line) {
            return None;
        }
        Some(match kind {
            Kind::Lines => (0, edge),
            Kind::Block => (from.1.min(to.1), from.1.max(to.1)),
            Kind::Characters => (if line == from.0 { from.1 } else { 0 }, if line == to.0 { to.1 } else { edge }),
        })
    }

    /// What is selected; the line of the cursor when nothing is.
    pub(super) fn text(&self, lines: Lines<'_>) -> String {
        let Some((kind, anchor)) = self.anchor else {
            let (from, to) = lines.whole(self.at.0);
            return lines.copy((from, 0), (to, lines.edge()));
        };
        let (from, to) = if anchor <= self.at { (anchor, self.at) } else { (self.at, anchor) };
        match kind {
            Kind::Characters => lines.copy(from, to),
            Kind::Lines => lines.copy((from.0, 0), (to.0, lines.edge())),
            Kind::Block => {
                let (left, right) = (from.1.min(to.1), from.1.max(to.1));
                let mut out = String::new();
                for line in from.0.max(lines.first())..=to.0.min(lines.last()) {
                    lines.text(line, left, right, &mut out);
                    out.truncate(out.trim_end_matches(' ').len());
                    if line < to.0 {
                        out.push('\n');
                    }
                }
                out
            }
        }
    }

    /// Moves; whether the command was one that moves. `page`: lines of a page.
    pub(super) fn act(&mut self, command: Command, lines: Lines<'_>, page: i64) -> bool {
        let (line, column) = self.at;
        let to = match command {
            Command::Up => (line - 1, column),
            Command::Down => (line + 1, column),
            Command::Left => (line, column.saturating_sub(1)),
            Command::Right => (line, column.saturating_add(1)),
            Command::PageUp => (line - page, column),
            Command::PageDown => (line + page, column),
            Command::HalfUp => (line - page / 2, column),
            Command::HalfDown => (line + page / 2, column),
            Command::Top => (lines.first(), 0),
            Command::End => (lines.last(), 0),
            Command::LineStart => (line, 0),
            Command::LineEnd => (line, lines.chars(line).iter().rposition(|c| !matches!(c, ' ' | '\0')).unwrap_or(0) as u16),
            Command::WordNext => word_next(lines, self.at),
            Command::WordPrevious => word_before(lines, self.at),
            _ => return false,
        };
        self.at = lines.clamp(to);
        true
    }
}

/// Blank, word or sign.
fn class(c: char) -> u8 {
    match c {
        ' ' => 0,
        '\0' => 1,
        c if c.is_alphanumeric() || c == '_' => 1,
        _ => 2,
    }
}

fn word_next(lines: Lines<'_>, (line, column): Place) -> Place {
    let chars = lines.chars(line);
    let mut at = usize::from(column);
    let first = chars.get(at).map_or(0, |c| class(*c));
    while at < chars.len() && first != 0 && class(chars[at]) == first {
        at += 1;
    }
    while at < chars.len() && chars[at] == ' ' {
        at += 1;
    }
    if at < chars.len() {
        return (line, at as u16);
    }
    if line >= lines.last() {
        return (line, lines.edge());
    }
    let next = lines.chars(line + 1);
    (line + 1, next.iter().position(|c| *c != ' ').unwrap_or(0) as u16)
}

fn word_before(lines: Lines<'_>, (line, column): Place) -> Place {
    let chars = lines.chars(line);
    let mut at = usize::from(column).min(chars.len());
    while at > 0 && chars[at - 1] == ' ' {
        at -= 1;
    }
    if at == 0 {
        if line <= lines.first() {
            return (line, 0);
        }
        let before = lines.chars(line - 1);
        let end = before.iter().rposition(|c| *c != ' ').map_or(0, |last| last + 1);
        return (line - 1, start(&before, end));
    }
    (line, start(&chars, at))
}

/// The start of the word that ends before this column.
fn start(chars: &[char], end: usize) -> u16 {
    let mut at = end;
    let last = end.checked_sub(1).map_or(0, |last| class(chars[last]));
    while at > 0 && class(chars[at - 1]) == last {
        at -= 1;
    }
    at as u16
}

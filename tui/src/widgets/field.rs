//! Where a person types text: one line or several, with the keys that shells have.

use ratatui::layout::Rect;
use unicode_segmentation::UnicodeSegmentation;

use super::text::{put, width};
use crate::{
    app::Canvas,
    input::Input,
    key::{Code, Key},
    look::Role,
};

/// Longest text that is taken, in bytes.
const MOST: usize = 1 << 20;

/// What a key did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The text is done.
    Submit,
    /// The person leaves; the text stays.
    Leave,
    /// The text or the caret changed.
    Changed,
    /// Nothing of it.
    Ignored,
}

/// A text and a caret in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Field {
    text: String,
    /// In bytes, between characters.
    caret: usize,
    /// Enter is not the end: Alt-Enter and Ctrl-J begin a new line.
    lines: bool,
}

impl Field {
    /// For one line.
    pub(crate) fn line() -> Self {
        Self::default()
    }

    /// For several.
    pub(crate) fn lines() -> Self {
        Self { lines: true, ..Self::default() }
    }

    /// With a text in it and the caret at its end.
    #[must_use]
    pub(crate) fn with(mut self, text: &str) -> Self {
        self.set(text);
        self
    }

    /// Another text, with the caret at its end.
    pub(crate) fn set(&mut self, text: &str) {
        text.clone_into(&mut self.text);
        self.caret = self.text.len();
    }

    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The text, which is gone from here then.
    pub(crate) fn take_text(&mut self) -> String {
        self.caret = 0;
        std::mem::take(&mut self.text)
    }

    /// A key or a paste.
    pub(crate) fn take(&mut self, input: &Input) -> Outcome {
        match input {
            Input::Key(press) => self.key(press.key),
            Input::Paste(text) => {
                let text: String = text.chars().filter(|c| !c.is_control() || *c == '\n' || *c == '\t').collect();
                let text = if self.lines { text } else { text.trim_end_matches('\n').replace('\n', " ") };
                self.insert(&text);
                Outcome::Changed
            }
            Input::Mouse(_) | Input::Unknown(_) => Outcome::Ignored,
        }
    }

    fn key(&mut self, key: Key) -> Outcome {
        let (before, after) = self.text.split_at(self.caret);
        let to = match (key.code, key.ctrl, key.alt) {
            (Code::Enter, false, true) | (Code::Char('j'), true, false) if self.lines => {
                self.insert("\n");
                return Outcome::Changed;
            }
            (Code::Enter, false, false) if self.lines && key.shift => {
                self.insert("\n");
                return Outcome::Changed;
            }
            (Code::Enter, ..) | (Code::Char('j' | 'm'), true, false) => return Outcome::Submit,
            (Code::Esc, ..) => return Outcome::Leave,
            (Code::Char(c), false, false) if !c.is_control() => {
                self.insert(c.encode_utf8(&mut [0; 4]));
                return Outcome::Changed;
            }
            (Code::Backspace, false, false) | (Code::Char('h'), true, false) => return self.cut(previous(before), self.caret),
            (Code::Delete, ..) | (Code::Char('d'), true, false) => return self.cut(self.caret, self.caret + next(after)),
            (Code::Char('w'), true, false) | (Code::Backspace, ..) => return self.cut(word_before(before), self.caret),
            (Code::Char('u'), true, false) => return self.cut(line_start(before), self.caret),
            (Code::Char('k'), true, false) => return self.cut(self.caret, self.caret + line_end(after)),
            (Code::Left, true, _) | (Code::Left | Code::Char('b'), false, true) => word_before(before),
            (Code::Right, true, _) | (Code::Right | Code::Char('f'), false, true) => self.caret + word_after(after),
            (Code::Left, ..) | (Code::Char('b'), true, false) => previous(before),
            (Code::Right, ..) | (Code::Char('f'), true, false) => self.caret + next(after),
            (Code::Home, ..) | (Code::Char('a'), true, false) => line_start(before),
            (Code::End, ..) | (Code::Char('e'), true, false) => self.caret + line_end(after),
            (Code::Up, ..) if self.lines => above(before),
            (Code::Down, ..) if self.lines => self.below(),
            _ => return Outcome::Ignored,
        };
        self.caret = to;
        Outcome::Changed
    }

    fn insert(&mut self, text: &str) {
        if self.text.len() + text.len() > MOST {
            return;
        }
        self.text.insert_str(self.caret, text);
        self.caret += text.len();
    }

    fn cut(&mut self, from: usize, to: usize) -> Outcome {
        self.text.replace_range(from..to, "");
        self.caret = from;
        Outcome::Changed
    }

    fn below(&self) -> usize {
        let (before, after) = self.text.split_at(self.caret);
        let column = before.len() - line_start(before);
        let Some(start) = after.find('\n').map(|at| self.caret + at + 1) else { return self.text.len() };
        let end = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at);
        floor(&self.text, (start + column).min(end))
    }

    /// Draws it with the caret in view, and puts the caret there when it has the keys.
    pub(crate) fn draw(&self, area: Rect, canvas: &mut Canvas<'_>, typing: bool) {
        let style = canvas.look.style(Role::Field);
        let wide = usize::from(area.width).max(1);
        let (shown, caret) = (&self.text, self.caret);
        let (mut rows, mut at) = (Vec::new(), (0, 0));
        let mut offset = 0;
        for line in shown.split('\n') {
            let (mut row, mut used) = (String::new(), 0);
            for grapheme in line.graphemes(true) {
                if used + width(grapheme) > wide.saturating_sub(usize::from(!self.lines)) && self.lines {
                    rows.push(std::mem::take(&mut row));
                    used = 0;
                }
                if offset == caret {
                    at = (rows.len(), used);
                }
                offset += grapheme.len();
                used += width(grapheme);
                row.push_str(grapheme);
            }
            if offset == caret {
                at = (rows.len(), used);
            }
            offset += 1;
            rows.push(row);
        }
        if self.lines {
            if at.1 >= wide {
                at = (at.0 + 1, 0);
            }
            let top = (at.0 + 1).saturating_sub(usize::from(area.height));
            for (line, row) in (0..area.height).zip(rows.iter().skip(top)) {
                put(canvas.buf, area, 0, line, row, style);
            }
            at.0 -= top;
        } else {
            // One line is moved to the left as far as the caret needs.
            let row = rows.first().map_or("", String::as_str);
            let mut cut = 0;
            let mut skipped = 0;
            for grapheme in row.graphemes(true) {
                if at.1 - skipped < wide {
                    break;
                }
                skipped += width(grapheme);
                cut += grapheme.len();
            }
            put(canvas.buf, area, 0, 0, &row[cut..], style);
            at = (0, at.1 - skipped);
        }
        if typing && canvas.focused {
            let (row, column) = (at.0 as u16, (at.1 as u16).min(area.width.saturating_sub(1)));
            canvas.caret = Some((area.x + column, area.y + row.min(area.height.saturating_sub(1))).into());
        }
    }
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn previous(before: &str) -> usize {
    before.grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
}

fn next(after: &str) -> usize {
    after.graphemes(true).next().map_or(0, str::len)
}

fn word_before(before: &str) -> usize {
    let trimmed = before.trim_end();
    trimmed.rfind(char::is_whitespace).map_or(0, |at| at + trimmed[at..].chars().next().map_or(1, char::len_utf8))
}

fn word_after(after: &str) -> usize {
    let start = after.len() - after.trim_start().len();
    after[start..].find(char::is_whitespace).map_or(after.len(), |at| start + at)
}

fn line_start(before: &str) -> usize {
    before.rfind('\n').map_or(0, |at| at + 1)
}

fn line_end(after: &str) -> usize {
    after.find('\n').unwrap_or(after.len())
}

fn above(before: &str) -> usize {
    let start = line_start(before);
    let Some(end) = start.checked_sub(1) else { return 0 };
    let above = line_start(&before[..end]);
    floor(before, (above + before.len() - start).min(end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::input::Press;

    proptest! {
        /// Whatever is typed, the caret stays between characters and the text stays text.
        #[test]
        fn any_keys(keys in proptest::collection::vec((0usize..20, any::<char>(), any::<bool>(), any::<bool>()), 0..60)) {
            let codes = [Code::Enter, Code::Backspace, Code::Delete, Code::Left, Code::Right, Code::Up, Code::Down, Code::Home, Code::End];
            let mut field = Field::lines();
            for (pick, c, ctrl, alt) in keys {
                let code = codes.get(pick).copied().unwrap_or(Code::Char(c));
                field.take(&Input::Key(Press::of(Key { code, ctrl, alt, shift: false })));
                prop_assert!(field.text.is_char_boundary(field.caret));
            }
        }
    }
}

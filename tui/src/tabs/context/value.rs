//! A value as lines: raw, as JSON or as hex. Only what was looked at is broken into lines, however long the value is.

use loopsy_shared::{id::NodeId, text::inert};
use unicode_segmentation::UnicodeSegmentation;

use super::pretty::pretty;
use crate::widgets::text::width;

/// Narrower than this nothing is broken.
const NARROWEST: usize = 8;
/// One character with more bytes than this is no character that anybody reads.
const LONGEST: usize = 64;

/// How a value is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Shape {
    #[default]
    Raw,
    Json,
    Hex,
}

impl Shape {
    const ALL: [Self; 3] = [Self::Raw, Self::Json, Self::Hex];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Json => "json",
            Self::Hex => "hex",
        }
    }

    pub(super) fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|shape| shape.name() == name).unwrap_or_default()
    }

    pub(super) const fn next(self) -> Self {
        Self::ALL[(self as usize + 1) % 3]
    }
}

/// What was broken into lines: as long as it is the same, nothing is done again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Of {
    pub(super) node: Option<NodeId>,
    pub(super) key: String,
    pub(super) version: u64,
    pub(super) updated: u64,
    pub(super) shape: Shape,
    pub(super) columns: usize,
}

/// The lines so far.
#[derive(Debug)]
pub(super) struct Layout {
    of: Of,
    /// The value as JSON, where it is some.
    pretty: Option<String>,
    /// Why it is shown otherwise than asked for.
    note: Option<String>,
    lines: Vec<String>,
    /// Bytes of the text that are in the lines.
    done: usize,
    ended: bool,
}

impl Layout {
    pub(super) fn new(of: Of, value: &str) -> Self {
        let (pretty, note) = match (of.shape, (of.shape == Shape::Json).then(|| pretty(value))) {
            (_, Some(Ok(text))) => (Some(text), None),
            (_, Some(Err(why))) => (None, Some(format!("This is no JSON ({why}); shown raw."))),
            _ => (None, None),
        };
        Self { of, pretty, note, lines: Vec::new(), done: 0, ended: false }
    }

    pub(super) fn is_of(&self, of: &Of) -> bool {
        self.of == *of
    }

    pub(super) fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Breaks on until there are so many lines, or no more text.
    pub(super) fn reach(&mut self, value: &str, lines: usize) {
        let pretty = self.pretty.take();
        let text = pretty.as_deref().unwrap_or(value);
        if self.of.shape == Shape::Hex {
            self.hex(value.as_bytes(), lines)
        } else {
            self.text(text, lines)
        }
        self.pretty = pretty;
    }

    fn text(&mut self, text: &str, lines: usize) {
        let columns = self.of.columns.max(NARROWEST);
        let (mut row, mut used, begun) = (String::new(), 0, self.done);
        for (at, piece) in text.get(self.done..).unwrap_or_default().grapheme_indices(true) {
            if self.lines.len() >= lines {
                return;
            }
            let at = begun + at;
            if piece == "\n" || piece == "\r\n" {
                self.lines.push(std::mem::take(&mut row));
                (used, self.done) = (0, at + piece.len());
                continue;
            }
            let shown = match piece {
                "\t" => "    ".into(),
                piece if piece.len() > LONGEST => "~".into(),
                piece => inert(piece),
            };
            let wide = width(&shown);
            if used + wide > columns {
                self.lines.push(std::mem::take(&mut row));
                (used, self.done) = (0, at);
            }
            used += wide;
            row.push_str(&shown);
        }
        // A last line without an end is one too, and so is nothing at all.
        if self.done < text.len() || text.is_empty() && self.lines.is_empty() {
            if self.lines.len() >= lines {
                return;
            }
            self.lines.push(row);
            self.done = text.len();
        }
        self.ended = true;
    }

    /// `00000000  68 65 6c 6c  6f 0a        |hello.|`
    fn hex(&mut self, bytes: &[u8], lines: usize) {
        let each = if self.of.columns >= 79 {
            16
        } else if self.of.columns >= 45 {
            8
        } else {
            4
        };
        while self.done < bytes.len() && self.lines.len() < lines {
            let part = &bytes[self.done..bytes.len().min(self.done + each)];
            let hex: Vec<String> = part.chunks(4).map(|four| four.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")).collect();
            let plain: String = part.iter().map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { *byte as char } else { '.' }).collect();
            let room = each * 3 + each / 4 - 2;
            self.lines.push(format!("{:08x}  {:room$} |{plain}|", self.done, hex.join("  ")));
            self.done += part.len();
        }
        self.ended = self.done >= bytes.len();
    }

    /// The lines from one on, and whether there is anything after them.
    pub(super) fn window(&self, top: usize, rows: usize) -> (impl Iterator<Item = &str>, bool) {
        let below = !self.ended || self.lines.len() > top + rows;
        (self.lines.iter().skip(top).take(rows).map(String::as_str), below)
    }

    /// The first line of the last page, once the end is known.
    pub(super) fn last_page(&self, rows: usize) -> Option<usize> {
        self.ended.then(|| self.lines.len().saturating_sub(rows))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn layout(value: &str, shape: Shape, columns: usize) -> Layout {
        Layout::new(Of { node: None, key: "k".to_owned(), version: 1, updated: 0, shape, columns }, value)
    }

    fn all(value: &str, shape: Shape, columns: usize) -> Vec<String> {
        let mut layout = layout(value, shape, columns);
        layout.reach(value, usize::MAX);
        layout.lines
    }

    #[test]
    fn only_what_is_looked_at_is_broken() {
        let value = "x".repeat(1 << 20);
        let mut layout = layout(&value, Shape::Raw, 50);
        layout.reach(&value, 20);
        assert_eq!((layout.lines.len(), layout.done), (20, 1000));
        assert_eq!(layout.last_page(20), None);
        layout.reach(&value, usize::MAX);
        assert_eq!(layout.last_page(20), Some((1usize << 20).div_ceil(50) - 20));
    }

    #[test]
    fn what_is_shown_is_inert() {
        assert_eq!(all("a\u{1b}[2J\tb\r\nc\n", Shape::Raw, 40), ["a\\u{1b}[2J    b", "c"]);
        assert_eq!(all("", Shape::Raw, 40), [""]);
        assert_eq!(all("{\"a\":1}", Shape::Json, 40), ["{", "  \"a\": 1", "}"]);
        assert_eq!(layout("a", Shape::Json, 40).note(), Some("This is no JSON (expected value at line 1 column 1); shown raw."));
        assert_eq!(all("hello\n", Shape::Hex, 46), ["00000000  68 65 6c 6c  6f 0a       |hello.|"]);
    }

    proptest! {
        /// In however many steps it is broken, the lines are the same, and fit.
        #[test]
        fn steps_do_not_matter(value in "[a-z \\n\u{1b}界é\u{301}\t]{0,200}", columns in 8usize..40, steps in proptest::collection::vec(0usize..30, 0..6), pick in 0usize..3) {
            let shape = Shape::ALL[pick];
            let whole = all(&value, shape, columns);
            let mut other = layout(&value, shape, columns);
            for step in steps {
                other.reach(&value, step);
            }
            other.reach(&value, usize::MAX);
            prop_assert_eq!(&other.lines, &whole);
            if shape != Shape::Hex {
                prop_assert!(whole.iter().all(|line| width(line) <= columns));
            }
        }
    }
}

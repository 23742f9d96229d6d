//! The log of one task: the newest of its events as lines, a window on them that follows the end or stays where the person is, and a search.
//!
//! Lines are wrapped only where they are looked at, so that neither a long log nor another width costs anything.

use std::{cell::Cell, collections::VecDeque};

use loopsy_shared::{api::ai_tasks::TaskEvent, time::Millis};
use ratatui::layout::Rect;

use super::tell::{LINE_BYTES, Line, Teller};
use crate::{
    app::Canvas,
    keymap::Command,
    look::Role,
    widgets::text::{put, width, wrap},
};

/// Events that are kept; the oldest go.
pub(super) const MOST_EVENTS: usize = 5000;
/// Bytes of text that are kept; the oldest events go.
const MOST_BYTES: usize = 8 << 20;

/// How a log stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not asked for yet.
    Idle,
    /// It comes.
    Live,
    /// The connection to it broke; it is tried again.
    Lost(String),
    /// All was sent.
    Ended,
    /// It cannot be had.
    Failed(String),
}

/// Lines that belong to one event.
#[derive(Debug)]
struct Piece {
    lines: usize,
    bytes: usize,
}

/// A place in the log: a line, counted from the first that there ever was, and a row of it.
type Place = (u64, usize);

/// The log.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) standing: Standing,
    /// The number of the newest event that was taken.
    pub(super) last: u64,
    teller: Teller,
    pieces: VecDeque<Piece>,
    lines: VecDeque<Line>,
    /// The number of the first line that is kept.
    first: u64,
    bytes: usize,
    /// Events that are not kept any more.
    left_out: u64,
    /// The upper edge of the window; it follows the end when none.
    top: Option<Place>,
    /// The number behind the last line when the person left the end.
    seen: u64,
    search: Option<Search>,
    size: Cell<(usize, usize)>,
}

#[derive(Debug)]
struct Search {
    text: String,
    /// A capital letter was typed.
    exact: bool,
    /// The line of the hit that is looked at.
    at: Option<u64>,
    /// Its place among the hits that there were, and how many those were.
    count: (usize, usize),
}

impl Search {
    fn matches(&self, text: &str) -> bool {
        !self.text.is_empty() && if self.exact { text.contains(&self.text) } else { text.to_lowercase().contains(&self.text) }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            standing: Standing::Idle,
            last: 0,
            teller: Teller::default(),
            pieces: VecDeque::new(),
            lines: VecDeque::new(),
            first: 0,
            bytes: 0,
            left_out: 0,
            top: None,
            seen: 0,
            search: None,
            size: Cell::new((80, 20)),
        }
    }
}

impl Log {
    /// Takes an event; one that was taken before is not taken again.
    pub(super) fn take(&mut self, event: &TaskEvent, now: Millis) {
        self.standing = Standing::Live;
        if event.seq != 0 {
            if event.seq <= self.last {
                return;
            }
            self.last = event.seq;
        }
        let told = self.teller.tell(event, now);
        if told.lines.is_empty() {
            return;
        }
        let mut piece = Piece { lines: 0, bytes: 0 };
        let mut lines = told.lines.into_iter();
        if told.joins
            && let Some(open) = self.lines.back_mut()
            && let Some(line) = lines.next()
        {
            if open.text.len() + line.text.len() <= LINE_BYTES {
                open.text.push_str(&line.text);
                // It goes when the line goes, with the event that began it.
                if let Some(piece) = self.pieces.back_mut() {
                    piece.bytes += line.text.len();
                }
                self.bytes += line.text.len();
            } else {
                piece.bytes += line.text.len();
                piece.lines += 1;
                self.lines.push_back(line);
            }
        }
        for line in lines {
            piece.bytes += line.text.len();
            piece.lines += 1;
            self.lines.push_back(line);
        }
        self.bytes += piece.bytes;
        self.pieces.push_back(piece);
        while self.pieces.len() > MOST_EVENTS || self.bytes > MOST_BYTES && self.pieces.len() > 1 {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(piece) = self.pieces.pop_front() else { return };
        self.bytes = self.bytes.saturating_sub(piece.bytes);
        self.lines.drain(..piece.lines.min(self.lines.len()));
        self.first += piece.lines as u64;
        self.left_out += 1;
        if self.top.is_some_and(|(line, _)| line < self.first) {
            self.top = Some((self.first, 0));
        }
    }

    /// The number behind the last line.
    fn end(&self) -> u64 {
        self.first + self.lines.len() as u64
    }

    fn line(&self, number: u64) -> Option<&Line> {
        self.lines.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    fn rows(&self, number: u64) -> Vec<String> {
        self.line(number).map_or_else(Vec::new, |line| wrap(&line.text, self.size.get().0.saturating_sub(line.indent).max(2)))
    }

    /// So many rows above a place, as far as there are any.
    fn above(&self, (mut line, mut row): Place, mut rows: usize) -> Place {
        loop {
            if row >= rows {
                return (line, row - rows);
            }
            rows -= row;
            if line <= self.first {
                return (self.first, 0);
            }
            line -= 1;
            row = self.rows(line).len().max(1);
        }
    }

    fn below(&self, (mut line, mut row): Place, mut rows: usize) -> Place {
        while line < self.end() {
            let here = self.rows(line).len().max(1);
            if row + rows < here {
                return (line, row + rows);
            }
            rows -= here.saturating_sub(row).min(rows);
            (line, row) = (line + 1, 0);
        }
        (line, row)
    }

    /// The upper edge of the window that shows the end.
    fn tail(&self) -> Place {
        self.above((self.end(), 0), self.size.get().1)
    }

    /// Scrolls; whether the command was one that scrolls.
    pub(super) fn act(&mut self, command: Command) -> bool {
        let page = self.size.get().1.max(2);
        let top = self.top.unwrap_or_else(|| self.tail());
        let to = match command {
            Command::Up => self.above(top, 1),
            Command::PageUp => self.above(top, page - 1),
            Command::HalfUp => self.above(top, page / 2),
            Command::Down => self.below(top, 1),
            Command::PageDown => self.below(top, page - 1),
            Command::HalfDown => self.below(top, page / 2),
            Command::Top => (self.first, 0),
            Command::End => (self.end(), 0),
            _ => return false,
        };
        self.go(to);
        true
    }

    /// Shows this place at the upper edge, or the end when that is in view then.
    fn go(&mut self, to: Place) {
        if to >= self.tail() {
            self.top = None;
        } else {
            if self.top.is_none() {
                self.seen = self.end();
            }
            self.top = Some(to);
        }
    }

    /// Searches from here on; an empty text ends it.
    pub(super) fn search(&mut self, text: &str) {
        let exact = text.chars().any(char::is_uppercase);
        self.search = (!text.is_empty()).then(|| Search { text: if exact { text.to_owned() } else { text.to_lowercase() }, exact, at: None, count: (0, 0) });
        self.hit(false);
    }

    /// Whether there is a search.
    pub(super) const fn is_searched(&self) -> bool {
        self.search.is_some()
    }

    /// Goes to the next hit, or the one before; the last of all at first.
    pub(super) fn hit(&mut self, forward: bool) {
        let Some(search) = &self.search else { return };
        let hits = |range: std::ops::Range<u64>| range.filter(|number| self.line(*number).is_some_and(|line| search.matches(&line.text)));
        let found = match search.at {
            Some(at) if forward => hits(at + 1..self.end()).next().or_else(|| hits(self.first..at + 1).next()),
            Some(at) => hits(self.first..at.min(self.end())).next_back().or_else(|| hits(at..self.end()).next_back()),
            None => hits(self.first..self.end()).next_back(),
        };
        let before = |at| hits(self.first..at).count();
        let count = (found.map_or(0, |at| before(at + 1)), before(self.end()));
        if let Some(search) = &mut self.search {
            (search.at, search.count) = (found, count);
        }
        if let Some(line) = found {
            let to = self.above((line, 0), self.size.get().1 / 3);
            self.go(to);
        }
    }

    /// How the search stands: `hit 2 of 7 for \`cargo\``.
    pub(super) fn search_note(&self) -> Option<String> {
        let search = self.search.as_ref()?;
        let (place, hits) = search.count;
        Some(if hits == 0 { format!("`{}` is not in the log", search.text) } else { format!("hit {place} of {hits} for `{}`", search.text) })
    }

    /// What `y` takes: the line of the hit, or all that the window shows.
    pub(super) fn text(&self) -> String {
        if let Some(line) = self.search.as_ref().and_then(|search| self.line(search.at?)) {
            return line.text.clone();
        }
        let mut rows = self.size.get().1;
        let mut out = Vec::new();
        let mut number = self.top.unwrap_or_else(|| self.tail()).0;
        while let Some(line) = self.line(number).filter(|_| rows > 0) {
            out.push(format!("{}{}", " ".repeat(line.indent), line.text));
            rows = rows.saturating_sub(self.rows(number).len().max(1));
            number += 1;
        }
        out.join("\n")
    }

    /// The lower edge of the pane: whether it is live, and where the window is.
    pub(super) fn note(&self) -> String {
        let what = match &self.standing {
            Standing::Idle => "..",
            Standing::Live => "live",
            Standing::Lost(_) => "connection lost, trying again",
            Standing::Ended => "ended",
            Standing::Failed(_) => "r tries again",
        };
        match self.top {
            None => format!("{what}  end"),
            Some(_) if self.end() > self.seen => format!("{what}  new output below, G"),
            Some((line, _)) => format!("{what}  line {} of {}, G end", line - self.first + 1, self.lines.len()),
        }
    }

    /// Whether there is nothing to show.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Draws the window.
    pub(super) fn draw(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let mut area = area.intersection(canvas.buf.area);
        if area.height == 0 || area.width == 0 {
            return;
        }
        if self.left_out > 0 && self.top.is_some_and(|(line, _)| line <= self.first) && area.height > 2 {
            let what = if self.left_out == 1 { "1 older event is".to_owned() } else { format!("{} older events are", self.left_out) };
            put(canvas.buf, area, 0, 0, &format!("{what} left out here; `loopsy task show` has them"), canvas.look.style(Role::Faint));
            area = Rect { y: area.y + 1, height: area.height - 1, ..area };
        }
        self.size.set((usize::from(area.width), usize::from(area.height)));
        let (mut number, mut skip) = self.top.unwrap_or_else(|| self.tail());
        let mut y = 0;
        while let Some(line) = self.line(number).filter(|_| y < area.height) {
            for row in self.rows(number).iter().skip(skip) {
                if y >= area.height {
                    break;
                }
                put(canvas.buf, area, line.indent as u16, y, row, canvas.look.style(line.role));
                self.mark(area, canvas, line.indent, y, number, row);
                y += 1;
            }
            (number, skip) = (number + 1, 0);
        }
    }

    /// Shows the hits in a row.
    fn mark(&self, area: Rect, canvas: &mut Canvas<'_>, indent: usize, y: u16, number: u64, row: &str) {
        let Some(search) = self.search.as_ref().filter(|search| !search.text.is_empty()) else { return };
        let lower = if search.exact { row.to_owned() } else { row.to_lowercase() };
        // Where small letters are longer than capital ones, places would not fit.
        if lower.len() != row.len() {
            return;
        }
        let role = if search.at == Some(number) { Role::HitNow } else { Role::Hit };
        for (at, hit) in lower.match_indices(&search.text) {
            let Some((before, text)) = row.get(..at).zip(row.get(at..at + hit.len())) else { continue };
            let column = indent + width(before);
            let place = Rect { x: area.x.saturating_add(column as u16), y: area.y + y, width: width(text) as u16, height: 1 };
            canvas.buf.set_style(place.intersection(area), canvas.look.style(role));
        }
    }
}

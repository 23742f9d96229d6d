//! What is shown of an approval, as rows of a width, and which of them a person has had before their eyes.
//!
//! A line counts as seen when all of its rows were drawn at one width. What was seen stays so at another width; what was not never becomes so by itself.

use std::{
    cell::{Cell, RefCell},
    ops::Range,
};

use ratatui::layout::Rect;

use crate::{
    app::Canvas,
    card::{Entry, Line, Part, Tone},
    keymap::Command,
    look::Role,
    widgets::{
        pane::Pane,
        text::{put, width},
    },
};

/// Below this many columns, or rows, everything is scrolled and nothing stands still.
const ROOM: (u16, u16) = (60, 13);
/// The pane with what is scrolled is not made smaller than this for what stands below it.
const LEAST: usize = 6;

/// What is to be shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Doc {
    /// The lines: the head's first, the foot's last.
    pub(super) entries: Vec<Entry>,
    /// Which of them stand side by side, where that is wanted and there is room.
    pub(super) beside: Vec<Beside>,
}

/// Lines of a diff side by side.
#[derive(Debug, Clone)]
pub(super) enum Beside {
    /// One over the whole width.
    Whole(usize),
    /// The same at both sides, with its number before at the left.
    Same(usize, Box<Entry>),
    /// Before and after.
    Two(Option<usize>, Option<usize>),
}

#[derive(Debug)]
struct Row {
    line: Line,
    of: [Option<usize>; 2],
    hunk: bool,
}

/// What the rows were made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// Columns of a row.
    pub(super) columns: usize,
    /// Before and after side by side.
    pub(super) beside: bool,
    /// Which state of what is shown.
    pub(super) version: u64,
}

#[derive(Debug)]
struct Rows {
    size: Size,
    rows: Vec<Row>,
    seen: Vec<bool>,
    unseen: usize,
    /// Rows of each entry that were not seen.
    left: Vec<usize>,
    /// Where the body is among the rows.
    body: Range<usize>,
}

/// The page.
#[derive(Debug, Default)]
pub(super) struct Page {
    rows: RefCell<Option<Rows>>,
    /// The entries of which every row was seen.
    known: RefCell<Vec<bool>>,
    /// The first row of the window, counted from the first of all.
    top: Cell<usize>,
    height: Cell<usize>,
}

/// How a page was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Drawn {
    /// Rows used.
    pub(super) used: u16,
    /// Rows below the window.
    pub(super) below: usize,
}

impl Page {
    /// Rows that were not seen at this width. All of them, and more, when nothing was drawn yet.
    pub(super) fn unseen(&self) -> usize {
        self.rows.borrow().as_ref().map_or(usize::MAX, |rows| rows.unseen)
    }

    /// Moves the window.
    pub(super) fn scroll(&self, command: Command) {
        let (top, page) = (self.top.get(), self.height.get().max(1));
        let rows = self.rows.borrow();
        let mut hunks = rows.iter().flat_map(|rows| rows.rows.iter().enumerate().filter(|(_, row)| row.hunk).map(|(at, _)| at));
        self.top.set(match command {
            Command::Up => top.saturating_sub(1),
            Command::Down => top + 1,
            Command::PageUp => top.saturating_sub(page),
            Command::PageDown => top + page,
            Command::HalfUp => top.saturating_sub(page.div_ceil(2)),
            Command::HalfDown => top + page.div_ceil(2),
            Command::Top => 0,
            Command::End => usize::MAX / 2,
            Command::NextHunk => hunks.find(|at| *at > top).unwrap_or(top),
            Command::PreviousHunk => hunks.rfind(|at| *at < top).unwrap_or(top),
            _ => top,
        });
    }

    /// Whether it has changes to go to.
    pub(super) fn has_hunks(&self) -> bool {
        self.rows.borrow().as_ref().is_some_and(|rows| rows.rows.iter().any(|row| row.hunk))
    }

    /// Columns that rows have in an area: with a pane around what is scrolled, or without.
    pub(super) fn columns(area: Rect) -> usize {
        usize::from(if framed(area) { area.width.saturating_sub(4) } else { area.width })
    }

    /// Draws it. `counts` says whether what is drawn is before the person's eyes.
    pub(super) fn draw(&self, doc: impl FnOnce() -> Doc, size: Size, title: &str, area: Rect, counts: bool, canvas: &mut Canvas<'_>) -> Drawn {
        self.build(doc, size);
        let mut borrowed = self.rows.borrow_mut();
        let Some(rows) = borrowed.as_mut() else { return Drawn { used: 0, below: 0 } };
        let all = rows.rows.len();
        let room = usize::from(area.height);
        if !framed(area) {
            let window = self.window(0..all, room);
            let below = all - window.end;
            let used = window.len() as u16;
            rows.draw(window, area, 0, 0, counts, canvas);
            drop(borrowed);
            self.remember();
            return Drawn { used, below };
        }
        let (head, foot) = (rows.body.start, all - rows.body.end);
        let still = head <= room / 3;
        let body = rows.body.len();
        let standing = still && head + foot + 2 + body.min(LEAST) <= room;
        let scrolled = (if still { head } else { 0 })..(if standing { rows.body.end } else { all });
        let mut row = 0;
        if still {
            rows.draw(0..head, area, 2, 0, counts, canvas);
            row = head;
        }
        let high = (room - row - if standing { foot } else { 0 }).min(scrolled.len() + 2);
        let window = self.window(scrolled.clone(), high.saturating_sub(2));
        let below = scrolled.end - window.end;
        let hunk = rows.hunk_of(window.start);
        let lines =
            format!("  lines {}-{} of {}", window.start - scrolled.start + usize::from(!window.is_empty()), window.end - scrolled.start, scrolled.len());
        let note = if below > 0 { format!("{below} more below") } else { String::new() };
        let place = Rect { y: area.y + row as u16, height: high as u16, ..area };
        let inside = Pane { title: &format!("{title}{hunk}{lines}"), note: &note, focused: true, input: false }.draw(place, canvas);
        rows.draw(window, inside, 1, 0, counts, canvas);
        row += high;
        if standing {
            rows.draw(rows.body.end..all, area, 2, row as u16, counts, canvas);
            row += foot;
        }
        drop(borrowed);
        self.remember();
        Drawn { used: row as u16, below }
    }

    /// The rows of a range that fit, with the top moved into it.
    fn window(&self, range: Range<usize>, height: usize) -> Range<usize> {
        let last = range.end.saturating_sub(height).max(range.start);
        let top = self.top.get().clamp(range.start, last);
        self.top.set(top);
        self.height.set(height);
        top..(top + height).min(range.end)
    }

    fn build(&self, doc: impl FnOnce() -> Doc, size: Size) {
        let mut rows = self.rows.borrow_mut();
        if rows.as_ref().is_some_and(|rows| rows.size == size) {
            return;
        }
        let doc = doc();
        let at = rows.as_ref().and_then(|rows| rows.rows.get(self.top.get())).and_then(|row| row.of.iter().flatten().next().copied());
        let mut known = self.known.borrow_mut();
        known.resize(doc.entries.len(), false);
        let made = Rows::new(&doc, size, &known);
        if let Some(entry) = at.filter(|_| self.top.get() > 0) {
            self.top.set(made.rows.iter().position(|row| row.of.contains(&Some(entry))).unwrap_or(0));
        }
        *rows = Some(made);
    }

    /// Takes over what became known while it was drawn.
    fn remember(&self) {
        if let (Some(rows), mut known) = (self.rows.borrow().as_ref(), self.known.borrow_mut()) {
            for (entry, left) in rows.left.iter().enumerate() {
                if *left == 0
                    && let Some(known) = known.get_mut(entry)
                {
                    *known = true;
                }
            }
        }
    }
}

fn framed(area: Rect) -> bool {
    area.width >= ROOM.0 && area.height >= ROOM.1
}

impl Rows {
    fn new(doc: &Doc, size: Size, known: &[bool]) -> Self {
        let beside = size.beside && !doc.beside.is_empty();
        let in_diff = |entry: usize| {
            doc.beside.iter().any(|row| match row {
                Beside::Whole(at) | Beside::Same(at, _) => *at == entry,
                Beside::Two(left, right) => [*left, *right].contains(&Some(entry)),
            })
        };
        let mut rows = Vec::new();
        let mut done = false;
        let mut body = None;
        let mut end = 0;
        for (index, entry) in doc.entries.iter().enumerate() {
            if matches!(entry.part, Part::Body | Part::Hunk) {
                body.get_or_insert(rows.len());
            }
            if beside && !done && in_diff(index) {
                doc.beside.iter().for_each(|pair| side_by_side(doc, pair, size.columns, &mut rows));
                done = true;
            } else if !(beside && done && in_diff(index)) {
                whole(entry, index, size.columns, &mut rows);
            }
            if matches!(entry.part, Part::Body | Part::Hunk) {
                end = rows.len();
            }
        }
        let body = body.map_or(rows.len()..rows.len(), |start| start..end);
        let seen: Vec<bool> = rows.iter().map(|row| row.of.iter().flatten().all(|entry| known.get(*entry) == Some(&true))).collect();
        let mut left = vec![0; doc.entries.len()];
        for (row, _) in rows.iter().zip(&seen).filter(|(_, seen)| !**seen) {
            row.of.iter().flatten().for_each(|entry| left[*entry] += 1);
        }
        let unseen = seen.iter().filter(|seen| !**seen).count();
        Self { size, rows, seen, unseen, left, body }
    }

    fn draw(&mut self, range: Range<usize>, area: Rect, column: u16, from: u16, counts: bool, canvas: &mut Canvas<'_>) {
        let first = range.start;
        for at in range {
            let row = from.saturating_add((at - first) as u16);
            let Some(Row { line, of, .. }) = self.rows.get(at) else { return };
            let mut at_column = column;
            for span in line {
                at_column = put(canvas.buf, area, at_column, row, &span.text, canvas.look.style(role(span.tone)));
            }
            let wide: usize = line.iter().map(|span| width(&span.text)).sum();
            // What was cut, or lies under something else, was not seen.
            let whole = usize::from(area.width) >= usize::from(column) + wide && row < area.height && area.y + row < canvas.covered;
            if counts && whole && !std::mem::replace(&mut self.seen[at], true) {
                self.unseen -= 1;
                of.iter().flatten().for_each(|entry| self.left[*entry] -= 1);
            }
        }
    }

    /// `  hunk 1 of 2`, where there are any.
    fn hunk_of(&self, top: usize) -> String {
        let all = self.rows.iter().filter(|row| row.hunk).count();
        let now = self.rows.iter().take(top + 1).filter(|row| row.hunk).count();
        if all == 0 { String::new() } else { format!("  hunk {} of {all}", now.max(1)) }
    }
}

fn whole(entry: &Entry, index: usize, columns: usize, rows: &mut Vec<Row>) {
    for (piece, line) in entry.wrapped(columns).into_iter().enumerate() {
        rows.push(Row { line, of: [Some(index), None], hunk: piece == 0 && entry.part == Part::Hunk });
    }
}

fn side_by_side(doc: &Doc, pair: &Beside, columns: usize, rows: &mut Vec<Row>) {
    let half = columns.saturating_sub(3) / 2;
    let wrapped = |entry: Option<usize>| entry.and_then(|at| doc.entries.get(at)).map(|entry| entry.wrapped(half)).unwrap_or_default();
    let (left, right, of) = match pair {
        Beside::Whole(at) => return doc.entries.get(*at).into_iter().for_each(|entry| whole(entry, *at, columns, rows)),
        Beside::Same(at, before) => (before.wrapped(half), wrapped(Some(*at)), [Some(*at), None]),
        Beside::Two(left, right) => (wrapped(*left), wrapped(*right), [*left, *right]),
    };
    for row in 0..left.len().max(right.len()) {
        let mut line = left.get(row).cloned().unwrap_or_default();
        let used: usize = line.iter().map(|span| width(&span.text)).sum();
        line.push(crate::card::span(Tone::Faint, format!("{} | ", " ".repeat(half.saturating_sub(used)))));
        line.extend(right.get(row).cloned().unwrap_or_default());
        // A side that has ended is not on this row.
        let of = [of[0].filter(|_| row < left.len() || of[1].is_none()), of[1].filter(|_| row < right.len())];
        rows.push(Row { line, of, hunk: false });
    }
}

pub(super) const fn role(tone: Tone) -> Role {
    match tone {
        Tone::Plain => Role::Text,
        Tone::Faint => Role::Faint,
        Tone::Strong => Role::Strong,
        Tone::Good => Role::Good,
        Tone::Warn => Role::Warn,
        Tone::Bad => Role::Bad,
        Tone::Added => Role::Added,
        Tone::Removed => Role::Removed,
    }
}

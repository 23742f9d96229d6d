//! A list with a selection, a filter and a window that follows it. It holds keys of rows and not rows, so that a change of the world moves nothing under the person.

use ratatui::layout::Rect;

use super::{
    field::Field,
    text::{pad, pad_left, put},
};
use crate::{
    app::Canvas,
    input::{Mouse, MouseKind},
    keymap::Command,
    look::Role,
};

mod choice;

/// Rows that one notch of the wheel moves.
const NOTCH: usize = 3;

/// The state of a list whose rows are known by `K`.
#[derive(Debug)]
pub(crate) struct List<K> {
    selected: Option<K>,
    /// Where the selected row was last, for when it is gone.
    place: usize,
    /// Rows above the window; kept by the view's last size.
    top: std::cell::Cell<usize>,
    height: std::cell::Cell<usize>,
    filter: Option<Field>,
    /// The filter takes the keys.
    filtering: bool,
    /// What is sorted by, and whether backwards; the order of the caller when none.
    sort: Option<(&'static str, bool)>,
    /// Where the rows were drawn last, and how many lines each has.
    place_of_rows: std::cell::Cell<(Rect, u16)>,
}

impl<K> Default for List<K> {
    fn default() -> Self {
        Self { selected: None, place: 0, top: 0.into(), height: 1.into(), filter: None, filtering: false, sort: None, place_of_rows: Default::default() }
    }
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    /// Its heading.
    pub(crate) name: &'static str,
    /// Its columns on the screen; 0 takes what is left.
    pub(crate) width: u16,
    /// Numbers are at the right.
    pub(crate) right: bool,
}

impl Column {
    /// At the left.
    pub(crate) const fn new(name: &'static str, width: u16) -> Self {
        Self { name, width, right: false }
    }

    /// At the right.
    pub(crate) const fn right(name: &'static str, width: u16) -> Self {
        Self { name, width, right: true }
    }
}

/// A cell of a table.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    /// What it says; made inert when it is drawn.
    pub(crate) text: String,
    /// How.
    pub(crate) role: Role,
}

/// A cell with plain text.
pub(crate) fn cell(text: impl Into<String>) -> Cell {
    Cell { text: text.into(), role: Role::Text }
}

/// A cell in a role.
pub(crate) fn styled(text: impl Into<String>, role: Role) -> Cell {
    Cell { text: text.into(), role }
}

impl<K: Clone + PartialEq> List<K> {
    /// The row that is selected among these, by its place. Where it is gone, the one that took its place.
    pub(crate) fn at(&self, keys: &[K]) -> Option<usize> {
        // Most often it is where it was: nothing is searched then.
        let there = self.selected.as_ref().filter(|selected| keys.get(self.place) == Some(selected)).map(|_| self.place);
        let known = there.or_else(|| self.selected.as_ref().and_then(|selected| keys.iter().position(|key| key == selected)));
        known.or_else(|| keys.len().checked_sub(1).map(|last| self.place.min(last)))
    }

    /// The selected row's key among these.
    pub(crate) fn selected<'a>(&self, keys: &'a [K]) -> Option<&'a K> {
        self.at(keys).and_then(|at| keys.get(at))
    }

    /// Selects a row.
    pub(crate) fn select(&mut self, key: K, keys: &[K]) {
        self.place = keys.iter().position(|known| *known == key).unwrap_or(self.place);
        self.selected = Some(key);
    }

    /// Moves; whether the command was one that moves.
    pub(crate) fn act(&mut self, command: Command, keys: &[K]) -> bool {
        let Some(last) = keys.len().checked_sub(1) else {
            return matches!(
                command,
                Command::Up | Command::Down | Command::Top | Command::End | Command::PageUp | Command::PageDown | Command::HalfUp | Command::HalfDown
            );
        };
        let at = self.at(keys).unwrap_or(0);
        let page = self.height.get().max(2);
        let to = match command {
            Command::Up => at.saturating_sub(1),
            Command::Down => at + 1,
            Command::Top => 0,
            Command::End => last,
            Command::PageUp => at.saturating_sub(page - 1),
            Command::PageDown => at + page - 1,
            Command::HalfUp => at.saturating_sub(page / 2),
            Command::HalfDown => at + page / 2,
            _ => return false,
        };
        self.place = to.min(last);
        self.selected = keys.get(self.place).cloned();
        true
    }

    /// Selects the row under the mouse, when the table was drawn here; whether it did.
    pub(crate) fn click(&mut self, area: Rect, column: u16, row: u16, keys: &[K]) -> bool {
        if !area.contains((column, row).into()) || row == area.y {
            return false;
        }
        let Some(key) = keys.get(self.top.get() + usize::from(row - area.y - 1)) else { return false };
        self.select(key.clone(), keys);
        true
    }

    /// The mouse over the rows as they were drawn last: a click selects, the wheel moves. Whether it was one of them.
    pub(crate) fn mouse(&mut self, mouse: &Mouse, keys: &[K]) -> bool {
        let (area, lines) = self.place_of_rows.get();
        if !area.contains((mouse.column, mouse.row).into()) {
            return false;
        }
        let Some(last) = keys.len().checked_sub(1) else { return true };
        let at = self.at(keys).unwrap_or(0);
        let to = match mouse.kind {
            MouseKind::Down(0) => self.top.get() + usize::from((mouse.row - area.y) / lines.max(1)),
            MouseKind::ScrollUp => at.saturating_sub(NOTCH),
            MouseKind::ScrollDown => (at + NOTCH).min(last),
            _ => return true,
        };
        if let Some(key) = keys.get(to) {
            (self.place, self.selected) = (to, Some(key.clone()));
        }
        true
    }

    /// Draws a table: headings, then the rows that fit; `row` is asked only for those.
    pub(crate) fn table(&self, area: Rect, canvas: &mut Canvas<'_>, focused: bool, columns: &[Column], keys: &[K], row: impl Fn(&K) -> Vec<Cell>) {
        let area = area.intersection(canvas.buf.area);
        if area.height == 0 || area.width < 3 {
            return;
        }
        let fixed: u16 = columns.iter().map(|column| if column.width == 0 { 1 } else { column.width + 1 }).sum();
        let left = area.width.saturating_sub(fixed + 2);
        let widths: Vec<u16> = columns.iter().map(|column| if column.width == 0 { left } else { column.width }).collect();
        let mut at = 2;
        for (column, wide) in columns.iter().zip(&widths) {
            let mark = self.sort.filter(|(name, _)| *name == column.name).map_or("", |(_, backwards)| if backwards { "v" } else { "^" });
            let name = format!("{}{mark}", column.name);
            let name = if column.right { pad_left(&name, usize::from(*wide)) } else { pad(&name, usize::from(*wide)) };
            put(canvas.buf, area, at, 0, &name, canvas.look.style(Role::Heading));
            at += wide + 1;
        }
        let rows = Rect { y: area.y + 1, height: area.height - 1, ..area };
        let height = usize::from(rows.height);
        self.height.set(height);
        self.place_of_rows.set((rows, 1));
        let selected = self.at(keys);
        let top = self.window(selected.unwrap_or(0), keys.len(), height);
        for (line, (index, key)) in (0..rows.height).zip(keys.iter().enumerate().skip(top)) {
            let chosen = selected == Some(index);
            let bar = canvas.look.style(if focused && canvas.focused { Role::Selection } else { Role::SelectionFaint });
            if chosen {
                canvas.buf.set_style(Rect { y: rows.y + line, height: 1, ..rows }, bar);
                put(canvas.buf, rows, 0, line, ">", bar);
            }
            let mut at = 2;
            for (cell, (column, wide)) in row(key).into_iter().zip(columns.iter().zip(&widths)) {
                let wide = usize::from(*wide);
                let text = if column.right { pad_left(&cell.text, wide) } else { pad(&cell.text, wide) };
                let style = if chosen && focused && canvas.focused { bar } else { canvas.look.style(cell.role) };
                put(canvas.buf, rows, at, line, &text, style);
                at += wide as u16 + 1;
            }
        }
    }

    /// Draws rows of several lines each, as many as fit whole; `row` is asked only for those, with its area and whether it is the selected one.
    pub(crate) fn cards(&self, area: Rect, canvas: &mut Canvas<'_>, lines: u16, keys: &[K], mut row: impl FnMut(&K, Rect, bool, &mut Canvas<'_>)) {
        let area = area.intersection(canvas.buf.area);
        let lines = lines.max(1);
        let height = usize::from(area.height / lines);
        self.height.set(height);
        self.place_of_rows.set((area, lines));
        let selected = self.at(keys);
        let top = self.window(selected.unwrap_or(0), keys.len(), height);
        for (line, (index, key)) in (0..height as u16).zip(keys.iter().enumerate().skip(top)) {
            row(key, Rect { y: area.y + line * lines, height: lines, ..area }, selected == Some(index), canvas);
        }
    }

    /// Rows above the window, so that the selected one is in it and it moves as little as it can.
    fn window(&self, selected: usize, rows: usize, height: usize) -> usize {
        let top = self.top.get().min(rows.saturating_sub(height));
        let top = if selected < top {
            selected
        } else if height > 0 && selected >= top + height {
            selected + 1 - height
        } else {
            top
        };
        self.top.set(top);
        top
    }
}

#[cfg(test)]
mod tests;

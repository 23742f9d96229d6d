//! What of the lines is seen: at the end until a person looks elsewhere, then it stands still; copy mode and the search look around in it.

use super::{
    Pane, screen,
    search::Search,
    select::{Kind, Selection},
};
use crate::{app::Cx, keymap::Command};

/// Columns that left and right move where the screen is wider than the pane.
const SIDE: u16 = 8;

impl Pane {
    /// Lines of the pane; the screen's own before it was ever drawn.
    pub(super) fn height(&self) -> i64 {
        let height = self.area.get().height;
        i64::from(if height == 0 { self.screen.as_ref().map_or(1, |screen| screen.size().rows) } else { height })
    }

    /// The line at the top when the view is at the end: the screen's first, or further down as far as the cursor needs.
    pub(super) fn end_top(&self) -> i64 {
        let Some(screen) = &self.screen else { return 0 };
        let (rows, height) = (i64::from(screen.size().rows), self.height());
        let (_, row, _) = screen.cursor();
        self.base + (i64::from(row) - height + 1).clamp(0, (rows - height).max(0))
    }

    /// The line at the top.
    pub(super) fn view_top(&self) -> i64 {
        match (self.top, self.lines()) {
            // The pane may have grown since.
            (Some(top), Some(lines)) => top.min((lines.last() + 1 - self.height()).max(lines.base)),
            _ => self.end_top(),
        }
    }

    /// The column at the left: the cursor that a person moves is always seen.
    pub(super) fn view_left(&self, width: u16) -> u16 {
        let Some(screen) = &self.screen else { return 0 };
        let most = screen.size().cols.saturating_sub(width);
        let cursor = match &self.select {
            Some(select) => Some(select.at.1),
            None if self.input => Some(screen.cursor().0),
            None => None,
        };
        let pan = self.pan.min(most);
        match cursor {
            Some(column) if column < pan => column,
            Some(column) if width > 0 && column >= pan + width => (column + 1 - width).min(most),
            _ => pan,
        }
    }

    /// Goes to the end, where new output is seen.
    pub(super) fn end(&mut self) {
        (self.top, self.fresh, self.pan) = (None, false, 0);
        // More lines than usual are only kept while somebody looks at them.
        if self.lines > screen::LINES {
            self.lines = screen::LINES;
            if let Some(screen) = &mut self.screen {
                screen.keep(self.lines);
            }
        }
    }

    /// Stands still with this line at the top, as far as there are lines.
    pub(super) fn stand(&mut self, top: i64) {
        let Some(lines) = self.lines() else { return };
        self.top = Some(top.clamp(lines.first(), (lines.last() + 1 - self.height()).max(lines.base)));
    }

    /// Moves by lines; at the end it follows the program again.
    pub(super) fn scroll(&mut self, by: i64) {
        self.stand(self.view_top().saturating_add(by));
        if by > 0 && self.top == Some(self.end_top()) {
            self.end();
        }
    }

    /// Moves what is seen, or the cursor of copy mode; whether the command was one that moves.
    pub(super) fn move_by(&mut self, command: Command) -> bool {
        let page = self.height();
        let Some(lines) = self.screen.as_deref().map(|screen| super::Lines { screen, base: self.base }) else { return false };
        if let Some(select) = &mut self.select {
            let moved = select.act(command, lines, page);
            if moved {
                self.show_line(self.select.map_or(0, |select| select.at.0));
            }
            return moved;
        }
        match command {
            Command::Up => self.scroll(-1),
            Command::Down => self.scroll(1),
            Command::PageUp => self.scroll(1 - page.max(2)),
            Command::PageDown => self.scroll(page.max(2) - 1),
            Command::HalfUp => self.scroll(-(page / 2).max(1)),
            Command::HalfDown => self.scroll((page / 2).max(1)),
            Command::Top => self.stand(i64::MIN),
            Command::End => self.end(),
            Command::Left => self.pan = self.pan.saturating_sub(SIDE),
            Command::Right => {
                let most = lines.edge().saturating_add(1).saturating_sub(self.area.get().width);
                self.pan = (self.pan + SIDE).min(most);
            }
            _ => return false,
        }
        true
    }

    /// Scrolls no further than needed for a line to be seen.
    fn show_line(&mut self, line: i64) {
        let (top, height) = (self.view_top(), self.height());
        if line < top {
            self.stand(line);
        } else if line >= top + height {
            self.stand(line + 1 - height);
        } else {
            self.stand(top);
        }
    }

    /// `v`, `V`, Ctrl-v: the first one begins copy mode, where the program's cursor is if that is seen.
    pub(super) fn select(&mut self, command: Command) {
        let kind = match command {
            Command::SelectLines => Kind::Lines,
            Command::SelectBlock => Kind::Block,
            _ => Kind::Characters,
        };
        match &mut self.select {
            Some(select) => select.toggle(kind),
            None => {
                let Some(lines) = self.lines() else { return };
                let (top, height) = (self.view_top(), self.height());
                let (column, row, _) = lines.screen.cursor();
                let cursor = (self.base + i64::from(row), column);
                let at = match self.search.as_ref().and_then(Search::now) {
                    Some(hit) => hit.from,
                    None if (top..top + height).contains(&cursor.0) => cursor,
                    None => (top + height - 1, 0),
                };
                let mut select = Selection::new(lines.clamp(at));
                if command != Command::Select {
                    select.toggle(kind);
                }
                self.select = Some(select);
                self.show_line(at.0);
            }
        }
    }

    /// Copies what is selected; else the line of the hit or of the cursor, or the last one with anything on it.
    pub(super) fn copy(&mut self, cx: &mut Cx<'_>) {
        let Some(lines) = self.lines() else {
            cx.note("Nothing of the terminal is known yet.");
            return;
        };
        let text = match &self.select {
            Some(select) => select.text(lines),
            None => {
                let hit = self.search.as_ref().and_then(Search::now).map(|hit| hit.from.0);
                let from = match (hit, self.top) {
                    (Some(line), _) => line,
                    (None, Some(top)) => (top + self.height() - 1).min(lines.last()),
                    (None, None) => self.base + i64::from(lines.screen.cursor().1),
                };
                let line = (lines.first()..=from).rev().find(|line| !lines.is_blank(*line)).unwrap_or(from);
                let (from, to) = lines.whole(line);
                lines.copy((from, 0), (to, lines.edge()))
            }
        };
        if text.trim().is_empty() {
            cx.note("There is nothing but blanks to copy.");
        } else {
            cx.copy(text);
            self.select = None;
        }
    }

    /// Leaves copy mode, or the search; whether there was one.
    pub(super) fn back(&mut self) -> bool {
        if self.select.take().is_some() {
            return true;
        }
        let searched = self.search.is_some();
        self.end_search();
        searched
    }

    pub(super) fn begin_search(&mut self) {
        let before = self.search.take().map_or(self.top, |search| search.before);
        self.search = Some(Search::new(before));
    }

    /// The view goes back to where it was.
    pub(super) fn end_search(&mut self) {
        let Some(search) = self.search.take() else { return };
        match search.before {
            Some(top) => self.stand(top),
            None if search.has_hits() && !search.typing => {}
            None => self.end(),
        }
    }

    /// Another pattern: to the newest hit that is seen or above.
    pub(super) fn look(&mut self) {
        let up_to = self.search.as_ref().map_or(0, |search| search.before.unwrap_or_else(|| self.end_top())) + self.height() - 1;
        let (Some(screen), Some(search)) = (self.screen.as_deref(), &mut self.search) else { return };
        search.look(super::Lines { screen, base: self.base }, up_to);
        self.show_hit();
    }

    /// Goes to the next hit above, or below; whether something is searched.
    pub(super) fn step(&mut self, up: bool) -> bool {
        let (Some(screen), Some(search)) = (self.screen.as_deref(), &mut self.search) else { return false };
        search.step(up, super::Lines { screen, base: self.base });
        self.show_hit();
        true
    }

    /// Brings the hit into the middle when it is not seen.
    fn show_hit(&mut self) {
        let Some(hit) = self.search.as_ref().and_then(Search::now) else { return };
        let (top, height) = (self.view_top(), self.height());
        if (top..top + height).contains(&hit.from.0) {
            self.stand(top)
        } else {
            self.stand(hit.from.0 - height / 2)
        }
        if let Some(select) = &mut self.select {
            select.at = hit.from;
        }
    }
}

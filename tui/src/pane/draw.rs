//! How a pane looks.

use ratatui::{
    layout::{Position, Rect},
    style::Style,
};

use super::{Pane, State, screen::Glyph};
use crate::{
    app::Canvas,
    keymap::{Command, Keymap, Scope},
    look::Role,
    tabs::TabId,
    widgets::{
        self,
        text::{fit, put, wrap},
    },
};

/// Columns of the name in the status line.
const NAME: usize = 32;

impl Pane {
    /// Draws it with a line around; `focused` when it has the keys of NAV.
    pub(crate) fn view(&self, area: Rect, canvas: &mut Canvas<'_>, focused: bool) {
        let area = area.intersection(canvas.buf.area);
        let inner = Rect { width: area.width.saturating_sub(2), height: area.height.saturating_sub(2), ..area };
        let note = self.note(inner, canvas.keymap);
        let inside = widgets::pane::Pane { title: &self.name, note: &note, focused, input: self.input }.draw(area, canvas);
        self.area.set(inside);
        if inside.width == 0 || inside.height == 0 {
            return;
        }
        if self.screen.is_some() {
            self.screen_in(inside, canvas, focused);
        }
        let text = match &self.link {
            State::Gone(why) => match key(canvas.keymap, Command::Refresh) {
                Some(key) => format!("{why} {key} tries again."),
                None => why.clone(),
            },
            State::Connecting if self.screen.is_none() => "Connecting.".to_owned(),
            State::Lost(why) if self.screen.is_none() => format!("No connection ({why}). Trying again."),
            _ => return,
        };
        // Below what was there last, where there is room.
        let lines = wrap(&text, usize::from(inside.width).saturating_sub(2));
        let shown = (lines.len() as u16).min(inside.height);
        let from = if self.screen.is_some() { inside.height - shown } else { 0 };
        for (row, line) in (from..).zip(lines.iter().take(usize::from(shown))) {
            let role = if matches!(self.link, State::Gone(_)) { Role::Bad } else { Role::Faint };
            let line = widgets::text::pad(line, usize::from(inside.width).saturating_sub(1));
            put(canvas.buf, inside, 1, row, &line, canvas.look.style(role));
        }
    }

    fn screen_in(&self, area: Rect, canvas: &mut Canvas<'_>, focused: bool) {
        let Some(lines) = self.lines() else { return };
        let (top, left) = (self.view_top(), self.view_left(area.width));
        let end = top + i64::from(area.height);
        let stale = matches!(self.link, State::Lost(_) | State::Gone(_)).then(|| canvas.look.style(Role::Stale));
        for (row, line) in (top..end.min(lines.last() + 1)).enumerate() {
            let y = area.y + row as u16;
            let Ok(at) = i32::try_from(line - self.base) else { continue };
            lines.screen.glyphs(at, &mut |glyph| cell(&glyph, area, left, y, stale, canvas));
        }
        if let Some(search) = &self.search {
            for (hit, now) in search.on(lines, top, end - 1) {
                let style = canvas.look.style(if now { Role::HitNow } else { Role::Hit });
                for line in hit.from.0.max(top)..=hit.to.0.min(end - 1) {
                    let from = if line == hit.from.0 { hit.from.1 } else { 0 };
                    let to = if line == hit.to.0 { hit.to.1 } else { lines.edge() };
                    paint((line - top) as u16, from, to, left, area, style, canvas);
                }
            }
        }
        let Some(select) = &self.select else {
            let (column, row, visible) = lines.screen.cursor();
            let line = self.base + i64::from(row);
            if self.input && visible && canvas.focused && (top..end).contains(&line) && (left..left + area.width).contains(&column) {
                canvas.caret = Some(Position { x: area.x + column - left, y: area.y + (line - top) as u16 });
            }
            return;
        };
        let style = canvas.look.style(Role::Chosen);
        for (row, line) in (top..end).enumerate() {
            if let Some((from, to)) = select.columns(line, lines.edge()) {
                paint(row as u16, from, to, left, area, style, canvas);
            }
        }
        let (line, column) = select.at;
        if focused && canvas.focused && (top..end).contains(&line) && (left..left + area.width).contains(&column) {
            canvas.caret = Some(Position { x: area.x + column - left, y: area.y + (line - top) as u16 });
        }
    }

    /// For the lower edge: what is special about what is seen.
    fn note(&self, inside: Rect, keymap: &Keymap) -> String {
        let mut notes = Vec::new();
        match &self.link {
            State::Lost(_) => notes.push("connection lost, trying again".to_owned()),
            State::Ended(exit) => notes.push(match &exit.signal {
                Some(signal) => format!("ended by {signal}"),
                None => format!("ended with code {}", exit.shell_code()),
            }),
            State::Gone(_) => notes.push("not connected".to_owned()),
            // What is seen is what was there last.
            State::Connecting if self.screen.is_some() => notes.push("connecting".to_owned()),
            State::Connecting | State::Up => {}
        }
        if let Some(search) = &self.search {
            notes.push(search.word());
        }
        if let Some(lines) = self.lines() {
            let size = lines.screen.size();
            if let Some(top) = self.top {
                let up = self.end_top() - top;
                if top <= lines.first() && lines.screen.is_cut() {
                    notes.push(match key(keymap, Command::Older) {
                        Some(key) => format!("older lines are at the node: {key}"),
                        None => "older lines are at the node".to_owned(),
                    });
                }
                if up > 0 {
                    notes.push(format!("scrolled -{up}"));
                }
                if self.fresh {
                    notes.push("new output below".to_owned());
                }
            }
            if self.missed > 0 {
                notes.push(format!("{} not seen", loopsy_shared::text::bytes(self.missed)));
            }
            if size.cols > inside.width || size.rows > inside.height {
                notes.push(format!("{}x{} cropped", size.cols, size.rows));
            }
        }
        if self.input {
            notes.push(format!("INPUT {}x{}", inside.width, inside.height));
        }
        notes.join("  ")
    }

    /// For the status line.
    pub(crate) fn status(&self) -> String {
        let name = fit(&self.name, NAME);
        if self.input {
            return match &self.link {
                State::Ended(_) => format!("{name} has ended: nothing is typed any more"),
                State::Gone(_) => format!("{name} is not connected: nothing is typed"),
                State::Lost(_) => format!("-> {name} | connection lost, trying again: nothing is typed"),
                State::Connecting | State::Up => format!("-> {name} | every key goes to the program"),
            };
        }
        let mut parts = vec![name];
        if let Some(select) = &self.select {
            parts.push(select.word().to_owned());
        }
        if let (Some(lines), Some(top)) = (self.lines(), self.top) {
            let all = lines.last() - lines.first() + 1;
            let below = if self.fresh { ", new output below" } else { "" };
            parts.push(format!("line {} of {all} (scrolled{below})", top - lines.first() + 1));
        }
        if let Some(search) = &self.search {
            parts.push(search.word());
        }
        parts.join(" | ")
    }
}

/// The key of a command, for texts that name one. Where it is not the terminal tab's it is the same by default.
fn key(keymap: &Keymap, command: Command) -> Option<String> {
    keymap.key_of(&[Scope::Tab(TabId::Terminal), Scope::Everywhere], command).map(|key| key.to_string())
}

/// One character into its place, if that is seen.
fn cell(glyph: &Glyph<'_>, area: Rect, left: u16, y: u16, stale: Option<Style>, canvas: &mut Canvas<'_>) {
    let Some(column) = glyph.column.checked_sub(left).filter(|column| *column < area.width) else {
        return;
    };
    let mut style = stale.map_or(glyph.style, |stale| glyph.style.patch(stale));
    // As many colours as the person's terminal has, or wants.
    for color in [&mut style.fg, &mut style.bg, &mut style.underline_color] {
        *color = color.map(|color| canvas.look.pane_color(color));
    }
    let x = area.x + column;
    let fits = !glyph.wide || column + 1 < area.width;
    let own = canvas.look.ascii && glyph.symbol.starts_with('\u{fffd}');
    let Some(cell) = canvas.buf.cell_mut((x, y)) else { return };
    cell.set_symbol(match (fits, own) {
        (false, _) => " ",
        (true, false) => glyph.symbol,
        (true, true) => {
            if glyph.wide {
                "??"
            } else {
                "?"
            }
        }
    });
    cell.set_style(style);
    if glyph.wide
        && fits
        && let Some(next) = canvas.buf.cell_mut((x + 1, y))
    {
        next.reset();
        next.set_style(style);
    }
}

/// Gives columns of a row a style instead of their own.
fn paint(row: u16, from: u16, to: u16, left: u16, area: Rect, style: Style, canvas: &mut Canvas<'_>) {
    let (from, to) = (from.max(left), to.min(left.saturating_add(area.width).saturating_sub(1)));
    if from > to || row >= area.height {
        return;
    }
    let place = Rect { x: area.x + from - left, y: area.y + row, width: to - from + 1, height: 1 };
    canvas.buf.set_style(place, Style::reset().patch(style));
}

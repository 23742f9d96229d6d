//! A pane: a line around, a title, a note in the lower edge.

use ratatui::{
    layout::Rect,
    widgets::{Block, Borders, Clear, Widget},
};

use super::text::{fit, minute, put, width};
use crate::{app::Canvas, look::Role, world::Link};

/// How a pane is drawn.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pane<'a> {
    /// In the upper edge.
    pub(crate) title: &'a str,
    /// In the lower edge, at the right.
    pub(crate) note: &'a str,
    /// It has the keys.
    pub(crate) focused: bool,
    /// What is typed goes into it, or it is a review: double lines.
    pub(crate) input: bool,
}

impl Pane<'_> {
    /// Draws it over whatever is there; what is inside comes back.
    pub(crate) fn draw(self, area: Rect, canvas: &mut Canvas<'_>) -> Rect {
        let area = area.intersection(canvas.buf.area);
        Clear.render(area, canvas.buf);
        canvas.buf.set_style(area, canvas.look.screen());
        if area.width < 2 || area.height < 2 {
            return Rect { width: 0, height: 0, ..area };
        }
        let role = match (self.input, self.focused && canvas.focused) {
            (true, _) => Role::BorderInput,
            (false, true) => Role::BorderFocused,
            (false, false) => Role::Border,
        };
        let style = canvas.look.style(role);
        Block::new().borders(Borders::ALL).border_set(canvas.look.border(self.input)).border_style(style).render(area, canvas.buf);
        let room = usize::from(area.width).saturating_sub(4);
        if !self.title.is_empty() && room > 2 {
            let title = fit(self.title, room - 2);
            put(canvas.buf, area, 2, 0, &format!(" {title} "), canvas.look.style(if self.focused { Role::Title } else { Role::Text }));
        }
        if !self.note.is_empty() && room > 2 {
            let note = format!(" {} ", fit(self.note, room - 2));
            put(canvas.buf, area, area.width.saturating_sub(width(&note) as u16 + 2), area.height - 1, &note, canvas.look.style(Role::Faint));
        }
        Rect { x: area.x + 1, y: area.y + 1, width: area.width - 2, height: area.height - 2 }
    }
}

/// A box in the middle of an area, at most so wide and high.
pub(crate) fn centred(area: Rect, columns: u16, rows: u16) -> Rect {
    let (width, height) = (columns.min(area.width), rows.min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}

/// Dims the area while the daemon does not answer: what is shown there is not fresh.
pub(crate) fn stale(area: Rect, canvas: &mut Canvas<'_>) {
    if matches!(canvas.world.link, Link::Lost(..)) {
        let area = area.intersection(canvas.buf.area);
        canvas.buf.set_style(area, canvas.look.style(Role::Stale));
    }
}

/// `stale 14:02`, while the daemon does not answer; the note otherwise.
pub(crate) fn note(otherwise: &str, canvas: &Canvas<'_>) -> String {
    match &canvas.world.link {
        Link::Lost(since, _) => format!("stale {}", minute(*since, canvas.now.wall)),
        _ => otherwise.to_owned(),
    }
}

//! A box with text to read: lines in roles, scrolled with the keys that move.

use std::cell::Cell;

use ratatui::layout::Rect;

use super::{Flow, Overlay};
use crate::{
    app::{Canvas, Cx},
    keymap::{Command, Scope},
    look::Role,
    widgets::{
        pane::{Pane, centred},
        text::{put, wrap},
    },
};

/// The box.
#[derive(Debug)]
pub(crate) struct Text {
    title: String,
    lines: Vec<(Role, String)>,
    top: Cell<usize>,
    height: Cell<usize>,
}

impl Text {
    /// With these lines; long ones are broken.
    pub(crate) fn new(title: impl Into<String>, lines: Vec<(Role, String)>) -> Self {
        Self { title: title.into(), lines, top: 0.into(), height: 1.into() }
    }

    /// All of it, for copying.
    fn whole(&self) -> String {
        self.lines.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n")
    }
}

impl Overlay for Text {
    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::Box, Scope::Everywhere]
    }

    fn act(&mut self, command: Command, cx: &mut Cx<'_>) -> Flow {
        let (top, page) = (self.top.get(), self.height.get());
        self.top.set(match command {
            Command::Up => top.saturating_sub(1),
            Command::Down => top + 1,
            Command::PageUp => top.saturating_sub(page),
            Command::PageDown => top + page,
            Command::HalfUp => top.saturating_sub(page / 2),
            Command::HalfDown => top + page / 2,
            Command::Top => 0,
            Command::End => usize::MAX / 2,
            Command::Copy => {
                cx.copy(self.whole());
                top
            }
            Command::Back | Command::Open => return Flow::Close,
            _ => top,
        });
        Flow::Stay
    }

    fn mode(&self) -> &'static str {
        "READ"
    }

    fn status(&self) -> String {
        "Esc close   j/k scroll   y copy".to_owned()
    }

    fn view(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let wide = area.width.saturating_sub(4).min(100);
        let lines: Vec<(Role, String)> =
            self.lines.iter().flat_map(|(role, line)| wrap(line, usize::from(wide).saturating_sub(4)).into_iter().map(|line| (*role, line))).collect();
        let place = centred(area, wide, (lines.len() as u16).saturating_add(2).min(area.height));
        let rows = usize::from(place.height.saturating_sub(2));
        self.height.set(rows.max(1));
        self.top.set(self.top.get().min(lines.len().saturating_sub(rows)));
        let below = lines.len().saturating_sub(self.top.get() + rows);
        let note = if below > 0 { format!("{below} more") } else { String::new() };
        let inside = Pane { title: &self.title, focused: true, input: false, note: &note }.draw(place, canvas);
        for (row, (role, line)) in (0..inside.height).zip(lines.iter().skip(self.top.get())) {
            put(canvas.buf, inside, 1, row, line, canvas.look.style(*role));
        }
    }
}

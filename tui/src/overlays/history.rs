//! What Loopsy said before, newest first, with the whole of the chosen line below.

use std::cell::Cell;

use loopsy_shared::time::Millis;
use ratatui::layout::Rect;

use super::{
    Flow, Overlay,
    menu::{step, window},
};
use crate::{
    app::{
        Canvas, Cx,
        toasts::{Toasts, Tone},
    },
    keymap::{Command, Scope},
    look::Role,
    widgets::{
        pane::{Pane, centred},
        text::{clock, fit, put, wrap},
    },
};

/// Its state.
#[derive(Debug)]
pub(crate) struct History {
    said: Vec<(Millis, Tone, String)>,
    at: usize,
    top: Cell<usize>,
    height: Cell<usize>,
}

impl History {
    /// Of all that was said until now.
    pub(crate) fn new(toasts: &Toasts) -> Self {
        let said = toasts.history().rev().map(|toast| (toast.at, toast.tone, toast.text.clone())).collect();
        Self { said, at: 0, top: 0.into(), height: 1.into() }
    }
}

impl Overlay for History {
    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::Box, Scope::Everywhere]
    }

    fn act(&mut self, command: Command, cx: &mut Cx<'_>) -> Flow {
        let page = self.height.get();
        match command {
            Command::Back | Command::Open => return Flow::Close,
            Command::Copy => {
                if let Some((_, _, text)) = self.said.get(self.at) {
                    cx.copy(text.clone());
                }
            }
            Command::Top => self.at = 0,
            Command::End => self.at = self.said.len().saturating_sub(1),
            Command::HalfDown => self.at = step(self.at, self.said.len(), page / 2, Command::PageDown).unwrap_or(self.at),
            Command::HalfUp => self.at = step(self.at, self.said.len(), page / 2, Command::PageUp).unwrap_or(self.at),
            command => self.at = step(self.at, self.said.len(), page, command).unwrap_or(self.at),
        }
        Flow::Stay
    }

    fn mode(&self) -> &'static str {
        "HISTORY"
    }

    fn hints(&self) -> &'static [(&'static str, &'static str)] {
        &[("j/k", "move"), ("y", "copy"), ("Esc", "close")]
    }

    fn status(&self) -> String {
        match self.said.len() {
            0 => String::new(),
            count => format!("{} of {count}, newest first", self.at + 1),
        }
    }

    fn view(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let wide = area.width.saturating_sub(4).clamp(area.width.min(40), 100);
        let inside_wide = usize::from(wide).saturating_sub(4);
        if self.said.is_empty() {
            let lines = wrap("Nothing was said yet. What went well and what failed is kept here, as long as this window is open.", inside_wide);
            let inside = Pane { title: "Said before", focused: true, input: false, note: "" }.draw(centred(area, wide, lines.len() as u16 + 2), canvas);
            for (row, line) in (0..inside.height).zip(&lines) {
                put(canvas.buf, inside, 1, row, line, canvas.look.style(Role::Faint));
            }
            return;
        }
        let mut whole = self.said.get(self.at).map(|(_, _, text)| wrap(text, inside_wide)).unwrap_or_default();
        // The list keeps half of the room.
        whole.truncate(usize::from(area.height / 2).saturating_sub(2).max(1));
        let below = if whole.len() > 1 || area.height > 16 { whole.len() as u16 + 1 } else { 0 };
        let place = centred(area, wide, (self.said.len() as u16).saturating_add(below.max(3) + 2).min(area.height));
        let inside = Pane { title: "Said before", focused: true, input: false, note: "" }.draw(place, canvas);
        let list = Rect { height: inside.height.saturating_sub(below), ..inside };
        self.height.set(usize::from(list.height));
        let top = window(&self.top, self.at, self.said.len(), usize::from(list.height));
        for (row, (index, (at, tone, text))) in (0..list.height).zip(self.said.iter().enumerate().skip(top)) {
            let chosen = index == self.at;
            let (mark, role) = tone.mark();
            let bar = canvas.look.style(Role::Selection);
            if chosen {
                canvas.buf.set_style(Rect { y: list.y + row, height: 1, ..list }, bar);
                put(canvas.buf, list, 1, row, ">", bar);
            }
            let style = |role| if chosen { bar } else { canvas.look.style(role) };
            put(canvas.buf, list, 3, row, &fit(&clock(*at, canvas.now.wall), 8), style(Role::Faint));
            put(canvas.buf, list, 12, row, mark, style(role));
            put(canvas.buf, list, 15, row, &fit(text, usize::from(list.width.saturating_sub(16))), style(Role::Text));
        }
        if below > 0 {
            for (row, line) in (list.height + 1..inside.height).zip(&whole) {
                put(canvas.buf, inside, 1, row, line, canvas.look.style(Role::Text));
            }
        }
    }
}

#[cfg(test)]
mod tests;

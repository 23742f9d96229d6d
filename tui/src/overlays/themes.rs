//! The themes, each shown while it is chosen. Enter keeps it, Esc goes back to the one before.

use std::cell::Cell;

use ratatui::layout::Rect;

use super::{
    Flow, Overlay,
    menu::{step, window},
};
use crate::{
    app::{Canvas, Cx},
    keymap::{Command, Scope},
    look::{Level, Look, Role},
    widgets::{
        pane::{Pane, centred},
        text::{fit, put, wrap},
    },
};

/// Its state.
#[derive(Debug)]
pub(crate) struct Themes {
    /// The theme to go back to.
    before: String,
    at: String,
    top: Cell<usize>,
    height: Cell<usize>,
}

impl Themes {
    /// Beginning with the one that is used.
    pub(crate) fn new(look: &Look) -> Self {
        Self { before: look.theme.clone(), at: look.theme.clone(), top: 0.into(), height: 1.into() }
    }

    fn place(&self, look: &Look) -> usize {
        look.themes().iter().position(|choice| choice.name == self.at).unwrap_or(0)
    }
}

/// Pieces of a screen, so that a theme can be judged.
const SAMPLE: [&[(Role, &str)]; 10] = [
    &[(Role::TabOpen, "[1 Overview]"), (Role::Tab, " 2 Peers "), (Role::Badge, "[!2]")],
    &[(Role::Heading, "NAME       STATE")],
    &[(Role::Selection, "> studio-mac online       ")],
    &[(Role::SelectionFaint, "> win-box    not focused  ")],
    &[(Role::Good, "ok online  "), (Role::Warn, ".. retrying  "), (Role::Bad, "!! failed")],
    &[(Role::Info, "-- a note  "), (Role::Busy, "running  "), (Role::Stale, "not fresh")],
    &[(Role::Added, "+ a line more  "), (Role::Removed, "- a line less")],
    &[(Role::Text, "text "), (Role::Strong, "strong "), (Role::Faint, "faint "), (Role::Hit, "hit"), (Role::Text, " "), (Role::HitNow, "this hit")],
    &[(Role::Chosen, "chosen text"), (Role::Text, " "), (Role::Field, "typed text")],
    &[(Role::ModeNav, "NAV"), (Role::Text, " "), (Role::ModeInput, "INPUT"), (Role::Status, "  status  "), (Role::Key, "?"), (Role::Faint, " help")],
];

impl Overlay for Themes {
    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::Box, Scope::Everywhere]
    }

    fn act(&mut self, command: Command, cx: &mut Cx<'_>) -> Flow {
        let themes = cx.look.themes();
        let last = themes.len().saturating_sub(1);
        let to = match command {
            Command::Back => {
                if let Ok(look) = cx.look.with_theme(&self.before) {
                    cx.set_look(look);
                }
                return Flow::Close;
            }
            Command::Open => {
                return match cx.look.with_theme(&self.at) {
                    Ok(look) => {
                        cx.set_look(look);
                        if self.at != self.before {
                            cx.keep_theme(&self.at);
                            cx.good(format!("The theme is {} from now on.", self.at));
                        }
                        Flow::Close
                    }
                    Err(why) => {
                        cx.note(why);
                        Flow::Stay
                    }
                };
            }
            Command::Top => 0,
            Command::End => last,
            command => match step(self.place(cx.look), themes.len(), self.height.get(), command) {
                Some(to) => to,
                None => return Flow::Stay,
            },
        };
        if let Some(choice) = themes.get(to) {
            self.at.clone_from(&choice.name);
            // One that is broken shows nothing new; its line says what is wrong.
            if let Ok(look) = cx.look.with_theme(&self.at) {
                cx.set_look(look);
            }
        }
        Flow::Stay
    }

    fn mode(&self) -> &'static str {
        "THEME"
    }

    fn hints(&self) -> &'static [(&'static str, &'static str)] {
        &[("j/k", "look at"), ("Enter", "keep"), ("Esc", "go back")]
    }

    fn status(&self) -> String {
        "Your own: themes/*.yaml in the data directory".to_owned()
    }

    fn view(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let look = canvas.look;
        let themes = look.themes();
        let about = themes.get(self.place(look)).map(|choice| match &choice.theme {
            Ok(theme) if look.level == Level::None => (Role::Faint, format!("{}; this terminal shows no colours", theme.about)),
            Ok(theme) => (Role::Faint, theme.about.clone()),
            Err(why) => (Role::Bad, why.clone()),
        });
        let wide = area.width.min(72);
        let below = about.map(|(role, text)| (role, wrap(&text, usize::from(wide).saturating_sub(4)))).unwrap_or((Role::Faint, Vec::new()));
        let rows = themes.len().max(SAMPLE.len()) as u16;
        let place = centred(area, wide, rows + below.1.len() as u16 + 3);
        let inside = Pane { title: "Theme", focused: true, input: false, note: "" }.draw(place, canvas);
        let list = Rect { height: inside.height.saturating_sub(below.1.len() as u16 + 1), ..inside };
        self.height.set(usize::from(list.height));
        let top = window(&self.top, self.place(look), themes.len(), usize::from(list.height));
        // Where there is room for both.
        let names = if inside.width >= 60 { 24 } else { inside.width };
        for (row, choice) in (0..list.height).zip(themes.iter().skip(top)) {
            let style = if choice.name == self.at {
                look.style(Role::Selection)
            } else if choice.theme.is_err() {
                look.style(Role::Bad)
            } else {
                look.style(Role::Text)
            };
            let mark = if choice.name == self.at { ">" } else { " " };
            let note = match (&choice.theme, choice.own) {
                (Err(_), _) => " (broken)",
                (_, true) => " (yours)",
                _ => "",
            };
            let name = fit(&format!("{mark} {}{note}", choice.name), usize::from(names).saturating_sub(2));
            put(canvas.buf, list, 1, row, &name, style);
        }
        if inside.width >= 60 {
            for (row, pieces) in (0..list.height).zip(SAMPLE) {
                let mut column = names + 1;
                for (role, text) in pieces {
                    column = put(canvas.buf, list, column, row, text, look.style(*role));
                }
            }
        }
        for (row, line) in (list.height + 1..inside.height).zip(&below.1) {
            put(canvas.buf, inside, 1, row, line, look.style(below.0));
        }
    }
}

#[cfg(test)]
mod tests;

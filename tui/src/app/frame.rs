//! The frame: tabs with the badge, the line about the daemon, the tab or what lies over it, status, keys, and what Loopsy says.

use std::ops::Range;

use ratatui::layout::{Position, Rect};

use super::{App, Canvas, toasts::Tone};
use crate::{
    event::NoDaemon,
    keymap::{Command, Scope},
    look::Role,
    tabs::{TabId, Typing},
    widgets::text::{clock, put, width, wrap},
    world::Link,
};

/// Below this there is only a line that says so.
pub(crate) const LEAST: (u16, u16) = (40, 10);
/// From this on titles of tabs are whole.
const WIDE: u16 = 100;

impl App {
    /// Draws everything; where the caret is, when somebody types.
    pub(crate) fn view(&self, buf: &mut ratatui::buffer::Buffer) -> Option<Position> {
        let area = buf.area;
        let mut canvas = Canvas {
            buf,
            look: &self.look,
            world: &self.world,
            keymap: &self.keymap,
            now: self.now,
            focused: self.overlays.is_empty(),
            covered: u16::MAX,
            caret: None,
        };
        if area.width < LEAST.0 || area.height < LEAST.1 {
            self.too_small(area, &mut canvas);
            return None;
        }
        self.tab_row(Rect { height: 1, ..area }, &mut canvas);
        let mut body = self.body();
        if let Some((role, text)) = self.banner() {
            let line = Rect { height: 1, ..body };
            put(canvas.buf, line, 0, 0, &format!(" {text}"), canvas.look.style(role));
            body = Rect { y: body.y + 1, height: body.height.saturating_sub(1), ..body };
        }
        self.tabs[self.tab as usize].view(body, &mut canvas);
        canvas.covered = self.toast_lines(body).iter().fold(body.bottom(), |bottom, (_, lines)| bottom.saturating_sub(lines.len() as u16)).max(body.y);
        for (index, (_, overlay)) in self.overlays.iter().enumerate() {
            canvas.focused = index + 1 == self.overlays.len();
            canvas.caret = None;
            overlay.view(body, &mut canvas);
        }
        self.show_toasts(body, &mut canvas);
        self.status_row(Rect { y: area.height - 2, height: 1, ..area }, &mut canvas);
        self.footer(Rect { y: area.height - 1, height: 1, ..area }, &mut canvas);
        canvas.caret
    }

    /// All between the row of tabs and the status line.
    pub(super) fn body(&self) -> Rect {
        let (width, height) = self.settings.size;
        Rect { x: 0, y: 1, width, height: height.saturating_sub(3) }
    }

    fn too_small(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let waiting = self.world.approvals().len();
        let lines = [
            format!("{}x{} is too small, need {}x{}", area.width, area.height, LEAST.0, LEAST.1),
            if waiting == 0 { "Q quits".to_owned() } else { format!("{waiting} waiting for an answer; Q quits") },
        ];
        for (row, line) in (0..area.height).zip(lines) {
            put(canvas.buf, area, 0, row, &line, canvas.look.style(Role::Text));
        }
    }

    /// Where each tab's title is in the first row.
    pub(super) fn tab_places(&self) -> [Range<u16>; 7] {
        let wide = self.settings.size.0 >= WIDE;
        let mut at = 0;
        TabId::ALL.map(|tab| {
            let title = if wide { tab.titles().0 } else { tab.titles().1 };
            let length = title.len() as u16 + 4;
            let place = at..at + length;
            at += length;
            place
        })
    }

    fn tab_row(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let wide = area.width >= WIDE;
        // In between there is room for less.
        let tight = area.width < 76;
        let places = self.tab_places();
        for tab in TabId::ALL {
            let (long, short) = tab.titles();
            let (number, title) = (tab as usize + 1, if wide { long } else { short });
            let open = tab == self.tab;
            let text = match (open, tight) {
                (true, _) => format!("[{number} {title}]"),
                (false, false) => format!(" {number} {title} "),
                (false, true) => format!(" {number} "),
            };
            let column =
                if tight { tab as u16 * 3 + if tab > self.tab { width(self.tab.titles().1) as u16 + 1 } else { 0 } } else { places[tab as usize].start };
            put(canvas.buf, area, column, 0, &text, canvas.look.style(if open { Role::TabOpen } else { Role::Tab }));
        }
        let waiting = self.world.approvals().len();
        let badge = if waiting == 0 { String::new() } else { format!("[!{waiting}] ") };
        let (state, role) = match &self.world.link {
            Link::Up => ("ok", Role::Good),
            Link::Connecting => ("..", Role::Warn),
            Link::Lost(..) | Link::Missing(_) => ("--", Role::Bad),
        };
        // A long name gives way to the badge.
        let room = usize::from(area.width).saturating_sub(width(&badge) + state.len() + 2 + if tight { 34 } else { usize::from(places[6].end) });
        let name: String = crate::widgets::text::fit(self.world.here(), room.min(24));
        let right = area.width.saturating_sub((width(&badge) + width(&name) + 1 + state.len()) as u16);
        put(canvas.buf, area, right, 0, &badge, canvas.look.style(Role::Badge));
        put(canvas.buf, area, right + width(&badge) as u16, 0, &name, canvas.look.style(Role::Text));
        put(canvas.buf, area, area.width - state.len() as u16, 0, state, canvas.look.style(role));
    }

    /// What is wrong with the local daemon, and the next key.
    fn banner(&self) -> Option<(Role, String)> {
        match &self.world.link {
            Link::Up | Link::Connecting => None,
            Link::Lost(since, why) => Some((
                Role::Bad,
                format!("The daemon at {} does not answer since {} ({why}). Trying again. r now  S start it", self.world.address, clock(*since, self.now.wall)),
            )),
            Link::Missing(NoDaemon::NotInitialised) => Some((Role::Warn, "Loopsy is not set up on this machine yet. S sets it up and starts it".to_owned())),
            Link::Missing(NoDaemon::NotRunning(_)) => Some((Role::Warn, "The daemon of this machine does not run. S starts it  r looks again".to_owned())),
            Link::Missing(NoDaemon::Unusable(why)) => Some((Role::Bad, why.clone())),
        }
    }

    fn status_row(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let typing = self.tabs[self.tab as usize].typing();
        let (mode, role, text) = match (self.overlays.last(), typing) {
            (Some((_, overlay)), _) => (overlay.mode(), Role::ModeNav, overlay.status()),
            (None, Some(Typing::Pane | Typing::Field)) => ("INPUT", Role::ModeInput, self.tabs[self.tab as usize].status(&self.world)),
            (None, None) => ("NAV", Role::ModeNav, self.tabs[self.tab as usize].status(&self.world)),
        };
        let separator = if canvas.look.ascii { " | " } else { " │ " };
        let column = put(canvas.buf, area, 1, 0, mode, canvas.look.style(role));
        if !text.is_empty() {
            put(canvas.buf, area, column, 0, &format!("{separator}{text}"), canvas.look.style(Role::Status));
        }
    }

    /// As many keys as fit, in the order of the table; help and quit always.
    fn footer(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let scopes = self.scopes();
        let overlay = !self.overlays.is_empty();
        let tab = &self.tabs[self.tab as usize];
        let help = self.keymap.key_of(&scopes, Command::Help).map(|key| format!("{key} help"));
        let most = usize::from(area.width).saturating_sub(2 + help.as_deref().map_or(0, |help| width(help) + 2));
        let mut column = 1;
        let bindings = scopes.iter().flat_map(|scope| self.keymap.of(*scope));
        for binding in bindings.filter(|binding| !binding.label.is_empty() && binding.command != Command::Help) {
            if !overlay && tab.typing().is_none() && binding.scope != Scope::Everywhere && tab.why_not(binding.command, &self.world).is_some() {
                continue;
            }
            let Some(key) = binding.keys.first() else { continue };
            let key = key.to_string();
            if usize::from(column) + width(&key) + 1 + width(binding.label) > most {
                continue;
            }
            column = put(canvas.buf, area, column, 0, &key, canvas.look.style(Role::Key));
            column = put(canvas.buf, area, column + 1, 0, binding.label, canvas.look.style(Role::Faint)) + 2;
        }
        if let Some(help) = help {
            put(canvas.buf, area, column, 0, &help, canvas.look.style(Role::Faint));
        }
    }

    /// What Loopsy says, newest first, in lines.
    fn toast_lines(&self, area: Rect) -> Vec<(Role, Vec<String>)> {
        let most = usize::from(area.width).saturating_sub(4).clamp(1, 72);
        let lines = |toast: &super::toasts::Toast| {
            let (mark, role) = match toast.tone {
                Tone::Good => ("ok", Role::Good),
                Tone::Note => ("--", Role::Info),
                Tone::Bad => ("!!", Role::Bad),
            };
            (role, wrap(&format!("{mark} {}", toast.text), most))
        };
        self.toasts.shown().rev().map(lines).collect()
    }

    fn show_toasts(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let mut bottom = area.bottom();
        for (role, lines) in self.toast_lines(area) {
            let wide = lines.iter().map(|line| width(line)).max().unwrap_or(0) as u16 + 2;
            let shown = (lines.len() as u16).min(bottom.saturating_sub(area.y));
            bottom -= shown;
            for (row, line) in (0..shown).zip(&lines) {
                let place = Rect { x: area.right().saturating_sub(wide), y: bottom + row, width: wide, height: 1 };
                ratatui::widgets::Widget::render(ratatui::widgets::Clear, place, canvas.buf);
                put(canvas.buf, place, 0, 0, &format!(" {line}"), canvas.look.style(role));
            }
        }
    }
}

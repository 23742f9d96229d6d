//! The frame: tabs with the badge, the line about the daemon, the tab or what lies over it, status, keys, and what Loopsy says.

use std::ops::Range;

use ratatui::layout::{Position, Rect};

use super::{App, Canvas};
use crate::{
    event::{NoDaemon, Now},
    keymap::{Command, Scope},
    look::Role,
    tabs::{TabId, Typing},
    widgets::text::{clock, fit, put, width, wrap},
    world::Link,
};

/// Below this there is only a line that says so.
const LEAST: (u16, u16) = (40, 10);
/// Below this only the open tab has its title.
const TIGHT: u16 = 76;
/// From this on titles of tabs are whole.
const WIDE: u16 = 100;
/// A key and what it does, for the last row.
type Hint = (String, &'static str);

/// Whether a window of this size has no room for anything but a line that says so.
pub(super) const fn is_too_small(size: (u16, u16)) -> bool {
    size.0 < LEAST.0 || size.1 < LEAST.1
}

/// Lines of one of Loopsy's messages.
const LINES: usize = 4;

impl App {
    /// Draws everything as it is at this time; where the caret is, when somebody types.
    pub(crate) fn view(&mut self, buf: &mut ratatui::buffer::Buffer, now: Now) -> Option<Position> {
        self.tabs[self.tab as usize].tidy(&self.world);
        self.drawn(buf, now)
    }

    fn drawn(&self, buf: &mut ratatui::buffer::Buffer, now: Now) -> Option<Position> {
        let area = buf.area;
        let mut canvas =
            Canvas { buf, look: &self.look, world: &self.world, keymap: &self.keymap, now, focused: self.overlays.is_empty(), covered: u16::MAX, caret: None };
        if is_too_small((area.width, area.height)) {
            self.too_small(area, &mut canvas);
            return None;
        }
        canvas.buf.set_style(area, canvas.look.screen());
        self.tab_row(Rect { height: 1, ..area }, &mut canvas);
        if let Some((role, text, keys)) = self.banner() {
            let keys_wide = width(&keys) as u16 + 1;
            let line = Rect { y: 1, height: 1, ..area };
            // What to do about it is seen in any case.
            let text = fit(&text, usize::from(area.width.saturating_sub(keys_wide + 3)));
            let at = put(canvas.buf, line, 1, 0, &text, canvas.look.style(role)) + 2;
            put(canvas.buf, line, at.min(area.width.saturating_sub(keys_wide)), 0, &keys, canvas.look.style(Role::Key));
        }
        let body = self.body();
        canvas.covered = self.toast_lines(body).iter().fold(body.bottom(), |bottom, (_, lines)| bottom.saturating_sub(lines.len() as u16)).max(body.y);
        self.tabs[self.tab as usize].view(body, &mut canvas);
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

    /// All between the row of tabs, with the line about the daemon when there is one, and the status line.
    pub(super) fn body(&self) -> Rect {
        let (width, height) = self.settings.size;
        let banner = u16::from(self.banner().is_some());
        Rect { x: 0, y: 1 + banner, width, height: height.saturating_sub(3 + banner) }
    }

    fn too_small(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let waiting = match self.world.answerable() {
            0 => None,
            1 => Some("1 approval waits".to_owned()),
            more => Some(format!("{more} approvals wait")),
        };
        // Only where the key would quit.
        let quit = (self.overlays.is_empty() && self.tabs[self.tab as usize].typing().is_none())
            .then(|| self.keymap.key_of(&[Scope::Everywhere], Command::Quit))
            .flatten()
            .map(|key| format!("{key} quits"));
        // A card that cannot be seen cannot be answered, but it can be left.
        let close = self.overlays.last().filter(|(_, overlay)| !overlay.is_typing()).and_then(|(_, overlay)| {
            let key = self.keymap.key_of(&overlay.scopes(), Command::Back)?;
            Some(format!("{key} closes"))
        });
        let more: Vec<String> = waiting.into_iter().chain(quit).chain(close).collect();
        let lines = [format!("{}x{} too small, need {}x{}", area.width, area.height, LEAST.0, LEAST.1), more.join(", ")];
        canvas.buf.set_style(area, canvas.look.screen());
        for (row, line) in (0..area.height).zip(lines) {
            put(canvas.buf, area, 0, row, &line, canvas.look.style(Role::Text));
        }
    }

    /// Only the open tab has its title.
    const fn is_tight(&self) -> bool {
        self.settings.size.0 < TIGHT
    }

    /// What each tab is called in the first row.
    fn tab_text(&self, tab: TabId) -> String {
        let (long, short) = tab.titles();
        let title = if self.settings.size.0 >= WIDE { long } else { short };
        let number = tab as usize + 1;
        match (tab == self.tab, self.is_tight()) {
            (true, _) => format!("[{number} {title}]"),
            (false, false) => format!(" {number} {title} "),
            (false, true) => format!(" {number} "),
        }
    }

    /// Where each tab's title is in the first row.
    pub(super) fn tab_places(&self) -> [Range<u16>; 7] {
        let mut at = 0;
        TabId::ALL.map(|tab| {
            let place = at..at + self.tab_text(tab).len() as u16;
            at = place.end;
            place
        })
    }

    fn tab_row(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let mut end = 0;
        for tab in TabId::ALL {
            let role = if tab == self.tab { Role::TabOpen } else { Role::Tab };
            end = put(canvas.buf, area, end, 0, &self.tab_text(tab), canvas.look.style(role));
        }
        let waiting = self.world.answerable();
        let badge = if waiting == 0 { String::new() } else { format!("[!{waiting}] ") };
        let (state, role) = match &self.world.link {
            Link::Up => ("ok", Role::Good),
            Link::Connecting => ("..", Role::Warn),
            Link::Lost(..) | Link::Missing(_) => ("--", Role::Bad),
        };
        // A long name gives way to the badge, and one that would be next to nothing is left out.
        let gap = usize::from(self.tab == TabId::Pairing || self.is_tight());
        let room = usize::from(area.width).saturating_sub(usize::from(end) + gap + width(&badge) + state.len() + 1).min(24);
        let name = if room < 3 { String::new() } else { format!("{} ", fit(self.world.here(), room)) };
        let mut at = area.width.saturating_sub((width(&badge) + width(&name) + state.len()) as u16);
        for (text, role) in [(badge.as_str(), Role::Badge), (&name, Role::Text), (state, role)] {
            at = put(canvas.buf, area, at, 0, text, canvas.look.style(role));
        }
    }

    /// What is wrong with the local daemon, and the next keys.
    fn banner(&self) -> Option<(Role, String, String)> {
        let key = |command| self.keymap.key_of(&[Scope::Everywhere], command).map(|key| key.to_string());
        let keys = |start: &str| {
            let ways = [(key(Command::StartDaemon), start), (key(Command::Refresh), "tries now")];
            ways.into_iter().filter_map(|(key, what)| Some(format!("{} {what}", key?))).collect::<Vec<_>>().join("  ")
        };
        match &self.world.link {
            Link::Up | Link::Connecting => None,
            Link::Lost(since, why) => {
                let text = format!("{} does not answer since {} ({why}), trying again", self.world.address, clock(*since, self.now.wall));
                Some((Role::Bad, text, keys("starts it")))
            }
            Link::Missing(NoDaemon::NotInitialised) => {
                Some((Role::Warn, "Loopsy is not set up on this machine yet.".to_owned(), keys("sets it up and starts it")))
            }
            Link::Missing(NoDaemon::NotRunning(_)) => Some((Role::Warn, "The daemon of this machine does not run.".to_owned(), keys("starts it"))),
            Link::Missing(NoDaemon::Unusable(why)) => Some((Role::Bad, why.clone(), String::new())),
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
            let column = put(canvas.buf, area, column, 0, separator, canvas.look.style(Role::Faint));
            put(canvas.buf, area, column, 0, &fit(&text, usize::from(area.width.saturating_sub(column + 1))), canvas.look.style(Role::Status));
        }
    }

    /// The keys for the footer: what they do here and now, the most important first; and those that come last.
    fn footer_keys(&self) -> (Vec<Hint>, Vec<Hint>) {
        let scopes = self.scopes();
        let shown =
            |scope: Scope| self.keymap.of(scope).filter(|binding| !binding.label.is_empty() && !matches!(binding.command, Command::Help | Command::Quit));
        // A key that means something else here does not mean this.
        let key = |scopes: &[Scope], command, keys: &[crate::key::Key]| {
            keys.iter().find(|key| self.keymap.find(scopes, **key) == Some(command)).map(ToString::to_string)
        };
        let last = |command, label| self.keymap.key_of(&[Scope::Everywhere], command).map(|key| (key.to_string(), label));
        if let Some((_, overlay)) = self.overlays.last() {
            let help = (!overlay.is_typing() && overlay.mode() != "CONFIRM").then(|| last(Command::Help, "help")).flatten();
            if !overlay.hints().is_empty() {
                return (overlay.hints().iter().map(|(key, label)| ((*key).to_owned(), *label)).collect(), help.into_iter().collect());
            }
            if overlay.is_typing() {
                return (Vec::new(), Vec::new());
            }
            let own = scopes.iter().copied().filter(|scope| *scope != Scope::Everywhere).flat_map(shown);
            let keys = own.filter_map(|binding| Some((key(&scopes, binding.command, &binding.keys)?, binding.label))).collect();
            return (keys, help.into_iter().collect());
        }
        let tab = &self.tabs[self.tab as usize];
        let mut keys = Vec::new();
        if tab.typing() == Some(Typing::Field) {
            return (vec![("Enter".to_owned(), "done"), ("Esc".to_owned(), "leave")], Vec::new());
        }
        if tab.typing().is_none() && !self.world.is_up() && self.world.link != Link::Connecting {
            keys.extend(last(Command::StartDaemon, "start the daemon").into_iter().chain(last(Command::Refresh, "try now")));
        }
        if tab.typing().is_none() && self.toasts.stay() {
            keys.extend(last(Command::Back, "dismiss"));
        }
        for binding in scopes.iter().copied().flat_map(shown) {
            let usable = tab.typing().is_some() || tab.why_not(binding.command, &self.world).is_none();
            // The first place that has a key says what it is called.
            let key = key(&scopes, binding.command, &binding.keys).filter(|key| usable && !keys.iter().any(|(known, _)| known == key));
            keys.extend(key.map(|key| (key, binding.label)));
        }
        let ends = if tab.typing().is_some() { Vec::new() } else { [last(Command::Help, "help"), last(Command::Quit, "quit")].into_iter().flatten().collect() };
        (keys, ends)
    }

    /// As many keys as fit, help always among them.
    fn footer(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let (keys, ends) = self.footer_keys();
        let wide = |(key, label): &Hint| (width(key) + 1 + width(label) + 2) as u16;
        let kept = ends.first().map_or(0, wide);
        let mut column = 1;
        let mut show = |item: &Hint, kept: u16| {
            // The last one needs no gap after it.
            if column + wide(item) + kept > area.width + 2 {
                return;
            }
            let at = put(canvas.buf, area, column, 0, &item.0, canvas.look.style(Role::Key));
            column = put(canvas.buf, area, at + 1, 0, item.1, canvas.look.style(Role::Faint)) + 2;
        };
        keys.iter().for_each(|item| show(item, kept));
        ends.iter().for_each(|item| show(item, 0));
    }

    /// What Loopsy says, newest first: its mark and its lines. Over a box it is one line in the lowest row: it must not hide what somebody decides about.
    fn toast_lines(&self, area: Rect) -> Vec<((&'static str, Role), Vec<String>)> {
        let (toasts, one_line) = match self.overlays.last() {
            None => (usize::MAX, false),
            // It shows them itself.
            Some((_, overlay)) if overlay.mode() == "HISTORY" => return Vec::new(),
            Some(_) => (1, true),
        };
        // Nor may it hide what a program shows to who types into it.
        let (toasts, one_line) = if self.tabs[self.tab as usize].typing() == Some(Typing::Pane) { (1, true) } else { (toasts, one_line) };
        // Edge, mark, text, and a blank at either side.
        let most = usize::from(area.width).saturating_sub(8).clamp(1, 68);
        let lines = |toast: &super::toasts::Toast| {
            let mut lines = if one_line { vec![fit(&toast.text, most)] } else { wrap(&toast.text, most) };
            if lines.len() > LINES {
                lines.truncate(LINES);
                let history = self.keymap.key_of(&[Scope::Everywhere], Command::History).map(|key| format!("... {key} shows all of it"));
                lines.extend(history);
            }
            (toast.tone.mark(), lines)
        };
        self.toasts.shown().rev().take(toasts).map(lines).collect()
    }

    fn show_toasts(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let edge = if canvas.look.ascii { "|" } else { "▌" };
        let mut bottom = area.bottom();
        for ((mark, role), lines) in self.toast_lines(area) {
            let wide = lines.iter().map(|line| width(line)).max().unwrap_or(0) as u16 + 6;
            let shown = (lines.len() as u16).min(bottom.saturating_sub(area.y));
            bottom -= shown;
            for (row, line) in (0..shown).zip(&lines) {
                let place = Rect { x: area.right().saturating_sub(wide), y: bottom + row, width: wide, height: 1 };
                ratatui::widgets::Widget::render(ratatui::widgets::Clear, place, canvas.buf);
                canvas.buf.set_style(place, canvas.look.screen());
                put(canvas.buf, place, 0, 0, edge, canvas.look.style(role));
                put(canvas.buf, place, 2, 0, if row == 0 { mark } else { "" }, canvas.look.style(role));
                put(canvas.buf, place, 5, 0, line, canvas.look.style(Role::Text));
            }
        }
    }
}

#[cfg(test)]
mod tests;

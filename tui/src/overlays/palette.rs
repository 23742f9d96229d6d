//! Every command of every tab, and everything that there is to go to, found by a few letters. Enter does it.

use std::cell::Cell;

use nucleo_matcher::Utf32String;
use ratatui::layout::Rect;

use super::{
    Flow, Overlay,
    menu::{Search, moved, step, window},
};
use crate::{
    app::{Canvas, Cx},
    input::Input,
    key::{Code, Key},
    keymap::{Command, Keymap},
    look::{Look, Role},
    tabs::{TabId, Visit},
    widgets::{
        field::{Field, Outcome},
        pane::Pane,
        text::{fit, pad_left, put, wrap},
    },
    world::World,
};

mod lines;

/// What it is made of.
pub(crate) struct Known<'a> {
    /// The keys.
    pub(crate) keymap: &'a Keymap,
    /// The fleet.
    pub(crate) world: &'a World,
    /// The themes.
    pub(crate) look: &'a Look,
    /// The tab that is open: its commands come first.
    pub(crate) tab: TabId,
    /// Why commands cannot be used now, by tab.
    pub(crate) reasons: Vec<(TabId, Command, String)>,
    /// What was done here before, newest first.
    pub(crate) recent: &'a [String],
}

/// Its state.
#[derive(Debug)]
pub(crate) struct Palette {
    entries: Vec<Entry>,
    /// The entries that fit, best first.
    found: Vec<usize>,
    /// What they were found by.
    searched: String,
    at: usize,
    field: Field,
    top: Cell<usize>,
    height: Cell<usize>,
}

/// A line of it.
#[derive(Debug)]
struct Entry {
    text: Utf32String,
    key: Option<Key>,
    what: What,
    reason: Option<String>,
    /// Place among what was done before; the newest is 0.
    recent: usize,
}

/// What a line does.
#[derive(Debug, Clone, PartialEq)]
enum What {
    Command(Option<TabId>, Command),
    Visit(Visit),
    Theme(String),
}

impl Palette {
    /// As things are now.
    pub(crate) fn new(known: &Known<'_>) -> Self {
        let entries = lines::all(known);
        let mut palette = Self { entries, found: Vec::new(), searched: String::new(), at: 0, field: Field::line(), top: 0.into(), height: 1.into() };
        palette.found = (0..palette.entries.len()).collect();
        palette.found.sort_by_key(|at| (palette.entries[*at].recent, *at));
        palette
    }

    /// Finds anew. What fits a longer text is among what fitted the shorter one, so only that is looked at.
    fn find(&mut self) {
        let text = self.field.text();
        let narrower = !self.searched.is_empty() && text.starts_with(&self.searched);
        let among = if narrower { std::mem::take(&mut self.found) } else { (0..self.entries.len()).collect() };
        let mut search = Search::new(text);
        let mut scored: Vec<(u32, usize)> = among.into_iter().filter_map(|at| Some((search.score(self.entries[at].text.slice(..))?, at))).collect();
        scored.sort_by_key(|(score, at)| (std::cmp::Reverse(*score), self.entries[*at].recent, *at));
        self.found = scored.into_iter().map(|(_, at)| at).collect();
        text.clone_into(&mut self.searched);
        self.at = 0;
    }

    fn chosen(&self) -> Option<&Entry> {
        self.found.get(self.at).and_then(|at| self.entries.get(*at))
    }

    fn run(&self, cx: &mut Cx<'_>) -> Flow {
        let Some(entry) = self.chosen() else { return Flow::Stay };
        if let Some(reason) = &entry.reason {
            cx.note(reason.clone());
            return Flow::Stay;
        }
        match &entry.what {
            What::Command(tab, command) => cx.replay(*tab, *command),
            What::Visit(visit) => cx.visit(visit.clone()),
            What::Theme(name) => match cx.look.with_theme(name) {
                Ok(look) => {
                    cx.set_look(look);
                    cx.keep_theme(name);
                }
                Err(why) => {
                    cx.bad(why);
                    return Flow::Stay;
                }
            },
        }
        cx.used(&entry.text.to_string());
        Flow::Close
    }
}

impl Overlay for Palette {
    fn is_typing(&self) -> bool {
        true
    }

    fn act(&mut self, command: Command, _cx: &mut Cx<'_>) -> Flow {
        self.at = step(self.at, self.found.len(), self.height.get(), command).unwrap_or(self.at);
        Flow::Stay
    }

    fn typed(&mut self, input: &Input, cx: &mut Cx<'_>) -> Flow {
        if let Some(at) = moved(self.at, self.found.len(), self.height.get(), input) {
            self.at = at;
            return Flow::Stay;
        }
        if let Input::Key(press) = input {
            if press.key == Key::plain(Code::Tab) {
                if let Some(text) = self.chosen().map(|entry| entry.text.to_string()) {
                    self.field.set(&text);
                    self.find();
                }
                return Flow::Stay;
            }
            if press.key == Key::ctrl('c') {
                return Flow::Close;
            }
        }
        match self.field.take(input) {
            Outcome::Submit => return self.run(cx),
            Outcome::Leave => return Flow::Close,
            Outcome::Changed => self.find(),
            Outcome::Ignored => {}
        }
        Flow::Stay
    }

    fn mode(&self) -> &'static str {
        "PALETTE"
    }

    fn status(&self) -> String {
        match self.chosen() {
            Some(Entry { reason: Some(reason), .. }) => format!("not now: {reason}"),
            _ => format!("{} of {}", self.found.len(), self.entries.len()),
        }
    }

    fn hints(&self) -> &'static [(&'static str, &'static str)] {
        &[("Enter", "do it"), ("Tab", "complete"), ("Esc", "close")]
    }

    fn view(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let wide = area.width.saturating_sub(4).clamp(area.width.min(40), 84);
        let high = 18.min(area.height);
        // Its upper edge stays where it is, however much is found.
        let place = Rect { x: area.x + (area.width - wide) / 2, y: area.y + 2.min(area.height - high), width: wide, height: high };
        let inside = Pane { title: "Commands", focused: true, input: false, note: "" }.draw(place, canvas);
        if inside.height == 0 || inside.width < 8 {
            return;
        }
        let at = put(canvas.buf, inside, 1, 0, ": ", canvas.look.style(Role::Key));
        self.field.draw(Rect { x: inside.x + at, width: inside.width.saturating_sub(at + 1), height: 1, ..inside }, canvas, true);
        let list = Rect { y: inside.y + 1, height: inside.height - 1, ..inside };
        self.height.set(usize::from(list.height));
        if self.found.is_empty() {
            for (row, line) in (1..list.height).zip(wrap("Nothing is called that. Try a part of its name: a tab, a peer, a task.", usize::from(list.width) - 2))
            {
                put(canvas.buf, list, 1, row, &line, canvas.look.style(Role::Faint));
            }
            return;
        }
        let top = window(&self.top, self.at, self.found.len(), usize::from(list.height));
        let keys = 9.min(usize::from(list.width) / 4);
        for (row, (index, at)) in (0..list.height).zip(self.found.iter().enumerate().skip(top)) {
            let entry = &self.entries[*at];
            let bar = canvas.look.style(Role::Selection);
            let (text, key) = if index == self.at {
                canvas.buf.set_style(Rect { y: list.y + row, height: 1, ..list }, bar);
                put(canvas.buf, list, 1, row, ">", bar);
                (bar, bar)
            } else if entry.reason.is_some() {
                (canvas.look.style(Role::Faint), canvas.look.style(Role::Faint))
            } else {
                (canvas.look.style(Role::Text), canvas.look.style(Role::Key))
            };
            let room = usize::from(list.width).saturating_sub(keys + 5);
            let name = entry.text.to_string();
            let line = match &entry.reason {
                Some(reason) => format!("{name} ({reason})"),
                None => name,
            };
            put(canvas.buf, list, 3, row, &fit(&line, room), text);
            if let Some(name) = &entry.key {
                put(canvas.buf, list, list.width.saturating_sub(keys as u16 + 1), row, &pad_left(&name.to_string(), keys), key);
            }
        }
    }
}

#[cfg(test)]
mod tests;

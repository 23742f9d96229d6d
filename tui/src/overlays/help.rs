//! The keys of this place, from the table: typing filters, Enter does what the line says. What cannot be done now says why.

use std::cell::Cell;

use nucleo_matcher::Utf32Str;
use ratatui::layout::Rect;

use super::{
    Flow, Overlay,
    menu::{Search, moved, step, window},
};
use crate::{
    app::{Canvas, Cx},
    input::Input,
    key::Key,
    keymap::{Binding, Command, Keymap, Scope},
    look::Role,
    widgets::{
        field::{Field, Outcome},
        pane::{Pane, centred},
        text::{fit, pad, put, width, wrap},
    },
};

/// Columns of the keys.
const KEYS: usize = 16;

/// Its state.
#[derive(Debug)]
pub(crate) struct Help {
    entries: Vec<Entry>,
    /// What of them is shown, with the headings in between.
    lines: Vec<Line>,
    /// Which of the shown entries is chosen.
    at: usize,
    field: Field,
    /// It belongs to a box below: Enter only closes it.
    read_only: bool,
    top: Cell<usize>,
    height: Cell<usize>,
}

#[derive(Debug)]
struct Entry {
    here: bool,
    keys: String,
    first: Option<Key>,
    help: String,
    command: Command,
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Heading(&'static str),
    Entry(usize),
}

impl Help {
    /// Of the places that count now; `reasons` are for what cannot be used.
    pub(crate) fn new(keymap: &Keymap, scopes: &[Scope], reasons: Vec<(Command, String)>) -> Self {
        let mut entries = Vec::new();
        for binding in scopes.iter().flat_map(|scope| keymap.of(*scope)) {
            // A key that means something else here does not mean this.
            let keys: Vec<Key> = binding.keys.iter().copied().filter(|key| keymap.find(scopes, *key) == Some(binding.command)).collect();
            let doubled = entries.iter().any(|entry: &Entry| entry.command == binding.command && entry.keys.split(' ').eq(keys.iter().map(Key::to_string)));
            if keys.is_empty() || doubled {
                continue;
            }
            let reason = reasons.iter().find(|(command, _)| *command == binding.command).map(|(_, reason)| reason.clone());
            entries.push(Entry::of(keymap, binding, &keys, reason));
        }
        Self::with(entries, false)
    }

    /// Of a box that is open: its own keys, and those that move.
    pub(crate) fn of_box(keymap: &Keymap, scopes: &[Scope]) -> Self {
        let bindings = scopes.iter().flat_map(|scope| keymap.of(*scope));
        let here = bindings.filter(|binding| binding.scope != Scope::Everywhere || binding.command.moves());
        Self::with(here.map(|binding| Entry::of(keymap, binding, &binding.keys, None)).collect(), true)
    }

    fn with(entries: Vec<Entry>, read_only: bool) -> Self {
        let mut help = Self { entries, lines: Vec::new(), at: 0, field: Field::line(), read_only, top: 0.into(), height: 1.into() };
        help.filter();
        help
    }

    /// Shows what fits the text, in the order of the table.
    fn filter(&mut self) {
        let mut search = Search::new(self.field.text());
        let mut chars = Vec::new();
        self.lines.clear();
        self.at = 0;
        // The lines stay in their order; the one that fits best is chosen.
        let (mut best, mut count) = (0, 0);
        for (heading, here) in [("THIS PLACE", true), ("EVERYWHERE", false)] {
            let mut headed = false;
            for (index, entry) in self.entries.iter().enumerate().filter(|(_, entry)| entry.here == here) {
                let Some(score) = search.score(Utf32Str::new(&format!("{} {}", entry.keys, entry.help), &mut chars)) else { continue };
                if !std::mem::replace(&mut headed, true) {
                    self.lines.push(Line::Heading(heading));
                }
                if score > best {
                    (best, self.at) = (score, count);
                }
                count += 1;
                self.lines.push(Line::Entry(index));
            }
        }
    }

    /// The chosen entry, and the line it is in.
    fn chosen(&self) -> Option<(usize, &Entry)> {
        let shown = self.lines.iter().enumerate().filter_map(|(line, what)| match what {
            Line::Entry(at) => Some((line, &self.entries[*at])),
            Line::Heading(_) => None,
        });
        shown.clone().nth(self.at).or_else(|| shown.last())
    }

    fn count(&self) -> usize {
        self.lines.iter().filter(|line| matches!(line, Line::Entry(_))).count()
    }

    fn run(&self, cx: &mut Cx<'_>) -> Flow {
        let Some((_, entry)) = self.chosen() else { return Flow::Stay };
        if self.read_only {
            return Flow::Close;
        }
        if let Some(reason) = &entry.reason {
            cx.note(reason.clone());
            return Flow::Stay;
        }
        if entry.command.decides() {
            cx.note(format!("Enter never decides anything: close this, and press {}.", entry.first.map(|key| key.to_string()).unwrap_or_default()));
            return Flow::Stay;
        }
        if entry.command != Command::Help {
            cx.replay(None, entry.command);
        }
        Flow::Close
    }
}

impl Entry {
    fn of(keymap: &Keymap, binding: &Binding, keys: &[Key], reason: Option<String>) -> Self {
        let names: Vec<String> = keys.iter().map(Key::to_string).collect();
        Self {
            here: binding.scope != Scope::Everywhere,
            // Nine digits say less than their ends.
            keys: match names.as_slice() {
                [first, .., last] if names.len() > 4 => format!("{first}-{last}"),
                _ => names.join(" "),
            },
            first: keys.first().copied(),
            help: keymap.help(binding).into_owned(),
            command: binding.command,
            reason,
        }
    }
}

impl Overlay for Help {
    fn is_typing(&self) -> bool {
        true
    }

    fn act(&mut self, command: Command, _cx: &mut Cx<'_>) -> Flow {
        self.at = step(self.at, self.count(), self.height.get(), command).unwrap_or(self.at);
        Flow::Stay
    }

    fn typed(&mut self, input: &Input, cx: &mut Cx<'_>) -> Flow {
        if let Some(at) = moved(self.at, self.count(), self.height.get(), input) {
            self.at = at;
            return Flow::Stay;
        }
        if matches!(input, Input::Key(press) if press.key == Key::ctrl('c')) {
            return Flow::Close;
        }
        match self.field.take(input) {
            Outcome::Submit => return self.run(cx),
            Outcome::Leave => return Flow::Close,
            Outcome::Changed => self.filter(),
            Outcome::Ignored => {}
        }
        Flow::Stay
    }

    fn mode(&self) -> &'static str {
        "HELP"
    }

    fn status(&self) -> String {
        match self.chosen() {
            Some((_, Entry { reason: Some(reason), .. })) => format!("not now: {reason}"),
            // All of it, where the line was too long for the box.
            Some((_, entry)) => entry.help.clone(),
            None => String::new(),
        }
    }

    fn hints(&self) -> &'static [(&'static str, &'static str)] {
        if self.read_only { &[("Type", "to filter"), ("Esc", "close")] } else { &[("Type", "to filter"), ("Enter", "do it"), ("Esc", "close")] }
    }

    fn view(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let most = self.entries.len() as u16 + 5;
        let place = centred(area, area.width.saturating_sub(4).clamp(area.width.min(40), 84), most.min(area.height));
        let inside = Pane { title: "Keys here", focused: true, input: false, note: "" }.draw(place, canvas);
        if inside.height == 0 || inside.width < 8 {
            return;
        }
        let at = put(canvas.buf, inside, 1, 0, "filter: ", canvas.look.style(Role::Faint));
        self.field.draw(Rect { x: inside.x + at, width: inside.width.saturating_sub(at + 1), height: 1, ..inside }, canvas, true);
        let list = Rect { y: inside.y + 1, height: inside.height - 1, ..inside };
        self.height.set(usize::from(list.height));
        if self.lines.is_empty() {
            for (row, line) in (1..list.height).zip(wrap("No key here does that. Backspace, or : finds commands of every tab.", usize::from(list.width) - 2)) {
                put(canvas.buf, list, 1, row, &line, canvas.look.style(Role::Faint));
            }
            return;
        }
        let chosen = self.chosen().map_or(0, |(line, _)| line);
        // The heading of the first is seen with it.
        let wanted = if self.at == 0 { 0 } else { chosen };
        let top = window(&self.top, wanted, self.lines.len(), usize::from(list.height));
        let seen = self.lines.iter().skip(top).take(usize::from(list.height)).filter_map(|line| match line {
            Line::Entry(at) => Some(width(&self.entries[*at].keys)),
            Line::Heading(_) => None,
        });
        let keys = seen.max().unwrap_or(0).clamp(4, KEYS);
        for (row, (index, line)) in (0..list.height).zip(self.lines.iter().enumerate().skip(top)) {
            let entry = match line {
                Line::Heading(heading) => {
                    put(canvas.buf, list, 1, row, heading, canvas.look.style(Role::Heading));
                    continue;
                }
                Line::Entry(at) => &self.entries[*at],
            };
            let bar = canvas.look.style(Role::Selection);
            let (key, text) = if index == chosen {
                canvas.buf.set_style(Rect { y: list.y + row, height: 1, ..list }, bar);
                put(canvas.buf, list, 1, row, ">", bar);
                (bar, bar)
            } else if entry.reason.is_some() {
                (canvas.look.style(Role::Faint), canvas.look.style(Role::Faint))
            } else {
                (canvas.look.style(Role::Key), canvas.look.style(Role::Text))
            };
            put(canvas.buf, list, 3, row, &pad(&entry.keys, keys), key);
            let start = 3 + keys as u16 + 2;
            let room = usize::from(list.width.saturating_sub(start + 1));
            let help = fit(&entry.help, room);
            put(canvas.buf, list, start, row, &help, text);
            if let Some(reason) = &entry.reason
                && room > width(&help) + 8
            {
                put(canvas.buf, list, start + width(&help) as u16 + 1, row, &fit(&format!("({reason})"), room - width(&help) - 1), text);
            }
        }
    }
}

#[cfg(test)]
mod tests;

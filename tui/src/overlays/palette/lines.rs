//! The lines of the palette: commands of this tab, of every tab, of the other tabs; then nodes, tasks, terminals and themes.

use super::{Entry, Known, What};
use crate::{
    keymap::{Binding, Command, Scope},
    tabs::{TabId, Visit},
    widgets::text::fit,
    world::TerminalKey,
};

/// Longest line; a prompt can be a whole page.
const LONGEST: usize = 120;

pub(super) fn all(known: &Known<'_>) -> Vec<Entry> {
    let mut lines = Lines { known, entries: Vec::new() };
    let others = TabId::ALL.into_iter().filter(|tab| *tab != known.tab);
    lines.tab(known.tab);
    for binding in known.keymap.of(Scope::Everywhere).filter(|binding| is_command(binding)) {
        lines.command(None, known.tab, binding);
    }
    others.for_each(|tab| lines.tab(tab));
    lines.nodes();
    lines.things();
    for choice in known.look.themes().iter().filter(|choice| choice.name != known.look.theme) {
        let reason = choice.theme.as_ref().err().cloned();
        lines.push(format!("theme: {}", choice.name), What::Theme(choice.name.clone()), None, reason);
    }
    lines.entries
}

/// What can be done by its name: nothing that only moves, and nothing that is here already.
const fn is_command(binding: &Binding) -> bool {
    !binding.command.moves() && !binding.command.decides() && !matches!(binding.command, Command::Palette | Command::Interrupt | Command::Back | Command::Leave)
}

struct Lines<'a> {
    known: &'a Known<'a>,
    entries: Vec<Entry>,
}

impl Lines<'_> {
    fn push(&mut self, text: String, what: What, key: Option<crate::key::Key>, reason: Option<String>) {
        // Made inert here, so that what is searched is what is seen. Most lines are so already, and there can be very many.
        let plain = text.len() <= LONGEST && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let text = if plain { text } else { fit(&text, LONGEST) };
        let recent = self.known.recent.iter().position(|line| *line == text).unwrap_or(usize::MAX);
        self.entries.push(Entry { text: text.into(), key, what, reason, recent });
    }

    fn tab(&mut self, tab: TabId) {
        for binding in self.known.keymap.of(Scope::Tab(tab)).filter(|binding| is_command(binding)) {
            self.command(Some(tab), tab, binding);
        }
    }

    fn command(&mut self, tab: Option<TabId>, place: TabId, binding: &Binding) {
        let help = self.known.keymap.help(binding);
        let text = match (tab, binding.command) {
            (_, Command::Go(to)) => format!("go to tab: {}", to.titles().0),
            // Also by what the footer calls it.
            (Some(tab), _) if !binding.label.is_empty() && !help.to_lowercase().contains(binding.label) => {
                format!("{}: {} ({})", tab.name(), small(&help), binding.label)
            }
            (Some(tab), _) => format!("{}: {}", tab.name(), small(&help)),
            (None, _) => small(&help),
        };
        let reasons = self.known.reasons.iter();
        let reason = reasons.clone().find(|(at, command, _)| (*at, *command) == (place, binding.command)).map(|(_, _, reason)| reason.clone());
        self.push(text, What::Command(tab, binding.command), binding.keys.first().copied(), reason);
    }

    fn nodes(&mut self) {
        let world = self.known.world;
        let here = if world.status.is_some() { format!("{} (this machine)", world.here()) } else { "this machine".to_owned() };
        self.push(format!("terminal on {here}"), What::Visit(Visit::NewTerminal(None)), None, None);
        self.push(format!("task on {here}"), What::Visit(Visit::NewTask(None)), None, None);
        for (node, peer) in &world.peers {
            let name = &peer.hostname;
            for (text, visit) in [
                ("go to peer", Visit::Peer(node.clone())),
                ("terminal on", Visit::NewTerminal(Some(node.clone()))),
                ("task on", Visit::NewTask(Some(node.clone()))),
                ("message to", Visit::Message(node.clone())),
            ] {
                self.push(format!("{text} {name}"), What::Visit(visit), None, None);
            }
        }
    }

    fn things(&mut self) {
        let world = self.known.world;
        for (key, task) in world.tasks() {
            let start: String = task.prompt.chars().take(LONGEST).collect();
            let text = format!("open task {} on {}: {start}", task.task_id.short(), world.name_of(key.node.as_ref()));
            self.push(text, What::Visit(Visit::Task(key)), None, None);
        }
        for terminal in world.terminals.values().filter(|terminal| terminal.ended_at.is_none()) {
            let key = TerminalKey { node: None, id: terminal.id.clone() };
            self.push(format!("open terminal {} on {}", terminal.name, world.here()), What::Visit(Visit::Terminal(key)), None, None);
        }
    }
}

/// As the rest of a sentence. Names keep their capital: `AI`, `NAV`.
fn small(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

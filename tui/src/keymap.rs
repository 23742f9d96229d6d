//! The key table. Footer, help, palette, `docs/KEYS.md` and what a key does all come from it, so that none of them can lie.

use crate::{key::Key, tabs::TabId};

/// What a key can mean. The same word means the same in every place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the table below says what each does in each place")]
pub(crate) enum Command {
    Go(TabId),
    NextPane,
    PreviousPane,
    Up,
    Down,
    Left,
    Right,
    Top,
    End,
    PageUp,
    PageDown,
    HalfUp,
    HalfDown,
    Open,
    Type,
    Leave,
    Filter,
    NextHit,
    PreviousHit,
    Sort,
    Palette,
    Help,
    Copy,
    CopyOther,
    New,
    Edit,
    Stop,
    Refresh,
    View,
    Mark,
    Zoom,
    Mouse,
    Themes,
    History,
    Repaint,
    Suspend,
    Interrupt,
    Back,
    Quit,
    Approvals,
    StartDaemon,
    // Peers
    Pair,
    Run,
    Send,
    Pull,
    Rights,
    Diagnose,
    Shell,
    Message,
    // Context
    Broadcast,
    Ttl,
    Export,
    Import,
    // Messages
    Reply,
    Unread,
    Envelope,
    // Tasks
    Resume,
    Delete,
    // Terminal
    Fit,
    Older,
    Select,
    SelectLines,
    SelectBlock,
    WordNext,
    WordPrevious,
    LineStart,
    LineEnd,
    // Pairing
    Same,
    Different,
    Words,
    Join,
    // Review
    Allow,
    Deny,
    DenyReason,
    Always,
    DenyStop,
    Later,
    NextItem,
    NextHunk,
    PreviousHunk,
    SideBySide,
    Choose,
}

/// Where a key means something. The first that knows it wins: an overlay's place, then the tab's, then everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// Every tab, in NAV mode.
    Everywhere,
    /// A tab.
    Tab(TabId),
    /// A list or pane that is searched: what `n` and `N` are while there are hits.
    Search,
    /// Copy mode in a pane.
    Selection,
    /// INPUT mode: nothing but the way out.
    Input,
    /// The digits of a pairing are compared.
    Compare,
    /// An approval is reviewed.
    Review,
    /// A box with text to read or a list to choose from.
    Box,
}

impl Scope {
    /// Its name, for help, the config and the docs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Everywhere => "everywhere",
            Self::Tab(tab) => tab.name(),
            Self::Search => "search",
            Self::Selection => "selection",
            Self::Input => "input",
            Self::Compare => "compare",
            Self::Review => "review",
            Self::Box => "box",
        }
    }
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Binding {
    /// Where.
    pub(crate) scope: Scope,
    /// What.
    pub(crate) command: Command,
    /// Its keys, the one that is shown first.
    pub(crate) keys: Vec<Key>,
    /// For the footer; empty when it is not shown there. The footer takes as many as fit, in the order of the table.
    pub(crate) label: &'static str,
    /// A sentence without a period, for help, palette and docs.
    pub(crate) help: &'static str,
}

/// `scope, command, keys, footer, help`.
type Row = (Scope, Command, &'static str, &'static str, &'static str);

mod table;

/// The bindings that hold.
#[derive(Debug, Clone)]
pub(crate) struct Keymap {
    bindings: Vec<Binding>,
}

impl Default for Keymap {
    fn default() -> Self {
        let bindings = table::ROWS
            .iter()
            .flat_map(|rows| rows.iter())
            .map(|&(scope, command, keys, label, help)| Binding {
                scope,
                command,
                keys: keys.split(' ').filter_map(|key| key.parse().ok()).collect(),
                label,
                help,
            })
            .collect();
        Self { bindings }
    }
}

impl Keymap {
    /// What a key means in the first of these places that knows it.
    pub(crate) fn find(&self, scopes: &[Scope], key: Key) -> Option<Command> {
        scopes
            .iter()
            .find_map(|scope| self.bindings.iter().find(|binding| binding.scope == *scope && binding.keys.contains(&key)).map(|binding| binding.command))
    }

    /// The bindings of a place, in the order of the table.
    pub(crate) fn of(&self, scope: Scope) -> impl Iterator<Item = &Binding> {
        self.bindings.iter().filter(move |binding| binding.scope == scope)
    }

    /// The key that is shown for a command in the first of these places that has it.
    pub(crate) fn key_of(&self, scopes: &[Scope], command: Command) -> Option<Key> {
        scopes.iter().find_map(|scope| self.of(*scope).find(|binding| binding.command == command).and_then(|binding| binding.keys.first().copied()))
    }

    /// All bindings, in the order of the table.
    pub(crate) fn all(&self) -> &[Binding] {
        &self.bindings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_table_is_one_and_means_one_thing() {
        for (scope, command, keys, _, help) in table::ROWS.iter().flat_map(|rows| rows.iter()) {
            for key in keys.split(' ') {
                let key: Key = key.parse().unwrap_or_else(|e| panic!("{scope:?} {command:?}: {e}"));
                let meanings: Vec<_> = Keymap::default().of(*scope).filter(|binding| binding.keys.contains(&key)).map(|binding| binding.command).collect();
                assert_eq!(meanings, [*command], "{key} in {scope:?}");
            }
            assert!(!help.ends_with('.') && help.chars().next().is_some_and(char::is_uppercase), "{help}");
        }
    }
}

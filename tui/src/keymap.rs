//! The key table. Footer, help, palette, `docs/KEYS.md` and what a key does all come from it, so that none of them can lie.

use std::borrow::Cow;

use crate::{key::Key, tabs::TabId};

/// What a key can mean. The same word means the same in every place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    AllowUnread,
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
    /// What a command prints.
    Output,
    /// What a peer may do is chosen.
    Rights,
}

impl Scope {
    /// All there are, in the order of the table.
    pub(crate) const ALL: [Self; 16] = [
        Self::Everywhere,
        Self::Tab(TabId::Overview),
        Self::Tab(TabId::Peers),
        Self::Tab(TabId::Context),
        Self::Tab(TabId::Messages),
        Self::Tab(TabId::Tasks),
        Self::Tab(TabId::Terminal),
        Self::Tab(TabId::Pairing),
        Self::Search,
        Self::Selection,
        Self::Input,
        Self::Compare,
        Self::Review,
        Self::Box,
        Self::Output,
        Self::Rights,
    ];

    /// Where it is, for people.
    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Everywhere => "In every tab",
            Self::Tab(tab) => ["In Overview", "In Peers", "In Context", "In Messages", "In AI Tasks", "In Terminal", "In Pairing"][tab as usize],
            Self::Search => "While a pane is searched",
            Self::Selection => "While text is selected in a pane",
            Self::Input => "While you type to a program",
            Self::Compare => "While the digits of a pairing are compared",
            Self::Review => "While an approval is reviewed",
            Self::Box => "In boxes",
            Self::Output => "While the output of a command is shown",
            Self::Rights => "While the rights of a peer are chosen",
        }
    }

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
            Self::Output => "output",
            Self::Rights => "rights",
        }
    }
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
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

mod page;
mod patch;
mod table;

pub use page::page;

/// Its names in the config: a name stands for a command in one place.
impl Command {
    /// In kebab case: `next-pane`, `go-peers`.
    pub(crate) fn name(self, scope: Scope) -> String {
        // What agents call it; the same key elsewhere has another name.
        if (scope, self) == (Scope::Tab(TabId::Tasks), Self::Pair) {
            return "interrupt".to_owned();
        }
        let mut name = String::new();
        for c in format!("{self:?}").chars() {
            match c {
                '(' | ')' => {}
                c if c.is_ascii_uppercase() && !name.is_empty() => name.extend(['-', c.to_ascii_lowercase()]),
                c => name.push(c.to_ascii_lowercase()),
            }
        }
        name
    }

    /// It moves, or does what only its key can mean: nothing for the palette.
    pub(crate) const fn moves(self) -> bool {
        matches!(
            self,
            Self::Up
                | Self::Down
                | Self::Left
                | Self::Right
                | Self::Top
                | Self::End
                | Self::PageUp
                | Self::PageDown
                | Self::HalfUp
                | Self::HalfDown
                | Self::NextPane
                | Self::PreviousPane
        )
    }

    /// It decides something that a person must have read: only its own key does it, never Enter on a line of help or palette.
    pub(crate) const fn decides(self) -> bool {
        matches!(self, Self::Allow | Self::Deny | Self::DenyReason | Self::Always | Self::DenyStop | Self::Same | Self::Different | Self::Choose)
    }
}

/// The bindings that hold.
#[derive(Debug, Clone, PartialEq, Eq)]
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

    /// What a binding does, with the key that leads out of a program as it is now.
    pub(crate) fn help(&self, binding: &Binding) -> Cow<'static, str> {
        match self.key_of(&[Scope::Input], Command::Leave) {
            Some(leave) if leave != Key::ctrl(']') && binding.help.contains("Ctrl-]") => binding.help.replace("Ctrl-]", &leave.to_string()).into(),
            _ => binding.help.into(),
        }
    }

    /// All bindings, in the order of the table.
    #[cfg(test)]
    pub(crate) fn all(&self) -> &[Binding] {
        &self.bindings
    }
}

#[cfg(test)]
mod tests;

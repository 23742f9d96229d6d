//! One terminal in a pane: what its program draws, and what a person does with it: type, scroll, select, search, copy.
//!
//! A tab holds a pane for each terminal that it shows, hands it events, keys and commands, and draws it. Nothing of the program reaches the person's own terminal
//! but printable characters with colours: no title, no clipboard, no answers.

use loopsy_shared::api::terminals::TerminalSize;
use ratatui::layout::Rect;

use crate::{
    app::{Canvas, Cx},
    event::Event,
    input::{Input, Mouse},
    keymap::{Command, Scope},
    tabs::Typing,
    world::TerminalKey,
};

/// One terminal.
#[derive(Debug)]
pub(crate) struct Pane {
    key: TerminalKey,
}

impl Pane {
    /// For this terminal, not attached yet. `name` is what people call it, such as `studio-mac: zsh`.
    pub(crate) fn new(key: TerminalKey, name: impl Into<String>) -> Self {
        let _name: String = name.into();
        Self { key }
    }

    /// Which terminal it shows.
    pub(crate) const fn key(&self) -> &TerminalKey {
        &self.key
    }

    /// Another name.
    pub(crate) fn rename(&mut self, _name: &str) {}

    /// Looks at the terminal, from now on until [`Pane::detach`]. With a size it takes the size over; without, it only watches.
    pub(crate) fn attach(&mut self, _size: Option<TerminalSize>, _cx: &mut Cx<'_>) {}

    /// Looks no more and forgets the screen, which comes back by itself with the next [`Pane::attach`].
    pub(crate) fn detach(&mut self, _cx: &mut Cx<'_>) {}

    /// Whether it is attached.
    pub(crate) const fn is_attached(&self) -> bool {
        false
    }

    /// Whether it is on the screen: what happens to one that is not draws no frame. It is from [`Pane::attach`] on.
    pub(crate) const fn shown(&mut self, _shown: bool) {}

    /// Any event; only those of this terminal, its timers and answers mean something.
    pub(crate) fn event(&mut self, _event: &Event, _cx: &mut Cx<'_>) {}

    /// What takes the keys: the program in INPUT, the search while it is typed, or nothing. For [`crate::tabs::Tab::typing`].
    pub(crate) const fn typing(&self) -> Option<Typing> {
        None
    }

    /// Goes to INPUT. `whole`: it has the whole screen, so that it takes the size over.
    pub(crate) fn enter(&mut self, _whole: bool, _cx: &mut Cx<'_>) {}

    /// A key or a paste while [`Pane::typing`] is something. For [`crate::tabs::Tab::typed`].
    pub(crate) fn typed(&mut self, _input: &Input, _cx: &mut Cx<'_>) {}

    /// The mouse at a place of the screen; whether it was over this pane, where it was drawn last.
    pub(crate) fn mouse(&mut self, _mouse: &Mouse, _cx: &mut Cx<'_>) -> bool {
        false
    }

    /// Does what a key of the table says; whether that meant something here. `Leave` leaves INPUT, and in NAV sends one Ctrl-] and goes back to INPUT. `Back` is
    /// only taken while something is selected or searched. `Type` is the tab's: [`Pane::enter`].
    pub(crate) fn act(&mut self, _command: Command, _cx: &mut Cx<'_>) -> bool {
        false
    }

    /// Places of the key table that count before the tab's own: copy mode, a search with hits.
    pub(crate) fn scopes(&self) -> Vec<Scope> {
        Vec::new()
    }

    /// Draws it with a line around; `focused` when it has the keys of NAV.
    pub(crate) fn view(&self, _area: Rect, _canvas: &mut Canvas<'_>, _focused: bool) {}

    /// For the status line.
    pub(crate) fn status(&self) -> String {
        String::new()
    }
}

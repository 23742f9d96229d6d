//! What lies over a tab: boxes that are opened and closed by a key, never by themselves.

use ratatui::layout::Rect;

use crate::{
    app::{Canvas, Cx},
    event::Event,
    input::Input,
    keymap::{Command, Scope},
    world::News,
};

/// What an overlay leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// It stays.
    Stay,
    /// It closes.
    Close,
}

/// An overlay. The uppermost one gets all keys.
pub(crate) trait Overlay {
    /// Where its keys are in the key table.
    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::Box]
    }

    /// Whether a text field of it takes the keys; then nothing is looked up in the table.
    fn is_typing(&self) -> bool {
        false
    }

    /// It was just opened.
    fn opened(&mut self, _cx: &mut Cx<'_>) {}

    /// Does what a key of the table says. Without its own meaning, `Back` closes.
    fn act(&mut self, command: Command, cx: &mut Cx<'_>) -> Flow {
        let _nothing_else = cx;
        if command == Command::Back { Flow::Close } else { Flow::Stay }
    }

    /// Any input that the table does not know, or all of it while it [is typing](Self::is_typing).
    fn typed(&mut self, _input: &Input, _cx: &mut Cx<'_>) -> Flow {
        Flow::Stay
    }

    /// An input of any kind came, before it is looked at: for who must know whether a key stood alone.
    fn noticed(&mut self, _input: &Input, _cx: &mut Cx<'_>) {}

    /// The world changed.
    fn news(&mut self, _news: &News, _cx: &mut Cx<'_>) -> Flow {
        Flow::Stay
    }

    /// An answer to this overlay, a timer, something done.
    fn event(&mut self, _event: &Event, cx: &mut Cx<'_>) -> Flow {
        cx.nothing_to_see();
        Flow::Stay
    }

    /// The frame that was drawn last is on the terminal now; or, when not `seen`, what the terminal shows is not ours any more.
    fn painted(&mut self, _seen: bool, _cx: &mut Cx<'_>) {}

    /// The first word of the status line, such as `HELP`.
    fn mode(&self) -> &'static str;

    /// Its keys for the footer, when they are not those of the table: key and what it does.
    fn hints(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// The rest of the status line.
    fn status(&self) -> String {
        String::new()
    }

    /// Draws over the tab; `area` is all between the row of tabs and the status line.
    fn view(&self, area: Rect, canvas: &mut Canvas<'_>);
}

pub(crate) mod confirm;
pub(crate) mod form;
pub(crate) mod help;
pub(crate) mod history;
pub(crate) mod live;
mod menu;
pub(crate) mod output;
pub(crate) mod palette;
pub(crate) mod review;
pub(crate) mod rights;
pub(crate) mod text;
pub(crate) mod themes;

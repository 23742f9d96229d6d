//! The overlay `help`.

use ratatui::layout::Rect;

use super::Overlay;
use crate::{
    app::Canvas,
    keymap::{Command, Keymap, Scope},
};

/// Its state.
#[derive(Debug)]
pub(crate) struct Help {}

impl Help {
    /// As things are now.
    pub(crate) fn new(_keymap: &Keymap, _scopes: &[Scope], _reasons: Vec<(Command, String)>) -> Self {
        Self {}
    }
}

impl Overlay for Help {
    fn mode(&self) -> &'static str {
        "HELP"
    }

    fn view(&self, _area: Rect, _canvas: &mut Canvas<'_>) {}
}

//! The overlay `palette`.

use ratatui::layout::Rect;

use super::Overlay;
use crate::{app::Canvas, keymap::Keymap, tabs::TabId, world::World};

/// Its state.
#[derive(Debug)]
pub(crate) struct Palette {}

impl Palette {
    /// As things are now.
    pub(crate) fn new(_keymap: &Keymap, _world: &World, _tab: TabId) -> Self {
        Self {}
    }
}

impl Overlay for Palette {
    fn mode(&self) -> &'static str {
        "PALETTE"
    }

    fn view(&self, _area: Rect, _canvas: &mut Canvas<'_>) {}
}

//! The overlay `themes`.

use ratatui::layout::Rect;

use super::Overlay;
use crate::{app::Canvas, look::Look};

/// Its state.
#[derive(Debug)]
pub(crate) struct Themes {}

impl Themes {
    /// As things are now.
    pub(crate) fn new(_look: &Look) -> Self {
        Self {}
    }
}

impl Overlay for Themes {
    fn mode(&self) -> &'static str {
        "THEME"
    }

    fn view(&self, _area: Rect, _canvas: &mut Canvas<'_>) {}
}

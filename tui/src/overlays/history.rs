//! The overlay `history`.

use ratatui::layout::Rect;

use super::Overlay;
use crate::app::{Canvas, toasts::Toasts};

/// Its state.
#[derive(Debug)]
pub(crate) struct History {}

impl History {
    /// As things are now.
    pub(crate) fn new(_toasts: &Toasts) -> Self {
        Self {}
    }
}

impl Overlay for History {
    fn mode(&self) -> &'static str {
        "HISTORY"
    }

    fn view(&self, _area: Rect, _canvas: &mut Canvas<'_>) {}
}

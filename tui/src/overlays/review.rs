//! The review of an approval.

use ratatui::layout::Rect;

use super::Overlay;
use crate::{app::Canvas, event::Now, world::World};

/// Its state.
#[derive(Debug)]
pub(crate) struct Review {}

impl Review {
    /// Of the oldest approval that waits anywhere; none when none does.
    pub(crate) fn oldest(world: &World, _now: Now) -> Option<Self> {
        world.approvals().first().map(|_| Self {})
    }
}

impl Overlay for Review {
    fn mode(&self) -> &'static str {
        "REVIEW"
    }

    fn view(&self, _area: Rect, _canvas: &mut Canvas<'_>) {}
}

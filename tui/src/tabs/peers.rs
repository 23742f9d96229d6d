//! The tab `peers`.

use ratatui::layout::Rect;

use super::Tab;
use crate::{
    app::{Canvas, Cx},
    keymap::Command,
    world::World,
};

/// Its state.
#[derive(Debug, Default)]
pub(crate) struct Peers {}

impl Tab for Peers {
    fn act(&mut self, _command: Command, _cx: &mut Cx<'_>) {}

    fn status(&self, _world: &World) -> String {
        String::new()
    }

    fn view(&self, _area: Rect, _canvas: &mut Canvas<'_>) {}
}

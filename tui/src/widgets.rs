//! Pieces that several places draw with.

pub(crate) mod field;
pub(crate) mod list;
pub(crate) mod node;
pub(crate) mod pane;
pub(crate) mod text;

//! The control centre, `loopsy tui`: every machine of a person on one screen.
//!
//! Bytes from the terminal become `input::Input`s, the daemon's stream and answers become `event::Event`s; `app::App::update` turns each of them into a new
//! state and `effect::Effect`s, without waiting for anything; `app::App::view` draws the state. Only the `runtime` touches the world.

mod app;
pub mod card;
mod clipboard;
mod effect;
mod event;
mod gate;
mod input;
mod key;
mod keymap;
mod look;
mod overlays;
mod pane;
mod plain;
mod recorder;
mod request;
mod runtime;
mod tabs;
mod terminal;
#[cfg(test)]
mod testing;
mod widgets;
mod world;
mod yaml;

pub use keymap::page as keys_page;
pub use runtime::{Options, reset_terminal, run};

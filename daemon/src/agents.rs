//! Coding agents: one driver for each protocol that they speak, and the finding of what is installed.
//!
//! A driver is sans-I/O: it hears lines and says what is to be done about them, and knows neither processes nor approvals nor tasks. `tasks` carries it out. So
//! every driver can be run against a recorded conversation.

mod acp;
mod claude;
mod codex;
pub(crate) mod driver;
mod find;
mod hooks;
mod opencode;
mod pick;
#[cfg(test)]
mod transcript;

pub(crate) use self::find::on_path;
pub use self::find::{AgentError, Finder};
pub(crate) use self::{
    find::Found,
    hooks::{Hooked, hook, hook_answer, hook_defer, typed},
};

//! Coding agents: one driver for each protocol that they speak.
//!
//! A driver is sans-I/O: it hears lines and says what is to be done about them, and knows neither processes nor approvals nor tasks. `tasks` carries it out. So
//! every driver can be run against a recorded conversation.

pub(crate) mod acp;
pub(crate) mod driver;
pub(crate) mod find;
pub(crate) mod opencode;

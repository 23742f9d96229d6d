//! What the tests have for looking at the control centre from outside: a real terminal, a daemon with a script, a fleet.

use std::time::Duration;

/// Longest wait for anything on the screen.
const PATIENCE: Duration = Duration::from_secs(60);

#[path = "../support/demo.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "the tests use more of it")]
pub(crate) mod demo;
#[path = "../support/fleet.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "the tests use more of it")]
pub(crate) mod fleet;
#[path = "../support/screen.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "the tests use more of it")]
pub(crate) mod screen;

//! What ends a command from outside.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::Error;

/// Ctrl-C and its sisters, as exit codes.
#[derive(Debug)]
pub(in crate::cmd) struct Signals([Signal; 3]);

/// The exit code of Ctrl-C.
pub(in crate::cmd) const CTRL_C: u8 = crate::error::INTERRUPTED;

impl Signals {
    /// From now on these signals end nothing by themselves.
    pub(in crate::cmd) fn new() -> Result<Self, Error> {
        Ok(Self([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?]))
    }

    /// Waits for one.
    pub(in crate::cmd) async fn next(&mut self) -> u8 {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => CTRL_C,
            _ = terminate.recv() => 128 + 15,
            _ = hangup.recv() => 128 + 1,
        }
    }
}

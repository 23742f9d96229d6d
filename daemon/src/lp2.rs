//! Pairing protocol LP2, sans-I/O: two state machines that know no network, no clock and no disk.
//!
//! SPAKE2 over a code of six digits, then six more digits that two people compare, then one sealed message each way with a key and a certificate's fingerprint.
//! The caller brings requests, the time since any fixed moment and a random generator, and carries out the effects in the order in which they are returned.

mod code;
mod hidden;
pub mod initiator;
pub mod message;
mod offer;
pub mod payload;
mod refusal;
pub mod responder;
mod schedule;
mod spake2;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use code::{InviteCode, Sas};
pub use initiator::Initiator;
pub use offer::{Identity, Offer, Pairing};
pub use refusal::{End, Refusal};
pub use responder::Responder;

/// The version on the wire.
pub const VERSION: u32 = 2;
/// The one suite there is; nothing is negotiated.
pub const SUITE: &str = "SPAKE2-P256-SHA256-HKDF-HMAC+CHACHA20POLY1305";
/// From the start to the answers of both people.
pub const LIFE: Duration = Duration::from_secs(300);
/// From the waiting machine's share to the other one's proof.
pub const PROOF_WITHIN: Duration = Duration::from_secs(15);
/// From both answers to the first sign that the other machine has stored its key.
pub const PROVISIONAL: Duration = Duration::from_secs(600);
/// Handshakes that one invite answers.
pub const MOST_HELLOS: u32 = 10;
/// Wrong codes at which an invite is burned.
pub const MOST_WRONG: u32 = 3;
/// Bytes of a sealed message at most.
pub const MOST_SEALED: usize = 8 * 1024;

/// Starts every text that is hashed, so that no other protocol's hash can be taken for one of this.
const LABEL: &[u8] = b"loopsy-pair/2 ";

/// The two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The machine that comes with the code.
    Initiator,
    /// The machine that shows the code and waits.
    Responder,
}

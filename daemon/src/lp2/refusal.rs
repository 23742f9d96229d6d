//! How a request is refused, and how a pairing ends.

use loopsy_shared::api::{Code, pairing::PairingEnd};

/// Why a request was refused. Never says which check failed beyond this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No pairing waits here, or not this one.
    #[error("no pairing waits here")]
    NoSession,
    /// The time is over.
    #[error("the invite has expired")]
    Expired,
    /// The code, or a seal, is wrong.
    #[error("the code is wrong")]
    Proof,
    /// The invite was burned.
    #[error("the invite was burned")]
    Burned,
    /// Another pairing is under way.
    #[error("another pairing is under way")]
    Busy,
    /// The old pairing is not spoken here.
    #[error("the old pairing is not spoken here")]
    TooOld,
    /// A person said no.
    #[error("the pairing was rejected")]
    Rejected,
    /// The message is not well-formed.
    #[error("the message is not well-formed")]
    Malformed,
}

impl Refusal {
    /// The error code on the wire, 7001 to 7008.
    pub const fn code(self) -> Code {
        match self {
            Self::NoSession => Code::PairingNone,
            Self::Expired => Code::PairingExpired,
            Self::Proof => Code::PairingProof,
            Self::Burned => Code::PairingBurned,
            Self::Busy => Code::PairingBusy,
            Self::TooOld => Code::PairingTooOld,
            Self::Rejected => Code::PairingRejected,
            Self::Malformed => Code::PairingMalformed,
        }
    }

    /// What is answered to anything that comes after an end.
    pub(super) const fn after(end: PairingEnd) -> Self {
        match end {
            PairingEnd::Paired | PairingEnd::Cancelled | PairingEnd::Failed => Self::NoSession,
            PairingEnd::Rejected => Self::Rejected,
            PairingEnd::Expired => Self::Expired,
            PairingEnd::Burned => Self::Burned,
        }
    }
}

/// The end of a pairing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// How, in one word.
    pub how: PairingEnd,
    /// The same in a sentence, for the person.
    pub words: String,
}

impl End {
    pub(super) fn new(how: PairingEnd, words: impl Into<String>) -> Self {
        Self { how, words: words.into() }
    }
}

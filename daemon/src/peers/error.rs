//! Why a peer cannot be found, added or called: each a sentence that names it.

use loopsy_shared::{
    api::{ApiError, peers::PeerInfo},
    client::{PinMismatch, authority},
    time,
};

/// Why a peer cannot be found, added or called.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// No such peer.
    #[error("There is no peer `{name}`.{}", near.as_ref().map(|near| format!(" Did you mean `{near}`?")).unwrap_or_default())]
    NotFound {
        /// What was asked for.
        name: String,
        /// The nearest name there is.
        near: Option<String>,
    },
    /// More than one fits.
    #[error("`{name}` could be any of {}.", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// What fits.
        candidates: Vec<String>,
    },
    /// It was only seen on the local network.
    #[error("`{0}` was seen on this network, but is not paired.")]
    NotPaired(String),
    /// It was paired, and its pin is gone.
    #[error("`{0}` was paired, but its certificate is no longer in `tls.pinnedCerts`. It is not called without.")]
    PinMissing(String),
    /// Another certificate is shown.
    #[error("At {address} somebody shows another certificate than the one that `{name}` was paired with. Nothing was sent. Pinned: {}. Shown: {}.", mismatch.expected, mismatch.found)]
    Certificate {
        /// The peer that was expected.
        name: String,
        /// Where.
        address: String,
        /// Both fingerprints.
        mismatch: PinMismatch,
    },
    /// No key for it.
    #[error("This node has no key for `{0}`.")]
    NoKey(String),
    /// It does not answer.
    #[error("`{name}` ({address}) does not answer: {cause}.{}", since.map(|at| format!(" It was last seen at {}.", time::iso(at))).unwrap_or_default())]
    Unreachable {
        /// The peer.
        name: String,
        /// Where it should be.
        address: String,
        /// What the system said.
        cause: String,
        /// When it last answered.
        since: Option<time::Millis>,
    },
    /// Somebody else answered.
    #[error("At the address of `{name}` ({address}) another node answers: {found}.")]
    Changed {
        /// The peer that was expected.
        name: String,
        /// Its address.
        address: String,
        /// Who answered.
        found: String,
    },
    /// It was removed in the middle of a call, here or there.
    #[error("`{0}` is no longer connected with this node.")]
    Removed(String),
    /// It does not know this node's key any more.
    #[error("`{0}` does not take this node's key any more.")]
    KeyRefused(String),
    /// It answered and refused.
    #[error("The node at {address} refuses: {error}")]
    Refused {
        /// Its address.
        address: String,
        /// What it said.
        error: ApiError,
    },
    /// Another peer has the name.
    #[error("Another peer is called `{0}` already.")]
    NameTaken(String),
    /// The values make no sense.
    #[error("{0}")]
    Invalid(String),
    /// The store or the credentials file failed.
    #[error("The peer could not be saved: {0}")]
    Save(String),
}

/// A peer that does not answer, and when it last did.
pub(super) fn unreachable(info: &PeerInfo, cause: String) -> PeerError {
    PeerError::Unreachable {
        name: info.hostname.clone(),
        address: authority(&info.address, info.port),
        cause,
        since: (info.last_seen > 0).then_some(info.last_seen),
    }
}

/// A peer that shows another certificate than the pinned one.
pub(super) fn certificate(info: &PeerInfo, mismatch: PinMismatch) -> PeerError {
    PeerError::Certificate { name: info.hostname.clone(), address: authority(&info.address, info.port), mismatch }
}

/// An address where nobody answers yet.
pub(super) fn unreachable_at(at: &str, cause: String) -> PeerError {
    PeerError::Unreachable { name: at.to_owned(), address: at.to_owned(), cause, since: None }
}

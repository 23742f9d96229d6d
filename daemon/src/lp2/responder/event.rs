//! What happens to a responder, and what its caller is to do.

use std::net::IpAddr;

use loopsy_shared::{
    api::pairing::{ConfirmPairing, InitiatePairing, PairingConfirmed, PairingReply},
    secret::Secret,
};

use crate::lp2::{
    End, Identity, Pairing, Refusal, Sas,
    message::{Hello, Initiate, Proof, Sealed},
};

/// What happens to a responder. There is no cancel from the network: what is not sealed has no say.
#[derive(Debug, Clone)]
pub enum Event {
    /// M1.
    Hello {
        /// The sender's address.
        from: IpAddr,
        /// The message.
        msg: Hello,
    },
    /// M3.
    Proof {
        /// The sender's address.
        from: IpAddr,
        /// The message.
        msg: Proof,
    },
    /// A body of the old pairing.
    Legacy {
        /// The sender's address.
        from: IpAddr,
        /// The code in it.
        code: Secret,
    },
    /// M5 or M7.
    Sealed(Sealed),
    /// This machine's person answered. A no before there is anything to compare cancels.
    Decide(bool),
    /// This machine's person, or the machine itself, wants no more of it.
    Cancel,
    /// Time has passed.
    Tick,
    /// The other machine made its first call with the new key.
    KeyUsed,
}

impl Event {
    /// The event of a body that came to `initiate`.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], which is then the answer.
    pub fn initiate(from: IpAddr, body: &InitiatePairing) -> Result<Self, Refusal> {
        Ok(match Initiate::try_from(body)? {
            Initiate::Hello(msg) => Self::Hello { from, msg },
            Initiate::Proof(msg) => Self::Proof { from, msg },
            Initiate::Legacy(code) => Self::Legacy { from, code },
        })
    }

    /// The event of a sealed body that came to `confirm`.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], which is then the answer.
    pub fn confirm(body: &ConfirmPairing) -> Result<Self, Refusal> {
        Sealed::try_from(body).map(Self::Sealed)
    }
}

/// What the caller is to do, in this order. A request gets exactly one of the first five.
#[derive(Debug)]
pub enum Effect {
    /// Answer with M2 or M4.
    Reply(Box<PairingReply>),
    /// Answer with M6.
    Settle(PairingConfirmed),
    /// Answer to M7 that all is well.
    Acknowledge,
    /// Answer 202, or hold the request and give it to `step` once more when something changes.
    Wait,
    /// Answer with an error.
    Refuse(Refusal),
    /// Show the digits, and who claims to be on the other side.
    ShowSas {
        /// The digits.
        sas: Sas,
        /// The other machine.
        peer: Identity,
    },
    /// Store both keys and the pin, provisionally. When that fails, [`Event::Cancel`] must come instead of any answer.
    Provision(Box<Pairing>),
    /// The other machine has stored it too: keep it.
    Activate,
    /// Remove what was provisional.
    Withdraw,
    /// Tell the person that this machine sent its own key over the network in clear, and should change it.
    KeyExposed {
        /// Where it is.
        from: IpAddr,
    },
    /// It is over; said once. [`Responder::finished`](super::Responder::finished) tells when nothing needs to be answered any more.
    Ended(End),
}

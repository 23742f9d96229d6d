//! Strict conversion between the wire and the messages of the protocol. Each body is exactly one message, or malformed.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use loopsy_shared::{
    api::pairing::{ConfirmPairing, InitiatePairing, PairingConfirmed, PairingReply},
    secret::Secret,
};

use super::{
    Identity, MOST_SEALED, Refusal, Role, SUITE, VERSION,
    spake2::{SHARE, Share},
};

/// M1: who the initiator is, its share, and its commitment to a nonce.
#[derive(Debug, Clone)]
pub struct Hello {
    pub(super) peer: Identity,
    pub(super) share: Share,
    pub(super) commit: [u8; 32],
}

/// M2: the same of the responder, and the handshake's id.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) sid: [u8; 16],
    pub(super) peer: Identity,
    pub(super) share: Share,
    pub(super) commit: [u8; 32],
}

/// M3: the initiator's nonce and proof.
#[derive(Debug, Clone)]
pub struct Proof {
    pub(super) sid: [u8; 16],
    pub(super) nonce: [u8; 32],
    pub(super) mac: [u8; 32],
}

/// M4: the responder's nonce and proof.
#[derive(Debug, Clone)]
pub struct Counterproof {
    pub(super) nonce: [u8; 32],
    pub(super) mac: [u8; 32],
}

/// M5 or M7: something sealed. Only opening it tells which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub(super) sid: [u8; 16],
    pub(super) bytes: Vec<u8>,
}

/// What comes to `initiate`.
#[derive(Debug, Clone)]
pub enum Initiate {
    /// M1.
    Hello(Hello),
    /// M3.
    Proof(Proof),
    /// A body of the old pairing, with the code that it carries in clear.
    Legacy(Secret),
}

/// What `initiate` answers.
#[derive(Debug, Clone)]
pub enum Reply {
    /// M2.
    Answer(Answer),
    /// M4.
    Counterproof(Counterproof),
}

impl TryFrom<&InitiatePairing> for Initiate {
    type Error = Refusal;

    fn try_from(wire: &InitiatePairing) -> Result<Self, Refusal> {
        // First, and whatever else there is: its sender must learn that it exposed a secret, not that a field is missing.
        if let Some(code) = &wire.invite_code {
            return Ok(Self::Legacy(code.clone()));
        }
        version(wire.v)?;
        match wire {
            InitiatePairing { suite: Some(suite), id: Some(id), public_key: Some(share), commit: Some(commit), sid: None, nonce: None, mac: None, .. } => {
                Ok(Self::Hello(Hello { peer: identity(Role::Initiator, suite, id)?, share: self::share(share)?, commit: exact(commit)? }))
            }
            InitiatePairing { suite: None, id: None, public_key: None, commit: None, sid: Some(sid), nonce: Some(nonce), mac: Some(mac), .. } => {
                Ok(Self::Proof(Proof { sid: exact(sid)?, nonce: exact(nonce)?, mac: exact(mac)? }))
            }
            _ => Err(Refusal::Malformed),
        }
    }
}

impl TryFrom<&PairingReply> for Reply {
    type Error = Refusal;

    fn try_from(wire: &PairingReply) -> Result<Self, Refusal> {
        match wire {
            PairingReply { v, suite: Some(suite), sid: Some(sid), id: Some(id), public_key: Some(share), commit: Some(commit), nonce: None, mac: None } => {
                version(*v)?;
                let (peer, share) = (identity(Role::Responder, suite, id)?, self::share(share)?);
                Ok(Self::Answer(Answer { sid: exact(sid)?, peer, share, commit: exact(commit)? }))
            }
            PairingReply { v: None, suite: None, sid: None, id: None, public_key: None, commit: None, nonce: Some(nonce), mac: Some(mac) } => {
                Ok(Self::Counterproof(Counterproof { nonce: exact(nonce)?, mac: exact(mac)? }))
            }
            _ => Err(Refusal::Malformed),
        }
    }
}

impl TryFrom<&ConfirmPairing> for Sealed {
    type Error = Refusal;

    fn try_from(wire: &ConfirmPairing) -> Result<Self, Refusal> {
        match wire {
            ConfirmPairing { confirmed: None, sas: None, sid: Some(sid), sealed: Some(sealed) } => Ok(Self { sid: exact(sid)?, bytes: bounded(sealed)? }),
            _ => Err(Refusal::Malformed),
        }
    }
}

/// The sealed bytes of M6.
pub(super) fn settled(wire: &PairingConfirmed) -> Result<Vec<u8>, Refusal> {
    match wire {
        PairingConfirmed { success: None, message: None, sealed: Some(sealed), state: None } => bounded(sealed),
        _ => Err(Refusal::Malformed),
    }
}

impl Hello {
    pub(super) fn wire(&self) -> InitiatePairing {
        InitiatePairing {
            v: Some(VERSION),
            suite: Some(SUITE.to_owned()),
            id: Some(self.peer.wire(Role::Initiator)),
            public_key: Some(text(self.share.bytes())),
            commit: Some(text(&self.commit)),
            ..InitiatePairing::default()
        }
    }
}

impl Answer {
    pub(super) fn wire(&self) -> PairingReply {
        PairingReply {
            v: Some(VERSION),
            suite: Some(SUITE.to_owned()),
            sid: Some(text(&self.sid)),
            id: Some(self.peer.wire(Role::Responder)),
            public_key: Some(text(self.share.bytes())),
            commit: Some(text(&self.commit)),
            ..PairingReply::default()
        }
    }
}

impl Proof {
    pub(super) fn wire(&self) -> InitiatePairing {
        let (sid, nonce, mac) = (Some(text(&self.sid)), Some(text(&self.nonce)), Some(text(&self.mac)));
        InitiatePairing { v: Some(VERSION), sid, nonce, mac, ..InitiatePairing::default() }
    }
}

impl Counterproof {
    pub(super) fn wire(&self) -> PairingReply {
        PairingReply { nonce: Some(text(&self.nonce)), mac: Some(text(&self.mac)), ..PairingReply::default() }
    }
}

impl Sealed {
    pub(super) fn wire(&self) -> ConfirmPairing {
        ConfirmPairing { sid: Some(text(&self.sid)), sealed: Some(text(&self.bytes)), ..ConfirmPairing::default() }
    }
}

/// M6 on the wire.
pub(super) fn settle(sealed: &[u8]) -> PairingConfirmed {
    PairingConfirmed { sealed: Some(text(sealed)), ..PairingConfirmed::default() }
}

/// Reads a body of `initiate`.
///
/// # Errors
/// [`Refusal::Malformed`].
pub fn initiate(json: &[u8]) -> Result<Initiate, Refusal> {
    Initiate::try_from(&serde_json::from_slice::<InitiatePairing>(json).map_err(|_| Refusal::Malformed)?)
}

/// Reads an answer of `initiate`.
///
/// # Errors
/// [`Refusal::Malformed`].
pub fn reply(json: &[u8]) -> Result<Reply, Refusal> {
    Reply::try_from(&serde_json::from_slice::<PairingReply>(json).map_err(|_| Refusal::Malformed)?)
}

/// Reads a sealed body of `confirm`.
///
/// # Errors
/// [`Refusal::Malformed`].
pub fn sealed(json: &[u8]) -> Result<Sealed, Refusal> {
    Sealed::try_from(&serde_json::from_slice::<ConfirmPairing>(json).map_err(|_| Refusal::Malformed)?)
}

fn version(v: Option<u32>) -> Result<(), Refusal> {
    if v == Some(VERSION) { Ok(()) } else { Err(Refusal::Malformed) }
}

fn identity(role: Role, suite: &str, id: &str) -> Result<Identity, Refusal> {
    if suite != SUITE {
        return Err(Refusal::Malformed);
    }
    Identity::parse(role, id).ok_or(Refusal::Malformed)
}

fn share(text: &str) -> Result<Share, Refusal> {
    Share::decode(&exact::<SHARE>(text)?).ok_or(Refusal::Malformed)
}

fn text(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Exactly so many bytes, in the one way in which they can be written.
fn exact<const N: usize>(text: &str) -> Result<[u8; N], Refusal> {
    if text.len() != (N * 4).div_ceil(3) {
        return Err(Refusal::Malformed);
    }
    BASE64_URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(Refusal::Malformed)
}

/// Something sealed, of a bearable size.
fn bounded(text: &str) -> Result<Vec<u8>, Refusal> {
    if text.len() > (MOST_SEALED * 4).div_ceil(3) {
        return Err(Refusal::Malformed);
    }
    BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| Refusal::Malformed)
}

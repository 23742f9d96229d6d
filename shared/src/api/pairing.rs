//! Pairing: two people, two machines, six digits typed and six digits compared. The protocol (LP2) is `daemon::pairing`.
//!
//! `start`, `join`, `status` and the answer of a person need the owner's key. `initiate` and the sealed form of `confirm` come from the other machine, which has
//! no key yet: they prove themselves by what is in them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Endpoint, Needs, Scope, Spec};
use crate::{id::NodeId, secret::Secret, time::Millis};

/// Makes an invite code and waits for another machine to come with it. The code is good for five minutes, one machine and three attempts.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartPairing {
    /// What the other machine may do here. When absent: what it might before, or everything that a peer gets by default.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scopes: Option<Vec<Scope>>,
}
impl Endpoint for StartPairing {
    type Reply = PairingStarted;
    const SPEC: Spec = Spec::post("pair.start", "/api/v1/pair/start", Needs::Admin);
}

/// An invite that waits.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PairingStarted {
    /// Six digits, to be typed on the other machine.
    pub invite_code: Secret,
    /// When the invite ends.
    pub expires_at: Millis,
    /// `address:port` of this machine as others may reach it, likeliest first.
    #[serde(default)]
    pub addresses: Vec<String>,
}

/// Goes to a machine that waits, with the code that it shows. Answers once both machines have proven that they know the code; then the two people compare.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JoinPairing {
    /// Host name or IP address, or the name of a machine that was found on the local network.
    pub address: String,
    /// Port; when absent that of the machine found, else 19532.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub port: Option<u16>,
    /// The six digits that the other machine shows.
    pub invite_code: Secret,
    /// What the other machine may do here. When absent: what it might before, or everything that a peer gets by default.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scopes: Option<Vec<Scope>>,
}
impl Endpoint for JoinPairing {
    type Reply = PairingStatus;
    const SPEC: Spec = Spec::post("pair.join", "/api/v1/pair/join", Needs::Admin);
}

/// Tells how far the pairing is. With `after`, waits up to 25 s for it to change.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GetPairing {
    /// The `change` of the answer before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<u64>,
}
impl Endpoint for GetPairing {
    type Reply = PairingStatus;
    const SPEC: Spec = Spec::get("pair.status", "/api/v1/pair/status", Needs::Admin);
}

/// How far a pairing is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PairingStatus {
    /// Whether one is under way.
    pub active: bool,
    /// How far it is, while it is under way.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub state: Option<PairingState>,
    /// The six digits to compare, from `key_exchanged` on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sas: Option<String>,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<Millis>,
    /// The other machine, once it is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub peer: Option<PairingPeer>,
    /// What this machine's person has answered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub answered: Option<bool>,
    /// Wrong codes that were tried so far.
    #[serde(default)]
    pub wrong_codes: u32,
    /// How the last one ended, when none is under way.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub outcome: Option<PairingOutcome>,
    /// Goes up with every change, for [`GetPairing::after`].
    #[serde(default)]
    pub change: u64,
}

/// A pairing that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PairingState {
    /// For a machine that comes with the code.
    Waiting,
    /// Both know the code; people compare and answer.
    KeyExchanged,
}

/// The machine on the other side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PairingPeer {
    /// Its id.
    pub node_id: NodeId,
    /// Its name.
    pub hostname: String,
    /// Where it is, as far as is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<String>,
}

/// How a pairing ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PairingOutcome {
    /// How.
    pub end: PairingEnd,
    /// The number of the error; 0 when it went well.
    #[serde(default)]
    pub code: u16,
    /// The same in a sentence, with what was kept.
    pub message: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
}

/// How a pairing ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PairingEnd {
    /// Both people said yes, and both machines have stored it.
    Paired,
    /// One of the two said no.
    Rejected,
    /// This machine's person cancelled before there was anything to compare.
    Cancelled,
    /// The five minutes are over.
    Expired,
    /// Too many wrong codes, or a message that no honest machine sends.
    Burned,
    /// Something else failed.
    Failed,
}

/// A message from the machine that joins: its share (`v`, `suite`, `id`, `publicKey`, `commit`), or its proof (`v`, `sid`, `nonce`, `mac`). Bytes are base64url without padding.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InitiatePairing {
    /// Protocol version: 2.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub v: Option<u32>,
    /// The one suite there is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub suite: Option<String>,
    /// `I:<nodeId>:<hostname>`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<String>,
    /// The share: an uncompressed point, 65 bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub public_key: Option<String>,
    /// The commitment to the nonce, 32 bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub commit: Option<String>,
    /// The handshake, 16 bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sid: Option<String>,
    /// The nonce, 32 bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub nonce: Option<String>,
    /// The proof that the code is known, 32 bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mac: Option<String>,
    /// Of the old pairing, which sends its code in clear: refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub invite_code: Option<Secret>,
}
impl Endpoint for InitiatePairing {
    type Reply = PairingReply;
    const SPEC: Spec = Spec::post("pair.initiate", "/api/v1/pair/initiate", Needs::Nothing);
}

/// The waiting machine's share (`v`, `suite`, `sid`, `id`, `publicKey`, `commit`), or its proof (`nonce`, `mac`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PairingReply {
    /// Protocol version: 2.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub v: Option<u32>,
    /// The one suite there is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub suite: Option<String>,
    /// The handshake, 16 bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sid: Option<String>,
    /// `R:<nodeId>:<hostname>`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<String>,
    /// The share: an uncompressed point, 65 bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub public_key: Option<String>,
    /// The commitment to the nonce, 32 bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub commit: Option<String>,
    /// The nonce, 32 bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub nonce: Option<String>,
    /// The proof that the code is known, 32 bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mac: Option<String>,
}

/// The answer of this machine's person (`confirmed`, with the owner's key), or a sealed message of the other machine (`sid`, `sealed`, which need no key: the seal
/// is the proof). A `confirmed` of false also cancels an invite that waits.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfirmPairing {
    /// Whether the digits are the same on both screens.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub confirmed: Option<bool>,
    /// The digits that were compared. When they are not those of the pairing that is under way, nothing is confirmed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sas: Option<String>,
    /// The handshake.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sid: Option<String>,
    /// The sealed message.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sealed: Option<String>,
}
impl Endpoint for ConfirmPairing {
    type Reply = PairingConfirmed;
    const SPEC: Spec = Spec::post("pair.confirm", "/api/v1/pair/confirm", Needs::Nothing);
}

/// What comes back: `success` and `message` to a person, `sealed` or `state` to the other machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PairingConfirmed {
    /// Whether the two are going to be paired, as far as this machine's person is concerned.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub success: Option<bool>,
    /// The same in a sentence.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
    /// The sealed answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sealed: Option<String>,
    /// `waiting` (with status 202): this machine's person has not answered yet; ask again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub state: Option<PairingState>,
}

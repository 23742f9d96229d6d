//! Files and folders that the node itself carries to or from a peer, straight from and to its disk.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Done, Endpoint, Needs, Spec};
use crate::{id::TransferId, time::Millis};

/// Copies a file or folder between this node and a peer. Answers at once; progress comes as events.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartTransfer {
    /// The peer: hostname, node id or an unambiguous prefix of it.
    pub peer: String,
    /// To the peer or from it.
    pub direction: Direction,
    /// File or folder: here for `push`, there for `pull`.
    pub source: String,
    /// Where it goes: there for `push`, here for `pull`. An existing directory, or a path that ends in `/`, takes the source under its own name.
    pub destination: String,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// Patterns (as in `.gitignore`) of names to leave out, besides those in the folder's own `.gitignore` and `.loopsyignore` files.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// Copies also what `.gitignore` and `.loopsyignore` files name.
    #[serde(default)]
    pub no_ignore: bool,
}
impl Endpoint for StartTransfer {
    type Reply = TransferInfo;
    const SPEC: Spec = Spec::post("transfers.start", "/api/v1/transfers", Needs::Local);
}

/// Which way a transfer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From here to the peer.
    Push,
    /// From the peer to here.
    Pull,
}

/// A transfer: running, or ended within the last hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransferInfo {
    /// The transfer.
    pub transfer_id: TransferId,
    /// The peer's name.
    pub peer: String,
    /// To the peer or from it.
    pub direction: Direction,
    /// Where it comes from.
    pub source: String,
    /// Where it goes.
    pub destination: String,
    /// How it stands.
    pub state: TransferState,
    /// Whether it only says what would be done.
    pub dry_run: bool,
    /// Files found so far.
    pub files: u64,
    /// Files that are at their destination.
    pub files_done: u64,
    /// Files that were there already, with the same content.
    pub files_skipped: u64,
    /// Bytes of all files found so far.
    pub bytes: u64,
    /// Bytes that are there, those of skipped and resumed files included.
    pub bytes_done: u64,
    /// Bytes that did not have to be sent again.
    pub bytes_resumed: u64,
    /// The file on its way.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub current: Option<String>,
    /// The hash, when one single file was copied.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<String>,
    /// Links, devices and refused names that were left out, at most 100 of them.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// With `dryRun`: the paths that would be copied, at most 1,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub planned: Vec<String>,
    /// When it began.
    pub started_at: Millis,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended_at: Option<Millis>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<super::error::ErrorDetail>,
}

/// Something that was not copied, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// Path below the source.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// How a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransferState {
    /// On its way; a lost connection is tried again for five minutes.
    Running,
    /// Everything is there.
    Done,
    /// It broke; what was finished stays, and the same transfer goes on from there.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

/// Lists transfers: running, or ended within the last hour.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListTransfers {}
impl Endpoint for ListTransfers {
    type Reply = Transfers;
    const SPEC: Spec = Spec::get("transfers.list", "/api/v1/transfers", Needs::Local);
}

/// Transfers.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Transfers {
    /// Oldest first.
    pub transfers: Vec<TransferInfo>,
}

/// Shows one transfer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GetTransfer {
    /// The transfer.
    pub transfer_id: TransferId,
}
impl Endpoint for GetTransfer {
    type Reply = TransferInfo;
    const SPEC: Spec = Spec::get("transfers.get", "/api/v1/transfers/{transferId}", Needs::Local);
}

/// Cancels a transfer. No half file is at the destination; the hidden part of a large one (`.loopsy.*.part`) stays for a day, so that the same transfer goes on from
/// there.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CancelTransfer {
    /// The transfer.
    pub transfer_id: TransferId,
}
impl Endpoint for CancelTransfer {
    type Reply = Done;
    const SPEC: Spec = Spec::delete("transfers.cancel", "/api/v1/transfers/{transferId}", Needs::Local);
}

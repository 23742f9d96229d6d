//! Single files and directories, by path on the node that is asked.
//!
//! A relative path starts in the node's home directory; `~` is not expanded.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bytes, Category, Done, Endpoint, Form, Needs, Scope, Spec};
use crate::time::Millis;

const TRANSFER: Needs = Needs::Scope(Scope::Transfer);

/// Receives a file. These are the form's fields; the file part follows them, and `sha256` may also come after it. Nothing is at `destPath` until all of it is on disk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Push {
    /// Where it goes. Parent directories are made.
    pub dest_path: String,
    /// SHA-256 of the whole file, hex. Another content is refused and leaves what was there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<String>,
    /// Size of the whole file in bytes, for the room to be checked first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u64>,
    /// Permission bits, of which the lower nine count; 0644 when absent, or those of the file that is replaced.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mode: Option<u32>,
    /// Modification time to set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub modified: Option<Millis>,
    /// Name of a resumable upload, 8 to 64 of `A-Z a-z 0-9 -`. Its part is kept for 24 hours when the upload breaks off.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub upload_id: Option<String>,
    /// Where this body starts in the file; what lies before it must already be in the part.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub offset: Option<u64>,
    /// `false` refuses to replace a file that is there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub overwrite: Option<bool>,
}
impl Endpoint for Push {
    type Reply = Pushed;
    const SPEC: Spec = Spec::post("transfer.push", "/api/v1/transfer/push", TRANSFER).limited(Category::Transfer).takes(Form::Multipart);
}

/// A file that is on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pushed {
    /// `destPath` as it was sent.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256, hex.
    pub checksum: String,
    /// Milliseconds it took.
    pub duration: f64,
}

/// Says how much of a resumable upload is here.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PushOffset {
    /// Where the file is to go.
    pub dest_path: String,
    /// The upload's name.
    pub upload_id: String,
}
impl Endpoint for PushOffset {
    type Reply = UploadOffset;
    const SPEC: Spec = Spec::post("transfer.offset", "/api/v1/transfer/offset", TRANSFER);
}

/// How much of an upload is here. The sender compares the hash with its own file before it goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UploadOffset {
    /// Bytes; 0 when there is no part.
    pub offset: u64,
    /// SHA-256 of those bytes, hex.
    pub sha256: String,
}

/// Sends a file as `application/octet-stream`, with its length, name, mode and modification time in headers.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pull {
    /// The file.
    pub source_path: String,
    /// Bytes to leave out at the start.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offset: u64,
}
impl Endpoint for Pull {
    type Reply = Bytes;
    const SPEC: Spec = Spec::post("transfer.pull", "/api/v1/transfer/pull", TRANSFER).limited(Category::Transfer).gives(Form::Bytes);
}

const fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Lists a directory.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ListDirectory {
    /// The directory.
    pub path: String,
}
impl Endpoint for ListDirectory {
    type Reply = Listing;
    const SPEC: Spec = Spec::post("transfer.list", "/api/v1/transfer/list", TRANSFER).limited(Category::Transfer);
}

/// What is in a directory, by name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Listing {
    /// Sorted by name.
    pub files: Vec<FileInfo>,
}

/// A file, directory or link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileInfo {
    /// Last part of the path.
    pub name: String,
    /// The whole path.
    pub path: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: FileKind,
    /// Bytes; of what a link points at, when that may be seen.
    pub size: u64,
    /// When it was last changed.
    pub modified: Millis,
    /// Permission bits.
    #[serde(default)]
    pub mode: u32,
}

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, socket or pipe. Never transferred.
    Other,
}

/// Lists everything below a directory, by the rules of its ignore files. Links are never followed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListTree {
    /// The directory.
    pub path: String,
    /// Patterns (as in `.gitignore`) of names to leave out.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// Lists also what `.gitignore` and `.loopsyignore` files name.
    #[serde(default)]
    pub no_ignore: bool,
}
impl Endpoint for ListTree {
    type Reply = Tree;
    const SPEC: Spec = Spec::post("transfer.tree", "/api/v1/transfer/tree", TRANSFER).limited(Category::Transfer);
}

/// What is below a directory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tree {
    /// Regular files, by path.
    pub files: Vec<TreeFile>,
    /// Directories, each after the one that it is in.
    pub directories: Vec<String>,
    /// Links, devices and the like.
    pub left_out: Vec<super::transfers::LeftOut>,
}

/// A file below a directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TreeFile {
    /// Path below the directory, with `/`.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// When it was last changed.
    pub modified: Millis,
}

/// Looks at one path, and hashes the start of a file when asked to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatPath {
    /// The path.
    pub path: String,
    /// Hash this many bytes from the start (all of them when it is more than there are); no hash when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hash_bytes: Option<u64>,
}
impl Endpoint for StatPath {
    type Reply = PathStat;
    const SPEC: Spec = Spec::post("transfer.stat", "/api/v1/transfer/stat", TRANSFER);
}

/// What is at a path.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PathStat {
    /// Nothing when the path names nothing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<FileInfo>,
    /// SHA-256 of the bytes asked for, hex.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<String>,
}

/// Makes a directory and those above it. One that is there is fine.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MakeDirectory {
    /// The directory.
    pub path: String,
}
impl Endpoint for MakeDirectory {
    type Reply = Done;
    const SPEC: Spec = Spec::post("transfer.mkdir", "/api/v1/transfer/mkdir", TRANSFER);
}

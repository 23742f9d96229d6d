//! Looking at directories and single paths. What may not be touched is not shown either.

use std::path::Path;

use loopsy_shared::api::transfer::{FileInfo, FileKind, Listing, PathStat, StatPath};
use rustix::fs::Dir;
use sha2::{Digest, Sha256};

use super::{
    FileError, Inner,
    confine::Policy,
    hash,
    pull::open_regular,
    system::{self, Meta},
};

/// Most entries of one directory that are listed.
const MOST: usize = 250_000;

/// Lists a directory, by name.
pub(super) fn list(inner: &Inner, text: &str) -> Result<Listing, FileError> {
    let policy = inner.policy();
    let given = policy.absolute(text)?;
    let (dir, dir_path) = policy.directory(text)?;
    let mut files = Vec::new();
    for entry in system::readable(&dir).and_then(Dir::new).map_err(|error| FileError::io(text, "list", error))? {
        let entry = entry.map_err(|error| FileError::io(text, "list", error))?;
        let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." || policy.refuse_denied(&dir_path.join(name), text).is_err() {
            continue;
        }
        // what vanished meanwhile, or is a denied object under another name, is not there
        let Some(meta) = Meta::at(&dir, name).ok().filter(|meta| policy.refuse_object(meta, text).is_ok()) else { continue };
        if files.len() == MOST {
            return Err(FileError::invalid(text, "it has more than 250,000 entries; name the ones you want"));
        }
        files.push(info(&policy, &given.join(name), &dir_path.join(name), &meta));
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Listing { files })
}

/// Looks at one path.
pub(super) fn stat(inner: &Inner, request: &StatPath) -> Result<PathStat, FileError> {
    let (policy, text) = (inner.policy(), request.path.as_str());
    let given = policy.absolute(text)?;
    let place = match policy.entry(&given, text) {
        Err(FileError::NotFound { .. }) => return Ok(PathStat { file: None, sha256: None }),
        other => other?,
    };
    let meta = match Meta::at(&place.dir, &place.name) {
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(PathStat { file: None, sha256: None }),
        other => other.map_err(|error| FileError::io(text, "look at", error))?,
    };
    policy.refuse_object(&meta, text)?;
    let sha256 = request.hash_bytes.map(|length| {
        let (file, meta) = open_regular(&policy.object(&given, text)?, text)?;
        policy.refuse_object(&meta, text)?;
        let mut hasher = Sha256::new();
        hash::feed(&mut hasher, &file, length).map_err(|error| FileError::io(text, "read", error))?;
        Ok(hash::hex(hasher))
    });
    Ok(PathStat { file: Some(info(&policy, &given, &place.path(), &meta)), sha256: sha256.transpose()? })
}

fn info(policy: &Policy, path: &Path, canonical: &Path, meta: &Meta) -> FileInfo {
    let target = if meta.kind == FileKind::Symlink { target(policy, canonical) } else { None };
    let seen = target.as_ref().unwrap_or(meta);
    FileInfo {
        name: path.file_name().map_or_else(|| "/".into(), |name| name.to_string_lossy()).into_owned(),
        path: path.to_string_lossy().into_owned(),
        kind: meta.kind,
        size: seen.size,
        modified: seen.modified(),
        mode: seen.mode,
    }
}

/// What a link leads to, when that may be seen.
fn target(policy: &Policy, link: &Path) -> Option<Meta> {
    let place = policy.object(link, "").ok()?;
    Meta::at(&place.dir, &place.name).ok().filter(|meta| policy.refuse_object(meta, "").is_ok())
}

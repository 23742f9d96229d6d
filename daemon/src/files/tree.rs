//! What is in a local folder, for carrying it elsewhere: links are named, never followed, and nothing is left out in silence except what a rule says.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use ignore::{WalkBuilder, gitignore::GitignoreBuilder};
use loopsy_shared::api::{
    transfer::{FileKind, Tree, TreeFile},
    transfers::LeftOut,
};
use rustix::fs::{AtFlags, CWD, statat};

use super::{FileError, Inner, error::shown, names, system::Meta};

/// Most entries of a folder. One with more is refused, before any of it is sent.
const MOST: usize = 1_000_000;

/// Most entries that are named as left out. What is beyond is counted.
const MOST_NAMED: usize = 2_000;

/// Files of this name hold rules as `.gitignore` does, for transfers only.
const RULES: &str = ".loopsyignore";

/// What was left out so far.
#[derive(Debug, Default)]
struct Left {
    named: Vec<LeftOut>,
    more: usize,
    /// Entries that the walk did not even come to.
    skipped: usize,
}

impl Left {
    fn add(&mut self, path: &Path, reason: &str) {
        if self.named.len() < MOST_NAMED {
            self.named.push(LeftOut { path: shown(path), reason: reason.to_owned() });
        } else {
            self.more += 1;
        }
    }

    /// By path, and last how many more there are.
    fn into_list(mut self) -> Vec<LeftOut> {
        self.named.sort_by(|a, b| a.path.cmp(&b.path));
        if self.more > 0 {
            self.named.push(LeftOut { path: "…".to_owned(), reason: format!("{} more entries were left out", self.more) });
        }
        self.named
    }
}

/// Walks a folder.
pub(super) fn walk(inner: &Inner, text: &str, patterns: &[String], no_ignore: bool) -> Result<Tree, FileError> {
    walk_up_to(MOST, inner, text, patterns, no_ignore)
}

/// Walks a folder of at most so many entries, with those that are left out.
pub(super) fn walk_up_to(most: usize, inner: &Inner, text: &str, patterns: &[String], no_ignore: bool) -> Result<Tree, FileError> {
    let policy = inner.policy();
    let (_handle, root) = policy.directory(text)?;
    let mut rules = GitignoreBuilder::new(&root);
    for pattern in patterns {
        rules.add_line(None, pattern).map_err(|error| FileError::invalid(text, format!("`{}` is not an ignore pattern: {error}", shown(pattern))))?;
    }
    let rules = rules.build().map_err(|error| FileError::invalid(text, format!("the ignore patterns cannot be used: {error}")))?;
    let left_out = Arc::new(Mutex::new(Left::default()));
    let leave = {
        let (left_out, root) = (Arc::clone(&left_out), root.clone());
        move |path: &Path, reason: &str| {
            left_out.lock().unwrap_or_else(PoisonError::into_inner).add(path.strip_prefix(&root).unwrap_or(path), reason);
        }
    };
    let filter = {
        let (leave, left_out) = (leave.clone(), Arc::clone(&left_out));
        move |entry: &ignore::DirEntry| {
            let path = entry.path();
            if entry.depth() == 0 {
                return true;
            }
            if rules.matched(path, entry.file_type().is_some_and(|kind| kind.is_dir())).is_ignore() {
                return false;
            }
            let reason = if policy.refuse_denied(path, "").is_err() {
                Some("it is in a place that no transfer may touch")
            } else {
                match entry.file_name().to_str() {
                    None => Some("its name is not UTF-8"),
                    Some(name) => names::refuse(name),
                }
            };
            if let Some(reason) = reason {
                leave(path, reason);
                left_out.lock().unwrap_or_else(PoisonError::into_inner).skipped += 1;
            }
            reason.is_none()
        }
    };
    let mut walk = WalkBuilder::new(&root);
    walk.standard_filters(false).require_git(false).parents(false).follow_links(false);
    walk.sort_by_file_name(std::ffi::OsStr::cmp).filter_entry(filter);
    if !no_ignore {
        walk.git_ignore(true).add_custom_ignore_filename(RULES);
    }
    let walk = walk.build();
    let mut tree = Tree::default();
    let policy = inner.policy();
    let fits = |count: usize| {
        let skipped = left_out.lock().unwrap_or_else(PoisonError::into_inner).skipped;
        let too_many =
            || FileError::invalid(text, format!("it has more than {most} entries; carry its parts one by one, or leave some out with ignore patterns"));
        if count + skipped > most { Err(too_many()) } else { Ok(()) }
    };
    let mut count = 0;
    for (before, entry) in walk.enumerate() {
        count = before; // without the folder itself
        fits(count)?;
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                leave(&path_of(&error, &root), "it could not be read");
                continue;
            }
        };
        let path = entry.path();
        let Some(below) = path.strip_prefix(&root).ok().and_then(Path::to_str).filter(|below| !below.is_empty()) else { continue };
        let Ok(meta) = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).map(|stat| Meta::from(&stat)) else {
            leave(path, "it vanished");
            continue;
        };
        match meta.kind {
            _ if policy.refuse_object(&meta, "").is_err() => leave(path, "it is in a place that no transfer may touch"),
            FileKind::Directory => tree.directories.push(below.to_owned()),
            FileKind::File => {
                tree.files.push(TreeFile { path: below.to_owned(), size: meta.size, mode: meta.mode & 0o777, modified: meta.modified() });
            }
            FileKind::Symlink => leave(path, "it is a link, and links are not followed"),
            FileKind::Other => leave(path, "it is a device, socket or pipe"),
        }
    }
    fits(count)?; // with what was skipped after the last entry
    tree.left_out = std::mem::take(&mut *left_out.lock().unwrap_or_else(PoisonError::into_inner)).into_list();
    Ok(tree)
}

/// The path that an error of the walk is about.
fn path_of(error: &ignore::Error, root: &Path) -> std::path::PathBuf {
    match error {
        ignore::Error::WithPath { path, .. } => path.clone(),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err, root),
        _ => root.to_owned(),
    }
}

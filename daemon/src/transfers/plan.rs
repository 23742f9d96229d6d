//! What a transfer is to carry, and where each file goes. Found out before the first byte moves.

use std::path::{Component, Path};

use loopsy_shared::{
    api::{
        transfer::{FileInfo, FileKind, ListTree, PathStat, StatPath, Tree, TreeFile},
        transfers::{Direction, LeftOut, StartTransfer},
    },
    client::Client,
    text,
    time::Millis,
};

use super::TransferError;
use crate::files::Files;

/// What is to be done.
#[derive(Debug)]
pub(super) struct Plan {
    /// Where the source will be at the destination: its own path there.
    pub(super) root: String,
    /// Directories to be made, each after the one it is in.
    pub(super) directories: Vec<String>,
    /// Files to be carried.
    pub(super) files: Vec<Item>,
    /// What is not carried, and why.
    pub(super) left_out: Vec<LeftOut>,
    /// Whether the source is one file.
    pub(super) single: bool,
}

/// One file of a plan.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Path for people: below the source, or its name.
    pub(super) shown: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) size: u64,
    pub(super) mode: u32,
    pub(super) modified: Millis,
}

/// One of the two ends of a transfer.
enum End<'a> {
    Here(&'a Files),
    There(&'a Client),
}

impl End<'_> {
    async fn stat(&self, path: &str) -> Result<PathStat, TransferError> {
        let request = StatPath { path: path.to_owned(), hash_bytes: None };
        match self {
            Self::Here(files) => Ok(files.stat(&request).await?),
            Self::There(client) => Ok(client.ask(request).await?),
        }
    }

    async fn tree(&self, request: ListTree) -> Result<Tree, TransferError> {
        match self {
            Self::Here(files) => Ok(files.tree(request).await?),
            Self::There(client) => Ok(client.ask(request).await?),
        }
    }
}

pub(super) async fn plan(files: &Files, peer: &Client, request: &StartTransfer) -> Result<Plan, TransferError> {
    let (source_end, destination_end) = match request.direction {
        Direction::Push => (End::Here(files), End::There(peer)),
        Direction::Pull => (End::There(peer), End::Here(files)),
    };
    if request.destination.is_empty() || request.source.is_empty() {
        return Err(TransferError::Invalid("Source and destination must not be empty.".to_owned()));
    }
    let source =
        source_end.stat(&request.source).await?.file.ok_or_else(|| TransferError::Invalid(format!("There is no `{}`.", text::inert(&request.source))))?;
    let into_directory = request.destination.ends_with('/')
        || destination_end.stat(&request.destination).await?.file.is_some_and(|file| file.kind == FileKind::Directory && source.kind != FileKind::Directory);
    let root = if into_directory { join(&request.destination, last_name(&request.source)?) } else { request.destination.trim_end_matches('/').to_owned() };
    match source.kind {
        FileKind::Directory => folder(&source_end, request, root).await,
        // A link that the caller names is meant; what it points at decides.
        FileKind::File | FileKind::Symlink => Ok(one_file(request, source, root)),
        FileKind::Other => Err(TransferError::Invalid(format!("`{}` is a device, socket or pipe and cannot be copied.", text::inert(&request.source)))),
    }
}

/// The name that the source was asked for by. Never what a peer calls it: that would let the peer choose what is written here.
fn last_name(source: &str) -> Result<&str, TransferError> {
    let name = Path::new(source).components().next_back().and_then(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    name.ok_or_else(|| TransferError::Invalid(format!("`{}` does not end in a name; say how the copy is to be called.", text::inert(source))))
}

fn one_file(request: &StartTransfer, source: FileInfo, root: String) -> Plan {
    let item = Item { shown: source.name, from: request.source.clone(), to: root.clone(), size: source.size, mode: source.mode, modified: source.modified };
    Plan { root, directories: Vec::new(), files: vec![item], left_out: Vec::new(), single: true }
}

async fn folder(source: &End<'_>, request: &StartTransfer, root: String) -> Result<Plan, TransferError> {
    let tree = source.tree(ListTree { path: request.source.clone(), ignore: request.ignore.clone(), no_ignore: request.no_ignore }).await?;
    let mut left_out = tree.left_out;
    // The peer chooses these names, so they are looked at before a path is made of them.
    let (files, strange): (Vec<TreeFile>, Vec<TreeFile>) = tree.files.into_iter().partition(|file| is_below(&file.path));
    let (directories, strange_directories): (Vec<String>, Vec<String>) = tree.directories.into_iter().partition(|path| is_below(path));
    left_out.extend(
        strange
            .into_iter()
            .map(|file| file.path)
            .chain(strange_directories)
            .map(|path| LeftOut { path: text::inert(&path).into_owned(), reason: "The path leads out of the folder.".to_owned() }),
    );
    let files = files.into_iter().map(|file| Item {
        from: join(&request.source, &file.path),
        to: join(&root, &file.path),
        shown: file.path,
        size: file.size,
        mode: file.mode,
        modified: file.modified,
    });
    let files = files.collect();
    let directories = std::iter::once(root.clone()).chain(directories.iter().map(|path| join(&root, path))).collect();
    Ok(Plan { root, directories, files, left_out, single: false })
}

/// Whether a path stays below the directory that it is relative to.
fn is_below(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

fn join(directory: &str, path: &str) -> String {
    format!("{}/{path}", directory.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_called_as_it_was_asked_for() {
        assert_eq!(last_name("/x/report.txt").expect("a name"), "report.txt");
        assert_eq!(last_name("dir/").expect("a name"), "dir");
        for bad in ["/", "..", "a/..", "."] {
            assert!(last_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_path_of_a_peer_leads_out() {
        for good in ["a", "a/b", "a/..b", ".git/x"] {
            assert!(is_below(good), "{good}");
        }
        for bad in ["", "/etc/passwd", "..", "a/../../b", "./a", "a/.."] {
            assert!(!is_below(bad), "{bad}");
        }
    }
}

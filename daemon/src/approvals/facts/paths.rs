//! Where a path really leads: links followed as far as there are any, the rest kept as it is.

use std::{
    collections::VecDeque,
    ffi::OsString,
    path::{Component, Path, PathBuf},
};

use loopsy_shared::api::approvals::ResolvedPath;

/// Links that are followed for one path.
const MOST_LINKS: usize = 40;
/// Parts of a path that are looked at.
const MOST_PARTS: usize = 512;

/// A working directory, and who it belongs to.
#[derive(Debug)]
pub(crate) struct Places {
    cwd: PathBuf,
    real_cwd: PathBuf,
    home: PathBuf,
}

impl Places {
    pub(crate) fn new(cwd: &Path, home: &Path) -> Self {
        Self { cwd: cwd.to_owned(), real_cwd: real(cwd).0, home: home.to_owned() }
    }

    /// Whether a word names a link in the working directory.
    pub(crate) fn is_link(&self, word: &str) -> bool {
        std::fs::symlink_metadata(self.real_cwd.join(word)).is_ok_and(|file| file.is_symlink())
    }

    /// Resolves a path of an input, and says whether a link was followed below the working directory.
    pub(crate) fn resolve(&self, path: &str) -> (ResolvedPath, bool) {
        let expanded = match path.strip_prefix('~') {
            Some("") => self.home.clone(),
            Some(rest) if rest.starts_with('/') => self.home.join(&rest[1..]),
            _ => self.cwd.join(path),
        };
        // The way to the working directory is no link that an agent has made.
        let begun = expanded.strip_prefix(&self.cwd).map_or_else(|_| expanded.clone(), |rest| self.real_cwd.join(rest));
        let (resolved, linked) = real(&begun);
        let exists = std::fs::symlink_metadata(&resolved).is_ok();
        let inside = resolved.starts_with(&self.real_cwd);
        (ResolvedPath { path: path.to_owned(), resolved: resolved.to_string_lossy().into_owned(), exists, inside }, linked)
    }
}

/// The path without links, `.` and `..`, and whether there were links. What is not there, or cannot be read, is taken as it is written.
pub(crate) fn real(path: &Path) -> (PathBuf, bool) {
    let mut rest: VecDeque<OsString> = path.components().take(MOST_PARTS).map(|part| part.as_os_str().to_owned()).collect();
    let (mut at, mut links) = (PathBuf::from("/"), 0);
    while let Some(part) = rest.pop_front() {
        match Path::new(&part).components().next() {
            Some(Component::ParentDir) => {
                at.pop();
            }
            Some(Component::Normal(name)) => {
                let next = at.join(name);
                match std::fs::read_link(&next) {
                    Ok(target) if links < MOST_LINKS => {
                        links += 1;
                        for part in target.components().take(MOST_PARTS).collect::<Vec<_>>().into_iter().rev() {
                            rest.push_front(part.as_os_str().to_owned());
                        }
                    }
                    _ => at = next,
                }
            }
            Some(Component::RootDir) => at = PathBuf::from("/"),
            _ => {}
        }
    }
    (at, links > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_as_far_as_there_are_any() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().canonicalize().expect("exists");
        std::fs::create_dir_all(root.join("in/sub")).expect("makes");
        std::fs::create_dir(root.join("out")).expect("makes");
        let link = |target: &str, at: &str| std::os::unix::fs::symlink(target, root.join(at)).expect("links");
        link("../out", "in/away");
        link("sub", "in/near");
        link("loop", "in/loop");
        link("/nowhere/x", "in/dangling");
        link("in", "here");
        for cwd in ["in", "here"] {
            let places = Places::new(&root.join(cwd), &root);
            let root = root.display();
            for (path, resolved, inside, linked) in [
                ("a/b".to_owned(), format!("{root}/in/a/b"), true, false),
                ("away/new".to_owned(), format!("{root}/out/new"), false, true),
                ("near/../x".to_owned(), format!("{root}/in/x"), true, true),
                ("away/../x".to_owned(), format!("{root}/x"), false, true),
                ("../x".to_owned(), format!("{root}/x"), false, false),
                ("dangling".to_owned(), "/nowhere/x".to_owned(), false, true),
                ("~/x".to_owned(), format!("{root}/x"), false, false),
                (format!("{root}/{cwd}/y"), format!("{root}/in/y"), true, false),
                (String::new(), format!("{root}/in"), true, false),
            ] {
                let (found, followed) = places.resolve(&path);
                assert_eq!((found.resolved, found.inside, followed), (resolved, inside, linked), "{cwd}: {path}");
            }
            assert!(places.resolve("loop").1);
            places.resolve(&"a/".repeat(100_000));
            places.resolve("a\0b");
        }
    }
}

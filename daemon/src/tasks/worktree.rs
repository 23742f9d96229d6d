//! A git worktree for one task: the agent changes files of its own, and never those that a person works on.
//!
//! It lies in the data directory, outside of the repository, with a branch `loopsy/<id>`. What runs git here runs none of the repository's hooks.

use std::{
    fs::File,
    io::{Read as _, Seek as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use loopsy_shared::{api::ai_tasks::Worktree, text::inert};

/// How long one call of git may take. Large repositories take their time to check out.
const MOST_TIME: Duration = Duration::from_secs(120);
/// How often a running git is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// Bytes of what git says that are read.
const MOST_SAID: u64 = 64 << 10;

/// A worktree of a task, and where in it the agent works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    /// The worktree.
    pub(crate) worktree: Worktree,
    /// What was asked for, below it.
    pub(crate) cwd: PathBuf,
}

/// What became of a worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Removed {
    /// It is gone, with its branch.
    Gone,
    /// It is kept: a sentence that says why.
    Kept(String),
}

/// Why there is no worktree.
#[derive(Debug, thiserror::Error)]
pub enum WorktreeError {
    /// The directory is in no repository.
    #[error("`{0}` is not in a git repository, so there can be no worktree. Leave `worktree` out, or run `git init` there.")]
    NoRepository(String),
    /// The repository is empty.
    #[error("The repository `{0}` has no commit yet, so there can be no worktree. Commit something first.")]
    NoCommit(String),
    /// Git failed.
    #[error("Git could not make the worktree: {0}.")]
    Git(String),
}

/// Makes a worktree for a task. Blocks.
pub(crate) fn make(cwd: &Path, task_id: &str, data_dir: &Path) -> Result<Made, WorktreeError> {
    let shown = inert(&cwd.to_string_lossy()).into_owned();
    let cwd = cwd.canonicalize().map_err(|_| WorktreeError::NoRepository(shown.clone()))?;
    let found = git(&cwd, &["rev-parse", "--show-toplevel"]).map_err(WorktreeError::Git)?;
    let repository = found.ok().map(|text| PathBuf::from(text.trim_end_matches('\n'))).ok_or(WorktreeError::NoRepository(shown))?;
    let base = git(&repository, &["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).map_err(WorktreeError::Git)?;
    let base = base.map_err(|_| WorktreeError::NoCommit(inert(&repository.to_string_lossy()).into_owned()))?.trim().to_owned();
    let short: String = task_id.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    let (branch, root) = (format!("loopsy/{short}"), data_dir.join("worktrees").join(&short));
    crate::fsutil::private_dir(&data_dir.join("worktrees")).map_err(|error| WorktreeError::Git(error.to_string()))?;
    let place = root.to_string_lossy().into_owned();
    let made = git(&repository, &["worktree", "add", "--no-track", "-b", &branch, "--", &place, &base]).map_err(WorktreeError::Git)?;
    made.map_err(WorktreeError::Git)?;
    let below = cwd.strip_prefix(&repository).unwrap_or(Path::new(""));
    let inside = root.join(below);
    // A directory without a file in the commit is not there: the agent is to find it all the same.
    std::fs::create_dir_all(&inside).map_err(|error| WorktreeError::Git(error.to_string()))?;
    let repository = repository.to_string_lossy().into_owned();
    Ok(Made { worktree: Worktree { repository, path: place, branch, base }, cwd: inside })
}

/// Removes a worktree, where nothing in it would be lost. Blocks.
pub(crate) fn remove(worktree: &Worktree) -> Result<Removed, WorktreeError> {
    let (root, repository) = (Path::new(&worktree.path), Path::new(&worktree.repository));
    let place = inert(&worktree.path).into_owned();
    if root.exists() {
        let changes = run(root, &["status", "--porcelain", "--ignored", "--untracked-files=all"])?;
        if !changes.trim().is_empty() {
            return Ok(Removed::Kept(format!("The worktree `{place}` has changes that are not committed, and is kept.")));
        }
        let head = run(root, &["rev-parse", "HEAD"])?;
        if head.trim() != worktree.base {
            return Ok(Removed::Kept(format!("The worktree `{place}` has commits of its own on `{}`, and is kept.", inert(&worktree.branch))));
        }
    }
    let tip = run(repository, &["for-each-ref", "--format=%(objectname)", &format!("refs/heads/{}", worktree.branch)])?;
    if root.exists() {
        run(repository, &["worktree", "remove", "--", &worktree.path])?;
    }
    if tip.trim() == worktree.base {
        run(repository, &["branch", "-D", "--", &worktree.branch])?;
        return Ok(Removed::Gone);
    }
    Ok(if tip.trim().is_empty() {
        Removed::Gone
    } else {
        Removed::Kept(format!("The branch `{}` has commits of its own, and is kept.", inert(&worktree.branch)))
    })
}

fn run(dir: &Path, args: &[&str]) -> Result<String, WorktreeError> {
    git(dir, args).map_err(WorktreeError::Git)?.map_err(WorktreeError::Git)
}

/// Runs git: what it printed, or what it complained of. Fails when it cannot run, or takes too long.
fn git(dir: &Path, args: &[&str]) -> Result<Result<String, String>, String> {
    let file = || tempfile::tempfile().map_err(|error| error.to_string());
    let (mut out, mut err) = (file()?, file()?);
    let share = |file: &File| file.try_clone().map(Stdio::from).map_err(|error| error.to_string());
    let mut command = Command::new("git");
    // Nothing that the repository's config names is run, as far as git can be told so.
    for setting in
        ["core.hooksPath=/dev/null", "core.fsmonitor=false", "core.untrackedCache=false", "submodule.recurse=false", "gc.auto=0", "maintenance.auto=false"]
    {
        command.args(["-c", setting]);
    }
    command.arg("-C").arg(dir).args(args).stdin(Stdio::null()).stdout(share(&out)?).stderr(share(&err)?);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_") || name.to_string_lossy().starts_with("LOOPSY_")) {
        command.env_remove(name);
    }
    command.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
    let mut child = command.spawn().map_err(|error| format!("git cannot be started: {error}"))?;
    let mut waited = Duration::ZERO;
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if waited >= MOST_TIME => {
                let _ = child.kill(); // it may just have ended
                let _ = child.wait();
                return Err(format!("git took longer than {} s", MOST_TIME.as_secs()));
            }
            None => {
                std::thread::sleep(LOOK);
                waited += LOOK;
            }
        }
    };
    let read = |file: &mut File| {
        let mut bytes = Vec::new();
        let read = file.rewind().and_then(|()| file.take(MOST_SAID).read_to_end(&mut bytes));
        read.map(|_| String::from_utf8_lossy(&bytes).into_owned()).map_err(|error| error.to_string())
    };
    Ok(if status.success() { Ok(read(&mut out)?) } else { Err(inert(read(&mut err)?.trim()).into_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().canonicalize().expect("exists");
        let (repository, data) = (root.join("repo"), root.join("data"));
        std::fs::create_dir_all(repository.join("sub")).expect("makes");
        std::fs::create_dir(&data).expect("makes");
        (dir, repository, data)
    }

    fn commit(dir: &Path, file: &str) {
        std::fs::write(dir.join(file), "x").expect("writes");
        run(dir, &["add", "-A"]).expect("adds");
        run(dir, &["-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "-qm", "c"]).expect("commits");
    }

    #[test]
    fn a_task_works_in_files_of_its_own() {
        let (_dir, repository, data) = world();
        run(&repository, &["init", "-q"]).expect("init");
        commit(&repository, "sub/a");
        std::fs::write(repository.join("sub/a"), "mine").expect("writes");
        let hook = repository.join(".git/hooks/post-checkout");
        std::fs::create_dir_all(repository.join(".git/hooks")).expect("makes");
        std::fs::write(&hook, format!("#!/bin/sh\ntouch {}/ran\n", data.display())).expect("writes");
        std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("sets");
        let made = make(&repository.join("sub"), "7f3a-12", &data).expect("made");
        assert_eq!((made.worktree.branch.as_str(), made.cwd.clone()), ("loopsy/7f3a12", data.join("worktrees/7f3a12/sub")));
        assert_eq!(std::fs::read_to_string(made.cwd.join("a")).expect("reads"), "x");
        assert_eq!(std::fs::read_to_string(repository.join("sub/a")).expect("reads"), "mine");
        assert!(!data.join("ran").exists(), "a hook ran");
        assert_eq!(remove(&made.worktree).expect("removes"), Removed::Gone);
        assert!(!Path::new(&made.worktree.path).exists() && run(&repository, &["branch", "--list", "loopsy/*"]).expect("lists").is_empty());
    }

    #[test]
    fn what_would_be_lost_is_kept() {
        let (_dir, repository, data) = world();
        run(&repository, &["init", "-q"]).expect("init");
        commit(&repository, "a");
        let made = make(&repository, "one", &data).expect("made");
        std::fs::write(made.cwd.join("new"), "x").expect("writes");
        assert!(matches!(remove(&made.worktree).expect("asks"), Removed::Kept(why) if why.contains("not committed")));
        commit(&made.cwd, "new");
        assert!(matches!(remove(&made.worktree).expect("asks"), Removed::Kept(why) if why.contains("commits of its own")));
        assert!(made.cwd.join("new").exists());
    }

    #[test]
    fn where_there_can_be_none_it_is_said() {
        let (_dir, repository, data) = world();
        assert!(matches!(make(&repository, "x", &data), Err(WorktreeError::NoRepository(_))));
        assert!(matches!(make(&repository.join("nowhere"), "x", &data), Err(WorktreeError::NoRepository(_))));
        run(&repository, &["init", "-q"]).expect("init");
        assert!(matches!(make(&repository, "x", &data), Err(WorktreeError::NoCommit(_))));
    }
}

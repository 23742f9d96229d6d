//! A git worktree for one task: the agent changes files of its own, and never those that a person works on.
//!
//! It lies in the data directory, outside of the repository, with a branch `loopsy/<id>`. What runs git here runs nothing that the repository or
//! the agent could name: no hooks, no filters.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _, Seek as _},
    os::unix::{ffi::OsStrExt as _, process::CommandExt as _},
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
/// What git is told whatever a config says.
const SETTINGS: [&str; 9] = [
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.splitIndex=false",
    "worktree.useRelativePaths=false",
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
];
/// What git gets of the node's environment.
const PASSED: [&str; 3] = ["PATH", "HOME", "LANG"];
/// The tree without files, which has no attributes either: git knows it without its being there.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
/// The same where ids are SHA-256.
const EMPTY_TREE_SHA256: &str = "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321";

/// A worktree of a task, and where in it the agent works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    /// The worktree.
    pub(crate) worktree: Worktree,
    /// What was asked for, below it.
    pub(crate) cwd: PathBuf,
}

/// A link in the commit must not lead the agent out of the worktree.
fn stays(root: &Path, inside: &Path) -> Result<(), WorktreeError> {
    let real = |path: &Path| path.canonicalize().map_err(|error| WorktreeError::Git(error.to_string()));
    if real(inside)?.starts_with(real(root)?) {
        return Ok(());
    }
    Err(WorktreeError::Git(format!("`{}` is a link that leads elsewhere", inert(&inside.to_string_lossy()))))
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

/// Makes a worktree for a task. Blocks. The files are as the commit has them: no filter of the repository runs, so files in LFS stay pointers until the agent asks
/// for them (`git lfs pull`), and what a partial clone has not fetched yet cannot be had.
pub(crate) fn make(cwd: &Path, task_id: &str, data_dir: &Path) -> Result<Made, WorktreeError> {
    let shown = inert(&cwd.to_string_lossy()).into_owned();
    let cwd = cwd.canonicalize().map_err(|_| WorktreeError::NoRepository(shown.clone()))?;
    let found = Git::at(&cwd).call(&["rev-parse", "--show-toplevel"]).map_err(WorktreeError::Git)?;
    let repository = found.ok().map(|text| PathBuf::from(text.trim_end_matches('\n'))).ok_or(WorktreeError::NoRepository(shown))?;
    let git = Git::at(&repository);
    let base = git.call(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).map_err(WorktreeError::Git)?;
    let base = base.map_err(|_| WorktreeError::NoCommit(inert(&repository.to_string_lossy()).into_owned()))?.trim().to_owned();
    let short: String = task_id.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    let (branch, root) = (format!("loopsy/{short}"), data_dir.join("worktrees").join(&short));
    crate::fsutil::private_dir(&data_dir.join("worktrees")).map_err(failed)?;
    let place = root.to_string_lossy().into_owned();
    git.run(&["worktree", "add", "--no-checkout", "--no-track", "-b", &branch, "--", &place, &base])?;
    let below = cwd.strip_prefix(&repository).unwrap_or(Path::new(""));
    let inside = root.join(below);
    // A directory without a file in the commit is not there: the agent is to find it all the same.
    if let Err(error) = fill(&repository, &root, &base).and_then(|()| std::fs::create_dir_all(&inside).map_err(failed)).and_then(|()| stays(&root, &inside)) {
        let _ = std::fs::remove_dir_all(&root); // what cannot be removed does no harm
        let _ = git.run(&["worktree", "remove", "--force", "--", &place]).and_then(|_| git.run(&["branch", "-D", "--", &branch]));
        return Err(error);
    }
    let repository = repository.to_string_lossy().into_owned();
    Ok(Made { worktree: Worktree { repository, path: place, branch, base }, cwd: inside })
}

/// Checks the commit's files out.
fn fill(repository: &Path, root: &Path, base: &str) -> Result<(), WorktreeError> {
    let common = common(repository)?;
    let admin = admin(&common, root)?.ok_or_else(|| WorktreeError::Git("the worktree that was just made is not there".to_owned()))?;
    let aside = Aside::new(&common, base)?;
    aside.git(root, &admin.join("index")).run(&["read-tree", "--reset", "-u", base]).map(drop)
}

/// Removes a worktree, where nothing in it would be lost. Blocks.
///
/// The agent could write anything into it, so nothing in it says to git where the repository is, or what to run.
pub(crate) fn remove(worktree: &Worktree) -> Result<Removed, WorktreeError> {
    let (root, git) = (Path::new(&worktree.path), Git::at(Path::new(&worktree.repository)));
    let place = inert(&worktree.path).into_owned();
    let common = common(Path::new(&worktree.repository))?;
    let admin = admin(&common, root)?;
    if root.symlink_metadata().is_ok() {
        let Some(admin) = admin.as_deref().filter(|admin| is_link(&root.join(".git"), admin)) else {
            return Ok(Removed::Kept(format!("The worktree `{place}` is not as git made it: its `.git` names another place. It is kept.")));
        };
        let head = Git::at(admin).with("GIT_DIR", admin).run(&["rev-parse", "--verify", "HEAD"])?;
        if head.trim() != worktree.base {
            return Ok(Removed::Kept(format!("The worktree `{place}` has commits of its own on `{}`, and is kept.", inert(&worktree.branch))));
        }
        if has_changes(&common, root, admin, &worktree.base)? {
            return Ok(Removed::Kept(format!("The worktree `{place}` has changes that are not committed, and is kept.")));
        }
    }
    let tip = git.run(&["for-each-ref", "--format=%(objectname)", &format!("refs/heads/{}", worktree.branch)])?;
    if root.symlink_metadata().is_ok() {
        // Not by git, which would ask the worktree itself once more whether it may go.
        std::fs::remove_dir_all(root).map_err(failed)?;
    }
    if admin.is_some() {
        git.run(&["worktree", "remove", "--force", "--", &worktree.path])?;
    }
    if tip.trim() == worktree.base {
        git.run(&["branch", "-D", "--", &worktree.branch])?;
        return Ok(Removed::Gone);
    }
    Ok(if tip.trim().is_empty() {
        Removed::Gone
    } else {
        Removed::Kept(format!("The branch `{}` has commits of its own, and is kept.", inert(&worktree.branch)))
    })
}

/// Whether anything in a worktree is other than the commit has it: files, what is ignored, what is staged, what lies in a submodule.
fn has_changes(common: &Path, root: &Path, admin: &Path, base: &str) -> Result<bool, WorktreeError> {
    let staged = Git::at(admin).with("GIT_DIR", admin).run(&["diff-index", "--cached", "--raw", "--ignore-submodules=dirty", base])?;
    let aside = Aside::new(common, base)?;
    // An index of its own, so that no mark in the agent's hides a change.
    let git = aside.git(root, &aside.0.path().join("index"));
    git.run(&["read-tree", base])?;
    // Git would start another git in each submodule, whose directory is the agent's too. One that nobody filled is empty.
    let tree = git.open(&["ls-tree", "-r", "-z", "--full-tree", base]).flatten().map_err(WorktreeError::Git)?;
    for entry in BufReader::new(tree).split(0) {
        let entry = entry.map_err(failed)?;
        let Some(path) = entry.strip_prefix(b"160000 ").and_then(|entry| entry.splitn(2, |byte| *byte == b'\t').nth(1)) else { continue };
        if std::fs::read_dir(root.join(OsStr::from_bytes(path))).is_ok_and(|mut files| files.next().is_some()) {
            return Ok(true);
        }
    }
    let changes = git.run(&["status", "--porcelain", "--ignored", "--untracked-files=all", "--ignore-submodules=all"])?;
    Ok(!staged.trim().is_empty() || !changes.trim().is_empty())
}

/// Where a repository keeps what all its worktrees share.
fn common(repository: &Path) -> Result<PathBuf, WorktreeError> {
    let said = Git::at(repository).run(&["rev-parse", "--path-format=absolute", "--git-common-dir"])?;
    Path::new(said.trim_end_matches('\n')).canonicalize().map_err(failed)
}

/// What the repository keeps of one worktree. Its name is mostly the worktree's, but git may have taken another.
fn admin(common: &Path, root: &Path) -> Result<Option<PathBuf>, WorktreeError> {
    let parent = root.parent().and_then(|parent| parent.canonicalize().ok());
    let Some(link) = parent.zip(root.file_name()).map(|(parent, name)| parent.join(name).join(".git")) else { return Ok(None) };
    let Ok(entries) = std::fs::read_dir(common.join("worktrees")) else { return Ok(None) };
    for entry in entries {
        let dir = entry.map_err(failed)?.path();
        let names = small_file(&dir.join("gitdir"));
        if names.is_some_and(|names| names.trim_ascii_end() == link.as_os_str().as_bytes()) {
            return Ok(Some(dir));
        }
    }
    Ok(None)
}

/// Whether a worktree's `.git` is the file that git wrote.
fn is_link(link: &Path, admin: &Path) -> bool {
    let wanted = [b"gitdir: ", admin.as_os_str().as_bytes(), b"\n"].concat();
    small_file(link).is_some_and(|found| found == wanted)
}

/// A small file that is one, and not a link to one or a pipe.
fn small_file(path: &Path) -> Option<Vec<u8>> {
    let plain = path.symlink_metadata().is_ok_and(|found| found.is_file() && found.len() <= MOST_SAID);
    plain.then(|| std::fs::read(path).ok()).flatten()
}

fn failed(error: io::Error) -> WorktreeError {
    WorktreeError::Git(error.to_string())
}

/// A git directory for one moment, with a repository's objects and nothing that a repository says of itself: no config, no attributes, no hooks.
struct Aside(tempfile::TempDir, PathBuf);

impl Aside {
    fn new(common: &Path, base: &str) -> Result<Self, WorktreeError> {
        let make = || {
            let dir = tempfile::tempdir()?;
            std::fs::create_dir(dir.path().join("refs"))?;
            std::fs::write(dir.path().join("HEAD"), format!("{base}\n"))?;
            let format = if base.len() == 64 { "[core]\nrepositoryformatversion = 1\n[extensions]\nobjectFormat = sha256\n" } else { "" };
            std::fs::write(dir.path().join("config"), format)?;
            Ok(Self(dir, common.join("objects")))
        };
        make().map_err(failed)
    }

    /// Git for the files of a worktree.
    fn git(&self, root: &Path, index: &Path) -> Git {
        let empty = if std::fs::read(self.0.path().join("config")).is_ok_and(|config| config.is_empty()) { EMPTY_TREE } else { EMPTY_TREE_SHA256 };
        let git = Git::at(root).with("GIT_DIR", self.0.path()).with("GIT_WORK_TREE", root).with("GIT_INDEX_FILE", index);
        git.with("GIT_OBJECT_DIRECTORY", &self.1).with("GIT_ATTR_SOURCE", Path::new(empty))
    }
}

/// Git in a directory.
struct Git {
    dir: PathBuf,
    variables: Vec<(&'static str, PathBuf)>,
    most_time: Duration,
}

impl Git {
    fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), variables: Vec::new(), most_time: MOST_TIME }
    }

    fn with(mut self, name: &'static str, value: &Path) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    /// What git printed; every complaint is a failure.
    fn run(&self, args: &[&str]) -> Result<String, WorktreeError> {
        self.call(args).flatten().map_err(WorktreeError::Git)
    }

    /// The beginning of what git printed, or what it complained of. Fails when it cannot run, or takes too long.
    fn call(&self, args: &[&str]) -> Result<Result<String, String>, String> {
        Ok(match self.open(args)? {
            Ok(said) => Ok(text(said)?),
            Err(complaint) => Err(complaint),
        })
    }

    /// A file with what git printed, or what it complained of.
    fn open(&self, args: &[&str]) -> Result<Result<File, String>, String> {
        let file = || tempfile::tempfile().map_err(|error| error.to_string());
        let (mut out, err) = (file()?, file()?);
        let share = |file: &File| file.try_clone().map(Stdio::from).map_err(|error| error.to_string());
        let mut command = Command::new("git");
        // Nothing that the repository's config names is run.
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.arg("-C").arg(&self.dir).args(args).stdin(Stdio::null()).stdout(share(&out)?).stderr(share(&err)?);
        // Of the node's own environment git gets what it needs, and nothing that could be secret.
        command.env_clear().envs(PASSED.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").env("GIT_OPTIONAL_LOCKS", "0").env("GIT_NO_LAZY_FETCH", "1").env("GIT_ATTR_NOSYSTEM", "1");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        // A group of its own, so that whatever it starts ends with it.
        let mut child = command.process_group(0).spawn().map_err(|error| format!("git cannot be started: {error}"))?;
        let mut waited = Duration::ZERO;
        let status = loop {
            match child.try_wait().map_err(|error| error.to_string())? {
                Some(status) => break status,
                None if waited >= self.most_time => {
                    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
                    let _ = group.map(|group| rustix::process::kill_process_group(group, rustix::process::Signal::KILL)); // it may just have ended
                    let _ = child.wait();
                    return Err(format!("git took longer than {} s", self.most_time.as_secs()));
                }
                None => {
                    std::thread::sleep(LOOK);
                    waited += LOOK;
                }
            }
        };
        if status.success() {
            out.rewind().map_err(|error| error.to_string())?;
            return Ok(Ok(out));
        }
        Ok(Err(inert(rewound(err)?.trim()).into_owned()))
    }
}

fn rewound(mut file: File) -> Result<String, String> {
    file.rewind().map_err(|error| error.to_string())?;
    text(file)
}

fn text(file: File) -> Result<String, String> {
    let mut bytes = Vec::new();
    file.take(MOST_SAID).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(dir: &Path, args: &[&str]) -> Result<String, WorktreeError> {
        Git::at(dir).run(args)
    }

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

    /// A git directory whose config has a filter that leaves a trace, and attributes that use it for everything.
    fn trap(git_dir: &Path, trace: &Path) {
        for (name, value) in [("clean", "cat"), ("smudge", "cat"), ("process", "false")] {
            let command = format!("sh -c 'touch {}; {value}'", trace.display());
            run(git_dir, &["config", &format!("filter.x.{name}"), &command]).expect("sets");
        }
        std::fs::create_dir_all(git_dir.join("info")).expect("makes");
        std::fs::write(git_dir.join("info/attributes"), "* filter=x\n").expect("writes");
    }

    #[test]
    fn what_an_agent_writes_into_its_worktree_is_not_run() {
        let (_dir, repository, data) = world();
        run(&repository, &["init", "-q"]).expect("init");
        commit(&repository, "a");
        let made = make(&repository, "one", &data).expect("made");
        let (trace, link, own) = (data.join("ran"), made.cwd.join(".git"), made.cwd.join("own"));
        std::fs::write(made.cwd.join(".gitattributes"), "* filter=x\n").expect("writes");
        let written = std::fs::read(&link).expect("reads");
        run(&repository, &["clone", "-q", "--bare", ".", &own.to_string_lossy()]).expect("clones");
        run(&own, &["config", "core.bare", "false"]).expect("sets");
        trap(&own, &trace);
        for another in [&b"gitdir: own\n"[..], &[&written[..], b"\n"].concat(), &[b"gitdir: ", own.as_os_str().as_bytes(), b"\n"].concat()] {
            std::fs::write(&link, another).expect("writes");
            std::fs::write(made.cwd.join("a"), "y").expect("writes"); // as long as before, so that git has to read it
            assert!(matches!(remove(&made.worktree).expect("asks"), Removed::Kept(why) if why.contains("not as git made it")));
        }
        std::fs::remove_file(&link).expect("removes");
        std::os::unix::fs::symlink(&own, &link).expect("links");
        assert!(matches!(remove(&made.worktree).expect("asks"), Removed::Kept(why) if why.contains("not as git made it")));
        assert!(!trace.exists(), "a filter of the agent's ran");
        std::fs::remove_file(&link).expect("removes");
        std::fs::write(&link, written).expect("writes");
        assert!(matches!(remove(&made.worktree).expect("asks"), Removed::Kept(why) if why.contains("not committed")));
    }

    #[test]
    fn filters_of_the_repository_are_not_run() {
        for format in ["sha1", "sha256"] {
            let (_dir, repository, data) = world();
            run(&repository, &["init", "-q", "--object-format", format]).expect("init");
            std::fs::write(repository.join(".gitattributes"), "* filter=x\n").expect("writes");
            commit(&repository, "a");
            trap(&repository.join(".git"), &data.join("ran"));
            let made = make(&repository, "one", &data).expect("made");
            assert_eq!(std::fs::read_to_string(made.cwd.join("a")).expect("reads"), "x");
            std::fs::write(made.cwd.join("a"), "y").expect("writes");
            assert!(matches!(remove(&made.worktree).expect("asks"), Removed::Kept(why) if why.contains("not committed")));
            std::fs::write(made.cwd.join("a"), "x").expect("writes");
            assert_eq!(remove(&made.worktree).expect("removes"), Removed::Gone);
            assert!(!data.join("ran").exists(), "a filter of the repository ran");
        }
    }

    #[test]
    fn a_submodule_is_looked_at_and_not_asked() {
        let (_dir, repository, data) = world();
        run(&repository, &["init", "-q"]).expect("init");
        commit(&repository, "a");
        let head = run(&repository, &["rev-parse", "HEAD"]).expect("there");
        run(&repository, &["update-index", "--add", "--cacheinfo", &format!("160000,{},module", head.trim())]).expect("adds");
        run(&repository, &["-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "-qm", "m"]).expect("commits");
        let made = make(&repository, "one", &data).expect("made");
        let module = made.cwd.join("module");
        run(&repository, &["clone", "-q", ".", &module.to_string_lossy()]).expect("clones");
        trap(&module.join(".git"), &data.join("ran"));
        std::fs::write(module.join("a"), "y").expect("writes");
        assert!(matches!(remove(&made.worktree).expect("asks"), Removed::Kept(why) if why.contains("not committed")));
        assert!(!data.join("ran").exists(), "a filter in a submodule ran");
        std::fs::remove_dir_all(&module).expect("removes");
        std::fs::create_dir(&module).expect("makes");
        assert_eq!(remove(&made.worktree).expect("removes"), Removed::Gone);
    }

    #[test]
    fn git_gets_nothing_of_the_nodes_environment_and_ends_with_all_it_started() {
        let dir = tempfile::tempdir().expect("a directory");
        let said = run(dir.path(), &["-c", "alias.shown=!env", "shown"]).expect("runs");
        let shown: Vec<&str> = said.lines().filter_map(|line| Some(line.split_once('=')?.0)).filter(|name| name.starts_with("CARGO")).collect();
        assert!(std::env::vars_os().any(|(name, _)| name.to_string_lossy().starts_with("CARGO")) && shown.is_empty(), "{shown:?}");
        let pid = dir.path().join("pid");
        let alias = format!("alias.long=!sh -c 'echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000'", pid.display());
        let mut git = Git::at(dir.path());
        git.most_time = LOOK;
        // Until there was time enough for it to begin.
        while !pid.exists() {
            git.most_time *= 2;
            assert!(git.call(&["-c", &alias, "long"]).expect_err("takes too long").contains("longer"));
        }
        let pid = std::fs::read_to_string(&pid).expect("reads");
        loop {
            let state = Command::new("ps").args(["-o", "stat=", "-p", pid.trim()]).output().expect("runs").stdout;
            if state.trim_ascii().is_empty() || state.starts_with(b"Z") {
                break;
            }
            std::thread::yield_now();
        }
    }
}

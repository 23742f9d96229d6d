//! What may be run. One policy for every way in; pure but for looking programs up.
//!
//! The denylist is a seat belt: it sees through wrappers, shells and disguises, but not into programs that interpret other languages (`python -c`,
//! `perl -e`, `node -e`), scripts in files, variables or standard input (here-documents for a shell included), aliases, braces within a word (`r{m,x}`),
//! `pwsh` scripts beyond what they have in common with a shell's, copies under other names, and wrappers that it does not know. The allowlist is a wall as
//! high as what it lets through.

pub(crate) mod script;
pub(crate) mod wrappers;

use std::{
    cell::RefCell,
    collections::HashMap,
    path::{Path, PathBuf},
    rc::Rc,
};

use loopsy_shared::{config::Execution, text::inert};
use wrappers::Inner;

use super::environment;

/// How many wrappers may be around a program.
const DEPTH: usize = 16;

/// How many programs one command may name.
const PROGRAMS: usize = 20_000;

/// Variables that would let an allowed program do anything: not for callers where there is an allowlist. `*` stands for any rest.
const LOCKED: [&str; 16] = [
    "LD_*",
    "DYLD_*",
    "NODE_OPTIONS",
    "PYTHON*",
    "PERL5*",
    "RUBY*",
    "BASH_ENV",
    "ENV",
    "GIT_*",
    "PATH",
    "IFS",
    "SHELLOPTS",
    "BASHOPTS",
    "PS4",
    "HOME",
    "XDG_CONFIG_HOME",
];

/// What shells do themselves and what runs nothing else.
const BUILTINS: [&str; 27] = [
    ":", "[", "break", "cd", "continue", "declare", "echo", "exit", "export", "false", "getopts", "hash", "let", "local", "printf", "pwd", "read", "readonly",
    "return", "set", "shift", "test", "times", "true", "type", "umask", "unset",
];

/// Files that are many programs, told apart by the name they are called by.
const MULTICALL: [&str; 3] = ["busybox", "toybox", "coreutils"];

/// Why a command is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is, or runs, a program of `execution.denylist`.
    #[error("The command `{0}` is denied here (`execution.denylist`).")]
    Denied(String),
    /// It is, or runs, a program that is not in `execution.allowlist`.
    #[error("The command `{0}` is not among those allowed here (`execution.allowlist`).")]
    NotAllowed(String),
    /// It sets a variable that would undo the allowlist.
    #[error("The variable `{0}` may not be set here, because only some commands are allowed (`execution.allowlist`).")]
    Variable(String),
    /// It has too many layers to say what it runs.
    #[error("The command `{0}` is wrapped too often, or runs too many others, to tell whether it is allowed here.")]
    TooDeep(String),
}

/// Where programs are looked up.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    /// The job's `PATH`.
    pub(crate) path: String,
    /// The job's working directory.
    pub(crate) cwd: PathBuf,
}

impl Search {
    /// The file that a name stands for, as `execvp` would find it.
    pub(crate) fn find(&self, name: &str) -> Option<PathBuf> {
        if name.contains('/') {
            return Some(self.cwd.join(name)).filter(|path| path.exists());
        }
        let candidates = self.path.split(':').map(|dir| self.cwd.join(dir).join(name));
        candidates.into_iter().find(|path| is_program(path))
    }
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Says whether a command may run, and nothing of how.
pub(crate) fn check(execution: &Execution, search: &Search, command: &str, args: &[String]) -> Result<(), Refusal> {
    let check = Check {
        execution,
        search,
        denied: execution.denylist.iter().map(|entry| normal(entry)).filter(|entry| !entry.is_empty()).collect(),
        names: RefCell::new(HashMap::new()),
        left: RefCell::new(PROGRAMS),
    };
    let words: Vec<String> = std::iter::once(command).chain(args.iter().map(String::as_str)).map(str::to_owned).collect();
    check.program(&words, 0, false)
}

/// Says whether a caller may set a variable.
pub(crate) fn check_variable(execution: &Execution, name: &str) -> Result<(), Refusal> {
    let locked = LOCKED.iter().any(|pattern| environment::matches(pattern, name));
    if execution.allowlist.is_some() && locked { Err(Refusal::Variable(inert(name).into_owned())) } else { Ok(()) }
}

struct Check<'a> {
    execution: &'a Execution,
    search: &'a Search,
    denied: Vec<String>,
    names: RefCell<HashMap<String, Rc<[String]>>>,
    left: RefCell<usize>,
}

impl Check<'_> {
    fn program(&self, words: &[String], depth: usize, in_script: bool) -> Result<(), Refusal> {
        let Some((word, args)) = words.split_first() else { return Ok(()) };
        let shown = || inert(word).chars().take(80).collect::<String>();
        let left = self.left.replace_with(|left| left.saturating_sub(1));
        if depth > DEPTH || left == 0 {
            return Err(Refusal::TooDeep(shown()));
        }
        let names = self.names(word);
        if names.iter().any(|name| self.is_denied(name)) || in_script && self.may_be_denied(word) {
            return Err(Refusal::Denied(shown()));
        }
        let builtin = in_script && BUILTINS.contains(&word.as_str());
        if !builtin && !self.is_allowed(word) {
            return Err(Refusal::NotAllowed(shown()));
        }
        if in_script && word.contains(char::is_whitespace) {
            let split: Vec<String> = word.split_whitespace().map(str::to_owned).collect();
            self.program(&split, depth + 1, in_script)?;
        }
        for inner in names.iter().flat_map(|name| wrappers::inner(name, args)) {
            match inner {
                Inner::Program(words) => self.program(&words, depth + 1, in_script)?,
                Inner::Script(text, parameters) => self.script(&text, &parameters, depth + 1)?,
                Inner::Variable(name) => check_variable(self.execution, &name)?,
            }
        }
        Ok(())
    }

    fn script(&self, text: &str, parameters: &[String], depth: usize) -> Result<(), Refusal> {
        if depth > DEPTH {
            return Err(Refusal::TooDeep("sh".to_owned()));
        }
        let script = script::parse(text, parameters);
        script.commands.iter().try_for_each(|words| self.program(words, depth, true))?;
        script.inner.iter().try_for_each(|text| self.script(text, parameters, depth + 1))
    }

    fn is_denied(&self, name: &str) -> bool {
        self.denied.iter().any(|entry| entry == name || entry == "mkfs" && name.starts_with("mkfs."))
    }

    /// Whether a word that the shell replaces by a file's name may become a denied one. A bare `*` is whatever comes first, not anybody's disguise.
    fn may_be_denied(&self, word: &str) -> bool {
        let pattern = normal(word);
        pattern.contains(script::is_glob) && pattern != "*" && self.denied.iter().any(|entry| script::glob(&pattern, entry))
    }

    fn is_allowed(&self, word: &str) -> bool {
        let Some(allowed) = &self.execution.allowlist else { return true };
        let Some(asked) = self.search.find(word) else { return false };
        allowed.iter().filter_map(|entry| self.search.find(entry)).any(|entry| same_program(&asked, &entry))
    }

    /// All names that a word may be known by: its own, and those of the files that it links to.
    fn names(&self, word: &str) -> Rc<[String]> {
        if let Some(names) = self.names.borrow().get(word) {
            return Rc::clone(names);
        }
        let mut names = vec![normal(word)];
        let mut file = self.search.find(word);
        for _ in 0..DEPTH {
            let Some(target) = file.as_ref().and_then(|file| Some(file.parent()?.join(std::fs::read_link(file).ok()?))) else { break };
            names.push(normal(&target.to_string_lossy()));
            file = Some(target);
        }
        names.dedup();
        let names: Rc<[String]> = names.into();
        self.names.borrow_mut().insert(word.to_owned(), Rc::clone(&names));
        names
    }
}

/// Whether two files are the same program, whatever links lead there. A file that is many programs is told by its name.
fn same_program(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    let (Ok(one_file), Ok(other_file)) = (one.canonicalize(), other.canonicalize()) else { return false };
    let multicall = MULTICALL.contains(&normal(&one_file.to_string_lossy()).as_str());
    place(one).is_some_and(|one| Some(one) == place(other)) || (one_file == other_file && !multicall)
}

/// A program's name without directory and ending, in lower case.
pub(crate) fn normal(program: &str) -> String {
    let name = program.trim_end_matches('/').rsplit(['/', '\\']).next().unwrap_or_default().to_lowercase();
    let stem = [".exe", ".cmd", ".bat", ".com"].iter().find_map(|ending| name.strip_suffix(ending));
    stem.filter(|stem| !stem.is_empty()).unwrap_or(&name).to_owned()
}

#[cfg(test)]
mod tests;

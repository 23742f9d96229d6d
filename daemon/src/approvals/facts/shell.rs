//! What a command line would run: every command of it, through pipes, lists, substitutions and programs that run others.
//!
//! Two kinds of mistakes are possible, and only one is harmless: what a shell may read otherwise is said to be unclear, so that nobody allows it unseen. What was
//! found is told all the same, because it is reason enough to refuse.

use std::collections::HashSet;

use crate::jobs::policy::{
    normal,
    script::{self, Script},
    wrappers::{self, Inner},
};

pub(crate) use crate::jobs::policy::script::UNKNOWN;

/// How deep programs and scripts may lie in each other.
const DEPTH: usize = 16;
/// Bytes of a command line that are read; a longer one is unclear.
const MOST_TEXT: usize = 256 << 10;
/// Commands that are looked at.
const MOST_COMMANDS: usize = 2_000;
/// Bytes of words that are looked at, copies included.
const MOST_WORDS: usize = 8 << 20;
/// Words of a command that are searched for another command.
const MOST_WRAPPED: usize = 256;

/// Shells whose scripts are read as they read them.
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "zsh", "ksh", "ash"];

/// Shells with a grammar of their own.
const FOREIGN: [&str; 7] = ["fish", "csh", "tcsh", "nu", "pwsh", "powershell", "yash"];

/// Where programs are that an agent cannot have put there. A rule for `git` is one for `/usr/bin/git`, and not for `./git`.
const SYSTEM: [&str; 7] = ["/bin/", "/usr/bin/", "/usr/local/bin/", "/sbin/", "/usr/sbin/", "/usr/local/sbin/", "/opt/homebrew/bin/"];

/// Variables that change what a program prints, and not what it does.
const HARMLESS: [&str; 14] = [
    "RUST_LOG",
    "RUST_BACKTRACE",
    "NO_COLOR",
    "FORCE_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "CI",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TERM",
    "COLUMNS",
    "LINES",
    "DEBIAN_FRONTEND",
];

/// A command line, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shell {
    /// Commands that a rule has to allow.
    pub(crate) commands: Vec<Vec<String>>,
    /// Commands that only run others of `commands`, and names by which one is known beside its own: reason to refuse, nothing to allow.
    pub(crate) carriers: Vec<Vec<String>>,
    /// Files that redirections write.
    pub(crate) writes: Vec<String>,
    /// Files that redirections read.
    pub(crate) reads: Vec<String>,
    /// Directories that it goes to.
    pub(crate) moves: Vec<String>,
    /// What nobody can be sure of.
    pub(crate) unclear: Option<String>,
}

/// Reads a command line.
pub(crate) fn read(text: &str) -> Shell {
    let mut reader = Reader { shell: Shell::default(), seen: HashSet::new(), words: MOST_WORDS, left: MOST_COMMANDS };
    if text.len() > MOST_TEXT {
        reader.unclear("it is too long");
    } else if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t') || c.is_whitespace() && !c.is_ascii()) {
        reader.script(text, &[], 0);
        reader.unclear("it has control characters or unusual spaces");
    } else {
        reader.script(text, &[], 0);
    }
    reader.shell
}

/// Looks at a program with arguments.
pub(crate) fn read_words(words: &[String]) -> Shell {
    let mut reader = Reader { shell: Shell::default(), seen: HashSet::new(), words: MOST_WORDS, left: MOST_COMMANDS };
    reader.program(words, 0, false);
    if words.iter().map(String::len).sum::<usize>() > MOST_TEXT {
        reader.unclear("it is too long");
    }
    reader.shell
}

struct Reader {
    shell: Shell,
    seen: HashSet<(bool, Vec<String>)>,
    words: usize,
    left: usize,
}

impl Reader {
    fn unclear(&mut self, why: &str) {
        self.shell.unclear.get_or_insert_with(|| why.to_owned());
    }

    fn script(&mut self, text: &str, parameters: &[String], depth: usize) {
        if depth > DEPTH || !self.spend(text.len()) {
            return self.unclear("it is nested too deep");
        }
        let Script { commands, inner, writes, reads, variables, unclear } = script::parse(text, parameters);
        if unclear {
            self.unclear("shells may read it in more than one way");
        }
        variables.iter().for_each(|assignment| self.variable(assignment));
        if writes.iter().chain(&reads).any(|file| is_uncertain(file) || file.starts_with('!')) {
            self.unclear("the name of a file is only known when it runs");
        }
        self.shell.writes.extend(writes);
        self.shell.reads.extend(reads);
        commands.iter().for_each(|words| self.program(words, depth, true));
        inner.iter().for_each(|text| self.script(text, &[], depth + 1));
    }

    fn variable(&mut self, assignment: &str) {
        let (name, value) = assignment.split_once('=').unwrap_or((assignment, "?"));
        let plain = value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ',' | ':' | '=' | '-' | '@'));
        if !(plain && (HARMLESS.contains(&name) || name.starts_with("LC_"))) {
            let name: String = name.chars().take(40).collect();
            self.unclear(&format!("it sets the variable {name}, which may change what is run"));
        }
    }

    fn spend(&mut self, bytes: usize) -> bool {
        let left = self.words.checked_sub(bytes);
        self.words = left.unwrap_or(0);
        left.is_some()
    }

    fn program(&mut self, words: &[String], depth: usize, in_script: bool) {
        let Some((word, args)) = words.split_first() else { return };
        let size = words.iter().map(|word| word.len() + size_of::<String>()).sum();
        if depth > DEPTH || self.left == 0 || !self.spend(size) {
            return self.unclear("it runs too many commands, or they are nested too deep");
        }
        self.left -= 1;
        if in_script && (is_uncertain(word) || word.starts_with(['~', '='])) || word.is_empty() || word.chars().any(char::is_whitespace) {
            self.unclear("which program runs is only known then");
        }
        let name = normal(word);
        let carrier = self.carries(word, &name, args);
        self.keep(carrier, words.to_vec());
        self.sets(&name, args);
        let searched = args.get(..MOST_WRAPPED).unwrap_or(args);
        let inner = wrappers::inner(&name, searched);
        if !inner.is_empty() && searched.len() < args.len() {
            self.unclear("it has too many words to find what it runs");
        }
        if FOREIGN.contains(&name.as_str()) || name == "parallel" {
            self.unclear("what this shell runs is not understood");
        } else if SHELLS.contains(&name.as_str()) && inner.is_empty() && args.iter().all(|arg| arg.starts_with(['-', '+'])) {
            self.unclear("a shell runs what it reads");
        }
        for inner in inner {
            match inner {
                Inner::Program(words) => self.program(&words, depth + 1, true),
                Inner::Script(text, parameters) => self.script(&text, &parameters, depth + 1),
                Inner::Variable(_) if carrier => {} // looked at already, with its value
                Inner::Variable(name) => self.variable(&name),
            }
        }
    }

    fn keep(&mut self, carrier: bool, words: Vec<String>) {
        if self.seen.insert((carrier, words.clone())) {
            if carrier { &mut self.shell.carriers } else { &mut self.shell.commands }.push(words);
        }
    }

    /// Whether a program does nothing but run what else is found, whatever its arguments are: then no rule is needed for it.
    fn carries(&mut self, word: &str, name: &str, args: &[String]) -> bool {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        if !is_systems(word) {
            return false;
        }
        match (name, args.as_slice()) {
            (shell, ["-c" | "-lc" | "-cl", _] | ["-l", "-c", _]) if SHELLS.contains(&shell) => true,
            ("cd" | "pushd", [place]) if !is_uncertain(place) && !place.starts_with('-') => {
                self.shell.moves.push((*place).to_owned());
                true
            }
            ("nice", ["-n", level, ..]) => is_number(level),
            ("nohup" | "time" | "command" | "nice", [program, ..]) => !program.starts_with('-'),
            ("timeout", [seconds, _, ..]) => is_number(seconds.trim_end_matches(['s', 'm', 'h', 'd'])),
            ("env", [first, ..]) => {
                let assigned: Vec<&&str> = args.iter().take_while(|arg| script::is_assignment(arg)).collect();
                let runs = !first.starts_with('-') && assigned.len() < args.len();
                assigned.into_iter().filter(|_| runs).for_each(|assignment| self.variable(assignment));
                runs
            }
            _ => false,
        }
    }

    /// Commands of the shell that set variables, or go elsewhere in a way that is not followed.
    fn sets(&mut self, name: &str, args: &[String]) {
        match name {
            "export" | "declare" | "typeset" | "local" | "readonly" => args.iter().filter(|arg| arg.contains('=')).for_each(|arg| self.variable(arg)),
            "read" | "mapfile" | "readarray" | "getopts" | "let" | "alias" | "set" | "shopt" | "hash" | "enable" => {
                self.unclear("it changes what later commands mean")
            }
            "printf" if args.first().is_some_and(|arg| arg.starts_with("-v")) => self.unclear("it changes what later commands mean"),
            "cd" | "pushd" if args.len() != 1 || args.iter().any(|arg| is_uncertain(arg) || arg.starts_with('-')) => {
                self.unclear("where it goes is only known when it runs")
            }
            "popd" => self.unclear("where it goes is only known when it runs"),
            _ => {}
        }
    }
}

/// Whether a program's name is one that the system finds, or names a file of the system.
pub(crate) fn is_systems(word: &str) -> bool {
    !word.contains('/') || SYSTEM.iter().any(|dir| word.strip_prefix(dir).is_some_and(|name| !name.contains('/')))
}

/// Whether a word may become another one before it is used.
pub(crate) fn is_uncertain(word: &str) -> bool {
    word.contains(['$', '`', '*', '?', '[', '{'])
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() < 12 && text.chars().all(|c| c.is_ascii_digit() || c == '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(words: &[Vec<String>]) -> Vec<String> {
        words.iter().map(|words| words.join(" ")).collect()
    }

    #[test]
    fn every_command_is_found() {
        for (text, expected) in [
            ("git log --oneline", vec!["git log --oneline"]),
            ("a | b && c; d & e || f", vec!["a", "b", "c", "d", "e", "f"]),
            ("echo $(rm x) `rm y`", vec!["echo $() $()", "rm x", "rm y"]),
            ("diff <(a) <(b)", vec!["diff $() $()", "a", "b"]),
            ("/bin/bash -lc 'cargo test 2>&1 | tail'", vec!["cargo test", "tail"]),
            ("timeout 5 nice -n 3 cargo test", vec!["cargo test"]),
            ("env RUST_LOG=debug cargo test", vec!["cargo test"]),
            ("sudo rm x", vec!["sudo rm x", "rm x"]),
            ("find . -exec rm {} +", vec!["find . -exec rm {} +", "rm {}"]),
            ("xargs rm", vec!["xargs rm", "rm"]),
            ("cd sub && cargo test", vec!["cargo test"]),
            ("sh -c \"sh -c 'rm x'\"", vec!["rm x"]),
            ("\\rm x; 'r'm y", vec!["rm x", "rm y"]),
            ("if true; then rm x; fi", vec!["true", "rm x"]),
            ("(rm x)", vec!["rm x"]),
        ] {
            let shell = read(text);
            assert_eq!((joined(&shell.commands), shell.unclear), (expected.into_iter().map(str::to_owned).collect(), None), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_known_is_unclear() {
        for text in [
            "$X y",
            "$(x) y",
            "`x` y",
            "r{m,x}",
            "~/bin/x",
            "X=1 git log",
            "PATH=. git log",
            "LANG=./x git log",
            "env LD_PRELOAD=x git log",
            "export PATH=.",
            "bash",
            "bash -s",
            "echo x | sh",
            "fish -c 'rm x'",
            "set -- rm x; \"$@\"",
            "alias git=rm",
            "read PATH",
            "cd $X",
            "cd - && x",
            "printf -v PATH x",
            "a >$X",
            "a > *",
            "git\u{a0}log",
            "git log\r",
            "for PATH in x; do git log; done",
            "eval \"$X\"",
            "find . -exec {} ;",
            "parallel",
            "hash -p x git",
            "a >! b",
        ] {
            assert!(read(text).unclear.is_some(), "{text}");
        }
    }

    #[test]
    fn hostile_text_ends_soon() {
        for text in
            ["watch ".repeat(40_000), "$(".repeat(100_000), "find -exec ".repeat(20_000), "sh -c ".repeat(30_000), "a;".repeat(120_000), "x".repeat(1 << 20)]
        {
            assert!(read(&text).unclear.is_some());
        }
        let nested = (0..12).fold("rm x".to_owned(), |inner, _| format!("sh -c '{}'", inner.replace('\'', "'\\''")));
        let shell = read(&nested);
        assert!(shell.unclear.is_some() || joined(&shell.commands) == ["rm x"]);
    }
}

//! What else an input may name when it runs: a file without a slash, a value glued to an option, a name that only a shell knows, a field that nobody has told us of.
//!
//! Reason to ask where a rule denies it, and never reason to allow.

use std::{collections::HashSet, path::PathBuf};

use serde_json::Value;

use super::{paths::Places, shell, tools};
use crate::jobs::policy::normal;

/// Places that are looked at; of an input that may name more, nobody says which.
const MOST_PLACES: usize = 1024;
/// Bytes of a word that may be a path.
const MOST_WORD: usize = 512;
/// Texts of an input that are looked at.
const MOST_TEXTS: usize = 512;
/// Bytes of them all.
const MOST_TEXT: usize = 64 << 10;

/// Programs that go through a whole directory, and through the one where they run when told no other.
const RECURSIVE: [&str; 8] = ["rg", "ag", "ack", "fd", "fdfind", "find", "tree", "du"];

/// What an input may name beside what it certainly names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Guess {
    /// Where its words would lead if they were paths.
    pub(crate) paths: Vec<PathBuf>,
    /// Why it may name any path at all.
    pub(crate) any_path: Option<String>,
    /// The words in the input of a tool that nobody knows: they may be a command.
    pub(crate) words: Vec<String>,
    /// The command of such a tool is not understood.
    pub(crate) any_command: bool,
    /// The input of such a tool has parts whose meaning nobody knows.
    pub(crate) opaque: bool,
}

/// Collects guesses.
#[derive(Debug, Default)]
pub(super) struct Guesser {
    guess: Guess,
    seen: HashSet<String>,
    /// Directories beside the working directory that names may be relative to.
    bases: Vec<String>,
}

impl Guesser {
    pub(super) fn done(self) -> Guess {
        self.guess
    }

    pub(super) fn any_path(&mut self, why: &str) {
        self.guess.any_path.get_or_insert_with(|| why.to_owned());
    }

    pub(super) const fn any_command(&mut self) {
        self.guess.any_command = true;
    }

    /// It may go to this directory first.
    pub(super) fn base(&mut self, places: &Places, place: &str) {
        let resolved = places.resolve(place).0.resolved;
        if resolved == places.resolve(".").0.resolved || self.bases.contains(&resolved) {
            return;
        }
        if !self.bases.is_empty() {
            self.any_path("it goes to more than one directory");
            return;
        }
        self.guess.paths.push(PathBuf::from(&resolved));
        self.bases.push(resolved);
    }

    /// A command of a shell: its words, and the directory that it goes through unasked.
    pub(super) fn command(&mut self, places: &Places, words: &[String]) {
        let Some((program, args)) = words.split_first() else { return };
        let name = normal(program);
        if matches!(name.as_str(), "xargs" | "parallel") {
            self.any_path("a program gets words that are only known when it runs");
        }
        let option = |arg: &String| arg.starts_with("--recursive") || arg.starts_with("--dereference-r") || short(arg).contains(['r', 'R']);
        let through = matches!(name.as_str(), "grep" | "egrep" | "fgrep" | "zgrep" | "ls") && args.iter().any(option);
        if through || RECURSIVE.contains(&name.as_str()) || name == "git" && args.iter().any(|arg| arg == "grep") {
            self.path(places, ".");
        }
        let program = program.contains('/').then_some(program);
        for word in program.into_iter().chain(args) {
            if shell::is_uncertain(word) {
                self.any_path("a word is only known when it runs");
            }
            self.word(places, word);
        }
    }

    /// The input of a tool that nobody knows.
    pub(super) fn unknown(&mut self, places: &Places, input: &Value) {
        self.guess.opaque = !tools::is_understood(input);
        let Some(texts) = texts(input) else {
            self.any_command();
            return self.any_path("its input is too large to look at");
        };
        for text in texts {
            for word in text.split_whitespace() {
                if shell::is_uncertain(word) && (word.contains('/') || word.starts_with(['.', '$'])) {
                    self.any_path("a word is only known when it runs");
                }
                self.guess.words.extend(parts(word).map(str::to_owned));
            }
            self.word(places, text);
        }
    }

    /// The texts of an input that names files of its own accord.
    pub(super) fn texts(&mut self, places: &Places, input: &Value) {
        match texts(input) {
            Some(texts) => texts.into_iter().for_each(|text| self.word(places, text)),
            None => self.any_path("its input is too large to look at"),
        }
    }

    /// A word that may be a path, or have one glued to something else.
    pub(super) fn word(&mut self, places: &Places, word: &str) {
        if self.seen.len() >= MOST_PLACES {
            return self.any_path("it has more or longer words than are looked at");
        }
        if word.contains("file:") && word.contains('%') {
            self.any_path("it names a file in a way that is not followed");
        }
        if word.len() <= MOST_WORD {
            self.path(places, word);
            if let Some((_, value)) = word.split_once('=') {
                self.path(places, value);
            }
        }
        parts(word).for_each(|part| self.path(places, part));
        // `-rf.ssh/id`: after any number of letters there may be the value of the last one.
        for (at, _) in short(word).char_indices().take(MOST_WORD).skip(1) {
            self.path(places, &word[at + 1..]);
        }
        if !short(word).is_empty() {
            self.path(places, &word[short(word).len() + 1..]);
        }
    }

    fn path(&mut self, places: &Places, path: &str) {
        if path.len() > MOST_WORD || self.seen.len() >= MOST_PLACES {
            return self.any_path("it has more or longer words than are looked at");
        }
        if path.is_empty() || self.seen.contains(path) && path != "." {
            return;
        }
        if path.strip_prefix('~').is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/')) {
            self.any_path("it names another home directory");
        }
        self.seen.insert(path.to_owned());
        let mut found = vec![places.resolve(path).0.resolved];
        found.extend(self.bases.iter().filter(|_| !path.starts_with(['/', '~'])).map(|base| places.resolve(&format!("{base}/{path}")).0.resolved));
        self.guess.paths.extend(found.into_iter().map(PathBuf::from));
    }
}

/// The letters of an option such as `-rf`.
fn short(word: &str) -> &str {
    let Some(rest) = word.strip_prefix('-') else { return "" };
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
    &rest[..end]
}

/// Parts of a word that other characters than those of usual paths hold apart.
fn parts(word: &str) -> impl Iterator<Item = &str> {
    word.split(|c: char| c.is_whitespace() || "'\"`=:,;()<>|&@".contains(c)).filter(|part| !part.is_empty())
}

/// Every text of an input, unless there are too many.
fn texts(input: &Value) -> Option<Vec<&str>> {
    let (mut rest, mut found, mut bytes, mut looked) = (vec![input], Vec::new(), 0, 0);
    while let Some(value) = rest.pop() {
        looked += 1;
        match value {
            Value::String(text) => {
                bytes += text.len();
                found.push(text.as_str());
            }
            Value::Array(values) => rest.extend(values),
            Value::Object(map) => rest.extend(map.values()),
            _ => {}
        }
        if bytes > MOST_TEXT || looked > MOST_TEXTS {
            return None;
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn guess(words: &[&str]) -> Guess {
        let mut guesser = Guesser::default();
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        guesser.command(&Places::new(Path::new("/nowhere/cwd"), Path::new("/nowhere")), &words);
        guesser.done()
    }

    #[test]
    fn a_path_is_seen_wherever_it_is_glued_to() {
        for word in
            ["secret", "-fsecret", "-rfsecret", "-f./secret", "--file=secret", "if=secret", "x=@secret", "a:secret:b", "open('secret')", "file:./secret"]
        {
            assert!(guess(&["x", word]).paths.contains(&PathBuf::from("/nowhere/cwd/secret")), "{word}: {:?}", guess(&["x", word]));
            assert_eq!(guess(&["x", word]).any_path, None, "{word}");
        }
        for word in ["~kai/x", "~+/x", "$X", "a*", "{a,b}", "$()"] {
            assert!(guess(&["x", word]).any_path.is_some(), "{word}");
        }
        assert!(guess(&["grep", "-r", "x"]).paths.contains(&PathBuf::from("/nowhere/cwd")));
        assert!(!guess(&["grep", "x"]).paths.contains(&PathBuf::from("/nowhere/cwd")));
    }

    proptest! {
        #[test]
        fn any_word_is_looked_at(words in prop::collection::vec(".{0,40}", 0..8)) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            guess(&words);
        }

        #[test]
        fn letters_before_a_path_do_not_hide_it(letters in "[a-zA-Z]{1,6}", path in "[a-z./]{1,12}") {
            let expected = Places::new(Path::new("/nowhere/cwd"), Path::new("/nowhere")).resolve(&path).0.resolved;
            let found = guess(&["x", &format!("-{letters}{path}")]).paths;
            prop_assert!(found.contains(&PathBuf::from(expected)));
        }
    }
}

//! What is known about something that an agent asks for, as found on this machine and not as the agent tells it.
//!
//! Reads files and follows links, and so may wait for a disk. Everything in here comes from an agent: each part has its limits.

mod diff;
mod flags;
pub(crate) mod guess;
mod paths;
pub(crate) mod shell;
#[cfg(test)]
mod tests;
mod tools;

use std::path::{Path, PathBuf};

use loopsy_shared::{api::approvals::ResolvedPath, text::inert};
use serde_json::Value;

use self::{
    diff::OnDisk,
    flags::Flags,
    guess::{Guess, Guesser},
    paths::Places,
    shell::Shell,
    tools::{Change, Command},
};
pub(crate) use self::{paths::real, tools::ToolKind};

/// Paths of one input that are shown.
const MOST_PATHS: usize = 64;
/// Words of a command line that are looked at for paths to show.
const MOST_WORDS: usize = 1024;
/// Longest path.
const MOST_PATH: usize = 4096;

/// Facts about one use of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// What kind of tool it is.
    pub(crate) kind: ToolKind,
    /// The commands that a rule has to allow. `None` when there may be others: then a person is asked.
    pub(crate) commands: Option<Vec<Vec<String>>>,
    /// Every command that was found, those that only run others included.
    pub(crate) found: Vec<Vec<String>>,
    /// Paths that the input names, and of a command line those that look like some.
    pub(crate) paths: Vec<ResolvedPath>,
    /// Those of a command line's redirections that are written.
    pub(crate) writes: Vec<ResolvedPath>,
    /// The change as a unified diff.
    pub(crate) diff: Option<String>,
    /// For people, in few words.
    pub(crate) flags: Vec<String>,
    /// Why a person has to be asked whatever the rules allow, for people.
    pub(crate) unclear: Option<String>,
    /// What it may name beside all this.
    pub(crate) guess: Guess,
}

impl Facts {
    /// Nothing is known, for this reason.
    pub(crate) fn unknown(why: String) -> Self {
        Self { flags: vec![inert(&why).into_owned()], unclear: Some(why), ..Self::none(ToolKind::Other) }
    }

    fn none(kind: ToolKind) -> Self {
        let (commands, found, paths, writes, flags) = (None, Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { kind, commands, found, paths, writes, diff: None, flags, unclear: None, guess: Guess::default() }
    }

    /// Finds out about a use of a tool. Blocks.
    pub(crate) fn of(agent: &str, tool: &str, input: &Value, extra_paths: &[String], cwd: &Path, home: &Path) -> Self {
        let kind = tools::kind(agent, tool, input);
        let finder = Finder { places: Places::new(cwd, home), flags: Flags::default(), guesser: Guesser::default(), facts: Self::none(kind) };
        finder.find(tool, input, extra_paths)
    }
}

struct Finder {
    places: Places,
    flags: Flags,
    guesser: Guesser,
    facts: Facts,
}

impl Finder {
    fn find(mut self, tool: &str, input: &Value, extra_paths: &[String]) -> Facts {
        match self.facts.kind {
            ToolKind::Shell => self.shell(input),
            ToolKind::Fetch => self.fetch(input),
            ToolKind::Other => self.other(input),
            _ => {}
        }
        let writes = self.facts.kind == ToolKind::Edit;
        let mut named = tools::paths(input);
        if self.facts.kind == ToolKind::Read {
            named.iter().filter_map(|path| begin(path)).for_each(|place| self.guesser.word(&self.places, place));
            named.extend(pattern(tool, input));
            if named.is_empty() {
                named.push(".".to_owned());
            }
        }
        for path in named.iter().chain(extra_paths) {
            self.path(path, writes);
        }
        if tools::is_too_large(input) {
            self.unclear("it names too many things to look at each");
        }
        if writes || matches!(self.facts.kind, ToolKind::Other) {
            self.changes(input);
        }
        self.flags.hidden(input);
        Facts { flags: self.flags.done(), guess: self.guesser.done(), ..self.facts }
    }

    fn unclear(&mut self, why: &str) {
        self.facts.unclear.get_or_insert_with(|| why.to_owned());
    }

    fn shell(&mut self, input: &Value) {
        let command = tools::command(input);
        let lines = match &command {
            Some(Command::Line(line)) => line.lines().count(),
            _ => 0,
        };
        let Shell { commands, carriers, writes, reads, moves, unclear } = match command {
            Some(Command::Line(line)) => shell::read(&line),
            Some(Command::Words(words)) => shell::read_words(&words),
            None => Shell { unclear: Some("there is no command line".to_owned()), ..Shell::default() },
        };
        self.facts.found = commands.iter().chain(&carriers).cloned().collect();
        self.also_known_as();
        self.flags.commands(&self.facts.found);
        if lines > 1 {
            self.flags.add(format!("{lines} lines"));
        }
        for file in &writes {
            if !is_stream(file) {
                self.path(file, true);
                let resolved = self.places.resolve(file).0;
                self.facts.writes.push(resolved);
            }
        }
        reads.iter().filter(|file| !is_stream(file)).for_each(|file| self.path(file, false));
        let mut away = false;
        for place in moves.iter().map(String::as_str).chain(tools::directory(input)) {
            let place = self.places.resolve(place).0;
            away |= !place.inside;
            if !place.inside {
                self.flags.add(format!("works in another directory: {}", place.resolved));
            }
        }
        moves.iter().map(String::as_str).chain(tools::directory(input)).for_each(|place| self.guesser.base(&self.places, place));
        writes.iter().chain(&reads).for_each(|file| self.guesser.word(&self.places, file));
        self.words(&commands);
        let moved = !moves.is_empty() && writes.iter().any(|file| !is_stream(file));
        let unclear = unclear
            .or_else(|| away.then(|| "it works in another directory".to_owned()))
            .or_else(|| moved.then(|| "where it writes depends on where it goes first".to_owned()));
        match unclear {
            Some(why) => {
                self.flags.add(format!("the command could not be parsed: {why}"));
                self.unclear(&why);
            }
            None => self.facts.commands = Some(commands),
        }
    }

    /// Paths among the words of commands: those that look like some, and what others may be.
    fn words(&mut self, commands: &[Vec<String>]) {
        commands.iter().for_each(|words| self.guesser.command(&self.places, words));
        let words = commands.iter().flat_map(|words| words.iter().skip(1)).take(MOST_WORDS).filter_map(|word| path_of(word));
        for word in words.collect::<Vec<_>>() {
            if is_evident(&word) || self.places.is_link(&word) {
                if self.facts.paths.len() >= MOST_PATHS {
                    return self.guesser.any_path("it names more paths than are looked at");
                }
                self.path(&word, false);
            }
        }
    }

    /// A tool that nobody knows: what it calls a command is one for the rules that deny, in whichever shell.
    fn other(&mut self, input: &Value) {
        self.guesser.unknown(&self.places, input);
        let given = tools::command(input);
        let args = tools::arguments(input);
        let mut shells = Vec::new();
        if let Some(Command::Line(line)) = &given {
            shells.push(shell::read(line));
        }
        let words = match given {
            Some(Command::Words(words)) => words,
            Some(Command::Line(program)) if !args.is_empty() => vec![program],
            _ => Vec::new(),
        };
        if !words.is_empty() {
            shells.push(shell::read_words(&words.into_iter().chain(args).collect::<Vec<_>>()));
        }
        for Shell { commands, carriers, moves, unclear, .. } in shells {
            if unclear.is_some() {
                self.guesser.any_command();
                self.guesser.any_path("its command is not understood");
            }
            moves.iter().for_each(|place| self.guesser.base(&self.places, place));
            commands.iter().for_each(|words| self.guesser.command(&self.places, words));
            self.facts.found.extend(commands.into_iter().chain(carriers));
        }
        tools::directory(input).into_iter().for_each(|place| self.guesser.base(&self.places, place));
        self.also_known_as();
        self.flags.commands(&self.facts.found);
    }

    /// Programs by the names of the files that they link to, beside their own.
    fn also_known_as(&mut self) {
        let mut others = Vec::new();
        for words in self.facts.found.iter().filter(|words| words.first().is_some_and(|word| word.contains('/') && word.len() < MOST_PATH)).take(MOST_PATHS) {
            let (resolved, linked) = self.places.resolve(&words[0]);
            if linked {
                others.push(std::iter::once(resolved.resolved).chain(words.iter().skip(1).cloned()).collect());
            }
        }
        self.facts.found.extend(others);
    }

    fn fetch(&mut self, input: &Value) {
        let url = ["url", "uri", "query"].iter().find_map(|name| input.get(name)?.as_str());
        self.guesser.texts(&self.places, input);
        self.flags.add(url.map_or_else(|| "uses the network".to_owned(), |url| format!("uses the network: {url}")));
    }

    fn path(&mut self, path: &str, writes: bool) {
        if path.len() > MOST_PATH || self.facts.paths.len() >= MOST_PATHS {
            return self.unclear("it names too many paths, or too long ones");
        }
        if self.facts.paths.iter().any(|known| known.path == path) && !writes {
            return;
        }
        let (resolved, linked) = self.places.resolve(path);
        if linked {
            self.flags.add(format!("follows a link to {}", resolved.resolved));
        }
        if writes && !resolved.inside {
            self.flags.add(format!("writes outside the working directory: {}", resolved.resolved));
        }
        self.flags.path(&resolved.resolved);
        if !self.facts.paths.contains(&resolved) {
            self.facts.paths.push(resolved);
        }
    }

    fn changes(&mut self, input: &Value) {
        let mut all = String::new();
        for (path, change) in tools::changes(input) {
            if all.len() > diff::MOST_DIFF {
                break;
            }
            let file = PathBuf::from(self.places.resolve(&path).0.resolved);
            all.push_str(&self.change(&path, &file, change));
        }
        if !all.is_empty() {
            let (added, removed) = diff::counts(&all);
            if added + removed > 0 {
                self.flags.add(format!("+{added} -{removed} lines"));
            }
            self.facts.diff = Some(diff::capped(all));
        }
    }

    fn change(&mut self, path: &str, file: &Path, change: Change) -> String {
        let shown = inert(path).into_owned();
        match (change, diff::on_disk(file)) {
            (Change::Given(diff), _) => diff::given(path, &diff),
            (_, OnDisk::Other(why)) => {
                self.flags.add(format!("changes {shown}, which cannot be compared"));
                format!("`{shown}` cannot be compared: {}.\n", inert(&why))
            }
            (Change::Whole(after), OnDisk::Nothing) => {
                self.flags.add(format!("makes a new file: {shown}"));
                diff::unified(path, "", &after)
            }
            (Change::Whole(after), OnDisk::Text(before)) => {
                self.flags.add(format!("replaces the whole file {shown}"));
                diff::unified(path, &before, &after)
            }
            (Change::Delete, OnDisk::Text(before)) => {
                self.flags.add(format!("deletes files ({shown})"));
                diff::unified(path, &before, "")
            }
            (Change::Delete, OnDisk::Nothing) => String::new(),
            (Change::Part(old, new), disk) => {
                let before = if let OnDisk::Text(text) = disk { text } else { String::new() };
                if before == old || !old.is_empty() && before.matches(&old).count() == 1 {
                    return diff::unified(path, &before, &before.replacen(&old, &new, 1));
                }
                if !old.is_empty() {
                    self.flags.add(format!("the file {shown} is not what the agent has seen"));
                }
                diff::unified(path, &old, &new)
            }
            (Change::Replace(edits), disk) => {
                let before = if let OnDisk::Text(text) = disk { text } else { String::new() };
                let mut after = before.clone();
                for (old, new, all) in edits {
                    let times = if old.is_empty() { usize::from(after.is_empty()) } else { after.matches(&old).count() };
                    match times {
                        0 => self.flags.add(format!("the text to replace is not in {shown}")),
                        2.. if !all => self.flags.add(format!("the text to replace is in {shown} {times} times")),
                        _ => {}
                    }
                    // A short text that is there often can make a long one: only as much as is read elsewhere.
                    if after.len().saturating_add(new.len().saturating_mul(if all { times } else { 1 })) > MOST_AFTER {
                        return format!("`{shown}` gets too large to be compared.\n");
                    }
                    if times == 0 {
                        return diff::unified(path, &old, &new);
                    }
                    after = if all { after.replace(&old, &new) } else { after.replacen(&old, &new, 1) };
                }
                diff::unified(path, &before, &after)
            }
        }
    }
}

/// Bytes that an edited file may have to be compared.
const MOST_AFTER: usize = 4 << 20;

/// The directory that a pattern of files begins with, where it may be another one than the working directory.
fn pattern(tool: &str, input: &Value) -> Vec<String> {
    let names: &[&str] = if tool.eq_ignore_ascii_case("grep") { &["glob", "include"] } else { &["pattern", "glob", "include"] };
    let patterns = names.iter().filter_map(|name| input.get(name)).flat_map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice));
    let away = patterns.filter_map(Value::as_str).filter(|pattern| pattern.starts_with(['/', '~']) || pattern.contains(".."));
    away.map(|pattern| {
        if pattern.contains("..") && !pattern.starts_with(['/', '~']) {
            return "/".to_owned();
        }
        begin(pattern).unwrap_or(pattern).to_owned()
    })
    .collect()
}

/// The directory before the first part of a path that may stand for more than one name.
fn begin(path: &str) -> Option<&str> {
    let at = path.find(['*', '?', '[', '{'])?;
    Some(match path[..at].rfind('/') {
        Some(slash) => &path[..=slash],
        None if path.starts_with('~') => "/",
        None => ".",
    })
}

fn is_stream(file: &str) -> bool {
    matches!(file, "/dev/null" | "/dev/stdout" | "/dev/stderr" | "/dev/stdin")
}

/// What of a word may be a path: the value of an option, or the word.
fn path_of(word: &str) -> Option<String> {
    let value = if word.starts_with('-') { word.split_once('=')?.1 } else { word };
    let fits = !value.is_empty() && value.len() < 1024 && !value.contains(['\n', '\0']) && !value.contains("://") && !value.contains(shell::UNKNOWN);
    fits.then(|| value.to_owned())
}

/// Whether a word is a path by its look.
fn is_evident(word: &str) -> bool {
    word == ".." || word.starts_with(['/', '~', '.']) || word.contains('/') && !word.contains(' ')
}

//! What the rules of the config say about a use of a tool. Pure: the same facts always get the same answer.
//!
//! Deny beats ask, and ask beats allow, wherever they stand. Where no rule fits, where a command line may hold more than was found, and where something is a question
//! to a person, a person is asked.
//!
//! A `command` is compared word by word with the beginning of a command: `git log` fits `git log --oneline` and `/usr/bin/git log`. A `*` within a word stands for
//! any text there; as a word of its own it stands for one whole word, or, at the end, for any number of them. A `;` at the end says that no more words may follow.
//! A rule that denies or asks knows a program wherever it lies; one that allows, only where the system has it.
//!
//! A rule that denies or asks also counts, as a question, where it only may fit: a word that is known when the command runs, an option before a subcommand, a directory
//! above a path, a tool whose input nobody knows and that no rule allows by its name.

use std::path::Path;

use loopsy_shared::{
    api::approvals::{ResolvedPath, Verdict},
    config::{Rule, RuleVerdict},
    text::inert,
};

use super::facts::{Facts, ToolKind, real};

mod fit;
mod offer;
#[cfg(test)]
mod tests;

use self::fit::{Fit, fits, like, words_of};
pub(crate) use self::offer::rules_from;

/// Who asks, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RuleContext<'a> {
    /// The agent.
    pub(crate) agent: &'a str,
    /// Its name of the tool.
    pub(crate) tool: &'a str,
    /// The peer that started the task, by the name of its key; the owner when absent.
    pub(crate) peer: Option<&'a str>,
    /// Where the agent works.
    pub(crate) cwd: &'a Path,
    /// The repository that this lies in.
    pub(crate) repository: Option<&'a Path>,
    /// The owner's home directory.
    pub(crate) home: &'a Path,
}

/// What the rules do with it. Follows links of paths that rules name, and so may wait for a disk.
pub(crate) fn decide(rules: &[Rule], facts: &Facts, context: &RuleContext<'_>) -> Verdict {
    let judge = Judge { facts, context, named: false };
    let named = rules.iter().any(|rule| rule.verdict == RuleVerdict::Allow && rule.command.is_none() && judge.names(rule) && judge.concerns(rule));
    let judge = Judge { named, ..judge };
    let commands = || facts.found.iter().map(|words| shown(words)).collect();
    let by = |verdict: RuleVerdict, index: usize, why: String| Verdict {
        verdict,
        rule: Some(describe(&rules[index])),
        index: Some(index),
        why,
        commands: commands(),
    };
    let ask = |why: String| Verdict { verdict: RuleVerdict::Ask, rule: None, index: None, why, commands: commands() };
    let of = |verdict: RuleVerdict| rules.iter().enumerate().filter(move |(_, rule)| rule.verdict == verdict && judge.concerns(rule));

    let mut doubt = None;
    for verdict in [RuleVerdict::Deny, RuleVerdict::Ask] {
        for (index, rule) in of(verdict) {
            match judge.hits(rule) {
                (Fit::Yes, what) => {
                    return by(verdict, index, format!("{what} fits a rule that {}.", if verdict == RuleVerdict::Deny { "denies" } else { "asks" }));
                }
                (Fit::Maybe, what) => {
                    doubt.get_or_insert((index, what));
                }
                (Fit::No, _) => {}
            }
        }
    }
    if facts.kind == ToolKind::Question {
        return ask("This is a question to a person.".to_owned());
    }
    if let Some(why) = &facts.unclear {
        return ask(format!("Nobody can be sure of what it does: {why}."));
    }
    if let Some((index, what)) = doubt {
        return by(RuleVerdict::Ask, index, format!("{what} may fit this rule when it runs."));
    }
    let allowing: Vec<(usize, &Rule)> = of(RuleVerdict::Allow).collect();
    match judge.covered(&allowing) {
        Ok(index) => by(RuleVerdict::Allow, index, "Everything in it fits a rule that allows.".to_owned()),
        Err(what) if allowing.is_empty() => ask(format!("No rule fits {what}.")),
        Err(what) => ask(format!("No rule allows {what}.")),
    }
}

#[derive(Clone, Copy)]
struct Judge<'a> {
    facts: &'a Facts,
    context: &'a RuleContext<'a>,
    /// Whether a rule that allows says the name of the tool.
    named: bool,
}

impl Judge<'_> {
    /// Whether agent, tool, peer and repository are those that the rule names.
    fn concerns(self, rule: &Rule) -> bool {
        let named = |named: &Option<String>, found: &str| named.as_ref().is_none_or(|named| like(named, found));
        let tool = rule.tool.as_ref().is_none_or(|tool| like(tool, self.context.tool) || tool == self.facts.kind.name());
        let repository = rule.repository.as_ref().is_none_or(|named| self.context.repository.is_some_and(|found| real(&self.place(named)).0 == real(found).0));
        named(&rule.agent, self.context.agent) && tool && named(&rule.peer, self.context.peer.unwrap_or("owner")) && repository
    }

    /// Whether a rule means this tool by its name: neither every tool, nor every tool of a kind.
    fn names(self, rule: &Rule) -> bool {
        rule.tool.as_ref().is_some_and(|tool| tool.contains(|c| c != '*') && like(tool, self.context.tool))
    }

    fn place(self, named: &str) -> std::path::PathBuf {
        match named.strip_prefix('~') {
            Some("") => self.context.home.to_owned(),
            Some(rest) if rest.starts_with('/') => self.context.home.join(rest.trim_start_matches('/')),
            _ => self.context.cwd.join(named),
        }
    }

    fn within(self, path: &ResolvedPath, named: &str) -> bool {
        Path::new(&path.resolved).starts_with(real(&self.place(named)).0)
    }

    /// Whether anything in it fits a rule that denies or asks, and what.
    fn hits(self, rule: &Rule) -> (Fit, String) {
        let tool = || format!("`{}`", inert(self.context.tool));
        let mut best = (Fit::Yes, tool());
        if let Some(pattern) = &rule.command {
            let fits = self.facts.found.iter().map(|words| (fits(pattern, words, false), format!("The command `{}`", shown(words))));
            best = fits.max_by_key(|(fit, _)| *fit).unwrap_or((Fit::No, String::new()));
            if best.0 == Fit::No && self.may_run(pattern) {
                best = (Fit::Maybe, tool());
            }
        }
        if let Some(named) = &rule.path {
            match self.facts.paths.iter().find(|path| self.within(path, named)) {
                Some(path) if rule.command.is_none() => best.1 = format!("The path `{}`", inert(&path.resolved)),
                Some(_) => {}
                // A path is not said in a command that is not understood.
                None if self.facts.unclear.is_some() || self.may_touch(named) => best.0 = best.0.min(Fit::Maybe),
                None => return (Fit::No, String::new()),
            }
        }
        best
    }

    /// Whether a tool that nobody knows may run a command.
    fn may_run(self, pattern: &str) -> bool {
        let guess = &self.facts.guess;
        self.facts.kind == ToolKind::Other && (guess.any_command || self.is_opaque() || words_of(pattern, &guess.words))
    }

    /// Whether a path may be touched that is not said to be: a word may lead there, or a directory above it may be gone through.
    fn may_touch(self, named: &str) -> bool {
        let guess = &self.facts.guess;
        let denied = real(&self.place(named)).0;
        let inside = matches!(self.facts.kind, ToolKind::Shell | ToolKind::Other) && real(self.context.cwd).0.starts_with(&denied);
        let meets = |path: &Path| path.starts_with(&denied) || denied.starts_with(path);
        let said = self.facts.paths.iter().any(|path| meets(Path::new(&path.resolved)));
        inside || said || guess.any_path.is_some() || self.is_opaque() || guess.paths.iter().any(|path| meets(path))
    }

    /// Whether nobody knows what the tool does with its input, and no rule trusts it by its name.
    fn is_opaque(self) -> bool {
        self.facts.guess.opaque && !self.named
    }

    /// The rule that allows it, or what none allows.
    fn covered(self, rules: &[(usize, &Rule)]) -> Result<usize, String> {
        match self.facts.kind {
            ToolKind::Question => Err("a question".to_owned()),
            ToolKind::Shell => self.commands_covered(rules),
            ToolKind::Edit | ToolKind::Read | ToolKind::Other | ToolKind::Fetch => self.paths_covered(rules),
        }
    }

    fn commands_covered(self, rules: &[(usize, &Rule)]) -> Result<usize, String> {
        let commands = self.facts.commands.as_deref().unwrap_or_default();
        let mut first = None;
        for words in commands {
            let rule = rules.iter().find(|(_, rule)| match (&rule.command, &rule.path) {
                (Some(pattern), None) => fits(pattern, words, true) == Fit::Yes,
                (Some(pattern), Some(named)) => fits(pattern, words, true) == Fit::Yes && self.stays(named),
                (None, Some(_)) => false, // says where may be written, not what may be run
                (None, None) => true,
            });
            let (index, _) = rule.ok_or_else(|| format!("the command `{}`", shown(words)))?;
            first = first.or(Some(*index));
        }
        for path in self.facts.writes.iter().filter(|path| !path.inside) {
            let named = rules.iter().any(|(_, rule)| rule.path.as_ref().is_some_and(|named| self.within(path, named)));
            let everything = rules.iter().any(|(_, rule)| rule.command.is_none() && rule.path.is_none());
            if !named && !everything {
                return Err(format!("writing to `{}`, outside the working directory", inert(&path.resolved)));
            }
        }
        first.ok_or_else(|| "a command line without commands".to_owned())
    }

    /// Whether nothing that a command line names, or may name, is elsewhere.
    fn stays(self, named: &str) -> bool {
        let place = real(&self.place(named)).0;
        let guess = &self.facts.guess;
        guess.any_path.is_none() && self.facts.paths.iter().all(|path| self.within(path, named)) && guess.paths.iter().all(|path| path.starts_with(&place))
    }

    fn paths_covered(self, rules: &[(usize, &Rule)]) -> Result<usize, String> {
        let rules: Vec<&(usize, &Rule)> = rules.iter().filter(|(_, rule)| rule.command.is_none()).collect();
        if let Some((index, _)) = rules.iter().find(|(_, rule)| rule.path.is_none()) {
            return Ok(*index);
        }
        // A path says where a tool may read and write: of one that does other things, it says nothing unless the rule means this very tool, and of what it runs, never.
        let limited = matches!(self.facts.kind, ToolKind::Edit | ToolKind::Read);
        let mut first = None;
        for path in &self.facts.paths {
            let fits = |rule: &Rule| limited || self.facts.found.is_empty() && self.names(rule);
            let rule = rules.iter().find(|(_, rule)| fits(rule) && rule.path.as_ref().is_some_and(|named| self.within(path, named)));
            let (index, _) = rule.ok_or_else(|| format!("`{}` with the path `{}`", inert(self.context.tool), inert(&path.resolved)))?;
            first = first.or(Some(*index));
        }
        first.ok_or_else(|| format!("`{}`", inert(self.context.tool)))
    }
}

/// A command for people, on one line and not too long.
fn shown(words: &[String]) -> String {
    let text: String = words.join(" ").chars().take(200).collect();
    inert(&text).into_owned()
}

/// A rule for people: `allow agent=claude command="git log"`.
pub(crate) fn describe(rule: &Rule) -> String {
    let verdict = match rule.verdict {
        RuleVerdict::Allow => "allow",
        RuleVerdict::Deny => "deny",
        RuleVerdict::Ask => "ask",
    };
    let fields = [
        ("agent", &rule.agent),
        ("tool", &rule.tool),
        ("command", &rule.command),
        ("path", &rule.path),
        ("peer", &rule.peer),
        ("repository", &rule.repository),
    ];
    fields
        .into_iter()
        .filter_map(|(name, value)| value.as_ref().map(|value| format!(" {name}=\"{}\"", inert(value))))
        .fold(verdict.to_owned(), |text, field| text + &field)
}

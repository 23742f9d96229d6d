//! What the rules of the config say about a use of a tool. Pure: the same facts always get the same answer.
//!
//! Deny beats ask, and ask beats allow, wherever they stand. Where no rule fits, where a command line may hold more than was found, and where something is a question
//! to a person, a person is asked.
//!
//! A `command` is compared word by word with the beginning of a command: `git log` fits `git log --oneline` and `/usr/bin/git log`. A `*` within a word stands for
//! any text there; as a word of its own it stands for one whole word, or, at the end, for any number of them. A `;` at the end says that no more words may follow.
//! A rule that denies or asks knows a program wherever it lies; one that allows, only where the system has it.

use std::path::Path;

use loopsy_shared::{
    api::approvals::{Approval, ApprovalKind, ResolvedPath, Verdict},
    config::{Rule, RuleVerdict},
    text::inert,
};

use super::facts::{Facts, ToolKind, real, shell};
use crate::jobs::policy::normal;

#[cfg(test)]
mod tests;

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

/// Whether a rule fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    No,
    /// A word is only known when the command runs.
    Maybe,
    Yes,
}

/// What the rules do with it. Follows links of paths that rules name, and so may wait for a disk.
pub(crate) fn decide(rules: &[Rule], facts: &Facts, context: &RuleContext<'_>) -> Verdict {
    let judge = Judge { facts, context };
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
}

impl Judge<'_> {
    /// Whether agent, tool, peer and repository are those that the rule names.
    fn concerns(self, rule: &Rule) -> bool {
        let named = |named: &Option<String>, found: &str| named.as_ref().is_none_or(|named| like(named, found));
        let tool = rule.tool.as_ref().is_none_or(|tool| like(tool, self.context.tool) || tool == self.facts.kind.name());
        let repository = rule.repository.as_ref().is_none_or(|named| self.context.repository.is_some_and(|found| real(&self.place(named)).0 == real(found).0));
        named(&rule.agent, self.context.agent) && tool && named(&rule.peer, self.context.peer.unwrap_or("owner")) && repository
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
        let mut best = (Fit::Yes, format!("`{}`", inert(self.context.tool)));
        if let Some(pattern) = &rule.command {
            let fits = self.facts.found.iter().map(|words| (fits(pattern, words, false), format!("The command `{}`", shown(words))));
            best = fits.max_by_key(|(fit, _)| *fit).unwrap_or((Fit::No, String::new()));
        }
        if let Some(named) = &rule.path {
            match self.facts.paths.iter().find(|path| self.within(path, named)) {
                Some(path) if rule.command.is_none() => best.1 = format!("The path `{}`", inert(&path.resolved)),
                Some(_) => {}
                // A path is not said in a command that is not understood.
                None if self.facts.unclear.is_some() => best.0 = best.0.min(Fit::Maybe),
                None => return (Fit::No, String::new()),
            }
        }
        best
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
                (Some(pattern), Some(named)) => fits(pattern, words, true) == Fit::Yes && self.facts.paths.iter().all(|path| self.within(path, named)),
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

    fn paths_covered(self, rules: &[(usize, &Rule)]) -> Result<usize, String> {
        let rules: Vec<&(usize, &Rule)> = rules.iter().filter(|(_, rule)| rule.command.is_none()).collect();
        if let Some((index, _)) = rules.iter().find(|(_, rule)| rule.path.is_none()) {
            return Ok(*index);
        }
        let mut first = None;
        for path in &self.facts.paths {
            let rule = rules.iter().find(|(_, rule)| rule.path.as_ref().is_some_and(|named| self.within(path, named)));
            let (index, _) = rule.ok_or_else(|| format!("`{}` with the path `{}`", inert(self.context.tool), inert(&path.resolved)))?;
            first = first.or(Some(*index));
        }
        first.ok_or_else(|| format!("`{}`", inert(self.context.tool)))
    }
}

/// Whether a command begins as a pattern says. `strict` is for rules that allow: a program that lies anywhere is not the one that is meant.
fn fits(pattern: &str, words: &[String], strict: bool) -> Fit {
    let mut parts: Vec<&str> = pattern.split_whitespace().collect();
    let whole = parts.last() == Some(&";");
    if whole || parts.len() > 1 && parts.last() == Some(&"*") {
        parts.pop();
    }
    let (Some((program, arguments)), Some((word, args))) = (parts.split_first(), words.split_first()) else { return Fit::No };
    let named = if program.contains('/') { like(program, word) } else { (!strict || shell::is_systems(word)) && like(&program.to_lowercase(), &normal(word)) };
    let mut fit = if named {
        Fit::Yes
    } else if !strict && shell::is_uncertain(word) {
        Fit::Maybe
    } else {
        return Fit::No;
    };
    if args.len() < arguments.len() {
        // Words that are only known later may become more than one.
        return if !strict && args.iter().any(|arg| shell::is_uncertain(arg)) { Fit::Maybe } else { Fit::No };
    }
    for (part, arg) in arguments.iter().zip(args) {
        if like(part, arg) {
            continue;
        }
        // `git -C x push` is `git push` to git, and what is only known later may be anything.
        let between = arg.starts_with('-') && follow(arguments, args);
        return if !strict && (between || shell::is_uncertain(arg)) { Fit::Maybe } else { Fit::No };
    }
    if whole && args.len() > arguments.len() {
        fit = if !strict && args.iter().any(|arg| shell::is_uncertain(arg)) { Fit::Maybe } else { Fit::No };
    }
    fit
}

/// Whether words come in this order, whatever is between them.
fn follow(parts: &[&str], words: &[String]) -> bool {
    let mut words = words.iter();
    parts.iter().all(|part| words.any(|word| like(part, word)))
}

/// Whether a text is as a pattern says, in which `*` stands for any text.
fn like(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(end)
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

/// The narrowest rules that would have allowed it: one for each command, or for each path. None where no rule could.
pub(crate) fn rules_from(approval: &Approval, facts: &Facts, repository: Option<&Path>) -> Vec<Rule> {
    if approval.kind != ApprovalKind::Tool || facts.kind == ToolKind::Question || facts.unclear.is_some() {
        return Vec::new();
    }
    let rule = |command: Option<String>, path: Option<String>| Rule {
        verdict: RuleVerdict::Allow,
        agent: Some(approval.agent.clone()),
        tool: Some(approval.tool.clone()),
        command,
        path,
        peer: None,
        repository: repository.map(|path| path.to_string_lossy().into_owned()),
    };
    let of_paths = |paths: &[ResolvedPath]| paths.iter().map(|path| rule(None, Some(path.resolved.clone()))).collect::<Vec<_>>();
    match facts.kind {
        ToolKind::Shell => {
            let commands = facts.commands.as_deref().unwrap_or_default();
            let outside: Vec<ResolvedPath> = facts.writes.iter().filter(|path| !path.inside).cloned().collect();
            commands.iter().map(|words| rule(Some(pattern(words)), None)).chain(of_paths(&outside)).collect()
        }
        ToolKind::Edit | ToolKind::Read => of_paths(&facts.paths),
        ToolKind::Fetch | ToolKind::Other => vec![rule(None, None)],
        ToolKind::Question => Vec::new(),
    }
}

/// A command as a pattern for itself and nothing else; a word that cannot stand in a pattern may be any.
fn pattern(words: &[String]) -> String {
    let word =
        |word: &String| if word.is_empty() || word == ";" || word.contains(char::is_whitespace) || word.len() > 200 { "*".to_owned() } else { word.clone() };
    words.iter().map(word).chain([";".to_owned()]).collect::<Vec<_>>().join(" ")
}

//! Rules that are offered to somebody who has just said yes.

use std::path::Path;

use loopsy_shared::{
    api::approvals::{Approval, ApprovalKind, ResolvedPath},
    config::{Rule, RuleVerdict},
};

use super::super::facts::{Facts, ToolKind};

/// Bytes of a word that stands in a rule.
const MOST_WORD: usize = 200;

/// The narrowest rules that would have allowed it: one for each command, or for each path. None where no rule could.
pub(crate) fn rules_from(approval: &Approval, facts: &Facts, repository: Option<&Path>) -> Vec<Rule> {
    if approval.kind != ApprovalKind::Tool
        || facts.kind == ToolKind::Question
        || facts.unclear.is_some()
        || approval.tool.contains('*')
        || approval.agent.contains('*')
    {
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
            let patterns: Option<Vec<String>> = commands.iter().map(|words| pattern(words)).collect();
            patterns.map(|all| all.into_iter().map(|text| rule(Some(text), None)).chain(of_paths(&outside)).collect()).unwrap_or_default()
        }
        ToolKind::Edit | ToolKind::Read => of_paths(&facts.paths),
        ToolKind::Fetch | ToolKind::Other => vec![rule(None, None)],
        ToolKind::Question => Vec::new(),
    }
}

/// A command as a pattern for itself and nothing else. `None` when a word cannot stand in a pattern, or would stand for other words too.
fn pattern(words: &[String]) -> Option<String> {
    let stands = |word: &String| !word.is_empty() && word != ";" && !word.contains(|c: char| c.is_whitespace() || c == '*') && word.len() <= MOST_WORD;
    words.iter().all(stands).then(|| words.iter().map(String::as_str).chain([";"]).collect::<Vec<_>>().join(" "))
}

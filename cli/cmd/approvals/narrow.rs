//! A rule from an approval: the narrowest that fits what was asked, or a sentence why there is none.

use loopsy_shared::{
    api::approvals::{Approval, ApprovalKind},
    config::{Rule, RuleVerdict},
};

/// What a shell does more with than pass it on. A star would stand for any text in a rule.
const ACTIVE: &[char] =
    &['|', '&', ';', '<', '>', '(', ')', '$', '`', '\\', '"', '\'', '*', '?', '[', ']', '{', '}', '#', '~', '=', '%', '!', '\n', '\r', '\t'];

/// Names the agent, the tool, and the command or the path that was asked for.
///
/// # Errors
/// A sentence, when no one rule says just that.
pub(super) fn rule(approval: &Approval, verdict: RuleVerdict) -> Result<Rule, &'static str> {
    if approval.kind != ApprovalKind::Tool {
        return Err("Questions and plans have no rules; only uses of tools do.");
    }
    if approval.tool.contains('*') || approval.tool.is_empty() {
        return Err("The tool's name cannot stand in a rule.");
    }
    let command = match approval.input.get("command").or_else(|| approval.input.get("cmd")) {
        Some(value) => Some(command(value).ok_or("The command is more than one plain command, so one narrow rule cannot say it.")?),
        None => None,
    };
    let path = match approval.paths.as_slice() {
        // What a plain command names stands in it as it is.
        _ if command.is_some() => None,
        [] if approval.input.as_object().is_some_and(|input| !input.is_empty()) => {
            return Err("The input names neither a command nor a path, so a rule could only be about the tool as a whole.");
        }
        [] => None,
        [one] if one.resolved.starts_with('/') => Some(one.resolved.clone()),
        _ => return Err("The input names several paths; each needs a rule of its own."),
    };
    Ok(Rule { verdict, agent: Some(approval.agent.clone()), tool: Some(approval.tool.clone()), command, path, peer: None, repository: None })
}

/// The command as a rule has it.
fn command(value: &serde_json::Value) -> Option<String> {
    let text = match value {
        serde_json::Value::String(text) => text.trim().to_owned(),
        serde_json::Value::Array(words) => {
            let words: Option<Vec<&str>> =
                words.iter().map(|word| word.as_str().filter(|word| !word.is_empty() && !word.contains(char::is_whitespace))).collect();
            words?.join(" ")
        }
        _ => return None,
    };
    let plain = !text.is_empty() && !text.contains(ACTIVE) && !text.chars().any(|c| loopsy_shared::text::is_active(c) || (c.is_whitespace() && c != ' '));
    plain.then_some(text)
}

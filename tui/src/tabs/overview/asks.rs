//! What waits for an answer, in a line or two: what is asked, where, and how much it changes.

use loopsy_shared::{
    api::approvals::{Approval, ApprovalKind},
    id::{ApprovalId, NodeId},
    time::Millis,
};
use serde_json::Value;

use crate::world::World;

/// Fields of a tool's input that tell best what it is about.
const TELLING: [&str; 8] = ["command", "file_path", "path", "url", "query", "pattern", "prompt", "description"];
/// Characters that are kept of it.
const MOST: usize = 200;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) id: ApprovalId,
    pub(super) node: Option<NodeId>,
    pub(super) node_name: String,
    /// The tool, or what kind of question it is.
    pub(super) head: String,
    pub(super) task: String,
    pub(super) at: Millis,
    /// Since when the machine that asks is out of reach.
    pub(super) away: Option<Millis>,
    /// The first line of what is asked.
    pub(super) what: String,
    pub(super) cwd: String,
    /// Lines that the change adds and takes away.
    pub(super) diff: Option<(usize, usize)>,
}

impl Ask {
    pub(super) fn of(approval: &Approval, world: &World) -> Self {
        let head = match approval.kind {
            ApprovalKind::Tool => approval.tool.clone(),
            ApprovalKind::Question => "question".to_owned(),
            ApprovalKind::Plan => "plan".to_owned(),
        };
        Self {
            id: approval.id.clone(),
            node: world.peer_of(approval),
            node_name: approval.node.clone(),
            head,
            task: approval.task_id.short().to_owned(),
            at: approval.asked_at,
            away: world.away_since(approval),
            what: first_line(&what(approval)),
            cwd: approval.cwd.clone(),
            diff: approval.diff.as_deref().map(counts),
        }
    }
}

fn what(approval: &Approval) -> String {
    if let Some(question) = approval.questions.first() {
        return question.question.clone();
    }
    let told = TELLING.iter().find_map(|field| approval.input.get(field).and_then(Value::as_str).filter(|text| !text.trim().is_empty()));
    match told.or(approval.description.as_deref()) {
        Some(text) => text.to_owned(),
        None if approval.input.is_null() => "! shows all of it".to_owned(),
        None => approval.input.to_string(),
    }
}

fn first_line(text: &str) -> String {
    let mut lines = text.trim().lines();
    let first = lines.next().unwrap_or_default();
    let cut: String = first.chars().take(MOST).collect();
    if lines.next().is_some() || cut.len() < first.len() { format!("{cut} ..") } else { cut }
}

/// Lines added and taken away by a unified diff.
fn counts(diff: &str) -> (usize, usize) {
    let count = |mark: &str, heading: &str| diff.lines().filter(|line| line.starts_with(mark) && !line.starts_with(heading)).count();
    (count("+", "+++ "), count("-", "--- "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_told_by_its_first_line() {
        assert_eq!(first_line("  cargo test\ncargo build"), "cargo test ..");
        assert_eq!(first_line("one"), "one");
        assert_eq!(first_line(""), "");
        assert_eq!(first_line(&"x".repeat(300)).chars().count(), MOST + 3);
        assert_eq!(counts("--- a\n+++ b\n@@\n-old\n+new\n+more\n same"), (2, 1));
    }
}

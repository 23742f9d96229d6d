//! The words that tasks are told in: what is essential about a tool's input, money, tokens, states. Pure; what comes out is made inert where it is drawn.

use loopsy_shared::api::ai_tasks::{EndedBy, TaskInfo, TaskStatus, Usage};
use serde_json::Value;

use crate::look::Role;

/// Characters of what is essential.
const ESSENTIAL: usize = 160;

/// The first of these fields that is a text and not empty.
pub(super) fn known<'a>(data: &'a Value, fields: &[&str]) -> Option<&'a str> {
    fields.iter().find_map(|field| data.get(*field)?.as_str().filter(|text| !text.is_empty()))
}

/// The text in whatever an agent gives as one: a text, a list of pieces, or JSON.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(pieces) => pieces.iter().map(text_of).collect::<Vec<_>>().join("\n"),
        Value::Object(object) => match object.get("text").or_else(|| object.get("content")) {
            Some(text @ (Value::String(_) | Value::Array(_))) => text_of(text),
            _ => value.to_string(),
        },
        other => other.to_string(),
    }
}

/// At most so many characters, with a mark where something is missing.
pub(super) fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}~", &text[..at]),
        None => text.to_owned(),
    }
}

/// What a person wants to know of a tool's input in one line: the command, the file, the address.
pub(crate) fn essential(input: &Value) -> String {
    const FIELDS: [&str; 14] =
        ["command", "cmd", "file_path", "filePath", "notebook_path", "path", "url", "pattern", "query", "description", "prompt", "plan", "title", "name"];
    if let Some(words) = input.get("command").and_then(Value::as_array) {
        return short(&words.iter().map(text_of).collect::<Vec<_>>().join(" "), ESSENTIAL);
    }
    match known(input, &FIELDS) {
        Some(text) => {
            let mut lines = text.trim().lines();
            let first = short(lines.next().unwrap_or_default(), ESSENTIAL);
            match lines.count() {
                0 => first,
                more => format!("{first} (+{more} more)"),
            }
        }
        None if input.as_object().is_none_or(serde_json::Map::is_empty) => short(&text_of(input).replace("{}", ""), ESSENTIAL),
        None => short(&input.to_string(), ESSENTIAL),
    }
}

/// `$0.0421`, `$0.41`, `$12.50`.
pub(super) fn dollars(amount: f64) -> String {
    let text = format!("${amount:.4}");
    if amount.abs() < 1.0 && !text.ends_with("00") { text } else { format!("${amount:.2}") }
}

/// `12.3k tokens in, 1.2k out`; nothing when none are known.
pub(super) fn tokens(usage: &Usage) -> Option<String> {
    let Usage { input_tokens, output_tokens, cached_tokens } = *usage;
    if input_tokens == 0 && output_tokens == 0 && cached_tokens == 0 {
        return None;
    }
    let cached = if cached_tokens > 0 { format!(" (+{} cached)", thousands(cached_tokens)) } else { String::new() };
    Some(format!("{} tokens in{cached}, {} out", thousands(input_tokens), thousands(output_tokens)))
}

fn thousands(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => format!("{:.1}k", number as f64 / 1e3),
        _ => format!("{:.1}M", number as f64 / 1e6),
    }
}

/// A state in four letters, and how it looks.
pub(super) const fn state(status: TaskStatus) -> (&'static str, Role) {
    match status {
        TaskStatus::WaitingApproval => ("wait", Role::Warn),
        TaskStatus::Running => ("run", Role::Busy),
        TaskStatus::Pending => ("queue", Role::Info),
        TaskStatus::Completed => ("done", Role::Good),
        TaskStatus::Failed => ("fail", Role::Bad),
        TaskStatus::Cancelled => ("stop", Role::Faint),
    }
}

/// The same in a sentence: `waits for an approval`.
pub(super) fn standing(task: &TaskInfo) -> String {
    let how = match task.ended_by {
        Some(EndedBy::Interrupt) => ", interrupted",
        Some(EndedBy::Denial) => ", after a denial",
        Some(EndedBy::Timeout) => ", its time was up",
        Some(EndedBy::Budget) => ", its budget was used up",
        Some(EndedBy::Restart) => ", the daemon was restarted",
        Some(EndedBy::Revoked) => ", the key of who started it was revoked",
        Some(EndedBy::Agent | EndedBy::Cancel) | None => "",
    };
    let what = match task.status {
        TaskStatus::WaitingApproval => "waits for an approval",
        TaskStatus::Running => "runs",
        TaskStatus::Pending => "waits for a place",
        TaskStatus::Completed => "is done",
        TaskStatus::Failed => "failed",
        TaskStatus::Cancelled => "was stopped",
    };
    format!("{what}{how}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_essential_is_one_line() {
        assert_eq!(essential(&json!({ "command": "cargo test\nrm x" })), "cargo test (+1 more)");
        assert_eq!(essential(&json!({ "command": ["bash", "-lc", "ls"] })), "bash -lc ls");
        assert_eq!(essential(&json!({ "x": 1 })), "{\"x\":1}");
        assert_eq!((essential(&json!({})), essential(&json!(null))), (String::new(), String::new()));
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!((dollars(0.0421).as_str(), dollars(12.5).as_str(), dollars(0.0).as_str()), ("$0.0421", "$12.50", "$0.00"));
        assert_eq!(dollars(0.41), "$0.41");
        let usage = Usage { input_tokens: 12_300, output_tokens: 950, cached_tokens: 2_000_000 };
        assert_eq!(tokens(&usage).as_deref(), Some("12.3k tokens in (+2.0M cached), 950 out"));
        assert_eq!(tokens(&Usage { input_tokens: u64::MAX, output_tokens: u64::MAX, cached_tokens: u64::MAX }).map(|text| text.is_empty()), Some(false));
    }
}

//! The words that tasks are told in: what is essential about a tool's input, money, tokens.

use loopsy_shared::{api::ai_tasks::Usage, text::inert};
use serde_json::Value;

use crate::output::short;

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

/// What a person wants to know of a tool's input in one line: the command, the file, the address; inert.
pub(in crate::cmd) fn essential(input: &Value) -> String {
    if let Some(words) = input.get("command").and_then(Value::as_array) {
        return short(&words.iter().map(text_of).collect::<Vec<_>>().join(" "), ESSENTIAL);
    }
    const FIELDS: [&str; 14] =
        ["command", "cmd", "file_path", "filePath", "notebook_path", "path", "url", "pattern", "query", "description", "prompt", "plan", "title", "name"];
    match known(input, &FIELDS) {
        Some(text) => {
            let mut lines = text.trim().lines();
            let first = short(lines.next().unwrap_or_default(), ESSENTIAL);
            match lines.count() {
                0 => first,
                more => format!("{first} (+{more} more)"),
            }
        }
        None if input.as_object().is_none_or(serde_json::Map::is_empty) => inert(&text_of(input)).into_owned().replace("{}", ""),
        None => short(&input.to_string(), ESSENTIAL),
    }
}

/// `$0.0421`, `$12.50`.
pub(super) fn dollars(amount: f64) -> String {
    if amount != 0.0 && amount.abs() < 1.0 { format!("${amount:.4}") } else { format!("${amount:.2}") }
}

/// `12.3k tokens in, 1.2k out`; nothing when none are known.
pub(super) fn tokens(usage: &Usage) -> Option<String> {
    let Usage { input_tokens, output_tokens, cached_tokens } = *usage;
    if input_tokens + output_tokens + cached_tokens == 0 {
        return None;
    }
    let cached = if cached_tokens > 0 { format!(" (and {} from the cache)", thousands(cached_tokens)) } else { String::new() };
    Some(format!("{} tokens in{cached}, {} out", thousands(input_tokens), thousands(output_tokens)))
}

fn thousands(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => format!("{:.1}k", number as f64 / 1e3),
        _ => format!("{:.1}M", number as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_essential_is_one_harmless_line() {
        assert_eq!(essential(&json!({ "command": "cargo test\nrm x" })), "cargo test (+1 more)");
        assert_eq!(essential(&json!({ "command": ["bash", "-lc", "ls"] })), "bash -lc ls");
        assert_eq!(essential(&json!({ "file_path": "/a/\u{1b}[2J" })), "/a/\\u{1b}[2J");
        assert_eq!(essential(&json!({ "x": 1 })), "{\"x\":1}");
        assert_eq!((essential(&json!({})), essential(&json!(null))), (String::new(), String::new()));
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!((dollars(0.0421).as_str(), dollars(12.5).as_str(), dollars(0.0).as_str()), ("$0.0421", "$12.50", "$0.00"));
        let usage = Usage { input_tokens: 12_300, output_tokens: 950, cached_tokens: 2_000_000 };
        assert_eq!(tokens(&usage).as_deref(), Some("12.3k tokens in (and 2.0M from the cache), 950 out"));
        assert_eq!(tokens(&Usage::default()), None);
    }

    #[test]
    fn text_is_found_in_every_shape() {
        assert_eq!(text_of(&json!([{ "type": "text", "text": "a" }, "b"])), "a\nb");
        assert_eq!(text_of(&json!({ "a": 1 })), "{\"a\":1}");
    }
}

//! Reads JSON that may be anything: what is missing, or of another kind, is simply not there.

use loopsy_shared::api::ai_tasks::Usage;
use serde_json::{Map, Value};

use super::driver::Step;

/// How much of a line that was not understood is kept. The rest of it would fill the store of events and help nobody.
const RAW: usize = 64 * 1024;

/// How much text is compared to show a change. Above this a person reads the input.
const DIFF: usize = 128 * 1024;

/// A text that is not empty.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// A text of one's own.
pub(super) fn owned(value: &Value, name: &str) -> Option<String> {
    text(value, name).map(str::to_owned)
}

/// A list; an empty one when there is none.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A whole number that is not negative.
pub(super) fn count(value: &Value, name: &str) -> Option<u64> {
    value.get(name)?.as_u64()
}

/// A number that can be money.
pub(super) fn amount(value: &Value, name: &str) -> Option<f64> {
    value.get(name)?.as_f64().filter(|amount| amount.is_finite())
}

/// What has a value, under our names: pairs of theirs and ours.
pub(super) fn keep(value: &Value, names: &[(&str, &str)]) -> Map<String, Value> {
    names.iter().filter_map(|(theirs, ours)| Some(((*ours).to_owned(), value.get(*theirs)?.clone()))).filter(|(_, value)| !value.is_null()).collect()
}

/// What was not understood, cut when it is very long.
pub(super) fn raw(line: &str) -> Step {
    if line.len() <= RAW {
        return Step::raw(line);
    }
    let mut end = RAW;
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    let cut = Value::String(line.get(..end).unwrap_or_default().to_owned());
    Step::system("raw", Map::from_iter([("line".to_owned(), cut), ("bytes".to_owned(), line.len().into())]))
}

/// The change from one text to another as a unified diff, if it is small enough to be read.
pub(super) fn diff(path: &str, old: &str, new: &str) -> Option<String> {
    let worth = old != new && old.len() <= DIFF && new.len() <= DIFF;
    worth.then(|| similar::TextDiff::from_lines(old, new).unified_diff().header(path, path).to_string())
}

/// The sum of two counts of tokens.
pub(super) fn sum(one: Usage, other: Usage) -> Usage {
    Usage {
        input_tokens: one.input_tokens.saturating_add(other.input_tokens),
        output_tokens: one.output_tokens.saturating_add(other.output_tokens),
        cached_tokens: one.cached_tokens.saturating_add(other.cached_tokens),
    }
}

/// Whether a variable is among those that are kept and not among those that never are.
pub(super) fn passes(name: &str, kept: &[&str], stripped: &[&str]) -> bool {
    kept.iter().any(|pattern| matches(name, pattern)) && !stripped.iter().any(|pattern| matches(name, pattern))
}

/// Whether a name fits a pattern in which one star stands for anything.
pub(super) fn matches(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        Some((before, after)) => name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after),
        None => name == pattern,
    }
}

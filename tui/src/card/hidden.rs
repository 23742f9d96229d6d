//! Characters that a person would not see, written out and counted.

use loopsy_shared::{api::approvals::Approval, text::is_active};
use serde_json::Value;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Marks on one letter that a person can still read; more of them are written out.
const MARKS: usize = 6;

/// Text from elsewhere with nothing hidden in it: also blanks that are none, and characters that show nothing at all, are written out.
pub fn visible(text: &str) -> String {
    if text.is_ascii() && !text.bytes().any(|byte| byte.is_ascii_control()) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.graphemes(true) {
        let nothing = letter.width() == 0;
        for (index, c) in letter.chars().enumerate() {
            if nothing || index > MARKS || is_hidden(c) {
                out.extend(c.escape_unicode());
            } else {
                out.push(c);
            }
        }
    }
    out
}

fn is_hidden(c: char) -> bool {
    is_active(c)
        || matches!(c, '\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{1680}' | '\u{17b4}' | '\u{17b5}')
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{2800}' | '\u{3000}' | '\u{3164}')
        || matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// What is hidden in texts, for people: `2 turning the direction of text, 1 control`; nothing when there is nothing.
pub(super) fn count<'a>(texts: impl Iterator<Item = &'a str>) -> Option<String> {
    let (mut turns, mut controls, mut unseen) = (0_usize, 0_usize, 0_usize);
    for c in texts.flat_map(str::chars).filter(|c| !matches!(c, '\n' | '\t')) {
        match c {
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => turns += 1,
            c if c.is_control() => controls += 1,
            c if is_hidden(c) => unseen += 1,
            _ => {}
        }
    }
    let parts: Vec<String> = [(turns, "turning the direction of text"), (controls, "control"), (unseen, "invisible")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The same for an approval as it was asked.
pub(super) fn in_approval(approval: &Approval) -> Option<String> {
    in_value(&approval.input, approval.diff.as_deref(), |_| false)
}

/// The same for an input and the change that it makes, but for the fields that the change shows already.
pub(crate) fn in_value(input: &Value, diff: Option<&str>, elsewhere: impl Fn(&str) -> bool) -> Option<String> {
    fn of<'a>(value: &'a Value, out: &mut Vec<&'a str>) {
        match value {
            Value::String(text) => out.push(text),
            Value::Array(values) => values.iter().for_each(|value| of(value, out)),
            Value::Object(fields) => fields.iter().for_each(|(name, value)| {
                out.push(name);
                of(value, out);
            }),
            _ => {}
        }
    }
    let mut out: Vec<&str> = diff.into_iter().collect();
    match input.as_object() {
        Some(fields) => fields.iter().filter(|(name, _)| !elsewhere(name)).for_each(|(name, value)| {
            out.push(name);
            of(value, &mut out);
        }),
        None => of(input, &mut out),
    }
    count(out.into_iter())
}

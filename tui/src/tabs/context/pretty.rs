//! JSON with line ends and indents. Nothing else of it is touched: order, numbers and escapes stay as they were written.

use serde::de::IgnoredAny;

/// Deepest indent, in levels: what is deeper stands there too, so that a text of brackets does not become a thousand times as long.
const DEEPEST: usize = 12;

/// The text with one member on each line.
///
/// # Errors
/// Why it is no JSON.
pub(super) fn pretty(text: &str) -> Result<String, String> {
    serde_json::from_str::<IgnoredAny>(text).map_err(|e| e.to_string())?;
    let mut out = String::with_capacity(text.len() * 2);
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    let mut chars = text.chars().filter(|c| !c.is_control() || *c == ' ').peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth.min(DEEPEST)));
    };
    while let Some(c) = chars.next() {
        if quoted {
            out.push(c);
            quoted = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            ' ' => {}
            '"' => {
                quoted = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while chars.next_if_eq(&' ').is_some() {}
                if chars.peek().is_some_and(|next| matches!(next, '}' | ']')) {
                    out.extend(chars.next());
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c => out.push(c),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_blanks_change() {
        let text = r#"{ "b" : [1.0e400, {}, [ ], "a\"b, {c}"] ,"a":{"x":null}}"#;
        let expected = "{\n  \"b\": [\n    1.0e400,\n    {},\n    [],\n    \"a\\\"b, {c}\"\n  ],\n  \"a\": {\n    \"x\": null\n  }\n}";
        // Numbers that no machine can hold are text all the same.
        assert_eq!(pretty(text).as_deref(), Ok(expected));
        assert!(pretty("{\"a\":}").is_err() && pretty("").is_err() && pretty("a").is_err());
    }

    #[test]
    fn deep_brackets_stay_small() {
        let text = format!("{}{}{}", "[".repeat(100), "1,".repeat(10_000) + "1", "]".repeat(100));
        assert!(pretty(&text).unwrap().len() < 30 * text.len());
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf =
            prop_oneof![Just(serde_json::Value::Null), any::<bool>().prop_map(Into::into), any::<i64>().prop_map(Into::into), "\\PC{0,8}".prop_map(Into::into)];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                proptest::collection::btree_map("\\PC{0,5}", inner, 0..5).prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_means_the_same(value in any_json()) {
            let text = pretty(&value.to_string()).unwrap();
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        }
    }
}

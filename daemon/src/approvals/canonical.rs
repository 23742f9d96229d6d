//! JSON in the one form that has a hash (RFC 8785): what a person has seen, and nothing else, is what is allowed.
//!
//! Numbers are written as the RFC says, with one exception: whole numbers that came as such keep all their digits, also where a double has no room for them. Two
//! inputs that an agent can tell apart so never share a hash. A fraction, an exponent, and what is too large for 64 bits is a double, here as in the reader.

use std::fmt::Write as _;

use loopsy_shared::secret;
use serde_json::{Number, Value};
use sha2::{Digest, Sha256};

/// The hash (SHA-256, hex) of `{"input":..,"tool":..}`.
pub(crate) fn sha256(tool: &str, input: &Value) -> String {
    let mut text = String::from(r#"{"input":"#);
    write(input, &mut text);
    text.push_str(r#","tool":"#);
    quote(tool, &mut text);
    text.push('}');
    secret::hex(&Sha256::digest(text.as_bytes()))
}

/// A value as canonical JSON.
#[cfg(test)]
fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// What is still to be written. A stack of its own: how deep a value is nested is up to somebody else.
enum Rest<'a> {
    Value(&'a Value),
    Key(&'a str),
    Mark(char),
}

fn write(value: &Value, out: &mut String) {
    let mut rest = vec![Rest::Value(value)];
    while let Some(next) = rest.pop() {
        match next {
            Rest::Mark(mark) => out.push(mark),
            Rest::Key(key) => {
                quote(key, out);
                out.push(':');
            }
            Rest::Value(Value::Null) => out.push_str("null"),
            Rest::Value(Value::Bool(true)) => out.push_str("true"),
            Rest::Value(Value::Bool(false)) => out.push_str("false"),
            Rest::Value(Value::Number(number)) => out.push_str(&shown(number)),
            Rest::Value(Value::String(text)) => quote(text, out),
            Rest::Value(Value::Array(values)) => {
                out.push('[');
                rest.push(Rest::Mark(']'));
                for (at, value) in values.iter().enumerate().rev() {
                    rest.push(Rest::Value(value));
                    rest.extend((at > 0).then_some(Rest::Mark(',')));
                }
            }
            Rest::Value(Value::Object(map)) => {
                out.push('{');
                rest.push(Rest::Mark('}'));
                let mut entries: Vec<(&String, &Value)> = map.iter().collect();
                entries.sort_unstable_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
                for (at, (key, value)) in entries.into_iter().enumerate().rev() {
                    rest.extend([Rest::Value(value), Rest::Key(key)]);
                    rest.extend((at > 0).then_some(Rest::Mark(',')));
                }
            }
        }
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c)); // writing to a text cannot fail
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn shown(number: &Number) -> String {
    if number.is_f64() { double(number) } else { number.to_string() }
}

/// A double as ECMAScript writes it. The digits are serde's: as few as there can be, and of two equally near ones the even one.
fn double(number: &Number) -> String {
    let text = number.to_string();
    let (sign, text) = text.strip_prefix('-').map_or(("", text.as_str()), |text| ("-", text));
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let significant = all.trim_start_matches('0');
    let leading = all.len() - significant.len();
    let digits = significant.trim_end_matches('0');
    if digits.is_empty() {
        return "0".to_owned();
    }
    // Where the point stands, counted from the first of the digits.
    let place = |length: usize| i32::try_from(length).unwrap_or(i32::MAX);
    let point = exponent.parse::<i32>().unwrap_or(0) + place(whole.len()) - place(leading);
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    let split = |at: i32| digits.split_at(usize::try_from(at).unwrap_or(0).min(digits.len()));
    if (count..=21).contains(&point) {
        format!("{sign}{digits}{}", zeros(point - count))
    } else if (1..=21).contains(&point) {
        let (whole, fraction) = split(point);
        format!("{sign}{whole}.{fraction}")
    } else if (-5..=0).contains(&point) {
        format!("{sign}0.{}{digits}", zeros(-point))
    } else {
        let (first, fraction) = split(1);
        let dot = if fraction.is_empty() { "" } else { "." };
        format!("{sign}{first}{dot}{fraction}e{}{}", if point > 0 { "+" } else { "-" }, (point - 1).abs())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;

    #[test]
    fn numbers_are_written_as_the_rfc_has_them() {
        for (bits, text) in [
            (0x0000_0000_0000_0000_u64, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0xc340_0000_0000_0000, "-9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0x41b3_de43_5555_5554, "333333333.33333325"),
            (0x41b3_de43_5555_5555, "333333333.3333333"),
            (0x41b3_de43_5555_5556, "333333333.3333334"),
            (0x41b3_de43_5555_5557, "333333333.33333343"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ] {
            assert_eq!(canonical(&json!(f64::from_bits(bits))), text, "{bits:x}");
        }
    }

    #[test]
    fn the_examples_of_the_rfc_come_out_as_there() {
        let text = r#"{"numbers":[333333333.3333333,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#;
        let value: Value = serde_json::from_str(text).expect("JSON");
        let expected = r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#;
        assert_eq!(canonical(&value), expected);
        let text = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#;
        let value: Value = serde_json::from_str(text).expect("JSON");
        let order = [
            "Carriage Return",
            "One",
            "Control",
            "Latin Small Letter O With Diaeresis",
            "Euro Sign",
            "Emoji: Grinning Face",
            "Hebrew Letter Dalet With Dagesh",
        ];
        let out = canonical(&value);
        let places: Vec<usize> = order.iter().map(|name| out.find(name).expect("is there")).collect();
        assert!(places.is_sorted(), "{out}");
    }

    #[test]
    fn whole_numbers_keep_all_their_digits() {
        for text in ["9007199254740993", "18446744073709551615", "-9223372036854775808", "0", "-1"] {
            assert_eq!(canonical(&serde_json::from_str(text).expect("JSON")), text);
        }
        assert_eq!(canonical(&serde_json::from_str("1e2").expect("JSON")), "100");
        assert_ne!(sha256("t", &json!(9_007_199_254_740_992_u64)), sha256("t", &json!(9_007_199_254_740_993_u64)));
    }

    #[test]
    fn the_hash_is_that_of_the_canonical_text() {
        // printf '%s' '{"input":{"command":"ls"},"tool":"Bash"}' | sha256sum
        let whole = canonical(&json!({"tool": "Bash", "input": {"command": "ls"}}));
        assert_eq!(whole, r#"{"input":{"command":"ls"},"tool":"Bash"}"#);
        assert_eq!(sha256("Bash", &json!({"command": "ls"})), secret::hex(&Sha256::digest(whole.as_bytes())));
        assert_ne!(sha256("Bash", &json!({"command": "ls"})), sha256("bash", &json!({"command": "ls"})));
    }

    #[test]
    fn deep_nesting_is_only_long() {
        let deep = (0..5_000).fold(json!(1), |inner, _| json!([inner]));
        assert_eq!(canonical(&deep).len(), 10_001);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// The same value with its keys the other way round.
    fn turned(value: &Value) -> Value {
        match value {
            Value::Array(values) => values.iter().map(turned).collect(),
            Value::Object(map) => Value::Object(map.iter().rev().map(|(key, value)| (key.clone(), turned(value))).collect::<Map<_, _>>()),
            other => other.clone(),
        }
    }

    proptest! {
        #[test]
        fn order_and_white_space_do_not_matter(value in value()) {
            let pretty: Value = serde_json::from_str(&serde_json::to_string_pretty(&turned(&value)).expect("JSON")).expect("JSON");
            prop_assert_eq!(sha256("t", &value), sha256("t", &pretty));
            let text = canonical(&value);
            let again: Value = serde_json::from_str(&text).expect("canonical JSON is JSON");
            prop_assert_eq!(canonical(&again), text);
        }

        #[test]
        fn another_value_has_another_hash(one in value(), other in value()) {
            // 1 and 1.0 are the same number; everything else that differs shows.
            let same = serde_json::from_str::<Value>(&canonical(&one)).expect("JSON") == serde_json::from_str::<Value>(&canonical(&other)).expect("JSON");
            prop_assert_eq!(canonical(&one) == canonical(&other), same);
            if one != other && !one.is_f64() && !other.is_f64() && one.is_number() {
                prop_assert_ne!(sha256("t", &one), sha256("t", &other));
            }
        }

        #[test]
        fn a_change_anywhere_shows(value in value(), key in "[a-z]{1,3}", text in ".{0,8}", more in ".{1,3}") {
            let with = |text: &str| json!({"rest": value, key.clone(): text});
            prop_assert_ne!(sha256("t", &with(&text)), sha256("t", &with(&format!("{text}{more}"))));
        }
    }
}

//! Names that would break a terminal or another system are not created, here or anywhere: what one machine takes, all of them can hold.

/// Longest name that every file system of ours takes, in bytes.
const LONGEST: usize = 255;

/// Names of devices on Windows, with any extension and in any case.
const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];

/// Says why a name must not be created; nothing when it may.
pub(super) fn refuse(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.len() > LONGEST {
        return Some("it is longer than 255 bytes");
    }
    if name == ".." || name == "." {
        return Some("`.` and `..` are not names");
    }
    if name.chars().any(char::is_control) {
        return Some("it has control characters");
    }
    if name.chars().any(reorders) {
        return Some("it has characters that change the direction of text");
    }
    if name.contains([':', '*', '?', '"', '<', '>', '|', '\\', '/']) {
        return Some("it has one of the characters : * ? \" < > | \\, which are not names on Windows");
    }
    if name.ends_with(['.', ' ']) {
        return Some("it ends with a dot or a space, which Windows drops");
    }
    if is_device(name) {
        return Some("it is the name of a device on Windows");
    }
    if is_part(name) {
        return Some("names of the form `.loopsy.*.part` are those of unfinished uploads");
    }
    None
}

/// Whether a name is one of our own unfinished files: `.loopsy.<8 to 64 of A-Z a-z 0-9 ->.part`.
pub(super) fn is_part(name: &str) -> bool {
    name.strip_prefix(".loopsy.").and_then(|rest| rest.strip_suffix(".part")).is_some_and(is_upload_id)
}

/// The name of an unfinished file.
pub(super) fn part(upload_id: &str) -> String {
    format!(".loopsy.{upload_id}.part")
}

/// Whether a text may name an upload: 8 to 64 of `A-Z a-z 0-9 -`.
pub(super) fn is_upload_id(text: &str) -> bool {
    (8..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn reorders(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end_matches(' ').to_uppercase();
    if DEVICES.contains(&stem.as_str()) {
        return true;
    }
    let mut rest = match stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT")) {
        Some(rest) => rest.chars(),
        None => return false,
    };
    matches!((rest.next(), rest.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_of_any_script_are_fine() {
        for name in
            ["a", ".hidden", "Ünïcødé ☃.txt", "機械.md", "👨\u{200d}👩.png", "console", "com10", "lpt", "nul1", "a b", "it's", "-rf", "community.txt", "~x"]
        {
            assert_eq!(refuse(name), None, "{name}");
        }
    }

    #[test]
    fn names_that_break_something_are_refused() {
        let long = "x".repeat(256);
        for name in [
            "",
            ".",
            "..",
            "a\0b",
            "a\u{1b}[31m",
            "a\nb",
            "a\u{7f}",
            "a\u{9b}",
            "a\u{202e}b",
            "a\u{2066}",
            "\u{200f}",
            "a.",
            "a ",
            "a:b",
            "a*",
            "a?",
            "a\"",
            "<a",
            "a>",
            "a|b",
            "a\\b",
            "CON",
            "con.txt",
            "Aux",
            "nul.tar.gz",
            "COM0",
            "com9.x",
            "LPT¹",
            "com².txt",
            "lpt³",
            "prn .txt",
            ".loopsy.12345678.part",
            &long,
        ] {
            assert!(refuse(name).is_some(), "{name:?}");
        }
    }
}

//! One key as a person names it: `q`, `ctrl-]`, `alt-enter`, `F12`.

use std::{fmt, str::FromStr};

/// A key with what was held down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The key.
    pub(crate) code: Code,
    /// Ctrl was held.
    pub(crate) ctrl: bool,
    /// Alt was held.
    pub(crate) alt: bool,
    /// Shift was held, where the character does not say so already.
    pub(crate) shift: bool,
}

/// Which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Code {
    /// A character, as it would be typed: `A` is shift and `a`.
    Char(char),
    /// Enter.
    Enter,
    /// Escape.
    Esc,
    /// Tab; with shift it goes back.
    Tab,
    /// Backspace.
    Backspace,
    /// Delete.
    Delete,
    /// Insert.
    Insert,
    /// Left.
    Left,
    /// Right.
    Right,
    /// Up.
    Up,
    /// Down.
    Down,
    /// Home.
    Home,
    /// End.
    End,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// F1 to F24.
    F(u8),
}

/// Names of keys that are no characters.
const NAMES: [(&str, Code); 17] = [
    ("enter", Code::Enter),
    ("esc", Code::Esc),
    ("tab", Code::Tab),
    ("backspace", Code::Backspace),
    ("delete", Code::Delete),
    ("insert", Code::Insert),
    ("left", Code::Left),
    ("right", Code::Right),
    ("up", Code::Up),
    ("down", Code::Down),
    ("home", Code::Home),
    ("end", Code::End),
    ("pageup", Code::PageUp),
    ("pagedown", Code::PageDown),
    ("space", Code::Char(' ')),
    ("minus", Code::Char('-')),
    ("plus", Code::Char('+')),
];

impl Key {
    /// The key alone.
    pub(crate) const fn plain(code: Code) -> Self {
        Self { code, ctrl: false, alt: false, shift: false }
    }

    /// A character.
    pub(crate) const fn char(c: char) -> Self {
        Self::plain(Code::Char(c))
    }

    /// A character with Ctrl.
    pub(crate) const fn ctrl(c: char) -> Self {
        Self { code: Code::Char(c), ctrl: true, alt: false, shift: false }
    }

    /// The character that it types, when it types one.
    pub(crate) const fn typed(self) -> Option<char> {
        match self.code {
            Code::Char(c) if !self.ctrl && !self.alt => Some(c),
            _ => None,
        }
    }
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut key = Self::plain(Code::Esc);
        let mut rest = text;
        loop {
            let lower = rest.to_ascii_lowercase();
            let (held, length) = if lower.starts_with("ctrl-") {
                (&mut key.ctrl, 5)
            } else if lower.starts_with("alt-") {
                (&mut key.alt, 4)
            } else if lower.starts_with("shift-") {
                (&mut key.shift, 6)
            } else {
                break;
            };
            *held = true;
            rest = rest.get(length..).unwrap_or_default();
        }
        let mut chars = rest.chars();
        key.code = match (chars.next(), chars.next()) {
            (Some(c), None) if !c.is_control() => Code::Char(if key.ctrl { c.to_ascii_lowercase() } else { c }),
            _ => {
                let lower = rest.to_ascii_lowercase();
                let function = lower.strip_prefix('f').and_then(|number| number.parse().ok()).filter(|number| (1..=24).contains(number)).map(Code::F);
                NAMES.iter().find(|(name, _)| *name == lower).map(|(_, code)| *code).or(function).ok_or_else(|| {
                    format!("`{text}` is no key; a key is a character, a name such as `enter`, `esc`, `tab`, `space`, `up`, `F12`, with `ctrl-`, `alt-` or `shift-` in front")
                })?
            }
        };
        Ok(key)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (held, name) in [(self.ctrl, "Ctrl-"), (self.alt, "Alt-"), (self.shift, "Shift-")] {
            if held {
                f.write_str(name)?;
            }
        }
        match self.code {
            Code::Char(c) if !matches!(c, ' ' | '-' | '+') => write!(f, "{c}"),
            Code::F(number) => write!(f, "F{number}"),
            code => {
                let name = NAMES.iter().find(|(_, known)| *known == code).map_or("?", |(name, _)| name);
                let mut chars = name.chars();
                chars.next().into_iter().try_for_each(|first| write!(f, "{}", first.to_ascii_uppercase()))?;
                f.write_str(chars.as_str())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_named_and_read() {
        for (text, shown) in
            [("q", "q"), ("Q", "Q"), ("ctrl-]", "Ctrl-]"), ("CTRL-L", "Ctrl-l"), ("alt-enter", "Alt-Enter"), ("f12", "F12"), ("space", "Space"), ("-", "Minus")]
        {
            let key: Key = text.parse().unwrap();
            assert_eq!(key.to_string(), shown);
            assert_eq!(shown.parse::<Key>().unwrap(), key);
        }
        assert!("hyper-x".parse::<Key>().is_err() && "F99".parse::<Key>().is_err() && "".parse::<Key>().is_err());
    }
}

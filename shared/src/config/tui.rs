//! `tui`: how the control centre looks and what its keys are. Colours and keys are looked at by the control centre itself; here only their shape counts, so that a
//! key that does not exist stops no daemon.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

section! {
    /// `tui`: the control centre, `loopsy tui`.
    Tui {
        /// The theme: one of the program's, or the name of a file in `themes/` of the data directory.
        #[serde(skip_serializing_if = "Option::is_none")]
        theme: Option<String> = None,
        /// Only ASCII is drawn. The environment says so by itself where it can.
        ascii: bool = false,
        /// Whether the mouse drives the control centre from the start; then the terminal selects text with Shift held.
        mouse: bool = false,
        /// How text is copied.
        clipboard: Clipboard = Clipboard::Auto,
        /// Seconds for which a message that something went well stays.
        toast_seconds: u64 = 6,
        /// Changes of keys: place, command, key or list of keys. `docs/KEYS.md` has the names.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        keys: BTreeMap<String, Option<BTreeMap<String, Keys>>> = BTreeMap::new(),
    }
}

section! {
    /// `pairing`.
    Pairing {
        /// In the control centre, the digits of the other screen are typed instead of compared.
        type_code: bool = false,
    }
}

/// How the control centre copies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Clipboard {
    /// By the terminal over SSH, else by the machine's tools where there are any.
    #[default]
    Auto,
    /// By the terminal, with OSC 52.
    Osc52,
    /// By the machine's tools.
    Tools,
}

/// A key, or several; none takes the command's keys away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Keys(
    /// As they were written.
    pub Vec<String>,
);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeysVisitor)
    }
}

struct KeysVisitor;

/// One key; a digit is a number to YAML.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeysVisitor).map(|keys| Self(keys.0.into_iter().next().unwrap_or_default()))
    }
}

impl<'de> de::Visitor<'de> for KeysVisitor {
    type Value = Keys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key or a list of keys")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<Keys, E> {
        Ok(Keys(vec![key.to_owned()]))
    }

    fn visit_u64<E: de::Error>(self, digit: u64) -> Result<Keys, E> {
        Ok(Keys(vec![digit.to_string()]))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Keys, A::Error> {
        let mut keys = Vec::new();
        while let Some(Key(key)) = list.next_element()? {
            keys.push(key);
        }
        Ok(Keys(keys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn keys_are_taken_as_they_are_written() {
        let text = "tui:\n  theme: linen\n  clipboard: osc52\n  keys:\n    everywhere: {quit: ctrl-q, go-peers: 2, mouse: []}\n    nowhere: {nothing: [x, 7]}\n    peers:\npairing: {typeCode: true}\n";
        let config = Config::parse(text).expect("the shape is right");
        assert_eq!(config.tui.theme.as_deref(), Some("linen"));
        assert_eq!(config.tui.clipboard, Clipboard::Osc52);
        let everywhere = config.tui.keys["everywhere"].as_ref().expect("there");
        assert_eq!((&everywhere["go-peers"].0[..], &everywhere["mouse"].0[..]), (&["2".to_owned()][..], &[][..]));
        assert_eq!(config.tui.keys["nowhere"].as_ref().expect("there")["nothing"].0, ["x", "7"]);
        assert!(config.pairing.type_code);
        let again = Config::parse(&serde_yaml::to_string(&config).expect("written")).expect("read again");
        assert_eq!(again, config);
    }

    #[test]
    fn what_has_another_shape_is_refused() {
        for text in [
            "tui: {keys: [a]}",
            "tui: {keys: {peers: {run: {a: b}}}}",
            "tui: {keys: {peers: {run: ~}}}",
            "tui: {clipboard: magic}",
            "tui: {toastSeconds: 0}",
            "tui: {theem: x}",
        ] {
            Config::parse(text).expect_err(text);
        }
    }
}

//! Reading YAML of a person's by hand, so that an error stands where the mistake is: line, column, and the name that was probably meant.

use std::fmt;

use loopsy_shared::{names::nearest, text::inert};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A word, a number or anything else that is one text, and what it means.
pub(crate) struct Word<F>(pub(crate) F);

impl<'de, T, F: FnOnce(&str) -> Result<T, String>> DeserializeSeed<'de> for Word<F> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T, F: FnOnce(&str) -> Result<T, String>> Visitor<'_> for Word<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

/// A word, or a list of them.
pub(crate) struct Words<'a, T>(pub(crate) &'a dyn Fn(&str) -> Result<T, String>);

impl<'de, T> DeserializeSeed<'de> for Words<'_, T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T> Visitor<'de> for Words<'_, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word or a list of words; what YAML takes for something else, such as `!` or `~`, needs quotes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<T>, E> {
        (self.0)(text).map(|one| vec![one]).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Vec<T>, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = list.next_element_seed(Word(self.0))? {
            all.push(one);
        }
        Ok(all)
    }
}

/// What is filled from the entries of a map.
pub(crate) trait Entries<'de> {
    /// What a name of it stands for.
    type Key;

    /// What it is, for who wrote something else.
    const WHAT: &'static str;

    /// Understands the name of an entry.
    fn key(&mut self, name: &str) -> Result<Self::Key, String>;

    /// Reads its value.
    fn value<A: MapAccess<'de>>(&mut self, key: Self::Key, map: &mut A) -> Result<(), A::Error>;

    /// Nothing more comes: what is missing.
    fn done(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// Reads a map into something.
pub(crate) struct Into<'a, T>(pub(crate) &'a mut T);

impl<'de, T: Entries<'de>> DeserializeSeed<'de> for Into<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, T: Entries<'de>> Visitor<'de> for Into<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WHAT)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Word(|name: &str| self.0.key(name)))? {
            self.0.value(key, &mut map)?;
        }
        self.0.done().map_err(A::Error::custom)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }

    /// Nothing at all is a map without entries.
    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.0.done().map_err(E::custom)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.done().map_err(E::custom)
    }
}

/// Reads a text into something.
///
/// # Errors
/// What is wrong, with line and column, inert.
pub(crate) fn read<'de, T: Entries<'de>>(text: &'de str, into: &mut T) -> Result<(), String> {
    Into(into).deserialize(serde_yaml::Deserializer::from_str(text)).map_err(|error| inert(&error.to_string()).into_owned())
}

/// "No `x` is known here", with the name that was probably meant, or all there are.
pub(crate) fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let name = inert(name);
    match nearest(&name, known.clone()) {
        Some(near) => format!("unknown {what} `{name}`; did you mean `{near}`?"),
        None => format!("unknown {what} `{name}`; known here: {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

//! Which rows a list shows, and in which order: its filter and its sorting.

use nucleo_matcher::{
    Config, Matcher, Utf32Str,
    pattern::{CaseMatching, Normalization, Pattern},
};

use super::{
    super::field::{Field, Outcome},
    List,
};
use crate::{input::Input, key::Code, keymap::Command};

impl<K: Clone + PartialEq> List<K> {
    /// Sorts by the next of these columns: each forwards, then backwards, then none.
    pub(crate) fn sort_next(&mut self, columns: &[&'static str]) {
        self.sort = match self.sort {
            None => columns.first().map(|name| (*name, false)),
            Some((name, false)) => Some((name, true)),
            Some((name, true)) => {
                let next = columns.iter().position(|known| *known == name).map_or(0, |at| at + 1);
                columns.get(next).map(|name| (*name, false))
            }
        };
    }

    /// What is sorted by, and whether backwards.
    pub(crate) const fn sort(&self) -> Option<(&'static str, bool)> {
        self.sort
    }

    /// Sorts by this column's name, as it was remembered.
    pub(crate) fn sort_by(&mut self, columns: &[&'static str], name: &str, backwards: bool) {
        self.sort = columns.iter().find(|known| **known == name).map(|name| (*name, backwards));
    }

    /// Puts items into the order that is chosen: `compare` gets the column's name. Equal ones stay as they were.
    pub(crate) fn order<T>(&self, items: &mut [T], compare: impl Fn(&str, &T, &T) -> std::cmp::Ordering) {
        let Some((name, backwards)) = self.sort else { return };
        items.sort_by(|a, b| if backwards { compare(name, b, a) } else { compare(name, a, b) });
    }

    /// Begins to type a filter, with what it was.
    pub(crate) fn filter(&mut self) {
        self.filter.get_or_insert_with(Field::line);
        self.filtering = true;
    }

    /// Whether the filter takes the keys.
    pub(crate) const fn is_filtering(&self) -> bool {
        self.filtering
    }

    /// Leaves the filter as it is: keys move again.
    pub(crate) fn leave_filter(&mut self) {
        self.filtering = false;
        if self.filter.as_ref().is_some_and(|filter| filter.text().is_empty()) {
            self.filter = None;
        }
    }

    /// Keys that move the selection while the filter is typed; whether it was one of them.
    pub(crate) fn steer(&mut self, input: &Input, keys: &[K]) -> bool {
        let Input::Key(press) = input else { return false };
        let command = match press.key.code {
            Code::Up => Command::Up,
            Code::Down => Command::Down,
            Code::PageUp => Command::PageUp,
            Code::PageDown => Command::PageDown,
            _ => return false,
        };
        self.act(command, keys)
    }

    /// A key or paste for the filter.
    pub(crate) fn typed(&mut self, input: &Input) {
        let Some(filter) = &mut self.filter else { return };
        match filter.take(input) {
            Outcome::Submit => self.leave_filter(),
            Outcome::Leave => {
                self.clear_filter();
            }
            Outcome::Changed | Outcome::Ignored => {}
        }
    }

    /// No filter any more; whether there was one.
    pub(crate) fn clear_filter(&mut self) -> bool {
        self.filtering = false;
        self.filter.take().is_some()
    }

    /// Filters by this, as it was remembered.
    pub(crate) fn filter_by(&mut self, pattern: &str) {
        self.filtering = false;
        self.filter = (!pattern.is_empty()).then(|| Field::line().with(pattern));
    }

    /// What is filtered by.
    pub(crate) fn pattern(&self) -> &str {
        self.filter.as_ref().map_or("", |filter| filter.text())
    }

    /// The items whose texts match the filter, in their order.
    pub(crate) fn filtered<T>(&self, items: Vec<T>, text: impl Fn(&T) -> String) -> Vec<T> {
        let pattern = self.pattern();
        if pattern.is_empty() {
            return items;
        }
        let pattern = Pattern::parse(pattern, CaseMatching::Smart, Normalization::Smart);
        let mut matcher = Matcher::new(Config::DEFAULT);
        let mut chars = Vec::new();
        items.into_iter().filter(|item| pattern.score(Utf32Str::new(&text(item), &mut chars), &mut matcher).is_some()).collect()
    }

    /// The filter's line, while it is typed or holds: ` /build `.
    pub(crate) fn title(&self, title: &str) -> String {
        match &self.filter {
            Some(filter) => format!("{title}  /{}{}", filter.text(), if self.filtering { "_" } else { "" }),
            None => title.to_owned(),
        }
    }
}

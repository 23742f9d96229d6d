//! A search in the lines of a terminal: as it is typed, over wrapped lines, with small letters for both kinds.

use super::lines::{Lines, Place};
use crate::widgets::field::Field;

/// Hits that are kept. Older ones are not looked for when there are more.
const MOST: usize = 10_000;

/// From its first to its last character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) from: Place,
    pub(super) to: Place,
}

/// A search.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) field: Field,
    /// It takes the keys.
    pub(super) typing: bool,
    /// Oldest first.
    hits: Vec<Hit>,
    at: Option<usize>,
    /// Something was printed since it was searched.
    stale: bool,
    /// The top of the view before it, to go back to.
    pub(super) before: Option<i64>,
}

impl Search {
    /// With nothing to look for yet.
    pub(super) fn new(before: Option<i64>) -> Self {
        Self { field: Field::line(), typing: true, hits: Vec::new(), at: None, stale: false, before }
    }

    /// Something was printed.
    pub(super) const fn printed(&mut self) {
        self.stale = true;
    }

    /// Whether there is anything to go to.
    pub(super) const fn has_hits(&self) -> bool {
        !self.hits.is_empty()
    }

    /// The hit that is looked at.
    pub(super) fn now(&self) -> Option<Hit> {
        self.hits.get(self.at?).copied()
    }

    /// `/warning 3 of 17`.
    pub(super) fn word(&self) -> String {
        let (pattern, end) = (self.field.text(), if self.typing { "_" } else { "" });
        match self.at {
            _ if pattern.is_empty() => format!("/{end}"),
            Some(at) => format!("/{pattern}{end} {} of {}{}", at + 1, self.hits.len(), if self.hits.len() >= MOST { " or more" } else { "" }),
            None => format!("/{pattern}{end} nothing found"),
        }
    }

    /// Looks anew, for the newest hit up to this line.
    pub(super) fn look(&mut self, lines: Lines<'_>, up_to: i64) {
        self.hits = find(self.field.text(), lines);
        self.stale = false;
        let after = self.hits.partition_point(|hit| hit.from.0 <= up_to);
        self.at = if self.hits.is_empty() { None } else { Some(after.saturating_sub(1)) };
    }

    /// Goes to the hit above or below, and around at the ends.
    pub(super) fn step(&mut self, up: bool, lines: Lines<'_>) {
        if self.stale {
            let from = self.now().map_or((i64::MAX, 0), |hit| hit.from);
            self.hits = find(self.field.text(), lines);
            self.stale = false;
            self.at = self.hits.partition_point(|hit| hit.from <= from).checked_sub(1).or(if self.hits.is_empty() { None } else { Some(0) });
        }
        let count = self.hits.len();
        self.at = self.at.map(|at| if up { (at + count - 1) % count } else { (at + 1) % count });
    }

    /// The hits on these lines; what was printed over does not count.
    pub(super) fn on(&self, lines: Lines<'_>, from: i64, to: i64) -> impl Iterator<Item = (Hit, bool)> + '_ {
        let start = self.hits.partition_point(|hit| hit.to.0 < from);
        let now = self.now();
        let hits: Vec<Hit> =
            self.hits[start..].iter().take_while(|hit| hit.from.0 <= to).copied().filter(|hit| !self.stale || self.holds(lines, *hit)).collect();
        hits.into_iter().map(move |hit| (hit, Some(hit) == now))
    }

    fn holds(&self, lines: Lines<'_>, hit: Hit) -> bool {
        let mut places = Vec::new();
        (hit.from.0..=hit.to.0).for_each(|line| lines.places(line, &mut places));
        let (needle, exact) = needle(self.field.text());
        let here = places.iter().filter(|(_, place)| (hit.from..=hit.to).contains(place)).map(|(c, _)| if exact { *c } else { small(*c) });
        here.eq(needle)
    }
}

/// What is looked for, and whether capital letters are capital letters.
fn needle(pattern: &str) -> (Vec<char>, bool) {
    let exact = pattern.chars().any(char::is_uppercase);
    (pattern.chars().map(|c| if exact { c } else { small(c) }).collect(), exact)
}

fn small(c: char) -> char {
    if c.is_ascii() { c.to_ascii_lowercase() } else { c.to_lowercase().next().unwrap_or(c) }
}

fn find(pattern: &str, lines: Lines<'_>) -> Vec<Hit> {
    let (needle, exact) = needle(pattern);
    let (Some(first), mut hits, mut places) = (needle.first(), Vec::new(), Vec::new()) else { return Vec::new() };
    let mut end = lines.last();
    // From the newest line on, so that the newest hits are those that are kept.
    while end >= lines.first() && hits.len() < MOST {
        let (from, _) = lines.whole(end);
        places.clear();
        (from..=end).for_each(|line| lines.places(line, &mut places));
        let mut found = Vec::new();
        let mut at = 0;
        let fold = |c: char| if exact { c } else { small(c) };
        while at + needle.len() <= places.len() {
            let window = &places[at..at + needle.len()];
            if fold(window[0].0) == *first && window.iter().zip(&needle).all(|((c, _), wanted)| fold(*c) == *wanted) {
                found.push(Hit { from: window[0].1, to: window[needle.len() - 1].1 });
                at += needle.len();
            } else {
                at += 1;
            }
        }
        hits.extend(found.into_iter().rev());
        end = from - 1;
    }
    hits.truncate(MOST);
    hits.reverse();
    hits
}

//! What boxes share that are typed into and chosen from: letters filter, so only other keys move.

use std::cell::Cell;

use nucleo_matcher::{
    Config, Matcher, Utf32Str,
    pattern::{AtomKind, CaseMatching, Normalization, Pattern},
};

use crate::{input::Input, key::Code, keymap::Command};

/// Where an input moves to among so many lines; none when it does not move.
pub(super) fn moved(at: usize, count: usize, page: usize, input: &Input) -> Option<usize> {
    let Input::Key(press) = input else { return None };
    let key = press.key;
    let command = match (key.code, key.ctrl, key.alt) {
        (Code::Up, false, false) | (Code::Char('p'), true, false) => Command::Up,
        (Code::Down, false, false) | (Code::Char('n'), true, false) => Command::Down,
        (Code::PageUp, ..) => Command::PageUp,
        (Code::PageDown, ..) => Command::PageDown,
        _ => return None,
    };
    step(at, count, page, command)
}

/// The same for a command; the wheel comes as one.
pub(super) fn step(at: usize, count: usize, page: usize, command: Command) -> Option<usize> {
    let last = count.saturating_sub(1);
    Some(match command {
        Command::Up => at.saturating_sub(1),
        Command::Down => (at + 1).min(last),
        Command::PageUp => at.saturating_sub(page.max(1)),
        Command::PageDown => (at + page.max(1)).min(last),
        _ => return None,
    })
}

/// Lines above the window, so that the chosen one is in it and it moves as little as it can.
pub(super) fn window(top: &Cell<usize>, at: usize, lines: usize, height: usize) -> usize {
    let before = top.get().min(lines.saturating_sub(height));
    let now = if at < before { at } else { before.max((at + 1).saturating_sub(height)) };
    top.set(now);
    now
}

/// What was typed, to find lines by: small letters find large ones too, the order of letters counts and gaps do not.
pub(super) struct Search {
    pattern: Pattern,
    matcher: Matcher,
}

impl Search {
    /// For a text.
    pub(super) fn new(text: &str) -> Self {
        let pattern = Pattern::new(text, CaseMatching::Smart, Normalization::Smart, AtomKind::Fuzzy);
        Self { pattern, matcher: Matcher::new(Config::DEFAULT) }
    }

    /// How well a line fits; none when it does not.
    pub(super) fn score(&mut self, line: Utf32Str<'_>) -> Option<u32> {
        self.pattern.score(line, &mut self.matcher)
    }
}

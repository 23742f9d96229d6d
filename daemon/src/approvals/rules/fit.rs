//! Whether words are those of a pattern.

use super::super::facts::shell;
use crate::jobs::policy::normal;

/// Whether a rule fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// It does not.
    No,
    /// A word is only known when the command runs.
    Maybe,
    /// It does.
    Yes,
}

/// Whether a command begins as a pattern says. `strict` is for rules that allow: a program that lies anywhere is not the one that is meant.
pub(super) fn fits(pattern: &str, words: &[String], strict: bool) -> Fit {
    let mut parts: Vec<&str> = pattern.split_whitespace().collect();
    let whole = parts.last() == Some(&";");
    if whole || parts.len() > 1 && parts.last() == Some(&"*") {
        parts.pop();
    }
    let (Some((program, arguments)), Some((word, args))) = (parts.split_first(), words.split_first()) else { return Fit::No };
    let named = if program.contains('/') { like(program, word) } else { (!strict || shell::is_systems(word)) && like(&program.to_lowercase(), &normal(word)) };
    let mut fit = if named {
        Fit::Yes
    } else if !strict && shell::is_uncertain(word) {
        Fit::Maybe
    } else {
        return Fit::No;
    };
    // What `git -c alias.x=push x` is, only git knows.
    if !strict
        && arguments.first().is_some_and(|part| !part.starts_with('-'))
        && args.first().is_some_and(|arg| arg.starts_with('-') && !like(arguments[0], arg))
    {
        return Fit::Maybe;
    }
    if args.len() < arguments.len() {
        // Words that are only known later may become more than one.
        return if !strict && args.iter().any(|arg| shell::is_uncertain(arg)) { Fit::Maybe } else { Fit::No };
    }
    for (part, arg) in arguments.iter().zip(args) {
        if like(part, arg) {
            continue;
        }
        // `git -C x push` is `git push` to git, and what is only known later may be anything.
        let between = arg.starts_with('-') && follow(arguments, args);
        return if !strict && (between || shell::is_uncertain(arg)) { Fit::Maybe } else { Fit::No };
    }
    if whole && args.len() > arguments.len() {
        fit = if !strict && args.iter().any(|arg| shell::is_uncertain(arg)) { Fit::Maybe } else { Fit::No };
    }
    fit
}

/// Whether words come in this order, whatever is between them.
fn follow(parts: &[&str], words: &[String]) -> bool {
    let mut words = words.iter();
    parts.iter().all(|part| words.any(|word| like(part, word)))
}

/// Whether all words of a pattern are among these, in whichever order.
pub(super) fn words_of(pattern: &str, words: &[String]) -> bool {
    let parts = pattern.split_whitespace().filter(|part| *part != ";" && *part != "*");
    let mut parts = parts.enumerate().peekable();
    if parts.peek().is_none() {
        return !words.is_empty();
    }
    parts.all(|(at, part)| words.iter().any(|word| like(part, word) || at == 0 && like(&part.to_lowercase(), &normal(word))))
}

/// Whether a text is as a pattern says, in which `*` stands for any text.
pub(super) fn like(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(end)
}

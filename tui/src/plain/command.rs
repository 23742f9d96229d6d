//! What can be typed in plain mode.

use crate::tabs::TabId;

/// A line that a person typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// Nothing.
    Empty,
    /// What can be typed.
    Help,
    /// What a tab shows.
    List(TabId),
    /// The approvals that wait.
    Approvals,
    /// The card of an approval.
    Show(usize),
    /// Yes, after the card was read and a word typed.
    Approve(usize),
    /// Yes, and keep a rule: the one with this number, or the only one. After all of it was read and a word typed.
    Always(usize, Option<usize>),
    /// An answer to a question of an approval: its number, and a choice's number or a text.
    Answer(usize, usize, String),
    /// No, with a reason perhaps.
    Deny(usize, Option<String>),
    /// No, and stop.
    Stop(usize),
    /// A new task: `NAME: PROMPT`, or a prompt for this machine.
    Task(String),
    /// The log of a task; of none any more.
    Tail(Option<usize>),
    /// Says something to a task's agent.
    Send(usize, String),
    /// Ends a task.
    Cancel(usize),
    /// Reads a context key.
    Get(String),
    /// Sets a context key.
    Set(String, String),
    /// How machines are paired.
    Pair,
    /// The end.
    Quit,
}

/// For help.
pub(super) const HELP: [&str; 19] = [
    "1 to 7, or overview, peers, context, messages, tasks, terminals, pairing: what is there",
    "approvals: what agents ask",
    "show N: the whole of approval N",
    "approve N: shows the whole of it, then asks for the word approve",
    "always N: the same with the rule that the agent offers to keep, shown before; then asks for the word always",
    "always N R: the same with rule R, where there are several",
    "answer N Q TEXT: answers question Q of approval N with a choice's number or a text; approve N sends the answers",
    "deny N REASON: denies it; the reason may be left out",
    "stop N: denies it and stops the task",
    "task PROMPT: gives a task to an agent here",
    "task NAME: PROMPT: the same on the peer NAME",
    "tail N: follows task N; tail alone ends that",
    "send N TEXT: says something to the agent of task N",
    "cancel N: ends task N, after it asked for the word cancel",
    "context get KEY",
    "context set KEY VALUE",
    "context list",
    "pair: how machines are paired",
    "quit",
];

/// Reads a line.
///
/// # Errors
/// A sentence for people.
pub(super) fn parse(line: &str) -> Result<Command, String> {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).map_or((line, ""), |(word, rest)| (word, rest.trim()));
    let alone = |command: Command| if rest.is_empty() { Ok(command) } else { Err(format!("`{word}` takes nothing more.")) };
    let tab = TabId::ALL.into_iter().find(|tab| tab.name() == word || (*tab as usize + 1).to_string() == word);
    match (word, tab) {
        ("", _) => Ok(Command::Empty),
        ("?" | "help", _) => alone(Command::Help),
        ("context", _) if !rest.is_empty() => context(rest),
        ("terminals", _) => alone(Command::List(TabId::Terminal)),
        (_, Some(tab)) => alone(Command::List(tab)),
        ("approvals" | "!", _) => alone(Command::Approvals),
        ("show", _) => Ok(Command::Show(only(word, rest)?)),
        ("approve", _) => Ok(Command::Approve(only(word, rest)?)),
        ("always", _) => {
            let (number, rest) = numbered(word, rest)?;
            Ok(Command::Always(number, if rest.is_empty() { None } else { Some(only(word, rest)?) }))
        }
        ("answer", _) => {
            let (number, rest) = numbered(word, rest)?;
            let (question, text) = numbered(word, rest)?;
            Ok(Command::Answer(number, question, said(word, text)?))
        }
        ("deny", _) => numbered(word, rest).map(|(number, reason)| Command::Deny(number, (!reason.is_empty()).then(|| reason.to_owned()))),
        ("stop", _) => Ok(Command::Stop(only(word, rest)?)),
        ("task", _) => Ok(Command::Task(said(word, rest)?)),
        ("tail", _) if rest.is_empty() => Ok(Command::Tail(None)),
        ("tail", _) => Ok(Command::Tail(Some(only(word, rest)?))),
        ("send", _) => {
            let (number, text) = numbered(word, rest)?;
            Ok(Command::Send(number, said(word, text)?))
        }
        ("cancel", _) => Ok(Command::Cancel(only(word, rest)?)),
        ("pair", _) => alone(Command::Pair),
        ("quit" | "exit" | "q", _) => alone(Command::Quit),
        _ => Err(format!("`{word}` is not known here. ? says what can be typed.")),
    }
}

fn context(rest: &str) -> Result<Command, String> {
    let (word, rest) = rest.split_once(char::is_whitespace).map_or((rest, ""), |(word, rest)| (word, rest.trim()));
    match (word, rest.split_once(char::is_whitespace)) {
        ("list", _) if rest.is_empty() => Ok(Command::List(TabId::Context)),
        ("get", None) if !rest.is_empty() => Ok(Command::Get(rest.to_owned())),
        ("set", Some((key, value))) => Ok(Command::Set(key.to_owned(), value.trim_start().to_owned())),
        _ => Err("It is `context list`, `context get KEY` or `context set KEY VALUE`.".to_owned()),
    }
}

/// A number and what follows it.
fn numbered<'a>(word: &str, rest: &'a str) -> Result<(usize, &'a str), String> {
    let (number, rest) = rest.split_once(char::is_whitespace).map_or((rest, ""), |(number, rest)| (number, rest.trim()));
    match number.parse() {
        Ok(number) if number > 0 => Ok((number, rest)),
        _ => Err(format!("`{word}` needs a number, as the lists show it.")),
    }
}

fn only(word: &str, rest: &str) -> Result<usize, String> {
    let (number, more) = numbered(word, rest)?;
    if more.is_empty() { Ok(number) } else { Err(format!("`{word}` takes a number and nothing more.")) }
}

fn said(word: &str, text: &str) -> Result<String, String> {
    if text.is_empty() { Err(format!("`{word}` needs a text.")) } else { Ok(text.to_owned()) }
}

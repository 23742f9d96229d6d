//! What a model is to say, turn by turn.
//!
//! A turn is one reply: text, then calls of tools. Text after a call, text after text and a call after a call begin the next turn, which is the reply to what came
//! of the call, or to the next prompt. Whatever is told of a turn (`thinks`, `fails`) comes before its text; `counts`, `paced`, `held` and `usage` come after it.

use std::time::Duration;

use serde_json::Value;

/// The turns of a conversation. Every session hears them from the first on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    turns: Vec<Turn>,
    again: bool,
}

/// One reply.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(super) thinking: String,
    pub(super) text: String,
    /// So many numbers follow the text, one delta each.
    pub(super) numbers: usize,
    pub(super) pause: Duration,
    pub(super) held: bool,
    pub(super) calls: Vec<Call>,
    pub(super) fault: Option<(Fault, Option<u32>)>,
    /// Tokens in and out.
    pub(super) usage: (u64, u64),
}

/// A use of a tool, in nobody's words yet.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    /// A shell command. Escalated, it is to run outside of the sandbox, where the agent has one; then the agent has to ask.
    Shell { command: String, escalate: bool },
    /// A file with this content. A relative path is one in the session's folder.
    Write { path: String, content: String },
    /// Text in a file, replaced.
    Edit { path: String, old: String, new: String },
    /// A question to the person, with answers to choose from.
    Ask { question: String, options: Vec<String> },
    /// A tool that only this agent has, with its own input.
    Own { name: String, input: Value },
}

impl Call {
    pub(crate) fn shell(command: &str, escalate: bool) -> Self {
        Self::Shell { command: command.to_owned(), escalate }
    }
}

/// How a request goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 429, and the seconds after which to try again.
    RateLimited { retry_after: u32 },
    /// 429 as of a subscription whose five hours are used up, and the seconds until they are there again.
    UsedUp { resets_in: u32 },
    /// 529, or 503 where that is the word for it.
    Overloaded,
    /// 400.
    Refused,
    /// The stream breaks off after the text, without an end.
    Cut,
}

impl Default for Turn {
    fn default() -> Self {
        let (thinking, text, calls) = (String::new(), String::new(), Vec::new());
        Self { thinking, text, numbers: 0, pause: Duration::ZERO, held: false, calls, fault: None, usage: (10, 5) }
    }
}

impl Turn {
    pub(super) fn saying(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Whether it has words.
    pub(super) fn speaks(&self) -> bool {
        !self.text.is_empty() || self.numbers > 0
    }

    /// The text as it is streamed: word by word, then number by number.
    pub(super) fn pieces(&self) -> impl Iterator<Item = String> + Send + use<> {
        let words: Vec<String> = self.text.split_inclusive(' ').map(str::to_owned).collect();
        words.into_iter().chain((1..=self.numbers).map(|number| format!("\n{number}")))
    }

    /// The text in one.
    pub(super) fn whole(&self) -> String {
        self.pieces().collect()
    }
}

impl Script {
    /// Nothing, so far.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Says something, in a turn of its own.
    pub(crate) fn say(self, text: &str) -> Self {
        self.on(|turn| !turn.speaks() && turn.calls.is_empty(), |turn| turn.text = text.to_owned())
    }

    /// Thinks something, before the text of the turn.
    pub(crate) fn thinks(self, text: &str) -> Self {
        self.on(|turn| !turn.speaks() && turn.calls.is_empty() && turn.thinking.is_empty(), |turn| turn.thinking = text.to_owned())
    }

    /// Goes wrong so many times, and then as the rest of the turn says.
    pub(crate) fn fails(self, times: u32, fault: Fault) -> Self {
        self.on(|_| false, |turn| turn.fault = Some((fault, Some(times))))
    }

    /// Goes wrong whenever it is asked.
    pub(crate) fn always_fails(self, fault: Fault) -> Self {
        self.on(|_| false, |turn| turn.fault = Some((fault, None)))
    }

    /// Runs a command.
    pub(crate) fn shell(self, command: &str, escalate: bool) -> Self {
        self.at_once([Call::shell(command, escalate)])
    }

    /// Writes a file.
    pub(crate) fn write(self, path: &str, content: &str) -> Self {
        self.at_once([Call::Write { path: path.to_owned(), content: content.to_owned() }])
    }

    /// Changes a file.
    pub(crate) fn edit(self, path: &str, old: &str, new: &str) -> Self {
        self.at_once([Call::Edit { path: path.to_owned(), old: old.to_owned(), new: new.to_owned() }])
    }

    /// Asks the person.
    pub(crate) fn ask(self, question: &str, options: &[&str]) -> Self {
        let options = options.iter().map(|&option| option.to_owned()).collect();
        self.at_once([Call::Ask { question: question.to_owned(), options }])
    }

    /// Uses a tool by the agent's own name for it.
    pub(crate) fn own(self, name: &str, input: Value) -> Self {
        self.at_once([Call::Own { name: name.to_owned(), input }])
    }

    /// Uses tools, all in one turn.
    pub(crate) fn at_once(self, calls: impl IntoIterator<Item = Call>) -> Self {
        self.on(|turn| turn.calls.is_empty() && !turn.held, |turn| turn.calls.extend(calls))
    }

    /// Counts up to a number after the text, one delta each.
    pub(crate) fn counts(self, numbers: usize) -> Self {
        self.on(|turn| turn.calls.is_empty(), |turn| turn.numbers = numbers)
    }

    /// Waits between two deltas.
    pub(crate) fn paced(self, pause: Duration) -> Self {
        self.on(|_| true, |turn| turn.pause = pause)
    }

    /// Says its text and then nothing, until [`Model::go_on`](super::Model::go_on).
    pub(crate) fn held(self) -> Self {
        self.on(|_| true, |turn| turn.held = true)
    }

    /// What the turn costs: tokens in and out.
    pub(crate) fn usage(self, tokens_in: u64, tokens_out: u64) -> Self {
        self.on(|_| true, |turn| turn.usage = (tokens_in, tokens_out))
    }

    /// Begins anew after the last turn, instead of saying that there are no more.
    pub(crate) fn again(mut self) -> Self {
        self.again = true;
        self
    }

    /// What to say after so many turns.
    pub(super) fn turn(&self, number: usize) -> Turn {
        let number = if self.again { number % self.turns.len().max(1) } else { number };
        self.turns.get(number).cloned().unwrap_or_else(|| Turn::saying(format!("There is no turn {} in the script.", number + 1)))
    }

    /// Changes the last turn if that is one to go on with, and else a new one.
    fn on(mut self, goes_on: impl Fn(&Turn) -> bool, change: impl FnOnce(&mut Turn)) -> Self {
        if !self.turns.last().is_some_and(goes_on) {
            self.turns.push(Turn::default());
        }
        if let Some(turn) = self.turns.last_mut() {
            change(turn);
        }
        self
    }
}

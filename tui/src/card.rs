//! An approval as a person reads it: everything that is known about it, whole, in roles instead of colours. One shape for every surface that shows one. Pure.
//!
//! An `Entry` is one line of what is known, however long; `Entry::wrapped` breaks it where a screen ends. Nothing in a text from elsewhere can look like a
//! part of the card: its lines have a mark in front, and what would be hidden is written out.

use jiff::{Timestamp, tz::TimeZone};
use loopsy_shared::{
    api::approvals::{Approval, ApprovalKind, ApprovalState, Decision, Question},
    time::Millis,
};
use serde_json::Value;
use unicode_segmentation::UnicodeSegmentation;

mod diff;
mod hidden;

pub use diff::count as diff_count;
pub(crate) use diff::{Row as DiffRow, rows as diff_rows};
pub(crate) use hidden::in_value;
pub use hidden::visible;

use crate::widgets::text::width;

/// Columns of the names before the facts.
const NAMES: usize = 10;
/// A line is never cut narrower than this.
const NARROW: usize = 20;

/// How wide the screen is, and what time it is.
#[derive(Debug, Clone)]
pub struct Look {
    /// Columns.
    pub width: usize,
    /// Now.
    pub now: Millis,
    /// Where the clocks on the wall are.
    pub zone: TimeZone,
}

/// What a piece of a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Text.
    Plain,
    /// Less important.
    Faint,
    /// More important.
    Strong,
    /// Well.
    Good,
    /// To be noticed.
    Warn,
    /// Wrong.
    Bad,
    /// A line that is added.
    Added,
    /// A line that is taken away.
    Removed,
}

/// A piece of a line. Its text is inert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// What it is.
    pub tone: Tone,
    /// What it says.
    pub text: String,
}

/// One line of a screen.
pub type Line = Vec<Span>;

/// A piece in a role.
pub(crate) fn span(tone: Tone, text: impl Into<String>) -> Span {
    Span { tone, text: text.into() }
}

/// Which part of the card a line belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// What it is about: who asks, where, since when.
    Head,
    /// What is to be judged: the input, the change, the questions.
    Body,
    /// The same, and a change of the diff begins here.
    Hunk,
    /// What is known besides: paths, flags, reasons, rules, the answer.
    Foot,
}

/// How blanks that a person would not see are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signs {
    /// As lines of text for any place: a tab as an escape, blanks at the end as they are.
    Text,
    /// For a screen: signs for tabs and for blanks at the end.
    Screen,
    /// For a screen that has only ASCII.
    Ascii,
}

/// One line of what is known, however long it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it belongs.
    pub(crate) part: Part,
    /// In front of its first line.
    pub(crate) first: Line,
    /// In front of its further lines.
    pub(crate) more: Line,
    /// What it says.
    pub(crate) text: Line,
}

impl Entry {
    /// As lines that fit. Between words where there are any: a word that is cut is hard to judge.
    pub(crate) fn wrapped(&self, columns: usize) -> Vec<Line> {
        let of = |line: &Line| line.iter().map(|span| width(&span.text)).sum::<usize>();
        let room = columns.saturating_sub(of(&self.first).max(of(&self.more))).max(NARROW);
        let letters: Vec<(Tone, &str)> = self.text.iter().flat_map(|span| span.text.graphemes(true).map(move |letter| (span.tone, letter))).collect();
        let mut lines = Vec::new();
        let mut rest = letters.as_slice();
        loop {
            let mut used = 0;
            let end = rest
                .iter()
                .position(|(_, letter)| {
                    used += width(letter);
                    used > room
                })
                .unwrap_or(rest.len());
            let blank = rest.get(..end).and_then(|line| line.iter().rposition(|(_, letter)| *letter == " ")).map(|at| at + 1);
            let at = blank.filter(|at| end < rest.len() && *at > end / 2).unwrap_or(end).max(usize::from(!rest.is_empty()));
            let (now, later) = rest.split_at(at);
            let mut line = if lines.is_empty() { self.first.clone() } else { self.more.clone() };
            for (tone, letter) in now {
                match line.last_mut() {
                    Some(last) if last.tone == *tone => last.text.push_str(letter),
                    _ => line.push(span(*tone, *letter)),
                }
            }
            lines.push(line);
            if later.is_empty() {
                return lines;
            }
            rest = later;
        }
    }
}

/// The lines of the card, each short enough for one line of the screen.
pub fn lines(approval: &Approval, look: &Look) -> Vec<Line> {
    broken(&entries(approval, look, Signs::Text), look)
}

/// The lines of an input that a person changed.
pub fn edited(input: &Value, look: &Look) -> Vec<Line> {
    let mut page = Page::new(Signs::Text);
    page.changed(input);
    broken(&page.entries, look)
}

fn broken(entries: &[Entry], look: &Look) -> Vec<Line> {
    entries.iter().flat_map(|entry| entry.wrapped(look.width.max(NARROW))).collect()
}

/// All that is known, in the order of the card.
pub(crate) fn entries(approval: &Approval, look: &Look, signs: Signs) -> Vec<Entry> {
    let mut page = Page::new(signs);
    page.head_of(approval, &format!("{}  task {}  {}", approval.node, approval.task_id, approval.agent), look);
    if signs != Signs::Text
        && let Some(hidden) = hidden::in_approval(approval)
    {
        page.hidden(&hidden);
    }
    page.foot_of(approval);
    if let Some(diff) = &approval.diff {
        page.head(&format!("change {}", diff_count(diff)));
        page.diff(diff);
    }
    page.input(approval);
    for (index, question) in approval.questions.iter().enumerate() {
        page.question(index, question, None);
    }
    page.rules(approval);
    page.decision(approval, look);
    page.fact("sha256", Tone::Faint, &approval.sha256);
    page.entries
}

/// A question's name for people: its number and its text.
pub fn asked(index: usize, question: &Question) -> String {
    format!("{}. {}", index + 1, visible(&question.question))
}

/// Whose answer it was, as people say it.
pub fn who(by: &str) -> &str {
    if by == "admin" { "the owner" } else { by }
}

/// A moment as a clock on the wall shows it: `14:05:09`, with the day where that is not today.
pub fn clock(at: Millis, now: Millis, zone: &TimeZone) -> String {
    let local = |at: Millis| i64::try_from(at).ok().and_then(|at| Timestamp::from_millisecond(at).ok()).map(|at| at.to_zoned(zone.clone()));
    match (local(at), local(now)) {
        (Some(at), Some(now)) if at.date() == now.date() => at.strftime("%H:%M:%S").to_string(),
        (Some(at), _) => at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        _ => at.to_string(),
    }
}

/// The server and the tool of it, where a tool is one of an MCP server.
pub(crate) fn mcp(tool: &str) -> Option<(&str, &str)> {
    let (server, tool) = match tool.strip_prefix("mcp__") {
        Some(rest) => rest.split_once("__")?,
        None => tool.strip_prefix("mcp:")?.split_once(['/', ':', '.'])?,
    };
    (!server.is_empty() && !tool.is_empty()).then_some((server, tool))
}

/// Makes entries.
#[derive(Debug)]
pub(crate) struct Page {
    signs: Signs,
    /// What was made so far.
    pub(crate) entries: Vec<Entry>,
}

impl Page {
    pub(crate) const fn new(signs: Signs) -> Self {
        Self { signs, entries: Vec::new() }
    }

    /// Who asks, for what, where, and since when.
    pub(crate) fn head_of(&mut self, approval: &Approval, place: &str, look: &Look) {
        self.title(approval);
        if let Some((server, tool)) = mcp(&approval.tool) {
            self.fact_of(Part::Head, "server", Tone::Strong, &format!("{server}, over MCP; its tool {tool}"));
        }
        self.fact_of(Part::Head, "where", Tone::Plain, place);
        self.fact_of(Part::Head, "cwd", Tone::Plain, &approval.cwd);
        self.times(approval, look);
    }

    /// What is known besides: paths, flags, what is said about it.
    pub(crate) fn foot_of(&mut self, approval: &Approval) {
        self.paths(approval);
        let tone = |flag: &str| if flag.starts_with("reads") { Tone::Plain } else { Tone::Warn };
        approval.flags.iter().for_each(|flag| self.fact("flag", tone(flag), flag));
        if approval.default_to_no {
            self.fact("flag", Tone::Warn, "the agent itself says that no is the better answer");
        }
        for (name, text) in [("says", &approval.description), ("why", &approval.reason), ("rule", &approval.rule)] {
            if let Some(text) = text {
                self.fact(name, Tone::Plain, text);
            }
        }
    }

    /// What cannot be seen in it.
    pub(crate) fn hidden(&mut self, counts: &str) {
        self.fact("hidden", Tone::Warn, &format!("characters: {counts}; written out here"));
    }

    fn title(&mut self, approval: &Approval) {
        let kind = match approval.kind {
            ApprovalKind::Tool => "wants to use",
            ApprovalKind::Question => "asks",
            ApprovalKind::Plan => "wants to go on with its plan",
        };
        let tool = match (approval.kind, mcp(&approval.tool)) {
            (ApprovalKind::Tool, Some((server, tool))) => format!("{server}: {tool}"),
            (ApprovalKind::Tool, None) => approval.tool.clone(),
            _ => String::new(),
        };
        self.put(Part::Head, "", Tone::Strong, format!("{} {kind} {tool}", approval.agent).trim_end());
    }

    pub(crate) fn times(&mut self, approval: &Approval, look: &Look) {
        let at = |at| clock(at, look.now, &look.zone);
        let end = match approval.state {
            ApprovalState::Pending => format!(", denied at {} if nobody answers", at(approval.expires_at)),
            ApprovalState::Parked => format!(", parked until {}", at(approval.expires_at)),
            _ => String::new(),
        };
        self.fact_of(Part::Head, "asked", Tone::Plain, &format!("{}{end}", at(approval.asked_at)));
    }

    fn paths(&mut self, approval: &Approval) {
        for path in &approval.paths {
            let leads = if path.resolved == path.path { String::new() } else { format!(" -> {}", path.resolved) };
            let missing = if path.exists { "" } else { " (not there)" };
            let outside = if path.inside { "" } else { " (outside of the working directory)" };
            let tone = if path.inside { Tone::Plain } else { Tone::Warn };
            self.fact("path", tone, &format!("{}{leads}{missing}{outside}", path.path));
        }
    }

    /// A unified diff as it is, line by line.
    fn diff(&mut self, diff: &str) {
        for line in diff.strip_suffix('\n').unwrap_or(diff).split('\n') {
            let tone = match line.as_bytes() {
                [b'+', b'+', b'+', b' ', ..] | [b'-', b'-', b'-', b' ', ..] => Tone::Strong,
                [b'+', ..] => Tone::Added,
                [b'-', ..] => Tone::Removed,
                [b'@', b'@', ..] => Tone::Faint,
                _ => Tone::Plain,
            };
            self.put(
                Part::Body,
                "  ",
                tone,
                &if self.signs == Signs::Text { line.strip_suffix('\r').unwrap_or(line).replace('\t', "    ") } else { line.to_owned() },
            );
        }
    }

    /// The whole input. Nothing in it can look like a part of the card: its lines have a mark in front.
    fn input(&mut self, approval: &Approval) {
        let empty = approval.input.as_object().is_some_and(serde_json::Map::is_empty) || approval.input.is_null();
        if empty {
            return;
        }
        self.head(match approval.kind {
            ApprovalKind::Plan => "plan",
            ApprovalKind::Question => "as the agent sent it",
            ApprovalKind::Tool => "input",
        });
        self.value(&approval.input, |_| false);
    }

    /// An input that a person changed.
    pub(crate) fn changed(&mut self, input: &Value) {
        self.head("the input as you changed it");
        self.value(input, |_| false);
    }

    /// An input, field by field. Of fields that are shown in another way, only how long they are.
    pub(crate) fn value(&mut self, input: &Value, elsewhere: impl Fn(&str) -> bool) {
        let Some(fields) = input.as_object() else { return self.raw("  | ", input) };
        // What matters most comes first; the rest in its order.
        let (first, rest): (Vec<_>, Vec<_>) =
            fields.iter().partition(|(name, _)| matches!(name.as_str(), "command" | "file_path" | "filePath" | "path" | "url"));
        for (name, value) in first.into_iter().chain(rest) {
            match value {
                _ if elsewhere(name) => self.body("  ", Tone::Faint, &format!("{name}: in the change above, v shows it as it was sent")),
                Value::String(text) => {
                    self.body("  ", Tone::Faint, name);
                    text.split('\n').for_each(|line| self.body("  | ", Tone::Plain, line));
                }
                Value::Array(_) | Value::Object(_) => {
                    self.body("  ", Tone::Faint, &format!("{name} (JSON)"));
                    self.raw("  | ", value);
                }
                other => self.body("  ", Tone::Plain, &format!("{name}: {other}")),
            }
        }
    }

    /// A value as JSON.
    pub(crate) fn raw(&mut self, mark: &str, value: &Value) {
        let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string());
        text.split('\n').for_each(|line| self.body(mark, Tone::Plain, line));
    }

    /// A question, with what was chosen so far where somebody is choosing.
    pub(crate) fn question(&mut self, index: usize, question: &Question, chosen: Option<(&[String], bool)>) {
        let header = question.header.as_deref().map(|header| format!("{header}: ")).unwrap_or_default();
        let more = if question.multiple { " (several may be chosen)" } else { "" };
        let now = if chosen.is_some_and(|(_, now)| now) { "  <- the keys are for this one" } else { "" };
        self.head(&format!("question {}{now}", index + 1));
        self.body("  ", Tone::Strong, &format!("{header}{}{more}", question.question));
        for (number, choice) in question.options.iter().enumerate() {
            let taken = chosen.is_some_and(|(answers, _)| answers.contains(&choice.label));
            let (box_, tone) = match (chosen, taken) {
                (None, _) => ("", Tone::Plain),
                (Some(_), true) => ("[x] ", Tone::Strong),
                (Some(_), false) => ("[ ] ", Tone::Plain),
            };
            self.body("  ", tone, &format!("{box_}{}. {}", number + 1, choice.label));
            if let Some(description) = &choice.description {
                self.body(if chosen.is_some() { "         " } else { "     " }, Tone::Faint, description);
            }
        }
        if question.options.is_empty() {
            self.body("  ", Tone::Faint, "(any text)");
        }
        if let Some((answers, _)) = chosen {
            let own: Vec<&str> = answers.iter().filter(|answer| !question.options.iter().any(|choice| choice.label == **answer)).map(String::as_str).collect();
            let text = if own.is_empty() { "your own words: none, i types some".to_owned() } else { format!("your own words: {}", own.join(", ")) };
            self.body("  ", if own.is_empty() { Tone::Faint } else { Tone::Strong }, &text);
        }
    }

    /// What "always" would keep.
    pub(crate) fn rules(&mut self, approval: &Approval) {
        if approval.suggestions.is_empty() || approval.kind == ApprovalKind::Question {
            return;
        }
        self.put(Part::Foot, "", Tone::Faint, "always would keep");
        for (index, suggestion) in approval.suggestions.iter().enumerate() {
            self.put(Part::Foot, "  ", Tone::Plain, &format!("{}. {}", index + 1, suggestion.label));
            self.put(Part::Foot, "     ", Tone::Faint, &suggestion.rule.to_string());
        }
    }

    fn decision(&mut self, approval: &Approval, look: &Look) {
        let state = match approval.state {
            ApprovalState::Pending | ApprovalState::Parked => return,
            ApprovalState::Allowed => (Tone::Good, "allowed"),
            ApprovalState::Denied => (Tone::Bad, "denied"),
            ApprovalState::Expired => (Tone::Bad, "expired: denied"),
            ApprovalState::Withdrawn => (Tone::Warn, "withdrawn: the agent no longer asks"),
        };
        let Some(decided) = &approval.decision else { return self.fact("answer", state.0, state.1) };
        let kept = if decided.decision == Decision::Always { ", and the rule kept" } else { "" };
        let reason = decided.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let told = if decided.delivered { "" } else { " (the agent was not told)" };
        self.fact("answer", state.0, &format!("{}{kept} by {} at {}{told}{reason}", state.1, who(&decided.by), clock(decided.at, look.now, &look.zone)));
        for (question, answers) in &decided.answers {
            self.fact("", Tone::Plain, &format!("{question} = {}", answers.join(", ")));
        }
        if let Some(input) = &decided.input {
            self.head("the input that was allowed instead");
            self.value(input, |_| false);
        }
    }

    /// A heading of the body.
    pub(crate) fn head(&mut self, text: &str) {
        self.body("", Tone::Faint, text);
    }

    /// A fact with its name.
    pub(crate) fn fact(&mut self, name: &str, tone: Tone, text: &str) {
        self.fact_of(Part::Foot, name, tone, text);
    }

    /// A fact of a part.
    pub(crate) fn fact_of(&mut self, part: Part, name: &str, tone: Tone, text: &str) {
        self.put(part, &" ".repeat(NAMES), tone, text);
        if let Some(entry) = self.entries.last_mut() {
            entry.first = vec![span(Tone::Faint, format!("{name:NAMES$}"))];
        }
    }

    /// A line of the body.
    pub(crate) fn body(&mut self, mark: &str, tone: Tone, text: &str) {
        self.put(Part::Body, mark, tone, text);
    }

    /// A text with a mark in front.
    pub(crate) fn put(&mut self, part: Part, mark: &str, tone: Tone, text: &str) {
        let text = self.shown(tone, text);
        let more = match self.signs {
            Signs::Text => format!("{mark}↪ "),
            // Where the mark is: no text can stand there, so none can look as if it went on.
            Signs::Screen => on(mark, "↪ "),
            Signs::Ascii => on(mark, ".. "),
        };
        let first = if mark.is_empty() { Vec::new() } else { vec![span(Tone::Plain, mark)] };
        self.entries.push(Entry { part, first, more: vec![span(Tone::Plain, more)], text });
    }

    /// A text from elsewhere with nothing hidden in it.
    pub(crate) fn shown(&self, tone: Tone, text: &str) -> Line {
        if self.signs == Signs::Text {
            return vec![span(tone, visible(text))];
        }
        let (tab, blank) = if self.signs == Signs::Ascii { ("\\u{9}", "\\u{20}") } else { ("→   ", "·") };
        let body = text.trim_end_matches(' ');
        let mut line = Vec::new();
        for (index, piece) in body.split('\t').enumerate() {
            if index > 0 {
                line.push(span(Tone::Faint, tab));
            }
            if !piece.is_empty() {
                line.push(span(tone, visible(piece)));
            }
        }
        let blanks = text.len() - body.len();
        if blanks > 0 {
            line.push(span(Tone::Faint, blank.repeat(blanks)));
        }
        line
    }
}

/// A mark whose end is another one.
pub(crate) fn on(mark: &str, end: &str) -> String {
    let kept = mark.chars().count().saturating_sub(end.chars().count());
    format!("{}{end}", mark.chars().take(kept).collect::<String>())
}

#[cfg(test)]
mod tests;

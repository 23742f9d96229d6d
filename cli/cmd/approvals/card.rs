//! An approval as a person reads it: everything that is known about it, whole, as lines that fit the screen. Pure.

use anstyle::Style;
use jiff::tz::TimeZone;
use loopsy_shared::{
    api::approvals::{Approval, ApprovalKind, ApprovalState, Decision, Question},
    text::is_active,
    time::Millis,
};
use serde_json::Value;

use crate::output::{BAD, FAINT, GOOD, PLAIN, STRONG, WARN, clock, diff_count, diff_lines, paint};

/// Columns of the names before the facts.
const NAMES: usize = 10;
/// A line is never cut narrower than this.
const NARROW: usize = 20;

/// How wide the screen is, and what time it is.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    /// Columns.
    pub(crate) width: usize,
    /// Now.
    pub(crate) now: Millis,
    /// Where the clocks on the wall are.
    pub(crate) zone: TimeZone,
}

/// The lines of the card, each short enough for one line of the screen.
pub(crate) fn lines(approval: &Approval, look: &Look) -> Vec<String> {
    let mut page = Page { width: look.width.max(NARROW), lines: Vec::new() };
    page.title(approval);
    page.fact("where", PLAIN, &format!("{}  task {}  {}", approval.node, approval.task_id, approval.agent));
    page.fact("cwd", PLAIN, &approval.cwd);
    page.times(approval, look);
    page.paths(approval);
    let flag_style = |flag: &str| if flag.starts_with("reads") { PLAIN } else { WARN };
    approval.flags.iter().for_each(|flag| page.fact("flag", flag_style(flag), flag));
    if approval.default_to_no {
        page.fact("flag", WARN, "the agent itself says that no is the better answer");
    }
    for (name, text) in [("says", &approval.description), ("why", &approval.reason), ("rule", &approval.rule)] {
        if let Some(text) = text {
            page.fact(name, PLAIN, text);
        }
    }
    if let Some(diff) = &approval.diff {
        page.head(&format!("change {}", diff_count(diff)));
        diff_lines(diff).for_each(|(style, line)| page.wrap("  ", style, &line));
    }
    page.input(approval);
    for (index, question) in approval.questions.iter().enumerate() {
        page.question(index, question);
    }
    if !approval.suggestions.is_empty() && approval.kind != ApprovalKind::Question {
        page.head("always would keep");
        for (index, suggestion) in approval.suggestions.iter().enumerate() {
            page.wrap("  ", PLAIN, &format!("{}. {}", index + 1, suggestion.label));
            page.wrap("     ", FAINT, &suggestion.rule.to_string());
        }
    }
    page.decision(approval, look);
    page.fact("sha256", FAINT, &approval.sha256);
    page.lines
}

/// The lines of an input that a person changed.
pub(crate) fn edited(input: &Value, look: &Look) -> Vec<String> {
    let mut page = Page { width: look.width.max(NARROW), lines: Vec::new() };
    page.head("the input as you changed it");
    page.value(input);
    page.lines
}

/// A question's name for people: its number and its text.
pub(crate) fn asked(index: usize, question: &Question) -> String {
    format!("{}. {}", index + 1, visible(&question.question))
}

/// Text from elsewhere with nothing hidden in it: also blanks that are none, and characters that show nothing at all, are written out.
pub(crate) fn visible(text: &str) -> String {
    let hidden = |c: char| {
        is_active(c)
            || matches!(c, '\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{1680}' | '\u{17b4}' | '\u{17b5}')
            || matches!(c, '\u{180b}'..='\u{180f}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{2800}' | '\u{3000}' | '\u{3164}')
            || matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
    };
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if hidden(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
        out
    })
}

struct Page {
    width: usize,
    lines: Vec<String>,
}

impl Page {
    fn title(&mut self, approval: &Approval) {
        let kind = match approval.kind {
            ApprovalKind::Tool => "wants to use",
            ApprovalKind::Question => "asks",
            ApprovalKind::Plan => "wants to go on with its plan",
        };
        let tool = if approval.kind == ApprovalKind::Tool { approval.tool.as_str() } else { "" };
        self.wrap("", STRONG, format!("{} {kind} {tool}", approval.agent).trim_end());
    }

    fn times(&mut self, approval: &Approval, look: &Look) {
        let at = |at| clock(at, look.now, &look.zone);
        let end = match approval.state {
            ApprovalState::Pending => format!(", denied at {} if nobody answers", at(approval.expires_at)),
            ApprovalState::Parked => format!(", parked until {}", at(approval.expires_at)),
            _ => String::new(),
        };
        self.fact("asked", PLAIN, &format!("{}{end}", at(approval.asked_at)));
    }

    fn paths(&mut self, approval: &Approval) {
        for path in &approval.paths {
            let leads = if path.resolved == path.path { String::new() } else { format!(" -> {}", path.resolved) };
            let missing = if path.exists { "" } else { " (not there)" };
            let outside = if path.inside { "" } else { " (outside of the working directory)" };
            let style = if path.inside { PLAIN } else { WARN };
            self.fact("path", style, &format!("{}{leads}{missing}{outside}", path.path));
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
        self.value(&approval.input);
    }

    fn value(&mut self, input: &Value) {
        let Some(fields) = input.as_object() else { return self.raw("  | ", input) };
        // What matters most comes first; the rest in its order.
        let (first, rest): (Vec<_>, Vec<_>) =
            fields.iter().partition(|(name, _)| matches!(name.as_str(), "command" | "file_path" | "filePath" | "path" | "url"));
        for (name, value) in first.into_iter().chain(rest) {
            match value {
                Value::String(text) => {
                    self.wrap("  ", FAINT, name);
                    text.split('\n').for_each(|line| self.wrap("  | ", PLAIN, line));
                }
                Value::Array(_) | Value::Object(_) => {
                    self.wrap("  ", FAINT, &format!("{name} (JSON)"));
                    self.raw("  | ", value);
                }
                other => self.wrap("  ", PLAIN, &format!("{name}: {other}")),
            }
        }
    }

    fn raw(&mut self, mark: &str, value: &Value) {
        let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string());
        text.split('\n').for_each(|line| self.wrap(mark, PLAIN, line));
    }

    fn question(&mut self, index: usize, question: &Question) {
        let header = question.header.as_deref().map(|header| format!("{header}: ")).unwrap_or_default();
        let more = if question.multiple { " (several may be chosen)" } else { "" };
        self.head(&format!("question {}", index + 1));
        self.wrap("  ", STRONG, &format!("{header}{}{more}", question.question));
        for (number, choice) in question.options.iter().enumerate() {
            self.wrap("  ", PLAIN, &format!("{}. {}", number + 1, choice.label));
            if let Some(description) = &choice.description {
                self.wrap("     ", FAINT, description);
            }
        }
        if question.options.is_empty() {
            self.wrap("  ", FAINT, "(any text)");
        }
    }

    fn decision(&mut self, approval: &Approval, look: &Look) {
        let state = match approval.state {
            ApprovalState::Pending | ApprovalState::Parked => return,
            ApprovalState::Allowed => (GOOD, "allowed"),
            ApprovalState::Denied => (BAD, "denied"),
            ApprovalState::Expired => (BAD, "expired: denied"),
            ApprovalState::Withdrawn => (WARN, "withdrawn: the agent no longer asks"),
        };
        let Some(decided) = &approval.decision else { return self.fact("answer", state.0, state.1) };
        let kept = if decided.decision == Decision::Always { ", and the rule kept" } else { "" };
        let reason = decided.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let told = if decided.delivered { "" } else { " (the agent was not told)" };
        self.fact("answer", state.0, &format!("{}{kept} by {} at {}{told}{reason}", state.1, super::who(&decided.by), clock(decided.at, look.now, &look.zone)));
        for (question, answers) in &decided.answers {
            self.fact("", PLAIN, &format!("{question} = {}", answers.join(", ")));
        }
        if let Some(input) = &decided.input {
            self.head("the input that was allowed instead");
            self.value(input);
        }
    }

    fn head(&mut self, text: &str) {
        self.wrap("", FAINT, text);
    }

    fn fact(&mut self, name: &str, style: Style, text: &str) {
        let first = self.lines.len();
        self.wrap(&" ".repeat(NAMES), style, text);
        if let Some(line) = self.lines.get_mut(first) {
            *line = format!("{}{}", paint(FAINT, format!("{name:NAMES$}")), line.get(NAMES..).unwrap_or_default());
        }
    }

    /// A text with a mark before each of its lines, broken where the screen ends.
    fn wrap(&mut self, mark: &str, style: Style, text: &str) {
        let text = visible(text);
        let room = self.width.saturating_sub(mark.chars().count() + 2).max(NARROW);
        let mut rest = text.as_str();
        let mut mark = mark.to_owned();
        loop {
            let end = rest.char_indices().nth(room).map_or(rest.len(), |(at, _)| at);
            // Between words where there are any: a word that is cut is hard to judge.
            let blank = rest.get(..end).and_then(|line| line.rfind(' ')).map(|at| at + 1).filter(|at| end < rest.len() && *at > end / 2);
            let at = blank.unwrap_or(end);
            let (line, more) = rest.split_at(at);
            self.lines.push(if style == PLAIN { format!("{mark}{line}") } else { format!("{mark}{}", paint(style, line)) });
            if more.is_empty() {
                return;
            }
            if rest.len() == text.len() {
                mark.push_str("↪ ");
            }
            rest = more;
        }
    }
}

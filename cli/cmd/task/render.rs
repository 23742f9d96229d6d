//! What happens in a task, as text for people. Pure: events in, text out; nothing that an agent says can drive the terminal.

mod system;

use std::{fmt::Write, time::Duration};

use anstyle::Style;
use jiff::tz::TimeZone;
use loopsy_shared::{
    api::{
        ai_tasks::{TaskEvent, TaskEventKind},
        approvals::Approval,
    },
    time::Millis,
};
use serde_json::Value;

use super::words::{dollars, essential, known, text_of, tokens};
use crate::{
    cmd::approvals::who,
    output::{BAD, FAINT, GOOD, PLAIN, STRONG, WARN, count, diff_lines, paint, safe_lines, short, span},
};

/// Lines of a change that are shown.
const DIFF_LINES: usize = 40;
/// Lines of a result that are shown.
const RESULT_LINES: usize = 4;
/// Characters of a line of a result or of what was said to the agent.
const LINE: usize = 200;
/// Bytes of what the agent said last that are compared with an error.
const LAST_WORDS: usize = 4096;

/// How much is shown, and how.
#[derive(Debug, Clone)]
pub(super) struct Look {
    /// Thoughts, tokens, standard error, raw messages.
    pub(super) verbose: bool,
    /// Whole diffs and results.
    pub(super) full: bool,
    /// Only what the agent says, and errors.
    pub(super) quiet: bool,
    /// How a person names the task on the command line: `7f3a01c2 --on kai`.
    pub(super) name: String,
    /// Where the clocks on the wall are.
    pub(super) zone: TimeZone,
    /// What is today; the real time when absent.
    pub(super) now: Option<Millis>,
}

/// Turns events into text, in order. Knows what stands in the line that is not finished yet.
#[derive(Debug)]
pub(super) struct Renderer {
    look: Look,
    /// The block whose text comes without a break.
    block: Option<(TaskEventKind, u64)>,
    /// Whether the last line has no end yet.
    open: bool,
    /// The tool that was used last: its result needs no name.
    tool: Option<String>,
    /// What the agent said last, as far as it is not long.
    words: String,
    /// The error that was shown last.
    error: Option<String>,
    /// Whether a plan came by the tool that is used, whose result says nothing new.
    planned: Option<String>,
}

impl Renderer {
    pub(super) const fn new(look: Look) -> Self {
        Self { look, block: None, open: false, tool: None, words: String::new(), error: None, planned: None }
    }

    /// Whether this error was shown already.
    pub(super) fn has_told(&self, error: &str) -> bool {
        self.error.as_deref().is_some_and(|shown| shown.contains(error.trim()))
    }

    /// The text of one event. It may end in the middle of a line.
    pub(super) fn event(&mut self, event: &TaskEvent) -> String {
        let data = &event.data;
        match event.kind {
            TaskEventKind::Text => self.speech(event, PLAIN),
            TaskEventKind::Thinking if self.look.verbose => self.speech(event, FAINT),
            TaskEventKind::Error => {
                let message = known(data, &["message", "error"]).map_or_else(|| plain_text(data, "The agent failed and did not say why."), str::to_owned);
                if self.has_told(&message) {
                    return String::new();
                }
                // Agents say what went wrong as text too: then it stands there already.
                let text = self.unsaid(message.trim_end());
                let out = self.block(BAD, &format!("Error: {text}"));
                self.error = Some(message);
                out
            }
            _ if self.look.quiet => String::new(),
            TaskEventKind::Thinking => String::new(),
            TaskEventKind::ToolUse => self.tool_use(data),
            TaskEventKind::ToolResult => self.tool_result(data),
            TaskEventKind::PermissionRequest => self.asks(data),
            TaskEventKind::Status => self.status(data),
            TaskEventKind::Result => self.result(data),
            TaskEventKind::Exit if self.look.verbose => {
                let code = data["exitCode"].as_i64().map(|code| format!("code {code}"));
                let how = code.or_else(|| known(data, &["signal"]).map(str::to_owned)).unwrap_or_else(|| "no code".to_owned());
                self.line(FAINT, &format!("The agent's process ended: {how}."))
            }
            TaskEventKind::Exit => String::new(),
            TaskEventKind::System => self.system(data),
        }
    }

    /// Ends the line that is open.
    pub(super) fn end(&mut self) -> String {
        self.block = None;
        if std::mem::take(&mut self.open) { "\n".to_owned() } else { String::new() }
    }

    /// A line of our own.
    pub(super) fn line(&mut self, style: Style, text: &str) -> String {
        let mut out = self.end();
        // One line, whatever is in it.
        let _infallible = writeln!(out, "{}", paint(style, loopsy_shared::text::inert(text)));
        out
    }

    /// Lines of our own.
    fn block(&mut self, style: Style, text: &str) -> String {
        let mut out = self.end();
        for line in safe_lines(text) {
            let _infallible = writeln!(out, "{}", paint(style, line));
        }
        out
    }

    /// Text of the agent: pieces of a block follow each other without a break, another block begins on a new line.
    fn speech(&mut self, event: &TaskEvent, style: Style) -> String {
        let text = text_of(&event.data);
        if text.is_empty() {
            return String::new();
        }
        let block = event.block.map(|block| (event.kind, block));
        if event.kind == TaskEventKind::Text {
            if block.is_none() || block != self.block {
                self.words.clear();
            }
            if self.words.len() < LAST_WORDS {
                self.words.push_str(&text);
            }
        }
        let mut out = if block.is_some() && block == self.block { String::new() } else { self.end() };
        self.block = block;
        let mut lines = safe_lines(&text).peekable();
        while let Some(line) = lines.next() {
            if !line.is_empty() {
                out.push_str(&if style == PLAIN { line } else { paint(style, line) });
                self.open = true;
            }
            if lines.peek().is_some() {
                out.push('\n');
                self.open = false;
            }
        }
        if block.is_none() {
            out.push_str(&self.end());
        }
        out
    }

    /// The part of an error that was not shown as the agent's text.
    fn unsaid<'a>(&self, message: &'a str) -> &'a str {
        let words = self.words.trim();
        match message.strip_suffix(words).map(str::trim_end) {
            Some(rest) if words.chars().count() >= 8 && !rest.is_empty() => rest.trim_end_matches(':').trim_end_matches("It said").trim_end(),
            _ => message,
        }
    }

    fn tool_use(&mut self, data: &Value) -> String {
        let name = known(data, &["name"]).unwrap_or("tool");
        // A list of things to do is a plan, whatever the tool for it is called.
        if !self.look.full && has_steps(&data["input"]) {
            self.planned = known(data, &["id"]).map(str::to_owned);
            return self.plan(&data["input"]);
        }
        let path = known(data, &["path"]);
        let input = &data["input"];
        self.tool = known(data, &["id"]).map(str::to_owned);
        let mut out = self.end();
        let what = path.map_or_else(|| essential(input), |path| short(path, LINE));
        let _infallible = writeln!(out, "{} {} {what}", paint(FAINT, "●"), paint(STRONG, short(name, 60)));
        if let Some(diff) = known(data, &["diff"]) {
            self.diff(&mut out, diff);
        } else if self.look.full {
            let whole = serde_json::to_string_pretty(input).unwrap_or_default();
            safe_lines(&whole).for_each(|line| put(&mut out, FAINT, &line));
        }
        out
    }

    fn diff(&self, out: &mut String, diff: &str) {
        let most = if self.look.full { usize::MAX } else { DIFF_LINES };
        let lines: Vec<_> = diff_lines(diff).collect();
        lines.iter().take(most).for_each(|(style, line)| put(out, *style, line));
        self.more(out, lines.len(), most);
    }

    fn more(&self, out: &mut String, lines: usize, most: usize) {
        if let Some(more) = lines.checked_sub(most).filter(|more| *more > 0) {
            put(out, FAINT, &format!("{} (loopsy task show {} --full)", count(more as u64, "more line", "more lines"), self.look.name));
        }
    }

    fn tool_result(&mut self, data: &Value) -> String {
        let mut out = self.end();
        let failed = data["isError"].as_bool().unwrap_or(false);
        if !failed && self.planned.is_some() && known(data, &["id"]) == self.planned.as_deref() {
            return out;
        }
        let style = if failed { BAD } else { FAINT };
        // Tools may run side by side: a result that does not follow its tool says whose it is.
        let id = known(data, &["id"]);
        if id.is_none() || id != self.tool.as_deref() {
            put(&mut out, FAINT, &format!("{}:", short(known(data, &["name"]).or(id).unwrap_or("result"), 60)));
        }
        if let Some(code) = data["exitCode"].as_i64().filter(|code| *code != 0) {
            put(&mut out, BAD, &format!("exit code {code}"));
        } else if failed {
            put(&mut out, BAD, "failed");
        }
        let content = text_of(&data["content"]);
        let lines: Vec<String> = safe_lines(content.trim_end()).collect();
        if self.look.full {
            lines.iter().for_each(|line| put(&mut out, style, line));
        } else if !content.trim().is_empty() {
            lines.iter().take(RESULT_LINES).for_each(|line| put(&mut out, style, &short(line, LINE)));
            self.more(&mut out, lines.len(), RESULT_LINES);
        }
        out
    }

    fn asks(&mut self, data: &Value) -> String {
        let Ok(approval) = serde_json::from_value::<Approval>(data.clone()) else {
            return self.line(WARN, "The agent asks something that is not understood here. `loopsy approvals` lists what waits.");
        };
        let mut out = self.end();
        let what = match approval.questions.first() {
            Some(question) => short(&question.question, LINE),
            None => essential(&approval.input),
        };
        let _infallible = writeln!(out, "{} {} {what}", paint(WARN, "? asks:"), paint(STRONG, short(&approval.tool, 60)));
        put(&mut out, FAINT, &format!("loopsy approvals show {}", short(approval.id.as_str(), 8).trim_end_matches('…')));
        out
    }

    fn status(&mut self, data: &Value) -> String {
        if known(data, &["approvalId"]).is_some() {
            return self.answer(data);
        }
        // Waiting is shown by the question, and the end by the last line of all.
        match known(data, &["status"]) {
            Some("pending") => self.line(FAINT, "Waits for a place."),
            Some(status) if self.look.verbose => self.line(FAINT, &format!("The task is {}.", status.replace('_', " "))),
            _ => String::new(),
        }
    }

    /// What became of a question: the tool first.
    fn answer(&mut self, data: &Value) -> String {
        let tool = known(data, &["tool"]).map(|tool| format!("{} ", short(tool, 60))).unwrap_or_default();
        if data["parked"].as_bool() == Some(true) {
            return self.line(
                WARN,
                &format!("The question{}is parked until somebody answers it.", if tool.is_empty() { " ".to_owned() } else { format!(" about {tool}") }),
            );
        }
        if data.get("withdrawn").is_some() {
            let why = known(data, &["withdrawn"]).map(|why| format!(": {why}")).unwrap_or_default();
            return self.line(FAINT, &format!("The agent no longer asks{why}"));
        }
        let yes = data["approved"].as_bool().unwrap_or(false);
        let by = known(data, &["by"]).map(|by| format!(" by {}", who(by))).unwrap_or_default();
        let reason = known(data, &["reason"]).map(|reason| format!(": {reason}")).unwrap_or_default();
        if data["expired"].as_bool() == Some(true) {
            let reason = if reason.is_empty() { ": nobody answered in time".to_owned() } else { reason };
            return self.line(BAD, &format!("✗ {tool}denied{reason}"));
        }
        let word = known(data, &["decision"]).map(decided).unwrap_or(if yes { "allowed" } else { "denied" });
        self.line(if yes { GOOD } else { BAD }, &format!("{} {tool}{word}{by}{reason}", if yes { "✓" } else { "✗" }))
    }

    /// The agent's last word was shown as text already.
    fn result(&mut self, data: &Value) -> String {
        if !self.look.verbose {
            return self.end();
        }
        let cost = data["cost"].as_f64().map(|cost| format!(", {}", dollars(cost))).unwrap_or_default();
        let time = data["duration"].as_f64().map(|ms| format!(", {}", span(Duration::from_secs_f64((ms / 1000.0).clamp(0.0, 1e9))))).unwrap_or_default();
        let usage = tokens(&serde_json::from_value(data["usage"].clone()).unwrap_or_default()).map(|tokens| format!(", {tokens}")).unwrap_or_default();
        self.line(FAINT, &format!("The turn ended{time}{cost}{usage}."))
    }

    fn plan(&mut self, data: &Value) -> String {
        let mut out = self.end();
        put_head(&mut out, "Plan");
        let list = steps(data);
        for step in list.into_iter().flatten() {
            let text = known(step, &["content", "step", "text", "title", "description"]).map_or_else(|| plain_text(step, "(a step)"), str::to_owned);
            let (mark, style) = match known(step, &["status"]).unwrap_or_default() {
                "completed" | "done" => ("✓", GOOD),
                "in_progress" | "inProgress" => ("›", STRONG),
                _ => ("·", PLAIN),
            };
            put(&mut out, style, &format!("{mark} {}", short(&text, LINE)));
        }
        if list.is_none()
            && let Some(text) = known(data, &["text", "plan", "explanation"])
        {
            safe_lines(text).for_each(|line| put(&mut out, PLAIN, &line));
        }
        out
    }
}

/// The list in a plan.
fn steps(data: &Value) -> Option<&Vec<Value>> {
    ["entries", "plan", "todos", "steps", "items"].iter().find_map(|key| data[*key].as_array())
}

/// Whether the input of a tool is a list of steps that have a state.
fn has_steps(input: &Value) -> bool {
    steps(input).is_some_and(|list| !list.is_empty() && list.iter().all(|step| known(step, &["status"]).is_some()))
}

/// The text in a value, or another where it has none: people read no JSON.
fn plain_text(data: &Value, otherwise: &str) -> String {
    let has_text = |data: &Value| ["text", "content"].iter().any(|key| data.get(*key).is_some_and(|text| text.is_string() || text.is_array()));
    let text = if data.is_object() && !has_text(data) { String::new() } else { text_of(data) };
    if text.trim().is_empty() { otherwise.to_owned() } else { text }
}

/// A line that belongs to the one above it. The text is inert already, or ours.
fn put(out: &mut String, style: Style, line: &str) {
    let _infallible = writeln!(out, "  {}", paint(style, line));
}

fn put_head(out: &mut String, word: &str) {
    let _infallible = writeln!(out, "{} {}", paint(FAINT, "●"), paint(STRONG, word));
}

/// What was decided, as a word in the past.
fn decided(decision: &str) -> &str {
    match decision {
        "allow" => "allowed",
        "always" => "allowed, and the rule kept",
        "deny" => "denied",
        "stop" => "denied, and stopped",
        other => other,
    }
}

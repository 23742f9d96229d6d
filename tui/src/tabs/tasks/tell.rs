//! What happens in a task, as lines for people. Pure: events in, lines out.

use loopsy_shared::{
    api::{
        ai_tasks::{TaskEvent, TaskEventKind},
        approvals::Approval,
    },
    time::Millis,
};
use serde_json::Value;

use super::words::{dollars, essential, known, short, text_of, tokens};
use crate::{
    look::Role,
    widgets::text::{clock, duration},
};

/// Lines of a change, a result or a prompt that are shown.
const MOST_LINES: usize = 60;
/// Bytes of a line; a longer one goes on in the next.
pub(super) const LINE_BYTES: usize = 4096;
/// Characters of what stands in a line of ours.
const LINE: usize = 400;

/// A line of the log, not wrapped and not inert yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// How it looks.
    pub(super) role: Role,
    /// Blanks in front of each of its rows.
    pub(super) indent: usize,
    /// What it says.
    pub(super) text: String,
}

/// What an event leads to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The text of the first line goes on in the last one that there is.
    pub(super) joins: bool,
    /// Lines.
    pub(super) lines: Vec<Line>,
}

/// Turns events into lines, in order.
#[derive(Debug, Default)]
pub(super) struct Teller {
    /// The block whose text comes without a break.
    block: Option<(TaskEventKind, u64)>,
    /// The tool that was used last: its result needs no name.
    tool: Option<String>,
    /// The error that was told last.
    error: Option<String>,
}

impl Teller {
    /// The lines of one event.
    pub(super) fn tell(&mut self, event: &TaskEvent, now: Millis) -> Told {
        let data = &event.data;
        let at = clock(event.timestamp, now);
        if matches!(event.kind, TaskEventKind::Text | TaskEventKind::Thinking) {
            return self.speech(event);
        }
        self.block = None;
        let lines = match event.kind {
            TaskEventKind::ToolUse => self.tool_use(data),
            TaskEventKind::ToolResult => self.tool_result(data),
            TaskEventKind::PermissionRequest => asks(data, &at),
            TaskEventKind::Status => status(data, &at),
            TaskEventKind::Result => vec![ours(Role::Faint, &format!("{at} The turn ended{}.", result(data)))],
            TaskEventKind::Exit => {
                let code = data["exitCode"].as_i64().map(|code| format!("code {code}"));
                let how = code.or_else(|| known(data, &["signal"]).map(str::to_owned)).unwrap_or_else(|| "no code".to_owned());
                vec![ours(Role::Faint, &format!("{at} The agent's process ended: {how}."))]
            }
            TaskEventKind::Error => self.error(data),
            TaskEventKind::System => self.system(data, &at),
            TaskEventKind::Text | TaskEventKind::Thinking => Vec::new(),
        };
        Told { joins: false, lines }
    }

    /// Pieces of a block follow each other without a break, another block begins on a new line.
    fn speech(&mut self, event: &TaskEvent) -> Told {
        let text = text_of(&event.data);
        if text.is_empty() {
            return Told::default();
        }
        let thinks = event.kind == TaskEventKind::Thinking;
        let block = event.block.map(|block| (event.kind, block));
        let joins = block.is_some() && block == self.block;
        self.block = block;
        let mut lines = Vec::new();
        let (role, indent) = if thinks { (Role::Faint, 2) } else { (Role::Text, 0) };
        if thinks && !joins {
            lines.push(Line { role, indent: 0, text: "(thinks)".to_owned() });
        }
        push(&mut lines, role, indent, &text, usize::MAX);
        Told { joins, lines }
    }

    fn tool_use(&mut self, data: &Value) -> Vec<Line> {
        let name = known(data, &["name"]).unwrap_or("tool");
        let input = &data["input"];
        self.tool = known(data, &["id"]).map(str::to_owned);
        if steps(input).is_some_and(|list| !list.is_empty() && list.iter().all(|step| known(step, &["status"]).is_some())) {
            return plan(input);
        }
        let what = known(data, &["path"]).map_or_else(|| essential(input), |path| short(path, LINE));
        let mut lines = vec![ours(Role::Strong, &format!("* {} {what}", short(name, 60)))];
        if let Some(diff) = known(data, &["diff"]) {
            self.diff(&mut lines, diff);
        } else if let Some(command) = known(input, &["command", "cmd"]).filter(|command| command.trim().lines().count() > 1) {
            push(&mut lines, Role::Text, 2, command.trim(), MOST_LINES);
        }
        lines
    }

    fn diff(&self, lines: &mut Vec<Line>, diff: &str) {
        let all = diff.lines().filter(|line| !line.starts_with("--- ") && !line.starts_with("+++ "));
        let more = all.clone().count().saturating_sub(MOST_LINES);
        lines.extend(all.take(MOST_LINES).map(|line| {
            let role = match line.as_bytes().first() {
                Some(b'+') => Role::Added,
                Some(b'-') => Role::Removed,
                Some(b'@') => Role::Info,
                _ => Role::Text,
            };
            Line { role, indent: 2, text: cut(&tabs(line)).to_owned() }
        }));
        rest(lines, more);
    }

    fn tool_result(&self, data: &Value) -> Vec<Line> {
        let failed = data["isError"].as_bool().unwrap_or(false);
        let mut lines = Vec::new();
        // Tools may run side by side: a result that does not follow its tool says whose it is.
        let id = known(data, &["id"]);
        if id.is_none() || id != self.tool.as_deref() {
            let whose = short(known(data, &["name"]).or(id).unwrap_or("result"), 60);
            lines.push(Line { role: Role::Faint, indent: 2, text: format!("{whose}:") });
        }
        match data["exitCode"].as_i64().filter(|code| *code != 0) {
            Some(code) => lines.push(Line { role: Role::Bad, indent: 2, text: format!("exit code {code}") }),
            None if failed => lines.push(Line { role: Role::Bad, indent: 2, text: "failed".to_owned() }),
            None => {}
        }
        let content = text_of(&data["content"]);
        if !content.trim().is_empty() {
            push(&mut lines, if failed { Role::Bad } else { Role::Faint }, 2, content.trim_end(), MOST_LINES);
        }
        lines
    }

    fn error(&mut self, data: &Value) -> Vec<Line> {
        let message = known(data, &["message", "error"]).map_or_else(|| text_of(data), str::to_owned);
        let message = if message.trim().is_empty() { "The agent failed and did not say why.".to_owned() } else { message };
        if self.error.as_deref() == Some(message.trim()) {
            return Vec::new();
        }
        let mut lines = Vec::new();
        push(&mut lines, Role::Bad, 0, &format!("Error: {}", message.trim()), MOST_LINES);
        self.error = Some(message.trim().to_owned());
        lines
    }

    fn system(&mut self, data: &Value, at: &str) -> Vec<Line> {
        let said = known(data, &["message", "text", "line", "error", "reason", "why"]);
        let because = || said.map(|why| format!(": {}", short(why.trim_end(), LINE))).unwrap_or_default();
        let line = |role, text: &str| vec![ours(role, text)];
        match known(data, &["subtype"]).unwrap_or_default() {
            "prompt" => {
                self.error = None;
                let mut lines = vec![ours(Role::Heading, &format!("{at} to the agent:"))];
                push(&mut lines, Role::Strong, 2, known(data, &["text", "prompt", "message"]).unwrap_or_default().trim_end(), MOST_LINES);
                lines
            }
            "plan" => plan(data),
            "retry" => {
                let what = data["httpStatus"].as_u64().map_or_else(|| "did not answer".to_owned(), |status| format!("answered {status}"));
                let attempt = data["attempt"].as_u64().map(|n| format!(" (attempt {n})")).unwrap_or_default();
                line(Role::Warn, &format!("The model {what}{}; trying again{attempt}", because()))
            }
            "rate_limit" => {
                let status = known(data, &["status"]).unwrap_or_default();
                let reached = data.get("reached").is_some_and(|reached| !reached.is_null() && reached.as_bool() != Some(false) && reached.as_str() != Some(""));
                match (status, reached) {
                    ("rejected", _) | (_, true) => line(Role::Warn, &format!("{at} A limit of the model's provider is reached{}", because())),
                    ("allowed_warning", _) => line(Role::Faint, "Most of a limit of the model's provider is used"),
                    _ => Vec::new(),
                }
            }
            "notice" | "unsupported" => match (said, known(data, &["model"])) {
                (Some(said), None) => line(Role::Faint, said),
                (_, Some(model)) => line(Role::Faint, &format!("The model is now {model}")),
                (None, None) => Vec::new(),
            },
            "permission_denied" | "denied" => line(Role::Bad, &format!("no  {} denied{}", short(known(data, &["tool"]).unwrap_or("A tool"), 60), because())),
            "subagent" => {
                let text = known(data, &["description", "text", "summary", "state"]).unwrap_or_default();
                if text.is_empty() { Vec::new() } else { vec![Line { role: Role::Faint, indent: 2, text: format!("subagent: {}", one(text)) }] }
            }
            "compact" if known(data, &["status", "trigger"]).is_none() => line(Role::Faint, "The agent shortened its memory of the conversation."),
            "gap" => {
                let missing = match (data["from"].as_u64(), data["to"].as_u64()) {
                    (Some(from), Some(to)) if to >= from => Some((to - from).saturating_add(1)),
                    _ => data["count"].as_u64(),
                };
                let what = missing.map_or_else(|| "Some events are".to_owned(), |n| if n == 1 { "1 event is".to_owned() } else { format!("{n} events are") });
                line(Role::Warn, &format!("{what} no longer kept on the node."))
            }
            "init" => {
                let word = |name: &str, keys: &[&str]| known(data, keys).map(|word| format!(" {name} {word}")).unwrap_or_default();
                line(Role::Faint, &format!("{at} Began:{}{}", word("model", &["model"]), word("session", &["sessionId", "session"])))
            }
            "mode" => line(Role::Faint, &format!("The agent's mode is now {}.", short(known(data, &["permissionMode", "mode"]).unwrap_or("another one"), 60))),
            "stderr" => {
                let mut lines = Vec::new();
                push(&mut lines, Role::Faint, 0, &format!("stderr: {}", said.unwrap_or_default().trim_end()), MOST_LINES);
                lines
            }
            // How much was used stands beside the log; the rest is the agent's own business.
            "usage" | "compact" | "session_end" => Vec::new(),
            other => {
                let whole = data.get("line").map_or_else(|| data.to_string(), text_of);
                line(Role::Faint, &format!("{}: {}", if other.is_empty() { "system" } else { other }, one(&whole)))
            }
        }
    }
}

/// A question, and the key that answers it.
fn asks(data: &Value, at: &str) -> Vec<Line> {
    let Ok(approval) = serde_json::from_value::<Approval>(data.clone()) else {
        return vec![ours(Role::Warn, &format!("{at} ?  The agent asks something that is not understood here. ! shows what waits."))];
    };
    let what = approval.questions.first().map_or_else(|| essential(&approval.input), |question| one(&question.question));
    let mut lines = vec![ours(Role::Warn, &format!("{at} ?  asks: {} {what}", short(&approval.tool, 60)))];
    lines.extend(approval.flags.iter().take(8).map(|flag| Line { role: Role::Warn, indent: 2, text: one(flag) }));
    lines
}

fn status(data: &Value, at: &str) -> Vec<Line> {
    if known(data, &["approvalId"]).is_some() {
        return vec![answer(data, at)];
    }
    let error = known(data, &["error", "message"]).map(|why| format!(": {}", one(why))).unwrap_or_default();
    let (role, text) = match known(data, &["status"]) {
        Some("pending") => (Role::Faint, "The task waits for a place."),
        Some("completed") => (Role::Good, "The task is done."),
        Some("failed") => (Role::Bad, "The task failed"),
        Some("cancelled") => (Role::Faint, "The task was stopped."),
        _ => return Vec::new(),
    };
    vec![ours(role, &format!("{at} {text}{error}"))]
}

/// What became of a question: the tool first.
fn answer(data: &Value, at: &str) -> Line {
    let tool = known(data, &["tool"]).map_or_else(|| "it".to_owned(), |tool| short(tool, 60));
    if data["parked"].as_bool() == Some(true) {
        return ours(Role::Warn, &format!("{at} ?  The question about {tool} is parked until somebody answers it."));
    }
    if data.get("withdrawn").is_some() {
        let why = known(data, &["withdrawn"]).map(|why| format!(": {}", one(why))).unwrap_or_default();
        return ours(Role::Faint, &format!("{at} The agent no longer asks{why}"));
    }
    let yes = data["approved"].as_bool().unwrap_or(false);
    let by = known(data, &["by"]).map(|by| format!(" by {}", one(by))).unwrap_or_default();
    let reason = known(data, &["reason"]).map(|reason| format!(": {}", one(reason))).unwrap_or_default();
    if data["expired"].as_bool() == Some(true) {
        let reason = if reason.is_empty() { ": nobody answered in time".to_owned() } else { reason };
        return ours(Role::Bad, &format!("{at} no  {tool} denied{reason}"));
    }
    let word = match known(data, &["decision"]) {
        Some("allow") => "allowed",
        Some("always") => "allowed, and the rule kept",
        Some("deny") => "denied",
        Some("stop") => "denied, and stopped",
        _ if yes => "allowed",
        _ => "denied",
    };
    ours(if yes { Role::Good } else { Role::Bad }, &format!("{at} {} {tool} {word}{by}{reason}", if yes { "ok " } else { "no " }))
}

/// `, 2m11s, $0.41, 12k tokens in, 1k out`.
fn result(data: &Value) -> String {
    let time = data["duration"].as_f64().map(|ms| format!(", {}", duration(ms.clamp(0.0, 1e13) as u64))).unwrap_or_default();
    let cost = data["cost"].as_f64().map(|cost| format!(", {}", dollars(cost))).unwrap_or_default();
    let usage = tokens(&serde_json::from_value(data["usage"].clone()).unwrap_or_default()).map(|tokens| format!(", {tokens}")).unwrap_or_default();
    format!("{time}{cost}{usage}")
}

fn plan(data: &Value) -> Vec<Line> {
    let mut lines = vec![ours(Role::Strong, "* Plan")];
    let Some(list) = steps(data) else {
        push(&mut lines, Role::Text, 2, known(data, &["text", "plan", "explanation"]).unwrap_or_default(), MOST_LINES);
        return lines;
    };
    lines.extend(list.iter().take(MOST_LINES).map(|step| {
        let text = known(step, &["content", "step", "text", "title", "description"]).map_or_else(|| text_of(step), str::to_owned);
        let (mark, role) = match known(step, &["status"]).unwrap_or_default() {
            "completed" | "done" => ("[x]", Role::Good),
            "in_progress" | "inProgress" => ("[>]", Role::Strong),
            _ => ("[ ]", Role::Text),
        };
        Line { role, indent: 2, text: format!("{mark} {}", one(&text)) }
    }));
    rest(&mut lines, list.len().saturating_sub(MOST_LINES));
    lines
}

/// The list in a plan.
fn steps(data: &Value) -> Option<&Vec<Value>> {
    ["entries", "plan", "todos", "steps", "items"].iter().find_map(|key| data[*key].as_array())
}

/// One line of ours, whatever is in it.
fn ours(role: Role, text: &str) -> Line {
    Line { role, indent: 0, text: cut(&text.replace('\n', " ")).to_owned() }
}

/// The first line of a text, not too long.
fn one(text: &str) -> String {
    short(text.trim().lines().next().unwrap_or_default(), LINE)
}

/// Lines of somebody else's text, at most so many.
fn push(lines: &mut Vec<Line>, role: Role, indent: usize, text: &str, most: usize) {
    let text = tabs(text);
    let more = if most == usize::MAX { 0 } else { text.split('\n').count().saturating_sub(most) };
    for line in text.split('\n').take(most) {
        let mut line = line.strip_suffix('\r').unwrap_or(line);
        loop {
            let head = cut(line);
            lines.push(Line { role, indent, text: head.to_owned() });
            line = &line[head.len()..];
            if line.is_empty() {
                break;
            }
        }
    }
    rest(lines, more);
}

fn rest(lines: &mut Vec<Line>, more: usize) {
    if more > 0 {
        lines.push(Line { role: Role::Faint, indent: 2, text: format!("({more} more {})", if more == 1 { "line" } else { "lines" }) });
    }
}

/// As much of a line as is kept in one piece.
fn cut(line: &str) -> &str {
    if line.len() <= LINE_BYTES {
        return line;
    }
    let mut at = LINE_BYTES;
    while !line.is_char_boundary(at) {
        at -= 1;
    }
    &line[..at]
}

/// Tabs as blanks: code is to stand in columns.
fn tabs(text: &str) -> String {
    text.replace('\t', "    ")
}

//! What is known about tasks, for people: a table of all, a page about one, the last line of a run.

use std::time::Duration;

use anstyle::Style;
use jiff::tz::TimeZone;
use loopsy_shared::{
    api::ai_tasks::{EndedBy, ListTaskEvents, PermissionMode, TaskEvent, TaskInfo, TaskMode, TaskStatus, Tasks},
    text::inert,
    time::{self, Millis},
};
use serde::Serialize;

use super::{
    One, name,
    render::{Look, Renderer},
    words::{dollars, tokens},
};
use crate::{
    cmd::approvals::head,
    context::Ctx,
    error::Error,
    output::{BAD, FAINT, GOOD, PLAIN, STRONG, Table, WARN, clock, count, paint, safe_lines, short, span},
};

/// Events that are read at a time.
const PIECE: usize = 1000;

/// All tasks.
pub(super) fn list(ctx: &Ctx, tasks: &Tasks) -> Result<(), Error> {
    if tasks.tasks.is_empty() {
        return ctx.out.line("There are no tasks.");
    }
    table(&tasks.tasks, time::now(), &TimeZone::system()).print(ctx.out)
}

pub(super) fn table(tasks: &[TaskInfo], now: Millis, zone: &TimeZone) -> Table {
    let mut table = Table::new(&["TASK", "AGENT", "STARTED", "FOR", "COST", "STATUS", "PROMPT"]);
    for task in tasks {
        let lasted = span(Duration::from_millis(task.completed_at.unwrap_or(now).saturating_sub(task.started_at)));
        let cost = task.cost_usd.map_or_else(|| "-".to_owned(), dollars);
        let prompt = short(task.prompt.trim().lines().next().unwrap_or_default(), 50);
        let waits = if task.approvals.len() > 1 { format!(" ({})", task.approvals.len()) } else { String::new() };
        let status = format!("{}{waits}", word(task.status));
        let cells = [head(task.task_id.as_str()), &task.agent, &clock(task.started_at, now, zone), &lasted, &cost, &status, &prompt];
        table.row_with(&cells, &[style(task.status), PLAIN]);
    }
    table
}

const fn word(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::WaitingApproval => "waits for a yes",
        other => other.as_str(),
    }
}

const fn style(status: TaskStatus) -> Style {
    match status {
        TaskStatus::Pending => PLAIN,
        TaskStatus::Running | TaskStatus::Completed => GOOD,
        TaskStatus::WaitingApproval => WARN,
        TaskStatus::Failed | TaskStatus::Cancelled => BAD,
    }
}

/// A task with its events.
#[derive(Debug, Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    task: &'a TaskInfo,
    events: &'a [TaskEvent],
}

/// All that is known about one.
pub(super) async fn one(ctx: &Ctx, one: &One, with_events: bool, full: bool) -> Result<(), Error> {
    if !ctx.out.json {
        page(&one.info, one.on.as_deref(), time::now(), &TimeZone::system()).iter().try_for_each(|line| ctx.out.line(line))?;
    } else if !with_events {
        return ctx.out.value(&one.info);
    }
    if !with_events {
        return Ok(());
    }
    if !ctx.out.json {
        ctx.out.line("")?;
    }
    let look = Look { verbose: full, full, quiet: false, name: one.name(), zone: TimeZone::system(), now: None };
    let mut renderer = Renderer::new(look);
    let mut kept = Vec::new();
    let mut after = None;
    loop {
        let piece = one.client.ask(ListTaskEvents { task_id: one.id(), after, limit: Some(PIECE) }).await?.events;
        let last = piece.last().map(|event| event.seq);
        // A node that gives the same again would be asked for ever.
        if last.is_none() || last <= after {
            break;
        }
        after = last;
        if ctx.out.json { kept.extend(piece) } else { piece.iter().try_for_each(|event| ctx.out.text(&renderer.event(event)))? }
    }
    if ctx.out.json { ctx.out.value(&Whole { task: &one.info, events: &kept }) } else { ctx.out.text(&renderer.end()) }
}

/// The page about one task.
pub(super) fn page(task: &TaskInfo, on: Option<&str>, now: Millis, zone: &TimeZone) -> Vec<String> {
    let mut lines = Vec::new();
    let mut fact = |name: &str, text: String| lines.push(format!("{}{text}", paint(FAINT, format!("{name:12}"))));
    let safe = |text: &str| inert(text).into_owned();
    fact("task", paint(STRONG, safe(task.task_id.as_str())));
    let by = task.ended_by.map(|by| format!(" ({})", ended(by))).unwrap_or_default();
    fact("status", format!("{}{by}", paint(style(task.status), word(task.status))));
    if let Some(error) = &task.error {
        safe_lines(error).for_each(|line| fact("error", paint(BAD, line)));
    }
    let version = task.agent_version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
    let model = task.model.as_deref().map(|model| format!(", {model}")).unwrap_or_default();
    fact("agent", safe(&format!("{}{version}{model}", task.agent)));
    let mode = match task.permission_mode {
        PermissionMode::Default => "asks before it changes anything",
        PermissionMode::AcceptEdits => "changes files without asking",
        PermissionMode::Plan => "only plans",
        PermissionMode::DontAsk => "never asks: what is not allowed beforehand is denied",
        PermissionMode::BypassPermissions => "asks nothing and may do all",
    };
    fact("mode", format!("{mode}{}", if task.mode == TaskMode::Interactive { ", in a terminal" } else { "" }));
    fact("from", safe(&task.from_node_id));
    fact("cwd", safe(&task.cwd));
    if let Some(worktree) = &task.worktree {
        fact("worktree", safe(&format!("{}, branch {}, of {}", worktree.path, worktree.branch, worktree.repository)));
    }
    if let Some(terminal) = &task.terminal_id {
        fact("terminal", safe(terminal.as_str()));
    }
    fact("started", clock(task.started_at, now, zone));
    if let Some(at) = task.completed_at {
        fact("ended", format!("{}, after {}", clock(at, now, zone), span(Duration::from_millis(at.saturating_sub(task.started_at)))));
    }
    fact("turns", task.turns.to_string());
    if let Some(cost) = task.cost_usd {
        fact("cost", dollars(cost));
    }
    if let Some(tokens) = tokens(&task.usage) {
        fact("tokens", tokens);
    }
    if let Some(session) = &task.session_id {
        fact("session", safe(session));
    }
    if let Some(pid) = task.pid {
        fact("process", pid.to_string());
    }
    if let Some(code) = task.exit_code {
        fact("exit code", code.to_string());
    }
    for id in &task.approvals {
        fact("asks", paint(WARN, format!("loopsy approvals show {}", inert(head(id.as_str())))));
    }
    fact("events", task.last_event.to_string());
    for (index, line) in safe_lines(task.prompt.trim_end()).enumerate() {
        fact(if index == 0 { "prompt" } else { "" }, line);
    }
    lines.extend(ways_on(task, on).into_iter().map(|way| paint(FAINT, way)));
    lines
}

/// Which task began, on standard error: scripts read the result.
pub(super) fn began(ctx: &Ctx, task: &TaskInfo, on: Option<&str>) {
    if !ctx.out.json {
        // Whether it waits for a place is told by its events: the reply comes before that is known.
        ctx.out.remark(paint(FAINT, format!("Task {} ({}) in {}", name(task, on), inert(&task.agent), inert(&task.cwd))));
    }
}

/// The last line of a run, and how to go on.
pub(super) fn over(ctx: &Ctx, task: &TaskInfo, on: Option<&str>) -> Result<(), Error> {
    ctx.out.say(ending(task))?;
    after(ctx, task, on);
    Ok(())
}

/// What can be done next, on standard error.
pub(super) fn after(ctx: &Ctx, task: &TaskInfo, on: Option<&str>) {
    if !ctx.out.json {
        ways_on(task, on).into_iter().for_each(|way| ctx.out.remark(paint(FAINT, way)));
    }
}

fn ways_on(task: &TaskInfo, on: Option<&str>) -> Vec<String> {
    let name = name(task, on);
    match task.status {
        TaskStatus::Completed if task.resumable => vec![format!("Go on: loopsy task send {name} \"..\"")],
        TaskStatus::Failed | TaskStatus::Cancelled if task.resumable => {
            vec![format!("Go on: loopsy task resume {name}, or with a word of yours: loopsy task send {name} \"..\"")]
        }
        TaskStatus::WaitingApproval => vec!["Answer it: loopsy approvals".to_owned()],
        _ => Vec::new(),
    }
}

/// `✓ completed  2 turns  $0.0421  12.3k tokens in, 950 out  1 min 4 s`.
pub(super) fn ending(task: &TaskInfo) -> String {
    let mark = match task.status {
        TaskStatus::Completed => "✓",
        TaskStatus::Failed | TaskStatus::Cancelled => "✗",
        _ => "·",
    };
    let by = task.ended_by.filter(|by| *by != EndedBy::Agent).map(|by| format!(" ({})", ended(by))).unwrap_or_default();
    let mut parts = vec![paint(style(task.status), format!("{mark} {}{by}", word(task.status)))];
    if task.turns > 0 {
        parts.push(count(u64::from(task.turns), "turn", "turns"));
    }
    parts.extend(task.cost_usd.map(dollars));
    parts.extend(tokens(&task.usage));
    if let Some(at) = task.completed_at {
        parts.push(span(Duration::from_millis(at.saturating_sub(task.started_at))));
    }
    if let Some(error) = &task.error {
        parts.push(paint(BAD, short(&error.trim_end().replace('\n', " "), 400)));
    }
    parts.join("  ")
}

const fn ended(by: EndedBy) -> &'static str {
    match by {
        EndedBy::Agent => "by the agent",
        EndedBy::Cancel => "somebody cancelled it",
        EndedBy::Interrupt => "interrupted",
        EndedBy::Denial => "an approval was denied with stop",
        EndedBy::Timeout => "its time was up",
        EndedBy::Budget => "it cost more than it might",
        EndedBy::Restart => "the daemon stopped",
        EndedBy::Revoked => "the key of who started it was revoked",
    }
}

//! How the tasks look: the list with what is known of one, its log or screen, what it asks, what is said to it.

use loopsy_shared::api::{ai_tasks::TaskInfo, approvals::Approval};
use ratatui::layout::Rect;

use super::{Focus, Side, Tasks, first_line, head, log::Standing, words};
use crate::{
    app::Canvas,
    look::Role,
    widgets::{
        field::Field,
        list::{Cell, Column, cell, styled},
        pane::Pane,
        text::{duration, minute, put, wrap},
    },
    world::{TaskKey, World},
};

/// Below this only one pane is shown.
const ONE_PANE: (u16, u16) = (60, 11);

/// Where things are; empty where they are not shown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Places {
    pub(super) list: Rect,
    pub(super) table: Rect,
    details: Rect,
    pub(super) pane: Rect,
    below: Rect,
}

impl Tasks {
    pub(super) fn places(&self, area: Rect, world: &World) -> Places {
        let mut places = Places::default();
        let one = area.width < ONE_PANE.0 || area.height < ONE_PANE.1;
        let whole = one || self.zoomed;
        let wide = if area.width >= 100 { 36 } else { 26 };
        if !whole || self.focus == Focus::List {
            places.list = Rect { width: if whole { area.width } else { wide }, ..area };
            let inside = inner(places.list);
            // What is known of a task has its place whether or not there is one: nothing moves when one comes.
            let details = match inside.height {
                0..14 => 0,
                14..30 => inside.height / 2,
                more => more * 3 / 5,
            };
            places.table = Rect { height: inside.height - details, ..inside };
            places.details = Rect { y: inside.y + inside.height - details, height: details, ..inside };
        }
        if !whole || self.focus == Focus::Pane {
            places.pane = if whole { area } else { Rect { x: area.x + wide, width: area.width - wide, ..area } };
            let rows = if self.writing.is_some() {
                if area.height >= 20 { 6 } else { 4 }
            } else if self.searching.is_some() {
                3
            } else if self.selected().is_some_and(|key| !asks(key, world).is_empty()) {
                if area.height >= 30 { 5 } else { 3 }
            } else {
                0
            };
            let rows = if area.height > rows + 4 { rows } else { 0 };
            places.below = Rect { y: area.y + area.height - rows, height: rows, ..places.pane };
            places.pane.height -= rows;
        }
        places
    }

    pub(super) fn draw(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let area = area.intersection(canvas.buf.area);
        let world = canvas.world;
        let places = self.places(area, world);
        let task = self.selected().and_then(|key| world.task(key).map(|task| (key, task)));
        if places.list.width > 0 {
            self.draw_list(&places, canvas);
            if let Some((_, task)) = task {
                details(task, places.details, canvas);
            }
        }
        if places.pane.width > 0 {
            self.draw_pane(places.pane, task, canvas);
            if places.below.height > 0 {
                self.draw_below(places.below, task, canvas);
            }
        }
    }

    fn draw_list(&self, places: &Places, canvas: &mut Canvas<'_>) {
        let focused = self.focus == Focus::List;
        let title = self.list.title(&format!("AI tasks ({})", self.total));
        let inside = Pane { title: &title, focused, note: "", input: false }.draw(places.list, canvas);
        if self.keys.is_empty() {
            let text = if self.list.pattern().is_empty() {
                "No agent works on any of your machines. n gives a task to one, here or on a peer.".to_owned()
            } else {
                format!("No task matches `{}`. Esc shows all.", self.list.pattern())
            };
            for (row, line) in (0..inside.height).zip(wrap(&text, usize::from(inside.width.saturating_sub(2)))) {
                put(canvas.buf, inside, 1, row, &line, canvas.look.style(Role::Faint));
            }
            return;
        }
        let (world, now) = (canvas.world, canvas.now.wall);
        // A prompt tells more than a machine where there is room for both.
        let wide = places.table.width >= 60;
        let since = places.table.width >= 30;
        let mut columns = vec![Column::new("STATE", 5), Column::new("TASK", 4)];
        if wide {
            columns.extend([Column::new("WHERE", 14), Column::new("PROMPT", 0)]);
        } else {
            columns.push(Column::new("WHERE", 0));
        }
        if since {
            columns.push(Column::right("SINCE", 7));
        }
        self.list.table(places.table, canvas, focused, &columns, &self.keys, |key| {
            let Some(task) = world.task(key) else { return vec![cell("?"), cell(head(key))] };
            let (word, role) = words::state(task.status);
            let stale = key.node.as_ref().is_some_and(|node| world.pictures.get(node).is_none_or(|picture| picture.stale));
            let mut cells: Vec<Cell> =
                vec![if stale { styled(format!("{word}?"), Role::Stale) } else { styled(word, role) }, cell(head(key)), cell(world.name_of(key.node.as_ref()))];
            if wide {
                cells.push(cell(first_line(Some(task))));
            }
            if since {
                cells.push(styled(
                    match (task.completed_at, task.exit_code.filter(|code| *code != 0)) {
                        (Some(_), Some(code)) => format!("ex {code}"),
                        (Some(ended), None) => duration(ended.saturating_sub(task.started_at)),
                        (None, _) => minute(task.started_at, now),
                    },
                    Role::Faint,
                ));
            }
            cells
        });
    }

    fn draw_pane(&self, area: Rect, task: Option<(&TaskKey, &TaskInfo)>, canvas: &mut Canvas<'_>) {
        let focused = self.focus == Focus::Pane;
        if self.is_input()
            && let Some((_, pane)) = &self.screen
        {
            return pane.view(area, canvas, focused);
        }
        let Some((key, task)) = task else {
            let inside = Pane { title: "Task", focused, note: "", input: false }.draw(area, canvas);
            put(canvas.buf, inside, 1, 0, "What an agent does is shown here.", canvas.look.style(Role::Faint));
            return;
        };
        if self.side_of(task) == Side::Screen
            && let Some((_, pane)) = self.screen.as_ref().filter(|(of, _)| of == key)
        {
            return pane.view(area, canvas, focused);
        }
        let title = format!("{}  {}  ({})", head(key), first_line(Some(task)), canvas.world.name_of(key.node.as_ref()));
        let log = self.log_of(key);
        let note = log.map(super::Log::note).unwrap_or_default();
        let inside = Pane { title: &title, focused, note: &note, input: false }.draw(area, canvas);
        let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside }.intersection(inside);
        let say = |canvas: &mut Canvas<'_>, role: Role, text: &str| {
            for (row, line) in (0..inside.height).zip(wrap(text, usize::from(inside.width))) {
                put(canvas.buf, inside, 0, row, &line, canvas.look.style(role));
            }
        };
        match log {
            Some(log) if !log.is_empty() => log.draw(inside, canvas),
            Some(log) => match &log.standing {
                Standing::Failed(why) => {
                    let place = canvas.world.name_of(key.node.as_ref()).to_owned();
                    say(canvas, Role::Bad, &format!("The log of task {} on {place} cannot be had: {why} r tries again.", head(key)));
                }
                Standing::Lost(why) => say(canvas, Role::Warn, &format!("The connection broke: {why}. It is tried again.")),
                Standing::Ended => say(canvas, Role::Faint, "Nothing happened in this task."),
                Standing::Idle | Standing::Live => say(canvas, Role::Faint, "Nothing has happened yet."),
            },
            None => say(canvas, Role::Faint, ".."),
        }
    }

    /// What is typed to the agent or searched for; else what the task asks.
    fn draw_below(&self, area: Rect, task: Option<(&TaskKey, &TaskInfo)>, canvas: &mut Canvas<'_>) {
        let typed = |title: &str, note: &str, field: &Field, canvas: &mut Canvas<'_>| {
            let inside = Pane { title, note, focused: true, input: true }.draw(area, canvas);
            let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside }.intersection(inside);
            field.draw(inside, canvas, true);
        };
        if let Some((to, field)) = &self.writing {
            let ended = canvas.world.task(to).is_some_and(|task| task.status.is_ended());
            let title = format!("{} {}", if ended { "Go on with" } else { "To the agent of" }, head(to));
            return typed(&title, "Enter send   Alt-Enter newline   Esc keep draft", field, canvas);
        }
        if let Some(field) = &self.searching {
            return typed("Search the log", "Enter search   Esc leave", field, canvas);
        }
        let Some((key, _)) = task else { return };
        let asks = asks(key, canvas.world);
        let Some(first) = asks.first() else { return };
        let since = minute(first.asked_at, canvas.now.wall);
        let title = if asks.len() == 1 { format!("waiting since {since}") } else { format!("1 of {} waiting since {since}", asks.len()) };
        let inside = Pane { title: &title, note: "", focused: false, input: false }.draw(area, canvas);
        let what = first.questions.first().map_or_else(|| words::essential(&first.input), |question| question.question.clone());
        let what = what.lines().next().unwrap_or_default().to_owned();
        let review = "! review";
        if inside.height >= 3 {
            put(canvas.buf, inside, 1, 0, &format!("{} in {}", first.tool, first.cwd), canvas.look.style(Role::Warn));
            put(canvas.buf, inside, 1, 1, &what, canvas.look.style(Role::Text));
            put(canvas.buf, inside, 1, 2, &format!("{review}   (a and d work only inside the review)"), canvas.look.style(Role::Strong));
        } else {
            let room = usize::from(inside.width).saturating_sub(review.len() + 4);
            put(canvas.buf, inside, 1, 0, &crate::widgets::text::fit(&format!("{}: {what}", first.tool), room), canvas.look.style(Role::Warn));
            put(canvas.buf, inside, inside.width.saturating_sub(review.len() as u16 + 1), 0, review, canvas.look.style(Role::Strong));
        }
    }
}

/// What waits for an answer in a task, oldest first.
fn asks<'a>(key: &TaskKey, world: &'a World) -> Vec<&'a Approval> {
    world.approvals().into_iter().filter(|approval| approval.task_id == key.id && world.peer_of(approval) == key.node).collect()
}

/// What is known of a task.
fn details(task: &TaskInfo, area: Rect, canvas: &mut Canvas<'_>) {
    if area.height == 0 {
        return;
    }
    let room = usize::from(area.width).saturating_sub(2);
    let mut lines: Vec<(Role, String)> = Vec::new();
    let some = |lines: &mut Vec<(Role, String)>, role: Role, text: &str, most: usize| {
        // A long text is cut before it is broken into lines.
        let text = words::short(text.trim(), most * room + 1).replace('\n', " ");
        lines.extend(wrap(&text, room).into_iter().take(most).map(|line| (role, line)));
    };
    some(&mut lines, Role::Strong, &task.prompt, if area.height >= 16 { 4 } else { 2 });
    if let Some(error) = &task.error {
        some(&mut lines, Role::Bad, error, 3);
    }
    let mut row = |label: &str, text: &str| {
        if !text.is_empty() {
            lines.push((Role::Text, format!("{label:<6}{text}")));
        }
    };
    row("cwd", &task.cwd);
    row("branch", &task.worktree.as_ref().map_or_else(String::new, |tree| format!(" {}", tree.branch)));
    row("model", task.model.as_deref().unwrap_or("default"));
    row("cost", &task.cost_usd.map_or_else(String::new, words::dollars));
    row("used", &words::tokens(&task.usage).unwrap_or_default());
    row("agent", &format!("{} {}", task.agent, task.agent_version.as_deref().unwrap_or_default()));
    row("from", &minute(task.started_at, canvas.now.wall));
    row("to", &task.completed_at.map_or_else(String::new, |at| minute(at, canvas.now.wall)));
    row("id", task.task_id.short());
    for (y, (role, line)) in (0..area.height).zip(lines) {
        put(canvas.buf, area, 1, y, &crate::widgets::text::fit(&line, room), canvas.look.style(role));
    }
}

const fn inner(area: Rect) -> Rect {
    Rect { x: area.x.saturating_add(1), y: area.y.saturating_add(1), width: area.width.saturating_sub(2), height: area.height.saturating_sub(2) }
}

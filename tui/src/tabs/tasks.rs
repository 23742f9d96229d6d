//! AI tasks: all tasks of the fleet, what is known of one, its log or its screen, and all that a person can do with it.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use loopsy_shared::{
    api::{
        ai_tasks::{InterruptTask, ResumeTask, TaskInfo},
        events::Topic,
    },
    client::Watched,
};
use ratatui::layout::Rect;
use serde_json::{Value, json};

use super::{Tab, Typing, Visit};
use crate::{
    app::{Canvas, Cx},
    effect::Timer,
    event::Event,
    input::{Input, Mouse, MouseKind},
    keymap::{Command, Scope},
    pane::Pane,
    widgets::{
        field::{Field, Outcome},
        list::List,
    },
    world::{News, TaskKey, World},
};

mod asks;
mod follow;
mod log;
mod new;
mod order;
mod tell;
#[cfg(test)]
mod tests;
mod view;
pub(crate) mod words;

use log::{Log, Standing};
use order::Order;

/// Logs that are kept, so that going back to a task shows at once what was there; the one that was looked at longest ago goes.
const LOGS: usize = 4;
/// Milliseconds between two moves of the selection that are so quick that what is passed over is not followed.
const QUICK: u64 = 150;
/// Milliseconds after which what is followed fits rows that have changed, where nobody looks at them earlier.
const LATE: u64 = 50;
/// Messages to agents that were begun; the oldest goes.
const DRAFTS: usize = 32;

/// Which pane has the keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Focus {
    #[default]
    List,
    Pane,
}

/// Which side of a task is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Log,
    Screen,
}

/// Its state.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    list: List<TaskKey>,
    /// The rows: filtered, in order.
    keys: Vec<TaskKey>,
    /// All tasks, filtered or not.
    total: usize,
    order: Order,
    /// The rows are not those of the world any more; and whether what is followed waits for them.
    dirty: bool,
    late: bool,
    front: bool,
    focus: Focus,
    zoomed: bool,
    /// What the person chose; by the task when none.
    side: Option<Side>,
    following: Option<TaskKey>,
    /// What was followed when a log ended. Should more of it come, then it was an earlier one that ended.
    ended: Option<TaskKey>,
    /// When the selection moved last, and when what it stands on is followed, where that waits.
    moved_at: Option<u64>,
    settle_at: Option<u64>,
    /// The one that was looked at last is the last.
    logs: VecDeque<(TaskKey, Log)>,
    screen: Option<(TaskKey, Pane)>,
    /// A message to the agent of this task is typed.
    writing: Option<(TaskKey, Field)>,
    drafts: VecDeque<(TaskKey, String)>,
    /// What is searched for in the log is typed.
    searching: Option<Field>,
    draft: Rc<RefCell<new::Draft>>,
    /// Asked for and not answered yet: of which task, and what.
    asked: Vec<(Option<TaskKey>, &'static str)>,
}

impl Tasks {
    fn selected(&self) -> Option<&TaskKey> {
        self.list.selected(&self.keys)
    }

    fn task<'a>(&self, world: &'a World) -> Option<&'a TaskInfo> {
        world.task(self.selected()?)
    }

    /// Whether keys go to the agent's program. Then nothing else may come into its place, or they would mean something else all at once.
    fn is_input(&self) -> bool {
        self.focus == Focus::Pane && self.screen.as_ref().is_some_and(|(_, pane)| pane.typing() == Some(Typing::Pane))
    }

    fn side_of(&self, task: &TaskInfo) -> Side {
        match self.side {
            _ if self.is_input() => Side::Screen,
            _ if task.terminal_id.is_none() => Side::Log,
            Some(side) => side,
            None if task.status.is_ended() => Side::Log,
            None => Side::Screen,
        }
    }

    fn side(&self, world: &World) -> Side {
        self.task(world).map_or(Side::Log, |task| self.side_of(task))
    }

    fn log_of(&self, key: &TaskKey) -> Option<&Log> {
        self.logs.iter().find(|(known, _)| known == key).map(|(_, log)| log)
    }

    fn log_mut(&mut self, key: &TaskKey) -> Option<&mut Log> {
        self.logs.iter_mut().find(|(known, _)| known == key).map(|(_, log)| log)
    }

    fn log(&self) -> Option<&Log> {
        self.log_of(self.selected()?)
    }

    fn selected_log(&mut self) -> Option<&mut Log> {
        let key = self.selected()?.clone();
        self.log_mut(&key)
    }

    fn pane(&mut self) -> Option<&mut Pane> {
        self.screen.as_mut().map(|(_, pane)| pane)
    }

    /// The pane, where it is what has the keys.
    fn focused_pane(&mut self, world: &World) -> Option<&mut Pane> {
        let here = self.is_input() || self.screen.as_ref().map(|(of, _)| of) == self.selected();
        if self.focus == Focus::Pane && here && self.side(world) == Side::Screen { self.pane() } else { None }
    }

    /// Another task is looked at.
    fn moved(&mut self, cx: &mut Cx<'_>) {
        self.keep_draft();
        self.searching = None;
        let now = cx.now.since;
        if self.moved_at.replace(now).is_some_and(|before| now < before + QUICK) {
            self.settle_at = Some(now + QUICK);
            cx.wake(QUICK, Timer::Settle);
        } else {
            self.sync(cx);
        }
    }

    fn back(&mut self, cx: &mut Cx<'_>) {
        if self.focus == Focus::Pane
            && let Some(log) = self.selected_log().filter(|log| log.is_searched())
        {
            log.search("");
        } else if self.zoomed {
            self.zoomed = false;
        } else if self.focus == Focus::Pane {
            self.focus = Focus::List;
        } else if self.list.clear_filter() {
            self.refresh(cx);
        }
    }
}

/// The first characters of a task's id.
fn head(key: &TaskKey) -> String {
    key.id.as_str().chars().take(4).collect()
}

/// The first line of what a task is about.
fn first_line(task: Option<&TaskInfo>) -> String {
    task.map_or_else(String::new, |task| words::short(task.prompt.trim().lines().next().unwrap_or_default(), 60))
}

impl Tab for Tasks {
    fn act(&mut self, command: Command, cx: &mut Cx<'_>) {
        if command == Command::Leave {
            if self.writing.is_some() {
                self.keep_draft();
            } else if self.searching.take().is_some() {
            } else if self.list.is_filtering() {
                self.list.clear_filter();
                self.refresh(cx);
            } else if let Some(pane) = self.pane() {
                pane.act(command, cx);
                // What happened meanwhile.
                self.sync(cx);
            }
            return;
        }
        let world = cx.world;
        if let Some(pane) = self.focused_pane(world)
            && pane.act(command, cx)
        {
            return;
        }
        let key = self.selected().cloned();
        match (command, self.focus) {
            (Command::New, _) => self.begin(cx),
            (Command::Sort, _) => {
                self.order = self.order.next();
                cx.note(format!("Sorted by {}.", self.order.name()));
                self.refresh(cx);
            }
            (Command::Filter, Focus::List) => self.list.filter(),
            (Command::Filter, Focus::Pane) if self.side(cx.world) == Side::Log => self.searching = Some(Field::line()),
            (Command::NextHit | Command::PreviousHit, Focus::Pane) => {
                if let Some(log) = self.selected_log() {
                    log.hit(command == Command::NextHit);
                }
            }
            (Command::Open | Command::Right, Focus::List) => self.focus = Focus::Pane,
            (Command::Open | Command::Zoom, _) => {
                self.focus = Focus::Pane;
                self.zoomed = !self.zoomed;
            }
            (Command::Left, Focus::Pane) if !self.zoomed => self.focus = Focus::List,
            (Command::NextPane | Command::PreviousPane, focus) => {
                self.zoomed = false;
                self.focus = if focus == Focus::List { Focus::Pane } else { Focus::List };
            }
            (Command::Type, _) => self.begin_typing(cx),
            (Command::View, _) => {
                self.side = Some(if self.side(cx.world) == Side::Log { Side::Screen } else { Side::Log });
                self.sync(cx);
            }
            (Command::Stop, _) => self.stop(false, cx),
            (Command::Delete, _) => self.stop(true, cx),
            (Command::Pair, _) => {
                if let Some(key) = key {
                    let task_id = key.id.clone();
                    self.ask("interrupt", &key, InterruptTask { task_id }, cx);
                }
            }
            (Command::Resume, _) => {
                if let Some(key) = key {
                    let task_id = key.id.clone();
                    self.ask("resume", &key, ResumeTask { task_id, prompt: None }, cx);
                }
            }
            (Command::CopyOther, _) => {
                if let Some(key) = key {
                    cx.copy(key.id.as_str());
                }
            }
            (Command::Copy, _) => {
                if let Some(text) = self.log().map(Log::text).filter(|text| !text.is_empty()) {
                    cx.copy(text);
                }
            }
            (Command::Refresh, _) => {
                if let Some(log) = self.selected_log() {
                    log.standing = Standing::Idle;
                }
                self.following = None;
                if let Some(pane) = self.pane() {
                    pane.attach(None, cx);
                }
                self.sync(cx);
            }
            (Command::Back, _) => self.back(cx),
            (command, Focus::Pane) => {
                if let Some(log) = self.selected_log() {
                    log.act(command);
                }
            }
            (command, Focus::List) => {
                if self.list.act(command, &self.keys) {
                    self.moved(cx);
                }
            }
        }
    }

    fn typing(&self) -> Option<Typing> {
        if self.writing.is_some() || self.searching.is_some() || self.list.is_filtering() {
            return Some(Typing::Field);
        }
        if self.focus == Focus::Pane { self.screen.as_ref().and_then(|(_, pane)| pane.typing()) } else { None }
    }

    fn typed(&mut self, input: &Input, cx: &mut Cx<'_>) {
        if let Some((_, field)) = &mut self.writing {
            match field.take(input) {
                Outcome::Submit => self.send(cx),
                Outcome::Leave => self.keep_draft(),
                Outcome::Changed | Outcome::Ignored => {}
            }
        } else if let Some(field) = &mut self.searching {
            match field.take(input) {
                Outcome::Submit => {
                    let text = field.take_text();
                    self.searching = None;
                    if let Some(log) = self.selected_log() {
                        log.search(&text);
                        if let Some(note) = log.search_note() {
                            cx.note(format!("{note}. n next, N before, Esc ends the search."));
                        }
                    }
                }
                Outcome::Leave => self.searching = None,
                Outcome::Changed | Outcome::Ignored => {}
            }
        } else if self.list.is_filtering() {
            self.list.typed(input);
            self.refresh(cx);
        } else if let Some(pane) = self.pane() {
            pane.typed(input, cx);
        }
    }

    fn mouse(&mut self, mouse: &Mouse, area: Rect, cx: &mut Cx<'_>) {
        let places = self.places(area, cx.world);
        let at = (mouse.column, mouse.row).into();
        if places.pane.contains(at) {
            if matches!(mouse.kind, MouseKind::Down(0)) {
                self.focus = Focus::Pane;
            }
            let world = cx.world;
            if self.side(world) == Side::Screen
                && let Some(pane) = self.pane()
                && pane.mouse(mouse, cx)
            {
                return;
            }
            let command = match mouse.kind {
                MouseKind::ScrollUp => Command::Up,
                MouseKind::ScrollDown => Command::Down,
                _ => return,
            };
            if let Some(log) = self.selected_log() {
                for _ in 0..3 {
                    log.act(command);
                }
            }
            return;
        }
        match mouse.kind {
            MouseKind::Down(0) if self.list.click(places.table, mouse.column, mouse.row, &self.keys) => {
                self.focus = Focus::List;
                self.moved(cx);
            }
            MouseKind::ScrollUp if places.list.contains(at) && self.list.act(Command::Up, &self.keys) => self.moved(cx),
            MouseKind::ScrollDown if places.list.contains(at) && self.list.act(Command::Down, &self.keys) => self.moved(cx),
            _ => {}
        }
    }

    fn shown(&mut self, front: bool, cx: &mut Cx<'_>) {
        self.front = front;
        if !front {
            self.keep_draft();
            self.searching = None;
        }
        self.refresh(cx);
    }

    fn visit(&mut self, visit: Visit, cx: &mut Cx<'_>) {
        match visit {
            Visit::Task(key) => {
                self.keep_draft();
                self.list.clear_filter();
                self.list.select(key, &self.keys);
                self.refresh(cx);
            }
            Visit::NewTask(node) => {
                self.draft.borrow_mut().node = node;
                self.begin(cx);
            }
            _ => {}
        }
    }

    fn tidy(&mut self, world: &World) {
        self.sort_out(world);
    }

    fn news(&mut self, news: &News, cx: &mut Cx<'_>) {
        match news {
            News::All | News::Link => self.refresh(cx),
            News::Topic(Topic::Tasks | Topic::Peers) | News::Picture(_) => self.put_off(cx),
            News::Status | News::Topic(_) | News::Approval(_) => {}
        }
    }

    fn event(&mut self, event: &Event, cx: &mut Cx<'_>) {
        let now = cx.now.wall;
        match event {
            Event::Answer(answered) => {
                self.answered(answered, cx);
            }
            Event::Log(key, watched) => {
                self.not_ended(key, cx);
                if let Some(log) = self.log_mut(key) {
                    match &**watched {
                        Watched::Connected => log.standing = Standing::Live,
                        Watched::Lost(why) => log.standing = Standing::Lost(why.clone()),
                        Watched::Event { event, .. } => log.take(event, now),
                    }
                }
            }
            Event::LogEnd(key, why) => self.log_ended(key, why.as_deref()),
            Event::Woke(Timer::Settle) => self.settled(cx),
            _ => {}
        }
        if let Some(pane) = self.pane() {
            pane.event(event, cx);
        }
    }

    fn scopes(&self) -> Vec<Scope> {
        let mut scopes = Vec::new();
        if self.focus == Focus::Pane {
            match &self.screen {
                Some((_, pane)) => scopes = pane.scopes(),
                None if self.log().is_some_and(Log::is_searched) => scopes.push(Scope::Search),
                None => {}
            }
        }
        scopes
    }

    fn why_not(&self, command: Command, world: &World) -> Option<String> {
        let needs_daemon = matches!(command, Command::New | Command::Type | Command::Stop | Command::Delete | Command::Pair | Command::Resume);
        if needs_daemon && !world.is_up() {
            return Some("The daemon of this machine does not answer, so nothing can be done with tasks. r tries again.".to_owned());
        }
        if !matches!(
            command,
            Command::Type
                | Command::Stop
                | Command::Delete
                | Command::Pair
                | Command::Resume
                | Command::View
                | Command::Copy
                | Command::CopyOther
                | Command::Zoom
                | Command::Open
                | Command::Fit
        ) {
            return None;
        }
        let Some(task) = self.task(world) else { return Some("No task is selected. n gives one to an agent.".to_owned()) };
        let id: String = task.task_id.as_str().chars().take(4).collect();
        let ended = task.status.is_ended();
        let why = match command {
            Command::Stop if ended => "has ended. X deletes it.",
            Command::Delete if !ended => "has not ended. x stops it.",
            Command::Pair if ended => "has ended. u goes on with it, where it can.",
            Command::Resume if !ended => "has not ended.",
            Command::Resume if !task.resumable => "cannot go on: its agent kept no session. n begins a new one.",
            Command::Type if ended && !task.resumable => "has ended, and its agent kept no session. n begins a new one.",
            Command::View if task.terminal_id.is_none() => "has no screen of its own: it runs without one, and this is its log.",
            Command::Fit if self.side_of(task) == Side::Log => "shows its log, which fits always. v shows the agent's screen, where there is one.",
            Command::Copy if self.side_of(task) == Side::Log && self.log().is_none_or(Log::is_empty) => "has no log yet: there is nothing to copy.",
            _ => return None,
        };
        Some(format!("Task {id} {why}"))
    }

    fn status(&self, world: &World) -> String {
        if let Some((_, pane)) = self.screen.as_ref().filter(|_| self.is_input()) {
            return pane.status();
        }
        let Some((key, task)) = self.selected().and_then(|key| world.task(key).map(|task| (key, task))) else {
            return format!("{} tasks   sorted by {}", self.total, self.order.name());
        };
        let side = match (self.side_of(task), task.terminal_id.is_some()) {
            (Side::Screen, _) => "view: screen (v: log)".to_owned(),
            (Side::Log, true) => "view: log (v: screen)".to_owned(),
            (Side::Log, false) => "view: log".to_owned(),
        };
        let mut parts = vec![format!("{} {}", head(key), words::standing(task)), side];
        if let Some((_, what)) = self.asked.iter().find(|(asked, _)| asked.as_ref() == Some(key)) {
            parts.insert(1, format!("{what} .."));
        }
        match &self.screen {
            Some((_, pane)) => parts.push(pane.status()),
            None => parts.extend(self.log().and_then(Log::search_note)),
        }
        parts.retain(|part| !part.is_empty());
        parts.join(" | ")
    }

    fn view(&self, area: Rect, canvas: &mut Canvas<'_>) {
        self.draw(area, canvas);
    }

    fn state(&self) -> Value {
        let selected = self.selected().map(|key| json!({ "node": key.node, "id": key.id }));
        json!({ "selected": selected, "order": self.order.name(), "filter": self.list.pattern(), "side": self.side.map(|side| side == Side::Screen) })
    }

    fn restore(&mut self, state: &Value) {
        if let (Ok(node), Ok(id)) = (serde_json::from_value(state["selected"]["node"].clone()), serde_json::from_value(state["selected"]["id"].clone())) {
            self.list.select(TaskKey { node, id }, &[]);
        }
        if let Some(order) = state["order"].as_str().and_then(Order::from_name) {
            self.order = order;
        }
        self.side = state["side"].as_bool().map(|screen| if screen { Side::Screen } else { Side::Log });
        if let Some(filter) = state["filter"].as_str().filter(|filter| !filter.is_empty()) {
            self.list.filter();
            self.list.typed(&Input::Paste(filter.to_owned()));
            self.list.leave_filter();
        }
    }
}

//! What is asked of the nodes: a new task, a message, an end; and what becomes of it.

use std::rc::Rc;

use loopsy_shared::api::ai_tasks::{CancelTask, ResumeTask, SendToTask, TaskMode};

use super::{DRAFTS, Focus, Tasks, first_line, head, new};
use crate::{
    app::Cx,
    event::Answered,
    keymap::Command,
    overlays::confirm::Confirm,
    request::{Answer, Request},
    widgets::field::Field,
    world::TaskKey,
};

impl Tasks {
    pub(super) fn begin(&mut self, cx: &mut Cx<'_>) {
        let form = new::NewTask::new(Rc::clone(&self.draft), cx);
        cx.open(form);
    }

    /// Asks the task's node something, and remembers that.
    pub(super) fn ask(&mut self, what: &'static str, key: &TaskKey, request: impl Into<Request>, cx: &mut Cx<'_>) {
        self.asked.push((Some(key.clone()), what));
        cx.call(key.node.as_ref(), request);
    }

    /// Types to the agent: into its screen, or a message.
    pub(super) fn begin_typing(&mut self, cx: &mut Cx<'_>) {
        let Some((key, task)) = self.selected().cloned().and_then(|key| cx.world.task(&key).map(|task| (key, task))) else { return };
        self.focus = Focus::Pane;
        if task.mode == TaskMode::Interactive && task.terminal_id.is_some() && !task.status.is_ended() {
            self.side = None;
            self.sync(cx);
            let whole = self.zoomed;
            if let Some(pane) = self.pane() {
                pane.enter(whole, cx);
            }
            return;
        }
        let draft = self.drafts.iter().find(|(known, _)| *known == key).map_or("", |(_, text)| text.as_str());
        self.writing = Some((key.clone(), Field::lines().with(draft)));
    }

    pub(super) fn keep_draft(&mut self) {
        if let Some((key, field)) = self.writing.take() {
            self.set_draft(key, field.text().to_owned());
        }
    }

    fn set_draft(&mut self, key: TaskKey, text: String) {
        self.drafts.retain(|(known, _)| *known != key);
        if !text.trim().is_empty() {
            self.drafts.push_back((key, text));
        }
        while self.drafts.len() > DRAFTS {
            self.drafts.pop_front();
        }
    }

    /// Says what was typed to the agent. One that has ended goes on with its session.
    pub(super) fn send(&mut self, cx: &mut Cx<'_>) {
        let Some((key, text)) = self.writing.as_ref().map(|(key, field)| (key.clone(), field.text().trim().to_owned())) else { return };
        if text.is_empty() {
            return cx.note("There is nothing to send yet. Esc leaves.");
        }
        self.writing = None;
        self.set_draft(key.clone(), String::new());
        let ended = cx.world.task(&key).is_some_and(|task| task.status.is_ended());
        let task_id = key.id.clone();
        if ended {
            self.ask("message", &key, ResumeTask { task_id, prompt: Some(text) }, cx);
        } else {
            self.ask("message", &key, SendToTask { task_id, text }, cx);
        }
        if let Some(log) = self.log_mut(&key) {
            log.act(Command::End);
        }
    }

    pub(super) fn answered(&mut self, answered: &Answered, cx: &mut Cx<'_>) {
        let node = answered.at.as_ref();
        let place = cx.world.name_of(node).to_owned();
        let key = |id: &loopsy_shared::id::TaskId| TaskKey { node: answered.at.clone(), id: id.clone() };
        let (what, about) = match &answered.request {
            Request::ListAgents(_) => {
                let agents = match &answered.result {
                    Ok(Answer::ListAgents(agents)) => Ok(agents.agents.clone()),
                    Ok(_) => return,
                    Err(failure) => Err(failure.message.clone()),
                };
                return self.draft.borrow_mut().answered(answered.at.clone(), agents);
            }
            Request::DispatchTask(_) => ("start", None),
            Request::SendToTask(request) => ("message", Some(key(&request.task_id))),
            Request::ResumeTask(request) => (if request.prompt.is_some() { "message" } else { "resume" }, Some(key(&request.task_id))),
            Request::InterruptTask(request) => ("interrupt", Some(key(&request.task_id))),
            Request::CancelTask(request) => ("stop", Some(key(&request.task_id))),
            _ => return,
        };
        if let Some(at) = self.asked.iter().position(|(task, asked)| *task == about && *asked == what) {
            self.asked.remove(at);
        }
        let id = about.as_ref().map(head).unwrap_or_default();
        match &answered.result {
            Ok(Answer::DispatchTask(task)) => {
                self.draft.borrow_mut().done();
                let key = key(&task.task_id);
                cx.good(format!("Task {} was given to {} on {place}.", head(&key), task.agent));
                self.list.clear_filter();
                self.list.select(key, &self.keys);
                self.refresh(cx);
            }
            Ok(Answer::CancelTask(done)) if done.deleted => cx.good(format!("Task {id} on {place} is deleted.")),
            Ok(Answer::CancelTask(_)) => cx.good(format!("Task {id} on {place} is stopped.")),
            Ok(Answer::InterruptTask(_)) => cx.good(format!("Task {id} on {place} is interrupted; i goes on with a message.")),
            Ok(Answer::ResumeTask(_) | Answer::SendToTask(_)) => self.sync(cx),
            Ok(_) => {}
            Err(failure) => {
                let why = &failure.message;
                match &answered.request {
                    Request::DispatchTask(_) => cx.bad(format!("No task was started on {place}: {why} n has what you typed.")),
                    Request::SendToTask(request) => self.unsent(about, &request.text, &format!("The message did not reach task {id} on {place}: {why}"), cx),
                    Request::ResumeTask(request) => match &request.prompt {
                        Some(text) => self.unsent(about, text, &format!("The message did not reach task {id} on {place}: {why}"), cx),
                        None => cx.bad(format!("Task {id} on {place} does not go on: {why} u tries again.")),
                    },
                    Request::InterruptTask(_) => cx.bad(format!("Task {id} on {place} was not interrupted: {why} c tries again.")),
                    _ => cx.bad(format!("Task {id} on {place} was not stopped or deleted: {why} x or X tries again.")),
                }
            }
        }
    }

    /// What did not arrive is a draft again, unless something else was begun.
    fn unsent(&mut self, key: Option<TaskKey>, text: &str, why: &str, cx: &mut Cx<'_>) {
        if let Some(key) = key
            && !self.drafts.iter().any(|(known, _)| *known == key)
        {
            self.set_draft(key, text.to_owned());
        }
        cx.bad(format!("{why} i has the text again."));
    }

    pub(super) fn stop(&mut self, delete: bool, cx: &mut Cx<'_>) {
        let Some((key, task)) = self.selected().cloned().and_then(|key| cx.world.task(&key).map(|task| (key, task))) else { return };
        let place = cx.world.name_of(key.node.as_ref()).to_owned();
        let (title, effect) = if delete {
            let tree = if task.worktree.is_some() { " A worktree with changes stays." } else { "" };
            (format!("Delete task {}?", head(&key)), format!("`{}` on {place} is forgotten, with its log and its session.{tree}", first_line(Some(task))))
        } else {
            (
                format!("Stop task {}?", head(&key)),
                format!("The agent of `{}` on {place} ends. Where it keeps a session, u goes on with it.", first_line(Some(task))),
            )
        };
        // Not the letter that opened the box, which may be held down.
        let confirm = Confirm::letter(cx, if delete { 'Y' } else { 'X' }, title, effect, move |cx| {
            cx.call(key.node.as_ref(), CancelTask { task_id: key.id.clone() });
        });
        cx.open(confirm);
    }
}

//! What is followed: the log or the screen of the task that is looked at, and nothing else.

use crate::{
    app::Cx,
    effect::{Effect, Timer},
    pane::Pane,
    world::{TaskKey, TerminalKey, World},
};

use super::{
    LATE, LOGS, Side, Tasks, first_line, head,
    log::{Log, Standing},
};

impl Tasks {
    /// The rows anew, after the world, the filter or the order changed.
    pub(super) fn refresh(&mut self, cx: &mut Cx<'_>) {
        self.dirty = true;
        self.sort_out(cx.world);
        self.sync(cx);
    }

    /// The same, but the rows wait until somebody looks: many changes in a row cost no more than one.
    pub(super) fn put_off(&mut self, cx: &mut Cx<'_>) {
        if self.keys.is_empty() {
            return self.refresh(cx);
        }
        self.dirty = true;
        // What is looked at may have another side now, which is seen without the rows.
        self.sync(cx);
        if self.front && !std::mem::replace(&mut self.late, true) {
            cx.wake(LATE, Timer::Settle);
        }
    }

    /// The rows, if they waited.
    pub(super) fn sort_out(&mut self, world: &World) {
        if self.front && std::mem::take(&mut self.dirty) {
            (self.keys, self.total) = self.order.rows(&self.list, world);
        }
    }

    /// The selection stands still, or the rows changed a while ago: what is looked at now is followed.
    pub(super) fn settled(&mut self, cx: &mut Cx<'_>) {
        let moving = self.settle_at.is_some_and(|at| at > cx.now.since);
        if moving || !self.late && self.settle_at.is_none() {
            return cx.nothing_to_see();
        }
        self.late = false;
        self.sort_out(cx.world);
        self.sync(cx);
    }

    /// A log ended, perhaps not the one that is followed now: one of the same task may have been followed before, and its end been on its way.
    pub(super) fn log_ended(&mut self, key: &TaskKey, why: Option<&str>) {
        let here = self.following.as_ref() == Some(key);
        let Some(log) = self.log_mut(key) else { return };
        if here && why.is_none() && log.standing == Standing::Idle {
            // Nothing came of this one yet, so it cannot have come to its end.
            return;
        }
        log.standing = why.map_or(Standing::Ended, |why| Standing::Failed(why.to_owned()));
        if here {
            self.ended = self.following.take();
        }
    }

    /// Something came of a log. If that was thought to have ended, it was an earlier one.
    pub(super) fn not_ended(&mut self, key: &TaskKey, cx: &mut Cx<'_>) {
        if self.following.is_some() || self.ended.as_ref() != Some(key) {
            return;
        }
        self.following = self.ended.take();
        if let Some(log) = self.log_mut(key) {
            log.standing = Standing::Live;
        }
        self.sync(cx);
    }

    /// Follows what is looked at, and nothing else.
    pub(super) fn sync(&mut self, cx: &mut Cx<'_>) {
        if self.front && self.is_input() {
            return;
        }
        self.settle_at = None;
        let key = self.selected().filter(|_| self.front).cloned();
        let task = key.as_ref().and_then(|key| cx.world.task(key));
        let (mut log, mut terminal) = (None, None);
        if let (Some(key), Some(task)) = (&key, task) {
            match (self.side_of(task), &task.terminal_id) {
                (Side::Screen, Some(id)) => terminal = Some(TerminalKey { node: key.node.clone(), id: id.clone() }),
                _ => log = Some((key.clone(), task.last_event)),
            }
        }
        self.sync_log(log, cx);
        self.sync_screen(key, terminal, cx);
    }

    fn sync_log(&mut self, wanted: Option<(TaskKey, u64)>, cx: &mut Cx<'_>) {
        let Some((key, newest)) = wanted else {
            if self.following.take().is_some() {
                cx.effect(Effect::Follow(None));
            }
            return;
        };
        if self.following.as_ref() == Some(&key) {
            return;
        }
        let known = self.logs.iter().position(|(known, _)| *known == key).and_then(|at| self.logs.remove(at));
        let (_, mut log) = known.unwrap_or_else(|| (key.clone(), Log::default()));
        // All of an ended one is there already, and why one cannot be had was said: the person tries again.
        let follow = match log.standing {
            Standing::Ended => log.last < newest,
            Standing::Failed(_) => false,
            Standing::Idle | Standing::Live | Standing::Lost(_) => true,
        };
        if follow {
            log.standing = Standing::Idle;
            cx.effect(Effect::Follow(Some((key.clone(), log.last))));
            self.following = Some(key.clone());
            self.ended = None;
        } else if self.following.take().is_some() {
            cx.effect(Effect::Follow(None));
        }
        self.logs.push_back((key, log));
        while self.logs.len() > LOGS {
            self.logs.pop_front();
        }
    }

    fn sync_screen(&mut self, key: Option<TaskKey>, terminal: Option<TerminalKey>, cx: &mut Cx<'_>) {
        let same = self.screen.as_ref().is_some_and(|(_, pane)| Some(pane.key()) == terminal.as_ref());
        if !same && let Some((_, mut pane)) = self.screen.take() {
            pane.detach(cx);
        }
        let (Some(key), Some(terminal)) = (key, terminal) else { return };
        if !same {
            let name = format!("{}  {}  ({})", head(&key), first_line(cx.world.task(&key)), cx.world.name_of(key.node.as_ref()));
            self.screen = Some((key, Pane::new(terminal, name)));
        }
        // One that is gone is not asked for again by itself.
        if let Some(pane) = self.pane().filter(|_| !same) {
            pane.attach(None, cx);
        }
    }
}

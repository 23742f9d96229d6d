//! What the daemon says of the item that is shown: that it changed, that it is over, what came of an answer.

use loopsy_shared::api::approvals::{Approval, DecideApproval};

use super::{
    Review,
    item::{self, Item, Mode, Phase, differs, is_whole, key_of},
};
use crate::{
    app::Cx,
    event::{Answered, Failure},
    look::Role,
    request::{Answer as Got, Request},
};

impl Review {
    /// Takes up what the world says now; `news` is the approval that it is about, where it is about one.
    pub(super) fn refresh(&mut self, news: Option<&loopsy_shared::id::ApprovalId>, cx: &mut Cx<'_>) {
        let world = cx.world;
        let shown = self.item.key();
        let open: Vec<&Approval> = world.approvals();
        self.queue.retain(|known| *known == shown || open.iter().any(|approval| key_of(approval) == *known));
        for approval in &open {
            let key = key_of(approval);
            if !self.queue.contains(&key) {
                self.queue.push(key);
            }
        }
        let now = open.into_iter().find(|approval| key_of(approval) == shown);
        let away = now.and_then(|now| world.away_since(now));
        if std::mem::replace(&mut self.item.away, away) != away {
            self.gate.disarm();
            // It may have been about that.
            self.said = None;
        }
        match (now, &self.item.phase) {
            (Some(now), Phase::Loading | Phase::Failed(_) | Phase::Open | Phase::Closed(None, _)) if is_whole(now) => self.content(now.clone(), cx),
            // Too large for the stream: only the node itself knows whether it changed.
            (Some(_), Phase::Open | Phase::Closed(None, _)) if news == Some(&shown.1) => self.ask(cx),
            (None, Phase::Loading | Phase::Failed(_) | Phase::Open) => {
                self.close(None, false);
                self.ask(cx);
            }
            (None, Phase::Sending(..) | Phase::Late(..)) if news.is_none_or(|id| *id == shown.1) => self.ask(cx),
            _ => {}
        }
    }

    /// The item, whole and open, as it is now.
    fn content(&mut self, now: Approval, cx: &mut Cx<'_>) {
        match &self.item.phase {
            Phase::Loading | Phase::Failed(_) => {
                let known = self.said.take();
                self.item.replace(now, cx.world);
                self.said = known;
                self.shown_anew();
            }
            Phase::Open if !differs(&self.item.approval, &now) => {
                // Only how it waits changed: the same is to be judged.
                self.item.approval = now;
                self.item.version += 1;
            }
            Phase::Open | Phase::Closed(..) => {
                self.item.replace(now, cx.world);
                self.shown_anew();
                self.say(Role::Warn, "This changed since you saw it: read it again from the start.");
            }
            Phase::Sending(..) | Phase::Late(..) => {}
        }
    }

    /// It is no longer open.
    fn close(&mut self, how: Option<Approval>, here: bool) {
        self.gate.disarm();
        self.showing += 1;
        self.twice = None;
        self.said = None;
        if matches!(self.item.mode, Mode::Rules(_)) {
            self.item.mode = Mode::Card;
        }
        self.item.phase = Phase::Closed(how.map(Box::new), here);
    }

    pub(super) fn answered(&mut self, answered: &Answered, cx: &mut Cx<'_>) {
        match (&answered.request, &answered.result) {
            (Request::DecideApproval(request), result) => self.confirmed(answered, request, result, cx),
            (Request::GetApproval(request), result) if request.id == self.item.approval.id => {
                self.read(result, cx);
            }
            _ => {}
        }
    }

    /// What came of an answer.
    fn confirmed(&mut self, answered: &Answered, request: &DecideApproval, result: &Result<Got, Failure>, cx: &mut Cx<'_>) {
        let shown = request.id == self.item.approval.id;
        let waits = matches!(&self.item.phase, Phase::Sending(_, sent) | Phase::Late(_, sent) if shown && sent.id == request.id);
        match result {
            Ok(Got::DecideApproval(now)) => {
                if !shown {
                    return cx.note(format!("{}: {}", now.tool, item::outcome(Some(now), cx.now.wall)));
                }
                if key_of(now) != self.item.key() {
                    return;
                }
                if now.state.is_open() {
                    self.item.phase = Phase::Open;
                    self.content((**now).clone(), cx);
                    self.shown_anew();
                    return self.say(Role::Warn, "The daemon took the answer, and the agent still waits. Look at it again.");
                }
                self.close(Some((**now).clone()), true);
            }
            Ok(_) => {}
            Err(failure) => {
                if !shown {
                    return cx.world.told_failure(answered).into_iter().for_each(|text| cx.bad(text));
                }
                if !waits {
                    return;
                }
                match failure.status {
                    None => self.item.phase = Phase::Late(failure.message.clone(), Box::new(request.clone())),
                    Some(409 | 404) => {
                        // What it is now decides what to say; until then nothing can be answered.
                        self.item.phase = Phase::Loading;
                        self.shown_anew();
                        self.say(Role::Bad, failure.message.clone());
                        self.ask(cx);
                    }
                    Some(_) => {
                        self.item.phase = Phase::Open;
                        self.shown_anew();
                        self.say(Role::Bad, format!("Nothing was answered: {}", failure.message));
                    }
                }
            }
        }
    }

    /// The item was read anew.
    fn read(&mut self, result: &Result<Got, Failure>, cx: &mut Cx<'_>) {
        match result {
            Ok(Got::GetApproval(now)) if key_of(now) == self.item.key() => {
                if !now.state.is_open() {
                    let answer = now.decision.as_ref().map(|decided| decided.decision);
                    let here = match &self.item.phase {
                        Phase::Sending(_, sent) | Phase::Late(_, sent) => answer == Some(sent.decision),
                        phase => matches!(phase, Phase::Closed(_, true)),
                    };
                    return self.close(Some((**now).clone()), here);
                }
                if is_whole(now) {
                    return self.content((**now).clone(), cx);
                }
                self.item.phase = Phase::Failed("the daemon does not have its whole input".to_owned());
            }
            Err(failure) if matches!(self.item.phase, Phase::Loading) => {
                if failure.status == Some(404) {
                    return self.close(None, false);
                }
                self.item.phase = Phase::Failed(failure.message.clone());
            }
            _ => {}
        }
    }

    /// The editor was closed.
    pub(super) fn edited(&mut self, result: &Result<Option<String>, String>, cx: &mut Cx<'_>) {
        let Some(showing) = self.item.editing.take() else { return };
        if showing != self.showing || !matches!(self.item.phase, Phase::Open) {
            return self.say(Role::Warn, "This changed while you edited: what you wrote was not taken.");
        }
        self.shown_anew();
        match result {
            Err(why) => self.say(Role::Bad, why.clone()),
            Ok(None) => self.say(Role::Info, "The input is as it was."),
            Ok(Some(text)) => match serde_json::from_str::<serde_json::Value>(text) {
                Err(why) => self.say(Role::Bad, format!("What you left is not JSON ({why}); the input is as it was.")),
                Ok(input) if input == *self.item.input() => self.say(Role::Info, "The input is as it was."),
                Ok(input) => {
                    let (phase, edited) = (Phase::Open, (input != self.item.approval.input).then_some(input));
                    let approval = self.item.approval.clone();
                    self.item = Item { phase, edited, beside: self.item.beside, ..Item::new(approval, cx.world) };
                    self.say(Role::Warn, "This is the input as you changed it. a allows this instead of what was asked.");
                }
            },
        }
    }
}

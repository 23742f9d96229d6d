//! What a key does that means an answer: it passes the gate, and what was not seen, not chosen or not typed yet stops it.

use loopsy_shared::api::approvals::{DecideApproval, Decision};

use super::{
    CONFIRMS, Review, Twice,
    item::{Mode, Phase, Typing},
};
use crate::{
    app::Cx,
    effect::{Effect, Purpose, Timer},
    gate::Refused,
    input::Input,
    look::Role,
    widgets::field::{Field, Outcome},
};

/// A key that means an answer, or leads to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Yes, once.
    Allow,
    /// Yes, though not all of it was seen: what a yes has just warned of. Another key, so that one that is held down cannot say both.
    Unread,
    /// Yes, and keep a rule.
    Always,
    /// This rule, or this choice of a question.
    Digit(usize),
    /// No.
    Deny,
    /// No, with a reason.
    Reason,
    /// No, with the reason that was typed.
    Say,
    /// No, and stop.
    Stop,
    /// Change the input.
    Edit,
    /// Send the same again.
    Again,
}

impl Review {
    /// A key that would be an answer, or lead to one.
    pub(super) fn press(&mut self, answer: Answer, cx: &mut Cx<'_>) {
        let again = matches!((&self.item.phase, answer), (Phase::Late(..), Answer::Again));
        match &self.item.phase {
            Phase::Open if answer != Answer::Again => {}
            Phase::Late(..) if again => {}
            Phase::Failed(_) if answer == Answer::Again => {
                self.item.phase = Phase::Loading;
                return self.ask(cx);
            }
            // Nothing can be answered; the line below the card says why.
            _ => return,
        }
        if cx.settings.is_too_small() {
            // Nothing of it is on the screen.
            return self.gate.disarm();
        }
        if let Some(why) = self.item.why_away(cx.world, cx.now.wall) {
            return self.say(Role::Bad, format!("{why} Nothing was answered."));
        }
        if !cx.world.is_up() {
            return self.say(Role::Bad, "The daemon of this machine does not answer: nothing can be answered now.");
        }
        if self.twice.is_some_and(|twice| !matches!((twice, answer), (Twice::Allow | Twice::Always, Answer::Unread) | (Twice::Rules, Answer::Always))) {
            self.twice = None;
        }
        if let Err(why) = self.gate.take((answer, self.showing), cx) {
            let twice = self.twice;
            match why {
                Refused::Soon => self.say(Role::Warn, "Too soon: a key counts when this was before your eyes for a moment. Nothing was answered."),
                Refused::Bunch => self.say(Role::Warn, "Several keys came at once, as when something is pasted: nothing was answered."),
            }
            self.twice = twice.filter(|_| why == Refused::Soon);
        }
    }

    /// The key stayed alone: it counts.
    pub(super) fn fire(&mut self, answer: Answer, cx: &mut Cx<'_>) {
        if cx.settings.is_too_small() || self.item.away.is_some() {
            return self.gate.disarm();
        }
        match (&self.item.phase, answer) {
            (Phase::Late(_, request), Answer::Again) => {
                let request = (**request).clone();
                return self.send(request, cx);
            }
            (Phase::Open, _) if cx.world.is_up() => {}
            _ => return,
        }
        self.said = None;
        if let Mode::Rules(chosen) = self.item.mode {
            match (answer, chosen) {
                (Answer::Digit(index), _) if index < self.item.approval.suggestions.len() => {
                    self.item.mode = Mode::Rules(Some(index));
                    self.item.version += 1;
                    self.gate.disarm();
                    return self.say(Role::Warn, format!("w again keeps rule {} and allows this. Esc keeps none.", index + 1));
                }
                (Answer::Always | Answer::Unread, Some(index)) => return self.always(index, cx),
                (Answer::Always | Answer::Digit(_), _) => return self.say(Role::Warn, "A digit chooses the rule to keep. Esc keeps none."),
                _ => {
                    self.leave_rules();
                    return self.say(Role::Info, "No rule was kept, and nothing was answered.");
                }
            }
        }
        match answer {
            Answer::Digit(index) => self.choice(index),
            Answer::Allow => self.allow(cx),
            Answer::Unread if self.twice == Some(Twice::Allow) => self.allow(cx),
            Answer::Unread => self.say(Role::Info, "A says yes to what was not read, after a has said how much that is. Nothing was answered."),
            Answer::Always => self.choose(),
            Answer::Deny => self.send(self.item.decide(Decision::Deny, None, None), cx),
            Answer::Stop => self.send(self.item.decide(Decision::Stop, None, None), cx),
            Answer::Reason => self.item.typing = Some(Typing { question: None, field: Field::line(), showing: self.showing }),
            Answer::Say => {
                let text = self.item.typing.take().map(|mut typing| typing.field.take_text()).unwrap_or_default();
                self.gate.disarm();
                if text.trim().is_empty() {
                    return self.say(Role::Info, "No reason was typed, and nothing was answered. d denies without one.");
                }
                self.send(self.item.decide(Decision::Deny, Some(text.trim().to_owned()), None), cx);
            }
            Answer::Edit if !self.item.approval.may_edit || self.item.is_question() => {
                self.say(Role::Info, "The input of this cannot be changed; it can be denied with a reason.");
            }
            Answer::Edit => {
                let text = serde_json::to_string_pretty(self.item.input()).unwrap_or_default();
                self.item.editing = Some(self.showing);
                cx.effect(Effect::Edit(text, Purpose::Input));
            }
            Answer::Again => {}
        }
    }

    fn allow(&mut self, cx: &mut Cx<'_>) {
        if self.item.is_large() {
            return self.say(Role::Warn, "This is too large to be read here, so it cannot be allowed here. d denies it.");
        }
        if let Some(index) = self.item.unanswered().filter(|_| self.item.is_question()) {
            self.item.question = index;
            self.item.version += 1;
            return self.say(Role::Warn, format!("Question {} has no answer yet: a digit chooses one, i types one.", index + 1));
        }
        let unseen = self.item.page.unseen();
        if unseen > 0 && self.twice != Some(Twice::Allow) {
            self.say(Role::Warn, format!("{} not seen. A allows it unread; j and PgDn read on.", lines(unseen)));
            self.twice = Some(Twice::Allow);
            return self.gate.disarm();
        }
        self.send(self.item.decide(Decision::Allow, None, None), cx);
    }

    /// Shows the rules that could be kept.
    fn choose(&mut self) {
        if self.item.approval.suggestions.is_empty() {
            return self.say(Role::Info, "The agent offers no rule to keep. a allows this once.");
        }
        if self.item.is_question() || self.item.edited.is_some() {
            return self.say(Role::Info, "A rule cannot be kept with this answer.");
        }
        let unseen = self.item.page.unseen();
        if self.item.is_large() {
            return self.say(Role::Warn, "This is too large to be read here, so it cannot be allowed here. d denies it.");
        }
        if unseen > 0 && self.twice != Some(Twice::Rules) {
            self.say(Role::Warn, format!("{} not seen. w again goes on to the rules; j and PgDn read on.", lines(unseen)));
            self.twice = Some(Twice::Rules);
            return self.gate.disarm();
        }
        self.item.mode = Mode::Rules(None);
        self.item.version += 1;
        self.gate.disarm();
        self.say(Role::Warn, "Which rule is kept? A digit chooses it, then w confirms. Esc keeps none.");
    }

    fn always(&mut self, index: usize, cx: &mut Cx<'_>) {
        let unseen = self.item.rules.unseen();
        if unseen > 0 && self.twice != Some(Twice::Always) {
            self.say(Role::Warn, format!("{} of the rules not seen. A keeps rule {} unread; j and PgDn read on.", lines(unseen), index + 1));
            self.twice = Some(Twice::Always);
            return self.gate.disarm();
        }
        self.send(self.item.decide(Decision::Always, None, Some(index)), cx);
    }

    pub(super) fn leave_rules(&mut self) {
        self.item.mode = Mode::Card;
        self.item.version += 1;
        self.gate.disarm();
    }

    /// To the local daemon, which passes on what is for a peer.
    fn send(&mut self, request: DecideApproval, cx: &mut Cx<'_>) {
        let number = cx.number();
        self.item.mode = Mode::Card;
        self.item.version += 1;
        self.item.phase = Phase::Sending(number, Box::new(request.clone()));
        self.twice = None;
        self.said = None;
        cx.call(None, request);
        cx.wake(CONFIRMS, Timer::Confirmed(number));
    }

    /// A key while a text is typed.
    pub(super) fn write(&mut self, input: &Input, cx: &mut Cx<'_>) {
        let Some(typing) = &mut self.item.typing else { return };
        match (typing.field.take(input), typing.question) {
            (Outcome::Leave, _) => {
                self.item.typing = None;
                self.gate.disarm();
                self.say(Role::Info, "Nothing was answered.");
            }
            (Outcome::Submit, _) if typing.showing != self.showing => {
                self.item.typing = None;
                self.gate.disarm();
                self.say(Role::Warn, "This changed while you typed: nothing was answered.");
            }
            (Outcome::Submit, None) => self.press(Answer::Say, cx),
            (Outcome::Submit, Some(index)) => {
                let text = typing.field.take_text();
                self.item.typing = None;
                self.gate.disarm();
                if !text.trim().is_empty() {
                    self.item.answer(index, text.trim().to_owned(), false);
                }
            }
            (Outcome::Changed | Outcome::Ignored, _) => {}
        }
    }

    /// A digit.
    pub(super) fn digit(&mut self, cx: &mut Cx<'_>) {
        let digit = self.gate.key().and_then(|key| key.typed()).and_then(|c| c.to_digit(10)).and_then(|digit| usize::try_from(digit).ok()?.checked_sub(1));
        let Some(index) = digit else { return };
        if matches!(self.item.mode, Mode::Rules(_)) || self.item.is_question() {
            self.press(Answer::Digit(index), cx);
        }
    }

    /// A choice of the question that the keys are for. It is guarded like an answer, since a late reply of a terminal has digits in it, and `a` sends what is chosen.
    fn choice(&mut self, index: usize) {
        let Some(question) = self.item.asked() else { return };
        match question.options.get(index).map(|choice| choice.label.clone()) {
            Some(label) => {
                let several = question.multiple;
                self.item.answer(self.item.question, label, several);
            }
            None => self.say(Role::Info, "There is no such choice."),
        }
    }
}

/// `1 line was`, `35 lines were`.
fn lines(count: usize) -> String {
    if count == 1 { "1 line was".to_owned() } else { format!("{count} lines were") }
}

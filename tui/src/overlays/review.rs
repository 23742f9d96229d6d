//! The review of approvals: one at a time, whole, and answered only by a key that somebody meant for it.
//!
//! What is shown changes only by the person's key. After an answer it stays, with what came of it; the next one comes up when the person asks for it, disarmed.
//! So a key that was meant for one can never hit another: between any two there is a key that answers nothing, and 0.4 seconds.

use loopsy_shared::api::approvals::{Approval, DecideApproval, Decision, GetApproval};
use ratatui::layout::Rect;

use super::{Flow, Overlay};
use crate::{
    app::{Canvas, Cx, LEAST},
    effect::{Done, Effect, Purpose, Timer},
    event::{Answered, Event, Failure, Now},
    input::Input,
    keymap::{Command, Scope},
    look::Role,
    request::{Answer as Got, Request},
    widgets::field::{Field, Outcome},
    world::{News, World},
};

mod draw;
mod gate;
mod item;
mod page;

pub(crate) use draw::{summary, tool};
pub(crate) use item::{is_whole, outcome, zone};

use gate::{ALONE, ARMS, Answer, Gate, Refused};
use item::{Item, Key, Mode, Phase, Typing, differs, key_of};

/// How long an answer may take to be confirmed, in milliseconds.
const CONFIRMS: u64 = 3000;

/// A yes that was pressed once although not everything was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Twice {
    Allow,
    Always,
}

/// Its state.
#[derive(Debug)]
pub(crate) struct Review {
    /// What waits, first come first; also the one that is shown, as long as it is shown.
    queue: Vec<Key>,
    item: Item,
    /// Answers that nobody has confirmed yet.
    sent: Vec<(Key, DecideApproval)>,
    gate: Gate,
    /// Counts what was shown anew: a key is for one of them.
    showing: u64,
    twice: Option<Twice>,
    said: Option<(Role, String)>,
}

impl Review {
    /// Of the oldest approval that waits anywhere; none when none does.
    pub(crate) fn oldest(world: &World, now: Now) -> Option<Self> {
        let first = (*world.approvals().first()?).clone();
        Some(Self::of(first, world, now))
    }

    /// Of this one.
    pub(crate) fn of(approval: Approval, world: &World, _now: Now) -> Self {
        let mut queue: Vec<Key> = world.approvals().into_iter().map(key_of).collect();
        let key = key_of(&approval);
        if !queue.contains(&key) {
            queue.push(key);
        }
        let item = Item::new(approval, world);
        Self { queue, item, sent: Vec::new(), gate: Gate::default(), showing: 0, twice: None, said: None }
    }

    fn place(&self) -> usize {
        let key = self.item.key();
        self.queue.iter().position(|known| *known == key).unwrap_or(0)
    }

    fn say(&mut self, role: Role, text: impl Into<String>) {
        self.twice = None;
        self.said = Some((role, text.into()));
    }

    /// What is shown is new to the person: no key counts for a while.
    fn shown_anew(&mut self, cx: &mut Cx<'_>) {
        self.showing += 1;
        self.twice = None;
        self.disarm(cx);
    }

    fn disarm(&mut self, cx: &mut Cx<'_>) {
        self.gate.disarm();
        cx.wake(ARMS, Timer::Armed);
    }

    /// Reads the item as it is now, whole.
    fn ask(&self, cx: &mut Cx<'_>) {
        cx.call(None, GetApproval { id: self.item.approval.id.clone() });
    }

    /// Whether it was answered here, and nothing else waits.
    fn is_done(&self) -> bool {
        matches!(self.item.phase, Phase::Closed(_, true)) && self.queue.len() <= 1
    }

    /// The next one, or the one that took the place of this one.
    fn go(&mut self, later: bool, cx: &mut Cx<'_>) -> Flow {
        let key = self.item.key();
        let at = self.place();
        let over = matches!(self.item.phase, Phase::Closed(..));
        if self.queue.len() <= 1 {
            if over {
                return Flow::Close;
            }
            self.say(Role::Info, "Nothing else waits. Esc closes; this waits on.");
            return Flow::Stay;
        }
        let next = self.queue.get((at + 1) % self.queue.len()).cloned();
        if over || later {
            self.queue.retain(|known| *known != key);
        }
        if later && !over {
            self.queue.push(key);
        }
        let Some(approval) = next.and_then(|next| cx.world.approvals().into_iter().find(|approval| key_of(approval) == next).cloned()) else {
            self.refresh(None, cx);
            return Flow::Stay;
        };
        let beside = self.item.beside;
        self.item = Item { beside, ..Item::new(approval, cx.world) };
        self.said = None;
        self.shown_anew(cx);
        if let Some((_, request)) = self.sent.iter().find(|(known, _)| *known == self.item.key()) {
            self.item.phase = Phase::Late("It was answered from here before, and nobody has confirmed it.".to_owned(), Box::new(request.clone()));
        } else if matches!(self.item.phase, Phase::Loading) {
            self.ask(cx);
        }
        Flow::Stay
    }

    /// Takes up what the world says now; `news` is the approval that it is about, where it is about one.
    fn refresh(&mut self, news: Option<&loopsy_shared::id::ApprovalId>, cx: &mut Cx<'_>) {
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
                self.shown_anew(cx);
            }
            Phase::Open if !differs(&self.item.approval, &now) => {
                // Only how it waits changed: the same is to be judged.
                self.item.approval = now;
                self.item.version += 1;
            }
            Phase::Open | Phase::Closed(..) => {
                self.item.replace(now, cx.world);
                self.shown_anew(cx);
                self.say(Role::Warn, "This changed since you saw it: read it again from the start.");
            }
            Phase::Sending(..) | Phase::Late(..) => {}
        }
    }

    /// It is no longer open.
    fn close(&mut self, how: Option<Approval>, here: bool) {
        let key = self.item.key();
        self.sent.retain(|(known, _)| *known != key);
        self.gate.disarm();
        self.showing += 1;
        self.twice = None;
        self.said = None;
        if matches!(self.item.mode, Mode::Rules(_)) {
            self.item.mode = Mode::Card;
        }
        self.item.phase = Phase::Closed(how.map(Box::new), here);
    }

    /// A key that would be an answer, or lead to one.
    fn press(&mut self, answer: Answer, cx: &mut Cx<'_>) {
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
        if is_too_small(cx) {
            // Nothing of it is on the screen.
            return self.disarm(cx);
        }
        if !cx.world.is_up() {
            return self.say(Role::Bad, "The daemon of this machine does not answer: nothing can be answered now.");
        }
        if self.twice.is_some_and(|twice| !matches!((twice, answer), (Twice::Allow, Answer::Allow) | (Twice::Always, Answer::Always))) {
            self.twice = None;
        }
        let number = cx.number();
        match self.gate.take(answer, self.showing, number, cx.now) {
            Ok(()) => cx.wake(ALONE, Timer::Alone(number)),
            Err(why) => {
                cx.wake(ARMS, Timer::Armed);
                let twice = self.twice;
                match why {
                    Refused::Soon => self.say(Role::Warn, "Too soon: a key counts when this was before your eyes for a moment. Nothing was answered."),
                    Refused::Bunch => self.say(Role::Warn, "Several keys came at once, as when something is pasted: nothing was answered."),
                }
                self.twice = twice.filter(|_| why == Refused::Soon);
            }
        }
    }

    /// The key stayed alone: it counts.
    fn fire(&mut self, answer: Answer, cx: &mut Cx<'_>) {
        if is_too_small(cx) {
            return self.disarm(cx);
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
                (Answer::Rule(index), _) if index < self.item.approval.suggestions.len() => {
                    self.item.mode = Mode::Rules(Some(index));
                    self.item.version += 1;
                    self.disarm(cx);
                    return self.say(Role::Warn, format!("w again keeps rule {} and allows this. Esc keeps none.", index + 1));
                }
                (Answer::Always, Some(index)) => return self.always(index, cx),
                (Answer::Always | Answer::Rule(_), _) => return self.say(Role::Warn, "A digit chooses the rule to keep. Esc keeps none."),
                _ => {
                    self.leave_rules(cx);
                    return self.say(Role::Info, "No rule was kept, and nothing was answered.");
                }
            }
        }
        match answer {
            Answer::Allow => self.allow(cx),
            Answer::Always => self.choose(cx),
            Answer::Deny => self.send(self.item.decide(Decision::Deny, None, None), cx),
            Answer::Stop => self.send(self.item.decide(Decision::Stop, None, None), cx),
            Answer::Reason => self.item.typing = Some(Typing { question: None, field: Field::line(), showing: self.showing }),
            Answer::Say => {
                let text = self.item.typing.take().map(|mut typing| typing.field.take_text()).unwrap_or_default();
                self.disarm(cx);
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
            Answer::Rule(_) | Answer::Again => {}
        }
    }

    fn allow(&mut self, cx: &mut Cx<'_>) {
        if let Some(index) = self.item.unanswered().filter(|_| self.item.is_question()) {
            self.item.question = index;
            self.item.version += 1;
            return self.say(Role::Warn, format!("Question {} has no answer yet: a digit chooses one, i types one.", index + 1));
        }
        let unseen = self.item.page.unseen();
        if unseen > 0 && self.twice != Some(Twice::Allow) {
            self.say(Role::Warn, format!("{} not seen. a again allows it unread; j and PgDn read on.", lines(unseen)));
            self.twice = Some(Twice::Allow);
            return self.disarm(cx);
        }
        self.send(self.item.decide(Decision::Allow, None, None), cx);
    }

    /// Shows the rules that could be kept.
    fn choose(&mut self, cx: &mut Cx<'_>) {
        if self.item.approval.suggestions.is_empty() {
            return self.say(Role::Info, "The agent offers no rule to keep. a allows this once.");
        }
        if self.item.is_question() || self.item.edited.is_some() {
            return self.say(Role::Info, "A rule cannot be kept with this answer.");
        }
        let unseen = self.item.page.unseen();
        if unseen > 0 && self.twice != Some(Twice::Always) {
            self.say(Role::Warn, format!("{} not seen. w again goes on to the rules; j and PgDn read on.", lines(unseen)));
            self.twice = Some(Twice::Always);
            return self.disarm(cx);
        }
        self.item.mode = Mode::Rules(None);
        self.item.version += 1;
        self.disarm(cx);
        self.say(Role::Warn, "Which rule is kept? A digit chooses it, then w confirms. Esc keeps none.");
    }

    fn always(&mut self, index: usize, cx: &mut Cx<'_>) {
        let unseen = self.item.rules.unseen();
        if unseen > 0 && self.twice != Some(Twice::Always) {
            self.say(Role::Warn, format!("{} of the rules not seen. w again keeps rule {} unread; j and PgDn read on.", lines(unseen), index + 1));
            self.twice = Some(Twice::Always);
            return self.disarm(cx);
        }
        self.send(self.item.decide(Decision::Always, None, Some(index)), cx);
    }

    fn leave_rules(&mut self, cx: &mut Cx<'_>) {
        self.item.mode = Mode::Card;
        self.item.version += 1;
        self.disarm(cx);
    }

    /// To the local daemon, which passes on what is for a peer.
    fn send(&mut self, request: DecideApproval, cx: &mut Cx<'_>) {
        let (number, key) = (cx.number(), self.item.key());
        self.sent.retain(|(known, _)| *known != key);
        self.sent.push((key, request.clone()));
        self.item.mode = Mode::Card;
        self.item.version += 1;
        self.item.phase = Phase::Sending(number, Box::new(request.clone()));
        self.twice = None;
        self.said = None;
        cx.call(None, request);
        cx.wake(CONFIRMS, Timer::Confirmed(number));
    }

    fn answered(&mut self, answered: &Answered, cx: &mut Cx<'_>) {
        match (&answered.request, &answered.result) {
            (Request::DecideApproval(request), result) => self.confirmed(request, result, cx),
            (Request::GetApproval(request), result) if request.id == self.item.approval.id => {
                self.read(result, cx);
            }
            _ => {}
        }
    }

    /// What came of an answer.
    fn confirmed(&mut self, request: &DecideApproval, result: &Result<Got, Failure>, cx: &mut Cx<'_>) {
        let shown = request.id == self.item.approval.id;
        let waits = matches!(&self.item.phase, Phase::Sending(_, sent) | Phase::Late(_, sent) if shown && sent.id == request.id);
        match result {
            Ok(Got::DecideApproval(now)) => {
                self.sent.retain(|((_, id), _)| *id != request.id);
                if !shown {
                    return cx.note(format!("{}: {}", now.tool, item::outcome(Some(now), cx.now.wall)));
                }
                if key_of(now) != self.item.key() {
                    return;
                }
                if now.state.is_open() {
                    self.item.phase = Phase::Open;
                    self.content((**now).clone(), cx);
                    self.shown_anew(cx);
                    return self.say(Role::Warn, "The daemon took the answer, and the agent still waits. Look at it again.");
                }
                self.close(Some((**now).clone()), true);
            }
            Ok(_) => {}
            Err(failure) => {
                let unknown = failure.status.is_none();
                if !unknown {
                    self.sent.retain(|((_, id), _)| *id != request.id);
                }
                if !shown {
                    return cx.bad(format!("An answer did not count: {}", failure.message));
                }
                if !waits {
                    return;
                }
                match failure.status {
                    None => self.item.phase = Phase::Late(failure.message.clone(), Box::new(request.clone())),
                    Some(409 | 404) => {
                        // What it is now decides what to say; until then nothing can be answered.
                        self.item.phase = Phase::Loading;
                        self.shown_anew(cx);
                        self.say(Role::Bad, failure.message.clone());
                        self.ask(cx);
                    }
                    Some(_) => {
                        self.item.phase = Phase::Open;
                        self.shown_anew(cx);
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
    fn edited(&mut self, result: &Result<Option<String>, String>, cx: &mut Cx<'_>) {
        let Some(showing) = self.item.editing.take() else { return };
        if showing != self.showing || !matches!(self.item.phase, Phase::Open) {
            return self.say(Role::Warn, "This changed while you edited: what you wrote was not taken.");
        }
        self.shown_anew(cx);
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

    /// A key while a text is typed.
    fn write(&mut self, input: &Input, cx: &mut Cx<'_>) {
        let Some(typing) = &mut self.item.typing else { return };
        match (typing.field.take(input), typing.question) {
            (Outcome::Leave, _) => {
                self.item.typing = None;
                self.disarm(cx);
                self.say(Role::Info, "Nothing was answered.");
            }
            (Outcome::Submit, _) if typing.showing != self.showing => {
                self.item.typing = None;
                self.disarm(cx);
                self.say(Role::Warn, "This changed while you typed: nothing was answered.");
            }
            (Outcome::Submit, None) => self.press(Answer::Say, cx),
            (Outcome::Submit, Some(index)) => {
                let text = typing.field.take_text();
                self.item.typing = None;
                self.disarm(cx);
                if !text.trim().is_empty() {
                    self.item.answer(index, text.trim().to_owned(), false);
                }
            }
            (Outcome::Changed | Outcome::Ignored, _) => {}
        }
    }

    /// A digit.
    fn digit(&mut self, cx: &mut Cx<'_>) {
        let digit = self.gate.key().and_then(|key| key.typed()).and_then(|c| c.to_digit(10)).and_then(|digit| usize::try_from(digit).ok()?.checked_sub(1));
        let Some(index) = digit else { return };
        if matches!(self.item.mode, Mode::Rules(_)) {
            return self.press(Answer::Rule(index), cx);
        }
        if !self.item.is_question() || !matches!(self.item.phase, Phase::Open) {
            return;
        }
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

/// Whether the window has no room for anything but a line that says so.
const fn is_too_small(cx: &Cx<'_>) -> bool {
    cx.settings.size.0 < LEAST.0 || cx.settings.size.1 < LEAST.1
}

/// `1 line was`, `35 lines were`.
fn lines(count: usize) -> String {
    if count == 1 { "1 line was".to_owned() } else { format!("{count} lines were") }
}

impl Overlay for Review {
    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::Review]
    }

    fn is_typing(&self) -> bool {
        self.item.typing.is_some()
    }

    fn opened(&mut self, cx: &mut Cx<'_>) {
        self.disarm(cx);
        if matches!(self.item.phase, Phase::Loading) {
            self.ask(cx);
        }
    }

    fn noticed(&mut self, input: &Input, cx: &mut Cx<'_>) {
        if self.gate.notice(input, cx.now) {
            cx.wake(ARMS, Timer::Armed);
            self.say(Role::Warn, "Another key came right after it: nothing was answered.");
        }
    }

    fn act(&mut self, command: Command, cx: &mut Cx<'_>) -> Flow {
        if self.is_done() && !matches!(command, Command::Help | Command::Interrupt) {
            return Flow::Close;
        }
        let answer = match command {
            Command::Allow => Answer::Allow,
            Command::Always => Answer::Always,
            Command::Deny => Answer::Deny,
            Command::DenyReason => Answer::Reason,
            Command::DenyStop => Answer::Stop,
            Command::Edit => Answer::Edit,
            Command::Refresh => Answer::Again,
            command => {
                self.twice = None;
                return self.other(command, cx);
            }
        };
        self.press(answer, cx);
        Flow::Stay
    }

    fn typed(&mut self, input: &Input, cx: &mut Cx<'_>) -> Flow {
        if self.item.typing.is_some() {
            self.write(input, cx);
            return Flow::Stay;
        }
        self.twice = None;
        if self.is_done() && matches!(input, Input::Key(_)) {
            return Flow::Close;
        }
        // Keys that mean nothing here may be a terminal's late reply, with one that means something in it.
        self.gate.noise(cx.now);
        cx.wake(ARMS, Timer::Armed);
        if matches!(input, Input::Paste(_)) {
            self.say(Role::Warn, "Something was pasted: it was thrown away, and nothing was answered.");
        }
        Flow::Stay
    }

    fn news(&mut self, news: &News, cx: &mut Cx<'_>) -> Flow {
        match news {
            News::All | News::Picture(_) => self.refresh(None, cx),
            News::Approval(id) => self.refresh(Some(id), cx),
            News::Link | News::Status | News::Topic(_) => {}
        }
        Flow::Stay
    }

    fn event(&mut self, event: &Event, cx: &mut Cx<'_>) -> Flow {
        match event {
            Event::Answer(answered) => self.answered(answered, cx),
            Event::Did(Done::Text(Purpose::Input, result)) => self.edited(result, cx),
            Event::Woke(Timer::Alone(number)) => {
                if let Some(answer) = self.gate.fire(*number, self.showing, cx.now) {
                    self.fire(answer, cx);
                }
            }
            Event::Woke(Timer::Confirmed(number)) => {
                if let Phase::Sending(sent, request) = &self.item.phase
                    && sent == number
                {
                    self.item.phase = Phase::Late("nobody has confirmed it in 3 seconds.".to_owned(), request.clone());
                }
            }
            Event::Woke(Timer::Armed) => {
                // The status line says when keys count; it was put off when something came in between.
                if let Some(at) = self.gate.arms_at().filter(|at| cx.now.since < *at) {
                    cx.wake(at - cx.now.since, Timer::Armed);
                }
            }
            _ => cx.nothing_to_see(),
        }
        Flow::Stay
    }

    fn mode(&self) -> &'static str {
        if self.item.typing.is_some() { "INPUT" } else { "REVIEW" }
    }

    fn status(&self) -> String {
        self.status_line()
    }

    fn view(&self, area: Rect, canvas: &mut Canvas<'_>) {
        self.draw(area, canvas);
    }
}

impl Review {
    /// Keys that answer nothing.
    fn other(&mut self, command: Command, cx: &mut Cx<'_>) -> Flow {
        match command {
            Command::Back if matches!(self.item.mode, Mode::Rules(_)) => {
                self.leave_rules(cx);
                self.say(Role::Info, "No rule was kept, and nothing was answered.");
            }
            Command::Back => return Flow::Close,
            Command::NextItem => return self.go(false, cx),
            Command::Later => return self.go(true, cx),
            Command::Help | Command::Interrupt => cx.replay(None, command),
            Command::Copy => {
                let input = self.item.input();
                let text = input["command"].as_str().map_or_else(|| serde_json::to_string_pretty(input).unwrap_or_default(), str::to_owned);
                cx.copy(text);
            }
            Command::View if !matches!(self.item.mode, Mode::Rules(_)) => {
                self.item.mode = if self.item.mode == Mode::Raw { Mode::Card } else { Mode::Raw };
                self.item.version += 1;
            }
            Command::SideBySide if self.item.approval.diff.is_none() => self.say(Role::Info, "There is no change of a file to show side by side."),
            Command::SideBySide => {
                self.item.beside = !self.item.beside;
                self.item.version += 1;
                if self.item.beside && cx.settings.size.0 < draw::BESIDE {
                    self.say(Role::Info, format!("Side by side needs a window of {} columns.", draw::BESIDE));
                }
            }
            Command::NextHunk | Command::PreviousHunk if !self.item.now().has_hunks() => self.say(Role::Info, "There is no change of a file here."),
            Command::Choose => self.digit(cx),
            Command::Type if self.item.is_question() && matches!(self.item.phase, Phase::Open) => {
                self.item.typing = Some(Typing { question: Some(self.item.question), field: Field::line(), showing: self.showing });
            }
            command => self.item.now().scroll(command),
        }
        Flow::Stay
    }
}

#[cfg(test)]
mod tests;

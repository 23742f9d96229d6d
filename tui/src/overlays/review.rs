//! The review of approvals: one at a time, whole, and answered only by a key that somebody meant for it.
//!
//! What is shown changes only by the person's key. After an answer it stays, with what came of it; the next one comes up when the person asks for it, disarmed.
//! So a key that was meant for one can never hit another: between any two there is a key that answers nothing, and 0.4 seconds.

use loopsy_shared::api::approvals::{Approval, GetApproval};
use ratatui::layout::Rect;

use super::{Flow, Overlay};
use crate::{
    app::{Canvas, Cx},
    effect::{Done, Purpose, Timer},
    event::{Event, Now},
    gate::Gate,
    input::Input,
    keymap::{Command, Scope},
    look::Role,
    widgets::field::Field,
    world::{News, World},
};

mod answer;
mod draw;
mod heard;
mod item;
mod page;

pub(crate) use draw::{summary, tool};
pub(crate) use item::{is_whole, outcome, zone};

use answer::Answer;
use item::{Item, Key, Mode, Phase, Typing, key_of};

/// How long a card is shown before a key counts, in milliseconds.
const LOOKS: u64 = 400;
/// How long an answer may take to be confirmed, in milliseconds.
const CONFIRMS: u64 = 3000;

/// A yes that was pressed once although not everything was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Twice {
    /// To a yes.
    Allow,
    /// To see the rules.
    Rules,
    /// To a rule.
    Always,
}

/// Its state.
#[derive(Debug)]
pub(crate) struct Review {
    /// What waits, first come first; also the one that is shown, as long as it is shown.
    queue: Vec<Key>,
    item: Item,
    /// For answers, each with the showing that it is for.
    gate: Gate<(Answer, u64), LOOKS>,
    /// Counts what was shown anew: a key is for one of them.
    showing: u64,
    twice: Option<Twice>,
    said: Option<(Role, String)>,
}

impl Review {
    /// Of the oldest approval that waits anywhere, first those that can be answered now; none when none waits.
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
        Self { queue, item, gate: Gate::default(), showing: 0, twice: None, said: None }
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
    fn shown_anew(&mut self) {
        self.showing += 1;
        self.twice = None;
        self.gate.disarm();
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
        self.shown_anew();
        if matches!(self.item.phase, Phase::Loading) {
            self.ask(cx);
        }
        Flow::Stay
    }
}

impl Overlay for Review {
    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::Review]
    }

    fn is_typing(&self) -> bool {
        self.item.typing.is_some()
    }

    fn opened(&mut self, cx: &mut Cx<'_>) {
        self.gate.disarm();
        if matches!(self.item.phase, Phase::Loading) {
            self.ask(cx);
        }
    }

    fn noticed(&mut self, input: &Input, cx: &mut Cx<'_>) {
        if self.gate.notice(input, cx) {
            self.say(Role::Warn, "Another key came right after it: nothing was answered.");
        }
    }

    fn act(&mut self, command: Command, cx: &mut Cx<'_>) -> Flow {
        if self.is_done() && !matches!(command, Command::Help | Command::Interrupt) {
            return Flow::Close;
        }
        let answer = match command {
            Command::Allow => Answer::Allow,
            Command::AllowUnread => Answer::Unread,
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
        self.gate.noise(cx);
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
                if let Some((answer, _)) = self.gate.fire(*number, cx).filter(|(_, showing)| *showing == self.showing) {
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
            // The status line says when keys count.
            Event::Woke(Timer::Armed) => self.gate.wake(cx),
            _ => cx.nothing_to_see(),
        }
        Flow::Stay
    }

    fn painted(&mut self, seen: bool, cx: &mut Cx<'_>) {
        self.gate.painted(seen, cx);
    }

    fn mode(&self) -> &'static str {
        if self.item.typing.is_some() { "INPUT" } else { "REVIEW" }
    }

    fn hints(&self) -> &'static [(&'static str, &'static str)] {
        // What is closed takes no answer, and one to a machine that is out of reach would not arrive.
        match self.item.phase {
            Phase::Closed(..) if self.queue.len() > 1 => &[("Tab", "next"), ("Esc", "close"), ("v", "raw"), ("y", "copy")],
            Phase::Closed(..) => &[("Esc", "close"), ("v", "raw"), ("y", "copy")],
            _ if self.item.away.is_some() && !self.is_typing() => &[("s", "later"), ("Tab", "next"), ("Esc", "close"), ("v", "raw"), ("y", "copy")],
            _ => &[],
        }
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
                self.leave_rules();
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

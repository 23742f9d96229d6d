//! Pairing with another machine: an invite or a code, then two people compare six digits.
//!
//! Only one thing says that the digits are the same: the key for it, pressed alone, at least a second after the digits were in view, with nothing right after it;
//! or, where the config asks for that, the six digits of the other screen typed one by one. Enter, pastes, the mouse and the palette never do.

use std::{cell::RefCell, rc::Rc};

use loopsy_shared::{
    api::{
        Scope as Right,
        events::Topic,
        pairing::{PairingStarted, PairingState, PairingStatus, StartPairing},
    },
    config::DEFAULT_PORT,
    id::NodeId,
};
use ratatui::layout::Rect;

use super::{Tab, Typing, Visit};
use crate::{
    app::{Canvas, Cx},
    effect::Timer,
    event::Event,
    gate::Gate,
    input::Input,
    keymap::{Command, Scope},
    widgets::list::List,
    world::{News, World},
};

mod big;
mod compare;
mod follow;
mod forms;
#[cfg(test)]
mod tests;
mod view;

/// Milliseconds that the digits must be in view before a key decides.
const LOOKS: u64 = 1000;
/// Milliseconds between two questions when the first was answered at once with nothing new, or not at all.
const BREATH: u64 = 1000;
/// Wrong codes after which an invite is over.
const MOST_WRONG: u32 = 3;

/// What a person chose in a form.
#[derive(Debug, Default)]
struct Chosen {
    /// What the other machine may do here; what it gets by default when none.
    rights: Option<Vec<Right>>,
    /// The address that was typed last, for another try.
    address: String,
    /// It is gone to, and that is not answered yet.
    joining: bool,
}

/// Its state.
#[derive(Debug, Default)]
pub(crate) struct Pairing {
    front: bool,
    status: Option<PairingStatus>,
    /// What this screen invited with.
    invite: Option<PairingStarted>,
    /// A start or a join that failed: why.
    failed: Option<String>,
    /// How the daemon is asked, while it has not answered: since when, and after which change.
    asked: Option<(u64, Option<u64>)>,
    /// Another daemon may run now: what is known is of no use before it has said how things are.
    anew: bool,
    /// Why it did not answer.
    lost: Option<String>,
    /// When the daemon is asked again.
    ask_at: Option<u64>,
    /// When the seconds are shown anew.
    tick_at: Option<u64>,
    /// The digits that are compared.
    compared: Option<String>,
    /// For keys that say whether they are the same.
    gate: Gate<bool, LOOKS>,
    /// What this screen's person said, until the daemon says the same.
    decided: Option<bool>,
    words: bool,
    /// The config asks for the digits of the other screen.
    type_code: bool,
    typing: bool,
    /// What of them was typed.
    digits: String,
    /// What the forms leave here.
    chosen: Rc<RefCell<Chosen>>,
    list: List<NodeId>,
}

impl Pairing {
    fn is_active(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.active)
    }

    fn state(&self) -> Option<PairingState> {
        self.status.as_ref().filter(|status| status.active)?.state
    }

    /// What this screen's person answered.
    fn answered(&self) -> Option<bool> {
        self.decided.or(self.status.as_ref()?.answered)
    }

    /// Shows the seconds, while there are any to show and somebody looks.
    fn tick(&mut self, cx: &mut Cx<'_>) {
        if self.front && self.is_active() && self.tick_at.is_none() {
            self.tick_at = Some(cx.now.since + 1000);
            cx.wake(1000, Timer::Second);
        }
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        self.failed = None;
        cx.call(None, StartPairing { scopes: self.chosen.borrow().rights.clone() });
    }

    fn change(&self) -> u64 {
        self.status.as_ref().map_or(0, |status| status.change)
    }

    /// What a person types on the other machine.
    fn command(&self, world: &World) -> Option<String> {
        let address = self.invite.as_ref()?.addresses.first().map_or_else(|| world.here().to_owned(), |address| short_place(address));
        Some(format!("loopsy pair {address}"))
    }
}

/// Nothing is under way.
const fn nothing() -> PairingStatus {
    PairingStatus { active: false, state: None, sas: None, expires_at: None, peer: None, answered: None, wrong_codes: 0, outcome: None, change: 0 }
}

/// What to type for an address of this machine: without the port where it is the usual one.
fn short_place(address: &str) -> String {
    match address.parse::<std::net::SocketAddr>() {
        Ok(at) if at.port() == DEFAULT_PORT => at.ip().to_string(),
        _ => address.to_owned(),
    }
}

impl Tab for Pairing {
    fn act(&mut self, command: Command, cx: &mut Cx<'_>) {
        let comparing = self.is_comparing();
        match command {
            Command::Same if comparing => self.decide(true, cx),
            Command::Different if comparing => self.decide(false, cx),
            Command::Words if comparing => self.words = !self.words,
            Command::Type if comparing && self.type_code => self.typing = true,
            Command::Leave => self.typing = false,
            Command::Copy => {
                let digits = self.compared.as_deref().map(big::spaced);
                if let Some(text) = digits.filter(|_| comparing).or_else(|| self.command(cx.world)) {
                    cx.copy(text);
                }
            }
            Command::Back if comparing => {
                cx.note("Nothing is decided yet: m when both screens show the same, x when they do not. Without an answer nothing is stored.");
            }
            Command::New => self.start(cx),
            Command::Join => self.join(cx),
            Command::Stop if self.is_active() => self.cancel(cx),
            Command::Rights => self.choose_rights(cx),
            Command::Refresh => {
                self.lost = None;
                self.ask(cx);
            }
            command => {
                let keys = view::paired(cx.world);
                self.list.act(command, &keys);
            }
        }
    }

    fn typing(&self) -> Option<Typing> {
        (self.typing && self.is_comparing()).then_some(Typing::Field)
    }

    fn typed(&mut self, input: &Input, cx: &mut Cx<'_>) {
        match input {
            Input::Key(press) => self.digit(press, cx),
            Input::Paste(_) => cx.note("What is pasted does not count: type what the other screen shows."),
            Input::Mouse(_) | Input::Unknown(_) => {}
        }
    }

    fn noticed(&mut self, input: &Input, cx: &mut Cx<'_>) {
        if self.gate.notice(input, cx) {
            cx.note("Something else came right after the key, so it does not count. Press it alone.");
        }
    }

    fn strayed(&mut self, cx: &mut Cx<'_>) {
        self.gate.noise(cx);
    }

    fn painted(&mut self, seen: bool, cx: &mut Cx<'_>) {
        self.gate.painted(seen, cx);
    }

    fn shown(&mut self, front: bool, cx: &mut Cx<'_>) {
        self.front = front;
        self.type_code = cx.settings.type_code;
        self.gate.disarm();
        self.typing = front && self.type_code && self.is_comparing();
        self.tick(cx);
        self.ask(cx);
    }

    fn visit(&mut self, visit: Visit, cx: &mut Cx<'_>) {
        if visit == Visit::Pair && !self.is_active() && cx.world.is_up() {
            self.start(cx);
        }
    }

    fn news(&mut self, news: &News, cx: &mut Cx<'_>) {
        self.type_code = cx.settings.type_code;
        match news {
            News::All => {
                // What the daemon counts begins anew with it: what it is asked now is not about a change, and what was asked before counts no more.
                self.anew = true;
                self.asked = None;
                self.gate.disarm();
                self.ask(cx);
            }
            News::Link => self.ask(cx),
            // Somebody began a pairing, here or on the other machine.
            News::Topic(Topic::Pairing) if self.asked.is_none() && cx.world.is_up() => self.ask_after(None, cx),
            _ => {}
        }
    }

    fn event(&mut self, event: &Event, cx: &mut Cx<'_>) {
        match event {
            Event::Answer(answered) => self.got(answered, cx),
            Event::Woke(Timer::Alone(number)) => self.decided(*number, cx),
            Event::Woke(Timer::Armed) => self.gate.wake(cx),
            Event::Woke(Timer::Second) => {
                if self.ask_at.is_some_and(|at| at <= cx.now.since) {
                    self.ask_at = None;
                    self.ask(cx);
                }
                if self.tick_at.is_some_and(|at| at <= cx.now.since) {
                    self.tick_at = None;
                    self.tick(cx);
                }
            }
            _ => {}
        }
    }

    fn scopes(&self) -> Vec<Scope> {
        if self.is_comparing() { vec![Scope::Compare] } else { Vec::new() }
    }

    fn why_not(&self, command: Command, world: &World) -> Option<String> {
        if command == Command::Sort {
            return Some("There is no list here that could be sorted.".to_owned());
        }
        let why = match command {
            Command::Same | Command::Different | Command::Words if !self.is_comparing() => "There is nothing to compare.",
            Command::Same if self.type_code => "On this machine the digits of the other screen are typed: i.",
            Command::Type if !self.is_comparing() => "There is nothing to compare.",
            Command::Type if !self.type_code => "The digits are compared, and not typed: m or x. `pairing.typeCode` of the config changes that.",
            Command::New | Command::Join | Command::Stop | Command::Same | Command::Different if !world.is_up() => {
                "The daemon of this machine does not answer. r tries again."
            }
            Command::New | Command::Join if self.is_active() => "A pairing is under way. x cancels it.",
            Command::Join if self.chosen.borrow().joining => "Another machine is being asked already.",
            Command::Rights if self.is_active() => {
                "A pairing is under way, and it was said before what the other machine may do. 2, then R, changes it afterwards."
            }
            Command::Stop if !self.is_active() => "No pairing is under way.",
            Command::Copy if !self.is_comparing() && self.command(world).is_none() => {
                "There is nothing to copy. n makes an invite, with the command for the other machine."
            }
            _ => return None,
        };
        Some(why.to_owned())
    }

    fn status(&self, world: &World) -> String {
        self.status_line(world)
    }

    fn view(&self, area: Rect, canvas: &mut Canvas<'_>) {
        self.draw(area, canvas);
    }
}

//! Pairing with another machine: an invite or a code, then two people compare six digits.
//!
//! Only one thing says that the digits are the same: the key for it, pressed alone, at least a second after the digits were in view, with nothing right after it;
//! or, where the config asks for that, the six digits of the other screen typed one by one. Enter, pastes, the mouse and the palette never do.

use std::{cell::RefCell, rc::Rc};

use loopsy_shared::{
    api::{
        Scope as Right,
        events::Topic,
        pairing::{ConfirmPairing, GetPairing, JoinPairing, PairingEnd, PairingStarted, PairingState, PairingStatus, StartPairing},
    },
    config::DEFAULT_PORT,
    id::NodeId,
    secret::Secret,
};
use ratatui::layout::Rect;

use super::{Tab, Typing, Visit};
use crate::{
    app::{Canvas, Cx},
    effect::Timer,
    event::{Answered, Event, Now},
    input::{Input, Press},
    key::Code,
    keymap::{Command, Scope},
    overlays::{
        confirm::Confirm,
        form::{Form, Row},
    },
    request::{Answer, Request},
    widgets::list::List,
    world::{News, World},
};

mod big;
#[cfg(test)]
mod tests;
mod view;

/// Milliseconds that the digits must be in view before a key decides.
const ARMED: u64 = 1000;
/// Milliseconds after a key that decides in which nothing else may come.
const ALONE: u64 = 40;
/// Milliseconds between two questions when the first was answered at once with nothing new, or not at all.
const BREATH: u64 = 1000;
/// Wrong codes after which an invite is over.
const MOST_WRONG: u32 = 3;

/// A decision whose key may turn out not to have come alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Decision {
    number: u64,
    same: bool,
}

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
    /// How the daemon is asked: since when, while it has not answered.
    asked: Option<u64>,
    /// Why it did not answer.
    lost: Option<String>,
    /// When the daemon is asked again.
    ask_at: Option<u64>,
    /// When the seconds are shown anew.
    tick_at: Option<u64>,
    /// The digits that are compared, and since when they are in view.
    compared: Option<(String, Option<u64>)>,
    decision: Option<Decision>,
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

    /// Whether there are digits that nobody has answered for.
    fn is_comparing(&self) -> bool {
        self.state() == Some(PairingState::KeyExchanged) && self.compared.is_some() && self.answered().is_none()
    }

    fn is_armed(&self, now: Now) -> bool {
        self.front && self.is_comparing() && matches!(self.compared, Some((_, Some(since))) if now.since >= since.saturating_add(ARMED))
    }

    /// Asks how far the pairing is, unless that was asked already. Waits for a change when the last one is known.
    fn ask(&mut self, cx: &mut Cx<'_>) {
        if self.asked.is_some() || !cx.world.is_up() || !(self.front || self.is_active()) {
            return;
        }
        self.asked = Some(cx.now.since);
        self.ask_at = None;
        let after = self.status.as_ref().map(|status| status.change);
        cx.call(None, GetPairing { after });
    }

    /// Asks again a little later.
    fn ask_later(&mut self, cx: &mut Cx<'_>) {
        self.ask_at = Some(cx.now.since + BREATH);
        cx.wake(BREATH, Timer::Second);
    }

    /// Shows the seconds, while there are any to show and somebody looks.
    fn tick(&mut self, cx: &mut Cx<'_>) {
        if self.front && self.is_active() && self.tick_at.is_none() {
            self.tick_at = Some(cx.now.since + 1000);
            cx.wake(1000, Timer::Second);
        }
    }

    /// Takes what the daemon says.
    fn take(&mut self, status: PairingStatus, cx: &mut Cx<'_>) {
        let was_active = self.is_active();
        let peer = status.peer.as_ref().map_or_else(|| "The other machine".to_owned(), |peer| format!("`{}`", peer.hostname));
        let digits = status.sas.clone().filter(|_| status.active && status.state == Some(PairingState::KeyExchanged));
        if digits.as_ref() != self.compared.as_ref().map(|(digits, _)| digits) {
            self.compared = digits.map(|digits| (digits, None));
            (self.decision, self.decided) = (None, None);
            self.digits.clear();
            self.typing = self.compared.is_some() && self.type_code;
            if self.compared.is_some() && !self.front {
                cx.note(format!("{peer} is there: 7 shows the digits that you compare."));
            }
        }
        if !status.active || status.answered.is_some() {
            (self.decision, self.decided, self.typing) = (None, None, false);
        }
        if !status.active {
            self.invite = None;
            if let Some(outcome) = status.outcome.as_ref().filter(|_| was_active) {
                let hint = outcome.hint.as_deref().map(|hint| format!(" {hint}")).unwrap_or_default();
                match outcome.end {
                    PairingEnd::Paired => cx.good(format!("Paired with {peer}.")),
                    PairingEnd::Cancelled => cx.note(outcome.message.clone()),
                    _ => cx.bad(format!("{}{hint} 7, then n or e, tries again.", outcome.message)),
                }
            }
        } else if self.invite.as_ref().is_some_and(|invite| status.expires_at.is_some_and(|at| at != invite.expires_at)) {
            // Another pairing was begun on this machine.
            self.invite = None;
        }
        self.status = Some(status);
        self.arm(cx);
        self.tick(cx);
    }

    /// The second begins when the digits are in view.
    fn arm(&mut self, cx: &mut Cx<'_>) {
        if self.front
            && let Some((_, since @ None)) = &mut self.compared
        {
            *since = Some(cx.now.since);
            cx.wake(ARMED, Timer::Second);
        }
    }

    /// A key says that the digits are the same, or not. It counts when nothing else comes right after it.
    fn decide(&mut self, same: bool, alone: bool, cx: &mut Cx<'_>) {
        if !self.is_armed(cx.now) {
            return cx.note("Read the digits on both screens first; then the key counts.");
        }
        if !alone {
            return cx.note("That key came together with others, so it does not count. Press it alone.");
        }
        let number = cx.number();
        self.decision = Some(Decision { number, same });
        cx.wake(ALONE, Timer::Alone(number));
    }

    /// The key stood alone.
    fn decided(&mut self, number: u64, cx: &mut Cx<'_>) {
        let Some(decision) = self.decision.take_if(|decision| decision.number == number) else { return };
        if !self.is_armed(cx.now) {
            return;
        }
        self.decided = Some(decision.same);
        self.typing = false;
        cx.call(None, ConfirmPairing { confirmed: Some(decision.same), ..ConfirmPairing::default() });
    }

    /// A digit of the other screen.
    fn digit(&mut self, press: &Press, cx: &mut Cx<'_>) {
        match press.key.code {
            Code::Backspace => drop(self.digits.pop()),
            Code::Char('x') => self.decide(false, press.alone, cx),
            Code::Char('e') => self.words = !self.words,
            Code::Char(c @ '0'..='9') if !press.key.ctrl && !press.key.alt => {
                if !self.is_armed(cx.now) || !press.alone {
                    return cx.note("Type what the other screen shows, one digit after the other. What comes at once does not count.");
                }
                self.digits.push(c);
                if self.digits.len() < 6 {
                    return;
                }
                let typed = std::mem::take(&mut self.digits);
                if self.compared.as_ref().is_some_and(|(digits, _)| *digits == typed) {
                    self.decide(true, press.alone, cx);
                } else {
                    cx.bad("These are not the digits of this screen. Look again at the other one; if it really shows them, press x: nothing is stored then.");
                }
            }
            _ => {}
        }
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        self.failed = None;
        cx.call(None, StartPairing { scopes: self.chosen.borrow().rights.clone() });
    }

    fn join(&self, cx: &mut Cx<'_>) {
        let near: Vec<String> = cx.world.peers.values().filter(|peer| !peer.paired).map(|peer| peer.hostname.clone()).take(6).collect();
        let hint = if near.is_empty() { "a name or an address, such as 192.168.1.20".to_owned() } else { format!("found nearby: {}", near.join(", ")) };
        let known = self.chosen.borrow().address.clone();
        let address = if known.is_empty() && near.len() == 1 { near.concat() } else { known };
        let chosen = Rc::clone(&self.chosen);
        let rows = vec![Row::line("Address", hint).with(&address), Row::line("Invite code", "")];
        let form = Form::new(cx, "Enter the code that another machine shows", rows, move |values, cx| {
            let typed = values.first().copied().unwrap_or_default();
            let (address, port) = place(typed)?;
            let code: String = values.get(1).copied().unwrap_or_default().chars().filter(|c| !matches!(c, ' ' | '-')).collect();
            if code.len() != 6 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err("An invite code has six digits. The other machine shows it: `loopsy pair`, or 7 and n in its control centre.".to_owned());
            }
            let mut chosen = chosen.borrow_mut();
            (chosen.address, chosen.joining) = (typed.trim().to_owned(), true);
            cx.call(None, JoinPairing { address, port, invite_code: Secret::new(code), scopes: chosen.rights.clone() });
            Ok(())
        });
        cx.open(form);
    }

    fn cancel(&self, cx: &mut Cx<'_>) {
        let (title, effect) = match self.state() {
            Some(PairingState::KeyExchanged) => ("Cancel the pairing?", "Nothing is stored, and the other machine is told."),
            _ => ("Cancel the invite?", "The code is good for nothing then. n makes another one."),
        };
        let confirm = Confirm::letter(cx, 'X', title, effect, |cx| {
            cx.call(None, ConfirmPairing { confirmed: Some(false), ..ConfirmPairing::default() });
        });
        cx.open(confirm);
    }

    /// What the other machine will be able to do here.
    fn choose_rights(&self, cx: &mut Cx<'_>) {
        let now = self.rights();
        let rows = Right::ALL
            .into_iter()
            .map(|right| {
                let choices = vec![format!("yes: {}", about(right)), format!("no: not {}", about(right))];
                Row::choice(right.as_str(), "", choices, usize::from(!now.contains(&right)))
            })
            .collect();
        let chosen = Rc::clone(&self.chosen);
        let form = Form::new(cx, "What the other machine may do here", rows, move |values, _| {
            let rights: Vec<Right> = Right::ALL.into_iter().zip(values).filter(|(_, value)| value.starts_with("yes")).map(|(right, _)| right).collect();
            if rights.is_empty() {
                return Err("A machine that may do nothing needs no pairing. Leave it `status` at least.".to_owned());
            }
            chosen.borrow_mut().rights = Some(rights);
            Ok(())
        });
        cx.open(form);
    }

    fn rights(&self) -> Vec<Right> {
        self.chosen.borrow().rights.clone().unwrap_or_else(|| Right::PEER_DEFAULT.to_vec())
    }

    fn got(&mut self, answered: &Answered, cx: &mut Cx<'_>) {
        match (&answered.request, &answered.result) {
            (Request::GetPairing(request), Ok(Answer::GetPairing(status))) => {
                let began = self.asked.take().unwrap_or_default();
                self.lost = None;
                let nothing_new = request.after == Some(status.change);
                self.take((**status).clone(), cx);
                if nothing_new && cx.now.since.saturating_sub(began) < BREATH { self.ask_later(cx) } else { self.ask(cx) }
            }
            (Request::GetPairing(_), Err(failure)) => {
                self.asked = None;
                self.lost = Some(failure.message.clone());
                if self.front || self.is_active() {
                    self.ask_later(cx);
                }
            }
            (Request::StartPairing(_), Ok(Answer::StartPairing(started))) => {
                self.invite = Some((**started).clone());
                let waiting = PairingStatus {
                    active: true,
                    state: Some(PairingState::Waiting),
                    expires_at: Some(started.expires_at),
                    change: self.change(),
                    ..nothing()
                };
                self.take(waiting, cx);
                self.ask(cx);
            }
            (Request::JoinPairing(_), Ok(Answer::JoinPairing(status))) => {
                self.chosen.borrow_mut().joining = false;
                self.failed = None;
                self.take((**status).clone(), cx);
                self.ask(cx);
            }
            (Request::StartPairing(_), Err(failure)) => self.failed = Some(format!("No invite was made: {} n tries again.", failure.message)),
            (Request::JoinPairing(request), Err(failure)) => {
                self.chosen.borrow_mut().joining = false;
                self.failed = Some(format!("`{}` was not paired: {} Nothing was stored. e tries again.", request.address, failure.message));
            }
            (Request::ConfirmPairing(_), Ok(_)) => self.ask(cx),
            (Request::ConfirmPairing(request), Err(failure)) => {
                self.decided = None;
                // The second begins again: nobody is to be surprised by a key that counts now.
                if let Some((_, since)) = &mut self.compared {
                    *since = None;
                }
                self.arm(cx);
                let what = if request.confirmed == Some(true) { "Your yes" } else { "Your no" };
                cx.bad(format!("{what} did not reach the daemon: {} Press the key again.", failure.message));
                self.ask(cx);
            }
            _ => {}
        }
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

/// An address with a port, or without: `kai`, `192.168.1.5:7`, `[::1]:7`, `::1`.
fn place(text: &str) -> Result<(String, Option<u16>), String> {
    let text = text.trim();
    if text.is_empty() || text.contains(char::is_whitespace) {
        return Err("The address is a name or an IP address, without blanks. `loopsy pair` on the other machine shows it.".to_owned());
    }
    let split = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':')),
        None => match text.rsplit_once(':') {
            Some((address, port)) if !address.contains(':') => (address, Some(port)),
            _ => (text, None),
        },
    };
    match split {
        (address, None) => Ok((address.to_owned(), None)),
        (address, Some(port)) => match port.parse::<u16>() {
            Ok(port) if port > 0 && !address.is_empty() => Ok((address.to_owned(), Some(port))),
            _ => Err(format!("`{port}` is no port: a number from 1 to 65535.")),
        },
    }
}

/// What to type for an address of this machine: without the port where it is the usual one.
fn short_place(address: &str) -> String {
    match address.parse::<std::net::SocketAddr>() {
        Ok(at) if at.port() == DEFAULT_PORT => at.ip().to_string(),
        _ => address.to_owned(),
    }
}

/// A right, for people.
const fn about(right: Right) -> &'static str {
    match right {
        Right::Status => "see how this machine is",
        Right::Context => "read and write context",
        Right::Messages => "send messages",
        Right::Transfer => "read and write files",
        Right::Execute => "run commands",
        Right::AiTasks => "give tasks to agents",
        Right::Approve => "answer what agents ask",
        Right::Terminal => "open terminals",
    }
}

impl Tab for Pairing {
    fn act(&mut self, command: Command, cx: &mut Cx<'_>) {
        let comparing = self.is_comparing();
        match command {
            Command::Same if comparing => self.decide(true, cx.alone, cx),
            Command::Different if comparing => self.decide(false, cx.alone, cx),
            Command::Words if comparing => self.words = !self.words,
            Command::Type if comparing && self.type_code => self.typing = true,
            Command::Leave => self.typing = false,
            Command::Copy => {
                let digits = self.compared.as_ref().map(|(digits, _)| big::spaced(digits));
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

    fn noticed(&mut self, _input: &Input, cx: &mut Cx<'_>) {
        if self.decision.take().is_some() {
            cx.note("Something else came right after the key, so it does not count. Press it alone.");
        }
    }

    fn shown(&mut self, front: bool, cx: &mut Cx<'_>) {
        self.front = front;
        self.type_code = cx.settings.type_code;
        self.decision = None;
        if let Some((_, since)) = &mut self.compared {
            *since = None;
        }
        self.typing = front && self.type_code && self.is_comparing();
        self.arm(cx);
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
            News::All | News::Link => self.ask(cx),
            // Somebody began a pairing, here or on the other machine.
            News::Topic(Topic::Pairing) if self.asked.is_none() && cx.world.is_up() => {
                self.asked = Some(cx.now.since);
                let after = None;
                cx.call(None, GetPairing { after });
            }
            _ => {}
        }
    }

    fn event(&mut self, event: &Event, cx: &mut Cx<'_>) {
        match event {
            Event::Answer(answered) => self.got(answered, cx),
            Event::Woke(Timer::Alone(number)) => self.decided(*number, cx),
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

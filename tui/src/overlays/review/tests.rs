//! No key answers that nobody meant: every guard as a table of inputs with times, then anything at all; and pictures.

use loopsy_shared::api::approvals::Approval;
use serde_json::{Value, json};

use crate::{
    effect::{Done, Effect, Purpose, Timer},
    event::{Event, Failure},
    input::{Input, Press},
    request::{Answer, Request},
    testing::{Harness, NOON, approval, typical},
};

mod any;
mod guards;
mod pictures;

const FIRST: &str = "aaaa0000-0000-4000-8000-000000000001";
const SECOND: &str = "bbbb0000-0000-4000-8000-000000000002";

/// One step of a person, a terminal, or time.
#[derive(Debug, Clone)]
enum Do {
    /// A key, alone.
    Key(&'static str),
    /// A key that came with others.
    Among(&'static str),
    /// A paste.
    Paste(&'static str),
    /// Time goes by, and the timers that are due ring.
    Wait(u64),
    /// The window gets another size.
    Size(u16, u16),
}

/// A harness with timers, which draws after everything that happens.
struct Desk {
    harness: Harness,
    timers: Vec<(u64, Timer)>,
    size: (u16, u16),
    sent: Vec<Value>,
    shown: String,
    /// Frames are on their way for ever, until one [arrives](Self::arrives).
    slow: bool,
}

impl Desk {
    fn new(snapshot: Value) -> Self {
        Self { harness: Harness::with(snapshot), timers: Vec::new(), size: (80, 24), sent: Vec::new(), shown: String::new(), slow: false }
    }

    fn only(approval: Value) -> Self {
        let mut snapshot = typical();
        snapshot["approvals"] = json!([approval]);
        snapshot["fleet"] = json!([]);
        Self::new(snapshot)
    }

    /// Opened, and drawn, with keys that count.
    fn open(mut self) -> Self {
        self.run(&[Do::Key("!"), Do::Wait(400)]);
        self
    }

    /// Takes what is to be done into account, and draws.
    fn settle(&mut self, from: usize) {
        let now = self.harness.now.since;
        let (columns, rows) = self.size;
        let screen = if self.slow { self.harness.draw(columns, rows) } else { self.harness.screen(columns, rows) };
        self.shown = screen.split("\n---\n").next().unwrap_or_default().to_owned();
        for effect in self.harness.effects.iter().skip(from) {
            match effect {
                Effect::Wake(after, timer) => self.timers.push((now + after, *timer)),
                Effect::Call { request: Request::DecideApproval(request), at, .. } => {
                    assert!(at.is_none(), "the local daemon answers for peers");
                    self.sent.push(serde_json::to_value(request).unwrap());
                }
                _ => {}
            }
        }
    }

    /// What was drawn last is on the terminal.
    fn arrives(&mut self) {
        let from = self.harness.effects.len();
        self.harness.painted();
        for effect in self.harness.effects.iter().skip(from) {
            if let Effect::Wake(after, timer) = effect {
                self.timers.push((self.harness.now.since + after, *timer));
            }
        }
    }

    fn event(&mut self, event: Event) {
        let from = self.harness.effects.len();
        self.harness.event(event);
        self.settle(from);
    }

    fn step(&mut self, step: &Do) {
        match step {
            Do::Key(key) => self.event(Event::Input(Input::Key(Press::of(key.parse().unwrap())))),
            Do::Among(key) => self.event(Event::Input(Input::Key(Press { alone: false, ..Press::of(key.parse().unwrap()) }))),
            Do::Paste(text) => self.event(Event::Input(Input::Paste((*text).to_owned()))),
            Do::Size(columns, rows) => {
                self.size = (*columns, *rows);
                self.event(Event::Resize(*columns, *rows));
            }
            Do::Wait(time) => {
                let until = self.harness.now.since + time;
                loop {
                    self.timers.sort_by_key(|(at, _)| *at);
                    match self.timers.first().copied() {
                        Some((at, timer)) if at <= until => {
                            self.timers.remove(0);
                            self.harness.later(at.saturating_sub(self.harness.now.since));
                            self.event(Event::Woke(timer));
                        }
                        _ => break,
                    }
                }
                self.harness.later(until - self.harness.now.since);
            }
        }
    }

    fn run(&mut self, steps: &[Do]) {
        steps.iter().for_each(|step| self.step(step));
    }

    /// What is on the screen.
    fn text(&self) -> String {
        self.shown.clone()
    }

    /// What the daemon's stream says.
    fn fleet(&mut self, event: Value) {
        let event = serde_json::from_value(event).unwrap();
        self.event(Event::Fleet(Box::new(loopsy_shared::client::Watched::Event { id: None, event })));
    }

    fn answer(&mut self, name: &str, result: Result<Answer, Failure>) {
        let from = self.harness.effects.len().saturating_sub(1);
        self.harness.answer(name, result);
        self.settle(from);
    }

    /// The decisions that were sent since this was asked last: id, decision.
    fn decisions(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.sent)
            .into_iter()
            .map(|sent| (sent["id"].as_str().unwrap().get(..4).unwrap().to_owned(), sent["decision"].as_str().unwrap().to_owned()))
            .collect()
    }
}

fn first() -> Value {
    approval(FIRST, "leo", "rm -rf target && cargo build -r")
}

fn with(change: Value) -> Value {
    let mut whole = first();
    for (name, value) in change.as_object().unwrap() {
        whole[name] = value.clone();
    }
    whole
}

fn long() -> Value {
    with(json!({ "input": { "command": (1..=400).map(|line| format!("echo {line}\n")).collect::<String>() } }))
}

fn decided(approval: Value, state: &str, by: &str) -> Box<Approval> {
    let mut approval = approval;
    approval["state"] = json!(state);
    let decision = if state == "allowed" { "allow" } else { "deny" };
    approval["decision"] = json!({ "decision": decision, "by": by, "at": NOON + 10_000, "delivered": true });
    Box::new(serde_json::from_value(approval).unwrap())
}

fn failure(status: Option<u16>, code: Option<u16>, message: &str) -> Failure {
    Failure { message: message.to_owned(), code, status }
}

//! The control centre from outside: the real program in a real terminal, before a daemon that does what a test wants and writes down what it is asked.

mod approvals;
mod ends;
mod hostile;
mod lines;
mod nodes;
mod pictures;
mod quiet;
mod replies;
mod sizes;
mod start;
mod tmux;

use serde_json::{Value, json};

use crate::support::{
    Home,
    demo::{self, Moment},
    fleet::{Fleet, World},
    screen::{Screen, Start},
};

/// A home with a daemon in it.
struct Stage {
    home: Home,
    fleet: Fleet,
    moment: Moment,
}

impl Stage {
    /// The fleet of the pictures.
    fn typical() -> Self {
        Self::with(|_| {})
    }

    /// The same, changed.
    fn with(change: impl FnOnce(&mut World)) -> Self {
        let moment = Moment::now();
        let mut world = demo::world(moment);
        change(&mut world);
        let home = Home::init("leo");
        Self { fleet: Fleet::start(&home.data(), world), home, moment }
    }

    /// With nothing that waits for an answer.
    fn calm() -> Self {
        Self::with(|world| {
            world.approvals.clear();
            world.fleet.iter_mut().for_each(|picture| picture["approvals"] = json!([]));
        })
    }

    /// With one question, of this node.
    fn one_question(command: &str) -> Self {
        let stage = Self::calm();
        let question = stage.question(demo::BASH, command, 52);
        stage.fleet.change(|world| world.approvals.push(question));
        stage
    }

    /// A question that was asked at this second of one minute before.
    fn question(&self, id: &str, command: &str, second: u64) -> Value {
        demo::question(id, command, self.moment.at(14, 0, second), self.moment.at(23, 0, 0))
    }

    /// The program, ready to be run.
    fn start(&self, args: &[&str]) -> Start {
        Start::of(&self.home.command(&[&["tui"], args].concat())).set("TZ", &self.moment.zone())
    }

    /// The program, with the whole fleet on the screen.
    fn open(&self) -> Screen {
        ready(self.start(&[]).open())
    }
}

/// Waits until the fleet is there.
#[track_caller]
fn ready(screen: Screen) -> Screen {
    screen.until("the fleet", |screen| {
        let first = screen.contents().lines().next().unwrap_or_default().to_owned();
        first.contains("Overview") && first.trim_end().ends_with("leo ok")
    });
    screen
}

/// Opens the review and waits until it can be answered.
#[track_caller]
fn review(screen: &mut Screen, text: &str) {
    screen.keys("!");
    screen.sees("REVIEW");
    screen.sees(text);
    screen.sees("keys armed");
}

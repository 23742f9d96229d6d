//! What happened last, for when something goes wrong: short lines without anything that a person typed into a field or a program, read or keeps secret. Keys that drive Loopsy itself are named.

use std::{
    collections::VecDeque,
    fmt::{self, Write},
};

use loopsy_shared::client::Watched;

use crate::{
    effect::Effect,
    event::Event,
    input::{Input, MouseKind},
    world::{TaskKey, TerminalKey},
};

/// Events that are kept; an older one goes.
const KEPT: usize = 10_000;

/// The last events.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    lines: VecDeque<String>,
}

impl Recorder {
    /// Notes an event at this time, in milliseconds since the start. `typing`: what is typed now is a person's text.
    pub(crate) fn event(&mut self, since: u64, event: &Event, typing: bool) {
        let line = match event {
            Event::Input(input) => self::input(input, typing),
            Event::Resize(columns, rows) => format!("size {columns}x{rows}"),
            Event::Focus(focused) => format!("focus {focused}"),
            Event::Fleet(watched) => match watched.as_ref() {
                Watched::Connected => "fleet connected".to_owned(),
                Watched::Lost(_) => "fleet lost".to_owned(),
                Watched::Event { id, event } => {
                    format!("fleet {} {}", event.topic().map_or("event", loopsy_shared::api::events::Topic::as_str), id.as_deref().unwrap_or("-"))
                }
            },
            Event::NoDaemon(why) => format!("no daemon: {}", name(why)),
            Event::Answer(answered) => {
                let result = match &answered.result {
                    Ok(_) => "ok".to_owned(),
                    Err(failure) => failure.code.map_or_else(|| "failed".to_owned(), |code| format!("error {code}")),
                };
                format!("answer {} at {}: {result}", answered.request.name(), node(answered.at.as_ref()))
            }
            Event::Log(key, watched) => match watched.as_ref() {
                Watched::Connected => format!("log {} connected", task(key)),
                Watched::Lost(_) => format!("log {} lost", task(key)),
                Watched::Event { event, .. } => format!("log {} {:?} {}", task(key), event.kind, event.seq),
            },
            Event::LogEnd(key, why) => format!("log {} ended{}", task(key), if why.is_some() { " early" } else { "" }),
            Event::Terminal(key, attached) => match crate::runtime::terminals::weight(attached) {
                0 => format!("terminal {} {}", terminal(key), name(attached)),
                bytes => format!("terminal {} {bytes} bytes", terminal(key)),
            },
            Event::TerminalEnd(key, why) => format!("terminal {} ended{}", terminal(key), if why.is_some() { " early" } else { "" }),
            Event::Exec(number, Ok(event)) => format!("exec {number} {:?} {} bytes", event.kind, event.data.len()),
            Event::Exec(number, Err(_)) => format!("exec {number} failed"),
            Event::Did(done) => format!("did {}", name(done)),
            Event::Woke(timer) => format!("woke {timer:?}"),
        };
        self.line(since, &line);
    }

    /// Notes what is to be done.
    pub(crate) fn effect(&mut self, since: u64, effect: &Effect) {
        let line = match effect {
            Effect::Call { at, request, .. } => format!("-> ask {} at {}", request.name(), node(at.as_ref())),
            Effect::Type(key, bytes) => format!("-> type {} bytes into {}", bytes.len(), terminal(key)),
            Effect::Wake(..) => return,
            effect => format!("-> {}", name(effect)),
        };
        self.line(since, &line);
    }

    fn line(&mut self, since: u64, text: &str) {
        if self.lines.len() >= KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(format!("{}.{:03} {text}", since / 1000, since % 1000));
    }
}

impl fmt::Display for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{}", loopsy_shared::text::inert(line)))
    }
}

fn input(input: &Input, typing: bool) -> String {
    match input {
        Input::Key(press) if typing => format!("input {} bytes", press.raw.len()),
        Input::Key(press) => format!("key {}", press.key),
        Input::Paste(text) => format!("paste {} bytes", text.len()),
        Input::Mouse(mouse) if mouse.kind == MouseKind::Moved => "mouse moved".to_owned(),
        Input::Mouse(mouse) => format!("mouse {:?} {},{}", mouse.kind, mouse.column, mouse.row),
        Input::Unknown(bytes) => format!("unknown {} bytes", bytes.len()),
    }
}

/// The name of a variant, and nothing of what it holds.
fn name(thing: &impl fmt::Debug) -> String {
    /// Stops writing at the first character that is no part of a name.
    struct Name(String);
    impl Write for Name {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            self.0.push_str(end.and_then(|end| text.get(..end)).unwrap_or(text));
            if end.is_some() { Err(fmt::Error) } else { Ok(()) }
        }
    }
    let mut name = Name(String::new());
    let _cut = write!(name, "{thing:?}");
    name.0
}

fn node(node: Option<&loopsy_shared::id::NodeId>) -> String {
    node.map_or_else(|| "here".to_owned(), |node| node.short().to_owned())
}

fn task(key: &TaskKey) -> String {
    format!("{}/{}", node(key.node.as_ref()), key.id.short())
}

fn terminal(key: &TerminalKey) -> String {
    format!("{}/{}", node(key.node.as_ref()), key.id.short())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{effect::Done, input::Press, key::Key};

    #[test]
    fn what_is_typed_is_counted_and_not_kept() {
        let mut recorder = Recorder::default();
        let key = |c| Event::Input(Input::Key(Press { key: Key::char(c), raw: vec![c as u8], alone: true }));
        recorder.event(1500, &key('j'), false);
        recorder.event(1501, &key('Z'), true);
        recorder.event(1502, &Event::Input(Input::Paste("hunter2".to_owned())), false);
        recorder.event(1503, &Event::Did(Done::Text(crate::effect::Purpose::Prompt, Ok(Some("hunter2".to_owned())))), false);
        recorder.event(1504, &Event::NoDaemon(crate::event::NoDaemon::NotRunning("hunter2".to_owned())), false);
        recorder.effect(1505, &Effect::Copy("hunter2".to_owned()));
        recorder.effect(1506, &Effect::Edit("hunter2".to_owned(), crate::effect::Purpose::Prompt));
        let text = recorder.to_string();
        assert_eq!(text, "1.500 key j\n1.501 input 1 bytes\n1.502 paste 7 bytes\n1.503 did Text\n1.504 no daemon: NotRunning\n1.505 -> Copy\n1.506 -> Edit\n");
    }

    #[test]
    fn only_the_last_are_kept() {
        let mut recorder = Recorder::default();
        (0..=KEPT as u64).for_each(|at| recorder.event(at, &Event::Focus(true), false));
        assert_eq!(recorder.lines.len(), KEPT);
        assert!(recorder.to_string().starts_with("0.001 "));
    }
}

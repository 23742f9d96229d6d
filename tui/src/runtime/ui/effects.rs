//! Does what the app wants done. Nothing here waits: what takes time runs elsewhere, and what comes of it is an event.

use loopsy_shared::config::Clipboard;

use super::{Away, Leave, TIMERS, Ui};
use crate::{
    clipboard,
    effect::{Done, Effect},
    event::Event,
    runtime::{End, files, looks, terminals::Hearing},
    terminal,
};

/// Bytes that wait to go to the terminal beside frames. What is more is not sent: the terminal takes nothing.
const ASIDE: usize = 1 << 20;
/// Between two notifications, in milliseconds.
const CALM: u64 = 10_000;

impl Ui {
    /// Does it.
    pub(super) fn act(&mut self, effect: Effect) {
        match effect {
            Effect::Call { place, at, request } => self.network.call(place, at, request),
            Effect::Follow(which) => self.network.follow(which),
            Effect::Attach { terminal, size, scrollback } => self.network.attach(terminal, size, scrollback),
            Effect::Detach(terminal) => self.network.detach(&terminal),
            Effect::Type(terminal, bytes) => {
                let why = match self.network.input(&terminal, &bytes) {
                    Hearing::Taken => return,
                    Hearing::Full => "The terminal takes no more at the moment: what was typed last is lost.",
                    Hearing::Lost => "The connection to the terminal is lost: what was typed is not sent.",
                    Hearing::Nobody => "The terminal is not connected: what was typed is lost.",
                };
                self.later(Event::Did(Done::Noted(why.to_owned())));
            }
            Effect::Size(terminal, size) => self.network.size(&terminal, size),
            Effect::Exec { number, at, line } => {
                let windows = at.as_ref().and_then(|node| self.app.world.peers.get(node)).is_some_and(|peer| peer.platform.starts_with("win"));
                self.network.exec(number, at, windows, line);
            }
            Effect::EndExec(number) => self.network.end_exec(number),
            Effect::Copy(text) => self.copy(text),
            Effect::Notify(text) => self.notify(&text),
            Effect::Title(text) => {
                if self.title.as_ref() != Some(&text) {
                    let bytes = clipboard::title(&text);
                    self.aside(&bytes);
                    self.title = Some(text);
                }
            }
            Effect::Wake(after, timer) => {
                let due = (self.now().since + after, timer);
                if !self.timers.contains(&due) {
                    self.timers.truncate(TIMERS - 1);
                    self.timers.push(due);
                }
            }
            Effect::Mouse(on) => {
                self.mouse = on;
                self.aside(if on { terminal::MOUSE_ON } else { terminal::MOUSE_OFF });
            }
            Effect::StartDaemon => self.start_daemon(),
            Effect::Reconnect => self.poke.notify_one(),
            Effect::WriteFile(path, content) => self.background(move || Done::Wrote(path.clone(), files::write(&path, &content))),
            Effect::ReadFile(path, purpose) => self.background(move || Done::Text(purpose, files::read(&path).map(Some))),
            Effect::Edit(text, purpose) => self.leaves.push(Leave::Edit(text, purpose)),
            Effect::Save(state) => self.save(state),
            // It is remembered with the state.
            Effect::Theme(name) => self.wishes.theme = Some(name),
            Effect::Looks => looks::reload(self.options.clone(), self.wishes.clone(), self.events.clone()),
            Effect::Repaint => {
                self.resized = true;
                self.painter.forget();
                self.pace.touch();
            }
            Effect::Suspend => self.leaves.push(Leave::Stop),
            Effect::Quit => self.end = Some(End::Quit),
        }
    }

    /// An event that comes of what was just done. It is not lost: the loop waits for those before it only.
    fn later(&self, event: Event) {
        let events = self.events.clone();
        tokio::spawn(async move {
            let _gone = events.send(event).await;
        });
    }

    /// Bytes for the terminal that are no frame; whether there was room.
    fn aside(&mut self, bytes: &[u8]) -> bool {
        let room = self.aside.len() + bytes.len() <= ASIDE && self.away != Some(Away::Stopped);
        if room {
            self.aside.extend_from_slice(bytes);
        }
        room
    }

    /// Does something that waits; what it did is an event.
    fn background(&self, work: impl FnOnce() -> Done + Send + 'static) {
        let events = self.events.clone();
        tokio::task::spawn_blocking(move || {
            let _gone = events.blocking_send(Event::Did(work()));
        });
    }

    fn copy(&mut self, text: String) {
        // The clipboard of a machine that the person does not sit at is nobody's, unless they say otherwise.
        let tools = match self.clipboard {
            Clipboard::Auto => !self.around.remote,
            Clipboard::Osc52 => false,
            Clipboard::Tools => true,
        };
        let sent = self.clipboard != Clipboard::Tools && clipboard::through_terminal(&text, self.around).is_some_and(|bytes| self.aside(&bytes));
        let only = self.clipboard == Clipboard::Tools;
        self.background(move || {
            let tool = if tools { clipboard::through_tool(&text) } else { None };
            let tool = tool.or_else(|| only.then(|| Err("there is no `pbcopy`, `wl-copy`, `xclip` or `xsel` here that could take it.".to_owned())));
            Done::Copied(clipboard::told(&text, sent, tool.as_ref()))
        });
    }

    fn notify(&mut self, text: &str) {
        let now = self.now().since;
        if self.focused || self.notified.is_some_and(|at| now < at + CALM) {
            return;
        }
        self.notified = Some(now);
        let bytes = clipboard::notification(text, self.around);
        self.aside(&bytes);
    }

    fn start_daemon(&mut self) {
        if self.starting.as_ref().is_some_and(|starting| !starting.is_finished()) {
            return;
        }
        let (program, dir, events) = (self.options.program.clone(), self.options.dir.clone(), self.events.clone());
        self.starting = Some(tokio::task::spawn_blocking(move || {
            let _gone = events.blocking_send(Event::Did(Done::Started(files::start_daemon(&program, &dir))));
        }));
    }

    /// One after the other, so that the last one stays.
    fn save(&mut self, state: serde_json::Value) {
        let (dir, before) = (self.options.dir.clone(), self.saving.take());
        self.saving = Some(tokio::spawn(async move {
            if let Some(before) = before {
                let _done = before.await;
            }
            // It is remembered for comfort only: a full disk is no reason to speak.
            let _written = tokio::task::spawn_blocking(move || files::save(&dir, &state)).await;
        }));
    }
}

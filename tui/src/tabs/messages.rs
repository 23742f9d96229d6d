//! Messages between machines: threads, one of them to read, and a field to write. Nothing is said to have arrived that nobody answered.

use std::collections::BTreeMap;

use loopsy_shared::{api::events::Topic, id::NodeId};
use ratatui::layout::Rect;
use serde_json::{Value, json};

use super::{Tab, Typing, Visit};
use crate::{
    app::{Canvas, Cx},
    event::Event,
    input::{Input, Mouse, MouseKind},
    keymap::Command,
    look::Role,
    overlays::{
        form::{Form, Row},
        text::Text,
    },
    widgets::{
        field::{Field, Outcome},
        list::List,
    },
    world::{News, World},
};

mod mail;
#[cfg(test)]
mod tests;
mod view;

use mail::{Mail, Message, Party, State, raw_of};

/// Which pane has the keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Focus {
    #[default]
    Threads,
    Thread,
}

/// What is written to somebody and was not sent.
#[derive(Debug)]
struct Draft {
    field: Field,
    /// The kind that it will be: an answer to a request says so.
    kind: &'static str,
}

impl Default for Draft {
    fn default() -> Self {
        Self { field: Field::lines(), kind: "chat" }
    }
}

/// A line of the list of threads.
#[derive(Debug, Clone, Default)]
struct Thread {
    /// Ids, oldest first.
    messages: Vec<String>,
    unread: usize,
    failed: usize,
    sending: usize,
    newest: u64,
}

/// Its state.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    mail: Mail,
    /// Somebody looks; and what happened since somebody did was not looked at yet.
    front: bool,
    dirty: bool,
    threads: BTreeMap<Party, Thread>,
    list: List<Party>,
    /// The rows: filtered, the newest first.
    keys: Vec<Party>,
    only_unread: bool,
    focus: Focus,
    /// The message that is looked at; the last of the thread when none.
    cursor: Option<String>,
    /// The first that was unread when the thread was opened.
    mark: Option<String>,
    /// Something is written to them.
    writing: Option<Party>,
    /// By thread. One for each that somebody began to write to.
    drafts: BTreeMap<Party, Draft>,
    /// Somebody to whom nothing was written yet.
    begun: Option<Party>,
}

impl Messages {
    fn party(&self) -> Option<&Party> {
        self.list.selected(&self.keys)
    }

    fn thread(&self) -> Option<&Thread> {
        self.threads.get(self.party()?)
    }

    /// The message that is looked at, by its place in the thread.
    fn at(&self) -> Option<usize> {
        let thread = self.thread()?;
        let known = self.cursor.as_ref().and_then(|id| thread.messages.iter().position(|known| known == id));
        known.or_else(|| thread.messages.len().checked_sub(1))
    }

    fn message(&self) -> Option<&Message> {
        self.mail.get(self.thread()?.messages.get(self.at()?)?)
    }

    fn unread(&self) -> usize {
        self.threads.values().map(|thread| thread.unread).sum()
    }

    fn name_of(party: &Party, world: &World) -> String {
        match party {
            Party::Node(node) => world.label_of(Some(node)),
            Party::Name(name) => name.clone(),
            Party::Nobody => "(not readable)".to_owned(),
        }
    }

    fn refresh(&mut self, world: &World) {
        self.dirty = false;
        self.mail.update(world);
        self.regroup(world);
    }

    /// Threads anew, after messages or marks changed.
    fn regroup(&mut self, world: &World) {
        self.threads.clear();
        if let Some(begun) = &self.begun {
            self.threads.insert(begun.clone(), Thread { newest: u64::MAX, ..Thread::default() });
        }
        for message in self.mail.all() {
            let thread = self.threads.entry(message.party.clone()).or_default();
            thread.messages.push(message.envelope.id.clone());
            thread.newest = thread.newest.max(message.envelope.ts);
            thread.unread += usize::from(self.mail.is_unread(message));
            thread.failed += usize::from(matches!(message.state, State::Failed(_)));
            thread.sending += usize::from(message.state == State::Sending);
        }
        let chosen = self.party().cloned();
        let rows: Vec<&Party> = self
            .threads
            .iter()
            .filter(|(party, thread)| !self.only_unread || thread.unread > 0 || Some(*party) == chosen.as_ref())
            .map(|(party, _)| party)
            .collect();
        let mut rows = self.list.filtered(rows, |party| Self::name_of(party, world));
        // What is no message is below all that is.
        rows.sort_by_key(|party| (**party == Party::Nobody, std::cmp::Reverse(self.threads.get(party).map_or(0, |thread| thread.newest))));
        self.keys = rows.into_iter().cloned().collect();
    }

    /// Opens the thread: what is in it now is read.
    fn open(&mut self, world: &World) {
        let Some(thread) = self.thread() else { return };
        let unread: Vec<String> = thread.messages.iter().filter(|id| self.mail.get(id).is_some_and(|message| self.mail.is_unread(message))).cloned().collect();
        if let Some(first) = unread.first() {
            self.mark = Some(first.clone());
        }
        unread.iter().for_each(|id| self.mail.read(id));
        self.focus = Focus::Thread;
        self.regroup(world);
    }

    fn moved(&mut self) {
        (self.cursor, self.mark) = (None, None);
    }

    fn write(&mut self, kind: &'static str, world: &World) {
        let Some(party) = self.party().cloned() else { return };
        self.open(world);
        let draft = self.drafts.entry(party.clone()).or_default();
        draft.kind = kind;
        self.writing = Some(party);
    }

    fn write_to(&mut self, node: NodeId, world: &World) {
        let party = Party::Node(node);
        self.begun = Some(party.clone());
        self.only_unread = false;
        self.list.clear_filter();
        self.regroup(world);
        self.list.select(party, &self.keys);
        self.moved();
        self.write("chat", world);
    }

    fn send(&mut self, cx: &mut Cx<'_>) {
        let Some(Party::Node(node)) = self.writing.clone() else { return };
        let party = Party::Node(node.clone());
        let (text, kind) = self.drafts.get(&party).map(|draft| (draft.field.text().trim().to_owned(), draft.kind)).unwrap_or_default();
        if text.is_empty() {
            return cx.note("There is nothing to send yet. Esc leaves.");
        }
        match self.mail.send(&node, &text, kind, cx) {
            Ok(_) => {
                self.drafts.remove(&party);
                self.writing = None;
                self.moved();
                if self.begun.as_ref() == Some(&party) {
                    self.begun = None;
                }
                self.regroup(cx.world);
            }
            Err(why) => cx.bad(why),
        }
    }

    /// The message that `Space` and `R` mean: the one that is looked at, else the newest that came.
    fn meant(&self) -> Option<String> {
        let thread = self.thread()?;
        let at = self.message().filter(|message| message.incoming).map(|message| message.envelope.id.clone());
        let newest = || {
            thread
                .messages
                .iter()
                .rev()
                .find(|id| self.mail.get(id).is_some_and(|message| message.incoming && !matches!(message.state, State::Done | State::Gone)))
        };
        at.or_else(|| newest().cloned())
    }

    fn choose(&self, cx: &mut Cx<'_>) {
        let peers: Vec<Option<NodeId>> = cx.world.trusted().into_iter().map(|peer| Some(peer.node_id.clone())).collect();
        if peers.is_empty() {
            return cx.note("There is no peer to write to yet. 7 pairs with another machine.");
        }
        // Two machines may have one name.
        let labels = cx.world.labels_of(&peers);
        let rows = vec![Row::choice("To", "left and right choose; Enter goes on", labels.clone(), 0)];
        let form = Form::new(cx, "Write a message", rows, move |values, cx| {
            let chosen = values.first().and_then(|value| labels.iter().position(|label| label == value));
            if let Some(Some(node)) = chosen.and_then(|at| peers.get(at)) {
                cx.visit(Visit::Message(node.clone()));
            }
            Ok(())
        });
        cx.open(form);
    }

    fn step(&mut self, command: Command, cx: &mut Cx<'_>) {
        let (Some(at), Some(thread)) = (self.at(), self.thread()) else { return };
        let last = thread.messages.len().saturating_sub(1);
        let to = match command {
            Command::Up => at.saturating_sub(1),
            Command::Down => at + 1,
            Command::Top => 0,
            Command::End => last,
            Command::PageUp | Command::HalfUp => at.saturating_sub(5),
            Command::PageDown | Command::HalfDown => at + 5,
            _ => return,
        }
        .min(last);
        let id = thread.messages.get(to).cloned();
        if let Some(id) = id.as_ref().filter(|id| self.mail.get(id).is_some_and(|message| self.mail.is_unread(message))) {
            self.mail.read(id);
        }
        self.cursor = id.filter(|_| to < last);
        self.regroup(cx.world);
    }
}

impl Tab for Messages {
    fn act(&mut self, command: Command, cx: &mut Cx<'_>) {
        match (command, self.focus) {
            (Command::Leave, _) if self.writing.is_some() => self.writing = None,
            (Command::Leave, _) => {
                self.list.clear_filter();
                self.regroup(cx.world);
            }
            (Command::Open, Focus::Threads) | (Command::Right, Focus::Threads) => self.open(cx.world),
            (Command::NextPane | Command::PreviousPane, Focus::Threads) => self.open(cx.world),
            (Command::NextPane | Command::PreviousPane | Command::Left, Focus::Thread) => self.focus = Focus::Threads,
            (Command::Open | Command::Type, _) => {
                let kind = self.party().and_then(|party| self.drafts.get(party)).map_or("chat", |draft| draft.kind);
                self.write(kind, cx.world);
            }
            (Command::New, _) => self.choose(cx),
            (Command::Reply, _) => {
                let request = self.meant().and_then(|id| self.mail.get(&id)).is_some_and(|message| message.envelope.kind == "request");
                self.write(if request { "response" } else { "chat" }, cx.world);
            }
            (Command::Mark, _) => {
                if let Some(id) = self.meant() {
                    if let Err(why) = self.mail.ack(&id, cx) {
                        cx.note(why);
                    }
                    self.regroup(cx.world);
                }
            }
            (Command::Refresh, _) => match self.message().map(|message| (message.envelope.id.clone(), message.state.clone())) {
                Some((id, State::Failed(_))) => {
                    if let Err(why) = self.mail.again(&id, cx) {
                        cx.bad(why);
                    }
                    self.regroup(cx.world);
                }
                _ => {
                    self.refresh(cx.world);
                    cx.note("Messages and answers come by themselves. r sends a message again that failed, when it is selected.");
                }
            },
            (Command::Unread, _) => {
                self.only_unread = !self.only_unread;
                self.regroup(cx.world);
            }
            (Command::Copy, _) => {
                if let Some(message) = self.message() {
                    cx.copy(message.envelope.body.clone());
                }
            }
            (Command::Envelope, _) => {
                if let Some(message) = self.message() {
                    let lines = raw_of(message).into_iter().map(|line| (Role::Text, line)).collect();
                    cx.open(Text::new("The message as it travelled", lines));
                }
            }
            (Command::Filter, _) => {
                self.focus = Focus::Threads;
                self.list.filter();
            }
            (Command::Back, Focus::Thread) => self.focus = Focus::Threads,
            (Command::Back, Focus::Threads) => {
                self.only_unread = false;
                self.list.clear_filter();
                self.regroup(cx.world);
            }
            (command, Focus::Thread) => self.step(command, cx),
            (command, Focus::Threads) => {
                if self.list.act(command, &self.keys) {
                    self.moved();
                    self.regroup(cx.world);
                }
            }
        }
    }

    fn typing(&self) -> Option<Typing> {
        (self.writing.is_some() || self.list.is_filtering()).then_some(Typing::Field)
    }

    fn typed(&mut self, input: &Input, cx: &mut Cx<'_>) {
        if let Some(party) = &self.writing {
            let Some(draft) = self.drafts.get_mut(party) else {
                self.writing = None;
                return;
            };
            match draft.field.take(input) {
                Outcome::Submit => self.send(cx),
                Outcome::Leave => self.writing = None,
                Outcome::Changed | Outcome::Ignored => {}
            }
        } else {
            self.list.typed(input);
            self.regroup(cx.world);
        }
    }

    fn mouse(&mut self, mouse: &Mouse, area: Rect, cx: &mut Cx<'_>) {
        let places = self.places(area);
        let at = (mouse.column, mouse.row).into();
        let wheel = match mouse.kind {
            MouseKind::ScrollUp => Some(Command::Up),
            MouseKind::ScrollDown => Command::Down.into(),
            _ => None,
        };
        if self.writing.is_some() {
            return;
        }
        if places.thread.contains(at) {
            match wheel {
                Some(command) => self.step(command, cx),
                None if mouse.kind == MouseKind::Down(0) => self.open(cx.world),
                None => {}
            }
        } else if mouse.kind == MouseKind::Down(0) && self.list.click(places.table, mouse.column, mouse.row, &self.keys) {
            self.focus = Focus::Threads;
            self.moved();
        } else if let Some(command) = wheel.filter(|_| places.list.contains(at))
            && self.list.act(command, &self.keys)
        {
            self.moved();
        }
    }

    fn shown(&mut self, front: bool, cx: &mut Cx<'_>) {
        self.front = front;
        if front {
            self.refresh(cx.world);
        } else {
            self.writing = None;
        }
    }

    fn visit(&mut self, visit: Visit, cx: &mut Cx<'_>) {
        if let Visit::Message(node) = visit {
            self.write_to(node, cx.world);
        }
    }

    fn news(&mut self, news: &News, cx: &mut Cx<'_>) {
        if !matches!(news, News::All | News::Status | News::Topic(Topic::Context | Topic::Peers)) {
            return;
        }
        if !self.front {
            self.dirty = true;
        } else if matches!(news, News::Topic(Topic::Context)) && !self.dirty {
            // Most keys are no messages.
            if self.mail.update(cx.world) {
                self.regroup(cx.world);
            } else {
                cx.nothing_to_see();
            }
        } else {
            self.refresh(cx.world);
        }
    }

    fn event(&mut self, event: &Event, cx: &mut Cx<'_>) {
        if let Event::Answer(answered) = event {
            self.mail.answered(answered, cx);
            self.regroup(cx.world);
        }
    }

    fn why_not(&self, command: Command, world: &World) -> Option<String> {
        let to_peer = matches!(self.party(), Some(Party::Node(_)));
        match command {
            Command::Type | Command::Mark | Command::Reply | Command::New if !world.is_up() => {
                Some("The daemon of this machine does not answer, so nothing can be sent. r tries again.".to_owned())
            }
            Command::Open if self.party().is_none() => Some("There is no thread yet. n writes to a machine.".to_owned()),
            Command::Open if self.focus == Focus::Threads => None,
            Command::Type | Command::Open | Command::Reply => match self.party() {
                None => Some("There is no thread yet. n writes to a machine.".to_owned()),
                Some(Party::Name(name)) => Some(format!("No peer, or more than one, is called `{name}`. 2 shows the peers.")),
                Some(Party::Nobody) => Some("Nobody can be answered here: these entries are no messages.".to_owned()),
                Some(Party::Node(_)) if command == Command::Reply && self.meant().is_none() => Some("Nothing came from there. i writes.".to_owned()),
                Some(Party::Node(_)) => None,
            },
            Command::Sort => Some("Threads are always in the order of their newest messages. / filters them, u shows only unread ones.".to_owned()),
            Command::Mark if self.meant().is_none() => Some("Nothing here waits to be acknowledged.".to_owned()),
            Command::Mark if !to_peer => Some("Only a message of a peer is acknowledged. 3 shows its entry, where x deletes it.".to_owned()),
            Command::Copy | Command::Envelope if self.message().is_none() => Some("There is no message here.".to_owned()),
            _ => None,
        }
    }

    fn status(&self, world: &World) -> String {
        let mut parts = vec![format!("{} unread", self.unread())];
        if let Some(party @ Party::Node(_)) = self.party() {
            parts.push(format!("to: {}", Self::name_of(party, world)));
        }
        if self.only_unread {
            parts.push("unread only (u: all)".to_owned());
        }
        parts.join(" | ")
    }

    fn view(&self, area: Rect, canvas: &mut Canvas<'_>) {
        self.draw(area, canvas);
    }

    fn state(&self) -> Value {
        let node = self.party().and_then(|party| if let Party::Node(node) = party { Some(node) } else { None });
        json!({ "node": node, "read": self.mail.read_ids().collect::<Vec<_>>() })
    }

    fn restore(&mut self, state: &Value) {
        if let Ok(node) = serde_json::from_value::<NodeId>(state["node"].clone()) {
            self.list.select(Party::Node(node), &[]);
        }
        state["read"].as_array().into_iter().flatten().filter_map(Value::as_str).for_each(|id| self.mail.read(id));
    }
}

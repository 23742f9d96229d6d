//! The tab `context`: values under keys, of this machine as they change, and of each peer as they were read.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, VecDeque},
    rc::Rc,
};

use loopsy_shared::{
    api::{context::ContextEntry, events::Topic, peers::PeerStatus},
    id::NodeId,
    text::{bytes, inert},
    time::Millis,
};
use ratatui::layout::Rect;
use serde_json::{Value, json};

use super::{Tab, Typing};
use crate::{
    app::{Canvas, Cx},
    effect::Timer,
    event::Event,
    input::{Input, Mouse, MouseKind},
    keymap::Command,
    widgets::list::List,
    world::{News, World},
};

mod answers;
mod edit;
mod forms;
mod keys;
mod pretty;
#[cfg(test)]
mod tests;
mod value;
mod view;

use edit::Edits;
use value::{Layout, Shape};

/// Peers whose keys are kept, so that going back to one shows at once what was there; the one that was looked at longest ago goes.
const KEPT: usize = 3;
/// Milliseconds that the choice of a machine stands still before its keys are read: what is passed on the way is not.
const QUICK: u64 = 150;

/// Columns that can be sorted by.
const SORTS: [&str; 5] = ["KEY", "SIZE", "UNTIL", "FROM", "SET"];

/// Its panes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Pane {
    #[default]
    Keys,
    Value,
}

/// The keys of a peer, as they were read.
#[derive(Debug, Default)]
struct Far {
    entries: BTreeMap<String, ContextEntry>,
    /// When; never when none.
    read: Option<Millis>,
    /// They are being read.
    asked: bool,
    /// Why they could not be read the last time.
    error: Option<String>,
}

/// Its state.
#[derive(Debug, Default)]
pub(crate) struct Context {
    pane: Pane,
    /// Whose keys are shown.
    node: Option<NodeId>,
    list: List<String>,
    rows: Vec<String>,
    far: BTreeMap<NodeId, Far>,
    /// Those that were looked at last; the newest is the last.
    visited: VecDeque<NodeId>,
    /// When the keys of the machine that was chosen are read, where that waits.
    settle_at: Option<u64>,
    /// Somebody looks; and the rows are not those of the world any more.
    front: bool,
    dirty: bool,
    shape: Shape,
    /// The value that is shown, broken into lines as far as they were looked at.
    layout: RefCell<Option<Layout>>,
    /// Lines of the value above the window, and lines in it; set by the view.
    top: Cell<usize>,
    height: Cell<usize>,
    edits: Edits,
    broadcast: Rc<RefCell<Option<forms::Broadcast>>>,
    /// An import leaves keys alone that exist.
    careful: Rc<Cell<bool>>,
}

impl Tab for Context {
    fn act(&mut self, command: Command, cx: &mut Cx<'_>) {
        let moved = match self.pane {
            Pane::Keys => {
                let before = self.list.selected(&self.rows).cloned();
                let moved = self.list.act(command, &self.rows);
                if moved && before.as_ref() != self.list.selected(&self.rows) {
                    self.top.set(0);
                }
                moved
            }
            Pane::Value => self.scroll(command),
        };
        if moved {
            return;
        }
        match command {
            Command::NextPane | Command::PreviousPane => self.pane = if self.pane == Pane::Keys { Pane::Value } else { Pane::Keys },
            Command::Open => self.pane = Pane::Value,
            Command::Filter => {
                self.pane = Pane::Keys;
                self.list.filter();
            }
            Command::Leave => self.list.leave_filter(),
            Command::Back => {
                if self.pane == Pane::Value {
                    self.pane = Pane::Keys;
                } else if self.list.clear_filter() {
                    self.refresh(cx.world);
                }
            }
            Command::Sort => {
                self.list.sort_next(&SORTS);
                self.refresh(cx.world);
            }
            Command::Left => self.turn(false, cx),
            Command::Right => self.turn(true, cx),
            Command::Refresh if self.node.is_none() => cx.note("The keys of this machine are live: nothing has to be read again."),
            Command::Refresh => self.read(cx),
            Command::View => {
                self.shape = self.shape.next();
                self.top.set(0);
            }
            Command::New => forms::set(self.node.as_ref(), self.prefix().unwrap_or_default(), cx),
            Command::Import => forms::import(self.careful.clone(), cx),
            Command::Export => self.export(cx),
            command => self.of_entry(command, cx),
        }
    }

    fn typing(&self) -> Option<Typing> {
        self.list.is_filtering().then_some(Typing::Field)
    }

    fn typed(&mut self, input: &Input, cx: &mut Cx<'_>) {
        if !self.list.steer(input, &self.rows) {
            self.list.typed(input);
            self.refresh(cx.world);
        }
    }

    fn mouse(&mut self, mouse: &Mouse, area: Rect, cx: &mut Cx<'_>) {
        let places = view::places(area, self.pane);
        let at = (mouse.column, mouse.row).into();
        let pane = if places.keys.contains(at) { Pane::Keys } else { Pane::Value };
        if matches!(mouse.kind, MouseKind::Down(_)) {
            self.pane = pane;
        }
        match (pane, mouse.kind) {
            (Pane::Keys, _) => drop(self.list.mouse(mouse, &self.rows)),
            (Pane::Value, MouseKind::ScrollUp) => self.top.set(self.top.get().saturating_sub(3)),
            (Pane::Value, MouseKind::ScrollDown) => self.top.set(self.top.get().saturating_add(3)),
            (Pane::Value, MouseKind::Down(_)) => {}
            (Pane::Value, _) => cx.nothing_to_see(),
        }
    }

    fn shown(&mut self, front: bool, cx: &mut Cx<'_>) {
        self.front = front;
        // What was remembered of the last time was never read in this one.
        if front {
            self.refresh(cx.world);
            self.read_first(cx);
        }
    }

    fn tidy(&mut self, world: &World) {
        if self.dirty {
            self.refresh(world);
        }
    }

    fn news(&mut self, news: &News, cx: &mut Cx<'_>) {
        if matches!(news, News::All | News::Topic(Topic::Context | Topic::Peers)) {
            self.dirty = true;
        }
        if matches!(news, News::All) && self.front {
            self.read_first(cx);
        }
        // An answer that was on its way when the daemon went does not come.
        if matches!(news, News::Link) {
            self.far.values_mut().for_each(|far| far.asked = false);
        }
    }

    fn event(&mut self, event: &Event, cx: &mut Cx<'_>) {
        match event {
            Event::Answer(answered) => self.answered(answered, cx),
            Event::Woke(Timer::Settle) if self.settle_at.is_some_and(|at| at <= cx.now.since) => {
                self.settle_at = None;
                self.read(cx);
            }
            Event::Did(crate::effect::Done::Text(purpose, result)) => self.came(purpose, result, cx),
            _ => cx.nothing_to_see(),
        }
    }

    fn why_not(&self, command: Command, world: &World) -> Option<String> {
        use Command as C;
        let writes = matches!(command, C::New | C::Edit | C::Stop | C::Ttl | C::Broadcast | C::Import);
        let reads_far = command == C::Refresh && self.node.is_some();
        if writes || reads_far {
            if let Some(why) = world.why_down() {
                return Some(why);
            }
            let away = self.node.as_ref().and_then(|node| world.peers.get(node)).filter(|peer| peer.status == PeerStatus::Offline);
            if let (Some(peer), false) = (away, reads_far || command == C::Broadcast) {
                return Some(format!("`{}` does not answer at the moment, so its keys can only be read as they were.", inert(&peer.hostname)));
            }
        }
        if command == C::Import && self.node.is_some() {
            return Some("Keys are imported on the machine itself: run `loopsy context import` there, or h/l back to this machine.".to_owned());
        }
        if command == C::Export && self.rows.is_empty() {
            return Some("No keys are shown, so there is nothing to write.".to_owned());
        }
        let about = matches!(command, C::Edit | C::Copy | C::CopyOther | C::Broadcast | C::Stop | C::Ttl | C::Open | C::View);
        if about && self.entry(world).is_none() {
            return Some("No key is selected. n sets one.".to_owned());
        }
        if command == C::Broadcast && self.node.is_none() && !world.can_reach_any() {
            return Some("No other machine is online.".to_owned());
        }
        None
    }

    fn status(&self, world: &World) -> String {
        let (count, size) = self.entries(world).map_or((0, 0), |entries| (entries.len(), entries.values().map(|entry| entry.value.len()).sum::<usize>()));
        let filter = match (self.prefix(), self.list.pattern()) {
            (Some(prefix), _) => format!(" | prefix: {}", inert(prefix)),
            (None, "") => String::new(),
            (None, pattern) => format!(" | filter: {}", inert(pattern)),
        };
        let others = if world.peers.values().any(|peer| peer.trusted && !peer.candidate) { " (h/l: other machines)" } else { "" };
        let keys = if count == 1 { "key" } else { "keys" };
        format!("{}{others} | {count} {keys}, {}{filter}", inert(world.name_of(self.node.as_ref())), bytes(size as u64))
    }

    fn view(&self, area: Rect, canvas: &mut Canvas<'_>) {
        view::draw(self, area, canvas);
    }

    fn state(&self) -> Value {
        json!({ "node": self.node, "filter": self.list.pattern(), "sort": self.list.sort(), "selected": self.list.selected(&self.rows), "view": self.shape.name() })
    }

    fn restore(&mut self, state: &Value) {
        self.node = state["node"].as_str().map(NodeId::from);
        self.list.filter_by(state["filter"].as_str().unwrap_or_default());
        if let Some(name) = state["sort"][0].as_str() {
            self.list.sort_by(&SORTS, name, state["sort"][1] == true);
        }
        if let Some(key) = state["selected"].as_str() {
            self.list.select(key.to_owned(), &self.rows);
        }
        self.shape = state["view"].as_str().map(Shape::named).unwrap_or_default();
    }
}

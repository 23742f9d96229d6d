//! The tab `peers`: the machines that this one knows, how each stands, and what can be done with it.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use loopsy_shared::{
    api::peers::{PeerInfo, PeerStatus},
    id::{NodeId, TransferId},
    text::inert,
};
use ratatui::layout::Rect;
use serde_json::{Value, json};

use super::{Tab, Typing, Visit};
use crate::{
    app::{Canvas, Cx},
    event::Event,
    input::{Input, Mouse, MouseKind},
    keymap::Command,
    overlays::{live::Filler, output},
    widgets::list::List,
    world::{News, World, standing::Standing},
};

mod address;
mod answers;
mod commands;
mod forms;
#[cfg(test)]
mod tests;
mod view;

/// Columns that can be sorted by.
const SORTS: [&str; 5] = ["NAME", "ADDRESS", "STATE", "VERSION", "SYSTEM"];

/// Its panes, in the order of Tab.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Pane {
    #[default]
    Table,
    Details,
    Recent,
}

/// A command that runs on a peer for the person.
#[derive(Debug)]
struct Run {
    /// For people: `cargo test` on kai.
    title: String,
    watch: output::Watch,
}

/// By their numbers; forms that start one have a hand in it too.
type Runs = Rc<RefCell<BTreeMap<u64, Run>>>;

/// Its state.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    pane: Pane,
    list: List<NodeId>,
    rows: Vec<NodeId>,
    transfers: List<TransferId>,
    recent: List<u64>,
    /// Lines about the selected peer, newest first.
    told: Vec<u64>,
    checks: BTreeMap<NodeId, Filler>,
    runs: Runs,
}

impl Peers {
    fn refresh(&mut self, world: &World) {
        let (mut known, mut seen) = (world.known_peers(), world.candidates());
        for group in [&mut known, &mut seen] {
            self.list.order(group, |column, a, b| match column {
                "ADDRESS" => (&a.address, a.port).cmp(&(&b.address, b.port)),
                "STATE" => Standing::of(a).cmp(&Standing::of(b)),
                "VERSION" => a.version.cmp(&b.version),
                "SYSTEM" => a.platform.cmp(&b.platform),
                _ => a.hostname.to_lowercase().cmp(&b.hostname.to_lowercase()),
            });
        }
        // Machines that were only seen stand apart, at the end.
        known.append(&mut seen);
        let shown = self.list.filtered(known, |peer| format!("{} {} {} {}", peer.hostname, peer.address, Standing::of(peer).words(), peer.platform));
        self.rows = shown.into_iter().map(|peer| peer.node_id.clone()).collect();
        self.follow(world);
    }

    /// What depends on which peer is selected.
    fn follow(&mut self, world: &World) {
        let selected = self.list.selected(&self.rows);
        let lines: Vec<_> = world.activity.iter().rev().filter(|line| line.peer.is_some() && line.peer.as_ref() == selected).collect();
        self.told = self.recent.filtered(lines, |line| line.text.clone()).into_iter().map(|line| line.number).collect();
    }

    fn peer<'a>(&self, world: &'a World) -> Option<&'a PeerInfo> {
        world.peers.get(self.list.selected(&self.rows)?)
    }

    fn transfer_ids(&self, world: &World) -> Vec<TransferId> {
        self.peer(world).map(|peer| world.transfers_with(peer).into_iter().map(|transfer| transfer.transfer_id.clone()).collect()).unwrap_or_default()
    }

    fn turn(&mut self, forwards: bool, cx: &Cx<'_>) {
        let wide = view::has_recent(cx.settings.size);
        self.pane = match (self.pane, forwards) {
            (Pane::Table, true) => Pane::Details,
            (Pane::Details, true) if wide => Pane::Recent,
            (Pane::Table, false) if wide => Pane::Recent,
            (Pane::Table, false) | (Pane::Recent, false) => Pane::Details,
            _ => Pane::Table,
        };
    }
}

impl Tab for Peers {
    fn act(&mut self, command: Command, cx: &mut Cx<'_>) {
        if self.pane == Pane::Recent && !view::has_recent(cx.settings.size) {
            self.pane = Pane::Details;
        }
        let transfers = self.transfer_ids(cx.world);
        let moved = match self.pane {
            Pane::Table => self.list.act(command, &self.rows),
            Pane::Details => self.transfers.act(command, &transfers),
            Pane::Recent => self.recent.act(command, &self.told),
        };
        if moved {
            return self.follow(cx.world);
        }
        match command {
            Command::NextPane => self.turn(true, cx),
            Command::PreviousPane => self.turn(false, cx),
            Command::Filter if self.pane == Pane::Recent => self.recent.filter(),
            Command::Filter => {
                self.pane = Pane::Table;
                self.list.filter();
            }
            Command::Leave => {
                self.list.leave_filter();
                self.recent.leave_filter();
            }
            Command::Back => {
                if self.pane == Pane::Recent && self.recent.clear_filter() || self.list.clear_filter() {
                    self.refresh(cx.world);
                } else {
                    self.pane = Pane::Table;
                }
            }
            Command::Sort => {
                self.list.sort_next(&SORTS);
                self.refresh(cx.world);
            }
            Command::New => forms::add(cx),
            Command::Pair => cx.visit(Visit::Pair),
            Command::Stop if self.pane == Pane::Details && !transfers.is_empty() => {
                if let Some(id) = self.transfers.selected(&transfers) {
                    forms::cancel(id, cx);
                }
            }
            command => self.of_peer(command, cx),
        }
    }

    fn typing(&self) -> Option<Typing> {
        (self.list.is_filtering() || self.recent.is_filtering()).then_some(Typing::Field)
    }

    fn typed(&mut self, input: &Input, cx: &mut Cx<'_>) {
        if self.recent.is_filtering() {
            if !self.recent.steer(input, &self.told) {
                self.recent.typed(input);
            }
        } else if !self.list.steer(input, &self.rows) {
            self.list.typed(input);
        }
        self.refresh(cx.world);
    }

    fn mouse(&mut self, mouse: &Mouse, area: Rect, cx: &mut Cx<'_>) {
        let places = view::places(area, self.pane, !self.transfer_ids(cx.world).is_empty());
        let transfers = self.transfer_ids(cx.world);
        for (pane, place) in [(Pane::Table, places.table), (Pane::Details, places.details), (Pane::Recent, places.recent)] {
            if !place.contains((mouse.column, mouse.row).into()) {
                continue;
            }
            if matches!(mouse.kind, MouseKind::Down(_)) {
                self.pane = pane;
            }
            let _whatever_it_was = match pane {
                Pane::Table => self.list.mouse(mouse, &self.rows),
                Pane::Details => self.transfers.mouse(mouse, &transfers),
                Pane::Recent => self.recent.mouse(mouse, &self.told),
            };
            return self.follow(cx.world);
        }
        cx.nothing_to_see();
    }

    fn shown(&mut self, front: bool, cx: &mut Cx<'_>) {
        if front {
            cx.ask_status();
        }
    }

    fn visit(&mut self, visit: Visit, cx: &mut Cx<'_>) {
        if let Visit::Peer(peer) = visit {
            self.pane = Pane::Table;
            if !self.rows.contains(&peer) {
                self.list.clear_filter();
                self.refresh(cx.world);
            }
            self.list.select(peer, &self.rows);
            self.follow(cx.world);
        }
    }

    fn news(&mut self, news: &News, cx: &mut Cx<'_>) {
        use loopsy_shared::api::events::Topic;
        match news {
            News::All | News::Topic(Topic::Peers) => self.refresh(cx.world),
            _ => self.follow(cx.world),
        }
    }

    fn event(&mut self, event: &Event, cx: &mut Cx<'_>) {
        match event {
            Event::Answer(answered) => self.answered(answered, cx),
            Event::Exec(number, result) if self.runs.borrow().contains_key(number) => self.ran(*number, result, cx),
            _ => {}
        }
    }

    fn why_not(&self, command: Command, world: &World) -> Option<String> {
        use Command as C;
        let about = matches!(
            command,
            C::Open | C::Refresh | C::Stop | C::Run | C::Send | C::Pull | C::Rights | C::Diagnose | C::Shell | C::Message | C::Copy | C::CopyOther
        );
        if !about && !matches!(command, C::New | C::Pair) {
            return None;
        }
        if !matches!(command, C::Open | C::Copy | C::CopyOther)
            && let Some(why) = world.why_down()
        {
            return Some(why);
        }
        if !about {
            return None;
        }
        let Some(peer) = self.peer(world) else { return Some("No peer is selected. P pairs a machine, n adds one by its address.".to_owned()) };
        let name = inert(&peer.hostname);
        match command {
            C::Stop if self.pane == Pane::Details && world.transfers_with(peer).iter().any(|transfer| is_running(transfer)) => None,
            C::Run | C::Send | C::Pull | C::Shell | C::Message | C::Rights | C::Stop | C::Refresh | C::Diagnose if peer.candidate => {
                Some(format!("`{name}` was only seen on this network: P pairs with it first."))
            }
            C::Rights if peer.principal.is_none() && peer.scopes.is_empty() && !peer.paired => {
                Some(format!("`{name}` has no key for this machine yet, so it may do nothing here. P pairs with it."))
            }
            C::Run | C::Send | C::Pull | C::Shell | C::Message if !peer.trusted => Some(format!("This machine has no key for `{name}`. P pairs with it.")),
            C::Run | C::Send | C::Pull | C::Shell if peer.status == PeerStatus::Offline => {
                Some(format!("`{name}` does not answer at the moment. r tries now, c tries the way to it step by step."))
            }
            _ => None,
        }
    }

    fn status(&self, world: &World) -> String {
        let (online, all) = world.peer_counts();
        let filter = if self.list.pattern().is_empty() { "none".to_owned() } else { inert(self.list.pattern()).into_owned() };
        let plain: Vec<_> =
            world.peers.values().filter(|peer| peer.trusted && !peer.candidate && peer.encryption == loopsy_shared::api::peers::Encryption::None).collect();
        let plain = match plain.as_slice() {
            [] => String::new(),
            [one] => format!(" | not encrypted: {}", inert(&one.hostname)),
            several => format!(" | not encrypted: {}", several.len()),
        };
        format!("filter: {filter} | {online}/{all} online{plain}")
    }

    fn view(&self, area: Rect, canvas: &mut Canvas<'_>) {
        view::draw(self, area, canvas);
    }

    fn state(&self) -> Value {
        json!({ "filter": self.list.pattern(), "sort": self.list.sort(), "selected": self.list.selected(&self.rows) })
    }

    fn restore(&mut self, state: &Value) {
        self.list.filter_by(state["filter"].as_str().unwrap_or_default());
        if let Some(name) = state["sort"][0].as_str() {
            self.list.sort_by(&SORTS, name, state["sort"][1] == true);
        }
        if let Some(selected) = state["selected"].as_str() {
            self.list.select(NodeId::from(selected), &self.rows);
        }
    }
}

fn is_running(transfer: &loopsy_shared::api::transfers::TransferInfo) -> bool {
    transfer.state == loopsy_shared::api::transfers::TransferState::Running
}

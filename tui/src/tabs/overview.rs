//! The tab `overview`: every node at a glance, what waits for an answer, and what happened.

use loopsy_shared::{
    api::peers::PeerStatus,
    id::{ApprovalId, NodeId},
    time::Millis,
};
use ratatui::layout::Rect;
use serde_json::{Value, json};

use super::{Tab, Typing, Visit};
use crate::{
    app::{Canvas, Cx},
    input::{Input, Mouse, MouseKind},
    keymap::Command,
    overlays::{review::Review, text::Text},
    widgets::{list::List, node},
    world::{Link, News, World, standing::Standing},
};

mod asks;
#[cfg(test)]
mod tests;
mod view;

use asks::Ask;

/// Columns that can be sorted by.
const SORTS: [&str; 4] = ["NAME", "WHERE", "TASKS", "NEEDS"];

/// Its panes, in the order of Tab.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Pane {
    #[default]
    Nodes,
    Needs,
    Activity,
}

impl Pane {
    const ALL: [Self; 3] = [Self::Nodes, Self::Needs, Self::Activity];

    const fn turn(self, by: usize) -> Self {
        Self::ALL[(self as usize + by) % 3]
    }
}

/// Its state. What is shown is made anew when the world changes, and not for every frame.
#[derive(Debug, Default)]
pub(crate) struct Overview {
    pane: Pane,
    nodes: List<Option<NodeId>>,
    needs: List<ApprovalId>,
    activity: List<u64>,
    rows: Vec<Option<NodeId>>,
    asks: Vec<Ask>,
    ask_ids: Vec<ApprovalId>,
    told: Vec<u64>,
    /// Since when the daemon here runs.
    since: Option<Millis>,
}

impl Overview {
    fn refresh_nodes(&mut self, world: &World) {
        let mut peers = world.known_peers();
        self.nodes.order(&mut peers, |column, a, b| match column {
            "WHERE" => (&a.address, a.port).cmp(&(&b.address, b.port)),
            "TASKS" => world.running_on(Some(&b.node_id)).cmp(&world.running_on(Some(&a.node_id))),
            "NEEDS" => world.waiting_on(Some(&b.node_id)).cmp(&world.waiting_on(Some(&a.node_id))),
            _ => a.hostname.to_lowercase().cmp(&b.hostname.to_lowercase()),
        });
        // This machine is always the first.
        let all: Vec<Option<NodeId>> = std::iter::once(None).chain(peers.into_iter().map(|peer| Some(peer.node_id.clone()))).collect();
        self.rows = self.nodes.filtered(all, |node| match node.as_ref().and_then(|id| world.peers.get(id)) {
            Some(peer) => format!("{} {} {}", peer.hostname, peer.address, Standing::of(peer).words()),
            None => format!("{} this machine", world.here()),
        });
    }

    fn refresh_asks(&mut self, world: &World) {
        let asks: Vec<Ask> = world.approvals().into_iter().map(|approval| Ask::of(approval, world)).collect();
        self.asks = self.needs.filtered(asks, |ask| format!("{} {} {}", ask.head, ask.node_name, ask.what));
        self.ask_ids = self.asks.iter().map(|ask| ask.id.clone()).collect();
    }

    /// Newest first.
    fn refresh_activity(&mut self, world: &World) {
        let lines: Vec<_> = world.activity.iter().rev().collect();
        self.told = self
            .activity
            .filtered(lines, |line| format!("{} {}", line.node.as_deref().unwrap_or(world.here()), line.text))
            .into_iter()
            .map(|line| line.number)
            .collect();
    }

    fn refresh(&mut self, world: &World) {
        self.refresh_nodes(world);
        self.refresh_asks(world);
        self.refresh_activity(world);
    }

    fn ask(&self) -> Option<&Ask> {
        let at = self.needs.at(&self.ask_ids)?;
        self.asks.get(at)
    }

    /// The node that commands are about: the selected one, or that of what is selected.
    fn node(&self, world: &World) -> Option<NodeId> {
        match self.pane {
            Pane::Nodes => self.nodes.selected(&self.rows).cloned().flatten(),
            Pane::Needs => self.ask().and_then(|ask| ask.node.clone()),
            Pane::Activity => {
                let number = self.activity.selected(&self.told)?;
                world.activity.iter().find(|line| line.number == *number)?.peer.clone()
            }
        }
    }

    fn filtering(&self) -> bool {
        self.nodes.is_filtering() || self.needs.is_filtering() || self.activity.is_filtering()
    }

    fn open(&self, cx: &mut Cx<'_>) {
        match self.pane {
            Pane::Nodes => match self.nodes.selected(&self.rows) {
                Some(Some(peer)) => cx.visit(Visit::Peer(peer.clone())),
                Some(None) => {
                    let lines = node::for_box(node::lines(cx.world, None, self.since, cx.now.wall));
                    cx.open(Text::new(cx.world.here(), lines));
                }
                None => {}
            },
            Pane::Needs if self.asks.is_empty() => cx.note("No agent waits for an answer."),
            Pane::Needs => {
                let id = self.needs.selected(&self.ask_ids);
                let approval = cx.world.approvals().into_iter().find(|approval| Some(&approval.id) == id).cloned();
                match approval {
                    Some(approval) => cx.open(Review::of(approval, cx.world, cx.now)),
                    None => cx.note("That question was answered meanwhile."),
                }
            }
            Pane::Activity => {
                let line = self.activity.selected(&self.told).and_then(|number| cx.world.activity.iter().find(|line| line.number == *number));
                match line.map(|line| (line.task.clone(), line.peer.clone())) {
                    Some((Some(task), _)) if cx.world.task(&task).is_some() => cx.visit(Visit::Task(task)),
                    Some((Some(_), _)) => cx.note("That task is no longer kept."),
                    Some((None, Some(peer))) if cx.world.peers.contains_key(&peer) => cx.visit(Visit::Peer(peer)),
                    Some(_) => cx.note("There is nothing to open for this line."),
                    None => {}
                }
            }
        }
    }

    /// Nothing was set up, or nobody was paired, and nothing runs: then the way on is shown and not empty lists.
    fn is_first_run(world: &World) -> bool {
        match world.link {
            Link::Missing(_) => true,
            Link::Up | Link::Lost(..) => world.peer_counts().1 == 0 && world.tasks_of(None).next().is_none(),
            Link::Connecting => false,
        }
    }
}

impl Tab for Overview {
    fn act(&mut self, command: Command, cx: &mut Cx<'_>) {
        let moved = match self.pane {
            Pane::Nodes => self.nodes.act(command, &self.rows),
            Pane::Needs => self.needs.act(command, &self.ask_ids),
            Pane::Activity => self.activity.act(command, &self.told),
        };
        if moved {
            return;
        }
        match command {
            Command::NextPane => self.pane = self.pane.turn(1),
            Command::PreviousPane => self.pane = self.pane.turn(2),
            Command::Filter => match self.pane {
                Pane::Nodes => self.nodes.filter(),
                Pane::Needs => self.needs.filter(),
                Pane::Activity => self.activity.filter(),
            },
            Command::Leave => {
                self.nodes.leave_filter();
                self.needs.leave_filter();
                self.activity.leave_filter();
            }
            Command::Back => {
                let cleared = match self.pane {
                    Pane::Nodes => self.nodes.clear_filter(),
                    Pane::Needs => self.needs.clear_filter(),
                    Pane::Activity => self.activity.clear_filter(),
                };
                if cleared {
                    self.refresh(cx.world);
                }
            }
            Command::Sort if self.pane == Pane::Nodes => {
                self.nodes.sort_next(&SORTS);
                self.refresh_nodes(cx.world);
            }
            Command::Open => self.open(cx),
            Command::New => {
                let node = self.node(cx.world);
                cx.visit(Visit::NewTask(node));
            }
            Command::Message => {
                if let Some(peer) = self.node(cx.world) {
                    cx.visit(Visit::Message(peer));
                }
            }
            Command::Shell => {
                let node = self.node(cx.world);
                cx.visit(Visit::NewTerminal(node));
            }
            Command::Pair => cx.visit(Visit::Pair),
            Command::Refresh => {
                cx.ask_status();
                cx.note("Machines, tasks and questions are live; how this machine's daemon is, is being read again.");
            }
            _ => cx.nothing_to_see(),
        }
    }

    fn typing(&self) -> Option<Typing> {
        self.filtering().then_some(Typing::Field)
    }

    fn typed(&mut self, input: &Input, cx: &mut Cx<'_>) {
        match self.pane {
            Pane::Nodes if !self.nodes.steer(input, &self.rows) => {
                self.nodes.typed(input);
                self.refresh_nodes(cx.world);
            }
            Pane::Needs if !self.needs.steer(input, &self.ask_ids) => {
                self.needs.typed(input);
                self.refresh_asks(cx.world);
            }
            Pane::Activity if !self.activity.steer(input, &self.told) => {
                self.activity.typed(input);
                self.refresh_activity(cx.world);
            }
            _ => {}
        }
    }

    fn mouse(&mut self, mouse: &Mouse, area: Rect, cx: &mut Cx<'_>) {
        let places = view::places(area, self.pane);
        for (pane, place) in Pane::ALL.into_iter().zip([places.nodes, places.needs, places.activity]) {
            if !place.contains((mouse.column, mouse.row).into()) {
                continue;
            }
            if matches!(mouse.kind, MouseKind::Down(_)) {
                self.pane = pane;
            }
            let _whatever_it_was = match pane {
                Pane::Nodes => self.nodes.mouse(mouse, &self.rows),
                Pane::Needs => self.needs.mouse(mouse, &self.ask_ids),
                Pane::Activity => self.activity.mouse(mouse, &self.told),
            };
            return;
        }
        cx.nothing_to_see();
    }

    fn shown(&mut self, front: bool, cx: &mut Cx<'_>) {
        if front {
            cx.ask_status();
        }
    }

    fn news(&mut self, news: &News, cx: &mut Cx<'_>) {
        if let (News::Status, Some(status)) = (news, &cx.world.status) {
            self.since = Some(cx.now.wall.saturating_sub(status.uptime));
        }
        use loopsy_shared::api::events::Topic;
        if !matches!(news, News::Topic(Topic::Context | Topic::Jobs | Topic::Transfers | Topic::Terminals | Topic::Pairing)) {
            self.refresh_nodes(cx.world);
            self.refresh_asks(cx.world);
        }
        self.refresh_activity(cx.world);
    }

    fn why_not(&self, command: Command, world: &World) -> Option<String> {
        match command {
            Command::New | Command::Shell | Command::Message | Command::Pair => {
                if let Some(why) = world.why_down() {
                    return Some(why);
                }
                let peer = self.node(world);
                match (command, peer.as_ref().and_then(|id| world.peers.get(id))) {
                    (Command::Message, None) => Some("Messages go to other machines: select one of them first.".to_owned()),
                    (Command::New | Command::Shell, Some(peer)) if peer.status == PeerStatus::Offline => {
                        Some(format!("`{}` does not answer at the moment; 2 shows why.", loopsy_shared::text::inert(&peer.hostname)))
                    }
                    (Command::Message | Command::New | Command::Shell, Some(peer)) if !peer.trusted => {
                        Some(format!("This machine has no key for `{}`. P pairs with it.", loopsy_shared::text::inert(&peer.hostname)))
                    }
                    _ => None,
                }
            }
            Command::Sort if self.pane != Pane::Nodes => {
                Some("Questions are in the order in which they were asked, and activity has the newest first. o sorts the machines.".to_owned())
            }
            _ => None,
        }
    }

    fn status(&self, world: &World) -> String {
        let (online, all) = world.peer_counts();
        let running: usize = world.running_on(None) + world.pictures.keys().map(|id| world.running_on(Some(id))).sum::<usize>();
        format!("{} {} | {online}/{all} peers online | {running} tasks running", loopsy_shared::text::inert(world.here()), world.address)
    }

    fn view(&self, area: Rect, canvas: &mut Canvas<'_>) {
        view::draw(self, area, canvas);
    }

    fn state(&self) -> Value {
        json!({ "pane": self.pane as usize, "filter": self.nodes.pattern(), "sort": self.nodes.sort() })
    }

    fn restore(&mut self, state: &Value) {
        if let Some(pane) = state["pane"].as_u64().and_then(|at| Pane::ALL.get(at as usize)) {
            self.pane = *pane;
        }
        self.nodes.filter_by(state["filter"].as_str().unwrap_or_default());
        if let Some(name) = state["sort"][0].as_str() {
            self.nodes.sort_by(&SORTS, name, state["sort"][1] == true);
        }
    }
}

//! Which terminals there are: the local daemon tells of its own; peers are asked.

use std::collections::{BTreeMap, BTreeSet};

use loopsy_shared::{
    api::{
        Code,
        peers::PeerStatus,
        terminals::{ListTerminals, TerminalExit, TerminalInfo},
    },
    id::NodeId,
    time::Millis,
};

use crate::{
    app::Cx,
    event::Failure,
    request::Answer,
    world::{TerminalKey, World},
};

/// A row of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// A terminal that is open, or ended not long ago.
    Open(TerminalKey),
    /// A node on which one can be opened.
    New(Option<NodeId>),
}

/// What is known of a peer's terminals.
#[derive(Debug, Default)]
struct Peer {
    asking: bool,
    /// When it was asked last.
    asked: u64,
    /// It did not answer any calls since.
    away: bool,
    terminals: Vec<TerminalInfo>,
    /// Why they are not known.
    problem: Option<String>,
    refused: bool,
}

/// How long a peer that said why its terminals are not known is left alone, in milliseconds. It may have changed its mind when there is news of it.
const CALM: u64 = 10_000;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Shells {
    peers: BTreeMap<NodeId, Peer>,
    /// Terminals that somebody wants to see and that nobody told of yet.
    wanted: BTreeSet<TerminalKey>,
}

/// Whether a peer does not allow it.
pub(super) fn is_refusal(failure: &Failure) -> bool {
    failure.code == Some(Code::ScopeMissing.number())
}

/// What to do when a peer does not allow it.
pub(super) fn refusal(node: &NodeId, world: &World) -> String {
    let (name, here) = (world.name_of(Some(node)), world.here());
    format!("{name} does not let this machine use its terminals. Whoever owns {name} allows it there with `loopsy peers allow {here} terminal`.")
}

/// As much of a task's id as people look at.
fn first(id: &str) -> &str {
    id.get(..4).unwrap_or(id)
}

impl Shells {
    /// Asks the peers that answer: those that were not asked yet, that were away since, or whose terminals are not known; or all of them.
    pub(super) fn ask(&mut self, all: bool, cx: &mut Cx<'_>) {
        let is_due = |peer: &Peer| peer.away || peer.problem.is_some() && peer.asked + CALM <= cx.now.since;
        let online = cx.world.peers.values().filter(|peer| peer.trusted && peer.status == PeerStatus::Online);
        let online = online.filter(|peer| all || self.peers.get(&peer.node_id).is_none_or(is_due));
        let online: Vec<NodeId> = online.map(|peer| peer.node_id.clone()).collect();
        for node in online {
            let peer = self.peers.entry(node.clone()).or_default();
            (peer.asked, peer.away) = (cx.now.since, false);
            if !std::mem::replace(&mut peer.asking, true) {
                cx.call(Some(&node), ListTerminals {});
            }
        }
    }

    /// What a peer said.
    pub(super) fn answered(&mut self, node: &NodeId, result: &Result<Answer, Failure>, world: &World) {
        let peer = self.peers.entry(node.clone()).or_default();
        peer.asking = false;
        match result {
            Ok(Answer::ListTerminals(terminals)) => {
                peer.terminals = terminals.terminals.clone();
                (peer.problem, peer.refused) = (None, false);
                self.wanted.retain(|key| key.node.as_ref() != Some(node));
            }
            Ok(_) => {}
            Err(failure) => {
                peer.refused = is_refusal(failure);
                peer.problem = Some(if peer.refused { refusal(node, world) } else { failure.message.clone() });
            }
        }
    }

    /// Peers that are gone are forgotten, and what was wanted and came.
    pub(super) fn settle(&mut self, world: &World) {
        if world.is_up() {
            self.peers.retain(|node, peer| {
                let known = world.peers.get(node);
                peer.away |= known.is_some_and(|known| known.status != PeerStatus::Online);
                known.is_some()
            });
        }
        self.wanted.retain(|key| key.node.is_some() || !world.terminals.contains_key(&key.id));
    }

    /// A terminal that was opened from here.
    pub(super) fn add(&mut self, key: &TerminalKey, terminal: &TerminalInfo, world: &World) {
        match &key.node {
            Some(node) => {
                let terminals = &mut self.peers.entry(node.clone()).or_default().terminals;
                terminals.retain(|known| known.id != terminal.id);
                terminals.push(terminal.clone());
            }
            None => self.want(key.clone(), world),
        }
    }

    /// A terminal to be shown, whoever told of it.
    pub(super) fn want(&mut self, key: TerminalKey, world: &World) {
        if self.info(&key, world).is_none() {
            self.wanted.insert(key);
        }
    }

    /// Whether nobody told of it yet.
    pub(super) fn is_wanted(&self, key: &TerminalKey) -> bool {
        self.wanted.contains(key)
    }

    /// A terminal that is not there.
    pub(super) fn missing(&mut self, key: &TerminalKey) {
        self.wanted.remove(key);
    }

    /// A terminal that was closed.
    pub(super) fn forget(&mut self, key: &TerminalKey) {
        self.wanted.remove(key);
        if let Some(peer) = key.node.as_ref().and_then(|node| self.peers.get_mut(node)) {
            peer.terminals.retain(|terminal| terminal.id != key.id);
        }
    }

    /// The program of a peer's terminal ended.
    pub(super) fn ended(&mut self, key: &TerminalKey, exit: &TerminalExit, at: Millis) {
        let peer = key.node.as_ref().and_then(|node| self.peers.get_mut(node));
        if let Some(terminal) = peer.and_then(|peer| peer.terminals.iter_mut().find(|terminal| terminal.id == key.id)) {
            (terminal.exit, terminal.ended_at) = (Some(exit.clone()), Some(at));
        }
    }

    /// What is known of a terminal.
    pub(super) fn info<'a>(&'a self, key: &TerminalKey, world: &'a World) -> Option<&'a TerminalInfo> {
        match &key.node {
            None => world.terminals.get(&key.id),
            Some(node) => self.peers.get(node)?.terminals.iter().find(|terminal| terminal.id == key.id),
        }
    }

    /// All rows: local terminals, those of peers by name, and then the nodes. Oldest first.
    pub(super) fn items(&self, world: &World) -> Vec<Item> {
        let mut here: Vec<&TerminalInfo> = world.terminals.values().collect();
        here.sort_by_key(|terminal| terminal.created_at);
        let mut items: Vec<Item> = here.into_iter().map(|terminal| Item::Open(TerminalKey { node: None, id: terminal.id.clone() })).collect();
        let mut peers: Vec<_> = world.peers.values().filter(|peer| peer.trusted).collect();
        peers.sort_by(|a, b| a.hostname.cmp(&b.hostname).then_with(|| a.node_id.cmp(&b.node_id)));
        for peer in &peers {
            let terminals = self.peers.get(&peer.node_id).into_iter().flat_map(|known| &known.terminals);
            items.extend(terminals.map(|terminal| Item::Open(TerminalKey { node: Some(peer.node_id.clone()), id: terminal.id.clone() })));
        }
        items.extend(self.wanted.iter().filter(|key| self.info(key, world).is_none()).cloned().map(Item::Open));
        items.push(Item::New(None));
        items.extend(peers.iter().map(|peer| Item::New(Some(peer.node_id.clone()))));
        items
    }

    /// `studio-mac: zsh`.
    pub(super) fn title(&self, key: &TerminalKey, world: &World) -> Option<String> {
        let info = self.info(key, world)?;
        let task = info.task_id.as_ref().map(|task| format!(" (task {})", first(task.as_str()))).unwrap_or_default();
        Some(format!("{}: {}{task}", world.name_of(key.node.as_ref()), info.name))
    }

    /// What a filter looks in.
    pub(super) fn words(&self, item: &Item, world: &World) -> String {
        match item {
            Item::Open(key) => self.title(key, world).unwrap_or_default(),
            Item::New(node) => world.name_of(node.as_ref()).to_owned(),
        }
    }

    /// The columns of a row: node, and what is to be said.
    pub(super) fn row<'a>(&'a self, item: &'a Item, world: &'a World) -> (&'a str, String) {
        match item {
            Item::Open(key) => {
                let state = match self.info(key, world) {
                    Some(TerminalInfo { exit: Some(exit), name, .. }) => format!("exited {} {name}", exit.shell_code()),
                    Some(TerminalInfo { task_id: Some(task), name, .. }) => format!("{name} {}", first(task.as_str())),
                    Some(info) => info.name.clone(),
                    None => "..".to_owned(),
                };
                (
                    match &key.node {
                        None => world.here(),
                        Some(node) => world.peers.get(node).map_or(node.as_str(), |peer| peer.hostname.as_str()),
                    },
                    state,
                )
            }
            Item::New(None) => (world.here(), String::new()),
            Item::New(Some(node)) => {
                let peer = world.peers.get(node);
                let state = match (peer.map(|peer| peer.status), self.peers.get(node)) {
                    (Some(PeerStatus::Online), Some(known)) if known.refused => "refuses",
                    (Some(PeerStatus::Online), Some(known)) if known.problem.is_some() => "!!",
                    (Some(PeerStatus::Online), _) => "",
                    (Some(PeerStatus::Offline), _) => "offline",
                    _ => "unknown",
                };
                (peer.map_or("?", |peer| peer.hostname.as_str()), state.to_owned())
            }
        }
    }

    /// What there is to say of a node on which nothing is open. The keys: open, open with more, ask again.
    pub(super) fn about(&self, node: Option<&NodeId>, world: &World, [open, more, again]: [&str; 3]) -> String {
        let name = world.name_of(node);
        let problem = node.and_then(|node| self.peers.get(node)).and_then(|peer| peer.problem.clone());
        let offline = node.and_then(|node| world.peers.get(node)).is_some_and(|peer| peer.status == PeerStatus::Offline);
        match problem {
            Some(problem) => format!("{problem}\n{again} asks again."),
            None if offline => format!("{name} does not answer now. {open} tries nevertheless."),
            None => format!(
                "{open} opens a shell on {name}.\n{more} opens one with a command or in a folder.\nWhat runs in a terminal goes on when Loopsy is left; it is listed here again."
            ),
        }
    }

    /// Why a peer's terminals cannot be used, when it does not allow it.
    pub(super) fn refused(&self, node: &NodeId) -> Option<&str> {
        self.peers.get(node).filter(|peer| peer.refused).and_then(|peer| peer.problem.as_deref())
    }

    /// For the status line.
    pub(super) fn status(&self, world: &World) -> String {
        let all = world.terminals.values().chain(self.peers.values().flat_map(|peer| &peer.terminals));
        let open = all.filter(|terminal| terminal.exit.is_none()).count();
        let asking = self.peers.values().filter(|peer| peer.asking).count();
        let refused = self.peers.values().filter(|peer| peer.refused).count();
        let mut text = format!("{open} open");
        if asking > 0 {
            text.push_str(&format!(" | asking {asking} {}", if asking == 1 { "peer" } else { "peers" }));
        }
        if refused > 0 {
            text.push_str(&format!(" | {refused} {} not allow it", if refused == 1 { "peer does" } else { "peers do" }));
        }
        text
    }
}

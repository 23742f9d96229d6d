//! The seven tabs. Each is one file with its state, what its keys do and how it looks; none knows another.

use loopsy_shared::id::NodeId;
use ratatui::layout::Rect;
use serde_json::Value;

use crate::{
    app::{Canvas, Cx},
    event::Event,
    input::Input,
    keymap::{Command, Scope},
    world::{News, TaskKey, TerminalKey, World},
};

pub(crate) mod context;
pub(crate) mod messages;
pub(crate) mod overview;
pub(crate) mod pairing;
pub(crate) mod peers;
pub(crate) mod tasks;
pub(crate) mod terminal;

/// Which tab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum TabId {
    Overview,
    Peers,
    Context,
    Messages,
    Tasks,
    Terminal,
    Pairing,
}

impl TabId {
    /// In the order of their keys.
    pub(crate) const ALL: [Self; 7] = [Self::Overview, Self::Peers, Self::Context, Self::Messages, Self::Tasks, Self::Terminal, Self::Pairing];

    /// Its name in config and docs.
    pub(crate) const fn name(self) -> &'static str {
        ["overview", "peers", "context", "messages", "tasks", "terminal", "pairing"][self as usize]
    }

    /// Its title: in a wide window, and in a narrow one.
    pub(crate) const fn titles(self) -> (&'static str, &'static str) {
        [
            ("Overview", "Overview"),
            ("Peers", "Peers"),
            ("Context", "Context"),
            ("Messages", "Msgs"),
            ("AI Tasks", "Tasks"),
            ("Terminal", "Term"),
            ("Pairing", "Pair"),
        ][self as usize]
    }
}

/// Something that one tab wants of another: the app brings it there and shows that tab.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Visit {
    /// Select this peer in the peers tab.
    Peer(NodeId),
    /// Select this task.
    Task(TaskKey),
    /// Begin a new task on this node.
    NewTask(Option<NodeId>),
    /// Show this terminal and type into it.
    Terminal(TerminalKey),
    /// Open a terminal on this node and type into it.
    NewTerminal(Option<NodeId>),
    /// Write a message to this peer.
    Message(NodeId),
    /// Pair: begin an invite.
    Pair,
}

/// What takes the keys of a tab instead of the key table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Typing {
    /// A program in a pane: every byte is its own, but for the way out. The app shows INPUT.
    Pane,
    /// A text field of the tab: keys and pastes come to [`Tab::typed`]; Ctrl-] and Esc leave too.
    Field,
}

/// A tab.
pub(crate) trait Tab {
    /// Does what a key of the table says. Commands that it does not know are none of its business.
    fn act(&mut self, command: Command, cx: &mut Cx<'_>);

    /// What takes the keys at the moment.
    fn typing(&self) -> Option<Typing> {
        None
    }

    /// A key or a paste while something of the tab takes them. For a pane, also with what was recognised as the way out left away.
    fn typed(&mut self, _input: &Input, _cx: &mut Cx<'_>) {}

    /// An input of any kind came while nothing lies over the tab, before it is looked at: for who must know whether a key stood alone.
    fn noticed(&mut self, _input: &Input, _cx: &mut Cx<'_>) {}

    /// The key that was noticed means nothing here.
    fn strayed(&mut self, _cx: &mut Cx<'_>) {}

    /// The frame that was drawn last, while this tab is in front, is on the terminal now; or, when not `seen`, what the terminal shows is not ours any more.
    fn painted(&mut self, _seen: bool, _cx: &mut Cx<'_>) {}

    /// The mouse, when it is on, over this tab's area.
    fn mouse(&mut self, _mouse: &crate::input::Mouse, _area: Rect, _cx: &mut Cx<'_>) {}

    /// The tab comes to the front, or leaves it.
    fn shown(&mut self, _front: bool, _cx: &mut Cx<'_>) {}

    /// Another tab wants something.
    fn visit(&mut self, _visit: Visit, _cx: &mut Cx<'_>) {}

    /// It is about to be drawn, or to get a key: what was put off until somebody looks is done. Only the tab in front is told.
    fn tidy(&mut self, _world: &World) {}

    /// The world changed.
    fn news(&mut self, _news: &News, _cx: &mut Cx<'_>) {}

    /// An event that is not of the world: an answer to this tab, a log, a terminal, a timer, something done. Every tab hears them all but answers, which come to
    /// who asked.
    fn event(&mut self, _event: &Event, cx: &mut Cx<'_>) {
        cx.nothing_to_see();
    }

    /// Further places of the key table that count before the tab's own, such as a search with hits.
    fn scopes(&self) -> Vec<Scope> {
        Vec::new()
    }

    /// Why a command cannot be used now; none when it can. For footer, help and palette, and the toast when it is tried.
    fn why_not(&self, _command: Command, _world: &World) -> Option<String> {
        None
    }

    /// The middle of the status line.
    fn status(&self, world: &World) -> String;

    /// Draws.
    fn view(&self, area: Rect, canvas: &mut Canvas<'_>);

    /// What is remembered for the next start: selection, filter, drafts that hold no secret. `null` for nothing.
    fn state(&self) -> Value {
        Value::Null
    }

    /// Takes up what was remembered; whatever is not understood is ignored.
    fn restore(&mut self, _state: &Value) {}
}

/// All tabs, in the order of [`TabId::ALL`].
pub(crate) fn all() -> [Box<dyn Tab>; 7] {
    [
        Box::new(overview::Overview::default()),
        Box::new(peers::Peers::default()),
        Box::new(context::Context::default()),
        Box::new(messages::Messages::default()),
        Box::new(tasks::Tasks::default()),
        Box::new(terminal::Terminal::default()),
        Box::new(pairing::Pairing::default()),
    ]
}

//! The tab `terminal`: the shells that are open on all nodes, one of them in a pane, and where a new one can be opened.

use std::cell::Cell;

use loopsy_shared::{
    api::terminals::{CloseTerminal, TerminalInfo, TerminalSize},
    client::Attached,
    id::NodeId,
};
use ratatui::layout::Rect;
use serde_json::{Value, json};

use super::{Tab, Typing, Visit};
use crate::{
    app::{Canvas, Cx},
    effect::Timer,
    event::{Answered, Event},
    input::{Input, Mouse, MouseKind},
    keymap::{Command, Scope},
    overlays::confirm::Confirm,
    pane::Pane,
    request::Answer,
    widgets::list::List,
    world::{News, TerminalKey, World},
};

mod draw;
mod looking;
mod open;
mod shells;

use shells::{Item, Shells};

/// Terminals whose screens are kept, with all of their lines 15 MB each. One that was not looked at for longer comes back by a snapshot.
const KEPT: usize = 4;
/// How long a row must be selected before its terminal is looked at, in milliseconds: who moves through a list looks at none on the way.
const SETTLED: u64 = 120;
/// Below this width the pane takes all while somebody types into it.
const WIDE: u16 = 100;
/// Below this width there is one pane.
const NARROW: u16 = 60;
/// Columns of the list, and in a wide window.
const LIST: u16 = 26;
const LIST_WIDE: u16 = 30;

/// Its state.
#[derive(Debug, Default)]
pub(crate) struct Terminal {
    shells: Shells,
    list: List<Item>,
    /// What the list shows, in order.
    items: Vec<Item>,
    /// The one looked at last is the last.
    panes: Vec<Pane>,
    current: Option<TerminalKey>,
    /// The terminal that is looked at once its row stayed selected, and when.
    pending: Option<(TerminalKey, u64)>,
    /// The keys of NAV go to the pane.
    inside: bool,
    zoom: bool,
    front: Cell<bool>,
    top: Cell<usize>,
}

impl Terminal {
    fn pane(&self) -> Option<&Pane> {
        let current = self.current.as_ref()?;
        self.panes.iter().find(|pane| pane.key() == current)
    }

    fn pane_mut(&mut self) -> Option<&mut Pane> {
        let current = self.current.as_ref()?;
        self.panes.iter_mut().find(|pane| pane.key() == current)
    }

    fn selected(&self) -> Option<&Item> {
        self.list.selected(&self.items)
    }

    /// Where the list is and where the pane.
    fn layout(&self, area: Rect, typing: bool) -> (Option<Rect>, Option<Rect>) {
        let whole = self.zoom && (self.inside || typing) || typing && area.width < WIDE;
        if area.width < NARROW || whole {
            return if whole || typing || self.inside { (None, Some(area)) } else { (Some(area), None) };
        }
        let width = if area.width < WIDE { LIST } else { LIST_WIDE };
        (Some(Rect { width, ..area }), Some(Rect { x: area.x + width, width: area.width - width, ..area }))
    }

    /// The size of a program that is typed into.
    fn size(&self, cx: &Cx<'_>) -> TerminalSize {
        let (columns, rows) = cx.settings.size;
        let body = Rect { x: 0, y: 1, width: columns, height: rows.saturating_sub(3) };
        let pane = self.layout(body, true).1.unwrap_or(body);
        TerminalSize { cols: pane.width.saturating_sub(2), rows: pane.height.saturating_sub(2) }.clamped()
    }

    fn close(&self, cx: &mut Cx<'_>) {
        let Some(Item::Open(key)) = self.selected().cloned() else { return };
        let (node, request) = (key.node.clone(), CloseTerminal { terminal_id: key.id.clone() });
        let info = self.shells.info(&key, cx.world);
        if info.is_some_and(|info| info.exit.is_some()) || self.pane().is_some_and(|pane| pane.ended().is_some()) {
            // Nothing runs in it: it is only forgotten.
            cx.call(node.as_ref(), request);
            return;
        }
        let name = self.shells.title(&key, cx.world).unwrap_or_else(|| key.id.short().to_owned());
        let program = info.map_or("The program", |info| info.command.as_str());
        let task = match info.and_then(|info| info.task_id.as_ref()) {
            Some(task) => format!(" The agent of task {} runs in it.", task.short()),
            None => String::new(),
        };
        let effect = format!("`{program}` and everything that it started there is ended.{task}");
        let ask = Confirm::letter(cx, 'X', format!("Close {name}?"), effect, move |cx| cx.call(node.as_ref(), request));
        cx.open(ask);
    }

    /// Asks all peers that answer for their terminals.
    fn refresh(&mut self, cx: &mut Cx<'_>) {
        self.shells.ask(true, cx);
        self.rebuild(cx.world);
        self.follow(cx);
    }

    fn answered(&mut self, answered: &Answered, cx: &mut Cx<'_>) {
        let node = answered.at.as_ref();
        match (&answered.request, &answered.result) {
            (crate::request::Request::ListTerminals(_), result) => {
                if let Some(node) = node {
                    self.shells.answered(node, result, cx.world);
                }
            }
            (crate::request::Request::OpenTerminal(_), Ok(Answer::OpenTerminal(terminal))) => self.opened(node, terminal, cx),
            (crate::request::Request::CloseTerminal(request), Ok(_)) => {
                let key = TerminalKey { node: answered.at.clone(), id: request.terminal_id.clone() };
                self.shells.forget(&key);
                self.remove(&key, cx);
            }
            (crate::request::Request::OpenTerminal(_) | crate::request::Request::CloseTerminal(_), Err(failure)) => {
                let text = match node {
                    Some(node) if shells::is_refusal(failure) => shells::refusal(node, cx.world),
                    _ => failure.message.clone(),
                };
                cx.bad(text);
            }
            _ => return,
        }
        self.rebuild(cx.world);
        self.follow(cx);
    }

    /// A terminal was opened from here: it is typed into, unless the person does something else by now.
    fn opened(&mut self, node: Option<&NodeId>, terminal: &TerminalInfo, cx: &mut Cx<'_>) {
        let key = TerminalKey { node: node.cloned(), id: terminal.id.clone() };
        self.shells.add(&key, terminal, cx.world);
        if !self.front.get() || self.typing().is_some() {
            cx.good(format!("{} is open on {}.", terminal.name, cx.world.name_of(node)));
            return;
        }
        let size = self.size(cx);
        self.look(key.clone(), Some(size), cx);
        self.choose(key, cx);
        self.inside = true;
        if let Some(pane) = self.pane_mut() {
            pane.enter(false, cx);
        }
    }

    /// What of the keys of NAV is the pane's.
    fn pane_act(&mut self, command: Command, cx: &mut Cx<'_>) -> bool {
        self.pane_mut().is_some_and(|pane| pane.act(command, cx))
    }

    fn back(&mut self, cx: &mut Cx<'_>) {
        if self.pane_act(Command::Back, cx) {
            return;
        }
        if self.list.clear_filter() {
            self.rebuild(cx.world);
        } else if self.zoom && self.inside {
            self.zoom = false;
        } else {
            self.inside = false;
        }
    }

    fn move_list(&mut self, command: Command, cx: &mut Cx<'_>) {
        if self.list.act(command, &self.items) {
            self.follow(cx);
        }
    }
}

impl Tab for Terminal {
    fn act(&mut self, command: Command, cx: &mut Cx<'_>) {
        match command {
            Command::Leave if self.list.is_filtering() => self.list.leave_filter(),
            Command::NextPane | Command::PreviousPane => self.inside = !self.inside && self.pane().is_some(),
            Command::Open | Command::Type => self.enter(cx),
            Command::New => open::ask(self, cx),
            Command::Stop => self.close(cx),
            Command::Zoom => {
                self.zoom = !self.zoom || !self.inside;
                self.inside = true;
            }
            Command::Refresh => {
                let gone = self.pane().filter(|pane| !pane.is_attached() && pane.ended().is_none()).map(|pane| pane.key().clone());
                if let Some(key) = gone {
                    self.look(key, None, cx);
                }
                self.refresh(cx);
            }
            Command::Back => self.back(cx),
            Command::Filter if !self.inside => self.list.filter(),
            Command::Leave | Command::Fit | Command::Older | Command::Select | Command::Filter => {
                self.inside = true;
                self.pane_act(command, cx);
                if command == Command::Leave {
                    self.tidy(cx);
                    self.follow(cx);
                }
            }
            Command::Copy | Command::NextHit | Command::PreviousHit => drop(self.pane_act(command, cx)),
            command if self.inside => drop(self.pane_act(command, cx)),
            command => self.move_list(command, cx),
        }
    }

    fn typing(&self) -> Option<Typing> {
        if self.list.is_filtering() { Some(Typing::Field) } else { self.pane().and_then(Pane::typing) }
    }

    fn typed(&mut self, input: &Input, cx: &mut Cx<'_>) {
        if self.list.is_filtering() {
            self.list.typed(input);
            self.rebuild(cx.world);
            self.follow(cx);
        } else if let Some(pane) = self.pane_mut() {
            pane.typed(input, cx);
        }
    }

    fn mouse(&mut self, mouse: &Mouse, area: Rect, cx: &mut Cx<'_>) {
        let typing = self.typing() == Some(Typing::Pane);
        let (list, _) = self.layout(area, typing);
        // While somebody types, nothing else is selected.
        if typing && list.is_some_and(|list| list.contains((mouse.column, mouse.row).into())) {
            cx.nothing_to_see();
            return;
        }
        if list.is_some_and(|list| list.contains((mouse.column, mouse.row).into())) {
            match mouse.kind {
                MouseKind::ScrollUp => self.move_list(Command::Up, cx),
                MouseKind::ScrollDown => self.move_list(Command::Down, cx),
                MouseKind::Down(0) => self.click(area, mouse.row, cx),
                _ => {}
            }
            return;
        }
        if let Some(pane) = self.pane_mut()
            && pane.mouse(mouse, cx)
        {
            self.inside |= matches!(mouse.kind, MouseKind::Down(_) | MouseKind::Drag(_));
        }
    }

    fn shown(&mut self, front: bool, cx: &mut Cx<'_>) {
        self.front.set(front);
        if front {
            self.refresh(cx);
            // What was looked at before is looked at again.
            if let Some(key) = self.pane().filter(|pane| !pane.is_attached() && pane.ended().is_none()).map(|pane| pane.key().clone()) {
                self.look(key, None, cx);
            }
            return;
        }
        self.pending = None;
        if let Some(pane) = self.pane_mut()
            && pane.typing().is_some()
        {
            pane.act(Command::Leave, cx);
        }
        // Nobody sees them, and the tab of the tasks may show one of them: only one of both looks at a time. What was looked at last is kept for coming back.
        let last = self.panes.pop();
        self.panes.drain(..).for_each(|mut pane| pane.detach(cx));
        self.panes.extend(last);
        self.panes.iter_mut().for_each(|pane| pane.rest(cx));
    }

    fn visit(&mut self, visit: Visit, cx: &mut Cx<'_>) {
        match visit {
            Visit::Terminal(key) => {
                self.choose(key, cx);
                self.enter(cx);
            }
            Visit::NewTerminal(node) => {
                self.rebuild(cx.world);
                self.list.select(Item::New(node.clone()), &self.items);
                self.follow(cx);
                open::open(node.as_ref(), Default::default(), self.size(cx), cx);
            }
            _ => {}
        }
    }

    fn news(&mut self, news: &News, cx: &mut Cx<'_>) {
        use loopsy_shared::api::events::Topic;
        match news {
            News::All | News::Link => {
                if self.front.get() && cx.world.is_up() {
                    self.shells.ask(true, cx);
                }
            }
            News::Topic(Topic::Peers) if self.front.get() => self.shells.ask(false, cx),
            News::Topic(Topic::Terminals | Topic::Peers) => {}
            _ => return,
        }
        self.shells.settle(cx.world);
        self.tidy(cx);
        self.rebuild(cx.world);
        if self.front.get() {
            self.follow(cx);
        }
    }

    fn event(&mut self, event: &Event, cx: &mut Cx<'_>) {
        match event {
            Event::Answer(answered) => self.answered(answered, cx),
            Event::Woke(Timer::Pane) => match self.pending.clone() {
                Some((key, due)) if due <= cx.now.since => self.look(key, None, cx),
                Some((_, due)) => cx.wake(due - cx.now.since, Timer::Pane),
                None => {}
            },
            Event::Terminal(key, Attached::Exit(exit)) => self.shells.ended(key, exit, cx.now.wall),
            Event::Terminal(key, Attached::Hello { terminal, .. }) => {
                if let Some(exit) = &terminal.exit {
                    self.shells.ended(key, exit, terminal.ended_at.unwrap_or(cx.now.wall));
                }
            }
            Event::TerminalEnd(key, Some(_)) => self.shells.missing(key),
            _ => {}
        }
        for pane in &mut self.panes {
            pane.show(self.front.get() && self.current.as_ref() == Some(pane.key()));
            pane.event(event, cx);
        }
    }

    fn scopes(&self) -> Vec<Scope> {
        self.pane().map(Pane::scopes).unwrap_or_default()
    }

    fn why_not(&self, command: Command, world: &World) -> Option<String> {
        if command == Command::Sort {
            return Some("Terminals are in the order of their machines. / filters them.".to_owned());
        }
        let here = matches!(self.selected(), Some(Item::Open(_)));
        match command {
            Command::Stop if !here => Some("Nothing is open in this row: select a terminal to close it.".to_owned()),
            Command::Type | Command::New if !world.is_up() => Some("The daemon of this machine does not answer: no terminal can be reached.".to_owned()),
            Command::Type if !here => match self.selected() {
                Some(Item::New(Some(node))) => self.shells.refused(node).map(str::to_owned),
                _ => None,
            },
            Command::Type => self.pane().and_then(|pane| pane.why_not(command)),
            Command::Fit | Command::Older | Command::Select | Command::Copy | Command::Leave | Command::Zoom => match self.pane() {
                Some(pane) => pane.why_not(command),
                None => Some("No terminal is shown: select one, or `t` opens a new one.".to_owned()),
            },
            _ => None,
        }
    }

    fn status(&self, world: &World) -> String {
        match self.pane() {
            Some(pane) => pane.status(),
            None => self.shells.status(world),
        }
    }

    fn view(&self, area: Rect, canvas: &mut Canvas<'_>) {
        self.front.set(true);
        self.draw(area, canvas);
    }

    fn state(&self) -> Value {
        json!({ "zoom": self.zoom })
    }

    fn restore(&mut self, state: &Value) {
        self.zoom = state["zoom"] == true;
    }
}

#[cfg(test)]
mod tests;

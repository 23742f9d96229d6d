//! How the tab looks.

use ratatui::layout::Rect;

use super::{Item, Terminal, Typing};
use crate::{
    app::{Canvas, Cx},
    keymap::{Command, Scope},
    look::Role,
    tabs::{Tab, TabId},
    widgets::{
        pane::Pane as Frame,
        text::{pad, put, wrap},
    },
};

/// Columns of a node's name.
const NODE: usize = 10;
/// Where the keys that the tab names are.
const SCOPES: [Scope; 2] = [Scope::Tab(TabId::Terminal), Scope::Everywhere];

impl Terminal {
    pub(super) fn draw(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let typing = self.typing() == Some(Typing::Pane);
        let (list, pane) = self.layout(area, typing);
        if let Some(area) = list {
            self.draw_list(area, canvas, !self.inside && !typing);
        }
        let Some(area) = pane else { return };
        match (self.pane(), self.selected()) {
            (Some(pane), _) => pane.view(area, canvas, self.inside),
            (None, Some(Item::Open(key))) => {
                let title = self.shells.title(key, canvas.world).unwrap_or_default();
                Frame { title: &title, focused: self.inside, ..Frame::default() }.draw(area, canvas);
            }
            (None, item) => {
                let node = item.and_then(|item| if let Item::New(node) = item { node.clone() } else { None });
                let title = format!("{}: a new terminal", canvas.world.name_of(node.as_ref()));
                let inside = Frame { title: &title, focused: self.inside, ..Frame::default() }.draw(area, canvas);
                let key = |command| canvas.keymap.key_of(&SCOPES, command).map(|key| key.to_string()).unwrap_or_default();
                let keys = [key(Command::Type), key(Command::New), key(Command::Refresh)];
                let text = self.shells.about(node.as_ref(), canvas.world, keys.each_ref().map(String::as_str));
                for (row, line) in (1..inside.height).zip(wrap(&text, usize::from(inside.width).saturating_sub(2))) {
                    put(canvas.buf, inside, 1, row, &line, canvas.look.style(Role::Text));
                }
            }
        }
    }

    /// Open terminals, a gap and a heading, the nodes: where a row of the list is among these lines.
    fn line_of(&self, at: usize, open: usize) -> usize {
        if at < open { at } else { at + 2 + usize::from(open == 0) }
    }

    fn open_count(&self) -> usize {
        self.items.iter().position(|item| matches!(item, Item::New(_))).unwrap_or(self.items.len())
    }

    fn draw_list(&self, area: Rect, canvas: &mut Canvas<'_>, focused: bool) {
        let title = self.list.title("Open shells");
        let inside = Frame { title: &title, focused, ..Frame::default() }.draw(area, canvas);
        let height = usize::from(inside.height);
        if height == 0 {
            return;
        }
        let open = self.open_count();
        let selected = self.list.at(&self.items);
        let here = selected.map_or(0, |at| self.line_of(at, open));
        let count = self.line_of(self.items.len(), open);
        let top = self.top.get().min(count.saturating_sub(height));
        let top = if here < top {
            here
        } else if here >= top + height {
            here + 1 - height
        } else {
            top
        };
        self.top.set(top);
        let gap = open + usize::from(open == 0);
        for row in 0..inside.height {
            let line = top + usize::from(row);
            if line < open || line >= gap + 2 {
                let at = if line < open { line } else { line - (gap + 2) + open };
                let Some(item) = self.items.get(at) else { break };
                self.draw_row(item, selected == Some(at), inside, row, focused, canvas);
            } else if open == 0 && line == 0 {
                put(canvas.buf, inside, 2, row, "None is open.", canvas.look.style(Role::Faint));
            } else if line == gap + 1 && self.items.len() > open {
                put(canvas.buf, inside, 1, row, "Open a new one on", canvas.look.style(Role::Heading));
            }
        }
    }

    fn draw_row(&self, item: &Item, chosen: bool, area: Rect, row: u16, focused: bool, canvas: &mut Canvas<'_>) {
        let (node, state) = self.shells.row(item, canvas.world);
        let text = format!("{} {}", pad(node, NODE.min(usize::from(area.width) / 2)), state);
        let text = pad(&text, usize::from(area.width).saturating_sub(2));
        let faint = !matches!(item, Item::Open(key) if self.shells.info(key, canvas.world).is_some_and(|info| info.exit.is_none()));
        let mut style = canvas.look.style(if faint && !state.is_empty() { Role::Faint } else { Role::Text });
        if chosen {
            style = canvas.look.style(if focused && canvas.focused { Role::Selection } else { Role::SelectionFaint });
            canvas.buf.set_style(Rect { y: area.y + row, height: 1, ..area }, style);
            put(canvas.buf, area, 0, row, ">", style);
        }
        put(canvas.buf, area, 2, row, &text, style);
    }

    /// Selects the row under the mouse.
    pub(super) fn click(&mut self, area: Rect, row: u16, cx: &mut Cx<'_>) {
        let Some(line) = row.checked_sub(area.y + 1) else { return };
        let (line, open) = (self.top.get() + usize::from(line), self.open_count());
        let gap = open + usize::from(open == 0);
        let at = if line < open { Some(line) } else { (line + open).checked_sub(gap + 2) };
        if let Some(item) = at.and_then(|at| self.items.get(at)).cloned() {
            self.inside = false;
            self.list.select(item, &self.items);
            self.follow(cx);
        }
    }
}

//! Which terminal is looked at: the selected one, a few of those before it stay known.

use loopsy_shared::api::terminals::TerminalSize;

use super::{Item, KEPT, SETTLED, Terminal, WIDE, open};
use crate::{
    app::Cx,
    effect::Timer,
    pane::Pane,
    tabs::{Tab, Typing},
    world::{TerminalKey, World},
};

impl Terminal {
    /// What there is changed: the list follows.
    pub(super) fn rebuild(&mut self, world: &World) {
        self.items = self.list.filtered(self.shells.items(world), |item| self.shells.words(item, world));
        for pane in &mut self.panes {
            if let Some(name) = self.shells.title(pane.key(), world) {
                pane.rename(&name);
            }
        }
    }

    /// The selected terminal is shown: at once when its screen is known, else when the selection stood still.
    pub(super) fn follow(&mut self, cx: &mut Cx<'_>) {
        // Keys that somebody types into a program never become something else because the world changed. And nothing is looked at that nobody sees.
        if self.typing() == Some(Typing::Pane) || !self.front.get() {
            return;
        }
        let key = match self.selected() {
            Some(Item::Open(key)) => key.clone(),
            Some(Item::New(_)) | None => {
                (self.current, self.pending) = (None, None);
                return;
            }
        };
        if self.current.as_ref() == Some(&key) {
            self.pending = None;
        } else if self.panes.iter().any(|pane| *pane.key() == key) {
            self.look(key, None, cx);
        } else if self.pending.as_ref().is_none_or(|(pending, _)| *pending != key) {
            self.current = None;
            self.pending = Some((key, cx.now.since + SETTLED));
            cx.wake(SETTLED, Timer::Pane);
        }
    }

    /// Looks at a terminal now.
    pub(super) fn look(&mut self, key: TerminalKey, size: Option<TerminalSize>, cx: &mut Cx<'_>) {
        self.pending = None;
        let mut pane = match self.panes.iter().position(|pane| *pane.key() == key) {
            Some(at) => self.panes.remove(at),
            None => Pane::new(key.clone(), self.shells.title(&key, cx.world).unwrap_or_else(|| cx.world.name_of(key.node.as_ref()).to_owned())),
        };
        if !pane.is_attached() && pane.ended().is_none() {
            pane.attach(size, cx);
        }
        pane.show(true);
        self.panes.push(pane);
        if self.panes.len() > KEPT {
            self.panes.remove(0).detach(cx);
        }
        self.current = Some(key);
    }

    /// Types into the selected terminal, or opens a new one on the selected node.
    pub(super) fn enter(&mut self, cx: &mut Cx<'_>) {
        match self.selected().cloned() {
            Some(Item::Open(key)) => {
                if self.current.as_ref() != Some(&key) {
                    self.look(key, None, cx);
                }
                self.inside = true;
                let whole = self.zoom || cx.settings.size.0 < WIDE;
                if let Some(pane) = self.pane_mut() {
                    pane.enter(whole, cx);
                }
            }
            Some(Item::New(node)) => open::open(node.as_ref(), Default::default(), self.size(cx), cx),
            None => {}
        }
    }

    /// Selects this terminal, whatever the list shows.
    pub(super) fn choose(&mut self, key: TerminalKey, cx: &mut Cx<'_>) {
        self.shells.want(key.clone(), cx.world);
        self.rebuild(cx.world);
        let item = Item::Open(key.clone());
        if !self.items.contains(&item) {
            self.list.clear_filter();
            self.rebuild(cx.world);
        }
        self.list.select(item, &self.items);
        if self.current.as_ref() != Some(&key) {
            self.look(key, None, cx);
        }
    }

    /// Shows a terminal no more, unless somebody types into it.
    pub(super) fn remove(&mut self, key: &TerminalKey, cx: &mut Cx<'_>) {
        let current = self.current.as_ref() == Some(key);
        if current && self.typing() == Some(Typing::Pane) {
            return;
        }
        if let Some(at) = self.panes.iter().position(|pane| pane.key() == key) {
            self.panes.remove(at).detach(cx);
        }
        if current {
            (self.current, self.inside) = (None, false);
        }
    }

    /// Local terminals that are not there any more are not shown.
    pub(super) fn tidy(&mut self, cx: &mut Cx<'_>) {
        let gone = self.panes.iter().map(Pane::key).filter(|key| key.node.is_none() && self.shells.info(key, cx.world).is_none());
        let gone: Vec<TerminalKey> = gone.filter(|key| cx.world.is_up() && !self.shells.is_wanted(key)).cloned().collect();
        gone.iter().for_each(|key| self.remove(key, cx));
    }
}

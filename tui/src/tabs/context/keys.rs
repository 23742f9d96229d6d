//! Whose keys are shown, which of them, and what is done with the selected one.

use std::collections::BTreeMap;

use loopsy_shared::{
    api::context::{ContextEntry, ListContext},
    id::NodeId,
    time::Millis,
};

use super::{Context, KEPT, QUICK, forms};
use crate::{app::Cx, effect::Timer, keymap::Command, world::World};

impl Context {
    /// All entries of the node that is shown.
    pub(super) fn entries<'a>(&'a self, world: &'a World) -> Option<&'a BTreeMap<String, ContextEntry>> {
        match &self.node {
            None => Some(&world.context),
            Some(node) => self.far.get(node).map(|far| &far.entries),
        }
    }

    pub(super) fn entry<'a>(&'a self, world: &'a World) -> Option<&'a ContextEntry> {
        self.entries(world)?.get(self.list.selected(&self.rows)?)
    }

    /// What is filtered by, when it names the beginning of keys: it ends in `/`.
    pub(super) fn prefix(&self) -> Option<&str> {
        Some(self.list.pattern()).filter(|pattern| pattern.ends_with('/'))
    }

    pub(super) fn refresh(&mut self, world: &World) {
        self.dirty = false;
        // A peer that was removed has no keys any more; one that is not known yet may be.
        if world.node_id.is_some() && self.node.as_ref().is_some_and(|node| !world.peers.contains_key(node)) {
            self.node = None;
        }
        self.far.retain(|node, _| world.peers.contains_key(node));
        let mut entries: Vec<&ContextEntry> = self.entries(world).into_iter().flat_map(BTreeMap::values).collect();
        entries = match self.prefix() {
            Some(prefix) => entries.into_iter().filter(|entry| entry.key.starts_with(prefix)).collect(),
            None => self.list.filtered(entries, |entry| entry.key.clone()),
        };
        self.list.order(&mut entries, |column, a, b| match column {
            "SIZE" => a.value.len().cmp(&b.value.len()),
            "UNTIL" => a.expires_at.unwrap_or(Millis::MAX).cmp(&b.expires_at.unwrap_or(Millis::MAX)),
            "FROM" => world.name_of_id(&a.from_node_id).cmp(world.name_of_id(&b.from_node_id)),
            "SET" => a.updated_at.cmp(&b.updated_at),
            _ => a.key.cmp(&b.key),
        });
        self.rows = entries.into_iter().map(|entry| entry.key.clone()).collect();
    }

    /// This machine, then every peer that has a key for us.
    pub(super) fn nodes(world: &World) -> Vec<Option<NodeId>> {
        std::iter::once(None).chain(world.trusted().into_iter().map(|peer| Some(peer.node_id.clone()))).collect()
    }

    pub(super) fn turn(&mut self, forwards: bool, cx: &mut Cx<'_>) {
        let nodes = Self::nodes(cx.world);
        if nodes.len() < 2 {
            return cx.note("There is no other machine yet. 7 pairs one.");
        }
        let at = nodes.iter().position(|node| *node == self.node).unwrap_or(0);
        let to = (at + if forwards { 1 } else { nodes.len() - 1 }) % nodes.len();
        self.node.clone_from(&nodes[to]);
        self.top.set(0);
        self.keep_few();
        self.settle_at = self.node.is_some().then_some(cx.now.since + QUICK);
        if self.settle_at.is_some() {
            cx.wake(QUICK, Timer::Settle);
        }
        self.refresh(cx.world);
    }

    /// Of the machines that were looked at, the last few are kept.
    fn keep_few(&mut self) {
        let Some(node) = &self.node else { return };
        self.visited.retain(|known| known != node);
        self.visited.push_back(node.clone());
        while self.visited.len() > KEPT {
            self.visited.pop_front();
        }
        let visited = &self.visited;
        self.far.retain(|node, _| visited.contains(node));
    }

    /// Reads a peer's keys anew; those of this machine are always fresh.
    pub(super) fn read(&mut self, cx: &mut Cx<'_>) {
        let Some(node) = &self.node else { return };
        let far = self.far.entry(node.clone()).or_default();
        if cx.world.is_up() && !far.asked {
            far.asked = true;
            cx.call(Some(node), ListContext { prefix: None });
        }
    }

    /// Reads a peer's keys when that was never done.
    pub(super) fn read_first(&mut self, cx: &mut Cx<'_>) {
        if self.node.as_ref().is_some_and(|node| self.far.get(node).is_none_or(|far| far.read.is_none() && far.error.is_none())) {
            self.read(cx);
        }
    }

    pub(super) fn scroll(&self, command: Command) -> bool {
        let (top, page) = (self.top.get(), self.height.get().max(2));
        self.top.set(match command {
            Command::Up => top.saturating_sub(1),
            Command::Down => top.saturating_add(1),
            Command::PageUp => top.saturating_sub(page - 1),
            Command::PageDown => top.saturating_add(page - 1),
            Command::HalfUp => top.saturating_sub(page / 2),
            Command::HalfDown => top.saturating_add(page / 2),
            Command::Top => 0,
            // The view knows where the end is.
            Command::End => usize::MAX,
            _ => return false,
        });
        true
    }

    /// Commands about the selected key. Whether they can be done was asked before.
    pub(super) fn of_entry(&mut self, command: Command, cx: &mut Cx<'_>) {
        let Some(entry) = self.entry(cx.world) else { return cx.nothing_to_see() };
        let node = self.node.as_ref();
        match command {
            Command::Copy => cx.copy(entry.value.as_str()),
            Command::CopyOther => cx.copy(entry.key.as_str()),
            Command::Stop => forms::delete(node, entry, cx),
            Command::Ttl => forms::ttl(node, entry, cx),
            Command::Broadcast => forms::broadcast(node, entry, self.broadcast.clone(), cx),
            Command::Edit => {
                let (node, entry) = (self.node.clone(), entry.clone());
                self.edits.begin(node, &entry, cx);
            }
            _ => cx.nothing_to_see(),
        }
    }

    pub(super) fn export(&self, cx: &mut Cx<'_>) {
        let Some(entries) = self.entries(cx.world) else { return };
        let shown: Vec<ContextEntry> = self.rows.iter().filter_map(|key| entries.get(key)).cloned().collect();
        forms::export(shown, cx);
    }
}

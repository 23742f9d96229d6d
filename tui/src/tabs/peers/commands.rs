//! Commands about the selected peer.

use loopsy_shared::client::authority;

use super::{Peers, forms};
use crate::{app::Cx, keymap::Command, overlays::text::Text, tabs::Visit, widgets::node};

impl Peers {
    /// Does one. Whether it can be done was asked before.
    pub(super) fn of_peer(&mut self, command: Command, cx: &mut Cx<'_>) {
        let Some(peer) = self.peer(cx.world) else { return cx.nothing_to_see() };
        match command {
            Command::Open => {
                let lines = node::for_box(node::of_peer(cx.world, peer, cx.now.wall));
                cx.open(Text::new(peer.hostname.as_str(), lines));
            }
            Command::Refresh => {
                cx.note(format!("Trying {}.", peer.hostname));
                let node = peer.node_id.clone();
                cx.ask_status();
                cx.call(Some(&node), loopsy_shared::api::health::GetStatus::default());
            }
            Command::Diagnose => {
                let node = peer.node_id.clone();
                let filler = forms::check(peer, cx);
                self.checks.insert(node, filler);
            }
            Command::Stop => forms::remove(peer, cx),
            Command::Run => forms::run(peer, self.runs.clone(), cx),
            Command::Send => forms::send(peer, cx),
            Command::Pull => forms::pull(peer, cx),
            Command::Rights => forms::rights(peer, cx),
            Command::Shell => cx.visit(Visit::NewTerminal(Some(peer.node_id.clone()))),
            Command::Message => cx.visit(Visit::Message(peer.node_id.clone())),
            Command::Copy => cx.copy(authority(&peer.address, peer.port)),
            Command::CopyOther => cx.copy(peer.node_id.as_str()),
            _ => cx.nothing_to_see(),
        }
    }
}

//! What is asked before something is done with a peer.

use loopsy_shared::{
    api::{
        peers::{AddPeer, DiagnosePeer, PeerInfo, RemovePeer, SetPeerScopes},
        transfers::{CancelTransfer, Direction, StartTransfer},
    },
    client::authority,
    id::TransferId,
    text::inert,
};

use super::{Run, Runs, address};
use crate::{
    app::Cx,
    effect::Effect,
    look::Role,
    overlays::{
        confirm::Confirm,
        form::{Form, Row},
        live::{Filler, Live},
        output::Output,
        rights::Rights,
    },
};

/// Longest name that anybody is asked to type.
const TYPED: usize = 24;

/// `n`.
pub(super) fn add(cx: &mut Cx<'_>) {
    let rows = vec![Row::line("Address", "host name or IP address, with :port if it is not 19532")];
    let form = Form::new(cx, "Add a peer by its address", rows, |values, cx| {
        let (address, port) = address::parse(values.first().copied().unwrap_or_default())?;
        cx.note(format!("Adding {}.", authority(&address, port)));
        cx.call(None, AddPeer { address, port, node_id: None, hostname: None });
        Ok(())
    });
    cx.open(form);
}

/// `x`.
pub(super) fn remove(peer: &PeerInfo, cx: &mut Cx<'_>) {
    let (name, node_id) = (inert(&peer.hostname).into_owned(), peer.node_id.clone());
    let effect = "The keys of both directions end, its jobs here and its connections too. It stays away until you pair again.";
    let title = format!("Remove {name} ({})", authority(&peer.address, peer.port));
    // A name that is too long to be typed is stood for by the beginning of its id.
    let typed = if name.chars().count() <= TYPED { name.clone() } else { node_id.short().to_owned() };
    cx.open(Confirm::name(cx, &typed, title, effect, move |cx| cx.call(None, RemovePeer { node_id })));
}

/// `x` on a transfer.
pub(super) fn cancel(id: &TransferId, cx: &mut Cx<'_>) {
    let Some(transfer) = cx.world.transfers.get(id).filter(|transfer| super::is_running(transfer)) else {
        return cx.note("That transfer has ended already.");
    };
    let effect = format!("Files that are there stay. No half file is left in {}; the same transfer goes on from there.", transfer.destination);
    let (title, transfer_id) = (format!("Cancel the transfer of {}", transfer.source), id.clone());
    cx.open(Confirm::letter(cx, 'X', title, effect, move |cx| cx.call(None, CancelTransfer { transfer_id })));
}

/// `e`.
pub(super) fn run(peer: &PeerInfo, runs: Runs, cx: &mut Cx<'_>) {
    let (name, node) = (inert(&peer.hostname).into_owned(), peer.node_id.clone());
    let rows = vec![Row::line("Command", format!("a line for the shell of {name}; what it prints comes here"))];
    let form = Form::new(cx, format!("Run a command on {name}"), rows, move |values, cx| {
        let line = values.first().map(|line| line.trim()).filter(|line| !line.is_empty()).ok_or("Type a command, or Esc leaves.")?.to_owned();
        let number = cx.number();
        let title = format!("`{line}` on {name}");
        let (output, watch) = Output::new(number, title.as_str());
        runs.borrow_mut().insert(number, Run { title, watch });
        cx.effect(Effect::Exec { number, at: Some(node.clone()), line });
        cx.open(output);
        Ok(())
    });
    cx.open(form);
}

/// `s`.
pub(super) fn send(peer: &PeerInfo, cx: &mut Cx<'_>) {
    let rows = vec![
        Row::line("File or folder", "on this machine, from /"),
        Row::line("To", format!("on {}, from the home directory; `in/` keeps the name", inert(&peer.hostname))),
    ];
    copy(peer, format!("Send to {}", inert(&peer.hostname)), Direction::Push, rows, cx);
}

/// `p`.
pub(super) fn pull(peer: &PeerInfo, cx: &mut Cx<'_>) {
    let rows = vec![
        Row::line("File or folder", format!("on {}, from the home directory", inert(&peer.hostname))),
        Row::line("To", "on this machine, from /; `/tmp/` keeps the name"),
    ];
    copy(peer, format!("Get from {}", inert(&peer.hostname)), Direction::Pull, rows, cx);
}

fn copy(peer: &PeerInfo, title: String, direction: Direction, rows: Vec<Row>, cx: &mut Cx<'_>) {
    let peer = peer.node_id.to_string();
    let form = Form::new(cx, title, rows, move |values, cx| {
        let [source, destination] = values else { return Ok(()) };
        let (source, destination) = match direction {
            Direction::Push => (address::here(source)?, address::there(destination)?),
            Direction::Pull => (address::there(source)?, address::here(destination)?),
        };
        let peer = peer.clone();
        cx.call(None, StartTransfer { peer, direction, source, destination, dry_run: false, ignore: Vec::new(), no_ignore: false });
        Ok(())
    });
    cx.open(form);
}

/// `R`.
pub(super) fn rights(peer: &PeerInfo, cx: &mut Cx<'_>) {
    let (name, node_id) = (peer.hostname.as_str(), peer.node_id.clone());
    let before = peer.scopes.clone();
    let rights = Rights::new(cx, format!("What {} may do here", inert(name)), name, &peer.scopes, move |scopes, cx| {
        let same = scopes.len() == before.len() && scopes.iter().all(|scope| before.contains(scope));
        if same {
            return cx.note("Nothing was changed.");
        }
        cx.call(None, SetPeerScopes { node_id, scopes });
    });
    cx.open(rights);
}

/// `c`: the box is there at once, the steps come when they are done.
pub(super) fn check(peer: &PeerInfo, cx: &mut Cx<'_>) -> Filler {
    let name = inert(&peer.hostname).into_owned();
    let wait = format!("Trying the way to {name}, step by step. It takes some seconds when nobody answers. Esc closes; it is told anyway.");
    let (live, filler) = Live::new(format!("The way to {name}"), vec![(Role::Busy, wait)]);
    cx.call(None, DiagnosePeer { node_id: peer.node_id.clone() });
    cx.open(live);
    filler
}

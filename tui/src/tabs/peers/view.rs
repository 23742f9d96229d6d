//! How the peers look: a table, the details of the selected one with its transfers, and what happened with it.

use loopsy_shared::{
    api::{
        peers::{Encryption, PeerInfo, PeerStatus},
        transfers::{Direction, TransferInfo, TransferState},
    },
    client::authority,
    id::NodeId,
    text::bytes,
};
use ratatui::layout::Rect;

use super::{Pane, Peers};
use crate::{
    app::Canvas,
    look::Role,
    widgets::{
        list::{Cell, Column, cell, styled},
        node,
        pane::{self, Pane as Frame},
        text::{clock, fit, minute, put, wrap},
    },
    world::{World, standing::Standing},
};

/// From here on details stand below the table.
const SPLIT: (u16, u16) = (60, 14);
/// From this width on there is a pane with what happened.
const WIDE: u16 = 110;
/// Lines of one transfer.
const CARD: u16 = 2;

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Places {
    pub(super) table: Rect,
    pub(super) details: Rect,
    pub(super) recent: Rect,
}

/// Whether a window of this size has the pane `recent`.
pub(super) const fn has_recent(size: (u16, u16)) -> bool {
    size.0 >= WIDE && size.1 >= SPLIT.1 + 3
}

/// Where the panes are; one without room is empty.
pub(super) fn places(area: Rect, pane: Pane, copying: bool) -> Places {
    if area.width < SPLIT.0 || area.height < SPLIT.1 {
        return match pane {
            Pane::Table => Places { table: area, ..Places::default() },
            Pane::Details => Places { details: area, ..Places::default() },
            Pane::Recent => Places { recent: area, ..Places::default() },
        };
    }
    let wide = area.width >= WIDE;
    // Transfers need room, and the table gives it.
    let top = if wide { area.height / 2 } else { area.height * (if copying { 9 } else { 12 }) / 21 };
    let down = Rect { y: area.y + top, height: area.height - top, ..area };
    let half = if wide { area.width / 2 } else { area.width };
    Places { table: Rect { height: top, ..area }, details: Rect { width: half, ..down }, recent: Rect { x: area.x + half, width: area.width - half, ..down } }
}

pub(super) fn draw(tab: &Peers, area: Rect, canvas: &mut Canvas<'_>) {
    let peer = tab.peer(canvas.world);
    let transfers = peer.map(|peer| canvas.world.transfers_with(peer)).unwrap_or_default();
    let places = places(area, tab.pane, !transfers.is_empty());
    let alone = places.table.is_empty() || places.details.is_empty();
    if !places.table.is_empty() {
        table(tab, places.table, canvas, alone);
    }
    if !places.details.is_empty() {
        details(tab, peer, &transfers, places.details, canvas, alone);
    }
    if !places.recent.is_empty() {
        recent(tab, peer, places.recent, canvas);
    }
}

fn table(tab: &Peers, area: Rect, canvas: &mut Canvas<'_>, alone: bool) {
    let known = canvas.world.peer_counts().1;
    let title = if tab.list.pattern().is_empty() { format!("Peers ({known})") } else { format!("Peers ({} of {known})", tab.rows.len()) };
    let focused = tab.pane == Pane::Table;
    let note = pane::note(if alone { "Tab: details" } else { "" }, canvas);
    let inside = Frame { title: &tab.list.title(&title), note: &note, focused, input: false }.draw(area, canvas);
    if tab.rows.is_empty() {
        let text = match (canvas.world.why_down().filter(|_| known == 0), tab.list.pattern()) {
            (Some(why), _) => why,
            (None, "") => "No peers yet. P pairs with a machine, n adds one by its address.".to_owned(),
            (None, filter) => format!("No peer matches `{filter}`. Esc shows all."),
        };
        for (row, line) in (0..inside.height).zip(wrap(&text, usize::from(inside.width).saturating_sub(2))) {
            put(canvas.buf, inside, 1, row, &line, canvas.look.style(Role::Text));
        }
        return;
    }
    let columns: &[Column] = match inside.width {
        0..50 => &[Column::new("", 2), Column::new("NAME", 0), Column::new("STATE", 12), Column::new("SINCE", 6)],
        50..74 => &[Column::new("", 2), Column::new("NAME", 0), Column::new("ADDRESS", 19), Column::new("STATE", 12), Column::new("SINCE", 6)],
        74..100 => &[
            Column::new("", 2),
            Column::new("NAME", 0),
            Column::new("ADDRESS", 19),
            Column::new("STATE", 12),
            Column::new("SINCE", 6),
            Column::new("VERSION", 7),
            Column::new("TLS", 8),
        ],
        _ => &[
            Column::new("", 2),
            Column::new("NAME", 0),
            Column::new("ADDRESS", 22),
            Column::new("STATE", 12),
            Column::new("SINCE", 6),
            Column::new("VERSION", 8),
            Column::new("SYSTEM", 8),
            Column::new("TLS", 8),
            Column::new("MAY HERE", 22),
        ],
    };
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    let (world, now) = (canvas.world, canvas.now.wall);
    tab.list.table(inside, canvas, focused, columns, &tab.rows, |id| names.iter().map(|name| of(world, id, name, now)).collect());
    pane::stale(inside, canvas);
}

fn of(world: &World, id: &NodeId, column: &str, now: u64) -> Cell {
    let Some(peer) = world.peers.get(id) else { return cell("") };
    let standing = Standing::of(peer);
    match column {
        "" => styled(standing.mark(), standing.role()),
        "NAME" => cell(peer.hostname.as_str()),
        "ADDRESS" => cell(authority(&peer.address, peer.port)),
        "STATE" => match standing {
            Standing::Trying if peer.failure_count > 0 => styled(format!("trying ({}x)", peer.failure_count), standing.role()),
            standing => styled(standing.words(), standing.role()),
        },
        "SINCE" => {
            let fresh = world.pictures.get(id).filter(|picture| !picture.stale && peer.status == PeerStatus::Online).map(|picture| picture.since);
            cell(peer.offline_since.or(fresh).map(|at| minute(at, now)).unwrap_or_default())
        }
        "VERSION" => cell(peer.version.as_str()),
        "SYSTEM" => cell(peer.platform.as_str()),
        "TLS" => match peer.encryption {
            _ if peer.candidate => styled("-", Role::Faint),
            Encryption::Pinned => styled("pinned", Role::Good),
            Encryption::Unpinned => styled("unpinned", Role::Warn),
            Encryption::None => styled("none", Role::Bad),
        },
        _ if peer.scopes.is_empty() => styled("nothing", Role::Faint),
        _ => cell(peer.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ")),
    }
}

fn details(tab: &Peers, peer: Option<&PeerInfo>, transfers: &[&TransferInfo], area: Rect, canvas: &mut Canvas<'_>, alone: bool) {
    // A window that became narrow has no third pane any more.
    let focused = tab.pane != Pane::Table && (tab.pane == Pane::Details || area.width == canvas.buf.area.width);
    let title = peer.map_or("Details", |peer| peer.hostname.as_str());
    let running = transfers.iter().filter(|transfer| super::is_running(transfer)).count();
    let hint = match (running, alone) {
        (0, true) => "Tab: peers",
        (0, false) => "Enter shows all",
        (_, _) if focused => "x cancels",
        (_, _) => "Tab: transfers",
    };
    let inside = Frame { title, note: &pane::note(hint, canvas), focused, input: false }.draw(area, canvas);
    let Some(peer) = peer else {
        put(canvas.buf, inside, 1, 0, "Select a peer to see all that is known of it.", canvas.look.style(Role::Faint));
        return;
    };
    // Transfers first: they are what moves. The rest is in the box that Enter opens, too.
    let most = if focused { inside.height } else { inside.height / 2 };
    let room = (transfers.len() as u16 * CARD).min(most / CARD * CARD);
    let (cards, rest) = (Rect { height: room, ..inside }, Rect { y: inside.y + room, height: inside.height - room, ..inside });
    let ids: Vec<_> = transfers.iter().map(|transfer| transfer.transfer_id.clone()).collect();
    if room > 0 {
        tab.transfers.cards(cards, canvas, CARD, &ids, |id, place, chosen, canvas| {
            if let Some(info) = transfers.iter().find(|known| known.transfer_id == *id) {
                transfer(info, place, chosen && focused, canvas);
            }
        });
    }
    node::draw(&node::of_peer(canvas.world, peer, canvas.now.wall), rest, canvas);
    pane::stale(inside, canvas);
}

/// Two lines: what goes where, and how far it is.
fn transfer(info: &TransferInfo, place: Rect, chosen: bool, canvas: &mut Canvas<'_>) {
    let way = match info.direction {
        Direction::Push => "send",
        Direction::Pull => "get ",
    };
    let style = canvas.look.style(if !chosen {
        Role::Text
    } else if canvas.focused {
        Role::Selection
    } else {
        Role::SelectionFaint
    });
    if chosen {
        canvas.buf.set_style(Rect { height: 1, ..place }, style);
    }
    let mark = if chosen { ">" } else { " " };
    put(canvas.buf, place, 0, 0, &fit(&format!("{mark}{way} {} -> {}", info.source, info.destination), usize::from(place.width)), style);
    let (role, text) = match info.state {
        TransferState::Running => (Role::Busy, progress(info, usize::from(place.width).saturating_sub(40).clamp(6, 24))),
        TransferState::Done => (Role::Good, format!("done, {} in {}", bytes(info.bytes_done), files(info.files_done))),
        TransferState::Cancelled => (Role::Warn, format!("cancelled after {}", bytes(info.bytes_done))),
        TransferState::Failed => (Role::Bad, format!("failed: {}", info.error.as_ref().map_or("no reason was given", |error| error.message.as_str()))),
    };
    put(canvas.buf, place, 6, 1, &fit(&text, usize::from(place.width).saturating_sub(7)), canvas.look.style(role));
}

/// `[####------]  40 %  1.2 MiB of 3.0 MiB  2/5 files`, in plain characters.
fn progress(info: &TransferInfo, columns: usize) -> String {
    let part = if info.bytes == 0 { 0.0 } else { (info.bytes_done as f64 / info.bytes as f64).clamp(0.0, 1.0) };
    let full = (part * columns as f64) as usize;
    let percent = (part * 100.0) as u64;
    format!(
        "[{}{}] {percent:3} %  {} of {}  {}/{}",
        "#".repeat(full),
        "-".repeat(columns - full),
        bytes(info.bytes_done),
        bytes(info.bytes),
        info.files_done,
        files(info.files)
    )
}

fn files(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

fn recent(tab: &Peers, peer: Option<&PeerInfo>, area: Rect, canvas: &mut Canvas<'_>) {
    let focused = tab.pane == Pane::Recent;
    let title = peer.map_or_else(|| "Recent".to_owned(), |peer| format!("Recent with {}", peer.hostname));
    let inside = Frame { title: &tab.recent.title(&title), note: &pane::note("newest first", canvas), focused, input: false }.draw(area, canvas);
    if tab.told.is_empty() {
        put(canvas.buf, inside, 1, 0, "Nothing since Loopsy was opened.", canvas.look.style(Role::Faint));
        return;
    }
    let world = canvas.world;
    let first = world.activity.front().map_or(0, |line| line.number);
    tab.recent.cards(inside, canvas, 1, &tab.told, |number, place, chosen, canvas| {
        let Some(line) = number.checked_sub(first).and_then(|at| world.activity.get(at as usize)) else { return };
        let bar = chosen && focused;
        let style = canvas.look.style(if bar && canvas.focused { Role::Selection } else { Role::Text });
        if bar {
            canvas.buf.set_style(place, style);
        }
        let text = format!("{}{}  {}", if bar { ">" } else { " " }, clock(line.at, canvas.now.wall), line.text);
        put(canvas.buf, place, 0, 0, &fit(&text, usize::from(place.width)), style);
    });
    pane::stale(inside, canvas);
}

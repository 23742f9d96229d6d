//! How the overview looks: three panes, four where there is room, one where there is none.

use loopsy_shared::{api::peers::PeerStatus, client::authority, id::NodeId, text::inert};
use ratatui::layout::Rect;

use super::{Overview, Pane};
use crate::{
    app::Canvas,
    event::NoDaemon,
    look::Role,
    widgets::{
        list::{Cell, Column, cell, styled},
        node,
        pane::{self, Pane as Frame},
        text::{clock, fit, minute, put, width, wrap},
    },
    world::{Link, World, standing::Standing},
};

/// From here on two panes stand side by side.
const SPLIT: (u16, u16) = (60, 15);
/// From here on there is room for versions and details.
const WIDE: (u16, u16) = (110, 30);

/// Problems of this machine's daemon that are said below the rows; its details say all.
const PROBLEMS: usize = 3;

/// Where the panes are; one without room is empty.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Places {
    pub(super) nodes: Rect,
    pub(super) needs: Rect,
    pub(super) activity: Rect,
    pub(super) details: Rect,
}

pub(super) fn places(area: Rect, pane: Pane) -> Places {
    if area.width < SPLIT.0 || area.height < SPLIT.1 {
        let mut places = Places::default();
        match pane {
            Pane::Nodes => places.nodes = area,
            Pane::Needs => places.needs = area,
            Pane::Activity => places.activity = area,
        }
        return places;
    }
    let wide = area.width >= WIDE.0 && area.height >= WIDE.1;
    let (top, left) = if wide { (area.height / 2, area.width * 13 / 20) } else { (area.height * 13 / 21, area.width * 5 / 8) };
    let up = Rect { height: top, ..area };
    let down = Rect { y: area.y + top, height: area.height - top, ..area };
    let half = if wide { area.width / 2 } else { area.width };
    Places {
        nodes: Rect { width: left, ..up },
        needs: Rect { x: area.x + left, width: area.width - left, ..up },
        activity: Rect { width: half, ..down },
        details: Rect { x: area.x + half, width: area.width - half, ..down },
    }
}

pub(super) fn draw(tab: &Overview, area: Rect, canvas: &mut Canvas<'_>) {
    let places = places(area, tab.pane);
    let alone = places.needs.is_empty() || places.nodes.is_empty();
    if !places.nodes.is_empty() {
        nodes(tab, places.nodes, canvas, alone);
    }
    if !places.needs.is_empty() {
        needs(tab, places.needs, canvas, alone);
    }
    if !places.activity.is_empty() {
        activity(tab, places.activity, canvas, alone);
    }
    if !places.details.is_empty() {
        details(tab, places.details, canvas);
    }
}

fn nodes(tab: &Overview, area: Rect, canvas: &mut Canvas<'_>, alone: bool) {
    let note = pane::note(if alone { "Tab: needs you, activity" } else { "" }, canvas);
    let title = tab.nodes.title("Machines");
    let focused = tab.pane == Pane::Nodes;
    let inside = Frame { title: &title, note: &note, focused, input: false }.draw(area, canvas);
    // What was seen before is shown still.
    if let Link::Missing(_) = canvas.world.link {
        return welcome(inside, canvas);
    }
    let world = canvas.world;
    let wide = inside.width >= 70;
    let columns: &[Column] = if wide {
        &[
            Column::new("", 2),
            Column::new("NAME", 0),
            Column::new("WHERE", 20),
            Column::new("VERSION", 7),
            Column::new("TASKS", 7),
            Column::new("SINCE", 6),
            Column::new("NEEDS", 12),
        ]
    } else if inside.width >= 44 {
        &[Column::new("", 2), Column::new("NAME", 0), Column::new("WHERE", 12), Column::new("TASKS", 12), Column::right("NEEDS", 5)]
    } else {
        &[Column::new("", 2), Column::new("NAME", 0), Column::new("TASKS", 12), Column::right("NEEDS", 5)]
    };
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    let now = canvas.now.wall;
    let row = |node: &Option<NodeId>| names.iter().map(|name| node_cell(tab, world, node.as_ref(), name, wide, now)).collect();
    let under = below(tab, world, usize::from(inside.width).saturating_sub(2));
    // The rows first; what is said below them gets what is left, and two lines at least where there are many rows.
    let rows = tab.rows.len() as u16 + 1;
    let table = rows.min(inside.height.saturating_sub((under.len() as u16 + 1).min(2) * u16::from(!under.is_empty())));
    tab.nodes.table(Rect { height: table, ..inside }, canvas, focused, columns, &tab.rows, row);
    pane::stale(Rect { height: table, ..inside }, canvas);
    let rest = Rect { y: inside.y + table, height: inside.height - table, ..inside };
    let first = u16::from(rest.height > under.len() as u16);
    for (line, (role, text)) in (first..rest.height).zip(&under) {
        put(canvas.buf, rest, 1, line, text, canvas.look.style(*role));
    }
}

/// What is said below the rows: the first steps, machines nearby, or that the filter hides all.
fn below(tab: &Overview, world: &World, columns: usize) -> Vec<(Role, String)> {
    let mut lines = Vec::new();
    let mut say = |role, text: &str| lines.extend(wrap(text, columns).into_iter().map(|line| (role, line)));
    for problem in world.status.iter().flat_map(|status| &status.problems).take(PROBLEMS) {
        say(Role::Bad, &format!("problem of this machine, {}: {}", inert(&problem.part), inert(&problem.message)));
    }
    let filter = tab.nodes.pattern();
    if world.link == Link::Connecting {
        say(Role::Faint, &format!("Looking for the daemon at {}.", world.address));
    }
    if tab.rows.is_empty() && !filter.is_empty() {
        say(Role::Faint, &format!("No machine matches `{}`. Esc shows all.", inert(filter)));
    } else if Overview::is_first_run(world) {
        say(Role::Strong, "Loopsy makes all your machines one place for your coding agents.");
        say(Role::Text, "P  pairs this machine with another one");
        say(Role::Text, "n  gives a task to an agent on this machine");
        say(Role::Text, "?  shows the keys");
    }
    let nearby: Vec<String> = world.candidates().iter().take(8).map(|peer| inert(&peer.hostname).into_owned()).collect();
    if !nearby.is_empty() {
        let more = world.candidates().len().saturating_sub(nearby.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        say(Role::Info, &format!("seen nearby: {}{more}; P pairs", nearby.join(", ")));
    }
    lines
}

fn welcome(area: Rect, canvas: &mut Canvas<'_>) {
    let fresh = canvas.world.link == Link::Missing(NoDaemon::NotInitialised);
    let lines = [
        (Role::Strong, "Loopsy makes all your machines one place for your coding agents."),
        (Role::Text, ""),
        (Role::Text, if fresh { "S  sets Loopsy up on this machine and starts it" } else { "S  starts the daemon of this machine" }),
        (Role::Text, "P  then pairs it with another machine"),
        (Role::Text, "n  then gives a task to an agent"),
        (Role::Text, "?  shows the keys"),
    ];
    let mut row = 0;
    for (role, text) in lines {
        for line in wrap(text, usize::from(area.width).saturating_sub(2)) {
            put(canvas.buf, area, 1, row, &line, canvas.look.style(role));
            row += 1;
        }
    }
}

fn node_cell(tab: &Overview, world: &World, id: Option<&NodeId>, column: &str, wide: bool, now: u64) -> Cell {
    let peer = id.and_then(|id| world.peers.get(id));
    let standing = peer.map(Standing::of);
    // Of a peer that is out of reach, why and since when takes the place of what it does.
    let down = peer.filter(|_| standing.is_some_and(|standing| standing != Standing::Well));
    match column {
        "" => match standing {
            Some(standing) => styled(standing.mark(), standing.role()),
            None if world.is_up() => styled("ok", Role::Good),
            None => styled("--", Role::Bad),
        },
        "NAME" => cell(world.name_of(id)),
        "WHERE" => match peer {
            None if wide => cell(format!("this machine :{}", world.address.rsplit(':').next().unwrap_or_default())),
            None => cell("this machine"),
            Some(peer) if wide => cell(authority(&peer.address, peer.port)),
            Some(peer) => cell(peer.address.as_str()),
        },
        "VERSION" => match peer {
            None => cell(world.status.as_ref().map_or("", |status| status.version.as_str())),
            Some(peer) => cell(peer.version.as_str()),
        },
        "TASKS" => match (down, standing) {
            (Some(_), Some(standing)) if wide && matches!(standing, Standing::Decide(_)) => styled("-", Role::Faint),
            (Some(peer), Some(standing)) if !wide => styled(short_down(peer, standing, now), standing.role()),
            (Some(_), _) => styled("-", Role::Faint),
            _ => tasks(world, id),
        },
        "SINCE" => match peer {
            None => cell(tab.since.map(|at| minute(at, now)).unwrap_or_default()),
            Some(peer) => {
                let fresh = id.and_then(|id| world.pictures.get(id)).filter(|picture| !picture.stale).map(|picture| picture.since);
                let at = peer.offline_since.or_else(|| fresh.filter(|_| peer.status == PeerStatus::Online));
                cell(at.map(|at| minute(at, now)).unwrap_or_default())
            }
        },
        _ => match (down, standing, world.waiting_on(id)) {
            // What cannot be answered now needs nobody yet.
            (_, _, waiting) if waiting > 0 && id.and_then(|id| world.pictures.get(id)).is_some_and(|picture| picture.stale) => {
                styled(format!("(!{waiting})"), Role::Faint)
            }
            (_, _, waiting) if waiting > 0 => styled(format!("!{waiting}"), Role::Badge),
            (Some(_), Some(standing), _) if wide => styled(standing.words(), standing.role()),
            _ => cell(""),
        },
    }
}

/// For the narrow table: `since 09:11`, `cert changed`, `trying`.
fn short_down(peer: &loopsy_shared::api::peers::PeerInfo, standing: Standing, now: u64) -> String {
    match (standing, peer.offline_since) {
        (Standing::Away | Standing::Trying, Some(at)) => format!("since {}", minute(at, now)),
        (standing, _) => standing.words().to_owned(),
    }
}

fn tasks(world: &World, id: Option<&NodeId>) -> Cell {
    if id.is_some_and(|id| !world.pictures.contains_key(id)) {
        return styled("?", Role::Faint);
    }
    match world.running_on(id) {
        0 => styled("idle", Role::Faint),
        running => styled(format!("{running} run"), Role::Busy),
    }
}

fn needs(tab: &Overview, area: Rect, canvas: &mut Canvas<'_>, alone: bool) {
    let away = tab.asks.iter().filter(|ask| ask.away.is_some()).count();
    let title = tab.needs.title(&match (tab.asks.len() - away, away) {
        (0, 0) => "Needs you".to_owned(),
        (now, 0) => format!("Needs you ({now})"),
        (0, away) => format!("Needs you ({away} away)"),
        (now, away) => format!("Needs you ({now}, {away} away)"),
    });
    let note = pane::note(if alone { "Tab: activity, machines" } else { "" }, canvas);
    let focused = tab.pane == Pane::Needs;
    let inside = Frame { title: &title, note: &note, focused, input: false }.draw(area, canvas);
    let columns = usize::from(inside.width).saturating_sub(2);
    let hints = if tab.asks.is_empty() {
        vec!["No agent waits for an answer.".to_owned(), "What one asks, on any machine, comes here.".to_owned()]
    } else {
        vec!["! reviews the oldest, Enter the selected one. Nothing is approved by Enter.".to_owned()]
    };
    let hints: Vec<String> = hints.iter().flat_map(|hint| wrap(hint, columns)).collect();
    let lines = if inside.width >= 36 && inside.height >= 12 { 4 } else { 3 };
    let all = tab.asks.len() as u16 * lines;
    let room = if inside.height > 6 { inside.height - hints.len() as u16 } else { inside.height };
    let cards = Rect { height: all.min(room), ..inside };
    tab.needs.cards(cards, canvas, lines, &tab.ask_ids, |id, place, chosen, canvas| {
        let Some(at) = tab.ask_ids.iter().position(|known| known == id) else { return };
        let ask = &tab.asks[at];
        let style = match (chosen && focused && canvas.focused, chosen) {
            (true, _) => canvas.look.style(Role::Selection),
            (false, true) => canvas.look.style(Role::SelectionFaint),
            // Nobody can answer it now.
            _ if ask.away.is_some() => canvas.look.style(Role::Faint),
            _ => canvas.look.style(Role::Strong),
        };
        if chosen {
            canvas.buf.set_style(Rect { height: 1, ..place }, style);
        }
        let time = match ask.away {
            Some(since) => format!("away {}", minute(since, canvas.now.wall)),
            None => minute(ask.at, canvas.now.wall),
        };
        let room = usize::from(place.width).saturating_sub(width(&time) + 3);
        let task = if place.width >= 36 { format!(" task {}", ask.task) } else { String::new() };
        let number = format!("{}{}", if chosen { ">" } else { " " }, at + 1);
        put(canvas.buf, place, 0, 0, &fit(&format!("{number} {} {}{task}", ask.head, ask.node_name), room), style);
        put(canvas.buf, place, place.width.saturating_sub(width(&time) as u16 + 1), 0, &time, style);
        let diff = ask.diff.map(|(added, removed)| format!("  +{added} -{removed}")).unwrap_or_default();
        let what = fit(&ask.what, usize::from(place.width).saturating_sub(5 + diff.len()));
        let text = if ask.away.is_some() { Role::Faint } else { Role::Text };
        let at = put(canvas.buf, place, 3, 1, &what, canvas.look.style(text));
        put(canvas.buf, place, at, 1, &diff, canvas.look.style(Role::Info));
        if lines > 3 {
            put(canvas.buf, place, 3, 2, &fit(&format!("in {}", ask.cwd), usize::from(place.width).saturating_sub(4)), canvas.look.style(Role::Faint));
        }
    });
    pane::stale(cards, canvas);
    let rest = Rect { y: inside.y + cards.height, height: inside.height - cards.height, ..inside };
    if room < inside.height || tab.asks.is_empty() {
        for (row, hint) in (0..rest.height).zip(&hints) {
            put(canvas.buf, rest, 1, row, hint, canvas.look.style(Role::Faint));
        }
    }
}

fn activity(tab: &Overview, area: Rect, canvas: &mut Canvas<'_>, alone: bool) {
    let title = tab.activity.title("Activity");
    let note = pane::note(if alone { "Tab: machines, needs you" } else { "newest first" }, canvas);
    let focused = tab.pane == Pane::Activity;
    let inside = Frame { title: &title, note: &note, focused, input: false }.draw(area, canvas);
    if tab.told.is_empty() {
        let text = if tab.activity.pattern().is_empty() { "Nothing has happened yet." } else { "Nothing matches. Esc shows all." };
        put(canvas.buf, inside, 1, 0, text, canvas.look.style(Role::Faint));
        return;
    }
    let world = canvas.world;
    let first = world.activity.front().map_or(0, |line| line.number);
    tab.activity.cards(inside, canvas, 1, &tab.told, |number, place, chosen, canvas| {
        // Numbers have no gaps: the line is found without looking for it.
        let Some(line) = number.checked_sub(first).and_then(|at| world.activity.get(at as usize)) else { return };
        let bar = chosen && focused;
        if bar {
            canvas.buf.set_style(place, canvas.look.style(if canvas.focused { Role::Selection } else { Role::SelectionFaint }));
        }
        let style = |canvas: &Canvas<'_>, role| if bar && canvas.focused { canvas.look.style(Role::Selection) } else { canvas.look.style(role) };
        let time = clock(line.at, canvas.now.wall);
        put(canvas.buf, place, 0, 0, if bar { ">" } else { " " }, style(canvas, Role::Text));
        put(canvas.buf, place, 1, 0, &time, style(canvas, Role::Faint));
        let name = if place.width >= 50 { 12 } else { 8 };
        put(canvas.buf, place, 10, 0, &fit(line.node.as_deref().unwrap_or(world.here()), name), style(canvas, Role::Strong));
        let at = 11 + name as u16;
        put(canvas.buf, place, at, 0, &fit(&line.text, usize::from(place.width.saturating_sub(at))), style(canvas, Role::Text));
    });
    pane::stale(inside, canvas);
}

fn details(tab: &Overview, area: Rect, canvas: &mut Canvas<'_>) {
    let selected = tab.nodes.selected(&tab.rows).cloned().flatten();
    let title = format!("Selected: {}", canvas.world.name_of(selected.as_ref()));
    let inside = Frame { title: &title, note: &pane::note("", canvas), focused: false, input: false }.draw(area, canvas);
    let lines = node::lines(canvas.world, selected.as_ref(), tab.since, canvas.now.wall);
    node::draw(&lines, inside, canvas);
    pane::stale(inside, canvas);
}

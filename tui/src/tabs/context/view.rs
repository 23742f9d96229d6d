//! How the context looks: keys at the left, the value at the right; one of them where there is room for one.

use loopsy_shared::{api::context::ContextEntry, text::bytes};
use ratatui::layout::Rect;

use super::{
    Context, Pane,
    value::{Layout, Of},
};
use crate::{
    app::Canvas,
    look::Role,
    widgets::{
        list::{Column, cell, styled},
        pane::{self, Pane as Frame},
        text::{clock, fit, minute, put, wrap},
    },
};

/// From this width on both panes stand side by side.
const SPLIT: u16 = 60;
/// From this width on there is room for all columns.
const WIDE: u16 = 110;

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Places {
    pub(super) keys: Rect,
    pub(super) value: Rect,
}

/// Where the panes are; one without room is empty.
pub(super) fn places(area: Rect, pane: Pane) -> Places {
    if area.width < SPLIT {
        return match pane {
            Pane::Keys => Places { keys: area, value: Rect::default() },
            Pane::Value => Places { keys: Rect::default(), value: area },
        };
    }
    let left = if area.width >= WIDE { area.width * 28 / 60 } else { area.width * 11 / 20 };
    Places { keys: Rect { width: left, ..area }, value: Rect { x: area.x + left, width: area.width - left, ..area } }
}

pub(super) fn draw(tab: &Context, area: Rect, canvas: &mut Canvas<'_>) {
    let places = places(area, tab.pane);
    if !places.keys.is_empty() {
        keys(tab, places.keys, canvas);
    }
    if !places.value.is_empty() {
        value(tab, places.value, canvas);
    }
}

fn keys(tab: &Context, area: Rect, canvas: &mut Canvas<'_>) {
    let world = canvas.world;
    let all = tab.entries(world).map_or(0, std::collections::BTreeMap::len);
    let count = if tab.list.pattern().is_empty() { format!("{all}") } else { format!("{} of {all}", tab.rows.len()) };
    let title = tab.list.title(&format!("Keys of {} ({count})", fit(world.name_of(tab.node.as_ref()), 16)));
    let far = tab.node.as_ref().map(|node| tab.far.get(node));
    let note = match far {
        None => "live".to_owned(),
        Some(Some(far)) if far.asked => "being read".to_owned(),
        Some(_) if tab.settle_at.is_some() => "being read".to_owned(),
        Some(far) => far.and_then(|far| far.read).map(|at| format!("read {}; r reads again", clock(at, canvas.now.wall))).unwrap_or_default(),
    };
    let focused = tab.pane == Pane::Keys;
    let inside = Frame { title: &title, note: &pane::note(&note, canvas), focused, input: false }.draw(area, canvas);
    let error = far.flatten().and_then(|far| far.error.as_ref()).map(|why| format!("The keys cannot be read: {why} r tries again."));
    let columns_wide = usize::from(inside.width).saturating_sub(2);
    let mut above = 0;
    for line in error.iter().flat_map(|error| wrap(error, columns_wide)).take(4) {
        put(canvas.buf, inside, 1, above, &line, canvas.look.style(Role::Bad));
        above += 1;
    }
    let inside = Rect { y: inside.y + above.min(inside.height), height: inside.height.saturating_sub(above), ..inside };
    if tab.rows.is_empty() {
        let text = match (tab.list.pattern(), far) {
            ("", None) => "No keys yet. Agents and machines share values here: n sets the first one.".to_owned(),
            ("", Some(Some(far))) if far.read.is_some() => "There are no keys on this machine. n sets one.".to_owned(),
            ("", Some(_)) if error.is_some() => String::new(),
            ("", Some(Some(far))) if far.asked => "Its keys are being read.".to_owned(),
            ("", Some(_)) if tab.settle_at.is_some() => "Its keys are being read.".to_owned(),
            ("", Some(_)) => "Its keys were not read yet. r reads them.".to_owned(),
            (filter, _) => format!("No key matches `{filter}`. Esc shows all. A filter that ends in / names a beginning."),
        };
        for (row, line) in (0..inside.height).zip(wrap(&text, columns_wide)) {
            put(canvas.buf, inside, 1, row, &line, canvas.look.style(Role::Text));
        }
        return;
    }
    let columns: &[Column] = if area.width < 44 {
        &[Column::new("KEY", 0), Column::right("SIZE", 8), Column::new("FROM", 8)]
    } else if area.width < 50 {
        &[Column::new("KEY", 0), Column::right("SIZE", 8), Column::new("UNTIL", 6), Column::new("FROM", 8)]
    } else {
        &[Column::new("KEY", 0), Column::right("SIZE", 8), Column::new("UNTIL", 6), Column::new("FROM", 11), Column::new("SET", 6)]
    };
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    let now = canvas.now.wall;
    let entries = tab.entries(world);
    tab.list.table(inside, canvas, focused, columns, &tab.rows, |key| {
        let Some(entry) = entries.and_then(|entries| entries.get(key)) else { return Vec::new() };
        let of = |name: &&str| match *name {
            "KEY" => cell(entry.key.as_str()),
            "SIZE" => cell(bytes(entry.value.len() as u64)),
            "UNTIL" => entry.expires_at.map_or_else(|| styled("-", Role::Faint), |at| cell(minute(at, now))),
            "FROM" => cell(world.name_of_id(&entry.from_node_id)),
            _ => cell(minute(entry.updated_at, now)),
        };
        names.iter().map(of).collect()
    });
    pane::stale(inside, canvas);
}

fn value(tab: &Context, area: Rect, canvas: &mut Canvas<'_>) {
    let focused = tab.pane == Pane::Value;
    let world = canvas.world;
    let Some(entry) = tab.entry(world) else {
        let inside = Frame { title: "Value", note: "", focused, input: false }.draw(area, canvas);
        put(canvas.buf, inside, 1, 0, "Select a key to read its value.", canvas.look.style(Role::Faint));
        return;
    };
    let inside = Frame { title: &entry.key, note: "", focused, input: false }.draw(area, canvas);
    let about = about(tab, entry, canvas, inside.height);
    for (row, (label, text)) in (0..inside.height).zip(&about) {
        put(canvas.buf, inside, 1, row, label, canvas.look.style(Role::Faint));
        put(canvas.buf, inside, 9, row, &fit(text, usize::from(inside.width).saturating_sub(10)), canvas.look.style(Role::Text));
    }
    let used = if about.is_empty() { 0 } else { about.len() as u16 + 1 }.min(inside.height);
    let rest = Rect { y: inside.y + used, height: inside.height - used, ..inside };
    let (columns, rows) = (usize::from(rest.width).saturating_sub(2), usize::from(rest.height));
    let of = Of { node: tab.node.clone(), key: entry.key.clone(), version: entry.version, updated: entry.updated_at, shape: tab.shape, columns };
    let mut kept = tab.layout.borrow_mut();
    if !kept.as_ref().is_some_and(|layout| layout.is_of(&of)) {
        *kept = Some(Layout::new(of, &entry.value));
    }
    let Some(layout) = kept.as_mut() else { return };
    let note = layout.note().map(|note| wrap(note, columns)).unwrap_or_default();
    let noted = note.len().min(rows);
    for (row, line) in (0..noted as u16).zip(&note) {
        put(canvas.buf, rest, 1, row, line, canvas.look.style(Role::Warn));
    }
    let rows = rows - noted;
    tab.height.set(rows);
    layout.reach(&entry.value, tab.top.get().saturating_add(rows + 1));
    if let Some(last) = layout.last_page(rows) {
        tab.top.set(tab.top.get().min(last));
    }
    let top = tab.top.get();
    let (lines, below) = layout.window(top, rows);
    for (row, line) in (noted as u16..).zip(lines) {
        put(canvas.buf, rest, 1, row, line, canvas.look.style(Role::Text));
    }
    let place = match (top, below) {
        (0, false) => String::new(),
        (_, true) => format!("from line {}, more below   ", top + 1),
        (_, false) => format!("from line {} to the end   ", top + 1),
    };
    drop(kept);
    pane::stale(inside, canvas);
    let note = pane::note(&format!("{place}v: {}", tab.shape.name()), canvas);
    let note = fit(&note, usize::from(area.width).saturating_sub(6));
    let at = area.width.saturating_sub(crate::widgets::text::width(&note) as u16 + 4);
    put(canvas.buf, area, at, area.height.saturating_sub(1), &format!(" {note} "), canvas.look.style(Role::Faint));
}

/// What is known of the entry besides its value; less where there is no room.
fn about(tab: &Context, entry: &ContextEntry, canvas: &Canvas<'_>, height: u16) -> Vec<(&'static str, String)> {
    let now = canvas.now.wall;
    let expires = match (entry.expires_at, entry.ttl) {
        (Some(at), Some(ttl)) => format!("{} ({ttl} s after it is set)", clock(at, now)),
        (Some(at), None) => clock(at, now),
        (None, _) => "never".to_owned(),
    };
    let mut lines = vec![("set", format!("{} by {}", clock(entry.updated_at, now), canvas.world.name_of_id(&entry.from_node_id)))];
    if height >= 8 {
        lines.push(("expires", expires));
    }
    if height >= 12 {
        lines.push(("size", bytes(entry.value.len() as u64)));
    }
    if height >= 26 {
        lines.push(("first", clock(entry.created_at, now)));
        lines.push(("version", entry.version.to_string()));
    }
    if tab.edits.has(tab.node.as_ref(), &entry.key) {
        lines.push(("kept", "your text that was not stored: e opens it again".to_owned()));
    }
    lines
}

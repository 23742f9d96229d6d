//! How messages look.

use ratatui::layout::Rect;

use super::{Focus, Messages, Party, mail::Message, mail::State};
use crate::{
    app::Canvas,
    look::Role,
    widgets::{
        list::{Column, cell, styled},
        pane::Pane,
        text::{fit, minute, pad, put, width, wrap},
    },
};

/// Below this only one pane is shown.
const ONE_PANE: (u16, u16) = (60, 11);
/// Bytes and rows of a message that are shown; `y` copies all of it.
const SHOWN: (usize, usize) = (8192, 60);

/// Where things are; empty where they are not shown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Places {
    pub(super) list: Rect,
    pub(super) table: Rect,
    pub(super) thread: Rect,
    write: Rect,
}

/// A row of a thread: the text with its column and role, and what stands at its right.
type Rows = Vec<(Role, u16, String)>;

impl Messages {
    pub(super) fn places(&self, area: Rect) -> Places {
        let mut places = Places::default();
        let one = area.width < ONE_PANE.0 || area.height < ONE_PANE.1;
        let wide = if area.width >= 100 { 36 } else { 28 };
        if !one || self.focus == Focus::Threads && self.writing.is_none() {
            places.list = Rect { width: if one { area.width } else { wide }, ..area };
            places.table = inner(places.list);
        }
        if !one || places.list.width == 0 {
            let right = if one { area } else { Rect { x: area.x + wide, width: area.width - wide, ..area } };
            let rows = match area.height {
                0..8 => 3,
                8..14 => 4,
                14..30 => 5,
                _ => 8,
            }
            .min(right.height);
            // In a small window the field is there when it is typed into.
            let rows = if one && self.writing.is_none() { 0 } else { rows };
            places.thread = Rect { height: right.height - rows, ..right };
            places.write = Rect { y: right.y + right.height - rows, height: rows, ..right };
        }
        places
    }

    pub(super) fn draw(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let area = area.intersection(canvas.buf.area);
        let places = self.places(area);
        if places.list.width > 0 {
            self.draw_threads(&places, canvas);
        }
        if places.thread.width > 0 {
            self.draw_thread(places.thread, canvas);
            if places.write.height > 0 {
                self.draw_write(places.write, canvas);
            }
        }
    }

    fn draw_threads(&self, places: &Places, canvas: &mut Canvas<'_>) {
        let unread = self.unread();
        let title = self.list.title(&if unread == 0 { "Threads".to_owned() } else { format!("Threads ({unread} unread)") });
        let note = if self.only_unread { "unread only, u all" } else { "" };
        let focused = self.focus == Focus::Threads && self.writing.is_none();
        let inside = Pane { title: &title, focused, note, input: false }.draw(places.list, canvas);
        if self.keys.is_empty() {
            let text = match (self.list.pattern(), self.only_unread) {
                ("", false) => "No messages yet. n writes one to a peer; what peers and their agents write comes here.".to_owned(),
                ("", true) => "Nothing is unread. u shows all.".to_owned(),
                (pattern, _) => format!("No thread matches `{pattern}`. Esc shows all."),
            };
            for (row, line) in (0..inside.height).zip(wrap(&text, usize::from(inside.width.saturating_sub(2)))) {
                put(canvas.buf, inside, 1, row, &line, canvas.look.style(Role::Faint));
            }
            return;
        }
        let (world, now) = (canvas.world, canvas.now.wall);
        // In a narrow list what is not sent yet stands where the time does.
        let wide = places.table.width >= 32;
        let mut columns = vec![Column::new("", 1), Column::new("NODE", 0)];
        columns.extend(if wide { vec![Column::new("", 8), Column::right("LAST", 6)] } else { vec![Column::right("LAST", 8)] });
        self.list.table(places.table, canvas, focused, &columns, &self.keys, |party| {
            let thread = self.threads.get(party).cloned().unwrap_or_default();
            let state = match (thread.failed, thread.sending, self.drafts.get(party).is_some_and(|draft| !draft.field.text().is_empty())) {
                (0, 0, true) => styled("draft", Role::Faint),
                (0, 0, false) => cell(""),
                (0, _, _) => styled("sending", Role::Busy),
                (failed, ..) => styled(format!("{failed} failed"), Role::Bad),
            };
            let last = if thread.newest == 0 || thread.newest == u64::MAX { String::new() } else { minute(thread.newest, now) };
            let name = Self::name_of(party, world);
            let mut cells = vec![
                if thread.unread > 0 { styled("*", Role::Warn) } else { cell("") },
                if thread.unread > 0 { styled(name, Role::Strong) } else { cell(name) },
            ];
            match (wide, state.text.is_empty()) {
                (true, _) => cells.extend([state, styled(last, Role::Faint)]),
                (false, true) => cells.push(styled(last, Role::Faint)),
                (false, false) => cells.push(state),
            }
            cells
        });
    }

    fn draw_thread(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let focused = self.focus == Focus::Thread && self.writing.is_none();
        let world = canvas.world;
        let title = self.party().map_or_else(|| "Messages".to_owned(), |party| Self::name_of(party, world));
        let (Some(thread), Some(at)) = (self.thread(), self.at()) else {
            let inside = Pane { title: &title, focused, note: "", input: false }.draw(area, canvas);
            let text = if self.party().is_some() { "Nothing was written yet. i writes." } else { "" };
            put(canvas.buf, inside, 1, 0, text, canvas.look.style(Role::Faint));
            return;
        };
        let note = if at + 1 < thread.messages.len() { format!("{} of {}, G end", at + 1, thread.messages.len()) } else { String::new() };
        let inside = Pane { title: &title, focused, note: &note, input: false }.draw(area, canvas);
        let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside }.intersection(inside);
        let height = usize::from(inside.height);
        let rows_of = |index: usize| {
            let message = thread.messages.get(index).and_then(|id| self.mail.get(id));
            message.map(|message| self.rows(message, usize::from(inside.width), focused && index == at, canvas)).unwrap_or_default()
        };
        // The message that is looked at is whole, with as much before it as fits, then what comes after.
        let mut rows = rows_of(at);
        rows.truncate(height.max(1));
        let mut before = at;
        while rows.len() < height && before > 0 {
            before -= 1;
            let mut more = rows_of(before);
            let skip = (more.len() + rows.len()).saturating_sub(height);
            rows.splice(0..0, more.drain(skip..));
        }
        let mut after = at + 1;
        while rows.len() < height && after < thread.messages.len() {
            rows.extend(rows_of(after));
            after += 1;
        }
        for (y, (role, column, text)) in rows.into_iter().take(height).enumerate() {
            put(canvas.buf, inside, column, y as u16, &text, canvas.look.style(role));
        }
    }

    /// The rows of one message.
    fn rows(&self, message: &Message, columns: usize, chosen: bool, canvas: &Canvas<'_>) -> Rows {
        let now = canvas.now.wall;
        let mut rows = Rows::new();
        if self.mark.as_ref() == Some(&message.envelope.id) {
            rows.push((Role::Warn, 0, "--- unread below ---".to_owned()));
        }
        let who = if message.incoming { message.envelope.from.as_str() } else { "you" };
        let named = if columns >= 60 { 12 } else { 10 };
        let head = format!("{}{} {} ", if chosen { ">" } else { " " }, minute(message.envelope.ts, now), pad(who, named));
        let (state, role) = state(message, self.mail.is_unread(message), now);
        let side = columns >= 70 && width(&state) <= 16;
        let room = columns.saturating_sub(width(&head) + if side { 17 } else { 0 }).max(8);
        let body = match &message.state {
            State::Broken(why) => format!("{}\nThis entry is no message: {why}. E shows it.", message.key),
            _ => message.envelope.body.clone(),
        };
        let mut end = body.len().min(SHOWN.0);
        while !body.is_char_boundary(end) {
            end -= 1;
        }
        let mut lines = wrap(&body[..end].replace('\t', "    "), room);
        let cut = end < body.len() || lines.len() > SHOWN.1;
        lines.truncate(SHOWN.1);
        let text = if message.incoming { Role::Text } else { Role::Faint };
        let indent = width(&head) as u16;
        for (index, line) in lines.into_iter().enumerate() {
            if index == 0 {
                let first = if side { pad(&line, room) + " " + &state } else { line };
                rows.push((if chosen { Role::Strong } else { text }, 0, head.clone() + &first));
            } else {
                rows.push((if chosen { Role::Strong } else { text }, indent, line));
            }
        }
        if cut {
            rows.push((Role::Faint, indent, "(there is more: y copies all, E shows it)".to_owned()));
        }
        if let Some(answers) = message.envelope.reply_to.as_ref().and_then(|id| self.mail.get(id)) {
            let line = answers.envelope.body.lines().next().unwrap_or_default();
            rows.push((Role::Faint, indent, fit(&format!("(answers: {line})"), room)));
        }
        if !side && !state.is_empty() {
            rows.extend(wrap(&state, room).into_iter().map(|line| (role, indent, line)));
        }
        rows.push((Role::Text, 0, String::new()));
        rows
    }

    fn draw_write(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let party = self.writing.as_ref().or_else(|| self.party());
        let name = party.map(|party| Self::name_of(party, canvas.world)).unwrap_or_default();
        let draft = party.and_then(|party| self.drafts.get(party));
        let answer = if draft.is_some_and(|draft| draft.kind == "response") { "Answer" } else { "Write to" };
        let title = if name.is_empty() { "Write (n)".to_owned() } else { format!("{answer} {name}{}", if self.writing.is_some() { "" } else { " (i)" }) };
        let note = if self.writing.is_some() { "Enter send   Alt-Enter newline   Esc keep draft" } else { "" };
        let inside = Pane { title: &title, note, focused: self.writing.is_some(), input: self.writing.is_some() }.draw(area, canvas);
        let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside }.intersection(inside);
        match (draft, party) {
            (Some(draft), _) => draft.field.draw(inside, canvas, self.writing.is_some()),
            (None, Some(Party::Node(_))) => drop(put(canvas.buf, inside, 0, 0, "i writes; a draft is kept for each machine.", canvas.look.style(Role::Faint))),
            (None, _) => {}
        }
    }
}

/// How far a message is, in words.
fn state(message: &Message, unread: bool, now: u64) -> (String, Role) {
    match &message.state {
        State::Sending => ("sending ..".to_owned(), Role::Busy),
        State::Delivered => ("delivered".to_owned(), Role::Faint),
        State::Failed(why) => (format!("NOT delivered: {why} r sends it again."), Role::Bad),
        State::Acked(at) => (format!("acked {}", minute(*at, now)), Role::Good),
        State::Here if unread => ("new".to_owned(), Role::Warn),
        State::Here | State::Broken(_) => (String::new(), Role::Faint),
        State::Acking => ("acking ..".to_owned(), Role::Busy),
        State::AckedButHere(why) => (format!("acked, but still stored here: {why} Space tries again."), Role::Bad),
        State::Done => ("you acked it".to_owned(), Role::Good),
        State::Gone => ("no longer stored".to_owned(), Role::Faint),
    }
}

const fn inner(area: Rect) -> Rect {
    Rect { x: area.x.saturating_add(1), y: area.y.saturating_add(1), width: area.width.saturating_sub(2), height: area.height.saturating_sub(2) }
}

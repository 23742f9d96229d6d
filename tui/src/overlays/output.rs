//! What a command prints on a node, as it prints it. Esc closes the box and asks nothing; Ctrl-C ends the command.

use std::{cell::Cell, collections::VecDeque, rc::Rc};

use loopsy_shared::{
    api::execute::{Encoding, ExecuteEvent, ExecuteEventKind},
    text::{bytes, inert},
};
use ratatui::layout::Rect;

use super::{Flow, Overlay};
use crate::{
    app::{Canvas, Cx},
    effect::Effect,
    event::Event,
    keymap::{Command, Scope},
    look::Role,
    widgets::{
        pane::Pane,
        text::{duration, put, wrap},
    },
};

mod plain;
#[cfg(test)]
mod tests;

use plain::Plain;

/// Lines that are kept; older ones go.
const LINES: usize = 5000;
/// Longest line that is kept, in bytes; what is longer goes on in the next.
const LINE: usize = 4096;

/// The box.
#[derive(Debug)]
pub(crate) struct Output {
    title: String,
    number: u64,
    lines: VecDeque<(Role, String)>,
    /// Lines that went.
    gone: usize,
    /// The last line goes on.
    open: bool,
    /// What comes next is written over the last line, unless the line ends here.
    over: bool,
    out: Plain,
    err: Plain,
    printed: u64,
    /// How it ended.
    end: Option<(Role, String)>,
    stopping: bool,
    /// The first line in the window; none while the end is followed.
    top: Cell<Option<usize>>,
    height: Cell<usize>,
    shown_from: Cell<usize>,
    /// Held for as long as the box is there.
    _here: Rc<()>,
}

/// Whether the box is still on the screen.
#[derive(Debug, Clone)]
pub(crate) struct Watch(Rc<()>);

impl Watch {
    /// Whether it is.
    pub(crate) fn is_open(&self) -> bool {
        Rc::strong_count(&self.0) > 1
    }
}

impl Output {
    /// Of the command that was started with this number.
    pub(crate) fn new(number: u64, title: impl Into<String>) -> (Self, Watch) {
        let here = Rc::new(());
        let output = Self {
            title: title.into(),
            number,
            lines: VecDeque::new(),
            gone: 0,
            open: false,
            over: false,
            out: Plain::default(),
            err: Plain::default(),
            printed: 0,
            end: None,
            stopping: false,
            top: None.into(),
            height: 1.into(),
            shown_from: 0.into(),
            _here: here.clone(),
        };
        (output, Watch(here))
    }

    fn take(&mut self, event: &ExecuteEvent) {
        let data = match event.encoding {
            None => event.data.clone(),
            Some(Encoding::Base64) => {
                use base64::Engine;
                let raw = base64::engine::general_purpose::STANDARD.decode(&event.data).unwrap_or_default();
                String::from_utf8_lossy(&raw).into_owned()
            }
        };
        match event.kind {
            ExecuteEventKind::Stdout | ExecuteEventKind::Stderr => {
                self.printed += data.len() as u64;
                let err = event.kind == ExecuteEventKind::Stderr;
                self.print(&data, err);
            }
            ExecuteEventKind::Exit => self.end = Some(ending(event)),
            ExecuteEventKind::Error => self.end = Some((Role::Bad, data)),
        }
    }

    fn print(&mut self, data: &str, err: bool) {
        let role = if err { Role::Warn } else { Role::Text };
        let text = if err { self.err.take(data) } else { self.out.take(data) };
        // A line holds what one stream printed: the other begins a new one.
        if self.lines.back().is_some_and(|(known, _)| *known != role) {
            self.open = false;
        }
        for c in text.chars() {
            let over = std::mem::take(&mut self.over) && self.open;
            match c {
                '\n' if self.open => self.open = false,
                '\n' => self.line(role),
                // Progress that is written over itself: the last state counts.
                '\r' => self.over = true,
                c => {
                    if let (true, Some((_, line))) = (over, self.lines.back_mut()) {
                        line.clear();
                    }
                    if !self.open || self.lines.back().is_none_or(|(_, line)| line.len() >= LINE) {
                        self.line(role);
                        self.open = true;
                    }
                    if let Some((_, line)) = self.lines.back_mut() {
                        if c == '\t' { line.push_str("    ") } else { line.push(c) }
                    }
                }
            }
        }
    }

    fn line(&mut self, role: Role) {
        if self.lines.len() >= LINES {
            self.lines.pop_front();
            self.gone += 1;
            self.top.set(self.top.get().map(|top| top.saturating_sub(1)));
        }
        self.lines.push_back((role, String::new()));
    }

    /// The first line of the window when its end is the end of all, with lines broken to so many columns.
    fn last_page(&self, columns: usize, rows: usize) -> usize {
        let mut left = rows;
        for (at, (_, line)) in self.lines.iter().enumerate().rev() {
            let takes = if line.len() <= columns { 1 } else { wrap(line, columns).len() };
            if takes > left {
                return at + usize::from(left == 0 || takes > left);
            }
            left -= takes;
        }
        0
    }

    fn go(&self, to: usize) {
        self.top.set(Some(to.min(self.lines.len().saturating_sub(1))));
    }
}

/// How a command ended, in a sentence.
fn ending(event: &ExecuteEvent) -> (Role, String) {
    let Some(exit) = &event.exit else {
        return (if event.data == "0" { Role::Good } else { Role::Bad }, format!("exit {}", inert(&event.data)));
    };
    let took = format!("in {}, {} printed", duration(exit.duration as u64), bytes(exit.total_bytes));
    match (exit.exit_code, &exit.signal) {
        _ if exit.cancelled => (Role::Warn, format!("cancelled {took}")),
        _ if exit.timed_out => (Role::Bad, format!("ended because its time was up, {took}")),
        (Some(0), _) => (Role::Good, format!("exit 0 {took}")),
        (Some(code), _) => (Role::Bad, format!("exit {code} {took}")),
        (None, Some(signal)) => (Role::Bad, format!("ended by {} {took}", inert(signal))),
        (None, None) => (Role::Bad, format!("ended {took}")),
    }
}

/// How a command ended, for who started it; none while it runs.
pub(crate) fn told(result: &Result<ExecuteEvent, String>) -> Option<(bool, String)> {
    match result {
        Ok(event) if event.kind == ExecuteEventKind::Exit => {
            let (role, text) = ending(event);
            Some((role == Role::Good, text))
        }
        Ok(event) if event.kind == ExecuteEventKind::Error => Some((false, event.data.clone())),
        Ok(_) => None,
        Err(why) => Some((false, why.clone())),
    }
}

impl Overlay for Output {
    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::Output]
    }

    fn act(&mut self, command: Command, cx: &mut Cx<'_>) -> Flow {
        let (top, page) = (self.top.get().unwrap_or(self.shown_from.get()), self.height.get().max(2));
        match command {
            Command::Up => self.go(top.saturating_sub(1)),
            Command::Down => self.go(top + 1),
            Command::PageUp => self.go(top.saturating_sub(page - 1)),
            Command::PageDown => self.go(top + page - 1),
            Command::HalfUp => self.go(top.saturating_sub(page / 2)),
            Command::HalfDown => self.go(top + page / 2),
            Command::Top => self.go(0),
            Command::End => self.top.set(None),
            Command::Copy => cx.copy(self.lines.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n")),
            Command::Stop if self.end.is_none() => {
                self.stopping = true;
                cx.effect(Effect::EndExec(self.number));
            }
            // It has ended already; whoever was a moment late does not mean Loopsy.
            Command::Stop => cx.nothing_to_see(),
            Command::Back => return Flow::Close,
            _ => cx.nothing_to_see(),
        }
        Flow::Stay
    }

    fn event(&mut self, event: &Event, _cx: &mut Cx<'_>) -> Flow {
        if let Event::Exec(number, result) = event
            && *number == self.number
        {
            match result {
                Ok(event) => self.take(event),
                Err(why) => self.end = Some((Role::Bad, why.clone())),
            }
        }
        Flow::Stay
    }

    fn hints(&self) -> &'static [(&'static str, &'static str)] {
        if self.end.is_some() { &[("Esc", "close"), ("y", "copy"), ("j/k", "scroll"), ("G", "newest")] } else { &[] }
    }

    fn mode(&self) -> &'static str {
        "OUTPUT"
    }

    fn status(&self) -> String {
        if self.end.is_none() { "runs; closing ends nothing".to_owned() } else { "ended".to_owned() }
    }

    fn view(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let note = if self.gone > 0 { format!("{} lines above are no longer kept", self.gone) } else { String::new() };
        let inside = Pane { title: &self.title, note: &note, focused: true, input: false }.draw(area, canvas);
        let rows = usize::from(inside.height).saturating_sub(1);
        let columns = usize::from(inside.width).saturating_sub(2).max(2);
        self.height.set(rows);
        let last = self.last_page(columns, rows);
        let top = self.top.get().map_or(last, |top| top.min(last));
        // At the end again: what comes is followed.
        if top >= last {
            self.top.set(None);
        }
        self.shown_from.set(top);
        let lines = self.lines.iter().skip(top).flat_map(|(role, line)| wrap(line, columns).into_iter().map(move |line| (*role, line)));
        for (row, (role, line)) in (0..rows as u16).zip(lines) {
            put(canvas.buf, inside, 1, row, &line, canvas.look.style(role));
        }
        let (role, state) = match &self.end {
            Some((role, text)) => (*role, text.clone()),
            None if self.stopping => (Role::Warn, "asked to end".to_owned()),
            None if self.printed == 0 => (Role::Busy, "runs; nothing printed yet".to_owned()),
            None => (Role::Busy, format!("runs; {} printed", bytes(self.printed))),
        };
        put(canvas.buf, inside, 1, inside.height.saturating_sub(1), &state, canvas.look.style(role));
    }
}

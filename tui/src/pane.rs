//! One terminal in a pane: what its program draws, and what a person does with it: type, scroll, select, search, copy.
//!
//! A tab holds a pane for each terminal that it shows, hands it events, keys and commands, and draws it. Nothing of the program reaches the person's own terminal
//! but printable characters with colours: no title, no clipboard, no answers.

use std::cell::Cell;

use loopsy_shared::{
    api::terminals::{ReadTerminal, TerminalExit, TerminalSize},
    client::Attached,
};
use ratatui::layout::Rect;

use crate::{
    app::Cx,
    effect::{Effect, Timer},
    event::Event,
    keymap::{Command, Scope},
    request::Answer,
    tabs::Typing,
    world::TerminalKey,
};

mod cap;
mod draw;
mod guard;
mod keys;
mod lines;
mod screen;
mod scroll;
mod search;
mod select;
mod typing;

use lines::Lines;
use screen::{Emulator, Fed, Screen};
use search::Search;
use select::Selection;

/// How long a program may hold back what it draws, in milliseconds.
const HOLD: u64 = 150;
/// How long a size must stand still before the program hears of it, in milliseconds.
const STILL: u64 = 100;
/// Lines that are asked for when a person wants older ones.
const OLDER: u32 = 1_000_000;

/// One terminal.
#[derive(Debug)]
pub(crate) struct Pane {
    key: TerminalKey,
    name: String,
    screen: Option<Box<dyn Screen>>,
    attached: bool,
    shown: bool,
    /// What is typed goes to the program.
    input: bool,
    link: State,
    /// This window decides the size.
    owner: bool,
    /// The size of this pane is wanted once it stands still.
    wants: bool,
    /// The program's screen follows the size of this pane.
    follows: bool,
    /// The size that was asked for last.
    asked: Option<TerminalSize>,
    /// It was said that nothing is typed while the connection is lost.
    told: bool,
    /// Bytes that were printed and not seen.
    missed: u64,
    /// Lines above the screen to keep.
    lines: usize,
    /// The number of the screen's first line.
    base: i64,
    /// The number of the line at the top, when it stands still.
    top: Option<i64>,
    /// Columns to the left of the pane.
    pan: u16,
    /// Something was printed while it stood still.
    fresh: bool,
    /// Lines between what is shown and the end, to go back to when the screen was drawn anew.
    back: Option<i64>,
    /// The update that is held back, and until when.
    held: Option<(u64, u64)>,
    select: Option<Selection>,
    /// Where the mouse went down.
    pressed: Option<lines::Place>,
    search: Option<Search>,
    /// Where it was drawn last.
    area: Cell<Rect>,
}

/// How the terminal is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum State {
    #[default]
    Connecting,
    Up,
    /// The connection broke: why. It is tried again.
    Lost(String),
    /// The program has ended.
    Ended(TerminalExit),
    /// It cannot be had: why.
    Gone(String),
}

impl Pane {
    /// For this terminal, not attached yet. `name` is what people call it, such as `studio-mac: zsh`.
    pub(crate) fn new(key: TerminalKey, name: impl Into<String>) -> Self {
        Self {
            key,
            name: name.into(),
            screen: None,
            attached: false,
            shown: true,
            input: false,
            link: State::Connecting,
            owner: false,
            wants: false,
            follows: false,
            asked: None,
            told: false,
            missed: 0,
            lines: screen::LINES,
            base: 0,
            top: None,
            pan: 0,
            fresh: false,
            back: None,
            held: None,
            select: None,
            pressed: None,
            search: None,
            area: Cell::default(),
        }
    }

    /// Which terminal it shows.
    pub(crate) const fn key(&self) -> &TerminalKey {
        &self.key
    }

    /// Another name.
    pub(crate) fn rename(&mut self, name: &str) {
        if self.name != name {
            name.clone_into(&mut self.name);
        }
    }

    /// Looks at the terminal, from now on until [`Pane::detach`] or [`Pane::rest`]. With a size it takes the size over; without, it only watches, or has the size that
    /// it had. One that is live stays as it is.
    pub(crate) fn attach(&mut self, size: Option<TerminalSize>, cx: &mut Cx<'_>) {
        if size.is_none() && self.attached && matches!(self.link, State::Up | State::Connecting) {
            cx.note(format!("{} is live: there is nothing to try again.", self.name));
            return;
        }
        self.begin(size, cx);
    }

    fn begin(&mut self, size: Option<TerminalSize>, cx: &mut Cx<'_>) {
        let size = size.map(TerminalSize::clamped);
        if self.attached {
            cx.effect(Effect::Detach(self.key.clone()));
        }
        self.attached = true;
        self.shown = true;
        self.link = State::Connecting;
        if size.is_some() {
            (self.follows, self.asked) = (true, size);
        }
        let scrollback = u32::try_from(self.lines).unwrap_or(u32::MAX);
        cx.effect(Effect::Attach { terminal: self.key.clone(), size, scrollback });
    }

    /// Looks no more and forgets the screen, which comes back by itself with the next [`Pane::attach`].
    pub(crate) fn detach(&mut self, cx: &mut Cx<'_>) {
        if self.attached {
            cx.effect(Effect::Detach(self.key.clone()));
        }
        *self = Self::new(self.key.clone(), std::mem::take(&mut self.name));
    }

    /// Looks no more and keeps what was seen, until the next [`Pane::attach`] brings what is.
    pub(crate) fn rest(&mut self, cx: &mut Cx<'_>) {
        if std::mem::take(&mut self.attached) {
            cx.effect(Effect::Detach(self.key.clone()));
            self.release();
            self.owner = false;
            if !matches!(self.link, State::Ended(_)) {
                self.link = State::Connecting;
            }
        }
        self.show(false);
    }

    /// Whether it is attached.
    pub(crate) const fn is_attached(&self) -> bool {
        self.attached
    }

    /// How its program ended, when it did.
    pub(crate) const fn ended(&self) -> Option<&TerminalExit> {
        match &self.link {
            State::Ended(exit) => Some(exit),
            _ => None,
        }
    }

    /// Whether it is on the screen: what happens to one that is not draws no frame, and older lines that were asked for are not kept. It is from
    /// [`Pane::attach`] on.
    pub(crate) fn show(&mut self, shown: bool) {
        self.shown = shown;
        if !shown && self.lines > screen::LINES {
            self.lines = screen::LINES;
            if let Some(screen) = &mut self.screen {
                screen.keep(screen::LINES);
            }
            if let Some(top) = self.top {
                self.stand(top);
            }
        }
    }

    /// Any event; only those of this terminal, its timers and answers mean something.
    pub(crate) fn event(&mut self, event: &Event, cx: &mut Cx<'_>) {
        match event {
            Event::Terminal(key, attached) if *key == self.key && self.attached => self.came(attached, cx),
            Event::TerminalEnd(key, why) if *key == self.key && self.attached => {
                self.attached = false;
                self.release();
                match (why, &self.link) {
                    (_, State::Ended(_)) => {}
                    (Some(why), _) => self.link = State::Gone(why.clone()),
                    (None, _) => self.link = State::Gone("It is not there any more.".to_owned()),
                }
            }
            Event::Woke(Timer::Pane) => {
                if let Some((_, until)) = self.held {
                    if until <= cx.now.since {
                        self.release();
                    } else {
                        cx.wake(until - cx.now.since, Timer::Pane);
                    }
                }
            }
            Event::Woke(Timer::Resize) => self.resize(cx),
            Event::Resize(..) if self.follows && self.shown => {
                self.wants = true;
                cx.wake(STILL, Timer::Resize);
            }
            Event::Answer(answered) => match (&answered.request, &answered.result) {
                (crate::request::Request::ReadTerminal(request), result) if request.terminal_id == self.key.id && answered.at == self.key.node => {
                    match result {
                        Ok(Answer::ReadTerminal(text)) => self.more(text.above as usize, cx),
                        Ok(_) => {}
                        Err(failure) => cx.bad(failure.message.clone()),
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }

    fn came(&mut self, attached: &Attached, cx: &mut Cx<'_>) {
        match attached {
            Attached::Hello { terminal, owner } => {
                self.link = terminal.exit.clone().map_or(State::Up, State::Ended);
                (self.owner, self.told) = (*owner, false);
                // The size was ours. Where it still is what we asked for, or keys are typed here, it is ours again; else somebody else has it by now.
                if self.follows
                    && !owner
                    && let Some(asked) = self.asked
                {
                    if self.input || asked == terminal.size {
                        cx.effect(Effect::Size(self.key.clone(), asked));
                    } else {
                        (self.follows, self.asked) = (false, None);
                    }
                }
                if self.wants {
                    cx.wake(STILL, Timer::Resize);
                }
            }
            Attached::Snapshot { size, lost } => {
                let back = self.top.map(|top| self.end_top() - top);
                self.screen = Some(Box::new(Emulator::new(*size, self.lines)));
                (self.base, self.top, self.back, self.held) = (0, None, back, None);
                self.select = None;
                self.missed = *lost;
                self.printed();
            }
            Attached::Drawn(bytes) => {
                self.feed(bytes, cx);
                if let Some(back) = self.back {
                    self.stand(self.end_top() - back);
                }
            }
            Attached::Printed(bytes) => {
                self.back = None;
                self.feed(bytes, cx);
            }
            Attached::Resize(size) => {
                let back = self.top.map(|top| self.end_top() - top);
                if let Some(screen) = &mut self.screen {
                    screen.resize(*size);
                    self.select = None;
                    self.printed();
                }
                if let Some(back) = back {
                    self.stand(self.end_top() - back);
                }
            }
            Attached::Owner(owner) => {
                self.owner = *owner;
                if !owner {
                    (self.follows, self.asked) = (false, None);
                }
            }
            Attached::Exit(exit) => {
                self.release();
                self.link = State::Ended(exit.clone());
            }
            Attached::Lost(why) => self.link = State::Lost(why.clone()),
        }
        // That it came, went or ended is told elsewhere as well.
        let told = matches!(attached, Attached::Hello { .. } | Attached::Exit(_) | Attached::Lost(_));
        if !self.shown && !told {
            cx.nothing_to_see();
        }
    }

    fn feed(&mut self, bytes: &[u8], cx: &mut Cx<'_>) {
        let Some(screen) = &mut self.screen else { return };
        let before = screen.held();
        let fed = screen.feed(bytes);
        let held = screen.held();
        self.moved(fed);
        match held {
            // Nothing of it can be seen yet.
            Some(_) if before == held => cx.nothing_to_see(),
            Some(number) => {
                self.held = Some((number, cx.now.since + HOLD));
                cx.wake(HOLD, Timer::Pane);
            }
            None => self.held = None,
        }
    }

    /// Shows what is held back.
    fn release(&mut self) {
        self.held = None;
        if let Some(screen) = self.screen.as_mut().filter(|screen| screen.held().is_some()) {
            let fed = screen.release();
            self.moved(fed);
        }
    }

    /// Lines went up, or another screen is shown.
    fn moved(&mut self, fed: Fed) {
        if fed.other {
            (self.top, self.fresh, self.select) = (None, false, None);
        }
        self.base += fed.up as i64;
        self.fresh |= self.top.is_some();
        self.printed();
        if let Some(top) = self.top {
            self.stand(top);
        }
    }

    fn printed(&mut self) {
        if let Some(search) = &mut self.search {
            search.printed();
        }
    }

    fn lines(&self) -> Option<Lines<'_>> {
        self.screen.as_deref().map(|screen| Lines { screen, base: self.base })
    }

    /// Asks for the size of this pane, if the program's screen has another.
    fn resize(&mut self, cx: &mut Cx<'_>) {
        let area = self.area.get();
        // Who cannot be told now is told as soon as there is a connection.
        if !self.wants || !self.attached || matches!(self.link, State::Connecting | State::Lost(_)) || area.width == 0 || area.height == 0 {
            return;
        }
        self.wants = false;
        let size = TerminalSize { cols: area.width, rows: area.height }.clamped();
        let same = self.screen.as_ref().is_some_and(|screen| screen.size() == size) && self.owner;
        if !same && self.asked != Some(size) {
            self.asked = Some(size);
            cx.effect(Effect::Size(self.key.clone(), size));
        }
    }

    /// Wants the size of this pane for the program, once it stands still.
    fn fit(&mut self, cx: &mut Cx<'_>) {
        (self.wants, self.follows, self.asked) = (true, true, None);
        cx.wake(STILL, Timer::Resize);
    }

    /// The node keeps so many lines above the screen.
    fn more(&mut self, above: usize, cx: &mut Cx<'_>) {
        // Somebody looks at something else by now.
        if !self.shown {
            return;
        }
        let here = self.screen.as_ref().map_or(0, |screen| screen.above());
        if above <= here {
            cx.note("The node keeps no older lines of this terminal than those that are shown.");
            return;
        }
        self.lines = above.max(screen::LINES + 1);
        self.back = self.top.map(|top| self.end_top() - top);
        self.begin(None, cx);
    }

    /// Does what a key of the table says; whether that meant something here. `Leave` leaves INPUT, and in NAV sends one Ctrl-] and goes back to INPUT. `Back` is
    /// only taken while something is selected or searched. `Type` is the tab's: [`Pane::enter`].
    pub(crate) fn act(&mut self, command: Command, cx: &mut Cx<'_>) -> bool {
        match command {
            Command::Leave => self.leave(cx),
            Command::Fit => self.fit(cx),
            Command::Older => match self.why_not(command) {
                Some(why) => cx.note(why),
                None => cx.call(self.key.node.clone().as_ref(), ReadTerminal { terminal_id: self.key.id.clone(), scrollback: OLDER }),
            },
            Command::Copy => self.copy(cx),
            Command::Filter => self.begin_search(),
            Command::NextHit | Command::PreviousHit => return self.step(command == Command::NextHit),
            Command::Select | Command::SelectLines | Command::SelectBlock => self.select(command),
            Command::Back => return self.back(),
            command => return self.move_by(command),
        }
        true
    }

    /// Why a command of the pane cannot be used now.
    pub(crate) fn why_not(&self, command: Command) -> Option<String> {
        let why = match command {
            Command::Type | Command::Leave | Command::Fit if matches!(self.link, State::Ended(_)) => "The program has ended.",
            Command::Type | Command::Leave | Command::Fit if let State::Gone(why) = &self.link => why,
            Command::Filter | Command::Select | Command::Copy if self.screen.is_none() => "Nothing of the terminal is known yet.",
            Command::Older if self.screen.as_ref().is_none_or(|screen| !screen.is_cut()) => "All lines that are known of this terminal are here.",
            _ => return None,
        };
        Some(why.to_owned())
    }

    /// Places of the key table that count before the tab's own: copy mode, a search with hits.
    pub(crate) fn scopes(&self) -> Vec<Scope> {
        let search = self.search.as_ref().is_some_and(|search| !search.typing && search.has_hits());
        [(self.select.is_some(), Scope::Selection), (search, Scope::Search)].into_iter().filter(|(on, _)| *on).map(|(_, scope)| scope).collect()
    }

    /// What takes the keys: the program in INPUT, the search while it is typed, or nothing. For [`crate::tabs::Tab::typing`].
    pub(crate) fn typing(&self) -> Option<Typing> {
        match &self.search {
            Some(search) if search.typing => Some(Typing::Field),
            _ if self.input => Some(Typing::Pane),
            _ => None,
        }
    }
}

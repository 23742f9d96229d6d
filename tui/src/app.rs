//! The whole state, and the one way in which it changes: an event in, effects out. Nothing here waits, reads a clock or touches the world.

use crate::{
    effect::{Effect, Timer},
    event::{Event, Now},
    input::Input,
    keymap::{Keymap, Scope},
    look::Look,
    overlays::{Flow, Overlay},
    request::{Place, Request},
    tabs::{self, Tab, TabId, Typing, Visit},
    world::{News, World},
};

mod command;
mod cx;
mod frame;
pub(crate) mod toasts;

use cx::Out;
pub(crate) use cx::{Canvas, Cx};
use toasts::{Toasts, Tone};

/// How the control centre was started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// Columns and rows of the window.
    pub(crate) size: (u16, u16),
    /// The digits of a pairing are typed instead of compared.
    pub(crate) type_code: bool,
    /// `tui.theme` of the config.
    pub(crate) theme: Option<String>,
    /// `tui.mouse`: what the mouse is at the first start.
    pub(crate) mouse: bool,
    /// `tui.toastSeconds`, in milliseconds; the usual when absent.
    pub(crate) stays: Option<u64>,
}

impl Settings {
    /// Whether the window has no room for anything but a line that says so.
    pub(crate) const fn is_too_small(&self) -> bool {
        frame::is_too_small(self.size)
    }
}

/// The whole state.
pub(crate) struct App {
    pub(crate) world: World,
    pub(crate) look: Look,
    pub(crate) keymap: Keymap,
    pub(crate) settings: Settings,
    pub(crate) tab: TabId,
    tabs: [Box<dyn Tab>; 7],
    overlays: Vec<(u64, Box<dyn Overlay>)>,
    numbers: u64,
    pub(crate) toasts: Toasts,
    now: Now,
    focused: bool,
    mouse: bool,
    /// Ctrl-C was pressed once; until when a second one quits.
    quitting: Option<u64>,
    /// How many approvals waited when the window was named last.
    named: Option<usize>,
    saving: bool,
    dirty: bool,
    /// The theme that was chosen here, and what the config said then.
    chosen: Option<(String, Option<String>)>,
    /// What the palette did, newest first.
    recent: Vec<String>,
}

/// Lines of the palette that are remembered.
const RECENT: usize = 20;

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("tab", &self.tab).field("world", &self.world).finish_non_exhaustive()
    }
}

impl App {
    /// With nothing known yet.
    pub(crate) fn new(world: World, look: Look, keymap: Keymap, settings: Settings) -> Self {
        let toasts = Toasts::new(settings.stays);
        Self {
            world,
            look,
            keymap,
            settings,
            tab: TabId::Overview,
            tabs: tabs::all(),
            overlays: Vec::new(),
            numbers: 0,
            toasts,
            now: Now::default(),
            focused: true,
            mouse: false,
            quitting: None,
            named: None,
            saving: false,
            dirty: true,
            chosen: None,
            recent: Vec::new(),
        }
    }

    /// Puts a box over everything, as `Cx::open` would.
    #[cfg(test)]
    pub(crate) fn put_over(&mut self, overlay: impl Overlay + 'static) {
        self.numbers += 1;
        self.overlays.push((self.numbers, Box::new(overlay)));
    }

    /// Takes an event; what is to be done comes back, in order.
    pub(crate) fn update(&mut self, event: Event, now: Now) -> Vec<Effect> {
        self.now = now;
        let mut out = Out { numbers: self.numbers, ..Out::default() };
        self.handle(event, &mut out);
        self.settle(&mut out);
        for effect in &out.effects {
            if let Effect::Call { request: Request::DecideApproval(request), .. } = effect {
                self.world.send(request, now.wall);
            }
        }
        self.numbers = out.numbers;
        self.dirty |= !out.same;
        out.effects
    }

    /// The frame that was drawn last is on the terminal now; or, when not `seen`, what the terminal shows is not ours any more. What may be answered must have been
    /// before the person's eyes, and that begins here and not when it was drawn.
    pub(crate) fn painted(&mut self, seen: bool, now: Now) -> Vec<Effect> {
        self.now = now;
        let mut out = Out { numbers: self.numbers, ..Out::default() };
        self.with_tab(self.tab, &mut out, |tab, cx| tab.painted(seen, cx));
        for number in self.numbers_of_overlays() {
            self.with_overlay(number, &mut out, |overlay, cx| {
                overlay.painted(seen, cx);
                Flow::Stay
            });
        }
        self.settle(&mut out);
        self.numbers = out.numbers;
        out.effects
    }

    /// Whether there is something new to see since this was asked last.
    pub(crate) const fn take_dirty(&mut self) -> bool {
        std::mem::replace(&mut self.dirty, false)
    }

    /// Whether what is typed is a person's text, which nobody may note down.
    pub(crate) fn is_typing(&self) -> bool {
        self.overlays.last().map_or_else(|| self.tabs[self.tab as usize].typing().is_some(), |(_, overlay)| overlay.is_typing())
    }

    /// What is remembered for the next start.
    pub(crate) fn state(&self) -> serde_json::Value {
        let tabs: serde_json::Map<_, _> =
            TabId::ALL.iter().map(|tab| (tab.name().to_owned(), self.tabs[*tab as usize].state())).filter(|(_, state)| !state.is_null()).collect();
        let mut state = serde_json::json!({ "tab": self.tab.name(), "mouse": self.mouse, "tabs": tabs });
        if let Some((name, over)) = &self.chosen {
            state["theme"] = serde_json::json!({ "name": name, "over": over });
        }
        state
    }

    /// Takes up what was remembered.
    pub(crate) fn restore(&mut self, state: &serde_json::Value) -> Vec<Effect> {
        if let Some(tab) = TabId::ALL.iter().find(|tab| state["tab"] == tab.name()) {
            self.tab = *tab;
        }
        TabId::ALL.iter().for_each(|tab| self.tabs[*tab as usize].restore(&state["tabs"][tab.name()]));
        if let Some(name) = state["theme"]["name"].as_str()
            && state["theme"]["over"].as_str() == self.settings.theme.as_deref()
        {
            self.chosen = Some((name.to_owned(), self.settings.theme.clone()));
        }
        let mut out = Out { numbers: self.numbers, ..Out::default() };
        self.with_tab(self.tab, &mut out, |tab, cx| tab.shown(true, cx));
        if state["mouse"].as_bool().unwrap_or(self.settings.mouse) {
            self.mouse = true;
            out.effects.push(Effect::Mouse(true));
        }
        self.settle(&mut out);
        self.numbers = out.numbers;
        out.effects
    }

    fn handle(&mut self, event: Event, out: &mut Out) {
        match event {
            Event::Input(input) => self.input(input, out),
            Event::Resize(columns, rows) => {
                self.settings.size = (columns, rows);
                self.pass(&event, out);
            }
            Event::Focus(focused) => {
                self.focused = focused;
                out.same = true;
            }
            Event::Fleet(watched) => {
                let waiting = self.world.answerable();
                let was_up = self.world.is_up();
                let news = self.world.take(*watched, self.now);
                if matches!(news, News::All) || !was_up && self.world.is_up() {
                    out.effects.push(Effect::Call { place: Place::App, at: None, request: loopsy_shared::api::health::GetStatus::default().into() });
                }
                self.news(&news, out);
                let more = self.world.answerable();
                if more > waiting && !self.focused && !matches!(news, News::All) {
                    out.effects.push(Effect::Notify(format!("{more} {} for an answer", if more == 1 { "question waits" } else { "questions wait" })));
                }
            }
            Event::NoDaemon(why) => {
                let before = self.world.link.clone();
                let news = self.world.missing(why, self.now);
                let same = self.world.link == before;
                out.same = same;
                if !same {
                    self.news(&news, out);
                }
            }
            Event::Answer(answered) => self.answer(answered, out),
            Event::Woke(Timer::Toast) => out.same = !self.toasts.expire(self.now),
            Event::Woke(Timer::Quit) => {
                out.same = true;
                if self.quitting.is_some_and(|until| until <= self.now.since) {
                    self.quitting = None;
                }
            }
            Event::Woke(Timer::Save) => {
                self.saving = false;
                out.same = true;
                out.effects.push(Effect::Save(self.state()));
            }
            Event::Did(done) => self.did(done, out),
            event => self.pass(&event, out),
        }
    }

    /// To every tab and overlay. Whether a frame is due is for those to say who can be seen: the tab in front, and what lies over it.
    fn pass(&mut self, event: &Event, out: &mut Out) {
        let mut seen = false;
        for tab in TabId::ALL {
            out.same = false;
            self.with_tab(tab, out, |tab, cx| tab.event(event, cx));
            seen |= tab == self.tab && !out.same;
        }
        for number in self.numbers_of_overlays() {
            out.same = false;
            self.with_overlay(number, out, |overlay, cx| overlay.event(event, cx));
            seen |= !out.same;
        }
        out.same = !seen;
    }

    /// The same with news. The badge and the state of the daemon are seen from everywhere.
    fn news(&mut self, news: &News, out: &mut Out) {
        if let News::Approval(id) = news {
            self.world.forget_sent(id);
        }
        let mut seen = !matches!(news, News::Topic(_));
        for tab in TabId::ALL {
            out.same = false;
            self.with_tab(tab, out, |tab, cx| tab.news(news, cx));
            seen |= tab == self.tab && !out.same;
        }
        for number in self.numbers_of_overlays() {
            out.same = false;
            self.with_overlay(number, out, |overlay, cx| overlay.news(news, cx));
            seen |= !out.same;
        }
        out.same = !seen;
        let waiting = self.world.answerable();
        if self.named != Some(waiting) {
            self.named = Some(waiting);
            out.effects.push(Effect::Title(match waiting {
                0 => "loopsy".to_owned(),
                1 => "loopsy - 1 approval".to_owned(),
                more => format!("loopsy - {more} approvals"),
            }));
        }
    }

    fn answer(&mut self, answered: Box<crate::event::Answered>, out: &mut Out) {
        self.world.confirm(&answered);
        let mut place = answered.place;
        if let (Place::Overlay(gone), Request::DecideApproval(_)) = (place, &answered.request)
            && !self.overlays.iter().any(|(known, _)| *known == gone)
            && let Some((number, _)) = self.overlays.iter().find(|(_, overlay)| overlay.scopes().contains(&Scope::Review))
        {
            // The review that sent it was closed, and opened again.
            place = Place::Overlay(*number);
        }
        let event = Event::Answer(answered);
        match place {
            Place::Tab(tab) => self.with_tab(tab, out, |tab, cx| tab.event(&event, cx)),
            Place::Overlay(number) if self.overlays.iter().any(|(known, _)| *known == number) => {
                self.with_overlay(number, out, |overlay, cx| overlay.event(&event, cx));
            }
            Place::App | Place::Overlay(_) => {
                let Event::Answer(answered) = event else { return };
                if let Some(text) = self.world.told_failure(&answered) {
                    return out.toasts.push((Tone::Bad, text));
                }
                match answered.result {
                    Ok(crate::request::Answer::Status(status)) => {
                        self.world.status = Some(status);
                        self.news(&News::Status, out);
                    }
                    Ok(_) => {}
                    Err(failure) => out.toasts.push((Tone::Bad, failure.message)),
                }
            }
        }
    }

    /// A key, a paste or the mouse: to who has the keys.
    fn input(&mut self, input: Input, out: &mut Out) {
        self.tabs[self.tab as usize].tidy(&self.world);
        if let Some((number, _)) = self.overlays.last() {
            let number = *number;
            self.with_overlay(number, out, |overlay, cx| {
                overlay.noticed(&input, cx);
                Flow::Stay
            });
        } else {
            self.with_tab(self.tab, out, |tab, cx| tab.noticed(&input, cx));
        }
        out.alone = matches!(&input, Input::Key(press) if press.alone);
        match input {
            Input::Key(press) => self.press(press, out),
            Input::Mouse(mouse) => self.mouse_moved(mouse, out),
            input @ (Input::Paste(_) | Input::Unknown(_)) => {
                if let Some((number, _)) = self.overlays.last() {
                    let number = *number;
                    self.with_overlay(number, out, |overlay, cx| overlay.typed(&input, cx));
                } else if self.tabs[self.tab as usize].typing().is_some() {
                    self.with_tab(self.tab, out, |tab, cx| tab.typed(&input, cx));
                } else if matches!(input, Input::Paste(_)) {
                    out.toasts.push((Tone::Note, "Something was pasted where nothing is typed: it was thrown away. `i` types.".to_owned()));
                } else {
                    out.same = true;
                }
            }
        }
    }

    /// Runs what handlers asked for that concerns the app itself.
    fn settle(&mut self, out: &mut Out) {
        if !(out.visits.is_empty() && out.replay.is_empty() && out.open.is_empty() && out.toasts.is_empty()) || out.look.is_some() {
            out.same = false;
        }
        // What is replayed is no key.
        out.alone = false;
        // What one visit leads to may be another one, but not for ever.
        for _ in 0..8 {
            for visit in std::mem::take(&mut out.visits) {
                let tab = match &visit {
                    Visit::Peer(_) => TabId::Peers,
                    Visit::Task(_) | Visit::NewTask(_) => TabId::Tasks,
                    Visit::Terminal(_) | Visit::NewTerminal(_) => TabId::Terminal,
                    Visit::Message(_) => TabId::Messages,
                    Visit::Pair => TabId::Pairing,
                };
                self.show(tab, out);
                self.with_tab(tab, out, |tab, cx| tab.visit(visit, cx));
            }
            for (tab, command) in std::mem::take(&mut out.replay) {
                if let Some(tab) = tab {
                    self.show(tab, out);
                }
                self.command(command, out);
            }
            for overlay in std::mem::take(&mut out.open) {
                out.numbers += 1;
                let number = out.numbers;
                self.overlays.push((number, overlay));
                self.with_overlay(number, out, |overlay, cx| {
                    overlay.opened(cx);
                    Flow::Stay
                });
            }
            if out.visits.is_empty() && out.replay.is_empty() && out.open.is_empty() {
                break;
            }
        }
        if let Some(look) = out.look.take() {
            self.look = look;
        }
        if let Some(name) = out.kept.take() {
            self.chosen = Some((name, self.settings.theme.clone()));
            self.remember(out);
        }
        for line in std::mem::take(&mut out.used) {
            self.recent.retain(|known| *known != line);
            self.recent.insert(0, line);
            self.recent.truncate(RECENT);
        }
        for (tone, text) in std::mem::take(&mut out.toasts) {
            if let Some(wait) = self.toasts.push(tone, &text, self.now) {
                out.effects.push(Effect::Wake(wait, Timer::Toast));
            }
        }
    }

    fn show(&mut self, tab: TabId, out: &mut Out) {
        if tab == self.tab {
            return;
        }
        self.with_tab(self.tab, out, |tab, cx| tab.shown(false, cx));
        self.tab = tab;
        self.with_tab(tab, out, |tab, cx| tab.shown(true, cx));
        self.remember(out);
    }

    /// The state is saved a while after its last change.
    fn remember(&mut self, out: &mut Out) {
        if !std::mem::replace(&mut self.saving, true) {
            out.effects.push(Effect::Wake(2000, Timer::Save));
        }
    }

    fn with_tab(&mut self, tab: TabId, out: &mut Out, act: impl FnOnce(&mut dyn Tab, &mut Cx<'_>)) {
        let mut cx = Cx { world: &self.world, now: self.now, look: &self.look, settings: &self.settings, place: Place::Tab(tab), alone: out.alone, out };
        act(self.tabs[tab as usize].as_mut(), &mut cx);
    }

    fn with_overlay(&mut self, number: u64, out: &mut Out, act: impl FnOnce(&mut dyn Overlay, &mut Cx<'_>) -> Flow) {
        let Some(at) = self.overlays.iter().position(|(known, _)| *known == number) else { return };
        let mut cx = Cx { world: &self.world, now: self.now, look: &self.look, settings: &self.settings, place: Place::Overlay(number), alone: out.alone, out };
        if act(self.overlays[at].1.as_mut(), &mut cx) == Flow::Close {
            out.same = false;
            self.overlays.remove(at);
        }
    }

    fn numbers_of_overlays(&self) -> Vec<u64> {
        self.overlays.iter().map(|(number, _)| *number).collect()
    }

    /// The places of the key table that count now, the first first.
    fn scopes(&self) -> Vec<Scope> {
        match self.overlays.last() {
            Some((_, overlay)) => overlay.scopes(),
            None => {
                let tab = &self.tabs[self.tab as usize];
                match tab.typing() {
                    Some(Typing::Pane | Typing::Field) => vec![Scope::Input],
                    None => tab.scopes().into_iter().chain([Scope::Tab(self.tab), Scope::Everywhere]).collect(),
                }
            }
        }
    }
}

#[cfg(test)]
impl App {
    /// As if a tab had asked for it.
    pub(crate) fn visited(&mut self, visit: Visit, now: Now) -> Vec<Effect> {
        self.now = now;
        let mut out = Out { numbers: self.numbers, visits: vec![visit], ..Out::default() };
        self.settle(&mut out);
        self.numbers = out.numbers;
        out.effects
    }
}

//! From a key to what it does: the overlay on top, the tab, or the app itself.

use super::{App, Out, toasts::Tone};
use crate::{
    effect::{Done, Effect, Timer},
    event::{Event, NoDaemon},
    input::{Input, Mouse, MouseKind, Press},
    keymap::{Command, Scope},
    overlays,
    tabs::{TabId, Typing},
    world::Link,
};

/// How long a first Ctrl-C waits for the second, in milliseconds.
const TWICE: u64 = 2000;

impl App {
    pub(super) fn press(&mut self, press: Press, out: &mut Out) {
        if let Some((number, overlay)) = self.overlays.last() {
            let number = *number;
            if !overlay.is_typing() {
                let scopes = overlay.scopes();
                let own: Vec<Scope> = scopes.iter().copied().filter(|scope| *scope != Scope::Everywhere).collect();
                let (own, any) = (self.keymap.find(&own, press.key), self.keymap.find(&[Scope::Everywhere], press.key));
                match own.or(any) {
                    // What belongs to the app at any time, unless the box has its own use of the key.
                    Some(command @ (Command::Repaint | Command::Suspend | Command::Interrupt)) if own.is_none() => return self.command(command, out),
                    // A question is no place to look around.
                    Some(Command::Help) if overlay.mode() != "CONFIRM" => return out.open.push(Box::new(overlays::help::Help::of_box(&self.keymap, &scopes))),
                    Some(command) if own.is_some() || scopes.contains(&Scope::Everywhere) => {
                        return self.with_overlay(number, out, |overlay, cx| overlay.act(command, cx));
                    }
                    _ => {}
                }
            }
            let input = Input::Key(press);
            return self.with_overlay(number, out, |overlay, cx| overlay.typed(&input, cx));
        }
        match self.tabs[self.tab as usize].typing() {
            Some(typing) => {
                let leaves = self.keymap.find(&[Scope::Input], press.key) == Some(Command::Leave);
                if leaves || typing == Typing::Field && press.key == crate::key::Key::plain(crate::key::Code::Esc) {
                    self.with_tab(self.tab, out, |tab, cx| tab.act(Command::Leave, cx));
                } else {
                    let input = Input::Key(press);
                    self.with_tab(self.tab, out, |tab, cx| tab.typed(&input, cx));
                }
            }
            None => match self.keymap.find(&self.scopes(), press.key) {
                Some(command) => self.command(command, out),
                None => {
                    out.same = true;
                    self.with_tab(self.tab, out, |tab, cx| tab.strayed(cx));
                }
            },
        }
    }

    /// Does a command where the person is, with no overlay in between.
    pub(super) fn command(&mut self, command: Command, out: &mut Out) {
        match command {
            Command::Go(tab) => self.show(tab, out),
            Command::Quit => {
                out.effects.extend([Effect::Save(self.state()), Effect::Quit]);
            }
            Command::Interrupt => {
                if self.quitting.is_some_and(|until| self.now.since < until) {
                    out.effects.extend([Effect::Save(self.state()), Effect::Quit]);
                } else {
                    self.quitting = Some(self.now.since + TWICE);
                    out.effects.push(Effect::Wake(TWICE, Timer::Quit));
                    out.toasts.push((Tone::Note, "Ctrl-C again, or Q, quits. Tasks and terminals go on.".to_owned()));
                }
            }
            Command::Repaint => out.effects.push(Effect::Repaint),
            Command::Suspend => out.effects.push(Effect::Suspend),
            Command::Mouse => {
                self.mouse = !self.mouse;
                out.effects.push(Effect::Mouse(self.mouse));
                out.toasts.push((
                    Tone::Note,
                    if self.mouse { "The mouse drives Loopsy. Select text with Shift held, or press M again." } else { "The mouse is the terminal's again." }
                        .to_owned(),
                ));
                self.remember(out);
            }
            Command::StartDaemon => self.start_daemon(out),
            Command::Approvals => self.open_review(out),
            Command::Help => {
                let scopes = self.scopes();
                let reasons = self.reasons(&scopes);
                out.open.push(Box::new(overlays::help::Help::new(&self.keymap, &scopes, reasons)));
            }
            Command::Palette => {
                let overlay = overlays::palette::Palette::new(&overlays::palette::Known {
                    keymap: &self.keymap,
                    world: &self.world,
                    look: &self.look,
                    tab: self.tab,
                    reasons: TabId::ALL.iter().flat_map(|tab| self.reasons_of(*tab, &[Scope::Tab(*tab), Scope::Everywhere])).collect(),
                    recent: &self.recent,
                });
                out.open.push(Box::new(overlay));
            }
            Command::Themes => {
                // What was changed on disk meanwhile is there too.
                out.effects.push(Effect::Looks);
                out.open.push(Box::new(overlays::themes::Themes::new(&self.look)));
            }
            Command::History => out.open.push(Box::new(overlays::history::History::new(&self.toasts))),
            // What went well is no reason to press Esc twice.
            Command::Back if self.toasts.stay() => drop(self.toasts.dismiss()),
            Command::Refresh if !self.world.is_up() => out.effects.push(Effect::Reconnect),
            command => match self.tabs[self.tab as usize].why_not(command, &self.world) {
                Some(reason) => out.toasts.push((Tone::Note, reason)),
                None => {
                    self.with_tab(self.tab, out, |tab, cx| tab.act(command, cx));
                    self.remember(out);
                }
            },
        }
    }

    /// Commands of these places that cannot be used now, and why.
    fn reasons(&self, scopes: &[Scope]) -> Vec<(Command, String)> {
        self.reasons_of(self.tab, scopes).into_iter().map(|(_, command, reason)| (command, reason)).collect()
    }

    /// The same in any tab.
    fn reasons_of(&self, tab: TabId, scopes: &[Scope]) -> Vec<(TabId, Command, String)> {
        let bindings = scopes.iter().flat_map(|scope| self.keymap.of(*scope));
        bindings.filter_map(|binding| Some((tab, binding.command, self.tabs[tab as usize].why_not(binding.command, &self.world)?))).collect()
    }

    /// Opens the oldest approval, if one waits.
    fn open_review(&mut self, out: &mut Out) {
        match overlays::review::Review::oldest(&self.world, self.now) {
            Some(review) => out.open.push(Box::new(review)),
            None => out.toasts.push((Tone::Note, "No agent waits for an answer.".to_owned())),
        }
    }

    fn start_daemon(&mut self, out: &mut Out) {
        match &self.world.link {
            Link::Missing(NoDaemon::NotInitialised) => {
                let what = "Makes a config, keys and a certificate in the data directory, and starts the daemon. It listens on port 19532 of all addresses of this \
                            machine, lets nobody in without a key, and tells the local network its name so that other machines can find it. For another port, or for \
                            this machine alone, leave this and use `loopsy init --help`.";
                self.with_tab(self.tab, out, |_, cx| {
                    let ask = overlays::confirm::Confirm::letter(cx, 'Y', "Set up Loopsy on this machine?", what, |cx| {
                        cx.effect(Effect::StartDaemon);
                        cx.note("Setting up and starting the daemon.");
                    });
                    cx.open(ask);
                });
            }
            Link::Up => out.toasts.push((Tone::Note, "The daemon of this machine runs already.".to_owned())),
            Link::Missing(NoDaemon::Unusable(why)) => out.toasts.push((Tone::Bad, why.clone())),
            Link::Connecting | Link::Lost(..) | Link::Missing(_) => {
                out.effects.push(Effect::StartDaemon);
                out.toasts.push((Tone::Note, "Starting the daemon.".to_owned()));
            }
        }
    }

    pub(super) fn did(&mut self, done: Done, out: &mut Out) {
        match done {
            Done::Copied(Ok(how)) => out.toasts.push((Tone::Good, how)),
            Done::Copied(Err(why)) => out.toasts.push((Tone::Bad, format!("Nothing was copied: {why}"))),
            Done::Wrote(path, Ok(bytes)) => out.toasts.push((Tone::Good, format!("{} written to {path}.", loopsy_shared::text::bytes(bytes as u64)))),
            Done::Wrote(path, Err(why)) => out.toasts.push((Tone::Bad, format!("{path} was not written: {why}"))),
            Done::Started(Ok(())) => {
                out.toasts.push((Tone::Good, "The daemon of this machine runs.".to_owned()));
                out.effects.push(Effect::Reconnect);
            }
            Done::Started(Err(why)) => out.toasts.push((Tone::Bad, why)),
            Done::Noted(text) => out.toasts.push((Tone::Note, text)),
            Done::Looks(looks) => match *looks {
                // Somebody who is choosing sees what is being looked at.
                Ok(look) if self.overlays.iter().any(|(_, overlay)| overlay.mode() == "THEME") => {
                    self.look = look.with_theme(&self.look.theme).unwrap_or(look);
                }
                Ok(look) => self.look = look,
                Err(why) => out.toasts.push((Tone::Bad, why)),
            },
            Done::Keys(keys) => match *keys {
                Ok(keymap) => self.keymap = keymap,
                Err(why) => out.toasts.push((Tone::Bad, why)),
            },
            done @ Done::Text(..) => self.pass(&Event::Did(done), out),
        }
    }

    /// The wheel and clicks: a click selects and never does anything else.
    pub(super) fn mouse_moved(&mut self, mouse: Mouse, out: &mut Out) {
        if mouse.kind == MouseKind::Moved {
            out.same = true;
            return;
        }
        if self.overlays.is_empty() {
            if let (MouseKind::Down(0), Some(tab)) = (mouse.kind, self.tab_at(mouse)) {
                return self.show(tab, out);
            }
            let area = self.body();
            return self.with_tab(self.tab, out, |tab, cx| tab.mouse(&mouse, area, cx));
        }
        let command = match mouse.kind {
            MouseKind::ScrollUp => Command::Up,
            MouseKind::ScrollDown => Command::Down,
            _ => {
                out.same = true;
                return;
            }
        };
        if let Some((number, _)) = self.overlays.last() {
            let number = *number;
            self.with_overlay(number, out, |overlay, cx| overlay.act(command, cx));
        }
    }

    fn tab_at(&self, mouse: Mouse) -> Option<TabId> {
        if mouse.row != 0 {
            return None;
        }
        let places = self.tab_places();
        TabId::ALL.into_iter().find(|tab| places[*tab as usize].contains(&mouse.column))
    }
}

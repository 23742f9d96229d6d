//! What tabs and boxes may touch: the context of a handler, what it leaves behind, and what views draw on.

use loopsy_shared::id::NodeId;
use ratatui::{buffer::Buffer, layout::Position};

use super::{Settings, toasts::Tone};
use crate::{
    effect::{Effect, Timer},
    event::Now,
    keymap::{Command, Keymap},
    look::Look,
    overlays::Overlay,
    request::{Place, Request},
    tabs::{TabId, Visit},
    world::World,
};

/// What a tab or overlay may read and do while it handles something.
#[derive(Debug)]
pub(crate) struct Cx<'a> {
    /// The fleet.
    pub(crate) world: &'a World,
    /// What time it is.
    pub(crate) now: Now,
    /// How things look, for who wants to offer other looks.
    pub(crate) look: &'a Look,
    /// How the control centre was started.
    pub(crate) settings: &'a Settings,
    /// Who is asked now; answers come back here.
    pub(crate) place: Place,
    /// What is handled is a key that came alone. Never true for what a paste, the palette or anything but a person's key led to.
    pub(crate) alone: bool,
    pub(super) out: &'a mut Out,
}

/// What handlers leave behind.
#[derive(Default)]
pub(super) struct Out {
    pub(super) effects: Vec<Effect>,
    pub(super) toasts: Vec<(Tone, String)>,
    pub(super) open: Vec<Box<dyn Overlay>>,
    pub(super) visits: Vec<Visit>,
    pub(super) replay: Vec<(Option<TabId>, Command)>,
    pub(super) look: Option<Look>,
    pub(super) kept: Option<String>,
    pub(super) used: Vec<String>,
    pub(super) numbers: u64,
    pub(super) same: bool,
    pub(super) alone: bool,
}

impl std::fmt::Debug for Out {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Out").field("effects", &self.effects).finish_non_exhaustive()
    }
}

impl Cx<'_> {
    /// Asks a node: a peer, or the local daemon. The answer comes to this place as [`Event::Answer`].
    pub(crate) fn call(&mut self, at: Option<&NodeId>, request: impl Into<Request>) {
        let place = self.place;
        self.effect(Effect::Call { place, at: at.cloned(), request: request.into() });
    }

    /// Asks the local daemon how it is: what it says of itself comes by no stream. The answer is the app's, and news for everybody.
    pub(crate) fn ask_status(&mut self) {
        if self.world.is_up() {
            self.effect(Effect::Call { place: Place::App, at: None, request: loopsy_shared::api::health::GetStatus::default().into() });
        }
    }

    /// Leaves an effect to be done.
    pub(crate) fn effect(&mut self, effect: Effect) {
        self.out.effects.push(effect);
    }

    /// Wakes this up later.
    pub(crate) fn wake(&mut self, milliseconds: u64, timer: Timer) {
        self.effect(Effect::Wake(milliseconds, timer));
    }

    /// Copies a text, and says so when it is done.
    pub(crate) fn copy(&mut self, text: impl Into<String>) {
        self.effect(Effect::Copy(text.into()));
    }

    /// Says that something went well; it goes by itself. The text is made inert.
    pub(crate) fn good(&mut self, text: impl Into<String>) {
        self.out.toasts.push((Tone::Good, text.into()));
    }

    /// Says something worth knowing; it goes by itself. The text is made inert.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.out.toasts.push((Tone::Note, text.into()));
    }

    /// Says that something failed: what, where, why, and the next key. It stays until Esc. The text is made inert.
    pub(crate) fn bad(&mut self, text: impl Into<String>) {
        self.out.toasts.push((Tone::Bad, text.into()));
    }

    /// Opens an overlay over everything.
    pub(crate) fn open(&mut self, overlay: impl Overlay + 'static) {
        self.out.open.push(Box::new(overlay));
    }

    /// Asks another tab for something, and shows it.
    pub(crate) fn visit(&mut self, visit: Visit) {
        self.out.visits.push(visit);
    }

    /// Does a command as if its key had been pressed: in this tab, or wherever the person is.
    pub(crate) fn replay(&mut self, tab: Option<TabId>, command: Command) {
        self.out.replay.push((tab, command));
    }

    /// Everything looks like this from now on.
    pub(crate) fn set_look(&mut self, look: Look) {
        self.out.look = Some(look);
    }

    /// Remembers the theme of this name for the next start.
    pub(crate) fn keep_theme(&mut self, name: &str) {
        self.out.kept = Some(name.to_owned());
        self.effect(Effect::Theme(name.to_owned()));
    }

    /// Remembers a line of the palette, which offers it first the next time.
    pub(crate) fn used(&mut self, line: &str) {
        self.out.used.push(line.to_owned());
    }

    /// A number that no other has, for commands that run and the like.
    pub(crate) const fn number(&mut self) -> u64 {
        self.out.numbers += 1;
        self.out.numbers
    }

    /// What was handled changed nothing that can be seen: no frame is drawn for it.
    pub(crate) const fn nothing_to_see(&mut self) {
        self.out.same = true;
    }
}

/// What views draw on.
#[derive(Debug)]
pub(crate) struct Canvas<'a> {
    /// The cells.
    pub(crate) buf: &'a mut Buffer,
    /// How things look.
    pub(crate) look: &'a Look,
    /// The fleet.
    pub(crate) world: &'a World,
    /// The keys, for texts that name one.
    pub(crate) keymap: &'a Keymap,
    /// What time it is.
    pub(crate) now: Now,
    /// Whether what is drawn has the keys: false below an overlay.
    pub(crate) focused: bool,
    /// The first row that what Loopsy says lies over, at the right: what is drawn from there on may not be seen.
    pub(crate) covered: u16,
    /// Where the caret is, when somebody types. Hidden otherwise.
    pub(crate) caret: Option<Position>,
}

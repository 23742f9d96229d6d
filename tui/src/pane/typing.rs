//! INPUT: what a person types and pastes goes to the program; the way in and out; the mouse.

use ratatui::layout::Rect;

use super::{Pane, State, keys, select::Selection};
use crate::{
    app::Cx,
    effect::Effect,
    input::{Input, Mouse, MouseKind},
    overlays::confirm::Confirm,
    widgets::field::Outcome,
};

/// A longer paste is asked about, where the program cannot tell it from keys.
const LONG_PASTE: usize = 4096;
/// What Ctrl-] is to a program.
const REAL_LEAVE: u8 = 0x1d;
/// Keys go to the program from now on, or no more: for programs that want to know.
const FOCUS_IN: &[u8] = b"\x1b[I";
const FOCUS_OUT: &[u8] = b"\x1b[O";
/// Lines that the wheel moves.
const WHEEL: i64 = 3;

impl Pane {
    /// Goes to INPUT. `whole`: it has the whole screen, so that it takes the size over.
    pub(crate) fn enter(&mut self, whole: bool, cx: &mut Cx<'_>) {
        if let Some(why) = self.why_not(crate::keymap::Command::Type) {
            cx.note(why);
            return;
        }
        self.set_input(true, cx);
        self.select = None;
        self.end();
        if whole {
            self.fit(cx);
        }
    }

    /// Keys begin or end to go to the program, which hears of it if it asked.
    fn set_input(&mut self, on: bool, cx: &mut Cx<'_>) {
        let heard = self.screen.as_ref().is_some_and(|screen| screen.modes().focus) && matches!(self.link, State::Up);
        if std::mem::replace(&mut self.input, on) != on && heard {
            cx.effect(Effect::Type(self.key.clone(), if on { FOCUS_IN } else { FOCUS_OUT }.to_vec()));
        }
    }

    /// Whether the connection is lost, so that nothing can be typed: who saw nothing of what they typed would not know what it did later. Says so once.
    fn is_deaf(&mut self, cx: &mut Cx<'_>) -> bool {
        let lost = matches!(self.link, State::Lost(_));
        if lost && !std::mem::replace(&mut self.told, true) {
            cx.note(format!("No connection: what you type does not reach it. ({})", self.name));
        }
        lost
    }

    pub(super) fn leave(&mut self, cx: &mut Cx<'_>) {
        if self.search.as_ref().is_some_and(|search| search.typing) {
            self.end_search();
        } else if self.input {
            self.set_input(false, cx);
        } else {
            self.enter(false, cx);
            if self.input {
                self.send(vec![REAL_LEAVE], cx);
            }
        }
    }

    /// A key or a paste while [`Pane::typing`] is something. For [`crate::tabs::Tab::typed`].
    pub(crate) fn typed(&mut self, input: &Input, cx: &mut Cx<'_>) {
        if let Some(search) = self.search.as_mut().filter(|search| search.typing) {
            match search.field.take(input) {
                Outcome::Submit => {
                    search.typing = false;
                    if !search.has_hits() {
                        self.end_search();
                    }
                }
                Outcome::Leave => self.end_search(),
                Outcome::Changed => self.look(),
                Outcome::Ignored => {}
            }
            return;
        }
        if !self.input || matches!(self.link, State::Ended(_) | State::Gone(_)) || self.is_deaf(cx) {
            return;
        }
        let modes = self.screen.as_ref().map(|screen| screen.modes()).unwrap_or_default();
        let stood = self.top.is_some();
        match input {
            Input::Key(press) => self.send(keys::key(press, modes), cx),
            Input::Unknown(bytes) => self.send(bytes.clone(), cx),
            Input::Paste(text) => {
                let bytes = keys::paste(text, modes);
                let lines = text.trim_end_matches('\n').lines().count();
                if modes.paste || text.len() <= LONG_PASTE && !text.contains('\n') {
                    self.send(bytes, cx);
                } else {
                    let what = format!(
                        "{} in {lines} {}. The program in {} does not tell a paste from typing: every line end counts as Enter.",
                        loopsy_shared::text::bytes(text.len() as u64),
                        if lines == 1 { "line" } else { "lines" },
                        self.name,
                    );
                    let key = self.key.clone();
                    let ask = Confirm::letter(cx, 'P', "Paste this?", what, move |cx| cx.effect(Effect::Type(key, bytes)));
                    cx.open(ask);
                }
                return;
            }
            Input::Mouse(_) => {}
        }
        if !stood {
            // What it leads to is drawn when the program answers.
            cx.nothing_to_see();
        }
    }

    fn send(&mut self, bytes: Vec<u8>, cx: &mut Cx<'_>) {
        self.end();
        if !bytes.is_empty() && !self.is_deaf(cx) {
            cx.effect(Effect::Type(self.key.clone(), bytes));
        }
    }

    /// The mouse at a place of the screen; whether it was over this pane, where it was drawn last.
    pub(crate) fn mouse(&mut self, mouse: &Mouse, cx: &mut Cx<'_>) -> bool {
        let area: Rect = self.area.get();
        if !area.contains((mouse.column, mouse.row).into()) {
            return false;
        }
        let Some(screen) = &self.screen else { return true };
        let (modes, size) = (screen.modes(), screen.size());
        let (line, column) = (self.view_top() + i64::from(mouse.row - area.y), mouse.column - area.x + self.view_left(area.width));
        if self.input
            && let Ok(row) = u16::try_from(line - self.base)
            && row < size.rows
            && column < size.cols
            && let Some(bytes) = keys::mouse(mouse, column, row, modes)
        {
            if matches!(self.link, State::Up) {
                cx.effect(Effect::Type(self.key.clone(), bytes));
            }
            return true;
        }
        match mouse.kind {
            MouseKind::ScrollUp => self.scroll(-WHEEL),
            MouseKind::ScrollDown => self.scroll(WHEEL),
            MouseKind::Down(0) if !self.input => (self.select, self.pressed) = (None, Some((line, column))),
            MouseKind::Drag(0) if !self.input => {
                let Some(lines) = self.lines() else { return true };
                let (at, from) = (lines.clamp((line, column)), lines.clamp(self.pressed.unwrap_or((line, column))));
                match &mut self.select {
                    Some(select) => select.at = at,
                    None => {
                        self.stand(self.view_top());
                        self.select = Some(Selection::drag(from, at));
                    }
                }
            }
            _ => {}
        }
        true
    }
}

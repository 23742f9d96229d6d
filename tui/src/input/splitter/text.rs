//! What is long: strings that only terminals send, and pastes.

use super::{Heard, Input, PASTE, PASTE_END, SEQUENCE, Splitter, State};
use crate::key::Key;

/// A string of the terminal: `ESC ]`, `ESC P`, `ESC _`, `ESC ^`, `ESC X`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) kind: u8,
    /// It can be nothing else any more: it begins like an answer.
    pub(super) sure: bool,
    /// The byte before was an Esc: the end, when a backslash follows.
    pub(super) esc: bool,
}

impl Splitter {
    pub(super) fn string(&mut self, byte: u8, now: u64) {
        let State::String(text) = &mut self.state else { return };
        match byte {
            b'\\' if text.esc => return self.begin(State::Ground, now),
            _ if text.esc => {
                // Not its end but the begin of something else.
                self.anew(now);
                return self.byte(byte, now);
            }
            0x1b => {
                text.esc = true;
                return;
            }
            0x07 | 0x18 | 0x1a => return self.begin(State::Ground, now),
            _ => {}
        }
        if text.sure {
            return;
        }
        let intro = if self.late { 1 } else { 2 };
        let at = self.raw.len() - intro;
        match begins(text.kind, at, byte) {
            Begins::Surely => {
                text.sure = true;
                self.raw.push(byte);
            }
            Begins::Perhaps => {
                if self.raw.len() < SEQUENCE {
                    self.raw.push(byte);
                }
            }
            // A key with Alt, and then another one.
            Begins::Otherwise => {
                let kind = text.kind;
                let rest = self.raw.split_off(intro);
                self.key(Key { alt: true, ..Key::char(char::from(kind)) });
                self.begin(State::Ground, now);
                for byte in rest.into_iter().chain([byte]) {
                    self.byte(byte, now);
                }
            }
        }
    }

    pub(super) fn paste(&mut self, byte: u8, _now: u64) {
        let State::Paste { text, tail, dropped } = &mut self.state else { return };
        if PASTE_END.get(*tail) == Some(&byte) {
            *tail += 1;
            if *tail == PASTE_END.len() {
                self.end_paste();
            }
            return;
        }
        // What looked like the end was none.
        let held = PASTE_END.get(..*tail).unwrap_or_default();
        let restart = byte == 0x1b;
        let more = held.iter().copied().chain((!restart).then_some(byte));
        for byte in more {
            if text.len() < PASTE { text.push(byte) } else { *dropped += 1 }
        }
        *tail = usize::from(restart);
    }

    pub(super) fn end_paste(&mut self) {
        if let State::Paste { text, dropped, .. } = std::mem::take(&mut self.state) {
            let text = String::from_utf8_lossy(&text).replace("\r\n", "\n").replace('\r', "\n");
            self.out.push(Heard::Input(Input::Paste(text)));
            if dropped > 0 {
                self.out.push(Heard::Dropped(dropped));
            }
        }
        self.raw.clear();
    }
}

enum Begins {
    Surely,
    Perhaps,
    Otherwise,
}

/// Whether a string of this kind that has this byte at this place is an answer of a terminal. Only of the two kinds that keys begin with too, it can be told.
const fn begins(kind: u8, at: usize, byte: u8) -> Begins {
    match (kind, at, byte) {
        // `ESC ] number ;`, or a title: `ESC ] l` and `ESC ] L`.
        (b']', 0, b'l' | b'L') | (b']', 1.., b';') => Begins::Surely,
        (b']', _, b'0'..=b'9') => Begins::Perhaps,
        (b']', ..) => Begins::Otherwise,
        (b'P', 0, b'0'..=b'9' | b'>' | b'!' | b'$' | b'+' | b';') | (b'_', 0, b'G') => Begins::Surely,
        (b'P', ..) => Begins::Otherwise,
        _ => Begins::Perhaps,
    }
}

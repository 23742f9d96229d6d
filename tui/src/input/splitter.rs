//! From bytes of a terminal to what a person did. Knows every kind of sequence, so that what the terminal itself says is never taken for a key, whole or in
//! parts, early or late. No clock and no file: bytes and times go in, what was heard comes out.

use super::{
    Input, Press,
    decode::{self, Meaning},
};
use crate::key::{Code, Key};

mod text;

use text::Text;

/// How long the first half of something is waited for, in milliseconds. Then it is dropped.
const HALF: u64 = 1000;
/// So long after an Esc that stood alone, what looks like the rest of a sequence is one.
const LATE: u64 = 250;
/// A key stands alone when nothing came for so long before it.
const QUIET: u64 = 30;
/// How long a paste may say nothing before a single key of those that get out ends it.
const STALLED: u64 = 1000;
/// The longest paste that is taken.
const PASTE: usize = 1 << 20;
/// The longest control sequence that is looked at; the rest of a longer one is passed over.
const SEQUENCE: usize = 256;
/// The end of a paste.
const PASTE_END: &[u8] = b"\x1b[201~";

/// Something heard from the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A person did something.
    Input(Input),
    /// The window was entered or left.
    Focus(bool),
    /// So many bytes of a paste were too many.
    Dropped(usize),
}

/// Where in a sequence the bytes are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// The first bytes of a character.
    Utf8,
    /// An Esc, which may be a key or the begin of something.
    Esc,
    /// Two of them.
    EscEsc,
    /// `ESC [`.
    Control,
    /// A control sequence that is too long to be anything.
    TooLong,
    /// `ESC [ M` of a mouse that cannot count: three more bytes.
    OldMouse(u8),
    /// `ESC [ [` of a console: one more byte.
    Console,
    /// `ESC O`.
    Shift,
    /// A string of the terminal, until its end.
    String(Text),
    /// A paste.
    Paste { text: Vec<u8>, tail: usize, dropped: usize },
}

/// The state machine.
#[derive(Debug)]
pub(crate) struct Splitter {
    state: State,
    /// The bytes of what is not whole yet, as far as they are needed.
    raw: Vec<u8>,
    /// Whether the sequence goes on after an Esc that was given out as a key: its bytes are no keys.
    late: bool,
    /// When the last Esc was given out because nothing followed.
    released: Option<u64>,
    /// How long an Esc alone is waited with.
    patience: u64,
    /// When the unfinished thing began.
    since: u64,
    /// When the last byte came.
    last: Option<u64>,
    /// Bytes since it was quiet.
    run: usize,
    /// What is finished.
    out: Vec<Heard>,
}

impl Splitter {
    /// For a terminal here, or at the other end of a network.
    pub(crate) fn new(remote: bool) -> Self {
        Self {
            state: State::Ground,
            raw: Vec::new(),
            late: false,
            released: None,
            patience: if remote { 100 } else { 50 },
            since: 0,
            last: None,
            run: 0,
            out: Vec::new(),
        }
    }

    /// Takes what was read at once, at this time in milliseconds.
    pub(crate) fn feed(&mut self, bytes: &[u8], now: u64) -> Vec<Heard> {
        let mut out = self.tick(now);
        let stalled = self.last.is_none_or(|last| now.saturating_sub(last) >= STALLED);
        if self.last.is_none_or(|last| now.saturating_sub(last) >= QUIET) {
            self.run = 0;
        }
        self.run += bytes.len();
        if let (State::Paste { .. }, true, [0x03 | 0x1b | 0x1d]) = (&self.state, stalled, bytes) {
            self.end_paste();
        }
        self.last = Some(now);
        for byte in bytes {
            self.byte(*byte, now);
        }
        self.settle(&mut out);
        out
    }

    /// When something is due that no byte brings.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let last = self.last.unwrap_or(self.since);
        Some(match &self.state {
            State::Ground | State::Paste { .. } => return None,
            State::Esc | State::EscEsc => self.since + self.patience,
            State::Shift => self.since + LATE,
            _ if self.late && self.raw.len() <= 1 => self.since + LATE,
            // What is surely an answer may take long as a whole, but not stand still for long.
            State::String(Text { sure: true, .. }) => last + HALF,
            _ => self.since + HALF,
        })
    }

    /// What is due at this time.
    pub(crate) fn tick(&mut self, now: u64) -> Vec<Heard> {
        let mut out = Vec::new();
        while let Some(due) = self.deadline().filter(|due| *due <= now) {
            self.expire(due);
            self.settle(&mut out);
        }
        out
    }

    /// Gives out what is finished; a key that is all there was since it was quiet stands alone.
    fn settle(&mut self, out: &mut Vec<Heard>) {
        if let ([], [Heard::Input(Input::Key(press))]) = (out.as_slice(), self.out.as_mut_slice()) {
            press.alone = press.raw.len() == self.run;
        }
        out.append(&mut self.out);
    }

    fn expire(&mut self, now: u64) {
        if self.state != State::EscEsc {
            self.first_esc();
        }
        match std::mem::take(&mut self.state) {
            State::Esc => {
                self.key(Key::plain(Code::Esc));
                self.released = Some(now);
            }
            State::EscEsc => {
                self.raw.pop();
                self.key(Key::plain(Code::Esc));
                self.raw.push(0x1b);
                self.key(Key::plain(Code::Esc));
                self.released = Some(now);
            }
            State::Shift if !self.late => self.key(Key { alt: true, ..Key::char('O') }),
            State::Utf8 => self.unknown(),
            // Nothing but its first bytes: a key with Alt perhaps, which only a program in a pane may want. Half an answer is for nobody.
            State::Control | State::String(_) | State::Shift if self.raw.len() <= if self.late { 1 } else { 2 } => self.unknown(),
            _ => {}
        }
        self.begin(State::Ground, now);
    }

    fn begin(&mut self, state: State, now: u64) {
        if state == State::Ground {
            self.raw.clear();
            self.late = false;
        }
        self.since = now;
        self.state = state;
    }

    fn key(&mut self, key: Key) {
        let raw = std::mem::take(&mut self.raw);
        self.out.push(Heard::Input(if self.late { Input::Unknown(raw) } else { Input::Key(Press { key, raw, alone: false }) }));
    }

    fn unknown(&mut self) {
        let raw = std::mem::take(&mut self.raw);
        if !raw.is_empty() {
            self.out.push(Heard::Input(Input::Unknown(raw)));
        }
    }

    fn byte(&mut self, byte: u8, now: u64) {
        // The way out works wherever it comes, but for a paste: no answer has this byte.
        if byte == 0x1d && !matches!(self.state, State::Ground | State::Paste { .. }) {
            self.expire(now);
            self.released = None;
        }
        match &mut self.state {
            State::Ground => self.ground(byte, now),
            State::Utf8 => self.utf8(byte, now),
            State::Esc => self.after_esc(byte, now),
            State::EscEsc => self.after_two(byte, now),
            State::Control => self.control(byte, now),
            State::TooLong => match byte {
                0x40..=0x7e | 0x18 | 0x1a => self.begin(State::Ground, now),
                0x1b => self.anew(now),
                _ => {}
            },
            State::OldMouse(left) => {
                *left -= 1;
                if *left == 0 {
                    self.begin(State::Ground, now);
                }
            }
            State::Console => {
                self.raw.push(byte);
                match byte {
                    b'A'..=b'E' => self.key(Key::plain(Code::F(byte - b'A' + 1))),
                    _ => self.unknown(),
                }
                self.begin(State::Ground, now);
            }
            State::Shift => self.shift(byte, now),
            State::String(_) => self.string(byte, now),
            State::Paste { .. } => self.paste(byte, now),
        }
    }

    /// A new sequence begins in the middle of another one, which is dropped.
    fn anew(&mut self, now: u64) {
        self.begin(State::Ground, now);
        self.ground(0x1b, now);
    }

    fn ground(&mut self, byte: u8, now: u64) {
        let released = self.released.take();
        if released.is_some_and(|at| now.saturating_sub(at) <= LATE) && matches!(byte, b'[' | b'O' | b']' | b'P' | b'_' | b'^' | b'X') {
            self.late = true;
            return self.introduce(byte, now);
        }
        self.raw.push(byte);
        match byte {
            0x1b => self.begin(State::Esc, now),
            0..=0x1f | 0x7f => self.key(decode::control_byte(byte)),
            0x20..=0x7e => self.key(Key::char(char::from(byte))),
            0xc2..=0xf4 => self.begin(State::Utf8, now),
            _ => self.unknown(),
        }
    }

    /// What begins with an Esc (which may have been given out already) and this byte.
    fn introduce(&mut self, byte: u8, now: u64) {
        self.raw.push(byte);
        let state = match byte {
            b'[' => State::Control,
            b'O' => State::Shift,
            _ => State::String(Text { kind: byte, sure: false, esc: false }),
        };
        self.begin(state, now);
    }

    fn utf8(&mut self, byte: u8, now: u64) {
        if !matches!(byte, 0x80..=0xbf) {
            self.unknown();
            self.begin(State::Ground, now);
            return self.byte(byte, now);
        }
        self.raw.push(byte);
        let (alt, text) = match self.raw.split_first() {
            Some((0x1b, rest)) => (true, rest),
            _ => (false, self.raw.as_slice()),
        };
        match std::str::from_utf8(text) {
            Ok(text) => {
                match text.chars().next().filter(|c| !c.is_control()) {
                    Some(c) => self.key(Key { alt, ..Key::char(c) }),
                    None => self.unknown(),
                }
                self.begin(State::Ground, now);
            }
            Err(error) if error.error_len().is_some() => {
                self.unknown();
                self.begin(State::Ground, now);
            }
            Err(_) => {}
        }
    }

    fn after_esc(&mut self, byte: u8, now: u64) {
        match byte {
            b'[' | b'O' | b']' | b'P' | b'_' | b'^' | b'X' => self.introduce(byte, now),
            0x1b => {
                self.raw.push(byte);
                self.begin(State::EscEsc, now);
            }
            0xc2..=0xf4 => {
                self.raw.push(byte);
                self.begin(State::Utf8, now);
            }
            _ => {
                self.raw.push(byte);
                match byte {
                    0..=0x1f | 0x7f => self.key(Key { alt: true, ..decode::control_byte(byte) }),
                    0x20..=0x7e => self.key(Key { alt: true, ..Key::char(char::from(byte)) }),
                    _ => self.unknown(),
                }
                self.begin(State::Ground, now);
            }
        }
    }

    /// Two Escs: two keys, unless a key with Alt follows as old terminals send it.
    fn after_two(&mut self, byte: u8, now: u64) {
        if matches!(byte, b'[' | b'O') {
            return self.introduce(byte, now);
        }
        self.raw.pop();
        self.key(Key::plain(Code::Esc));
        self.raw.push(0x1b);
        self.begin(State::Esc, now);
        self.after_esc(byte, now);
    }

    /// The Esc before another sequence, which is a key of its own when that is none.
    fn first_esc(&mut self) -> bool {
        let two = self.raw.starts_with(b"\x1b\x1b");
        if two && !self.late {
            self.out.push(Heard::Input(Input::Key(Press { key: Key::plain(Code::Esc), raw: vec![0x1b], alone: false })));
            self.raw.remove(0);
        }
        two
    }

    fn control(&mut self, byte: u8, now: u64) {
        let intro = self.raw.iter().position(|byte| *byte == b'[').map_or(self.raw.len(), |at| at + 1);
        match byte {
            b'[' if self.raw.len() == intro => {
                self.raw.push(byte);
                self.begin(State::Console, now);
            }
            b'M' if self.raw.len() == intro => {
                self.first_esc();
                self.begin(State::OldMouse(3), now);
                self.raw.clear();
            }
            0x40..=0x7e => {
                let meaning = decode::control(self.raw.get(intro..).unwrap_or_default(), byte);
                self.raw.push(byte);
                self.mean(meaning, now);
            }
            0x20..=0x3f if self.raw.len() < SEQUENCE => self.raw.push(byte),
            0x20..=0x3f => {
                self.first_esc();
                self.raw.clear();
                self.state = State::TooLong;
            }
            0x1b => {
                self.first_esc();
                self.anew(now);
            }
            0x18 | 0x1a => {
                self.first_esc();
                self.begin(State::Ground, now);
            }
            // No sequence has such a byte in it.
            _ => {
                self.first_esc();
                self.begin(State::Ground, now);
                self.byte(byte, now);
            }
        }
    }

    fn mean(&mut self, meaning: Meaning, now: u64) {
        match meaning {
            Meaning::Key(key) => {
                let alt = key.alt || self.raw.starts_with(b"\x1b\x1b");
                self.key(Key { alt, ..key });
            }
            Meaning::Unknown => self.unknown(),
            Meaning::Mouse(mouse) => {
                self.first_esc();
                self.out.push(Heard::Input(Input::Mouse(mouse)));
            }
            Meaning::Focus(focused) => {
                self.first_esc();
                self.out.push(Heard::Focus(focused));
            }
            Meaning::Nothing => drop(self.first_esc()),
            Meaning::Paste => {
                self.first_esc();
                self.begin(State::Ground, now);
                return self.begin(State::Paste { text: Vec::new(), tail: 0, dropped: 0 }, now);
            }
        }
        self.begin(State::Ground, now);
    }

    fn shift(&mut self, byte: u8, now: u64) {
        match byte {
            0x1b => {
                self.expire(now);
                self.ground(byte, now);
            }
            0..=0x1f | 0x7f.. => {
                self.expire(now);
                self.byte(byte, now);
            }
            // What is held down, as some have it: `ESC O 5 A`.
            b'1'..=b'9' if self.raw.last() == Some(&b'O') => self.raw.push(byte),
            _ => {
                let two = self.raw.starts_with(b"\x1b\x1b");
                let bits = self.raw.last().filter(|byte| byte.is_ascii_digit()).map_or(0, |byte| byte - b'1');
                self.raw.push(byte);
                match decode::single_shift(byte) {
                    Some(key) => self.key(Key { shift: bits & 1 != 0, alt: two || bits & 2 != 0, ctrl: bits & 4 != 0, ..key }),
                    None => self.unknown(),
                }
                self.begin(State::Ground, now);
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! What a whole sequence means: a key, the mouse, or nothing that a person did.

use super::{Mouse, MouseKind};
use crate::key::{Code, Key};

/// What a control sequence (`ESC [ .. final`) means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A key.
    Key(Key),
    /// The mouse.
    Mouse(Mouse),
    /// The window was entered or left.
    Focus(bool),
    /// A paste begins.
    Paste,
    /// The terminal answers something, or says what nobody needs to know.
    Nothing,
    /// No idea: for a program in a pane.
    Unknown,
}

/// Decodes what stands between `ESC [` and the final byte, and that byte.
pub(super) fn control(body: &[u8], last: u8) -> Meaning {
    if let Some(body) = body.strip_prefix(b"<")
        && matches!(last, b'M' | b'm')
    {
        return mouse(body, last == b'm').map_or(Meaning::Nothing, Meaning::Mouse);
    }
    // Private parameters and intermediates are only in what terminals answer.
    if body.iter().any(|byte| !matches!(byte, b'0'..=b'9' | b';' | b':')) {
        return Meaning::Nothing;
    }
    let params = Params::of(body);
    let code = match last {
        b'A' => Code::Up,
        b'B' => Code::Down,
        b'C' => Code::Right,
        b'D' => Code::Left,
        b'H' => Code::Home,
        b'F' => Code::End,
        b'P' => Code::F(1),
        b'Q' => Code::F(2),
        b'S' => Code::F(4),
        b'Z' => return Meaning::Key(Key { shift: true, ..Key::plain(Code::Tab) }),
        b'I' | b'O' if body.is_empty() => return Meaning::Focus(last == b'I'),
        b'~' => return tilde(&params),
        b'u' => return kitty(&params),
        // A place (which looks like F3 with something held), attributes, states, sizes, parameters.
        b'R' | b'c' | b'n' | b't' | b'x' | b'y' => return Meaning::Nothing,
        _ => return Meaning::Unknown,
    };
    if params.is_release() {
        return Meaning::Nothing;
    }
    held(Key::plain(code), params.get(1)).map_or(Meaning::Unknown, Meaning::Key)
}

/// Decodes the byte after `ESC O`.
pub(super) const fn single_shift(last: u8) -> Option<Key> {
    let code = match last {
        b'A' => Code::Up,
        b'B' => Code::Down,
        b'C' => Code::Right,
        b'D' => Code::Left,
        b'H' => Code::Home,
        b'F' => Code::End,
        b'P' => Code::F(1),
        b'Q' => Code::F(2),
        b'R' => Code::F(3),
        b'S' => Code::F(4),
        b'M' => Code::Enter,
        b'I' => Code::Tab,
        b'X' => Code::Char('='),
        // The number pad: `*` to `9`, as `j` to `y`.
        b'j'..=b'y' => Code::Char((last - b'j' + b'*') as char),
        _ => return None,
    };
    Some(Key::plain(code))
}

/// A control byte as the key that sends it.
pub(super) const fn control_byte(byte: u8) -> Key {
    match byte {
        0 => Key::ctrl(' '),
        0x08 | 0x7f => Key::plain(Code::Backspace),
        b'\t' => Key::plain(Code::Tab),
        b'\r' => Key::plain(Code::Enter),
        0x1b => Key::plain(Code::Esc),
        1..=26 => Key::ctrl((byte - 1 + b'a') as char),
        // `\ ] ^ _`
        _ => Key::ctrl((byte | 0x40) as char),
    }
}

/// Numbers between `;`, each with those after its `:`.
struct Params(Vec<Vec<Option<u32>>>);

impl Params {
    fn of(body: &[u8]) -> Self {
        let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse().ok();
        Self(body.split(|byte| *byte == b';').map(|param| param.split(|byte| *byte == b':').map(number).collect()).collect())
    }

    fn sub(&self, index: usize, sub: usize) -> Option<u32> {
        self.0.get(index)?.get(sub).copied().flatten()
    }

    fn get(&self, index: usize) -> Option<u32> {
        self.sub(index, 0)
    }

    fn is_release(&self) -> bool {
        self.sub(1, 1) == Some(3)
    }
}

/// What is held down: 1 and bits. None when something is held that no key of ours knows.
fn held(key: Key, bits: Option<u32>) -> Option<Key> {
    let bits = bits.unwrap_or(1).saturating_sub(1);
    // Caps lock and num lock are nobody's business.
    (bits & !(1 | 2 | 4 | 64 | 128) == 0).then_some(Key { shift: bits & 1 != 0, alt: bits & 2 != 0, ctrl: bits & 4 != 0, ..key })
}

fn tilde(params: &Params) -> Meaning {
    let Some(number) = params.get(0) else { return Meaning::Unknown };
    let code = match number {
        1 | 7 => Code::Home,
        2 => Code::Insert,
        3 => Code::Delete,
        4 | 8 => Code::End,
        5 => Code::PageUp,
        6 => Code::PageDown,
        11..=15 => Code::F((number - 10) as u8),
        17..=21 => Code::F((number - 11) as u8),
        23..=26 => Code::F((number - 12) as u8),
        28 | 29 => Code::F((number - 13) as u8),
        31..=34 => Code::F((number - 14) as u8),
        27 => return params.get(2).and_then(|code| point(code, None, None, params.get(1))).map_or(Meaning::Unknown, Meaning::Key),
        200 => return Meaning::Paste,
        // The end of a paste that did not begin.
        201 => return Meaning::Nothing,
        _ => return Meaning::Unknown,
    };
    if params.is_release() {
        return Meaning::Nothing;
    }
    held(Key::plain(code), params.get(1)).map_or(Meaning::Unknown, Meaning::Key)
}

/// `CSI code : shifted : base ; held : kind ; text u`.
fn kitty(params: &Params) -> Meaning {
    if params.is_release() {
        return Meaning::Nothing;
    }
    params.get(0).and_then(|code| point(code, params.sub(0, 1), params.sub(0, 2), params.get(1))).map_or(Meaning::Unknown, Meaning::Key)
}

/// A key by its code point.
fn point(code: u32, shifted: Option<u32>, base: Option<u32>, bits: Option<u32>) -> Option<Key> {
    let code = match code {
        9 => Code::Tab,
        13 | 57414 => Code::Enter,
        27 => Code::Esc,
        8 | 127 => Code::Backspace,
        57376..=57387 => Code::F((code - 57376 + 13) as u8),
        57399..=57408 => Code::Char(char::from_digit(code - 57399, 10)?),
        57409 => Code::Char('.'),
        57410 => Code::Char('/'),
        57411 => Code::Char('*'),
        57412 => Code::Char('-'),
        57413 => Code::Char('+'),
        57415 => Code::Char('='),
        57417 => Code::Left,
        57418 => Code::Right,
        57419 => Code::Up,
        57420 => Code::Down,
        57421 => Code::PageUp,
        57422 => Code::PageDown,
        57423 => Code::Home,
        57424 => Code::End,
        57425 => Code::Insert,
        57426 => Code::Delete,
        0xe000..=0xf8ff => return None,
        _ => Code::Char(char::from_u32(code).filter(|c| !c.is_control())?),
    };
    let mut key = held(Key::plain(code), bits)?;
    if let Code::Char(c) = key.code {
        if key.ctrl {
            // With another alphabet Ctrl means the key at that place; a 5 with Ctrl is how some name the byte of Ctrl-].
            let c = base.and_then(char::from_u32).filter(|_| !c.is_ascii()).unwrap_or(c);
            let c = if c == '5' && !key.alt && !key.shift { ']' } else { c.to_ascii_lowercase() };
            key.code = Code::Char(c);
        } else if key.shift {
            let upper = || c.to_uppercase().next().unwrap_or(c);
            key.code = Code::Char(shifted.and_then(char::from_u32).filter(|c| !c.is_control()).unwrap_or_else(upper));
            key.shift = false;
        }
    }
    Some(key)
}

/// `button ; column ; row`, counted from 1.
fn mouse(body: &[u8], up: bool) -> Option<Mouse> {
    let params = Params::of(body);
    let (bits, column, row) = (params.get(0)?, params.get(1)?, params.get(2)?);
    let button = (bits & 3) as u8;
    let kind = match (bits & 64 != 0, bits & 32 != 0, button) {
        _ if bits & 128 != 0 => return None,
        (true, _, 0) => MouseKind::ScrollUp,
        (true, _, 1) => MouseKind::ScrollDown,
        // Sideways: nothing here is that wide.
        (true, ..) => return None,
        (false, true, 3) => MouseKind::Moved,
        (false, true, button) => MouseKind::Drag(button),
        (false, false, button) if up => MouseKind::Up(button),
        (false, false, button) => MouseKind::Down(button),
    };
    let place = |number: u32| u16::try_from(number.saturating_sub(1)).unwrap_or(u16::MAX);
    Some(Mouse { kind, column: place(column), row: place(row), held: (bits & 28) as u8 })
}

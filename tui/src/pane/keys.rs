//! What a person types, as the program wants to read it. Keys go on as the bytes that they came as, but for those few that depend on the program's own modes.

use super::screen::Modes;
use crate::{
    input::{Mouse, MouseKind, Press},
    key::{Code, Key},
};

/// The bytes of a key.
pub(super) fn key(press: &Press, modes: Modes) -> Vec<u8> {
    let raw = press.raw.as_slice();
    let plain = !(press.key.ctrl || press.key.alt || press.key.shift);
    let cursor = plain && matches!(press.key.code, Code::Up | Code::Down | Code::Left | Code::Right | Code::Home | Code::End);
    let cursor = cursor && matches!(raw, [0x1b, b'[' | b'O', b'A'..=b'D' | b'F' | b'H']);
    if raw.is_empty() || cursor || is_modern(raw) { encode(press.key, modes) } else { raw.to_vec() }
}

/// A key in one of the forms that a program has to ask for: `CSI 13;2u`, `CSI 27;2;13~`.
fn is_modern(raw: &[u8]) -> bool {
    let Some(inner) = raw.strip_prefix(b"\x1b[") else { return false };
    match inner.split_last() {
        Some((b'u', numbers)) => numbers.first().is_some_and(u8::is_ascii_digit) && numbers.iter().all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':')),
        Some((b'~', numbers)) => numbers.starts_with(b"27;"),
        _ => false,
    }
}

/// A key as terminals have always written it.
fn encode(key: Key, modes: Modes) -> Vec<u8> {
    let held = u8::from(key.shift) + 2 * u8::from(key.alt) + 4 * u8::from(key.ctrl);
    let letter = |letter: char| match held {
        0 if modes.cursor_keys => format!("\x1bO{letter}"),
        0 => format!("\x1b[{letter}"),
        held => format!("\x1b[1;{}{letter}", held + 1),
    };
    let number = |number: u8| if held == 0 { format!("\x1b[{number}~") } else { format!("\x1b[{number};{}~", held + 1) };
    let text = match key.code {
        Code::Up => letter('A'),
        Code::Down => letter('B'),
        Code::Right => letter('C'),
        Code::Left => letter('D'),
        Code::Home => letter('H'),
        Code::End => letter('F'),
        Code::Insert => number(2),
        Code::Delete => number(3),
        Code::PageUp => number(5),
        Code::PageDown => number(6),
        Code::F(at @ 1..=4) => {
            let letter = char::from(b'O' + at);
            if held == 0 { format!("\x1bO{letter}") } else { format!("\x1b[1;{}{letter}", held + 1) }
        }
        Code::F(at) => number([15, 17, 18, 19, 20, 21, 23, 24, 25, 26, 28, 29, 31, 32, 33, 34, 42, 43, 44, 45][usize::from(at.clamp(5, 24) - 5)]),
        Code::Tab if key.shift => "\x1b[Z".to_owned(),
        code => {
            let byte = match code {
                Code::Enter => '\r',
                Code::Esc => '\x1b',
                Code::Tab => '\t',
                Code::Backspace if key.ctrl => '\x08',
                Code::Backspace => '\x7f',
                Code::Char(c) if key.ctrl => control(c),
                Code::Char(c) => c,
                _ => return Vec::new(),
            };
            // Shift-Enter is what programs take for a new line that does not send.
            let escaped = key.alt || key.shift && code == Code::Enter;
            format!("{}{byte}", if escaped { "\x1b" } else { "" })
        }
    };
    text.into_bytes()
}

fn control(c: char) -> char {
    match c {
        'a'..='z' | 'A'..='Z' | '[' | '\\' | ']' | '^' | '_' | '@' => char::from(c as u8 & 0x1f),
        ' ' | '2' => '\0',
        '3'..='7' => char::from(c as u8 - b'3' + 0x1b),
        '/' | '-' => '\x1f',
        '8' | '?' => '\x7f',
        c => c,
    }
}

/// A paste: nothing in it can be a key, and a program that asked for it is told where it begins and ends.
pub(super) fn paste(text: &str, modes: Modes) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 12);
    if modes.paste {
        out.extend_from_slice(b"\x1b[200~");
    }
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '\n' if before == '\r' => {}
            '\n' | '\r' => out.push(b'\r'),
            '\t' => out.push(b'\t'),
            c if c.is_control() => {}
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        before = c;
    }
    if modes.paste {
        out.extend_from_slice(b"\x1b[201~");
    }
    out
}

/// The mouse at a column and row of the program's screen; nothing when it does not want to know.
pub(super) fn mouse(mouse: &Mouse, column: u16, row: u16, modes: Modes) -> Option<Vec<u8>> {
    if !modes.clicks {
        let letter = match mouse.kind {
            MouseKind::ScrollUp if modes.wheel => Code::Up,
            MouseKind::ScrollDown if modes.wheel => Code::Down,
            _ => return None,
        };
        return Some(encode(Key::plain(letter), modes).repeat(3));
    }
    let (button, up) = match mouse.kind {
        MouseKind::Down(button) => (button & 3, false),
        MouseKind::Up(button) => (button & 3, true),
        MouseKind::Drag(button) if modes.drags => ((button & 3) + 32, false),
        MouseKind::ScrollUp => (64, false),
        MouseKind::ScrollDown => (65, false),
        MouseKind::Drag(_) | MouseKind::Moved => return None,
    };
    let held = mouse.held & 0b1_1100;
    if modes.sgr {
        return Some(format!("\x1b[<{};{};{}{}", button | held, column + 1, row + 1, if up { 'm' } else { 'M' }).into_bytes());
    }
    // The older form has no room for more.
    let place = |at: u16| u8::try_from(at + 33).ok();
    let button = if up { 3 } else { button };
    Some(vec![0x1b, b'[', b'M', (button | held) + 32, place(column)?, place(row)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(name: &str, raw: &[u8]) -> Press {
        Press { raw: raw.to_vec(), ..Press::of(name.parse().unwrap()) }
    }

    #[test]
    fn bytes_go_on_as_they_came_but_for_what_the_program_decides() {
        let (normal, application) = (Modes::default(), Modes { cursor_keys: true, ..Modes::default() });
        for (name, raw, to_normal, to_application) in [
            ("a", &b"a"[..], &b"a"[..], &b"a"[..]),
            ("up", b"\x1b[A", b"\x1b[A", b"\x1bOA"),
            ("home", b"\x1b[H", b"\x1b[H", b"\x1bOH"),
            ("home", b"\x1b[1~", b"\x1b[1~", b"\x1b[1~"),
            ("ctrl-left", b"\x1b[1;5D", b"\x1b[1;5D", b"\x1b[1;5D"),
            ("shift-enter", b"\x1b[13;2u", b"\x1b\r", b"\x1b\r"),
            ("shift-enter", b"\x1b[27;2;13~", b"\x1b\r", b"\x1b\r"),
            ("ctrl-a", b"\x1b[97;5u", b"\x01", b"\x01"),
            ("F5", b"\x1b[15~", b"\x1b[15~", b"\x1b[15~"),
            ("esc", b"\x1b", b"\x1b", b"\x1b"),
        ] {
            assert_eq!(key(&press(name, raw), normal), to_normal, "{name} {raw:?}");
            assert_eq!(key(&press(name, raw), application), to_application, "{name} {raw:?}");
        }
    }

    #[test]
    fn keys_without_bytes_are_written_as_terminals_do() {
        for (name, bytes) in [
            ("up", &b"\x1b[A"[..]),
            ("alt-x", b"\x1bx"),
            ("ctrl-]", b"\x1d"),
            ("ctrl-space", b"\0"),
            ("enter", b"\r"),
            ("alt-enter", b"\x1b\r"),
            ("shift-tab", b"\x1b[Z"),
            ("backspace", b"\x7f"),
            ("F1", b"\x1bOP"),
            ("ctrl-F12", b"\x1b[24;5~"),
            ("shift-delete", b"\x1b[3;2~"),
            ("é", "é".as_bytes()),
        ] {
            assert_eq!(key(&press(name, b""), Modes::default()), bytes, "{name}");
        }
    }

    #[test]
    fn a_paste_cannot_end_itself() {
        let marked = Modes { paste: true, ..Modes::default() };
        assert_eq!(paste("a\x1b[201~rm\r\nb\n\tc\u{9b}d", marked), b"\x1b[200~a[201~rm\rb\r\tcd\x1b[201~");
        assert_eq!(paste("a\nb", Modes::default()), b"a\rb");
    }

    #[test]
    fn the_mouse_is_told_in_the_form_that_was_asked_for() {
        let at = |kind, held| Mouse { kind, column: 0, row: 0, held };
        let sgr = Modes { clicks: true, sgr: true, ..Modes::default() };
        assert_eq!(mouse(&at(MouseKind::Down(2), 16), 4, 2, sgr).unwrap(), b"\x1b[<18;5;3M");
        assert_eq!(mouse(&at(MouseKind::Up(0), 0), 400, 2, sgr).unwrap(), b"\x1b[<0;401;3m");
        assert_eq!(mouse(&at(MouseKind::Drag(0), 0), 4, 2, sgr), None);
        let old = Modes { clicks: true, drags: true, ..Modes::default() };
        assert_eq!(mouse(&at(MouseKind::Drag(0), 0), 0, 0, old).unwrap(), b"\x1b[M@!!");
        assert_eq!(mouse(&at(MouseKind::Up(0), 0), 0, 0, old).unwrap(), b"\x1b[M#!!");
        assert_eq!(mouse(&at(MouseKind::Down(0), 0), 300, 0, old), None);
        let pager = Modes { wheel: true, ..Modes::default() };
        assert_eq!(mouse(&at(MouseKind::ScrollDown, 0), 0, 0, pager).unwrap(), b"\x1b[B\x1b[B\x1b[B");
        assert_eq!(mouse(&at(MouseKind::ScrollDown, 0), 0, 0, Modes::default()), None);
    }
}

//! In front of the emulator: commands to the terminal (`ESC ] ..`: titles, clipboard, links, colours) are taken out here, however long they are or if they never end.
//!
//! A node sends none of those that act on a terminal, but a node can be anything, and the emulator's parser would collect one that never ends.

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
/// Cancels a sequence; the emulator does nothing else for it.
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// After ESC, which is held back.
    Escape,
    /// In a command.
    Command,
    /// ESC in a command: its end, whatever follows.
    CommandEscape,
}

/// The state between two pieces.
#[derive(Debug, Default)]
pub(super) struct Cap(State);

impl Cap {
    /// Gives all of it that is not a command, in pieces.
    pub(super) fn feed(&mut self, bytes: &[u8], mut out: impl FnMut(&[u8])) {
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            rest = match self.0 {
                State::Ground => {
                    let at = rest.iter().position(|byte| *byte == ESC).unwrap_or(rest.len());
                    if at > 0 {
                        out(&rest[..at]);
                    }
                    if at < rest.len() {
                        self.0 = State::Escape;
                    }
                    rest.get(at + 1..).unwrap_or_default()
                }
                State::Escape if *first == b']' => {
                    // What was open before is over.
                    out(&[CAN]);
                    self.0 = State::Command;
                    &rest[1..]
                }
                State::Escape if *first == ESC => &rest[1..],
                State::Escape => {
                    out(&[ESC]);
                    self.0 = State::Ground;
                    rest
                }
                State::Command => {
                    let at = rest.iter().position(|byte| matches!(*byte, ESC | BEL | CAN | SUB));
                    if let Some(at) = at {
                        self.0 = if rest[at] == ESC { State::CommandEscape } else { State::Ground };
                    }
                    at.map_or(&[][..], |at| &rest[at + 1..])
                }
                State::CommandEscape if *first == b'\\' => {
                    self.0 = State::Ground;
                    &rest[1..]
                }
                State::CommandEscape => {
                    self.0 = State::Escape;
                    rest
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn feed(pieces: &[&[u8]]) -> Vec<u8> {
        let (mut cap, mut all) = (Cap::default(), Vec::new());
        pieces.iter().for_each(|piece| cap.feed(piece, |bytes| all.extend_from_slice(bytes)));
        all
    }

    #[test]
    fn commands_go_and_everything_else_stays() {
        assert_eq!(feed(&[b"a\x1b]52;c;aGk=\x07b\x1b]0;t\x1b\\c\x1b[1md"]), b"a\x18b\x18c\x1b[1md");
        assert_eq!(feed(&[b"a\x1b", b"]0;t\x1b", b"[2mb"]), b"a\x18\x1b[2mb");
        assert_eq!(feed(&[b"\x1b]", &[b'x'; 1 << 20], b"\x18ok"]), b"\x18ok");
    }

    proptest! {
        #[test]
        fn where_it_is_cut_does_not_matter(bytes in proptest::collection::vec(prop::sample::select(b"\x1b]\\\x07\x18[0ma;".to_vec()), 0..60), cut in any::<prop::sample::Index>()) {
            let at = cut.index(bytes.len() + 1);
            prop_assert_eq!(feed(&[&bytes[..at], &bytes[at..]]), feed(&[&bytes]));
            let whole = feed(&[&bytes]);
            prop_assert!(!whole.windows(2).any(|pair| pair == b"\x1b]"));
        }
    }
}

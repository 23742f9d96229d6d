//! Between the program and everybody who looks: lets through what the emulator understands and a viewer's terminal only draws, in whole characters and sequences.
//!
//! What asks a terminal something is taken out and handed to the emulator, so that it is answered once, here, however many terminals look on. What would reach
//! beyond the screen (clipboard, windows, files, printers, keyboard protocols, anything unknown) is dropped. Sequences that never end are not collected.

/// Longest sequence with a text in it that is looked at, in bytes; a longer one is dropped up to its end.
const LONGEST_STRING: usize = 64 << 10;
/// Longest title, and longest target of a link.
const LONGEST_TEXT: usize = 2048;
/// Longest control sequence.
const LONGEST_CONTROL: usize = 512;
/// How often one sequence may repeat a character.
const MOST_REPEATS: u16 = 1000;

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// Private modes that the emulator keeps. Those that make a terminal send reports by itself are not among them.
const PRIVATE_MODES: [u16; 15] = [1, 6, 7, 12, 25, 1000, 1002, 1003, 1004, 1005, 1006, 1007, 1049, 2004, 2026];

/// What came out of a piece of input.
#[derive(Debug, Default)]
pub(super) struct Filtered {
    /// For the emulator and all viewers. Ends between two characters or sequences.
    pub(super) bytes: Vec<u8>,
    /// For the emulator alone: questions, each with the place in `bytes` where it was asked.
    pub(super) asked: Vec<(usize, Vec<u8>)>,
}

impl Filtered {
    /// Empties it, and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.asked.clear();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ground,
    /// After ESC, perhaps with intermediates.
    Escape,
    Control,
    /// A control sequence that is too long.
    LongControl,
    /// `ESC ]`: the one kind of string that is looked at.
    Command,
    /// A string that is dropped; a BEL ends it if it is a command.
    Dropped {
        command: bool,
    },
    /// ESC within a string: its end, if a backslash follows.
    StringEscape {
        command: bool,
        dropped: bool,
    },
}

/// The state between two pieces of input.
#[derive(Debug)]
pub(super) struct Filter {
    state: State,
    /// The beginning of a sequence, or of a character.
    held: Vec<u8>,
}

enum Verdict {
    Pass,
    Replace(Vec<u8>),
    Ask,
    Drop,
}

impl Filter {
    pub(super) fn new() -> Self {
        Self { state: State::Ground, held: Vec::new() }
    }

    /// Takes what the program printed.
    pub(super) fn feed(&mut self, printed: &[u8], out: &mut Filtered) {
        let joined;
        let mut input = printed;
        if self.state == State::Ground && !self.held.is_empty() {
            joined = [std::mem::take(&mut self.held).as_slice(), printed].concat(); // at most three bytes of a character
            input = &joined;
        }
        while !input.is_empty() {
            input = match self.state {
                State::Ground => self.ground(input, out),
                State::Command => self.string(input, out),
                _ => {
                    self.step(input[0], out);
                    &input[1..]
                }
            };
        }
    }

    /// Text up to the next control character, and that character.
    fn ground<'a>(&mut self, input: &'a [u8], out: &mut Filtered) -> &'a [u8] {
        let length = input.iter().position(|byte| matches!(byte, 0..=7 | 11..=12 | 14..=31 | 127)).unwrap_or(input.len());
        let (text, rest) = input.split_at(length);
        if text.is_ascii() {
            out.bytes.extend_from_slice(text);
        } else if let Some(at) = text.windows(2).position(|pair| pair[0] == 0xc2 && matches!(pair[1], 0x80..=0x9f)) {
            // The eight-bit form of a control: from here on as if it had been written in seven bits, because terminals disagree about it.
            self.text(&text[..at], false, out);
            self.begin(State::Escape);
            self.step(text[at + 1] - 0x40, out);
            return &input[at + 2..];
        } else {
            self.text(text, rest.is_empty(), out);
        }
        let Some((byte, rest)) = rest.split_first() else { return rest };
        match *byte {
            ESC => self.begin(State::Escape),
            BEL | 11 | 12 | 14 | 15 => out.bytes.push(*byte),
            _ => {} // among them ENQ, which some terminals answer
        }
        rest
    }

    /// Text that is not all ASCII. An unfinished character stays for later when it is the last thing there is.
    fn text(&mut self, text: &[u8], last: bool, out: &mut Filtered) {
        let mut chunks = text.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            out.bytes.extend_from_slice(chunk.valid().as_bytes());
            let invalid = chunk.invalid();
            if last && chunks.peek().is_none() && std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none()) {
                self.held = invalid.to_vec();
            } else if !invalid.is_empty() {
                out.bytes.extend_from_slice(REPLACEMENT);
            }
        }
    }

    fn begin(&mut self, state: State) {
        self.state = state;
        self.held.clear();
        self.held.push(ESC);
    }

    fn end(&mut self) {
        self.state = State::Ground;
        self.held.clear();
    }

    /// One byte of a sequence.
    fn step(&mut self, byte: u8, out: &mut Filtered) {
        match (self.state, byte) {
            // CAN and SUB end everything.
            (_, 0x18 | 0x1a) => self.end(),
            (State::StringEscape { command, dropped }, _) => {
                if byte == b'\\' && command && !dropped {
                    self.command(out);
                } else if byte != b'\\' {
                    self.begin(State::Escape);
                    self.step(byte, out);
                    return;
                }
                self.end();
            }
            (State::Dropped { command }, ESC) => self.state = State::StringEscape { command, dropped: true },
            (State::Dropped { command: true }, BEL) => self.end(),
            (State::Dropped { .. }, _) => {}
            (State::Command, ESC) => self.state = State::StringEscape { command: true, dropped: false },
            (State::Command, BEL) => {
                self.command(out);
                self.end();
            }
            (State::Command, _) => self.held.push(byte),
            (_, ESC) => self.begin(State::Escape),
            // A control character within a sequence acts at once.
            (_, 8..=13) => out.bytes.push(byte),
            (_, 0..=31 | 127) => {}
            (State::Escape, _) => self.escape(byte, out),
            (State::Control, 0x20..=0x3f) => {
                self.held.push(byte);
                if self.held.len() > LONGEST_CONTROL {
                    self.state = State::LongControl;
                }
            }
            (State::Control, 0x40..=0x7e) => {
                let verdict = control(&self.held[2..], byte);
                self.held.push(byte);
                self.judge(&verdict, out);
            }
            (State::LongControl, 0x20..=0x3f) => {}
            (State::LongControl | State::Control | State::Ground, _) => self.end(),
        }
    }

    fn escape(&mut self, byte: u8, out: &mut Filtered) {
        let first = self.held.len() == 1;
        match byte {
            b'[' if first => {
                self.state = State::Control;
                self.held.push(byte);
            }
            b']' if first => {
                self.state = State::Command;
                self.held.push(byte);
            }
            b'P' | b'X' | b'^' | b'_' if first => {
                self.held.clear();
                self.state = State::Dropped { command: false };
            }
            0x20..=0x2f => {
                self.held.push(byte);
                if self.held.len() > 4 {
                    self.end();
                }
            }
            0x30..=0x7e => {
                let verdict = match (&self.held[1..], byte) {
                    (b"", b'7' | b'8' | b'=' | b'>' | b'D' | b'E' | b'H' | b'M' | b'c') | (b"(" | b")" | b"*" | b"+", b'0' | b'B') | (b"#", b'8') => {
                        Verdict::Pass
                    }
                    (b"", b'Z') => Verdict::Ask,
                    _ => Verdict::Drop,
                };
                self.held.push(byte);
                self.judge(&verdict, out);
            }
            _ => self.end(),
        }
    }

    /// More of a command: up to what may end it.
    fn string<'a>(&mut self, input: &'a [u8], out: &mut Filtered) -> &'a [u8] {
        let length = input.iter().position(|byte| matches!(*byte, BEL | 0x18 | 0x1a | ESC)).unwrap_or(input.len());
        if self.held.len() + length > LONGEST_STRING {
            self.held = Vec::new();
            self.state = State::Dropped { command: true };
            return &input[length..];
        }
        self.held.extend_from_slice(&input[..length]);
        let Some((byte, rest)) = input[length..].split_first() else { return &[] };
        self.step(*byte, out);
        rest
    }

    fn judge(&mut self, verdict: &Verdict, out: &mut Filtered) {
        match verdict {
            Verdict::Pass => out.bytes.append(&mut self.held),
            Verdict::Replace(bytes) => out.bytes.extend_from_slice(bytes),
            Verdict::Ask => out.asked.push((out.bytes.len(), std::mem::take(&mut self.held))),
            Verdict::Drop => {}
        }
        self.end();
    }

    /// A whole `ESC ] ..`.
    fn command(&mut self, out: &mut Filtered) {
        self.held.retain(|byte| !matches!(byte, 0..=26 | 28..=31 | 127));
        let body = &self.held[2..];
        let number = body.split(|byte| *byte == b';').next().unwrap_or_default();
        let fits = body.len() <= LONGEST_TEXT && std::str::from_utf8(body).is_ok_and(|text| !text.chars().any(char::is_control));
        let pass = match number {
            b"0" | b"1" | b"2" | b"8" => fits,
            b"4" | b"10" | b"11" | b"12" if body.contains(&b'?') => {
                if body.len() <= LONGEST_TEXT {
                    self.held.push(BEL);
                    out.asked.push((out.bytes.len(), std::mem::take(&mut self.held)));
                }
                return;
            }
            b"4" | b"10" | b"11" | b"12" | b"104" | b"110" | b"111" | b"112" => fits && body.is_ascii(),
            _ => false,
        };
        if pass {
            out.bytes.append(&mut self.held);
            out.bytes.extend_from_slice(b"\x1b\\");
        }
    }
}

/// What becomes of a control sequence: its parameters and intermediates, and its last byte.
fn control(inner: &[u8], last: u8) -> Verdict {
    let params = inner.iter().position(|byte| *byte < 0x30).unwrap_or(inner.len());
    let (params, intermediates) = inner.split_at(params);
    let (mark, params) = match params.split_first() {
        Some((mark @ b'<'..=b'?', rest)) => (Some(*mark), rest),
        _ => (None, params),
    };
    if params.iter().chain(intermediates).any(|byte| matches!(byte, b'<'..=b'?')) || intermediates.iter().any(|byte| *byte >= 0x30) {
        return Verdict::Drop;
    }
    match (mark, intermediates, last) {
        (None, b"", b'b') if number(params) > MOST_REPEATS => Verdict::Replace(format!("\x1b[{MOST_REPEATS}b").into_bytes()),
        (None, b"", b'T') if params.contains(&b';') => Verdict::Drop, // another sequence: tracks the mouse
        (None, b"", b's' | b'u') => {
            if params.is_empty() {
                Verdict::Pass
            } else {
                Verdict::Drop
            }
        }
        (None, b"", b'@' | b'A'..=b'H' | b'I'..=b'M' | b'P' | b'S' | b'T' | b'X' | b'Z' | b'`' | b'a' | b'b' | b'd' | b'e' | b'f' | b'g' | b'm' | b'r') => {
            Verdict::Pass
        }
        (None, b"", b'h' | b'l') => modes(params, last),
        (Some(b'?'), b"", b'h' | b'l') => private_modes(params, last),
        (Some(b'?'), b"", b'W') if params == b"5" => Verdict::Pass,
        (None, b" ", b'q') => Verdict::Pass,
        (None | Some(b'>' | b'='), b"", b'c') | (None, b"", b'n') | (None | Some(b'?'), b"$", b'p') => Verdict::Ask,
        (None, b"", b't') if number(params) == 18 => Verdict::Ask,
        _ => Verdict::Drop,
    }
}

/// The first parameter.
fn number(params: &[u8]) -> u16 {
    let digits = params.split(|byte| !byte.is_ascii_digit()).next().unwrap_or_default();
    digits.iter().fold(0_u16, |number, digit| number.saturating_mul(10).saturating_add(u16::from(digit - b'0')))
}

fn modes(params: &[u8], last: u8) -> Verdict {
    let known: Vec<String> = params.split(|byte| *byte == b';').map(number).filter(|mode| matches!(mode, 4 | 20)).map(|mode| mode.to_string()).collect();
    if known.is_empty() { Verdict::Drop } else { Verdict::Replace(format!("\x1b[{}{}", known.join(";"), char::from(last)).into_bytes()) }
}

fn private_modes(params: &[u8], last: u8) -> Verdict {
    let mut text = String::new();
    for mode in params.split(|byte| *byte == b';').map(number) {
        match mode {
            // Older ways of saying the same, which the emulator does not know.
            47 | 1047 => text.push_str(&format!("\x1b[?1049{}", char::from(last))),
            1048 => text.push_str(if last == b'h' { "\x1b7" } else { "\x1b8" }),
            mode if PRIVATE_MODES.contains(&mode) => text.push_str(&format!("\x1b[?{mode}{}", char::from(last))),
            _ => {}
        }
    }
    if text.is_empty() { Verdict::Drop } else { Verdict::Replace(text.into_bytes()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(pieces: &[&[u8]]) -> (Vec<u8>, Vec<Vec<u8>>) {
        let (mut filter, mut out) = (Filter::new(), Filtered::default());
        pieces.iter().for_each(|piece| filter.feed(piece, &mut out));
        (out.bytes, out.asked.into_iter().map(|(_, asked)| asked).collect())
    }

    #[track_caller]
    fn passes(bytes: &[u8]) {
        assert_eq!(filter(&[bytes]), (bytes.to_vec(), vec![]));
    }

    #[track_caller]
    fn dropped(bytes: &[u8]) {
        assert_eq!(filter(&[b"a", bytes, b"z"]), (b"az".to_vec(), vec![]), "{:?}", String::from_utf8_lossy(bytes));
    }

    #[track_caller]
    fn asked(bytes: &[u8]) {
        assert_eq!(filter(&[b"a", bytes, b"z"]), (b"az".to_vec(), vec![bytes.to_vec()]));
    }

    #[test]
    fn what_a_screen_shows_passes_as_it_is() {
        for bytes in
            ["plain\r\n\ttext\x08", "mit ä und 機 und ⚠️", "\x1b[1;38;2;1;2;3;4:3mx\x1b[m", "\x1b[H\x1b[2J\x1b[10;20r", "\x1b7\x1b8\x1b(0lqk\x1b(B", "\x1b[2 q"]
        {
            passes(bytes.as_bytes());
        }
        passes(b"\x1b]2;a title\x1b\\");
        passes(b"\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\");
        passes(b"\x1b[?25l\x1b[?1049h");
        assert_eq!(filter(&[b"\x1b]0;t\x07"]).0, b"\x1b]0;t\x1b\\");
    }

    #[test]
    fn questions_go_to_the_emulator_alone() {
        for question in
            ["\x1b[c", "\x1b[0c", "\x1b[>c", "\x1b[5n", "\x1b[6n", "\x1b[?2026$p", "\x1b[4$p", "\x1b[18t", "\x1bZ", "\x1b]11;?\x07", "\x1b]4;1;?\x07"]
        {
            asked(question.as_bytes());
        }
        let (mut filter, mut out) = (Filter::new(), Filtered::default());
        filter.feed(b"ab\x1b[6", &mut out);
        filter.feed(b"ncd", &mut out);
        assert_eq!((out.bytes.as_slice(), out.asked), (b"abcd".as_slice(), vec![(2, b"\x1b[6n".to_vec())]));
    }

    #[test]
    fn what_reaches_beyond_the_screen_is_dropped() {
        let beyond = [
            "\x1b]52;c;aGk=\x07",
            "\x1b]52;c;?\x1b\\",
            "\x1b]1337;File=:eA==\x07",
            "\x1b]9;hello\x07",
            "\x1b]777;notify;a;b\x07",
            "\x1b]50;?\x07",
            "\x1b[21t",
            "\x1b[2t",
            "\x1b[8;100;200t",
            "\x1b[5i",
            "\x1b[>4;2m",
            "\x1b[>1u",
            "\x1b[?u",
            "\x1b[<u",
            "\x1b[>q",
            "\x1b[?2031h",
            "\x1b[?2048h",
            "\x1b[?1016h",
            "\x1bP+q544e\x1b\\",
            "\x1bP$qm\x1b\\",
            "\x1b_Gi=1,a=q;AAAA\x1b\\",
            "\x1b^pm\x1b\\",
            "\x1bXsos\x1b\\",
            "\x1b%@",
            "\x05",
            "\x1b[!p",
            "\x1b[?6n",
            "\x1b[1;1;1;1;1*y",
            "\0",
            "\x7f",
        ];
        beyond.iter().for_each(|bytes| dropped(bytes.as_bytes()));
    }

    #[test]
    fn eight_bit_controls_become_seven_bits() {
        assert_eq!(filter(&["\u{9b}31mx\u{9d}52;c;?\u{9c}y\u{85}".as_bytes()]).0, b"\x1b[31mx".to_vec(), "the string has no end of seven bits");
        assert_eq!(filter(&["\u{9b}6n".as_bytes()]).1, [b"\x1b[6n".to_vec()]);
        assert_eq!(filter(&["a\u{85}b".as_bytes()]).0, b"a\x1bEb");
    }

    #[test]
    fn characters_are_never_cut_and_always_valid() {
        assert_eq!(filter(&[b"\xe6\xa9", b"\x9f"]).0, "機".as_bytes());
        assert_eq!(filter(&[b"\xe6", b"x"]).0, "\u{fffd}x".as_bytes());
        assert_eq!(filter(&[b"\xff\xc3", b"\xa4"]).0, "\u{fffd}ä".as_bytes());
        assert_eq!(filter(&[b"\xc2", b"\x9b6n"]), (vec![], vec![b"\x1b[6n".to_vec()]));
    }

    #[test]
    fn a_string_without_an_end_is_not_collected() {
        for start in ["\x1b]2;", "\x1bP", "\x1b_", "\x1b^", "\x1bX"] {
            let (mut filter, mut out) = (Filter::new(), Filtered::default());
            filter.feed(start.as_bytes(), &mut out);
            for _ in 0..50 {
                filter.feed(&vec![b'x'; 1 << 20], &mut out);
                assert!(filter.held.capacity() <= 2 * LONGEST_STRING && out.bytes.is_empty(), "{start:?}");
            }
            filter.feed(b"\x1b\\after", &mut out);
            assert_eq!(out.bytes, b"after", "{start:?}");
        }
        let digits = [b"\x1b[".to_vec(), vec![b'1'; 1 << 20], b"mafter".to_vec()].concat();
        assert_eq!(filter(&[&digits]).0, b"after");
    }

    #[test]
    fn modes_that_the_emulator_does_not_know_are_taken_out_of_a_list() {
        assert_eq!(filter(&[b"\x1b[?25;2031;1000h"]).0, b"\x1b[?25h\x1b[?1000h");
        assert_eq!(filter(&[b"\x1b[?47h\x1b[?1048l\x1b[4;12h"]).0, b"\x1b[?1049h\x1b8\x1b[4h");
        assert_eq!(filter(&[b"\x1b[60000b"]).0, b"\x1b[1000b");
    }

    #[test]
    fn a_new_sequence_ends_the_one_before() {
        assert_eq!(filter(&[b"\x1b[1\x1b[2mx\x1b]0;t\x1b[3my"]).0, b"\x1b[2mx\x1b[3my");
        assert_eq!(filter(&[b"\x1b[1\x18x\x1b]0;t\x1ay\x1b\x1b[4mz"]).0, b"xy\x1b[4mz");
        assert_eq!(filter(&[b"\x1b[1\n2mx"]).0, b"\n\x1b[12mx", "a control character within a sequence acts at once");
    }

    proptest! {
        #[test]
        fn the_outcome_does_not_depend_on_where_it_is_cut(input in proptest::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"\x1b[]?;0123mhnc\\\x07\xc2\x9b".to_vec())], 0..200), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6)) {
            let whole = filter(&[&input]);
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
            at.extend([0, input.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect();
            prop_assert_eq!(filter(&pieces), whole.clone());
            // What went through once goes through again as it is, and asks nothing.
            let again = filter(&[&whole.0]);
            prop_assert_eq!(again, (whole.0, vec![]));
        }
    }
}

//! Whatever the bytes and however they are cut: keys are keys, and nothing else is.

use proptest::prelude::*;

use super::*;
use crate::input::{Mouse, MouseKind};

/// Feeds pieces with no time in between, then waits long.
fn hear(pieces: &[&[u8]]) -> Vec<Heard> {
    let mut splitter = Splitter::new(false);
    let mut out: Vec<Heard> = pieces.iter().flat_map(|piece| splitter.feed(piece, 1000)).collect();
    out.extend(splitter.tick(100_000));
    out
}

/// Keys by name, pastes and the rest as words.
fn words(heard: &[Heard]) -> Vec<String> {
    heard
        .iter()
        .map(|heard| match heard {
            Heard::Input(Input::Key(press)) => press.key.to_string(),
            Heard::Input(Input::Paste(text)) => format!("paste {text:?}"),
            Heard::Input(Input::Mouse(mouse)) => format!("{:?} {},{}", mouse.kind, mouse.column, mouse.row),
            Heard::Input(Input::Unknown(bytes)) => format!("unknown {}", bytes.escape_ascii()),
            Heard::Focus(focused) => format!("focus {focused}"),
            Heard::Dropped(bytes) => format!("dropped {bytes}"),
        })
        .collect()
}

fn of(bytes: &[u8]) -> String {
    words(&hear(&[bytes])).join(" ")
}

/// What a reader with a clock hears: pieces at times.
fn timed(remote: bool, pieces: &[(u64, &[u8])]) -> Vec<String> {
    let mut splitter = Splitter::new(remote);
    let mut out = Vec::new();
    for (at, piece) in pieces {
        out.extend(splitter.feed(piece, *at));
    }
    out.extend(splitter.tick(100_000));
    words(&out)
}

/// Raw bytes of keys and of what is passed on.
fn raw(heard: &[Heard]) -> Vec<u8> {
    heard
        .iter()
        .flat_map(|heard| match heard {
            Heard::Input(Input::Key(press)) => press.raw.clone(),
            Heard::Input(Input::Unknown(bytes)) => bytes.clone(),
            _ => Vec::new(),
        })
        .collect()
}

/// What does not depend on the cut.
fn whole(heard: Vec<Heard>) -> Vec<Heard> {
    heard
        .into_iter()
        .map(|heard| match heard {
            Heard::Input(Input::Key(press)) => Heard::Input(Input::Key(Press { alone: false, ..press })),
            other => other,
        })
        .collect()
}

#[test]
fn keys_of_every_kind_are_known() {
    for (bytes, keys) in [
        (&b"aZ 1"[..], "a Z Space 1"),
        ("ü機😀".as_bytes(), "ü 機 😀"),
        (b"\r\n\t\x7f\x08\x00\x01\x1a\x1c\x1e\x1f", "Enter Ctrl-j Tab Backspace Backspace Ctrl-Space Ctrl-a Ctrl-z Ctrl-\\ Ctrl-^ Ctrl-_"),
        (b"\x1b[A\x1b[B\x1b[C\x1b[D\x1b[H\x1b[F", "Up Down Right Left Home End"),
        (b"\x1bOA\x1bOH\x1bOP\x1bOR\x1bOM\x1bOp", "Up Home F1 F3 Enter 0"),
        (b"\x1b[1~\x1b[2~\x1b[3~\x1b[4~\x1b[5~\x1b[6~", "Home Insert Delete End Pageup Pagedown"),
        (b"\x1b[11~\x1b[15~\x1b[17~\x1b[21~\x1b[23~\x1b[24~\x1b[34~\x1b[[A\x1b[[E", "F1 F5 F6 F10 F11 F12 F20 F1 F5"),
        (b"\x1b[1;5C\x1b[1;2A\x1b[3;3~\x1b[Z\x1bO5A", "Ctrl-Right Shift-Up Alt-Delete Shift-Tab Ctrl-Up"),
        (b"\x1ba\x1bZ\x1b\r\x1b\x7f", "Alt-a Alt-Z Alt-Enter Alt-Backspace"),
        ("\u{1b}ü".as_bytes(), "Alt-ü"),
        (b"\x1b[97u\x1b[97;2u\x1b[97:65;2u\x1b[97;5u\x1b[97;3u\x1b[13;2u\x1b[27u\x1b[57415u", "a A A Ctrl-a Alt-a Shift-Enter Esc ="),
        (b"\x1b[97;1:3u\x1b[1;1:3A", ""),
        (b"\x1b[1089::99;5u", "Ctrl-c"),
        (b"\x1b[27;5;9~\x1b[27;2;13~\x1b[27;6;97~", "Ctrl-Tab Shift-Enter Ctrl-Shift-a"),
        // Caps lock and num lock are nothing; what no key of ours has is passed on.
        (b"\x1b[97;65u\x1b[97;9u", "a unknown \\x1b[97;9u"),
        (b"\x1b\x1b[A\x1b\x1bOB", "Alt-Up Alt-Down"),
    ] {
        assert_eq!(of(bytes), keys, "{}", bytes.escape_ascii());
    }
}

#[test]
fn the_way_out_is_known_in_every_form_and_place() {
    for bytes in [&b"\x1d"[..], b"\x1b[93;5u", b"\x1b[53;5u", b"\x1b[27;5;93~", b"\x1b[93;69u"] {
        assert_eq!(of(bytes), "Ctrl-]", "{}", bytes.escape_ascii());
    }
    assert_eq!(of(b"ab\x1dcd"), "a b Ctrl-] c d");
    assert_eq!(of(b"\x1b\x1dq"), "Esc Ctrl-] q");
    assert_eq!(of(b"\x1b\x1b\x1d"), "Esc Esc Ctrl-]");
    // Also where the terminal left something open.
    assert_eq!(of(b"\x1b]11;rgb:\x1d"), "Ctrl-]");
    assert_eq!(of(b"\x1b[12\x1dx"), "Ctrl-] x");
    assert_eq!(of("\u{e9}".as_bytes().get(..1).unwrap()), "unknown \\xc3");
}

#[test]
fn two_escs_are_two_keys() {
    assert_eq!(of(b"\x1b\x1b"), "Esc Esc");
    assert_eq!(of(b"\x1b\x1b\x1b"), "Esc Esc Esc");
    assert_eq!(of(b"\x1b\x1bx"), "Esc Alt-x");
    assert_eq!(raw(&hear(&[b"\x1b\x1b\x1bx\x1b\x1b[A"])), b"\x1b\x1b\x1bx\x1b\x1b[A");
}

/// All that terminals are known to answer with, and what they say unasked.
const REPLIES: [&[u8]; 26] = [
    b"\x1b]11;rgb:aaaa/dddd/aaaa\x1b\\",
    b"\x1b]10;rgb:ffff/ffff/ffff\x07",
    b"\x1b]4;1;rgb:aa/dd/aa\x1b\\",
    b"\x1b]52;c;YWRhZGFk\x1b\\",
    b"\x1b]lad\x1b\\",
    b"\x1b[?2026;2$y",
    b"\x1b[4;1$y",
    b"\x1b[?61;4c",
    b"\x1b[>0;276;0c",
    b"\x1b[=1;0c",
    b"\x1bP!|00000000\x1b\\",
    b"\x1bP>|tmux 3.3a\x1b\\",
    b"\x1bP1$r0m\x1b\\",
    b"\x1bP0+r616164\x1b\\",
    b"\x1b[24;80R",
    b"\x1b[1;5R",
    b"\x1b[?1;1;1R",
    b"\x1b[0n",
    b"\x1b[?997;1n",
    b"\x1b[?1u",
    b"\x1b[8;24;80t",
    b"\x1b[?1;2;16S",
    b"\x1b_Gi=31;OK\x1b\\",
    b"\x1b_aad\x1b\\",
    b"\x1b^aad\x1b\\",
    b"\x1bXaad\x1b\\",
];

#[test]
fn no_reply_is_a_key_whole_or_cut_at_any_byte() {
    for reply in REPLIES {
        assert_eq!(of(reply), "", "{}", reply.escape_ascii());
        for cut in 1..reply.len() {
            let (left, right) = reply.split_at(cut);
            assert_eq!(words(&hear(&[left, right])).join(" "), "", "{} cut at {cut}", reply.escape_ascii());
        }
    }
}

#[test]
fn no_reply_is_a_key_when_its_rest_comes_late() {
    for reply in REPLIES {
        // Known here too: what begins with an underscore, a circumflex or an X after an Esc that was given out may be typed as well.
        for cut in 1..reply.len() {
            let typeable = cut == 1 && matches!(reply[1], b'_' | b'^' | b'X');
            let (left, right) = reply.split_at(cut);
            let heard = timed(false, &[(1000, left), (1200, right)]);
            let expected: &[&str] = if cut == 1 { &["Esc"] } else { &[] };
            if !typeable {
                assert_eq!(heard, expected, "{} cut at {cut}", reply.escape_ascii());
            }
        }
    }
}

#[test]
fn half_a_reply_is_dropped_after_a_second_and_keys_work_again() {
    for reply in REPLIES {
        for cut in 3..reply.len() {
            let heard = timed(false, &[(1000, &reply[..cut]), (2100, b"j")]);
            assert_eq!(heard, ["j"], "{} cut at {cut}", reply.escape_ascii());
        }
    }
    // What surely is an answer may take longer, as long as it goes on.
    assert_eq!(timed(true, &[(0, b"\x1b]52;c;"), (900, b"YWFh"), (1800, b"ZGRk"), (2700, b"\x1b\\"), (2701, b"q")]), ["q"]);
}

#[test]
fn an_esc_alone_is_a_key_after_a_while_and_what_follows_late_is_none() {
    let mut splitter = Splitter::new(false);
    assert!(splitter.feed(b"\x1b", 1000).is_empty());
    assert_eq!(splitter.deadline(), Some(1050));
    assert!(splitter.tick(1049).is_empty());
    let heard = splitter.tick(1050);
    assert!(matches!(heard.as_slice(), [Heard::Input(Input::Key(press))] if press.alone && press.key == Key::plain(Code::Esc)), "{heard:?}");
    let mut remote = Splitter::new(true);
    remote.feed(b"\x1b", 1000);
    assert_eq!(remote.deadline(), Some(1100));

    for (late, passed) in [(&b"[A"[..], "unknown [A"), (b"OA", "unknown OA"), (b"[97;5u", "unknown [97;5u"), (b"[<0;10;10M", "Down(0) 9,9"), (b"[?61;4c", "")] {
        let heard = timed(false, &[(1000, b"\x1b"), (1055, late)]).join(" ");
        assert_eq!(heard, format!("Esc {passed}").trim_end(), "{}", late.escape_ascii());
    }
    // A paste is one all the same; and later than that it was typed.
    assert_eq!(timed(false, &[(1000, b"\x1b"), (1055, b"[200~yes\r\x1b[201~")]), ["Esc", "paste \"yes\\n\""]);
    assert_eq!(timed(false, &[(1000, b"\x1b"), (1400, b"[A")]), ["Esc", "[", "A"]);
    // What a person types after Esc that only looks like it: nothing is lost for a program in a pane.
    assert_eq!(timed(false, &[(1000, b"\x1b"), (1100, b"O"), (1200, b"f")]), ["Esc", "unknown Of"]);
    assert_eq!(timed(false, &[(1000, b"\x1b"), (1100, b"P"), (1200, b"j")]), ["Esc", "unknown P", "j"]);
}

#[test]
fn first_bytes_that_stay_alone_go_to_who_may_want_them_and_are_no_key() {
    for bytes in [&b"\x1b["[..], b"\x1b]", b"\x1bP", b"\x1b_", b"\x1bX"] {
        assert_eq!(timed(false, &[(1000, bytes), (3000, b"j")]), [format!("unknown {}", bytes.escape_ascii()), "j".to_owned()]);
    }
    assert_eq!(timed(false, &[(1000, b"\x1bO"), (3000, b"j")]), ["Alt-O", "j"]);
    // No answer begins like this.
    assert_eq!(of(b"\x1b]a"), "Alt-] a");
    assert_eq!(of(b"\x1bPa"), "Alt-P a");
}

#[test]
fn what_is_pasted_is_no_key_and_its_line_ends_are_made_one_kind() {
    assert_eq!(of(b"\x1b[200~a\r\nb\rc\nd\x1b[201~x"), "paste \"a\\nb\\nc\\nd\" x");
    assert_eq!(of(b"\x1b[200~\x1d\x03\x1b[A\x1b[201\x1b[200~\x1b[201~"), "paste \"\\u{1d}\\u{3}\\u{1b}[A\\u{1b}[201\\u{1b}[200~\"");
    assert_eq!(of(b"\x1b[201~"), "");
}

#[test]
fn a_paste_without_an_end_is_bounded_and_can_be_left() {
    let mut splitter = Splitter::new(false);
    splitter.feed(b"\x1b[200~", 0);
    let piece = vec![b'x'; 64 << 10];
    for at in 0..40 {
        assert!(splitter.feed(&piece, at).is_empty());
    }
    assert!(splitter.feed(b"yes\r", 5000).is_empty(), "what comes late is still pasted");
    let heard = splitter.feed(b"\x1d", 7000);
    let words = words(&heard);
    assert_eq!(words.get(1..).unwrap(), ["dropped 1572868", "Ctrl-]"]);
    assert!(matches!(heard.first(), Some(Heard::Input(Input::Paste(text))) if text.len() == PASTE));
}

#[test]
fn what_never_ends_needs_no_memory() {
    for begin in [&b"\x1b]52;c;"[..], b"\x1bP>|", b"\x1b_x", b"\x1b]1", b"\x1b[1"] {
        let mut splitter = Splitter::new(false);
        splitter.feed(begin, 0);
        for at in 0..100 {
            assert!(splitter.feed(&[b'1'; 4096], at).is_empty(), "{}", begin.escape_ascii());
        }
        assert!(splitter.raw.len() <= SEQUENCE && splitter.raw.capacity() <= 2 * SEQUENCE, "{}", begin.escape_ascii());
    }
}

#[test]
fn mice_are_understood_and_old_ones_are_passed_over() {
    let mouse = |bytes: &[u8]| match hear(&[bytes]).as_slice() {
        [Heard::Input(Input::Mouse(mouse))] => Some(*mouse),
        _ => None,
    };
    assert_eq!(mouse(b"\x1b[<0;10;5M"), Some(Mouse { kind: MouseKind::Down(0), column: 9, row: 4, held: 0 }));
    assert_eq!(mouse(b"\x1b[<18;1;1m"), Some(Mouse { kind: MouseKind::Up(2), column: 0, row: 0, held: 16 }));
    assert_eq!(mouse(b"\x1b[<64;1;1M").map(|mouse| mouse.kind), Some(MouseKind::ScrollUp));
    assert_eq!(mouse(b"\x1b[<65;1;1M").map(|mouse| mouse.kind), Some(MouseKind::ScrollDown));
    assert_eq!(mouse(b"\x1b[<32;3;4M").map(|mouse| mouse.kind), Some(MouseKind::Drag(0)));
    assert_eq!(mouse(b"\x1b[<35;3;4M").map(|mouse| mouse.kind), Some(MouseKind::Moved));
    assert_eq!(of(b"\x1b[M ad\x1b[<66;1;1M\x1b[<;1;1Mq"), "q");
    assert_eq!(of(b"\x1b[I\x1b[O"), "focus true focus false");
}

#[test]
fn a_key_stands_alone_only_when_nothing_came_with_or_before_it() {
    let mut splitter = Splitter::new(false);
    let mut alone = |bytes: &[u8], now| match splitter.feed(bytes, now).as_slice() {
        [Heard::Input(Input::Key(press))] => Some(press.alone),
        _ => None,
    };
    assert_eq!(alone(b"a", 1000), Some(true));
    assert_eq!(alone(b"a", 1029), Some(false), "29 ms later");
    assert_eq!(alone(b"a", 1059), Some(true), "30 ms later");
    assert_eq!(alone(b"\x1b[?61;4ca", 2000), Some(false), "behind an answer");
    assert_eq!(alone(b"\x1b[A", 3000), Some(true));
    assert_eq!(alone(b"a", 3010), Some(false));
    assert!(hear(&[b"ad"]).iter().all(|heard| matches!(heard, Heard::Input(Input::Key(press)) if !press.alone)));
}

/// Pieces of what a terminal may send, each whole.
fn piece() -> impl Strategy<Value = (Vec<u8>, bool)> {
    let keys: Vec<&'static [u8]> = vec![
        b"j",
        b"\x1b[A",
        b"\x1bOA",
        b"\x1bx",
        b"\x1b[97;5u",
        b"\r",
        b"\x1d",
        b"\x1b[15~",
        "ü".as_bytes(),
        "\u{1b}機".as_bytes(),
        b"\x1b[9999z",
        b"\x1b[27;5;93~",
    ];
    prop_oneof![
        4 => proptest::sample::select(keys).prop_map(|key| (key.to_vec(), true)),
        2 => proptest::sample::select(REPLIES.to_vec()).prop_map(|reply| (reply.to_vec(), false)),
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(|text| {
            let text: Vec<u8> = text.into_iter().filter(|byte| *byte != 0x1b).collect();
            ([b"\x1b[200~", text.as_slice(), b"\x1b[201~"].concat(), false)
        }),
    ]
}

proptest! {
    /// However a stream is cut, the same is heard; keys' bytes are the bytes that came, less answers and pastes.
    #[test]
    fn every_cut_gives_the_same_and_no_byte_of_a_key_is_lost(pieces in proptest::collection::vec(piece(), 0..12), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let all: Vec<u8> = pieces.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let at_once = whole(hear(&[&all]));
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(all.len() + 1)).chain([0, all.len()]).collect();
        at.sort_unstable();
        let parts: Vec<&[u8]> = at.windows(2).map(|pair| &all[pair[0]..pair[1]]).collect();
        prop_assert_eq!(&whole(hear(&parts)), &at_once);
        let bytes: Vec<&[u8]> = all.chunks(1).collect();
        prop_assert_eq!(&whole(hear(&bytes)), &at_once);
        let keys: Vec<u8> = pieces.iter().filter(|(_, is_key)| *is_key).flat_map(|(bytes, _)| bytes.clone()).collect();
        prop_assert_eq!(raw(&at_once), keys);
    }

    /// Nothing that comes at any time makes it fall over, and it always comes to rest.
    #[test]
    fn any_bytes_at_any_times_are_survived(pieces in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..30), 0..2000_u64), 0..20)) {
        let mut splitter = Splitter::new(false);
        let mut now = 0;
        for (bytes, after) in pieces {
            now += after;
            splitter.feed(&bytes, now);
        }
        splitter.tick(now + 10_000);
        prop_assert!(splitter.deadline().is_none(), "{:?}", splitter.state);
    }

    /// The same of the bytes that sequences are made of.
    #[test]
    fn any_cut_of_any_sequence_like_bytes_is_the_same(bytes in proptest::collection::vec(proptest::sample::select(b"\x1b\x1b\x1b[]OP_^X0129;<>?$~uRMmA\\\x07\x18ad".to_vec()), 0..60)) {
        let at_once = whole(hear(&[&bytes]));
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(whole(hear(&single)), at_once);
    }
}

//! Nothing that a terminal says by itself, and nothing that was pasted, is ever an answer.

use std::time::Duration;

use serde_json::json;

use super::{Stage, review};
use crate::support::{demo, screen::Screen};

/// What terminals answer, sooner or later, to what they were asked; `a` and `d` in it on purpose.
const REPLIES: &[(&str, &[u8])] = &[
    ("the background", b"\x1b]11;rgb:aaaa/dddd/aaaa\x1b\\"),
    ("the ink, ended by a bell", b"\x1b]10;rgb:dada/adad/dada\x07"),
    ("a colour of the palette", b"\x1b]4;1;rgb:aaaa/0000/dddd\x1b\\"),
    ("primary attributes", b"\x1b[?61;4;6;22c"),
    ("secondary attributes", b"\x1b[>41;354;0c"),
    ("tertiary attributes", b"\x1bP!|7E56aadd\x1b\\"),
    ("the cursor", b"\x1b[12;40R"),
    ("a mode", b"\x1b[?2026;2$y"),
    ("the version", b"\x1bP>|adatty(1.a)\x1b\\"),
    ("keyboard flags", b"\x1b[?1u"),
    ("graphics", b"\x1b_Gi=31;a=d,OK\x1b\\"),
    ("a private message", b"\x1b^add\x1b\\"),
    ("a string", b"\x1bXadd\x1b\\"),
    ("the clipboard", b"\x1b]52;c;YWFhZGRk\x07"),
    ("a setting", b"\x1bP1$r0;1ma\x1b\\"),
    ("a capability", b"\x1bP1+r544e=6164\x1b\\"),
    ("the window's size", b"\x1b[8;24;80t"),
    ("a title", b"\x1b]lad\x1b\\"),
    ("the focus", b"\x1b[O\x1b[I"),
    ("the mouse", b"\x1b[<0;10;10M\x1b[<0;10;10m"),
    ("an old mouse", b"\x1b[M !!"),
    ("the theme", b"\x1b[?997;1n"),
];

/// A press that counts shows that those before did not: the question is denied, once, with its hash.
#[track_caller]
fn only_a_key_counts(stage: &Stage, screen: &mut Screen) {
    assert_eq!(stage.fleet.decisions().iter().map(|asked| asked.line.clone()).collect::<Vec<_>>(), Vec::<String>::new(), "something was answered");
    screen.presses("d", "the answer", |_| !stage.fleet.decisions().is_empty());
    let decisions = stage.fleet.decisions();
    assert_eq!(decisions.len(), 1, "{decisions:?}");
    assert_eq!((&decisions[0].body["decision"], &decisions[0].body["sha256"]), (&json!("deny"), &json!(demo::HASH)));
}

#[test]
fn late_replies_cut_at_every_byte_answer_nothing() {
    let stage = Stage::one_question("rm -rf target");
    let mut screen = stage.open();
    review(&mut screen, "rm -rf target");
    for (what, reply) in REPLIES {
        for cut in 0..reply.len() {
            screen.keys(&reply[..cut]);
            screen.is_read();
            screen.keys(&reply[cut..]);
            screen.is_read();
        }
        assert_eq!(stage.fleet.decisions().len(), 0, "{what}");
    }
    screen.sees("rm -rf target");
    only_a_key_counts(&stage, &mut screen);
}

#[test]
fn replies_that_come_byte_by_byte_over_a_bad_line_answer_nothing() {
    let stage = Stage::one_question("rm -rf target");
    let mut screen = stage.open();
    review(&mut screen, "rm -rf target");
    for (what, reply) in REPLIES {
        for byte in *reply {
            screen.keys([*byte]);
            screen.is_read();
            // The bytes are far apart on purpose: farther than those of a key, and a lone `a` is alone in its read.
            std::thread::sleep(Duration::from_millis(45));
        }
        assert_eq!(stage.fleet.decisions().len(), 0, "{what}");
    }
    // An escape that stood alone for long enough is the key, and closes the review: that is harmless.
    screen.settled(Duration::from_millis(400));
    screen.keys("\x1b");
    screen.settled(Duration::from_millis(400));
    screen.presses("!", "the review", |screen| screen.shows().contains("keys armed"));
    only_a_key_counts(&stage, &mut screen);
}

#[test]
fn pastes_and_harmless_keys_answer_nothing() {
    let stage = Stage::one_question("rm -rf target");
    let mut screen = stage.open();
    review(&mut screen, "rm -rf target");
    let paste = b"\x1b[200~a\x1b[201~";
    for cut in 0..paste.len() {
        screen.keys(&paste[..cut]);
        screen.is_read();
        screen.keys(&paste[cut..]);
        screen.is_read();
    }
    for keys in ["\x1b[200~a\r\x1b[201~", "\x1b[200~y\ra\rd\r\x1b[201~", "y", "Y", "\r", " ", "\n", "aa", "ad", "a\r", "\x1b[200~aaaa", "a", "\x1b[201~"] {
        screen.keys(keys);
        screen.is_read();
    }
    only_a_key_counts(&stage, &mut screen);
}

#[test]
fn what_was_typed_before_the_review_was_there_answers_nothing() {
    let stage = Stage::one_question("rm -rf target");
    let mut screen = stage.open();
    for keys in ["aaaa", "a!a", "!a"] {
        screen.keys(keys);
        screen.is_read();
    }
    screen.sees("REVIEW");
    screen.sees("rm -rf target");
    only_a_key_counts(&stage, &mut screen);
}

//! The pictures in the docs are what the program draws now.
//!
//! `scripts/pictures` runs this and lets it write them.

use std::{path::PathBuf, time::Duration};

use super::{Stage, ready};
use crate::support::{demo, picture};

/// File, key that leads there, text that is there when all of it has come, and what the picture says to those who cannot see it.
const PICTURES: &[(&str, &str, &str, &str)] = &[
    ("overview", "1", "studio-mac", "The overview: every machine, what waits for an answer, what happened last"),
    ("peers", "2", "nas", "The paired machines, with address, state and what they may do"),
    ("context", "3", "build/sha", "The shared values under their keys"),
    ("messages", "4", "3 commits", "Messages between the machines"),
    ("tasks", "5", "waiting since", "What agents work on, on every machine, with the log of one of them"),
    ("terminal", "6", "cargo test", "A terminal that runs on, whoever looks"),
    ("pairing", "7", "482", "Six digits to compare while two machines pair"),
    ("review", "!", "rm -rf target", "The review of a command that an agent wants to run: nothing is allowed by Enter"),
];

/// The clock went on while the picture was taken, and a free port is another one each time.
fn timeless(svg: &str, port: u16) -> String {
    let mut svg = svg.replace(&format!(":{port}"), ":19532");
    // What happened in this minute happened at its end; the daemon began half past that one.
    for (minute, second) in [("14:01:", "52"), ("08:55:", "30")] {
        let mut parts = svg.split(minute);
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let digits = part.bytes().take(2).filter(u8::is_ascii_digit).count();
            out = out + minute + if digits == 2 { second } else { "" } + &part[if digits == 2 { 2 } else { 0 }..];
        }
        svg = out;
    }
    // A pairing counts down while it is looked at.
    for second in 0..60 {
        svg = svg.replace(&format!("(4:{second:02} left)"), "(4:52 left)");
    }
    svg
}

#[test]
fn the_pictures_in_the_docs_are_what_is_drawn_now() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/pictures"));
    let write = std::env::var_os("LOOPSY_PICTURES").is_some_and(|word| word == "write");
    let mut stale = Vec::new();
    for &(name, key, text, title) in PICTURES {
        // Each in its own run, so that none depends on what was done before.
        let stage = Stage::typical();
        if name == "messages" {
            let messages = demo::messages(stage.moment);
            stage.fleet.change(|world| world.context.extend(messages));
        }
        let mut screen = ready(stage.start(&[]).size(120, 40).open());
        screen.keys(key);
        screen.sees(text);
        // Keys that count only after a while say so.
        screen.loses("in a second");
        screen.until("armed keys", |screen| !screen.contents().contains("REVIEW") || screen.contents().contains("keys armed"));
        screen.settled(Duration::from_millis(400));
        let svg = timeless(&screen.look(|screen| picture::svg(screen, title)), stage.fleet.port());
        let path = folder.join(format!("{name}.svg"));
        if write {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &svg).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != svg {
            let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.svg"));
            std::fs::write(&kept, &svg).unwrap();
            stale.push(format!("docs/pictures/{name}.svg (now: {})", kept.display()));
        }
        screen.signal(rustix::process::Signal::TERM);
        screen.gives_back();
    }
    assert!(
        stale.is_empty(),
        "The program draws something else now: {}. `scripts/pictures` writes them anew; look at them before you commit.",
        stale.join(", ")
    );
}

#[test]
fn a_picture_has_the_texts_the_colours_and_the_styles_of_its_screen() {
    let side = |n| std::num::NonZeroU16::new(n).unwrap();
    let mut terminal = vt100::Parser::new(side(4), side(30), 0);
    terminal.process(
        "\u{1b}[1;31mred <&>\u{1b}[0m plain \u{1b}[7mturned\u{1b}[0m\r\n\u{1b}[48;5;4m blue \u{1b}[0m│漢字│\u{1b}[38;2;1;2;3mtrue\r\n14:01:37".as_bytes(),
    );
    let svg = timeless(&picture::svg(terminal.screen(), "A screen"), 1);
    for part in
        [">red &lt;&amp;&gt;<", "fill:#e06c75;font-weight:bold", "> plain <", ">turned<", "fill=\"#d5d8de\"", "fill=\"#6cabf0\"", ">漢<", "#010203", "14:01:52"]
    {
        assert!(svg.contains(part), "no {part} in {svg}");
    }
    assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
}

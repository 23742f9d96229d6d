//! The same in lines: for screen readers, simple terminals and pipes.

use serde_json::json;

use super::Stage;
use crate::support::demo;

#[test]
fn through_a_pipe_it_speaks_lines_and_nothing_else() {
    let stage = Stage::typical();
    let ran = stage.home.loopsy_with(&["tui", "--plain"], "peers\napprovals\nquit\n").ok();
    let text = ran.text();
    for name in ["studio-mac", "worker-1", "pi4", "rm -rf target"] {
        assert!(text.contains(name), "no `{name}` in {text}");
    }
    assert!(!text.contains('\u{1b}') && text.lines().all(|line| !line.contains('\r')), "{text:?}");
    assert!(!text.chars().any(|c| matches!(c, '\u{2500}'..='\u{259f}' | '\u{2800}'..='\u{28ff}')), "{text}");
    assert_eq!(stage.fleet.decisions().len(), 0);
}

#[test]
fn a_pipe_without_the_option_and_a_dumb_terminal_speak_lines_too() {
    let stage = Stage::typical();
    let ran = stage.home.loopsy_with(&["tui"], "quit\n").ok();
    assert!(!ran.text().contains('\u{1b}') && !ran.text().is_empty(), "{:?}", ran.text());
    let mut screen = stage.start(&[]).set("TERM", "dumb").open();
    screen.sees("plain");
    screen.keys("peers\r");
    screen.sees("studio-mac");
    screen.keys("quit\r");
    assert_eq!(screen.gives_back(), 0);
    assert!(!screen.bytes().contains(&0x1b), "{screen:?}");
}

#[test]
fn an_answer_in_lines_takes_the_whole_word() {
    let stage = Stage::one_question("rm -rf target");
    let mut screen = stage.start(&["--plain"]).size(100, 60).open();
    screen.sees("rm -rf target");
    screen.keys("approve 1\r");
    screen.sees("Type the word");
    // Whatever is no `approve` leaves it; what comes too soon is not looked at at all.
    screen.presses("y\r", "the question left", |screen| screen.shows().contains("Nothing was done"));
    assert_eq!(stage.fleet.decisions().len(), 0);
    screen.presses("approve 1\r", "the question again", |screen| screen.shows().matches("Type the word").count() == 2);
    screen.presses("approve\r", "the answer", |_| !stage.fleet.decisions().is_empty());
    screen.sees("Allowed by owner");
    let decisions = stage.fleet.decisions();
    assert_eq!(decisions.len(), 1, "{decisions:?}");
    assert_eq!((&decisions[0].body["decision"], &decisions[0].body["sha256"]), (&json!("allow"), &json!(demo::HASH)));
}

#[test]
fn hostile_texts_are_inert_in_lines_too() {
    let stage = Stage::with(|world| {
        world.peers[0]["hostname"] = json!("n\u{1b}]52;c;UFdO\u{7}\u{202e}PWN\nFORGED line");
        world.approvals[0]["input"] = json!({ "command": "echo \u{1b}[2J\u{1b}]0;PWN\u{7}\u{202e}done" });
    });
    let text = stage.home.loopsy_with(&["tui", "--plain"], "peers\napprovals\n1\nquit\n").ok().text();
    assert!(text.contains("PWN"), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text:?}");
    assert!(!text.lines().any(|line| line.starts_with("FORGED")), "{text}");
}

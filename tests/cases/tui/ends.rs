//! The terminal is given back, however it ends.

use rustix::process::Signal;

use super::{Stage, ready};
use crate::support::{
    Home,
    screen::{Screen, Start},
};

#[test]
fn a_key_and_every_signal_leave_the_terminal_as_it_was() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let stage = Stage::typical();
        let mut screen = stage.open();
        screen.signal(signal);
        screen.gives_back();
    }
}

#[test]
fn ctrl_c_twice_ends_it_and_once_does_not() {
    let stage = Stage::typical();
    let mut screen = stage.open();
    screen.keys("\u{3}");
    screen.sees("Ctrl-C again");
    assert!(screen.runs());
    screen.presses("\u{3}", "the end", |screen| screen.look(|screen| !screen.alternate_screen()));
    screen.gives_back();
}

#[test]
fn quitting_out_of_the_review_and_with_the_mouse_on_leaves_nothing_either() {
    let stage = Stage::typical();
    let mut screen = stage.open();
    screen.presses("M", "the mouse", |screen| screen.look(|screen| screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None));
    screen.keys("!");
    screen.sees("REVIEW");
    screen.signal(Signal::TERM);
    screen.gives_back();
    assert_eq!(stage.fleet.decisions().len(), 0);
}

#[test]
fn a_line_that_is_cut_ends_it() {
    let stage = Stage::typical();
    let screen = stage.open();
    let pid = screen.pid();
    // The window is gone, and with it the terminal.
    drop(screen);
    crate::support::until("its end", || (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
}

/// A shell with job control, in which the program is called `loopsy`.
fn shell(home: &Home) -> Screen {
    let mut plain = std::process::Command::new("/bin/bash");
    plain.args(["--norc", "--noprofile", "-i"]).env_clear().envs(home.command(&["tui"]).get_envs().filter_map(|(name, value)| Some((name, value?))));
    plain.env("PS1", "ready> ").env("BASH_SILENCE_DEPRECATION_WARNING", "1").current_dir(home.home());
    let mut screen = Start::of(&plain).open();
    screen.sees("ready>");
    screen.keys(format!("loopsy() {{ {} \"$@\"; }}; bind 'set enable-bracketed-paste off'; clear; echo begun\r", env!("CARGO_BIN_EXE_loopsy")));
    screen.until("a clean screen", |screen| screen.contents().starts_with("begun"));
    screen
}

#[test]
fn it_stops_and_goes_on_as_every_program_in_a_shell() {
    let stage = Stage::typical();
    let mut screen = shell(&stage.home);
    // Not the function: a function is not stopped as one.
    screen.keys(format!("{} tui\r", env!("CARGO_BIN_EXE_loopsy")));
    let mut screen = ready(screen);
    screen.keys("\u{1a}");
    screen.sees("Stopped");
    assert!(screen.look(|screen| !screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste()), "the shell has a strange terminal");
    screen.keys("echo still $((40 + 2))\r");
    screen.sees("still 42");
    screen.keys("fg\r");
    let mut screen = ready(screen);
    screen.keys("2");
    screen.sees("[2 Peers]");
    screen.keys("Q");
    screen.until("the shell", |screen| !screen.alternate_screen());
    screen.keys("stty -a; exit\r");
    screen.gives_back();
    let text = screen.shows();
    assert!(text.contains(" icanon") && text.contains(" echo ") && text.contains("isig "), "{text}");
}

#[test]
fn a_terminal_that_was_left_in_a_strange_state_is_put_right() {
    let home = Home::init("leo");
    let mut screen = shell(&home);
    screen.keys("printf '\\033[?1049h\\033[?1000h\\033[?1006h\\033[?1004h\\033[?25l\\033[>1u\\033[3 q\\033[1;7m'; stty -echo -icanon; loopsy tui --reset-terminal; echo r''ight; exit\r");
    screen.sees("right");
    screen.end();
    assert_eq!(screen.modes_left(), Vec::<String>::new());
    assert!(screen.is_sane() && screen.look(|screen| !screen.alternate_screen() && !screen.hide_cursor() && !screen.inverse()), "{screen:?}");
}

#[test]
fn what_is_left_on_is_noticed_by_these_tests() {
    let home = Home::init("leo");
    let mut screen = shell(&home);
    screen.keys("printf '\\033[?1049h\\033[?1000h\\033[?25l\\033[>1u\\033[3 q'; stty -echo; echo le''ft\r");
    screen.sees("left");
    assert_eq!(screen.modes_left(), ["?1000", "?1049", "?25", "cursor shape", "kitty keyboard"]);
    assert!(!screen.has_its_modes());
    screen.keys("printf '\\033[?1049l\\033[?1000l\\033[?25h\\033[<u\\033[0 q'; stty sane; exit\r");
    screen.end();
    assert_eq!(screen.modes_left(), Vec::<String>::new());
}

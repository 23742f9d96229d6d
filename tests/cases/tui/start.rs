//! How it begins: with a daemon, without one, without anything; and what happens when the daemon goes and comes.

use serde_json::json;

use loopsy_shared::api::{ai_tasks::TaskEvent, events::Event, health::Status, pairing::PairingStatus};

use super::{Stage, ready};
use crate::support::{Home, demo, screen::Start};

#[test]
fn the_daemon_of_these_tests_speaks_as_a_daemon_does() {
    let stage = Stage::typical();
    stage.fleet.look(|world| {
        let Event::Snapshot { peers, tasks, approvals, terminals, fleet, context, .. } = serde_json::from_value(world.snapshot()).unwrap() else {
            panic!("no snapshot")
        };
        assert_eq!((peers.len(), tasks.len(), approvals.len(), terminals.len(), fleet.len(), context.len()), (6, 2, 1, 1, 5, 5));
        serde_json::from_value::<Status>(world.status.clone()).unwrap();
        serde_json::from_value::<PairingStatus>(world.pairing.clone()).unwrap();
        for event in world.events.values().flatten() {
            serde_json::from_value::<TaskEvent>(event.clone()).unwrap();
        }
    });
    let told = stage.home.loopsy(&["approvals", "list"]).ok().text();
    assert!(told.contains("rm -rf target"), "{told}");
}

#[test]
fn the_fleet_is_on_the_screen_and_every_tab_opens_by_its_digit() {
    let stage = Stage::typical();
    let mut screen = stage.start(&[]).size(120, 40).open();
    for name in ["leo", "studio-mac", "worker-1", "ci-box", "pi4", "nas", "[!2]", "NAV"] {
        screen.sees(name);
    }
    for (key, title) in [("2", "Peers"), ("3", "Context"), ("4", "Messages"), ("5", "AI Tasks"), ("6", "Terminal"), ("7", "Pairing"), ("1", "Overview")] {
        screen.keys(key);
        screen.sees(&format!("[{key} {title}]"));
    }
    assert_eq!(stage.fleet.decisions().len(), 0);
    screen.keys("Q");
    assert_eq!(screen.gives_back(), 0);
}

#[test]
fn a_daemon_that_does_not_run_is_said_and_the_screen_comes_anyway() {
    let home = Home::init("leo");
    let mut screen = Start::of(&home.command(&["tui"])).open();
    screen.sees("[1 Overview]");
    screen.sees("does not run");
    screen.keys("Q");
    assert_eq!(screen.gives_back(), 0);
}

#[test]
fn a_runtime_file_of_a_daemon_that_was_killed_is_not_taken_for_one_that_runs() {
    let mut stage = Stage::typical();
    stage.fleet.kill();
    let mut screen = stage.start(&[]).open();
    screen.sees("[1 Overview]");
    screen.sees("S starts it");
    screen.keys("Q");
    assert_eq!(screen.gives_back(), 0);
}

#[test]
fn without_a_data_directory_it_offers_to_set_one_up_and_to_start() {
    let home = Home::bare("leo");
    let mut screen = Start::of(&home.command(&["tui"])).open();
    screen.sees("not set up");
    assert!(!home.data().exists(), "nothing is made unasked");
    screen.keys("Q");
    assert_eq!(screen.gives_back(), 0);
}

#[test]
fn a_daemon_that_dies_leaves_what_was_seen_and_comes_back_with_what_is_new() {
    let mut stage = Stage::typical();
    let mut screen = stage.open();
    screen.sees("studio-mac");
    stage.fleet.kill();
    screen.sees("does not answer since");
    screen.sees("studio-mac");
    // Keys are answered meanwhile.
    screen.keys("2");
    screen.sees("[2 Peers]");
    let more = demo::some_peer(stage.moment, 1, "newcomer");
    stage.fleet.change(|world| world.peers.push(more));
    stage.fleet.revive();
    screen.sees("newcomer");
    screen.loses("does not answer since");
    ready(screen);
}

#[test]
fn a_character_that_is_cut_between_two_pieces_of_the_stream_is_whole() {
    let stage = Stage::typical();
    let mut screen = stage.open();
    screen.keys("3");
    screen.sees("build/sha");
    let entry = demo::some_entry(stage.moment, "zahl/größe漢", "42");
    let text = format!("id: e-9\ndata: {}\n\n", json!({ "type": "context-changed", "entry": entry })).into_bytes();
    stage.fleet.send(text.iter().map(|byte| vec![*byte]).collect());
    screen.sees("zahl/größe漢");
}

#[test]
fn a_terminal_that_takes_its_time_still_answers_keys() {
    let stage = Stage::typical();
    let mut screen = stage.start(&[]).size(200, 50).slow(20_000).open();
    screen.sees("studio-mac");
    for number in 0..2000 {
        let entry = demo::some_entry(stage.moment, &format!("flood/{number}"), "x");
        stage.fleet.tell(&json!({ "type": "context-changed", "entry": entry }));
    }
    for (key, title) in [("2", "[2 Peers]"), ("3", "[3 Context]"), ("1", "[1 Overview]")] {
        screen.keys(key);
        screen.sees(title);
    }
    screen.pace(0);
    screen.keys("Q");
    assert_eq!(screen.gives_back(), 0);
}

//! Two real nodes that are paired: an agent is set to work there, watched here, and answered here.

use std::time::Instant;

use serde_json::json;

use crate::support::{
    PATIENCE, TestDaemon,
    agents::{Agent, Lab},
    model::Script,
    paired::{pair, paired},
    screen::{Screen, Start},
    until,
};

/// All rights of a paired machine at another.
const ALL: [&str; 8] = ["status", "context", "messages", "transfer", "execute", "ai-tasks", "approve", "terminal"];

fn trusts(holder: &TestDaemon, other: &TestDaemon) {
    let peers = holder.get("/api/v1/peers").ok().json();
    let peer = peers["peers"].as_array().unwrap().iter().find(|peer| peer["nodeId"] == other.node_id.as_str()).unwrap().clone();
    holder.call("PUT", &format!("/api/v1/peers/{}/scopes", peer["nodeId"].as_str().unwrap()), Some(json!({ "scopes": ALL }))).ok();
}

fn open(daemon: &TestDaemon) -> Screen {
    let screen = Start::of(&daemon.home.command(&["tui"])).size(120, 40).open();
    screen.sees(&format!("{} ok", daemon.home.name));
    screen
}

/// Agents take their time where much else runs.
#[track_caller]
fn patient(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE * 2 {
        if done() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(30));
    }
    until(what, || done().then_some(()));
}

#[test]
fn an_agent_there_is_set_to_work_watched_and_answered_here() {
    let script = Script::new().say("I make it.").shell("echo hi > made.txt", true).say("All is done.").usage(70, 30);
    let Some(mut lab) = Lab::new("an agent on another machine, in the control centre", Agent::Claude, script) else { return };
    lab.at(|there| {
        let here = TestDaemon::on_fixed_port("kai");
        pair(there, &here, "127.0.0.1", Some(there.port()));
        trusts(there, &here);
        let mut screen = open(&here);
        screen.sees("leo");
        screen.keys("5");
        screen.sees("[5 AI Tasks]");
        screen.keys("n");
        dispatch(&mut screen, "make the file", "leo", &lab.project().display().to_string());
        patient("the question", || screen.shows().contains("[!1]"));
        assert!(lab.made("made.txt").is_none(), "nothing runs unasked");
        screen.sees("I make it.");
        screen.keys("!");
        screen.sees("echo hi > made.txt");
        let made = || lab.made("made.txt");
        screen.presses("a", "the file there", |_| made().as_deref() == Some("hi\n"));
        screen.loses("[!1]");
        screen.keys("\u{1b}");
        patient("what the agent said last", || screen.shows().contains("All is done."));
        screen.keys("Q");
        assert_eq!(screen.gives_back(), 0);
    });
    lab.stop();
}

/// Fills in the form of a new task: prompt, machine, agent, directory, permissions, mode.
fn dispatch(screen: &mut Screen, prompt: &str, node: &str, folder: &str) {
    let chosen = |screen: &Screen, label: &str, value: &str| screen.shows().lines().any(|line| line.contains(label) && line.contains(value));
    screen.sees("Directory");
    screen.keys(prompt);
    screen.sees(prompt);
    screen.keys("\t");
    screen.presses("\x1b[C", "the machine", |screen| chosen(screen, "Machine", node));
    screen.keys("\t");
    screen.keys("\t");
    screen.keys(folder);
    screen.sees(folder);
    screen.keys("\t");
    screen.keys("\t");
    // What it is by itself depends on what the machine there says of its agents.
    screen.until("what agents there are", |screen| screen.contents().contains("that is claude"));
    screen.presses(" ", "no screen of its own", |screen| chosen(screen, "Mode", "headless"));
    screen.keys("\r");
}

#[test]
fn a_terminal_on_a_peer_is_opened_typed_into_and_left() {
    let both = paired();
    trusts(&both.kai, &both.leo);
    let mut screen = open(&both.leo);
    screen.keys("2");
    screen.sees("kai");
    screen.keys("t");
    screen.sees("[6 Terminal]");
    screen.sees("INPUT");
    screen.keys("echo there $((40 + 2))\r");
    screen.sees("there 42");
    // Keys of ours are the program's while it is typed into.
    screen.keys("echo Q!\r");
    screen.sees("Q!");
    screen.keys("\u{1d}");
    screen.sees("NAV");
    screen.keys("1");
    screen.sees("[1 Overview]");
    screen.keys("Q");
    assert_eq!(screen.gives_back(), 0);
    let terminals = both.kai.get("/api/v1/terminals").ok().json();
    assert_eq!(terminals["terminals"].as_array().unwrap().iter().filter(|terminal| terminal["exit"].is_null()).count(), 1, "it runs on: {terminals}");
}

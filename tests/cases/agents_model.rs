//! Whether what the tests of agents stand on holds: real agents take the scripted model for a real one, and the fake agent does as its plan says.

use std::{
    io::Write,
    process::{Child, Stdio},
};

use serde_json::{Value, json};

use crate::support::{
    Home, Ran,
    agents::{Agent, Lab},
    cli::finish,
    fake_agent::{FakeAgent, Plan},
    http,
    model::{Call, End, Fault, Model, Script},
    until,
};

fn hello() -> Script {
    Script::new().say("Hello from the script.")
}

fn make() -> Script {
    Script::new().say("I make it.").shell("echo hi > made.txt", false).say("It is made.").usage(700, 30)
}

/// What an agent printed, if it ended well.
fn said(ran: Ran) -> String {
    format!("{}\n{}", ran.ok().text(), "")
}

/// Runs an agent with a text, and with a command that it may run.
fn both(agent: Agent, line: &[&str], dialect: &str, allow: &[(&str, &str)]) {
    let test = format!("{} with a scripted model", agent.program());
    let Some(lab) = Lab::new(&test, agent, hello()) else { return };
    let text = said(lab.run(line));
    assert!(text.contains("Hello from the script."), "{text}");
    assert_eq!(lab.model.turns().len(), 1);
    drop(lab);

    let allowed = |setup: &mut crate::support::agents::Setup| allow.iter().for_each(|(name, value)| setup.set(name, value));
    let Some(mut lab) = Lab::with(&test, &[agent], make(), allowed) else { return };
    let text = said(lab.run(line));
    assert!(text.contains("It is made."), "{text}");
    assert_eq!(lab.made("made.txt").as_deref(), Some("hi\n"));
    let turns = lab.model.turns();
    assert_eq!(turns.iter().map(|asked| (asked.dialect, asked.turn, asked.end())).collect::<Vec<_>>(), [
        (dialect, Some(0), End::Whole),
        (dialect, Some(1), End::Whole)
    ]);
    assert_eq!(turns[0].calls.len(), 1);
    assert_eq!(turns[0].cwd, lab.project().to_str().unwrap());
    assert!(turns[0].texts.iter().any(|text| text.contains("make the file")));
    // It reaches the model and nothing else: there is nothing else.
    lab.stop();
}

#[test]
fn claude_code_takes_the_script_for_a_model() {
    both(Agent::Claude, &["claude", "-p", "--output-format", "json", "--allowedTools", "Bash", "--", "make the file"], "messages", &[]);
}

#[test]
fn codex_takes_the_script_for_a_model() {
    both(Agent::Codex, &["codex", "exec", "--json", "--skip-git-repo-check", "make the file"], "responses", &[]);
}

#[test]
fn the_gemini_cli_takes_the_script_for_a_model() {
    both(Agent::Gemini, &["gemini", "--approval-mode", "yolo", "-p", "make the file"], "gemini", &[]);
}

#[test]
fn opencode_takes_the_script_for_a_model() {
    let allow = ("OPENCODE_CONFIG_CONTENT", r#"{"permission":{"bash":"allow"}}"#);
    both(Agent::OpenCode, &["opencode", "run", "make the file"], "chat", &[allow]);
}

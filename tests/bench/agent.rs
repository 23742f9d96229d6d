//! An agent for the cases of tasks: this program itself, when it is started with [`MODE`] first. It speaks what Claude Code speaks on standard input and output,
//! as far as the cases need it, and its prompt says what it does:
//!
//! | Prompt | What it does |
//! |---|---|
//! | `burst N` | makes N pieces of text ready, waits for a message, says when it begins, and writes them as fast as they are taken |
//! | `paced N MICROS` | waits for a message, and writes N pieces with a pause before each; a piece has the time in it at which it was written |
//! | `asks N` | waits for a message, and asks N times whether it may run a command; after each answer it says when it had read that |
//!
//! Before it waits it says [`READY`]. Pieces are numbered from 0 on.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Stdin, Write as _},
    os::unix::fs::PermissionsExt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::{Result, node::Home};

/// The first argument of this program when it is an agent.
pub(crate) const MODE: &str = "__agent";
/// What it says when it waits.
pub(crate) const READY: &str = "ready";
/// What it says when it begins, before the time.
pub(crate) const BEGINS: &str = "begins at";
/// Pieces of one message. Whoever follows a message until its end holds that much text.
const PIECES: usize = 100;
const SESSION: &str = "5e551075-0000-4000-8000-000000000000";

/// Tells a home's daemon that this program is `claude`. Before it starts.
pub(crate) fn install(home: &Home, more: &str) -> Result<()> {
    let program = home.dir.join("claude");
    let this = std::env::current_exe()?;
    fs::write(&program, format!("#!/bin/sh\nexec '{}' {MODE} \"$@\"\n", this.display()))?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let mut config = fs::OpenOptions::new().append(true).open(home.dir.join("config.yaml"))?;
    writeln!(config, "agents: {{paths: {{claude: {:?}}}{more}}}", program.display().to_string())?;
    Ok(())
}

/// Nanoseconds of the clock that all processes share.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
}

/// The text of a piece. About as much as a model says at once.
pub(crate) fn piece(number: usize) -> String {
    format!("piece {number:07} of what an agent says, some words")
}

/// The time in a text, behind its last space.
pub(crate) fn time_in(text: &str) -> Option<u64> {
    text.rsplit(' ').next()?.parse().ok()
}

/// Runs as an agent.
pub(crate) fn run(args: &[String]) -> Result<()> {
    if args.iter().any(|arg| arg == "--version") {
        println!("2.1.329 (Claude Code)");
        return Ok(());
    }
    let mut input = BufReader::new(std::io::stdin());
    let hello = read(&mut input)?;
    let response = json!({ "subtype": "success", "request_id": hello["request_id"], "response": { "commands": [], "models": [] } });
    say(&json!({ "type": "control_response", "response": response }).to_string())?;
    let prompt = read(&mut input)?;
    let words: Vec<&str> = prompt["message"]["content"][0]["text"].as_str().unwrap_or_default().split(' ').collect();
    let number = |place: usize| words.get(place).and_then(|word| word.parse::<usize>().ok()).unwrap_or_default();
    let init = json!({
        "type": "system", "subtype": "init", "session_id": SESSION, "cwd": "/", "model": "bench", "tools": ["Bash"], "permissionMode": "default",
        "mcp_servers": [], "slash_commands": [], "uuid": SESSION,
    });
    say(&init.to_string())?;
    let ready = if words.first() == Some(&"burst") { burst(number(1)) } else { String::new() };
    say(&text(READY))?;
    read(&mut input)?;
    match words.first() {
        Some(&"burst") => {
            say(&text(&format!("{BEGINS} {}", now())))?;
            std::io::stdout().lock().write_all(ready.as_bytes())?;
        }
        Some(&"paced") => {
            for _ in 0..number(1) {
                std::thread::sleep(Duration::from_micros(number(2) as u64));
                say(&text(&format!("written at {}", now())))?;
            }
        }
        _ => (0..number(1)).try_for_each(|number| ask(number, &mut input))?,
    }
    let result = json!({
        "type": "result", "subtype": "success", "is_error": false, "result": "done", "session_id": SESSION, "num_turns": 1, "duration_ms": 5,
        "total_cost_usd": 0.01, "usage": { "input_tokens": 10, "output_tokens": 5 }, "uuid": SESSION,
    });
    say(&result.to_string())?;
    while input.read_line(&mut String::new())? > 0 {}
    Ok(())
}

/// Messages in pieces, each with its beginning and its whole.
fn burst(count: usize) -> String {
    let mut out = String::new();
    for first in (0..count).step_by(PIECES) {
        let id = format!("msg_{first}");
        let start = json!({ "type": "message_start", "message": { "id": id, "type": "message", "role": "assistant", "model": "bench", "content": [] } });
        event(&mut out, &start.to_string());
        let mut whole = String::new();
        for number in first..(first + PIECES).min(count) {
            let text = piece(number);
            event(&mut out, &delta(&text));
            whole.push_str(&text);
        }
        let message = json!({ "id": id, "type": "message", "role": "assistant", "model": "bench", "content": [{ "type": "text", "text": whole }] });
        let _infallible =
            writeln!(out, "{}", json!({ "type": "assistant", "message": message, "parent_tool_use_id": null, "session_id": SESSION, "uuid": SESSION }));
    }
    out
}

/// Asks, reads the answer, and says when that was.
fn ask(number: usize, input: &mut BufReader<Stdin>) -> Result<()> {
    let id = format!("ask-{number}");
    let request = json!({
        "subtype": "can_use_tool", "tool_name": "Bash", "tool_use_id": format!("toolu_{id}"), "permission_suggestions": [],
        "input": { "command": format!("touch {number}"), "description": "Run a command" },
    });
    say(&json!({ "type": "control_request", "request_id": id, "request": request }).to_string())?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    let at = now();
    let allowed = answer.contains("\"behavior\":\"allow\"") && answer.contains(&id);
    if allowed { say(&text(&format!("allowed at {at}"))) } else { Err(format!("not the answer to {id}: {answer}").into()) }
}

/// A piece that is a block of its own.
fn text(text: &str) -> String {
    let mut out = String::new();
    event(&mut out, &delta(text));
    out.pop();
    out
}

/// Fields in the order of the real agent.
fn delta(text: &str) -> String {
    format!(r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":{}}}}}"#, json!(text))
}

fn event(out: &mut String, event: &str) {
    let _infallible = writeln!(out, r#"{{"type":"stream_event","event":{event},"session_id":"{SESSION}","parent_tool_use_id":null,"uuid":"{SESSION}"}}"#);
}

fn say(line: &str) -> Result<()> {
    Ok(std::io::stdout().lock().write_all(format!("{line}\n").as_bytes())?)
}

fn read(input: &mut BufReader<Stdin>) -> Result<Value> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

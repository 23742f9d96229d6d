//! Whether what the tests of agents stand on holds: real agents take the scripted model for a real one, and the fake agent does as its plan says.

use std::{
    io::{BufRead, BufReader, Lines, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::{
    Answer, Home,
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
    let script = Script::new().say("I make it.").shell("echo hi > made.txt", false);
    script.write("notes.txt", "one\ntwo\n").edit("notes.txt", "two", "three").say("It is made.").usage(700, 30)
}

/// Runs an agent with a text, and with a command that it may run.
fn both(agent: Agent, line: &[&str], dialect: &str, allow: &[(&str, &str)]) {
    let test = format!("{} with a scripted model", agent.program());
    let Some(lab) = Lab::new(&test, agent, hello()) else { return };
    let text = lab.run(line).ok().text();
    assert!(text.contains("Hello from the script."), "{text}");
    assert_eq!(lab.model.turns().len(), 1);
    drop(lab);

    let allowed = Lab::with(&test, &[agent], make(), |setup| allow.iter().for_each(|(name, value)| setup.set(name, value)));
    let Some(mut lab) = allowed else { return };
    let text = lab.run(line).ok().text();
    assert!(text.contains("It is made."), "{text}");
    assert_eq!(lab.made("made.txt").as_deref(), Some("hi\n"));
    let turns = lab.model.turns();
    assert_eq!(turns.iter().map(|asked| asked.turn.unwrap()).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(turns.iter().all(|asked| asked.dialect == dialect && asked.end() == End::Whole && !asked.tools.is_empty()));
    assert!(turns[3].body.to_string().contains("I make it.") && turns[3].headers.contains_key("user-agent") && !turns[3].model.is_empty());
    assert_eq!(lab.made("notes.txt").as_deref(), Some("one\nthree\n"));
    assert_eq!(turns[0].calls.len(), 1);
    assert_eq!(turns[0].cwd, lab.project().to_str().unwrap());
    assert!(turns[0].texts.iter().any(|text| text.contains("make the file")));
    lab.stop();
    lab.launch();
    // The node finds the same program.
    let found = lab.post("/api/v1/execute", json!({ "command": agent.program(), "args": ["--version"] })).ok().json();
    lab.get("/api/v1/health").ok();
    assert!(lab.loopsy(&["status"]).ok().text().contains("leo"));
    assert!(found["stdout"].as_str().unwrap().contains(&agent.version()), "{found}");
}

#[test]
fn claude_code_takes_the_script_for_a_model() {
    both(Agent::Claude, &["claude", "-p", "--output-format", "json", "--allowedTools", "Bash,Write,Edit,Read", "--", "make the file"], "messages", &[]);
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
    let allow = ("OPENCODE_CONFIG_CONTENT", r#"{"permission":{"bash":"allow","edit":"allow"}}"#);
    both(Agent::OpenCode, &["opencode", "run", "make the file"], "chat", &[allow]);
}

/// A request of Claude Code, shortened.
fn message(history: &[(&str, &str)]) -> Value {
    let messages: Vec<Value> = history.iter().map(|(role, text)| json!({ "role": role, "content": text })).collect();
    let tools = json!([{ "name": "Bash" }, { "name": "Write" }, { "name": "Edit" }, { "name": "AskUserQuestion" }]);
    json!({ "model": "one", "system": "Working directory: /src/demo", "messages": messages, "tools": tools })
}

fn ask(model: &Model, session: &str, body: &Value) -> Answer {
    let headers = [("x-session", session), ("Content-Type", "application/json")];
    http::request(SocketAddr::from(([127, 0, 0, 1], model.port)), "POST", "/v1/messages", &headers, Some(body.to_string().as_bytes()))
}

#[test]
fn a_script_is_heard_turn_by_turn_in_every_session() {
    let script = Script::new()
        .thinks("Hm.")
        .say("First.")
        .write("a.txt", "one\n")
        .edit("a.txt", "one", "two")
        .at_once([Call::shell("true", false), Call::shell("false", true)])
        .ask("Which?", &["this", "that"])
        .own("Bash", json!({ "command": "x" }))
        .own("Nothing", json!({}));
    let model = Model::start(script.clone());
    let mut history = vec![("user", "begin")];
    let mut content = Vec::new();
    for _ in 0..7 {
        let answer = ask(&model, "a", &message(&history)).ok().json();
        content.push(answer["content"].clone());
        history.extend([("assistant", "..."), ("user", "...")]);
    }
    let kinds = |turn: usize| content[turn].as_array().unwrap().iter().map(|block| block["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(kinds(0), ["thinking", "text", "tool_use"]);
    assert_eq!(content[0][2]["input"], json!({ "file_path": "/src/demo/a.txt", "content": "one\n" }));
    assert_eq!(content[1][0]["input"], json!({ "file_path": "/src/demo/a.txt", "old_string": "one", "new_string": "two" }));
    assert_eq!(kinds(2), ["tool_use", "tool_use"]);
    assert_eq!(content[3][0]["input"]["questions"][0]["options"][1]["label"], "that");
    assert_eq!(content[4][0]["input"], json!({ "command": "x" }));
    assert!(content[5][0]["text"].as_str().unwrap().contains("There is no tool"));
    assert_eq!(content[6][0]["text"], "There is no turn 7 in the script.");
    // Another session, and one that goes on where the first was.
    assert_eq!(ask(&model, "b", &message(&history[..1])).json()["content"][1]["text"], "First.");
    assert_eq!(
        ask(&model, "c", &message(&history[..3])).json()["content"],
        content[1].to_string().replace("call_00000002", "call_00000009").parse::<Value>().unwrap()
    );
    assert_eq!(model.turns().len(), 9);
    let again = Model::start(script.again());
    assert_eq!(ask(&again, "a", &message(&history[..13])).json()["content"][1]["text"], "First.");
}

#[test]
fn a_fault_strikes_as_often_as_it_is_told_to_in_each_session() {
    let model =
        Model::start(Script::new().fails(2, Fault::RateLimited { retry_after: 3 }).say("Well.").fails(1, Fault::Overloaded).always_fails(Fault::Refused));
    let first = message(&[("user", "begin")]);
    for session in ["a", "b"] {
        for _ in 0..2 {
            let refused = ask(&model, session, &first);
            assert_eq!((refused.status, refused.header("retry-after")), (429, Some("3")));
            assert_eq!(refused.json()["error"]["type"], "rate_limit_error");
        }
        assert_eq!(ask(&model, session, &first).ok().json()["content"][0]["text"], "Well.");
    }
    let second = message(&[("user", "begin"), ("assistant", "Well."), ("user", "more")]);
    assert_eq!(ask(&model, "a", &second).status, 529);
    assert_eq!(ask(&model, "a", &second).status, 200);
    let third = message(&[("user", "begin"), ("assistant", "Well."), ("user", "more"), ("assistant", ""), ("user", "more")]);
    for _ in 0..3 {
        assert_eq!(ask(&model, "a", &third).status, 400);
    }
    let used_up = Model::start(Script::new().always_fails(Fault::UsedUp { resets_in: 3600 }));
    assert_eq!(ask(&used_up, "a", &first).header("anthropic-ratelimit-unified-status"), Some("rejected"));
}

#[test]
fn a_stream_is_held_until_it_may_go_on_and_ends_as_it_is_noted() {
    let mut body = message(&[("user", "begin")]);
    body["stream"] = true.into();
    let streamed = |model: &Model| {
        let mut events = crate::support::Sse::open(SocketAddr::from(([127, 0, 0, 1], model.port)), "key", "POST", "/v1/messages", None, Some(&body));
        assert_eq!(events.status, 200);
        until("the last of the text", || (events.next().data["delta"]["text"] == "\n3").then_some(()));
        events
    };
    let model = Model::start(Script::new().say("Counting:").counts(3).held());
    let mut events = streamed(&model);
    assert_eq!(model.requests()[0].end(), End::Running);
    model.go_on();
    until("the end", || events.try_next().unwrap().is_none().then_some(()));
    until("the note", || (model.requests()[0].end() == End::Whole).then_some(()));

    let model = Model::start(Script::new().say("Counting:").counts(3).paced(std::time::Duration::from_millis(1)).held());
    drop(streamed(&model));
    until("the note that the agent hung up", || (model.requests()[0].end() == End::Cut).then_some(()));

    let model = Model::start(Script::new().fails(1, Fault::Cut).say("Counting:").counts(3));
    let mut events = streamed(&model);
    events.try_next().expect_err("a cut");
    assert_eq!(model.requests()[0].end(), End::Cut);
}

/// A fake agent that somebody talks to.
struct Talk {
    child: Child,
    to: Option<ChildStdin>,
    from: Lines<BufReader<ChildStdout>>,
}

impl Talk {
    fn start(fake: &FakeAgent) -> Self {
        let mut child = Command::new(fake.program()).args(["-p", "x y"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        Self { to: child.stdin.take(), from: BufReader::new(child.stdout.take().unwrap()).lines(), child }
    }

    fn tell(&mut self, line: &Value) {
        writeln!(self.to.as_mut().unwrap(), "{line}").unwrap();
    }

    fn hear(&mut self) -> Value {
        serde_json::from_str(&self.from.next().unwrap().unwrap()).unwrap()
    }

    fn begin(&mut self) {
        self.tell(&json!({ "type": "control_request", "request_id": "first", "request": { "subtype": "initialize" } }));
        assert_eq!(self.hear()["response"]["request_id"], "first");
        self.tell(&json!({ "type": "user", "message": { "role": "user", "content": "make the file" } }));
        assert_eq!(self.hear()["subtype"], "init");
    }
}

#[test]
fn the_fake_agent_asks_and_does_as_it_is_told() {
    let mut home = Home::bare("leo");
    let (yes, no) = (home.root().join("yes"), home.root().join("no"));
    let plan = Plan::begun("s-1").ask("echo hi > made.txt", &yes).ask("rm -r \"x\\n\"", &no).text("Done.").result("Done.").step("listen").step("exit 3");
    let fake = FakeAgent::install(&mut home, "claude", &plan);
    assert_eq!(
        finish(Command::new(fake.program()).arg("--version").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(), Vec::new()).text(),
        "2.1.329 (Claude Code)\n"
    );

    let mut talk = Talk::start(&fake);
    talk.begin();
    for (id, behaviour) in [("ask-1", "allow"), ("ask-2", "deny")] {
        assert_eq!(talk.hear()["request_id"], id);
        talk.tell(&json!({ "type": "control_response", "response": { "subtype": "success", "request_id": id, "response": { "behavior": behaviour } } }));
    }
    assert_eq!(talk.hear()["message"]["content"][0]["text"], "Done.");
    assert_eq!(talk.hear()["type"], "result");
    assert!(yes.exists() && !no.exists() && home.root().join("no.no").exists());
    drop(talk.to.take());
    assert_eq!(talk.child.wait().unwrap().code(), Some(3));
    let run = &fake.runs()[0];
    assert_eq!((run.pid(), run.args(), run.is_over()), (talk.child.id(), vec!["-p".to_owned(), "x y".to_owned()], false));
    assert_eq!(run.heard().len(), 4);
    assert!(run.environment().iter().any(|line| line.starts_with("PATH=")));
}

#[test]
fn the_fake_agent_floods_and_ends_as_no_real_one_should() {
    let mut home = Home::bare("leo");
    let plan = Plan::begun("s-1").texts(20_000, &home).step("long 100000000").step("touch /dev/null").step("half {\"type\":");
    let fake = FakeAgent::install(&mut home, "claude", &plan);
    let mut talk = Talk::start(&fake);
    talk.begin();
    for number in 1..=20_000 {
        let line = talk.from.next().unwrap().unwrap();
        assert!(line.contains(&format!("\"text {number}\"")), "{line}");
    }
    assert_eq!(talk.from.next().unwrap().unwrap().len(), 100_000_000);
    assert_eq!(talk.from.next().unwrap().unwrap(), "{\"type\":");
    assert!(talk.child.wait().unwrap().success() && fake.runs()[0].is_over());

    // It ends while it asks when nobody listens any more.
    fake.plan(&Plan::begun("s-2").version("9.9.9").ask("true", &home.root().join("never")));
    let mut talk = Talk::start(&fake);
    talk.begin();
    talk.hear();
    drop(talk.to.take());
    assert!(talk.child.wait().unwrap().success());
    assert!(!home.root().join("never").exists() && !home.root().join("never.no").exists());
}

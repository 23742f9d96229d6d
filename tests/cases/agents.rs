//! Tasks of the real agents, each in the version that is pinned, with a model that says what a test tells it to.

use serde_json::{Value, json};

use crate::support::{
    agents::{Agent, Lab},
    model::{Call, Fault, Script},
    until,
};

const ALL: [Agent; 4] = [Agent::Claude, Agent::Codex, Agent::Gemini, Agent::OpenCode];

fn start(lab: &Lab, agent: Agent, more: &Value) -> String {
    let mut body = json!({ "prompt": "make the file", "cwd": lab.project(), "agent": agent.program() });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = lab.post("/api/v1/ai-tasks", body);
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["taskId"].as_str().unwrap().to_owned()
}

fn task(lab: &Lab, id: &str) -> Value {
    lab.get(&format!("/api/v1/ai-tasks/{id}")).ok().json()
}

/// Waits for the end of a task, which real agents take their time for.
fn end(lab: &Lab, id: &str) -> Value {
    let ended = |task: &Value| ["completed", "failed", "cancelled"].contains(&task["status"].as_str().unwrap());
    long("the task's end", || Some(task(lab, id)).filter(ended))
}

fn completed(lab: &Lab, id: &str) -> Value {
    let task = end(lab, id);
    assert_eq!(task["status"], "completed", "{task}\n{:#?}", events(lab, id));
    task
}

/// Agents start slowly where much else runs: three times the usual patience.
fn long<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..2 {
        let begun = std::time::Instant::now();
        while begun.elapsed() < crate::support::PATIENCE {
            if let Some(found) = look() {
                return found;
            }
            std::thread::sleep(std::time::Duration::from_millis(30));
        }
    }
    until(what, look)
}

fn events(lab: &Lab, id: &str) -> Vec<Value> {
    lab.get(&format!("/api/v1/ai-tasks/{id}/events?limit=10000")).ok().json()["events"].as_array().unwrap().clone()
}

fn of(events: &[Value], kind: &str) -> Vec<Value> {
    events.iter().filter(|event| event["type"] == kind).map(|event| event["data"].clone()).collect()
}

fn said(events: &[Value]) -> String {
    of(events, "text").iter().filter_map(Value::as_str).collect()
}

fn open(lab: &Lab) -> Vec<Value> {
    lab.get("/api/v1/approvals").ok().json()["approvals"].as_array().unwrap().clone()
}

fn question(lab: &Lab) -> Value {
    long("a question", || open(lab).into_iter().next())
}

fn decide(lab: &Lab, question: &Value, more: Value) -> Value {
    let mut body = json!({ "sha256": question["sha256"] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    lab.post(&format!("/api/v1/approvals/{}", question["id"].as_str().unwrap()), body).ok().json()
}

/// A command is asked for with all of it, a yes lets it run, a no does not, and both come back with what came of them.
fn asks(agent: Agent) {
    let script = || Script::new().say("I make it.").shell("echo hi > made.txt", true).say("All is done.").usage(70, 30);
    let Some(mut lab) = Lab::new(&format!("a task of {}", agent.program()), agent, script()) else { return };
    let id = start(&lab, agent, &json!({}));
    let asked = question(&lab);
    assert!(asked.to_string().contains("echo hi > made.txt"), "{asked}");
    assert_eq!((&asked["kind"], &asked["agent"], &asked["state"]), (&json!("tool"), &json!(agent.program()), &json!("pending")));
    assert!(lab.made("made.txt").is_none(), "nothing runs unasked");
    let answered = decide(&lab, &asked, json!({ "decision": "allow" }));
    assert_eq!(answered["decision"]["delivered"], true, "{answered}");
    let ended = completed(&lab, &id);
    assert_eq!(lab.made("made.txt").as_deref(), Some("hi\n"));
    assert_eq!(ended["agentVersion"], agent.version());
    assert!(ended["sessionId"].is_string(), "{ended}");
    let all = events(&lab, &id);
    assert!(said(&all).contains("I make it.") && said(&all).contains("All is done."), "{}", said(&all));
    assert!(of(&all, "tool_use").iter().any(|tool| tool.to_string().contains("echo hi > made.txt")), "{all:#?}");
    assert_eq!(of(&all, "tool_result").len(), 1, "{all:#?}");
    assert!(ended["usage"]["outputTokens"].as_u64() > Some(0), "{ended}");
    let pid_files = lab.processes().len();
    assert!(pid_files <= 2, "the agent has ended: {:?}", lab.processes());

    std::fs::remove_file(lab.project().join("made.txt")).unwrap();
    let id = start(&lab, agent, &json!({}));
    let asked = question(&lab);
    decide(&lab, &asked, json!({ "decision": "deny", "reason": "not now" }));
    end(&lab, &id);
    assert!(lab.made("made.txt").is_none(), "a no is a no");
    lab.stop();
}

#[test]
fn claude_code_asks_and_does_what_a_person_says() {
    asks(Agent::Claude);
}

#[test]
fn codex_asks_and_does_what_a_person_says() {
    asks(Agent::Codex);
}

#[test]
fn the_gemini_cli_asks_and_does_what_a_person_says() {
    asks(Agent::Gemini);
}

#[test]
fn opencode_asks_and_does_what_a_person_says() {
    asks(Agent::OpenCode);
}

/// A session goes on with another message, also after a restart of the daemon.
fn goes_on(agent: Agent) {
    let script = Script::new().say("First.").again().say("Second.").again().say("Third.");
    let Some(mut lab) = Lab::new(&format!("a session of {}", agent.program()), agent, script) else { return };
    let id = start(&lab, agent, &json!({}));
    let session = completed(&lab, &id)["sessionId"].clone();
    // Gemini CLI opens a session again only in another minute, and one such wait is enough.
    let turns = if agent == Agent::Gemini { 2 } else { 3 };
    if turns == 3 {
        lab.post(&format!("/api/v1/ai-tasks/{id}/message"), json!({ "text": "and then?" })).ok();
        long("the second turn", || (task(&lab, &id)["turns"] == 2).then_some(()));
        completed(&lab, &id);
    }
    lab.stop();
    lab.launch();
    lab.post(&format!("/api/v1/ai-tasks/{id}/resume"), json!({ "prompt": "go on" })).ok();
    long("the next turn", || (task(&lab, &id)["turns"] == turns).then_some(()));
    let ended = completed(&lab, &id);
    assert_eq!(ended["sessionId"], session);
    let turns = lab.model.turns();
    assert!(turns.last().unwrap().texts.iter().any(|text| text.contains("go on")), "the model has the whole history");
    assert!(turns.last().unwrap().texts.iter().any(|text| text.contains("make the file")), "the model has the whole history");
    let numbers: Vec<u64> = events(&lab, &id).iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}

#[test]
fn a_session_of_claude_code_goes_on() {
    goes_on(Agent::Claude);
}

#[test]
fn a_session_of_codex_goes_on() {
    goes_on(Agent::Codex);
}

#[test]
fn a_session_of_the_gemini_cli_goes_on() {
    goes_on(Agent::Gemini);
}

#[test]
fn a_session_of_opencode_goes_on() {
    goes_on(Agent::OpenCode);
}

#[test]
fn another_input_and_a_rule_of_claude_code_are_taken_as_they_were_given() {
    let script = Script::new().say("I make it.").shell("echo wrong > made.txt", false).shell("curl --version", false).shell("curl --version", false);
    let Some(lab) = Lab::new("another input", Agent::Claude, script.say("Done.")) else { return };
    let id = start(&lab, Agent::Claude, &json!({}));
    let asked = question(&lab);
    assert!(asked["mayEdit"] == true && asked["rules"][0]["command"].is_string(), "{asked}");
    decide(&lab, &asked, json!({ "decision": "allow", "input": { "command": "echo right > made.txt", "description": "mended" } }));
    let second = long("the second question", || open(&lab).into_iter().find(|next| next["id"] != asked["id"]));
    let suggestions = second["suggestions"].as_array().unwrap();
    assert!(suggestions.iter().all(|one| !one["label"].as_str().unwrap().is_empty()), "{second}");
    let place = suggestions.iter().position(|one| one["rule"]["type"] == "addRules").unwrap();
    decide(&lab, &second, json!({ "decision": "always", "suggestion": place }));
    completed(&lab, &id);
    assert_eq!(lab.made("made.txt").as_deref(), Some("right\n"));
    let asked: Vec<Value> = lab.get("/api/v1/approvals?all=true").ok().json()["approvals"].as_array().unwrap().clone();
    assert_eq!(asked.len(), 2, "the third use fell under the rule: {asked:#?}");
}

#[test]
fn an_edit_is_shown_as_a_diff_and_a_question_with_its_choices() {
    let script = Script::new().write("notes.txt", "one\n").edit("notes.txt", "one", "two").ask("Which database?", &["SQLite", "Postgres"]).say("Thank you.");
    let Some(lab) = Lab::new("an edit and a question", Agent::Claude, script) else { return };
    let id = start(&lab, Agent::Claude, &json!({}));
    let asked = question(&lab);
    assert!(asked["diff"].as_str().is_some_and(|diff| diff.contains("+one")) && asked["paths"][0]["inside"] == true, "{asked}");
    decide(&lab, &asked, json!({ "decision": "allow" }));
    let second = long("the edit", || open(&lab).into_iter().find(|next| next["id"] != asked["id"]));
    let diff = second["diff"].as_str().unwrap();
    assert!(diff.contains("-one") && diff.contains("+two"), "{diff}");
    decide(&lab, &second, json!({ "decision": "allow" }));
    let third = long("the question", || open(&lab).into_iter().find(|next| next["kind"] == "question"));
    assert_eq!(third["questions"][0]["question"], "Which database?");
    assert_eq!(third["questions"][0]["options"][1]["label"], "Postgres");
    let answers = json!({ third["questions"][0]["id"].as_str().unwrap(): ["Postgres"] });
    decide(&lab, &third, json!({ "decision": "allow", "answers": answers }));
    completed(&lab, &id);
    assert_eq!(lab.made("notes.txt").as_deref(), Some("two\n"));
    let heard = lab.model.turns().last().unwrap().body.to_string();
    assert!(heard.contains("Postgres"), "the answer reaches the model");
    let uses = of(&events(&lab, &id), "tool_use");
    assert!(uses.iter().any(|tool| tool["diff"].as_str().is_some_and(|diff| diff.contains("+two"))), "{uses:#?}");
}

#[test]
fn two_calls_at_once_are_two_questions_of_codex() {
    let calls = [Call::shell("echo one > one.txt", true), Call::shell("echo two > two.txt", true)];
    let Some(lab) = Lab::new("two calls at once", Agent::Codex, Script::new().say("Both.").at_once(calls).say("Done.")) else { return };
    let id = start(&lab, Agent::Codex, &json!({}));
    let both = long("two questions", || Some(open(&lab)).filter(|open| open.len() == 2));
    assert_eq!(task(&lab, &id)["approvals"].as_array().unwrap().len(), 2);
    let (one, two): (Vec<_>, Vec<_>) = both.into_iter().partition(|asked| asked["input"].to_string().contains("one.txt"));
    decide(&lab, &two[0], json!({ "decision": "allow" }));
    decide(&lab, &one[0], json!({ "decision": "deny" }));
    end(&lab, &id);
    assert!(lab.made("one.txt").is_none() && lab.made("two.txt").is_some());
}

#[test]
fn a_turn_is_interrupted_and_its_session_goes_on() {
    for agent in [Agent::Claude, Agent::Codex] {
        let script = Script::new().say("Counting slowly.").held().again().say("Here I am.").again().say("Here I am.");
        let Some(lab) = Lab::new("an interruption", agent, script) else { return };
        let id = start(&lab, agent, &json!({}));
        long("it works", || (!lab.model.turns().is_empty() && task(&lab, &id)["sessionId"].is_string()).then_some(()));
        let stopped = lab.post(&format!("/api/v1/ai-tasks/{id}/interrupt"), json!({})).ok().json();
        assert_eq!((&stopped["status"], &stopped["endedBy"]), (&json!("cancelled"), &json!("interrupt")), "{stopped}");
        lab.model.go_on();
        lab.post(&format!("/api/v1/ai-tasks/{id}/message"), json!({ "text": "are you there?" })).ok();
        completed(&lab, &id);
        let last = lab.model.turns().pop().unwrap();
        assert!(last.texts.iter().any(|text| text.contains("are you there?")), "{}", agent.program());
        assert!(last.texts.iter().any(|text| text.contains("make the file")), "{}: the session is the same", agent.program());
    }
}

#[test]
fn a_model_that_refuses_or_is_overloaded_is_said_and_not_taken_for_success() {
    let Some(lab) = Lab::new("an overloaded model", Agent::Claude, Script::new().fails(1, Fault::Overloaded).say("Recovered.")) else { return };
    let id = start(&lab, Agent::Claude, &json!({}));
    completed(&lab, &id);
    let all = events(&lab, &id);
    assert!(of(&all, "system").iter().any(|data| data["subtype"] == "retry"), "{all:#?}");
    for agent in ALL {
        let Some(lab) = Lab::new("a model that refuses", agent, Script::new().always_fails(Fault::Refused)) else { return };
        let id = start(&lab, agent, &json!({}));
        let ended = end(&lab, &id);
        assert_eq!(ended["status"], "failed", "{}: {ended}", agent.program());
        assert!(!ended["error"].as_str().unwrap().is_empty());
    }
}

/// Asked in the evening, answered in the morning, after the machine was off in between.
#[test]
fn a_parked_question_is_answered_after_a_restart() {
    let script = Script::new().say("I make it.").shell("echo hi > made.txt", false).say("All is done.");
    let parked = |setup: &mut crate::support::agents::Setup| {
        let config = std::fs::read_to_string(setup.home.config()).unwrap() + "\napprovals:\n  parkAfter: 300\n";
        std::fs::write(setup.home.config(), config).unwrap();
    };
    let Some(mut lab) = Lab::with("a parked question", &[Agent::Claude], script, parked) else { return };
    let id = start(&lab, Agent::Claude, &json!({ "park": true }));
    let asked = long("the question is parked", || open(&lab).into_iter().find(|asked| asked["state"] == "parked"));
    long("the agent's end", || task(&lab, &id)["pid"].is_null().then_some(()));
    assert_eq!(task(&lab, &id)["status"], "waiting_approval");
    assert!(lab.made("made.txt").is_none());
    lab.stop();
    lab.launch();
    assert_eq!(open(&lab)[0]["id"], asked["id"]);
    decide(&lab, &asked, json!({ "decision": "allow" }));
    completed(&lab, &id);
    assert_eq!(lab.made("made.txt").as_deref(), Some("hi\n"));
    assert_eq!(lab.model.turns().len(), 2, "the model was not asked again for the same");
    let after = lab.get(&format!("/api/v1/approvals/{}", asked["id"].as_str().unwrap())).ok().json();
    assert_eq!((&after["state"], &after["decision"]["delivered"]), (&json!("allowed"), &json!(true)));
    assert!(!std::fs::exists(lab.daemon.home.home().join(".claude/settings.json")).unwrap(), "nothing of the person's own was touched");
}

#[test]
fn an_interactive_task_has_its_own_screen_and_its_questions_are_everywhere() {
    let script = Script::new().say("I make it.").shell("echo hi > made.txt", false).say("All is done.").again().say("There is more.");
    let Some(mut lab) = Lab::new("an interactive task", Agent::Claude, script) else { return };
    let id = start(&lab, Agent::Claude, &json!({ "mode": "interactive", "size": [100, 30] }));
    let terminal = long("a terminal", || task(&lab, &id)["terminalId"].as_str().map(str::to_owned));
    let screen = || lab.get(&format!("/api/v1/terminals/{terminal}/text")).ok().json()["lines"].to_string();
    let asked = question(&lab);
    assert_eq!((&asked["tool"], &asked["input"]["command"]), (&json!("Bash"), &json!("echo hi > made.txt")));
    assert_eq!(task(&lab, &id)["status"], "waiting_approval");
    assert!(screen().contains("make the file"), "{}", screen());
    assert!(lab.made("made.txt").is_none());
    decide(&lab, &asked, json!({ "decision": "allow" }));
    long("the file", || lab.made("made.txt"));
    long("the end of the turn", || screen().contains("All is done.").then_some(()));
    let all = long("the result", || Some(events(&lab, &id)).filter(|all| !of(all, "result").is_empty()));
    for kind in ["tool_use", "permission_request", "tool_result", "result"] {
        assert!(!of(&all, kind).is_empty(), "{kind}: {all:#?}");
    }
    assert!(of(&all, "system").iter().any(|data| data["subtype"] == "prompt" && data["text"] == "make the file"));
    assert_eq!(task(&lab, &id)["status"], "running", "it goes on until somebody ends it");
    lab.post(&format!("/api/v1/ai-tasks/{id}/message"), json!({ "text": "what else?" })).ok();
    long("the second turn", || screen().contains("There is more.").then_some(()));
    let token = lab.daemon.home.data().join("tasks").join(&id).join("token");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(token).unwrap()) & 0o777;
    assert_eq!(mode, 0o600);
    assert!(lab.processes().iter().all(|line| !line.contains("lpk_")), "no secret in any argument");
    lab.at(|daemon| daemon.call("DELETE", &format!("/api/v1/ai-tasks/{id}"), None)).ok();
    assert_eq!(end(&lab, &id)["status"], "cancelled");
    assert!(!std::fs::exists(lab.daemon.home.home().join(".claude/settings.json")).unwrap(), "nothing of the person's own was touched");
    lab.stop();
}

//! Tasks as who uses them meets them, with an agent that does as a test says: events, questions, limits, and everything that can go wrong with an agent.

mod faults;
mod fleet;
mod limits;
mod questions;

use serde_json::{Value, json};

use crate::support::{
    Answer, Home, Sse, TestDaemon,
    fake_agent::{FakeAgent, Plan},
    until,
};

/// A node with an agent of ours as its only one.
struct Node {
    daemon: TestDaemon,
    agent: FakeAgent,
}

impl Node {
    fn new(plan: &Plan) -> Self {
        Self::with(plan, &[])
    }

    /// Settings are pairs of a section and its lines.
    fn with(plan: &Plan, settings: &[(&str, &str)]) -> Self {
        let mut home = Home::init("leo");
        let agent = FakeAgent::install(&mut home, "claude", plan);
        let mut config = std::fs::read_to_string(home.config()).unwrap();
        for (section, lines) in settings {
            config.push_str(&format!("\n{section}:\n{lines}\n"));
        }
        std::fs::write(home.config(), config).unwrap();
        Self { daemon: TestDaemon::start(home), agent }
    }

    fn dispatch(&self, more: Value) -> Answer {
        let mut body = json!({ "prompt": "do it" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.daemon.post("/api/v1/ai-tasks", body)
    }

    /// Starts a task and says its id.
    fn start(&self) -> String {
        let answer = self.dispatch(json!({}));
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["taskId"].as_str().unwrap().to_owned()
    }

    fn task(&self, id: &str) -> Value {
        self.daemon.get(&format!("/api/v1/ai-tasks/{id}")).ok().json()
    }

    /// Waits until a task stands so.
    fn until_it_is(&self, id: &str, status: &str) -> Value {
        until(&format!("the task is {status}"), || Some(self.task(id)).filter(|task| task["status"] == status))
    }

    /// The question of a task that waits.
    fn question(&self, id: &str) -> Value {
        let pending = until("a question", || Some(self.task(id)["pendingApproval"].clone()).filter(|pending| !pending.is_null()));
        self.daemon.get(&format!("/api/v1/approvals/{}", pending["requestId"].as_str().unwrap())).ok().json()
    }

    fn decide(&self, question: &Value, decision: &str) -> Answer {
        let id = question["id"].as_str().unwrap();
        self.daemon.post(&format!("/api/v1/approvals/{id}"), json!({ "decision": decision, "sha256": question["sha256"] }))
    }

    fn events(&self, id: &str) -> Vec<Value> {
        self.daemon.get(&format!("/api/v1/ai-tasks/{id}/events?limit=10000")).ok().json()["events"].as_array().unwrap().clone()
    }

    fn stream(&self, id: &str, query: &str, last: Option<&str>) -> Sse {
        Sse::open(self.daemon.address, &self.daemon.key, "GET", &format!("/api/v1/ai-tasks/{id}/stream{query}"), last, None)
    }
}

/// All events of a stream that ends.
fn all(mut stream: Sse) -> Vec<Value> {
    let mut events = Vec::new();
    while let Some(block) = stream.block().unwrap() {
        let data: Vec<&str> = block.iter().filter_map(|line| line.strip_prefix("data: ")).collect();
        if let [data] = data.as_slice() {
            events.push(serde_json::from_str(data).unwrap());
        }
    }
    events
}

fn texts(events: &[Value]) -> Vec<&str> {
    events.iter().filter(|event| event["type"] == "text").filter_map(|event| event["data"].as_str()).collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["type"].as_str()).collect()
}

#[test]
fn a_task_runs_is_streamed_and_replays_from_disk() {
    let mut node = Node::new(&Plan::begun("s-1").text("Hello.").text("All done.").result("All done.").step("listen"));
    let id = node.start();
    let live = all(node.stream(&id, "", None));
    let task = node.until_it_is(&id, "completed");
    assert_eq!((&task["sessionId"], &task["model"], &task["exitCode"]), (&json!("s-1"), &json!("fake"), &json!(0)));
    assert_eq!((&task["agent"], &task["agentVersion"], &task["costUsd"], &task["turns"]), (&json!("claude"), &json!("2.1.329"), &json!(0.01), &json!(1)));
    let numbers: Vec<u64> = live.iter().filter_map(|event| event["seq"].as_u64()).collect();
    let last = task["lastEvent"].as_u64().unwrap();
    assert_eq!(numbers, (1..=last).chain([0]).collect::<Vec<_>>(), "each once, in order, then the last word");
    assert_eq!(texts(&live), ["Hello.", "All done."]);
    for kind in ["system", "status", "result", "exit"] {
        assert!(kinds(&live).contains(&kind), "{kind} in {:?}", kinds(&live));
    }
    assert_eq!(live.last().unwrap()["data"]["status"], "completed");

    node.daemon.stop();
    node.daemon.launch(&[]);
    assert_eq!(node.task(&id)["status"], "completed");
    let stored: Vec<Value> = live[..live.len() - 1].to_vec();
    assert_eq!(node.events(&id), stored, "from disk it is the same");
    let rest = all(node.stream(&id, "", Some("3")));
    assert_eq!(rest[..rest.len() - 1], stored[3..]);
    assert_eq!(all(node.stream(&id, "?since=99999999999999", None)).len(), 1, "only the last word");
    let deleted = node.daemon.call("DELETE", &format!("/api/v1/ai-tasks/{id}"), None).ok().json();
    assert_eq!(deleted["deleted"], true);
    node.daemon.get(&format!("/api/v1/ai-tasks/{id}")).refused(404, 6001);
    assert!(!node.daemon.home.data().join("tasks").join(&id).exists());
    assert_eq!(kinds(&all(node.stream(&id, "", None))), ["error"], "the seed's clients are told so");
}

#[test]
fn what_is_said_goes_by_the_pipe_and_nothing_secret_by_argument_or_environment() {
    let node = Node::new(&Plan::begun("s").result("done").step("listen"));
    let prompt = format!("--help is no option; ünïcode; {}", "long ".repeat(200_000));
    let answer = node.dispatch(json!({ "prompt": prompt, "model": "m-1", "disallowedTools": ["WebFetch"] }));
    let id = answer.json()["taskId"].as_str().unwrap().to_owned();
    node.until_it_is(&id, "completed");
    let runs = node.agent.runs();
    let [run] = runs.as_slice() else { panic!("one run") };
    assert!(run.heard().iter().any(|line| line.contains("--help is no option; ünïcode; long long")));
    assert!(run.args().iter().all(|arg| arg.len() < 4096 && !arg.contains("no option")), "{:?}", run.args());
    assert!(run.args().iter().any(|arg| arg.contains("m-1")) && run.args().iter().any(|arg| arg.contains("WebFetch")));
    let environment = run.environment().join("\n");
    assert!(!environment.contains(&node.daemon.key) && !environment.contains("lpk_"), "{environment}");
    assert!(environment.contains(&format!("LOOPSY_TASK_ID={id}")));
}

#[test]
fn a_message_goes_on_with_the_session_and_a_restart_in_the_middle_can_be_resumed() {
    let mut node = Node::new(&Plan::begun("s-7").text("First.").result("First.").step("listen"));
    let id = node.start();
    node.until_it_is(&id, "completed");
    let said = node.daemon.post(&format!("/api/v1/ai-tasks/{id}/message"), json!({ "text": "and now this" })).ok().json();
    assert!(["pending", "running"].contains(&said["status"].as_str().unwrap()));
    until("the second turn", || (node.task(&id)["turns"] == 2).then_some(()));
    let second = node.agent.runs().into_iter().find(|run| run.heard().iter().any(|line| line.contains("and now this"))).expect("it was said");
    assert!(second.args().iter().any(|arg| arg.contains("s-7")), "{:?}", second.args());
    assert!((node.task(&id)["costUsd"].as_f64().unwrap() - 0.02).abs() < 1e-9, "both turns together");

    node.agent.plan(&Plan::begun("s-7").text("Working.").step("hang"));
    node.daemon.post(&format!("/api/v1/ai-tasks/{id}/message"), json!({ "text": "go" })).ok();
    until("it works", || texts(&node.events(&id)).contains(&"Working.").then_some(()));
    let pids: Vec<u32> = node.agent.runs().iter().map(|run| run.pid()).collect();
    node.daemon.kill9();
    for pid in pids {
        until("the agent's end", || (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
    }
    node.daemon.launch(&[]);
    let task = node.task(&id);
    assert_eq!((&task["status"], &task["endedBy"], &task["resumable"]), (&json!("failed"), &json!("restart"), &json!(true)));
    node.agent.plan(&Plan::begun("s-7").text("Resumed.").result("Resumed.").step("listen"));
    node.daemon.post(&format!("/api/v1/ai-tasks/{id}/resume"), json!({})).ok();
    node.until_it_is(&id, "completed");
    let events = node.events(&id);
    assert_eq!(texts(&events), ["First.", "First.", "Working.", "Resumed."]);
    let numbers: Vec<u64> = events.iter().filter_map(|event| event["seq"].as_u64()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "no number twice, none left out, over three runs and a crash");
}

#[test]
fn an_interruption_keeps_the_session_and_a_cancellation_ends_everything() {
    let node = Node::new(&Plan::begun("s").step("child 86400").text("Working.").step("hang"));
    let id = node.start();
    until("it works", || texts(&node.events(&id)).contains(&"Working.").then_some(()));
    let cancelled = node.daemon.call("DELETE", &format!("/api/v1/ai-tasks/{id}"), None).ok().json();
    assert!(cancelled.get("deleted").is_none());
    let task = node.until_it_is(&id, "cancelled");
    assert_eq!(task["endedBy"], "cancel");
    let pid = node.agent.runs()[0].pid();
    until("its end", || (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(()));

    node.agent.plan(
        &Plan::begun("s")
            .text("Working.")
            .step(r#"read "interrupt""#)
            .say(&json!({
                "type": "result", "subtype": "error_during_execution", "is_error": true, "session_id": "s", "num_turns": 1, "duration_ms": 1,
                "total_cost_usd": 0.0, "usage": {}, "terminal_reason": "aborted_tools",
            }))
            .step("listen"),
    );
    let id = node.start();
    until("it works", || texts(&node.events(&id)).contains(&"Working.").then_some(()));
    let task = node.daemon.post(&format!("/api/v1/ai-tasks/{id}/interrupt"), json!({})).ok().json();
    assert_eq!((&task["status"], &task["endedBy"], &task["resumable"]), (&json!("cancelled"), &json!("interrupt"), &json!(true)));
    node.daemon.post(&format!("/api/v1/ai-tasks/{id}/interrupt"), json!({})).refused(409, 6004);
}

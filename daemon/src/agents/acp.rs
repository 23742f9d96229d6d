//! Drives agents that speak the Agent Client Protocol: JSON-RPC 2.0 in lines. One session, one prompt at a time.
//!
//! Every `session/request_permission` gets exactly one answer: the one of a person, or `cancelled`. An answer is chosen by the `kind` of an option, never by
//! its id, and never says more than was said: where the agent has no option that fits, it gets `cancelled`.

mod call;
mod permission;
mod profile;
mod setup;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use loopsy_shared::{
    api::{
        ai_tasks::{TaskEventKind, Usage},
        approvals::Decided,
    },
    text::inert,
};
use serde_json::{Map, Value, json};

pub(crate) use self::profile::{Profile, Quirks};
use self::{call::Calls, permission::Permissions, setup::Setup};
use super::driver::{Driver, Launch, Outcome, Start, Step, Steps, Turn, Wire};

/// Texts that wait for the end of a turn. When there are more, the person is told that one was not taken.
const MAX_QUEUED: usize = 64;

/// Bytes that are kept of a line that was not understood.
const MAX_RAW: usize = 64 << 10;

/// JSON-RPC: there is no such method.
const NO_METHOD: i64 = -32601;

/// ACP: a login is needed.
const LOGIN: i64 = -32000;

/// Drives an agent that speaks ACP.
pub(crate) struct Acp {
    profile: Profile,
    begin: Start,
    phase: Phase,
    /// Number of our next request.
    next: u64,
    /// Our requests without an answer.
    calls: BTreeMap<u64, Asked>,
    setup: Setup,
    session: Option<String>,
    tools: Calls,
    permissions: Permissions,
    queue: VecDeque<String>,
    interrupted: bool,
    usage: Usage,
    cost: Option<f64>,
    /// Number of the piece of text that is being said, and what kind it is.
    block: (u64, Option<(TaskEventKind, Option<String>)>),
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Until the first prompt.
    Setup,
    /// A prompt is being worked on.
    Prompt,
    /// Nothing is.
    Idle,
    /// It has failed: nothing more is sent.
    Dead,
}

/// What we have asked.
#[derive(Debug, Clone, PartialEq)]
enum Asked {
    Initialize,
    Session,
    Configure(setup::Change),
    Prompt,
}

impl Acp {
    /// A run of an agent.
    pub(crate) fn new(profile: Profile, start: Start) -> Self {
        Self {
            permissions: Permissions::new(&start),
            queue: VecDeque::from([start.prompt.clone()]),
            profile,
            begin: start,
            phase: Phase::Setup,
            next: 0,
            calls: BTreeMap::new(),
            setup: Setup::default(),
            session: None,
            tools: Calls::default(),
            interrupted: false,
            usage: Usage::default(),
            cost: None,
            block: (0, None),
        }
    }

    fn request(&mut self, asked: Asked, method: &str, params: &Value) -> Step {
        let id = self.next;
        self.next += 1;
        self.calls.insert(id, asked);
        Step::Send(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string())
    }

    /// The next prompt that waits, or the end of the turn.
    fn go_on(&mut self, outcome: Outcome) -> Steps {
        self.block.1 = None;
        if let Some(text) = self.queue.pop_front() {
            self.phase = Phase::Prompt;
            self.interrupted = false;
            let params = json!({"sessionId": self.session, "prompt": [{"type": "text", "text": text}]});
            return vec![self.request(Asked::Prompt, "session/prompt", &params)];
        }
        self.phase = Phase::Idle;
        vec![self.turn(outcome)]
    }

    fn turn(&self, outcome: Outcome) -> Step {
        Step::Turn(Turn { outcome, text: None, cost_usd: self.cost, usage: self.usage, duration: None })
    }

    /// The run cannot go on.
    fn fail(&mut self, why: String) -> Steps {
        self.phase = Phase::Dead;
        self.queue.clear();
        let mut steps = self.permissions.cancel_all("the agent cannot go on");
        steps.push(self.turn(Outcome::Failed(why)));
        steps
    }

    /// An answer to one of our requests.
    fn replied(&mut self, line: &str, id: u64, message: &Value) -> Steps {
        let Some(asked) = self.calls.remove(&id) else { return vec![raw(line)] };
        if self.phase == Phase::Dead {
            return Steps::new();
        }
        let error = (!message["error"].is_null()).then(|| &message["error"]);
        let result = &message["result"];
        match (asked, error) {
            (Asked::Prompt, None) => self.prompted(result),
            (Asked::Prompt, Some(error)) => {
                let outcome = if self.interrupted { Outcome::Interrupted } else { Outcome::Failed(self.complaint("The agent could not go on", error)) };
                self.turn_ended(outcome)
            }
            (Asked::Initialize, None) => self.initialized(result),
            (Asked::Session, None) => self.opened(result),
            (Asked::Configure(change), error) => self.configured(change, error),
            (Asked::Initialize, Some(error)) => {
                let why = self.complaint("The agent could not be started", error);
                self.fail(why)
            }
            (Asked::Session, Some(error)) => {
                let what = match &self.begin.resume {
                    Some(session) => format!("The session `{}` could not be opened again", inert(session)),
                    None => "The agent could not begin a session".to_owned(),
                };
                let why = self.complaint(&what, error);
                self.fail(why)
            }
        }
    }

    /// A sentence about an error that the agent answered.
    fn complaint(&self, what: &str, error: &Value) -> String {
        let message = error["message"].as_str().unwrap_or_default();
        if error["code"].as_i64() == Some(LOGIN) || message.to_ascii_lowercase().contains("authentication required") {
            return format!("`{}` wants a login on this machine: {}.", inert(&self.profile.name), self.profile.login);
        }
        let details = match &error["data"] {
            Value::Null => String::new(),
            data => format!(" ({})", cut(data["details"].as_str().or(data["message"].as_str()).map_or_else(|| data.to_string(), str::to_owned), 1_000)),
        };
        let message = if message.is_empty() { error.to_string() } else { message.to_owned() };
        inert(&format!("{what}: {}{details}", cut(message, 2_000))).into_owned()
    }

    /// The answer to a prompt.
    fn prompted(&mut self, result: &Value) -> Steps {
        self.add_usage(result);
        let outcome = match result["stopReason"].as_str().unwrap_or_default() {
            _ if self.interrupted => Outcome::Interrupted,
            "end_turn" => Outcome::Done,
            "cancelled" => Outcome::Interrupted,
            "max_tokens" => Outcome::Failed("The model's answer was cut: it reached the most tokens that it may give.".to_owned()),
            "max_turn_requests" => Outcome::Failed("The agent stopped: it asked its model as often as it may in one turn.".to_owned()),
            "refusal" => Outcome::Failed("The model refused to go on.".to_owned()),
            other => Outcome::Failed(format!("The agent stopped, and gives `{}` as the reason.", inert(&cut(other.to_owned(), 200)))),
        };
        self.turn_ended(outcome)
    }

    fn turn_ended(&mut self, outcome: Outcome) -> Steps {
        let mut steps = self.tools.end(&self.profile);
        steps.extend(self.permissions.cancel_all("the turn is over"));
        steps.extend(self.go_on(outcome));
        steps
    }

    /// Adds the tokens of a prompt: told in ACP's way, or in the Gemini CLI's.
    fn add_usage(&mut self, result: &Value) {
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let (usage, quota) = (&result["usage"], &result["_meta"]["quota"]["token_count"]);
        self.usage.input_tokens = self.usage.input_tokens.saturating_add(number(&usage["inputTokens"])).saturating_add(number(&quota["input_tokens"]));
        self.usage.output_tokens = self.usage.output_tokens.saturating_add(number(&usage["outputTokens"])).saturating_add(number(&quota["output_tokens"]));
        self.usage.cached_tokens = self.usage.cached_tokens.saturating_add(number(&usage["cachedReadTokens"]));
    }

    /// Something that the agent asks or tells.
    fn told(&mut self, line: &str, method: &str, message: &Value) -> Steps {
        let params = &message["params"];
        match (method, message.get("id")) {
            ("session/update", None) => self.updated(line, params),
            ("session/request_permission", Some(id)) => {
                let open = self.phase == Phase::Prompt && !self.interrupted;
                self.permissions.asked(&self.profile, &mut self.tools, id, params, open)
            }
            ("$/cancel_request", None) => self.permissions.withdrawn(&params["requestId"]),
            (_, Some(id)) => {
                let error = json!({"code": NO_METHOD, "message": "Loopsy does not offer this."});
                vec![Step::Send(json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string())]
            }
            (_, None) => vec![raw(line)],
        }
    }

    /// What happens in the session. While it is being opened that is its past, which is known.
    fn updated(&mut self, line: &str, params: &Value) -> Steps {
        if self.phase == Phase::Setup || self.phase == Phase::Dead {
            return Steps::new();
        }
        let update = &params["update"];
        match update["sessionUpdate"].as_str().unwrap_or_default() {
            "agent_message_chunk" => self.said(line, TaskEventKind::Text, update),
            "agent_thought_chunk" => self.said(line, TaskEventKind::Thinking, update),
            "tool_call" | "tool_call_update" if update["toolCallId"].is_string() => {
                self.block.1 = None;
                let mut steps = Steps::new();
                if matches!(update["status"].as_str(), Some("completed" | "failed")) {
                    steps.extend(self.permissions.passed(update["toolCallId"].as_str().unwrap_or_default()));
                }
                steps.extend(self.tools.updated(&self.profile, update));
                steps
            }
            "plan" => vec![Step::system("plan", Map::from_iter([("entries".to_owned(), update["entries"].clone())]))],
            "usage_update" => {
                if update["cost"]["currency"] == "USD" {
                    self.cost = update["cost"]["amount"].as_f64().filter(|cost| cost.is_finite() && *cost >= 0.0).or(self.cost);
                }
                let data = update.as_object().into_iter().flatten().filter(|(name, _)| *name != "sessionUpdate");
                vec![Step::system("usage", data.map(|(name, value)| (name.clone(), value.clone())).collect())]
            }
            "current_mode_update" => vec![Step::system("mode", Map::from_iter([("mode".to_owned(), update["currentModeId"].clone())]))],
            // Our own words, and what an editor would show in its menus.
            "user_message_chunk" | "available_commands_update" | "session_info_update" | "config_option_update" => Steps::new(),
            _ => vec![raw(line)],
        }
    }

    /// A piece of text. Pieces of one kind, and of one message where the agent numbers them, belong together.
    fn said(&mut self, line: &str, kind: TaskEventKind, update: &Value) -> Steps {
        let Some(text) = update["content"]["text"].as_str() else { return vec![raw(line)] };
        let now = Some((kind, update["messageId"].as_str().map(str::to_owned)));
        if self.block.1 != now {
            self.block = (self.block.0 + 1, now);
        }
        vec![Step::text(kind, text, self.block.0)]
    }
}

impl Driver for Acp {
    fn launch(&self) -> Launch {
        let args = self.profile.args.iter().chain(&self.begin.additional_args).cloned().collect();
        let env = self.profile.env.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned())).collect();
        Launch { args, env, wire: Wire::Lines }
    }

    fn start(&mut self) -> Steps {
        let params = json!({
            "protocolVersion": 1,
            "clientCapabilities": {"fs": {"readTextFile": false, "writeTextFile": false}, "terminal": false},
            "clientInfo": {"name": "loopsy", "title": "Loopsy", "version": env!("CARGO_PKG_VERSION")},
        });
        vec![self.request(Asked::Initialize, "initialize", &params)]
    }

    fn heard(&mut self, line: &str) -> Steps {
        if line.trim().is_empty() {
            return Steps::new();
        }
        let Ok(message) = serde_json::from_str::<Value>(line) else { return vec![raw(line)] };
        if let Some(method) = message["method"].as_str() {
            return self.told(line, method, &message);
        }
        match message["id"].as_u64() {
            Some(id) if message.get("result").is_some() || message.get("error").is_some() => self.replied(line, id, &message),
            _ => vec![raw(line)],
        }
    }

    fn answer(&mut self, key: &str, answer: &Decided) -> Steps {
        let Some(answered) = self.permissions.answer(key, answer) else { return Steps::new() };
        let mut steps = answered.steps;
        if let Some(text) = answered.tell {
            steps.extend(self.follow_up(&text));
        }
        if answered.stop {
            steps.extend(self.interrupt());
        }
        steps
    }

    fn follow_up(&mut self, text: &str) -> Steps {
        if self.phase == Phase::Dead || self.queue.len() >= MAX_QUEUED {
            let why = if self.phase == Phase::Dead {
                "The agent has failed and hears nothing more."
            } else {
                "Too much waits for the agent already; this was not said."
            };
            return vec![Step::event(TaskEventKind::Error, json!({"message": why}))];
        }
        self.queue.push_back(text.to_owned());
        if self.phase == Phase::Idle { self.go_on(Outcome::Done) } else { Steps::new() }
    }

    fn interrupt(&mut self) -> Steps {
        match self.phase {
            Phase::Prompt if !self.interrupted => {
                self.interrupted = true;
                let mut steps = self.permissions.cancel_all("the turn was interrupted");
                steps.push(Step::Send(json!({"jsonrpc": "2.0", "method": "session/cancel", "params": {"sessionId": self.session}}).to_string()));
                steps
            }
            Phase::Setup => {
                self.interrupted = true;
                self.queue.clear();
                Steps::new()
            }
            _ => Steps::new(),
        }
    }

    fn finish(&mut self) -> Steps {
        let mut steps = self.permissions.cancel_all("the run is over");
        self.phase = Phase::Dead;
        steps.push(Step::Close);
        steps
    }
}

/// A line that was not understood, the beginning of it when it is long.
fn raw(line: &str) -> Step {
    if line.len() <= MAX_RAW { Step::raw(line) } else { Step::raw(&format!("{}... ({} bytes)", &line[..line.floor_char_boundary(MAX_RAW)], line.len())) }
}

fn cut(mut text: String, most: usize) -> String {
    text.truncate(text.floor_char_boundary(most));
    text
}

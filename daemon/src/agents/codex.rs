//! Codex: its app server on pipes, JSON-RPC in lines, without the `jsonrpc` field.
//!
//! One thread, which is its session, and one turn at a time. What is said while a turn runs is put into that turn. Codex has no lists of tools that it may use,
//! and does not tell what it costs: where a run wants that, it is told that nothing comes of it.

mod asks;
mod events;
mod launch;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};

use loopsy_shared::api::{
    ai_tasks::{PermissionMode, TaskEventKind, Usage},
    approvals::{Decided, Decision},
};
use serde_json::{Map, Value, json};

use super::{
    driver::{Driver, Launch, Outcome, Start, Step, Steps, Turn, Wire},
    pick,
};

/// Questions that may be open at once. More than this is no conversation, and the next is denied.
const ASKS: usize = 64;

/// Messages that wait until they can be said. Past this the oldest goes: nobody says so much before an agent has begun.
const WAITING: usize = 64;

/// Variables of the daemon's environment that Codex gets beside the usual ones. A star at the end matches any rest.
pub(crate) const KEPT: &[&str] =
    &["OPENAI_*", "AZURE_OPENAI_*", "CODEX_HOME", "CODEX_API_KEY", "CODEX_ACCESS_TOKEN", "CODEX_CA_CERTIFICATE", "CODEX_SQLITE_HOME"];

/// Variables that it never gets: they name the session, or the sandbox, that the daemon itself was started from.
pub(crate) const STRIPPED: &[&str] = &["CODEX_SANDBOX*", "CODEX_THREAD_*", "CODEX_SESSION_*", "CODEX_INTERNAL_*", "CODEX_MANAGED_*", "CODEX_CI"];

/// Whether Codex gets this variable of the daemon's environment beside the usual ones.
pub(crate) fn passes(name: &str) -> bool {
    pick::passes(name, KEPT, STRIPPED)
}

/// What a request of ours was.
enum Call {
    /// Who we are.
    Initialize,
    /// A thread, new or gone on with.
    Thread,
    /// A turn.
    Turn,
    /// Something said within a turn.
    Steer(String),
    /// That the turn is to end.
    Interrupt,
}

/// One run of Codex.
pub(crate) struct Codex {
    /// What it was begun with.
    start: Start,
    /// Number of our next request.
    request: u64,
    /// Requests that were not answered.
    calls: HashMap<u64, Call>,
    /// Whether it did not take what not every version takes.
    plain: bool,
    /// The thread.
    thread: Option<String>,
    /// The turn that runs, once it has a name.
    turn: Option<String>,
    /// Whether a turn runs, or is about to.
    works: bool,
    /// Whether the turn is to end as soon as it has a name.
    stops: bool,
    /// What is to be said as soon as it can be.
    waiting: VecDeque<String>,
    /// The end of a turn, held back until it is known whether what was said last came in time.
    held: Option<Turn>,
    /// Questions that wait.
    asks: HashMap<String, asks::Open>,
    /// What it does and says now.
    items: events::Items,
    /// Tokens of this process.
    usage: Usage,
    /// What it said about its limits last.
    limits: Option<Value>,
}

impl Codex {
    /// A run that has not begun.
    pub(crate) fn new(start: Start) -> Self {
        Self {
            start,
            request: 0,
            calls: HashMap::new(),
            plain: false,
            thread: None,
            turn: None,
            works: false,
            stops: false,
            waiting: VecDeque::new(),
            held: None,
            asks: HashMap::new(),
            items: events::Items::default(),
            usage: Usage::default(),
            limits: None,
        }
    }

    /// One of our requests.
    fn call(&mut self, call: Call, method: &str, params: Value) -> Step {
        self.request += 1;
        self.calls.insert(self.request, call);
        Step::Send(json!({"id": self.request, "method": method, "params": params}).to_string())
    }

    /// Says something: within the turn that runs, as soon as that has a name, or as a turn of its own.
    fn say(&mut self, text: &str) -> Steps {
        let input = json!([{"type": "text", "text": text}]);
        match (&self.thread, &self.turn) {
            (Some(thread), Some(turn)) => {
                let params = json!({"threadId": thread, "expectedTurnId": turn, "input": input});
                vec![self.call(Call::Steer(text.to_owned()), "turn/steer", params)]
            }
            (Some(thread), None) if !self.works => {
                let params = json!({"threadId": thread, "input": input});
                self.works = true;
                vec![self.call(Call::Turn, "turn/start", params)]
            }
            _ => {
                if self.waiting.len() == WAITING {
                    self.waiting.pop_front();
                }
                self.waiting.push_back(text.to_owned());
                Steps::new()
            }
        }
    }

    /// Says what waited, now that it can be said.
    fn say_waiting(&mut self) -> Steps {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.iter().flat_map(|text| self.say(text)).collect()
    }

    /// The turn has a name: what waited for that can be done.
    fn turn_is(&mut self, turn: Option<String>) -> Steps {
        if turn.is_none() || self.turn.is_some() || !self.works {
            return Steps::new();
        }
        self.turn = turn;
        let mut steps = if std::mem::take(&mut self.stops) { self.stop() } else { Steps::new() };
        steps.extend(self.say_waiting());
        steps
    }

    /// Ends the turn that runs.
    fn stop(&mut self) -> Steps {
        let (Some(thread), Some(turn)) = (&self.thread, &self.turn) else { return Steps::new() };
        let params = json!({"threadId": thread, "turnId": turn});
        vec![self.call(Call::Interrupt, "turn/interrupt", params)]
    }

    /// The answer to a request of ours.
    fn reply(&mut self, message: &Value, line: &str) -> Steps {
        let Some(call) = message.get("id").and_then(Value::as_u64).and_then(|id| self.calls.remove(&id)) else { return vec![pick::raw(line)] };
        let empty = Value::Null;
        let (result, error) = (message.get("result").unwrap_or(&empty), message.get("error"));
        match (call, error) {
            (Call::Initialize, None) => self.initialized(result),
            (Call::Thread, None) => self.began(result),
            (Call::Turn, None) => self.turn_is(result.get("turn").and_then(|turn| pick::owned(turn, "id"))),
            (Call::Thread, Some(error)) if events::message(error).starts_with("no rollout found") => {
                let session = self.start.resume.as_deref().unwrap_or_default();
                vec![failed(format!("Codex has no session `{session}`. Start a new task instead."))]
            }
            (Call::Thread, Some(_)) if !self.plain && self.start.permission_mode == PermissionMode::Default => {
                self.plain = true;
                let (method, params) = launch::thread(&self.start, true);
                vec![self.call(Call::Thread, method, params)]
            }
            (Call::Initialize | Call::Thread, Some(error)) => vec![failed(format!("Codex could not begin: {}", events::message(error)))],
            (Call::Turn, Some(error)) => {
                self.works = false;
                vec![failed(format!("Codex could not begin the turn: {}", events::message(error)))]
            }
            (Call::Steer(_), None) => self.release(),
            (Call::Steer(text), Some(_)) => {
                // It came too late for its turn, so it begins another one; the end of the earlier one is then no end.
                if self.works {
                    self.waiting.push_back(text);
                    return Steps::new();
                }
                self.held = None;
                self.say(&text)
            }
            (Call::Interrupt, None) => Steps::new(),
            (Call::Interrupt, Some(_)) => vec![pick::raw(line)],
        }
    }

    /// It knows us.
    fn initialized(&mut self, result: &Value) -> Steps {
        let version = pick::text(result, "userAgent").and_then(|agent| agent.split_once('/')).and_then(|(_, rest)| rest.split_whitespace().next());
        let known = Step::Known { session: None, model: None, version: version.map(str::to_owned) };
        let (method, params) = launch::thread(&self.start, false);
        vec![known, Step::Send(json!({"method": "initialized"}).to_string()), self.call(Call::Thread, method, params)]
    }

    /// It has a thread.
    fn began(&mut self, result: &Value) -> Steps {
        let Some(thread) = result.get("thread").and_then(|thread| pick::owned(thread, "id")) else {
            return vec![failed("Codex began no thread.".to_owned())];
        };
        self.thread = Some(thread.clone());
        let known = Step::Known { session: Some(thread.clone()), model: pick::owned(result, "model"), version: None };
        let mut init = pick::keep(
            result,
            &[("model", "model"), ("modelProvider", "provider"), ("approvalPolicy", "approvalPolicy"), ("sandbox", "sandbox"), ("cwd", "cwd")],
        );
        init.insert("sessionId".to_owned(), thread.into());
        let mut steps = vec![known, Step::system("init", init)];
        steps.extend(launch::unsupported(&self.start));
        steps.extend(self.say_waiting());
        steps
    }

    /// A request of Codex.
    fn requested(&mut self, method: &str, message: &Value, line: &str) -> Steps {
        let Some(id) = message.get("id") else { return vec![pick::raw(line)] };
        let key = id.to_string();
        if self.asks.contains_key(&key) {
            return vec![pick::raw(line)];
        }
        let params = message.get("params").unwrap_or(&Value::Null);
        let item = pick::text(params, "itemId").and_then(|item| self.items.changes(item));
        match asks::ask(&key, id, method, params, item) {
            Some((ask, open)) if self.asks.len() < ASKS => {
                self.asks.insert(key, open);
                vec![Step::Ask(Box::new(ask))]
            }
            _ => {
                let error = json!({"code": -32601, "message": "Loopsy does not understand this request."});
                vec![Step::Send(json!({"id": id, "error": error}).to_string()), pick::raw(line)]
            }
        }
    }

    /// The end of a turn.
    fn completed(&mut self, params: &Value) -> Steps {
        let (ended, empty) = (params.get("turn").unwrap_or(&Value::Null), Value::Null);
        let error = ended.get("error").unwrap_or(&empty);
        let outcome = match pick::text(ended, "status") {
            Some("completed") => Outcome::Done,
            Some("interrupted") => Outcome::Interrupted,
            _ => Outcome::Failed(events::sentence(error)),
        };
        let said = pick::list(ended, "items").iter().rev().find(|item| pick::text(item, "type") == Some("agentMessage"));
        let text = said.and_then(|item| pick::owned(item, "text")).or_else(|| self.items.last_text());
        let turn =
            Turn { text: text.filter(|_| outcome == Outcome::Done), cost_usd: None, usage: self.usage, duration: pick::count(ended, "durationMs"), outcome };
        let data = json!({
            "text": turn.text.as_deref().unwrap_or_default(), "cost": null, "duration": turn.duration, "sessionId": self.thread, "usage": turn.usage, "turns": 1,
        });
        let mut steps: Steps = self.asks.drain().map(|(key, _)| Step::Withdraw { key, why: "The turn is over.".to_owned() }).collect();
        steps.push(Step::event(TaskEventKind::Result, data));
        self.items.clear();
        (self.turn, self.works, self.stops) = (None, false, false);
        self.held = Some(turn);
        steps.extend(self.say_waiting());
        steps.extend(self.release());
        steps
    }

    /// Tells of the end of the turn, when nothing is on its way that would begin another one.
    fn release(&mut self) -> Steps {
        if self.works {
            self.held = None;
        }
        if self.calls.values().any(|call| matches!(call, Call::Steer(_))) {
            return Steps::new();
        }
        self.held.take().map(Step::Turn).into_iter().collect()
    }

    /// Codex tells something.
    fn told(&mut self, method: &str, params: &Value, line: &str) -> Steps {
        // Subagents that it starts have threads of their own.
        let thread = pick::text(params, "threadId");
        let subagent = thread.filter(|thread| self.thread.as_deref().is_some_and(|own| own != *thread)).map(str::to_owned);
        match method {
            "serverRequest/resolved" => {
                let key = params.get("requestId").map(Value::to_string).filter(|key| self.asks.remove(key).is_some());
                key.map(|key| Step::Withdraw { key, why: "The agent no longer asks.".to_owned() }).into_iter().collect()
            }
            "turn/started" if subagent.is_none() => self.turn_is(params.get("turn").and_then(|turn| pick::owned(turn, "id"))),
            "turn/completed" if subagent.is_none() => self.completed(params),
            "turn/started" | "turn/completed" => Steps::new(),
            // When it goes on with a thread it tells once more what the turn before took.
            "thread/tokenUsage/updated" if subagent.is_none() && self.turn.is_some() && pick::text(params, "turnId") == self.turn.as_deref() => {
                self.used(params)
            }
            "account/rateLimits/updated" => self.limited(params),
            _ => self.items.told(method, params, subagent.as_deref(), line),
        }
    }

    /// Tokens that the last question to the model took.
    fn used(&mut self, params: &Value) -> Steps {
        let Some(usage) = params.get("tokenUsage") else { return Steps::new() };
        let last = usage.get("last").unwrap_or(&Value::Null);
        let count = |name: &str| pick::count(last, name).unwrap_or(0);
        let cached = count("cachedInputTokens");
        let one = Usage { input_tokens: count("inputTokens").saturating_sub(cached), output_tokens: count("outputTokens"), cached_tokens: cached };
        self.usage = pick::sum(self.usage, one);
        let mut data = pick::keep(usage, &[("modelContextWindow", "contextWindow")]);
        data.insert("usage".to_owned(), json!(self.usage));
        vec![Step::system("usage", data)]
    }

    /// How much of its limits is used. It says so after every question to the model: once is enough while nothing changes.
    fn limited(&mut self, params: &Value) -> Steps {
        let Some(limits) = params.get("rateLimits") else { return Steps::new() };
        let data = events::limits(limits);
        let value = Value::Object(data.clone());
        if data.is_empty() || self.limits.as_ref() == Some(&value) {
            return Steps::new();
        }
        self.limits = Some(value);
        vec![Step::system("rate_limit", data)]
    }
}

/// The end of a turn that did not begin.
fn failed(why: String) -> Step {
    Step::Turn(Turn { outcome: Outcome::Failed(why), ..Turn::default() })
}

impl Driver for Codex {
    fn launch(&self) -> Launch {
        let wire = if self.start.interactive { Wire::Screen } else { Wire::Lines };
        Launch { args: launch::args(&self.start), env: Vec::new(), wire }
    }

    fn start(&mut self) -> Steps {
        if self.start.interactive {
            return Steps::new();
        }
        let prompt = std::mem::take(&mut self.start.prompt);
        let client = json!({"name": "loopsy", "title": "Loopsy", "version": env!("CARGO_PKG_VERSION")});
        let mut steps = vec![self.call(Call::Initialize, "initialize", json!({"clientInfo": client}))];
        // It waits for the thread.
        steps.extend(self.say(&prompt));
        steps
    }

    fn heard(&mut self, line: &str) -> Steps {
        if line.trim().is_empty() {
            return Steps::new();
        }
        let Ok(message @ Value::Object(_)) = serde_json::from_str::<Value>(line) else { return vec![pick::raw(line)] };
        match (pick::text(&message, "method"), message.get("id")) {
            (Some(method), Some(_)) => self.requested(method, &message, line),
            (Some(method), None) => self.told(method, message.get("params").unwrap_or(&Value::Object(Map::new())), line),
            (None, Some(_)) => self.reply(&message, line),
            (None, None) => vec![pick::raw(line)],
        }
    }

    fn answer(&mut self, key: &str, answer: &Decided) -> Steps {
        let Some(open) = self.asks.remove(key) else { return Steps::new() };
        let (reply, ends) = asks::answer(&open, answer);
        let mut steps = vec![reply];
        if answer.decision == Decision::Stop && !ends {
            steps.extend(self.stop());
        }
        // A no has no place for its reason.
        let reason = answer.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty() && answer.decision == Decision::Deny && self.turn.is_some());
        if let Some(reason) = reason {
            steps.extend(self.say(&format!("That was denied: {reason}")));
        }
        steps
    }

    fn follow_up(&mut self, text: &str) -> Steps {
        if self.start.interactive { Steps::new() } else { self.say(text) }
    }

    fn interrupt(&mut self) -> Steps {
        self.stops = self.turn.is_none() && (self.works || !self.waiting.is_empty());
        self.stop()
    }

    fn finish(&mut self) -> Steps {
        if self.start.interactive { Steps::new() } else { vec![Step::Close] }
    }
}

//! Claude Code: lines of JSON on its pipes, with its questions among them; or its own screen, with hooks that tell what happens.
//!
//! Nothing of the user's settings is touched: what a run needs goes with `--settings`. The prompt goes by standard input, so it may begin with a dash and be of
//! any length; on its own screen it goes as the last argument (see [`launch`]).

mod asks;
mod ending;
mod events;
mod hooks;
mod launch;
#[cfg(test)]
mod tests;
mod texts;

use std::collections::HashMap;

use loopsy_shared::api::approvals::Decided;
use serde_json::{Value, json};

pub(crate) use self::{
    hooks::{HookCall, hook, hook_answer},
    launch::typed,
};
use super::{
    driver::{Driver, Launch, Start, Step, Steps, Wire},
    pick,
};

/// Questions that may be open at once. Claude Code asks one after the other; more than this is no conversation, and the next is denied.
const ASKS: usize = 64;

/// Names of tools that are remembered until their results come. When they are full, results come without names.
const TOOLS: usize = 1024;

/// Variables of the daemon's environment that Claude Code gets beside the usual ones. A star at the end matches any rest.
pub(crate) const KEPT: &[&str] = &[
    "ANTHROPIC_*",
    "CLAUDE_CONFIG_DIR",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_API_KEY_HELPER_TTL_MS",
    "CLAUDE_CODE_USE_*",
    "CLAUDE_CODE_SKIP_*_AUTH",
    "CLAUDE_CODE_CLIENT_*",
    "CLAUDE_CODE_CERT_STORE",
    "CLAUDE_CODE_GIT_BASH_PATH",
    "CLAUDE_CODE_SHELL",
    "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
    "CLAUDE_CODE_DISABLE_*",
    "DISABLE_*",
    "MAX_THINKING_TOKENS",
    "BASH_DEFAULT_TIMEOUT_MS",
    "BASH_MAX_TIMEOUT_MS",
    "BASH_MAX_OUTPUT_LENGTH",
    "MCP_TIMEOUT",
    "MCP_TOOL_TIMEOUT",
    "API_TIMEOUT_MS",
    "IS_SANDBOX",
];

/// Variables that it needs for a model in somebody's cloud, and the variable that says that it uses that cloud.
pub(crate) const CLOUD: &[(&str, &str)] = &[
    ("AWS_*", "CLAUDE_CODE_USE_BEDROCK"),
    ("BEDROCK_*", "CLAUDE_CODE_USE_BEDROCK"),
    ("VERTEX_*", "CLAUDE_CODE_USE_VERTEX"),
    ("CLOUD_ML_REGION", "CLAUDE_CODE_USE_VERTEX"),
    ("GOOGLE_*", "CLAUDE_CODE_USE_VERTEX"),
    ("GCLOUD_PROJECT", "CLAUDE_CODE_USE_VERTEX"),
    ("AZURE_*", "CLAUDE_CODE_USE_FOUNDRY"),
];

/// Variables that it never gets, whatever else says so: they name the session that the daemon itself was started from.
pub(crate) const STRIPPED: &[&str] = &[
    "CLAUDECODE",
    "CLAUDE_PID",
    "CLAUDE_CODE_SESSION_*",
    "CLAUDE_CODE_MESSAGING_*",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_SSE_PORT",
    "CLAUDE_CODE_REMOTE*",
    "CLAUDE_CODE_PARENT_*",
    "CLAUDE_ENV_FILE",
    "CLAUDE_PROJECT_DIR",
    "CLAUDE_PLUGIN_*",
];

/// Whether Claude Code gets this variable of the daemon's environment beside the usual ones.
pub(crate) fn passes(name: &str) -> bool {
    pick::passes(name, KEPT, STRIPPED)
}

/// Which other variable has to be set, so that Claude Code gets this one.
pub(crate) fn cloud(name: &str) -> Option<&'static str> {
    CLOUD.iter().find(|(pattern, _)| pick::matches(name, pattern)).map(|(_, switch)| *switch)
}

/// One run of Claude Code.
pub(crate) struct Claude {
    /// What it was begun with.
    start: Start,
    /// What it says, piece by piece.
    texts: texts::Texts,
    /// Names of tools whose results have not come.
    tools: HashMap<String, String>,
    /// Questions that wait, by the id of their request.
    asks: HashMap<String, asks::Open>,
    /// What it says of its plan before it asks whether to go on with it.
    plan: Option<Value>,
    /// Messages that it was sent and has not answered yet.
    said: Vec<Said>,
    /// Whether it tells what becomes of messages.
    tells: bool,
    /// Whether it was told to stop this turn.
    stopping: bool,
    /// What it said about itself last.
    init: Option<Value>,
    /// Models that it offers.
    models: Vec<Value>,
    /// The last error of its own that it put into words, and the kind of it.
    trouble: Option<String>,
    /// What it took.
    spent: ending::Spent,
    /// Number of the next request to it.
    request: u64,
}

/// A message to the agent that is not answered.
struct Said {
    /// Its id.
    id: String,
    /// Whether the agent has begun with it.
    begun: bool,
}

impl Claude {
    /// A run that has not begun.
    pub(crate) fn new(start: Start) -> Self {
        Self {
            start,
            texts: texts::Texts::default(),
            tools: HashMap::new(),
            asks: HashMap::new(),
            plan: None,
            said: Vec::new(),
            tells: false,
            stopping: false,
            init: None,
            models: Vec::new(),
            trouble: None,
            spent: ending::Spent::default(),
            request: 0,
        }
    }

    /// One of our requests to the agent.
    fn control(&mut self, subtype: &str) -> Step {
        self.request += 1;
        let id = format!("loopsy-{}-{subtype}", self.request);
        Step::Send(json!({"type": "control_request", "request_id": id, "request": {"subtype": subtype}}).to_string())
    }

    /// A message of the user.
    fn say(&mut self, text: &str) -> Step {
        let id = uuid::Uuid::new_v4().to_string();
        let content = json!([{"type": "text", "text": text}]);
        let line = json!({"type": "user", "uuid": id, "message": {"role": "user", "content": content}, "parent_tool_use_id": null, "session_id": ""});
        self.said.push(Said { id, begun: false });
        Step::Send(line.to_string())
    }

    /// What becomes of a message to the agent. Not every message is a turn of its own: one that is said while it works may become part of that turn.
    fn lifecycle(&mut self, message: &Value) -> Steps {
        self.tells = true;
        let id = pick::text(message, "command_uuid");
        match pick::text(message, "state") {
            Some("queued") => {}
            Some("started") => self.said.iter_mut().filter(|said| Some(said.id.as_str()) == id).for_each(|said| said.begun = true),
            _ => self.said.retain(|said| Some(said.id.as_str()) != id),
        }
        Steps::new()
    }

    /// The agent's answer to a request of ours.
    fn reply(&mut self, response: &Value, line: &str) -> Steps {
        let id = pick::text(response, "request_id").unwrap_or_default();
        if pick::text(response, "subtype") == Some("error") {
            return vec![pick::raw(line)];
        }
        let Some(answer) = response.get("response") else { return Steps::new() };
        if id.ends_with("-initialize") {
            self.models = pick::list(answer, "models").iter().filter_map(|model| model.get("value").cloned()).collect();
            return vec![Step::Known { session: None, model: None, version: pick::owned(answer, "claude_code_version") }];
        }
        if id.ends_with("-interrupt") && answer.get("still_queued").is_some_and(Value::is_array) {
            // What is no longer in its queue will not be answered.
            let queued = pick::list(answer, "still_queued").to_vec();
            let is_queued = |said: &Said| queued.iter().any(|one| one.as_str() == Some(&said.id) || pick::text(one, "uuid") == Some(&said.id));
            self.said.retain(|said| said.begun || is_queued(said));
        }
        Steps::new()
    }

    /// A request of the agent.
    fn requested(&mut self, message: &Value, line: &str) -> Steps {
        let (Some(id), Some(request)) = (pick::text(message, "request_id"), message.get("request")) else { return vec![pick::raw(line)] };
        if self.asks.contains_key(id) {
            return vec![pick::raw(line)];
        }
        match pick::text(request, "subtype") {
            Some("can_use_tool") if self.asks.len() < ASKS => match asks::ask(id, request, self.plan.as_ref()) {
                Some((ask, open)) => {
                    self.asks.insert(id.to_owned(), open);
                    vec![Step::Ask(Box::new(ask))]
                }
                None => vec![asks::refuse(id, "Loopsy does not understand this question."), pick::raw(line)],
            },
            Some("can_use_tool") => vec![asks::refuse(id, "Too many questions are open."), pick::raw(line)],
            _ => vec![asks::refuse(id, "Loopsy does not know this request."), pick::raw(line)],
        }
    }

    /// The agent takes a question back.
    fn cancelled(&mut self, message: &Value) -> Steps {
        let open = pick::text(message, "request_id").filter(|id| self.asks.remove(*id).is_some());
        open.map(|id| Step::Withdraw { key: id.to_owned(), why: "The agent no longer asks.".to_owned() }).into_iter().collect()
    }

    /// The end of a turn, or of the whole run.
    fn result(&mut self, message: &Value) -> Steps {
        let withdrawn = self.asks.drain().map(|(key, _)| Step::Withdraw { key, why: "The turn is over.".to_owned() });
        let mut steps: Steps = withdrawn.collect();
        let (event, turn, last) = ending::ending(message, &mut self.spent, self.stopping, self.trouble.take().as_deref(), self.start.resume.as_deref());
        steps.push(event);
        self.tools.clear();
        self.plan = None;
        self.stopping = false;
        self.said.retain(|said| !said.begun);
        // A message that it has not begun with is a turn of its own: the next result is the one to wait for.
        if last || !self.tells || self.said.is_empty() {
            steps.push(Step::Turn(turn));
        }
        steps
    }
}

impl Driver for Claude {
    fn launch(&self) -> Launch {
        let wire = if self.start.interactive { Wire::Screen } else { Wire::Lines };
        Launch { args: launch::args(&self.start), env: Vec::new(), wire }
    }

    fn start(&mut self) -> Steps {
        if self.start.interactive {
            return Steps::new();
        }
        let mut steps = vec![self.control("initialize")];
        // A session with a parked use of a tool goes on by itself; a message would become a second turn.
        if !(self.start.prompt.is_empty() && self.start.resume.is_some()) {
            let prompt = std::mem::take(&mut self.start.prompt);
            steps.push(self.say(&prompt));
        }
        steps
    }

    fn heard(&mut self, line: &str) -> Steps {
        if line.trim().is_empty() {
            return Steps::new();
        }
        if let Some(steps) = self.piece_in(line) {
            return steps;
        }
        let Ok(message @ Value::Object(_)) = serde_json::from_str::<Value>(line) else { return vec![pick::raw(line)] };
        match pick::text(&message, "type") {
            Some("control_response") => match message.get("response") {
                Some(response) => self.reply(response, line),
                None => vec![pick::raw(line)],
            },
            Some("control_request") => self.requested(&message, line),
            Some("control_cancel_request") => self.cancelled(&message),
            Some("command_lifecycle") => self.lifecycle(&message),
            Some("result") => self.result(&message),
            _ => self.event(&message, line),
        }
    }

    fn answer(&mut self, key: &str, answer: &Decided) -> Steps {
        let Some(open) = self.asks.remove(key) else { return Steps::new() };
        self.stopping |= answer.decision == loopsy_shared::api::approvals::Decision::Stop;
        vec![asks::reply(key, &asks::answer(&open, answer))]
    }

    fn follow_up(&mut self, text: &str) -> Steps {
        if self.start.interactive { Steps::new() } else { vec![self.say(text)] }
    }

    fn interrupt(&mut self) -> Steps {
        if self.start.interactive {
            return Steps::new();
        }
        self.stopping = true;
        vec![self.control("interrupt")]
    }

    fn finish(&mut self) -> Steps {
        if self.start.interactive { Steps::new() } else { vec![Step::Close] }
    }
}

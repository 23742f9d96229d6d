//! What Claude Code says and does, as events.
//!
//! It says everything twice: in pieces while it thinks of it, and then as a whole message, block by block. The pieces are what people see; of the whole only that
//! is added which did not come in pieces.

use loopsy_shared::api::ai_tasks::TaskEventKind;
use serde_json::{Map, Value, json};

use super::{
    super::{
        driver::{Step, Steps},
        pick,
    },
    Claude, TOOLS,
};

impl Claude {
    /// Everything that is neither a question nor the end of a turn.
    pub(super) fn event(&mut self, message: &Value, line: &str) -> Steps {
        match pick::text(message, "type") {
            Some("stream_event") => self.piece(message).into_iter().collect(),
            Some("assistant") => self.assistant(message, line),
            Some("user") => self.user(message, line),
            Some("system") => self.system(message, line),
            Some("rate_limit_event") => rate_limit(message, line),
            // Its own bookkeeping: that it is alive, how a hook ran, what it would type next.
            Some("keep_alive" | "tool_progress" | "tool_use_summary" | "prompt_suggestion" | "attachment") => Steps::new(),
            _ => vec![pick::raw(line)],
        }
    }

    /// A piece of what it says.
    fn piece(&mut self, message: &Value) -> Option<Step> {
        let event = message.get("event")?;
        if pick::text(message, "parent_tool_use_id").is_some() {
            return None;
        }
        match pick::text(event, "type")? {
            "message_start" => {
                self.texts.begin(event.get("message").and_then(|message| pick::owned(message, "id")));
                None
            }
            "content_block_delta" => {
                let (index, delta) = (pick::count(event, "index").unwrap_or(0), event.get("delta")?);
                match pick::text(delta, "type")? {
                    "text_delta" => self.texts.piece(index, false, pick::text(delta, "text")?),
                    "thinking_delta" => self.texts.piece(index, true, pick::text(delta, "thinking")?),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// A whole message of it.
    fn assistant(&mut self, message: &Value, line: &str) -> Steps {
        let Some(body) = message.get("message") else { return vec![pick::raw(line)] };
        let Some(content) = body.get("content").and_then(Value::as_array) else { return vec![pick::raw(line)] };
        let (id, parent) = (pick::text(body, "id"), pick::text(message, "parent_tool_use_id"));
        let error = pick::text(message, "error");
        if error.is_some() {
            self.trouble = error.map(str::to_owned);
        }
        let mut steps = Steps::new();
        for block in content {
            let said = |name: &str| block.get(name).and_then(Value::as_str).unwrap_or_default();
            match (pick::text(block, "type"), parent) {
                (Some("text"), _) if error.is_some() => {
                    steps.push(Step::event(TaskEventKind::Error, json!({"message": said("text"), "error": error})));
                }
                // A subagent: what it says is not what the agent says.
                (Some("text"), Some(parent)) => steps.push(subagent(parent, "text", said("text"))),
                (Some("thinking"), Some(parent)) => steps.push(subagent(parent, "thinking", said("thinking"))),
                (Some("text"), None) => steps.extend(self.texts.whole(id, false, said("text"))),
                (Some("thinking"), None) => steps.extend(self.texts.whole(id, true, said("thinking"))),
                (Some("redacted_thinking"), _) => {}
                (Some("tool_use" | "server_tool_use" | "mcp_tool_use"), parent) => steps.push(self.tool_use(block, parent)),
                (Some(kind), parent) if kind.ends_with("tool_result") => steps.push(self.tool_result(block, parent)),
                _ => steps.push(pick::raw(&block.to_string())),
            }
        }
        steps
    }

    /// It uses a tool.
    fn tool_use(&mut self, block: &Value, parent: Option<&str>) -> Step {
        let input = block.get("input").cloned().unwrap_or_default();
        let (id, name) = (pick::text(block, "id").unwrap_or_default(), pick::text(block, "name").unwrap_or_default());
        if self.tools.len() < TOOLS {
            self.tools.insert(id.to_owned(), name.to_owned());
        }
        self.remember_plan(name, &input);
        let mut data = used(id, name, input);
        if let Some(parent) = parent {
            data.insert("parent".to_owned(), parent.into());
        }
        Step::event(TaskEventKind::ToolUse, Value::Object(data))
    }

    /// The plan is what it gives to the tool that asks, or what it has written into the file of its plan: the question itself is empty.
    fn remember_plan(&mut self, name: &str, input: &Value) {
        let path = pick::text(input, "file_path").unwrap_or_default();
        match name {
            "ExitPlanMode" if pick::text(input, "plan").is_some() => self.plan = Some(input.clone()),
            "Write" if path.contains("/.claude/plans/") => self.plan = pick::text(input, "content").map(|plan| json!({"plan": plan, "path": path})),
            _ => {}
        }
    }

    /// What came of a tool.
    fn tool_result(&mut self, block: &Value, parent: Option<&str>) -> Step {
        let id = pick::text(block, "tool_use_id").unwrap_or_default();
        let name = self.tools.remove(id);
        let is_error = block.get("is_error").and_then(Value::as_bool).unwrap_or(false);
        let data = came(id, name.as_deref(), block.get("content").unwrap_or(&Value::Null), is_error, parent);
        Step::event(TaskEventKind::ToolResult, Value::Object(data))
    }

    /// A message in the user's name: results of tools, and what the agent tells itself.
    fn user(&mut self, message: &Value, line: &str) -> Steps {
        let parent = pick::text(message, "parent_tool_use_id");
        let Some(content) = message.get("message").and_then(|body| body.get("content")) else { return vec![pick::raw(line)] };
        let Some(blocks) = content.as_array() else { return Steps::new() };
        let results = blocks.iter().filter(|block| pick::text(block, "type") == Some("tool_result"));
        results.map(|block| self.tool_result(block, parent)).collect()
    }

    /// What it says about itself.
    fn system(&mut self, message: &Value, line: &str) -> Steps {
        let told = |subtype: &str, names: &[(&str, &str)]| vec![Step::system(subtype, pick::keep(message, names))];
        match pick::text(message, "subtype") {
            Some("init") => self.init(message),
            Some("api_retry") => told(
                "retry",
                &[("attempt", "attempt"), ("max_retries", "maxRetries"), ("retry_delay_ms", "delayMs"), ("error_status", "httpStatus"), ("error", "error")],
            ),
            Some("compact_boundary") => told("compact", &[("compact_metadata", "metadata")]),
            Some("status") if message.get("permissionMode").is_some() => told("mode", &[("permissionMode", "permissionMode")]),
            Some("status") if pick::text(message, "status") == Some("compacting") => told("compact", &[("status", "status")]),
            Some("permission_denied") => told(
                "permission_denied",
                &[
                    ("tool_name", "tool"),
                    ("tool_use_id", "toolUseId"),
                    ("message", "message"),
                    ("decision_reason_type", "reasonType"),
                    ("decision_reason", "reason"),
                ],
            ),
            Some("task_started") => told(
                "subagent",
                &[("tool_use_id", "parent"), ("description", "description"), ("subagent_type", "kind"), ("task_type", "taskType"), ("subtype", "state")],
            ),
            Some("task_notification") => told("subagent", &[("tool_use_id", "parent"), ("status", "state"), ("summary", "summary")]),
            Some("informational") => {
                told("notice", &[("content", "message"), ("message", "message"), ("level", "level"), ("tag", "tag"), ("hook_no_verdict", "hook")])
            }
            Some(
                "status"
                | "thinking_tokens"
                | "task_progress"
                | "task_updated"
                | "session_state_changed"
                | "hook_started"
                | "hook_progress"
                | "hook_response"
                | "files_persisted"
                | "background_tasks_changed"
                | "post_turn_summary",
            ) => Steps::new(),
            _ => vec![pick::raw(line)],
        }
    }

    /// What it is and works with. It says so before every turn: once is enough while nothing changes.
    fn init(&mut self, message: &Value) -> Steps {
        let known = Step::Known {
            session: pick::owned(message, "session_id"),
            model: pick::owned(message, "model"),
            version: pick::owned(message, "claude_code_version"),
        };
        let mut data = pick::keep(
            message,
            &[
                ("session_id", "sessionId"),
                ("model", "model"),
                ("permissionMode", "permissionMode"),
                ("cwd", "cwd"),
                ("tools", "tools"),
                ("mcp_servers", "mcpServers"),
                ("claude_code_version", "version"),
                ("apiKeySource", "login"),
            ],
        );
        if !self.models.is_empty() {
            data.insert("models".to_owned(), Value::Array(self.models.clone()));
        }
        let data = Value::Object(data);
        if self.init.as_ref() == Some(&data) {
            return vec![known];
        }
        self.init = Some(data.clone());
        let Value::Object(data) = data else { return vec![known] };
        vec![known, Step::system("init", data)]
    }
}

/// A use of a tool, with the change that it makes where that can be seen from the input.
pub(super) fn used(id: &str, name: &str, input: Value) -> Map<String, Value> {
    let path = pick::owned(&input, "file_path").or_else(|| pick::owned(&input, "notebook_path"));
    let field = |name: &str| input.get(name).and_then(Value::as_str);
    let diff = match (&path, field("old_string"), field("new_string")) {
        (Some(path), Some(old), Some(new)) => pick::diff(path, old, new),
        _ => None,
    };
    let mut data = Map::from_iter([("id".to_owned(), id.into()), ("name".to_owned(), name.into()), ("input".to_owned(), input)]);
    data.extend(path.map(|path| ("path".to_owned(), path.into())));
    data.extend(diff.map(|diff| ("diff".to_owned(), diff.into())));
    data
}

/// What came of a use of a tool.
pub(super) fn came(id: &str, name: Option<&str>, content: &Value, is_error: bool, parent: Option<&str>) -> Map<String, Value> {
    let content = words(content);
    // A failed command says so in its first line.
    let first = content.lines().next().filter(|_| is_error && name.is_none_or(|name| name == "Bash"));
    let exit_code = first.and_then(|line| line.strip_prefix("Exit code ")).and_then(|code| code.trim().parse::<i64>().ok());
    let mut data = Map::from_iter([("id".to_owned(), id.into()), ("content".to_owned(), content.into()), ("isError".to_owned(), is_error.into())]);
    data.extend(name.map(|name| ("name".to_owned(), name.into())));
    data.extend(exit_code.map(|code| ("exitCode".to_owned(), code.into())));
    data.extend(parent.map(|parent| ("parent".to_owned(), parent.into())));
    data
}

/// The content of a result as a text.
fn words(content: &Value) -> String {
    let block = |block: &Value| match pick::text(block, "type") {
        Some("text") => block.get("text").and_then(Value::as_str).unwrap_or_default().to_owned(),
        Some("image") => "[an image]".to_owned(),
        Some("tool_reference") => format!("[the tool {}]", pick::text(block, "tool_name").unwrap_or_default()),
        _ => block.to_string(),
    };
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks.iter().map(block).collect::<Vec<_>>().join("\n"),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// What a subagent of the agent says.
fn subagent(parent: &str, name: &str, text: &str) -> Step {
    Step::system("subagent", Map::from_iter([("parent".to_owned(), parent.into()), (name.to_owned(), text.into())]))
}

/// How much of its limit is used, and when it begins anew.
fn rate_limit(message: &Value, line: &str) -> Steps {
    let Some(info) = message.get("rate_limit_info") else { return vec![pick::raw(line)] };
    let mut data = pick::keep(info, &[("status", "status"), ("rateLimitType", "limit"), ("utilization", "used"), ("isUsingOverage", "overage")]);
    // In milliseconds, like all times here.
    data.extend(pick::count(info, "resetsAt").map(|seconds| ("resetsAt".to_owned(), seconds.saturating_mul(1000).into())));
    vec![Step::system("rate_limit", data)]
}

//! What Codex says and does, as events.

use std::collections::HashMap;

use loopsy_shared::api::ai_tasks::TaskEventKind;
use serde_json::{Map, Value, json};

use super::super::{
    driver::{Step, Steps},
    pick,
};

/// How much output of one command is kept until it ends, where Codex does not give it whole.
const OUTPUT: usize = 256 * 1024;

/// Items that are remembered until they end. Past this, results come without their names.
const ITEMS: usize = 1024;

/// What it tells about itself that nobody needs: the state of its thread, of its catalogues and of its servers.
const NOISE: &[&str] = &[
    "thread/started",
    "thread/status/changed",
    "thread/name/updated",
    "thread/settings/updated",
    "thread/tokenUsage/updated",
    "thread/readState/changed",
    "thread/queue/changed",
    "thread/goal/updated",
    "thread/goal/cleared",
    "thread/prediction/updated",
    "thread/environment/connected",
    "thread/environment/disconnected",
    "thread/compacted",
    "thread/closed",
    "turn/diff/updated",
    "turn/moderationMetadata",
    "item/fileChange/outputDelta",
    "item/fileChange/patchUpdated",
    "item/commandExecution/terminalInteraction",
    "item/mcpToolCall/progress",
    "item/plan/delta",
    "item/reasoning/summaryPartAdded",
    "item/autoApprovalReview/started",
    "item/autoApprovalReview/completed",
    "hook/started",
    "hook/completed",
    "skills/changed",
    "app/list/updated",
    "account/updated",
    "mcpServer/startupStatus/updated",
    "remoteControl/status/changed",
    "model/safetyBuffering/updated",
    "model/verification",
    "fs/changed",
];

/// What it does and says now.
#[derive(Default)]
pub(super) struct Items {
    /// Number of the next block.
    next: u64,
    /// Texts that come in pieces: by item, and by part of it.
    texts: HashMap<(String, Option<u64>), (u64, String)>,
    /// Uses of tools that have not ended.
    open: HashMap<String, Open>,
    /// The last whole text.
    last: Option<String>,
}

/// A use of a tool that has not ended.
struct Open {
    /// The item as it came.
    item: Value,
    /// What it printed so far.
    output: String,
}

impl Items {
    /// The turn is over.
    pub(super) fn clear(&mut self) {
        self.texts.clear();
        self.open.clear();
        self.last = None;
    }

    /// What it said last.
    pub(super) fn last_text(&mut self) -> Option<String> {
        self.last.take()
    }

    /// The changes of a change of files that has begun.
    pub(super) fn changes(&self, item: &str) -> Option<&Value> {
        self.open.get(item)?.item.get("changes").filter(|changes| changes.is_array())
    }

    /// It tells something. `subagent` is the thread of a subagent, if it is one's.
    pub(super) fn told(&mut self, method: &str, params: &Value, subagent: Option<&str>, line: &str) -> Steps {
        let (item, delta) = (pick::text(params, "itemId").unwrap_or_default(), params.get("delta").and_then(Value::as_str).unwrap_or_default());
        let notice = |message: Option<&str>| {
            let data = Map::from_iter([("message".to_owned(), json!(message))]);
            vec![Step::system("notice", data)]
        };
        match method {
            "item/agentMessage/delta" | "item/reasoning/summaryTextDelta" | "item/reasoning/textDelta" if subagent.is_some() => Steps::new(),
            "item/agentMessage/delta" => self.piece(TaskEventKind::Text, item, None, delta).into_iter().collect(),
            "item/reasoning/summaryTextDelta" => {
                self.piece(TaskEventKind::Thinking, item, pick::count(params, "summaryIndex").or(Some(0)), delta).into_iter().collect()
            }
            "item/reasoning/textDelta" => {
                // Its own words, apart from their summaries.
                let part = pick::count(params, "contentIndex").unwrap_or(0).saturating_add(1 << 32);
                self.piece(TaskEventKind::Thinking, item, Some(part), delta).into_iter().collect()
            }
            "item/commandExecution/outputDelta" => {
                if let Some(open) = self.open.get_mut(item).filter(|open| open.output.len() + delta.len() <= OUTPUT) {
                    open.output.push_str(delta);
                }
                Steps::new()
            }
            "item/started" | "item/completed" => match params.get("item").filter(|item| item.is_object()) {
                Some(item) => self.item(item, method == "item/completed", subagent),
                None => vec![pick::raw(line)],
            },
            "turn/plan/updated" => vec![Step::system("plan", pick::keep(params, &[("explanation", "explanation"), ("plan", "steps")]))],
            "error" => error(params),
            "warning" | "guardianWarning" | "windows/worldWritableWarning" => notice(pick::text(params, "message")),
            "configWarning" | "deprecationNotice" => notice(pick::text(params, "summary")),
            "model/rerouted" => {
                let known = Step::Known { session: None, model: pick::owned(params, "toModel"), version: None };
                vec![known, Step::system("notice", pick::keep(params, &[("fromModel", "from"), ("toModel", "model"), ("reason", "reason")]))]
            }
            method if NOISE.contains(&method) => Steps::new(),
            _ => vec![pick::raw(line)],
        }
    }

    /// A piece of a text or a thought.
    fn piece(&mut self, kind: TaskEventKind, item: &str, part: Option<u64>, text: &str) -> Option<Step> {
        if text.is_empty() {
            return None;
        }
        let next = &mut self.next;
        let (block, said) = self.texts.entry((item.to_owned(), part)).or_insert_with(|| {
            *next += 1;
            (*next, String::new())
        });
        said.push_str(text);
        Some(Step::text(kind, text, *block))
    }

    /// The whole of a text. What of it did not come in pieces is still to be said.
    fn whole(&mut self, kind: TaskEventKind, item: &str, part: Option<u64>, text: &str) -> Option<Step> {
        let said = self.texts.get(&(item.to_owned(), part)).map_or("", |(_, said)| said.as_str());
        let rest = match text.strip_prefix(said) {
            Some(rest) => rest.to_owned(),
            // It is another one than its pieces.
            None => {
                self.texts.remove(&(item.to_owned(), part));
                text.to_owned()
            }
        };
        let step = self.piece(kind, item, part, &rest);
        self.texts.remove(&(item.to_owned(), part));
        step
    }

    /// Something begins or has ended.
    fn item(&mut self, item: &Value, has_ended: bool, subagent: Option<&str>) -> Steps {
        let id = pick::text(item, "id").unwrap_or_default();
        match pick::text(item, "type") {
            Some("agentMessage" | "reasoning") if !has_ended => Steps::new(),
            Some("agentMessage") => {
                let text = item.get("text").and_then(Value::as_str).unwrap_or_default();
                if let Some(subagent) = subagent {
                    return vec![Step::system("subagent", Map::from_iter([("parent".to_owned(), subagent.into()), ("text".to_owned(), text.into())]))];
                }
                self.last = Some(text.to_owned());
                self.whole(TaskEventKind::Text, id, None, text).into_iter().collect()
            }
            Some("reasoning") if subagent.is_some() => Steps::new(),
            Some("reasoning") => {
                let parts = |name: &str, first: u64| {
                    let texts = pick::list(item, name).iter().filter_map(Value::as_str);
                    texts.zip(first..).map(|(text, part)| (text.to_owned(), part)).collect::<Vec<_>>()
                };
                let all = parts("summary", 0).into_iter().chain(parts("content", 1 << 32));
                all.filter_map(|(text, part)| self.whole(TaskEventKind::Thinking, id, Some(part), &text)).collect()
            }
            Some("plan") if has_ended => vec![Step::system("plan", pick::keep(item, &[("text", "text")]))],
            Some("contextCompaction") if has_ended => vec![Step::system("compact", Map::new())],
            Some("userMessage" | "hookPrompt" | "plan" | "contextCompaction" | "sleep" | "enteredReviewMode" | "exitedReviewMode" | "functionCallOutput") => {
                Steps::new()
            }
            Some(_) => self.tool(id, item, has_ended, subagent),
            None => vec![pick::raw(&item.to_string())],
        }
    }

    /// A tool is used, or was.
    fn tool(&mut self, id: &str, item: &Value, has_ended: bool, subagent: Option<&str>) -> Steps {
        let known = self.open.contains_key(id);
        let mut steps = Steps::new();
        if !known {
            steps.push(used(id, item, subagent));
        }
        if !has_ended {
            if !known && self.open.len() < ITEMS {
                self.open.insert(id.to_owned(), Open { item: item.clone(), output: String::new() });
            }
            return steps;
        }
        let output = self.open.remove(id).map(|open| open.output).unwrap_or_default();
        steps.push(came(id, item, output, subagent));
        steps
    }
}

/// The name and the input of a tool.
fn tool(item: &Value) -> (String, Value) {
    let kind = pick::text(item, "type").unwrap_or_default();
    let fields = |names: &[(&str, &str)]| Value::Object(pick::keep(item, names));
    let called = |place: Option<&str>| pick::text(item, "tool").map(|tool| place.map_or_else(|| tool.to_owned(), |place| format!("mcp:{place}/{tool}")));
    let arguments = || item.get("arguments").cloned().unwrap_or_default();
    match kind {
        "commandExecution" => (kind.to_owned(), fields(&[("command", "command"), ("cwd", "cwd")])),
        "fileChange" => (kind.to_owned(), fields(&[("changes", "changes")])),
        "mcpToolCall" => (called(Some(pick::text(item, "server").unwrap_or_default())).unwrap_or_else(|| kind.to_owned()), arguments()),
        "dynamicToolCall" => (called(None).unwrap_or_else(|| kind.to_owned()), arguments()),
        "webSearch" => (kind.to_owned(), fields(&[("query", "query"), ("action", "action")])),
        _ => {
            let own = |name: &str| !matches!(name, "id" | "type" | "status" | "result" | "startedAtMs" | "completedAtMs" | "durationMs");
            let fields = item.as_object().into_iter().flatten().filter(|(name, value)| own(name) && !value.is_null());
            (kind.to_owned(), Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect()))
        }
    }
}

/// It uses a tool.
fn used(id: &str, item: &Value, subagent: Option<&str>) -> Step {
    let (name, input) = tool(item);
    let mut data = Map::from_iter([("id".to_owned(), json!(id)), ("name".to_owned(), name.into()), ("input".to_owned(), input)]);
    let changes = pick::list(item, "changes");
    let diffs: String = changes.iter().filter_map(diff).collect();
    if !diffs.is_empty() {
        data.insert("diff".to_owned(), diffs.into());
    }
    if let [change] = changes {
        data.extend(pick::owned(change, "path").map(|path| ("path".to_owned(), path.into())));
    }
    data.extend(subagent.map(|subagent| ("parent".to_owned(), subagent.into())));
    Step::event(TaskEventKind::ToolUse, Value::Object(data))
}

/// The change of one file as a unified diff. Codex gives the whole text of a file that comes or goes.
fn diff(change: &Value) -> Option<String> {
    let (path, text) = (pick::text(change, "path")?, pick::text(change, "diff")?);
    match change.get("kind").and_then(|kind| pick::text(kind, "type")) {
        Some("add") => pick::diff(path, "", text),
        Some("delete") => pick::diff(path, text, ""),
        _ => Some(format!("--- {path}\n+++ {path}\n{text}{}", if text.ends_with('\n') { "" } else { "\n" })),
    }
}

/// What came of a tool.
fn came(id: &str, item: &Value, output: String, subagent: Option<&str>) -> Step {
    let status = pick::text(item, "status");
    let exit_code = item.get("exitCode").and_then(Value::as_i64);
    let is_error = matches!(status, Some("failed" | "declined")) || exit_code.is_some_and(|code| code != 0) || item.get("success") == Some(&Value::Bool(false));
    let texts = |value: &Value| {
        pick::list(value, "content").iter().chain(pick::list(value, "contentItems")).filter_map(|one| pick::owned(one, "text")).collect::<Vec<_>>()
    };
    let content = match pick::text(item, "aggregatedOutput") {
        Some(whole) => whole.to_owned(),
        None if !output.is_empty() => output,
        None if status == Some("declined") => "It was denied.".to_owned(),
        None => {
            let error = item.get("error").and_then(|error| pick::owned(error, "message"));
            let result = item.get("result").map(texts).filter(|texts| !texts.is_empty()).unwrap_or_else(|| texts(item));
            error.unwrap_or_else(|| result.join("\n"))
        }
    };
    let mut data = Map::from_iter([
        ("id".to_owned(), json!(id)),
        ("name".to_owned(), tool(item).0.into()),
        ("content".to_owned(), content.into()),
        ("isError".to_owned(), is_error.into()),
    ]);
    data.extend(exit_code.map(|code| ("exitCode".to_owned(), code.into())));
    data.extend(subagent.map(|subagent| ("parent".to_owned(), subagent.into())));
    Step::event(TaskEventKind::ToolResult, Value::Object(data))
}

/// Something went wrong, or is tried again.
fn error(params: &Value) -> Steps {
    let error = params.get("error").unwrap_or(&Value::Null);
    let mut data = Map::from_iter([("message".to_owned(), message(error).into())]);
    data.extend(pick::keep(error, &[("codexErrorInfo", "error"), ("additionalDetails", "details")]));
    if params.get("willRetry").and_then(Value::as_bool) == Some(true) {
        return vec![Step::system("retry", data)];
    }
    vec![Step::event(TaskEventKind::Error, Value::Object(data))]
}

/// The message of an error. Some are the JSON that a model's server sent.
pub(super) fn message(error: &Value) -> String {
    let message = pick::text(error, "message").unwrap_or("it did not say why.");
    let inner = serde_json::from_str::<Value>(message).ok();
    inner.as_ref().and_then(|inner| pick::text(inner.get("error")?, "message")).unwrap_or(message).to_owned()
}

/// What went wrong and what to do about it.
pub(super) fn sentence(error: &Value) -> String {
    let said = message(error);
    let info = error.get("codexErrorInfo");
    let status = info.and_then(Value::as_object).and_then(|info| info.values().next()).and_then(|info| pick::count(info, "httpStatusCode"));
    match (info.and_then(Value::as_str), status) {
        (Some("unauthorized"), _) | (_, Some(401)) => format!("Codex is not logged in on this machine. Run `codex login` there. It said: {said}"),
        (Some("usageLimitExceeded" | "rateLimitExceeded"), _) | (_, Some(429)) => {
            format!("Codex's limit is used up. Send a message when it begins anew. It said: {said}")
        }
        (Some("contextWindowExceeded"), _) => format!("The conversation has become too long for the model. Start a new task. It said: {said}"),
        (Some("modelNotFound"), _) => format!("Codex does not know this model. It said: {said}"),
        (Some("serverOverloaded"), _) | (_, Some(503)) => format!("The model is overloaded. Send a message later. It said: {said}"),
        (Some("sandboxError"), _) => format!("Codex's sandbox does not work on this machine. It said: {said}"),
        _ => format!("Codex failed: {said}"),
    }
}

/// Limits in our words: the fullest window decides when to go on.
pub(super) fn limits(limits: &Value) -> Map<String, Value> {
    let window = |name: &str| {
        let window = limits.get(name).filter(|window| window.is_object())?;
        let mut data = pick::keep(window, &[("usedPercent", "usedPercent"), ("windowDurationMins", "minutes")]);
        data.extend(pick::count(window, "resetsAt").map(|seconds| ("resetsAt".to_owned(), seconds.saturating_mul(1000).into())));
        Some(data)
    };
    let (primary, secondary) = (window("primary"), window("secondary"));
    let used = |window: &&Map<String, Value>| window.get("usedPercent").and_then(Value::as_u64).unwrap_or(0);
    let mut data = Map::new();
    if let Some(fullest) = primary.iter().chain(&secondary).max_by_key(used) {
        data.extend(fullest.clone());
    }
    data.extend(pick::keep(limits, &[("rateLimitReachedType", "reached")]));
    data
}

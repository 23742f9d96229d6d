//! Calls of tools as an agent tells them, piece by piece, and what of them is shown.

use std::collections::VecDeque;

use loopsy_shared::api::ai_tasks::TaskEventKind;
use serde_json::{Map, Value, json};

use super::profile::{Profile, Quirks};
use crate::agents::driver::{Step, Steps};

/// Calls that are remembered while they run. When there are more, the oldest is forgotten: its later updates show less.
const MAX_CALLS: usize = 1_000;

/// Texts of which a diff is made. For larger ones the input has to do.
const MAX_DIFF: usize = 512 << 10;

/// The calls that have not ended.
#[derive(Debug, Default)]
pub(super) struct Calls(VecDeque<Call>);

/// What is known of one call.
#[derive(Debug, Clone, Default)]
pub(super) struct Call {
    id: String,
    first_title: Option<String>,
    title: Option<String>,
    kind: Option<String>,
    raw_input: Map<String, Value>,
    content: Value,
    locations: Value,
    shown: bool,
    shown_diff: bool,
}

impl Calls {
    /// Takes in what was told about a call.
    pub(super) fn learn(&mut self, update: &Value) -> &mut Call {
        let id = update["toolCallId"].as_str().unwrap_or_default();
        let at = self.0.iter().position(|call| call.id == id).unwrap_or_else(|| {
            if self.0.len() >= MAX_CALLS {
                self.0.pop_front();
            }
            self.0.push_back(Call { id: id.to_owned(), ..Call::default() });
            self.0.len() - 1
        });
        let call = &mut self.0[at];
        call.learn(update);
        call
    }

    /// The steps for an update of a call.
    pub(super) fn updated(&mut self, profile: &Profile, update: &Value) -> Steps {
        let call = self.learn(update);
        let status = update["status"].as_str().unwrap_or("pending");
        let ended = matches!(status, "completed" | "failed");
        let mut steps = Steps::new();
        if status != "pending" {
            steps.extend(call.show(profile));
        }
        if ended {
            steps.push(call.result(profile, update, status == "failed"));
            let id = call.id.clone();
            self.0.retain(|call| call.id != id);
        }
        steps
    }

    /// The turn is over: calls that were never shown are shown now, and all are forgotten.
    pub(super) fn end(&mut self, profile: &Profile) -> Steps {
        self.0.drain(..).filter_map(|mut call| call.show(profile)).collect()
    }
}

impl Call {
    fn learn(&mut self, update: &Value) {
        if let Some(title) = update["title"].as_str() {
            self.first_title.get_or_insert_with(|| title.to_owned());
            self.title = Some(title.to_owned());
        }
        if let Some(kind) = update["kind"].as_str() {
            self.kind.get_or_insert_with(|| kind.to_owned());
        }
        if let Some(input) = update["rawInput"].as_object() {
            self.raw_input.extend(input.clone());
        } else if !update["rawInput"].is_null() {
            self.raw_input.insert("input".to_owned(), update["rawInput"].clone());
        }
        for (known, told) in [(&mut self.content, &update["content"]), (&mut self.locations, &update["locations"])] {
            if told.as_array().is_some_and(|told| !told.is_empty()) {
                known.clone_from(told);
            }
        }
    }

    /// The agent's name of the tool.
    pub(super) fn tool(&self, profile: &Profile) -> String {
        profile.tool(&self.id, self.first_title.as_deref(), self.kind.as_deref())
    }

    /// The whole input as far as the agent shows it, and whether it shows it itself.
    pub(super) fn input(&self, profile: &Profile) -> (Value, bool) {
        let mut input = self.raw_input.clone();
        let told = !input.is_empty();
        let title = self.title.clone().unwrap_or_default();
        if !told && profile.title_is_command(&self.tool(profile)) {
            input.insert("command".to_owned(), Value::String(title));
            if !self.content.is_null() {
                input.insert("content".to_owned(), self.content.clone());
            }
            return (Value::Object(input), true);
        }
        if !told {
            input.insert("title".to_owned(), Value::String(title));
            input.insert("kind".to_owned(), json!(self.kind));
        }
        // opencode's content repeats its input; of others it is not known.
        if !told || profile.quirks != Quirks::Opencode {
            for (name, value) in [("content", &self.content), ("locations", &self.locations)] {
                if !value.is_null() && !input.contains_key(name) {
                    input.insert(name.to_owned(), value.clone());
                }
            }
        }
        let shows_all = told || diff(&self.content).is_some();
        (Value::Object(input), shows_all)
    }

    /// Paths that the agent says it is about.
    pub(super) fn paths(&self) -> Vec<String> {
        let locations = self.locations.as_array().into_iter().flatten();
        let changed = self.content.as_array().into_iter().flatten();
        let mut paths: Vec<String> = locations.chain(changed).filter_map(|item| item["path"].as_str()).map(str::to_owned).collect();
        paths.sort_unstable();
        paths.dedup();
        paths
    }

    /// What the agent says about it, beside its input.
    pub(super) fn description(&self) -> Option<String> {
        let text = texts(&self.content);
        let said = self.raw_input.get("description").and_then(Value::as_str).unwrap_or(&text);
        (!said.is_empty()).then(|| said.to_owned())
    }

    /// What kind of tool it says it is.
    pub(super) fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or("other")
    }

    /// The use of the tool, once.
    pub(super) fn show(&mut self, profile: &Profile) -> Option<Step> {
        if std::mem::replace(&mut self.shown, true) {
            return None;
        }
        let mut data = json!({"id": self.id, "name": self.tool(profile), "input": self.input(profile).0});
        if let Some(path) = self.paths().into_iter().next() {
            data["path"] = Value::String(path);
        }
        if let Some(diff) = diff(&self.content) {
            self.shown_diff = true;
            data["diff"] = Value::String(diff);
        }
        Some(Step::event(TaskEventKind::ToolUse, data))
    }

    fn result(&mut self, profile: &Profile, update: &Value, failed: bool) -> Step {
        let raw = &update["rawOutput"];
        let mut content = texts(&update["content"]);
        if content.is_empty() {
            content = match (raw["output"].as_str().or(raw.as_str()), raw) {
                (Some(text), _) => text.to_owned(),
                (None, Value::Null) => String::new(),
                (None, other) => other.to_string(),
            };
        }
        let mut data = json!({"id": self.id, "name": self.tool(profile), "content": content, "isError": failed});
        if let Some(code) = raw["metadata"]["exit"].as_i64().or(raw["exitCode"].as_i64()) {
            data["exitCode"] = code.into();
        }
        if let Some(diff) = diff(&update["content"]).filter(|_| !self.shown_diff) {
            data["diff"] = Value::String(diff);
        }
        Step::event(TaskEventKind::ToolResult, data)
    }
}

/// The texts in the content of a call.
fn texts(content: &Value) -> String {
    let parts = content.as_array().into_iter().flatten().filter_map(|part| part["content"]["text"].as_str());
    parts.collect::<Vec<_>>().join("\n")
}

/// The changes in the content of a call as a unified diff.
fn diff(content: &Value) -> Option<String> {
    let mut all = String::new();
    for part in content.as_array()?.iter().filter(|part| part["type"] == "diff") {
        let (old, new) = (part["oldText"].as_str().unwrap_or_default(), part["newText"].as_str().unwrap_or_default());
        let path = part["path"].as_str().unwrap_or("file");
        if old.len() + new.len() + all.len() > MAX_DIFF {
            return None;
        }
        let before = if part["oldText"].as_str().is_some_and(|old| !old.is_empty()) { path } else { "/dev/null" };
        all.push_str(&similar::TextDiff::from_lines(old, new).unified_diff().header(before, path).to_string());
    }
    (!all.is_empty()).then_some(all)
}

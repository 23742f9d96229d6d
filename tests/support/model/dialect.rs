//! What the protocols of models have in common: a request with a history and tools, and a reply that is streamed piece by piece.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{script::Turn, tools::Native};

/// One protocol.
pub(super) trait Dialect: Sync {
    fn name(&self) -> &'static str;

    /// What a request asks.
    fn read(&self, path: &str, body: &Value) -> Ask;

    /// What a stream begins with, up to the text.
    fn head(&self, reply: &Reply) -> Vec<Bytes>;

    /// A piece of the text.
    fn delta(&self, reply: &Reply, text: &str) -> Bytes;

    /// What follows the text.
    fn tail(&self, reply: &Reply) -> Vec<Bytes>;

    /// The reply in one, for those that do not want a stream.
    fn whole(&self, reply: &Reply) -> Value;

    /// The body of an error.
    fn error(&self, status: u16, message: &str) -> Value;

    /// The status that says "too much to do".
    fn overloaded(&self) -> u16 {
        503
    }
}

/// A request, whatever its protocol.
#[derive(Debug, Default)]
pub(super) struct Ask {
    pub(super) model: String,
    pub(super) stream: bool,
    /// The names of the tools. Without any it is no part of the conversation: a title, a summary, a choice of a model.
    pub(super) tools: Vec<String>,
    /// Turns of the model in the history.
    pub(super) turns: usize,
    /// What the system and the person said, oldest first.
    pub(super) texts: Vec<String>,
    /// The form that the reply must have.
    pub(super) schema: Option<Value>,
}

impl Ask {
    /// The session's folder, which every agent tells its model.
    pub(super) fn cwd(&self) -> String {
        // Claude Code and opencode; Codex; the Gemini CLI.
        let marks = ["orking directory: ", "<cwd>", "Workspace Directories:**\n"];
        let found = self.texts.iter().find_map(|text| marks.iter().find_map(|mark| text.split_once(mark)).map(|(_, rest)| rest));
        let line = found.and_then(|rest| rest.split(['\n', '<']).next()).unwrap_or("/");
        line.trim_start_matches([' ', '-']).trim_end().to_owned()
    }
}

/// A turn, made ready for one request.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) turn: Turn,
    pub(super) calls: Vec<Native>,
}

/// What a stream consists of.
#[derive(Debug)]
pub(super) enum Part {
    Bytes(Bytes),
    /// A piece of the text, which may have to wait.
    Delta(Bytes),
    /// The end of the text.
    Said,
}

/// A reply as a stream, made while it is sent.
pub(super) fn parts(dialect: &'static dyn Dialect, reply: Arc<Reply>) -> impl Iterator<Item = Part> + Send {
    let (head, tail, pieces) = (dialect.head(&reply), dialect.tail(&reply), reply.turn.pieces());
    let text = pieces.map(move |piece| Part::Delta(dialect.delta(&reply, &piece)));
    head.into_iter().map(Part::Bytes).chain(text).chain([Part::Said]).chain(tail.into_iter().map(Part::Bytes))
}

/// One event of a stream. The protocols that name their events name them by `type`.
pub(super) fn event(data: &Value) -> Bytes {
    let name = data["type"].as_str().map(|name| format!("event: {name}\n")).unwrap_or_default();
    format!("{name}data: {data}\n\n").into()
}

/// A list, or none.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The texts in a text, or in a list of parts of which some are text.
pub(super) fn texts(content: &Value) -> Vec<String> {
    let parts = list(content).iter().filter_map(|part| part["text"].as_str());
    content.as_str().into_iter().chain(parts).map(str::to_owned).collect()
}

/// How often something follows what is not like it: parts of one turn stand side by side.
pub(super) fn runs(items: impl Iterator<Item = bool>) -> usize {
    let (mut runs, mut before) = (0, false);
    for now in items {
        runs += usize::from(now && !before);
        before = now;
    }
    runs
}

/// The least that fits a JSON schema.
pub(super) fn least(schema: &Value) -> Value {
    if let Some(first) = list(&schema["enum"]).first() {
        return first.clone();
    }
    match schema["type"].as_str().unwrap_or("string").to_lowercase().as_str() {
        "object" => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            Value::Object(fields.map(|(name, schema)| (name.clone(), least(schema))).collect::<Map<_, _>>())
        }
        "array" => Value::Array(Vec::new()),
        "boolean" => false.into(),
        "integer" | "number" => 1.into(),
        "null" => Value::Null,
        _ => "word".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_folder_is_found_in_what_every_agent_says() {
        for text in [
            "# Environment\n - Primary working directory: /src/a b\n - Is a git",
            "x\n  Working directory: /src/a b\n  y",
            "<cwd>/src/a b</cwd>",
            "- **Workspace Directories:**\n  - /src/a b\n",
        ] {
            let ask = Ask { texts: vec!["no folder here".to_owned(), text.to_owned()], ..Ask::default() };
            assert_eq!(ask.cwd(), "/src/a b", "{text}");
        }
    }

    #[test]
    fn the_least_fits() {
        let schema = json!({ "type": "OBJECT", "properties": { "a": { "enum": ["x", "y"] }, "b": { "type": "integer" }, "c": { "type": "array" } } });
        assert_eq!(least(&schema), json!({ "a": "x", "b": 1, "c": [] }));
    }

    #[test]
    fn parts_of_a_turn_count_once() {
        assert_eq!(runs([false, true, true, false, true].into_iter()), 2);
    }
}

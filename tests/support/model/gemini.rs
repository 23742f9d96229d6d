//! Gemini, as the Gemini CLI speaks it. Whether it streams, and the name of the model, stand in the path.

use bytes::Bytes;
use serde_json::{Value, json};

use super::dialect::{Ask, Dialect, Reply, event, list, runs, texts};

#[derive(Debug)]
pub(super) struct Gemini;

fn response(reply: &Reply, parts: &[Value], finish: Option<&str>) -> Value {
    let (tokens_in, tokens_out) = reply.turn.usage;
    let mut candidate = json!({ "index": 0, "content": { "role": "model", "parts": parts } });
    if let Some(finish) = finish {
        candidate["finishReason"] = finish.into();
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": { "promptTokenCount": tokens_in, "candidatesTokenCount": tokens_out, "totalTokenCount": tokens_in + tokens_out },
        "modelVersion": reply.model,
        "responseId": reply.id,
    })
}

fn thoughts(reply: &Reply) -> Vec<Value> {
    // The first words, in bold, are the subject.
    let thought = json!({ "text": format!("**Thought**\n{}", reply.turn.thinking), "thought": true });
    if reply.turn.thinking.is_empty() { Vec::new() } else { vec![thought] }
}

fn calls(reply: &Reply) -> Vec<Value> {
    reply.calls.iter().map(|call| json!({ "functionCall": { "id": call.id, "name": call.name, "args": call.input } })).collect()
}

impl Dialect for Gemini {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn read(&self, path: &str, body: &Value) -> Ask {
        let contents = list(&body["contents"]);
        let theirs = contents.iter().filter(|content| content["role"] != "model").flat_map(|content| texts(&content["parts"]));
        let config = &body["generationConfig"];
        let functions = list(&body["tools"]).iter().flat_map(|tool| list(&tool["functionDeclarations"]));
        Ask {
            model: path.rsplit('/').next().and_then(|name| name.split(':').next()).unwrap_or_default().to_owned(),
            stream: path.ends_with(":streamGenerateContent"),
            tools: functions.filter_map(|function| function["name"].as_str()).map(str::to_owned).collect(),
            turns: runs(contents.iter().map(|content| content["role"] == "model")),
            texts: texts(&body["systemInstruction"]["parts"]).into_iter().chain(theirs).collect(),
            schema: [&config["responseJsonSchema"], &config["responseSchema"]].into_iter().find(|schema| schema.is_object()).cloned(),
        }
    }

    fn head(&self, reply: &Reply) -> Vec<Bytes> {
        thoughts(reply).into_iter().map(|thought| event(&response(reply, &[thought], None))).collect()
    }

    fn delta(&self, reply: &Reply, text: &str) -> Bytes {
        event(&response(reply, &[json!({ "text": text })], None))
    }

    fn tail(&self, reply: &Reply) -> Vec<Bytes> {
        let calls = calls(reply);
        let last = if calls.is_empty() { vec![json!({ "text": "" })] } else { calls };
        vec![event(&response(reply, &last, Some("STOP")))]
    }

    fn whole(&self, reply: &Reply) -> Value {
        let mut parts = thoughts(reply);
        if reply.turn.speaks() {
            parts.push(json!({ "text": reply.turn.whole() }));
        }
        parts.extend(calls(reply));
        response(reply, &parts, Some("STOP"))
    }

    fn error(&self, status: u16, message: &str) -> Value {
        let name = match status {
            400 => "INVALID_ARGUMENT",
            429 => "RESOURCE_EXHAUSTED",
            503 => "UNAVAILABLE",
            _ => "INTERNAL",
        };
        json!({ "error": { "code": status, "message": message, "status": name } })
    }
}

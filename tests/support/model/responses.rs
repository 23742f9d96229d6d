//! OpenAI Responses, as Codex speaks it.

use bytes::Bytes;
use serde_json::{Value, json};

use super::dialect::{Ask, Dialect, Reply, event, list, runs, texts};

#[derive(Debug)]
pub(super) struct Responses;

/// What the model has said, as the items of its output.
fn items(reply: &Reply) -> Vec<Value> {
    let mut items = Vec::new();
    if !reply.turn.thinking.is_empty() {
        let summary = json!([{ "type": "summary_text", "text": reply.turn.thinking }]);
        items.push(json!({ "type": "reasoning", "id": format!("rs_{}", reply.id), "summary": summary, "encrypted_content": null }));
    }
    if reply.turn.speaks() {
        items.push(message(reply, &reply.turn.whole()));
    }
    for call in &reply.calls {
        let mut item = json!({ "id": format!("fc_{}", call.id), "call_id": call.id, "name": call.name });
        if call.input.is_string() {
            item["type"] = "custom_tool_call".into();
            item["input"] = call.input.clone();
        } else {
            item["type"] = "function_call".into();
            item["arguments"] = call.input.to_string().into();
        }
        items.push(item);
    }
    items
}

fn message(reply: &Reply, text: &str) -> Value {
    let content = if text.is_empty() { json!([]) } else { json!([{ "type": "output_text", "text": text, "annotations": [] }]) };
    json!({ "type": "message", "id": format!("msg_{}", reply.id), "role": "assistant", "content": content })
}

fn added(index: usize, item: &Value) -> Bytes {
    event(&json!({ "type": "response.output_item.added", "output_index": index, "item": item }))
}

fn done(index: usize, item: &Value) -> Bytes {
    event(&json!({ "type": "response.output_item.done", "output_index": index, "item": item }))
}

impl Dialect for Responses {
    fn name(&self) -> &'static str {
        "responses"
    }

    fn read(&self, _path: &str, body: &Value) -> Ask {
        let input = list(&body["input"]);
        let theirs = input.iter().filter(|item| ["user", "developer", "system"].iter().any(|role| item["role"] == *role));
        let models = ["reasoning", "function_call", "custom_tool_call", "local_shell_call"];
        Ask {
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            stream: body["stream"] == true,
            tools: list(&body["tools"]).iter().filter_map(|tool| tool["name"].as_str().or(tool["type"].as_str())).map(str::to_owned).collect(),
            turns: runs(input.iter().map(|item| item["role"] == "assistant" || models.iter().any(|kind| item["type"] == *kind))),
            texts: texts(&body["instructions"]).into_iter().chain(theirs.flat_map(|item| texts(&item["content"]))).collect(),
            schema: Some(&body["text"]["format"]["schema"]).filter(|schema| schema.is_object()).cloned(),
        }
    }

    fn head(&self, reply: &Reply) -> Vec<Bytes> {
        let mut out = vec![event(&json!({ "type": "response.created", "response": { "id": format!("resp_{}", reply.id) } }))];
        if !reply.turn.thinking.is_empty() {
            let mut item = items(reply).swap_remove(0);
            let summary = item["summary"].take();
            item["summary"] = json!([]);
            out.push(added(0, &item));
            let place = |kind: &str| json!({ "type": kind, "item_id": item["id"], "output_index": 0, "summary_index": 0 });
            out.push(event(&place("response.reasoning_summary_part.added")));
            let mut delta = place("response.reasoning_summary_text.delta");
            delta["delta"] = reply.turn.thinking.as_str().into();
            out.push(event(&delta));
            item["summary"] = summary;
            out.push(done(0, &item));
        }
        if reply.turn.speaks() {
            out.push(added(usize::from(!reply.turn.thinking.is_empty()), &message(reply, "")));
        }
        out
    }

    fn delta(&self, reply: &Reply, text: &str) -> Bytes {
        event(&json!({
            "type": "response.output_text.delta",
            "item_id": format!("msg_{}", reply.id),
            "output_index": usize::from(!reply.turn.thinking.is_empty()),
            "content_index": 0,
            "delta": text,
        }))
    }

    fn tail(&self, reply: &Reply) -> Vec<Bytes> {
        let mut out = Vec::new();
        for (index, item) in items(reply).iter().enumerate() {
            match item["type"].as_str() {
                Some("reasoning") => continue,
                Some("message") => {}
                _ => out.push(added(index, item)),
            }
            out.push(done(index, item));
        }
        out.push(event(&json!({ "type": "response.completed", "response": self.whole(reply) })));
        out
    }

    fn whole(&self, reply: &Reply) -> Value {
        let (tokens_in, tokens_out) = reply.turn.usage;
        json!({
            "id": format!("resp_{}", reply.id),
            "object": "response",
            "status": "completed",
            "model": reply.model,
            "output": items(reply),
            "usage": {
                "input_tokens": tokens_in,
                "input_tokens_details": { "cached_tokens": 0 },
                "output_tokens": tokens_out,
                "output_tokens_details": { "reasoning_tokens": 0 },
                "total_tokens": tokens_in + tokens_out,
            },
        })
    }

    fn error(&self, status: u16, message: &str) -> Value {
        error(status, message)
    }
}

/// An error of OpenAI, whichever protocol.
pub(super) fn error(status: u16, message: &str) -> Value {
    let kind = match status {
        400 => "invalid_request_error",
        429 => "rate_limit_exceeded",
        _ => "server_error",
    };
    json!({ "error": { "message": message, "type": kind, "code": kind, "param": null } })
}

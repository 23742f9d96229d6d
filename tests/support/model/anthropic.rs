//! Anthropic Messages, as Claude Code speaks it.

use bytes::Bytes;
use serde_json::{Value, json};

use super::dialect::{Ask, Dialect, Reply, event, list, runs, texts};

/// What stands where the signature of a thought would.
const SIGNATURE: &str = "bm9ib2R5";

#[derive(Debug)]
pub(super) struct Messages;

fn message(reply: &Reply, content: Value, stop: Value) -> Value {
    let (tokens_in, tokens_out) = reply.turn.usage;
    json!({
        "id": format!("msg_{}", reply.id),
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": null,
        "usage": { "input_tokens": tokens_in, "output_tokens": tokens_out, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0 },
    })
}

fn stop(reply: &Reply) -> &'static str {
    if reply.calls.is_empty() { "end_turn" } else { "tool_use" }
}

/// Where the text stands among the blocks.
fn place(reply: &Reply) -> usize {
    usize::from(!reply.turn.thinking.is_empty())
}

fn begun(index: usize, block: &Value) -> Bytes {
    event(&json!({ "type": "content_block_start", "index": index, "content_block": block }))
}

fn delta(index: usize, delta: &Value) -> Bytes {
    event(&json!({ "type": "content_block_delta", "index": index, "delta": delta }))
}

fn ended(index: usize) -> Bytes {
    event(&json!({ "type": "content_block_stop", "index": index }))
}

impl Dialect for Messages {
    fn name(&self) -> &'static str {
        "messages"
    }

    fn read(&self, _path: &str, body: &Value) -> Ask {
        let messages = list(&body["messages"]);
        let theirs = messages.iter().filter(|message| message["role"] != "assistant").flat_map(|message| texts(&message["content"]));
        let schema = [&body["output_config"]["format"]["schema"], &body["output_format"]["schema"]].into_iter().find(|schema| schema.is_object());
        Ask {
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            stream: body["stream"] == true,
            tools: list(&body["tools"]).iter().filter_map(|tool| tool["name"].as_str()).map(str::to_owned).collect(),
            turns: runs(messages.iter().map(|message| message["role"] == "assistant")),
            texts: texts(&body["system"]).into_iter().chain(theirs).collect(),
            schema: schema.cloned(),
        }
    }

    fn head(&self, reply: &Reply) -> Vec<Bytes> {
        let mut out = vec![event(&json!({ "type": "message_start", "message": message(reply, json!([]), Value::Null) }))];
        if !reply.turn.thinking.is_empty() {
            out.push(begun(0, &json!({ "type": "thinking", "thinking": "", "signature": "" })));
            out.push(delta(0, &json!({ "type": "thinking_delta", "thinking": reply.turn.thinking })));
            out.push(delta(0, &json!({ "type": "signature_delta", "signature": SIGNATURE })));
            out.push(ended(0));
        }
        if reply.turn.speaks() {
            out.push(begun(place(reply), &json!({ "type": "text", "text": "" })));
        }
        out
    }

    fn delta(&self, reply: &Reply, text: &str) -> Bytes {
        delta(place(reply), &json!({ "type": "text_delta", "text": text }))
    }

    fn tail(&self, reply: &Reply) -> Vec<Bytes> {
        let mut out = Vec::new();
        let mut index = place(reply);
        if reply.turn.speaks() {
            out.push(ended(index));
            index += 1;
        }
        for call in &reply.calls {
            out.push(begun(index, &json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": {} })));
            out.push(delta(index, &json!({ "type": "input_json_delta", "partial_json": call.input.to_string() })));
            out.push(ended(index));
            index += 1;
        }
        let (tokens_in, tokens_out) = reply.turn.usage;
        let end = json!({ "stop_reason": stop(reply), "stop_sequence": null });
        out.push(event(&json!({ "type": "message_delta", "delta": end, "usage": { "input_tokens": tokens_in, "output_tokens": tokens_out } })));
        out.push(event(&json!({ "type": "message_stop" })));
        out
    }

    fn whole(&self, reply: &Reply) -> Value {
        let mut content = Vec::new();
        if !reply.turn.thinking.is_empty() {
            content.push(json!({ "type": "thinking", "thinking": reply.turn.thinking, "signature": SIGNATURE }));
        }
        if reply.turn.speaks() {
            content.push(json!({ "type": "text", "text": reply.turn.whole() }));
        }
        content.extend(reply.calls.iter().map(|call| json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": call.input })));
        message(reply, content.into(), stop(reply).into())
    }

    fn error(&self, status: u16, message: &str) -> Value {
        let kind = match status {
            400 => "invalid_request_error",
            429 => "rate_limit_error",
            529 => "overloaded_error",
            _ => "api_error",
        };
        json!({ "type": "error", "error": { "type": kind, "message": message } })
    }

    fn overloaded(&self) -> u16 {
        529
    }
}

//! OpenAI chat completions, as opencode speaks it.

use bytes::Bytes;
use serde_json::{Value, json};

use super::dialect::{Ask, Dialect, Reply, event, list, runs, texts};

#[derive(Debug)]
pub(super) struct Chat;

fn usage(reply: &Reply) -> Value {
    let (tokens_in, tokens_out) = reply.turn.usage;
    json!({ "prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out })
}

fn calls(reply: &Reply) -> Vec<Value> {
    let function = |call: &super::tools::Native| json!({ "name": call.name, "arguments": call.input.to_string() });
    let numbered = reply.calls.iter().enumerate();
    numbered.map(|(index, call)| json!({ "index": index, "id": call.id, "type": "function", "function": function(call) })).collect()
}

fn finish(reply: &Reply) -> &'static str {
    if reply.calls.is_empty() { "stop" } else { "tool_calls" }
}

fn chunk(reply: &Reply, delta: &Value, finish: Option<&str>) -> Value {
    json!({
        "id": format!("chatcmpl-{}", reply.id),
        "object": "chat.completion.chunk",
        "created": 1,
        "model": reply.model,
        "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
    })
}

impl Dialect for Chat {
    fn name(&self) -> &'static str {
        "chat"
    }

    fn read(&self, _path: &str, body: &Value) -> Ask {
        let messages = list(&body["messages"]);
        let theirs = messages.iter().filter(|message| ["system", "developer", "user"].iter().any(|role| message["role"] == *role));
        Ask {
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            stream: body["stream"] == true,
            tools: list(&body["tools"]).iter().filter_map(|tool| tool["function"]["name"].as_str()).map(str::to_owned).collect(),
            turns: runs(messages.iter().map(|message| message["role"] == "assistant")),
            texts: theirs.flat_map(|message| texts(&message["content"])).collect(),
            schema: Some(&body["response_format"]["json_schema"]["schema"]).filter(|schema| schema.is_object()).cloned(),
        }
    }

    fn head(&self, reply: &Reply) -> Vec<Bytes> {
        let mut out = vec![event(&chunk(reply, &json!({ "role": "assistant", "content": "" }), None))];
        if !reply.turn.thinking.is_empty() {
            out.push(event(&chunk(reply, &json!({ "reasoning_content": reply.turn.thinking }), None)));
        }
        out
    }

    fn delta(&self, reply: &Reply, text: &str) -> Bytes {
        event(&chunk(reply, &json!({ "content": text }), None))
    }

    fn tail(&self, reply: &Reply) -> Vec<Bytes> {
        let mut out: Vec<Bytes> = calls(reply).iter().map(|call| event(&chunk(reply, &json!({ "tool_calls": [call] }), None))).collect();
        let mut last = chunk(reply, &json!({}), Some(finish(reply)));
        last["usage"] = usage(reply);
        out.extend([event(&last), Bytes::from_static(b"data: [DONE]\n\n")]);
        out
    }

    fn whole(&self, reply: &Reply) -> Value {
        let mut message = json!({ "role": "assistant", "content": reply.turn.whole() });
        if !reply.calls.is_empty() {
            message["tool_calls"] = calls(reply).into();
        }
        json!({
            "id": format!("chatcmpl-{}", reply.id),
            "object": "chat.completion",
            "created": 1,
            "model": reply.model,
            "choices": [{ "index": 0, "message": message, "finish_reason": finish(reply) }],
            "usage": usage(reply),
        })
    }

    fn error(&self, status: u16, message: &str) -> Value {
        super::responses::error(status, message)
    }
}

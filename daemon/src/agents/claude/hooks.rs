//! Claude Code's hooks: how its own screen tells what happens and asks, and how a question is parked.
//!
//! A hook is a program that Claude Code runs with an event on its standard input, and that prints an answer. Whatever is not understood of a question is a no;
//! whatever only tells something is answered with `{}`, which has no effect.

use loopsy_shared::api::{
    ai_tasks::TaskEventKind,
    approvals::{ApprovalKind, Decided, Decision},
};
use serde_json::{Map, Value, json};

use super::{
    super::{
        driver::{Ask, Step, Steps},
        pick,
    },
    asks, events,
};

/// Events that an interactive run tells of. It asks with another one, `PermissionRequest`.
pub(super) const EVENTS: &[&str] =
    &["SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "PostToolUseFailure", "Notification", "PreCompact", "Stop", "StopFailure", "SessionEnd"];

/// What a hook's event means.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct HookCall {
    /// What happened.
    pub(crate) steps: Steps,
    /// What is asked. [`hook_answer`] waits for the answer then.
    pub(crate) ask: Option<Ask>,
}

/// Reads a hook's event. `parks` says that uses of tools are asked about before they happen (`Start.park`); on its own screen they are only told of.
pub(crate) fn hook(event: &Value, parks: bool) -> HookCall {
    let tell = |steps: Steps| HookCall { steps, ask: None };
    let system = |subtype: &str, names: &[(&str, &str)]| tell(vec![Step::system(subtype, pick::keep(event, names))]);
    match pick::text(event, "hook_event_name") {
        Some("PermissionRequest") => HookCall { steps: Steps::new(), ask: ask(event) },
        Some("PreToolUse") if parks => HookCall { steps: Steps::new(), ask: ask(event) },
        Some("PreToolUse") => {
            let input = event.get("tool_input").cloned().unwrap_or_default();
            let data = events::used(pick::text(event, "tool_use_id").unwrap_or_default(), pick::text(event, "tool_name").unwrap_or_default(), input);
            tell(vec![Step::event(TaskEventKind::ToolUse, Value::Object(data))])
        }
        Some("PostToolUse") => tell(vec![result(event, event.get("tool_response").unwrap_or(&Value::Null), false)]),
        Some("PostToolUseFailure") => tell(vec![result(event, event.get("error").unwrap_or(&Value::Null), true)]),
        Some("UserPromptSubmit") => system("prompt", &[("prompt", "text")]),
        Some("Stop") => {
            let data = json!({"text": pick::text(event, "last_assistant_message").unwrap_or_default(), "sessionId": pick::text(event, "session_id")});
            tell(vec![Step::event(TaskEventKind::Result, data)])
        }
        Some("StopFailure") => {
            let message = pick::text(event, "last_assistant_message").or_else(|| pick::text(event, "error")).unwrap_or("The turn failed.");
            tell(vec![Step::event(TaskEventKind::Error, json!({"message": message, "error": event.get("error")}))])
        }
        Some("SessionStart") => {
            let known = Step::Known { session: pick::owned(event, "session_id"), model: pick::owned(event, "model"), version: None };
            let data = pick::keep(event, &[("session_id", "sessionId"), ("model", "model"), ("source", "source"), ("cwd", "cwd")]);
            tell(vec![known, Step::system("init", data)])
        }
        Some("SessionEnd") => system("session_end", &[("reason", "reason")]),
        Some("Notification") => system("notice", &[("message", "message"), ("notification_type", "tag")]),
        Some("PreCompact") => system("compact", &[("trigger", "trigger")]),
        _ => tell(vec![pick::raw(&event.to_string())]),
    }
}

/// A question that comes by a hook. Its key is the use of the tool, which stays the same when a parked session goes on; a `PermissionRequest` names none, so its
/// key is of our own.
fn ask(event: &Value) -> Option<Ask> {
    let (tool, input) = (pick::text(event, "tool_name")?, event.get("tool_input").filter(|input| input.is_object())?);
    let key = pick::owned(event, "tool_use_id").unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let mut ask = Ask::tool(key, tool, input.clone());
    ask.description = pick::owned(input, "description");
    ask.suggestions = asks::suggestions(event);
    ask.may_edit = true;
    match tool {
        "AskUserQuestion" => {
            ask.questions = asks::questions(input);
            (ask.kind, ask.may_edit) = (ApprovalKind::Question, false);
        }
        "ExitPlanMode" => (ask.kind, ask.may_edit) = (ApprovalKind::Plan, false),
        _ => {}
    }
    Some(ask)
}

/// What came of a tool.
fn result(event: &Value, content: &Value, is_error: bool) -> Step {
    let output = |name: &str| content.get(name).and_then(Value::as_str);
    // A command's two outputs, as the agent's own screen shows them.
    let content = match (output("stdout"), output("stderr")) {
        (Some(out), Some("") | None) => Value::from(out),
        (Some(out), Some(err)) => Value::from(format!("{out}\n{err}")),
        _ => content.clone(),
    };
    let id = pick::text(event, "tool_use_id").unwrap_or_default();
    Step::event(TaskEventKind::ToolResult, Value::Object(events::came(id, pick::text(event, "tool_name"), &content, is_error, None)))
}

/// What the hook is to print. `decided` is the answer to what [`hook`] asked; without one the question is parked where that is possible, and denied elsewhere.
pub(crate) fn hook_answer(event: &Value, decided: Option<&Decided>, parks: bool) -> Value {
    let name = pick::text(event, "hook_event_name");
    let output = match name {
        Some("PermissionRequest") => json!({"decision": permission(event, decided)}),
        Some("PreToolUse") if parks => before(event, decided),
        _ => return json!({}),
    };
    let mut output = output;
    if let Some(fields) = output.as_object_mut() {
        fields.insert("hookEventName".to_owned(), name.into());
    }
    json!({"hookSpecificOutput": output})
}

/// The answer to a `PermissionRequest`.
fn permission(event: &Value, decided: Option<&Decided>) -> Value {
    let Some((ask, decided)) = ask(event).zip(decided) else {
        return json!({"behavior": "deny", "message": "Nobody answered, so this was denied."});
    };
    match decided.decision {
        Decision::Allow | Decision::Always => {
            let mut allow = Map::from_iter([("behavior".to_owned(), json!("allow"))]);
            allow.extend(changed(&ask, decided).map(|input| ("updatedInput".to_owned(), input)));
            let rule = decided.suggestion.filter(|_| decided.decision == Decision::Always).and_then(|place| ask.suggestions.get(place));
            allow.extend(rule.map(|suggestion| ("updatedPermissions".to_owned(), json!([suggestion.rule]))));
            Value::Object(allow)
        }
        Decision::Deny => json!({"behavior": "deny", "message": asks::why(decided)}),
        Decision::Stop => json!({"behavior": "deny", "message": asks::why(decided), "interrupt": true}),
    }
}

/// The answer before a use of a tool. No answer yet parks it: the process ends, and asks again when its session goes on.
fn before(event: &Value, decided: Option<&Decided>) -> Value {
    let Some(ask) = ask(event) else { return json!({"permissionDecision": "deny", "permissionDecisionReason": "Loopsy does not understand this question."}) };
    let Some(decided) = decided else { return json!({"permissionDecision": "defer", "permissionDecisionReason": "Somebody will be asked."}) };
    if !decided.decision.is_yes() {
        return json!({"permissionDecision": "deny", "permissionDecisionReason": asks::why(decided)});
    }
    let mut allow = Map::from_iter([("permissionDecision".to_owned(), json!("allow")), ("permissionDecisionReason".to_owned(), json!("This was allowed."))]);
    allow.extend(changed(&ask, decided).map(|input| ("updatedInput".to_owned(), input)));
    Value::Object(allow)
}

/// Another input than the one asked for, if there is one.
fn changed(ask: &Ask, decided: &Decided) -> Option<Value> {
    match ask.kind {
        ApprovalKind::Question => Some(asks::answered(&ask.input, decided)),
        _ => decided.input.clone().filter(Value::is_object),
    }
}

//! Claude Code's questions, and what it is answered.

use loopsy_shared::api::approvals::{ApprovalKind, Choice, Decided, Decision, Question, Suggestion};
use serde_json::{Map, Value, json};

use super::super::{
    driver::{Ask, Step},
    pick,
};

/// A question that waits for its answer.
pub(super) struct Open {
    /// The input as the agent gave it: what an answer gives back when nobody changed it.
    input: Value,
    /// The rules that were shown, in their order.
    suggestions: Vec<Value>,
    /// Whether it wants to know something, instead of wanting to do something.
    is_question: bool,
}

/// What the agent asks. None when it cannot be understood, which is a no.
pub(super) fn ask(key: &str, request: &Value, plan: Option<&Value>) -> Option<(Ask, Open)> {
    let tool = pick::text(request, "tool_name")?;
    let input = request.get("input").filter(|input| input.is_object())?;
    let mut ask = Ask::tool(key, tool, input.clone());
    ask.description = pick::owned(request, "description").or_else(|| pick::owned(request, "title"));
    ask.reason = pick::owned(request, "decision_reason");
    ask.paths.extend(pick::owned(request, "blocked_path"));
    ask.default_to_no = request.get("default_to_no").and_then(Value::as_bool).unwrap_or(false);
    ask.may_edit = true;
    match tool {
        "AskUserQuestion" => {
            ask.questions = questions(input);
            (ask.kind, ask.may_edit) = (ApprovalKind::Question, false);
        }
        "ExitPlanMode" => {
            (ask.kind, ask.may_edit) = (ApprovalKind::Plan, false);
            if pick::text(input, "plan").is_none()
                && let Some(plan) = plan
            {
                ask.input = plan.clone();
            }
        }
        _ => {}
    }
    if request.get("suppress_always_allow_rule").and_then(Value::as_bool) != Some(true) {
        ask.suggestions = suggestions(request);
    }
    let suggestions = ask.suggestions.iter().map(|suggestion| suggestion.rule.clone()).collect();
    let open = Open { input: input.clone(), suggestions, is_question: ask.kind == ApprovalKind::Question };
    Some((ask, open))
}

/// Rules that the agent offers to keep.
pub(super) fn suggestions(request: &Value) -> Vec<Suggestion> {
    pick::list(request, "permission_suggestions").iter().map(|rule| Suggestion { label: label(rule), rule: rule.clone() }).collect()
}

/// What the agent wants to know. Its answers go by the text of the question.
pub(super) fn questions(input: &Value) -> Vec<Question> {
    let choice = |option: &Value| Some(Choice { label: pick::owned(option, "label")?, description: pick::owned(option, "description") });
    let question = |one: &Value| {
        let text = pick::owned(one, "question")?;
        Some(Question {
            id: text.clone(),
            question: text,
            header: pick::owned(one, "header"),
            options: pick::list(one, "options").iter().filter_map(choice).collect(),
            multiple: one.get("multiSelect").and_then(Value::as_bool).unwrap_or(false),
        })
    };
    pick::list(input, "questions").iter().filter_map(question).collect()
}

/// A rule in words.
fn label(rule: &Value) -> String {
    let place = match pick::text(rule, "destination") {
        Some("localSettings") => " in this project",
        Some("projectSettings") => " in this project, for everybody who works on it",
        Some("userSettings") => " everywhere on this machine",
        Some("session" | "cliArg") => " in this session",
        _ => "",
    };
    let words = |name: &str| pick::list(rule, name).iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    let rules = || {
        let one = |rule: &Value| match (pick::text(rule, "toolName")?, pick::text(rule, "ruleContent")) {
            (tool, Some(content)) => Some(format!("{tool}({content})")),
            (tool, None) => Some(tool.to_owned()),
        };
        pick::list(rule, "rules").iter().filter_map(one).collect::<Vec<_>>().join(", ")
    };
    let verb = match pick::text(rule, "behavior") {
        Some("deny") => "never ",
        Some("ask") => "always ask for ",
        _ => "",
    };
    match pick::text(rule, "type") {
        Some("addRules") => format!("{verb}{}{place}", rules()),
        Some("replaceRules") => format!("only {verb}{}{place}", rules()),
        Some("removeRules") => format!("no longer {verb}{}{place}", rules()),
        Some("addDirectories") => format!("work in {}{place}", words("directories")),
        Some("removeDirectories") => format!("no longer work in {}{place}", words("directories")),
        Some("setMode") => format!("{}{place}", pick::text(rule, "mode").map_or("another mode", mode)),
        _ => rule.to_string(),
    }
}

/// A permission mode in words.
fn mode(mode: &str) -> &str {
    match mode {
        "acceptEdits" => "change files without asking",
        "bypassPermissions" => "ask nothing at all",
        "plan" => "only plan",
        "dontAsk" => "deny what is not allowed beforehand",
        "default" | "manual" => "ask before every change",
        "auto" => "let the agent decide when to ask",
        other => other,
    }
}

/// What the agent is answered.
pub(super) fn answer(open: &Open, decided: &Decided) -> Value {
    match decided.decision {
        Decision::Allow | Decision::Always => {
            let mut input = decided.input.clone().filter(Value::is_object).unwrap_or_else(|| open.input.clone());
            if open.is_question {
                input = answered(&open.input, decided);
            }
            let mut allow = Map::from_iter([("behavior".to_owned(), json!("allow")), ("updatedInput".to_owned(), input)]);
            // Exactly the rule that was chosen: the agent would keep as many as it is given.
            if let Some(rule) = decided.suggestion.filter(|_| decided.decision == Decision::Always).and_then(|place| open.suggestions.get(place)) {
                allow.insert("updatedPermissions".to_owned(), json!([rule]));
            }
            Value::Object(allow)
        }
        Decision::Deny => json!({"behavior": "deny", "message": why(decided)}),
        Decision::Stop => json!({"behavior": "deny", "message": why(decided), "interrupt": true}),
    }
}

/// The questions with their answers, by the text of each.
pub(super) fn answered(input: &Value, decided: &Decided) -> Value {
    let answers: Map<String, Value> = decided.answers.iter().map(|(question, answers)| (question.clone(), answers.join(", ").into())).collect();
    let mut input = input.clone();
    if let (Some(fields), false) = (input.as_object_mut(), answers.is_empty()) {
        fields.insert("answers".to_owned(), Value::Object(answers));
    }
    input
}

/// Why not, for the agent.
pub(super) fn why(decided: &Decided) -> String {
    let given = decided.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
    given.map_or_else(|| "This was denied.".to_owned(), |reason| format!("This was denied: {reason}"))
}

/// The answer to a request of the agent.
pub(super) fn reply(request: &str, response: &Value) -> Step {
    Step::Send(json!({"type": "control_response", "response": {"subtype": "success", "request_id": request, "response": response}}).to_string())
}

/// What cannot be understood is not allowed.
pub(super) fn refuse(request: &str, error: &str) -> Step {
    Step::Send(json!({"type": "control_response", "response": {"subtype": "error", "request_id": request, "error": error}}).to_string())
}

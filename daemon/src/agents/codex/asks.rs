//! Codex's questions, and what it is answered.

use loopsy_shared::api::approvals::{ApprovalKind, Choice, Decided, Decision, Question, Suggestion};
use serde_json::{Map, Value, json};

use super::super::{
    driver::{Ask, Step},
    pick,
};

/// A question that waits for its answer.
pub(super) struct Open {
    /// Codex's id of it.
    id: Value,
    /// What form the answer has.
    form: Form,
    /// What `always` chooses from: decisions as Codex has them.
    always: Vec<Value>,
}

/// What form an answer has.
enum Form {
    /// A word.
    Decision,
    /// The rights that were asked for.
    Permissions(Value),
    /// Answers by the ids of the questions.
    Answers,
    /// The form of an MCP server, by its schema.
    Elicitation(Value),
}

/// What is asked. None when it cannot be understood, which is a no. `changes` are those of the item that it is about.
pub(super) fn ask(key: &str, id: &Value, method: &str, params: &Value, changes: Option<&Value>) -> Option<(Ask, Open)> {
    let (mut ask, form) = match method {
        "item/commandExecution/requestApproval" => (command(key, params)?, Form::Decision),
        // Without the changes nobody would know what is allowed.
        "item/fileChange/requestApproval" => (files(key, params, changes?), Form::Decision),
        "item/permissions/requestApproval" => {
            let wanted = params.get("permissions").filter(|wanted| wanted.is_object())?;
            let mut ask = Ask::tool(key, "permissions", json!({"permissions": wanted, "cwd": params.get("cwd")}));
            ask.suggestions = vec![Suggestion { label: "these rights in this session".to_owned(), rule: json!("session") }];
            (ask, Form::Permissions(wanted.clone()))
        }
        "item/tool/requestUserInput" => {
            let mut ask = Ask::tool(key, "requestUserInput", json!({"questions": params.get("questions")?}));
            ask.questions = questions(params)?;
            ask.kind = ApprovalKind::Question;
            (ask, Form::Answers)
        }
        "mcpServer/elicitation/request" => elicitation(key, params)?,
        _ => return None,
    };
    ask.reason = pick::owned(params, "reason").or(ask.reason);
    let always = ask.suggestions.iter().map(|suggestion| suggestion.rule.clone()).collect();
    Some((ask, Open { id: id.clone(), form, always }))
}

/// May it run a command, reach a host, or type into a command that runs?
fn command(key: &str, params: &Value) -> Option<Ask> {
    let mut ask = match (pick::text(params, "kind").unwrap_or("command"), params.get("networkApprovalContext").filter(|context| context.is_object())) {
        (_, Some(context)) => Ask::tool(key, "network", context.clone()),
        ("command", None) => Ask::tool(key, "commandExecution", Value::Object(pick::keep(params, &[("command", "command"), ("cwd", "cwd")]))),
        (kind, None) => Ask::tool(key, kind, Value::Object(pick::keep(params, &[("command", "command"), ("cwd", "cwd"), ("itemId", "itemId")]))),
    };
    if ask.tool != "network" && pick::text(params, "command").is_none() {
        return None;
    }
    let offered = |decision: &Value| Some(Suggestion { label: label(decision)?, rule: decision.clone() });
    ask.suggestions = pick::list(params, "availableDecisions").iter().filter_map(offered).collect();
    Some(ask)
}

/// A decision that keeps a rule, in words. None for one that keeps none, and for one that says no.
fn label(decision: &Value) -> Option<String> {
    if decision == "acceptForSession" {
        return Some("this command in this session".to_owned());
    }
    if let Some(rule) = decision.get("acceptWithExecpolicyAmendment") {
        let words: Vec<&str> = pick::list(rule, "execpolicy_amendment").iter().filter_map(Value::as_str).collect();
        return Some(format!("commands that begin with `{}`, everywhere on this machine", words.join(" ")));
    }
    let rule = decision.get("applyNetworkPolicyAmendment")?.get("network_policy_amendment")?;
    (pick::text(rule, "action") == Some("allow")).then(|| format!("reach {}, everywhere on this machine", pick::text(rule, "host").unwrap_or("this host")))
}

/// May it change files?
fn files(key: &str, params: &Value, changes: &Value) -> Ask {
    let mut ask = Ask::tool(key, "fileChange", json!({"changes": changes}));
    ask.paths.extend(pick::owned(params, "grantRoot"));
    ask.suggestions = vec![Suggestion { label: "changes of these files in this session".to_owned(), rule: json!("acceptForSession") }];
    ask
}

/// What it wants to know. None when it wants a secret: answers are kept, and a secret must not be.
fn questions(params: &Value) -> Option<Vec<Question>> {
    let choice = |option: &Value| Some(Choice { label: pick::owned(option, "label")?, description: pick::owned(option, "description") });
    let question = |one: &Value| {
        let is_secret = one.get("isSecret").and_then(Value::as_bool).unwrap_or(false);
        Some(Question {
            id: pick::owned(one, "id").filter(|_| !is_secret)?,
            question: pick::owned(one, "question")?,
            header: pick::owned(one, "header"),
            options: pick::list(one, "options").iter().filter_map(choice).collect(),
            multiple: false,
        })
    };
    pick::list(params, "questions").iter().map(question).collect()
}

/// An MCP server wants to know something, or wants a page to be opened, or a tool of it to be allowed.
fn elicitation(key: &str, params: &Value) -> Option<(Ask, Form)> {
    let mut ask = Ask::tool(
        key,
        "elicitation",
        Value::Object(pick::keep(params, &[("serverName", "server"), ("message", "message"), ("url", "url"), ("_meta", "meta")])),
    );
    ask.description = pick::owned(params, "message");
    let schema = params.get("requestedSchema").cloned().unwrap_or_default();
    if pick::text(params, "mode") == Some("form") {
        let fields = schema.get("properties")?.as_object()?;
        ask.questions = fields.iter().map(|(name, field)| question(name, field)).collect();
    } else if pick::text(params, "mode") != Some("url") {
        return None;
    }
    if !ask.questions.is_empty() {
        ask.kind = ApprovalKind::Question;
    }
    Some((ask, Form::Elicitation(schema)))
}

/// A field of a form as a question.
fn question(name: &str, field: &Value) -> Question {
    let items = field.get("items").unwrap_or(field);
    let titled = pick::list(items, "oneOf").iter().chain(pick::list(items, "anyOf"));
    let titled = titled.filter_map(|one| Some(Choice { label: pick::owned(one, "const")?, description: pick::owned(one, "title") }));
    let plain = pick::list(items, "enum").iter().filter_map(Value::as_str).map(|label| Choice { label: label.to_owned(), description: None });
    let bools =
        ["true", "false"].iter().filter(|_| pick::text(field, "type") == Some("boolean")).map(|label| Choice { label: (*label).to_owned(), description: None });
    Question {
        id: name.to_owned(),
        question: pick::owned(field, "description").or_else(|| pick::owned(field, "title")).unwrap_or_else(|| name.to_owned()),
        header: pick::owned(field, "title"),
        options: titled.chain(plain).chain(bools).collect(),
        multiple: pick::text(field, "type") == Some("array"),
    }
}

/// The answer, and whether it ends the turn by itself where that is what a person wants.
pub(super) fn answer(open: &Open, decided: &Decided) -> (Step, bool) {
    let yes = decided.decision.is_yes();
    let kept = decided.suggestion.filter(|_| decided.decision == Decision::Always).and_then(|place| open.always.get(place));
    let (result, ends) = match &open.form {
        Form::Decision => {
            let decision = match decided.decision {
                Decision::Allow | Decision::Always => kept.cloned().unwrap_or_else(|| json!("accept")),
                Decision::Deny => json!("decline"),
                Decision::Stop => json!("cancel"),
            };
            (json!({"decision": decision}), true)
        }
        Form::Permissions(wanted) => {
            let granted = if yes { wanted.clone() } else { json!({}) };
            (json!({"permissions": granted, "scope": if kept.is_some() { "session" } else { "turn" }}), false)
        }
        Form::Answers => {
            let answers: Map<String, Value> = decided.answers.iter().filter(|_| yes).map(|(id, answers)| (id.clone(), json!({"answers": answers}))).collect();
            (json!({"answers": answers}), false)
        }
        Form::Elicitation(schema) => {
            let content = if yes { filled(schema, decided) } else { None };
            let action = match (content.is_some(), decided.decision) {
                (true, _) => "accept",
                (false, Decision::Stop) => "cancel",
                (false, _) => "decline",
            };
            (json!({"action": action, "content": content, "_meta": null}), false)
        }
    };
    (Step::Send(json!({"id": open.id, "result": result}).to_string()), ends)
}

/// A form, filled in. None when an answer is of no use for its field, or a field has none that needs one.
fn filled(schema: &Value, decided: &Decided) -> Option<Value> {
    let empty = Map::new();
    let fields = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let mut content = Map::new();
    for (name, answers) in &decided.answers {
        let (Some(field), Some(first)) = (fields.get(name), answers.first()) else { continue };
        let value = match pick::text(field, "type") {
            Some("boolean") => json!(first.parse::<bool>().ok()?),
            Some("integer") => json!(first.parse::<i64>().ok()?),
            Some("number") => json!(first.parse::<f64>().ok()?),
            Some("array") => json!(answers),
            _ => json!(first),
        };
        content.insert(name.clone(), value);
    }
    let has_all = pick::list(schema, "required").iter().filter_map(Value::as_str).all(|name| content.contains_key(name));
    has_all.then_some(Value::Object(content))
}

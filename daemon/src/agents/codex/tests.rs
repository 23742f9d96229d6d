//! The driver against recorded conversations, and against what no Codex ever said.

use std::collections::{BTreeMap, HashMap};

use loopsy_shared::api::{
    ai_tasks::{PermissionMode, TaskEventKind},
    approvals::{ApprovalKind, Decision},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::{
        driver::{Ask, Driver as _, Outcome, Start, Step, Steps, Turn},
        transcript::{decided, readable, replay, said},
    },
    *,
};

macro_rules! transcripts {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            let steps = replay(include_str!(concat!("../fixtures/codex-0.169.0/", stringify!($name), ".jsonl")));
            insta::assert_snapshot!(stringify!($name), readable(&steps));
        }
    )*};
}

transcripts! {
    text shell shell_always deny stop edit parallel question refused rate_limit interrupt interrupt_question steer plan bypass no_session resume
}

/// What is sent among steps.
fn sent(steps: &Steps) -> Vec<Value> {
    let line = |step: &Step| match step {
        Step::Send(line) => Some(serde_json::from_str(line).expect("JSON")),
        _ => None,
    };
    steps.iter().filter_map(line).collect()
}

/// A run whose first turn works: thread `T`, turn `t`.
fn working() -> Codex {
    let mut codex = Codex::new(Start { prompt: "do it".to_owned(), cwd: "/tmp/project".to_owned(), ..Start::default() });
    codex.start();
    codex.heard(&json!({"id": 1, "result": {"userAgent": "loopsy/0.169.0 (x)"}}).to_string());
    codex.heard(&json!({"id": 2, "result": {"thread": {"id": "T"}, "model": "m"}}).to_string());
    codex.heard(&json!({"id": 3, "result": {"turn": {"id": "t"}}}).to_string());
    codex
}

/// A request of Codex.
fn request(method: &str, params: Value) -> String {
    json!({"id": 7, "method": method, "params": params}).to_string()
}

/// What is asked, and the driver that asks.
fn asks(method: &str, params: Value) -> (Codex, Ask) {
    let mut codex = working();
    let steps = codex.heard(&request(method, params));
    match steps.as_slice() {
        [Step::Ask(ask)] => (codex, (**ask).clone()),
        other => panic!("no question: {other:?}"),
    }
}

/// What Codex is answered, by a person that says this.
fn reply(method: &str, params: Value, answer: &Decided) -> Value {
    let (mut codex, ask) = asks(method, params);
    sent(&codex.answer(&ask.key, answer))[0].clone()
}

const COMMAND: &str = "item/commandExecution/requestApproval";

#[test]
fn always_keeps_exactly_what_was_chosen_and_a_rule_that_says_no_is_not_offered() {
    let amendment = json!({"acceptWithExecpolicyAmendment": {"execpolicy_amendment": ["touch", "x"]}});
    let network = |action: &str| json!({"applyNetworkPolicyAmendment": {"network_policy_amendment": {"action": action, "host": "example.org"}}});
    let offered = json!(["accept", "acceptForSession", amendment, network("deny"), network("allow"), "decline", "cancel"]);
    let params = json!({"command": "touch x", "cwd": "/tmp/project", "availableDecisions": offered});
    let (_, ask) = asks(COMMAND, params.clone());
    let labels: Vec<&str> = ask.suggestions.iter().map(|suggestion| suggestion.label.as_str()).collect();
    assert_eq!(
        labels,
        ["this command in this session", "commands that begin with `touch x`, everywhere on this machine", "reach example.org, everywhere on this machine"]
    );
    let decision = |answer: &Decided| reply(COMMAND, params.clone(), answer)["result"]["decision"].clone();
    assert_eq!(decision(&Decided { suggestion: Some(1), ..decided(Decision::Always) }), amendment);
    assert_eq!(decision(&Decided { suggestion: Some(9), ..decided(Decision::Always) }), "accept");
    assert_eq!(decision(&Decided { suggestion: Some(1), ..decided(Decision::Allow) }), "accept");
    assert_eq!((decision(&decided(Decision::Deny)), decision(&decided(Decision::Stop))), (json!("decline"), json!("cancel")));
}

#[test]
fn a_change_of_files_is_asked_with_its_changes_and_refused_without() {
    let mut codex = working();
    let ask = request("item/fileChange/requestApproval", json!({"threadId": "T", "itemId": "i"}));
    assert_eq!(sent(&codex.heard(&ask))[0]["error"]["code"], -32601, "nobody knows what would change");
    let changes = json!([{"path": "/tmp/project/a", "kind": {"type": "add"}, "diff": "one\n"}]);
    let steps =
        codex.heard(&json!({"method": "item/started", "params": {"threadId": "T", "item": {"type": "fileChange", "id": "i", "changes": changes}}}).to_string());
    let Step::Event(event) = &steps[0] else { panic!("no event") };
    assert_eq!(event.data["diff"], "--- /tmp/project/a\n+++ /tmp/project/a\n@@ -0,0 +1 @@\n+one\n");
    let steps = codex.heard(&ask);
    assert!(matches!(steps.as_slice(), [Step::Ask(ask)] if ask.tool == "fileChange" && ask.input["changes"] == changes && !ask.may_edit));
}

#[test]
fn rights_are_granted_for_the_turn_and_none_with_a_no() {
    let wanted = json!({"network": {"enabled": true}});
    let answered = |answer: &Decided| reply("item/permissions/requestApproval", json!({"cwd": "/tmp", "permissions": wanted}), answer)["result"].clone();
    assert_eq!(answered(&decided(Decision::Allow)), json!({"permissions": wanted, "scope": "turn"}));
    assert_eq!(answered(&Decided { suggestion: Some(0), ..decided(Decision::Always) })["scope"], "session");
    assert_eq!(answered(&decided(Decision::Deny))["permissions"], json!({}));
}

#[test]
fn a_form_is_filled_in_by_the_kinds_of_its_fields() {
    let schema = json!({"type": "object", "required": ["port"], "properties": {
        "port": {"type": "integer", "title": "Port"}, "tls": {"type": "boolean"}, "tags": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
    }});
    let params = json!({"serverName": "s", "mode": "form", "message": "How?", "requestedSchema": schema});
    let (_, ask) = asks("mcpServer/elicitation/request", params.clone());
    assert_eq!((ask.kind, ask.questions.len()), (ApprovalKind::Question, 3));
    let answered = |port: &str| {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let answers = BTreeMap::from([("port".to_owned(), words(&[port])), ("tls".to_owned(), words(&["true"])), ("tags".to_owned(), words(&["a", "b"]))]);
        reply("mcpServer/elicitation/request", params.clone(), &Decided { answers, ..decided(Decision::Allow) })["result"].clone()
    };
    assert_eq!((answered("80")["action"].clone(), answered("80")["content"].clone()), (json!("accept"), json!({"port": 80, "tls": true, "tags": ["a", "b"]})));
    assert_eq!(answered("eighty")["action"], "decline");
}

#[test]
fn what_it_does_not_understand_of_a_question_and_what_wants_a_secret_is_refused() {
    let secret = json!({"questions": [{"id": "q", "question": "Password?", "header": "P", "isSecret": true}]});
    for (method, params) in [("item/tool/requestUserInput", secret), ("item/tool/call", json!({})), ("brand/new", json!(3)), (COMMAND, json!({"cwd": "/"}))] {
        let steps = working().heard(&request(method, params));
        assert_eq!((sent(&steps)[0]["id"].clone(), sent(&steps)[0]["error"]["code"].clone()), (json!(7), json!(-32601)), "{method}");
    }
}

#[test]
fn a_question_that_somebody_else_answered_is_withdrawn() {
    let (mut codex, ask) = asks(COMMAND, json!({"command": "ls"}));
    let steps = codex.heard(&json!({"method": "serverRequest/resolved", "params": {"threadId": "T", "requestId": 7}}).to_string());
    assert!(matches!(steps.as_slice(), [Step::Withdraw { key, .. }] if *key == ask.key));
    assert_eq!(codex.answer(&ask.key, &decided(Decision::Allow)), []);
}

#[test]
fn a_message_that_comes_too_late_for_its_turn_begins_another_one() {
    let mut codex = working();
    let steer = sent(&codex.follow_up("and this"));
    assert_eq!((steer[0]["method"].clone(), steer[0]["params"]["expectedTurnId"].clone()), (json!("turn/steer"), json!("t")));
    let ended = json!({"method": "turn/completed", "params": {"threadId": "T", "turn": {"id": "t", "status": "completed", "items": []}}}).to_string();
    assert!(codex.heard(&ended).iter().all(|step| !matches!(step, Step::Turn(_))), "the end is held back");
    let steps = codex.heard(&json!({"id": steer[0]["id"], "error": {"code": -32600, "message": "no active turn to steer"}}).to_string());
    assert_eq!((sent(&steps)[0]["method"].clone(), sent(&steps)[0]["params"]["input"][0]["text"].clone()), (json!("turn/start"), json!("and this")));
    codex.heard(&json!({"id": sent(&steps)[0]["id"], "result": {"turn": {"id": "u"}}}).to_string());
    assert!(matches!(codex.heard(&ended).last(), Some(Step::Turn(Turn { outcome: Outcome::Done, .. }))));
    // In time: the end is told when that is known.
    let mut codex = working();
    let steer = sent(&codex.follow_up("and this"));
    codex.heard(&ended);
    let steps = codex.heard(&json!({"id": steer[0]["id"], "result": {"turnId": "t"}}).to_string());
    assert!(matches!(steps.as_slice(), [Step::Turn(_)]));
}

#[test]
fn what_is_said_or_stopped_before_it_has_begun_is_not_lost() {
    let mut codex = Codex::new(Start { prompt: "first".to_owned(), ..Start::default() });
    codex.start();
    assert_eq!(codex.follow_up("second"), []);
    assert_eq!(codex.interrupt(), []);
    codex.heard(&json!({"id": 1, "result": {}}).to_string());
    let begun = sent(&codex.heard(&json!({"id": 2, "result": {"thread": {"id": "T"}}}).to_string()));
    assert_eq!((begun[0]["method"].clone(), begun[0]["params"]["input"][0]["text"].clone(), begun.len()), (json!("turn/start"), json!("first"), 1));
    let named = sent(&codex.heard(&json!({"id": 3, "result": {"turn": {"id": "t"}}}).to_string()));
    let methods: Vec<&Value> = named.iter().map(|line| &line["method"]).collect();
    assert_eq!(methods, ["turn/interrupt", "turn/steer"]);
}

#[test]
fn a_run_that_cannot_begin_fails_with_a_sentence() {
    let mut codex = Codex::new(Start::default());
    codex.start();
    let steps = codex.heard(&json!({"id": 1, "error": {"code": 1, "message": "no"}}).to_string());
    assert_eq!(steps, [failed("Codex could not begin: no".to_owned())]);
}

#[test]
fn a_version_that_does_not_take_the_strict_policy_can_only_read_and_asks_for_the_rest() {
    let mut codex = Codex::new(Start { prompt: "do it".to_owned(), ..Start::default() });
    codex.start();
    codex.heard(&json!({"id": 1, "result": {}}).to_string());
    let refused = |id: u64| json!({"id": id, "error": {"code": -32600, "message": "unknown variant `untrusted`"}}).to_string();
    let again = sent(&codex.heard(&refused(2)));
    assert_eq!((again[0]["params"]["approvalPolicy"].clone(), again[0]["params"]["sandbox"].clone()), (json!("on-request"), json!("read-only")));
    assert!(matches!(codex.heard(&refused(3)).as_slice(), [Step::Turn(Turn { outcome: Outcome::Failed(_), .. })]), "once");
    let args = Codex::new(Start { prompt: "-x".to_owned(), interactive: true, ..Start::default() }).launch().args;
    assert_eq!(args, ["--ask-for-approval", "on-request", "--sandbox", "read-only", "--", "-x"]);
}

#[test]
fn subagents_do_not_end_the_turn_and_do_not_speak_for_the_agent() {
    let mut codex = working();
    let told = |method: &str, params: Value| json!({"method": method, "params": params}).to_string();
    assert_eq!(codex.heard(&told("turn/completed", json!({"threadId": "other", "turn": {"status": "failed"}}))), []);
    assert_eq!(codex.heard(&told("item/agentMessage/delta", json!({"threadId": "other", "itemId": "i", "delta": "x"}))), []);
    let steps = codex.heard(&told(
        "item/completed",
        json!({"threadId": "other", "item": {"type": "commandExecution", "id": "c", "command": "ls", "exitCode": 2, "status": "failed"}}),
    ));
    assert!(
        matches!(steps.as_slice(), [Step::Event(used), Step::Event(came)] if used.data["parent"] == "other" && came.data["exitCode"] == 2 && came.data["isError"] == true)
    );
}

#[test]
fn every_mode_has_a_policy_and_what_it_cannot_do_is_said() {
    let params = |mode| launch::thread(&Start { permission_mode: mode, ..Start::default() }, false).1;
    let policy = |mode| (params(mode)["approvalPolicy"].clone(), params(mode)["sandbox"].clone());
    assert_eq!(policy(PermissionMode::Default), (json!("untrusted"), json!("workspace-write")));
    assert_eq!(policy(PermissionMode::AcceptEdits), (json!("on-request"), json!("workspace-write")));
    assert_eq!(policy(PermissionMode::Plan), (json!("never"), json!("read-only")));
    assert_eq!(policy(PermissionMode::DontAsk), (json!("never"), json!("read-only")));
    assert_eq!(policy(PermissionMode::BypassPermissions), (json!("never"), json!("danger-full-access")));
    let Some(Step::Event(event)) = launch::unsupported(&Start { allowed_tools: vec!["x".to_owned()], park: true, ..Start::default() }) else {
        panic!("said nothing")
    };
    assert_eq!(event.data["options"], json!(["allowedTools", "park"]));
    assert_eq!(launch::unsupported(&Start::default()), None);
}

#[test]
fn it_keeps_its_login_and_forgets_the_sandbox_it_was_started_from() {
    assert!(["OPENAI_API_KEY", "OPENAI_BASE_URL", "CODEX_HOME", "CODEX_API_KEY"].into_iter().all(passes));
    assert!(!["CODEX_SANDBOX", "CODEX_SANDBOX_NETWORK_DISABLED", "CODEX_THREAD_ID", "ANTHROPIC_API_KEY"].into_iter().any(passes));
}

#[test]
fn a_very_long_line_is_read() {
    let text = "x".repeat(10 << 20);
    let steps = working()
        .heard(&json!({"method": "item/completed", "params": {"threadId": "T", "item": {"type": "agentMessage", "id": "m", "text": text}}}).to_string());
    assert_eq!(said(&steps, 1).len(), text.len());
}

/// Any JSON, with the words of the protocol in it, so that it is not all rubbish.
fn json_like() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "id",
        "method",
        "params",
        "result",
        "error",
        "message",
        "thread",
        "threadId",
        "turn",
        "turnId",
        "item",
        "itemId",
        "type",
        "status",
        "delta",
        "text",
        "agentMessage",
        "reasoning",
        "summary",
        "commandExecution",
        "fileChange",
        "changes",
        "command",
        "item/started",
        "item/completed",
        "item/agentMessage/delta",
        "turn/completed",
        "turn/started",
        COMMAND,
        "item/fileChange/requestApproval",
        "item/tool/requestUserInput",
        "mcpServer/elicitation/request",
        "questions",
        "question",
        "mode",
        "form",
        "requestedSchema",
        "properties",
        "serverRequest/resolved",
        "requestId",
        "T",
        "t",
        "availableDecisions",
        "thread/tokenUsage/updated",
        "account/rateLimits/updated",
    ]);
    let words = words.prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0u64..9).prop_map(Value::from),
        words.clone().prop_map(Value::from),
        ".*".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        let fields = prop::collection::hash_map(words.clone(), inner.clone(), 0..5);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            fields.prop_map(|fields: HashMap<_, _>| Value::Object(fields.into_iter().collect()))
        ]
    })
}

proptest! {
    #[test]
    fn nothing_that_is_heard_makes_it_panic(values in prop::collection::vec(json_like(), 0..8), text in ".*", decision in any::<bool>()) {
        let mut codex = working();
        codex.heard(&text);
        for value in values {
            for line in [value.to_string(), request(COMMAND, value.clone()), json!({"method": "item/completed", "params": {"item": value}}).to_string()] {
                for step in codex.heard(&line) {
                    if let Step::Ask(ask) = step {
                        let decision = if decision { Decision::Always } else { Decision::Deny };
                        let lines = sent(&codex.answer(&ask.key, &decided(decision)));
                        prop_assert_eq!(lines.len(), 1);
                        prop_assert_eq!(lines[0]["id"].to_string(), ask.key.clone());
                        prop_assert_eq!(codex.answer(&ask.key, &decided(decision)), vec![]);
                    }
                }
                codex.heard(&line.chars().take(line.len() / 2).collect::<String>());
            }
        }
    }

    #[test]
    fn pieces_make_the_exact_text(pieces in prop::collection::vec("\\PC{0,6}|\n|\t", 1..20), lost in 0usize..3) {
        let mut codex = working();
        let told = |method: &str, mut params: Value| { params["threadId"] = "T".into(); json!({"method": method, "params": params}).to_string() };
        let mut steps = Steps::new();
        for piece in pieces.iter().take(pieces.len().saturating_sub(lost)) {
            steps.extend(codex.heard(&told("item/agentMessage/delta", json!({"itemId": "m", "delta": piece}))));
        }
        steps.extend(codex.heard(&told("item/completed", json!({"item": {"type": "agentMessage", "id": "m", "text": pieces.concat()}}))));
        prop_assert_eq!(said(&steps, 1), pieces.concat());
        let is_text = |step: &Step| matches!(step, Step::Event(event) if event.block == Some(1) && event.kind == TaskEventKind::Text);
        prop_assert!(steps.iter().all(is_text));
    }
}

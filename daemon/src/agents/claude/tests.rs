//! The driver against recorded conversations, and against what no Claude Code ever said.

use std::collections::HashMap;

use loopsy_shared::api::{
    ai_tasks::{PermissionMode, TaskEventKind},
    approvals::{ApprovalKind, Decision},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::{
        driver::{Driver as _, Outcome, Start, Step, Steps, Turn, Wire},
        transcript::{decided, readable, replay, said},
    },
    *,
};

macro_rules! transcripts {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            let steps = replay(include_str!(concat!("../fixtures/claude-2.1.329/", stringify!($name), ".jsonl")));
            insta::assert_snapshot!(stringify!($name), readable(&steps));
        }
    )*};
}

transcripts! {
    shell edit parallel question plan text refused overloaded usage_limit no_login interrupt interrupt_question stop budget dont_ask bypass no_session
    follow_up follow_up_within subagent deferral resume
}

/// A run without anything special.
fn claude() -> Claude {
    Claude::new(Start { prompt: "do it".to_owned(), cwd: "/tmp/project".to_owned(), ..Start::default() })
}

/// What is sent among steps.
fn sent(steps: &Steps) -> Vec<Value> {
    let line = |step: &Step| match step {
        Step::Send(line) => Some(serde_json::from_str(line).expect("JSON")),
        _ => None,
    };
    steps.iter().filter_map(line).collect()
}

/// A question about a tool.
fn can_use(id: &str, tool: &str, input: Value, more: Value) -> String {
    let mut request = json!({"subtype": "can_use_tool", "tool_name": tool, "input": input});
    request.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    json!({"type": "control_request", "request_id": id, "request": request}).to_string()
}

/// The one question among steps.
fn asked(steps: &Steps) -> &super::super::driver::Ask {
    match steps.as_slice() {
        [Step::Ask(ask)] => ask,
        other => panic!("no question: {other:?}"),
    }
}

#[test]
fn a_prompt_of_any_kind_goes_by_standard_input_and_never_as_an_argument() {
    for prompt in ["--dangerously-skip-permissions", "a\0b", "line\nline", &"x".repeat(1 << 20)] {
        let mut claude = Claude::new(Start { prompt: prompt.to_owned(), ..Start::default() });
        assert!(claude.launch().args.iter().all(|argument| !argument.contains(prompt)));
        let steps = claude.start();
        let lines = sent(&steps);
        assert_eq!(lines[1]["message"]["content"][0]["text"], prompt);
        assert!(steps.iter().all(|step| !matches!(step, Step::Send(line) if line.contains('\n'))), "one line each");
    }
}

#[test]
fn on_its_own_screen_the_prompt_comes_last_behind_two_dashes_and_a_long_one_is_pasted() {
    let start = Start { prompt: "--help\0".to_owned(), interactive: true, hook: Some(vec!["/bin/loopsy".to_owned(), "hook".to_owned()]), ..Start::default() };
    let launch = Claude::new(start.clone()).launch();
    assert_eq!(launch.wire, Wire::Screen);
    assert_eq!(launch.args[launch.args.len() - 2..], ["--".to_owned(), "--help".to_owned()]);
    assert_eq!(typed(&start), None);
    let settings: Value =
        serde_json::from_str(&launch.args[launch.args.iter().position(|argument| argument == "--settings").expect("settings") + 1]).expect("JSON");
    let hook = &settings["hooks"]["PermissionRequest"][0]["hooks"][0];
    assert_eq!((&hook["command"], &hook["args"], &hook["onFailure"]), (&json!("/bin/loopsy"), &json!(["hook"]), &json!("block")));
    assert_eq!(settings["hooks"]["PostToolUse"][0]["hooks"][0].get("onFailure"), None, "what only tells stops nobody");
    let long = Start { prompt: format!("!touch it\x1b[201~\r{}", "x".repeat(200 * 1024)), ..start };
    assert!(Claude::new(long.clone()).launch().args.iter().all(|argument| argument.len() < 128 * 1024));
    let paste = typed(&long).expect("a paste");
    assert!(paste.starts_with("\x1b[200~ !touch it[201~xxx"), "nothing in it ends the paste, and it is no command");
    assert_eq!(paste.matches('\x1b').count(), 2);
}

#[test]
fn a_text_that_comes_whole_is_one_piece_and_one_that_came_in_pieces_is_not_repeated() {
    let mut claude = claude();
    let whole = |id: &str, text: &str| json!({"type": "assistant", "message": {"id": id, "content": [{"type": "text", "text": text}]}}).to_string();
    assert_eq!(claude.heard(&whole("m0", "Hello.")), [Step::text(TaskEventKind::Text, "Hello.", 1)]);
    claude.heard(&json!({"type": "stream_event", "event": {"type": "message_start", "message": {"id": "m1"}}}).to_string());
    let piece = |text: &str| {
        json!({"type": "stream_event", "event": {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}}).to_string()
    };
    assert_eq!(claude.heard(&piece("Good")), [Step::text(TaskEventKind::Text, "Good", 2)]);
    assert_eq!(claude.heard(&whole("m1", "Good bye.")), [Step::text(TaskEventKind::Text, " bye.", 2)], "what was lost is said");
    assert_eq!(claude.heard(&whole("m1", "Good bye.")), [Step::text(TaskEventKind::Text, "Good bye.", 3)], "another block that says the same");
}

#[test]
fn a_question_carries_what_the_agent_says_about_it() {
    let rules = json!([
        {"type": "addRules", "rules": [{"toolName": "Bash", "ruleContent": "echo hi *"}, {"toolName": "Read"}], "behavior": "allow", "destination": "localSettings"},
        {"type": "addDirectories", "directories": ["/a", "/b"], "destination": "session"},
        {"type": "setMode", "mode": "acceptEdits", "destination": "session"},
        {"type": "brandNew"}
    ]);
    let more =
        json!({"permission_suggestions": rules, "blocked_path": "/etc/passwd", "decision_reason": "outside", "description": "Read it", "default_to_no": true});
    let mut claude = claude();
    let steps = claude.heard(&can_use("q", "Bash", json!({"command": "cat /etc/passwd"}), more.clone()));
    let ask = asked(&steps);
    assert_eq!((ask.kind, ask.tool.as_str(), ask.may_edit, ask.default_to_no), (ApprovalKind::Tool, "Bash", true, true));
    assert_eq!((ask.paths.as_slice(), ask.reason.as_deref(), ask.description.as_deref()), (&["/etc/passwd".to_owned()][..], Some("outside"), Some("Read it")));
    let labels: Vec<&str> = ask.suggestions.iter().map(|suggestion| suggestion.label.as_str()).collect();
    assert_eq!(
        labels,
        ["Bash(echo hi *), Read in this project", "work in /a, /b in this session", "change files without asking in this session", r#"{"type":"brandNew"}"#]
    );
    let mut hidden = more;
    hidden["suppress_always_allow_rule"] = json!(true);
    assert!(asked(&claude.heard(&can_use("q2", "Bash", json!({}), hidden))).suggestions.is_empty());
}

#[test]
fn always_keeps_exactly_the_rule_that_was_chosen() {
    let rules = json!([{"type": "setMode", "mode": "bypassPermissions"}, {"type": "addRules", "rules": []}]);
    let answered = |suggestion: Option<usize>, decision: Decision| {
        let mut claude = claude();
        claude.heard(&can_use("q", "Bash", json!({"command": "ls"}), json!({"permission_suggestions": rules})));
        sent(&claude.answer("q", &Decided { suggestion, ..decided(decision) }))[0]["response"]["response"].clone()
    };
    assert_eq!(answered(Some(1), Decision::Always)["updatedPermissions"], json!([rules[1]]));
    for (suggestion, decision) in [(None, Decision::Always), (Some(7), Decision::Always), (Some(1), Decision::Allow), (Some(1), Decision::Deny)] {
        assert_eq!(answered(suggestion, decision).get("updatedPermissions"), None, "{suggestion:?} {decision:?}");
    }
}

#[test]
fn what_it_does_not_understand_of_a_question_is_refused() {
    for request in
        [json!({"subtype": "can_use_tool"}), json!({"subtype": "can_use_tool", "tool_name": "Bash", "input": 5}), json!({"subtype": "elicitation"}), json!(7)]
    {
        let steps = claude().heard(&json!({"type": "control_request", "request_id": "q", "request": request}).to_string());
        assert_eq!(sent(&steps)[0]["response"]["subtype"], "error", "{request}");
        assert!(matches!(&steps[1], Step::Event(event) if event.data["subtype"] == "raw"));
    }
}

#[test]
fn a_question_is_answered_once_and_not_at_all_when_it_was_withdrawn() {
    let mut claude = claude();
    claude.heard(&can_use("q", "Bash", json!({}), json!({})));
    assert_eq!(sent(&claude.answer("q", &decided(Decision::Allow))).len(), 1);
    assert_eq!(claude.answer("q", &decided(Decision::Deny)), []);
    claude.heard(&can_use("r", "Bash", json!({}), json!({})));
    let withdrawn = claude.heard(&json!({"type": "control_cancel_request", "request_id": "r"}).to_string());
    assert!(matches!(withdrawn.as_slice(), [Step::Withdraw { key, .. }] if key == "r"));
    assert_eq!(claude.answer("r", &decided(Decision::Allow)), []);
}

#[test]
fn a_question_that_is_open_when_the_turn_ends_is_withdrawn() {
    let mut claude = claude();
    claude.heard(&can_use("q", "Bash", json!({}), json!({})));
    let steps = claude.heard(&json!({"type": "result", "subtype": "success"}).to_string());
    assert!(matches!(&steps[0], Step::Withdraw { key, .. } if key == "q"));
    assert!(matches!(steps.last(), Some(Step::Turn(Turn { outcome: Outcome::Done, .. }))));
}

#[test]
fn what_a_process_took_is_counted_apart_from_what_its_session_took_before() {
    let models = |tokens: u64, cost: f64| json!({"m": {"inputTokens": tokens, "outputTokens": 1, "cacheReadInputTokens": 2, "costUSD": cost}});
    let result = |total: f64, since: Value| json!({"type": "result", "subtype": "success", "total_cost_usd": total, "modelUsage": models(900, 9.0), "model_usage_since_last_result": since});
    let mut claude = claude();
    let mut turn = |result: Value| match claude.heard(&result.to_string()).pop() {
        Some(Step::Turn(turn)) => (turn.cost_usd, turn.usage.input_tokens, turn.usage.cached_tokens),
        other => panic!("{other:?} is no end"),
    };
    assert_eq!(turn(result(9.5, models(10, 0.5))), (Some(0.5), 10, 2));
    assert_eq!(turn(result(9.75, models(5, 0.25))), (Some(0.75), 15, 4));
    assert_eq!(turn(result(9.75, Value::Null)), (Some(9.75), 900, 2), "an older version");
}

#[test]
fn a_very_long_line_is_read_and_one_that_is_nothing_is_cut() {
    let text = "x".repeat(10 << 20);
    let steps = claude().heard(&json!({"type": "assistant", "message": {"content": [{"type": "text", "text": text}]}}).to_string());
    assert_eq!(said(&steps, 1).len(), text.len());
    let steps = claude().heard(&text);
    assert!(
        matches!(steps.as_slice(), [Step::Event(event)] if event.data["bytes"] == text.len() && event.data["line"].as_str().is_some_and(|line| line.len() == 64 * 1024))
    );
}

#[test]
fn a_hook_that_asks_is_denied_when_it_is_not_understood_and_one_that_tells_has_no_effect() {
    let ask = json!({"hook_event_name": "PermissionRequest", "tool_name": "Bash", "tool_input": {"command": "ls"}, "permission_suggestions": [{"type": "setMode", "mode": "plan"}]});
    let call = hook(&ask, false);
    assert_eq!(call.ask.as_ref().map(|ask| (ask.tool.as_str(), ask.may_edit)), Some(("Bash", true)));
    let decision = |event: &Value, decided: Option<&Decided>| hook_answer(event, decided, false)["hookSpecificOutput"]["decision"].clone();
    assert_eq!(decision(&ask, Some(&decided(Decision::Allow))), json!({"behavior": "allow"}));
    let always = Decided { suggestion: Some(0), ..decided(Decision::Always) };
    assert_eq!(decision(&ask, Some(&always))["updatedPermissions"], ask["permission_suggestions"]);
    assert_eq!(decision(&ask, Some(&decided(Decision::Stop)))["interrupt"], true);
    assert_eq!(decision(&ask, None)["behavior"], "deny");
    let strange = json!({"hook_event_name": "PermissionRequest", "tool_input": 3});
    assert_eq!((hook(&strange, false).ask, decision(&strange, Some(&decided(Decision::Allow)))["behavior"].clone()), (None, json!("deny")));
    for name in ["PreToolUse", "PostToolUse", "Stop", "SessionStart", "SomethingNew"] {
        let event = json!({"hook_event_name": name, "tool_name": "Bash", "tool_input": {}});
        let call = hook(&event, false);
        assert!(call.ask.is_none() && !call.steps.is_empty(), "{name}");
        assert_eq!(hook_answer(&event, None, false), json!({}), "{name}");
    }
}

#[test]
fn a_parked_use_of_a_tool_is_deferred_until_somebody_answers() {
    let event = json!({"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": "ls"}, "tool_use_id": "toolu_1"});
    assert_eq!(hook(&event, true).ask.map(|ask| ask.key), Some("toolu_1".to_owned()));
    let word = |decided: Option<&Decided>| hook_answer(&event, decided, true)["hookSpecificOutput"]["permissionDecision"].clone();
    assert_eq!(word(None), "defer");
    assert_eq!(word(Some(&decided(Decision::Allow))), "allow");
    assert_eq!(word(Some(&decided(Decision::Deny))), "deny");
    let edited = Decided { input: Some(json!({"command": "pwd"})), ..decided(Decision::Allow) };
    assert_eq!(hook_answer(&event, Some(&edited), true)["hookSpecificOutput"]["updatedInput"]["command"], "pwd");
    assert_eq!(hook_answer(&json!({"hook_event_name": "PreToolUse"}), None, true)["hookSpecificOutput"]["permissionDecision"], "deny");
}

#[test]
fn it_keeps_its_login_and_forgets_the_session_it_was_started_from() {
    for name in
        ["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_SKIP_BEDROCK_AUTH"]
    {
        assert!(passes(name), "{name}");
    }
    for name in [
        "CLAUDECODE",
        "CLAUDE_CODE_SESSION_ID",
        "CLAUDE_CODE_MESSAGING_TOKEN",
        "CLAUDE_CODE_ENTRYPOINT",
        "CLAUDE_PID",
        "OPENAI_API_KEY",
        "LOOPSY_API_KEY",
        "AWS_PROFILE",
    ] {
        assert!(!passes(name), "{name}");
    }
    assert_eq!(cloud("AWS_PROFILE"), Some("CLAUDE_CODE_USE_BEDROCK"));
    assert_eq!(cloud("HOME"), None);
}

#[test]
fn every_mode_has_a_word_that_it_knows() {
    let word = |mode| {
        let args = Claude::new(Start { permission_mode: mode, ..Start::default() }).launch().args;
        args[args.iter().position(|argument| argument == "--permission-mode").expect("a mode") + 1].clone()
    };
    assert_eq!(word(PermissionMode::Default), "manual");
    assert_eq!(word(PermissionMode::BypassPermissions), "bypassPermissions");
}

/// Any JSON, with the words of the protocol in it, so that it is not all rubbish.
fn json_like() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "type",
        "subtype",
        "message",
        "content",
        "event",
        "delta",
        "text",
        "thinking",
        "tool_use",
        "tool_result",
        "assistant",
        "user",
        "system",
        "init",
        "result",
        "request",
        "control_request",
        "control_response",
        "control_cancel_request",
        "can_use_tool",
        "request_id",
        "tool_name",
        "input",
        "questions",
        "stream_event",
        "content_block_delta",
        "text_delta",
        "rate_limit_event",
        "command_lifecycle",
        "id",
        "name",
        "hook_event_name",
        "PreToolUse",
        "PermissionRequest",
        "permission_suggestions",
    ]);
    let words = words.prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
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
        let mut claude = claude();
        claude.heard(&text);
        for value in values {
            let line = value.to_string();
            for step in claude.heard(&line) {
                if let Step::Ask(ask) = step {
                    let decision = if decision { Decision::Allow } else { Decision::Deny };
                    prop_assert_eq!(sent(&claude.answer(&ask.key, &decided(decision))).len(), 1);
                    prop_assert_eq!(claude.answer(&ask.key, &decided(decision)), vec![]);
                }
            }
            // Cut anywhere.
            claude.heard(&line.chars().take(line.len() / 2).collect::<String>());
            for parks in [true, false] {
                hook(&value, parks);
                hook_answer(&value, None, parks);
                hook_answer(&value, Some(&decided(Decision::Always)), parks);
            }
        }
    }

    #[test]
    fn pieces_make_the_exact_text(pieces in prop::collection::vec("\\PC{0,6}|\n|\t", 0..20), repeats in any::<bool>()) {
        let mut claude = claude();
        let mut steps = claude.heard(&json!({"type": "stream_event", "event": {"type": "message_start", "message": {"id": "m"}}}).to_string());
        for piece in &pieces {
            let delta = json!({"type": "text_delta", "text": piece});
            steps.extend(claude.heard(&json!({"type": "stream_event", "event": {"type": "content_block_delta", "index": 0, "delta": delta}}).to_string()));
        }
        if repeats {
            let content = json!([{"type": "text", "text": pieces.concat()}]);
            steps.extend(claude.heard(&json!({"type": "assistant", "message": {"id": "m", "content": content}}).to_string()));
        }
        prop_assert_eq!(said(&steps, 1), pieces.concat());
        prop_assert!(steps.iter().all(|step| matches!(step, Step::Event(event) if event.block == Some(1))));
    }
}

#[test]
fn a_piece_is_the_same_whatever_the_order_of_its_fields() {
    // The first of each pair is as the agent writes it, which is read in a way of its own.
    let first = r#"{"type":"stream_event","event":{"type":"content_block_delta","#;
    let others = r#"{"session_id":"s","type":"stream_event","event":{"type":"content_block_delta","#;
    let rests = [
        r#""index":0,"delta":{"type":"text_delta","text":"He said \"no\"\n"}},"parent_tool_use_id":null}"#,
        r#""index":1,"delta":{"type":"thinking_delta","thinking":"hm"}},"uuid":"u"}"#,
        r#""index":0,"delta":{"type":"text_delta","text":""}}}"#,
        r#""index":0,"delta":{"type":"text_delta","text":"of another"}},"parent_tool_use_id":"toolu_1"}"#,
        r#""index":0,"delta":{"type":"text_delta","text":"of none"}},"parent_tool_use_id":""}"#,
        r#""delta":{"type":"text_delta","text":"without an index"}}}"#,
        r#""index":"x","delta":{"type":"text_delta","text":"with a strange index"}}}"#,
        r#""index":0,"delta":{"type":"input_json_delta","partial_json":"{"}}}"#,
        r#""index":0,"delta":{"type":"text_delta","text":7}}}"#,
        r#""index":0,"delta":{"type":"text_delta"}}}"#,
        r#""index":0,"delta":{"type":"text_delta","text":"cut"#,
    ];
    let mut texts = 0;
    for rest in rests {
        let (mut one, mut other) = (claude(), claude());
        let (quick, slow) = (one.heard(&format!("{first}{rest}")), other.heard(&format!("{others}{rest}")));
        let is_raw = |steps: &Steps| matches!(steps.as_slice(), [Step::Event(event)] if event.kind == TaskEventKind::System);
        assert!(quick == slow || (is_raw(&quick) && is_raw(&slow)), "{rest}: {quick:?} and {slow:?}");
        texts += quick.iter().filter(|step| matches!(step, Step::Event(event) if event.kind == TaskEventKind::Text)).count();
    }
    assert_eq!(texts, 4);
}

//! How a turn of Claude Code ended, in words that a person understands.

use loopsy_shared::api::ai_tasks::{TaskEventKind, Usage};
use serde_json::{Map, Value, json};

use super::super::{
    driver::{Outcome, Step, Turn},
    pick,
};

/// The event, the end of the turn, and whether the process ends with it whatever else was said to it.
pub(super) fn ending(message: &Value, spent: &mut Spent, stopping: bool, trouble: Option<&str>, resume: Option<&str>) -> (Step, Turn, bool) {
    spent.add(message);
    let outcome = outcome(message, stopping, trouble, resume);
    let last = matches!(outcome, Outcome::OverBudget | Outcome::Parked);
    let turn = Turn {
        text: pick::owned(message, "result").filter(|_| outcome == Outcome::Done),
        cost_usd: spent.cost_usd,
        usage: spent.usage,
        duration: pick::count(message, "duration_ms"),
        outcome,
    };
    let mut data = Map::from_iter([
        ("text".to_owned(), message.get("result").and_then(Value::as_str).unwrap_or_default().into()),
        ("cost".to_owned(), json!(turn.cost_usd)),
        ("duration".to_owned(), json!(turn.duration)),
        ("sessionId".to_owned(), json!(pick::text(message, "session_id"))),
        ("usage".to_owned(), json!(turn.usage)),
        ("turns".to_owned(), json!(pick::count(message, "num_turns"))),
    ]);
    data.extend(pick::keep(message, &[("deferred_tool_use", "parked"), ("terminal_reason", "reason")]));
    (Step::event(TaskEventKind::Result, Value::Object(data)), turn, last)
}

/// How it ended.
fn outcome(message: &Value, stopping: bool, trouble: Option<&str>, resume: Option<&str>) -> Outcome {
    let (subtype, reason) = (pick::text(message, "subtype").unwrap_or_default(), pick::text(message, "terminal_reason").unwrap_or_default());
    let is_error = message.get("is_error").and_then(Value::as_bool).unwrap_or(false) || subtype.starts_with("error");
    if reason == "tool_deferred" || pick::text(message, "stop_reason") == Some("tool_deferred") {
        return Outcome::Parked;
    }
    if subtype == "error_max_budget_usd" || reason == "budget_exhausted" {
        return Outcome::OverBudget;
    }
    if reason.starts_with("aborted") || (stopping && is_error) {
        return Outcome::Interrupted;
    }
    if is_error { Outcome::Failed(sentence(message, subtype, trouble, resume)) } else { Outcome::Done }
}

/// What went wrong and what to do about it.
fn sentence(message: &Value, subtype: &str, trouble: Option<&str>, resume: Option<&str>) -> String {
    let internal = |text: &&str| !text.starts_with("[ede_diagnostic]");
    let said = pick::text(message, "result").or_else(|| pick::list(message, "errors").iter().filter_map(Value::as_str).find(internal));
    let status = pick::count(message, "api_error_status");
    let also = said.map(|said| format!(" It said: {said}")).unwrap_or_default();
    if let (Some(session), Some(said)) = (resume, said)
        && said.starts_with("No conversation found")
    {
        return format!("Claude Code has no session `{session}` for this folder. Start a new task instead.");
    }
    match (trouble, status) {
        (Some("authentication_failed" | "oauth_org_not_allowed"), _) | (_, Some(401)) => {
            format!("Claude Code is not logged in on this machine. Run `claude` there and log in.{also}")
        }
        (Some("billing_error"), _) => format!("Claude Code's account cannot pay for this.{also}"),
        (Some("model_not_found"), _) => format!("Claude Code does not know this model.{also}"),
        (Some("rate_limit"), _) | (_, Some(429)) => format!("Claude Code's limit is used up. Send a message when it begins anew.{also}"),
        (Some("overloaded"), _) | (_, Some(503 | 529)) => format!("The model is overloaded. Send a message later.{also}"),
        _ if subtype == "error_max_turns" => "The agent used up the turns that it was given.".to_owned(),
        _ => said.map_or_else(|| "Claude Code failed and did not say why.".to_owned(), |said| format!("Claude Code failed: {said}")),
    }
}

/// What the process took so far. Claude Code's own totals are those of the session, with what earlier processes took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spent {
    /// US dollars.
    cost_usd: Option<f64>,
    /// Tokens.
    usage: Usage,
}

impl Spent {
    /// Adds what was taken since the last result. An older version does not tell that, but only its totals.
    fn add(&mut self, message: &Value) {
        match message.get("model_usage_since_last_result").filter(|models| models.is_object()) {
            Some(models) => {
                let cost: f64 = models.as_object().into_iter().flat_map(Map::values).filter_map(|model| pick::amount(model, "costUSD")).sum();
                self.cost_usd = Some(self.cost_usd.unwrap_or(0.0) + cost);
                self.usage = pick::sum(self.usage, tokens(models));
            }
            None => {
                self.cost_usd = pick::amount(message, "total_cost_usd").or(self.cost_usd);
                self.usage = message.get("modelUsage").map_or(self.usage, tokens);
            }
        }
    }
}

/// Tokens of all models together. (`usage` counts those of one turn of the main one.)
fn tokens(models: &Value) -> Usage {
    let one = |model: &Value| Usage {
        input_tokens: pick::count(model, "inputTokens").unwrap_or(0).saturating_add(pick::count(model, "cacheCreationInputTokens").unwrap_or(0)),
        output_tokens: pick::count(model, "outputTokens").unwrap_or(0),
        cached_tokens: pick::count(model, "cacheReadInputTokens").unwrap_or(0),
    };
    models.as_object().into_iter().flat_map(Map::values).map(one).fold(Usage::default(), pick::sum)
}

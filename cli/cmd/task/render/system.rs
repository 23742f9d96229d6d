//! What is told beside an agent's work: retries, limits, notices, subagents. What has no sentence of its own here is shown only to who asks for all.

use std::{fmt::Write, time::Duration};

use loopsy_shared::time::{self, Millis};
use serde_json::Value;

use super::{LINE, RESULT_LINES, Renderer, put};
use crate::{
    cmd::task::words::{known, text_of, tokens},
    output::{BAD, FAINT, STRONG, WARN, clock, count, paint, safe_lines, short, span},
};

impl Renderer {
    pub(super) fn system(&mut self, data: &Value) -> String {
        let verbose = self.look.verbose;
        let said = || known(data, &["message", "text", "line", "error"]).map_or_else(String::new, |text| format!(": {}", text.trim_end()));
        match known(data, &["subtype"]).unwrap_or_default() {
            "prompt" => self.prompt(data),
            "plan" => self.plan(data),
            "retry" => self.retry(data),
            "rate_limit" => self.rate_limit(data),
            "notice" | "unsupported" => self.notice(data),
            "permission_denied" => {
                let why = known(data, &["message", "reason"]).map(|why| format!(": {}", why.trim_end())).unwrap_or_default();
                self.line(BAD, &format!("✗ {} refused by the agent{why}", short(known(data, &["tool"]).unwrap_or("A tool"), 60)))
            }
            "denied" => {
                let why = known(data, &["why", "message"]).map(|why| format!(": {}", why.trim_end())).unwrap_or_default();
                self.line(BAD, &format!("✗ {} denied{why}", short(known(data, &["tool"]).unwrap_or("A tool"), 60)))
            }
            "subagent" => self.subagent(data),
            // It only begins to.
            "compact" if known(data, &["status", "trigger"]).is_some() => {
                if verbose {
                    self.line(FAINT, "The agent shortens its memory of the conversation.")
                } else {
                    String::new()
                }
            }
            "compact" => self.line(FAINT, "The agent shortened its memory of the conversation."),
            "gap" => {
                let missing = match (data["from"].as_u64(), data["to"].as_u64()) {
                    (Some(from), Some(to)) if to >= from => Some((to - from).saturating_add(1)),
                    _ => data["count"].as_u64(),
                };
                let what = missing.map_or_else(|| "Some events are".to_owned(), |n| if n == 1 { "1 event is".to_owned() } else { format!("{n} events are") });
                self.line(WARN, &format!("{what} no longer kept here"))
            }
            _ if !verbose => String::new(),
            "init" => {
                let word = |name: &str, keys: &[&str]| known(data, keys).map(|word| format!(" {name} {word}")).unwrap_or_default();
                self.line(FAINT, &format!("Began:{}{}", word("model", &["model"]), word("session", &["sessionId", "session"])))
            }
            "usage" => {
                let usage = serde_json::from_value(data.get("usage").unwrap_or(data).clone()).unwrap_or_default();
                tokens(&usage).map_or_else(String::new, |tokens| self.line(FAINT, &format!("Tokens so far: {tokens}")))
            }
            "mode" => {
                let mode = known(data, &["permissionMode", "mode"]).unwrap_or("another one");
                self.line(FAINT, &format!("The agent's mode is now {}.", short(mode, 60)))
            }
            "session_end" => {
                self.line(FAINT, &format!("The agent's session ended{}", known(data, &["reason"]).map(|why| format!(": {why}")).unwrap_or_default()))
            }
            "stderr" => self.block(FAINT, &format!("stderr{}", said())),
            other => {
                let whole = data.get("line").map_or_else(|| data.to_string(), text_of);
                let whole = if self.look.full { whole } else { short(&whole, LINE) };
                self.line(FAINT, &format!("{}: {whole}", if other.is_empty() { "system" } else { other }))
            }
        }
    }

    /// What a person said to the agent.
    fn prompt(&mut self, data: &Value) -> String {
        let text = known(data, &["text", "prompt", "message"]).unwrap_or_default();
        // Another turn may fail in the same way.
        self.error = None;
        self.words.clear();
        let mut out = self.end();
        let lines: Vec<String> = safe_lines(text.trim_end()).collect();
        let most = if self.look.full { usize::MAX } else { RESULT_LINES };
        for (index, line) in lines.iter().take(most).enumerate() {
            let line = if self.look.full { line.clone() } else { short(line, LINE) };
            let _infallible = writeln!(out, "{} {}", paint(FAINT, if index == 0 { "›" } else { " " }), paint(STRONG, line));
        }
        self.more(&mut out, lines.len(), most);
        out
    }

    /// `The model answered 429 (rate limit); trying again in 529 ms (1 of 10)`.
    fn retry(&mut self, data: &Value) -> String {
        let why = known(data, &["message", "error"]).map(|why| why.trim_end().replace('_', " "));
        let what = match (data["httpStatus"].as_u64(), why) {
            (Some(status), Some(why)) => format!("The model answered {status} ({})", short(&why, LINE)),
            (Some(status), None) => format!("The model answered {status}"),
            (None, Some(why)) => format!("The model did not answer ({})", short(&why, LINE)),
            (None, None) => "The model did not answer".to_owned(),
        };
        let most = ["maxRetries", "maxAttempts", "of"].iter().find_map(|key| data[*key].as_u64());
        let attempt = data["attempt"].as_u64().map(|n| most.map_or_else(|| format!(" (attempt {n})"), |most| format!(" ({n} of {most})")));
        let wait =
            data["delayMs"].as_f64().or(data["delay"].as_f64()).map(|ms| format!(" in {}", span(Duration::from_secs_f64((ms / 1000.0).clamp(0.0, 1e9)))));
        self.line(WARN, &format!("{what}; trying again{}{}", wait.unwrap_or_default(), attempt.unwrap_or_default()))
    }

    /// Only a limit that is reached is worth a warning: agents tell how much is used all the time.
    fn rate_limit(&mut self, data: &Value) -> String {
        let status = known(data, &["status"]).unwrap_or_default();
        let until = reset(data).map(|at| clock(at, self.look.now.unwrap_or_else(time::now), &self.look.zone));
        let reached = data.get("reached").is_some_and(|reached| !reached.is_null() && reached.as_bool() != Some(false) && reached.as_str() != Some(""));
        let limit = known(data, &["limit"]).map(named).or_else(|| data["minutes"].as_u64().map(lasting));
        if status == "rejected" || reached {
            let which = limit.map_or_else(|| "limit of the model's provider".to_owned(), |limit| format!("{limit} limit"));
            let until = until.map(|at| format!("; it begins anew at {at}")).unwrap_or_default();
            let said = known(data, &["message", "error"]).map(|text| format!(": {}", text.trim_end())).unwrap_or_default();
            return self.line(WARN, &format!("The {which} is reached{until}{said}"));
        }
        // A part of one, or a number of hundred.
        let part = data["used"].as_f64().map(|used| if used <= 1.0 { used * 100.0 } else { used });
        let used = part.or_else(|| data["usedPercent"].as_f64()).filter(|used| used.is_finite());
        match used {
            Some(used) if status == "allowed_warning" || self.look.verbose => {
                self.line(FAINT, &format!("{used:.0} % of the {} used", limit.map_or_else(|| "limit".to_owned(), |limit| format!("{limit} limit"))))
            }
            None if status == "allowed_warning" => {
                self.line(FAINT, &format!("Most of the {} is used", limit.map_or_else(|| "limit".to_owned(), |limit| format!("{limit} limit"))))
            }
            None if self.look.verbose => {
                let until = until.map(|at| format!("; they begin anew at {at}")).unwrap_or_default();
                self.line(FAINT, &format!("The limits of the model's provider are not reached{until}"))
            }
            _ => String::new(),
        }
    }

    fn notice(&mut self, data: &Value) -> String {
        let style = if matches!(known(data, &["level"]), Some("warning" | "error")) || known(data, &["subtype"]) == Some("unsupported") { WARN } else { FAINT };
        let reason = known(data, &["reason"]).map(|why| format!(": {why}")).unwrap_or_default();
        match (known(data, &["message", "text"]), known(data, &["from"]), known(data, &["model"])) {
            (Some(message), ..) => self.block(style, message.trim_end()),
            (None, Some(from), Some(model)) => self.line(style, &format!("The model is now {model} instead of {from}{reason}")),
            (None, None, Some(model)) => self.line(style, &format!("The model is now {model}{reason}")),
            _ => String::new(),
        }
    }

    /// One line, below what the agent does itself.
    fn subagent(&mut self, data: &Value) -> String {
        let state = known(data, &["state"]).filter(|state| *state != "task_started").map(|state| state.replace('_', " "));
        let text = match (known(data, &["description", "text"]), state, known(data, &["summary"])) {
            (Some(text), ..) => text.to_owned(),
            (None, Some(state), Some(summary)) => format!("{state}: {summary}"),
            (None, Some(state), None) => state,
            (None, None, Some(summary)) => summary.to_owned(),
            (None, None, None) => return String::new(),
        };
        let mut lines = text.trim().lines();
        let first = short(lines.next().unwrap_or_default(), LINE);
        let more = match lines.count() {
            0 => String::new(),
            more => format!(" (+{})", count(more as u64, "line", "lines")),
        };
        let mut out = self.end();
        put(&mut out, FAINT, &format!("subagent: {first}{more}"));
        out
    }
}

/// A limit's name as people say it: `five-hour`.
fn named(limit: &str) -> String {
    short(&limit.replace('_', "-"), 40)
}

/// A limit that is known by its length: `five-hour`.
fn lasting(minutes: u64) -> String {
    match minutes {
        300 => "five-hour".to_owned(),
        10_080 => "seven-day".to_owned(),
        _ if minutes.is_multiple_of(1440) => format!("{}-day", minutes / 1440),
        _ if minutes.is_multiple_of(60) => format!("{}-hour", minutes / 60),
        _ => format!("{minutes}-minute"),
    }
}

/// The time at which a limit ends: milliseconds, or seconds where the number is small, or the same deeper in.
fn reset(data: &Value) -> Option<Millis> {
    let at = ["resetsAt", "resetAt", "until"].iter().find_map(|key| data[*key].as_u64().or_else(|| data["rateLimitInfo"][*key].as_u64()))?;
    Some(if at < 100_000_000_000 { at * 1000 } else { at })
}

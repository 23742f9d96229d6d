//! Questions of the agent: each gets exactly one answer.

use loopsy_shared::{
    api::{
        ai_tasks::{PermissionMode, TaskEventKind},
        approvals::{ApprovalKind, Decided, Decision, Suggestion},
    },
    text::inert,
};
use serde_json::{Map, Value, json};

use super::{
    call::{Call, Calls},
    profile::Profile,
};
use crate::agents::driver::{Ask, Start, Step, Steps};

/// Questions that may be open at once. What is asked beyond is answered with `cancelled`.
const MAX_OPEN: usize = 256;

/// The questions that have no answer yet.
#[derive(Debug)]
pub(super) struct Permissions {
    open: Vec<Open>,
    asked: u64,
    policy: Policy,
    allowed: Vec<String>,
    disallowed: Vec<String>,
}

/// What is answered without a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    /// Nothing.
    Ask,
    /// No.
    DenyAll,
    /// Yes: the agent has no mode in which it asks nothing.
    AllowAll,
}

#[derive(Debug)]
struct Open {
    key: String,
    id: Value,
    options: Vec<(String, String)>,
    call: String,
    tool: String,
}

/// What comes of an answer.
pub(super) struct Answered {
    pub(super) steps: Steps,
    /// What to say to the agent, which cannot be told with the answer.
    pub(super) tell: Option<String>,
    /// Whether the turn is to end.
    pub(super) stop: bool,
}

impl Permissions {
    pub(super) fn new(start: &Start) -> Self {
        let policy = if start.permission_mode == PermissionMode::DontAsk { Policy::DenyAll } else { Policy::Ask };
        Self { open: Vec::new(), asked: 0, policy, allowed: start.allowed_tools.clone(), disallowed: start.disallowed_tools.clone() }
    }

    /// The agent asks though it should not: it has no mode for that.
    pub(super) fn allow_all(&mut self) {
        self.policy = Policy::AllowAll;
    }

    /// The agent asks. `takes` tells whether anybody can be asked now.
    pub(super) fn asked(&mut self, profile: &Profile, calls: &mut Calls, id: &Value, params: &Value, takes: bool) -> Steps {
        let options: Vec<(String, String)> = params["options"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|option| Some((option["kind"].as_str()?.to_owned(), option["optionId"].as_str()?.to_owned())))
            .collect();
        let (call_id, takes) = (params["toolCall"]["toolCallId"].as_str(), takes && self.open.len() < MAX_OPEN);
        let (Some(call_id), true, false) = (call_id, takes, options.is_empty()) else { return vec![cancelled(id)] };
        let call = calls.learn(&params["toolCall"]);
        let mut steps: Steps = call.show(profile).into_iter().collect();
        let tool = call.tool(profile);
        self.asked += 1;
        let key = format!("permission-{}", self.asked);
        let open = Open { key: key.clone(), id: id.clone(), options, call: call_id.to_owned(), tool: tool.clone() };
        // A rule about some uses of a tool is not understood here: denied, all are denied; allowed, a person is asked.
        let denied = self.disallowed.iter().any(|rule| rule.split('(').next() == Some(tool.as_str()));
        let allowed = self.allowed.contains(&tool) || self.policy == Policy::AllowAll;
        match (denied, allowed) {
            (true, _) => steps.extend(refused(&open, call, profile, "it is one of the tools that this task may not use")),
            (false, true) => steps.push(open.select("allow_once")),
            (false, false) if self.policy == Policy::DenyAll => steps.extend(refused(&open, call, profile, "this task asks nobody")),
            (false, false) => {
                steps.push(Step::Ask(Box::new(ask(key, tool, call, profile, params))));
                self.open.push(open);
            }
        }
        steps
    }

    /// An answer. None when nobody waits for it.
    pub(super) fn answer(&mut self, key: &str, answer: &Decided) -> Option<Answered> {
        let at = self.open.iter().position(|open| open.key == key)?;
        let open = self.open.remove(at);
        let mut answered = Answered { steps: Steps::new(), tell: None, stop: answer.decision == Decision::Stop };
        // There is no way to hand over another input: what was asked for must not run instead of it.
        let edited = answer.input.is_some() && answer.decision.is_yes();
        let step = match answer.decision {
            _ if edited => {
                answered.steps.push(Step::event(
                    TaskEventKind::Error,
                    json!({"message": "The agent takes no other input than its own. The use of the tool was denied."}),
                ));
                open.select("reject_once")
            }
            Decision::Allow => open.select("allow_once"),
            Decision::Always => open.select_always(answer.suggestion),
            Decision::Deny | Decision::Stop => open.select("reject_once"),
        };
        answered.steps.insert(0, step);
        let by_person = answer.by != "daemon" && !answer.by.starts_with("rule");
        if let Some(reason) = answer.reason.as_deref().filter(|reason| answer.decision == Decision::Deny && by_person && !reason.trim().is_empty()) {
            answered.tell = Some(format!("The use of `{}` was denied: {reason}", open.tool));
        }
        Some(answered)
    }

    /// A call has ended. If its question is open, it has no meaning any more.
    pub(super) fn passed(&mut self, call: &str) -> Steps {
        self.close(|open| open.call == call, "the agent went on without an answer")
    }

    /// The agent takes a question back.
    pub(super) fn withdrawn(&mut self, id: &Value) -> Steps {
        self.close(|open| open.id == *id, "the agent took its question back")
    }

    /// Nobody is asked any more.
    pub(super) fn cancel_all(&mut self, why: &str) -> Steps {
        self.close(|_| true, why)
    }

    fn close(&mut self, which: impl Fn(&Open) -> bool, why: &str) -> Steps {
        let gone = self.open.extract_if(.., |open| which(open));
        gone.flat_map(|open| [cancelled(&open.id), Step::Withdraw { key: open.key, why: why.to_owned() }]).collect()
    }
}

impl Open {
    /// The answer by the first option of this kind, or `cancelled`.
    fn select(&self, kind: &str) -> Step {
        self.options.iter().find(|(offered, _)| offered == kind).map_or_else(|| cancelled(&self.id), |(_, option)| selected(&self.id, option))
    }

    /// The answer that keeps a rule: the one that was chosen, or the only one. Without one it is a yes for this once.
    fn select_always(&self, suggestion: Option<usize>) -> Step {
        let rules: Vec<&String> = self.options.iter().filter(|(kind, _)| kind == "allow_always").map(|(_, option)| option).collect();
        let chosen = match (suggestion, rules.as_slice()) {
            (Some(place), _) => rules.get(place),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        chosen.map_or_else(|| self.select("allow_once"), |option| selected(&self.id, option))
    }
}

fn selected(id: &Value, option: &str) -> Step {
    Step::Send(json!({"jsonrpc": "2.0", "id": id, "result": {"outcome": {"outcome": "selected", "optionId": option}}}).to_string())
}

fn cancelled(id: &Value) -> Step {
    Step::Send(json!({"jsonrpc": "2.0", "id": id, "result": {"outcome": {"outcome": "cancelled"}}}).to_string())
}

/// A no without a person, and a word about it.
fn refused(open: &Open, call: &Call, profile: &Profile, why: &str) -> [Step; 2] {
    let data = [("tool", json!(open.tool)), ("input", call.input(profile).0), ("why", json!(why))];
    let data: Map<String, Value> = data.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    [open.select("reject_once"), Step::system("denied", data)]
}

/// The question for a person.
fn ask(key: String, tool: String, call: &Call, profile: &Profile, params: &Value) -> Ask {
    let (input, shown) = call.input(profile);
    let mut description = call.description();
    if !shown {
        let warning = format!("`{}` does not show the input of this tool, only what is said about it.", inert(&profile.name));
        description = Some(description.map_or_else(|| warning.clone(), |said| format!("{said}\n{warning}")));
    }
    let outside = params["toolCall"]["rawInput"]["directories"].as_array().map(|all| all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "));
    let suggestions = params["options"].as_array().into_iter().flatten().filter(|option| option["kind"] == "allow_always" && option["optionId"].is_string());
    Ask {
        kind: if call.kind() == "switch_mode" || tool == "exit_plan_mode" { ApprovalKind::Plan } else { ApprovalKind::Tool },
        description,
        reason: outside.map(|outside| format!("It reaches outside its working directory: {outside}")),
        paths: call.paths(),
        suggestions: suggestions.map(|option| Suggestion { label: option["name"].as_str().unwrap_or("always").to_owned(), rule: option.clone() }).collect(),
        ..Ask::tool(key, tool, input)
    }
}

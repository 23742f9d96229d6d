//! From the first word to the first prompt: what the agent can do, its session, its model and its mode.

use loopsy_shared::{
    api::ai_tasks::{PermissionMode, TaskEventKind},
    text::inert,
};
use serde_json::{Map, Value, json};

use super::{Acp, Asked, Quirks, profile::find_mode};
use crate::agents::driver::{Outcome, Step, Steps};

/// What is left to be set before the first prompt.
#[derive(Debug, Default)]
pub(super) struct Setup {
    changes: Vec<Change>,
}

/// Something to set in the session.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    what: What,
    method: &'static str,
    params: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Model,
    Mode,
}

impl Acp {
    /// The agent has said what it can do.
    pub(super) fn initialized(&mut self, result: &Value) -> Steps {
        if result["protocolVersion"] != 1 {
            let name = inert(&self.profile.name).into_owned();
            return self
                .fail(format!("`{name}` speaks another version of ACP ({}) than Loopsy (1).", inert(&super::cut(result["protocolVersion"].to_string(), 40))));
        }
        let capabilities = &result["agentCapabilities"];
        let version = result["agentInfo"]["version"].as_str().map(|version| super::cut(version.to_owned(), 100));
        let mut steps = vec![Step::Known { session: None, model: None, version }];
        let mut params = json!({"cwd": self.begin.cwd, "mcpServers": []});
        let method = match &self.begin.resume {
            None => "session/new",
            Some(session) => {
                params["sessionId"] = Value::String(session.clone());
                // To resume tells nothing of what was, to load tells it all again.
                if capabilities["sessionCapabilities"]["resume"].is_object() {
                    "session/resume"
                } else if capabilities["loadSession"] == true {
                    "session/load"
                } else {
                    let name = inert(&self.profile.name).into_owned();
                    steps.extend(self.fail(format!("`{name}` cannot go on with an earlier session. Start a new task instead.")));
                    return steps;
                }
            }
        };
        steps.push(self.request(Asked::Session, method, &params));
        steps
    }

    /// The session is there.
    pub(super) fn opened(&mut self, result: &Value) -> Steps {
        let Some(session) = result["sessionId"].as_str().map(str::to_owned).or_else(|| self.begin.resume.clone()) else {
            return self.fail("The agent began a session without telling its id.".to_owned());
        };
        self.session = Some(session.clone());
        let (model, mode) = (option(result, "model"), option(result, "mode"));
        let current = self.begin.model.clone().or_else(|| {
            let told = result["models"]["currentModelId"].as_str().or_else(|| model.and_then(|option| option["currentValue"].as_str()));
            told.map(str::to_owned)
        });
        let mut steps = vec![Step::Known { session: Some(session.clone()), model: current.clone(), version: None }];
        let data = [("session", json!(session)), ("model", json!(current)), ("mode", result["modes"]["currentModeId"].clone())];
        steps.push(Step::system("init", data.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)).collect()));
        if let Some(wanted) = self.begin.model.clone() {
            let change = match (result["models"].is_object(), model) {
                (true, _) => Change { what: What::Model, method: "session/set_model", params: json!({"sessionId": session, "modelId": wanted}) },
                (false, Some(option)) => set_option(What::Model, &session, option, &wanted),
                (false, None) => {
                    steps.extend(self.fail(format!(
                        "`{}` lets nobody choose a model over ACP. Choose it in its own settings, and start the task without one.",
                        inert(&self.profile.name)
                    )));
                    return steps;
                }
            };
            self.setup.changes.push(change);
        }
        match self.mode(&session, result, mode) {
            Ok(change) => self.setup.changes.extend(change),
            Err(why) => {
                steps.extend(self.fail(why));
                return steps;
            }
        }
        self.setup.changes.reverse();
        steps.extend(self.set_next());
        steps
    }

    /// What to set for the permission mode.
    fn mode(&mut self, session: &str, result: &Value, option: Option<&Value>) -> Result<Option<Change>, String> {
        let mode = self.begin.permission_mode;
        if self.profile.quirks == Quirks::Opencode {
            // What it may do is in its config. Its modes are whole agents, and one of a project's own could have other rules.
            let wanted = if mode == PermissionMode::Plan { "plan" } else { "build" };
            let option = option.filter(|option| has(option, wanted)).ok_or_else(|| format!("opencode does not offer its mode `{wanted}`."))?;
            return Ok(Some(set_option(What::Mode, session, option, wanted)));
        }
        if let Some(id) = find_mode(&result["modes"]["availableModes"], "id", mode) {
            return Ok(Some(Change { what: What::Mode, method: "session/set_mode", params: json!({"sessionId": session, "modeId": id}) }));
        }
        if let Some((option, id)) = option.and_then(|option| Some((option, find_mode(&option["options"], "value", mode)?))) {
            return Ok(Some(set_option(What::Mode, session, option, id)));
        }
        match mode {
            PermissionMode::Plan => Err(format!("`{}` has no mode in which it only plans.", inert(&self.profile.name))),
            PermissionMode::BypassPermissions => {
                self.permissions.allow_all();
                Ok(None)
            }
            // It asks: that is never too little.
            PermissionMode::Default | PermissionMode::DontAsk | PermissionMode::AcceptEdits => Ok(None),
        }
    }

    fn set_next(&mut self) -> Steps {
        match self.setup.changes.pop() {
            Some(change) => {
                let (method, params) = (change.method, change.params.clone());
                vec![self.request(Asked::Configure(change), method, &params)]
            }
            None => self.go_on(if self.interrupted { Outcome::Interrupted } else { Outcome::Done }),
        }
    }

    /// One thing is set, or could not be.
    pub(super) fn configured(&mut self, change: Change, error: Option<&Value>) -> Steps {
        let Some(error) = error else { return self.set_next() };
        match (change.what, self.begin.permission_mode) {
            (What::Model, _) => {
                let what = format!("The agent does not take the model `{}`", inert(self.begin.model.as_deref().unwrap_or_default()));
                let why = self.complaint(&what, error);
                self.fail(why)
            }
            // It would ask where it need not: safe.
            (What::Mode, PermissionMode::AcceptEdits | PermissionMode::BypassPermissions) if self.profile.quirks != Quirks::Opencode => {
                let why = self.complaint("The agent does not take the permission mode, and asks", error);
                let mut steps = vec![Step::event(TaskEventKind::Error, Value::Object(Map::from_iter([("message".to_owned(), Value::String(why))])))];
                steps.extend(self.set_next());
                steps
            }
            (What::Mode, _) => {
                let why = self.complaint("The agent does not take the permission mode", error);
                self.fail(why)
            }
        }
    }
}

/// The option of a session with this category.
fn option<'a>(result: &'a Value, category: &str) -> Option<&'a Value> {
    result["configOptions"].as_array()?.iter().find(|option| option["category"] == category && option["id"].is_string())
}

fn has(option: &Value, value: &str) -> bool {
    option["options"].as_array().is_some_and(|all| all.iter().any(|one| one["value"] == value))
}

fn set_option(what: What, session: &str, option: &Value, value: &str) -> Change {
    let params = json!({"sessionId": session, "configId": option["id"], "value": value});
    Change { what, method: "session/set_config_option", params }
}

//! What Codex is started with, and what its thread begins with.

use loopsy_shared::api::ai_tasks::PermissionMode;
use serde_json::{Map, Value, json};

use super::super::driver::{Start, Step};

/// When it asks, and what its sandbox lets it do without asking.
///
/// * `default`: before every command that is not known to only read, and before every change of a file. What was allowed runs in the sandbox, so it changes
///   nothing outside the working directory; for that it asks again. Where Codex does not take that (its own screen does not), it can only read, and asks for
///   everything else.
/// * `acceptEdits`: files in the working directory are changed, and commands run in the sandbox, without asking. What needs more is asked.
/// * `plan` and `dontAsk`: it reads, and nobody is asked.
/// * `bypassPermissions`: no sandbox, and nobody is asked.
const fn policy(mode: PermissionMode, plain: bool) -> (&'static str, &'static str) {
    match mode {
        PermissionMode::Default if plain => ("on-request", "read-only"),
        PermissionMode::Default => ("untrusted", "workspace-write"),
        PermissionMode::AcceptEdits => ("on-request", "workspace-write"),
        PermissionMode::Plan | PermissionMode::DontAsk => ("never", "read-only"),
        PermissionMode::BypassPermissions => ("never", "danger-full-access"),
    }
}

/// What it is told where it is only to plan: its protocol has no such mode.
const PLAN: &str = "Only make a plan for what you are asked to do, and say it. Change nothing.";

/// The arguments, all but the program.
pub(super) fn args(start: &Start) -> Vec<String> {
    let mut args: Vec<String> = Vec::new();
    if start.interactive {
        let (approval, sandbox) = policy(start.permission_mode, true);
        args.extend(start.resume.iter().map(|_| "resume".to_owned()));
        args.extend(["--ask-for-approval", approval, "--sandbox", sandbox].map(str::to_owned));
        args.extend(start.model.iter().map(|model| format!("--model={model}")));
        args.extend(start.additional_args.iter().cloned());
        args.push("--".to_owned());
        args.extend(start.resume.iter().cloned());
        args.extend(Some(start.prompt.replace('\0', "")).filter(|prompt| !prompt.is_empty()));
    } else {
        args.push("app-server".to_owned());
        args.extend(start.additional_args.iter().cloned());
    }
    args
}

/// The request that begins the thread, or goes on with one. `plain` leaves out what not every version takes.
pub(super) fn thread(start: &Start, plain: bool) -> (&'static str, Value) {
    let (approval, sandbox) = policy(start.permission_mode, plain);
    let mut params = Map::from_iter([
        ("cwd".to_owned(), json!(start.cwd)),
        ("approvalPolicy".to_owned(), json!(approval)),
        // Whatever the user's own settings say: it is a person who is asked.
        ("approvalsReviewer".to_owned(), json!("user")),
        ("sandbox".to_owned(), json!(sandbox)),
    ]);
    params.extend(start.model.as_ref().map(|model| ("model".to_owned(), json!(model))));
    if start.permission_mode == PermissionMode::Plan {
        params.insert("developerInstructions".to_owned(), json!(PLAN));
    }
    match &start.resume {
        Some(thread) => {
            params.insert("threadId".to_owned(), json!(thread));
            params.insert("excludeTurns".to_owned(), json!(true));
            ("thread/resume", Value::Object(params))
        }
        None => ("thread/start", Value::Object(params)),
    }
}

/// What the run wants and Codex cannot do.
pub(super) fn unsupported(start: &Start) -> Option<Step> {
    let wanted = [
        ("allowedTools", !start.allowed_tools.is_empty()),
        ("disallowedTools", !start.disallowed_tools.is_empty()),
        ("maxBudgetUsd", start.max_budget_usd.is_some()),
        ("park", start.park),
    ];
    let names: Vec<&str> = wanted.iter().filter(|(_, is_wanted)| *is_wanted).map(|(name, _)| *name).collect();
    let words = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let message = format!("Codex knows nothing like {words}: the task runs without. Rules in `approvals.rules` hold for every agent.");
    (!names.is_empty()).then(|| Step::system("unsupported", Map::from_iter([("options".to_owned(), json!(names)), ("message".to_owned(), message.into())])))
}

//! What Claude Code is started with.
//!
//! On its own screen the prompt goes as the last argument, behind `--`: Claude Code takes it in no other way that does not look like somebody typing, and what is
//! typed has meanings of its own there (a leading `!` runs a command without asking). Arguments can be read by every user of the machine. A prompt that is too
//! long for an argument has to be pasted: [`typed`].

use loopsy_shared::api::ai_tasks::PermissionMode;
use serde_json::{Map, Value, json};

use super::super::driver::Start;

/// The longest prompt that goes as an argument. Linux takes 128 KiB for one.
const ARGUMENT: usize = 100 * 1024;

/// Seconds that a hook may take that only tells something: the daemon answers at once.
const TELL_TIMEOUT: u64 = 30;

/// Seconds that a hook may take that asks. A person is asked meanwhile; the daemon's own limit is shorter.
const ASK_TIMEOUT: u64 = 7 * 24 * 60 * 60;

/// Tools that change nothing: with `park`, everything else goes through the hook.
const READ_ONLY: &[&str] = &[
    "Read",
    "Glob",
    "Grep",
    "LS",
    "NotebookRead",
    "TodoWrite",
    "TodoRead",
    "ToolSearch",
    "ListAgents",
    "TaskGet",
    "TaskList",
    "TaskOutput",
    "BashOutput",
    "ReportFindings",
    // They ask a person by themselves.
    "AskUserQuestion",
    "EnterPlanMode",
    "ExitPlanMode",
];

/// The arguments, all but the program.
pub(super) fn args(start: &Start) -> Vec<String> {
    let mut args: Vec<String> = Vec::new();
    let mut push = |words: &[&str]| args.extend(words.iter().map(|word| (*word).to_owned()));
    if !start.interactive {
        push(&["-p", "--verbose", "--input-format", "stream-json", "--output-format", "stream-json", "--include-partial-messages"]);
        push(&["--permission-prompt-tool", "stdio"]);
    }
    push(&["--permission-mode", mode(start.permission_mode)]);
    for (option, value) in [("--model", &start.model), ("--resume", &start.resume)] {
        // With `=`, a value that begins with a dash stays a value.
        if let Some(value) = value {
            push(&[&format!("{option}={value}")]);
        }
    }
    if let Some(budget) = start.max_budget_usd.filter(|_| !start.interactive) {
        push(&["--max-budget-usd", &budget.to_string()]);
    }
    for (option, tools) in [("--allowedTools", &start.allowed_tools), ("--disallowedTools", &start.disallowed_tools)] {
        for tool in tools {
            push(&[&format!("{option}={tool}")]);
        }
    }
    if let Some(settings) = settings(start) {
        push(&["--settings", &settings.to_string()]);
    }
    args.extend(start.additional_args.iter().cloned());
    if start.interactive && !start.prompt.is_empty() && start.prompt.len() <= ARGUMENT {
        // No argument can hold a NUL.
        args.extend(["--".to_owned(), start.prompt.replace('\0', "")]);
    }
    args
}

/// What is to be pasted into the terminal of an interactive run once its session has begun (the hook `SessionStart`), where the prompt is too long for an
/// argument. Without control characters, so that nothing in it ends the paste, and behind a space, so that its first character has no meaning of its own.
pub(crate) fn typed(start: &Start) -> Option<String> {
    let long = start.interactive && start.prompt.len() > ARGUMENT;
    let harmless = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    long.then(|| format!("\x1b[200~ {}\x1b[201~\r", start.prompt.chars().filter(harmless).collect::<String>()))
}

/// Claude Code's word. Without one it may begin in a mode that asks nobody.
const fn mode(mode: PermissionMode) -> &'static str {
    match mode {
        PermissionMode::Default => "manual",
        PermissionMode::AcceptEdits => "acceptEdits",
        PermissionMode::Plan => "plan",
        PermissionMode::DontAsk => "dontAsk",
        PermissionMode::BypassPermissions => "bypassPermissions",
    }
}

/// Hooks of this run alone.
fn settings(start: &Start) -> Option<Value> {
    let [program, arguments @ ..] = start.hook.as_deref()? else { return None };
    let entry = |matcher: &str, hook: Value| json!([{"matcher": matcher, "hooks": [hook]}]);
    // When the daemon cannot be asked, the answer is no.
    let asks = json!({"type": "command", "command": program, "args": arguments, "timeout": ASK_TIMEOUT, "onFailure": "block"});
    // What could not be told stops nobody's work.
    let tells = json!({"type": "command", "command": program, "args": arguments, "timeout": TELL_TIMEOUT});
    let mut hooks = Map::new();
    if start.interactive {
        hooks.extend(super::hooks::EVENTS.iter().map(|event| ((*event).to_owned(), entry("*", tells.clone()))));
        hooks.insert("PermissionRequest".to_owned(), entry("*", asks));
    } else if start.park {
        hooks.insert("PreToolUse".to_owned(), entry(&format!("^(?!({})$).*$", READ_ONLY.join("|")), asks));
    }
    (!hooks.is_empty()).then(|| json!({"hooks": hooks}))
}

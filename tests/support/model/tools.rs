//! A use of a tool in the words of the agent that will run it, told by the names of the tools that it offers.

use serde_json::{Value, json};

use super::{dialect::Ask, script::Call};

/// A call as an agent takes it.
#[derive(Debug, Clone)]
pub(crate) struct Native {
    pub(crate) id: String,
    pub(crate) name: String,
    /// An object; a text for the tools of Codex that take one.
    pub(crate) input: Value,
}

/// The call for whoever asks. `None`: it has no such tool.
pub(super) fn native(call: &Call, ask: &Ask, id: String) -> Option<Native> {
    let (name, input) = candidates(call, &ask.cwd()).into_iter().find(|(name, _)| ask.tools.contains(name))?;
    Some(Native { id, name, input })
}

/// What it is called by the agents that we know, and its input there.
fn candidates(call: &Call, cwd: &str) -> Vec<(String, Value)> {
    let known: Vec<(&str, Value)> = match call {
        Call::Shell { command, escalate } => {
            let plain = json!({ "command": command, "description": "Run a command" });
            let codex = |word: &str, command: Value| {
                let mut input = json!({ word: command });
                if *escalate {
                    input["sandbox_permissions"] = "require_escalated".into();
                    input["justification"] = "Run a command".into();
                }
                input
            };
            vec![
                ("Bash", plain.clone()),
                ("bash", plain.clone()),
                ("run_shell_command", plain),
                ("exec_command", codex("cmd", command.as_str().into())),
                ("shell_command", codex("command", command.as_str().into())),
            ]
        }
        Call::Write { path, content } => {
            let path = absolute(path, cwd);
            let patch = patch("Add", &path, content.lines().map(|line| format!("+{line}")));
            vec![
                ("Write", json!({ "file_path": path, "content": content })),
                ("write", json!({ "filePath": path, "content": content })),
                ("write_file", json!({ "file_path": path, "content": content })),
                ("apply_patch", patch.as_str().into()),
                ("exec_command", by_shell(&patch)),
            ]
        }
        Call::Edit { path, old, new } => {
            let path = absolute(path, cwd);
            let lines = old.lines().map(|line| format!("-{line}")).chain(new.lines().map(|line| format!("+{line}")));
            let patch = patch("Update", &path, std::iter::once("@@".to_owned()).chain(lines));
            vec![
                ("Edit", json!({ "file_path": path, "old_string": old, "new_string": new })),
                ("edit", json!({ "filePath": path, "oldString": old, "newString": new })),
                ("replace", json!({ "file_path": path, "old_string": old, "new_string": new, "instruction": "Change the text" })),
                ("apply_patch", patch.as_str().into()),
                ("exec_command", by_shell(&patch)),
            ]
        }
        Call::Ask { question, options } => {
            let options: Vec<Value> = options.iter().map(|label| json!({ "label": label, "description": format!("Take {label}") })).collect();
            let asked = |key: &str, value: Value| {
                let mut one = json!({ "question": question, "header": "Choice", "options": options });
                if !key.is_empty() {
                    one[key] = value;
                }
                json!({ "questions": [one] })
            };
            vec![
                ("AskUserQuestion", asked("multiSelect", false.into())),
                ("question", asked("", Value::Null)),
                ("ask_user", asked("type", "choice".into())),
                ("request_user_input", asked("id", "choice".into())),
            ]
        }
        Call::Own { name, input } => vec![(name, input.clone())],
    };
    known.into_iter().map(|(name, input)| (name.to_owned(), input)).collect()
}

fn absolute(path: &str, cwd: &str) -> String {
    std::path::Path::new(cwd).join(path).to_string_lossy().into_owned()
}

/// A change of one file as Codex writes it.
fn patch(what: &str, path: &str, lines: impl Iterator<Item = String>) -> String {
    let lines: String = lines.map(|line| line + "\n").collect();
    format!("*** Begin Patch\n*** {what} File: {path}\n{lines}*** End Patch\n")
}

/// Codex takes a patch from its shell too; for a model that it does not know that is the only way.
fn by_shell(patch: &str) -> Value {
    json!({ "cmd": format!("apply_patch <<'END'\n{patch}END") })
}

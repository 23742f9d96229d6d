//! opencode, driven over ACP (`opencode acp`), with its permissions held by a config of the run's own.
//!
//! `opencode acp` listens on a port of the loopback address and talks to itself through it. Without a password everybody on the machine could answer its
//! questions there, and run commands. So each run gets a password; and as whatever opencode starts inherits its environment, the agent's shell is a wrapper
//! that takes the password out, and formatters and language servers, which run a project's own code, are off.

use loopsy_shared::{api::ai_tasks::PermissionMode, secret::Secret};
use serde_json::{Value, json};

use super::{
    acp::{Acp, Profile, Quirks},
    driver::Start,
};

/// What keeps an agent away from opencode's own port.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    /// The password of the port.
    pub(crate) password: Secret,
    /// A shell that takes the password out of its environment: [`wrapper`].
    pub(crate) shell: String,
}

/// The permissions that are asked for by default: all that changes something or leaves the machine.
const ASKED: [&str; 8] = ["bash", "edit", "webfetch", "websearch", "codesearch", "external_directory", "task", "doom_loop"];

/// The permissions that have no patterns.
const PLAIN: [&str; 6] = ["webfetch", "websearch", "codesearch", "doom_loop", "question", "todowrite"];

/// The agents of opencode that a run can come to use, each of which could have permissions of its own in a project's config.
const AGENTS: [&str; 4] = ["build", "plan", "general", "explore"];

/// The script of a shell for the agent's commands. `shell` is an absolute path.
pub(crate) fn wrapper(shell: &str) -> String {
    let quoted = shell.replace('\'', "'\\''");
    format!("#!/bin/sh\nunset OPENCODE_SERVER_PASSWORD OPENCODE_CONFIG_CONTENT\nexec '{quoted}' \"$@\"\n")
}

/// A driver of opencode.
pub(crate) fn driver(start: Start, guard: Guard) -> Acp {
    let config = config(&start, &guard.shell);
    let profile = Profile {
        name: "opencode".to_owned(),
        args: vec!["acp".to_owned()],
        env: vec![
            ("OPENCODE_SERVER_PASSWORD".to_owned(), guard.password),
            ("OPENCODE_CONFIG_CONTENT".to_owned(), Secret::new(config)),
            // Or a run could write into the user's installation.
            ("OPENCODE_DISABLE_AUTOUPDATE".to_owned(), Secret::new("1")),
        ],
        login: "run `opencode auth login` in a terminal".to_owned(),
        quirks: Quirks::Opencode,
    };
    // Its permissions know the tools' rules better than the driver does: they see patterns.
    Acp::new(profile, Start { allowed_tools: Vec::new(), disallowed_tools: Vec::new(), ..start })
}

/// The config of a run. It goes before the user's and the project's.
fn config(start: &Start, shell: &str) -> String {
    let permissions = permissions(start, start.permission_mode);
    let plan = self::permissions(start, PermissionMode::Plan);
    let agents = AGENTS.map(|agent| (agent.to_owned(), object(&[("permission".to_owned(), if agent == "plan" { plan.clone() } else { permissions.clone() })])));
    object(&[
        ("shell".to_owned(), json!(shell).to_string()),
        ("formatter".to_owned(), "false".to_owned()),
        ("lsp".to_owned(), "false".to_owned()),
        ("share".to_owned(), json!("disabled").to_string()),
        ("permission".to_owned(), permissions),
        ("agent".to_owned(), object(&agents)),
    ])
}

/// Permissions as JSON. The order counts: of the patterns that fit, the last one decides. So what is denied comes last.
fn permissions(start: &Start, mode: PermissionMode) -> String {
    let usual = |name: &str| match mode {
        PermissionMode::BypassPermissions => "allow",
        PermissionMode::DontAsk => "deny",
        PermissionMode::AcceptEdits | PermissionMode::Plan if name == "edit" => {
            if mode == PermissionMode::Plan {
                "deny"
            } else {
                "allow"
            }
        }
        _ => "ask",
    };
    let rules = start.allowed_tools.iter().map(|rule| (rule, "allow")).chain(start.disallowed_tools.iter().map(|rule| (rule, "deny")));
    let rules: Vec<(String, String, &str)> = rules.map(|(rule, verdict)| parts(rule, verdict)).collect();
    let mut names: Vec<String> = ASKED.iter().map(|name| (*name).to_owned()).collect();
    for (name, ..) in &rules {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let all: Vec<(String, String)> = names
        .into_iter()
        .map(|name| {
            let base = if ASKED.contains(&name.as_str()) { usual(&name) } else { "allow" };
            let mut patterns = vec![("*".to_owned(), json!(base).to_string())];
            for (_, pattern, verdict) in rules.iter().filter(|(tool, ..)| *tool == name) {
                // A plan changes nothing, whatever is allowed.
                if !(mode == PermissionMode::Plan && name == "edit" && *verdict == "allow") {
                    patterns.retain(|(known, _)| known != pattern);
                    patterns.push((pattern.clone(), json!(verdict).to_string()));
                }
            }
            // Some permissions know no patterns, and a plain word fits all of them.
            let plain = PLAIN.contains(&name.as_str());
            patterns.retain(|(pattern, verdict)| !plain || pattern == "*" || verdict.contains("deny"));
            match (plain, patterns.as_slice()) {
                (true, [.., (_, last)]) | (_, [(_, last)]) => (name, last.clone()),
                _ => (name, object(&patterns)),
            }
        })
        .collect();
    object(&all)
}

/// `Bash(git log:*)` as opencode has it: the permission, the pattern, the verdict. What is denied is denied as a whole where its pattern is not one.
fn parts<'a>(rule: &str, verdict: &'a str) -> (String, String, &'a str) {
    let (name, pattern) = match rule.split_once('(') {
        Some((name, rest)) => (name, rest.strip_suffix(')').unwrap_or(if verdict == "deny" { "*" } else { rest })),
        None => (rule, "*"),
    };
    let name = match name.trim().to_ascii_lowercase().as_str() {
        "write" | "multiedit" | "patch" | "apply_patch" => "edit".to_owned(),
        other => other.to_owned(),
    };
    let pattern = match pattern.strip_suffix(":*") {
        Some(start) => format!("{start}*"),
        None => pattern.to_owned(),
    };
    (name, pattern, verdict)
}

/// An object whose members stay in order. The values are JSON already.
fn object(members: &[(String, String)]) -> String {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("{}:{value}", Value::String(name.clone()))).collect();
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::driver::Driver;

    fn of(mode: PermissionMode, allowed: &[&str], disallowed: &[&str]) -> String {
        let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        permissions(&Start { allowed_tools: owned(allowed), disallowed_tools: owned(disallowed), ..Start::default() }, mode)
    }

    #[test]
    fn what_changes_something_is_asked_for_by_default() {
        let value: Value = serde_json::from_str(&of(PermissionMode::Default, &[], &[])).expect("json");
        assert!(ASKED.iter().all(|name| value[*name] == "ask"), "{value}");
    }

    #[test]
    fn modes_change_what_they_say() {
        let read = |mode| serde_json::from_str::<Value>(&of(mode, &["edit"], &[])).expect("json");
        let edits = read(PermissionMode::AcceptEdits);
        assert_eq!((&edits["edit"], &edits["bash"]), (&json!("allow"), &json!("ask")));
        assert_eq!(read(PermissionMode::Plan)["edit"], "deny");
        assert_eq!(read(PermissionMode::DontAsk)["bash"], "deny");
        assert_eq!(read(PermissionMode::BypassPermissions)["bash"], "allow");
    }

    #[test]
    fn what_is_denied_decides_last() {
        let all = of(PermissionMode::Default, &["Bash(git log:*)", "webfetch"], &["Bash(git:*)", "Write", "read(/etc/*)", "bash(broken"]);
        assert!(all.contains(r#""bash":{"git log*":"allow","git*":"deny","*":"deny"}"#), "{all}");
        serde_json::from_str::<Value>(&all).expect("json");
        assert!(all.contains(r#""webfetch":"allow""#) && all.contains(r#""edit":"deny""#) && all.contains(r#""read":{"*":"allow","/etc/*":"deny"}"#), "{all}");
    }

    #[test]
    fn the_password_is_never_an_argument_and_the_config_is_valid() {
        let guard = Guard { password: Secret::new("sesame"), shell: "/a b/bash".to_owned() };
        let launch = driver(Start::default(), guard).launch();
        assert!(!format!("{:?}", launch.args).contains("sesame"));
        assert!(!format!("{launch:?}").contains("sesame"), "a launch can be printed: {launch:?}");
        let config = launch.env.iter().find(|(name, _)| name == "OPENCODE_CONFIG_CONTENT").expect("config");
        let config: Value = serde_json::from_str(&config.1).expect("json");
        assert_eq!((&config["shell"], &config["agent"]["plan"]["permission"]["edit"]), (&json!("/a b/bash"), &json!("deny")));
    }
}

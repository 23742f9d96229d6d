//! What every agent has to find in its home and its environment to talk to our model, and to ask no question before it works.

use serde_json::{Value, json};

use super::{Agent, Setup};

/// A login that opens nothing. Claude Code remembers the last 20 characters of a key that a person agreed to; this has fewer.
pub(super) const KEY: &str = "opens-nothing";

/// Writes an agent's settings, and its variables.
pub(super) fn settle(agent: Agent, setup: &mut Setup, url: &str) {
    match agent {
        Agent::Claude => claude(setup, url),
        Agent::Codex => codex(setup, url),
        Agent::Gemini => gemini(setup, url),
        Agent::OpenCode => opencode(setup, url),
    }
}

fn write(setup: &Setup, name: &str, content: &Value) {
    setup.home.write(name, content.to_string());
}

/// The file is for its own screen, which asks otherwise: for a first look around, whether to use the key, whether to trust the folder.
fn claude(setup: &mut Setup, url: &str) {
    let project = setup.project.display().to_string();
    let known = json!({
        "hasCompletedOnboarding": true,
        "customApiKeyResponses": { "approved": [KEY], "rejected": [] },
        "projects": { project: { "hasTrustDialogAccepted": true } },
    });
    write(setup, ".claude.json", &known);
    setup.set("ANTHROPIC_BASE_URL", url);
    setup.set("ANTHROPIC_API_KEY", KEY);
    for off in ["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_AUTOUPDATER", "DISABLE_TELEMETRY"] {
        setup.set(off, "1");
    }
}

/// In a folder that it does not trust its sandbox would be read-only. With analytics on, every run would try to send them for five seconds at its end.
fn codex(setup: &mut Setup, url: &str) {
    let project = setup.project.display();
    let config = format!(
        r#"model = "scripted"
model_provider = "scripted"
check_for_update_on_startup = false

[model_providers.scripted]
name = "scripted"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "OPENAI_API_KEY"

[projects."{project}"]
trust_level = "trusted"

[analytics]
enabled = false
"#
    );
    setup.home.write(".codex/config.toml", config);
    setup.set("OPENAI_API_KEY", KEY);
}

/// Without a kind of login, and without trust in the folder, it refuses to work without a screen.
fn gemini(setup: &mut Setup, url: &str) {
    let settings = json!({
        "security": { "auth": { "selectedType": "gemini-api-key" } },
        "general": { "enableAutoUpdate": false, "enableAutoUpdateNotification": false },
        "privacy": { "usageStatisticsEnabled": false },
    });
    write(setup, ".gemini/settings.json", &settings);
    setup.set("GOOGLE_GEMINI_BASE_URL", url);
    setup.set("GEMINI_API_KEY", KEY);
    setup.set("GEMINI_CLI_TRUST_WORKSPACE", "true");
}

/// It asks for nothing unless it is told to.
fn opencode(setup: &mut Setup, url: &str) {
    let provider = json!({
        "npm": "@ai-sdk/openai-compatible",
        "options": { "baseURL": format!("{url}/v1"), "apiKey": KEY },
        "models": { "one": { "name": "Scripted" } },
    });
    let config = json!({
        "model": "scripted/one",
        "provider": { "scripted": provider },
        "permission": { "bash": "ask", "edit": "ask" },
        "autoupdate": false,
        "share": "disabled",
    });
    write(setup, ".config/opencode/opencode.json", &config);
    for off in ["OPENCODE_DISABLE_MODELS_FETCH", "OPENCODE_DISABLE_LSP_DOWNLOAD"] {
        setup.set(off, "1");
    }
}

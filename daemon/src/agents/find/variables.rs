//! Which variables of the daemon's environment an agent gets beside the usual ones: its owner's login and settings, and never what tells it that it runs
//! inside another agent.

use super::{
    super::{claude, codex, pick},
    Kind,
};

/// Of the network, for all.
const NETWORK: [&str; 9] = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy", "SSL_CERT_*"];

/// Of directories and of Node, for all.
const PLACES: [&str; 7] = ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "NODE_EXTRA_CA_CERTS", "SSH_AUTH_SOCK", "COLORTERM"];

const GEMINI: [&str; 3] = ["GEMINI_*", "GOOGLE_*", "CLOUDSDK_*"];
const OPENCODE: [&str; 21] = [
    "OPENCODE_*",
    "ANTHROPIC_*",
    "OPENAI_*",
    "GEMINI_API_KEY",
    "GOOGLE_*",
    "AWS_*",
    "AZURE_*",
    "OPENROUTER_API_KEY",
    "GROQ_API_KEY",
    "MISTRAL_API_KEY",
    "DEEPSEEK_API_KEY",
    "XAI_API_KEY",
    "CEREBRAS_API_KEY",
    "TOGETHER_API_KEY",
    "FIREWORKS_API_KEY",
    "MOONSHOT_API_KEY",
    "ZHIPU_API_KEY",
    "HF_TOKEN",
    "CLOUDFLARE_*",
    "GITHUB_TOKEN",
    "GITLAB_TOKEN",
];

/// Never, whatever fits: nesting, and what a run sets itself.
const NEVER: [&str; 17] = [
    "CLAUDECODE",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_MESSAGING_*",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_PID",
    "GEMINI_CLI",
    "GEMINI_CLI_NO_RELAUNCH",
    "OPENCODE",
    "OPENCODE_PID",
    "OPENCODE_CLIENT",
    "OPENCODE_SERVER_*",
    "OPENCODE_CONFIG_CONTENT",
    "OPENCODE_PERMISSION",
    "OPENCODE_PURE",
    "AGENT",
    "LOOPSY_*",
];

/// Whether an agent gets this variable. `is_set` tells whether another one is there.
pub(super) fn passes(kind: Kind, name: &str, is_set: impl Fn(&str) -> bool) -> bool {
    let any = |patterns: &[&str]| patterns.iter().any(|pattern| pick::matches(name, pattern));
    if any(&NEVER) {
        return false;
    }
    let own = match kind {
        Kind::Claude => claude::passes(name) || claude::cloud(name).is_some_and(is_set),
        Kind::Codex => codex::passes(name),
        Kind::Gemini => any(&GEMINI),
        Kind::Opencode => any(&OPENCODE),
        // What the owner's own agents need is said in `agents.envPass`.
        Kind::Acp => false,
    };
    own || any(&NETWORK) || any(&PLACES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Kind; 5] = [Kind::Claude, Kind::Codex, Kind::Gemini, Kind::Opencode, Kind::Acp];

    fn alone(kind: Kind, name: &str) -> bool {
        passes(kind, name, |_| false)
    }

    #[test]
    fn an_agent_gets_its_own_login_and_no_other() {
        assert!(alone(Kind::Claude, "ANTHROPIC_API_KEY") && alone(Kind::Claude, "CLAUDE_CONFIG_DIR") && alone(Kind::Codex, "CODEX_HOME"));
        assert!(alone(Kind::Gemini, "GEMINI_API_KEY") && alone(Kind::Gemini, "GOOGLE_APPLICATION_CREDENTIALS") && alone(Kind::Opencode, "OPENROUTER_API_KEY"));
        assert!(!alone(Kind::Gemini, "OPENAI_API_KEY") && !alone(Kind::Codex, "ANTHROPIC_API_KEY") && !alone(Kind::Acp, "OPENAI_API_KEY"));
        assert!(ALL.into_iter().all(|kind| alone(kind, "HTTPS_PROXY")));
        assert!(!alone(Kind::Claude, "AWS_SECRET_ACCESS_KEY") && passes(Kind::Claude, "AWS_SECRET_ACCESS_KEY", |name| name == "CLAUDE_CODE_USE_BEDROCK"));
    }

    #[test]
    fn no_agent_learns_that_it_is_nested_or_gets_our_own() {
        for kind in ALL {
            for name in ["CLAUDECODE", "GEMINI_CLI", "OPENCODE", "OPENCODE_PID", "OPENCODE_SERVER_PASSWORD", "OPENCODE_CONFIG_CONTENT", "LOOPSY_API_KEY"] {
                assert!(!passes(kind, name, |_| true), "{kind:?} {name}");
            }
        }
    }
}

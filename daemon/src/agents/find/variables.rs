//! Which variables of the daemon's environment an agent gets beside the usual ones: its owner's login and settings, and never what tells it that it runs
//! inside another agent.

/// Of the network, for all.
const NETWORK: [&str; 9] = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy", "SSL_CERT_*"];

/// Of directories and of Node, for all.
const PLACES: [&str; 7] = ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "NODE_EXTRA_CA_CERTS", "SSH_AUTH_SOCK", "COLORTERM"];

const CLAUDE: [&str; 9] = [
    "ANTHROPIC_*",
    "CLAUDE_CONFIG_DIR",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_*",
    "CLAUDE_CODE_SKIP_*",
    "CLAUDE_CODE_GIT_BASH_PATH",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    "AWS_*",
    "GOOGLE_*",
];
const CODEX: [&str; 4] = ["OPENAI_*", "CODEX_HOME", "CODEX_API_KEY", "AZURE_OPENAI_*"];
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

/// Whether the agent gets this variable.
pub(crate) fn passes(agent: &str, name: &str) -> bool {
    let own: &[&str] = match agent {
        "claude" => &CLAUDE,
        "codex" => &CODEX,
        "gemini" => &GEMINI,
        "opencode" => &OPENCODE,
        // What the owner's own agents need is said in `agents.envPass`.
        _ => &[],
    };
    let fits = |pattern: &&str| pattern.strip_suffix('*').map_or(*pattern == name, |start| name.starts_with(start));
    !NEVER.iter().any(|pattern| fits(pattern)) && NETWORK.iter().chain(&PLACES).chain(own).any(|pattern| fits(pattern))
}

#[cfg(test)]
mod tests {
    use super::passes;

    #[test]
    fn an_agent_gets_its_own_login_and_no_other() {
        assert!(passes("gemini", "GEMINI_API_KEY") && passes("gemini", "GOOGLE_APPLICATION_CREDENTIALS") && passes("opencode", "OPENROUTER_API_KEY"));
        assert!(!passes("gemini", "OPENAI_API_KEY") && !passes("codex", "ANTHROPIC_API_KEY") && !passes("goose", "OPENAI_API_KEY"));
        assert!(passes("goose", "HTTPS_PROXY"));
    }

    #[test]
    fn no_agent_learns_that_it_is_nested_or_gets_our_own() {
        for agent in ["claude", "codex", "gemini", "opencode", "goose"] {
            for name in ["CLAUDECODE", "GEMINI_CLI", "OPENCODE", "OPENCODE_PID", "OPENCODE_SERVER_PASSWORD", "OPENCODE_CONFIG_CONTENT", "LOOPSY_API_KEY"] {
                assert!(!passes(agent, name), "{agent} {name}");
            }
        }
    }
}

//! What is particular to one agent that speaks ACP: its arguments, the names of its modes, and where it hides what it is about to do.

use loopsy_shared::api::ai_tasks::PermissionMode;
use serde_json::Value;

/// An agent that speaks ACP.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    /// Its name, as people know it.
    pub(crate) name: String,
    /// Arguments that make it speak ACP.
    pub(crate) args: Vec<String>,
    /// Variables that it needs. The driver for opencode has a password here.
    pub(crate) env: Vec<(String, Secretive)>,
    /// What to do when it wants a login, as the end of a sentence.
    pub(crate) login: String,
    /// What it does in its own way.
    pub(crate) quirks: Quirks,
}

/// A value that is not printed.
pub(crate) type Secretive = loopsy_shared::secret::Secret;

/// What an agent does in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quirks {
    /// Gemini CLI: the name of a tool is in the id of its call, and a question shows the command as its title instead of the input.
    Gemini,
    /// opencode: a tool's first title is its name, and permissions are held by its own config.
    Opencode,
    /// Nothing is known.
    None,
}

impl Profile {
    /// The Gemini CLI.
    pub(crate) fn gemini() -> Self {
        Self {
            name: "gemini".to_owned(),
            args: vec!["--acp".to_owned()],
            env: Vec::new(),
            login: "run `gemini` in a terminal and log in, or set `GEMINI_API_KEY`".to_owned(),
            quirks: Quirks::Gemini,
        }
    }

    /// An agent of the config.
    pub(crate) fn other(name: &str, args: &[String]) -> Self {
        let login = format!("run `{}` in a terminal and log in there", loopsy_shared::text::inert(name));
        Self { name: name.to_owned(), args: args.to_vec(), env: Vec::new(), login, quirks: Quirks::None }
    }

    /// The agent's name of the tool of a call: what rules are about. Its kind where the name is not told.
    pub(super) fn tool(&self, id: &str, first_title: Option<&str>, kind: Option<&str>) -> String {
        let known = match self.quirks {
            Quirks::Gemini => id.split_once("__").map(|(name, _)| name),
            Quirks::Opencode => first_title,
            Quirks::None => None,
        };
        let name = known.filter(|name| !name.is_empty() && name.len() <= 200);
        name.or(kind.filter(|kind| *kind != "other")).or(first_title).unwrap_or("tool").to_owned()
    }

    /// Whether the title of a question is the whole command line.
    pub(super) fn title_is_command(&self, tool: &str) -> bool {
        self.quirks == Quirks::Gemini && tool == "run_shell_command"
    }
}

/// The names under which agents have a mode, without case and punctuation.
pub(super) const fn mode_names(mode: PermissionMode) -> &'static [&'static str] {
    match mode {
        PermissionMode::Default | PermissionMode::DontAsk => &["default", "ask", "manual", "normal"],
        PermissionMode::AcceptEdits => &["autoedit", "acceptedits"],
        PermissionMode::Plan => &["plan"],
        PermissionMode::BypassPermissions => &["yolo", "bypasspermissions", "bypass"],
    }
}

/// The id in `modes` (objects with the id under `key`) that means `mode`.
pub(super) fn find_mode<'a>(modes: &'a Value, key: &str, mode: PermissionMode) -> Option<&'a str> {
    let ids = || modes.as_array().into_iter().flatten().filter_map(|offered| offered[key].as_str());
    mode_names(mode).iter().find_map(|name| ids().find(|id| plain(id) == *name))
}

fn plain(id: &str) -> String {
    let end = id.rsplit(['#', '/']).next().unwrap_or(id);
    end.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

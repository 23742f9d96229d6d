//! The shapes of agents' tools: which kind a tool is, and where its input has commands, paths and changes.

use serde_json::Value;

/// What kind of tool it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ToolKind {
    /// Runs commands.
    Shell,
    /// Changes files.
    Edit,
    /// Reads or searches files.
    Read,
    /// Asks the network.
    Fetch,
    /// Wants to know something of a person.
    Question,
    /// Anything else.
    Other,
}

impl ToolKind {
    /// What a rule calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Edit => "edit",
            Self::Read => "read",
            Self::Fetch => "fetch",
            Self::Question => "question",
            Self::Other => "other",
        }
    }
}

/// Values of one input that are looked at.
const MOST_ENTRIES: usize = 64;

/// Fields that name the directory where a command runs.
const DIRECTORIES: [&str; 5] = ["cwd", "workdir", "workingDirectory", "directory", "dir_path"];

/// Fields that name a file or directory.
const PATHS: [&str; 16] = [
    "file_path",
    "filePath",
    "filepath",
    "path",
    "notebook_path",
    "notebookPath",
    "absolute_path",
    "dir_path",
    "directory",
    "dir",
    "oldPath",
    "newPath",
    "source",
    "destination",
    "file",
    "uri",
];

/// What kind of tool it is: by its name, and only where an agent's protocol has kinds, by what the input says.
pub(crate) fn kind(agent: &str, tool: &str, input: &Value) -> ToolKind {
    let name: String = tool.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_lowercase();
    if tool.starts_with("mcp__") || tool.starts_with("mcp:") {
        return ToolKind::Other;
    }
    match name.as_str() {
        "bash" | "shell" | "exec" | "execcommand" | "localshell" | "runshellcommand" | "commandexecution" | "execute" | "runcommand" | "terminal" => {
            ToolKind::Shell
        }
        "edit" | "multiedit" | "write" | "notebookedit" | "filechange" | "applypatch" | "patch" | "writefile" | "replace" | "delete" | "move" => ToolKind::Edit,
        "read" | "glob" | "grep" | "ls" | "list" | "readfile" | "readmanyfiles" | "listdirectory" | "search" | "searchfilecontent" | "notebookread" => {
            ToolKind::Read
        }
        "webfetch" | "websearch" | "fetch" | "googlewebsearch" | "codesearch" => ToolKind::Fetch,
        "askuserquestion" | "question" | "requestuserinput" | "askuser" | "exitplanmode" | "elicitation" => ToolKind::Question,
        _ if matches!(agent, "claude" | "codex" | "opencode") => ToolKind::Other,
        _ => match input.get("kind").and_then(Value::as_str) {
            Some("execute") => ToolKind::Shell,
            Some("edit" | "delete" | "move") => ToolKind::Edit,
            Some("read" | "search") => ToolKind::Read,
            Some("fetch") => ToolKind::Fetch,
            _ => ToolKind::Other,
        },
    }
}

/// A command as an input has it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// For a shell.
    Line(String),
    /// Program and arguments.
    Words(Vec<String>),
}

/// The command of a shell tool.
pub(crate) fn command(input: &Value) -> Option<Command> {
    let inputs = [Some(input), input.get("rawInput"), input.get("metadata")];
    inputs.into_iter().flatten().filter_map(|input| input.get("command").or_else(|| input.get("cmd"))).find_map(|command| match command {
        Value::String(line) => Some(Command::Line(line.clone())),
        Value::Array(words) => words.iter().map(|word| word.as_str().map(str::to_owned)).collect::<Option<_>>().map(Command::Words),
        _ => None,
    })
}

/// Arguments that stand apart from the command.
pub(crate) fn arguments(input: &Value) -> Vec<String> {
    let given = ["args", "arguments", "argv"].iter().find_map(|name| input.get(name));
    match given {
        Some(Value::Array(words)) => words.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect(),
        Some(Value::String(words)) => words.split_whitespace().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Whether every part of an input has a meaning that is known here: a command, a path, a directory, words for people, a number.
pub(crate) fn is_understood(input: &Value) -> bool {
    let known = |name: &str| matches!(name, "command" | "cmd" | "description" | "title") || DIRECTORIES.contains(&name) || PATHS.contains(&name);
    match input {
        Value::Null => true,
        Value::Object(map) => map.iter().all(|(name, value)| match value {
            Value::String(_) => known(name),
            Value::Array(list) => matches!(name.as_str(), "command" | "cmd" | "paths") && list.iter().all(Value::is_string),
            Value::Object(_) => false,
            Value::Null | Value::Bool(_) | Value::Number(_) => true,
        }),
        _ => false,
    }
}

/// Where a command is to run, where that is not where the agent works.
pub(crate) fn directory(input: &Value) -> Option<&str> {
    let inputs = [Some(input), input.get("rawInput"), input.get("metadata")];
    inputs.into_iter().flatten().find_map(|input| DIRECTORIES.iter().find_map(|name| input.get(name)?.as_str()))
}

/// Every path that an input names.
pub(crate) fn paths(input: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for input in [Some(input), input.get("rawInput"), input.get("metadata")].into_iter().flatten() {
        found.extend(PATHS.iter().filter_map(|name| input.get(name)?.as_str()).map(str::to_owned));
        found.extend(entries(input, "paths").iter().filter_map(|path| path.as_str().map(str::to_owned)));
        for list in ["locations", "content", "files"] {
            found.extend(entries(input, list).iter().filter_map(|entry| entry.get("path").or_else(|| entry.get("filePath"))?.as_str().map(str::to_owned)));
        }
        found.extend(changes_of(input).into_iter().flat_map(|(path, change)| moved(change).map(str::to_owned).into_iter().chain([path.to_owned()])));
        found.extend(["patch", "input", "patchText"].iter().filter_map(|name| input.get(name)?.as_str()).flat_map(patched));
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|path| !path.is_empty() && seen.insert(path.clone()));
    found
}

/// Whether an input names more than is looked at.
pub(crate) fn is_too_large(input: &Value) -> bool {
    let many = |value: &Value| value.as_array().is_some_and(|list| list.len() > MOST_ENTRIES) || value.as_object().is_some_and(|map| map.len() > MOST_ENTRIES);
    let inputs = [Some(input), input.get("rawInput"), input.get("metadata")];
    inputs
        .into_iter()
        .flatten()
        .any(|input| ["paths", "locations", "content", "files", "changes", "edits"].iter().any(|name| input.get(name).is_some_and(many)))
}

fn entries<'a>(input: &'a Value, name: &str) -> &'a [Value] {
    let list = input.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    list.get(..MOST_ENTRIES).unwrap_or(list)
}

fn moved(change: &Value) -> Option<&str> {
    [Some(change), change.get("kind"), change.get("update")].into_iter().flatten().find_map(|at| at.get("move_path")?.as_str())
}

/// Files named in the text of a patch.
fn patched(text: &str) -> impl Iterator<Item = String> {
    let marks = ["*** Update File: ", "*** Add File: ", "*** Delete File: ", "*** Move to: "];
    text.lines().filter_map(move |line| marks.iter().find_map(|mark| line.strip_prefix(mark))).take(MOST_ENTRIES).map(|path| path.trim().to_owned())
}

/// Changes as codex has them: a list, or by path.
fn changes_of(input: &Value) -> Vec<(&str, &Value)> {
    match input.get("changes") {
        Some(Value::Object(map)) => map.iter().take(MOST_ENTRIES).map(|(path, change)| (path.as_str(), change)).collect(),
        _ => entries(input, "changes").iter().filter_map(|change| Some((change.get("path")?.as_str()?, change))).collect(),
    }
}

/// A change to a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// These texts are replaced by those, one after the other; all of them where so marked.
    Replace(Vec<(String, String, bool)>),
    /// This is the whole file.
    Whole(String),
    /// A part of the file was this, and is that.
    Part(String, String),
    /// A diff that came as such.
    Given(String),
    /// The file goes.
    Delete,
}

/// The changes that an input makes, by path.
pub(crate) fn changes(input: &Value) -> Vec<(String, Change)> {
    let mut all = Vec::new();
    for input in [Some(input), input.get("rawInput"), input.get("metadata")].into_iter().flatten() {
        let text = |names: &[&str]| names.iter().find_map(|name| input.get(name)?.as_str()).map(str::to_owned);
        let path = PATHS.iter().find_map(|name| input.get(name)?.as_str()).map(str::to_owned);
        if let Some(path) = path {
            let replace = |edit: &Value| {
                let text = |names: [&str; 2]| names.iter().find_map(|name| edit.get(name)?.as_str()).map(str::to_owned);
                let all = ["replace_all", "replaceAll"].iter().any(|name| edit.get(name).and_then(Value::as_bool) == Some(true));
                Some((text(["old_string", "oldString"])?, text(["new_string", "newString"])?, all))
            };
            let edits: Vec<_> = entries(input, "edits").iter().filter_map(replace).chain(replace(input)).collect();
            if !edits.is_empty() {
                all.push((path, Change::Replace(edits)));
            } else if let Some(content) = text(&["content"]) {
                all.push((path, Change::Whole(content)));
            } else if let Some(source) = text(&["new_source"]) {
                all.push((path, Change::Part(String::new(), source)));
            } else if let Some(diff) = text(&["diff", "patch"]) {
                all.push((path, Change::Given(diff)));
            }
        }
        for entry in entries(input, "content").iter().filter(|entry| entry.get("newText").is_some()) {
            let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
            if let (Some(path), Some(new)) = (text("path"), text("newText")) {
                all.push((path, text("oldText").map_or(Change::Whole(new.clone()), |old| Change::Part(old, new))));
            }
        }
        for (path, change) in changes_of(input) {
            let inner = ["add", "update", "delete"].iter().find_map(|name| Some((*name, change.get(name)?)));
            let (word, body) = inner.unwrap_or_else(|| {
                (
                    change.get("kind").and_then(|kind| kind.get("type").unwrap_or(kind).as_str()).or_else(|| change.get("type")?.as_str()).unwrap_or("update"),
                    change,
                )
            });
            let text = ["diff", "unified_diff", "content"].iter().find_map(|name| body.get(name)?.as_str()).map(str::to_owned);
            let change = match (word, text) {
                ("delete", _) => Change::Delete,
                ("add", Some(text)) => Change::Whole(text),
                (_, Some(text)) => Change::Given(text),
                (_, None) => continue,
            };
            all.push((path.to_owned(), change));
        }
    }
    let patches = ["patch", "input", "patchText"].iter().filter_map(|name| input.get(name)?.as_str()).filter(|text| text.contains("*** Begin Patch"));
    all.extend(patches.map(|text| (String::new(), Change::Given(text.to_owned()))));
    all.truncate(MOST_ENTRIES);
    all
}

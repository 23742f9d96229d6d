//! Whether a task may be started as it is asked for: who asks, where it works, what its agent may do unasked.

use std::path::{Path, PathBuf};

use loopsy_shared::{
    api::{
        Needs, Scope,
        ai_tasks::{DispatchTask, PermissionMode, TaskMode},
    },
    config::Config,
    text::inert,
};

use super::TaskError;
use crate::{jobs::environment, trust::Caller};

/// Longest prompt, in bytes.
pub(super) const LONGEST_PROMPT: usize = 4 << 20;

/// Arguments that widen no rights: of each whether a value follows.
const HARMLESS: [(&str, bool); 12] = [
    ("--verbose", false),
    ("--debug", false),
    ("--effort", true),
    ("--max-turns", true),
    ("--fallback-model", true),
    ("--append-system-prompt", true),
    ("--model", true),
    ("-m", true),
    ("--name", true),
    ("--exclude-dynamic-system-prompt-sections", false),
    ("--no-session-persistence", false),
    ("--sandbox", false),
];

/// Checks what does not need the disk.
pub(super) fn request(config: &Config, caller: &Caller, request: &DispatchTask) -> Result<(), TaskError> {
    let invalid = |text: &str| Err(TaskError::Invalid(text.to_owned()));
    if request.prompt.trim().is_empty() {
        return invalid("The prompt is empty.");
    }
    prompt(&request.prompt)?;
    let texts = [&request.cwd, &request.model, &request.resume_session_id].into_iter().flatten();
    if texts.chain(&request.additional_args).chain(&request.allowed_tools).chain(&request.disallowed_tools).any(|text| text.contains('\0')) {
        return invalid("A task's settings cannot contain a zero byte.");
    }
    if [&request.model, &request.resume_session_id].into_iter().flatten().any(|text| text.is_empty() || text.starts_with('-')) {
        return invalid("A model or a session has a name, and one that does not begin with `-`.");
    }
    if request.allowed_tools.iter().chain(&request.disallowed_tools).any(|tool| tool.is_empty() || tool.starts_with('-')) {
        return invalid("The name of a tool is not empty and does not begin with `-`.");
    }
    if request.max_budget_usd.is_some_and(|budget| !(budget > 0.0 && budget.is_finite())) {
        return invalid("`maxBudgetUsd` is a number above 0.");
    }
    if request.size.is_some_and(|(columns, rows)| columns == 0 || rows == 0 || columns > 1000 || rows > 1000) {
        return invalid("A terminal has 1 to 1000 columns and rows.");
    }
    if request.park && request.mode == TaskMode::Interactive {
        return invalid("`park` is for headless tasks: in a terminal the agent waits with its own screen.");
    }
    rights(config, caller, request)?;
    arguments(config, &request.additional_args)
}

/// Checks something that is said to an agent.
pub(super) fn prompt(text: &str) -> Result<(), TaskError> {
    if text.len() > LONGEST_PROMPT {
        return Err(TaskError::Invalid(format!("The prompt has {} bytes; 4 MiB are the most. Put it into a file and name the file.", text.len())));
    }
    if text.contains('\0') {
        return Err(TaskError::Invalid("A prompt cannot contain a zero byte.".to_owned()));
    }
    Ok(())
}

/// What an agent does unasked, only those may say who could do it themselves.
fn rights(config: &Config, caller: &Caller, request: &DispatchTask) -> Result<(), TaskError> {
    let who = &caller.principal;
    let bypass = request.permission_mode == PermissionMode::BypassPermissions;
    if bypass && caller.for_agent {
        return Err(TaskError::Denied("Agents may not start tasks that ask nothing (`bypassPermissions`): that is for a person to say.".to_owned()));
    }
    if bypass && !who.is_owner() && !config.agents.bypass_from.contains(&who.name) {
        return Err(TaskError::Denied(format!(
            "`{}` may not start tasks that ask nothing (`bypassPermissions`): `agents.bypassFrom` in this node's config.yaml does not name it.",
            inert(&who.name)
        )));
    }
    let unasked = !request.allowed_tools.is_empty() || request.permission_mode == PermissionMode::AcceptEdits;
    if unasked && !who.may(Needs::Scope(Scope::Execute)) {
        return Err(TaskError::Denied(format!(
            "`{}` may not say what an agent does without asking (`allowedTools`, `acceptEdits`): its key has no scope `execute` here.",
            inert(&who.name)
        )));
    }
    Ok(())
}

/// Further arguments: a known harmless one with its value, or what the config names.
fn arguments(config: &Config, arguments: &[String]) -> Result<(), TaskError> {
    let named = |argument: &str| config.agents.allowed_args.iter().any(|pattern| environment::matches(pattern, argument));
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if named(argument) {
            continue;
        }
        let (flag, value) = argument.split_once('=').map_or((argument.as_str(), None), |(flag, value)| (flag, Some(value)));
        let known = HARMLESS.iter().find(|(name, _)| *name == flag);
        let fits = match known {
            Some((_, true)) => value.is_some() || rest.next().is_some_and(|value| !value.starts_with('-')),
            Some((_, false)) => value.is_none(),
            None => false,
        };
        if !fits {
            return Err(TaskError::Denied(format!(
                "The argument `{}` is not passed on to an agent: it may widen what the agent may do, or needs a value. The owner of this node can allow it by name in `agents.allowedArgs` of config.yaml.",
                inert(argument)
            )));
        }
    }
    Ok(())
}

/// The working directory, links followed. Looks at the disk.
pub(super) fn directory(config: &Config, home: &Path, data: &Path, cwd: Option<&str>) -> Result<PathBuf, TaskError> {
    let asked = home.join(cwd.unwrap_or_default());
    let shown = inert(&asked.to_string_lossy()).into_owned();
    let real = std::fs::canonicalize(&asked).map_err(|error| TaskError::Path(format!("The working directory `{shown}` cannot be used: {error}.")))?;
    if !real.is_dir() {
        return Err(TaskError::Path(format!("The working directory `{shown}` is not a directory.")));
    }
    if real.to_str().is_none() {
        return Err(TaskError::Path(format!("The working directory `{shown}` has a name that is not Unicode.")));
    }
    let under = |paths: &[PathBuf]| paths.iter().any(|path| real.starts_with(std::fs::canonicalize(path).as_deref().unwrap_or(path)));
    let allowed = if config.agents.allowed_paths.is_empty() { &config.transfer.allowed_paths } else { &config.agents.allowed_paths };
    let data = std::fs::canonicalize(data).unwrap_or_else(|_| data.to_owned());
    let own = real.starts_with(&data) && !real.starts_with(data.join("worktrees"));
    if own || under(&config.transfer.denied_paths) || !(allowed.is_empty() || under(allowed)) {
        let setting = if config.agents.allowed_paths.is_empty() { "transfer.allowedPaths" } else { "agents.allowedPaths" };
        let allowed: Vec<String> = allowed.iter().map(|path| inert(&path.to_string_lossy()).into_owned()).collect();
        let why = if own || under(&config.transfer.denied_paths) {
            "it belongs to what nobody may touch (the data directory, `transfer.deniedPaths`)".to_owned()
        } else {
            format!("`{setting}` allows {}", allowed.join(", "))
        };
        return Err(TaskError::Path(format!("Tasks may not work in `{shown}`: {why}. `agents.allowedPaths` in that node's config.yaml says where they may.")));
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, sync::Arc};

    use super::*;
    use crate::trust::{Principal, Role};

    fn caller(role: Role, name: &str, scopes: &[Scope]) -> Caller {
        let principal = Principal { name: name.to_owned(), role, scopes: scopes.to_vec(), ..Principal::nobody() };
        Caller { principal: Arc::new(principal), from_node_id: None, job_id: None, from: IpAddr::from([127, 0, 0, 1]), for_agent: role == Role::Agent }
    }

    fn task(change: impl FnOnce(&mut DispatchTask)) -> DispatchTask {
        let mut task = DispatchTask { prompt: "do it".to_owned(), ..DispatchTask::default() };
        change(&mut task);
        task
    }

    #[test]
    fn what_widens_rights_is_refused_unless_the_config_names_it() {
        let owner = caller(Role::Owner, "admin", &[]);
        let with = |arguments: &[&str], config: &Config| {
            request(config, &owner, &task(|task| task.additional_args = arguments.iter().map(|text| (*text).to_owned()).collect()))
        };
        let plain = Config::default();
        for refused in [
            &["--settings", "{}"][..],
            &["--mcp-config={}"],
            &["--dangerously-skip-permissions"],
            &["--permission-mode", "bypassPermissions"],
            &["--add-dir", "/"],
            &["-c", "sandbox_mode=danger-full-access"],
            &["--effort"],
            &["--effort", "--settings"],
            &["--verbose=--settings"],
            &["another prompt"],
            &["--yolo"],
        ] {
            assert!(matches!(with(refused, &plain), Err(TaskError::Denied(_))), "{refused:?}");
        }
        assert!(with(&["--effort", "high", "--max-turns=3", "--verbose"], &plain).is_ok());
        let mut config = Config::default();
        config.agents.allowed_args = vec!["--add-dir=/srv/*".to_owned()];
        assert!(with(&["--add-dir=/srv/x"], &config).is_ok() && with(&["--add-dir=/etc"], &config).is_err());
    }

    #[test]
    fn who_may_not_run_commands_cannot_have_an_agent_run_them_unasked() {
        let config = Config::default();
        let bypass = task(|task| task.permission_mode = PermissionMode::BypassPermissions);
        let kai = caller(Role::Peer, "kai", &[Scope::AiTasks, Scope::Execute]);
        assert!(matches!(request(&config, &kai, &bypass), Err(TaskError::Denied(_))));
        assert!(matches!(request(&config, &caller(Role::Agent, "agent", &[Scope::AiTasks, Scope::Execute]), &bypass), Err(TaskError::Denied(_))));
        let mut trusting = Config::default();
        trusting.agents.bypass_from = vec!["kai".to_owned(), "agent".to_owned()];
        let agents = [kai.clone(), caller(Role::Owner, "admin", &[]), caller(Role::Agent, "agent", &[Scope::AiTasks, Scope::Execute])];
        for agent in agents.map(|caller| Caller { for_agent: true, ..caller }) {
            assert!(matches!(request(&trusting, &agent, &bypass), Err(TaskError::Denied(_))), "{agent:?}");
        }
        assert!(request(&trusting, &kai, &bypass).is_ok() && request(&config, &caller(Role::Owner, "admin", &[]), &bypass).is_ok());
        let only_tasks = caller(Role::Peer, "kai", &[Scope::AiTasks]);
        for unasked in [task(|task| task.allowed_tools = vec!["Bash".to_owned()]), task(|task| task.permission_mode = PermissionMode::AcceptEdits)] {
            assert!(request(&config, &kai, &unasked).is_ok() && matches!(request(&config, &only_tasks, &unasked), Err(TaskError::Denied(_))));
        }
        assert!(request(&config, &only_tasks, &task(|_| {})).is_ok());
    }

    #[test]
    fn texts_that_cannot_be_are_refused_and_a_dash_is_no_option() {
        let (config, owner) = (Config::default(), caller(Role::Owner, "admin", &[]));
        for bad in [
            task(|task| task.prompt = " \n".to_owned()),
            task(|task| task.prompt = "a\0b".to_owned()),
            task(|task| task.prompt = "x".repeat(LONGEST_PROMPT + 1)),
            task(|task| task.model = Some("--settings".to_owned())),
            task(|task| task.resume_session_id = Some(String::new())),
            task(|task| task.disallowed_tools = vec!["--yolo".to_owned()]),
            task(|task| task.max_budget_usd = Some(f64::NAN)),
            task(|task| task.size = Some((0, 24))),
        ] {
            assert!(matches!(request(&config, &owner, &bad), Err(TaskError::Invalid(_))), "{bad:?}");
        }
        assert!(request(&config, &owner, &task(|task| task.prompt = "--help\n".to_owned() + &"x".repeat(1 << 20))).is_ok());
    }

    #[test]
    fn a_directory_is_where_its_links_lead() {
        let root = tempfile::tempdir().expect("made");
        let at = |name: &str| root.path().join(name);
        for name in ["home/project", "home/.ssh", "data/tasks", "data/worktrees/x", "elsewhere"] {
            std::fs::create_dir_all(at(name)).expect("made");
        }
        std::fs::write(at("home/file"), "").expect("made");
        std::os::unix::fs::symlink(at("elsewhere"), at("home/link")).expect("made");
        let mut config = Config::default();
        config.transfer.allowed_paths = vec![at("home"), at("data")];
        config.transfer.denied_paths = vec![at("home/.ssh")];
        let look = |cwd: Option<&str>| directory(&config, &at("home"), &at("data"), cwd);
        assert_eq!(look(Some("project")).expect("allowed"), at("home/project").canonicalize().expect("there"));
        assert!(look(None).is_ok());
        for refused in ["nowhere", "file", ".ssh", "link", "../elsewhere", "/", "../data", "../data/tasks"] {
            assert!(matches!(look(Some(refused)), Err(TaskError::Path(_))), "{refused}");
        }
        assert!(look(at("data/worktrees/x").to_str()).is_ok());
    }
}

//! `loopsy task` as the command line has it.

use clap::{
    Args as ClapArgs, Subcommand, ValueHint,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use loopsy_shared::api::{ai_tasks::PermissionMode, execute::Timeout};

use super::parse::{parse_dollars, parse_timeout};

/// `loopsy task ..`.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Start an agent on a prompt and show what it does
    ///
    /// The task belongs to the daemon: it goes on when this command ends, and `loopsy task tail` shows it again. Where a person sits at the terminal, questions of
    /// the agent are asked right there, with the keys of `loopsy approvals watch`; elsewhere `loopsy approvals` answers them.
    ///
    /// Ctrl-C interrupts what the agent does now and keeps its session; Ctrl-C again cancels the task; once more leaves at once. A closed terminal only leaves.
    ///
    /// Ends with 0 when the agent is done, 1 when it failed, 130 when it was interrupted or cancelled.
    Run(Run),
    /// List tasks, newest first
    List {
        #[command(flatten)]
        on: On,
    },
    /// Show all that is known about a task
    Show {
        #[command(flatten)]
        task: One,
        /// Also print what it did
        #[arg(long, short)]
        events: bool,
        /// The same, with whole inputs, diffs and results, thoughts and raw messages
        #[arg(long)]
        full: bool,
    },
    /// Show what a task did and follow it to its end
    ///
    /// Ctrl-C leaves; the task goes on. Ends like `loopsy task run` when the task ends.
    Tail {
        #[command(flatten)]
        task: One,
        /// Only what comes from now on
        #[arg(long, short)]
        new: bool,
        #[command(flatten)]
        follow: Follow,
    },
    /// Say something to the agent: at once if it can listen while it works, else as its next turn
    Send {
        #[command(flatten)]
        task: One,
        /// What to say; `-`, or nothing with a pipe, reads standard input
        text: Option<String>,
        /// Show what it does from then on, until it ends
        #[arg(long, short = 'f')]
        tail: bool,
        #[command(flatten)]
        follow: Follow,
    },
    /// End what the agent does now and keep its session: `send` or `resume` lets it go on
    Interrupt {
        #[command(flatten)]
        task: One,
    },
    /// End a task
    Cancel {
        #[command(flatten)]
        task: One,
    },
    /// Let a task go on that was interrupted, cancelled, or ended by a restart
    Resume {
        #[command(flatten)]
        task: One,
        /// What to say; that it was interrupted, when absent
        prompt: Option<String>,
        /// Show what it does from then on, until it ends
        #[arg(long, short = 'f')]
        tail: bool,
        #[command(flatten)]
        follow: Follow,
    },
    /// Delete a task that has ended, with all that is stored of it
    Delete {
        #[command(flatten)]
        task: One,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// Whose tasks are meant.
#[derive(Debug, ClapArgs)]
pub(crate) struct On {
    /// On this peer instead of this machine
    #[arg(long, value_name = "PEER")]
    pub on: Option<String>,
}

/// Which task is meant.
#[derive(Debug, ClapArgs)]
pub(crate) struct One {
    /// The task's id, or at least four characters of its beginning
    #[arg(value_name = "TASK")]
    pub id: String,
    #[command(flatten)]
    pub on: On,
}

/// How a task is followed.
#[derive(Debug, Clone, Copy, Default, ClapArgs)]
pub(crate) struct Follow {
    /// Also show thoughts, tokens, standard error and messages that are not understood
    #[arg(long, short)]
    pub verbose: bool,
    /// Only say that the agent asks something; never ask at this terminal
    #[arg(long)]
    pub no_ask: bool,
}

/// `loopsy task run`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Run {
    /// What the agent is to do; `-`, or nothing with a pipe, reads standard input. A prompt that begins with `-` has to come that way
    pub prompt: Option<String>,
    /// Run it on this peer instead of this machine
    #[arg(long, value_name = "PEER")]
    pub on: Option<String>,
    /// `claude`, `codex`, `gemini`, `opencode`, or a name from `agents.acp` of the config [default: the first that is installed]
    #[arg(long, short, value_name = "AGENT")]
    pub agent: Option<String>,
    /// The agent's name of a model [default: the agent's own choice]
    #[arg(long, short, value_name = "MODEL")]
    pub model: Option<String>,
    /// Work in this directory there [default: the current one; the home directory on a peer]
    #[arg(long, short = 'C', value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub cwd: Option<String>,
    /// Give it the agent's own screen in a terminal of the daemon, and open it
    #[arg(long, short)]
    pub interactive: bool,
    /// How much it may do without asking
    #[arg(long, value_name = "MODE", default_value = "default", value_parser = permission_modes())]
    pub permission_mode: PermissionMode,
    /// A tool that it may use without asking, by the agent's own name: `Bash(git log:*)`; may be given more than once
    #[arg(long, value_name = "TOOL")]
    pub allow: Vec<String>,
    /// A tool that it may not use; may be given more than once
    #[arg(long, value_name = "TOOL")]
    pub deny: Vec<String>,
    /// End it when it has cost more than this, in US dollars
    #[arg(long, value_name = "USD", value_parser = parse_dollars)]
    pub budget: Option<f64>,
    /// End it after this time: milliseconds, or a number with `s`, `m` or `h` [default: `agents.timeout` of the config]
    #[arg(long, short, value_name = "DURATION", value_parser = parse_timeout)]
    pub timeout: Option<Timeout>,
    /// Give it a git worktree and a branch of its own, beside the repository
    #[arg(long)]
    pub worktree: bool,
    /// Fail when all places are taken, instead of waiting for one
    #[arg(long)]
    pub no_queue: bool,
    /// Park a question that nobody answers in time instead of denying it: an answer days later lets the task go on (Claude Code)
    #[arg(long)]
    pub park: bool,
    /// Print the task's id and leave it to the daemon
    #[arg(long, short)]
    pub detach: bool,
    /// Go on with this session of the agent's
    #[arg(long, value_name = "SESSION")]
    pub resume_session: Option<String>,
    #[command(flatten)]
    pub follow: Follow,
    /// Further arguments for the agent's program, as far as the config there allows them
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

/// The modes, by the words of the command line and those of the API.
fn permission_modes() -> impl TypedValueParser<Value = PermissionMode> {
    let modes = [
        PossibleValue::new("default").help("It asks before it changes anything"),
        PossibleValue::new("accept-edits").alias("acceptEdits").help("It changes files in its working directory without asking"),
        PossibleValue::new("plan").help("It only plans"),
        PossibleValue::new("dont-ask").alias("dontAsk").help("It never asks: what is not allowed beforehand is denied"),
        PossibleValue::new("bypass-permissions").alias("bypassPermissions").help("It asks nothing and may do all"),
    ];
    PossibleValuesParser::new(modes).map(|word| match word.as_str() {
        "accept-edits" | "acceptEdits" => PermissionMode::AcceptEdits,
        "plan" => PermissionMode::Plan,
        "dont-ask" | "dontAsk" => PermissionMode::DontAsk,
        "bypass-permissions" | "bypassPermissions" => PermissionMode::BypassPermissions,
        _ => PermissionMode::Default,
    })
}

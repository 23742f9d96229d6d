//! `loopsy approvals` as the command line has it.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum, ValueHint};
use loopsy_shared::config::{Rule, RuleVerdict};

use super::parse::parse_hash;

/// `loopsy approvals ..`.
#[derive(Debug, Subcommand)]
pub(crate) enum Approvals {
    /// List what waits for an answer, on this machine and on its peers
    List {
        /// Also what was answered already, as far as it is kept
        #[arg(long, short)]
        all: bool,
        /// Only of this machine
        #[arg(long)]
        local: bool,
    },
    /// Show one, whole: the input, where its paths lead, the change, what else is known
    Show {
        #[command(flatten)]
        approval: One,
    },
    /// Say yes, this once
    Allow {
        #[command(flatten)]
        approval: Yes,
        /// Allow this input (JSON) instead of the one asked for; `-` reads standard input
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        input: Option<PathBuf>,
    },
    /// Say yes, and let the agent keep a rule that it offers
    Always {
        #[command(flatten)]
        approval: Yes,
        /// Which rule, as `show` numbers them; needed when there is more than one
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
        suggestion: Option<u16>,
    },
    /// Say no; the agent goes on without it
    Deny {
        #[command(flatten)]
        approval: One,
        /// What to tell the agent
        #[arg(long, short)]
        reason: Option<String>,
    },
    /// Say no, and end what the agent does now
    Stop {
        #[command(flatten)]
        approval: One,
        /// What to tell the agent
        #[arg(long, short)]
        reason: Option<String>,
    },
    /// Answer questions of an agent
    ///
    /// Each answer names its question by number or id: `1=yes`, `database=Postgres`. A question that takes several answers is named several times.
    Answer {
        #[command(flatten)]
        approval: Yes,
        /// The answers
        #[arg(required = true, value_name = "QUESTION=ANSWER", allow_hyphen_values = true)]
        answers: Vec<String>,
    },
    /// Wait for questions and ask each of them here, one at a time, until Ctrl-C
    ///
    /// The keys: `a` allows once, `w` or `A` allows and keeps a rule that the agent offers, `e` changes the input in `$EDITOR`, `d` denies, `D` denies with a reason,
    /// `s` denies and stops the agent, `l` leaves it for later, `m` shows more lines. A yes counts only when the whole card was shown. Enter never does anything,
    /// and neither does what was pasted, or typed before the card stood there.
    ///
    /// Where no person sits at the terminal it prints a line for each change.
    Watch {
        /// Only of this machine
        #[arg(long)]
        local: bool,
    },
    /// List and change the rules that decide before anybody is asked
    Rules {
        /// What to do; lists when absent.
        #[command(subcommand)]
        command: Option<Rules>,
    },
    /// Say which rule would decide about a command, without running anything
    Test(Test),
}

/// Which approval is meant.
#[derive(Debug, ClapArgs)]
pub(crate) struct One {
    /// The approval's id, or at least four characters of its beginning
    #[arg(value_name = "APPROVAL")]
    pub id: String,
}

/// Which approval is meant, and that it is the one that was looked at.
#[derive(Debug, ClapArgs)]
pub(crate) struct Yes {
    /// The approval's id, or at least four characters of its beginning
    #[arg(value_name = "APPROVAL")]
    pub id: String,
    /// Do not ask: this is the beginning (8 characters or more) of the hash of what was looked at, as `show` prints it
    #[arg(long, value_name = "HASH", value_parser = parse_hash)]
    pub sha256: Option<String>,
}

/// `loopsy approvals rules ..`.
#[derive(Debug, Subcommand)]
pub(crate) enum Rules {
    /// List the rules
    List,
    /// Add a rule; it fits when everything that it names fits
    ///
    /// Deny beats ask, and ask beats allow, whatever their order. Where no rule fits, a person is asked.
    Add(NewRule),
    /// Take a rule away
    Remove {
        /// Which, as `list` numbers them
        #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        number: u32,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Make a rule from an approval: the narrowest that fits it
    From {
        #[command(flatten)]
        approval: One,
        /// What the rule does
        #[arg(long = "do", value_name = "WHAT", default_value = "allow")]
        verdict: Do,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Do {
    /// It may, without asking
    Allow,
    /// It may not
    Deny,
    /// A person is asked
    Ask,
}

impl From<Do> for RuleVerdict {
    fn from(verdict: Do) -> Self {
        match verdict {
            Do::Allow => Self::Allow,
            Do::Deny => Self::Deny,
            Do::Ask => Self::Ask,
        }
    }
}

/// `loopsy approvals rules add`.
#[derive(Debug, ClapArgs)]
pub(crate) struct NewRule {
    /// What the rule does
    #[arg(long = "do", value_name = "WHAT")]
    pub verdict: Do,
    /// Only this agent, such as `claude`
    #[arg(long)]
    pub agent: Option<String>,
    /// Only this tool: the agent's name of it, or `shell`, `edit`, `read`, `fetch`; `*` stands for any text
    #[arg(long)]
    pub tool: Option<String>,
    /// Only this command with its first arguments: `git log`, `cargo test --*`, `rm`
    #[arg(long, allow_hyphen_values = true)]
    pub command: Option<String>,
    /// Only this file, or what is in this directory: absolute, below `~`, or `.` for the working directory
    #[arg(long)]
    pub path: Option<String>,
    /// Only tasks that this peer started, or `owner`
    #[arg(long)]
    pub peer: Option<String>,
    /// Only tasks in this repository: its directory, absolute or below `~`
    #[arg(long, value_hint = ValueHint::DirPath)]
    pub repository: Option<String>,
}

impl From<NewRule> for Rule {
    fn from(new: NewRule) -> Self {
        let NewRule { verdict, agent, tool, command, path, peer, repository } = new;
        Self { verdict: verdict.into(), agent, tool, command, path, peer, repository }
    }
}

/// `loopsy approvals test`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Test {
    /// A command line, as an agent would give it to its shell tool
    #[arg(allow_hyphen_values = true, required_unless_present = "input")]
    pub command: Option<String>,
    /// The whole input of the tool (JSON) instead of a command line; `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with = "command", requires = "tool", value_hint = ValueHint::FilePath)]
    pub input: Option<PathBuf>,
    /// The tool [default: Bash]
    #[arg(long)]
    pub tool: Option<String>,
    /// The agent [default: claude]
    #[arg(long)]
    pub agent: Option<String>,
    /// Where the agent works [default: the current directory]
    #[arg(long, short = 'C', value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub cwd: Option<String>,
    /// The peer that started the task [default: the owner]
    #[arg(long)]
    pub peer: Option<String>,
}

//! The command line: every command, every option and all help text.

use std::{env, ffi::OsString, path::PathBuf};

use clap::{
    Args as ClapArgs, Parser, Subcommand, ValueHint,
    error::{ContextKind, ContextValue, ErrorKind},
};
use clap_complete::Shell;

use loopsy_shared::api::execute::Timeout;

mod approvals;
mod context;
mod pair;
mod parse;
mod peers;
mod task;
mod terminal;

pub(crate) use approvals::{Approvals, Rules, Test as TestRules, Yes};
pub(crate) use context::Context;
pub(crate) use pair::{Connect, Pair};
pub(crate) use parse::{parse_address, parse_place};
use parse::{parse_env, parse_lines, parse_timeout};
pub(crate) use peers::Peers;
pub(crate) use task::{Follow, Run, Task};
pub(crate) use terminal::Terminal;

const GLOBAL: &str = "Options of every command";

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed
  2    the command line is not valid
  3    the daemon or the peer cannot be reached
  4    refused: wrong key, missing scope, denied command or path
  78   the config or the store cannot be used
  124  `exec`: the command's time was up
  130  interrupted
`exec` and `terminal` end with the code of the program; 128 plus the signal's number when a signal ended it.

Start with `loopsy demo` to see it work, or `loopsy init` to set this machine up.";

/// All your machines as one place for your coding agents
#[derive(Debug, Parser)]
#[command(name = "loopsy", version, arg_required_else_help = true, subcommand_required = true, after_help = EXIT_CODES, max_term_width = 120)]
pub(crate) struct Args {
    /// What every command understands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The command line; what is wrong with it is said, and ends the program.
pub(crate) fn read() -> Args {
    Args::try_parse().unwrap_or_else(|error| explained(error, env::args_os().skip(1)).exit())
}

/// A prompt that looks like an option is no option, and cannot stand behind `--` either: that is for the agent's program.
fn explained(mut error: clap::Error, words: impl Iterator<Item = OsString>) -> clap::Error {
    let words: Vec<OsString> = words.collect();
    let is_run = words.windows(2).any(|pair| matches!(pair, [task, run] if task == "task" && run == "run"));
    if is_run && error.kind() == ErrorKind::UnknownArgument {
        let tip = "a prompt that begins with `-` goes through standard input: echo '-x' | loopsy task run -";
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// Options of every command.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Global {
    /// Use the node in this directory [default: ~/.loopsy]
    #[arg(long, global = true, help_heading = GLOBAL, env = "LOOPSY_DATA_DIR", hide_env_values = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub data_dir: Option<PathBuf>,
    /// Print the API's JSON instead of text for people
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub json: bool,
    /// Print nothing but the result and errors
    #[arg(long, short, global = true, help_heading = GLOBAL)]
    pub quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Set up a node on this machine: config, key and identity
    ///
    /// What is there is never overwritten; modes that are too open are mended.
    Init(Init),
    /// Start the daemon in the background
    Start,
    /// Stop the daemon
    Stop,
    /// Stop the daemon and start it again
    Restart,
    /// Show how the node is: peers, jobs, context, problems
    Status,
    /// Check everything that can go wrong, and say how to mend it
    Doctor(Doctor),
    /// See Loopsy work: two throw-away nodes on this machine
    Demo(Demo),
    /// Open the control centre: every machine on one screen
    ///
    /// Seven tabs over the local daemon: nodes, peers, context, messages, AI tasks, terminals, pairing. `!` reviews what agents ask, `?` shows the keys of the
    /// place, `:` finds any command. Leaving it ends nothing. Without a terminal, and where it can show nothing but lines, it speaks in lines (`--plain`).
    Tui(Tui),
    /// Pair with another machine: type six digits there, compare six digits on both screens
    ///
    /// Without an address this machine shows a code and waits; `loopsy pair ADDRESS` on the other machine asks for it. Both people then compare the digits that
    /// both screens show, and answer. Nothing is kept before both have said yes. The connection is encrypted, and both certificates are pinned.
    Pair(Pair),
    /// List, add and remove other machines, and say what they may do here
    Peers {
        /// What to do; lists when absent.
        #[command(subcommand)]
        command: Option<Peers>,
    },
    /// Connect another machine by exchanging keys by hand, without encryption
    ///
    /// For machines that cannot be paired. `loopsy pair` is the better way: it encrypts, and knows the other machine by its certificate.
    Connect(Connect),
    /// Run a command on a peer
    ///
    /// Everything after the peer's name belongs to the command: `loopsy exec kai ls -la`. Options of `exec` itself come before the command.
    /// No shell is involved; for pipes and globs use `loopsy exec kai -- sh -c '..'`.
    Exec(Exec),
    /// Copy a file or folder to a peer
    Send(Transfer),
    /// Copy a file or folder from a peer
    Pull(Transfer),
    /// Share values under keys between machines
    Context {
        /// What to do.
        #[command(subcommand)]
        command: Context,
    },
    /// Run coding agents, here or on a peer, and follow what they do
    Task {
        /// What to do.
        #[command(subcommand)]
        command: Task,
    },
    /// Answer what agents ask, on all machines, and keep rules
    ///
    /// Without a subcommand it lists what waits. `allow`, `always` and `answer` show what will be answered and ask once more; a script names the hash of what it
    /// looked at with `--sha256` instead. A no needs neither. Whatever nobody answers in time is denied.
    Approvals {
        /// What to do; lists when absent.
        #[command(subcommand)]
        command: Option<Approvals>,
    },
    /// Show or replace this node's own key
    Key {
        /// What to do.
        #[command(subcommand)]
        command: Key,
    },
    /// Show who asked this node for what
    Logs(Logs),
    /// List the jobs that run now
    Jobs {
        /// Ask this peer instead of this machine
        #[arg(long, value_name = "PEER")]
        peer: Option<String>,
    },
    /// Work in terminals that go on when you leave, here and on peers
    Terminal {
        /// What to do.
        #[command(subcommand)]
        command: Terminal,
    },
    /// List file transfers of the last hour
    Transfers,
    /// Make the daemon read its config file again
    Reload,
    /// Run or inspect the daemon process itself
    Daemon {
        /// What to do.
        #[command(subcommand)]
        command: Daemon,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write manual pages into a directory
    #[command(hide = true)]
    Man {
        /// The directory
        #[arg(value_hint = ValueHint::DirPath)]
        dir: PathBuf,
    },
    /// Print generated documentation
    #[command(hide = true)]
    Docs {
        /// Which document
        document: Document,
    },
}

/// `loopsy init`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Init {
    /// Listen on this port; 0 takes any free one [default: 19532]
    #[arg(long)]
    pub port: Option<u16>,
    /// Listen on this address: 127.0.0.1 for this machine only [default: 0.0.0.0]
    #[arg(long)]
    pub host: Option<String>,
    /// Call the node this instead of the machine's name
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Skip registering the MCP server
    #[arg(long)]
    pub no_mcp: bool,
    /// Neither look for other nodes on the local network nor announce this one
    #[arg(long)]
    pub no_discovery: bool,
}

/// `loopsy daemon ..`.
#[derive(Debug, Subcommand)]
pub(crate) enum Daemon {
    /// Run the daemon in the foreground, until Ctrl-C
    Run {
        /// Listen on this port instead of the config's
        #[arg(long)]
        port: Option<u16>,
        /// Listen on this address instead of the config's
        #[arg(long)]
        host: Option<String>,
        /// Leave the terminal; log to the file only
        #[arg(long, hide = true)]
        detached: bool,
    },
}

/// `loopsy tui`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Tui {
    /// Speak in lines, for screen readers and simple terminals
    #[arg(long)]
    pub plain: bool,
    /// Draw with ASCII alone
    #[arg(long)]
    pub ascii: bool,
    /// Use this theme instead of the config's
    #[arg(long, value_name = "NAME")]
    pub theme: Option<String>,
    /// Use these colours [default: what the terminal says it can]
    #[arg(long, value_name = "WHEN", value_parser = ["auto", "never", "16", "256", "true"])]
    pub color: Option<String>,
    /// Put a terminal right that some program left in a strange state, and end
    #[arg(long, conflicts_with_all = ["plain", "ascii", "theme", "color"])]
    pub reset_terminal: bool,
}

/// `loopsy doctor`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Doctor {
    /// Also check this peer, step by step
    #[arg(long, value_name = "NAME")]
    pub peer: Option<String>,
}

/// `loopsy demo`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Demo {
    /// Leave the two nodes' directory behind
    #[arg(long)]
    pub keep: bool,
    /// Send a file of this size
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub size: u64,
}

/// `loopsy exec`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Exec {
    /// End the command after this time: milliseconds, or a number with `s`, `m` or `h`
    #[arg(long, short, value_name = "DURATION", value_parser = parse_timeout)]
    pub timeout: Option<Timeout>,
    /// Run in this directory there [default: the home directory]
    #[arg(long, short = 'C', value_name = "DIR")]
    pub cwd: Option<String>,
    /// Set an environment variable there; may be given more than once
    #[arg(long = "env", short, value_name = "NAME=VALUE", value_parser = parse_env)]
    pub env: Vec<(String, String)>,
    /// Do not pass standard input on
    #[arg(long, short)]
    pub no_stdin: bool,
    /// Name, node id, or the beginning of a node id
    pub peer: String,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<String>,
}

/// `loopsy send` and `loopsy pull`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Transfer {
    /// Name, node id, or the beginning of a node id
    pub peer: String,
    /// The file or folder to copy
    #[arg(value_name = "SRC", value_hint = ValueHint::AnyPath)]
    pub source: String,
    /// Where it goes; a folder that exists, or a path that ends in `/`, takes it under its own name
    #[arg(value_name = "DEST", value_hint = ValueHint::AnyPath)]
    pub destination: String,
    /// Only say what would be copied
    #[arg(long)]
    pub dry_run: bool,
    /// Leave out what matches, as in `.gitignore`; may be given more than once
    #[arg(long, value_name = "PATTERN")]
    pub ignore: Vec<String>,
    /// Copy also what `.gitignore` and `.loopsyignore` files name
    #[arg(long)]
    pub no_ignore: bool,
}

/// `loopsy key ..`.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Print this node's own key
    Show,
    /// Replace this node's own key; the old one stops at once
    Generate {
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// `loopsy logs`.
#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Logs {
    /// Keep printing what is added, until Ctrl-C
    #[arg(long, short)]
    pub follow: bool,
    /// Print this many lines, or `all`
    #[arg(long, short = 'n', value_name = "LINES", default_value = "50", value_parser = parse_lines)]
    pub lines: usize,
    /// Show what the daemon says about itself instead
    #[arg(long)]
    pub daemon: bool,
    /// Something else to do with the logs.
    #[command(subcommand)]
    pub command: Option<LogsCommand>,
}

/// `loopsy logs ..`.
#[derive(Debug, Subcommand)]
pub(crate) enum LogsCommand {
    /// Check that no line of the audit log was changed or removed
    Verify,
}

/// A generated document.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Document {
    /// docs/CLI.md
    Cli,
    /// docs/API.md
    Api,
    /// docs/KEYS.md
    Keys,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn exec(line: &[&str]) -> Exec {
        match Args::try_parse_from([&["loopsy", "exec"], line].concat()).expect("parses").command {
            Command::Exec(exec) => exec,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_prompt_that_looks_like_an_option_has_another_way() {
        let said = |line: &[&str]| {
            let error = Args::try_parse_from([&["loopsy"], line].concat()).expect_err("no such option");
            explained(error, line.iter().map(OsString::from)).to_string()
        };
        let run = said(&["task", "run", "-x"]);
        assert!(run.contains("echo '-x' | loopsy task run -") && !run.contains("-- -x"), "{run}");
        assert!(!said(&["peers", "-x"]).contains("task run"));
        assert!(Args::try_parse_from(["loopsy", "terminal", "list", "--on", "kai"]).is_ok());
        assert!(Args::try_parse_from(["loopsy", "terminal", "new", "--on", "kai", "-d"]).is_ok());
        assert!(Args::try_parse_from(["loopsy", "terminal", "list", "kai", "--on", "kai"]).is_err(), "one of the two is enough");
    }

    #[test]
    fn the_tree_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_command_keeps_its_own_flags() {
        assert_eq!(exec(&["kai", "ls", "-la"]).command, ["ls", "-la"]);
        assert_eq!(exec(&["kai", "--", "ls", "-la"]).command, ["ls", "-la"]);
        assert_eq!(exec(&["kai", "git", "--help", "--json", "-q", "-t", "x"]).command, ["git", "--help", "--json", "-q", "-t", "x"]);
        assert_eq!(exec(&["kai", "sh", "--", "-c"]).command, ["sh", "--", "-c"]);
        let both = exec(&["kai", "-t", "5s", "--env", "A=b=c", "ls", "-t"]);
        assert_eq!((both.command, both.timeout.map(f64::from)), (vec!["ls".to_owned(), "-t".to_owned()], Some(5000.0)));
        assert_eq!(both.env, [("A".to_owned(), "b=c".to_owned())]);
        assert!(Args::try_parse_from(["loopsy", "exec", "kai", "-x", "ls"]).is_err(), "an unknown option before the command is an error");
    }

    #[test]
    fn global_options_stand_anywhere() {
        for line in [["loopsy", "--json", "status"], ["loopsy", "status", "--json"]] {
            assert!(Args::try_parse_from(line).expect("parses").global.json);
        }
        assert!(Args::try_parse_from(["loopsy", "context", "list", "--data-dir", "/x", "-q"]).expect("parses").global.quiet);
    }
}

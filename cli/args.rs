//! The command line: every command, every option and all help text.

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

use loopsy_shared::{
    api::{context::Ttl, execute::Timeout},
    config::DEFAULT_PORT,
};

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
`exec` ends with the code of the command; 128 plus the signal's number when a signal ended it.

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
    /// List, add and remove other machines
    Peers {
        /// What to do; lists when absent.
        #[command(subcommand)]
        command: Option<Peers>,
    },
    /// Connect another machine by exchanging keys by hand
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

/// `loopsy peers ..`.
#[derive(Debug, Subcommand)]
pub(crate) enum Peers {
    /// List the peers
    List,
    /// Add a peer by its address
    Add {
        /// Host name or IP address; `host:port` and `[v6]:port` work too
        address: String,
        /// Port [default: 19532]
        port: Option<u16>,
    },
    /// Remove a peer and the keys of both directions
    Remove {
        /// Name, node id, or the beginning of a node id
        peer: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// `loopsy connect`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Connect {
    /// Where the other machine is: `ADDRESS`, `ADDRESS:PORT` or `[IPV6]:PORT`; asked for when absent
    pub address: Option<String>,
    /// Record the other machine's requests under this name [default: peer-<address>]
    #[arg(long)]
    pub name: Option<String>,
    /// Read the other machine's key from standard input instead of asking
    #[arg(long)]
    pub key_stdin: bool,
    /// Only make a key for the other machine and print it
    #[arg(long, conflicts_with_all = ["key_stdin", "no_mint"])]
    pub mint_only: bool,
    /// Make no key for the other machine
    #[arg(long)]
    pub no_mint: bool,
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

/// `loopsy context ..`.
#[derive(Debug, Subcommand)]
pub(crate) enum Context {
    /// Store a value under a key
    Set {
        /// The key, up to 256 characters
        key: String,
        /// The value; `-` reads standard input
        #[arg(allow_hyphen_values = true)]
        value: String,
        /// Seconds until the entry expires
        #[arg(long, value_name = "SECONDS", value_parser = parse_ttl)]
        ttl: Option<Ttl>,
        /// Store only if the entry has this version; 0 only if there is none
        #[arg(long, value_name = "N")]
        if_version: Option<u64>,
        #[command(flatten)]
        at: At,
    },
    /// Print a value
    Get {
        /// The key
        key: String,
        #[command(flatten)]
        at: At,
    },
    /// List entries
    List {
        /// Only keys that begin with this
        #[arg(long)]
        prefix: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Delete an entry
    Delete {
        /// The key
        key: String,
        /// Delete only if the entry has this version
        #[arg(long, value_name = "N")]
        if_version: Option<u64>,
        #[command(flatten)]
        at: At,
    },
    /// Print one line for each change, until Ctrl-C
    Watch {
        /// Only keys that begin with this
        #[arg(long)]
        prefix: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Write all entries as JSON
    Export {
        /// The file; standard output when absent
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Store the entries of an export, all or none
    Import {
        /// The file; `-` reads standard input
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Also remove every entry that is not in the file
        #[arg(long)]
        replace: bool,
    },
}

/// Whose context is meant.
#[derive(Debug, ClapArgs)]
pub(crate) struct At {
    /// Ask this peer instead of this machine
    #[arg(long, value_name = "PEER")]
    pub peer: Option<String>,
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
}

/// Reads `250`, `250ms`, `30s`, `5m`, `1.5h`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let value: f64 = number.parse().map_err(|_| format!("`{text}` is not a duration; write `30s`, `5m`, `1h`, or milliseconds"))?;
    let millis = match unit {
        "" | "ms" => value,
        "s" => value * 1000.0,
        "m" | "min" => value * 60_000.0,
        "h" => value * 3_600_000.0,
        _ => return Err(format!("`{unit}` is not a unit of time; use `ms`, `s`, `m` or `h`")),
    };
    Duration::try_from_secs_f64(millis / 1000.0).map_err(|_| format!("`{text}` is too long"))
}

fn parse_timeout(text: &str) -> Result<Timeout, String> {
    Timeout::from_millis(parse_duration(text)?.as_secs_f64() * 1000.0)
}

fn parse_ttl(text: &str) -> Result<Ttl, String> {
    let seconds = text.parse().map_err(|_| format!("ttl must be a positive whole number of seconds, not `{text}`"))?;
    Ttl::from_seconds(seconds)
}

fn parse_env(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

fn parse_lines(text: &str) -> Result<usize, String> {
    if text == "all" { Ok(usize::MAX) } else { text.parse().map_err(|_| "write a number of lines, or `all`".to_owned()) }
}

/// Reads `host`, `host:port`, `v6`, `[v6]` and `[v6]:port`, with a port given apart from it winning over none.
///
/// # Errors
/// A sentence, when it is neither.
pub(crate) fn parse_address(text: &str, port: Option<u16>) -> Result<(String, u16), String> {
    let complaint = |why: &str| format!("`{}` is not an address: {why}.", loopsy_shared::text::inert(text));
    let (host, inner) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(|| complaint("the bracket is not closed"))?;
        match (rest, rest.strip_prefix(':')) {
            ("", _) => (host, None),
            (_, Some(port)) => (host, Some(port)),
            (_, None) => return Err(complaint("a port after brackets begins with `:`")),
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (text, None),
        }
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || "/@?#".contains(c)) {
        return Err(complaint("write a host name or an IP address, with `:port` if needed"));
    }
    let inner = inner.map(|port| port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(|| complaint("the port must be 1 to 65535"))).transpose()?;
    match (inner, port) {
        (Some(a), Some(b)) if a != b => Err(complaint("the port is given twice")),
        _ => Ok((host.to_owned(), inner.or(port).unwrap_or(DEFAULT_PORT))),
    }
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

    #[test]
    fn durations() {
        for (text, ms) in [("250", 250), ("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("1.5h", 5_400_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "s", "-1", "1d", "1.2.3s", "99999999999999999999999999h"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert!(parse_timeout("0").is_err());
        assert!(parse_timeout("1000h").is_err());
    }

    #[test]
    fn addresses() {
        let ok = |text, port| parse_address(text, port).expect(text);
        assert_eq!(ok("192.168.1.5", None), ("192.168.1.5".to_owned(), DEFAULT_PORT));
        assert_eq!(ok("kai.local:1", None), ("kai.local".to_owned(), 1));
        assert_eq!(ok("fe80::1", Some(7)), ("fe80::1".to_owned(), 7));
        assert_eq!(ok("[fe80::1]:9", None), ("fe80::1".to_owned(), 9));
        assert_eq!(ok("[::1]", None), ("::1".to_owned(), DEFAULT_PORT));
        for bad in ["", ":1", "a:0", "a:70000", "a:x", "[::1", "[::1]9", "http://a", "a b"] {
            assert!(parse_address(bad, None).is_err(), "{bad}");
        }
        assert!(parse_address("a:1", Some(2)).is_err());
    }
}

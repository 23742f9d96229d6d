//! `loopsy terminal` as the command line has it.

use clap::{Subcommand, ValueHint};

/// `loopsy terminal ..`.
#[derive(Debug, Subcommand)]
pub(crate) enum Terminal {
    /// Open a terminal and attach to it; Ctrl-] leaves it, and it goes on
    New {
        /// Open it on this peer [default: this machine]
        peer: Option<String>,
        /// The same
        #[arg(long, value_name = "PEER", conflicts_with = "peer")]
        on: Option<String>,
        /// Only print its id
        #[arg(long, short)]
        detach: bool,
        /// Call it this
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Start in this directory there [default: the home directory]
        #[arg(long, short = 'C', value_name = "DIR")]
        cwd: Option<String>,
        /// Set an environment variable there; may be given more than once
        #[arg(long = "env", short, value_name = "NAME=VALUE", value_parser = super::parse::parse_env)]
        env: Vec<(String, String)>,
        /// The program and its arguments [default: the shell there]
        #[arg(last = true, value_name = "COMMAND", value_hint = ValueHint::CommandWithArguments)]
        command: Vec<String>,
    },
    /// List the terminals that are open, or ended within the last hour
    List {
        /// Ask this peer instead of this machine
        peer: Option<String>,
        /// The same
        #[arg(long, value_name = "PEER", conflicts_with = "peer")]
        on: Option<String>,
    },
    /// Attach to a terminal; Ctrl-] leaves it
    Attach {
        /// Its id, or the beginning of it
        id: String,
        /// It is on this peer
        #[arg(long, value_name = "PEER")]
        on: Option<String>,
        /// Only watch
        #[arg(long)]
        read_only: bool,
        /// Give it the size of this window, also when another viewer decides that
        #[arg(long, conflicts_with = "read_only")]
        claim: bool,
    },
    /// Show what is on the screen of a terminal
    Show {
        /// Its id, or the beginning of it
        id: String,
        /// It is on this peer
        #[arg(long, value_name = "PEER")]
        on: Option<String>,
        /// Also show so many lines above the screen
        #[arg(long, value_name = "LINES", default_value_t = 0)]
        scrollback: u32,
    },
    /// End a terminal and everything that runs in it
    Kill {
        /// Its id, or the beginning of it
        id: String,
        /// It is on this peer
        #[arg(long, value_name = "PEER")]
        on: Option<String>,
    },
}

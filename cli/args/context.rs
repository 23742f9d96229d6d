//! `loopsy context` as the command line has it.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueHint};
use loopsy_shared::api::context::Ttl;

use super::parse::parse_ttl;

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

//! `loopsy pair` and `loopsy connect` as the command line has them.

use clap::Args as ClapArgs;
use loopsy_shared::api::Scope;

use super::parse::parse_scope;

/// `loopsy pair`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Pair {
    /// Where the other machine waits: `HOST`, `HOST:PORT` or `[IPV6]:PORT`; when absent, show a code and wait here
    pub address: Option<String>,
    /// What the other machine may do here, separated by commas [default: all but approve and terminal]
    #[arg(long, value_name = "SCOPE", value_delimiter = ',', value_parser = parse_scope)]
    pub scopes: Vec<Scope>,
    /// Cancel the pairing that is under way on this machine
    #[arg(long, conflicts_with_all = ["address", "scopes"])]
    pub cancel: bool,
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

//! `loopsy peers` as the command line has it.

use clap::Subcommand;
use loopsy_shared::api::Scope;

use super::parse::parse_scope;

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
    /// Remove a peer: the keys of both directions, its jobs and its connections end
    Remove {
        /// Name, node id, or the beginning of a node id
        peer: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Let a peer do more here
    ///
    /// The scopes are `status`, `context`, `messages`, `transfer`, `execute`, `ai-tasks`, `approve` and `terminal`. It counts from the next request on.
    Allow {
        /// Name, node id, or the beginning of a node id
        peer: String,
        /// What it may do from now on
        #[arg(required = true, value_name = "SCOPE", value_delimiter = ',', value_parser = parse_scope)]
        scopes: Vec<Scope>,
    },
    /// Let a peer do less here; what it does at the moment with these rights ends
    Deny {
        /// Name, node id, or the beginning of a node id
        peer: String,
        /// What it may not do any more
        #[arg(required = true, value_name = "SCOPE", value_delimiter = ',', value_parser = parse_scope)]
        scopes: Vec<Scope>,
    },
}

//! Finds other nodes on the local network, and lets them find this one (mDNS). What it finds are hints for addresses, never for identity.
//!
//! Anybody on the network can announce anything: what is heard is cut and made inert by [`read`] alone, kept by [`Sightings`] under fixed limits, and proven
//! by nobody here. Interfaces of containers and virtual machines on this machine are left out, in both directions.

mod mdns;
mod read;
mod service;
mod sightings;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use loopsy_shared::{id::NodeId, time::Millis};

pub use self::{
    read::{MOST_ADDRESSES, MOST_CAPABILITIES, MOST_FIELD, TxtEntries, label, read, read_txt},
    service::Discovery,
    sightings::{MOST_NODES, Sightings},
};

/// Something on the network that says it is a node. A hint: only an answer of the node itself says who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Who it says it is.
    pub node_id: NodeId,
    /// The name it goes by, without `.local`; always one that `config::is_name` accepts.
    pub hostname: String,
    /// Where it says it listens, the most likely one first; never empty.
    pub addresses: Vec<IpAddr>,
    /// The port there; never 0.
    pub port: u16,
    /// `linux`, `darwin`, `win32`, or `unknown`.
    pub platform: String,
    /// Product version, or `unknown`.
    pub version: String,
    /// What it says it can do.
    pub capabilities: Vec<String>,
    /// When it was last heard of.
    pub seen_at: Millis,
}

/// What a node announces of itself, beside its name, which the config has.
#[derive(Debug, Clone)]
pub struct Me {
    /// Its id.
    pub node_id: NodeId,
    /// The port it really listens on.
    pub port: u16,
    /// The address it really listens on; only addresses that it answers on are announced.
    pub bound: IpAddr,
}

/// How far discovery reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The local network, on the port of mDNS. A node that listens on loopback only stays silent and deaf: nobody could reach it.
    Lan,
    /// The loopback interface only, on another UDP port: for tests, trials and the demo.
    ///
    /// No packet of mDNS leaves the machine. The kernel still tells its neighbours that the group was joined and left (IGMP, MLD), because the library joins
    /// on every interface as it starts, before it can be told otherwise; `unshare -n` avoids that too.
    Loopback {
        /// UDP port that all nodes of the trial share.
        port: u16,
    },
}

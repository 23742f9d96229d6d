//! The addresses of this machine, as other machines may reach it.

use std::net::{IpAddr, Ipv4Addr};

use if_addrs::{IfAddr, Interface};

/// Addresses told at most.
const MOST: usize = 8;
/// Names of interfaces behind which there are containers and virtual machines on this machine, and nobody else.
const INNER: [&str; 7] = ["docker", "br-", "virbr", "cni", "flannel", "lxc", "podman"];

/// The addresses at which a listener bound to `bound` is reached from elsewhere, likeliest first. Sends nothing.
pub fn own_addresses(bound: IpAddr) -> Vec<IpAddr> {
    if !bound.is_unspecified() {
        return vec![bound];
    }
    let mut found: Vec<IpAddr> = interfaces().filter(|interface| !is_inner(&interface.name)).map(|interface| interface.ip()).collect();
    found.retain(|ip| bound.is_ipv6() || ip.is_ipv4());
    found.sort_by_key(|ip| match ip {
        IpAddr::V4(v4) if v4.is_private() => 0,
        IpAddr::V4(_) => 1,
        IpAddr::V6(_) => 2,
    });
    found.truncate(MOST);
    if found.is_empty() { vec![Ipv4Addr::LOCALHOST.into()] } else { found }
}

/// Whether an address is in a network that this machine is directly in.
pub fn is_neighbour(ip: IpAddr) -> bool {
    interfaces().any(|interface| match (interface.addr, ip) {
        (IfAddr::V4(own), IpAddr::V4(other)) => own.ip.to_bits() & own.netmask.to_bits() == other.to_bits() & own.netmask.to_bits(),
        (IfAddr::V6(own), IpAddr::V6(other)) => own.ip.to_bits() & own.netmask.to_bits() == other.to_bits() & own.netmask.to_bits(),
        _ => false,
    })
}

/// Everything but loopback and what is of use on one link only.
fn interfaces() -> impl Iterator<Item = Interface> {
    let all = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::warn!(%error, "the addresses of this machine cannot be read");
        Vec::new()
    });
    all.into_iter().filter(|interface| !interface.is_loopback() && !interface.is_link_local())
}

fn is_inner(name: &str) -> bool {
    INNER.iter().any(|inner| name.starts_with(inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_address_is_the_only_one_and_there_is_always_one() {
        assert_eq!(own_addresses(Ipv4Addr::LOCALHOST.into()), [IpAddr::from(Ipv4Addr::LOCALHOST)]);
        let all = own_addresses(Ipv4Addr::UNSPECIFIED.into());
        assert!(!all.is_empty() && all.len() <= MOST && all.iter().all(IpAddr::is_ipv4));
    }
}

//! The mDNS responder of the library, held so that it always ends, and kept to the interfaces that are meant.

use std::{net::IpAddr, time::Duration};

use loopsy_shared::{
    VERSION,
    api::health::{CAPABILITIES, platform},
};
use mdns_sd::{DaemonEvent, IfKind, IfPredicate, Receiver, ServiceDaemon, ServiceEvent, ServiceInfo};

use super::{Me, Reach, read::label};

/// What nodes announce themselves as.
const SERVICE: &str = "_loopsy._tcp.local.";
/// How long leaving may take. Others notice a node that left without a word too, only later.
const LEAVE: Duration = Duration::from_millis(400);
/// After the goodbye: the library repeats it after 120 ms, for those who missed it.
const REPEAT: Duration = Duration::from_millis(150);
/// Records in the library's cache, which has no bound of its own. More than that many is a flood, and the cache is begun anew.
const MOST_CACHED: i64 = 10_000;
/// Beginnings of the names of interfaces that lead to containers and virtual machines of this machine and nowhere else.
const VIRTUAL: [&str; 11] = ["docker", "veth", "virbr", "cni", "flannel", "cali", "podman", "lxcbr", "lxdbr", "vmnet", "vboxnet"];

/// A running responder. Dropped without [`Mdns::leave`] it still ends, but others hear no repeated goodbye.
pub(super) struct Mdns {
    daemon: ServiceDaemon,
    instance: String,
    me: Me,
    reach: Reach,
}

impl Mdns {
    /// Starts on the interfaces in reach, silent.
    pub(super) fn start(me: &Me, reach: Reach) -> Result<Self, mdns_sd::Error> {
        let daemon = match reach {
            Reach::Lan => ServiceDaemon::new()?,
            Reach::Loopback { port } => ServiceDaemon::new_with_port(port)?,
        };
        let instance = format!("loopsy-{}", me.node_id.as_str().get(..8).unwrap_or(me.node_id.as_str()));
        let this = Self { daemon, instance, me: me.clone(), reach };
        // Before anything is sent: none, then those that are meant.
        this.daemon.disable_interface(IfKind::All)?;
        match reach {
            Reach::Loopback { .. } => this.daemon.enable_interface(IfKind::LoopbackV4)?,
            Reach::Lan => {
                this.daemon.enable_interface(IfKind::Predicate(IfPredicate::new(|interface| is_of_the_lan(&interface.name, interface.is_loopback()))))?
            }
        }
        Ok(this)
    }

    /// Tells what the responder does: that it announced, and its errors.
    pub(super) fn monitor(&self) -> Result<Receiver<DaemonEvent>, mdns_sd::Error> {
        self.daemon.monitor()
    }

    /// Announces this node under a name; again under another one to change it.
    pub(super) fn announce(&self, hostname: &str) -> Result<(), mdns_sd::Error> {
        let capabilities = CAPABILITIES.join(",");
        // The order and the case of these keys is what nodes of the reference read.
        let txt = [("nodeId", self.me.node_id.as_str()), ("version", VERSION), ("platform", platform()), ("capabilities", &capabilities)];
        let host = format!("{}.local.", label(hostname));
        let mut service = ServiceInfo::new(SERVICE, &self.instance, &host, "", self.me.port, &txt[..])?.enable_addr_auto();
        let bound = self.me.bound;
        service.set_interfaces(vec![IfKind::Predicate(IfPredicate::new(move |interface| answers_on(bound, interface.ip())))]);
        self.daemon.register(service)
    }

    /// Asks for nodes, and hears of them from now on. The last caller is the one who hears.
    pub(super) fn browse(&self) -> Result<Receiver<ServiceEvent>, mdns_sd::Error> {
        self.daemon.browse(SERVICE)
    }

    /// Whether an address that was heard can be a real one: nobody on the network is on this machine's loopback.
    pub(super) fn is_in_reach(&self, address: &IpAddr) -> bool {
        self.reach != Reach::Lan || !address.to_canonical().is_loopback()
    }

    /// Whether the library's cache has grown beyond what a network of people needs.
    pub(super) async fn is_flooded(&self) -> bool {
        let Ok(metrics) = self.daemon.get_metrics() else { return false };
        let Ok(Ok(metrics)) = tokio::time::timeout(LEAVE, metrics.recv_async()).await else { return false };
        metrics.iter().filter(|(name, _)| name.starts_with("cached-")).map(|(_, count)| *count).sum::<i64>() > MOST_CACHED
    }

    /// Says goodbye and ends, within half a second.
    pub(super) async fn leave(self) {
        let goodbye = async {
            if let Ok(told) = self.daemon.unregister(&format!("{}.{SERVICE}", self.instance))
                && told.recv_async().await.is_ok()
            {
                tokio::time::sleep(REPEAT).await;
            }
            // Others hear it from the first goodbye; whether the thread is gone already matters to nobody.
            if let Ok(ended) = self.daemon.shutdown() {
                let _ended = ended.recv_async().await;
            }
        };
        if tokio::time::timeout(LEAVE, goodbye).await.is_err() {
            tracing::debug!("mDNS did not end in time");
        }
    }
}

impl Drop for Mdns {
    /// The library's thread runs until it is told to end, not until its handle goes.
    fn drop(&mut self) {
        if let Err(error) = self.daemon.shutdown()
            && !matches!(error, mdns_sd::Error::DaemonShutdown)
        {
            tracing::warn!(%error, "mDNS goes on in the background");
        }
    }
}

/// Whether others on the local network are behind an interface.
fn is_of_the_lan(name: &str, loopback: bool) -> bool {
    // Only those that Docker names after a network's id: `br-lan` is the local network of many routers.
    let bridge = name.strip_prefix("br-").is_some_and(|id| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    !loopback && !bridge && !VIRTUAL.iter().any(|begin| name.starts_with(begin))
}

/// Whether a listener on `bound` answers on an address of this machine.
fn answers_on(bound: IpAddr, address: IpAddr) -> bool {
    match bound {
        IpAddr::V4(bound) if bound.is_unspecified() => address.is_ipv4(),
        // Both families, as Linux has it by default.
        IpAddr::V6(bound) if bound.is_unspecified() => true,
        bound => bound == address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_not_the_lan() {
        for name in ["eth0", "wlan0", "en0", "enp3s0", "br-lan", "br0", "bond0"] {
            assert!(is_of_the_lan(name, false), "{name}");
        }
        for name in ["docker0", "br-0123456789ab", "veth12ab", "virbr0", "cni0", "flannel.1"] {
            assert!(!is_of_the_lan(name, false), "{name}");
        }
        assert!(!is_of_the_lan("lo", true));
    }

    #[test]
    fn only_addresses_that_answer_are_announced() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(answers_on(ip("0.0.0.0"), ip("10.0.0.1")) && !answers_on(ip("0.0.0.0"), ip("fd00::1")));
        assert!(answers_on(ip("::"), ip("10.0.0.1")) && answers_on(ip("::"), ip("fd00::1")));
        assert!(answers_on(ip("10.0.0.1"), ip("10.0.0.1")) && !answers_on(ip("10.0.0.1"), ip("192.168.0.1")));
    }
}

//! The way to a peer, tried step by step until one fails: what `loopsy doctor --peer` shows, from both ends.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use loopsy_shared::{
    VERSION,
    api::{
        Code, Scope,
        health::{GetIdentity, Health},
        peers::{Diagnosis, PeerInfo, Step, Verdict},
    },
    client::{Client, ClientError, authority},
    id::NodeId,
    text, time,
};
use tokio::net::{TcpStream, lookup_host};

use super::{PATIENCE, Peers, Way, health::Unwell};
use crate::network;

/// Clocks may differ by this much before people are told.
const CLOCKS_APART: Duration = Duration::from_secs(120);

/// The steps so far. A step that fails is the last one.
struct Steps(Vec<Step>);

impl Steps {
    fn add(&mut self, step: &str, verdict: Verdict, message: String, fix: Option<String>) {
        self.0.push(Step { step: step.to_owned(), verdict, message, fix });
    }

    fn ok(&mut self, step: &str, message: String) {
        self.add(step, Verdict::Ok, message, None);
    }

    fn warn(&mut self, step: &str, message: String, fix: impl Into<String>) {
        self.add(step, Verdict::Warning, message, Some(fix.into()));
    }

    fn fail(mut self, step: &str, message: String, fix: impl Into<String>) -> Diagnosis {
        self.add(step, Verdict::Failed, message, Some(fix.into()));
        self.done()
    }

    fn done(self) -> Diagnosis {
        Diagnosis { steps: self.0 }
    }
}

impl Peers {
    /// Tries the way to a peer. Takes some seconds when nobody answers.
    pub async fn diagnose(&self, node_id: &NodeId) -> Diagnosis {
        let mut steps = Steps(Vec::new());
        let Some(info) = self.get(node_id) else {
            return steps.fail("name", format!("There is no peer {}.", text::inert(node_id.as_str())), "loopsy pair");
        };
        let name = info.hostname.clone();
        steps.ok("name", format!("`{name}` is known, at {}.", authority(&info.address, info.port)));

        let places = match self.resolve(&info).await {
            Ok(places) => places,
            Err(cause) => {
                let fix = format!(
                    "Use its IP address: `loopsy peers add` with it, or pair again. Names that end in .local need mDNS on `{name}` and in this network."
                );
                return steps.fail("address", format!("The name `{}` leads nowhere: {cause}.", info.address), fix);
            }
        };
        let list: Vec<String> = places.iter().map(|(_, at)| at.to_string()).collect();
        steps.ok("address", format!("It may be at {}.", list.join(", ")));

        let open = match knock(&places).await {
            Ok(open) => open,
            Err(errors) => {
                let (message, fix) = explain_closed(&name, &errors);
                return steps.fail("port", message, fix);
            }
        };
        steps.ok("port", format!("{} takes connections.", open.1));

        let ways = match self.ways(&info) {
            Ok(ways) => ways,
            Err(error) => return steps.fail("pin", error.to_string(), format!("loopsy peers remove {name}, then loopsy pair on both machines")),
        };
        let (way, health) = match self.greet(&ways, &open.1.ip().to_string(), open.1.port()).await {
            Ok(found) => found,
            Err((_, Unwell::Certificate(mismatch))) => {
                steps.ok("tls", "It speaks TLS 1.3.".to_owned());
                let fix = format!(
                    "If `{name}` was set up anew: `loopsy peers remove {name}`, then pair again. If not, another machine has its address, or somebody stands in between."
                );
                return steps.fail("pin", format!("It is not the machine that was paired: {mismatch}. Nothing was sent."), fix);
            }
            Err((Way::Pinned(_), Unwell::Silent(cause))) => {
                let fix = format!(
                    "Does another program listen there, or an old version? `loopsy status` on `{name}` says which port is right. Without TLS nothing is sent."
                );
                return steps.fail("tls", format!("It takes connections, but does not speak TLS as a node does: {cause}."), fix);
            }
            Err((_, Unwell::Silent(cause))) => {
                return steps.fail(
                    "node",
                    format!("It takes connections, but is no node: {cause}."),
                    format!("`loopsy status` on `{name}` says which port is right."),
                );
            }
        };
        match way {
            Way::Pinned(pin) => {
                steps.ok("tls", "It speaks TLS 1.3.".to_owned());
                steps.ok("pin", format!("Its certificate is the pinned one ({}…).", pin.to_string().get(..16).unwrap_or_default()));
            }
            Way::Encrypted => steps.warn("tls", "Encrypted, but nobody knows with whom: it is not paired.".to_owned(), "loopsy pair"),
            Way::Plain => steps.warn("tls", "Not encrypted: it is not paired.".to_owned(), "loopsy pair"),
        }
        if health.node_id != info.node_id && !info.node_id.as_str().starts_with("manual-") {
            let found = text::inert(health.node_id.as_str()).into_owned();
            return steps.fail("node", format!("Another node answers there: {found}."), format!("loopsy peers remove {name}, then loopsy pair"));
        }
        steps.ok("node", format!("It is `{name}`."));
        clock(&mut steps, &health);
        self.credential(steps, &info, way, &open).await
    }

    /// From the key on: what the peer says when it is asked who it is.
    async fn credential(&self, mut steps: Steps, info: &PeerInfo, way: Way, open: &(String, SocketAddr)) -> Diagnosis {
        let again = format!("loopsy peers remove {}, then loopsy pair on both machines", info.hostname);
        let Some(key) = self.0.credentials.get(&info.node_id) else {
            return steps.fail("key", "This node has no key for it.".to_owned(), "loopsy pair");
        };
        let client = match Client::new(self.transport_for(way), open.1.to_string(), Some(&key)) {
            Ok(client) => client.wary(),
            Err(error) => return steps.fail("key", error.to_string(), again),
        };
        let identity = match tokio::time::timeout(PATIENCE, client.call(GetIdentity {})).await {
            Ok(Ok(identity)) => identity,
            Ok(Err(ClientError::Api(error))) => {
                let said = text::inert(&error.message).into_owned();
                return match error.code {
                    Code::ScopeMissing => steps.fail("scopes", said, format!("On `{}`: loopsy peers allow {} status", info.hostname, self.own_name())),
                    Code::NotEncrypted => steps.fail("key", said, again),
                    _ => steps.fail("key", format!("It does not take this node's key: {said}"), again),
                };
            }
            Ok(Err(error)) => return steps.fail("key", text::inert(&error.to_string()).into_owned(), again),
            Err(_) => return steps.fail("key", format!("No answer within {} s.", PATIENCE.as_secs()), "Is that machine very busy?"),
        };
        steps.ok("key", "It takes this node's key.".to_owned());
        let missing: Vec<&str> = Scope::PEER_DEFAULT.iter().filter(|scope| !identity.scopes.contains(scope)).map(|scope| scope.as_str()).collect();
        let words: Vec<&str> = identity.scopes.iter().map(|scope| scope.as_str()).collect();
        if identity.scopes.is_empty() {
            steps.warn("scopes", "It does not say what this node may do there.".to_owned(), format!("Update Loopsy on `{}`.", info.hostname));
        } else if missing.is_empty() {
            steps.ok("scopes", format!("This node may there: {}.", words.join(", ")));
        } else {
            let message = format!("This node may there: {}. Not: {}.", words.join(", "), missing.join(", "));
            steps.warn("scopes", message, format!("On `{}`: loopsy peers allow {} {}", info.hostname, self.own_name(), missing.join(" ")));
        }
        if identity.version == VERSION {
            steps.ok("version", format!("Both run {VERSION}."));
        } else {
            steps.warn("version", format!("It runs version {}, this node {VERSION}.", text::inert(&identity.version)), "Update the older one.");
        }
        steps.done()
    }

    fn own_name(&self) -> String {
        self.0.config.borrow().hostname()
    }

    async fn resolve(&self, info: &PeerInfo) -> Result<Vec<(String, SocketAddr)>, String> {
        let (mut places, mut last) = (Vec::new(), "no address".to_owned());
        for (address, port) in self.addresses(info) {
            match tokio::time::timeout(PATIENCE, lookup_host((address.as_str(), port))).await {
                Ok(Ok(found)) => places.extend(found.take(4).map(|at| (address.clone(), at))),
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => last = "no answer from the name server".to_owned(),
            }
        }
        if places.is_empty() { Err(last) } else { Ok(places) }
    }
}

/// The first place that takes a connection, or why none does.
async fn knock(places: &[(String, SocketAddr)]) -> Result<(String, SocketAddr), Vec<(SocketAddr, io::Error)>> {
    let mut errors = Vec::new();
    for (name, at) in places {
        let late = || io::Error::new(io::ErrorKind::TimedOut, "no answer");
        match tokio::time::timeout(PATIENCE, TcpStream::connect(at)).await.unwrap_or_else(|_| Err(late())) {
            Ok(_) => return Ok((name.clone(), *at)),
            Err(error) => errors.push((*at, error)),
        }
    }
    Err(errors)
}

fn explain_closed(name: &str, errors: &[(SocketAddr, io::Error)]) -> (String, String) {
    let all: Vec<String> = errors.iter().map(|(at, error)| format!("{at}: {error}")).collect();
    let message = format!("Nobody takes connections there ({}).", all.join("; "));
    let refused = errors.iter().any(|(_, error)| error.kind() == io::ErrorKind::ConnectionRefused);
    let (inner, neighbour) = (errors.iter().any(|(at, _)| is_container(at.ip())), errors.iter().any(|(at, _)| network::is_neighbour(at.ip())));
    let fix = if refused {
        format!(
            "The machine is there, and nothing listens: `loopsy start` on `{name}`. If its daemon runs, `server.host` or `server.port` in its config.yaml may be another."
        )
    } else if inner {
        "This is an address that containers and virtual machines use behind their host (NAT). Publish the port on the host, and use the host's address."
            .to_owned()
    } else if neighbour {
        format!(
            "It is in this machine's own network and does not answer: is `{name}` switched on and awake? A firewall there may drop the port. If both are on the same Wi-Fi, its access point may keep clients apart (AP or client isolation)."
        )
    } else {
        format!("Is `{name}` switched on, and is it in this network? A firewall, a VPN or a NAT may be in between.")
    };
    (message, fix)
}

/// Docker's default networks.
fn is_container(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(v4) if v4.octets()[0] == 172 && (17..=31).contains(&v4.octets()[1])) && !network::is_neighbour(ip)
}

fn clock(steps: &mut Steps, health: &Health) {
    if health.now == 0 {
        return;
    }
    let apart = Duration::from_millis(health.now.abs_diff(time::now()));
    if apart > CLOCKS_APART {
        steps.warn(
            "clock",
            format!("The two clocks are {} s apart.", apart.as_secs()),
            "Set both by NTP: expiry of values and the order of messages depend on it.",
        );
    } else {
        steps.ok("clock", "The two clocks agree.".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_closed_is_explained_by_how_it_is_closed() {
        let at: SocketAddr = "203.0.113.9:19532".parse().expect("an address");
        let because = |kind: io::ErrorKind, at: SocketAddr| explain_closed("kai", &[(at, io::Error::from(kind))]).1;
        assert!(because(io::ErrorKind::ConnectionRefused, at).contains("loopsy start"));
        assert!(because(io::ErrorKind::TimedOut, at).contains("firewall"));
        assert!(because(io::ErrorKind::TimedOut, "172.23.9.9:1".parse().expect("an address")).contains("NAT"));
    }
}

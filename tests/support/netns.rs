//! Two network namespaces with a wire between them: a network that is not loopback, and that nobody else is on.
//!
//! A thread steps into a namespace and does there what it likes: dial, listen, start processes, which stay in it. Making namespaces needs root and `ip`; where
//! they cannot be made a test says so on standard error and ends, and fails instead when `LOOPSY_TEST_NETNS=required`.

use std::{
    fs::File,
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    os::fd::AsFd,
    path::Path,
    process::Command,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Home, Ran, TestDaemon, http::Answer, unique};

/// The port of every node here: it has its network to itself.
pub(crate) const PORT: u16 = 19532;
/// The interface in every namespace. Not a name that containers use, because nodes do not look for others there.
const LINK: &str = "eth0";
/// How the names of namespaces begin. The id of the process that made one follows.
const PREFIX: &str = "loopsytest-";

/// Two hosts that are joined by a wire. Gone with everything in it when dropped.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) leo: Host,
    pub(crate) kai: Host,
}

impl Wire {
    /// Makes the network, or says why there is none.
    pub(crate) fn new(test: &str) -> Option<Self> {
        match Self::make() {
            Ok(wire) => Some(wire),
            Err(why) => {
                skip(test, "LOOPSY_TEST_NETNS", &format!("it needs root and network namespaces, and there are none here: {why}"));
                None
            }
        }
    }

    fn make() -> Result<Self, String> {
        prepare()?;
        let wire = Self { leo: Host::make("leo", Ipv4Addr::new(10, 77, 0, 1))?, kai: Host::make("kai", Ipv4Addr::new(10, 77, 0, 2))? };
        ip(&format!("link add {LINK} netns {} type veth peer name {LINK} netns {}", wire.leo.namespace, wire.kai.namespace))?;
        for host in [&wire.leo, &wire.kai] {
            ip(&format!("-n {} addr add {}/24 dev {LINK}", host.namespace, host.ip))?;
            ip(&format!("-n {} link set lo up", host.namespace))?;
            ip(&format!("-n {} link set {LINK} up", host.namespace))?;
        }
        Ok(wire)
    }
}

/// Says loudly that a test cannot be here, or fails it where the variable says `required`.
pub(crate) fn skip(test: &str, variable: &str, why: &str) {
    assert!(std::env::var_os(variable).is_none_or(|word| word != "required"), "{test}: {why}");
    // Not by a macro: what those write is only shown of tests that fail.
    let banner = format!("\n!!!! SKIPPED: {test}: {why}\n\n");
    std::io::stderr().write_all(banner.as_bytes()).unwrap();
}

/// A namespace, and the address that it has on the wire.
#[derive(Debug)]
pub(crate) struct Host {
    namespace: String,
    pub(crate) ip: Ipv4Addr,
}

impl Host {
    fn make(name: &str, address: Ipv4Addr) -> Result<Self, String> {
        let namespace = format!("{PREFIX}{}-{}-{name}", std::process::id(), unique() & 0xffff);
        ip(&format!("netns add {namespace}"))?;
        Ok(Self { namespace, ip: address })
    }

    /// A host that is joined to nothing: it has loopback, and nobody else is there.
    pub(crate) fn alone() -> Result<Self, String> {
        prepare()?;
        let host = Self::make("alone", Ipv4Addr::LOCALHOST)?;
        ip(&format!("-n {} link set lo up", host.namespace))?;
        Ok(host)
    }

    /// The processes that are on this host, whoever started them.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let listed = Command::new("ip").args(["netns", "pids", &self.namespace]).output().map(|done| done.stdout).unwrap_or_default();
        String::from_utf8_lossy(&listed).lines().filter_map(|line| line.trim().parse().ok()).collect()
    }

    /// Does something on this host, in a thread that is there.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(Path::new("/run/netns").join(&self.namespace)).unwrap();
        let there = || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("to step into a namespace");
            work()
        };
        std::thread::scope(|scope| scope.spawn(there).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Changes the network of this host, as `ip` does.
    pub(crate) fn ip(&self, args: &str) {
        ip(&format!("-n {} {}", self.namespace, args.replace("LINK", LINK))).unwrap();
    }

    /// A node that listens on this host's address. Its config can be changed before it runs.
    pub(crate) fn node(&self, name: &str, change: impl FnOnce(&Home) + Send) -> Node<'_> {
        let home = Home::bare(name);
        home.loopsy(&["init", "--port", &PORT.to_string(), "--host", "0.0.0.0", "--hostname", name, "--no-discovery", "--no-mcp"]).ok();
        change(&home);
        Node { daemon: self.inside(|| TestDaemon::start(home)), host: self }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Err(error) = ip(&format!("netns del {}", self.namespace)) {
            eprintln!("{error}");
        }
    }
}

/// A daemon on a host. What the owner does, it does on that host.
#[derive(Debug)]
pub(crate) struct Node<'w> {
    pub(crate) daemon: TestDaemon,
    pub(crate) host: &'w Host,
}

impl Node<'_> {
    /// Where others reach it.
    pub(crate) fn address(&self) -> SocketAddr {
        (self.host.ip, PORT).into()
    }

    pub(crate) fn at<T: Send>(&self, work: impl FnOnce(&TestDaemon) -> T + Send) -> T {
        self.host.inside(|| work(&self.daemon))
    }

    pub(crate) fn at_mut<T: Send>(&mut self, work: impl FnOnce(&mut TestDaemon) -> T + Send) -> T {
        let daemon = &mut self.daemon;
        self.host.inside(|| work(daemon))
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.at(|daemon| daemon.get(target))
    }

    pub(crate) fn post(&self, target: &str, body: serde_json::Value) -> Answer {
        self.at(|daemon| daemon.post(target, body))
    }

    pub(crate) fn loopsy(&self, args: &[&str]) -> Ran {
        self.at(|daemon| daemon.loopsy(args))
    }

    pub(crate) fn peer(&self, name: &str) -> Option<serde_json::Value> {
        self.at(|daemon| daemon.peer(name))
    }
}

fn ip(args: &str) -> Result<(), String> {
    let done = Command::new("ip").args(args.split(' ')).output().map_err(|e| format!("`ip` cannot be run: {e}"))?;
    if done.status.success() { Ok(()) } else { Err(format!("`ip {args}`: {}", String::from_utf8_lossy(&done.stderr).trim())) }
}

/// Whether namespaces may be made at all.
fn prepare() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("this is not root".to_owned());
    }
    sweep();
    Ok(())
}

/// Deletes what a run that was killed has left.
fn sweep() {
    for entry in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()).and_then(|pid| pid.parse::<u32>().ok());
        if maker.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _another_run_was_quicker = ip(&format!("netns del {name}"));
        }
    }
}

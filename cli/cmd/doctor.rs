//! `loopsy doctor`: everything that can go wrong, looked at in order, each with what to do.

mod chain;
mod machine;
mod report;

use std::time::Duration;

use loopsy_daemon::tls;
use loopsy_shared::{
    VERSION,
    api::{
        health::{GetHealth, GetStatus},
        peers::{Encryption, ListPeers, PeerInfo, PeerStatus},
    },
    client::ClientError,
    text::inert,
};

use self::report::{Grade, Report};
use crate::{
    context::Ctx,
    error::{Error, FAILURE, OK},
    output::{count, span},
};

/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn run(ctx: &Ctx, wanted: Option<&str>) -> Result<u8, Error> {
    let mut report = Report { ctx, findings: Vec::new(), from: None };
    let configured = config(&mut report)?;
    let running = configured && daemon(&mut report).await?;
    if configured {
        certificate(&mut report)?;
    }
    if running {
        peers(&mut report).await?;
    }
    machine::files(&mut report)?;
    machine::service(&mut report)?;
    if let Some(wanted) = wanted
        && running
    {
        chain::walk(&mut report, wanted).await?;
    }
    let failed = report.findings.iter().any(|finding| finding.status == Grade::Fail);
    if ctx.out.json {
        ctx.out.value(&report.findings)?;
    }
    Ok(if failed { FAILURE } else { OK })
}

fn config(report: &mut Report<'_>) -> Result<bool, Error> {
    let local = match report.ctx.local() {
        Ok(local) => local,
        Err(error) => return report.fail("Config", &error).map(|()| false),
    };
    if local.config.auth.api_key.is_none() {
        let missing = Error::failure("There is no `auth.apiKey` in config.yaml.").hint("Make one with `loopsy key generate`.");
        return report.fail("Config", &missing).map(|()| false);
    }
    report.ok("Config", format!("{} is valid.", local.dir.config().display()))?;
    if local.config.auth.agent_key.is_none() {
        report.warn("Config", "There is no `auth.agentKey`: coding agents on this machine have no key of their own.", "loopsy init")?;
    }
    Ok(true)
}

async fn daemon(report: &mut Report<'_>) -> Result<bool, Error> {
    let client = report.ctx.client()?.clone();
    let slow = || ClientError::Unreachable { address: client.address().to_owned(), cause: "no answer within 3 seconds".to_owned() };
    let health = match tokio::time::timeout(PATIENCE, client.call(GetHealth {})).await.unwrap_or_else(|_| Err(slow())) {
        Ok(health) => health,
        Err(error) => return report.fail("Daemon", &error.into()).map(|()| false),
    };
    let expected = report.ctx.local()?.runtime.as_ref().map(|runtime| runtime.node_id.clone());
    if expected.is_some_and(|expected| expected != health.node_id) {
        let other = Error::failure(format!("Another node answers at {}.", client.address()))
            .hint("Stop it with its own `--data-dir`, or choose another `server.port`.");
        return report.fail("Daemon", &other).map(|()| false);
    }
    // Also proves that the key of the config is the one that the daemon knows.
    let status = match client.call(GetStatus {}).await {
        Ok(status) => status,
        Err(error) => return report.fail("Daemon", &error.into()).map(|()| false),
    };
    if health.version != VERSION {
        report.warn("Daemon", format!("The daemon is version {}, this program {VERSION}.", inert(&health.version)), "loopsy restart")?;
    }
    for problem in &status.problems {
        report.warn("Daemon", format!("{}: {}", inert(&problem.part), inert(&problem.message)), "")?;
    }
    if status.problems.is_empty() {
        report.ok("Daemon", format!("{} answers at {}, up for {}.", inert(&status.hostname), client.address(), span(Duration::from_millis(status.uptime))))?;
    }
    Ok(true)
}

/// What this node is known by, and whether others may talk to it in clear.
fn certificate(report: &mut Report<'_>) -> Result<(), Error> {
    let local = report.ctx.local()?;
    if !local.dir.tls().join("cert.pem").exists() && !local.dir.tls().join("key.pem").exists() {
        return report.warn("TLS", "This node has no certificate yet; it makes one when it starts.", "loopsy start");
    }
    // Both files are there, or one is missing: either way nothing is made here.
    let fingerprint = match tls::identity(&local.dir, &local.config.hostname()) {
        Ok(identity) => identity.identity.fingerprint().to_string(),
        Err(error) => {
            let broken = Error::failure(format!("The certificate cannot be used: {error}."));
            return report.fail("TLS", &broken.hint("Restore both files of `tls/` from a backup, or remove both and pair again with every peer."));
        }
    };
    let meaning = if local.config.tls.enabled {
        "`tls.enabled` is true: nobody is served over the network without TLS."
    } else {
        "`tls.enabled` is false: paired peers are encrypted all the same, and peers of `loopsy connect` are not."
    };
    report.ok("TLS", format!("The certificate is there ({}…). {meaning}", fingerprint.get(..16).unwrap_or_default()))
}

/// Whether a node that listens there is reached from this machine only.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

async fn peers(report: &mut Report<'_>) -> Result<(), Error> {
    let peers = match report.ctx.client()?.call(ListPeers {}).await {
        Ok(peers) => peers.peers,
        Err(error) => return report.fail("Peers", &error.into()),
    };
    let (seen, peers): (Vec<PeerInfo>, Vec<PeerInfo>) = peers.into_iter().partition(|peer| peer.candidate);
    let config = &report.ctx.local()?.config;
    if config.discovery.enabled && is_loopback(&config.server.host) {
        report.ok("mDNS", "On, and of no use: this node listens on this machine only (`server.host`), so it neither announces itself nor looks for others.")?;
    } else if config.discovery.enabled {
        let found = match seen.len() as u64 {
            0 => "no other node is seen that is not paired".to_owned(),
            number => format!("{} seen and not paired", count(number, "node is", "nodes are")),
        };
        report.ok("mDNS", format!("On: {found}."))?;
    } else {
        report.ok("mDNS", "Off (`discovery.enabled`): nodes are reached by their addresses only.")?;
    }
    if peers.is_empty() {
        return report.warn("Peers", "There are no peers yet.", "loopsy pair");
    }
    let names = |wanted: &dyn Fn(&PeerInfo) -> bool| {
        peers.iter().filter(|peer| wanted(peer)).map(|peer| format!("`{}`", inert(&peer.hostname))).collect::<Vec<_>>().join(", ")
    };
    let offline = names(&|peer| peer.status == PeerStatus::Offline);
    let refused = names(&|peer| peer.trusted && peer.status != PeerStatus::Offline && peer.last_error.is_some());
    let keyless = names(&|peer| !peer.trusted);
    let clear = names(&|peer| peer.trusted && peer.encryption == Encryption::None);
    let unpinned = names(&|peer| peer.trusted && peer.encryption == Encryption::Unpinned);
    let lists = [
        (&offline, format!("Not reachable: {offline}."), "loopsy doctor --peer NAME"),
        (&keyless, format!("This node has no key for {keyless}."), "loopsy pair"),
        (&refused, format!("Something is wrong with {refused}: `loopsy peers` says what."), "loopsy doctor --peer with its name"),
        (&clear, format!("Not encrypted: {clear}."), "loopsy pair on both machines"),
        (&unpinned, format!("Encrypted, but not pinned, so nobody knows with whom: {unpinned}."), "loopsy pair on both machines"),
    ];
    let mut well = true;
    for (_, message, fix) in lists.into_iter().filter(|(names, ..)| !names.is_empty()) {
        well = false;
        report.warn("Peers", message, fix)?;
    }
    if well {
        report.ok("Peers", format!("{} paired, none offline.", count(peers.len() as u64, "peer is", "peers are")))?;
    }
    Ok(())
}

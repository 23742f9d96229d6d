//! `loopsy doctor`: everything that can go wrong, looked at in order, each with what to do.

use std::{os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use loopsy_shared::{
    VERSION,
    api::{
        Code,
        health::{GetHealth, GetIdentity, GetStatus},
        peers::{ListPeers, PeerInfo, PeerStatus},
    },
    client::{ClientError, authority},
    paths::home,
    text::inert,
    time,
};
use serde::Serialize;

use super::peer;
use crate::{
    context::Ctx,
    error::{Error, FAILURE, OK, explain},
    output::{BAD, FAINT, GOOD, STRONG, WARN, count, paint, span},
};

/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Grade {
    Ok,
    Warn,
    Fail,
}

#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    status: Grade,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

/// The findings so far; each is printed when it is made.
struct Report<'a> {
    ctx: &'a Ctx,
    findings: Vec<Finding>,
}

impl Report<'_> {
    fn add(&mut self, check: &'static str, status: Grade, message: impl Into<String>, fix: Option<String>) -> Result<(), Error> {
        let finding = Finding { check, status, message: message.into(), fix };
        if !self.ctx.out.json {
            let mark = match finding.status {
                Grade::Ok => paint(GOOD, "[OK  ]"),
                Grade::Warn => paint(WARN, "[WARN]"),
                Grade::Fail => paint(BAD, "[FAIL]"),
            };
            if !(self.ctx.out.quiet && status == Grade::Ok) {
                self.ctx.out.line(format_args!("{mark} {} {}", paint(STRONG, format!("{check:<9}")), finding.message))?;
                if let Some(fix) = &finding.fix {
                    self.ctx.out.line(paint(FAINT, format!("                 → {fix}")))?;
                }
            }
        }
        self.findings.push(finding);
        Ok(())
    }

    fn ok(&mut self, check: &'static str, message: impl Into<String>) -> Result<(), Error> {
        self.add(check, Grade::Ok, message, None)
    }

    fn warn(&mut self, check: &'static str, message: impl Into<String>, fix: &str) -> Result<(), Error> {
        self.add(check, Grade::Warn, message, (!fix.is_empty()).then(|| fix.to_owned()))
    }

    /// A failure as any other command would tell it.
    fn fail(&mut self, check: &'static str, error: &Error) -> Result<(), Error> {
        let said = explain(error);
        self.add(check, Grade::Fail, said.message, said.hint)
    }
}

pub(super) async fn run(ctx: &Ctx, wanted: Option<&str>) -> Result<u8, Error> {
    let mut report = Report { ctx, findings: Vec::new() };
    let configured = config(&mut report)?;
    let running = configured && daemon(&mut report).await?;
    if configured {
        tls(&mut report)?;
    }
    if running {
        peers(&mut report).await?;
    }
    files(&mut report)?;
    service(&mut report)?;
    if let Some(wanted) = wanted
        && running
    {
        chain(&mut report, wanted).await?;
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
    report.ok("Config", format!("{} is valid.", local.dir.config().display())).map(|()| true)
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

fn tls(report: &mut Report<'_>) -> Result<(), Error> {
    let wanted = report.ctx.local()?.config.tls.enabled;
    let message = if wanted {
        "`tls.enabled` is set, but this version does not encrypt connections between machines yet."
    } else {
        "Connections between machines are not encrypted in this version."
    };
    report.warn("TLS", message, "use them in a network that you trust, or through a VPN")
}

async fn peers(report: &mut Report<'_>) -> Result<(), Error> {
    let peers = match report.ctx.client()?.call(ListPeers {}).await {
        Ok(peers) => peers.peers,
        Err(error) => return report.fail("Peers", &error.into()),
    };
    if peers.is_empty() {
        return report.warn("Peers", "There are no peers yet.", "loopsy connect");
    }
    let names = |wanted: &dyn Fn(&PeerInfo) -> bool| {
        peers.iter().filter(|peer| wanted(peer)).map(|peer| format!("`{}`", inert(&peer.hostname))).collect::<Vec<_>>().join(", ")
    };
    let offline = names(&|peer| peer.status == PeerStatus::Offline);
    let keyless = names(&|peer| !peer.trusted);
    if !offline.is_empty() {
        report.warn("Peers", format!("Not reachable: {offline}."), "loopsy doctor --peer NAME")?;
    }
    if !keyless.is_empty() {
        report.warn("Peers", format!("This node has no key for {keyless}."), "loopsy connect")?;
    }
    if offline.is_empty() && keyless.is_empty() {
        report.ok("Peers", format!("{} with a key, none offline.", count(peers.len() as u64, "peer", "peers")))?;
    }
    Ok(())
}

/// Nobody else may read the key, the store or the logs.
fn files(report: &mut Report<'_>) -> Result<(), Error> {
    let dir = report.ctx.dir.clone();
    if !dir.path().exists() {
        return Ok(());
    }
    let secret = [dir.path().to_owned(), dir.config(), dir.credentials(), dir.node_json(), dir.store(), dir.logs(), dir.audit(), dir.log(), dir.tls()];
    let open = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0);
    let open: Vec<String> = secret.iter().filter(|path| open(path)).map(|path| path.display().to_string()).collect();
    if open.is_empty() {
        report.ok("Files", format!("Only you can read {}.", dir.path().display()))
    } else {
        report.fail("Files", &Error::failure(format!("Others can read {}.", open.join(", "))).hint("`loopsy init` mends the modes and changes nothing else."))
    }
}

fn service(report: &mut Report<'_>) -> Result<(), Error> {
    let Ok(home) = home() else { return Ok(()) };
    let place = if cfg!(target_os = "macos") { "Library/LaunchAgents/com.loopsy.daemon.plist" } else { ".config/systemd/user/loopsy.service" };
    let path = home.join(place);
    if path.exists() {
        report.ok("Service", format!("{} starts the daemon when you log in.", path.display()))
    } else {
        report.warn("Service", "The daemon is not started when you log in.", "run `loopsy start` after each login")
    }
}

/// From the name to a key that works, one step after the other; the first that fails is the answer.
async fn chain(report: &mut Report<'_>, wanted: &str) -> Result<(), Error> {
    let client = report.ctx.client()?.clone();
    let known = client.call(ListPeers {}).await?.peers;
    let peer = match peer::find(&known, wanted) {
        Ok(peer) => peer,
        Err(error) => return report.fail("Known", &error),
    };
    let name = inert(&peer.hostname).into_owned();
    let address = inert(&authority(&peer.address, peer.port)).into_owned();
    let seen = match peer.last_seen {
        0 => "it never answered".to_owned(),
        at => format!("it last answered {} ago", span(Duration::from_millis(time::now().saturating_sub(at)))),
    };
    report.ok("Known", format!("`{name}` is at {address}; {seen}."))?;
    let door = client.at(peer.node_id.as_str());
    let answer = door.call(GetIdentity {}).await;
    match &answer {
        Err(error) => match error.api().map(|error| error.code) {
            Some(Code::PeerUnreachable) => {
                return report.fail(
                    "Address",
                    &said(error, "Is it switched on, in this network, and does `loopsy status` there say that it is up? Is a firewall in between?"),
                );
            }
            Some(Code::PeerChanged) => {
                report.ok("Address", format!("Somebody answers at {address}."))?;
                return report.fail("Identity", &said(error, &format!("If the machine was set up anew: `loopsy peers remove {name}`, then `loopsy connect`.")));
            }
            Some(Code::PeerNoKey) => return report.fail("Key", &said(error, "Exchange keys with `loopsy connect`.")),
            Some(Code::MissingKey | Code::InvalidKey | Code::ScopeMissing) => {
                report.ok("Address", format!("Somebody answers at {address}."))?;
                return report.fail("Key", &said(error, "It has forgotten this node's key. Exchange keys again with `loopsy connect`."));
            }
            _ => return report.fail("Address", &said(error, "")),
        },
        Ok(identity) => {
            report.ok("Address", format!("{address} answers."))?;
            if identity.node_id == peer.node_id || peer.node_id.as_str().starts_with("manual-") {
                report.ok("Identity", format!("It is `{name}` (node {}).", inert(identity.node_id.as_str())))?;
            } else {
                report.fail("Identity", &Error::failure(format!("Another node answers there: {}.", inert(identity.node_id.as_str()))))?;
            }
            report.ok("Key", "It accepts this node's key.")?;
            if identity.version != VERSION {
                report.warn("Version", format!("`{name}` runs version {}, this machine {VERSION}.", inert(&identity.version)), "update the older one")?;
            }
        }
    }
    Ok(())
}

/// The node's own sentence, with advice that fits the step.
fn said(error: &ClientError, advice: &str) -> Error {
    let text = inert(&error.to_string()).into_owned();
    if advice.is_empty() { Error::failure(text) } else { Error::failure(text).hint(advice) }
}

//! `loopsy start`, `stop`, `restart`, `status`, `reload` and `daemon run`: the daemon as a process.

mod lock;
mod start;
mod stop;

use std::{os::unix::fs::OpenOptionsExt, time::Duration};

use loopsy_daemon::run::{self, Options};
use loopsy_shared::{
    api::{ai_tasks::AgentInfo, health::GetStatus, node::Reload, peers::ListPeers},
    text::inert,
};
use serde::Serialize;

use super::{DONE, peer::unencrypted};
use crate::{
    context::Ctx,
    error::{Error, OK},
    output::{BAD, FAINT, GOOD, STRONG, WARN, count, paint, span},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Running {
    running: bool,
    changed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
}

pub(super) fn run(ctx: &Ctx, port: Option<u16>, host: Option<String>, detached: bool) -> Result<u8, Error> {
    if detached {
        // Leaves the terminal's session. It fails only for a process that leads its group already, which is just as well.
        let _session = rustix::process::setsid();
    }
    run::run(&ctx.dir, &Options { foreground: !detached, port, host })?;
    DONE
}

pub(super) async fn start(ctx: &Ctx) -> Result<u8, Error> {
    let (runtime, fresh) = start::start(ctx).await?;
    let address = loopsy_shared::client::authority(&runtime.host, runtime.port);
    let report = Running { running: true, changed: fresh, pid: Some(runtime.pid), address: Some(address) };
    ctx.out.show(&report, |report| {
        let address = report.address.as_deref().unwrap_or_default();
        let how = if fresh { "Loopsy runs" } else { "Loopsy runs already" };
        ctx.out.say(format_args!("{} {how} at {} (process {}).", paint(GOOD, "●"), inert(address), runtime.pid))
    })?;
    DONE
}

pub(super) async fn stop(ctx: &Ctx) -> Result<u8, Error> {
    let stopped = stop::stop(ctx).await?;
    let report = Running { running: false, changed: stopped.is_some(), pid: stopped.as_ref().map(|stopped| stopped.pid), address: None };
    ctx.out.show(&report, |_| match &stopped {
        None => ctx.out.say("Loopsy is not running."),
        Some(stopped) if stopped.killed => ctx.out.say(format_args!(
            "{} Loopsy (process {}) did not stop within {} and was ended by force.",
            paint(WARN, "○"),
            stopped.pid,
            span(stop::PATIENCE)
        )),
        Some(stopped) => ctx.out.say(format_args!("{} Loopsy (process {}) stopped.", paint(FAINT, "○"), stopped.pid)),
    })?;
    DONE
}

pub(super) async fn restart(ctx: &Ctx) -> Result<u8, Error> {
    ctx.local()?;
    stop::stop(ctx).await?;
    // The runtime file that the context may have read is of the daemon that is gone.
    start(ctx).await
}

pub(super) async fn status(ctx: &Ctx) -> Result<u8, Error> {
    let client = ctx.client()?;
    let status = client.call(GetStatus {}).await?;
    // Only people are told more than the status has.
    let peers = if ctx.out.json || status.peers.total == 0 { Vec::new() } else { client.call(ListPeers {}).await.map(|reply| reply.peers).unwrap_or_default() };
    ctx.out.show(&status, |status| {
        let out = ctx.out;
        let mark = if status.problems.is_empty() { GOOD } else { WARN };
        out.line(format_args!(
            "{} {} has been up for {}",
            paint(mark, "●"),
            paint(STRONG, inert(&status.hostname)),
            span(Duration::from_millis(status.uptime))
        ))?;
        let row = |name: &str, text: String| out.line(format_args!("  {}{text}", paint(FAINT, format!("{name:<10}"))));
        row("node", inert(status.node_id.as_str()).into_owned())?;
        row("address", ctx.client()?.address().to_owned())?;
        row("version", format!("{} ({})", inert(&status.version), inert(&status.platform)))?;
        let mut counts = format!("{} online", status.peers.online);
        for (number, word) in [(status.peers.offline, "offline"), (status.peers.unknown, "not known yet"), (status.peers.candidates, "seen and not paired")] {
            if number > 0 {
                counts.push_str(&format!(", {number} {word}"));
            }
        }
        row("peers", counts)?;
        if let Some(remark) = unencrypted(&peers) {
            row("", paint(WARN, format!("{remark} `loopsy pair` is the better way.")))?;
        }
        row("jobs", format!("{} running, {} since the start", status.jobs.active, status.jobs.total))?;
        row("tasks", format!("{} running, {} waiting", status.tasks.running, status.tasks.queued))?;
        row("approvals", asks(status.approvals))?;
        row("agents", agents(&status.agents))?;
        row("context", count(status.context.entries as u64, "entry", "entries"))?;
        for problem in &status.problems {
            out.line(format_args!("  {} {}: {}", paint(BAD, "!"), inert(&problem.part), inert(&problem.message)))?;
        }
        Ok(())
    })?;
    Ok(OK)
}

/// How many questions of agents wait, and where they are answered.
fn asks(number: usize) -> String {
    match number {
        0 => "none wait".to_owned(),
        1 => paint(WARN, "1 waits: loopsy approvals"),
        more => paint(WARN, format!("{more} wait: loopsy approvals")),
    }
}

/// `claude 2.1.0 (tested 2.1.329), codex 0.50.0`.
fn agents(agents: &[AgentInfo]) -> String {
    let one = |agent: &AgentInfo| {
        let version = agent.version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
        let tested = agent.tested.as_deref().filter(|tested| agent.version.as_deref() != Some(*tested)).map(|tested| format!(" (tested {tested})"));
        inert(&format!("{}{version}{}", agent.name, tested.unwrap_or_default())).into_owned()
    };
    // Those that are known and not installed have no path.
    let all: Vec<String> = agents.iter().filter(|agent| agent.path.is_some()).map(one).collect();
    if all.is_empty() { "none installed".to_owned() } else { all.join(", ") }
}

pub(super) async fn reload(ctx: &Ctx) -> Result<u8, Error> {
    let reloaded = ctx.client()?.call(Reload {}).await?;
    ctx.out.show(&reloaded, |reloaded| {
        ctx.out.say(format_args!("{} The daemon read its config again.", paint(GOOD, "✓")))?;
        if !reloaded.needs_restart.is_empty() {
            let keys: Vec<String> = reloaded.needs_restart.iter().map(|key| format!("`{}`", inert(key))).collect();
            ctx.out.say(format_args!("  {} needs a restart to take effect: `loopsy restart`.", keys.join(", ")))?;
        }
        Ok(())
    })?;
    DONE
}

/// The daemon's log, for appending; nobody else may read it.
fn open_log(ctx: &Ctx) -> Result<std::fs::File, Error> {
    let path = ctx.dir.log();
    let failed = |e: std::io::Error| Error::file(&path, &e);
    std::fs::create_dir_all(ctx.dir.logs()).map_err(failed)?;
    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_told_with_their_versions_and_only_those_that_are_there() {
        let one = |name: &str, path: Option<&str>, version: Option<&str>, tested: Option<&str>| -> AgentInfo {
            serde_json::from_value(serde_json::json!({ "name": name, "driver": "acp", "path": path, "version": version, "tested": tested })).expect("an agent")
        };
        assert_eq!(agents(&[one("gemini", None, None, Some("1"))]), "none installed");
        let all = [
            one("claude", Some("/c"), Some("2.1.0"), Some("2.1.329")),
            one("codex", Some("/x"), Some("0.5"), Some("0.5")),
            one("mine\u{1b}", Some("/m"), None, None),
        ];
        assert_eq!(agents(&all), "claude 2.1.0 (tested 2.1.329), codex 0.5, mine\\u{1b}");
        let asks = |number| anstream::adapter::strip_str(&asks(number)).to_string();
        assert_eq!((asks(0), asks(1), asks(2)), ("none wait".to_owned(), "1 waits: loopsy approvals".to_owned(), "2 wait: loopsy approvals".to_owned()));
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let report = Running { running: false, changed: false, pid: None, address: None };
        assert_eq!(serde_json::to_string(&report).expect("json"), r#"{"running":false,"changed":false}"#);
    }
}

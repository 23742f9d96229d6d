//! What is known of a node, as labelled lines: in a pane, or in a box to read.

use loopsy_shared::{
    api::{
        execute::JobInfo,
        peers::{Encryption, PeerInfo},
    },
    client::authority,
    id::NodeId,
    text::bytes,
    time::Millis,
};
use ratatui::layout::Rect;

use super::text::{clock, fit, put, wrap};
use crate::{
    app::Canvas,
    look::Role,
    world::{
        World,
        standing::{Standing, Trouble, fingerprints},
    },
};

/// Columns of the labels.
const LABEL: u16 = 10;
/// Characters of a fingerprint that people compare at a glance.
const SHORT: usize = 16;
/// Jobs of this machine that are named, the newest first.
const JOBS: usize = 8;
/// Columns of a job's command.
const COMMAND: usize = 40;

/// One line; long ones are broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// What it is about; nothing for a sentence of its own.
    pub(crate) label: &'static str,
    /// What it says, not inert yet.
    pub(crate) text: String,
    /// How.
    pub(crate) role: Role,
}

impl Line {
    /// A plain one.
    pub(crate) fn new(label: &'static str, text: impl Into<String>) -> Self {
        Self { label, text: text.into(), role: Role::Text }
    }

    /// One in a role.
    pub(crate) fn styled(label: &'static str, text: impl Into<String>, role: Role) -> Self {
        Self { label, text: text.into(), role }
    }
}

/// Draws as many as fit; how many rows they took.
pub(crate) fn draw(lines: &[Line], area: Rect, canvas: &mut Canvas<'_>) -> u16 {
    let mut row = 0;
    for line in lines {
        let indent = if line.label.is_empty() { 1 } else { LABEL + 1 };
        put(canvas.buf, area, 1, row, line.label, canvas.look.style(Role::Faint));
        for text in wrap(&line.text, usize::from(area.width.saturating_sub(indent + 1))) {
            if row >= area.height {
                return row;
            }
            put(canvas.buf, area, indent, row, &text, canvas.look.style(line.role));
            row += 1;
        }
    }
    row
}

/// For a box to read.
pub(crate) fn for_box(lines: Vec<Line>) -> Vec<(Role, String)> {
    let label = usize::from(LABEL);
    lines.into_iter().map(|line| (line.role, if line.label.is_empty() { line.text } else { format!("{:label$}{}", line.label, line.text) })).collect()
}

/// A node, whichever it is.
pub(crate) fn lines(world: &World, node: Option<&NodeId>, since: Option<Millis>, now: Millis) -> Vec<Line> {
    match node {
        None => local(world, since, now),
        Some(id) => world.peers.get(id).map(|peer| of_peer(world, peer, now)).unwrap_or_default(),
    }
}

fn local(world: &World, since: Option<Millis>, now: Millis) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(id) = &world.node_id {
        lines.push(Line::new("node id", id.as_str()));
    }
    if let Some(status) = &world.status {
        lines.push(Line::new("platform", status.platform.as_str()));
        lines.push(Line::new("version", status.version.as_str()));
        lines.push(Line::new("listens", world.address.as_str()));
        lines.extend(since.map(|at| Line::new("up since", clock(at, now))));
        let agents: Vec<&str> = status.agents.iter().filter(|agent| agent.path.is_some()).map(|agent| agent.name.as_str()).collect();
        lines.push(if agents.is_empty() { Line::styled("agents", "none found on PATH", Role::Faint) } else { Line::new("agents", agents.join(", ")) });
    }
    lines.push(tasks(world, None));
    let mut running: Vec<_> = world.jobs.values().filter(|job| job.running).collect();
    running.sort_by(|a, b| b.started_at.cmp(&a.started_at).then_with(|| a.job_id.cmp(&b.job_id)));
    lines.push(Line::new("jobs", format!("{} running", running.len())));
    lines.extend(running.iter().take(JOBS).map(|job| Line::new("", format!("{}  since {}", fit(&command_of(job), COMMAND), clock(job.started_at, now)))));
    let size: usize = world.context.values().map(|entry| entry.value.len()).sum();
    lines.push(Line::new("context", format!("{} keys, {}", world.context.len(), bytes(size as u64))));
    for problem in world.status.iter().flat_map(|status| &status.problems) {
        lines.push(Line::styled("problem", format!("{}: {} (since {})", problem.part, problem.message, clock(problem.since, now)), Role::Bad));
    }
    lines
}

/// As it was given.
fn command_of(job: &JobInfo) -> String {
    std::iter::once(&job.command).chain(&job.args).map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// All that is known of a peer, what a person should act on first.
pub(crate) fn of_peer(world: &World, peer: &PeerInfo, now: Millis) -> Vec<Line> {
    let standing = Standing::of(peer);
    let mut lines = vec![Line::styled("state", state(peer, now), standing.role())];
    if let Standing::Decide(trouble) = standing {
        let why = peer.last_error.as_deref().unwrap_or_default();
        match (trouble, fingerprints(why)) {
            (Trouble::Certificate, Some((pinned, shown))) => {
                lines.push(Line::new("pinned", short(pinned)));
                lines.push(Line::styled("shown now", short(shown), Role::Bad));
            }
            _ if !why.is_empty() => lines.push(Line::new("why", why)),
            _ => {}
        }
        lines.push(Line::styled("", trouble.advice(&peer.hostname), Role::Strong));
    } else if let Some(why) = &peer.last_error {
        lines.push(Line::new("why", why.as_str()));
        lines.push(Line::styled("", "It is tried again by itself. r tries now, c tries the way to it step by step.", Role::Faint));
    }
    if standing == Standing::Seen {
        lines.push(Line::styled("", "It announces itself on this network. Nothing else is known of it. P pairs with it.", Role::Faint));
    }
    lines.push(Line::new("address", authority(&peer.address, peer.port)));
    if peer.addresses.len() > 1 {
        lines.push(Line::new("also at", peer.addresses.join(", ")));
    }
    lines.push(Line::new("last seen", if peer.last_seen == 0 { "never".to_owned() } else { clock(peer.last_seen, now) }));
    if standing != Standing::Seen {
        lines.push(match peer.encryption {
            Encryption::Pinned => Line::new("travels", "TLS 1.3, certificate pinned"),
            Encryption::Unpinned => Line::styled("travels", "TLS 1.3, not pinned: safe from listeners, not from impostors", Role::Warn),
            Encryption::None => Line::styled("travels", "not encrypted: anybody on the way can read and change everything", Role::Bad),
        });
        lines.push(Line::new("may here", list(peer.scopes.iter().map(|scope| scope.as_str()))));
        lines.push(tasks(world, Some(&peer.node_id)));
    }
    lines.push(Line::new("offers", list(peer.capabilities.iter().map(String::as_str))));
    lines.push(Line::new("system", format!("{}, version {}", peer.platform, peer.version)));
    lines.push(Line::new("node id", peer.node_id.as_str()));
    lines
}

/// How it stands, with since when and how often it was tried.
pub(crate) fn state(peer: &PeerInfo, now: Millis) -> String {
    let standing = Standing::of(peer);
    let since = peer.offline_since.map(|at| format!(" since {}", clock(at, now))).unwrap_or_default();
    match standing {
        Standing::Decide(Trouble::Certificate) => format!("certificate changed{since}: nothing is sent"),
        Standing::Trying if peer.failure_count > 0 => format!("no answer, tried {}{since}", times(peer.failure_count)),
        Standing::Trying => "was not asked yet".to_owned(),
        Standing::Away if peer.failure_count > 0 => format!("offline{since}, tried {}", times(peer.failure_count)),
        _ => format!("{}{since}", standing.words()),
    }
}

fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

fn tasks(world: &World, node: Option<&NodeId>) -> Line {
    let known = node.is_none_or(|node| world.pictures.contains_key(node));
    if !known {
        return Line::styled("tasks", "not known", Role::Faint);
    }
    let (running, all) = (world.running_on(node), world.tasks_of(node).count());
    let stale = node.and_then(|node| world.pictures.get(node)).is_some_and(|picture| picture.stale);
    Line::styled("tasks", format!("{running} running of {all}{}", if stale { ", as seen last" } else { "" }), if stale { Role::Stale } else { Role::Text })
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

/// The beginning of a fingerprint, in pairs as they are compared.
fn short(fingerprint: &str) -> String {
    let chars: Vec<char> = fingerprint.chars().filter(|c| *c != ':').take(SHORT).collect();
    let pairs: Vec<String> = chars.chunks(2).map(|pair| pair.iter().collect()).collect();
    format!("{}..", pairs.join(":"))
}

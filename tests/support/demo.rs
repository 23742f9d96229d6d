//! A fleet to look at: seven machines, agents at work on three of them, two questions that wait. The same on every day: the moment of the picture is one minute past
//! two in the afternoon, whatever the clock says.

use serde_json::{Value, json};

use super::fleet::{NODE, World};

/// What the clock shows when the picture begins, in milliseconds since midnight.
const SHOWN: u64 = (14 * 60 + 1) * 60_000;
pub(crate) const DAY: u64 = 24 * 3600 * 1000;

pub(crate) const BASH: &str = "7f3a0012-0000-4000-8000-00000000a001";
pub(crate) const EDIT: &str = "91bc0004-0000-4000-8000-00000000a002";
pub(crate) const HASH: &str = "b61ec0de00000000000000000000000000000000000000000000000000000009";
pub(crate) const TASK: &str = "7f3a01c2-0000-4000-8000-000000000001";
const MAC_TASK: &str = "91bc77d0-0000-4000-8000-000000000002";
pub(crate) const MAC: &str = "c1d20000-0000-4000-8000-000000000003";
pub(crate) const WORKER: &str = "a0010000-0000-4000-8000-000000000004";
const TERMINAL: &str = "5e110000-0000-4000-8000-000000000005";

/// A moment that is shown as one minute past two: the true one, and the time zone in which it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    now: u64,
}

impl Moment {
    pub(crate) fn now() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Self { now: now.as_secs() * 1000 }
    }

    /// For `TZ`.
    pub(crate) fn zone(self) -> String {
        let ahead = i64::try_from(SHOWN).unwrap() - i64::try_from(self.now % DAY).unwrap();
        let (sign, seconds) = if ahead >= 0 { ('-', ahead / 1000) } else { ('+', -ahead / 1000) };
        format!("<DEMO>{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }

    /// A time of that day, by hour, minute and second.
    pub(crate) fn at(self, hour: u64, minute: u64, second: u64) -> u64 {
        self.now + ((hour * 60 + minute) * 60 + second) * 1000 - SHOWN
    }
}

fn peer(moment: Moment, id: &str, name: &str, address: &str, status: &str, more: Value) -> Value {
    let mut peer = json!({
        "nodeId": id, "hostname": name, "address": address, "port": 19532, "platform": "linux", "version": "0.1.0",
        "capabilities": ["execute", "transfer", "context", "ai-tasks", "terminal"], "status": status, "lastSeen": moment.at(14, 0, 55), "failureCount": 0,
        "trusted": true, "manuallyAdded": false, "paired": true, "candidate": false, "encryption": "pinned",
        "scopes": ["status", "context", "messages", "transfer", "execute", "ai-tasks", "approve", "terminal"],
    });
    peer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    peer
}

fn task(moment: Moment, id: &str, prompt: &str, status: &str, more: Value) -> Value {
    let mut task = json!({
        "taskId": id, "prompt": prompt, "status": status, "startedAt": moment.at(13, 56, 12), "updatedAt": moment.at(14, 0, 52), "fromNodeId": "owner",
        "agent": "claude", "agentVersion": "2.1.126", "cwd": "/home/leo/loopsy", "turns": 3, "costUsd": 0.0421, "resumable": true, "lastEvent": 7,
        "usage": { "inputTokens": 18_204, "outputTokens": 2_311, "cachedTokens": 12_800 },
    });
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    task
}

/// A question about a command, on this node.
pub(crate) fn question(id: &str, command: &str, asked: u64, expires: u64) -> Value {
    json!({
        "id": id, "nodeId": NODE, "node": "leo", "taskId": TASK, "agent": "claude", "kind": "tool", "tool": "Bash", "input": { "command": command },
        "sha256": HASH, "cwd": "/home/leo/loopsy", "flags": ["deletes files"], "mayEdit": true, "suggestions": [{ "label": "Bash(rm:*)", "rule": { "toolName": "Bash", "ruleContent": "rm:*" } }],
        "rules": [{ "do": "allow", "agent": "claude", "tool": "Bash", "command": command }], "paths": [],
        "askedAt": asked, "expiresAt": expires, "state": "pending",
    })
}

const DIFF: &str = "--- a/src/lib.rs\n+++ b/src/lib.rs\n@@ -38,8 +38,11 @@\n     cfg: Config,\n }\n \n impl Limits {\n     pub fn limit(&self) -> usize {\n\
    -        self.cfg.max_concurrent\n+        match std::env::var(\"LOOPSY_MAX\") {\n+            Ok(v) => v.parse().unwrap_or(self.cfg.max_concurrent),\n\
    +            Err(_) => self.cfg.max_concurrent,\n+        }\n     }\n }\n";

/// An edit that an agent on another machine wants to do.
pub(crate) fn edit(moment: Moment) -> Value {
    json!({
        "id": EDIT, "nodeId": MAC, "node": "studio-mac", "taskId": MAC_TASK, "agent": "claude", "kind": "tool", "tool": "Edit",
        "input": { "file_path": "/Users/leo/loopsy/src/lib.rs", "old_string": "self.cfg.max_concurrent", "new_string": "match std::env::var(..)" },
        "sha256": "0c77e200000000000000000000000000000000000000000000000000000000e2", "cwd": "/Users/leo/loopsy", "flags": [], "mayEdit": false,
        "paths": [{ "path": "src/lib.rs", "resolved": "/Users/leo/loopsy/src/lib.rs", "exists": true, "inside": true }], "diff": DIFF,
        "suggestions": [], "rules": [{ "do": "allow", "agent": "claude", "tool": "Edit", "path": "/Users/leo/loopsy/**" }],
        "askedAt": moment.at(14, 0, 12), "expiresAt": moment.at(14, 10, 12), "state": "pending",
    })
}

fn entry(moment: Moment, key: &str, value: &str, from: &str, minute: u64, ttl: Option<u64>) -> Value {
    let at = moment.at(13, minute, 3);
    let mut entry = json!({ "key": key, "value": value, "fromNodeId": from, "createdAt": at, "updatedAt": at, "version": 3 });
    if let Some(ttl) = ttl {
        entry["ttl"] = json!(ttl);
        entry["expiresAt"] = json!(moment.at(14, 13, 0));
    }
    entry
}

fn said(moment: Moment, seq: u64, kind: &str, data: Value) -> Value {
    let mut event = json!({ "seq": seq, "type": kind, "taskId": TASK, "timestamp": moment.at(13, 56, 12) + seq * 31_000, "data": data });
    if kind == "text" {
        event["block"] = json!(seq);
    }
    event
}

/// Messages between the machines, as entries of the context.
pub(crate) fn messages(moment: Moment) -> Vec<Value> {
    let message = |from: &str, to: &str, minute: u64, kind: &str, body: &str| {
        let ts = moment.at(13, minute, 7);
        let id = format!("{ts}-{from}-00a1");
        let key = if from == "leo" { format!("outbox:{id}") } else { format!("inbox:leo:{id}") };
        let value = json!({ "from": from, "to": to, "ts": ts, "id": id, "type": kind, "body": body }).to_string();
        entry(moment, &key, &value, NODE, minute, None)
    };
    let asked = format!("{}-leo-00a1", moment.at(13, 52, 7));
    vec![
        message("leo", "studio-mac", 52, "chat", "Can you run the macOS tests?"),
        entry(moment, "ack:studio-mac", &asked, MAC, 53, None),
        message("studio-mac", "leo", 55, "request", "Rebase first? main moved,\n3 commits touch src/lib.rs."),
        message("ci-box", "leo", 50, "chat", "The build is green."),
        message("worker-1", "leo", 31, "chat", "Looking for what makes the nightly build slow."),
    ]
}

/// Everything.
pub(crate) fn world(moment: Moment) -> World {
    let bash = question(BASH, "rm -rf target && cargo build --release", moment.at(13, 59, 52), moment.at(14, 9, 52));
    let picture = |id: &str, name: &str, stale: bool, since: u64, tasks: Value, approvals: Value| json!({ "nodeId": id, "node": name, "since": since, "stale": stale, "topics": ["jobs", "tasks", "approvals"], "tasks": tasks, "approvals": approvals, "jobs": [] });
    let ci = "d4000000-0000-4000-8000-000000000006";
    let pi = "e5000000-0000-4000-8000-000000000007";
    let nas = "f6000000-0000-4000-8000-000000000008";
    let mac_task = task(
        moment,
        MAC_TASK,
        "Raise the limit and say so in the docs",
        "waiting_approval",
        json!({
        "cwd": "/Users/leo/loopsy", "startedAt": moment.at(13, 52, 40), "approvals": [EDIT], "fromNodeId": NODE }),
    );
    let worker_task = task(
        moment,
        "3c01aa00-0000-4000-8000-000000000009",
        "Find out why the nightly build is slow",
        "running",
        json!({
        "agent": "codex", "agentVersion": "0.139.0", "costUsd": null, "cwd": "/home/leo/nightly", "startedAt": moment.at(13, 31, 5) }),
    );
    let pending = json!({ "toolName": "Bash", "toolInput": { "command": "rm -rf target && cargo build --release" }, "requestId": BASH,
        "timestamp": moment.at(13, 59, 52), "sha256": HASH });
    World {
        status: json!({
            "nodeId": NODE, "hostname": "leo", "platform": "linux", "version": "0.1.0", "uptime": 18_330_000, "peers": { "total": 6, "online": 4, "offline": 2 },
            "jobs": { "active": 0, "total": 41 }, "context": { "entries": 5 }, "tasks": { "running": 1, "queued": 0, "total": 2 }, "approvals": 1,
            "agents": agents(),
        }),
        agents: agents().as_array().unwrap().clone(),
        peers: vec![
            peer(moment, MAC, "studio-mac", "192.168.1.50", "online", json!({ "platform": "darwin" })),
            peer(moment, WORKER, "worker-1", "192.168.1.61", "online", json!({})),
            peer(moment, "a0020000-0000-4000-8000-00000000000a", "worker-2", "192.168.1.62", "online", json!({})),
            peer(moment, ci, "ci-box", "10.0.4.20", "online", json!({ "manuallyAdded": true, "scopes": ["status", "execute"] })),
            peer(
                moment,
                pi,
                "pi4",
                "192.168.1.81",
                "offline",
                json!({
                "lastSeen": moment.at(9, 11, 0), "offlineSince": moment.at(9, 11, 4), "failureCount": 58, "lastError": "connection timed out" }),
            ),
            peer(
                moment,
                nas,
                "nas",
                "192.168.1.9",
                "offline",
                json!({
                "lastSeen": moment.at(12, 44, 0), "offlineSince": moment.at(12, 44, 9), "failureCount": 11,
                "lastError": "it shows another certificate than the one that was pinned" }),
            ),
        ],
        jobs: vec![],
        transfers: vec![],
        context: vec![
            entry(moment, "build/flags", "-C target-cpu=native --cfg tokio_unstable", NODE, 20, None),
            entry(moment, "build/log/last", "Compiling loopsy v0.1.0\nFinished `release` profile in 41.20s\n", NODE, 57, Some(900)),
            entry(moment, "build/owner", "ci-box", ci, 2, None),
            entry(moment, "build/sha", "3fd1c2a9e07b5516c0f1f8a1b6d2c9a4410e77aa", MAC, 58, None),
            entry(moment, "build/status", "passed", NODE, 57, Some(900)),
        ],
        tasks: vec![
            task(moment, TASK, "Make the release build start clean", "waiting_approval", json!({ "approvals": [BASH], "pendingApproval": pending })),
            task(
                moment,
                "7c01d3e4-0000-4000-8000-00000000000b",
                "Explain the failing test in tests/peers.rs",
                "completed",
                json!({
                "startedAt": moment.at(13, 55, 44), "completedAt": moment.at(13, 57, 55), "exitCode": 0, "endedBy": "agent", "agent": "gemini",
                "agentVersion": "0.25.0", "costUsd": null }),
            ),
        ],
        approvals: vec![bash.clone()],
        terminals: vec![json!({
            "id": TERMINAL, "name": "build", "command": "bash", "args": [], "cwd": "/home/leo/loopsy", "pid": 4711, "size": { "cols": 80, "rows": 24 },
            "createdAt": moment.at(13, 40, 2), "viewers": 0, "offset": PRINTED.len(), "principal": "owner" })],
        fleet: vec![
            picture(MAC, "studio-mac", false, moment.at(11, 20, 1), json!([mac_task]), json!([edit(moment)])),
            picture(WORKER, "worker-1", false, moment.at(8, 55, 1), json!([worker_task]), json!([])),
            picture("a0020000-0000-4000-8000-00000000000a", "worker-2", false, moment.at(8, 55, 1), json!([]), json!([])),
            picture(ci, "ci-box", false, moment.at(13, 2, 1), json!([]), json!([])),
            picture(pi, "pi4", true, moment.at(9, 11, 4), json!([]), json!([])),
        ],
        events: [(
            TASK.to_owned(),
            vec![
                said(moment, 1, "status", json!({ "status": "running" })),
                said(moment, 2, "text", json!("I look at what the build leaves behind first.\n")),
                said(moment, 3, "tool_use", json!({ "id": "t1", "name": "Bash", "input": { "command": "du -sh target && ls target" } })),
                said(moment, 4, "tool_result", json!({ "id": "t1", "content": "4.1G\ttarget\ndebug\nrelease\ntmp", "isError": false })),
                said(moment, 5, "text", json!("The folder `target` holds builds of three toolchains. I would like to remove it and build once.\n")),
                said(moment, 6, "tool_use", json!({ "id": "t2", "name": "Bash", "input": { "command": "rm -rf target && cargo build --release" } })),
                said(moment, 7, "permission_request", bash),
            ],
        )]
        .into(),
        printed: [(TERMINAL.to_owned(), PRINTED.as_bytes().to_vec())].into(),
        pairing: json!({ "active": true, "state": "key_exchanged", "sas": "482913", "expiresAt": moment.at(14, 5, 59), "change": 4, "wrongCodes": 0,
            "peer": { "nodeId": "b7000000-0000-4000-8000-00000000000c", "hostname": "attic", "address": "192.168.1.90" } }),
        ..World::default()
    }
}

const PRINTED: &str = "\u{1b}[?2004h\u{1b}[1;32mleo@leo\u{1b}[0m:\u{1b}[1;34m~/loopsy\u{1b}[0m$ cargo test --lib\r\n\
    \u{1b}[1m\u{1b}[32m   Compiling\u{1b}[0m loopsy-shared v0.1.0\r\n\u{1b}[1m\u{1b}[32m   Compiling\u{1b}[0m loopsy v0.1.0\r\n\
    \u{1b}[1m\u{1b}[32m    Finished\u{1b}[0m `test` profile in 12.31s\r\n\u{1b}[1m\u{1b}[32m     Running\u{1b}[0m unittests src/lib.rs\r\n\r\nrunning 3 tests\r\n\
    test limits::are_read_from_the_environment ... \u{1b}[32mok\u{1b}[0m\r\ntest limits::never_go_below_one ... \u{1b}[32mok\u{1b}[0m\r\n\
    test limits::are_told_in_the_status ... \u{1b}[31mFAILED\u{1b}[0m\r\n\r\ntest result: \u{1b}[31mFAILED\u{1b}[0m. 2 passed; 1 failed\r\n\r\n\
    \u{1b}[1;32mleo@leo\u{1b}[0m:\u{1b}[1;34m~/loopsy\u{1b}[0m$ ";

fn agents() -> Value {
    let agent = |name: &str, version: &str| json!({ "name": name, "driver": name, "path": format!("/usr/bin/{name}"), "version": version, "tested": version });
    json!([agent("claude", "2.1.126"), agent("codex", "0.139.0"), agent("gemini", "0.25.0")])
}

/// A peer, for fleets of any size.
pub(crate) fn some_peer(moment: Moment, number: usize, name: &str) -> Value {
    peer(moment, &format!("aa{number:06}-0000-4000-8000-0000000000ff"), name, "127.0.0.1", "online", json!({}))
}

/// An entry, for contexts of any size.
pub(crate) fn some_entry(moment: Moment, key: &str, value: &str) -> Value {
    entry(moment, key, value, NODE, 0, None)
}

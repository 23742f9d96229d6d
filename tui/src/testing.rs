//! What the tests of this crate share: fixtures of a fleet, keys by name, and the screen as text with its styles.

use loopsy_shared::{api::events, client::Watched};
use ratatui::{buffer::Buffer, layout::Rect, style::Style};
use serde_json::{Value, json};

use crate::{
    app::{App, Settings},
    effect::Effect,
    event::{Answered, Event, Failure, Now},
    input::{Input, Press},
    keymap::Keymap,
    look::Look,
    request::{Answer, Request},
    world::World,
};

pub(crate) mod fleets;

/// 2026-11-21T14:00:00Z.
pub(crate) const NOON: u64 = 1_795_269_600_000;

/// An app, and what it wants done.
pub(crate) struct Harness {
    pub(crate) app: App,
    pub(crate) now: Now,
    /// All effects so far that nobody took.
    pub(crate) effects: Vec<Effect>,
}

impl Harness {
    /// With nothing known yet.
    pub(crate) fn new() -> Self {
        let app = App::new(World::new("127.0.0.1:19532".to_owned()), Look::default(), Keymap::default(), Settings { size: (80, 24), ..Settings::default() });
        Self { app, now: Now { wall: NOON, since: 0 }, effects: Vec::new() }
    }

    /// With this snapshot, and the local node's status.
    pub(crate) fn with(snapshot: Value) -> Self {
        let mut harness = Self::new();
        harness.fleet(snapshot);
        harness.answer_status();
        harness.effects.clear();
        harness
    }

    /// A person's typical fleet.
    pub(crate) fn typical() -> Self {
        Self::with(typical())
    }

    /// One event.
    pub(crate) fn event(&mut self, event: Event) {
        let effects = self.app.update(event, self.now);
        self.effects.extend(effects);
    }

    /// An event of the daemon's stream, as JSON.
    pub(crate) fn fleet(&mut self, event: Value) {
        let event: events::Event = serde_json::from_value(event).unwrap();
        self.event(Event::Fleet(Box::new(Watched::Event { id: None, event })));
    }

    /// Keys by name, with blanks in between: `j j enter`.
    #[track_caller]
    pub(crate) fn keys(&mut self, keys: &str) {
        for key in keys.split_whitespace() {
            self.event(Event::Input(Input::Key(Press::of(key.parse().unwrap()))));
        }
    }

    /// Text, key by key.
    pub(crate) fn types(&mut self, text: &str) {
        for c in text.chars() {
            self.event(Event::Input(Input::Key(Press::of(crate::key::Key::char(c)))));
        }
    }

    /// Time goes on; timers are the test's own business.
    pub(crate) fn later(&mut self, milliseconds: u64) {
        self.now.since += milliseconds;
        self.now.wall += milliseconds;
    }

    /// The requests that were made, which are forgotten then. What the app asks for itself is not among them.
    pub(crate) fn requests(&mut self) -> Vec<(Option<String>, Request)> {
        let (calls, rest) = std::mem::take(&mut self.effects).into_iter().partition(|effect| matches!(effect, Effect::Call { .. }));
        self.effects = rest;
        let calls: Vec<Effect> = calls;
        calls
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Call { place: crate::request::Place::App, .. } => None,
                Effect::Call { at, request, .. } => Some((at.map(|at| at.to_string()), request)),
                _ => None,
            })
            .collect()
    }

    /// Answers the newest request of this name that waits.
    #[track_caller]
    pub(crate) fn answer(&mut self, name: &str, result: Result<Answer, Failure>) {
        let at = self.effects.iter().rposition(|effect| matches!(effect, Effect::Call { request, .. } if request.name() == name));
        let Effect::Call { place, at, request } = self.effects.remove(at.unwrap_or_else(|| panic!("{name} was not asked: {:?}", self.effects))) else {
            unreachable!()
        };
        self.event(Event::Answer(Box::new(Answered { place, at, request, result })));
    }

    fn answer_status(&mut self) {
        let status = json!({
            "nodeId": "leo-id", "hostname": "leo", "platform": "linux", "version": "0.1.0", "uptime": 60000,
            "peers": {"total": 4, "online": 2, "offline": 1, "unknown": 1}, "jobs": {"active": 0, "total": 3}, "context": {"entries": 4},
            "tasks": {"running": 1, "queued": 0, "total": 2}, "approvals": 1,
            "agents": [], "problems": [],
        });
        self.answer("Status", Ok(Answer::Status(Box::new(serde_json::from_value(status).unwrap()))));
    }

    /// The screen at a size: text first, then the styles that are not plain, row by row.
    pub(crate) fn screen(&mut self, columns: u16, rows: u16) -> String {
        let screen = self.draw(columns, rows);
        self.painted();
        screen
    }

    /// What was drawn last is on the terminal.
    pub(crate) fn painted(&mut self) {
        let effects = self.app.painted(true, self.now);
        self.effects.extend(effects);
    }

    /// The same as [`Self::screen`], on its way to a terminal that does not show it yet.
    pub(crate) fn draw(&mut self, columns: u16, rows: u16) -> String {
        self.event(Event::Resize(columns, rows));
        let mut buf = Buffer::empty(Rect::new(0, 0, columns, rows));
        let caret = self.app.view(&mut buf, self.now);
        let mut text = show(&buf);
        if let Some(caret) = caret {
            text.push_str(&format!("caret {},{}\n", caret.x, caret.y));
        }
        text
    }

    /// The same without styles.
    pub(crate) fn text(&mut self, columns: u16, rows: u16) -> String {
        let screen = self.screen(columns, rows);
        screen.split("\n---\n").next().unwrap_or_default().to_owned()
    }
}

fn show(buf: &Buffer) -> String {
    let (mut text, mut styles) = (String::new(), String::new());
    for y in 0..buf.area.height {
        let mut line = String::new();
        let mut run: Option<(u16, Style)> = None;
        let mut skip = 0;
        for x in 0..=buf.area.width {
            let style = (x < buf.area.width).then(|| buf[(x, y)].style());
            if run.map(|(_, style)| style) != style {
                if let Some((from, style)) = run
                    && let Some(words) = words(style)
                {
                    styles.push_str(&format!("{y}:{from}-{} {words}\n", x - 1));
                }
                run = style.map(|style| (x, style));
            }
            if x < buf.area.width {
                if skip == 0 {
                    line.push_str(buf[(x, y)].symbol());
                    skip = crate::widgets::text::width(buf[(x, y)].symbol()).max(1);
                }
                skip -= 1;
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    format!("{text}---\n{styles}")
}

fn words(style: Style) -> Option<String> {
    use ratatui::style::Color;
    let mut words = Vec::new();
    if let Some(color) = style.fg.filter(|color| *color != Color::Reset) {
        words.push(format!("{color}"));
    }
    if let Some(color) = style.bg.filter(|color| *color != Color::Reset) {
        words.push(format!("on {color}"));
    }
    if !style.add_modifier.is_empty() {
        words.push(format!("{:?}", style.add_modifier).to_lowercase());
    }
    (!words.is_empty()).then(|| words.join(" "))
}

/// A peer as the stream tells it.
pub(crate) fn peer(name: &str, status: &str) -> Value {
    json!({
        "nodeId": format!("{name}-id"), "hostname": name, "address": "192.168.1.50", "port": 19532, "platform": "darwin", "version": "0.1.0",
        "capabilities": ["exec", "files", "ai"], "status": status, "lastSeen": NOON - 9000, "failureCount": 0, "trusted": true, "manuallyAdded": false,
        "paired": true, "encryption": "pinned", "scopes": ["status", "execute", "transfer", "context", "ai-tasks"],
    })
}

/// A task as the stream tells it.
pub(crate) fn task(id: &str, prompt: &str, status: &str) -> Value {
    json!({
        "taskId": id, "prompt": prompt, "status": status, "startedAt": NOON - 120_000, "updatedAt": NOON - 5000, "fromNodeId": "leo-id", "agent": "claude",
        "cwd": "/home/leo/loopsy", "permissionMode": "default", "mode": "headless", "costUsd": 0.41, "turns": 3, "lastEvent": 12,
        "usage": {"inputTokens": 40000, "outputTokens": 1200, "cachedTokens": 0},
    })
}

/// An approval as the stream tells it.
pub(crate) fn approval(id: &str, node: &str, command: &str) -> Value {
    json!({
        "id": id, "nodeId": format!("{node}-id"), "node": node, "taskId": "7f3a0000-0000-4000-8000-000000000001", "agent": "claude", "kind": "tool", "tool": "Bash",
        "input": {"command": command, "description": "clean build"}, "sha256": "b61e".repeat(16), "description": "clean build to rule out stale artefacts",
        "cwd": "/home/leo/loopsy", "paths": [], "flags": ["deletes files"], "suggestions": [{"label": "Bash(cargo build:*)", "rule": {"toolName": "Bash", "ruleContent": "cargo build:*"}}],
        "rules": [], "questions": [], "defaultToNo": false, "mayEdit": true, "askedAt": NOON - 8000, "expiresAt": NOON + 600_000, "state": "pending",
    })
}

/// A context entry as the stream tells it.
pub(crate) fn entry(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": value, "fromNodeId": "leo-id", "createdAt": NOON - 60_000, "updatedAt": NOON - 60_000, "version": 1 })
}

/// Five nodes in every state that there is, two tasks, two approvals, some context.
pub(crate) fn typical() -> Value {
    let mut offline = peer("pi4", "offline");
    offline["lastError"] = json!("connect: timed out");
    offline["offlineSince"] = json!(NOON - 7_200_000);
    let mut changed = peer("nas", "offline");
    changed["lastError"] = json!("The node at 192.168.1.9:19532 is not the one that was paired");
    json!({
        "type": "snapshot", "nodeId": "leo-id",
        "peers": [peer("studio-mac", "online"), peer("ci-box", "online"), offline, changed, peer("win-box", "unknown")],
        "jobs": [], "transfers": [],
        "context": [entry("build/sha", "3fd1c2a9e07b5516c0f1f8a1b6d2c9a4410e77aa"), entry("build/status", "green"), entry("notes", "{\"a\":[1,2,3]}")],
        "tasks": [task("7f3a0000-0000-4000-8000-000000000001", "fix the flaky test", "waiting_approval"), task("7c010000-0000-4000-8000-000000000002", "write docs", "completed")],
        "approvals": [approval("aaaa0000-0000-4000-8000-000000000001", "leo", "rm -rf target && cargo build -r")],
        "terminals": [],
        "fleet": [{
            "nodeId": "studio-mac-id", "node": "studio-mac", "since": NOON - 600_000, "stale": false, "topics": ["jobs", "tasks", "approvals"],
            "tasks": [task("91bc0000-0000-4000-8000-000000000003", "raise the limit", "running")],
            "approvals": [approval("bbbb0000-0000-4000-8000-000000000002", "studio-mac", "git push origin main")],
            "jobs": [],
        }],
    })
}

#[test]
fn the_frame_draws_at_any_size() {
    let mut harness = Harness::typical();
    for (columns, rows) in [(1, 1), (2, 40), (200, 1), (40, 10), (80, 24), (120, 40), (500, 200)] {
        harness.screen(columns, rows);
    }
    assert!(harness.text(80, 24).contains("[1 Overview]"), "{}", harness.text(80, 24));
    assert!(harness.text(80, 24).contains("[!2]"));
}

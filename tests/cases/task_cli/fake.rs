//! A daemon that only knows tasks and approvals, and does what a test wants: for the command line alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
};

use serde_json::{Value, json};

use crate::support::{Home, PATIENCE};

pub(crate) const TASK: &str = "7f3a01c2-0000-4000-8000-000000000001";
pub(crate) const APPROVAL: &str = "11112222-3333-4444-8555-666677778888";
pub(crate) const HASH: &str = "b61ec0de00000000000000000000000000000000000000000000000000000009";

/// What it knows and what it was asked.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) task: Value,
    pub(crate) events: Vec<Value>,
    /// After these events a stream breaks, once each.
    pub(crate) cuts: BTreeSet<u64>,
    /// Whether every stream begins with the first event, whatever was asked for.
    pub(crate) forgetful: bool,
    /// Whether the streams end when all was sent.
    pub(crate) over: bool,
    pub(crate) approvals: BTreeMap<String, Value>,
    /// Changes of approvals, for `/events`.
    pub(crate) changes: Vec<Value>,
    pub(crate) rules: Vec<Value>,
    /// Method, path and query, credential, `Last-Event-ID`, body.
    pub(crate) asked: Vec<Asked>,
    /// What a hook's question is answered with, once there is something.
    pub(crate) hook: Option<Vec<u8>>,
}

/// One request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) key: String,
    pub(crate) last: Option<String>,
    pub(crate) body: Value,
}

/// The daemon, and a home whose data directory leads to it.
#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) home: Home,
    world: Arc<(Mutex<World>, Condvar)>,
    /// Held as a daemon holds it.
    lock: Option<File>,
}

impl Fake {
    pub(crate) fn new() -> Self {
        let home = Home::init("leo");
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let runtime = json!({ "pid": std::process::id(), "host": "127.0.0.1", "port": port, "nodeId": "node-1", "startedAt": 1 });
        std::fs::write(home.data().join("daemon.json"), runtime.to_string()).unwrap();
        let lock = File::create(home.data().join("daemon.lock")).unwrap();
        lock.lock().unwrap();
        let world = World { task: task("running"), ..World::default() };
        let world = Arc::new((Mutex::new(world), Condvar::new()));
        let served = Arc::clone(&world);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let world = Arc::clone(&served);
                std::thread::spawn(move || {
                    let _cut = serve(stream, &world);
                });
            }
        });
        Self { home, world, lock: Some(lock) }
    }

    /// Only its port is left: somebody else may listen there now.
    pub(crate) fn die(&mut self) {
        self.lock = None;
    }

    /// Changes what it knows.
    pub(crate) fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.world.0.lock().unwrap());
        self.world.1.notify_all();
    }

    /// Waits until what it knows is like this.
    #[track_caller]
    pub(crate) fn wait<T>(&self, what: &str, mut look: impl FnMut(&World) -> Option<T>) -> T {
        let mut world = self.world.0.lock().unwrap();
        loop {
            if let Some(found) = look(&world) {
                return found;
            }
            let (next, late) = self.world.1.wait_timeout(world, PATIENCE).unwrap();
            assert!(!late.timed_out(), "waited {PATIENCE:?} for {what}; asked: {:#?}", next.asked);
            world = next;
        }
    }

    /// What a look at it gives now.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.world.0.lock().unwrap())
    }

    /// How often something was asked.
    pub(crate) fn count(&self, line: &str) -> usize {
        self.look(|world| world.asked.iter().filter(|asked| asked.line.starts_with(line)).count())
    }

    /// Adds an event with the next number.
    pub(crate) fn event(&self, kind: &str, data: Value, block: Option<u64>) {
        self.change(|world| {
            let seq = world.events.len() + 1;
            let mut event = json!({ "seq": seq, "type": kind, "taskId": TASK, "timestamp": 1_795_262_400_000_u64, "data": data });
            if let Some(block) = block {
                event["block"] = json!(block);
            }
            world.events.push(event);
        });
    }

    /// The task ends like this.
    pub(crate) fn end(&self, status: &str) {
        self.change(|world| end(world, status));
    }

    /// A question waits.
    pub(crate) fn ask(&self, approval: &Value) {
        let id = approval["id"].as_str().unwrap().to_owned();
        self.change(|world| {
            world.approvals.insert(id, approval.clone());
            world.changes.push(json!({ "type": "approval-changed", "approval": approval }));
        });
        self.event("permission_request", approval.clone(), None);
    }
}

fn end(world: &mut World, status: &str) {
    world.task["status"] = json!(status);
    world.task["completedAt"] = json!(1_795_262_464_000_u64);
    world.over = true;
}

pub(crate) fn task(status: &str) -> Value {
    json!({ "taskId": TASK, "prompt": "fix it", "status": status, "startedAt": 1_795_262_400_000_u64, "updatedAt": 1, "fromNodeId": "owner", "agent": "claude",
        "cwd": "/home/leo", "turns": 2, "costUsd": 0.0421, "resumable": true })
}

pub(crate) fn approval(id: &str, command: &str) -> Value {
    json!({ "id": id, "nodeId": "node-1", "node": "leo", "taskId": TASK, "agent": "claude", "kind": "tool", "tool": "Bash", "input": { "command": command },
        "sha256": HASH, "cwd": "/home/leo", "flags": ["deletes files"], "mayEdit": true, "suggestions": [{ "label": "Bash(rm:*)", "rule": {} }],
        "rules": [{ "do": "allow", "agent": "claude", "tool": "Bash", "command": command }],
        "askedAt": 1_795_262_400_000_u64, "expiresAt": 9_999_999_999_999_u64, "state": "pending" })
}

type Shared = (Mutex<World>, Condvar);

/// One connection: requests until one is answered with a stream, or the other side has had enough.
fn serve(stream: TcpStream, world: &Shared) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut out = stream;
    loop {
        let mut asked = Asked::default();
        let (mut line, mut length) = (String::new(), 0);
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        line.trim_end().trim_end_matches(" HTTP/1.1").clone_into(&mut asked.line);
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? <= 2 {
                break;
            }
            let (name, value) = header.split_once(':').unwrap_or((&header, ""));
            let value = value.trim().to_owned();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap_or(0),
                "authorization" => asked.key = value,
                "last-event-id" => asked.last = Some(value),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        asked.body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        {
            let mut world = world.0.lock().unwrap();
            world.asked.push(asked.clone());
        }
        world.1.notify_all();
        let (path, _query) = asked.line.split_once('?').unwrap_or((&asked.line, ""));
        if path == format!("GET /api/v1/ai-tasks/{TASK}/stream") {
            let last = asked.last.filter(|_| !world.0.lock().unwrap().forgetful).and_then(|last| last.parse().ok());
            return task_stream(&mut out, world, last.unwrap_or(0));
        }
        if path == "GET /api/v1/events" {
            return event_stream(&mut out, world);
        }
        if path.starts_with("POST ") && path.ends_with("/hook") {
            return hook(&mut out, world);
        }
        let (status, answer) = answer(&mut world.0.lock().unwrap(), path, &asked);
        world.1.notify_all();
        let body = answer.to_string();
        write!(out, "HTTP/1.1 {status} X\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    }
}

fn refusal(status: u16, code: u16, message: &str) -> (u16, Value) {
    (status, json!({ "error": { "code": code, "message": message } }))
}

fn answer(world: &mut World, path: &str, asked: &Asked) -> (u16, Value) {
    let one = format!("/api/v1/ai-tasks/{TASK}");
    match path {
        "POST /api/v1/ai-tasks" => (201, world.task.clone()),
        "GET /api/v1/ai-tasks" => (200, json!({ "tasks": [world.task] })),
        "GET /api/v1/approvals" => (200, json!({ "approvals": world.approvals.values().collect::<Vec<_>>(), "unseen": ["kai"] })),
        "GET /api/v1/approvals/rules" => (200, json!({ "rules": world.rules })),
        "POST /api/v1/approvals/rules" => {
            world.rules.push(asked.body["rule"].clone());
            (200, json!({ "rules": world.rules }))
        }
        "DELETE /api/v1/approvals/rules/0" => {
            world.rules.remove(0);
            (200, json!({ "rules": world.rules }))
        }
        "POST /api/v1/approvals/test" => {
            (200, json!({ "verdict": "deny", "rule": "deny command `rm`", "index": 0, "why": "`rm` is denied", "commands": ["rm -rf x"] }))
        }
        _ if path == format!("GET {one}") => (200, world.task.clone()),
        _ if path == format!("GET {one}/events") => {
            let after: usize = asked.line.split("after=").nth(1).and_then(|rest| rest.split('&').next()?.parse().ok()).unwrap_or(0);
            let rest: Vec<_> = world.events.iter().skip(after).cloned().collect();
            (200, json!({ "count": rest.len(), "events": rest }))
        }
        _ if path == format!("POST {one}/interrupt") => {
            world.task["endedBy"] = json!("interrupt");
            (200, world.task.clone())
        }
        _ if path == format!("POST {one}/message") || path == format!("POST {one}/resume") => (200, world.task.clone()),
        _ if path == format!("DELETE {one}") => {
            let deleted = world.over;
            end(world, "cancelled");
            (200, json!({ "success": true, "taskId": TASK, "deleted": deleted }))
        }
        _ => match path.split_once(" /api/v1/approvals/") {
            Some(("GET", id)) => world.approvals.get(id).map_or_else(|| refusal(404, 6008, "There is no such approval."), |found| (200, found.clone())),
            Some(("POST", id)) => decide(world, id, &asked.body),
            _ => refusal(404, 9999, "There is nothing here."),
        },
    }
}

/// The first answer counts, and only for what was shown.
fn decide(world: &mut World, id: &str, body: &Value) -> (u16, Value) {
    let Some(approval) = world.approvals.get_mut(id) else { return refusal(404, 6008, "There is no such approval.") };
    if approval["state"] != "pending" {
        return refusal(409, 6009, "It was answered already: allowed by `kai`.");
    }
    if approval["sha256"] != body["sha256"] {
        return refusal(409, 6010, "What is asked is not what was shown.");
    }
    let yes = matches!(body["decision"].as_str(), Some("allow" | "always"));
    approval["state"] = json!(if yes { "allowed" } else { "denied" });
    approval["decision"] = json!({ "decision": body["decision"], "by": "owner", "at": 1_795_262_400_000_u64, "delivered": true });
    for field in ["reason", "input", "suggestion"] {
        if !body[field].is_null() {
            approval["decision"][field] = body[field].clone();
        }
    }
    let changed = approval.clone();
    world.changes.push(json!({ "type": "approval-changed", "approval": changed }));
    (200, changed)
}

const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";

fn next<'a>(shared: &'a Shared, world: MutexGuard<'a, World>) -> std::io::Result<MutexGuard<'a, World>> {
    let (world, late) = shared.1.wait_timeout(world, PATIENCE).unwrap();
    if late.timed_out() { Err(std::io::ErrorKind::TimedOut.into()) } else { Ok(world) }
}

fn task_stream(out: &mut TcpStream, shared: &Shared, mut last: u64) -> std::io::Result<()> {
    out.write_all(STREAM)?;
    loop {
        let mut world = shared.0.lock().unwrap();
        let event = loop {
            if let Some(event) = world.events.get(usize::try_from(last).unwrap()) {
                break Some(event.clone());
            }
            if world.over {
                break None;
            }
            world = next(shared, world)?;
        };
        let cut = world.cuts.remove(&(last + 1));
        let status = world.task["status"].clone();
        drop(world);
        let Some(event) = event else {
            let word = json!({ "seq": 0, "type": "status", "taskId": TASK, "timestamp": 1, "data": { "status": status } });
            write!(out, "data: {word}\n\n")?;
            return Ok(());
        };
        last += 1;
        write!(out, "id: {last}\ndata: {event}\n\n")?;
        if cut {
            return Ok(());
        }
    }
}

fn event_stream(out: &mut TcpStream, shared: &Shared) -> std::io::Result<()> {
    out.write_all(STREAM)?;
    let mut world = shared.0.lock().unwrap();
    let mut sent = world.changes.len();
    let open: Vec<_> = world.approvals.values().filter(|approval| approval["state"] == "pending").collect();
    let snapshot = json!({ "type": "snapshot", "nodeId": "node-1", "peers": [], "jobs": [], "transfers": [], "context": [], "tasks": [], "approvals": open });
    write!(out, "id: e-0\ndata: {snapshot}\n\n")?;
    loop {
        while world.changes.len() == sent {
            world = next(shared, world)?;
        }
        write!(out, "id: e-{sent}\ndata: {}\n\n", world.changes[sent])?;
        sent += 1;
    }
}

/// Waits until there is an answer, writes its bytes, and hangs up.
fn hook(out: &mut TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut world = shared.0.lock().unwrap();
    let bytes = loop {
        if let Some(bytes) = world.hook.clone() {
            break bytes;
        }
        world = next(shared, world)?;
    };
    drop(world);
    out.write_all(&bytes)
}

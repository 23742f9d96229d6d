//! A daemon that knows what a test gives it, says it when the test wants, and writes down everything that it is asked: so that "nothing was approved" can be proved.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Instant,
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{
        FromRequestParts, Request, State, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    http::{Method, Response, header},
    response::IntoResponse,
};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

use super::PATIENCE;

/// The id of the node that this plays.
pub(crate) const NODE: &str = "9f2c77aa-01de-4000-8000-000000000001";

/// What it knows and what it was asked.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) status: Value,
    pub(crate) peers: Vec<Value>,
    pub(crate) jobs: Vec<Value>,
    pub(crate) transfers: Vec<Value>,
    pub(crate) context: Vec<Value>,
    pub(crate) tasks: Vec<Value>,
    pub(crate) approvals: Vec<Value>,
    pub(crate) terminals: Vec<Value>,
    /// What is known of peers.
    pub(crate) fleet: Vec<Value>,
    /// Events of tasks, by the task's id.
    pub(crate) events: BTreeMap<String, Vec<Value>>,
    /// What was printed in terminals, by the terminal's id.
    pub(crate) printed: BTreeMap<String, Vec<u8>>,
    pub(crate) pairing: Value,
    pub(crate) agents: Vec<Value>,
    /// Answers for a method and path, instead of all others: status and body.
    pub(crate) scripted: BTreeMap<String, (u16, Value)>,
    /// Whether answers to `POST /approvals/{id}` are followed by the event that confirms them.
    pub(crate) confirms: bool,
    /// Everything that was said on the stream of changes, each in the pieces in which it is sent.
    pub(crate) said: Vec<Vec<Bytes>>,
    /// Everything that was asked.
    pub(crate) asked: Vec<Asked>,
    /// What was typed into terminals.
    pub(crate) typed: Vec<u8>,
}

/// One request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// Method, path and query.
    pub(crate) line: String,
    pub(crate) body: Value,
}

struct Shared {
    world: Mutex<World>,
    changes: watch::Sender<u64>,
}

/// The daemon of a data directory.
pub(crate) struct Fleet {
    data: PathBuf,
    port: u16,
    shared: Arc<Shared>,
    server: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    /// Held as a daemon holds it.
    lock: Option<File>,
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleet").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Fleet {
    /// Serves a data directory that has a config already.
    pub(crate) fn start(data: &Path, world: World) -> Self {
        let shared = Arc::new(Shared { world: Mutex::new(World { confirms: true, ..world }), changes: watch::Sender::new(0) });
        let mut fleet = Self { data: data.to_owned(), port: 0, shared, server: None, lock: None };
        fleet.revive();
        fleet
    }

    /// Starts it, on the port that it had before.
    pub(crate) fn revive(&mut self) {
        let begun = Instant::now();
        let listener = loop {
            match TcpListener::bind(("127.0.0.1", self.port)) {
                Ok(listener) => break listener,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "port {}: {error}", self.port),
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        };
        listener.set_nonblocking(true).unwrap();
        self.port = listener.local_addr().unwrap().port();
        let runtime = json!({ "pid": std::process::id(), "host": "127.0.0.1", "port": self.port, "nodeId": NODE, "startedAt": 1 });
        let lock = File::create(self.data.join("daemon.lock")).unwrap();
        lock.lock().unwrap();
        self.lock = Some(lock);
        let (stop, stopped) = oneshot::channel();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&self.shared));
        let serve = async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            tokio::select! {
                _ = stopped => {}
                failed = async { axum::serve(listener, app).await } => panic!("the daemon ended: {failed:?}"),
            }
        };
        // With the runtime end all connections, at once.
        let run = move || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(serve);
        self.server = Some((stop, std::thread::Builder::new().name("fleet".to_owned()).spawn(run).unwrap()));
        std::fs::write(self.data.join("daemon.json"), runtime.to_string()).unwrap();
    }

    /// Dies as by `kill -9`: connections break, the lock is gone, the runtime file stays.
    pub(crate) fn kill(&mut self) {
        if let Some((stop, thread)) = self.server.take() {
            drop(stop);
            thread.join().unwrap();
        }
        self.lock = None;
    }

    /// Changes what it knows.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let changed = change(&mut self.shared.world.lock().unwrap());
        self.shared.changes.send_modify(|changes| *changes += 1);
        changed
    }

    /// What a look at it gives now.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.shared.world.lock().unwrap())
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Says something to everybody who listens.
    pub(crate) fn tell(&self, event: &Value) {
        self.change(|world| world.say(event));
    }

    /// Sends bytes on the streams of changes, in just these pieces.
    pub(crate) fn send(&self, pieces: Vec<Vec<u8>>) {
        self.change(|world| world.said.push(pieces.into_iter().map(Bytes::from).collect()));
    }

    /// What keeps a quiet stream alive.
    pub(crate) fn heartbeat(&self) {
        self.send(vec![b":\n\n".to_vec()]);
    }

    /// A question waits, here.
    pub(crate) fn ask(&self, approval: &Value) {
        self.change(|world| {
            world.approvals.push(approval.clone());
            world.say(&json!({ "type": "approval-changed", "approval": approval }));
        });
    }

    /// Every request that changes something, in order.
    pub(crate) fn orders(&self) -> Vec<Asked> {
        self.look(|world| world.asked.iter().filter(|asked| !asked.line.starts_with("GET ")).cloned().collect())
    }

    /// Every answer to a question that was given.
    pub(crate) fn decisions(&self) -> Vec<Asked> {
        self.orders().into_iter().filter(|asked| asked.line.contains("/approv")).collect()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.server.take() {
            drop(stop);
            let _ended = thread.join();
        }
    }
}

impl World {
    fn say(&mut self, event: &Value) {
        let number = self.said.len() + 1;
        self.said.push(vec![format!("id: e-{number}\ndata: {event}\n\n").into()]);
    }

    /// What every stream of changes begins with.
    pub(crate) fn snapshot(&self) -> Value {
        json!({
            "type": "snapshot", "nodeId": NODE, "peers": self.peers, "jobs": self.jobs, "transfers": self.transfers, "context": self.context,
            "tasks": self.tasks, "approvals": self.approvals, "terminals": self.terminals, "fleet": self.fleet,
        })
    }

    fn approval(&mut self, id: &str) -> Option<&mut Value> {
        let there = self.fleet.iter_mut().filter_map(|picture| picture["approvals"].as_array_mut()).flatten();
        self.approvals.iter_mut().chain(there).find(|approval| approval["id"] == id)
    }

    fn task(&self, id: &str) -> Option<&Value> {
        let there = self.fleet.iter().filter_map(|picture| picture["tasks"].as_array()).flatten();
        self.tasks.iter().chain(there).find(|task| task["taskId"] == id)
    }

    /// The first answer counts, and only for what was shown.
    fn decide(&mut self, at: Option<&str>, id: &str, body: &Value) -> (u16, Value) {
        let Some(approval) = self.approval(id) else { return refusal(404, 6008, "There is no such approval.") };
        if approval["state"] != "pending" {
            return refusal(409, 6009, "It was answered already: allowed by `kai`.");
        }
        if approval["sha256"] != body["sha256"] {
            return refusal(409, 6010, "What is asked is not what was shown.");
        }
        let yes = matches!(body["decision"].as_str(), Some("allow" | "always"));
        approval["state"] = json!(if yes { "allowed" } else { "denied" });
        approval["decision"] = json!({ "decision": body["decision"], "by": "owner", "at": 1_795_262_400_000_u64, "delivered": true });
        let changed = approval.clone();
        if self.confirms {
            let event = json!({ "type": "approval-changed", "approval": changed });
            match at {
                None => self.say(&event),
                Some(_) => self.say(&json!({ "type": "peer", "nodeId": changed["nodeId"], "node": changed["node"], "event": event })),
            }
        }
        (200, changed)
    }

    fn answer(&mut self, method: &Method, at: Option<&str>, path: &str, body: &Value) -> (u16, Value) {
        let place = at.map_or_else(String::new, |at| format!("/at/{at}"));
        if let Some((status, answer)) = self.scripted.get(&format!("{method} {place}{path}")) {
            return (*status, answer.clone());
        }
        let words: Vec<&str> = path.split('/').skip(1).collect();
        let there = at.and_then(|at| self.fleet.iter().find(|picture| picture["nodeId"] == at || picture["node"] == at)).cloned();
        match (method.as_str(), words.as_slice()) {
            ("GET", ["health"]) => (200, json!({ "status": "ok", "nodeId": NODE, "uptime": 1, "version": "0.1.0", "now": 1 })),
            ("GET", ["status"]) => (200, self.status.clone()),
            ("GET", ["peers"]) => (200, json!({ "peers": self.peers })),
            ("GET", ["agents"]) => (200, json!({ "agents": self.agents })),
            ("GET", ["context"]) => (200, json!({ "entries": if at.is_none() { self.context.clone() } else { Vec::new() } })),
            ("GET", ["context", key]) => match self.context.iter().find(|entry| entry["key"] == key.replace("%2F", "/")) {
                Some(entry) => (200, entry.clone()),
                None => refusal(404, 4001, "There is no such key."),
            },
            ("GET", ["ai-tasks"]) => (200, json!({ "tasks": there.map_or_else(|| json!(self.tasks), |picture| picture["tasks"].clone()) })),
            ("POST", ["ai-tasks"]) => (201, self.tasks.first().cloned().unwrap_or_default()),
            ("GET", ["ai-tasks", id]) => self.task(id).map_or_else(|| refusal(404, 6001, "There is no such task."), |task| (200, task.clone())),
            ("GET", ["ai-tasks", id, "events"]) => {
                let events = self.events.get(*id).cloned().unwrap_or_default();
                (200, json!({ "count": events.len(), "events": events }))
            }
            ("GET", ["approvals"]) => (200, json!({ "approvals": self.approvals, "unseen": [] })),
            ("GET", ["approvals", id]) => {
                self.approval(id).map_or_else(|| refusal(404, 6008, "There is no such approval."), |approval| (200, approval.clone()))
            }
            ("POST", ["approvals", id]) => self.decide(at, id, body),
            ("GET", ["terminals"]) => (200, json!({ "terminals": if at.is_none() { self.terminals.clone() } else { Vec::new() } })),
            ("GET", ["pair", "status"]) => (200, self.pairing.clone()),
            ("POST", ["pair", "start"]) => (200, json!({ "inviteCode": "493027", "expiresAt": 9_999_999_999_999_u64, "addresses": ["192.168.1.20:19532"] })),
            _ => refusal(404, 9999, "There is nothing here."),
        }
    }
}

fn refusal(status: u16, code: u16, message: &str) -> (u16, Value) {
    (status, json!({ "error": { "code": code, "message": message } }))
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (mut head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let line = format!("{} {target}", head.method);
    let path = head.uri.path().strip_prefix("/api/v1").unwrap_or_default().to_owned();
    let (at, path) = match path.strip_prefix("/at/").and_then(|rest| rest.split_once('/')) {
        Some((at, rest)) => (Some(at.to_owned()), format!("/{rest}")),
        None => (None, path),
    };
    let socket = WebSocketUpgrade::from_request_parts(&mut head, &()).await.ok();
    let body = to_bytes(body, 64 << 20).await.unwrap_or_default();
    let body = serde_json::from_slice::<Value>(&body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&body).into_owned()));
    shared.world.lock().unwrap().asked.push(Asked { line, body: body.clone() });
    let words: Vec<&str> = path.split('/').skip(1).collect();
    match (words.as_slice(), socket) {
        (["events"], _) => events(&shared),
        (["ai-tasks", id, "stream"], _) => task_events(&shared, id),
        (["terminals", id, "attach"], Some(upgrade)) => {
            let id = (*id).to_owned();
            upgrade.on_upgrade(move |socket| terminal(socket, shared, id)).into_response()
        }
        _ => {
            if path == "/pair/status" {
                news_of_pairing(&shared, head.uri.query()).await;
            }
            let (status, answer) = shared.world.lock().unwrap().answer(&head.method, at.as_deref(), &path, &body);
            shared.changes.send_modify(|changes| *changes += 1);
            let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json; charset=utf-8");
            response.body(Body::from(answer.to_string())).unwrap()
        }
    }
}

/// Waits until a pairing is another one than the one that was seen last, as a daemon does; not for ever.
async fn news_of_pairing(shared: &Shared, query: Option<&str>) {
    let seen = query.and_then(|query| query.split('&').find_map(|part| part.strip_prefix("after=")?.parse::<u64>().ok()));
    let mut changes = shared.changes.subscribe();
    while seen.is_some() && shared.world.lock().unwrap().pairing["change"].as_u64() == seen {
        if tokio::time::timeout(PATIENCE, changes.changed()).await.is_err() {
            break;
        }
    }
}

/// A stream of what `next` finds in the world, again whenever it changed, until it finds nothing more.
fn streaming(first: Vec<Bytes>, shared: &Arc<Shared>, next: impl FnMut(&World) -> Option<Vec<Bytes>> + Send + 'static) -> Response<Body> {
    let state = (VecDeque::from(first), Arc::clone(shared), shared.changes.subscribe(), next);
    let pieces = stream::unfold(state, |(mut waiting, shared, mut changes, mut next)| async move {
        loop {
            if let Some(piece) = waiting.pop_front() {
                return Some((Ok::<_, std::io::Error>(piece), (waiting, shared, changes, next)));
            }
            changes.mark_unchanged();
            let found = next(&shared.world.lock().unwrap());
            match found {
                Some(pieces) => waiting.extend(pieces),
                None => changes.changed().await.ok()?,
            }
        }
    });
    Response::builder().header(header::CONTENT_TYPE, "text/event-stream").body(Body::from_stream(pieces)).unwrap()
}

fn events(shared: &Arc<Shared>) -> Response<Body> {
    let (first, mut sent) = {
        let world = shared.world.lock().unwrap();
        (format!("id: e-{}\ndata: {}\n\n", world.said.len(), world.snapshot()), world.said.len())
    };
    streaming(vec![first.into()], shared, move |world| {
        let pieces = world.said.get(sent)?.clone();
        sent += 1;
        Some(pieces)
    })
}

fn task_events(shared: &Arc<Shared>, id: &str) -> Response<Body> {
    let (id, mut sent) = (id.to_owned(), 0);
    streaming(Vec::new(), shared, move |world| {
        let event = world.events.get(&id)?.get(sent)?;
        sent += 1;
        Some(vec![format!("id: {sent}\ndata: {event}\n\n").into()])
    })
}

/// A program that printed something and now waits.
async fn terminal(mut socket: WebSocket, shared: Arc<Shared>, id: String) {
    let (info, printed) = {
        let world = shared.world.lock().unwrap();
        (world.terminals.iter().find(|terminal| terminal["id"] == *id).cloned(), world.printed.get(&id).cloned().unwrap_or_default())
    };
    let Some(info) = info else { return };
    let hello = json!({ "type": "hello", "terminal": info, "viewer": 1, "readOnly": false, "owner": true });
    let snapshot = json!({ "type": "snapshot", "offset": printed.len(), "length": printed.len(), "size": info["size"], "lost": 0 });
    for message in [Message::Text(hello.to_string().into()), Message::Text(snapshot.to_string().into()), Message::Binary(printed.into())] {
        if socket.send(message).await.is_err() {
            return;
        }
    }
    while let Some(Ok(message)) = socket.recv().await {
        if let Message::Binary(bytes) = message {
            shared.world.lock().unwrap().typed.extend_from_slice(&bytes);
        }
    }
}

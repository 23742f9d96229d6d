//! A model that says what a test tells it to, for real agents to talk to: it speaks the protocols of the four that we drive, on loopback, with nobody behind it.
//!
//! What it says next is counted from the history in the request, so that sessions can run at once, go on later and fork, and nothing is remembered but how often
//! a fault was met. A request that offers no tools is no turn: it gets a word, or the least that fits the form that it asks for.

mod anthropic;
mod chat;
mod dialect;
mod gemini;
mod responses;
mod script;
mod tools;

use std::{
    collections::HashMap,
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, Response, header},
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

use dialect::{Ask, Dialect, Part, Reply};
use script::Turn;
pub(crate) use script::{Call, Fault, Script};
pub(crate) use tools::Native;

/// The largest request that is read. A history is far smaller.
const LARGEST: usize = 64 << 20;

/// A running model. Ends with every stream of it when dropped.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    script: Script,
    asked: Mutex<Vec<Asked>>,
    faults: Mutex<HashMap<String, u32>>,
    going_on: watch::Sender<bool>,
    next: AtomicU64,
}

/// A request, and what became of it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// `messages`, `responses`, `chat` or `gemini`.
    pub(crate) dialect: &'static str,
    /// Which turn of the script it was, from 0. `None`: none, it offered no tools.
    pub(crate) turn: Option<usize>,
    pub(crate) status: u16,
    pub(crate) model: String,
    /// The folder that the agent says it works in.
    pub(crate) cwd: String,
    pub(crate) tools: Vec<String>,
    /// What the system and the person said, oldest first.
    pub(crate) texts: Vec<String>,
    /// The calls that it was answered with.
    pub(crate) calls: Vec<Native>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Arc<Value>,
    end: Arc<AtomicU8>,
}

/// How far an answer got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Running,
    Whole,
    /// The agent hung up, or the script had it cut.
    Cut,
}

impl Asked {
    /// How far the answer to it got.
    pub(crate) fn end(&self) -> End {
        [End::Running, End::Whole, End::Cut][usize::from(self.end.load(Ordering::Acquire))]
    }
}

impl Model {
    /// Listens on loopback of the network namespace that the caller is in.
    pub(crate) fn start(script: Script) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (faults, asked) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { script, asked, faults, going_on: watch::Sender::new(false), next: AtomicU64::new(1) });
        let (stop, stopped) = oneshot::channel();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let serve = async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            tokio::select! {
                _ = stopped => {}
                failed = async { axum::serve(listener, app).await } => panic!("the model ended: {failed:?}"),
            }
        };
        // With the runtime ends what it has begun.
        let thread = std::thread::Builder::new().name("model".to_owned()).spawn(|| super::block_on(serve)).unwrap();
        Self { port, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it is reached.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Every request so far, in the order in which they came.
    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// The requests that were turns of the script.
    pub(crate) fn turns(&self) -> Vec<Asked> {
        self.requests().into_iter().filter(|asked| asked.turn.is_some()).collect()
    }

    /// Ends the silence of every turn that is `held`, now and later.
    pub(crate) fn go_on(&self) {
        self.shared.going_on.send_replace(true);
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

fn dialect_of(path: &str) -> Option<&'static dyn Dialect> {
    match path {
        _ if path.ends_with("/v1/messages") => Some(&anthropic::Messages),
        _ if path.ends_with("/v1/responses") => Some(&responses::Responses),
        _ if path.ends_with("/v1/chat/completions") => Some(&chat::Chat),
        _ if path.ends_with(":generateContent") || path.ends_with(":streamGenerateContent") => Some(&gemini::Gemini),
        _ => None,
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    if head.method == Method::HEAD {
        return plain(200, &json!({}));
    }
    if path.ends_with("/count_tokens") || path.ends_with(":countTokens") {
        return plain(200, &json!({ "input_tokens": 10, "totalTokens": 10 }));
    }
    if path.ends_with("/models") && head.method == Method::GET {
        return plain(200, &json!({ "object": "list", "data": [], "models": [], "has_more": false }));
    }
    let Some(dialect) = dialect_of(&path).filter(|_| head.method == Method::POST) else {
        return plain(404, &json!({ "error": { "message": format!("This model has no {} {path}.", head.method) } }));
    };
    let body = to_bytes(body, LARGEST).await.ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let Some(body) = body else { return plain(400, &dialect.error(400, "This is not JSON.")) };
    shared.reply(dialect, &path, head.headers, body)
}

impl Shared {
    fn reply(&self, dialect: &'static dyn Dialect, path: &str, headers: HeaderMap, body: Value) -> Response<Body> {
        let ask = dialect.read(path, &body);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = format!("{number:08}");
        let (turn, calls) = self.turn(&ask, &id);
        let fault = turn.fault.and_then(|(fault, times)| self.strikes(dialect, &ask, &headers, times).then_some(fault));
        let refusal = fault.and_then(|fault| refusal(fault, dialect));
        let status = refusal.as_ref().map_or(200, |refusal| refusal.0);
        let end = Arc::new(AtomicU8::new(u8::from(status != 200 || !ask.stream)));
        self.asked.lock().unwrap().push(Asked {
            dialect: dialect.name(),
            turn: (!ask.tools.is_empty()).then_some(ask.turns),
            status,
            cwd: ask.cwd(),
            calls: calls.clone(),
            headers,
            body: Arc::new(body),
            end: Arc::clone(&end),
            model: ask.model.clone(),
            tools: ask.tools,
            texts: ask.texts,
        });
        if let Some((status, more)) = refusal {
            let mut response = plain(status, &dialect.error(status, &format!("The script wants a {status} here.")));
            for (name, value) in more {
                response.headers_mut().insert(name, value);
            }
            return response;
        }
        let reply = Arc::new(Reply { id, model: ask.model, turn, calls });
        if ask.stream { self.stream(dialect, reply, fault == Some(Fault::Cut), end) } else { plain(200, &dialect.whole(&reply)) }
    }

    /// What to say to a request, and its calls in the agent's words.
    fn turn(&self, ask: &Ask, id: &str) -> (Turn, Vec<Native>) {
        if ask.tools.is_empty() {
            return (Turn::saying(ask.schema.as_ref().map_or("A word".to_owned(), |schema| dialect::least(schema).to_string())), Vec::new());
        }
        let mut turn = self.script.turn(ask.turns);
        let mut calls = Vec::new();
        for (index, call) in turn.calls.iter().enumerate() {
            match tools::native(call, ask, format!("call_{id}_{index}")) {
                Some(call) => calls.push(call),
                None => turn.text += &format!(" (There is no tool for {call:?}.)"),
            }
        }
        (turn, calls)
    }

    /// Whether a fault strikes this time. What is tried again has the same session and the same history.
    fn strikes(&self, dialect: &dyn Dialect, ask: &Ask, headers: &HeaderMap, times: Option<u32>) -> bool {
        let sessions: Vec<_> = headers.iter().filter(|(name, _)| name.as_str().contains("session")).collect();
        let who = if sessions.is_empty() { format!("{:?}", ask.texts) } else { format!("{sessions:?}") };
        let mut faults = self.faults.lock().unwrap();
        let so_far = faults.entry(format!("{} {} {who}", dialect.name(), ask.turns)).or_default();
        *so_far += 1;
        times.is_none_or(|times| *so_far <= times)
    }

    fn stream(&self, dialect: &'static dyn Dialect, reply: Arc<Reply>, cut: bool, end: Arc<AtomicU8>) -> Response<Body> {
        let (pause, held) = (reply.turn.pause, reply.turn.held);
        let state = (dialect::parts(dialect, reply), self.going_on.subscribe(), Ending { end, whole: false });
        let sent = stream::unfold(state, move |(mut parts, mut going_on, mut ending)| async move {
            loop {
                let bytes = match parts.next() {
                    None => {
                        ending.is_whole();
                        return None;
                    }
                    Some(Part::Said) if cut => {
                        // What was said is sent only when there is nothing more to send at once.
                        tokio::task::yield_now().await;
                        return Some((Err(std::io::Error::other("cut as told")), (parts, going_on, ending)));
                    }
                    Some(Part::Said) if held => {
                        let _gone_with_the_model = going_on.wait_for(|on| *on).await;
                        continue;
                    }
                    Some(Part::Said) => continue,
                    Some(Part::Bytes(bytes)) => bytes,
                    Some(Part::Delta(bytes)) => {
                        if !pause.is_zero() {
                            tokio::time::sleep(pause).await;
                        }
                        bytes
                    }
                };
                return Some((Ok::<Bytes, std::io::Error>(bytes), (parts, going_on, ending)));
            }
        });
        let mut response = Response::new(Body::from_stream(sent.boxed()));
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/event-stream"));
        response
    }
}

/// Notes how a stream ended, whoever ended it.
#[derive(Debug)]
struct Ending {
    end: Arc<AtomicU8>,
    whole: bool,
}

impl Ending {
    fn is_whole(&mut self) {
        self.whole = true;
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.end.store(if self.whole { 1 } else { 2 }, Ordering::Release);
    }
}

/// The status and the headers of a fault. `None` for one that comes later.
fn refusal(fault: Fault, dialect: &dyn Dialect) -> Option<(u16, Vec<(&'static str, header::HeaderValue)>)> {
    match fault {
        Fault::RateLimited { retry_after } => Some((429, vec![("retry-after", retry_after.into())])),
        Fault::UsedUp { resets_in } => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
            let word = header::HeaderValue::from_static;
            let headers = vec![
                ("anthropic-ratelimit-unified-status", word("rejected")),
                ("anthropic-ratelimit-unified-representative-claim", word("five_hour")),
                ("anthropic-ratelimit-unified-reset", (now + u64::from(resets_in)).into()),
            ];
            Some((429, headers))
        }
        Fault::Overloaded => Some((dialect.overloaded(), vec![("retry-after", 1.into())])),
        Fault::Refused => Some((400, Vec::new())),
        Fault::Cut => None,
    }
}

fn plain(status: u16, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = axum::http::StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

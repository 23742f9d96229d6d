//! A node that is none: says what a test wants it to say, over plain HTTP, and keeps what it was asked.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::{Value, json};

/// How it takes the answer to an approval.
#[derive(Debug, Clone)]
pub(crate) enum Taking {
    /// With this status and body.
    Says(u16, Value),
    /// Not at all: it reads the answer and hangs up.
    HangsUp,
}

/// What it is and does.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) scopes: Vec<&'static str>,
    /// What its streams begin with.
    pub(crate) snapshot: Value,
    pub(crate) taking: Taking,
    /// Whether its streams can be resumed.
    pub(crate) resumes: bool,
    /// `METHOD target` and body of everything but health and identity.
    pub(crate) heard: Vec<(String, String)>,
    streams: Vec<TcpStream>,
}

/// The node. It answers until the test is over.
#[derive(Debug)]
pub(crate) struct FakePeer {
    pub(crate) node_id: String,
    pub(crate) address: SocketAddr,
    part: Arc<Mutex<Part>>,
}

impl FakePeer {
    pub(crate) fn new(name: &'static str, scopes: &[&'static str], snapshot: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (node_id, address) = (format!("{name}-0000-4000-8000-000000000001"), listener.local_addr().unwrap());
        let part = Part { scopes: scopes.to_vec(), snapshot, taking: Taking::HangsUp, resumes: true, heard: Vec::new(), streams: Vec::new() };
        let part = Arc::new(Mutex::new(part));
        let (id, shared) = (node_id.clone(), Arc::clone(&part));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (id, part) = (id.clone(), Arc::clone(&shared));
                std::thread::spawn(move || drop(serve(stream, name, &id, address.port(), &part)));
            }
        });
        Self { node_id, address, part }
    }

    pub(crate) fn part(&self) -> MutexGuard<'_, Part> {
        self.part.lock().unwrap()
    }

    /// How many answers to approvals it heard.
    pub(crate) fn answers(&self) -> Vec<(String, String)> {
        self.part().heard.iter().filter(|(line, _)| line.starts_with("POST /api/v1/approvals/")).cloned().collect()
    }

    /// Says something on all its streams.
    pub(crate) fn say(&self, event: &Value) {
        self.part().streams.retain_mut(|stream| stream.write_all(format!("data: {event}\n\n").as_bytes()).is_ok());
    }

    /// Ends its streams.
    pub(crate) fn hang_up(&self) {
        self.part().streams.drain(..).for_each(|stream| drop(stream.shutdown(std::net::Shutdown::Both)));
    }
}

fn serve(stream: TcpStream, name: &str, id: &str, port: u16, part: &Mutex<Part>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    if reader.fill_buf()?.first() == Some(&0x16) {
        return Ok(()); // TLS is not its kind
    }
    let (mut first, mut length, mut body) = (String::new(), 0, String::new());
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? <= 2 {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    reader.take(length).read_to_string(&mut body)?;
    let line = first.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut part = part.lock().unwrap();
    let identity =
        || json!({ "nodeId": id, "hostname": name, "platform": "linux", "version": "1.0.0", "port": port, "capabilities": [], "scopes": part.scopes });
    let (status, body) = match line.as_str() {
        "GET /api/v1/health" => (200, json!({ "status": "ok", "nodeId": id, "uptime": 1, "version": "1.0.0", "now": 1 })),
        "GET /api/v1/identity" | "POST /api/v1/peers/handshake" => (200, identity()),
        _ => {
            part.heard.push((line.clone(), body));
            match part.taking.clone() {
                _ if line.starts_with("GET /api/v1/events") => {
                    let mut stream = stream;
                    if line.contains("since=") && part.resumes {
                        write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nx-loopsy-resumed: true\r\nConnection: close\r\n\r\n")?;
                        part.streams.push(stream);
                        return Ok(());
                    }
                    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\nid: e-1\ndata: {}\n\n", part.snapshot)?;
                    part.streams.push(stream);
                    return Ok(());
                }
                Taking::Says(status, body) if line.contains("/approvals/") => (status, body),
                _ if line.contains("/approvals/") => return stream.shutdown(std::net::Shutdown::Both),
                _ => (404, json!({ "error": { "code": 9004, "message": "No." } })),
            }
        }
    };
    let body = body.to_string();
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

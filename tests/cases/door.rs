//! Every other machine is reached through the local daemon: everything passes, and no key goes where it does not belong.

use std::{
    io::{BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::{Value, json};

use crate::support::{Pair, Sse, TestDaemon, http, until};

/// Something that says it is a node. It takes any key, and remembers every request.
struct FakePeer {
    port: u16,
    node_id: Arc<Mutex<String>>,
    seen: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
}

impl FakePeer {
    fn start(node_id: &str, port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let fake =
            Self { port: listener.local_addr().unwrap().port(), node_id: Arc::new(Mutex::new(node_id.to_owned())), seen: Arc::default(), stop: Arc::default() };
        let (node_id, seen, stop, port) = (Arc::clone(&fake.node_id), Arc::clone(&fake.seen), Arc::clone(&fake.stop), fake.port);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (node_id, seen) = (Arc::clone(&node_id), Arc::clone(&seen));
                std::thread::spawn(move || serve(stream.unwrap(), &node_id, &seen, port));
            }
        });
        fake
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Stops listening. Connections that are open are closed by their own threads after one request.
    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        until("the port to be free", || TcpListener::bind(("127.0.0.1", self.port)).ok());
    }
}

impl Drop for FakePeer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn serve(stream: TcpStream, node_id: &Mutex<String>, seen: &Mutex<Vec<String>>, port: u16) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    loop {
        let mut line = String::new();
        match std::io::BufRead::read_line(&mut reader, &mut line) {
            Ok(1..) if !line.trim().is_empty() => head.push_str(&line),
            _ => break,
        }
    }
    let header =
        |name: &str| head.lines().find_map(|line| line.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()));
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    if head.is_empty() {
        return;
    }
    let length: u64 = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = String::new();
    let _cut = reader.by_ref().take(length).read_to_string(&mut body);
    seen.lock().unwrap().push(format!("{head}\n{body}"));
    let id = node_id.lock().unwrap().clone();
    let identity = json!({ "nodeId": id, "hostname": "fake", "platform": "linux", "version": "1", "port": port, "capabilities": ["execute"] });
    let mut stream = stream;
    let mut say = |status: &str, headers: &str, body: &str| {
        let _gone =
            write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
    };
    match target.split('?').next().unwrap_or_default() {
        "/api/v1/health" => say("200 OK", "", &json!({ "status": "ok", "nodeId": id, "uptime": 1, "version": "1" }).to_string()),
        "/api/v1/identity" | "/api/v1/peers/handshake" => say("200 OK", "", &identity.to_string()),
        "/api/v1/redirect" => say("307 Temporary Redirect", "Location: http://127.0.0.1:1/stolen\r\nSet-Cookie: a=b\r\n", "{}"),
        "/api/v1/half" => {
            let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"half\":");
        }
        "/api/v1/nonsense" => {
            let _gone = stream.write_all(b"this is not HTTP at all\r\n\r\n");
        }
        "/api/v1/terminal" => {
            assert_eq!(header("upgrade").as_deref(), Some("loopsy-echo"));
            stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: loopsy-echo\r\n\r\nhello ").unwrap();
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                if stream.write_all(&buffer[..read].to_ascii_uppercase()).is_err() {
                    return;
                }
            }
        }
        _ => say("200 OK", "X-Mine: yes\r\nKeep-Alive: 1\r\n", &json!({ "target": target, "head": head, "body": body }).to_string()),
    }
}

const FAKE: &str = "fa4e0000-0000-4000-8000-000000000001";

fn with_fake() -> (TestDaemon, FakePeer) {
    let leo = TestDaemon::on_fixed_port("leo");
    let fake = FakePeer::start(FAKE, 0);
    leo.post("/api/v1/peers/connect", json!({ "address": "127.0.0.1", "port": fake.port, "key": "lpk_the-key-for-the-fake" })).ok();
    (leo, fake)
}

#[test]
fn a_peer_is_named_by_hostname_id_or_prefix() {
    let pair = Pair::new();
    let id = &pair.kai.node_id;
    for name in ["kai", "KAI", id.as_str(), &id[..8], &id[..4], "127.0.0.1", &format!("127.0.0.1:{}", pair.kai.port())] {
        let name = loopsy_shared::api::wire::encode_segment(name);
        assert_eq!(pair.leo.get(&format!("/api/v1/at/{name}/identity")).ok().json()["nodeId"], id.as_str(), "{name}");
    }
    for name in ["ka", &id[..3], "%20", "nobody"] {
        pair.leo.get(&format!("/api/v1/at/{name}/identity")).refused(404, 2001);
    }
    assert_eq!(pair.leo.get("/api/v1/at/kai").status, 404);
    assert_eq!(pair.leo.loopsy(&["exec", &id[..6], "echo", "hi"]).ok().text(), "hi\n");
}

#[test]
fn exec_context_and_files_pass() {
    let pair = Pair::new();
    let ran = pair.leo.post("/api/v1/at/kai/execute", json!({ "command": "pwd" })).ok().json();
    assert_eq!(ran["stdout"].as_str().unwrap().trim(), pair.kai.home.home().to_str().unwrap());
    let mut stream =
        Sse::open(pair.leo.address, &pair.leo.key, "POST", "/api/v1/at/kai/execute/stream", None, Some(&json!({ "command": "echo", "args": ["hi"] })));
    assert_eq!(stream.status, 200);
    assert_eq!(stream.next().data["data"], "hi\n");
    assert_eq!(stream.next().data["type"], "exit");
    assert!(stream.try_next().unwrap().is_none());
    pair.kai.home.write("ä \"q\".bin", [0u8, 255, 10, 13]);
    let pulled = pair.leo.post("/api/v1/at/kai/transfer/pull", json!({ "sourcePath": "ä \"q\".bin" })).ok();
    assert_eq!(pulled.body, [0u8, 255, 10, 13]);
    assert_eq!((pulled.header("content-length"), pulled.header("x-loopsy-file-size")), (Some("4"), Some("4")));
    // The caller's name is recorded there, and who it really was is in the audit log of kai.
    pair.leo.call("PUT", "/api/v1/at/kai/context/k", Some(json!({ "value": "v" }))).ok();
    assert_eq!(pair.kai.get("/api/v1/context/k").ok().json()["fromNodeId"], pair.leo.node_id.as_str());
    until("the line in kai's log", || {
        let log = std::fs::read_to_string(pair.kai.home.data().join("logs/audit.jsonl")).unwrap();
        log.lines().any(|line| line.contains("/api/v1/context/k") && line.contains("\"principal\":\"leo\"")).then_some(())
    });
    // Refusals pass as they are.
    pair.leo.get("/api/v1/at/kai/context/none").refused(404, 5001);
    pair.leo.get("/api/v1/at/kai/nothing").refused(404, 9004);
    pair.leo.get("/api/v1/at/kai/at/leo/status").refused(403, 1004);
    pair.leo.post("/api/v1/at/kai/reload", json!({})).refused(403, 1004);
}

#[test]
fn what_stays_and_what_travels() {
    let (leo, fake) = with_fake();
    let bearer = format!("Bearer {}", leo.key);
    let headers =
        [("Authorization", bearer.as_str()), ("Cookie", "session=1"), ("X-Custom", "stays"), ("Content-Type", "text/x-anything"), ("Range", "bytes=1-")];
    let answer = leo.raw("PATCH", "/api/v1/at/fake/any%2Fwhere/%C3%A4%25?q=%2F&q=2", &headers, Some(b"the body")).ok();
    let echo = answer.json();
    assert_eq!(echo["target"], "/api/v1/any%2Fwhere/%C3%A4%25?q=%2F&q=2", "byte for byte");
    assert_eq!(echo["body"], "the body");
    let head = echo["head"].as_str().unwrap().to_ascii_lowercase();
    assert!(head.starts_with("patch "));
    for there in
        ["x-custom: stays", "content-type: text/x-anything", "range: bytes=1-", "bearer lpk_the-key-for-the-fake", &format!("host: 127.0.0.1:{}", fake.port)]
    {
        assert!(head.contains(there), "no `{there}` in {head}");
    }
    for here in ["cookie", &leo.key.to_ascii_lowercase(), "sec-fetch"] {
        assert!(!head.contains(here), "`{here}` left the node: {head}");
    }
    assert_eq!((answer.header("x-mine"), answer.header("keep-alive").is_some()), (Some("yes"), true));
}

#[test]
fn redirects_are_passed_on_and_not_followed() {
    let (leo, fake) = with_fake();
    let answer = leo.get("/api/v1/at/fake/redirect");
    assert_eq!((answer.status, answer.header("location")), (307, Some("http://127.0.0.1:1/stolen")));
    assert!(!fake.seen().iter().any(|request| request.contains("stolen")));
    // Nor does the typed client follow one that a node sends.
    let ran = leo.loopsy(&["context", "get", "k", "--peer", "fake"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
}

#[test]
fn a_peer_that_stops_in_the_middle() {
    let (leo, _fake) = with_fake();
    let answer = leo.get("/api/v1/at/fake/nonsense");
    let said = answer.refused(502, 2003);
    assert!(said.contains("fake"), "{said}");
    // A body that ends too early is not passed off as whole.
    let mut stream = http::dial(leo.address);
    write!(stream, "GET /api/v1/at/fake/half HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n", leo.address, leo.key).unwrap();
    let mut reader = BufReader::new(stream);
    // No answer at all, a refusal, or a connection that breaks: anything but a whole answer.
    if let Some((status, headers)) = http::read_head(&mut reader) {
        let mut body = Vec::new();
        let ended = reader.read_to_end(&mut body);
        let announced: usize = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, length)| length.parse().unwrap());
        let whole = ended.is_ok() && (body.ends_with(b"0\r\n\r\n") || (announced > 0 && body.len() >= announced));
        assert!(status >= 500 || !whole, "{status}: {}", String::from_utf8_lossy(&body));
    }
    leo.get("/api/v1/at/fake/identity").ok();
}

#[test]
fn an_upgrade_passes_both_ways() {
    let (mut leo, _fake) = with_fake();
    let open = || {
        let mut stream = http::dial(leo.address);
        write!(
            stream,
            "GET /api/v1/at/fake/terminal?cols=80 HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nConnection: Upgrade\r\nUpgrade: loopsy-echo\r\n\r\nearly ",
            leo.address, leo.key
        )
        .unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (status, headers) = http::read_head(&mut reader).unwrap();
        assert_eq!(status, 101);
        assert!(headers.iter().any(|(name, value)| name == "upgrade" && value == "loopsy-echo"), "{headers:?}");
        (stream, reader)
    };
    let (mut stream, mut reader) = open();
    stream.write_all(b"and late").unwrap();
    let mut said = [0; "hello EARLY AND LATE".len()];
    reader.read_exact(&mut said).unwrap();
    assert_eq!(std::str::from_utf8(&said).unwrap(), "hello EARLY AND LATE");
    let big = vec![b'a'; 1 << 20];
    let mut writer = stream.try_clone().unwrap();
    let sent = big.clone();
    let writing = std::thread::spawn(move || writer.write_all(&sent).unwrap());
    let mut back = vec![0; big.len()];
    reader.read_exact(&mut back).unwrap();
    writing.join().unwrap();
    assert!(back == big.to_ascii_uppercase());
    drop((stream, reader));
    // Open ones end with the key, and do not hold up the end of the daemon.
    let (_stream, mut reader) = open();
    let new = leo.post("/api/v1/key", json!({})).ok().json()["key"].as_str().unwrap().to_owned();
    let mut rest = Vec::new();
    let _ended = reader.read_to_end(&mut rest);
    leo.key = new;
    let took = leo.stop();
    assert!(took < std::time::Duration::from_secs(2), "{took:?}");
}

#[test]
fn no_key_is_sent_to_where_another_node_answers() {
    let (mut leo, fake) = with_fake();
    leo.get("/api/v1/at/fake/identity").ok();
    let port = fake.port;
    assert!(fake.seen().iter().any(|request| request.contains("lpk_the-key-for-the-fake")));
    fake.stop();
    leo.get("/api/v1/at/fake/identity").refused(502, 2003);
    // Another machine has got the address.
    let thief = FakePeer::start("00000000-bad0-4000-8000-000000000002", port);
    for _ in 0..3 {
        let said = leo.get("/api/v1/at/fake/identity").refused(502, 2004);
        assert!(said.contains("fake") && said.contains("No key was sent"), "{said}");
        leo.call("PUT", "/api/v1/at/fake/context/k", Some(json!({ "value": "a secret value" }))).refused(502, 2004);
    }
    assert_eq!(leo.loopsy(&["exec", "fake", "true"]).code, 3);
    leo.stop();
    leo.launch(&[]);
    leo.get("/api/v1/at/fake/identity").refused(502, 2004);
    until("health checks", || (thief.seen().len() > 5).then_some(()));
    for request in thief.seen() {
        assert!(!request.contains("lpk_") && !request.to_ascii_lowercase().contains("authorization") && !request.contains("secret"), "it got: {request}");
    }
    assert_ne!(leo.peer("fake").unwrap()["status"], "online", "online means that this very node answered");
    thief.stop();
    let back = FakePeer::start(FAKE, port);
    until("the way back", || (leo.get("/api/v1/at/fake/identity").status == 200).then_some(()));
    drop(back);
}

#[test]
fn a_peer_without_a_key_is_named_and_not_called() {
    let leo = TestDaemon::new("leo");
    let fake = FakePeer::start(FAKE, 0);
    leo.post("/api/v1/peers", json!({ "address": "127.0.0.1", "port": fake.port, "hostname": "fake" })).ok();
    until("its id", || leo.peer("fake").filter(|peer| peer["nodeId"] == FAKE));
    let answer = leo.get("/api/v1/at/fake/status");
    assert!(answer.refused(409, 2008).contains("loopsy pair"));
    assert_eq!(leo.loopsy(&["context", "set", "k", "v", "--peer", "fake"]).code, 4);
    assert_eq!(leo.get("/api/v1/context").ok().json()["entries"], Value::Array(Vec::new()), "it fell back to the local store");
    assert!(!fake.seen().iter().any(|request| request.to_ascii_lowercase().contains("authorization")));
}

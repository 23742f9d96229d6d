//! HTTP by hand, so that requests can be as wrong as a test needs them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

use super::PATIENCE;

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: status {} {}", self.status, self.text()))
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text());
        self
    }

    /// The code in the error body; 0 when there is none.
    pub(crate) fn code(&self) -> u64 {
        serde_json::from_slice::<Value>(&self.body).ok().and_then(|body| body["error"]["code"].as_u64()).unwrap_or(0)
    }

    /// A refusal as all of ours are: this status and code, a sentence, nothing that drives a terminal. Returns sentence and hint.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: u64) -> String {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json; charset=utf-8"));
        let body = self.json();
        let error = body["error"].as_object().unwrap();
        assert!(error.keys().all(|key| ["code", "message", "hint"].contains(&key.as_str())) && body.as_object().unwrap().len() == 1, "{}", self.text());
        let message = error["message"].as_str().unwrap();
        assert!(message.len() > 8 && message.ends_with(['.', '?', '!', '`', ')']), "not a sentence: {message}");
        assert!(!message.chars().any(char::is_control), "{message:?}");
        format!("{message} {}", error.get("hint").and_then(Value::as_str).unwrap_or_default())
    }
}

pub(crate) fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// One request on a connection of its own.
pub(crate) fn request(address: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
    exchange(address, &compose(address, method, target, headers, body, false), method == "HEAD")
}

/// The bytes of a request.
pub(crate) fn compose(address: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)], body: Option<&[u8]>, keep: bool) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    if !keep {
        head.push_str("Connection: close\r\n");
    }
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body.unwrap_or_default());
    bytes
}

/// Sends bytes as they are and reads one answer.
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8], no_body: bool) -> Answer {
    let stream = dial(address);
    // A server that refuses early closes while we still write; its answer counts.
    let mut writer = stream.try_clone().unwrap();
    let _refused_early = writer.write_all(bytes);
    read_answer(&mut BufReader::new(stream), no_body)
}

/// Reads one answer, and leaves what follows it.
pub(crate) fn read_answer(reader: &mut impl BufRead, no_body: bool) -> Answer {
    let (status, headers) = read_head(reader).expect("an answer");
    let mut answer = Answer { status, headers, body: Vec::new() };
    if no_body || status == 204 || status == 304 || status < 200 {
        return answer;
    }
    if answer.header("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
        let mut chunked = Chunked { reader, left: 0, over: false };
        chunked.read_to_end(&mut answer.body).unwrap();
    } else if let Some(length) = answer.header("content-length").and_then(|length| length.parse::<u64>().ok()) {
        reader.take(length).read_to_end(&mut answer.body).unwrap();
    } else {
        let _reset_after_the_answer = reader.read_to_end(&mut answer.body);
    }
    answer
}

/// Status line and headers.
pub(crate) fn read_head(reader: &mut impl BufRead) -> Option<(u16, Vec<(String, String)>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let status = line.split(' ').nth(1)?.parse().ok()?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => return Some((status, headers)),
        }
    }
}

/// A chunked body, read as it comes.
#[derive(Debug)]
pub(crate) struct Chunked<R> {
    reader: R,
    left: usize,
    over: bool,
}

impl<R: BufRead> Read for Chunked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.over {
            return Ok(0);
        }
        if self.left == 0 {
            let mut line = String::new();
            self.reader.read_line(&mut line)?;
            if line.trim().is_empty() && !line.is_empty() {
                line.clear();
                self.reader.read_line(&mut line)?;
            }
            let size = usize::from_str_radix(line.trim(), 16).map_err(|_| std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the body was cut"))?;
            if size == 0 {
                self.over = true;
                return Ok(0);
            }
            self.left = size;
        }
        let most = buffer.len().min(self.left);
        let read = self.reader.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the body was cut"));
        }
        self.left -= read;
        Ok(read)
    }
}

/// One event.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) data: Value,
}

/// A stream of events, read by hand. Dropping it cuts the connection.
#[derive(Debug)]
pub(crate) struct Sse {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    lines: BufReader<Chunked<BufReader<TcpStream>>>,
    stream: TcpStream,
}

impl Sse {
    pub(crate) fn open(address: SocketAddr, key: &str, method: &str, target: &str, last: Option<&str>, body: Option<&Value>) -> Self {
        let stream = dial(address);
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n");
        if let Some(last) = last {
            head.push_str(&format!("Last-Event-ID: {last}\r\n"));
        }
        if !body.is_empty() {
            head.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        head.push_str(&body);
        let mut writer = stream.try_clone().unwrap();
        writer.write_all(head.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (status, headers) = read_head(&mut reader).expect("an answer");
        Self { status, headers, lines: BufReader::new(Chunked { reader, left: 0, over: false }), stream }
    }

    /// How long the next read may take.
    pub(crate) fn patience(&self, time: Duration) {
        self.stream.set_read_timeout(Some(time)).unwrap();
    }

    /// The next block of lines: an event or a comment. `None` at the clean end; an error when it was cut or silent.
    pub(crate) fn block(&mut self) -> std::io::Result<Option<Vec<String>>> {
        let mut block = Vec::new();
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            let line = line.trim_end_matches(['\r', '\n']).to_owned();
            if line.is_empty() {
                if !block.is_empty() {
                    return Ok(Some(block));
                }
            } else {
                block.push(line);
            }
        }
    }

    /// The next event; comments are passed over.
    pub(crate) fn try_next(&mut self) -> std::io::Result<Option<Event>> {
        loop {
            let Some(block) = self.block()? else { return Ok(None) };
            let field = |name: &str| block.iter().find_map(|line| line.strip_prefix(name).map(|rest| rest.trim_start().to_owned()));
            if let Some(data) = field("data:") {
                return Ok(Some(Event { id: field("id:"), data: serde_json::from_str(&data).unwrap() }));
            }
        }
    }

    #[track_caller]
    pub(crate) fn next(&mut self) -> Event {
        self.try_next().expect("an event").expect("an event, not the end")
    }
}

//! HTTP/1.1 by hand: requests that are bytes before the clock runs, answers that are hardly looked at. Blocking.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::Result;

/// No answer takes this long.
const PATIENCE: Duration = Duration::from_secs(120);

/// Who is asked, and with which key.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
}

impl Target {
    /// The bytes of a request without a body.
    pub(crate) fn get(&self, path: &str) -> Vec<u8> {
        self.head("GET", path, "").into_bytes()
    }

    /// The bytes of a request with a JSON body.
    pub(crate) fn json(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let more = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        (self.head(method, path, &more) + body).into_bytes()
    }

    /// The head of a request, with the blank line.
    pub(crate) fn head(&self, method: &str, path: &str, more: &str) -> String {
        format!("{method} /api/v1{path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n{more}\r\n", self.address, self.key)
    }

    /// One request on a connection of its own; the body of the answer.
    pub(crate) fn ask(&self, request: &[u8]) -> Result<Vec<u8>> {
        let mut connection = Connection::open(self.address)?;
        connection.ask(request).map(<[u8]>::to_vec)
    }

    /// The same, read as JSON.
    pub(crate) fn ask_json(&self, request: &[u8]) -> Result<serde_json::Value> {
        Ok(serde_json::from_slice(&self.ask(request)?)?)
    }
}

/// A connection that is kept.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: vec![0; 64 << 10] })
    }

    /// Sends a request and gives the body of a good answer, which must say its length.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.stream.write_all(request)?;
        self.answer()
    }

    /// Reads one good answer, which must say its length.
    pub(crate) fn answer(&mut self) -> Result<&[u8]> {
        let mut filled = 0;
        let (start, end) = loop {
            let read = self.stream.read(&mut self.buffer[filled..])?;
            filled += read;
            if let Some((start, length)) = measure(&self.buffer[..filled])? {
                break (start, start + length);
            }
            if read == 0 || filled == self.buffer.len() {
                return Err("the connection broke off in the head of an answer".into());
            }
        };
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        if filled < end {
            self.stream.read_exact(&mut self.buffer[filled..end])?;
        }
        Ok(&self.buffer[start..end])
    }
}

/// Where the body of a good answer starts and how long it is; nothing while the head is not whole.
pub(crate) fn measure(answer: &[u8]) -> Result<Option<(usize, usize)>> {
    const LENGTH: &[u8] = b"\r\ncontent-length: ";
    let Some(head) = find(answer, b"\r\n\r\n") else { return Ok(None) };
    if !answer.starts_with(b"HTTP/1.1 2") {
        return Err(format!("refused: {}", String::from_utf8_lossy(&answer[..answer.len().min(700)])).into());
    }
    let at = find(&answer[..head + 2], LENGTH).ok_or("an answer does not say its length")? + LENGTH.len();
    let length = answer[at..].iter().take_while(|byte| byte.is_ascii_digit()).fold(0, |sum, byte| sum * 10 + usize::from(byte - b'0'));
    Ok(Some((head + 4, length)))
}

/// Where `part` first is.
pub(crate) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

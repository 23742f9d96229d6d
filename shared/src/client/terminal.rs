//! A terminal as somebody sees it who is not at its node: every byte once, whatever happens to the connection.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{FutureExt, Sink, Stream, future::BoxFuture};
use http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

use super::{Client, ClientError};
use crate::api::{
    ApiError, Code,
    terminals::{AttachTerminal, FromTerminal, TerminalExit, TerminalInfo, TerminalSize, ToTerminal},
    wire,
};

/// First wait before a lost connection is tried again; doubles up to [`MAX_DELAY`].
const FIRST_DELAY: Duration = Duration::from_millis(100);
const MAX_DELAY: Duration = Duration::from_secs(5);
/// Three missed pings: the connection is dead.
const SILENCE: Duration = Duration::from_secs(45);
/// Input that waits to be sent, in bytes. Past this nothing more should be read from whoever types.
const MOST_WAITING: usize = 1 << 20;
/// Largest frame that is sent.
const FRAME: usize = 256 << 10;

type Socket = WebSocketStream<reqwest::Upgraded>;

/// What an attachment brings.
#[derive(Debug)]
pub enum Attached {
    /// It is connected, again perhaps.
    Hello {
        /// The terminal as it is now.
        terminal: Box<TerminalInfo>,
        /// Whether this viewer owns the size.
        owner: bool,
    },
    /// The whole state follows, as [`Attached::Drawn`]: for a fresh terminal of this size.
    Snapshot {
        /// The screen.
        size: TerminalSize,
        /// Bytes that were printed and that were not seen here.
        lost: u64,
    },
    /// A part of a snapshot.
    Drawn(Bytes),
    /// What the program printed.
    Printed(Bytes),
    /// The screen has this size from here on.
    Resize(TerminalSize),
    /// Whether this viewer owns the size has changed.
    Owner(bool),
    /// The program has ended; nothing more comes.
    Exit(TerminalExit),
    /// The connection broke; it is tried again, for ever.
    Lost(String),
}

/// Somebody who looks at a terminal, over connections that may break.
pub struct Attachment {
    client: Client,
    request: AttachTerminal,
    socket: Option<Box<Socket>>,
    connecting: Option<BoxFuture<'static, Result<Box<Socket>, ClientError>>>,
    window: Option<TerminalSize>,
    owner: bool,
    /// The offset of the next byte; none when a snapshot is due.
    next: Option<u64>,
    /// Bytes of a snapshot that are still to come.
    drawing: u64,
    waiting: VecDeque<Message>,
    waiting_bytes: usize,
    heard: Instant,
    delay: Duration,
    over: bool,
}

impl std::fmt::Debug for Attachment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attachment").field("request", &self.request).field("next", &self.next).finish_non_exhaustive()
    }
}

impl Client {
    /// Attaches to a terminal. Waits until that is done, so that a refusal is told at once.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn attach(&self, request: AttachTerminal) -> Result<Attachment, ClientError> {
        let socket = connect(self.clone(), request.clone()).await?;
        let window = request.cols.zip(request.rows).map(|(cols, rows)| TerminalSize { cols, rows });
        Ok(Attachment {
            client: self.clone(),
            next: None,
            request,
            socket: Some(socket),
            connecting: None,
            window,
            owner: false,
            drawing: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            heard: Instant::now(),
            delay: FIRST_DELAY,
            over: false,
        })
    }
}

/// The handshake.
async fn connect(client: Client, request: AttachTerminal) -> Result<Box<Socket>, ClientError> {
    let parts = wire::split(&request).map_err(ClientError::Api)?;
    // A nonce of 16 bytes in base64. It only has to be there: nobody between here and the node answers for it.
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let key = HeaderValue::try_from(format!("{}A==", &nonce[..21])).unwrap_or(HeaderValue::from_static("bG9vcHN5LXRlcm1pbmFsIQ=="));
    let response = client
        .request(http::Method::GET, &parts.target)?
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, key)
        .send()
        .await
        .map_err(|error| client.unreachable(&error))?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = response.status();
        client.accept(response).await?;
        return Err(client.garbled(format!("status {status} instead of a WebSocket")));
    }
    let upgraded = response.upgrade().await.map_err(|error| client.unreachable(&error))?;
    Ok(Box::new(WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await))
}

impl Client {
    fn garbled(&self, what: String) -> ClientError {
        ClientError::Protocol { address: self.address().to_owned(), what }
    }
}

impl Attachment {
    /// The offset of the next byte that the program prints; none before the first snapshot is complete.
    pub fn offset(&self) -> Option<u64> {
        self.next.filter(|_| self.drawing == 0)
    }

    /// Whether more input should be taken from whoever types.
    pub fn has_room(&self) -> bool {
        self.waiting_bytes < MOST_WAITING
    }

    /// Types. It is sent while [`Attachment::next`] is awaited; what was on its way when a connection broke may be lost, and never comes twice.
    pub fn input(&mut self, bytes: impl Into<Bytes>) {
        let mut bytes = bytes.into();
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(FRAME));
            self.waiting_bytes += piece.len();
            self.waiting.push_back(Message::Binary(piece));
        }
    }

    /// Tells the size of the window, which counts if this viewer owns the terminal's.
    pub fn resize(&mut self, size: TerminalSize) {
        self.window = Some(size);
        self.say(&ToTerminal { resize: Some(size), claim: false });
    }

    /// Takes the size over.
    pub fn claim(&mut self) {
        self.say(&ToTerminal { resize: self.window, claim: true });
    }

    fn say(&mut self, frame: &ToTerminal) {
        // What it would say while it is not connected, it says when it connects.
        if let (Some(_), Ok(text)) = (&self.socket, serde_json::to_string(frame)) {
            self.waiting.push_back(Message::Text(text.into()));
        }
    }

    /// What comes next; nothing after the end. Can be dropped while it waits without losing anything.
    ///
    /// # Errors
    /// When the node refuses, or says something that is not understood. Broken connections show as [`Attached::Lost`].
    pub async fn next(&mut self) -> Option<Result<Attached, ClientError>> {
        loop {
            if self.over {
                return None;
            }
            if self.socket.is_none() {
                match self.reconnect().await {
                    Ok(()) => {}
                    Err(error) if error.is_connection() => return Some(Ok(Attached::Lost(error.to_string()))),
                    Err(error) => {
                        self.over = true;
                        return Some(Err(error));
                    }
                }
            }
            let left = SILENCE.saturating_sub(self.heard.elapsed());
            let message = match tokio::time::timeout(left, self.drive()).await {
                Ok(Some(message)) => message,
                Ok(None) => return Some(Ok(self.lost("the connection was closed"))),
                Err(_) => return Some(Ok(self.lost("no word for 45 seconds"))),
            };
            self.heard = Instant::now();
            self.delay = FIRST_DELAY;
            match message {
                Message::Binary(bytes) => return Some(self.bytes(bytes)),
                Message::Text(text) => match serde_json::from_str(&text) {
                    Ok(frame) => {
                        if let Some(attached) = self.frame(frame) {
                            return Some(Ok(attached));
                        }
                    }
                    Err(error) => {
                        self.over = true;
                        return Some(Err(self.client.garbled(error.to_string())));
                    }
                },
                Message::Close(Some(frame)) if u16::from(frame.code) == 1008 => {
                    self.over = true;
                    return Some(Err(ClientError::Api(ApiError::new(Code::InvalidKey, "The key was revoked."))));
                }
                Message::Close(_) => return Some(Ok(self.lost("the node closed the connection"))),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    fn bytes(&mut self, bytes: Bytes) -> Result<Attached, ClientError> {
        let length = bytes.len() as u64;
        if self.drawing >= length && self.drawing > 0 {
            self.drawing -= length;
            return Ok(Attached::Drawn(bytes));
        }
        match &mut self.next {
            Some(next) if self.drawing == 0 => {
                *next += length;
                Ok(Attached::Printed(bytes))
            }
            _ => {
                self.over = true;
                Err(self.client.garbled("bytes of a terminal that nothing announced".to_owned()))
            }
        }
    }

    fn frame(&mut self, frame: FromTerminal) -> Option<Attached> {
        Some(match frame {
            FromTerminal::Hello { terminal, owner, offset, .. } => {
                self.next = offset;
                self.owner = owner;
                Attached::Hello { terminal, owner }
            }
            FromTerminal::Snapshot { offset, length, size, lost } => {
                (self.next, self.drawing) = (Some(offset), length);
                Attached::Snapshot { size, lost }
            }
            FromTerminal::Resize { size } => Attached::Resize(size),
            FromTerminal::Owner { owner } => {
                self.owner = owner;
                Attached::Owner(owner)
            }
            FromTerminal::Exit { exit, .. } => {
                self.over = true;
                Attached::Exit(exit)
            }
        })
    }

    fn lost(&mut self, why: &str) -> Attached {
        self.socket = None;
        if self.drawing > 0 {
            (self.drawing, self.next) = (0, None); // half a snapshot is none
        }
        Attached::Lost(why.to_owned())
    }

    async fn reconnect(&mut self) -> Result<(), ClientError> {
        if self.connecting.is_none() {
            let window = self.window.filter(|_| self.owner);
            let request = AttachTerminal {
                after: self.next,
                claim: false,
                cols: window.map(|size| size.cols),
                rows: window.map(|size| size.rows),
                ..self.request.clone()
            };
            let (client, delay) = (self.client.clone(), self.delay);
            self.delay = (delay * 2).min(MAX_DELAY);
            self.connecting = Some(
                async move {
                    tokio::time::sleep(delay).await;
                    connect(client, request).await
                }
                .boxed(),
            );
        }
        let Some(connecting) = &mut self.connecting else { return Ok(()) };
        let connected = connecting.await;
        self.connecting = None;
        self.socket = Some(connected?);
        self.heard = Instant::now();
        Ok(())
    }

    /// Sends what waits, and does not care for what comes.
    pub async fn flush(&mut self) {
        let Some(socket) = self.socket.as_mut() else { return };
        let (waiting, waiting_bytes) = (&mut self.waiting, &mut self.waiting_bytes);
        let _sent = std::future::poll_fn(|cx| send(Pin::new(&mut **socket), waiting, waiting_bytes, cx)).await;
    }

    /// Sends what waits, and gives what comes; nothing when the connection is gone.
    async fn drive(&mut self) -> Option<Message> {
        let (socket, waiting, waiting_bytes) = (self.socket.as_mut()?, &mut self.waiting, &mut self.waiting_bytes);
        std::future::poll_fn(|cx| {
            let mut socket = Pin::new(&mut **socket);
            if let Poll::Ready(Err(())) = send(socket.as_mut(), waiting, waiting_bytes, cx) {
                return Poll::Ready(None);
            }
            socket.poll_next(cx).map(|message| message.and_then(Result::ok))
        })
        .await
    }
}

/// Sends what waits as far as the connection takes it.
fn send(mut socket: Pin<&mut Socket>, waiting: &mut VecDeque<Message>, waiting_bytes: &mut usize, cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
    while !waiting.is_empty() {
        match socket.as_mut().poll_ready(cx) {
            Poll::Ready(Ok(())) => {
                let Some(message) = waiting.pop_front() else { break };
                if let Message::Binary(bytes) = &message {
                    *waiting_bytes -= bytes.len();
                }
                if socket.as_mut().start_send(message).is_err() {
                    return Poll::Ready(Err(()));
                }
            }
            Poll::Ready(Err(_)) => return Poll::Ready(Err(())),
            Poll::Pending => return Poll::Pending,
        }
    }
    socket.poll_flush(cx).map_err(drop)
}

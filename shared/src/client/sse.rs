//! Server-sent events: streams that are begun once, and streams that are resumed for ever.

use std::{marker::PhantomData, pin::Pin, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use eventsource_client::{Client as _, ClientBuilder, Error as SseError, ReconnectOptions, SSE};
use futures_util::{Stream, StreamExt, stream::BoxStream};
use http::HeaderMap;
use launchdarkly_sdk_transport::{ByteStream, HttpTransport, ResponseFuture, TransportError};
use serde::de::DeserializeOwned;
use sync_wrapper::{SyncFuture, SyncStream};

use super::ClientError;
use crate::api::ApiError;

/// First wait before a lost stream is asked for again; doubles up to [`MAX_DELAY`].
const FIRST_DELAY: Duration = Duration::from_millis(200);
const MAX_DELAY: Duration = Duration::from_secs(15);
/// Three missed heartbeats: the stream is dead.
const SILENCE: Duration = Duration::from_secs(45);
/// Longest event that is taken from a node.
const MAX_EVENT: usize = 512 << 20;

/// What a watched stream brings.
#[derive(Debug)]
pub enum Watched<T> {
    /// The stream is connected (again).
    Connected,
    /// An event and its id.
    Event {
        /// For resuming.
        id: Option<String>,
        /// The event.
        event: T,
    },
    /// The connection broke; it is tried again.
    Lost(String),
}

#[derive(Clone)]
struct Pool(reqwest::Client);

impl HttpTransport for Pool {
    fn request(&self, request: http::Request<Option<Bytes>>) -> ResponseFuture {
        let client = self.0.clone();
        let (parts, body) = request.into_parts();
        Box::pin(SyncFuture::new(async move {
            let mut builder = client.request(parts.method, parts.uri.to_string()).headers(parts.headers).timeout(Duration::from_secs(365 * 24 * 3600));
            if let Some(body) = body {
                builder = builder.body(body);
            }
            let response = builder.send().await.map_err(TransportError::new)?;
            let (status, headers) = (response.status(), response.headers().clone());
            let bytes = response.bytes_stream().boxed();
            let stream: ByteStream = Box::pin(SyncStream::new(futures_util::stream::unfold(bytes, |mut bytes| async {
                let item = match tokio::time::timeout(SILENCE, bytes.next()).await {
                    Ok(item) => item?.map_err(TransportError::new),
                    Err(_) => Err(TransportError::new(std::io::Error::new(std::io::ErrorKind::TimedOut, "no word for 45 seconds"))),
                };
                Some((item, bytes))
            })));
            let mut out = http::Response::new(stream);
            *out.status_mut() = status;
            *out.headers_mut() = headers;
            Ok(out)
        }))
    }
}

pub(super) fn watch<T: DeserializeOwned + Send + 'static>(
    pool: &reqwest::Client,
    url: &str,
    headers: &HeaderMap,
    last_event_id: Option<&str>,
) -> Result<impl Stream<Item = Result<Watched<T>, ClientError>> + Send + use<T>, ClientError> {
    let address = url.split('/').nth(2).unwrap_or(url).to_owned();
    let broken = |e: SseError| ClientError::Protocol { address: address.clone(), what: e.to_string() };
    let mut builder = ClientBuilder::for_url(url).map_err(broken)?.redirect_limit(0);
    for (name, value) in headers {
        builder = builder.header(name.as_str(), value.to_str().unwrap_or_default()).map_err(broken)?;
    }
    if let Some(id) = last_event_id {
        builder = builder.last_event_id(id.to_owned());
    }
    let reconnect = ReconnectOptions::reconnect(true).retry_initial(true).delay(FIRST_DELAY).delay_max(MAX_DELAY).backoff_factor(2).build();
    let stream = builder.reconnect(reconnect).build_with_transport(Pool(pool.clone())).stream();
    let items = stream.filter_map(move |item| {
        let address = address.clone();
        async move {
            match item {
                Ok(SSE::Connected(_)) => Some(Ok(Watched::Connected)),
                Ok(SSE::Comment(_)) => None,
                Ok(SSE::Event(event)) => Some(match serde_json::from_str(&event.data) {
                    Ok(data) => Ok(Watched::Event { id: event.id, event: data }),
                    Err(e) => Err(ClientError::Protocol { address, what: e.to_string() }),
                }),
                Err(SseError::UnexpectedResponse(response, _)) if (400..500).contains(&response.status()) && response.status() != 429 => {
                    Some(Err(ClientError::Api(ApiError::from_body(response.status(), b""))))
                }
                Err(error) => Some(Ok(Watched::Lost(error.to_string()))),
            }
        }
    });
    // A refusal ends the stream: the library itself would ask again for ever.
    Ok(items.scan(false, |refused, item| {
        let over = std::mem::replace(refused, matches!(item, Err(ClientError::Api(_))));
        async move { (!over).then_some(item) }
    }))
}

/// A stream that is read once, in order, to its end.
pub struct Streamed<T> {
    bytes: BoxStream<'static, Result<Bytes, ClientError>>,
    buffer: BytesMut,
    /// How far the buffer was searched for the end of an event.
    searched: usize,
    address: String,
    job: Option<String>,
    last_id: Option<String>,
    resumed: bool,
    most: usize,
    item: PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for Streamed<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streamed").field("address", &self.address).finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned> Streamed<T> {
    pub(crate) fn new(bytes: Pin<Box<dyn Stream<Item = Result<Bytes, ClientError>> + Send>>, address: String, job: Option<String>, most: usize) -> Self {
        Self { bytes, buffer: BytesMut::new(), searched: 0, address, job, last_id: None, resumed: false, most: most.min(MAX_EVENT), item: PhantomData }
    }

    /// The job that the stream belongs to, when it is one.
    pub fn job(&self) -> Option<&str> {
        self.job.as_deref()
    }

    pub(crate) fn resumed(self, resumed: bool) -> Self {
        Self { resumed, ..self }
    }

    /// Whether it goes on after the event that was asked for. Otherwise it begins anew.
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// The id of the event that was read last, where it had one.
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// The next event; `None` when the node ended the stream.
    ///
    /// # Errors
    /// When the connection breaks, says nothing for 45 seconds, or brings something that is no event.
    pub async fn next(&mut self) -> Option<Result<T, ClientError>> {
        loop {
            while let Some(block) = self.take_block() {
                if let Some(data) = block_data(&block) {
                    self.last_id = block_id(&block).or(self.last_id.take());
                    return Some(serde_json::from_slice(&data).map_err(|e| self.protocol(e.to_string())));
                }
            }
            if self.buffer.len() > self.most {
                return Some(Err(self.protocol(format!("an event of more than {} MiB", self.most >> 20))));
            }
            match tokio::time::timeout(SILENCE, self.bytes.next()).await {
                Ok(Some(Ok(chunk))) => self.buffer.extend_from_slice(&chunk),
                Ok(Some(Err(e))) => return Some(Err(e)),
                Ok(None) => return None,
                Err(_) => return Some(Err(ClientError::Unreachable { address: self.address.clone(), cause: "no word for 45 seconds".to_owned() })),
            }
        }
    }

    fn protocol(&self, what: String) -> ClientError {
        ClientError::Protocol { address: self.address.clone(), what }
    }

    /// Cuts off everything up to the next empty line.
    fn take_block(&mut self) -> Option<BytesMut> {
        let from = self.searched.saturating_sub(1);
        match self.buffer.get(from..)?.windows(2).position(|pair| pair == b"\n\n") {
            Some(at) => {
                let block = self.buffer.split_to(from + at);
                self.buffer.advance(2);
                self.searched = 0;
                Some(block)
            }
            None => {
                self.searched = self.buffer.len();
                None
            }
        }
    }
}

/// The joined `data:` lines of an event; `None` for comments.
fn block_data(block: &[u8]) -> Option<Vec<u8>> {
    let mut data: Option<Vec<u8>> = None;
    for line in block.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(text) = line.strip_prefix(b"data:") {
            let text = text.strip_prefix(b" ").unwrap_or(text);
            match &mut data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(text);
                }
                None => data = Some(text.to_vec()),
            }
        }
    }
    data
}

/// The `id:` line of an event.
fn block_id(block: &[u8]) -> Option<String> {
    let line = block.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"id:"))?;
    Some(std::str::from_utf8(line).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn events_are_found_however_the_bytes_are_cut() {
        let text = ": hello\n\ndata: 1\n\nid: x\ndata: 2\n\n: beat\n\ndata: 3\n\n";
        for size in 1..text.len() {
            let chunks: Vec<_> = text.as_bytes().chunks(size).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
            let mut stream = Streamed::<u32>::new(futures_util::stream::iter(chunks).boxed(), "test".to_owned(), None, MAX_EVENT);
            let mut seen = Vec::new();
            while let Some(item) = stream.next().await {
                seen.push(item.expect("a number"));
            }
            assert_eq!(seen, [1, 2, 3], "cut every {size} bytes");
            assert_eq!(stream.last_id(), Some("x"));
        }
    }
}

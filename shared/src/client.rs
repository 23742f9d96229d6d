//! The typed HTTP client: the one way in which any part of Loopsy asks a node for anything.
//!
//! A surface talks to its local daemon; [`Client::at`] reaches every other node through it. Daemons use the same client between each other.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::{Bytes as Chunk, BytesMut};
use futures_util::{Stream, StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderValue, header};

use crate::{
    api::{ApiError, Bytes, Code, Endpoint, Form, JOB_HEADER, PREFIX, TRANSFER_HEADER, events::RESUMED_HEADER, transfer, wire},
    fingerprint::Fingerprint,
    id::TransferId,
    secret::Secret,
};

mod local;
pub mod outbound;
mod sse;
mod terminal;
mod tls;

pub use local::{Local, LocalError, Runtime, loopback_for};
pub use reqwest::Body;
pub use sse::{Streamed, Watched};
pub use terminal::{Attached, Attachment};
use tls::Expected;
pub use tls::{PinMismatch, TlsIdentity};

/// How long a node may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// After this long without a word on an idle connection the other side is probed, so that a vanished machine is noticed.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Connections are given up sooner than a node closes them (15 s), so that no request meets a closing one, and later than the next health check comes (10 s), so
/// that a peer's connection stays warm.
const POOL_IDLE: Duration = Duration::from_secs(12);

/// Largest answer that is read whole: a context store of its default size, escaped, still fits.
const MOST_ANSWER: usize = 1 << 30;
/// The same, where whoever answers may be anybody.
const MOST_WARY_ANSWER: usize = 64 << 10;
/// Longest silence in the middle of an answer that is read whole, or of a file.
const SILENCE: Duration = Duration::from_secs(60);

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The node refused; code, sentence and hint are its own.
    #[error("{0}")]
    Api(ApiError),
    /// Nobody answered at the address, or the connection broke.
    #[error("The node at {address} does not answer: {cause}.")]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// What the system said.
        cause: String,
    },
    /// Another node than the paired one answers, or somebody stands in between. Nothing was sent.
    #[error("The node at {address} is not the one that was paired: {mismatch}.")]
    Certificate {
        /// Where it was looked for.
        address: String,
        /// Both fingerprints.
        mismatch: PinMismatch,
    },
    /// The answer was not what the API promises.
    #[error("The node at {address} sent something that is not understood: {what}.")]
    Protocol {
        /// Who sent it.
        address: String,
        /// What was wrong.
        what: String,
    },
}

impl ClientError {
    /// The API's error, when the node answered with one.
    pub const fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            Self::Unreachable { .. } | Self::Certificate { .. } | Self::Protocol { .. } => None,
        }
    }

    /// Whether the same call may succeed later because only the connection failed.
    pub fn is_connection(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Api(error) => matches!(error.code, Code::PeerUnreachable | Code::ShuttingDown),
            Self::Certificate { .. } | Self::Protocol { .. } => false,
        }
    }
}

/// A connection pool. Shared by all clients that reach nodes in the same way. Built when it is first used: a node without peers never needs one.
#[derive(Debug, Clone, Default)]
pub struct Transport(Arc<Pool>);

#[derive(Debug, Default)]
struct Pool {
    tls: Option<(Arc<TlsIdentity>, Expected)>,
    built: OnceLock<reqwest::Client>,
}

/// Plain HTTP by default: for the node on this machine, and for nodes that were never paired.
impl Transport {
    /// TLS with the one node that has this certificate.
    pub fn pinned(own: Arc<TlsIdentity>, certificate: Fingerprint) -> Self {
        Self(Arc::new(Pool { tls: Some((own, Expected::Pinned(certificate))), built: OnceLock::new() }))
    }

    /// TLS with whoever answers: against listeners, not against impostors.
    pub fn encrypted(own: Arc<TlsIdentity>) -> Self {
        Self(Arc::new(Pool { tls: Some((own, Expected::Anyone)), built: OnceLock::new() }))
    }

    /// The pool. It follows no redirects and uses no proxy, so that a credential goes to the address meant and nowhere else.
    fn pool(&self) -> Result<&reqwest::Client, ClientError> {
        if let Some(pool) = self.0.built.get() {
            return Ok(pool);
        }
        let broken = |what: String| ClientError::Protocol { address: "this machine".to_owned(), what };
        let tls = match &self.0.tls {
            Some((own, expected)) => own.client(*expected),
            None => tls::nobody(),
        };
        let pool = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.map_err(|e| broken(e.to_string()))?)
            .https_only(self.0.tls.is_some())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(KEEPALIVE)
            .tcp_nodelay(true)
            .pool_max_idle_per_host(32)
            .pool_idle_timeout(POOL_IDLE)
            .build()
            .map_err(|e| broken(e.to_string()))?;
        Ok(self.0.built.get_or_init(|| pool))
    }

    fn scheme(&self) -> &'static str {
        if self.0.tls.is_some() { "https" } else { "http" }
    }
}

#[derive(Debug)]
struct Target {
    address: String,
    headers: HeaderMap,
    transport: Transport,
    most_answer: usize,
}

/// A node, and the way to it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    target: Arc<Target>,
    /// Path prefix of the node that is meant: `/api/v1`, or `/api/v1/at/kai`.
    prefix: String,
}

impl Client {
    /// A client for the node at `address` (`host:port`, IPv6 in brackets), with the key to present there.
    ///
    /// # Errors
    /// When the key cannot stand in a header.
    pub fn new(transport: Transport, address: impl Into<String>, key: Option<&Secret>) -> Result<Self, ClientError> {
        let address = address.into();
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let mut value = HeaderValue::try_from(format!("Bearer {}", key.reveal()))
                .map_err(|_| ClientError::Protocol { address: address.clone(), what: "the key has characters that no key has".to_owned() })?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        transport.pool()?;
        Ok(Self { target: Arc::new(Target { address, headers, transport, most_answer: MOST_ANSWER }), prefix: PREFIX.to_owned() })
    }

    /// The same daemon, asked to pass everything on to one of its peers: hostname, node id or an unambiguous prefix.
    #[must_use]
    pub fn at(&self, peer: &str) -> Self {
        Self { target: Arc::clone(&self.target), prefix: format!("{PREFIX}/at/{}", wire::encode_segment(peer)) }
    }

    /// Where the daemon is.
    pub fn address(&self) -> &str {
        &self.target.address
    }

    /// Asks, and waits for the whole answer.
    ///
    /// # Errors
    /// The node's refusal, or that it could not be reached or understood.
    pub async fn call<E: Endpoint>(&self, request: E) -> Result<E::Reply, ClientError> {
        debug_assert!(E::SPEC.request == Form::Json && E::SPEC.reply == Form::Json, "{} is no plain call", E::SPEC.name);
        let response = self.send(&request).await?;
        self.understand(&self.whole(response).await?)
    }

    /// Asks for something that is known at once: a node that takes longer than a minute counts as lost.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn ask<E: Endpoint>(&self, request: E) -> Result<E::Reply, ClientError> {
        let late = |_| ClientError::Unreachable { address: self.target.address.clone(), cause: "no answer within a minute".to_owned() };
        tokio::time::timeout(SILENCE, self.call(request)).await.map_err(late)?
    }

    /// Asks for raw bytes. The reply's headers tell size and name.
    ///
    /// # Errors
    /// As [`Client::call`]; the stream's items fail when the connection breaks.
    pub async fn download<E: Endpoint<Reply = Bytes>>(
        &self,
        request: E,
    ) -> Result<(HeaderMap, impl Stream<Item = Result<Chunk, ClientError>> + Send + use<E>), ClientError> {
        let response = self.send(&request).await?;
        let headers = response.headers().clone();
        Ok((headers, patient(self.target.address.clone(), response)))
    }

    /// Sends a file: the fields of `push` as a form, then `content`, of which `length` bytes will come, then its hash (64 hex digits), which is asked for last.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn upload(
        &self,
        push: &transfer::Push,
        name: &str,
        length: u64,
        content: Body,
        hash: impl Future<Output = String> + Send + 'static,
    ) -> Result<transfer::Pushed, ClientError> {
        let mut form = reqwest::multipart::Form::new();
        if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(push) {
            for (field, value) in fields {
                form = form.text(field, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            }
        }
        let file = reqwest::multipart::Part::stream_with_length(content, length).file_name(name.to_owned());
        let hash = futures_util::stream::once(async move { Ok::<_, std::convert::Infallible>(hash.await) });
        let hash = reqwest::multipart::Part::stream_with_length(Body::wrap_stream(hash), 64);
        let form = form.part("file", file).part("sha256", hash);
        let response = self.request(http::Method::POST, transfer::Push::SPEC.path)?.multipart(form).send().await.map_err(|e| self.unreachable(&e))?;
        let response = self.accept(response).await?;
        self.understand(&self.whole(response).await?)
    }

    /// The same client, whose requests count as parts of one transfer.
    #[must_use]
    pub fn for_transfer(&self, id: &TransferId) -> Self {
        let mut headers = self.target.headers.clone();
        if let Ok(value) = HeaderValue::from_str(id.as_str()) {
            headers.insert(TRANSFER_HEADER, value);
        }
        self.with(headers, self.target.most_answer)
    }

    /// The same client, for questions to nodes that are not known: an answer of more than 64 KiB is not read.
    #[must_use]
    pub fn wary(&self) -> Self {
        self.with(self.target.headers.clone(), MOST_WARY_ANSWER)
    }

    /// The same client, which reads no answer, and no event of a stream, that is longer than this.
    #[must_use]
    pub fn at_most(&self, bytes: usize) -> Self {
        self.with(self.target.headers.clone(), bytes)
    }

    fn with(&self, headers: HeaderMap, most_answer: usize) -> Self {
        let target = Target { address: self.target.address.clone(), headers, transport: self.target.transport.clone(), most_answer };
        Self { target: Arc::new(target), prefix: self.prefix.clone() }
    }

    /// Posts raw bytes to an endpoint that takes them, such as a job's standard input.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn feed<E: Endpoint>(&self, request: &E, content: Body) -> Result<E::Reply, ClientError> {
        debug_assert!(E::SPEC.request == Form::Bytes, "{} takes no raw body", E::SPEC.name);
        let parts = wire::split(request).map_err(ClientError::Api)?;
        let response = self
            .request(http::Method::POST, &parts.target)?
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(content)
            .send()
            .await
            .map_err(|e| self.unreachable(&e))?;
        let response = self.accept(response).await?;
        self.understand(&self.whole(response).await?)
    }

    /// Starts something that answers with a stream that cannot be begun again, such as a job.
    ///
    /// # Errors
    /// As [`Client::call`]; items fail when the connection breaks.
    pub async fn stream<E: Endpoint>(&self, request: &E) -> Result<Streamed<E::Reply>, ClientError> {
        debug_assert!(E::SPEC.reply == Form::Events, "{} is no stream", E::SPEC.name);
        let response = self.send(request).await?;
        let resumed = response.headers().contains_key(RESUMED_HEADER);
        let job = response.headers().get(JOB_HEADER).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let address = self.target.address.clone();
        let bytes = response.bytes_stream().map_err(move |e| unreachable(&address, &e)).boxed();
        Ok(Streamed::new(bytes, self.target.address.clone(), job, self.target.most_answer).resumed(resumed))
    }

    /// Watches a stream of events for ever: connects again when the connection breaks and goes on after the last event seen.
    ///
    /// # Errors
    /// When the request cannot be written. Items fail when the node refuses; broken connections show as [`Watched::Lost`].
    pub fn watch<E: Endpoint>(
        &self,
        request: &E,
        last_event_id: Option<&str>,
    ) -> Result<impl Stream<Item = Result<Watched<E::Reply>, ClientError>> + Send + use<E>, ClientError> {
        let parts = wire::split(request).map_err(ClientError::Api)?;
        sse::watch(self.target.transport.pool()?, &self.url(&parts.target), &self.target.headers, last_event_id)
    }

    /// Passes a request on as it is, with this client's own credential in place of the caller's. For the daemon's door to its peers.
    ///
    /// # Errors
    /// When the node cannot be reached. Its refusals are responses.
    pub async fn forward(&self, method: http::Method, target: &str, headers: HeaderMap, body: Body) -> Result<http::Response<Body>, ClientError> {
        let repeatable = matches!(method, http::Method::GET | http::Method::HEAD);
        let request = self
            .target
            .transport
            .pool()?
            .request(method, format!("{}://{}{target}", self.target.transport.scheme(), self.target.address))
            .headers(headers)
            .headers(self.target.headers.clone());
        sent(request.body(body), repeatable).await.map(Into::into).map_err(|e| self.unreachable(&e))
    }

    async fn send<E: Endpoint>(&self, request: &E) -> Result<reqwest::Response, ClientError> {
        let parts = wire::split(request).map_err(ClientError::Api)?;
        let method = match E::SPEC.method {
            crate::api::Method::Get => http::Method::GET,
            crate::api::Method::Post => http::Method::POST,
            crate::api::Method::Put => http::Method::PUT,
            crate::api::Method::Delete => http::Method::DELETE,
        };
        let mut builder = self.request(method, &parts.target)?;
        if let Some(body) = parts.body {
            builder = builder.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        let response = sent(builder, E::SPEC.method == crate::api::Method::Get).await.map_err(|e| self.unreachable(&e))?;
        self.accept(response).await
    }

    fn request(&self, method: http::Method, target: &str) -> Result<reqwest::RequestBuilder, ClientError> {
        Ok(self.target.transport.pool()?.request(method, self.url(target)).headers(self.target.headers.clone()))
    }

    fn url(&self, target: &str) -> String {
        format!("{}://{}{}{}", self.target.transport.scheme(), self.target.address, self.prefix, target.strip_prefix(PREFIX).unwrap_or(target))
    }

    async fn accept(&self, response: reqwest::Response) -> Result<reqwest::Response, ClientError> {
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
        let body = self.whole(response).await?;
        Err(ClientError::Api(ApiError { retry_after, ..ApiError::from_body(status, &body) }))
    }

    /// The whole body of an answer, bounded in size and silence.
    async fn whole(&self, response: reqwest::Response) -> Result<BytesMut, ClientError> {
        let mut all = BytesMut::new();
        let mut chunks = std::pin::pin!(patient(self.target.address.clone(), response));
        while let Some(chunk) = chunks.try_next().await? {
            let most = self.target.most_answer;
            if all.len() + chunk.len() > most {
                return Err(ClientError::Protocol { address: self.target.address.clone(), what: format!("an answer of more than {} KiB", most >> 10) });
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }

    fn understand<R: serde::de::DeserializeOwned>(&self, body: &[u8]) -> Result<R, ClientError> {
        serde_json::from_slice(body).map_err(|e| ClientError::Protocol { address: self.target.address.clone(), what: e.to_string() })
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        unreachable(&self.target.address, error)
    }
}

/// `host:port`, with an IPv6 address in brackets.
pub fn authority(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Sends a request. What can be said twice is said once more when a kept connection turns out to be closed: the node may have closed it in that very moment.
async fn sent(request: reqwest::RequestBuilder, repeatable: bool) -> Result<reqwest::Response, reqwest::Error> {
    let again = request.try_clone().filter(|_| repeatable);
    match (request.send().await, again) {
        (Err(error), Some(again)) if !error.is_connect() && !error.is_timeout() => again.send().await,
        (outcome, _) => outcome,
    }
}

/// The body of an answer. A silence of a minute counts as a lost connection.
fn patient(address: String, response: reqwest::Response) -> impl Stream<Item = Result<Chunk, ClientError>> + Send {
    let chunks = response.bytes_stream().boxed();
    futures_util::stream::unfold((chunks, address), |(mut chunks, address)| async {
        let item = match tokio::time::timeout(SILENCE, chunks.next()).await {
            Ok(item) => item?.map_err(|e| unreachable(&address, &e)),
            Err(_) => Err(ClientError::Unreachable { address: address.clone(), cause: "no word for a minute".to_owned() }),
        };
        Some((item, (chunks, address)))
    })
}

/// The innermost cause says most: "Connection refused (os error 111)".
fn unreachable(address: &str, error: &reqwest::Error) -> ClientError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if let Some(mismatch) = PinMismatch::find(error) {
        return ClientError::Certificate { address: address.to_owned(), mismatch };
    }
    let cause = if error.is_timeout() { "no answer in time".to_owned() } else { cause.to_string() };
    ClientError::Unreachable { address: address.to_owned(), cause }
}

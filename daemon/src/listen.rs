//! Accepts connections: own loop, because a daemon needs a deadline for the first byte, the handshake and the header, and caps on how many connections there are.
//!
//! One port serves both: a connection that begins with 0x16 speaks TLS, every other plain HTTP. What plain HTTP may do is the gate's to say.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use loopsy_shared::fingerprint::Fingerprint;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{app::App, http::Gate};

mod link;
mod patience;
mod places;

pub use link::{Link, Protection};
use patience::Patient;
use places::{Place, Places};

/// A connection that says nothing for this long is closed, at its start and between requests.
const FIRST_BYTE: Duration = Duration::from_secs(10);
/// A TLS handshake must be over this long after its first byte.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A request's head must be there this long after its first byte.
const HEAD: Duration = Duration::from_secs(15);
/// How long to wait when the system has no file descriptors left.
const EXHAUSTED: Duration = Duration::from_millis(50);
/// What a connection whose key was revoked gets to finish the answer that says so.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// The first byte of every TLS connection: a handshake record.
const TLS_HANDSHAKE: u8 = 0x16;

/// Serves connections until told to stop; then lets running requests finish.
pub async fn serve(listener: TcpListener, app: App, router: Router, tls: TlsAcceptor) {
    let stop = app.stopping.clone();
    let tasks = TaskTracker::new();
    let places = Places::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, from)) => match places.admit(from.ip()) {
                Some(place) => {
                    let (app, router, tls, stop) = (app.clone(), router.clone(), tls.clone(), stop.clone());
                    tasks.spawn(async move {
                        let Some((stream, protection)) = begin(stream, from, &tls, &place, &stop).await else { return };
                        let link = Arc::new(Link::new(from.ip(), protection, place));
                        serve_one(stream, link, app, router, stop).await;
                    });
                }
                None => tracing::debug!(%from, "too many connections; one was closed"),
            },
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(EXHAUSTED).await;
            }
        }
    }
    tasks.close();
    tasks.wait().await;
}

/// Bytes both ways, encrypted or not.
trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Waits for the first byte, and shakes hands when it asks for TLS. `None` when the connection is of no use.
async fn begin(stream: TcpStream, from: SocketAddr, tls: &TlsAcceptor, place: &Place, stop: &CancellationToken) -> Option<(Box<dyn Io>, Protection)> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%from, %error, "no delay");
    }
    let evicted = place.evicted();
    let ready = async {
        let mut byte = [0];
        let first = tokio::time::timeout(FIRST_BYTE, stream.peek(&mut byte)).await;
        if !matches!(first, Ok(Ok(1..))) {
            return None;
        }
        if byte != [TLS_HANDSHAKE] {
            return Some((Box::new(Patient::new(stream)) as Box<dyn Io>, Protection::None));
        }
        match tokio::time::timeout(HANDSHAKE, tls.accept(Patient::new(stream))).await {
            Ok(Ok(stream)) => {
                let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).map(|leaf| Fingerprint::of(leaf));
                Some((Box::new(stream) as Box<dyn Io>, Protection::Tls(certificate)))
            }
            Ok(Err(error)) => {
                tracing::debug!(%from, %error, "no handshake");
                None
            }
            Err(_) => None,
        }
    };
    tokio::select! {
        ready = ready => ready,
        () = evicted.cancelled() => None,
        () = stop.cancelled() => None,
    }
}

async fn serve_one(stream: Box<dyn Io>, link: Arc<Link>, app: App, router: Router, stop: CancellationToken) {
    let trust = app.trust.clone();
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(512 << 10)
        .half_close(false)
        .serve_connection(TokioIo::new(stream), Gate::new(app, router, Arc::clone(&link)))
        .with_upgrades();
    let mut serving = std::pin::pin!(serving);
    let outcome = tokio::select! {
        outcome = serving.as_mut() => outcome,
        () = link.evicted() => return,
        revoked = link.revoked(&trust) => {
            serving.as_mut().graceful_shutdown();
            // The owner's request may be the one that changes the key, and its answer has the new one.
            let last_words = if revoked.is_owner() { LAST_WORDS * 10 } else { LAST_WORDS };
            tokio::time::timeout(last_words, serving).await.unwrap_or(Ok(()))
        }
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(from = %link.from, %error, "connection ended");
    }
}

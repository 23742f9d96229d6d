//! Accepts connections: own loop, because a daemon needs a deadline for the first byte and the header, and caps on how many connections there are.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{app::App, http::Gate};

mod patience;
mod places;

/// Connections at the same time, from everywhere.
const MOST_CONNECTIONS: usize = 512;
/// Connections at the same time from one other machine.
const MOST_PER_SOURCE: usize = 64;
/// Connections from this machine itself; what is left is for others.
const MOST_LOCAL: usize = 448;
/// A connection that says nothing for this long is closed, at its start and between requests.
const FIRST_BYTE: Duration = Duration::from_secs(10);
/// A request's head must be there this long after its first byte.
const HEAD: Duration = Duration::from_secs(15);
/// How long to wait when the system has no file descriptors left.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// Serves connections until told to stop; then lets running requests finish.
pub async fn serve(listener: TcpListener, app: App, router: Router) {
    let stop = app.stopping.clone();
    let tasks = TaskTracker::new();
    let sources = Sources::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, from)) => match sources.admit(from.ip()) {
                Some(place) => {
                    let gate = Gate::new(app.clone(), router.clone(), from.ip());
                    let stop = stop.clone();
                    tasks.spawn(async move {
                        connection(stream, from, gate, stop).await;
                        drop(place);
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

async fn connection(stream: TcpStream, from: SocketAddr, gate: Gate, stop: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%from, %error, "no delay");
    }
    let mut byte = [0];
    let first = tokio::select! {
        first = tokio::time::timeout(FIRST_BYTE, stream.peek(&mut byte)) => first,
        () = stop.cancelled() => return,
    };
    if !matches!(first, Ok(Ok(1..))) {
        return;
    }
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(512 << 10)
        .half_close(false)
        .serve_connection(TokioIo::new(stream), gate)
        .with_upgrades();
    let mut serving = std::pin::pin!(serving);
    let outcome = tokio::select! {
        outcome = serving.as_mut() => outcome,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%from, %error, "connection ended");
    }
}

/// Counts connections by source.
#[derive(Debug, Clone, Default)]
struct Sources(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A counted connection. Dropping it makes room.
#[derive(Debug)]
struct Place {
    sources: Sources,
    from: IpAddr,
}

impl Sources {
    fn admit(&self, from: IpAddr) -> Option<Place> {
        let from = from.to_canonical();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = counts.values().sum();
        let here = counts.entry(from).or_default();
        let most = if from.is_loopback() { MOST_LOCAL } else { MOST_PER_SOURCE };
        if all >= MOST_CONNECTIONS || *here >= most {
            return None;
        }
        *here += 1;
        Some(Place { sources: self.clone(), from })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.sources.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_cannot_take_every_place() {
        let sources = Sources::default();
        let far: IpAddr = "10.0.0.1".parse().expect("valid");
        let held: Vec<_> = (0..MOST_PER_SOURCE).map(|_| sources.admit(far).expect("room")).collect();
        assert!(sources.admit(far).is_none());
        assert!(sources.admit("10.0.0.2".parse().expect("valid")).is_some());
        drop(held);
        assert!(sources.admit(far).is_some());
    }
}

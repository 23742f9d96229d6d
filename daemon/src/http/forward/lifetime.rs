//! What ends a call that is passed on, and what makes it be asked anew: keys that are revoked, peers that are removed, connections that lead nowhere.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body::{Frame, SizeHint};
use hyper_util::rt::TokioIo;
use loopsy_shared::{
    api::{Code, execute::CancelJob},
    client::{self, ClientError},
    id::JobId,
};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

use crate::{app::App, peers::Reached, trust::Caller};

/// A question that had no answer for this long may have been lost on its way.
const SLOW: Duration = Duration::from_secs(5);

/// Between two tries to end a job that is not there yet.
const PATIENCE: [Duration; 4] = [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(2)];

/// A job at a peer ends with the key that it was started with here: the peer knows only this node's key, and would wait for its owner to come back. The guard is held
/// by the stream; when the stream ends by itself there is nothing to do.
pub(super) fn end_with_key(app: &App, caller: &Caller, peer: &Reached, job_id: JobId) -> DropGuard {
    let (over, revoked, client) = (CancellationToken::new(), caller.principal.revoked.clone(), peer.client.clone());
    let guard = over.clone().drop_guard();
    app.tracker.spawn(async move {
        tokio::select! {
            biased;
            () = revoked.cancelled() => {
                for pause in PATIENCE {
                    match client.ask(CancelJob { job_id: job_id.clone() }).await {
                        // It may be about to start.
                        Err(error) if error.api().is_some_and(|error| error.code == Code::JobNotFound) => tokio::time::sleep(pause).await,
                        Err(error) => return tracing::info!(%error, "a job of a revoked key could not be ended at the peer"),
                        Ok(_) => return,
                    }
                }
            }
            () = over.cancelled() => {}
        }
    });
    guard
}

/// A connection may lead nowhere since this machine or that one has moved, and nobody says so. What can be asked twice is asked once more after some time, over a new
/// connection; whichever answers first counts. Never ends when there is nothing to ask, or nobody to be reached.
pub(super) async fn ask_anew(
    app: &App,
    peer: &Reached,
    target: &str,
    again: Option<(Method, HeaderMap)>,
) -> (Reached, Result<http::Response<client::Body>, ClientError>) {
    if let Some((method, headers)) = again {
        tokio::time::sleep(SLOW).await;
        if let Ok(peer) = app.peers.reach_anew(peer).await {
            let answer = peer.client.forward(method, target, headers, client::Body::default()).await;
            return (peer, answer);
        }
    }
    std::future::pending().await
}

/// Carries bytes both ways until one side ends, the caller's key is revoked, the peer is removed or the node stops.
pub(super) async fn join(here: hyper::upgrade::OnUpgrade, there: hyper::upgrade::OnUpgrade, [revoked, gone, stopping]: [CancellationToken; 3]) {
    let (Ok(here), Ok(there)) = (here.await, there.await) else {
        tracing::debug!("an upgrade was announced and did not happen");
        return;
    };
    let (mut here, mut there) = (TokioIo::new(here), TokioIo::new(there));
    tokio::select! {
        outcome = tokio::io::copy_bidirectional(&mut here, &mut there) => {
            if let Err(error) = outcome {
                tracing::debug!(%error, "a forwarded connection broke");
            }
        }
        () = revoked.cancelled() => {}
        () = gone.cancelled() => {}
        () = stopping.cancelled() => {}
    }
}

/// An answer that breaks off when the peer is removed.
pub(super) struct UntilGone {
    inner: client::Body,
    gone: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl UntilGone {
    /// Breaks an answer off when this fires.
    pub(super) fn new(inner: client::Body, gone: WaitForCancellationFutureOwned) -> Self {
        Self { inner, gone: Box::pin(gone) }
    }
}

impl http_body::Body for UntilGone {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.gone.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(axum::Error::new(std::io::Error::other("the peer was removed")))));
        }
        Pin::new(&mut self.inner).poll_frame(cx).map_err(axum::Error::new)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

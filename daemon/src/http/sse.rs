//! Server-sent events on their way out: frames, heartbeats, and an end.

use std::time::Duration;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::Stream;
use http::{HeaderName, HeaderValue, header};
use serde::Serialize;

/// A comment goes out after this much silence, so that both sides notice when the other is gone.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);
/// The comment.
pub(super) const BEAT: Bytes = Bytes::from_static(b": still here\n\n");

/// One event: `id:` when there is one, then the JSON on one line.
pub(super) fn frame(id: Option<&str>, data: &impl Serialize) -> Result<Bytes, serde_json::Error> {
    let mut out = BytesMut::with_capacity(256).writer();
    write_frame(&mut out, id, data)?;
    Ok(out.into_inner().freeze())
}

fn write_frame(out: &mut impl std::io::Write, id: Option<&str>, data: &impl Serialize) -> Result<(), serde_json::Error> {
    let io = serde_json::Error::io;
    if let Some(id) = id {
        writeln!(out, "id: {id}").map_err(io)?;
    }
    out.write_all(b"data: ").map_err(io)?;
    serde_json::to_writer(&mut *out, data)?;
    out.write_all(b"\n\n").map_err(io)
}

/// A response that streams frames. The stream's end is the response's end.
pub(super) fn response(frames: impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, Body::from_stream(frames)).into_response()
}

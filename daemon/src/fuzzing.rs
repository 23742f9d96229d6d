//! Ways in for tests/fuzz, to what is not reachable from outside. No part of the API.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, header};
use loopsy_shared::api::{ApiError, transfer::Push};

use crate::http::PushForm;

/// What was read from the form of a push: its fields, how long its file is, and the hash behind it.
pub type Form = (Push, usize, Option<String>);

/// Reads the form of a push that comes in pieces of this size, with the boundary `b`.
///
/// # Errors
/// What the form is refused for.
pub async fn multipart(form: &[u8], piece: usize) -> Result<Form, ApiError> {
    let pieces: Vec<_> = form.chunks(piece.max(1)).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("multipart/form-data; boundary=b"));
    let mut form = PushForm::new(&headers, Body::from_stream(stream::iter(pieces)))?;
    let push = form.announced().await?;
    let mut length = 0;
    while let Some(chunk) = form.chunk().await? {
        length += chunk.len();
    }
    Ok((push, length, form.hash().await?))
}

//! Bodies in, bounded in size and time.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use loopsy_shared::api::{ApiError, Code};

/// Content type of every JSON answer.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
/// Largest JSON body: a value of 1 MiB whose every byte is escaped, and some.
pub(super) const MOST_JSON: usize = 8 << 20;
/// Longest silence in the middle of a body.
const SILENCE: Duration = Duration::from_secs(30);

/// The next part of a body.
///
/// # Errors
/// Silence of 30 seconds, or a connection that broke.
pub(super) async fn next_chunk(body: &mut Body) -> Result<Option<Bytes>, ApiError> {
    loop {
        let frame = tokio::time::timeout(SILENCE, body.frame()).await;
        let frame = frame.map_err(|_| ApiError::new(Code::RequestTimeout, "The rest of the body did not come within 30 seconds."))?;
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Err(ApiError::new(Code::InvalidRequest, format!("The body broke off: {error}."))),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// The whole body of a JSON request. Nothing at all counts as an empty object, whatever the content type says.
///
/// # Errors
/// Too large, too slow, or not JSON by its content type.
pub(super) async fn json(headers: &HeaderMap, mut body: Body, most: usize) -> Result<Bytes, ApiError> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let too_large = || {
        ApiError::new(Code::BodyTooLarge, format!("The body is larger than {}.", loopsy_shared::text::bytes(most as u64)))
            .hint("Large content travels as a file: POST /api/v1/transfer/push.")
    };
    let announced = body.size_hint().lower();
    if announced > most as u64 {
        return Err(too_large());
    }
    let mut all = BytesMut::new();
    let mut first = None;
    while let Some(chunk) = next_chunk(&mut body).await? {
        if all.len() + chunk.len() > most {
            return Err(too_large());
        }
        // One chunk is the rule; it is passed on without a copy.
        match first.take() {
            None if all.is_empty() && chunk.len() as u64 >= announced => first = Some(chunk),
            None => all.extend_from_slice(&chunk),
            Some(earlier) => {
                all.extend_from_slice(&earlier);
                all.extend_from_slice(&chunk);
            }
        }
    }
    let bytes = first.unwrap_or_else(|| all.freeze());
    if !bytes.is_empty() && !is_json(headers) {
        return Err(ApiError::new(Code::UnsupportedMediaType, "The body is not marked as JSON.").hint("Send the header `Content-Type: application/json`."));
    }
    Ok(bytes)
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

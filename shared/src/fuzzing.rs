//! Ways in for tests/fuzz, to what is not reachable from outside. No part of the API.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::value::RawValue;

use crate::client::Streamed;

/// The events of a stream that comes in pieces of this size; `None` for one that is no JSON.
pub async fn sse(text: &[u8], piece: usize) -> Vec<Option<String>> {
    let pieces: Vec<_> = text.chunks(piece.max(1)).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let mut stream = Streamed::<Box<RawValue>>::new(stream::iter(pieces).boxed(), "fuzz".to_owned(), None, usize::MAX);
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event.ok().map(|event| event.get().to_owned()));
    }
    events
}

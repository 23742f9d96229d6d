//! Tests of the protocol.
pub(super) struct Script(Vec<u8>);

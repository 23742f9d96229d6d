//! Any bytes are a stream of events, and the same ones however they are cut. The first byte says where.
#![no_main]

use loopsy_shared::fuzzing::sse;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((piece, text)) = bytes.split_first() else { return };
    let (cut, whole) = loopsy_fuzz::wait(async { (sse(text, usize::from(*piece)).await, sse(text, text.len()).await) });
    assert_eq!(cut, whole);
});

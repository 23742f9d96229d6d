//! What a stranger sends when pairing: any bytes are a message or a refusal. The first byte says of which kind; shares inside go through the decoder of points.
#![no_main]

use loopsy_daemon::lp2::{Identity, message, payload};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((which, rest)) = bytes.split_first() else { return };
    match which % 4 {
        0 => drop(message::initiate(rest)),
        1 => drop(message::reply(rest)),
        2 => drop(message::sealed(rest)),
        _ => {
            if let Some(peer) = Identity::new("11111111-2222-4333-8444-555555555555", "mia") {
                drop(payload::parse(rest, &peer));
            }
        }
    }
});

//! Wall-clock time as the wire has it: whole milliseconds since 1970. Durations use the monotonic clock instead.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01 UTC.
pub type Millis = u64;

/// The current time. A clock set before 1970 reads as 0.
pub fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// `2026-11-21T12:00:00.000Z`, for logs.
pub fn iso(at: Millis) -> String {
    i64::try_from(at).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()).map_or_else(|| at.to_string(), |at| format!("{at:.3}"))
}

//! Wall-clock time as the wire has it: whole milliseconds since 1970. Durations use the monotonic clock instead.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01 UTC.
pub type Millis = u64;

/// The current time. A clock set before 1970 reads as 0.
pub fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Minutes since midnight by this machine's clock and time zone.
pub fn minute_of_day() -> u16 {
    let now = jiff::Zoned::now();
    // Never negative: an hour is 0 to 23, a minute 0 to 59.
    u16::try_from(i32::from(now.hour()) * 60 + i32::from(now.minute())).unwrap_or(0)
}

/// `2026-11-21T12:00:00.000Z`, for logs.
pub fn iso(at: Millis) -> String {
    i64::try_from(at).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()).map_or_else(|| at.to_string(), |at| format!("{at:.3}"))
}

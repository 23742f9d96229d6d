//! How often each principal may ask, and how often a stranger may guess.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use loopsy_shared::{api::Category, config::RateLimits};

/// Wrong keys a minute from one address before the answer is 429.
const WRONG_KEYS: u32 = 30;
/// Pairings a minute that one address may begin.
const PAIRINGS: u32 = 5;
/// Buckets kept at most; full ones are forgotten first, which loses nothing.
const MOST_BUCKETS: usize = 10_000;
/// Parts of transfers a minute: many small files pass, a flood does not.
const MOST_PARTS: u32 = 30_000;
/// A transfer that was silent for this long counts as a new one.
const TRANSFER_IDLE: Duration = Duration::from_secs(600);
const MINUTE: Duration = Duration::from_secs(60);

/// All rate limits of a node.
#[derive(Debug, Default)]
pub struct Limits {
    requests: Buckets<(String, Category)>,
    wrong_keys: Buckets<IpAddr>,
    pairings: Buckets<IpAddr>,
    parts: Buckets<String>,
    /// Transfers by principal, and when their last part came.
    transfers: Mutex<HashMap<(String, String), Instant>>,
}

impl Limits {
    /// Counts a request of a principal.
    ///
    /// # Errors
    /// Seconds after which there is room again.
    pub fn count(&self, principal: &str, category: Category, limits: &RateLimits) -> Result<(), u64> {
        let per_minute = match category {
            Category::Execute => limits.execute,
            Category::Transfer => limits.transfer,
            Category::Context => limits.context,
        };
        self.requests.take((principal.to_owned(), category), per_minute, Instant::now())
    }

    /// Counts a part of a transfer: only the first part of each takes from the limit.
    ///
    /// # Errors
    /// As [`Limits::count`].
    pub fn count_transfer(&self, principal: &str, transfer: &str, limits: &RateLimits) -> Result<(), u64> {
        self.parts.take(principal.to_owned(), MOST_PARTS, Instant::now())?;
        let now = Instant::now();
        let part = (principal.to_owned(), transfer.to_owned());
        let mut begun = self.transfers.lock().unwrap_or_else(PoisonError::into_inner);
        if begun.len() >= MOST_BUCKETS {
            begun.retain(|_, last| now.duration_since(*last) < TRANSFER_IDLE);
        }
        let goes_on = begun.get(&part).is_some_and(|last| now.duration_since(*last) < TRANSFER_IDLE);
        if !goes_on {
            self.count(principal, Category::Transfer, limits)?;
        }
        begun.insert(part, now);
        Ok(())
    }

    /// Counts a wrong key from an address.
    ///
    /// # Errors
    /// Seconds after which the next guess is heard.
    pub fn count_wrong_key(&self, from: IpAddr) -> Result<(), u64> {
        self.wrong_keys.take(from, WRONG_KEYS, Instant::now())
    }

    /// Counts a pairing that is begun from an address.
    ///
    /// # Errors
    /// Seconds after which the next one is heard.
    pub fn count_pairing(&self, from: IpAddr) -> Result<(), u64> {
        self.pairings.take(from, PAIRINGS, Instant::now())
    }
}

/// Token buckets that hold one minute's worth and fill evenly.
#[derive(Debug)]
struct Buckets<K>(Mutex<HashMap<K, Bucket>>);

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl<K: Hash + Eq> Buckets<K> {
    fn take(&self, key: K, per_minute: u32, now: Instant) -> Result<(), u64> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST_BUCKETS {
            buckets.retain(|_, bucket| now.duration_since(bucket.filled) < MINUTE);
        }
        let per_second = f64::from(per_minute) / 60.0;
        let bucket = buckets.entry(key).or_insert_with(|| Bucket { tokens: f64::from(per_minute), filled: now });
        bucket.tokens = (bucket.tokens + now.saturating_duration_since(bucket.filled).as_secs_f64() * per_second).min(f64::from(per_minute));
        bucket.filled = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        Err(if per_second > 0.0 { ((1.0 - bucket.tokens) / per_second).ceil() as u64 } else { MINUTE.as_secs() }.max(1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_minute_holds_what_was_promised_and_says_when_to_come_back() {
        let buckets = Buckets::default();
        let start = Instant::now();
        assert!((0..30).all(|_| buckets.take("kai", 30, start).is_ok()));
        assert_eq!(buckets.take("kai", 30, start), Err(2));
        assert!(buckets.take("leo", 30, start).is_ok(), "another principal is not concerned");
        assert!(buckets.take("kai", 30, start + Duration::from_secs(2)).is_ok());
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_rate(per_minute in 1u32..120, steps in proptest::collection::vec(0u64..2_000, 1..300)) {
            let buckets = Buckets::default();
            let (start, mut at, mut passed) = (Instant::now(), 0, 0u32);
            for step in steps {
                at += step;
                passed += u32::from(buckets.take((), per_minute, start + Duration::from_millis(at)).is_ok());
            }
            let most = f64::from(per_minute) * (1.0 + at as f64 / 60_000.0) + 1.0;
            prop_assert!(f64::from(passed) <= most, "{passed} of at most {most}");
        }
    }
}

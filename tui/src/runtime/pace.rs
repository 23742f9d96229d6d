//! When a frame is drawn: the first change after silence at once, then so often and no more, and never while another one is on its way.

/// Between two frames, in microseconds: 60 a second.
const FAST: u64 = 16_667;
/// The same over a network, or to a terminal that is slow to take them: 30 a second.
const SLOW: u64 = 33_333;
/// The same after a frame that changed nothing: what cannot be seen is not looked for more often than this.
const UNSEEN: u64 = 8_000;
/// The least between two frames when somebody pressed a key: who types sees it soon, also while a program prints without end.
const PRESSED: u64 = 8_000;
/// A frame that took longer than this to write went to a slow terminal.
const LONG: u64 = 20_000;

/// Decides when to draw. Times are microseconds of one clock.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    remote: bool,
    slow: bool,
    dirty: bool,
    writing: Option<u64>,
    /// When the last frame was drawn.
    last: u64,
    /// No frame before this.
    next: u64,
}

impl Pace {
    /// For a terminal here, or at the other end of a network.
    pub(crate) fn new(remote: bool) -> Self {
        Self { remote, ..Self::default() }
    }

    /// There is something new to see.
    pub(crate) const fn touch(&mut self) {
        self.dirty = true;
    }

    /// Somebody pressed a key.
    pub(crate) fn hurry(&mut self) {
        self.next = self.next.min(self.last + PRESSED);
    }

    /// No frame before this time, whatever happens.
    pub(crate) const fn hold(&mut self, until: u64) {
        self.next = until;
    }

    /// Draws as soon as there is something to draw.
    pub(crate) const fn release(&mut self) {
        self.next = 0;
    }

    /// From when on a frame may be drawn; never when there is nothing new, or when one is on its way.
    pub(crate) const fn due(&self) -> Option<u64> {
        if self.dirty && self.writing.is_none() { Some(self.next) } else { None }
    }

    /// What is new was drawn at this time, and is on its way if it had any bytes. Looking for them costs as much when there are none.
    pub(crate) const fn drawn(&mut self, now: u64, any: bool) {
        self.dirty = false;
        self.last = now;
        if any {
            self.writing = Some(now);
        }
        self.next = now
            + match (any, self.remote || self.slow) {
                (false, _) => UNSEEN,
                (true, true) => SLOW,
                (true, false) => FAST,
            };
    }

    /// Something is written at this time that is no frame.
    pub(crate) const fn writes(&mut self, now: u64) {
        self.writing = Some(now);
    }

    /// Whether something is on its way.
    pub(crate) const fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// What was on its way is written.
    pub(crate) fn written(&mut self, now: u64) {
        if let Some(began) = self.writing.take() {
            self.slow = now.saturating_sub(began) > LONG;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_change_after_silence_is_drawn_at_once_and_the_next_waits() {
        let mut pace = Pace::new(false);
        assert_eq!(pace.due(), None, "nothing new, nothing drawn");
        pace.touch();
        assert!(pace.due().is_some_and(|due| due <= 1_000_000));
        pace.drawn(1_000_000, true);
        pace.touch();
        assert_eq!(pace.due(), None, "one is on its way");
        pace.written(1_001_000);
        assert_eq!(pace.due(), Some(1_000_000 + FAST));
    }

    #[test]
    fn who_presses_a_key_waits_for_no_more_than_a_moment() {
        let mut pace = Pace::new(true);
        pace.touch();
        pace.drawn(1_000_000, true);
        pace.written(1_001_000);
        pace.touch();
        assert_eq!(pace.due(), Some(1_000_000 + SLOW));
        pace.hurry();
        assert_eq!(pace.due(), Some(1_000_000 + PRESSED));
        pace.writes(1_002_000);
        assert_eq!(pace.due(), None, "one is on its way");
    }

    #[test]
    fn frames_without_bytes_are_not_drawn_as_fast_as_events_come() {
        let mut pace = Pace::new(false);
        let drawn = (0..1_000_000)
            .step_by(10)
            .filter(|now| {
                pace.touch();
                let due = pace.due().is_some_and(|due| due <= *now);
                if due {
                    pace.drawn(*now, false);
                }
                due
            })
            .count();
        assert_eq!(drawn, 125, "of 100,000 events in a second");
        // After silence the next one is drawn at once.
        pace.touch();
        assert!(pace.due().is_some_and(|due| due <= 1_010_000));
    }

    #[test]
    fn slow_terminals_and_networks_get_half_as_many() {
        for (remote, took, next) in [(false, 20_000, FAST), (false, 20_001, SLOW), (true, 0, SLOW)] {
            let mut pace = Pace::new(remote);
            pace.touch();
            pace.drawn(0, true);
            pace.written(took);
            pace.touch();
            pace.drawn(100_000, true);
            pace.written(100_001);
            pace.touch();
            assert_eq!(pace.due(), Some(100_000 + next), "remote {remote}, took {took}");
        }
    }
}

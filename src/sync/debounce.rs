//! When a burst of changes has become a batch.

use std::time::Duration;

use tokio::time::Instant;

/// A trailing debounce with a bound: a burst ends when nothing has come for the quiet window, or when its first change
/// has waited for as long as any may. The last change of a burst is never dropped. Who knows that more is about to come
/// can hold a burst for longer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Debounce {
    quiet: Duration,
    max_wait: Duration,
    burst: Option<Burst>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Burst {
    first: Instant,
    last: Instant,
    held_until: Instant,
}

impl Debounce {
    /// Without a burst.
    pub fn new(quiet: Duration, max_wait: Duration) -> Debounce {
        Debounce { quiet, max_wait, burst: None }
    }

    /// Something changed.
    pub fn touch(&mut self, now: Instant) {
        self.burst.get_or_insert(Burst { first: now, last: now, held_until: now }).last = now;
    }

    /// The burst doesn't end for another quiet window at least, whatever the bound, unless its first change has waited for
    /// `most` by now. Whether it is held.
    pub fn hold(&mut self, now: Instant, most: Duration) -> bool {
        let held = self.burst.as_mut().filter(|burst| now < burst.first + most);
        held.map(|burst| burst.held_until = now + self.quiet).is_some()
    }

    /// When the burst ends, if nothing more comes; `None` without one.
    pub fn deadline(&self) -> Option<Instant> {
        self.burst.map(|burst| (burst.last + self.quiet).min(burst.first + self.max_wait).max(burst.held_until))
    }

    /// Ends the burst: the next change begins another.
    pub fn clear(&mut self) {
        self.burst = None;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_burst_ends_after_the_quiet_window_of_its_last_change() {
        let start = Instant::now();
        let mut debounce = Debounce::new(50 * MS, 500 * MS);
        assert_eq!(debounce.deadline(), None);
        debounce.touch(start);
        debounce.touch(start + 30 * MS);
        assert_eq!(debounce.deadline(), Some(start + 80 * MS));
        debounce.clear();
        assert_eq!(debounce.deadline(), None);
    }

    #[test]
    fn constant_changes_wait_no_longer_than_the_bound() {
        let start = Instant::now();
        let mut debounce = Debounce::new(50 * MS, 500 * MS);
        for ms in 0..100 {
            debounce.touch(start + ms * 40 * MS);
        }
        assert_eq!(debounce.deadline(), Some(start + 500 * MS));
    }

    #[test]
    fn a_held_burst_waits_on_but_not_for_ever() {
        let start = Instant::now();
        let mut debounce = Debounce::new(50 * MS, 500 * MS);
        assert!(!debounce.hold(start, 900 * MS), "there is none");
        debounce.touch(start);
        assert!(debounce.hold(start + 500 * MS, 900 * MS));
        assert_eq!(debounce.deadline(), Some(start + 550 * MS));
        debounce.touch(start + 899 * MS);
        assert!(debounce.hold(start + 899 * MS, 900 * MS));
        assert_eq!(debounce.deadline(), Some(start + 949 * MS));
        assert!(!debounce.hold(start + 949 * MS, 900 * MS));
    }
}

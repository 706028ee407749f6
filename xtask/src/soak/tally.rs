//! What was survived, counted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Counts by name. Cheap to clone; clones are the same.
#[derive(Clone, Default)]
pub(super) struct Tally(Arc<Mutex<BTreeMap<(&'static str, String), Count>>>);

#[derive(Default)]
struct Count {
    times: u64,
    slowest: Duration,
}

impl Tally {
    /// One more of `what`.
    pub(super) fn add(&self, group: &'static str, what: &str) {
        self.add_many(group, what, 1);
    }

    /// Several more of `what`.
    pub(super) fn add_many(&self, group: &'static str, what: &str, times: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.entry((group, what.to_owned())).or_default().times += times;
    }

    /// One more of `what`, which took so long.
    pub(super) fn took(&self, group: &'static str, what: &str, time: Duration) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry((group, what.to_owned())).or_default();
        count.times += 1;
        count.slowest = count.slowest.max(time);
    }

    /// Prints it as a table.
    pub(super) fn print(&self) {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        println!("{:<10} {:<44} {:>9}  {:>9}", "", "survived", "times", "slowest");
        for ((group, what), Count { times, slowest }) in counts.iter() {
            let slowest = match slowest.is_zero() {
                true => String::new(),
                false => format!("{:.2} s", slowest.as_secs_f64()),
            };
            println!("{group:<10} {what:<44} {times:>9}  {slowest:>9}");
        }
    }
}

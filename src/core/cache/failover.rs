//! Which queues count now: a small state machine. No clock, no network.
//!
//! ```text
//!   Connecting ──► Shared ◄──────────────┐
//!       │            │ cut               │ join: no batch syncs in the local queues any more
//!       ▼            ▼                   │
//!     Local ──── back: Redis answers ──► Returning
//!       ▲                                │ cut
//!       └────────────────────────────────┘
//! ```
//!
//! Each change begins a new epoch. What was given in an earlier epoch, a lease above all, is worth nothing.

use super::BackendKind;

/// Where the queues are that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It isn't known yet.
    Connecting,
    /// In Redis.
    Shared,
    /// In this process.
    Local,
    /// In this process, where no batch gets a lease any more: Redis is back, and the one that syncs ends first.
    Returning,
}

/// Where the queues are that count, and what isn't as the settings want it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FailoverState {
    mode: Mode,
    epoch: u64,
    problem: Option<String>,
}

impl FailoverState {
    /// In this process, for good; with a problem when the settings want something else.
    pub(super) fn local(problem: Option<String>) -> FailoverState {
        FailoverState { mode: Mode::Local, epoch: 0, problem }
    }

    /// To be found out.
    pub(super) fn connecting() -> FailoverState {
        FailoverState { mode: Mode::Connecting, epoch: 0, problem: None }
    }

    /// Where queues live now.
    pub fn backend(&self) -> BackendKind {
        match self.mode {
            Mode::Shared | Mode::Connecting => BackendKind::Redis,
            Mode::Local | Mode::Returning => BackendKind::Local,
        }
    }

    /// What isn't as the settings want it, and how to fix it.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Redis can't be used. Gives whether anything is different now.
    pub(super) fn cut(&mut self, problem: &str) -> bool {
        if matches!(self.mode, Mode::Connecting | Mode::Shared) {
            self.epoch += 1;
        }
        let before = std::mem::replace(&mut self.mode, Mode::Local);
        let is_known = self.problem.as_deref() == Some(problem);
        if !is_known {
            self.problem = Some(problem.to_owned());
        }
        before != Mode::Local || !is_known
    }

    /// Redis can be used again. Gives whether its queues may be joined now, as far as this knows.
    pub(super) fn back(&mut self) -> bool {
        if self.mode == Mode::Local {
            self.mode = Mode::Returning;
        }
        self.mode != Mode::Shared
    }

    /// The queues in Redis count from now on. Nothing may be syncing in the local ones. Gives whether they didn't before.
    pub(super) fn join(&mut self) -> bool {
        if !matches!(self.mode, Mode::Connecting | Mode::Returning) {
            return false;
        }
        *self = FailoverState { mode: Mode::Shared, epoch: self.epoch + 1, problem: None };
        true
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::collections::{HashSet, VecDeque};

    use super::*;

    /// The machine, and two leases that were given through it: one in Redis, one here. Each is an epoch.
    #[derive(Clone, PartialEq, Eq, Hash)]
    struct World {
        state: FailoverState,
        shared_lease: Option<u64>,
        local_lease: Option<u64>,
    }

    impl World {
        /// Whether a lease of this epoch is still worth something.
        fn counts(&self, lease: Option<u64>) -> bool {
            lease == Some(self.state.epoch)
        }
    }

    #[test]
    fn however_redis_comes_and_goes_no_two_leases_of_one_process_count() {
        let start = World { state: FailoverState::connecting(), shared_lease: None, local_lease: None };
        let (mut seen, mut next) = (HashSet::from([start.clone()]), VecDeque::from([start]));
        let mut visited = HashSet::new();
        while let Some(world) = next.pop_front() {
            visited.insert(world.state.mode);
            let mut reach = |after: World| {
                assert!(!(after.counts(after.shared_lease) && after.counts(after.local_lease)), "two leases count");
                let shared = after.state.mode == Mode::Shared;
                assert!(!after.counts(after.shared_lease) || shared, "a lease in Redis counts without Redis");
                assert!(!after.counts(after.local_lease) || !shared, "a lease here counts beside the queues in Redis");
                assert!(shared == after.state.problem.is_none() || after.state.mode == Mode::Connecting);
                if after.state.epoch < 8 && seen.insert(after.clone()) {
                    next.push_back(after);
                }
            };
            // A lease is asked for, where leases are given.
            let mut after = world.clone();
            match after.state.mode {
                Mode::Shared => after.shared_lease = Some(after.state.epoch),
                Mode::Local => after.local_lease = Some(after.state.epoch),
                Mode::Connecting | Mode::Returning => {}
            }
            reach(after);
            // The one here ends.
            reach(World { local_lease: None, ..world.clone() });
            // Redis goes, or is back.
            let mut after = world.clone();
            after.state.cut("it is gone");
            reach(after);
            let mut after = world.clone();
            after.state.back();
            reach(after);
            // It is joined when nothing syncs here.
            if !world.counts(world.local_lease) {
                let mut after = world.clone();
                let joined = after.state.join();
                assert_eq!(joined, after.state.epoch > world.state.epoch, "each change is a new epoch");
                reach(after);
            }
        }
        assert_eq!(visited.len(), 4, "every mode is reached");
    }
}

//! An operation of which at most one runs, and at most one more is wanted, with why.
//!
//! The shape is that of rust-analyzer's op queue: what is asked for while one runs is one more run, whatever was asked.

use std::collections::BTreeSet;

use tokio::time::Instant;

/// Why an operation is wanted. Several causes are one run, which serves all of them.
pub(super) trait Cause: Default {
    /// Takes in another cause.
    fn join(&mut self, other: Self);
}

impl Cause for () {
    fn join(&mut self, (): ()) {}
}

impl<T: Ord> Cause for BTreeSet<T> {
    fn join(&mut self, mut other: Self) {
        self.append(&mut other);
    }
}

/// At most one running, at most one more wanted, and one planned for later.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Op<C> {
    wanted: Option<C>,
    /// From when on it is wanted for its default cause.
    planned: Option<Instant>,
    running: bool,
    started: u64,
    finished: u64,
}

impl<C: Cause> Op<C> {
    /// Wanted as soon as it may start.
    pub(super) fn request(&mut self, cause: C) {
        match &mut self.wanted {
            Some(wanted) => wanted.join(cause),
            None => self.wanted = Some(cause),
        }
    }

    /// Wanted for its default cause from `at` on; replaces the earlier plan.
    pub(super) fn plan(&mut self, at: Option<Instant>) {
        self.planned = at;
    }

    /// When the plan comes due.
    pub(super) fn planned(&self) -> Option<Instant> {
        self.planned
    }

    /// Starts it, if it is wanted, doesn't run and `may` run: the caller does so, and says when it is over.
    pub(super) fn start(&mut self, now: Instant, may: bool) -> Option<C> {
        if self.planned.is_some_and(|at| at <= now) {
            self.planned = None;
            self.request(C::default());
        }
        if self.running || !may {
            return None;
        }
        let cause = self.wanted.take()?;
        self.running = true;
        self.started += 1;
        Some(cause)
    }

    /// The run is over, and with it all that were started before.
    pub(super) fn finish(&mut self) {
        self.running = false;
        self.finished = self.started;
    }

    /// The run is over but hasn't done its work: another, with this cause, finishes both.
    pub(super) fn retry(&mut self, cause: C) {
        self.running = false;
        self.request(cause);
    }

    pub(super) fn is_running(&self) -> bool {
        self.running
    }

    /// Why it is wanted.
    pub(super) fn wanted(&self) -> Option<&C> {
        self.wanted.as_ref()
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.is_some()
    }

    /// The run that begins after this call, or the one that is the last wanted: see [`Op::has_finished`].
    pub(super) fn next_run(&self) -> u64 {
        self.started + u64::from(self.wanted.is_some())
    }

    /// Whether a run of [`Op::next_run`] is over.
    pub(super) fn has_finished(&self, run: u64) -> bool {
        run <= self.finished
    }

    /// Forgets how many runs there were, and gives how many were over.
    #[cfg(test)]
    pub(super) fn forget_count(&mut self) -> u64 {
        let finished = std::mem::take(&mut self.finished);
        self.started -= finished;
        finished
    }
}

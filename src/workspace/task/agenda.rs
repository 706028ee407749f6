//! What may run for an open codebase, what is wanted, and what is due: a value, without clock, threads or network.
//!
//! Whoever owns it says what is wanted, what is over and what the time is, and starts what [`Agenda::next`] gives.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::op::{Cause, Op};
use crate::index::symbols::SymbolSegmentId;
use crate::sync::Debounce;

/// First pause after a failed sync; it doubles up to the longest.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Longest pause between two attempts at anything.
pub(super) const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// How much of the tree is compared with the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Extent {
    /// The paths that events name.
    Paths,
    /// All of it.
    #[default]
    Tree,
}

impl Cause for Extent {
    fn join(&mut self, other: Extent) {
        *self = (*self).max(other);
    }
}

/// What is taken out of the index, to be built again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Repair {
    /// What is damaged.
    #[default]
    Damaged,
    /// Everything.
    Everything,
}

impl Cause for Repair {
    fn join(&mut self, other: Repair) {
        *self = (*self).max(other);
    }
}

/// For whom a batch is enqueued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Submission {
    /// Files changed.
    #[default]
    Changes,
    /// Somebody asked for a sync, which a paused codebase does, too.
    Asked,
}

impl Cause for Submission {
    fn join(&mut self, other: Submission) {
        *self = (*self).max(other);
    }
}

/// Something to be started now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Reconcile the tree, or scan paths.
    Scan(Extent),
    /// Compare what raises no event with what it was.
    CompareUnseen,
    /// Ask whether git is rewriting the tree.
    ProbeGit,
    /// A sync failed a while ago.
    Retry,
    /// Enqueue a batch of what is pending.
    Submit,
    /// Take out of the index what has to be built again.
    Repair(Repair),
    /// Merge segments, where that is worth it.
    Compact,
    /// Bring the symbols up to date, those of these segments anew.
    Symbols(BTreeSet<SymbolSegmentId>),
    /// Read the queue.
    PollQueue,
}

/// See the module. A paused codebase scans and answers, but enqueues only what somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Agenda {
    pub(super) scan: Op<Extent>,
    pub(super) compare: Op<()>,
    pub(super) git: Op<()>,
    pub(super) submit: Op<Submission>,
    pub(super) repair: Op<Repair>,
    pub(super) compact: Op<()>,
    pub(super) symbols: Op<BTreeSet<SymbolSegmentId>>,
    pub(super) poll: Op<()>,
    /// Whether there are symbols at all, by the settings.
    has_symbols: bool,
    paused: bool,
    debounce: Debounce,
    retry: Option<Instant>,
    retry_pause: Duration,
}

impl Agenda {
    /// The tree is to be reconciled first.
    pub(super) fn new(debounce: Debounce, has_symbols: bool) -> Agenda {
        let mut agenda = Agenda {
            scan: Op::default(),
            compare: Op::default(),
            git: Op::default(),
            submit: Op::default(),
            repair: Op::default(),
            compact: Op::default(),
            symbols: Op::default(),
            poll: Op::default(),
            has_symbols,
            paused: false,
            debounce,
            retry: None,
            retry_pause: FIRST_RETRY,
        };
        agenda.scan.request(Extent::Tree);
        agenda
    }

    /// What is to be started now; to be asked until there is nothing. A burst of changes that ended is submitted; one of
    /// `many` files only after a look at whether git is about to make more of them.
    pub(super) fn next(&mut self, now: Instant, many: bool) -> Option<Work> {
        let may_change = !self.paused;
        if let Some(extent) = self.scan.start(now, true) {
            return Some(Work::Scan(extent));
        }
        if self.compare.start(now, true).is_some() {
            return Some(Work::CompareUnseen);
        }
        if let Some(repair) = self.repair.start(now, true) {
            return Some(Work::Repair(repair));
        }
        if self.burst_end().is_some_and(|end| end <= now) {
            self.end_burst(many);
        }
        if self.git.start(now, may_change).is_some() {
            return Some(Work::ProbeGit);
        }
        if self.retry.is_some_and(|at| may_change && at <= now) {
            self.retry = None;
            return Some(Work::Retry);
        }
        let may_submit = may_change || self.submit.wanted() == Some(&Submission::Asked);
        if self.submit.start(now, may_submit).is_some() {
            self.debounce.clear();
            return Some(Work::Submit);
        }
        if self.compact.start(now, true).is_some() {
            return Some(Work::Compact);
        }
        if let Some(damaged) = self.symbols.start(now, may_change && self.has_symbols) {
            return Some(Work::Symbols(damaged));
        }
        self.poll.start(now, true).map(|()| Work::PollQueue)
    }

    /// When there may be something to start, if nothing else happens.
    pub(super) fn due(&self) -> Option<Instant> {
        let retry = self.retry.filter(|_| !self.paused);
        let dates = [self.scan.planned(), self.compare.planned(), self.symbols.planned(), self.burst_end(), retry];
        dates.into_iter().flatten().min()
    }

    /// When the burst of changes ends, unless that is being seen to, or has to wait.
    fn burst_end(&self) -> Option<Instant> {
        let is_open = !self.paused && !self.git.is_running() && !self.git.is_wanted() && !self.submit.is_wanted();
        self.debounce.deadline().filter(|_| is_open)
    }

    /// What is pending is to be enqueued.
    pub(super) fn submit_changes(&mut self) {
        self.submit.request(Submission::Changes);
    }

    /// Files have changed: their burst goes on.
    pub(super) fn changed(&mut self, now: Instant) {
        self.debounce.touch(now);
    }

    /// The burst of changes has ended, or is to. One of `many` files may go on, if git is rewriting the tree.
    pub(super) fn end_burst(&mut self, many: bool) {
        match many {
            _ if self.git.is_running() => {}
            true => self.git.request(()),
            false => self.submit_changes(),
        }
    }

    /// Whether git is rewriting the tree is known: if it is, the burst goes on, though for no longer than `most`.
    pub(super) fn git_probed(&mut self, is_rewriting: bool, now: Instant, most: Duration) {
        self.git.finish();
        if !(is_rewriting && self.debounce.hold(now, most)) {
            self.submit_changes();
        }
    }

    pub(super) fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Symbols are being made known, or will be.
    pub(super) fn symbols_pending(&self) -> bool {
        let wanted = self.symbols.is_wanted() && !self.paused;
        self.has_symbols && (self.symbols.is_running() || self.compact.is_running() || wanted)
    }

    /// A sync succeeded: the next failure is a first one.
    pub(super) fn succeeded(&mut self) {
        (self.retry, self.retry_pause) = (None, FIRST_RETRY);
    }

    /// A sync failed: another is tried, later each time.
    pub(super) fn failed(&mut self, now: Instant) {
        self.retry = Some(now + self.retry_pause);
        self.retry_pause = (self.retry_pause * 2).min(LONGEST_RETRY);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;

//! Starting what is due. Each piece of work ends with a report.

use std::time::Duration;

use tokio::time::Instant;

use super::agenda::{Repair, Work};
use super::problems::internal_error;
use super::{COMPARE_PAUSE, CodebaseTask, Ended, Extent, Report};
use crate::core::{Dirty, Owner};
use crate::sync::Enqueued;
use crate::watch::{Watching, repository};
use crate::workspace::shared::{Shared, on_background_thread};
use crate::workspace::state::{Progress, QueuedBatch, Stage};
use crate::workspace::{scan, symbols};

/// Pause after the queue was read, for each 20 batches in it: reading a long one takes as long as it is.
const POLL_PAUSE: Duration = Duration::from_millis(20);
const MOST_POLL_PAUSES: u32 = 50;

impl CodebaseTask {
    pub(super) fn start(&mut self, work: Work) {
        match work {
            Work::Scan(extent) => self.scan(extent),
            Work::CompareUnseen => self.compare_unseen(),
            Work::ProbeGit => {
                self.on_pool(Report::GitProbed(false), |shared| {
                    Report::GitProbed(repository::is_being_rewritten(shared.root()))
                });
            }
            Work::Retry => self.retry(),
            Work::Submit => self.submit(),
            Work::Repair(Repair::Damaged) => self.in_background("syncline-repair", Report::RepairPanicked, |shared| {
                let lost = shared.index.forget_damaged(&shared.overlay);
                Report::Repaired(lost.map(|paths| paths.into_iter().collect()))
            }),
            Work::Repair(Repair::Everything) => {
                self.in_background("syncline-repair", Report::RepairPanicked, |shared| {
                    shared.symbols.clear();
                    Report::Repaired(shared.index.clear(&shared.overlay).map(|()| Dirty::Everything))
                });
            }
            Work::Compact => self.in_background("syncline-compact", Report::Compacted, |shared| {
                compact(shared);
                Report::Compacted
            }),
            Work::Symbols(damaged) => {
                if damaged.is_empty() && self.symbols_of == Some(self.shared.index.snapshot().generation) {
                    return self.agenda.symbols.finish();
                }
                let cache = self.syncs.cache().clone();
                let panicked = Report::SymbolsDone(Err(internal_error("parsing for symbols")));
                self.in_background("syncline-symbols", panicked, move |shared| {
                    Report::SymbolsDone(symbols::bring_up_to_date(shared, &cache, damaged))
                });
            }
            Work::PollQueue => self.poll_queue(),
        }
    }

    /// Does `work` on a thread of the pool; `panicked` is reported when it breaks off.
    fn on_pool(&self, panicked: Report, work: impl FnOnce(&Shared) -> Report + Send + 'static) {
        let (shared, report) = (self.shared.clone(), self.report.clone());
        tokio::spawn(async move {
            let done = tokio::task::spawn_blocking(move || work(&shared)).await;
            // The task may have ended.
            let _ = report.send(done.unwrap_or(panicked));
        });
    }

    /// The same on a thread of its own, at low priority.
    fn in_background(
        &self,
        name: &'static str,
        panicked: Report,
        work: impl FnOnce(&Shared) -> Report + Send + 'static,
    ) {
        let (shared, report) = (self.shared.clone(), self.report.clone());
        tokio::spawn(async move {
            let done = on_background_thread(name, move || work(&shared)).await;
            // The task may have ended.
            let _ = report.send(done.unwrap_or(panicked));
        });
    }

    fn scan(&mut self, extent: Extent) {
        let changes = self.shared.watcher.take();
        if extent == Extent::Tree || changes.everything {
            self.shared.set_progress(Some(Progress { done: 0, total: 0, stage: Stage::Scan }));
            self.on_pool(Report::ScanPanicked, |shared| Report::TreeScanned(scan::reconcile(shared)));
        } else {
            self.on_pool(Report::ScanPanicked, |shared| Report::PathsScanned(scan::paths(shared, changes)));
        }
    }

    /// Compares what no event tells with what it was, so that the index follows though nobody asks.
    fn compare_unseen(&mut self) {
        if self.shared.watcher.watching() != Watching::Events {
            self.agenda.compare.finish();
            return self.agenda.compare.plan(Some(Instant::now() + COMPARE_PAUSE));
        }
        let polls = self.next_poll.is_none_or(|next| next <= Instant::now());
        self.on_pool(Report::UnseenCompared(None), move |shared| {
            Report::UnseenCompared(scan::compare_unseen(shared, polls))
        });
    }

    fn retry(&mut self) {
        if self.shared.overlay.view().is_empty() {
            self.problems.sync = None;
            return;
        }
        self.pending = Dirty::Everything;
        self.agenda.submit_changes();
    }

    /// Enqueues a batch of what is pending, and reports how it ends.
    fn submit(&mut self) {
        let requests = self.answers.take_syncs(&self.agenda.scan);
        let dirty = std::mem::replace(&mut self.pending, Dirty::nothing());
        if dirty.is_empty() && requests.is_empty() {
            return self.agenda.submit.finish();
        }
        let (shared, syncs, report) = (self.shared.clone(), self.syncs.clone(), self.report.clone());
        tokio::spawn(async move {
            let batch = syncs.enqueue(shared, dirty).await;
            let position = batch.position;
            let queued = position.map(|position| (as_queued(&batch, syncs.owner()), position));
            // The task may have ended, here and below.
            let _ = report.send(Report::Enqueued(queued));
            let outcome = batch.outcome().await;
            let _ = report.send(Report::Ended(Ended { outcome, is_merged: position.is_none(), requests }));
        });
    }

    fn poll_queue(&self) {
        let pause = POLL_PAUSE * u32::try_from(self.queue.len() / 20).unwrap_or(u32::MAX).min(MOST_POLL_PAUSES);
        let (syncs, id, report) = (self.syncs.clone(), self.shared.codebase.id.clone(), self.report.clone());
        tokio::spawn(async move {
            // The task may have ended, here and below.
            let _ = report.send(Report::QueueRead(syncs.queue(&id).await));
            tokio::time::sleep(pause).await;
            let _ = report.send(Report::QueueMayBeRead);
        });
    }
}

fn compact(shared: &Shared) {
    while !shared.cancel.is_cancelled() {
        match shared.index.merge(&shared.overlay) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                tracing::warn!(%error, "can't merge segments; it is tried again after the next sync");
                break;
            }
        }
    }
}

fn as_queued(batch: &Enqueued, owner: &Owner) -> QueuedBatch {
    QueuedBatch {
        id: batch.batch,
        created_at: batch.since,
        owner: owner.clone(),
        is_own: true,
        files: batch.covered,
        syncing: false,
    }
}

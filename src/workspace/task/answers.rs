//! What the task of a codebase owes to those who asked. Whoever asked may have stopped waiting.

use tokio::sync::oneshot;

use super::op::{Cause, Op};
use crate::core::BatchId;
use crate::sync::{SyncOutcome, SyncStatus};

/// Those who wait, and for what.
#[derive(Default)]
pub(super) struct Answers {
    /// For the end of a scan.
    catch_ups: Vec<(u64, oneshot::Sender<bool>)>,
    /// For a batch, which is enqueued after the end of a scan.
    syncs: Vec<(u64, oneshot::Sender<SyncOutcome>)>,
    /// For the publication of the state that the outcome makes: whoever asks for the state after such an answer must not see
    /// an older one.
    outcomes: Vec<(oneshot::Sender<SyncOutcome>, SyncOutcome)>,
    /// The same of those who paused or resumed.
    shown: Vec<oneshot::Sender<()>>,
}

impl Answers {
    /// Wants to know when this scan is over.
    pub(super) fn catch_up(&mut self, scan: u64, answer: oneshot::Sender<bool>) {
        self.catch_ups.push((scan, answer));
    }

    /// Wants what this scan finds to be synced.
    pub(super) fn sync(&mut self, scan: u64, answer: oneshot::Sender<SyncOutcome>) {
        self.syncs.push((scan, answer));
    }

    /// Wants to know when the state is published.
    pub(super) fn show(&mut self, answer: oneshot::Sender<()>) {
        self.shown.push(answer);
    }

    /// Whether somebody waits for a batch that may be enqueued.
    pub(super) fn awaits_sync<C: Cause>(&self, scans: &Op<C>) -> bool {
        self.syncs.iter().any(|(scan, _)| scans.has_finished(*scan))
    }

    /// Those who wait for the batch that is enqueued now.
    pub(super) fn take_syncs<C: Cause>(&mut self, scans: &Op<C>) -> Vec<oneshot::Sender<SyncOutcome>> {
        self.syncs.extract_if(.., |(scan, _)| scans.has_finished(*scan)).map(|(_, answer)| answer).collect()
    }

    /// Scans are over.
    pub(super) fn caught_up<C: Cause>(&mut self, scans: &Op<C>, is_certain: bool) {
        for (_, answer) in self.catch_ups.extract_if(.., |(scan, _)| scans.has_finished(*scan)) {
            let _ = answer.send(is_certain);
        }
    }

    /// A batch ended.
    pub(super) fn ended(&mut self, requests: Vec<oneshot::Sender<SyncOutcome>>, outcome: &SyncOutcome) {
        self.outcomes.extend(requests.into_iter().map(|request| (request, outcome.clone())));
    }

    /// There was no batch.
    pub(super) fn failed(&mut self, requests: Vec<oneshot::Sender<SyncOutcome>>, error: &str) {
        let outcome = SyncOutcome::unsynced(BatchId::new(), SyncStatus::Failed, Some(error.to_owned()));
        self.ended(requests, &outcome);
    }

    /// There will be no batch for anybody who waits for one.
    pub(super) fn fail_syncs(&mut self, error: &str) {
        let requests = self.syncs.drain(..).map(|(_, request)| request).collect();
        self.failed(requests, error);
    }

    /// The state is published.
    pub(super) fn published(&mut self) {
        for (request, outcome) in self.outcomes.drain(..) {
            let _ = request.send(outcome);
        }
        for shown in self.shown.drain(..) {
            let _ = shown.send(());
        }
    }
}

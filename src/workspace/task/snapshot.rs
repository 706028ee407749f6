//! The state of a codebase as its task knows it.

use super::CodebaseTask;
use super::problems::Elsewhere;
use crate::core::BatchId;
use crate::workspace::news::Desk;
use crate::workspace::state::{CodebaseState, IndexState, Phase, QueuedBatch, Stage};

impl CodebaseTask {
    /// Whether the queue, when it was read last, held a batch that syncs.
    pub(super) fn is_syncing(&self, id: BatchId) -> bool {
        self.queue.iter().any(|item| item.batch.id == id && item.token.is_some())
    }

    pub(super) fn state(&self) -> CodebaseState {
        let queue = self.queued();
        let position = queue.iter().position(|batch| batch.is_own);
        let (snapshot, dirty) = self.shared.index.with_newer(&self.shared.overlay);
        let pending = dirty.len();
        let scan = &self.agenda.scan;
        let settled = pending == 0 && !scan.is_running() && !scan.is_wanted() && !self.shared.watcher.has_changes();
        let index = IndexState {
            generation: snapshot.generation,
            files: snapshot.files(),
            symbols: self.shared.symbols.symbols(),
            bytes: snapshot.bytes() + self.shared.symbols.bytes(),
            pending,
            fresh: settled && self.tree_seen && !self.problems.hide_changes(),
        };
        let elsewhere = Elsewhere {
            watcher: self.shared.watcher.problem(),
            queue: self.syncs.cache().failover_state().borrow().problem().map(str::to_owned),
            news: self.shared.news.as_ref().and_then(Desk::problem),
            unlisted: self.shared.watcher.unlisted(),
            settings: self.shared.origin.unread(),
        };
        CodebaseState {
            codebase: self.shared.codebase.clone(),
            backend: self.syncs.cache().backend(),
            health: self.problems.health(&elsewhere),
            settings_problems: self.shared.origin.problems(),
            phase: self.phase(position.map(|at| queue[at].syncing)),
            position,
            queue,
            progress: self.shared.progress().or_else(|| self.shared.symbol_progress()),
            last_sync: self.last_sync.clone(),
            index,
            symbols_pending: self.agenda.symbols_pending(),
            symbols_known: index.fresh && self.symbols_of == Some(snapshot.generation),
        }
    }

    fn queued(&self) -> Vec<QueuedBatch> {
        let row = |item: &crate::core::cache::QueueItem| QueuedBatch {
            id: item.batch.id,
            created_at: item.batch.created_at,
            owner: item.batch.owner.clone(),
            is_own: item.batch.owner == *self.syncs.owner(),
            files: item.files,
            syncing: item.token.is_some(),
        };
        self.queue.iter().map(row).collect()
    }

    /// By whether the first batch of ours syncs; `None` without one.
    fn phase(&self, own: Option<bool>) -> Phase {
        let is_scanning =
            self.agenda.scan.is_running() && self.shared.progress().is_some_and(|p| p.stage == Stage::Scan);
        match own {
            Some(true) => Phase::Syncing,
            Some(false) => Phase::Waiting,
            None if self.agenda.is_paused() => Phase::Paused,
            None if is_scanning && !self.tree_seen => Phase::Syncing,
            None => Phase::Idle,
        }
    }
}

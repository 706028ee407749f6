//! What an open codebase tells about itself.

use crate::core::{BatchId, Codebase, Owner, UnixMillis};
use crate::index::Generation;
use crate::sync::SyncOutcome;

/// An open codebase at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct CodebaseState {
    /// Which.
    pub codebase: Codebase,
    /// Where its line lives.
    pub backend: crate::core::cache::BackendKind,
    /// Whether all is well.
    pub health: Health,
    /// What is wrong with the settings in its root, a sentence each; everything else there counts.
    pub settings_problems: Vec<String>,
    /// What its batches are doing.
    pub phase: Phase,
    /// Of this engine's first batch in the queue: 0 is the head, `None` is no batch.
    pub position: Option<usize>,
    /// The line, head first.
    pub queue: Vec<QueuedBatch>,
    /// Of the work at hand.
    pub progress: Option<Progress>,
    /// How the last batch ended.
    pub last_sync: Option<SyncOutcome>,
    /// The index.
    pub index: IndexState,
    /// The symbols of all texts in the index are known, as far as they will be.
    pub symbols_known: bool,
    /// Texts are being parsed for their symbols, or are about to be.
    pub symbols_pending: bool,
}

/// Whether all is well, and if not, one sentence that says what, why, and how to fix it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// All is well.
    Ok,
    /// Answers are right, but something is slower or staler than it should be.
    Degraded(String),
    /// Something doesn't work.
    Error(String),
}

/// What a codebase's batches are doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// None is in the queue.
    Idle,
    /// One waits.
    Waiting,
    /// One syncs, or the tree is being compared with the index.
    Syncing,
    /// None is enqueued until the codebase is resumed.
    Paused,
}

/// A batch in the queue, as shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedBatch {
    /// Its name.
    pub id: BatchId,
    /// When it was made.
    pub created_at: UnixMillis,
    /// Whose it is.
    pub owner: Owner,
    /// Whether that is this engine.
    pub is_own: bool,
    /// Files it covers; `None` for everything.
    pub files: Option<usize>,
    /// Whether it syncs, or waits.
    pub syncing: bool,
}

/// How far the work at hand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Files done.
    pub done: usize,
    /// Files to do; 0 while that isn't known.
    pub total: usize,
    /// What is being done.
    pub stage: Stage,
}

/// What is being done with files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The tree is compared with the index.
    Scan,
    /// Texts are indexed.
    Text,
    /// Texts are parsed for their symbols; no batch waits for it.
    Symbols,
}

/// The index of a codebase at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexState {
    /// Number of its last commit.
    pub generation: Generation,
    /// Files it holds.
    pub files: usize,
    /// Symbols it holds.
    pub symbols: usize,
    /// Bytes on disk.
    pub bytes: u64,
    /// Files that are known to be newer than the index; searches read them.
    pub pending: usize,
    /// Every change that was seen is in the index, and nothing is missed.
    pub fresh: bool,
}

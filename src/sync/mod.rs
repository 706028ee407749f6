//! Batches are queued, wait, sync at the head, and leave the queue on every way out.

mod debounce;
mod manager;

pub use debounce::Debounce;
pub use manager::{Enqueued, Head, LeaseLost, SyncManager, SyncOutcome, SyncStatus, SyncTarget, Synced};

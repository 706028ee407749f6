//! Syncing in turn: a batch is put in line, waits, syncs at the head, and leaves the line on every way out.

mod debounce;
mod manager;

pub use debounce::Debounce;
pub use manager::{Head, InLine, LeaseLost, SyncManager, SyncOutcome, SyncTarget, Synced, Verdict};

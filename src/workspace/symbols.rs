//! The second stage of a codebase's index, in the background: its files' symbols.

use super::shared::Shared;
use super::state::{Progress, Stage};
use crate::index::Generation;
use crate::index::symbols::Update;

/// Files between two reports of progress.
const STEP: usize = 64;

/// Makes the symbols of every text in the index known, and merges packs where that is worth it. Gives the generation of
/// the index that it saw. Blocks.
///
/// # Errors
/// One sentence that says what went wrong and how to mend it.
pub(super) fn bring_up_to_date(shared: &Shared) -> Result<Generation, String> {
    let snapshot = shared.index.snapshot();
    shared.symbols.refresh();
    let update = Update {
        store: &shared.symbols,
        snapshot: &snapshot,
        root: shared.root(),
        max_file_bytes: shared.settings.index.max_file_bytes,
        threads: shared.threads,
        shelf: None,
        cancel: &shared.cancel,
        progress: &|done, total| {
            if done.is_multiple_of(STEP) {
                shared.set_symbol_progress(Some(Progress { done, total, stage: Stage::Symbols }));
            }
        },
    };
    let updated = update.run();
    shared.set_symbol_progress(None);
    let parsed = updated.map_err(|error| format!("symbols can't be kept: {error}"))?;
    tracing::debug!(parsed, symbols = shared.symbols.symbols(), "symbols are up to date");
    while !shared.cancel.is_cancelled() {
        match shared.symbols.merge(|key| snapshot.has(key)) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(format!("symbols can't be merged: {error}")),
        }
    }
    Ok(snapshot.generation)
}

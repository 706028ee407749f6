//! The second stage of a codebase's index, in the background: its files' symbols.

use std::collections::BTreeSet;

use tokio::runtime::Handle;

use super::shared::Shared;
use super::state::{Progress, Stage};
use crate::core::cache::{BackendKind, CacheManager, Namespace};
use crate::index::Generation;
use crate::index::symbols::{Shelf, SymbolSegmentId, TextKey, Update};

/// Files between two reports of progress.
const STEP: usize = 64;

/// Makes the symbols of every text in the index known, those of the symbol segments `damaged` anew, and merges symbol
/// segments where that is worth it. Gives the generation of the index that it saw. Blocks.
///
/// # Errors
/// One sentence that says what went wrong and how to fix it.
pub(super) fn bring_up_to_date(
    shared: &Shared,
    cache: &CacheManager,
    damaged: BTreeSet<SymbolSegmentId>,
) -> Result<Generation, String> {
    damaged.into_iter().for_each(|segment| shared.symbols.forget(segment));
    let snapshot = shared.index.snapshot();
    shared.symbols.refresh();
    let shelf = shelf(cache);
    let update = Update {
        store: &shared.symbols,
        snapshot: &snapshot,
        root: shared.root(),
        max_file_bytes: shared.settings.index.max_file_bytes,
        threads: shared.threads,
        shelf: shelf.as_ref().map(|shelf| shelf as &dyn Shelf),
        cancel: &shared.cancel,
        progress: &|done, total| {
            if done.is_multiple_of(STEP) {
                shared.set_symbol_progress(Some(Progress { done, total, stage: Stage::Symbols }));
            }
        },
    };
    let updated = update.run();
    shared.set_symbol_progress(None);
    let parsed = updated.map_err(|error| error.to_string())?;
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

/// Where other hosts leave what they have parsed. Within this process symbol segments do that, so that a cache of its
/// own would only hold everything twice.
struct SharedCache<'a> {
    cache: &'a CacheManager,
    runtime: Handle,
}

fn shelf(cache: &CacheManager) -> Option<SharedCache<'_>> {
    let runtime = Handle::try_current().ok()?;
    (cache.backend() == BackendKind::Redis).then_some(SharedCache { cache, runtime })
}

fn name(key: &TextKey) -> String {
    format!("symbols:{:?}:{:032x}", key.language, key.hash.0)
}

impl Shelf for SharedCache<'_> {
    fn take(&self, keys: &[TextKey]) -> Vec<Option<Vec<u8>>> {
        let names: Vec<_> = keys.iter().map(name).collect();
        let values = self.runtime.block_on(self.cache.get_many(Namespace::Metadata, &names));
        values.into_iter().map(|value| value.map(|value| value.to_vec())).collect()
    }

    fn leave(&self, values: Vec<(TextKey, Vec<u8>)>) {
        let values: Vec<_> = values.into_iter().map(|(key, value)| (name(&key), value.into())).collect();
        self.runtime.block_on(self.cache.set_many(Namespace::Metadata, values));
    }
}

//! What the owner of a codebase, its looks, its syncs and its searches all use.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::news::Desk;
use super::reread::Origin;
use super::state::{Progress, Stage};
use crate::core::cache::FencingToken;
use crate::core::settings::Settings;
use crate::core::{Codebase, Dirty, SyncBatch};
use crate::index::symbols::{SymbolStore, SymbolView};
use crate::index::{Index, IndexError, Overlay, Unsaved, Update, View};
use crate::sync::{Head, SyncTarget, Synced};
use crate::watch::Watcher;
use crate::watch::tree::{RulesOutside, TreeRules, rules_outside};

/// Each part guards itself; nothing here is held while waiting.
pub(super) struct Shared {
    pub(super) codebase: Codebase,
    pub(super) settings: Settings,
    /// Where those come from.
    pub(super) origin: Origin,
    pub(super) index: Index,
    pub(super) overlay: Overlay,
    pub(super) symbols: SymbolStore,
    pub(super) rules: TreeRules,
    pub(super) watcher: Arc<Watcher>,
    /// Where news of the tree are exchanged with other hosts that see it.
    pub(super) news: Option<Desk>,
    /// Threads that walk, build and search.
    pub(super) threads: usize,
    /// The codebase is being closed.
    pub(super) cancel: CancellationToken,
    progress: Mutex<Option<Progress>>,
    symbol_progress: Mutex<Option<Progress>>,
    /// How long parts of the tree that raise no events took to be compared.
    last_poll: Mutex<Duration>,
    /// What was ignored from outside the codebase when its tree was looked at.
    rules_outside: Mutex<Option<RulesOutside>>,
    /// The progress of texts or symbols has moved.
    pub(super) progressed: Notify,
}

impl Shared {
    pub(super) fn new(
        codebase: Codebase,
        settings: Settings,
        index: Index,
        symbols: SymbolStore,
        rules: TreeRules,
        watcher: Watcher,
        cancel: CancellationToken,
    ) -> Shared {
        let news = settings.queue.shared_tree.clone().map(Desk::new);
        Shared {
            codebase,
            settings,
            origin: Origin::default(),
            index,
            overlay: Overlay::default(),
            symbols,
            rules,
            watcher: Arc::new(watcher),
            news,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            cancel,
            progress: Mutex::default(),
            symbol_progress: Mutex::default(),
            last_poll: Mutex::default(),
            rules_outside: Mutex::default(),
            progressed: Notify::new(),
        }
    }

    pub(super) fn root(&self) -> &Path {
        self.codebase.root.as_path()
    }

    /// Reads the settings anew, which may have changed. Blocks while it reads two small files.
    pub(super) fn reread_settings(&self) {
        self.origin.reread(self.root(), &self.settings);
    }

    pub(super) fn view(&self, unsaved: Arc<Unsaved>) -> View {
        let (snapshot, dirty) = self.index.with_newer(&self.overlay);
        View { dirty, snapshot, unsaved }
    }

    pub(super) fn symbol_view<'a>(&'a self, view: &'a View) -> SymbolView<'a> {
        SymbolView {
            store: &self.symbols,
            view,
            root: self.root(),
            max_file_bytes: self.settings.index.max_file_bytes,
            threads: self.threads,
        }
    }

    pub(super) fn rules_outside(&self) -> Option<RulesOutside> {
        *self.rules_outside.lock()
    }

    /// To be called before the tree is walked: what changes meanwhile then shows as a difference.
    pub(super) fn note_rules_outside(&self) {
        *self.rules_outside.lock() = rules_outside(self.root());
    }

    pub(super) fn last_poll(&self) -> Duration {
        *self.last_poll.lock()
    }

    pub(super) fn note_poll(&self, took: Duration) {
        *self.last_poll.lock() = took;
    }

    /// Those of the files that `dirty` covers that the index doesn't hold yet.
    fn rest(&self, dirty: Dirty) -> Dirty {
        let newer = self.overlay.view();
        match dirty {
            Dirty::Everything => Dirty::Everything,
            Dirty::Paths(paths) => paths.into_iter().filter(|path| newer.contains_key(path)).collect(),
        }
    }

    pub(super) fn progress(&self) -> Option<Progress> {
        *self.progress.lock()
    }

    pub(super) fn symbol_progress(&self) -> Option<Progress> {
        *self.symbol_progress.lock()
    }

    pub(super) fn set_symbol_progress(&self, progress: Option<Progress>) {
        *self.symbol_progress.lock() = progress;
        self.progressed.notify_one();
    }

    pub(super) fn set_progress(&self, progress: Option<Progress>) {
        *self.progress.lock() = progress;
        self.progressed.notify_one();
    }
}

impl SyncTarget for Shared {
    fn codebase(&self) -> &Codebase {
        &self.codebase
    }

    fn last_token(&self) -> FencingToken {
        self.index.snapshot().last_token()
    }

    async fn sync(self: Arc<Self>, _: SyncBatch, dirty: Dirty, head: Head) -> Result<Synced, String> {
        let (runtime, before) = (tokio::runtime::Handle::current(), head.files_before);
        let updated = on_background_thread("syncline-index", move || {
            let cancelled = CancelBoth::new(&self.cancel, &head.cancel);
            let permit = || match cancelled.token().is_cancelled() {
                true => Err(IndexError::Cancelled),
                false => runtime.block_on(head.confirm()).map(Some).map_err(|_| IndexError::LeaseLost),
            };
            let update = Update {
                index: &self.index,
                root: self.root(),
                overlay: &self.overlay,
                max_file_bytes: self.settings.index.max_file_bytes,
                threads: self.threads,
                memory: self.settings.index.max_memory,
                cancel: cancelled.token(),
                give_way: &head.give_way,
                progress: &|done, total| {
                    let (done, total) = (before + done, before + total);
                    self.set_progress(Some(Progress { done, total, stage: Stage::Text }));
                },
                permit: &permit,
            };
            let updated = update.run(&dirty);
            let rest = updated.as_ref().is_ok_and(|updated| updated.left > 0).then(|| self.rest(dirty));
            if matches!(updated, Err(IndexError::LeaseLost)) {
                // Also when only the index knows.
                head.give_up();
            }
            self.symbols.restore();
            if rest.is_none() {
                // What is left goes on from there.
                self.set_progress(None);
            }
            tracing::debug!(?updated, files = self.index.snapshot().files(), "updated the index");
            updated.map(|updated| Synced { files: updated.files, rest })
        });
        match updated.await {
            Some(Ok(synced)) => Ok(synced),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("indexing broke off by a fault of syncline; its log says where".to_owned()),
        }
    }
}

/// A token that ends when either of two does.
struct CancelBoth(CancellationToken);

impl CancelBoth {
    fn new(codebase: &CancellationToken, head: &CancellationToken) -> CancelBoth {
        let both = codebase.child_token();
        let (ended, head) = (both.clone(), head.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                tokio::select! {
                    () = head.cancelled() => ended.cancel(),
                    () = ended.cancelled() => {}
                }
            });
        }
        CancelBoth(both)
    }

    fn token(&self) -> &CancellationToken {
        &self.0
    }
}

impl Drop for CancelBoth {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Runs work that must not be in anybody's way on a thread of its own, at low priority. `None` when it panicked.
pub(super) async fn on_background_thread<R: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> R + Send + 'static,
) -> Option<R> {
    let (give, result) = oneshot::channel();
    let runtime = tokio::runtime::Handle::try_current().ok();
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _entered = runtime.as_ref().map(|runtime| runtime.enter());
        lower_priority();
        // Whoever asked may have gone.
        let _ = give.send(work());
    });
    match thread {
        Ok(_) => result.await.ok(),
        Err(error) => {
            tracing::error!(%error, "can't start a thread");
            None
        }
    }
}

#[cfg(target_os = "linux")]
fn lower_priority() {
    // On Linux this is the calling thread's own; threads it starts inherit it.
    if let Err(error) = rustix::process::setpriority_process(None, 10) {
        tracing::debug!(%error, "background work keeps its priority");
    }
}

#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

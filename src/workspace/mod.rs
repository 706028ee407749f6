//! An open codebase: the one task that owns its state and ties watch, sync and index together.
//!
//! An [`Engine`] opens each codebase once, as a [`Workspace`]. Others send it messages through that handle, and read
//! snapshots: its [`CodebaseState`], and a [`View`] to search.

mod disk;
mod engine;
mod news;
mod publish;
mod reread;
mod scan;
mod shared;
mod state;
mod symbols;
mod task;

pub use disk::bytes_of_indexes;
pub use engine::{Engine, OpenError, has_index, index_folder, indexed_codebase, may_open};
pub use reread::Opened;
pub use state::{CodebaseState, Health, IndexState, Phase, Progress, QueuedBatch, Stage};

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::core::cache::CacheManager;
use crate::core::settings::Settings;
use crate::core::{BatchId, Codebase, RelPath};
use crate::index::symbols::{Dated, SymbolAnswer, SymbolQuery};
use crate::index::{
    FileMatches, Generation, Limits, MatchedLine, Plan, Query, SearchEnd, Spared, Unsaved, View, find_matches,
};
use crate::sync::{SyncOutcome, SyncStatus};
use crate::watch::tree::{RulesOutside, rules_outside};
use reread::count_alike;
use shared::Shared;
use task::Command;

/// How often what no event tells is compared for one answer, if scans go on noting more of it. Then the answer isn't
/// called fresh.
const MOST_COMPARISONS: usize = 8;

/// An open codebase. Cheap to clone; clones are the same, and of the same user. It closes when the last clone is gone.
#[derive(Clone)]
pub struct Workspace {
    open: Arc<Open>,
    /// Whoever opened it; nobody, for the engine's own handles.
    _user: Option<Arc<User>>,
}

/// Somebody who uses an open codebase, whatever it does with it at the same time.
struct User {
    open: Arc<Open>,
}

impl User {
    fn new(open: Arc<Open>) -> User {
        open.users.fetch_add(1, Ordering::Relaxed);
        User { open }
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.open.users.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Open {
    shared: Arc<Shared>,
    state: watch::Receiver<Arc<CodebaseState>>,
    commands: mpsc::Sender<Command>,
    cache: CacheManager,
    /// What was asked for last, by [`Workspace::pause`] or [`Workspace::resume`].
    is_paused: AtomicBool,
    /// How many use it.
    users: AtomicUsize,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.cancel.cancel();
    }
}

/// Which files a search looks at, of those it may.
pub type Keep = Box<dyn Fn(&RelPath) -> bool + Send + Sync>;

/// A view to search, and how fresh it is.
#[derive(Clone)]
pub struct FreshView {
    /// What to search.
    pub view: View,
    /// Every change that was on disk when it was asked for is in it.
    pub fresh: bool,
}

/// Files of a folder that may hold a match: all of them, as they are now.
#[derive(Clone, Debug)]
pub struct FolderCandidates {
    /// The codebase's root.
    pub root: PathBuf,
    /// [`rules_outside`] that held when the files were found.
    pub rules_outside: RulesOutside,
    /// In path order, relative to the root.
    pub files: Vec<RelPath>,
    /// Folders that can't be listed, relative to the root: a walk complains of them.
    pub unlisted: Vec<RelPath>,
    /// What was left out, if that was asked.
    pub spared: Spared,
    /// Of the index that was asked.
    pub generation: Generation,
}

impl Workspace {
    fn of_new_user(open: Arc<Open>) -> Workspace {
        let user = User::new(open.clone());
        Workspace { open, _user: Some(Arc::new(user)) }
    }

    /// Which codebase this is.
    pub fn codebase(&self) -> &Codebase {
        &self.open.shared.codebase
    }

    /// Where its line and values live.
    pub fn cache(&self) -> &CacheManager {
        &self.open.cache
    }

    /// Its state now and as it changes.
    pub fn state(&self) -> watch::Receiver<Arc<CodebaseState>> {
        self.open.state.clone()
    }

    /// Where its index is.
    fn index_folder(&self) -> &Path {
        self.open.shared.index.folder()
    }

    /// The settings that it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.open.shared.settings
    }

    /// Whether `settings` mean the same for it as those it was opened with.
    pub fn counts_alike(&self, settings: &Settings) -> bool {
        count_alike(self.settings(), settings)
    }

    /// Tells of files that have just been written, as an editor does on a save. Paths outside the codebase are ignored.
    pub fn touch(&self, paths: Vec<PathBuf>) {
        for path in paths {
            self.open.shared.watcher.note_written(&canonical(&path));
        }
    }

    /// Whether a file at `path` (absolute; it need not exist) belongs to the codebase by its rules of ignoring, and its
    /// path there.
    pub async fn belongs(&self, path: &Path) -> Option<RelPath> {
        let (shared, path) = (self.open.shared.clone(), path.to_owned());
        let looked = tokio::task::spawn_blocking(move || {
            let path = RelPath::below(shared.root(), &canonical(&path))?;
            scan::belongs(&shared, &path).then_some(path)
        });
        looked.await.ok().flatten()
    }

    /// What to search now: all that was seen so far. With `fresh`, every change that was on disk at the call is in it, if
    /// the platform can tell; it may take as long as a comparison of the tree when one is under way.
    pub async fn view(&self, unsaved: Arc<Unsaved>, fresh: bool) -> FreshView {
        let shared = &self.open.shared;
        if !fresh {
            // Nobody has looked, so nobody knows.
            return FreshView { view: shared.view(unsaved), fresh: false };
        }
        for _ in 0..MOST_COMPARISONS {
            let version = shared.watcher.unseen_version();
            let compares = shared.clone();
            let unseen = tokio::task::spawn_blocking(move || scan::unseen(&compares));
            let (seen, compared) = tokio::join!(shared.watcher.catch_up(), unseen);
            let (scanned, compared) = (self.caught_up().await, compared.unwrap_or(false));
            let fresh = scanned && seen && compared;
            if !fresh {
                tracing::debug!(scanned, seen, compared, "an answer may lack something");
            }
            if !fresh || shared.watcher.unseen_version() == version {
                return FreshView { view: shared.view(unsaved), fresh };
            }
            // Scans have noted what wasn't compared, and may have changed before that.
        }
        FreshView { view: shared.view(unsaved), fresh: false }
    }

    /// The files in `folder` (canonical) that may fulfil `plan`, by its paths, when they are certain to be those that
    /// ripgrep's walk of that folder would find without any flags: `None` when the codebase has rules of its own, when
    /// the folder isn't one of its folders, or has no files at all, or when something may have gone unseen.
    ///
    /// With `by_size`, files are left out only when it is known what a search would have gone through, and counted.
    pub async fn candidates(&self, folder: &Path, plan: Plan, by_size: bool) -> Option<FolderCandidates> {
        let shared = &self.open.shared;
        let folder = match folder == shared.root() {
            true => None,
            false => Some(RelPath::below(shared.root(), folder)?),
        };
        let path = folder.as_ref().map_or_else(|| shared.root().to_owned(), |folder| folder.to_path(shared.root()));
        if !shared.rules.are_ripgreps() || !shared.watcher.is_entered(&path) {
            return None;
        }
        let FreshView { view, fresh: true } = self.view(Arc::new(Unsaved::new()), true).await else { return None };
        // By the rules that hold now.
        if self.outdated().is_cancelled() {
            return None;
        }
        let (shared, open) = (shared.clone(), self.clone());
        let found = tokio::task::spawn_blocking(move || {
            let rules_outside = rules_outside(shared.root())?;
            if shared.rules_outside() != Some(rules_outside) {
                open.command(Command::Reconcile);
                return None;
            }
            let below = |path: &RelPath| folder.as_ref().is_none_or(|folder| path.is_below(folder));
            let unlisted = shared.watcher.unlisted().into_iter();
            let unlisted = unlisted.filter_map(|(path, _)| RelPath::below(shared.root(), &path));
            let unlisted: Vec<_> = unlisted.filter(below).collect();
            let (candidates, spared) = match by_size {
                true => view.candidates_by_size(&plan, below),
                false => (view.candidates(&plan, below), Spared::default()),
            };
            let generation = view.snapshot.generation;
            if !candidates.damaged.is_empty() {
                open.command(Command::Damaged);
                return None;
            }
            let files: Vec<_> = candidates.files.into_iter().map(|candidate| candidate.path).collect();
            if files.is_empty() && unlisted.is_empty() && !view.holds_any(folder.as_ref()) {
                return None;
            }
            Some(FolderCandidates {
                root: shared.root().to_owned(),
                rules_outside,
                files,
                unlisted,
                spared,
                generation,
            })
        });
        found.await.ok().flatten()
    }

    /// Waits until everything that was seen so far has been looked at; gives whether nothing can be missing.
    async fn caught_up(&self) -> bool {
        let (answer, certain) = oneshot::channel();
        self.open.commands.send(Command::CatchUp(answer)).await.is_ok() && certain.await.unwrap_or(false)
    }

    /// Searches `view` for `query` in the files that `keep` lets pass, on threads of its own, and hands over the matches
    /// in path order as they are known, as `shape` makes them; see [`find_matches`]. Ends soon after `cancel` says so.
    #[allow(clippy::too_many_arguments, reason = "they are what a search is")]
    pub async fn search<M: Send + 'static>(
        &self,
        view: View,
        query: Query,
        keep: Keep,
        max_results: usize,
        cancel: CancellationToken,
        shape: impl Fn(&RelPath, MatchedLine<'_>, &mut Vec<M>) -> usize + Send + Sync + 'static,
        found: impl FnMut(FileMatches<M>) -> ControlFlow<()> + Send + 'static,
    ) -> SearchEnd {
        let shared = self.open.shared.clone();
        let search = tokio::task::spawn_blocking(move || {
            let candidates = view.candidates(&query.plan, keep);
            let limits = Limits { max_results, threads: shared.threads };
            let end = find_matches(shared.root(), &query, &candidates.files, limits, &cancel, shape, found);
            (end, candidates.damaged)
        });
        match search.await {
            Ok((end, damaged)) => {
                if let Some(problem) = damaged.first() {
                    tracing::warn!("{problem}");
                    self.command(Command::Damaged);
                }
                end
            }
            Err(error) => {
                tracing::error!(%error, "a search broke off");
                SearchEnd { cancelled: true, ..SearchEnd::default() }
            }
        }
    }

    /// Finds the best symbols for `query` in `view`, on threads of its own. Ends soon after `cancel` says so.
    pub async fn symbols(&self, view: View, query: SymbolQuery, cancel: CancellationToken) -> SymbolAnswer {
        let shared = self.open.shared.clone();
        let find = tokio::task::spawn_blocking(move || shared.symbol_view(&view).find(&query, &cancel));
        let answer = find.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a search for symbols broke off");
            SymbolAnswer::default()
        });
        if !answer.damaged.is_empty() {
            self.command(Command::DamagedSymbols(answer.damaged.clone()));
        }
        answer
    }

    /// Symbols of the files in `view` that changed last, the latest first, those of `first` before all others.
    pub async fn latest_symbols(
        &self,
        view: View,
        limit: usize,
        first: Option<RelPath>,
        cancel: CancellationToken,
    ) -> Vec<Dated> {
        let shared = self.open.shared.clone();
        let find = move || shared.symbol_view(&view).latest(limit, first.as_ref(), &cancel);
        tokio::task::spawn_blocking(find).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a search for symbols broke off");
            Vec::new()
        })
    }

    /// Compares the tree with the index, syncs what differs, and gives how that ended.
    pub async fn sync(&self) -> SyncOutcome {
        let (answer, outcome) = oneshot::channel();
        if self.open.commands.send(Command::Sync(answer)).await.is_ok()
            && let Ok(outcome) = outcome.await
        {
            return outcome;
        }
        SyncOutcome::unsynced(BatchId::new(), SyncStatus::Superseded, Some("the codebase was closed".to_owned()))
    }

    /// Enqueues no batch until [`Workspace::resume`]; answers stay right meanwhile. What it gives comes when the state
    /// shows it.
    pub fn pause(&self) -> oneshot::Receiver<()> {
        let (shown, wait) = oneshot::channel();
        self.open.is_paused.store(true, Ordering::Relaxed);
        self.command(Command::Pause(shown));
        wait
    }

    /// Goes on after [`Workspace::pause`], and gives the same.
    pub fn resume(&self) -> oneshot::Receiver<()> {
        let (shown, wait) = oneshot::channel();
        self.open.is_paused.store(false, Ordering::Relaxed);
        self.command(Command::Resume(shown));
        wait
    }

    /// Forgets the index and builds it anew.
    pub fn rebuild(&self) {
        self.command(Command::Rebuild);
    }

    fn command(&self, command: Command) {
        if let Err(error) = self.open.commands.try_send(command) {
            tracing::warn!(codebase = %self.open.shared.root().display(), %error, "a command was refused");
        }
    }
}

/// `path` with all links resolved, as far as it exists: one file has one path, however a client has reached it. Blocks for
/// a few looks.
fn canonical(path: &Path) -> PathBuf {
    let mut missing = PathBuf::new();
    for at in path.ancestors() {
        if let Ok(real) = std::fs::canonicalize(at) {
            return if missing.as_os_str().is_empty() { real } else { real.join(missing) };
        }
        let Some(name) = at.file_name() else { break };
        missing = if missing.as_os_str().is_empty() { PathBuf::from(name) } else { Path::new(name).join(missing) };
    }
    path.to_owned()
}

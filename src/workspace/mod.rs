//! An open codebase: the one task that owns its state and ties watch, sync and index together.
//!
//! An [`Engine`] opens each codebase once, as a [`Workspace`]. Others send it messages through that handle, and read
//! snapshots: its [`CodebaseState`], and a [`View`] to search.

mod look;
mod owner;
mod shared;
mod state;

pub use state::{CodebaseState, Health, IndexState, Phase, Progress, QueuedBatch, Stage};

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::core::cache::CacheManager;
use crate::core::error::RootError;
use crate::core::settings::{QueueSettings, Settings};
use crate::core::{BatchId, Codebase, CodebaseId, CodebaseRoot, Owner as LineOwner, RelPath};
use crate::index::{FileMatches, Index, Limits, Query, SearchEnd, Unsaved, View, find_matches};
use crate::sync::{SyncManager, SyncOutcome, Verdict};
use crate::watch::Watcher;
use crate::watch::tree::{RuleError, TreeRules};
use owner::{Command, Owner};
use shared::Shared;

/// Commands that wait for the owner of a codebase. It takes them within microseconds; more than these are refused.
const MOST_COMMANDS: usize = 1024;

/// Opens codebases, each once. Cheap to clone; clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    lines: Arc<Lines>,
    cancel: CancellationToken,
    open: Arc<Mutex<HashMap<CodebaseRoot, Weak<Open>>>>,
}

/// Where an engine's batches wait. Codebases whose settings agree share a cache, and with it one connection.
struct Lines {
    owner: LineOwner,
    /// For all codebases, whatever their settings say.
    given: Option<SyncManager>,
    opened: Mutex<Vec<(QueueSettings, SyncManager)>>,
}

impl Lines {
    /// The manager for a codebase with these settings.
    fn of(&self, settings: &QueueSettings) -> SyncManager {
        if let Some(given) = &self.given {
            return given.clone();
        }
        // The name is the line's, not the cache's.
        let settings = QueueSettings { codebase: None, ..settings.clone() };
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, syncs)) = opened.iter().find(|(known, _)| *known == settings) {
            return syncs.clone();
        }
        let syncs = SyncManager::new(CacheManager::open(&settings), self.owner.clone());
        opened.push((settings, syncs.clone()));
        syncs
    }

    fn all(&self) -> Vec<SyncManager> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        self.given.iter().chain(opened.iter().map(|(_, syncs)| syncs)).cloned().collect()
    }
}

/// A codebase that can't be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The folder.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The settings' globs.
    #[error(transparent)]
    Rules(#[from] RuleError),
    /// There is no place for an index.
    #[error("there is no folder for indexes: the platform names no cache folder; set index.dir to a folder")]
    NoIndexFolder,
}

/// An open codebase. Cheap to clone; clones are the same. It closes when the last clone is gone.
#[derive(Clone)]
pub struct Workspace {
    open: Arc<Open>,
}

struct Open {
    shared: Arc<Shared>,
    state: watch::Receiver<Arc<CodebaseState>>,
    commands: mpsc::Sender<Command>,
    cache: CacheManager,
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

impl Engine {
    /// An engine whose lines live where each codebase's settings say. To where these settings say it connects right
    /// away. Must be called within a Tokio runtime.
    pub fn new(settings: &Settings) -> Engine {
        let engine = Engine::with(None);
        engine.lines.of(&settings.queue);
        engine
    }

    /// An engine whose lines live in `cache`. Engines that share a cache take turns.
    pub fn with_cache(cache: CacheManager) -> Engine {
        Engine::with(Some(cache))
    }

    fn with(cache: Option<CacheManager>) -> Engine {
        let owner = LineOwner::new();
        let given = cache.map(|cache| SyncManager::new(cache, owner.clone()));
        let lines = Arc::new(Lines { owner, given, opened: Mutex::default() });
        Engine { lines, cancel: CancellationToken::new(), open: Arc::default() }
    }

    /// Opens the codebase at `root`, or gives the one that is open already. Its index on disk answers at once, while
    /// the tree is compared with it in the background. Must be called within a Tokio runtime. Blocks for as long as
    /// reading the index's files takes (milliseconds).
    ///
    /// # Errors
    /// When the root isn't a folder, or a glob in the settings isn't one.
    pub fn open(&self, root: &Path, settings: &Settings) -> Result<Workspace, OpenError> {
        let root = CodebaseRoot::open(root)?;
        let mut opened = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = opened.get(&root).and_then(Weak::upgrade) {
            return Ok(Workspace { open });
        }
        opened.retain(|_, open| open.strong_count() > 0);
        let rules = TreeRules::new(root.as_path(), settings.index.hidden, &settings.index.exclude)?;
        let folder = index_folder(settings, &root).ok_or(OpenError::NoIndexFolder)?;
        let (index, problems) = Index::open(&folder);
        for problem in &problems {
            tracing::warn!(codebase = %root.as_path().display(), "{problem}");
        }
        let syncs = self.lines.of(&settings.queue);
        let cookies = folder.join(format!("cookies-{}", syncs.owner().session.simple()));
        let watcher = Watcher::new(root.as_path(), &cookies, settings.watch.mode);
        let codebase = Codebase::new(root.clone(), settings.queue.codebase.as_deref());
        let cancel = self.cancel.child_token();
        let shared = Arc::new(Shared::new(codebase, settings.clone(), index, rules, watcher, cancel));
        let (commands, receive) = mpsc::channel(MOST_COMMANDS);
        let cache = syncs.cache().clone();
        let (owner, state) = Owner::new(shared.clone(), syncs, receive, problems);
        tokio::spawn(owner.run());
        let open = Arc::new(Open { shared, state, commands, cache });
        opened.insert(root, Arc::downgrade(&open));
        Ok(Workspace { open })
    }

    /// Ends all work of this engine: batches leave the line, threads stop at their next file. Takes milliseconds: what
    /// hasn't left by then, since Redis is slow, leaves when its lease is over.
    pub async fn shutdown(&self) {
        const LEAVING: Duration = Duration::from_millis(120);
        self.cancel.cancel();
        let lines = self.lines.all();
        lines.iter().for_each(SyncManager::cancel_all);
        let open: Vec<_> = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.drain().filter_map(|(_, open)| open.upgrade()).collect()
        };
        for open in open {
            // The owner's end drops its receiver.
            open.commands.closed().await;
        }
        let until = Instant::now() + LEAVING;
        for syncs in lines {
            syncs.left_all(until.saturating_duration_since(Instant::now())).await;
        }
    }
}

/// Where the index of the codebase at `root` lives; `None` when the platform names no cache folder and none is set.
pub fn index_folder(settings: &Settings, root: &CodebaseRoot) -> Option<PathBuf> {
    let dir = settings.index.dir.clone().or_else(crate::core::settings::default_index_dir)?;
    Some(dir.join(CodebaseId::of(root).as_str()))
}

impl Workspace {
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

    /// Tells of files that have just been written, as an editor does on a save. Paths outside the codebase are ignored.
    pub fn touch(&self, paths: Vec<PathBuf>) {
        for path in paths {
            self.open.shared.watcher.tell(&self.canonical(path));
        }
    }

    /// Whether a file at `path` (absolute; it need not exist) belongs to the codebase by its rules of ignoring, and its
    /// path there.
    pub async fn belongs(&self, path: &Path) -> Option<RelPath> {
        let path = RelPath::below(self.open.shared.root(), &self.canonical(path.to_owned()))?;
        // Before the tree was walked once, nobody knows which folders belong.
        self.caught_up().await;
        let shared = self.open.shared.clone();
        let looked = tokio::task::spawn_blocking(move || look::belongs(&shared, &path).then_some(path)).await;
        looked.ok().flatten()
    }

    /// `path` by the canonical name of its folder: clients may have reached the root by a link.
    fn canonical(&self, path: PathBuf) -> PathBuf {
        if path.starts_with(self.open.shared.root()) {
            return path;
        }
        match (path.parent().map(std::fs::canonicalize), path.file_name()) {
            (Some(Ok(folder)), Some(name)) => folder.join(name),
            _ => path,
        }
    }

    /// What to search now: all that was seen so far. With `fresh`, every change that was on disk at the call is in it, if the platform can tell;
    /// it may take as long as a comparison of the tree when one is under way.
    pub async fn view(&self, unsaved: Arc<Unsaved>, fresh: bool) -> FreshView {
        let shared = &self.open.shared;
        if !fresh {
            // Nobody has looked, so nobody knows.
            return FreshView { view: shared.view(unsaved), fresh: false };
        }
        let seen = shared.watcher.catch_up().await;
        let certain = self.caught_up().await;
        FreshView { view: shared.view(unsaved), fresh: seen && certain }
    }

    /// Waits until everything that was seen so far has been looked at; gives whether nothing can be missing.
    async fn caught_up(&self) -> bool {
        let (answer, certain) = oneshot::channel();
        self.open.commands.send(Command::CatchUp(answer)).await.is_ok() && certain.await.unwrap_or(false)
    }

    /// Searches `view` for `query` in the files that `keep` lets pass, on threads of its own, and hands over the files
    /// with matches in path order as they are known. Ends soon after `cancel` says so.
    pub async fn search(
        &self,
        view: View,
        query: Query,
        keep: Keep,
        max_results: usize,
        cancel: CancellationToken,
        found: impl FnMut(FileMatches) -> ControlFlow<()> + Send + 'static,
    ) -> SearchEnd {
        let shared = self.open.shared.clone();
        let search = tokio::task::spawn_blocking(move || {
            let candidates = view.candidates(&query.plan, keep);
            let limits = Limits { max_results, threads: shared.threads };
            let end = find_matches(shared.root(), &query, &candidates.files, limits, &cancel, found);
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

    /// Compares the tree with the index, syncs what differs, and gives how that ended.
    pub async fn sync(&self) -> SyncOutcome {
        let (answer, outcome) = oneshot::channel();
        if self.open.commands.send(Command::Sync(answer)).await.is_ok()
            && let Ok(outcome) = outcome.await
        {
            return outcome;
        }
        SyncOutcome::without_turn(BatchId::new(), Verdict::Superseded, Some("the codebase was closed".to_owned()))
    }

    /// Puts no batch in line until [`Workspace::resume`]; answers stay right meanwhile.
    pub fn pause(&self) {
        self.command(Command::Pause);
    }

    /// Goes on after [`Workspace::pause`].
    pub fn resume(&self) {
        self.command(Command::Resume);
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

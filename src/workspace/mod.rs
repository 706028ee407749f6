//! An open codebase: the one task that owns its state and ties watch, sync and index together.
//!
//! An [`Engine`] opens each codebase once, as a [`Workspace`]. Others send it messages through that handle, and read
//! snapshots: its [`CodebaseState`], and a [`View`] to search.

mod disk;
mod publish;
mod reread;
mod scan;
mod shared;
mod state;
mod symbols;
mod task;

pub use disk::bytes_of_indexes;
pub use reread::Opened;
pub use state::{CodebaseState, Health, IndexState, Phase, Progress, QueuedBatch, Stage};

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::core::cache::CacheManager;
use crate::core::error::RootError;
use crate::core::settings::{QueueSettings, Settings};
use crate::core::{BatchId, Codebase, CodebaseId, CodebaseRoot, Owner, RelPath};
use crate::index::symbols::{Dated, SymbolAnswer, SymbolQuery, SymbolStore};
use crate::index::{
    FileMatches, Index, Limits, MatchedLine, Plan, Query, SearchEnd, Unsaved, View, find_matches, make_below,
};
use crate::sync::{SyncManager, SyncOutcome, Verdict};
use crate::watch::tree::{RuleError, RulesOutside, TreeRules, rules_outside};
use crate::watch::{Watcher, cookie_folder, sweep_cookies};
use reread::{Origin, count_alike};
use shared::Shared;
use task::{CodebaseTask, Command};

/// Commands that wait for the task of a codebase. It takes them within microseconds; more than these are refused.
const MOST_COMMANDS: usize = 1024;

/// Opens codebases, each once. Cheap to clone; clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    lines: Arc<Lines>,
    cancel: CancellationToken,
    open: Arc<Mutex<HashMap<CodebaseRoot, Slot>>>,
    /// The codebases that are being opened.
    opening: Arc<Mutex<HashMap<CodebaseRoot, Arc<Mutex<()>>>>>,
    /// Codebases stay open when nobody uses them any more, until [`Engine::close_unused`].
    keeps: bool,
}

/// A codebase that was opened.
struct Slot {
    open: Weak<Open>,
    /// Keeps it open.
    _kept: Option<Arc<Open>>,
    /// When somebody was last known to use it.
    used: Instant,
}

impl Slot {
    /// How many use it, beside the engine itself.
    fn users(&self) -> usize {
        self.open.upgrade().map_or(0, |open| open.users.load(Ordering::Relaxed))
    }
}

/// Where an engine's batches wait. Codebases whose settings agree share a cache, and with it one connection.
struct Lines {
    owner: Owner,
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
        // Settings come and go; the first are the engine's own.
        let mut is_first = true;
        opened.retain(|(_, syncs)| std::mem::take(&mut is_first) || syncs.is_used());
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
    /// All that a user has would be read, and nobody has asked for that.
    #[error(
        "the folder {folder} isn't opened, since it is your home folder or holds it; open a folder in it, name it as in \
         `syncline watch {folder}`, or set index.home to true in your own settings",
        folder = path.display()
    )]
    HoldsHome {
        /// The folder.
        path: PathBuf,
    },
    /// There is no place for an index.
    #[error("there is no folder for indexes: the platform names no cache folder; set index.dir to a folder")]
    NoIndexFolder,
}

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
        let owner = Owner::new();
        let given = cache.map(|cache| SyncManager::new(cache, owner.clone()));
        let lines = Arc::new(Lines { owner, given, opened: Mutex::default() });
        Engine { lines, cancel: CancellationToken::new(), open: Arc::default(), opening: Arc::default(), keeps: false }
    }

    /// The same engine, which keeps codebases open when nobody uses them any more, until [`Engine::close_unused`].
    pub fn keeping(self) -> Engine {
        Engine { keeps: true, ..self }
    }

    /// Opens the codebase at `root`, or gives the one that is open already, with the settings that it was opened with.
    /// (One that nobody uses is closed first when its settings are others.) Its index on disk answers at once, while
    /// the tree is compared with it in the background. Must be called within a Tokio runtime. Blocks for as long as
    /// reading the index's files takes: milliseconds, seconds for a million files.
    ///
    /// # Errors
    /// When the root isn't a folder, or is or holds the user's home without a word for that in the settings, when a glob
    /// in the settings isn't one, or there is no folder for indexes.
    pub fn open(&self, root: &Path, settings: &Settings) -> Result<Workspace, OpenError> {
        let root = CodebaseRoot::open(root)?;
        may_open(&root, settings)?;
        let turn = self.opening(&root);
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut opened = self.opened();
            if let Some(slot) = opened.get_mut(&root)
                && let Some(open) = slot.open.upgrade()
            {
                let workspace = Workspace::of_new_user(open);
                // This handle is one of the users.
                if slot.users() > 1 || workspace.counts_alike(settings) {
                    slot.used = Instant::now();
                    return Ok(workspace);
                }
            }
        }
        self.start(root, settings, Origin::default())
    }

    /// Opens the codebase at `root`, in place of what is open there. To be called in the turn of those who open it.
    fn start(&self, root: CodebaseRoot, settings: &Settings, origin: Origin) -> Result<Workspace, OpenError> {
        let rules = TreeRules::new(root.as_path(), settings.index.hidden, &settings.index.exclude)?;
        let folder = index_folder(settings, &root).ok_or(OpenError::NoIndexFolder)?;
        let (index, problems) = Index::open(&folder);
        for problem in &problems {
            tracing::warn!(codebase = %root.as_path().display(), "{problem}");
        }
        // Beside the folders of all codebases, so that each finds what another has parsed.
        let symbols = SymbolStore::new(&folder, &folder.with_file_name("symbols"));
        sweep_cookies(&folder);
        disk::mark_used(&folder);
        let cookies = cookie_folder(&folder);
        let syncs = self.lines.of(&settings.queue);
        let watcher = Watcher::new(root.as_path(), &cookies, make_below, settings.watch.mode);
        let codebase = Codebase::new(root.clone(), settings.queue.codebase.as_deref());
        let cancel = self.cancel.child_token();
        let mut shared = Shared::new(codebase, settings.clone(), index, symbols, rules, watcher, cancel);
        shared.origin = origin;
        let shared = Arc::new(shared);
        let (commands, receive) = mpsc::channel(MOST_COMMANDS);
        let cache = syncs.cache().clone();
        let (task, state) = CodebaseTask::new(shared.clone(), syncs, receive, problems);
        tokio::spawn(task.run());
        let open = Arc::new(Open {
            shared,
            state,
            commands,
            cache,
            is_paused: AtomicBool::new(false),
            users: AtomicUsize::new(0),
        });
        let kept = self.keeps.then(|| open.clone());
        let before = {
            let mut opened = self.opened();
            opened.retain(|_, slot| slot.open.strong_count() > 0);
            let before = opened.get(&root).and_then(|slot| slot.open.upgrade());
            opened.insert(root.clone(), Slot { open: Arc::downgrade(&open), _kept: kept, used: Instant::now() });
            before
        };
        self.keep_indexes_within(&folder, settings.index.max_disk);
        let workspace = Workspace::of_new_user(open);
        if before.is_some_and(|before| before.is_paused.load(Ordering::Relaxed)) {
            workspace.pause();
        }
        if self.keeps {
            self.renew_when_outdated(root, &workspace);
        }
        Ok(workspace)
    }

    /// The turn of those who open the codebase at `root`: others are opened meanwhile, and nobody else waits.
    fn opening(&self, root: &CodebaseRoot) -> Arc<Mutex<()>> {
        let mut opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        opening.retain(|_, turn| Arc::strong_count(turn) > 1);
        opening.entry(root.clone()).or_default().clone()
    }

    /// Removes unused indexes beside the one in `folder`, in the background, if all take more than `most` bytes.
    fn keep_indexes_within(&self, folder: &Path, most: u64) {
        let Some(dir) = folder.parent().map(Path::to_owned) else { return };
        let open: Vec<_> = self.codebases().iter().map(|(workspace, _)| workspace.index_folder().to_owned()).collect();
        tokio::task::spawn_blocking(move || disk::keep_within(&dir, most, &open));
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<CodebaseRoot, Slot>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The codebases that are open, and how many use each.
    pub fn codebases(&self) -> Vec<(Workspace, usize)> {
        let opened = self.opened();
        let open = opened.values().filter_map(|slot| {
            let users = slot.users();
            Some((Workspace { open: slot.open.upgrade()?, _user: None }, users))
        });
        let mut open: Vec<_> = open.collect();
        open.sort_by(|(a, _), (b, _)| a.codebase().root.as_path().cmp(b.codebase().root.as_path()));
        open
    }

    /// Whether anybody beside the holder of `workspace` uses the same codebase.
    pub fn is_shared(&self, workspace: &Workspace) -> bool {
        self.opened().get(&workspace.codebase().root).is_some_and(|slot| slot.users() > 1)
    }

    /// The innermost open codebase that holds the folder `path`, which counts as used now.
    pub fn holding(&self, path: &Path) -> Option<Workspace> {
        let mut opened = self.opened();
        let holding = opened.iter_mut().filter(|(root, _)| path.starts_with(root.as_path()));
        let (_, slot) = holding.max_by_key(|(root, _)| root.as_path().as_os_str().len())?;
        slot.used = Instant::now();
        Some(Workspace::of_new_user(slot.open.upgrade()?))
    }

    /// Closes what nobody has used for so long, and gives how many that were. To be called again and again: a use is
    /// noticed by it.
    pub fn close_unused(&self, unused_for: Duration) -> usize {
        let mut opened = self.opened();
        let now = Instant::now();
        let before = opened.len();
        opened.retain(|_, slot| {
            if slot.users() > 0 {
                slot.used = now;
            }
            slot.open.strong_count() > 0 && now - slot.used < unused_for
        });
        before - opened.len()
    }

    /// Puts no more batches in line, and waits until none of this engine's syncs.
    pub async fn wind_down(&self) {
        for (workspace, _) in self.codebases() {
            workspace.pause();
            let idle = |state: &Arc<CodebaseState>| {
                // One at the head has its turn, or will in a moment.
                let mut line = state.queue.iter().enumerate();
                !line.any(|(at, batch)| batch.is_own && (at == 0 || batch.syncing))
            };
            // It fails when the codebase was closed meanwhile.
            let _ = workspace.state().wait_for(idle).await;
        }
    }

    /// Ends all work of this engine: batches leave the line, threads stop at their next file. Takes milliseconds: what
    /// hasn't left by then, since Redis is slow, leaves when its lease is over.
    pub async fn shutdown(&self) {
        const LEAVING: Duration = Duration::from_millis(120);
        self.cancel.cancel();
        let lines = self.lines.all();
        lines.iter().for_each(SyncManager::cancel_all);
        let open: Vec<_> = { self.opened().drain().filter_map(|(_, slot)| slot.open.upgrade()).collect() };
        for open in open {
            // The end of its task drops the receiver.
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

/// Whether the codebase at `root` may be opened: a home folder only with the user's word.
///
/// # Errors
/// When it may not.
pub fn may_open(root: &CodebaseRoot, settings: &Settings) -> Result<(), OpenError> {
    match root.holds_home() && !settings.index_home {
        true => Err(OpenError::HoldsHome { path: root.as_path().to_owned() }),
        false => Ok(()),
    }
}

/// Whether the folder `path` has an index on disk.
pub fn has_index(path: &Path, settings: &Settings) -> bool {
    let root = CodebaseRoot::open(path).ok();
    root.and_then(|root| index_folder(settings, &root)).is_some_and(|folder| folder.is_dir())
}

/// The innermost codebase that holds the folder `path` and has an index on disk.
pub fn indexed_codebase(path: &Path, settings: &Settings) -> Option<CodebaseRoot> {
    let canonical = CodebaseRoot::open(path).ok()?;
    let mut folders = canonical.as_path().ancestors().filter_map(|folder| CodebaseRoot::open(folder).ok());
    folders.find(|root| index_folder(settings, root).is_some_and(|folder| folder.is_dir()))
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
            self.open.shared.watcher.tell(&canonical(&path));
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
        let looks = shared.clone();
        let unseen = tokio::task::spawn_blocking(move || scan::unseen(&looks));
        let (seen, compared) = tokio::join!(shared.watcher.catch_up(), unseen);
        let certain = self.caught_up().await;
        FreshView { view: shared.view(unsaved), fresh: seen && compared.unwrap_or(false) && certain }
    }

    /// The files in `folder` (canonical) that may fulfil `plan`, by its paths, when they are certain to be those that
    /// ripgrep's walk of that folder would find without any flags: `None` when the codebase has rules of its own, when
    /// the folder isn't one of its folders, or has no files at all, or when something may have gone unseen.
    pub async fn candidates(&self, folder: &Path, plan: Plan) -> Option<FolderCandidates> {
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
            let candidates = view.candidates(&plan, below);
            if !candidates.damaged.is_empty() {
                open.command(Command::Damaged);
                return None;
            }
            let files: Vec<_> = candidates.files.into_iter().map(|candidate| candidate.path).collect();
            if files.is_empty() && unlisted.is_empty() && !view.holds_any(folder.as_ref()) {
                return None;
            }
            Some(FolderCandidates { root: shared.root().to_owned(), rules_outside, files, unlisted })
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
        SyncOutcome::unsynced(BatchId::new(), Verdict::Superseded, Some("the codebase was closed".to_owned()))
    }

    /// Puts no batch in line until [`Workspace::resume`]; answers stay right meanwhile. What it gives comes when the state
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

//! The engine: it opens each codebase once, and says where their batches wait.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::reread::Origin;
use super::shared::Shared;
use super::state::CodebaseState;
use super::task::CodebaseTask;
use super::{Open, Workspace, disk, news};
use crate::core::cache::CacheManager;
use crate::core::error::RootError;
use crate::core::settings::{QueueSettings, Settings};
use crate::core::{Codebase, CodebaseId, CodebaseRoot, Owner};
use crate::index::symbols::SymbolStore;
use crate::index::{Index, make_below};
use crate::sync::SyncManager;
use crate::watch::tree::{RuleError, TreeRules};
use crate::watch::{Watcher, cookie_folder, sweep_cookies};

/// Commands that wait for the task of a codebase. It takes them within microseconds; more than these are refused.
const MOST_COMMANDS: usize = 1024;

/// Opens codebases, each once. Cheap to clone; clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    pub(super) managers: Arc<Managers>,
    pub(super) cancel: CancellationToken,
    pub(super) open: Arc<Mutex<HashMap<CodebaseRoot, Slot>>>,
    /// The codebases that are being opened.
    pub(super) opening: Arc<Mutex<HashMap<CodebaseRoot, Arc<Mutex<()>>>>>,
    /// Codebases stay open when nobody uses them any more, until [`Engine::close_unused`].
    pub(super) keeps: bool,
}

/// A codebase that was opened.
pub(super) struct Slot {
    pub(super) open: Weak<Open>,
    /// Keeps it open.
    _kept: Option<Arc<Open>>,
    /// When somebody was last known to use it.
    pub(super) used: Instant,
}

impl Slot {
    /// How many use it, beside the engine itself.
    pub(super) fn users(&self) -> usize {
        self.open.upgrade().map_or(0, |open| open.users.load(Ordering::Relaxed))
    }
}

/// Where an engine's batches wait. Codebases whose settings agree share a cache, and with it one connection.
pub(super) struct Managers {
    owner: Owner,
    /// For all codebases, whatever their settings say.
    given: Option<SyncManager>,
    opened: Mutex<Vec<(QueueSettings, SyncManager)>>,
}

impl Managers {
    /// The manager for a codebase with these settings.
    fn of(&self, settings: &QueueSettings) -> SyncManager {
        if let Some(given) = &self.given {
            return given.clone();
        }
        // The names are the queue's and the tree's, not the cache's.
        let settings = QueueSettings { codebase: None, shared_tree: None, ..settings.clone() };
        let mut opened = self.opened.lock();
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
        let opened = self.opened.lock();
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

impl Engine {
    /// An engine whose queues live where each codebase's settings say. To where these settings say it connects right
    /// away. Must be called within a Tokio runtime.
    pub fn new(settings: &Settings) -> Engine {
        let engine = Engine::with(None);
        engine.managers.of(&settings.queue);
        engine
    }

    /// An engine whose queues live in `cache`. Engines that share a cache take turns.
    pub fn with_cache(cache: CacheManager) -> Engine {
        Engine::with(Some(cache))
    }

    fn with(cache: Option<CacheManager>) -> Engine {
        let owner = Owner::new();
        let given = cache.map(|cache| SyncManager::new(cache, owner.clone()));
        let managers = Arc::new(Managers { owner, given, opened: Mutex::default() });
        Engine {
            managers,
            cancel: CancellationToken::new(),
            open: Arc::default(),
            opening: Arc::default(),
            keeps: false,
        }
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
        let _turn = turn.lock();
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
    pub(super) fn start(
        &self,
        root: CodebaseRoot,
        settings: &Settings,
        origin: Origin,
    ) -> Result<Workspace, OpenError> {
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
        let syncs = self.managers.of(&settings.queue);
        let watcher = Watcher::new(root.as_path(), &cookies, make_below, settings.watch.mode);
        let codebase = Codebase::new(root.clone(), settings.queue.codebase.as_deref());
        let cancel = self.cancel.child_token();
        let mut shared = Shared::new(codebase, settings.clone(), index, symbols, rules, watcher, cancel);
        shared.origin = origin;
        let shared = Arc::new(shared);
        let (commands, receive) = mpsc::channel(MOST_COMMANDS);
        let cache = syncs.cache().clone();
        tokio::spawn(news::exchange(shared.clone(), cache.clone(), self.managers.owner.session));
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
    pub(super) fn opening(&self, root: &CodebaseRoot) -> Arc<Mutex<()>> {
        let mut opening = self.opening.lock();
        opening.retain(|_, turn| Arc::strong_count(turn) > 1);
        opening.entry(root.clone()).or_default().clone()
    }

    /// Removes unused indexes beside the one in `folder`, in the background, if all take more than `most` bytes.
    fn keep_indexes_within(&self, folder: &Path, most: u64) {
        let Some(dir) = folder.parent().map(Path::to_owned) else { return };
        let open: Vec<_> = self.codebases().iter().map(|(workspace, _)| workspace.index_folder().to_owned()).collect();
        tokio::task::spawn_blocking(move || disk::keep_within(&dir, most, &open));
    }

    pub(super) fn opened(&self) -> MutexGuard<'_, HashMap<CodebaseRoot, Slot>> {
        self.open.lock()
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

    /// Enqueues no more batches, and waits until none of this engine's syncs.
    pub async fn wind_down(&self) {
        for (workspace, _) in self.codebases() {
            workspace.pause();
            let idle = |state: &Arc<CodebaseState>| {
                // One at the head has its turn, or will in a moment.
                let mut queue = state.queue.iter().enumerate();
                !queue.any(|(at, batch)| batch.is_own && (at == 0 || batch.syncing))
            };
            // It fails when the codebase was closed meanwhile.
            let _ = workspace.state().wait_for(idle).await;
        }
    }

    /// Ends all work of this engine: batches leave the queue, threads stop at their next file. Takes milliseconds: what
    /// hasn't left by then, since Redis is slow, leaves when its lease is over.
    pub async fn shutdown(&self) {
        const LEAVING: Duration = Duration::from_millis(120);
        self.cancel.cancel();
        let managers = self.managers.all();
        managers.iter().for_each(SyncManager::cancel_all);
        let open: Vec<_> = { self.opened().drain().filter_map(|(_, slot)| slot.open.upgrade()).collect() };
        for open in open {
            // The end of its task drops the receiver.
            open.commands.closed().await;
        }
        let until = Instant::now() + LEAVING;
        for syncs in managers {
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

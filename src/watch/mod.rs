//! Seeing what changes: file events, where the file system sends them, and walks of the tree.
//!
//! A [`Watcher`] folds what happens into [`Changes`]: which paths to scan, nothing more. An event says that a path
//! is dirty; what became of it is found out by a scan.

mod changes;
mod cookies;
mod events;
pub(crate) mod filesystem;
mod folders;
mod ground;
mod opens;
mod outside;
pub mod repository;
mod rules;
pub mod tree;
mod unseen;

pub use self::changes::{Changes, Hint};
pub use self::cookies::{MakeFolder, cookie_folder, sweep_cookies};

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use parking_lot::Mutex;
use tokio::sync::Notify;

use self::cookies::Cookies;
use self::folders::{Folders, Found, Watch};
use self::opens::NoOpens;
use self::tree::Tree;
use self::unseen::Unseen;
use crate::core::files::{FolderId, folder_at};
use crate::core::settings::WatchMode;
use crate::core::{RelPath, files};

/// How long a cookie may take to come back.
const COOKIE_WAIT: Duration = Duration::from_secs(2);
/// A system that lets no more folders be watched may have to let go of the watches of before: how often it is asked again,
/// and after how long.
const WATCH_TRIES: u32 = 25;
const WATCH_PAUSE: Duration = Duration::from_millis(10);

/// How changes are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watching {
    /// By events.
    Events,
    /// By walking the tree again and again.
    Polling,
    /// Only what is told.
    Off,
}

/// Watches one codebase.
pub struct Watcher {
    shared: Arc<Shared>,
    mode: WatchMode,
    /// How changes are to be seen.
    wanted: Mutex<Watching>,
    /// Why it isn't by events at the moment, when it should be. Each walk tries again.
    fallback: Mutex<Option<String>>,
    events: Mutex<Option<Events>>,
    /// What no event tells.
    unseen: Mutex<Unseen>,
    /// How often the system is still asked for watches that it has refused.
    tries: AtomicU32,
    next_events: AtomicU64,
}

/// What tells of changes.
struct Events {
    // Goes first: the kernel lets go of the watches with the last descriptor.
    no_opens: Option<NoOpens>,
    watcher: RecommendedWatcher,
}

struct Shared {
    root: PathBuf,
    changes: Mutex<Changes>,
    changed: Notify,
    /// Nothing is known of the watches any more: the next walk begins with none.
    is_lost: AtomicBool,
    /// The folders that belong to the codebase, as far as they were entered.
    folders: Mutex<Folders>,
    cookies: Cookies,
    /// The newest events' number. What those before them tell counts, but their cookies prove nothing about folders that
    /// only the newest watch.
    newest: AtomicU64,
    /// There are new events.
    renewed: Notify,
}

/// What became of a cookie.
enum Came {
    Seen,
    Missed,
    Late,
}

impl Watcher {
    /// A watcher for the codebase at `root`, which sees nothing before its first [`Watcher::begin_walk`]. Its cookies are
    /// in `cookie_folder`, which `make_folder` makes whenever it isn't there.
    pub fn new(root: &Path, cookie_folder: &Path, make_folder: MakeFolder, mode: WatchMode) -> Watcher {
        let shared = Shared {
            root: root.to_owned(),
            changes: Mutex::default(),
            changed: Notify::new(),
            is_lost: AtomicBool::new(false),
            folders: Mutex::default(),
            cookies: Cookies::new(cookie_folder, make_folder),
            newest: AtomicU64::new(0),
            renewed: Notify::new(),
        };
        let watcher = Watcher {
            shared: Arc::new(shared),
            mode,
            wanted: Mutex::new(watching_wanted(mode, root)),
            fallback: Mutex::default(),
            events: Mutex::new(None),
            unseen: Mutex::new(Unseen::new(root)),
            tries: AtomicU32::new(0),
            next_events: AtomicU64::new(0),
        };
        if *watcher.wanted.lock() == Watching::Events {
            watcher.renew_events();
        }
        watcher
    }

    /// How changes are seen.
    pub fn watching(&self) -> Watching {
        match *self.wanted.lock() {
            Watching::Events if self.fallback.lock().is_some() => Watching::Polling,
            wanted => wanted,
        }
    }

    /// What keeps it from seeing everything by events, and how to fix that.
    pub fn problem(&self) -> Option<String> {
        let folders = self.shared.folders.lock();
        match folders.watching() {
            (_, 0, failed) => self.fallback.lock().clone().or_else(|| failed.map(str::to_owned)),
            (all, unwatched, _) => Some(no_more_watches(unwatched, all)),
        }
    }

    /// Folders that can't be listed, whose files are lacking, and why.
    pub fn unlisted(&self) -> Vec<(PathBuf, String)> {
        let folders = self.shared.folders.lock();
        folders.unlisted().map(|(path, why)| (path.to_owned(), why.to_owned())).collect()
    }

    /// A walk of the whole tree begins. What is known of the watches stays, unless it is doubtful: then all are set anew.
    /// Nothing goes unseen meanwhile, since each folder is watched before it is listed. Blocks.
    pub fn begin_walk(&self) {
        let wanted = watching_wanted(self.mode, &self.shared.root);
        *self.wanted.lock() = wanted;
        let is_lost = self.unseen.lock().ground_changed() | self.shared.is_lost.swap(false, Ordering::SeqCst);
        match wanted {
            // Elsewhere one recursive watch covers all, which a walk sets anew.
            Watching::Events if is_lost || !cfg!(target_os = "linux") || self.events.lock().is_none() => {
                self.renew_events()
            }
            Watching::Events => {}
            Watching::Polling | Watching::Off => {
                *self.events.lock() = None;
                self.shared.folders.lock().forget_all();
            }
        }
        self.shared.folders.lock().begin_walk();
    }

    /// The walk of the whole tree is over, and has found `tree`.
    pub fn end_walk(&self, tree: &mut Tree) {
        let lost = self.shared.folders.lock().end_walk(&tree.unlisted);
        for (path, id) in lost {
            self.unwatch(&path);
            // The same folder may be there under another name.
            let names = self.shared.folders.lock().names_without_a_watch(id);
            names.iter().for_each(|name| self.enter(name, id));
        }
        self.unseen.lock().replace(tree);
    }

    /// Watches a folder. To be called before its files are listed.
    pub fn enter(&self, path: &Path, id: FolderId) {
        // Before it is watched, since events from folders that weren't entered are passed over. And not under the lock:
        // notify answers from the thread that takes events, which needs that lock.
        let found = self.shared.folders.lock().find(path, id);
        let Found::New { others, replaces } = found else { return };
        for other in others {
            if folder_at(&other).is_ok_and(|there| there == id) {
                // It is mounted there as well, and one watch does for both.
                let is_watched = self.shared.folders.lock().is_watched(&other);
                if is_watched {
                    return self.shared.folders.lock().note(path, id, Watch::Set);
                }
                continue;
            }
            // It was moved, and its watch with it.
            self.shared.folders.lock().forget(&other);
            self.unwatch(&other);
        }
        if replaces {
            self.unwatch(path);
        }
        let watch = self.watch(path);
        self.shared.folders.lock().note(path, id, watch);
    }

    fn watch(&self, folder: &Path) -> Watch {
        loop {
            let watched = match &mut *self.events.lock() {
                // Elsewhere one recursive watch covers all; on Linux that would cover what is ignored, too.
                Some(events) if cfg!(target_os = "linux") => events.watch(folder),
                _ => Ok(()),
            };
            match watched {
                Ok(()) => return Watch::Set,
                Err(error) if is_out_of_watches(&error) => {
                    let tried =
                        self.tries.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
                    if tried.is_err() {
                        return Watch::NoMore;
                    }
                    std::thread::sleep(WATCH_PAUSE);
                }
                // Whatever is there now, an event tells.
                Err(error) if is_gone(&error) => return Watch::Wanted,
                Err(error) => {
                    // The kind alone: the error as a whole names the folder once more.
                    let why = match error.kind {
                        notify::ErrorKind::Io(error) => error.to_string(),
                        _ => error.to_string(),
                    };
                    return Watch::Failed(format!(
                        "can't watch {}: {why}; changes there are found by walks",
                        folder.display()
                    ));
                }
            }
        }
    }

    fn unwatch(&self, folder: &Path) {
        if cfg!(target_os = "linux")
            && let Some(events) = &mut *self.events.lock()
        {
            // It isn't watched, as a rule: the folder is gone.
            let _ = events.watcher.unwatch(folder);
        }
    }

    /// A folder is gone. What was below it is told apart.
    pub fn leave(&self, folder: &Path) {
        self.shared.folders.lock().forget(folder);
    }

    /// The folder at `path` can't be listed.
    pub fn leave_unlisted(&self, path: &Path, why: String) {
        self.shared.folders.lock().note_unlisted(path, why);
    }

    /// Whether `folder` belongs to the codebase and can be listed, as far as walks and events have told.
    pub fn is_entered(&self, folder: &Path) -> bool {
        self.shared.folders.lock().holds(folder)
    }

    /// Which state of what no event tells [`Watcher::compare_unseen`] compares now. When a scan has noted more since a
    /// comparison, that has to be compared as well: it may have changed between being noted and the comparison.
    pub fn unseen_version(&self) -> u64 {
        self.unseen.lock().version()
    }

    /// Compares what no event tells with what it was, and takes note of what has changed; gives whether all of that can be
    /// compared. Blocks for a few dozen looks at files, and one at each that has several names.
    pub fn compare_unseen(&self) -> bool {
        let (changed, is_whole) = {
            let mut unseen = self.unseen.lock();
            (unseen.compare(), unseen.is_whole())
        };
        self.recheck_unlisted();
        match changed {
            unseen::Changed::Nothing => return is_whole,
            unseen::Changed::Ground => self.shared.lose(),
            unseen::Changed::Rules => self.shared.changes.lock().see_everything(),
            unseen::Changed::Files(paths) => {
                let mut changes = self.shared.changes.lock();
                paths.into_iter().for_each(|path| changes.add(path, Hint::Changed));
            }
        }
        self.shared.changed.notify_one();
        is_whole
    }

    /// Folders that couldn't be listed and can be by now. Events tell of most; of the root of something that is mounted
    /// they tell that folder's own watch only, which couldn't be set.
    fn recheck_unlisted(&self) {
        let unlisted = self.unlisted();
        let Ok(root) = files::RootFolder::open(&self.shared.root) else { return };
        let listed = unlisted.iter().filter_map(|(path, _)| RelPath::below(&self.shared.root, path));
        let listed: Vec<_> = listed.filter(|path| root.folder(Some(path)).is_ok()).collect();
        if !listed.is_empty() {
            let mut changes = self.shared.changes.lock();
            listed.into_iter().for_each(|path| changes.add(path, Hint::Access));
            drop(changes);
            self.shared.changed.notify_one();
        }
    }

    /// Files with several names, as single ones are looked at: `stat` is `None` for those that have but one, or are gone.
    pub fn note_names(&self, files: impl IntoIterator<Item = (RelPath, Option<files::Entry>)>) {
        self.unseen.lock().note_names(files);
    }

    /// Takes note of where rules come from in a folder that is new.
    pub fn note_outside(&self, tree: &mut Tree) {
        self.unseen.lock().append(tree);
    }

    /// Parts of the tree in which others' changes raise no events.
    pub fn silent_parts(&self) -> Vec<RelPath> {
        match self.watching() {
            Watching::Events => self.unseen.lock().silent_parts(),
            Watching::Polling | Watching::Off => Vec::new(),
        }
    }

    /// Takes note of a file that somebody says has changed. Paths outside the codebase's folders are passed over.
    pub fn note_written(&self, path: &Path) {
        self.shared.note(path, Hint::Appeared);
        self.shared.changed.notify_one();
    }

    /// Takes note of paths of which other processes say otherwise than this one knew.
    pub fn recheck(&self, paths: impl IntoIterator<Item = RelPath>) {
        let mut changes = self.shared.changes.lock();
        for path in paths {
            if changes.everything {
                break;
            }
            changes.add(path, Hint::Unsure);
        }
        if !changes.is_empty() {
            self.shared.changed.notify_one();
        }
    }

    /// Anything may have changed, as other processes say.
    pub fn recheck_all(&self) {
        self.shared.changes.lock().see_everything();
        self.shared.changed.notify_one();
    }

    /// Waits until something has happened.
    pub async fn changed(&self) {
        while self.shared.changes.lock().is_empty() {
            self.shared.changed.notified().await;
        }
    }

    /// Whether something has happened that wasn't taken yet.
    pub fn has_changes(&self) -> bool {
        !self.shared.changes.lock().is_empty()
    }

    /// Takes what happened since the last time.
    pub fn take(&self) -> Changes {
        std::mem::take(&mut *self.shared.changes.lock())
    }

    /// Waits until every event raised before the call is among the changes, and gives whether that is certain.
    ///
    /// Events of one watcher come in the order in which things happened, so a file that is made now, in a folder of our
    /// own, is seen after everything that was written before.
    pub async fn catch_up(&self) -> bool {
        if self.watching() != Watching::Events || self.problem().is_some() {
            return false;
        }
        let deadline = tokio::time::Instant::now() + COOKIE_WAIT;
        loop {
            let (cookie, came) = self.shared.cookies.next();
            let made = cookie.make().await;
            if let Err(error) = &made {
                tracing::debug!(%error, "can't make a cookie");
            }
            let came = match made {
                Ok(()) => tokio::time::timeout_at(deadline, came).await.map_or(Came::Late, |came| match came {
                    Ok(()) => Came::Seen,
                    // Another rescan has begun, whose watches may have missed it.
                    Err(_) => Came::Missed,
                }),
                // Somebody has removed the folder, and with it its watch. Watching anew brings both back.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let renewed = self.shared.renewed.notified();
                    self.shared.lose();
                    tokio::time::timeout_at(deadline, renewed).await.map_or(Came::Late, |()| Came::Missed)
                }
                Err(_) => Came::Late,
            };
            match came {
                Came::Seen => return true,
                Came::Missed => {}
                Came::Late => return false,
            }
        }
    }

    /// Begins to watch anew, with no folder.
    fn renew_events(&self) {
        // Not beside each other: the system may not allow twice as many watches.
        *self.events.lock() = None;
        self.shared.folders.lock().forget_all();
        self.tries.store(WATCH_TRIES, Ordering::Relaxed);
        let events = self.new_events();
        *self.fallback.lock() = events.as_ref().err().map(no_events);
        *self.events.lock() = events.ok();
    }

    fn new_events(&self) -> notify::Result<Events> {
        let shared = self.shared.clone();
        let number = self.next_events.fetch_add(1, Ordering::Relaxed);
        let watcher = notify::recommended_watcher(move |event| shared.take_event(number, event))?;
        let mut events = Events { no_opens: None, watcher };
        // Without it, all is seen but nobody can tell when: `catch_up` says so.
        let cookies = &self.shared.cookies;
        let made = cookies.make_folder().map_err(notify::Error::from);
        if let Err(error) = made.and_then(|()| events.watch(cookies.folder())) {
            tracing::debug!(%error, "no folder for cookies");
        }
        events.no_opens = NoOpens::find(cookies.folder());
        self.shared.newest.store(number, Ordering::SeqCst);
        // Those who wait for one make another, which these events will tell of.
        cookies.forget_all();
        self.shared.renewed.notify_waiters();
        if !cfg!(target_os = "linux") {
            events.watcher.watch(&self.shared.root, RecursiveMode::Recursive)?;
        }
        Ok(events)
    }
}

impl Events {
    fn watch(&mut self, folder: &Path) -> notify::Result<()> {
        self.watcher.watch(folder, RecursiveMode::NonRecursive)?;
        if let Some(no_opens) = &self.no_opens {
            no_opens.leave_out(folder);
        }
        Ok(())
    }
}

fn watching_wanted(mode: WatchMode, root: &Path) -> Watching {
    match mode {
        WatchMode::Off => Watching::Off,
        WatchMode::Poll => Watching::Polling,
        WatchMode::Auto if filesystem::is_silent(root) => Watching::Polling,
        WatchMode::Auto | WatchMode::Native => Watching::Events,
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.cookies.remove_folder();
    }
}

fn is_out_of_watches(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => true,
        notify::ErrorKind::Io(error) => error.kind() == io::ErrorKind::StorageFull,
        _ => false,
    }
}

fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        _ => false,
    }
}

fn no_events(error: &notify::Error) -> String {
    format!(
        "the system gives no file events ({error}), so changes are found by walking the tree again and again; on Linux \
         raise fs.inotify.max_user_instances: sudo sysctl fs.inotify.max_user_instances=1024"
    )
}

fn no_more_watches(unwatched: usize, folders: usize) -> String {
    let wanted = (folders * 2).next_power_of_two().max(524_288);
    format!(
        "the system lets no more folders be watched ({unwatched} of {folders} aren't), so changes there are found by \
         walking the tree again and again; raise the limit: sudo sysctl fs.inotify.max_user_watches={wanted}"
    )
}

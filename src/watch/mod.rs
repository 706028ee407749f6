//! Seeing what changes: file events, where the file system sends them, and walks of the tree.
//!
//! A [`Watcher`] folds what happens into [`Changes`]: which paths to look at, nothing more. An event says that a path
//! is dirty; what became of it is found out by looking.

pub(crate) mod filesystem;
pub mod repository;
pub mod tree;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use crate::core::RelPath;
use crate::core::settings::WatchMode;
use crate::index::{create_private, make_below};
use tree::decides_what_is_ignored;

/// Changed paths that are kept apart; more become "look at everything".
const MOST_PATHS: usize = 10_000;
/// How long a cookie may take to come back.
const COOKIE_WAIT: Duration = Duration::from_secs(2);

/// Folders for cookies in which nothing has happened for so long are those of engines that were killed, whatever process
/// has their number now. Should one be in use, its engine makes it again.
const COOKIES_AGE: Duration = Duration::from_secs(24 * 3600);
/// How the names of those folders begin.
const COOKIES: &str = "cookies-";

/// How changes are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// By events.
    Events,
    /// By walking the tree again and again.
    Walks,
    /// Only what is told.
    Nothing,
}

/// What happened since one looked last.
#[derive(Debug, Default)]
pub struct Changes {
    /// Paths to look at, and whether something new may be there.
    pub paths: HashMap<RelPath, Born>,
    /// Look at the whole tree: events were lost, a folder moved, an ignore file changed, or too much happened.
    pub everything: bool,
}

/// Whether something new may be at a path: created, or moved there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Born {
    /// What was there changed.
    No,
    /// It may be a folder that nobody watches yet.
    Maybe,
    /// Somebody else says that a file is there, who may not know that it is ignored by now.
    Doubtful,
}

impl Changes {
    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.everything
    }

    fn add(&mut self, path: RelPath, born: Born) {
        let known = self.paths.entry(path).or_insert(born);
        *known = born.max(*known);
        if self.paths.len() > MOST_PATHS {
            self.see_everything();
        }
    }

    fn see_everything(&mut self) {
        self.everything = true;
        self.paths.clear();
    }
}

/// Watches one codebase.
pub struct Watcher {
    shared: Arc<Shared>,
    /// How changes are to be seen.
    wanted: Sight,
    /// Why it isn't by events at the moment, when it should be. Each walk tries again.
    fallback: Mutex<Option<String>>,
    events: Mutex<Option<RecommendedWatcher>>,
    next_cookie: AtomicU64,
    next_events: AtomicU64,
}

struct Shared {
    root: PathBuf,
    /// Where cookies are made: a folder of our own that the same watcher watches.
    cookie_folder: PathBuf,
    changes: Mutex<Changes>,
    changed: Notify,
    /// The folders that belong to the codebase, as far as they were entered.
    folders: Mutex<Folders>,
    cookies: Mutex<HashMap<PathBuf, oneshot::Sender<()>>>,
    /// The newest events' number. Those before them may be ahead in time: what they tell counts, but their cookies
    /// prove nothing about folders that only the newest watch.
    newest: AtomicU64,
    /// There are new events.
    renewed: Notify,
}

/// A cookie, which goes when it was seen, or when nobody waits for it any more.
struct Cookie<'a> {
    shared: &'a Shared,
    path: PathBuf,
}

impl Drop for Cookie<'_> {
    fn drop(&mut self) {
        lock(&self.shared.cookies).remove(&self.path);
        let path = std::mem::take(&mut self.path);
        // What is left goes with the folder.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn_blocking(move || std::fs::remove_file(path)));
        }
    }
}

/// What became of a cookie.
enum Came {
    Seen,
    Missed,
    Late,
}

#[derive(Default)]
struct Folders {
    entered: HashSet<PathBuf>,
    /// Folders that couldn't be watched because the system allows no more.
    unwatched: usize,
    other_trouble: Option<String>,
}

/// A walk of the whole tree that watches anew: what the watches before it had got wrong (a folder that moved keeps its
/// old path) ends with them. They stay until it is finished, so that nothing goes unseen.
pub struct Rescan {
    shared: Arc<Shared>,
    events: Mutex<Option<RecommendedWatcher>>,
    folders: Mutex<Folders>,
}

impl Watcher {
    /// A watcher for the codebase at `root`, which sees nothing before its first [`Watcher::rescan`].
    pub fn new(root: &Path, cookie_folder: &Path, mode: WatchMode) -> Watcher {
        let shared = Shared {
            root: root.to_owned(),
            cookie_folder: cookie_folder.to_owned(),
            changes: Mutex::default(),
            changed: Notify::new(),
            folders: Mutex::default(),
            cookies: Mutex::default(),
            newest: AtomicU64::new(0),
            renewed: Notify::new(),
        };
        let mut watcher = Watcher {
            shared: Arc::new(shared),
            wanted: Sight::Events,
            fallback: Mutex::default(),
            events: Mutex::new(None),
            next_cookie: AtomicU64::new(0),
            next_events: AtomicU64::new(0),
        };
        watcher.wanted = match mode {
            WatchMode::Off => Sight::Nothing,
            WatchMode::Poll => Sight::Walks,
            WatchMode::Auto if filesystem::is_silent(root) => Sight::Walks,
            WatchMode::Auto | WatchMode::Native => Sight::Events,
        };
        if watcher.wanted == Sight::Events {
            *lock(&watcher.fallback) = watcher.new_events().err().map(|error| no_events(&error));
        }
        watcher
    }

    /// How changes are seen.
    pub fn sight(&self) -> Sight {
        match self.wanted {
            Sight::Events if lock(&self.fallback).is_some() => Sight::Walks,
            wanted => wanted,
        }
    }

    /// What keeps it from seeing everything by events, and how to mend that.
    pub fn trouble(&self) -> Option<String> {
        let folders = lock(&self.shared.folders);
        match folders.unwatched {
            0 => lock(&self.fallback).clone().or_else(|| folders.other_trouble.clone()),
            unwatched => Some(no_more_watches(unwatched, folders.entered.len())),
        }
    }

    /// Begins to watch anew.
    pub fn rescan(&self) -> Rescan {
        let mut folders = Folders::default();
        let events = match self.wanted {
            Sight::Events => self.new_events().map_err(|error| folders.other_trouble = Some(no_events(&error))).ok(),
            Sight::Walks | Sight::Nothing => None,
        };
        Rescan { shared: self.shared.clone(), events: Mutex::new(events), folders: Mutex::new(folders) }
    }

    /// The watches set by `rescan`, whose walk is over, take over.
    pub fn finish(&self, rescan: &Rescan) {
        *lock(&self.shared.folders) = std::mem::take(&mut *lock(&rescan.folders));
        let events = lock(&rescan.events).take();
        if events.is_some() {
            *lock(&self.fallback) = None;
        }
        let before = std::mem::replace(&mut *lock(&self.events), events);
        drop(before);
    }

    /// Watches a folder that is new. To be called before its files are listed.
    pub fn enter(&self, folder: &Path) {
        // Before it is watched, since events from folders that weren't entered are passed over. And not under the lock:
        // notify answers from the thread that takes events, which needs that lock.
        lock(&self.shared.folders).entered.insert(folder.to_owned());
        let watched = watch(&self.events, folder);
        lock(&self.shared.folders).note(folder, watched);
    }

    /// A folder is gone. What was below it is told apart.
    pub fn leave(&self, folder: &Path) {
        lock(&self.shared.folders).entered.remove(folder);
    }

    /// Whether `folder` belongs to the codebase, as far as walks and events have told.
    pub fn is_entered(&self, folder: &Path) -> bool {
        lock(&self.shared.folders).entered.contains(folder)
    }

    /// Takes note of a file that somebody says has changed. Paths outside the codebase's folders are passed over.
    pub fn tell(&self, path: &Path) {
        self.shared.note(path, Born::Maybe);
        self.shared.changed.notify_one();
    }

    /// Takes note of paths of which other processes say otherwise than this one knew.
    pub fn doubt(&self, paths: impl IntoIterator<Item = RelPath>) {
        let mut changes = lock(&self.shared.changes);
        for path in paths {
            if changes.everything {
                break;
            }
            changes.add(path, Born::Doubtful);
        }
        if !changes.is_empty() {
            self.shared.changed.notify_one();
        }
    }

    /// Waits until something has happened.
    pub async fn changed(&self) {
        while lock(&self.shared.changes).is_empty() {
            self.shared.changed.notified().await;
        }
    }

    /// Whether something has happened that wasn't taken yet.
    pub fn has_changes(&self) -> bool {
        !lock(&self.shared.changes).is_empty()
    }

    /// Takes what happened since the last time.
    pub fn take(&self) -> Changes {
        std::mem::take(&mut *lock(&self.shared.changes))
    }

    /// Waits until every event raised before the call is among the changes, and gives whether that is certain.
    ///
    /// Events of one watcher come in the order in which things happened, so a file that is made now, in a folder of our
    /// own, is seen after everything that was written before.
    pub async fn catch_up(&self) -> bool {
        if self.sight() != Sight::Events || self.trouble().is_some() {
            return false;
        }
        let deadline = tokio::time::Instant::now() + COOKIE_WAIT;
        loop {
            let cookie = self.shared.cookie_folder.join(self.next_cookie.fetch_add(1, Ordering::Relaxed).to_string());
            let (seen, came) = oneshot::channel();
            lock(&self.shared.cookies).insert(cookie.clone(), seen);
            let _cookie = Cookie { shared: &self.shared, path: cookie.clone() };
            let made = tokio::task::spawn_blocking(move || create_private(&cookie)).await;
            let came = match made {
                Ok(Ok(_)) => tokio::time::timeout_at(deadline, came).await.map_or(Came::Late, |came| match came {
                    Ok(()) => Came::Seen,
                    // Another rescan has begun, whose watches may have missed it.
                    Err(_) => Came::Missed,
                }),
                // Somebody has removed the folder, and with it its watch. Watching anew brings both back.
                Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                    let renewed = self.shared.renewed.notified();
                    lock(&self.shared.changes).see_everything();
                    self.shared.changed.notify_one();
                    tokio::time::timeout_at(deadline, renewed).await.map_or(Came::Late, |()| Came::Missed)
                }
                _ => Came::Late,
            };
            match came {
                Came::Seen => return true,
                Came::Missed => {}
                Came::Late => return false,
            }
        }
    }

    fn new_events(&self) -> notify::Result<RecommendedWatcher> {
        let shared = self.shared.clone();
        let number = self.next_events.fetch_add(1, Ordering::Relaxed);
        let mut events = notify::recommended_watcher(move |event| shared.take_event(number, event))?;
        // Without it, all is seen but nobody can tell when: `catch_up` says so.
        let cookies = make_below(&self.shared.cookie_folder).map_err(notify::Error::from);
        if let Err(error) = cookies.and_then(|()| events.watch(&self.shared.cookie_folder, RecursiveMode::NonRecursive))
        {
            tracing::debug!(%error, "no folder for cookies");
        }
        self.shared.newest.store(number, Ordering::SeqCst);
        // Those who wait for one make another, which these events will tell of.
        lock(&self.shared.cookies).clear();
        self.shared.renewed.notify_waiters();
        // Of the repository's own files, only this one says what is ignored. There may be none.
        let _ = events.watch(&self.shared.root.join(".git/info"), RecursiveMode::NonRecursive);
        if !cfg!(target_os = "linux") {
            events.watch(&self.shared.root, RecursiveMode::Recursive)?;
        }
        Ok(events)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // Cookies that nobody took may be in it; all of it is ours.
        if let Err(error) = std::fs::remove_dir_all(&self.shared.cookie_folder)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(%error, "the folder for cookies stays");
        }
    }
}

impl Rescan {
    /// Watches a folder. To be called before its files are listed.
    pub fn enter(&self, folder: &Path) {
        // In both, so that what happens in a new folder before the walk is finished isn't passed over.
        lock(&self.shared.folders).entered.insert(folder.to_owned());
        let watched = watch(&self.events, folder);
        let mut folders = lock(&self.folders);
        folders.entered.insert(folder.to_owned());
        folders.note(folder, watched);
    }
}

impl Folders {
    /// Takes note of how watching a folder went.
    fn note(&mut self, folder: &Path, watched: notify::Result<()>) {
        match watched {
            Ok(()) => {}
            Err(error) if is_out_of_watches(&error) => self.unwatched += 1,
            Err(error) if is_gone(&error) => {}
            Err(error) => {
                // The kind alone: the error as a whole names the folder once more.
                let why = match error.kind {
                    notify::ErrorKind::Io(error) => error.to_string(),
                    _ => error.to_string(),
                };
                let sentence = format!("can't watch {}: {why}; changes there are found by walks", folder.display());
                self.other_trouble.get_or_insert(sentence);
            }
        }
    }
}

fn watch(events: &Mutex<Option<RecommendedWatcher>>, folder: &Path) -> notify::Result<()> {
    match &mut *lock(events) {
        // Elsewhere one recursive watch covers all; on Linux that would cover what is ignored, too.
        Some(events) if cfg!(target_os = "linux") => events.watch(folder, RecursiveMode::NonRecursive),
        _ => Ok(()),
    }
}

impl Shared {
    /// Called by notify's own thread: it only takes notes, since events are lost while it is busy.
    fn take_event(&self, number: u64, event: notify::Result<Event>) {
        match event {
            Ok(event) if event.need_rescan() => lock(&self.changes).see_everything(),
            Ok(event) => {
                let born = match event.kind {
                    // Our own reading raises these; only the end of a write tells of a change.
                    EventKind::Access(AccessKind::Close(AccessMode::Write)) => Born::No,
                    EventKind::Access(_) => return,
                    EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) => {
                        Born::Maybe
                    }
                    EventKind::Modify(ModifyKind::Name(_)) | EventKind::Any | EventKind::Other => Born::Maybe,
                    EventKind::Modify(_) | EventKind::Remove(_) => Born::No,
                };
                let moved = matches!(event.kind, EventKind::Modify(ModifyKind::Name(_)));
                for path in &event.paths {
                    self.take_path(number, path, born, moved);
                }
            }
            Err(error) if is_out_of_watches(&error) => lock(&self.folders).unwatched += 1,
            Err(error) => {
                // Whatever it was, the next walk finds what it hid.
                tracing::warn!(%error, "file events had an error; looking at the whole tree");
                lock(&self.changes).see_everything();
            }
        }
        self.changed.notify_one();
    }

    fn take_path(&self, number: u64, path: &Path, born: Born, moved: bool) {
        if path.starts_with(&self.cookie_folder) {
            if number == self.newest.load(Ordering::SeqCst)
                && let Some(seen) = lock(&self.cookies).remove(path)
            {
                // Nobody may be waiting any more.
                let _ = seen.send(());
            }
            return;
        }
        // A folder that moved keeps its watch, under its old path; a root that went away comes back as another folder.
        if path == self.root || moved && lock(&self.folders).entered.contains(path) {
            return lock(&self.changes).see_everything();
        }
        self.note(path, born);
    }

    fn note(&self, path: &Path, born: Born) {
        let Some(relative) = RelPath::below(&self.root, path) else { return };
        if decides_what_is_ignored(&relative) {
            return lock(&self.changes).see_everything();
        }
        {
            let folders = lock(&self.folders);
            let belongs = path.parent().is_some_and(|parent| folders.entered.contains(parent));
            // A folder's own data and attributes say nothing about files.
            if !belongs || born == Born::No && folders.entered.contains(path) && path.is_dir() {
                return;
            }
        }
        let mut changes = lock(&self.changes);
        if !changes.everything {
            changes.add(relative, born);
        }
    }
}

/// The place of a new folder for cookies of this process, in the folder of an index.
pub fn cookie_folder(folder: &Path) -> PathBuf {
    folder.join(format!("{COOKIES}{}-{}", std::process::id(), Uuid::new_v4().simple()))
}

/// Removes the folders for cookies in `folder` that killed engines have left.
pub fn sweep_cookies(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(owner) = name.to_str().and_then(|name| name.strip_prefix(COOKIES)) else { continue };
        let owner = owner.split('-').next().and_then(|number| number.parse().ok());
        let changed = entry.metadata().ok().and_then(|metadata| metadata.modified().ok());
        let age = changed.and_then(|changed| changed.elapsed().ok());
        if (owner.is_some_and(has_ended) || age.is_some_and(|age| age > COOKIES_AGE))
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            tracing::debug!(%error, "a folder for cookies stays");
        }
    }
}

/// Whether there is no process of this number.
#[cfg(unix)]
fn has_ended(process: i32) -> bool {
    use rustix::io::Errno;
    use rustix::process::{Pid, test_kill_process};
    Pid::from_raw(process).is_some_and(|process| test_kill_process(process) == Err(Errno::SRCH))
}

/// Nobody knows.
#[cfg(not(unix))]
fn has_ended(_: i32) -> bool {
    false
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn old_folders_for_cookies_and_those_of_dead_processes_go_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let old = std::time::SystemTime::now() - COOKIES_AGE * 2;
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let (dead, own) = (format!("{COOKIES}{}-x", child.id()), cookie_folder(Path::new("")));
        let names = ["cookies-old", "cookies-new", "other", &dead, own.to_str().unwrap()];
        for name in names {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("0"), b"").unwrap();
            if name == "cookies-old" || name == "other" {
                std::fs::File::open(&path).unwrap().set_modified(old).unwrap();
            }
        }
        sweep_cookies(folder.path());
        let left = names.map(|name| folder.path().join(name).exists());
        assert_eq!(left, [false, true, true, cfg!(not(unix)), true]);
    }
}

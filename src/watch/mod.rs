//! Seeing what changes: file events, where the file system sends them, and walks of the tree.
//!
//! A [`Watcher`] folds what happens into [`Changes`]: which paths to look at, nothing more. An event says that a path
//! is dirty; what became of it is found out by looking.

pub(crate) mod filesystem;
mod folders;
mod ground;
mod opens;
mod outside;
pub mod repository;
mod rules;
pub mod tree;
mod unseen;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use self::folders::{Folders, Found, Watch};
use self::opens::NoOpens;
use self::tree::{Tree, decides_what_is_ignored};
use self::unseen::Unseen;
use crate::core::files::{FolderId, folder_at};
use crate::core::settings::WatchMode;
use crate::core::{RelPath, files};
use crate::index::{create_private, make_below};

/// Changed paths that are kept apart; more become "look at everything".
const MOST_PATHS: usize = 10_000;
/// How long a cookie may take to come back.
const COOKIE_WAIT: Duration = Duration::from_secs(2);
/// A system that lets no more folders be watched may have to let go of the watches of before: how often it is asked again,
/// and after how long.
const WATCH_TRIES: u32 = 25;
const WATCH_PAUSE: Duration = Duration::from_millis(10);

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
    /// Who may look into a folder changed.
    Access,
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
    mode: WatchMode,
    /// How changes are to be seen.
    wanted: Mutex<Sight>,
    /// Why it isn't by events at the moment, when it should be. Each walk tries again.
    fallback: Mutex<Option<String>>,
    events: Mutex<Option<Events>>,
    /// What no event tells.
    unseen: Mutex<Unseen>,
    /// How often the system is still asked for watches that it has refused.
    tries: AtomicU32,
    next_cookie: AtomicU64,
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
    /// Where cookies are made: a folder of our own that the same watcher watches.
    cookie_folder: PathBuf,
    changes: Mutex<Changes>,
    changed: Notify,
    /// Nothing is known of the watches any more: the next walk begins with none.
    is_lost: AtomicBool,
    /// The folders that belong to the codebase, as far as they were entered.
    folders: Mutex<Folders>,
    cookies: Mutex<HashMap<PathBuf, oneshot::Sender<()>>>,
    /// The newest events' number. What those before them tell counts, but their cookies prove nothing about folders that
    /// only the newest watch.
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

impl Watcher {
    /// A watcher for the codebase at `root`, which sees nothing before its first [`Watcher::begin_walk`].
    pub fn new(root: &Path, cookie_folder: &Path, mode: WatchMode) -> Watcher {
        let shared = Shared {
            root: root.to_owned(),
            cookie_folder: cookie_folder.to_owned(),
            changes: Mutex::default(),
            changed: Notify::new(),
            is_lost: AtomicBool::new(false),
            folders: Mutex::default(),
            cookies: Mutex::default(),
            newest: AtomicU64::new(0),
            renewed: Notify::new(),
        };
        let watcher = Watcher {
            shared: Arc::new(shared),
            mode,
            wanted: Mutex::new(sight_wanted(mode, root)),
            fallback: Mutex::default(),
            events: Mutex::new(None),
            unseen: Mutex::new(Unseen::new(root)),
            tries: AtomicU32::new(0),
            next_cookie: AtomicU64::new(0),
            next_events: AtomicU64::new(0),
        };
        if *lock(&watcher.wanted) == Sight::Events {
            watcher.renew_events();
        }
        watcher
    }

    /// How changes are seen.
    pub fn sight(&self) -> Sight {
        match *lock(&self.wanted) {
            Sight::Events if lock(&self.fallback).is_some() => Sight::Walks,
            wanted => wanted,
        }
    }

    /// What keeps it from seeing everything by events, and how to fix that.
    pub fn trouble(&self) -> Option<String> {
        let folders = lock(&self.shared.folders);
        match folders.watching() {
            (_, 0, failed) => lock(&self.fallback).clone().or_else(|| failed.map(str::to_owned)),
            (all, unwatched, _) => Some(no_more_watches(unwatched, all)),
        }
    }

    /// Folders that can't be listed, whose files are lacking, and why.
    pub fn unlisted(&self) -> Vec<(PathBuf, String)> {
        let folders = lock(&self.shared.folders);
        folders.unlisted().map(|(path, why)| (path.to_owned(), why.to_owned())).collect()
    }

    /// A walk of the whole tree begins. What is known of the watches stays, unless it is doubtful: then all are set anew.
    /// Nothing goes unseen meanwhile, since each folder is watched before it is listed. Blocks.
    pub fn begin_walk(&self) {
        let wanted = sight_wanted(self.mode, &self.shared.root);
        *lock(&self.wanted) = wanted;
        let is_lost = lock(&self.unseen).ground_changed() | self.shared.is_lost.swap(false, Ordering::SeqCst);
        match wanted {
            // Elsewhere one recursive watch covers all, which a walk sets anew.
            Sight::Events if is_lost || !cfg!(target_os = "linux") || lock(&self.events).is_none() => {
                self.renew_events()
            }
            Sight::Events => {}
            Sight::Walks | Sight::Nothing => {
                *lock(&self.events) = None;
                lock(&self.shared.folders).forget_all();
            }
        }
        lock(&self.shared.folders).begin_walk();
    }

    /// The walk of the whole tree is over, and has found `tree`.
    pub fn end_walk(&self, tree: &mut Tree) {
        let lost = lock(&self.shared.folders).end_walk(&tree.unlisted);
        for (path, id) in lost {
            self.unwatch(&path);
            // The same folder may be there under another name.
            let names = lock(&self.shared.folders).names_without_a_watch(id);
            names.iter().for_each(|name| self.enter(name, id));
        }
        lock(&self.unseen).replace(tree);
    }

    /// Watches a folder. To be called before its files are listed.
    pub fn enter(&self, path: &Path, id: FolderId) {
        // Before it is watched, since events from folders that weren't entered are passed over. And not under the lock:
        // notify answers from the thread that takes events, which needs that lock.
        let found = lock(&self.shared.folders).find(path, id);
        let Found::New { others, replaces } = found else { return };
        for other in others {
            if folder_at(&other).is_ok_and(|there| there == id) {
                // It is mounted there as well, and one watch does for both.
                let is_watched = lock(&self.shared.folders).is_watched(&other);
                if is_watched {
                    return lock(&self.shared.folders).note(path, id, Watch::Set);
                }
                continue;
            }
            // It was moved, and its watch with it.
            lock(&self.shared.folders).forget(&other);
            self.unwatch(&other);
        }
        if replaces {
            self.unwatch(path);
        }
        let watch = self.watch(path);
        lock(&self.shared.folders).note(path, id, watch);
    }

    fn watch(&self, folder: &Path) -> Watch {
        loop {
            let watched = match &mut *lock(&self.events) {
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
            && let Some(events) = &mut *lock(&self.events)
        {
            // It isn't watched, as a rule: the folder is gone.
            let _ = events.watcher.unwatch(folder);
        }
    }

    /// A folder is gone. What was below it is told apart.
    pub fn leave(&self, folder: &Path) {
        lock(&self.shared.folders).forget(folder);
    }

    /// The folder at `path` can't be listed.
    pub fn leave_unlisted(&self, path: &Path, why: String) {
        lock(&self.shared.folders).note_unlisted(path, why);
    }

    /// Whether `folder` belongs to the codebase and can be listed, as far as walks and events have told.
    pub fn is_entered(&self, folder: &Path) -> bool {
        lock(&self.shared.folders).holds(folder)
    }

    /// Compares what no event tells with what it was, and takes note of what has changed; gives whether all of that can be
    /// compared. Blocks for a few dozen looks at files, and one at each that has several names.
    pub fn compare_unseen(&self) -> bool {
        let (changed, is_whole) = {
            let mut unseen = lock(&self.unseen);
            (unseen.compare(), unseen.is_whole())
        };
        self.look_at_unlisted();
        match changed {
            unseen::Changed::Nothing => return is_whole,
            unseen::Changed::Ground => self.shared.lose(),
            unseen::Changed::Rules => lock(&self.shared.changes).see_everything(),
            unseen::Changed::Files(paths) => {
                let mut changes = lock(&self.shared.changes);
                paths.into_iter().for_each(|path| changes.add(path, Born::No));
            }
        }
        self.shared.changed.notify_one();
        is_whole
    }

    /// Folders that couldn't be listed and can be by now. Events tell of most; of the root of something that is mounted they
    /// tell that folder's own watch only, which couldn't be set.
    fn look_at_unlisted(&self) {
        let unlisted = self.unlisted();
        let Ok(root) = files::RootFolder::open(&self.shared.root) else { return };
        let listed = unlisted.iter().filter_map(|(path, _)| RelPath::below(&self.shared.root, path));
        let listed: Vec<_> = listed.filter(|path| root.folder(Some(path)).is_ok()).collect();
        if !listed.is_empty() {
            let mut changes = lock(&self.shared.changes);
            listed.into_iter().for_each(|path| changes.add(path, Born::Access));
            drop(changes);
            self.shared.changed.notify_one();
        }
    }

    /// Files with several names, as single ones are looked at: `stat` is `None` for those that have but one, or are gone.
    pub fn note_names(&self, files: impl IntoIterator<Item = (RelPath, Option<files::Entry>)>) {
        lock(&self.unseen).note_names(files);
    }

    /// Takes note of where rules come from in a folder that is new.
    pub fn note_outside(&self, tree: &mut Tree) {
        lock(&self.unseen).append(tree);
    }

    /// Parts of the tree in which others' changes raise no events.
    pub fn silent_parts(&self) -> Vec<RelPath> {
        match self.sight() {
            Sight::Events => lock(&self.unseen).silent_parts(),
            Sight::Walks | Sight::Nothing => Vec::new(),
        }
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
                    self.shared.lose();
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

    /// Begins to watch anew, with no folder.
    fn renew_events(&self) {
        // Not beside each other: the system may not allow twice as many watches.
        *lock(&self.events) = None;
        lock(&self.shared.folders).forget_all();
        self.tries.store(WATCH_TRIES, Ordering::Relaxed);
        let events = self.new_events();
        *lock(&self.fallback) = events.as_ref().err().map(no_events);
        *lock(&self.events) = events.ok();
    }

    fn new_events(&self) -> notify::Result<Events> {
        let shared = self.shared.clone();
        let number = self.next_events.fetch_add(1, Ordering::Relaxed);
        let watcher = notify::recommended_watcher(move |event| shared.take_event(number, event))?;
        let mut events = Events { no_opens: None, watcher };
        // Without it, all is seen but nobody can tell when: `catch_up` says so.
        let cookies = make_below(&self.shared.cookie_folder).map_err(notify::Error::from);
        if let Err(error) = cookies.and_then(|()| events.watch(&self.shared.cookie_folder)) {
            tracing::debug!(%error, "no folder for cookies");
        }
        events.no_opens = NoOpens::find(&self.shared.cookie_folder);
        self.shared.newest.store(number, Ordering::SeqCst);
        // Those who wait for one make another, which these events will tell of.
        lock(&self.shared.cookies).clear();
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

fn sight_wanted(mode: WatchMode, root: &Path) -> Sight {
    match mode {
        WatchMode::Off => Sight::Nothing,
        WatchMode::Poll => Sight::Walks,
        WatchMode::Auto if filesystem::is_silent(root) => Sight::Walks,
        WatchMode::Auto | WatchMode::Native => Sight::Events,
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

impl Shared {
    /// Nothing that is known of the watches can be trusted any more.
    fn lose(&self) {
        self.is_lost.store(true, Ordering::SeqCst);
        lock(&self.changes).see_everything();
        self.changed.notify_one();
    }

    /// Called by notify's own thread: it only takes notes, since events are lost while it is busy.
    fn take_event(&self, number: u64, event: notify::Result<Event>) {
        match event {
            Ok(event) if event.need_rescan() => {
                // Cookies may be among what was lost: who waits for one makes another.
                lock(&self.cookies).clear();
                self.lose();
            }
            Ok(event) => {
                let born = match event.kind {
                    // Our own reading raises these; only the end of a write tells of a change.
                    EventKind::Access(AccessKind::Close(AccessMode::Write)) => Born::No,
                    EventKind::Access(_) => return,
                    EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) => {
                        Born::Maybe
                    }
                    EventKind::Modify(ModifyKind::Name(_)) | EventKind::Any | EventKind::Other => Born::Maybe,
                    EventKind::Modify(ModifyKind::Metadata(_)) => Born::Access,
                    EventKind::Modify(_) | EventKind::Remove(_) => Born::No,
                };
                let moved = matches!(event.kind, EventKind::Modify(ModifyKind::Name(_)));
                let leaves = moved || event.kind.is_remove();
                for path in &event.paths {
                    self.take_path(number, path, born, moved, leaves);
                }
            }
            Err(error) => {
                // Whatever it was, the next walk finds what it hid.
                tracing::warn!(%error, "file events had an error; looking at the whole tree");
                self.lose();
            }
        }
        self.changed.notify_one();
    }

    /// `moved`: what is there has another name now, or had one before; `leaves`: or it is gone.
    fn take_path(&self, number: u64, path: &Path, born: Born, moved: bool, leaves: bool) {
        if path.starts_with(&self.cookie_folder) {
            if number == self.newest.load(Ordering::SeqCst)
                && let Some(seen) = lock(&self.cookies).remove(path)
            {
                // Nobody may be waiting any more.
                let _ = seen.send(());
            }
            return;
        }
        // A root that went away comes back as another folder.
        if path == self.root {
            return if leaves { self.lose() } else { lock(&self.changes).see_everything() };
        }
        // A folder that moved or went takes its watch along, also when another has its name by now.
        let was_entered = leaves && {
            let mut folders = lock(&self.folders);
            let was_entered = folders.holds(path);
            folders.forget(path);
            was_entered
        };
        if moved && was_entered {
            return lock(&self.changes).see_everything();
        }
        self.note(path, born);
    }

    fn note(&self, path: &Path, born: Born) {
        self.note_at(path, born);
        let others = path.parent().map_or_else(Vec::new, |parent| lock(&self.folders).other_names(parent));
        for (other, name) in others.iter().zip(std::iter::repeat(path.file_name().unwrap_or_default())) {
            self.note_at(&other.join(name), born);
        }
    }

    fn note_at(&self, path: &Path, mut born: Born) {
        let Some(relative) = RelPath::below(&self.root, path) else { return };
        if decides_what_is_ignored(&relative) {
            return lock(&self.changes).see_everything();
        }
        {
            let folders = lock(&self.folders);
            if !path.parent().is_some_and(|parent| folders.holds(parent)) {
                return;
            }
            let is_folder = folders.holds(path) && path.is_dir();
            match born {
                // A folder's own data says nothing about files.
                Born::No if is_folder => return,
                Born::Access if !is_folder && !folders.is_unlisted(path) => born = Born::No,
                _ => {}
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

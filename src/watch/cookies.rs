//! Cookies: files of our own whose events prove that all earlier events have come.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::core::{private, process};

/// A folder for cookies in which nothing has happened for so long is that of an engine that was killed, whatever process
/// has its number now. Should one be in use, its engine makes it again.
const LONGEST_UNUSED: Duration = Duration::from_secs(24 * 3600);
/// How the names of those folders begin.
const PREFIX: &str = "cookies-";

/// Makes the folder for cookies, and what it is in.
pub type MakeFolder = fn(&Path) -> io::Result<()>;

/// The cookies of one watcher.
pub(super) struct Cookies {
    /// A folder of our own that the same watcher watches.
    folder: PathBuf,
    make_folder: MakeFolder,
    next: AtomicU64,
    /// Those whose events haven't come.
    awaited: Mutex<HashMap<PathBuf, oneshot::Sender<()>>>,
}

impl Cookies {
    pub(super) fn new(folder: &Path, make_folder: MakeFolder) -> Cookies {
        Cookies { folder: folder.to_owned(), make_folder, next: AtomicU64::new(0), awaited: Mutex::default() }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes their folder, should it not be there.
    pub(super) fn make_folder(&self) -> io::Result<()> {
        (self.make_folder)(&self.folder)
    }

    /// A cookie that is still to be made, and its event.
    pub(super) fn next(&self) -> (Cookie<'_>, oneshot::Receiver<()>) {
        let path = self.folder.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        let (seen, came) = oneshot::channel();
        self.awaited().insert(path.clone(), seen);
        (Cookie { cookies: self, path }, came)
    }

    /// The event of a cookie has come, if one is at this path.
    pub(super) fn seen(&self, path: &Path) {
        if let Some(seen) = self.awaited().remove(path) {
            // Whoever waited may have given up.
            let _ = seen.send(());
        }
    }

    /// None of their events may come any more: whoever waits for one makes another.
    pub(super) fn forget_all(&self) {
        self.awaited().clear();
    }

    /// Removes their folder. Cookies that nobody took may be in it; all of it is ours.
    pub(super) fn remove_folder(&self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(%error, "the folder for cookies stays");
        }
    }

    fn awaited(&self) -> MutexGuard<'_, HashMap<PathBuf, oneshot::Sender<()>>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cookie, which is removed when it was seen, or is no longer waited for.
pub(super) struct Cookie<'a> {
    cookies: &'a Cookies,
    path: PathBuf,
}

impl Cookie<'_> {
    /// Makes the file, away from the runtime.
    pub(super) async fn make(&self) -> io::Result<()> {
        let path = self.path.clone();
        let made = tokio::task::spawn_blocking(move || private::create_new(&path).map(drop)).await;
        made.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

impl Drop for Cookie<'_> {
    fn drop(&mut self) {
        self.cookies.awaited().remove(&self.path);
        let path = std::mem::take(&mut self.path);
        // What is left goes with the folder.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn_blocking(move || std::fs::remove_file(path)));
        }
    }
}

/// The place of a new folder for cookies of this process, in the folder of an index.
pub fn cookie_folder(folder: &Path) -> PathBuf {
    folder.join(format!("{PREFIX}{}-{}", std::process::id(), Uuid::new_v4().simple()))
}

/// Removes the folders for cookies in `folder` that killed engines have left.
pub fn sweep_cookies(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(owner) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        let owner = owner.split('-').next().and_then(|number| number.parse().ok());
        let has_ended = owner.and_then(process::is_running) == Some(false);
        let changed = entry.metadata().ok().and_then(|metadata| metadata.modified().ok());
        let is_old = changed.and_then(|changed| changed.elapsed().ok()).is_some_and(|age| age > LONGEST_UNUSED);
        if (has_ended || is_old)
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            tracing::debug!(%error, "a folder for cookies stays");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn old_folders_for_cookies_and_those_of_dead_processes_go_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let old = std::time::SystemTime::now() - LONGEST_UNUSED * 2;
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let (dead, own) = (format!("{PREFIX}{}-x", child.id()), cookie_folder(Path::new("")));
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

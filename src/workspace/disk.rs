//! The folder with the indexes of all of a user's codebases, kept within its bound.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::index::{Ours, is_index};

/// An index that was used within this time stays: somebody may have it open.
const IN_USE: Duration = Duration::from_secs(24 * 3600);

/// An index on disk.
struct Entry {
    folder: PathBuf,
    /// That our files in it take.
    bytes: u64,
    /// When it was last opened, searched freshly or written.
    used: SystemTime,
}

/// Bytes that all indexes in `dir` take. Looks at each of their files.
pub fn bytes_of_indexes(dir: &Path) -> u64 {
    entries(dir).iter().map(|entry| entry.bytes).sum()
}

/// Notes that the index in `folder` is used now.
pub(super) fn mark_used(folder: &Path) {
    let marked = fs::File::open(folder).and_then(|folder| folder.set_modified(SystemTime::now()));
    if let Err(error) = marked {
        tracing::debug!(folder = %folder.display(), %error, "can't note that an index is used");
    }
}

/// While all indexes in `dir` take more than `most` bytes, removes the one that has been unused for longest, but none that
/// was used today or is in `open`. Its codebase is indexed anew when it is opened again. What isn't ours stays, and with it
/// the folder that it is in. Looks at each file of the indexes.
pub(super) fn keep_within(dir: &Path, most: u64, open: &[PathBuf]) {
    let now = SystemTime::now();
    let mut entries = entries(dir);
    entries.sort_by_key(|entry| entry.used);
    let mut bytes: u64 = entries.iter().map(|entry| entry.bytes).sum();
    for entry in entries {
        let unused_for = now.duration_since(entry.used).unwrap_or_default();
        if bytes <= most || unused_for < IN_USE {
            break;
        }
        if open.contains(&entry.folder) {
            continue;
        }
        match remove(&entry.folder) {
            Ok(()) => {
                bytes -= entry.bytes;
                tracing::info!(folder = %entry.folder.display(), "removed the index that was unused for longest");
            }
            Err(error) => tracing::warn!(folder = %entry.folder.display(), %error, "can't remove an unused index"),
        }
    }
}

/// The indexes in `dir`. Whatever else is there isn't ours to remove, nor what a link leads to.
fn entries(dir: &Path) -> Vec<Entry> {
    let is_id = |name: &str| name.len() == 32 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let folders = fs::read_dir(dir).into_iter().flatten().flatten();
    let folders = folders.filter(|entry| entry.file_name().to_str().is_some_and(is_id)).map(|entry| entry.path());
    folders.filter(|folder| is_index(folder)).filter_map(look).collect()
}

fn look(folder: PathBuf) -> Option<Entry> {
    let mut used = fs::symlink_metadata(&folder).ok()?.modified().ok()?;
    let mut bytes = 0;
    for (path, kind) in ours(&folder).ok()? {
        let Ok(metadata) = fs::symlink_metadata(path) else { continue };
        if metadata.is_file() || metadata.is_dir() && kind == Ours::Cookies {
            bytes += if metadata.is_file() { metadata.len() } else { 0 };
            used = used.max(metadata.modified().ok()?);
        }
    }
    Some(Entry { folder, bytes, used })
}

/// What in the folder of an index is ours by its name.
fn ours(folder: &Path) -> io::Result<Vec<(PathBuf, Ours)>> {
    let entries = fs::read_dir(folder)?.flatten();
    Ok(entries.filter_map(|entry| Some((entry.path(), Ours::of(entry.file_name().to_str()?)?))).collect())
}

/// Removes an index: our files, and the folder if nothing else is in it. The mark goes last, so that what is left when this
/// breaks off is known for an index.
fn remove(folder: &Path) -> io::Result<()> {
    let (mark, others): (Vec<_>, Vec<_>) = ours(folder)?.into_iter().partition(|(_, kind)| *kind == Ours::Mark);
    for (path, kind) in others.into_iter().chain(mark) {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => gone(fs::remove_file(&path))?,
            Ok(metadata) if metadata.is_dir() && kind == Ours::Cookies => remove_cookies(&path)?,
            // A link, or what only has such a name.
            _ => {}
        }
    }
    unless_full(fs::remove_dir(folder))
}

/// A folder for cookies holds files whose names are numbers.
fn remove_cookies(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        let is_cookie = entry.file_name().to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        if is_cookie && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            gone(fs::remove_file(entry.path()))?;
        }
    }
    unless_full(fs::remove_dir(folder))
}

/// Another engine may have been faster.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// What isn't ours keeps a folder.
fn unless_full(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        removed => gone(removed),
    }
}

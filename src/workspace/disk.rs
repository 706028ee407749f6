//! The folder with the indexes of all of a user's codebases, kept within its bound.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// An index that was used within this time stays: somebody may have it open.
const IN_USE: Duration = Duration::from_secs(24 * 3600);

/// An index on disk.
struct Entry {
    folder: PathBuf,
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
/// was used today or is in `open`. Its codebase is indexed anew when it is opened again. Looks at each file of the indexes.
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
        match fs::remove_dir_all(&entry.folder) {
            Ok(()) => {
                bytes -= entry.bytes;
                tracing::info!(folder = %entry.folder.display(), "removed the index that was unused for longest");
            }
            // Another engine was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => bytes -= entry.bytes,
            Err(error) => tracing::warn!(folder = %entry.folder.display(), %error, "can't remove an unused index"),
        }
    }
}

/// The indexes in `dir`. Whatever else is there isn't ours to remove.
fn entries(dir: &Path) -> Vec<Entry> {
    let is_index = |name: &str| name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let folders = fs::read_dir(dir).into_iter().flatten().flatten();
    let folders = folders.filter(|entry| entry.file_name().to_str().is_some_and(is_index));
    folders.filter_map(|folder| look(folder.path())).collect()
}

fn look(folder: PathBuf) -> Option<Entry> {
    let mut used = fs::symlink_metadata(&folder).ok().filter(fs::Metadata::is_dir)?.modified().ok()?;
    let mut bytes = 0;
    for metadata in fs::read_dir(&folder).ok()?.flatten().filter_map(|file| file.metadata().ok()) {
        bytes += if metadata.is_file() { metadata.len() } else { 0 };
        used = used.max(metadata.modified().ok()?);
    }
    Some(Entry { folder, bytes, used })
}

//! Files under a root: the one way by which anything of a codebase is read.
//!
//! A path is opened from a descriptor of the root, and no part of it may be a link, whenever the tree changes under it:
//! nothing outside the root is ever read for a question about it. What is below something that isn't a folder (any more)
//! isn't there.

#[cfg(not(unix))]
mod elsewhere;
#[cfg(not(unix))]
use elsewhere as system;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as system;

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::RelPath;
use super::stat::FileStat;

/// What is at a path, links not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A link.
    Link,
    /// A pipe, a socket, a device.
    Other,
}

/// What `stat` tells of an entry, links not followed.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Its size and times.
    pub stat: FileStat,
    /// How many names it has; 1 where the platform doesn't tell.
    pub names: u64,
}

impl Entry {
    /// Whether it is a file that may be written by another name. Where there are no numbers of files, none is known to be.
    pub fn has_other_names(&self) -> bool {
        self.kind == EntryKind::File && self.names > 1 && self.stat.inode != 0
    }
}

/// Which folder this is, whatever its name: device and number in its file system. All zero where the platform doesn't
/// tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FolderId {
    /// The device its file system is on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

/// A file of the tree, as a walk found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeFile {
    /// Where.
    pub path: RelPath,
    /// What `stat` told.
    pub stat: FileStat,
}

/// The root of a codebase, open. To be kept only as long as a piece of work takes: the path may be another folder's by
/// the next one, and an open folder keeps its disk from being unmounted.
#[derive(Debug)]
pub struct RootFolder {
    path: PathBuf,
    root: system::Root,
}

/// A folder of the codebase, open.
pub struct Folder {
    folder: system::Folder,
    /// Which one it is.
    pub id: FolderId,
}

/// An entry of a folder, as its listing tells.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name.
    pub name: OsString,
    /// What it is; `None` where the file system doesn't say in a listing.
    pub kind: Option<EntryKind>,
}

impl RootFolder {
    /// Opens the folder at `path`, which is a codebase's canonical root.
    ///
    /// # Errors
    /// When it is gone, can't be reached, or isn't a folder.
    pub fn open(path: &Path) -> io::Result<RootFolder> {
        Ok(RootFolder { path: path.to_owned(), root: system::Root::open(path)? })
    }

    /// The root's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file at `path` to be read, or gives `None` when no regular one is there (any more). Nothing can block: a
    /// pipe in somebody's tree must not.
    ///
    /// # Errors
    /// When one is there that can't be opened.
    pub fn file(&self, path: &RelPath) -> io::Result<Option<File>> {
        let Some(file) = present(self.root.file(path))? else { return Ok(None) };
        Ok(file.metadata()?.is_file().then_some(file))
    }

    /// What is at `path`; `None` when nothing is.
    ///
    /// # Errors
    /// When that can't be told.
    pub fn entry(&self, path: &RelPath) -> io::Result<Option<Entry>> {
        present(self.root.entry(path))
    }

    /// Opens the folder at `path` (the root, when `None`) to be listed, or gives `None` when there is none.
    ///
    /// # Errors
    /// When one is there that can't be listed.
    pub fn folder(&self, path: Option<&RelPath>) -> io::Result<Option<Folder>> {
        present(self.root.folder(path)).map(|folder| folder.map(|(folder, id)| Folder { folder, id }))
    }
}

impl Folder {
    /// All entries, in no order.
    ///
    /// # Errors
    /// When the listing breaks off.
    pub fn entries(&mut self) -> io::Result<Vec<Listed>> {
        self.folder.entries()
    }

    /// What the entry `name` is; `None` when it went.
    ///
    /// # Errors
    /// When that can't be told.
    pub fn entry(&self, name: &OsStr) -> io::Result<Option<Entry>> {
        present(self.folder.entry(name))
    }

    /// Opens the entry `name` to be read, which may be a link to elsewhere: for what decides about the tree, never for
    /// what is shown of it. Nothing can block.
    ///
    /// # Errors
    /// When nothing is there, or it can't be opened.
    pub fn open_following(&self, name: &OsStr) -> io::Result<File> {
        self.folder.open_following(name)
    }
}

/// Opens a file outside of any codebase to be read, links followed; nothing can block.
///
/// # Errors
/// When nothing is there, or it can't be opened.
pub fn open_following(path: &Path) -> io::Result<File> {
    system::open_following(path)
}

/// Which folder is at `path`, links followed.
///
/// # Errors
/// When there is none, or that can't be told.
pub fn folder_at(path: &Path) -> io::Result<FolderId> {
    system::folder_at(path)
}

/// Whether too many descriptors are open, in this process or in the whole system.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    system::is_out_of_descriptors(error)
}

/// Whether the error says that nothing is at a path: it isn't there, or something on the way isn't a folder.
pub fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) || system::is_link(error)
}

fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a file to be read, or gives `None` when no regular one is there (any more). Links aren't followed, and nothing can
/// block: a pipe in somebody's tree must not.
pub fn open_regular(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits() as i32);
    }
    let file = match options.open(path) {
        Ok(file) => file,
        #[cfg(unix)]
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => return Ok(None),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(e),
    };
    Ok(file.metadata()?.is_file().then_some(file))
}

#[cfg(test)]
#[cfg(unix)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    fn rel(path: &str) -> RelPath {
        RelPath::new(Path::new(path)).unwrap()
    }

    fn read(root: &RootFolder, path: &str) -> Option<String> {
        let mut text = String::new();
        root.file(&rel(path)).unwrap()?.read_to_string(&mut text).unwrap();
        Some(text)
    }

    /// No part of a path may be a link, in whichever way it is opened, also where the kernel lacks `openat2`.
    #[test]
    fn nothing_passes_a_link() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::create_dir(outside.path().join("d")).unwrap();
        std::fs::write(outside.path().join("d/f"), "outside").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::fs::create_dir_all(path.join("a/b")).unwrap();
        std::fs::write(path.join("a/b/f"), "inside").unwrap();
        symlink(outside.path(), path.join("out")).unwrap();
        symlink("a", path.join("in")).unwrap();
        symlink(outside.path().join("d/f"), path.join("a/link")).unwrap();
        for walks in [false, true] {
            unix::WALK_THE_PARTS.with(|force| force.set(walks));
            let root = RootFolder::open(path).unwrap();
            assert_eq!(read(&root, "a/b/f").as_deref(), Some("inside"));
            for gone in ["out/d/f", "in/b/f", "a/link", "a/b/f/g", "a/nothing", "a/b"] {
                assert_eq!(read(&root, gone), None, "{gone}, by parts: {walks}");
            }
            assert!(root.folder(Some(&rel("a/b"))).unwrap().is_some());
            for gone in ["out", "out/d", "in", "in/b", "a/link", "a/b/f"] {
                assert!(root.folder(Some(&rel(gone))).unwrap().is_none(), "{gone}, by parts: {walks}");
            }
            let kind = |path: &str| root.entry(&rel(path)).unwrap().map(|entry| entry.kind);
            assert_eq!(kind("a/link"), Some(EntryKind::Link));
            assert_eq!(kind("a/b"), Some(EntryKind::Folder));
            assert_eq!(kind("a/b/f"), Some(EntryKind::File));
            for gone in ["out/d", "in/b", "a/b/f/g", "nothing"] {
                assert_eq!(kind(gone), None, "{gone}, by parts: {walks}");
            }
        }
        unix::WALK_THE_PARTS.with(|force| force.set(false));
    }
}

//! Opening by descriptors, as Unix systems have it. Linux does a whole path in one call (`openat2`, since 5.6); elsewhere,
//! and where a sandbox forbids it, the parts of a path are opened one by one.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::{Entry, EntryKind, FolderId, Listed};
use crate::core::RelPath;
use crate::core::stat::FileStat;

/// To read, whatever it turns out to be: nothing waits, nothing becomes this process' terminal.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
/// To list.
const LIST: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// To go on from.
#[cfg(target_os = "linux")]
const PASS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const PASS: OFlags = LIST;

#[cfg(test)]
thread_local! {
    /// Do as where there is no `openat2`.
    pub(super) static WALK_THE_PARTS: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

#[derive(Debug)]
pub(super) struct Root(OwnedFd);

impl Root {
    pub(super) fn open(path: &Path) -> io::Result<Root> {
        Ok(Root(rustix::fs::open(path, PASS, Mode::empty())?))
    }

    pub(super) fn file(&self, path: &RelPath) -> io::Result<File> {
        Ok(File::from(beneath(self.0.as_fd(), path.as_bytes(), READ)?))
    }

    pub(super) fn entry(&self, path: &RelPath) -> io::Result<Entry> {
        let (folder, name) = split(path.as_bytes());
        let Some(folder) = folder else { return entry(self.0.as_fd(), name) };
        entry(beneath(self.0.as_fd(), folder, PASS)?.as_fd(), name)
    }

    pub(super) fn folder(&self, path: Option<&RelPath>) -> io::Result<(Folder, FolderId)> {
        let folder = beneath(self.0.as_fd(), path.map_or(b".", RelPath::as_bytes), LIST)?;
        // Of its own entry: what is in a folder that may be read but not passed can't be reached either.
        let id = id_of(&rustix::fs::statat(&folder, ".", AtFlags::empty())?);
        Ok((Folder(Dir::new(folder)?), id))
    }
}

pub(super) struct Folder(Dir);

impl Folder {
    pub(super) fn entries(&mut self) -> io::Result<Vec<Listed>> {
        let mut entries = Vec::new();
        while let Some(entry) = self.0.read() {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                entries.push(Listed { name: name.to_owned(), kind: kind_of(entry.file_type()) });
            }
        }
        Ok(entries)
    }

    pub(super) fn entry(&self, name: &OsStr) -> io::Result<Entry> {
        entry(self.0.fd()?, name.as_bytes())
    }

    pub(super) fn open_following(&self, name: &OsStr) -> io::Result<File> {
        Ok(File::from(rustix::fs::openat(self.0.fd()?, name, READ, Mode::empty())?))
    }
}

pub(super) fn open_following(path: &Path) -> io::Result<File> {
    Ok(File::from(rustix::fs::open(path, READ, Mode::empty())?))
}

pub(super) fn folder_at(path: &Path) -> io::Result<FolderId> {
    Ok(id_of(&rustix::fs::stat(path)?))
}

pub(super) fn is_out_of_descriptors(error: &io::Error) -> bool {
    let number = error.raw_os_error().map(Errno::from_raw_os_error);
    number.is_some_and(|number| [Errno::MFILE, Errno::NFILE].contains(&number))
}

/// Whether the error says that there was a link where none may be. (FreeBSD has another number for it.)
pub(super) fn is_link(error: &io::Error) -> bool {
    let number = error.raw_os_error().map(Errno::from_raw_os_error);
    number.is_some_and(|number| [Errno::LOOP, Errno::MLINK].contains(&number))
}

/// Opens `path`, whose parts are no links, below `root`.
fn beneath(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    match in_one_call(root, path, flags) {
        Some(opened) => Ok(opened?),
        None => part_by_part(root, path, flags),
    }
}

/// `None` where that can't be had.
#[cfg(target_os = "linux")]
fn in_one_call(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Option<rustix::io::Result<OwnedFd>> {
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::{ResolveFlags, openat2};

    /// The kernel is too old, or a sandbox in the way.
    static MISSING: AtomicBool = AtomicBool::new(false);
    /// The kernel gives up when names change while it looks, and asks to be called again.
    const TRIES: usize = 4;

    #[cfg(test)]
    if WALK_THE_PARTS.get() {
        return None;
    }
    if MISSING.load(Ordering::Relaxed) {
        return None;
    }
    for _ in 0..TRIES {
        match openat2(root, path, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::NOSYS | Errno::PERM) => {
                MISSING.store(true, Ordering::Relaxed);
                return None;
            }
            opened => return Some(opened),
        }
    }
    None
}

/// There is no such call here.
#[cfg(not(target_os = "linux"))]
fn in_one_call(_: BorrowedFd<'_>, _: &[u8], _: OFlags) -> Option<rustix::io::Result<OwnedFd>> {
    None
}

fn part_by_part(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let (folders, name) = split(path);
    let mut at: Option<OwnedFd> = None;
    for part in folders.into_iter().flat_map(|folders| folders.split(|&byte| byte == b'/')) {
        let from = at.as_ref().map_or(root, OwnedFd::as_fd);
        at = Some(rustix::fs::openat(from, part, PASS | OFlags::NOFOLLOW, Mode::empty())?);
    }
    let from = at.as_ref().map_or(root, OwnedFd::as_fd);
    Ok(rustix::fs::openat(from, name, flags | OFlags::NOFOLLOW, Mode::empty())?)
}

/// The folder that holds what is at `path`, unless that is the root, and the last part.
fn split(path: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (Some(&path[..slash]), &path[slash + 1..]),
        None => (None, path),
    }
}

fn entry(folder: BorrowedFd<'_>, name: &[u8]) -> io::Result<Entry> {
    let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    // Nothing mounts by itself since somebody looks.
    let kind = kind_of(FileType::from_raw_mode(stat.st_mode)).unwrap_or(EntryKind::Other);
    Ok(Entry { kind, stat: stat_of(&stat), names: names_of(&stat) })
}

fn kind_of(kind: FileType) -> Option<EntryKind> {
    match kind {
        FileType::RegularFile => Some(EntryKind::File),
        FileType::Directory => Some(EntryKind::Folder),
        FileType::Symlink => Some(EntryKind::Link),
        FileType::Unknown => None,
        _ => Some(EntryKind::Other),
    }
}

// The fields' types differ between systems.
#[allow(clippy::unnecessary_cast, clippy::cast_lossless)]
fn stat_of(stat: &Stat) -> FileStat {
    let ns = |seconds: i64, nanoseconds: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds);
    FileStat {
        size: u64::try_from(stat.st_size).unwrap_or_default(),
        mtime_ns: ns(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        ctime_ns: ns(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        inode: stat.st_ino as u64,
    }
}

#[allow(clippy::unnecessary_cast, clippy::cast_lossless)]
fn id_of(stat: &Stat) -> FolderId {
    FolderId { device: stat.st_dev as u64, inode: stat.st_ino as u64 }
}

#[allow(clippy::unnecessary_cast, clippy::cast_lossless)]
fn names_of(stat: &Stat) -> u64 {
    stat.st_nlink as u64
}

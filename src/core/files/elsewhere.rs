//! Opening by paths, where folders can't be opened and gone on from: each part is looked at before the file is opened. A
//! part that becomes a link between the look and the opening is passed.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::{Entry, EntryKind, FolderId, Listed};
use crate::core::RelPath;
use crate::core::stat::FileStat;

#[derive(Debug)]
pub(super) struct Root(PathBuf);

impl Root {
    pub(super) fn open(path: &Path) -> io::Result<Root> {
        match std::fs::metadata(path)?.is_dir() {
            true => Ok(Root(path.to_owned())),
            false => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn file(&self, path: &RelPath) -> io::Result<File> {
        match self.entry(path)?.kind {
            EntryKind::File => File::open(path.to_path(&self.0)),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn entry(&self, path: &RelPath) -> io::Result<Entry> {
        let mut folder = path.parent();
        while let Some(path) = folder {
            if !std::fs::symlink_metadata(path.to_path(&self.0))?.is_dir() {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            folder = path.parent();
        }
        Ok(entry(&std::fs::symlink_metadata(path.to_path(&self.0))?))
    }

    pub(super) fn folder(&self, path: Option<&RelPath>) -> io::Result<(Folder, FolderId)> {
        if let Some(path) = path
            && self.entry(path)?.kind != EntryKind::Folder
        {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let folder = path.map_or_else(|| self.0.clone(), |path| path.to_path(&self.0));
        Ok((Folder(folder), FolderId::default()))
    }
}

pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn entries(&mut self) -> io::Result<Vec<Listed>> {
        let listed = |entry: std::fs::DirEntry| {
            let kind = entry.file_type().ok().map(kind_of);
            Listed { name: entry.file_name(), kind }
        };
        std::fs::read_dir(&self.0)?.map(|entry| entry.map(listed)).collect()
    }

    pub(super) fn entry(&self, name: &OsStr) -> io::Result<Entry> {
        Ok(entry(&std::fs::symlink_metadata(self.0.join(name))?))
    }

    pub(super) fn open_following(&self, name: &OsStr) -> io::Result<File> {
        open_following(&self.0.join(name))
    }
}

pub(super) fn open_following(path: &Path) -> io::Result<File> {
    File::open(path)
}

pub(super) fn folder_at(path: &Path) -> io::Result<FolderId> {
    std::fs::metadata(path).map(|_| FolderId::default())
}

/// There is no such limit here.
pub(super) fn is_out_of_descriptors(_: &io::Error) -> bool {
    false
}

/// No error says so here.
pub(super) fn is_link(_: &io::Error) -> bool {
    false
}

fn entry(metadata: &Metadata) -> Entry {
    Entry { kind: kind_of(metadata.file_type()), stat: FileStat::of(metadata), names: 1 }
}

fn kind_of(kind: std::fs::FileType) -> EntryKind {
    match () {
        () if kind.is_file() => EntryKind::File,
        () if kind.is_dir() => EntryKind::Folder,
        () if kind.is_symlink() => EntryKind::Link,
        () => EntryKind::Other,
    }
}

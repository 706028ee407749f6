//! The indexes of the folders that are searched: what they rule out.

use std::collections::{BTreeMap, HashMap};
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::core::{CodebaseId, CodebaseRoot, RelPath};
use crate::index::{Doc, FileStat, Index, Plan, Snapshot};

/// The indexes on disk, each read once.
pub(super) struct Indexes {
    folder: Option<PathBuf>,
    read: BTreeMap<PathBuf, Option<Arc<Snapshot>>>,
}

/// The index that holds the files of a folder.
pub(super) struct FolderIndex {
    snapshot: Arc<Snapshot>,
    /// The folder in the codebase; `None` when it is the root.
    folder: Option<RelPath>,
}

/// Files that needn't be searched, by their paths in the folder.
pub(super) struct RuledOut<'a>(HashMap<&'a [u8], &'a Doc>);

impl Indexes {
    /// The indexes in the folder where they live.
    pub(super) fn new(folder: Option<PathBuf>) -> Indexes {
        Indexes { folder, read: BTreeMap::new() }
    }

    /// The index of the nearest codebase that holds the folder `path`.
    pub(super) fn of(&mut self, path: &Path) -> Option<FolderIndex> {
        let canonical = std::fs::canonicalize(path).ok()?;
        canonical.ancestors().find_map(|root| {
            let snapshot = self.at(root)?;
            Some(FolderIndex { snapshot, folder: RelPath::below(root, &canonical) })
        })
    }

    fn at(&mut self, root: &Path) -> Option<Arc<Snapshot>> {
        if let Some(known) = self.read.get(root) {
            return known.clone();
        }
        let read = |folder: &PathBuf| {
            let id = CodebaseId::of(&CodebaseRoot::open(root).ok()?);
            Index::read(&folder.join(id.as_str())).map(Arc::new)
        };
        let snapshot = self.folder.as_ref().and_then(read);
        self.read.insert(root.to_owned(), snapshot.clone());
        snapshot
    }

    /// Whether folders were looked up and none has an index.
    pub(super) fn none_found(&self) -> bool {
        !self.read.is_empty() && self.read.values().all(Option::is_none)
    }
}

impl FolderIndex {
    /// The folder's files that can't fulfil `plan`. With `by_size`, only files of which a search that finds nothing
    /// goes through exactly as many bytes as they are large.
    pub(super) fn ruled_out(&self, plan: &Plan, by_size: bool) -> RuledOut<'_> {
        let in_folder = |path| match &self.folder {
            None => Some(path),
            Some(folder) => <[u8]>::strip_prefix(path, folder.as_bytes())?.strip_prefix(b"/"),
        };
        let files = self.snapshot.ruled_out(plan);
        let mut ruled_out = HashMap::with_capacity(if self.folder.is_none() { files.len() } else { 0 });
        let files = files.into_iter().filter(|(_, doc)| doc.plain || !by_size);
        ruled_out.extend(files.filter_map(|(path, doc)| Some((in_folder(path)?, doc))));
        RuledOut(ruled_out)
    }
}

impl RuledOut<'_> {
    /// The size of the file at `path` in the folder, when it needn't be searched.
    pub(super) fn size(&self, path: &RelPath, metadata: impl FnOnce() -> Option<Metadata>) -> Option<u64> {
        let doc = self.0.get(path.as_bytes())?;
        (FileStat::of(&metadata()?) == doc.stat).then_some(doc.stat.size)
    }
}

//! Looking: finding out what became of what changed, and telling the overlay.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::reread::holds_settings;
use super::shared::Shared;
use crate::core::{Dirty, RelPath};
use crate::index::{Dirtied, Snapshot, Verdict};
use crate::watch::tree::{Enter, Tree, Unlisted, WalkError};
use crate::watch::{Born, Changes};

/// New files in more folders than this are found by a walk of the whole tree, which is faster then.
const MOST_FOLDERS: usize = 64;

/// What a look at single paths found.
pub(super) enum PathsLooked {
    /// These are dirty.
    Dirty(Dirty),
    /// Too much is new, or a folder can't be listed: look at the whole tree, which tells what can't be looked at.
    TooMuch,
}

/// What a look at the whole tree found.
pub(super) struct TreeLooked {
    /// Files that differ from the index.
    pub(super) differing: usize,
    /// What couldn't be looked at.
    pub(super) unreadable: Vec<String>,
    /// Too few descriptors were left: it has to be looked at once more.
    pub(super) lacked_descriptors: bool,
    /// How long it took.
    pub(super) took: Duration,
}

/// Compares the whole tree with the index, watching it anew. Blocks.
pub(super) fn at_tree(shared: &Shared) -> Result<TreeLooked, WalkError> {
    let started = Instant::now();
    let rescan = Arc::new(shared.watcher.rescan());
    let entered = rescan.clone();
    let root = shared.root();
    shared.reread_settings();
    shared.note_rules_outside();
    let tree = shared.rules.scan(
        root,
        shared.threads,
        &shared.cancel,
        &(Arc::new(move |folder: &Path| entered.enter(folder)) as Enter),
    )?;
    shared.watcher.finish(&rescan);
    let (snapshot, dirty) = shared.index.with_newer(&shared.overlay);
    let mut difference = snapshot.difference(&tree.files, shared.settings.index.max_file_bytes);
    // What is dirty was looked at before. It may be gone or ignored since; or it is a file again and as the index has it,
    // while the overlay, or a batch that reads it now, takes it for gone.
    let mut again = Vec::new();
    for path in dirty.keys() {
        match tree.files.binary_search_by(|file| file.path.cmp(path)) {
            Ok(_) if difference.changed.binary_search_by(|file| file.path.cmp(path)).is_ok() => {}
            Ok(at) => again.push(tree.files[at].clone()),
            Err(_) => difference.gone.push(path.clone()),
        }
    }
    difference.changed.append(&mut again);
    if tree.lacked_descriptors {
        // Folders that can't be opened look empty; a single file can still be looked at.
        difference.gone.retain(|path| kind(&path.to_path(root)) != Kind::File);
    }
    let differing = difference.gone.len() + difference.changed.len();
    if differing > 0 {
        shared.overlay.mark_difference(difference, &dirty);
    }
    let Tree { unreadable, lacked_descriptors, files } = tree;
    let (files, took) = (files.len(), started.elapsed());
    tracing::debug!(files, differing, ?took, "looked at the tree");
    Ok(TreeLooked { differing, unreadable, lacked_descriptors, took })
}

/// Looks at what changed. Blocks.
pub(super) fn at_paths(shared: &Shared, changes: Changes) -> PathsLooked {
    if changes.paths.keys().any(holds_settings) {
        shared.reread_settings();
    }
    let (snapshot, before) = shared.index.with_newer(&shared.overlay);
    let mut look = Look { shared, snapshot, before, members: HashMap::new(), dirty: BTreeMap::new(), is_unsure: false };
    // What is gone comes first: a folder that moved is unwatched before it is watched under its new name.
    let (gone, there): (Vec<_>, Vec<_>) = changes
        .paths
        .into_iter()
        .map(|(path, born)| (kind(&path.to_path(shared.root())), path, born))
        .partition(|(kind, ..)| *kind == Kind::Gone);
    for (kind, path, born) in gone.into_iter().chain(there) {
        look.at(kind, path, born);
        if look.members.len() > MOST_FOLDERS || look.is_unsure {
            return PathsLooked::TooMuch;
        }
    }
    let gone = look.dirty.values().filter(|verdict| **verdict == Verdict::Gone).count();
    tracing::debug!(dirty = look.dirty.len(), gone, "looked at what changed");
    let dirty = look.dirty.keys().cloned().collect();
    if !look.dirty.is_empty() {
        shared.overlay.mark(look.dirty);
    }
    PathsLooked::Dirty(dirty)
}

/// Whether a file at `path`, which need not exist, belongs to the codebase. Blocks.
pub(super) fn belongs(shared: &Shared, path: &RelPath) -> bool {
    let folder = path.to_path(shared.root());
    let entered = folder.parent().is_some_and(|folder| shared.watcher.is_entered(folder));
    let known = || {
        let (snapshot, dirty) = shared.index.with_newer(&shared.overlay);
        snapshot.find(path).is_some() || dirty.contains_key(path)
    };
    let member = || match kind(&path.to_path(shared.root())) {
        Kind::Gone => shared.rules.would_belong(shared.root(), path),
        _ => match shared.rules.members(shared.root(), path.parent().as_ref()) {
            Ok(members) => members.iter().any(|(member, _)| member == path),
            // It is there, and what isn't listed now can be asked for by name.
            Err(Unlisted) => shared.rules.would_belong(shared.root(), path),
        },
    };
    entered && (known() || member())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
    Other,
    Gone,
}

fn kind(path: &Path) -> Kind {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => Kind::File,
        Ok(metadata) if metadata.is_dir() => Kind::Folder,
        Ok(_) => Kind::Other,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Kind::Gone,
        // Whatever keeps it from being looked at: reading it will tell.
        Err(_) => Kind::File,
    }
}

struct Look<'a> {
    shared: &'a Shared,
    /// The index before the look, and what was newer.
    snapshot: Arc<Snapshot>,
    before: Dirtied,
    /// By folder, what belongs to the codebase.
    members: HashMap<Option<RelPath>, Vec<(RelPath, bool)>>,
    dirty: BTreeMap<RelPath, Verdict>,
    /// A folder couldn't be listed.
    is_unsure: bool,
}

impl Look<'_> {
    fn at(&mut self, kind: Kind, path: RelPath, born: Born) {
        let known = self.snapshot.find(&path).is_some() || self.before.contains_key(&path);
        let verdict = match kind {
            Kind::File if born == Born::Doubtful => match self.belongs(&path) {
                true => Some(Verdict::Read),
                false => Some(Verdict::Gone),
            },
            Kind::File if known || self.is_member(&path) => Some(Verdict::Read),
            _ => known.then_some(Verdict::Read),
        };
        self.dirty.extend(verdict.map(|verdict| (path.clone(), verdict)));
        match kind {
            Kind::File => return,
            Kind::Gone => self.shared.watcher.leave(&path.to_path(self.shared.root())),
            Kind::Folder | Kind::Other => {}
        }
        if kind != Kind::Folder || born != Born::No {
            // Files that were below it, as far as anybody knew.
            let below = self.snapshot.below(&path);
            let dirty_below = self.before.keys().filter(|p| p.is_below(&path)).cloned();
            self.dirty.extend(below.into_iter().chain(dirty_below).map(|p| (p, Verdict::Read)));
        }
        if kind == Kind::Folder && born != Born::No && self.is_member(&path) {
            let Shared { watcher, rules, cancel, .. } = self.shared;
            let watcher = watcher.clone();
            let enter: Enter = Arc::new(move |folder| watcher.enter(folder));
            let tree = rules.scan_below(self.shared.root(), &path, cancel, &enter);
            self.is_unsure |= !tree.unreadable.is_empty() || tree.lacked_descriptors;
            self.dirty.extend(tree.files.into_iter().map(|file| (file.path, Verdict::Read)));
        }
    }

    /// Whether a path belongs to the codebase, as the ignore files are now: also those that no event has told of.
    fn belongs(&mut self, path: &RelPath) -> bool {
        let mut at = Some(path.clone());
        while let Some(path) = at {
            if !self.is_member(&path) {
                return false;
            }
            at = path.parent();
        }
        true
    }

    /// Whether a path belongs to the codebase, if its folder does.
    fn is_member(&mut self, path: &RelPath) -> bool {
        let folder = path.parent();
        let members = self.members.entry(folder.clone());
        let members = members.or_insert_with(|| {
            let listed = self.shared.rules.members(self.shared.root(), folder.as_ref());
            listed.unwrap_or_else(|Unlisted| {
                self.is_unsure = true;
                Vec::new()
            })
        });
        members.iter().any(|(member, _)| member == path)
    }
}

//! Scanning: finding out what became of what changed, and marking it in the overlay.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::reread::holds_settings;
use super::shared::Shared;
use crate::core::files::{Entry, EntryKind, FolderId, RootFolder};
use crate::core::{Dirty, RelPath};
use crate::index::{Dirtied, Generation, Snapshot, Verdict};
use crate::watch::tree::{Enter, Ruling, Tree, WalkError};
use crate::watch::{Changes, Hint};

/// More new folders than this are found by a walk of the whole tree, which is faster then.
const MOST_FOLDERS: usize = 64;
/// Parts of the tree that raise no events are compared for each fresh answer as long as that takes no longer.
const SHORTEST_POLL: Duration = Duration::from_millis(50);

/// What a scan of single paths found.
pub(super) enum PathsScanned {
    /// These are dirty.
    Dirty(Dirty),
    /// Too much is new, or a folder can't be listed: look at the whole tree, which tells what can't be looked at.
    TooMuch,
}

/// What a reconcile of the whole tree found.
pub(super) struct TreeScanned {
    /// Files that differ from the index.
    pub(super) differing: usize,
    /// What couldn't be looked at.
    pub(super) unreadable: Vec<String>,
    /// Ignore files that aren't read as such.
    pub(super) odd: Vec<String>,
    /// Too few descriptors were left: it has to be looked at once more.
    pub(super) lacked_descriptors: bool,
    /// How long it took.
    pub(super) took: Duration,
}

/// Compares the whole tree with the index, watching it anew. Blocks.
pub(super) fn reconcile(shared: &Shared) -> Result<TreeScanned, WalkError> {
    let started = Instant::now();
    let root = shared.root();
    shared.watcher.begin_walk();
    shared.reread_settings();
    shared.note_rules_outside();
    let mut tree = shared.rules.scan(root, shared.threads, &shared.cancel, &enter(shared))?;
    shared.watcher.end_walk(&mut tree);
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
    let lacked_descriptors = tree.lacked_descriptors();
    if lacked_descriptors {
        // Folders that can't be opened look empty; a single file can still be looked at.
        difference.gone.retain(|path| {
            let entry = RootFolder::open(root).and_then(|root| root.entry(path));
            // What can't be told isn't gone.
            entry.is_ok_and(|entry| entry.is_none_or(|entry| entry.kind != EntryKind::File))
        });
    }
    let differing = difference.gone.len() + difference.changed.len();
    let mut marked = Vec::new();
    if differing > 0 {
        marked = shared.overlay.mark_difference(difference, &dirty);
    }
    // To an index that is new, all is.
    if let Some(news) = shared.news.as_ref().filter(|_| snapshot.generation != Generation::default()) {
        news.tell(marked, true);
    }
    let Tree { unreadable, files, met, .. } = tree;
    let (files, took) = (files.len(), started.elapsed());
    tracing::debug!(files, differing, ?took, "reconciled the tree");
    Ok(TreeScanned { differing, unreadable, odd: met.odd, lacked_descriptors, took })
}

/// Watches each folder that is found.
fn enter(shared: &Shared) -> Enter {
    let watcher = shared.watcher.clone();
    Arc::new(move |folder, id: FolderId| watcher.enter(folder, id))
}

/// Scans what changed. Blocks.
pub(super) fn paths(shared: &Shared, changes: Changes) -> PathsScanned {
    // A walk of the tree tells what became of it.
    let Ok(root) = RootFolder::open(shared.root()) else { return PathsScanned::TooMuch };
    if changes.paths.keys().any(holds_settings) {
        shared.reread_settings();
    }
    let (snapshot, before) = shared.index.with_newer(&shared.overlay);
    let mut scan = PathScan {
        shared,
        root: &root,
        ruling: Ruling::new(&shared.rules, &root),
        snapshot,
        before,
        dirty: BTreeMap::new(),
        named: Vec::new(),
        several: HashSet::new(),
        walks: 0,
        listed: HashMap::new(),
        is_unsure: false,
    };
    // What is gone comes first: a folder that moved is unwatched before it is watched under its new name.
    let (gone, there): (Vec<_>, Vec<_>) = changes
        .paths
        .into_iter()
        .map(|(path, hint)| (scan.what_is_at(&path), path, hint))
        .partition(|(what, ..)| matches!(what, There::Nothing));
    for (what, path, hint) in gone.into_iter().chain(there) {
        scan.at(what, path, hint);
        if scan.walks > MOST_FOLDERS || scan.is_unsure || scan.ruling.met.lacked_descriptors {
            return PathsScanned::TooMuch;
        }
    }
    scan.find_other_names();
    let PathScan { dirty, named, .. } = scan;
    shared.watcher.note_names(named);
    let gone = dirty.values().filter(|verdict| **verdict == Verdict::Gone).count();
    tracing::debug!(dirty = dirty.len(), gone, "scanned what changed");
    if let Some(news) = &shared.news {
        news.tell(dirty.keys().cloned().collect(), false);
    }
    let paths = dirty.keys().cloned().collect();
    if !dirty.is_empty() {
        shared.overlay.mark(dirty);
    }
    PathsScanned::Dirty(paths)
}

/// Whether a file at `path`, which need not exist, belongs to the codebase. Blocks.
pub(super) fn belongs(shared: &Shared, path: &RelPath) -> bool {
    let Ok(root) = RootFolder::open(shared.root()) else { return false };
    let kind = |path: &RelPath| root.entry(path).ok().flatten().map(|entry| entry.kind);
    if kind(path).is_some_and(|kind| kind != EntryKind::File) {
        return false;
    }
    // Folders that aren't there yet would be made in the nearest one that is.
    let nearest = std::iter::successors(path.parent(), RelPath::parent).find_map(|folder| kind(&folder));
    nearest.is_none_or(|kind| kind == EntryKind::Folder) && Ruling::new(&shared.rules, &root).takes_in(path, false)
}

/// Compares what no event tells with what it was, and notes what has changed; gives whether an answer that comes after a
/// look at that can lack nothing. Blocks.
pub(super) fn unseen(shared: &Shared) -> bool {
    let is_whole = shared.watcher.compare_unseen();
    let parts = shared.watcher.silent_parts();
    if parts.is_empty() || !is_whole {
        return is_whole;
    }
    let quick = shared.last_poll() < SHORTEST_POLL;
    if quick {
        at_silent(shared, &parts);
    }
    quick
}

/// The same, now and then, where nobody asks; gives how long parts that raise no events took. Blocks.
pub(super) fn compare_unseen(shared: &Shared, polls: bool) -> Option<Duration> {
    shared.watcher.compare_unseen();
    let parts = shared.watcher.silent_parts();
    if parts.is_empty() {
        return None;
    }
    if polls {
        at_silent(shared, &parts);
    }
    Some(shared.last_poll())
}

/// Compares parts of the tree with the index, and notes what differs.
fn at_silent(shared: &Shared, parts: &[RelPath]) {
    let started = Instant::now();
    let Ok(root) = RootFolder::open(shared.root()) else { return };
    let (snapshot, dirty) = shared.index.with_newer(&shared.overlay);
    let mut ruling = Ruling::new(&shared.rules, &root);
    for part in parts {
        let tree = match ruling.takes_in(part, true) {
            true => shared.rules.scan_below(&root, part, &mut ruling, &shared.cancel, &enter(shared)),
            false => Tree::default(),
        };
        let found: HashMap<_, _> = tree.files.into_iter().map(|file| (file.path, file.stat)).collect();
        // What is dirty is read by each search.
        let is_read = |path: &RelPath| dirty.get(path).is_some_and(|dirt| dirt.verdict == Verdict::Read);
        let differs = found.iter().filter(|(path, stat)| {
            let known =
                snapshot.find(path).is_some_and(|doc| doc.stat == **stat && !doc.racy && !dirty.contains_key(path));
            !known && !is_read(path)
        });
        let is_gone =
            |path: &RelPath| !found.contains_key(path) && !dirty.get(path).is_some_and(|d| d.verdict == Verdict::Gone);
        let gone = snapshot.below(part).into_iter().filter(is_gone);
        let differs: Vec<_> = differs.map(|(path, _)| path.clone()).chain(gone).collect();
        shared.watcher.recheck(differs);
    }
    shared.note_poll(started.elapsed());
}

/// What is at a path.
enum There {
    File(Option<Entry>),
    Folder,
    /// A link, a pipe: nothing that belongs to a codebase.
    Other,
    Nothing,
}

struct PathScan<'a> {
    shared: &'a Shared,
    root: &'a RootFolder,
    ruling: Ruling<'a>,
    /// The index before the look, and what was newer.
    snapshot: Arc<Snapshot>,
    before: Dirtied,
    dirty: BTreeMap<RelPath, Verdict>,
    /// The files that were looked at, for those with several names.
    named: Vec<(RelPath, Option<Entry>)>,
    /// The inodes of those that have several names, whether they belong or not.
    several: HashSet<u64>,
    /// Folders that were walked.
    walks: usize,
    /// By folder, whether a walk lists it.
    listed: HashMap<RelPath, bool>,
    /// Something couldn't be looked at.
    is_unsure: bool,
}

impl PathScan<'_> {
    fn what_is_at(&self, path: &RelPath) -> There {
        match self.root.entry(path) {
            Ok(None) => There::Nothing,
            Ok(Some(entry)) => match entry.kind {
                EntryKind::File => There::File(Some(entry)),
                EntryKind::Folder => There::Folder,
                EntryKind::Link | EntryKind::Other => There::Other,
            },
            // Its folder may not be passed: so it is as good as gone, which the folder's own event tells, too.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => There::Nothing,
            // Whatever keeps it from being looked at: reading it will tell.
            Err(_) => There::File(None),
        }
    }

    fn at(&mut self, there: There, path: RelPath, hint: Hint) {
        let is_held = self.snapshot.find(&path).is_some() || self.before.contains_key(&path);
        match there {
            There::File(entry) => {
                self.several.extend(entry.filter(Entry::has_other_names).map(|entry| entry.stat.inode));
                let verdict = match hint {
                    // A walk doesn't come there.
                    _ if !self.is_listed(path.parent()) => is_held.then_some(Verdict::Gone),
                    Hint::Unsure if !self.ruling.takes_in(&path, false) => Some(Verdict::Gone),
                    Hint::Unsure => Some(Verdict::Read),
                    _ if self.belonged(&path) || self.ruling.takes_in(&path, false) => Some(Verdict::Read),
                    _ => is_held.then_some(Verdict::Gone),
                };
                if let Some(verdict) = verdict {
                    self.dirty.insert(path.clone(), verdict);
                    self.named.push((path, entry.filter(|_| verdict == Verdict::Read)));
                }
            }
            There::Nothing | There::Other => {
                self.named.push((path.clone(), None));
                self.lose(&path);
                if is_held {
                    self.dirty.insert(path, Verdict::Gone);
                }
            }
            There::Folder => {
                if is_held {
                    self.dirty.insert(path.clone(), Verdict::Gone);
                }
                self.folder(&path, hint);
            }
        }
    }

    /// Whether a file at `path` belonged to the codebase, as of the newest look. One that was found to be ignored may still
    /// be in the index.
    fn belonged(&self, path: &RelPath) -> bool {
        match self.before.get(path) {
            Some(dirt) => dirt.verdict == Verdict::Read,
            None => self.snapshot.find(path).is_some(),
        }
    }

    /// A file that has got another name in the tree is told of by that name alone: those it had before are found by what is
    /// known of them, and compared from now on. It may have been written by the new name already.
    fn find_other_names(&mut self) {
        let inodes = std::mem::take(&mut self.several);
        if inodes.is_empty() {
            return;
        }
        let before = self.before.keys().cloned();
        for path in self.snapshot.with_inodes(&inodes).into_iter().chain(before) {
            let Ok(entry) = self.root.entry(&path) else { continue };
            let is_named = entry.is_some_and(|entry| entry.has_other_names() && inodes.contains(&entry.stat.inode));
            if self.dirty.contains_key(&path) || !is_named || !self.belonged(&path) {
                continue;
            }
            self.dirty.insert(path.clone(), Verdict::Read);
            self.named.push((path, entry));
        }
    }

    /// Whether a walk lists a folder (the root, when `None`), and those above it.
    fn is_listed(&mut self, folder: Option<RelPath>) -> bool {
        let Some(folder) = folder else { return true };
        if let Some(listed) = self.listed.get(&folder) {
            return *listed;
        }
        let refused = |error: std::io::Error| error.kind() == std::io::ErrorKind::PermissionDenied;
        let listed = self.is_listed(folder.parent()) && !self.root.folder(Some(&folder)).is_err_and(refused);
        self.listed.insert(folder, listed);
        listed
    }

    /// What was below something that isn't a folder (any more), or can't be listed, is gone.
    fn lose(&mut self, path: &RelPath) {
        self.shared.watcher.leave(&path.to_path(self.root.path()));
        self.lose_below(path);
    }

    /// Files below `path` are gone, as far as anybody knew of them.
    fn lose_below(&mut self, path: &RelPath) {
        let dirty_below = self.before.keys().filter(|p| p.is_below(path)).cloned();
        let below = self.snapshot.below(path).into_iter().chain(dirty_below);
        self.dirty.extend(below.map(|p| (p, Verdict::Gone)));
    }

    fn folder(&mut self, path: &RelPath, hint: Hint) {
        let full = path.to_path(self.root.path());
        match hint {
            Hint::Changed => return,
            Hint::Access => match self.root.folder(Some(path)) {
                Ok(Some(_)) if self.shared.watcher.is_entered(&full) => return,
                Ok(Some(_)) => {}
                Ok(None) => return self.lose(path),
                Err(error) => {
                    self.lose(path);
                    return self.shared.watcher.leave_unlisted(&full, error.to_string());
                }
            },
            Hint::Appeared | Hint::Unsure => {}
        }
        if !self.is_listed(path.parent()) || !self.ruling.takes_in(path, true) {
            return self.lose(path);
        }
        // But for those that the walk finds.
        self.lose_below(path);
        self.walks += 1;
        let Shared { rules, cancel, watcher, .. } = self.shared;
        let mut tree = rules.scan_below(self.root, path, &mut self.ruling, cancel, &enter(self.shared));
        self.is_unsure |= !tree.unreadable.is_empty() || tree.lacked_descriptors();
        for (folder, why) in std::mem::take(&mut tree.unlisted) {
            watcher.leave_unlisted(&folder, why);
        }
        watcher.note_outside(&mut tree);
        self.dirty.extend(tree.files.into_iter().map(|file| (file.path, Verdict::Read)));
    }
}

//! The index folder: what is committed, and how that changes.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::{Mutex, MutexGuard, RwLock};
use thiserror::Error;

use super::folder::{self, Ours};
use super::manifest::{Committed, Done, Found, Generation, Manifest};
use super::overlay::{Dirtied, Overlay};
use super::segment::{self, Segment, SegmentError, SegmentId, SegmentRef};
use super::snapshot::{Part, Snapshot};
use crate::core::RelPath;
use crate::core::cache::Fence;

/// How often a commit is tried again when other processes commit at the same time.
const TRIES: u32 = 64;
/// Files that no manifest names are an unfinished write of another process until they are this old.
const ORPHAN_AGE: Duration = Duration::from_secs(600);
/// Segments of one size class that are merged into one.
const MERGE_AT: usize = 6;
/// Each size class holds segments of up to this many times the files of the class below.
const CLASS: u32 = 8;

/// An index that can't be opened or changed.
#[derive(Debug, Error)]
pub enum IndexError {
    /// The index folder can't be used.
    #[error("can't use the index folder {}: {source}; make it writable, free space, or set index.dir to another", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A segment can't be read or written.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The lease at the head of the queue was lost before the commit.
    #[error("the lease at the head of the queue was lost before the index was committed; the batch is enqueued again")]
    LeaseLost,
    /// Other processes kept committing.
    #[error("the index in {} is being changed by other processes all the time; the change is tried again", path.display())]
    Overtaken {
        /// The folder.
        path: PathBuf,
    },
    /// The codebase's own folder can't be opened.
    #[error("can't open the folder {}: {source}; what changed there is indexed once it is back", path.display())]
    Root {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The work was given up on purpose.
    #[error("the work on the index was cancelled")]
    Cancelled,
}

/// The index of a codebase on disk, open. Any thread may read it; changes take turns.
pub struct Index {
    folder: PathBuf,
    current: RwLock<Arc<Snapshot>>,
    changing: Mutex<()>,
    /// See [`Index::take_rechecks`].
    rechecks: Mutex<BTreeSet<RelPath>>,
}

/// What a commit changes.
#[derive(Debug, Default)]
pub struct Change {
    /// Segments with files that are new or have changed; they stand for what the index had at their paths.
    pub added: Vec<SegmentRef>,
    /// Files that are gone.
    pub removed: Vec<RelPath>,
    /// The fence it is made under, where there is one: it is refused when a later head of that queue has committed.
    pub fence: Option<Fence>,
}

/// Segments that the disk had lost, and the copies of them.
type Copies = Vec<(SegmentId, Arc<Segment>)>;

/// Whether what a change itself says of files is known to be so, or leaves them in doubt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Own {
    Known,
    InDoubt,
}

impl Index {
    /// Opens the index in `folder`, which is made if need be, readable by the user only. Whatever is damaged or of
    /// another version is left out, and named in the second value: those files are simply not indexed yet. A folder
    /// that can't be used is an index without files, whose changes fail until it can.
    pub fn open(folder: &Path) -> (Index, Vec<String>) {
        let failed = |source| vec![IndexError::Folder { path: folder.to_owned(), source }.to_string()];
        let opened = folder::make(folder).and_then(|()| load(folder, &[]));
        let (snapshot, problems) = opened.unwrap_or_else(|error| (Snapshot::default(), failed(error)));
        let current = RwLock::new(Arc::new(snapshot));
        let index = Index { folder: folder.to_owned(), current, changing: Mutex::new(()), rechecks: Mutex::default() };
        // What couldn't be read may name them.
        if problems.is_empty() {
            index.sweep();
        }
        (index, problems)
    }

    /// Opens the index in `folder` to read it only; `None` when there is none.
    pub fn read(folder: &Path) -> Option<Snapshot> {
        if !folder::is_real(folder) {
            return None;
        }
        let (snapshot, _) = load(folder, &[]).ok()?;
        (snapshot.generation != Generation::default()).then_some(snapshot)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The index as it is now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.read().clone()
    }

    /// The index, and what is newer than it, of one moment: what was ever put into `overlay` is in the one or the other.
    /// Taken one after the other they could both lack a file that is committed, or comes into doubt, in between.
    pub fn with_newer(&self, overlay: &Overlay) -> (Arc<Snapshot>, Dirtied) {
        loop {
            let snapshot = self.snapshot();
            let dirty = overlay.view();
            // A path leaves the overlay after its commit has become current, and comes into doubt before.
            if Arc::ptr_eq(&snapshot, &self.snapshot()) {
                return (snapshot, dirty);
            }
        }
    }

    /// Makes `change` part of the index, on top of whatever other processes have committed meanwhile. What those know
    /// otherwise than this process did goes into `overlay`, for searches to read. Gives the number of this commit; others
    /// may have committed since.
    ///
    /// # Errors
    /// When a file can't be written or read, or the lease was lost; the index is as it was then.
    pub fn commit(&self, change: &Change, overlay: &Overlay) -> Result<Generation, IndexError> {
        let result = self.change(change.fence, overlay, Own::Known, |base| {
            let mut parts = base.clone().into_parts();
            let mut added = Vec::new();
            for &name in &change.added {
                added.push(Part::new(Arc::new(Segment::open(&self.folder, name)?), &[]));
            }
            for part in &mut parts {
                let docs = part.segment.clone();
                let docs = docs.docs();
                let replaced = added.iter().flat_map(|new| {
                    let new = new.segment.docs();
                    (0..new.len()).map(|id| new.path(id))
                });
                for path in replaced.chain(change.removed.iter().map(RelPath::as_bytes)) {
                    docs.find(path).into_iter().for_each(|id| part.lose(id));
                }
            }
            parts.extend(added);
            Ok(Some(parts))
        });
        if result.is_err() {
            self.remove_unnamed(change.added.iter().map(|name| name.id));
        }
        result.map(Option::unwrap_or_default)
    }

    /// Leaves out a segment that turned out to be damaged. Its files are in `overlay` until they are indexed again.
    ///
    /// # Errors
    /// When the manifest can't be written.
    pub fn forget_damaged(&self, overlay: &Overlay) -> Result<Vec<RelPath>, IndexError> {
        let mut lost = Vec::new();
        self.change(None, overlay, Own::InDoubt, |base| {
            lost.clear();
            let (sound, damaged): (Vec<_>, Vec<_>) =
                base.parts().iter().cloned().partition(|part| is_sound(&part.segment));
            for part in &damaged {
                lost.extend(part.alive().filter_map(|id| RelPath::from_bytes(part.segment.docs().path(id))));
            }
            Ok((!damaged.is_empty()).then_some(sound))
        })?;
        Ok(lost)
    }

    /// Merges segments, if there are too many of one size or one is mostly dead. Gives whether there was anything to
    /// do. Commits may come in between; `overlay` is as in [`Index::commit`].
    ///
    /// # Errors
    /// When a file can't be written or read; the index is as it was then.
    pub fn merge(&self, overlay: &Overlay) -> Result<bool, IndexError> {
        self.restore(overlay)?;
        let before = self.snapshot();
        let chosen = choose(before.parts());
        if chosen.is_empty() {
            return Ok(false);
        }
        let segments: Vec<_> = chosen.iter().map(|part| &*part.segment).collect();
        let merged = segment::merge(&self.folder, &segments, |at, id| chosen[at].is_alive(id))?;
        let result = self.change(None, overlay, Own::Known, |base| {
            let is_chosen = |part: &Part| chosen.iter().position(|c| c.segment.name() == part.segment.name());
            let (old, mut parts): (Vec<_>, Vec<_>) = base.parts().iter().cloned().partition(|p| is_chosen(p).is_some());
            if old.len() < chosen.len() {
                // Another process has merged some of them already.
                return Ok(None);
            }
            let mut new = Part::new(Arc::new(Segment::open(&self.folder, merged.segment)?), &[]);
            for part in &old {
                // What was lost while the merge ran.
                let moved = is_chosen(part).map_or(&[][..], |at| &merged.moved[at]);
                part.gone().into_iter().filter_map(|id| moved[id as usize]).for_each(|id| new.lose(id));
            }
            parts.push(new);
            Ok(Some(parts))
        });
        if !matches!(result, Ok(Some(_))) {
            self.remove_unnamed([merged.segment.id]);
        }
        result.map(|generation| generation.is_some())
    }

    /// Writes what the disk has lost of the index anew, should somebody have removed it, from what this process holds open.
    /// Gives whether anything was lost: then the overlay may hold what another process made of it meanwhile.
    ///
    /// # Errors
    /// When a file can't be written or read.
    pub fn restore(&self, overlay: &Overlay) -> Result<bool, IndexError> {
        self.ready()?;
        let now = self.snapshot();
        if now.generation == Generation::default() {
            return Ok(false);
        }
        let failed = |source| IndexError::Folder { path: self.folder.clone(), source };
        let found = Manifest::load(&self.folder).map_err(failed)?.manifest;
        let mut segments = found.segments.values();
        if found.ancestry.is_built_on(&now.ancestry) && segments.all(|(name, _)| name.is_in(&self.folder)) {
            return Ok(false);
        }
        tracing::warn!(folder = %self.folder.display(), "files of the index are gone from the disk; it is written anew");
        self.change(None, overlay, Own::Known, |base| Ok(Some(base.clone().into_parts())))?;
        Ok(true)
    }

    /// Forgets everything. What it knew is in `overlay` until it is indexed again.
    ///
    /// # Errors
    /// When the manifest can't be written.
    pub fn clear(&self, overlay: &Overlay) -> Result<(), IndexError> {
        self.change(None, overlay, Own::InDoubt, |_| Ok(Some(Vec::new()))).map(drop)
    }

    /// Files that changes have put into the overlay, or left there, since this was asked last. They are to be looked at:
    /// another process may not know yet that one is ignored by now, and what was away may be there again.
    pub fn take_rechecks(&self) -> BTreeSet<RelPath> {
        std::mem::take(&mut *self.rechecks.lock())
    }

    /// One change of the manifest, and its number: `next` makes the parts after it from the snapshot before it, or says
    /// that there is nothing to do. It is asked again when another process was faster.
    ///
    /// Another process may have read a file earlier than this one did, or have forgotten what it can't read: its commit
    /// says how that process saw the tree. So what it says otherwise is looked at again.
    fn change(
        &self,
        fence: Option<Fence>,
        overlay: &Overlay,
        own: Own,
        next: impl FnMut(&Snapshot) -> Result<Option<Vec<Part>>, SegmentError>,
    ) -> Result<Option<Generation>, IndexError> {
        self.ready()?;
        let _turn: MutexGuard<'_, ()> = self.changing.lock();
        let mut copies = Vec::new();
        let result = self.change_with(fence, overlay, own, next, &mut copies);
        if !copies.is_empty() {
            // Those of attempts in vain.
            self.remove_unnamed(copies.iter().map(|(_, copy)| copy.name().id));
        }
        result
    }

    fn change_with(
        &self,
        fence: Option<Fence>,
        overlay: &Overlay,
        own: Own,
        mut next: impl FnMut(&Snapshot) -> Result<Option<Vec<Part>>, SegmentError>,
        copies: &mut Copies,
    ) -> Result<Option<Generation>, IndexError> {
        let failed = |source| IndexError::Folder { path: self.folder.clone(), source };
        let before = self.snapshot();
        let mut base = before.clone();
        for _ in 0..TRIES {
            let Some(mut parts) = next(&base)? else {
                if !Arc::ptr_eq(&before, &base) {
                    self.adopt(&before, base.clone(), before.unlike(&base), overlay);
                }
                return Ok(None);
            };
            let mut fences = base.fences.clone();
            if let Some(fence) = fence {
                if fences.refuse(fence) {
                    // So that the next token is above the one that was seen here.
                    self.adopt(&before, base.clone(), before.unlike(&base), overlay);
                    return Err(IndexError::LeaseLost);
                }
                fences.passed(fence);
            }
            parts.retain(|part| part.alive_count() > 0);
            // On top of nothing but what is newest: what came in between would be left out.
            let next = Manifest::next(&self.folder, base.generation, &base.ancestry).map_err(failed)?;
            let Some(generation) = next else {
                base = Arc::new(load(&self.folder, base.parts()).map_err(failed)?.0);
                continue;
            };
            let mut rechecks = self.keep(&mut parts, copies)?;
            let snapshot = Arc::new(Snapshot::new(generation, parts, fences, base.ancestry.child()));
            let committed = snapshot.manifest().commit(&self.folder, base.generation).map_err(failed)?;
            let now = match &committed {
                Committed::Done(Done { is_followed: false, .. }) => snapshot.clone(),
                _ => Arc::new(load(&self.folder, snapshot.parts()).map_err(failed)?.0),
            };
            let Committed::Done(done) = committed else {
                base = now;
                continue;
            };
            if !now.ancestry.is_built_on(&snapshot.ancestry) {
                base = now;
                continue;
            }
            let mut unlike = BTreeSet::new();
            if own == Own::InDoubt || !Arc::ptr_eq(&before, &base) || done.is_followed {
                unlike = before.unlike(&now);
            }
            if own == Own::Known {
                unlike.retain(|path| snapshot.agrees(&base, path) || !snapshot.agrees(&now, path));
            }
            rechecks.append(&mut unlike);
            for other in &done.passed_over {
                rechecks.append(&mut base.unlike(&opened(&self.folder, other, base.parts()).0));
            }
            self.remove_dead(&base, &now);
            self.adopt(&before, now, rechecks, overlay);
            return Ok(Some(generation));
        }
        Err(IndexError::Overtaken { path: self.folder.clone() })
    }

    /// Writes those of `parts` anew whose files the disk has lost, under names of their own. What isn't to be had any more
    /// is left out: gives its files.
    fn keep(&self, parts: &mut Vec<Part>, copies: &mut Copies) -> Result<BTreeSet<RelPath>, SegmentError> {
        let mut lost = BTreeSet::new();
        for mut part in std::mem::take(parts) {
            let name = part.segment.name();
            if !name.is_in(&self.folder) {
                let copied = copies.iter().find(|(of, _)| *of == name.id).map(|(_, copy)| copy.clone());
                part.segment = match copied.map_or_else(|| part.segment.copy(&self.folder).map(Arc::new), Ok) {
                    Ok(copy) => copy,
                    Err(SegmentError::Damaged { .. }) => {
                        lost.extend(part.alive().filter_map(|id| RelPath::from_bytes(part.segment.docs().path(id))));
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                copies.push((name.id, part.segment.clone()));
            }
            parts.push(part);
        }
        Ok(lost)
    }

    /// Makes `now` the current commit. What is in doubt goes into the overlay before, so that searches see it as this
    /// process did until now: whether it was right is for a scan to say.
    fn adopt(&self, before: &Snapshot, now: Arc<Snapshot>, mut rechecks: BTreeSet<RelPath>, overlay: &Overlay) {
        if !rechecks.is_empty() {
            overlay.doubt(&mut rechecks, |path| before.find(path).is_some());
            self.doubt(rechecks);
        }
        *self.current.write() = now;
    }

    /// These are in the overlay, and are to be looked at.
    pub(super) fn doubt(&self, paths: impl IntoIterator<Item = RelPath>) {
        self.rechecks.lock().extend(paths);
    }

    /// Removes the files of `base` that `now` needs no more.
    fn remove_dead(&self, base: &Snapshot, now: &Snapshot) {
        let kept = |id| now.parts().iter().any(|part| part.segment.name().id == id);
        let ids = base.parts().iter().map(|part| part.segment.name().id);
        ids.filter(|&id| !kept(id)).for_each(|id| self.remove(id));
    }

    /// Removes segments of a change that failed, unless it came to be all the same: that isn't certain after each error.
    fn remove_unnamed(&self, ids: impl IntoIterator<Item = SegmentId>) {
        // If it can't be read, what nobody names is swept when the index is opened again.
        let Ok((now, problems)) = load(&self.folder, self.snapshot().parts()) else { return };
        if !problems.is_empty() {
            return;
        }
        let is_named = |id| now.parts().iter().any(|part| part.segment.name().id == id);
        ids.into_iter().filter(|&id| !is_named(id)).for_each(|id| self.remove(id));
    }

    /// Makes the folder again, should somebody have removed it.
    fn ready(&self) -> Result<(), IndexError> {
        let failed = |source| IndexError::Folder { path: self.folder.clone(), source };
        folder::make(&self.folder).map_err(failed)
    }

    /// Removes a segment that was written and is not committed.
    pub(super) fn discard(&self, id: SegmentId) {
        self.remove(id);
    }

    fn remove(&self, id: SegmentId) {
        if let Err(error) = std::fs::remove_file(id.file(&self.folder)) {
            tracing::debug!(?id, %error, "a dead index file stays until it is swept");
        }
    }

    /// Removes what crashes left behind.
    fn sweep(&self) {
        let named = self.snapshot();
        let is_named = |path: &Path| named.parts().iter().any(|p| p.segment.name().id.file(&self.folder) == path);
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let kind = path.file_name().and_then(|name| name.to_str()).and_then(Ours::of);
            let ours = matches!(kind, Some(Ours::Segment | Ours::Unfinished));
            let file = path.symlink_metadata().ok().filter(|metadata| metadata.is_file());
            let age = file.and_then(|m| m.modified().ok()).and_then(|t| SystemTime::now().duration_since(t).ok());
            if ours && !is_named(&path) && age.is_some_and(|age| age > ORPHAN_AGE) {
                tracing::debug!(path = %path.display(), "removing an index file that a crash left behind");
                if let Err(error) = std::fs::remove_file(&path) {
                    tracing::warn!(path = %path.display(), %error, "can't remove an index file that a crash left behind");
                }
            }
        }
    }
}

/// Reads the newest manifest and opens its segments, taking those in `open` from there.
fn load(folder: &Path, open: &[Part]) -> io::Result<(Snapshot, Vec<String>)> {
    loop {
        let Found { manifest, unreadable } = Manifest::load(folder)?;
        let (snapshot, damaged) = opened(folder, &manifest, open);
        let unreadable = unreadable.iter().map(|path| {
            format!("the index file {} is damaged or of another version; it is rebuilt by itself", path.display())
        });
        let problems: Vec<_> = unreadable.chain(damaged).collect();
        // Another process may have merged segments away since the manifest was read: then there is a newer one. With
        // nothing missing, what was read is one commit as it was; a change on top of it is overtaken by the newer one.
        if problems.is_empty() || Manifest::load(folder)?.manifest.ancestry == manifest.ancestry {
            return Ok((snapshot, problems));
        }
    }
}

/// Opens a manifest's segments, taking those in `open` from there. Those that can't be are left out, and named.
fn opened(folder: &Path, manifest: &Manifest, open: &[Part]) -> (Snapshot, Vec<String>) {
    let (mut parts, mut problems) = (Vec::new(), Vec::new());
    for (name, gone) in manifest.segments.values() {
        let open = open.iter().find(|part| part.segment.name() == *name).map(|part| part.segment.clone());
        match open.map_or_else(|| Segment::open(folder, *name).map(Arc::new), Ok) {
            Ok(segment) => parts.push(Part::new(segment, gone)),
            Err(error) => problems.push(error.to_string()),
        }
    }
    (Snapshot::new(manifest.generation, parts, manifest.fences.clone(), manifest.ancestry.clone()), problems)
}

/// Reads all of a segment's dictionary and postings.
fn is_sound(segment: &Segment) -> bool {
    let mut ids = Vec::new();
    segment.all_entries().all(|block| {
        block.is_ok_and(|entries| {
            entries.iter().all(|entry| {
                ids.clear();
                segment.postings(entry, &mut ids).is_ok()
            })
        })
    })
}

/// The segments to merge now, or none.
fn choose(parts: &[Part]) -> Vec<Part> {
    let class = |part: &Part| part.alive_count().max(1).ilog(CLASS);
    for size in 0..=parts.iter().map(class).max().unwrap_or(0) {
        // With them go the smaller ones: they would only be merged again soon.
        let alike = parts.iter().filter(|part| class(part) == size).count();
        if alike >= MERGE_AT {
            return parts.iter().filter(|part| class(part) <= size).cloned().collect();
        }
    }
    let mostly_dead = |part: &&Part| part.alive_count() < part.segment.docs().len() / 2;
    parts.iter().filter(mostly_dead).cloned().collect()
}

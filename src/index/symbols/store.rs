//! The symbol segments of a codebase, and those that all codebases of a user share.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::SystemTime;

use super::extract::LARGEST_PARSED;
use super::recent::Recent;
use super::segment::{self, SymbolSegment, SymbolSegmentBuilder, SymbolSegmentId, TextKey};
use crate::core::private;
use crate::index::folder::{Ours, mark};
use crate::index::segment::{SegmentError, SegmentId};
use crate::index::{Generation, Snapshot};
use parking_lot::{Mutex, MutexGuard, RwLock};

/// Symbol segments of one size class that are merged into one.
const MERGE_AT: usize = 6;
/// Each size class holds symbol segments of up to this many times the symbols of the class below.
const CLASS: usize = 8;
/// Symbol segments that are mostly dead are looked for when a share of one in so many texts is new.
const ADDED_SHARE: usize = 16;
/// Symbol segments about fewer texts aren't shared with other codebases: those of single saves are merged soon.
const WORTH_SHARING: usize = 64;
/// Most bytes of shared symbol segments; the oldest go first.
const MOST_SHARED: u64 = 1 << 30;

/// All symbol segments of a codebase at one moment.
pub type Packs = Arc<Vec<Arc<SymbolSegment>>>;

/// The symbol segments of a codebase. Any thread may read them; changes take turns. Symbol segments that other
/// processes add are found by [`SymbolStore::refresh`].
pub struct SymbolStore {
    folder: PathBuf,
    /// Where codebases find what others have parsed.
    shared: PathBuf,
    segments: RwLock<Packs>,
    changing: Mutex<()>,
    /// Segments all whose texts have been taken care of.
    covered: Mutex<HashSet<SegmentId>>,
    /// Whether the index of a generation has files that are too large to be parsed.
    oversized: Mutex<Option<(Generation, bool)>>,
    /// Symbols that others left didn't fit their texts, and that was told.
    doubted: AtomicBool,
    forgotten: AtomicU64,
    /// Texts added since symbol segments that are mostly dead were looked for.
    added: AtomicUsize,
    pub(super) recent: Recent,
}

impl SymbolStore {
    /// The store in a codebase's index folder. It has no symbol segments before the first [`SymbolStore::refresh`].
    pub fn new(folder: &Path, shared: &Path) -> SymbolStore {
        SymbolStore {
            folder: folder.to_owned(),
            shared: shared.to_owned(),
            segments: RwLock::default(),
            changing: Mutex::new(()),
            covered: Mutex::default(),
            oversized: Mutex::default(),
            doubted: AtomicBool::new(false),
            forgotten: AtomicU64::new(0),
            // What changed since the process before looked isn't known.
            added: AtomicUsize::new(usize::MAX / 2),
            recent: Recent::default(),
        }
    }

    /// The symbol segments as they are now.
    pub fn segments(&self) -> Packs {
        self.segments.read().clone()
    }

    /// Symbols in all symbol segments, those of texts included that no file has any more.
    pub fn symbols(&self) -> usize {
        self.segments().iter().map(|segment| segment.symbols()).sum()
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.segments().iter().map(|segment| segment.bytes()).sum()
    }

    /// Opens symbol segments that aren't open yet. Damaged ones are removed: their texts are parsed again.
    pub fn refresh(&self) {
        let _turn = self.turn();
        let mut segments = self.segments().to_vec();
        for path in segment_files(&self.folder) {
            let is_open =
                SymbolSegmentId::of(&path).is_some_and(|id| segments.iter().any(|segment| segment.id() == id));
            if is_open {
                continue;
            }
            match SymbolSegment::open(&path) {
                Ok(segment) => segments.push(Arc::new(segment)),
                Err(error) => self.refused(&path, &error),
            }
        }
        self.publish(self.kept(segments));
    }

    /// Writes symbol segments anew whose files the disk has lost. Where there are others that aren't open yet, they may
    /// stand for those: then it is left to [`SymbolStore::refresh`].
    pub fn restore(&self) {
        let _turn = self.turn();
        let segments = self.segments();
        let is_open = |path: &PathBuf| {
            SymbolSegmentId::of(path).is_none_or(|id| segments.iter().any(|segment| segment.id() == id))
        };
        if segment_files(&self.folder).all(|path| is_open(&path))
            && segments.iter().any(|segment| !segment.is_in(&self.folder))
        {
            self.publish(self.kept(segments.to_vec()));
        }
    }

    /// Those of `segments` that are on disk, once those that it has lost were written anew. A symbol segment whose
    /// texts others hold was merged by another process; one that can't be written is left out, and its texts are parsed
    /// again.
    fn kept(&self, segments: Vec<Arc<SymbolSegment>>) -> Vec<Arc<SymbolSegment>> {
        let (mut kept, lost): (Vec<_>, Vec<_>) = segments.into_iter().partition(|segment| segment.is_in(&self.folder));
        for segment in lost {
            if segment.texts().iter().all(|(key, _)| kept.iter().any(|other| other.holds(*key))) {
                continue;
            }
            match segment.rewrite(&self.folder) {
                Ok(()) => {
                    self.share(&segment);
                    kept.push(segment);
                }
                Err(error) => {
                    tracing::warn!("{error}");
                    self.uncover();
                }
            }
        }
        kept
    }

    /// Takes a symbol segment out that turned out to be damaged; its texts are parsed again.
    pub fn forget(&self, id: SymbolSegmentId) {
        let _turn = self.turn();
        let segments = self.segments().iter().filter(|segment| segment.id() != id).cloned().collect();
        self.publish(segments);
        self.remove(&id.file(&self.folder));
        self.remove(&id.file(&self.shared));
        self.uncover();
    }

    /// Forgets everything, here and where codebases share.
    pub fn clear(&self) {
        let _turn = self.turn();
        for segment in self.segments().iter() {
            self.remove(&segment.id().file(&self.folder));
            self.remove(&segment.id().file(&self.shared));
        }
        self.publish(Vec::new());
        self.uncover();
        self.recent.clear();
    }

    /// How often texts that were known were forgotten.
    pub(super) fn times_forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::SeqCst)
    }

    fn uncover(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.covered().clear();
    }

    /// Those of `keys` that no symbol segment holds. They must be sorted.
    pub(super) fn missing(&self, keys: Vec<TextKey>) -> Vec<TextKey> {
        let segments = self.segments();
        keys.into_iter().filter(|key| !segments.iter().any(|segment| segment.holds(*key))).collect()
    }

    /// Takes over symbol segments of other codebases that hold any of `wanted`.
    pub(super) fn adopt(&self, wanted: &[TextKey]) {
        let _turn = self.turn();
        let mut segments = self.segments().to_vec();
        for path in segment_files(&self.shared) {
            let Some(id) = SymbolSegmentId::of(&path) else { continue };
            if segments.iter().any(|segment| segment.id() == id) {
                continue;
            }
            let segment = match SymbolSegment::open(&path) {
                Ok(segment) => segment,
                Err(error) => {
                    self.refused(&path, &error);
                    continue;
                }
            };
            let found = wanted.iter().filter(|key| segment.holds(**key)).count();
            // A symbol segment that is about something else would only be in the way.
            if found * 4 < segment.texts().len().min(wanted.len()) || found == 0 {
                continue;
            }
            let own = id.file(&self.folder);
            match self.link(&path, &own).and_then(|()| SymbolSegment::open(&own).map_err(io::Error::other)) {
                Ok(segment) => segments.push(Arc::new(segment)),
                Err(error) => tracing::debug!(%error, "symbols of another codebase can't be taken over"),
            }
        }
        self.publish(segments);
    }

    /// Writes what was collected as a symbol segment.
    pub(super) fn add(&self, builder: &mut SymbolSegmentBuilder) -> Result<(), SegmentError> {
        if builder.is_empty() {
            return Ok(());
        }
        let id = builder.write(&self.folder)?;
        let segment = Arc::new(SymbolSegment::open(&id.file(&self.folder))?);
        self.added.fetch_add(segment.texts().len(), Ordering::Relaxed);
        let _turn = self.turn();
        self.share(&segment);
        let segments = self.segments().iter().cloned().chain([segment]).collect();
        self.publish(segments);
        Ok(())
    }

    /// Merges symbol segments, if there are too many of one size or most texts of one have no file any more, as
    /// `is_live` tells. Gives whether there was anything to do.
    ///
    /// # Errors
    /// When a file can't be read or written; the symbol segments are as they were then.
    pub fn merge(&self, is_live: impl Fn(TextKey) -> bool) -> Result<bool, SegmentError> {
        let segments = self.segments();
        let class = |segment: &SymbolSegment| segment.symbols().max(1).ilog(CLASS);
        let crowded = (0..=usize::BITS)
            .find(|size| segments.iter().filter(|segment| class(segment) == *size).count() >= MERGE_AT);
        // A look at every text: worth it once in a while.
        let texts: usize = segments.iter().map(|segment| segment.texts().len()).sum();
        let may_be_dead = self.added.load(Ordering::Relaxed) > texts / ADDED_SHARE;
        let mostly_dead = |segment: &&Arc<SymbolSegment>| {
            let live = segment.texts().iter().filter(|(key, _)| is_live(*key)).count();
            segment.texts().len() > WORTH_SHARING && live < segment.texts().len() / 2
        };
        let (chosen, drop_dead): (Vec<_>, bool) = match crowded {
            // With them go the smaller ones: they would only be merged again soon.
            Some(size) => (segments.iter().filter(|segment| class(segment) <= size).cloned().collect(), false),
            None if may_be_dead => (segments.iter().find(mostly_dead).cloned().into_iter().collect(), true),
            None => return Ok(false),
        };
        if chosen.is_empty() {
            self.added.store(0, Ordering::Relaxed);
            return Ok(false);
        }
        let sources: Vec<_> = chosen.iter().map(|segment| &**segment).collect();
        let id = segment::merge(&self.folder, &sources, |key| !drop_dead || is_live(key))?;
        let merged = Arc::new(SymbolSegment::open(&id.file(&self.folder))?);
        let _turn = self.turn();
        let is_chosen = |segment: &Arc<SymbolSegment>| chosen.iter().any(|chosen| chosen.id() == segment.id());
        let segments =
            self.segments().iter().filter(|segment| !is_chosen(segment)).cloned().chain([merged.clone()]).collect();
        self.publish(segments);
        for segment in &chosen {
            self.remove(&segment.id().file(&self.folder));
            // What another branch needs again stays where it was shared.
            if !drop_dead {
                self.remove(&segment.id().file(&self.shared));
            }
        }
        if !drop_dead {
            self.share(&merged);
        }
        Ok(true)
    }

    pub(super) fn covered(&self) -> MutexGuard<'_, HashSet<SegmentId>> {
        self.covered.lock()
    }

    /// All texts in `segments` have been taken care of. Of the others only those stay known that `snapshot` has.
    pub(super) fn cover(&self, snapshot: &Snapshot, segments: Vec<SegmentId>) {
        let mut covered = self.covered();
        covered.extend(segments);
        let present: HashSet<_> = snapshot.segment_ids().collect();
        covered.retain(|segment| present.contains(segment));
    }

    /// Whether some text in `snapshot` isn't parsed for what it is: too large, or given up.
    pub(super) fn leaves_out(&self, snapshot: &Snapshot) -> bool {
        let has_oversized = {
            let mut oversized = self.oversized.lock();
            match *oversized {
                Some((generation, known)) if generation == snapshot.generation => known,
                _ => {
                    let found = snapshot.has_source_above(LARGEST_PARSED);
                    *oversized = Some((snapshot.generation, found));
                    found
                }
            }
        };
        has_oversized || self.segments().iter().any(|segment| segment.given_up().any(|key| snapshot.has(key)))
    }

    /// Tells, once, that symbols of others don't fit the texts that they were left for.
    pub(super) fn doubt(&self, key: TextKey) {
        if !self.doubted.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                text = %format_args!("{:032x}", key.hash.0),
                "symbols that another host left in Redis aren't those of the text they are for, and aren't used: somebody \
                 else may write there; such texts are parsed here"
            );
        }
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.changing.lock()
    }

    fn publish(&self, segments: Vec<Arc<SymbolSegment>>) {
        *self.segments.write() = Arc::new(segments);
    }

    /// Lets other codebases have a symbol segment. Not being able to costs them time only.
    fn share(&self, segment: &SymbolSegment) {
        if segment.texts().len() < WORTH_SHARING {
            return;
        }
        let shared = private::create_folder(&self.shared)
            .and_then(|()| mark(&self.shared))
            .and_then(|()| self.link(&segment.id().file(&self.folder), &segment.id().file(&self.shared)));
        if let Err(error) = shared {
            tracing::debug!(%error, "symbols can't be shared with other codebases");
        }
        let mut all: Vec<(SystemTime, u64, PathBuf)> = segment_files(&self.shared)
            .filter_map(|path| {
                let metadata = path.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), path))
            })
            .collect();
        all.sort();
        let mut bytes: u64 = all.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, size, path) in all {
            if bytes <= MOST_SHARED {
                break;
            }
            self.remove(&path);
            bytes -= size;
        }
    }

    /// Gives a symbol segment a second name: that of the same file, or of a copy where the file system has no hard
    /// links, or no more.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        match fs::hard_link(from, to) {
            Err(error) if !matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {
                self.copy(from, to)
            }
            linked => linked,
        }
    }

    /// Whoever lists the folder meanwhile must not take a part for the whole.
    fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        let unfinished = SymbolSegmentId::of(to).map(|id| id.file(&self.folder).with_extension("unfinished"));
        let unfinished = unfinished.ok_or(io::ErrorKind::InvalidInput)?;
        let mut out = private::create_new(&unfinished)?;
        let copied = fs::File::open(from).and_then(|mut from| io::copy(&mut from, &mut out));
        copied.and_then(|_| fs::rename(&unfinished, to)).inspect_err(|_| drop(fs::remove_file(&unfinished)))
    }

    /// A symbol segment can't be opened: a damaged one goes; one that can't be read now may be another time.
    fn refused(&self, path: &Path, error: &SegmentError) {
        match error {
            SegmentError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {}
            SegmentError::Io { .. } => tracing::warn!("{error}"),
            SegmentError::Damaged { .. } => {
                tracing::warn!("{error}");
                self.remove(path);
            }
        }
    }

    fn remove(&self, path: &Path) {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "can't remove an index file");
            }
            _ => {}
        }
    }
}

/// The symbol segments in a folder. Whatever else is there isn't ours.
fn segment_files(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| entry.file_name().to_str().and_then(Ours::of) == Some(Ours::SymbolSegment));
    ours.map(|entry| entry.path())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Where there are no hard links, symbol segments could neither be shared nor taken over.
    #[test]
    fn a_pack_is_copied_whole_and_for_its_user_only() {
        let folder = tempfile::tempdir().unwrap();
        let (own, shared) = (folder.path().join("own"), folder.path().join("shared"));
        [&own, &shared].iter().for_each(|folder| private::create_folder(folder).unwrap());
        let store = SymbolStore::new(&own, &shared);
        let mut builder = SymbolSegmentBuilder::default();
        let hash = crate::index::ContentHash::of(b"fn f() {}");
        builder.add(TextKey { hash, language: super::super::Language::Rust }, Some(Vec::new()));
        let id = builder.write(&own).unwrap();
        store.copy(&id.file(&own), &id.file(&shared)).unwrap();
        assert_eq!(fs::read(id.file(&own)).unwrap(), fs::read(id.file(&shared)).unwrap());
        assert_eq!(SymbolSegment::open(&id.file(&shared)).unwrap().texts().len(), 1);
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&id.file(&shared).metadata().unwrap()) & 0o777, 0o600);
        assert_eq!([&own, &shared].map(|folder| fs::read_dir(folder).unwrap().count()), [1, 1]);
        // One that isn't there leaves nothing.
        fs::remove_file(id.file(&own)).unwrap();
        fs::remove_file(id.file(&shared)).unwrap();
        assert!(store.link(&id.file(&own), &id.file(&shared)).is_err());
        assert!(store.copy(&id.file(&own), &id.file(&shared)).is_err());
        assert_eq!([&own, &shared].map(|folder| fs::read_dir(folder).unwrap().count()), [0, 0]);
    }
}

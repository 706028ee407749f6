//! The packs of a codebase, and those that all codebases of a user share.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::SystemTime;

use super::extract::LARGEST_PARSED;
use super::pack::{self, Pack, PackBuilder, PackId, TextKey};
use super::recent::Recent;
use crate::core::private;
use crate::index::folder::{Ours, mark};
use crate::index::segment::{SegmentError, SegmentId};
use crate::index::{Generation, Snapshot};

/// Packs of one size class that are merged into one.
const MERGE_AT: usize = 6;
/// Each size class holds packs of up to this many times the symbols of the class below.
const CLASS: usize = 8;
/// Packs that are mostly dead are looked for when a share of one in so many texts is new.
const ADDED_SHARE: usize = 16;
/// Packs about fewer texts aren't shared with other codebases: those of single saves are merged soon.
const WORTH_SHARING: usize = 64;
/// Most bytes of shared packs; the oldest go first.
const MOST_SHARED: u64 = 1 << 30;

/// All packs of a codebase at one moment.
pub type Packs = Arc<Vec<Arc<Pack>>>;

/// The packs of a codebase. Any thread may read them; changes take turns. Packs that other processes add are found by
/// [`SymbolStore::refresh`].
pub struct SymbolStore {
    folder: PathBuf,
    /// Where codebases find what others have parsed.
    shared: PathBuf,
    packs: RwLock<Packs>,
    changing: Mutex<()>,
    /// Segments all whose texts have been taken care of.
    covered: Mutex<HashSet<SegmentId>>,
    /// Whether the index of a generation has files that are too large to be parsed.
    oversized: Mutex<Option<(Generation, bool)>>,
    /// Symbols that others left didn't fit their texts, and that was told.
    doubted: AtomicBool,
    forgotten: AtomicU64,
    /// Texts added since packs that are mostly dead were looked for.
    added: AtomicUsize,
    pub(super) recent: Recent,
}

impl SymbolStore {
    /// The store in a codebase's index folder. It has no packs before the first [`SymbolStore::refresh`].
    pub fn new(folder: &Path, shared: &Path) -> SymbolStore {
        SymbolStore {
            folder: folder.to_owned(),
            shared: shared.to_owned(),
            packs: RwLock::default(),
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

    /// The packs as they are now.
    pub fn packs(&self) -> Packs {
        self.packs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Symbols in all packs, those of texts included that no file has any more.
    pub fn symbols(&self) -> usize {
        self.packs().iter().map(|pack| pack.symbols()).sum()
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.packs().iter().map(|pack| pack.bytes()).sum()
    }

    /// Opens packs that aren't open yet. Damaged ones are removed: their texts are parsed again.
    pub fn refresh(&self) {
        let _turn = self.turn();
        let mut packs = self.packs().to_vec();
        for path in pack_files(&self.folder) {
            let is_open = PackId::of(&path).is_some_and(|id| packs.iter().any(|pack| pack.id() == id));
            if is_open {
                continue;
            }
            match Pack::open(&path) {
                Ok(pack) => packs.push(Arc::new(pack)),
                Err(error) => self.refused(&path, &error),
            }
        }
        self.publish(self.kept(packs));
    }

    /// Writes packs anew whose files the disk has lost. Where there are others that aren't open yet, they may stand for
    /// those: then it is left to [`SymbolStore::refresh`].
    pub fn restore(&self) {
        let _turn = self.turn();
        let packs = self.packs();
        let is_open = |path: &PathBuf| PackId::of(path).is_none_or(|id| packs.iter().any(|pack| pack.id() == id));
        if pack_files(&self.folder).all(|path| is_open(&path)) && packs.iter().any(|pack| !pack.is_in(&self.folder)) {
            self.publish(self.kept(packs.to_vec()));
        }
    }

    /// Those of `packs` that are on disk, once those that it has lost were written anew. A pack whose texts others hold was
    /// merged by another process; one that can't be written is left out, and its texts are parsed again.
    fn kept(&self, packs: Vec<Arc<Pack>>) -> Vec<Arc<Pack>> {
        let (mut kept, lost): (Vec<_>, Vec<_>) = packs.into_iter().partition(|pack| pack.is_in(&self.folder));
        for pack in lost {
            if pack.texts().iter().all(|(key, _)| kept.iter().any(|other| other.holds(*key))) {
                continue;
            }
            match pack.rewrite(&self.folder) {
                Ok(()) => {
                    self.share(&pack);
                    kept.push(pack);
                }
                Err(error) => {
                    tracing::warn!("{error}");
                    self.uncover();
                }
            }
        }
        kept
    }

    /// Takes a pack out that turned out to be damaged; its texts are parsed again.
    pub fn forget(&self, id: PackId) {
        let _turn = self.turn();
        let packs = self.packs().iter().filter(|pack| pack.id() != id).cloned().collect();
        self.publish(packs);
        self.remove(&id.file(&self.folder));
        self.remove(&id.file(&self.shared));
        self.uncover();
    }

    /// Forgets everything, here and where codebases share.
    pub fn clear(&self) {
        let _turn = self.turn();
        for pack in self.packs().iter() {
            self.remove(&pack.id().file(&self.folder));
            self.remove(&pack.id().file(&self.shared));
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

    /// Those of `keys` that no pack holds. They must be sorted.
    pub(super) fn missing(&self, keys: Vec<TextKey>) -> Vec<TextKey> {
        let packs = self.packs();
        keys.into_iter().filter(|key| !packs.iter().any(|pack| pack.holds(*key))).collect()
    }

    /// Takes over packs of other codebases that hold any of `wanted`.
    pub(super) fn adopt(&self, wanted: &[TextKey]) {
        let _turn = self.turn();
        let mut packs = self.packs().to_vec();
        for path in pack_files(&self.shared) {
            let Some(id) = PackId::of(&path) else { continue };
            if packs.iter().any(|pack| pack.id() == id) {
                continue;
            }
            let pack = match Pack::open(&path) {
                Ok(pack) => pack,
                Err(error) => {
                    self.refused(&path, &error);
                    continue;
                }
            };
            let found = wanted.iter().filter(|key| pack.holds(**key)).count();
            // A pack that is about something else would only be in the way.
            if found * 4 < pack.texts().len().min(wanted.len()) || found == 0 {
                continue;
            }
            let own = id.file(&self.folder);
            match self.link(&path, &own).and_then(|()| Pack::open(&own).map_err(io::Error::other)) {
                Ok(pack) => packs.push(Arc::new(pack)),
                Err(error) => tracing::debug!(%error, "symbols of another codebase can't be taken over"),
            }
        }
        self.publish(packs);
    }

    /// Writes what was collected as a pack.
    pub(super) fn add(&self, builder: &mut PackBuilder) -> Result<(), SegmentError> {
        if builder.is_empty() {
            return Ok(());
        }
        let id = builder.write(&self.folder)?;
        let pack = Arc::new(Pack::open(&id.file(&self.folder))?);
        self.added.fetch_add(pack.texts().len(), Ordering::Relaxed);
        let _turn = self.turn();
        self.share(&pack);
        let packs = self.packs().iter().cloned().chain([pack]).collect();
        self.publish(packs);
        Ok(())
    }

    /// Merges packs, if there are too many of one size or most texts of one have no file any more, as `is_live` tells.
    /// Gives whether there was anything to do.
    ///
    /// # Errors
    /// When a file can't be read or written; the packs are as they were then.
    pub fn merge(&self, is_live: impl Fn(TextKey) -> bool) -> Result<bool, SegmentError> {
        let packs = self.packs();
        let class = |pack: &Pack| pack.symbols().max(1).ilog(CLASS);
        let crowded =
            (0..=usize::BITS).find(|size| packs.iter().filter(|pack| class(pack) == *size).count() >= MERGE_AT);
        // A look at every text: worth it once in a while.
        let texts: usize = packs.iter().map(|pack| pack.texts().len()).sum();
        let may_be_dead = self.added.load(Ordering::Relaxed) > texts / ADDED_SHARE;
        let mostly_dead = |pack: &&Arc<Pack>| {
            let live = pack.texts().iter().filter(|(key, _)| is_live(*key)).count();
            pack.texts().len() > WORTH_SHARING && live < pack.texts().len() / 2
        };
        let (chosen, drop_dead): (Vec<_>, bool) = match crowded {
            // With them go the smaller ones: they would only be merged again soon.
            Some(size) => (packs.iter().filter(|pack| class(pack) <= size).cloned().collect(), false),
            None if may_be_dead => (packs.iter().find(mostly_dead).cloned().into_iter().collect(), true),
            None => return Ok(false),
        };
        if chosen.is_empty() {
            self.added.store(0, Ordering::Relaxed);
            return Ok(false);
        }
        let sources: Vec<_> = chosen.iter().map(|pack| &**pack).collect();
        let id = pack::merge(&self.folder, &sources, |key| !drop_dead || is_live(key))?;
        let merged = Arc::new(Pack::open(&id.file(&self.folder))?);
        let _turn = self.turn();
        let is_chosen = |pack: &Arc<Pack>| chosen.iter().any(|chosen| chosen.id() == pack.id());
        let packs = self.packs().iter().filter(|pack| !is_chosen(pack)).cloned().chain([merged.clone()]).collect();
        self.publish(packs);
        for pack in &chosen {
            self.remove(&pack.id().file(&self.folder));
            // What another branch needs again stays where it was shared.
            if !drop_dead {
                self.remove(&pack.id().file(&self.shared));
            }
        }
        if !drop_dead {
            self.share(&merged);
        }
        Ok(true)
    }

    pub(super) fn covered(&self) -> MutexGuard<'_, HashSet<SegmentId>> {
        self.covered.lock().unwrap_or_else(PoisonError::into_inner)
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
            let mut oversized = self.oversized.lock().unwrap_or_else(PoisonError::into_inner);
            match *oversized {
                Some((generation, known)) if generation == snapshot.generation => known,
                _ => {
                    let found = snapshot.has_source_above(LARGEST_PARSED);
                    *oversized = Some((snapshot.generation, found));
                    found
                }
            }
        };
        has_oversized || self.packs().iter().any(|pack| pack.given_up().any(|key| snapshot.has(key)))
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
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, packs: Vec<Arc<Pack>>) {
        *self.packs.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(packs);
    }

    /// Lets other codebases have a pack. Not being able to costs them time only.
    fn share(&self, pack: &Pack) {
        if pack.texts().len() < WORTH_SHARING {
            return;
        }
        let shared = private::create_folder(&self.shared)
            .and_then(|()| mark(&self.shared))
            .and_then(|()| self.link(&pack.id().file(&self.folder), &pack.id().file(&self.shared)));
        if let Err(error) = shared {
            tracing::debug!(%error, "symbols can't be shared with other codebases");
        }
        let mut all: Vec<(SystemTime, u64, PathBuf)> = pack_files(&self.shared)
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

    /// Gives a pack a second name: that of the same file, or of a copy where the file system has no hard links, or no more.
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
        let unfinished = PackId::of(to).map(|id| id.file(&self.folder).with_extension("unfinished"));
        let unfinished = unfinished.ok_or(io::ErrorKind::InvalidInput)?;
        let mut out = private::create_new(&unfinished)?;
        let copied = fs::File::open(from).and_then(|mut from| io::copy(&mut from, &mut out));
        copied.and_then(|_| fs::rename(&unfinished, to)).inspect_err(|_| drop(fs::remove_file(&unfinished)))
    }

    /// A pack can't be opened: a damaged one goes; one that can't be read now may be another time.
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

/// The packs in a folder. Whatever else is there isn't ours.
fn pack_files(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| entry.file_name().to_str().and_then(Ours::of) == Some(Ours::Pack));
    ours.map(|entry| entry.path())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Where there are no hard links, packs could neither be shared nor taken over.
    #[test]
    fn a_pack_is_copied_whole_and_for_its_user_only() {
        let folder = tempfile::tempdir().unwrap();
        let (own, shared) = (folder.path().join("own"), folder.path().join("shared"));
        [&own, &shared].iter().for_each(|folder| private::create_folder(folder).unwrap());
        let store = SymbolStore::new(&own, &shared);
        let mut builder = PackBuilder::default();
        let hash = crate::index::ContentHash::of(b"fn f() {}");
        builder.add(TextKey { hash, language: super::super::Language::Rust }, Some(Vec::new()));
        let id = builder.write(&own).unwrap();
        store.copy(&id.file(&own), &id.file(&shared)).unwrap();
        assert_eq!(fs::read(id.file(&own)).unwrap(), fs::read(id.file(&shared)).unwrap());
        assert_eq!(Pack::open(&id.file(&shared)).unwrap().texts().len(), 1);
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

//! The index at one commit: what a search reads, unchanged however long it takes.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeSet, BinaryHeap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::docs::{ContentHash, Doc, DocId, is_indexed};
use super::file::hash_of;
use super::gram::Gram;
use super::manifest::{Ancestry, Fences, Generation, Manifest};
use super::plan::Plan;
use super::segment::{Entry, Segment, SegmentError, SegmentId};
use super::symbols::{Language, TextKey};
use crate::core::RelPath;
use crate::core::cache::FencingToken;
use crate::core::files::RootFolder;
use crate::core::files::TreeFile;
use crate::core::path::cmp_bytes;
use crate::core::stat::now_ns;

/// The index at one commit.
#[derive(Clone, Default)]
pub struct Snapshot {
    /// Number of the commit.
    pub generation: Generation,
    segments: Vec<Part>,
    pub(super) fences: Fences,
    pub(super) ancestry: Ancestry,
}

/// A segment, less what later commits took from it.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) segment: Arc<Segment>,
    gone: DocSet,
}

impl Part {
    pub(super) fn new(segment: Arc<Segment>, gone: &[DocId]) -> Part {
        let mut part = Part { gone: DocSet::new(segment.docs().len()), segment };
        gone.iter().for_each(|&id| part.lose(id));
        part
    }

    pub(super) fn lose(&mut self, id: DocId) {
        if id < self.segment.docs().len() {
            self.gone.insert(id);
        }
    }

    pub(super) fn is_alive(&self, id: DocId) -> bool {
        !self.gone.contains(id)
    }

    pub(super) fn alive(&self) -> impl Iterator<Item = DocId> + '_ {
        (0..self.segment.docs().len()).filter(|&id| self.is_alive(id))
    }

    pub(super) fn alive_count(&self) -> DocId {
        self.segment.docs().len() - self.gone.count
    }

    pub(super) fn gone(&self) -> Vec<DocId> {
        (0..self.segment.docs().len()).filter(|&id| self.gone.contains(id)).collect()
    }
}

/// What a walk of the tree and the index disagree about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Files that are new, have changed, or may have.
    pub changed: Vec<TreeFile>,
    /// Files the index knows and the tree hasn't.
    pub gone: Vec<RelPath>,
}

impl Snapshot {
    pub(super) fn new(generation: Generation, segments: Vec<Part>, fences: Fences, ancestry: Ancestry) -> Snapshot {
        Snapshot { generation, segments, fences, ancestry }
    }

    /// The highest fencing token that anything was committed under.
    pub fn last_token(&self) -> FencingToken {
        self.fences.highest()
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.segments
    }

    pub(super) fn into_parts(self) -> Vec<Part> {
        self.segments
    }

    pub(super) fn manifest(&self) -> Manifest {
        let segments = self.segments.iter().map(|part| {
            let name = part.segment.name();
            (name.id, (name, part.gone()))
        });
        Manifest {
            generation: self.generation,
            segments: segments.collect(),
            fences: self.fences.clone(),
            ancestry: self.ancestry.clone(),
        }
    }

    /// Number of files.
    pub fn files(&self) -> usize {
        self.segments.iter().map(|part| part.alive_count() as usize).sum()
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|part| part.segment.name().bytes).sum()
    }

    /// What is known of the file at `path`.
    pub fn find(&self, path: &RelPath) -> Option<&Doc> {
        self.segments.iter().find_map(|part| {
            let id = part.segment.docs().find(path.as_bytes())?;
            part.is_alive(id).then(|| part.segment.docs().doc(id))
        })
    }

    /// Of the files that `take` takes, those whose content changed last, with that time, ns since the Unix epoch; at most
    /// `most`, in no order. Asks `take` of few others.
    pub fn latest(&self, most: usize, take: impl Fn(&[u8]) -> Option<RelPath>) -> Vec<(i64, RelPath)> {
        let mut latest = BinaryHeap::new();
        for part in &self.segments {
            let docs = part.segment.docs();
            for id in part.alive() {
                let at = docs.doc(id).stat.mtime_ns;
                let is_late = latest.len() < most || latest.peek().is_some_and(|Reverse((earliest, _))| at > *earliest);
                let Some(path) = is_late.then(|| take(docs.path(id))).flatten() else { continue };
                latest.push(Reverse((at, path)));
                if latest.len() > most {
                    latest.pop();
                }
            }
        }
        latest.into_iter().map(|Reverse(file)| file).collect()
    }

    /// The files below the folder `dir`.
    pub fn below(&self, dir: &RelPath) -> Vec<RelPath> {
        let mut found = Vec::new();
        for part in &self.segments {
            let ids = part.segment.docs().below(dir.as_bytes()).filter(|&id| part.is_alive(id));
            found.extend(ids.filter_map(|id| RelPath::from_bytes(part.segment.docs().path(id))));
        }
        found
    }

    /// The files with one of these numbers in their file system, as they were when they were indexed. Looks at all files.
    pub fn with_inodes(&self, inodes: &HashSet<u64>) -> Vec<RelPath> {
        let mut found = Vec::new();
        for part in &self.segments {
            let docs = part.segment.docs();
            let named = part.alive().filter(|&id| inodes.contains(&docs.doc(id).stat.inode));
            found.extend(named.filter_map(|id| RelPath::from_bytes(docs.path(id))));
        }
        found
    }

    /// The paths of the files with this content.
    pub(super) fn with_hash(&self, hash: ContentHash) -> impl Iterator<Item = &[u8]> {
        self.segments.iter().flat_map(move |part| {
            let ids = part.segment.with_hash(hash).iter().copied().filter(|&id| part.is_alive(id));
            ids.map(|id| part.segment.docs().path(id))
        })
    }

    /// Whether some file has this text.
    pub fn has(&self, key: TextKey) -> bool {
        self.with_hash(key.hash).any(|path| Language::of(path) == Some(key.language))
    }

    /// The segments that it is made of.
    pub(super) fn segment_ids(&self) -> impl Iterator<Item = SegmentId> {
        self.segments.iter().map(|part| part.segment.name().id)
    }

    /// Whether some file with a language is larger than `most` bytes.
    pub(super) fn has_source_above(&self, most: u64) -> bool {
        self.segments.iter().any(|part| {
            let docs = part.segment.docs();
            let is_source = |path: &[u8]| Language::of(path).is_some_and(Language::is_told_by_name);
            part.alive().any(|id| docs.doc(id).stat.size > most && is_source(docs.path(id)))
        })
    }

    /// The texts with a language in segments other than `covered`, sorted, each with a file that has it; and those
    /// segments. Files larger than `max_file_bytes` are left out.
    pub(super) fn texts(
        &self,
        covered: &HashSet<SegmentId>,
        max_file_bytes: u64,
    ) -> (Vec<(TextKey, RelPath)>, Vec<SegmentId>) {
        let (mut texts, mut segments) = (Vec::new(), Vec::new());
        for part in self.segments.iter().filter(|part| !covered.contains(&part.segment.name().id)) {
            segments.push(part.segment.name().id);
            let docs = part.segment.docs();
            for id in part.alive() {
                let (path, doc) = (docs.path(id), docs.doc(id));
                if doc.scanned || doc.stat.size > max_file_bytes {
                    continue;
                }
                if let (Some(language), Some(path)) = (Language::of(path), RelPath::from_bytes(path)) {
                    texts.push((TextKey { hash: doc.hash, language }, path));
                }
            }
        }
        texts.sort();
        (texts, segments)
    }

    /// The files of which `other` knows something else than this.
    pub(super) fn unlike(&self, other: &Snapshot) -> BTreeSet<RelPath> {
        let shares = |other: &Snapshot, part: &Part| {
            other.segments.iter().any(|o| o.segment.name() == part.segment.name() && o.gone == part.gone)
        };
        let here = self.segments.iter().filter(|part| !shares(other, part));
        let there = other.segments.iter().filter(|part| !shares(self, part));
        let paths = here.chain(there).flat_map(|part| part.alive().map(move |id| part.segment.docs().path(id)));
        let paths: BTreeSet<_> = paths.filter_map(RelPath::from_bytes).collect();
        paths.into_iter().filter(|path| !self.agrees(other, path)).collect()
    }

    /// Whether this and `other` know the same of a file.
    pub(super) fn agrees(&self, other: &Snapshot, path: &RelPath) -> bool {
        let known = |snapshot: &Snapshot| snapshot.find(path).map(|doc| (doc.stat, doc.hash, doc.scanned));
        known(self) == known(other)
    }

    /// Every file's path, in order.
    pub fn paths(&self) -> Vec<RelPath> {
        self.in_order().into_iter().filter_map(|(path, _)| RelPath::from_bytes(path)).collect()
    }

    fn in_order(&self) -> Vec<(&[u8], &Doc)> {
        let mut all = Vec::with_capacity(self.files());
        for part in &self.segments {
            let docs = part.segment.docs();
            all.extend(part.alive().map(|id| (docs.path(id), docs.doc(id))));
        }
        // The segments' runs are each sorted, which this sort takes advantage of.
        all.sort_by(|(a, _), (b, _)| cmp_bytes(a, b));
        all
    }

    /// What differs between the index and `tree`, a complete walk in path order, with files up to
    /// `max_file_bytes` to be indexed.
    pub fn difference(&self, tree: &[TreeFile], max_file_bytes: u64) -> Difference {
        let now = now_ns();
        // Left to be scanned, for a reason that no longer holds.
        let wants_reading = |doc: &Doc| doc.scanned && is_indexed(&doc.stat, max_file_bytes, now);
        let mut difference = Difference::default();
        let mut known = self.in_order().into_iter().peekable();
        let gone = |path: &[u8], out: &mut Difference| out.gone.extend(RelPath::from_bytes(path));
        for file in tree {
            while let Some((path, _)) = known.next_if(|(path, _)| cmp_bytes(path, file.path.as_bytes()).is_lt()) {
                gone(path, &mut difference);
            }
            match known.next_if(|(path, _)| cmp_bytes(path, file.path.as_bytes()) == Ordering::Equal) {
                Some((_, doc)) if doc.stat == file.stat && !doc.racy && !wants_reading(doc) => {}
                _ => difference.changed.push(file.clone()),
            }
        }
        known.for_each(|(path, _)| gone(path, &mut difference));
        difference
    }

    /// [`Snapshot::difference`], less what only may differ: files of the tree in `root` that changed too shortly before
    /// they were indexed for their stat to tell are compared by content, unless searches read them in any case. Blocks.
    pub fn proven_difference(&self, root: &Path, tree: &[TreeFile], max_file_bytes: u64) -> Difference {
        let mut difference = self.difference(tree, max_file_bytes);
        let now = now_ns();
        let Ok(root) = RootFolder::open(root) else { return difference };
        let hash = |path: &RelPath| root.file(path).ok()?.and_then(|file| hash_of(file).ok());
        let holds = |file: &TreeFile| match self.find(&file.path).filter(|doc| doc.racy && doc.stat == file.stat) {
            None => false,
            Some(doc) if doc.scanned => !is_indexed(&doc.stat, max_file_bytes, now),
            // What can't be read isn't known to be the same.
            Some(doc) => hash(&file.path) == Some(doc.hash),
        };
        difference.changed.retain(|file| !holds(file));
        difference
    }

    /// The files that may fulfil `plan`, as paths in no order. The damaged segments, whose files are all among them,
    /// come with what is wrong.
    pub(super) fn candidates(&self, plan: &Plan) -> (Vec<&[u8]>, Vec<SegmentError>) {
        let (mut paths, mut errors) = (Vec::new(), Vec::new());
        for part in &self.segments {
            let docs = part.segment.docs();
            let path = |id| docs.path(id);
            match Evaluation::new(&part.segment, plan).and_then(|evaluation| evaluation.files(plan, None)) {
                Ok(Files::All) => paths.extend(part.alive().map(path)),
                Ok(Files::Some(ids)) => {
                    let mut ids: Vec<_> = ids.into_iter().chain(part.segment.scanned().iter().copied()).collect();
                    ids.sort_unstable();
                    ids.dedup();
                    paths.extend(ids.into_iter().filter(|&id| part.is_alive(id)).map(path));
                }
                Err(error) => {
                    errors.push(error);
                    paths.extend(part.alive().map(path));
                }
            }
        }
        (paths, errors)
    }

    /// The files that can't fulfil `plan` as long as their stat is what it was when they were indexed, as paths in no
    /// order and what is known of them. A damaged segment rules nothing out.
    pub fn ruled_out(&self, plan: &Plan) -> Vec<(&[u8], &Doc)> {
        let mut ruled_out = Vec::new();
        for part in &self.segments {
            let docs = part.segment.docs();
            let evaluation = Evaluation::new(&part.segment, plan);
            let Ok(Files::Some(ids)) = evaluation.and_then(|evaluation| evaluation.files(plan, None)) else { continue };
            let mut candidates = DocSet::new(docs.len());
            ids.into_iter().for_each(|id| candidates.insert(id));
            let certain = |doc: &Doc| !doc.scanned && !doc.racy;
            let ids = part.alive().filter(|&id| !candidates.contains(id) && certain(docs.doc(id)));
            ruled_out.extend(ids.map(|id| (docs.path(id), docs.doc(id))));
        }
        ruled_out
    }
}

/// A set of files of a segment.
enum Files {
    All,
    Some(Vec<DocId>),
}

/// A plan on a segment: its grams' dictionary lines, fetched at once.
struct Evaluation<'a> {
    segment: &'a Segment,
    entries: Vec<Entry>,
}

/// Decoding a posting takes about a nanosecond, confirming a file at least ten microseconds: a condition whose postings
/// are longer than this many bytes for each file it could rule out isn't worth reading.
const POSTINGS_PER_FILE: u64 = 10_000;

impl<'a> Evaluation<'a> {
    fn new(segment: &'a Segment, plan: &Plan) -> Result<Self, SegmentError> {
        let mut grams = Vec::new();
        collect_grams(plan, &mut grams);
        grams.sort_unstable();
        grams.dedup();
        Ok(Evaluation { segment, entries: segment.entries(&grams)? })
    }

    /// The files that fulfil `plan`, of those in `among` (of all, when there is none).
    fn files(&self, plan: &Plan, among: Option<&[DocId]>) -> Result<Files, SegmentError> {
        match plan {
            Plan::All => Ok(Files::All),
            Plan::Nothing => Ok(Files::Some(Vec::new())),
            Plan::AnyOf(grams) => {
                let mut lists = Vec::new();
                for gram in grams {
                    if let Ok(at) = self.entries.binary_search_by_key(gram, |entry| entry.gram) {
                        self.segment.postings(&self.entries[at], &mut lists)?;
                    }
                }
                if grams.len() > 1 {
                    lists.sort_unstable();
                    lists.dedup();
                }
                Ok(Files::Some(lists))
            }
            Plan::Or(parts) => {
                let mut any = Vec::new();
                for part in parts {
                    match self.files(part, among)? {
                        Files::All => return Ok(Files::All),
                        Files::Some(ids) => any.extend(ids),
                    }
                }
                any.sort_unstable();
                any.dedup();
                Ok(Files::Some(any))
            }
            Plan::And(parts) => {
                let mut parts: Vec<_> = parts.iter().map(|part| (self.cost(part), part)).collect();
                parts.sort_by_key(|(cost, _)| *cost);
                let mut all: Option<Vec<DocId>> = None;
                for (cost, part) in parts {
                    let left = all.as_deref().or(among).map_or(self.segment.docs().len() as usize, <[_]>::len) as u64;
                    if cost > left * POSTINGS_PER_FILE {
                        break;
                    }
                    if let Files::Some(ids) = self.files(part, all.as_deref().or(among))? {
                        all = Some(match all {
                            None => ids,
                            Some(before) => intersect(&before, &ids),
                        });
                    }
                }
                Ok(all.map_or(Files::All, Files::Some))
            }
        }
    }

    /// Bytes of postings that a plan reads.
    fn cost(&self, plan: &Plan) -> u64 {
        match plan {
            Plan::All | Plan::Nothing => 0,
            Plan::AnyOf(grams) => {
                let entry = |t| self.entries.binary_search_by_key(t, |entry| entry.gram).ok();
                grams.iter().filter_map(entry).map(|at| self.entries[at].bytes).sum()
            }
            Plan::And(parts) | Plan::Or(parts) => parts.iter().map(|part| self.cost(part)).sum(),
        }
    }
}

fn collect_grams(plan: &Plan, out: &mut Vec<Gram>) {
    match plan {
        Plan::All | Plan::Nothing => {}
        Plan::AnyOf(grams) => out.extend(grams),
        Plan::And(parts) | Plan::Or(parts) => parts.iter().for_each(|part| collect_grams(part, out)),
    }
}

/// What two ascending lists share.
fn intersect(a: &[DocId], b: &[DocId]) -> Vec<DocId> {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let mut both = Vec::new();
    while let (Some(&&x), Some(&&y)) = (a.peek(), b.peek()) {
        match x.cmp(&y) {
            Ordering::Less => drop(a.next()),
            Ordering::Greater => drop(b.next()),
            Ordering::Equal => {
                both.push(x);
                a.next();
                b.next();
            }
        }
    }
    both
}

/// A set of a segment's files, one bit each.
#[derive(Clone, PartialEq, Eq)]
struct DocSet {
    bits: Vec<u64>,
    count: DocId,
}

impl DocSet {
    fn new(docs: DocId) -> DocSet {
        DocSet { bits: vec![0; docs.div_ceil(64) as usize], count: 0 }
    }

    fn insert(&mut self, id: DocId) {
        let (word, bit) = (&mut self.bits[(id / 64) as usize], 1 << (id % 64));
        self.count += DocId::from(*word & bit == 0);
        *word |= bit;
    }

    fn contains(&self, id: DocId) -> bool {
        self.bits[(id / 64) as usize] & 1 << (id % 64) != 0
    }
}

//! Brings the index up to date with dirty files: reads them, builds segments, commits.

use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::Xxh3;

use super::Generation;
use super::docs::{ContentHash, Doc, is_indexed};
use super::file::PIECE;
use super::overlay::{Dirt, Overlay, Verdict};
use super::segment::SegmentBuilder;
use super::store::{Change, Index, IndexError};
use super::text::{has_mark, is_utf16, searched_part, until_nul};
use crate::core::cache::Fence;
use crate::core::files::{EntryKind, RootFolder};
use crate::core::stat::{FileStat, now_ns};
use crate::core::{Dirty, RelPath};

/// Memory of one builder at which its segment is written at the latest, bytes. More brings nothing.
const SEGMENT_MEMORY: u64 = 72 << 20;
/// Memory of one builder at which it is written at the earliest, bytes. Less makes more segments than can be merged again
/// in passing.
const LEAST_SEGMENT_MEMORY: u64 = 16 << 20;
/// What a thread needs beside that, bytes: the grams of a batch of files, and room to sort them.
const THREAD: u64 = 40_000_000;
/// What the program holds without any of it, bytes: the files of a large tree by name.
const REST: u64 = 90_000_000;
/// Files a worker takes at a time.
const CHUNK: usize = 64;

/// What an update works on, and how.
pub struct Update<'a> {
    /// The index to bring up to date.
    pub index: &'a Index,
    /// Where its files are.
    pub root: &'a Path,
    /// Where the dirty files are known, and where they are settled as they are committed.
    pub overlay: &'a Overlay,
    /// Larger files are left to be scanned by searches, bytes.
    pub max_file_bytes: u64,
    /// Threads that read and build, at most.
    pub threads: usize,
    /// What the program may hold meanwhile, about, bytes. It bounds the number of threads, and when a segment is written.
    pub memory: u64,
    /// Ends the update early: what was committed stays.
    pub cancel: &'a CancellationToken,
    /// Ends it early as well, but commits what was read, which is one file at least for each thread.
    pub give_way: &'a CancellationToken,
    /// Told how many files are done, and how many there are.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
    /// Asked before each commit whether the lease is still held: the fence to commit under, `None`
    /// for work without a lease.
    pub permit: &'a (dyn Fn() -> Result<Option<Fence>, IndexError> + Sync),
}

/// What an update did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Updated {
    /// Files that were read anew, or found to be gone.
    pub files: usize,
    /// Of these, files that can't be read; searches keep trying them.
    pub unreadable: usize,
    /// Files that weren't looked at, since it gave way to others.
    pub left: usize,
    /// Number of its last commit; 0 when there was nothing to commit.
    pub generation: Generation,
}

impl Update<'_> {
    /// Works through those of the overlay's files that `dirty` names. Files are committed as each segment fills, so
    /// that much work is never lost at once.
    ///
    /// # Errors
    /// When the index can't be written, or the work was cancelled. What isn't committed stays in the overlay.
    pub fn run(&self, dirty: &Dirty) -> Result<Updated, IndexError> {
        // What was lost may have been made anew by others meanwhile, who saw the tree at another time.
        let dirty = if self.index.restore(self.overlay)? { &Dirty::Everything } else { dirty };
        let view = self.overlay.view();
        let mut targets: Vec<(&RelPath, Dirt)> = match dirty {
            Dirty::Everything => view.iter().map(|(path, dirt)| (path, *dirt)).collect(),
            Dirty::Paths(paths) => {
                paths.iter().filter_map(|path| view.get_key_value(path)).map(|(p, d)| (p, *d)).collect()
            }
        };
        targets.retain(|(_, dirt)| !dirt.is_in_doubt());
        // Without the root, its files are gone until a walk says so.
        let root = RootFolder::open(self.root);
        let root = root.map_err(|source| IndexError::Root { path: self.root.to_owned(), source })?;
        let threads = self.threads.min(targets.len().div_ceil(CHUNK)).max(1);
        let (threads, segment_memory) = shares(self.memory, threads);
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = Work { update: self, root: &root, targets: &targets, segment_memory, next, done };
        let total = Mutex::new(Ok(Updated::default()));
        let worker = || {
            let result = Worker::new(&work).run();
            let mut total = total.lock();
            match (&mut *total, result) {
                (Ok(total), Ok(mine)) => {
                    total.files += mine.files;
                    total.unreadable += mine.unreadable;
                    total.generation = total.generation.max(mine.generation);
                }
                (total @ Ok(_), Err(error)) => {
                    // The others stop at their next file.
                    work.next.store(targets.len(), Ordering::Relaxed);
                    *total = Err(error);
                }
                (Err(_), _) => {}
            }
        };
        if threads == 1 {
            worker();
        } else {
            std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(worker))));
        }
        total.into_inner().map(|total| Updated { left: targets.len() - total.files, ..total })
    }
}

/// How many threads build, and at how many bytes of memory each writes its segment.
fn shares(memory: u64, threads: usize) -> (usize, usize) {
    let left = memory.saturating_sub(REST);
    let most = usize::try_from(left / (THREAD + LEAST_SEGMENT_MEMORY)).unwrap_or(usize::MAX);
    let threads = threads.min(most).max(1);
    let share = (left / threads as u64).saturating_sub(THREAD).clamp(LEAST_SEGMENT_MEMORY, SEGMENT_MEMORY);
    (threads, usize::try_from(share).unwrap_or(usize::MAX))
}

struct Work<'a> {
    update: &'a Update<'a>,
    root: &'a RootFolder,
    targets: &'a [(&'a RelPath, Dirt)],
    segment_memory: usize,
    next: AtomicUsize,
    done: AtomicUsize,
}

struct Worker<'a> {
    work: &'a Work<'a>,
    builder: SegmentBuilder,
    removed: Vec<RelPath>,
    settled: Vec<(&'a RelPath, Dirt)>,
    /// These stay in the overlay, and are to be looked at.
    in_doubt: Vec<RelPath>,
    bytes: Vec<u8>,
    updated: Updated,
}

impl<'a> Worker<'a> {
    fn new(work: &'a Work<'a>) -> Self {
        Worker {
            work,
            builder: SegmentBuilder::new(),
            removed: Vec::new(),
            settled: Vec::new(),
            in_doubt: Vec::new(),
            bytes: Vec::new(),
            updated: Updated::default(),
        }
    }

    fn run(mut self) -> Result<Updated, IndexError> {
        let Work { update, targets, segment_memory, next, done, .. } = self.work;
        'files: loop {
            let start = next.fetch_add(CHUNK, Ordering::Relaxed);
            let Some(chunk) =
                targets.get(start..targets.len().min(start.saturating_add(CHUNK))).filter(|c| !c.is_empty())
            else {
                break;
            };
            for &(path, dirt) in chunk {
                if update.cancel.is_cancelled() {
                    return Err(IndexError::Cancelled);
                }
                self.take(path, dirt);
                if self.builder.memory() > *segment_memory {
                    self.commit()?;
                }
                if update.give_way.is_cancelled() {
                    break 'files;
                }
            }
            (update.progress)(done.fetch_add(chunk.len(), Ordering::Relaxed) + chunk.len(), targets.len());
        }
        self.commit()?;
        Ok(self.updated)
    }

    fn take(&mut self, path: &'a RelPath, dirt: Dirt) {
        let known = match dirt.verdict {
            Verdict::Gone => None,
            Verdict::Read => self.read(path),
        };
        // A walk may see it again before this is committed, the same as ever, and not mark it once more.
        let in_doubt = known.is_none() && dirt.is_seen();
        match known {
            None => self.removed.push(path.clone()),
            Some(doc) => self.builder.add(path.as_bytes(), doc),
        }
        match in_doubt {
            true => self.in_doubt.push(path.clone()),
            false => self.settled.push((path, dirt)),
        }
        self.updated.files += 1;
    }

    /// Reads a file into the builder. `None` when there is no regular file.
    fn read(&mut self, path: &RelPath) -> Option<Doc> {
        match self.try_read(path) {
            Ok(doc) => doc,
            Err(error) => {
                // Where one can't be read, many can't: the first tells why.
                if self.updated.unreadable == 0 {
                    tracing::warn!(%path, %error, "can't read files, this one first; searches will try them again");
                }
                self.updated.unreadable += 1;
                let entry = self.work.root.entry(path).ok()?.filter(|entry| entry.kind == EntryKind::File)?;
                Some(Doc { stat: entry.stat, scanned: true, ..Doc::default() })
            }
        }
    }

    fn try_read(&mut self, path: &RelPath) -> io::Result<Option<Doc>> {
        let text = self.builder.text();
        text.clear();
        let Some(mut file) = self.work.root.file(path)? else { return Ok(None) };
        let stat = FileStat::of(&file.metadata()?);
        let now = now_ns();
        let mut doc = Doc { stat, racy: stat.is_racy(now), ..Doc::default() };
        let limit = self.work.update.max_file_bytes;
        if !is_indexed(&stat, limit, now) {
            return Ok(Some(Doc { scanned: true, ..doc }));
        }
        self.bytes.clear();
        if stat.size <= PIECE {
            // One byte more, to see whether it has grown: then it will be dirty again.
            (&mut file).take(PIECE + 1).read_to_end(&mut self.bytes)?;
            doc.hash = ContentHash::of(&self.bytes);
            let searched = searched_part(&self.bytes);
            doc.plain = searched.len() == self.bytes.len() && !has_mark(&self.bytes);
            text.feed(&searched);
            return Ok(Some(doc));
        }
        let mut hash = Xxh3::new();
        let mut begun = false;
        doc.plain = true;
        while (&mut file).take(PIECE).read_to_end(&mut self.bytes)? > 0 {
            if !begun && is_utf16(&self.bytes) {
                return Ok(Some(Doc { scanned: true, ..doc }));
            }
            doc.plain &= begun || !has_mark(&self.bytes);
            begun = true;
            hash.update(&self.bytes);
            let searched = until_nul(&self.bytes);
            text.feed(searched);
            if searched.len() < self.bytes.len() {
                doc.plain = false;
                break;
            }
            self.bytes.clear();
        }
        doc.hash = ContentHash(hash.digest128());
        Ok(Some(doc))
    }

    fn commit(&mut self) -> Result<(), IndexError> {
        let index = self.work.update.index;
        let added = if self.builder.is_empty() { Vec::new() } else { vec![self.builder.write(index.folder())?] };
        let removed = std::mem::take(&mut self.removed);
        if !added.is_empty() || !removed.is_empty() {
            let fence = (self.work.update.permit)();
            let fence = fence.inspect_err(|_| added.iter().for_each(|name| index.discard(name.id)))?;
            self.updated.generation = index.commit(&Change { added, removed, fence }, self.work.update.overlay)?;
        }
        self.work.update.overlay.settle(self.settled.drain(..));
        index.doubt(self.in_doubt.drain(..));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_shared_among_threads_and_a_little_does_for_one() {
        for memory in [150_000_000, 200_000_000, 400_000_000, 4_000_000_000] {
            for threads in [1, 2, 16, 128] {
                let (threads, each) = shares(memory, threads);
                let held = REST + threads as u64 * (THREAD + each as u64);
                assert!(held <= memory, "{memory} {threads} {each}");
            }
        }
        assert_eq!(shares(400_000_000, 2), (2, 72 << 20));
        assert_eq!(shares(400_000_000, 16).0, 5);
        assert_eq!(shares(150_000_000, 16).0, 1);
    }
}

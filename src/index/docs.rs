//! The files of a segment: what the manifest knows of each.

use xxhash_rust::xxh3::xxh3_128;

use super::varint;
use crate::core::path::cmp_bytes;
use crate::core::stat::FileStat;

/// Number of a file within its segment. Files are numbered in the order of their paths.
pub type DocId = u32;

/// A hash of a file's bytes (XXH3, 128 bits). It tells changed from unchanged; it proves nothing against an attacker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ContentHash(pub u128);

impl ContentHash {
    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> ContentHash {
        ContentHash(xxh3_128(bytes))
    }
}

/// Files above `index.max_file_bytes` are indexed once they have been left alone for this long: reading a log anew each
/// time it grows would never end. Until then searches scan them.
const LARGE_FILES_REST_NS: i64 = 600_000_000_000;
/// Larger files are always scanned, bytes.
const LARGEST: u64 = 1 << 30;

/// Whether a file with this `stat` is to be read into the index now.
pub fn is_indexed(stat: &FileStat, max_file_bytes: u64, now_ns: i64) -> bool {
    let rests = stat.changed_ns(now_ns) < now_ns - LARGE_FILES_REST_NS;
    stat.size <= max_file_bytes || stat.size <= LARGEST && rests
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Doc {
    /// As it was before the file was read.
    pub stat: FileStat,
    /// Of the bytes that were indexed; of nothing for files that aren't read.
    pub hash: ContentHash,
    /// Not indexed (too large for now, or it couldn't be read): every search reads it.
    pub scanned: bool,
    /// It changed within the clock's granularity of being read: equal stats prove nothing, compare the hash.
    pub racy: bool,
    /// A search that finds nothing goes through all of its bytes as they are: no NUL ends it, nothing is decoded.
    pub plain: bool,
}

/// The files of a segment, in the order of their paths.
#[derive(Default)]
pub struct DocTable {
    paths: Vec<u8>,
    /// Where each path ends in `paths`.
    ends: Vec<usize>,
    docs: Vec<Doc>,
}

impl DocTable {
    /// Number of files.
    pub fn len(&self) -> DocId {
        // `push` and `decode` keep the count within `DocId`.
        self.docs.len() as DocId
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.docs.is_empty()
    }

    /// Bytes of memory it holds.
    pub fn memory(&self) -> usize {
        self.paths.capacity() + self.ends.capacity() * 8 + self.docs.capacity() * size_of::<Doc>()
    }

    /// Adds a file, whose path must sort after those before it, and gives its number.
    pub fn push(&mut self, path: &[u8], doc: Doc) -> DocId {
        debug_assert!(self.is_empty() || cmp_bytes(self.path(self.len() - 1), path).is_lt(), "files come sorted");
        let id = self.len();
        self.paths.extend_from_slice(path);
        self.ends.push(self.paths.len());
        self.docs.push(doc);
        id
    }

    /// The path of a file, as [`crate::core::RelPath`] holds it.
    pub fn path(&self, id: DocId) -> &[u8] {
        let start = if id == 0 { 0 } else { self.ends[id as usize - 1] };
        &self.paths[start..self.ends[id as usize]]
    }

    /// What is known of a file.
    pub fn doc(&self, id: DocId) -> &Doc {
        &self.docs[id as usize]
    }

    /// The number of the file at `path`.
    pub fn find(&self, path: &[u8]) -> Option<DocId> {
        let at = self.lower_bound(path);
        (at < self.len() && self.path(at) == path).then_some(at)
    }

    /// The numbers of the files below the folder `dir`.
    pub fn below(&self, dir: &[u8]) -> std::ops::Range<DocId> {
        let mut prefix = dir.to_vec();
        prefix.push(b'/');
        let start = self.lower_bound(&prefix);
        let mut end = start;
        while end < self.len() && self.path(end).starts_with(&prefix) {
            end += 1;
        }
        start..end
    }

    /// Number of files whose path sorts before `path`.
    fn lower_bound(&self, path: &[u8]) -> DocId {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if cmp_bytes(self.path(middle), path).is_lt() { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Appends the table in the form [`DocTable::decode`] reads.
    pub fn encode(&self, out: &mut Vec<u8>) {
        varint::write(u64::from(self.len()), out);
        let mut before: &[u8] = b"";
        for id in 0..self.len() {
            let (path, doc) = (self.path(id), self.doc(id));
            let shared = before.iter().zip(path).take_while(|(a, b)| a == b).count();
            varint::write(shared as u64, out);
            varint::write((path.len() - shared) as u64, out);
            out.extend_from_slice(&path[shared..]);
            varint::write(doc.stat.size, out);
            varint::write_signed(doc.stat.mtime_ns, out);
            varint::write_signed(doc.stat.ctime_ns.wrapping_sub(doc.stat.mtime_ns), out);
            varint::write(doc.stat.inode, out);
            out.push(u8::from(doc.scanned) | u8::from(doc.racy) << 1 | u8::from(doc.plain) << 2);
            out.extend_from_slice(&doc.hash.0.to_le_bytes());
            before = path;
        }
    }

    /// The table that `bytes` hold, or `None` when they hold none.
    pub fn decode(mut bytes: &[u8]) -> Option<DocTable> {
        let rest = &mut bytes;
        let count = usize::try_from(varint::read(rest)?).ok()?;
        // Each file takes more than 20 bytes, so a damaged count can't ask for more memory than the bytes' own.
        if count > rest.len() / 20 || DocId::try_from(count).is_err() {
            return None;
        }
        let mut table = DocTable::default();
        table.ends.reserve_exact(count);
        table.docs.reserve_exact(count);
        let mut path = Vec::new();
        for _ in 0..count {
            let shared = usize::try_from(varint::read(rest)?).ok()?;
            let suffix = usize::try_from(varint::read(rest)?).ok()?;
            if shared > path.len() {
                return None;
            }
            path.truncate(shared);
            path.extend_from_slice(take(rest, suffix)?);
            if !table.is_empty() && cmp_bytes(table.path(table.len() - 1), &path).is_ge() {
                return None;
            }
            let size = varint::read(rest)?;
            let mtime_ns = varint::read_signed(rest)?;
            let ctime_ns = varint::read_signed(rest)?.wrapping_add(mtime_ns);
            let inode = varint::read(rest)?;
            let flags = *take(rest, 1)?.first()?;
            let hash = ContentHash(u128::from_le_bytes(take(rest, 16)?.try_into().ok()?));
            let stat = FileStat { size, mtime_ns, ctime_ns, inode };
            let (scanned, racy, plain) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
            table.push(&path, Doc { stat, hash, scanned, racy, plain });
        }
        table.paths.shrink_to_fit();
        rest.is_empty().then_some(table)
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::core::RelPath;
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_table_survives_the_disk(files in btree_map("[a-c]{1,2}(/[a-c.]{1,3}x){0,3}", any::<(u64, i64, i64, u64, bool, bool, bool)>(), 0..20)) {
            let mut sorted: Vec<_> = files.into_iter().collect();
            sorted.sort_by(|(a, _), (b, _)| cmp_bytes(a.as_bytes(), b.as_bytes()));
            let mut table = DocTable::default();
            for (path, (size, mtime_ns, ctime_ns, inode, scanned, racy, plain)) in &sorted {
                let stat = FileStat { size: *size, mtime_ns: *mtime_ns, ctime_ns: *ctime_ns, inode: *inode };
                table.push(path.as_bytes(), Doc { stat, hash: ContentHash::of(path.as_bytes()), scanned: *scanned, racy: *racy, plain: *plain });
            }
            let mut bytes = Vec::new();
            table.encode(&mut bytes);
            let again = DocTable::decode(&bytes).expect("what was encoded decodes");
            prop_assert_eq!(again.len(), table.len());
            for id in 0..table.len() {
                prop_assert_eq!(again.path(id), table.path(id));
                prop_assert_eq!(again.doc(id), table.doc(id));
                prop_assert_eq!(again.find(table.path(id)), Some(id));
            }
            if let Some(dir) = sorted.first().and_then(|(path, _)| RelPath::from_bytes(path.as_bytes())?.parent()) {
                let expected = sorted.iter().filter(|(path, _)| RelPath::from_bytes(path.as_bytes()).is_some_and(|p| p.is_below(&dir))).count();
                prop_assert_eq!(again.below(dir.as_bytes()).len(), expected);
            }
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes: Vec<u8>) {
            DocTable::decode(&bytes);
        }
    }
}

//! Reads a segment.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use uuid::Uuid;

use super::{FOOTER, INDEX_ENTRY, INLINE, MAGIC, SegmentError, SegmentId, SegmentRef, checksum32};
use crate::core::files::open_regular;
use crate::core::private;
use crate::index::checksum::xxh3_64;
use crate::index::docs::{ContentHash, DocId, DocTable};
use crate::index::folder::is_passing;
use crate::index::gram::Gram;
use crate::index::varint;

/// An open segment.
pub struct Segment {
    name: SegmentRef,
    path: PathBuf,
    file: File,
    /// Of the dictionary's blocks, in order.
    blocks: Vec<Block>,
    dictionary_at: u64,
    dictionary_end: u64,
    docs: DocTable,
    /// The files that every search reads.
    scanned: Vec<DocId>,
    /// The files by their content; made when first asked for.
    by_hash: OnceLock<Vec<DocId>>,
}

struct Block {
    first: Gram,
    /// From the dictionary's beginning, bytes.
    at: u64,
    checksum: u32,
}

/// A gram's line in the dictionary.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The gram.
    pub gram: Gram,
    /// Bytes of its postings; about the number of files.
    pub bytes: u64,
    place: PostingsAt,
}

#[derive(Clone, Debug)]
enum PostingsAt {
    Inline(Vec<u8>),
    At { offset: u64, checksum: u32 },
}

impl Segment {
    /// Opens the segment that `name` means, and checks that it is that one.
    ///
    /// # Errors
    /// When the file can't be read or isn't the one that was written.
    pub fn open(folder: &Path, name: SegmentRef) -> Result<Segment, SegmentError> {
        let path = name.id.file(folder);
        let failed = |source| SegmentError::Io { path: path.clone(), source };
        let damaged = |what| SegmentError::Damaged { path: path.clone(), what };
        // Whatever else is there isn't it: a pipe would have to be waited for, a link leads to what isn't ours.
        let file = open_regular(&path).map_err(failed)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let bytes = file.metadata().map_err(failed)?.len();
        if bytes != name.bytes || bytes < (MAGIC.len() + FOOTER) as u64 {
            return Err(damaged("its length is not what was written"));
        }
        let read = |from: u64, to: u64, what| -> Result<Vec<u8>, SegmentError> {
            let length = to.checked_sub(from).filter(|_| to <= bytes).ok_or(damaged(what))?;
            let mut part = vec![0; usize::try_from(length).map_err(|_| damaged(what))?];
            read_at(&file, &mut part, from).map_err(failed)?;
            Ok(part)
        };
        if read(0, MAGIC.len() as u64, "its beginning is missing")? != MAGIC {
            return Err(damaged("it is not a segment of this version"));
        }
        let footer_at = bytes - FOOTER as u64;
        let footer = read(footer_at, bytes, "its footer is missing")?;
        let numbers: Vec<u64> = footer.as_chunks().0.iter().map(|c| u64::from_le_bytes(*c)).collect();
        let &[dictionary_at, index_at, files_at, index_checksum, files_checksum, checksum] = &numbers[..] else {
            return Err(damaged("its footer is missing"));
        };
        if checksum != name.checksum || checksum != xxh3_64(&footer[..FOOTER - 8]) {
            return Err(damaged("its footer's checksum is wrong"));
        }
        let index = read(index_at, files_at, "its dictionary is missing")?;
        if xxh3_64(&index) != index_checksum || dictionary_at > index_at {
            return Err(damaged("its dictionary's checksum is wrong"));
        }
        let files = read(files_at, footer_at, "its files are missing")?;
        if xxh3_64(&files) != files_checksum {
            return Err(damaged("its files' checksum is wrong"));
        }
        let docs = DocTable::decode(&files).ok_or(damaged("its files can't be read"))?;
        let scanned = (0..docs.len()).filter(|&id| docs.doc(id).scanned).collect();
        let blocks: Vec<_> = index.as_chunks::<INDEX_ENTRY>().0.iter().map(Block::decode).collect();
        let places = blocks.iter().map(|block| block.at).chain([index_at - dictionary_at]);
        if !places.is_sorted() || !blocks.is_sorted_by(|a, b| a.first < b.first) {
            return Err(damaged("its dictionary is out of order"));
        }
        Ok(Segment {
            name,
            file,
            blocks,
            dictionary_at,
            dictionary_end: index_at,
            docs,
            scanned,
            by_hash: OnceLock::new(),
            path,
        })
    }

    /// The same segment under another name, from what this process holds open, whatever became of its file's name.
    ///
    /// # Errors
    /// As [`rewrite`], and when what is held isn't what was written.
    pub fn copy(&self, folder: &Path) -> Result<Segment, SegmentError> {
        let name = SegmentRef { id: SegmentId(Uuid::new_v4()), ..self.name };
        let path = name.id.file(folder);
        rewrite(&self.file, name.bytes, &self.path, &path)?;
        Segment::open(folder, name).inspect_err(|_| drop(std::fs::remove_file(path)))
    }

    /// What the manifest calls it.
    pub fn name(&self) -> SegmentRef {
        self.name
    }

    /// Its files.
    pub fn docs(&self) -> &DocTable {
        &self.docs
    }

    /// Those of its files that aren't indexed.
    pub fn scanned(&self) -> &[DocId] {
        &self.scanned
    }

    /// Its files with this content.
    pub fn with_hash(&self, hash: ContentHash) -> &[DocId] {
        let sorted = self.by_hash.get_or_init(|| {
            let mut ids: Vec<_> = (0..self.docs.len()).filter(|&id| !self.docs.doc(id).scanned).collect();
            ids.sort_unstable_by_key(|&id| self.docs.doc(id).hash);
            ids
        });
        let start = sorted.partition_point(|&id| self.docs.doc(id).hash < hash);
        let end = start + sorted[start..].partition_point(|&id| self.docs.doc(id).hash == hash);
        &sorted[start..end]
    }

    /// The dictionary's lines for `grams`, which must be sorted; those it doesn't have are left out.
    ///
    /// # Errors
    /// When the dictionary can't be read or is damaged.
    pub fn entries(&self, grams: &[Gram]) -> Result<Vec<Entry>, SegmentError> {
        let mut found = Vec::with_capacity(grams.len());
        let mut rest = grams;
        while let [first, ..] = rest {
            let Some(block) = self.blocks.partition_point(|b| b.first <= *first).checked_sub(1) else {
                rest = &rest[1..];
                continue;
            };
            let until = self.blocks.get(block + 1).map(|b| b.first);
            let (here, later) = rest.split_at(rest.partition_point(|&t| until.is_none_or(|u| t < u)));
            rest = later;
            let lines = self.block(block)?;
            found.extend(lines.into_iter().filter(|line| here.binary_search(&line.gram).is_ok()));
        }
        Ok(found)
    }

    /// Every line of the dictionary, block by block.
    pub fn all_entries(&self) -> impl Iterator<Item = Result<Vec<Entry>, SegmentError>> + '_ {
        (0..self.blocks.len()).map(|block| self.block(block))
    }

    fn block(&self, number: usize) -> Result<Vec<Entry>, SegmentError> {
        let block = &self.blocks[number];
        let end = self.blocks.get(number + 1).map_or(self.dictionary_end - self.dictionary_at, |next| next.at);
        let length = end.checked_sub(block.at).and_then(|l| usize::try_from(l).ok());
        let mut bytes = vec![0; length.ok_or_else(|| self.damaged("its dictionary is out of order"))?];
        read_at(&self.file, &mut bytes, self.dictionary_at + block.at).map_err(|e| self.failed(e))?;
        if checksum32(&bytes) != block.checksum {
            return Err(self.damaged("a checksum in its dictionary is wrong"));
        }
        let entries = block.decode_entries(&bytes).ok_or_else(|| self.damaged("its dictionary can't be read"))?;
        let next = self.blocks.get(number + 1).map(|next| next.first);
        match (entries.last(), next) {
            (Some(last), Some(next)) if last.gram >= next => Err(self.damaged("its dictionary is out of order")),
            _ => Ok(entries),
        }
    }

    /// The numbers of the files that hold an entry's gram, ascending, appended to `out`.
    ///
    /// # Errors
    /// When the postings can't be read or are damaged.
    pub fn postings(&self, entry: &Entry, out: &mut Vec<DocId>) -> Result<(), SegmentError> {
        let mut bytes = Vec::new();
        self.raw_postings(entry, &mut bytes)?;
        self.decode_postings(&bytes, out)
    }

    /// The bytes of a posting list, checked.
    fn raw_postings(&self, entry: &Entry, bytes: &mut Vec<u8>) -> Result<(), SegmentError> {
        bytes.clear();
        match &entry.place {
            PostingsAt::Inline(list) => bytes.extend_from_slice(list),
            &PostingsAt::At { offset, checksum } => {
                let end = offset.checked_add(entry.bytes).filter(|&end| end <= self.dictionary_at);
                if end.is_none() {
                    return Err(self.damaged("a posting list lies outside it"));
                }
                bytes.resize(entry.bytes as usize, 0);
                read_at(&self.file, bytes, offset).map_err(|e| self.failed(e))?;
                if checksum32(bytes) != checksum {
                    return Err(self.damaged("a posting list's checksum is wrong"));
                }
            }
        }
        Ok(())
    }

    fn decode_postings(&self, mut bytes: &[u8], out: &mut Vec<DocId>) -> Result<(), SegmentError> {
        out.reserve(bytes.len());
        let (mut next, count) = (0u64, u64::from(self.docs.len()));
        while !bytes.is_empty() {
            let gap = varint::read(&mut bytes).ok_or_else(|| self.damaged("a posting list can't be read"))?;
            let doc = next.saturating_add(gap);
            if doc >= count {
                return Err(self.damaged("a posting list names a file that isn't there"));
            }
            out.push(doc as DocId);
            next = doc + 1;
        }
        Ok(())
    }

    fn failed(&self, source: io::Error) -> SegmentError {
        if source.kind() == io::ErrorKind::UnexpectedEof {
            return self.damaged("it has become shorter");
        }
        SegmentError::Io { path: self.path.clone(), source }
    }

    fn damaged(&self, what: &'static str) -> SegmentError {
        SegmentError::Damaged { path: self.path.clone(), what }
    }
}

impl SegmentRef {
    /// Whether the folder has its file, as far as its length and its end tell: what is within is checked as it is read.
    pub fn is_in(&self, folder: &Path) -> bool {
        let look = || {
            let Some(file) = open_regular(&self.id.file(folder))? else { return Ok(false) };
            let mut end = [0; 8];
            if file.metadata()?.len() != self.bytes {
                return Ok(false);
            }
            read_at(&file, &mut end, self.bytes.saturating_sub(8))?;
            Ok(u64::from_le_bytes(end) == self.checksum)
        };
        // What can't be opened at the moment may be there.
        look().unwrap_or_else(|error: io::Error| is_passing(&error))
    }
}

/// Writes the first `bytes` of an open file, which was at `from`, as a new file of this user's. None is left when that
/// fails.
///
/// # Errors
/// What can't be read is damaged; what can't be written isn't.
pub fn rewrite(file: &File, bytes: u64, from: &Path, to: &Path) -> Result<(), SegmentError> {
    let damaged = |_| SegmentError::Damaged { path: from.to_owned(), what: "its file is gone, and can't be read" };
    let failed = |source| SegmentError::Io { path: to.to_owned(), source };
    let mut out = private::create_new(to).map_err(failed)?;
    let mut piece = vec![0; 1 << 20];
    let mut copy = || {
        let mut at = 0;
        while at < bytes {
            let length = usize::try_from(bytes - at).map_or(piece.len(), |left| left.min(piece.len()));
            read_at(file, &mut piece[..length], at).map_err(damaged)?;
            out.write_all(&piece[..length]).map_err(failed)?;
            at += length as u64;
        }
        Ok(())
    };
    copy().inspect_err(|_| drop(std::fs::remove_file(to)))
}

impl Block {
    fn decode(bytes: &[u8; INDEX_ENTRY]) -> Block {
        let [a, b, c, d, at @ .., w, x, y, z] = *bytes;
        Block {
            first: Gram::from_number(u32::from_le_bytes([a, b, c, d])),
            at: u64::from_le_bytes(at),
            checksum: u32::from_le_bytes([w, x, y, z]),
        }
    }

    fn decode_entries(&self, mut bytes: &[u8]) -> Option<Vec<Entry>> {
        let rest = &mut bytes;
        let mut entries = Vec::with_capacity(super::BLOCK);
        let mut offset = varint::read(rest)?;
        let mut number = u64::from(self.first.number());
        while !rest.is_empty() {
            let gap = varint::read(rest)?;
            if gap == 0 && !entries.is_empty() {
                return None;
            }
            number = number.checked_add(gap).filter(|&n| n < Gram::COUNT as u64)?;
            let length = varint::read(rest)?;
            let inline = length <= INLINE;
            let (here, later) = rest.split_at_checked(if inline { length as usize } else { 4 })?;
            *rest = later;
            let place = if inline {
                PostingsAt::Inline(here.to_vec())
            } else {
                let at = offset;
                offset = offset.checked_add(length)?;
                PostingsAt::At { offset: at, checksum: u32::from_le_bytes(here.try_into().ok()?) }
            };
            entries.push(Entry { gram: Gram::from_number(number as u32), bytes: length, place });
        }
        Some(entries)
    }
}

#[cfg(unix)]
/// Fills `buffer` from `offset` on.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
/// Fills `buffer` from `offset` on.
pub fn read_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

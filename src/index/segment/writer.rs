//! Writes a segment, gram by gram.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::{BLOCK, INLINE, MAGIC, SegmentError, SegmentId, SegmentRef, checksum32};
use crate::core::private;
use crate::index::checksum::xxh3_64;
use crate::index::docs::DocTable;
use crate::index::gram::Gram;
use crate::index::varint;

/// Writes a new segment file. Dropped before [`SegmentWriter::finish`], it removes what it wrote.
pub struct SegmentWriter {
    id: SegmentId,
    path: PathBuf,
    out: BufWriter<File>,
    /// Where the next posting list goes.
    offset: u64,
    /// The dictionary so far, all blocks.
    dictionary: Vec<u8>,
    /// The dictionary index so far.
    index: Vec<u8>,
    block_start: usize,
    in_block: usize,
    before: Gram,
    finished: bool,
}

impl SegmentWriter {
    /// A new file in the index folder, readable by the user only.
    ///
    /// # Errors
    /// When it can't be created.
    pub fn create(folder: &Path) -> Result<SegmentWriter, SegmentError> {
        let id = SegmentId(Uuid::new_v4());
        let path = id.file(folder);
        let failed = |source| SegmentError::Io { path: path.clone(), source };
        let mut out = BufWriter::with_capacity(1 << 18, private::create_new(&path).map_err(failed)?);
        out.write_all(&MAGIC).map_err(failed)?;
        Ok(SegmentWriter {
            id,
            path,
            out,
            offset: MAGIC.len() as u64,
            dictionary: Vec::new(),
            index: Vec::new(),
            block_start: 0,
            in_block: 0,
            before: Gram::from_number(0),
            finished: false,
        })
    }

    /// Adds a gram, which must be greater than those before it, with its posting list.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn add(&mut self, gram: Gram, postings: &[u8]) -> Result<(), SegmentError> {
        if self.in_block == BLOCK {
            self.end_block();
        }
        if self.in_block == 0 {
            self.index.extend_from_slice(&gram.number().to_le_bytes());
            self.before = gram;
            varint::write(self.offset, &mut self.dictionary);
        }
        varint::write(u64::from(gram.number() - self.before.number()), &mut self.dictionary);
        varint::write(postings.len() as u64, &mut self.dictionary);
        if postings.len() as u64 <= INLINE {
            self.dictionary.extend_from_slice(postings);
        } else {
            self.dictionary.extend_from_slice(&checksum32(postings).to_le_bytes());
            self.out.write_all(postings).map_err(|source| self.failed(source))?;
            self.offset += postings.len() as u64;
        }
        self.before = gram;
        self.in_block += 1;
        Ok(())
    }

    fn end_block(&mut self) {
        if self.in_block > 0 {
            // Places are relative to the dictionary until `finish` knows where that begins.
            self.index.extend_from_slice(&(self.block_start as u64).to_le_bytes());
            self.index.extend_from_slice(&checksum32(&self.dictionary[self.block_start..]).to_le_bytes());
            self.block_start = self.dictionary.len();
            self.in_block = 0;
        }
    }

    /// Ends the segment with the files it is about.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn finish(mut self, docs: &DocTable) -> Result<SegmentRef, SegmentError> {
        self.end_block();
        let mut files = Vec::new();
        docs.encode(&mut files);
        let index_at = self.offset + self.dictionary.len() as u64;
        let files_at = index_at + self.index.len() as u64;
        let mut footer = Vec::new();
        for number in [self.offset, index_at, files_at, xxh3_64(&self.index), xxh3_64(&files)] {
            footer.extend_from_slice(&number.to_le_bytes());
        }
        let checksum = xxh3_64(&footer);
        footer.extend_from_slice(&checksum.to_le_bytes());
        let parts = [&self.dictionary, &self.index, &files, &footer];
        let written = parts.iter().try_for_each(|part| self.out.write_all(part)).and_then(|()| self.out.flush());
        written.map_err(|source| self.failed(source))?;
        self.finished = true;
        let bytes = files_at + (files.len() + footer.len()) as u64;
        Ok(SegmentRef { id: self.id, bytes, checksum })
    }

    fn failed(&self, source: io::Error) -> SegmentError {
        SegmentError::Io { path: self.path.clone(), source }
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::debug!(path = %self.path.display(), %error, "an unfinished index file stays until it is swept");
        }
    }
}

//! Writes a symbol segment, name by name.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::reader::Occurrence;
use super::{ANY, BLOCK, MAGIC, SymbolSegmentId, TextKey, mask};
use crate::core::private;
use crate::index::checksum::xxh3_64;
use crate::index::segment::{SegmentError, checksum32};
use crate::index::varint;

/// Writes a new symbol segment. Dropped before [`SymbolSegmentWriter::finish`], it removes what it wrote.
pub struct SymbolSegmentWriter {
    id: SymbolSegmentId,
    path: PathBuf,
    out: BufWriter<File>,
    /// Where the next block of names goes.
    offset: u64,
    /// The block so far: names' masks, names, bytes of their occurrences.
    masks: Vec<u32>,
    names: Vec<u8>,
    first: Vec<u8>,
    before: Vec<u8>,
    block_occurrences: Vec<u8>,
    /// Those of all finished blocks.
    occurrences: Vec<u8>,
    blocks: Vec<u8>,
    finished: bool,
}

impl SymbolSegmentWriter {
    pub(super) fn create(folder: &Path) -> Result<SymbolSegmentWriter, SegmentError> {
        let id = SymbolSegmentId::new();
        // Whoever lists the folder meanwhile must not take it for a whole one.
        let path = id.file(folder).with_extension("unfinished");
        let failed = |source| SegmentError::Io { path: path.clone(), source };
        let mut out = BufWriter::with_capacity(1 << 18, private::create_new(&path).map_err(failed)?);
        out.write_all(&MAGIC).map_err(failed)?;
        Ok(SymbolSegmentWriter {
            id,
            path,
            out,
            offset: MAGIC.len() as u64,
            masks: Vec::new(),
            names: Vec::new(),
            first: Vec::new(),
            before: Vec::new(),
            block_occurrences: Vec::new(),
            occurrences: Vec::new(),
            blocks: Vec::new(),
            finished: false,
        })
    }

    /// Adds a name, which must come after those before it, and where it is defined, in the order of the texts.
    pub(super) fn add(&mut self, name: &[u8], occurrences: &[Occurrence]) -> Result<(), SegmentError> {
        if self.masks.len() == BLOCK {
            self.end_block()?;
        }
        if self.masks.is_empty() {
            self.first = name.to_vec();
            self.before.clear();
        }
        let shared = self.before.iter().zip(name).take_while(|(a, b)| a == b).count();
        varint::write(shared as u64, &mut self.names);
        varint::write((name.len() - shared) as u64, &mut self.names);
        self.names.extend_from_slice(&name[shared..]);
        self.before = name.to_vec();
        self.masks.push(if name.is_ascii() { mask(name) } else { ANY });
        let start = self.block_occurrences.len();
        let mut text = 0;
        for occurrence in occurrences {
            occurrence.encode(text, &mut self.block_occurrences);
            text = occurrence.text;
        }
        varint::write((self.block_occurrences.len() - start) as u64, &mut self.names);
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), SegmentError> {
        if self.masks.is_empty() {
            return Ok(());
        }
        let mut block: Vec<u8> = self.masks.iter().flat_map(|mask| mask.to_le_bytes()).collect();
        block.append(&mut self.names);
        let all = self.masks.drain(..).fold((0, u8::default()), |(all, count), mask| (all | mask, count + 1));
        self.out.write_all(&block).map_err(|source| self.failed(source))?;
        let entry = &mut self.blocks;
        varint::write(block.len() as u64, entry);
        varint::write(self.block_occurrences.len() as u64, entry);
        entry.push(all.1);
        entry.extend_from_slice(&checksum32(&block).to_le_bytes());
        entry.extend_from_slice(&checksum32(&self.block_occurrences).to_le_bytes());
        entry.extend_from_slice(&all.0.to_le_bytes());
        varint::write(self.first.len() as u64, entry);
        entry.append(&mut self.first);
        self.occurrences.append(&mut self.block_occurrences);
        self.offset += block.len() as u64;
        Ok(())
    }

    /// Ends the symbol segment with the texts it is about, in order, and how many symbols each has.
    pub(super) fn finish(mut self, folder: &Path, texts: &[(TextKey, u32)]) -> Result<SymbolSegmentId, SegmentError> {
        self.end_block()?;
        let mut table = Vec::new();
        varint::write(texts.len() as u64, &mut table);
        for (key, symbols) in texts {
            table.extend_from_slice(&key.hash.0.to_le_bytes());
            table.push(key.language as u8);
            varint::write(u64::from(*symbols), &mut table);
        }
        let blocks_at = self.offset + self.occurrences.len() as u64;
        let texts_at = blocks_at + self.blocks.len() as u64;
        let mut footer = Vec::new();
        for number in [self.offset, blocks_at, texts_at, xxh3_64(&self.blocks), xxh3_64(&table)] {
            footer.extend_from_slice(&number.to_le_bytes());
        }
        footer.extend_from_slice(&xxh3_64(&footer).to_le_bytes());
        let parts = [&self.occurrences, &self.blocks, &table, &footer];
        let written = parts.iter().try_for_each(|part| self.out.write_all(part)).and_then(|()| self.out.flush());
        let path = self.id.file(folder);
        written.and_then(|()| std::fs::rename(&self.path, &path)).map_err(|source| self.failed(source))?;
        self.finished = true;
        Ok(self.id)
    }

    fn failed(&self, source: io::Error) -> SegmentError {
        SegmentError::Io { path: self.path.clone(), source }
    }
}

impl Drop for SymbolSegmentWriter {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::debug!(path = %self.path.display(), %error, "an unfinished index file stays until it is swept");
        }
    }
}

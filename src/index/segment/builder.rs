//! Builds a segment in memory.

use super::batch::Batch;
use super::{SegmentError, SegmentRef, SegmentWriter};
use crate::index::docs::{Doc, DocTable};
use crate::index::gram::{Collector, Gram};
use std::path::Path;

/// Takes files in the order of their paths and holds their postings until they are written.
///
/// The postings of a gram are a chain of slices in one arena, each twice as long as the one before up to a bound,
/// so that adding a posting moves nothing and allocates nothing of its own.
pub struct SegmentBuilder {
    collector: Collector,
    docs: DocTable,
    /// Of the last files, not yet in `chains`.
    batch: Batch,
    /// For the first two bytes of a gram, one more than the number of its page; 0 for none.
    pages: Vec<u16>,
    /// For each page and third byte, one more than the gram's place in `chains`; 0 for none.
    page_chains: Vec<[u32; 256]>,
    chains: Vec<Chain>,
    arena: Vec<u8>,
}

struct Chain {
    gram: Gram,
    /// The file after the last one that was added.
    next_doc: u32,
    first_slice: u32,
    /// The slice that is being filled, where its next byte goes, and where it ends.
    slice: u32,
    write: u32,
    end: u32,
}

/// Bytes at a slice's beginning that say where the next slice is (0: this is the last).
const LINK: usize = 4;
const FIRST_SLICE: usize = 12;
const LAST_SLICE: usize = 1024;

impl SegmentBuilder {
    /// A builder without files.
    pub fn new() -> SegmentBuilder {
        SegmentBuilder {
            collector: Collector::new(),
            docs: DocTable::default(),
            batch: Batch::default(),
            pages: vec![0; 1 << 16],
            page_chains: Vec::new(),
            chains: Vec::new(),
            // Nothing begins at 0, which means "no slice".
            arena: vec![0],
        }
    }

    /// Whether it holds no file.
    pub fn is_empty(&self) -> bool {
        self.docs.is_empty()
    }

    /// Bytes of memory its postings and files hold.
    pub fn memory(&self) -> usize {
        self.arena.len()
            + self.batch.memory()
            + self.chains.len() * size_of::<Chain>()
            + self.page_chains.len() * size_of::<[u32; 256]>()
            + self.docs.memory()
    }

    /// Where the text of the next file is fed.
    pub fn text(&mut self) -> &mut Collector {
        &mut self.collector
    }

    /// Adds a file, whose path must sort after those before it, with the text that was fed.
    pub fn add(&mut self, path: &[u8], doc: Doc) {
        self.docs.push(path, doc);
        self.batch.push(self.collector.found());
        self.collector.clear();
        if self.batch.is_full() {
            self.chain_batch();
        }
    }

    /// Moves the postings of the batch into the chains.
    fn chain_batch(&mut self) {
        let SegmentBuilder { docs, batch, pages, page_chains, chains, arena, .. } = self;
        let first_doc = docs.len() - batch.len();
        batch.drain(|gram, postings| {
            let page = &mut pages[(gram.number() >> 8) as usize];
            if *page == 0 {
                page_chains.push([0; 256]);
                // There are 65,536 pages at most, and text in lines can't need the last: none holds a line's end.
                *page = page_chains.len() as u16;
            }
            let chain = &mut page_chains[usize::from(*page) - 1][(gram.number() & 0xff) as usize];
            if *chain == 0 {
                chains.push(Chain::begin(gram, arena));
                *chain = chains.len() as u32;
            }
            let chain = &mut chains[*chain as usize - 1];
            postings.iter().for_each(|&posting| chain.push(first_doc + Batch::file(posting), arena));
        });
    }

    /// Writes the segment into the index folder and leaves the builder empty, its memory kept for the next one.
    ///
    /// # Errors
    /// When the segment can't be written; the builder is empty then too.
    pub fn write(&mut self, folder: &Path) -> Result<SegmentRef, SegmentError> {
        self.chain_batch();
        let docs = std::mem::take(&mut self.docs);
        let mut chains = std::mem::take(&mut self.chains);
        let result = Self::write_chains(folder, &mut chains, &self.arena, &docs);
        chains.clear();
        self.chains = chains;
        self.pages.fill(0);
        self.page_chains.clear();
        self.arena.truncate(1);
        result
    }

    fn write_chains(
        folder: &Path,
        chains: &mut [Chain],
        arena: &[u8],
        docs: &DocTable,
    ) -> Result<SegmentRef, SegmentError> {
        let mut writer = SegmentWriter::create(folder)?;
        chains.sort_unstable_by_key(|chain| chain.gram);
        let mut postings = Vec::new();
        for chain in chains {
            chain.copy_to(arena, &mut postings);
            writer.add(chain.gram, &postings)?;
        }
        writer.finish(docs)
    }
}

impl Default for SegmentBuilder {
    fn default() -> Self {
        SegmentBuilder::new()
    }
}

impl Chain {
    fn begin(gram: Gram, arena: &mut Vec<u8>) -> Chain {
        let first = arena.len();
        arena.resize(first + FIRST_SLICE, 0);
        // The arena is cut to a segment long before 4 GiB.
        let write = (first + LINK) as u32;
        let first = first as u32;
        Chain { gram, next_doc: 0, first_slice: first, slice: first, write, end: arena.len() as u32 }
    }

    fn push(&mut self, doc: u32, arena: &mut Vec<u8>) {
        let mut gap = doc - self.next_doc;
        self.next_doc = doc + 1;
        while gap >= 0x80 {
            self.push_byte(gap as u8 | 0x80, arena);
            gap >>= 7;
        }
        self.push_byte(gap as u8, arena);
    }

    fn push_byte(&mut self, byte: u8, arena: &mut Vec<u8>) {
        if self.write == self.end {
            self.grow(arena);
        }
        arena[self.write as usize] = byte;
        self.write += 1;
    }

    #[cold]
    fn grow(&mut self, arena: &mut Vec<u8>) {
        let (slice, new) = (self.slice as usize, arena.len());
        arena[slice..slice + LINK].copy_from_slice(&(new as u32).to_le_bytes());
        arena.resize(new + next_length(self.end as usize - slice), 0);
        self.slice = new as u32;
        self.write = (new + LINK) as u32;
        self.end = arena.len() as u32;
    }

    fn copy_to(&self, arena: &[u8], out: &mut Vec<u8>) {
        out.clear();
        let (mut slice, mut length) = (self.first_slice as usize, FIRST_SLICE);
        while let next @ 1.. = link(arena, slice) {
            out.extend_from_slice(&arena[slice + LINK..slice + length]);
            slice = next as usize;
            length = next_length(length);
        }
        out.extend_from_slice(&arena[slice + LINK..self.write as usize]);
    }
}

fn link(arena: &[u8], slice: usize) -> u32 {
    u32::from_le_bytes([arena[slice], arena[slice + 1], arena[slice + 2], arena[slice + 3]])
}

fn next_length(length: usize) -> usize {
    (length * 2).min(LAST_SLICE)
}

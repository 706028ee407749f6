//! Segments: immutable files that hold the postings of some of a codebase's files, and what is known of those files.
//!
//! ```text
//! magic, format version          8 bytes
//! postings                       for each gram, in order: the gaps between the files that hold it, as varints
//! dictionary                     blocks of 64 grams: where their postings are, and a checksum of each
//! dictionary index               for each block: its first gram, its place, its checksum
//! files                          the encoded `DocTable`
//! footer                         the places above, checksums of the index and the files, of itself
//! ```
//!
//! Everything that is read is checked as it is read: index and files when the segment is opened, a dictionary block
//! and a posting list each time. So a damaged segment is noticed, whenever and wherever the damage happens, and never
//! believed. Segments are read by positioned reads, not through a memory map: a map that another program truncates
//! ends the process, which an index that is only a cache must not be able to do.

mod batch;
mod builder;
mod merge;
mod reader;
mod writer;

pub use builder::SegmentBuilder;
pub use merge::merge;
pub use reader::{Entry, Segment, read_at, rewrite};
pub use writer::SegmentWriter;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use uuid::Uuid;

/// The first bytes of a segment; the last of them is the version of the format.
const MAGIC: [u8; 8] = *b"SYNCSEG\x02";
/// Grams in a dictionary block.
const BLOCK: usize = 64;
/// Bytes of a block's entry in the dictionary index.
const INDEX_ENTRY: usize = 16;
/// Posting lists up to this many bytes live in the dictionary.
const INLINE: u64 = 8;
/// Bytes of the footer.
const FOOTER: usize = 8 * 6;

/// A segment's name, which is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentId(pub Uuid);

impl SegmentId {
    /// The file that holds it, in the index folder.
    pub fn file(self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.segment", self.0.simple()))
    }
}

/// What tells a written segment from any other: how the manifest refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentRef {
    /// Its name.
    pub id: SegmentId,
    /// Bytes of its file.
    pub bytes: u64,
    /// The checksum in its footer.
    pub checksum: u64,
}

/// A segment that can't be written or read.
#[derive(Debug, Error)]
pub enum SegmentError {
    /// The file system refused.
    #[error("can't use the index file {}: {source}", path.display())]
    Io {
        /// The segment's file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It isn't what was written.
    #[error("the index file {} is damaged: {what}; it is rebuilt by itself", path.display())]
    Damaged {
        /// The segment's file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
}

/// The low half of XXH3, for small pieces.
pub fn checksum32(bytes: &[u8]) -> u32 {
    crate::index::checksum::xxh3_64(bytes) as u32
}

//! Symbol segments: immutable files that hold the symbols of some texts, each text known by its content and language alone.
//!
//! Nothing in a symbol segment tells of paths or of a codebase, so that a renamed file, another branch or a second
//! worktree finds the symbols of what was parsed before.
//!
//! ```text
//! magic, format version    8 bytes
//! names                    blocks of 64 names, ascending: a mask of each name's letters; the names, each less what it
//!                          shares with the one before it; the bytes of its occurrences
//! occurrences              for each block: for each name, where it is defined
//! blocks                   for each block: its place, its checksums, the mask of all its names, its first name
//! texts                    content hash, language and number of symbols of each, or that it was given up
//! footer                   the places above, checksums of blocks and texts, of itself
//! ```
//!
//! As with segments, everything is checked as it is read, by positioned reads.

mod builder;
mod merge;
mod reader;
mod writer;

pub use builder::SymbolSegmentBuilder;
pub use merge::merge;
pub use reader::{Letters, Location, Occurrence, SymbolSegment};

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::language::Language;
use crate::index::docs::ContentHash;

/// The first bytes of a symbol segment; the last of them is the version of the format and of what is found in a text.
const MAGIC: [u8; 8] = *b"SYNCSYM\x03";
/// Names in a block.
const BLOCK: usize = 64;
/// The number of symbols of a text that was given up: what it defines isn't known, and isn't to be tried again.
const GIVEN_UP: u32 = u32::MAX;
/// Bytes of the footer.
const FOOTER: usize = 8 * 6;
/// The end of a symbol segment's file name.
pub const EXTENSION: &str = "symbols";

/// A symbol segment's name, which is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SymbolSegmentId(Uuid);

impl SymbolSegmentId {
    fn new() -> SymbolSegmentId {
        SymbolSegmentId(Uuid::new_v4())
    }

    /// The symbol segment that a file is, by its name.
    pub fn of(path: &Path) -> Option<SymbolSegmentId> {
        let is_segment = path.extension().is_some_and(|extension| extension == EXTENSION);
        let name = path.file_stem()?.to_str().filter(|_| is_segment)?;
        Uuid::try_parse(name).ok().map(SymbolSegmentId)
    }

    /// The file that holds it.
    pub fn file(self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.{EXTENSION}", self.0.simple()))
    }
}

/// What a text's symbols are known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TextKey {
    /// Of its bytes.
    pub hash: ContentHash,
    /// How it is parsed.
    pub language: Language,
}

/// ASCII letters of a text, one bit each: the Latin ones, digits, `_`, others. A name in ASCII can hold the letters of a
/// query in order only if its mask has all bits of the query's.
fn mask(text: &[u8]) -> u32 {
    text.iter().filter(|byte| byte.is_ascii()).fold(0, |mask, byte| {
        mask | 1
            << match byte.to_ascii_lowercase() {
                letter @ b'a'..=b'z' => letter - b'a',
                b'0'..=b'9' => 26,
                b'_' => 27,
                _ => 28,
            }
    })
}

/// The mask of a name that isn't in ASCII: its letters count as others do, `ü` as `u`, and which is for the ranking to
/// know.
const ANY: u32 = u32::MAX;

/// The order of names in a symbol segment: without regard to case, so that a prefix in any case is one range.
pub fn cmp_names(a: &[u8], b: &[u8]) -> Ordering {
    let folded = a.iter().map(u8::to_ascii_lowercase).cmp(b.iter().map(u8::to_ascii_lowercase));
    folded.then_with(|| a.cmp(b))
}

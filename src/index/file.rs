//! Opening and reading somebody's files.

use std::fs::File;
use std::io::{self, Read};

use xxhash_rust::xxh3::Xxh3;

use super::docs::ContentHash;
use super::text::until_nul;

/// Larger files are read in pieces of this size, bytes.
pub(super) const PIECE: u64 = 4 << 20;

/// The hash of what an index takes in of a file: pieces up to the first with a NUL.
pub(super) fn hash_of(mut file: File) -> io::Result<ContentHash> {
    let (mut hash, mut piece) = (Xxh3::new(), Vec::new());
    while (&mut file).take(PIECE).read_to_end(&mut piece)? > 0 {
        hash.update(&piece);
        if until_nul(&piece).len() < piece.len() {
            break;
        }
        piece.clear();
    }
    Ok(ContentHash(hash.digest128()))
}

//! Opening and reading somebody's files.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use super::docs::ContentHash;
use super::text::until_nul;

/// Larger files are read in pieces of this size, bytes.
pub(super) const PIECE: u64 = 4 << 20;

/// Opens a file to be read, or gives `None` when no regular one is there (any more). Links aren't followed, and nothing can
/// block: a pipe in somebody's tree must not.
pub fn open_regular(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits() as i32);
    }
    let file = match options.open(path) {
        Ok(file) => file,
        #[cfg(unix)]
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => return Ok(None),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(e),
    };
    Ok(file.metadata()?.is_file().then_some(file))
}

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

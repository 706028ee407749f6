//! Where the checks that read files write them.

use std::path::Path;

use tempfile::TempDir;

/// A folder that is removed when the check is over.
pub(crate) fn scratch() -> TempDir {
    tempfile::tempdir().unwrap_or_else(|error| panic!("no folder to work in: {error}"))
}

/// Writes a file.
pub(crate) fn written(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap_or_else(|error| panic!("can't write {}: {error}", path.display()));
}

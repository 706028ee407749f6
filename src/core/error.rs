//! Errors of the lowest layer. Each says what, where and how to fix it, in one sentence.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A workspace root that can't be opened.
#[derive(Debug, Error)]
pub enum RootError {
    /// Nothing is there, or it can't be reached.
    #[error("can't open the codebase {}: {source}; give the path of an existing folder", path.display())]
    Unreachable {
        /// As it was asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is a file.
    #[error("can't open the codebase {}: it is not a folder; give the folder that holds it", path.display())]
    NotAFolder {
        /// As it was asked for.
        path: PathBuf,
    },
}

//! Codebases: one workspace root each, known by an id.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::error::RootError;

/// A workspace root that existed when it was opened: canonical, a folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CodebaseRoot(PathBuf);

impl CodebaseRoot {
    /// The root at `path`, links resolved.
    ///
    /// # Errors
    /// When nothing is there, it can't be reached, or it isn't a folder.
    pub fn open(path: &Path) -> Result<CodebaseRoot, RootError> {
        let canonical =
            std::fs::canonicalize(path).map_err(|source| RootError::Unreachable { path: path.to_owned(), source })?;
        if !canonical.is_dir() {
            return Err(RootError::NotAFolder { path: path.to_owned() });
        }
        Ok(CodebaseRoot(canonical))
    }

    /// The canonical path.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// Whether it is the user's home folder, or holds it: most of what is in there is no codebase.
    pub fn holds_home(&self) -> bool {
        let home = etcetera::home_dir().ok().map(|home| std::fs::canonicalize(&home).unwrap_or(home));
        self.0.parent().is_none() || home.is_some_and(|home| home.starts_with(&self.0))
    }

    /// The folder's name, for people.
    pub fn name(&self) -> String {
        self.0.file_name().map_or_else(|| self.0.display().to_string(), |n| n.to_string_lossy().into_owned())
    }
}

/// A codebase's name in the queue and on disk: a hash of host and canonical path, or the name the settings give.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CodebaseId(String);

impl CodebaseId {
    /// The id of `root` on this host.
    pub fn of(root: &CodebaseRoot) -> CodebaseId {
        let mut key = gethostname::gethostname().into_encoded_bytes();
        key.push(0);
        key.extend_from_slice(root.as_path().as_os_str().as_encoded_bytes());
        CodebaseId(format!("{:032x}", xxh3_128(&key)))
    }

    /// The id several hosts share, from `queue.codebase`.
    pub fn named(name: &str) -> CodebaseId {
        CodebaseId(name.to_owned())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CodebaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A workspace root and its id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Codebase {
    /// Its id in the queue.
    pub id: CodebaseId,
    /// Where it is on this host.
    pub root: CodebaseRoot,
}

impl Codebase {
    /// The codebase at `root`, under the id of host and path or the name that settings give it.
    pub fn new(root: CodebaseRoot, name: Option<&str>) -> Codebase {
        let id = name.map_or_else(|| CodebaseId::of(&root), CodebaseId::named);
        Codebase { id, root }
    }
}

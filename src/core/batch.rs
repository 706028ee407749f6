//! `SyncBatch`: a request to bring the index of a codebase up to date.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use super::RelPath;

/// Milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// This host's clock.
    pub fn now() -> UnixMillis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Milliseconds from `earlier` to this; 0 when the clock went back.
    pub fn since(self, earlier: UnixMillis) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A batch's name: a UUID v7, so that ids made later sort later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchId(Uuid);

impl BatchId {
    /// A new id, of now.
    pub fn new() -> BatchId {
        BatchId(Uuid::now_v7())
    }
}

impl Default for BatchId {
    fn default() -> Self {
        BatchId::new()
    }
}

impl std::str::FromStr for BatchId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<BatchId, uuid::Error> {
        text.parse().map(BatchId)
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A running engine: what puts batches in a queue. Two engines are never equal, even when a pid comes again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// The machine's host name.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// Random, chosen when the engine started.
    pub session: Uuid,
}

impl Owner {
    /// This process, as a new owner.
    pub fn new() -> Owner {
        let host = gethostname::gethostname().to_string_lossy().into_owned();
        Owner { host, pid: std::process::id(), session: Uuid::new_v4() }
    }
}

impl Default for Owner {
    fn default() -> Self {
        Owner::new()
    }
}

/// What a batch covers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Dirty {
    /// These files, which may have been changed, created or deleted.
    Paths(BTreeSet<RelPath>),
    /// The whole tree: reconcile.
    Everything,
}

impl Dirty {
    /// Nothing yet.
    pub fn nothing() -> Dirty {
        Dirty::Paths(BTreeSet::new())
    }

    /// Whether it is nothing.
    pub fn is_empty(&self) -> bool {
        matches!(self, Dirty::Paths(paths) if paths.is_empty())
    }

    /// Number of files, or `None` for everything.
    pub fn len(&self) -> Option<usize> {
        match self {
            Dirty::Paths(paths) => Some(paths.len()),
            Dirty::Everything => None,
        }
    }

    /// Takes in what another one covers.
    pub fn join(&mut self, other: Dirty) {
        match (&mut *self, other) {
            (Dirty::Everything, _) => {}
            (_, Dirty::Everything) => *self = Dirty::Everything,
            (Dirty::Paths(mine), Dirty::Paths(theirs)) => mine.extend(theirs),
        }
    }
}

impl FromIterator<RelPath> for Dirty {
    fn from_iter<I: IntoIterator<Item = RelPath>>(paths: I) -> Self {
        Dirty::Paths(paths.into_iter().collect())
    }
}

/// A request to bring the index of a codebase up to date. What it covers is known to its owner alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SyncBatch {
    /// Its name.
    pub id: BatchId,
    /// The codebase's root on the owner's host.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// When it was made, by the owner's clock.
    pub created_at: UnixMillis,
    /// Who put it in the queue and will sync it.
    pub owner: Owner,
}

impl SyncBatch {
    /// A batch of now.
    pub fn new(path: PathBuf, owner: Owner) -> SyncBatch {
        SyncBatch { id: BatchId::new(), path, created_at: UnixMillis::now(), owner }
    }
}

/// Paths of other hosts are only shown, so they needn't be text.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

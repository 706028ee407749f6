//! `CacheManager`: values and queues in namespaces, the caller not knowing where they live.

mod local;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::watch;

use super::{BatchId, SyncBatch, UnixMillis};
use local::LocalCache;

/// What a value is for. Each has its own lifetime and size, so that none crowds out another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Namespace {
    /// Vectors of texts.
    Embeddings,
    /// Answers to searches.
    SearchResults,
    /// Results of analysis, by content hash.
    Metadata,
    /// What outside services answered.
    ProviderResponses,
    /// The waiting lines, by codebase.
    SyncBatches,
}

impl Namespace {
    /// All of them.
    pub const ALL: [Namespace; 5] = [
        Namespace::Embeddings,
        Namespace::SearchResults,
        Namespace::Metadata,
        Namespace::ProviderResponses,
        Namespace::SyncBatches,
    ];

    /// Its name in keys and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Namespace::Embeddings => "embeddings",
            Namespace::SearchResults => "search_results",
            Namespace::Metadata => "metadata",
            Namespace::ProviderResponses => "provider_responses",
            Namespace::SyncBatches => "sync_batches",
        }
    }

    /// How long a value lives.
    pub fn lifetime(self) -> Duration {
        const MINUTE: u64 = 60;
        Duration::from_secs(match self {
            Namespace::Embeddings => 120 * MINUTE,
            Namespace::SearchResults => 30 * MINUTE,
            Namespace::Metadata => 60 * MINUTE,
            Namespace::ProviderResponses => 5 * MINUTE,
            Namespace::SyncBatches => 24 * 60 * MINUTE,
        })
    }

    /// Bytes of keys and values it may hold; the least useful go first. Batches in line never go this way.
    pub fn capacity(self) -> u64 {
        const MIB: u64 = 1 << 20;
        match self {
            Namespace::Embeddings => 64 * MIB,
            Namespace::SearchResults | Namespace::Metadata => 32 * MIB,
            Namespace::ProviderResponses => 16 * MIB,
            Namespace::SyncBatches => 8 * MIB,
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where lines and values live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendKind {
    /// In this process.
    Local,
}

/// The cache can't do what was asked.
#[derive(Debug, Error)]
pub enum CacheError {
    /// More batches are in line than any number of engines would put there.
    #[error("the line {key} is full ({LONGEST_LINE} batches); end the engines that flood it")]
    LineFull {
        /// The line.
        key: String,
    },
}

/// Batches a line holds at most. An owner has two at most, so only a fault gets there.
pub const LONGEST_LINE: usize = 10_000;

/// What the head holds while it syncs; it only grows, so that a holder that was overtaken can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FencingToken(pub u64);

/// Whether a batch in line waits or syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BatchState {
    /// It waits for its turn.
    Waiting,
    /// It is at the head, and is being synced under this token.
    Syncing(FencingToken),
}

/// A batch in line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueItem {
    /// The batch.
    pub batch: SyncBatch,
    /// What it is doing there.
    pub state: BatchState,
}

/// A line, head first.
pub type Queue = Vec<Arc<QueueItem>>;

/// What came of putting a batch in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It stands there, with this many before it.
    InLine {
        /// 0 is the head.
        position: usize,
    },
    /// Its owner had one waiting already, which took its changes in.
    Joined {
        /// The one that was waiting.
        batch: BatchId,
    },
}

/// What came of asking for the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The batch, with all that joined it, may sync now.
    Head {
        /// As it stands in line.
        batch: SyncBatch,
        /// Under this token.
        token: FencingToken,
    },
    /// Others are before it.
    Waiting {
        /// How many.
        position: usize,
    },
    /// It isn't in line (any more).
    Gone,
}

/// Counts of one namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NamespaceStats {
    /// `get` found a value.
    pub hits: u64,
    /// `get` found none.
    pub misses: u64,
    /// Values and lines.
    pub entries: u64,
    /// Their bytes, keys included.
    pub bytes: u64,
}

/// A key-value store and queue in namespaces. Cheap to clone; clones are the same cache.
#[derive(Clone)]
pub struct CacheManager {
    backend: Backend,
}

#[derive(Clone)]
enum Backend {
    Local(Arc<LocalCache>),
}

impl CacheManager {
    /// A cache in this process.
    pub fn local() -> CacheManager {
        CacheManager { backend: Backend::Local(Arc::new(LocalCache::new())) }
    }

    /// Where lines and values live.
    pub fn backend(&self) -> BackendKind {
        match self.backend {
            Backend::Local(_) => BackendKind::Local,
        }
    }

    /// The value of `key`, unless it was never set, was deleted, or its lifetime is over.
    ///
    /// # Errors
    /// None in this process.
    pub async fn get(&self, namespace: Namespace, key: &str) -> Result<Option<Arc<[u8]>>, CacheError> {
        match &self.backend {
            Backend::Local(local) => Ok(local.get(namespace, key).await),
        }
    }

    /// Sets the value of `key`, for the namespace's lifetime.
    ///
    /// # Errors
    /// None in this process.
    pub async fn set(&self, namespace: Namespace, key: &str, value: impl Into<Arc<[u8]>>) -> Result<(), CacheError> {
        match &self.backend {
            Backend::Local(local) => local.set(namespace, key, value.into()).await,
        }
        Ok(())
    }

    /// The values of `keys`, in their order.
    ///
    /// # Errors
    /// None in this process.
    pub async fn get_many(&self, namespace: Namespace, keys: &[String]) -> Result<Vec<Option<Arc<[u8]>>>, CacheError> {
        match &self.backend {
            Backend::Local(local) => {
                let mut values = Vec::with_capacity(keys.len());
                for key in keys {
                    values.push(local.get(namespace, key).await);
                }
                Ok(values)
            }
        }
    }

    /// Sets the values of many keys, for the namespace's lifetime.
    ///
    /// # Errors
    /// None in this process.
    pub async fn set_many(&self, namespace: Namespace, values: Vec<(String, Arc<[u8]>)>) -> Result<(), CacheError> {
        match &self.backend {
            Backend::Local(local) => {
                for (key, value) in values {
                    local.set(namespace, &key, value).await;
                }
            }
        }
        Ok(())
    }

    /// Forgets the value of `key`; gives whether there was one.
    ///
    /// # Errors
    /// None in this process.
    pub async fn delete(&self, namespace: Namespace, key: &str) -> Result<bool, CacheError> {
        match &self.backend {
            Backend::Local(local) => Ok(local.delete(namespace, key).await),
        }
    }

    /// Forgets every value and line of a namespace. Owners of batches in such a line see that theirs is gone.
    ///
    /// # Errors
    /// None in this process.
    pub async fn clear_namespace(&self, namespace: Namespace) -> Result<(), CacheError> {
        match &self.backend {
            Backend::Local(local) => local.clear(namespace).await,
        }
        Ok(())
    }

    /// Counts of every namespace.
    ///
    /// # Errors
    /// None in this process.
    pub async fn get_stats(&self) -> Result<Vec<(Namespace, NamespaceStats)>, CacheError> {
        match &self.backend {
            Backend::Local(local) => Ok(Namespace::ALL.map(|n| (n, local.stats(n))).to_vec()),
        }
    }

    /// Puts a batch at the end of the line `key`, or joins it into the one that its owner has waiting there.
    ///
    /// # Errors
    /// When the line is full.
    pub async fn enqueue_item(
        &self,
        namespace: Namespace,
        key: &str,
        batch: SyncBatch,
    ) -> Result<Enqueued, CacheError> {
        match &self.backend {
            Backend::Local(local) => local.enqueue(namespace, key, batch).await,
        }
    }

    /// The line `key`, head first.
    ///
    /// # Errors
    /// None in this process.
    pub async fn get_queue(&self, namespace: Namespace, key: &str) -> Result<Queue, CacheError> {
        match &self.backend {
            Backend::Local(local) => Ok(local.queue(namespace, key).await),
        }
    }

    /// Takes a batch out of the line `key`, whatever it is doing; gives whether it was there.
    ///
    /// # Errors
    /// None in this process.
    pub async fn remove_item(&self, namespace: Namespace, key: &str, id: BatchId) -> Result<bool, CacheError> {
        match &self.backend {
            Backend::Local(local) => Ok(local.remove(namespace, key, id).await),
        }
    }

    /// Lets a batch sync if it is at the head of the line `key`.
    ///
    /// # Errors
    /// None in this process.
    pub async fn claim_head(&self, namespace: Namespace, key: &str, id: BatchId) -> Result<Claim, CacheError> {
        match &self.backend {
            Backend::Local(local) => Ok(local.claim(namespace, key, id).await),
        }
    }

    /// Takes batches out of the line `key` that were made before `oldest` and still wait. Gives how many.
    ///
    /// # Errors
    /// None in this process.
    pub async fn sweep_queue(&self, namespace: Namespace, key: &str, oldest: UnixMillis) -> Result<usize, CacheError> {
        match &self.backend {
            Backend::Local(local) => Ok(local.sweep(namespace, key, oldest).await),
        }
    }

    /// Wakes up on every change of the line `key`. Subscribe before looking at the line, and no change is missed.
    pub fn subscribe(&self, namespace: Namespace, key: &str) -> watch::Receiver<u64> {
        match &self.backend {
            Backend::Local(local) => local.subscribe(namespace, key),
        }
    }
}

//! `CacheManager`: values and queues in namespaces, the caller not knowing where they live.
//!
//! [`mod@queue`] says what a waiting line is. `local` keeps lines in this process, `redis` on a server, and `switch` decides
//! which of the two counts, by the small state machine in `failover`.

mod failover;
mod local;
mod notifier;
pub mod queue;
mod redis;
mod report;
mod switch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;

use super::settings::{QueueBackend, QueueSettings};
use super::{BatchId, BatchInfo, SyncBatch};
pub use failover::FailoverState;
use notifier::QueueKey;
#[cfg(any(test, fuzzing))]
pub(crate) use redis::fuzz;
pub use report::{CacheReport, Counted};
use switch::Switch;

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
    /// In Redis.
    Redis,
}

/// The cache can't do what was asked.
#[derive(Debug, Error)]
pub enum CacheError {
    /// More batches are in line than any number of engines would put there.
    #[error("the line {key} is full ({MAX_QUEUE_LENGTH} batches); end the engines that flood it")]
    QueueFull {
        /// The line.
        key: String,
    },
}

/// Batches a line holds at most. An owner has two at most, so only a fault gets there.
pub const MAX_QUEUE_LENGTH: usize = 10_000;

/// What the head holds while it syncs; it only grows, so that a holder that was overtaken can be told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FencingToken(pub u64);

/// A token and the queue that gave it: tokens of different queues can't be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fence {
    /// Names the queue.
    pub queue: u64,
    /// Its token.
    pub token: FencingToken,
}

/// The right to sync, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The token it stands for.
    pub fence: Fence,
    /// By this process' clock, until when it may be trusted without asking: a little less than the line grants.
    pub until: Instant,
    epoch: u64,
}

impl Lease {
    /// Whether it may be trusted still, without asking.
    pub fn is_fresh(&self) -> bool {
        Instant::now() < self.until
    }
}

/// How long batches may stay in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseConfig {
    /// A batch that isn't renewed for this long leaves.
    pub lease: Duration,
    /// A batch that has waited for this long leaves.
    pub stale_after: Duration,
}

impl Default for LeaseConfig {
    fn default() -> Self {
        let QueueSettings { lease, stale_after, .. } = QueueSettings::default();
        LeaseConfig { lease, stale_after }
    }
}

/// Whether a batch in line waits or syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    pub batch: BatchInfo,
    /// Files it covers; `None` for everything.
    pub files: Option<usize>,
    /// What it is doing there.
    pub state: BatchState,
    /// It leaves after this, unless its owner renews it.
    pub expires_in: Duration,
}

/// A line, head first.
pub type QueueItems = Vec<Arc<QueueItem>>;

/// A line has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueChange {
    /// Grows with each.
    pub changes: u64,
    /// The first batch in line now; `None` when that isn't known.
    pub head: Option<BatchId>,
}

/// Values and their keys.
pub type Values = Vec<(String, Arc<[u8]>)>;

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// Redis or Valkey.
    pub name: &'static str,
    /// Its version.
    pub version: String,
    /// What it does when its memory is full: `maxmemory-policy`.
    pub eviction: Option<String>,
    /// The bound of its memory, bytes; 0 for none.
    pub max_memory: Option<u64>,
}

/// What came of putting a batch in line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// Nobody was before it: it may sync now.
    AtHead {
        /// As it stands in line.
        batch: SyncBatch,
        /// As long as it renews this.
        lease: Lease,
    },
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
        /// As long as it renews this.
        lease: Lease,
    },
    /// Others are before it, or nobody gets a turn just now.
    Waiting {
        /// How many.
        position: usize,
        /// The head leaves after this, unless it is renewed.
        head_expires_in: Duration,
    },
    /// It isn't in line (any more).
    Gone,
}

/// Counts of one namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
///
/// In Redis while that can be used, in this process while it can't: callers don't notice, but for [`FailoverState`]. What
/// was in line in the one isn't in the other; whoever waits asks for the head, learns that its batch is gone, and puts
/// it in line again.
#[derive(Clone)]
pub struct CacheManager {
    switch: Arc<Switch>,
}

impl CacheManager {
    /// A cache in this process.
    pub fn local() -> CacheManager {
        CacheManager::local_with(LeaseConfig::default())
    }

    /// A cache in this process, with these leases.
    pub fn local_with(leases: LeaseConfig) -> CacheManager {
        CacheManager { switch: Switch::local(leases, None) }
    }

    /// The cache that the settings want. It connects in the background; whatever goes wrong is told by
    /// [`CacheManager::failover_state`]. Must be called within a Tokio runtime.
    pub fn open(settings: &QueueSettings) -> CacheManager {
        let leases = LeaseConfig { lease: settings.lease, stale_after: settings.stale_after };
        let switch = match (settings.backend, &settings.redis_url) {
            (QueueBackend::Local, _) | (QueueBackend::Auto, None) => Switch::local(leases, None),
            (QueueBackend::Redis, None) => {
                let problem = "queue.backend is redis, but no Redis is named; set queue.redis_url";
                Switch::local(leases, Some(problem.to_owned()))
            }
            (_, Some(url)) => match redis::ConnectionConfig::new(url, settings.redis_ca.as_deref()) {
                Ok(redis) => Switch::shared(leases, redis),
                Err(problem) => Switch::local(leases, Some(problem)),
            },
        };
        CacheManager { switch }
    }

    /// Where lines and values live now. It is known within a second after the cache was opened.
    pub fn backend(&self) -> BackendKind {
        self.switch.failover_state().borrow().backend()
    }

    /// Where lines live, what is wrong with that, and each change of it.
    pub fn failover_state(&self) -> watch::Receiver<FailoverState> {
        self.switch.failover_state()
    }

    /// Waits until it is known where lines live, which takes a second at most.
    pub async fn decided(&self) -> FailoverState {
        self.switch.decided().await
    }

    /// The URL of its Redis, without secrets; `None` when the settings want none.
    pub fn server(&self) -> Option<&str> {
        self.switch.redis().map(|redis| redis.config().redacted())
    }

    /// How long Redis took to answer lately.
    pub fn latency(&self) -> Option<Duration> {
        self.switch.redis().filter(|_| self.backend() == BackendKind::Redis)?.latency()
    }

    /// What Redis says of itself; `None` when it can't be asked.
    pub async fn server_facts(&self) -> Option<ServerFacts> {
        self.switch.redis()?.facts().await.ok()
    }

    /// How long batches may stay in line.
    pub fn lease_config(&self) -> &LeaseConfig {
        self.switch.lease_config()
    }

    /// The value of `key`, unless it was never set, was deleted, or its lifetime is over.
    ///
    /// # Errors
    /// None so far: what Redis doesn't give is missing.
    pub async fn get(&self, namespace: Namespace, key: &str) -> Result<Option<Arc<[u8]>>, CacheError> {
        Ok(self.switch.get_many(namespace, &[key.to_owned()]).await.pop().flatten())
    }

    /// Sets the value of `key`, for the namespace's lifetime. In Redis, values of more than 8 MiB aren't kept.
    ///
    /// # Errors
    /// None so far.
    pub async fn set(&self, namespace: Namespace, key: &str, value: impl Into<Arc<[u8]>>) -> Result<(), CacheError> {
        self.switch.set_many(namespace, vec![(key.to_owned(), value.into())]).await;
        Ok(())
    }

    /// The values of `keys`, in their order.
    ///
    /// # Errors
    /// None so far: what Redis doesn't give is missing.
    pub async fn get_many(&self, namespace: Namespace, keys: &[String]) -> Result<Vec<Option<Arc<[u8]>>>, CacheError> {
        Ok(self.switch.get_many(namespace, keys).await)
    }

    /// Sets the values of many keys, for the namespace's lifetime.
    ///
    /// # Errors
    /// None so far.
    pub async fn set_many(&self, namespace: Namespace, values: Values) -> Result<(), CacheError> {
        self.switch.set_many(namespace, values).await;
        Ok(())
    }

    /// Forgets the value of `key`; gives whether there was one.
    ///
    /// # Errors
    /// None so far.
    pub async fn delete(&self, namespace: Namespace, key: &str) -> Result<bool, CacheError> {
        Ok(self.switch.delete(namespace, key).await)
    }

    /// Forgets every value of a namespace, and its lines; in Redis, the lines that this process waits in. Owners of
    /// batches in such a line see that theirs is gone.
    ///
    /// # Errors
    /// None so far.
    pub async fn clear_namespace(&self, namespace: Namespace) -> Result<(), CacheError> {
        self.switch.clear(namespace).await;
        Ok(())
    }

    /// Counts of every namespace: hits and misses of this process, entries and bytes wherever they live.
    ///
    /// # Errors
    /// None so far.
    pub async fn get_stats(&self) -> Result<Vec<(Namespace, NamespaceStats)>, CacheError> {
        Ok(self.switch.stats().await)
    }

    /// Puts a batch at the end of the line `key`, or joins it into the one that its owner has waiting there. It stays
    /// in line as long as its owner asks for the head again before the lease is over.
    ///
    /// # Errors
    /// When the line is full.
    pub async fn enqueue_item(
        &self,
        namespace: Namespace,
        key: &str,
        batch: SyncBatch,
    ) -> Result<Enqueued, CacheError> {
        self.switch.enqueue(&QueueKey::new(namespace, key), batch).await
    }

    /// The line `key`, head first.
    ///
    /// # Errors
    /// None so far.
    pub async fn get_queue(&self, namespace: Namespace, key: &str) -> Result<QueueItems, CacheError> {
        Ok(self.switch.queue(&QueueKey::new(namespace, key)).await)
    }

    /// Takes a batch out of the line `key`, whatever it is doing; gives whether it was there.
    ///
    /// # Errors
    /// None so far.
    pub async fn remove_item(&self, namespace: Namespace, key: &str, id: BatchId) -> Result<bool, CacheError> {
        Ok(self.switch.leave(&QueueKey::new(namespace, key), id).await)
    }

    /// Lets a batch sync if it is at the head of the line `key`, and keeps it in line for another lease.
    ///
    /// # Errors
    /// None so far.
    pub async fn claim_head(&self, namespace: Namespace, key: &str, id: BatchId) -> Result<Claim, CacheError> {
        Ok(self.switch.claim(&QueueKey::new(namespace, key), id).await)
    }

    /// Renews the lease of the batch at the head of the line `key`; `None` when it is lost, and nothing may be
    /// committed under it any more.
    ///
    /// # Errors
    /// None so far.
    pub async fn renew_lease(
        &self,
        namespace: Namespace,
        key: &str,
        id: BatchId,
        lease: &Lease,
    ) -> Result<Option<Lease>, CacheError> {
        Ok(self.switch.renew(&QueueKey::new(namespace, key), id, lease).await)
    }

    /// Whether a lease is still worth something, without asking the line: it is fresh, and the line that gave it counts.
    pub fn is_held(&self, lease: &Lease) -> bool {
        lease.is_fresh() && self.switch.is_current(lease)
    }

    /// Tokens given from now on are above this one.
    pub fn raise_token_floor(&self, token: FencingToken) {
        self.switch.raise_floor(token);
    }

    /// Wakes up on every change of the line `key`. Subscribe before looking at the line, and no change is missed.
    pub fn subscribe(&self, namespace: Namespace, key: &str) -> watch::Receiver<QueueChange> {
        self.switch.notifier().subscribe(QueueKey::new(namespace, key))
    }
}

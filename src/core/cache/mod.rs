//! `CacheManager`: values and queues in namespaces, the caller not knowing where they live.
//!
//! [`mod@queue`] says what a queue is. `local` keeps queues in this process, `redis` on a server; `queues` uses those that
//! count, by the small state machine in `failover`, which `supervisor` moves. `values` are beside them.

mod backend;
mod failover;
mod local;
pub mod news;
mod notifier;
pub mod queue;
mod queues;
mod redis;
mod report;
mod supervisor;
mod values;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::watch;

use super::settings::{QueueBackend, QueueSettings};
use super::{BatchId, SyncBatch};
use backend::Backend;
pub use failover::FailoverState;
use news::{Heard, News, NewsId};
use notifier::QueueKey;
pub use queue::Placement;
use queues::Queues;
#[cfg(any(test, fuzzing))]
pub(crate) use redis::fuzz;
use redis::{NewsError, RedisCache};
pub use report::{CacheReport, Counted};
use values::Values;

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
    /// Queues, by codebase.
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

    /// Its name, minutes that a value lives, and MiB.
    fn row(self) -> (&'static str, u64, u64) {
        match self {
            Namespace::Embeddings => ("embeddings", 2 * 60, 64),
            Namespace::SearchResults => ("search_results", 30, 32),
            Namespace::Metadata => ("metadata", 60, 32),
            Namespace::ProviderResponses => ("provider_responses", 5, 16),
            Namespace::SyncBatches => ("sync_batches", 24 * 60, 8),
        }
    }

    /// Its name in keys and reports.
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// How long a value lives.
    pub fn lifetime(self) -> Duration {
        Duration::from_secs(60 * self.row().1)
    }

    /// Bytes of keys and values it may hold; the least useful go first. Batches never go this way.
    pub fn capacity(self) -> u64 {
        self.row().2 << 20
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where queues and values live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendKind {
    /// In this process.
    Local,
    /// In Redis.
    Redis,
}

/// Batches a queue holds at most. An owner has two at most for each root, so only a fault gets there.
pub const MAX_QUEUE_LENGTH: usize = 10_000;

/// More batches are in a queue than any number of engines would put there.
#[derive(Debug, Error)]
#[error("the queue {key} is full ({MAX_QUEUE_LENGTH} batches); end the engines that flood it")]
pub struct QueueFull {
    /// Which.
    pub key: String,
}

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

/// The right to sync, as long as it is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What commits are made under.
    pub fence: Fence,
    epoch: u64,
}

/// What became of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It is over: nothing may be committed under it any more.
    Lost,
    /// It is held, and no other batch waits for its end.
    Held,
    /// It is held, and other owners, or batches of other roots, wait for its end.
    Awaited,
}

/// How long batches may stay in a queue, and at its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseConfig {
    /// A batch that isn't renewed for this long leaves.
    pub lease: Duration,
    /// A batch that has waited for this long leaves.
    pub stale_after: Duration,
    /// A batch that has held the head for this long goes to the end, if others wait.
    pub slice: Duration,
}

impl LeaseConfig {
    fn of(settings: &QueueSettings) -> LeaseConfig {
        LeaseConfig { lease: settings.lease, stale_after: settings.stale_after, slice: settings.slice }
    }
}

impl Default for LeaseConfig {
    fn default() -> Self {
        LeaseConfig::of(&QueueSettings::default())
    }
}

/// A batch in a queue, as shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueItem {
    /// The batch.
    pub batch: SyncBatch,
    /// Files it covers; `None` for everything.
    pub files: Option<usize>,
    /// Under which it syncs; `None` while it waits.
    pub token: Option<FencingToken>,
    /// It leaves after this, unless its owner renews it.
    pub expires_in: Duration,
}

/// A queue has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueChange {
    /// Grows with each.
    pub changes: u64,
    /// The first batch now; `None` when that isn't known.
    pub head: Option<BatchId>,
}

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

/// Counts of one namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceStats {
    /// `get` found a value.
    pub hits: u64,
    /// `get` found none.
    pub misses: u64,
    /// Values and queues.
    pub entries: u64,
    /// Their bytes, keys included.
    pub bytes: u64,
}

/// A key-value store and queue in namespaces. Cheap to clone; clones are the same cache.
///
/// In Redis while that can be used, in this process while it can't: callers don't notice, but for [`FailoverState`]. What
/// was in a queue in the one isn't in the other; whoever waits asks for the head, learns that its batch is gone, and
/// enqueues it again.
#[derive(Clone)]
pub struct CacheManager {
    queues: Arc<Queues>,
    values: Arc<Values>,
}

impl CacheManager {
    /// A cache in this process.
    pub fn local() -> CacheManager {
        CacheManager::local_with(LeaseConfig::default())
    }

    /// A cache in this process, with these leases.
    pub fn local_with(leases: LeaseConfig) -> CacheManager {
        CacheManager::new(leases, None, FailoverState::local(None))
    }

    /// The cache that the settings want. It connects in the background; whatever goes wrong is said by
    /// [`CacheManager::failover_state`]. Must be called within a Tokio runtime.
    pub fn open(settings: &QueueSettings) -> CacheManager {
        let leases = LeaseConfig::of(settings);
        let config = match (settings.backend, &settings.redis_url) {
            (QueueBackend::Local, _) | (QueueBackend::Auto, None) => return CacheManager::local_with(leases),
            (QueueBackend::Redis, None) => {
                Err("queue.backend is redis, but no Redis is named; set queue.redis_url".to_owned())
            }
            (_, Some(url)) => redis::ConnectionConfig::new(url, settings.redis_ca.as_deref()),
        };
        match config {
            Ok(config) => {
                let redis = Some(RedisCache::new(config));
                let cache = CacheManager::new(leases, redis, FailoverState::connecting());
                tokio::spawn(supervisor::supervise(Arc::downgrade(&cache.queues)));
                cache
            }
            Err(problem) => CacheManager::new(leases, None, FailoverState::local(Some(problem))),
        }
    }

    fn new(leases: LeaseConfig, redis: Option<RedisCache>, state: FailoverState) -> CacheManager {
        let backend = Arc::new(Backend::new(redis, state));
        CacheManager { queues: Arc::new(Queues::new(leases, backend.clone())), values: Arc::new(Values::new(backend)) }
    }

    /// Where queues and values live now. It is known within a second after the cache was opened.
    pub fn backend(&self) -> BackendKind {
        self.queues.backend.state.borrow().backend()
    }

    /// Where queues live, what is wrong with that, and each change of it.
    pub fn failover_state(&self) -> watch::Receiver<FailoverState> {
        self.queues.backend.state.subscribe()
    }

    /// Waits until it is known where queues live, which takes a second at most.
    pub async fn decided(&self) -> FailoverState {
        self.queues.backend.decided().await;
        self.queues.backend.state.borrow().clone()
    }

    /// The URL of its Redis, without secrets; `None` when the settings want none.
    pub fn server(&self) -> Option<&str> {
        self.queues.backend.redis.as_ref().map(|redis| redis.config().redacted())
    }

    /// How long Redis took to answer lately.
    pub fn latency(&self) -> Option<Duration> {
        self.queues.backend.redis.as_ref().filter(|_| self.backend() == BackendKind::Redis)?.latency()
    }

    /// What Redis says of itself; `None` when it can't be asked.
    pub async fn server_facts(&self) -> Option<ServerFacts> {
        self.queues.backend.redis.as_ref()?.facts().await.ok()
    }

    /// How long batches may stay in a queue.
    pub fn lease_config(&self) -> &LeaseConfig {
        &self.queues.leases
    }

    /// The value of `key`, unless it was never set, was deleted, or its lifetime is over. What Redis doesn't give is
    /// missing.
    pub async fn get(&self, namespace: Namespace, key: &str) -> Option<Arc<[u8]>> {
        self.get_many(namespace, &[key.to_owned()]).await.pop().flatten()
    }

    /// Sets the value of `key`, for the namespace's lifetime. In Redis, values of more than 8 MiB aren't kept.
    pub async fn set(&self, namespace: Namespace, key: &str, value: impl Into<Arc<[u8]>>) {
        self.set_many(namespace, vec![(key.to_owned(), value.into())]).await;
    }

    /// The values of `keys`, in their order.
    pub async fn get_many(&self, namespace: Namespace, keys: &[String]) -> Vec<Option<Arc<[u8]>>> {
        self.values.get_many(namespace, keys).await
    }

    /// Sets the values of many keys, for the namespace's lifetime.
    pub async fn set_many(&self, namespace: Namespace, values: Vec<(String, Arc<[u8]>)>) {
        self.values.set_many(namespace, values).await;
    }

    /// Forgets the value of `key`; gives whether there was one.
    pub async fn delete(&self, namespace: Namespace, key: &str) -> bool {
        self.values.delete(namespace, key).await
    }

    /// Forgets every value of a namespace, and its queues; in Redis, the queues that this process waits in. Owners of
    /// batches in such a queue see that theirs is gone.
    pub async fn clear_namespace(&self, namespace: Namespace) {
        self.values.clear(namespace).await;
        self.queues.clear(namespace).await;
    }

    /// Counts of every namespace: hits and misses of this process, entries and bytes wherever they live.
    pub async fn get_stats(&self) -> Vec<(Namespace, NamespaceStats)> {
        let mut all = Vec::new();
        for namespace in Namespace::ALL {
            let mut stats = self.values.stats(namespace).await;
            self.queues.local.count(namespace, &mut stats);
            all.push((namespace, stats));
        }
        all
    }

    /// Puts a batch, which covers so many `files` (`None` for all), at the end of the queue `key`. It stays there as long
    /// as its owner asks for the head again before the lease is over. Another batch of its owner and root that waits
    /// leaves.
    ///
    /// # Errors
    /// When the queue is full.
    pub async fn enqueue_item(
        &self,
        namespace: Namespace,
        key: &str,
        batch: SyncBatch,
        files: Option<usize>,
    ) -> Result<Placement, QueueFull> {
        self.queues.enqueue(&QueueKey::new(namespace, key), batch, files).await
    }

    /// The queue `key`, head first.
    pub async fn get_queue(&self, namespace: Namespace, key: &str) -> Vec<QueueItem> {
        self.queues.list(&QueueKey::new(namespace, key)).await
    }

    /// Takes a batch out of the queue `key`, whatever it is doing; gives whether it was there.
    pub async fn remove_item(&self, namespace: Namespace, key: &str, id: BatchId) -> bool {
        self.queues.leave(&QueueKey::new(namespace, key), id).await
    }

    /// Lets a batch, which covers so many `files` by now, sync if it is at the head of the queue `key`, and keeps it there
    /// for another lease.
    pub async fn claim_head(&self, namespace: Namespace, key: &str, id: BatchId, files: Option<usize>) -> Placement {
        self.queues.claim(&QueueKey::new(namespace, key), id, files).await
    }

    /// Renews the lease of the batch at the head of the queue `key`, unless it is lost.
    pub async fn renew_lease(&self, namespace: Namespace, key: &str, id: BatchId, lease: &Lease) -> Renewal {
        self.queues.renew(&QueueKey::new(namespace, key), id, lease).await
    }

    /// Puts the batch at the head of the queue `key` at its end, where it covers so many `files`, and gives where it is
    /// then. If its owner has another one of that root waiting, which covers these files then, that one goes to the end in
    /// its place, and this one leaves.
    pub async fn end_slice(
        &self,
        namespace: Namespace,
        key: &str,
        id: BatchId,
        lease: &Lease,
        files: Option<usize>,
    ) -> Placement {
        self.queues.end_slice(&QueueKey::new(namespace, key), id, lease, files).await
    }

    /// Tells the others of a tree what changed there; `false` when Redis isn't used now.
    ///
    /// # Errors
    /// One sentence that says what is wrong, and how to fix it.
    pub async fn publish_news(&self, tree: &str, news: &News) -> Result<bool, String> {
        let backend = &self.queues.backend;
        let Some(redis) = backend.shared().await else { return Ok(false) };
        self.exchanged(redis.publish_news(&news_key(tree), news).await).map(|done| done.is_some())
    }

    /// What others have told of a tree after `last`, or the newest, where that is `None`; nothing when Redis isn't used
    /// now.
    ///
    /// # Errors
    /// One sentence that says what is wrong, and how to fix it.
    pub async fn news_after(&self, tree: &str, last: Option<NewsId>) -> Result<Option<Heard>, String> {
        let Some(redis) = self.queues.backend.shared().await else { return Ok(None) };
        self.exchanged(redis.news_after(&news_key(tree), last).await)
    }

    /// Wakes up when there may be news of a tree.
    pub fn subscribe_news(&self, tree: &str) -> watch::Receiver<QueueChange> {
        self.queues.backend.notifier.subscribe(news_key(tree))
    }

    fn exchanged<T>(&self, answer: Result<T, NewsError>) -> Result<Option<T>, String> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(NewsError::Cut) => {
                self.queues.backend.suspected.notify_one();
                Ok(None)
            }
            Err(NewsError::Refused(sentence)) => Err(sentence),
        }
    }

    /// Tokens given from now on are above this one.
    pub fn raise_token_floor(&self, token: FencingToken) {
        self.queues.raise_floor(token);
    }

    /// Wakes up on every change of the queue `key`. Subscribe before asking the queue, and no change is missed.
    pub fn subscribe(&self, namespace: Namespace, key: &str) -> watch::Receiver<QueueChange> {
        self.queues.backend.notifier.subscribe(QueueKey::new(namespace, key))
    }
}

/// Where the news of a tree are: beside the queues, under a name that no codebase has.
fn news_key(tree: &str) -> QueueKey {
    QueueKey::new(Namespace::SyncBatches, &format!("news:{tree}"))
}

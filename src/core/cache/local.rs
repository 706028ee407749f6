//! The cache in this process, on Moka.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use moka::future::Cache;
use moka::ops::compute::Op;
use tokio::time::Instant;

use super::notifier::{Notifier, QueueKey};
use super::queue::{Moment, Place, Queue, TokenGenerator};
use super::{BatchId, FencingToken, LeaseConfig, Namespace, NamespaceStats, QueueItem, QueueItems, SyncBatch};

/// Values and lines of this process.
pub(super) struct LocalCache {
    values: HashMap<Namespace, Values>,
    /// Without a bound and a lifetime, which would let a batch be evicted: a line goes when it is empty.
    lines: Cache<QueueKey, Arc<Queue>>,
    /// Lines' clock starts here: it doesn't go back, and stands still while the machine sleeps.
    started: Instant,
    last_token: Mutex<FencingToken>,
    notifier: Arc<Notifier>,
}

struct Values {
    cache: Cache<String, Arc<[u8]>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl LocalCache {
    pub(super) fn new(notifier: Arc<Notifier>) -> LocalCache {
        let values = Namespace::ALL.map(|namespace| {
            let cache = Cache::builder()
                .weigher(|key: &String, value: &Arc<[u8]>| u32::try_from(key.len() + value.len()).unwrap_or(u32::MAX))
                .max_capacity(namespace.capacity())
                .time_to_live(namespace.lifetime())
                .build();
            (namespace, Values { cache, hits: AtomicU64::new(0), misses: AtomicU64::new(0) })
        });
        LocalCache {
            values: values.into(),
            lines: Cache::builder().build(),
            started: Instant::now(),
            last_token: Mutex::default(),
            notifier,
        }
    }

    fn values(&self, namespace: Namespace) -> &Values {
        // Every namespace is a key from the beginning on.
        &self.values[&namespace]
    }

    pub(super) async fn get(&self, namespace: Namespace, key: &str) -> Option<Arc<[u8]>> {
        let values = self.values(namespace);
        let value = values.cache.get(key).await;
        self.count(namespace, std::slice::from_ref(&value));
        value
    }

    /// Counts what was found and what wasn't, here or elsewhere.
    pub(super) fn count(&self, namespace: Namespace, found: &[Option<Arc<[u8]>>]) {
        let values = self.values(namespace);
        let hits = found.iter().flatten().count();
        values.hits.fetch_add(hits as u64, Ordering::Relaxed);
        values.misses.fetch_add((found.len() - hits) as u64, Ordering::Relaxed);
    }

    pub(super) async fn set(&self, namespace: Namespace, key: &str, value: Arc<[u8]>) {
        self.values(namespace).cache.insert(key.to_owned(), value).await;
    }

    pub(super) async fn delete(&self, namespace: Namespace, key: &str) -> bool {
        self.values(namespace).cache.remove(key).await.is_some()
    }

    pub(super) async fn clear(&self, namespace: Namespace) {
        self.values(namespace).cache.invalidate_all();
        let lines: Vec<_> = self.lines.iter().map(|(line, _)| line).filter(|l| l.namespace == namespace).collect();
        for line in lines {
            self.lines.invalidate(&*line).await;
            self.notifier.notify(&line, None);
        }
    }

    pub(super) fn stats(&self, namespace: Namespace) -> NamespaceStats {
        let values = self.values(namespace);
        // Walked rather than asked of the cache, whose own counts lag behind.
        let mut stats = NamespaceStats {
            hits: values.hits.load(Ordering::Relaxed),
            misses: values.misses.load(Ordering::Relaxed),
            ..NamespaceStats::default()
        };
        for (key, value) in &values.cache {
            stats.entries += 1;
            stats.bytes += (key.len() + value.len()) as u64;
        }
        for (line, queue) in self.lines.iter().filter(|(line, _)| line.namespace == namespace) {
            stats.entries += 1;
            stats.bytes += (line.key.len() + queue.len() * size_of::<QueueItem>()) as u64;
        }
        stats
    }

    fn now(&self) -> Moment {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX / 2)
    }

    /// The next token: above all that were given here, above `floor`, and beginning at the microsecond of today, so that
    /// it is above those of earlier processes too.
    fn next_token(&self, floor: FencingToken) -> FencingToken {
        let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let mut last = self.last_token.lock().unwrap_or_else(PoisonError::into_inner);
        let next = u64::try_from(today).unwrap_or(0).max(last.0 + 1).max(floor.0 + 1);
        *last = FencingToken(next);
        *last
    }

    /// One atomic change of a line, by the line's clock.
    async fn change<R>(&self, line: &QueueKey, change: impl FnOnce(&mut Queue, Moment) -> R) -> R {
        let mut answer = None;
        let mut notified = None;
        self.lines
            .entry_by_ref(line)
            .and_compute_with(|entry| {
                let before = entry.map(|entry| entry.into_value());
                let mut after = before.as_deref().cloned().unwrap_or_default();
                answer = Some(change(&mut after, self.now()));
                let changes = before.as_deref().map_or(0, Queue::changes);
                notified = (changes != after.changes()).then(|| after.head());
                let op = match before {
                    Some(before) if *before == after => Op::Nop,
                    None if after.is_empty() => Op::Nop,
                    Some(_) if after.is_empty() => Op::Remove,
                    _ => Op::Put(Arc::new(after)),
                };
                std::future::ready(op)
            })
            .await;
        if let Some(head) = notified {
            self.notifier.notify(line, head);
        }
        match answer {
            Some(answer) => answer,
            // Moka calls the closure before it gives its result.
            None => unreachable!("an entry's closure runs exactly once"),
        }
    }

    /// Puts a batch in line. Without `grants` it gets no turn yet.
    pub(super) async fn enqueue(
        &self,
        line: &QueueKey,
        config: &LeaseConfig,
        batch: SyncBatch,
        floor: FencingToken,
        grants: bool,
    ) -> Place {
        self.change(line, |line, now| {
            line.enqueue(now, config, batch, generator(grants, &mut || self.next_token(floor)))
        })
        .await
    }

    pub(super) async fn claim(
        &self,
        line: &QueueKey,
        config: &LeaseConfig,
        id: BatchId,
        floor: FencingToken,
        grants: bool,
    ) -> Place {
        self.change(line, |line, now| line.claim(now, config, id, generator(grants, &mut || self.next_token(floor))))
            .await
    }

    pub(super) async fn renew(&self, line: &QueueKey, config: &LeaseConfig, id: BatchId, token: FencingToken) -> bool {
        self.change(line, |line, now| line.renew(now, config, id, token)).await
    }

    pub(super) async fn leave(&self, line: &QueueKey, config: &LeaseConfig, id: BatchId) -> bool {
        self.change(line, |line, now| line.leave(now, config, id)).await
    }

    pub(super) async fn queue(&self, line: &QueueKey) -> QueueItems {
        let now = self.now();
        self.lines.get(line).await.map_or_else(Vec::new, |line| line.items(now))
    }

    /// Whether a batch syncs in any line.
    pub(super) fn is_syncing(&self) -> bool {
        let now = self.now();
        self.lines.iter().any(|(_, line)| line.is_syncing(now))
    }

    /// Forgets all lines.
    pub(super) fn forget_queues(&self) {
        self.lines.invalidate_all();
    }
}

fn generator<'a>(grants: bool, next_token: &'a mut dyn FnMut() -> FencingToken) -> TokenGenerator<'a> {
    if grants { Some(next_token) } else { None }
}

/// How long after `started` a lease that was asked for then may be trusted: a tenth is kept for clocks that run at
/// different speeds.
pub(super) fn trusted(started: Instant, lease: Duration) -> Instant {
    started + lease - lease / 10
}

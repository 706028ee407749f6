//! The cache in this process, on Moka.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use moka::future::Cache;
use moka::ops::compute::Op;
use tokio::sync::watch;

use super::{
    BatchId, BatchState, CacheError, Claim, Enqueued, FencingToken, LONGEST_LINE, Namespace, NamespaceStats, Queue,
    QueueItem, SyncBatch, UnixMillis,
};

/// Values and lines of this process.
pub(super) struct LocalCache {
    values: HashMap<Namespace, Values>,
    /// Without a bound and a lifetime, which would let a batch be evicted: a line goes when it is empty.
    lines: Cache<Line, Arc<Queue>>,
    next_token: AtomicU64,
    /// Those who wait for a change of a line.
    subscribers: Mutex<HashMap<Line, watch::Sender<u64>>>,
}

struct Values {
    cache: Cache<String, Arc<[u8]>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Line {
    namespace: Namespace,
    key: String,
}

impl LocalCache {
    pub(super) fn new() -> LocalCache {
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
            next_token: AtomicU64::new(1),
            subscribers: Mutex::default(),
        }
    }

    fn values(&self, namespace: Namespace) -> &Values {
        // Every namespace is a key from the beginning on.
        &self.values[&namespace]
    }

    pub(super) async fn get(&self, namespace: Namespace, key: &str) -> Option<Arc<[u8]>> {
        let values = self.values(namespace);
        let value = values.cache.get(key).await;
        let count = if value.is_some() { &values.hits } else { &values.misses };
        count.fetch_add(1, Ordering::Relaxed);
        value
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
            self.change(&line, |_| (Vec::new(), true)).await;
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

    /// One atomic change of a line: `change` gets the line as it is and gives it back as it shall be, with an answer.
    async fn change<R>(&self, line: &Line, change: impl FnOnce(Queue) -> (Queue, R)) -> R {
        let mut answer = None;
        let mut changed = false;
        self.lines
            .entry(line.clone())
            .and_compute_with(|entry| {
                let before = entry.map(|entry| entry.into_value());
                let (queue, given) = change(before.as_deref().cloned().unwrap_or_default());
                answer = Some(given);
                changed = before.as_deref().map_or(!queue.is_empty(), |before| *before != queue);
                let op = match () {
                    () if !changed => Op::Nop,
                    () if queue.is_empty() => Op::Remove,
                    () => Op::Put(Arc::new(queue)),
                };
                std::future::ready(op)
            })
            .await;
        if changed {
            self.wake(line);
        }
        match answer {
            Some(answer) => answer,
            // Moka calls the closure before it gives its result.
            None => unreachable!("an entry's closure runs exactly once"),
        }
    }

    pub(super) async fn enqueue(
        &self,
        namespace: Namespace,
        key: &str,
        batch: SyncBatch,
    ) -> Result<Enqueued, CacheError> {
        let line = Line { namespace, key: key.to_owned() };
        self.change(&line, |mut queue| {
            let waits = |item: &Arc<QueueItem>| item.state == BatchState::Waiting && item.batch.owner == batch.owner;
            if let Some(item) = queue.iter_mut().find(|item| waits(item)) {
                let item = Arc::make_mut(item);
                item.batch.dirty.join(batch.dirty);
                let joined = Enqueued::Joined { batch: item.batch.id };
                return (queue, Ok(joined));
            }
            if queue.len() >= LONGEST_LINE {
                return (queue, Err(CacheError::LineFull { key: key.to_owned() }));
            }
            let position = queue.len();
            queue.push(Arc::new(QueueItem { batch, state: BatchState::Waiting }));
            (queue, Ok(Enqueued::InLine { position }))
        })
        .await
    }

    pub(super) async fn queue(&self, namespace: Namespace, key: &str) -> Queue {
        let line = Line { namespace, key: key.to_owned() };
        self.lines.get(&line).await.as_deref().cloned().unwrap_or_default()
    }

    pub(super) async fn remove(&self, namespace: Namespace, key: &str, id: BatchId) -> bool {
        let line = Line { namespace, key: key.to_owned() };
        self.change(&line, |mut queue| {
            let before = queue.len();
            queue.retain(|item| item.batch.id != id);
            let removed = queue.len() < before;
            (queue, removed)
        })
        .await
    }

    pub(super) async fn claim(&self, namespace: Namespace, key: &str, id: BatchId) -> Claim {
        let line = Line { namespace, key: key.to_owned() };
        self.change(&line, |mut queue| {
            let claim = match queue.iter().position(|item| item.batch.id == id) {
                None => Claim::Gone,
                Some(position @ 1..) => Claim::Waiting { position },
                Some(0) => {
                    let item = Arc::make_mut(&mut queue[0]);
                    let token = match item.state {
                        BatchState::Syncing(token) => token,
                        BatchState::Waiting => FencingToken(self.next_token.fetch_add(1, Ordering::Relaxed)),
                    };
                    item.state = BatchState::Syncing(token);
                    Claim::Head { batch: item.batch.clone(), token }
                }
            };
            (queue, claim)
        })
        .await
    }

    pub(super) async fn sweep(&self, namespace: Namespace, key: &str, oldest: UnixMillis) -> usize {
        let line = Line { namespace, key: key.to_owned() };
        self.change(&line, |mut queue| {
            let before = queue.len();
            queue.retain(|item| item.state != BatchState::Waiting || item.batch.created_at >= oldest);
            let swept = before - queue.len();
            (queue, swept)
        })
        .await
    }

    pub(super) fn subscribe(&self, namespace: Namespace, key: &str) -> watch::Receiver<u64> {
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.retain(|_, sender| sender.receiver_count() > 0);
        let line = Line { namespace, key: key.to_owned() };
        subscribers.entry(line).or_insert_with(|| watch::channel(0).0).subscribe()
    }

    fn wake(&self, line: &Line) {
        let subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = subscribers.get(line) {
            sender.send_modify(|changes| *changes += 1);
        }
    }
}

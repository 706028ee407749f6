//! Queues of this process, on Moka.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use moka::future::Cache;
use moka::ops::compute::Op;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::notifier::{Notifier, QueueKey};
use super::queue::{Moment, Queue, QueueOp, Reply};
use super::{FencingToken, LeaseConfig, Namespace, NamespaceStats, QueueItem};

/// Queues of this process.
pub(super) struct LocalQueues {
    /// Without a bound and a lifetime, which would let a batch be evicted: a queue goes when it is empty.
    queues: Cache<QueueKey, Arc<Queue>>,
    /// Queues' clock starts here: it doesn't go back, and stands still while the machine sleeps.
    started: Instant,
    last_token: Mutex<FencingToken>,
    notifier: Arc<Notifier>,
}

impl LocalQueues {
    pub(super) fn new(notifier: Arc<Notifier>) -> LocalQueues {
        let queues = Cache::builder().build();
        LocalQueues { queues, started: Instant::now(), last_token: Mutex::default(), notifier }
    }

    fn now(&self) -> Moment {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX / 2)
    }

    /// The next token: above all that were given here, above `floor`, and beginning at the microsecond of today, so that
    /// it is above those of earlier processes too.
    fn next_token(&self, floor: FencingToken) -> FencingToken {
        let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let mut last = self.last_token.lock();
        *last = FencingToken(u64::try_from(today).unwrap_or(0).max(last.0 + 1).max(floor.0 + 1));
        *last
    }

    /// Does one thing with a queue, atomically. Tokens that it gives are above `floor`; without one, it gives none.
    pub(super) async fn run(
        &self,
        key: &QueueKey,
        leases: &LeaseConfig,
        op: &QueueOp,
        floor: Option<FencingToken>,
    ) -> Reply {
        if let QueueOp::List = op {
            let queue = self.queues.get(key).await;
            return Reply::Items(queue.map_or_else(Vec::new, |queue| queue.items(self.now())));
        }
        let (mut reply, mut changed) = (None, None);
        self.queues
            .entry_by_ref(key)
            .and_compute_with(|entry| {
                let before = entry.map(|entry| entry.into_value());
                let mut after = before.as_deref().cloned().unwrap_or_default();
                // Given in the order in which batches come to the head: whoever is here is alone.
                let grant = floor.map(|floor| self.next_token(floor));
                reply = Some(after.apply(self.now(), leases, op, grant));
                let changes = before.as_deref().map_or(0, Queue::changes);
                changed = (changes != after.changes()).then(|| after.head());
                std::future::ready(match before {
                    Some(before) if *before == after => Op::Nop,
                    None if after.is_empty() => Op::Nop,
                    Some(_) if after.is_empty() => Op::Remove,
                    _ => Op::Put(Arc::new(after)),
                })
            })
            .await;
        if let Some(head) = changed {
            self.notifier.notify(key, head);
        }
        match reply {
            Some(reply) => reply,
            // Moka calls the closure before it gives its result.
            None => unreachable!("an entry's closure runs exactly once"),
        }
    }

    /// Whether a batch syncs in any queue.
    pub(super) fn is_syncing(&self) -> bool {
        let now = self.now();
        self.queues.iter().any(|(_, queue)| queue.is_syncing(now))
    }

    /// Forgets all queues.
    pub(super) fn forget(&self) {
        self.queues.invalidate_all();
    }

    /// Forgets the queues of a namespace. Their owners see that their batches are gone.
    pub(super) async fn clear(&self, namespace: Namespace) {
        let keys: Vec<_> = self.queues.iter().map(|(key, _)| key).filter(|key| key.namespace == namespace).collect();
        for key in keys {
            self.queues.invalidate(&*key).await;
            self.notifier.notify(&key, None);
        }
    }

    /// Adds the queues of a namespace to its counts.
    pub(super) fn count(&self, namespace: Namespace, stats: &mut NamespaceStats) {
        for (key, queue) in self.queues.iter().filter(|(key, _)| key.namespace == namespace) {
            stats.entries += 1;
            stats.bytes += (key.key.len() + queue.len() * size_of::<QueueItem>()) as u64;
        }
    }
}

//! Queues: in Redis while that can be used, in this process while it can't.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;

use super::backend::Backend;
use super::failover::Mode;
use super::local::LocalQueues;
use super::notifier::QueueKey;
use super::queue::{Placement, QueueOp, Reply};
use super::{BatchId, Fence, FencingToken, Lease, LeaseConfig, Namespace, QueueFull, QueueItem, Renewal, SyncBatch};

/// Above any token that a clock gives in the next centuries, and exact as a floating-point number.
const MAX_FLOOR: u64 = 1 << 52;

/// Queues, wherever they are now.
pub(super) struct Queues {
    pub(super) backend: Arc<Backend>,
    pub(super) local: LocalQueues,
    pub(super) leases: LeaseConfig,
    /// The highest token seen so far.
    floor: AtomicU64,
    /// Names the queues of this process.
    process: u64,
}

/// What a queue answered, the epoch in which it did, and whether it is in Redis.
type Answer = (Reply, u64, bool);

impl Queues {
    pub(super) fn new(leases: LeaseConfig, backend: Arc<Backend>) -> Queues {
        let (local, process) = (LocalQueues::new(backend.notifier.clone()), uuid::Uuid::new_v4().as_u64_pair().0);
        Queues { backend, local, leases, floor: AtomicU64::new(0), process }
    }

    /// Tokens given from now on are above this one.
    pub(super) fn raise_floor(&self, token: FencingToken) {
        self.floor.fetch_max(token.0.min(MAX_FLOOR), Ordering::Relaxed);
    }

    async fn run(&self, key: &QueueKey, op: QueueOp) -> Answer {
        let floor = FencingToken(self.floor.load(Ordering::Relaxed));
        let mut has_reconnected = false;
        loop {
            let (mode, epoch) = self.backend.decided().await;
            let (Some(redis), Mode::Shared) = (&self.backend.redis, mode) else {
                let floor = Some(floor).filter(|_| mode != Mode::Returning);
                let reply = self.local.run(key, &self.leases, &op, floor).await;
                // Redis may have been joined meanwhile, and what is here forgotten: this would stay behind.
                if self.backend.now().0 == Mode::Shared {
                    self.local.forget();
                }
                return (reply, epoch, false);
            };
            let connection = redis.connection_number();
            match redis.run_on_queue(key, &self.leases, &op, floor).await {
                Ok(reply) => return (reply, epoch, true),
                Err(error) => {
                    redis.drop_connection(connection);
                    self.backend.suspected.notify_one();
                    let may_reconnect = error.dropped && !std::mem::replace(&mut has_reconnected, true);
                    if !(may_reconnect && self.backend.reconnected(redis).await) {
                        self.backend.cut(epoch, &error.sentence);
                    }
                }
            }
        }
    }

    pub(super) async fn enqueue(
        &self,
        key: &QueueKey,
        batch: SyncBatch,
        files: Option<usize>,
    ) -> Result<Placement, QueueFull> {
        match self.run(key, QueueOp::Enqueue(batch, files)).await {
            (Reply::Full, ..) => Err(QueueFull { key: key.key.clone() }),
            answer => Ok(self.placement(key, answer)),
        }
    }

    pub(super) async fn claim(&self, key: &QueueKey, id: BatchId, files: Option<usize>) -> Placement {
        let answer = self.run(key, QueueOp::Claim(id, files)).await;
        self.placement(key, answer)
    }

    /// What the head holds is a lease.
    fn placement(&self, key: &QueueKey, (reply, epoch, is_shared): Answer) -> Placement {
        match reply {
            Reply::Placed(Placement::Head(token)) => {
                self.raise_floor(token);
                // Names the queue, so that tokens of different ones aren't compared.
                let process = if is_shared { 0 } else { self.process };
                let queue = xxh3_64(format!("{process:x}:{}:{}", key.namespace, key.key).as_bytes());
                Placement::Head(Lease { fence: Fence { queue, token }, epoch })
            }
            Reply::Placed(Placement::Waiting { position, head_expires_in }) => {
                Placement::Waiting { position, head_expires_in }
            }
            _ => Placement::Gone,
        }
    }

    /// Whether the lease is held still, and others wait for its end. It isn't when another queue counts than the one that
    /// gave it.
    pub(super) async fn renew(&self, key: &QueueKey, id: BatchId, lease: &Lease) -> Renewal {
        if self.backend.now().1 != lease.epoch {
            return Renewal::Lost;
        }
        let (reply, epoch, _) = self.run(key, QueueOp::Renew(id, lease.fence.token)).await;
        match reply {
            Reply::Renewed { others_wait } if epoch == lease.epoch && self.backend.now().1 == lease.epoch => {
                if others_wait {
                    Renewal::Awaited
                } else {
                    Renewal::Held
                }
            }
            _ => Renewal::Lost,
        }
    }

    pub(super) async fn end_slice(
        &self,
        key: &QueueKey,
        id: BatchId,
        lease: &Lease,
        files: Option<usize>,
    ) -> Placement {
        let answer = self.run(key, QueueOp::EndSlice(id, lease.fence.token, files)).await;
        self.placement(key, answer)
    }

    pub(super) async fn leave(&self, key: &QueueKey, id: BatchId) -> bool {
        self.run(key, QueueOp::Leave(id)).await.0 == Reply::Done(true)
    }

    /// Forgets the queues of a namespace; in Redis, those that this process waits in.
    pub(super) async fn clear(&self, namespace: Namespace) {
        self.local.clear(namespace).await;
        if let Some(redis) = self.backend.shared().await {
            for key in self.backend.notifier.subscribed().iter().filter(|key| key.namespace == namespace) {
                self.backend.unless_failed(redis.clear_queue(key).await);
            }
        }
    }

    pub(super) async fn list(&self, key: &QueueKey) -> Vec<QueueItem> {
        match self.run(key, QueueOp::List).await.0 {
            Reply::Items(items) => items,
            _ => Vec::new(),
        }
    }
}

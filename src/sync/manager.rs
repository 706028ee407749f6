//! The manager of one owner's batches.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::core::cache::{
    CacheManager, Fence, FencingToken, Lease, Namespace, Placement, QueueChange, QueueItem, Renewal,
};
use crate::core::{BatchId, Codebase, CodebaseId, CodebaseRoot, Dirty, Owner, SyncBatch, UnixMillis};

/// Where batches are queued.
const QUEUES: Namespace = Namespace::SyncBatches;
/// How long a waiting batch trusts its wake-ups before it asks the queue by itself.
const POLL: Duration = Duration::from_secs(5);
/// How often a batch is enqueued again when it loses its place or its lease.
const MAX_RETURNS: u32 = 8;

/// What a batch syncs.
pub trait SyncTarget: Send + Sync + 'static {
    /// The codebase it belongs to.
    fn codebase(&self) -> &Codebase;

    /// Brings the index up to date with `dirty`, which `batch` covers. Called at the head of the queue only; one call at a
    /// time for a queue. It must end soon after `head.cancel` says so. Once `head.give_way` says so, it is to commit what it
    /// has done, something at least, and to say what is left: it is called again with that when the others have had their
    /// turn.
    ///
    /// # Errors
    /// One sentence that says what went wrong and how to fix it.
    fn sync(
        self: Arc<Self>,
        batch: SyncBatch,
        dirty: Dirty,
        head: Head,
    ) -> impl Future<Output = Result<Synced, String>> + Send;

    /// The highest token that anything was committed under: new ones must be above it.
    fn last_token(&self) -> FencingToken {
        FencingToken::default()
    }
}

/// What a syncing batch holds: the head of its queue, as long as the lease is renewed. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Head {
    /// Grows with each head of the queue.
    pub token: FencingToken,
    /// The sync is to end: its owner says so, or the lease is lost.
    pub cancel: CancellationToken,
    /// The slice is over and others wait.
    pub give_way: CancellationToken,
    /// Files that the batch's earlier slices did.
    pub files_before: usize,
    slice_end: Instant,
    lease: Lease,
    cache: CacheManager,
    codebase: CodebaseId,
    batch: BatchId,
}

/// The lease is over before the batch was: another may be syncing, so nothing may be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lease at the head of the queue was lost; the batch is enqueued again")]
pub struct LeaseLost;

impl Head {
    /// Asks the queue whether the lease is still held, and renews it; to be asked right before each commit, which is then
    /// made under the fence it gives.
    ///
    /// # Errors
    /// When the lease is lost, or the sync was cancelled. It is cancelled then.
    pub async fn confirm(&self) -> Result<Fence, LeaseLost> {
        let is_over = || self.cancel.is_cancelled();
        let renewal = match is_over() {
            true => Renewal::Lost,
            false => self.cache.renew_lease(QUEUES, self.codebase.as_str(), self.batch, &self.lease).await,
        };
        // Unless it was given up meanwhile.
        if renewal == Renewal::Lost || is_over() {
            self.give_up();
            return Err(LeaseLost);
        }
        if renewal == Renewal::Awaited && Instant::now() >= self.slice_end {
            self.give_way.cancel();
        }
        Ok(self.lease.fence)
    }

    /// The lease is lost: nothing may be committed any more.
    pub fn give_up(&self) {
        self.cancel.cancel();
    }
}

/// What a sync did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// Files that were read anew, or found to be gone.
    pub files: usize,
    /// What is left to be done, since others wait; `None` when all is done.
    pub rest: Option<Dirty>,
}

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncStatus {
    /// It was synced.
    Synced,
    /// It wasn't: its changes are still to be synced.
    Failed,
    /// It left the queue without being synced (cancelled, or too old): its changes are still to be synced.
    Superseded,
}

/// How a batch ended, and how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncOutcome {
    /// The batch.
    pub id: BatchId,
    /// How it ended.
    pub status: SyncStatus,
    /// Files it covered; `None` for everything.
    pub covered: Option<usize>,
    /// Files that were read anew, or found to be gone.
    pub files: usize,
    /// How often it was enqueued again, since it had lost its place or its lease.
    pub returns: u32,
    /// Time in the queue when it wasn't at the head.
    pub waited: Duration,
    /// Time of the sync itself, over all slices.
    pub took: Duration,
    /// When it left the queue.
    pub finished_at: UnixMillis,
    /// What went wrong.
    pub error: Option<String>,
}

impl SyncOutcome {
    /// Of a batch that wasn't synced.
    pub fn unsynced(id: BatchId, status: SyncStatus, error: Option<String>) -> SyncOutcome {
        let (files, returns, time, finished_at) = (0, 0, Duration::ZERO, UnixMillis::now());
        SyncOutcome { id, status, covered: None, files, returns, waited: time, took: time, finished_at, error }
    }
}

/// Queues one owner's batches and syncs each at the head. Cheap to clone; clones are the same owner.
#[derive(Clone)]
pub struct SyncManager {
    shared: Arc<Shared>,
}

struct Shared {
    cache: CacheManager,
    owner: Owner,
    cancel: CancellationToken,
    /// The batches that wait. One that begins to sync is none of them any more, in the same moment.
    waiting: Mutex<HashMap<MergeKey, Waiting>>,
    /// Number of batches that haven't ended.
    journeys: watch::Sender<usize>,
}

/// An owner's batches merge when they are of one queue and one root.
type MergeKey = (CodebaseId, CodebaseRoot);

/// A batch that waits, and takes in what changes meanwhile.
struct Waiting {
    enqueued: Enqueued,
    dirty: Dirty,
    /// The queue is to learn how much that is.
    merged: Arc<Notify>,
}

/// A batch on its way, and how to learn how it ends.
#[derive(Clone)]
pub struct Enqueued {
    /// Which.
    pub batch: BatchId,
    /// Batches before it when it was enqueued; `None` when the changes were merged into one that waited already.
    pub position: Option<usize>,
    /// When it was enqueued, by this host's clock.
    pub since: UnixMillis,
    /// Files it covers; `None` for everything.
    pub covered: Option<usize>,
    outcome: watch::Receiver<Option<SyncOutcome>>,
}

impl Enqueued {
    /// Waits for the end. A batch that vanished without one (the runtime is shutting down) counts as superseded.
    pub async fn outcome(mut self) -> SyncOutcome {
        let ended = self.outcome.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        ended.unwrap_or_else(|| SyncOutcome::unsynced(self.batch, SyncStatus::Superseded, None))
    }
}

impl SyncManager {
    /// Whether others than the one who asks hold it, a batch on its way included.
    pub fn is_used(&self) -> bool {
        Arc::strong_count(&self.shared) > 1
    }

    /// A manager for `owner`, whose queues live in `cache`.
    pub fn new(cache: CacheManager, owner: Owner) -> SyncManager {
        let (cancel, waiting, journeys) = (CancellationToken::new(), Mutex::default(), watch::channel(0).0);
        SyncManager { shared: Arc::new(Shared { cache, owner, cancel, waiting, journeys }) }
    }

    /// Whose batches these are.
    pub fn owner(&self) -> &Owner {
        &self.shared.owner
    }

    /// Where the queues live.
    pub fn cache(&self) -> &CacheManager {
        &self.shared.cache
    }

    /// The queue of a codebase, head first.
    pub async fn queue(&self, codebase: &CodebaseId) -> Vec<QueueItem> {
        self.shared.cache.get_queue(QUEUES, codebase.as_str()).await
    }

    /// Wakes up on every change of a codebase's queue.
    pub fn watch_queue(&self, codebase: &CodebaseId) -> watch::Receiver<QueueChange> {
        self.shared.cache.subscribe(QUEUES, codebase.as_str())
    }

    /// Syncs `dirty` at the head of the queue. While this owner has a batch waiting for the same codebase and root, the
    /// changes are merged into that one, and its outcome is given. The batch goes on when the caller stops waiting for it.
    pub async fn sync_codebase<T: SyncTarget>(&self, target: Arc<T>, dirty: Dirty) -> SyncOutcome {
        self.enqueue(target, dirty).await.outcome().await
    }

    /// The first half of [`SyncManager::sync_codebase`]: enqueues the batch, which goes its way by itself.
    pub async fn enqueue<T: SyncTarget>(&self, target: Arc<T>, dirty: Dirty) -> Enqueued {
        let (shared, codebase) = (self.shared.clone(), target.codebase());
        let key = (codebase.id.clone(), codebase.root.clone());
        let batch = SyncBatch::new(codebase.root.as_path().to_owned(), shared.owner.clone());
        let changes = shared.cache.subscribe(QUEUES, codebase.id.as_str());
        let (publish, outcome) = watch::channel(None);
        let (merged, covered) = (Arc::<Notify>::default(), dirty.len());
        let mut enqueued = Enqueued { batch: batch.id, position: None, since: batch.created_at, covered, outcome };
        let waiting = Waiting { enqueued: enqueued.clone(), dirty, merged: merged.clone() };
        if let Some(other) = shared.wait_or_merge(&key, waiting) {
            return other;
        }
        let (entered, handle) = (Instant::now(), enqueued.clone());
        let (returns, took, files, has_synced) = (0, Duration::ZERO, 0, false);
        let journey = Journey {
            shared,
            key,
            batch,
            handle,
            entered,
            merged,
            changes,
            publish,
            returns,
            covered,
            took,
            files,
            has_synced,
        };
        // Its own task, so that neither a caller that gives up nor one that panics leaves it without an owner.
        let (tell, position) = oneshot::channel();
        journey.shared.journeys.send_modify(|journeys| *journeys += 1);
        tokio::spawn(journey.run(target, tell));
        enqueued.position = position.await.ok();
        enqueued
    }

    /// Cancels every batch of this owner: those that wait leave the queue, those that sync end soon.
    pub fn cancel_all(&self) {
        self.shared.cancel.cancel();
    }

    /// Waits until no batch of this owner is in a queue, but not for longer than `limit`.
    pub async fn left_all(&self, limit: Duration) {
        let mut journeys = self.shared.journeys.subscribe();
        // Those that haven't by then leave when their lease is over.
        let _ = tokio::time::timeout(limit, journeys.wait_for(|journeys| *journeys == 0)).await;
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, HashMap<MergeKey, Waiting>> {
        self.waiting.lock()
    }

    /// Has a batch wait, or merges it into the one that waits already, which is given.
    fn wait_or_merge(&self, key: &MergeKey, new: Waiting) -> Option<Enqueued> {
        let mut waiting = self.waiting();
        let Some(other) = waiting.get_mut(key) else {
            waiting.insert(key.clone(), new);
            return None;
        };
        other.dirty.join(new.dirty);
        other.enqueued.covered = other.dirty.len();
        other.merged.notify_one();
        Some(other.enqueued.clone())
    }

    /// Has a batch wait no more, and gives all that it covers. What changes from now on is for another batch.
    fn wait_no_more(&self, key: &MergeKey, id: BatchId) -> Dirty {
        let mut waiting = self.waiting();
        match waiting.get(key).is_some_and(|waiting| waiting.enqueued.batch == id) {
            true => waiting.remove(key).map_or_else(Dirty::nothing, |waiting| waiting.dirty),
            false => Dirty::nothing(),
        }
    }
}

/// A batch's way from the end of the queue to its outcome.
struct Journey {
    shared: Arc<Shared>,
    key: MergeKey,
    batch: SyncBatch,
    handle: Enqueued,
    entered: Instant,
    /// More changes were merged into it.
    merged: Arc<Notify>,
    changes: watch::Receiver<QueueChange>,
    publish: watch::Sender<Option<SyncOutcome>>,
    returns: u32,
    covered: Option<usize>,
    /// Time at the head, over all slices.
    took: Duration,
    /// Files that all slices did.
    files: usize,
    /// It has been at the head.
    has_synced: bool,
}

/// How a time at the head ended.
enum Slice {
    /// The lease was lost.
    Lost,
    /// This is left.
    Rest(Lease, Dirty),
    /// With it the batch.
    Last(SyncOutcome),
}

/// However it ends: nothing may be merged into a batch that is nowhere any more.
impl Drop for Journey {
    fn drop(&mut self) {
        self.shared.wait_no_more(&self.key, self.batch.id);
        self.shared.journeys.send_modify(|journeys| *journeys -= 1);
    }
}

impl Journey {
    async fn run<T: SyncTarget>(mut self, target: Arc<T>, tell: oneshot::Sender<usize>) {
        let outcome = self.go(target, tell).await;
        let id = self.batch.id;
        self.shared.wait_no_more(&self.key, id);
        self.shared.cache.remove_item(QUEUES, self.key.0.as_str(), id).await;
        let took = self.took;
        let waited = self.entered.elapsed().saturating_sub(took);
        let (covered, files, returns, finished_at) = (self.covered, self.files, self.returns, UnixMillis::now());
        let outcome = SyncOutcome { id, covered, files, returns, waited, took, finished_at, ..outcome };
        self.publish.send_replace(Some(outcome));
    }

    /// Waits and syncs, slice by slice, and again when the place or the lease is lost.
    async fn go<T: SyncTarget>(&mut self, target: Arc<T>, tell: oneshot::Sender<usize>) -> SyncOutcome {
        let (shared, id, mut tell) = (self.shared.clone(), self.batch.id, Some(tell));
        let failed = |error: String| SyncOutcome::unsynced(id, SyncStatus::Failed, Some(error));
        while self.returns < MAX_RETURNS {
            shared.cache.raise_token_floor(target.last_token());
            self.changes.mark_unchanged();
            let (codebase, batch) = (self.key.0.clone(), self.batch.clone());
            let queue = codebase.as_str();
            let mut placement = match shared.cache.enqueue_item(QUEUES, queue, batch, self.covered()).await {
                Ok(placement) => placement,
                Err(full) => return failed(full.to_string()),
            };
            if let Some(tell) = tell.take() {
                // The caller may have gone.
                let _ = tell.send(match placement {
                    Placement::Waiting { position, .. } => position,
                    Placement::Head(_) | Placement::Gone => 0,
                });
            }
            while let Some(lease) = self.head(placement).await {
                let dirty = shared.wait_no_more(&self.key, id);
                if !std::mem::replace(&mut self.has_synced, true) {
                    self.covered = dirty.len();
                }
                let slice = self.sync(target.clone(), dirty.clone(), lease).await;
                let (held, left) = match slice {
                    Slice::Last(outcome) => return outcome,
                    Slice::Rest(lease, rest) => (Some(lease), rest),
                    Slice::Lost => (None, dirty),
                };
                if held.is_none() {
                    // Also when only the index knows that others have overtaken it.
                    shared.cache.remove_item(QUEUES, queue, id).await;
                }
                let waiting = Waiting { enqueued: self.handle.clone(), dirty: left, merged: self.merged.clone() };
                // The next one may wait already, and take this one in.
                let other = shared.wait_or_merge(&self.key, waiting);
                self.changes.mark_unchanged();
                placement = match held {
                    Some(lease) => shared.cache.end_slice(QUEUES, queue, id, &lease, self.covered()).await,
                    None => Placement::Gone,
                };
                if let Some(other) = other {
                    shared.cache.remove_item(QUEUES, queue, id).await;
                    let outcome = other.outcome().await;
                    self.files += outcome.files;
                    return outcome;
                }
            }
            if shared.cancel.is_cancelled() || self.entered.elapsed() > shared.cache.lease_config().stale_after {
                return SyncOutcome::unsynced(id, SyncStatus::Superseded, None);
            }
            tracing::info!(queue = %self.key.0, batch = %id, "a batch is enqueued again");
            self.returns += 1;
        }
        failed(format!("the batch lost its place in the queue {MAX_RETURNS} times; it is tried again"))
    }

    /// Files that it covers by now; `None` for everything.
    fn covered(&self) -> Option<usize> {
        self.shared.waiting().get(&self.key).and_then(|waiting| waiting.dirty.len())
    }

    /// Waits until it is at the head; `None` when it is in the queue no more, or is cancelled.
    async fn head(&mut self, mut placement: Placement) -> Option<Lease> {
        let cache = self.shared.cache.clone();
        let poll = POLL.min(cache.lease_config().lease / 3);
        loop {
            let pause = match placement {
                Placement::Head(lease) => return Some(lease),
                Placement::Gone => return None,
                // The next one sees to it that a head that died doesn't stay for longer than its lease.
                Placement::Waiting { position: 1, head_expires_in } => {
                    poll.min(head_expires_in + Duration::from_millis(10))
                }
                Placement::Waiting { .. } => poll,
            };
            let ask_again = Instant::now() + pause;
            loop {
                tokio::select! {
                    () = self.shared.cancel.cancelled() => return None,
                    () = tokio::time::sleep_until(ask_again) => break,
                    () = self.merged.notified() => break,
                    changed = self.changes.changed() => {
                        let head = self.changes.borrow_and_update().head;
                        // When another is first, this one isn't.
                        if changed.is_err() || head.is_none_or(|head| head == self.batch.id) {
                            break;
                        }
                    }
                }
            }
            self.changes.mark_unchanged();
            placement = cache.claim_head(QUEUES, self.key.0.as_str(), self.batch.id, self.covered()).await;
        }
    }

    /// Syncs at the head, whose lease it renews, until all is done, or others wait and the slice is over.
    async fn sync<T: SyncTarget>(&mut self, target: Arc<T>, dirty: Dirty, lease: Lease) -> Slice {
        let (cancel, cache, codebase) =
            (self.shared.cancel.child_token(), self.shared.cache.clone(), self.key.0.clone());
        let every = (cache.lease_config().lease / 3).max(Duration::from_millis(1));
        let start = Instant::now();
        let head = Head {
            token: lease.fence.token,
            cancel,
            give_way: CancellationToken::new(),
            files_before: self.files,
            slice_end: start + cache.lease_config().slice,
            lease,
            cache,
            codebase,
            batch: self.batch.id,
        };
        // Its own task: a panic there is an error here.
        let mut sync = tokio::spawn(target.sync(self.batch.clone(), dirty, head.clone()));
        let mut next = head.slice_end.min(start + every);
        let result = loop {
            let is_over = head.cancel.is_cancelled();
            let may_give_way = !is_over && !head.give_way.is_cancelled() && Instant::now() >= head.slice_end;
            tokio::select! {
                result = &mut sync => break result,
                () = tokio::time::sleep_until(next), if !is_over => {}
                // Somebody may have come.
                Ok(()) = self.changes.changed(), if may_give_way => {}
            }
            let now = Instant::now();
            next = if now < head.slice_end { head.slice_end.min(now + every) } else { now + every };
            if head.confirm().await.is_err() {
                tracing::warn!(queue = %head.codebase, batch = %head.batch, "a batch lost its lease");
            }
        };
        self.took += start.elapsed();
        let unsynced = |error: String| SyncOutcome::unsynced(head.batch, SyncStatus::Failed, Some(error));
        match result {
            Ok(Ok(Synced { files, rest })) => {
                self.files += files;
                match rest {
                    Some(rest) => Slice::Rest(head.lease, rest),
                    None => Slice::Last(SyncOutcome::unsynced(head.batch, SyncStatus::Synced, None)),
                }
            }
            Ok(Err(_)) if head.cancel.is_cancelled() && !self.shared.cancel.is_cancelled() => Slice::Lost,
            Ok(Err(error)) => Slice::Last(unsynced(error)),
            Err(error) => {
                tracing::error!(batch = %head.batch, %error, "a sync ended without a result");
                Slice::Last(unsynced("the sync broke off by a fault of syncline; its log says where".to_owned()))
            }
        }
    }
}

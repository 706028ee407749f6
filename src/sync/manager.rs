//! The manager of one owner's batches.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::core::cache::{
    CacheError, CacheManager, Claim, Enqueued, Fence, FencingToken, Lease, Namespace, QueueChange, QueueItems,
};
use crate::core::{BatchId, Codebase, CodebaseId, Dirty, Owner, SyncBatch, UnixMillis};

/// How long a waiting batch trusts its wake-ups before it looks at the line by itself.
const LOOK_ANYWAY: Duration = Duration::from_secs(5);
/// How often a batch goes back in line when it loses its place or its turn.
const MOST_RETURNS: u32 = 8;

/// What a batch syncs.
pub trait SyncTarget: Send + Sync + 'static {
    /// The codebase it belongs to.
    fn codebase(&self) -> &Codebase;

    /// Brings the index up to date with what `batch` covers. Called at the head of the line only; one call at a time
    /// for a codebase. It must end soon after `head.cancel` says so.
    ///
    /// # Errors
    /// One sentence that says what went wrong and how to mend it.
    fn sync(self: Arc<Self>, batch: SyncBatch, head: Head) -> impl Future<Output = Result<Synced, String>> + Send;

    /// The highest token that anything was committed under: new ones must be above it.
    fn last_token(&self) -> FencingToken {
        FencingToken::default()
    }
}

/// What a syncing batch holds: its turn, for as long as that is renewed. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Head {
    /// Grows with each head of the line.
    pub token: FencingToken,
    /// The sync is to end: its owner says so, or the turn is lost.
    pub cancel: CancellationToken,
    hold: Arc<LeaseGuard>,
}

/// The turn is over before the batch was: another may be syncing, so nothing may be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the turn in the waiting line was lost; the batch goes back in line")]
pub struct LeaseLost;

struct LeaseGuard {
    cache: CacheManager,
    line: CodebaseId,
    id: BatchId,
    lease: Mutex<Option<Lease>>,
}

impl LeaseGuard {
    fn lease(&self) -> MutexGuard<'_, Option<Lease>> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Head {
    /// Whether the turn may be trusted still, without asking the line.
    pub fn still_holds(&self) -> bool {
        self.hold.lease().is_some_and(|lease| self.hold.cache.is_held(&lease))
    }

    /// Asks the line whether the turn is still this one's, and renews it; to be asked right before each commit, which is
    /// then made under the fence it gives.
    ///
    /// # Errors
    /// When the turn is lost. The sync is cancelled then.
    pub async fn confirm(&self) -> Result<Fence, LeaseLost> {
        let LeaseGuard { cache, line, id, .. } = &*self.hold;
        let lease = (*self.hold.lease()).ok_or(LeaseLost)?;
        let renewed = cache.renew_lease(Namespace::SyncBatches, line.as_str(), *id, &lease).await;
        match renewed {
            Ok(Some(renewed)) => {
                // Unless it was given up meanwhile; and answers may overtake each other.
                match &mut *self.hold.lease() {
                    Some(lease) => lease.until = lease.until.max(renewed.until),
                    None => return Err(LeaseLost),
                }
                Ok(renewed.fence)
            }
            Ok(None) | Err(_) => {
                self.give_up();
                Err(LeaseLost)
            }
        }
    }

    /// The turn is lost: nothing may be committed any more.
    pub fn give_up(&self) {
        *self.hold.lease() = None;
        self.cancel.cancel();
    }

    fn is_lost(&self) -> bool {
        self.hold.lease().is_none()
    }

    /// Renews the turn until `sync` ends, and gives what that gives.
    async fn renewing<R>(&self, sync: impl Future<Output = R>) -> R {
        let every = self.hold.cache.lease_config().lease / 3;
        let mut next = Instant::now() + every;
        tokio::pin!(sync);
        loop {
            tokio::select! {
                result = &mut sync => return result,
                () = tokio::time::sleep_until(next), if !self.is_lost() => {
                    next = Instant::now() + every;
                    if self.confirm().await.is_err() {
                        tracing::warn!(line = %self.hold.line, batch = %self.hold.id, "a batch lost its turn");
                    }
                }
            }
        }
    }
}

/// What a sync did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// Files that were read anew, or found to be gone.
    pub files: usize,
}

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was synced.
    Synced,
    /// It wasn't: its changes are still to be synced.
    Failed,
    /// It left the line without a turn (cancelled, or swept for its age): its changes are still to be synced.
    Superseded,
}

/// How a batch ended, and how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncOutcome {
    /// The batch.
    pub id: BatchId,
    /// How it ended.
    pub verdict: Verdict,
    /// Files it was to look at; `None` for everything.
    pub covered: Option<usize>,
    /// Files that were read anew, or found to be gone.
    pub files: usize,
    /// Batches before it when it got in line.
    pub position: usize,
    /// How often it went back in line, since it had lost its place or its turn.
    pub returns: u32,
    /// Time in line before its turn.
    pub waited: Duration,
    /// Time of the sync itself.
    pub took: Duration,
    /// When it left the line.
    pub finished_at: UnixMillis,
    /// What went wrong.
    pub error: Option<String>,
}

impl SyncOutcome {
    /// Of a batch that never synced.
    pub fn without_turn(id: BatchId, verdict: Verdict, error: Option<String>) -> SyncOutcome {
        SyncOutcome {
            id,
            verdict,
            covered: None,
            files: 0,
            position: 0,
            returns: 0,
            waited: Duration::ZERO,
            took: Duration::ZERO,
            finished_at: UnixMillis::now(),
            error,
        }
    }
}

/// Puts one owner's batches in line and syncs them in their turn. Cheap to clone; clones are the same owner.
#[derive(Clone)]
pub struct SyncManager {
    shared: Arc<Shared>,
}

struct Shared {
    cache: CacheManager,
    owner: Owner,
    cancel: CancellationToken,
    outcomes: Mutex<Outcomes>,
    /// Turns on their way.
    turns: watch::Sender<usize>,
}

type Outcome = watch::Receiver<Option<SyncOutcome>>;

/// Batches in line, and those that left it last.
#[derive(Default)]
struct Outcomes {
    by_batch: HashMap<BatchId, Known>,
    left: VecDeque<BatchId>,
    /// How often batches went back in line.
    returns: u64,
    /// How many batches have ended.
    ends: u64,
}

/// A batch of this owner.
struct Known {
    outcome: Outcome,
    /// All that it covers. The line has it too; but lines can be lost.
    dirty: Dirty,
    /// Another batch took it in when it went back in line.
    is_joined: bool,
    /// It was the so-manieth to end.
    ended: Option<u64>,
}

impl Known {
    fn new(outcome: Outcome, dirty: Dirty) -> Known {
        Known { outcome, dirty, is_joined: false, ended: None }
    }
}

/// A batch may be over before those who joined it have looked for its outcome, so that many are kept.
const OUTCOMES_KEPT: usize = 64;

impl SyncManager {
    /// Whether anybody beside the one who asks holds it, a batch on its way included.
    pub fn is_used(&self) -> bool {
        Arc::strong_count(&self.shared) > 1
    }

    /// A manager for `owner`, whose lines live in `cache`.
    pub fn new(cache: CacheManager, owner: Owner) -> SyncManager {
        let (cancel, outcomes, turns) = (CancellationToken::new(), Mutex::default(), watch::channel(0).0);
        SyncManager { shared: Arc::new(Shared { cache, owner, cancel, outcomes, turns }) }
    }

    /// Who puts batches in line here.
    pub fn owner(&self) -> &Owner {
        &self.shared.owner
    }

    /// Where the lines live.
    pub fn cache(&self) -> &CacheManager {
        &self.shared.cache
    }

    /// The line of a codebase, head first.
    ///
    /// # Errors
    /// When the cache can't be asked.
    pub async fn queue(&self, codebase: &CodebaseId) -> Result<QueueItems, CacheError> {
        self.shared.cache.get_queue(Namespace::SyncBatches, codebase.as_str()).await
    }

    /// Wakes up on every change of a codebase's line.
    pub fn watch_queue(&self, codebase: &CodebaseId) -> watch::Receiver<QueueChange> {
        self.shared.cache.subscribe(Namespace::SyncBatches, codebase.as_str())
    }

    /// Syncs `dirty` in its turn. While this owner has a batch waiting for the codebase, the changes join that one, and
    /// its outcome is given. The batch goes on when the caller stops waiting for it.
    ///
    /// # Errors
    /// When the batch can't be put in line.
    pub async fn sync_codebase<T: SyncTarget>(&self, target: Arc<T>, dirty: Dirty) -> Result<SyncOutcome, CacheError> {
        Ok(self.enqueue(target, dirty).await?.outcome().await)
    }

    /// The first half of [`SyncManager::sync_codebase`]: puts the batch in line, where it goes its way by itself.
    ///
    /// # Errors
    /// When the batch can't be put in line.
    pub async fn enqueue<T: SyncTarget>(&self, target: Arc<T>, dirty: Dirty) -> Result<InLine, CacheError> {
        let codebase = target.codebase();
        let (line, shared) = (codebase.id.clone(), self.shared.clone());
        shared.cache.raise_token_floor(target.last_token());
        let covered = dirty.len();
        let batch = SyncBatch::new(codebase.root.as_path().to_owned(), shared.owner.clone(), dirty);
        let (id, since) = (batch.id, batch.created_at);
        // Known before it is in line, so that whoever joins it finds it.
        let (publish, outcome) = watch::channel(None);
        let known = Known::new(outcome.clone(), batch.dirty.clone());
        shared.outcomes().by_batch.insert(id, known);
        let changes = shared.cache.subscribe(Namespace::SyncBatches, line.as_str());
        let entered = Instant::now();
        match shared.put_in_queue(&line, &batch).await {
            Ok(Put::Joined(batch, joined)) => {
                shared.outcomes().by_batch.remove(&id);
                // Were it gone, the caller would learn that its changes are still to be synced.
                Ok(InLine { batch, position: None, since, covered, outcome: joined.unwrap_or(outcome) })
            }
            Ok(Put::InLine(position, lease)) => {
                let turn = Turn { shared, line, batch, covered, entered, position, returns: 0, publish, changes };
                // Its own task, so that neither a caller that gives up nor one that panics leaves it without an owner.
                turn.shared.turns.send_modify(|turns| *turns += 1);
                tokio::spawn(turn.run(target, lease));
                Ok(InLine { batch: id, position: Some(position), since, covered, outcome })
            }
            Err(error) => {
                shared.outcomes().by_batch.remove(&id);
                Err(error)
            }
        }
    }

    /// Cancels every batch of this owner: those that wait leave the line, those that sync end soon.
    pub fn cancel_all(&self) {
        self.shared.cancel.cancel();
    }

    /// Waits until no batch of this owner is in line, but not for longer than `limit`.
    pub async fn left_all(&self, limit: Duration) {
        let mut turns = self.shared.turns.subscribe();
        // Those that haven't by then leave when their lease is over.
        let _ = tokio::time::timeout(limit, turns.wait_for(|turns| *turns == 0)).await;
    }
}

/// A batch on its way, and how to learn how it ends.
pub struct InLine {
    /// Which.
    pub batch: BatchId,
    /// Batches before it when it got in line; `None` when the changes joined one that waited already.
    pub position: Option<usize>,
    /// When it got in line, by this host's clock.
    pub since: UnixMillis,
    /// Files it covers; `None` for everything.
    pub covered: Option<usize>,
    outcome: Outcome,
}

impl InLine {
    /// Waits for the end. A turn that vanished without one (the runtime is shutting down) counts as superseded.
    pub async fn outcome(mut self) -> SyncOutcome {
        if let Ok(known) = self.outcome.wait_for(Option::is_some).await
            && let Some(known) = known.clone()
        {
            return known;
        }
        SyncOutcome::without_turn(self.batch, Verdict::Superseded, None)
    }
}

impl Shared {
    fn outcomes(&self) -> MutexGuard<'_, Outcomes> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self, id: BatchId) {
        let mut outcomes = self.outcomes();
        outcomes.ends += 1;
        let ends = outcomes.ends;
        if let Some(known) = outcomes.by_batch.get_mut(&id) {
            known.ended = Some(ends);
            known.dirty = Dirty::nothing();
        }
        outcomes.left.push_back(id);
        if outcomes.left.len() > OUTCOMES_KEPT
            && let Some(oldest) = outcomes.left.pop_front()
        {
            outcomes.by_batch.remove(&oldest);
        }
    }

    /// Puts a batch in line, or joins it into the one that waits there already.
    async fn put_in_queue(&self, line: &CodebaseId, batch: &SyncBatch) -> Result<Put, CacheError> {
        for _ in 0..MOST_RETURNS {
            let (returns, ends) = {
                let outcomes = self.outcomes();
                (outcomes.returns, outcomes.ends)
            };
            let put = self.cache.enqueue_item(Namespace::SyncBatches, line.as_str(), batch.clone()).await?;
            let other = match put {
                Enqueued::AtHead { lease, .. } => return Ok(Put::InLine(0, Some(lease))),
                Enqueued::InLine { position } => return Ok(Put::InLine(position, None)),
                Enqueued::Joined { batch: other } => other,
            };
            match self.joined(batch, other, returns, ends) {
                Joined::Yes(outcome) => return Ok(Put::Joined(other, Some(outcome))),
                Joined::Moved => {}
                Joined::Ghost => {
                    tracing::debug!(%line, batch = %other, "a batch that nobody waits with any more leaves the line");
                    self.cache.remove_item(Namespace::SyncBatches, line.as_str(), other).await?;
                }
            }
        }
        // Its changes are still to be synced, and whoever asked is told so.
        Ok(Put::Joined(batch.id, None))
    }

    /// Whether `batch` is safe in `other`, which the line says has taken it in. `returns` and `ends` are of before.
    fn joined(&self, batch: &SyncBatch, other: BatchId, returns: u64, ends: u64) -> Joined {
        let mut outcomes = self.outcomes();
        // One that went back in line meanwhile may have gone without these changes.
        let is_moved = outcomes.returns != returns;
        let Some(known) = outcomes.by_batch.get_mut(&other) else { return Joined::Ghost };
        // A line that was cut off in the middle may hold a batch whose owner has long gone on without it there.
        if known.is_joined || known.ended.is_some_and(|ended| ended <= ends) {
            return Joined::Ghost;
        }
        known.dirty.join(batch.dirty.clone());
        if is_moved {
            return Joined::Moved;
        }
        let outcome = known.outcome.clone();
        if let Some(known) = outcomes.by_batch.get_mut(&batch.id) {
            known.is_joined = true;
        }
        Joined::Yes(outcome)
    }
}

/// What became of a batch that the line says another has taken in.
enum Joined {
    /// It is in there.
    Yes(Outcome),
    /// It may be.
    Moved,
    /// The other one isn't waited with any more.
    Ghost,
}

/// Where a batch was put.
enum Put {
    /// In line, so many before it; with its turn, when there was none.
    InLine(usize, Option<Lease>),
    /// Into another, and how to learn how that ends.
    Joined(BatchId, Option<Outcome>),
}

/// A batch's way from the line's end to its outcome.
struct Turn {
    shared: Arc<Shared>,
    line: CodebaseId,
    batch: SyncBatch,
    covered: Option<usize>,
    entered: Instant,
    position: usize,
    returns: u32,
    publish: watch::Sender<Option<SyncOutcome>>,
    changes: watch::Receiver<QueueChange>,
}

/// What waiting comes to.
enum Waited {
    Head(Dirty, Lease),
    Gone,
    Cancelled,
}

/// How one turn ended.
struct End {
    verdict: Verdict,
    files: usize,
    error: Option<String>,
}

impl End {
    fn superseded() -> End {
        End { verdict: Verdict::Superseded, files: 0, error: None }
    }

    fn failed(error: String) -> End {
        End { verdict: Verdict::Failed, files: 0, error: Some(error) }
    }
}

impl Turn {
    async fn run<T: SyncTarget>(mut self, target: Arc<T>, lease: Option<Lease>) {
        let mut waited = None;
        let end = self.way(target, lease, &mut waited).await;
        let (id, line) = (self.batch.id, self.line.as_str());
        if let Err(error) = self.shared.cache.remove_item(Namespace::SyncBatches, line, id).await {
            tracing::warn!(batch = %id, %error, "can't take a batch out of the line");
        }
        let waited = waited.unwrap_or_else(|| self.entered.elapsed());
        self.publish.send_replace(Some(SyncOutcome {
            id,
            verdict: end.verdict,
            covered: self.covered,
            files: end.files,
            position: self.position,
            returns: self.returns,
            waited,
            took: self.entered.elapsed().saturating_sub(waited),
            finished_at: UnixMillis::now(),
            error: end.error,
        }));
        self.shared.left(id);
        self.shared.turns.send_modify(|turns| *turns -= 1);
    }

    /// Waits and syncs, again when the place or the turn is lost.
    async fn way<T: SyncTarget>(
        &mut self,
        target: Arc<T>,
        mut lease: Option<Lease>,
        waited: &mut Option<Duration>,
    ) -> End {
        for _ in 0..MOST_RETURNS {
            let turn = match lease.take() {
                Some(lease) => Waited::Head(Dirty::nothing(), lease),
                None => self.wait_for_head().await,
            };
            match turn {
                Waited::Cancelled => return End::superseded(),
                Waited::Gone if self.entered.elapsed() > self.shared.cache.lease_config().stale_after => {
                    return End::superseded();
                }
                Waited::Gone => {}
                Waited::Head(joined, lease) => {
                    self.batch.dirty.join(joined);
                    waited.get_or_insert_with(|| self.entered.elapsed());
                    if let Some(end) = self.sync(target.clone(), lease).await {
                        return end;
                    }
                }
            }
            self.shared.cache.raise_token_floor(target.last_token());
            match self.back_in_queue().await {
                Ok(Put::InLine(_, given)) => lease = given,
                Ok(Put::Joined(_, outcome)) => return self.end_of(outcome).await,
                Err(error) => return End::failed(error.to_string()),
            }
        }
        End::failed(format!("the batch lost its place in the waiting line {MOST_RETURNS} times; it is tried again"))
    }

    /// Syncs at the head. `None` when the turn was lost before it was done.
    async fn sync<T: SyncTarget>(&mut self, target: Arc<T>, lease: Lease) -> Option<End> {
        let mut batch = self.batch.clone();
        // What the line says it covers, and what was joined in lines that are gone. Nothing joins it any more.
        if let Some(known) = self.shared.outcomes().by_batch.get(&batch.id) {
            batch.dirty.join(known.dirty.clone());
        }
        self.covered = batch.dirty.len();
        let cancel = self.shared.cancel.child_token();
        let (cache, line, id) = (self.shared.cache.clone(), self.line.clone(), batch.id);
        let hold = Arc::new(LeaseGuard { cache, line, id, lease: Mutex::new(Some(lease)) });
        let head = Head { token: lease.fence.token, cancel, hold };
        let held = head.clone();
        // Its own task: a panic there is an error here.
        let sync = tokio::spawn(async move { target.sync(batch, head).await });
        match held.renewing(sync).await {
            Ok(Ok(synced)) => Some(End { verdict: Verdict::Synced, files: synced.files, error: None }),
            Ok(Err(_)) if held.is_lost() && !self.shared.cancel.is_cancelled() => None,
            Ok(Err(error)) => Some(End::failed(error)),
            Err(error) => {
                tracing::error!(batch = %self.batch.id, %error, "a sync ended without a result");
                Some(End::failed("the sync broke off by a fault of syncline; its log says where".to_owned()))
            }
        }
    }

    async fn back_in_queue(&mut self) -> Result<Put, CacheError> {
        tracing::info!(line = %self.line, batch = %self.batch.id, "a batch goes back in line");
        self.returns += 1;
        {
            let mut outcomes = self.shared.outcomes();
            outcomes.returns += 1;
            if let Some(known) = outcomes.by_batch.get(&self.batch.id) {
                self.batch.dirty.join(known.dirty.clone());
            }
        }
        self.shared.put_in_queue(&self.line, &self.batch).await
    }

    /// The end of another batch, which took this one in.
    async fn end_of(&self, outcome: Option<Outcome>) -> End {
        let Some(mut outcome) = outcome else { return End::superseded() };
        match outcome.wait_for(Option::is_some).await {
            Ok(known) => known.as_ref().map_or_else(End::superseded, |known| End {
                verdict: known.verdict,
                files: known.files,
                error: known.error.clone(),
            }),
            Err(_) => End::superseded(),
        }
    }

    async fn wait_for_head(&mut self) -> Waited {
        let cache = self.shared.cache.clone();
        let patience = LOOK_ANYWAY.min(cache.lease_config().lease / 3);
        loop {
            self.changes.mark_unchanged();
            let claim = cache.claim_head(Namespace::SyncBatches, self.line.as_str(), self.batch.id).await;
            let look_again = match claim {
                Ok(Claim::Head { batch, lease }) => return Waited::Head(batch.dirty, lease),
                Ok(Claim::Gone) | Err(_) => return Waited::Gone,
                // The next one sees to it that a head that died doesn't stay for longer than its lease.
                Ok(Claim::Waiting { position: 1, head_expires_in }) => {
                    patience.min(head_expires_in + Duration::from_millis(10))
                }
                Ok(Claim::Waiting { .. }) => patience,
            };
            let look_again = Instant::now() + look_again;
            loop {
                tokio::select! {
                    () = self.shared.cancel.cancelled() => return Waited::Cancelled,
                    () = tokio::time::sleep_until(look_again) => break,
                    changed = self.changes.changed() => {
                        let head = self.changes.borrow_and_update().head;
                        // When another is first, this one isn't.
                        if changed.is_err() || head.is_none_or(|head| head == self.batch.id) {
                            break;
                        }
                    }
                }
            }
        }
    }
}

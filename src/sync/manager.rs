//! The manager of one owner's batches.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::core::cache::{CacheError, CacheManager, Claim, Enqueued, FencingToken, Namespace, Queue};
use crate::core::{BatchId, Codebase, CodebaseId, Dirty, Owner, SyncBatch, UnixMillis};

/// How long a waiting batch trusts its wake-ups before it looks at the line by itself.
const LOOK_ANYWAY: Duration = Duration::from_secs(5);

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
}

/// What a syncing batch holds.
#[derive(Clone, Debug)]
pub struct Head {
    /// Grows with each head of the line.
    pub token: FencingToken,
    /// The sync is to end.
    pub cancel: CancellationToken,
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
    /// Batches older than this are swept from the line.
    stale_after: Duration,
    cancel: CancellationToken,
    outcomes: Mutex<Outcomes>,
}

type Outcome = watch::Receiver<Option<SyncOutcome>>;

/// Outcomes of batches in line, and of those that left it last.
#[derive(Default)]
struct Outcomes {
    by_batch: HashMap<BatchId, Outcome>,
    left: VecDeque<BatchId>,
}

/// A batch may be over before those who joined it have looked for its outcome, so that many are kept.
const OUTCOMES_KEPT: usize = 64;

impl SyncManager {
    /// A manager for `owner`, whose lines live in `cache`.
    pub fn new(cache: CacheManager, owner: Owner, stale_after: Duration) -> SyncManager {
        let (cancel, outcomes) = (CancellationToken::new(), Mutex::default());
        SyncManager { shared: Arc::new(Shared { cache, owner, stale_after, cancel, outcomes }) }
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
    pub async fn line(&self, codebase: &CodebaseId) -> Result<Queue, CacheError> {
        self.shared.cache.get_queue(Namespace::SyncBatches, codebase.as_str()).await
    }

    /// Wakes up on every change of a codebase's line.
    pub fn watch_line(&self, codebase: &CodebaseId) -> watch::Receiver<u64> {
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
        let line = codebase.id.clone();
        let covered = dirty.len();
        let batch = SyncBatch::new(codebase.root.as_path().to_owned(), self.shared.owner.clone(), dirty);
        let (id, since) = (batch.id, batch.created_at);
        self.shared.sweep(&line).await?;
        // Known before it is in line, so that whoever joins it finds it.
        let (publish, outcome) = watch::channel(None);
        let turn =
            Turn { shared: self.shared.clone(), line, id, covered, entered: Instant::now(), position: 0, publish };
        self.shared.outcomes().by_batch.insert(id, outcome.clone());
        match self.shared.cache.enqueue_item(Namespace::SyncBatches, turn.line.as_str(), batch).await {
            Ok(Enqueued::InLine { position }) => {
                // Its own task, so that neither a caller that gives up nor one that panics leaves it without an owner.
                tokio::spawn(Turn { position, ..turn }.run(target));
                Ok(InLine { batch: id, position: Some(position), since, covered, outcome })
            }
            Ok(Enqueued::Joined { batch }) => {
                let mut outcomes = self.shared.outcomes();
                outcomes.by_batch.remove(&id);
                // Were it gone, the caller would learn that its changes are still to be synced.
                let joined = outcomes.by_batch.get(&batch).cloned();
                Ok(InLine { batch, position: None, since, covered, outcome: joined.unwrap_or(outcome) })
            }
            Err(error) => {
                self.shared.outcomes().by_batch.remove(&id);
                Err(error)
            }
        }
    }

    /// Cancels every batch of this owner: those that wait leave the line, those that sync end soon.
    pub fn cancel_all(&self) {
        self.shared.cancel.cancel();
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
        outcomes.left.push_back(id);
        if outcomes.left.len() > OUTCOMES_KEPT
            && let Some(oldest) = outcomes.left.pop_front()
        {
            outcomes.by_batch.remove(&oldest);
        }
    }

    async fn sweep(&self, line: &CodebaseId) -> Result<(), CacheError> {
        let age = u64::try_from(self.stale_after.as_millis()).unwrap_or(u64::MAX);
        let oldest = UnixMillis(UnixMillis::now().0.saturating_sub(age));
        let swept = self.cache.sweep_queue(Namespace::SyncBatches, line.as_str(), oldest).await?;
        if swept > 0 {
            tracing::warn!(%line, swept, "swept batches that had been in line for too long");
        }
        Ok(())
    }
}

/// A batch's way from the line's end to its outcome.
struct Turn {
    shared: Arc<Shared>,
    line: CodebaseId,
    id: BatchId,
    covered: Option<usize>,
    entered: Instant,
    position: usize,
    publish: watch::Sender<Option<SyncOutcome>>,
}

impl Turn {
    async fn run<T: SyncTarget>(mut self, target: Arc<T>) {
        let (verdict, synced, waited, error) = match self.wait_for_head().await {
            Ok(Some((batch, token))) => {
                let waited = self.entered.elapsed();
                self.covered = batch.dirty.len();
                let head = Head { token, cancel: self.shared.cancel.child_token() };
                // Its own task: a panic there is an error here.
                let sync = tokio::spawn(async move { target.sync(batch, head).await });
                match sync.await {
                    Ok(Ok(synced)) => (Verdict::Synced, synced, waited, None),
                    Ok(Err(error)) => (Verdict::Failed, Synced::default(), waited, Some(error)),
                    Err(error) => {
                        tracing::error!(batch = %self.id, %error, "a sync ended without a result");
                        let sentence = "the sync broke off by a fault of syncline; its log says where".to_owned();
                        (Verdict::Failed, Synced::default(), waited, Some(sentence))
                    }
                }
            }
            Ok(None) => (Verdict::Superseded, Synced::default(), self.entered.elapsed(), None),
            Err(error) => (Verdict::Failed, Synced::default(), self.entered.elapsed(), Some(error.to_string())),
        };
        if let Err(error) = self.shared.cache.remove_item(Namespace::SyncBatches, self.line.as_str(), self.id).await {
            tracing::warn!(batch = %self.id, %error, "can't take a batch out of the line");
        }
        self.publish.send_replace(Some(SyncOutcome {
            id: self.id,
            verdict,
            covered: self.covered,
            files: synced.files,
            position: self.position,
            waited,
            took: self.entered.elapsed() - waited,
            finished_at: UnixMillis::now(),
            error,
        }));
        self.shared.left(self.id);
    }

    /// The batch as it is when its turn comes; `None` when it is cancelled or gone from the line before.
    async fn wait_for_head(&self) -> Result<Option<(SyncBatch, FencingToken)>, CacheError> {
        let cache = &self.shared.cache;
        let mut changes = cache.subscribe(Namespace::SyncBatches, self.line.as_str());
        loop {
            match cache.claim_head(Namespace::SyncBatches, self.line.as_str(), self.id).await? {
                Claim::Head { batch, token } => return Ok(Some((batch, token))),
                Claim::Gone => return Ok(None),
                Claim::Waiting { .. } => {}
            }
            tokio::select! {
                () = self.shared.cancel.cancelled() => return Ok(None),
                // The cache outlives this; should the sender go all the same, the look below goes on.
                _ = changes.changed() => {}
                () = tokio::time::sleep(LOOK_ANYWAY) => {}
            }
            self.shared.sweep(&self.line).await?;
        }
    }
}

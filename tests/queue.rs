//! The waiting line: one suite, over the line in this process and over the one in Redis.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod redis_server;
mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis_server::RedisServer;
use support::{DEADLINE, Fixture};
use syncline::core::cache::{
    BatchState, CacheManager, Claim, Enqueued, Fence, FencingToken, Lease, LeaseConfig, Namespace, QueueChange,
};
use syncline::core::{BatchId, Codebase, CodebaseRoot, Dirty, Owner, RelPath, SyncBatch};
use syncline::index::{Index, IndexError, Overlay, Update};
use syncline::sync::{Head, SyncManager, SyncTarget, Synced, Verdict};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

const LINE: Namespace = Namespace::SyncBatches;
/// Long enough for nothing to end by itself.
const LONG: Duration = Duration::from_secs(60);
/// Short enough to wait for, and long enough for the next step of a test on a busy machine.
const SHORT: Duration = Duration::from_secs(2);

/// A place where lines live, and the caches of several processes that use it.
enum Place {
    Local(CacheManager),
    Redis(RedisServer, Duration),
}

impl Place {
    fn local(lease: Duration) -> Place {
        Place::Local(CacheManager::local_with(LeaseConfig { lease, ..LeaseConfig::default() }))
    }

    fn redis(lease: Duration) -> Place {
        Place::Redis(RedisServer::start(), lease)
    }

    /// The cache of one more process; in one process, they are all the same.
    fn cache(&self) -> CacheManager {
        match self {
            Place::Local(cache) => cache.clone(),
            Place::Redis(server, lease) => server.cache(*lease),
        }
    }
}

/// Runs each test over both.
macro_rules! over_both {
    ($($name:ident($lease:expr);)*) => {
        mod local {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(Place::local($lease)).await; })*
        }
        mod redis {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(Place::redis($lease)).await; })*
        }
    };
}

over_both! {
    first_come_first_served(LONG);
    changes_join_the_batch_that_waits(LONG);
    asking_again_changes_nothing(LONG);
    tokens_grow(LONG);
    a_head_that_is_not_renewed_leaves_and_has_lost_its_turn(SHORT);
    a_renewed_head_stays(SHORT);
    a_waiting_batch_whose_owner_is_silent_leaves(SHORT);
    what_is_removed_is_gone(LONG);
    changes_wake_those_who_wait(LONG);
    values_are_kept_and_counted(LONG);
    overlapping_syncs_take_turns(LONG);
    a_batch_that_loses_its_turn_goes_back_in_line(LONG);
    a_batch_that_loses_its_place_goes_back_in_line(SHORT);
    a_closed_owner_leaves_at_once(LONG);
}

fn batch(owner: &Owner, paths: &[&str]) -> SyncBatch {
    let dirty = paths.iter().map(|path| RelPath::new(path.as_ref()).unwrap()).collect();
    SyncBatch::new("/somewhere".into(), owner.clone(), dirty)
}

async fn enqueue(cache: &CacheManager, batch: &SyncBatch) -> Enqueued {
    cache.enqueue_item(LINE, "c", batch.clone()).await.unwrap()
}

async fn claim(cache: &CacheManager, id: BatchId) -> Claim {
    cache.claim_head(LINE, "c", id).await.unwrap()
}

async fn claimed(cache: &CacheManager, id: BatchId) -> (SyncBatch, Lease) {
    match claim(cache, id).await {
        Claim::Head { batch, lease } => (batch, lease),
        other => panic!("not at the head: {other:?}"),
    }
}

async fn head_at_once(cache: &CacheManager, batch: &SyncBatch) -> Lease {
    match enqueue(cache, batch).await {
        Enqueued::AtHead { lease, .. } => lease,
        other => panic!("not at the head: {other:?}"),
    }
}

async fn leave(cache: &CacheManager, id: BatchId) -> bool {
    cache.remove_item(LINE, "c", id).await.unwrap()
}

async fn ids(cache: &CacheManager) -> Vec<BatchId> {
    cache.get_queue(LINE, "c").await.unwrap().iter().map(|item| item.batch.id).collect()
}

/// Waits until a look at the line is as wanted.
async fn until(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !look().await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, looking).await.unwrap_or_else(|_| panic!("not within {DEADLINE:?}: {what}"));
}

async fn first_come_first_served(place: Place) {
    let caches = [place.cache(), place.cache(), place.cache()];
    let batches = [(); 3].map(|()| batch(&Owner::new(), &["a"]));
    let lease = head_at_once(&caches[0], &batches[0]).await;
    assert_eq!(enqueue(&caches[1], &batches[1]).await, Enqueued::InLine { position: 1 });
    assert_eq!(enqueue(&caches[2], &batches[2]).await, Enqueued::InLine { position: 2 });
    let queue = caches[2].get_queue(LINE, "c").await.unwrap();
    assert_eq!(queue.iter().map(|item| item.batch.id).collect::<Vec<_>>(), batches.each_ref().map(|b| b.id));
    assert_eq!(queue[0].state, BatchState::Syncing(lease.fence.token));
    assert_eq!((queue[1].state, queue[1].files), (BatchState::Waiting, Some(1)));
    assert_eq!(queue[1].batch.owner, batches[1].owner);
    assert!(queue.iter().all(|item| item.expires_in <= LONG && item.expires_in > LONG / 2), "{queue:?}");

    assert!(matches!(claim(&caches[2], batches[2].id).await, Claim::Waiting { position: 2, .. }));
    assert!(leave(&caches[0], batches[0].id).await);
    assert!(matches!(claim(&caches[2], batches[2].id).await, Claim::Waiting { position: 1, .. }));
    claimed(&caches[1], batches[1].id).await;
    assert!(leave(&caches[1], batches[1].id).await);
    claimed(&caches[2], batches[2].id).await;
    assert!(leave(&caches[2], batches[2].id).await);
    assert_eq!(ids(&caches[0]).await, []);
    assert_eq!(claim(&caches[0], batches[0].id).await, Claim::Gone);
}

async fn changes_join_the_batch_that_waits(place: Place) {
    let cache = place.cache();
    let (busy, owner) = (batch(&Owner::new(), &["x"]), Owner::new());
    head_at_once(&cache, &busy).await;
    let first = batch(&owner, &["a", "b"]);
    assert_eq!(enqueue(&cache, &first).await, Enqueued::InLine { position: 1 });
    for more in [&["b", "c"][..], &["d"], &[]] {
        assert_eq!(enqueue(&cache, &batch(&owner, more)).await, Enqueued::Joined { batch: first.id });
    }
    assert_eq!(cache.get_queue(LINE, "c").await.unwrap()[1].files, Some(4));
    leave(&cache, busy.id).await;
    let (taken, _) = claimed(&cache, first.id).await;
    assert_eq!(taken.dirty, batch(&owner, &["a", "b", "c", "d"]).dirty);

    // Nothing joins a batch that syncs.
    let second = batch(&owner, &["e"]);
    assert_eq!(enqueue(&cache, &second).await, Enqueued::InLine { position: 1 });
    let everything = SyncBatch { dirty: Dirty::Everything, ..batch(&owner, &[]) };
    assert_eq!(enqueue(&cache, &everything).await, Enqueued::Joined { batch: second.id });
    assert_eq!(enqueue(&cache, &batch(&owner, &["f"])).await, Enqueued::Joined { batch: second.id });
    leave(&cache, first.id).await;
    assert_eq!(claimed(&cache, second.id).await.0.dirty, Dirty::Everything);
    leave(&cache, second.id).await;
}

async fn asking_again_changes_nothing(place: Place) {
    let cache = place.cache();
    let (head, waiting) = (batch(&Owner::new(), &["a"]), batch(&Owner::new(), &["b"]));
    let lease = head_at_once(&cache, &head).await;
    assert_eq!(head_at_once(&cache, &head).await.fence, lease.fence);
    assert_eq!(claimed(&cache, head.id).await.1.fence, lease.fence);
    for _ in 0..3 {
        assert_eq!(enqueue(&cache, &waiting).await, Enqueued::InLine { position: 1 });
    }
    assert_eq!(ids(&cache).await, [head.id, waiting.id]);
    assert!(leave(&cache, waiting.id).await && !leave(&cache, waiting.id).await);
}

async fn tokens_grow(place: Place) {
    let mut last = None;
    for round in 0..20 {
        let cache = place.cache();
        let batch = batch(&Owner::new(), &["a"]);
        let fence = head_at_once(&cache, &batch).await.fence;
        assert!(last.is_none_or(|last| fence.token > last), "round {round}");
        last = Some(fence.token);
        leave(&cache, batch.id).await;
    }
    // Also above those that another line has given.
    let cache = place.cache();
    let far = syncline::core::cache::FencingToken(last.unwrap().0 + 1_000_000_000_000);
    cache.raise_token_floor(far);
    let batch = batch(&Owner::new(), &["a"]);
    assert!(head_at_once(&cache, &batch).await.fence.token > far);
}

async fn a_head_that_is_not_renewed_leaves_and_has_lost_its_turn(place: Place) {
    let (stalled, other) = (place.cache(), place.cache());
    let (first, second) = (batch(&Owner::new(), &["a"]), batch(&Owner::new(), &["b"]));
    let lease = head_at_once(&stalled, &first).await;
    assert!(stalled.is_held(&lease));
    assert_eq!(enqueue(&other, &second).await, Enqueued::InLine { position: 1 });
    let mut next = None;
    until("the next one is at the head", async || {
        if let Claim::Head { lease, .. } = claim(&other, second.id).await {
            next = Some(lease);
        }
        next.is_some()
    })
    .await;
    let next = next.unwrap();
    assert!(next.fence.token > lease.fence.token && next.fence.queue == lease.fence.queue);
    assert!(!stalled.is_held(&lease), "its own clock says so, too");
    assert_eq!(stalled.renew_lease(LINE, "c", first.id, &lease).await.unwrap(), None);
    assert_eq!(claim(&stalled, first.id).await, Claim::Gone);
    assert!(other.renew_lease(LINE, "c", second.id, &next).await.unwrap().is_some());
}

async fn a_renewed_head_stays(place: Place) {
    let cache = place.cache();
    let head = batch(&Owner::new(), &["a"]);
    let mut lease = head_at_once(&cache, &head).await;
    for _ in 0..10 {
        sleep(SHORT / 4).await;
        lease = cache.renew_lease(LINE, "c", head.id, &lease).await.unwrap().expect("still held");
        assert!(cache.is_held(&lease));
    }
    assert_eq!(ids(&cache).await, [head.id]);
}

async fn a_waiting_batch_whose_owner_is_silent_leaves(place: Place) {
    let (cache, dead) = (place.cache(), place.cache());
    let head = batch(&Owner::new(), &["a"]);
    let lease = head_at_once(&cache, &head).await;
    let (silent, alive) = (batch(&Owner::new(), &["b"]), batch(&Owner::new(), &["c"]));
    enqueue(&dead, &silent).await;
    enqueue(&cache, &alive).await;
    assert_eq!(ids(&cache).await, [head.id, silent.id, alive.id]);
    until("it has left", async || {
        cache.renew_lease(LINE, "c", head.id, &lease).await.unwrap().expect("still held");
        claim(&cache, alive.id).await;
        ids(&cache).await == [head.id, alive.id]
    })
    .await;
}

async fn what_is_removed_is_gone(place: Place) {
    let (cache, other) = (place.cache(), place.cache());
    let batches = [(); 4].map(|()| batch(&Owner::new(), &["a"]));
    for batch in &batches {
        enqueue(&cache, batch).await;
    }
    // Anybody may take out anything.
    assert!(leave(&other, batches[2].id).await);
    assert!(leave(&other, batches[0].id).await);
    assert_eq!(ids(&cache).await, [batches[1].id, batches[3].id]);
    assert_eq!(claim(&cache, batches[0].id).await, Claim::Gone);
    // The other line isn't touched.
    cache.enqueue_item(LINE, "d", batches[0].clone()).await.unwrap();
    let _listening = (cache.subscribe(LINE, "c"), cache.subscribe(LINE, "d"));
    cache.clear_namespace(Namespace::Metadata).await.unwrap();
    assert_eq!(ids(&cache).await.len(), 2);
    cache.clear_namespace(LINE).await.unwrap();
    assert_eq!(ids(&cache).await, []);
    assert_eq!(cache.get_queue(LINE, "d").await.unwrap().len(), 0);
}

async fn changes_wake_those_who_wait(place: Place) {
    let (cache, other) = (place.cache(), place.cache());
    let mut changes = cache.subscribe(LINE, "c");
    let (first, second) = (batch(&Owner::new(), &["a"]), batch(&Owner::new(), &["b"]));
    // A wake-up names the first batch, or says that it isn't known: what came before the line was listened to.
    let heard = |head: Option<BatchId>| {
        let mut changes = changes.clone();
        async move {
            let named = |change: &QueueChange| change.changes > 0 && (change.head == head || change.head.is_none());
            let heard = timeout(DEADLINE, changes.wait_for(named)).await;
            heard.expect("a wake-up in time").unwrap();
        }
    };
    head_at_once(&other, &first).await;
    heard(Some(first.id)).await;
    enqueue(&other, &second).await;
    leave(&other, first.id).await;
    heard(Some(second.id)).await;
    changes.mark_unchanged();
    leave(&other, second.id).await;
    timeout(DEADLINE, changes.changed()).await.expect("a wake-up in time").unwrap();
}

async fn values_are_kept_and_counted(place: Place) {
    let (cache, other) = (place.cache(), place.cache());
    let metadata = Namespace::Metadata;
    let long_key = "k".repeat(2_000);
    let values = [("a", vec![1; 10_000]), ("b", vec![]), (long_key.as_str(), (0..=255).collect())];
    cache.set_many(metadata, values.iter().map(|(k, v)| ((*k).to_owned(), v.clone().into())).collect()).await.unwrap();
    cache.set(Namespace::Embeddings, "a", vec![9]).await.unwrap();
    let keys: Vec<_> = values.iter().map(|(key, _)| (*key).to_owned()).chain(["missing".to_owned()]).collect();
    let found = other.get_many(metadata, &keys).await.unwrap();
    let expected: Vec<_> = values.iter().map(|(_, value)| Some(value.clone())).chain([None]).collect();
    assert_eq!(found.into_iter().map(|v| v.map(|v| v.to_vec())).collect::<Vec<_>>(), expected);

    let stats = |stats: Vec<(Namespace, _)>| stats.into_iter().find(|(n, _)| *n == metadata).unwrap().1;
    let counted: syncline::core::cache::NamespaceStats = stats(other.get_stats().await.unwrap());
    assert_eq!((counted.hits, counted.misses, counted.entries), (3, 1, 3));
    assert!(counted.bytes > 0);
    assert!(other.delete(metadata, "a").await.unwrap() && !other.delete(metadata, "a").await.unwrap());
    assert_eq!(cache.get(metadata, "a").await.unwrap(), None);
    cache.clear_namespace(metadata).await.unwrap();
    assert_eq!(other.get(metadata, "b").await.unwrap(), None);
    assert_eq!(stats(cache.get_stats().await.unwrap()).entries, 0);
    assert_eq!(other.get(Namespace::Embeddings, "a").await.unwrap().unwrap().to_vec(), [9]);
}

/// A codebase whose syncs are recorded.
struct Target {
    codebase: Codebase,
    syncing: Arc<AtomicUsize>,
    synced: Mutex<Vec<(u64, BTreeSet<String>)>>,
    /// Called in each sync, with how many there were before.
    #[allow(clippy::type_complexity)]
    during: Box<dyn Fn(usize, Head) -> futures::Boxed + Send + Sync>,
    calls: AtomicUsize,
}

mod futures {
    pub type Boxed = std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
}

impl Target {
    fn new(fixture: &Fixture, during: impl Fn(usize, Head) -> futures::Boxed + Send + Sync + 'static) -> Arc<Target> {
        let codebase = Codebase::new(CodebaseRoot::open(&fixture.root).unwrap(), Some("c"));
        let (syncing, synced, calls) = Default::default();
        Arc::new(Target { codebase, syncing, synced, during: Box::new(during), calls })
    }

    fn all(&self) -> BTreeSet<String> {
        self.synced.lock().unwrap().iter().flat_map(|(_, paths)| paths.clone()).collect()
    }
}

impl SyncTarget for Target {
    fn codebase(&self) -> &Codebase {
        &self.codebase
    }

    async fn sync(self: Arc<Self>, batch: SyncBatch, head: Head) -> Result<Synced, String> {
        let others = self.syncing.fetch_add(1, Ordering::SeqCst);
        let result = (self.during)(self.calls.fetch_add(1, Ordering::SeqCst), head.clone()).await;
        self.syncing.fetch_sub(1, Ordering::SeqCst);
        assert_eq!(others, 0, "one at the head");
        result?;
        head.confirm().await.map_err(|error| error.to_string())?;
        let Dirty::Paths(paths) = batch.dirty else { panic!("paths") };
        let files = paths.len();
        self.synced.lock().unwrap().push((head.token.0, paths.iter().map(ToString::to_string).collect()));
        Ok(Synced { files })
    }
}

async fn overlapping_syncs_take_turns(place: Place) {
    let fixture = Fixture::new(&[]);
    let target = Target::new(&fixture, |_, _| Box::pin(async { Ok(()) }));
    let owners: Vec<_> = (0..8).map(|_| SyncManager::new(place.cache(), Owner::new())).collect();
    let mut syncs = Vec::new();
    for call in 0..64 {
        let (owner, target) = (owners[call % 8].clone(), target.clone());
        let dirty = Dirty::from_iter([RelPath::new(format!("f{call}").as_ref()).unwrap()]);
        syncs.push(tokio::spawn(async move { owner.sync_codebase(target, dirty).await.unwrap() }));
    }
    for sync in syncs {
        let outcome = timeout(DEADLINE, sync).await.expect("in time").unwrap();
        assert_eq!((outcome.verdict, &outcome.error), (Verdict::Synced, &None), "{outcome:?}");
    }
    assert_eq!(target.all().len(), 64, "every change was synced");
    let tokens: Vec<_> = target.synced.lock().unwrap().iter().map(|(token, _)| *token).collect();
    assert!(tokens.is_sorted_by(|a, b| a < b), "{tokens:?}");
    assert_eq!(ids(&place.cache()).await, []);
}

async fn a_batch_that_loses_its_turn_goes_back_in_line(place: Place) {
    let fixture = Fixture::new(&[]);
    let thief = place.cache();
    let target = Target::new(&fixture, move |call, head| {
        let thief = thief.clone();
        Box::pin(async move {
            if call == 0 {
                // Somebody takes its place while it syncs.
                for id in ids(&thief).await {
                    leave(&thief, id).await;
                }
                assert!(head.confirm().await.is_err(), "the turn is lost");
                assert!(head.cancel.is_cancelled() && !head.still_holds());
                return Err("cancelled".to_owned());
            }
            Ok(())
        })
    });
    let owner = SyncManager::new(place.cache(), Owner::new());
    let dirty = Dirty::from_iter([RelPath::new("a".as_ref()).unwrap()]);
    let outcome = timeout(DEADLINE, owner.sync_codebase(target.clone(), dirty)).await.expect("in time").unwrap();
    assert_eq!(outcome.verdict, Verdict::Synced, "{outcome:?}");
    assert_eq!((target.all().len(), target.calls.load(Ordering::SeqCst)), (1, 2));
    assert_eq!(ids(&place.cache()).await, []);
}

async fn a_batch_that_loses_its_place_goes_back_in_line(place: Place) {
    let fixture = Fixture::new(&[]);
    let target = Target::new(&fixture, |_, _| Box::pin(async { Ok(()) }));
    let (cache, owner) = (place.cache(), SyncManager::new(place.cache(), Owner::new()));
    let busy = batch(&Owner::new(), &["x"]);
    head_at_once(&cache, &busy).await;
    let path = |name: &str| Dirty::from_iter([RelPath::new(name.as_ref()).unwrap()]);
    let first = owner.enqueue(target.clone(), path("a")).await.unwrap();
    let second = owner.enqueue(target.clone(), path("b")).await.unwrap();
    assert_eq!((first.position, second.position, second.batch), (Some(1), None, first.batch));
    // As after a loss of all data.
    for id in ids(&cache).await {
        leave(&cache, id).await;
    }
    for waiting in [first, second] {
        let outcome = timeout(DEADLINE, waiting.outcome()).await.expect("in time");
        assert_eq!(outcome.verdict, Verdict::Synced, "{outcome:?}");
    }
    assert_eq!(target.all(), ["a", "b"].map(str::to_owned).into(), "also what had joined it");
}

async fn a_closed_owner_leaves_at_once(place: Place) {
    let fixture = Fixture::new(&[]);
    let target = Target::new(&fixture, |_, head| {
        Box::pin(async move {
            head.cancel.cancelled().await;
            Err("cancelled".to_owned())
        })
    });
    let owners = [SyncManager::new(place.cache(), Owner::new()), SyncManager::new(place.cache(), Owner::new())];
    let mut lines = Vec::new();
    for owner in &owners {
        let dirty = Dirty::from_iter([RelPath::new("a".as_ref()).unwrap()]);
        lines.push(owner.enqueue(target.clone(), dirty).await.unwrap());
    }
    let cache = place.cache();
    until("one syncs and one waits", async || {
        let queue = cache.get_queue(LINE, "c").await.unwrap();
        queue.len() == 2 && queue[0].state != BatchState::Waiting
    })
    .await;
    for owner in owners {
        owner.cancel_all();
        owner.left_all(DEADLINE).await;
    }
    assert_eq!(ids(&cache).await, []);
}

#[test]
fn an_index_refuses_a_turn_that_was_overtaken_in_its_line() {
    let fixture = Fixture::new(&[("a.txt", "a"), ("b.txt", "b")]);
    // Two processes on one index.
    let indexes = [Index::open(&fixture.index_dir).0, Index::open(&fixture.index_dir).0];
    let commit = |index: &Index, path: &str, line: u64, token: u64| {
        let overlay = Overlay::default();
        overlay.mark([(RelPath::new(path.as_ref()).unwrap(), syncline::index::Verdict::Read)]);
        let update = Update {
            index,
            root: &fixture.root,
            overlay: &overlay,
            max_file_bytes: 1 << 20,
            memory: 400_000_000,
            threads: 1,
            cancel: &CancellationToken::new(),
            progress: &|_, _| {},
            permit: &|| Ok(Some(Fence { queue: line, token: FencingToken(token) })),
        };
        update.run(&Dirty::Everything).map(drop)
    };
    commit(&indexes[0], "a.txt", 1, 7).unwrap();
    assert!(matches!(commit(&indexes[1], "b.txt", 1, 6), Err(IndexError::LeaseLost)));
    assert_eq!(indexes[1].snapshot().last_token(), FencingToken(7), "the next turn will be above it");
    assert_eq!(Index::read(&fixture.index_dir).unwrap().files(), 1);
    commit(&indexes[1], "b.txt", 2, 1).unwrap();
    commit(&indexes[0], "b.txt", 1, 7).unwrap();
    commit(&indexes[1], "a.txt", 1, 8).unwrap();
    assert!(matches!(commit(&indexes[0], "a.txt", 1, 7), Err(IndexError::LeaseLost)));
    let segments = |entries: std::fs::ReadDir| {
        entries.filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|x| x == "segment")).count()
    };
    assert_eq!(segments(std::fs::read_dir(&fixture.index_dir).unwrap()), 2, "nothing of the refused ones is left");
}

//! The queue: one suite, over queues in this process and in Redis.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod redis_server;
mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis_server::{RedisServer, SLICE};
use support::{DEADLINE, Fixture};
use syncline::core::cache::{
    CacheManager, Fence, FencingToken, Lease, LeaseConfig, Namespace, Placement, QueueChange, QueueItem, Renewal,
};
use syncline::core::{BatchId, Codebase, CodebaseRoot, Dirty, Owner, RelPath, SyncBatch};
use syncline::index::{Index, IndexError, Overlay, Update};
use syncline::sync::{Enqueued, Head, SyncManager, SyncStatus, SyncTarget, Synced};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

const QUEUES: Namespace = Namespace::SyncBatches;
/// Long enough for nothing to end by itself.
const LONG: Duration = Duration::from_secs(60);
/// Short enough to wait for, and long enough for the next step of a test on a busy machine.
const SHORT: Duration = Duration::from_secs(2);

/// Where queues live, and the caches of several processes that use it.
enum Home {
    Local(CacheManager),
    Redis(RedisServer, Duration),
}

impl Home {
    fn local(lease: Duration) -> Home {
        Home::Local(CacheManager::local_with(LeaseConfig { lease, slice: SLICE, ..LeaseConfig::default() }))
    }

    fn redis(lease: Duration) -> Home {
        Home::Redis(RedisServer::start(), lease)
    }

    /// The cache of one more process; in one process, they are all the same.
    fn cache(&self) -> CacheManager {
        match self {
            Home::Local(cache) => cache.clone(),
            Home::Redis(server, lease) => server.cache(*lease),
        }
    }
}

/// Runs each test over both.
macro_rules! over_both {
    ($($name:ident($lease:expr);)*) => {
        mod local {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(Home::local($lease)).await; })*
        }
        mod redis {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(Home::redis($lease)).await; })*
        }
    };
}

over_both! {
    first_come_first_served(LONG);
    one_batch_waits_for_each_owner_and_root(LONG);
    tokens_grow(LONG);
    a_head_that_is_not_renewed_leaves_and_has_lost_its_lease(SHORT);
    a_waiting_batch_whose_owner_is_silent_leaves(SHORT);
    what_is_removed_is_gone(LONG);
    changes_wake_those_who_wait(LONG);
    values_are_kept_and_counted(LONG);
    overlapping_syncs_take_turns(LONG);
    changes_are_merged_for_each_root_and_none_is_lost(SHORT);
    a_long_batch_gives_way_and_goes_on_where_it_was(LONG);
    what_a_slice_leaves_joins_what_waits_and_goes_to_the_end(LONG);
    a_batch_that_loses_its_lease_is_enqueued_again(LONG);
    who_gives_up_leaves_nothing_behind(LONG);
    a_closed_owner_leaves_at_once(LONG);
}

fn batch(owner: &Owner) -> SyncBatch {
    SyncBatch::new("/somewhere".into(), owner.clone())
}

fn new_batch() -> SyncBatch {
    batch(&Owner::new())
}

async fn enqueue(cache: &CacheManager, batch: &SyncBatch) -> Placement {
    cache.enqueue_item(QUEUES, "c", batch.clone(), Some(1)).await.unwrap()
}

async fn claim(cache: &CacheManager, id: BatchId) -> Placement {
    cache.claim_head(QUEUES, "c", id, Some(1)).await
}

fn lease_of(placement: Placement) -> Lease {
    match placement {
        Placement::Head(lease) => lease,
        other => panic!("not at the head: {other:?}"),
    }
}

#[track_caller]
fn waits(placement: Placement, at: usize) {
    assert!(matches!(placement, Placement::Waiting { position, .. } if position == at), "{placement:?}");
}

/// Whether the lease is held.
async fn renew(cache: &CacheManager, id: BatchId, lease: &Lease) -> bool {
    cache.renew_lease(QUEUES, "c", id, lease).await != Renewal::Lost
}

async fn leave(cache: &CacheManager, id: BatchId) -> bool {
    cache.remove_item(QUEUES, "c", id).await
}

async fn queue(cache: &CacheManager) -> Vec<QueueItem> {
    cache.get_queue(QUEUES, "c").await
}

async fn ids(cache: &CacheManager) -> Vec<BatchId> {
    queue(cache).await.iter().map(|item| item.batch.id).collect()
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let polling = async {
        while !is_so().await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, polling).await.unwrap_or_else(|_| panic!("not within {DEADLINE:?}: {what}"));
}

async fn first_come_first_served(home: Home) {
    let caches = [home.cache(), home.cache(), home.cache()];
    let batches = [(); 3].map(|()| new_batch());
    let lease = lease_of(enqueue(&caches[0], &batches[0]).await);
    waits(enqueue(&caches[1], &batches[1]).await, 1);
    waits(enqueue(&caches[2], &batches[2]).await, 2);
    let items = queue(&caches[2]).await;
    assert_eq!(items.iter().map(|item| &item.batch).collect::<Vec<_>>(), batches.each_ref());
    assert_eq!((items[0].token, items[1].token, items[1].files), (Some(lease.fence.token), None, Some(1)));
    assert!(items.iter().all(|item| item.expires_in <= LONG && item.expires_in > LONG / 2), "{items:?}");

    waits(claim(&caches[2], batches[2].id).await, 2);
    assert!(leave(&caches[0], batches[0].id).await);
    waits(claim(&caches[2], batches[2].id).await, 1);
    lease_of(claim(&caches[1], batches[1].id).await);
    assert!(leave(&caches[1], batches[1].id).await);
    lease_of(claim(&caches[2], batches[2].id).await);
    assert!(leave(&caches[2], batches[2].id).await);
    assert_eq!(ids(&caches[0]).await, []);
    assert_eq!(claim(&caches[0], batches[0].id).await, Placement::Gone);
}

async fn one_batch_waits_for_each_owner_and_root(home: Home) {
    let (cache, owner, busy) = (home.cache(), Owner::new(), new_batch());
    lease_of(enqueue(&cache, &busy).await);
    let [forgotten, first] = [(); 2].map(|()| batch(&owner));
    let of_other_root = SyncBatch::new("/elsewhere".into(), owner.clone());
    waits(enqueue(&cache, &forgotten).await, 1);
    waits(enqueue(&cache, &of_other_root).await, 2);
    // An owner that enqueues another for the same root has forgotten the one that waits there.
    waits(enqueue(&cache, &first).await, 2);
    assert_eq!(ids(&cache).await, [busy.id, of_other_root.id, first.id]);
    assert_eq!(claim(&cache, forgotten.id).await, Placement::Gone);
    // It says how much it covers by now.
    for files in [Some(4), None, Some(2)] {
        waits(cache.claim_head(QUEUES, "c", first.id, files).await, 2);
        assert_eq!(queue(&cache).await[2].files, files);
    }
    // One that syncs stays beside the next.
    leave(&cache, busy.id).await;
    lease_of(claim(&cache, of_other_root.id).await);
    let next = SyncBatch::new("/elsewhere".into(), owner);
    waits(enqueue(&cache, &next).await, 2);
    assert_eq!(ids(&cache).await, [of_other_root.id, first.id, next.id]);
}

async fn tokens_grow(home: Home) {
    let mut last = FencingToken(0);
    for round in 0..20 {
        let (cache, batch) = (home.cache(), new_batch());
        let token = lease_of(enqueue(&cache, &batch).await).fence.token;
        assert!(token > last, "round {round}");
        last = token;
        leave(&cache, batch.id).await;
    }
    // Also above those that another queue has given.
    let cache = home.cache();
    let far = FencingToken(last.0 + 1_000_000_000_000);
    cache.raise_token_floor(far);
    assert!(lease_of(enqueue(&cache, &new_batch()).await).fence.token > far);
}

async fn a_head_that_is_not_renewed_leaves_and_has_lost_its_lease(home: Home) {
    let (stalled, other) = (home.cache(), home.cache());
    let (first, second) = (new_batch(), new_batch());
    let lease = lease_of(enqueue(&stalled, &first).await);
    waits(enqueue(&other, &second).await, 1);
    let mut next = None;
    until("the next one is at the head", async || {
        if let Placement::Head(lease) = claim(&other, second.id).await {
            next = Some(lease);
        }
        next.is_some()
    })
    .await;
    let next = next.unwrap();
    assert!(next.fence.token > lease.fence.token && next.fence.queue == lease.fence.queue);
    assert!(!renew(&stalled, first.id, &lease).await);
    assert_eq!(claim(&stalled, first.id).await, Placement::Gone);
    assert!(renew(&other, second.id, &next).await);
}

/// And the head, which is renewed, stays for longer than the lease it began with.
async fn a_waiting_batch_whose_owner_is_silent_leaves(home: Home) {
    let (cache, dead) = (home.cache(), home.cache());
    let [head, silent, alive] = [(); 3].map(|()| new_batch());
    let lease = lease_of(enqueue(&cache, &head).await);
    enqueue(&dead, &silent).await;
    enqueue(&cache, &alive).await;
    assert_eq!(ids(&cache).await, [head.id, silent.id, alive.id]);
    until("it has left", async || {
        assert!(renew(&cache, head.id, &lease).await, "still held");
        claim(&cache, alive.id).await;
        ids(&cache).await == [head.id, alive.id]
    })
    .await;
}

async fn what_is_removed_is_gone(home: Home) {
    let (cache, other) = (home.cache(), home.cache());
    let batches = [(); 4].map(|()| new_batch());
    for batch in &batches {
        enqueue(&cache, batch).await;
    }
    // Anybody may take out anything.
    assert!(leave(&other, batches[2].id).await);
    assert!(leave(&other, batches[0].id).await);
    assert_eq!(ids(&cache).await, [batches[1].id, batches[3].id]);
    assert_eq!(claim(&cache, batches[0].id).await, Placement::Gone);
    // The other queue isn't touched.
    cache.enqueue_item(QUEUES, "d", batches[0].clone(), None).await.unwrap();
    let _subscribed = (cache.subscribe(QUEUES, "c"), cache.subscribe(QUEUES, "d"));
    cache.clear_namespace(Namespace::Metadata).await;
    assert_eq!(ids(&cache).await.len(), 2);
    cache.clear_namespace(QUEUES).await;
    assert_eq!(ids(&cache).await, []);
    assert_eq!(cache.get_queue(QUEUES, "d").await, []);
}

async fn changes_wake_those_who_wait(home: Home) {
    let (cache, other) = (home.cache(), home.cache());
    let mut changes = cache.subscribe(QUEUES, "c");
    let (first, second) = (new_batch(), new_batch());
    // A wake-up names the first batch, or says that it isn't known: what came before the subscription.
    let heard = |head: Option<BatchId>| {
        let mut changes = changes.clone();
        async move {
            let named = |change: &QueueChange| change.changes > 0 && (change.head == head || change.head.is_none());
            let heard = timeout(DEADLINE, changes.wait_for(named)).await;
            heard.expect("a wake-up in time").unwrap();
        }
    };
    lease_of(enqueue(&other, &first).await);
    heard(Some(first.id)).await;
    enqueue(&other, &second).await;
    leave(&other, first.id).await;
    heard(Some(second.id)).await;
    changes.mark_unchanged();
    leave(&other, second.id).await;
    timeout(DEADLINE, changes.changed()).await.expect("a wake-up in time").unwrap();
}

async fn values_are_kept_and_counted(home: Home) {
    let (cache, other) = (home.cache(), home.cache());
    let metadata = Namespace::Metadata;
    let long_key = "k".repeat(2_000);
    let values = [("a", vec![1; 10_000]), ("b", vec![]), (long_key.as_str(), (0..=255).collect())];
    cache.set_many(metadata, values.iter().map(|(k, v)| ((*k).to_owned(), v.clone().into())).collect()).await;
    cache.set(Namespace::Embeddings, "a", vec![9]).await;
    let keys: Vec<_> = values.iter().map(|(key, _)| (*key).to_owned()).chain(["missing".to_owned()]).collect();
    let found = other.get_many(metadata, &keys).await;
    let expected: Vec<_> = values.iter().map(|(_, value)| Some(value.clone())).chain([None]).collect();
    assert_eq!(found.into_iter().map(|v| v.map(|v| v.to_vec())).collect::<Vec<_>>(), expected);

    let stats = |stats: Vec<(Namespace, _)>| stats.into_iter().find(|(n, _)| *n == metadata).unwrap().1;
    let counted: syncline::core::cache::NamespaceStats = stats(other.get_stats().await);
    assert_eq!((counted.hits, counted.misses, counted.entries), (3, 1, 3));
    assert!(counted.bytes > 0);
    assert!(other.delete(metadata, "a").await && !other.delete(metadata, "a").await);
    assert_eq!(cache.get(metadata, "a").await, None);
    cache.clear_namespace(metadata).await;
    assert_eq!(other.get(metadata, "b").await, None);
    assert_eq!(stats(cache.get_stats().await).entries, 0);
    assert_eq!(other.get(Namespace::Embeddings, "a").await.unwrap().to_vec(), [9]);
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

    /// One that does nothing but note what is synced.
    fn idle(fixture: &Fixture) -> Arc<Target> {
        Target::new(fixture, |_, _| Box::pin(async { Ok(()) }))
    }

    fn all(&self) -> BTreeSet<String> {
        self.synced.lock().unwrap().iter().flat_map(|(_, paths)| paths.clone()).collect()
    }
}

impl SyncTarget for Target {
    fn codebase(&self) -> &Codebase {
        &self.codebase
    }

    async fn sync(self: Arc<Self>, _: SyncBatch, dirty: Dirty, head: Head) -> Result<Synced, String> {
        let others = self.syncing.fetch_add(1, Ordering::SeqCst);
        let result = (self.during)(self.calls.fetch_add(1, Ordering::SeqCst), head.clone()).await;
        self.syncing.fetch_sub(1, Ordering::SeqCst);
        assert_eq!(others, 0, "one at the head");
        result?;
        head.confirm().await.map_err(|error| error.to_string())?;
        let Dirty::Paths(paths) = dirty else { panic!("paths") };
        let files = paths.len();
        self.synced.lock().unwrap().push((head.token.0, paths.iter().map(ToString::to_string).collect()));
        Ok(Synced { files, rest: None })
    }
}

fn path(name: &str) -> RelPath {
    RelPath::new(name.as_ref()).unwrap()
}

fn dirty(name: &str) -> Dirty {
    Dirty::from_iter([path(name)])
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

async fn synced(enqueued: Enqueued) {
    let outcome = timeout(DEADLINE, enqueued.outcome()).await.expect("in time");
    assert_eq!((outcome.status, &outcome.error), (SyncStatus::Synced, &None), "{outcome:?}");
}

async fn overlapping_syncs_take_turns(home: Home) {
    let fixture = Fixture::new(&[]);
    let target = Target::idle(&fixture);
    let owners: Vec<_> = (0..8).map(|_| SyncManager::new(home.cache(), Owner::new())).collect();
    let mut syncs = Vec::new();
    for call in 0..64 {
        let (owner, target) = (owners[call % 8].clone(), target.clone());
        syncs.push(tokio::spawn(async move { synced(owner.enqueue(target, dirty(&format!("f{call}"))).await).await }));
    }
    for sync in syncs {
        sync.await.unwrap();
    }
    assert_eq!(target.all().len(), 64, "every change was synced");
    let tokens: Vec<_> = target.synced.lock().unwrap().iter().map(|(token, _)| *token).collect();
    assert!(tokens.is_sorted_by(|a, b| a < b), "{tokens:?}");
    assert_eq!(ids(&home.cache()).await, []);
}

/// Two roots with one name, as two worktrees of a repository that names it: both were said to be synced when one was.
async fn changes_are_merged_for_each_root_and_none_is_lost(home: Home) {
    let fixtures = [Fixture::new(&[]), Fixture::new(&[])];
    let (one, other) = (Target::idle(&fixtures[0]), Target::idle(&fixtures[1]));
    let (cache, owner, busy) = (home.cache(), SyncManager::new(home.cache(), Owner::new()), new_batch());
    let lease = lease_of(enqueue(&cache, &busy).await);
    let first = owner.enqueue(one.clone(), dirty("a")).await;
    let merged = owner.enqueue(one.clone(), dirty("b")).await;
    let of_other_root = owner.enqueue(other.clone(), dirty("c")).await;
    assert_eq!((first.position, merged.position, of_other_root.position), (Some(1), None, Some(2)));
    assert_eq!((merged.batch, merged.covered), (first.batch, Some(2)));
    until("the queue knows how much was merged", async || {
        renew(&cache, busy.id, &lease).await;
        queue(&cache).await.iter().map(|item| item.files).collect::<Vec<_>>() == [Some(1), Some(2), Some(1)]
    })
    .await;
    // As after a loss of all data: they are enqueued again, with everything merged.
    for id in ids(&cache).await {
        leave(&cache, id).await;
    }
    for waiting in [first, merged, of_other_root] {
        synced(waiting).await;
    }
    assert_eq!((one.all(), other.all()), (set(["a", "b"]), set(["c"])));
    assert_eq!(ids(&cache).await, []);
}

/// Syncs a file at a time, waits until it is to give way, and gives what is left.
struct Long {
    codebase: Codebase,
    synced: Arc<Mutex<Vec<String>>>,
    /// How many files were done before, as each slice was told.
    before: Mutex<Vec<usize>>,
}

impl Long {
    fn new(fixture: &Fixture) -> Arc<Long> {
        let codebase = Codebase::new(CodebaseRoot::open(&fixture.root).unwrap(), Some("c"));
        Arc::new(Long { codebase, synced: Arc::default(), before: Mutex::default() })
    }
}

impl SyncTarget for Long {
    fn codebase(&self) -> &Codebase {
        &self.codebase
    }

    async fn sync(self: Arc<Self>, _: SyncBatch, dirty: Dirty, head: Head) -> Result<Synced, String> {
        let Dirty::Paths(mut paths) = dirty else { panic!("paths") };
        self.before.lock().unwrap().push(head.files_before);
        let first = paths.pop_first().unwrap();
        if !paths.is_empty() {
            head.give_way.cancelled().await;
        }
        head.confirm().await.map_err(|error| error.to_string())?;
        self.synced.lock().unwrap().push(first.to_string());
        let rest = (!paths.is_empty()).then_some(Dirty::Paths(paths));
        Ok(Synced { files: 1, rest })
    }
}

/// An edit of one file waited for the whole index of another host's codebase.
async fn a_long_batch_gives_way_and_goes_on_where_it_was(home: Home) {
    let (fixture, other_fixture) = (Fixture::new(&[]), Fixture::new(&[]));
    let long = Long::new(&fixture);
    let log = long.synced.clone();
    let short = Target::new(&other_fixture, move |call, _| {
        log.lock().unwrap().push(["x", "y"][call].to_owned());
        Box::pin(async { Ok(()) })
    });
    let [one, other] = [(); 2].map(|()| SyncManager::new(home.cache(), Owner::new()));
    let batch = one.enqueue(long.clone(), "abc".chars().map(|name| path(&name.to_string())).collect()).await;
    for edit in ["x", "y"] {
        synced(other.enqueue(short.clone(), dirty(edit)).await).await;
    }
    let outcome = timeout(DEADLINE, batch.outcome()).await.expect("in time");
    assert_eq!((outcome.status, outcome.files, outcome.covered, outcome.returns), (SyncStatus::Synced, 3, Some(3), 0));
    assert!(outcome.took >= 2 * SLICE, "{outcome:?}");
    assert_eq!(long.synced.lock().unwrap()[..], ["a", "x", "b", "y", "c"], "one slice, and no more, was before each");
    assert_eq!(long.before.lock().unwrap()[..], [0, 1, 2]);
    assert_eq!(ids(&home.cache()).await, []);
}

async fn what_a_slice_leaves_joins_what_waits_and_goes_to_the_end(home: Home) {
    let (fixture, other_fixture) = (Fixture::new(&[]), Fixture::new(&[]));
    let (long, short) = (Long::new(&fixture), Target::idle(&other_fixture));
    let [one, other] = [(); 2].map(|()| SyncManager::new(home.cache(), Owner::new()));
    let first = one.enqueue(long.clone(), ["a", "b"].map(path).into_iter().collect()).await;
    // What comes before that is merged into it.
    until("the first syncs", async || long.before.lock().unwrap().len() == 1).await;
    let next = one.enqueue(long.clone(), dirty("c")).await;
    assert_eq!((first.position, next.position), (Some(0), Some(1)));
    // Behind both, and yet it waits for one slice only.
    synced(other.enqueue(short, dirty("x")).await).await;
    assert_eq!(long.synced.lock().unwrap()[..], ["a"]);
    // Nobody waits any more, so nothing tells the rest to give way but another.
    let last = new_batch();
    waits(enqueue(&home.cache(), &last).await, 1);
    let cache = home.cache();
    let turn = async {
        while !matches!(claim(&cache, last.id).await, Placement::Head(_)) {
            sleep(SLICE / 5).await
        }
    };
    timeout(DEADLINE, turn).await.expect("in time");
    leave(&cache, last.id).await;
    let files = [first, next].map(|batch| async { timeout(DEADLINE, batch.outcome()).await.expect("in time").files });
    let [first, next] = files;
    assert_eq!((first.await, next.await), (3, 2), "the first did one, and the next the rest of it as well");
    assert_eq!(long.synced.lock().unwrap()[..], ["a", "b", "c"]);
    assert_eq!(ids(&cache).await, []);
}

async fn a_batch_that_loses_its_lease_is_enqueued_again(home: Home) {
    let fixture = Fixture::new(&[]);
    let (thief, busy, owner) = (home.cache(), new_batch(), SyncManager::new(home.cache(), Owner::new()));
    let (reached, may_go) = (CancellationToken::new(), CancellationToken::new());
    let (reach, wait) = (reached.clone(), may_go.clone());
    let (stealer, blocker) = (thief.clone(), busy.clone());
    let target = Target::new(&fixture, move |call, head| {
        let (thief, busy, reach, wait) = (stealer.clone(), blocker.clone(), reach.clone(), wait.clone());
        Box::pin(async move {
            if call == 0 {
                // Another takes its place while it syncs.
                for id in ids(&thief).await {
                    leave(&thief, id).await;
                }
                lease_of(enqueue(&thief, &busy).await);
                reach.cancel();
                wait.cancelled().await;
                assert!(head.confirm().await.is_err() && head.cancel.is_cancelled(), "the lease is lost");
                return Err("cancelled".to_owned());
            }
            Ok(())
        })
    });
    let first = owner.enqueue(target.clone(), dirty("a")).await;
    timeout(DEADLINE, reached.cancelled()).await.expect("in time");
    // What changes meanwhile waits already, and takes it in.
    let next = owner.enqueue(target.clone(), dirty("b")).await;
    assert_eq!((first.position, next.position), (Some(0), Some(1)));
    may_go.cancel();
    until("both are one batch", async || queue(&thief).await.get(1).is_some_and(|item| item.files == Some(2))).await;
    leave(&thief, busy.id).await;
    synced(first).await;
    synced(next).await;
    assert_eq!((target.all(), target.calls.load(Ordering::SeqCst)), (set(["a", "b"]), 2));
    assert_eq!(ids(&thief).await, []);
}

async fn who_gives_up_leaves_nothing_behind(home: Home) {
    let fixture = Fixture::new(&[]);
    let (cache, owner, busy) = (home.cache(), SyncManager::new(home.cache(), Owner::new()), new_batch());
    lease_of(enqueue(&cache, &busy).await);
    let panics = Target::new(&fixture, |_, _| Box::pin(async { panic!("on purpose") }));
    let target = Target::idle(&fixture);
    // Dropped at every point at which it can be.
    for _ in 0..20 {
        let enqueueing = owner.enqueue(target.clone(), dirty("a"));
        tokio::select! { biased; _ = enqueueing => {}, () = tokio::task::yield_now() => {} }
    }
    leave(&cache, busy.id).await;
    until("all have left", async || ids(&cache).await.is_empty()).await;
    owner.left_all(DEADLINE).await;
    assert_eq!(target.all(), set(["a"]), "it was synced all the same");
    let outcome = timeout(DEADLINE, owner.sync_codebase(panics, dirty("b"))).await.expect("in time");
    assert_eq!((outcome.status, ids(&cache).await), (SyncStatus::Failed, vec![]), "{outcome:?}");
    synced(owner.enqueue(target, dirty("b")).await).await;
}

async fn a_closed_owner_leaves_at_once(home: Home) {
    let fixture = Fixture::new(&[]);
    let target = Target::new(&fixture, |_, head| {
        Box::pin(async move {
            head.cancel.cancelled().await;
            Err("cancelled".to_owned())
        })
    });
    let owners = [(); 2].map(|()| SyncManager::new(home.cache(), Owner::new()));
    for owner in &owners {
        drop(owner.enqueue(target.clone(), dirty("a")).await);
    }
    let cache = home.cache();
    until(
        "one syncs and one waits",
        async || matches!(&queue(&cache).await[..], [head, next] if head.token.is_some() && next.token.is_none()),
    )
    .await;
    for owner in owners {
        owner.cancel_all();
        owner.left_all(DEADLINE).await;
    }
    assert_eq!(ids(&cache).await, []);
}

#[test]
fn an_index_refuses_a_lease_that_was_overtaken_in_its_queue() {
    let fixture = Fixture::new(&[("a.txt", "a"), ("b.txt", "b")]);
    // Two processes on one index.
    let indexes = [Index::open(&fixture.index_dir).0, Index::open(&fixture.index_dir).0];
    let commit = |index: &Index, path: &str, queue: u64, token: u64| {
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
            give_way: &CancellationToken::new(),
            progress: &|_, _| {},
            permit: &|| Ok(Some(Fence { queue, token: FencingToken(token) })),
        };
        update.run(&Dirty::Everything).map(drop)
    };
    commit(&indexes[0], "a.txt", 1, 7).unwrap();
    assert!(matches!(commit(&indexes[1], "b.txt", 1, 6), Err(IndexError::LeaseLost)));
    assert_eq!(indexes[1].snapshot().last_token(), FencingToken(7), "the next token will be above it");
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

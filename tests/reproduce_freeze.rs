//! The freeze that this queue replaces: after two overlapping saves every later sync was refused, for ever.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use support::{Fixture, Random};
use syncline::core::cache::{CacheManager, FencingToken, Namespace, QueueItem};
use syncline::core::{BatchId, Codebase, CodebaseRoot, Dirty, Owner, RelPath, SyncBatch};
use syncline::index::{Index, IndexError, Overlay, Update};
use syncline::sync::{Head, SyncManager, SyncStatus, SyncTarget, Synced};
use tokio_util::sync::CancellationToken;

/// Ends the process when the test hangs: outside the runtime, which may be what hangs.
struct Watchdog(Arc<AtomicBool>);

impl Watchdog {
    fn start(limit: Duration) -> Watchdog {
        let done = Arc::new(AtomicBool::new(false));
        let seen = done.clone();
        std::thread::spawn(move || {
            let start = Instant::now();
            while !seen.load(Ordering::Relaxed) {
                if start.elapsed() > limit {
                    eprintln!("frozen: not done after {limit:?}");
                    std::process::exit(101);
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Watchdog(done)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A real index that one batch after the other brings up to date, with a record of who synced when.
struct Tree {
    codebase: Codebase,
    index: Index,
    overlay: Overlay,
    syncing: AtomicUsize,
    synced: Mutex<Vec<(BatchId, FencingToken)>>,
}

impl Tree {
    fn new(fixture: &Fixture) -> Arc<Tree> {
        let root = CodebaseRoot::open(&fixture.root).unwrap();
        let (index, problems) = Index::open(&fixture.index_dir);
        assert_eq!(problems, Vec::<String>::new());
        let codebase = Codebase::new(root, None);
        let (overlay, syncing, synced) = Default::default();
        Arc::new(Tree { codebase, index, overlay, syncing, synced })
    }
}

impl SyncTarget for Tree {
    fn codebase(&self) -> &Codebase {
        &self.codebase
    }

    async fn sync(self: Arc<Self>, batch: SyncBatch, dirty: Dirty, head: Head) -> Result<Synced, String> {
        assert_eq!(self.syncing.fetch_add(1, Ordering::SeqCst), 0, "one at the head");
        self.synced.lock().unwrap().push((batch.id, head.token));
        let (tree, covered) = (self.clone(), dirty.clone());
        let runtime = tokio::runtime::Handle::current();
        let updated = tokio::task::spawn_blocking(move || {
            let update = Update {
                index: &tree.index,
                root: tree.codebase.root.as_path(),
                overlay: &tree.overlay,
                max_file_bytes: 1 << 20,
                memory: 400_000_000,
                threads: 1,
                cancel: &CancellationToken::new(),
                give_way: &head.give_way,
                progress: &|_, _| {},
                permit: &|| runtime.block_on(head.confirm()).map(Some).map_err(|_| IndexError::LeaseLost),
            };
            update.run(&covered)
        });
        let updated = updated.await.unwrap().unwrap();
        self.syncing.fetch_sub(1, Ordering::SeqCst);
        let rest = (updated.left > 0).then_some(dirty);
        Ok(Synced { files: updated.files, rest })
    }
}

#[test]
fn overlapping_syncs_and_a_storm_on_the_cache_end_with_an_empty_queue_and_every_change_indexed() {
    let _watchdog = Watchdog::start(Duration::from_secs(180));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let fixture = Fixture::new(&[]);
        let tree = Tree::new(&fixture);
        let cache = CacheManager::local();
        let owners: Vec<_> = (0..10).map(|_| SyncManager::new(cache.clone(), Owner::new())).collect();

        let storm: Vec<_> = (0..100).map(|task| tokio::spawn(storm(cache.clone(), task))).collect();
        let queues = tokio::spawn(watch_queue(owners[0].clone(), tree.codebase.id.clone(), tree.clone()));
        let mut syncs = Vec::new();
        for call in 0..100 {
            let (tree, owner) = (tree.clone(), owners[call % owners.len()].clone());
            let root = fixture.root.clone();
            syncs.push(tokio::spawn(async move {
                let name = format!("file-{call:03}.txt");
                std::fs::write(root.join(&name), format!("change number {call:03}\n")).unwrap();
                let path = RelPath::new(name.as_ref()).unwrap();
                tree.overlay.mark([(path.clone(), syncline::index::Verdict::Read)]);
                owner.sync_codebase(tree, Dirty::from_iter([path])).await
            }));
        }
        for sync in syncs {
            let outcome = sync.await.unwrap();
            assert_eq!((outcome.status, &outcome.error), (SyncStatus::Synced, &None), "{outcome:?}");
        }
        for task in storm {
            task.await.unwrap();
        }

        assert!(owners[0].queue(&tree.codebase.id).await.is_empty(), "the queue is empty");
        let indexed: Vec<_> = tree.index.snapshot().paths().iter().map(ToString::to_string).collect();
        let written: Vec<_> = (0..100).map(|call| format!("file-{call:03}.txt")).collect();
        assert_eq!(indexed, written, "every change is indexed");
        assert!(tree.overlay.view().is_empty());

        // First come, first served: whoever stood before another in the queue synced before it, under a smaller token.
        let synced = tree.synced.lock().unwrap().clone();
        assert!(synced.windows(2).all(|pair| pair[0].1 < pair[1].1), "tokens grow");
        let order: BTreeMap<_, _> = synced.iter().enumerate().map(|(at, (id, _))| (*id, at)).collect();
        assert_eq!(order.len(), synced.len(), "no batch syncs twice");
        let queues = queues.await.unwrap();
        assert!(queues.iter().any(|queue| queue.len() > 1), "batches did wait");
        for queue in queues {
            let order: Vec<_> = queue.iter().filter_map(|id| order.get(id)).collect();
            assert!(order.is_sorted(), "{order:?}");
        }
    });
}

/// A thousand operations on values and on queues of its own and others.
async fn storm(cache: CacheManager, task: usize) {
    let mut random = Random::new(task as u64 + 1);
    let owner = Owner::new();
    let mut mine = Vec::new();
    for step in 0..1_000 {
        let namespace = Namespace::ALL[random.below(Namespace::ALL.len())];
        let key = format!("key-{}", random.below(20));
        match random.below(8) {
            0 => cache.set(namespace, &key, step.to_string().into_bytes()).await,
            1 => drop(cache.get(namespace, &key).await),
            2 => drop(cache.delete(namespace, &key).await),
            3 if random.below(50) == 0 => cache.clear_namespace(Namespace::SearchResults).await,
            3 => drop(cache.get_stats().await),
            4 | 5 => {
                let batch = SyncBatch::new("/nowhere".into(), owner.clone());
                mine.push((key.clone(), batch.id));
                cache.enqueue_item(Namespace::SyncBatches, &key, batch, None).await.unwrap();
            }
            6 => {
                let queue = cache.get_queue(Namespace::SyncBatches, &key).await;
                let waits = |item: &&QueueItem| item.batch.owner == owner && item.token.is_none();
                let waiting = queue.iter().filter(waits).count();
                assert!(waiting <= 1, "at most one waiting batch for an owner");
            }
            _ => {
                if let Some((key, id)) = mine.pop() {
                    cache.remove_item(Namespace::SyncBatches, &key, id).await;
                    let queue = cache.get_queue(Namespace::SyncBatches, &key).await;
                    assert!(queue.iter().all(|item| item.batch.id != id), "what was removed is gone");
                }
            }
        }
    }
    for (key, id) in mine {
        cache.remove_item(Namespace::SyncBatches, &key, id).await;
    }
    for key in 0..20 {
        let queue = cache.get_queue(Namespace::SyncBatches, &format!("key-{key}")).await;
        assert!(queue.iter().all(|item| item.batch.owner != owner), "nothing of this owner is left");
    }
}

/// The queue as it was seen at each change, until every file is indexed.
async fn watch_queue(owner: SyncManager, id: syncline::core::CodebaseId, tree: Arc<Tree>) -> Vec<Vec<BatchId>> {
    let mut changes = owner.watch_queue(&id);
    let mut seen = Vec::new();
    while tree.index.snapshot().files() < 100 {
        let queue = owner.queue(&id).await;
        seen.push(queue.iter().map(|item| item.batch.id).collect());
        // Or a little later, should the last change have come before it was listed.
        let _ = tokio::time::timeout(Duration::from_millis(20), changes.changed()).await;
    }
    seen
}

//! Real runs of many owners, with crashes, stalls and cut links; what happened is recorded, and a checker of the promises
//! reads it.
//!
//! Owners of several processes bring two indexes up to date, of two roots whose batches are in one queue in one Redis, each
//! process over a link of its own. All that happens is recorded in another Redis, in one order; commits have the
//! index's own order, their generation. The same owners in one process, on the queue there, are the second instance.
//!
//! `SYNCLINE_TEST_SEED` repeats one run, `SYNCLINE_HISTORY_SEEDS` makes that many, `SYNCLINE_HISTORY_SECONDS` makes each
//! longer, and `SYNCLINE_HISTORY_BREAK=1` leaves the fencing out, which the checker must notice.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod redis_server;
mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redis_server::proxy::{Link, Proxy};
use redis_server::{RedisServer, SLICE};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use support::Random;
use syncline::core::cache::{CacheManager, LeaseConfig, Namespace};
use syncline::core::{Codebase, CodebaseRoot, Dirty, Owner, RelPath, SyncBatch};
use syncline::index::{Index, IndexError, Overlay, Update, Updated};
use syncline::sync::{Head, SyncManager, SyncStatus, SyncTarget, Synced};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// Short, so that much happens.
const LEASE: Duration = Duration::from_millis(300);
/// Longest that a change may take once nothing disturbs any more.
const TIMEOUT: Duration = Duration::from_secs(40);
const QUEUE: &str = "history";
/// Roots of each owner.
const ROOTS: usize = 2;
/// A batch of so many files takes several slices, a file at a time.
const LONG: usize = 12;

/// What is recorded.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Event {
    /// An owner has changed a file and asks for a sync.
    Put { owner: String, file: String },
    /// Its batch is in the queue.
    Queued { owner: String, batch: String },
    /// It is at the head.
    Head { batch: String, owner: String, root: usize, queue: u64, token: u64 },
    /// It has committed.
    Commit { batch: String, root: usize, queue: u64, token: u64, generation: u64 },
    /// It has done a slice, and more is left.
    Slice { batch: String, owner: String, root: usize },
    /// It has learned that its lease is lost.
    Refused { token: u64 },
    /// A change is synced, or isn't.
    Done { batch: String, file: String, synced: bool, returns: u32, error: Option<String> },
    /// The queue had this many batches.
    Length(usize),
    /// Something was broken on purpose.
    Fault(String),
}

/// Takes events, in one order for all processes.
#[derive(Clone)]
struct Recorder(Arc<Mutex<redis::Connection>>);

impl Recorder {
    fn at(port: u16) -> Recorder {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
        Recorder(Arc::new(Mutex::new(client.get_connection().unwrap())))
    }

    fn record(&self, event: Event) {
        let text = serde_json::to_string(&event).unwrap();
        redis::cmd("RPUSH").arg("events").arg(text).query::<i64>(&mut self.0.lock().unwrap()).unwrap();
    }

    fn all(&self) -> Vec<Event> {
        let mut connection = self.0.lock().unwrap();
        let texts: Vec<String> = redis::cmd("LRANGE").arg("events").arg(0).arg(-1).query(&mut connection).unwrap();
        texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    }
}

/// A host's index of a tree, and who works on it.
struct Target {
    root: usize,
    codebase: Codebase,
    index: Arc<Index>,
    overlay: Overlay,
    recorder: Recorder,
    random: Mutex<Random>,
    /// Leaves the fencing out.
    broken: bool,
}

impl Target {
    fn chance(&self, one_in: usize) -> bool {
        self.random.lock().unwrap().below(one_in) == 0
    }
}

impl SyncTarget for Target {
    fn codebase(&self) -> &Codebase {
        &self.codebase
    }

    async fn sync(self: Arc<Self>, batch: SyncBatch, dirty: Dirty, head: Head) -> Result<Synced, String> {
        let (id, token) = (batch.id.to_string(), head.token.0);
        let Ok(fence) = head.confirm().await else {
            self.recorder.record(Event::Refused { token });
            return Err("the lease is lost".to_owned());
        };
        let (owner, root) = (batch.owner.session.simple().to_string(), self.root);
        let head_of_queue = Event::Head { batch: id.clone(), owner: owner.clone(), root, queue: fence.queue, token };
        self.recorder.record(head_of_queue);
        if self.chance(20) {
            // The owner stands still, with all that would renew its lease.
            std::thread::sleep(LEASE * 3 / 2);
        }
        let runtime = tokio::runtime::Handle::current();
        let (target, held) = (self.clone(), head.clone());
        let is_long = dirty.len().is_some_and(|files| files >= LONG);
        let synced = tokio::task::spawn_blocking(move || {
            let permit = || {
                if target.broken {
                    return Ok(None);
                }
                let fence = runtime.block_on(held.confirm()).map_err(|_| IndexError::LeaseLost)?;
                if target.chance(20) {
                    // It stands still at the worst moment: when it has just learned that it may commit.
                    std::thread::sleep(LEASE * 3 / 2);
                }
                Ok(Some(fence))
            };
            let update = Update {
                index: &target.index,
                root: target.codebase.root.as_path(),
                overlay: &target.overlay,
                max_file_bytes: 1 << 20,
                memory: 400_000_000,
                threads: 1,
                cancel: if target.broken { &CancellationToken::new() } else { &held.cancel.clone() },
                give_way: &held.give_way,
                progress: &|_, _| {},
                permit: &permit,
            };
            let run = |dirty: &Dirty| -> Result<Updated, IndexError> {
                let updated = update.run(dirty)?;
                let (batch, generation) = (id.clone(), updated.generation.0);
                if generation > 0 {
                    let commit = Event::Commit { batch, root, queue: fence.queue, token, generation };
                    target.recorder.record(commit);
                }
                Ok(updated)
            };
            let mut synced = Synced::default();
            match dirty {
                Dirty::Paths(mut paths) if is_long => {
                    while let Some(path) = paths.pop_first() {
                        std::thread::sleep(SLICE / 5);
                        synced.files += run(&Dirty::from_iter([path]))?.files;
                        if held.give_way.is_cancelled() && !paths.is_empty() {
                            target.recorder.record(Event::Slice { batch: id, owner, root });
                            synced.rest = Some(Dirty::Paths(paths));
                            break;
                        }
                    }
                }
                dirty => {
                    let updated = run(&dirty)?;
                    (synced.files, synced.rest) = (updated.files, (updated.left > 0).then_some(dirty));
                }
            }
            if target.chance(5) {
                // As a workspace does now and then: a commit without a lease.
                target.index.merge(&target.overlay).unwrap();
            }
            Ok(synced)
        });
        match synced.await.unwrap() {
            Ok(synced) => Ok(synced),
            Err(error) => {
                if matches!(error, IndexError::LeaseLost) {
                    self.recorder.record(Event::Refused { token });
                    head.give_up();
                }
                Err(error.to_string())
            }
        }
    }
}

/// Where everything is.
#[derive(Clone, Serialize, Deserialize)]
struct Setting {
    folder: PathBuf,
    recorder: u16,
    /// The link to the queue's Redis; none for the queue in this process.
    redis: Option<String>,
    owners: usize,
    seed: u64,
    seconds: f64,
    broken: bool,
}

impl Setting {
    fn tree(&self, root: usize) -> PathBuf {
        self.folder.join(format!("tree-{root}"))
    }

    fn index(&self, root: usize) -> PathBuf {
        self.folder.join(format!("index-{root}"))
    }
}

/// Owners at work, each with a thread and a runtime of its own, until the time is over and all is synced.
fn work(setting: &Setting, cache: &CacheManager) {
    let until = Instant::now() + Duration::from_secs_f64(setting.seconds);
    let recorder = Recorder::at(setting.recorder);
    let owners: Vec<_> = (0..setting.owners)
        .map(|number| {
            let (setting, cache, recorder) = (setting.clone(), cache.clone(), recorder.clone());
            std::thread::spawn(move || {
                let seed = setting.seed * 1_000 + number as u64;
                let mut random = Random::new(seed);
                // Some are gone in the middle: their runtime ends with all that is on it.
                let dies = cache.server().is_none() && number > 0 && random.below(2) == 0;
                let life = live(&setting, cache, recorder, seed, until);
                let runtime =
                    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
                if dies {
                    let dies_at = Duration::from_secs_f64(setting.seconds * (1.0 + random.below(8) as f64) / 10.0);
                    runtime.block_on(async { tokio::time::timeout(dies_at, life).await.ok() });
                } else {
                    runtime.block_on(life);
                }
                runtime.shutdown_background();
            })
        })
        .collect();
    owners.into_iter().for_each(|owner| owner.join().unwrap());
}

async fn live(setting: &Setting, cache: CacheManager, recorder: Recorder, seed: u64, until: Instant) {
    let owner = Owner::new();
    let name = owner.session.simple().to_string();
    let syncs = SyncManager::new(cache, owner);
    let targets = std::array::from_fn::<_, ROOTS, _>(|root| {
        let codebase = Codebase::new(CodebaseRoot::open(&setting.tree(root)).unwrap(), Some(QUEUE));
        let (index, overlay) = (Arc::new(Index::open(&setting.index(root)).0), Overlay::default());
        let (recorder, random) = (recorder.clone(), Mutex::new(Random::new(seed + 7 + root as u64)));
        Arc::new(Target { root, codebase, index, overlay, recorder, random, broken: setting.broken })
    });
    let mut random = Random::new(seed + 11);
    for change in 0.. {
        if Instant::now() >= until {
            break;
        }
        let mut batches = Vec::new();
        // The next one may be merged into the first, or be another root's.
        for part in 0..=random.below(3) {
            let target = &targets[random.below(ROOTS)];
            let count = if random.below(8) == 0 { LONG + random.below(LONG) } else { 1 };
            let files: Vec<_> = (0..count).map(|file| format!("{name}-{change}-{part}-{file}.txt")).collect();
            let mut paths = Vec::new();
            for file in &files {
                std::fs::write(target.codebase.root.as_path().join(file), file).unwrap();
                paths.push(RelPath::new(file.as_ref()).unwrap());
                recorder.record(Event::Put { owner: name.clone(), file: file.clone() });
            }
            target.overlay.mark(paths.iter().map(|path| (path.clone(), syncline::index::Verdict::Read)));
            let enqueued = syncs.enqueue(target.clone(), Dirty::from_iter(paths)).await;
            if enqueued.position.is_some() {
                recorder.record(Event::Queued { owner: name.clone(), batch: enqueued.batch.to_string() });
            }
            batches.extend(files.into_iter().map(|file| (file, enqueued.clone())));
        }
        for (file, enqueued) in batches {
            let batch = enqueued.batch.to_string();
            let outcome = tokio::time::timeout(TIMEOUT, enqueued.outcome()).await;
            let Ok(outcome) = outcome else {
                let (state, queue) = (syncs.cache().failover_state(), syncs.queue(&targets[0].codebase.id).await);
                panic!("{file}, {batch} isn't synced after {TIMEOUT:?}; {:?}, {queue:#?}", state.borrow());
            };
            let (synced, returns) = (outcome.status == SyncStatus::Synced, outcome.returns);
            recorder.record(Event::Done { batch, file, synced, returns, error: outcome.error });
        }
        tokio::time::sleep(Duration::from_millis(random.below(30) as u64)).await;
    }
    // What failed is tried again, as a workspace does.
    for target in targets {
        // What others have committed is scanned before, as a workspace does: until then it counts as it was known here.
        let read = |path| (path, syncline::index::Verdict::Read);
        let scan = || target.overlay.mark(target.index.take_rechecks().into_iter().map(read));
        scan();
        while !target.overlay.view().is_empty() {
            let outcome = syncs.sync_codebase(target.clone(), Dirty::Everything).await;
            scan();
            if outcome.status != SyncStatus::Synced {
                tokio::time::sleep(LEASE).await;
            }
        }
    }
    syncs.cancel_all();
    syncs.left_all(TIMEOUT).await;
}

/// One process of owners; started by the test below, which tells it what to do.
#[test]
#[ignore = "a process of the other tests"]
fn worker() {
    let Ok(setting) = std::env::var("SYNCLINE_HISTORY_WORKER") else { return };
    let setting: Setting = serde_json::from_str(&setting).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _entered = runtime.enter();
    let cache = CacheManager::open(&redis_server::queue_settings(setting.redis.as_deref().unwrap(), LEASE));
    work(&setting, &cache);
}

fn spawn(setting: &Setting) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["worker", "--exact", "--ignored", "--nocapture"]).stdin(Stdio::null()).stdout(Stdio::null());
    command.env("SYNCLINE_HISTORY_WORKER", serde_json::to_string(setting).unwrap()).spawn().unwrap()
}

fn number(name: &str) -> Option<f64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn seeds() -> Vec<u64> {
    match (number("SYNCLINE_TEST_SEED"), number("SYNCLINE_HISTORY_SEEDS")) {
        (Some(seed), _) => vec![seed as u64],
        (None, count) => (1..=count.unwrap_or(2.0) as u64).collect(),
    }
}

fn setting(folder: &Path, recorder: &RedisServer, seed: u64) -> Setting {
    let setting = Setting {
        folder: folder.to_owned(),
        recorder: recorder.port,
        redis: None,
        owners: 4,
        seed,
        seconds: number("SYNCLINE_HISTORY_SECONDS").unwrap_or(5.0),
        broken: number("SYNCLINE_HISTORY_BREAK").is_some(),
    };
    (0..ROOTS).for_each(|root| std::fs::create_dir(setting.tree(root)).unwrap());
    setting
}

#[test]
fn histories_of_processes_on_redis_keep_every_promise() {
    const PROCESSES: usize = 3;
    for seed in seeds() {
        let (mut server, recorder) = (RedisServer::start(), RedisServer::start());
        let folder = tempfile::tempdir().unwrap();
        let setting = setting(folder.path(), &recorder, seed);
        let record = Recorder::at(recorder.port);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let links: Vec<_> = (0..PROCESSES).map(|_| runtime.block_on(Proxy::to(server.port))).collect();
        let start = Instant::now();
        let left = || (setting.seconds - start.elapsed().as_secs_f64()).max(0.0);
        let mut started = 0;
        let mut run = |process: usize| {
            started += 1;
            let (redis, seed) = (Some(links[process].url()), seed * 100 + started);
            spawn(&Setting { redis, seed, seconds: left(), ..setting.clone() })
        };
        let mut processes: Vec<_> = (0..PROCESSES).map(&mut run).collect();
        let mut random = Random::new(seed);
        let pause = |leases: f64| std::thread::sleep(LEASE.mul_f64(leases));
        while left() > 1.0 {
            pause(0.3 + random.below(20) as f64 / 10.0);
            let which = random.below(PROCESSES);
            let leases = 0.3 + random.below(30) as f64 / 10.0;
            let pid = Pid::from_child(&processes[which]);
            let fault = |what: &str| record.record(Event::Fault(format!("{what} {which}, {leases} leases")));
            match random.below(20) {
                0..6 => {
                    fault("kill");
                    processes[which].kill().unwrap();
                    processes[which].wait().unwrap();
                    processes[which] = run(which);
                }
                6..11 => {
                    fault("stop");
                    kill_process(pid, Signal::STOP).unwrap();
                    pause(leases);
                    kill_process(pid, Signal::CONT).unwrap();
                }
                kind @ 11..17 => {
                    fault("cut");
                    links[which].set(if kind % 2 == 0 { Link::Cut } else { Link::Dead });
                    pause(leases);
                    links[which].set(Link::Whole);
                }
                17 => {
                    fault("restart of Redis");
                    server.kill();
                    pause(leases);
                    assert!(server.spawn());
                }
                _ => {
                    fault("FLUSHALL");
                    server.command(&["FLUSHALL"]).unwrap();
                }
            }
        }
        for mut process in processes {
            let status = process.wait().unwrap();
            assert!(status.success(), "seed {seed}: a process failed: {status}");
        }
        let cache = {
            let _entered = runtime.enter();
            CacheManager::open(&redis_server::queue_settings(&server.url(), LEASE))
        };
        check_end(seed, &record, &setting, &cache, &runtime);
    }
}

#[test]
fn histories_of_owners_in_one_process_keep_every_promise() {
    for seed in seeds() {
        let recorder = RedisServer::start();
        let folder = tempfile::tempdir().unwrap();
        let setting = Setting { owners: 8, ..setting(folder.path(), &recorder, seed) };
        let record = Recorder::at(recorder.port);
        let cache = CacheManager::local_with(LeaseConfig { lease: LEASE, slice: SLICE, ..LeaseConfig::default() });
        let done = Arc::new(AtomicBool::new(false));
        let watching = {
            let (cache, done) = (cache.clone(), done.clone());
            let record = record.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                while !done.load(Ordering::Relaxed) {
                    let queue = runtime.block_on(cache.get_queue(Namespace::SyncBatches, QUEUE));
                    record.record(Event::Length(queue.len()));
                    std::thread::sleep(Duration::from_millis(20));
                }
            })
        };
        work(&setting, &cache);
        done.store(true, Ordering::Relaxed);
        watching.join().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        check_end(seed, &record, &setting, &cache, &runtime);
    }
}

/// Waits until nothing is left in the queue, and checks what was recorded.
fn check_end(seed: u64, record: &Recorder, setting: &Setting, cache: &CacheManager, runtime: &Runtime) {
    support::wait_for("the queue is empty: nothing is left in it for longer than a lease", || {
        runtime.block_on(cache.get_queue(Namespace::SyncBatches, QUEUE)).is_empty()
    });
    check(seed, &record.all(), setting);
}

/// Checks every promise.
fn check(seed: u64, events: &[Event], setting: &Setting) {
    let again = format!("seed {seed} (SYNCLINE_TEST_SEED={seed} repeats it)");
    let mut commits: BTreeMap<(usize, u64), (u64, u64, &str)> = BTreeMap::new();
    let mut leases: HashMap<&str, Vec<(u64, u64)>> = HashMap::new();
    let mut holders: HashMap<(u64, u64), &str> = HashMap::new();
    let (mut put, mut queued) = (HashMap::<&str, usize>::new(), Vec::new());
    let (mut returns, mut synced) = (HashMap::<&str, u32>::new(), BTreeSet::new());
    let (mut refused, mut longest, mut faults, mut slices) = (0, 0, 0, 0);
    // By batch, whose it is, where it came to the head of which queue, and its last slice that left something.
    let mut heads: HashMap<&str, Vec<(usize, u64)>> = HashMap::new();
    let (mut owners, mut last_slice) = (HashMap::<&str, (&str, usize)>::new(), HashMap::<&str, usize>::new());
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Put { owner, .. } => drop(put.insert(owner, at)),
            Event::Queued { owner, batch } => queued.push((batch.as_str(), put[owner.as_str()], at)),
            Event::Head { batch, owner, root, queue, token } => {
                owners.insert(batch, (owner, *root));
                let holder = holders.insert((*queue, *token), batch);
                assert!(holder.is_none_or(|holder| holder == batch), "{again}: a token was given twice");
                leases.entry(batch).or_default().push((*queue, *token));
                heads.entry(batch).or_default().push((at, *queue));
            }
            Event::Commit { batch, root, queue, token, generation } => {
                let twice = commits.insert((*root, *generation), (*queue, *token, batch));
                assert!(twice.is_none(), "{again}: generation {generation} was committed twice");
            }
            Event::Done { batch, file, synced: true, returns: times, .. } => {
                synced.insert(file.clone());
                returns.insert(batch, *times);
            }
            Event::Slice { batch, .. } => {
                slices += 1;
                last_slice.insert(batch, at);
            }
            Event::Refused { .. } => refused += 1,
            Event::Length(length) => longest = longest.max(*length),
            Event::Fault(_) => faults += 1,
            Event::Done { .. } => {}
        }
    }

    // One at the head: by the order in which they came to be, no commit follows one of a later lease.
    let mut last: HashMap<(usize, u64), (u64, &str)> = HashMap::new();
    for ((root, generation), (queue, token, batch)) in &commits {
        if let Some((before, holder)) = last.insert((*root, *queue), (*token, batch)) {
            assert!(
                before <= *token && (before != *token || holder == *batch),
                "{again}: generation {generation} was committed under {token}, after one under {before}"
            );
        }
    }

    // Tokens grow: whoever is at the head again is there under a greater token.
    for (batch, leases) in &leases {
        let mut by_queue: HashMap<u64, u64> = HashMap::new();
        for (queue, token) in leases {
            assert!(by_queue.insert(*queue, *token).is_none_or(|last| last < *token), "{again}: {batch}: {leases:?}");
        }
    }

    // First come, first served: whoever was queued before another had asked, and kept its place, was at the head before it.
    // A batch that took in what a slice of another one left went to the end in its place.
    let joined = last_slice.iter().filter(|(batch, slice)| heads[*batch].iter().all(|(at, _)| at < slice));
    let moved: BTreeSet<_> = joined
        .filter_map(|(batch, slice)| {
            let next = heads.iter().filter(|(other, heads)| owners[*other] == owners[batch] && heads[0].0 > *slice);
            next.min_by_key(|(_, heads)| heads[0].0).map(|(other, _)| *other)
        })
        .collect();
    let kept: Vec<_> = queued
        .iter()
        .filter(|(batch, ..)| returns.get(batch) == Some(&0) && leases.contains_key(batch) && !moved.contains(batch))
        .map(|(batch, asked, stood)| (*batch, *asked, *stood, leases[batch][0]))
        .collect();
    for (first, _, stood, (queue, token)) in &kept {
        for (second, asked, _, (other_queue, later)) in &kept {
            assert!(
                stood >= asked || queue != other_queue || token < later,
                "{again}: {second} was at the head before {first}, which came first"
            );
        }
    }

    // Nobody waits for more than a slice of each batch: of those before it, none was at the head twice.
    for (waiting, _, stood, _) in &kept {
        let (reached, queue) = heads[waiting][0];
        for (batch, heads) in &heads {
            let between = heads.iter().filter(|(at, of)| (*stood..reached).contains(at) && *of == queue).count();
            assert!(between <= 1, "{again}: {batch} was at the head {between} times while {waiting} waited");
        }
    }

    // No lost change: whatever was said to be synced is in an index.
    let snapshots = (0..ROOTS).map(|root| Index::read(&setting.index(root)).expect("an index"));
    let paths = snapshots.flat_map(|snapshot| snapshot.paths().iter().map(ToString::to_string).collect::<Vec<_>>());
    let indexed: BTreeSet<_> = paths.collect();
    let lost: Vec<_> = synced.difference(&indexed).collect();
    assert!(lost.is_empty(), "{again}: lost: {lost:?}");

    // A bounded queue: one batch syncs at most, and one waits for each root of each owner.
    assert!(longest <= 1 + ROOTS * setting.owners, "{again}: {longest} batches in the queue");

    println!(
        "seed {seed}: {} events, {} leases, {} commits, {refused} refused, {faults} faults, {} files, {} batches that kept \
         their place, {} slices",
        events.len(),
        holders.len(),
        commits.len(),
        synced.len(),
        kept.len(),
        slices
    );
    assert!(commits.len() > 20 && slices > 1, "{again}: too little happened");
}

//! What the queue costs: `cargo xtask bench-queue`.
//!
//! Overhead of one batch whose sync does nothing but commit nothing, in this process and through Redis, with the number
//! of round trips as the server counts them; then many owners on one queue, over several connections.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/redis_server/mod.rs"]
mod redis_server;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redis_server::RedisServer;
use syncline::core::cache::CacheManager;
use syncline::core::{Codebase, CodebaseRoot, Dirty, Owner, RelPath, SyncBatch};
use syncline::sync::{Head, SyncManager, SyncStatus, SyncTarget, Synced};

const LEASE: Duration = Duration::from_secs(15);
/// Batches, one after the other.
const ALONE: usize = 5_000;
const OWNERS: usize = 1_000;
/// Batches of each of them.
const EACH: usize = 5;
const CONNECTIONS: usize = 4;

/// Notes when syncs begin and end.
struct Target {
    codebase: Codebase,
    syncs: Mutex<Vec<(Instant, Instant)>>,
}

impl SyncTarget for Target {
    fn codebase(&self) -> &Codebase {
        &self.codebase
    }

    async fn sync(self: Arc<Self>, _: SyncBatch, _: Dirty, head: Head) -> Result<Synced, String> {
        let began = Instant::now();
        head.confirm().await.map_err(|error| error.to_string())?;
        self.syncs.lock().unwrap().push((began, Instant::now()));
        Ok(Synced::default())
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let local = alone(CacheManager::local()).await;
        println!("alone, in this process: {local}");
        let server = RedisServer::start();
        let cache = server.cache(LEASE);
        cache.decided().await;
        let before = Counts::of(&server);
        let shared = alone(cache).await;
        let after = Counts::of(&server);
        println!("alone, through Redis: {shared}; {}", after.since(&before, ALONE));
        crowd(&server).await;
    });
}

fn target() -> (tempfile::TempDir, Arc<Target>) {
    let folder = tempfile::tempdir().unwrap();
    let codebase = Codebase::new(CodebaseRoot::open(folder.path()).unwrap(), Some("bench"));
    (folder, Arc::new(Target { codebase, syncs: Mutex::default() }))
}

fn dirty(number: usize) -> Dirty {
    Dirty::from_iter([RelPath::new(format!("src/file-{number}.rs").as_ref()).unwrap()])
}

/// One owner, one batch after the other.
async fn alone(cache: CacheManager) -> String {
    let (_folder, target) = target();
    let owner = SyncManager::new(cache, Owner::new());
    let mut took = Vec::new();
    for number in 0..ALONE {
        let start = Instant::now();
        let outcome = owner.sync_codebase(target.clone(), dirty(number)).await;
        took.push(start.elapsed());
        assert_eq!(outcome.status, SyncStatus::Synced);
    }
    let (first, last) = (mean(&took[..ALONE / 10]), mean(&took[ALONE - ALONE / 10..]));
    format!("{}; the first tenth {first:.0} µs, the last {last:.0} µs on average", spread(took))
}

/// Many owners on one queue.
async fn crowd(server: &RedisServer) {
    let (_folder, target) = target();
    let mut caches = Vec::new();
    for _ in 0..CONNECTIONS {
        let cache = server.cache(LEASE);
        cache.decided().await;
        caches.push(cache);
    }
    let before = Counts::of(server);
    let start = Instant::now();
    let (answered, waited) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let owners: Vec<_> = (0..OWNERS)
        .map(|number| {
            let owner = SyncManager::new(caches[number % CONNECTIONS].clone(), Owner::new());
            let (target, answered, waited) = (target.clone(), answered.clone(), waited.clone());
            tokio::spawn(async move {
                for batch in 0..EACH {
                    let asked = Instant::now();
                    let enqueued = owner.enqueue(target.clone(), dirty(batch)).await;
                    answered.lock().unwrap().push(asked.elapsed());
                    let outcome = enqueued.outcome().await;
                    assert_eq!((outcome.status, outcome.returns), (SyncStatus::Synced, 0), "{outcome:?}");
                    waited.lock().unwrap().push(outcome.waited);
                }
            })
        })
        .collect();
    for owner in owners {
        owner.await.unwrap();
    }
    let took = start.elapsed();
    let after = Counts::of(server);
    let mut syncs = std::mem::take(&mut *target.syncs.lock().unwrap());
    syncs.sort();
    let handed_over = syncs.windows(2).map(|pair| pair[1].0.saturating_duration_since(pair[0].1)).collect();
    println!("{OWNERS} owners over {CONNECTIONS} connections, {EACH} batches each: {:.1} s", took.as_secs_f64());
    println!("  asked, position known: {}", spread(std::mem::take(&mut answered.lock().unwrap())));
    println!("  one ends, the next one knows: {}", spread(handed_over));
    let waited = std::mem::take(&mut *waited.lock().unwrap());
    println!("  in the queue: {}", spread(waited));
    println!("  {}", after.since(&before, OWNERS * EACH));
}

fn mean(times: &[Duration]) -> f64 {
    times.iter().map(Duration::as_secs_f64).sum::<f64>() / times.len() as f64 * 1e6
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    format!("p50 {:.3} ms, p99 {:.3} ms, longest {:.3} ms of {}", at(0.5), at(0.99), at(1.0), times.len())
}

/// What a server counts.
struct Counts {
    cpu: f64,
    bytes: f64,
    scripts: f64,
}

impl Counts {
    fn of(server: &RedisServer) -> Counts {
        let info = ["cpu", "stats", "commandstats"]
            .map(|section| redis_server::text_of(server.command(&["INFO", section]).unwrap()));
        let info = info.concat();
        let field = |name: &str| -> f64 {
            let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or("0");
            line.trim().parse().unwrap()
        };
        let scripts = info.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")?.split(',').next());
        Counts {
            cpu: field("used_cpu_user") + field("used_cpu_sys"),
            bytes: field("total_net_input_bytes") + field("total_net_output_bytes"),
            scripts: scripts.map_or(0.0, |calls| calls.parse().unwrap()),
        }
    }

    fn since(&self, before: &Counts, batches: usize) -> String {
        let batches = batches as f64;
        format!(
            "per batch: {:.2} round trips, {:.0} µs of the server's CPU, {:.0} bytes on the wire",
            (self.scripts - before.scripts) / batches,
            (self.cpu - before.cpu) / batches * 1e6,
            (self.bytes - before.bytes) / batches
        )
    }
}

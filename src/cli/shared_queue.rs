//! The queue of a codebase in Redis, read also when no engine here has it open.

use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::json;
use tokio::runtime::Runtime;

use super::show::{self, Paint};
use crate::core::cache::{BackendKind, CacheManager, FencingToken, Namespace, QueueItem, ServerFacts};
use crate::core::settings::{QueueBackend, QueueSettings, Settings};
use crate::core::{Codebase, CodebaseRoot, Owner, UnixMillis};

/// A connection to the Redis that the settings name.
pub(super) struct SharedQueue {
    runtime: Runtime,
    cache: CacheManager,
    codebase: Codebase,
}

/// The queue at one moment.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueueView {
    /// The URL, without secrets.
    pub(super) server: Option<String>,
    /// Why it can't be read, and how to fix that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<String>,
    /// Of one question, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) latency_ms: Option<f64>,
    /// Head first.
    #[serde(serialize_with = "shown")]
    pub(super) batches: Vec<QueueItem>,
}

/// As JSON: of a batch that doesn't sync there is no token, of one that covers everything no number of files.
fn shown<S: Serializer>(batches: &[QueueItem], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(batches.iter().map(|item| {
        let QueueItem { batch, files, token, expires_in } = item;
        let (id, created_at) = (batch.id, batch.created_at);
        let expires_in = u64::try_from(expires_in.as_millis()).unwrap_or(u64::MAX);
        json!({"id": id, "createdAt": created_at, "owner": batch.owner, "files": files, "token": token, "expiresInMs": expires_in})
    }))
}

impl SharedQueue {
    /// `None` when the settings name no Redis.
    pub(super) fn open(settings: &Settings, root: &CodebaseRoot) -> Option<SharedQueue> {
        if !wants_redis(&settings.queue) {
            return None;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().ok()?;
        let entered = runtime.enter();
        let cache = CacheManager::open(&settings.queue);
        drop(entered);
        let codebase = Codebase::new(root.clone(), settings.queue.codebase.as_deref());
        Some(SharedQueue { runtime, cache, codebase })
    }

    /// The queue now. Takes a second at most.
    pub(super) fn read(&self) -> QueueView {
        let read = self.runtime.block_on(async {
            let state = self.cache.decided().await;
            let started = std::time::Instant::now();
            let queue = self.cache.get_queue(Namespace::SyncBatches, self.codebase.id.as_str()).await;
            let shared = state.backend() == BackendKind::Redis;
            let latency = shared.then(|| started.elapsed());
            (queue, latency, state.problem().map(str::to_owned))
        });
        let (queue, latency, problem) = read;
        QueueView {
            server: self.cache.server().map(str::to_owned),
            problem,
            latency_ms: latency.map(|latency| latency.as_secs_f64() * 1e3),
            batches: queue,
        }
    }

    /// What the server says of itself.
    pub(super) fn facts(&self) -> Option<ServerFacts> {
        self.runtime.block_on(self.cache.server_facts())
    }
}

/// Whether queues are to be in Redis.
pub(super) fn wants_redis(settings: &QueueSettings) -> bool {
    match settings.backend {
        QueueBackend::Local => false,
        QueueBackend::Redis => true,
        QueueBackend::Auto => settings.redis_url.is_some(),
    }
}

impl QueueView {
    /// For people, each line of text with its indent.
    pub(super) fn text(&self, paint: Paint) -> String {
        let server = self.server.as_deref().unwrap_or("no Redis is named");
        let latency =
            self.latency_ms.map(|ms| format!(" · answers in {}", show::time(Duration::from_secs_f64(ms / 1e3))));
        let mut out = format!("  {server}{}\n", latency.unwrap_or_default());
        if let Some(problem) = &self.problem {
            return out + &format!("  {}\n", paint.warn(problem));
        }
        if self.batches.is_empty() {
            out += &format!("  {}\n", paint.dim("the queue is empty"));
        }
        let mut before: Option<&QueueItem> = None;
        for (position, batch) in self.batches.iter().enumerate() {
            let files = batch.files.map_or_else(|| "the tree".to_owned(), show::files);
            let age = show::time(Duration::from_millis(UnixMillis::now().since(batch.batch.created_at)));
            let left = show::time(batch.expires_in);
            let (state, why) = match (batch.token, before) {
                (Some(FencingToken(token)), _) => {
                    (paint.good("syncing"), format!("token {token}, its lease ends in {left} unless renewed"))
                }
                (None, None) => (paint.warn("waiting"), "it is the head and about to start".to_owned()),
                (None, Some(before)) => (paint.warn("waiting"), format!("for {}", name(&before.batch.owner))),
            };
            out += &format!(
                "  {position}  {state}  {files:>12}  {age:>8}  {}  {}\n",
                name(&batch.batch.owner),
                paint.dim(why)
            );
            before = Some(batch);
        }
        out
    }
}

fn name(owner: &Owner) -> String {
    format!("pid {} on {}", owner.pid, show::escape(&owner.host))
}

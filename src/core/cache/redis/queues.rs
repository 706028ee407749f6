//! Queues on a Redis.

use std::collections::HashSet;
use std::sync::LazyLock;
use std::time::Duration;

use parking_lot::MutexGuard;
use xxhash_rust::xxh3::xxh3_128;

use super::{Answer, Call, NewConnection, RedisCache, RedisError, Script, tag};
use crate::core::cache::notifier::QueueKey;
use crate::core::cache::queue::{Placement, QueueOp, Reply};
use crate::core::cache::{FencingToken, LeaseConfig, MAX_QUEUE_LENGTH, QueueItem};
use crate::core::{BatchId, SyncBatch, escape};

/// Longest name of a host, as systems bound it.
const LONGEST_HOST: usize = 255;
/// Of the layout of the keys: engines with another have queues of their own.
const LAYOUT: &str = "v2";

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("queue.lua")));

impl RedisCache {
    /// Does one thing with a queue, atomically. Tokens that it gives are above `floor`.
    pub(in crate::core::cache) async fn run_on_queue(
        &self,
        key: &QueueKey,
        leases: &LeaseConfig,
        op: &QueueOp,
        floor: FencingToken,
    ) -> Answer<Reply> {
        let call = match op {
            QueueOp::List => return Ok(Reply::Items(self.list_on(&mut self.connection()?, key).await?)),
            QueueOp::Enqueue(batch, files) => {
                // Before it is there, so that it is known when the answer is lost.
                self.ours().insert((key.clone(), batch.id));
                let about = serde_json::to_string(batch).map_err(|_| RedisError::nonsense(&self.config))?;
                let root = xxh3_128(batch.path.as_os_str().as_encoded_bytes());
                let owner_and_root = format!("{}:{root:032x}", batch.owner.session.simple());
                let mut call = queue_call(key, "enqueue", leases, floor, &batch.id.to_string());
                call.arg(number_of(*files)).arg(MAX_QUEUE_LENGTH).arg(owner_and_root).arg(about);
                call
            }
            QueueOp::Claim(id, files) => {
                let mut call = queue_call(key, "claim", leases, floor, &id.to_string());
                call.arg(number_of(*files));
                call
            }
            QueueOp::Renew(id, token) => {
                let mut call = queue_call(key, "renew", leases, floor, &id.to_string());
                call.arg(token.0);
                call
            }
            QueueOp::EndSlice(id, token, files) => {
                let mut call = queue_call(key, "endslice", leases, floor, &id.to_string());
                call.arg(number_of(*files)).arg(token.0);
                call
            }
            QueueOp::Leave(id) => queue_call(key, "leave", leases, floor, &id.to_string()),
        };
        let fields: Vec<Vec<u8>> = self.run(&SCRIPT, call).await?;
        let reply = reply(&fields).ok_or_else(|| RedisError::nonsense(&self.config))?;
        match op {
            QueueOp::Leave(id) => drop(self.ours().remove(&(key.clone(), *id))),
            QueueOp::Enqueue(batch, _) if reply == Reply::Full => drop(self.ours().remove(&(key.clone(), batch.id))),
            _ => {}
        }
        Ok(reply)
    }

    pub(super) async fn list_on(&self, connection: &mut super::Connection, key: &QueueKey) -> Answer<Vec<QueueItem>> {
        // Whoever lists takes nothing out that others' settings would keep.
        let leases = LeaseConfig { stale_after: Duration::MAX, ..LeaseConfig::default() };
        let call = queue_call(key, "list", &leases, FencingToken::default(), "");
        let fields: Vec<Vec<u8>> = self.run_on(connection, &SCRIPT, call).await?;
        items(&fields).ok_or_else(|| RedisError::nonsense(&self.config))
    }

    /// Takes out what this process may have in queues there.
    pub(in crate::core::cache) async fn leave_all(&self, new: &NewConnection, leases: &LeaseConfig) -> Answer<()> {
        let ours: Vec<_> = self.ours().iter().cloned().collect();
        for (key, id) in ours {
            let call = queue_call(&key, "leave", leases, FencingToken::default(), &id.to_string());
            self.run_on::<Vec<String>>(&mut new.connection.clone(), &SCRIPT, call).await?;
            self.ours().remove(&(key, id));
        }
        Ok(())
    }

    /// Forgets a queue. Owners see that their batches are gone.
    pub(in crate::core::cache) async fn clear_queue(&self, key: &QueueKey) -> Answer<()> {
        let call = queue_call(key, "clear", &LeaseConfig::default(), FencingToken::default(), "");
        self.run::<Vec<String>>(&SCRIPT, call).await.map(drop)
    }

    pub(in crate::core::cache) async fn subscribe(&self, key: &QueueKey) -> Answer<()> {
        self.connection()?.subscribe(&channel(key)).await.map_err(|error| self.error(&error))
    }

    pub(in crate::core::cache) async fn unsubscribe(&self, key: &QueueKey) -> Answer<()> {
        self.connection()?.unsubscribe(&channel(key)).await.map_err(|error| self.error(&error))
    }

    fn ours(&self) -> MutexGuard<'_, HashSet<(QueueKey, BatchId)>> {
        self.ours.lock()
    }
}

fn queue_call(key: &QueueKey, what: &str, leases: &LeaseConfig, floor: FencingToken, id: &str) -> Call {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(1 << 50);
    let parts = ["order", "entries", "alive", "waiting", "head", "token"];
    let mut call = Call::new(&parts.map(|part| name(key, part)));
    call.arg(what).arg(channel(key)).arg(millis(leases.lease)).arg(millis(leases.stale_after)).arg(floor.0).arg(id);
    call
}

pub(super) fn name(key: &QueueKey, part: &str) -> String {
    format!("{}:{LAYOUT}:{}:{part}", tag(&key.key), key.namespace)
}

/// One key of a queue: all are in one slot of a Cluster.
pub(super) fn token_key(key: &QueueKey) -> String {
    name(key, "token")
}

pub(super) fn channel(key: &QueueKey) -> String {
    name(key, "changes")
}

/// Whether a channel tells of this queue.
pub(super) fn is_channel_of(name: &[u8], key: &QueueKey) -> bool {
    channel(key).as_bytes() == name
}

/// The batch that a wake-up names as the first.
pub(super) fn head_of(payload: &[u8]) -> Option<BatchId> {
    std::str::from_utf8(payload).ok()?.parse().ok()
}

fn number_of(files: Option<usize>) -> String {
    files.map_or_else(|| "*".to_owned(), |files| files.to_string())
}

/// A queue as it is shown, from four fields for each batch.
pub(super) fn items(fields: &[Vec<u8>]) -> Option<Vec<QueueItem>> {
    let (batches, rest) = fields.as_chunks();
    // What somebody else has put there isn't shown.
    let items = batches.iter().filter_map(|[about, files, token, left]| {
        let mut batch: SyncBatch = serde_json::from_slice(about).ok()?;
        // Others may have written it: nothing in it may steer a terminal.
        batch.owner.host = escape(&batch.owner.host).chars().take(LONGEST_HOST).collect();
        Some(QueueItem {
            batch,
            files: number(files).and_then(|files| usize::try_from(files).ok()),
            token: number(token).map(FencingToken),
            expires_in: Duration::from_millis(number(left).unwrap_or(0)),
        })
    });
    rest.is_empty().then(|| items.collect())
}

/// What the script answers, but for a list.
pub(super) fn reply(fields: &[Vec<u8>]) -> Option<Reply> {
    Some(match fields.iter().map(Vec::as_slice).collect::<Vec<_>>()[..] {
        [b"head", token] => Reply::Placed(Placement::Head(FencingToken(number(token)?))),
        [b"waiting", position, left] => Reply::Placed(Placement::Waiting {
            position: usize::try_from(number(position)?).ok()?,
            head_expires_in: Duration::from_millis(number(left)?),
        }),
        [b"gone"] => Reply::Placed(Placement::Gone),
        [b"full"] => Reply::Full,
        [b"awaited"] => Reply::Renewed { others_wait: true },
        [b"held"] => Reply::Renewed { others_wait: false },
        [b"yes"] => Reply::Done(true),
        [b"no"] => Reply::Done(false),
        _ => return None,
    })
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

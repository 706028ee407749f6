//! A queue as a value: what each change makes of it. No clock, no lock, no network.
//!
//! This process keeps queues of this type; the script in `redis/queue.lua` does the same on a server. Tests explore every
//! state of small queues, and compare the script with this, step by step.
//!
//! An entry stays as long as it is renewed: a waiting batch by asking for the head, which its owner does again and again,
//! the head by its token. So whatever becomes of an owner, its batches leave within one lease. What a batch covers is
//! known to its owner alone; the queue has only the number of files, to be shown.

use std::sync::Arc;
use std::time::Duration;

use super::{FencingToken, Lease, LeaseConfig, MAX_QUEUE_LENGTH, QueueItem};
use crate::core::{BatchId, SyncBatch};

/// Milliseconds on the queue's own clock.
pub type Moment = u64;

/// A queue, head first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Queue {
    entries: Vec<Arc<Entry>>,
    changes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entry {
    batch: SyncBatch,
    files: Option<usize>,
    entered: Moment,
    /// When it leaves, unless it is renewed.
    until: Moment,
    /// Once it syncs.
    token: Option<FencingToken>,
}

/// Where a batch is in its queue; `H` is what the head gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Placement<H = Lease> {
    /// At the head: it may sync.
    Head(H),
    /// Behind others, or at the head of a queue that grants nothing just now.
    Waiting {
        /// Batches before it.
        position: usize,
        /// The head leaves after this, unless it is renewed.
        head_expires_in: Duration,
    },
    /// It isn't in the queue.
    Gone,
}

/// What is asked of a queue. A number of files is `None` for all.
#[derive(Clone, Debug)]
pub enum QueueOp {
    /// Put a batch that covers so many files at the end. One that is in the queue stays where it is, so that a lost answer
    /// can be asked for again.
    Enqueue(SyncBatch, Option<usize>),
    /// Let a batch, which covers so many files by now, sync if it is at the head, and keep it for another lease.
    Claim(BatchId, Option<usize>),
    /// Keep the head for another lease if it is this batch, under this token.
    Renew(BatchId, FencingToken),
    /// If the head is this batch, under this token, put it at the end, where it covers so many files; or, if its owner has
    /// another batch of that root waiting, which covers them then, put that one there in its place. Asked again, it changes
    /// nothing.
    EndSlice(BatchId, FencingToken, Option<usize>),
    /// Take a batch out, whatever it is doing.
    Leave(BatchId),
    /// Show all.
    List,
}

/// What a queue answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Where the batch is now.
    Placed(Placement<FencingToken>),
    /// The queue takes no more batches.
    Full,
    /// Whether it was so.
    Done(bool),
    /// The lease is held, and whether a batch waits that its owner wouldn't merge with the head.
    Renewed {
        /// Whether one does.
        others_wait: bool,
    },
    /// Its batches, head first.
    Items(Vec<QueueItem>),
}

impl Queue {
    /// Does what is asked. Without a `grant`, the next fencing token, no batch begins to sync.
    pub fn apply(&mut self, now: Moment, leases: &LeaseConfig, op: &QueueOp, grant: Option<FencingToken>) -> Reply {
        if let QueueOp::List = op {
            return Reply::Items(self.items(now));
        }
        self.sweep(now, leases);
        let until = now + millis(leases.lease);
        match op {
            QueueOp::Enqueue(batch, files) => {
                if self.position(batch.id).is_none() {
                    // Owners have one batch waiting for each root. Another one was forgotten.
                    let forgotten = |entry: &Arc<Entry>| entry.token.is_none() && is_of_same(&entry.batch, batch);
                    self.remove(forgotten);
                    if self.entries.len() >= MAX_QUEUE_LENGTH {
                        return Reply::Full;
                    }
                    let (batch, files) = (batch.clone(), *files);
                    self.entries.push(Arc::new(Entry { batch, files, entered: now, until, token: None }));
                    self.changes += 1;
                }
                Reply::Placed(self.place(now, until, batch.id, *files, grant))
            }
            QueueOp::Claim(id, files) => Reply::Placed(self.place(now, until, *id, *files, grant)),
            QueueOp::Renew(id, token) => {
                if !self.is_head(*id, *token) {
                    return Reply::Done(false);
                }
                Arc::make_mut(&mut self.entries[0]).until = until;
                let head = &self.entries[0].batch;
                Reply::Renewed { others_wait: self.entries[1..].iter().any(|entry| !is_of_same(&entry.batch, head)) }
            }
            QueueOp::EndSlice(id, token, files) => {
                if self.is_head(*id, *token) {
                    let head = self.entries.remove(0);
                    let other = self.entries.iter().position(|entry| is_of_same(&entry.batch, &head.batch));
                    let mut last = other.map_or(head, |at| self.entries.remove(at));
                    let entry = Arc::make_mut(&mut last);
                    (entry.token, entry.entered) = (None, now);
                    self.entries.push(last);
                    self.changes += 1;
                }
                Reply::Placed(self.place(now, until, *id, *files, grant))
            }
            QueueOp::Leave(id) => Reply::Done(self.remove(|entry| entry.batch.id == *id)),
            QueueOp::List => Reply::Items(self.items(now)),
        }
    }

    fn place(
        &mut self,
        now: Moment,
        until: Moment,
        id: BatchId,
        files: Option<usize>,
        grant: Option<FencingToken>,
    ) -> Placement<FencingToken> {
        let Some(position) = self.position(id) else { return Placement::Gone };
        let head_expires_in = Duration::from_millis(self.entries[0].until.saturating_sub(now));
        let entry = Arc::make_mut(&mut self.entries[position]);
        let is_granted = position == 0 && entry.token.is_none() && grant.is_some();
        self.changes += u64::from(is_granted || entry.files != files);
        (entry.until, entry.files) = (until, files);
        if is_granted {
            entry.token = grant;
        }
        entry.token.map_or(Placement::Waiting { position, head_expires_in }, Placement::Head)
    }

    /// Takes out what wasn't renewed, and what has waited for too long. Gives whether there was any.
    pub fn sweep(&mut self, now: Moment, leases: &LeaseConfig) -> bool {
        let oldest = now.saturating_sub(millis(leases.stale_after));
        self.remove(|entry| entry.until <= now || entry.token.is_none() && entry.entered < oldest)
    }

    fn remove(&mut self, is_out: impl Fn(&Arc<Entry>) -> bool) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| !is_out(entry));
        let removed = self.entries.len() < before;
        self.changes += u64::from(removed);
        removed
    }

    /// As shown, without what sweeping would take out.
    pub fn items(&self, now: Moment) -> Vec<QueueItem> {
        let alive = self.entries.iter().filter(|entry| entry.until > now);
        let item = |entry: &Arc<Entry>| QueueItem {
            batch: entry.batch.clone(),
            files: entry.files,
            token: entry.token,
            expires_in: Duration::from_millis(entry.until - now),
        };
        alive.map(item).collect()
    }

    /// The first batch.
    pub fn head(&self) -> Option<BatchId> {
        self.entries.first().map(|entry| entry.batch.id)
    }

    /// Whether the first batch syncs.
    pub fn is_syncing(&self, now: Moment) -> bool {
        self.entries.first().is_some_and(|entry| entry.token.is_some() && entry.until > now)
    }

    /// Batches in it.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Grows with each change that others may want to know of.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether a batch syncs under this token.
    fn is_head(&self, id: BatchId, token: FencingToken) -> bool {
        self.entries.first().is_some_and(|head| head.batch.id == id && head.token == Some(token))
    }

    fn position(&self, id: BatchId) -> Option<usize> {
        self.entries.iter().position(|entry| entry.batch.id == id)
    }
}

/// Whether batches are of one owner and one root: its owner then merges the one into the other while it waits.
fn is_of_same(one: &SyncBatch, other: &SyncBatch) -> bool {
    one.owner == other.owner && one.path == other.path
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

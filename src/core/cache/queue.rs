//! A waiting line as a value: what each change makes of it. No clock, no lock, no network.
//!
//! The cache in this process keeps lines of this type; the script in `redis/queue.lua` does the same on a
//! server. Tests explore every state of small lines, and compare the script with this, step by step.
//!
//! An entry stays as long as somebody renews it: a waiting batch by asking for the head, which its owner does again and
//! again, the head by its token. So whatever becomes of an owner, its batches leave within one lease.

use std::sync::Arc;

use super::{BatchInfo, BatchState, FencingToken, LeaseConfig, MAX_QUEUE_LENGTH, QueueItem};
use crate::core::{BatchId, Dirty, SyncBatch};

/// Milliseconds on the line's own clock.
pub type Moment = u64;

/// A line, head first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Queue {
    entries: Vec<Arc<Entry>>,
    changes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entry {
    info: BatchInfo,
    dirty: Dirty,
    entered: Moment,
    /// When it leaves, unless it is renewed.
    until: Moment,
    /// Once it syncs.
    token: Option<FencingToken>,
}

/// Where a batch stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// It syncs, under this token.
    Head(Box<SyncBatch>, FencingToken),
    /// It waits.
    Waiting {
        /// Batches before it.
        position: usize,
        /// The head leaves after this many milliseconds, unless it is renewed.
        head_expires_in: u64,
    },
    /// Its changes are in the batch that its owner had waiting.
    Joined(BatchId),
    /// It isn't in line.
    Gone,
    /// The line is full.
    Full,
}

/// Gives the next fencing token. None is given while lines grant nothing.
pub type TokenGenerator<'a> = Option<&'a mut dyn FnMut() -> FencingToken>;

impl Queue {
    /// Puts a batch at the end, or joins it into the one that its owner has waiting. A batch that is in line already
    /// stays where it is, so that a lost answer can be asked for again.
    pub fn enqueue(
        &mut self,
        now: Moment,
        config: &LeaseConfig,
        batch: SyncBatch,
        next_token: TokenGenerator,
    ) -> Place {
        self.settle(now, config);
        if self.position(batch.id).is_none() {
            let waits = |entry: &Arc<Entry>| entry.token.is_none() && entry.info.owner == batch.owner;
            if let Some(entry) = self.entries.iter_mut().find(|entry| waits(entry)) {
                let entry = Arc::make_mut(entry);
                let before = entry.dirty.len();
                entry.dirty.join(batch.dirty);
                entry.until = now + millis(config.lease);
                self.changes += u64::from(before != entry.dirty.len());
                return Place::Joined(entry.info.id);
            }
            if self.entries.len() >= MAX_QUEUE_LENGTH {
                return Place::Full;
            }
            let (info, dirty) = batch.clone().into_parts();
            self.entries.push(Arc::new(Entry { info, dirty, entered: now, until: 0, token: None }));
            self.changes += 1;
        }
        self.place(now, config, batch.id, next_token)
    }

    /// Lets a batch sync if it is at the head, and renews it.
    pub fn claim(&mut self, now: Moment, config: &LeaseConfig, id: BatchId, next_token: TokenGenerator) -> Place {
        self.settle(now, config);
        self.place(now, config, id, next_token)
    }

    fn place(&mut self, now: Moment, config: &LeaseConfig, id: BatchId, next_token: TokenGenerator) -> Place {
        let Some(position) = self.position(id) else { return Place::Gone };
        let head_expires_in = self.entries[0].until.saturating_sub(now);
        let entry = Arc::make_mut(&mut self.entries[position]);
        entry.until = now + millis(config.lease);
        let token = match (position, entry.token, next_token) {
            (0, Some(token), _) => token,
            (0, None, Some(next_token)) => {
                self.changes += 1;
                *entry.token.insert(next_token())
            }
            _ => return Place::Waiting { position, head_expires_in },
        };
        Place::Head(Box::new(SyncBatch::from_parts(entry.info.clone(), entry.dirty.clone())), token)
    }

    /// Renews the head's lease; gives whether the batch holds it still, under this token.
    pub fn renew(&mut self, now: Moment, config: &LeaseConfig, id: BatchId, token: FencingToken) -> bool {
        self.settle(now, config);
        match self.entries.first_mut() {
            Some(head) if head.info.id == id && head.token == Some(token) => {
                Arc::make_mut(head).until = now + millis(config.lease);
                true
            }
            _ => false,
        }
    }

    /// Takes a batch out, whatever it is doing. Gives whether it was there.
    pub fn leave(&mut self, now: Moment, config: &LeaseConfig, id: BatchId) -> bool {
        self.settle(now, config);
        let before = self.entries.len();
        self.entries.retain(|entry| entry.info.id != id);
        self.changes += u64::from(self.entries.len() < before);
        self.entries.len() < before
    }

    /// Takes out what nobody has renewed, and what has waited for too long. Gives how many went.
    pub fn settle(&mut self, now: Moment, config: &LeaseConfig) -> usize {
        let before = self.entries.len();
        let oldest = now.saturating_sub(millis(config.stale_after));
        self.entries.retain(|entry| entry.until > now && (entry.token.is_some() || entry.entered >= oldest));
        self.changes += u64::from(self.entries.len() < before);
        before - self.entries.len()
    }

    /// As shown, without what settling would take out.
    pub fn items(&self, now: Moment) -> Vec<Arc<QueueItem>> {
        let alive = self.entries.iter().filter(|entry| entry.until > now);
        let item = |entry: &Arc<Entry>| QueueItem {
            batch: entry.info.clone(),
            files: entry.dirty.len(),
            state: entry.token.map_or(BatchState::Waiting, BatchState::Syncing),
            expires_in: std::time::Duration::from_millis(entry.until - now),
        };
        alive.map(|entry| Arc::new(item(entry))).collect()
    }

    /// The first batch.
    pub fn head(&self) -> Option<BatchId> {
        self.entries.first().map(|entry| entry.info.id)
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

    fn position(&self, id: BatchId) -> Option<usize> {
        self.entries.iter().position(|entry| entry.info.id == id)
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

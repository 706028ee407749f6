//! Who waits for changes of lines, and how they are woken.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::{Namespace, QueueChange};
use crate::core::BatchId;

/// Which line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct QueueKey {
    pub(super) namespace: Namespace,
    pub(super) key: String,
}

impl QueueKey {
    pub(super) fn new(namespace: Namespace, key: &str) -> QueueKey {
        QueueKey { namespace, key: key.to_owned() }
    }
}

/// Tells those who wait for a queue of its changes.
#[derive(Default)]
pub(super) struct Notifier {
    lines: Mutex<HashMap<QueueKey, watch::Sender<QueueChange>>>,
    /// A line has its first listener.
    pub(super) opened: Notify,
}

impl Notifier {
    fn lines(&self) -> MutexGuard<'_, HashMap<QueueKey, watch::Sender<QueueChange>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn subscribe(&self, line: QueueKey) -> watch::Receiver<QueueChange> {
        let mut lines = self.lines();
        lines.retain(|_, sender| sender.receiver_count() > 0);
        let sender = lines.entry(line).or_insert_with(|| {
            self.opened.notify_one();
            watch::channel(QueueChange::default()).0
        });
        sender.subscribe()
    }

    /// The line has changed; `head` is its first batch, where that is known.
    pub(super) fn notify(&self, line: &QueueKey, head: Option<BatchId>) {
        if let Some(sender) = self.lines().get(line) {
            sender.send_modify(|change| *change = QueueChange { changes: change.changes + 1, head });
        }
    }

    /// Any line may have changed.
    pub(super) fn notify_all(&self) {
        for sender in self.lines().values() {
            sender.send_modify(|change| *change = QueueChange { changes: change.changes + 1, head: None });
        }
    }

    /// The lines that somebody waits for.
    pub(super) fn subscribed(&self) -> Vec<QueueKey> {
        let mut lines = self.lines();
        lines.retain(|_, sender| sender.receiver_count() > 0);
        lines.keys().cloned().collect()
    }
}

//! Who waits for changes of queues, and how they are woken.

use std::collections::HashMap;

use parking_lot::{Mutex, MutexGuard};

use tokio::sync::{Notify, watch};

use super::{Namespace, QueueChange};
use crate::core::BatchId;

/// Which queue.
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

/// Tells those who subscribed to a queue of its changes.
#[derive(Default)]
pub(super) struct Notifier {
    queues: Mutex<HashMap<QueueKey, watch::Sender<QueueChange>>>,
    /// A queue has its first subscriber.
    pub(super) opened: Notify,
}

impl Notifier {
    fn queues(&self) -> MutexGuard<'_, HashMap<QueueKey, watch::Sender<QueueChange>>> {
        let mut queues = self.queues.lock();
        queues.retain(|_, sender| sender.receiver_count() > 0);
        queues
    }

    pub(super) fn subscribe(&self, key: QueueKey) -> watch::Receiver<QueueChange> {
        let mut queues = self.queues();
        let sender = queues.entry(key).or_insert_with(|| {
            self.opened.notify_one();
            watch::channel(QueueChange::default()).0
        });
        sender.subscribe()
    }

    /// The queue has changed; `head` is its first batch, where that is known.
    pub(super) fn notify(&self, key: &QueueKey, head: Option<BatchId>) {
        self.notify_where(|other| other == key, head);
    }

    /// Any queue may have changed.
    pub(super) fn notify_all(&self) {
        self.notify_where(|_| true, None);
    }

    /// These queues have changed.
    pub(super) fn notify_where(&self, have_changed: impl Fn(&QueueKey) -> bool, head: Option<BatchId>) {
        for (_, sender) in self.queues().iter().filter(|(key, _)| have_changed(key)) {
            sender.send_modify(|change| *change = QueueChange { changes: change.changes + 1, head });
        }
    }

    /// The queues that have subscribers.
    pub(super) fn subscribed(&self) -> Vec<QueueKey> {
        self.queues().keys().cloned().collect()
    }
}

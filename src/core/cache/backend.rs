//! The Redis that the settings name, if any, and whether it is the one that counts.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::failover::{FailoverState, Mode};
use super::notifier::Notifier;
use super::redis::{RedisCache, RedisError};

/// Longest wait for a new connection when one broke, before this process' own queues take over.
pub(super) const RECONNECT_TIMEOUT: Duration = Duration::from_millis(300);
/// Longest wait until it is known whether Redis can be used.
const DECISION_TIMEOUT: Duration = Duration::from_secs(1);

/// What queues, values and the supervisor share.
pub(super) struct Backend {
    pub(super) redis: Option<RedisCache>,
    pub(super) state: watch::Sender<FailoverState>,
    pub(super) notifier: Arc<Notifier>,
    /// Redis failed a caller, and is to be probed.
    pub(super) suspected: Arc<Notify>,
}

impl Backend {
    pub(super) fn new(redis: Option<RedisCache>, state: FailoverState) -> Backend {
        let (notifier, suspected) = Default::default();
        Backend { redis, state: watch::channel(state).0, notifier, suspected }
    }

    /// What counts now, and the number of its epoch.
    pub(super) fn now(&self) -> (Mode, u64) {
        let state = self.state.borrow();
        (state.mode(), state.epoch())
    }

    /// Waits until it is known where queues are, which takes a second at most.
    pub(super) async fn decided(&self) -> (Mode, u64) {
        if self.now().0 == Mode::Connecting {
            let mut states = self.state.subscribe();
            let decided = states.wait_for(|state| state.mode() != Mode::Connecting);
            let is_late = tokio::time::timeout(DECISION_TIMEOUT, decided).await.is_err();
            if let (true, Some(redis)) = (is_late, &self.redis) {
                self.cut(0, &RedisError::cut(redis.config()).sentence);
            }
        }
        self.now()
    }

    /// This process' own queues count from now on, unless that has been decided since `epoch`.
    pub(super) fn cut(&self, epoch: u64, problem: &str) {
        let mut moved = false;
        self.state.send_if_modified(|state| {
            moved = state.epoch() == epoch && state.mode() != Mode::Local;
            state.epoch() == epoch && state.cut(problem)
        });
        if moved {
            tracing::warn!("{problem}");
            self.notifier.notify_all();
        }
    }

    /// Waits until there is a new connection; `false` when there is none soon, or Redis doesn't count any more.
    pub(super) async fn reconnected(&self, redis: &RedisCache) -> bool {
        let mut states = self.state.subscribe();
        tokio::select! {
            () = redis.connected() => true,
            _ = states.wait_for(|state| state.mode() != Mode::Shared) => false,
            () = tokio::time::sleep(RECONNECT_TIMEOUT) => false,
        }
    }

    /// Redis, while it counts.
    pub(super) async fn shared(&self) -> Option<&RedisCache> {
        let (mode, _) = self.decided().await;
        self.redis.as_ref().filter(|_| mode == Mode::Shared)
    }

    /// What Redis gave, if it did: otherwise it is probed right away.
    pub(super) fn unless_failed<T>(&self, answer: Result<T, RedisError>) -> Option<T> {
        answer
            .inspect_err(|error| {
                tracing::debug!("{}", error.sentence);
                self.suspected.notify_one();
            })
            .ok()
    }
}

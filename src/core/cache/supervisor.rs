//! The task that connects to Redis, listens, notices when Redis goes, and returns to it when it is back.

use std::collections::HashSet;
use std::sync::Weak;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backend::RECONNECT_TIMEOUT;
use super::failover::{FailoverState, Mode};
use super::notifier::QueueKey;
use super::queues::Queues;
use super::redis::{NewConnection, RedisCache, RedisError};

/// Longest wait for the first connection.
const FIRST_TIMEOUT: Duration = Duration::from_millis(800);
/// Longest wait for a connection while this process' own queues count.
const LATER_TIMEOUT: Duration = Duration::from_secs(3);
/// How often Redis is asked whether it is there.
const PING: Duration = Duration::from_secs(1);
/// Pauses between attempts to connect: the first, doubling up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A Redis that fails this soon after it was joined is joined later each time.
const SOON: Duration = Duration::from_secs(10);
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// How often it is looked whether the batch that syncs in this process has ended.
const SYNC_POLL: Duration = Duration::from_millis(20);

/// Runs until the queues are gone.
pub(super) async fn supervise(queues: Weak<Queues>) {
    let mut supervisor = Supervisor::default();
    while let Some(queues) = queues.upgrade() {
        let Some(redis) = &queues.backend.redis else { return };
        if redis.is_connected() {
            supervisor.watch(&queues, redis).await;
        } else {
            supervisor.connect(&queues, redis).await;
        }
    }
}

#[derive(Default)]
struct Supervisor {
    /// The connection is broken.
    lost: CancellationToken,
    subscribed: HashSet<QueueKey>,
    pause: Duration,
    backoff: Duration,
    joined: Option<Instant>,
    next_ping: Option<Instant>,
}

impl Supervisor {
    async fn connect(&mut self, queues: &Queues, redis: &RedisCache) {
        let backend = &queues.backend;
        let (mode, _) = backend.now();
        if mode == Mode::Local
            && let Some(joined) = self.joined.take()
        {
            self.backoff = match joined.elapsed() < SOON {
                true => (self.backoff * 2).clamp(FIRST_BACKOFF, LONGEST_BACKOFF),
                false => Duration::ZERO,
            };
            tokio::time::sleep(self.backoff).await;
        }
        let timeout = match mode {
            Mode::Connecting => FIRST_TIMEOUT,
            Mode::Shared => RECONNECT_TIMEOUT,
            Mode::Local | Mode::Returning => LATER_TIMEOUT,
        };
        let connected = match redis.connect(backend, timeout).await {
            Ok(connection) => self.enter(queues, redis, connection).await,
            Err(error) => Err(error),
        };
        match connected {
            Ok(()) => (self.pause, self.next_ping) = (FIRST_PAUSE, Some(Instant::now())),
            // Redis can't be used, and is tried again after a pause that grows.
            Err(error) => {
                backend.cut(backend.now().1, &error.sentence);
                self.pause = self.pause.max(FIRST_PAUSE);
                tokio::time::sleep(self.pause).await;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    /// Makes a new connection the one in use, and the queues of Redis those that count.
    async fn enter(&mut self, queues: &Queues, redis: &RedisCache, new: NewConnection) -> Result<(), RedisError> {
        let backend = &queues.backend;
        if backend.now().0 != Mode::Shared {
            backend.state.send_if_modified(FailoverState::back);
            // The one that syncs here ends first, so that two never do.
            while queues.local.is_syncing() {
                tokio::time::sleep(SYNC_POLL).await;
                if new.lost.is_cancelled() {
                    return Err(RedisError::cut(redis.config()));
                }
            }
            redis.leave_all(&new, &queues.leases).await?;
            self.joined = Some(Instant::now());
        }
        self.lost = new.lost.clone();
        redis.set_connection(new);
        self.subscribed.clear();
        self.subscribe(queues, redis).await;
        if backend.state.send_if_modified(FailoverState::join) {
            tracing::info!("queues are in Redis at {}", redis.config().redacted());
            queues.local.forget();
        }
        backend.notifier.notify_all();
        Ok(())
    }

    /// Subscribes to the queues that somebody waits for, and to no others.
    async fn subscribe(&mut self, queues: &Queues, redis: &RedisCache) {
        let backend = &queues.backend;
        let wanted: HashSet<_> = backend.notifier.subscribed().into_iter().collect();
        for key in wanted.difference(&self.subscribed) {
            match redis.subscribe(key).await {
                // Whatever happened before.
                Ok(()) => backend.notifier.notify(key, None),
                Err(error) if error.dropped => return backend.suspected.notify_one(),
                // Those who wait ask by themselves now and then.
                Err(error) => tracing::warn!("{}", error.sentence),
            }
        }
        for key in self.subscribed.difference(&wanted) {
            if let Err(error) = redis.unsubscribe(key).await {
                tracing::debug!("{}", error.sentence);
            }
        }
        self.subscribed = wanted;
    }

    async fn watch(&mut self, queues: &Queues, redis: &RedisCache) {
        let backend = &queues.backend;
        let next_ping = *self.next_ping.get_or_insert_with(Instant::now);
        tokio::select! {
            () = self.lost.cancelled() => redis.drop_connection(redis.connection_number()),
            () = backend.suspected.notified() => self.next_ping = None,
            () = backend.notifier.opened.notified() => self.subscribe(queues, redis).await,
            () = tokio::time::sleep_until(next_ping) => {
                self.next_ping = Some(Instant::now() + PING);
                let (number, (_, epoch)) = (redis.connection_number(), backend.now());
                if let Err(error) = redis.ping(self.subscribed.iter().next()).await {
                    redis.drop_connection(number);
                    if !error.dropped {
                        backend.cut(epoch, &error.sentence);
                    }
                }
            }
        }
    }
}

//! Lines and values in Redis while it can be used, in this process while it can't.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::PushKind;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

use super::failover::{FailoverState, Mode};
use super::local::{LocalCache, trusted};
use super::notifier::{Notifier, QueueKey};
use super::queue::Place;
use super::redis::{self as server, NewConnection, RedisCache, RedisError};
use super::{
    BatchId, CacheError, Claim, Enqueued, Fence, FencingToken, Lease, LeaseConfig, Namespace, NamespaceStats,
    QueueItems, SyncBatch, Values,
};

/// Longest wait for a new connection when one broke, before the local line takes over.
const RECONNECT_TIMEOUT: Duration = Duration::from_millis(300);
/// Longest wait for the first connection.
const FIRST_CONNECT_TIMEOUT: Duration = Duration::from_millis(800);
/// Longest wait for a connection while nobody waits for it.
const CALM_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How often Redis is asked whether it is there.
const PING: Duration = Duration::from_secs(1);
/// Pauses between attempts to connect: the first, doubling up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A Redis that fails this soon after it was joined is trusted less each time.
const SOON: Duration = Duration::from_secs(10);
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// Above any token that a clock gives in the next centuries, and exact as a floating-point number.
const HIGHEST_FLOOR: u64 = 1 << 52;

/// Lines and values, wherever they are now.
pub(super) struct Switch {
    local: LocalCache,
    redis: Option<RedisCache>,
    state: watch::Sender<FailoverState>,
    notifier: Arc<Notifier>,
    lease_config: LeaseConfig,
    /// The highest token seen so far.
    floor: AtomicU64,
    /// Names the lines of this process.
    process: u64,
    /// Somebody had trouble with Redis.
    doubted: Notify,
}

/// A change of a line, or a look at it.
enum Op<'a> {
    Enqueue(&'a SyncBatch),
    Claim(BatchId),
    Renew(BatchId, FencingToken),
    Leave(BatchId),
    List,
}

enum Answer {
    Place(Place),
    Yes(bool),
    List(QueueItems),
}

impl Switch {
    /// Of this process only.
    pub(super) fn local(config: LeaseConfig, problem: Option<String>) -> Arc<Switch> {
        Arc::new(Switch::new(config, None, FailoverState::local(problem)))
    }

    /// In Redis as long as it can be used. Must be called within a Tokio runtime.
    pub(super) fn shared(leases: LeaseConfig, redis: server::ConnectionConfig) -> Arc<Switch> {
        let switch = Arc::new(Switch::new(leases, Some(RedisCache::new(redis)), FailoverState::connecting()));
        tokio::spawn(supervise(Arc::downgrade(&switch)));
        switch
    }

    fn new(config: LeaseConfig, redis: Option<RedisCache>, state: FailoverState) -> Switch {
        let notifier = Arc::new(Notifier::default());
        Switch {
            local: LocalCache::new(notifier.clone()),
            redis,
            state: watch::channel(state).0,
            notifier,
            lease_config: config,
            floor: AtomicU64::new(0),
            process: uuid::Uuid::new_v4().as_u64_pair().0,
            doubted: Notify::new(),
        }
    }

    pub(super) fn lease_config(&self) -> &LeaseConfig {
        &self.lease_config
    }

    pub(super) fn failover_state(&self) -> watch::Receiver<FailoverState> {
        self.state.subscribe()
    }

    pub(super) fn notifier(&self) -> &Notifier {
        &self.notifier
    }

    pub(super) fn redis(&self) -> Option<&RedisCache> {
        self.redis.as_ref()
    }

    /// Tokens given from now on are above this one.
    pub(super) fn raise_floor(&self, token: FencingToken) {
        self.floor.fetch_max(token.0.min(HIGHEST_FLOOR), Ordering::Relaxed);
    }

    fn floor(&self) -> FencingToken {
        FencingToken(self.floor.load(Ordering::Relaxed))
    }

    /// Waits until it is known where lines are, which takes a second at most.
    pub(super) async fn decided(&self) -> FailoverState {
        let now = self.state.borrow().clone();
        if now.mode() != Mode::Connecting {
            return now;
        }
        let mut state = self.state.subscribe();
        let known = state.wait_for(|state| state.mode() != Mode::Connecting);
        // The sender lives as long as this.
        if let Ok(Ok(state)) = tokio::time::timeout(Duration::from_secs(1), known).await {
            return state.clone();
        }
        if let Some(redis) = &self.redis {
            self.cut(0, &RedisError::cut(redis.config()).sentence);
        }
        self.state.borrow().clone()
    }

    /// The local line counts from now on, unless that has been decided since `epoch`.
    fn cut(&self, epoch: u64, problem: &str) {
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

    /// Does something with a line, in Redis or here. Gives the epoch in which it was done, and whether in Redis.
    async fn run(&self, line: &QueueKey, op: Op<'_>) -> (Answer, u64, bool) {
        let mut reconnected = false;
        loop {
            let state = self.decided().await;
            let epoch = state.epoch();
            let redis = match (&self.redis, state.mode()) {
                (Some(redis), Mode::Shared) => redis,
                (_, at) => {
                    let answer = self.run_here(line, &op, at != Mode::Returning).await;
                    // Redis may have been joined meanwhile, and what is here forgotten: this would stay behind.
                    if self.state.borrow().mode() == Mode::Shared {
                        self.local.forget_queues();
                    }
                    return (answer, epoch, false);
                }
            };
            let connection = redis.connection_number();
            match self.run_there(redis, line, &op).await {
                Ok(answer) => return (answer, epoch, true),
                Err(error) => {
                    redis.drop_connection(connection);
                    self.doubted.notify_one();
                    let again =
                        error.dropped && !std::mem::replace(&mut reconnected, true) && self.reconnected(redis).await;
                    if !again {
                        self.cut(epoch, &error.sentence);
                    }
                }
            }
        }
    }

    /// Waits until there is a new connection; `false` when there is none soon, or the local line has taken over.
    async fn reconnected(&self, redis: &RedisCache) -> bool {
        let mut state = self.state.subscribe();
        tokio::select! {
            () = redis.connected() => true,
            _ = state.wait_for(|state| state.mode() != Mode::Shared) => false,
            () = tokio::time::sleep(RECONNECT_TIMEOUT) => false,
        }
    }

    async fn run_there(&self, redis: &RedisCache, line: &QueueKey, op: &Op<'_>) -> Result<Answer, RedisError> {
        let config = &self.lease_config;
        Ok(match op {
            Op::Enqueue(batch) => Answer::Place(redis.enqueue(line, config, (*batch).clone(), self.floor()).await?),
            Op::Claim(id) => Answer::Place(redis.claim(line, config, *id, self.floor()).await?),
            Op::Renew(id, token) => Answer::Yes(redis.renew(line, config, *id, *token).await?),
            Op::Leave(id) => Answer::Yes(redis.leave(line, config, *id).await?),
            Op::List => Answer::List(redis.queue(line).await?),
        })
    }

    async fn run_here(&self, line: &QueueKey, op: &Op<'_>, grants: bool) -> Answer {
        let (local, config) = (&self.local, &self.lease_config);
        match op {
            Op::Enqueue(batch) => {
                Answer::Place(local.enqueue(line, config, (*batch).clone(), self.floor(), grants).await)
            }
            Op::Claim(id) => Answer::Place(local.claim(line, config, *id, self.floor(), grants).await),
            Op::Renew(id, token) => Answer::Yes(local.renew(line, config, *id, *token).await),
            Op::Leave(id) => Answer::Yes(local.leave(line, config, *id).await),
            Op::List => Answer::List(local.queue(line).await),
        }
    }

    // Lines.

    pub(super) async fn enqueue(&self, line: &QueueKey, batch: SyncBatch) -> Result<Enqueued, CacheError> {
        let started = Instant::now();
        let place = self.run(line, Op::Enqueue(&batch)).await;
        match self.claimed(line, started, place) {
            Ok(Claim::Head { batch, lease }) => Ok(Enqueued::AtHead { batch, lease }),
            Ok(Claim::Waiting { position, .. }) => Ok(Enqueued::InLine { position }),
            // It went as it came; asking for the head says the same.
            Ok(Claim::Gone) => Ok(Enqueued::InLine { position: 0 }),
            Err(Some(batch)) => Ok(Enqueued::Joined { batch }),
            Err(None) => Err(CacheError::QueueFull { key: line.key.clone() }),
        }
    }

    pub(super) async fn claim(&self, line: &QueueKey, id: BatchId) -> Claim {
        let started = Instant::now();
        let place = self.run(line, Op::Claim(id)).await;
        self.claimed(line, started, place).unwrap_or(Claim::Gone)
    }

    /// What a place means; the error is the batch that was joined, or none when the line is full.
    fn claimed(
        &self,
        line: &QueueKey,
        started: Instant,
        (answer, epoch, shared): (Answer, u64, bool),
    ) -> Result<Claim, Option<BatchId>> {
        match answer {
            Answer::Place(Place::Head(batch, token)) => {
                self.raise_floor(token);
                let fence = Fence { queue: self.queue_number(line, shared), token };
                let lease = Lease { fence, epoch, until: trusted(started, self.lease_config.lease) };
                Ok(Claim::Head { batch: *batch, lease })
            }
            Answer::Place(Place::Waiting { position, head_expires_in }) => {
                Ok(Claim::Waiting { position, head_expires_in: Duration::from_millis(head_expires_in) })
            }
            Answer::Place(Place::Joined(batch)) => Err(Some(batch)),
            Answer::Place(Place::Full) => Err(None),
            _ => Ok(Claim::Gone),
        }
    }

    /// Names a line, so that tokens of different lines aren't compared.
    fn queue_number(&self, line: &QueueKey, shared: bool) -> u64 {
        let process = if shared { 0 } else { self.process };
        xxh3_64(format!("{process:x}:{}:{}", line.namespace, line.key).as_bytes())
    }

    pub(super) async fn renew(&self, line: &QueueKey, id: BatchId, lease: &Lease) -> Option<Lease> {
        let started = Instant::now();
        if !self.is_current(lease) {
            return None;
        }
        let (answer, epoch, _) = self.run(line, Op::Renew(id, lease.fence.token)).await;
        let held = matches!(answer, Answer::Yes(true)) && epoch == lease.epoch && self.is_current(lease);
        held.then(|| Lease { until: trusted(started, self.lease_config.lease), ..*lease })
    }

    /// Whether the line that gave the lease still counts.
    pub(super) fn is_current(&self, lease: &Lease) -> bool {
        self.state.borrow().epoch() == lease.epoch
    }

    pub(super) async fn leave(&self, line: &QueueKey, id: BatchId) -> bool {
        matches!(self.run(line, Op::Leave(id)).await.0, Answer::Yes(true))
    }

    pub(super) async fn queue(&self, line: &QueueKey) -> QueueItems {
        match self.run(line, Op::List).await.0 {
            Answer::List(queue) => queue,
            _ => Vec::new(),
        }
    }

    // Values. Without Redis they are of this process.

    /// Redis, if lines are there.
    async fn server(&self) -> Option<&RedisCache> {
        let shared = self.decided().await.mode() == Mode::Shared;
        self.redis.as_ref().filter(|_| shared)
    }

    /// A value couldn't be had from Redis: whether lines can, is looked at right away.
    fn doubt(&self, error: &RedisError) {
        tracing::debug!("{}", error.sentence);
        self.doubted.notify_one();
    }

    pub(super) async fn get_many(&self, namespace: Namespace, keys: &[String]) -> Vec<Option<Arc<[u8]>>> {
        if let Some(redis) = self.server().await {
            match redis.get_many(namespace, keys).await {
                Ok(found) => {
                    self.local.count(namespace, &found);
                    return found;
                }
                Err(error) => self.doubt(&error),
            }
        }
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            found.push(self.local.get(namespace, key).await);
        }
        found
    }

    pub(super) async fn set_many(&self, namespace: Namespace, values: Values) {
        if let Some(redis) = self.server().await {
            match redis.set_many(namespace, &values).await {
                Ok(()) => return,
                Err(error) => self.doubt(&error),
            }
        }
        for (key, value) in values {
            self.local.set(namespace, &key, value).await;
        }
    }

    pub(super) async fn delete(&self, namespace: Namespace, key: &str) -> bool {
        let here = self.local.delete(namespace, key).await;
        if let Some(redis) = self.server().await {
            match redis.delete(namespace, key).await {
                Ok(there) => return here || there,
                Err(error) => self.doubt(&error),
            }
        }
        here
    }

    pub(super) async fn clear(&self, namespace: Namespace) {
        self.local.clear(namespace).await;
        if let Some(redis) = self.server().await
            && let Err(error) = redis.clear(namespace, &self.notifier.subscribed()).await
        {
            self.doubt(&error);
        }
    }

    pub(super) async fn stats(&self) -> Vec<(Namespace, NamespaceStats)> {
        let mut all = Vec::new();
        let mut server = self.server().await;
        for namespace in Namespace::ALL {
            let mut stats = self.local.stats(namespace);
            if let Some(redis) = server {
                match redis.stats(namespace).await {
                    Ok((entries, bytes)) => (stats.entries, stats.bytes) = (entries, bytes),
                    Err(error) => {
                        self.doubt(&error);
                        server = None;
                    }
                }
            }
            all.push((namespace, stats));
        }
        all
    }
}

/// Connects, listens, notices when Redis goes, and returns to it when it is back.
async fn supervise(switch: Weak<Switch>) {
    let mut supervisor = Supervisor::default();
    while let Some(switch) = switch.upgrade() {
        let Some(redis) = &switch.redis else { return };
        if redis.is_connected() {
            supervisor.watch(&switch, redis).await;
        } else {
            supervisor.connection(&switch, redis).await;
        }
    }
}

/// What looking after Redis has to remember.
#[derive(Default)]
struct Supervisor {
    pushes: Option<server::Pushes>,
    subscribed: HashSet<QueueKey>,
    pause: Duration,
    backoff: Duration,
    joined: Option<Instant>,
    next_ping: Option<Instant>,
}

impl Supervisor {
    async fn connection(&mut self, switch: &Switch, redis: &RedisCache) {
        let state = switch.state.borrow().clone();
        if state.mode() == Mode::Local
            && let Some(joined) = self.joined.take()
        {
            self.backoff = match joined.elapsed() < SOON {
                true => (self.backoff * 2).clamp(FIRST_BACKOFF, MAX_BACKOFF),
                false => Duration::ZERO,
            };
            tokio::time::sleep(self.backoff).await;
        }
        let patience = match state.mode() {
            Mode::Connecting => FIRST_CONNECT_TIMEOUT,
            Mode::Shared => RECONNECT_TIMEOUT,
            Mode::Local | Mode::Returning => CALM_CONNECT_TIMEOUT,
        };
        let lines = switch.notifier.subscribed();
        match redis.connect(&lines, patience).await {
            Ok(connection) => match self.enter(switch, redis, connection).await {
                Ok(()) => {
                    self.pause = FIRST_PAUSE;
                    self.next_ping = Some(Instant::now());
                }
                Err(error) => self.back_off(switch, &error).await,
            },
            Err(error) => self.back_off(switch, &error).await,
        }
    }

    /// Redis can't be used: batches wait here, and it is tried again after a pause that grows.
    async fn back_off(&mut self, switch: &Switch, error: &RedisError) {
        // Apart, since what is borrowed can't be changed.
        let epoch = switch.state.borrow().epoch();
        switch.cut(epoch, &error.sentence);
        self.pause = self.pause.max(FIRST_PAUSE);
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Makes a new connection the one in use, and Redis' line the one that counts.
    async fn enter(
        &mut self,
        switch: &Switch,
        redis: &RedisCache,
        mut connection: NewConnection,
    ) -> Result<(), RedisError> {
        if switch.state.borrow().mode() != Mode::Shared {
            switch.state.send_if_modified(FailoverState::back);
            // The one that syncs here ends first, so that two never do.
            while switch.local.is_syncing() {
                tokio::time::sleep(Duration::from_millis(20)).await;
                if !connection.is_alive() {
                    return Err(RedisError::cut(redis.config()));
                }
            }
            redis.leave_all(&connection, &switch.lease_config).await?;
            self.joined = Some(Instant::now());
        }
        self.pushes = connection.pushes.take();
        redis.set_connection(connection);
        self.subscribed.clear();
        self.listen(switch, redis).await;
        if switch.state.send_if_modified(FailoverState::join) {
            tracing::info!("batches wait in Redis at {}", redis.config().redacted());
            switch.local.forget_queues();
        }
        switch.notifier.notify_all();
        Ok(())
    }

    /// Listens to the lines that somebody waits for, and to no others.
    async fn listen(&mut self, switch: &Switch, redis: &RedisCache) {
        let wanted: HashSet<_> = switch.notifier.subscribed().into_iter().collect();
        for line in wanted.difference(&self.subscribed) {
            match redis.listen(line).await {
                // Whatever happened before it was listened to.
                Ok(()) => switch.notifier.notify(line, None),
                Err(error) if error.dropped => return switch.doubted.notify_one(),
                // Those who wait look by themselves now and then.
                Err(error) => tracing::warn!("{}", error.sentence),
            }
        }
        for line in self.subscribed.difference(&wanted) {
            if let Err(error) = redis.stop_listening(line).await {
                tracing::debug!("{}", error.sentence);
            }
        }
        self.subscribed = wanted;
    }

    async fn watch(&mut self, switch: &Switch, redis: &RedisCache) {
        let Some(pushes) = &mut self.pushes else { return redis.drop_connection(redis.connection_number()) };
        let next_ping = *self.next_ping.get_or_insert_with(Instant::now);
        tokio::select! {
            push = pushes.next() => match push {
                Some((PushKind::Message, channel, payload)) => {
                    match self.subscribed.iter().find(|line| server::is_channel_of(&channel, line)) {
                        Some(line) => switch.notifier.notify(line, server::head_of(&payload)),
                        None => tracing::debug!("a wake-up for a line that nobody waits for"),
                    }
                }
                Some((PushKind::Other(_), ..)) => switch.notifier.notify_all(),
                // A Cluster's connections come and go; the next question shows whether the line is there.
                Some((PushKind::Disconnection, ..)) if redis.config().is_cluster() => self.next_ping = None,
                Some((PushKind::Disconnection, ..)) | None => redis.drop_connection(redis.connection_number()),
                Some(_) => {}
            },
            () = switch.doubted.notified() => self.next_ping = None,
            () = switch.notifier.opened.notified() => self.listen(switch, redis).await,
            () = tokio::time::sleep_until(next_ping) => {
                self.next_ping = Some(Instant::now() + PING);
                let (number, epoch) = (redis.connection_number(), switch.state.borrow().epoch());
                if let Err(error) = redis.ping(self.subscribed.iter().next()).await {
                    redis.drop_connection(number);
                    if !error.dropped {
                        switch.cut(epoch, &error.sentence);
                    }
                }
            }
        }
    }
}

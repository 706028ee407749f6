//! The cache on a Redis: one connection, one script for all changes of lines, one for values.

mod connection;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod seal;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::AsyncPushSender;
use redis::{Cmd, ErrorKind, FromRedisValue, Pipeline, PushInfo, PushKind, ServerErrorKind};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_128;

use super::notifier::QueueKey;
use super::queue::Place;
use super::{
    BatchId, BatchInfo, BatchState, FencingToken, LeaseConfig, MAX_QUEUE_LENGTH, Namespace, QueueItem, QueueItems,
    ServerFacts, SyncBatch,
};
use crate::core::escape;
use crate::core::{Dirty, RelPath};
use connection::Connection;
pub(super) use connection::ConnectionConfig;
pub(super) use error::RedisError;

/// Files of a batch that are named on the server; a batch with more covers everything.
const MOST_PATHS: usize = 1000;
/// Values that are asked for, or set, at once.
const AT_ONCE: usize = 128;
/// Longest name of a host, as systems bound it.
const LONGEST_HOST: usize = 255;
/// Keys of values that are longer go by their hash.
const LONGEST_KEY: usize = 200;

static QUEUE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("queue.lua")));
static VALUES: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("values.lua")));

/// A script, and the name that servers know it by once they have seen it.
struct Script {
    text: &'static str,
    name: String,
}

impl Script {
    fn new(text: &'static str) -> Script {
        Script { text, name: redis::Script::new(text).get_hash().to_owned() }
    }
}

/// The connection, if there is one, and which it is.
#[derive(Default)]
struct Current {
    number: u64,
    connection: Option<Connection>,
}

/// A Redis, connected or not. Whoever looks after it connects it.
pub(super) struct RedisCache {
    config: ConnectionConfig,
    connection: watch::Sender<Current>,
    /// Batches of this process that may be in a line there.
    ours: Mutex<HashSet<(QueueKey, BatchId)>>,
    /// Of the last look at how it is, microseconds.
    latency: AtomicU64,
}

type Answer<T> = Result<T, RedisError>;

impl RedisCache {
    /// Not connected yet.
    pub(super) fn new(config: ConnectionConfig) -> RedisCache {
        let (connection, ours, latency) = (watch::channel(Current::default()).0, Mutex::default(), AtomicU64::new(0));
        RedisCache { config, connection, ours, latency }
    }

    pub(super) fn config(&self) -> &ConnectionConfig {
        &self.config
    }

    /// How long it took to answer lately; `None` before it did.
    pub(super) fn latency(&self) -> Option<Duration> {
        let micros = self.latency.load(Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros))
    }

    // The connection.

    /// Connects, and sees that it can be used; gives the sentence when not. The connection isn't used by others yet.
    pub(super) async fn connect(&self, lines: &[QueueKey], patience: Duration) -> Answer<NewConnection> {
        let to_error = |error: redis::RedisError| RedisError::new(&error, &self.config);
        let (give, pushes) = Pushes::new();
        let mut connection = self.config.connect(give, patience).await.map_err(to_error)?;
        // It must write, run scripts, and hold what belongs at the keys of the lines in use.
        let probe = QueueKey::new(Namespace::SyncBatches, "-probe");
        for line in std::iter::once(&probe).chain(lines) {
            self.look(&mut connection, line).await?;
        }
        let mut write = redis::cmd("SET");
        write.arg("{syncline:-probe}:written").arg(1).arg("PX").arg(60_000);
        connection.ask::<()>(&write).await.map_err(to_error)?;
        Ok(NewConnection { connection, pushes: Some(pushes) })
    }

    /// From now on all use this connection.
    pub(super) fn set_connection(&self, new: NewConnection) {
        self.connection
            .send_modify(|current| *current = Current { number: current.number + 1, connection: Some(new.connection) });
    }

    /// Which connection is in use, or was last.
    pub(super) fn connection_number(&self) -> u64 {
        self.connection.borrow().number
    }

    /// The connection of this number is of no use any more.
    pub(super) fn drop_connection(&self, number: u64) {
        self.connection.send_if_modified(|current| current.number == number && current.connection.take().is_some());
    }

    /// Whether there is a connection.
    pub(super) fn is_connected(&self) -> bool {
        self.connection.borrow().connection.is_some()
    }

    /// Waits until there is a connection.
    pub(super) async fn connected(&self) {
        // The sender lives as long as this.
        let _ = self.connection.subscribe().wait_for(|current| current.connection.is_some()).await;
    }

    fn connection(&self) -> Answer<Connection> {
        self.connection.borrow().connection.clone().ok_or_else(|| RedisError::cut(&self.config))
    }

    /// Asks it for something that means nothing, and takes the time.
    pub(super) async fn ping(&self, line: Option<&QueueKey>) -> Answer<()> {
        let mut connection = self.connection()?;
        let started = Instant::now();
        // In a Cluster, of the node that matters.
        let key = line.map_or_else(|| "{syncline:-probe}:written".to_owned(), |line| keys(line).swap_remove(6));
        let mut exists = redis::cmd("EXISTS");
        exists.arg(key);
        connection.ask::<()>(&exists).await.map_err(|error| RedisError::new(&error, &self.config))?;
        self.latency.store(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
        Ok(())
    }

    pub(super) async fn listen(&self, line: &QueueKey) -> Answer<()> {
        self.connection()?.subscribe(&channel(line)).await.map_err(|error| RedisError::new(&error, &self.config))
    }

    pub(super) async fn stop_listening(&self, line: &QueueKey) -> Answer<()> {
        self.connection()?.unsubscribe(&channel(line)).await.map_err(|error| RedisError::new(&error, &self.config))
    }

    /// What the server says of itself.
    pub(super) async fn facts(&self) -> Answer<ServerFacts> {
        let mut connection = self.connection()?;
        let to_error = |error: redis::RedisError| RedisError::new(&error, &self.config);
        let mut info = String::new();
        for section in ["server", "memory"] {
            let mut command = redis::cmd("INFO");
            command.arg(section);
            // Of a Cluster, one node speaks for all.
            let value: redis::Value = connection.ask(&command).await.map_err(to_error)?;
            let text = match value {
                redis::Value::Map(nodes) => {
                    nodes.into_iter().next().and_then(|(_, text)| String::from_redis_value(text).ok())
                }
                value => String::from_redis_value(value).ok(),
            };
            info += &text.unwrap_or_default();
        }
        Ok(facts(&info))
    }

    // Lines.

    pub(super) async fn enqueue(
        &self,
        line: &QueueKey,
        config: &LeaseConfig,
        batch: SyncBatch,
        floor: FencingToken,
    ) -> Answer<Place> {
        let id = batch.id;
        // Before it is there, so that it is known when the answer is lost.
        self.ours().insert((line.clone(), id));
        let (info, dirty) = batch.into_parts();
        let about = serde_json::to_string(&info).map_err(|_| RedisError::nonsense(&self.config))?;
        let (n, paths) = packed(&dirty);
        let mut command = self.change(line, "enqueue", config, floor);
        command.arg(MAX_QUEUE_LENGTH).arg(id.to_string()).arg(info.owner.session.simple().to_string());
        command.arg(about).arg(n).arg(paths);
        let place = self.place(command).await?;
        if matches!(place, Place::Joined(_) | Place::Full) {
            self.ours().remove(&(line.clone(), id));
        }
        Ok(place)
    }

    pub(super) async fn claim(
        &self,
        line: &QueueKey,
        config: &LeaseConfig,
        id: BatchId,
        floor: FencingToken,
    ) -> Answer<Place> {
        let mut command = self.change(line, "claim", config, floor);
        command.arg(id.to_string());
        self.place(command).await
    }

    pub(super) async fn renew(
        &self,
        line: &QueueKey,
        config: &LeaseConfig,
        id: BatchId,
        token: FencingToken,
    ) -> Answer<bool> {
        let mut command = self.change(line, "renew", config, FencingToken::default());
        command.arg(id.to_string()).arg(token.0);
        Ok(self.run::<Vec<String>>(&QUEUE, command).await? == ["held"])
    }

    pub(super) async fn leave(&self, line: &QueueKey, config: &LeaseConfig, id: BatchId) -> Answer<bool> {
        let mut command = self.change(line, "leave", config, FencingToken::default());
        command.arg(id.to_string());
        let left = self.run::<Vec<String>>(&QUEUE, command).await? == ["left"];
        self.ours().remove(&(line.clone(), id));
        Ok(left)
    }

    pub(super) async fn queue(&self, line: &QueueKey) -> Answer<QueueItems> {
        self.look(&mut self.connection()?, line).await
    }

    async fn look(&self, connection: &mut Connection, line: &QueueKey) -> Answer<QueueItems> {
        // Looking takes nothing out that a lease of the others' settings would keep.
        let command = self.change(
            line,
            "queue",
            &LeaseConfig { stale_after: Duration::MAX, ..LeaseConfig::default() },
            FencingToken::default(),
        );
        let fields: Vec<Vec<u8>> = self.run_on(connection, &QUEUE, command).await?;
        items(&fields).ok_or_else(|| RedisError::nonsense(&self.config))
    }

    /// Takes out what this process may have in lines there.
    pub(super) async fn leave_all(&self, connection: &NewConnection, config: &LeaseConfig) -> Answer<()> {
        let ours: Vec<_> = self.ours().iter().cloned().collect();
        for (line, id) in ours {
            let mut command = self.change(&line, "leave", config, FencingToken::default());
            command.arg(id.to_string());
            self.run_on::<Vec<String>>(&mut connection.connection.clone(), &QUEUE, command).await?;
            self.ours().remove(&(line, id));
        }
        Ok(())
    }

    fn ours(&self) -> std::sync::MutexGuard<'_, HashSet<(QueueKey, BatchId)>> {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, line: &QueueKey, what: &str, config: &LeaseConfig, floor: FencingToken) -> Call {
        let mut call = Call::new(&keys(line));
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(1 << 50);
        call.arg(what).arg(channel(line)).arg(millis(config.lease)).arg(millis(config.stale_after)).arg(floor.0);
        call
    }

    async fn place(&self, command: Call) -> Answer<Place> {
        let fields: Vec<Vec<u8>> = self.run(&QUEUE, command).await?;
        place(&fields).ok_or_else(|| RedisError::nonsense(&self.config))
    }

    // Values.

    pub(super) async fn get_many(&self, namespace: Namespace, keys: &[String]) -> Answer<Vec<Option<Arc<[u8]>>>> {
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(AT_ONCE) {
            let mut command = redis::cmd("MGET");
            for name in keys.iter().map(|key| value_key(key)) {
                command.arg(format!("{}{name}", prefix(namespace)));
            }
            let values: Vec<Option<Vec<u8>>> =
                self.connection()?.ask(&command).await.map_err(|error| RedisError::new(&error, &self.config))?;
            if values.len() != keys.len() {
                return Err(RedisError::nonsense(&self.config));
            }
            for (key, value) in keys.iter().zip(values) {
                let opened = value.as_deref().and_then(|sealed| seal::open(key, sealed));
                if value.is_some() && opened.is_none() {
                    tracing::warn!(%namespace, key = %value_key(key), "a value in Redis is damaged and is left out");
                }
                found.push(opened);
            }
        }
        Ok(found)
    }

    pub(super) async fn set_many(&self, namespace: Namespace, values: &[(String, Arc<[u8]>)]) -> Answer<()> {
        for values in values.chunks(AT_ONCE) {
            let set = |(key, value): &(String, Arc<[u8]>)| {
                let sealed = seal::seal(key, value)?;
                let mut call = self.values(namespace, "set");
                call.arg(value_key(key)).arg(sealed);
                call.arg(u64::try_from(namespace.lifetime().as_millis()).unwrap_or(u64::MAX)).arg(namespace.capacity());
                Some(call)
            };
            self.run_all(&VALUES, values.iter().filter_map(set).collect()).await?;
        }
        Ok(())
    }

    pub(super) async fn delete(&self, namespace: Namespace, key: &str) -> Answer<bool> {
        let mut call = self.values(namespace, "delete");
        call.arg(value_key(key));
        Ok(self.run::<u64>(&VALUES, call).await? > 0)
    }

    pub(super) async fn clear(&self, namespace: Namespace, lines: &[QueueKey]) -> Answer<()> {
        while self.run::<u64>(&VALUES, self.values(namespace, "clear")).await? > 0 {}
        for line in lines.iter().filter(|line| line.namespace == namespace) {
            let call = self.change(line, "clear", &LeaseConfig::default(), FencingToken::default());
            self.run::<Vec<String>>(&QUEUE, call).await?;
        }
        Ok(())
    }

    /// Values of the namespace, and their bytes.
    pub(super) async fn stats(&self, namespace: Namespace) -> Answer<(u64, u64)> {
        self.run(&VALUES, self.values(namespace, "stats")).await
    }

    fn values(&self, namespace: Namespace, what: &str) -> Call {
        let tag = tag(namespace.as_str());
        let mut call = Call::new(&["ends", "sizes", "total"].map(|part| format!("{tag}:values:{part}")));
        call.arg(what).arg(prefix(namespace));
        call
    }

    // Scripts.

    async fn run<T: FromRedisValue>(&self, script: &Script, call: Call) -> Answer<T> {
        self.run_on(&mut self.connection()?, script, call).await
    }

    async fn run_on<T: FromRedisValue>(&self, connection: &mut Connection, script: &Script, call: Call) -> Answer<T> {
        let answer = match connection.ask(&call.command("EVALSHA", &script.name)).await {
            // Sent whole, it is known by its name from then on.
            Err(error) if is_unknown_script(&error) => connection.ask(&call.command("EVAL", script.text)).await,
            answer => answer,
        };
        answer.map_err(|error| RedisError::new(&error, &self.config))
    }

    /// Runs a script for each call, all over the wire at once. All keys are in one slot.
    async fn run_all(&self, script: &Script, calls: Vec<Call>) -> Answer<()> {
        let mut connection = self.connection()?;
        let Some((first, rest)) = calls.split_first() else { return Ok(()) };
        // The first one sees to it that the server knows the script.
        self.run_on::<redis::Value>(&mut connection, script, first.clone()).await?;
        if rest.is_empty() {
            return Ok(());
        }
        let mut all = Pipeline::new();
        for call in rest {
            all.add_command(call.command("EVALSHA", &script.name)).ignore();
        }
        connection.ask_all::<()>(&all).await.map_err(|error| RedisError::new(&error, &self.config))
    }
}

/// A connection that was just made.
pub(super) struct NewConnection {
    connection: Connection,
    /// What the server sends over it by itself.
    pub(super) pushes: Option<Pushes>,
}

impl NewConnection {
    /// Whether it hasn't broken yet, as far as anybody noticed.
    pub(super) fn is_alive(&mut self) -> bool {
        let Some(pushes) = &mut self.pushes else { return false };
        loop {
            match pushes.queue.try_recv() {
                Ok(push) if push.kind == PushKind::Disconnection => return false,
                Ok(_) => {}
                Err(error) => return error == mpsc::error::TryRecvError::Empty,
            }
        }
    }
}

/// What a server sends by itself. More than anybody takes is dropped, which is told.
pub(super) struct Pushes {
    queue: mpsc::Receiver<PushInfo>,
    dropped: Arc<AtomicBool>,
}

/// Pushes that wait to be taken.
const MOST_PUSHES: usize = 4096;

impl Pushes {
    fn new() -> (impl AsyncPushSender + Clone, Pushes) {
        let (give, queue) = mpsc::channel(MOST_PUSHES);
        let dropped = Arc::new(AtomicBool::new(false));
        let missed = dropped.clone();
        let give = move |push: PushInfo| {
            if give.try_send(push).is_err() {
                missed.store(true, Ordering::Relaxed);
            }
            Ok::<(), ()>(())
        };
        (give, Pushes { queue, dropped })
    }

    /// The next one: its kind, and of a message channel and payload. [`PushKind::Other`] when some were dropped.
    pub(super) async fn next(&mut self) -> Option<(PushKind, Vec<u8>, Vec<u8>)> {
        let PushInfo { kind, data } = self.queue.recv().await?;
        if self.dropped.swap(false, Ordering::Relaxed) {
            return Some((PushKind::Other(String::new()), Vec::new(), Vec::new()));
        }
        let mut bytes = data.into_iter().map(|value| Vec::<u8>::from_redis_value(value).unwrap_or_default());
        Some((kind, bytes.next().unwrap_or_default(), bytes.next().unwrap_or_default()))
    }
}

/// A script's keys and arguments.
#[derive(Clone)]
struct Call {
    keys: Vec<String>,
    arguments: Vec<Vec<u8>>,
}

impl Call {
    fn new(keys: &[String]) -> Call {
        Call { keys: keys.to_vec(), arguments: Vec::new() }
    }

    fn arg(&mut self, argument: impl redis::ToRedisArgs) -> &mut Call {
        self.arguments.extend(argument.to_redis_args());
        self
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len());
        for key in &self.keys {
            command.arg(key);
        }
        for argument in &self.arguments {
            command.arg(argument);
        }
        command
    }
}

fn is_unknown_script(error: &redis::RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// What a server says of itself, in the words of `INFO`. They are shown: nothing in them may steer a terminal.
fn facts(info: &str) -> ServerFacts {
    let field = |name: &str| {
        info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(|text| escape(text.trim()))
    };
    let name = if field("valkey_version").is_some() { "Valkey" } else { "Redis" };
    let version = field("valkey_version").or_else(|| field("redis_version")).unwrap_or_default();
    ServerFacts {
        name,
        version,
        eviction: field("maxmemory_policy"),
        max_memory: field("maxmemory").and_then(|text| text.parse().ok()),
    }
}

/// The hash tag keeps all keys of a line in one slot of a Cluster.
fn tag(name: &str) -> String {
    format!("{{syncline:{name}}}")
}

fn keys(line: &QueueKey) -> Vec<String> {
    let tag = tag(&line.key);
    let part = |part| format!("{tag}:{}:{part}", line.namespace);
    ["order", "items", "alive", "waiting", "dirty", "head", "token"].map(part).to_vec()
}

fn channel(line: &QueueKey) -> String {
    format!("{}:{}:changes", tag(&line.key), line.namespace)
}

/// Whether a channel tells of this line.
pub(super) fn is_channel_of(name: &[u8], line: &QueueKey) -> bool {
    channel(line).as_bytes() == name
}

fn prefix(namespace: Namespace) -> String {
    format!("{}:value:", tag(namespace.as_str()))
}

fn value_key(key: &str) -> String {
    if key.len() <= LONGEST_KEY { key.to_owned() } else { format!("{:032x}", xxh3_128(key.as_bytes())) }
}

/// Number of files and their paths, as the script takes them.
fn packed(dirty: &Dirty) -> (String, Vec<u8>) {
    match dirty {
        Dirty::Paths(paths) if paths.len() <= MOST_PATHS => {
            let ended = paths.iter().flat_map(|path| path.as_bytes().iter().copied().chain([0]));
            (paths.len().to_string(), ended.collect())
        }
        _ => ("*".to_owned(), Vec::new()),
    }
}

/// What [`packed`] packed. Paths that aren't any could only be somebody else's, so everything is looked at.
fn unpacked(n: &[u8], paths: &[u8]) -> Dirty {
    if number(n).is_none() {
        return Dirty::Everything;
    }
    let paths = paths.split(|&byte| byte == 0).filter(|path| !path.is_empty());
    paths.map(RelPath::from_bytes).collect::<Option<_>>().map_or(Dirty::Everything, Dirty::Paths)
}

/// A batch as its owner described it. Others may have written it: nothing in it may steer a terminal.
fn info(about: &[u8]) -> Option<BatchInfo> {
    let mut info: BatchInfo = serde_json::from_slice(about).ok()?;
    info.owner.host = escape(&info.owner.host).chars().take(LONGEST_HOST).collect();
    Some(info)
}

/// A line as it is shown, from four fields for each batch.
fn items(fields: &[Vec<u8>]) -> Option<QueueItems> {
    let (batches, rest) = fields.as_chunks();
    // What somebody else has put there isn't shown.
    let items = batches.iter().filter_map(|[about, n, token, left]| {
        Some(Arc::new(QueueItem {
            batch: info(about)?,
            files: number(n).and_then(|n| usize::try_from(n).ok()),
            state: number(token).map(FencingToken).map_or(BatchState::Waiting, BatchState::Syncing),
            expires_in: Duration::from_millis(number(left).unwrap_or(0)),
        }))
    });
    rest.is_empty().then(|| items.collect())
}

fn place(fields: &[Vec<u8>]) -> Option<Place> {
    let text = |field: &Vec<u8>| String::from_utf8(field.clone()).ok();
    Some(match (text(fields.first()?)?.as_str(), &fields[1..]) {
        ("head", [token, about, n, paths]) => {
            let batch = SyncBatch::from_parts(info(about)?, unpacked(n, paths));
            Place::Head(Box::new(batch), FencingToken(number(token)?))
        }
        ("waiting", [position, left]) => {
            Place::Waiting { position: usize::try_from(number(position)?).ok()?, head_expires_in: number(left)? }
        }
        ("joined", [id]) => Place::Joined(text(id)?.parse().ok()?),
        ("gone", []) => Place::Gone,
        ("full", []) => Place::Full,
        _ => return None,
    })
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The batch that a wake-up names as the first.
pub(super) fn head_of(payload: &[u8]) -> Option<BatchId> {
    std::str::from_utf8(payload).ok()?.parse().ok()
}

//! Redis: one connection, one script for all changes of queues, one for values.

mod connection;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod news;
mod queues;
mod seal;
mod values;

use std::collections::HashSet;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::{Cmd, ErrorKind, FromRedisValue, Pipeline, PushInfo, PushKind, ServerErrorKind};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backend::Backend;
use super::notifier::QueueKey;
use super::{BatchId, Namespace, ServerFacts};
use crate::core::escape;
use connection::Connection;
pub(super) use connection::ConnectionConfig;
pub(super) use error::RedisError;
pub(super) use news::NewsError;

/// A key that is written to see whether that can be done.
const PROBE: &str = "{syncline:-probe}:written";

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

/// A Redis, connected or not. The supervisor connects it.
pub(super) struct RedisCache {
    config: ConnectionConfig,
    connection: watch::Sender<Current>,
    /// Batches of this process that may be in a queue there.
    ours: Mutex<HashSet<(QueueKey, BatchId)>>,
    /// Of the last ping, microseconds.
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

    fn error(&self, error: &redis::RedisError) -> RedisError {
        RedisError::new(error, &self.config)
    }

    /// How long it took to answer lately; `None` before it did.
    pub(super) fn latency(&self) -> Option<Duration> {
        let micros = self.latency.load(Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros))
    }

    // The connection.

    /// Connects, and sees that it can be used; gives the sentence when not. The connection isn't used by others yet.
    pub(super) async fn connect(&self, backend: &Backend, timeout: Duration) -> Answer<NewConnection> {
        let (is_cluster, lost) = (self.config.is_cluster(), CancellationToken::new());
        let (notifier, suspected, broken) = (backend.notifier.clone(), backend.suspected.clone(), lost.clone());
        // What the server sends by itself.
        let on_push = move |PushInfo { kind, data }: PushInfo| {
            let mut data = data.into_iter().map(|value| Vec::<u8>::from_redis_value(value).unwrap_or_default());
            match kind {
                PushKind::Message => {
                    let (channel, payload) = (data.next().unwrap_or_default(), data.next().unwrap_or_default());
                    notifier.notify_where(|key| queues::is_channel_of(&channel, key), queues::head_of(&payload));
                }
                // A Cluster's connections come and go; a ping shows whether the queue is there.
                PushKind::Disconnection if is_cluster => suspected.notify_one(),
                PushKind::Disconnection => broken.cancel(),
                _ => {}
            }
            Ok::<(), ()>(())
        };
        let mut connection = self.config.connect(on_push, timeout).await.map_err(|error| self.error(&error))?;
        // It must write, run scripts, and hold what belongs at the keys of the queues in use.
        let probe = QueueKey::new(Namespace::SyncBatches, "-probe");
        for key in std::iter::once(&probe).chain(&backend.notifier.subscribed()) {
            self.list_on(&mut connection, key).await?;
        }
        let mut write = redis::cmd("SET");
        write.arg(PROBE).arg(1).arg("PX").arg(60_000);
        connection.ask::<()>(&write).await.map_err(|error| self.error(&error))?;
        Ok(NewConnection { connection, lost })
    }

    /// From now on all use this connection.
    pub(super) fn set_connection(&self, new: NewConnection) {
        let connection = Some(new.connection);
        self.connection.send_modify(|current| *current = Current { number: current.number + 1, connection });
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
    pub(super) async fn ping(&self, queue: Option<&QueueKey>) -> Answer<()> {
        let started = Instant::now();
        // In a Cluster, of the node that matters.
        let key = queue.map_or_else(|| PROBE.to_owned(), queues::token_key);
        self.ask::<()>(redis::cmd("EXISTS").arg(key)).await?;
        self.latency.store(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
        Ok(())
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Answer<T> {
        self.connection()?.ask(command).await.map_err(|error| self.error(&error))
    }

    /// What the server says of itself.
    pub(super) async fn facts(&self) -> Answer<ServerFacts> {
        let mut info = String::new();
        for section in ["server", "memory"] {
            // Of a Cluster, one node speaks for all.
            let text = match self.ask(redis::cmd("INFO").arg(section)).await? {
                redis::Value::Map(nodes) => {
                    nodes.into_iter().next().and_then(|(_, text)| String::from_redis_value(text).ok())
                }
                value => String::from_redis_value(value).ok(),
            };
            info += &text.unwrap_or_default();
        }
        Ok(facts(&info))
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
        answer.map_err(|error| self.error(&error))
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
        connection.ask_all(&all).await.map_err(|error| self.error(&error))
    }
}

/// A connection that was just made.
pub(super) struct NewConnection {
    connection: Connection,
    /// It is broken.
    pub(super) lost: CancellationToken,
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

/// The hash tag keeps all keys of one name in one slot of a Cluster.
fn tag(name: &str) -> String {
    format!("{{syncline:{name}}}")
}

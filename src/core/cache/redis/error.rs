//! What can go wrong with a Redis, as a sentence that says how to fix it.

use redis::{ErrorKind, ServerErrorKind};

use super::connection::{ConnectionConfig, NO_AUTHORITIES};

/// Redis didn't do what it was asked.
#[derive(Clone, Debug)]
pub(in crate::core::cache) struct RedisError {
    /// What, and how to fix it.
    pub(in crate::core::cache) sentence: String,
    /// The connection is gone; a new one may do.
    pub(in crate::core::cache) dropped: bool,
}

impl RedisError {
    pub(super) fn new(error: &redis::RedisError, config: &ConnectionConfig) -> RedisError {
        let dropped = error.is_connection_dropped() || error.is_unrecoverable_error() && !error.is_timeout();
        RedisError { sentence: sentence(error, config), dropped }
    }

    /// There is no connection.
    pub(in crate::core::cache) fn cut(config: &ConnectionConfig) -> RedisError {
        RedisError {
            sentence: explained(config, "the connection is cut", "see that it runs and can be reached"),
            dropped: true,
        }
    }

    /// It answered what no Redis answers.
    pub(super) fn nonsense(config: &ConnectionConfig) -> RedisError {
        let sentence = explained(
            config,
            "it gives answers that make no sense",
            "see that queue.redis_url names a Redis 6.2 or newer, or a Valkey",
        );
        RedisError { sentence, dropped: false }
    }
}

fn explained(config: &ConnectionConfig, what: &str, fix: &str) -> String {
    format!("can't use Redis at {}: {what}; {fix}; until then this process uses a queue of its own", config.redacted())
}

fn sentence(error: &redis::RedisError, config: &ConnectionConfig) -> String {
    let code = error.code().unwrap_or_default();
    let detail = error.detail().unwrap_or_default();
    // A script's error carries the one of its command inside.
    let says = |word: &str| code == word || detail.contains(word);
    let server = |kind| error.kind() == ErrorKind::Server(kind);
    let (what, fix): (&str, String) = if error.kind() == ErrorKind::AuthenticationFailed
        || says("WRONGPASS")
        || says("NOAUTH")
    {
        ("it refuses the user or the password", "correct both in queue.redis_url".into())
    } else if server(ServerErrorKind::NoPerm) || says("NOPERM") {
        let fix = "allow the user of queue.redis_url what it needs (in redis-cli: ACL SETUSER … '~{syncline:*' '&{syncline:*' +@all -@admin)";
        ("its user may not do what the queue needs", fix.into())
    } else if server(ServerErrorKind::ReadOnly) || says("READONLY") {
        let fix = "name its primary in queue.redis_url, or the Sentinels that know it (redis+sentinel://…)";
        ("it is a read-only replica", fix.into())
    } else if says("OOM") {
        ("its memory is full", "raise its maxmemory, or let it evict values (maxmemory-policy volatile-ttl)".into())
    } else if says("MISCONF") {
        ("it can't save its data and refuses to write", "see its log, and free its disk".into())
    } else if says("WRONGTYPE") {
        (
            "one of the queue's keys holds something else",
            "delete the keys that begin with {syncline: (in redis-cli: DEL)".into(),
        )
    } else if server(ServerErrorKind::BusyLoading) {
        ("it is still loading its data", "wait until it has".into())
    } else if server(ServerErrorKind::ClusterDown)
        || server(ServerErrorKind::MasterDown)
        || error.kind() == ErrorKind::ClusterConnectionNotFound
        || says("CLUSTERDOWN")
    {
        ("a part of the Cluster is down", "bring its nodes back".into())
    } else if error.kind() == ErrorKind::MasterNameNotFoundBySentinel {
        ("its Sentinels don't know the service", "correct the service's name in queue.redis_url".into())
    } else if error.kind() == ErrorKind::RESP3NotSupported {
        ("it is too old", "use Redis 6.2 or newer, or Valkey".into())
    } else if error.kind() == ErrorKind::InvalidClientConfig && error.to_string().contains(NO_AUTHORITIES) {
        let said = crate::core::escape(error.detail().unwrap_or_default());
        return explained(
            config,
            &format!("there are no certificates to trust it by ({said})"),
            "correct queue.redis_ca, or SSL_CERT_FILE where that isn't set",
        );
    } else if error.to_string().contains("certificate") {
        let fix = "use the name that it is for, name the file with its authority's certificate in queue.redis_ca, have \
                    this machine trust it, or end queue.redis_url with #insecure";
        ("its certificate isn't trusted", fix.into())
    } else if error.is_connection_refusal() {
        ("nothing answers there", "start it, or correct queue.redis_url".into())
    } else if error.is_timeout() {
        ("it doesn't answer in time", "see that it can be reached and isn't busy (in redis-cli: SLOWLOG GET)".into())
    } else if error.is_connection_dropped() {
        ("the connection is cut", "see that it runs and can be reached".into())
    } else {
        let said = crate::core::escape(&error.to_string());
        let said: String = said.chars().take(200).collect();
        return explained(config, &format!("it says \"{said}\""), "see its log");
    };
    explained(config, what, &fix)
}

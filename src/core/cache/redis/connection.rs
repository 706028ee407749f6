//! From a URL to a connection: a single server, Sentinels, or a Cluster.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue, IntoConnectionInfo,
    Pipeline, ProtocolVersion, RedisResult, TlsCertificates, TlsMode,
};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::core::settings::redacted_url;

/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_millis(600);

/// Where a Redis is, and how to get in.
pub(in crate::core::cache) struct ConnectionConfig {
    kind: Kind,
    /// The URL without its secrets.
    redacted: String,
    /// The file of those who may vouch for it; the system's, when not set.
    authorities: Option<PathBuf>,
}

enum Kind {
    Server(ConnectionInfo),
    Sentinels { sentinels: Vec<ConnectionAddr>, service: String, server: ConnectionInfo, tls: bool },
    Cluster(Vec<ConnectionInfo>),
}

impl ConnectionConfig {
    /// What a URL names, and the file of those who may vouch for what is behind it.
    ///
    /// # Errors
    /// One sentence that says what the URL must be.
    pub(in crate::core::cache) fn new(url: &str, authorities: Option<&Path>) -> Result<ConnectionConfig, String> {
        let redacted = redacted_url(url);
        let kind = kind(url).map_err(|problem| {
            format!(
                "queue.redis_url ({redacted}) is no URL of a Redis: {problem}; write it as redis://host:6379, rediss://…, \
                 redis+unix:///path, redis+sentinel://host:26379,…/service or redis+cluster://host:6379,…"
            )
        })?;
        Ok(ConnectionConfig { kind, redacted, authorities: authorities.map(Path::to_owned) })
    }

    /// The URL without its secrets.
    pub(in crate::core::cache) fn redacted(&self) -> &str {
        &self.redacted
    }

    /// Whether it is a Cluster's.
    pub(in crate::core::cache) fn is_cluster(&self) -> bool {
        matches!(self.kind, Kind::Cluster(_))
    }

    /// A new connection, which gives what the server sends by itself to `pushes`. It takes `timeout` at most.
    pub(super) async fn connect(
        &self,
        pushes: impl AsyncPushSender + Clone,
        timeout: Duration,
    ) -> RedisResult<Connection> {
        let connecting = async {
            let certificates = self.certificates().await?;
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(timeout))
                .set_response_timeout(Some(ANSWER))
                .set_push_sender(pushes.clone());
            Ok(match &self.kind {
                Kind::Server(server) => {
                    let client = match certificates {
                        Some(certificates) => Client::build_with_tls(server.clone(), certificates)?,
                        None => Client::open(server.clone())?,
                    };
                    Connection::Server(client.get_multiplexed_async_connection_with_config(&config).await?)
                }
                Kind::Sentinels { sentinels, service, server, tls } => {
                    let settings = server.redis_settings();
                    let mut builder =
                        SentinelClientBuilder::new(sentinels.clone(), service, SentinelServerType::Master)?
                            .set_client_to_redis_db(settings.db())
                            .set_client_to_redis_protocol(ProtocolVersion::RESP3);
                    if let Some(user) = settings.username() {
                        builder = builder.set_client_to_redis_username(user);
                    }
                    if let Some(password) = settings.password() {
                        builder = builder.set_client_to_redis_password(password);
                    }
                    if *tls {
                        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
                    }
                    if let Some(certificates) = certificates {
                        builder = builder.set_client_to_redis_certificates(certificates);
                    }
                    Connection::Server(builder.build()?.get_async_connection_with_config(&config).await?)
                }
                Kind::Cluster(nodes) => {
                    let mut builder = ClusterClientBuilder::new(nodes.clone());
                    if let Some(certificates) = certificates {
                        builder = builder.certs(certificates);
                    }
                    let client: ClusterClient = builder
                        .use_protocol(ProtocolVersion::RESP3)
                        .connection_timeout(timeout)
                        .response_timeout(ANSWER)
                        .overall_response_timeout(Some(ANSWER))
                        .retries(2)
                        .push_sender(pushes)
                        .build()?;
                    Connection::Cluster(client.get_async_connection().await?)
                }
            })
        };
        let late = || redis::RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        tokio::time::timeout(timeout, connecting).await.unwrap_or_else(|_| Err(late()))
    }

    /// Those who may vouch for it, when it speaks TLS and a file names them.
    async fn certificates(&self) -> RedisResult<Option<TlsCertificates>> {
        let is_tls = match &self.kind {
            Kind::Server(server) => matches!(server.addr(), ConnectionAddr::TcpTls { .. }),
            Kind::Sentinels { tls, .. } => *tls,
            Kind::Cluster(nodes) => nodes.iter().any(|node| matches!(node.addr(), ConnectionAddr::TcpTls { .. })),
        };
        let Some(path) = self.authorities.clone().filter(|_| is_tls) else { return Ok(None) };
        let shown = path.display().to_string();
        let unreadable = |why: String| redis::RedisError::from((ErrorKind::InvalidClientConfig, NO_AUTHORITIES, why));
        let read = tokio::task::spawn_blocking(move || usable_certificates(&path)).await;
        match read.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(found) if found.is_empty() => Err(unreadable(format!("{shown} has none"))),
            Ok(found) => Ok(Some(TlsCertificates { client_tls: None, root_cert: Some(found) })),
            Err(error) => Err(unreadable(format!("{shown}: {error}"))),
        }
    }
}

/// What an error says that is about [`ConnectionConfig::authorities`].
pub(super) const NO_AUTHORITIES: &str = "no certificates";

/// The certificates in the file at `path` that can vouch for a server, one after the other. Bundles hold others, too,
/// which are no reason to trust none.
fn usable_certificates(path: &Path) -> io::Result<Vec<u8>> {
    /// Longer files aren't certificates, bytes.
    const LONGEST: u64 = 16 << 20;
    const BEGIN: &[u8] = b"-----BEGIN ";
    let mut text = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut text)?;
    let starts: Vec<_> = memchr::memmem::find_iter(&text, BEGIN).chain([text.len()]).collect();
    let parts = starts.windows(2).filter_map(|between| text.get(between[0]..between[1]));
    let is_usable = |part: &&[u8]| {
        CertificateDer::from_pem_slice(part).is_ok_and(|certificate| RootCertStore::empty().add(certificate).is_ok())
    };
    Ok(parts.filter(is_usable).flatten().copied().collect())
}

fn kind(url: &str) -> Result<Kind, String> {
    let (scheme, rest) = url.split_once("://").ok_or("it has no scheme")?;
    let tls = scheme.starts_with("rediss");
    let plain = if tls { "rediss" } else { "redis" };
    match scheme {
        "redis" | "rediss" | "unix" | "redis+unix" => Ok(Kind::Server(info(url)?)),
        "redis+sentinel" | "rediss+sentinel" => {
            let (user, rest) = user_and_rest(rest);
            let (hosts, path) = rest.split_once('/').ok_or("it names no service after the Sentinels")?;
            let (path, query) = path.split_once('?').map_or((path, String::new()), |(p, q)| (p, format!("?{q}")));
            let (service, database) = path.split_once('/').unwrap_or((path, "0"));
            if service.is_empty() {
                return Err("it names no service after the Sentinels".to_owned());
            }
            let sentinels = hosts.split(',').map(|host| {
                let with_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
                let port = if with_port { "" } else { ":26379" };
                info(&format!("redis://{host}{port}")).map(|info| info.addr().clone())
            });
            let server = info(&format!("{plain}://{user}host/{database}{query}"))?;
            Ok(Kind::Sentinels {
                sentinels: sentinels.collect::<Result<_, _>>()?,
                service: service.to_owned(),
                server,
                tls,
            })
        }
        "redis+cluster" | "rediss+cluster" => {
            let (user, rest) = user_and_rest(rest);
            let (hosts, end) = match rest.find(['/', '?', '#']) {
                Some(at) => rest.split_at(at),
                None => (rest, ""),
            };
            let nodes = hosts.split(',').map(|host| info(&format!("{plain}://{user}{host}{end}")));
            Ok(Kind::Cluster(nodes.collect::<Result<_, _>>()?))
        }
        _ => Err("its scheme isn't one of Redis".to_owned()),
    }
}

/// `user:password@` and what comes after it.
fn user_and_rest(rest: &str) -> (&str, &str) {
    rest.rfind('@').map_or(("", rest), |at| rest.split_at(at + 1))
}

fn info(url: &str) -> Result<ConnectionInfo, String> {
    // Its errors don't repeat the URL.
    let info = url.into_connection_info().map_err(|error| match error.kind() {
        ErrorKind::InvalidClientConfig => error.to_string(),
        _ => "it can't be read".to_owned(),
    })?;
    // The protocol in which wake-ups come over the same connection as answers.
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Ok(info.set_redis_settings(settings))
}

/// A connection. Cheap to clone; clones send over the same one.
#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    pub(super) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Connection::Server(connection) => command.query_async(connection).await,
            Connection::Cluster(connection) => command.query_async(connection).await,
        }
    }

    pub(super) async fn ask_all(&mut self, commands: &Pipeline) -> RedisResult<()> {
        match self {
            Connection::Server(connection) => commands.query_async(connection).await,
            Connection::Cluster(connection) => commands.query_async(connection).await,
        }
    }

    pub(super) async fn subscribe(&mut self, channel: &str) -> RedisResult<()> {
        match self {
            Connection::Server(connection) => connection.subscribe(channel).await,
            Connection::Cluster(connection) => connection.subscribe(channel).await,
        }
    }

    pub(super) async fn unsubscribe(&mut self, channel: &str) -> RedisResult<()> {
        match self {
            Connection::Server(connection) => connection.unsubscribe(channel).await,
            Connection::Cluster(connection) => connection.unsubscribe(channel).await,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_url_is_read() {
        for url in ["redis://h", "rediss://u:p@h:1/2", "redis+unix:///run/r.sock?db=1", "unix:///run/r.sock"] {
            assert!(matches!(ConnectionConfig::new(url, None).unwrap().kind, Kind::Server(_)), "{url}");
        }
        let Kind::Sentinels { sentinels, service, server, tls } =
            ConnectionConfig::new("rediss+sentinel://u:p%40@h1,h2:7/main/3", None).unwrap().kind
        else {
            panic!("Sentinels")
        };
        assert_eq!(sentinels.iter().map(ToString::to_string).collect::<Vec<_>>(), ["h1:26379", "h2:7"]);
        let settings = server.redis_settings();
        assert_eq!((service.as_str(), settings.db(), tls), ("main", 3, true));
        assert_eq!((settings.username(), settings.password()), (Some("u"), Some("p@")));
        let Kind::Cluster(nodes) = ConnectionConfig::new("redis+cluster://:p@h1:1,h2:2", None).unwrap().kind else {
            panic!("a Cluster")
        };
        assert_eq!(nodes.iter().map(|n| n.addr().to_string()).collect::<Vec<_>>(), ["h1:1", "h2:2"]);
        assert_eq!(nodes[1].redis_settings().password(), Some("p"));
    }

    #[test]
    fn what_is_no_url_is_refused_without_its_secrets() {
        for url in ["redis+sentinel://:s3cret@h", "http://:s3cret@h", "redis+cluster://:s3cret@h:x,y", "s3cret"] {
            let problem = ConnectionConfig::new(url, None).err().unwrap();
            assert!(problem.contains("write it as") && !problem.contains("s3cret"), "{problem}");
        }
    }
}

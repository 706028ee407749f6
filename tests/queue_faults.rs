//! What a codebase does when its Redis fails: it goes on with a queue of its own within a second, says so, and returns.
//!
//! Two owners, each with an index of its own, work on one tree through one Redis, as two hosts on a shared folder do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lsp_client;
mod redis_server;
mod support;

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lsp_client::Client;
use redis_server::proxy::{Link, Proxy};
use redis_server::{RedisServer, command_at, free_port, queue_settings, text_of};
use serde_json::{Value, json};
use support::{DEADLINE, Fixture, until_state};
use syncline::core::cache::{BackendKind, CacheManager, Namespace, Placement, Renewal};
use syncline::core::settings::Settings;
use syncline::core::{Owner, SyncBatch};
use syncline::workspace::{CodebaseState, Engine, Health, Workspace};

const QUEUES: Namespace = Namespace::SyncBatches;
/// Short, so that those who died are soon done with.
const LEASE: Duration = Duration::from_secs(1);

type Seen = Vec<(BackendKind, Health)>;

/// Two owners on one tree.
struct Team {
    fixture: Fixture,
    engines: Vec<Engine>,
    owners: Vec<Workspace>,
    /// All states that each owner published, as far as where its queue is.
    seen: Vec<Arc<Mutex<Seen>>>,
    written: usize,
}

impl Team {
    /// Each owner reaches Redis by its own URL.
    fn new(urls: [&str; 2]) -> Team {
        let fixture = Fixture::new(&[("first.txt", "needle 0\n")]);
        let mut team = Team { fixture, engines: Vec::new(), owners: Vec::new(), seen: Vec::new(), written: 0 };
        for (host, url) in urls.iter().enumerate() {
            let settings = settings(&team.fixture, url, &format!("host-{host}"));
            let engine = Engine::new(&settings);
            let owner = engine.open(&team.fixture.root, &settings).unwrap();
            let seen = Arc::new(Mutex::new(Seen::new()));
            let (mut states, note) = (owner.state(), seen.clone());
            tokio::spawn(async move {
                while states.changed().await.is_ok() {
                    let state = states.borrow_and_update().clone();
                    let now = (state.backend, state.health.clone());
                    let mut seen = note.lock().unwrap();
                    if seen.last() != Some(&now) {
                        seen.push(now);
                    }
                }
            });
            team.seen.push(seen);
            team.engines.push(engine);
            team.owners.push(owner);
        }
        team
    }

    /// Two owners that have worked through one Redis.
    async fn on(urls: [&str; 2]) -> Team {
        let mut team = Team::new(urls);
        team.shared().await;
        team.work().await;
        team
    }

    /// Changes the tree, and waits until each owner's index is equal to it.
    async fn work(&mut self) {
        for _ in 0..3 {
            self.written += 1;
            self.fixture.write(&format!("file-{}.txt", self.written % 5), format!("needle {}\n", self.written));
        }
        for owner in &self.owners {
            // Asked freshly, so that the change has been seen.
            let found = support::search(owner, "needle").await;
            assert_eq!(found, support::ripgrep(&self.fixture.root, "needle"));
            let state = until_state(owner, |state| state.index.fresh).await;
            assert_eq!(state.index.pending, 0, "the index is equal to the tree");
        }
    }

    async fn all(&self, wanted: impl Fn(&CodebaseState) -> bool) {
        for owner in &self.owners {
            until_state(owner, |state| wanted(state)).await;
        }
    }

    async fn shared(&self) {
        self.all(|state| state.backend == BackendKind::Redis && state.health == Health::Ok).await;
    }

    /// Each owner has a queue of its own, and says why.
    async fn apart(&self, sentence: &str) {
        self.all(|state| {
            let seen =
                matches!(&state.health, Health::Degraded(seen) if seen.contains(sentence) && seen.contains("; "));
            state.backend == BackendKind::Local && seen
        })
        .await;
    }

    /// How often an owner came back to Redis.
    fn returns(&self, owner: usize) -> usize {
        let seen = self.seen[owner].lock().unwrap();
        let backends: Vec<_> = seen.iter().map(|(backend, _)| *backend).collect();
        backends.windows(2).filter(|pair| *pair == [BackendKind::Local, BackendKind::Redis]).count()
    }

    /// In the end all work through Redis again.
    async fn end(mut self) {
        self.shared().await;
        self.work().await;
        self.close().await;
    }

    async fn close(self) {
        for engine in &self.engines {
            let start = Instant::now();
            engine.shutdown().await;
            assert!(start.elapsed() < DEADLINE);
        }
    }
}

fn settings(fixture: &Fixture, url: &str, host: &str) -> Settings {
    let mut settings = fixture.settings();
    settings.index.dir = Some(fixture.index_dir.join(host));
    settings.queue = queue_settings(url, LEASE);
    settings.queue.codebase = Some("team".to_owned());
    settings
}

/// A Redis breaks, and is repaired: the owners work before, meanwhile and after.
async fn breaks(
    mut server: RedisServer,
    sentence: &str,
    fault: impl FnOnce(&mut RedisServer),
    repair: impl FnOnce(&mut RedisServer),
) {
    let mut team = Team::on([&server.url(); 2]).await;
    fault(&mut server);
    // Some faults show only when there is something to do.
    team.work().await;
    team.apart(sentence).await;
    team.work().await;
    repair(&mut server);
    team.shared().await;
    team.work().await;
    assert_eq!([team.returns(0), team.returns(1)], [1, 1], "{:#?}", team.seen);
    // A batch leaves a moment after it has committed.
    let cache = server.cache(LEASE);
    let emptied = async {
        while !cache.get_queue(QUEUES, "team").await.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, emptied).await.expect("the queue is empty");
    team.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed_and_comes_back_empty() {
    let kill = |server: &mut RedisServer| server.kill();
    breaks(RedisServer::start(), "start it", kill, |server| assert!(server.spawn())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed_and_comes_back_with_its_data() {
    // What was handed to the system outlives the process; waiting for the disk would only slow all answers down.
    let server = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "no"]);
    breaks(server, "start it", |server| server.kill(), |server| assert!(server.spawn())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_runs_out_of_memory() {
    let set = |server: &mut RedisServer, bytes| drop(server.command(&["CONFIG", "SET", "maxmemory", bytes]).unwrap());
    breaks(RedisServer::start(), "raise its maxmemory", |s| set(s, "1"), |s| set(s, "0")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_becomes_a_read_only_replica() {
    let primary = RedisServer::start();
    let port = primary.port.to_string();
    let follow = |server: &mut RedisServer| drop(server.command(&["REPLICAOF", "127.0.0.1", &port]).unwrap());
    let lead = |server: &mut RedisServer| drop(server.command(&["REPLICAOF", "NO", "ONE"]).unwrap());
    breaks(RedisServer::start(), "name its primary", follow, lead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_asks_for_another_password() {
    let lock = |server: &mut RedisServer| {
        server.command(&["CONFIG", "SET", "requirepass", "other"]).unwrap();
        // Those that are in stay in, so they are thrown out. They listen, and count as such.
        server.command_as("other", &["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap();
    };
    let unlock = |server: &mut RedisServer| {
        drop(server.command_as("other", &["CONFIG", "SET", "requirepass", ""]).unwrap());
    };
    breaks(RedisServer::start(), "correct both in queue.redis_url", lock, unlock).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_the_queue_holds_something_else() {
    const KEY: &str = "{syncline:team}:v2:sync_batches:order";
    let spoil = |server: &mut RedisServer| drop(server.command(&["SET", KEY, "nonsense"]).unwrap());
    let clean = |server: &mut RedisServer| drop(server.command(&["DEL", KEY]).unwrap());
    breaks(RedisServer::start(), "delete the keys", spoil, clean).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_stands_still_for_a_while() {
    let server = RedisServer::start();
    let mut team = Team::on([&server.url(); 2]).await;
    let port = server.port;
    let sleeping = tokio::task::spawn_blocking(move || command_at("", port, &["DEBUG", "SLEEP", "3"]));
    team.apart("it doesn't answer in time").await;
    team.work().await;
    sleeping.await.unwrap().unwrap();
    team.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_data_is_lost() {
    let server = RedisServer::start();
    let mut team = Team::on([&server.url(); 2]).await;
    for _ in 0..20 {
        team.work().await;
        server.command(&["FLUSHALL"]).unwrap();
        team.work().await;
    }
    team.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_redis_at_the_start() {
    let mut server = RedisServer::start();
    server.kill();
    let url = server.url();
    let mut team = Team::new([&url, &url]);
    team.apart("nothing answers there; start it").await;
    team.work().await;
    assert!(server.spawn());
    team.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_owners_link_is_cut_and_another_dies_unnoticed() {
    let server = RedisServer::start();
    let proxies = [Proxy::to(server.port).await, Proxy::to(server.port).await];
    let mut team = Team::on([&proxies[0].url(), &proxies[1].url()]).await;
    for link in [Link::Cut, Link::Dead] {
        proxies[1].set(link);
        until_state(&team.owners[1], |state| state.backend == BackendKind::Local).await;
        team.work().await;
        assert_eq!(team.owners[0].state().borrow().backend, BackendKind::Redis, "the other one isn't concerned");
        proxies[1].set(Link::Whole);
        team.shared().await;
        team.work().await;
    }
    assert_eq!(team.returns(0), 0);
    assert_eq!(team.returns(1), 2);
    team.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_in_this_process_takes_over_within_a_second() {
    let server = RedisServer::start();
    for link in [Link::Cut, Link::Dead] {
        let proxy = Proxy::to(server.port).await;
        let cache = CacheManager::open(&queue_settings(&proxy.url(), LEASE));
        assert_eq!(cache.decided().await.backend(), BackendKind::Redis);
        proxy.set(link);
        let batch = SyncBatch::new("/".into(), Owner::new());
        let asking = cache.enqueue_item(QUEUES, "c", batch.clone(), None);
        // The bound is the promise; machines that are busy get some more.
        let put = tokio::time::timeout(Duration::from_secs(5), asking).await.expect("soon").unwrap();
        assert!(matches!(put, Placement::Head(_)), "{put:?}");
        assert_eq!(cache.backend(), BackendKind::Local);
        let there = server.cache(LEASE);
        assert!(there.get_queue(QUEUES, "c").await.len() <= 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_in_this_process_ends_before_redis_is_joined() {
    let mut server = RedisServer::start();
    server.kill();
    let cache = server.cache(Duration::from_secs(60));
    let batch = SyncBatch::new("/".into(), Owner::new());
    let Placement::Head(lease) = cache.enqueue_item(QUEUES, "c", batch.clone(), None).await.unwrap() else {
        panic!("at the head")
    };
    let next = SyncBatch::new("/".into(), Owner::new());
    cache.enqueue_item(QUEUES, "c", next.clone(), None).await.unwrap();
    assert!(server.spawn());
    // Another host works through Redis meanwhile; this one's lease is its own queue's, and stays good.
    for step in 0..30 {
        match step {
            // Long enough for Redis to have been seen; it goes once more before it could be joined.
            12 => server.kill(),
            16 => assert!(server.spawn()),
            _ => {}
        }
        assert_ne!(cache.renew_lease(QUEUES, "c", batch.id, &lease).await, Renewal::Lost);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(cache.backend(), BackendKind::Local);
    cache.remove_item(QUEUES, "c", batch.id).await;
    let mut state = cache.failover_state();
    let joined = state.wait_for(|state| state.backend() == BackendKind::Redis);
    tokio::time::timeout(DEADLINE, joined).await.expect("in time").unwrap();
    assert_eq!(cache.renew_lease(QUEUES, "c", batch.id, &lease).await, Renewal::Lost, "of an earlier epoch");
    assert_eq!(cache.claim_head(QUEUES, "c", next.id, None).await, Placement::Gone);
}

/// An editor's language server, as a process.
struct Window {
    child: tokio::process::Child,
    client: Client,
    seen: Vec<Value>,
}

impl Window {
    async fn open(fixture: &Fixture, url: &str, host: &str) -> Window {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_syncline"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"SYNCLINE_")) {
            command.env_remove(name);
        }
        let index: PathBuf = fixture.index_dir.join(host);
        command.env("XDG_CONFIG_HOME", &index).env("SYNCLINE_INDEX_DIR", &index);
        command.env("SYNCLINE_QUEUE_REDIS_URL", url).env("SYNCLINE_QUEUE_CODEBASE", "team");
        command.env("SYNCLINE_QUEUE_LEASE_MS", LEASE.as_millis().to_string());
        command.args(["lsp", "--stdio", "--standalone"]).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut client = Client::new(child.stdout.take().unwrap(), child.stdin.take().unwrap());
        client.initialize(&[&fixture.root], json!({}), Value::Null).await;
        Window { child, client, seen: Vec::new() }
    }

    /// Waits until the editor is sent a state as wanted.
    async fn until(&mut self, wanted: impl Fn(&Value) -> bool) {
        let seen = &mut self.seen;
        self.client.state_until("a state as wanted", |state| seen.push(state.clone()), wanted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editor_is_notified() {
    let mut server = RedisServer::start();
    let fixture = Fixture::new(&[("a.txt", "needle\n")]);
    let mut window = Window::open(&fixture, &server.url(), "host").await;
    let shared =
        |state: &Value| state["backend"] == "redis" && state["health"] == "ok" && state["index"]["fresh"] == true;
    window.until(shared).await;
    server.kill();
    window
        .until(|state| {
            let message = state["message"].as_str().unwrap_or_default();
            state["backend"] == "local" && state["health"] == "degraded" && message.contains("start it")
        })
        .await;
    fixture.write("b.txt", "needle too\n");
    window.until(|state| state["backend"] == "local" && state["index"]["files"] == 2).await;
    assert!(server.spawn());
    window.until(shared).await;
    window.client.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_are_killed_block_no_others() {
    let server = RedisServer::start();
    let url = server.url();
    let mut team = Team::on([&url; 2]).await;
    for round in 0..3 {
        let mut window = Window::open(&team.fixture, &url, "host-killed").await;
        window.until(|state| state["backend"] == "redis" && state["index"]["fresh"] == true).await;
        // It has batches in the queue as often as not when it dies, at the head or behind.
        for file in 0..20 {
            team.fixture.write(&format!("dir/{round}-{file}.txt"), format!("needle {file}\n"));
        }
        window.child.start_kill().unwrap();
        window.child.wait().await.unwrap();
        window.client.leave();
        team.work().await;
    }
    // One that certainly has: it never asks again.
    let dead = server.cache(LEASE);
    let batch = SyncBatch::new("/".into(), Owner::new());
    dead.enqueue_item(QUEUES, "team", batch, None).await.unwrap();
    team.work().await;
    let mut state = team.owners[0].cache().failover_state();
    assert_eq!(state.borrow_and_update().backend(), BackendKind::Redis);
    team.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn valkey_will_do() {
    let program = std::env::var_os("SYNCLINE_TEST_VALKEY");
    let program = program.expect("SYNCLINE_TEST_VALKEY names valkey-server; run the tests by `cargo xtask test`");
    let server = RedisServer::start_program(program.as_ref(), &[]);
    breaks(server, "start it", |server| server.kill(), |server| assert!(server.spawn())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_with_few_rights_and_unix_sockets_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("r.sock");
    let server = RedisServer::start_with(&["--unixsocket", socket.to_str().unwrap()]);
    let rights =
        ["ACL", "SETUSER", "me", "on", ">s3cret", "~{syncline:*", "&{syncline:*", "+@all", "-@admin", "-@dangerous"];
    server.command(&rights).unwrap();
    let tcp = format!("redis://me:s3cret@127.0.0.1:{}", server.port);
    let unix = format!("redis+unix://{}?user=me&pass=s3cret", socket.display());
    let mut team = Team::on([&tcp, &unix]).await;
    server.command(&["ACL", "SETUSER", "me", "-evalsha"]).unwrap();
    team.work().await;
    team.apart("allow the user of queue.redis_url what it needs").await;
    for seen in &team.seen {
        assert!(!format!("{seen:?}").contains("s3cret"));
    }
    server.command(&["ACL", "SETUSER", "me", "+evalsha"]).unwrap();
    team.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_will_do_and_its_certificate_counts() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (cert, key, port) = (cert.to_str().unwrap(), key.to_str().unwrap(), free_port().to_string());
    let files = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert];
    let _server = RedisServer::start_with(&[&["--tls-port", &port, "--tls-auth-clients", "no"], &files[..]].concat());
    let url = format!("rediss://localhost:{port}");
    let mut team = Team::new([&format!("{url}/#insecure"), &url]);
    until_state(&team.owners[0], |state| state.backend == BackendKind::Redis && state.health == Health::Ok).await;
    until_state(&team.owners[1], |state| {
        matches!(&state.health, Health::Degraded(seen) if seen.contains("its certificate isn't trusted; use the name"))
    })
    .await;
    team.work().await;
    team.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_were_damaged_are_replaced() {
    let server = RedisServer::start();
    let (cache, metadata) = (server.cache(LEASE), Namespace::Metadata);
    const KEY: &str = "{syncline:metadata}:value:k";
    cache.set(metadata, "k", vec![7; 1_000]).await;
    let redis::Value::BulkString(sealed) = server.command(&["GET", KEY]).unwrap() else { panic!("a value") };
    assert!(sealed.len() < 200, "compressed: {}", sealed.len());
    let mut flipped = sealed.clone();
    flipped[10] ^= 1;
    for poison in [&b""[..], b"nonsense", &sealed[..sealed.len() / 2], &flipped] {
        server.command(&[&b"SET"[..], KEY.as_bytes(), poison]).unwrap();
        assert_eq!(cache.get(metadata, "k").await, None);
        cache.set(metadata, "k", vec![8; 10]).await;
        assert_eq!(cache.get(metadata, "k").await.unwrap().to_vec(), [8; 10]);
    }
    assert_eq!(cache.backend(), BackendKind::Redis);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_take_no_more_than_their_share() {
    let server = RedisServer::start();
    let (cache, namespace) = (server.cache(LEASE), Namespace::ProviderResponses);
    let mut random = support::Random::new(3);
    for number in 0..40 {
        // A mebibyte that can't be compressed.
        let value: Vec<u8> = (0..1 << 20).map(|_| random.below(256) as u8).collect();
        cache.set(namespace, &format!("key-{number}"), value).await;
    }
    let stats = cache.get_stats().await.into_iter().find(|(n, _)| *n == namespace).unwrap().1;
    assert!(stats.bytes <= namespace.capacity() && stats.entries < 20, "{stats:?}");
    assert!(cache.get(namespace, "key-39").await.is_some());
    assert!(cache.get(namespace, "key-0").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_move_the_queue_to_another_server() {
    let mut primary = RedisServer::start_with(&["--repl-diskless-sync-delay", "0"]);
    let port = primary.port.to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"]);
    let info = |port: u16, section: &str| text_of(command_at("", port, &["INFO", section]).unwrap());
    support::wait_for("the replica follows", || info(replica.port, "replication").contains("master_link_status:up"));
    let sentinel_port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sentinel.conf");
    let text = format!(
        "port {sentinel_port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {port} 1\n\
         sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n",
        folder.path().display()
    );
    std::fs::write(&file, text).unwrap();
    let mut command = std::process::Command::new(redis_server::program());
    command.arg(&file).arg("--sentinel").stdin(Stdio::null()).stdout(Stdio::null());
    let mut sentinel = Ended(command.spawn().unwrap());
    support::wait_for("the Sentinel knows the replica", || {
        std::net::TcpStream::connect(("127.0.0.1", sentinel_port)).is_ok()
            && info(sentinel_port, "sentinel").contains("slaves=1")
    });
    let url = format!("redis+sentinel://127.0.0.1:{sentinel_port}/main");
    let mut team = Team::on([&url; 2]).await;
    primary.kill();
    team.apart("until then").await;
    team.work().await;
    team.shared().await;
    team.work().await;
    assert!(info(replica.port, "replication").contains("role:master"));
    team.close().await;
    sentinel.0.kill().unwrap();
}

/// A process that ends with this.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_a_cluster_is_lost() {
    let arguments =
        ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-require-full-coverage", "no"];
    let mut nodes: Vec<_> = (0..3).map(|_| RedisServer::start_with(&arguments)).collect();
    for (at, node) in nodes.iter().enumerate() {
        let (first, last) = (at * 16_384 / 3, (at + 1) * 16_384 / 3 - 1);
        node.command(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]).unwrap();
        node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(at + 1).to_string()]).unwrap();
    }
    for node in &nodes[1..] {
        node.command(&["CLUSTER", "MEET", "127.0.0.1", &nodes[0].port.to_string()]).unwrap();
    }
    support::wait_for("the Cluster is up", || {
        nodes.iter().all(|node| {
            let info = text_of(node.command(&["CLUSTER", "INFO"]).unwrap());
            ["cluster_state:ok", "cluster_known_nodes:3", "cluster_slots_ok:16384"]
                .iter()
                .all(|fact| info.contains(fact))
        })
    });
    let urls: Vec<_> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    let url = format!("redis+cluster://{}", urls.join(","));
    let mut team = Team::on([&url; 2]).await;
    let slot = match nodes[0].command(&["CLUSTER", "KEYSLOT", "{syncline:team}:v2:sync_batches:order"]).unwrap() {
        redis::Value::Int(slot) => usize::try_from(slot).unwrap(),
        other => panic!("{other:?}"),
    };
    let of_queue = (0..3).find(|at| slot < (at + 1) * 16_384 / 3).unwrap();
    nodes[of_queue].kill();
    team.apart("until then").await;
    team.work().await;
    assert!(nodes[of_queue].spawn());
    team.shared().await;
    team.work().await;
    // A node that the queue isn't on doesn't matter.
    nodes[(of_queue + 1) % 3].kill();
    team.work().await;
    team.close().await;
}

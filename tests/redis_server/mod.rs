//! Real Redis servers for tests: each on a free loopback port, with a folder of its own, ended with the test.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod proxy;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use syncline::core::cache::CacheManager;
use syncline::core::settings::{QueueBackend, QueueSettings};

/// Longest that a server may take to start.
const DEADLINE: Duration = Duration::from_secs(20);

/// The `redis-server` that tests start.
pub fn program() -> PathBuf {
    let program = std::env::var_os("SYNCLINE_TEST_REDIS");
    program.expect("SYNCLINE_TEST_REDIS names redis-server; run the tests by `cargo xtask test`").into()
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A running server.
pub struct RedisServer {
    child: Option<Child>,
    folder: tempfile::TempDir,
    program: PathBuf,
    arguments: Vec<String>,
    pub port: u16,
}

impl RedisServer {
    pub fn start() -> RedisServer {
        RedisServer::start_with(&[])
    }

    /// A server with more arguments, as its program takes them.
    pub fn start_with(arguments: &[&str]) -> RedisServer {
        RedisServer::start_program(&program(), arguments)
    }

    /// Another program that is a Redis too.
    pub fn start_program(program: &Path, arguments: &[&str]) -> RedisServer {
        let folder = tempfile::tempdir().unwrap();
        let mut server = RedisServer {
            child: None,
            folder,
            program: program.to_owned(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            port: free_port(),
        };
        // Another process may have taken the port in between.
        for _ in 0..5 {
            if server.spawn() {
                return server;
            }
            server.port = free_port();
        }
        panic!("{} doesn't start", program.display());
    }

    /// Starts it at its port, with whatever its folder holds.
    pub fn spawn(&mut self) -> bool {
        let port = self.port.to_string();
        let mut command = Command::new(&self.program);
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.args(["--enable-debug-command", "yes"]).arg("--dir").arg(self.folder.path()).args(&self.arguments);
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut child = command.spawn().expect("redis-server starts");
        let start = Instant::now();
        while start.elapsed() < DEADLINE {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                self.child = Some(child);
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().ok();
        child.wait().ok();
        panic!("redis-server doesn't listen: {}", self.log());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The settings that name it.
    pub fn settings(&self, lease: Duration) -> QueueSettings {
        queue_settings(&self.url(), lease)
    }

    /// A cache on it, with a connection of its own.
    pub fn cache(&self, lease: Duration) -> CacheManager {
        CacheManager::open(&self.settings(lease))
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// One command, sent by the test itself.
    pub fn command<W: AsRef<[u8]>>(&self, words: &[W]) -> redis::RedisResult<redis::Value> {
        command_at("", self.port, words)
    }

    /// The same, with a password.
    pub fn command_as<W: AsRef<[u8]>>(&self, password: &str, words: &[W]) -> redis::RedisResult<redis::Value> {
        command_at(password, self.port, words)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Short, so that a test sees several.
pub const SLICE: Duration = Duration::from_millis(50);

/// The settings that name a URL.
pub fn queue_settings(url: &str, lease: Duration) -> QueueSettings {
    let (backend, redis_url) = (QueueBackend::Auto, Some(url.to_owned()));
    QueueSettings { backend, redis_url, lease, slice: SLICE, ..QueueSettings::default() }
}

/// One command to the server at a port.
pub fn command_at<W: AsRef<[u8]>>(password: &str, port: u16, words: &[W]) -> redis::RedisResult<redis::Value> {
    let client = redis::Client::open(format!("redis://:{password}@127.0.0.1:{port}"))?;
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(word.as_ref());
    }
    command.query(&mut client.get_connection_with_timeout(DEADLINE)?)
}

/// An answer that is a text.
pub fn text_of(value: redis::Value) -> String {
    redis::from_redis_value(value).unwrap()
}

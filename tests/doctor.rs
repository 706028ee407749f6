//! `syncline doctor`, and what `queue` and `status` tell of a line in Redis.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod redis_server;
mod support;

use std::process::{Command, Output};
use std::time::Duration;

use redis_server::RedisServer;
use serde_json::Value;
use support::Fixture;
use syncline::core::cache::{CacheManager, Enqueued, Namespace};
use syncline::core::{Dirty, Owner, SyncBatch};

fn syncline(fixture: &Fixture, url: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"SYNCLINE_")) {
        command.env_remove(name);
    }
    command.env("XDG_CONFIG_HOME", &fixture.index_dir).env("SYNCLINE_INDEX_DIR", &fixture.index_dir);
    command.env("SYNCLINE_QUEUE_CODEBASE", "looked-at");
    if let Some(url) = url {
        command.env("SYNCLINE_QUEUE_REDIS_URL", url);
    }
    command.args(arguments).arg(&fixture.root).output().unwrap()
}

/// The state and message of each check, and the exit code.
fn doctor(fixture: &Fixture, url: Option<&str>) -> (Vec<(String, String, String)>, Option<i32>) {
    let output = syncline(fixture, url, &["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |check: &Value, name: &str| check[name].as_str().unwrap().to_owned();
    let checks = report["checks"].as_array().unwrap();
    let checks = checks.iter().map(|check| (text(check, "name"), text(check, "state"), text(check, "message")));
    (checks.collect(), output.status.code())
}

fn check(checks: &[(String, String, String)], name: &str) -> (String, String) {
    let (_, state, message) = checks.iter().find(|(n, ..)| n == name).unwrap_or_else(|| panic!("{name}: {checks:?}"));
    (state.clone(), message.clone())
}

#[test]
fn the_doctor_says_what_is_amiss_and_how_to_mend_it() {
    let fixture = Fixture::new(&[("a.txt", "needle\n")]);
    let (checks, code) = doctor(&fixture, None);
    assert_eq!(code, Some(0), "{checks:?}");
    assert_eq!(check(&checks, "redis").0, "ok");
    assert_eq!(check(&checks, "settings").0, "ok");
    assert_eq!(check(&checks, "index").0, "ok");

    let mut server = RedisServer::start();
    let (checks, code) = doctor(&fixture, Some(&server.url()));
    let (state, message) = check(&checks, "redis");
    assert_eq!((state.as_str(), code), ("ok", Some(0)), "{message}");
    assert!(message.starts_with("Redis ") && message.contains(&server.url()), "{message}");

    for (name, value) in [("maxmemory", "100mb"), ("maxmemory-policy", "allkeys-lru")] {
        server.command(&["CONFIG", "SET", name, value]).unwrap();
    }
    let (checks, code) = doctor(&fixture, Some(&server.url()));
    let (state, message) = check(&checks, "redis");
    assert_eq!((state.as_str(), code), ("warning", Some(0)), "{message}");
    assert!(message.contains("volatile-ttl"), "{message}");

    server.kill();
    let url = format!("redis://me:s3cret@127.0.0.1:{}", server.port);
    let (checks, code) = doctor(&fixture, Some(&url));
    let (state, message) = check(&checks, "redis");
    assert_eq!((state.as_str(), code), ("error", Some(1)), "{message}");
    assert!(message.contains("start it, or correct queue.redis_url") && !message.contains("s3cret"), "{message}");

    let (checks, code) = doctor(&fixture, Some("http://localhost"));
    assert_eq!(check(&checks, "settings").0, "warning");
    assert_eq!(code, Some(0), "without a URL it works: {checks:?}");
}

#[test]
fn queue_and_status_show_the_line_of_all_hosts_and_why_a_batch_waits() {
    let fixture = Fixture::new(&[("a.txt", "needle\n")]);
    let server = RedisServer::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let token = runtime.block_on(async {
        let cache: CacheManager = server.cache(Duration::from_secs(60));
        let mut token = None;
        for host in ["one", "two\u{1b}[31m"] {
            let owner = Owner { host: host.to_owned(), pid: 4711, ..Owner::new() };
            let batch = SyncBatch::new("/elsewhere".into(), owner, Dirty::Everything);
            match cache.enqueue_item(Namespace::SyncBatches, "looked-at", batch).await.unwrap() {
                Enqueued::AtHead { lease, .. } => token = Some(lease.fence.token.0),
                Enqueued::InLine { position } => assert_eq!(position, 1),
                other => panic!("{other:?}"),
            }
        }
        token.unwrap()
    });
    let url = server.url();
    let shown = String::from_utf8(syncline(&fixture, Some(&url), &["queue"]).stdout).unwrap();
    assert!(shown.contains(&url) && shown.contains("answers in"), "{shown}");
    assert!(
        shown.contains("pid 4711 on one") && shown.contains(&format!("turn {token}, its lease ends in")),
        "{shown}"
    );
    assert!(shown.contains("for pid 4711 on one") && !shown.contains('\u{1b}'), "{shown}");

    let status: Value = serde_json::from_slice(&syncline(&fixture, Some(&url), &["status", "--json"]).stdout).unwrap();
    let line = &status["codebases"][0]["line"];
    assert_eq!(line["batches"].as_array().unwrap().len(), 2, "{line}");
    assert_eq!(line["batches"][0]["token"], token);
    assert!(line["latencyMs"].as_f64().unwrap() > 0.0 && line["batches"][1]["expiresInMs"].as_u64().unwrap() > 0);
}

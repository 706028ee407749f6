//! `syncline doctor`, and what `queue` and `status` tell of a line in Redis.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod redis_server;
mod support;

use std::process::{Command, Output};
use std::time::Duration;

use redis_server::RedisServer;
use serde_json::Value;
use support::Fixture;
use syncline::core::cache::{CacheManager, Namespace, Placement};
use syncline::core::{Owner, SyncBatch};

fn syncline(fixture: &Fixture, url: Option<&str>, arguments: &[&str]) -> Output {
    syncline_with(fixture, url, arguments, &fixture.index_dir)
}

fn syncline_with(fixture: &Fixture, url: Option<&str>, arguments: &[&str], config: &std::path::Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"SYNCLINE_")) {
        command.env_remove(name);
    }
    command.env("XDG_CONFIG_HOME", config).env("SYNCLINE_INDEX_DIR", &fixture.index_dir);
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

/// Guards against a probe file in a folder of somebody else's, where a link of its name would have been followed.
#[cfg(unix)]
#[test]
fn the_doctor_writes_nothing_and_says_what_is_so() {
    use std::os::unix::fs::symlink;
    let fixture = Fixture::new(&[("a.txt", "needle\n")]);
    let dir = &fixture.index_dir;
    std::fs::create_dir(dir).unwrap();
    let then = std::time::SystemTime::now() - Duration::from_secs(1000);
    let changed = |folder: &std::path::Path| std::fs::metadata(folder).unwrap().modified().unwrap();
    let set = |folder: &std::path::Path| std::fs::File::open(folder).unwrap().set_modified(then).unwrap();
    let index = || check(&doctor(&fixture, None).0, "index");
    let (state, message) = (set(dir), index()).1;
    assert_eq!((state.as_str(), changed(dir)), ("ok", then), "{message}");

    // In the folder itself, once there is one.
    let folder = message.strip_suffix(" can be written").unwrap();
    let folder = std::path::Path::new(folder);
    std::fs::create_dir(folder).unwrap();
    set(folder);
    assert_eq!((index().0.as_str(), changed(folder)), ("ok", then));
    std::fs::remove_dir(folder).unwrap();

    // A link in its place isn't what will be written to.
    symlink("/proc", folder).unwrap();
    assert_eq!(index().0, "ok");
    std::fs::remove_file(folder).unwrap();

    // A file in the way.
    std::fs::remove_dir(dir).unwrap();
    std::fs::write(dir, "").unwrap();
    let output = syncline_with(&fixture, None, &["doctor", "--json"], &fixture.root);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "index").unwrap().clone();
    assert_eq!(found["state"], "error", "{found}");
    assert!(found["message"].as_str().unwrap().contains("is no folder; set index.dir"), "{found}");
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
            let batch = SyncBatch::new("/elsewhere".into(), owner);
            match cache.enqueue_item(Namespace::SyncBatches, "looked-at", batch, None).await.unwrap() {
                Placement::Head(lease) => token = Some(lease.fence.token.0),
                Placement::Waiting { position, .. } => assert_eq!(position, 1),
                other => panic!("{other:?}"),
            }
        }
        token.unwrap()
    });
    let url = server.url();
    let shown = String::from_utf8(syncline(&fixture, Some(&url), &["queue"]).stdout).unwrap();
    assert!(shown.contains(&url) && shown.contains("answers in"), "{shown}");
    assert!(
        shown.contains("pid 4711 on one") && shown.contains(&format!("token {token}, its lease ends in")),
        "{shown}"
    );
    assert!(shown.contains("for pid 4711 on one") && !shown.contains('\u{1b}'), "{shown}");

    let status: Value = serde_json::from_slice(&syncline(&fixture, Some(&url), &["status", "--json"]).stdout).unwrap();
    let line = &status["codebases"][0]["line"];
    assert_eq!(line["batches"].as_array().unwrap().len(), 2, "{line}");
    assert_eq!(line["batches"][0]["token"], token);
    assert!(line["latencyMs"].as_f64().unwrap() > 0.0 && line["batches"][1]["expiresInMs"].as_u64().unwrap() > 0);
}

//! Hosts that share a Redis, each an engine with an index of its own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod redis_server;
mod support;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis_server::RedisServer;
use support::{DEADLINE, Fixture, until_fresh, until_state};
use syncline::core::cache::Namespace;
use syncline::core::settings::{Settings, WatchMode};
use syncline::core::{Owner, RelPath, SyncBatch};
use syncline::index::{Pattern, Query};
use syncline::sync::SyncStatus;
use syncline::workspace::{CodebaseState, Engine, Health, Stage, Workspace};
use tokio_util::sync::CancellationToken;

/// Long enough for nothing to end by itself.
const LEASE: Duration = Duration::from_secs(60);

fn settings(fixture: &Fixture, server: &RedisServer) -> Settings {
    let mut settings = fixture.settings();
    settings.queue = server.settings(LEASE);
    settings.queue.codebase = Some("team".to_owned());
    settings
}

/// An edit of one file waited for the whole index of another host's tree.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_waits_for_a_slice_of_a_cold_index_and_the_index_goes_on_where_it_was() {
    const FILES: usize = 3_000;
    let server = RedisServer::start();
    let (large, small) = (Fixture::new(&[]), Fixture::new(&[("a.txt", "one\n")]));
    for file in 0..FILES {
        let lines = (0..200).map(|line| format!("line {line} of file {file}, {:x}\n", line * 7919 * file));
        large.write(&format!("{}/{file}.txt", file % 40), lines.collect::<String>());
    }
    let here = settings(&small, &server);
    let engine = Engine::new(&here);
    let edited = engine.open(&small.root, &here).unwrap();
    until_fresh(&edited).await;

    // Both wait, the large one first.
    let (cache, busy) = (server.cache(LEASE), SyncBatch::new("/busy".into(), Owner::new()));
    cache.enqueue_item(Namespace::SyncBatches, "team", busy.clone(), None).await.unwrap();
    let mut there = settings(&large, &server);
    there.queue.slice = Duration::from_millis(2);
    let cold_engine = Engine::new(&there);
    let cold = cold_engine.open(&large.root, &there).unwrap();
    let seen = Arc::new(Mutex::new(Vec::<Arc<CodebaseState>>::new()));
    let (mut states, note) = (cold.state(), seen.clone());
    tokio::spawn(async move {
        while states.changed().await.is_ok() {
            note.lock().unwrap().push(states.borrow_and_update().clone());
        }
    });
    until_state(&cold, |state| state.position == Some(1)).await;
    small.write("a.txt", "two\n");
    let edit = edited.sync();
    let release = async {
        until_state(&edited, |state| state.position == Some(2)).await;
        cache.remove_item(Namespace::SyncBatches, "team", busy.id).await;
    };
    let (edit, ()) = tokio::join!(edit, release);
    assert_eq!(edit.status, SyncStatus::Synced, "{edit:?}");
    let state = until_state(&cold, |state| state.index.fresh && state.last_sync.is_some()).await;

    // One sync, of all files, whose progress grew over all slices.
    let last = state.last_sync.clone().unwrap();
    assert_eq!((last.status, last.files, last.returns), (SyncStatus::Synced, FILES, 0));
    assert!(edit.finished_at < last.finished_at, "the edit waited for all of the cold index: {edit:?}, {last:?}");
    assert_eq!(state.index.files, FILES);
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let progress = seen.iter().filter_map(|state| state.progress).filter(|progress| progress.stage == Stage::Text);
    let progress: Vec<_> = progress.map(|progress| (progress.total, progress.done)).collect();
    assert!(progress.iter().all(|(total, _)| *total == FILES) && progress.is_sorted(), "{progress:?}");
    for engine in [engine, cold_engine] {
        engine.shutdown().await;
    }
}

/// A host that has a tree open and tells of it, and hears no file events itself unless it `watches`.
struct Host {
    engine: Engine,
    workspace: Workspace,
}

impl Host {
    async fn on(fixture: &Fixture, server: &RedisServer, name: &str, watches: bool) -> Host {
        let mut settings = settings(fixture, server);
        settings.index.dir = Some(fixture.index_dir.join(name));
        settings.queue.shared_tree = Some("tree".to_owned());
        settings.watch.mode = if watches { WatchMode::Native } else { WatchMode::Off };
        let engine = Engine::new(&settings);
        let workspace = engine.open(&fixture.root, &settings).unwrap();
        until_state(&workspace, |state| state.index.fresh && state.health == Health::Ok).await;
        Host { engine, workspace }
    }

    /// Waits until its index holds so many files and nothing is newer.
    async fn holds(&self, files: usize) {
        until_state(&self.workspace, |state| state.index.files == files && state.index.pending == 0).await;
    }

    /// Waits until a search that asks for nothing fresh finds a text in so many files.
    async fn finds(&self, pattern: &str, files: usize) {
        let query = || Query::new(&Pattern { patterns: vec![pattern.to_owned()], ..Pattern::default() }).unwrap();
        let finding = async {
            loop {
                let view = self.workspace.view(Arc::default(), false).await.view;
                let found = Arc::new(AtomicUsize::new(0));
                let count = found.clone();
                let add = move |_| {
                    count.fetch_add(1, Ordering::Relaxed);
                    ControlFlow::Continue(())
                };
                let all = Box::new(|_: &RelPath| true);
                let (end, shape) = (CancellationToken::new(), support::whole_lines);
                self.workspace.search(view, query(), all, usize::MAX, end, shape, add).await;
                if found.load(Ordering::Relaxed) == files {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(DEADLINE, finding).await.unwrap_or_else(|_| {
            panic!("{pattern} isn't found in {files} files: {:#?}", self.workspace.state().borrow())
        });
    }

    async fn degraded(&self, sentence: &str) {
        let says = |state: &CodebaseState| matches!(&state.health, Health::Degraded(said) if said.contains(sentence));
        until_state(&self.workspace, says).await;
    }

    async fn ok(&self) {
        until_state(&self.workspace, |state| state.health == Health::Ok).await;
    }
}

const STREAM: &str = "{syncline:news:tree}:v2:sync_batches:stream";

fn told(server: &RedisServer) -> i64 {
    redis::from_redis_value(server.command(&["XLEN", STREAM]).unwrap()).unwrap()
}

/// Puts something into the stream as anybody could, and wakes those who listen.
fn put(server: &RedisServer, text: &str) {
    server.command(&["XADD", STREAM, "*", "news", text]).unwrap();
    server.command(&["PUBLISH", &STREAM.replace("stream", "changes"), ""]).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_host_saves_another_finds_without_events() {
    let (server, fixture) = (RedisServer::start(), Fixture::new(&[("a.txt", "one\n"), ("old.txt", "one\n")]));
    let host = Host::on(&fixture, &server, "here", true).await;
    let deaf = Host::on(&fixture, &server, "there", false).await;
    fixture.write("a.txt", "two needles\n");
    deaf.finds("two needles", 1).await;
    fixture.write("new/b.txt", "three needles\n");
    deaf.finds("three needles", 1).await;
    std::fs::remove_file(fixture.root.join("old.txt")).unwrap();
    deaf.finds("one", 0).await;
    deaf.holds(2).await;
    // What is ignored stays so, whatever is told of it.
    fixture.write(".ignore", "hidden.txt\n");
    deaf.workspace.sync().await;
    fixture.write("hidden.txt", "four needles\n");
    put(&server, &news(r#"{"path":"hidden.txt","content":{"size":13,"hash":null}}"#));
    fixture.write("c.txt", "five needles\n");
    deaf.finds("five needles", 1).await;
    deaf.finds("four needles", 0).await;
    deaf.ok().await;
    // A branch switch is one piece of news.
    let before = told(&server);
    (0..700).for_each(|file| fixture.write(&format!("many/{file}.txt"), format!("six needles, {file}\n")));
    deaf.finds("six needles", 700).await;
    deaf.holds(703).await;
    assert!(told(&server) < before + 350, "{} pieces of news of 700 files", told(&server) - before);
    host.holds(703).await;
}

fn news(files: &str) -> String {
    format!(r#"{{"version":1,"owner":"00000000-0000-0000-0000-000000000001","files":[{files}]}}"#)
}

/// Two hosts that see the same events: each change is told, and nobody tells what others know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_know_is_not_told_again() {
    let (server, fixture) = (RedisServer::start(), Fixture::new(&[("a.txt", "one\n")]));
    let hosts = [Host::on(&fixture, &server, "here", true).await, Host::on(&fixture, &server, "there", true).await];
    for edit in 0..20 {
        fixture.write("a.txt", format!("edit number {edit} of them\n"));
        for host in &hosts {
            host.finds(&format!("edit number {edit} of"), 1).await;
        }
    }
    // A write may be seen in two parts, by each of them, and each part may be told by both.
    let before = told(&server);
    assert!((1..=80).contains(&before), "{before} pieces of news of 20 edits");
    fixture.write("last.txt", "the last\n");
    for host in &hosts {
        host.finds("the last", 1).await;
        host.holds(2).await;
    }
    assert!(told(&server) <= before + 4, "nothing goes to and fro");
}

/// Another mount of the same files, where they arrive after the news.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_before_it_can_be_seen_is_looked_at_again() {
    let (server, fixture, copy) = (RedisServer::start(), Fixture::new(&[]), Fixture::new(&[]));
    let _host = Host::on(&fixture, &server, "here", true).await;
    let deaf = Host::on(&copy, &server, "there", false).await;
    fixture.write("a.txt", "needle\n");
    support::wait_for("it is told", || told(&server) > 0);
    // It has been looked at in vain by the time the next news are known to be heard.
    put(&server, "no news");
    deaf.degraded("pieces of news of the tree tree are none").await;
    copy.write("a.txt", "needle\n");
    deaf.finds("needle", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_news_is_said_and_passed_over() {
    let (server, fixture) = (RedisServer::start(), Fixture::new(&[("a.txt", "one\n")]));
    let _host = Host::on(&fixture, &server, "here", true).await;
    let deaf = Host::on(&fixture, &server, "there", false).await;
    for path in ["/etc/passwd", "../secret", "a/../../b"] {
        put(&server, &news(&format!(r#"{{"path":"{path}","content":null}}"#)));
    }
    put(&server, &"x".repeat(100_000));
    deaf.degraded("4 pieces of news of the tree tree are none").await;
    fixture.write("a.txt", "two\n");
    deaf.finds("two", 1).await;
    // The stream is gone, and with it what was told since.
    fixture.write("a.txt", "three\n");
    server.command(&["DEL", STREAM]).unwrap();
    fixture.write("b.txt", "three\n");
    deaf.finds("three", 2).await;
    server.command(&["DEL", STREAM]).unwrap();
    server.command(&["SET", STREAM, "something else"]).unwrap();
    deaf.degraded("holds something else than news; delete it").await;
    fixture.write("c.txt", "four\n");
    server.command(&["DEL", STREAM]).unwrap();
    deaf.finds("four", 1).await;
}

/// Somebody has taken out of the stream what a host hasn't heard yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_missed_news_looks_at_the_whole_tree() {
    let (server, fixture) = (RedisServer::start(), Fixture::new(&[("a.txt", "one\n")]));
    let deaf = Host::on(&fixture, &server, "there", false).await;
    fixture.write("a.txt", "two\n");
    put(&server, &news(r#"{"path":"a.txt","content":{"size":4,"hash":null}}"#));
    deaf.finds("two", 1).await;
    fixture.write("a.txt", "three\n");
    server.command(&["XTRIM", STREAM, "MAXLEN", "0"]).unwrap();
    put(&server, &news(r#"{"path":"b.txt","content":null}"#));
    deaf.finds("three", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_trees_of_one_name_are_noticed() {
    let (server, fixture) = (RedisServer::start(), Fixture::new(&[("a.txt", "one\n")]));
    let deaf = Host::on(&fixture, &server, "there", false).await;
    let files: Vec<_> =
        (0..8).map(|file| format!(r#"{{"path":"{file}.txt","content":{{"size":4,"hash":null}}}}"#)).collect();
    put(&server, &news(&files.join(",")));
    deaf.degraded("they see other files by that name").await;
    // Until something is as they say.
    fixture.write("9.txt", "nine\n");
    put(&server, &news(r#"{"path":"9.txt","content":{"size":5,"hash":null}}"#));
    deaf.ok().await;
    deaf.finds("nine", 1).await;
    deaf.engine.shutdown().await;
}

//! Hosts that share a Redis, each an engine with an index of its own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod redis_server;
mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis_server::RedisServer;
use support::{Fixture, until_fresh, until_state};
use syncline::core::cache::Namespace;
use syncline::core::settings::Settings;
use syncline::core::{Owner, SyncBatch};
use syncline::sync::SyncStatus;
use syncline::workspace::{CodebaseState, Engine, Stage};

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
    let seen = seen.lock().unwrap();
    let progress = seen.iter().filter_map(|state| state.progress).filter(|progress| progress.stage == Stage::Text);
    let progress: Vec<_> = progress.map(|progress| (progress.total, progress.done)).collect();
    assert!(progress.iter().all(|(total, _)| *total == FILES) && progress.is_sorted(), "{progress:?}");
    for engine in [engine, cold_engine] {
        engine.shutdown().await;
    }
}

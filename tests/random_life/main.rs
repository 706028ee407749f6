//! Random life of a tree, and of what lies around and beneath it: whatever happens, a fresh search finds what ripgrep
//! finds.
//!
//! `SYNCLINE_TEST_SEED=N` repeats the life of one seed and shows its steps, `SYNCLINE_TEST_SEEDS=N` lives as many.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod steps;
mod world;

use std::process::{Command, Stdio};
use std::sync::Arc;

use support::{DEADLINE, Random, open, ripgrep, search_readable, until_fresh, until_state};
use syncline::index::Unsaved;
use syncline::sync::SyncStatus;
use syncline::workspace::Workspace;
use world::World;

const TEST: &str = "random_life_ends_with_the_index_equal_to_the_tree";
/// Set in the run that lives: the folder that is its home.
const HOME: &str = "SYNCLINE_TEST_LIFE_HOME";
/// Set there if it may mount.
const MOUNTS: &str = "SYNCLINE_TEST_LIFE_MOUNTS";
/// Lives, and steps of each.
const SEEDS: u64 = 8;
const STEPS: usize = 300;
/// Of so many steps about one is followed by a comparison.
const COMPARE_IN: usize = 2;

#[test]
fn random_life_ends_with_the_index_equal_to_the_tree() {
    if std::env::var_os(HOME).is_none() {
        return begin_again();
    }
    let number = |name| std::env::var(name).ok().map(|number| number.parse::<u64>().unwrap());
    let seeds = match number("SYNCLINE_TEST_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("SYNCLINE_TEST_SEEDS").unwrap_or(SEEDS),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let failed: Vec<_> = seeds.filter_map(|seed| runtime.block_on(live(seed)).err()).collect();
    assert!(failed.is_empty(), "{} lives went wrong:\n{}", failed.len(), failed.join("\n"));
}

/// Runs this test once more, where the user's own rules are its own, where it may mount, and where not even root reads what
/// nobody may read; as far as the system lets it.
fn begin_again() {
    let home = tempfile::tempdir().unwrap();
    let inside = ["--user", "--map-root-user", "--mount"];
    // Capabilities that no program of the run gets.
    let bounded = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];
    let mut tried = Command::new("unshare");
    tried.args(inside).args(bounded).args(["mount", "-t", "tmpfs", "none"]).arg(home.path());
    let may_mount = tried.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    let program = std::env::current_exe().unwrap();
    let mut command = match may_mount {
        true => {
            let mut command = Command::new("unshare");
            command.args(inside).args(bounded).arg(program).env(MOUNTS, "1");
            command
        }
        false => {
            eprintln!("skipped: mounts, since there is no right to namespaces of users and mounts");
            Command::new(program)
        }
    };
    command.args(["--exact", "--nocapture", TEST]).stdin(Stdio::null());
    command.env(HOME, home.path()).env("HOME", home.path()).env("XDG_CONFIG_HOME", home.path().join("config"));
    command.env("GIT_CONFIG_NOSYSTEM", "1");
    let status = command.status().unwrap();
    assert!(status.success(), "{status}");
}

/// One life; an error says what differed, and after which steps.
async fn live(seed: u64) -> Result<(), String> {
    let home = std::env::var_os(HOME).unwrap();
    let mut world = World::new(seed, home.as_ref(), std::env::var_os(MOUNTS).is_some());
    let mut random = Random::new(seed);
    let (engine, workspace) = open(&world.fixture);
    until_fresh(&workspace).await;
    let is_shown = std::env::var_os("SYNCLINE_TEST_SEED").is_some();
    let mut last = Vec::new();
    let mut outcome = Ok(());
    for step in 0..STEPS {
        last.push(steps::step(&mut world, &mut random, step));
        if is_shown {
            eprintln!("{step}: {}", last.last().unwrap());
        }
        if random.below(COMPARE_IN) == 0 {
            outcome = compare(&world, &workspace).await;
            if let Err(how) = outcome {
                outcome = Err(format!("seed {seed}, step {step}: {how}\n  since the last comparison: {last:?}"));
                break;
            }
            last.clear();
        }
    }
    world.settle();
    if outcome.is_ok() {
        outcome = at_rest(&world, &workspace).await.map_err(|how| format!("seed {seed}, at the end: {how}"));
    }
    engine.shutdown().await;
    outcome?;

    // Another engine finds the index as good as the tree.
    let (engine, workspace) = open(&world.fixture);
    until_fresh(&workspace).await;
    let outcome = compare(&world, &workspace).await.map_err(|how| format!("seed {seed}, opened again: {how}"));
    engine.shutdown().await;
    outcome
}

/// Asks for every line of the tree, which shows every file that counts.
async fn compare(world: &World, workspace: &Workspace) -> Result<(), String> {
    let fresh = workspace.view(Arc::new(Unsaved::new()), true);
    let fresh = tokio::time::timeout(DEADLINE, fresh).await.map_err(|_| "no answer".to_owned())?.fresh;
    if !fresh {
        return Err(format!("an answer may lack something: {:?}", workspace.state().borrow().health));
    }
    let (ours, _) = search_readable(workspace, "line").await;
    let theirs = ripgrep(&world.fixture.root, "line");
    if ours == theirs {
        return Ok(());
    }
    let only = |one: &support::Found, other: &support::Found| {
        let files = one.iter().filter(|(path, lines)| other.get(*path) != Some(lines));
        files.map(|(path, lines)| format!("{path}: {lines:?}")).take(4).collect::<Vec<_>>()
    };
    Err(format!("here {:?}, from rg {:?}", only(&ours, &theirs), only(&theirs, &ours)))
}

/// All is readable and nothing mounted: the index on disk becomes the tree.
async fn at_rest(world: &World, workspace: &Workspace) -> Result<(), String> {
    compare(world, workspace).await?;
    let synced = workspace.sync().await;
    if synced.status != SyncStatus::Synced {
        return Err(format!("{:?}", synced.status));
    }
    let files = ripgrep(&world.fixture.root, "").len();
    until_state(workspace, |state| state.index.fresh && state.index.files == files).await;
    Ok(())
}

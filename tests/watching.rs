//! An open codebase follows its tree: what is searched freshly is what is there.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::{DEADLINE, Fixture, Random, open, ripgrep, search, until_fresh, until_state};
use syncline::core::settings::WatchMode;
use syncline::index::Unsaved;
use syncline::sync::{SyncOutcome, SyncStatus};
use syncline::workspace::{CodebaseState, Engine, Health, Phase};

/// Asks for every line of the tree, which shows every file that counts.
async fn assert_equal_to_tree(fixture: &Fixture, workspace: &syncline::workspace::Workspace, when: &str) {
    assert_eq!(search(workspace, "line").await, ripgrep(&fixture.root, "line"), "{when}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_change_is_seen_at_once() {
    let fixture = Fixture::new(&[("a.txt", "line a\n"), ("dir/b.txt", "line b\n"), ("dir/deep/c.txt", "line c\n")]);
    let (engine, workspace) = open(&fixture);
    until_fresh(&workspace).await;
    assert_equal_to_tree(&fixture, &workspace, "at the start").await;
    let root = &fixture.root;

    fixture.write("a.txt", "line a, changed\n");
    assert_equal_to_tree(&fixture, &workspace, "after a write").await;

    fixture.write("a.txt.tmp", "line a, by way of another\n");
    std::fs::rename(root.join("a.txt.tmp"), root.join("a.txt")).unwrap();
    assert_equal_to_tree(&fixture, &workspace, "after an atomic save").await;

    fixture.write("new/folders/with/d.txt", "line d\n");
    assert_equal_to_tree(&fixture, &workspace, "after new folders").await;
    fixture.write("new/folders/with/e.txt", "line e\n");
    assert_equal_to_tree(&fixture, &workspace, "after a write into a new folder").await;

    std::fs::rename(root.join("dir"), root.join("moved")).unwrap();
    assert_equal_to_tree(&fixture, &workspace, "after a folder moved").await;
    fixture.write("moved/deep/c.txt", "line c, written where it moved\n");
    fixture.write("moved/f.txt", "line f\n");
    assert_equal_to_tree(&fixture, &workspace, "after writes into the moved folder").await;

    std::fs::remove_file(root.join("moved/b.txt")).unwrap();
    std::fs::remove_dir_all(root.join("new")).unwrap();
    assert_equal_to_tree(&fixture, &workspace, "after deletes").await;
    fixture.write("new/folders/with/d.txt", "line d, again\n");
    assert_equal_to_tree(&fixture, &workspace, "after a folder came again").await;

    std::fs::remove_file(root.join("a.txt")).unwrap();
    fixture.write("a.txt/now-a-folder.txt", "line g\n");
    assert_equal_to_tree(&fixture, &workspace, "after a file became a folder").await;

    std::fs::write(root.join(".ignore"), "moved\n*.log\n").unwrap();
    fixture.write("x.log", "line of a log\n");
    assert_equal_to_tree(&fixture, &workspace, "after files became ignored").await;
    fixture.write("moved/f.txt", "line f, unseen\n");
    assert_equal_to_tree(&fixture, &workspace, "after a write to an ignored file").await;
    std::fs::remove_file(root.join(".ignore")).unwrap();
    assert_equal_to_tree(&fixture, &workspace, "after nothing was ignored any more").await;

    fixture.write(".gitignore", "*.txt\n");
    assert_equal_to_tree(&fixture, &workspace, "a .gitignore without a repository doesn't count").await;
    fixture.git(&["init", "-q"]);
    assert_equal_to_tree(&fixture, &workspace, "with one it does").await;

    let state = until_state(&workspace, |state| state.index.fresh && state.queue.is_empty()).await;
    assert_eq!(state.health, Health::Ok);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_overlapping_saves_and_a_hundred_are_all_synced() {
    let fixture = Fixture::new(&[("a.txt", "line\n")]);
    let (engine, workspace) = open(&fixture);
    let before = until_fresh(&workspace).await.index.generation;
    for saves in [2, 100] {
        let syncs: Vec<_> = (0..saves)
            .map(|save| {
                fixture.write(&format!("save-{save}.txt"), format!("line {saves} {save}\n"));
                let workspace = workspace.clone();
                tokio::spawn(async move { workspace.sync().await })
            })
            .collect();
        for sync in syncs {
            assert_eq!(sync.await.unwrap().status, SyncStatus::Synced);
        }
        assert_equal_to_tree(&fixture, &workspace, "after overlapping saves").await;
        let state = until_state(&workspace, |state| state.index.fresh && state.queue.is_empty()).await;
        assert_eq!(state.phase, Phase::Idle);
        assert_eq!(state.index.files, 1 + saves);
        assert!(state.index.generation > before);
    }
    fixture.write("a.txt", "line, the last\n");
    assert_eq!(workspace.sync().await.status, SyncStatus::Synced, "later syncs run");
    engine.shutdown().await;
}

/// Whether a state is not older than a sync. What was seen meanwhile may have been synced since.
fn tells_of(state: &CodebaseState, synced: &SyncOutcome) -> bool {
    state.last_sync.as_ref().is_some_and(|last| last.id == synced.id || last.finished_at >= synced.finished_at)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_events_a_sync_finds_what_changed() {
    let fixture = Fixture::new(&[("a.txt", "line\n")]);
    let mut settings = fixture.settings();
    settings.watch.mode = WatchMode::Off;
    let engine = Engine::new(&settings);
    let workspace = engine.open(&fixture.root, &settings).unwrap();
    until_fresh(&workspace).await;
    fixture.write("b/c.txt", "line\n");
    assert!(!workspace.view(Arc::new(Unsaved::new()), true).await.fresh, "nobody can promise it here");
    assert_eq!(workspace.sync().await.status, SyncStatus::Synced);
    assert_eq!(until_state(&workspace, |state| state.index.files == 2).await.index.files, 2);
    // What an editor tells is seen.
    fixture.write("a.txt", "line, saved\n");
    workspace.touch(vec![fixture.root.join("a.txt")]);
    until_state(&workspace, |state| state.last_sync.as_ref().is_some_and(|sync| sync.covered == Some(1))).await;
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_events_come_the_tree_is_walked_again_and_again() {
    let fixture = Fixture::new(&[("a.txt", "line\n")]);
    let mut settings = fixture.settings();
    settings.watch.mode = WatchMode::Poll;
    let engine = Engine::new(&settings);
    let workspace = engine.open(&fixture.root, &settings).unwrap();
    until_fresh(&workspace).await;
    fixture.write("b/c.txt", "line\n");
    until_state(&workspace, |state| state.index.files == 2).await;
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_codebase_answers_rightly_and_goes_on_later() {
    let fixture = Fixture::new(&[("a.txt", "line\n")]);
    let (engine, workspace) = open(&fixture);
    let before = until_fresh(&workspace).await.index.generation;
    workspace.pause();
    until_state(&workspace, |state| state.phase == Phase::Paused).await;
    fixture.write("b.txt", "line\n");
    assert_equal_to_tree(&fixture, &workspace, "while paused").await;
    let state = until_state(&workspace, |state| state.index.pending == 1).await;
    assert_eq!((state.index.generation, state.phase, state.index.fresh), (before, Phase::Paused, false));
    workspace.resume();
    assert!(until_fresh(&workspace).await.index.generation > before);
    engine.shutdown().await;
}

// What a look had taken for gone stayed so when the next look found it to be as the index still had it: it was hidden from
// searches, and taken out of the index when its batch had its turn.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_ignored_for_a_moment_is_found_before_and_after_its_batch() {
    let fixture = Fixture::new(&[("a.txt", "line a\n"), ("dir/b.txt", "line b\n")]);
    let (engine, workspace) = open(&fixture);
    until_fresh(&workspace).await;
    // Files that changed a moment ago are read again by each look.
    let nothing_is_new = async { while workspace.sync().await.files > 0 {} };
    tokio::time::timeout(DEADLINE, nothing_is_new).await.expect("a sync that finds nothing");
    workspace.pause();
    fixture.write(".ignore", "dir\n");
    assert_equal_to_tree(&fixture, &workspace, "while it is ignored").await;
    std::fs::remove_file(fixture.root.join(".ignore")).unwrap();
    assert_equal_to_tree(&fixture, &workspace, "when it isn't any more").await;
    workspace.resume();
    let state = until_fresh(&workspace).await;
    assert_eq!(state.index.files, 2);
    assert_equal_to_tree(&fixture, &workspace, "after the batch").await;
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_git_rewrites_the_tree_a_large_batch_waits() {
    let fixture = Fixture::new(&[("a.txt", "line\n")]);
    fixture.git(&["init", "-q"]);
    let mut settings = fixture.settings();
    (settings.sync.debounce, settings.sync.max_wait) = (Duration::from_millis(1), Duration::from_millis(1));
    let engine = Engine::new(&settings);
    let workspace = engine.open(&fixture.root, &settings).unwrap();
    until_fresh(&workspace).await;
    let lock = fixture.root.join(".git/index.lock");
    std::fs::write(&lock, "").unwrap();
    fixture.write("a.txt", "line, saved\n");
    until_fresh(&workspace).await;

    workspace.pause();
    until_state(&workspace, |state| state.phase == Phase::Paused).await;
    (0..300).for_each(|number| fixture.write(&format!("{number}.txt"), "line\n"));
    until_state(&workspace, |state| state.index.pending >= 300).await;
    workspace.resume();
    until_state(&workspace, |state| state.phase == Phase::Idle).await;
    // It is held for ten seconds at most.
    let held = std::time::Instant::now();
    while held.elapsed() < Duration::from_secs(3) {
        assert_equal_to_tree(&fixture, &workspace, "while the batch is held").await;
        let pending = workspace.state().borrow().index.pending;
        assert!(pending >= 300, "{pending}");
    }
    std::fs::remove_file(&lock).unwrap();
    until_fresh(&workspace).await;
    engine.shutdown().await;
}

/// A look at single paths is given up when too much is new, for a look at the tree. Who waited for the look after it waited
/// for ever.
#[tokio::test(flavor = "multi_thread")]
async fn fresh_searches_end_while_many_folders_come() {
    let fixture = Fixture::new(&[("a.txt", "line\n")]);
    let (engine, workspace) = open(&fixture);
    until_fresh(&workspace).await;
    for round in 0..40 {
        let root = fixture.root.clone();
        let writer = std::thread::spawn(move || {
            for number in 0..100 {
                let folder = root.join(format!("{round}/{number}"));
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(folder.join("f.txt"), "line\n").unwrap();
            }
        });
        let mut searches = Vec::new();
        while !writer.is_finished() {
            let workspace = workspace.clone();
            searches.push(tokio::spawn(async move { drop(workspace.view(Arc::new(Unsaved::new()), true).await) }));
            tokio::time::sleep(Duration::from_micros(50)).await;
        }
        writer.join().unwrap();
        for search in searches {
            tokio::time::timeout(DEADLINE, search).await.expect("an answer").unwrap();
        }
    }
    assert_equal_to_tree(&fixture, &workspace, "after many folders came").await;
    engine.shutdown().await;
}

/// A file that is only in an editor yet belongs to a codebase if ripgrep would search it once it is saved.
#[tokio::test(flavor = "multi_thread")]
async fn files_to_come_belong_by_the_rules_of_ripgrep() {
    let fixture = Fixture::new(&[
        (".gitignore", "*\n"),
        ("repository/kept.txt", "line\n"),
        ("repository/.gitignore", "*.log\n!deep/\n"),
        ("repository/deep/.gitignore", "*.txt\n"),
        ("repository/.ignore", "!kept.log\n*.tmp\n"),
        ("repository/deep/.rgignore", "!wanted.tmp\n"),
        ("repository/deep/a.rs", "line\n"),
    ]);
    let root = fixture.root.join("repository");
    fixture.git(&["init", "-q", "repository"]);
    std::fs::create_dir_all(root.join(".git/info")).unwrap();
    std::fs::write(root.join(".git/info/exclude"), "*.secret\n").unwrap();
    let settings = fixture.settings();
    let engine = Engine::new(&settings);
    let workspace = engine.open(&root, &settings).unwrap();
    until_fresh(&workspace).await;
    let names = ["new.txt", "new.log", "kept.log", "new.tmp", "new.secret"];
    let deep = ["deep/new.rs", "deep/new.txt", "deep/wanted.tmp", "deep/new.log", "deep/kept.log"];
    let mut to_come = Vec::new();
    for name in names.into_iter().chain(deep) {
        if workspace.belongs(&root.join(name)).await.is_some() {
            to_come.push(name);
        }
    }
    for name in names.into_iter().chain(deep) {
        fixture.write(&format!("repository/{name}"), "line of a new file\n");
    }
    let there: Vec<_> = ripgrep(&root, "new file").into_keys().collect();
    to_come.sort_unstable();
    assert_eq!(to_come, there);
    engine.shutdown().await;
}

/// Nobody reads what a pipe might give.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_called_git_holds_nobody_up() {
    let fixture = Fixture::new(&[("a.txt", "line\n")]);
    let made = std::process::Command::new("mkfifo").arg(fixture.root.join(".git")).status().unwrap();
    assert!(made.success());
    let (engine, workspace) = open(&fixture);
    until_fresh(&workspace).await;
    (0..300).for_each(|number| fixture.write(&format!("{number}.txt"), "line\n"));
    until_state(&workspace, |state| state.index.fresh && state.index.files == 301).await;
    engine.shutdown().await;
}

/// The retry of a failed sync fell due while it was paused, and was forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn what_failed_before_a_pause_is_synced_after_it() {
    let fixture = Fixture::new(&[("a.txt", "line\n")]);
    let (engine, workspace) = open(&fixture);
    until_fresh(&workspace).await;
    // No folder for the index can be made where a file is.
    std::fs::remove_dir_all(&fixture.index_dir).unwrap();
    std::fs::write(&fixture.index_dir, "").unwrap();
    fixture.write("b.txt", "line\n");
    until_state(&workspace, |state| matches!(state.health, Health::Degraded(_)) && state.index.pending > 0).await;
    workspace.pause();
    until_state(&workspace, |state| state.phase == Phase::Paused).await;
    // Time itself is what matters: the first retries fall due within seconds, and tell nobody.
    tokio::time::sleep(Duration::from_secs(4)).await;
    std::fs::remove_file(&fixture.index_dir).unwrap();
    workspace.resume();
    until_state(&workspace, |state| state.index.fresh && state.health == Health::Ok).await;
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_goes_away_keeps_its_index_and_is_found_again() {
    let fixture = Fixture::new(&[("a.txt", "line\n"), ("b/c.txt", "line\n")]);
    let (engine, workspace) = open(&fixture);
    let state = until_fresh(&workspace).await;
    let away = fixture.root.with_file_name("away");
    std::fs::rename(&fixture.root, &away).unwrap();
    let gone = until_state(&workspace, |state| matches!(state.health, Health::Error(_))).await;
    assert!(matches!(&gone.health, Health::Error(sentence) if sentence.contains("is gone")), "{:?}", gone.health);
    assert_eq!(gone.index.files, state.index.files, "the index is kept");
    std::fs::rename(&away, &fixture.root).unwrap();
    until_state(&workspace, |state| state.health == Health::Ok && state.index.fresh).await;
    fixture.write("b/c.txt", "line, after it came back\n");
    assert_equal_to_tree(&fixture, &workspace, "after the root came back").await;
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_for_the_index_that_cannot_be_used_is_told_and_answers_are_right() {
    let fixture = Fixture::new(&[("a.txt", "line\n")]);
    // A file where the folder should be: nobody can make a folder there, not even root.
    std::fs::write(&fixture.index_dir, "not a folder").unwrap();
    let (engine, workspace) = open(&fixture);
    let state = until_state(&workspace, |state| state.health != Health::Ok).await;
    let Health::Degraded(sentence) = &state.health else { panic!("{:?}", state.health) };
    assert!(sentence.contains("can't use the index folder") && sentence.contains("index.dir"), "{sentence}");
    let view = workspace.view(Arc::new(Unsaved::new()), true).await.view;
    let query =
        syncline::index::Query::new(&syncline::index::Pattern { patterns: vec!["line".into()], ..Default::default() });
    assert_eq!(view.candidates(&query.unwrap().plan, |_| true).files.len(), 1);
    std::fs::remove_file(&fixture.index_dir).unwrap();
    // It heals by itself.
    until_state(&workspace, |state| state.index.fresh && state.index.generation.0 > 0).await;
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_begins_from_nothing() {
    let fixture = Fixture::new(&[("a.txt", "line\n")]);
    let (engine, workspace) = open(&fixture);
    let before = until_fresh(&workspace).await.index.generation;
    workspace.rebuild();
    // Guards against answers that miss what the index has forgotten and nobody has looked at again.
    while workspace.state().borrow().index.generation.0 < before.0 + 2 {
        assert_equal_to_tree(&fixture, &workspace, "while it is rebuilt").await;
    }
    let after = until_state(&workspace, |state| state.index.generation.0 >= before.0 + 2 && state.index.fresh).await;
    assert_eq!(after.index.files, 1);
    engine.shutdown().await;
}

/// Guards against a sync that was asked for while the first one ran: it indexed every file once more.
#[tokio::test(flavor = "multi_thread")]
async fn a_sync_during_the_first_one_does_not_index_again() {
    let fixture = Fixture::new(&[]);
    for number in 0..50 {
        fixture.write(&format!("f{number}.txt"), "line\n");
    }
    // Files that changed within the clock's granularity are read once more by every look, and rightly so.
    let written = std::time::Instant::now();
    support::wait_for("the files' clock goes on", || written.elapsed().as_millis() > 200);
    let (engine, workspace) = open(&fixture);
    let synced = workspace.sync().await;
    assert_eq!(synced.status, SyncStatus::Synced);
    let state = until_state(&workspace, |state| tells_of(state, &synced) && state.index.fresh).await;
    assert_eq!((state.index.files, state.index.generation.0), (50, 1));
    engine.shutdown().await;
}

/// Guards against a searcher whose buffer grew with a long line: it then saw the NUL before it had told of any match.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_in_a_file_does_not_depend_on_the_files_before_it() {
    let late_nul = "needle\n".repeat(10_500) + "\0needle\n";
    let fixture = Fixture::new(&[("b.bin", &late_nul)]);
    let (engine, workspace) = open(&fixture);
    until_fresh(&workspace).await;
    let alone = search(&workspace, "needle").await;
    assert_eq!(alone, ripgrep(&fixture.root, "needle"));
    assert!(!alone.is_empty(), "what comes before the NUL is found");
    fixture.write("a.txt", "x".repeat(1 << 20) + "needle\n");
    let beside = search(&workspace, "needle").await;
    assert_eq!(beside.get("b.bin"), alone.get("b.bin"));
    engine.shutdown().await;
}

/// Guards against a match that needs the carriage return being left out because an editor's line doesn't have it.
#[tokio::test(flavor = "multi_thread")]
async fn a_carriage_return_is_a_part_of_its_line() {
    let fixture = Fixture::new(&[("a.txt", "needleq\r\nline\n")]);
    let (engine, workspace) = open(&fixture);
    until_fresh(&workspace).await;
    let found = search(&workspace, "q[^u]").await;
    assert_eq!(found.keys().collect::<Vec<_>>(), ripgrep(&fixture.root, "q[^u]").keys().collect::<Vec<_>>());
    assert_eq!(found["a.txt"].len(), 1);
    engine.shutdown().await;
}

/// What another process commits is how that one saw the tree: it may not know yet that a file is ignored. And that may be
/// gone by the time it is looked at.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_engine_takes_for_a_file_is_checked() {
    for goes in [false, true] {
        let fixture = Fixture::new(&[("a.txt", "needle\n"), ("area/part/b.txt", "needle\n")]);
        let (engine, workspace) = open(&fixture);
        until_state(&workspace, |state| state.index.fresh && state.index.files == 2).await;
        let mut blind = fixture.settings();
        blind.watch.mode = WatchMode::Off;
        let other = Engine::new(&blind);
        let its = other.open(&fixture.root, &blind).unwrap();
        until_fresh(&its).await;

        fixture.write(".ignore", "/area/\n");
        until_state(&workspace, |state| state.index.fresh && state.index.files == 1).await;
        // The other knows nothing of that, and puts it back.
        let before = its.state().borrow().index.generation;
        let file = fixture.root.join("area/part/b.txt");
        fixture.write("area/part/b.txt", "needle, once more\n");
        its.touch(vec![file.clone()]);
        until_state(&its, |state| state.index.fresh && state.index.generation > before && state.index.files == 2).await;
        if goes {
            std::fs::remove_file(&file).unwrap();
        }
        // This one commits on top of it.
        fixture.write("c.txt", "needle\n");
        until_state(&workspace, |state| state.index.fresh && state.index.pending == 0 && state.index.files == 2).await;
        let found = search(&workspace, "needle").await;
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a.txt", "c.txt"]);
        assert_eq!(workspace.state().borrow().index.files, 2);
        engine.shutdown().await;
        other.shutdown().await;
    }
}

/// Files that are ignored by now are in the index until the next commit. Whatever is told of them meanwhile, they stay out.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_ignored_stays_out_before_the_index_knows_whatever_is_told_of_it() {
    let texts = [("a.txt", "line a\n"), ("dir/x.log", "line x\n"), ("dir/b.txt", "line b\n"), ("y.log", "line y\n")];
    let fixture = Fixture::new(&texts);
    let (engine, workspace) = open(&fixture);
    until_fresh(&workspace).await;
    workspace.pause().await.unwrap();
    fixture.write(".ignore", "*.log\n");
    assert_equal_to_tree(&fixture, &workspace, "after they became ignored").await;

    fixture.write("y.log", "line y, written\n");
    assert_equal_to_tree(&fixture, &workspace, "after a write").await;
    std::fs::hard_link(fixture.root.join("y.log"), fixture.root.join("y.txt")).unwrap();
    assert_equal_to_tree(&fixture, &workspace, "after it got another name").await;
    std::fs::remove_dir_all(fixture.root.join("dir")).unwrap();
    fixture.write("dir/x.log", "line x, in another folder\n");
    assert_equal_to_tree(&fixture, &workspace, "after its folder came again").await;
    engine.shutdown().await;
}

/// A file that was committed between the moment a look took the index and the moment it took what is newer was in neither:
/// when it was deleted then, the index kept it.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_live_a_moment_leave_nothing_behind() {
    let fixture = Fixture::new(&[]);
    let mut settings = fixture.settings();
    (settings.sync.debounce, settings.sync.max_wait) = (Duration::from_millis(1), Duration::from_millis(1));
    let engine = Engine::new(&settings);
    let workspace = engine.open(&fixture.root, &settings).unwrap();
    until_fresh(&workspace).await;
    let root = fixture.root.clone();
    // Many at once, so that a look takes long enough for a batch to end meanwhile.
    let life = std::thread::spawn(move || {
        let mut random = Random::new(1);
        for round in 0..60 {
            for number in 0..400 {
                std::fs::write(root.join(format!("{round}-{number}.txt")), "line\n").unwrap();
            }
            std::thread::sleep(Duration::from_micros(random.below(20000) as u64));
            for number in 0..400 {
                std::fs::remove_file(root.join(format!("{round}-{number}.txt"))).unwrap();
            }
            std::thread::sleep(Duration::from_micros(random.below(20000) as u64));
        }
    });
    tokio::task::spawn_blocking(move || life.join().unwrap()).await.unwrap();
    assert_equal_to_tree(&fixture, &workspace, "in the end").await;
    let state = until_fresh(&workspace).await;
    assert_eq!(state.index.files, 0);
    engine.shutdown().await;
}

//! The index is a cache: whatever happens to it costs time, never an answer, never the process.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use support::{Fixture, Random, open, ripgrep, search, until_fresh, until_state, wait_for};
use syncline::core::settings::Settings;
use syncline::workspace::{Engine, Health, bytes_of_indexes, index_folder};

fn files_of(fixture: &Fixture) -> Vec<PathBuf> {
    let codebases = std::fs::read_dir(&fixture.index_dir).unwrap().map(|entry| entry.unwrap().path());
    let files = codebases.flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

async fn assert_answers(fixture: &Fixture, when: &str) {
    let (engine, workspace) = open(fixture);
    for pattern in ["line", "number 7", "[a-f]{4}"] {
        assert_eq!(search(&workspace, pattern).await, ripgrep(&fixture.root, pattern), "{pattern} {when}");
    }
    until_fresh(&workspace).await;
    engine.shutdown().await;
}

fn small_tree() -> Fixture {
    let fixture = Fixture::new(&[]);
    for number in 0..60 {
        fixture
            .write(&format!("d{}/f{number}.txt", number % 7), format!("line of number {number}\nabcdef {number:x}\n"));
    }
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_are_noticed_when_the_index_is_opened() {
    let fixture = small_tree();
    assert_answers(&fixture, "at first").await;
    let mut random = Random::new(7);
    for round in 0..60 {
        let files = files_of(&fixture);
        let path = &files[random.below(files.len())];
        let mut bytes = std::fs::read(path).unwrap();
        let damage = ["a flipped byte", "a cut", "nothing left", "deleted", "nonsense"][round % 5];
        match round % 5 {
            0 if !bytes.is_empty() => {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
                std::fs::write(path, bytes).unwrap();
            }
            1 => std::fs::write(path, &bytes[..random.below(bytes.len() + 1)]).unwrap(),
            2 => std::fs::write(path, b"").unwrap(),
            3 => std::fs::remove_file(path).unwrap(),
            _ => std::fs::write(path, vec![0xa5; random.below(4096)]).unwrap(),
        }
        assert_answers(&fixture, &format!("after {damage} in {}", path.display())).await;
    }
    std::fs::remove_dir_all(&fixture.index_dir).unwrap();
    assert_answers(&fixture, "after all of it was deleted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_under_an_open_index_is_noticed_and_mended() {
    let fixture = small_tree();
    let (engine, workspace) = open(&fixture);
    until_fresh(&workspace).await;
    let segments = || files_of(&fixture).into_iter().filter(|path| path.extension().is_some_and(|e| e == "segment"));
    let before = workspace.state().borrow().index.generation;
    for path in segments() {
        // In place, as a faulty disk or another program would.
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(16).unwrap();
    }
    assert_eq!(search(&workspace, "number 7").await, ripgrep(&fixture.root, "number 7"), "from a cut index");
    let mended = |state: &syncline::workspace::CodebaseState| state.index.fresh && state.health == Health::Ok;
    until_state(&workspace, |state| mended(state) && state.index.files == 60 && state.index.generation > before).await;
    assert_eq!(search(&workspace, "number 7").await, ripgrep(&fixture.root, "number 7"), "once it was mended");

    std::fs::remove_dir_all(&fixture.index_dir).unwrap();
    assert_eq!(search(&workspace, "line").await, ripgrep(&fixture.root, "line"), "from an index that was deleted");
    fixture.write("d0/f0.txt", "line, after the index was deleted\n");
    assert_eq!(search(&workspace, "line").await, ripgrep(&fixture.root, "line"), "and after a save");
    engine.shutdown().await;
    drop((engine, workspace));
    assert_answers(&fixture, "when opened again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_fifty_times_the_next_start_answers_rightly() {
    let fixture = Fixture::new(&[]);
    for number in 0..3_000 {
        let filler = format!("words to index, {number:x} of them\n").repeat(40);
        fixture.write(&format!("d{}/e{}/f{number}.txt", number % 20, number % 7), format!("line {number}\n{filler}"));
    }
    let mut random = Random::new(11);
    for round in 0..50 {
        if round % 5 == 0 {
            // A cold index again.
            let _ = std::fs::remove_dir_all(&fixture.index_dir);
        }
        let mut child = Command::new(env!("CARGO_BIN_EXE_syncline"))
            .args(["watch", "--standalone"])
            .arg(&fixture.root)
            .env("SYNCLINE_INDEX_DIR", &fixture.index_dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for save in 0..random.below(6) {
            std::thread::sleep(Duration::from_millis(random.below(60) as u64));
            fixture.write(&format!("d1/saved{save}.txt"), format!("line saved in round {round}\n"));
        }
        // Anywhere: while it starts, walks, builds, commits, or has nothing to do.
        std::thread::sleep(Duration::from_millis(random.below(120) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        let (engine, workspace) = open(&fixture);
        let pattern = if round % 10 == 0 { "line" } else { "line saved|line 77" };
        assert_eq!(search(&workspace, pattern).await, ripgrep(&fixture.root, pattern), "after kill {round}");
        engine.shutdown().await;
    }
    assert_answers(&fixture, "at the end").await;
}

/// Makes an index look as if it had last been used so many days ago.
fn age(folder: &std::path::Path, days: u64) {
    let then = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
    let inside: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    for path in inside.iter().map(PathBuf::as_path).chain([folder]) {
        std::fs::File::open(path).unwrap().set_modified(then).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_unused_for_longest_makes_room() {
    let indexes = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.index.dir = Some(indexes.path().to_owned());
    let mut trees = Vec::new();
    for _ in 0..4 {
        let fixture = small_tree();
        let engine = Engine::new(&settings);
        let workspace = engine.open(&fixture.root, &settings).unwrap();
        until_fresh(&workspace).await;
        let folder = index_folder(&settings, &workspace.codebase().root).unwrap();
        engine.shutdown().await;
        trees.push((fixture, folder));
    }
    std::fs::write(indexes.path().join("of somebody else"), vec![0; 1 << 20]).unwrap();
    let [(_, longest), (_, long), (_, today), (fixture, opened)] = &trees[..] else { panic!("four") };
    age(longest, 3);
    age(long, 2);
    age(opened, 9);
    let mut open_within = async |bytes: u64, gone: &PathBuf| {
        settings.index.max_disk = bytes;
        let engine = Engine::new(&settings);
        let workspace = engine.open(&fixture.root, &settings).unwrap();
        wait_for("room", || !gone.exists());
        until_fresh(&workspace).await;
        engine.shutdown().await;
    };
    open_within(bytes_of_indexes(indexes.path()) - 1, longest).await;
    assert!(long.exists() && today.exists() && opened.exists(), "one was enough");
    open_within(1, long).await;
    assert!(today.exists() && opened.exists() && indexes.path().join("of somebody else").exists());
    // Its codebase is indexed anew.
    let engine = Engine::new(&settings);
    let workspace = engine.open(&trees[0].0.root, &settings).unwrap();
    assert_eq!(until_fresh(&workspace).await.index.files, 60);
    engine.shutdown().await;
}

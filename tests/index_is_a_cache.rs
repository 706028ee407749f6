//! The index is a cache: whatever happens to it costs time, never an answer, never the process.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use support::{Fixture, Random, open, ripgrep, search, until_fresh, until_state, wait_for};
use syncline::core::settings::Settings;
use syncline::index::Index;
use syncline::index::symbols::SymbolStore;
use syncline::sync::SyncStatus;
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
    let is_repaired = |state: &syncline::workspace::CodebaseState| state.index.fresh && state.health == Health::Ok;
    until_state(&workspace, |state| is_repaired(state) && state.index.files == 60 && state.index.generation > before)
        .await;
    assert_eq!(search(&workspace, "number 7").await, ripgrep(&fixture.root, "number 7"), "once it was repaired");

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
fn age(folder: &Path, days: u64) {
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

/// An index of a small tree, closed again, and its folder.
async fn closed_index(indexes: &Path) -> (Fixture, PathBuf) {
    let fixture = small_tree();
    let mut settings = Settings::default();
    settings.index.dir = Some(indexes.to_owned());
    let engine = Engine::new(&settings);
    let workspace = engine.open(&fixture.root, &settings).unwrap();
    until_fresh(&workspace).await;
    let folder = index_folder(&settings, &workspace.codebase().root).unwrap();
    engine.shutdown().await;
    drop((engine, workspace));
    (fixture, folder)
}

/// Names and bytes of the files in a folder.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.is_file()).map(|p| (p.clone(), std::fs::read(p).unwrap())).collect();
    files.sort();
    files
}

/// Guards against folders of others that are taken for indexes because of their names, and removed to make room.
#[tokio::test(flavor = "multi_thread")]
async fn only_our_own_files_make_room() {
    let place = tempfile::tempdir().unwrap();
    let indexes = place.path().join("indexes");
    std::fs::create_dir(&indexes).unwrap();
    let foreign = |digit: char| indexes.join(digit.to_string().repeat(32));
    let photos = vec![7; 1 << 16];
    let manifest_of = |folder: &Path| {
        let files = contents(folder).into_iter().map(|(path, _)| path);
        files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("manifest-")).max().unwrap()
    };
    let (_linked_tree, linked) = closed_index(&indexes).await;
    let elsewhere = place.path().join("elsewhere");
    std::fs::rename(&linked, &elsewhere).unwrap();
    for digit in ['1', '2', '3', '4', '5'] {
        std::fs::create_dir(foreign(digit)).unwrap();
        std::fs::write(foreign(digit).join("photos.bin"), &photos).unwrap();
    }
    std::fs::write(foreign('2').join("manifest-1"), b"").unwrap();
    std::fs::write(foreign('2').join("manifest-0000000000000001"), b"list of photos").unwrap();
    let other_tag = "Signature: 8a477f597d28d172789f06886806bc55\n# Another program's.\n";
    std::fs::write(foreign('3').join("CACHEDIR.TAG"), other_tag).unwrap();
    std::fs::write(foreign('4').join(format!("{}.segment", "a".repeat(32))), &photos).unwrap();
    // A manifest of ours under another number than its own.
    std::fs::copy(manifest_of(&elsewhere), foreign('5').join("manifest-00000000000000ff")).unwrap();
    let others = |name: &Path| contents(name);
    let before: Vec<_> = ['1', '2', '3', '4', '5'].map(foreign).iter().map(|folder| others(folder)).collect();
    let target = contents(&elsewhere);
    assert_eq!(bytes_of_indexes(&indexes), 0, "none of these is an index");

    let (_mixed_tree, mixed) = closed_index(&indexes).await;
    let (_old_tree, old) = closed_index(&indexes).await;
    let (tree, _) = closed_index(&indexes).await;
    // As before indexes were marked.
    std::fs::remove_file(old.join("CACHEDIR.TAG")).unwrap();
    let ours = bytes_of_indexes(&indexes);
    for name in ["photos.bin", "manifest-1", "holiday.segment", "notes.unfinished"] {
        std::fs::write(mixed.join(name), &photos).unwrap();
    }
    std::fs::create_dir(mixed.join("manifest-00000000000000aa")).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&elsewhere, &linked).unwrap();
        std::os::unix::fs::symlink(&elsewhere, mixed.join(format!("cookies-1-{}", "b".repeat(32)))).unwrap();
    }
    assert_eq!(bytes_of_indexes(&indexes), ours, "what others have put there doesn't count, nor what a link leads to");
    for folder in ['1', '2', '3', '4', '5'].map(foreign) {
        age(&folder, 9);
    }
    age(&elsewhere, 8);
    age(&mixed, 7);
    // It goes last.
    age(&old, 3);
    let mut settings = Settings::default();
    settings.index.dir = Some(indexes.clone());
    settings.index.max_disk = 1;
    let engine = Engine::new(&settings);
    let workspace = engine.open(&tree.root, &settings).unwrap();
    wait_for("room", || !old.exists());
    until_fresh(&workspace).await;
    engine.shutdown().await;
    let after: Vec<_> = ['1', '2', '3', '4', '5'].map(foreign).iter().map(|folder| others(folder)).collect();
    assert!(after == before && contents(&elsewhere) == target, "what isn't ours was touched");
    let left: Vec<_> = contents(&mixed).into_iter().map(|(path, _)| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(left, ["holiday.segment", "manifest-1", "notes.unfinished", "photos.bin"]);
    assert!(!cfg!(unix) || std::fs::symlink_metadata(&linked).unwrap().is_symlink(), "the link is somebody's");
}

/// What somebody does to the folder of an index while it is open. `elsewhere` is a folder that doesn't exist.
type Removal = fn(folder: &Path, elsewhere: &Path);

fn remove_files(folder: &Path, is_one: impl Fn(&str) -> bool) {
    let names = contents(folder).into_iter().map(|(path, _)| path);
    let mut chosen: Vec<_> = names.filter(|path| is_one(path.file_name().unwrap().to_str().unwrap())).collect();
    assert!(!chosen.is_empty());
    chosen.drain(..).for_each(|path| std::fs::remove_file(path).unwrap());
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    contents(from).iter().for_each(|(path, bytes)| std::fs::write(to.join(path.file_name().unwrap()), bytes).unwrap());
}

fn first(folder: &Path, extension: &str) -> PathBuf {
    contents(folder)
        .into_iter()
        .map(|(path, _)| path)
        .find(|path| path.extension().is_some_and(|e| e == extension))
        .unwrap()
}

const REMOVALS: &[(&str, Removal)] = &[
    ("all indexes", |folder, _| std::fs::remove_dir_all(folder.parent().unwrap()).unwrap()),
    ("the index", |folder, _| std::fs::remove_dir_all(folder).unwrap()),
    ("a segment", |folder, _| std::fs::remove_file(first(folder, "segment")).unwrap()),
    ("all segments", |folder, _| remove_files(folder, |name| name.ends_with(".segment"))),
    ("the manifests", |folder, _| remove_files(folder, |name| name.starts_with("manifest-"))),
    ("the newest manifest", |folder, _| {
        let files = contents(folder).into_iter().map(|(path, _)| path);
        let manifests = files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("manifest-"));
        std::fs::remove_file(manifests.max().unwrap()).unwrap();
    }),
    ("the symbols", |folder, _| remove_files(folder, |name| name.ends_with(".symbols"))),
    ("all files", |folder, _| remove_files(folder, |_| true)),
    ("a part of a segment", |folder, _| {
        let file = std::fs::OpenOptions::new().write(true).open(first(folder, "segment")).unwrap();
        file.set_len(100).unwrap();
    }),
    ("another file in a segment's place", |folder, _| {
        let path = first(folder, "segment");
        let length = std::fs::metadata(&path).unwrap().len();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, vec![1; length as usize]).unwrap();
    }),
    ("a folder in a segment's place", |folder, _| {
        let path = first(folder, "segment");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(path).unwrap();
    }),
    ("an empty folder in its place", |folder, _| {
        std::fs::remove_dir_all(folder).unwrap();
        std::fs::create_dir(folder).unwrap();
    }),
    ("a copy in its place", |folder, elsewhere| {
        std::fs::rename(folder, elsewhere).unwrap();
        copy_folder(elsewhere, folder);
    }),
    #[cfg(unix)]
    ("a link to nothing", |folder, elsewhere| {
        std::fs::remove_dir_all(folder).unwrap();
        std::os::unix::fs::symlink(elsewhere, folder).unwrap();
    }),
    #[cfg(unix)]
    ("a link to a folder", |folder, elsewhere| {
        std::fs::remove_dir_all(folder).unwrap();
        std::fs::create_dir(elsewhere).unwrap();
        std::os::unix::fs::symlink(elsewhere, folder).unwrap();
    }),
    #[cfg(unix)]
    ("a link to where it is now", |folder, elsewhere| {
        std::fs::rename(folder, elsewhere).unwrap();
        std::os::unix::fs::symlink(elsewhere, folder).unwrap();
    }),
];

/// Those of them that a fresh search notices.
const REMOVES_COOKIES: &[&str] = &[
    "all indexes",
    "the index",
    "an empty folder in its place",
    "a copy in its place",
    "a link to nothing",
    "a link to a folder",
];

/// Guards against an engine whose folder is gone and that goes on as if nothing was missing: it committed parts, and said
/// that all was on disk.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_under_an_open_index_is_written_anew() {
    for (what, removal) in REMOVALS {
        for noticed_by in ["a sync", "a save", "a search"] {
            let fixture = small_tree();
            (0..9).for_each(|n| fixture.write(&format!("s{n}.rs"), format!("fn line_{n}() {{}}\n")));
            let (engine, workspace) = open(&fixture);
            until_fresh(&workspace).await;
            // A second segment.
            fixture.write("later.rs", "fn line_later() {}\n");
            let whole = |state: &syncline::workspace::CodebaseState| {
                state.index.fresh && state.index.files == 70 && state.symbols_known && !state.symbols_pending
            };
            let before = until_state(&workspace, whole).await;
            assert_eq!(before.index.symbols, 10);
            let folder = index_folder(&fixture.settings(), &workspace.codebase().root).unwrap();
            let elsewhere = fixture.root.with_file_name("elsewhere");
            removal(&folder, &elsewhere);
            let of_link = elsewhere.is_dir().then(|| contents(&elsewhere));
            let when = format!("{noticed_by} after {what}");

            let mut files = 70;
            match noticed_by {
                "a sync" => {
                    let outcome = workspace.sync().await;
                    assert_eq!((outcome.status, outcome.error), (SyncStatus::Synced, None), "{when}");
                    // It says what the disk has, at once.
                    assert_eq!(Index::read(&folder).map(|index| index.files()), Some(files), "{when}");
                }
                "a save" => {
                    fixture.write("d0/new.txt", "line\n");
                    files += 1;
                }
                _ => assert_eq!(search(&workspace, "line").await, ripgrep(&fixture.root, "line"), "{when}"),
            }
            if noticed_by == "a search" && !REMOVES_COOKIES.contains(what) {
                // A search has no way to see that; it is right all the same.
                let outcome = workspace.sync().await;
                assert_eq!(outcome.status, SyncStatus::Synced, "{when}");
            }
            wait_for(&when, || Index::read(&folder).is_some_and(|index| index.files() == files));
            let state = until_state(&workspace, |state| {
                state.index.fresh && state.index.files == files && state.symbols_known && !state.symbols_pending
            })
            .await;
            assert_eq!((&state.health, state.index.symbols), (&Health::Ok, 10), "{when}");
            let stored = || {
                let symbols = SymbolStore::new(&folder, &fixture.index_dir.join("symbols"));
                symbols.refresh();
                symbols.symbols()
            };
            wait_for(&format!("symbols by {when}"), || stored() == 10);
            let on_disk = || Index::read(&folder).unwrap().generation;
            // Merges may still come.
            wait_for(&when, || on_disk() == workspace.state().borrow().index.generation);
            assert_eq!(search(&workspace, "line").await, ripgrep(&fixture.root, "line"), "{when}");
            assert!(std::fs::symlink_metadata(&folder).unwrap().is_dir(), "{when}");
            if let Some(before) = of_link {
                assert_eq!(contents(&elsewhere), before, "{when}: what a link leads to isn't ours");
            }
            engine.shutdown().await;
            drop((engine, workspace));
            let (engine, workspace) = open(&fixture);
            assert_eq!(until_fresh(&workspace).await.index.files, files, "{when}");
            engine.shutdown().await;
        }
    }
}

/// As long as the index can't be written a sync says so, and why; it heals by itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_the_index_from_being_written_is_said() {
    let fixture = small_tree();
    let (engine, workspace) = open(&fixture);
    until_fresh(&workspace).await;
    let folder = index_folder(&fixture.settings(), &workspace.codebase().root).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "somebody's\n").unwrap();
    let outcome = workspace.sync().await;
    assert_eq!(outcome.status, SyncStatus::Failed);
    let sentence = outcome.error.unwrap();
    assert!(sentence.contains("can't use the index folder") && sentence.contains("index.dir"), "{sentence}");
    assert_eq!(std::fs::read_to_string(&folder).unwrap(), "somebody's\n");
    std::fs::remove_file(&folder).unwrap();
    let outcome = workspace.sync().await;
    assert_eq!((outcome.status, outcome.error), (SyncStatus::Synced, None));
    assert_eq!(Index::read(&folder).map(|index| index.files()), Some(60));
    until_state(&workspace, |state| state.health == Health::Ok && state.index.fresh).await;
    engine.shutdown().await;
}

/// Guards against one file by whose name no commit could come any more.
#[tokio::test(flavor = "multi_thread")]
async fn names_of_manifests_that_are_none_stop_nothing() {
    let fixture = small_tree();
    let (engine, workspace) = open(&fixture);
    let generation = until_fresh(&workspace).await.index.generation;
    let folder = index_folder(&fixture.settings(), &workspace.codebase().root).unwrap();
    let name = |number: u64| folder.join(format!("manifest-{number:016x}"));
    std::fs::write(name(u64::MAX), b"").unwrap();
    std::fs::write(name(u64::MAX - 1), b"nonsense").unwrap();
    std::fs::create_dir(name(1 << 60)).unwrap();
    std::fs::copy(name(generation.0), name(generation.0 + 1)).unwrap();
    (0..5_000).for_each(|number| std::fs::write(name((number + 7) << 40), b"").unwrap());
    #[cfg(unix)]
    std::os::unix::fs::symlink(name(generation.0), name(generation.0 + 2)).unwrap();
    for number in 0..3 {
        fixture.write("d0/f0.txt", format!("line, saved {number} times\n"));
        let outcome = workspace.sync().await;
        assert_eq!((outcome.status, outcome.error), (SyncStatus::Synced, None));
    }
    let state = until_fresh(&workspace).await;
    assert_eq!(state.health, Health::Ok);
    assert!(state.index.generation > generation && state.index.generation.0 < generation.0 + 20);
    assert_eq!(Index::read(&folder).unwrap().generation, state.index.generation);
    let left = std::fs::read_dir(&folder).unwrap().count();
    assert!(left < 40, "what can never be a manifest goes: {left} are left");
    engine.shutdown().await;
    drop((engine, workspace));
    assert_answers(&fixture, "when opened again").await;
}

/// Whoever else has a way into the folder above sees nothing of what was indexed, and backup tools pass over it.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn all_of_an_index_is_private_and_marked_as_a_cache() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    fn assert_private(folder: &Path, when: &str) {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            // A cookie may be gone by now.
            let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
            let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(metadata.mode() & 0o777, wanted, "{} {when}", path.display());
            if metadata.is_dir() {
                assert_private(&path, when);
            }
        }
    }
    let fixture = small_tree();
    (0..100).for_each(|n| fixture.write(&format!("s{n}.rs"), format!("fn line_{n}() {{}}\n")));
    std::fs::create_dir(&fixture.index_dir).unwrap();
    let (engine, workspace) = open(&fixture);
    let known = |state: &syncline::workspace::CodebaseState| state.index.fresh && state.symbols_known;
    until_state(&workspace, known).await;
    let folder = index_folder(&fixture.settings(), &workspace.codebase().root).unwrap();
    assert_private(&fixture.index_dir, "at first");
    for folder in [&folder, &fixture.index_dir.join("symbols")] {
        let tag = std::fs::read(folder.join("CACHEDIR.TAG")).unwrap();
        assert!(tag.starts_with(b"Signature: 8a477f597d28d172789f06886806bc55"));
    }
    assert!(!fixture.index_dir.join("CACHEDIR.TAG").exists(), "the folder above may have other things in it");

    // Whoever makes it again makes it so, too; and one that was opened to others is closed.
    std::fs::remove_dir_all(&folder).unwrap();
    search(&workspace, "line").await;
    wait_for("the index to be written anew", || Index::read(&folder).is_some_and(|index| index.files() == 160));
    assert_private(&fixture.index_dir, "made anew");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    workspace.sync().await;
    assert_private(&fixture.index_dir, "once it was opened to others");
    engine.shutdown().await;
}

//! Symbols are found by name, as they are now, and nothing is parsed twice.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod redis_server;
mod support;

use std::path::Path;
use std::sync::Arc;

use redis_server::{RedisServer, queue_settings};
use support::{Fixture, open, until_fresh, until_state};
use syncline::core::RelPath;
use syncline::core::cache::{BackendKind, Namespace};
use syncline::index::Unsaved;
use syncline::index::symbols::{Fit, SymbolKind, SymbolQuery};
use syncline::workspace::{Health, Workspace};
use tokio_util::sync::CancellationToken;

async fn found_with(workspace: &Workspace, query: SymbolQuery, unsaved: Unsaved) -> Vec<String> {
    let view = workspace.view(Arc::new(unsaved), true).await.view;
    let answer = workspace.symbols(view, query, CancellationToken::new()).await;
    let shown = |found: &syncline::index::symbols::SymbolMatch| {
        format!("{}:{} {}", found.path, found.symbol.line + 1, found.symbol.name)
    };
    answer.symbols.iter().map(shown).collect()
}

async fn found(workspace: &Workspace, name: &str, fit: Fit) -> Vec<String> {
    found_with(workspace, SymbolQuery::new(name, fit, 10), Unsaved::new()).await
}

async fn until_known(workspace: &Workspace) {
    until_state(workspace, |state| state.symbols_known).await;
}

/// Files whose content the index knows for certain: later looks find nothing to do.
fn segments(fixture: &Fixture) -> Vec<std::path::PathBuf> {
    let codebase = std::fs::read_dir(&fixture.index_dir).unwrap().flatten();
    let files = codebase.flat_map(|folder| std::fs::read_dir(folder.path()).into_iter().flatten().flatten());
    files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "symbols")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_best_come_first() {
    let fixture = Fixture::new(&[
        ("a.c", "void ksmbd_vfs_read(void) {}\nvoid vfs_readv(void) {}\nvoid VFS_READ(void) {}\n"),
        ("near/b.c", "void vfs_read(void) {}\n"),
        ("far/away/c.c", "void vfs_read(void) {}\n"),
        ("other.rs", "struct Index; impl Index { fn vfs_reset_and(&self) {} }\n"),
    ]);
    let (engine, workspace) = open(&fixture);
    until_known(&workspace).await;
    let expected = [
        "far/away/c.c:1 vfs_read",
        "near/b.c:1 vfs_read",
        "a.c:3 VFS_READ",
        "a.c:2 vfs_readv",
        "a.c:1 ksmbd_vfs_read",
        "other.rs:1 vfs_reset_and",
    ];
    assert_eq!(found(&workspace, "vfs_read", Fit::Fuzzy).await, expected);
    assert_eq!(found(&workspace, "vfs_read", Fit::Exact).await, expected[..2]);
    assert_eq!(found(&workspace, "VFS_R", Fit::Prefix).await.len(), 5);
    assert_eq!(found(&workspace, "Index::vfs", Fit::Fuzzy).await, ["other.rs:1 vfs_reset_and"]);
    let near = SymbolQuery::new("vfs_read", Fit::Exact, 10).near(RelPath::new(Path::new("near")));
    assert_eq!(found_with(&workspace, near, Unsaved::new()).await, ["near/b.c:1 vfs_read", "far/away/c.c:1 vfs_read"]);
    let kinds = SymbolQuery::new("index", Fit::Fuzzy, 10).of_kinds([SymbolKind::Struct]);
    assert_eq!(found_with(&workspace, kinds, Unsaved::new()).await, ["other.rs:1 Index"]);
    assert_eq!(found(&workspace, "", Fit::Fuzzy).await, [""; 0]);
    engine.shutdown().await;
}

/// What a name is in may be written as it is where the name is used.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_name_is_in_is_a_package_a_folder_or_anything_around_it() {
    let fixture = Fixture::new(&[
        ("net/http/client.go", "package http\ntype Client struct{}\nfunc (c *Client) Do() {}\n"),
        ("net/rpc/client.go", "package rpc\ntype Client struct{}\n"),
        ("tokio/src/sync/mpsc/bounded.rs", "pub fn channel() {}\n"),
        ("tokio/src/sync/watch.rs", "pub fn channel() {}\n"),
        (
            "rt.rs",
            "struct LocalRuntime; impl LocalRuntime { fn run(&self) {} }\nstruct Runtime; impl Runtime { fn run(&self) {} }\n",
        ),
        ("a.sh", "ns::name() { :; }\n"),
    ]);
    let (engine, workspace) = open(&fixture);
    until_known(&workspace).await;
    let exact = async |name: &str| found(&workspace, name, Fit::Exact).await;
    assert_eq!(exact("http.Client").await, ["net/http/client.go:2 Client"]);
    assert_eq!(exact("net/http.Client").await, ["net/http/client.go:2 Client"]);
    assert_eq!(exact("(*Client).Do").await, ["net/http/client.go:3 Do"]);
    assert_eq!(exact("mpsc::channel()").await, ["tokio/src/sync/mpsc/bounded.rs:1 channel"]);
    assert_eq!(exact("tokio::sync::watch::channel").await, ["tokio/src/sync/watch.rs:1 channel"]);
    assert_eq!(exact("Runtime::run").await, ["rt.rs:2 run", "rt.rs:1 run"], "what is named so comes first");
    assert_eq!(exact("elsewhere::mpsc::channel").await, ["tokio/src/sync/mpsc/bounded.rs:1 channel"], "less will do");
    assert_eq!(exact("ns::name").await, ["a.sh:1 ns::name"], "it may be one name");
    engine.shutdown().await;
}

/// Of the same name there are many fields.
#[tokio::test(flavor = "multi_thread")]
async fn fields_come_last_among_equals() {
    let fixture = Fixture::new(&[("a.c", "struct a { int read; };\n"), ("b.c", "int read(void) { return 0; }\n")]);
    let (engine, workspace) = open(&fixture);
    until_known(&workspace).await;
    assert_eq!(found(&workspace, "read", Fit::Exact).await, ["b.c:1 read", "a.c:1 read"]);
    engine.shutdown().await;
}

/// A declaration is worth showing where there is nothing better.
#[tokio::test(flavor = "multi_thread")]
async fn declarations_are_found_where_nothing_is_defined() {
    let fixture = Fixture::new(&[
        ("a.h", "int both(void);\nint declared(void);\n"),
        ("a.c", "int both(void) { return 0; }\n"),
        ("b.hpp", "class Shape { virtual int area() = 0; };\nclass Square { int area() { return 1; } };\n"),
    ]);
    let (engine, workspace) = open(&fixture);
    until_known(&workspace).await;
    assert_eq!(found(&workspace, "both", Fit::Exact).await, ["a.c:1 both"]);
    assert_eq!(found(&workspace, "declared", Fit::Exact).await, ["a.h:2 declared"]);
    assert_eq!(found(&workspace, "area", Fit::Exact).await, ["b.hpp:2 area", "b.hpp:1 area"]);
    fixture.write("a.c", "int other(void) { return 0; }\n");
    assert_eq!(found(&workspace, "both", Fit::Exact).await, ["a.h:1 both"]);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_are_known_by_their_first_line() {
    let fixture =
        Fixture::new(&[("bin/run", "#!/usr/bin/env bash\nstart_all() { :; }\n"), ("bin/data", "start_all() { :; }\n")]);
    let (engine, workspace) = open(&fixture);
    until_known(&workspace).await;
    assert_eq!(found(&workspace, "start_all", Fit::Exact).await, ["bin/run:2 start_all"]);
    engine.shutdown().await;
}

/// Nobody types what isn't on their keyboard.
#[tokio::test(flavor = "multi_thread")]
async fn letters_with_marks_are_found_without() {
    let fixture = Fixture::new(&[("a.md", "# Der Überblick\n\n# Cafe\n")]);
    let (engine, workspace) = open(&fixture);
    until_known(&workspace).await;
    assert_eq!(found(&workspace, "uberblick", Fit::Fuzzy).await, ["a.md:1 Der Überblick"]);
    assert_eq!(found(&workspace, "café", Fit::Fuzzy).await, ["a.md:3 Cafe"]);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_renames_and_deletes_are_seen_at_once() {
    let fixture = Fixture::new(&[("a.c", "void before(void) {}\n"), ("b.c", "void stays(void) {}\n")]);
    let (engine, workspace) = open(&fixture);
    until_known(&workspace).await;
    fixture.write("a.c", "void after(void) {}\n");
    assert_eq!(found(&workspace, "after", Fit::Exact).await, ["a.c:1 after"]);
    assert_eq!(found(&workspace, "before", Fit::Exact).await, [""; 0]);
    std::fs::rename(fixture.root.join("b.c"), fixture.root.join("moved.c")).unwrap();
    assert_eq!(found(&workspace, "stays", Fit::Exact).await, ["moved.c:1 stays"]);
    std::fs::remove_file(fixture.root.join("moved.c")).unwrap();
    assert_eq!(found(&workspace, "stays", Fit::Exact).await, [""; 0]);
    // The same when all of it has been synced.
    until_known(&workspace).await;
    assert_eq!(found(&workspace, "after", Fit::Exact).await, ["a.c:1 after"]);
    assert_eq!(found(&workspace, "stays", Fit::Exact).await, [""; 0]);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unsaved_texts_stand_for_their_files() {
    let fixture = Fixture::new(&[("a.c", "void saved(void) {}\n")]);
    let (engine, workspace) = open(&fixture);
    until_known(&workspace).await;
    let unsaved = Unsaved::from([(RelPath::new(Path::new("a.c")).unwrap(), Arc::from("\nvoid typed(void) {}\n"))]);
    let exact = |name| SymbolQuery::new(name, Fit::Exact, 10);
    assert_eq!(found_with(&workspace, exact("typed"), unsaved.clone()).await, ["a.c:2 typed"]);
    assert_eq!(found_with(&workspace, exact("saved"), unsaved).await, [""; 0]);
    assert_eq!(found_with(&workspace, exact("saved"), Unsaved::new()).await, ["a.c:1 saved"]);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_worktree_and_another_start_parse_nothing() {
    let fixture = Fixture::new(&[]);
    for number in 0..200 {
        fixture.write(&format!("f{number}.c"), format!("void function_{number}(void) {{}}\n"));
    }
    let (engine, workspace) = open(&fixture);
    until_known(&workspace).await;
    engine.shutdown().await;
    let first = segments(&fixture);
    let (engine, workspace) = open(&fixture);
    until_known(&workspace).await;
    assert_eq!(segments(&fixture), first, "another start writes nothing");
    engine.shutdown().await;

    // A copy elsewhere, with the same place for indexes.
    let copy = fixture.root.with_file_name("copy");
    std::fs::create_dir(&copy).unwrap();
    for number in 0..200 {
        let name = format!("f{number}.c");
        std::fs::copy(fixture.root.join(&name), copy.join(&name)).unwrap();
    }
    let settings = fixture.settings();
    let engine = syncline::workspace::Engine::new(&settings);
    let workspace = engine.open(&copy, &settings).unwrap();
    until_known(&workspace).await;
    assert_eq!(found(&workspace, "function_77", Fit::Exact).await, ["f77.c:1 function_77"]);
    let names = |paths: &[std::path::PathBuf]| {
        let mut names: Vec<_> = paths.iter().map(|path| path.file_name().unwrap().to_owned()).collect();
        names.sort();
        names.dedup();
        names
    };
    assert_eq!(names(&segments(&fixture)), names(&first), "the copy uses the segments of the first");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_packs_are_made_again() {
    for damage in 0..3 {
        let fixture = Fixture::new(&[("a.c", "void one(void) {}\n"), ("b.rs", "fn two() {}\n")]);
        let (engine, workspace) = open(&fixture);
        until_known(&workspace).await;
        let segment = segments(&fixture).pop().unwrap();
        let mut bytes = std::fs::read(&segment).unwrap();
        let middle = bytes.len() / 3;
        match damage {
            0 => bytes.truncate(middle),
            1 => bytes[12] ^= 0xff,
            _ => bytes.clear(),
        }
        std::fs::write(&segment, &bytes).unwrap();
        // Under the open codebase first, then at its next start.
        for _ in 0..2 {
            found(&workspace, "one", Fit::Exact).await;
        }
        engine.shutdown().await;
        let (engine, workspace) = open(&fixture);
        until_known(&workspace).await;
        let state = until_fresh(&workspace).await;
        assert_eq!(state.health, Health::Ok);
        assert_eq!(found(&workspace, "one", Fit::Exact).await, ["a.c:1 one"], "damage {damage}");
        assert_eq!(found(&workspace, "two", Fit::Exact).await, ["b.rs:1 two"], "damage {damage}");
        engine.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_takes_what_the_first_has_parsed() {
    let server = RedisServer::start();
    let fixture = Fixture::new(&[]);
    for number in 0..50 {
        fixture.write(&format!("f{number}.c"), format!("void function_{number}(void) {{}}\n"));
    }
    let mut settings = fixture.settings();
    settings.queue = queue_settings(&server.url(), std::time::Duration::from_secs(5));
    let first = syncline::workspace::Engine::new(&settings);
    let workspace = first.open(&fixture.root, &settings).unwrap();
    until_state(&workspace, |state| state.backend == BackendKind::Redis && state.symbols_known).await;
    // What was parsed before Redis was there isn't left for others; a rebuild leaves it.
    workspace.rebuild();
    until_state(&workspace, |state| state.index.generation.0 >= 3 && state.symbols_known).await;

    // The other host has an index and symbol segments of its own.
    settings.index.dir = Some(fixture.root.with_file_name("elsewhere"));
    let second = syncline::workspace::Engine::new(&settings);
    let other = second.open(&fixture.root, &settings).unwrap();
    until_state(&other, |state| state.backend == BackendKind::Redis && state.symbols_known).await;
    assert_eq!(found(&other, "function_7", Fit::Exact).await, ["f7.c:1 function_7"]);
    let stats = other.cache().get_stats().await;
    let metadata = stats.iter().find(|(namespace, _)| *namespace == Namespace::Metadata).unwrap().1;
    assert!(metadata.hits >= 50, "{metadata:?}");
    first.shutdown().await;
    second.shutdown().await;
}

/// Whoever can write to Redis for a moment could plant definitions, which then stayed in the symbol segments for good.
#[tokio::test(flavor = "multi_thread")]
async fn symbols_that_somebody_planted_are_not_taken() {
    let server = RedisServer::start();
    let text = |number: usize| format!("void function_{number}(void) {{}}\n");
    let fixture = Fixture::new(&[]);
    (0..9).for_each(|number| fixture.write(&format!("f{number}.c"), text(number)));
    let mut settings = fixture.settings();
    settings.queue = queue_settings(&server.url(), std::time::Duration::from_secs(5));
    let open_fresh = async |settings: &syncline::core::settings::Settings| {
        let engine = syncline::workspace::Engine::new(settings);
        let workspace = engine.open(&fixture.root, settings).unwrap();
        until_state(&workspace, |state| state.backend == BackendKind::Redis && state.symbols_known).await;
        // What was parsed before Redis was there is neither left for others nor taken from them.
        workspace.rebuild();
        until_state(&workspace, |state| state.index.generation.0 >= 3 && state.symbols_known).await;
        (engine, workspace)
    };
    let (first, workspace) = open_fresh(&settings).await;
    let key = |number: usize| format!("symbols:C:{:032x}", syncline::index::ContentHash::of(text(number).as_bytes()).0);
    let cache = workspace.cache();
    let other = cache.get(Namespace::Metadata, &key(8)).await.expect("the first host leaves what it parsed");
    cache.set(Namespace::Metadata, &key(7), other).await;

    settings.index.dir = Some(fixture.root.with_file_name("elsewhere"));
    let (second, workspace) = open_fresh(&settings).await;
    assert_eq!(found(&workspace, "function_8", Fit::Exact).await, ["f8.c:1 function_8"]);
    assert_eq!(found(&workspace, "function_7", Fit::Exact).await, ["f7.c:1 function_7"]);
    let replaced = workspace.cache().get(Namespace::Metadata, &key(7)).await.expect("it is there");
    assert_ne!(replaced, workspace.cache().get(Namespace::Metadata, &key(8)).await.unwrap());
    first.shutdown().await;
    second.shutdown().await;
}

/// A repository may let huge files be indexed; parsing one took seconds, and memory by the hundreds of megabytes.
#[tokio::test(flavor = "multi_thread")]
async fn files_too_large_to_be_parsed_are_left_out_and_told_of() {
    let large = "int in_large(void) { return 0; }\n".repeat(130_000);
    let fixture = Fixture::new(&[("a.c", "int small(void) { return 0; }\n"), ("large.txt", &large)]);
    let mut settings = fixture.settings();
    settings.index.max_file_bytes = 1 << 30;
    let engine = syncline::workspace::Engine::new(&settings);
    let workspace = engine.open(&fixture.root, &settings).unwrap();
    let asked = async |name: &str, unsaved: Unsaved| {
        let view = workspace.view(Arc::new(unsaved), true).await.view;
        let query = SymbolQuery::new(name, Fit::Exact, 10);
        let answer = workspace.symbols(view, query, CancellationToken::new()).await;
        (answer.symbols.len(), answer.left_out, answer.given_up)
    };
    until_known(&workspace).await;
    assert_eq!(asked("small", Unsaved::new()).await, (1, false, false), "a text without a language is nobody's loss");
    let path = RelPath::new(Path::new("unsaved.c")).unwrap();
    assert_eq!(asked("small", Unsaved::from([(path.clone(), large.as_str().into())])).await, (1, false, true));
    assert_eq!(asked("in_large", Unsaved::from([(path, large.as_str().into())])).await, (0, false, true));
    // Dirty first, then in the index.
    fixture.write("large.c", &large);
    assert_eq!(asked("in_large", Unsaved::new()).await, (0, false, true));
    until_state(&workspace, |state| state.index.files == 3 && state.symbols_known).await;
    assert_eq!(asked("in_large", Unsaved::new()).await, (0, false, true));
    assert_eq!(asked("small", Unsaved::new()).await, (1, false, true));
    engine.shutdown().await;
}

/// Texts that take too much are remembered as such: they aren't tried again, and answers say that they are missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_was_given_up_stays_so() {
    let many = "#define A 1\n".repeat(140_000);
    let fixture = Fixture::new(&[("a.c", "int small(void) { return 0; }\n"), ("many.h", &many)]);
    for round in ["parsed", "opened again"] {
        let (engine, workspace) = open(&fixture);
        until_known(&workspace).await;
        let view = workspace.view(Arc::new(Unsaved::new()), true).await.view;
        let query = SymbolQuery::new("small", Fit::Exact, 10);
        let answer = workspace.symbols(view, query, CancellationToken::new()).await;
        assert_eq!((answer.symbols.len(), answer.left_out, answer.given_up), (1, false, true), "{round}");
        engine.shutdown().await;
    }
}

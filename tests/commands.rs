//! What all commands have in common: which codebase and settings they take, readers that leave, engines of other hosts.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use support::Fixture;

fn command(fixture: &Fixture, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"SYNCLINE_")) {
        command.env_remove(name);
    }
    command.env("XDG_CONFIG_HOME", &fixture.index_dir).env("SYNCLINE_INDEX_DIR", &fixture.index_dir);
    command.current_dir(&fixture.root).args(arguments).arg("--standalone");
    command
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn json_of(command: &mut Command) -> Value {
    serde_json::from_slice(&run(command).stdout).unwrap()
}

/// Folders of indexes.
fn indexes(fixture: &Fixture) -> usize {
    std::fs::read_dir(&fixture.index_dir).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count()
}

#[test]
fn a_folder_of_a_codebase_stands_for_it_with_its_settings() {
    let fixture = Fixture::new(&[
        (".syncline.toml", "nonsense = 1\n[index]\nexclude = [\"*.log\"]\n"),
        ("a.txt", "needle\n"),
        ("b.log", "needle\n"),
        ("sub/c.rs", "fn needle() {}\n"),
        ("sub/d.log", "needle\n"),
    ]);
    run(&mut command(&fixture, &["index"]));
    let sub = fixture.root.join("sub");
    let status = json_of(command(&fixture, &["status", "--json"]).current_dir(&sub));
    let index = &status["codebases"][0]["index"];
    assert_eq!((&index["files"], &index["differing"]), (&json!(2), &json!(0)), "{status}");
    assert_eq!(index["differingPaths"], json!([]), "{status}");
    let symbols = run(command(&fixture, &["symbols", "needle"]).current_dir(&sub));
    assert_eq!(String::from_utf8_lossy(&symbols.stdout), "sub/c.rs:1:4: function needle\n");
    // What is wrong with them is said once, in the folder as at the root.
    assert_eq!(String::from_utf8_lossy(&symbols.stderr).matches("nonsense").count(), 1);
    let doctor = command(&fixture, &["doctor", "--json"]).current_dir(&sub).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&doctor.stdout).matches("nonsense").count(), 1);
    // And it doesn't get an index of its own.
    let synced = run(&mut command(&fixture, &["sync", "sub"]));
    assert!(synced.stdout.starts_with(b"fresh: 2 files"), "{}", String::from_utf8_lossy(&synced.stdout));
    assert_eq!(indexes(&fixture), 1);
    assert_eq!(json_of(&mut command(&fixture, &["status", "--json"]))["codebases"][0]["index"]["differing"], 0);
}

/// Whoever doubts an index sees which files it has otherwise than the tree.
#[test]
fn status_names_files_that_differ() {
    let fixture = Fixture::new(&[("a.txt", "a\n"), ("b.txt", "b\n"), ("c.txt", "c\n")]);
    // Also what was written so shortly before it was indexed that its stat tells nothing is known to be the same.
    fixture.write("c.txt", "another\n");
    run(&mut command(&fixture, &["index"]));
    let status = json_of(&mut command(&fixture, &["status", "--json"]));
    assert_eq!(status["codebases"][0]["index"]["fresh"], true, "{status}");
    // So is what is too large to be indexed: searches read it.
    fixture.write("large.txt", vec![b'\n'; 5_000_000]);
    run(&mut command(&fixture, &["index"]));
    let status = json_of(&mut command(&fixture, &["status", "--json"]));
    assert_eq!(status["codebases"][0]["index"]["fresh"], true, "{status}");
    std::fs::remove_file(fixture.root.join("a.txt")).unwrap();
    std::fs::write(fixture.root.join("b.txt"), "another\n").unwrap();
    std::fs::write(fixture.root.join("new\n.txt"), "new\n").unwrap();
    let status = json_of(&mut command(&fixture, &["status", "--json"]));
    let index = &status["codebases"][0]["index"];
    assert_eq!(index["differing"], 3, "{status}");
    assert_eq!(index["differingPaths"], json!(["a.txt", "b.txt", "new\n.txt"]), "{status}");
    let text = run(&mut command(&fixture, &["status"]));
    let text = String::from_utf8_lossy(&text.stdout);
    assert!(
        text.contains("3 files differ from the tree\n          a.txt\n          b.txt\n          new\\n.txt\n"),
        "{text}"
    );
}

/// Something else that is wrong, here a Redis that isn't there, let symbols be left out.
#[test]
fn symbols_are_waited_for_though_something_else_is_amiss() {
    let fixture = Fixture::new(&[]);
    for number in 0..2000 {
        fixture.write(&format!("{number}.rs"), format!("fn name_{number}() {{}}\n"));
    }
    let mut index = command(&fixture, &["index", "--json"]);
    let state = json_of(index.env("SYNCLINE_QUEUE_REDIS_URL", "redis://127.0.0.1:1"));
    assert_eq!(state["health"], "degraded", "{state}");
    assert_eq!(state["index"]["symbols"], 2000, "{state}");
}

#[test]
fn a_reader_that_leaves_ends_a_command_in_order() {
    let fixture = Fixture::new(&[("a.rs", "fn needle() {}\n")]);
    run(&mut command(&fixture, &["index"]));
    let asked = [
        &["status"][..],
        &["status", "--json"],
        &["status", "--watch"],
        &["queue"],
        &["doctor"],
        &["doctor", "--json"],
        &["index"],
        &["index", "--json"],
        &["sync"],
        &["symbols", "needle"],
        &["search", "needle"],
        &["watch"],
        &["watch", "--json"],
        &["daemon", "status"],
        &["daemon", "status", "--json"],
        &["daemon", "stop"],
    ];
    for arguments in asked {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command(&fixture, arguments).env("XDG_RUNTIME_DIR", &fixture.index_dir).stdout(writer).output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), said.as_ref()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn engines_of_other_hosts_count_as_running_and_dead_ones_of_this_don_t() {
    let fixture = Fixture::new(&[("a.txt", "needle\n")]);
    let state = json_of(&mut command(&fixture, &["index", "--json"]));
    let status = json_of(&mut command(&fixture, &["status", "--json"]));
    let folder = Path::new(status["codebases"][0]["indexFolder"].as_str().unwrap()).to_owned();
    let here = syncline::core::Owner::new().host;
    let announce = |name: &str, host: &str| {
        let path = folder.join(name);
        // No process has this number.
        let engine = json!({"host": host, "pid": i32::MAX, "version": "0", "startedAt": 1, "state": state});
        std::fs::write(&path, engine.to_string()).unwrap();
        path
    };
    let theirs = announce("engine-1.json", &format!("not-{here}"));
    let ours = announce("engine-2.json", &here);
    let status = json_of(&mut command(&fixture, &["status", "--json"]));
    let engines = status["codebases"][0]["engines"].as_array().unwrap();
    assert_eq!(engines.iter().map(|engine| &engine["host"]).collect::<Vec<_>>(), [&json!(format!("not-{here}"))]);
    assert!(theirs.exists() && !ours.exists(), "what a dead one left is cleared away");
}

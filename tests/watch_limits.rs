//! What the system doesn't let be watched is told, and seen by events again once it does.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(target_os = "linux")]

mod support;

use std::process::{Command, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Fixture, open, search, until_state};
use syncline::workspace::{CodebaseState, Health};

const INSIDE: &str = "SYNCLINE_TEST_INSIDE";
/// Of this namespace of users only.
const INSTANCES: &str = "/proc/sys/user/max_inotify_instances";
const WATCHES: &str = "/proc/sys/user/max_inotify_watches";

/// Runs the test of this name once more, in a namespace whose limits are its own; gives whether this is that run.
fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", test]).env(INSIDE, "1").stdin(Stdio::null());
    let status = command.status().expect("unshare, of util-linux, runs");
    assert!(status.success(), "{status}");
    false
}

/// A limit that is there when a codebase is opened, and goes.
fn limit_goes(file: &str, low: &str, sentence: &str) {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        std::fs::write(file, low).unwrap();
        let fixture = Fixture::new(&[("a/a.txt", "needle\n"), ("b/b.txt", "needle\n"), ("c/c.txt", "needle\n")]);
        let (engine, workspace) = open(&fixture);
        let limited = |health: &Health| matches!(health, Health::Degraded(why) if why.contains(sentence));
        until_state(&workspace, |state| state.index.fresh && limited(&state.health)).await;
        std::fs::write(file, "100000").unwrap();
        // Found out by the next walk, whoever asks for it.
        workspace.sync().await;
        until_state(&workspace, |state| state.index.fresh && state.health == Health::Ok).await;
        fixture.write("c/new.txt", "needle\n");
        assert_eq!(search(&workspace, "needle").await.len(), 4, "the answer is certain, by events");
        engine.shutdown().await;
    });
}

#[test]
fn events_come_again_when_the_system_gives_an_instance() {
    if is_inside("events_come_again_when_the_system_gives_an_instance") {
        limit_goes(INSTANCES, "0", "fs.inotify.max_user_instances");
    }
}

#[test]
fn events_come_again_when_the_system_gives_more_watches() {
    if is_inside("events_come_again_when_the_system_gives_more_watches") {
        limit_goes(WATCHES, "3", "fs.inotify.max_user_watches");
    }
}

/// Without descriptors the rules of ignoring can't be read, and what is ignored looks like any other file.
#[test]
fn what_is_ignored_is_found_out_again_when_there_are_descriptors() {
    if !is_inside("what_is_ignored_is_found_out_again_when_there_are_descriptors") {
        return;
    }
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let fixture = Fixture::new(&[(".ignore", "*.log\n"), ("a.txt", "needle\n")]);
        let (engine, workspace) = open(&fixture);
        until_state(&workspace, |state| state.index.fresh).await;
        let before = getrlimit(Resource::Nofile);
        // None is left for the root, or one for it and none for its folders, or one more and none for ignore files.
        for left in 0..3 {
            // The listing itself has one open.
            let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64 - 1;
            std::fs::write(fixture.root.join("b.txt"), "needle\n").unwrap();
            std::fs::write(fixture.root.join("c.log"), "needle\n").unwrap();
            until_state(&workspace, |state| state.index.fresh && state.index.files == 2).await;
            setrlimit(Resource::Nofile, Rlimit { current: Some(open + left), ..before }).unwrap();
            std::fs::remove_file(fixture.root.join("b.txt")).unwrap();
            // An ignore file that goes and comes has the whole tree walked.
            std::fs::rename(fixture.root.join("c.log"), fixture.root.join("d.log")).unwrap();
            std::fs::rename(fixture.root.join(".ignore"), fixture.root.join(".ignore~")).unwrap();
            std::fs::rename(fixture.root.join(".ignore~"), fixture.root.join(".ignore")).unwrap();
            let lacking = |health: &Health| matches!(health, Health::Degraded(why) if why.contains("ulimit -n"));
            until_state(&workspace, |state| lacking(&state.health) && !state.index.fresh).await;
            setrlimit(Resource::Nofile, before).unwrap();
            let well =
                |state: &CodebaseState| state.health == Health::Ok && state.index.fresh && state.index.files == 1;
            until_state(&workspace, well).await;
            assert_eq!(search(&workspace, "needle").await.len(), 1, "{left} descriptors left");
        }
        engine.shutdown().await;
    });
}

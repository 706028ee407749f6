//! What raises no event in the tree: the next fresh search sees it all the same, and the index follows though nobody asks.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::{Fixture, Random, open, ripgrep, search, until_fresh, until_state};
use syncline::workspace::{Engine, Health, Workspace};

async fn assert_equal(fixture: &Fixture, workspace: &Workspace, when: &str) {
    assert_eq!(search(workspace, "needle").await, ripgrep(&fixture.root, "needle"), "{when}");
}

/// A codebase that is open, in a folder of a folder, so that there is something above it.
async fn opened(files: &[(&str, &str)]) -> (Fixture, Engine, Workspace) {
    let fixture = Fixture::new(files);
    let (engine, workspace) = open(&fixture);
    until_fresh(&workspace).await;
    assert_equal(&fixture, &workspace, "at the start").await;
    (fixture, engine, workspace)
}

fn git(folder: &Path, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.current_dir(folder).args(["-c", "user.name=t", "-c", "user.email=t@example.invalid"]).args(arguments);
    let output = git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null").output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A folder that becomes a link out of the root was followed, indexed and answered as fresh, for good.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_becomes_a_link_leads_nowhere() {
    let outside = Fixture::new(&[("id", "needle OUTSIDE\n"), ("deep/er", "needle OUTSIDE\n")]);
    let (fixture, engine, workspace) = opened(&[("keys/id", "needle\n"), ("keys/deep/er", "needle\n")]).await;
    let (keys, aside) = (fixture.root.join("keys"), fixture.root.join("aside"));
    for round in 0..20 {
        match round % 4 {
            0 => fs::remove_dir_all(&keys).unwrap(),
            1 => fs::rename(&keys, &aside).unwrap(),
            // The other way round, both at once.
            2 => {
                symlink(&outside.root, &aside).unwrap();
                rustix::fs::renameat_with(
                    rustix::fs::CWD,
                    &keys,
                    rustix::fs::CWD,
                    &aside,
                    rustix::fs::RenameFlags::EXCHANGE,
                )
                .unwrap();
            }
            _ => {
                fs::rename(keys.join("deep"), fixture.root.join("aside")).unwrap();
                symlink(outside.root.join("deep"), keys.join("deep")).unwrap();
            }
        }
        if round % 4 < 2 {
            symlink(&outside.root, &keys).unwrap();
        }
        assert_equal(&fixture, &workspace, &format!("round {round}: a link")).await;
        let _ = fs::remove_file(&keys).or_else(|_| fs::remove_dir_all(&keys));
        let _ = fs::remove_dir_all(&aside);
        fixture.write("keys/id", "needle\n");
        fixture.write("keys/deep/er", "needle\n");
        assert_equal(&fixture, &workspace, &format!("round {round}: a folder again")).await;
    }
    engine.shutdown().await;
}

/// As `git checkout` does it, of a branch on which a tracked folder is a link.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_that_makes_links_of_folders_leads_nowhere() {
    let outside = Fixture::new(&[("id", "needle OUTSIDE\n")]);
    let fixture = Fixture::new(&[("keys/id", "needle\n")]);
    fixture.git(&["init", "-q", "-b", "folder"]);
    fixture.git(&["add", "."]);
    fixture.git(&["commit", "-q", "-m", "folder"]);
    fixture.git(&["checkout", "-q", "-b", "link"]);
    fs::remove_dir_all(fixture.root.join("keys")).unwrap();
    symlink(&outside.root, fixture.root.join("keys")).unwrap();
    fixture.git(&["add", "-A"]);
    fixture.git(&["commit", "-q", "-m", "link"]);
    fixture.git(&["checkout", "-q", "folder"]);
    let (engine, workspace) = open(&fixture);
    until_fresh(&workspace).await;
    for branch in ["link", "folder"].into_iter().cycle().take(10) {
        fixture.git(&["checkout", "-q", branch]);
        assert_equal(&fixture, &workspace, branch).await;
    }
    engine.shutdown().await;
}

/// Rules above the root were compared for the command line only; an editor was answered by old ones, as fresh.
#[tokio::test(flavor = "multi_thread")]
async fn rules_above_the_root_count_at_once() {
    let (fixture, engine, workspace) = opened(&[("a.txt", "needle\n"), ("b.txt", "needle\n")]).await;
    let above = fixture.root.parent().unwrap();
    fs::write(above.join(".ignore"), "b.txt\n").unwrap();
    assert_equal(&fixture, &workspace, "an .ignore above").await;
    fs::write(above.join(".ignore"), "").unwrap();
    assert_equal(&fixture, &workspace, "which says nothing any more").await;
    fs::write(above.join(".gitignore"), "b.txt\n").unwrap();
    assert_equal(&fixture, &workspace, "a .gitignore without a repository").await;
    git(above, &["init", "-q"]);
    assert_equal(&fixture, &workspace, "git init above").await;
    fs::remove_file(above.join(".gitignore")).unwrap();
    fs::create_dir_all(above.join(".git/info")).unwrap();
    fs::write(above.join(".git/info/exclude"), "a.txt\n").unwrap();
    assert_equal(&fixture, &workspace, "info/exclude of the repository above").await;
    fs::remove_dir_all(above.join(".git")).unwrap();
    fs::write(above.join(".gitignore"), "b.txt\n").unwrap();
    assert_equal(&fixture, &workspace, "no repository any more").await;
    fs::create_dir(above.join(".jj")).unwrap();
    assert_equal(&fixture, &workspace, ".jj above").await;
    fs::remove_dir(above.join(".jj")).unwrap();
    assert_equal(&fixture, &workspace, "no .jj any more").await;
    engine.shutdown().await;
}

/// Each list of a repository was watched only where the root's was when it was walked.
#[tokio::test(flavor = "multi_thread")]
async fn every_repository_s_own_list_counts() {
    let (fixture, engine, workspace) = opened(&[("a.txt", "needle\n"), ("sub/b.txt", "needle\n")]).await;
    let root = &fixture.root;
    git(root, &["init", "-q", "--template="]);
    assert_equal(&fixture, &workspace, "a repository without a list").await;
    fs::create_dir_all(root.join(".git/info")).unwrap();
    fs::write(root.join(".git/info/exclude"), "a.txt\n").unwrap();
    assert_equal(&fixture, &workspace, "a list that came late").await;
    git(&root.join("sub"), &["init", "-q"]);
    fs::write(root.join("sub/.git/info/exclude"), "b.txt\n").unwrap();
    assert_equal(&fixture, &workspace, "the list of a nested repository").await;
    fs::write(root.join("sub/.git/info/exclude"), "").unwrap();
    assert_equal(&fixture, &workspace, "which says nothing any more").await;
    fs::create_dir(root.join(".jj")).unwrap();
    fs::remove_dir_all(root.join(".git")).unwrap();
    fixture.write(".gitignore", "a.txt\n");
    assert_equal(&fixture, &workspace, ".jj in place of .git").await;
    fs::remove_dir(root.join(".jj")).unwrap();
    assert_equal(&fixture, &workspace, "no repository").await;
    engine.shutdown().await;

    // A folder of a linked work tree, whose list is in the main one.
    let main = Fixture::new(&[("x/a.txt", "needle\n"), ("x/b.txt", "needle\n")]);
    main.git(&["init", "-q"]);
    main.git(&["add", "."]);
    main.git(&["commit", "-q", "-m", "x"]);
    let work = Fixture::new(&[]);
    let tree = work.root.join("tree");
    main.git(&["worktree", "add", "-q", tree.to_str().unwrap()]);
    let engine = Engine::new(&work.settings());
    for root in [tree.clone(), tree.join("x")] {
        let workspace = engine.open(&root, &work.settings()).unwrap();
        until_fresh(&workspace).await;
        for rules in ["b.txt\n", "", "a.txt\n"] {
            fs::write(main.root.join(".git/info/exclude"), rules).unwrap();
            assert_eq!(search(&workspace, "needle").await, ripgrep(&root, "needle"), "{root:?} {rules:?}");
        }
        fs::write(main.root.join(".git/info/exclude"), "").unwrap();
    }
    engine.shutdown().await;
}

/// Events tell of a link, not of what it leads to.
#[tokio::test(flavor = "multi_thread")]
async fn ignore_files_that_are_links_count_by_what_they_lead_to() {
    let (fixture, engine, workspace) = opened(&[("a.txt", "needle\n"), ("sub/b.txt", "needle\n"), ("conf", "")]).await;
    let shared = fixture.root.parent().unwrap().join("shared");
    symlink("conf", fixture.root.join(".ignore")).unwrap();
    assert_equal(&fixture, &workspace, "a link to a file of the tree").await;
    fixture.write("conf", "a.txt\n");
    assert_equal(&fixture, &workspace, "that file was written").await;
    symlink(&shared, fixture.root.join("sub/.rgignore")).unwrap();
    assert_equal(&fixture, &workspace, "a link that leads nowhere").await;
    fs::write(&shared, "b.txt\n").unwrap();
    assert_equal(&fixture, &workspace, "what it leads to appears").await;
    fs::write(&shared, "").unwrap();
    assert_equal(&fixture, &workspace, "and says nothing any more").await;
    fs::remove_file(&shared).unwrap();
    assert_equal(&fixture, &workspace, "and is gone").await;
    engine.shutdown().await;
}

/// Watches stay with the folders: nothing was ever found again.
#[tokio::test(flavor = "multi_thread")]
async fn another_tree_at_the_old_path_is_searched() {
    let fixture = Fixture::new(&[("src/tree/old.txt", "needle\n"), ("src/tree/sub/old.txt", "needle\n")]);
    let (src, root) = (fixture.root.join("src"), fixture.root.join("src/tree"));
    // The index stays where it is.
    let engine = Engine::new(&fixture.settings());
    let workspace = engine.open(&root, &fixture.settings()).unwrap();
    until_fresh(&workspace).await;
    for round in 0..3 {
        let aside = fixture.root.join(format!("src.{round}"));
        fs::rename(&src, &aside).unwrap();
        fixture.write(&format!("src/tree/new{round}.txt"), "needle\n");
        fixture.write("src/tree/sub/new.txt", "needle\n");
        assert_eq!(search(&workspace, "needle").await, ripgrep(&root, "needle"), "{round}: another tree");
        fixture.write("src/tree/sub/later.txt", "needle\n");
        assert_eq!(search(&workspace, "needle").await, ripgrep(&root, "needle"), "{round}: a write there");
        fs::write(aside.join("tree/sub/new.txt"), "needle, elsewhere\n").unwrap();
        assert_eq!(search(&workspace, "needle").await, ripgrep(&root, "needle"), "{round}: a write to the old one");
    }
    until_state(&workspace, |state| state.index.fresh && state.health == Health::Ok).await;
    engine.shutdown().await;
}

/// Who writes by another name raises no event at this one.
#[tokio::test(flavor = "multi_thread")]
async fn all_names_of_a_file_are_written_at_once() {
    // What is written has nothing in common with what was: the index would rule it out.
    let (fixture, engine, workspace) = opened(&[("x/in.txt", "other\n"), ("z.txt", "other\n")]).await;
    let root = &fixture.root;
    let outside = root.parent().unwrap().join("outside.txt");
    fs::create_dir(root.join("y")).unwrap();
    fs::hard_link(root.join("x/in.txt"), root.join("y/in.txt")).unwrap();
    assert_equal(&fixture, &workspace, "a second name").await;
    until_state(&workspace, |state| state.index.fresh && state.index.files == 3).await;
    fs::write(root.join("x/in.txt"), "needle by x\n").unwrap();
    assert_equal(&fixture, &workspace, "written by the first").await;
    fs::write(root.join("y/in.txt"), "needle by y\n").unwrap();
    assert_equal(&fixture, &workspace, "written by the second").await;
    fs::write(&outside, "other\n").unwrap();
    fs::hard_link(&outside, root.join("alone.txt")).unwrap();
    assert_equal(&fixture, &workspace, "a name of a file outside").await;
    until_state(&workspace, |state| state.index.fresh && state.index.pending == 0).await;
    fs::write(&outside, "needle from outside\n").unwrap();
    assert_equal(&fixture, &workspace, "written by a name outside").await;
    fs::write(&outside, "nothing\n").unwrap();
    let follows = |state: &syncline::workspace::CodebaseState| state.index.pending == 0 && state.index.fresh;
    let before = workspace.state().borrow().index.generation;
    until_state(&workspace, |state| follows(state) && state.index.generation > before).await;
    assert_equal(&fixture, &workspace, "and followed though nobody asked").await;
    fs::remove_file(&outside).unwrap();
    fs::remove_file(root.join("y/in.txt")).unwrap();
    fixture.write("x/in.txt", "needle\n");
    assert_equal(&fixture, &workspace, "with one name again").await;
    engine.shutdown().await;
}

/// A new name is told of, and what was written by it before that was looked at has to be found by the old one, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_written_by_a_name_that_it_has_just_got() {
    let (fixture, engine, workspace) = opened(&[("x/in.txt", "other\n"), ("y/in.txt", "other\n")]).await;
    let large = Fixture::new(&[]);
    (0..6000).for_each(|file| large.write(&format!("large/{}/{file}.txt", file % 50), format!("{file}\n")));
    let (away, there) = (large.root.join("large"), fixture.root.join("large"));
    for round in 0..5 {
        // What keeps the engine from looking at once: by then the clock has ticked, and the write is in what it sees.
        fs::rename(&away, &there).unwrap();
        let second = fixture.root.join(format!("y/second-{round}.txt"));
        fs::hard_link(fixture.root.join("x/in.txt"), &second).unwrap();
        fs::write(&second, format!("needle {round}\n")).unwrap();
        until_state(&workspace, |state| state.index.fresh && state.index.files == 6003).await;
        assert_equal(&fixture, &workspace, &format!("round {round}")).await;
        fs::remove_file(&second).unwrap();
        fs::rename(&there, &away).unwrap();
        until_state(&workspace, |state| state.index.fresh && state.index.files == 2).await;
    }
    engine.shutdown().await;
}

/// The name itself may be ignored.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_written_by_an_ignored_name() {
    let (fixture, engine, workspace) = opened(&[("in.txt", "other\n"), (".ignore", "*.log\n")]).await;
    let second = fixture.root.join("second.log");
    fs::hard_link(fixture.root.join("in.txt"), &second).unwrap();
    for round in 0..3 {
        fs::write(&second, format!("needle {round}\n")).unwrap();
        assert_equal(&fixture, &workspace, &format!("round {round}")).await;
    }
    engine.shutdown().await;
}

const INSIDE: &str = "SYNCLINE_TEST_INSIDE";

/// Runs the test `name` once more in namespaces of its own, made with these options; true for the one inside.
fn is_inside(name: &str, options: &[&str]) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut command = Command::new("unshare");
    command.args(options).arg(std::env::current_exe().unwrap()).args(["--exact", "--nocapture", name]);
    let status = command.env(INSIDE, "1").status().expect("unshare, of util-linux, runs");
    assert!(status.success(), "{status}");
    false
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A scan that is under way has read the rules that a new link leads to before they change, and notes so only when it is
/// over: comparing what was noted before says nothing of them.
#[tokio::test(flavor = "multi_thread")]
async fn rules_that_a_new_link_leads_to_count_at_once() {
    let outside = Fixture::new(&[("rules", "*.no\n")]);
    let (fixture, engine, workspace) = opened(&[("a.txt", "needle\n"), ("b.no", "needle\n")]).await;
    // A scan takes a few milliseconds.
    (0..4000).for_each(|file| fixture.write(&format!("d/{}/{file}.txt", file % 200), "other\n"));
    assert_equal(&fixture, &workspace, "at first").await;
    let (link, mut random) = (fixture.root.join(".ignore"), Random::new(5));
    for round in 0..30 {
        symlink(outside.root.join("rules"), &link).unwrap();
        // Somewhere in the scan that this begins.
        std::thread::sleep(Duration::from_micros(random.below(12_000) as u64));
        outside.write("rules", ["*.no\n", "*.txt\n"][round % 2]);
        assert_equal(&fixture, &workspace, &format!("round {round}")).await;
        fs::remove_file(&link).unwrap();
        assert_equal(&fixture, &workspace, &format!("round {round}, without")).await;
        // What was written so long ago isn't doubted.
        std::thread::sleep(Duration::from_millis(50));
    }
    engine.shutdown().await;
}

/// Something is mounted over a folder; a disk goes and another comes. Nothing tells but the table of mounts.
#[test]
fn what_is_mounted_is_searched() {
    if !is_inside("what_is_mounted_is_searched", &["--user", "--map-root-user", "--mount"]) {
        return;
    }
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let other = Fixture::new(&[("o.txt", "needle of another\n"), ("sub/p.txt", "needle of another\n")]);
        let (fixture, engine, workspace) =
            opened(&[("d/a.txt", "needle\n"), ("e/sub/b.txt", "needle\n"), ("c.txt", "needle\n")]).await;
        let [d, e] = ["d", "e"].map(|name| fixture.root.join(name).to_str().unwrap().to_owned());
        for _ in 0..3 {
            run("mount", &["--bind", other.root.to_str().unwrap(), &d]);
            assert_equal(&fixture, &workspace, "mounted over a folder").await;
            fixture.write("d/new.txt", "needle\n");
            assert_equal(&fixture, &workspace, "a write there").await;
            other.write("sub/p.txt", "needle, from the other side\n");
            assert_equal(&fixture, &workspace, "a write from the other side").await;
            fs::remove_file(fixture.root.join("d/new.txt")).unwrap();
            run("umount", &[&d]);
            assert_equal(&fixture, &workspace, "unmounted").await;
            // Twice in the same tree: who writes in one writes in both.
            run("mount", &["--bind", &e, &d]);
            fixture.write("e/sub/b.txt", "needle in both\n");
            assert_equal(&fixture, &workspace, "a folder of the tree, mounted in it").await;
            fixture.write("d/sub/b.txt", "needle by the other\n");
            assert_equal(&fixture, &workspace, "written by the other").await;
            run("umount", &[&d]);
            fixture.write("d/a.txt", "needle\n");
            fixture.write("e/sub/b.txt", "needle\n");
            assert_equal(&fixture, &workspace, "once only").await;
        }
        engine.shutdown().await;

        // A root whose disk goes, and another comes: the same device and number, as a rule.
        let disk = Fixture::new(&[]);
        let root = disk.root.to_str().unwrap();
        run("mount", &["-t", "tmpfs", "tmpfs", root]);
        disk.write("on.txt", "needle\n");
        let (engine, workspace) = open(&disk);
        until_fresh(&workspace).await;
        for round in 0..3 {
            run("umount", &[root]);
            run("mount", &["-t", "tmpfs", "tmpfs", root]);
            disk.write(&format!("new{round}.txt"), "needle\n");
            assert_equal(&disk, &workspace, "another disk").await;
            disk.write("later.txt", "needle\n");
            assert_equal(&disk, &workspace, "a write there").await;
        }
        engine.shutdown().await;
    });
}

/// One folder that can't be listed doubts nothing else: it is skipped as ripgrep skips it, and found once it can be.
#[test]
fn what_may_not_be_read_lacks_and_nothing_else() {
    // Where root is nobody in particular.
    if !is_inside("what_may_not_be_read_lacks_and_nothing_else", &["--user"]) {
        return;
    }
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let (fixture, engine, workspace) =
            opened(&[("a.txt", "needle\n"), ("d/b.txt", "needle\n"), ("d/sub/c.txt", "needle\n")]).await;
        let allow = |path: &str, mode| {
            fs::set_permissions(fixture.root.join(path), fs::Permissions::from_mode(mode)).unwrap();
        };
        for mode in [0o000, 0o111, 0o444, 0o000] {
            allow("d", mode);
            assert_equal(&fixture, &workspace, &format!("d has mode {mode:o}")).await;
            until_state(&workspace, |state| {
                matches!(&state.health, Health::Degraded(why) if why.contains("can't be listed")) && state.index.fresh
            })
            .await;
            fixture.write("a.txt", format!("needle {mode}\n"));
            assert_equal(&fixture, &workspace, "a write beside it").await;
            allow("d", 0o755);
            assert_equal(&fixture, &workspace, "it may be read again").await;
            fixture.write("d/sub/c.txt", format!("needle {mode}\n"));
            assert_equal(&fixture, &workspace, "a write in it").await;
            until_state(&workspace, |state| state.health == Health::Ok && state.index.fresh).await;
        }
        // Who knows a name may write there, and a walk doesn't see it.
        allow("d", 0o311);
        fixture.write("d/named.txt", "needle\n");
        assert_equal(&fixture, &workspace, "a write where nobody may list").await;
        allow("d", 0o755);
        assert_equal(&fixture, &workspace, "where one may again").await;
        fs::create_dir(fixture.root.join("new")).unwrap();
        allow("new", 0o000);
        assert_equal(&fixture, &workspace, "a new one").await;
        allow("new", 0o755);
        fixture.write("new/e.txt", "needle\n");
        assert_equal(&fixture, &workspace, "which may be read then").await;
        engine.shutdown().await;
    });
}

/// The root of what is mounted can't be read, and then can: only a watch of its own would tell, and couldn't be set.
#[test]
fn what_is_mounted_closed_is_searched_once_it_is_open() {
    let closed = ["--user", "--map-root-user", "--mount", "setpriv", "--bounding-set=-dac_override,-dac_read_search"];
    if !is_inside("what_is_mounted_closed_is_searched_once_it_is_open", &closed) {
        return;
    }
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let (fixture, engine, workspace) = opened(&[("a.txt", "needle\n"), ("d/b.txt", "needle\n")]).await;
        let other = Fixture::new(&[("c.txt", "needle\n"), ("sub/d.txt", "needle\n")]);
        let d = fixture.root.join("d");
        let allow = |mode| fs::set_permissions(&other.root, fs::Permissions::from_mode(mode)).unwrap();
        allow(0o000);
        run("mount", &["--bind", other.root.to_str().unwrap(), d.to_str().unwrap()]);
        assert_equal(&fixture, &workspace, "closed").await;
        until_state(&workspace, |state| state.index.fresh).await;
        allow(0o755);
        assert_equal(&fixture, &workspace, "open").await;
        run("umount", &[d.to_str().unwrap()]);
        assert_equal(&fixture, &workspace, "unmounted").await;
        engine.shutdown().await;
    });
}

/// Folders move into each other, become links and come back, over and over; each folder's watch has to follow it.
#[tokio::test(flavor = "multi_thread")]
async fn watches_follow_folders_wherever_they_go() {
    let names = ["a", "b", "c", "a/a", "a/b", "b/c", "b/c/a"];
    for seed in 1..=4 {
        let mut random = Random::new(seed);
        // What is written or moved through a link is its writer's own affair.
        let outside = Fixture::new(&[("f.txt", "needle OUTSIDE\n"), ("c/f.txt", "needle OUTSIDE\n")]);
        let (fixture, engine, workspace) = opened(&[("a/f.txt", "needle\n"), ("b/f.txt", "needle\n")]).await;
        for step in 0..120 {
            let [one, two] = [0; 2].map(|_| names[random.below(names.len())]);
            let [from, to] = [one, two].map(|name| fixture.root.join(name));
            // Most of these can't be done at most times; what can is.
            let done = match random.below(6) {
                0 => fs::rename(&from, &to),
                1 => fs::create_dir_all(&from),
                2 => fs::remove_dir_all(&from).or_else(|_| fs::remove_file(&from)),
                3 => symlink(&outside.root, &from),
                4 => symlink(&to, &from),
                _ => fs::write(from.join("f.txt"), format!("needle {step}\n")),
            };
            drop(done);
            if random.below(3) == 0 {
                assert_equal(&fixture, &workspace, &format!("seed {seed}, step {step}")).await;
            }
        }
        assert_equal(&fixture, &workspace, &format!("seed {seed}, at the end")).await;
        engine.shutdown().await;
    }
}

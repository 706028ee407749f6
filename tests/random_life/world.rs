//! A tree with what lies around it: folders above, files outside, the user's own rules, mounts.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::Fixture;

/// What makes the tree a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repository {
    None,
    /// Of two branches: on one the folder `a` is a link that leads out.
    Git,
    /// A worktree of the repository `main` beside it.
    Worktree,
    Jj,
}

/// Everything that lives.
pub struct World {
    /// Its root is two folders below `base`.
    pub fixture: Fixture,
    /// Where all of it is.
    pub base: PathBuf,
    /// The folder above the root.
    pub above: PathBuf,
    /// Files that are nobody's, by the same names as in the tree.
    pub outside: PathBuf,
    /// The user's own ignore file.
    pub excludes: PathBuf,
    pub repository: Repository,
    pub may_mount: bool,
    /// Whether what nobody may read can't be read here.
    pub may_close: bool,
    serial: usize,
}

/// Folders that become something else.
pub const FOLDERS: [&str; 4] = ["a", "b", "a/c", "b/a"];

impl World {
    /// A tree in which nothing has happened yet.
    pub fn new(seed: u64, home: &Path, may_mount: bool) -> World {
        let mut fixture = Fixture::new(&[]);
        let base = fixture.root.parent().unwrap().to_owned();
        let (above, outside) = (base.join("above"), base.join("outside"));
        fixture.root = above.join("tree");
        let repositories = [Repository::None, Repository::Git, Repository::Worktree, Repository::Jj];
        let repository = repositories[seed as usize % repositories.len()];
        let excludes = home.join("config/git/ignore");
        fs::create_dir_all(&above).unwrap();
        fs::create_dir_all(excludes.parent().unwrap()).unwrap();
        drop(fs::remove_file(&excludes));
        for folder in ["", "a", "a/c", "b"] {
            fs::create_dir_all(outside.join(folder)).unwrap();
            for number in 0..6 {
                fs::write(outside.join(folder).join(format!("f{number}.txt")), "line of somebody else\n").unwrap();
            }
        }
        if repository == Repository::Worktree {
            fixture.root = base.join("main");
            fs::create_dir(&fixture.root).unwrap();
            fixture.git(&["init", "-q"]);
            fixture.git(&["commit", "-q", "--allow-empty", "-m", "nothing"]);
            fixture.git(&["worktree", "add", "-q", "../above/tree"]);
            fixture.root = above.join("tree");
        }
        for path in ["start.txt", "a/f0.txt", "a/f1.txt", "a/c/f2.txt", "b/f3.txt"] {
            fixture.write(path, "line at the start\n");
        }
        fixture.write(".ignore", "ignored\n");
        match repository {
            Repository::None | Repository::Worktree => {}
            Repository::Jj => fs::create_dir(fixture.root.join(".jj")).unwrap(),
            Repository::Git => {
                fixture.git(&["init", "-q", "-b", "first"]);
                fixture.git(&["add", "."]);
                fixture.git(&["commit", "-q", "-m", "first"]);
                fixture.git(&["checkout", "-q", "-b", "linked"]);
                fs::remove_dir_all(fixture.root.join("a")).unwrap();
                symlink("../../outside/a", fixture.root.join("a")).unwrap();
                fixture.git(&["add", "."]);
                fixture.git(&["commit", "-q", "-m", "linked"]);
                fixture.git(&["checkout", "-q", "first"]);
            }
        }
        let closed = base.join("closed");
        fs::write(&closed, "").unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        let may_close = fs::read(&closed).is_err();
        if !may_close {
            eprintln!("skipped: what may not be read, since root reads everything");
        }
        World { fixture, base, above, outside, excludes, repository, may_mount, may_close, serial: 0 }
    }

    /// A number that none had before.
    pub fn next(&mut self) -> usize {
        self.serial += 1;
        self.serial
    }

    /// A path in the tree.
    pub fn at(&self, path: &str) -> PathBuf {
        self.fixture.root.join(path)
    }

    /// Writes a file where that is possible, as an editor saves in place.
    pub fn write(&self, path: &Path, text: &str) {
        drop(path.parent().map(fs::create_dir_all));
        drop(fs::write(path, text));
    }

    /// Makes all that is there readable.
    pub fn open(&self) {
        open(&self.base);
    }

    /// Where something is mounted below `base`, the last first.
    pub fn mounts(&self) -> Vec<PathBuf> {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let points = table.lines().filter_map(|line| line.split(' ').nth(4));
        let points = points.map(PathBuf::from).filter(|point| point.starts_with(&self.base));
        let mut points: Vec<_> = points.collect();
        points.reverse();
        points
    }

    /// Takes a mount away, even while somebody reads there.
    pub fn unmount(&self, at: &Path) {
        if !run("umount", &[at.as_os_str()]) {
            run("umount", &["-l".as_ref(), at.as_os_str()]);
        }
    }

    /// Ends what isn't for good.
    pub fn settle(&self) {
        self.mounts().iter().for_each(|point| self.unmount(point));
        self.open();
    }
}

/// Runs a program and gives whether it could do it.
pub fn run(program: &str, arguments: &[&std::ffi::OsStr]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn open(path: &Path) {
    let Ok(metadata) = path.symlink_metadata() else { return };
    let wanted = match metadata.file_type() {
        kind if kind.is_dir() => 0o755,
        kind if kind.is_file() => 0o644,
        _ => return,
    };
    // What is right already raises no event.
    if metadata.permissions().mode() & 0o444 != 0o444
        || metadata.is_dir() && metadata.permissions().mode() & 0o111 != 0o111
    {
        drop(fs::set_permissions(path, fs::Permissions::from_mode(wanted)));
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        open(&entry.path());
    }
}

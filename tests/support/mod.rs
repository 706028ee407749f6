//! What the tests share: trees on disk, engines on them, and waiting with a deadline.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use syncline::core::RelPath;
use syncline::core::settings::Settings;
use syncline::index::{MatchedLine, Pattern, Query, Unsaved};
use syncline::workspace::{CodebaseState, Engine, Workspace};
use tokio_util::sync::CancellationToken;

/// Longest that anything may take before a test fails.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Files, each with its matching lines.
pub type Found = BTreeMap<String, Vec<String>>;

/// A folder with files, and a place for its index beside it.
pub struct Fixture {
    _folder: tempfile::TempDir,
    pub root: PathBuf,
    pub index_dir: PathBuf,
}

impl Fixture {
    /// A tree with these files.
    pub fn new(files: &[(&str, &str)]) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        // Canonical, as an engine sees it.
        let base = folder.path().canonicalize().unwrap();
        let fixture = Fixture { root: base.join("tree"), index_dir: base.join("index"), _folder: folder };
        std::fs::create_dir(&fixture.root).unwrap();
        files.iter().for_each(|(path, text)| fixture.write(path, text));
        fixture
    }

    /// Writes a file, and the folders it needs.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Settings that keep its index beside it.
    pub fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.index.dir = Some(self.index_dir.clone());
        settings
    }

    /// Runs git in the tree.
    pub fn git(&self, args: &[&str]) {
        let mut git = std::process::Command::new("git");
        git.current_dir(&self.root).args(["-c", "user.name=t", "-c", "user.email=t@example.invalid"]).args(args);
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        let out = git.output().expect("git is installed");
        assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

/// Waits until a state fulfils `wanted`.
pub async fn until_state(workspace: &Workspace, wanted: impl Fn(&CodebaseState) -> bool) -> Arc<CodebaseState> {
    let mut states = workspace.state();
    let found = tokio::time::timeout(DEADLINE, states.wait_for(|state| wanted(state))).await;
    match found {
        Ok(found) => found.expect("the codebase is open").clone(),
        Err(_) => panic!("not within {DEADLINE:?}; the last state: {:#?}", workspace.state().borrow()),
    }
}

/// Waits until the index holds the tree.
pub async fn until_fresh(workspace: &Workspace) -> Arc<CodebaseState> {
    until_state(workspace, |state| state.index.fresh).await
}

/// The files that match, each with its matching lines; asked freshly.
pub async fn search(workspace: &Workspace, pattern: &str) -> Found {
    let (found, unreadable) = search_readable(workspace, pattern).await;
    assert_eq!(unreadable, Vec::<String>::new());
    found
}

/// As [`search`], where some files may not be readable: those follow.
pub async fn search_readable(workspace: &Workspace, pattern: &str) -> (Found, Vec<String>) {
    let fresh = workspace.view(Arc::new(Unsaved::new()), true).await;
    assert!(fresh.fresh, "can't tell whether anything is missing: {:#?}", workspace.state().borrow());
    let query = Query::new(&Pattern { patterns: vec![pattern.to_owned()], ..Pattern::default() }).unwrap();
    let found = Arc::new(Mutex::new(BTreeMap::new()));
    let add = found.clone();
    let end = workspace
        .search(fresh.view, query, Box::new(|_| true), usize::MAX, CancellationToken::new(), whole_lines, move |file| {
            let path = file.path.to_string();
            add.lock().unwrap().entry(path).or_insert_with(Vec::new).extend(texts(file.matches));
            ControlFlow::Continue(())
        })
        .await;
    (Arc::try_unwrap(found).unwrap().into_inner().unwrap(), end.unreadable)
}

/// What ripgrep finds in `root`, asked for whole lines by file.
pub fn ripgrep(root: &Path, pattern: &str) -> Found {
    let rg = std::env::var_os("SYNCLINE_TEST_RG")
        .expect("SYNCLINE_TEST_RG names ripgrep; run the tests by `cargo xtask test`");
    let mut command = std::process::Command::new(rg);
    command
        .args(["--no-config", "--sort=path", "--no-heading", "--null", "-N", "--regexp", pattern, "."])
        .current_dir(root);
    let out = command.output().expect("ripgrep runs");
    let mut found = Found::new();
    for line in String::from_utf8_lossy(&out.stdout).lines() {
        if let Some((path, text)) = line.split_once('\0') {
            found.entry(path.trim_start_matches("./").to_owned()).or_default().push(text.to_owned());
        }
    }
    found
}

/// An engine with `fixture` open.
pub fn open(fixture: &Fixture) -> (Engine, Workspace) {
    let settings = fixture.settings();
    let engine = Engine::new(&settings);
    let workspace = engine.open(&fixture.root, &settings).unwrap();
    (engine, workspace)
}

/// Waits for a condition of the outside world.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Numbers that look random, the same for the same seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}

/// Each match as its line: the number, the text. To be given to a search.
pub fn whole_lines(_: &RelPath, line: MatchedLine<'_>, found: &mut Vec<(u64, String)>) -> usize {
    let text = String::from_utf8_lossy(line.text);
    found.extend(line.matches.iter().map(|_| (line.number, text.clone().into_owned())));
    text.len() * line.matches.len()
}

/// The texts of the lines that [`whole_lines`] gave.
pub fn texts(mut matches: Vec<(u64, String)>) -> Vec<String> {
    matches.dedup_by_key(|(number, _)| *number);
    matches.into_iter().map(|(_, text)| text).collect()
}

//! Where searches are compared: a tree, its index, and both programs.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use syncline::core::{CodebaseId, CodebaseRoot, Dirty};
use syncline::index::{Index, Overlay, Update};
use syncline::watch::tree::TreeRules;
use tempfile::TempDir;

use crate::cases::Case;

/// Larger files are scanned, so that the fixture can have one.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// A tree to search, an empty home, and a folder for indexes.
pub struct Place {
    pub folder: TempDir,
    /// Searches ask the shared engine.
    pub shares: bool,
}

/// What a program said.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    code: Option<i32>,
    stdout: Vec<u8>,
}

impl Place {
    pub fn new() -> Place {
        let folder = TempDir::new().unwrap();
        for name in ["tree", "home", "indexes", "run"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Place { folder, shares: false }
    }

    pub fn tree(&self) -> PathBuf {
        self.folder.path().join("tree")
    }

    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.tree().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Has no two files been written at the same time: which comes first would be left to chance.
    pub fn space_times(&self) {
        let files = ignore::WalkBuilder::new(self.tree()).standard_filters(false).build().flatten();
        let begin = std::time::SystemTime::now() - Duration::from_secs(100_000);
        for (number, entry) in files.filter(|entry| entry.path().is_file()).enumerate() {
            let file = fs::File::options().append(true).open(entry.path()).unwrap();
            file.set_modified(begin + Duration::from_secs(number as u64)).unwrap();
        }
    }

    /// Brings the index of the tree up to date.
    pub fn index(&self) {
        // Files that changed just now are searched whatever the index says.
        std::thread::sleep(Duration::from_millis(100));
        let root = CodebaseRoot::open(&self.tree()).unwrap();
        let folder = self.folder.path().join("indexes").join(CodebaseId::of(&root).as_str());
        let (index, problems) = Index::open(&folder);
        assert!(problems.is_empty(), "{problems:?}");
        let cancel = tokio_util::sync::CancellationToken::new();
        let rules = TreeRules::new(root.as_path(), false, &[]).unwrap();
        let tree = rules
            .scan(
                root.as_path(),
                2,
                &cancel,
                &(std::sync::Arc::new(|_: &std::path::Path, _| {}) as syncline::watch::tree::Enter),
            )
            .unwrap();
        let difference = index.snapshot().difference(&tree.files, MAX_FILE_BYTES);
        let overlay = Overlay::default();
        overlay.mark_difference(difference, &overlay.view());
        let update = Update {
            index: &index,
            root: root.as_path(),
            overlay: &overlay,
            max_file_bytes: MAX_FILE_BYTES,
            memory: 400_000_000,
            threads: 2,
            cancel: &cancel,
            give_way: &Default::default(),
            progress: &|_, _| {},
            permit: &|| Ok(None),
        };
        update.run(&Dirty::Everything).unwrap();
    }

    pub fn command(&self, program: &OsStr, below: &str, arguments: &[OsString]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.tree().join(below))
            .stdin(Stdio::null())
            .env_remove("RIPGREP_CONFIG_PATH")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_STATE_HOME")
            .env("XDG_RUNTIME_DIR", self.folder.path().join("run"))
            .env("HOME", self.folder.path().join("home"))
            .env("SYNCLINE_INDEX_DIR", self.folder.path().join("indexes"));
        command
    }

    fn rg(&self, below: &str, arguments: &[OsString]) -> Answer {
        let mut all = vec!["--sort".into(), "path".into()];
        all.extend_from_slice(arguments);
        answer(&mut self.command(&ripgrep(), below, &all))
    }

    /// The beginning of a command line of ours.
    fn subcommand(&self, subcommand: &str) -> Vec<OsString> {
        let standalone = (!self.shares).then_some("--standalone");
        standalone.into_iter().chain([subcommand]).map(OsString::from).collect()
    }

    /// Has the shared engine, from now on asked by searches, open the tree and know it.
    pub fn share(&mut self) {
        self.shares = true;
        let output = self.command(program(), "", &self.subcommand("sync")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn syncline(&self, below: &str, arguments: &[OsString]) -> Answer {
        let mut all = self.subcommand("search");
        all.extend_from_slice(arguments);
        answer(&mut self.command(program(), below, &all))
    }

    /// What ripgrep says that reads `stdin`.
    pub fn rg_from(&self, stdin: Stdio, arguments: &[OsString]) -> Answer {
        let mut all = words("--sort path");
        all.extend_from_slice(arguments);
        answer(self.command(&ripgrep(), "", &all).stdin(stdin))
    }

    /// What we say.
    pub fn syncline_from(&self, stdin: Stdio, arguments: &[OsString]) -> Answer {
        let mut all = self.subcommand("search");
        all.extend_from_slice(arguments);
        answer(self.command(program(), "", &all).stdin(stdin))
    }

    /// What a search logs.
    pub fn log(&self, arguments: &[&str]) -> String {
        let mut all = words("--log-level debug");
        all.extend(self.subcommand("search"));
        all.extend(arguments.iter().map(OsString::from));
        let output = self.command(program(), "", &all).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        log.split('\u{1b}').map(|s| s.split_once('m').map_or(s, |(_, rest)| rest)).collect()
    }

    /// Whether the shared engine knows which files a search has to read.
    pub fn is_asked(&self, arguments: &[&str]) -> bool {
        let deadline = Instant::now() + Duration::from_secs(60);
        // An engine that has no time leaves the search to walk the tree by itself.
        while !self.log(arguments).contains("asked=true") {
            if Instant::now() > deadline {
                return false;
            }
        }
        true
    }

    /// How many files a search reads, and how many the index rules out.
    pub fn searched_and_ruled_out(&self, arguments: &[&str]) -> (usize, usize) {
        let plain = self.log(arguments);
        let number = |name: &str| {
            let rest = plain.split_once(name).unwrap_or_else(|| panic!("{name} is not in {plain}")).1;
            rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
        };
        (number(" files="), number("ruled_out="))
    }

    /// Asks both programs all of `cases`, and fails with the first answers that differ or when few have matches.
    pub fn compare(&self, state: &str, cases: &[Case]) {
        let found = self.compare_any(state, cases);
        assert!(found >= cases.len() / 2, "only {found} of {} searches find anything {state}", cases.len());
    }

    /// Asks both programs all of `cases` and fails with the first answers that differ; gives how many have matches.
    pub fn compare_any(&self, state: &str, cases: &[Case]) -> usize {
        let next = AtomicUsize::new(0);
        let different = Mutex::new(Vec::new());
        let found = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(Case { below, arguments }) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let (theirs, ours) = (self.rg(below, arguments), self.syncline(below, arguments));
                        found.fetch_add(usize::from(theirs.code == Some(0)), Ordering::Relaxed);
                        if theirs != ours {
                            let what = format!("in {below:?}: {arguments:?}\n--- rg\n{theirs}--- syncline\n{ours}");
                            different.lock().unwrap().push(what);
                        }
                    }
                });
            }
        });
        let different = different.into_inner().unwrap();
        let first = different.iter().take(3).cloned().collect::<Vec<_>>().join("\n");
        assert!(different.is_empty(), "{} of {} differ {state}:\n{first}", different.len(), cases.len());
        let found = found.into_inner();
        eprintln!("{} searches equal {state}, {found} of them with matches", cases.len());
        found
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.shares {
            let output = self.command(program(), "", &words("daemon stop")).output();
            assert!(output.is_ok_and(|output| output.status.success()) || std::thread::panicking(), "it ends");
        }
    }
}

fn program() -> &'static OsStr {
    OsStr::new(env!("CARGO_BIN_EXE_syncline"))
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = String::from_utf8_lossy(&self.stdout);
        let short: String = text.chars().take(3000).collect();
        writeln!(f, "{short:?}\nexit code {:?}", self.code)
    }
}

fn ripgrep() -> OsString {
    std::env::var_os("SYNCLINE_TEST_RG").expect("SYNCLINE_TEST_RG names no rg; run the tests by `cargo xtask test`")
}

fn answer(command: &mut Command) -> Answer {
    let output = command.output().unwrap();
    Answer { code: output.status.code(), stdout: without_times(output.stdout) }
}

/// What a program printed, without how long it took and, in JSON, without what we add to the summary.
fn without_times(stdout: Vec<u8>) -> Vec<u8> {
    if memchr::memmem::find(&stdout, b" seconds spent searching\n").is_some() {
        let lines = stdout.split_inclusive(|byte| *byte == b'\n');
        let told =
            lines.filter(|line| !line.ends_with(b" seconds spent searching\n") && !line.ends_with(b" seconds total\n"));
        return told.flatten().copied().collect();
    }
    if !stdout.starts_with(b"{\"type\":") && !stdout.starts_with(b"{\"data\":") {
        return stdout;
    }
    let text = String::from_utf8(stdout).unwrap();
    let ours = text.rfind(",\"syncline\":{").map(|at| (at, at + 1 + text[at..].find('}').unwrap()));
    let text = ours.map_or(text.clone(), |(from, to)| format!("{}{}", &text[..from], &text[to..]));
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("\"elapsed") {
        let begin = at + rest[at..].find('{').unwrap();
        out.push_str(&rest[..begin]);
        rest = &rest[begin + rest[begin..].find('}').unwrap()..];
    }
    (out + rest).into_bytes()
}

/// The words of a command line.
pub fn words(text: &str) -> Vec<OsString> {
    text.split_whitespace().map(OsString::from).collect()
}

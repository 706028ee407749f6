//! The index beside the tree: whatever is done to files, and whatever happens to processes and to the index's own files in
//! between, an answer is what a scan of the tree gives.
//!
//! Two stores on one folder stand for two processes. A step may end in a kill: the folder then is as it was at some moment
//! of the commit. Steps within a sync happen after its files were read and before it commits.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use syncline::core::files::TreeFile;
use syncline::core::{Dirty, RelPath};
use syncline::index::{
    Candidate, FileStat, Index, IndexError, Limits, Overlay, Pattern, Query, Unsaved, Update, Verdict, View,
    find_matches,
};
use tokio_util::sync::CancellationToken;

use support::{texts, whole_lines};

/// Larger files are scanned, not indexed.
const MAX_FILE_BYTES: u64 = 4096;
const PATHS: [&str; 12] =
    ["a", "a.txt", "b.txt", "d/a", "d/b.txt", "d/e/f", "d/e/g.txt", "d.txt", "h/i/j", "h/k", "ä", "z"];
const FOLDERS: [&str; 3] = ["d", "d/e", "h"];
const PATTERNS: [&str; 8] =
    ["line", "(?i)LINE alpha", "[a-f]{3}_[0-9]{2}", "alpha|omega", ".", r"\bgamma\w*", "delta$", "é+"];

/// A file's text: some with what makes texts special, most of equal length so that only their time tells them apart.
fn text(number: u8) -> Vec<u8> {
    match number % 12 {
        0 => Vec::new(),
        1 => b"line alpha\r\nomega\r\ndelta\r\n".to_vec(),
        2 => b"alpha\nline\0gamma\n".to_vec(),
        3 => [&[0xff, 0xfe][..], &"line omega é\n".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()]
            .concat(),
        4 => "gamma ray\n".repeat(500).into_bytes(),
        5 => b"\xff\xfe\xfd line \xe9 abc_12\n".to_vec(),
        n => {
            format!("line {} {n:02}\nabc_{n:02} delta\n", ["alpha", "omega", "gamma"][usize::from(n) % 3]).into_bytes()
        }
    }
}

/// What happens.
#[derive(Clone, Debug)]
enum Step {
    Write(usize, u8),
    Remove(usize),
    Rename(usize, usize),
    RemoveFolder(usize),
    /// A process syncs all that it knows to be dirty, or one path of it.
    Sync(usize, Option<usize>, Vec<Step>),
    /// Its turn is lost before it commits.
    SyncInVain(usize),
    Merge(usize),
    /// It builds the index anew.
    Rebuild(usize),
    /// It ends, and begins again.
    Restart(usize),
    /// It syncs or merges, and is killed before its commit counts, or right after that.
    Kill {
        who: usize,
        merges: bool,
        counts: bool,
    },
    /// Files change while no process runs.
    Away(Vec<Step>),
    /// One of the index's files is damaged.
    Damage {
        file: usize,
        how: u8,
        at: usize,
    },
    /// A crash of somebody else's left files behind.
    Litter(u8),
    /// Names that only manifests have are given to what is none.
    Plant(u8),
    /// Somebody removes all of the index, or a part, or puts something else in its place.
    Lose(u8, usize),
}

fn edit() -> impl Strategy<Value = Step> {
    let path = 0..PATHS.len();
    prop_oneof![
        6 => (path.clone(), any::<u8>()).prop_map(|(path, text)| Step::Write(path, text)),
        2 => path.clone().prop_map(Step::Remove),
        2 => (path.clone(), path).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => (0..FOLDERS.len()).prop_map(Step::RemoveFolder),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..2usize;
    let one = prop::option::weighted(0.3, 0..PATHS.len());
    let sync = (who.clone(), one.clone()).prop_map(|(who, one)| Step::Sync(who, one, Vec::new()));
    let meanwhile = prop::collection::vec(prop_oneof![edit(), sync], 1..4);
    prop_oneof![
        10 => edit(),
        6 => (who.clone(), one.clone()).prop_map(|(who, one)| Step::Sync(who, one, Vec::new())),
        3 => (who.clone(), one, meanwhile).prop_map(|(who, one, steps)| Step::Sync(who, one, steps)),
        1 => who.clone().prop_map(Step::SyncInVain),
        2 => who.clone().prop_map(Step::Merge),
        1 => who.clone().prop_map(Step::Rebuild),
        1 => who.clone().prop_map(Step::Restart),
        2 => (who, any::<bool>(), any::<bool>()).prop_map(|(who, merges, counts)| Step::Kill { who, merges, counts }),
        1 => prop::collection::vec(edit(), 1..5).prop_map(Step::Away),
        2 => (any::<usize>(), any::<u8>(), any::<usize>()).prop_map(|(file, how, at)| Step::Damage { file, how, at }),
        1 => any::<u8>().prop_map(Step::Litter),
        1 => any::<u8>().prop_map(Step::Plant),
        2 => (any::<u8>(), any::<usize>()).prop_map(|(how, which)| Step::Lose(how, which)),
    ]
}

/// What a process knows.
struct Process {
    index: Index,
    overlay: Overlay,
}

struct World {
    _folder: tempfile::TempDir,
    tree: PathBuf,
    folder: PathBuf,
    processes: [Process; 2],
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let (tree, index) = (folder.path().join("tree"), folder.path().join("index"));
        std::fs::create_dir(&tree).unwrap();
        let begin = || Process { index: Index::open(&index).0, overlay: Overlay::default() };
        let processes = [begin(), begin()];
        World { _folder: folder, tree, folder: index, processes }
    }

    /// All files, in path order.
    fn walk(&self) -> Vec<TreeFile> {
        fn below(root: &Path, folder: &Path, out: &mut Vec<TreeFile>) {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let metadata = entry.metadata().unwrap();
                match metadata.is_dir() {
                    true => below(root, &entry.path(), out),
                    false => out.push(TreeFile {
                        path: RelPath::below(root, &entry.path()).unwrap(),
                        stat: FileStat::of(&metadata),
                    }),
                }
            }
        }
        let mut files = Vec::new();
        below(&self.tree, &self.tree, &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }

    fn paths(&self) -> BTreeSet<RelPath> {
        self.walk().into_iter().map(|file| file.path).collect()
    }

    /// Edits a file. What the tree doesn't allow isn't done. Gives what an observer would look at.
    fn edit(&self, step: &Step) -> Vec<(RelPath, Verdict)> {
        let before = self.paths();
        let at = |path: usize| self.tree.join(PATHS[path]);
        let mut named = Vec::new();
        match step {
            Step::Write(path, number) => {
                named.push(*path);
                let _ = std::fs::create_dir_all(at(*path).parent().unwrap());
                let _ = std::fs::write(at(*path), text(*number));
            }
            Step::Remove(path) => _ = std::fs::remove_file(at(*path)),
            Step::Rename(from, to) => {
                named.extend([*from, *to]);
                let _ = std::fs::rename(at(*from), at(*to));
            }
            Step::RemoveFolder(folder) => _ = std::fs::remove_dir_all(self.tree.join(FOLDERS[*folder])),
            other => panic!("{other:?} is no edit"),
        }
        let after = self.paths();
        let named = named.into_iter().map(|path| RelPath::new(Path::new(PATHS[path])).unwrap());
        let looked: BTreeSet<_> = before.symmetric_difference(&after).cloned().chain(named).collect();
        let verdict = |path: &RelPath| if after.contains(path) { Verdict::Read } else { Verdict::Gone };
        looked.into_iter().map(|path| (path.clone(), verdict(&path))).collect()
    }

    /// Every process that runs sees an edit.
    fn edit_seen(&self, step: &Step) {
        let looked = self.edit(step);
        self.processes.iter().for_each(|process| process.overlay.mark(looked.clone()));
    }

    fn reconcile(&self, who: usize) {
        let Process { index, overlay } = &self.processes[who];
        overlay.mark_difference(index.snapshot().difference(&self.walk(), MAX_FILE_BYTES), &overlay.view());
    }

    fn restart(&mut self, who: usize) {
        self.processes[who] = Process { index: Index::open(&self.folder).0, overlay: Overlay::default() };
        self.reconcile(who);
    }

    fn sync(&self, who: usize, dirty: &Dirty, before_commit: impl FnMut() -> Result<(), IndexError> + Send) {
        self.update(who, dirty, before_commit);
        // What is in doubt is looked at.
        let Process { index, overlay } = &self.processes[who];
        overlay.mark(index.take_rechecks().into_iter().map(|path| (path, Verdict::Read)));
    }

    fn update(&self, who: usize, dirty: &Dirty, before_commit: impl FnMut() -> Result<(), IndexError> + Send) {
        let Process { index, overlay } = &self.processes[who];
        let before_commit = Mutex::new(before_commit);
        let (is_first, give_way) = (AtomicBool::new(true), CancellationToken::new());
        // One of them does a file at a time, as if others waited all the while.
        if who == 1 {
            give_way.cancel();
        }
        let update = Update {
            index,
            root: &self.tree,
            overlay,
            max_file_bytes: MAX_FILE_BYTES,
            memory: 400_000_000,
            threads: 1,
            cancel: &CancellationToken::new(),
            give_way: &give_way,
            progress: &|_, _| {},
            permit: &|| match is_first.swap(false, Ordering::Relaxed) {
                true => (before_commit.lock().unwrap())().map(|()| None),
                false => Ok(None),
            },
        };
        let mut left = usize::MAX;
        while left > 0 {
            left = match update.run(dirty) {
                Ok(updated) => updated.left,
                Err(IndexError::LeaseLost) => 0,
                // As after damage: what can't be used is left out, and the tree looked at again.
                Err(IndexError::Segment(_)) => {
                    self.repair(who);
                    0
                }
                Err(error) => panic!("{error}"),
            };
            assert!(left == 0 || who == 1, "nothing is left unless it gives way");
        }
    }

    fn merge(&self, who: usize) {
        match self.processes[who].index.merge(&self.processes[who].overlay) {
            Ok(_) => {}
            Err(IndexError::Segment(_)) => self.repair(who),
            Err(error) => panic!("{error}"),
        }
    }

    fn repair(&self, who: usize) {
        let Process { index, overlay } = &self.processes[who];
        index.forget_damaged(overlay).unwrap();
    }

    fn files_of_index(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
        files.sort();
        files
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Sync(who, one, meanwhile) => {
                let dirty = one.map_or(Dirty::Everything, |path| {
                    [RelPath::new(Path::new(PATHS[path])).unwrap()].into_iter().collect()
                });
                self.sync(*who, &dirty, || {
                    meanwhile.iter().for_each(|step| match step {
                        // A process syncs once at a time.
                        Step::Sync(other, ..) if other == who => {}
                        Step::Sync(other, ..) => self.sync(*other, &Dirty::Everything, || Ok(())),
                        edit => self.edit_seen(edit),
                    });
                    Ok(())
                });
            }
            Step::SyncInVain(who) => self.sync(*who, &Dirty::Everything, || Err(IndexError::LeaseLost)),
            Step::Merge(who) => self.merge(*who),
            Step::Rebuild(who) => {
                let Process { index, overlay } = &self.processes[*who];
                index.clear(overlay).unwrap();
            }
            Step::Restart(who) => self.restart(*who),
            Step::Kill { who, merges, counts } => {
                let kept = self.folder.with_file_name("kept");
                std::fs::create_dir(&kept).unwrap();
                let before = self.files_of_index();
                before.iter().for_each(|path| std::fs::hard_link(path, kept.join(path.file_name().unwrap())).unwrap());
                match merges {
                    true => self.merge(*who),
                    false => self.sync(*who, &Dirty::Everything, || Ok(())),
                }
                let is_manifest = |path: &Path| path.file_name().unwrap().to_str().unwrap().starts_with("manifest");
                let new = self.files_of_index().into_iter().filter(|path| !before.contains(path));
                new.filter(|path| is_manifest(path) && !counts).for_each(|path| std::fs::remove_file(path).unwrap());
                // What was to be removed after that still is there.
                for path in before.iter().filter(|path| !path.exists()) {
                    std::fs::hard_link(kept.join(path.file_name().unwrap()), path).unwrap();
                }
                std::fs::remove_dir_all(kept).unwrap();
                self.restart(*who);
            }
            Step::Away(edits) => {
                edits.iter().for_each(|step| drop(self.edit(step)));
                (0..2).for_each(|who| self.restart(who));
            }
            Step::Damage { file, how, at } => self.damage(*file, *how, *at),
            Step::Litter(number) => {
                let _ = std::fs::create_dir(&self.folder);
                let name = format!("{number:032x}");
                let bytes = vec![*number; usize::from(*number)];
                for name in [format!("{name}.segment"), format!("{name}.unfinished"), format!("{name}.symbols")] {
                    std::fs::write(self.folder.join(name), &bytes).unwrap();
                }
            }
            Step::Plant(number) => {
                let newest = Index::read(&self.folder).map_or(0, |index| index.generation.0);
                let names = [newest + 1, newest + 2, newest + 5, 1 << 53, u64::MAX - u64::from(*number)];
                for name in names.iter().take(usize::from(*number) % 5 + 1) {
                    let _ = std::fs::create_dir(&self.folder);
                    let path = self.folder.join(format!("manifest-{name:016x}"));
                    if std::fs::symlink_metadata(&path).is_err() {
                        match number % 3 {
                            0 => std::fs::create_dir(path).unwrap(),
                            _ => std::fs::write(path, vec![*number; usize::from(*number)]).unwrap(),
                        }
                    }
                }
            }
            Step::Lose(how, which) => self.lose(*how, *which),
            edit => self.edit_seen(edit),
        }
    }

    fn lose(&self, how: u8, which: usize) {
        let files = self.files_of_index();
        let elsewhere = self
            .folder
            .with_file_name(format!("elsewhere{}", std::fs::read_dir(self.folder.parent().unwrap()).unwrap().count()));
        let is_manifest = |path: &&PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("manifest");
        match how % 7 {
            0 => {
                let _ = std::fs::remove_dir_all(&self.folder);
            }
            1 => files.iter().for_each(|path| std::fs::remove_file(path).unwrap()),
            2 => files.iter().filter(is_manifest).for_each(|path| std::fs::remove_file(path).unwrap()),
            3 => {
                if let Some(newest) = files.iter().rfind(is_manifest) {
                    std::fs::remove_file(newest).unwrap();
                }
            }
            4 if self.folder.exists() => {
                // Not the same files any more.
                std::fs::rename(&self.folder, &elsewhere).unwrap();
                std::fs::create_dir(&self.folder).unwrap();
                let copy = |path: &PathBuf| {
                    let name = path.file_name().unwrap();
                    std::fs::copy(elsewhere.join(name), self.folder.join(name)).unwrap();
                };
                files.iter().for_each(copy);
            }
            #[cfg(unix)]
            5 if self.folder.exists() => {
                std::fs::rename(&self.folder, &elsewhere).unwrap();
                std::os::unix::fs::symlink(&elsewhere, &self.folder).unwrap();
            }
            _ => {
                if let Some(path) = files.get(which % files.len().max(1)) {
                    std::fs::remove_file(path).unwrap();
                }
            }
        }
    }

    fn damage(&mut self, file: usize, how: u8, at: usize) {
        let files = self.files_of_index();
        let Some(path) = files.get(file % files.len().max(1)) else { return };
        let mut bytes = std::fs::read(path).unwrap();
        let at = at % bytes.len().max(1);
        match how % 5 {
            0 if !bytes.is_empty() => {
                bytes[at] ^= 1 << (how / 5 % 8);
                // In place: whoever has it open sees it, too.
                std::fs::write(path, bytes).unwrap();
            }
            1 => std::fs::write(path, &bytes[..at.min(bytes.len())]).unwrap(),
            2 => std::fs::write(path, b"").unwrap(),
            3 => std::fs::remove_file(path).unwrap(),
            _ => std::fs::write(path, vec![0xa5; at]).unwrap(),
        }
    }

    /// What a process answers.
    fn answer(&self, who: usize, pattern: &str) -> BTreeMap<String, Vec<String>> {
        let Process { index, overlay } = &self.processes[who];
        let (snapshot, dirty) = index.with_newer(overlay);
        let view = View { dirty, snapshot, unsaved: Arc::new(Unsaved::new()) };
        let query = query(pattern);
        let candidates = view.candidates(&query.plan, |_| true);
        let found = self.search(&query, &candidates.files);
        if !candidates.damaged.is_empty() {
            self.repair(who);
        }
        found
    }

    /// What a scan of the tree gives.
    fn scan(&self, pattern: &str) -> BTreeMap<String, Vec<String>> {
        let all: Vec<_> = self.walk().into_iter().map(|file| Candidate { path: file.path, text: None }).collect();
        self.search(&query(pattern), &all)
    }

    fn search(&self, query: &Query, candidates: &[Candidate]) -> BTreeMap<String, Vec<String>> {
        let mut found = BTreeMap::new();
        let limits = Limits { max_results: usize::MAX, threads: 1 };
        let end = find_matches(&self.tree, query, candidates, limits, &CancellationToken::new(), whole_lines, |file| {
            found.entry(file.path.to_string()).or_insert_with(Vec::new).extend(texts(file.matches));
            ControlFlow::Continue(())
        });
        assert_eq!(end.unreadable, Vec::<String>::new());
        found
    }
}

fn query(pattern: &str) -> Query {
    Query::new(&Pattern { patterns: vec![pattern.to_owned()], ..Pattern::default() }).unwrap()
}

fn holds(steps: &[Step]) -> Result<(), TestCaseError> {
    let mut world = World::new();
    for (number, step) in steps.iter().enumerate() {
        world.take(step);
        for pattern in [PATTERNS[0], PATTERNS[number % PATTERNS.len()]] {
            let scanned = world.scan(pattern);
            for who in 0..2 {
                let answer = world.answer(who, pattern);
                prop_assert_eq!(
                    &answer,
                    &scanned,
                    "process {} misses or invents after step {}: {:?}",
                    who,
                    number,
                    step
                );
            }
        }
    }
    // Once all is synced, the index alone is the tree, to this process and to one that comes.
    for who in [0, 1, 0, 1] {
        // Even if nothing is left to do, what was lost is noticed.
        world.sync(who, &[].into_iter().collect(), || Ok(()));
        let mut rounds = 0;
        while !world.processes[who].overlay.view().is_empty() {
            world.sync(who, &Dirty::Everything, || Ok(()));
            rounds += 1;
            prop_assert!(rounds < 10, "it never comes to an end: {:?}", world.processes[who].overlay.view());
        }
        prop_assert_eq!(
            world.processes[who].index.snapshot().paths().into_iter().collect::<BTreeSet<_>>(),
            world.paths()
        );
    }
    let is_damaged = steps.iter().any(|step| matches!(step, Step::Damage { .. }));
    if let Some(index) = Index::read(&world.folder).filter(|_| !is_damaged) {
        prop_assert_eq!(index.paths().into_iter().collect::<BTreeSet<_>>(), world.paths(), "on disk");
    }
    world.restart(1);
    for pattern in PATTERNS {
        prop_assert_eq!(
            world.answer(1, pattern),
            support::ripgrep(&world.tree, pattern),
            "beside ripgrep: {}",
            pattern
        );
    }
    Ok(())
}

#[test]
fn an_answer_is_what_a_scan_gives_whatever_happens() {
    // As many as are made in seconds; for a long run, say how many.
    let cases = std::env::var("SYNCLINE_TEST_CASES").map_or(15, |cases| cases.parse().expect("a number of cases"));
    let config = Config { cases, max_shrink_iters: 500, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let last = RefCell::new(0);
    let outcome = runner.run(&prop::collection::vec(step(), 1..30), |steps| {
        *last.borrow_mut() += 1;
        holds(&steps)
    });
    if let Err(error) = outcome {
        panic!("after {} runs: {error}", last.borrow());
    }
}

/// A walk that sees a file as the walk before it did doesn't mark it once more. When the file had been read in between, and
/// was away just then, it was taken out of the index and nothing told of it any more.
#[test]
fn what_was_away_just_while_it_was_read_is_found() {
    let world = World::new();
    let (folder, elsewhere) = (world.tree.join("d"), world.folder.with_file_name("elsewhere"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a"), "line\n").unwrap();
    world.reconcile(0);
    std::fs::rename(&folder, &elsewhere).unwrap();
    world.sync(0, &Dirty::Everything, || {
        std::fs::rename(&elsewhere, &folder).unwrap();
        world.reconcile(0);
        Ok(())
    });
    assert_eq!(world.answer(0, "line"), world.scan("line"));
    world.sync(0, &Dirty::Everything, || Ok(()));
    assert_eq!(world.processes[0].index.snapshot().files(), 1);
    assert!(world.processes[0].overlay.view().is_empty());
}

/// Of two processes one may know that a file is ignored, or can't be had, before the other does. A commit on top of what the
/// other has committed brought it back into answers, until it was scanned.
#[test]
fn what_another_process_has_committed_is_not_believed() {
    let world = World::new();
    let path = |name: &str| RelPath::new(Path::new(name)).unwrap();
    let of = |names: &[&str]| Dirty::from_iter(names.iter().map(|name| path(name)));
    for name in ["a", "b", "c"] {
        std::fs::write(world.tree.join(name), "line\n").unwrap();
    }
    let [one, other] = &world.processes;
    one.overlay.mark([(path("a"), Verdict::Read)]);
    world.update(0, &of(&["a"]), || Ok(()));
    other.overlay.mark([(path("b"), Verdict::Read)]);
    world.update(1, &of(&["b"]), || Ok(()));
    let keys = |who| world.answer(who, "line").into_keys().collect::<Vec<_>>();
    assert_eq!(keys(1), ["b"]);

    // To the one, `b` is ignored, and `a` as well by now.
    one.overlay.mark([(path("a"), Verdict::Gone), (path("c"), Verdict::Read)]);
    world.update(0, &of(&["c"]), || Ok(()));
    assert_eq!(keys(0), ["c"]);
    assert_eq!(one.index.take_rechecks().into_iter().collect::<Vec<_>>(), [path("b")]);
    // Nor is it taken from the other, as long as nobody has looked at it.
    world.update(0, &Dirty::Everything, || Ok(()));
    assert_eq!(one.index.snapshot().paths().into_iter().collect::<Vec<_>>(), [path("b"), path("c")]);
    one.index.clear(&one.overlay).unwrap();
    assert_eq!(keys(0), ["c"]);
}

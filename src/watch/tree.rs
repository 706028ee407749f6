//! Walks of a codebase's tree, by the rules of what belongs to it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use thiserror::Error;
use tokio_util::sync::CancellationToken;

pub use super::rules::{
    FolderRules, Met, RuleError, RulesOutside, Ruling, TreeRules, decides_what_is_ignored, rules_outside,
};
use crate::core::RelPath;
use crate::core::files::TreeFile;
use crate::core::files::{EntryKind, FolderId, RootFolder, is_absent, is_out_of_descriptors};

/// What is done with each folder before its files are listed: its path, and which one it is.
pub type Enter = Arc<dyn Fn(&Path, FolderId) + Send + Sync>;

/// What a walk found.
#[derive(Debug, Default)]
pub struct Tree {
    /// The files, in path order.
    pub files: Vec<TreeFile>,
    /// Folders that can't be listed, and why; their files are lacking.
    pub unlisted: BTreeMap<PathBuf, String>,
    /// Files that couldn't be looked at, and why.
    pub unreadable: Vec<String>,
    /// Files with more names than one, which may be written by another of them.
    pub linked: Vec<TreeFile>,
    /// What was met on the way of deciding what belongs.
    pub met: Met,
}

impl Tree {
    /// The process lacked file descriptors: there may be more files, and some of these may be ignored.
    pub fn lacked_descriptors(&self) -> bool {
        self.met.lacked_descriptors
    }

    fn append(&mut self, other: &mut Tree) {
        self.files.append(&mut other.files);
        self.unlisted.append(&mut other.unlisted);
        self.unreadable.append(&mut other.unreadable);
        self.linked.append(&mut other.linked);
        self.met.append(&mut other.met);
    }
}

/// A walk that gave nothing.
#[derive(Debug, Error)]
pub enum WalkError {
    /// The root went away.
    #[error("the folder {0} is gone; the index is kept, and used again when the folder is back")]
    RootGone(PathBuf),
    /// The walk was given up on purpose.
    #[error("the walk was cancelled")]
    Cancelled,
}

impl TreeRules {
    /// Walks the whole tree on `threads` threads. Each folder is handed to `enter` before its files are listed, so that
    /// a watch set there sees whatever the walk misses. Blocks.
    ///
    /// # Errors
    /// When the root is gone or the walk was cancelled.
    pub fn scan(
        &self,
        root: &Path,
        threads: usize,
        cancel: &CancellationToken,
        enter: &Enter,
    ) -> Result<Tree, WalkError> {
        let gone = || WalkError::RootGone(root.to_owned());
        let open = match RootFolder::open(root) {
            Ok(open) => open,
            // Whether it is there can't be told now.
            Err(error) if is_out_of_descriptors(&error) => {
                let met = Met { lacked_descriptors: true, ..Met::default() };
                return Ok(Tree { met, ..Tree::default() });
            }
            Err(_) => return Err(gone()),
        };
        let mut ruling = Ruling::new(self, &open);
        let above = ruling.above();
        let met = std::mem::take(&mut ruling.met);
        let tree = self.walk(&open, Job { folder: None, rules: above }, met, threads, cancel, enter);
        match () {
            () if cancel.is_cancelled() => Err(WalkError::Cancelled),
            // A root that goes away during the walk looks like a tree without files.
            () if !root.is_dir() => Err(gone()),
            () => Ok(tree),
        }
    }

    /// Walks the tree below `dir`, which must be a folder that belongs to the codebase, by the rules that `ruling` knows.
    /// Blocks.
    pub fn scan_below(
        &self,
        root: &RootFolder,
        dir: &RelPath,
        ruling: &mut Ruling<'_>,
        cancel: &CancellationToken,
        enter: &Enter,
    ) -> Tree {
        let rules = ruling.of(dir.parent().as_ref());
        let rules = rules.unwrap_or_else(|| ruling.above());
        self.walk(root, Job { folder: Some(dir.clone()), rules }, Met::default(), 1, cancel, enter)
    }

    fn walk(
        &self,
        root: &RootFolder,
        from: Job,
        met: Met,
        threads: usize,
        cancel: &CancellationToken,
        enter: &Enter,
    ) -> Tree {
        let plan = Walk { rules: self, root, cancel, enter };
        let jobs = Jobs { state: Mutex::new(JobState { waiting: vec![from], working: 0 }), changed: Condvar::new() };
        let found = Mutex::new(Tree { met, ..Tree::default() });
        let worker = || {
            let mut mine = Tree::default();
            while let Some(mut claim) = jobs.next() {
                if !cancel.is_cancelled() {
                    plan.list(&claim.job, &mut mine, &mut claim.found);
                }
            }
            found.lock().unwrap_or_else(PoisonError::into_inner).append(&mut mine);
        };
        match threads {
            0 | 1 => worker(),
            _ => std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(worker)))),
        }
        let mut tree = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        tree.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        tree
    }
}

/// A folder to be listed, and the rules of the folder that holds it.
struct Job {
    /// The root, when `None`.
    folder: Option<RelPath>,
    rules: Arc<FolderRules>,
}

/// The folders that are still to be listed.
struct Jobs {
    state: Mutex<JobState>,
    changed: Condvar,
}

struct JobState {
    /// The newest is taken first, so that few wait.
    waiting: Vec<Job>,
    /// Those being listed, which may bring more.
    working: usize,
}

/// A folder that is being listed, and the folders found in it so far. Others may take those once it is dropped.
struct Claim<'a> {
    jobs: &'a Jobs,
    job: Job,
    found: Vec<Job>,
}

impl Jobs {
    /// The next one; `None` when there will be no more.
    fn next(&self) -> Option<Claim<'_>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(job) = state.waiting.pop() {
                state.working += 1;
                return Some(Claim { jobs: self, job, found: Vec::new() });
            }
            if state.working == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut state = self.jobs.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.working -= 1;
        state.waiting.append(&mut self.found);
        if !state.waiting.is_empty() || state.working == 0 {
            self.jobs.changed.notify_all();
        }
    }
}

struct Walk<'a> {
    rules: &'a TreeRules,
    root: &'a RootFolder,
    cancel: &'a CancellationToken,
    enter: &'a Enter,
}

impl Walk<'_> {
    /// Lists a folder: its files are put into `tree`, its folders into `after`.
    fn list(&self, job: &Job, tree: &mut Tree, after: &mut Vec<Job>) {
        let root = self.root.path();
        let path = job.folder.as_ref().map_or_else(|| root.to_owned(), |folder| folder.to_path(root));
        let listed = self.root.folder(job.folder.as_ref()).and_then(|folder| {
            let Some(mut folder) = folder else { return Ok(None) };
            (self.enter)(&path, folder.id);
            let entries = folder.entries()?;
            Ok(Some((folder, entries)))
        });
        let (folder, entries) = match listed {
            Ok(Some(listed)) => listed,
            // It went meanwhile, or became something else: an event tells.
            Ok(None) => return,
            Err(error) => {
                tree.met.lacked_descriptors |= is_out_of_descriptors(&error);
                tree.unlisted.insert(path, error.to_string());
                return;
            }
        };
        let rules = job.rules.within(root, &path, &folder, &entries, &mut tree.met);
        for entry in &entries {
            if self.cancel.is_cancelled() {
                return;
            }
            let found = match entry.kind {
                // Some file systems tell only when asked.
                None => folder.entry(&entry.name).map(|found| found.map(|found| (found.kind, Some(found)))),
                Some(kind) => Ok(Some((kind, None))),
            };
            let at = path.join(&entry.name);
            let (kind, found) = match found {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(error) => {
                    self.cannot_look(tree, &at, &error);
                    continue;
                }
            };
            if !matches!(kind, EntryKind::File | EntryKind::Folder) {
                continue;
            }
            if !self.rules.take_in(&rules, &at, kind == EntryKind::Folder) {
                continue;
            }
            // A name that can't be spelled can't be asked for either.
            let Some(relative) = RelPath::below(root, &at) else { continue };
            if kind == EntryKind::Folder {
                after.push(Job { folder: Some(relative), rules: rules.clone() });
                continue;
            }
            match found.map_or_else(|| folder.entry(&entry.name), |found| Ok(Some(found))) {
                // It may have become something else meanwhile.
                Ok(Some(found)) if found.kind == EntryKind::File => {
                    let file = TreeFile { path: relative, stat: found.stat };
                    if found.names > 1 {
                        tree.linked.push(file.clone());
                    }
                    tree.files.push(file);
                }
                Ok(_) => {}
                Err(error) => self.cannot_look(tree, &at, &error),
            }
        }
    }

    fn cannot_look(&self, tree: &mut Tree, path: &Path, error: &io::Error) {
        if !is_absent(error) {
            tree.met.lacked_descriptors |= is_out_of_descriptors(error);
            tree.unreadable.push(format!("{}: {error}", path.display()));
        }
    }
}

//! What no event tells, compared by `stat` whenever an answer is to be fresh, and now and then.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::ground::GroundWatch;
use super::outside::Outside;
use super::tree::Tree;
use crate::core::RelPath;
use crate::core::files::{Entry, RootFolder};
use crate::core::stat::{FileStat, now_ns};

/// Files with several names that are kept apart. With more nobody can be certain, and the tree is walked again and again.
const MOST_LINKED: usize = 200_000;

/// What no event tells of a codebase.
pub(super) struct Unseen {
    root: PathBuf,
    ground: GroundWatch,
    outside: Outside,
    /// Files with several names: who writes by another name raises no event at this one.
    linked: BTreeMap<RelPath, Linked>,
    overflowed: bool,
    /// Grows with everything that is noted and wasn't known.
    version: u64,
}

struct Linked {
    stat: FileStat,
    /// It had changed so shortly before that it may have changed once more without a trace.
    racy: bool,
}

/// What has changed.
pub(super) enum Changed {
    Nothing,
    /// What the codebase stands on.
    Ground,
    /// Something that decides what is ignored.
    Rules,
    /// These files, or maybe.
    Files(Vec<RelPath>),
}

impl Unseen {
    pub(super) fn new(root: &Path) -> Unseen {
        Unseen {
            root: root.to_owned(),
            ground: GroundWatch::new(root),
            outside: Outside::default(),
            linked: BTreeMap::new(),
            overflowed: false,
            version: 0,
        }
    }

    /// Whether the codebase stands on something else than when that was asked last.
    pub(super) fn ground_changed(&mut self) -> bool {
        self.ground.changed()
    }

    /// What has changed since it was noted.
    pub(super) fn compare(&mut self) -> Changed {
        if self.ground.changed() {
            return Changed::Ground;
        }
        if let Some(path) = self.outside.changed() {
            tracing::debug!(path = %path.display(), "what decides what is ignored has changed");
            return Changed::Rules;
        }
        if self.linked.is_empty() {
            return Changed::Nothing;
        }
        // A root that can't be opened is looked at by others.
        let Ok(root) = RootFolder::open(&self.root) else { return Changed::Nothing };
        let differs = |(path, linked): &(&RelPath, &Linked)| {
            linked.racy || !root.entry(path).is_ok_and(|entry| entry.is_some_and(|entry| entry.stat == linked.stat))
        };
        let changed: Vec<_> = self.linked.iter().filter(differs).map(|(path, _)| path.clone()).collect();
        if changed.is_empty() { Changed::Nothing } else { Changed::Files(changed) }
    }

    /// Which state of what is noted is compared: a scan that began before a comparison may note more after it.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Whether all of it is compared.
    pub(super) fn is_whole(&self) -> bool {
        !self.overflowed && self.outside.is_whole()
    }

    /// What a walk of the whole tree has found, in place of what was known.
    pub(super) fn replace(&mut self, tree: &mut Tree) {
        let (version, outside) = (self.version, std::mem::take(&mut self.outside));
        let linked = std::mem::take(&mut self.linked);
        self.overflowed = false;
        self.append(tree);
        let same_links = self.linked.iter().map(|(path, linked)| (path, linked.stat));
        let is_same =
            self.outside.is_like(&outside) && same_links.eq(linked.iter().map(|(path, linked)| (path, linked.stat)));
        self.version = version + u64::from(!is_same);
    }

    /// What a walk of a part has found.
    pub(super) fn append(&mut self, tree: &mut Tree) {
        self.version += u64::from(!tree.met.outside.is_empty());
        self.outside.append(&mut tree.met.outside);
        for file in tree.linked.drain(..) {
            self.insert(file.path, file.stat);
        }
    }

    /// Files that were looked at; `None` for those that are gone.
    pub(super) fn note_names(&mut self, files: impl IntoIterator<Item = (RelPath, Option<Entry>)>) {
        for (path, entry) in files {
            match entry.filter(|entry| entry.names > 1) {
                Some(entry) => self.insert(path, entry.stat),
                None => drop(self.linked.remove(&path)),
            }
        }
    }

    fn insert(&mut self, path: RelPath, stat: FileStat) {
        if self.linked.len() >= MOST_LINKED && !self.linked.contains_key(&path) {
            self.overflowed = true;
            return;
        }
        self.version += u64::from(self.linked.get(&path).is_none_or(|linked| linked.stat != stat));
        self.linked.insert(path, Linked { stat, racy: stat.is_racy(now_ns()) });
    }

    /// Parts of the tree whose file systems raise no events.
    pub(super) fn silent_parts(&self) -> Vec<RelPath> {
        self.ground.silent_parts()
    }
}

//! Which files belong to a codebase: ripgrep's rules of ignoring, and walks of the tree by them.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::overrides::{Override, OverrideBuilder};
use ignore::{DirEntry, ParallelVisitor, ParallelVisitorBuilder, WalkBuilder, WalkState};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::Xxh3;

use super::repository::pointed_to;
use crate::core::RelPath;
use crate::index::{FileStat, TreeFile};

/// Which files belong to a codebase.
#[derive(Clone, Debug)]
pub struct TreeRules {
    hidden: bool,
    exclude: Override,
}

/// A glob that isn't one.
#[derive(Debug, Error)]
#[error("index.exclude has a glob that can't be used: {0}")]
pub struct RuleError(#[from] ignore::Error);

/// What is done with each folder before its files are listed.
pub type Enter = Arc<dyn Fn(&Path) + Send + Sync>;

/// What a walk found.
#[derive(Debug, Default)]
pub struct Tree {
    /// The files, in path order.
    pub files: Vec<TreeFile>,
    /// Folders and files that couldn't be looked at, and why.
    pub unreadable: Vec<String>,
    /// The process lacked file descriptors: there may be more files, and some of these may be ignored.
    pub lacked_descriptors: bool,
}

/// A walk that gave nothing.
#[derive(Debug, Error)]
pub enum WalkError {
    /// The root went away.
    #[error("the folder {0} is gone; the index is kept, and used again when the folder is back")]
    RootGone(std::path::PathBuf),
    /// The walk was given up on purpose.
    #[error("the walk was cancelled")]
    Cancelled,
}

/// Descriptors that must be left after a walk. The walker takes an ignore file that it can't open for one that isn't
/// there, and doesn't tell; what other threads have open for a moment must not bring it there.
const SPARE: usize = 32;

/// Whether [`SPARE`] descriptors are left. Takes twice as many system calls.
fn has_descriptors(root: &Path) -> bool {
    let opened =
        std::fs::File::open(root).and_then(|one| (1..SPARE).map(|_| one.try_clone()).collect::<Result<Vec<_>, _>>());
    // A root that can't be opened for another reason says nothing of descriptors.
    opened.err().is_none_or(|error| !is_out_of_descriptors(&error))
}

/// Whether too many are open, in this process or in the whole system.
#[cfg(unix)]
fn is_out_of_descriptors(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let number = error.raw_os_error().map(Errno::from_raw_os_error);
    number.is_some_and(|number| [Errno::MFILE, Errno::NFILE].contains(&number))
}

/// There is no such limit here.
#[cfg(not(unix))]
fn is_out_of_descriptors(_: &std::io::Error) -> bool {
    false
}

/// What is in a folder can't be told now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unlisted;

/// The files that decide what is ignored: when one changes, any file may be affected.
pub fn decides_what_is_ignored(path: &RelPath) -> bool {
    let bytes = path.as_bytes();
    matches!(path.file_name(), b".gitignore" | b".ignore" | b".rgignore" | b".git") || bytes == b".git/info/exclude"
}

/// What decides from outside a codebase which of its files are ignored, as one number: it changes when any of it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RulesOutside(u64);

/// What decides, outside the codebase at `root`, which of its files are ignored: the ignore files of the folders above,
/// whether those are repositories, and the user's own ignore file. `None` when the latter depends on where one stands.
/// Takes a few dozen looks at files.
pub fn rules_outside(root: &Path) -> Option<RulesOutside> {
    let mut seen = Xxh3::new();
    for folder in root.ancestors().skip(1) {
        for name in [".gitignore", ".ignore", ".rgignore", ".git/info/exclude"] {
            see(&mut seen, &folder.join(name));
        }
        // Only whether it is there: a repository's own folder changes all the time.
        let is_repository = folder.join(".git").exists();
        seen.update(&[u8::from(is_repository)]);
    }
    // A work tree's repository is elsewhere.
    if let Some(folder) = pointed_to(root) {
        see(&mut seen, &folder.join("commondir"));
        see(&mut seen, &folder.join("info/exclude"));
        see(&mut seen, &folder.join("../../info/exclude"));
    }
    if let Some(path) = ignore::gitignore::gitconfig_excludes_path() {
        see(&mut seen, &path);
        let rules = std::fs::read(&path).unwrap_or_default();
        // With a slash that isn't its last, a glob is relative to the folder that one happens to be in.
        let is_anchored = |line: &[u8]| line.trim_ascii().strip_suffix(b"/").unwrap_or(line).contains(&b'/');
        if rules.split(|&b| b == b'\n').any(|line| !line.starts_with(b"#") && is_anchored(line)) {
            return None;
        }
    }
    Some(RulesOutside(seen.digest()))
}

fn see(seen: &mut Xxh3, path: &Path) {
    seen.update(path.as_os_str().as_encoded_bytes());
    match std::fs::metadata(path) {
        Ok(metadata) => seen.update(format!("{:?}", FileStat::of(&metadata)).as_bytes()),
        Err(_) => seen.update(b"\0"),
    }
}

impl TreeRules {
    /// Whether they are ripgrep's without flags: nothing more is left out, nothing hidden is taken in.
    pub fn are_ripgreps(&self) -> bool {
        !self.hidden && self.exclude.is_empty()
    }

    /// The rules for a codebase at `root`: ripgrep's own, with hidden files or without, less what the globs exclude.
    ///
    /// # Errors
    /// When a glob isn't one.
    pub fn new(root: &Path, hidden: bool, exclude: &[String]) -> Result<TreeRules, RuleError> {
        let mut builder = OverrideBuilder::new(root);
        for glob in exclude {
            builder.add(&format!("!{glob}"))?;
        }
        Ok(TreeRules { hidden, exclude: builder.build()? })
    }

    fn walk(&self, from: &Path) -> WalkBuilder {
        let mut builder = WalkBuilder::new(from);
        builder.hidden(!self.hidden).overrides(self.exclude.clone()).add_custom_ignore_filename(".rgignore");
        builder
    }

    /// Walks the whole tree on `threads` threads. Each folder is handed to `enter` before its files are listed, so that
    /// a watch set there sees whatever the walk misses. (A folder's turn in the walk would be too late: by then the
    /// walker has listed it.)
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
        if !root.is_dir() {
            return Err(WalkError::RootGone(root.to_owned()));
        }
        let tree = self.walk_from(root, root, threads, cancel, enter);
        match () {
            () if cancel.is_cancelled() => Err(WalkError::Cancelled),
            // A root that goes away during the walk looks like a tree without files.
            () if !root.is_dir() => Err(WalkError::RootGone(root.to_owned())),
            () => Ok(tree),
        }
    }

    /// Walks the tree below `dir`, which must be a folder that belongs to the codebase.
    pub fn scan_below(&self, root: &Path, dir: &RelPath, cancel: &CancellationToken, enter: &Enter) -> Tree {
        self.walk_from(root, &dir.to_path(root), 1, cancel, enter)
    }

    fn walk_from(&self, root: &Path, from: &Path, threads: usize, cancel: &CancellationToken, enter: &Enter) -> Tree {
        let found = Mutex::new(Tree::default());
        let mut visitors = Visitors { root, cancel, found: &found };
        enter(from);
        let entered = enter.clone();
        let mut walk = self.walk(from);
        // Asked for every entry that isn't ignored, when its parent is listed.
        walk.filter_entry(move |entry| {
            if entry.file_type().is_some_and(|kind| kind.is_dir()) {
                entered(entry.path());
            }
            true
        });
        walk.threads(threads).build_parallel().visit(&mut visitors);
        let mut tree = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        tree.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        tree.lacked_descriptors |= !has_descriptors(root);
        tree
    }

    /// Of the entries of the folder `dir` (the root, when `None`), those that belong to the codebase: files and folders.
    /// The folder itself must belong to it.
    ///
    /// # Errors
    /// When it can't be listed now, for whatever reason but that it is gone, or too few descriptors are left to know what
    /// is ignored.
    pub fn members(&self, root: &Path, dir: Option<&RelPath>) -> Result<Vec<(RelPath, bool)>, Unlisted> {
        let from = dir.map_or_else(|| root.to_owned(), |dir| dir.to_path(root));
        let mut members = Vec::new();
        for entry in self.walk(&from).max_depth(Some(1)).build() {
            let entry = match entry {
                Ok(entry) if entry.depth() == 1 => entry,
                Ok(_) => continue,
                Err(error) if error.io_error().is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound) => continue,
                Err(_) => return Err(Unlisted),
            };
            let kind = entry.file_type().filter(|kind| kind.is_file() || kind.is_dir());
            let member = kind.and_then(|kind| Some((RelPath::below(root, entry.path())?, kind.is_dir())));
            members.extend(member);
        }
        match has_descriptors(root) {
            true => Ok(members),
            false => Err(Unlisted),
        }
    }
}

impl TreeRules {
    /// Whether a file at `path`, or a folder, would belong to the codebase if there were one. Its folder must belong to it.
    ///
    /// Ripgrep's precedence: `.rgignore` of any folder, then `.ignore`, then git's rules within its work tree.
    pub fn would_belong(&self, root: &Path, path: &RelPath, is_dir: bool) -> bool {
        let file = path.to_path(root);
        if self.exclude.matched(&file, is_dir).is_ignore() || !self.hidden && path.file_name().starts_with(b".") {
            return false;
        }
        let folders = || file.ancestors().skip(1);
        let decide = |rules: &Gitignore| match rules.matched(&file, is_dir) {
            ignore::Match::Ignore(_) => Some(false),
            ignore::Match::Whitelist(_) => Some(true),
            ignore::Match::None => None,
        };
        // Of one kind of file, the nearest that says anything.
        let nearest = |name: &str| folders().find_map(|folder| decide(&Gitignore::new(folder.join(name)).0));
        let by_git = || {
            let repository = folders().find(|folder| folder.join(".git").exists())?;
            let within = || folders().take_while(|folder| folder.starts_with(repository));
            let exclude = || {
                let mut rules = GitignoreBuilder::new(repository);
                // Without the file, there are none.
                let _ = rules.add(repository.join(".git/info/exclude"));
                decide(&rules.build().ok()?)
            };
            let nearest = within().find_map(|folder| decide(&Gitignore::new(folder.join(".gitignore")).0));
            nearest.or_else(exclude).or_else(|| decide(&Gitignore::global().0))
        };
        nearest(".rgignore").or_else(|| nearest(".ignore")).or_else(by_git).unwrap_or(true)
    }
}

struct Visitors<'a> {
    root: &'a Path,
    cancel: &'a CancellationToken,
    found: &'a Mutex<Tree>,
}

impl<'s> ParallelVisitorBuilder<'s> for Visitors<'s> {
    fn build(&mut self) -> Box<dyn ParallelVisitor + 's> {
        let Visitors { root, cancel, found } = *self;
        Box::new(Visitor { root, cancel, found, mine: Tree::default() })
    }
}

struct Visitor<'a> {
    root: &'a Path,
    cancel: &'a CancellationToken,
    found: &'a Mutex<Tree>,
    mine: Tree,
}

impl ParallelVisitor for Visitor<'_> {
    fn visit(&mut self, entry: Result<DirEntry, ignore::Error>) -> WalkState {
        if self.cancel.is_cancelled() {
            return WalkState::Quit;
        }
        match entry {
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => match entry.metadata() {
                Ok(metadata) => {
                    let path = RelPath::below(self.root, entry.path());
                    let stat = FileStat::of(&metadata);
                    self.mine.files.extend(path.map(|path| TreeFile { path, stat }));
                }
                // It went between the listing and the look.
                Err(error) if error.io_error().is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound) => {}
                Err(error) => self.mine.cannot_look(&error),
            },
            Ok(_) => {}
            Err(error) if error.io_error().is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound) => {}
            Err(error) => self.mine.cannot_look(&error),
        }
        WalkState::Continue
    }
}

impl Tree {
    fn cannot_look(&mut self, error: &ignore::Error) {
        self.lacked_descriptors |= error.io_error().is_some_and(is_out_of_descriptors);
        self.unreadable.push(error.to_string());
    }
}

impl Drop for Visitor<'_> {
    fn drop(&mut self) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.files.append(&mut self.mine.files);
        found.unreadable.append(&mut self.mine.unreadable);
        found.lacked_descriptors |= self.mine.lacked_descriptors;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else a root that can't be opened would be told as a lack of descriptors.
    #[test]
    fn what_cannot_be_opened_lacks_no_descriptors() {
        assert!(has_descriptors(Path::new("/")));
        assert!(has_descriptors(Path::new("/there is no such folder")));
    }
}

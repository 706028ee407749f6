//! Which files belong to a codebase: ripgrep's rules of ignoring, decided in one place for walks, events and texts that
//! nobody has saved.
//!
//! What an ignore file says is read by the `ignore` crate; how those of many folders add up is here, as ripgrep has it:
//! `.rgignore` of any folder, then `.ignore`, then git's own rules within their work tree, then what hides by its name.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder, gitconfig_excludes_path};
use ignore::overrides::{Override, OverrideBuilder};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use xxhash_rust::xxh3::Xxh3;

use super::ground::Ground;
use super::outside::Outside;
use crate::core::RelPath;
use crate::core::files::{EntryKind, Folder, Listed, RootFolder, is_out_of_descriptors, open_following};

/// Longer files say nothing of what is ignored, bytes.
const LONGEST: u64 = 4 << 20;
/// Longer files don't say where a repository is, bytes.
const LONGEST_POINTER: u64 = 16 << 10;

/// The ignore files that a folder may have; the first counts most.
const FILES: [&str; 3] = [".rgignore", ".ignore", ".gitignore"];
/// What makes a folder a work tree, to ripgrep.
const REPOSITORIES: [&str; 2] = [".git", ".jj"];

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

/// The ignore files of a folder and of all above it.
pub struct FolderRules {
    above: Option<Arc<FolderRules>>,
    rgignore: Gitignore,
    ignore: Gitignore,
    gitignore: Gitignore,
    /// `info/exclude` of the repository that begins here.
    exclude: Gitignore,
    /// Git's rules of the folders above end here.
    is_repository: bool,
    /// This folder or one above is a repository's.
    is_in_repository: bool,
    /// The user's own rules, which count in repositories.
    users: Arc<Gitignore>,
    /// Somebody says something.
    says_anything: bool,
}

/// What was met on the way of reading ignore files.
#[derive(Debug, Default)]
pub struct Met {
    /// Where rules come from that file events don't tell of.
    pub outside: Outside,
    /// Ignore files that aren't read as such, one sentence each.
    pub odd: Vec<String>,
    /// Some couldn't be opened since too many descriptors were: what they say is missing.
    pub lacked_descriptors: bool,
}

/// The files that decide what is ignored: when one changes, any file may be affected.
pub fn decides_what_is_ignored(path: &RelPath) -> bool {
    let name = path.file_name();
    FILES.iter().chain(&REPOSITORIES).any(|decides| name == decides.as_bytes())
        || path.as_bytes() == b".git/info/exclude"
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

    /// Whether an entry of a folder with the rules `folder` belongs to the codebase, if that folder does. `path` is
    /// absolute.
    pub fn take_in(&self, folder: &FolderRules, path: &Path, is_folder: bool) -> bool {
        match self.exclude.matched(path, is_folder) {
            Match::Ignore(_) => return false,
            Match::Whitelist(_) => return true,
            Match::None => {}
        }
        match folder.say(path, is_folder) {
            Some(belongs) => belongs,
            None => self.hidden || !is_hidden(path),
        }
    }
}

/// Whether ripgrep takes what is at `path` for hidden.
fn is_hidden(path: &Path) -> bool {
    #[cfg(windows)]
    {
        use std::os::windows::fs::MetadataExt;
        /// From the system's own headers.
        const FILE_ATTRIBUTE_HIDDEN: u32 = 2;
        let attributes = std::fs::symlink_metadata(path).map_or(0, |metadata| metadata.file_attributes());
        if attributes & FILE_ATTRIBUTE_HIDDEN != 0 {
            return true;
        }
    }
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

impl FolderRules {
    /// The rules of all folders above the codebase at `root`, and the user's own. Takes a few dozen looks at files.
    pub fn above(root: &Path, met: &mut Met) -> Arc<FolderRules> {
        let users = note_users(met).and_then(|path| {
            // With a slash in the middle, a glob is relative to where ripgrep is started: here, the root.
            read_rules(root, &path, open_following(&path), met)
        });
        let mut rules = Arc::new(FolderRules {
            above: None,
            rgignore: Gitignore::empty(),
            ignore: Gitignore::empty(),
            gitignore: Gitignore::empty(),
            exclude: Gitignore::empty(),
            is_repository: false,
            is_in_repository: false,
            users: Arc::new(users.unwrap_or_else(Gitignore::empty)),
            says_anything: false,
        });
        let mut folders: Vec<_> = root.ancestors().skip(1).collect();
        folders.reverse();
        for folder in folders {
            note_above(folder, met);
            let files = FILES.map(|name| {
                let path = folder.join(name);
                read_rules(folder, &path, open_following(&path), met).unwrap_or_else(Gitignore::empty)
            });
            let is_repository = REPOSITORIES.map(|name| folder.join(name).exists());
            rules = rules.below(root, folder, files, is_repository, met);
        }
        rules
    }

    /// The rules within `folder`, at `path` (absolute) below these. `entries` are those of `folder`; `root` is the
    /// codebase's.
    pub fn within(
        self: &Arc<Self>,
        root: &Path,
        path: &Path,
        folder: &Folder,
        entries: &[Listed],
        met: &mut Met,
    ) -> Arc<FolderRules> {
        let decides = |entry: &&Listed| FILES.iter().chain(&REPOSITORIES).any(|name| entry.name == *name);
        let mut decisive = entries.iter().filter(decides).peekable();
        if decisive.peek().is_none() {
            return self.clone();
        }
        let tell = |entry: &Listed| entry.kind.map_or_else(|| folder.entry(&entry.name).ok()?.map(|e| e.kind), Some);
        let kinds: Vec<_> = decisive.filter_map(|entry| Some((&entry.name, tell(entry)?))).collect();
        let kind = |name: &str| kinds.iter().find(|(there, _)| *there == name).map(|(_, kind)| *kind);
        self.with(root, path, folder, kind, met)
    }

    /// The same, for a folder that isn't listed: each name is tried.
    fn tried(self: &Arc<Self>, root: &Path, path: &Path, folder: &Folder, met: &mut Met) -> Arc<FolderRules> {
        let kind = |name: &str| folder.entry(OsStr::new(name)).ok()?.map(|entry| entry.kind);
        self.with(root, path, folder, kind, met)
    }

    /// The rules within `folder`, where `kind` tells what is there by a name.
    fn with(
        self: &Arc<Self>,
        root: &Path,
        path: &Path,
        folder: &Folder,
        kind: impl Fn(&str) -> Option<EntryKind>,
        met: &mut Met,
    ) -> Arc<FolderRules> {
        let files = FILES.map(|name| match kind(name) {
            None | Some(EntryKind::Folder) => Gitignore::empty(),
            Some(kind) => {
                let file = path.join(name);
                if kind == EntryKind::Link {
                    // File events tell of the link, not of what it leads to.
                    met.outside.note(&file);
                }
                let opened = folder.open_following(OsStr::new(name));
                read_rules(path, &file, opened, met).unwrap_or_else(Gitignore::empty)
            }
        });
        let is_repository = REPOSITORIES.map(|name| match kind(name) {
            None => false,
            // Whatever it is; but a link must lead somewhere.
            Some(EntryKind::Link) => {
                let repository = path.join(name);
                met.outside.note_presence(&repository);
                repository.exists()
            }
            Some(_) => true,
        });
        self.below(root, path, files, is_repository, met)
    }

    /// These, and those of the folder at `path` below. A folder that says nothing has the rules of the one above.
    fn below(
        self: &Arc<Self>,
        root: &Path,
        path: &Path,
        [rgignore, ignore, gitignore]: [Gitignore; 3],
        [is_git, is_jj]: [bool; 2],
        met: &mut Met,
    ) -> Arc<FolderRules> {
        let exclude = if is_git { exclude_of(path, root, met) } else { Gitignore::empty() };
        let is_repository = is_git || is_jj;
        let says = [&rgignore, &ignore, &gitignore, &exclude].into_iter().any(|rules| !rules.is_empty());
        if !says && !is_repository {
            return self.clone();
        }
        let is_in_repository = is_repository || self.is_in_repository;
        let users = self.users.clone();
        let says_anything = says || self.says_anything || is_in_repository && !users.is_empty();
        let above = Some(self.clone());
        Arc::new(FolderRules {
            above,
            rgignore,
            ignore,
            gitignore,
            exclude,
            is_repository,
            is_in_repository,
            users,
            says_anything,
        })
    }

    /// What the ignore files say of an entry of this folder: that it belongs, that it doesn't, or nothing.
    fn say(&self, path: &Path, is_folder: bool) -> Option<bool> {
        if !self.says_anything {
            return None;
        }
        let ask = |rules: &Gitignore| match rules.matched(path, is_folder) {
            Match::Ignore(_) => Some(false),
            Match::Whitelist(_) => Some(true),
            Match::None => None,
        };
        // Of each kind, the nearest that says anything.
        let [mut rgignore, mut ignore, mut gitignore, mut exclude] = [None; 4];
        let mut is_within = self.is_in_repository;
        let mut folder = Some(self);
        while let Some(rules) = folder {
            rgignore = rgignore.or_else(|| ask(&rules.rgignore));
            ignore = ignore.or_else(|| ask(&rules.ignore));
            if is_within {
                gitignore = gitignore.or_else(|| ask(&rules.gitignore));
                exclude = exclude.or_else(|| ask(&rules.exclude));
            }
            is_within &= !rules.is_repository;
            folder = rules.above.as_deref();
        }
        let users = || if self.is_in_repository { ask(&self.users) } else { None };
        rgignore.or(ignore).or(gitignore).or(exclude).or_else(users)
    }
}

/// What decides from outside a codebase which of its files are found there, as one number: it changes when any of it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RulesOutside(u64);

/// What decides, outside the codebase at `root`, which of its files are found: which folder stands there and what is
/// mounted below it, the ignore files of the folders above, whether those are repositories, and the user's own ignore
/// file. `None` when the latter depends on where one stands. Takes a few dozen looks at files.
pub fn rules_outside(root: &Path) -> Option<RulesOutside> {
    let mut met = Met::default();
    if let Some(users) = note_users(&mut met) {
        let rules = open_following(&users).ok().and_then(|file| {
            let mut bytes = Vec::new();
            file.take(LONGEST).read_to_end(&mut bytes).ok()?;
            Some(bytes)
        });
        // With a slash that isn't its last, a glob is relative to the folder that one happens to be in.
        let is_anchored = |line: &[u8]| line.trim_ascii().strip_suffix(b"/").unwrap_or(line).contains(&b'/');
        let rules = rules.unwrap_or_default();
        if rules.split(|&b| b == b'\n').any(|line| !line.starts_with(b"#") && is_anchored(line)) {
            return None;
        }
    }
    root.ancestors().skip(1).for_each(|folder| note_above(folder, &mut met));
    for folder in root.ancestors() {
        if let Some(common) = common_folder(folder, root, &mut met) {
            met.outside.note(&common.join("info/exclude"));
        }
    }
    let mut sum = Xxh3::new();
    met.outside.feed(&mut sum);
    Ground::of(root).feed(&mut sum);
    Some(RulesOutside(sum.digest()))
}

/// Takes note of the ignore files of a folder above the codebase, and of whether it is a repository.
fn note_above(folder: &Path, met: &mut Met) {
    FILES.iter().for_each(|name| met.outside.note(&folder.join(name)));
    REPOSITORIES.iter().for_each(|name| met.outside.note_presence(&folder.join(name)));
}

/// Takes note of the user's own ignore file, and gives where it is.
fn note_users(met: &mut Met) -> Option<PathBuf> {
    let path = gitconfig_excludes_path()?;
    met.outside.note(&path);
    Some(path)
}

/// The rules in `file`, for what is below `folder`; `None` when there are none.
fn read_rules(folder: &Path, path: &Path, file: io::Result<File>, met: &mut Met) -> Option<Gitignore> {
    let file = match file {
        Ok(file) => file,
        Err(error) => {
            // One that may not be read has no rules, to ripgrep.
            met.lacked_descriptors |= is_out_of_descriptors(&error);
            return None;
        }
    };
    let mut odd = |what: &str| {
        met.odd.push(format!(
            "{} isn't read as an ignore file: {what}; what it ignores elsewhere counts here, so replace or remove it",
            path.display()
        ));
        None
    };
    let metadata = file.metadata().ok()?;
    if metadata.is_dir() {
        return None;
    }
    if !metadata.is_file() {
        return odd("it is no regular file");
    }
    let mut bytes = Vec::new();
    // What can't be read says nothing, to ripgrep; what could be says what it says.
    let _ = file.take(LONGEST + 1).read_to_end(&mut bytes);
    if bytes.len() as u64 > LONGEST {
        return odd("it is longer than 4 MiB");
    }
    let mut builder = GitignoreBuilder::new(folder);
    let lines = bytes.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    for (number, line) in lines.enumerate() {
        // Ripgrep reads no further than text.
        let Ok(line) = std::str::from_utf8(line) else { break };
        let line = if number == 0 { line.trim_start_matches('\u{feff}') } else { line };
        // A line that is no glob ignores nothing; ripgrep tells of it.
        let _ = builder.add_line(None, line);
    }
    builder.build().ok()
}

/// The rules in `info/exclude` of the repository whose work tree begins at `folder`. A path that a work tree gives in
/// relation to where one is counts from `root`, as for a ripgrep that is started there.
fn exclude_of(folder: &Path, root: &Path, met: &mut Met) -> Gitignore {
    let Some(common) = common_folder(folder, root, met) else { return Gitignore::empty() };
    let path = common.join("info/exclude");
    met.outside.note(&path);
    read_rules(folder, &path, open_following(&path), met).unwrap_or_else(Gitignore::empty)
}

/// Where git keeps what the work trees of the repository at `folder` have in common, as ripgrep finds it.
fn common_folder(folder: &Path, root: &Path, met: &mut Met) -> Option<PathBuf> {
    let git = folder.join(".git");
    if !git.metadata().ok()?.is_file() {
        return Some(git);
    }
    let at = root.join(first_line(&git, met)?.strip_prefix("gitdir: ")?);
    let pointer = at.join("commondir");
    met.outside.note(&pointer);
    let common = first_line(&pointer, met)?;
    Some(if common.starts_with('.') { at.join(common) } else { root.join(common) })
}

fn first_line(path: &Path, met: &mut Met) -> Option<String> {
    let file = open_following(path);
    let file = file.inspect_err(|error| met.lacked_descriptors |= is_out_of_descriptors(error)).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(LONGEST_POINTER).read_to_end(&mut bytes).ok()?;
    let line = bytes.split(|&byte| byte == b'\n').next()?;
    String::from_utf8(line.strip_suffix(b"\r").unwrap_or(line).to_vec()).ok()
}

/// The rules of the folders of a codebase, as far as they are asked for. They are those of one moment: to be made anew for
/// each piece of work.
pub struct Ruling<'a> {
    rules: &'a TreeRules,
    root: &'a RootFolder,
    above: Arc<FolderRules>,
    /// By folder; `None` for those that don't belong.
    folders: HashMap<RelPath, Option<Arc<FolderRules>>>,
    /// The root's own.
    roots: Option<Arc<FolderRules>>,
    /// What was met on the way.
    pub met: Met,
}

impl<'a> Ruling<'a> {
    /// By `rules`, in the codebase at `root`.
    pub fn new(rules: &'a TreeRules, root: &'a RootFolder) -> Ruling<'a> {
        let mut met = Met::default();
        let above = FolderRules::above(root.path(), &mut met);
        Ruling { rules, root, above, folders: HashMap::new(), roots: None, met }
    }

    /// The rules of the folders above the codebase.
    pub fn above(&self) -> Arc<FolderRules> {
        self.above.clone()
    }

    /// Whether a file or folder at `path`, which need not exist, belongs to the codebase. Folders above it that aren't
    /// there either have no rules of their own.
    pub fn takes_in(&mut self, path: &RelPath, is_folder: bool) -> bool {
        let Some(rules) = self.of(path.parent().as_ref()) else { return false };
        self.rules.take_in(&rules, &path.to_path(self.root.path()), is_folder)
    }

    /// The rules within a folder (the root, when `None`); `None` when it doesn't belong to the codebase.
    pub fn of(&mut self, folder: Option<&RelPath>) -> Option<Arc<FolderRules>> {
        let Some(folder) = folder else {
            if self.roots.is_none() {
                self.roots = Some(self.read(&self.above.clone(), None));
            }
            return self.roots.clone();
        };
        if let Some(known) = self.folders.get(folder) {
            return known.clone();
        }
        // Paths are as long as they are: this goes as deep as folders do.
        let above = self.of(folder.parent().as_ref());
        let above = above.filter(|above| self.rules.take_in(above, &folder.to_path(self.root.path()), true));
        let rules = above.map(|above| self.read(&above, Some(folder)));
        self.folders.insert(folder.clone(), rules.clone());
        rules
    }

    fn read(&mut self, above: &Arc<FolderRules>, folder: Option<&RelPath>) -> Arc<FolderRules> {
        match self.root.folder(folder) {
            Ok(Some(open)) => {
                let path = folder.map_or_else(|| self.root.path().to_owned(), |path| path.to_path(self.root.path()));
                above.tried(self.root.path(), &path, &open, &mut self.met)
            }
            Ok(None) => above.clone(),
            Err(error) => {
                self.met.lacked_descriptors |= is_out_of_descriptors(&error);
                above.clone()
            }
        }
    }
}

impl Met {
    /// Takes in what was met elsewhere.
    pub fn append(&mut self, other: &mut Met) {
        self.outside.append(&mut other.outside);
        self.odd.append(&mut other.odd);
        self.lacked_descriptors |= other.lacked_descriptors;
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests;

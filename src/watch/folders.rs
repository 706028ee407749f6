//! The folders of a codebase that were entered, and what is known of their watches.
//!
//! A folder's watch follows the folder, not its name, and `notify` knows each by one name. So a folder is known by which
//! one it is: found under another name, its watch moves along; found under two (it is mounted twice), what happens in it
//! is told of both.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::core::files::FolderId;

/// The folders that were entered.
#[derive(Default)]
pub(super) struct Folders {
    /// By name. In the order of bytes, all below a folder follow it closely.
    entered: BTreeMap<OsString, Entered>,
    names: HashMap<FolderId, Vec<PathBuf>>,
    /// Why folders can't be listed, and their files are lacking.
    unlisted: BTreeMap<PathBuf, String>,
    /// The walk that goes on, or was last.
    walk: u64,
}

struct Entered {
    id: FolderId,
    watch: Watch,
    /// The last walk that found it.
    walk: u64,
}

/// How a folder is watched.
#[derive(Debug)]
pub(super) enum Watch {
    /// It isn't, yet.
    Wanted,
    /// It is.
    Set,
    /// The system lets no more be watched.
    NoMore,
    /// It can't be, for another reason.
    Failed(String),
}

/// What there is to do for a folder that was found.
pub(super) enum Found {
    /// Nothing: its watch is set.
    Known,
    /// It is to be watched. Those names are another folder's by now, or were this one's: they are unwatched before.
    New {
        /// Names of the same folder, which may be so still.
        others: Vec<PathBuf>,
        /// The name was another folder's.
        replaces: bool,
    },
}

impl Folders {
    /// A walk of the whole tree begins.
    pub(super) fn begin_walk(&mut self) {
        self.walk += 1;
        self.unlisted.clear();
    }

    /// A walk of the whole tree has ended, which couldn't list the folders `unlisted`: gives the folders that it hasn't
    /// found, which are forgotten.
    pub(super) fn end_walk(&mut self, unlisted: &BTreeMap<PathBuf, String>) -> Vec<(PathBuf, FolderId)> {
        for (path, why) in unlisted {
            self.note_unlisted(path, why.clone());
        }
        let walk = self.walk;
        let lost = self.entered.iter().filter(|(_, entered)| entered.walk != walk);
        let lost: Vec<_> = lost.map(|(path, entered)| (PathBuf::from(path), entered.id)).collect();
        for (path, id) in &lost {
            self.forget_one(path);
            // The same folder's watch goes with the name.
            self.want_anew(*id);
        }
        lost
    }

    fn want_anew(&mut self, id: FolderId) {
        for name in self.names.get(&id).into_iter().flatten() {
            if let Some(entered) = self.entered.get_mut(name.as_os_str()) {
                entered.watch = Watch::Wanted;
            }
        }
    }

    /// The names of the folder `id` that aren't watched.
    pub(super) fn names_without_a_watch(&self, id: FolderId) -> Vec<PathBuf> {
        let names = self.names.get(&id).into_iter().flatten();
        names.filter(|name| !self.is_watched(name)).cloned().collect()
    }

    /// Whether the folder at `path` is watched.
    pub(super) fn is_watched(&self, path: &Path) -> bool {
        self.entered.get(path.as_os_str()).is_some_and(|entered| matches!(entered.watch, Watch::Set))
    }

    /// The folder `id` was found at `path`. To be told before it is listed.
    pub(super) fn find(&mut self, path: &Path, id: FolderId) -> Found {
        self.unlisted.remove(path);
        let walk = self.walk;
        let mut replaces = false;
        if let Some(entered) = self.entered.get_mut(path.as_os_str()) {
            entered.walk = walk;
            if entered.id == id && matches!(entered.watch, Watch::Set) {
                return Found::Known;
            }
            replaces = entered.id != id;
        }
        if replaces {
            self.forget_one(path);
        }
        self.entered.insert(path.into(), Entered { id, watch: Watch::Wanted, walk });
        // Where folders have no numbers, they aren't watched one by one either.
        let names = if id == FolderId::default() { None } else { Some(self.names.entry(id).or_default()) };
        let others = names.map_or_else(Vec::new, |names| {
            let others = names.iter().filter(|name| *name != path).cloned().collect();
            if !names.iter().any(|name| name == path) {
                names.push(path.to_owned());
            }
            others
        });
        Found::New { others, replaces }
    }

    /// How watching the folder `id` at `path` went, unless it has become another meanwhile.
    pub(super) fn note(&mut self, path: &Path, id: FolderId, watch: Watch) {
        if let Some(entered) = self.entered.get_mut(path.as_os_str()).filter(|entered| entered.id == id) {
            entered.watch = watch;
        }
    }

    /// The folder at `path` can't be listed.
    pub(super) fn note_unlisted(&mut self, path: &Path, why: String) {
        self.forget(path);
        self.unlisted.insert(path.to_owned(), why);
    }

    /// What is at `path` and below isn't known to be watched any more.
    pub(super) fn forget(&mut self, path: &Path) {
        let below = below(path);
        let gone: Vec<_> = self.entered.range(below.clone()).map(|(path, _)| PathBuf::from(path)).collect();
        gone.iter().for_each(|path| self.forget_one(path));
        // Other names of the same folder lose the watch with it.
        if let Some(id) = self.entered.get(path.as_os_str()).map(|entered| entered.id) {
            self.want_anew(id);
        }
        self.forget_one(path);
        self.unlisted.retain(|unlisted, _| !unlisted.starts_with(path));
    }

    fn forget_one(&mut self, path: &Path) {
        let Some(Entered { id, .. }) = self.entered.remove(path.as_os_str()) else { return };
        if let Some(names) = self.names.get_mut(&id) {
            names.retain(|name| name != path);
            if names.is_empty() {
                self.names.remove(&id);
            }
        }
    }

    /// Nothing is known to be watched any more.
    pub(super) fn forget_all(&mut self) {
        *self = Folders { walk: self.walk, ..Folders::default() };
    }

    /// Whether the folder at `path` was entered.
    pub(super) fn holds(&self, path: &Path) -> bool {
        self.entered.contains_key(path.as_os_str())
    }

    /// Whether the folder at `path` was found, and couldn't be listed.
    pub(super) fn is_unlisted(&self, path: &Path) -> bool {
        self.unlisted.contains_key(path)
    }

    /// Folders that couldn't be listed, and why.
    pub(super) fn unlisted(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.unlisted.iter().map(|(path, why)| (path.as_path(), why.as_str()))
    }

    /// Other names of the folder at `path`.
    pub(super) fn other_names(&self, path: &Path) -> Vec<PathBuf> {
        let names = self.entered.get(path.as_os_str()).and_then(|entered| self.names.get(&entered.id));
        names.map_or_else(Vec::new, |names| names.iter().filter(|name| *name != path).cloned().collect())
    }

    /// How many there are, how many aren't watched since the system lets no more be, and what else keeps one from being.
    pub(super) fn watching(&self) -> (usize, usize, Option<&str>) {
        let mut unwatched = 0;
        let mut failed = None;
        for entered in self.entered.values() {
            match &entered.watch {
                Watch::NoMore => unwatched += 1,
                Watch::Failed(why) => failed = failed.or(Some(why.as_str())),
                Watch::Wanted | Watch::Set => {}
            }
        }
        (self.entered.len(), unwatched, failed)
    }
}

/// The names of all that is below `path`.
fn below(path: &Path) -> std::ops::Range<OsString> {
    let with = |end: &str| {
        let mut name = path.as_os_str().to_owned();
        if name == OsStr::new(std::path::MAIN_SEPARATOR_STR) {
            name.clear();
        }
        name.push(end);
        name
    };
    // The separator, and what comes right behind it.
    match std::path::MAIN_SEPARATOR {
        '/' => with("/")..with("0"),
        _ => with("\\")..with("]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(inode: u64) -> FolderId {
        FolderId { device: 1, inode }
    }

    fn enter(folders: &mut Folders, path: &str, inode: u64) -> Found {
        let found = folders.find(Path::new(path), id(inode));
        folders.note(Path::new(path), id(inode), Watch::Set);
        found
    }

    #[test]
    fn what_is_below_a_folder_goes_with_it_and_nothing_beside_it() {
        let mut folders = Folders::default();
        for (inode, path) in ["/r", "/r/a", "/r/a/b", "/r/a-b", "/r/a0", "/r/ab"].into_iter().enumerate() {
            enter(&mut folders, path, inode as u64);
        }
        folders.forget(Path::new("/r/a"));
        let left: Vec<_> =
            ["/r", "/r/a", "/r/a/b", "/r/a-b", "/r/a0", "/r/ab"].map(|p| folders.holds(Path::new(p))).into();
        assert_eq!(left, [true, false, false, true, true, true]);
    }

    #[test]
    fn a_folder_is_known_by_which_one_it_is() {
        let mut folders = Folders::default();
        enter(&mut folders, "/r/a", 1);
        assert!(matches!(enter(&mut folders, "/r/a", 1), Found::Known));
        assert!(matches!(enter(&mut folders, "/r/a", 2), Found::New { replaces: true, .. }));
        match enter(&mut folders, "/r/b", 2) {
            Found::New { others, replaces: false } => assert_eq!(others, [Path::new("/r/a")]),
            _ => panic!("it is the same under another name"),
        }
        folders.begin_walk();
        enter(&mut folders, "/r/b", 2);
        assert_eq!(folders.end_walk(&BTreeMap::new()), [(PathBuf::from("/r/a"), id(2))]);
    }
}

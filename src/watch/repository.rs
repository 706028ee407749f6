//! The git repository around a codebase, as far as it tells what belongs to it and that much is about to change.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::core::files::open_regular;

/// Longer files don't say where a repository is, bytes.
const LONGEST_POINTER: u64 = 16 << 10;

/// Whether git is rewriting the work tree that holds the folder `root`, or may be: it holds the lock of its index from
/// before a checkout, merge or reset touches the first file until after the last one. Looks at a file for each folder
/// above.
pub fn is_being_rewritten(root: &Path) -> bool {
    let at = |folder: &Path| {
        let git = folder.join(".git");
        if git.is_dir() { Some(git) } else { pointed_to(folder) }
    };
    root.ancestors().find_map(at).is_some_and(|git| git.join("index.lock").exists())
}

/// Where git keeps what is about the work tree `folder`, if it is a linked one: `.git` is a file there that says so.
pub(super) fn pointed_to(folder: &Path) -> Option<PathBuf> {
    let mut pointer = String::new();
    open_regular(&folder.join(".git")).ok()??.take(LONGEST_POINTER).read_to_string(&mut pointer).ok()?;
    Some(folder.join(pointer.strip_prefix("gitdir:")?.trim()))
}

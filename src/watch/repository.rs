//! The git repository around a codebase, as far as it tells that much is about to change.

use std::path::Path;

/// Whether git is rewriting the work tree that holds the folder `root`, or may be: it holds the lock of its index from
/// before a checkout, merge or reset touches the first file until after the last one. Looks at a file for each folder
/// above.
pub fn is_being_rewritten(root: &Path) -> bool {
    let at = |folder: &Path| {
        let git = folder.join(".git");
        // In a linked work tree it is a file that says where the folder is.
        match std::fs::read_to_string(&git) {
            Ok(pointer) => Some(folder.join(pointer.strip_prefix("gitdir:")?.trim())),
            Err(_) => git.is_dir().then_some(git),
        }
    };
    root.ancestors().find_map(at).is_some_and(|git| git.join("index.lock").exists())
}

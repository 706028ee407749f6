//! The overlay: the files whose state on disk the index doesn't hold yet. A search reads them itself, so its answer is
//! right before the index is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::snapshot::Difference;
use crate::core::RelPath;
use crate::core::stat::FileStat;
use parking_lot::Mutex;

/// What a dirty path is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A file of the codebase: read it.
    Read,
    /// No file of the codebase any more: deleted, or ignored.
    Gone,
}

/// Why a path is in the overlay. The mark tells whether it became dirty once more since one looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dirt {
    /// What the path is now.
    pub verdict: Verdict,
    /// What a walk saw of it, if one did.
    seen: Option<FileStat>,
    /// Another process has it in the index and this one doesn't know it: searches pass it over, and it stays in the index,
    /// until a scan says what it is.
    in_doubt: bool,
    mark: u64,
}

impl Dirt {
    /// A walk saw a file there, and what it looked like.
    pub(super) fn is_seen(&self) -> bool {
        self.seen.is_some()
    }

    /// Whether a scan is to say what it is before the index changes.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }
}

/// The dirty paths at one moment.
pub type Dirtied = Arc<BTreeMap<RelPath, Dirt>>;

/// The overlay of one codebase.
#[derive(Default)]
pub struct Overlay {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    dirty: Dirtied,
    next_mark: u64,
}

impl Overlay {
    /// Puts paths in: from now on searches read them.
    pub fn mark(&self, paths: impl IntoIterator<Item = (RelPath, Verdict)>) {
        let mut state = self.state.lock();
        state.next_mark += 1;
        let mark = state.next_mark;
        let dirty = Arc::make_mut(&mut state.dirty);
        dirty.extend(
            paths.into_iter().map(|(path, verdict)| (path, Dirt { verdict, seen: None, in_doubt: false, mark })),
        );
    }

    /// Puts in what a walk found to differ from the index, as it and the overlay were together when the overlay was
    /// `before`. A file that is in already, and looks as it did to the walk that put it in, isn't dirty once more: the
    /// work that is under way for it, or was done since, needn't be done again. Gives the others.
    pub fn mark_difference(&self, difference: Difference, before: &Dirtied) -> Vec<RelPath> {
        let mut state = self.state.lock();
        state.next_mark += 1;
        let mark = state.next_mark;
        let dirty = Arc::make_mut(&mut state.dirty);
        let changed = difference.changed.into_iter().map(|file| (file.path, Verdict::Read, Some(file.stat)));
        let gone = difference.gone.into_iter().map(|path| (path, Verdict::Gone, None));
        let mut marked = Vec::new();
        for (path, verdict, seen) in changed.chain(gone) {
            let is_same = |dirt: &Dirt| dirt.verdict == verdict && dirt.seen == seen && !dirt.in_doubt;
            // What has left since was settled: the index holds it.
            let known = dirty.get(&path).or_else(|| before.get(&path)).is_some_and(is_same);
            if !known {
                marked.push(path.clone());
                dirty.insert(path, Dirt { verdict, seen, in_doubt: false, mark });
            }
        }
        marked
    }

    /// Puts paths in that the next commit may hold otherwise than this process knew them, as it knew them: by the overlay,
    /// or else by the index, of which `was_indexed` tells. Leaves in `paths` those that are to be looked at: what is about
    /// to be read for the first time needn't be read twice.
    pub(super) fn doubt(&self, paths: &mut BTreeSet<RelPath>, was_indexed: impl Fn(&RelPath) -> bool) {
        let mut state = self.state.lock();
        state.next_mark += 1;
        let mark = state.next_mark;
        let dirty = Arc::make_mut(&mut state.dirty);
        paths.retain(|path| {
            let (was_indexed, known) = (was_indexed(path), dirty.get(path));
            let is_unknown = !was_indexed && known.is_none_or(Dirt::is_in_doubt);
            let known = known.map(|dirt| dirt.verdict);
            let verdict = known.unwrap_or(if was_indexed { Verdict::Read } else { Verdict::Gone });
            let is_looked_at = was_indexed || is_unknown;
            if is_looked_at {
                dirty.insert(path.clone(), Dirt { verdict, seen: None, in_doubt: is_unknown, mark });
            }
            is_looked_at
        });
    }

    /// Takes out paths that the index now holds as they were when `dirt` was looked up. Those that became dirty once
    /// more since stay.
    pub fn settle<'a>(&self, settled: impl IntoIterator<Item = (&'a RelPath, Dirt)>) {
        let mut state = self.state.lock();
        let dirty = Arc::make_mut(&mut state.dirty);
        for (path, dirt) in settled {
            if dirty.get(path) == Some(&dirt) {
                dirty.remove(path);
            }
        }
    }

    /// The dirty paths as they are now. Together with the index: [`Index::with_newer`](super::Index::with_newer).
    pub fn view(&self) -> Dirtied {
        self.state.lock().dirty.clone()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::core::files::TreeFile;

    /// A commit may come between a walk's comparison with the index and its marks. What it settled was indexed again.
    #[test]
    fn what_was_settled_since_is_not_dirty_again() {
        let overlay = Overlay::default();
        let path = RelPath::new(std::path::Path::new("a.txt")).unwrap();
        let found = |size| {
            let stat = FileStat { size, ..FileStat::default() };
            Difference { changed: vec![TreeFile { path: path.clone(), stat }], ..Difference::default() }
        };
        overlay.mark_difference(found(1), &overlay.view());
        let before = overlay.view();
        overlay.settle(before.iter().map(|(path, dirt)| (path, *dirt)));
        overlay.mark_difference(found(1), &before);
        assert_eq!(overlay.view().len(), 0);
        overlay.mark_difference(found(2), &before);
        assert_eq!(overlay.view().len(), 1, "it has changed since");
    }
}

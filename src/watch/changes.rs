//! What a watcher has seen since it was asked last: hints, of which nothing is believed.

use std::collections::HashMap;

use crate::core::RelPath;

/// Changed paths that are kept apart; more become "scan everything".
const MOST_PATHS: usize = 10_000;

/// What happened since one looked last.
#[derive(Debug, Default)]
pub struct Changes {
    /// Paths to look at, and whether something new may be there.
    pub paths: HashMap<RelPath, Hint>,
    /// Look at the whole tree: events were lost, a folder moved, an ignore file changed, or too much happened.
    pub everything: bool,
}

/// What an event says of a path: whether something new may be there, created or moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hint {
    /// What was there changed.
    Changed,
    /// Who may look into a folder changed.
    Access,
    /// It may be a folder that nobody watches yet.
    Appeared,
    /// Somebody else says that a file is there, who may not know that it is ignored by now.
    Unsure,
}

impl Changes {
    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.everything
    }

    pub(super) fn add(&mut self, path: RelPath, hint: Hint) {
        let known = self.paths.entry(path).or_insert(hint);
        *known = hint.max(*known);
        if self.paths.len() > MOST_PATHS {
            self.see_everything();
        }
    }

    pub(super) fn see_everything(&mut self) {
        self.everything = true;
        self.paths.clear();
    }
}

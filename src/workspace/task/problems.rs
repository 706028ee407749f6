//! What is wrong with an open codebase, a sentence each, and what its health is by that.

use std::path::PathBuf;

use crate::workspace::state::Health;

/// What the task itself knows to be wrong.
#[derive(Default)]
pub(super) struct Problems {
    /// Part of the index.
    pub(super) index: Option<String>,
    /// The root can't be read.
    pub(super) root: Option<String>,
    /// What in the tree can't be read.
    pub(super) unreadable: Option<String>,
    /// An ignore file isn't one.
    pub(super) ignore_file: Option<String>,
    /// The last walk can't be trusted.
    pub(super) descriptors: Option<String>,
    /// The last sync.
    pub(super) sync: Option<String>,
    /// Symbols.
    pub(super) symbols: Option<String>,
}

/// What others know to be wrong.
pub(super) struct Elsewhere {
    /// Of the watcher.
    pub(super) watcher: Option<String>,
    /// Of the queue's back end.
    pub(super) queue: Option<String>,
    /// Of the exchange of news.
    pub(super) news: Option<String>,
    /// Folders that can't be listed, and why.
    pub(super) unlisted: Vec<(PathBuf, String)>,
    /// Of the settings in the root.
    pub(super) settings: Option<String>,
}

impl Problems {
    /// Nobody knows what in the tree is new.
    pub(super) fn hide_changes(&self) -> bool {
        self.root.is_some() || self.descriptors.is_some()
    }

    /// The worst of all.
    pub(super) fn health(&self, elsewhere: &Elsewhere) -> Health {
        if let Some(sentence) = &self.root {
            return Health::Error(sentence.clone());
        }
        let Elsewhere { watcher, queue, news, settings, .. } = elsewhere;
        let unlisted = unlisted(&elsewhere.unlisted);
        let by_weight = [
            &self.descriptors,
            &self.sync,
            watcher,
            queue,
            news,
            &self.index,
            &self.ignore_file,
            &unlisted,
            &self.unreadable,
            &self.symbols,
            settings,
        ];
        match by_weight.into_iter().find_map(Option::as_ref) {
            Some(sentence) => Health::Degraded(sentence.clone()),
            None => Health::Ok,
        }
    }
}

fn unlisted(folders: &[(PathBuf, String)]) -> Option<String> {
    let (folder, why) = folders.first()?;
    let more = match folders.len() {
        1 => String::new(),
        count => format!(", and {} more can't", count - 1),
    };
    Some(format!("{} can't be listed ({why}){more}: answers lack what is in it until it can be", folder.display()))
}

/// Of what a walk couldn't read.
pub(super) fn unreadable(problems: &[String]) -> Option<String> {
    let first = problems.first()?;
    Some(match problems.len() {
        1 => format!("a folder or file can't be read, so answers lack it: {first}"),
        count => format!("{count} folders or files can't be read, so answers lack them; the first: {first}"),
    })
}

/// Of a walk that had too few file descriptors.
pub(super) fn too_few_descriptors() -> String {
    "the process has too few file descriptors left to tell which files are ignored; the tree is compared again until \
     it has more: close codebases, or raise its limit (ulimit -n) and start it again"
        .to_owned()
}

/// Of work that panicked.
pub(super) fn internal_error(while_doing: &str) -> String {
    format!("internal error while {while_doing}; see the log")
}

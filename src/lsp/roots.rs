//! The codebases of a session, as its client knows them.

use std::path::{Path, PathBuf};

use tokio::task::JoinSet;
use tower_lsp::lsp_types::Url;

use super::ext::FileUri;
use super::publisher::Told;
use crate::core::{CodebaseId, RelPath};
use crate::workspace::Workspace;

/// A codebase that a client works on.
pub struct Root {
    /// The open codebase.
    pub workspace: Workspace,
    /// Its paths as the client spells them, which may go through links, each once. The first is the one that answers use.
    spellings: Vec<PathBuf>,
    /// What the client was told of the settings in it.
    pub told: Told,
    /// What goes on for it; ends when this is dropped.
    _tasks: JoinSet<()>,
}

/// Where a codebase is, for the engine and for the client.
#[derive(Clone, Debug)]
pub struct RootSpelling {
    canonical: PathBuf,
    spelling: PathBuf,
}

impl Root {
    /// Its id.
    pub fn id(&self) -> &CodebaseId {
        &self.workspace.codebase().id
    }

    /// Its path, without links.
    pub fn canonical(&self) -> &Path {
        self.workspace.codebase().root.as_path()
    }

    /// Where it is.
    pub fn place(&self) -> RootSpelling {
        let canonical = self.canonical().to_owned();
        let spelling = self.spellings.first().unwrap_or(&canonical).clone();
        RootSpelling { canonical, spelling }
    }

    /// Whether `name` is its id, or its root as a URI.
    pub fn is_called(&self, name: &str) -> bool {
        let path = || Url::parse(name).ok()?.to_file_path().ok();
        self.id().as_str() == name
            || path().is_some_and(|path| path == self.canonical() || self.spellings.contains(&path))
    }

    fn is_spelled(&self, spelling: &Path) -> bool {
        self.spellings.iter().any(|known| known == spelling)
    }

    /// Where the root of `other` is in this codebase, if it is below this one's.
    pub fn holds(&self, other: &Root) -> Option<RelPath> {
        RelPath::below(self.canonical(), other.canonical())
    }
}

/// The codebases of a session, in the client's order, each once.
#[derive(Default)]
pub struct Roots {
    open: Vec<Root>,
}

impl Roots {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Root> {
        self.open.iter()
    }

    /// Those that are meant by `name` (an id, which several roots may share, or a root's URI), or all, without one.
    /// `None` when there is none of that name.
    pub fn named(&self, name: Option<&str>) -> Option<Vec<&Root>> {
        let named: Vec<_> = self.open.iter().filter(|root| name.is_none_or(|name| root.is_called(name))).collect();
        (name.is_none() || !named.is_empty()).then_some(named)
    }

    /// The codebase at `root`.
    pub fn at(&self, root: &Path) -> Option<&Root> {
        self.open.iter().find(|open| open.canonical() == root)
    }

    /// Adds a codebase, for which `tasks` go on, in the place of the one with the same root that is here, if there is one.
    pub fn put(&mut self, workspace: Workspace, told: Told, tasks: JoinSet<()>) {
        let root = &workspace.codebase().root;
        match self.open.iter_mut().find(|open| open.workspace.codebase().root == *root) {
            Some(open) => (open.workspace, open._tasks) = (workspace, tasks),
            None => self.open.push(Root { workspace, spellings: Vec::new(), told, _tasks: tasks }),
        }
    }

    /// The client calls the codebase at `root` so, too.
    pub fn call(&mut self, root: &Path, spelling: PathBuf) {
        let open = self.open.iter_mut().find(|open| open.canonical() == root);
        if let Some(open) = open.filter(|open| !open.is_spelled(&spelling)) {
            open.spellings.push(spelling);
        }
    }

    /// The codebase that the client calls `spelling`.
    pub fn spelled(&self, spelling: &Path) -> Option<&Root> {
        self.open.iter().find(|root| root.is_spelled(spelling))
    }

    /// Takes away the codebase that the client calls `spelling`, and gives all its names.
    pub fn take(&mut self, spelling: &Path) -> Vec<PathBuf> {
        let at = self.open.iter().position(|root| root.is_spelled(spelling));
        at.map(|at| self.open.remove(at).spellings).unwrap_or_default()
    }

    /// Takes one name away; the codebase goes with its last one.
    pub fn remove(&mut self, spelling: &Path) {
        for root in &mut self.open {
            root.spellings.retain(|known| known != spelling);
        }
        self.open.retain(|root| !root.spellings.is_empty());
    }
}

impl RootSpelling {
    /// A client's path as the engine spells it.
    pub fn canonical(&self, path: &Path) -> PathBuf {
        // Joining nothing would add a slash.
        match path.strip_prefix(&self.spelling) {
            Ok(rest) if rest.as_os_str().is_empty() => self.canonical.clone(),
            Ok(rest) => self.canonical.join(rest),
            Err(_) => path.to_owned(),
        }
    }

    /// Its root as the client spells it.
    pub fn into_spelling(self) -> PathBuf {
        self.spelling
    }

    /// A file of the codebase as the client spells it.
    pub fn uri(&self, path: &RelPath) -> FileUri {
        FileUri::of(&path.to_path(&self.spelling))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[cfg(unix)]
    #[test]
    fn paths_go_between_the_client_s_spelling_and_the_engine_s() {
        let place = RootSpelling { canonical: "/real/x".into(), spelling: "/link".into() };
        assert_eq!(place.canonical(Path::new("/link/a/b")), Path::new("/real/x/a/b"));
        assert_eq!(place.canonical(Path::new("/real/x/a")), Path::new("/real/x/a"));
        assert_eq!(place.canonical(Path::new("/linked/a")), Path::new("/linked/a"));
        assert_eq!(place.uri(&RelPath::new(Path::new("a b")).unwrap()).as_str(), "file:///link/a%20b");
    }
}

//! The codebases of a session, as its client knows them.

use std::path::{Path, PathBuf};

use tokio::task::JoinSet;
use tower_lsp::lsp_types::Url;

use super::ext::FileUri;
use crate::core::{CodebaseId, RelPath};
use crate::workspace::Workspace;

/// A codebase that a client works on.
pub struct Root {
    /// The open codebase.
    pub workspace: Workspace,
    /// Its paths as the client spells them, which may go through links. Never empty; the first is the one that
    /// answers use.
    spellings: Vec<PathBuf>,
    /// What goes on for it; ends when this is dropped.
    _tasks: JoinSet<()>,
}

/// Where a codebase is, for the engine and for the client.
#[derive(Clone, Debug)]
pub struct Place {
    canonical: PathBuf,
    spelling: PathBuf,
}

impl Root {
    /// A codebase which the client calls `spelling`.
    pub fn new(workspace: Workspace, spelling: PathBuf, tasks: JoinSet<()>) -> Root {
        Root { workspace, spellings: vec![spelling], _tasks: tasks }
    }

    /// Its id.
    pub fn id(&self) -> &CodebaseId {
        &self.workspace.codebase().id
    }

    fn canonical(&self) -> &Path {
        self.workspace.codebase().root.as_path()
    }

    /// Where it is.
    pub fn place(&self) -> Place {
        let canonical = self.canonical().to_owned();
        let spelling = self.spellings.first().unwrap_or(&canonical).clone();
        Place { canonical, spelling }
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

    /// Adds a folder that `workspace` was opened for, under the name the client gave it. When the codebase is here
    /// already, it only gets another name; otherwise `tasks` gives what is to go on for it.
    pub fn add(&mut self, workspace: Workspace, spelling: PathBuf, tasks: impl FnOnce(&Workspace) -> JoinSet<()>) {
        match self.open.iter_mut().find(|root| root.workspace.codebase() == workspace.codebase()) {
            Some(root) => root.spellings.push(spelling),
            None => {
                let tasks = tasks(&workspace);
                self.open.push(Root::new(workspace, spelling, tasks));
            }
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
            if let Some(at) = root.spellings.iter().position(|known| known == spelling) {
                root.spellings.remove(at);
                break;
            }
        }
        self.open.retain(|root| !root.spellings.is_empty());
    }
}

impl Place {
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
        let place = Place { canonical: "/real/x".into(), spelling: "/link".into() };
        assert_eq!(place.canonical(Path::new("/link/a/b")), Path::new("/real/x/a/b"));
        assert_eq!(place.canonical(Path::new("/real/x/a")), Path::new("/real/x/a"));
        assert_eq!(place.canonical(Path::new("/linked/a")), Path::new("/linked/a"));
        assert_eq!(place.uri(&RelPath::new(Path::new("a b")).unwrap()).as_str(), "file:///link/a%20b");
    }
}

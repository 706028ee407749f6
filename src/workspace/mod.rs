//! An open codebase: the one task that owns its state and ties watch, sync and index together.
//!
//! An [`Engine`] opens each codebase once, as a [`Workspace`]. Others send it messages through that handle, and read
//! snapshots: its [`CodebaseState`], and a [`View`] to search.

mod state;

pub use state::{CodebaseState, Health, IndexState, Phase, Progress, QueuedBatch, Stage};

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::core::error::RootError;
use crate::core::settings::Settings;
use crate::core::{Codebase, RelPath};
use crate::index::{FileMatches, IndexError, Query, SearchEnd, Unsaved, View};
use crate::sync::{SyncManager, SyncOutcome};
use crate::watch::tree::RuleError;

/// Opens codebases, each once. Cheap to clone; clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    syncs: SyncManager,
}

/// A codebase that can't be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The folder.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The settings' globs.
    #[error(transparent)]
    Rules(#[from] RuleError),
    /// The index folder.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// An open codebase. Cheap to clone; clones are the same. It closes when the last clone is gone.
#[derive(Clone)]
pub struct Workspace {
    codebase: Arc<Codebase>,
    state: watch::Receiver<Arc<CodebaseState>>,
}

/// Which files a search looks at, of those it may.
pub type Keep = Box<dyn Fn(&RelPath) -> bool + Send + Sync>;

/// A view to search, and how fresh it is.
#[derive(Clone)]
pub struct FreshView {
    /// What to search.
    pub view: View,
    /// Every change that was on disk when it was asked for is in it.
    pub fresh: bool,
}

impl Engine {
    /// An engine whose lines live in this process or where the settings say.
    pub fn new(_settings: &Settings) -> Engine {
        todo!()
    }

    /// Opens the codebase at `root`, or gives the one that is open already. Its index on disk answers at once, while
    /// the tree is compared with it in the background. Must be called within a Tokio runtime. Blocks for as long as
    /// reading the index's files takes (milliseconds).
    ///
    /// # Errors
    /// When the root isn't a folder, or a glob in the settings isn't one.
    pub fn open(&self, _root: &Path, _settings: &Settings) -> Result<Workspace, OpenError> {
        todo!()
    }

    /// Ends all work of this engine: batches leave the line, threads stop at their next file. Takes milliseconds.
    pub async fn shutdown(&self) {
        self.syncs.cancel_all();
        todo!()
    }
}

impl Workspace {
    /// Which codebase this is.
    pub fn codebase(&self) -> &Codebase {
        &self.codebase
    }

    /// Its state now and as it changes.
    pub fn state(&self) -> watch::Receiver<Arc<CodebaseState>> {
        self.state.clone()
    }

    /// Tells of files that have just been written, as an editor does on a save. Paths outside the codebase are ignored.
    pub fn touch(&self, _paths: Vec<PathBuf>) {
        todo!()
    }

    /// Whether a file at `path` (absolute; it need not exist) belongs to the codebase by its rules of ignoring.
    pub async fn belongs(&self, _path: &Path) -> Option<RelPath> {
        todo!()
    }

    /// What to search now. With `fresh`, every change that was on disk at the call is in it, if the platform can tell;
    /// it may take as long as a comparison of the tree when one is under way.
    pub async fn view(&self, _unsaved: Arc<Unsaved>, _fresh: bool) -> FreshView {
        todo!()
    }

    /// Searches `view` for `query` in the files that `keep` lets pass, on threads of its own, and hands over the files
    /// with matches in path order as they are known. Ends soon after `cancel` says so.
    pub async fn search(
        &self,
        _view: View,
        _query: Query,
        _keep: Keep,
        _max_results: usize,
        _cancel: CancellationToken,
        _found: impl FnMut(FileMatches) -> ControlFlow<()> + Send + 'static,
    ) -> SearchEnd {
        todo!()
    }

    /// Compares the tree with the index, syncs what differs, and gives how that ended.
    pub async fn sync(&self) -> SyncOutcome {
        todo!()
    }

    /// Puts no batch in line until [`Workspace::resume`]; answers stay right meanwhile.
    pub fn pause(&self) {
        todo!()
    }

    /// Goes on after [`Workspace::pause`].
    pub fn resume(&self) {
        todo!()
    }

    /// Forgets the index and builds it anew.
    pub fn rebuild(&self) {
        todo!()
    }
}

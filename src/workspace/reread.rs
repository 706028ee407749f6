//! The settings of an open codebase: read anew when its `.syncline.toml` changes, and the codebase opened anew when they
//! mean something else.
//!
//! The file on disk decides for all who have the codebase open. What is a client's own (its editor's settings, its
//! environment) is not everybody's: that of who came last among those who agree counts.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{Engine, OpenError, Workspace, may_open};
use crate::core::settings::{self, Loaded, Place, Problem, REPOSITORY_FILE, Settings, Sources};
use crate::core::{CodebaseRoot, RelPath};

/// Where a codebase's settings come from.
#[derive(Default)]
pub(super) struct Origin {
    /// None: those it was opened with hold, whatever files say.
    sources: Mutex<Option<Sources>>,
    /// What was wrong with the file in its root when that was read last.
    problems: Mutex<Vec<Problem>>,
    is_unread: Mutex<bool>,
    /// Tripped when it is to be opened anew.
    outdated: CancellationToken,
}

/// A codebase that was opened for somebody with settings of their own.
pub struct Opened {
    /// The codebase.
    pub workspace: Workspace,
    /// It has the settings that they asked for. Otherwise others have it open, whose settings hold.
    pub is_as_wanted: bool,
    /// What is wrong with their settings, the file in the root left out: what is wrong with that, the codebase's state
    /// says to all.
    pub problems: Vec<Problem>,
}

impl Origin {
    /// Settings that `loaded` was read from.
    pub(super) fn new(sources: Option<Sources>, root: &Path, loaded: &Loaded) -> Origin {
        let origin = Origin { sources: Mutex::new(sources), ..Origin::default() };
        origin.note(root, loaded);
        origin
    }

    /// Takes note of what is wrong with the file in `root`.
    fn note(&self, root: &Path, loaded: &Loaded) {
        let problems = loaded.problems.iter().filter(|problem| is_of_repository(problem, root)).cloned().collect();
        *self.problems.lock() = problems;
        *self.is_unread.lock() = loaded.repository_unread;
    }

    /// What is wrong with the file in the root, a sentence each.
    pub(super) fn problems(&self) -> Vec<String> {
        let problems = self.problems.lock();
        problems.iter().map(Problem::to_string).collect()
    }

    /// Why nothing of the file in the root counts, if that is so.
    pub(super) fn unread(&self) -> Option<String> {
        let is_unread = *self.is_unread.lock();
        is_unread.then(|| self.problems().into_iter().next())?
    }

    fn come_from(&self, sources: Sources) {
        *self.sources.lock() = Some(sources);
    }

    fn sources(&self) -> Option<Sources> {
        self.sources.lock().clone()
    }

    /// Reads the settings of the codebase at `root` anew: when they mean something else than `now`, it is outdated. A file
    /// that can't be understood changes none. Blocks while it reads two small files, and longer when those have changed.
    pub(super) fn reread(&self, root: &Path, now: &Settings) {
        let Some(sources) = self.sources() else { return };
        let loaded = read_whole(root, &sources, now);
        self.note(root, &loaded);
        if !loaded.repository_unread && !count_alike(now, &loaded.settings) {
            tracing::info!(root = %root.display(), "the settings of a codebase have changed; it is opened anew");
            self.outdated.cancel();
        }
    }
}

/// A settings file that has changed is read once more after this: whoever writes one may be at it.
const WRITING: Duration = Duration::from_millis(30);
/// So often at most.
const MOST_READS: usize = 10;

/// The settings of the codebase at `root`. Files are taken as they are once they say the same twice, or what they said
/// before.
fn read_whole(root: &Path, sources: &Sources, before: &Settings) -> Loaded {
    let mut loaded = settings::load(Some(root), sources);
    for _ in 0..MOST_READS {
        if !loaded.repository_unread && count_alike(before, &loaded.settings) {
            break;
        }
        std::thread::sleep(WRITING);
        let again = settings::load(Some(root), sources);
        if again == loaded {
            break;
        }
        loaded = again;
    }
    loaded
}

/// Whether two settings mean the same for a codebase.
pub(super) fn count_alike(a: &Settings, b: &Settings) -> bool {
    a.queue == b.queue && a.sync == b.sync && a.watch == b.watch && a.index == b.index
}

/// Whether the file at `path` is the one that the settings of a codebase may stand in.
pub(super) fn holds_settings(path: &RelPath) -> bool {
    path.as_bytes() == REPOSITORY_FILE.as_bytes()
}

fn is_of_repository(problem: &Problem, root: &Path) -> bool {
    matches!(&problem.place, Place::File { path, .. } if *path == root.join(REPOSITORY_FILE))
}

impl Workspace {
    /// Tripped when its settings have changed on disk: whoever uses it is to open it anew.
    pub fn outdated(&self) -> CancellationToken {
        self.open.shared.origin.outdated.clone()
    }

    /// Whether both are the same codebase, opened at the same time.
    pub fn is_same(&self, other: &Workspace) -> bool {
        Arc::ptr_eq(&self.open, &other.open)
    }
}

impl Engine {
    /// Opens the codebase at `root`, as [`Engine::open`] does, with the settings that `sources` and the file in its root
    /// make. When that file changes, it is opened anew, and [`Workspace::outdated`] tells whoever uses it. Must be called
    /// within a Tokio runtime. Blocks.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_with(&self, root: &Path, sources: &Sources) -> Result<Opened, OpenError> {
        let root = CodebaseRoot::open(root)?;
        let turn = self.opening(&root);
        let _turn = turn.lock();
        let current = match self.current(&root) {
            Some((current, is_used)) => {
                current.open.shared.reread_settings();
                Some((self.renewed(&root, current)?, is_used))
            }
            None => None,
        };
        let loaded = match &current {
            Some((current, _)) => read_whole(root.as_path(), sources, current.settings()),
            None => settings::load(Some(root.as_path()), sources),
        };
        may_open(&root, &loaded.settings)?;
        let problems = loaded.problems.iter().filter(|problem| !is_of_repository(problem, root.as_path()));
        let problems = problems.cloned().collect();
        match current {
            // While the file can't be understood, nobody knows what it asks for.
            Some((workspace, _)) if loaded.repository_unread => {
                return Ok(Opened { workspace, is_as_wanted: true, problems });
            }
            Some((workspace, _)) if workspace.counts_alike(&loaded.settings) => {
                workspace.open.shared.origin.come_from(sources.clone());
                return Ok(Opened { workspace, is_as_wanted: true, problems });
            }
            Some((workspace, true)) => return Ok(Opened { workspace, is_as_wanted: false, problems }),
            Some((_, false)) | None => {}
        }
        let origin = Origin::new(Some(sources.clone()), root.as_path(), &loaded);
        let workspace = self.start(root, &loaded.settings, origin)?;
        Ok(Opened { workspace, is_as_wanted: true, problems })
    }

    /// The codebase that is open at `root`, which counts as used now, and whether somebody else uses it.
    fn current(&self, root: &CodebaseRoot) -> Option<(Workspace, bool)> {
        let mut opened = self.opened();
        let slot = opened.get_mut(root)?;
        let workspace = Workspace::of_new_user(slot.open.upgrade()?);
        slot.used = std::time::Instant::now();
        // This handle is one of the users.
        Some((workspace, slot.users() > 1))
    }

    /// What is open at `root` in place of `current`, if that is outdated.
    fn renewed(&self, root: &CodebaseRoot, current: Workspace) -> Result<Workspace, OpenError> {
        let before = &current.open.shared.origin;
        let Some(sources) = before.sources().filter(|_| before.outdated.is_cancelled()) else { return Ok(current) };
        let loaded = read_whole(root.as_path(), &sources, current.settings());
        if loaded.repository_unread {
            // It has changed once more. What was open goes on until it can be understood.
            return Ok(current);
        }
        let origin = Origin::new(Some(sources), root.as_path(), &loaded);
        self.start(root.clone(), &loaded.settings, origin)
    }

    /// Opens the codebase at `root` anew as soon as `workspace` is outdated, though nobody may use it.
    pub(super) fn renew_when_outdated(&self, root: CodebaseRoot, workspace: &Workspace) {
        let shared = &workspace.open.shared;
        let (outdated, closed) = (shared.origin.outdated.clone(), shared.cancel.clone());
        // It must not keep the engine's codebases open.
        let open = Arc::downgrade(&self.open);
        let (managers, cancel, opening, keeps) =
            (self.managers.clone(), self.cancel.clone(), self.opening.clone(), self.keeps);
        tokio::spawn(async move {
            tokio::select! {
                () = outdated.cancelled() => {}
                () = closed.cancelled() => return,
            }
            let Some(open) = open.upgrade() else { return };
            let engine = Engine { managers, cancel, open, opening, keeps };
            // Reading the index's files blocks. It holds nobody up: who comes first does it.
            drop(tokio::task::spawn_blocking(move || engine.renew(&root)));
        });
    }

    fn renew(&self, root: &CodebaseRoot) {
        let turn = self.opening(root);
        let _turn = turn.lock();
        let Some((current, _)) = self.current(root) else { return };
        if let Err(error) = self.renewed(root, current) {
            tracing::warn!(root = %root.as_path().display(), %error, "can't open a codebase with its new settings");
        }
    }
}

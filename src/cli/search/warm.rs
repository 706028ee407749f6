//! Asking the shared engine which files to search, instead of walking.
//!
//! The engine sees every change to the codebases that it has open, so it knows what a walk would find, and its index
//! which of that may match. Where it is certain of both, and stands on the same ground as this process (the same ignore
//! files outside the codebase, the user's own among them), only those files are searched. Everything else is walked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::context::CommonArgs;
use crate::core::RelPath;
use crate::core::settings::Settings;
use crate::daemon::start::start_soon;
use crate::daemon::wire::{Candidates, CandidatesParams, PathText, Purpose, Question};
use crate::daemon::{Client, Reach};
use crate::index::{Pattern, Spared};
use crate::watch::tree::rules_outside;
use crate::workspace::indexed_codebase;

/// How long the engine may take to say who it is, and then to answer: a walk takes about as long.
const PATIENCE: Duration = Duration::from_millis(500);

/// The shared engine, as a search asks it.
pub(super) struct Warm {
    reach: Option<Reach>,
    client: Option<Client>,
    /// Anything is searched for, when there is none.
    pattern: Option<Pattern>,
    /// See [`CandidatesParams::by_size`].
    by_size: bool,
    here: PathBuf,
    settings: Settings,
    /// Nobody was there to be asked.
    found_nobody: bool,
}

/// What the shared engine knows of a folder, spelled as a walk would.
pub(super) struct Known {
    /// The files that may match, in the order in which they are printed.
    pub(super) files: Vec<PathBuf>,
    /// Folders that it can't list, which are walked.
    pub(super) unlisted: Vec<PathBuf>,
    /// What it left out, if that was asked.
    pub(super) spared: Spared,
    /// Number of its index's last commit.
    pub(super) generation: u64,
}

impl Warm {
    /// Asks for files that may match `pattern`, or for all; nobody, unless `wanted`. `here` is the current folder.
    pub(super) fn new(
        common: &CommonArgs,
        settings: &Settings,
        here: &Path,
        (pattern, by_size): (Option<Pattern>, bool),
        wanted: bool,
    ) -> Warm {
        let reach = if wanted && !common.standalone { common.reach("search", settings).ok() } else { None };
        let reach = reach.map(|reach| Reach { patience: PATIENCE, ..reach });
        Warm {
            reach,
            client: None,
            pattern,
            by_size,
            here: here.to_owned(),
            settings: settings.clone(),
            found_nobody: false,
        }
    }

    /// What the engine knows of `folder`; `None` when it isn't certain.
    pub(super) fn known(&mut self, folder: &Path) -> Option<Known> {
        let canonical = std::fs::canonicalize(folder).ok()?;
        // Through links, a walk may see other ignore files.
        let is_plain = self.here.join(folder).components().eq(canonical.components());
        let canonical = canonical.to_str().filter(|_| is_plain)?.to_owned();
        self.connect()?;
        let (pattern, by_size) = (self.pattern.clone(), self.by_size);
        let question = Question::Candidates(CandidatesParams { pattern, folder: canonical, by_size });
        match self.client.as_mut()?.ask(&question) {
            Ok(Candidates::Files {
                root,
                rules_outside: theirs,
                files,
                unlisted,
                spared: (left, bytes),
                generation,
            }) => {
                // It may have another home.
                let same_ground = rules_outside(Path::new(&root)) == Some(theirs);
                let path = |file: &PathText| Some(RelPath::from_bytes(file.as_bytes())?.to_path(folder));
                if !same_ground {
                    return None;
                }
                let spelled = |paths: &[PathText]| paths.iter().map(path).collect::<Option<_>>();
                let spared = Spared { files: left, bytes };
                Some(Known { files: spelled(&files)?, unlisted: spelled(&unlisted)?, spared, generation })
            }
            Ok(Candidates::Unknown(why)) => {
                tracing::debug!(why, "the shared engine doesn't know what to search");
                None
            }
            Err(error) => {
                tracing::debug!(%error, "the shared engine doesn't tell what to search");
                self.client = None;
                None
            }
        }
    }

    fn connect(&mut self) -> Option<()> {
        if self.client.is_some() {
            return Some(());
        }
        // Once: what didn't work isn't waited for again.
        match self.reach.take()?.find(Purpose::Questions) {
            Ok(Some(stream)) => self.client = Client::new(stream, Some(PATIENCE)).ok(),
            Ok(None) => self.found_nobody = true,
            Err(error) => tracing::debug!(%error, "the shared engine can't be asked"),
        }
        self.client.is_some().then_some(())
    }

    /// When nobody was there to be asked and a search of `folder` could have been quick, starts an engine for the next.
    pub(super) fn start_for_the_next(&self, folder: &Path) {
        if self.found_nobody
            && indexed_codebase(folder, &self.settings).is_some()
            && let Err(error) = start_soon(self.settings.daemon.idle)
        {
            tracing::debug!(%error, "can't start a shared engine");
        }
    }
}

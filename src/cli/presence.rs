//! How a `watch` with an engine of its own is known beside the shared engine: it leaves its state in the index folder while
//! it runs. Other engines, such as one inside an editor's language server, leave none.
//!
//! `engine-<session>.json` holds the state as editors see it. It is replaced whole, at most ten times a second, readable by the user only,
//! and removed at the end; what a killed engine leaves behind is told by its process, on its own host.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::show::escape;
use crate::core::cache::CacheReport;
use crate::core::settings::Settings;
use crate::core::{CodebaseRoot, Owner, UnixMillis};
use crate::core::{private, process};
use crate::daemon::wire::DaemonState;
use crate::lsp::ext;
use crate::workspace::{Workspace, index_folder};

/// A state is written at most this often.
const PAUSE: Duration = Duration::from_millis(100);
/// The cache is counted at most this often.
const COUNT_PAUSE: Duration = Duration::from_secs(2);

/// What an engine leaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Engine {
    /// The machine's host name.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// The program's version.
    pub version: String,
    /// When it started.
    pub started_at: UnixMillis,
    /// The codebase's state, as its editors see it.
    pub state: ext::QueueState,
    /// Its cache.
    #[serde(default)]
    pub cache: CacheReport,
}

impl Engine {
    /// Which, for people.
    pub fn name(&self) -> String {
        format!("engine of pid {} on {}", self.pid, escape(&self.host))
    }
}

/// Announces a codebase's state for as long as it lives.
pub struct Presence {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Presence {
    /// Begins to announce. `None` when there is no index folder to do so in.
    pub fn announce(workspace: &Workspace, settings: &Settings) -> Option<Presence> {
        let folder = index_folder(settings, &workspace.codebase().root)?;
        let path = folder.join(format!("engine-{}.json", Uuid::new_v4().simple()));
        let Owner { host, pid, .. } = Owner::new();
        let started_at = UnixMillis::now();
        let (mut states, file, cache) = (workspace.state(), path.clone(), workspace.cache().clone());
        let task = tokio::spawn(async move {
            let mut counted: Option<(Instant, CacheReport)> = None;
            loop {
                let state = ext::QueueState::from(&**states.borrow_and_update());
                // What was counted before the line moved isn't true any more.
                let is_shared = state.backend == ext::Backend::Redis;
                let counted_lately = |(at, report): &(Instant, CacheReport)| {
                    at.elapsed() < COUNT_PAUSE && report.server.is_some() == is_shared
                };
                if !counted.as_ref().is_some_and(counted_lately) {
                    counted = Some((Instant::now(), CacheReport::of(&cache).await));
                }
                let report = counted.as_ref().map(|(_, report)| report.clone()).unwrap_or_default();
                let version = super::VERSION.to_owned();
                let engine = Engine { host: host.clone(), pid, version, started_at, state, cache: report };
                let file = file.clone();
                let written = tokio::task::spawn_blocking(move || write(&file, &engine)).await;
                if let Ok(Err(error)) = written {
                    tracing::debug!(%error, "can't leave this engine's state for others to see");
                }
                tokio::time::sleep(PAUSE).await;
                if states.changed().await.is_err() {
                    return;
                }
            }
        });
        Some(Presence { path, task })
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.task.abort();
        // It may never have been written.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The engines that are known to have the codebase at `root` open, the shared one among them; where the index folder is
/// shared with other hosts, theirs too. Blocks for as long as reading a few files takes.
pub fn engines(settings: &Settings, root: &CodebaseRoot, shared: Option<&DaemonState>) -> Vec<Engine> {
    let entries = index_folder(settings, root).and_then(|folder| std::fs::read_dir(folder).ok());
    let mut found = Vec::new();
    let here = Owner::new().host;
    for path in entries.into_iter().flatten().flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !name.starts_with("engine-") || !name.ends_with(".json") {
            continue;
        }
        let read = std::fs::read(&path)
            .map_err(|_| ())
            .and_then(|bytes| serde_json::from_slice::<Engine>(&bytes).map_err(|_| ()));
        match read {
            // Of processes elsewhere nothing can be told from here.
            Ok(engine) if engine.host != here || process::is_running(engine.pid) != Some(false) => found.push(engine),
            // Of an engine that was killed. If it can't be removed, the next look tries again.
            Ok(_) => drop(std::fs::remove_file(&path)),
            Err(()) => {}
        }
    }
    let uri = ext::FileUri::of(root.as_path());
    let shared = shared.into_iter().flat_map(|daemon| {
        let open = daemon.codebases.iter().filter(|open| open.state.codebase.root == uri);
        open.map(|open| Engine {
            host: daemon.host.clone(),
            pid: daemon.pid,
            version: daemon.version.clone(),
            started_at: daemon.started_at,
            state: open.state.clone(),
            cache: open.cache.clone(),
        })
    });
    found.extend(shared);
    found.sort_by_key(|engine| engine.started_at);
    found
}

fn write(path: &Path, engine: &Engine) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    private::create(&unfinished)?.write_all(&serde_json::to_vec(engine)?)?;
    std::fs::rename(&unfinished, path)
}

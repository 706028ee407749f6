//! `syncline status`: what is there, how fresh it is, and what is wrong.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::context::{CommonArgs, end, fail};
use super::daemon::Daemon;
use super::presence::{Engine, engines};
use super::shared_queue::{QueueView, SharedQueue};
use super::show::{self, Paint};
use crate::core::cache::NamespaceStats;
use crate::core::settings::Settings;
use crate::core::{CodebaseRoot, RelPath, UnixMillis};
use crate::daemon::wire::DaemonState;
use crate::index::Index;
use crate::watch::tree::{Enter, TreeRules};
use crate::workspace::{bytes_of_indexes, index_folder, may_open};

/// `status`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The codebase
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Print all of it as JSON
    #[arg(long)]
    json: bool,
    /// Keep looking, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

/// How often `--watch` looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Files that differ are named, up to so many.
const MOST_NAMED: usize = 10;
/// How many of them people are told of.
const NAMED: usize = 3;

/// What `status --json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    version: &'static str,
    /// The shared engine; null when none runs.
    daemon: Option<DaemonState>,
    codebases: Vec<CodebaseStatus>,
    /// All codebases' indexes together; nothing when there is no place for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<DiskStatus>,
    memory: MemoryStatus,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct MemoryStatus {
    /// What the shared engine holds; null when none runs, or the system doesn't tell.
    bytes: Option<u64>,
    /// What it may hold while it indexes texts, by `index.max_memory_mb`.
    most_bytes: u64,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct DiskStatus {
    /// What they take.
    bytes: u64,
    /// What they may take, by `index.max_disk_mb`.
    most_bytes: u64,
}

/// A codebase, looked at from outside.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CodebaseStatus {
    root: PathBuf,
    index_folder: Option<PathBuf>,
    /// What is on disk; nothing when there is no index.
    index: Option<IndexStatus>,
    /// Why it isn't opened unasked; nothing when it is.
    #[serde(skip)]
    unasked: Option<String>,
    /// The engines that have it open.
    engines: Vec<Engine>,
    /// The queue of all hosts; nothing when the settings name no Redis.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<QueueView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IndexStatus {
    generation: u64,
    files: usize,
    bytes: u64,
    /// Files that differ between the tree and the index.
    differing: usize,
    /// The first of them, [`MOST_NAMED`] at most.
    differing_paths: Vec<RelPath>,
    fresh: bool,
}

/// Runs it.
pub fn run(common: &CommonArgs, args: &Args) -> ExitCode {
    let (root, settings) = match common.codebase(&args.path) {
        Ok(found) => found,
        Err(error) => return fail(error),
    };
    let daemon = Daemon::new(common, "status", &settings);
    let line = SharedQueue::open(&settings, &root);
    let mut settings = settings;
    loop {
        let daemon = daemon.state();
        let open = daemon.as_ref().ok().and_then(Option::as_ref);
        let codebase = match look(&settings, &root, open, line.as_ref()) {
            Ok(codebase) => codebase,
            Err(error) => return fail(error),
        };
        let dir = codebase.index_folder.as_deref().and_then(Path::parent);
        let disk = dir.map(|dir| DiskStatus { bytes: bytes_of_indexes(dir), most_bytes: settings.index.max_disk });
        let said = match args.json {
            true => {
                let daemon = daemon.unwrap_or_else(|error| {
                    eprintln!("syncline: {error}");
                    None
                });
                let bytes = daemon.as_ref().and_then(|daemon| daemon.memory);
                let memory = MemoryStatus { bytes, most_bytes: settings.index.max_memory };
                show::say_json(&Status { version: super::VERSION, daemon, codebases: vec![codebase], disk, memory })
            }
            false => show::say(text(&codebase, disk, settings.index.max_memory, &daemon)),
        };
        if !args.watch || said.is_err() {
            return end(said, ExitCode::SUCCESS);
        }
        std::thread::sleep(PAUSE);
        // They may have been edited. What is wrong with them was said.
        settings = common.load(Some(root.as_path())).settings;
    }
}

fn look(
    settings: &Settings,
    root: &CodebaseRoot,
    daemon: Option<&DaemonState>,
    line: Option<&SharedQueue>,
) -> Result<CodebaseStatus, String> {
    let folder = index_folder(settings, root);
    let index = match folder.as_deref().and_then(Index::read) {
        None => None,
        Some(snapshot) => {
            let rules = TreeRules::new(root.as_path(), settings.index.hidden, &settings.index.exclude);
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            let tree = rules.map_err(|error| error.to_string())?.scan(
                root.as_path(),
                threads,
                &CancellationToken::new(),
                &(Arc::new(|_: &Path, _| {}) as Enter),
            );
            let tree = tree.map_err(|error| error.to_string())?;
            let difference = snapshot.proven_difference(root.as_path(), &tree.files, settings.index.max_file_bytes);
            let differing = difference.changed.len() + difference.gone.len();
            let paths = difference.gone.into_iter().chain(difference.changed.into_iter().map(|file| file.path));
            Some(IndexStatus {
                generation: snapshot.generation.0,
                files: snapshot.files(),
                bytes: snapshot.bytes(),
                differing,
                differing_paths: paths.take(MOST_NAMED).collect(),
                fresh: differing == 0,
            })
        }
    };
    let (engines, line) = (engines(settings, root, daemon), line.map(SharedQueue::read));
    let unasked = may_open(root, settings).err().map(|error| error.to_string());
    Ok(CodebaseStatus { root: root.as_path().to_owned(), index_folder: folder, index, unasked, engines, line })
}

/// For people.
fn text(
    codebase: &CodebaseStatus,
    disk: Option<DiskStatus>,
    most_memory: u64,
    daemon: &Result<Option<DaemonState>, String>,
) -> String {
    let paint = Paint::stdout();
    let mut out = format!("{} {}\n", paint.bold("syncline"), super::VERSION);
    match daemon {
        Ok(Some(daemon)) => out += &super::daemon::lines(daemon),
        Err(problem) => out += &format!("shared    {}\n", paint.warn(show::escape(problem))),
        Ok(None) => out += "shared    no engine runs\n",
    }
    out.push('\n');
    out += &format!("codebase  {}\n", show::escape(codebase.root.display()));
    match &codebase.index {
        None if codebase.unasked.is_some() => {
            let why = codebase.unasked.as_deref().unwrap_or_default();
            out += &format!("index     {}; {}\n", paint.warn("none"), show::escape(why));
        }
        None => {
            out += &format!(
                "index     {}; make one: syncline index, or keep one fresh: syncline watch\n",
                paint.warn("none")
            )
        }
        Some(index) => {
            let fresh = match index.differing {
                0 => paint.good("fresh".to_owned()),
                1 => paint.warn("1 file differs from the tree".to_owned()),
                differing => paint.warn(format!("{} differ from the tree", show::files(differing))),
            };
            let (files, bytes) = (show::files(index.files), show::bytes(index.bytes));
            out += &format!("index     {files} · {bytes} on disk · generation {} · {fresh}\n", index.generation);
            for path in index.differing_paths.iter().take(NAMED) {
                out += &format!("          {}\n", paint.dim(show::escape(path)));
            }
            if index.differing > NAMED {
                let more = show::number(index.differing - NAMED);
                out += &format!("          {}\n", paint.dim(format!("and {more} more")));
            }
        }
    }
    if let Some(folder) = &codebase.index_folder {
        out += &format!("          {}\n", paint.dim(show::escape(folder.display())));
    }
    if let Some(disk) = disk {
        let (bytes, most) = (show::bytes(disk.bytes), show::bytes(disk.most_bytes));
        out += &format!("          {}\n", paint.dim(format!("all indexes take {bytes} of {most} (index.max_disk_mb)")));
    }
    let most = show::bytes(most_memory);
    out += &format!(
        "          {}\n",
        paint.dim(format!("texts are indexed within about {most} of memory (index.max_memory_mb)"))
    );
    if codebase.engines.is_empty() {
        out += "engine    none has it open; start one: syncline watch, or an editor\n";
    }
    for engine in &codebase.engines {
        let up = show::time(Duration::from_millis(UnixMillis::now().since(engine.started_at)));
        let state = &engine.state;
        let (phase, health) = (show::word(&state.phase), show::word(&state.health));
        out += &format!("engine    {} · up {up} · {phase} · health {health}\n", engine.name());
        if let Some(message) = &state.message {
            out += &format!("          {}\n", paint.warn(show::escape(message)));
        }
        let backend = match (&engine.cache.server, engine.cache.latency_ms) {
            (Some(server), Some(ms)) => format!("{server}, {ms:.1} ms away"),
            _ => format!("{} line", show::word(&state.backend)),
        };
        out += &format!("queue     {} in line · {backend}\n", state.queue.len());
        for counted in engine.cache.values.iter().filter(|counted| counted.stats.hits + counted.stats.misses > 0) {
            let NamespaceStats { hits, misses, entries, bytes } = counted.stats;
            let values = show::number(usize::try_from(entries).unwrap_or(usize::MAX));
            let line =
                format!("{}: {values} values, {}, {hits} found, {misses} not", counted.namespace, show::bytes(bytes));
            out += &format!("          {}\n", paint.dim(line));
        }
    }
    if let Some(line) = &codebase.line {
        out += &format!("line\n{}", line.text(paint));
    }
    out
}

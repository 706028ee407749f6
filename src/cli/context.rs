//! What every subcommand needs before it starts: settings, a log, a runtime.

use std::fmt::Display;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use std::sync::Mutex;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt, reload};

use super::show::escape;
use crate::core::CodebaseRoot;
use crate::core::error::RootError;
use crate::core::settings::{self, Loaded, Settings, Sources, log_filter};
use crate::daemon::socket::PlaceError;
use crate::daemon::{Reach, Rotating};
use crate::workspace::{has_index, indexed_codebase};

/// Flags that every subcommand takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct CommonArgs {
    /// Run the engine inside this process
    #[arg(long, global = true)]
    pub standalone: bool,
    /// What to log: error, warn, info, debug, trace, or a filter
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Read the user's settings from this file
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl CommonArgs {
    /// Where settings come from in this process, with the editor's.
    pub fn sources(&self, editor: serde_json::Value) -> Sources {
        Sources { config: self.config.clone(), editor, log_level: self.log_level.clone(), ..Sources::of_process() }
    }

    /// The way of this subcommand to the shared engine.
    ///
    /// # Errors
    /// One sentence, when there is no place for it.
    pub fn reach(&self, client: &'static str, settings: &Settings) -> Result<Reach, PlaceError> {
        Reach::of_user(client, &self.sources(serde_json::Value::Null), settings.daemon.idle)
    }

    /// The codebase that `path` belongs to, and its settings; what is wrong with them is said on standard error.
    ///
    /// # Errors
    /// When there is no folder at `path`.
    pub fn codebase(&self, path: &Path) -> Result<(CodebaseRoot, Settings), RootError> {
        let root = codebase_of(path, &self.load(None).settings)?;
        let mut settings = self.settings(Some(root.as_path()));
        settings.index_home |= is_meant(path, &root, &settings);
        Ok((root, settings))
    }

    /// The settings for a codebase at `root`, and what is wrong with them.
    pub fn load(&self, root: Option<&Path>) -> Loaded {
        settings::load(root, &self.sources(serde_json::Value::Null))
    }

    /// The settings for a codebase at `root`; what is wrong with them is said on standard error.
    pub fn settings(&self, root: Option<&Path>) -> Settings {
        let loaded = self.load(root);
        for problem in &loaded.problems {
            eprintln!("syncline: {problem}");
        }
        loaded.settings
    }
}

/// Starts the log: to the file that the settings name, else to standard error, at `level` unless there is none, then at
/// the settings'. Gives what changes the level later.
pub fn start_log(settings: &Settings, level: Option<&str>) -> impl Fn(&str) + Send + Sync + 'static {
    let (filter, reload) = reload::Layer::new(filter(level.unwrap_or(&settings.log.level)));
    let file = settings.log.file.as_ref().and_then(|path| {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        file.inspect_err(|error| eprintln!("syncline: can't write the log file {}: {error}", path.display())).ok()
    });
    let registry = tracing_subscriber::registry().with(filter);
    match file {
        Some(file) => registry.with(fmt::layer().with_ansi(false).with_writer(Mutex::new(file))).init(),
        None => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            registry.with(fmt::layer().with_ansi(colours).with_writer(std::io::stderr)).init();
        }
    }
    move |level| {
        if let Err(error) = reload.reload(self::filter(level)) {
            tracing::warn!(%error, "can't change the level of the log");
        }
    }
}

/// Starts the log of a process that nobody sees, in a file that doesn't grow for ever.
///
/// # Errors
/// When the file can't be written.
pub fn start_file_log(settings: &Settings, path: &Path) -> std::io::Result<()> {
    let file = Mutex::new(Rotating::open(path)?);
    let registry = tracing_subscriber::registry().with(filter(&settings.log.level));
    registry.with(fmt::layer().with_ansi(false).with_writer(file)).init();
    // Standard error is nowhere.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    Ok(())
}

fn filter(level: &str) -> EnvFilter {
    log_filter(level).unwrap_or_else(|must| {
        eprintln!("syncline: log.level {must}; logging at info");
        EnvFilter::new("info")
    })
}

/// Runs `work` on a multi-threaded runtime and leaves without waiting for threads that are still blocked.
pub fn block_on<R>(work: impl Future<Output = R>) -> Result<R, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("can't start the runtime: {error}; free memory or raise the limit of threads"))?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(result)
}

/// Waits for Ctrl-C, or for being asked to end.
pub async fn until_interrupted() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut ended = signal(SignalKind::terminate())?;
        let mut hung_up = signal(SignalKind::hangup())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = ended.recv() => Ok(()),
            _ = hung_up.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

/// Says what went wrong, in one sentence, and gives the exit code for it.
pub fn fail(error: impl Display) -> ExitCode {
    let error = error.to_string();
    // What is wrong with a pattern is shown beneath it.
    eprintln!("syncline: {}", error.lines().map(escape).collect::<Vec<_>>().join("\n"));
    ExitCode::from(2)
}

/// The exit code of a command that has said what it had to say: `code`, also when whoever read has seen enough.
pub fn end(said: io::Result<()>, code: ExitCode) -> ExitCode {
    match said {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(error),
        _ => code,
    }
}

/// Whether a command whose path is `path` means the codebase at `root`, even if that is all of a home folder: its path
/// names something (`.`, which is what stands for nothing, is typed in whatever folder one happens to be), or it has an
/// index, which somebody has asked for before.
pub fn is_meant(path: &Path, root: &CodebaseRoot, settings: &Settings) -> bool {
    let names = path.components().any(|part| matches!(part, Component::Normal(_) | Component::RootDir));
    names || has_index(root.as_path(), settings)
}

/// The codebase that `path` belongs to: the nearest folder above it, or itself, that has an index; else `path` itself.
pub fn codebase_of(path: &Path, settings: &Settings) -> Result<CodebaseRoot, RootError> {
    let root = CodebaseRoot::open(path)?;
    Ok(indexed_codebase(root.as_path(), settings).unwrap_or(root))
}

//! What every subcommand needs before it starts: settings, a log, a runtime.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use crate::core::CodebaseRoot;
use crate::core::error::RootError;
use crate::core::settings::{self, Settings, Sources};
use crate::workspace::index_folder;

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

    /// The settings for a codebase at `root`; what is wrong with them is said on standard error.
    pub fn settings(&self, root: Option<&Path>) -> Settings {
        let loaded = settings::load(root, &self.sources(serde_json::Value::Null));
        for problem in &loaded.problems {
            eprintln!("syncline: {problem}");
        }
        loaded.settings
    }
}

/// Starts the log: to the file that the settings name, else to standard error, at `level` unless the settings say more.
pub fn start_log(settings: &Settings, level: Option<&str>) {
    let filter = level.unwrap_or(&settings.log.level);
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|error| {
        eprintln!("syncline: log.level {filter:?} isn't a level or a filter ({error}); logging at info");
        EnvFilter::new("info")
    });
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    let file = settings.log.file.as_ref().and_then(|path| {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        file.inspect_err(|error| eprintln!("syncline: can't write the log file {}: {error}", path.display())).ok()
    });
    match file {
        Some(file) => builder.with_ansi(false).with_writer(std::sync::Mutex::new(file)).init(),
        None => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).with_writer(std::io::stderr).init(),
    }
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

/// Says what went wrong, in one sentence, and gives the exit code for it.
pub fn fail(error: impl Display) -> ExitCode {
    eprintln!("syncline: {error}");
    ExitCode::from(2)
}

/// The codebase that `path` belongs to: the nearest folder above it, or itself, that has an index; else `path` itself.
pub fn codebase_of(path: &Path, settings: &Settings) -> Result<CodebaseRoot, RootError> {
    let root = CodebaseRoot::open(path)?;
    let with_index = root.as_path().ancestors().filter_map(|folder| CodebaseRoot::open(folder).ok());
    let mut with_index = with_index.filter(|root| index_folder(settings, root).is_some_and(|folder| folder.is_dir()));
    Ok(with_index.next().unwrap_or(root))
}

//! `syncline mcp`: what a coding assistant starts.

use std::path::PathBuf;
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use super::context::{CommonArgs, fail, start_log, until_interrupted};
use crate::core::CodebaseRoot;
use crate::core::settings::{self, Settings};
use crate::daemon::socket::SocketFolder;
use crate::daemon::{DaemonOptions, Reach, run as run_daemon};
use crate::mcp::serve;
use crate::workspace::may_open;

/// `mcp`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The codebase, or a folder in it
    #[arg(default_value = ".")]
    path: PathBuf,
    /// One more codebase; may be given several times
    #[arg(long = "root", value_name = "PATH")]
    roots: Vec<PathBuf>,
}

/// Serves one assistant until it leaves.
pub fn run(common: &CommonArgs, args: &Args) -> ExitCode {
    let settings = settings::load(None, &common.sources(serde_json::Value::Null)).settings;
    let _ = start_log(&settings, None);
    let roots = match roots(common, args) {
        Ok(roots) => roots,
        Err(error) => return fail(error),
    };
    let reach = match common.reach("mcp", &settings) {
        Ok(reach) => reach,
        Err(error) => return fail(error),
    };
    // One thread carries messages; what waits for the engine has threads of its own.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return fail(format!("can't start the runtime: {error}; free memory or raise the limit of threads"));
        }
    };
    let served = runtime.block_on(async {
        tokio::select! {
            served = serve_with(common, settings, reach, roots) => served,
            _ = until_interrupted() => Ok(()),
        }
    });
    runtime.shutdown_background();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

/// The codebases that the arguments name, each once.
fn roots(common: &CommonArgs, args: &Args) -> Result<Vec<CodebaseRoot>, String> {
    let mut roots: Vec<CodebaseRoot> = Vec::new();
    // The folder that one happens to be in counts only when no other is named.
    let here = args.roots.is_empty() || args.path.as_os_str() != ".";
    for path in here.then_some(&args.path).into_iter().chain(&args.roots) {
        let (root, settings) = common.codebase(path).map_err(|error| error.to_string())?;
        may_open(&root, &settings).map_err(|error| error.to_string())?;
        if roots.iter().all(|known| known.as_path() != root.as_path()) {
            roots.push(root);
        }
    }
    Ok(roots)
}

/// Serves by the shared engine, or by one of its own that nobody else finds.
async fn serve_with(
    common: &CommonArgs,
    settings: Settings,
    reach: Reach,
    roots: Vec<CodebaseRoot>,
) -> Result<(), String> {
    if !common.standalone {
        return serve(reach, roots).await;
    }
    let folder = std::env::temp_dir().join(format!("syncline-{}", uuid::Uuid::new_v4().simple()));
    let place = SocketFolder::at(folder.clone()).map_err(|error| error.to_string())?;
    let (stop, ready) = (CancellationToken::new(), CancellationToken::new());
    let options =
        DaemonOptions { place: place.clone(), idle: settings.daemon.idle, settings, log: None, stop: stop.clone() };
    let is_ready = ready.clone();
    let engine = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new()?;
        let ran = runtime.block_on(run_daemon(options, || is_ready.cancel()));
        is_ready.cancel();
        ran.map(drop).map_err(std::io::Error::other)
    });
    ready.cancelled().await;
    let served = serve(Reach { place, ..reach }, roots).await;
    stop.cancel();
    let ended = tokio::task::spawn_blocking(move || engine.join()).await;
    if let Err(error) = std::fs::remove_dir_all(&folder) {
        tracing::debug!(%error, "the folder of the engine's socket stays");
    }
    match ended {
        Ok(Ok(Ok(()))) => served,
        Ok(Ok(Err(error))) => Err(error.to_string()),
        Ok(Err(_)) | Err(_) => Err("the engine broke off by a fault of syncline; its log says where".to_owned()),
    }
}

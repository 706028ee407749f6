//! `syncline lsp`: what an editor starts.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use crate::lsp::{ServeOptions, SetLogLevel, run_stdio, settings_for};
use crate::workspace::Engine;

/// Arguments of `syncline lsp`.
#[derive(Clone, Debug, Default, Args)]
pub struct LspArgs {
    /// Speak on standard input and output. It is what happens anyway; editors say it.
    #[arg(long)]
    pub stdio: bool,
    /// The editor's process: the server ends when it is gone.
    #[arg(long = "clientProcessId", value_name = "PID")]
    pub client_process_id: Option<u32>,
    /// Run the engine inside this process, without the shared daemon.
    #[arg(long)]
    pub standalone: bool,
}

/// Serves one editor until it leaves. Exits with 0 after `shutdown`, 1 without. `set_log_level` is called when the
/// editor's settings name a level.
pub fn run(args: &LspArgs, set_log_level: Option<SetLogLevel>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("syncline: can't start: {error}; raise the limit of threads or open files for this user");
            return ExitCode::FAILURE;
        }
    };
    let options = ServeOptions { client_pid: args.client_process_id, set_log_level, ..ServeOptions::default() };
    let ended = runtime.block_on(async {
        let engine = Engine::new(&settings_for(Path::new("."), &serde_json::Value::Null));
        run_stdio(engine, options).await
    });
    // A thread may still be reading standard input, which can't be ended: leaving without it ends the process.
    runtime.shutdown_background();
    ended.into()
}

//! `syncline lsp`: what an editor starts.

use std::process::ExitCode;
use std::sync::Arc;

use super::context::{CommonArgs, block_on, fail, start_log};
use crate::core::settings::{self, Sources};
use crate::lsp::{ServeOptions, SetLogLevel, run_stdio};
use crate::workspace::Engine;

/// `lsp`
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Speak on standard input and output. It is what happens anyway; editors say it
    #[arg(long)]
    stdio: bool,
    /// The editor's process: the server ends when it is gone
    #[arg(long = "clientProcessId", value_name = "PID")]
    client_process_id: Option<u32>,
}

/// Serves one editor until it leaves. Exits with 0 after `shutdown`, 1 without.
pub fn run(common: &CommonArgs, args: &Args) -> ExitCode {
    let sources: Sources = common.sources(serde_json::Value::Null);
    // Of the user, without a codebase. What is wrong with them is told with each codebase's.
    let settings = settings::load(None, &sources).settings;
    let set_log_level = start_log(&settings, None);
    let ended = block_on(async {
        let engine = Engine::new(&settings);
        let set_log_level: Option<SetLogLevel> = Some(Arc::new(set_log_level));
        let client_pid = args.client_process_id;
        run_stdio(engine, ServeOptions { client_pid, sources, set_log_level, ..ServeOptions::default() }).await
    });
    match ended {
        Ok(ended) => ended.into(),
        Err(error) => fail(error),
    }
}

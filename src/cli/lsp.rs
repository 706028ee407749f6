//! `syncline lsp`: what an editor starts.

use std::process::ExitCode;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::context::{CommonArgs, block_on, fail, start_log};
use crate::core::settings::{self, Sources};
use crate::daemon::{ForwardOptions, forward};
use crate::lsp::{ServeOptions, SetLogLevel, end_on_signals, run_stdio};
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
    let client_pid = args.client_process_id;
    let ended = block_on(async {
        if common.standalone {
            let engine = Engine::new(&settings);
            let set_log_level: Option<SetLogLevel> = Some(Arc::new(set_log_level));
            return run_stdio(engine, ServeOptions { client_pid, sources, set_log_level, ..ServeOptions::default() })
                .await;
        }
        let stop = CancellationToken::new();
        end_on_signals(stop.clone());
        let options = ForwardOptions { client_pid, sources, stop };
        forward(tokio::io::stdin(), tokio::io::stdout(), common.reach("lsp", &settings), options).await
    });
    match ended {
        Ok(ended) => ended.into(),
        Err(error) => fail(error),
    }
}

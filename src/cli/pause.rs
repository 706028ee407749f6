//! `syncline pause` and `syncline resume`: act on a codebase that the shared engine has open.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::context::{CommonArgs, end, fail};
use super::show::{escape, say};
use crate::daemon::wire::{DaemonState, Purpose, Question};
use crate::daemon::{Client, Session};
use crate::lsp::ext::{FileUri, commands};

/// `pause` and `resume`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The codebase
    #[arg(default_value = ".")]
    path: PathBuf,
}

/// Runs `pause`.
pub fn pause(common: &CommonArgs, args: &Args) -> ExitCode {
    match command(common, args, "pause", commands::PAUSE) {
        Ok(root) => {
            let text = format!("paused {root}; searches stay right, the index waits for `syncline resume`\n");
            end(say(text), ExitCode::SUCCESS)
        }
        Err(error) => fail(error),
    }
}

/// Runs `resume`.
pub fn resume(common: &CommonArgs, args: &Args) -> ExitCode {
    match command(common, args, "resume", commands::RESUME) {
        Ok(root) => end(say(format!("{root} is kept fresh again\n")), ExitCode::SUCCESS),
        Err(error) => fail(error),
    }
}

fn command(common: &CommonArgs, args: &Args, client: &'static str, command: &str) -> Result<String, String> {
    if common.standalone {
        return Err(format!("{client} acts on the shared engine; leave --standalone out"));
    }
    let (root, settings) = common.codebase(&args.path).map_err(|error| error.to_string())?;
    let reach = common.reach(client, &settings).map_err(|error| error.to_string())?;
    let find = |purpose| reach.find(purpose).map_err(|error| error.to_string());
    let not_open = || {
        let root = escape(root.as_path().display());
        format!("the shared engine hasn't {root} open, so there is nothing to {client}; an editor or `watch` opens it")
    };
    // Looked up first: a session would open it.
    let stream = find(Purpose::Questions)?.ok_or_else(not_open)?;
    let mut client = Client::new(stream, None).map_err(|error| error.to_string())?;
    let state: DaemonState = client.ask(&Question::Daemon {}).map_err(|error| error.to_string())?;
    let uri = FileUri::of(root.as_path());
    if !state.codebases.iter().any(|open| open.state.codebase.root == uri) {
        return Err(not_open());
    }
    let stream = find(Purpose::Session)?.ok_or_else(not_open)?;
    let mut session = Session::open(stream, &root).map_err(|error| error.to_string())?;
    let params = json!({ "command": command, "arguments": [] });
    session.request("workspace/executeCommand", params, |_| Ok(())).map_err(|error| error.to_string())?;
    Ok(escape(root.as_path().display()))
}

//! `syncline sync`: compare a codebase with its index now.

use std::process::ExitCode;

use super::context::CommonArgs;
use super::index;

/// `sync`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    index: index::Args,
}

/// Runs it. Without a shared engine, that is what `index` does; an engine that watches the same codebase sees a commit
/// of its own when it syncs the same changes.
pub fn run(common: &CommonArgs, args: &Args) -> ExitCode {
    index::run(common, &args.index)
}

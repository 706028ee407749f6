//! The `syncline` program: parses the command line, starts tracing, hands over.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use syncline::cli::search::{self, SearchArguments};

#[derive(Parser)]
#[command(name = "syncline", version, about, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every subcommand takes.
#[derive(clap::Args)]
struct Common {
    /// Use an engine inside this process, no daemon
    #[arg(long, global = true)]
    standalone: bool,
    /// Write what happens to standard error: error, warn, info, debug, trace, or a filter as tracing understands it
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<tracing_subscriber::EnvFilter>,
    /// Read settings from this file instead of the user's
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Find what `rg` finds, and print it as `rg --sort path` does
    Search(SearchArguments),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(filter) = cli.common.log_level {
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
    match cli.command {
        Command::Search(arguments) => search::run(&arguments),
    }
}

//! The command line: one file for each subcommand.

mod context;
mod daemon;
mod doctor;
mod index;
mod lsp;
mod mcp;
mod pause;
mod presence;
mod queue;
mod search;
mod shared_queue;
mod shim;
mod show;
mod status;
mod symbols;
mod sync;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use context::CommonArgs;

use crate::daemon::wire::VERSION;

/// Keeps a codebase's search index fresh in the background, on every save.
#[derive(Debug, Parser)]
#[command(name = "syncline", version = VERSION, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Index a codebase, then keep the index fresh and show how, until Ctrl-C
    Watch(watch::Args),
    /// Bring the index of a codebase up to date, and exit
    Index(index::Args),
    /// Find what ripgrep finds, with its flags, and print it as `rg --sort path` does
    #[command(disable_help_flag = true)]
    Search,
    /// Make or remove a link called `rg`, for programs that call ripgrep
    Shim(shim::Args),
    /// Find definitions by name
    Symbols(symbols::Args),
    /// Show the queue of a codebase
    Queue(queue::Args),
    /// Show engines, codebases, how fresh they are, and what is wrong
    Status(status::Args),
    /// Compare a codebase with its index now, and wait until they agree
    Sync(sync::Args),
    /// Put no changes in the index of a codebase until `resume`; searches stay right
    Pause(pause::Args),
    /// Go on after `pause`
    Resume(pause::Args),
    /// The engine that all windows and terminals of a user share
    Daemon(daemon::Args),
    /// Check what it needs (settings, disk, watches, Redis), and say how to fix it
    Doctor(doctor::Args),
    /// Speak LSP on standard input and output, as an editor starts it
    Lsp(lsp::Args),
    /// Speak the Model Context Protocol on standard input and output, as a coding assistant starts it
    Mcp(mcp::Args),
}

/// Runs the command that this process was started with.
pub fn main() -> ExitCode {
    let line: Vec<OsString> = std::env::args_os().collect();
    if shim::is_called_rg(line.first().map(OsString::as_os_str)) {
        raise_descriptor_limit();
        return search::run(&CommonArgs::default(), search::CalledAs::Rg, &line[1..]);
    }
    // What comes after `search` is ripgrep's way of writing flags, not ours.
    let (ours, searched) = line.split_at(until_search(&line));
    let Cli { common, command } = match Cli::try_parse_from(ours) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and versions are asked for; all else is a mistake, which exits with 2 as ripgrep's do.
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            return match error.print() {
                Ok(()) => ExitCode::from(code),
                Err(_) => ExitCode::from(2),
            };
        }
    };
    raise_descriptor_limit();
    match command {
        Command::Watch(args) => watch::run(&common, &args),
        Command::Index(args) => index::run(&common, &args),
        Command::Search => search::run(&common, search::CalledAs::Search, searched),
        Command::Shim(args) => shim::run(&args),
        Command::Symbols(args) => symbols::run(&common, &args),
        Command::Queue(args) => queue::run(&common, &args),
        Command::Status(args) => status::run(&common, &args),
        Command::Sync(args) => sync::run(&common, &args),
        Command::Pause(args) => pause::pause(&common, &args),
        Command::Resume(args) => pause::resume(&common, &args),
        Command::Daemon(args) => daemon::run(&common, &args),
        Command::Doctor(args) => doctor::run(&common, &args),
        Command::Lsp(args) => lsp::run(&common, &args),
        Command::Mcp(args) => mcp::run(&common, &args),
    }
}

/// How much of a command line comes before the flags of `search`: all of it, when that isn't the subcommand.
fn until_search(line: &[OsString]) -> usize {
    let mut at = 1;
    while let Some(word) = line.get(at).map(OsString::as_os_str) {
        at += match word.to_str() {
            Some("search") => return at + 1,
            Some("--log-level" | "--config") => 2,
            Some(word) if word.starts_with("--") => 1,
            _ => break,
        };
    }
    line.len()
}

/// Descriptors that are asked for: more than macOS gives are refused.
#[cfg(unix)]
const DESCRIPTORS: u64 = 10_240;

/// Shells often give 1,024 descriptors where 100 codebases in one engine need more; what the system allows is there for
/// the asking. Without them, the codebases say so.
#[cfg(unix)]
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS));
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        // There is no log yet, and nothing is lost.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

#[cfg(not(unix))]
fn raise_descriptor_limit() {}

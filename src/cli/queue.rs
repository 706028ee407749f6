//! `syncline queue`: the queue of a codebase.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::context::{CommonArgs, end, fail};
use super::daemon::Daemon;
use super::presence::{Engine, engines};
use super::shared_queue::{QueueView, SharedQueue};
use super::show::{self, Paint};
use crate::core::{CodebaseRoot, UnixMillis, settings::Settings};
use crate::lsp::ext;

/// `queue`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The codebase
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Print the states of the engines that have the codebase open, as `syncline/queue` answers
    #[arg(long)]
    json: bool,
    /// Keep looking, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

/// How often `--watch` looks.
const PAUSE: Duration = Duration::from_millis(200);

/// Runs it.
pub fn run(common: &CommonArgs, args: &Args) -> ExitCode {
    let (root, settings) = match common.codebase(&args.path) {
        Ok(found) => found,
        Err(error) => return fail(error),
    };
    let daemon = Daemon::new(common, "queue", &settings);
    end(look(args, &settings, &root, &daemon), ExitCode::SUCCESS)
}

fn look(args: &Args, settings: &Settings, root: &CodebaseRoot, daemon: &Daemon) -> io::Result<()> {
    let mut before = None;
    let queue = SharedQueue::open(settings, root);
    // Whoever keeps looking at a terminal sees one picture that changes.
    let anew = if args.watch && !args.json && io::stdout().is_terminal() { "\x1b[H\x1b[2J" } else { "" };
    loop {
        let state = daemon.state().unwrap_or_else(|error| {
            eprintln!("syncline: {error}");
            None
        });
        let engines = engines(settings, root, state.as_ref());
        let text = match args.json {
            true => {
                let states: Vec<&ext::QueueState> = engines.iter().map(|engine| &engine.state).collect();
                serde_json::to_string(&states)? + "\n"
            }
            false => match &queue {
                Some(queue) => shared(&queue.read(), &engines, root),
                None => table(&engines, root),
            },
        };
        if before.as_ref() != Some(&text) {
            show::say(format_args!("{anew}{text}"))?;
            before = Some(text);
        }
        if !args.watch {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
}

/// The queue of all hosts, and the engines here that aren't in it.
fn shared(queue: &QueueView, engines: &[Engine], root: &CodebaseRoot) -> String {
    let paint = Paint::stdout();
    let mut out = format!("{}\n{}", paint.bold(show::escape(root.as_path().display())), queue.text(paint));
    for engine in engines.iter().filter(|engine| queue.problem.is_some() || engine.state.backend == ext::Backend::Local)
    {
        out += &format!("  {} has a queue of its own: {} in it\n", engine.name(), engine.state.queue.len());
    }
    out
}

/// The queues of all engines. Engines of one process share a queue; others each have their own.
fn table(engines: &[Engine], root: &CodebaseRoot) -> String {
    let paint = Paint::stdout();
    let mut out = format!("{}\n", paint.bold(show::escape(root.as_path().display())));
    if engines.is_empty() {
        out += "  no engine has this codebase open, so nothing waits; start one: syncline watch, or an editor\n";
    }
    for engine in engines {
        let state = &engine.state;
        if state.queue.is_empty() {
            out += &format!("  {} · {}\n", engine.name(), paint.dim("the queue is empty"));
        }
        for (position, batch) in state.queue.iter().enumerate() {
            let files = match &batch.files {
                ext::FileCount::Number(count) => show::files(*count),
                ext::FileCount::All(_) => "the tree".to_owned(),
            };
            let age = show::time(Duration::from_millis(UnixMillis::now().since(batch.created_at)));
            let owner = format!("pid {} on {}", batch.owner.pid, show::escape(&batch.owner.host));
            out += &format!("  {position}  {:<8} {files:>12}  {age:>8}  {owner}\n", show::word(&batch.state));
        }
    }
    out
}

//! `syncline watch`: index, then keep fresh in the foreground.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::context::{CommonArgs, block_on, fail, start_log};
use super::presence::Presence;
use super::show::{self, Paint};
use crate::lsp::ext;
use crate::sync::{SyncOutcome, Verdict};
use crate::workspace::{CodebaseState, Engine, Health, Stage, Workspace};

/// `watch`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The codebase
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Print each state as a line of JSON, as `syncline/queueState` has it
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(common: &CommonArgs, args: &Args) -> ExitCode {
    let settings = common.settings(Some(&args.path));
    // What goes wrong is shown among the lines below; the log is for those who ask.
    let _ = start_log(&settings, common.log_level.as_deref().is_none().then_some("error"));
    let watched = block_on(async {
        let engine = Engine::new(&settings);
        let workspace = engine.open(&args.path, &settings).map_err(|error| error.to_string())?;
        let _presence = Presence::announce(&workspace, &settings);
        let shown = tokio::select! {
            shown = show(&workspace, args.json) => shown,
            ended = until_interrupted() => ended,
        };
        engine.shutdown().await;
        match shown {
            Ok(()) => Ok(()),
            // Whoever read has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    });
    match watched.and_then(|shown| shown) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

/// Waits for Ctrl-C, or for being asked to end.
pub(super) async fn until_interrupted() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut ended = signal(SignalKind::terminate())?;
        let mut hung_up = signal(SignalKind::hangup())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = ended.recv() => Ok(()),
            _ = hung_up.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

async fn show(workspace: &Workspace, json: bool) -> io::Result<()> {
    let mut states = workspace.state();
    let mut screen = (!json).then(|| Screen::new(workspace));
    loop {
        let state = states.borrow_and_update().clone();
        match &mut screen {
            Some(screen) => screen.show(&state)?,
            None => {
                let mut out = io::stdout().lock();
                serde_json::to_writer(&mut out, &ext::QueueState::from(&*state))?;
                writeln!(out)?;
                out.flush()?;
            }
        }
        if states.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// Progress while something long goes on, and a line for each batch.
struct Screen {
    paint: Paint,
    bar: Option<ProgressBar>,
    started: Instant,
    ready: bool,
    health: Health,
    last: Option<Arc<SyncOutcome>>,
}

/// Shorter work shows no bar.
const LONG: Duration = Duration::from_millis(300);

impl Screen {
    fn new(workspace: &Workspace) -> Screen {
        let paint = Paint::stdout();
        let codebase = workspace.codebase();
        println!("{} {}", paint.bold("syncline"), codebase.root.as_path().display());
        Screen { paint, bar: None, started: Instant::now(), ready: false, health: Health::Ok, last: None }
    }

    fn show(&mut self, state: &CodebaseState) -> io::Result<()> {
        self.progress(state);
        let mut lines = Vec::new();
        if state.health != self.health {
            lines.push(match &state.health {
                Health::Ok => self.paint.good("all is well again").to_string(),
                Health::Degraded(sentence) => format!("{} {sentence}", self.paint.warn("degraded:")),
                Health::Error(sentence) => format!("{} {sentence}", self.paint.warn("error:")),
            });
            self.health = state.health.clone();
        }
        if let Some(outcome) = &state.last_sync
            && self.last.as_deref().is_none_or(|last| last.id != outcome.id)
        {
            lines.push(self.batch(outcome));
            self.last = Some(Arc::new(outcome.clone()));
        }
        if state.index.fresh && !self.ready {
            self.ready = true;
            let index = &state.index;
            lines.push(format!(
                "{} {} in {} · {} on disk · generation {}",
                self.paint.good("fresh:"),
                show::files(index.files),
                show::time(self.started.elapsed()),
                show::bytes(index.bytes),
                index.generation.0,
            ));
            lines.push(self.paint.dim("watching; every save is searchable at once (Ctrl-C ends)").to_string());
        }
        match &self.bar {
            Some(bar) => lines.iter().for_each(|line| bar.println(line)),
            None => {
                let mut out = io::stdout().lock();
                lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
                out.flush()?;
            }
        }
        Ok(())
    }

    fn batch(&self, outcome: &SyncOutcome) -> String {
        let covered = outcome.covered.map_or_else(|| "the tree".to_owned(), show::files);
        let place = match outcome.position {
            0 => "at the head".to_owned(),
            before => format!("{before} before it, waited {}", show::time(outcome.waited)),
        };
        match outcome.verdict {
            Verdict::Synced => format!(
                "{} {} of {covered} · {place} · {}",
                self.paint.good("synced"),
                show::files(outcome.files),
                show::time(outcome.took),
            ),
            Verdict::Failed => {
                format!(
                    "{} {covered}: {}",
                    self.paint.warn("failed"),
                    outcome.error.as_deref().unwrap_or("no reason given")
                )
            }
            Verdict::Superseded => format!("{} {covered} · {place}", self.paint.dim("superseded")),
        }
    }

    fn progress(&mut self, state: &CodebaseState) {
        let wanted = state
            .progress
            .filter(|_| io::stderr().is_terminal() && self.started.elapsed() > LONG || self.bar.is_some());
        match (wanted, &self.bar) {
            (None, Some(bar)) => {
                bar.finish_and_clear();
                self.bar = None;
            }
            (None, None) => {
                if state.progress.is_none() {
                    self.started = if self.ready { Instant::now() } else { self.started };
                }
            }
            (Some(progress), bar) => {
                let bar = bar.clone().unwrap_or_else(new_bar);
                bar.set_length(progress.total as u64);
                bar.set_position(progress.done as u64);
                bar.set_message(match progress.stage {
                    Stage::Scan => "looking at the tree",
                    Stage::Text => "indexing",
                });
                self.bar = Some(bar);
            }
        }
    }
}

/// A bar on standard error.
pub(super) fn new_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} {wide_bar} {human_pos}/{human_len} files {elapsed}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

//! `syncline index`: bring the index up to date, and exit.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::context::{CommonArgs, block_on, end, fail, is_meant, start_log, until_interrupted};
use super::show::{self, Paint, advance, new_bar};
use crate::core::CodebaseRoot;
use crate::core::settings::{Settings, WatchMode};
use crate::lsp::ext::{Health, LastSync, Outcome, Progress, QueueState};
use crate::sync::{SyncOutcome, SyncStatus};
use crate::workspace::{CodebaseState, Engine, Workspace};

/// `index`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The codebase
    #[arg(default_value = ".")]
    pub(super) path: PathBuf,
    /// Print the state at the end as JSON, as `syncline/queueState` has it
    #[arg(long)]
    pub(super) json: bool,
}

/// How long a state may take to tell of a sync that is over.
pub(super) const TOLD_TIME: Duration = Duration::from_secs(1);

/// How long it may take until less is left to be read. After that, what is known has to do.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Runs it.
pub fn run(common: &CommonArgs, args: &Args) -> ExitCode {
    match CodebaseRoot::open(&args.path) {
        Ok(root) => {
            let mut settings = common.settings(Some(root.as_path()));
            settings.index_home |= is_meant(&args.path, &root, &settings);
            index(&root, settings, args.json)
        }
        Err(error) => fail(error),
    }
}

/// Brings the index of the codebase at `root` up to date, and says how that went.
pub(super) fn index(root: &CodebaseRoot, mut settings: Settings, json: bool) -> ExitCode {
    let started = Instant::now();
    let _ = start_log(&settings, None);
    // It looks once: what changes while it does is found by the next look.
    settings.watch.mode = WatchMode::Off;
    let done = block_on(async {
        let engine = Engine::new(&settings);
        let workspace = engine.open(root.as_path(), &settings).map_err(|error| error.to_string())?;
        let synced = tokio::select! {
            outcome = sync_all(&workspace, settings.index.symbols) => Ok(outcome),
            _ = until_interrupted() => Err("interrupted; what was committed stays, and the next run goes on from there".to_owned()),
        };
        let state = workspace.state().borrow().clone();
        engine.shutdown().await;
        synced.map(|outcome| (outcome, state))
    });
    match done.and_then(|done| done) {
        Ok((outcome, state)) => report(&LastSync::from(&outcome), &QueueState::from(&*state), json, started),
        Err(error) => fail(error),
    }
}

/// Syncs once, showing progress on a terminal, and waits until the state tells of it.
pub(super) async fn sync(workspace: &Workspace) -> SyncOutcome {
    let mut states = workspace.state();
    let bar = std::io::stderr().is_terminal().then(new_bar);
    let sync = workspace.sync();
    tokio::pin!(sync);
    let outcome = loop {
        tokio::select! {
            outcome = &mut sync => break outcome,
            Ok(()) = states.changed() => {
                let state = QueueState::from(&**states.borrow_and_update());
                bar.iter().for_each(|bar| advance(bar, state.progress.as_ref()));
            }
        }
    };
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    // States leave some out: a later batch's tells of this one, too.
    let told = |state: &Arc<CodebaseState>| {
        let last = state.last_sync.as_ref();
        last.is_some_and(|last| last.id == outcome.id || last.finished_at >= outcome.finished_at)
    };
    // A codebase that closes tells nothing more; then the state is what it is.
    let told = states.wait_for(|state| told(state) || outcome.status != SyncStatus::Synced);
    let _ = tokio::time::timeout(TOLD_TIME, told).await;
    outcome
}

/// As [`sync`], and then waits for the symbols, if they are wanted.
async fn sync_all(workspace: &Workspace, symbols: bool) -> SyncOutcome {
    let outcome = sync(workspace).await;
    if symbols && outcome.status == SyncStatus::Synced && !until_symbols_known(workspace).await {
        eprintln!(
            "syncline: symbols of some files aren't read yet, since files keep changing; they are when next asked for"
        );
    }
    outcome
}

/// Waits until the symbols of all texts are known, showing progress on a terminal, or until they can't be. Gives whether
/// there is nothing more to wait for.
pub(super) async fn until_symbols_known(workspace: &Workspace) -> bool {
    let bar = std::io::stderr().is_terminal().then(new_bar);
    let mut states = workspace.state();
    let mut patience = Patience::new(Instant::now());
    let ended = loop {
        let (known, pending, state) = {
            let state = states.borrow_and_update();
            (state.symbols_known, state.symbols_pending, QueueState::from(&**state))
        };
        bar.iter().for_each(|bar| advance(bar, state.progress.as_ref()));
        // What is wrong is told at the end.
        let cannot = state.health != Health::Ok && state.progress.is_none() && !pending;
        if known || cannot {
            break true;
        }
        if patience.is_over(state.progress.as_ref(), Instant::now()) {
            break false;
        }
        // What doesn't change any more has to be noticed, too.
        if let Ok(Err(_)) = tokio::time::timeout(Duration::from_secs(1), states.changed()).await {
            break true;
        }
    };
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    ended
}

/// How long to wait for symbols that are being read.
pub(super) struct Patience {
    /// Of each stage, the least that was left to do.
    least: [usize; 3],
    /// When there was less than ever before.
    since: Instant,
}

impl Patience {
    /// It begins.
    pub(super) fn new(now: Instant) -> Patience {
        Patience { least: [usize::MAX; 3], since: now }
    }

    /// Whether it has gone on for long without getting anywhere: files change all the time, or nothing can be written.
    pub(super) fn is_over(&mut self, progress: Option<&Progress>, now: Instant) -> bool {
        if let Some(Progress { done, total, stage }) = progress {
            let (left, least) = (total.saturating_sub(*done), &mut self.least[*stage as usize]);
            if left < *least {
                (*least, self.since) = (left, now);
            }
        }
        now.duration_since(self.since) > LONGEST_WAIT
    }
}

/// Says how a sync went.
pub(super) fn report(outcome: &LastSync, state: &QueueState, json: bool, started: Instant) -> ExitCode {
    if outcome.outcome != Outcome::Synced {
        return fail(outcome.error.as_deref().unwrap_or("the sync was given up"));
    }
    if json {
        return end(show::say_json(state), ExitCode::SUCCESS);
    }
    let (paint, index) = (Paint::stdout(), &state.index);
    let mut text = format!(
        "{} {} ({} changed) in {} · {} on disk · generation {}\n",
        paint.good("fresh:"),
        show::files(index.files),
        show::number(outcome.files),
        show::time(started.elapsed()),
        show::bytes(index.bytes),
        index.generation,
    );
    if let Some(sentence) = &state.message {
        text += &format!("{} {sentence}\n", paint.warn("but:"));
    }
    end(show::say(text), ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsp::ext::Stage;

    /// Else a command would have no end where somebody writes all the time, or the disk is full.
    #[test]
    fn patience_lasts_as_long_as_less_and_less_is_left() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let left = |total, stage| Some(Progress { done: 0, total, stage });
        let mut patience = Patience::new(start);
        assert!(!patience.is_over(None, after(20)));
        assert!(!patience.is_over(left(500, Stage::Text).as_ref(), after(40)));
        assert!(!patience.is_over(left(499, Stage::Text).as_ref(), after(60)));
        assert!(!patience.is_over(left(9000, Stage::Symbols).as_ref(), after(80)));
        // It begins anew, and anew.
        assert!(!patience.is_over(left(600, Stage::Text).as_ref(), after(100)));
        assert!(patience.is_over(left(499, Stage::Text).as_ref(), after(120)));
    }
}

//! `syncline watch`: index, then keep fresh in the foreground.

use std::collections::{HashMap, VecDeque};
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::context::{CommonArgs, block_on, end, fail, is_meant, start_log, until_interrupted};
use super::presence::Presence;
use super::show::{self, Paint, advance, new_bar};
use super::sync::state_of;
use crate::core::settings::Settings;
use crate::core::{BatchId, CodebaseRoot, UnixMillis};
use crate::daemon::socket::Stream;
use crate::daemon::wire::Purpose;
use crate::daemon::{AskError, Reach, Session, log_says_why};
use crate::lsp::GOODBYE;
use crate::lsp::ext::{FileCount, Health, LastSync, Outcome, QueueState};
use crate::workspace::{Engine, Workspace, may_open};

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

/// Runs it: as a client of the shared engine, or with an engine of its own.
pub fn run(common: &CommonArgs, args: &Args) -> ExitCode {
    let mut settings = common.settings(Some(&args.path));
    let root = match CodebaseRoot::open(&args.path) {
        Ok(root) => root,
        Err(error) => return fail(error),
    };
    settings.index_home |= is_meant(&args.path, &root, &settings);
    if let Err(error) = may_open(&root, &settings) {
        return fail(error);
    }
    // What goes wrong is shown among the lines below; the log is for those who ask.
    let _ = start_log(&settings, common.log_level.as_deref().is_none().then_some("error"));
    let reached = if common.standalone { None } else { Some(reach(common, &settings)) };
    let watched = match reached {
        Some(Ok(reach)) => watch(&reach, &root, args.json),
        Some(Err(error)) => {
            eprintln!("syncline: {error}; going on without it");
            watch_alone(common, &root, &settings, args.json)
        }
        None => watch_alone(common, &root, &settings, args.json),
    };
    end(watched, ExitCode::SUCCESS)
}

/// The way to a shared engine that runs.
fn reach(common: &CommonArgs, settings: &Settings) -> Result<Reach, String> {
    let reach = common.reach("watch", settings).map_err(|error| error.to_string())?;
    reach.reach(Purpose::Questions).map_err(|error| error.to_string())?;
    Ok(reach)
}

/// Shows what the shared engine tells, over its deaths, until Ctrl-C or until it is stopped.
fn watch(reach: &Reach, root: &CodebaseRoot, json: bool) -> io::Result<()> {
    let mut screen = Screen::new(root, json)?;
    let mut deaths = VecDeque::new();
    loop {
        let stream = reach.reach(Purpose::Session).map_err(io::Error::other)?;
        match hear(stream, root, &mut screen) {
            Err(AskError::Broken(error)) if screen.is_broken => return Err(error),
            Err(AskError::Broken(_)) => {}
            Err(error) => return Err(io::Error::other(error)),
            Ok(()) => {
                eprintln!(
                    "syncline: the shared engine was stopped, so nothing is kept fresh here; `syncline watch` starts it again"
                );
                return Ok(());
            }
        }
        let now = Instant::now();
        deaths.push_back(now);
        deaths.retain(|at| now - *at < Duration::from_secs(60));
        if deaths.len() > MOST_DEATHS {
            return Err(io::Error::other(format!("the shared engine keeps ending; {}", log_says_why())));
        }
        eprintln!("syncline: the shared engine has ended; starting it again");
    }
}

/// So often the shared engine may end within a minute.
const MOST_DEATHS: usize = 3;

/// Shows what it tells, until it leaves in order.
fn hear(stream: Stream, root: &CodebaseRoot, screen: &mut Screen) -> Result<(), AskError> {
    let mut session = Session::open(stream, root)?;
    loop {
        let said = session.hear()?;
        if said.method == GOODBYE {
            return Ok(());
        }
        if let Some(state) = state_of(said) {
            screen.show(&state)?;
        }
    }
}

/// Watches with an engine of its own, until Ctrl-C.
fn watch_alone(common: &CommonArgs, root: &CodebaseRoot, settings: &Settings, json: bool) -> io::Result<()> {
    let sources = common.sources(serde_json::Value::Null);
    let watched = block_on(async {
        let mut screen = Screen::new(root, json)?;
        let engine = Engine::new(settings);
        let shown = loop {
            let opened = engine.open_with(root.as_path(), &sources).map_err(io::Error::other)?;
            let workspace = opened.workspace;
            let _presence = Presence::announce(&workspace, workspace.settings());
            tokio::select! {
                shown = show(&workspace, &mut screen) => break shown,
                ended = until_interrupted() => break ended,
                // Its settings were edited: it is opened anew, with the new ones.
                () = workspace.outdated().cancelled_owned() => {}
            }
        };
        engine.shutdown().await;
        shown
    });
    watched.map_err(io::Error::other)?
}

async fn show(workspace: &Workspace, screen: &mut Screen) -> io::Result<()> {
    let mut states = workspace.state();
    loop {
        let state = QueueState::from(&**states.borrow_and_update());
        screen.show(&state)?;
        if states.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// Progress while something long goes on, and a line for each batch.
struct Screen {
    json: bool,
    paint: Paint,
    bar: Option<ProgressBar>,
    started: Instant,
    ready: bool,
    health: Health,
    last: Option<BatchId>,
    /// Batches of this engine that were in the queue, as they were first seen.
    in_line: HashMap<BatchId, (FileCount, usize, UnixMillis)>,
    /// Nobody reads it any more.
    is_broken: bool,
}

/// Shorter work shows no bar.
const LONG: Duration = Duration::from_millis(300);
/// Batches that are remembered until they end.
const MOST_IN_LINE: usize = 64;

impl Screen {
    fn new(root: &CodebaseRoot, json: bool) -> io::Result<Screen> {
        let paint = Paint::stdout();
        if !json {
            show::say(format_args!("{} {}\n", paint.bold("syncline"), show::escape(root.as_path().display())))?;
        }
        Ok(Screen {
            json,
            paint,
            bar: None,
            started: Instant::now(),
            ready: false,
            health: Health::Ok,
            last: None,
            in_line: HashMap::new(),
            is_broken: false,
        })
    }

    fn show(&mut self, state: &QueueState) -> io::Result<()> {
        let shown = match self.json {
            true => show::say_json(state),
            false => self.show_to_people(state),
        };
        self.is_broken = shown.is_err();
        shown
    }

    fn show_to_people(&mut self, state: &QueueState) -> io::Result<()> {
        self.progress(state);
        let mut lines = Vec::new();
        if state.health != self.health {
            let sentence = show::escape(state.message.as_deref().unwrap_or_default());
            lines.push(match state.health {
                Health::Ok => self.paint.good("all is well again").to_string(),
                Health::Degraded => format!("{} {sentence}", self.paint.warn("degraded:")),
                Health::Error => format!("{} {sentence}", self.paint.warn("error:")),
            });
            self.health = state.health;
        }
        let own = state.queue.iter().enumerate().filter(|(_, batch)| batch.owner.is_self);
        for (position, batch) in own {
            if self.in_line.len() < MOST_IN_LINE {
                self.in_line.entry(batch.id).or_insert((batch.files, position, batch.created_at));
            }
        }
        if let Some(sync) = &state.last_sync
            && self.last != Some(sync.id)
        {
            lines.push(self.batch(sync));
            self.last = Some(sync.id);
            self.in_line.retain(|id, _| state.queue.iter().any(|batch| batch.id == *id));
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
                index.generation,
            ));
            lines.push(self.paint.dim("watching; every save is searchable at once (Ctrl-C ends)").to_string());
        }
        let say = || lines.iter().try_for_each(|line| show::say(format_args!("{line}\n")));
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    fn batch(&self, sync: &LastSync) -> String {
        let seen = self.in_line.get(&sync.id);
        let covered = seen.map(|(files, ..)| match files {
            FileCount::Number(count) => show::files(*count),
            FileCount::All(_) => "the tree".to_owned(),
        });
        let covered = covered.map_or_else(String::new, |covered| format!(" of {covered}"));
        let place = match seen {
            None => String::new(),
            Some((_, 0, _)) => " · at the head".to_owned(),
            Some((_, before, since)) => {
                let waited = sync.finished_at.since(*since).saturating_sub(sync.duration_ms);
                format!(" · {before} before it, waited {}", show::time(Duration::from_millis(waited)))
            }
        };
        match sync.outcome {
            Outcome::Synced => format!(
                "{} {}{covered}{place} · {}",
                self.paint.good("synced"),
                show::files(sync.files),
                show::time(Duration::from_millis(sync.duration_ms)),
            ),
            Outcome::Failed => {
                format!(
                    "{}{covered}: {}",
                    self.paint.warn("failed"),
                    show::escape(sync.error.as_deref().unwrap_or("no reason given"))
                )
            }
            Outcome::Superseded => format!("{}{covered}{place}", self.paint.dim("superseded")),
        }
    }

    fn progress(&mut self, state: &QueueState) {
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
                advance(&bar, Some(&progress));
                self.bar = Some(bar);
            }
        }
    }
}

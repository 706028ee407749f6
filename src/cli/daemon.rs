//! `syncline daemon`: the engine that all windows and terminals of a user share.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::context::{CommonArgs, block_on, end, fail, start_file_log, start_log, until_interrupted};
use super::show::{self, Paint};
use crate::core::UnixMillis;
use crate::core::settings::{self, Settings};
use crate::daemon::socket::{SocketFolder, Stream};
use crate::daemon::start::{IS_READY, detach, report};
use crate::daemon::wire::{DaemonState, Purpose, Question};
use crate::daemon::{Client, DaemonOptions, Ran, Reach, log_file};

/// `daemon`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Be the shared engine, in the foreground; clients start one by themselves when there is none
    Run(RunArgs),
    /// End the shared engine, once what syncs now is committed
    Stop,
    /// Show the shared engine, its clients and its codebases
    Status(StatusArgs),
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// Start another process to be it, and exit
    #[arg(long, hide = true, conflicts_with = "reports")]
    detach: bool,
    /// Say on standard output that it is ready, and log to the file
    #[arg(long, hide = true)]
    reports: bool,
    /// Leave after so long without clients, instead of what daemon.idle_minutes says
    #[arg(long, hide = true, value_name = "MS")]
    idle_ms: Option<u64>,
}

#[derive(Debug, clap::Args)]
struct StatusArgs {
    /// Print all of it as JSON
    #[arg(long)]
    json: bool,
}

/// How long `stop` waits for the end: longer than a last commit may take.
const STOP_TIME: Duration = Duration::from_secs(30);

/// Runs it.
pub fn run(common: &CommonArgs, args: &Args) -> ExitCode {
    match &args.command {
        Command::Run(args) => be_it(common, args),
        Command::Stop => stop(common),
        Command::Status(args) => status(common, args),
    }
}

fn be_it(common: &CommonArgs, args: &RunArgs) -> ExitCode {
    let settings = settings::load(None, &common.sources(serde_json::Value::Null)).settings;
    let idle = args.idle_ms.map_or(settings.daemon.idle, Duration::from_millis);
    if args.detach {
        return match detach(idle) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                report(&format!("can't start the shared engine: {error}"));
                fail(error)
            }
        };
    }
    let log = match args.reports {
        true => background_log(&settings),
        false => {
            let _ = start_log(&settings, None);
            settings.log.file.clone()
        }
    };
    let ready = || {
        if args.reports {
            report(IS_READY);
        }
    };
    let ran = block_on(async {
        let stop = CancellationToken::new();
        let place = SocketFolder::of_user().map_err(|error| error.to_string())?;
        let options = DaemonOptions { place, idle, settings, log, stop: stop.clone() };
        let running = crate::daemon::run(options, ready);
        tokio::pin!(running);
        let ran = tokio::select! {
            ran = &mut running => ran,
            _ = until_interrupted() => {
                stop.cancel();
                running.await
            }
        };
        ran.map_err(|error| error.to_string())
    });
    match ran.and_then(|ran| ran) {
        Ok(Ran::Served) => ExitCode::SUCCESS,
        Ok(Ran::NotNeeded) if args.reports => ExitCode::SUCCESS,
        Ok(Ran::NotNeeded) => fail("there is a shared engine already; `syncline daemon status` shows it"),
        Err(error) => {
            if args.reports {
                report(&error);
            }
            tracing::error!("{error}");
            fail(error)
        }
    }
}

/// Starts the log of an engine in the background, and gives where it is. Without a place for one there is none.
fn background_log(settings: &Settings) -> Option<PathBuf> {
    let path = settings.log.file.clone().or_else(log_file)?;
    start_file_log(settings, &path).is_ok().then_some(path)
}

fn stop(common: &CommonArgs) -> ExitCode {
    let stop = || {
        let Some(stream) = find(common)? else { return Ok::<_, String>(false) };
        let client = Client::new(stream, None).map_err(|error| error.to_string())?;
        client.stop(STOP_TIME).map_err(|error| error.to_string())?;
        Ok(true)
    };
    let said = match stop() {
        Ok(true) => show::say("the shared engine has ended; editors that are open start it again when they need it\n"),
        Ok(false) => show::say("no shared engine runs\n"),
        Err(error) => return fail(error),
    };
    end(said, ExitCode::SUCCESS)
}

fn find(common: &CommonArgs) -> Result<Option<Stream>, String> {
    let settings = settings::load(None, &common.sources(serde_json::Value::Null)).settings;
    let reach = common.reach("daemon", &settings).map_err(|error| error.to_string())?;
    reach.find(Purpose::Questions).map_err(|error| error.to_string())
}

/// How the shared engine is; `None` when none runs.
pub(super) fn shared_engine(common: &CommonArgs) -> Result<Option<DaemonState>, String> {
    let Some(stream) = find(common)? else { return Ok(None) };
    let mut client = Client::new(stream, None).map_err(|error| error.to_string())?;
    client.ask::<DaemonState>(&Question::Daemon {}).map(Some).map_err(|error| error.to_string())
}

fn status(common: &CommonArgs, args: &StatusArgs) -> ExitCode {
    let said = match shared_engine(common) {
        Ok(state) if args.json => show::say_json(&state),
        Ok(Some(state)) => show::say(lines(&state)),
        Ok(None) => show::say("no shared engine runs; editors, `syncline watch` and `syncline sync` start it\n"),
        Err(error) => return fail(error),
    };
    end(said, ExitCode::SUCCESS)
}

/// A shared engine, for people.
pub(super) fn lines(state: &DaemonState) -> String {
    let paint = Paint::stdout();
    let ago = |since| show::time(Duration::from_millis(UnixMillis::now().since(since)));
    let memory = state.memory.map_or_else(String::new, |bytes| format!(" · {} of memory", show::bytes(bytes)));
    let up = ago(state.started_at);
    let mut out = format!("{}    pid {} · {} · up {up}{memory}\n", paint.bold("shared"), state.pid, state.version);
    if let Some(log) = &state.log {
        out += &format!("log       {log}\n");
    }
    match state.clients.is_empty() {
        true => out += "clients   none\n",
        false => {
            let clients = state.clients.iter().map(|client| format!("{} (pid {})", client.client, client.pid));
            out += &format!("clients   {}\n", clients.collect::<Vec<_>>().join(", "));
        }
    }
    for open in &state.codebases {
        let (index, phase) = (&open.state.index, show::word(&open.state.phase));
        let path = open.state.codebase.root.to_path().map_or_else(String::new, |path| show::escape(path.display()));
        let users = match open.clients {
            0 => paint.dim("nobody works on it; it is closed soon").to_string(),
            1 => "1 client".to_owned(),
            clients => format!("{clients} clients"),
        };
        out += &format!("open      {path} · {} · {phase} · {users}\n", show::files(index.files));
    }
    out
}

/// The shared engine, to be asked again and again.
pub(super) struct Daemon {
    /// The way to it, or why there is none; nothing for those who do without.
    reach: Option<Result<Reach, String>>,
}

impl Daemon {
    /// The one that `client` would use.
    pub(super) fn new(common: &CommonArgs, client: &'static str, settings: &Settings) -> Daemon {
        let reach = (!common.standalone).then(|| common.reach(client, settings).map_err(|error| error.to_string()));
        Daemon { reach }
    }

    /// Its state; `None` when there is none.
    ///
    /// # Errors
    /// One sentence, when there is one that doesn't answer, or can't be one.
    pub(super) fn state(&self) -> Result<Option<DaemonState>, String> {
        let Some(reach) = &self.reach else { return Ok(None) };
        let found =
            reach.as_ref().map_err(String::clone)?.find(Purpose::Questions).map_err(|error| error.to_string())?;
        let Some(stream) = found else { return Ok(None) };
        let mut client = Client::new(stream, None).map_err(|error| error.to_string())?;
        client.ask(&Question::Daemon {}).map(Some).map_err(|error| error.to_string())
    }
}

//! `syncline doctor`: what it needs from this machine, and how to fix what is missing.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::context::{CommonArgs, codebase_of, end};
use super::daemon::shared_engine;
use super::shared_queue::{SharedQueue, wants_redis};
use super::show::{self, Paint};
use crate::core::CodebaseRoot;
use crate::core::settings::Settings;
use crate::watch::tree::{Enter, TreeRules};
use crate::workspace::index_folder;

/// `doctor`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The codebase
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// What `doctor --json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    version: &'static str,
    checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    /// What: `settings`, `codebase`, `index`, `disk`, `watches`, `redis`, `engine`.
    name: &'static str,
    state: State,
    /// What was found, and how to fix it where that is needed.
    message: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum State {
    Ok,
    /// It works, and could be better.
    Warning,
    /// Something doesn't work.
    Error,
}

fn ok(name: &'static str, message: impl Into<String>) -> Check {
    Check { name, state: State::Ok, message: message.into() }
}

fn warning(name: &'static str, message: impl Into<String>) -> Check {
    Check { name, state: State::Warning, message: message.into() }
}

fn error(name: &'static str, message: impl Into<String>) -> Check {
    Check { name, state: State::Error, message: message.into() }
}

/// Runs it. Exits with 1 when something doesn't work.
pub fn run(common: &CommonArgs, args: &Args) -> ExitCode {
    let root = codebase_of(&args.path, &common.load(None).settings);
    let loaded = common.load(root.as_ref().ok().map(CodebaseRoot::as_path));
    let settings = loaded.settings;
    let mut checks: Vec<_> = loaded.problems.iter().map(|problem| warning("settings", problem.to_string())).collect();
    if checks.is_empty() {
        checks.push(ok("settings", "every setting is understood"));
    }
    match root {
        Ok(root) => {
            checks.push(ok("codebase", root.as_path().display().to_string()));
            checks.extend(index(&settings, &root));
            checks.extend(watches(&settings, &root));
            checks.push(redis(&settings, &root));
        }
        Err(problem) => checks.push(error("codebase", problem.to_string())),
    }
    if !common.standalone {
        checks.push(engine(common));
    }
    let failed = checks.iter().any(|check| check.state == State::Error);
    let report = Report { version: super::VERSION, checks };
    let said = match args.json {
        true => show::say_json(&report),
        false => show::say(text(&report)),
    };
    end(said, ExitCode::from(u8::from(failed)))
}

/// The engine that all windows share.
fn engine(common: &CommonArgs) -> Check {
    match shared_engine(common) {
        Ok(Some(state)) => {
            let open = match state.codebases.len() {
                1 => "1 open codebase".to_owned(),
                count => format!("{count} open codebases"),
            };
            let log = state.log.map(|log| format!(", its log is {log}")).unwrap_or_default();
            let about = format!("pid {} serves {open}{log}", state.pid);
            match state.version == super::VERSION {
                true => ok("engine", about),
                false => warning(
                    "engine",
                    format!(
                        "{about}; it is of {}: `syncline daemon stop` lets this version start its own",
                        state.version
                    ),
                ),
            }
        }
        Ok(None) => ok("engine", "none is shared at the moment; an editor, `watch` or `sync` starts one"),
        Err(why) => error("engine", why),
    }
}

/// For people.
fn text(report: &Report) -> String {
    let paint = Paint::stdout();
    let mut out = format!("{} {}\n", paint.bold("syncline"), report.version);
    for Check { name, state, message } in &report.checks {
        let mark = match state {
            State::Ok => paint.good("ok     "),
            State::Warning => paint.warn("warning"),
            State::Error => paint.warn("error  "),
        };
        out += &format!("{mark}  {name:<9} {}\n", show::escape(message));
    }
    let (errors, warnings) = [State::Error, State::Warning]
        .map(|wanted| report.checks.iter().filter(|check| check.state == wanted).count())
        .into();
    out + &match (errors, warnings) {
        (0, 0) => format!("{}\n", paint.good("all is well")),
        (0, warnings) => format!("it works; {warnings} could be better\n"),
        (errors, _) => format!("{}\n", paint.warn(format!("{errors} to be fixed"))),
    }
}

/// Whether the index's folder can be written, and whether there is space.
fn index(settings: &Settings, root: &CodebaseRoot) -> Vec<Check> {
    let Some(folder) = index_folder(settings, root) else {
        return vec![error("index", "the platform names no cache folder; set index.dir to a folder")];
    };
    let shown = folder.display();
    // The index's folder, or the one that it will be made in. A link in its place will be replaced.
    let place = folder.ancestors().find(|path| match std::fs::symlink_metadata(path) {
        Ok(found) => *path != folder || !found.is_symlink(),
        Err(_) => false,
    });
    let Some(existing) = place.filter(|place| place.is_dir()) else {
        let obstacle = place.map(|place| format!(": {} is no folder", place.display())).unwrap_or_default();
        return vec![error("index", format!("{shown} can't be made{obstacle}; set index.dir to another folder"))];
    };
    let mut checks = vec![match may_write(existing) {
        Ok(()) => ok("index", format!("{shown} can be written")),
        Err(problem) => error(
            "index",
            format!("{shown} can't be written ({problem}); make it writable, or set index.dir to another"),
        ),
    }];
    checks.extend(disk(existing));
    checks
}

/// Whether this user may make files in a folder, as the system says. None is made to see: the folder may be another's.
#[cfg(unix)]
fn may_write(folder: &Path) -> std::io::Result<()> {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    Ok(accessat(CWD, folder, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?)
}

/// What the system says elsewhere is not much.
#[cfg(not(unix))]
fn may_write(folder: &Path) -> std::io::Result<()> {
    match std::fs::metadata(folder)?.permissions().readonly() {
        true => Err(std::io::ErrorKind::PermissionDenied.into()),
        false => Ok(()),
    }
}

#[cfg(unix)]
fn disk(folder: &Path) -> Option<Check> {
    /// The index of a tree takes about a tenth of it.
    const ENOUGH: u64 = 1 << 30;
    /// Not even an index of a few files can be written.
    const LEAST: u64 = 1 << 20;
    let space = rustix::fs::statvfs(folder).ok()?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let message = format!("{} free where indexes live", show::bytes(free));
    let fix = "free some, or set index.dir to another disk";
    Some(match free {
        // Some file systems don't count files.
        _ if space.f_files > 0 && space.f_favail == 0 => {
            error("disk", format!("no more files can be made where indexes live; {fix}"))
        }
        ..LEAST => error("disk", format!("{message}; {fix}")),
        LEAST..ENOUGH => warning("disk", format!("{message}; {fix}")),
        _ => ok("disk", message),
    })
}

#[cfg(not(unix))]
fn disk(_: &Path) -> Option<Check> {
    None
}

/// Whether the system lets every folder be watched.
#[cfg(target_os = "linux")]
fn watches(settings: &Settings, root: &CodebaseRoot) -> Option<Check> {
    if crate::watch::filesystem::is_silent(root.as_path()) {
        let message = "the file system sends no events for changes made elsewhere, so the tree is walked again and \
                       again; watch.mode = \"native\" relies on events all the same";
        return Some(warning("watches", message));
    }
    let limit = |name: &str| -> Option<usize> {
        std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse().ok()
    };
    let rules = TreeRules::new(root.as_path(), settings.index.hidden, &settings.index.exclude).ok()?;
    let folders = Arc::new(AtomicUsize::new(0));
    let counted = folders.clone();
    let count: Enter = Arc::new(move |_: &Path, _| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    rules.scan(root.as_path(), threads, &CancellationToken::new(), &count).ok()?;
    let (folders, most) = (folders.load(Ordering::Relaxed), limit("max_user_watches")?);
    let found = format!(
        "{} {} to watch, of {} that fs.inotify.max_user_watches allows all programs of a user together",
        show::number(folders),
        if folders == 1 { "folder" } else { "folders" },
        show::number(most)
    );
    // Other programs watch, too.
    Some(match folders * 2 > most {
        true => {
            let wanted = (folders * 4).next_power_of_two();
            warning("watches", format!("{found}; raise it: sudo sysctl fs.inotify.max_user_watches={wanted}"))
        }
        false => match limit("max_user_instances") {
            Some(instances @ ..16) => warning(
                "watches",
                format!(
                    "{instances} programs of a user may watch; raise it: sudo sysctl fs.inotify.max_user_instances=128"
                ),
            ),
            _ => ok("watches", found),
        },
    })
}

#[cfg(not(target_os = "linux"))]
fn watches(_: &Settings, _: &CodebaseRoot) -> Option<Check> {
    None
}

/// Whether Redis can be used, when the settings want it.
fn redis(settings: &Settings, root: &CodebaseRoot) -> Check {
    /// What evicts values before queues, or nothing.
    const KIND_TO_LINES: [&str; 5] = ["noeviction", "volatile-ttl", "volatile-lru", "volatile-lfu", "volatile-random"];
    if !wants_redis(&settings.queue) {
        return ok("redis", "not used; each engine has a queue of its own");
    }
    let Some(queue) = SharedQueue::open(settings, root) else {
        return error("redis", "can't start what connects to it; free memory or raise the limit of threads");
    };
    let view = queue.read();
    if let Some(problem) = view.problem {
        return error("redis", problem);
    }
    let server = view.server.unwrap_or_default();
    let latency = view.latency_ms.unwrap_or_default();
    let mut found = format!("{server} can be used, answers in {latency:.1} ms");
    let Some(facts) = queue.facts() else {
        return warning("redis", format!("{found}; it doesn't say what it is, since its user may not ask (INFO)"));
    };
    found = format!("{} {} at {found}", facts.name, facts.version);
    match facts.eviction.as_deref() {
        Some(policy) if facts.max_memory != Some(0) && !KIND_TO_LINES.contains(&policy) => warning(
            "redis",
            format!(
                "{found}; when full it evicts anything ({policy}), queues too; set its maxmemory-policy to volatile-ttl"
            ),
        ),
        _ if latency > 50.0 => {
            warning("redis", format!("{found}; every batch asks it three times, so it should be nearer"))
        }
        _ => ok("redis", found),
    }
}

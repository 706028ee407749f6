//! Starting the daemon: apart from whoever does it, and with nothing of theirs.
//!
//! The program starts itself twice. The first process makes a session of its own (so that no terminal's end reaches it),
//! starts the second, and is gone at once; so the daemon is nobody's child, and ends with no editor that ends all its
//! descendants. It gets a handful of variables that say who and where the user is and whom they trust, and nothing else of
//! the environment: that is the environment of whichever repository it was started in. Clients bring their own settings along.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use thiserror::Error;

use super::log::log_says_why;

/// The variables that the daemon keeps: who and where the user is, and whom the user's programs trust.
const KEPT: [&str; 12] = [
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TZ",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_STATE_HOME",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// How long the daemon may take to be ready.
const READY: Duration = Duration::from_secs(10);

/// What the daemon prints when clients can come.
pub const IS_READY: &str = "ready";

/// Why there is no daemon.
#[derive(Debug, Error)]
pub enum StartError {
    /// The program can't be run.
    #[error("can't start the shared engine: {0}")]
    Spawn(#[from] io::Error),
    /// The daemon said why.
    #[error("{0}")]
    Said(String),
    /// It ended without a word, or took too long.
    #[error("the shared engine didn't get ready; {}", log_says_why())]
    Silent,
}

/// Starts the daemon, which leaves when nobody needs it for `idle`, and waits until it takes clients. When there is one
/// already, that is as good. Blocks.
///
/// # Errors
/// When it can't be started, or doesn't get ready.
pub fn start(idle: Duration) -> Result<(), StartError> {
    let mut command = command(idle, "--detach")?;
    let mut launcher = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let Some(said) = launcher.stdout.take() else { return Err(StartError::Silent) };
    let (give, line) = mpsc::channel();
    std::thread::Builder::new().name("syncline-start".to_owned()).spawn(move || {
        let mut line = String::new();
        // What can't be read was not said. Whoever waited may have gone.
        let _ = BufReader::new(said).read_line(&mut line);
        let _ = give.send(line);
        // It has done its part long since, and is to leave no trace.
        let _ = launcher.wait();
    })?;
    let line = line.recv_timeout(READY);
    match line.as_deref().map(str::trim) {
        Ok(IS_READY) => Ok(()),
        Ok("") | Err(_) => Err(StartError::Silent),
        Ok(why) => Err(StartError::Said(why.to_owned())),
    }
}

/// As [`start`], without waiting: for those who do without the daemon this time.
///
/// # Errors
/// When the program can't be run.
pub fn start_soon(idle: Duration) -> io::Result<()> {
    // It becomes nobody's child when this process ends, which is soon.
    command(idle, "--detach")?.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(drop)
}

/// The first process's work: starts the second, which prints to the same standard output.
///
/// # Errors
/// When it can't be started.
pub fn detach(idle: Duration) -> io::Result<()> {
    #[cfg(unix)]
    if let Err(error) = rustix::process::setsid() {
        tracing::debug!(%error, "no session of its own");
    }
    command(idle, "--reports")?.stdin(Stdio::null()).stdout(Stdio::inherit()).stderr(Stdio::null()).spawn()?;
    Ok(())
}

fn command(idle: Duration, role: &str) -> io::Result<Command> {
    let mut command = Command::new(program()?);
    command.args(["daemon", "run", role, "--idle-ms", &idle.as_millis().to_string()]);
    command.env_clear().envs(kept()).current_dir("/");
    Ok(command)
}

fn kept() -> impl Iterator<Item = (&'static str, OsString)> {
    // Alone, the file of those who are trusted is each client's own, and travels with its settings.
    let is_file_s_own = std::env::var_os("SSL_CERT_DIR").is_none();
    let kept = KEPT.into_iter().filter(move |name| !(is_file_s_own && *name == "SSL_CERT_FILE"));
    kept.filter_map(|name| Some((name, std::env::var_os(name)?)))
}

/// This program. When it was replaced while it ran, by an update, the one that took its place.
fn program() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let replaced = program.to_str().and_then(|path| path.strip_suffix(" (deleted)")).map(PathBuf::from);
    Ok(replaced.unwrap_or(program))
}

/// Tells whoever started this process that clients can come, or why not, and lets go of standard output.
pub fn report(what: &str) {
    use std::io::Write;
    let mut out = io::stdout().lock();
    // Nobody may be there to hear it.
    let _ = writeln!(out, "{what}").and_then(|()| out.flush());
    #[cfg(unix)]
    if let Ok(null) = std::fs::OpenOptions::new().write(true).open("/dev/null") {
        // If that fails, the other end waits for its deadline: it reads one line only, so not even that.
        let _ = rustix::stdio::dup2_stdout(null);
    }
}

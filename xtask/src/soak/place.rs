//! Where it all happens: a tree, a home and an index folder of their own, and how programs are started there.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::sandbox;

/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// Names the file that has the soak wait between two steps for as long as it is there.
const PAUSE_FILE: &str = "SYNCLINE_SOAK_PAUSE_FILE";

/// The folders, and the programs that are at work in them.
#[derive(Clone)]
pub(super) struct Place {
    /// Where all of it is.
    pub(super) base: PathBuf,
    /// The folder above the tree.
    pub(super) above: PathBuf,
    /// What lives.
    pub(super) tree: PathBuf,
    /// What lies outside the tree, and is nobody's.
    pub(super) outside: PathBuf,
    pub(super) home: PathBuf,
    /// Where indexes are: a small disk of its own.
    pub(super) disk: PathBuf,
    pub(super) syncline: PathBuf,
    pub(super) ripgrep: PathBuf,
    pub(super) redis_url: String,
    /// How long anybody waits for an answer.
    pub(super) patience: Duration,
    pub(super) pause_file: Option<PathBuf>,
    /// Held by whoever starts programs in the tree; who exchanges the tree for another holds it alone.
    pub(super) gate: Arc<RwLock<()>>,
    /// Whether what nobody may read is read all the same.
    pub(super) reads_everything: bool,
}

impl Place {
    /// The file that has everybody wait, if the environment names one.
    pub(super) fn pause_file() -> Option<PathBuf> {
        std::env::var_os(PAUSE_FILE).map(PathBuf::from)
    }

    /// Waits while the file that pauses everything is there; gives for how long.
    pub(super) fn wait_while_paused(&self) -> Duration {
        let start = Instant::now();
        while self.pause_file.as_ref().is_some_and(|file| file.exists()) {
            thread::sleep(Duration::from_millis(200));
        }
        start.elapsed()
    }

    /// `syncline` in the tree.
    pub(super) fn syncline(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = self.command(&self.syncline)?;
        command.env("SYNCLINE_INDEX_DIR", &self.disk).env("SYNCLINE_QUEUE_REDIS_URL", &self.redis_url);
        command.args(arguments);
        Ok(command)
    }

    /// Has engines log each look at the tree and each commit: what a finding is understood by.
    pub(super) fn have_looks_logged(&self) -> Result<()> {
        let folder = self.home.join(".config/syncline");
        let level = "[log]\nlevel = \"info,syncline::workspace=debug\"\n";
        let written = fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join("config.toml"), level));
        written.context("cannot write the settings")
    }

    /// `rg` in the tree.
    pub(super) fn ripgrep(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = self.command(&self.ripgrep)?;
        command.arg("--no-config").args(arguments);
        Ok(command)
    }

    /// Runs `git` in the tree, and gives whether it could do that.
    pub(super) fn try_git(&self, arguments: &[&str]) -> Result<bool> {
        let mut command = self.command(Path::new("git"))?;
        command.args(["-c", "user.name=soak", "-c", "user.email=soak@localhost", "-c", "gc.auto=0"]).args(arguments);
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_EDITOR", "true").stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command.status().context("cannot run git")?.success())
    }

    /// Runs `git` in the tree, which must work.
    pub(super) fn git(&self, arguments: &[&str]) -> Result<()> {
        if !self.try_git(arguments)? {
            bail!("`git {}` failed", arguments.join(" "));
        }
        Ok(())
    }

    /// The processes that are the shared engine, or want to be.
    pub(super) fn daemons(&self) -> Vec<i32> {
        let own = [b"XDG_RUNTIME_DIR=", self.home.join("run").as_os_str().as_encoded_bytes()].concat();
        let mut daemons = Vec::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            // It may have ended since.
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let has = |wanted: &[u8]| line.split(|byte| *byte == 0).any(|word| word == wanted);
            if has(b"daemon") && has(b"run") {
                let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
                daemons.extend(environment.split(|byte| *byte == 0).any(|variable| variable == own).then_some(pid));
            }
        }
        daemons
    }

    /// The shared engine's log.
    pub(super) fn log(&self) -> String {
        let log = fs::read(self.home.join(".local/state/syncline/daemon.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn command(&self, program: &Path) -> Result<Command> {
        let mut command = Command::new(program);
        sandbox::isolate(&mut command, &self.home)?;
        command.current_dir(&self.tree).stdin(Stdio::null());
        Ok(command)
    }
}

/// Runs a command to its end; an error when that takes longer than `patience`.
pub(super) fn run(command: &mut Command, patience: Duration) -> Result<Output> {
    let name = format!("{command:?}");
    let name = name.rsplit('/').next().unwrap_or_default();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("cannot start a program")?;
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let start = Instant::now();
    let status = loop {
        match child.try_wait().context("cannot wait for a program")? {
            Some(status) => break status,
            None if start.elapsed() < patience => thread::sleep(LOOK),
            None => {
                end(&mut child);
                bail!("no end of `{name}` within {} s", patience.as_secs());
            }
        }
    };
    let read = |pipe: JoinHandle<Vec<u8>>| pipe.join().unwrap_or_default();
    Ok(Output { status, stdout: read(stdout), stderr: read(stderr) })
}

/// Both pipes are read while the program runs, because it stops when one of them is full.
fn drain(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe
            && let Err(error) = pipe.read_to_end(&mut bytes)
            && error.kind() != ErrorKind::Interrupted
        {
            eprintln!("warning: a program's output breaks off: {error}");
        }
        bytes
    })
}

/// Ends a child as nothing can be prepared for.
pub(super) fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

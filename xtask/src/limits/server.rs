//! A tree, and a server with an engine of its own that has it open.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::bench::measure::{bytes_on_disk, cpu, peak, resident};
use crate::lsp::{Answer, Client, Line};
use crate::sandbox;

/// Longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(1800);

/// Where a case happens.
pub(super) struct Place {
    pub(super) tree: PathBuf,
    home: PathBuf,
    index: PathBuf,
    syncline: PathBuf,
    ripgrep: PathBuf,
}

/// A server, and what it has told.
pub(super) struct Server<'a> {
    place: &'a Place,
    pub(super) client: Client,
}

/// Costs so far.
pub(super) struct Costs {
    cpu: Duration,
    peak: u64,
    disk: u64,
}

impl Place {
    /// With an empty tree, below `folder`.
    pub(super) fn new(folder: &Path, syncline: &Path, ripgrep: &Path) -> Result<Self> {
        let place = Self {
            tree: folder.join("tree"),
            home: folder.join("home"),
            index: folder.join("index"),
            syncline: syncline.to_owned(),
            ripgrep: ripgrep.to_owned(),
        };
        fs::create_dir(&place.tree).context("cannot create the tree")?;
        Ok(place)
    }

    /// Writes a file, and the folders it needs.
    pub(super) fn write(&self, path: &str, text: impl AsRef<[u8]>) -> Result<()> {
        let path = self.tree.join(path);
        let folder = path.parent().unwrap_or(&self.tree);
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Starts a server in the tree.
    pub(super) fn serve(&self) -> Result<Server<'_>> {
        let mut command = self.command(&self.syncline)?;
        command.env("SYNCLINE_INDEX_DIR", &self.index).args(["lsp", "--stdio", "--standalone"]).stderr(Stdio::null());
        Ok(Server { place: self, client: Client::start(&mut command, &self.tree)?.with_patience(PATIENCE) })
    }

    /// What `syncline search` prints for a pattern, how long that takes, and the most memory.
    pub(super) fn search(&self, pattern: &str) -> Result<(Vec<u8>, Duration, u64)> {
        let mut command = self.command(&self.syncline)?;
        command.env("SYNCLINE_INDEX_DIR", &self.index);
        let ran = crate::bench::measure::run_search(command.args(["search", "--standalone", "-n", "-e", pattern]))?;
        Ok((ran.stdout, ran.wall, ran.peak_rss))
    }

    /// What `rg` prints for a pattern, how long that takes, and the most memory.
    pub(super) fn ripgrep(&self, arguments: &[&str]) -> Result<(Vec<u8>, Duration, u64)> {
        let mut command = self.command(&self.ripgrep)?;
        command.args(["--no-config", "--no-heading", "--sort", "path", "-n"]).args(arguments);
        let ran = crate::bench::measure::run_search(&mut command)?;
        Ok((ran.stdout, ran.wall, ran.peak_rss))
    }

    fn command(&self, program: &Path) -> Result<Command> {
        let mut command = Command::new(program);
        sandbox::isolate(&mut command, &self.home)?;
        command.current_dir(&self.tree).stdin(Stdio::null());
        Ok(command)
    }
}

impl Server<'_> {
    /// Waits until the index equals the tree, as far as the server knows; gives when that was.
    pub(super) fn until_fresh(&mut self) -> Result<Instant> {
        self.client.wait_until_fresh(PATIENCE)
    }

    /// Waits until symbols are known, too.
    pub(super) fn until_done(&mut self) -> Result<Instant> {
        self.client.wait_until(PATIENCE, |state| {
            state["phase"] == "idle"
                && state["index"]["fresh"] == true
                && state["index"]["symbols"] != 0
                && state["progress"].is_null()
        })
    }

    /// The state now.
    pub(super) fn state(&mut self) -> Result<Value> {
        match self.client.ask("syncline/queue", &json!({}))? {
            Ok(mut states) => Ok(states[0].take()),
            Err(error) => bail!("no state: {error}"),
        }
    }

    /// Searches for a plain text; the answer is compared with `rg`'s where it calls itself fresh. Gives how long it took,
    /// whether it is fresh, and how many lines it has.
    pub(super) fn search(&mut self, text: &str) -> Result<(Duration, bool, usize)> {
        let parameters = json!({ "query": text, "isCaseSensitive": true, "maxResults": 1_000_000, "fresh": true });
        let asked = Instant::now();
        let result = self.client.ask("syncline/search", &parameters)?;
        let took = asked.elapsed();
        let answer = match result {
            Ok(result) => Answer::of(result, took),
            Err(error) => bail!("no answer: {error}"),
        };
        let ours = answer.lines()?;
        if answer.fresh() {
            let (theirs, ..) = self.place.ripgrep(&["--null", "-F", "-e", text])?;
            let theirs: BTreeSet<Line> = Line::of_rg(&theirs, &self.place.tree);
            if let Some(how) = Line::difference(&ours, &theirs) {
                bail!("the answer for `{text}`: {how}");
            }
        }
        Ok((took, answer.fresh(), ours.len()))
    }

    /// What it has cost so far.
    pub(super) fn costs(&self) -> Result<Costs> {
        let pid = self.client.pid();
        let disk = if self.place.index.is_dir() { bytes_on_disk(&self.place.index)? } else { 0 };
        Ok(Costs { cpu: cpu(pid)?, peak: peak(pid)?, disk })
    }

    /// The memory that it has resident now, and its open descriptors.
    pub(super) fn holds(&self) -> Result<String> {
        let pid = self.client.pid();
        let count = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).map_or(0, Iterator::count);
        Ok(format!("{}, {} descriptors, {} threads", megabytes(resident(pid)?), count("fd"), count("task")))
    }
}

impl std::fmt::Display for Costs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {}, {}", seconds(self.cpu), megabytes(self.peak), megabytes(self.disk))
    }
}

/// A time for people.
pub(super) fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        time if time < 1.0 => format!("{:.0} ms", time * 1000.0),
        time => format!("{time:.1} s"),
    }
}

/// A size for people.
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes >> 20)
}

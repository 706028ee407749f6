//! Whether all is as promised: the index equals the tree, answers equal ripgrep's, what is wrong is said.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::clients::connect;
use super::faults::Lasting;
use super::place::{self, Place};
use super::tally::Tally;
use super::words;
use crate::compare::random::Random;
use crate::lsp::{Answer, Client, Line};
use crate::sandbox::Scratch;

/// How many patterns are compared at rest.
const PATTERNS: usize = 50;
/// How many while something is wrong.
const PATTERNS_IN_TROUBLE: usize = 5;
/// How many names are looked up as symbols.
const SYMBOLS: usize = 5;
/// How long it may take until all is well again: the pauses between tries grow to a minute, and a walk of the whole tree
/// is made each five minutes at worst.
const RECOVERY: Duration = Duration::from_secs(400);
/// How long it may take until trouble is told.
const TELLING: Duration = Duration::from_secs(90);
/// More matches than any pattern has here.
const MOST_LINES: u32 = 500_000;

/// Who compares: an editor of its own.
pub(super) struct Examiner {
    place: Place,
    client: Client,
    random: Random,
    tally: Tally,
}

impl Examiner {
    /// Begins with an editor that has the tree open.
    pub(super) fn new(place: &Place, random: Random, tally: &Tally) -> Result<Self> {
        Ok(Self { place: place.clone(), client: connect(place)?, random, tally: tally.clone() })
    }

    /// Nothing is wrong outside: waits until all is well, and compares everything.
    pub(super) fn at_rest(&mut self) -> Result<()> {
        let start = Instant::now();
        // An editor whose engine has died too often has one of its own for good; a new one has the shared engine.
        std::mem::replace(&mut self.client, connect(&self.place)?).shut_down()?;
        self.until_well()?;
        self.tally.took("exams", "all well again", start.elapsed());
        self.index_equals_tree()?;
        for _ in 0..PATTERNS {
            let pattern = words::pattern(&mut self.random);
            let theirs = self.ripgrep(&pattern)?;
            self.command_line_equals(&pattern, &theirs)?;
            self.server_equals(&pattern, &theirs.stdout)?;
        }
        for _ in 0..SYMBOLS {
            self.symbols_equal()?;
        }
        self.no_panic()?;
        self.tally.took("exams", "passed at rest", start.elapsed());
        Ok(())
    }

    /// Something has happened of which no event may tell: answers must be right at once, whatever else is wrong. Only a server
    /// that says that its answer may lack something is believed.
    pub(super) fn at_once(&mut self, pattern: &str) -> Result<()> {
        let start = Instant::now();
        let theirs = self.ripgrep_of_all(pattern)?;
        self.command_line_equals(pattern, &theirs)?;
        let answer = self.search(pattern)?;
        match answer.fresh() {
            true => self.lines_equal(pattern, &answer, &theirs.stdout)?,
            false => self.tally.add("compared", "editor's answers that said they may lack something"),
        }
        self.tally.took("exams", "right answers at once", start.elapsed());
        Ok(())
    }

    /// Something is wrong outside: it must be said, where it shows, and answers must be right all the same.
    pub(super) fn in_trouble(&mut self, trouble: Lasting, needle: &str) -> Result<()> {
        let start = Instant::now();
        let is_told = |state: &Value| state["health"] != "ok" && state["message"].is_string();
        let is_well = |state: &Value| state["index"]["fresh"] == true && state["index"]["pending"] == 0;
        match trouble {
            // Other engines wait for it; this one hears of it at once.
            Lasting::NoRedis => self.until("it is told that there is no Redis", TELLING, is_told)?,
            Lasting::FewWatches | Lasting::NoInstances => {
                self.has_it_watch_anew()?;
                self.until("it is told that not all can be watched", TELLING, is_told)?;
            }
            // What was freed since may have been enough.
            Lasting::FullDisk => {
                self.until("it is told that the disk is full", TELLING, |state| is_told(state) || is_well(state))?;
            }
            // It can't always tell; its answers count.
            Lasting::FewDescriptors => {}
        }
        let mut patterns = vec![needle.to_owned()];
        patterns.extend((0..PATTERNS_IN_TROUBLE).map(|_| words::pattern(&mut self.random)));
        for pattern in patterns {
            let theirs = self.ripgrep_of_all(&pattern)?;
            self.command_line_equals(&pattern, &theirs)?;
        }
        self.tally.took("exams", &format!("right answers: {}", trouble.name()), start.elapsed());
        Ok(())
    }

    /// What is watched stays so whatever the limits are by now; only new watches meet them. A root that goes and comes back
    /// has all watches made anew.
    fn has_it_watch_anew(&mut self) -> Result<()> {
        {
            let _closed = self.place.gate.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            let away = self.place.tree.with_extension("away");
            fs::rename(&self.place.tree, &away).context("cannot move the tree away")?;
            fs::rename(&away, &self.place.tree).context("cannot move the tree back")?;
        }
        self.ask("syncline/sync", &json!({})).map(drop)
    }

    /// Ends the editor.
    pub(super) fn end(self) -> Result<()> {
        self.client.shut_down()
    }

    fn ask(&mut self, method: &str, parameters: &Value) -> Result<Value> {
        let start = Instant::now();
        loop {
            let asked = Instant::now();
            match self.client.ask(method, parameters)? {
                Ok(result) => {
                    self.tally.took("answers", method, asked.elapsed());
                    return Ok(result);
                }
                // The engine died: "ask again".
                Err(error) if error["code"] == -32801 && start.elapsed() < self.place.patience => {}
                Err(error) => bail!("{method} {parameters} failed: {error}"),
            }
        }
    }

    fn until_well(&mut self) -> Result<()> {
        let start = Instant::now();
        // What isn't committed at first is tried again by itself; a sync only has it begin.
        let outcome = self.ask("syncline/sync", &json!({}))?;
        self.tally.add("exams", &format!("sync before it: {}", outcome["outcome"].as_str().unwrap_or("none")));
        let left = RECOVERY.saturating_sub(start.elapsed());
        self.until("all is well", left, |state| {
            let index = &state["index"];
            state["health"] == "ok" && state["phase"] == "idle" && index["fresh"] == true && index["pending"] == 0
        })
    }

    fn until(&mut self, what: &str, patience: Duration, wanted: impl Fn(&Value) -> bool) -> Result<()> {
        let start = Instant::now();
        loop {
            let states = self.ask("syncline/queue", &json!({}))?;
            if wanted(&states[0]) {
                return Ok(());
            }
            if start.elapsed() > patience {
                bail!("not within {} s: {what}; the state is {}", patience.as_secs(), states[0]);
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn index_equals_tree(&mut self) -> Result<()> {
        let listed = place::run(&mut self.place.ripgrep(&["--files"])?, self.place.patience)?;
        let files = listed.stdout.iter().filter(|byte| **byte == b'\n').count();
        let states = self.ask("syncline/queue", &json!({}))?;
        let status = self.status_at_rest()?;
        if states[0]["index"]["files"] != files {
            // Whether it was wrong, or late; or something went on in the tree.
            let newest = newest(&self.place.tree, &listed.stdout);
            thread::sleep(Duration::from_secs(1));
            let later = self.ask("syncline/queue", &json!({}))?;
            let index = &status["codebases"][0]["index"];
            bail!(
                "the state is {}, a second later {}, `status` says {index}, rg lists {files} files; changed last: {newest}",
                states[0],
                later[0]
            );
        }
        let (codebase, open) = (&status["codebases"][0], &status["daemon"]["codebases"]);
        let index = &codebase["index"];
        if index["differing"] != 0 || index["fresh"] != true || index["files"] != files {
            bail!("`status` says {index}, rg lists {files} files");
        }
        if open.as_array().is_none_or(|open| open.len() != 1) {
            let output = place::run(&mut self.place.syncline(&["daemon", "status"])?, self.place.patience)?;
            let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).replace('\n', " | "));
            bail!("not one codebase is open but {open}; then `daemon status` says {said:?}");
        }
        let doctor = self.json(&["doctor", "--json"])?;
        for check in doctor["checks"].as_array().into_iter().flatten() {
            if check["state"] == "error" {
                bail!("`doctor` says {check}");
            }
        }
        self.tally.add_many("compared", "files of the index with the tree's", files as u64);
        Ok(())
    }

    /// What `status` says once the index on disk is the tree's: an editor's own engine that gets no events may have
    /// committed last, and finds out by its next walk.
    fn status_at_rest(&mut self) -> Result<Value> {
        let start = Instant::now();
        loop {
            let status = self.json(&["status", "--json"])?;
            if status["codebases"][0]["index"]["fresh"] == true || start.elapsed() > RECOVERY {
                self.tally.took("exams", "index on disk equal", start.elapsed());
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn json(&self, arguments: &[&str]) -> Result<Value> {
        let output = place::run(&mut self.place.syncline(arguments)?, self.place.patience)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        serde_json::from_slice(&output.stdout).with_context(|| format!("`{arguments:?}` prints no JSON: {said}"))
    }

    /// What rg answers where everything can be read.
    fn ripgrep(&self, pattern: &str) -> Result<Output> {
        let output = self.ripgrep_of_all(pattern)?;
        match output.status.code() {
            Some(0 | 1) => Ok(output),
            _ => bail!("rg can't search for `{pattern}`: {}", String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// What rg answers, and what it says of what it may not read.
    fn ripgrep_of_all(&self, pattern: &str) -> Result<Output> {
        let arguments = ["-n", "--null", "--no-heading", "--sort", "path", "-e", pattern];
        let output = place::run(&mut self.place.ripgrep(&arguments)?, self.place.patience)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0 | 1) => Ok(output),
            Some(2) if said.lines().all(|line| line.contains("Permission denied")) => Ok(output),
            _ => bail!("rg can't search for `{pattern}`: {said}"),
        }
    }

    fn command_line_equals(&mut self, pattern: &str, theirs: &Output) -> Result<()> {
        let output = place::run(&mut self.place.syncline(&["search", "-n", "-e", pattern])?, self.place.patience)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() != theirs.status.code() {
            let rg = String::from_utf8_lossy(&theirs.stderr).into_owned();
            bail!(
                "`syncline search` of `{pattern}` ends with {} ({said}), rg with {} ({rg})",
                output.status,
                theirs.status
            );
        }
        // Behind a path, rg was asked for a NUL.
        let theirs: Vec<_> = theirs.stdout.iter().map(|byte| if *byte == 0 { b':' } else { *byte }).collect();
        if output.stdout != theirs {
            let only = |one: &[u8], other: &[u8]| {
                let other: BTreeSet<_> = other.split(|byte| *byte == b'\n').collect();
                let lines = one.split(|byte| *byte == b'\n').filter(|line| !other.contains(line));
                let lines: Vec<_> = lines.map(String::from_utf8_lossy).collect();
                format!("{} lines, the first {:?}", lines.len(), lines.first())
            };
            let again = |arguments: &[&str]| -> Result<String> {
                let output = place::run(&mut self.place.syncline(arguments)?, self.place.patience)?;
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                Ok(format!("{} ({})", only(&theirs, &output.stdout), said.replace('\n', " | ")))
            };
            let once_more = again(&["--log-level", "debug", "search", "-n", "-e", pattern])?;
            let alone = again(&["--standalone", "--log-level", "debug", "search", "-n", "-e", pattern])?;
            let (ours, theirs) = (only(&output.stdout, &theirs), only(&theirs, &output.stdout));
            bail!(
                "`syncline search` of `{pattern}`: only there: {ours}; only from rg: {theirs}; once more: {once_more}; \
                 without the shared engine: {alone}"
            );
        }
        self.tally.add("compared", "command line's answers with rg's");
        Ok(())
    }

    fn server_equals(&mut self, pattern: &str, theirs: &[u8]) -> Result<()> {
        let answer = self.search(pattern)?;
        if !answer.fresh() {
            bail!("`{pattern}`: the server says that its answer may lack something");
        }
        self.lines_equal(pattern, &answer, theirs)
    }

    /// The server's answer.
    fn search(&mut self, pattern: &str) -> Result<Answer> {
        let parameters = json!({
            "query": pattern, "isRegex": true, "isCaseSensitive": true, "maxResults": MOST_LINES, "fresh": true,
        });
        Ok(Answer::of(self.ask("syncline/search", &parameters)?, Duration::ZERO))
    }

    fn lines_equal(&self, pattern: &str, answer: &Answer, theirs: &[u8]) -> Result<()> {
        let ours = answer.lines()?;
        if let Some(how) = Line::difference(&ours, &self.lines(theirs)) {
            bail!("the server's answer for `{pattern}`: {how}");
        }
        self.tally.add("compared", "editor's answers with rg's");
        self.tally.add_many("compared", "lines of them", ours.len() as u64);
        Ok(())
    }

    /// Functions of a name, as `symbols` and as `rg` find them.
    fn symbols_equal(&mut self) -> Result<()> {
        let Some(name) = self.function()? else { return Ok(()) };
        let found = self.symbols_at_rest(&name)?;
        let tree = self.place.tree.clone();
        let line = |symbol: &Value| Some((tree.join(symbol["path"].as_str()?), symbol["line"].as_u64()?));
        let found = found["symbols"].as_array().into_iter().flatten().filter_map(line);
        let ours: BTreeSet<_> = found.map(|(path, number)| Line { path, number }).collect();
        let arguments = ["-n", "--null", "--no-heading", "-g", "*.rs", "-e", &format!("^pub fn {name}\\(\\)")];
        let theirs = place::run(&mut self.place.ripgrep(&arguments)?, self.place.patience)?;
        let theirs = self.lines(&theirs.stdout);
        // Other languages have functions, too.
        let is_rust = |line: &Line| line.path.extension().is_some_and(|extension| extension == "rs");
        let ours: BTreeSet<_> = ours.into_iter().filter(is_rust).collect();
        for line in theirs.difference(&ours) {
            // In the middle of nonsense a parser sees none, even in a tree of this file alone.
            if self.is_found_alone(&line.path, &name)? {
                bail!("`syncline symbols --exact {name}` lacks {}:{}", line.path.display(), line.number);
            }
            self.tally.add("compared", "definitions that no parser sees");
        }
        if let Some(line) = ours.difference(&theirs).next() {
            bail!("`syncline symbols --exact {name}` finds {}:{}, and rg doesn't", line.path.display(), line.number);
        }
        self.tally.add("compared", "symbols of a name with rg's");
        self.tally.add_many("compared", "definitions of them", ours.len() as u64);
        Ok(())
    }

    /// What `symbols` says once it says that nothing is missing: parsing comes last, and after everybody else.
    fn symbols_at_rest(&mut self, name: &str) -> Result<Value> {
        let start = Instant::now();
        loop {
            let found = self.json(&["symbols", "--exact", "--json", name])?;
            self.tally.took("exams", "symbols of a name", start.elapsed());
            if found["leftOut"] == false {
                return Ok(found);
            }
            if start.elapsed() > RECOVERY {
                bail!("`syncline symbols {name}` still says that some are missing");
            }
        }
    }

    /// Whether a copy of a file, in a tree without anything else, has a symbol of that name.
    fn is_found_alone(&self, file: &Path, name: &str) -> Result<bool> {
        let alone = Scratch::folder(&self.place.home)?;
        fs::create_dir(alone.path().join("tree")).context("no folder for a single file")?;
        fs::copy(file, alone.path().join("tree/alone.rs"))
            .with_context(|| format!("cannot copy {}", file.display()))?;
        let mut command = self.place.syncline(&["symbols", "--standalone", "--exact", "--json", name])?;
        command.current_dir(alone.path().join("tree")).env("SYNCLINE_INDEX_DIR", alone.path().join("index"));
        let output = place::run(&mut command, self.place.patience)?;
        let found: Value = serde_json::from_slice(&output.stdout).context("`symbols --json` prints no JSON")?;
        Ok(found["symbols"].as_array().is_some_and(|found| !found.is_empty()))
    }

    /// The name of a function in some file of the tree; none when the one that was picked has none.
    fn function(&mut self) -> Result<Option<String>> {
        let listed =
            place::run(&mut self.place.ripgrep(&["--files", "--sort", "path", "-g", "*.rs"])?, self.place.patience)?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let files: Vec<_> = listed.lines().collect();
        if files.is_empty() {
            return Ok(None);
        }
        let text = fs::read_to_string(self.place.tree.join(self.random.pick(&files))).unwrap_or_default();
        let name = |line: &str| Some(line.strip_prefix("pub fn ")?.split_once('(')?.0.to_owned());
        Ok(text.lines().find_map(name))
    }

    fn lines(&self, output: &[u8]) -> BTreeSet<Line> {
        Line::of_rg(output, &self.place.tree)
    }

    fn no_panic(&self) -> Result<()> {
        match self.place.log().lines().find(|line| line.contains("panicked")) {
            Some(line) => bail!("the engine's log says: {line}"),
            None => Ok(()),
        }
    }
}

/// The files of `listed` that were made or changed last, and how long ago, in milliseconds.
fn newest(tree: &Path, listed: &[u8]) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as i128;
    let paths = listed.split(|byte| *byte == b'\n').map(|line| Path::new(OsStr::from_bytes(line)));
    let changed = |path: &Path| {
        let metadata = tree.join(path).symlink_metadata().ok()?;
        Some(now - (i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec())))
    };
    let mut all: Vec<_> = paths.filter_map(|path| Some((changed(path)? / 1_000_000, path.display()))).collect();
    all.sort_by_key(|(ago, _)| *ago);
    let recent = [1000, 2000, 3000, 5000].map(|limit| all.iter().filter(|(ago, _)| *ago < limit).count());
    let first: Vec<_> = all.iter().take(3).map(|(ago, path)| format!("{path} {ago} ms ago")).collect();
    format!("{first:?}; within 1, 2, 3, 5 s: {recent:?}")
}

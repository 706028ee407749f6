//! Who works meanwhile: editors by `syncline lsp`, and loops of commands.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::place::{self, Place};
use super::tally::Tally;
use super::words;
use crate::compare::patterns::files;
use crate::compare::random::Random;
use crate::lsp::{Answer, Client, to_uri};

/// How many editors there are.
const EDITORS: u64 = 3;
/// How many loops of commands.
const LOOPS: u64 = 2;
/// Requests of an editor that may fail: the answer may be out of date, or the server have too much to do; the client asks
/// again.
const ASK_AGAIN: &[i64] = &[-32801, -32803];

/// What is said of a file that can't be read in a tree that lives.
const WENT: &[&str] = &["No such file", "Not a directory", "Permission denied"];

/// How much longer the command `symbols` may take: it waits while it gets on, and half a minute without.
const SYMBOLS_WAIT: Duration = Duration::from_secs(90);

/// All who work.
pub(super) struct Clients {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    findings: Receiver<String>,
}

impl Clients {
    /// Has all of them begin.
    pub(super) fn start(place: &Place, seed: u64, tally: &Tally) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (report, findings) = channel();
        let worker = |number: u64| Worker {
            place: place.clone(),
            random: Random::new(seed.wrapping_mul(1000).wrapping_add(number)),
            stop: stop.clone(),
            tally: tally.clone(),
        };
        let editor = |number| spawn(format!("editor {number}"), worker(number), report.clone(), Worker::edit);
        let user = |number| spawn(format!("loop {number}"), worker(100 + number), report.clone(), Worker::command);
        let threads = (1..=EDITORS).map(editor).chain((1..=LOOPS).map(user)).collect();
        Self { stop, threads, findings }
    }

    /// What one of them found, if anything.
    pub(super) fn finding(&self) -> Option<String> {
        self.findings.try_recv().ok()
    }

    /// Has all of them end, and gives what they found.
    pub(super) fn end(self) -> Option<String> {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads {
            // A panic was printed when it happened, and is a finding of its own.
            if thread.join().is_err() {
                return Some("a client's thread broke off".to_owned());
            }
        }
        self.findings.try_recv().ok()
    }
}

fn spawn(
    name: String,
    mut worker: Worker,
    report: Sender<String>,
    work: fn(&mut Worker) -> Result<()>,
) -> JoinHandle<()> {
    thread::spawn(move || {
        if let Err(error) = work(&mut worker) {
            // Nobody listens any more when the soak ends.
            let _ = report.send(format!("{name}: {error:#}"));
        }
    })
}

struct Worker {
    place: Place,
    random: Random,
    stop: Arc<AtomicBool>,
    tally: Tally,
}

impl Worker {
    /// Whether to go on, after a short rest.
    fn goes_on(&mut self) -> bool {
        self.place.wait_while_paused();
        thread::sleep(Duration::from_millis(50 + self.random.below(250) as u64));
        !self.stop.load(Ordering::SeqCst)
    }

    fn edit(&mut self) -> Result<()> {
        let mut client = connect(&self.place)?;
        while self.goes_on() {
            let gate = self.place.gate.clone();
            let _open = gate.read().unwrap_or_else(PoisonError::into_inner);
            match self.random.below(40) {
                0..=19 => self.search(&mut client)?,
                20..=27 => self.symbols(&mut client)?,
                28..=31 => self.type_text(&mut client)?,
                32..=35 => drop(self.ask(&mut client, "syncline/queue", json!({}))?),
                36 => drop(self.ask(&mut client, "syncline/sync", json!({}))?),
                37 => self.command_of_editor(&mut client)?,
                38 => {
                    client.shut_down()?;
                    client = connect(&self.place)?;
                    self.tally.add("editors", "left and came again");
                }
                _ => {
                    // Without a word: dropping it kills it.
                    client = connect(&self.place)?;
                    self.tally.add("editors", "killed");
                }
            }
        }
        client.shut_down()
    }

    /// Asks, and gives the answer; nothing when it is to be asked again.
    fn ask(&self, client: &mut Client, method: &str, parameters: Value) -> Result<Option<Value>> {
        let start = Instant::now();
        let answer = client.ask(method, &parameters)?;
        self.tally.took("answers", method, start.elapsed());
        match answer {
            Ok(result) => Ok(Some(result)),
            Err(error) if error["code"].as_i64().is_some_and(|code| ASK_AGAIN.contains(&code)) => {
                self.tally.add("answers", &format!("{method}: to be asked again"));
                Ok(None)
            }
            Err(error) => bail!("{method} {parameters} failed: {error}"),
        }
    }

    fn search(&mut self, client: &mut Client) -> Result<()> {
        let fresh = self.random.below(2) == 0;
        let query = words::pattern(&mut self.random);
        let parameters = json!({ "query": query, "isRegex": true, "isCaseSensitive": true, "fresh": fresh });
        self.ask(client, "syncline/search", parameters).map(drop)
    }

    fn symbols(&mut self, client: &mut Client) -> Result<()> {
        let query = words::word(&mut self.random);
        self.ask(client, "workspace/symbol", json!({ "query": query })).map(drop)
    }

    fn command_of_editor(&mut self, client: &mut Client) -> Result<()> {
        // Who pauses resumes: somebody who forgot would be no fault of the engine.
        let commands: &[&str] = match self.random.below(12) {
            0 => &["syncline.rebuild"],
            1..=5 => &["syncline.pause", "syncline.resume"],
            _ => &["syncline.sync"],
        };
        for command in commands {
            self.ask(client, "workspace/executeCommand", json!({ "command": command }))?;
            self.tally.add("editors", command);
        }
        Ok(())
    }

    /// Opens a document, types, and must find what was typed; nobody saves it.
    fn type_text(&mut self, client: &mut Client) -> Result<()> {
        let all = files(&self.place.tree.join(format!("area{:02}", self.random.below(20))));
        // Large, binary or gone: not what one types in.
        let texts = all.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
        let texts: Vec<_> = texts.collect();
        if texts.is_empty() {
            return Ok(());
        }
        let file: PathBuf = (*self.random.pick(&texts)).clone();
        let uri = to_uri(&file);
        let needle = format!("typed_{}_{}", std::process::id(), self.random.below(1_000_000_000));
        let text = format!("fn before() {{}}\n// {needle}\n");
        let document = json!({ "uri": uri, "languageId": "rust", "version": 1, "text": "fn before() {}\n" });
        client.tell("textDocument/didOpen", &json!({ "textDocument": document }))?;
        let change = json!({ "textDocument": { "uri": uri, "version": 2 }, "contentChanges": [{ "text": text }] });
        client.tell("textDocument/didChange", &change)?;
        let start = Instant::now();
        let parameters = json!({ "query": needle, "isCaseSensitive": true });
        let found = self.ask(client, "syncline/search", parameters)?;
        client.tell("textDocument/didClose", &json!({ "textDocument": { "uri": uri } }))?;
        if let Some(found) = found {
            let lines = Answer::of(found, start.elapsed()).lines()?;
            let is_it = |line: &crate::lsp::Line| line.number == 2 && line.path == file;
            // Meanwhile it may have become ignored, or its folder have another name; elsewhere it can't be.
            if lines.len() > 1 || !lines.iter().all(is_it) {
                bail!("{needle} was typed in {} and found in {lines:?}", file.display());
            }
            self.tally
                .add("editors", if lines.is_empty() { "typed in a file that went" } else { "typed, found unsaved" });
        }
        Ok(())
    }

    fn command(&mut self) -> Result<()> {
        while self.goes_on() {
            let (pattern, word) = (words::pattern(&mut self.random), words::word(&mut self.random));
            let arguments: &[&str] = match self.random.below(20) {
                0..=7 => &["search", "-n", "-e", &pattern],
                8..=9 => &["search", "-l", "-e", &pattern, "area03"],
                10 => &["search", "--standalone", "-c", "-e", &pattern],
                11..=13 => &["symbols", &word],
                14 => &["symbols", "--prefix", "--json", &word],
                15 | 16 => &["status", "--json"],
                17 => &["queue"],
                18 => &["daemon", "status"],
                _ => &["doctor", "--json"],
            };
            let _open = self.place.gate.read().unwrap_or_else(PoisonError::into_inner);
            self.run(arguments)?;
        }
        Ok(())
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        let start = Instant::now();
        let patience = self.place.patience + if arguments[0] == "symbols" { SYMBOLS_WAIT } else { Duration::ZERO };
        let output = place::run(&mut self.place.syncline(arguments)?, patience)?;
        let name = arguments[..1 + usize::from(arguments[0] == "daemon")].join(" ");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code().with_context(|| format!("`{arguments:?}` was killed: {said}"))?;
        if said.contains("panicked") {
            bail!("`{arguments:?}` panicked: {said}");
        }
        self.tally.took("commands", &name, start.elapsed());
        match code {
            0 | 1 => Ok(()),
            // Folders go while they are walked, or may not be read, and so it is for rg.
            2 if said.lines().all(|line| WENT.iter().any(|why| line.contains(why))) => {
                self.tally.add("commands", &format!("{name}: a file went meanwhile"));
                Ok(())
            }
            2 if said.contains("shared engine") => {
                self.tally.add("commands", &format!("{name}: said that the engine is gone"));
                Ok(())
            }
            _ => bail!("`{arguments:?}` exits with {code}: {said}"),
        }
    }
}

/// An editor's server.
pub(super) fn connect(place: &Place) -> Result<Client> {
    let mut command = place.syncline(&["lsp", "--stdio"])?;
    let log = std::fs::OpenOptions::new().create(true).append(true).open(place.home.join("editors.log"));
    command.stderr(log.context("cannot open the editors' log")?);
    Ok(Client::start(&mut command, &place.tree)?.with_patience(place.patience))
}

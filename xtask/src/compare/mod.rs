//! `cargo xtask compare`: answers beside ripgrep's over a copy of a real tree that lives: at rest, after random edits and
//! after a switch of branches, while an engine watches it. The command line must print what `rg` prints, byte for byte,
//! and the language server must find the same lines.

pub(crate) mod life;
pub(crate) mod patterns;
pub(crate) mod random;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use self::patterns::Question;
use self::random::Random;
use crate::lsp::{Client, Line};
use crate::sandbox::{self, Scratch};
use crate::tools::{GIT, RIPGREP};
use crate::workspace::{Workspace, run as run_command};

/// Compare answers with ripgrep's over a copy of a real tree that lives.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The tree, which is copied and left alone.
    #[arg(long, value_name = "DIR")]
    corpus: PathBuf,
    /// How many patterns are asked in each round.
    #[arg(long, value_name = "N", default_value_t = 200)]
    patterns: usize,
    /// How many random edits, renames and deletes happen before the second round.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    edits: usize,
    /// In how many files the branches differ, to the second of which the tree is switched before the third round.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    branch: usize,
    /// Repeats a run.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Use this syncline instead of building one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// How long a cold index may take.
const FRESH_DEADLINE: Duration = Duration::from_secs(600);
/// More matches than any pattern has here would make the comparison one of memory.
const MOST_LINES: u32 = 200_000;
/// Differences that are described; the rest are counted.
const DESCRIBED: usize = 10;

/// The tree, the programs, and what was found so far.
struct Comparison {
    tree: PathBuf,
    home: PathBuf,
    syncline: PathBuf,
    ripgrep: PathBuf,
    client: Client,
    asked: usize,
    lines: usize,
    differences: usize,
}

/// Runs the three rounds; an error if any answer differs.
pub(crate) fn run(options: &Options) -> Result<()> {
    let workspace = Workspace::locate()?;
    GIT.ensure(&workspace)?;
    let ripgrep = RIPGREP.ensure(&workspace)?;
    let syncline = match &options.binary {
        Some(binary) => binary.canonicalize().with_context(|| format!("no program at {}", binary.display()))?,
        None => {
            run_command(&mut workspace.cargo(&["build", "--release"]))?;
            workspace.target.join("release/syncline")
        }
    };
    let scratch = Scratch::folder(&workspace.target)?;
    let (tree, home) = (scratch.path().join("tree"), scratch.path().join("home"));
    eprintln!("copying {}", options.corpus.display());
    run_command(Command::new("cp").args(["-a", "--reflink=auto", "--"]).arg(&options.corpus).arg(&tree))?;
    let left_out = leave_out_what_rg_leaves_to_chance(&tree)?;
    println!("left out: {left_out} files with a NUL behind their first {BUFFER} bytes");
    let mut random = Random::new(options.seed);
    life::commit(&tree, &home, &mut random, options.branch)?;
    let questions = patterns::questions(&tree, options.seed, options.patterns);

    let mut server = Command::new(&syncline);
    sandbox::isolate(&mut server, &home)?;
    let mut client = Client::start(server.args(["lsp", "--stdio", "--standalone"]).stderr(Stdio::null()), &tree)?;
    client.wait_until_fresh(FRESH_DEADLINE)?;
    let ripgrep = ripgrep.program;
    let mut comparison = Comparison {
        tree: tree.clone(),
        home: home.clone(),
        syncline,
        ripgrep,
        client,
        asked: 0,
        lines: 0,
        differences: 0,
    };
    comparison.round("at rest", &questions)?;
    life::live(&tree, &mut random, options.edits)?;
    comparison.round(&format!("after {} edits, renames and deletes", options.edits), &questions)?;
    let changed = life::switch(&tree, &home, true)?;
    comparison.round(&format!("after a switch to a branch with {changed} other files"), &questions)?;

    let Comparison { client, asked, lines, differences, .. } = comparison;
    client.shut_down()?;
    println!("asked: {asked} command lines and as many requests, {lines} lines of answers; differences: {differences}");
    if differences > 0 {
        bail!("answers differ from ripgrep's; --seed {} repeats this run", options.seed);
    }
    Ok(())
}

/// ripgrep's buffer, in bytes; it grows to the longest line that was met.
const BUFFER: usize = 64 << 10;

/// Removes the files for which ripgrep's answer depends on what the same thread has searched before: those whose first
/// NUL lies behind the first buffer. Gives how many there were.
fn leave_out_what_rg_leaves_to_chance(tree: &Path) -> Result<usize> {
    let mut left_out = 0;
    for file in patterns::files(tree) {
        let bytes = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        if bytes.iter().position(|byte| *byte == 0).is_some_and(|at| at >= BUFFER) {
            std::fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
            left_out += 1;
        }
    }
    Ok(left_out)
}

impl Comparison {
    fn round(&mut self, when: &str, questions: &[Question]) -> Result<()> {
        let start = Instant::now();
        for question in questions {
            self.ask_command_line(when, question)?;
            self.ask_server(when, question)?;
        }
        println!("{when}: {} patterns in {:.0} s", questions.len(), start.elapsed().as_secs_f64());
        Ok(())
    }

    fn ask_command_line(&mut self, when: &str, question: &Question) -> Result<()> {
        let ours = self.run(&self.syncline, &["search", "--standalone"], question)?;
        let theirs = self.run(&self.ripgrep, &["--no-config", "--sort", "path"], question)?;
        self.asked += 1;
        self.lines += theirs.stdout.iter().filter(|byte| **byte == b'\n').count();
        let same = match question.flags.contains(&"--json") {
            // Times differ from run to run.
            true => without_times(&ours.stdout) == without_times(&theirs.stdout),
            false => ours.stdout == theirs.stdout,
        };
        if !same || ours.status.code() != theirs.status.code() {
            let first =
                ours.stdout.split(|b| *b == b'\n').zip(theirs.stdout.split(|b| *b == b'\n')).find(|(a, b)| a != b);
            let (a, b) = first.unwrap_or_default();
            let show = |line: &[u8]| String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned();
            self.differ(&format!(
                "{when}: {:?}: exit {:?} and {:?}, {} and {} bytes; first line that differs:\n  {}\n  {}",
                question.arguments(),
                ours.status.code(),
                theirs.status.code(),
                ours.stdout.len(),
                theirs.stdout.len(),
                show(a),
                show(b)
            ));
        }
        Ok(())
    }

    fn ask_server(&mut self, when: &str, question: &Question) -> Result<()> {
        let answer = self.client.search(&question.pattern, true, true, MOST_LINES)?;
        if answer.limit_hit() {
            return Ok(());
        }
        let ours: BTreeSet<Line> = answer.lines()?;
        let plain =
            Question { flags: vec!["--line-number", "--null", "--no-heading"], pattern: question.pattern.clone() };
        let theirs = self.run(&self.ripgrep, &["--no-config"], &plain)?;
        let theirs = Line::of_rg(&theirs.stdout, &self.tree);
        if let Some(difference) = Line::difference(&ours, &theirs) {
            self.differ(&format!("{when}: the server, `{}`: {difference}", question.pattern));
        }
        Ok(())
    }

    fn differ(&mut self, how: &str) {
        self.differences += 1;
        if self.differences <= DESCRIBED {
            println!("DIFFERENT {how}");
        }
    }

    fn run(&self, program: &Path, first: &[&str], question: &Question) -> Result<Output> {
        let mut command = Command::new(program);
        sandbox::isolate(&mut command, &self.home)?;
        let arguments = first.iter().copied().chain(question.arguments()).map(OsStr::new);
        command.args(arguments).current_dir(&self.tree).stdin(Stdio::null());
        command.output().with_context(|| format!("cannot start {}", program.display()))
    }
}

/// JSON lines without what a clock has said, and without the closing summary, which is all about time.
fn without_times(output: &[u8]) -> Vec<serde_json::Value> {
    let lines = output.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let lines = lines.filter(|line: &serde_json::Value| line["type"] != "summary");
    lines
        .map(|mut line| {
            if let Some(statistics) = line.pointer_mut("/data/stats").and_then(|value| value.as_object_mut()) {
                statistics.remove("elapsed");
            }
            line
        })
        .collect()
}

//! `cargo xtask bench`: syncline beside ripgrep and codesearch over one tree, in one run on one machine, so that the
//! figures can be compared. Peers take turns (A B A B …) after a warm-up that is not counted, so that what the machine
//! does meanwhile meets all of them.

mod checkout;
mod few;
pub(crate) mod floor;
mod freshness;
mod idle;
mod index;
pub(crate) mod measure;
mod report;
mod restart;
mod search;
mod symbols;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use self::report::Report;
use crate::lsp::Client;
use crate::sandbox::{self, Scratch};
use crate::tools::{CODESEARCH, RIPGREP};
use crate::workspace::{Workspace, run as run_command};

/// How long a cold index may take before a server is given up.
const FRESH_DEADLINE: Duration = Duration::from_secs(600);

/// Measure syncline beside ripgrep and codesearch over one tree, in one run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The tree to index and search. One scratch file is written into it, and removed.
    #[arg(long, value_name = "DIR")]
    corpus: PathBuf,
    /// How often each figure is taken, after one warm-up.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How often a file is saved and looked for.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    trials: u32,
    /// Write the raw figures to this file, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure only these parts.
    #[arg(long, value_name = "PART", value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Measure this syncline instead of building one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Measure this syncline, too, in turns with the other: the one before a change, say.
    #[arg(long, value_name = "FILE")]
    beside: Option<PathBuf>,
    /// Put this into syncline's environment, such as `SYNCLINE_INDEX_SYMBOLS=false`.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    queries: search::Queries,
}

/// What is measured, in this order.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// A cold index, beside cindex and the least work there is.
    Index,
    /// A start with an index that needs nothing.
    Restart,
    /// What a server costs that has nothing to do.
    Idle,
    /// From a save to the answer that has it.
    Freshness,
    /// Searches, beside rg and csearch.
    Search,
    /// Symbols, beside ctags.
    Symbols,
    /// A switch of branches, beside git's own time. It copies the corpus.
    Checkout,
    /// A few results of a file of 1 GB, which it makes; beside rg.
    Few,
}

/// A part's name in the report, and how it is measured.
type Measure = (Part, &'static str, fn(&Bench, &mut Report) -> Result<()>);

/// The cold index comes first because a child's peak memory counts from that of the process that starts it, which is
/// still small then; the searches come last because they leave it large.
const PARTS: [Measure; 8] = [
    (Part::Index, "cold index", index::measure),
    (Part::Restart, "restart without changes", restart::measure),
    (Part::Idle, "idle", idle::measure),
    (Part::Freshness, "save to searchable", freshness::measure),
    (Part::Search, "search", search::measure),
    (Part::Symbols, "symbols", symbols::measure),
    (Part::Checkout, "branch switch", checkout::measure),
    (Part::Few, "few results of a huge file", few::measure),
];

/// What the parts share.
struct Bench {
    corpus: PathBuf,
    runs: u32,
    trials: u32,
    queries: search::Queries,
    syncline: PathBuf,
    ripgrep: PathBuf,
    environment: Vec<(String, String)>,
    /// The folder of indexes: each program has its own.
    index: &'static str,
    /// Beside the build, so that all indexes are written to the same real disk.
    scratch: Scratch,
}

/// Measures, prints the tables and writes the raw figures; an error if a part could not be measured, an answer differed
/// from ripgrep's or a write was not found by the search after it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let workspace = Workspace::locate()?;
    if cfg!(debug_assertions) {
        return run_optimised(&workspace);
    }
    let corpus =
        fs::canonicalize(&options.corpus).with_context(|| format!("no corpus at {}", options.corpus.display()))?;
    let syncline = match &options.binary {
        Some(binary) => fs::canonicalize(binary).with_context(|| format!("no program at {}", binary.display()))?,
        None => {
            run_command(&mut workspace.cargo(&["build", "--release"]))?;
            workspace.target.join("release/syncline")
        }
    };
    let pairs = options.set.iter().map(|pair| {
        let (name, value) = pair.split_once('=').with_context(|| format!("--set {pair}: NAME=VALUE is expected"))?;
        Ok((name.to_owned(), value.to_owned()))
    });
    let environment = pairs.collect::<Result<Vec<_>>>()?;
    let ripgrep = RIPGREP.ensure(&workspace)?;
    let codesearch = CODESEARCH.ensure(&workspace)?;
    let beside = options
        .beside
        .as_ref()
        .map(|beside| fs::canonicalize(beside).with_context(|| format!("no program at {}", beside.display())));
    let beside = beside.transpose()?;
    let mut bench = Bench {
        corpus,
        runs: options.runs,
        trials: options.trials,
        queries: options.queries.clone(),
        syncline,
        ripgrep: ripgrep.program,
        environment,
        index: "index",
        scratch: Scratch::folder(&workspace.target)?,
    };

    let version = bench.syncline(&["--version"])?.output().context("cannot start syncline")?;
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    let mut report = Report::new(&bench, &[version, ripgrep.label, codesearch.label])?;
    // With another one half of the runs each, then the other way round: what the machine does meanwhile meets both.
    let ours = bench.syncline.clone();
    let mut turns = vec![(&ours, None)];
    if let Some(beside) = &beside {
        let (one, other) = ((&ours, None), (beside, Some("beside")));
        turns = vec![one, other, other, one];
        (bench.runs, bench.trials) = (bench.runs.div_ceil(2), bench.trials.div_ceil(2));
    }
    for (part, title, measure) in PARTS {
        if options.only.is_empty() || options.only.contains(&part) {
            for (program, called) in &turns {
                eprintln!("measuring: {title}, {}", called.unwrap_or("syncline"));
                bench.syncline.clone_from(program);
                bench.index = called.unwrap_or("index");
                report.call_ours(*called);
                let outcome = measure(&bench, &mut report);
                sandbox::hold_if_stopping();
                if let Err(error) = outcome {
                    report.problem(format!("{title}, {}: {error:#}", called.unwrap_or("syncline")));
                }
            }
        }
    }
    report.print();
    if let Some(path) = &options.json {
        report.write_json(path)?;
    }
    match report.problems() {
        0 => Ok(()),
        count => bail!("problems: {count}, listed above"),
    }
}

/// Starts over in a build that is optimised as syncline's is: the floor is measured in this program.
fn run_optimised(workspace: &Workspace) -> Result<()> {
    run_command(&mut workspace.cargo(&["build", "--release", "--package", "xtask"]))?;
    let program = workspace.target.join("release/xtask");
    // It takes this process's place, and returns only if that fails.
    let error = Command::new(&program).args(std::env::args_os().skip(1)).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}

impl Bench {
    /// A command in the corpus, with an empty home and nothing to read.
    fn command(&self, program: impl AsRef<Path>) -> Result<Command> {
        let mut command = Command::new(program.as_ref());
        sandbox::isolate(&mut command, &self.scratch.path().join("home"))?;
        command.current_dir(&self.corpus).stdin(Stdio::null());
        Ok(command)
    }

    /// A syncline command on the index that the parts share.
    fn syncline(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = self.command(&self.syncline)?;
        command.args(arguments).env("SYNCLINE_INDEX_DIR", self.index());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    /// `syncline index --standalone` of the corpus.
    fn syncline_index(&self) -> Result<Command> {
        let mut command = self.syncline(&["index", "--standalone"])?;
        command.arg(&self.corpus);
        Ok(command)
    }

    /// `cindex` of the corpus, from nothing.
    fn cindex(&self) -> Result<Command> {
        let mut command = self.command("cindex")?;
        command.arg("-reset").arg(&self.corpus).env("CSEARCHINDEX", self.codesearch_index());
        Ok(command)
    }

    /// A part of this program as a process of its own.
    fn floor(&self, kind: &str) -> Result<Command> {
        let mut command = self.command(std::env::current_exe().context("this program has no path")?)?;
        command.args(["floor", kind]).arg(&self.corpus);
        Ok(command)
    }

    /// Where the index lives that outlasts the parts.
    fn index(&self) -> PathBuf {
        self.scratch.path().join(self.index)
    }

    /// Where codesearch's index lives.
    fn codesearch_index(&self) -> PathBuf {
        self.scratch.path().join("csearchindex")
    }

    /// A server that has just been started, as an editor starts one.
    fn start(&self) -> Result<Client> {
        Client::start(&mut self.syncline(&["lsp", "--stdio", "--standalone"])?, &self.corpus)
    }

    /// A server whose index is fresh and that has nothing to do.
    fn start_fresh(&self) -> Result<Client> {
        let mut client = self.start()?;
        client.wait_until_fresh(FRESH_DEADLINE)?;
        Ok(client)
    }
}

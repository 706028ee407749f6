//! `cargo xtask fuzz`: gives what a fuzzer makes up to everything that reads from outside.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::sandbox::{self, Scratch};
use crate::tools::{CARGO_FUZZ, CXX};
use crate::workspace::{Workspace, run as run_command};

/// Give what a fuzzer makes up to everything that reads from outside, one target after the other.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long each target runs.
    #[arg(long, value_name = "N", default_value_t = 10.0)]
    minutes: f64,
    /// Which targets; all, if none is named.
    targets: Vec<String>,
}

/// An input that takes longer is a finding, seconds.
const SLOWEST: u32 = 10;
/// Memory that a target may hold, MiB.
const MEMORY: u32 = 1500;
/// Longest input, bytes.
const LONGEST: u32 = 8192;

/// How a target's run went.
struct Run {
    target: String,
    executions: u64,
    kept: usize,
    findings: Vec<PathBuf>,
    ended_well: bool,
}

/// Runs the targets; an error if any of them found something.
pub(crate) fn run(options: &Options) -> Result<()> {
    let workspace = Workspace::locate()?;
    let targets = targets(&workspace, &options.targets)?;
    CXX.ensure(&workspace)?;
    let cargo_fuzz = CARGO_FUZZ.ensure(&workspace)?;
    let folder = workspace.target.join("fuzz");
    // Nothing here is unsafe code, so what a sanitizer looks for can't be; without one, the stable compiler will do.
    let mut build = Command::new(&cargo_fuzz.program);
    build.args(["fuzz", "build", "--dev", "--sanitizer=none", "--target-dir"]).arg(&folder);
    if let [target] = &targets[..] {
        build.arg(target);
    }
    run_command(build.current_dir(&workspace.root).stdin(Stdio::null()))?;
    let programs = folder.join(host()?).join("debug");
    let mut runs = Vec::new();
    for target in targets {
        eprintln!("{target}: {} minutes", options.minutes);
        runs.push(fuzz(&programs, &folder.join("runs").join(&target), target, options.minutes)?);
        sandbox::hold_if_stopping();
    }
    report(&runs, &folder, &programs)
}

/// The targets by these names; all without any.
fn targets(workspace: &Workspace, wanted: &[String]) -> Result<Vec<String>> {
    let manifest = fs::read_to_string(workspace.root.join("fuzz/Cargo.toml")).context("fuzz/Cargo.toml is missing")?;
    let paths = manifest.lines().filter_map(|line| line.strip_prefix("path = \"programs/")?.strip_suffix(".rs\""));
    let known: Vec<_> = paths.map(str::to_owned).collect();
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
        bail!("there is no target {unknown}; there are {}", known.join(", "));
    }
    Ok(if wanted.is_empty() { known } else { wanted.to_vec() })
}

/// What the compiler calls this kind of machine.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned).context("rustc names no host")
}

fn fuzz(programs: &Path, folder: &Path, target: String, minutes: f64) -> Result<Run> {
    let (corpus, findings, log) = (folder.join("corpus"), folder.join("findings"), folder.join("log"));
    for folder in [&corpus, &findings] {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    // Targets write files by the thousand, which a disk needn't see.
    let memory = Path::new("/dev/shm");
    let scratch = Scratch::folder(if memory.is_dir() { memory } else { folder })?;
    let before = files(&findings)?;
    let output = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
    let mut program = Command::new(programs.join(&target));
    program.arg(format!("-max_total_time={}", (minutes * 60.0).ceil()));
    program
        .arg(format!("-timeout={SLOWEST}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg(format!("-max_len={LONGEST}"));
    program.arg(format!("-artifact_prefix={}/", findings.display())).arg("-print_final_stats=1").arg(&corpus);
    program.env("SYNCLINE_FUZZ_SEEDS", &corpus).env("TMPDIR", scratch.path());
    program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
    let status = program.status().with_context(|| format!("cannot start {target}"))?;
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let executions = text.lines().rev().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    Ok(Run {
        executions: executions.and_then(|number| number.trim().parse().ok()).unwrap_or(0),
        kept: files(&corpus)?.len(),
        findings: files(&findings)?.into_iter().filter(|path| !before.contains(path)).collect(),
        ended_well: status.success(),
        target,
    })
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

/// Prints how each run went; an error if any found something.
fn report(runs: &[Run], folder: &Path, programs: &Path) -> Result<()> {
    println!("\n{:<12} {:>12} {:>8}  outcome", "target", "executions", "inputs");
    for Run { target, executions, kept, findings, ended_well } in runs {
        let outcome = match (findings.len(), ended_well) {
            (0, true) => "nothing found".to_owned(),
            (0, false) => format!("FAILED; see {}", folder.join("runs").join(target).join("log").display()),
            (found, _) => format!("FOUND {found}"),
        };
        println!("{target:<12} {executions:>12} {kept:>8}  {outcome}");
        for finding in findings {
            println!("    repeat by: {} {}", programs.join(target).display(), finding.display());
        }
    }
    if runs.iter().any(|run| !run.ended_well || !run.findings.is_empty()) {
        bail!("a target found something");
    }
    Ok(())
}

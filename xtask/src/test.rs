//! `cargo xtask test`: what the tests need is installed, then all of them run, and nothing is left running.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::sandbox::{self, Scratch};
use crate::tools::{GIT, NEOVIM, REDIS, RIPGREP, VALKEY};
use crate::workspace::{Workspace, run as run_command};

/// How long one file of editor tests may take before it is killed and counts as failed.
const DEADLINE: Duration = Duration::from_secs(120);

/// Install what the tests need where it is missing, then run every test.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Leave the editors out: neither install them nor run their end-to-end tests.
    #[arg(long)]
    no_editors: bool,
    /// Handed on to `cargo test`; a second `--` separates what is for the test programs.
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<String>,
}

/// One line of the closing summary.
struct Suite {
    name: String,
    outcome: Result<()>,
    took: Duration,
}

/// Runs all tests; an error if a tool can't be had or any test fails.
pub(crate) fn run(options: &Options) -> Result<()> {
    let workspace = Workspace::locate()?;
    let git = GIT.ensure(&workspace)?;
    let ripgrep = RIPGREP.ensure(&workspace)?;
    let (redis, valkey) = (REDIS.ensure(&workspace)?, VALKEY.ensure(&workspace)?);
    #[cfg(target_os = "linux")]
    crate::tools::IPROUTE.ensure(&workspace)?;
    let neovim = if options.no_editors { None } else { Some(NEOVIM.ensure(&workspace)?) };
    let labels: Vec<_> = [Some(&git), Some(&ripgrep), Some(&redis), Some(&valkey), neovim.as_ref()]
        .into_iter()
        .flatten()
        .map(|tool| tool.label.as_str())
        .collect();
    eprintln!("testing with {}", labels.join(", "));

    let mut suites = Vec::new();
    let mut cargo_test = workspace.cargo(&["test", "--workspace", "--no-fail-fast"]);
    cargo_test.args(&options.arguments).env("SYNCLINE_TEST_RG", &ripgrep.program);
    cargo_test.env("SYNCLINE_TEST_REDIS", &redis.program).env("SYNCLINE_TEST_VALKEY", &valkey.program);
    if let Some(neovim) = &neovim {
        cargo_test.env("SYNCLINE_TEST_NVIM", &neovim.program);
    }
    suites.push(suite("cargo test".into(), || run_command(&mut cargo_test)));

    if let Some(neovim) = &neovim {
        let scripts = scripts(&workspace.root.join("tests/nvim"))?;
        if !scripts.is_empty() {
            let build = suite("cargo build".into(), || run_command(&mut workspace.cargo(&["build"])));
            let built = build.outcome.is_ok();
            suites.push(build);
            if built {
                suites.extend(scripts.iter().map(|script| {
                    let name = script.strip_prefix(&workspace.root).unwrap_or(script).display().to_string();
                    suite(name, || run_script(&workspace, &neovim.program, script))
                }));
            }
        }
    }
    summary(&suites)
}

/// Runs one suite and ends whatever it has left running.
fn suite(name: String, body: impl FnOnce() -> Result<()>) -> Suite {
    let start = Instant::now();
    let outcome = body();
    let took = start.elapsed();
    sandbox::hold_if_stopping();
    for line in sandbox::end_descendants() {
        eprintln!("warning: {name} left a process running, which was ended: {line}");
    }
    Suite { name, outcome, took }
}

/// The Lua files of a folder, by name; none if there is no such folder.
fn scripts(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut scripts: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    scripts.retain(|path| path.extension().is_some_and(|extension| extension == "lua"));
    scripts.sort();
    Ok(scripts)
}

/// Runs one file in a Neovim with an empty home; exit code 0 within [`DEADLINE`] is a pass.
fn run_script(workspace: &Workspace, neovim: &Path, script: &Path) -> Result<()> {
    // In the system's temporary folder because a socket's path must be short.
    let home = Scratch::folder(&std::env::temp_dir())?;
    let mut command = Command::new(neovim);
    command.args(["--clean", "--headless", "-l"]).arg(script);
    sandbox::isolate(&mut command, home.path())?;
    // An editor around us would hand on its own runtime files.
    for name in ["VIM", "VIMRUNTIME", "NVIM", "NVIM_APPNAME"] {
        command.env_remove(name);
    }
    command.env("SYNCLINE_BIN", workspace.target.join("debug/syncline"));
    command.current_dir(&workspace.root).stdin(Stdio::null());

    eprintln!("$ nvim --clean --headless -l {}", script.display());
    let mut child = command.spawn().with_context(|| format!("cannot start {}", neovim.display()))?;
    let start = Instant::now();
    while start.elapsed() < DEADLINE {
        if let Some(status) = child.try_wait().context("cannot wait for nvim")? {
            // What it wrote last may have no newline at its end.
            eprintln!();
            if !status.success() {
                bail!("nvim ended with {status}");
            }
            return Ok(());
        }
        thread::sleep(Duration::from_millis(20));
    }
    eprintln!();
    sandbox::end_descendants();
    bail!("not done after {} s, killed", DEADLINE.as_secs());
}

/// Prints how each suite went; an error if any failed.
fn summary(suites: &[Suite]) -> Result<()> {
    println!("\nsummary");
    for Suite { name, outcome, took } in suites {
        let took = took.as_secs_f64();
        match outcome {
            Ok(()) => println!("  ok      {name} ({took:.1} s)"),
            Err(error) => println!("  FAILED  {name} ({took:.1} s): {error:#}"),
        }
    }
    let failed = suites.iter().filter(|suite| suite.outcome.is_err()).count();
    println!("suites: {} passed, {failed} failed", suites.len() - failed);
    if failed > 0 {
        bail!("tests failed");
    }
    Ok(())
}

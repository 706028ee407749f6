//! `cargo xtask test`: what the tests need is installed, then all of them run, and nothing is left running.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::dependencies;
use crate::neovim::{self, Neovim};
use crate::sandbox;
use crate::tools::{self, GIT, REDIS, RIPGREP, VALKEY};
use crate::vscode::{self, Extension};
use crate::workspace::{Workspace, run as run_command};

/// Install what the tests need where it is missing, then run every test.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Leave the editors out: neither install them nor run their end-to-end tests.
    #[arg(long)]
    no_editors: bool,
    /// Format the Lua of the Neovim plugin, and run no test.
    #[arg(long)]
    format_lua: bool,
    /// Handed on to `cargo test`; a second `--` separates what is for the test programs.
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<String>,
}

/// What only this platform's tests need.
#[cfg(target_os = "linux")]
const PLATFORM: &[&tools::Tool] = &[&tools::IPROUTE];
/// What only this platform's tests need.
#[cfg(not(target_os = "linux"))]
const PLATFORM: &[&tools::Tool] = &[];

/// One line of the closing summary.
struct Suite {
    name: String,
    outcome: Result<()>,
    took: Duration,
}

/// Runs all tests; an error if a tool can't be had or any test fails.
pub(crate) fn run(options: &Options) -> Result<()> {
    let workspace = Workspace::locate()?;
    if options.format_lua {
        return neovim::format_lua(&workspace);
    }
    let editors = neovim::TOOLS.iter().chain(vscode::TOOLS).filter(|_| !options.no_editors);
    tools::install_packages(&workspace, [&GIT, &RIPGREP, &REDIS, &VALKEY].iter().chain(PLATFORM).chain(editors));
    let git = GIT.ensure(&workspace)?;
    let ripgrep = RIPGREP.ensure(&workspace)?;
    let (redis, valkey) = (REDIS.ensure(&workspace)?, VALKEY.ensure(&workspace)?);
    PLATFORM.iter().try_for_each(|tool| tool.ensure(&workspace).map(drop))?;
    let neovim = if options.no_editors { None } else { Some(Neovim::prepare(&workspace)?) };
    let mut labels: Vec<_> = [&git, &ripgrep, &redis, &valkey].map(|tool| tool.label.as_str()).to_vec();
    labels.extend(neovim.iter().flat_map(Neovim::labels));
    eprintln!("testing with {}", labels.join(", "));

    let mut suites =
        vec![suite("dependencies: licences, versions, purposes".into(), || dependencies::check(&workspace))];
    let mut cargo_test = workspace.cargo(&["test", "--workspace", "--no-fail-fast"]);
    cargo_test.args(&options.arguments).env("SYNCLINE_TEST_RG", &ripgrep.program);
    cargo_test.env("SYNCLINE_TEST_REDIS", &redis.program).env("SYNCLINE_TEST_VALKEY", &valkey.program);
    if let Some(neovim) = &neovim {
        cargo_test.env("SYNCLINE_TEST_NVIM", &neovim.usual.program);
    }
    suites.push(suite("cargo test".into(), || run_command(&mut cargo_test)));

    if let Some(neovim) = &neovim {
        suites.push(suite("editors/nvim: style, luacheck".into(), || neovim.check_lua(&workspace)));
        let build = suite("cargo build".into(), || run_command(&mut workspace.cargo(&["build"])));
        let built = build.outcome.is_ok();
        suites.push(build);
        if built {
            for (script, version) in neovim.tests(&workspace)? {
                let name = script.strip_prefix(&workspace.root).unwrap_or(&script).display();
                let name = format!("{name} in {}", version.label);
                suites.push(suite(name, || neovim.run_test(&workspace, &script, version)));
            }
        }
    }

    if !options.no_editors {
        let extension = Extension::prepare(&workspace)?;
        suites.push(suite("editors/vscode: types, style, unit tests".into(), || extension.check()));
        suites.push(suite("editors/vscode: in VS Code".into(), || {
            run_command(&mut workspace.cargo(&["build"]))?;
            extension.end_to_end(&workspace, &workspace.target.join("debug/syncline"))
        }));
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

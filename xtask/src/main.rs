//! The commands a contributor runs: `cargo xtask test`, and those that measure and stress.

mod bench;
mod compare;
mod debian;
mod dependencies;
mod fuzz;
#[cfg(target_os = "linux")]
mod limits;
mod lsp;
#[cfg(target_os = "linux")]
mod namespace;
mod neovim;
mod queue;
mod reproduce;
mod sandbox;
#[cfg(target_os = "linux")]
mod soak;
mod test;
mod tools;
mod vscode;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// The commands a contributor runs.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Command {
    /// Install what the tests need where it is missing, then run every test.
    Test(test::Options),
    /// Make the packages of the VS Code extension.
    Dist(vscode::DistOptions),
    /// Measure syncline beside ripgrep and codesearch over one tree, in one run.
    Bench(Box<bench::Options>),
    /// Compare answers with ripgrep's over a copy of a real tree that lives.
    Compare(compare::Options),
    /// Give what a fuzzer makes up to everything that reads from outside.
    Fuzz(fuzz::Options),
    /// Long runs of the queue with many owners and faults, and a checker of what happened.
    History(queue::History),
    /// Live in a large repository, with everything failing that can fail, and compare each minute.
    #[cfg(target_os = "linux")]
    Soak(soak::Options),
    /// What happens at the limits: a million files, too few watches, huge files and lines, many codebases.
    #[cfg(target_os = "linux")]
    Limits(limits::Options),
    /// Run folders of programs that reproduce faults.
    Reproduce(reproduce::Options),
    /// Measure what the queue costs.
    BenchQueue(queue::Bench),
    /// Measure typing in Neovim during a cold index, without the plugin and with it.
    Typing(neovim::Typing),
    /// The least work that an index of a tree can take, as a process of its own so that it is measured like one.
    #[command(hide = true)]
    Floor(bench::floor::Options),
}

fn main() -> ExitCode {
    let command = Command::parse();
    let outcome = sandbox::install().and_then(|()| match command {
        Command::Test(options) => test::run(&options),
        Command::Dist(options) => vscode::dist(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Compare(options) => compare::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::History(options) => queue::history(&options),
        #[cfg(target_os = "linux")]
        Command::Limits(options) => limits::run(&options),
        #[cfg(target_os = "linux")]
        Command::Soak(options) => soak::run(&options),
        Command::Reproduce(options) => reproduce::run(&options),
        Command::BenchQueue(options) => queue::bench(&options),
        Command::Typing(options) => neovim::typing(&options),
        Command::Floor(options) => bench::floor::run(&options),
    });
    sandbox::hold_if_stopping();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

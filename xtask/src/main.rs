//! The commands a contributor runs: `cargo xtask test`.

mod sandbox;
mod test;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// The commands a contributor runs.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Command {
    /// Install what the tests need where it is missing, then run every test.
    Test(test::Options),
}

fn main() -> ExitCode {
    let command = Command::parse();
    let outcome = sandbox::install().and_then(|()| match command {
        Command::Test(options) => test::run(&options),
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

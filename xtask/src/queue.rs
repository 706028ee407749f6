//! `cargo xtask history` and `cargo xtask bench-queue`: the queue in long runs, and what it costs.

use anyhow::Result;

use crate::tools::REDIS;
use crate::workspace::{Workspace, run as run_command};

/// Long runs of many owners that are killed, stopped and cut off; a checker of the promises.
#[derive(clap::Args)]
pub(crate) struct History {
    /// How many runs, each with faults of its own.
    #[arg(long, default_value_t = 10)]
    seeds: u32,
    /// How long each.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Repeat the run of this seed only.
    #[arg(long)]
    seed: Option<u64>,
    /// Leave the fencing out: the checker must find what that breaks, and the command fail.
    #[arg(long)]
    break_fencing: bool,
}

/// Makes the runs.
pub(crate) fn history(options: &History) -> Result<()> {
    let workspace = Workspace::locate()?;
    let redis = REDIS.ensure(&workspace)?;
    eprintln!("with {}", redis.label);
    let mut command = workspace.cargo(&["test", "--test", "queue_history", "--", "--nocapture", "--test-threads=1"]);
    command.env("SYNCLINE_TEST_REDIS", &redis.program);
    command.env("SYNCLINE_HISTORY_SEEDS", options.seeds.to_string());
    command.env("SYNCLINE_HISTORY_SECONDS", options.seconds.to_string());
    if let Some(seed) = options.seed {
        command.env("SYNCLINE_TEST_SEED", seed.to_string());
    }
    if options.break_fencing {
        command.env("SYNCLINE_HISTORY_BREAK", "1");
    }
    run_command(&mut command)
}

/// Measure what the queue costs, in this process and through Redis, alone and with a thousand owners.
#[derive(clap::Args)]
pub(crate) struct Bench {}

/// Measures.
pub(crate) fn bench(_: &Bench) -> Result<()> {
    let workspace = Workspace::locate()?;
    let redis = REDIS.ensure(&workspace)?;
    eprintln!("with {}", redis.label);
    let mut command = workspace.cargo(&["bench", "--bench", "queue"]);
    run_command(command.env("SYNCLINE_TEST_REDIS", &redis.program))
}

//! A switch of branches that changes many files, while a server watches.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use super::report::{Report, Unit};
use super::{Bench, FRESH_DEADLINE};
use crate::compare::life;
use crate::compare::random::Random;
use crate::lsp::Client;
use crate::workspace::run as run_command;

const SECTION: &str = "git checkout of 10,000 files";
/// In how many files the branches differ, about.
const CHANGED: usize = 10_000;

/// How long `git checkout` takes, and how long until the index equals the tree, from the same beginning.
pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    report.compare(SECTION);
    let (tree, home): (PathBuf, PathBuf) = (bench.scratch.path().join("tree"), bench.scratch.path().join("home"));
    run_command(Command::new("cp").args(["-a", "--reflink=auto", "--"]).arg(&bench.corpus).arg(&tree))?;
    life::commit(&tree, &home, &mut Random::new(1), CHANGED)?;
    let mut server = bench.syncline(&["lsp", "--stdio", "--standalone"])?;
    let mut client = Client::start(server.current_dir(&tree), &tree)?;
    client.wait_until_fresh(FRESH_DEADLINE)?;
    client.wait_until(FRESH_DEADLINE, |state| state["progress"].is_null())?;
    for round in 0..bench.runs.min(4) {
        let before = client.generation();
        let start = Instant::now();
        let changed = life::switch(&tree, &home, round % 2 == 0)?;
        let git = start.elapsed();
        // A fresh search waits until all of it has been looked at; the state tells when it is in the index.
        client.search("nothing_like_this", false, true, 1)?;
        let answered = start.elapsed();
        let fresh = client.wait_until_fresh(FRESH_DEADLINE)? - start;
        report.add(SECTION, "wall", "until the index equals the tree", Unit::Seconds, fresh.as_secs_f64());
        report.add(SECTION, "wall", "git checkout", Unit::Seconds, git.as_secs_f64());
        report.add(SECTION, "wall", "until a fresh answer", Unit::Seconds, answered.as_secs_f64());
        report.note(format!("{SECTION}: {changed} files differed, {} commits", client.generation() - before));
    }
    client.shut_down()?;
    std::fs::remove_dir_all(&tree)?;
    Ok(())
}

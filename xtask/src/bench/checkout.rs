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

/// How long `git checkout` takes, and how long until an answer has all of it, from the same beginning.
pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    report.compare(SECTION);
    let (tree, home): (PathBuf, PathBuf) = (bench.scratch.path().join("tree"), bench.scratch.path().join("home"));
    run_command(Command::new("cp").args(["-a", "--reflink=auto", "--"]).arg(&bench.corpus).arg(&tree))?;
    // As a repository the corpus would have to heed rules that didn't count so far; a distribution's sources may ignore all
    // of themselves.
    if tree.join(".gitignore").exists() {
        std::fs::remove_file(tree.join(".gitignore"))?;
    }
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
        // A fresh search waits until all of it has been looked at. (The state can't tell as well: between two batches of a
        // long checkout it may say that it is fresh, and be right.)
        client.search("nothing_like_this", false, true, 1)?;
        let answered = start.elapsed();
        client.wait_until_fresh(FRESH_DEADLINE)?;
        report.add(SECTION, "wall", "until a fresh answer", Unit::Seconds, answered.as_secs_f64());
        report.add(SECTION, "wall", "git checkout", Unit::Seconds, git.as_secs_f64());
        report.note(format!("{SECTION}: {changed} files differed, {} commits", client.generation() - before));
    }
    client.shut_down()?;
    std::fs::remove_dir_all(&tree)?;
    Ok(())
}
